/* SPDX-License-Identifier: MIT */
/*
 * tenant.h - the memory that gvm-backd shares with the workers of one guest's device: what all of
 * the guest's processes together may have, and have. A guest never sees it, nor does a worker that
 * serves another guest. Also who may use the GPU now: the gate that workers pass before they issue
 * work (worker/gate.c), which the broker opens and shuts (broker/sched.c).
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

/* The page outlives a broker, and workers one of another version: what is new comes behind what was
 * there, and 0 means that nobody says anything. */
struct tenant_slot {
    _Atomic uint64_t mem; /* octets of device memory that this process holds */
    /* Since when nothing of what is under way has come to an end; 0: nothing is under way. Times are
     * CLOCK_MONOTONIC, nanoseconds. */
    _Atomic uint64_t since;
    _Atomic uint32_t issued; /* operations, counted while the gate is not open */
    _Atomic uint32_t waits;  /* threads that wait at the gate */
    _Atomic uint32_t
        yields; /* value of the gate: so little is left of this lease that it is no use */
    _Atomic uint32_t bell; /* futex, counts: look at the gate again; broker and worker */
    _Atomic uint64_t due;  /* when what is under way is likely to be complete; 0: not known */
} __attribute__((aligned(64)));

/* Lower bits of the gate; the rest counts its changes. */
enum {
    TENANT_OPEN,  /* nobody else uses the GPU: no questions asked */
    TENANT_SHUT,  /* wait */
    TENANT_NEXT,  /* wait, it will not be long */
    TENANT_LEASE, /* issue until `until` */
    TENANT_GATE_MASK = 3
};

struct tenant_page {
    /* The broker's. */
    _Atomic uint64_t mem_limit;   /* octets for all processes together; 0: no limit */
    _Atomic uint32_t mem_blocked; /* the driver knows of more than is counted: nothing is given */
    _Atomic uint32_t nslot;       /* slots from here on have never been used */
    _Atomic uint64_t mem_twice;   /* octets that are in several slots, and there is only once */
    _Atomic uint64_t reserved;    /* octets of the GPU that suspended workers come back to */
    _Atomic uint32_t gate __attribute__((aligned(64))); /* futex */
    _Atomic uint32_t tell;  /* who becomes idle writes to the broker's eventfd */
    _Atomic uint64_t until; /* nothing is issued any more at this time; UINT64_MAX: no end */
    _Atomic uint64_t beat;  /* when the broker last looked */
    _Atomic uint32_t turn;  /* 1 + the slot whose process has the lease; 0: all of them */
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
