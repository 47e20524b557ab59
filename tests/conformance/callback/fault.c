/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamAddCallback cudaLaunchHostFunc */
/* After a fault of the context: a callback is told, a host function does not run. */
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <semaphore.h>
#include <unistd.h>

#include "transcript.h"

extern const unsigned char kernels_image[];

static volatile int called, ran;
static volatile int status_ = -1;

static void cb(cudaStream_t stream, cudaError_t status, void *arg)
{
    status_ = status;
    called = 1;
}

static sem_t go;

static void wait_go(void *arg)
{
    sem_wait(&go);
}

static void fn(void *arg)
{
    ran = 1;
}

int main(void)
{
    CUmodule m;
    CUfunction f;
    cudaStream_t s;
    int *p = (int *)8, v = 1, n = 1;
    void *args[] = {&p, &v, &n};

    sem_init(&go, 0, 0);
    T_OK(cudaStreamCreate(&s));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&f, m, "add_int"));
    T(cudaLaunchHostFunc(s, wait_go, NULL));
    T(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, (CUstream)s, args, NULL));
    T(cudaStreamAddCallback(s, cb, NULL, 0));
    T(cudaLaunchHostFunc(s, fn, NULL));
    sem_post(&go);
    T(cudaStreamSynchronize(s));
    for (int i = 0; i < 200 && !called; i++)
        usleep(10000);
    T_INT("called", called);
    T_INT("status", status_);
    T_INT("host function ran", ran);
    T(cudaStreamAddCallback(s, cb, NULL, 0));
    T(cudaLaunchHostFunc(s, fn, NULL));
    T(cudaGetLastError());
    return 0;
}
