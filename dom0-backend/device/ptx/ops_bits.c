/* SPDX-License-Identifier: MIT */
/* ops_bits.c - logic, shifts, bit fields, permutations. */
#include "ops.h"

#define LOGIC(N, L)                                                                                \
    OP2(and_##N, L, L, L, a[i] & b[i])                                                             \
    OP2(or_##N, L, L, L, a[i] | b[i])                                                              \
    OP2(xor_##N, L, L, L, a[i] ^ b[i])                                                             \
    OP1(not_##N, L, L, ~a[i])                                                                      \
    OP1(mov_##N, L, L, a[i])
LOGIC(32, u32)
LOGIC(64, u64)
OP1(cnot_16, u32, u32, (u16)a[i] == 0)
OP1(cnot_32, u32, u32, a[i] == 0)
OP1(cnot_64, u64, u64, a[i] == 0)

static void and_pred(struct warp *w, const struct uop *u)
{
    pred_write(w, u->d, pred_at(w, u->a) & pred_at(w, u->b));
}
static void or_pred(struct warp *w, const struct uop *u)
{
    pred_write(w, u->d, pred_at(w, u->a) | pred_at(w, u->b));
}
static void xor_pred(struct warp *w, const struct uop *u)
{
    pred_write(w, u->d, pred_at(w, u->a) ^ pred_at(w, u->b));
}
/* A negated predicate operand is read by every lane, whatever its guard: no mask here. */
static void not_pred(struct warp *w, const struct uop *u)
{
    pred_write(w, u->d, ~pred_at(w, u->a));
}
static void mov_pred(struct warp *w, const struct uop *u)
{
    pred_write(w, u->d, pred_at(w, u->a));
}

/* Shift amounts are not taken modulo the width: they clamp. */
OP2(shl_b16, u32, u32, u32, b[i] > 15 ? 0 : a[i] << (b[i] & 15))
OP2(shl_b32, u32, u32, u32, b[i] > 31 ? 0 : a[i] << (b[i] & 31))
OP2(shl_b64, u64, u64, u32, b[i] > 63 ? 0 : a[i] << (b[i] & 63))
OP2(shr_u16, u32, u32, u32, b[i] > 15 ? 0 : (u32)(u16)a[i] >> (b[i] & 15))
OP2(shr_u32, u32, u32, u32, b[i] > 31 ? 0 : a[i] >> (b[i] & 31))
OP2(shr_u64, u64, u64, u32, b[i] > 63 ? 0 : a[i] >> (b[i] & 63))
OP2(shr_s16, u32, u32, u32, (u32)((s32)(s16)a[i] >> (b[i] > 15 ? 15 : b[i])))
OP2(shr_s32, u32, s32, u32, (u32)(a[i] >> (b[i] > 31 ? 31 : b[i])))
OP2(shr_s64, u64, s64, u32, (u64)(a[i] >> (b[i] > 63 ? 63 : b[i])))

/* shf: {b, a} is a 64-bit value with a as its low half */
static inline u32 shf_l(u32 lo, u32 hi, u32 n)
{
    return (u32)(((u64)hi << 32 | lo) << n >> 32);
}
static inline u32 shf_r(u32 lo, u32 hi, u32 n)
{
    return (u32)(((u64)hi << 32 | lo) >> n);
}
OP3(shf_l_wrap, u32, u32, u32, u32, shf_l(a[i], b[i], c[i] & 31))
OP3(shf_l_clamp, u32, u32, u32, u32, c[i] >= 32 ? a[i] : shf_l(a[i], b[i], c[i] & 31))
OP3(shf_r_wrap, u32, u32, u32, u32, shf_r(a[i], b[i], c[i] & 31))
OP3(shf_r_clamp, u32, u32, u32, u32, c[i] >= 32 ? b[i] : shf_r(a[i], b[i], c[i] & 31))

/* bfe: bits beyond the register are the sign (signed) or 0. Position and length are 8-bit numbers
 * in the 32-bit form, whole ones in the 64-bit form. */
static inline u64 bfe(u64 v, u32 pos, u32 len, unsigned width, bool sign)
{
    if (width == 32) {
        pos &= 255;
        len &= 255;
    }
    if (!len)
        return 0;
    pos = pos > 255 ? 255 : pos;
    len = len > 255 ? 255 : len;
    u64 all = width == 64 ? ~0ull : (1ull << width) - 1;
    bool neg = sign && (v >> (pos + len - 1 < width - 1 ? pos + len - 1 : width - 1) & 1);
    u64 r = pos < width ? v >> pos : 0;
    u32 have = pos >= width ? 0 : width - pos < len ? width - pos : len; /* real bits */
    if (have < 64)
        r &= (1ull << have) - 1;
    if (neg && have < 64)
        r |= ~0ull << have;
    return r & all;
}
OP3(bfe_u32, u32, u32, u32, u32, (u32)bfe(a[i], b[i], c[i], 32, false))
OP3(bfe_s32, u32, u32, u32, u32, (u32)bfe(a[i], b[i], c[i], 32, true))
OP3(bfe_u64, u64, u64, u32, u32, bfe(a[i], b[i], c[i], 64, false))
OP3(bfe_s64, u64, u64, u32, u32, bfe(a[i], b[i], c[i], 64, true))

static inline u64 bfi(u64 f, u64 base, u32 pos, u32 len, unsigned width)
{
    if (width == 32) {
        pos &= 255;
        len &= 255;
    }
    if (pos >= width || !len)
        return base;
    if (len > width - pos)
        len = width - pos;
    u64 m = (len == 64 ? ~0ull : (1ull << len) - 1) << pos;
    return (base & ~m) | (f << pos & m);
}
static void bfi_b32(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a), *b = RG(u->b), *c = RG(u->c), *e = RG(u->e);
    BODY(u32, (u32)bfi(a[i], b[i], c[i], e[i], 32))
}
static void bfi_b64(struct warp *w, const struct uop *u)
{
    const u64 *a = RG(u->a), *b = RG(u->b);
    const u32 *c = RG(u->c), *e = RG(u->e);
    BODY(u64, bfi(a[i], b[i], c[i], e[i], 64))
}

/* bfind: position of the most significant non-sign bit; u->n: as a left shift amount instead */
static inline u32 bfind(u64 v, unsigned width, bool shiftamt)
{
    if (!v)
        return FULL;
    u32 p = 63 - __builtin_clzll(v);
    return shiftamt ? width - 1 - p : p;
}
OP1(bfind_u32, u32, u32, bfind(a[i], 32, u->n))
OP1(bfind_s32, u32, s32, bfind((u32)(a[i] < 0 ? ~a[i] : a[i]), 32, u->n))
OP1(bfind_u64, u32, u64, bfind(a[i], 64, u->n))
OP1(bfind_s64, u32, s64, bfind((u64)(a[i] < 0 ? ~a[i] : a[i]), 64, u->n))
OP1(clz_b32, u32, u32, a[i] ? (u32)__builtin_clz(a[i]) : 32)
OP1(clz_b64, u32, u64, a[i] ? (u32)__builtin_clzll(a[i]) : 64)
OP1(popc_b32, u32, u32, (u32)__builtin_popcount(a[i]))
OP1(popc_b64, u32, u64, (u32)__builtin_popcountll(a[i]))
static inline u32 rev32(u32 v)
{
    v = (v >> 1 & 0x55555555) | (v & 0x55555555) << 1;
    v = (v >> 2 & 0x33333333) | (v & 0x33333333) << 2;
    v = (v >> 4 & 0x0f0f0f0f) | (v & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(v);
}
OP1(brev_b32, u32, u32, rev32(a[i]))
OP1(brev_b64, u64, u64, (u64)rev32((u32)a[i]) << 32 | rev32((u32)(a[i] >> 32)))

/* bmsk: b bits from bit a; clamp: amounts limited to 32, wrap: modulo 32 */
static inline u32 bmsk(u32 a, u32 b, bool wrap)
{
    if (wrap) {
        a &= 31;
        b &= 31;
    } else {
        a = a > 32 ? 32 : a;
        b = b > 32 ? 32 : b;
    }
    return (u32)(((1ull << b) - 1) << a);
}
OP2(bmsk_clamp, u32, u32, u32, bmsk(a[i], b[i], false))
OP2(bmsk_wrap, u32, u32, u32, bmsk(a[i], b[i], true))
/* szext: sign or zero extension from b bits */
static inline u32 szext(u32 a, u32 b, bool wrap, bool sign)
{
    if (wrap)
        b &= 31;
    else if (b > 31)
        return a;
    if (!b)
        return 0;
    return sign ? (u32)((s32)(a << (32 - b)) >> (32 - b)) : a << (32 - b) >> (32 - b);
}
OP2(szext_clamp_u32, u32, u32, u32, szext(a[i], b[i], false, false))
OP2(szext_clamp_s32, u32, u32, u32, szext(a[i], b[i], false, true))
OP2(szext_wrap_u32, u32, u32, u32, szext(a[i], b[i], true, false))
OP2(szext_wrap_s32, u32, u32, u32, szext(a[i], b[i], true, true))

/* fns: position of the n-th set bit from base, upwards or downwards; none: all ones */
static inline u32 fns(u32 mask, u32 base, s32 off)
{
    base &= 31;
    if (off == 0)
        return mask >> base & 1 ? base : FULL;
    s32 pos = (s32)base, step = off > 0 ? 1 : -1;
    u32 left = off > 0 ? (u32)off : 0u - (u32)off;
    if (left > 32)
        return FULL;
    for (; pos >= 0 && pos < 32; pos += step)
        if (mask >> pos & 1 && --left == 0)
            return (u32)pos;
    return FULL;
}
OP3(fns_b32, u32, u32, u32, s32, fns(a[i], b[i], c[i]))

static inline u32 prmt(u32 a, u32 b, u32 sel)
{
    u64 v = (u64)b << 32 | a;
    u32 r = 0;
    for (int k = 0; k < 4; k++) {
        u32 s = sel >> (4 * k) & 15;
        u32 byte = (u32)(v >> (8 * (s & 7))) & 255;
        if (s & 8)
            byte = byte & 0x80 ? 255 : 0;
        r |= byte << (8 * k);
    }
    return r;
}
OP3(prmt_lanes, u32, u32, u32, u32, prmt(a[i], b[i], c[i]))
/* With one selector for all lanes, each of the result's bytes comes from the same place. */
static void prmt_b32(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a), *b = RG(u->b), *c = RG(u->c), *from[4];
    const u32 sel = c[0];
    u32 shift[4], other = 0;

    LOOP other |= c[i] ^ sel;
    if (other || sel & 0x8888) {
        prmt_lanes(w, u);
        return;
    }
    for (int k = 0; k < 4; k++) {
        from[k] = sel >> (4 * k) & 4 ? b : a;
        shift[k] = 8 * (sel >> (4 * k) & 3);
    }
    const u32 *p = from[0], *q = from[1], *r = from[2], *s = from[3];
    const u32 sp = shift[0], sq = shift[1], sr = shift[2], ss = shift[3];
    BODY(u32,
         (p[i] >> sp & 255) | (q[i] >> sq & 255) << 8 | (r[i] >> sr & 255) << 16 | s[i] >> ss << 24)
}
/* the other modes give a selector for the default one; table by mode and the two low bits of c */
static const u16 prmt_sel[6][4] = {
    {0x3210, 0x4321, 0x5432, 0x6543}, /* f4e */
    {0x5670, 0x6701, 0x7012, 0x0123}, /* b4e */
    {0x0000, 0x1111, 0x2222, 0x3333}, /* rc8 */
    {0x3210, 0x3211, 0x3222, 0x3333}, /* ecl */
    {0x0000, 0x1110, 0x2210, 0x3210}, /* ecr */
    {0x1010, 0x3232, 0x1010, 0x3232}, /* rc16 */
};
OP3(prmt_mode, u32, u32, u32, u32, prmt(a[i], b[i], prmt_sel[u->n][c[i] & 3]))

static inline u32 lop3(u32 a, u32 b, u32 c, u32 t)
{
    u32 r = 0;
    r |= t & 0x01 ? ~a & ~b & ~c : 0;
    r |= t & 0x02 ? ~a & ~b & c : 0;
    r |= t & 0x04 ? ~a & b & ~c : 0;
    r |= t & 0x08 ? ~a & b & c : 0;
    r |= t & 0x10 ? a & ~b & ~c : 0;
    r |= t & 0x20 ? a & ~b & c : 0;
    r |= t & 0x40 ? a & b & ~c : 0;
    r |= t & 0x80 ? a & b & c : 0;
    return r;
}
OP3(lop3_b32, u32, u32, u32, u32, lop3(a[i], b[i], c[i], (u32)u->imm))

/* Four bytes at a time: u->f bit 0: a signed, 1: b signed, 2: result signed, 3: accumulate into c,
 * 4: saturate; u->n: operation. The selector forms (b7654 and so on) are not used by nvcc. */
static inline u32 video4(u32 a, u32 b, u32 c, u32 f, u32 op)
{
    u32 r = 0, sum = c;
    for (int k = 0; k < 4; k++) {
        s32 x = f & 1 ? (s8)(a >> 8 * k) : (u8)(a >> 8 * k);
        s32 y = f & 2 ? (s8)(b >> 8 * k) : (u8)(b >> 8 * k), v;
        switch (op) {
        case 0:
            v = x > y ? x - y : y - x;
            break;
        case 1:
            v = x + y;
            break;
        case 2:
            v = x - y;
            break;
        case 3:
            v = (x + y + (x + y >= 0)) >> 1;
            break;
        case 4:
            v = x < y ? x : y;
            break;
        default:
            v = x > y ? x : y;
            break;
        }
        if (f & 16) {
            s32 lo = f & 4 ? -128 : 0, hi = f & 4 ? 127 : 255;
            v = v < lo ? lo : v > hi ? hi : v;
        }
        r |= (u32)(u8)v << 8 * k;
        sum += (u32)v;
    }
    return f & 8 ? sum : r;
}
OP3(video4_b32, u32, u32, u32, u32, video4(a[i], b[i], c[i], u->f, u->n))

/* ---- select -------------------------------------------------------------------------------------------- */

#define SELP(N, L)                                                                                 \
    static void selp_##N(struct warp *w, const struct uop *u)                                      \
    {                                                                                              \
        const L *a = RG(u->a), *b = RG(u->b);                                                      \
        u32 p = pred_at(w, u->c);                                                                  \
        BODY(L, (p & lane_bit[i]) ? a[i] : b[i])                                                   \
    }
SELP(32, u32)
SELP(64, u64)
OP3(slct_32_s32, u32, u32, u32, s32, c[i] >= 0 ? a[i] : b[i])
OP3(slct_64_s32, u64, u64, u64, s32, c[i] >= 0 ? a[i] : b[i])
OP3(slct_32_f32, u32, u32, u32, f32, c[i] >= 0 ? a[i] : b[i])
OP3(slct_64_f32, u64, u64, u64, f32, c[i] >= 0 ? a[i] : b[i])

/* ---- packing: mov.b64 d, {a, b} and the like ------------------------------------------------------------- */

OP2(pack_64_32, u64, u32, u32, (u64)b[i] << 32 | a[i])
OP2(pack_32_16, u32, u32, u32, b[i] << 16 | (u16)a[i])
OP2(pack_16_8, u32, u32, u32, (b[i] & 255) << 8 | (u8)a[i])
OP1(low_64_32, u32, u64, (u32)a[i])
OP1(high_64_32, u32, u64, (u32)(a[i] >> 32))
OP1(shr16_32, u32, u32, a[i] >> 16)
OP1(ext16_32, u32, u32, (u16)a[i])
OP1(byte_32, u32, u32, (u8)(a[i] >> u->n))

TABLE(ops_bits) = {H("and.b16", and_32),
                   H("and.b32", and_32),
                   H("and.b64", and_64),
                   H("and.pred", and_pred),
                   H("or.b16", or_32),
                   H("or.b32", or_32),
                   H("or.b64", or_64),
                   H("or.pred", or_pred),
                   H("xor.b16", xor_32),
                   H("xor.b32", xor_32),
                   H("xor.b64", xor_64),
                   H("xor.pred", xor_pred),
                   H("not.b16", not_32),
                   H("not.b32", not_32),
                   H("not.b64", not_64),
                   H("not.pred", not_pred),
                   H("cnot.b16", cnot_16),
                   H("cnot.b32", cnot_32),
                   H("cnot.b64", cnot_64),
                   H("mov.32", mov_32),
                   H("mov.64", mov_64),
                   H("mov.pred", mov_pred),
                   H("shl.b16", shl_b16),
                   H("shl.b32", shl_b32),
                   H("shl.b64", shl_b64),
                   H("shr.u16", shr_u16),
                   H("shr.u32", shr_u32),
                   H("shr.u64", shr_u64),
                   H("shr.s16", shr_s16),
                   H("shr.s32", shr_s32),
                   H("shr.s64", shr_s64),
                   H("shf.l.wrap", shf_l_wrap),
                   H("shf.l.clamp", shf_l_clamp),
                   H("shf.r.wrap", shf_r_wrap),
                   H("shf.r.clamp", shf_r_clamp),
                   H("bfe.u32", bfe_u32),
                   H("bfe.s32", bfe_s32),
                   H("bfe.u64", bfe_u64),
                   H("bfe.s64", bfe_s64),
                   H("bfi.b32", bfi_b32),
                   H("bfi.b64", bfi_b64),
                   H("bfind.u32", bfind_u32),
                   H("bfind.s32", bfind_s32),
                   H("bfind.u64", bfind_u64),
                   H("bfind.s64", bfind_s64),
                   H("clz.b32", clz_b32),
                   H("clz.b64", clz_b64),
                   H("popc.b32", popc_b32),
                   H("popc.b64", popc_b64),
                   H("brev.b32", brev_b32),
                   H("brev.b64", brev_b64),
                   H("bmsk.clamp", bmsk_clamp),
                   H("bmsk.wrap", bmsk_wrap),
                   H("szext.clamp.u32", szext_clamp_u32),
                   H("szext.clamp.s32", szext_clamp_s32),
                   H("szext.wrap.u32", szext_wrap_u32),
                   H("szext.wrap.s32", szext_wrap_s32),
                   H("fns.b32", fns_b32),
                   H("prmt.b32", prmt_b32),
                   H("prmt.mode", prmt_mode),
                   H("lop3.b32", lop3_b32),
                   H("video4", video4_b32),
                   H("selp.32", selp_32),
                   H("selp.64", selp_64),
                   H("slct.32.s32", slct_32_s32),
                   H("slct.64.s32", slct_64_s32),
                   H("slct.32.f32", slct_32_f32),
                   H("slct.64.f32", slct_64_f32),
                   H("pack.64.32", pack_64_32),
                   H("pack.32.16", pack_32_16),
                   H("pack.16.8", pack_16_8),
                   H("low.64.32", low_64_32),
                   H("high.64.32", high_64_32),
                   H("shr16.32", shr16_32),
                   H("ext16.32", ext16_32),
                   H("byte.32", byte_32),
                   HEND};
