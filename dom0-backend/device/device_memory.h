/* SPDX-License-Identifier: MIT */
/*
 * device_memory.h - memory beyond cuMemAlloc: stream-ordered pools, virtual memory management. What
 * processes share: device_share.h.
 */
#ifndef GVM_DEVICE_MEMORY_H
#define GVM_DEVICE_MEMORY_H

#include <stdint.h>

#include "dom0-backend/device/device.h"

struct dev_mempool;
struct dev_memory; /* physical memory */

/* Access flags, CUmemAccess_flags. */
#define DEV_ACCESS_NONE      0u
#define DEV_ACCESS_READ      1u
#define DEV_ACCESS_READWRITE 3u

struct dev_memory_ops {
    /* ---- stream-ordered allocation; all of it counts against the quota ---- */

    /* cuMemPoolCreate: pinned device memory, no export handles; max_size 0: no limit. */
    int (*mempool_create)(struct dev *d, uint64_t max_size, struct dev_mempool **out);
    /* cuMemPoolDestroy: what is allocated from it stays good until it is freed. */
    int (*mempool_destroy)(struct dev *d, struct dev_mempool *p);
    /* cuDeviceGetDefaultMemPool; never destroyed. */
    int (*mempool_default)(struct dev *d, struct dev_mempool **out);
    /* cuMemAllocFromPoolAsync, cuMemFreeAsync (1: not the start of such an allocation). */
    int (*mempool_alloc)(struct dev *d, struct dev_stream *s, struct dev_mempool *p, uint64_t bytes,
                         uint64_t *dptr);
    int (*mempool_free)(struct dev *d, struct dev_stream *s, uint64_t dptr);
    int (*mempool_trim)(struct dev *d, struct dev_mempool *p, uint64_t keep);
    /* CUmemPool_attribute 1..8; flags as 0 or 1. */
    int (*mempool_get)(struct dev *d, struct dev_mempool *p, int attr, uint64_t *value);
    int (*mempool_set)(struct dev *d, struct dev_mempool *p, int attr, uint64_t value);

    /* ---- virtual memory management ---- */

    /* cuMemGetAllocationGranularity for pinned device memory, both kinds. */
    int (*vmm_granularity)(struct dev *d, uint64_t *minimum, uint64_t *recommended);
    /* cuMemAddressReserve, cuMemAddressFree; `fixed`: a wish. */
    int (*vmm_reserve)(struct dev *d, uint64_t size, uint64_t align, uint64_t fixed, uint64_t *ptr);
    int (*vmm_unreserve)(struct dev *d, uint64_t ptr, uint64_t size);
    /* cuMemCreate, cuMemRelease; released memory lives on while it is mapped. */
    int (*vmm_create)(struct dev *d, uint64_t size, struct dev_memory **out);
    int (*vmm_release)(struct dev *d, struct dev_memory *m);
    int (*vmm_map)(struct dev *d, uint64_t ptr, uint64_t size, uint64_t offset,
                   struct dev_memory *m);
    int (*vmm_unmap)(struct dev *d, uint64_t ptr, uint64_t size);
    /* cuMemSetAccess for this device. */
    int (*vmm_access)(struct dev *d, uint64_t ptr, uint64_t size, unsigned flags);
};

#endif
