/* SPDX-License-Identifier: MIT */
/*
 * programs.cu - ten small programs with the data volumes of those that are commonly used to judge
 * GPU pass-through. `programs NAME` runs one, checks its result and prints
 * `body MICROSECONDS`, the time after start-up (the first CUDA call). `programs mixed` waits for a
 * line on standard input after start-up and then does some of everything, `programs mixed small`
 * very little.
 */
#include "bench.h"

#include <cmath>

#define MIB ((size_t)1 << 20)

static uint32_t next_random = 12345;

static float random01(void)
{
    next_random = next_random * 1664525u + 1013904223u;
    return (float)(next_random >> 8) / 16777216.0f;
}

static unsigned blocks(size_t n, unsigned per)
{
    return (unsigned)((n + per - 1) / per);
}

/* ---- vector addition --------------------------------------------------------------------- */

__global__ void add(const float *a, const float *b, float *c, size_t n)
{
    size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;

    if (i < n)
        c[i] = a[i] + b[i];
}

static void vector_add(size_t n)
{
    size_t bytes = n * sizeof(float);
    float *a = (float *)malloc(bytes), *b = (float *)malloc(bytes), *c = (float *)malloc(bytes);
    float *x, *y, *z;

    for (size_t i = 0; i < n; i++) {
        a[i] = (float)(i % 1000);
        b[i] = (float)(i % 77);
    }
    CHECK(cudaMalloc(&x, bytes));
    CHECK(cudaMalloc(&y, bytes));
    CHECK(cudaMalloc(&z, bytes));
    CHECK(cudaMemcpy(x, a, bytes, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(y, b, bytes, cudaMemcpyHostToDevice));
    add<<<blocks(n, 256), 256>>>(x, y, z, n);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(c, z, bytes, cudaMemcpyDeviceToHost));
    for (size_t i = 0; i < n; i++)
        EXPECT(c[i] == a[i] + b[i]);
    CHECK(cudaFree(x));
    CHECK(cudaFree(y));
    CHECK(cudaFree(z));
    free(a);
    free(b);
    free(c);
}

static void vecadd(void)
{
    vector_add(50000);
}

/* ---- copies of structs of several alignments (413 MB in all) ------------------------------- */

struct a4 {
    unsigned x;
};
struct __align__(8) a8
{
    unsigned x, y;
};
struct __align__(16) a16
{
    unsigned x, y, z, w;
};
struct p12 {
    unsigned x, y, z;
};

template <class T> __global__ void copy_structs(T *out, const T *in, size_t n)
{
    size_t step = (size_t)gridDim.x * blockDim.x;

    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += step)
        out[i] = in[i];
}

template <class T>
static void aligned_one(unsigned char *out, unsigned char *in, const unsigned char *host,
                        unsigned char *back, size_t bytes)
{
    size_t n = bytes / sizeof(T);

    CHECK(cudaMemset(out, 0, bytes));
    for (int i = 0; i < 32; i++)
        copy_structs<T><<<64, 256>>>((T *)out, (const T *)in, n);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(back, out, bytes, cudaMemcpyDeviceToHost));
    EXPECT(memcmp(back, host, n * sizeof(T)) == 0);
}

static void aligned_types(void)
{
    size_t bytes = 49999872; /* in, and back once for each of seven types and more: 413 MB */
    unsigned char *host = (unsigned char *)malloc(bytes), *back = (unsigned char *)malloc(bytes);
    unsigned char *in, *out;

    for (size_t i = 0; i < bytes; i++)
        host[i] = (unsigned char)(i * 31 >> 3);
    CHECK(cudaMalloc(&in, bytes));
    CHECK(cudaMalloc(&out, bytes));
    CHECK(cudaMemcpy(in, host, bytes, cudaMemcpyHostToDevice));
    aligned_one<unsigned char>(out, in, host, back, bytes);
    aligned_one<unsigned short>(out, in, host, back, bytes);
    aligned_one<a4>(out, in, host, back, bytes);
    aligned_one<a8>(out, in, host, back, bytes);
    aligned_one<a16>(out, in, host, back, bytes);
    aligned_one<p12>(out, in, host, back, bytes);
    aligned_one<uint4>(out, in, host, back, bytes);
    CHECK(cudaFree(in));
    CHECK(cudaFree(out));
    free(host);
    free(back);
}

/* ---- asynchronous copies of pinned memory around a kernel (64 MB each way) ------------------ */

__global__ void increment(int *p, int by)
{
    p[blockIdx.x * blockDim.x + threadIdx.x] += by;
}

