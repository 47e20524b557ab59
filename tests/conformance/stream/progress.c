/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamSynchronize cuLaunchKernel cudaStreamQuery */
/* One thread waits for a stream whose kernel waits for another thread's launch, one floods a
 * stream: all make progress. */
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>

#include "transcript.h"

#define FLOOD 3000

extern const unsigned char kernels_image[];

static CUfunction wait_flag, add_int;
static int *flag, *seen, *data;
static cudaStream_t s[3];
static int rc[3];

static int add(int *p, int v, int i)
{
    int n = 1;
    void *args[] = {&p, &v, &n};

    return cuLaunchKernel(add_int, 1, 1, 1, 1, 1, 1, 0, (CUstream)s[i], args, NULL);
}

static void *waiter(void *arg)
{
    void *args[] = {&flag, &seen};

    rc[0] = cudaSetDevice(0);
    if (!rc[0])
        rc[0] = cuLaunchKernel(wait_flag, 1, 1, 1, 1, 1, 1, 0, (CUstream)s[0], args, NULL);
    pthread_barrier_wait(arg);
    if (!rc[0])
        rc[0] = cudaStreamSynchronize(s[0]);
    return NULL;
}

static void *flooder(void *arg)
{
    rc[1] = cudaSetDevice(0);
    pthread_barrier_wait(arg);
    for (int i = 0; i < FLOOD && !rc[1]; i++)
        rc[1] = add(data, 1, 1);
    if (!rc[1])
        rc[1] = cudaStreamSynchronize(s[1]);
    return NULL;
}

/* Sets the flag from a kernel of its own, after the others have begun. */
static void *setter(void *arg)
{
    rc[2] = cudaSetDevice(0);
    pthread_barrier_wait(arg);
    for (int i = 0; i < 100 && !rc[2]; i++)
        rc[2] = add(data + 1, 1, 2);
    if (!rc[2])
        rc[2] = cudaStreamSynchronize(s[2]);
    if (!rc[2])
        rc[2] = cudaStreamQuery(s[0]) == cudaErrorNotReady ? 0 : 9999; /* still waiting */
    if (!rc[2])
        rc[2] = add(flag, 42, 2);
    return NULL;
}

int main(void)
{
    void *(*const fn[3])(void *) = {waiter, flooder, setter};
    pthread_barrier_t all;
    int out[2] = {0};
    pthread_t t[3];
    CUmodule m;

    T_OK(cudaMalloc((void **)&flag, 64));
    T_OK(cudaMalloc((void **)&seen, 64));
    T_OK(cudaMalloc((void **)&data, 64));
    T_OK(cudaMemset(flag, 0, 64));
    T_OK(cudaMemset(data, 0, 64));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&wait_flag, m, "wait_flag"));
    T_OK(cuModuleGetFunction(&add_int, m, "add_int"));
    for (int i = 0; i < 3; i++)
        T_OK(cudaStreamCreateWithFlags(&s[i], cudaStreamNonBlocking));
    T_OK((cudaError_t)add(data, 0, 1));
    T_OK(cudaDeviceSynchronize());
    pthread_barrier_init(&all, NULL, 3);
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, fn[i], &all);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < 3; i++)
        T_INT("thread", rc[i]);
    T(cudaDeviceSynchronize());
    T(cudaMemcpy(out, seen, 4, cudaMemcpyDeviceToHost));
    T_INT("seen", out[0]);
    T(cudaMemcpy(out, data, 8, cudaMemcpyDeviceToHost));
    T_INT("flooded", out[0]);
    T_INT("others", out[1]);
    return 0;
}
