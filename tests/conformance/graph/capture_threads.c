/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamBeginCapture cudaStreamEndCapture cudaThreadExchangeStreamCaptureMode */
/* Captures and other threads: whose calls are refused, who may end a capture. */
#include <cuda_runtime_api.h>
#include <pthread.h>

#include "transcript.h"

static cudaStream_t s, other;
static cudaEvent_t plain;
static void *d;

static void *calls(void *arg)
{
    enum cudaStreamCaptureMode mode = (enum cudaStreamCaptureMode)(intptr_t)arg;
    enum cudaStreamCaptureStatus st = (enum cudaStreamCaptureStatus)9;
    void *p = NULL;

    T(cudaThreadExchangeStreamCaptureMode(&mode));
    T_INT("mode was", mode);
    T(cudaMalloc(&p, 64));
    T(cudaStreamIsCapturing(s, &st));
    T_INT("status", st);
    T(cudaEventQuery(plain));
    T(cudaMemsetAsync(d, 0, 16, other));
    T(cudaStreamSynchronize(other));
    return NULL;
}

static void *end(void *arg)
{
    cudaGraph_t g = NULL;

    T(cudaMemsetAsync(d, 0, 16, s));
    T(cudaStreamEndCapture(s, &g));
    T_BOOL("graph", g != NULL);
    return NULL;
}

static void on_thread(void *(*fn)(void *), void *arg)
{
    pthread_t t;

    pthread_create(&t, NULL, fn, arg);
    pthread_join(t, NULL);
}

int main(void)
{
    cudaGraph_t g;

    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T_OK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    T_OK(cudaEventCreate(&plain));
    T_OK(cudaMalloc(&d, 64));
    T_OK(cudaEventRecord(plain, other));
    T_OK(cudaDeviceSynchronize());
    for (int mode = 0; mode < 3; mode++) {
        for (int theirs = 0; theirs < 3; theirs++) {
            printf("--- capture in mode %d, the other thread in mode %d\n", mode, theirs);
            T(cudaStreamBeginCapture(s, (enum cudaStreamCaptureMode)mode));
            T(cudaMemsetAsync(d, 0, 16, s));
            on_thread(calls, (void *)(intptr_t)theirs);
            g = NULL;
            T(cudaStreamEndCapture(s, &g));
            T_BOOL("graph", g != NULL);
            if (g)
                cudaGraphDestroy(g);
            cudaGetLastError();
        }
        printf("--- ended by another thread, mode %d\n", mode);
        T(cudaStreamBeginCapture(s, (enum cudaStreamCaptureMode)mode));
        on_thread(end, NULL);
        g = NULL;
        T(cudaStreamEndCapture(s, &g));
        T_BOOL("graph", g != NULL);
        cudaGetLastError();
    }
    return 0;
}
