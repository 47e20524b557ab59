/* SPDX-License-Identifier: MIT */
/*
 * calls_memory.c - device memory, copies and fills.
 *
 * Pool memory is data for copies and nothing else: the guest may change it at any time, so it is
 * handed to the device as a source or target and never looked at here.
 */
#include <string.h>

#include "decode.h"
#include "dom0-backend/common/fault.h"
#include "dom0-backend/worker/worker.h"

int wk_MemAlloc(struct wk_lane *lane, const struct vgpu_args_MemAlloc *a,
                struct vgpu_out_MemAlloc *o)
{
    struct wk *w = lane->w;
    int err = w->ops->mem_alloc(w->dev, a->bytes, &o->dptr);

    if (!err)
        wk_count_memory(w);
    return err;
}

int wk_MemFree(struct wk_lane *lane, const struct vgpu_args_MemFree *a, struct vgpu_out_MemFree *o)
{
    struct wk *w = lane->w;
    int err = w->ops->mem_free(w->dev, a->dptr);

    if (!err) {
        wk_share_freed(w, a->dptr);
        wk_count_memory(w);
    }
    return err;
}

int wk_MemInfo(struct wk_lane *lane, const struct vgpu_args_MemInfo *a, struct vgpu_out_MemInfo *o)
{
    struct wk *w = lane->w;

    return w->ops->mem_info(w->dev, &o->free_bytes, &o->total_bytes);
}

int wk_MemRange(struct wk_lane *lane, const struct vgpu_args_MemRange *a,
                struct vgpu_out_MemRange *o)
{
    struct wk *w = lane->w;

    return w->ops->mem_range(w->dev, a->dptr, &o->base, &o->size);
}

int wk_CopyInline(struct wk_lane *lane, const struct vgpu_args_CopyInline *a,
                  struct vgpu_out_CopyInline *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    void *buf;
    int err = wk_flow_enter(w, s);

    if (err || a->bytes_len == 0)
        return err;
    if (w->ops->copy_in) {
        err = w->ops->copy_in(w->dev, s->s, a->dst, a->bytes, a->bytes_len);
        if (!err)
            wk_count(w, bytes_in, a->bytes_len);
        return err;
    }
    buf = wk_flow_inline(w, a->bytes, a->bytes_len);
    if (!buf)
        return WK_OUT_OF_MEMORY;
    err = w->ops->copy_h2d(w->dev, s->s, a->dst, buf, a->bytes_len);
    if (err) {
        wk_flow_inline_done(buf);
        return err;
    }
    wk_count(w, bytes_in, a->bytes_len);
    err = w->ops->stream_host(w->dev, s->s, wk_flow_inline_done, buf);
    if (err) {
        /* The copy may still be reading the buffer, so it is released only after the stream. */
        w->ops->stream_sync(w->dev, s->s);
        wk_flow_inline_done(buf);
    }
    return err;
}

int wk_CopyFetch(struct wk_lane *lane, const struct vgpu_args_CopyFetch *a,
                 struct vgpu_out_CopyFetch *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    int err = WK_OK;

    /* The lane's own buffer: if the wait fails, the copy may land later than this call returns. */
    if (!lane->fetching)
        err = w->ops->copy_d2h(w->dev, s->s, lane->fetch, a->src, a->n);
    if (!err)
        err = wk_wait_stream(lane, s, true);
    lane->fetching = err == WK_HAND_OVER;
    if (err)
        return err;
    memcpy(o->bytes, lane->fetch, a->n);
    o->bytes_len = a->n;
    wk_count(w, bytes_out, a->n);
    return WK_OK;
}

static void landed(void *arg)
{
    wk_notify_waiters(arg);
}

int wk_CopyLand(struct wk_lane *lane, const struct vgpu_args_CopyLand *a,
                struct vgpu_out_CopyLand *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    int err;

    if (!w->direct)
        return WK_NOT_SUPPORTED;
    err = wk_flow_enter(w, s);
    if (!err)
        err = w->ops->copy_d2h(w->dev, s->s, vgpu_reply_landing(&w->ch, lane->index), a->src, a->n);
    if (!err)
        err = wk_flow_mark(w, s, a->counter, a->value, landed);
    if (!err)
        wk_count(w, bytes_out, a->n);
    return err;
}

int wk_CopyToDevice(struct wk_lane *lane, const struct vgpu_args_CopyToDevice *a,
                    struct vgpu_out_CopyToDevice *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    int err = wk_work_enter_for(w, s, a->src_len);

    fault_point("worker.copy-in", w->assign.domid);
    if (!err)
        err = w->ops->copy_h2d(w->dev, s->s, a->dst, a->src, a->src_len);
    if (!err)
        wk_count(w, bytes_in, a->src_len);
    return err;
}

int wk_CopyFromDevice(struct wk_lane *lane, const struct vgpu_args_CopyFromDevice *a,
                      struct vgpu_out_CopyFromDevice *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    int err = wk_work_enter_for(w, s, a->dst_len);

    if (!err)
        err = w->ops->copy_d2h(w->dev, s->s, a->dst, a->src, a->dst_len);
    fault_point("worker.copy-out", w->assign.domid);
    if (!err)
        wk_count(w, bytes_out, a->dst_len);
    return err;
}

int wk_CopyDevice(struct wk_lane *lane, const struct vgpu_args_CopyDevice *a,
                  struct vgpu_out_CopyDevice *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    int err = wk_work_enter_for(w, s, a->n);

    return err ? err : w->ops->copy_d2d(w->dev, s->s, a->dst, a->src, a->n);
}

int wk_Fill(struct wk_lane *lane, const struct vgpu_args_Fill *a, struct vgpu_out_Fill *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    int err;

    if (a->elem == 3)
        return WK_INVALID_VALUE;
    err = wk_work_enter_for(w, s, a->width * a->height);
    return err ? err
               : w->ops->fill(w->dev, s->s, a->dst, a->pitch, a->value, a->elem, a->width,
                              a->height);
}
