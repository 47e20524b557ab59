/* SPDX-License-Identifier: MIT */
/* covers: cudaMallocAsync cudaFreeAsync cuMemAllocAsync cuMemFreeAsync */
/* Memory that comes and goes in the order of a stream. */
#include <cuda.h>
#include <cuda_runtime.h>

#include "transcript.h"

#define N 100000

__global__ void fill(int *p, int v, int n)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        p[i] = v + i;
}

__global__ void add(int *sum, const int *p, int n)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(sum, p[i]);
}

int main()
{
    int *sum, *p[20], *q = NULL, *r = NULL, got = 0, v = 0;
    CUdeviceptr cd = 0;
    cudaStream_t s, t;
    cudaEvent_t e;

    T(cudaDeviceGetAttribute(&v, cudaDevAttrMemoryPoolsSupported, 0));
    T_INT("supported", v);
    T_OK(cudaMalloc((void **)&sum, sizeof(*sum)));
    T_OK(cudaMemset(sum, 0, sizeof(*sum)));
    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T_OK(cudaStreamCreateWithFlags(&t, cudaStreamNonBlocking));
    T_OK(cudaEventCreate(&e));
    T_OK(cudaDeviceSynchronize());
    /* No synchronisation in between: the free is ordered after the kernels that use the memory. */
    for (int i = 0; i < 20; i++) {
        p[i] = NULL;
        if (cudaMallocAsync((void **)&p[i], N * sizeof(int), s))
            T_INT("no memory", i);
        fill<<<64, 128, 0, s>>>(p[i], i, N);
        add<<<64, 128, 0, s>>>(sum, p[i], N);
        if (cudaFreeAsync(p[i], s))
            T_INT("not freed", i);
    }
    T(cudaStreamSynchronize(s));
    T(cudaMemcpy(&got, sum, sizeof(got), cudaMemcpyDeviceToHost));
    T_INT("sum", got);
    /* Used in another stream, ordered by an event. */
    T(cudaMallocAsync((void **)&q, N * sizeof(int), s));
    T_BOOL("aligned", ((uintptr_t)q & 255) == 0);
    fill<<<64, 128, 0, s>>>(q, 5, N);
    T(cudaEventRecord(e, s));
    T(cudaStreamWaitEvent(t, e, 0));
    T(cudaMemsetAsync(sum, 0, sizeof(*sum), t));
    add<<<64, 128, 0, t>>>(sum, q, N);
    T(cudaFreeAsync(q, t));
    T(cudaStreamSynchronize(t));
    T(cudaMemcpy(&got, sum, sizeof(got), cudaMemcpyDeviceToHost));
    T_INT("sum", got);
    /* The two kinds of free. */
    T(cudaMallocAsync((void **)&q, 1000, s));
    T(cudaStreamSynchronize(s));
    T(cudaFree(q));
    T_OK(cudaMalloc((void **)&r, 1000));
    T(cudaFreeAsync(r, s));
    T(cudaStreamSynchronize(s));
    T(cudaMallocAsync((void **)&q, 1000, s));
    T(cudaMemcpyAsync(q, sum, 4, cudaMemcpyDeviceToDevice, s));
    T(cudaMemcpyAsync(&got, q, 4, cudaMemcpyDeviceToHost, s));
    T(cudaStreamSynchronize(s));
    T_INT("copied", got);
    T(cudaFreeAsync(q + 1, s));
    T(cudaFreeAsync(q, s));
    T(cudaFreeAsync(q, s));
    T(cudaFreeAsync(NULL, s));
    T(cudaFreeAsync(&got, s));
    T(cudaMallocAsync((void **)&q, 0, s));
    T_BOOL("nothing", q == NULL);
    T(cudaMallocAsync((void **)NULL, 10, s));
    T(cudaMallocAsync((void **)&q, (size_t)1 << 50, s));
    T(cudaMallocAsync((void **)&q, 64, cudaStreamPerThread));
    T(cudaFreeAsync(q, cudaStreamLegacy));
    T(cudaGetLastError());
    T(cuMemAllocAsync(&cd, 4096, (CUstream)s));
    T(cuMemsetD8Async(cd, 1, 4096, (CUstream)s));
    T(cuMemFreeAsync(cd, (CUstream)s));
    T(cuMemFreeAsync(cd, (CUstream)s));
    T(cuMemFreeAsync(0, (CUstream)s));
    T(cuMemAllocAsync(&cd, 0, (CUstream)s));
    T(cuMemAllocAsync(NULL, 10, (CUstream)s));
    T(cudaDeviceSynchronize());
    return 0;
}
