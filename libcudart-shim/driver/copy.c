/* SPDX-License-Identifier: MIT */
/*
 * copy.c - copies and fills. Addresses are checked against what this process has allocated before
 * anything is sent. Four ways between host and device:
 *   pool memory (pinned)   named in the call, nothing staged
 *   small, to the device   inside the record, posted
 *   small, from it         inside the reply
 *   anything else          in pieces through staging buffers (pipe.h)
 */
#include "capture.h"
#include "mark.h"
#include "objects.h"
#include "pipe.h"
#include "pool.h"
#include "settle.h"
#include "stubs.h"

#include <string.h>

#define INLINE_MAX 32768u /* of CopyInline */
#define INLINE_ALL 65536u /* up to here a copy goes inline, in several records */
#define FETCH_MAX  480u   /* of CopyFetch */

enum side { SIDE_HOST, SIDE_POOL, SIDE_DEVICE };

/* What [addr, addr+n) is. 1: it starts inside an allocation and leaves it, or lies in the device's
 * window outside all of them. */
static int classify(uint64_t addr, size_t n, enum side *s)
{
    struct gvm_range g;

    gvm_find(addr, &g);
    if (g.kind == GVM_HOST) {
        struct gvm_chan *c = gvm_usable();
        const struct gvm_conn *w = c ? &c->conn : NULL;

        *s = SIDE_HOST;
        return !addr || (w && w->dev_size && addr - w->dev_base < w->dev_size) ? 1 : 0;
    }
    *s = g.kind == GVM_PINNED || g.kind == GVM_MANAGED ? SIDE_POOL : SIDE_DEVICE;
    return gvm_fits(&g, addr, n) ? 0 : 1;
}

/* As under unified addressing natively: what is called host memory may be anything that copies
 * reach, what is called device memory must be known to the device. */
static int check_dir(enum gvm_dir dir, enum side dst, enum side src)
{
    bool dst_dev = dir == GVM_H2D || dir == GVM_D2D, src_dev = dir == GVM_D2H || dir == GVM_D2D;

    return (dst_dev && dst == SIDE_HOST) || (src_dev && src == SIDE_HOST);
}

/* ---- one contiguous piece in each direction; posted unless it says otherwise --------------- */

static int put_inline(struct gvm_chan *c, const struct gvm_sref *s, uint64_t dst,
                      const uint8_t *src, size_t n)
{
    int rc = 0;

    while (n && rc == 0) {
        uint32_t part = n < INLINE_MAX ? (uint32_t)n : INLINE_MAX;

        rc = vgpu_CopyInline(c, 0, s->id, dst, src, part);
        dst += part;
        src += part;
        n -= part;
    }
    return rc;
}

static int put_pool(struct gvm_chan *c, const struct gvm_sref *s, uint64_t dst, const uint8_t *src,
                    size_t n)
{
    struct gvm_pool_ref ref;
    int rc = 0;

    gvm_work_issue(c, s);
    while (n && rc == 0) {
        if (!gvm_pool_find(src, n, &ref))
            return 1;
        rc = vgpu_CopyToDevice(c, 0, s->id, dst, ref.chunk, ref.off, ref.len);
        dst += ref.len;
        src += ref.len;
        n -= ref.len;
    }
    return rc;
}

static int get_pool(struct gvm_chan *c, const struct gvm_sref *s, uint8_t *dst, uint64_t src,
                    size_t n)
{
    struct gvm_pool_ref ref;
    int rc = 0;

    gvm_work_issue(c, s);
    while (n && rc == 0) {
        if (!gvm_pool_find(dst, n, &ref))
            return 1;
        rc = vgpu_CopyFromDevice(c, 0, s->id, src, ref.chunk, ref.off, ref.len);
        dst += ref.len;
        src += ref.len;
        n -= ref.len;
    }
    return rc;
}

/* Complete on return. */
static int get_small(struct gvm_chan *c, const struct gvm_sref *s, uint8_t *dst, uint64_t src,
                     size_t n)
{
    uint32_t got = 0;
    int rc = gvm_mark_fetch(c, s, dst, src, (uint32_t)n);

    if (rc >= 0)
        return rc;
    rc = vgpu_CopyFetch(c, 0, s->id, src, (uint32_t)n, dst, (uint32_t)n, &got);
    return rc == 0 && got != n ? 999 : rc;
}

/* Ordinary memory and the device, as one row. */
static struct gvm_box row(uint64_t dst, uint64_t src, size_t n)
{
    return (struct gvm_box){.dst = {.addr = dst, .pitch = n, .height = 1},
                            .src = {.addr = src, .pitch = n, .height = 1},
                            .width = n,
                            .height = 1,
                            .depth = 1};
}

/* ---- copies ------------------------------------------------------------------------------ */

struct route {
    struct gvm_chan *c;
    struct gvm_sref s;
    enum side dst, src;
    bool sync;
};

