/* SPDX-License-Identifier: MIT */
/*
 * arena.h - memory of the software device.
 *
 * One window of address space, a power of two long and aligned to its length, holds everything a
 * kernel can reach: device memory in its lower part, the worker's pool window at its top. What is
 * not allocated is PROT_NONE, so that a stray access faults. A device address equals the address
 * in this process.
 *
 * All bookkeeping lies outside the window, where kernels cannot write. Functions may be called
 * from any thread. Results are CUresult values.
 */
#ifndef GVM_PTX_ARENA_H
#define GVM_PTX_ARENA_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_SLOT_SHIFT 21 /* address space is handed out in units of 2 MiB */
#define ARENA_SLOT       (1ull << ARENA_SLOT_SHIFT)
#define ARENA_PAGE       4096ull
#define ARENA_NBIN       64
#define ARENA_NCLASS     12 /* 16, 32, ... 32768 bytes */

enum arena_kind {
    ARENA_USER,
    ARENA_MODULE,
    ARENA_HEAP,
    ARENA_POOL,
    ARENA_MAPPED,
    ARENA_IMPORTED, /* another process's */
    ARENA_KEPT,     /* placed for something that will be made, see arena_place() */
};

struct region;
struct dev_quota;

struct arena_pool {
    uint64_t addr;
    uint64_t len;
};

struct arena {
    uint64_t base; /* window: [base, base + mask] */
    uint64_t mask;
    uint64_t size;                 /* device memory: [base, base + size) */
    uint64_t limit;                /* of mapped pages, bytes */
    uint64_t used;                 /* mapped now */
    const struct dev_quota *quota; /* of all processes of the guest; NULL: none */
    void *quota_arg;
    uint32_t nslot;
    struct region **slot;                 /* by (addr - base) >> ARENA_SLOT_SHIFT */
    struct region *bin[ARENA_NBIN];       /* free extents, by length in slots */
    struct region *partial[ARENA_NCLASS]; /* slabs with room */
    struct arena_pool *pool;              /* sorted by address, no overlaps */
    unsigned npool, cap_pool;
    const uint64_t *claim; /* not NULL: where the next allocations for modules are */
    uint32_t nclaim, claimed;
    pthread_mutex_t lock;
    /* Held for reading while host code touches device memory, for writing while pages go away. */
    pthread_rwlock_t pin;
};

/* Reserves a window, PROT_NONE. attempt 0..15 selects the place. Tries 2^40 bytes first and then
 * smaller powers of two, down to min_size. 0, or 2 when the place is taken. */
int arena_window(unsigned attempt, uint64_t min_size, uint64_t *base, uint64_t *size);
void arena_window_free(uint64_t base, uint64_t size);

/* window: from arena_window(); size: bytes of it for device memory, multiple of ARENA_SLOT;
 * limit: quota in bytes. 0 or 2 (OUT_OF_MEMORY). */
int arena_create(struct arena *a, uint64_t base, uint64_t window_size, uint64_t size,
                 uint64_t limit);
/* Unmaps all device memory (the window stays reserved). */
void arena_destroy(struct arena *a);

/* Zero-filled unless a small block is reused; aligned to 256 bytes (heap: 16), blocks above 32 KiB
 * to 2 MiB with unmapped pages behind. 1 for 0 bytes, 2 beyond quota or address space. */
int arena_alloc(struct arena *a, uint64_t bytes, enum arena_kind kind, uint64_t *addr);
/* The same at a given address, as it was in another process's window. Blocks of ARENA_KEPT are then
 * taken, in the order of arena.claim, by allocations of ARENA_MODULE. 1: not free, or it cannot have
 * been there. */
int arena_place(struct arena *a, uint64_t addr, uint64_t bytes, enum arena_kind kind);
/* addr must be the start of a live allocation of this kind, else 1. *bytes (may be NULL) is the
 * size that had been asked for. */
int arena_free(struct arena *a, uint64_t addr, enum arena_kind kind, uint64_t *bytes);
/* The live allocation that holds addr; false when there is none. */
bool arena_find(struct arena *a, uint64_t addr, uint64_t *base, uint64_t *size,
                enum arena_kind *kind);
/* True if [addr, addr + n) lies in one live allocation, or in pool memory. */
bool arena_valid(struct arena *a, uint64_t addr, uint64_t n);
void arena_usage(struct arena *a, uint64_t *used, uint64_t *limit);

/* ---- addresses apart from memory; sizes, offsets and alignments in multiples of ARENA_SLOT ---- */

struct arena_memory;

/* Addresses without memory. 1, or 2 when there are none. */
int arena_reserve(struct arena *a, uint64_t size, uint64_t align, uint64_t *addr);
/* 1 unless addr and size are those of a whole reservation in which nothing is mapped. */
int arena_unreserve(struct arena *a, uint64_t addr, uint64_t size);
/* Memory without address; counts against the quota until it is neither held nor mapped. */
int arena_memory_create(struct arena *a, uint64_t size, struct arena_memory **out);
void arena_memory_release(struct arena *a, struct arena_memory *m);
/* Puts [offset, offset + size) of the memory at addr, with no access yet. */
int arena_map(struct arena *a, uint64_t addr, uint64_t size, uint64_t offset,
              struct arena_memory *m);
/* Both act on one or more whole mappings that touch. access: 0, 1 (read) or 3. */
int arena_unmap(struct arena *a, uint64_t addr, uint64_t size);
int arena_access(struct arena *a, uint64_t addr, uint64_t size, unsigned access);

/* ---- memory shared with other processes: arena_share.c ---- */

/* Something sealed against shrinking, of at least len octets. */
bool arena_fd_good(int fd, uint64_t len);
/* A second descriptor, or -1. */
int arena_fd_copy(int fd);

/* What another process needs to have an allocation too. */
struct arena_part {
    int fd;       /* the caller's to close */
    uint64_t len; /* of what is behind it */
    uint64_t offset, size;
};
/* Puts what holds the live allocation at addr into memory that `segment` gives (see dev_config),
 * unless it is there already. Nothing may touch device memory meanwhile, but for who pins it. 1: no
 * allocation of this kind starts there; 2. */
int arena_export(struct arena *a, uint64_t addr, enum arena_kind kind,
                 int (*segment)(void *arg, uint64_t bytes), void *arg, struct arena_part *out);
/* Maps p->len octets of another process; freed as ARENA_IMPORTED. p->fd stays the caller's. */
int arena_import(struct arena *a, const struct arena_part *p, uint64_t *addr);
/* Physical memory that is such a segment; takes fd. */
int arena_memory_adopt(struct arena *a, int fd, uint64_t size, struct arena_memory **out);
/* A second descriptor of it; -1: it is none. */
int arena_memory_fd(struct arena *a, struct arena_memory *m, uint64_t *size);

int arena_pool_add(struct arena *a, uint64_t addr, uint64_t len);
/* Returns when no host copy touches the range any more. */
void arena_pool_drop(struct arena *a, uint64_t addr, uint64_t len);

/* Host code may touch [addr, addr + n) between pin and unpin; false if it is not all live. */
bool arena_pin(struct arena *a, uint64_t addr, uint64_t n);
void arena_unpin(struct arena *a);

#endif
