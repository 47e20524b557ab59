/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceReset */
/* A reset takes everything with it; the process goes on afterwards. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "child.h"

static cudaStream_t s;
static cudaEvent_t e;
static void *p, *h;

static void make(void)
{
    T_OK(cudaMalloc(&p, 4096));
    T_OK(cudaMallocHost(&h, 4096));
    T_OK(cudaStreamCreate(&s));
    T_OK(cudaEventCreate(&e));
    T_OK(cudaEventRecord(e, s));
}

static void again(void)
{
    CUcontext c = NULL;
    int out[4] = {0};

    for (int i = 0; i < 3; i++) {
        make();
        T(cudaMemsetAsync(p, i + 1, 4096, s));
        T(cudaMemcpyAsync(h, p, 16, cudaMemcpyDeviceToHost, s));
        T(cudaStreamSynchronize(s));
        T_HEX("word", *(int *)h);
        T(cudaSetDevice(1000));
        T(cudaDeviceReset());
        T(cudaPeekAtLastError());
        T(cudaGetLastError());
        T(cuCtxGetCurrent(&c));
        T_BOOL("current", c != NULL);
    }
    T(cudaDeviceReset());
    T(cudaDeviceReset());
    T(cudaMalloc(&p, 16));
    T(cudaMemset(p, 9, 16));
    T(cudaMemcpy(out, p, 16, cudaMemcpyDeviceToHost));
    T_HEX("word", out[3]);
}

static void memory(void)
{
    make();
    T_OK(cudaDeviceReset());
    T(cudaFree(p));
    T(cudaGetLastError());
    T(cudaFreeHost(h));
}

static void event(void)
{
    make();
    T_OK(cudaDeviceReset());
    T(cudaEventQuery(e));
}

static void pending(void)
{
    make();
    T(cudaMemsetAsync(p, 1, 4096, s));
    T(cudaDeviceReset());
    T(cudaGetLastError());
}

int main(void)
{
    t_child("unused", (void (*)(void))cudaDeviceReset);
    t_child("again", again);
    t_child("memory", memory);
    t_child("event", event);
    t_child("pending", pending);
    return 0;
}
