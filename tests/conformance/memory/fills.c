/* SPDX-License-Identifier: MIT */
/* covers: cudaMemset cudaMemsetAsync cudaMemset2D cudaMemset2DAsync cudaMemset3D cudaMemset3DAsync */
/* Fills in one to three dimensions. */
#include <cuda_runtime_api.h>

#include "transcript.h"

#define N 8192

static uint8_t out[N];
static uint8_t *d;

static void look(const char *what)
{
    T(cudaMemcpy(out, d, N, cudaMemcpyDeviceToHost));
    T_DIGEST(what, out, N);
}

int main(void)
{
    uint8_t host[100], *pin;
    struct cudaPitchedPtr p;
    cudaStream_t s;

    T_OK(cudaMalloc((void **)&d, N));
    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T(cudaMemset(d, 0x1234, N));
    look("low octet");
    T(cudaMemset(d + 1, 7, 3));
    T(cudaMemsetAsync(d + 100, 8, 77, s));
    T(cudaStreamSynchronize(s));
    look("odd");
    T(cudaMemset2D(d + 5, 64, 9, 33, 40));
    T(cudaMemset2DAsync(d + 4097, 65, 10, 65, 30, s));
    T(cudaStreamSynchronize(s));
    look("2D");
    p = (struct cudaPitchedPtr){d, 64, 60, 10};
    T(cudaMemset3D(p, 11, (struct cudaExtent){20, 7, 5}));
    T(cudaDeviceSynchronize());
    T(cudaMemset3DAsync(p, 12, (struct cudaExtent){3, 10, 12}, s));
    T(cudaStreamSynchronize(s));
    look("3D");
    T_OK(cudaMallocHost((void **)&pin, 4096));
    memset(pin, 1, 4096);
    T(cudaMemset(pin + 10, 2, 100));
    T(cudaMemset2DAsync(pin + 1000, 100, 3, 50, 10, s));
    T(cudaDeviceSynchronize());
    T_DIGEST("pinned", pin, 4096);

    T(cudaMemset(d, 0, 0));
    T(cudaMemset(NULL, 0, 0));
    T(cudaMemset(NULL, 0, 5));
    T(cudaMemset(host, 0, 5));
    T(cudaMemset(d + N - 4, 0, 4));
    T(cudaMemset2D(d, 10, 0, 11, 5));
    T(cudaMemset2D(d, 10, 0, 11, 1));
    T(cudaMemset2D(d, 0, 0, 11, 1));
    T(cudaMemset2D(d, 64, 0, 0, 5));
    T(cudaMemset2D(d, 64, 0, 5, 0));
    T(cudaMemset2D(NULL, 64, 0, 5, 5));
    T(cudaMemset3D(p, 0, (struct cudaExtent){65, 2, 2}));
    T(cudaMemset3D(p, 0, (struct cudaExtent){5, 11, 2}));
    T(cudaMemset3D(p, 0, (struct cudaExtent){5, 11, 1}));
    T(cudaMemset3D(p, 0, (struct cudaExtent){5, 0, 1}));
    p.ptr = NULL;
    T(cudaMemset3D(p, 0, (struct cudaExtent){5, 5, 1}));
    T(cudaGetLastError());
    look("after refusals");
    return 0;
}
