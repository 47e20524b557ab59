/* SPDX-License-Identifier: MIT */
/*
 * ops_fp.c - single and double precision arithmetic. Rounding and flushing come from MXCSR, which
 * the interpreter sets per micro-op; results of single precision are canonical NaNs.
 */
#include "ops.h"

OP2(add_f32, f32, f32, f32, CANON32(a[i] + b[i]))
OP2(sub_f32, f32, f32, f32, CANON32(a[i] - b[i]))
OP2(mul_f32, f32, f32, f32, CANON32(a[i] * b[i]))
OP2(div_f32, f32, f32, f32, CANON32(a[i] / b[i]))
OP3(fma_f32, f32, f32, f32, f32, CANON32(__builtin_fmaf(a[i], b[i], c[i])))
OP1(rcp_f32, f32, f32, CANON32(1.0f / a[i]))
OP1(sqrt_f32, f32, f32, CANON32(__builtin_sqrtf(a[i])))
OP1(rsqrt_f32, f32, f32, CANON32(1.0f / __builtin_sqrtf(a[i])))
OP2(add_f64, f64, f64, f64, a[i] + b[i])
OP2(sub_f64, f64, f64, f64, a[i] - b[i])
OP2(mul_f64, f64, f64, f64, a[i] * b[i])
OP2(div_f64, f64, f64, f64, a[i] / b[i])
OP3(fma_f64, f64, f64, f64, f64, __builtin_fma(a[i], b[i], c[i]))
OP1(rcp_f64, f64, f64, 1.0 / a[i])
OP1(sqrt_f64, f64, f64, __builtin_sqrt(a[i]))
/* rcp.approx.ftz.f64, rsqrt.approx.ftz.f64: only the upper half of the result is significant */
#define HI64 0xffffffff00000000ull
static inline u64 flush_hi64(u64 v) /* the operand's upper half, subnormal as zero */
{
    return v & (v & 0x7ff0000000000000ull ? HI64 : 0x8000000000000000ull);
}
static inline u64 approx64(f64 v)
{
    return v != v ? 0x7fffffff00000000ull : flush_hi64(d2u(v));
}
OP1(rcp_approx_f64, u64, u64, approx64(1.0 / u2d(flush_hi64(a[i]))))
OP1(rsqrt_approx_f64, u64, u64, approx64(1.0 / __builtin_sqrt(u2d(flush_hi64(a[i])))))
OP1(rsqrt_f64, f64, f64, 1.0 / __builtin_sqrt(a[i]))

/* NaN: canonical in single precision, only quieted in double */
static inline bool nan32(u32 v)
{
    return (v & 0x7fffffffu) > 0x7f800000u;
}
static inline bool nan64(u64 v)
{
    return (v & 0x7fffffffffffffffull) > 0x7ff0000000000000ull;
}
OP1(neg_f32, u32, u32, nan32(a[i]) ? 0x7fffffffu : a[i] ^ 0x80000000u)
OP1(abs_f32, u32, u32, nan32(a[i]) ? 0x7fffffffu : a[i] & 0x7fffffffu)
OP1(neg_f64, u64, u64, nan64(a[i]) ? a[i] | 1ull << 51 : a[i] ^ 0x8000000000000000ull)
OP1(abs_f64, u64, u64, nan64(a[i]) ? a[i] | 1ull << 51 : a[i] & 0x7fffffffffffffffull)
OP2(copysign_f32, u32, u32, u32, (b[i] & 0x7fffffffu) | (a[i] & 0x80000000u))
OP2(copysign_f64, u64, u64, u64, (b[i] & 0x7fffffffffffffffull) | (a[i] & 0x8000000000000000ull))
/* subnormal -> zero of the same sign; NaN canonical */
OP1(ftz_f32, u32, u32, (a[i] & 0x7f800000u) ? a[i] : a[i] & 0x80000000u)
/* to [0, 1], NaN -> +0 */
OP1(sat_f32, f32, f32, a[i] > 0 ? (a[i] < 1 ? a[i] : 1.0f) : 0.0f)
OP1(sat_f64, f64, f64, a[i] > 0 ? (a[i] < 1 ? a[i] : 1.0) : 0.0)
OP1(relu_f32, f32, f32, a[i] != a[i] ? u2f(0x7fffffff) : a[i] > 0 ? a[i] : 0.0f)