/* Whether the host sees the copy complete when it has been issued. */
static int one(const struct route *r, uint64_t dst, uint64_t src, size_t n)
{
    void *hdst = (void *)(uintptr_t)dst;
    const void *hsrc = (const void *)(uintptr_t)src;
    struct gvm_box b;

    if (r->dst == SIDE_DEVICE && r->src == SIDE_DEVICE) {
        gvm_work_issue(r->c, &r->s);
        return vgpu_CopyDevice(r->c, 0, r->s.id, dst, src, n);
    }
    if (r->dst == SIDE_DEVICE) {
        if (r->src == SIDE_POOL)
            return put_pool(r->c, &r->s, dst, hsrc, n);
        if (n <= INLINE_ALL)
            return put_inline(r->c, &r->s, dst, hsrc, n);
        b = row(dst, src, n);
        return gvm_pipe_put(r->c, &r->s, &b);
    }
    if (r->src == SIDE_DEVICE) {
        if (r->dst == SIDE_POOL)
            return get_pool(r->c, &r->s, hdst, src, n);
        if (n <= FETCH_MAX)
            return get_small(r->c, &r->s, hdst, src, n);
        b = row(dst, src, n);
        return gvm_pipe_get(r->c, &r->s, &b);
    }
    memmove(hdst, hsrc, n);
    return 0;
}

/* Host to host happens here and now: after what the stream holds, and before it goes on. */
static int before(const struct route *r)
{
    if (r->dst == SIDE_DEVICE || r->src == SIDE_DEVICE)
        return 0;
    return gvm_stream_wait_idle(r->c, &r->s);
}

static int after(const struct route *r, int rc, size_t n, uint64_t mark, bool was_idle)
{
    if (rc || !r->sync)
        return rc ? rc : 0;
    if (r->dst == SIDE_DEVICE && r->src == SIDE_DEVICE)
        return 0; /* no host-side synchronisation, as CUDA says */
    if (r->dst != SIDE_DEVICE && r->src != SIDE_DEVICE)
        return gvm_after_wait(r->c, 0);
    if (r->dst == SIDE_HOST) {
        /* Everything before it on the stream is complete with it. */
        if (gvm_is_legacy(&r->s))
            gvm_work_synced(r->c, mark);
        return gvm_after_wait(r->c, 0);
    }
    /* Programs use a copy to the device as a barrier: only with nothing to wait for may it be
     * posted and no more. Pool memory must have been read when the caller goes on. */
    if (r->src == SIDE_HOST && was_idle && r->s.blocking && gvm_alone())
        return gvm_chan_latched(r->c);
    return gvm_after_wait(r->c, gvm_settle(r->c, &r->s, n, r->dst == SIDE_DEVICE));
}

int gvm_copy(uint64_t dst, uint64_t src, size_t n, enum gvm_dir dir, uint64_t stream, bool sync)
{
    struct route r = {.sync = sync};
    uint64_t mark;
    bool idle;
    int rc = gvm_need(&r.c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &r.s);
    if (rc == 0)
        rc = gvm_chan_check(r.c);
    if (rc || !n)
        return rc;
    rc = classify(dst, n, &r.dst);
    if (rc == 0)
        rc = classify(src, n, &r.src);
    if (rc == 0)
        rc = check_dir(dir, r.dst, r.src);
    if (rc)
        return rc;
    GVM_CAPTURE(gvm_cap_copy2d(stream, dst, n, src, n, n, 1, dir, sync));
    gvm_shadow_push();
    idle = gvm_work_idle(r.c);
    mark = gvm_work_mark(r.c);
    rc = before(&r);
    if (rc == 0)
        rc = one(&r, dst, src, n);
    return gvm_shadow_after(r.c, &r.s, after(&r, rc, n, mark, idle), sync);
}

/* ---- fills ------------------------------------------------------------------------------- */

static void fill_here(uint8_t *p, size_t pitch, uint32_t value, unsigned elem, size_t width,
                      size_t height)
{
    for (size_t y = 0; y < height; y++, p += pitch) {
        if (elem == 1)
            memset(p, (int)value, width);
        else
            for (size_t x = 0; x < width; x++)
                memcpy(p + x * elem, &value, elem); /* little endian */
    }
}

int gvm_fill(uint64_t dst, size_t pitch, uint32_t value, unsigned elem, size_t width, size_t height,
             uint64_t stream, bool sync)
{
    struct gvm_sref s;
    struct gvm_chan *c;
    enum side side;
    size_t row, span;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc == 0)
        rc = gvm_chan_check(c);
    if (rc || !width || !height)
        return rc;
    if (__builtin_mul_overflow(width, (size_t)elem, &row) || dst % elem ||
        (height > 1 && (pitch < row || pitch % elem)) ||
        __builtin_mul_overflow(height > 1 ? pitch : 0, height - 1, &span) ||
        __builtin_add_overflow(span, row, &span))
        return 1;
    rc = classify(dst, span, &side);
    if (rc || side == SIDE_HOST)
        return 1;
    GVM_CAPTURE(gvm_cap_fill(stream, dst, pitch, value, elem, width, height, sync));
    if (side == SIDE_POOL) {
        rc = gvm_stream_wait_idle(c, &s);
        if (rc == 0)
            fill_here((void *)(uintptr_t)dst, pitch, value, elem, width, height);
        return gvm_after_wait(c, rc);
    }
    gvm_work_issue(c, &s);
    return vgpu_Fill(c, 0, s.id, dst, height > 1 ? pitch : 0, value, elem, width, height);
}
