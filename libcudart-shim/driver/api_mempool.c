/* SPDX-License-Identifier: MIT */
/*
 * api_mempool.c - stream-ordered allocation of the driver API.
 */
#include "api.h"
#include "mempool.h"

static uint64_t handle(CUmemoryPool p)
{
    return (uintptr_t)p;
}

static int device(CUdevice d)
{
    return d == 0 ? 0 : CUDA_ERROR_INVALID_DEVICE;
}

static int here(const CUmemLocation *l)
{
    if (!l || l->type != CU_MEM_LOCATION_TYPE_DEVICE)
        return 1;
    return l->id == 0 ? 0 : 1;
}

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *props)
{
    uint64_t h = 0;
    int rc = api_need_init();

    if (rc == 0 && (!pool || !props || props->allocType != CU_MEM_ALLOCATION_TYPE_PINNED))
        rc = 1;
    if (rc == 0)
        rc = here(&props->location);
    if (rc == 0 && props->handleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) {
        static uint32_t said;

        /* As CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES says. */
        rc = props->handleTypes & ~0xfu
                 ? 1
                 : gvm_refused("a memory pool that can be exported by other means than a file "
                               "descriptor",
                               &said);
    }
    if (rc == 0)
        rc = gvm_mempool_create(props->maxSize, props->handleTypes, &h);
    if (rc == 0)
        *pool = (CUmemoryPool)(uintptr_t)h;
    return (CUresult)rc;
}

CUresult cuMemPoolDestroy(CUmemoryPool pool)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_mempool_destroy(handle(pool)));
}

static CUresult give(CUmemoryPool *pool, int rc, int (*get)(uint64_t *pool))
{
    uint64_t h = 0;

    if (rc == 0)
        rc = pool ? get(&h) : 1;
    if (rc == 0)
        *pool = (CUmemoryPool)(uintptr_t)h;
    return (CUresult)rc;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice dev)
{
    int rc = api_need_init();

    return give(pool, rc ? rc : device(dev), gvm_mempool_default);
}

CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice dev)
{
    int rc = api_need_init();

    return give(pool, rc ? rc : device(dev), gvm_mempool_current);
}

CUresult cuDeviceSetMemPool(CUdevice dev, CUmemoryPool pool)
{
    int rc = api_need_init();

    if (rc == 0)
        rc = device(dev);
    return (CUresult)(rc ? rc : gvm_mempool_set_current(handle(pool)));
}

static int place(CUmemLocation *l, CUmemAllocationType type)
{
    int rc = api_need_init();

    if (rc == 0)
        rc = here(l);
    return rc ? rc : type == CU_MEM_ALLOCATION_TYPE_PINNED ? 0 : 1;
}

CUresult cuMemGetDefaultMemPool(CUmemoryPool *pool, CUmemLocation *l, CUmemAllocationType type)
{
    return give(pool, place(l, type), gvm_mempool_default);
}

CUresult cuMemGetMemPool(CUmemoryPool *pool, CUmemLocation *l, CUmemAllocationType type)
{
    return give(pool, place(l, type), gvm_mempool_current);
}

CUresult cuMemSetMemPool(CUmemLocation *l, CUmemAllocationType type, CUmemoryPool pool)
{
    int rc = place(l, type);

    return (CUresult)(rc ? rc : gvm_mempool_set_current(handle(pool)));
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_mempool_trim(handle(pool), keep));
}

static bool is_int(CUmemPool_attribute a)
{
    return a >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES &&
           a <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute a, void *value)
{
    uint64_t v = 0;
    int rc = api_need_init();

    if (rc == 0)
        rc = value ? gvm_mempool_get(handle(pool), (int)a, &v) : 1;
    if (rc)
        return (CUresult)rc;
    if (is_int(a))
        *(int *)value = (int)v;
    else
        *(cuuint64_t *)value = v;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute a, void *value)
{
    int rc = api_need_init();

    if (rc == 0 && !value)
        rc = 1;
    return (CUresult)(rc ? rc
                         : gvm_mempool_set(handle(pool), (int)a,
                                           is_int(a) ? *(int *)value != 0 : *(cuuint64_t *)value));
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool pool, CUmemLocation *l)
{
    int rc = api_need_init();

    if (rc == 0 && !flags)
        rc = 1;
    if (rc == 0)
        rc = gvm_mempool_check(handle(pool));
    if (rc == 0)
        rc = here(l);
    if (rc == 0)
        *flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    return (CUresult)rc;
}

