/* SPDX-License-Identifier: MIT */
/*
 * calls_stream.c - streams and events.
 */
#include <sched.h>
#include <stdlib.h>

#include "decode.h"
#include "dom0-backend/worker/worker.h"

#define ASK_AGAIN 1000u

int wk_StreamCreate(struct wk_lane *lane, const struct vgpu_args_StreamCreate *a,
                    struct vgpu_out_StreamCreate *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s;
    int err = wk_stream_new(w, a->flags, a->priority, &s);

    if (err)
        return err;
    if (!wk_obj_enter(w, &s->o, WK_OBJ_STREAM, a->stream)) {
        wk_obj_release(w, &s->o);
        return WK_INVALID_HANDLE;
    }
    return WK_OK;
}

int wk_StreamDestroy(struct wk_lane *lane, const struct vgpu_args_StreamDestroy *a,
                     struct vgpu_out_StreamDestroy *o)
{
    struct wk_stream *s = a->stream;

    if (a->stream_id < WK_ID_MIN)
        return WK_INVALID_HANDLE; /* default streams are not the guest's to destroy */
    return wk_obj_remove(lane, &s->o);
}

int wk_StreamQuery(struct wk_lane *lane, const struct vgpu_args_StreamQuery *a,
                   struct vgpu_out_StreamQuery *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    int err = w->ops->stream_query(w->dev, s->s);

    /* The guest has seen its work complete: what is left is for the device to notice that it has
     * written the counter. It must not be told the contrary. */
    for (unsigned i = 0; err == WK_NOT_READY && i < ASK_AGAIN && wk_flow_marked(w, s); i++) {
        sched_yield();
        err = w->ops->stream_query(w->dev, s->s);
    }
    return err;
}

int wk_StreamSync(struct wk_lane *lane, const struct vgpu_args_StreamSync *a,
                  struct vgpu_out_StreamSync *o)
{
    return wk_wait_stream(lane, a->stream, false);
}

int wk_StreamWaitEvent(struct wk_lane *lane, const struct vgpu_args_StreamWaitEvent *a,
                       struct vgpu_out_StreamWaitEvent *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    struct wk_event *e = a->event;
    int err = wk_flow_enter(w, s);

    if (e->common)
        return err ? err : wk_common_wait(w, e->common, s);
    return err ? err : w->ops->stream_wait(w->dev, s->s, e->e);
}

int wk_CtxSync(struct wk_lane *lane, const struct vgpu_args_CtxSync *a, struct vgpu_out_CtxSync *o)
{
    return wk_wait_all(lane);
}

int wk_EventCreate(struct wk_lane *lane, const struct vgpu_args_EventCreate *a,
                   struct vgpu_out_EventCreate *o)
{
    struct wk *w = lane->w;
    struct wk_event *e = calloc(1, sizeof(*e));
    int err;

    if (!e)
        return WK_OUT_OF_MEMORY;
    err = w->ops->event_create(w->dev, a->flags, &e->e);
    if (err) {
        free(e);
        return err;
    }
    e->counter = a->counter;
    if (!wk_obj_enter(w, &e->o, WK_OBJ_EVENT, a->event)) {
        w->ops->event_destroy(w->dev, e->e);
        free(e);
        return WK_INVALID_HANDLE;
    }
    return WK_OK;
}

int wk_EventDestroy(struct wk_lane *lane, const struct vgpu_args_EventDestroy *a,
                    struct vgpu_out_EventDestroy *o)
{
    struct wk_event *e = a->event;

    return wk_obj_remove(lane, &e->o);
}

static void event_reached(void *arg)
{
    wk_notify_waiters(arg);
}

int wk_EventRecord(struct wk_lane *lane, const struct vgpu_args_EventRecord *a,
                   struct vgpu_out_EventRecord *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    struct wk_event *e = a->event;
    int err = wk_flow_enter(w, s);

    if (!err && e->common)
        err = wk_common_record(w, e->common, s);
    /* The guest answers queries from the counter and may ask the device a moment later. */
    return err ? err
               : w->ops->event_record_write32(w->dev, e->e, s->s, &w->ch.counters[e->counter],
                                              a->value, event_reached, w);
}

int wk_StreamMark(struct wk_lane *lane, const struct vgpu_args_StreamMark *a,
                  struct vgpu_out_StreamMark *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    int err = wk_flow_enter(w, s);

    if (err)
        return err;
    if (a->due)
        wk_drain_expect(w, a->counter, a->value, a->due);
    return wk_flow_mark(w, s, a->counter, a->value, event_reached);
}

int wk_EventMark(struct wk_lane *lane, const struct vgpu_args_EventMark *a,
                 struct vgpu_out_EventMark *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    struct wk_event *e = a->event;
    int err = wk_flow_enter(w, s);

    return err ? err : w->ops->event_record(w->dev, e->e, s->s);
}

int wk_EventQuery(struct wk_lane *lane, const struct vgpu_args_EventQuery *a,
                  struct vgpu_out_EventQuery *o)
{
    struct wk *w = lane->w;
    struct wk_event *e = a->event;

    return w->ops->event_query(w->dev, e->e);
}

int wk_EventSync(struct wk_lane *lane, const struct vgpu_args_EventSync *a,
                 struct vgpu_out_EventSync *o)
{
    return wk_wait_event(lane, a->event);
}

int wk_EventElapsed(struct wk_lane *lane, const struct vgpu_args_EventElapsed *a,
                    struct vgpu_out_EventElapsed *o)
{
    struct wk *w = lane->w;
    struct wk_event *start = a->start;
    struct wk_event *end = a->end;

    return w->ops->event_elapsed(w->dev, start->e, end->e, &o->ms);
}
