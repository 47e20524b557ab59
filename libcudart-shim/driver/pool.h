/* SPDX-License-Identifier: MIT */
/*
 * pool.h - memory shared with the worker: chunks added on demand, blocks allocated from them.
 * Pinned allocations are such blocks; so are the staging buffers of copies (stage.h).
 */
#ifndef GVM_POOL_H
#define GVM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gvm_chan;

/* A block, or part of one, as calls name it. */
struct gvm_pool_ref {
    uint32_t chunk;
    uint64_t off;
    uint64_t len; /* what of it lies in this chunk; more may follow in the next */
};

/*
 * Starts the pool of a new channel. `window` != 0: chunks are mapped at the worker's own addresses
 * inside the reserved window [window, window + size). 0: mapped anywhere (copied mode).
 */
void gvm_pool_start(struct gvm_chan *c, uint64_t window, uint64_t size);

/* Forgets all chunks and unmaps them; every block is invalid afterwards. */
void gvm_pool_stop(void);

/* A block of `len` octets aligned to 512 (>= 4096 octets: to a page), not zeroed when reused.
 * NULL: no memory, or the channel's chunks are used up. */
void *gvm_pool_alloc(size_t len);
void gvm_pool_free(void *p, size_t len);

/* Maps the pages of a block now, in one call: a program that writes to all of it would take a fault
 * for each. */
void gvm_pool_populate(void *p, size_t len);

/* Where `p` is. False: not in the pool. */
bool gvm_pool_find(const void *p, size_t len, struct gvm_pool_ref *ref);

/* True if the worker and its device see pool memory at the address that it has here. */
bool gvm_pool_same_address(void);

#endif
