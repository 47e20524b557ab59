/* SPDX-License-Identifier: MIT */
/* ops_half.c - f16, bf16 and their pairs. Computed in single (fma: double) precision and rounded
 * once: 24 bits are enough for + - * of 11-bit numbers to round as if exact. */
#include "half.h"

/* The MXCSR mode for these is "no flushing"; .ftz of halves is a separate micro-op. */
#define RNH(x) f2h((x), CSR_RN)
#define RNB(x) f2bf((x), CSR_RN)

static inline u32 fma_h(u32 a, u32 b, u32 c)
{
    return f2h(d2f_odd(add_odd((f64)h2f(a) * (f64)h2f(b), (f64)h2f(c))), CSR_RN);
}
static inline u32 fma_b(u32 a, u32 b, u32 c)
{
    return f2bf(d2f_odd(add_odd((f64)bf2f(a) * (f64)bf2f(b), (f64)bf2f(c))), CSR_RN);
}
static inline u32 add_h(u32 a, u32 b)
{
    return RNH(h2f(a) + h2f(b));
}
static inline u32 sub_h(u32 a, u32 b)
{
    return RNH(h2f(a) - h2f(b));
}
static inline u32 mul_h(u32 a, u32 b)
{
    return RNH(h2f(a) * h2f(b));
}
static inline u32 add_b(u32 a, u32 b)
{
    return f2bf(d2f_odd(add_odd((f64)bf2f(a), (f64)bf2f(b))), CSR_RN);
}
static inline u32 sub_b(u32 a, u32 b)
{
    return f2bf(d2f_odd(add_odd((f64)bf2f(a), -(f64)bf2f(b))), CSR_RN);
}
static inline u32 mul_b(u32 a, u32 b)
{
    return f2bf(d2f_odd((f64)bf2f(a) * (f64)bf2f(b)), CSR_RN);
}
/* .ftz: what is subnormal before rounding counts, though it may round up to a normal number */
static inline u32 mulz_h(u32 a, u32 b)
{
    f32 r = h2f(a) * h2f(b);
    return __builtin_fabsf(r) < 6.103515625e-05f ? f2u(r) >> 16 & 0x8000 : RNH(r);
}
static inline u32 fmaz_h(u32 a, u32 b, u32 c)
{
    f64 r = add_odd((f64)h2f(a) * (f64)h2f(b), (f64)h2f(c));
    return __builtin_fabs(r) < 6.103515625e-05 ? (u32)(d2u(r) >> 48) & 0x8000
                                               : f2h(d2f_odd(r), CSR_RN);
}
/* min, max on the bits: order-preserving integers, so signed zeros are ordered too */
static inline s32 key16(u32 h)
{
    return h & 0x8000 ? -(s32)(h & 0x7fff) - 1 : (s32)h;
}
#define MM16(name, inf, cmp)                                                                       \
    static inline u32 name(u32 a, u32 b)                                                           \
    {                                                                                              \
        bool na = (a & 0x7fff) > inf, nb = (b & 0x7fff) > inf;                                     \
        if (na && nb)                                                                              \
            return 0x7fff;                                                                         \
        return nb ? a : na ? b : key16(a) cmp key16(b) ? a : b;                                    \
    }                                                                                              \
    static inline u32 name##_nan(u32 a, u32 b)                                                     \
    {                                                                                              \
        return (a & 0x7fff) > inf || (b & 0x7fff) > inf ? 0x7fff : name(a, b);                     \
    }
MM16(min_h, 0x7c00, <)
MM16(max_h, 0x7c00, >)
MM16(min_b, 0x7f80, <)
MM16(max_b, 0x7f80, >)
static inline u32 ftz_h(u32 a)
{
    return a & 0x7c00 ? a : a & 0x8000;
}
static inline u32 sat_h(u32 a)
{
    return (a & 0x7fff) > 0x7c00 || a & 0x8000 ? 0 : a > 0x3c00 ? 0x3c00 : a;
}
static inline u32 relu_h(u32 a)
{
    return (a & 0x7fff) > 0x7c00 ? 0x7fff : a & 0x8000 ? 0 : a;
}
static inline u32 relu_b(u32 a)
{
    return (a & 0x7fff) > 0x7f80 ? 0x7fff : a & 0x8000 ? 0 : a;
}
static inline u32 ex2_h(u32 a)
{
    return RNH(exp2f(h2f(a)));
}
static inline u32 tanh_h(u32 a)
{
    return RNH(tanhf(h2f(a)));
}
static inline u32 ex2_b(u32 a)
{
    return RNB(exp2f(bf2f(a)));
}
static inline u32 tanh_b(u32 a)
{
    return RNB(tanhf(bf2f(a)));
}
static inline u32 rcp_h(u32 a)
{
    return RNH(1.0f / h2f(a));
}
#define SIGN16(name, inf)                                                                          \
    static inline u32 neg_##name(u32 a)                                                            \
    {                                                                                              \
        return (a & 0x7fff) > inf ? 0x7fff : a ^ 0x8000;                                           \
    }                                                                                              \
    static inline u32 abs_##name(u32 a)                                                            \
    {                                                                                              \
        return (a & 0x7fff) > inf ? 0x7fff : a & 0x7fff;                                           \
    }
