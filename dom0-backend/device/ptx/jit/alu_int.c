/* SPDX-License-Identifier: MIT */
/*
 * alu_int.c - code for integers and bits. Nothing may be undefined for LLVM whatever the operands
 * are: shift amounts and divisors are bounded first.
 */
#include "alu.h"

/*
 * 32 bits by way of double precision: a quotient that is no whole number is at least 1/b away from
 * one, which 53 bits tell, so that cutting off the fraction is exact. b is not 0.
 */
static LLVMValueRef divide32(const struct alu *x, LLVMValueRef a, LLVMValueRef d, bool sign)
{
    LLVMBuilderRef b = x->g->b;
    LLVMTypeRef ft = ty_of(x, x->g->f64);
    LLVMValueRef p, q, two52 = k_fp(x, true, 4503599627370496.0);

    if (sign) {
        p = LLVMBuildFDiv(b, LLVMBuildSIToFP(b, a, ft, ""), LLVMBuildSIToFP(b, d, ft, ""), "");
        return LLVMBuildFPToSI(b, p, int_ty(x, 32), "");
    }
    /* unsigned numbers as the low bits of 2^52 and more: there is no instruction for them */
    p = LLVMBuildOr(b, widen(x, a, 64, false), k_int(x, 64, 0x4330000000000000), "");
    q = LLVMBuildOr(b, widen(x, d, 64, false), k_int(x, 64, 0x4330000000000000), "");
    p = LLVMBuildFSub(b, LLVMBuildBitCast(b, p, ft, ""), two52, "");
    q = LLVMBuildFSub(b, LLVMBuildBitCast(b, q, ft, ""), two52, "");
    p = call1(x, "llvm.floor", LLVMBuildFDiv(b, p, q, ""));
    return cut_to(x, as_int(x, LLVMBuildFAdd(b, p, two52, ""), true), 32);
}

static LLVMValueRef quotient(const struct alu *x, LLVMValueRef d, bool sign, bool rem)
{
    LLVMBuilderRef b = x->g->b;

    if (x->v && bits_of(x->j->ty) == 32) {
        LLVMValueRef q = divide32(x, x->a, d, sign);

        return rem ? LLVMBuildSub(b, x->a, LLVMBuildMul(b, q, d, ""), "") : q;
    }
    if (sign)
        return rem ? LLVMBuildSRem(b, x->a, d, "") : LLVMBuildSDiv(b, x->a, d, "");
    return rem ? LLVMBuildURem(b, x->a, d, "") : LLVMBuildUDiv(b, x->a, d, "");
}

LLVMValueRef alu_divide(const struct alu *x)
{
    LLVMBuilderRef b = x->g->b;
    const unsigned n = bits_of(x->j->ty);
    bool sign = is_signed(x->j->ty), rem = x->j->op == OP_REM;
    LLVMValueRef zero = icmp(x, LLVMIntEQ, x->b, k_int(x, n, 0)), one = k_int(x, n, 1), r, d;

    if (!sign) {
        d = sel(x, zero, one, x->b);
        r = quotient(x, d, false, rem);
        return sel(x, zero, k_int(x, n, ~0ull), r);
    }
    LLVMValueRef minus = icmp(x, LLVMIntEQ, x->b, k_int(x, n, ~0ull));

    d = sel(x, LLVMBuildOr(b, zero, minus, ""), one, x->b);
    r = quotient(x, d, true, rem);
    r = sel(x, minus, rem ? k_int(x, n, 0) : LLVMBuildNeg(b, x->a, ""), r);
    return sel(x, zero, k_int(x, n, ~0ull), r);
}

LLVMValueRef alu_mul_high(const struct alu *x)
{
    LLVMBuilderRef b = x->g->b;
    const unsigned n = bits_of(x->j->ty);
    bool s = is_signed(x->j->ty);
    LLVMValueRef p = LLVMBuildMul(b, widen(x, x->a, 2 * n, s), widen(x, x->b, 2 * n, s), "");

    return cut_to(x, LLVMBuildLShr(b, p, k_int(x, 2 * n, n), ""), n);
}

