/* SPDX-License-Identifier: MIT */
/* ops_small.c - floating point of 8 bits, tf32, minima and maxima of packed and signed kinds. */
#include "half.h"
#include "small_op.h"

/* ---- min and max ------------------------------------------------------------------------------- */

/* .xorsign.abs: the smaller or greater magnitude with the product's sign. bits: of the format. */
static u32 xorsign(u32 a, u32 b, unsigned bits, unsigned mant, u32 f)
{
    u32 top = 1u << (bits - 1), x = a & (top - 1), y = b & (top - 1), sign = (a ^ b) & top;
    u32 inf = (top - 1) >> mant << mant, quiet = top - 1, r;
    bool nx = x > inf, ny = y > inf;

    if (f & SM_FTZ) {
        x = x >> mant ? x : 0;
        y = y >> mant ? y : 0;
    }
    if ((nx && ny) || ((nx || ny) && (f & SM_NAN)))
        return quiet;
    r = nx ? y : ny ? x : f & SM_MAX ? (x > y ? x : y) : (x < y ? x : y);
    return r | sign;
}

static void minmax_xorsign(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a), *b = RG(u->b);
    u32 *d = RG(u->d);

    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        unsigned mant = u->e == T_BF16 || u->e == T_BF16X2 ? 7 : 10;

        if (u->e == T_F32)
            d[i] = xorsign(a[i], b[i], 32, 23, u->n);
        else if (u->e == T_F16X2 || u->e == T_BF16X2)
            d[i] = xorsign(a[i] & 0xffff, b[i] & 0xffff, 16, mant, u->n) |
                   xorsign(a[i] >> 16, b[i] >> 16, 16, mant, u->n) << 16;
        else
            d[i] = xorsign(a[i] & 0xffff, b[i] & 0xffff, 16, mant, u->n);
    }
}

static u32 packed(u32 a, u32 b, bool sign, u32 f)
{
    s32 x = sign ? (s16)a : (u16)a, y = sign ? (s16)b : (u16)b, r;

    r = f & SM_MAX ? (x > y ? x : y) : (x < y ? x : y);
    return (u16)(f & SM_RELU && r < 0 ? 0 : r);
}

static void minmax_x2(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a), *b = RG(u->b);
    u32 *d = RG(u->d);

    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);

        d[i] = packed(a[i], b[i], u->e == T_S16X2, u->n) |
               packed(a[i] >> 16, b[i] >> 16, u->e == T_S16X2, u->n) << 16;
    }
}

/* ---- floating point of 8 bits ------------------------------------------------------------------ */

/* To nearest, ties to even; what is too large becomes the largest number. */
static u32 to8(f32 v, unsigned type, bool relu)
{
    const unsigned mant = type == T_E4M3X2 ? 3 : 2, bias = type == T_E4M3X2 ? 7 : 15;
    const u32 max = type == T_E4M3X2 ? 0x7e : 0x7b;
    u32 x = f2u(v), sign = x >> 31 << 7, r;
    s32 e = (s32)(x >> 23 & 255) - 127 + (s32)bias;
    u32 m = (x & 0x7fffff) | (x >> 23 & 255 ? 0x800000 : 0), cut = 23 - mant;

    if (v != v)
        return 0x7f;
    if (relu && sign)
        return 0;
    if (e < 1) { /* subnormal */
        cut += (u32)(1 - e);
        if (cut > 25)
            return sign;
        e = 1;
    }
    r = m >> cut;
    u32 rest = m & ((1u << cut) - 1), half = 1u << (cut - 1);

    r += rest > half || (rest == half && (r & 1));
    r += (u32)(e - 1) << mant; /* the leading bit of normal numbers adds the missing one */
    return sign | (e > 30 || r > max ? max : r);
}

static u32 from8(u32 v, unsigned type, bool relu)
{
    u32 r;

    if (type == T_E5M2X2) {
        r = (v & 0x7f) > 0x7c ? 0x7fff : v << 8;
    } else if ((v & 0x7f) == 0x7f) {
        r = 0x7fff;
    } else {
        u32 e = v >> 3 & 15, m = v & 7;

        r = f2h(ldexpf((f32)(e ? 8 + m : m), (int)(e ? e : 1) - 10), CSR_RN) | (v & 0x80) << 8;
    }
    return relu && r >> 15 ? 0 : r;
}

static void cvt_to8(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a), *b = RG(u->b);
    u32 *d = RG(u->d);

    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        f32 hi = u->f == T_F32 ? u2f(a[i]) : h2f(a[i] >> 16);
        f32 lo = u->f == T_F32 ? u2f(b[i]) : h2f(a[i] & 0xffff);

        d[i] = to8(hi, u->e, u->n & SM_RELU) << 8 | to8(lo, u->e, u->n & SM_RELU);
    }
}

static void cvt_from8(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a);
    u32 *d = RG(u->d);

    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);

        d[i] = from8(a[i] & 255, u->e, u->n & SM_RELU) |
               from8(a[i] >> 8 & 255, u->e, u->n & SM_RELU) << 16;
    }
}

/* tf32 has 10 bits of mantissa; the others of the register are zero. */
static void cvt_round_tf32(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a);
    u32 *d = RG(u->d);

    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        u32 x = a[i], mag = x & 0x7fffffff;

        if (mag > 0x7f800000)
            d[i] = 0x7fffe000;
        else if ((u->n & SM_RELU) && x >> 31)
            d[i] = 0;
        else
            d[i] = (u->n & SM_RZ ? x : x + 0xfff + (x >> 13 & 1)) & ~0x1fffu;
    }
}

TABLE(ops_small) = {
    H("minmax.xorsign", minmax_xorsign), H("minmax.x2", minmax_x2),           H("cvt.to8", cvt_to8),
    H("cvt.from8", cvt_from8),           H("cvt.round.tf32", cvt_round_tf32), HEND};
