/* SPDX-License-Identifier: MIT */
/*
 * cuda_sync.c - waiting for the GPU: spinning for as long as short kernels take, then asleep until
 * its interrupt. The context is made with CU_CTX_SCHED_BLOCKING_SYNC, so that whatever is left to
 * wait for after the spinning costs no CPU time; a host that serves many guests has better use for
 * it. Sleeping costs some 20 us more at the end of a wait that is longer than SPIN_NS anyway.
 *
 * Spinning asks the driver whether the work is complete. The call that waits comes last in any
 * case: it reports errors, and hands over what kernels have printed.
 */
#include <sched.h>
#include <time.h>

#include "cuda_int.h"

#define SPIN_NS 200000u

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* On the only CPU nothing else gets on while somebody spins. */
static bool may_spin(void)
{
    static _Atomic int cpus;
    cpu_set_t set;

    if (!cpus)
        cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 2;
    return cpus > 1;
}

/* Until the work is complete or has failed, or SPIN_NS are over. */
#define SPIN(query)                                                                                \
    do {                                                                                           \
        uint64_t end = now_ns() + SPIN_NS;                                                         \
        while ((query) == CUDA_ERROR_NOT_READY && now_ns() < end)                                  \
            __builtin_ia32_pause();                                                                \
    } while (0)

int cudev_wait_stream(struct dev *d, CUstream s)
{
    int err = cudev_enter(d);

    if (err)
        return err;
    if (may_spin())
        SPIN(cu.cuStreamQuery(s));
    err = cudev_rc(d, cu.cuStreamSynchronize(s), "cuStreamSynchronize");
    cudev_busy_end(d);
    return err;
}

int cudev_wait_event(struct dev *d, CUevent e)
{
    int err = cudev_enter(d);

    if (err)
        return err;
    if (may_spin())
        SPIN(cu.cuEventQuery(e));
    err = cudev_rc(d, cu.cuEventSynchronize(e), "cuEventSynchronize");
    cudev_busy_end(d);
    return err;
}

int cudev_wait_all(struct dev *d)
{
    /* Of the thread, as a thread waits for one thing at a time. Never destroyed: threads of a worker
     * stay, or end with it. */
    static __thread CUevent all;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (may_spin() && cu.cuCtxRecordEvent &&
        (all || cu.cuEventCreate(&all, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS) &&
        cu.cuCtxRecordEvent(d->ctx, all) == CUDA_SUCCESS)
        SPIN(cu.cuEventQuery(all));
    err = cudev_rc(d, cu.cuCtxSynchronize(), "cuCtxSynchronize");
    cudev_busy_end(d);
    return err;
}

/* ---- how long the GPU was at work ---------------------------------------------------------- */

/* The time from the first operation that is issued until somebody finds everything complete; work
 * that nobody waits for is counted when the watcher looks. An estimate for gvm top, no more. */
void cudev_busy_begin(struct dev *d)
{
    uint64_t none = 0;

    if (!d->cfg.busy_ns || atomic_load_explicit(&d->busy_since, memory_order_relaxed))
        return;
    atomic_compare_exchange_strong(&d->busy_since, &none, now_ns());
}

static void count(struct dev *d, uint64_t next)
{
    uint64_t since = atomic_exchange(&d->busy_since, next), now = next ? next : now_ns();

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
