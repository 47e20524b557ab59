/* SPDX-License-Identifier: MIT */
/*
 * mempool.h - stream-ordered allocation.
 */
#ifndef GVM_MEMPOOL_H
#define GVM_MEMPOOL_H

#include "core.h"

/* Pools are handles, as the program holds them. 1: there is no such pool. */
GVM_API int gvm_mempool_create(uint64_t max_size, uint64_t *pool);
GVM_API int gvm_mempool_destroy(uint64_t pool);
GVM_API int gvm_mempool_default(uint64_t *pool);
/* The pool that allocations without one come from. */
GVM_API int gvm_mempool_current(uint64_t *pool);
GVM_API int gvm_mempool_set_current(uint64_t pool);
GVM_API int gvm_mempool_check(uint64_t pool);
GVM_API int gvm_mempool_trim(uint64_t pool, uint64_t keep);
/* CUmemPool_attribute; the reuse flags are 0 or 1. */
GVM_API int gvm_mempool_get(uint64_t pool, int attr, uint64_t *value);
GVM_API int gvm_mempool_set(uint64_t pool, int attr, uint64_t value);

/* pool 0: the current one. */
GVM_API int gvm_mempool_alloc(uint64_t pool, uint64_t bytes, uint64_t stream, uint64_t *dptr);
/* Frees memory of a pool, or of cuMemAlloc, when `stream` has passed this point. */
GVM_API int gvm_mempool_free(uint64_t dptr, uint64_t stream);

/* The connection has been made or is about to end: forget all pools. */
void gvm_mempool_reset(void);

#endif
