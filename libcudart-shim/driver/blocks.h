/* SPDX-License-Identifier: MIT */
/*
 * blocks.h - device memory that the program has freed and that is kept for its next allocation of
 * the same size, so that programs which allocate and free in turns send nothing.
 *
 * cuMemFree waits for all work before the memory goes; so does gvm_blocks_put(), unless nothing has
 * been issued since the context was last found idle. What is in here is therefore free in every
 * sense, but for the backend still counting it: whoever asks how much memory there is, or is about
 * to be refused some, calls gvm_blocks_give_back() first. Only blocks of up to GVM_BLOCK_MAX octets
 * and GVM_BLOCKS_BYTES in all are kept, as other processes do without them meanwhile.
 *
 * Memory of a pool, freed in the order of a stream, is kept for the next allocation from that pool on
 * that stream. A pool gives unused memory back when somebody synchronises, so whoever does calls
 * gvm_blocks_flush() first, as does whoever asks or changes anything about pools.
 */
#ifndef GVM_BLOCKS_H
#define GVM_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

struct gvm_chan;

#define GVM_BLOCK_MAX    (8u << 20)
#define GVM_BLOCKS_BYTES (32u << 20)
#define GVM_BLOCKS_N     64u

/* A kept block of exactly `bytes` octets; 0: none. */
uint64_t gvm_blocks_take(uint64_t bytes);

/* Frees `base`, from MemAlloc with that size and no longer known to the program, as cuMemFree does.
 * 0 or an error of the context. */
int gvm_blocks_put(struct gvm_chan *c, uint64_t base, uint64_t bytes);

/* A kept block of `pool`, for work on `stream`; 0: none. */
uint64_t gvm_blocks_take_async(uint64_t pool, uint32_t stream, uint64_t bytes);

/* Frees `base`, from MemPoolAlloc with that size, in the order of `stream`, an id other than the
 * per-thread one's. 0 or an error. */
int gvm_blocks_put_async(struct gvm_chan *c, uint64_t pool, uint32_t stream, uint64_t base,
                         uint64_t bytes);

/* Frees the blocks of pools that are kept. Posted: before what the caller sends next. */
void gvm_blocks_flush(struct gvm_chan *c);

/* Gives all that is kept back to the worker. True if there was any. */
bool gvm_blocks_give_back(struct gvm_chan *c);

/* The same for who cannot do without: what is freed in the order of streams is waited for. */
bool gvm_blocks_make_room(struct gvm_chan *c);

/* Forgets what is kept; it went with its connection. */
void gvm_blocks_reset(void);

/* rc = call; once more when memory that was merely kept here may have been what it lacked. */
#define GVM_MAKE_ROOM(rc, c, call)                                                                 \
    do {                                                                                           \
        (rc) = (call);                                                                             \
    } while ((rc) == 2 && gvm_blocks_make_room(c))

#endif