SIGN16(h, 0x7c00)
SIGN16(b, 0x7f80)

#define L16(x) ((x)&0xffff)
#define H16(x) ((x) >> 16)
#define U1(id, fn)                                                                                 \
    OP1(id, u32, u32, fn(L16(a[i])))                                                               \
    OP1(id##x2, u32, u32, fn(L16(a[i])) | fn(H16(a[i])) << 16)
#define U2(id, fn)                                                                                 \
    OP2(id, u32, u32, u32, fn(L16(a[i]), L16(b[i])))                                               \
    OP2(id##x2, u32, u32, u32, fn(L16(a[i]), L16(b[i])) | fn(H16(a[i]), H16(b[i])) << 16)
#define U3(id, fn)                                                                                 \
    OP3(id, u32, u32, u32, u32, fn(L16(a[i]), L16(b[i]), L16(c[i])))                               \
    OP3(id##x2, u32, u32, u32, u32,                                                                \
        fn(L16(a[i]), L16(b[i]), L16(c[i])) | fn(H16(a[i]), H16(b[i]), H16(c[i])) << 16)
U2(v_add_f16, add_h)
U2(v_sub_f16, sub_h)
U2(v_mul_f16, mul_h)
U3(v_fma_f16, fma_h)
U2(v_mulz_f16, mulz_h)
U3(v_fmaz_f16, fmaz_h)
U2(v_min_f16, min_h)
U2(v_max_f16, max_h)
U2(v_minn_f16, min_h_nan)
U2(v_maxn_f16, max_h_nan)
U1(v_neg_f16, neg_h)
U1(v_abs_f16, abs_h)
U1(v_ftz_f16, ftz_h)
U1(v_sat_f16, sat_h)
U1(v_relu_f16, relu_h)
U1(v_ex2_f16, ex2_h)
U1(v_tanh_f16, tanh_h)
U1(v_rcp_f16, rcp_h)
U1(v_neg_bf16, neg_b)
U1(v_abs_bf16, abs_b)
U2(v_add_bf16, add_b)
U2(v_sub_bf16, sub_b)
U2(v_mul_bf16, mul_b)
U3(v_fma_bf16, fma_b)
U2(v_min_bf16, min_b)
U2(v_max_bf16, max_b)
U2(v_minn_bf16, min_b_nan)
U2(v_maxn_bf16, max_b_nan)
U1(v_relu_bf16, relu_b)
U1(v_ex2_bf16, ex2_b)
U1(v_tanh_bf16, tanh_b)

#define HH(op, ty, id) H(op "." ty, id), H(op "." ty "x2", id##x2)
TABLE(ops_half) = {HH("add", "f16", v_add_f16),        HH("sub", "f16", v_sub_f16),
                   HH("mul", "f16", v_mul_f16),        HH("fma", "f16", v_fma_f16),
                   HH("mul.ftz", "f16", v_mulz_f16),   HH("fma.ftz", "f16", v_fmaz_f16),
                   HH("min", "f16", v_min_f16),        HH("max", "f16", v_max_f16),
                   HH("min.NaN", "f16", v_minn_f16),   HH("max.NaN", "f16", v_maxn_f16),
                   HH("neg", "f16", v_neg_f16),        HH("abs", "f16", v_abs_f16),
                   HH("ftz", "f16", v_ftz_f16),        HH("sat", "f16", v_sat_f16),
                   HH("relu", "f16", v_relu_f16),      HH("ex2", "f16", v_ex2_f16),
                   HH("tanh", "f16", v_tanh_f16),      HH("rcp", "f16", v_rcp_f16),
                   HH("add", "bf16", v_add_bf16),      HH("sub", "bf16", v_sub_bf16),
                   HH("mul", "bf16", v_mul_bf16),      HH("fma", "bf16", v_fma_bf16),
                   HH("min", "bf16", v_min_bf16),      HH("max", "bf16", v_max_bf16),
                   HH("min.NaN", "bf16", v_minn_bf16), HH("max.NaN", "bf16", v_maxn_bf16),
                   HH("neg", "bf16", v_neg_bf16),      HH("abs", "bf16", v_abs_bf16),
                   HH("relu", "bf16", v_relu_bf16),    HH("ex2", "bf16", v_ex2_bf16),
                   HH("tanh", "bf16", v_tanh_bf16),    HEND};
