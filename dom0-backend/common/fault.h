/* SPDX-License-Identifier: MIT */
/*
 * fault.h - named points of the life cycle at which a test stops a process, does something to
 * somebody, and lets it go on (tests/xen/test_faults.py). Only the lab's own build has them
 * (-DGVM_FAULTS, $(BUILD)/faults); in any other build nothing of this exists.
 *
 * A page that broker, workers and the test's own program (tests/xen/gvm_fault.c) share names the
 * point that is armed. Who reaches it first says so in the page and sleeps until told to go on. The
 * page lies at the same address everywhere, so that the sleeper, whose pid in its own namespace is
 * of no use outside, is found by the address that it sleeps on.
 */
#ifndef GVM_FAULT_H
#define GVM_FAULT_H

#include <stdint.h>

#define FAULT_ADDR 0x00005fa170000000ull
#define FAULT_NAME 48

struct fault_page {
    uint32_t armed; /* number of this arming; 0: none */
    uint32_t hit;   /* number of the arming that was hit last */
    uint32_t go;    /* number of the arming that may go on */
    uint32_t domid; /* only what concerns this domain stops; 0: anything */
    char name[FAULT_NAME];
};

#ifdef GVM_FAULTS
/* The broker: maps $GVM_FAULT_FILE, if it is set. */
void fault_open(void);
/* Between clone and exec of a worker: the page's descriptor becomes WK_FD_FAULT and survives. */
void fault_hand_on(void);
/* The worker, before it closes what it has no use for. */
void fault_take_over(void);
/* Stops here if `name` is armed for `domid` (0: not known). */
void fault_point(const char *name, uint32_t domid);
#else
#define fault_open()             ((void)0)
#define fault_hand_on()          ((void)0)
#define fault_take_over()        ((void)0)
#define fault_point(name, domid) ((void)0)
#endif

#endif
