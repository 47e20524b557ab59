/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchKernel cudaLaunchCooperativeKernel cudaGetLastError cudaPeekAtLastError */
/* What a bad <<<>>> leaves for cudaGetLastError(), and what comes back at once. */
#include <cuda_runtime.h>

#include "transcript.h"

__global__ void __launch_bounds__(256) k(int *p)
{
    atomicAdd(p, 1);
}

__global__ void dyn(int *p)
{
    extern __shared__ int s[];

    s[threadIdx.x] = 1;
    __syncthreads();
    atomicAdd(p, s[threadIdx.x]);
}

static void try_launch(const char *what, dim3 grid, dim3 block, size_t smem, int *p)
{
    k<<<grid, block, smem>>>(p);
    printf("%s\n", what);
    T(cudaPeekAtLastError());
    T(cudaGetLastError());
    T(cudaGetLastError());
}

int main(void)
{
    int *p, here, v = 0;
    void *args[] = {&p};

    T_OK(cudaMalloc(&p, 4));
    T_OK(cudaMemset(p, 0, 4));
    try_launch("good", 2, 32, 0, p);
    try_launch("empty grid", 0, 32, 0, p);
    try_launch("empty block", 1, 0, 0, p);
    try_launch("2000 threads", 1, 2000, 0, p);
    try_launch("more than launch bounds", 1, 512, 0, p);
    try_launch("tall grid", dim3(1, 70000, 1), 32, 0, p);
    try_launch("48 KiB", 1, 32, 49152, p);
    try_launch("more than 48 KiB", 1, 32, 49153, p);
    try_launch("far too much", 1, 32, (size_t)1 << 33, p);
    T(cudaLaunchKernel((const void *)k, dim3(1), dim3(512), args, 0, NULL));
    T(cudaLaunchKernel((const void *)k, dim3(1), dim3(32), args, 100000, NULL));
    T(cudaLaunchKernel(&here, dim3(1), dim3(32), args, 0, NULL));
    T(cudaLaunchKernel(NULL, dim3(1), dim3(32), args, 0, NULL));
    T(cudaGetLastError());
    T(cudaLaunchCooperativeKernel((const void *)k, dim3(4), dim3(32), args, 0, NULL));
    T(cudaLaunchCooperativeKernel((const void *)k, dim3(1000000), dim3(32), args, 0, NULL));
    T(cudaLaunchCooperativeKernel((const void *)k, dim3(0), dim3(32), args, 0, NULL));
    T(cudaLaunchCooperativeKernel(&here, dim3(1), dim3(32), args, 0, NULL));
    T(cudaGetLastError());
    T(cudaFuncSetAttribute((const void *)dyn, cudaFuncAttributeMaxDynamicSharedMemorySize, 90000));
    dyn<<<1, 32, 90000>>>(p);
    T(cudaGetLastError());
    T(cudaFuncSetAttribute((const void *)dyn, cudaFuncAttributeMaxDynamicSharedMemorySize, 1000));
    dyn<<<1, 32, 90000>>>(p);
    T(cudaGetLastError());
    T(cudaDeviceSynchronize());
    T(cudaMemcpy(&v, p, 4, cudaMemcpyDeviceToHost));
    T_INT("threads that ran", v);
    T(cudaFree(p));
    return 0;
}
