/* SPDX-License-Identifier: MIT */
/*
 * tenant.h - the memory that gvm-backd shares with the workers of one guest's device: what all of
 * the guest's processes together may have, and have. A guest never sees it, nor does a worker that
 * serves another guest.
 *
 * Each worker has a slot of its own and writes nothing else but what is said to be everybody's. The
 * broker clears the slot of a worker that has ended, whatever it was doing: therefore the sum over
 * the slots is what is in use, and there is no total that could come to differ from it.
 */
#ifndef GVM_TENANT_H
#define GVM_TENANT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TENANT_SLOTS 256u /* VGPU_MAX_CHANNELS: one for each process */

struct tenant_slot {
    _Atomic uint64_t mem; /* octets of device memory that this process holds */
} __attribute__((aligned(64)));

struct tenant_page {
    /* The broker's. */
    _Atomic uint64_t mem_limit;   /* octets for all processes together; 0: no limit */
    _Atomic uint32_t mem_blocked; /* the driver knows of more than is counted: nothing is given */
    _Atomic uint32_t nslot;       /* slots from here on have never been used */
    struct tenant_slot slot[TENANT_SLOTS];
};

/* Octets in use by all processes. */
uint64_t tenant_used(const struct tenant_page *p);
/* Octets that can still be had; UINT64_MAX: there is no limit. */
uint64_t tenant_left(const struct tenant_page *p);
/* Takes octets for the process in `slot`. False: they are not to be had, nothing is taken. Of several
 * that ask at the same time for the last octets one may go away empty-handed although it would have
 * fitted; never is more given than there is. */
bool tenant_take(struct tenant_page *p, unsigned slot, uint64_t bytes);
void tenant_give(struct tenant_page *p, unsigned slot, uint64_t bytes);

#endif
