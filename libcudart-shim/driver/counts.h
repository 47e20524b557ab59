/* SPDX-License-Identifier: MIT */
/*
 * counts.h - what this library counts of itself, for measurements. Nothing here is on the way of a
 * call that neither rings, nor waits, nor copies.
 */
#ifndef GVM_COUNTS_H
#define GVM_COUNTS_H

#include <stdint.h>

/* What it copies is counted by pipe.h. */
struct gvm_rings {
    uint64_t doorbells, sleeps, calls;
};
extern struct gvm_rings gvm_counted __attribute__((visibility("hidden")));

#define gvm_count(field, n) __atomic_fetch_add(&gvm_counted.field, (uint64_t)(n), __ATOMIC_RELAXED)

struct gvm_counts {
    uint64_t doorbells; /* rung to the worker */
    uint64_t sleeps;    /* waits that were left to the kernel */
    uint64_t copied;    /* octets moved by this process's threads between program and staging */
    uint64_t calls;     /* answered by the worker */
};

/* The counts so far. Exported, for programs that find it by dlsym(). */
void gvm_counts(struct gvm_counts *out);

#endif
