/* SPDX-License-Identifier: MIT */
/*
 * cuda_berth.c - copies between the device and staging buffers of the guest's library, which nothing
 * but the copy uses, where the driver must not pin the pool: through berths, see cuda_stage.c.
 */
#include "cuda_stage_int.h"
#include "dom0-backend/device/device_copy.h"

#include <string.h>

#define ALONE    (128u << 10) /* to the device: up to here the caller copies by itself */
#define PART_MIN (16u << 10)  /* the least that is worth handing out */
#define PART_MAX (64u << 10)

/* Lock held. NULL: all are under way. */
static struct berth *take(struct cudev_stage *st)
{
    for (unsigned i = 0; i < BERTHS; i++) {
        struct berth *b = &st->berth[i];

        if (b->taken || !come_to(b->word, b->value))
            continue;
        b->taken = true;
        return b;
    }
    return NULL;
}

static void give(struct cudev_stage *st, struct berth *b)
{
    pthread_mutex_lock(&st->lock);
    b->taken = false;
    pthread_mutex_unlock(&st->lock);
}

static uint64_t part(const struct cudev_stage *st, uint64_t n)
{
    uint64_t p = (n / st->nhand + 4095) & ~4095ull;

    return p < PART_MIN ? PART_MIN : p > PART_MAX ? PART_MAX : p;
}

/* Pool to berth, with the crew. Nobody waits for the device on the way. */
static void fill(struct cudev_stage *st, struct berth *b, const void *host, size_t n)
{
    struct job j = {.kind = JOB_FILL,
                    .berth = b,
                    .host = (uint8_t *)(uintptr_t)host,
                    .n = n,
                    .piece = part(st, n)};
    struct slot s;

    if (n <= ALONE || !st->may_spin) {
        memcpy(b->mem, host, n);
        return;
    }
    pthread_mutex_lock(&st->lock);
    cudev_job_first(st, &j);
    while (cudev_job_claim(st, &j, &s)) {
        pthread_mutex_unlock(&st->lock);
        cudev_piece_move(st, &s);
        pthread_mutex_lock(&st->lock);
    }
    pthread_mutex_unlock(&st->lock);
    while (!atomic_load_explicit(&j.filled, memory_order_acquire))
        __builtin_ia32_pause();
}

/* The word behind the berth's transfer. */
static int mark(struct cudev_stage *st, struct dev_stream *s, struct berth *b)
{
    int err;

    b->value++;
    err = cudev_rc(
        st->d,
        cu.cuStreamWriteValue32_v2(cudev_stream(s), (CUdeviceptr)(uintptr_t)b->word, b->value, 0),
        "cuStreamWriteValue32");
    cudev_stage_tell("cuStreamWriteValue32", err);
    return err;
}

/* A berth for n octets of the device's memory, taken. 0, a CUresult or DEV_NOT_STAGED. */
static int enter(struct dev *d, uint64_t dev, size_t n, struct berth **b)
{
    struct cudev_stage *st = d->stage;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (!st || n > BERTH_MAX)
        return DEV_NOT_STAGED;
    if (!cudev_stage_inside(d, dev, n))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&st->lock);
    *b = take(st);
    pthread_mutex_unlock(&st->lock);
    return *b ? 0 : DEV_NOT_STAGED;
}

int cudev_stage_put(struct dev *d, struct dev_stream *s, uint64_t dev, const void *host, size_t n)
{
    struct cudev_stage *st = d->stage;
    struct berth *b;
    int err = enter(d, dev, n, &b);

    if (err)
        return err;
    fill(st, b, host, n);
    err =
        cudev_rc(d, cu.cuMemcpyHtoDAsync_v2(dev, b->mem, n, cudev_stream(s)), "cuMemcpyHtoDAsync");
    if (!err && mark(st, s, b))
        return 0; /* the berth is lost: nobody knows when it is free */
    give(st, b);
    return err;
}

int cudev_stage_get(struct dev *d, struct dev_stream *s, void *host, uint64_t dev, size_t n,
                    uint32_t *where, uint32_t value, void (*told)(void *arg), void *arg)
{
    struct cudev_stage *st = d->stage;
    struct berth *b;
    struct job *j;
    int err = enter(d, dev, n, &b);

    if (err)
        return err;
    pthread_mutex_lock(&st->lock);
    j = cudev_job_get(st);
    if (!j)
        b->taken = false;
    pthread_mutex_unlock(&st->lock);
    if (!j)
        return DEV_NOT_STAGED;
    err =
        cudev_rc(d, cu.cuMemcpyDtoHAsync_v2(b->mem, dev, n, cudev_stream(s)), "cuMemcpyDtoHAsync");
    if (err)
        give(st, b);
    else
        err = mark(st, s, b);
    pthread_mutex_lock(&st->lock);
    j->kind = JOB_LAND;
    j->berth = b;
    j->host = host;
    j->n = n;
    j->next = j->done = 0;
    j->piece = part(st, n);
    j->where = where;
    j->store = value;
    j->told = told;
    j->arg = arg;
    if (err)
        cudev_job_put(st, j);
    else
        cudev_job_wait_for(st, j);
    pthread_mutex_unlock(&st->lock);
    return err;
}

bool cudev_stage_look(struct dev *d)
{
    struct cudev_stage *st = d->stage;
    struct slot s = {0};

    if (!st || !atomic_load_explicit(&st->open, memory_order_relaxed))
        return false;
    if (pthread_mutex_trylock(&st->lock))
        return true;
    if (cudev_job_look(st) && (st->ready->kind == JOB_LAND || st->ready->kind == JOB_FILL))
        cudev_job_claim(st, st->ready, &s);
    pthread_mutex_unlock(&st->lock);
    if (s.job)
        cudev_piece_move(st, &s);
    return true;
}