static void async_api(void)
{
    size_t n = 16 * MIB, bytes = n * sizeof(int);
    cudaEvent_t start, stop;
    unsigned long spins = 0;
    int *h, *d;
    float ms;

    CHECK(cudaMallocHost(&h, bytes));
    CHECK(cudaMalloc(&d, bytes));
    memset(h, 0, bytes);
    CHECK(cudaEventCreate(&start));
    CHECK(cudaEventCreate(&stop));
    CHECK(cudaEventRecord(start, 0));
    CHECK(cudaMemcpyAsync(d, h, bytes, cudaMemcpyHostToDevice, 0));
    increment<<<(unsigned)(n / 512), 512>>>(d, 26);
    CHECK(cudaMemcpyAsync(h, d, bytes, cudaMemcpyDeviceToHost, 0));
    CHECK(cudaEventRecord(stop, 0));
    while (cudaEventQuery(stop) == cudaErrorNotReady)
        spins++;
    CHECK(cudaEventElapsedTime(&ms, start, stop));
    for (size_t i = 0; i < n; i++)
        EXPECT(h[i] == 26);
    CHECK(cudaEventDestroy(start));
    CHECK(cudaEventDestroy(stop));
    CHECK(cudaFree(d));
    CHECK(cudaFreeHost(h));
}

/* ---- option prices (76 MB) ----------------------------------------------------------------- */

__device__ float cnd(float d)
{
    return 0.5f * erfcf(-d * 0.70710678f);
}

__global__ void black_scholes(float *call, float *put, const float *price, const float *strike,
                              const float *years, float r, float v, int n)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);

    if (i < n) {
        float s = price[i], x = strike[i], t = years[i], q = sqrtf(t);
        float d1 = (logf(s / x) + (r + 0.5f * v * v) * t) / (v * q), d2 = d1 - v * q;
        float e = expf(-r * t);

        call[i] = s * cnd(d1) - x * e * cnd(d2);
        put[i] = x * e * cnd(-d2) - s * cnd(-d1);
    }
}

static void black_scholes_run(void)
{
    const int n = 4000000;
    size_t bytes = (size_t)n * sizeof(float);
    float *h[5], *d[5];

    for (int i = 0; i < 5; i++) {
        h[i] = (float *)malloc(bytes);
        CHECK(cudaMalloc(&d[i], bytes));
    }
    for (int i = 0; i < n; i++) {
        h[2][i] = 5 + 25 * random01();
        h[3][i] = 1 + 99 * random01();
        h[4][i] = 0.25f + 9.75f * random01();
    }
    for (int i = 2; i < 5; i++)
        CHECK(cudaMemcpy(d[i], h[i], bytes, cudaMemcpyHostToDevice));
    for (int i = 0; i < 512; i++)
        black_scholes<<<blocks((size_t)n, 128), 128>>>(d[0], d[1], d[2], d[3], d[4], 0.02f, 0.3f,
                                                       n);
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 2; i++)
        CHECK(cudaMemcpy(h[i], d[i], bytes, cudaMemcpyDeviceToHost));
    for (int i = 0; i < n; i++) { /* put-call parity */
        float want = h[2][i] - h[3][i] * expf(-0.02f * h[4][i]);

        EXPECT(fabsf(h[0][i] - h[1][i] - want) < 1e-2f);
    }
    for (int i = 0; i < 5; i++) {
        CHECK(cudaFree(d[i]));
        free(h[i]);
    }
}

/* ---- clocks of blocks (2.5 KB) ------------------------------------------------------------- */

__global__ void timed_reduction(const float *in, float *out, long long *timer)
{
    __shared__ float v[512];
    unsigned t = threadIdx.x;

    if (t == 0)
        timer[blockIdx.x] = clock64();
    v[t] = in[t];
    v[t + blockDim.x] = in[t + blockDim.x];
    for (unsigned d = blockDim.x; d > 0; d /= 2) {
        __syncthreads();
        if (t < d && v[t + d] < v[t])
            v[t] = v[t + d];
    }
    if (t == 0)
        out[blockIdx.x] = v[0];
    __syncthreads();
    if (t == 0)
        timer[blockIdx.x + gridDim.x] = clock64();
}

static void clock_run(void)
{
    const int n = 512, grid = 64;
    long long timer[2 * 64];
    float in[512], out[64], *x, *y;
    long long *z;

    for (int i = 0; i < n; i++)
        in[i] = (float)(n - i);
    CHECK(cudaMalloc(&x, sizeof(in)));
    CHECK(cudaMalloc(&y, sizeof(out)));
    CHECK(cudaMalloc(&z, sizeof(timer)));
    CHECK(cudaMemcpy(x, in, sizeof(in), cudaMemcpyHostToDevice));
    timed_reduction<<<grid, 256>>>(x, y, z);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(timer, z, sizeof(timer), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(out, y, sizeof(out), cudaMemcpyDeviceToHost));
    for (int i = 0; i < grid; i++)
        EXPECT(out[i] == 1 && timer[i + grid] >= timer[i]);
    CHECK(cudaFree(x));
    CHECK(cudaFree(y));
    CHECK(cudaFree(z));
}

