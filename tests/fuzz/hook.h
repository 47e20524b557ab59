/* SPDX-License-Identifier: MIT */
/*
 * hook.h - included before everything else in fuzzed code: before each read of memory that a guest
 * can write, the fuzz target may change that memory, as a guest on another CPU would.
 */
#ifndef FUZZ_HOOK_H
#define FUZZ_HOOK_H

/* NULL: nothing happens. */
extern void (*fuzz_hook)(void);

static inline void fuzz_hook_run(void)
{
    if (fuzz_hook)
        fuzz_hook();
}

/* ring.h */
#define VGPU_RING_HOOK() fuzz_hook_run()
/* Xen's ring, which has no hook of its own (dom0-backend/broker/ctlring.c); a macro does not
 * expand within itself. */
#define __atomic_load_n(p, order) (fuzz_hook_run(), __atomic_load_n((p), (order)))

#endif
