/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "dom0-backend/device/ptx/device_int.h"

#define EVENT_BLOCKING_SYNC  1u /* waiting never spins here: nothing to do */
#define EVENT_DISABLE_TIMING 2u
#define EVENT_INTERPROCESS   4u

/* Call with the lock held. */
void mark_put(struct mark *m)
{
    if (m && --m->refs == 0)
        free(m);
}

int swdev_event_create(struct dev *d, unsigned flags, struct dev_event **out)
{
    struct dev_event *e;
    int err = dev_sticky(d);

    if (err)
        return err;
    if (flags & ~(EVENT_BLOCKING_SYNC | EVENT_DISABLE_TIMING | EVENT_INTERPROCESS) ||
        (flags & EVENT_INTERPROCESS && !(flags & EVENT_DISABLE_TIMING)))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & EVENT_INTERPROCESS)
        return CUDA_ERROR_NOT_SUPPORTED; /* IPC_EVENT_SUPPORTED is reported as 0 */
    e = calloc(1, sizeof(*e));
    if (!e)
        return CUDA_ERROR_OUT_OF_MEMORY;
    e->flags = flags;
    *out = e;
    return 0;
}

int swdev_event_destroy(struct dev *d, struct dev_event *e)
{
    pthread_mutex_lock(&d->lock);
    mark_put(e->mark);
    pthread_mutex_unlock(&d->lock);
    free(e);
    return dev_sticky(d);
}

int swdev_event_record_write32(struct dev *d, struct dev_event *e, struct dev_stream *s,
                               uint32_t *where, uint32_t value, void (*done)(void *arg), void *arg)
{
    struct mark *m;
    struct op *op;
    int err = dev_sticky(d);

    if (err)
        return err;
    m = calloc(1, sizeof(*m));
    op = calloc(1, sizeof(*op));
    if (!m || !op) {
        free(m);
        free(op);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    m->refs = 2; /* the event's and the operation's */
    op->kind = OP_MARK;
    op->mark = m;
    op->host.where = where;
    op->host.value = value;
    op->host.fn = done;
    op->host.arg = arg;
    err = stream_push(stream_of(d, s), op);
    pthread_mutex_lock(&d->lock);
    if (err) {
        mark_put(m);
    } else {
        mark_put(e->mark);
        e->mark = m;
    }
    pthread_mutex_unlock(&d->lock);
    return err;
}

int swdev_event_record(struct dev *d, struct dev_event *e, struct dev_stream *s)
{
    return swdev_event_record_write32(d, e, s, NULL, 0, NULL, NULL);
}

int swdev_event_query(struct dev *d, struct dev_event *e)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    pthread_mutex_lock(&d->lock);
    err = !e->mark || e->mark->done ? 0 : CUDA_ERROR_NOT_READY;
    pthread_mutex_unlock(&d->lock);
    return err;
}

int swdev_event_sync(struct dev *d, struct dev_event *e)
{
    struct mark *m;

    pthread_mutex_lock(&d->lock);
    m = e->mark;
    if (m) {
        m->refs++; /* recorded anew meanwhile: this wait is for the old point */
        while (!m->done)
            stream_wait_step(d);
        mark_put(m);
    }
    pthread_mutex_unlock(&d->lock);
    return dev_sticky(d);
}

int swdev_event_elapsed(struct dev *d, struct dev_event *a, struct dev_event *b, float *ms)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    if ((a->flags | b->flags) & EVENT_DISABLE_TIMING)
        return CUDA_ERROR_INVALID_HANDLE;
    pthread_mutex_lock(&d->lock);
    if (!a->mark || !b->mark) {
        err = CUDA_ERROR_INVALID_HANDLE;
    } else if (!a->mark->done || !b->mark->done) {
        err = CUDA_ERROR_NOT_READY;
    } else {
        /* May be negative, when b was recorded first. */
        *ms = (float)((double)(int64_t)(b->mark->ns - a->mark->ns) / 1e6);
    }
    pthread_mutex_unlock(&d->lock);
    return err;
}
