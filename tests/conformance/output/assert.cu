/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceSynchronize cudaGetLastError cudaGetErrorName */
/* A failed device assertion: its line on the standard error, then an error that stays. */
#include <assert.h>
#include <cuda_runtime.h>

#include "transcript.h"

#line 1 "assert.cu"
__global__ void check(int n)
{
    assert(threadIdx.x != n);
    assert(n < 100 && "n is small");
}

int main(void)
{
    int *p, v;

    T_OK(cudaMalloc(&p, 4));
    check<<<1, 32>>>(40);
    T(cudaDeviceSynchronize());
    check<<<1, 4>>>(2);
    int rc = T(cudaDeviceSynchronize());
    printf("%s\n", cudaGetErrorName((cudaError_t)rc));
    T(cudaGetLastError());
    T(cudaGetLastError());
    T(cudaMemcpy(&v, p, 4, cudaMemcpyDeviceToHost));
    T(cudaMalloc(&p, 4));
    check<<<1, 1>>>(5);
    T(cudaPeekAtLastError());
    T(cudaFree(p));
    T(cudaDeviceSynchronize());
    return 0;
}
