/* SPDX-License-Identifier: MIT */
/*
 * kernels.h - the kernels of `make bench-ptx`, one text for CUDA (to PTX, by nvcc) and for OpenCL.
 * Buffers: a, b random numbers in [0, 1), x random integers, o the result.
 */
#ifdef __OPENCL_VERSION__
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#define KERNEL       __kernel void
#define G            __global
#define SHARED       __local
#define TX           ((int)get_local_id(0))
#define TY           ((int)get_local_id(1))
#define BX           ((int)get_group_id(0))
#define BY           ((int)get_group_id(1))
#define DX           ((int)get_local_size(0))
#define NX           ((int)get_num_groups(0))
#define SYNC         barrier(CLK_LOCAL_MEM_FENCE)
#define ADD_I(p, v)  atomic_add((volatile __global int *)(p), v)
#define FMA(a, b, c) fma(a, b, c)
#define EXP2(x)      native_exp2(x)
#define RSQRT(x)     native_rsqrt(x)
typedef uint u32;
typedef uchar u8;
#else
#define KERNEL extern "C" __global__ void
#define G
#define SHARED       __shared__
#define TX           ((int)threadIdx.x)
#define TY           ((int)threadIdx.y)
#define BX           ((int)blockIdx.x)
#define BY           ((int)blockIdx.y)
#define DX           ((int)blockDim.x)
#define NX           ((int)gridDim.x)
#define SYNC         __syncthreads()
#define ADD_I(p, v)  atomicAdd(p, v)
#define FMA(a, b, c) fma(a, b, c)
#define EXP2(x)      exp2f(x)
#define RSQRT(x)     rsqrtf(x)
typedef unsigned u32;
typedef unsigned char u8;
#endif

KERNEL saxpy(G const float *a, G const float *b, G float *o, int n, float k)
{
    int i = BX * DX + TX;

    if (i < n)
        o[i] = FMA(k, a[i], b[i]);
}

KERNEL matmul(G const float *a, G const float *b, G float *o, int n)
{
    SHARED float s[16][16], t[16][16];
    int r = BY * 16 + TY, c = BX * 16 + TX;
    float acc = 0;

    for (int m = 0; m < n / 16; m++) {
        s[TY][TX] = a[r * n + m * 16 + TX];
        t[TY][TX] = b[(m * 16 + TY) * n + c];
        SYNC;
        for (int k = 0; k < 16; k++)
            acc = FMA(s[TY][k], t[k][TX], acc);
        SYNC;
    }
    o[r * n + c] = acc;
}

KERNEL mandel(G int *o, int w, int h, int limit)
{
    int x = BX * DX + TX, y = BY, i = 0;
    float cr = -2.0f + 3.0f * x / w, ci = -1.5f + 3.0f * y / h, zr = 0, zi = 0;

    while (i < limit && zr * zr + zi * zi < 4.0f) {
        float t = FMA(zr, zr, FMA(-zi, zi, cr));

        zi = FMA(2 * zr, zi, ci);
        zr = t;
        i++;
    }
    o[y * w + x] = i;
}

KERNEL nbody(G const float *a, G float *o, int n)
{
    SHARED float px[256], py[256], pz[256], m[256];
    int i = BX * DX + TX;
    float x = a[4 * i], y = a[4 * i + 1], z = a[4 * i + 2], fx = 0, fy = 0, fz = 0;

    for (int k = 0; k < n; k += 256) {
        px[TX] = a[4 * (k + TX)];
        py[TX] = a[4 * (k + TX) + 1];
        pz[TX] = a[4 * (k + TX) + 2];
        m[TX] = a[4 * (k + TX) + 3];
        SYNC;
        for (int j = 0; j < 256; j++) {
            float dx = px[j] - x, dy = py[j] - y, dz = pz[j] - z;
            float d = FMA(dx, dx, FMA(dy, dy, FMA(dz, dz, 0.01f))), q = RSQRT(d);
            float s = m[j] * q * q * q;

            fx = FMA(dx, s, fx);
            fy = FMA(dy, s, fy);
            fz = FMA(dz, s, fz);
        }
        SYNC;
    }
    o[3 * i] = fx;
    o[3 * i + 1] = fy;
    o[3 * i + 2] = fz;
}

