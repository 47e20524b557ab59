/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the time that durations are measured with.
 */
#ifndef GVM_COMMON_CLOCK_H
#define GVM_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in nanoseconds; it cannot fail. */
static inline uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The same in milliseconds, for sums with time-outs. */
static inline int64_t now_ms(void)
{
    return (int64_t)(now_ns() / 1000000);
}

#endif
