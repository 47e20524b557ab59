/* SPDX-License-Identifier: MIT */
/* The second file of module/rdc.cu. */
#include <cuda_runtime.h>

#include "transcript.h"

__device__ int shared_total = 1000;
__constant__ int scale[4] = {2, 3, 5, 7};
static __device__ int state = 200;

__device__ __noinline__ int from_other(int v)
{
    return v * scale[v & 3] + state;
}

__global__ void own(int *out)
{
    out[threadIdx.x] = from_other(threadIdx.x) * 10 + shared_total;
}

void other_set(void)
{
    int v = 300, got = 0;

    T(cudaMemcpyFromSymbol(&got, state, sizeof(got)));
    T_INT("state there", got);
    T(cudaMemcpyToSymbol(state, &v, sizeof(v)));
}

void other_run(int *out)
{
    own<<<1, 32>>>(out);
    T(cudaGetLastError());
}
