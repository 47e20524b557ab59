/* SPDX-License-Identifier: MIT */
/* covers: cudaGetFuncBySymbol cudaGetKernel cudaFuncGetAttributes cudaFuncSetAttribute
 * cudaFuncSetCacheConfig cudaFuncGetName cudaFuncGetParamInfo */
/* Kernels that a program registered, by the address of their stubs. */
#include <cuda.h>
#include <cuda_runtime.h>

#include "transcript.h"

struct two {
    double a;
    int b;
};

extern "C" __global__ void __launch_bounds__(128) bounded(char c, two t, int *p)
{
    __shared__ int s[64];

    s[threadIdx.x & 63] = c;
    __syncthreads();
    p[threadIdx.x] = s[(threadIdx.x + 1) & 63] + t.b;
}

extern "C" __global__ void plain(void)
{
}

extern "C" __global__ void dynamic(int *p)
{
    extern __shared__ int d[];

    d[threadIdx.x] = threadIdx.x;
    __syncthreads();
    if (threadIdx.x == 0)
        *p = d[blockDim.x - 1];
}

static void show(const void *f)
{
    struct cudaFuncAttributes a;

    memset(&a, 0xee, sizeof(a));
    if (T(cudaFuncGetAttributes(&a, f)))
        return;
    T_INT("shared", a.sharedSizeBytes);
    T_INT("local", a.localSizeBytes);
    T_INT("threads", a.maxThreadsPerBlock);
    T_DEVICE("const", a.constSizeBytes);
    T_DEVICE("registers", a.numRegs);
    T_DEVICE("ptx", a.ptxVersion);
    T_DEVICE("binary", a.binaryVersion);
    T_INT("cache mode", a.cacheModeCA);
    T_INT("dynamic", a.maxDynamicSharedSizeBytes);
    T_INT("carve-out", a.preferredShmemCarveout);
    T_INT("cluster must be set", a.clusterDimMustBeSet);
    T_INT("cluster width", a.requiredClusterWidth);
    T_INT("scheduling", a.clusterSchedulingPolicyPreference);
    T_INT("non portable", a.nonPortableClusterSizeAllowed);
}

int main(void)
{
    const void *b = (const void *)bounded, *d = (const void *)dynamic;
    cudaFunction_t f = NULL;
    cudaKernel_t k = NULL;
    const char *name = NULL;
    size_t off, size;
    int here, v = 0, *p;

    show(b);
    show((const void *)plain);
    show(&here);
    show(NULL);
    T(cudaGetLastError());
    T(cudaFuncGetAttributes(NULL, b));
    T(cudaFuncGetName(&name, b));
    T_STR("name", name);
    T(cudaFuncGetName(NULL, b));
    T(cudaFuncGetName(&name, &here));
    for (size_t i = 0; i < 4; i++) {
        off = size = 44;
        T(cudaFuncGetParamInfo(b, i, &off, &size));
        printf("parameter %zu at %zu of %zu\n", i, off, size);
    }
    T(cudaFuncGetParamInfo((const void *)plain, 0, &off, &size));
    T(cudaGetFuncBySymbol(&f, b));
    T_BOOL("function", f != NULL);
    T(cuFuncGetName(&name, (CUfunction)f));
    T_STR("name", name);
    T(cudaGetFuncBySymbol(&f, &here));
    T(cudaGetFuncBySymbol(NULL, b));
    T(cudaGetKernel(&k, b));
    T(cuKernelGetName(&name, (CUkernel)k));
    T_STR("name", name);
    T(cudaGetKernel(&k, &here));
    T(cudaGetKernel(NULL, b));
    T(cudaGetLastError());
    T_OK(cudaMalloc(&p, 4096));
    dynamic<<<1, 1024, 60000>>>(p);
    T(cudaGetLastError());
    T(cudaFuncSetAttribute(d, cudaFuncAttributeMaxDynamicSharedMemorySize, 60000));
    dynamic<<<1, 1024, 60000>>>(p);
    T(cudaGetLastError());
    T(cudaMemcpy(&v, p, 4, cudaMemcpyDeviceToHost));
    T_INT("last", v);
    T(cudaFuncSetAttribute(d, cudaFuncAttributeMaxDynamicSharedMemorySize, 232448));
    T(cudaFuncSetAttribute(d, cudaFuncAttributeMaxDynamicSharedMemorySize, 232449));
    T(cudaFuncSetAttribute(d, cudaFuncAttributeMaxDynamicSharedMemorySize, -1));
    T(cudaFuncSetAttribute(d, cudaFuncAttributePreferredSharedMemoryCarveout, 100));
    T(cudaFuncSetAttribute(d, cudaFuncAttributePreferredSharedMemoryCarveout, -2));
    T(cudaFuncSetAttribute(d, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
    T(cudaFuncSetAttribute(d, cudaFuncAttributeClusterSchedulingPolicyPreference, 1));
    T(cudaFuncSetAttribute(d, cudaFuncAttributeClusterDimMustBeSet, 1));
    T(cudaFuncSetAttribute(d, (enum cudaFuncAttribute)3, 1));
    T(cudaFuncSetAttribute(d, (enum cudaFuncAttribute)99, 1));
    T(cudaFuncSetAttribute(&here, cudaFuncAttributeMaxDynamicSharedMemorySize, 1));
    show(d);
    T(cudaFuncSetCacheConfig(d, cudaFuncCachePreferL1));
    T(cudaFuncSetCacheConfig(d, (enum cudaFuncCache)7));
    T(cudaFuncSetCacheConfig(&here, cudaFuncCachePreferL1));
    T(cudaGetLastError());
    T(cudaFree(p));
    return 0;
}
