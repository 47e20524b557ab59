/* SPDX-License-Identifier: MIT */
/*
 * Streams and the threads that serve them.
 *
 * Every operation gets a ticket when it is issued. The rules of the legacy default stream are then
 * two comparisons, made when an operation comes to the head of its stream:
 *  - in the default stream: no blocking stream has an incomplete operation with a lower ticket;
 *  - in a blocking stream: the default stream has none.
 * As an operation only ever waits for lower tickets, nothing can wait in a circle.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dom0-backend/common/clock.h"
#include "dom0-backend/common/log.h"
#include "dom0-backend/device/ptx/device_int.h"

#define CACHED_RUNNERS      4u
#define STREAM_NON_BLOCKING 1u
#define NO_TICKET           UINT64_MAX

static void *runner(void *arg);

/* ---- order ------------------------------------------------------------------------------- */

/* Ticket of the oldest incomplete operation. */
static uint64_t front(const struct dev_stream *s)
{
    return s->head ? s->head->ticket : NO_TICKET;
}

static uint64_t blocking_front(const struct dev *d)
{
    uint64_t min = NO_TICKET;

    for (const struct dev_stream *s = d->streams; s; s = s->next)
        if (!(s->flags & STREAM_NON_BLOCKING) && front(s) < min)
            min = front(s);
    return min;
}

static bool may_start(const struct dev_stream *s, const struct op *op)
{
    const struct dev *d = s->d;

    if (op->kind == OP_WAIT && !op->mark->done)
        return false;
    if (s == &d->legacy)
        return blocking_front(d) > op->ticket;
    return s->flags & STREAM_NON_BLOCKING || front(&d->legacy) > op->ticket;
}

/* Whether it reads or writes device memory; all others only wait, or call the worker. */
static bool touches(const struct op *op)
{
    return op->kind == OP_COPY || op->kind == OP_BOX || op->kind == OP_FILL ||
           op->kind == OP_LAUNCH || op->kind == OP_MEM || op->kind == OP_GRAPH;
}

static void wait_moved(struct dev *d)
{
    d->waiters++;
    pthread_cond_wait(&d->moved, &d->lock);
    d->waiters--;
}

void stream_wait_moved(struct dev *d)
{
    wait_moved(d);
}

/* Waking a thread costs tens of microseconds, more than most small operations: so threads look a
 * moment for themselves. True if *word differs from `old`. Without the lock. */
static bool spin(const struct dev *d, _Atomic unsigned *word, unsigned old)
{
    uint64_t end = d->spin_ns ? now_ns() + d->spin_ns : 0;

    while (end) {
        for (unsigned i = 0; i < 50; i++) {
            if (atomic_load_explicit(word, memory_order_relaxed) != old)
                return true;
            __builtin_ia32_pause();
        }
        if (now_ns() >= end)
            break;
        sched_yield(); /* the thread waited for may need this very processor */
    }
    return false;
}

void stream_wait_step(struct dev *d)
{
    unsigned steps = d->steps;

    pthread_mutex_unlock(&d->lock);
    spin(d, &d->steps, steps);
    pthread_mutex_lock(&d->lock);
    if (d->steps == steps)
        wait_moved(d);
}

/* Everything up to ticket `upto` is complete: in s (the default stream: in all blocking streams
 * too), with s NULL in every stream. */
static bool drained(const struct dev *d, const struct dev_stream *s, uint64_t upto)
{
    if (s && s != &d->legacy)
        return front(s) > upto;
    if (front(&d->legacy) <= upto)
        return false;
    if (s)
        return blocking_front(d) > upto;
    for (const struct dev_stream *i = d->streams; i; i = i->next)
        if (front(i) <= upto)
            return false;
    return true;
}

uint64_t stream_ticket(struct dev *d)
{
    uint64_t last;

    pthread_mutex_lock(&d->lock);
    last = d->ticket;
    pthread_mutex_unlock(&d->lock);
    return last;
}

bool stream_passed(struct dev *d, uint64_t upto)
{
    bool passed;

    pthread_mutex_lock(&d->lock);
    passed = drained(d, NULL, upto);
    pthread_mutex_unlock(&d->lock);
    return passed;
}

int stream_drain(struct dev *d, struct dev_stream *s)
{
    uint64_t upto;

    pthread_mutex_lock(&d->lock);
    upto = d->ticket;
    while (!drained(d, s, upto))
        stream_wait_step(d);
    pthread_mutex_unlock(&d->lock);
    return dev_sticky(d);
}

#define FREEZE_NS 20000000 /* then others get on, as what is under way may wait for them */

