/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchKernel __cudaLaunchKernel __cudaRegisterFunction */
/* Integer arithmetic, bit operations, conversions: exact on every device. */
#include <cuda_runtime.h>

#include "transcript.h"

#define N 256

__global__ void arithmetic(const unsigned *a, const unsigned *b, unsigned *out)
{
    unsigned i = threadIdx.x, x = a[i], y = b[i], k = 0;
    int sx = (int)x, sy = (int)y;
    unsigned *o = out + i * 24;

    o[k++] = x + y;
    o[k++] = x - y;
    o[k++] = x * y;
    o[k++] = x / (y | 1);
    o[k++] = x % (y | 1);
    o[k++] = (unsigned)(sx / ((sy >> 8) | 1));
    o[k++] = (unsigned)(sx % ((sy >> 8) | 1));
    o[k++] = __umulhi(x, y);
    o[k++] = (unsigned)__mulhi(sx, sy);
    o[k++] = __mul24(sx, sy);
    o[k++] = __umul24(x, y);
    o[k++] = __sad(sx, sy, 7);
    o[k++] = __usad(x, y, 7);
    o[k++] = min(sx, sy);
    o[k++] = max(x, y);
    o[k++] = abs(sx >> 1);
    o[k++] = __hadd(sx, sy);
    o[k++] = __rhadd(sx, sy);
    o[k++] = __uhadd(x, y);
    o[k++] = __dp4a(sx, sy, 3);
    o[k++] = __dp2a_lo(sx, sy, 3);
    o[k++] = x << (y & 31);
    o[k++] = x >> (y & 31);
    o[k++] = (unsigned)(sx >> (y & 31));
}

__global__ void bits(const unsigned *a, const unsigned *b, unsigned *out)
{
    unsigned i = threadIdx.x, x = a[i], y = b[i], k = 0;
    unsigned *o = out + i * 24;

    o[k++] = __brev(x);
    o[k++] = __clz(x >> (i & 31));
    o[k++] = __ffs(x << (i & 31));
    o[k++] = __popc(x);
    o[k++] = __byte_perm(x, y, i * 0x1357);
    o[k++] = __funnelshift_l(x, y, i);
    o[k++] = __funnelshift_r(x, y, i);
    o[k++] = __funnelshift_lc(x, y, i);
    o[k++] = __funnelshift_rc(x, y, i);
    o[k++] = __clzll((unsigned long long)x << (i & 31));
    o[k++] = __ffsll((unsigned long long)x << 17);
    o[k++] = __popcll((unsigned long long)x << 32 | y);
    o[k++] = (unsigned)(__brevll((unsigned long long)x << 32 | y) >> 13);
    o[k++] = __vadd4(x, y);
    o[k++] = __vsub2(x, y);
    o[k++] = __vmaxs4(x, y);
    o[k++] = __vcmpgtu4(x, y);
    o[k++] = __vabsdiffu4(x, y);
    o[k++] = __vavgs2(x, y);
    o[k++] = (x ^ y) & ~(x | i);
    asm("bfe.u32 %0, %1, %2, %3;" : "=r"(o[k]) : "r"(x), "r"(i & 31), "r"(y & 31));
    k++;
    asm("bfe.s32 %0, %1, %2, %3;" : "=r"(o[k]) : "r"(x), "r"(i & 31), "r"(y & 31));
    k++;
    asm("bfi.b32 %0, %1, %2, %3, %4;" : "=r"(o[k]) : "r"(x), "r"(y), "r"(i & 31), "r"(7));
    k++;
    asm("lop3.b32 %0, %1, %2, %3, 0x96;" : "=r"(o[k]) : "r"(x), "r"(y), "r"(i));
}

__global__ void wide(const unsigned *a, const unsigned *b, unsigned long long *out)
{
    unsigned i = threadIdx.x;
    unsigned long long x = (unsigned long long)a[i] << 32 | b[i], y = (x << 7) ^ (x >> 23) ^ i;
    unsigned long long *o = out + i * 12;
    unsigned c0, c1;

    o[0] = x * y;
    o[1] = __umul64hi(x, y);
    o[2] = (unsigned long long)__mul64hi((long long)x, (long long)y);
    o[3] = x / ((y >> 20) | 1);
    o[4] = x % ((y >> 20) | 1);
    o[5] = (unsigned long long)((long long)x / (int)(a[i] | 1));
    o[6] = (unsigned long long)((long long)x >> (i & 63));
    o[7] = min(x, y);
    asm("add.cc.u32 %0, %2, %3; addc.u32 %1, %2, %4;"
        : "=&r"(c0), "=r"(c1)
        : "r"(a[i]), "r"(b[i]), "r"(i));
    o[8] = (unsigned long long)c1 << 32 | c0;
    asm("mad.lo.cc.u32 %0, %2, %3, %4; madc.hi.u32 %1, %2, %3, %4;"
        : "=&r"(c0), "=r"(c1)
        : "r"(a[i]), "r"(b[i]), "r"(i));
    o[9] = (unsigned long long)c1 << 32 | c0;
    o[10] = (unsigned long long)(__int128)((__int128)(long long)x * (long long)y >> 64);
    o[11] = (unsigned char)x + (unsigned long long)(signed char)y + (short)(x >> 16);
}

int main(void)
{
    unsigned *a, *b;
    unsigned long long *out;
    static unsigned char in[2][N * 4], result[N * 12 * 8];

    t_fill(in[0], sizeof(in[0]), 3);
    t_fill(in[1], sizeof(in[1]), 4);
    memset(in[0], 0, 8);
    memset(in[1] + 4, 0xff, 8);
    T_OK(cudaMalloc(&a, sizeof(in[0])));
    T_OK(cudaMalloc(&b, sizeof(in[0])));
    T_OK(cudaMalloc(&out, sizeof(result)));
    T_OK(cudaMemcpy(a, in[0], sizeof(in[0]), cudaMemcpyHostToDevice));
    T_OK(cudaMemcpy(b, in[1], sizeof(in[1]), cudaMemcpyHostToDevice));
    arithmetic<<<1, N>>>(a, b, (unsigned *)out);
    T(cudaGetLastError());
    T(cudaMemcpy(result, out, sizeof(result), cudaMemcpyDeviceToHost));
    T_DIGEST("arithmetic", result, N * 24 * 4);
    bits<<<1, N>>>(a, b, (unsigned *)out);
    T(cudaGetLastError());
    T(cudaMemcpy(result, out, sizeof(result), cudaMemcpyDeviceToHost));
    T_DIGEST("bits", result, N * 24 * 4);
    wide<<<1, N>>>(a, b, out);
    T(cudaGetLastError());
    T(cudaMemcpy(result, out, sizeof(result), cudaMemcpyDeviceToHost));
    T_DIGEST("wide", result, N * 12 * 8);
    return 0;
}
