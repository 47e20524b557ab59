/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchHostFunc cudaLaunchHostFunc_ptsz cuLaunchHostFunc */
/* Host functions run in stream order, after the work before them and before the work after them. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

#define N 1000

static int log_[64], nlog;
static int *host;

static void note(void *arg)
{
    log_[nlog++] = (int)(intptr_t)arg;
}

/* Sees the copy before it, and what it writes is seen by the copy after it. */
static void look(void *arg)
{
    log_[nlog++] = host[N - 1];
    host[0] = 77;
}

cudaError_t cudaLaunchHostFunc_ptsz(cudaStream_t s, cudaHostFn_t fn, void *arg);

int main(void)
{
    cudaStream_t s;
    int *d, back[N];

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMalloc((void **)&d, N * sizeof(int)));
    T_OK(cudaMallocHost((void **)&host, N * sizeof(int)));
    T_OK(cudaMemset(d, 1, N * sizeof(int)));
    memset(host, 0, N * sizeof(int));
    T(cudaLaunchHostFunc(s, note, (void *)1));
    T(cudaMemcpyAsync(host, d, N * sizeof(int), cudaMemcpyDeviceToHost, s));
    T(cudaLaunchHostFunc(s, look, NULL));
    T(cudaMemcpyAsync(d, host, N * sizeof(int), cudaMemcpyHostToDevice, s));
    T(cudaLaunchHostFunc(s, note, (void *)3));
    T(cudaMemcpyAsync(back, d, sizeof(back), cudaMemcpyDeviceToHost, s));
    T(cudaStreamSynchronize(s));
    for (int i = 0; i < nlog; i++)
        T_HEX("log", log_[i]);
    T_INT("back[0]", back[0]);
    T_HEX("back[1]", back[1]);

    nlog = 0;
    for (int i = 0; i < 40; i++)
        if (cudaLaunchHostFunc(s, note, (void *)(intptr_t)i))
            return 1;
    T(cudaStreamSynchronize(s));
    T_DIGEST("40 in order", log_, 40 * sizeof(int));
    nlog = 0;
    T(cudaLaunchHostFunc(NULL, note, (void *)5));
    T(cudaLaunchHostFunc(cudaStreamLegacy, note, (void *)6));
    T(cudaDeviceSynchronize());
    T(cudaLaunchHostFunc(cudaStreamPerThread, note, (void *)7));
    T(cudaLaunchHostFunc_ptsz(NULL, note, (void *)8));
    T(cudaStreamSynchronize(cudaStreamPerThread));
    T(cuLaunchHostFunc((CUstream)s, note, (void *)9));
    T(cudaStreamSynchronize(s));
    for (int i = 0; i < nlog; i++)
        T_INT("log", log_[i]);
    T(cudaLaunchHostFunc(s, NULL, NULL));
    T(cudaGetLastError());
    T(cuLaunchHostFunc((CUstream)s, NULL, NULL));
    T(cudaStreamDestroy(s));
    return 0;
}
