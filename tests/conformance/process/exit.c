/* SPDX-License-Identifier: MIT */
/* covers: cudaFree cudaMalloc cudaDeviceSynchronize */
/* Calls from constructors, destructors and functions registered with atexit. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

static void *p;

__attribute__((constructor)) static void early(void)
{
    T(cudaMalloc(&p, 64));
    T(cudaMemset(p, 1, 64));
}

__attribute__((destructor)) static void late(void)
{
    CUdeviceptr d = 0;

    printf("destructor\n");
    T(cudaDeviceSynchronize());
    T(cudaFree(p));
    T(cudaGetLastError());
    T(cuMemAlloc(&d, 16));
}

static void at_exit(void)
{
    int v = 0;

    printf("atexit\n");
    T(cudaMemcpy(&v, p, 4, cudaMemcpyDeviceToHost));
    T_HEX("v", v);
    T(cudaDeviceSynchronize());
}

int main(void)
{
    int v = 0;

    atexit(at_exit);
    T(cudaMemcpy(&v, p, 4, cudaMemcpyDeviceToHost));
    T_HEX("v", v);
    return 0;
}
