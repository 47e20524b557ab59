/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceSetLimit cudaDeviceGetLimit cudaLaunchKernel */
/* malloc, free, new and delete in kernels; what lives from one kernel to the next; the limit. */
#include <cuda_runtime.h>

#include "transcript.h"

__device__ int *kept[64];

__global__ void take(int *got)
{
    int t = threadIdx.x;
    int *p = (int *)malloc((t + 1) * 16);

    got[t] = p != NULL && ((size_t)p & 15) == 0;
    if (p)
        for (int i = 0; i < (t + 1) * 4; i++)
            p[i] = t * 1000 + i;
    kept[t] = p;
}

__global__ void look_and_free(int *sums)
{
    int t = threadIdx.x, sum = 0;

    for (int i = 0; i < (t + 1) * 4; i++)
        sum += kept[t][i];
    sums[t] = sum;
    free(kept[t]);
    kept[t] = NULL;
}

__global__ void news(int *out)
{
    int *a = new int[10], *b = new int(5);

    for (int i = 0; i < 10; i++)
        a[i] = i;
    out[threadIdx.x] = a[3] + a[9] + *b;
    delete[] a;
    delete b;
    free(NULL);
}

__global__ void too_much(int *out)
{
    void *p = malloc((size_t)64 << 20);

    *out = p == NULL;
    free(p);
}

/* As much as there is, in pieces, again and again: nothing may be lost. */
__global__ void again(int *failed)
{
    for (int round = 0; round < 40; round++) {
        void *p[4];

        for (int i = 0; i < 4; i++)
            if (!(p[i] = malloc(256 << 10)))
                atomicAdd(failed, 1);
        for (int i = 0; i < 4; i++)
            free(p[i]);
    }
}

int main(void)
{
    int *out, host[64];
    size_t n = 0;

    T(cudaDeviceSetLimit(cudaLimitMallocHeapSize, 16 << 20));
    T(cudaDeviceGetLimit(&n, cudaLimitMallocHeapSize));
    T_INT("heap", n);
    T_OK(cudaMalloc(&out, sizeof(host)));
    take<<<1, 64>>>(out);
    T(cudaMemcpy(host, out, sizeof(host), cudaMemcpyDeviceToHost));
    T_DIGEST("taken", host, sizeof(host));
    T(cudaDeviceSetLimit(cudaLimitMallocHeapSize, 32 << 20)); /* after the first use */
    T(cudaGetLastError());
    look_and_free<<<1, 64>>>(out);
    T(cudaMemcpy(host, out, sizeof(host), cudaMemcpyDeviceToHost));
    T_DIGEST("sums", host, sizeof(host));
    news<<<1, 64>>>(out);
    T(cudaMemcpy(host, out, sizeof(host), cudaMemcpyDeviceToHost));
    T_DIGEST("news", host, sizeof(host));
    too_much<<<1, 1>>>(out);
    T(cudaMemcpy(host, out, 4, cudaMemcpyDeviceToHost));
    T_INT("too much refused", host[0]);
    T(cudaMemset(out, 0, 4));
    again<<<1, 1>>>(out);
    T(cudaMemcpy(host, out, 4, cudaMemcpyDeviceToHost));
    T_INT("failed", host[0]);
    return 0;
}