/* min, max: the operand that is a number; -0 below +0 */
static inline f32 min32(f32 a, f32 b)
{
    f32 r = (a < b) | (b != b) | ((a == b) & (f2u(a) >> 31)) ? a : b;
    return r != r ? u2f(0x7fffffffu) : r;
}
static inline f32 max32(f32 a, f32 b)
{
    f32 r = (a > b) | (b != b) | ((a == b) & (f2u(b) >> 31)) ? a : b;
    return r != r ? u2f(0x7fffffffu) : r;
}
static inline f64 min64(f64 a, f64 b)
{
    return (a < b) | (b != b) | ((a == b) & (d2u(a) >> 63)) ? a : b;
}
static inline f64 max64(f64 a, f64 b)
{
    return (a > b) | (b != b) | ((a == b) & (d2u(b) >> 63)) ? a : b;
}
OP2(min_f32, f32, f32, f32, min32(a[i], b[i]))
OP2(max_f32, f32, f32, f32, max32(a[i], b[i]))
OP2(min_nan_f32, f32, f32, f32,
    (a[i] != a[i]) | (b[i] != b[i]) ? u2f(0x7fffffffu) : min32(a[i], b[i]))
OP2(max_nan_f32, f32, f32, f32,
    (a[i] != a[i]) | (b[i] != b[i]) ? u2f(0x7fffffffu) : max32(a[i], b[i]))
OP2(min_f64, f64, f64, f64, min64(a[i], b[i]))
OP2(max_f64, f64, f64, f64, max64(a[i], b[i]))

/* ---- .approx functions: at least as accurate as the PTX manual promises ------------------------------ */

/* 2^x: split at the nearest integer, polynomial on [-1/2, 1/2], scale in two steps (subnormals) */
static inline f32 ex2(f32 x)
{
    f32 t = x < -160.0f ? -160.0f : x > 160.0f ? 160.0f : x;
    t = t == t ? t : 0.0f;
    f32 n = (t + 12582912.0f) - 12582912.0f;
    f32 f = t - n;
    f32 p = 1.5353362e-4f;
    p = p * f + 1.3398874e-3f;
    p = p * f + 9.6184373e-3f;
    p = p * f + 5.5503324e-2f;
    p = p * f + 2.4022648e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    s32 k = (s32)n, k1 = k >> 1, k2 = k - k1;
    f32 r = p * u2f((u32)(k1 + 127) << 23) * u2f((u32)(k2 + 127) << 23);
    return x != x ? u2f(0x7fffffffu) : r;
}
OP1(ex2_f32, f32, f32, ex2(a[i]))

static inline f32 lg2(f32 x)
{
    bool sub = x < 1.17549435e-38f;
    u32 v = f2u(sub ? x * 16777216.0f : x);
    s32 e = (s32)((v - 0x3f3504f3u) & 0xff800000u); /* mantissa in [sqrt(1/2), sqrt(2)) */
    f32 m = u2f(v - (u32)e);
    f32 fe = (f32)(e >> 23) - (sub ? 24.0f : 0.0f);
    f32 t = (m - 1.0f) / (m + 1.0f), t2 = t * t;
    f32 p = 0.32059889f;      /* 2 / (9 ln 2) */
    p = p * t2 + 0.41219858f; /* 2 / (7 ln 2) */
    p = p * t2 + 0.57707802f;
    p = p * t2 + 0.96179669f;
    p = p * t2 + 2.8853901f;
    f32 r = fe + p * t;
    r = x == u2f(0x7f800000u) ? x : r;
    r = x == 0.0f ? u2f(0xff800000u) : r;
    return x < 0.0f || x != x ? u2f(0x7fffffffu) : r;
}
/* zero, also when subnormals count as zero, must not reach the logarithm as a tiny number */
OP1(lg2_f32, f32, f32, lg2(a[i]))

