/* SPDX-License-Identifier: MIT */
#include "dom0-backend/worker/upcall.h"

#include <stdlib.h>

#include "decode.h"
#include "dom0-backend/device/device_graph.h"
#include "dom0-backend/worker/worker.h"

void wk_upcalls_init(struct wk_upcalls *u)
{
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->come, NULL);
    u->tail = &u->due;
}

static void free_list(struct wk_upcall *c)
{
    while (c) {
        struct wk_upcall *next = c->next;

        if (!c->kept)
            free(c);
        c = next;
    }
}

void wk_upcalls_fini(struct wk_upcalls *u)
{
    free_list(u->pending);
    free_list(u->due);
    if (u->running && !u->running->kept)
        free(u->running);
    pthread_mutex_destroy(&u->lock);
    pthread_cond_destroy(&u->come);
}

static void unlink_pending(struct wk_upcalls *u, struct wk_upcall *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        u->pending = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->prev = c->next = NULL;
}

static void make_due(struct wk_upcalls *u, struct wk_upcall *c)
{
    c->state = WK_UPCALL_DUE;
    c->next = NULL;
    *u->tail = c;
    u->tail = &c->next;
    pthread_cond_signal(&u->come);
}

struct wk_upcall *wk_upcall_once(struct wk *w, uint32_t id, bool on_error)
{
    struct wk_upcalls *u = &w->upcalls;
    struct wk_upcall *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->w = w;
    c->id = id;
    c->on_error = on_error;
    c->state = WK_UPCALL_PENDING;
    pthread_mutex_lock(&u->lock);
    c->next = u->pending;
    if (c->next)
        c->next->prev = c;
    u->pending = c;
    pthread_mutex_unlock(&u->lock);
    return c;
}

void wk_upcall_cancel(struct wk_upcall *c)
{
    struct wk_upcalls *u = &c->w->upcalls;
    bool mine;

    pthread_mutex_lock(&u->lock);
    mine = c->state == WK_UPCALL_PENDING;
    if (mine)
        unlink_pending(u, c);
    else
        c->reached = true; /* a fault has made it due meanwhile */
    pthread_mutex_unlock(&u->lock);
    if (mine)
        free(c);
}

struct wk_upcall *wk_upcall_kept(struct wk *w, uint32_t id)
{
    struct wk_upcall *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->w = w;
    c->id = id;
    c->kept = true;
    return c;
}

void wk_upcall_drop(struct wk_upcall *c)
{
    struct wk_upcalls *u = &c->w->upcalls;
    bool now;

    pthread_mutex_lock(&u->lock);
    now = c->state == WK_UPCALL_IDLE || c->state == WK_UPCALL_DONE;
    c->orphan = true;
    pthread_mutex_unlock(&u->lock);
    if (now)
        free(c);
}

void wk_upcall_reached(void *arg, struct dev_gate *gate)
{
    struct wk_upcall *c = arg;
    struct wk *w = c->w;
    struct wk_upcalls *u = &w->upcalls;
    bool skip = false, gone = false;

    pthread_mutex_lock(&u->lock);
    c->reached = true;
    if (!c->kept && c->state != WK_UPCALL_PENDING) {
        /* The fault came first; the guest has been told, or will be. */
        skip = true;
        gone = c->state == WK_UPCALL_DONE;
    } else {
        if (!c->kept)
            unlink_pending(u, c);
        /* After a fault only cuStreamAddCallback's functions run. */
        skip = atomic_load_explicit(&w->sticky, memory_order_relaxed) && !c->on_error;
        if (skip) {
            gone = !c->kept;
        } else {
            c->gate = gate;
            make_due(u, c);
        }
    }
    pthread_mutex_unlock(&u->lock);
    if (skip)
        w->ops->graph->call_done(w->dev, gate);
    if (gone)
        free(c);
}

