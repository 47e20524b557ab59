/* SPDX-License-Identifier: MIT */
/*
 * cuda_sync.c - waiting for the GPU: spinning for as long as short kernels take, then asleep until
 * its interrupt. The context is made with CU_CTX_SCHED_BLOCKING_SYNC, so that whatever is left to
 * wait for after the spinning costs no CPU time; a host that serves many guests has better use for
 * it. How long to spin is learnt: as long as waits end within SPIN_MAX, that long; waits that last
 * longer lose some 100 us by sleeping and are soon not spun for.
 *
 * Spinning asks the driver whether the work is complete. The call that waits comes last in any
 * case: it reports errors, and hands over what kernels have printed.
 */
#include <sched.h>

#include "cuda_int.h"
#include "cuda_stage.h"
#include "dom0-backend/common/clock.h"

#define SPIN_MAX 1000000u
#define SPIN_MIN 50000u

/* On the only CPU nothing else gets on while somebody spins. */
static bool may_spin(void)
{
    static _Atomic int cpus;
    cpu_set_t set;

    if (!cpus)
        cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 2;
    return cpus > 1;
}

/* Asks until the work is complete or has failed, or the time is over. */
struct spin {
    struct dev *d;
    uint64_t start, end;
};

static struct spin spin_start(struct dev *d)
{
    uint64_t now = now_ns(), most = atomic_load_explicit(&d->spin_ns, memory_order_relaxed);

    return (struct spin){d, now, now + (most < SPIN_MIN ? SPIN_MIN : most)};
}

static bool spin_on(const struct spin *s)
{
    __builtin_ia32_pause();
    return now_ns() < s->end;
}

/* After the whole wait: what it would have taken to spin through it, next time. */
static void spin_learn(const struct spin *s)
{
    uint64_t took = now_ns() - s->start, had = s->end - s->start;

    if (took <= SPIN_MAX)
        atomic_store_explicit(&s->d->spin_ns, SPIN_MAX, memory_order_relaxed);
    else
        atomic_store_explicit(&s->d->spin_ns, had / 2, memory_order_relaxed);
}

int cudev_wait_stream(struct dev *d, CUstream s)
{
    int err = cudev_enter(d);
    struct spin sp;

    if (err)
        return err;
    sp = spin_start(d);
    while (may_spin() && cu.cuStreamQuery(s) == CUDA_ERROR_NOT_READY && spin_on(&sp))
        ;
    err = cudev_rc(d, cu.cuStreamSynchronize(s), "cuStreamSynchronize");
    spin_learn(&sp);
    cudev_busy_end(d);
    return err;
}

int cudev_wait_event(struct dev *d, CUevent e)
{
    int err = cudev_enter(d);
    struct spin sp;

    if (err)
        return err;
    sp = spin_start(d);
    while (may_spin() && cu.cuEventQuery(e) == CUDA_ERROR_NOT_READY && spin_on(&sp))
        ;
    err = cudev_rc(d, cu.cuEventSynchronize(e), "cuEventSynchronize");
    spin_learn(&sp);
    cudev_busy_end(d);
    return err;
}

/* An event behind everything that has been issued. NULL: none to be had. Of the thread, as a thread
 * waits for one thing at a time. Never destroyed: threads of a worker stay, or end with it. */
static CUevent behind_all(struct dev *d)
{
    static __thread CUevent all;

    return cu.cuCtxRecordEvent &&
                   (all || cu.cuEventCreate(&all, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS) &&
                   cu.cuCtxRecordEvent(d->ctx, all) == CUDA_SUCCESS
               ? all
               : NULL;
}

int cudev_fence_record(struct dev *d, unsigned i)
{
    int err = cudev_enter(d);

    if (err)
        return err;
    if (!cu.cuCtxRecordEvent) /* before CUDA 12.5: leases are then kept by time alone */
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!d->fence[i])
        err = (int)cu.cuEventCreate(&d->fence[i], CU_EVENT_DISABLE_TIMING);
    if (!err)
        err = cudev_rc(d, cu.cuCtxRecordEvent(d->ctx, d->fence[i]), "cuCtxRecordEvent");
    return err;
}

int cudev_fence_query(struct dev *d, unsigned i)
{
    int err = cudev_enter(d);

    return err || !d->fence[i] ? err : (int)cu.cuEventQuery(d->fence[i]);
}

bool cudev_all_complete(struct dev *d)
{
    CUevent all = behind_all(d);
    uint64_t end = now_ns() + SPIN_MIN;

    /* The event itself takes the device a few microseconds. */
    while (all && cu.cuEventQuery(all) == CUDA_ERROR_NOT_READY)
        if (now_ns() > end)
            return false;
    return all != NULL;
}

/* What cannot be asked, the process checkpoint will find. The copies are looked at last: theirs are begun
 * by work of the streams. */
bool cudev_idle(struct dev *d)
{
    uint64_t end = now_ns() + SPIN_MIN;
    CUevent all;

    if (cudev_enter(d))
        return true;
    all = behind_all(d);
    while (all && cu.cuEventQuery(all) == CUDA_ERROR_NOT_READY)
        if (now_ns() > end)
            return false;
    return cudev_stage_idle(d);
}

int cudev_wait_all(struct dev *d)
{
    int err = cudev_enter(d);
    struct spin sp;
    CUevent all;

    if (err)
        return err;
    sp = spin_start(d);
    all = may_spin() ? behind_all(d) : NULL;
    while (all && cu.cuEventQuery(all) == CUDA_ERROR_NOT_READY && spin_on(&sp))
        ;
    err = cudev_rc(d, cu.cuCtxSynchronize(), "cuCtxSynchronize");
    spin_learn(&sp);
    cudev_busy_end(d);
    return err;
}

/* ---- how long the GPU was at work ---------------------------------------------------------- */

/* The time from the first operation that is issued until somebody finds everything complete; work
 * that nobody waits for is counted when the watcher looks. An estimate for gvm top, no more. */
void cudev_busy_begin(struct dev *d)
{
    uint64_t none = 0, now;

    if (!d->cfg.busy_ns || atomic_load_explicit(&d->busy_since, memory_order_relaxed))
        return;
    now = now_ns();
    if (atomic_compare_exchange_strong(&d->busy_since, &none, now) && d->cfg.busy_since)
        __atomic_store_n(d->cfg.busy_since, now, __ATOMIC_RELAXED);
}

static void count(struct dev *d, uint64_t next)
{
    uint64_t since = atomic_exchange(&d->busy_since, next), now = next ? next : now_ns();

    if (d->cfg.busy_since)
        __atomic_store_n(d->cfg.busy_since, next, __ATOMIC_RELAXED);
    if (since && d->cfg.busy_ns && now > since)
        __atomic_fetch_add(d->cfg.busy_ns, now - since, __ATOMIC_RELAXED);
}

void cudev_busy_end(struct dev *d)
{
    if (atomic_load_explicit(&d->busy_since, memory_order_relaxed))
        count(d, 0);
}

void cudev_busy_still(struct dev *d)
{
    if (atomic_load_explicit(&d->busy_since, memory_order_relaxed))
        count(d, now_ns());
}