/* ---- separable convolution (36 MB) --------------------------------------------------------- */

#define RADIUS 8
__constant__ float taps[2 * RADIUS + 1];

__global__ void convolve(float *out, const float *in, int w, int h, int dx, int dy)
{
    int x = (int)(blockIdx.x * blockDim.x + threadIdx.x),
        y = (int)(blockIdx.y * blockDim.y + threadIdx.y);
    float sum = 0;

    if (x >= w || y >= h)
        return;
    for (int k = -RADIUS; k <= RADIUS; k++) {
        int u = x + k * dx, v = y + k * dy;

        if (u >= 0 && u < w && v >= 0 && v < h)
            sum += in[(size_t)v * w + u] * taps[k + RADIUS];
    }
    out[(size_t)y * w + x] = sum;
}

static void convolution(void)
{
    const int w = 3072, h = 1536;
    size_t bytes = (size_t)w * h * sizeof(float);
    float t[2 * RADIUS + 1], *a = (float *)malloc(bytes), *b = (float *)malloc(bytes), *x, *y, *z;
    dim3 block(32, 8), grid(blocks(w, 32), blocks(h, 8));

    for (int i = 0; i <= 2 * RADIUS; i++)
        t[i] = 1.0f / (float)(2 * RADIUS + 1);
    for (size_t i = 0; i < bytes / sizeof(float); i++)
        a[i] = 3.0f;
    CHECK(cudaMemcpyToSymbol(taps, t, sizeof(t)));
    CHECK(cudaMalloc(&x, bytes));
    CHECK(cudaMalloc(&y, bytes));
    CHECK(cudaMalloc(&z, bytes));
    CHECK(cudaMemcpy(x, a, bytes, cudaMemcpyHostToDevice));
    for (int i = 0; i < 17; i++) {
        convolve<<<grid, block>>>(y, x, w, h, 1, 0);
        convolve<<<grid, block>>>(z, y, w, h, 0, 1);
    }
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(b, z, bytes, cudaMemcpyDeviceToHost));
    for (int v = RADIUS; v < h - RADIUS; v += 7)
        for (int u = RADIUS; u < w - RADIUS; u++)
            EXPECT(fabsf(b[(size_t)v * w + u] - 3.0f) < 1e-3f);
    CHECK(cudaFree(x));
    CHECK(cudaFree(y));
    CHECK(cudaFree(z));
    free(a);
    free(b);
}

/* ---- Walsh transform (64 MB) --------------------------------------------------------------- */

__global__ void walsh_step(float *d, unsigned stride, unsigned n)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned at = (i / stride) * 2 * stride + i % stride;

    if (at + stride < n) {
        float a = d[at], b = d[at + stride];

        d[at] = a + b;
        d[at + stride] = a - b;
    }
}

static void walsh(void)
{
    const unsigned n = 1u << 23;
    size_t bytes = (size_t)n * sizeof(float);
    float *a = (float *)malloc(bytes), *b = (float *)malloc(bytes), *d;

    for (unsigned i = 0; i < n; i++)
        a[i] = (float)(i * 7 % 16);
    CHECK(cudaMalloc(&d, bytes));
    CHECK(cudaMemcpy(d, a, bytes, cudaMemcpyHostToDevice));
    for (int twice = 0; twice < 2; twice++)
        for (unsigned s = 1; s < n; s *= 2)
            walsh_step<<<n / 2 / 256, 256>>>(d, s, n);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(b, d, bytes, cudaMemcpyDeviceToHost));
    for (unsigned i = 0; i < n; i++) /* the transform of the transform, n times what was there */
        EXPECT(fabsf(b[i] / (float)n - a[i]) < 1e-2f);
    CHECK(cudaFree(d));
    free(a);
    free(b);
}

/* ---- matrix products (79 KB, and a sizeable one) ------------------------------------------- */

__global__ void matrix_product(float *c, const float *a, const float *b, int wa, int wb)
{
    __shared__ float ta[32][32], tb[32][32];
    int x = (int)(blockIdx.x * 32 + threadIdx.x), y = (int)(blockIdx.y * 32 + threadIdx.y);
    float sum = 0;

    for (int t = 0; t < wa; t += 32) {
        ta[threadIdx.y][threadIdx.x] = a[y * wa + t + (int)threadIdx.x];
        tb[threadIdx.y][threadIdx.x] = b[(t + (int)threadIdx.y) * wb + x];
        __syncthreads();
        for (int k = 0; k < 32; k++)
            sum += ta[threadIdx.y][k] * tb[k][threadIdx.x];
        __syncthreads();
    }
    c[y * wb + x] = sum;
}

