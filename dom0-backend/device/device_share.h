/* SPDX-License-Identifier: MIT */
/*
 * device_share.h - device memory of one process in another one of the same guest. Each has a worker
 * and a device of its own; the broker carries what one exports to the other that imports it.
 *
 * What is imported lives on whatever the exporter does, its end included. An import takes from the
 * quota as an allocation does; what a guest's processes then count more than once, the broker knows
 * (broker/holds.h).
 */
#ifndef GVM_DEVICE_SHARE_H
#define GVM_DEVICE_SHARE_H

#include <stdint.h>

#include "dom0-backend/device/device.h"

struct dev_mempool;
struct dev_memory;

struct dev_share {
    int fd;           /* -1: none. The caller's, before and after */
    uint64_t charge;  /* set by an export: octets of the quota that an import of it takes */
    uint64_t meta[8]; /* the exporting device's words to the importing one, which checks them: the
                         other worker may be in a guest's hand */
};

struct dev_share_ops {
    /* ---- cuMemAlloc's memory. 1: the address is in no such allocation */
    int (*mem_export)(struct dev *d, uint64_t dptr, struct dev_share *out);
    int (*mem_import)(struct dev *d, const struct dev_share *s, uint64_t *dptr, uint64_t *size);
    /* As cuMemFree: what may use the memory completes first. */
    int (*mem_close)(struct dev *d, uint64_t dptr);

    /* ---- physical memory: struct dev_memory, as vmm_create() makes; 1 for a size as there */
    int (*memory_create)(struct dev *d, uint64_t size, struct dev_memory **out);
    /* 1: not made by memory_create(). */
    int (*memory_export)(struct dev *d, struct dev_memory *m, struct dev_share *out);
    int (*memory_import)(struct dev *d, const struct dev_share *s, struct dev_memory **out,
                         uint64_t *size);

    /* ---- pools: as mempool_create() makes. An imported one allocates nothing; memory imported
     * through it is freed as other memory of pools, by mempool_free(). */
    int (*pool_create)(struct dev *d, uint64_t max_size, struct dev_mempool **out);
    int (*pool_export)(struct dev *d, struct dev_mempool *p, struct dev_share *out);
    int (*pool_import)(struct dev *d, const struct dev_share *s, struct dev_mempool **out);
    /* dptr: the start of an allocation from an exportable pool, else 1. */
    int (*ptr_export)(struct dev *d, uint64_t dptr, struct dev_share *out);
    int (*ptr_import)(struct dev *d, struct dev_mempool *p, const struct dev_share *s,
                      uint64_t *dptr, uint64_t *size);
};

#endif
