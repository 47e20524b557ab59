/* SPDX-License-Identifier: MIT */
/*
 * box.c - copies of boxes. The device walks the rows, so that a call crosses once; rows of pageable
 * memory are packed into staging buffers, as many at a time as fit.
 */
#include "array.h"
#include "box.h"
#include "capture.h"
#include "objects.h"
#include "pool.h"
#include "stage.h"
#include "stubs.h"

#include <string.h>

#define PITCH_MAX 0x7fffffffu
#define PIPELINE  4u /* pieces from the device under way at a time */

enum where { HOST, POOL, DEVICE, ARRAY };

struct route {
    struct gvm_chan *c;
    struct gvm_sref s;
    enum where dst, src;
};

static bool span(const struct gvm_end *e, const struct gvm_box *b, uint64_t *first, uint64_t *len)
{
    uint64_t slice, p, q, end;

    if (__builtin_mul_overflow(e->pitch, e->height, &slice) ||
        __builtin_mul_overflow(e->z, slice, &p) || __builtin_mul_overflow(e->y, e->pitch, &q) ||
        __builtin_add_overflow(p, q, &q) || __builtin_add_overflow(q, e->x, &q) ||
        __builtin_add_overflow(q, e->addr, first))
        return false;
    return !(__builtin_mul_overflow(b->depth - 1, slice, &p) ||
             __builtin_mul_overflow(b->height - 1, e->pitch, &q) ||
             __builtin_add_overflow(p, q, &q) || __builtin_add_overflow(q, b->width, len) ||
             __builtin_add_overflow(*first, *len, &end));
}

/* What an end is. Linear ends are changed to start at the box's first octet. 1: a bad range. */
static int place(struct gvm_end *e, const struct gvm_box *b, enum where *w)
{
    uint64_t first, len;
    struct gvm_range g;

    if (e->array) {
        *w = ARRAY;
        return gvm_array_fits(e, b);
    }
    if (!span(e, b, &first, &len) || !first)
        return 1;
    e->addr = first;
    e->x = e->y = e->z = 0;
    gvm_find(first, &g);
    if (g.kind == GVM_HOST) {
        const struct gvm_conn *n = &gvm.chan->conn;

        *w = HOST;
        return n->dev_size && first - n->dev_base < n->dev_size ? 1 : 0;
    }
    *w = g.kind == GVM_PINNED || g.kind == GVM_MANAGED ? POOL : DEVICE;
    return gvm_fits(&g, first, len) ? 0 : 1;
}

/* As under unified addressing natively: what is called host memory may be anything that copies
 * reach, what is called device memory must be known to the device. */
static int check_dir(enum gvm_dir dir, enum where dst, enum where src)
{
    bool dst_dev = dir == GVM_H2D || dir == GVM_D2D, src_dev = dir == GVM_D2H || dir == GVM_D2D;

    return (dst_dev && dst == HOST) || (src_dev && src == HOST);
}

/* An end as the worker is told. */
static int tell(const struct gvm_end *e, const struct gvm_box *b, enum where w,
                struct vgpu_copy_side *s)
{
    struct gvm_pool_ref ref;

    *s = (struct vgpu_copy_side){
        .addr = e->addr, .x = e->x, .y = e->y, .z = e->z, .pitch = e->pitch, .height = e->height};
    switch (w) {
    case POOL:
        if (!gvm_pool_find((void *)(uintptr_t)e->addr, 1, &ref))
            return 1;
        s->type = VGPU_SIDE_POOL;
        s->object = ref.chunk;
        s->addr = ref.off;
        return 0;
    case DEVICE:
        s->type = VGPU_SIDE_DEVICE;
        return 0;
    case ARRAY:
        s->type = VGPU_SIDE_ARRAY;
        s->object = e->id;
        return 0;
    default:
        return 1;
    }
}

static int wire(const struct gvm_box *b, enum where dst, enum where src, struct vgpu_copy3d *w)
{
    int rc = tell(&b->dst, b, dst, &w->dst);

    w->width = b->width;
    w->height = b->height;
    w->depth = b->depth;
    return rc ? rc : tell(&b->src, b, src, &w->src);
}

