/* SPDX-License-Identifier: MIT */
/*
 * ops_cvt.c - conversions. Float to integer saturates. NaN gives 0, or just the top bit set where
 * source or result has 64 bits, as on the device. The rounding to an integral value is a separate
 * micro-op where it is not truncation.
 */
#include "half.h"

/* integer to integer: from a 32-bit or 64-bit slot, to a 32-bit or 64-bit slot, by source type */
OP1(ext_32_u8, u32, u32, (u8)a[i])
OP1(ext_32_s8, u32, u32, (u32)(s8)a[i])
OP1(ext_32_u16, u32, u32, (u16)a[i])
OP1(ext_32_s16, u32, u32, (u32)(s16)a[i])
OP1(cvt_64_u8, u64, u32, (u8)a[i])
OP1(cvt_64_s8, u64, u32, (u64)(s8)a[i])
OP1(cvt_64_u16, u64, u32, (u16)a[i])
OP1(cvt_64_s16, u64, u32, (u64)(s16)a[i])
OP1(cvt_64_u32, u64, u32, a[i])
OP1(cvt_64_s32, u64, u32, (u64)(s32)a[i])
OP1(ext_64_u8, u64, u64, (u8)a[i])
OP1(ext_64_s8, u64, u64, (u64)(s8)a[i])
OP1(ext_64_u16, u64, u64, (u16)a[i])
OP1(ext_64_s16, u64, u64, (u64)(s16)a[i])
OP1(ext_64_u32, u64, u64, (u32)a[i])
OP1(ext_64_s32, u64, u64, (u64)(s32)a[i])
OP1(cvt_32_64, u32, u64, (u32)a[i])

/* saturating: the source widened to 64 bits, signed or not */
#define SATI(T, lo, hi)                                                                            \
    OP1(sat_##T##_s64, u64, u64,                                                                   \
        (u64)(T)((s64)a[i] < (s64)lo   ? (T)lo                                                     \
                 : (s64)a[i] > (s64)hi ? (T)hi                                                     \
                                       : (T)a[i]))                                                 \
    OP1(sat_##T##_u64, u64, u64, (u64)(T)(a[i] > (u64)hi ? (T)hi : (T)a[i]))
SATI(u8, 0, UINT8_MAX)
SATI(s8, INT8_MIN, INT8_MAX)
SATI(u16, 0, UINT16_MAX)
SATI(s16, INT16_MIN, INT16_MAX)
SATI(u32, 0, UINT32_MAX)
SATI(s32, INT32_MIN, INT32_MAX)
SATI(s64, INT64_MIN, INT64_MAX)
OP1(sat_u64_s64, u64, u64, (s64)a[i] < 0 ? 0 : a[i])

#define F2I_NAN(T, F) (T)(sizeof(T) == 8 || sizeof(F) == 8 ? (u64)1 << (8 * sizeof(T) - 1) : 0)
/* float to integer, by truncation. lo, hi: exactly representable bounds of the result; hi1 = hi + 1 */
#define F2I(T, L, F, lo, hi1, tmax, tmin)                                                          \
    OP1(cvti_##T##_##F, L, F, ({                                                                   \
            F x_ = a[i];                                                                           \
            bool in_ = x_ > (F)lo - (F)1 && x_ < (F)hi1;                                           \
            bool top_ = x_ >= (F)hi1;                                                              \
            T v_ = (T)(in_ ? x_ : (F)0);                                                           \
            (L)(in_ ? v_ : top_ ? (T)tmax : x_ != x_ ? F2I_NAN(T, F) : (T)tmin);                   \
        }))
#define F2I_ALL(F)                                                                                 \
    F2I(u8, u32, F, 0, 256, UINT8_MAX, 0)                                                          \
    F2I(s8, u32, F, -128, 128, INT8_MAX, INT8_MIN)                                                 \
    F2I(u16, u32, F, 0, 65536, UINT16_MAX, 0)                                                      \
    F2I(s16, u32, F, -32768, 32768, INT16_MAX, INT16_MIN)                                          \
    F2I(u32, u32, F, 0, 4294967296.0, UINT32_MAX, 0)                                               \
    F2I(u64, u64, F, 0, 18446744073709551616.0, UINT64_MAX, 0)
F2I_ALL(f32)
F2I_ALL(f64)
/* where lo - 1 is not representable, comparing with lo itself is right */
#define F2IS(T, L, F, lo, hi1, tmax, tmin)                                                         \
    OP1(cvti_##T##_##F, L, F, ({                                                                   \
            F x_ = a[i];                                                                           \
            bool in_ = x_ >= (F)lo && x_ < (F)hi1;                                                 \
            bool top_ = x_ >= (F)hi1;                                                              \
            T v_ = (T)(in_ ? x_ : (F)0);                                                           \
            (L)(in_ ? v_ : top_ ? (T)tmax : x_ != x_ ? F2I_NAN(T, F) : (T)tmin);                   \
        }))
