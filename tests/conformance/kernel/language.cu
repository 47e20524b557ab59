/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchKernel cudaMemcpyFromSymbol cudaFuncGetAttributes */
/* What C++ needs of a device: templates, lambdas, function pointers, virtual calls, recursion,
 * local arrays, structures by value, generic addresses, vector loads. */
#include <cuda_runtime.h>
#include <new>

#include "transcript.h"

struct shape {
    __device__ virtual int area(int) const = 0;
};
struct square : shape {
    int side;
    __device__ square(int s) : side(s)
    {
    }
    __device__ int area(int k) const override
    {
        return side * side + k;
    }
};
struct box : shape {
    int w, h;
    __device__ box(int a, int b) : w(a), h(b)
    {
    }
    __device__ int area(int k) const override
    {
        return w * h - k;
    }
};

template <typename T, int N> struct ring {
    T v[N];
    __device__ T &at(int i)
    {
        return v[i % N];
    }
};

template <typename... A> __device__ int sum(A... a)
{
    return (0 + ... + a);
}

__device__ __noinline__ int fib(int n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

__device__ int twice(int x)
{
    return 2 * x;
}
__device__ int negate(int x)
{
    return -x;
}
__device__ int (*table[2])(int) = {twice, negate};
__constant__ int weights[8] = {1, 2, 4, 8, 16, 32, 64, 128};
__device__ int counters[4] = {10, 20, 30, 40};
static __device__ long long static_result;

__global__ void features(int *out)
{
    int t = threadIdx.x, *o = out + t * 12;
    alignas(16) char where[sizeof(box)];
    shape *s = t % 2 ? (shape *)new (where) square(t) : (shape *)new (where) box(t, 3);
    ring<short, 5> r;
    int local[40];
    auto scale = [=](int x) { return x * (t + 1); };

    o[0] = s->area(t);
    o[1] = fib(t % 12);
    o[2] = table[t & 1](t);
    for (int i = 0; i < 9; i++)
        r.at(i) = (short)(i * t);
    o[3] = r.v[3] + r.v[4];
    for (int i = 0; i < 40; i++)
        local[i] = i * t;
    for (int i = 0; i < 40; i++)
        local[(i * 7) % 40] += local[i];
    o[4] = local[(t * 13) % 40];
    o[5] = scale(7);
    o[6] = sum(t, 1, 'c', 3ll, weights[t & 7]);
    o[7] = counters[t & 3];
    switch (t % 7) {
    case 0:
        o[8] = 3;
        break;
    case 1:
        o[8] = 1;
        break;
    case 2:
        o[8] = 4;
        break;
    case 5:
        o[8] = 9;
        break;
    default:
        o[8] = t;
        break;
    }
    __shared__ int shared;
    int *p = t & 1 ? &shared : local;
    o[9] = __isShared(p) | __isLocal(p) << 1 | __isGlobal(out) << 2;
    o[10] = 0;
    for (int i = 0; i < t; i++) {
        if (i == 20)
            break;
        if (i % 3 == 0)
            continue;
        o[10] += i;
    }
    atomicAdd((unsigned long long *)&static_result, (unsigned long long)t);
    o[11] = __ldg(&out[0]) * 0 + sizeof(where);
}

struct big {
    int v[100];
    double d;
};

__global__ void by_value(big b, const int4 *in, int4 *out)
{
    int4 v = in[threadIdx.x];

    v.x += b.v[threadIdx.x];
    v.w = (int)b.d;
    out[threadIdx.x] = v;
    memcpy(&out[32 + threadIdx.x], (const char *)in + threadIdx.x, sizeof(int4));
}

template <typename T> __global__ void typed(T *out, T v)
{
    out[threadIdx.x] = v * (T)threadIdx.x;
}

int main(void)
{
    static int host[64 * 12];
    struct cudaFuncAttributes at;
    long long total = -1;
    int *out;
    big b;

    T_OK(cudaMalloc(&out, sizeof(host)));
    features<<<1, 64>>>(out);
    T(cudaMemcpy(host, out, sizeof(host), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 12; i++) {
        int column[64];
        char name[24];

        for (int k = 0; k < 64; k++)
            column[k] = host[k * 12 + i];
        snprintf(name, sizeof(name), "features %d", i);
        T_DIGEST(name, column, sizeof(column));
    }
    T(cudaMemcpyFromSymbol(&total, static_result, sizeof(total)));
    T_INT("static_result", total);
    t_fill(&b, sizeof(b), 9);
    b.d = 42;
    t_fill(host, 32 * 16 + 64, 10);
    T(cudaMemcpy(out, host, 32 * 16 + 64, cudaMemcpyHostToDevice));
    T(cudaMemset(out + 200, 0, 64 * 8));
    by_value<<<1, 16>>>(b, (int4 *)out, (int4 *)(out + 200));
    T(cudaMemcpy(host, out + 200, 64 * 4, cudaMemcpyDeviceToHost));
    T_DIGEST("by_value", host, 64 * 4);
    typed<<<1, 32>>>((double *)out, 1.5);
    typed<<<1, 32>>>((unsigned char *)(out + 64), (unsigned char)7);
    T(cudaMemcpy(host, out, 72 * 4, cudaMemcpyDeviceToHost));
    T_DIGEST("typed", host, 72 * 4);
    T(cudaFuncGetAttributes(&at, (const void *)features));
    T_INT("static shared memory", at.sharedSizeBytes);
    T_INT("constant memory", at.constSizeBytes);
    T_INT("threads a block", at.maxThreadsPerBlock);
    return 0;
}