/* The device of a pool always has access to it, and there is no other. */
CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *map, size_t n)
{
    int rc = api_need_init();

    if (rc == 0)
        rc = gvm_mempool_check(handle(pool));
    if (rc == 0 && (!map && n))
        rc = 1;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = here(&map[i].location);
        if (rc == 0 && map[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
            rc = map[i].flags == CU_MEM_ACCESS_FLAGS_PROT_NONE ? 101 : 801;
    }
    return (CUresult)rc;
}

CUresult cuMemPoolExportToShareableHandle(void *out, CUmemoryPool pool, CUmemAllocationHandleType t,
                                          unsigned long long flags)
{
    int fd = -1, rc = api_need_init();

    if (rc == 0)
        rc = gvm_mempool_check(handle(pool));
    if (rc == 0 && (!out || flags || t != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR))
        rc = 1;
    if (rc == 0)
        rc = gvm_mempool_export(handle(pool), &fd);
    if (rc == 0)
        *(int *)out = fd;
    return (CUresult)rc;
}

CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool *pool, void *os,
                                            CUmemAllocationHandleType t, unsigned long long flags)
{
    uint64_t h = 0;
    int rc = api_need_init();

    if (rc == 0 && (!pool || flags || t == CU_MEM_HANDLE_TYPE_NONE))
        rc = 1;
    if (rc == 0 && t != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        rc = 801;
    if (rc == 0)
        rc = gvm_mempool_import((int)(intptr_t)os, &h);
    if (rc == 0)
        *pool = (CUmemoryPool)(uintptr_t)h;
    return (CUresult)rc;
}

CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData *data, CUdeviceptr p)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_mempool_export_ptr(p, data));
}

CUresult cuMemPoolImportPointer(CUdeviceptr *p, CUmemoryPool pool, CUmemPoolPtrExportData *data)
{
    uint64_t d = 0;
    int rc = api_need_init();

    if (rc == 0)
        rc = p ? gvm_mempool_import_ptr(handle(pool), data, &d) : 1;
    if (rc == 0)
        *p = d;
    return (CUresult)rc;
}

/* ---- memory ------------------------------------------------------------------------------ */

static CUresult alloc(CUdeviceptr *p, size_t n, uint64_t pool, CUstream s)
{
    uint64_t d = 0;
    int rc = api_need();

    if (rc == 0)
        rc = p ? gvm_mempool_alloc(pool, n, api_stream(s), &d) : 1;
    if (rc == 0)
        *p = d;
    return (CUresult)rc;
}

CUresult cuMemAllocAsync(CUdeviceptr *p, size_t n, CUstream s)
{
    return alloc(p, n, 0, s);
}

GVM_API CUresult cuMemAllocAsync_ptsz(CUdeviceptr *p, size_t n, CUstream s);
CUresult cuMemAllocAsync_ptsz(CUdeviceptr *p, size_t n, CUstream s)
{
    return alloc(p, n, 0, api_own(s));
}

static CUresult from_pool(CUdeviceptr *p, size_t n, CUmemoryPool pool, CUstream s)
{
    return pool ? alloc(p, n, handle(pool), s) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *p, size_t n, CUmemoryPool pool, CUstream s)
{
    return from_pool(p, n, pool, s);
}

GVM_API CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr *p, size_t n, CUmemoryPool pool,
                                              CUstream s);
CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr *p, size_t n, CUmemoryPool pool, CUstream s)
{
    return from_pool(p, n, pool, api_own(s));
}

CUresult cuMemFreeAsync(CUdeviceptr p, CUstream s)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_mempool_free(p, api_stream(s)));
}

GVM_API CUresult cuMemFreeAsync_ptsz(CUdeviceptr p, CUstream s);
CUresult cuMemFreeAsync_ptsz(CUdeviceptr p, CUstream s)
{
    return cuMemFreeAsync(p, api_own(s));
}