/* sin, cos: reduction in double, so good for all arguments below 2^31; beyond, libm */
static inline f32 sincos_poly(f64 r, u32 q)
{
    f64 z = r * r;
    f64 s =
        r +
        r * z *
            (-1.6666666641626524e-1 +
             z * (8.333329385889463e-3 + z * (-1.98393348360966317e-4 + z * 2.718311493989822e-6)));
    f64 c = 1.0 + z * (-4.99999997251031e-1 +
                       z * (4.16666233237390632e-2 +
                            z * (-1.38867637746099295e-3 + z * 2.43904487962774091e-5)));
    f64 v = q & 1 ? c : s;
    return (f32)(q & 2 ? -v : v);
}
static inline f32 sc32(f32 x, u32 quad)
{
    f64 t = x, n = (t * 0.63661977236758134308 + 6755399441055744.0) - 6755399441055744.0;
    f64 r = (t - n * 1.57079632673412561417e+00) - n * 6.07710050650619224932e-11;
    return sincos_poly(r, (u32)(s32)n + quad);
}
#define SINCOS(id, quad, big)                                                                      \
    static void id(struct warp *w, const struct uop *u)                                            \
    {                                                                                              \
        const f32 *a = RG(u->a);                                                                   \
        f32 *d = RG(u->d), t[WARP], x[WARP];                                                       \
        u32 m = w->mask, far = 0;                                                                  \
        LOOP x[i] = __builtin_fabsf(a[i]) < 1e9f ? a[i] : 0.0f;                                    \
        LOOP far |= __builtin_fabsf(a[i]) < 1e9f ? 0 : lane_bit[i];                                \
        LOOP t[i] = sc32(x[i], quad);                                                              \
        for (u32 k = far & m; k; k &= k - 1) {                                                     \
            f32 v = big(a[__builtin_ctz(k)]);                                                      \
            t[__builtin_ctz(k)] = CANON32(v);                                                      \
        }                                                                                          \
        LOOP d[i] = (m & lane_bit[i]) ? t[i] : d[i];                                               \
    }
SINCOS(sin_f32, 0, sinf)
SINCOS(cos_f32, 1, cosf)

static void tanh_f32(struct warp *w, const struct uop *u)
{
    const f32 *a = RG(u->a);
    f32 *d = RG(u->d);
    for (u32 k = w->mask; k; k &= k - 1) {
        f32 v = tanhf(a[__builtin_ctz(k)]);
        d[__builtin_ctz(k)] = CANON32(v);
    }
}

TABLE(ops_fp) = {H("add.f32", add_f32),
                 H("sub.f32", sub_f32),
                 H("mul.f32", mul_f32),
                 H("div.f32", div_f32),
                 H("fma.f32", fma_f32),
                 H("rcp.f32", rcp_f32),
                 H("sqrt.f32", sqrt_f32),
                 H("rsqrt.f32", rsqrt_f32),
                 H("add.f64", add_f64),
                 H("sub.f64", sub_f64),
                 H("mul.f64", mul_f64),
                 H("div.f64", div_f64),
                 H("fma.f64", fma_f64),
                 H("rcp.f64", rcp_f64),
                 H("sqrt.f64", sqrt_f64),
                 H("rcp.approx.f64", rcp_approx_f64),
                 H("rsqrt.approx.f64", rsqrt_approx_f64),
                 H("rsqrt.f64", rsqrt_f64),
                 H("neg.f32", neg_f32),
                 H("abs.f32", abs_f32),
                 H("neg.f64", neg_f64),
                 H("abs.f64", abs_f64),
                 H("copysign.f32", copysign_f32),
                 H("copysign.f64", copysign_f64),
                 H("ftz.f32", ftz_f32),
                 H("sat.f32", sat_f32),
                 H("sat.f64", sat_f64),
                 H("relu.f32", relu_f32),
                 H("min.f32", min_f32),
                 H("max.f32", max_f32),
                 H("min.NaN.f32", min_nan_f32),
                 H("max.NaN.f32", max_nan_f32),
                 H("min.f64", min_f64),
                 H("max.f64", max_f64),
                 H("ex2.f32", ex2_f32),
                 H("lg2.f32", lg2_f32),
                 H("sin.f32", sin_f32),
                 H("cos.f32", cos_f32),
                 H("tanh.f32", tanh_f32),
                 HEND};
