/* SPDX-License-Identifier: MIT */
/* covers: cudaGetDeviceCount cudaMalloc cudaGetLastError */
/* The first CUDA calls of a process come from many threads at once. */
#include <cuda_runtime_api.h>
#include <pthread.h>

#include "transcript.h"

#define THREADS 16

static pthread_barrier_t start;
static int rc[THREADS][6];

static void *work(void *arg)
{
    long me = (long)arg;
    int n = -1, host = (int)me, back = -1;
    void *p = NULL;

    pthread_barrier_wait(&start);
    rc[me][0] = me & 1 ? cudaGetDeviceCount(&n) : cudaFree(NULL);
    rc[me][1] = cudaMalloc(&p, 4 + me * 1000);
    rc[me][2] = cudaMemcpy(p, &host, 4, cudaMemcpyHostToDevice);
    rc[me][3] = cudaMemcpy(&back, p, 4, cudaMemcpyDeviceToHost);
    rc[me][4] = back == host ? (int)cudaFree(p) : -1;
    rc[me][5] = me % 3 ? cudaGetLastError() : cudaFree((void *)0x10);
    return NULL;
}

int main(void)
{
    pthread_t t[THREADS];

    pthread_barrier_init(&start, NULL, THREADS);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, work, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < THREADS; i++)
        printf("thread %d = %d %d %d %d %d %d\n", i, rc[i][0], rc[i][1], rc[i][2], rc[i][3],
               rc[i][4], rc[i][5]);
    T(cudaGetLastError());
    return 0;
}