KERNEL reduce(G const u32 *x, G u32 *o, int n)
{
    SHARED u32 s[256];
    u32 v = 0;

    for (int i = BX * DX + TX; i < n; i += NX * DX)
        v += x[i];
    s[TX] = v;
    SYNC;
    for (int k = 128; k; k >>= 1) {
        if (TX < k)
            s[TX] += s[TX + k];
        SYNC;
    }
    if (TX == 0)
        o[BX] = s[0];
}

KERNEL poly64(G const float *a, G float *o, int n)
{
    int i = BX * DX + TX;

    if (i < n) {
        double v = a[i], p = 0.5;

        for (int k = 0; k < 32; k++)
            p = FMA(p, v, 1.0 / (k + 1));
        o[i] = (float)p;
    }
}

KERNEL gather(G const u32 *x, G const float *a, G float *o, int mask)
{
    int i = BX * DX + TX;

    o[i] = a[x[i] & mask] + a[x[i] >> 12 & mask];
}

KERNEL histogram(G const u32 *x, G int *o)
{
    int i = BX * DX + TX;

    ADD_I(&o[x[i] & 255], 1);
}

KERNEL gray(G const u8 *x, G u8 *o)
{
    int i = BX * DX + TX;
    int r = x[4 * i], g = x[4 * i + 1], b = x[4 * i + 2];

    o[i] = (u8)((77 * r + 150 * g + 29 * b) >> 8);
}

KERNEL stencil(G const float *a, G float *o, int w, int h)
{
    int x = BX * DX + TX, y = BY;

    if (x > 0 && y > 0 && x < w - 1 && y < h - 1)
        o[y * w + x] = 0.2f * (a[y * w + x] + a[y * w + x - 1] + a[y * w + x + 1] +
                               a[(y - 1) * w + x] + a[(y + 1) * w + x]);
}

KERNEL hash(G const u32 *x, G u32 *o, int rounds)
{
    int i = BX * DX + TX;
    u32 v = x[i];

    for (int k = 0; k < rounds; k++) {
        v ^= v >> 16;
        v *= 0x7feb352du;
        v ^= v >> 15;
        v *= 0x846ca68bu;
        v = v << 7 | v >> 25;
    }
    o[i] = v;
}

KERNEL option_price(G const float *a, G const float *b, G float *o)
{
    int i = BX * DX + TX;
    float s = 10.0f + 90.0f * a[i], t = 0.2f + b[i], acc = 0;

    for (int k = 1; k <= 16; k++) {
        float d = s * 0.01f * k - t;

        acc += EXP2(-d * d) / (1.0f + 0.1f * k * t);
    }
    o[i] = acc;
}

KERNEL scan(G const u32 *x, G u32 *o)
{
    SHARED u32 s[2][256];
    int i = BX * 256 + TX, p = 0;

    s[0][TX] = x[i];
    SYNC;
    for (int k = 1; k < 256; k <<= 1) {
        s[1 - p][TX] = s[p][TX] + (TX >= k ? s[p][TX - k] : 0);
        p = 1 - p;
        SYNC;
    }
    o[i] = s[p][TX];
}

KERNEL collatz(G const u32 *x, G int *o)
{
    int i = BX * DX + TX, n = 0;
    u32 v = (x[i] & 0xffff) + 1;

    while (v != 1 && n < 1000) {
        if (v & 1)
            v = 3 * v + 1;
        else
            v >>= 1;
        n++;
    }
    o[i] = n;
}

KERNEL small(G const float *a, G float *o)
{
    int i = BX * DX + TX;

    o[i] = a[i] + 1.0f;
}
