/* SPDX-License-Identifier: MIT */
/* covers: cuMemPoolCreate cuMemPoolDestroy cuMemAllocFromPoolAsync cuMemPoolTrimTo
 * cuMemPoolGetAttribute cuMemPoolSetAttribute cuMemPoolGetAccess cuMemPoolSetAccess
 * cuDeviceGetDefaultMemPool cuDeviceGetMemPool cuDeviceSetMemPool */
#include <cuda.h>

#include "transcript.h"

int main(void)
{
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    CUmemAccessDesc desc = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemAccess_flags flags = 99;
    CUmemoryPool def = NULL, pool = NULL, cur = NULL;
    static uint8_t in[9000], out[9000];
    cuuint64_t v = 0;
    CUdeviceptr p = 0, q = 0, base = 0;
    CUcontext ctx;
    CUdevice dev;
    CUstream s;
    size_t n = 0;
    int one = 1, got = 9;

    T_OK(cuInit(0));
    T_OK(cuDeviceGet(&dev, 0));
    T_OK(cuDevicePrimaryCtxRetain(&ctx, dev));
    T_OK(cuCtxSetCurrent(ctx));
    T_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    t_fill(in, sizeof(in), 12);
    T(cuDeviceGetDefaultMemPool(&def, dev));
    T(cuDeviceGetMemPool(&cur, dev));
    T_BOOL("same", def == cur);
    T(cuMemPoolCreate(&pool, &props));
    T(cuMemAllocFromPoolAsync(&p, sizeof(in), pool, s));
    T(cuMemcpyHtoDAsync(p, in, sizeof(in), s));
    T(cuMemcpyDtoHAsync(out, p, sizeof(out), s));
    T(cuStreamSynchronize(s));
    T_BOOL("same", memcmp(in, out, sizeof(in)) == 0);
    T(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &v));
    T_INT("used", v);
    T(cuMemGetAddressRange(&base, &n, p + 100));
    T_BOOL("base", base == p);
    T_INT("size", n);
    T(cuPointerGetAttribute(&cur, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p));
    T_BOOL("of the pool", cur == pool);
    T(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &one));
    T(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &got));
    T_INT("opportunistic", got);
    T(cuMemPoolGetAccess(&flags, pool, &here));
    T_INT("access", flags);
    T(cuMemPoolSetAccess(pool, &desc, 1));
    T(cuDeviceSetMemPool(dev, pool));
    T(cuMemAllocAsync(&q, 100, s));
    T(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &v));
    T_INT("used", v);
    T(cuMemFreeAsync(q, s));
    T(cuMemFreeAsync(p, s));
    T(cuStreamSynchronize(s));
    T(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &v));
    T_INT("used", v);
    T(cuMemPoolTrimTo(pool, 0));
    T(cuMemPoolDestroy(pool));
    T(cuDeviceGetMemPool(&cur, dev));
    T_BOOL("back to the default", cur == def);
    T(cuMemPoolDestroy(def));
    T(cuMemPoolDestroy(NULL));
    T(cuMemPoolTrimTo(NULL, 0));
    T(cuMemPoolGetAttribute(def, (CUmemPool_attribute)99, &v));
    T(cuMemPoolCreate(NULL, &props));
    T(cuMemPoolCreate(&pool, NULL));
    T(cuDeviceGetDefaultMemPool(&def, 3));
    T(cuDeviceSetMemPool(dev, NULL));
    T(cuMemAllocFromPoolAsync(&p, 0, def, s));
    T(cuMemAllocFromPoolAsync(&p, 10, NULL, s));
    return 0;
}
