/* SPDX-License-Identifier: MIT */
/*
 * cuda_stream.c - copies, streams and events: thin calls of the driver.
 */
#include <stdlib.h>

#include "cuda_stage.h"
#include "cuda_stream.h"

/* Enters the context, calls, looks at the result. */
#define CALL(d, fn, ...)                                                                           \
    ({                                                                                             \
        int call_err = cudev_enter(d);                                                             \
        call_err ? call_err : cudev_rc(d, cu.fn(__VA_ARGS__), #fn);                                \
    })

/* ---- copies ------------------------------------------------------------------------------ */

int cudev_copy_h2d(struct dev *d, struct dev_stream *s, uint64_t dst, const void *src, size_t n)
{
    if (cudev_stage_owns(d, src))
        return cudev_stage_copy(d, s, true, dst, (void *)(uintptr_t)src, n);
    return CALL(d, cuMemcpyHtoDAsync_v2, dst, src, n, cudev_stream(s));
}

/* From memory that is not pinned the driver takes its own copy before the call returns, and does not
 * wait for the stream (CUDA driver API, "API synchronization behavior", asynchronous memcpy). */
int cudev_copy_in(struct dev *d, struct dev_stream *s, uint64_t dst, const void *src, size_t n)
{
    return CALL(d, cuMemcpyHtoDAsync_v2, dst, src, n, cudev_stream(s));
}

int cudev_copy_d2h(struct dev *d, struct dev_stream *s, void *dst, uint64_t src, size_t n)
{
    if (cudev_stage_owns(d, dst))
        return cudev_stage_copy(d, s, false, src, dst, n);
    return CALL(d, cuMemcpyDtoHAsync_v2, dst, src, n, cudev_stream(s));
}

int cudev_copy_d2d(struct dev *d, struct dev_stream *s, uint64_t dst, uint64_t src, size_t n)
{
    return CALL(d, cuMemcpyDtoDAsync_v2, dst, src, n, cudev_stream(s));
}

int cudev_fill(struct dev *d, struct dev_stream *s, uint64_t dst, size_t pitch, uint32_t value,
               unsigned elem, size_t width, size_t height)
{
    CUstream st = cudev_stream(s);

    if (height == 1) {
        switch (elem) {
        case 1:
            return CALL(d, cuMemsetD8Async, dst, (unsigned char)value, width, st);
        case 2:
            return CALL(d, cuMemsetD16Async, dst, (unsigned short)value, width, st);
        default:
            return CALL(d, cuMemsetD32Async, dst, value, width, st);
        }
    }
    switch (elem) {
    case 1:
        return CALL(d, cuMemsetD2D8Async, dst, pitch, (unsigned char)value, width, height, st);
    case 2:
        return CALL(d, cuMemsetD2D16Async, dst, pitch, (unsigned short)value, width, height, st);
    default:
        return CALL(d, cuMemsetD2D32Async, dst, pitch, value, width, height, st);
    }
}

/* ---- streams ----------------------------------------------------------------------------- */

/* To make a stream costs several times what it takes to see whether an old one is idle, which is then
 * as good as new. */
static struct dev_stream *idle_take(struct dev *d, unsigned flags, int priority)
{
    struct dev_stream *s = NULL;

    pthread_mutex_lock(&d->idle.lock);
    for (unsigned i = d->idle.n; i-- && !s;) {
        if (d->idle.s[i]->flags != flags || d->idle.s[i]->priority != priority)
            continue;
        s = d->idle.s[i];
        d->idle.s[i] = d->idle.s[--d->idle.n];
    }
    pthread_mutex_unlock(&d->idle.lock);
    return s;
}

static bool idle_put(struct dev *d, struct dev_stream *s)
{
    bool kept = false;

    if (s->altered || cudev_enter(d) || cu.cuStreamQuery(s->s) != CUDA_SUCCESS)
        return false;
    pthread_mutex_lock(&d->idle.lock);
    if (d->idle.n < CUDEV_IDLE) {
        d->idle.s[d->idle.n++] = s;
        kept = true;
    }
    pthread_mutex_unlock(&d->idle.lock);
    return kept;
}

int cudev_stream_create(struct dev *d, unsigned flags, int priority, struct dev_stream **out)
{
    struct dev_stream *s;
    int err = cudev_enter(d);

    if (err)
        return err;
    s = idle_take(d, flags, priority);
    if (!s) {
        s = calloc(1, sizeof(*s));
        if (!s)
            return CUDA_ERROR_OUT_OF_MEMORY;
        s->flags = flags;
        s->priority = priority;
        err = CALL(d, cuStreamCreateWithPriority, &s->s, flags, priority);
    }
    if (err)
        free(s);
    else
        *out = s;
    return err;
}

int cudev_stream_destroy(struct dev *d, struct dev_stream *s)
{
    int err;

    if (idle_put(d, s))
        return 0;
    err = CALL(d, cuStreamDestroy_v2, s->s);
    free(s);
    return err;
}

int cudev_stream_query(struct dev *d, struct dev_stream *s)
{
    return CALL(d, cuStreamQuery, cudev_stream(s));
}

int cudev_stream_sync(struct dev *d, struct dev_stream *s)
{
    int err = cudev_wait_stream(d, cudev_stream(s));

    cudev_output_drain(d);
    return err;
}

int cudev_stream_wait(struct dev *d, struct dev_stream *s, struct dev_event *e)
{
    int err = CALL(d, cuStreamWaitEvent, cudev_stream(s), e->e, 0);

    return err || !e->split ? err : CALL(d, cuStreamWaitEvent, cudev_stream(s), e->after, 0);
}

int cudev_stream_host(struct dev *d, struct dev_stream *s, void (*fn)(void *arg), void *arg)
{
    struct cudev_call *c = cudev_call_new(d, fn, arg);
    int err;

    if (!c)
        return CUDA_ERROR_OUT_OF_MEMORY;
    err = CALL(d, cuLaunchHostFunc, cudev_stream(s), cudev_call_run, c);
    if (err && cudev_call_cancel(c))
        return err;
    return 0;
}

static void store_and_tell(void *arg)
{
    struct cudev_store *st = arg;

    __atomic_store_n(st->where, st->value, __ATOMIC_RELEASE);
    if (st->done)
        st->done(st->arg);
    free(st);
}

int cudev_stream_write32(struct dev *d, struct dev_stream *s, uint32_t *where, uint32_t value,
                         void (*done)(void *arg), void *arg)
{
    struct cudev_store *st;
    int err;

    if (cudev_watch_reach(d, where)) {
        err = CALL(d, cuStreamWriteValue32_v2, cudev_stream(s), (CUdeviceptr)(uintptr_t)where,
                   value, 0);
        return err || !done ? err : cudev_watch_add(d, where, value, done, arg);
    }
    st = malloc(sizeof(*st));
    if (!st)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *st = (struct cudev_store){where, value, done, arg};
    err = cudev_stream_host(d, s, store_and_tell, st);
    if (err)
        free(st);
    return err;
}

bool cudev_settle(struct dev *d)
{
    cudev_busy_end(d);
    return !atomic_load_explicit(&d->prints, memory_order_relaxed) &&
           !atomic_load_explicit(&d->pool_frees, memory_order_relaxed);
}

void *cudev_landing(struct dev *d, size_t n)
{
    return n <= CUDEV_LANDING ? d->landing : NULL;
}

int cudev_ctx_sync(struct dev *d)
{
    int err;

    atomic_store_explicit(&d->pool_frees, false, memory_order_relaxed);
    err = cudev_wait_all(d);

    cudev_output_drain(d);
    return err;
}

/* ---- events ------------------------------------------------------------------------------ */

int cudev_event_create(struct dev *d, unsigned flags, struct dev_event **out)
{
    struct dev_event *e = calloc(1, sizeof(*e));
    int err;

    if (!e)
        return CUDA_ERROR_OUT_OF_MEMORY;
    err = CALL(d, cuEventCreate, &e->e, flags);
    if (!err) {
        err = CALL(d, cuEventCreate, &e->after, flags | CU_EVENT_DISABLE_TIMING);
        if (err)
            CALL(d, cuEventDestroy_v2, e->e);
    }
    if (err)
        free(e);
    else
        *out = e;
    return err;
}

int cudev_event_destroy(struct dev *d, struct dev_event *e)
{
    int err = CALL(d, cuEventDestroy_v2, e->e);

    if (e->after)
        CALL(d, cuEventDestroy_v2, e->after);

    free(e);
    return err;
}

int cudev_event_record(struct dev *d, struct dev_event *e, struct dev_stream *s)
{
    e->split = false;
    return CALL(d, cuEventRecord, e->e, cudev_stream(s));
}

/* Who sees the word finds the event complete, because it is recorded first; who finds the event
 * complete, or waited for it, sees the word, because that takes what is recorded behind it too. */
int cudev_event_record_write32(struct dev *d, struct dev_event *e, struct dev_stream *s,
                               uint32_t *where, uint32_t value, void (*done)(void *arg), void *arg)
{
    int err = cudev_event_record(d, e, s);

    if (!err)
        err = cudev_stream_write32(d, s, where, value, done, arg);
    if (!err && e->after) {
        err = CALL(d, cuEventRecord, e->after, cudev_stream(s));
        e->split = !err;
    }
    return err;
}

int cudev_event_query(struct dev *d, struct dev_event *e)
{
    int err = CALL(d, cuEventQuery, e->e);

    return err || !e->split ? err : CALL(d, cuEventQuery, e->after);
}

int cudev_event_sync(struct dev *d, struct dev_event *e)
{
    int err = cudev_wait_event(d, e->e);

    if (!err && e->split)
        err = cudev_wait_event(d, e->after);
    cudev_output_drain(d);
    return err;
}

int cudev_event_elapsed(struct dev *d, struct dev_event *a, struct dev_event *b, float *ms)
{
    return CALL(d, cuEventElapsedTime_v2, ms, a->e, b->e);
}
