/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamDestroy cudaEventDestroy cudaEventQuery */
/* A stream or event that goes while work is pending, and no event at all. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "child.h"

extern const unsigned char kernels_image[];

static CUfunction busy;
static void *d;

static void make(void)
{
    CUmodule m;

    T_OK(cudaMalloc(&d, 4096));
    T_OK(cudaMemset(d, 0, 4096));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&busy, m, "busy"));
}

static int run(cudaStream_t s)
{
    unsigned rounds = 20000;
    void *args[] = {&d, &rounds};

    return cuLaunchKernel(busy, 1, 1, 1, 64, 1, 1, 0, (CUstream)s, args, NULL);
}

static void pending(void)
{
    cudaStream_t s, u;
    cudaEvent_t e;
    unsigned out[64];

    make();
    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T_OK(cudaStreamCreateWithFlags(&u, cudaStreamNonBlocking));
    T_OK(cudaEventCreate(&e));
    T(run(s));
    T(cudaEventRecord(e, s));
    T(cudaStreamDestroy(s)); /* returns at once; the work goes on */
    T(cudaStreamWaitEvent(u, e, 0));
    T(cudaEventDestroy(e)); /* the wait stays */
    T(cudaMemcpyAsync(out, d, sizeof(out), cudaMemcpyDeviceToHost, u));
    T(cudaStreamSynchronize(u));
    T_DIGEST("result", out, sizeof(out));
    T(cudaStreamDestroy(u));
    T(cudaDeviceSynchronize());
    T(cudaGetLastError());
}

static void null_event(void)
{
    T_OK(cudaFree(0));
    T(cudaEventQuery(NULL));
    T(cudaEventRecord(NULL, 0));
    T(cudaEventSynchronize(NULL));
    T(cudaEventDestroy(NULL));
    T(cudaStreamWaitEvent(0, NULL, 0));
    T(cuEventQuery(NULL));
    T(cuEventDestroy(NULL));
    T(cudaGetLastError());
}

int main(void)
{
    t_child("pending", pending);
    t_child("null event", null_event);
    return 0;
}
