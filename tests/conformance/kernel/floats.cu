/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchKernel __cudaLaunchKernel */
/* Floating point where IEEE says the result: rounding modes, conversions, f16 and bf16, and the
 * functions of the maths library that are exact. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "transcript.h"

#define N 256

/* NaNs have several bit patterns. */
__device__ unsigned f(float x)
{
    return isnan(x) ? 0x7fc00000u : __float_as_uint(x);
}

__device__ unsigned long long d(double x)
{
    return isnan(x) ? 0x7ff8000000000000ull : (unsigned long long)__double_as_longlong(x);
}

__global__ void singles(const float *a, const float *b, unsigned *out)
{
    int i = threadIdx.x;
    float x = a[i], y = b[i];
    unsigned *o = out + i * 32, k = 0;

    o[k++] = f(__fadd_rn(x, y));
    o[k++] = f(__fadd_rz(x, y));
    o[k++] = f(__fadd_ru(x, y));
    o[k++] = f(__fadd_rd(x, y));
    o[k++] = f(__fmul_rn(x, y));
    o[k++] = f(__fmul_ru(x, y));
    o[k++] = f(__fmaf_rn(x, y, x));
    o[k++] = f(__fmaf_rz(x, y, x));
    o[k++] = f(__fdiv_rn(x, y));
    o[k++] = f(__fdiv_rd(x, y));
    o[k++] = f(__fsqrt_rn(x));
    o[k++] = f(__fsqrt_ru(fabsf(x)));
    o[k++] = f(__frcp_rn(x));
    o[k++] = f(fminf(x, y));
    o[k++] = f(fmaxf(x, y));
    o[k++] = f(copysignf(x, y));
    o[k++] = f(floorf(x));
    o[k++] = f(ceilf(x));
    o[k++] = f(truncf(x));
    o[k++] = f(rintf(x));
    o[k++] = f(roundf(x));
    o[k++] = f(fmodf(x, y));
    o[k++] = f(remainderf(x, y));
    o[k++] = f(ldexpf(x, i % 40 - 20));
    o[k++] = f(nextafterf(x, y));
    o[k++] = f(fdimf(x, y));
    o[k++] = (unsigned)__float2int_rn(x);
    o[k++] = __float2uint_rz(x);
    o[k++] = (unsigned)(__float2ll_ru(x) >> 3);
    o[k++] = (x < y) | (x <= y) << 1 | (x == y) << 2 | (x != y) << 3 | isfinite(x) << 4 |
             isnan(y) << 5 | (signbit(x) != 0) << 6;
    o[k++] = f(__int2float_rd((int)f(x)));
    o[k++] = f(__uint2float_rn(f(y)));
}

__global__ void doubles(const float *a, const float *b, unsigned long long *out)
{
    int i = threadIdx.x;
    double x = (double)a[i] * 1.1, y = (double)b[i] / 3;
    unsigned long long *o = out + i * 16, k = 0;

    o[k++] = d(__dadd_rn(x, y));
    o[k++] = d(__dmul_rz(x, y));
    o[k++] = d(__fma_ru(x, y, x));
    o[k++] = d(__ddiv_rn(x, y));
    o[k++] = d(__dsqrt_rn(fabs(x)));
    o[k++] = d(__drcp_rn(y));
    o[k++] = d(fmod(x, y));
    o[k++] = d(rint(x));
    o[k++] = d(floor(y));
    o[k++] = d(ldexp(x, i % 70 - 35));
    o[k++] = d(nextafter(x, y));
    o[k++] = f(__double2float_rn(x));
    o[k++] = f(__double2float_ru(x));
    o[k++] = (unsigned long long)__double2ll_rd(x);
    o[k++] = __double2uint_rn(y);
    o[k++] = d(__ull2double_rz((unsigned long long)f(a[i]) << 29 | f(b[i])));
}