F2IS(s32, u32, f32, -2147483648.0, 2147483648.0, INT32_MAX, INT32_MIN)
F2I(s32, u32, f64, -2147483648.0, 2147483648.0, INT32_MAX, INT32_MIN)
F2IS(s64, u64, f32, -9223372036854775808.0, 9223372036854775808.0, INT64_MAX, INT64_MIN)
F2IS(s64, u64, f64, -9223372036854775808.0, 9223372036854775808.0, INT64_MAX, INT64_MIN)

/* to an integral value: u->n 0 nearest even, 1 down, 2 up, 3 towards zero */
#define QUIET(r) (a[i] != a[i] ? a[i] + a[i] : (r))
#define RINT(F, s)                                                                                 \
    static void rint_##F(struct warp *w, const struct uop *u)                                      \
    {                                                                                              \
        const F *a = RG(u->a);                                                                     \
        switch (u->n) {                                                                            \
        case 0: {                                                                                  \
            BODY(F, QUIET(__builtin_rint##s(a[i])))                                                \
            break;                                                                                 \
        }                                                                                          \
        case 1: {                                                                                  \
            BODY(F, QUIET(__builtin_floor##s(a[i])))                                               \
            break;                                                                                 \
        }                                                                                          \
        case 2: {                                                                                  \
            BODY(F, QUIET(__builtin_ceil##s(a[i])))                                                \
            break;                                                                                 \
        }                                                                                          \
        default: {                                                                                 \
            BODY(F, QUIET(__builtin_trunc##s(a[i])))                                               \
        }                                                                                          \
        }                                                                                          \
    }
RINT(f32, f)
RINT(f64, )

/* integer to float; the mode is MXCSR's. Through double where that is exact. */
OP1(cvt_f32_u8, f32, u32, (f32)(s32)(u8)a[i])
OP1(cvt_f32_s8, f32, u32, (f32)(s8)a[i])
OP1(cvt_f32_u16, f32, u32, (f32)(s32)(u16)a[i])
OP1(cvt_f32_s16, f32, u32, (f32)(s16)a[i])
OP1(cvt_f32_s32, f32, s32, (f32)a[i])
/* zero apart: the difference of equal numbers is -0 when rounding down */
OP1(cvt_f32_u32, f32, u32, a[i] ? (f32)((f64)(s32)(a[i] ^ 0x80000000u) + 2147483648.0) : 0.0f)
OP1(cvt_f64_u8, f64, u32, (f64)(s32)(u8)a[i])
OP1(cvt_f64_s8, f64, u32, (f64)(s8)a[i])
OP1(cvt_f64_u16, f64, u32, (f64)(s32)(u16)a[i])
OP1(cvt_f64_s16, f64, u32, (f64)(s16)a[i])
OP1(cvt_f64_s32, f64, s32, (f64)a[i])
OP1(cvt_f64_u32, f64, u32, a[i] ? (f64)(s32)(a[i] ^ 0x80000000u) + 2147483648.0 : 0.0)
/* 64-bit integers lane by lane: the vectoriser's two-part trick would round twice */
#define I2F64(id, F, S, conv)                                                                      \
    static void id(struct warp *w, const struct uop *u)                                            \
    {                                                                                              \
        const S *a = RG(u->a);                                                                     \
        F *d = RG(u->d);                                                                           \
        for (u32 k = w->mask; k; k &= k - 1) {                                                     \
            int i = __builtin_ctz(k);                                                              \
            S x = a[i];                                                                            \
            d[i] = conv;                                                                           \
        }                                                                                          \
    }
I2F64(cvt_f32_s64, f32, s64, (f32)x)
I2F64(cvt_f64_s64, f64, s64, (f64)x)
/* top bit set: halve with a sticky low bit, convert, double */
I2F64(cvt_f32_u64, f32, u64, (s64)x >= 0 ? (f32)(s64)x : (f32)(s64)(x >> 1 | (x & 1)) * 2.0f)
I2F64(cvt_f64_u64, f64, u64, (s64)x >= 0 ? (f64)(s64)x : (f64)(s64)(x >> 1 | (x & 1)) * 2.0)

/* 64-bit integers to double rounded to odd, on the way to a half */
static inline f64 u64_odd(u64 v)
{
    u32 k = v >> 53 ? 64 - 53 : 0;
    u64 rest = v & ((1ull << k) - 1);
    return (f64)(s64)((v >> k) | (rest != 0)) * (k ? 2048.0 : 1.0);
}
I2F64(cvt_f64odd_u64, f64, u64, u64_odd(x))
I2F64(cvt_f64odd_s64, f64, s64, x < 0 ? -u64_odd(0 - (u64)x) : u64_odd((u64)x))

/* float to float */
OP1(cvt_f64_f32, f64, f32, (f64)a[i])
OP1(cvt_f32_f64, f32, f64, (f32)a[i]) /* keeps what fits of a NaN */
OP1(canon_f32, f32, f32, CANON32(a[i]))
OP1(cvt_f32_f16, f32, u32, h2f(a[i] & 0xffff))
OP1(cvt_f32_bf16, f32, u32, bf2f(a[i] & 0xffff))
static inline u64 h2d(u32 h) /* keeps a NaN's payload */
{
    if ((h & 0x7fff) > 0x7c00)
        return (u64)(h & 0x8000) << 48 | 0x7ff8000000000000ull | (u64)(h & 0x3ff) << 42;
    return d2u((f64)h2f(h));
}
OP1(cvt_f64_f16, u64, u32, h2d(a[i] & 0xffff))
OP1(cvt_f16_f32, u32, f32, f2h(a[i], u->n))
static inline u32 d2h(f64 v, u32 mode)
{
    u64 b = d2u(v);
    if (v != v)
        return (u32)(b >> 48 & 0x8000) | 0x7e00 | (u32)(b >> 42 & 0x3ff);
    return f2h(d2f_odd(v), mode);
}
OP1(cvt_f16_f64, u32, f64, d2h(a[i], u->n))
OP1(cvt_bf16_f32, u32, f32, f2bf(a[i], u->n))
/* its NaN is not the canonical one */
OP1(cvt_bf16_f64, u32, f64,
    a[i] != a[i] ? (u32)(d2u(a[i]) >> 48 & 0x8000) | 0x7fc0 : f2bf(d2f_odd(a[i]), u->n))
OP2(cvt_f16x2_f32, u32, f32, f32, f2h(a[i], u->n) << 16 | f2h(b[i], u->n))
OP2(cvt_bf16x2_f32, u32, f32, f32, f2bf(a[i], u->n) << 16 | f2bf(b[i], u->n))
/* tf32: 10 mantissa bits, ties away */
OP1(cvt_tf32_f32, u32, u32,
    (a[i] + ((a[i] & 0x7f800000u) == 0x7f800000u ? 0 : 0x1000u)) & 0xffffe000u)

TABLE(ops_cvt) = {H("ext.32.u8", ext_32_u8),
                  H("ext.32.s8", ext_32_s8),
                  H("ext.32.u16", ext_32_u16),
                  H("ext.32.s16", ext_32_s16),
                  H("cvt.64.u8", cvt_64_u8),
                  H("cvt.64.s8", cvt_64_s8),
                  H("cvt.64.u16", cvt_64_u16),
                  H("cvt.64.s16", cvt_64_s16),
                  H("cvt.64.u32", cvt_64_u32),
                  H("cvt.64.s32", cvt_64_s32),
                  H("ext.64.u8", ext_64_u8),
                  H("ext.64.s8", ext_64_s8),
                  H("ext.64.u16", ext_64_u16),
                  H("ext.64.s16", ext_64_s16),
                  H("ext.64.u32", ext_64_u32),
                  H("ext.64.s32", ext_64_s32),
                  H("cvt.32.64", cvt_32_64),
#define HS(T) H("sat." #T ".s64", sat_##T##_s64), H("sat." #T ".u64", sat_##T##_u64)
                  HS(u8),
                  HS(s8),
                  HS(u16),
                  HS(s16),
                  HS(u32),
                  HS(s32),
                  HS(s64),
                  H("sat.u64.s64", sat_u64_s64),
#define HI(T) H("cvti." #T ".f32", cvti_##T##_f32), H("cvti." #T ".f64", cvti_##T##_f64)
                  HI(u8),
                  HI(s8),
                  HI(u16),
                  HI(s16),
                  HI(u32),
                  HI(s32),
                  HI(u64),
                  HI(s64),
#define HF(T) H("cvt.f32." #T, cvt_f32_##T), H("cvt.f64." #T, cvt_f64_##T)
                  HF(u8),
                  HF(s8),
                  HF(u16),
                  HF(s16),
                  HF(u32),
                  HF(s32),
                  HF(u64),
                  HF(s64),
                  H("cvt.f64odd.u64", cvt_f64odd_u64),
                  H("cvt.f64odd.s64", cvt_f64odd_s64),
                  H("rint.f32", rint_f32),
                  H("rint.f64", rint_f64),
                  H("cvt.f64.f32", cvt_f64_f32),
                  H("cvt.f32.f64", cvt_f32_f64),
                  H("canon.f32", canon_f32),
                  H("cvt.f32.f16", cvt_f32_f16),
                  H("cvt.f64.f16", cvt_f64_f16),
                  H("cvt.f32.bf16", cvt_f32_bf16),
                  H("cvt.f16.f32", cvt_f16_f32),
                  H("cvt.f16.f64", cvt_f16_f64),
                  H("cvt.bf16.f32", cvt_bf16_f32),
                  H("cvt.bf16.f64", cvt_bf16_f64),
                  H("cvt.f16x2.f32", cvt_f16x2_f32),
                  H("cvt.bf16x2.f32", cvt_bf16x2_f32),
                  H("cvt.tf32.f32", cvt_tf32_f32),
                  HEND};
