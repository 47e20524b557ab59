/* SPDX-License-Identifier: MIT */
/*
 * mempool.h - stream-ordered allocation.
 */
#ifndef GVM_MEMPOOL_H
#define GVM_MEMPOOL_H

#include "core.h"

/* Pools are handles, as the program holds them. 1: there is no such pool. */
/* types: CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR or 0. */
GVM_API int gvm_mempool_create(uint64_t max_size, uint32_t types, uint64_t *pool);
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

/* 1: not made for it. */
GVM_API int gvm_mempool_export(uint64_t pool, int *fd);
GVM_API int gvm_mempool_import(int fd, uint64_t *pool);
/* data: CUmemPoolPtrExportData, 64 octets. */
GVM_API int gvm_mempool_export_ptr(uint64_t dptr, void *data);
GVM_API int gvm_mempool_import_ptr(uint64_t pool, const void *data, uint64_t *dptr);
/* Memory of a pool has been taken out of the map, to be freed. */
void gvm_mempool_freed(const struct gvm_range *g);
/* CUmemAllocationHandleType; 0 if there is no such pool. */
uint32_t gvm_mempool_types(uint64_t pool);

/* The connection has been made or is about to end: forget all pools. */
void gvm_mempool_reset(void);

#endif
