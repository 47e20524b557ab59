/* SPDX-License-Identifier: MIT */
/* ops_int.c - integer arithmetic. 16-bit registers live in 32-bit lanes with undefined upper half. */
#include "ops.h"

/* ---- add, sub, mul, mad -------------------------------------------------------------------------- */

#define ARITH(N, L)                                                                                \
    OP2(add_i##N, L, L, L, (L)(a[i] + b[i]))                                                       \
    OP2(sub_i##N, L, L, L, (L)(a[i] - b[i]))                                                       \
    OP2(mul_lo_i##N, L, L, L, (L)(a[i] * b[i]))                                                    \
    OP3(mad_lo_i##N, L, L, L, L, (L)(a[i] * b[i] + c[i]))                                          \
    OP1(neg_i##N, L, L, (L)(0 - a[i]))
ARITH(32, u32)
ARITH(64, u64)

/* The low 16 bits of the 32-bit result are the 16-bit result. */
OP2(add_i16x2, u32, u32, u32,
    (((a[i] & 0xffff) + b[i]) & 0xffff) | ((a[i] & 0xffff0000) + (b[i] & 0xffff0000)))

OP2(mul_hi_u16, u32, u32, u32, (u32)((u16)a[i] * (u32)(u16)b[i]) >> 16)
OP2(mul_hi_s16, u32, u32, u32, (u32)((s16)a[i] * (s16)b[i]) >> 16)
OP2(mul_hi_u32, u32, u32, u32, (u32)((u64)a[i] * b[i] >> 32))
OP2(mul_hi_s32, u32, s32, s32, (u32)((s64)a[i] * b[i] >> 32))
OP2(mul_hi_u64, u64, u64, u64, (u64)((unsigned __int128)a[i] * b[i] >> 64))
OP2(mul_hi_s64, u64, s64, s64, (u64)((__int128)a[i] * b[i] >> 64))
OP3(mad_hi_u16, u32, u32, u32, u32, ((u32)((u16)a[i] * (u32)(u16)b[i]) >> 16) + c[i])
OP3(mad_hi_s16, u32, u32, u32, u32, ((u32)((s16)a[i] * (s16)b[i]) >> 16) + c[i])
OP3(mad_hi_u32, u32, u32, u32, u32, (u32)((u64)a[i] * b[i] >> 32) + c[i])
OP3(mad_hi_s32, u32, s32, s32, u32, (u32)((s64)a[i] * b[i] >> 32) + c[i])
OP3(mad_hi_u64, u64, u64, u64, u64, (u64)((unsigned __int128)a[i] * b[i] >> 64) + c[i])
OP3(mad_hi_s64, u64, s64, s64, u64, (u64)((__int128)a[i] * b[i] >> 64) + c[i])
OP2(mul_wide_u16, u32, u32, u32, (u32)(u16)a[i] * (u16)b[i])
OP2(mul_wide_s16, u32, u32, u32, (u32)((s16)a[i] * (s16)b[i]))
OP2(mul_wide_u32, u64, u32, u32, (u64)a[i] * b[i])
OP2(mul_wide_s32, u64, s32, s32, (u64)((s64)a[i] * b[i]))
OP3(mad_wide_u16, u32, u32, u32, u32, (u32)(u16)a[i] * (u16)b[i] + c[i])
OP3(mad_wide_s16, u32, u32, u32, u32, (u32)((s16)a[i] * (s16)b[i]) + c[i])
OP3(mad_wide_u32, u64, u32, u32, u64, (u64)a[i] * b[i] + c[i])
OP3(mad_wide_s32, u64, s32, s32, u64, (u64)((s64)a[i] * b[i]) + c[i])

static inline s32 sat32(s64 v)
{
    return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (s32)v;
}
OP2(add_sat_s32, s32, s32, s32, sat32((s64)a[i] + b[i]))
OP2(sub_sat_s32, s32, s32, s32, sat32((s64)a[i] - b[i]))
OP3(mad_hi_sat_s32, s32, s32, s32, s32, sat32(((s64)a[i] * b[i] >> 32) + c[i]))

/* 24-bit multiplication: operands are the low 24 bits; lo: bits 31..0, hi: bits 47..16 */
static inline s64 s24(s32 v)
{
    return (s32)((u32)v << 8) >> 8;
}
OP2(mul24_lo_u32, u32, u32, u32, (a[i] & 0xffffff) * (b[i] & 0xffffff))
OP2(mul24_lo_s32, u32, s32, s32, (u32)(s24(a[i]) * s24(b[i])))
OP2(mul24_hi_u32, u32, u32, u32, (u32)((u64)(a[i] & 0xffffff) * (b[i] & 0xffffff) >> 16))
OP2(mul24_hi_s32, u32, s32, s32, (u32)(s24(a[i]) * s24(b[i]) >> 16))
OP3(mad24_lo_u32, u32, u32, u32, u32, (a[i] & 0xffffff) * (b[i] & 0xffffff) + c[i])
OP3(mad24_lo_s32, u32, s32, s32, u32, (u32)(s24(a[i]) * s24(b[i])) + c[i])
OP3(mad24_hi_u32, u32, u32, u32, u32,
    (u32)((u64)(a[i] & 0xffffff) * (b[i] & 0xffffff) >> 16) + c[i])
OP3(mad24_hi_s32, u32, s32, s32, u32, (u32)(s24(a[i]) * s24(b[i]) >> 16) + c[i])

/* ---- division: never traps; x / 0 and x % 0 are all ones, as on the device ------------------------- */

#define DIVS(N, S, U, CA)                                                                          \
    static inline S div_s##N##_(S x, S y)                                                          \
    {                                                                                              \
        return y == 0 ? (S)-1 : y == -1 ? (S)(0 - (U)x) : (S)(x / y);                              \
    }                                                                                              \
    static inline S rem_s##N##_(S x, S y)                                                          \
    {                                                                                              \
        return y == 0 ? (S)-1 : y == -1 ? 0 : (S)(x % y);                                          \
    }                                                                                              \
    static inline U div_u##N##_(U x, U y)                                                          \
    {                                                                                              \
        return y == 0 ? (U)-1 : (U)(x / y);                                                        \
    }                                                                                              \
    static inline U rem_u##N##_(U x, U y)                                                          \
    {                                                                                              \
        return y == 0 ? (U)-1 : (U)(x % y);                                                        \
    }                                                                                              \
    OP2(div_s##N, CA, CA, CA, (CA)(U)div_s##N##_((S)a[i], (S)b[i]))                                \
    OP2(rem_s##N, CA, CA, CA, (CA)(U)rem_s##N##_((S)a[i], (S)b[i]))                                \
    OP2(div_u##N, CA, CA, CA, (CA)div_u##N##_((U)a[i], (U)b[i]))                                   \
    OP2(rem_u##N, CA, CA, CA, (CA)rem_u##N##_((U)a[i], (U)b[i]))
DIVS(16, s16, u16, u32)
DIVS(32, s32, u32, u32)
DIVS(64, s64, u64, u64)

/* ---- min, max, abs, sad ---------------------------------------------------------------------------- */

#define MINMAX(T, L)                                                                               \
    OP2(min_##T, L, L, L, (T)a[i] < (T)b[i] ? a[i] : b[i])                                         \
    OP2(max_##T, L, L, L, (T)a[i] > (T)b[i] ? a[i] : b[i])
MINMAX(u16, u32)
MINMAX(s16, u32)
MINMAX(u32, u32)
MINMAX(s32, u32)
MINMAX(u64, u64)
MINMAX(s64, u64)
OP1(relu_s32, s32, s32, a[i] > 0 ? a[i] : 0)
OP1(abs_s16, u32, u32, (s16)a[i] < 0 ? 0 - a[i] : a[i])
OP1(abs_s32, u32, u32, (s32)a[i] < 0 ? 0 - a[i] : a[i])
OP1(abs_s64, u64, u64, (s64)a[i] < 0 ? 0 - a[i] : a[i])
#define SAD(T, L)                                                                                  \
    OP3(sad_##T, L, L, L, L,                                                                       \
        c[i] + ((T)a[i] < (T)b[i] ? (L)(T)b[i] - (L)(T)a[i] : (L)(T)a[i] - (L)(T)b[i]))
SAD(u16, u32)
SAD(s16, u32)
SAD(u32, u32)
SAD(s32, u32)
SAD(u64, u64)
SAD(s64, u64)

/* ---- carry chains: w->cc has one carry (or borrow) bit per lane -------------------------------------- */

/* value of the carry at lane i, and the sum's carry collected into nc */
#define CC_IN (u->f & 1 ? w->cc >> i & 1 : 0)
#define CARRY(id, L, W, ...)                                                                       \
    static void id(struct warp *w, const struct uop *u)                                            \
    {                                                                                              \
        const L *a = RG(u->a), *b = RG(u->b), *c = RG(u->c);                                       \
        L *d = RG(u->d);                                                                           \
        u32 m = w->mask, nc = w->cc;                                                               \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        for (int i = 0; i < WARP; i++) {                                                           \
            if (!(m >> i & 1))                                                                     \
                continue;                                                                          \
            W t = (__VA_ARGS__);                                                                   \
            d[i] = (L)t;                                                                           \
            u32 co = (u32)(t >> (8 * sizeof(L))) & 1;                                              \
            nc = (nc & ~(1u << i)) | co << i;                                                      \
        }                                                                                          \
        if (u->f & 2)                                                                              \
            w->cc = nc;                                                                            \
    }
CARRY(addc_i32, u32, u64, (u64)a[i] + b[i] + CC_IN)
CARRY(subc_i32, u32, u64, (u64)a[i] - b[i] - CC_IN)
CARRY(addc_i64, u64, unsigned __int128, (unsigned __int128)a[i] + b[i] + CC_IN)
CARRY(subc_i64, u64, unsigned __int128, (unsigned __int128)a[i] - b[i] - CC_IN)
CARRY(madc_lo_i32, u32, u64, (u64)(u32)(a[i] * b[i]) + c[i] + CC_IN)
CARRY(madc_hi_u32, u32, u64, (u64)(u32)((u64)a[i] * b[i] >> 32) + c[i] + CC_IN)
CARRY(madc_hi_s32, u32, u64, (u64)(u32)((s64)(s32)a[i] * (s32)b[i] >> 32) + c[i] + CC_IN)
CARRY(madc_lo_i64, u64, unsigned __int128, (unsigned __int128)(u64)(a[i] * b[i]) + c[i] + CC_IN)
CARRY(madc_hi_u64, u64, unsigned __int128,
      (unsigned __int128)(u64)((unsigned __int128)a[i] * b[i] >> 64) + c[i] + CC_IN)
CARRY(madc_hi_s64, u64, unsigned __int128,
      (unsigned __int128)(u64)((__int128)(s64)a[i] * (s64)b[i] >> 64) + c[i] + CC_IN)

/* ---- dot products: u->f bit 0: a signed, bit 1: b signed; dp2a: bit 2: high half of b ---------------- */

static void dp4a(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a), *b = RG(u->b), *c = RG(u->c);
    u32 f = u->f;
    BODY(u32, ({
             u32 s_ = c[i];
             for (int k = 0; k < 4; k++) {
                 u32 x_ = a[i] >> (8 * k), y_ = b[i] >> (8 * k);
                 s32 p_ = f & 1 ? (s8)x_ : (u8)x_, q_ = f & 2 ? (s8)y_ : (u8)y_;
                 s_ += (u32)(p_ * q_);
             }
             s_;
         }))
}

static void dp2a(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a), *b = RG(u->b), *c = RG(u->c);
    u32 f = u->f;
    BODY(u32, ({
             u32 s_ = c[i];
             for (int k = 0; k < 2; k++) {
                 u32 x_ = a[i] >> (16 * k), y_ = b[i] >> (8 * k + (f & 4 ? 16 : 0));
                 s32 p_ = f & 1 ? (s16)x_ : (u16)x_, q_ = f & 2 ? (s8)y_ : (u8)y_;
                 s_ += (u32)p_ * (u32)q_;
             }
             s_;
         }))
}

TABLE(ops_int) = {H("add.i16", add_i32),
                  H("add.i32", add_i32),
                  H("add.i64", add_i64),
                  H("sub.i16", sub_i32),
                  H("sub.i32", sub_i32),
                  H("sub.i64", sub_i64),
                  H("add.i16x2", add_i16x2),
                  H("mul.lo.i16", mul_lo_i32),
                  H("mul.lo.i32", mul_lo_i32),
                  H("mul.lo.i64", mul_lo_i64),
                  H("mad.lo.i16", mad_lo_i32),
                  H("mad.lo.i32", mad_lo_i32),
                  H("mad.lo.i64", mad_lo_i64),
                  H("neg.i16", neg_i32),
                  H("neg.i32", neg_i32),
                  H("neg.i64", neg_i64),
                  H("mul.hi.u16", mul_hi_u16),
                  H("mul.hi.s16", mul_hi_s16),
                  H("mul.hi.u32", mul_hi_u32),
                  H("mul.hi.s32", mul_hi_s32),
                  H("mul.hi.u64", mul_hi_u64),
                  H("mul.hi.s64", mul_hi_s64),
                  H("mad.hi.u16", mad_hi_u16),
                  H("mad.hi.s16", mad_hi_s16),
                  H("mad.hi.u32", mad_hi_u32),
                  H("mad.hi.s32", mad_hi_s32),
                  H("mad.hi.u64", mad_hi_u64),
                  H("mad.hi.s64", mad_hi_s64),
                  H("mul.wide.u16", mul_wide_u16),
                  H("mul.wide.s16", mul_wide_s16),
                  H("mul.wide.u32", mul_wide_u32),
                  H("mul.wide.s32", mul_wide_s32),
                  H("mad.wide.u16", mad_wide_u16),
                  H("mad.wide.s16", mad_wide_s16),
                  H("mad.wide.u32", mad_wide_u32),
                  H("mad.wide.s32", mad_wide_s32),
                  H("add.sat.s32", add_sat_s32),
                  H("sub.sat.s32", sub_sat_s32),
                  H("mad.hi.sat.s32", mad_hi_sat_s32),
                  H("mul24.lo.u32", mul24_lo_u32),
                  H("mul24.lo.s32", mul24_lo_s32),
                  H("mul24.hi.u32", mul24_hi_u32),
                  H("mul24.hi.s32", mul24_hi_s32),
                  H("mad24.lo.u32", mad24_lo_u32),
                  H("mad24.lo.s32", mad24_lo_s32),
                  H("mad24.hi.u32", mad24_hi_u32),
                  H("mad24.hi.s32", mad24_hi_s32),
                  H("div.u16", div_u16),
                  H("div.s16", div_s16),
                  H("div.u32", div_u32),
                  H("div.s32", div_s32),
                  H("div.u64", div_u64),
                  H("div.s64", div_s64),
                  H("rem.u16", rem_u16),
                  H("rem.s16", rem_s16),
                  H("rem.u32", rem_u32),
                  H("rem.s32", rem_s32),
                  H("rem.u64", rem_u64),
                  H("rem.s64", rem_s64),
                  H("min.u16", min_u16),
                  H("min.s16", min_s16),
                  H("min.u32", min_u32),
                  H("min.s32", min_s32),
                  H("min.u64", min_u64),
                  H("min.s64", min_s64),
                  H("max.u16", max_u16),
                  H("max.s16", max_s16),
                  H("max.u32", max_u32),
                  H("max.s32", max_s32),
                  H("max.u64", max_u64),
                  H("max.s64", max_s64),
                  H("relu.s32", relu_s32),
                  H("abs.s16", abs_s16),
                  H("abs.s32", abs_s32),
                  H("abs.s64", abs_s64),
                  H("sad.u16", sad_u16),
                  H("sad.s16", sad_s16),
                  H("sad.u32", sad_u32),
                  H("sad.s32", sad_s32),
                  H("sad.u64", sad_u64),
                  H("sad.s64", sad_s64),
                  H("addc.i32", addc_i32),
                  H("addc.i64", addc_i64),
                  H("subc.i32", subc_i32),
                  H("subc.i64", subc_i64),
                  H("madc.lo.i32", madc_lo_i32),
                  H("madc.hi.u32", madc_hi_u32),
                  H("madc.hi.s32", madc_hi_s32),
                  H("madc.lo.i64", madc_lo_i64),
                  H("madc.hi.u64", madc_hi_u64),
                  H("madc.hi.s64", madc_hi_s64),
                  H("dp4a", dp4a),
                  H("dp2a", dp2a),
                  HEND};
