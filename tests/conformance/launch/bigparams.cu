/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchKernel cudaFuncGetParamInfo __cudaLaunchKernel */
/* Parameters beyond 4 KiB up to the limit of 32764 octets, and __grid_constant__ ones. */
#include <cuda_runtime.h>

#include "transcript.h"

struct big {
    int v[5000];
};
struct biggest {
    int v[8188];
    int last[2];
};

__global__ void sum(const __grid_constant__ big b, int *out)
{
    __shared__ int s[256];
    int t = threadIdx.x, x = 0;

    for (int i = t; i < 5000; i += 256)
        x += b.v[i];
    s[t] = x;
    __syncthreads();
    if (t == 0) {
        for (int i = 1; i < 256; i++)
            s[0] += s[i];
        *out = s[0];
    }
}

__global__ void ends(biggest b, char tail)
{
    int *out = (int *)((unsigned long long)(unsigned)b.v[1] << 32 | (unsigned)b.v[0]);

    out[0] = b.v[8187] + b.last[1] + tail;
}

__global__ void by_address(const __grid_constant__ big b, int which, int *out)
{
    const int *at = b.v + which; /* its address may be taken without a copy */

    *out = *at;
}

int main(void)
{
    static big b;
    static biggest g;
    size_t off = 0, size = 0;
    int *out, v = 0, want = 0;

    T_OK(cudaMalloc(&out, 4));
    for (int i = 0; i < 5000; i++)
        want += b.v[i] = i * 7 + 1;
    sum<<<1, 256>>>(b, out);
    T(cudaGetLastError());
    T(cudaMemcpy(&v, out, 4, cudaMemcpyDeviceToHost));
    T_BOOL("sum", v == want);
    for (int i = 0; i < 5000; i += 1234) {
        by_address<<<1, 1>>>(b, i, out);
        T(cudaMemcpy(&v, out, 4, cudaMemcpyDeviceToHost));
        T_INT("element", v);
    }
    g.v[0] = (int)(unsigned long long)out;
    g.v[1] = (int)((unsigned long long)out >> 32);
    g.v[8187] = 1000;
    g.last[1] = 200;
    ends<<<1, 1>>>(g, 30);
    T(cudaGetLastError());
    T(cudaMemcpy(&v, out, 4, cudaMemcpyDeviceToHost));
    T_INT("ends", v);
    T(cudaFuncGetParamInfo((const void *)ends, 0, &off, &size));
    printf("parameter 0 at %zu of %zu\n", off, size);
    T(cudaFuncGetParamInfo((const void *)ends, 1, &off, &size));
    printf("parameter 1 at %zu of %zu\n", off, size);
    T(cudaFuncGetParamInfo((const void *)sum, 1, &off, &size));
    printf("parameter 1 at %zu of %zu\n", off, size);
    T(cudaFree(out));
    return 0;
}
