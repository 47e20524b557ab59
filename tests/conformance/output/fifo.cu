/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceSetLimit cudaDeviceGetLimit */
/* Device printf into a buffer of a given size, below and above what it holds. */
#include <cuda_runtime.h>

#include "transcript.h"

__global__ void lines(int n)
{
    for (int i = 0; i < n; i++)
        printf("line %d of some length, so that it fills\n", i);
}

int main(void)
{
    size_t n = 0;

    T(cudaDeviceGetLimit(&n, cudaLimitPrintfFifoSize));
    T_INT("first", n);
    T(cudaDeviceSetLimit(cudaLimitPrintfFifoSize, 4 << 20));
    T(cudaDeviceGetLimit(&n, cudaLimitPrintfFifoSize));
    T_INT("then", n);
    lines<<<1, 1>>>(200);
    T(cudaDeviceSynchronize());
    T(cudaDeviceSetLimit(cudaLimitPrintfFifoSize, 8 << 20)); /* after the first launch */
    T(cudaDeviceGetLimit(&n, cudaLimitPrintfFifoSize));
    T_INT("at last", n);
    T(cudaGetLastError());
    return 0;
}
