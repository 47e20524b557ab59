/* SPDX-License-Identifier: MIT */
/*
 * box.c - copies of boxes. The device walks the rows, so that a call crosses once; rows of pageable
 * memory are packed into staging buffers (pipe.c).
 */
#include "array.h"
#include "box.h"
#include "capture.h"
#include "objects.h"
#include "pipe.h"
#include "pool.h"
#include "settle.h"
#include "stubs.h"

#include <string.h>

#define PITCH_MAX 0x7fffffffu

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

int gvm_box_send(struct gvm_chan *c, const struct gvm_sref *s, const struct gvm_box *b, bool put)
{
    enum where dst = !put ? POOL : b->dst.array ? ARRAY : DEVICE;
    enum where src = put ? POOL : b->src.array ? ARRAY : DEVICE;
    struct vgpu_copy3d w;
    int rc = wire(b, dst, src, &w);

    return rc ? rc : vgpu_Copy3D(c, 0, s->id, &w, sizeof(w));
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
        b->width *= b->height * b->depth;
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
        return gvm_after_wait(r.c, gvm_pipe_get(r.c, &r.s, &b));
    rc = r.src == HOST ? gvm_pipe_put(r.c, &r.s, &b) : direct(&r, &b);
    if (rc || !sync)
        return rc;
    /* As with gvm_copy(): no wait between device memories, and a copy from pageable memory is a
     * barrier that may be left out only with nothing to wait for. */
    if (r.dst >= DEVICE && r.src >= DEVICE)
        return 0;
    if (r.src == HOST && idle && r.s.blocking && gvm_alone())
        return gvm_chan_latched(r.c);
    return gvm_after_wait(r.c,
                          gvm_settle(r.c, &r.s, b.width * b.height * b.depth, r.dst >= DEVICE));
}
