/* SPDX-License-Identifier: MIT */
/* cuda_memory.h - pools and virtual memory management: cuda_pool.c, cuda_vmm.c. */
#ifndef GVM_CUDA_MEMORY_H
#define GVM_CUDA_MEMORY_H

#include "dom0-backend/device/device_memory.h"
#include "dom0-backend/device/device_share.h"

extern const struct dev_memory_ops dev_cuda_memory_ops;
extern const struct dev_share_ops cudev_share_ops;

/* cuda_vmm.c: physical memory that the driver has given; takes h, released on failure. */
int cudev_memory_of(struct dev *d, CUmemGenericAllocationHandle h, uint64_t size,
                    struct dev_memory **out);
CUmemGenericAllocationHandle cudev_memory_handle(const struct dev_memory *m, uint64_t *size);
int cudev_memory_create_shared(struct dev *d, uint64_t size, struct dev_memory **out);
/* cuda_pool.c: likewise a pool. */
int cudev_pool_of(struct dev *d, CUmemoryPool p, struct dev_mempool **out);
CUmemoryPool cudev_pool(const struct dev_mempool *p);
/* cuda_mem.c: calls fn with the physical memory of the allocation that starts at dptr, which stays
 * meanwhile; part: its length, and the allocation's offset and size in it. 1: there is none. */
int cudev_mem_part(struct dev *d, uint64_t dptr, uint64_t part[3],
                   int (*fn)(struct dev *d, CUmemGenericAllocationHandle h, struct dev_share *out),
                   struct dev_share *out);

/* Brings the charge of all pools to what they have reserved. */
void cudev_pools_settle(struct dev *d);

int cudev_mempool_create(struct dev *d, uint64_t max_size, struct dev_mempool **out);
int cudev_mempool_destroy(struct dev *d, struct dev_mempool *p);
int cudev_mempool_default(struct dev *d, struct dev_mempool **out);
int cudev_mempool_alloc(struct dev *d, struct dev_stream *s, struct dev_mempool *p, uint64_t bytes,
                        uint64_t *dptr);
int cudev_mempool_free(struct dev *d, struct dev_stream *s, uint64_t dptr);
int cudev_mempool_trim(struct dev *d, struct dev_mempool *p, uint64_t keep);
int cudev_mempool_get(struct dev *d, struct dev_mempool *p, int attr, uint64_t *value);
int cudev_mempool_set(struct dev *d, struct dev_mempool *p, int attr, uint64_t value);

/* cuda_mem.c: addresses of the window for somebody else's mappings. align: 0 or a power of two. */
int cudev_addr_take(struct dev *d, uint64_t size, uint64_t align, uint64_t *base);
/* 1 unless exactly that was taken. */
int cudev_addr_give(struct dev *d, uint64_t base, uint64_t size);
bool cudev_addr_holds(struct dev *d, uint64_t addr, uint64_t size);

#endif
