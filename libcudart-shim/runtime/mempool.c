/* SPDX-License-Identifier: MIT */
/*
 * mempool.c - stream-ordered allocation.
 */
#include "../driver/mempool.h"
#include "rt.h"

static uint64_t handle(cudaMemPool_t p)
{
    return (uintptr_t)p;
}

static int place(const struct cudaMemLocation *l, enum cudaMemAllocationType type)
{
    if (!l || l->type != cudaMemLocationTypeDevice || type != cudaMemAllocationTypePinned)
        return 1;
    return l->id == 0 ? 0 : 1;
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const struct cudaMemPoolProps *props)
{
    static uint32_t said;
    uint64_t h = 0;
    int err = pool && props && props->allocType == cudaMemAllocationTypePinned
                  ? place(&props->location, cudaMemAllocationTypePinned)
                  : 1;

    /* As cudaDevAttrMemoryPoolSupportedHandleTypes says. */
    if (err == 0 && props->handleTypes & ~cudaMemHandleTypePosixFileDescriptor)
        err = (unsigned)props->handleTypes & ~0xfu
                  ? 1
                  : gvm_refused("a memory pool that can be exported by other means than a file "
                                "descriptor",
                                &said);
    if (err == 0)
        err = gvm_mempool_create(props->maxSize, props->handleTypes, &h);
    if (err == 0)
        *pool = (cudaMemPool_t)(uintptr_t)h;
    return rt_done(err);
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

static bool is_int(enum cudaMemPoolAttr a)
{
    return a >= cudaMemPoolReuseFollowEventDependencies &&
           a <= cudaMemPoolReuseAllowInternalDependencies;
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr a, void *value)
{
    uint64_t v = 0;
    int err = value ? gvm_mempool_get(handle(pool), (int)a, &v) : 1;

    if (err == 0 && is_int(a))
        *(int *)value = (int)v;
    else if (err == 0)
        *(uint64_t *)value = v;
    return rt_done(err);
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr a, void *value)
{
    if (!value)
        return rt_done(1);
    return rt_done(
        gvm_mempool_set(handle(pool), (int)a, is_int(a) ? *(int *)value != 0 : *(uint64_t *)value));
}

cudaError_t cudaMemPoolGetAccess(enum cudaMemAccessFlags *flags, cudaMemPool_t pool,
                                 struct cudaMemLocation *l)
{
    int err = flags ? gvm_mempool_check(handle(pool)) : 1;

    if (err == 0)
        err = place(l, cudaMemAllocationTypePinned);
    if (err == 0)
        *flags = cudaMemAccessFlagsProtReadWrite;
    return rt_done(err);
}

/* The device of a pool always has access to it, and there is no other. */
cudaError_t cudaMemPoolSetAccess(cudaMemPool_t pool, const struct cudaMemAccessDesc *map, size_t n)
{
    int err = gvm_mempool_check(handle(pool));

    if (err == 0 && (!map && n))
        err = 1;
    for (size_t i = 0; i < n && err == 0; i++) {
        err = place(&map[i].location, cudaMemAllocationTypePinned);
        if (err == 0 && map[i].flags != cudaMemAccessFlagsProtReadWrite)
            err = map[i].flags == cudaMemAccessFlagsProtNone ? 101 : 801;
    }
    return rt_done(err);
}

cudaError_t cudaMemPoolExportToShareableHandle(void *out, cudaMemPool_t pool,
                                               enum cudaMemAllocationHandleType t, unsigned flags)
{
    int fd = -1, err = gvm_mempool_check(handle(pool));

    if (err == 0 && (!out || flags || t != cudaMemHandleTypePosixFileDescriptor))
        err = 1;
    if (err == 0)
        err = gvm_mempool_export(handle(pool), &fd);
    if (err == 0)
        *(int *)out = fd;
    return rt_done(err);
}

cudaError_t cudaMemPoolImportFromShareableHandle(cudaMemPool_t *pool, void *os,
                                                 enum cudaMemAllocationHandleType t, unsigned flags)
{
    uint64_t h = 0;
    int err = !pool || flags || t == cudaMemHandleTypeNone ? 1
              : t != cudaMemHandleTypePosixFileDescriptor
                  ? 801
                  : gvm_mempool_import((int)(intptr_t)os, &h);

    if (err == 0)
        *pool = (cudaMemPool_t)(uintptr_t)h;
    return rt_done(err);
}

cudaError_t cudaMemPoolExportPointer(struct cudaMemPoolPtrExportData *data, void *p)
{
    return rt_done(gvm_mempool_export_ptr(rt_addr(p), data));
}

cudaError_t cudaMemPoolImportPointer(void **p, cudaMemPool_t pool,
                                     struct cudaMemPoolPtrExportData *data)
{
    uint64_t d = 0;
    int err = p ? gvm_mempool_import_ptr(handle(pool), data, &d) : 1;

    if (err == 0)
        *p = (void *)(uintptr_t)d;
    return rt_done(err);
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
