/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamBeginCapture cudaStreamEndCapture cudaThreadExchangeStreamCaptureMode */
/* Calls that are not allowed while a stream captures, one capture for each, in the three modes. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

static cudaStream_t s, other, nonblocking;
static cudaEvent_t e, captured, plain;
static void *d, *p;
static int host[4];

#define TRY(call)                                                                                  \
    do {                                                                                           \
        cudaGraph_t g = NULL;                                                                      \
        enum cudaStreamCaptureStatus st = (enum cudaStreamCaptureStatus)9;                         \
                                                                                                   \
        if (cudaStreamBeginCapture(s, mode) || cudaMemsetAsync(d, 0, 16, s) ||                     \
            cudaEventRecord(captured, s))                                                          \
            printf("set-up failed\n");                                                             \
        T(call);                                                                                   \
        cudaStreamIsCapturing(s, &st);                                                             \
        printf("    status %d, end %d, graph %d\n", (int)st, (int)cudaStreamEndCapture(s, &g),     \
               g != NULL);                                                                         \
        if (g)                                                                                     \
            cudaGraphDestroy(g);                                                                   \
        cudaGetLastError();                                                                        \
    } while (0)

static void all(enum cudaStreamCaptureMode mode)
{
    void *q = NULL;
    size_t a, b;
    float ms;
    unsigned flags;
    int n;
    cudaStream_t ns;

    cudaDeviceSynchronize(); /* the plain event of the mode before is complete */
    printf("--- mode %d\n", (int)mode);
    TRY(cudaStreamSynchronize(s));
    TRY(cudaStreamQuery(s));
    TRY(cudaStreamSynchronize(other));
    TRY(cudaStreamSynchronize(nonblocking));
    TRY(cudaStreamQuery(other));
    TRY(cudaStreamSynchronize(NULL));
    TRY(cudaStreamQuery(NULL));
    TRY(cudaDeviceSynchronize());
    TRY(cudaEventQuery(captured));
    TRY(cudaEventSynchronize(captured));
    TRY(cudaEventQuery(plain));
    TRY(cudaEventSynchronize(plain));
    TRY(cudaEventElapsedTime(&ms, plain, plain));
    TRY(cudaEventElapsedTime(&ms, captured, captured));
    TRY(cudaMalloc(&q, 64));
    TRY(cudaFree(q));
    TRY(cudaMallocHost(&p, 64));
    TRY(cudaFreeHost(p));
    TRY(cudaMemcpy(d, host, 16, cudaMemcpyHostToDevice));
    TRY(cudaMemset(d, 0, 16));
    TRY(cudaMemsetAsync(d, 0, 16, NULL));
    TRY(cudaMemsetAsync(d, 0, 16, other));
    TRY(cudaMemsetAsync(d, 0, 16, nonblocking));
    TRY(cudaMemcpyAsync(host, d, 16, cudaMemcpyDeviceToHost, other));
    TRY(cudaEventRecord(plain, NULL));
    TRY(cudaEventRecord(plain, other));
    TRY(cudaStreamWaitEvent(s, plain, 0));
    TRY(cudaStreamWaitEvent(NULL, captured, 0));
    TRY(cudaStreamAddCallback(s, NULL, NULL, 0));
    TRY(cudaMemGetInfo(&a, &b));
    TRY(cudaGetDevice(&n));
    TRY(cudaStreamGetFlags(s, &flags));
    TRY(cudaStreamCreate(&ns));
    TRY(cudaStreamDestroy(ns));
    TRY(cudaEventCreate(&e));
    TRY(cudaEventDestroy(e));
    TRY(cudaDeviceSetLimit(cudaLimitPrintfFifoSize, 1 << 20));
}

int main(void)
{
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaStreamCreate(&other));
    T_OK(cudaStreamCreateWithFlags(&nonblocking, cudaStreamNonBlocking));
    T_OK(cudaEventCreate(&captured));
    T_OK(cudaEventCreate(&plain));
    T_OK(cudaMalloc(&d, 64));
    T_OK(cudaEventRecord(plain, other));
    T_OK(cudaDeviceSynchronize());
    all(cudaStreamCaptureModeGlobal);
    all(cudaStreamCaptureModeThreadLocal);
    all(cudaStreamCaptureModeRelaxed);
    T(cudaEventQuery(captured));
    T(cudaStreamWaitEvent(other, captured, 0));
    T(cudaStreamSynchronize(other));
    T(cudaThreadExchangeStreamCaptureMode(&mode));
    T_INT("mode", mode);
    all(cudaStreamCaptureModeGlobal);
    T(cudaThreadExchangeStreamCaptureMode(&mode));
    T_INT("mode", mode);
    mode = (enum cudaStreamCaptureMode)5;
    T(cudaThreadExchangeStreamCaptureMode(&mode));
    return 0;
}
