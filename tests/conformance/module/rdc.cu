/* SPDX-License-Identifier: MIT */
/* covers: __cudaRegisterFatBinary __cudaRegisterFatBinaryEnd __cudaRegisterFunction
 * __cudaRegisterVar __cudaGetKernel __cudaLaunchKernel */
/* Separately compiled device code (nvcc -rdc=true): functions and variables across two files, and
 * a static variable of the same name in both. */
#include <cuda_runtime.h>

#include "transcript.h"

extern __device__ int shared_total;
extern __constant__ int scale[4];
__device__ int from_other(int v);
static __device__ int state = 100;

__global__ void call_across(int *out)
{
    int i = threadIdx.x;

    out[i] = from_other(i) + state;
    atomicAdd(&shared_total, i);
}

/* In parts/rdc_b.cu. */
void other_run(int *out);
void other_set(void);

int main(void)
{
    int v[32], total = -1, s = 0, *out;

    T_OK(cudaMalloc(&out, sizeof(v)));
    other_set();
    call_across<<<1, 32>>>(out);
    T(cudaGetLastError());
    T(cudaMemcpy(v, out, sizeof(v), cudaMemcpyDeviceToHost));
    T_DIGEST("across", v, sizeof(v));
    T_INT("first", v[0]);
    T_INT("last", v[31]);
    T(cudaMemcpyFromSymbol(&total, shared_total, sizeof(total)));
    T_INT("total", total);
    T(cudaMemcpyFromSymbol(&s, state, sizeof(s)));
    T_INT("state here", s);
    s = 7;
    T(cudaMemcpyToSymbol(state, &s, sizeof(s)));
    call_across<<<1, 32>>>(out);
    T(cudaMemcpy(v, out, sizeof(v), cudaMemcpyDeviceToHost));
    T_INT("first", v[0]);
    other_run(out);
    T(cudaMemcpy(v, out, sizeof(v), cudaMemcpyDeviceToHost));
    T_INT("other's first", v[0]);
    T_INT("other's last", v[31]);
    T(cudaFree(out));
    return 0;
}
