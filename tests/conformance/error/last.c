/* SPDX-License-Identifier: MIT */
/* covers: cudaGetLastError cudaPeekAtLastError */
/* The last error: which calls set it, whose it is, what clears it. */
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>

#include "transcript.h"

static void *thread(void *arg)
{
    T(cudaPeekAtLastError());
    T(cudaGetLastError());
    T(cudaSetDevice(-1));
    T(cudaPeekAtLastError());
    return NULL;
}

int main(void)
{
    cudaStream_t s;
    CUdeviceptr p;
    pthread_t t;
    void *q;
    int v;

    T(cudaGetLastError());
    T(cudaPeekAtLastError());
    T(cudaMalloc(NULL, 16));
    T(cudaPeekAtLastError());
    T(cudaPeekAtLastError());
    T(cudaMalloc(&q, 16)); /* success does not clear it */
    T(cudaPeekAtLastError());
    T(cudaFree((char *)q + 1));
    T(cudaSetDevice(1000)); /* the latest counts */
    T(cudaPeekAtLastError());
    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, NULL);
    T(cudaGetLastError());
    T(cudaGetLastError());
    T(cudaStreamCreate(&s));
    T(cudaLaunchKernel((void *)main, (dim3){1, 1, 1}, (dim3){1, 1, 1}, NULL, 0, s));
    T(cudaGetLastError());
    T(cudaStreamQuery(s)); /* not ready would not count either */
    T(cudaPeekAtLastError());
    T(cudaDeviceGetAttribute(&v, (enum cudaDeviceAttr)9999, 0));
    T(cudaPeekAtLastError());
    T(cudaDeviceSynchronize());
    T(cudaGetLastError());
    /* The driver's errors are not the runtime's. */
    T(cuMemAlloc(&p, 0));
    T(cuMemAlloc(NULL, 16));
    T(cudaGetLastError());
    T(cudaGetDeviceCount(NULL));
    T(cudaGetLastError());
    T(cudaDriverGetVersion(NULL));
    T(cudaGetLastError());
    T(cudaEventQuery(NULL));
    T(cudaPeekAtLastError());
    T(cudaDeviceReset());
    T(cudaGetLastError());
    return 0;
}
