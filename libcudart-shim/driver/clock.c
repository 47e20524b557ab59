/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <pthread.h>
#include <time.h>

#define LEARN_NS 2000000u /* long enough for a rate that is right to 0.1 % */

uint64_t gvm_tsc_rate, gvm_tsc_base, gvm_tsc_base_ns;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t monotonic(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t gvm_clock_slow(void)
{
    uint64_t ns = monotonic(), tsc = __builtin_ia32_rdtsc();

    /* Whoever comes second does without: it will be known soon enough. */
    if (pthread_mutex_trylock(&lock))
        return ns;
    if (!gvm_tsc_base_ns) {
        gvm_tsc_base_ns = ns;
        gvm_tsc_base = tsc;
    } else if (!gvm_tsc_rate && ns - gvm_tsc_base_ns >= LEARN_NS) {
        if (tsc > gvm_tsc_base)
            __atomic_store_n(&gvm_tsc_rate,
                             (uint64_t)(((unsigned __int128)(ns - gvm_tsc_base_ns) << 32) /
                                        (tsc - gvm_tsc_base)),
                             __ATOMIC_RELEASE);
        else
            gvm_tsc_base_ns = 0; /* it was set back: from the beginning */
    }
    pthread_mutex_unlock(&lock);
    return ns;
}
