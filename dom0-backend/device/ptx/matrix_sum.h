/* SPDX-License-Identifier: MIT */
/*
 * matrix_sum.h - sums of products as the matrix units of compute capability 9.0 make them, found from
 * recorded results (tests/ptx): products are exact; they and the addend are cut, toward zero, to 25
 * bits below the greatest exponent among them, where a product's exponent is the sum of its factors';
 * the sum is exact and cut to single precision.
 */
#ifndef GVM_PTX_MATRIX_SUM_H
#define GVM_PTX_MATRIX_SUM_H

#include "ops.h"

#define MATRIX_SUM_BITS 25

/* Toward zero; what is too large becomes infinite. */
static inline f32 matrix_cut(f64 x)
{
    f32 r = (f32)x;

    return isfinite(r) && fabs((f64)r) > fabs(x) ? nextafterf(r, 0) : r;
}

/* c + a[0] b[0] + ... of n terms; b's elements are `step` apart. */
static inline f32 matrix_sum(const f64 *a, const f64 *b, unsigned step, unsigned n, f64 c)
{
    int max = c != 0 && isfinite(c) ? ilogb(c) : INT32_MIN;
    f64 plain = c;
    s64 sum;

    for (unsigned i = 0; i < n; i++) {
        f64 p = a[i] * b[i * step];

        plain += p;
        if (p != 0 && isfinite(p)) {
            int e = ilogb(a[i]) + ilogb(b[i * step]);

            max = e > max ? e : max;
        }
    }
    if (!isfinite(plain) || max == INT32_MIN)
        return (f32)plain;
    sum = (s64)ldexp(c, MATRIX_SUM_BITS - max);
    for (unsigned i = 0; i < n; i++)
        sum += (s64)ldexp(a[i] * b[i * step], MATRIX_SUM_BITS - max);
    return matrix_cut(ldexp((f64)sum, max - MATRIX_SUM_BITS));
}

#endif
