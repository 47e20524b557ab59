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
}