int gvm_box_wire(const struct gvm_box *box, struct vgpu_copy3d *w)
{
    struct gvm_box b = *box;
    enum where dst, src;
    int rc = place(&b.dst, &b, &dst);

    if (rc == 0)
        rc = place(&b.src, &b, &src);
    if (rc == 0)
        rc = check_dir(b.dir, dst, src);
    return rc ? rc : wire(&b, dst, src, w);
}

/* ---- whole boxes ------------------------------------------------------------------------- */

static int direct(const struct route *r, const struct gvm_box *b)
{
    struct vgpu_copy3d w;
    int rc = wire(b, r->dst, r->src, &w);

    if (rc)
        return rc;
    gvm_work_issue(r->c, &r->s);
    return vgpu_Copy3D(r->c, 0, r->s.id, &w, sizeof(w));
}

/* Host to host. */
static void here(const struct gvm_box *b)
{
    for (uint64_t z = 0; z < b->depth; z++)
        for (uint64_t y = 0; y < b->height; y++)
            memmove((char *)(uintptr_t)b->dst.addr + (z * b->dst.height + y) * b->dst.pitch,
                    (const char *)(uintptr_t)b->src.addr + (z * b->src.height + y) * b->src.pitch,
                    b->width);
}

/* ---- through staging buffers ------------------------------------------------------------- */

/* Where the next piece starts. */
struct walk {
    uint64_t x, y, z;
};

static void advance(struct gvm_end *e, const struct walk *at)
{
    e->x += at->x;
    e->y += at->y;
    e->z += at->z;
    if (!e->array) {
        e->addr += e->z * e->height * e->pitch + e->y * e->pitch + e->x;
        e->x = e->y = e->z = 0;
    }
}

/* The largest piece of at most `room` octets from *at on: part of a row, rows, or slices. */
static void cut(const struct gvm_box *b, struct walk *at, uint64_t room, struct gvm_box *piece)
{
    *piece = *b;
    advance(&piece->dst, at);
    advance(&piece->src, at);
    piece->height = piece->depth = 1;
    if (at->x || b->width > room) {
        piece->width = b->width - at->x < room ? b->width - at->x : room;
        at->x += piece->width;
        if (at->x == b->width) {
            at->x = 0;
            at->y++;
        }
    } else if (at->y || b->height > room / b->width) {
        piece->height = room / b->width;
        if (piece->height > b->height - at->y)
            piece->height = b->height - at->y;
        at->y += piece->height;
    } else {
        piece->height = b->height;
        piece->depth = room / (b->width * b->height);
        if (piece->depth > b->depth - at->z)
            piece->depth = b->depth - at->z;
        at->z += piece->depth;
    }
    if (at->y == b->height) {
        at->y = 0;
        at->z++;
    }
}

static uint64_t octets(const struct gvm_box *b)
{
    return b->width * b->height * b->depth;
}

/* The packed piece in a buffer as one end. */
static struct gvm_end packed(const struct gvm_stage *b, const struct gvm_box *piece)
{
    return (struct gvm_end){
        .addr = (uintptr_t)b->p, .pitch = piece->width, .height = piece->height};
}

static int put(const struct route *r, const struct gvm_box *b)
{
    struct route to = *r;
    struct walk at = {0};
    int rc = 0;

    to.src = POOL;
    while (at.z < b->depth && rc == 0) {
        struct gvm_stage *s = gvm_stage_get(r->c, octets(b), true, &rc);
        struct gvm_box piece, pack;

        if (!s)
            return rc;
        cut(b, &at, gvm_stage_size(s), &piece);
        pack = piece;
        pack.dst = packed(s, &piece);
        here(&pack);
        piece.src = pack.dst;
        rc = direct(&to, &piece);
        if (rc == 0)
            rc = gvm_stage_mark(r->c, s, &r->s);
        gvm_stage_put(s);
    }
    return rc;
}

struct flight {
    struct gvm_stage *s;
    struct gvm_box unpack;
};

static int land(struct gvm_chan *c, struct flight *f, int rc)
{
    if (rc == 0)
        rc = gvm_stage_wait(c, f->s);
    if (rc == 0)
        here(&f->unpack);
    gvm_stage_put(f->s);
    return rc;
}

