/* SPDX-License-Identifier: MIT */
/*
 * lock.h - a three-state futex mutex for the ring: one exchange to take, one to release, a system
 * call only under contention. Held for the writing of one record, so a short spin mostly wins.
 */
#ifndef GVM_LOCK_H
#define GVM_LOCK_H

#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct gvm_lock {
    uint32_t v; /* 0 free, 1 held, 2 held and somebody sleeps */
};

static inline void gvm_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static inline long gvm_futex(uint32_t *w, int op, uint32_t val, const struct timespec *timeout)
{
    return syscall(SYS_futex, w, op | FUTEX_PRIVATE_FLAG, val, timeout, NULL, 0);
}

void gvm_lock_slow(struct gvm_lock *l) __attribute__((cold));
void gvm_unlock_slow(struct gvm_lock *l) __attribute__((cold));

static inline void gvm_lock(struct gvm_lock *l)
{
    uint32_t free = 0;

    if (!__atomic_compare_exchange_n(&l->v, &free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        gvm_lock_slow(l);
}

static inline bool gvm_trylock(struct gvm_lock *l)
{
    uint32_t free = 0;

    return __atomic_compare_exchange_n(&l->v, &free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void gvm_unlock(struct gvm_lock *l)
{
    if (__builtin_expect(__atomic_exchange_n(&l->v, 0, __ATOMIC_RELEASE) == 2, 0))
        gvm_unlock_slow(l);
}

#endif
