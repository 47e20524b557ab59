/* SPDX-License-Identifier: MIT */
/*
 * clock.h - how long something has been polled for, without a system call: CLOCK_MONOTONIC is one
 * where the kernel's clock has no part in user space, as in many Xen guests.
 */
#ifndef GVM_CLOCK_H
#define GVM_CLOCK_H

#include <stdint.h>

/* Nanoseconds for each 2^32 ticks of the TSC; 0: not known yet. */
extern uint64_t gvm_tsc_rate __attribute__((visibility("hidden")));
extern uint64_t gvm_tsc_base __attribute__((visibility("hidden")));
extern uint64_t gvm_tsc_base_ns __attribute__((visibility("hidden")));

/* CLOCK_MONOTONIC, for which the first calls learn the rate of the TSC. */
uint64_t gvm_clock_slow(void);

/*
 * CLOCK_MONOTONIC, about. A guest that was moved to another host may see it jump, either way: only
 * differences count, and one that is too large must do no more than end a poll.
 */
static inline uint64_t gvm_clock(void)
{
    uint64_t rate = __atomic_load_n(&gvm_tsc_rate, __ATOMIC_ACQUIRE);

    if (__builtin_expect(!rate, 0))
        return gvm_clock_slow();
    return gvm_tsc_base_ns +
           (uint64_t)(((unsigned __int128)(__builtin_ia32_rdtsc() - gvm_tsc_base) * rate) >> 32);
}

#endif
