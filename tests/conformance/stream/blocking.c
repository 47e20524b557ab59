/* SPDX-License-Identifier: MIT */
/* covers: cuLaunchKernel cudaStreamQuery */
/* CUDA_LAUNCH_BLOCKING: a launch returns when its kernel has run, with its error. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "child.h"

extern const unsigned char kernels_image[];

static void run(void)
{
    void *d, *bad = (void *)0x10, *args[3], *bad_args[3];
    unsigned rounds = 20000;
    int v = 1, n = 1;
    CUfunction busy, add_int;
    cudaStream_t s;
    CUmodule m;

    T_OK(cudaMalloc(&d, 4096));
    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&busy, m, "busy"));
    T_OK(cuModuleGetFunction(&add_int, m, "add_int"));
    args[0] = &d;
    args[1] = &rounds;
    for (int i = 0; i < 3; i++) {
        T(cuLaunchKernel(busy, 1, 1, 1, 64, 1, 1, 0, (CUstream)s, args, NULL));
        T(cudaStreamQuery(s));
    }
    bad_args[0] = &bad;
    bad_args[1] = &v;
    bad_args[2] = &n;
    T(cuLaunchKernel(add_int, 1, 1, 1, 1, 1, 1, 0, (CUstream)s, bad_args, NULL));
    T(cudaGetLastError());
    T(cudaMalloc(&d, 16));
}

int main(void)
{
    setenv("CUDA_LAUNCH_BLOCKING", "1", 1);
    t_child("blocking", run);
    return 0;
}
