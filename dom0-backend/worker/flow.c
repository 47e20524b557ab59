/* SPDX-License-Identifier: MIT */
/*
 * flow.c - back-pressure: how much unfinished work a guest process may pile up in the worker.
 *
 * A shim keeps at most 512 incomplete launches in a stream, so it never meets the limits here. A
 * guest that ignores them meets a worker that stops taking records until the stream has moved on,
 * as a driver whose queue is full does; the ring then fills and the guest waits for space. Waiting
 * is no violation: work in a stream depends only on work issued before it, which is complete
 * sooner or later, and the process's own other streams are the only ones held up. The control
 * thread keeps serving the broker meanwhile.
 *
 * Completion is learnt from a host function in the stream at every MARK_EVERY-th posted operation,
 * so that a launch costs no callback. The operations counted as incomplete stay within
 * STREAM_LIMIT; up to MARK_EVERY - 1 of them may be complete already.
 */
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/worker/worker.h"

#define MARK_EVERY   256u
#define STREAM_LIMIT 1024u

static void mark_reached(void *arg)
{
    struct wk_stream *s = arg;
    struct wk *w = s->w;

    pthread_mutex_lock(&w->flow_lock);
    s->done += MARK_EVERY;
    if (s->done > s->issued)
        s->done = s->issued;
    pthread_cond_broadcast(&w->flow_moved);
    pthread_mutex_unlock(&w->flow_lock);
    wk_obj_unpin(w, &s->o);
}

int wk_flow_enter(struct wk *w, struct wk_stream *s)
{
    bool mark;

    atomic_store_explicit(&s->marked, false, memory_order_relaxed);
    /* The driver itself holds up a guest that goes too far, and nobody but that guest. */
    if (w->ops->bounded)
        return WK_OK;
    pthread_mutex_lock(&w->flow_lock);
    while (s->issued - s->done >= STREAM_LIMIT)
        pthread_cond_wait(&w->flow_moved, &w->flow_lock);
    mark = ++s->issued % MARK_EVERY == 0;
    pthread_mutex_unlock(&w->flow_lock);
    if (!mark)
        return WK_OK;

    wk_obj_pin(w, &s->o);
    int err = w->ops->stream_host(w->dev, s->s, mark_reached, s);

    if (err) {
        /* The stream takes no work (the context has faulted), so nothing can pile up in it. */
        pthread_mutex_lock(&w->flow_lock);
        s->done = s->issued;
        pthread_mutex_unlock(&w->flow_lock);
        wk_obj_unpin(w, &s->o);
    }
    return err;
}

int wk_work_enter(struct wk *w, struct wk_stream *s)
{
    if (w->gate.on &&
        (atomic_load_explicit(&w->tenant->gate, memory_order_relaxed) & TENANT_GATE_MASK) !=
            TENANT_OPEN &&
        !wk_gate_inside)
        wk_gate_pass(w, s);
    return wk_flow_enter(w, s);
}

int wk_work_enter_for(struct wk *w, struct wk_stream *s, uint64_t octets)
{
    return octets < WK_WORK_MIN ? wk_flow_enter(w, s) : wk_work_enter(w, s);
}

int wk_flow_mark(struct wk *w, struct wk_stream *s, uint32_t counter, uint32_t value,
                 void (*done)(void *arg))
{
    int err = w->ops->stream_write32(w->dev, s->s, &w->ch.counters[counter], value, done, w);

    if (!err) {
        s->mark_counter = counter;
        s->mark_value = value;
        atomic_store_explicit(&s->marked, true, memory_order_relaxed);
    }
    return err;
}

bool wk_flow_marked(struct wk *w, const struct wk_stream *s)
{
    return atomic_load_explicit(&s->marked, memory_order_relaxed) &&
           (int32_t)(VGPU_LOAD_ACQUIRE(&w->ch.counters[s->mark_counter]) - s->mark_value) >= 0;
}

struct inline_buf {
    struct wk *w;
    uint32_t n;
    uint8_t data[] __attribute__((aligned(16)));
};

void *wk_flow_inline(struct wk *w, const void *data, uint32_t n)
{
    struct inline_buf *b = malloc(sizeof(*b) + n);

    if (!b)
        return NULL;
    b->w = w;
    b->n = n;
    memcpy(b->data, data, n);
    pthread_mutex_lock(&w->flow_lock);
    while (w->inline_bytes > WK_INLINE_MAX)
        pthread_cond_wait(&w->flow_moved, &w->flow_lock);
    w->inline_bytes += n;
    pthread_mutex_unlock(&w->flow_lock);
    return b->data;
}

void wk_flow_inline_done(void *buffer)
{
    struct inline_buf *b = (void *)((uint8_t *)buffer - offsetof(struct inline_buf, data));
    struct wk *w = b->w;

    pthread_mutex_lock(&w->flow_lock);
    w->inline_bytes -= b->n;
    pthread_cond_broadcast(&w->flow_moved);
    pthread_mutex_unlock(&w->flow_lock);
    free(b);
}