bool wk_upcalls_busy(struct wk *w)
{
    struct wk_upcalls *u = &w->upcalls;
    bool busy;

    pthread_mutex_lock(&u->lock);
    busy = u->due || u->running;
    pthread_mutex_unlock(&u->lock);
    return busy;
}

void wk_upcalls_fault(struct wk *w)
{
    struct wk_upcalls *u = &w->upcalls;
    struct wk_upcall *c, *next;

    pthread_mutex_lock(&u->lock);
    for (c = u->pending; c; c = next) {
        next = c->next;
        if (!c->on_error)
            continue;
        unlink_pending(u, c);
        make_due(u, c);
    }
    pthread_mutex_unlock(&u->lock);
}

/* ---- calls ------------------------------------------------------------------------------- */

int wk_HostFunc(struct wk_lane *lane, const struct vgpu_args_HostFunc *a,
                struct vgpu_out_HostFunc *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    struct wk_upcall *c;
    int err;

    if (!w->ops->graph || !w->ops->graph->stream_call)
        return WK_NOT_SUPPORTED;
    err = wk_flow_enter(w, s);
    if (err)
        return err;
    c = wk_upcall_once(w, a->upcall, a->flags & 1);
    if (!c)
        return WK_OUT_OF_MEMORY;
    err = w->ops->graph->stream_call(w->dev, s->s, wk_upcall_reached, c);
    if (err)
        wk_upcall_cancel(c);
    return err;
}

/* The guest has run what it was given last. */
static void finish(struct wk *w)
{
    struct wk_upcalls *u = &w->upcalls;
    struct wk_upcall *c;
    struct dev_gate *gate = NULL;
    bool gone = false;

    pthread_mutex_lock(&u->lock);
    c = u->running;
    u->running = NULL;
    if (c) {
        gate = c->gate;
        c->gate = NULL;
        c->state = c->kept ? WK_UPCALL_IDLE : WK_UPCALL_DONE;
        gone = c->kept ? c->orphan : c->reached;
    }
    pthread_mutex_unlock(&u->lock);
    if (gone)
        free(c);
    if (gate)
        w->ops->graph->call_done(w->dev, gate);
}

int wk_UpcallWait(struct wk_lane *lane, const struct vgpu_args_UpcallWait *a,
                  struct vgpu_out_UpcallWait *o)
{
    struct wk *w = lane->w;
    struct wk_upcalls *u = &w->upcalls;
    struct wk_upcall *c;
    int err = WK_OK;

    if (!w->ops->graph || !w->ops->graph->stream_call)
        return WK_NOT_SUPPORTED;
    if (a->done)
        finish(w);
    pthread_mutex_lock(&u->lock);
    if (u->waiting || u->running) { /* one thread of the guest at a time */
        err = WK_INVALID_VALUE;
        goto out;
    }
    u->waiting = true;
    u->waiter = lane;
    while (!u->due && !u->stop && !w->inline_blocking)
        pthread_cond_wait(&u->come, &u->lock);
    u->waiting = false;
    c = u->due;
    if (!c) {
        err = u->stop ? WK_DEINITIALIZED : WK_NOT_READY;
        goto out;
    }
    u->due = c->next;
    if (!u->due)
        u->tail = &u->due;
    c->next = NULL;
    c->state = WK_UPCALL_RUNNING;
    u->running = c;
    o->upcall = c->id;
    o->status = (int32_t)atomic_load(&w->sticky);
out:
    pthread_mutex_unlock(&u->lock);
    return err;
}

int wk_UpcallStop(struct wk_lane *lane, const struct vgpu_args_UpcallStop *a,
                  struct vgpu_out_UpcallStop *o)
{
    struct wk_upcalls *u = &lane->w->upcalls;

    pthread_mutex_lock(&u->lock);
    u->stop = true;
    pthread_cond_broadcast(&u->come);
    pthread_mutex_unlock(&u->lock);
    return WK_OK;
}
