/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchKernel cudaMemset cudaMemcpy */
/* Atomic operations whose result does not depend on the order, in global and shared memory. */
#include <cuda_runtime.h>

#include "transcript.h"

#define SLOTS 24

__device__ int lock_word;
__device__ int protected_sum;

template <typename P> __device__ void all(P s, unsigned long long *wide, unsigned i)
{
    atomicAdd(&s[0], i);
    atomicSub(&s[1], i * 3);
    atomicMin(&s[2], i * 2654435761u);
    atomicMax(&s[3], i * 2654435761u);
    atomicMin((int *)&s[4], (int)(i * 2654435761u));
    atomicMax((int *)&s[5], (int)(i * 2654435761u));
    atomicAnd(&s[6], ~(1u << (i & 31)) | 0x0f0f0f0f);
    atomicOr(&s[7], 1u << (i * 7 & 31));
    atomicXor(&s[8], i * 2246822519u);
    atomicInc(&s[9], 1000);
    atomicDec(&s[10], 777);
    atomicAdd((float *)&s[11], (float)(i & 15)); /* exact: small whole numbers */
    if (atomicCAS(&s[12], 0, 1) == 0)
        atomicAdd(&s[13], 1);
    atomicExch(&s[14], 5);
    atomicAdd_block(&s[15], 1);
    atomicAdd_system(&s[16], 1);
    atomicAdd(&wide[0], (unsigned long long)i << 32 | 1);
    atomicMax(&wide[1], (unsigned long long)(i * 2654435761u) << 20);
    atomicOr(&wide[2], 1ull << (i & 63));
    atomicAdd((double *)&wide[3], 0.5 * (i & 7));
    atomicCAS(&wide[4], 0ull, 0x123456789abcull);
}

__global__ void global_atomics(unsigned *s, unsigned long long *wide)
{
    all(s, wide, blockIdx.x * blockDim.x + threadIdx.x);
}

__global__ void shared_atomics(unsigned *out, unsigned long long *out_wide)
{
    __shared__ unsigned s[SLOTS];
    __shared__ unsigned long long w[8];

    if (threadIdx.x < SLOTS)
        s[threadIdx.x] = 0;
    if (threadIdx.x < 8)
        w[threadIdx.x] = 0;
    __syncthreads();
    all(s, w, threadIdx.x);
    __syncthreads();
    if (threadIdx.x < SLOTS)
        out[threadIdx.x] = s[threadIdx.x];
    if (threadIdx.x < 8)
        out_wide[threadIdx.x] = w[threadIdx.x];
}

/* A lock taken by one thread of each block, fences around what it protects. */
__global__ void locked(void)
{
    if (threadIdx.x == 0) {
        while (atomicCAS(&lock_word, 0, 1) != 0)
            ;
        __threadfence();
        *(volatile int *)&protected_sum = *(volatile int *)&protected_sum + blockIdx.x;
        __threadfence();
        atomicExch(&lock_word, 0);
    }
}

/* Returns of atomicAdd are all different. */
__global__ void tickets(unsigned *next, unsigned char *taken)
{
    taken[atomicAdd(next, 1)] = 1;
}

int main(void)
{
    unsigned *s, host[SLOTS + 16];
    unsigned char taken[64 * 64];
    int sum = -1;

    T_OK(cudaMalloc(&s, sizeof(host) + sizeof(taken)));
    T(cudaMemset(s, 0, sizeof(host)));
    global_atomics<<<20, 128>>>(s, (unsigned long long *)(s + SLOTS));
    T(cudaMemcpy(host, s, sizeof(host), cudaMemcpyDeviceToHost));
    T_DIGEST("global", host, sizeof(host));
    for (int i = 0; i < SLOTS; i++)
        T_INT("global", host[i]);
    shared_atomics<<<1, 512>>>(s, (unsigned long long *)(s + SLOTS));
    T(cudaMemcpy(host, s, sizeof(host), cudaMemcpyDeviceToHost));
    T_DIGEST("shared", host, sizeof(host));
    locked<<<40, 64>>>();
    T(cudaMemcpyFromSymbol(&sum, protected_sum, sizeof(sum)));
    T_INT("sum under the lock", sum);
    T(cudaMemset(s, 0, sizeof(host) + sizeof(taken)));
    tickets<<<64, 64>>>(s, (unsigned char *)(s + SLOTS + 16));
    T(cudaMemcpy(taken, s + SLOTS + 16, sizeof(taken), cudaMemcpyDeviceToHost));
    T_DIGEST("tickets", taken, sizeof(taken));
    return 0;
}