static void product(int ha, int wa, int wb, int runs)
{
    size_t na = (size_t)ha * wa, nb = (size_t)wa * wb, nc = (size_t)ha * wb;
    float *a = (float *)malloc(na * 4), *b = (float *)malloc(nb * 4), *c = (float *)malloc(nc * 4);
    float *x, *y, *z;
    dim3 block(32, 32), grid((unsigned)wb / 32, (unsigned)ha / 32);

    for (size_t i = 0; i < na; i++)
        a[i] = 1.0f;
    for (size_t i = 0; i < nb; i++)
        b[i] = 0.01f;
    CHECK(cudaMalloc(&x, na * 4));
    CHECK(cudaMalloc(&y, nb * 4));
    CHECK(cudaMalloc(&z, nc * 4));
    CHECK(cudaMemcpy(x, a, na * 4, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(y, b, nb * 4, cudaMemcpyHostToDevice));
    for (int i = 0; i < runs; i++)
        matrix_product<<<grid, block>>>(z, x, y, wa, wb);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(c, z, nc * 4, cudaMemcpyDeviceToHost));
    for (size_t i = 0; i < nc; i++)
        EXPECT(fabsf(c[i] - (float)wa * 0.01f) < 1e-3f * (float)wa);
    CHECK(cudaFree(x));
    CHECK(cudaFree(y));
    CHECK(cudaFree(z));
    free(a);
    free(b);
    free(c);
}

static void matrix_small(void)
{
    product(64, 96, 96, 300); /* 79 KB in and out */
}

static void matrix_large(void)
{
    product(4096, 4096, 4096, 10);
}

/* ---- bandwidth, pageable and pinned -------------------------------------------------------- */

static void bandwidth(void)
{
    size_t bytes = 32 * MIB;

    for (int pinned = 0; pinned < 2; pinned++) {
        unsigned char *a, *b, *d, *e;

        if (pinned) {
            CHECK(cudaMallocHost(&a, bytes));
            CHECK(cudaMallocHost(&b, bytes));
        } else {
            a = (unsigned char *)malloc(bytes);
            b = (unsigned char *)malloc(bytes);
        }
        for (size_t i = 0; i < bytes; i++)
            a[i] = (unsigned char)(i >> 4);
        memset(b, 0, bytes);
        CHECK(cudaMalloc(&d, bytes));
        CHECK(cudaMalloc(&e, bytes));
        for (int i = 0; i < 10; i++)
            CHECK(cudaMemcpy(d, a, bytes, cudaMemcpyHostToDevice));
        for (int i = 0; i < 10; i++)
            CHECK(cudaMemcpy(e, d, bytes, cudaMemcpyDeviceToDevice));
        for (int i = 0; i < 10; i++)
            CHECK(cudaMemcpy(b, e, bytes, cudaMemcpyDeviceToHost));
        EXPECT(memcmp(a, b, bytes) == 0);
        CHECK(cudaFree(d));
        CHECK(cudaFree(e));
        if (pinned) {
            CHECK(cudaFreeHost(a));
            CHECK(cudaFreeHost(b));
        } else {
            free(a);
            free(b);
        }
    }
}

/* ---- some of everything, for several processes at once ------------------------------------- */

static bool small; /* for slow devices */

static void mixed(void)
{
    if (small) {
        vector_add(4096);
        product(64, 64, 64, 2);
        return;
    }
    for (int i = 0; i < 4; i++) {
        vector_add(1 * MIB);
        product(512, 512, 512, 200);
        clock_run();
        walsh();
    }
}

struct program {
    const char *name;
    void (*run)(void);
};

static const struct program programs[] = {
    {"alignedTypes", aligned_types},
    {"asyncAPI", async_api},
    {"BlackScholes", black_scholes_run},
    {"clock", clock_run},
    {"convolutionSeparable", convolution},
    {"fastWalshTransform", walsh},
    {"matrixMul", matrix_small},
    {"bandwidthTest", bandwidth},
    {"matrixMulLarge", matrix_large},
    {"VecAdd", vecadd},
    {"mixed", mixed},
};

int main(int argc, char **argv)
{
    small = argc == 3 && strcmp(argv[2], "small") == 0;
    for (size_t i = 0; argc == 2 + small && i < sizeof(programs) / sizeof(programs[0]); i++) {
        double t = now_us();

        if (strcmp(argv[1], programs[i].name) != 0)
            continue;
        CHECK(cudaFree(0));
        printf("start %.1f\n", now_us() - t);
        if (programs[i].run == mixed) {
            puts("ready");
            fflush(stdout);
            if (getchar() < 0)
                return 1;
        }
        t = now_us();
        programs[i].run();
        printf("body %.1f\n", now_us() - t);
        return 0;
    }
    fputs("usage: programs NAME [small], with one of:", stderr);
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        fprintf(stderr, " %s", programs[i].name);
    fputs("\n", stderr);
    return 2;
}
