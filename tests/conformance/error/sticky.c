/* SPDX-License-Identifier: MIT */
/* covers: cudaGetLastError cudaPeekAtLastError cudaDeviceReset cuCtxSynchronize */
/* A kernel that stores where nothing is: the context is lost, and every call says so. */
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>

#include "child.h"

extern const unsigned char kernels_image[];

static CUfunction add_int;
static cudaStream_t s;
static cudaEvent_t e;
static void *p;

static void break_it(void)
{
    void *bad = (void *)0x10;
    int v = 1, n = 1;
    void *args[] = {&bad, &v, &n};
    CUmodule m;

    T_OK(cudaMalloc(&p, 4096));
    T_OK(cudaStreamCreate(&s));
    T_OK(cudaEventCreate(&e));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&add_int, m, "add_int"));
    T(cuLaunchKernel(add_int, 1, 1, 1, 1, 1, 1, 0, (CUstream)s, args, NULL));
    T(cudaStreamSynchronize(s));
}

static void *thread(void *arg)
{
    T(cudaGetLastError());
    T(cudaMalloc(&p, 16));
    T(cudaGetLastError());
    return NULL;
}

static void calls(void)
{
    CUdeviceptr d;
    size_t a, b;
    pthread_t t;
    CUcontext c;
    float ms;
    int n;

    break_it();
    T(cudaPeekAtLastError());
    T(cudaGetLastError());
    T(cudaGetLastError());
    T(cudaPeekAtLastError());
    T(cudaDeviceSynchronize());
    T(cudaMalloc(&p, 16));
    T(cudaFree(p));
    T(cudaFree(NULL));
    T(cudaMemset(p, 0, 16));
    T(cudaMemcpy(&n, p, 4, cudaMemcpyDeviceToHost));
    T(cudaStreamQuery(s));
    T(cudaStreamCreate(&s));
    T(cudaEventQuery(e));
    T(cudaEventRecord(e, 0));
    T(cudaEventElapsedTime(&ms, e, e));
    T(cudaEventDestroy(e));
    T(cudaMemGetInfo(&a, &b));
    T(cudaGetDeviceCount(&n));
    T(cudaGetDevice(&n));
    T(cudaSetDevice(0));
    T(cudaDeviceGetAttribute(&n, cudaDevAttrWarpSize, 0));
    T(cudaDriverGetVersion(&n));
    T(cudaRuntimeGetVersion(&n));
    T(cudaGetLastError());
    T(cuInit(0));
    T(cuCtxGetCurrent(&c));
    T(cuCtxSynchronize());
    T(cuMemAlloc(&d, 16));
    T(cuMemGetInfo(&a, &b));
    T(cuStreamQuery(NULL));
    T(cuDeviceGetCount(&n));
    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, NULL);
}

static void reset(void)
{
    break_it();
    T(cudaDeviceReset());
    T(cudaGetLastError());
    T(cudaMalloc(&p, 16));
    T(cudaMemset(p, 0, 16));
    T(cudaDeviceSynchronize());
    T(cudaGetLastError());
}

/* The driver's own context: destroying it ends the error. */
static void created(void)
{
    void *bad = (void *)0x10;
    int v = 1, n = 1;
    void *args[] = {&bad, &v, &n};
    CUcontext a, b;
    CUdeviceptr d;
    CUmodule m;

    T_OK(cuInit(0));
    T_OK(cuCtxCreate(&a, NULL, 0, 0));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&add_int, m, "add_int"));
    T(cuLaunchKernel(add_int, 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
    T(cuCtxSynchronize());
    T(cuMemAlloc(&d, 16));
    T(cuCtxDestroy(a));
    T(cuCtxCreate(&b, NULL, 0, 0));
    T(cuMemAlloc(&d, 16));
}

int main(void)
{
    t_child("calls", calls);
    t_child("reset", reset);
    t_child("created", created);
    return 0;
}
