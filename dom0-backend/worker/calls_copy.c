/* SPDX-License-Identifier: MIT */
/*
 * calls_copy.c - copies of boxes, and of the staging buffers of the guest's library.
 */
#include <string.h>

#include "decode.h"
#include "dom0-backend/common/fault.h"
#include "dom0-backend/worker/copy3d.h"

/* The address of `len` octets from `off` of a chunk on, over the edge to the next chunk where that
 * one follows without a gap. */
static int pool_span(struct wk_lane *lane, uint32_t chunk, uint64_t off, uint64_t len, void **at)
{
    struct wk *w = lane->w;
    uint64_t first = 0, size;
    void *p;
    int err;

    *at = NULL;
    do {
        if (chunk >= VGPU_MAX_CHUNKS)
            return WK_INVALID_VALUE;
        pthread_mutex_lock(&w->chunk_lock);
        size = w->chunks[chunk].len;
        pthread_mutex_unlock(&w->chunk_lock);
        if (off >= size)
            return WK_INVALID_VALUE;
        size -= off;
        if (size > len)
            size = len;
        err = wk_resolve_pool(lane, chunk, off, size, &p);
        if (err)
            return err;
        if (!first)
            *at = p;
        else if ((uint8_t *)*at + first != p)
            return WK_INVALID_VALUE;
        first += size;
        len -= size;
        off = 0;
        chunk++;
    } while (len);
    return WK_OK;
}

static int resolve_side(struct wk_lane *lane, const struct vgpu_copy_side *g,
                        const struct vgpu_copy3d *q, struct dev_copy_side *s)
{
    uint64_t first, len;
    struct wk_obj *o;
    void *p;
    int err;

    *s = (struct dev_copy_side){
        .addr = g->addr, .x = g->x, .y = g->y, .z = g->z, .pitch = g->pitch, .height = g->height};
    switch (g->type) {
    case VGPU_SIDE_POOL:
        s->type = DEV_MEM_HOST;
        if (!dev_copy_span(s, q->width, q->height, q->depth, &first, &len))
            return WK_INVALID_VALUE;
        err = pool_span(lane, g->object, first, len, &p);
        if (err)
            return err;
        /* The span is checked; the base alone may lie before the chunk. */
        s->addr = (uint64_t)(uintptr_t)p;
        s->x = s->y = s->z = 0;
        return WK_OK;
    case VGPU_SIDE_DEVICE:
        s->type = DEV_MEM_DEVICE;
        return dev_copy_span(s, q->width, q->height, q->depth, &first, &len) ? WK_OK
                                                                             : WK_INVALID_VALUE;
    case VGPU_SIDE_ARRAY:
        s->type = DEV_MEM_ARRAY;
        o = wk_obj_hold(lane, WK_OBJ_ARRAY, g->object);
        if (!o)
            return WK_INVALID_HANDLE;
        s->array = ((struct wk_thing *)o)->p;
        return WK_OK;
    default:
        return WK_INVALID_VALUE;
    }
}

int wk_copy3d_resolve(struct wk_lane *lane, const void *desc, uint32_t len, struct dev_copy *out)
{
    struct vgpu_copy3d q;
    int err;

    if (len != sizeof(q))
        return WK_INVALID_VALUE;
    memcpy(&q, desc, sizeof(q));
    if (!q.width || !q.height || !q.depth)
        return WK_INVALID_VALUE;
    out->width = q.width;
    out->height = q.height;
    out->depth = q.depth;
    err = resolve_side(lane, &q.dst, &q, &out->dst);
    return err ? err : resolve_side(lane, &q.src, &q, &out->src);
}

int wk_Copy3D(struct wk_lane *lane, const struct vgpu_args_Copy3D *a, struct vgpu_out_Copy3D *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    struct dev_copy c;
    uint64_t n;
    int err;

    if (!w->ops->copy)
        return WK_NOT_SUPPORTED;
    err = wk_copy3d_resolve(lane, a->desc, a->desc_len, &c);
    if (!err &&
        (__builtin_mul_overflow(c.width, c.height, &n) || __builtin_mul_overflow(n, c.depth, &n)))
        n = UINT64_MAX; /* the device finds out that it is too much */
    if (!err)
        err = wk_work_enter_for(w, s, n);
    if (!err)
        err = w->ops->copy->copy3d(w->dev, s->s, &c);
    if (err)
        return err;
    n = c.width * c.height * c.depth;
    if (c.src.type == DEV_MEM_HOST)
        wk_count(w, bytes_in, n);
    if (c.dst.type == DEV_MEM_HOST)
        wk_count(w, bytes_out, n);
    return WK_OK;
}

static void staged(void *arg)
{
    wk_notify_waiters(arg);
}

/* A buffer is free, or full, also if its copy has failed: the guest hears of that apart. */
static int stage_mark(struct wk *w, struct wk_stream *s, uint32_t counter, uint32_t value, int err)
{
    int late = wk_flow_mark(w, s, counter, value, staged);

    return err ? err : late;
}

int wk_StagePut(struct wk_lane *lane, const struct vgpu_args_StagePut *a,
                struct vgpu_out_StagePut *o)
{
    struct wk *w = lane->w;
    const struct dev_copy_ops *ops = w->ops->copy;
    struct wk_stream *s = a->stream;
    int err = wk_work_enter_for(w, s, a->src_len);
    bool read = false;

    fault_point("worker.copy-in", w->assign.domid);
    if (!err && ops && ops->stage_put) {
        err = ops->stage_put(w->dev, s->s, a->dst, a->src, a->src_len);
        read = !err;
    } else if (!err) {
        err = DEV_NOT_STAGED;
    }
    if (err == DEV_NOT_STAGED)
        err = w->ops->copy_h2d(w->dev, s->s, a->dst, a->src, a->src_len);
    if (!err)
        wk_count(w, bytes_in, a->src_len);
    if (!read)
        return stage_mark(w, s, a->counter, a->value, err);
    VGPU_STORE_RELEASE(&w->ch.counters[a->counter], a->value);
    wk_notify_waiters(w);
    return 0;
}

int wk_StageGet(struct wk_lane *lane, const struct vgpu_args_StageGet *a,
                struct vgpu_out_StageGet *o)
{
    struct wk *w = lane->w;
    const struct dev_copy_ops *ops = w->ops->copy;
    struct wk_stream *s = a->stream;
    int err = wk_work_enter_for(w, s, a->dst_len);
    bool staged_out = false;

    if (!err && ops && ops->stage_get) {
        err = ops->stage_get(w->dev, s->s, a->dst, a->src, a->dst_len, &w->ch.counters[a->counter],
                             a->value, staged, w);
        staged_out = !err;
    } else if (!err) {
        err = DEV_NOT_STAGED;
    }
    if (err == DEV_NOT_STAGED)
        err = w->ops->copy_d2h(w->dev, s->s, a->dst, a->src, a->dst_len);
    fault_point("worker.copy-out", w->assign.domid);
    if (!err)
        wk_count(w, bytes_out, a->dst_len);
    return staged_out ? 0 : stage_mark(w, s, a->counter, a->value, err);
}
