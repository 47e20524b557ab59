/* SPDX-License-Identifier: MIT */
/* covers: cuTensorMapEncodeTiled cuTensorMapReplaceAddress cudaProfilerStart cudaProfilerStop
 * cuProfilerStart cuProfilerStop cuCtxSetCacheConfig cuCtxGetCacheConfig cudaDeviceSetCacheConfig
 * cudaDeviceGetCacheConfig */
/* Hints that are accepted, and the descriptor of a tensor, which only fills a struct. */
#include <cudaProfiler.h>
#include <cuda_profiler_api.h>
#include <cuda_runtime_api.h>

#include "module/driver.h"

static void tensor(CUdeviceptr p, cuuint32_t rank, cuuint64_t width, cuuint64_t pitch)
{
    static CUtensorMap map __attribute__((aligned(64)));
    cuuint64_t dim[3] = {width, 32, 4}, stride[2] = {pitch, pitch * 32};
    cuuint32_t box[3] = {16, 8, 1}, step[3] = {1, 1, 1};

    printf("rank %u width %u pitch %u\n", rank, (unsigned)width, (unsigned)pitch);
    memset(&map, 0, sizeof(map));
    if (T(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, rank, (void *)p, dim,
                                 stride, box, step, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                 CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                 CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE)) == 0)
        T_BOOL("filled", map.opaque[0] || map.opaque[1]);
    T(cuTensorMapReplaceAddress(&map, (void *)(p + 1024)));
    T(cuTensorMapReplaceAddress(&map, (void *)(p + 1)));
}

int main(void)
{
    CUfunc_cache c = 77;
    enum cudaFuncCache rc = 77;
    CUdeviceptr p;

    T(cuProfilerStart());
    t_context();
    T(cuProfilerStart());
    T(cuProfilerStop());
    T(cudaProfilerStart());
    T(cudaProfilerStop());
    T(cuCtxGetCacheConfig(&c));
    T_INT("cache", c);
    T(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_SHARED));
    T(cuCtxGetCacheConfig(&c));
    T_INT("cache", c);
    T(cuCtxSetCacheConfig((CUfunc_cache)9));
    T(cuCtxGetCacheConfig(NULL));
    T(cudaDeviceSetCacheConfig(cudaFuncCachePreferL1));
    T(cudaDeviceGetCacheConfig(&rc));
    T_INT("cache", rc);
    T(cudaDeviceSetCacheConfig((enum cudaFuncCache)9));
    T(cudaDeviceGetCacheConfig(NULL));
    T(cudaGetLastError());
    T_OK(cuMemAlloc(&p, 1 << 20));
    tensor(p, 2, 64, 256);
    tensor(p, 3, 64, 256);
    tensor(p, 2, 64, 250);
    tensor(p + 4, 2, 64, 256);
    tensor(p, 0, 64, 256);
    tensor(p, 6, 64, 256);
    tensor(p, 2, 0, 256);
    T(cuMemFree(p));
    return 0;
}
