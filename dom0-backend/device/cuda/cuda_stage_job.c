/* SPDX-License-Identifier: MIT */
/*
 * cuda_stage_job.c - what the crew of cuda_stage.c has to do: copies that wait for their stream, that can
 * be begun, and whose pieces are all at work. With the lock held, but for cudev_job_finish().
 */
#include <stdlib.h>

#include "cuda_stage_int.h"
#include "dom0-backend/common/clock.h"

/* All are allocated at the start: later, with copies under way, that call might wait for them. */
uint32_t *cudev_words_get(struct cudev_stage *st, unsigned n)
{
    if (st->words_used + n > WORDS)
        return NULL;
    st->words_used += n;
    return st->words + st->words_used - n;
}

struct job *cudev_job_get(struct cudev_stage *st)
{
    struct job **at, *j;

    for (at = &st->free; (j = *at); at = &j->link) {
        /* The GPU may not have come to write its last word yet. */
        if (j->kind != JOB_IN || come_to(&j->word[DONE_GPU], j->value)) {
            *at = j->link;
            return j;
        }
    }
    j = calloc(1, sizeof(*j));
    if (j)
        j->word = cudev_words_get(st, JOB_WORDS);
    if (j && !j->word) {
        free(j);
        j = NULL;
    }
    return j;
}

void cudev_job_put(struct cudev_stage *st, struct job *j)
{
    j->link = st->free;
    st->free = j;
}

void cudev_stage_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

    pthread_cond_timedwait(c, m, &t);
}

/* A job, as soon as there are words for it. NULL: the context has faulted, or no memory. */
struct job *cudev_job_await(struct cudev_stage *st)
{
    struct job *j;

    for (;;) {
        if (atomic_load(&st->d->sticky))
            return NULL;
        j = st->held ? NULL : cudev_job_get(st);
        if (j || (!st->held && st->words_used + JOB_WORDS <= WORDS))
            return j;
        /* The GPU tells nobody when it has written a word. */
        cudev_stage_until(&st->gone, &st->lock, now_ns() + 1000000);
    }
}

static void append(struct job ***end, struct job *j)
{
    j->link = NULL;
    **end = j;
    *end = &j->link;
}

void cudev_job_wait_for(struct cudev_stage *st, struct job *j)
{
    append(&st->waiting_end, j);
    atomic_fetch_add(&st->open, 1);
    if (j->kind == JOB_IN || j->kind == JOB_OUT)
        st->steps++;
    pthread_cond_signal(&st->come);
}

void cudev_job_first(struct cudev_stage *st, struct job *j)
{
    j->link = st->ready;
    if (!st->ready)
        st->ready_end = &j->link;
    st->ready = j;
    atomic_fetch_add(&st->open, 1);
    pthread_cond_broadcast(&st->come);
}

static void close_one(struct cudev_stage *st)
{
    atomic_fetch_sub(&st->open, 1);
}

/* The berth of a job that was waiting is not used again either. */
static void drop(struct cudev_stage *st, struct job *j)
{
    if (j->kind != JOB_LAND) {
        st->steps--;
    } else {
        /* As where the GPU writes counters: the guest goes on, and is told of the fault. */
        __atomic_store_n(j->where, j->store, __ATOMIC_RELEASE);
        if (j->told)
            j->told(j->arg);
    }
    free(j);
}

/* The context is gone: nothing is reached any more. Jobs are not used again, as the GPU may write
 * their words at any time, or never. */
void cudev_job_drop_open(struct cudev_stage *st)
{
    struct job **at = &st->ready, *j;

    while ((j = st->waiting)) {
        st->waiting = j->link;
        close_one(st);
        drop(st, j);
    }
    st->waiting_end = &st->waiting;
    while ((j = *at)) {
        if (j->kind == JOB_FILL) { /* needs nothing of the device */
            at = &j->link;
            continue;
        }
        *at = j->link;
        close_one(st);
        j->n = j->next;
        if (j->done == j->n) {
            drop(st, j);
        } else {
            j->link = st->busy;
            st->busy = j;
        }
    }
    st->ready_end = at;
    pthread_cond_broadcast(&st->gone);
}

/* Streams that have got to their copies. True if there is work. */
bool cudev_job_look(struct cudev_stage *st)
{
    struct job **at = &st->waiting, *j;
    bool more = false;

    if (atomic_load_explicit(&st->d->sticky, memory_order_relaxed)) {
        cudev_job_drop_open(st);
        return st->ready != NULL;
    }
    while ((j = *at)) {
        if (j->kind == JOB_LAND ? !come_to(j->berth->word, j->berth->value)
                                : !come_to(&j->word[REACHED], j->value)) {
            at = &j->link;
            continue;
        }
        *at = j->link;
        append(&st->ready_end, j);
        more = true;
    }
    st->waiting_end = at;
    if (more && st->ready->n > st->ready->piece)
        pthread_cond_broadcast(&st->come);
    return st->ready != NULL;
}

bool cudev_job_claim(struct cudev_stage *st, struct job *j, struct slot *s)
{
    struct job **at;

    if (j->next == j->n)
        return false;
    s->job = j;
    s->at = j->next;
    s->n = j->n - j->next < j->piece ? j->n - j->next : j->piece;
    j->next += s->n;
    if (j->next < j->n)
        return true;
    for (at = &st->ready; *at != j; at = &(*at)->link)
        ;
    *at = j->link;
    if (!*at)
        st->ready_end = at;
    j->link = st->busy;
    st->busy = j;
    close_one(st);
    return true;
}

static void write_done(struct cudev_stage *st, struct job *j)
{
    CUdeviceptr at = (CUdeviceptr)(uintptr_t)&j->word[DONE_GPU];
    int err = cudev_rc(st->d, cu.cuStreamWriteValue32_v2(st->to, at, j->value, 0),
                       "cuStreamWriteValue32");

    cudev_stage_tell("cuStreamWriteValue32", err);
}

void cudev_job_finish(struct cudev_stage *st, struct job *j, uint64_t n)
{
    void (*told)(void *arg) = NULL;
    void *arg = NULL;
    struct job **at;

    pthread_mutex_lock(&st->lock);
    j->done += n;
    if (j->done < j->n || j->next < j->n)
        goto out;
    for (at = &st->busy; *at && *at != j; at = &(*at)->link)
        ;
    if (*at)
        *at = j->link;
    switch (j->kind) {
    case JOB_IN:
        write_done(st, j);
        st->steps--;
        break;
    case JOB_OUT:
        __atomic_store_n(&j->word[DONE_CPU], j->value, __ATOMIC_RELEASE);
        st->steps--;
        break;
    case JOB_LAND:
        j->berth->taken = false;
        __atomic_store_n(j->where, j->store, __ATOMIC_RELEASE);
        told = j->told;
        arg = j->arg;
        break;
    case JOB_FILL:
        break;
    }
    if (j->kind == JOB_FILL)
        atomic_store(&j->filled, true); /* its owner's again, who may let it go at once */
    else
        cudev_job_put(st, j);
    pthread_cond_broadcast(&st->gone);
out:
    pthread_mutex_unlock(&st->lock);
    if (told)
        told(arg);
}
