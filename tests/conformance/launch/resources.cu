/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchKernel cudaFuncGetAttributes cudaFuncSetAttribute cudaGetLastError */
/* Launches that ask for more than there is: each says so at once, and nothing runs. */
#include <cuda_runtime.h>

#include "transcript.h"

__global__ void __launch_bounds__(64) bounded(int *p)
{
    p[0] = 1;
}

/* Some 200 values that are all needed at the end: many registers for each thread. */
__global__ void greedy(int *p, int n)
{
    int v[160];

#pragma unroll
    for (int i = 0; i < 160; i++)
        v[i] = p[i * n];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 160; i++)
        p[i * n + 1] = v[i] * v[(i * 7 + 3) % 160];
}

__global__ void with_static(int *p)
{
    __shared__ int s[8000];
    extern __shared__ int d[];

    s[threadIdx.x] = 1;
    __syncthreads();
    p[0] = s[0] + (d == NULL);
}

#define LAUNCH(...)                                                                                \
    do {                                                                                           \
        __VA_ARGS__;                                                                               \
        T(cudaGetLastError());                                                                     \
    } while (0)

int main(void)
{
    struct cudaFuncAttributes a;
    int *p, v = -1;

    T_OK(cudaMalloc(&p, 1 << 20));
    T(cudaMemset(p, 0, 1 << 20));
    printf("bounded: ");
    LAUNCH(bounded<<<1, 65>>>(p));
    printf("greedy: ");
    LAUNCH(greedy<<<1, 1024>>>(p, 1));
    T(cudaFuncGetAttributes(&a, (const void *)greedy));
    T_DEVICE("registers", a.numRegs);
    T_DEVICE("threads", a.maxThreadsPerBlock);
    T(cudaFuncGetAttributes(&a, (const void *)bounded));
    T_INT("threads", a.maxThreadsPerBlock);
    T(cudaFuncGetAttributes(&a, (const void *)with_static));
    T_INT("static", a.sharedSizeBytes);
    T_INT("dynamic", a.maxDynamicSharedSizeBytes);
    printf("32000 + 17152: ");
    LAUNCH(with_static<<<1, 32, 17152>>>(p));
    printf("32000 + 17153: ");
    LAUNCH(with_static<<<1, 32, 17153>>>(p));
    printf("32000 + 40000: ");
    LAUNCH(with_static<<<1, 32, 40000>>>(p));
    T(cudaFuncSetAttribute((const void *)with_static, cudaFuncAttributeMaxDynamicSharedMemorySize,
                           40000));
    printf("32000 + 40000: ");
    LAUNCH(with_static<<<1, 32, 40000>>>(p));
    T(cudaFuncSetAttribute((const void *)with_static, cudaFuncAttributeMaxDynamicSharedMemorySize,
                           1 << 20));
    printf("32000 + 1 MiB: ");
    LAUNCH(with_static<<<1, 32, 1 << 20>>>(p));
    T(cudaDeviceSynchronize());
    T(cudaMemcpy(&v, p, 4, cudaMemcpyDeviceToHost));
    T_INT("p", v);
    return 0;
}
