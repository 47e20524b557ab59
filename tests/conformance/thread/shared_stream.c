/* SPDX-License-Identifier: MIT */
/* covers: cuLaunchKernel cudaEventRecord cudaEventSynchronize */
/* Threads that use one stream in turn: work is done in the order of the calls. */
#include "kernels.h"

#include <pthread.h>

#define THREADS 4
#define ROUNDS  50
#define N       512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t next = PTHREAD_COND_INITIALIZER;
static int turn, failed, *a, *b;
static CUfunction chain;
static cudaStream_t s;
static cudaEvent_t done[THREADS];

static void *work(void *arg)
{
    long me = (long)arg;
    int n = N;

    for (int round = 0; round < ROUNDS; round++) {
        pthread_mutex_lock(&lock);
        while (turn % THREADS != me)
            pthread_cond_wait(&next, &lock);
        if (turn & 1)
            failed += t_launch(chain, 2, 256, 0, s, ARGS(&b, &a, &n)) != 0;
        else
            failed += t_launch(chain, 2, 256, 0, s, ARGS(&a, &b, &n)) != 0;
        failed += cudaEventRecord(done[me], s) != 0;
        turn++;
        pthread_cond_broadcast(&next);
        pthread_mutex_unlock(&lock);
    }
    failed += cudaEventSynchronize(done[me]) != 0;
    return NULL;
}

int main(void)
{
    pthread_t t[THREADS];

    chain = t_kernel("chain");
    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T_OK(cudaMalloc((void **)&a, N * 4));
    T_OK(cudaMalloc((void **)&b, N * 4));
    T(cudaMemset(a, 0, N * 4));
    T(cudaDeviceSynchronize());
    for (int i = 0; i < THREADS; i++)
        T_OK(cudaEventCreate(&done[i]));
    for (long i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, work, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    T_INT("failed", failed);
    T(cudaStreamQuery(s));
    t_show("a", a, N);
    return 0;
}