__global__ void halves(const float *a, const float *b, unsigned *out)
{
    int i = threadIdx.x;
    __half x = __float2half_rn(a[i]), y = __float2half_rz(b[i]);
    __nv_bfloat16 p = __float2bfloat16_rn(a[i]), q = __float2bfloat16_rn(b[i]);
    __half2 v = __halves2half2(x, y), w = __halves2half2(y, x);
    unsigned *o = out + i * 12, k = 0;

    o[k++] = f(__half2float(x)) + f(__half2float(y));
    o[k++] = f(__half2float(__hadd(x, y)));
    o[k++] = f(__half2float(__hmul(x, y)));
    o[k++] = f(__half2float(__hfma(x, y, x)));
    o[k++] = f(__half2float(__hsub_sat(x, y)));
    o[k++] = f(__low2float(__hadd2(v, w))) ^ f(__high2float(__hmul2(v, w)));
    o[k++] = __hlt(x, y) | __hge(x, y) << 1 | __hisnan(x) << 2;
    o[k++] = (unsigned)__half2int_rn(x) + __half2uint_rz(y);
    o[k++] = f(__bfloat162float(p)) + f(__bfloat162float(q));
    o[k++] = f(__bfloat162float(__float2bfloat16_rd(a[i])));
    o[k++] = f(__half2float(__int2half_rn(i * 97)));
    o[k++] = f(__half2float(__hneg(__habs(x))));
}

/* Not exact by definition: the same on every GPU, close on others. */
__global__ void approximate(const float *a, float *out)
{
    int i = threadIdx.x;
    float x = fabsf(a[i]);

    out[i * 4] = __expf(-x);
    out[i * 4 + 1] = __sinf(x);
    out[i * 4 + 2] = expf(-x) + logf(x + 1);
    out[i * 4 + 3] = rsqrtf(x + 1) + powf(x, 0.3f) + tanhf(x) + erff(x);
}

int main(void)
{
    static const unsigned special[] = {0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000,
                                       0xff800000, 0x7fc00000, 1,          0x80000001, 0x7fffff,
                                       0x800000,   0x7f7fffff, 0x3f000000, 0xbfc00000, 0x4f000000,
                                       0x4f800000, 0xcf000000, 0x5f000000, 0x477fe000, 0x477ff000};
    static float in[2][N];
    static unsigned char result[N * 128];
    float *a, *b, *out;

    for (int i = 0; i < N; i++) {
        unsigned r[2];

        t_fill(r, sizeof(r), i + 5);
        for (int k = 0; k < 2; k++) {
            /* mostly of ordinary size */
            r[k] = i % 3 ? (r[k] & 0x807fffff) | (0x3a000000 + (r[k] >> 4 & 0xa000000)) : r[k];
            if (i < 400 && i % 5 == k)
                r[k] = special[(i / 5) % 20];
            if (i >= 240)
                r[k] = special[(i * (k + 1) + k) % 20];
            memcpy(&in[k][i], &r[k], 4);
        }
    }
    T_OK(cudaMalloc(&a, sizeof(in[0])));
    T_OK(cudaMalloc(&b, sizeof(in[0])));
    T_OK(cudaMalloc(&out, sizeof(result)));
    T_OK(cudaMemcpy(a, in[0], sizeof(in[0]), cudaMemcpyHostToDevice));
    T_OK(cudaMemcpy(b, in[1], sizeof(in[1]), cudaMemcpyHostToDevice));
    singles<<<1, N>>>(a, b, (unsigned *)out);
    T(cudaMemcpy(result, out, sizeof(result), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 32; i++) { /* an operation a line: a difference names its operation */
        unsigned column[N];
        char name[24];

        for (int k = 0; k < N; k++)
            column[k] = ((unsigned *)result)[k * 32 + i];
        snprintf(name, sizeof(name), "singles %d", i);
        T_DIGEST(name, column, sizeof(column));
    }
    doubles<<<1, N>>>(a, b, (unsigned long long *)out);
    T(cudaMemcpy(result, out, N * 128, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 16; i++) {
        unsigned long long column[N];
        char name[24];

        for (int k = 0; k < N; k++)
            column[k] = ((unsigned long long *)result)[k * 16 + i];
        snprintf(name, sizeof(name), "doubles %d", i);
        T_DIGEST(name, column, sizeof(column));
    }
    halves<<<1, N>>>(a, b, (unsigned *)out);
    T(cudaMemcpy(result, out, N * 48, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 12; i++) {
        unsigned column[N];
        char name[24];

        for (int k = 0; k < N; k++)
            column[k] = ((unsigned *)result)[k * 12 + i];
        snprintf(name, sizeof(name), "halves %d", i);
        T_DIGEST(name, column, sizeof(column));
    }
    approximate<<<1, N>>>(a, out);
    T(cudaMemcpy(result, out, N * 16, cudaMemcpyDeviceToHost));
    T_DEVICE("approximate", t_digest(result, N * 16));
    return 0;
}
