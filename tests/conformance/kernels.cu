/* SPDX-License-Identifier: MIT */
/* Kernels for programs without device code of their own; see transcript.h. All C names. */
extern "C" {

__device__ int global_counter = 7;
__constant__ int constant_table[16];

__global__ void empty(void)
{
}

/* p[i] += v */
__global__ void add_int(int *p, int v, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        p[i] += v;
}

/* c = a + b */
__global__ void vector_add(const float *a, const float *b, float *c, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        c[i] = a[i] + b[i];
}

/* Takes a while: rounds of integer work for every thread. */
__global__ void busy(unsigned *p, unsigned rounds)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x, x = p[i];

    for (unsigned r = 0; r < rounds; r++)
        x = x * 1664525u + 1013904223u;
    p[i] = x;
}

/* Ends when *flag is not 0. */
__global__ void wait_flag(volatile int *flag, int *seen)
{
    while (*flag == 0)
        ;
    *seen = *flag;
}

__global__ void use_global(int *out)
{
    out[threadIdx.x] = global_counter + constant_table[threadIdx.x & 15];
}

__global__ void shared_sum(const int *in, int *out)
{
    extern __shared__ int s[];
    int t = threadIdx.x;

    s[t] = in[blockIdx.x * blockDim.x + t];
    __syncthreads();
    for (int d = blockDim.x / 2; d > 0; d /= 2) {
        if (t < d)
            s[t] += s[t + d];
        __syncthreads();
    }
    if (t == 0)
        out[blockIdx.x] = s[0];
}

/* After rounds of work, p[i] = v. */
__global__ void set_late(int *p, int v, int n, unsigned rounds)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned x = v;

    for (unsigned r = 0; r < rounds; r++)
        x = x * 1664525u + 1013904223u;
    if (i < n)
        p[i] = x == 1 ? 0 : v;
}

__global__ void count_threads(unsigned long long *c)
{
    if (threadIdx.x == 0)
        atomicAdd(c, (unsigned long long)blockDim.x * blockDim.y * blockDim.z);
}

/* out[...] = linear index of the thread in the grid */
__global__ void indices(unsigned *out)
{
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;

    out[block * (blockDim.x * blockDim.y * blockDim.z) + thread] = block << 16 | thread;
}

struct mixed {
    char c;
    double d;
    short s[3];
    void *p;
};

/* Parameters of every size and alignment. */
__global__ void many_args(unsigned char a, short b, int c, long long d, float e, double f, mixed m,
                          int4 v, double *out)
{
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = (double)d;
    out[4] = e;
    out[5] = f;
    out[6] = m.c;
    out[7] = m.d;
    out[8] = m.s[0] + m.s[1] + m.s[2];
    out[9] = m.p == out;
    out[10] = v.x + v.y + v.z + v.w;
}

/* At most 64 threads a block. */
__global__ void __launch_bounds__(64) bounded(int *p)
{
    p[threadIdx.x] = threadIdx.x;
}

/* More than 48 KiB only after the function's attribute says so. */
__global__ void shared_size(int *out, int words)
{
    extern __shared__ int s[];

    for (int i = threadIdx.x; i < words; i += blockDim.x)
        s[i] = i;
    __syncthreads();
    if (threadIdx.x == 0)
        *out = s[words - 1];
}

__global__ void trap(void)
{
    asm volatile("trap;");
}

/* One store to p. */
__global__ void poke(int *p, int v)
{
    *p = v;
}

/* next[i] = prev[(i + 1) % n] + 1: each launch depends on all of the one before. */
__global__ void chain(const int *prev, int *next, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        next[i] = prev[(i + 1) % n] + 1;
}
}