LLVMValueRef alu_mul_wide(const struct alu *x)
{
    const unsigned n = bits_of(x->j->ty);
    bool s = is_signed(x->j->ty);
    LLVMValueRef p = x->a, q = x->b;

    if (n == 16) {
        p = cut_to(x, p, 16);
        q = cut_to(x, q, 16);
    }
    p = LLVMBuildMul(x->g->b, widen(x, p, 2 * n, s), widen(x, q, 2 * n, s), "");
    return x->c ? LLVMBuildAdd(x->g->b, p, x->c, "") : p;
}

LLVMValueRef alu_shift(const struct alu *x)
{
    LLVMBuilderRef b = x->g->b;
    const unsigned n = bits_of(x->j->ty), w = n == 64 ? 64 : 32;
    bool left = x->j->op == OP_SHL, sign = is_signed(x->j->ty) && !left;
    LLVMValueRef v = x->a, k = x->b, over = icmp(x, LLVMIntUGT, k, k_int(x, 32, n - 1)), r;

    if (n == 16 && !left)
        v = widen(x, cut_to(x, v, 16), 32, sign);
    k = sel(x, over, k_int(x, 32, sign ? n - 1 : 0), k);
    if (w == 64)
        k = widen(x, k, 64, false);
    if (sign)
        return LLVMBuildAShr(b, v, k, "");
    r = left ? LLVMBuildShl(b, v, k, "") : LLVMBuildLShr(b, v, k, "");
    return sel(x, over, k_int(x, w, 0), r);
}

LLVMValueRef alu_funnel(const struct alu *x)
{
    bool left = x->j->op == OP_SHFL_WRAP || x->j->op == OP_SHFL_CLAMP;
    bool clamp = x->j->op == OP_SHFL_CLAMP || x->j->op == OP_SHFR_CLAMP;
    LLVMTypeRef t = LLVMTypeOf(x->a);
    LLVMValueRef args[3] = {x->b, x->a, x->c}, r; /* high, low, amount modulo 32 */

    r = intrinsic(x->g, left ? "llvm.fshl" : "llvm.fshr", &t, 1, args, 3);
    if (clamp)
        r = sel(x, icmp(x, LLVMIntUGE, x->c, k_int(x, 32, 32)), left ? x->a : x->b, r);
    return r;
}

LLVMValueRef alu_field_extract(const struct alu *x)
{
    LLVMBuilderRef b = x->g->b;
    uint32_t pos = x->j->b.val & 255, len = x->j->c.val & 255;
    bool sign = is_signed(x->j->ty);

    if (!len)
        return k_int(x, 32, 0);
    if (pos >= 32)
        return sign ? LLVMBuildAShr(b, x->a, k_int(x, 32, 31), "") : k_int(x, 32, 0);
    if (len > 32 - pos)
        len = 32 - pos;
    LLVMValueRef v = LLVMBuildShl(b, x->a, k_int(x, 32, 32 - pos - len), "");

    return sign ? LLVMBuildAShr(b, v, k_int(x, 32, 32 - len), "")
                : LLVMBuildLShr(b, v, k_int(x, 32, 32 - len), "");
}

LLVMValueRef alu_field_insert(const struct alu *x)
{
    LLVMBuilderRef b = x->g->b;
    uint32_t pos = x->j->c.val & 255, len = x->j->e.val & 255, m;

    if (pos >= 32 || !len)
        return x->b;
    if (len > 32 - pos)
        len = 32 - pos;
    m = (len == 32 ? ~0u : (1u << len) - 1) << pos;
    return LLVMBuildOr(
        b, LLVMBuildAnd(b, x->b, k_int(x, 32, ~m), ""),
        LLVMBuildAnd(b, LLVMBuildShl(b, x->a, k_int(x, 32, pos), ""), k_int(x, 32, m), ""), "");
}

LLVMValueRef alu_permute(const struct alu *x)
{
    LLVMBuilderRef b = x->g->b;
    LLVMValueRef r = k_int(x, 32, 0);

    for (unsigned k = 0; k < 4; k++) {
        unsigned s = x->j->c.val >> (4 * k) & 15;
        LLVMValueRef v = s & 4 ? x->b : x->a;

        v = LLVMBuildShl(b, v, k_int(x, 32, 24 - 8 * (s & 3)), "");
        v = s & 8 ? LLVMBuildAShr(b, v, k_int(x, 32, 31), "") : v;
        v = LLVMBuildLShr(b, v, k_int(x, 32, 24), "");
        r = LLVMBuildOr(b, r, LLVMBuildShl(b, v, k_int(x, 32, 8 * k), ""), "");
    }
    return r;
}

