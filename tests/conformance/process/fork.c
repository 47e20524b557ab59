/* SPDX-License-Identifier: MIT */
/* covers: cudaGetDeviceCount cuInit cudaMalloc */
/* A child of a process that has not used CUDA may; one of a process that has may not. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "child.h"

static void *p;
static cudaStream_t s;
static cudaEvent_t e;

static void fresh(void)
{
    int v = 3, w = 0;

    T(cudaMalloc(&p, 16));
    T(cudaMemcpy(p, &v, 4, cudaMemcpyHostToDevice));
    T(cudaMemcpy(&w, p, 4, cudaMemcpyDeviceToHost));
    T_INT("w", w);
    T(cudaFree(p));
}

static void used(void)
{
    CUcontext c = NULL;
    CUdeviceptr d;
    size_t a, b;
    int n = -1;

    T(cudaGetLastError());
    T(cudaMalloc(&p, 16));
    T(cudaGetLastError());
    T(cudaFree(0));
    T(cudaFree(p));
    T(cudaGetDeviceCount(&n));
    T(cudaGetDevice(&n));
    T(cudaSetDevice(0));
    T(cudaDeviceSynchronize());
    T(cudaStreamSynchronize(s));
    T(cudaEventQuery(e));
    T(cudaMemcpy(&n, p, 4, cudaMemcpyDeviceToHost));
    T(cudaMemGetInfo(&a, &b));
    T(cudaDeviceGetAttribute(&n, cudaDevAttrWarpSize, 0));
    T(cudaDriverGetVersion(&n));
    T(cudaRuntimeGetVersion(&n));
    T(cudaDeviceReset());
    T(cudaGetLastError());
    T(cuInit(0));
    T(cuDeviceGetCount(&n));
    T(cuCtxGetCurrent(&c));
    T(cuMemAlloc(&d, 16));
    T(cuDriverGetVersion(&n));
}

int main(void)
{
    int v = 0;

    t_child("before", fresh);
    T_OK(cudaMalloc(&p, 16));
    T_OK(cudaMemset(p, 7, 16));
    T_OK(cudaStreamCreate(&s));
    T_OK(cudaEventCreate(&e));
    t_child("after", used);
    T(cudaMemcpy(&v, p, 4, cudaMemcpyDeviceToHost)); /* the parent goes on */
    T_HEX("v", v);
    T(cudaStreamSynchronize(s));
    t_child("again", used);
    T(cudaDeviceReset());
    t_child("after a reset", used);
    T(cudaFree(0));
    return 0;
}
