/* SPDX-License-Identifier: MIT */
/* covers: cudaFree cudaMalloc cudaStreamCreate cuModuleLoadData */
/* Many threads whose first calls come at the same time. */
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>

#include "transcript.h"

#define N 24

extern const unsigned char kernels_image[];
static pthread_barrier_t start;
static int rc[N], sum[N];

static void *work(void *arg)
{
    int i = (int)(intptr_t)arg, n = 256, out[256] = {0};
    int *p;
    void *args[] = {&p, &i, &n};
    CUfunction f;
    CUmodule m;
    cudaStream_t s;

    pthread_barrier_wait(&start);
#define DO(call)                                                                                   \
    if (!rc[i])                                                                                    \
    rc[i] = (int)(call)
    if (i % 3 == 0)
        DO(cudaFree(0));
    if (i % 3 == 1)
        DO(cudaSetDevice(0));
    DO(cudaMalloc((void **)&p, sizeof(out)));
    DO(cudaStreamCreate(&s));
    DO(cudaMemsetAsync(p, 0, sizeof(out), s));
    DO(cuModuleLoadData(&m, kernels_image));
    DO(cuModuleGetFunction(&f, m, "add_int"));
    for (int k = 0; k < 10; k++)
        DO(cuLaunchKernel(f, 2, 1, 1, 128, 1, 1, 0, (CUstream)s, args, NULL));
    DO(cudaMemcpyAsync(out, p, sizeof(out), cudaMemcpyDeviceToHost, s));
    DO(cudaStreamSynchronize(s));
    DO(cudaStreamDestroy(s));
    DO(cudaFree(p));
    DO(cuModuleUnload(m));
    for (int k = 0; k < 256; k++)
        sum[i] += out[k];
    return NULL;
}

int main(void)
{
    pthread_t t[N];

    pthread_barrier_init(&start, NULL, N);
    for (intptr_t i = 0; i < N; i++)
        pthread_create(&t[i], NULL, work, (void *)i);
    for (int i = 0; i < N; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < N; i++)
        printf("%d = %d %d\n", i, rc[i], sum[i]);
    T(cudaDeviceSynchronize());
    T(cudaGetLastError());
    return 0;
}
