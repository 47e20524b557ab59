/* SPDX-License-Identifier: MIT */
/* covers: cudaMalloc cudaMemcpyAsync cudaStreamSynchronize cuLaunchKernel cudaFree */
/* Eight threads begin at once, each with streams and memory of its own. */
#include "kernels.h"

#include <pthread.h>

#define THREADS 8
#define N       2000

static pthread_barrier_t start;
static uint64_t digest[THREADS];
static int failed[THREADS];
static CUfunction add;

static void *work(void *arg)
{
    long me = (long)arg;
    int host[N], n = N, *p, v;
    cudaStream_t s;

    pthread_barrier_wait(&start);
    failed[me] += cudaStreamCreateWithFlags(&s, me & 1 ? cudaStreamNonBlocking : 0) != 0;
    for (int round = 0; round < 5; round++) {
        failed[me] += cudaMalloc((void **)&p, sizeof(host)) != 0;
        t_fill(host, sizeof(host), (uint32_t)(me * 100 + round));
        failed[me] += cudaMemcpyAsync(p, host, sizeof(host), cudaMemcpyHostToDevice, s) != 0;
        for (v = 1; v < 20; v++)
            failed[me] += t_launch(add, (N + 127) / 128, 128, 0, s, ARGS(&p, &v, &n)) != 0;
        failed[me] += cudaMemcpyAsync(host, p, sizeof(host), cudaMemcpyDeviceToHost, s) != 0;
        failed[me] += cudaStreamSynchronize(s) != 0;
        digest[me] ^= t_digest(host, sizeof(host)) + (uint64_t)round;
        failed[me] += cudaFree(p) != 0;
    }
    failed[me] += cudaStreamDestroy(s) != 0;
    return NULL;
}

int main(void)
{
    pthread_t t[THREADS];

    pthread_barrier_init(&start, NULL, THREADS);
    add = t_kernel("add_int");
    for (long i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, work, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        T_INT("failed", failed[i]);
        T_HEX("digest", digest[i]);
    }
    return 0;
}
