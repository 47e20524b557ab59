/* SPDX-License-Identifier: MIT */
/*
 * arena_int.h - what the files of the arena share.
 */
#ifndef GVM_PTX_ARENA_INT_H
#define GVM_PTX_ARENA_INT_H

#include "dom0-backend/device/ptx/arena.h"

#define CUDA_INVALID_VALUE 1
#define CUDA_OUT_OF_MEMORY 2

/* Memory at reserved addresses. */
struct mapping {
    struct mapping *next;
    uint64_t addr, size;
    uint64_t offset; /* in mem */
    struct arena_memory *mem;
    unsigned access; /* 0, 1 (read) or 3 */
};

/* A run of slots: free, one large allocation, a slab of equal blocks, or reserved addresses. */
enum use { FREE, LARGE, SLAB, RANGE };

struct region {
    enum use use;
    uint32_t slot, nslot;
    uint64_t addr;
    uint64_t mapped;      /* bytes accessible from addr on */
    uint64_t size;        /* LARGE: as asked for */
    enum arena_kind kind; /* LARGE */
    unsigned cls;         /* SLAB: log2 of the block size - CLASS_MIN */
    uint32_t nblock, used, hint;
    uint32_t *block;      /* SLAB: size | kind << KIND_SHIFT, 0 = free */
    int fd;               /* LARGE, SLAB: of the memory that is shared; -1: it is not */
    struct mapping *maps; /* RANGE: by address */
    bool listed;          /* in bin[] or partial[] */
    struct region *prev, *next;
};

/* Memory without an address. */
struct arena_memory {
    uint8_t *at;
    uint64_t size;
    int fd;        /* -1: no other process can have it */
    unsigned refs; /* the holder's, and one of each mapping; under arena.lock */
};

/* All with the lock held. */
/* Counts pages that are about to be mapped; false: beyond the limit or the guest's quota. */
bool arena_take_bytes(struct arena *a, uint64_t bytes);
void arena_give_bytes(struct arena *a, uint64_t bytes);
/* The region and, in a slab, the block that hold addr, live. */
struct region *arena_locate(struct arena *a, uint64_t addr, uint32_t *block, uint64_t *base,
                            uint64_t *size, enum arena_kind *kind);
struct region *arena_take_slots(struct arena *a, uint32_t n);
struct region *arena_take_slots_at(struct arena *a, uint32_t slot, uint32_t n);
void arena_give_slots(struct arena *a, struct region *r);
/* Makes pages inaccessible and gives their memory back. */
void arena_unmap_pages(uint64_t addr, uint64_t len);
/* Calls fn for everything that is not free, by address. */
void arena_walk(struct arena *a, void (*fn)(void *arg, const struct region *r), void *arg);
/* The i-th block of a slab; false: it is free. */
bool arena_block(const struct region *r, uint32_t i, uint64_t *addr, uint64_t *size,
                 enum arena_kind *kind);
/* Takes everything out of reserved addresses. */
void arena_range_clear(struct region *r);

#endif
