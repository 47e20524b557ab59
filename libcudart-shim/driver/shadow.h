/* SPDX-License-Identifier: MIT */
/*
 * shadow.h - __managed__ variables: device memory with a copy in this process, at the same address.
 *
 * concurrentManagedAccess is 0: the program may touch such a variable only while the device does
 * nothing. What it has changed therefore goes to the device before work is issued, and what kernels
 * have changed comes back when the program has waited for them.
 */
#ifndef GVM_SHADOW_H
#define GVM_SHADOW_H

#include "core.h"

struct gvm_chan;
struct gvm_sref;

extern uint32_t gvm_shadow_live; /* there are such variables */

/* Makes a variable accessible here. 801: something else of this process is at its address. */
GVM_API int gvm_shadow_add(uint64_t dptr, uint64_t size);
void gvm_shadow_push_all(void);
void gvm_shadow_pull_all(void);
/* At the end of a copy: if the call was synchronous, the program may look at once. */
int gvm_shadow_after(struct gvm_chan *c, const struct gvm_sref *s, int rc, bool sync);
void gvm_shadow_reset(void);

/* Before work is issued. */
static inline void gvm_shadow_push(void)
{
    if (__builtin_expect(__atomic_load_n(&gvm_shadow_live, __ATOMIC_RELAXED) != 0, 0))
        gvm_shadow_push_all();
}

/* After the program has waited. */
static inline void gvm_shadow_pull(void)
{
    if (__builtin_expect(__atomic_load_n(&gvm_shadow_live, __ATOMIC_RELAXED) != 0, 0))
        gvm_shadow_pull_all();
}

#endif
