/* SPDX-License-Identifier: MIT */
/* covers: cudaGetDeviceCount cudaSetDevice cudaGetDevice cudaInitDevice cudaSetValidDevices
 * cudaChooseDevice cudaSetDeviceFlags cudaGetDeviceFlags cudaDeviceSetCacheConfig
 * cudaDeviceGetCacheConfig cuCtxSetCacheConfig cuCtxGetCacheConfig cuCtxGetSharedMemConfig */
/* Choosing a device and the flags of its context, right and wrong. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "child.h"

CUresult cuCtxGetSharedMemConfig(CUsharedconfig *c);
CUresult cuCtxSetSharedMemConfig(CUsharedconfig c);

static unsigned flags(void)
{
    unsigned f = 0x1000;

    T(cudaGetDeviceFlags(&f));
    return f;
}

static void choose(void)
{
    struct cudaDeviceProp p;
    int n = -1, d = -1, list[3] = {0, 0, 0}, bad[2] = {0, 1000};

    T(cudaGetDeviceCount(&n));
    T_DEVICE("count", n);
    T(cudaGetDeviceCount(NULL));
    T(cudaGetDevice(&d));
    T_INT("device", d);
    T(cudaGetDevice(NULL));
    T(cudaSetDevice(-1));
    T(cudaSetDevice(1000));
    T(cudaGetDevice(&d));
    T_INT("device", d);
    T(cudaSetDevice(0));
    T(cudaInitDevice(0, 0, 0));
    T(cudaInitDevice(1000, 0, 0));
    T(cudaInitDevice(0, 0x1000, cudaInitDeviceFlagsAreValid));
    T(cudaInitDevice(0, 0, 2));
    T(cudaSetValidDevices(list, 1));
    T(cudaSetValidDevices(list, 3));
    T(cudaSetValidDevices(bad, 2));
    T(cudaSetValidDevices(NULL, 0));
    T(cudaSetValidDevices(NULL, 2));
    T(cudaSetValidDevices(list, -1));
    memset(&p, 0, sizeof(p));
    T(cudaChooseDevice(&d, &p));
    T_INT("device", d);
    T(cudaChooseDevice(&d, NULL));
    T(cudaChooseDevice(NULL, &p));
    p.major = 1000;
    T(cudaChooseDevice(&d, &p));
    T(cudaGetLastError());
}

static void before(void)
{
    T_HEX("flags", flags());
    T(cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync));
    T_HEX("flags", flags());
    T(cudaSetDeviceFlags(cudaDeviceScheduleSpin | cudaDeviceLmemResizeToMax));
    T_HEX("flags", flags());
    T(cudaSetDeviceFlags(cudaDeviceScheduleSpin | cudaDeviceScheduleYield));
    T(cudaSetDeviceFlags(0x4000));
    T_HEX("flags", flags());
    T(cudaFree(0));
    T_HEX("flags", flags());
    T(cudaSetDeviceFlags(cudaDeviceScheduleYield));
    T_HEX("flags", flags());
    T(cudaSetDeviceFlags(cudaDeviceMapHost));
    T_HEX("flags", flags());
    T(cudaSetDeviceFlags(0));
    T_HEX("flags", flags());
    T(cudaGetDeviceFlags(NULL));
    T(cudaGetLastError());
}

static void cache(void)
{
    enum cudaFuncCache c = 77;
    CUsharedconfig b = 77;
    CUfunc_cache f = 77;

    T(cudaDeviceGetCacheConfig(&c));
    T_INT("cache", c);
    T(cudaDeviceSetCacheConfig(cudaFuncCachePreferShared));
    T(cudaDeviceGetCacheConfig(&c));
    T_INT("cache", c);
    T(cuCtxGetCacheConfig(&f));
    T_INT("cache", f);
    T(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
    T(cudaDeviceGetCacheConfig(&c));
    T_INT("cache", c);
    T(cudaDeviceSetCacheConfig((enum cudaFuncCache)77));
    T(cuCtxSetCacheConfig((CUfunc_cache)77));
    T(cudaDeviceGetCacheConfig(NULL));
    T(cuCtxGetSharedMemConfig(&b));
    T_INT("banks", b);
    T(cuCtxSetSharedMemConfig(CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE));
    T(cuCtxGetSharedMemConfig(&b));
    T_INT("banks", b);
    T(cuCtxSetSharedMemConfig((CUsharedconfig)9));
    T(cuCtxGetSharedMemConfig(NULL));
    T(cudaGetLastError());
}

int main(void)
{
    t_child("choose", choose);
    t_child("flags", before);
    t_child("cache", cache);
    return 0;
}
