/* SPDX-License-Identifier: MIT */
/* Kernels that the tests of the software device run. */
#include <stdio.h>
#include <assert.h>
#include <cooperative_groups.h>

__device__ int counter = 7;
__constant__ float scale[4] = {1, 2, 3, 4};

extern "C" __global__ void vecadd(const float *a, const float *b, float *c, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        c[i] = a[i] + b[i];
}

extern "C" __global__ void store_at(int *p, size_t index, int value)
{
    p[index + threadIdx.x] = value;
}

/* Waits until *flag is `until`, then sets *done. */
extern "C" __global__ void wait_for(volatile int *flag, int until, volatile int *done)
{
    while (*flag != until)
        ;
    if (threadIdx.x == 0)
        *done = until;
}

extern "C" __global__ void set_flag(volatile int *flag, int value)
{
    *flag = value;
}

extern "C" __global__ void bump(int by)
{
    atomicAdd(&counter, by);
}

extern "C" __global__ void scaled(float *out)
{
    out[threadIdx.x] = scale[threadIdx.x & 3] * 10;
}

extern "C" __global__ void sum_shared(const int *in, int *out)
{
    extern __shared__ int s[];

    s[threadIdx.x] = in[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    for (int step = blockDim.x / 2; step; step >>= 1) {
        if (threadIdx.x < step)
            s[threadIdx.x] += s[threadIdx.x + step];
        __syncthreads();
    }
    if (threadIdx.x == 0)
        out[blockIdx.x] = s[0];
}

extern "C" __global__ void __launch_bounds__(64) bounded(int *p)
{
    p[threadIdx.x] = (int)threadIdx.x;
}

extern "C" __global__ void hello(int n)
{
    if (threadIdx.x == 0)
        printf("hello %d from block %d\n", n, (int)blockIdx.x);
}

extern "C" __global__ void insist(int n)
{
    assert(n == 3);
}

/* Each thread keeps a block of the heap over a barrier. */
extern "C" __global__ void use_heap(int *ok)
{
    int *p = (int *)malloc(64);

    if (!p)
        return;
    p[0] = (int)threadIdx.x;
    __syncthreads();
    if (p[0] == (int)threadIdx.x)
        atomicAdd(ok, 1);
    free(p);
}

extern "C" __global__ void trap_now(void)
{
    asm volatile("trap;");
}

/* Every block adds to a word, then all of them must see the total. */
extern "C" __global__ void meet(int *total, int *seen)
{
    cooperative_groups::grid_group grid = cooperative_groups::this_grid();

    for (int round = 1; round <= 3; round++) {
        if (threadIdx.x == 0)
            atomicAdd(total, 1);
        grid.sync();
        if (*(volatile int *)total == round * (int)gridDim.x)
            atomicAdd(seen, 1);
        grid.sync();
    }
}
