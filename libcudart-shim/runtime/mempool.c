/* SPDX-License-Identifier: MIT */
/*
 * mempool.c - stream-ordered allocation. Types and numbers are those of the driver API.
 */
#include "../driver/mempool.h"
#include "rt.h"

_Static_assert(sizeof(struct cudaMemPoolProps) == sizeof(CUmemPoolProps), "pool properties");
_Static_assert(sizeof(struct cudaMemAccessDesc) == sizeof(CUmemAccessDesc), "access descriptors");

static uint64_t handle(cudaMemPool_t p)
{
    return (uintptr_t)p;
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const struct cudaMemPoolProps *props)
{
    int err = gvm_init();

    return rt_done(err ? err : (int)cuMemPoolCreate(pool, (const CUmemPoolProps *)props));
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool)
{
    return rt_done(gvm_mempool_destroy(handle(pool)));
}

static cudaError_t give(cudaMemPool_t *pool, int err, int (*get)(uint64_t *pool))
{
    uint64_t h = 0;

    if (err == 0)
        err = pool ? get(&h) : 1;
    if (err == 0)
        *pool = (cudaMemPool_t)(uintptr_t)h;
    return rt_done(err);
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int dev)
{
    return give(pool, dev == 0 ? 0 : cudaErrorInvalidDevice, gvm_mempool_default);
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t *pool, int dev)
{
    return give(pool, dev == 0 ? 0 : cudaErrorInvalidDevice, gvm_mempool_current);
}

cudaError_t cudaDeviceSetMemPool(int dev, cudaMemPool_t pool)
{
    return rt_done(dev == 0 ? gvm_mempool_set_current(handle(pool)) : cudaErrorInvalidDevice);
}

static int place(const struct cudaMemLocation *l, enum cudaMemAllocationType type)
{
    if (!l || l->type != cudaMemLocationTypeDevice || type != cudaMemAllocationTypePinned)
        return 1;
    return l->id == 0 ? 0 : cudaErrorInvalidDevice;
}

cudaError_t cudaMemGetDefaultMemPool(cudaMemPool_t *pool, struct cudaMemLocation *l,
                                     enum cudaMemAllocationType type)
{
    return give(pool, place(l, type), gvm_mempool_default);
}

cudaError_t cudaMemGetMemPool(cudaMemPool_t *pool, struct cudaMemLocation *l,
                              enum cudaMemAllocationType type)
{
    return give(pool, place(l, type), gvm_mempool_current);
}

cudaError_t cudaMemSetMemPool(struct cudaMemLocation *l, enum cudaMemAllocationType type,
                              cudaMemPool_t pool)
{
    int err = place(l, type);

    return rt_done(err ? err : gvm_mempool_set_current(handle(pool)));
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t keep)
{
    return rt_done(gvm_mempool_trim(handle(pool), keep));
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr a, void *value)
{
    int err = gvm_init();

    return rt_done(
        err ? err : (int)cuMemPoolGetAttribute((CUmemoryPool)pool, (CUmemPool_attribute)a, value));
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr a, void *value)
{
    int err = gvm_init();

    return rt_done(
        err ? err : (int)cuMemPoolSetAttribute((CUmemoryPool)pool, (CUmemPool_attribute)a, value));
}

cudaError_t cudaMemPoolGetAccess(enum cudaMemAccessFlags *flags, cudaMemPool_t pool,
                                 struct cudaMemLocation *l)
{
    int err = gvm_init();

    return rt_done(err ? err
                       : (int)cuMemPoolGetAccess((CUmemAccess_flags *)flags, (CUmemoryPool)pool,
                                                 (CUmemLocation *)l));
}

cudaError_t cudaMemPoolSetAccess(cudaMemPool_t pool, const struct cudaMemAccessDesc *map, size_t n)
{
    int err = gvm_init();

    return rt_done(
        err ? err : (int)cuMemPoolSetAccess((CUmemoryPool)pool, (const CUmemAccessDesc *)map, n));
}

cudaError_t cudaMemPoolExportToShareableHandle(void *out, cudaMemPool_t pool,
                                               enum cudaMemAllocationHandleType t, unsigned flags)
{
    int err = gvm_mempool_check(handle(pool));

    return rt_done(err ? err : 1); /* no pool can be exported */
}

cudaError_t cudaMemPoolExportPointer(struct cudaMemPoolPtrExportData *data, void *p)
{
    int err = gvm_init();

    return rt_done(err ? err : 1);
}

/* ---- memory ------------------------------------------------------------------------------ */

static cudaError_t alloc(void **p, size_t n, uint64_t pool, cudaStream_t s)
{
    uint64_t d = 0;
    int err = p ? 0 : 1;

    if (err == 0 && !n) { /* success and no memory, as cudaMalloc() */
        *p = NULL;
        return rt_done(gvm_init());
    }
    if (err == 0)
        err = gvm_mempool_alloc(pool, n, rt_stream(s), &d);
    if (err == 0)
        *p = (void *)(uintptr_t)d;
    return rt_done(err);
}

cudaError_t cudaMallocAsync(void **p, size_t n, cudaStream_t s)
{
    return alloc(p, n, 0, s);
}

RT_API cudaError_t cudaMallocAsync_ptsz(void **p, size_t n, cudaStream_t s)
{
    return alloc(p, n, 0, rt_own(s));
}

static cudaError_t from_pool(void **p, size_t n, cudaMemPool_t pool, cudaStream_t s)
{
    return pool ? alloc(p, n, handle(pool), s) : rt_done(1);
}

cudaError_t cudaMallocFromPoolAsync(void **p, size_t n, cudaMemPool_t pool, cudaStream_t s)
{
    return from_pool(p, n, pool, s);
}

RT_API cudaError_t cudaMallocFromPoolAsync_ptsz(void **p, size_t n, cudaMemPool_t pool,
                                                cudaStream_t s)
{
    return from_pool(p, n, pool, rt_own(s));
}

cudaError_t cudaFreeAsync(void *p, cudaStream_t s)
{
    return rt_done(gvm_mempool_free(rt_addr(p), rt_stream(s)));
}

RT_API cudaError_t cudaFreeAsync_ptsz(void *p, cudaStream_t s)
{
    return rt_done(gvm_mempool_free(rt_addr(p), rt_stream(rt_own(s))));
}