/* Bytes 0 and 2, or 1 and 3, of eight words, as sixteen numbers of 16 bits. */
static LLVMValueRef every_other(const struct alu *x, LLVMValueRef v, bool odd, bool sign)
{
    LLVMBuilderRef b = x->g->b;
    LLVMTypeRef t = LLVMInt16TypeInContext(x->g->ctx);
    LLVMValueRef e[16], eight;

    for (unsigned i = 0; i < 16; i++)
        e[i] = LLVMConstInt(t, 8, 0);
    eight = LLVMConstVector(e, 16);
    v = LLVMBuildBitCast(b, v, LLVMVectorType(t, 16), "");
    if (!odd)
        v = LLVMBuildShl(b, v, eight, "");
    return sign ? LLVMBuildAShr(b, v, eight, "") : LLVMBuildLShr(b, v, eight, "");
}

/* By the instruction that multiplies numbers of 16 bits and adds the products of neighbours: two
 * products of bytes at a time. NULL: not for so few lanes. */
static LLVMValueRef dot4_by_pairs(const struct alu *x, bool sa, bool sb)
{
    struct gen *g = x->g;
    LLVMValueRef part[WARP / 8];

    if (!x->v || g->w < 8)
        return NULL;
    for (unsigned k = 0; k < g->w / 8; k++) {
        LLVMValueRef va = eight_lanes(g, x->a, 8 * k), vb = eight_lanes(g, x->b, 8 * k), p[2];

        for (unsigned odd = 0; odd < 2; odd++) {
            LLVMValueRef args[2] = {every_other(x, va, odd, sa), every_other(x, vb, odd, sb)};

            p[odd] = intrinsic(g, "llvm.x86.avx2.pmadd.wd", NULL, 0, args, 2);
        }
        part[k] = LLVMBuildAdd(g->b, p[0], p[1], "");
    }
    return LLVMBuildAdd(g->b, x->c, join_lanes(g, part), "");
}

/* Four products of bytes; f: bit 0: those of a are signed, bit 1: those of b */
LLVMValueRef alu_dot4(const struct alu *x, uint32_t f)
{
    LLVMBuilderRef b = x->g->b;
    LLVMValueRef s = dot4_by_pairs(x, f & 1, f & 2), top = k_int(x, 32, 24);

    if (s)
        return s;
    s = x->c;
    for (unsigned k = 0; k < 4; k++) {
        LLVMValueRef p = LLVMBuildShl(b, x->a, k_int(x, 32, 24 - 8 * k), ""),
                     q = LLVMBuildShl(b, x->b, k_int(x, 32, 24 - 8 * k), "");

        p = f & 1 ? LLVMBuildAShr(b, p, top, "") : LLVMBuildLShr(b, p, top, "");
        q = f & 2 ? LLVMBuildAShr(b, q, top, "") : LLVMBuildLShr(b, q, top, "");
        s = LLVMBuildAdd(b, s, LLVMBuildMul(b, p, q, ""), "");
    }
    return s;
}

LLVMValueRef alu_lop3(const struct alu *x)
{
    LLVMBuilderRef b = x->g->b;
    LLVMValueRef r = NULL, na = LLVMBuildNot(b, x->a, ""), nb = LLVMBuildNot(b, x->b, ""),
                 nc = LLVMBuildNot(b, x->c, "");

    for (unsigned k = 0; k < 8; k++) {
        if (!(x->j->imm >> k & 1))
            continue;
        LLVMValueRef m = LLVMBuildAnd(b, k & 4 ? x->a : na, k & 2 ? x->b : nb, "");

        m = LLVMBuildAnd(b, m, k & 1 ? x->c : nc, "");
        r = r ? LLVMBuildOr(b, r, m, "") : m;
    }
    return r ? r : k_int(x, 32, 0);
}

LLVMValueRef alu_extend(const struct alu *x, unsigned to)
{
    const unsigned n = bits_of(x->j->ty);

    if (n == to)
        return x->a;
    LLVMValueRef v = n == 32 && to == 64 && x->j->op == OP_CVT64 ? x->a : cut_to(x, x->a, n);

    return widen(x, v, to, is_signed(x->j->ty));
}
