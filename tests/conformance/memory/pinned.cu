/* SPDX-License-Identifier: MIT */
/* covers: cudaHostAlloc cudaMallocHost cudaFreeHost cudaHostGetDevicePointer cudaHostGetFlags
 * cuMemHostAlloc cuMemAllocHost cuMemFreeHost cuMemHostGetDevicePointer cuMemHostGetFlags */
/* Pinned memory is the same for the kernel and for the program, at the same address. */
#include <cuda.h>
#include <cuda_runtime.h>

#include "transcript.h"

__global__ void bump(int *p, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        p[i] = p[i] * 2 + 1;
}

int main()
{
    static const unsigned flags[] = {0, 1, 2, 4, 7, 8, 16, 0x80000000u};
    int *p = NULL, *q = NULL, stack;
    void *d = NULL, *v = NULL;
    CUdeviceptr cd = 0;
    unsigned f;

    for (unsigned i = 0; i < 8; i++) {
        p = NULL;
        T_INT("flags", flags[i]);
        if (T(cudaHostAlloc((void **)&p, 1000, flags[i])))
            continue;
        f = 99;
        T(cudaHostGetFlags(&f, p));
        T_INT("are", f);
        T(cudaHostGetDevicePointer(&d, p, 0));
        T_BOOL("same address", d == p);
        T(cudaFreeHost(p));
    }
    T_OK(cudaMallocHost((void **)&p, 100000 * sizeof(int)));
    T_BOOL("page aligned", ((uintptr_t)p & 511) == 0);
    for (int i = 0; i < 100000; i++)
        p[i] = i;
    bump<<<400, 256>>>(p, 100000);
    T(cudaDeviceSynchronize());
    T_DIGEST("kernel wrote", p, 100000 * sizeof(int));
    T(cudaHostGetDevicePointer(&d, p + 10, 0));
    T_BOOL("inside", d == p + 10);
    T(cudaHostGetDevicePointer(&d, p, 1));
    T(cudaHostGetDevicePointer(&d, &stack, 0));
    T(cudaHostGetDevicePointer(NULL, p, 0));
    T(cudaHostGetFlags(&f, p + 10));
    T(cudaHostGetFlags(&f, &stack));
    T(cudaHostGetFlags(NULL, p));
    T(cudaFreeHost(p + 1));
    T(cudaFreeHost(&stack));
    T(cudaFreeHost(NULL));
    T(cudaFree(p));
    T(cudaFreeHost(p));
    T(cudaFreeHost(p));
    T(cudaHostAlloc((void **)&p, 0, 0));
    T_BOOL("nothing", p == NULL);
    T(cudaMallocHost((void **)&p, 0));
    T(cudaHostAlloc(NULL, 10, 0));
    T(cudaMallocHost((void **)NULL, 10));
    T(cudaHostAlloc((void **)&p, (size_t)1 << 50, 0));
    T_OK(cudaMalloc((void **)&q, 64));
    T(cudaFreeHost(q));
    T(cudaHostGetDevicePointer(&d, q, 0));
    T(cudaFree(q));
    T(cudaGetLastError());

    T(cuMemHostAlloc(&v, 5000, CU_MEMHOSTALLOC_PORTABLE));
    T(cuMemHostGetFlags(&f, v));
    T_INT("are", f);
    T(cuMemHostGetDevicePointer(&cd, v, 0));
    T_BOOL("same address", cd == (CUdeviceptr)(uintptr_t)v);
    T(cuMemHostGetDevicePointer(&cd, v, 2));
    T(cuMemFree((CUdeviceptr)(uintptr_t)v));
    T(cuMemFreeHost(v));
    T(cuMemFreeHost(v));
    T(cuMemFreeHost(NULL));
    T(cuMemAllocHost(&v, 77));
    T(cuMemHostGetFlags(&f, v));
    T_INT("are", f);
    T(cuMemFreeHost(v));
    T(cuMemAllocHost(&v, 0));
    T(cuMemHostAlloc(&v, 0, 0));
    T(cuMemHostAlloc(&v, 10, 0x20));
    T(cuMemHostAlloc(NULL, 10, 0));
    return 0;
}
