/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchKernel cudaFuncGetAttributes cudaOccupancyMaxActiveBlocksPerMultiprocessor */
/* A program built for other devices only: the first use of its kernels says so, and again. */
#include <cuda_runtime.h>

#include "transcript.h"

__device__ int variable;

__global__ void k(int *p)
{
    *p = variable;
}

int main(void)
{
    struct cudaFuncAttributes a;
    int *p = NULL, n = 0, v = 0;

    T(cudaMalloc(&p, 4));
    k<<<1, 1>>>(p);
    T(cudaPeekAtLastError());
    T(cudaGetLastError());
    k<<<1, 1>>>(p);
    T(cudaGetLastError());
    T(cudaFuncGetAttributes(&a, (const void *)k));
    T(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, (const void *)k, 32, 0));
    T(cudaMemcpyToSymbol(variable, &v, sizeof(v)));
    T(cudaGetLastError());
    T(cudaDeviceSynchronize());
    T(cudaMemset(p, 0, 4));
    T(cudaFree(p));
    return 0;
}
