/* SPDX-License-Identifier: MIT */
/* covers: cuMemAddressReserve cuMemAddressFree cuMemCreate cuMemRelease cuMemMap cuMemUnmap
 * cuMemSetAccess cuMemGetAccess cuMemGetAllocationGranularity cuMemGetAllocationPropertiesFromHandle
 * cuMemRetainAllocationHandle */
/* Address ranges and physical memory apart: a growing array, one memory at two addresses. */
#include <cuda.h>

#include "transcript.h"

int main(void)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
                        back = {0};
    CUmemAccessDesc rw = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle a = 0, b = 0, c = 0;
    unsigned long long flags = 99;
    CUdeviceptr v = 0, w = 0, base = 0;
    static uint8_t in[5000], out[5000];
    CUcontext ctx;
    CUdevice dev;
    size_t g = 0, n = 0;
    int got = 0;

    T_OK(cuInit(0));
    T_OK(cuDeviceGet(&dev, 0));
    T_OK(cuDevicePrimaryCtxRetain(&ctx, dev));
    T_OK(cuCtxSetCurrent(ctx));
    T(cuDeviceGetAttribute(&got, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, dev));
    T_INT("supported", got);
    T_OK(cuMemGetAllocationGranularity(&g, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    T_DEVICE("granularity", g);
    T(cuMemGetAllocationGranularity(&n, &prop, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
    T_BOOL("recommended", n >= g && n % g == 0);
    T_OK(cuMemAddressReserve(&v, 4 * g, 0, 0, 0));
    T_BOOL("aligned", v % g == 0);
    T_OK(cuMemCreate(&a, g, &prop, 0));
    T_OK(cuMemCreate(&b, 2 * g, &prop, 0));
    T(cuMemMap(v, g, 0, a, 0));
    T(cuMemcpyHtoD(v, in, 100));
    T(cuMemSetAccess(v, g, &rw, 1));
    T(cuMemMap(v + g, 2 * g, 0, b, 0));
    T(cuMemSetAccess(v + g, 2 * g, &rw, 1));
    T(cuMemGetAccess(&flags, &rw.location, v + g));
    T_INT("access", flags);
    T(cuMemGetAccess(&flags, &rw.location, v + 3 * g));
    /* Across the border between the two. */
    t_fill(in, sizeof(in), 77);
    T(cuMemcpyHtoD(v + g - 2500, in, sizeof(in)));
    T(cuMemcpyDtoH(out, v + g - 2500, sizeof(out)));
    T_BOOL("same", memcmp(in, out, sizeof(in)) == 0);
    T(cuMemsetD8(v + 3 * g - 10, 1, 10));
    T(cuMemsetD8(v + 3 * g - 10, 1, 11));
    /* The same memory at a second address. */
    T_OK(cuMemAddressReserve(&w, 2 * g, g, 0, 0));
    T(cuMemMap(w, g, 0, a, 0));
    T(cuMemSetAccess(w, g, &rw, 1));
    memset(out, 0, sizeof(out));
    T(cuMemcpyDtoH(out, w + g - 2500, 2500));
    T_BOOL("alias", memcmp(in, out, 2500) == 0);
    T(cuMemGetAddressRange(&base, &n, v + g + 5));
    T_DEVICE("range from", base - v);
    T_DEVICE("range size", n);
    T(cuPointerGetAttribute(&got, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, v));
    T_INT("type", got);
    T(cuMemRetainAllocationHandle(&c, (void *)(uintptr_t)(v + g + 3)));
    T_BOOL("handle", c == b);
    T(cuMemRelease(c));
    T(cuMemGetAllocationPropertiesFromHandle(&back, a));
    T_INT("type", back.type);
    T_INT("location", back.location.type);
    T_INT("id", back.location.id);
    T(cuMemRelease(a));
    T(cuMemcpyDtoH(out, v, 100));

    T(cuMemMap(v, g, 0, b, 0));
    T(cuMemMap(v + 3 * g, g, 0, b, 1));
    T(cuMemMap(v + 3 * g, g, g, b, 0));
    T(cuMemMap(v + 3 * g, g / 2, 0, b, 0));
    T(cuMemMap(v + 3 * g, 2 * g, 0, b, 0));
    T(cuMemMap(v + 4 * g, g, 0, b, 0));
    T(cuMemSetAccess(v + 3 * g, g, &rw, 1));
    T(cuMemSetAccess(v, g, &rw, 0));
    T(cuMemUnmap(v, g / 2));
    T(cuMemUnmap(v + g, g));
    T(cuMemAddressFree(v, 4 * g));
    T(cuMemUnmap(v, 3 * g));
    T(cuMemcpyDtoH(out, v, 100));
    T(cuMemUnmap(v, g));
    T(cuMemUnmap(w, g));
    T(cuMemAddressFree(v, g));
    T(cuMemAddressFree(v, 4 * g));
    T(cuMemAddressFree(v, 4 * g));
    T(cuMemAddressFree(w, 2 * g));
    T(cuMemRelease(b));
    T(cuMemRelease(b));
    T(cuMemRelease(0));
    T(cuMemCreate(&a, g + 1, &prop, 0));
    T(cuMemCreate(&a, 0, &prop, 0));
    T(cuMemCreate(&a, g, &prop, 1));
    T(cuMemCreate(&a, g, NULL, 0));
    T(cuMemCreate(NULL, g, &prop, 0));
    T(cuMemCreate(&a, (size_t)1 << 46, &prop, 0));
    prop.location.id = 9;
    T(cuMemCreate(&a, g, &prop, 0));
    T(cuMemGetAllocationGranularity(&n, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    prop.location.id = 0;
    prop.type = CU_MEM_ALLOCATION_TYPE_INVALID;
    T(cuMemCreate(&a, g, &prop, 0));
    T(cuMemAddressReserve(&v, g + 1, 0, 0, 0));
    T(cuMemAddressReserve(&v, 0, 0, 0, 0));
    T(cuMemAddressReserve(&v, g, 3, 0, 0));
    T(cuMemAddressReserve(&v, g, 0, 0, 1));
    T(cuMemAddressReserve(NULL, g, 0, 0, 0));
    return 0;
}