/* Complete on return: while one piece is copied out, the next ones are on their way. */
static int get(const struct route *r, const struct gvm_box *b)
{
    struct route to = *r;
    struct walk at = {0};
    struct flight q[PIPELINE];
    unsigned head = 0, tail = 0;
    int rc = 0;

    to.dst = POOL;
    while ((at.z < b->depth || head != tail) && rc == 0) {
        struct gvm_stage *s = NULL;
        struct gvm_box piece;
        struct flight *f;

        /* Never wait for a buffer while holding some: others may do the same. */
        if (at.z < b->depth && tail - head < PIPELINE)
            s = gvm_stage_get(r->c, octets(b), head == tail, &rc);
        if (rc)
            break;
        if (!s) {
            rc = land(r->c, &q[head++ % PIPELINE], 0);
            continue;
        }
        cut(b, &at, gvm_stage_size(s), &piece);
        f = &q[tail++ % PIPELINE];
        f->s = s;
        f->unpack = piece;
        f->unpack.src = packed(s, &piece);
        piece.dst = f->unpack.src;
        rc = direct(&to, &piece);
        if (rc == 0)
            rc = gvm_stage_mark(r->c, s, &r->s);
    }
    while (head != tail) {
        int e = land(r->c, &q[head++ % PIPELINE], rc);

        rc = rc ? rc : e;
    }
    return rc;
}

int gvm_box_fit(struct gvm_end *e, const struct gvm_box *b)
{
    uint64_t row, rows;

    if (e->array)
        return 0;
    if (__builtin_add_overflow(e->x, b->width, &row) ||
        __builtin_add_overflow(e->y, b->height, &rows))
        return 1;
    if (!e->pitch)
        e->pitch = row;
    if (!e->height)
        e->height = rows;
    return e->pitch < row || (e->pitch > PITCH_MAX && b->height > 1) ||
           (e->height < rows && b->depth > 1);
}

/* ---- the call ---------------------------------------------------------------------------- */

/* Linear memory without gaps on both sides is one row. */
static void flatten(struct gvm_box *b)
{
    if (!b->dst.array && !b->src.array && b->dst.pitch == b->width && b->src.pitch == b->width &&
        (b->depth == 1 || (b->dst.height == b->height && b->src.height == b->height))) {
        b->width = octets(b);
        b->height = b->depth = 1;
    }
}

int gvm_copy_box(const struct gvm_box *box, uint64_t stream, bool sync)
{
    struct gvm_box b = *box;
    struct route r;
    bool idle;
    int rc = gvm_need(&r.c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &r.s);
    if (rc == 0)
        rc = gvm_chan_check(r.c);
    if (rc || !b.width || !b.height || !b.depth)
        return rc;
    rc = place(&b.dst, &b, &r.dst);
    if (rc == 0)
        rc = place(&b.src, &b, &r.src);
    if (rc == 0)
        rc = check_dir(b.dir, r.dst, r.src);
    if (rc)
        return rc;
    GVM_CAPTURE(gvm_cap_box(stream, box, sync));
    flatten(&b);
    if (!b.dst.array && !b.src.array && b.height == 1 && b.depth == 1)
        return gvm_copy(b.dst.addr, b.src.addr, b.width, b.dir, stream, sync);

    gvm_shadow_push();
    idle = gvm_work_idle(r.c);
    if (r.dst <= POOL && r.src <= POOL && (r.dst == HOST || r.src == HOST)) {
        /* Here and now: after what the stream holds, and before it goes on. */
        rc = gvm_stream_wait_idle(r.c, &r.s);
        if (rc == 0)
            here(&b);
        return gvm_after_wait(r.c, rc);
    }
    if (r.dst == HOST)
        return gvm_after_wait(r.c, get(&r, &b));
    rc = r.src == HOST ? put(&r, &b) : direct(&r, &b);
    if (rc || !sync)
        return rc;
    /* As with gvm_copy(): no wait between device memories, and a copy from pageable memory is a
     * barrier that may be left out only with nothing to wait for. */
    if (r.dst >= DEVICE && r.src >= DEVICE)
        return 0;
    if (r.src == HOST && idle && r.s.blocking)
        return gvm_chan_latched(r.c);
    return gvm_after_wait(r.c, gvm_stream_wait_idle(r.c, &r.s));
}
