/* SPDX-License-Identifier: MIT */
/* Part of calls.cu: an image that is not loaded before it is used. */
#include <cuda_runtime.h>

__device__ unsigned large[1 << 16];

__global__ void add_two(unsigned *p)
{
    large[threadIdx.x] = 2;
    p[threadIdx.x] += large[threadIdx.x] - 1;
}

void launch_lazy(unsigned *p)
{
    add_two<<<1, 1000>>>(p);
}
