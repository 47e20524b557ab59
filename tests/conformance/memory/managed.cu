/* SPDX-License-Identifier: MIT */
/* covers: cudaMallocManaged cudaStreamAttachMemAsync cuMemAllocManaged cuStreamAttachMemAsync */
/* Managed memory: what the kernel writes the program reads, and the other way round. */
#include <cuda.h>
#include <cuda_runtime.h>

#include "transcript.h"

struct node {
    struct node *next;
    int value;
};

__global__ void walk(struct node *n, int *sum)
{
    for (; n; n = n->next) {
        *sum += n->value;
        n->value = -n->value;
    }
}

int main()
{
    struct node *n;
    int *sum, *d, total = 0, v;
    cudaStream_t s;
    CUdeviceptr cd = 0;

    T(cudaDeviceGetAttribute(&v, cudaDevAttrManagedMemory, 0));
    T_INT("managed memory", v);
    T(cudaDeviceGetAttribute(&v, cudaDevAttrConcurrentManagedAccess, 0));
    T_VOLATILE("concurrent", v);
    T_OK(cudaMallocManaged((void **)&n, 100 * sizeof(*n)));
    T_OK(cudaMallocManaged((void **)&sum, sizeof(int), cudaMemAttachGlobal));
    T_OK(cudaStreamCreate(&s));
    for (int i = 0; i < 100; i++)
        n[i] = (struct node){i < 99 ? &n[i + 1] : NULL, i};
    *sum = 10;
    walk<<<1, 1, 0, s>>>(n, sum);
    T(cudaStreamSynchronize(s));
    for (int i = 0; i < 100; i++)
        total += n[i].value;
    T_INT("sum", *sum);
    T_INT("total", total);
    T(cudaMemset(sum, 0, 4));
    T(cudaDeviceSynchronize());
    T_INT("sum", *sum);
    T_OK(cudaMalloc((void **)&d, 4));
    v = 1234;
    T(cudaMemcpy(d, &v, 4, cudaMemcpyHostToDevice));
    T(cudaMemcpy(sum, d, 4, cudaMemcpyDeviceToDevice));
    T(cudaMemcpy(&v, sum, 4, cudaMemcpyDefault));
    T_INT("copied", v);
    T(cudaStreamAttachMemAsync(s, n, 0, cudaMemAttachSingle));
    T(cudaStreamSynchronize(s));
    T(cudaStreamAttachMemAsync(s, sum));
    T(cudaStreamAttachMemAsync(NULL, n, 0, cudaMemAttachGlobal));
    T(cudaStreamAttachMemAsync(NULL, n, 0, cudaMemAttachSingle));
    T(cudaStreamAttachMemAsync(s, n + 1, 0, cudaMemAttachSingle));
    T(cudaStreamAttachMemAsync(s, n, 16, cudaMemAttachSingle));
    T(cudaStreamAttachMemAsync(s, n, 100 * sizeof(*n), cudaMemAttachHost));
    T(cudaStreamAttachMemAsync(s, n, 0, 8));
    T(cudaStreamAttachMemAsync(s, &v, 0, cudaMemAttachSingle));
    T(cudaStreamAttachMemAsync(s, d, 0, cudaMemAttachSingle));
    T(cudaDeviceSynchronize());
    T(cudaMallocManaged((void **)&d, 0));
    T(cudaMallocManaged((void **)&d, 16, 0));
    T(cudaMallocManaged((void **)&d, 16, cudaMemAttachSingle));
    T(cudaMallocManaged((void **)NULL, 16));
    T(cudaMallocManaged((void **)&d, 16, cudaMemAttachHost));
    T(cudaFree(d));
    T(cudaFreeHost(sum));
    T(cudaFree(sum));
    T(cudaFree(sum));
    T(cudaFree(n));
    T(cudaGetLastError());
    T(cuMemAllocManaged(&cd, 100, CU_MEM_ATTACH_GLOBAL));
    T(cuStreamAttachMemAsync((CUstream)s, cd, 0, CU_MEM_ATTACH_SINGLE));
    T(cuStreamSynchronize((CUstream)s));
    T(cuMemFree(cd));
    T(cuMemAllocManaged(&cd, 0, CU_MEM_ATTACH_GLOBAL));
    T(cuMemAllocManaged(&cd, 10, 0));
    T(cuMemAllocManaged(NULL, 10, CU_MEM_ATTACH_GLOBAL));
    return 0;
}
