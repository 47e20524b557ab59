/* SPDX-License-Identifier: MIT */
/*
 * ranges.h - what this process has allocated: device memory, pinned memory, module variables.
 * Answers which allocation holds an address, so that copies can be checked and classified locally.
 * Thread-safe.
 */
#ifndef GVM_RANGES_H
#define GVM_RANGES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gvm_kind {
    GVM_HOST = 0, /* not ours: ordinary host memory */
    GVM_DEVICE,   /* cuMemAlloc */
    GVM_GLOBAL,   /* a module variable: device memory that cannot be freed */
    GVM_PINNED,   /* cuMemHostAlloc: pool memory */
    GVM_MANAGED,  /* cuMemAllocManaged: pool memory */
};

/* Kinds of device memory. */
enum gvm_sub {
    GVM_SUB_PLAIN = 0,
    GVM_SUB_POOL,   /* stream-ordered: pool tells which */
    GVM_SUB_MAPPED, /* a mapping of physical memory */
    GVM_SUB_IPC,    /* of another process */
    GVM_SUB_SHADOW, /* a __managed__ variable */
};

struct gvm_range {
    uint64_t base;
    uint64_t size;
    enum gvm_kind kind;
    uint32_t flags; /* CU_MEMHOSTALLOC_*, CU_MEM_ATTACH_* */
    uint64_t id;    /* unique over the life of the process: CU_POINTER_ATTRIBUTE_BUFFER_ID */
    void *owner;    /* context or module that it goes with */
    enum gvm_sub sub;
    uint64_t pool;  /* handle of the pool or of the physical memory */
    uint32_t marks; /* GVM_MARK_*; of a mapping: CUmemAccess_flags */
};

struct gvm_ranges {
    pthread_rwlock_t lock;
    struct gvm_range *v; /* by base, disjoint */
    size_t n, cap;
    uint64_t next_id;
};

#define GVM_MARK_SYNC_MEMOPS 1u /* CU_POINTER_ATTRIBUTE_SYNC_MEMOPS */
#define GVM_MARK_READ_MOSTLY 2u /* hints for managed memory */
#define GVM_MARK_PREFER_HOST 4u
#define GVM_MARK_PREFER_DEV  8u
#define GVM_MARK_USED_HOST   16u
#define GVM_MARK_USED_DEV    32u
#define GVM_MARK_AT_HOST     64u /* last prefetch */
#define GVM_MARK_AT_DEV      128u
#define GVM_MARK_SHARED      256u /* other processes may have it: goes when it is freed */

#define GVM_RANGES_INIT                                                                            \
    {                                                                                              \
        .lock = PTHREAD_RWLOCK_INITIALIZER, .next_id = 1                                           \
    }

/* Adds a range (its id is chosen here). 0, -ENOMEM, or -EEXIST when it overlaps another. */
int gvm_ranges_add(struct gvm_ranges *r, const struct gvm_range *g);

/* Removes the range that starts exactly at `base` if its kind is one of `kinds` (1 << kind);
 * what it was goes to *out. False if there is none. */
bool gvm_ranges_remove(struct gvm_ranges *r, uint64_t base, unsigned kinds, struct gvm_range *out);

/* The range that holds `addr`. False: none. */
bool gvm_ranges_find(struct gvm_ranges *r, uint64_t addr, struct gvm_range *out);

/* Sets and clears marks of the range that holds `addr`. False: none does. */
bool gvm_ranges_mark(struct gvm_ranges *r, uint64_t addr, uint32_t set, uint32_t clear);

/* Removes some range of `owner`, for tearing it down one by one. */
bool gvm_ranges_take_owned(struct gvm_ranges *r, const void *owner, struct gvm_range *out);

/* Forgets all. */
void gvm_ranges_clear(struct gvm_ranges *r);

#endif