int stream_freeze(struct dev *d)
{
    struct timespec until;
    int err = stream_drain(d, NULL);

    pthread_mutex_lock(&d->lock);
    while (d->touching && !err) {
        d->frozen++;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += FREEZE_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        d->waiters++;
        while (d->touching && pthread_cond_timedwait(&d->moved, &d->lock, &until) == 0)
            ;
        d->waiters--;
        d->frozen--;
        if (!d->touching)
            break;
        pthread_cond_broadcast(&d->moved);
        stream_wait_step(d);
        err = dev_sticky(d);
    }
    d->frozen++;
    pthread_mutex_unlock(&d->lock);
    return err;
}

void stream_thaw(struct dev *d)
{
    pthread_mutex_lock(&d->lock);
    d->frozen--;
    pthread_cond_broadcast(&d->moved);
    pthread_mutex_unlock(&d->lock);
}

/* ---- runners ----------------------------------------------------------------------------- */

/* Gives s to a runner. Call with the lock held. 2 when there is none and none can be made. */
static int schedule(struct dev_stream *s)
{
    struct dev *d = s->d;
    pthread_t thread;

    if (d->spinning > d->nready) {
        /* finds it without being woken */
    } else if (d->idle + d->spinning > d->nready) {
        pthread_cond_signal(&d->wake);
    } else if (thread_start(&thread, true, runner, d) == 0) {
        d->runners++;
        d->serving++;
    } else if (d->serving == 0) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    } /* else: some runner takes it when it is free */
    s->scheduled = true;
    s->ready_next = NULL;
    *d->ready_tail = s;
    d->ready_tail = &s->ready_next;
    d->nready++;
    return 0;
}

static void unlink_stream(struct dev_stream *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        s->d->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    free(s);
}

/* Executes what is queued on s, with the lock held on entry and return. */
static void serve(struct dev_stream *s, struct ptx_exec **x)
{
    struct dev *d = s->d;

    while (s->head) {
        struct op *op = s->head;
        void (*done)(void *arg) = NULL;
        void *arg = NULL;

        if (!may_start(s, op) || (d->frozen && touches(op))) {
            wait_moved(d);
            continue;
        }
        if (op->kind == OP_MARK || op->kind == OP_WRITE) {
            if (op->kind == OP_MARK) {
                op->mark->done = true;
                op->mark->ns = now_ns();
            }
            /* With the lock: who sees the value finds the stream past it, too. */
            if (op->host.where)
                __atomic_store_n(op->host.where, op->host.value, __ATOMIC_RELEASE);
            done = op->host.fn;
            arg = op->host.arg;
        } else if (op->kind != OP_WAIT) {
            d->touching += touches(op);
            pthread_mutex_unlock(&d->lock);
            op_run(d, op, x);
            pthread_mutex_lock(&d->lock);
            d->touching -= touches(op);
        }
        s->head = op->next;
        if (!s->head)
            s->tail = &s->head;
        op_free(d, op);
        d->steps++;
        if (d->waiters)
            pthread_cond_broadcast(&d->moved);
        if (done) { /* s stays: it is scheduled */
            pthread_mutex_unlock(&d->lock);
            done(arg);
            pthread_mutex_lock(&d->lock);
        }
    }
    s->scheduled = false;
    if (s->dead)
        unlink_stream(s);
}

