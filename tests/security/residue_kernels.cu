/* SPDX-License-Identifier: MIT */
/* Kernels of residue.c: what is in memory that nobody has written to, and how to leave a pattern. */

#define WORDS 4096 /* of a thread's stack; 48 KiB of shared memory hold 12288 */

extern "C" {

/* out[0]: words that are not 0, out[1]: words that are the pattern. */
static __device__ void report(unsigned other, unsigned same, unsigned long long *out)
{
    if (other)
        atomicAdd(&out[0], (unsigned long long)other);
    if (same)
        atomicAdd(&out[1], (unsigned long long)same);
}

__global__ void count_words(const unsigned *p, unsigned long long n, unsigned pattern,
                            unsigned long long *out)
{
    unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x, other = 0,
                       same = 0;

    for (; i < n; i += (unsigned long long)gridDim.x * blockDim.x) {
        unsigned v = p[i];

        other += v != 0;
        same += v == pattern;
    }
    if (other)
        atomicAdd(&out[0], other);
    if (same)
        atomicAdd(&out[1], same);
}

__global__ void local_read(unsigned pattern, unsigned long long *out)
{
    volatile unsigned a[WORDS];
    unsigned other = 0, same = 0;

    for (int i = 0; i < WORDS; i++) {
        unsigned v = a[i];

        other += v != 0;
        same += v == pattern;
    }
    report(other, same, out);
}

__global__ void local_write(unsigned pattern, unsigned long long *out)
{
    volatile unsigned a[WORDS];
    unsigned x = 0;

    for (int i = 0; i < WORDS; i++)
        a[i] = pattern;
    for (int i = 0; i < WORDS; i++)
        x |= a[i] ^ pattern;
    if (x)
        atomicAdd(&out[0], 1ull);
}

__global__ void shared_read(unsigned pattern, unsigned long long *out)
{
    __shared__ volatile unsigned a[12288];
    unsigned other = 0, same = 0;

    for (int i = threadIdx.x; i < 12288; i += blockDim.x) {
        unsigned v = a[i];

        other += v != 0;
        same += v == pattern;
    }
    report(other, same, out);
}

__global__ void shared_write(unsigned pattern, unsigned long long *out)
{
    __shared__ volatile unsigned a[12288];
    unsigned x = 0;

    for (int i = threadIdx.x; i < 12288; i += blockDim.x)
        a[i] = pattern;
    __syncthreads();
    for (int i = threadIdx.x; i < 12288; i += blockDim.x)
        x |= a[i] ^ pattern;
    if (x)
        atomicAdd(&out[0], 1ull);
}

__global__ void heap_read(unsigned pattern, unsigned long long *out)
{
    volatile unsigned *p = (volatile unsigned *)malloc(4096);

    unsigned other = 0, same = 0;

    for (int i = 0; p && i < 1024; i++) {
        unsigned v = p[i];

        other += v != 0;
        same += v == pattern;
    }
    report(other, same, out);
    if (p)
        atomicAdd(&out[2], 1ull);
}

__global__ void heap_write(unsigned pattern, unsigned long long *out)
{
    volatile unsigned *p = (volatile unsigned *)malloc(4096);

    for (int i = 0; p && i < 1024; i++)
        p[i] = pattern;
    if (p)
        atomicAdd(&out[2], 1ull);
}

/* Until the host says so; asked seldom, so that the bus is free. */
__global__ void occupy(volatile unsigned *stop)
{
    if (threadIdx.x == 0)
        while (!*stop)
            __nanosleep(100000);
    __syncthreads();
}
}
