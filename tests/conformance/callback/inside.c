/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchHostFunc */
/* CUDA calls inside a host function: which are refused, and what they leave behind. */
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <semaphore.h>

#include "transcript.h"

static cudaStream_t s;
static cudaEvent_t e;
static void *p;
static sem_t go; /* so that lines come in one order */

static void inside(void *arg)
{
    void *q = NULL;
    size_t a, b;
    int n = -1, v = -1;
    float ms;
    CUcontext ctx;
    struct cudaPointerAttributes at;
    enum cudaStreamCaptureStatus st;

    sem_wait(&go);
    T(cudaPeekAtLastError());
    T(cudaMalloc(&q, 16));
    T(cudaGetLastError());
    T(cudaGetLastError());
    T(cudaFree(p));
    T(cudaFree(NULL));
    T(cudaMallocHost(&q, 4096));
    T(cudaMemcpy(p, &n, sizeof(n), cudaMemcpyHostToDevice));
    T(cudaMemcpyAsync(p, &n, sizeof(n), cudaMemcpyHostToDevice, s));
    T(cudaMemset(p, 0, 4));
    T(cudaMemsetAsync(p, 0, 4, s));
    T(cudaStreamSynchronize(s));
    T(cudaStreamQuery(s));
    T(cudaEventRecord(e, s));
    T(cudaEventQuery(e));
    T(cudaEventSynchronize(e));
    T(cudaEventElapsedTime(&ms, e, e));
    T(cudaStreamWaitEvent(s, e, 0));
    T(cudaLaunchHostFunc(s, inside, NULL));
    T(cudaDeviceSynchronize());
    T(cudaMemGetInfo(&a, &b));
    T(cudaPointerGetAttributes(&at, p));
    T(cudaStreamIsCapturing(s, &st));
    T(cudaGetDevice(&n));
    T_INT("device", n);
    T(cudaSetDevice(0));
    T(cudaGetDeviceCount(&n));
    T(cudaDeviceGetAttribute(&v, cudaDevAttrWarpSize, 0));
    T_INT("warp", v);
    T(cudaDriverGetVersion(&n));
    T(cudaRuntimeGetVersion(&n));
    T(cudaGetLastError());
}

static void inside_driver(void *arg)
{
    CUcontext ctx = NULL;
    CUdeviceptr q;
    CUdevice dev;
    int v;

    sem_wait(&go);
    T(cuCtxGetCurrent(&ctx));
    T_BOOL("context", ctx != NULL);
    T(cuCtxGetDevice(&dev));
    T(cuCtxSynchronize());
    T(cuMemAlloc(&q, 16));
    T(cuStreamQuery((CUstream)s));
    T(cuEventQuery((CUevent)e));
    T(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
    T(cuDeviceGetCount(&v));
    T(cuDriverGetVersion(&v));
}

int main(void)
{
    sem_init(&go, 0, 0);
    T_OK(cudaStreamCreate(&s));
    T_OK(cudaEventCreate(&e));
    T_OK(cudaMalloc(&p, 16));
    T(cudaEventRecord(e, s));
    T(cudaStreamSynchronize(s));
    T(cudaLaunchHostFunc(s, inside, NULL));
    sem_post(&go);
    T(cudaStreamSynchronize(s));
    T(cudaGetLastError());
    T(cudaLaunchHostFunc(s, inside_driver, NULL));
    sem_post(&go);
    T(cudaStreamSynchronize(s));
    T(cudaMemset(p, 0, 16));
    T(cudaFree(p));
    T(cudaDeviceSynchronize());
    return 0;
}