static void *runner(void *arg)
{
    struct dev *d = arg;
    struct ptx_exec *x = NULL;
    void *stack = thread_enter();

    pthread_mutex_lock(&d->lock);
    for (;;) {
        struct dev_stream *s = d->ready;

        if (s) {
            d->ready = s->ready_next;
            if (!d->ready)
                d->ready_tail = &d->ready;
            d->nready--;
            serve(s, &x);
        } else if (d->quit || d->idle + d->spinning >= CACHED_RUNNERS) {
            break;
        } else {
            d->spinning++;
            pthread_mutex_unlock(&d->lock);
            spin(d, &d->nready, 0);
            pthread_mutex_lock(&d->lock);
            d->spinning--;
            if (d->ready || d->quit)
                continue;
            d->idle++;
            pthread_cond_wait(&d->wake, &d->lock);
            d->idle--;
        }
    }
    d->serving--;
    pthread_mutex_unlock(&d->lock);
    if (x)
        ptx_exec_free(x);
    thread_leave(stack);
    pthread_mutex_lock(&d->lock);
    d->runners--;
    pthread_cond_broadcast(&d->gone);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* ---- operations -------------------------------------------------------------------------- */

int stream_push(struct dev_stream *s, struct op *op)
{
    struct dev *d = s->d;
    int err = 0;

    pthread_mutex_lock(&d->lock);
    if (!s->scheduled)
        err = schedule(s);
    if (err) {
        op_free(d, op);
    } else {
        op->next = NULL;
        op->ticket = ++d->ticket;
        *s->tail = op;
        s->tail = &op->next;
    }
    pthread_mutex_unlock(&d->lock);
    return err;
}

/* Call with the lock held. */
void op_free(struct dev *d, struct op *op)
{
    if (op->kind == OP_MARK || op->kind == OP_WAIT)
        mark_put(op->mark);
    if (op->kind == OP_GRAPH)
        graph_run_free(d, op->run);
    if (op->kind == OP_BOX)
        free(op->box);
    if (op->kind == OP_MEM)
        free(op->mem.op);
    if (op->kind == OP_COND)
        free(op->cond.total);
    if (op->kind == OP_LAUNCH) {
        module_put(d, op->launch.func->m);
        free(op->launch.params);
    }
    free(op);
}

static int push_host(struct dev *d, struct dev_stream *s, enum op_kind kind, void (*fn)(void *),
                     void *arg, uint32_t *where, uint32_t value)
{
    struct op *op = calloc(1, sizeof(*op));

    if (!op)
        return CUDA_ERROR_OUT_OF_MEMORY;
    op->kind = kind;
    op->host.fn = fn;
    op->host.arg = arg;
    op->host.where = where;
    op->host.value = value;
    return stream_push(stream_of(d, s), op);
}

int swdev_stream_host(struct dev *d, struct dev_stream *s, void (*fn)(void *arg), void *arg)
{
    return push_host(d, s, OP_HOST, fn, arg, NULL, 0);
}

/* This process's own threads copy and write: they reach everything. */
int swdev_channel_add(struct dev *d, void *addr, size_t len)
{
    return 0;
}

int swdev_stream_write32(struct dev *d, struct dev_stream *s, uint32_t *where, uint32_t value,
                         void (*done)(void *arg), void *arg)
{
    return push_host(d, s, OP_WRITE, done, arg, where, value);
}

int swdev_stream_wait(struct dev *d, struct dev_stream *s, struct dev_event *e)
{
    struct op *op;
    int err = dev_sticky(d);

    if (err)
        return err;
    op = calloc(1, sizeof(*op));
    if (!op)
        return CUDA_ERROR_OUT_OF_MEMORY;
    op->kind = OP_WAIT;
    pthread_mutex_lock(&d->lock);
    op->mark = e->mark;
    if (op->mark && !op->mark->done)
        op->mark->refs++;
    else
        op->mark = NULL;
    pthread_mutex_unlock(&d->lock);
    if (!op->mark) {
        free(op);
        return 0; /* never recorded, or past it already */
    }
    return stream_push(stream_of(d, s), op);
}

/* ---- streams ----------------------------------------------------------------------------- */

static void stream_init(struct dev *d, struct dev_stream *s, unsigned flags, int priority)
{
    s->d = d;
    s->flags = flags;
    s->priority = priority;
    s->tail = &s->head;
}

void streams_init(struct dev *d)
{
    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_init(&d->busy_lock, NULL);
    pthread_cond_init(&d->moved, NULL);
    pthread_cond_init(&d->wake, NULL);
    pthread_cond_init(&d->gone, NULL);
    d->ready_tail = &d->ready;
    stream_init(d, &d->legacy, 0, 0);
}

void streams_fini(struct dev *d)
{
    pthread_mutex_lock(&d->lock);
    d->quit = true;
    pthread_cond_broadcast(&d->wake);
    while (d->runners)
        pthread_cond_wait(&d->gone, &d->lock);
    while (d->streams)
        unlink_stream(d->streams);
    pthread_mutex_unlock(&d->lock);
    pthread_cond_destroy(&d->gone);
    pthread_cond_destroy(&d->wake);
    pthread_cond_destroy(&d->moved);
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->busy_lock);
}

int swdev_stream_create(struct dev *d, unsigned flags, int priority, struct dev_stream **out)
{
    struct dev_stream *s;
    int err = dev_sticky(d);

    if (err)
        return err;
    if (flags & ~STREAM_NON_BLOCKING)
        return CUDA_ERROR_INVALID_VALUE;
    s = calloc(1, sizeof(*s));
    if (!s)
        return CUDA_ERROR_OUT_OF_MEMORY;
    stream_init(d, s, flags, priority);
    pthread_mutex_lock(&d->lock);
    s->next = d->streams;
    if (s->next)
        s->next->prev = s;
    d->streams = s;
    pthread_mutex_unlock(&d->lock);
    *out = s;
    return 0;
}

int swdev_stream_destroy(struct dev *d, struct dev_stream *s)
{
    pthread_mutex_lock(&d->lock);
    s->dead = true;
    if (!s->scheduled)
        unlink_stream(s);
    pthread_mutex_unlock(&d->lock);
    return dev_sticky(d);
}

int swdev_stream_query(struct dev *d, struct dev_stream *s)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    pthread_mutex_lock(&d->lock);
    err = drained(d, stream_of(d, s), d->ticket) ? 0 : CUDA_ERROR_NOT_READY;
    pthread_mutex_unlock(&d->lock);
    return err;
}

int swdev_stream_sync(struct dev *d, struct dev_stream *s)
{
    return stream_drain(d, stream_of(d, s));
}

int swdev_ctx_sync(struct dev *d)
{
    return stream_drain(d, NULL);
}
