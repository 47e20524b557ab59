/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamAddCallback cudaStreamAddCallback_ptsz cuStreamAddCallback */
/* Stream callbacks: arguments, order, CUDA calls inside, wrong uses. */
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <semaphore.h>

#include "transcript.h"

static cudaStream_t s;
static sem_t go; /* so that lines come in one order */

static void cb(cudaStream_t stream, cudaError_t status, void *arg)
{
    void *q;

    sem_wait(&go);
    printf("callback %d: status %d, own stream %d\n", (int)(intptr_t)arg, (int)status, stream == s);
    if ((intptr_t)arg == 2) {
        T(cudaMalloc(&q, 16));
        T(cudaStreamQuery(stream));
        T(cudaGetLastError());
    }
}

static void default_cb(cudaStream_t stream, cudaError_t status, void *arg)
{
    sem_wait(&go);
    printf("callback %d: status %d, stream 0 %d, legacy %d, per thread %d\n", (int)(intptr_t)arg,
           (int)status, stream == NULL, stream == cudaStreamLegacy, stream == cudaStreamPerThread);
}

cudaError_t cudaStreamAddCallback_ptsz(cudaStream_t s, cudaStreamCallback_t fn, void *arg,
                                       unsigned flags);

int main(void)
{
    void *p;

    sem_init(&go, 0, 0);
    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T_OK(cudaMalloc(&p, 1 << 20));
    T(cudaMemsetAsync(p, 0, 1 << 20, s));
    T(cudaStreamAddCallback(s, cb, (void *)1, 0));
    T(cudaStreamAddCallback(s, cb, (void *)2, 0));
    T(cudaMemsetAsync(p, 1, 1 << 20, s));
    T(cuStreamAddCallback((CUstream)s, (CUstreamCallback)cb, (void *)3, 0));
    for (int i = 0; i < 3; i++)
        sem_post(&go);
    T(cudaStreamSynchronize(s));
    T(cudaStreamAddCallback(NULL, default_cb, (void *)4, 0));
    sem_post(&go);
    T(cudaStreamSynchronize(NULL));
    T(cudaStreamAddCallback(cudaStreamLegacy, default_cb, (void *)5, 0));
    sem_post(&go);
    T(cudaStreamSynchronize(NULL));
    T(cudaStreamAddCallback(cudaStreamPerThread, default_cb, (void *)6, 0));
    sem_post(&go);
    T(cudaStreamSynchronize(cudaStreamPerThread));
    T(cudaStreamAddCallback_ptsz(NULL, default_cb, (void *)7, 0));
    sem_post(&go);
    T(cudaStreamSynchronize(cudaStreamPerThread));
    T(cudaStreamAddCallback(s, cb, NULL, 1));
    T(cudaStreamAddCallback(s, NULL, NULL, 0));
    T(cuStreamAddCallback((CUstream)s, NULL, NULL, 0));
    T(cuStreamAddCallback((CUstream)s, (CUstreamCallback)cb, NULL, 7));
    T(cudaGetLastError());
    T(cudaStreamDestroy(s));
    T(cudaFree(p));
    return 0;
}
