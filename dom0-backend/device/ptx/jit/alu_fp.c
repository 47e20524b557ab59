/* SPDX-License-Identifier: MIT */
/*
 * alu_fp.c - code for floating point, conversions and comparisons. What is out of a conversion's
 * range is replaced before it: LLVM leaves the result undefined.
 */
#include "alu.h"

LLVMValueRef alu_min_max(const struct alu *x, bool max)
{
    LLVMBuilderRef b = x->g->b;

    if (!fp(x->j)) {
        LLVMValueRef p = x->a, q = x->b;
        LLVMIntPredicate less = is_signed(x->j->ty) ? LLVMIntSLT : LLVMIntULT,
                         more = is_signed(x->j->ty) ? LLVMIntSGT : LLVMIntUGT;

        if (bits_of(x->j->ty) == 16) {
            p = cut_to(x, p, 16);
            q = cut_to(x, q, 16);
        }
        return sel(x, icmp(x, max ? more : less, p, q), x->a, x->b);
    }
    bool dbl = x->j->ty == TY_F64;
    LLVMValueRef p = as_fp(x, x->a), q = as_fp(x, x->b), first, neg;

    neg = icmp(x, LLVMIntSLT, max ? x->b : x->a, k_int(x, dbl ? 64 : 32, 0));
    first = LLVMBuildOr(b, fcmp(x, max ? LLVMRealOGT : LLVMRealOLT, p, q),
                        fcmp(x, LLVMRealUNO, q, q), "");
    first = LLVMBuildOr(b, first, LLVMBuildAnd(b, fcmp(x, LLVMRealOEQ, p, q), neg, ""), "");
    LLVMValueRef r = sel(x, first, x->a, x->b);

    return dbl ? r : canon(x->g, r);
}

/* Float to integer: saturating, by truncation; NaN is 0 or the top bit. */
LLVMValueRef alu_to_int(const struct alu *x, const struct uop *u)
{
    static const char *const names[] = {"u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64"};
    LLVMBuilderRef b = x->g->b;
    unsigned ti = 0, n, w;
    bool dbl = x->j->ty == TY_F64;

    while (strncmp(u->name + 5, names[ti], strlen(names[ti])) ||
           u->name[5 + strlen(names[ti])] != '.')
        ti++;
    n = 8u << (ti / 2);
    w = n == 64 ? 64 : 32;
    bool sign = ti & 1;
    double hi1 = sign ? __builtin_ldexp(1.0, (int)n - 1) : __builtin_ldexp(1.0, (int)n),
           lo = sign ? -hi1 : 0;
    LLVMValueRef f = as_fp(x, x->a), in, top, r;
    /* where lo - 1 is not a number of the format, lo itself is the last one in range */
    bool exact = sign && (dbl ? n == 64 : n >= 32);

    in = LLVMBuildAnd(
        b, fcmp(x, exact ? LLVMRealOGE : LLVMRealOGT, f, k_fp(x, dbl, exact ? lo : lo - 1)),
        fcmp(x, LLVMRealOLT, f, k_fp(x, dbl, hi1)), "");
    top = fcmp(x, LLVMRealOGE, f, k_fp(x, dbl, hi1));
    f = sel(x, in, f, k_fp(x, dbl, 0));
    /* through a signed type that holds all of it, where there is one */
    if (n < 32)
        r = LLVMBuildFPToSI(b, f, int_ty(x, 32), "");
    else
        r = sign ? LLVMBuildFPToSI(b, f, int_ty(x, w), "")
                 : LLVMBuildFPToUI(b, f, int_ty(x, w), "");
    uint64_t max = sign      ? (1ull << (n - 1)) - 1
                   : n == 64 ? ~0ull
                             : (1ull << n) - 1,
             min = sign ? ~0ull << (n - 1) : 0, nan = n == 64 || dbl ? 1ull << (n - 1) : 0;

    /* the handler's types: a signed result is sign-extended to its slot */
    if (sign && n < 64 && nan)
        nan = (uint64_t)((int64_t)(nan << (64 - n)) >> (64 - n));
    LLVMValueRef f0 = as_fp(x, x->a);

    r = sel(x, in, r,
            sel(x, top, k_int(x, w, max),
                sel(x, fcmp(x, LLVMRealUNO, f0, f0), k_int(x, w, nan), k_int(x, w, min))));
    return r;
}

LLVMValueRef alu_int_to_fp(const struct alu *x, bool dbl)
{
    LLVMBuilderRef b = x->g->b;
    const unsigned n = bits_of(x->j->ty);
    LLVMTypeRef t = ty_of(x, dbl ? x->g->f64 : x->g->f32);
    LLVMValueRef v = x->a;

    if (n < 32)
        v = widen(x, cut_to(x, v, n), 32, is_signed(x->j->ty));
    v = is_signed(x->j->ty) || n < 32 ? LLVMBuildSIToFP(b, v, t, "") : LLVMBuildUIToFP(b, v, t, "");
    return as_int(x, v, dbl);
}

LLVMValueRef alu_compare(const struct alu *x)
{
    static const LLVMIntPredicate is[] = {LLVMIntEQ,  LLVMIntNE,  LLVMIntSLT,
                                          LLVMIntSLE, LLVMIntSGT, LLVMIntSGE};
    static const LLVMIntPredicate iu[] = {LLVMIntEQ,  LLVMIntNE,  LLVMIntULT,
                                          LLVMIntULE, LLVMIntUGT, LLVMIntUGE};
    static const LLVMRealPredicate fl[] = {
        LLVMRealOEQ, LLVMRealONE, LLVMRealOLT, LLVMRealOLE, LLVMRealOGT, LLVMRealOGE, LLVMRealUEQ,
        LLVMRealUNE, LLVMRealULT, LLVMRealULE, LLVMRealUGT, LLVMRealUGE, LLVMRealORD, LLVMRealUNO};
    LLVMValueRef p = x->a, q = x->b;

    if (fp(x->j))
        return fcmp(x, fl[x->j->cmp], as_fp(x, p), as_fp(x, q));
    if (bits_of(x->j->ty) < 32) {
        p = cut_to(x, p, bits_of(x->j->ty));
        q = cut_to(x, q, bits_of(x->j->ty));
    }
    return icmp(x, is_signed(x->j->ty) ? is[x->j->cmp] : iu[x->j->cmp], p, q);
}

/* 2^x as the handler computes it */
LLVMValueRef alu_ex2(const struct alu *x)
{
    static const double c[] = {1.3398874e-3f, 9.6184373e-3f, 5.5503324e-2f,
                               2.4022648e-1f, 6.9314718e-1f, 1.0f};
    LLVMBuilderRef b = x->g->b;
    LLVMValueRef f = as_fp(x, x->a), t, n, p, k, k1, k2, r;

    t = sel(x, fcmp(x, LLVMRealOLT, f, k_fp(x, 0, -160)), k_fp(x, 0, -160),
            sel(x, fcmp(x, LLVMRealOGT, f, k_fp(x, 0, 160)), k_fp(x, 0, 160), f));
    t = sel(x, fcmp(x, LLVMRealORD, t, t), t, k_fp(x, 0, 0));
    n = LLVMBuildFSub(b, LLVMBuildFAdd(b, t, k_fp(x, 0, 12582912.0), ""), k_fp(x, 0, 12582912.0),
                      "");
    LLVMValueRef fr = LLVMBuildFSub(b, t, n, "");

    p = k_fp(x, 0, 1.5353362e-4f);
    for (unsigned i = 0; i < 6; i++)
        p = LLVMBuildFAdd(b, LLVMBuildFMul(b, p, fr, ""), k_fp(x, 0, c[i]), "");
    k = LLVMBuildFPToSI(b, n, int_ty(x, 32), "");
    k1 = LLVMBuildAShr(b, k, k_int(x, 32, 1), "");
    k2 = LLVMBuildSub(b, k, k1, "");
    k1 = LLVMBuildShl(b, LLVMBuildAdd(b, k1, k_int(x, 32, 127), ""), k_int(x, 32, 23), "");
    k2 = LLVMBuildShl(b, LLVMBuildAdd(b, k2, k_int(x, 32, 127), ""), k_int(x, 32, 23), "");
    r = LLVMBuildFMul(b, LLVMBuildFMul(b, p, as_fp(x, k1), ""), as_fp(x, k2), "");
    return sel(x, fcmp(x, LLVMRealUNO, f, f), k_int(x, 32, 0x7fffffff), as_int(x, r, false));
}

LLVMValueRef alu_fp_op(const struct alu *x, const struct uop *u)
{
    static const char *const rints[] = {"llvm.rint", "llvm.floor", "llvm.ceil", "llvm.trunc"};
    LLVMBuilderRef b = x->g->b;
    bool dbl = x->j->ty == TY_F64;
    unsigned n = dbl ? 64 : 32;
    uint64_t top = 1ull << (n - 1);
    LLVMTypeRef t = fp_ty(x);
    LLVMValueRef p = as_fp(x, x->a), q = x->b ? as_fp(x, x->b) : NULL,
                 r = x->c ? as_fp(x, x->c) : NULL, one = k_fp(x, dbl, 1), v;

    switch (x->j->op) {
    case OP_ADD:
        v = LLVMBuildFAdd(b, p, q, "");
        break;
    case OP_SUB:
        v = LLVMBuildFSub(b, p, q, "");
        break;
    case OP_MUL:
        v = LLVMBuildFMul(b, p, q, "");
        break;
    case OP_DIV:
        v = LLVMBuildFDiv(b, p, q, "");
        break;
    case OP_FMA:
        v = intrinsic(x->g, "llvm.fma", &t, 1, (LLVMValueRef[]){p, q, r}, 3);
        break;
    case OP_RCP:
        v = LLVMBuildFDiv(b, one, p, "");
        break;
    case OP_SQRT:
        v = call1(x, "llvm.sqrt", p);
        break;
    case OP_RSQRT:
        v = LLVMBuildFDiv(b, one, call1(x, "llvm.sqrt", p), "");
        break;
    case OP_RINT:
        v = call1(x, rints[u->n & 3], p);
        break;
    case OP_NEG:
    case OP_ABS:
        if (x->j->op == OP_NEG)
            v = LLVMBuildXor(b, x->a, k_int(x, n, top), "");
        else
            v = LLVMBuildAnd(b, x->a, k_int(x, n, top - 1), "");
        if (dbl)
            v = sel(x, fcmp(x, LLVMRealUNO, p, p),
                    LLVMBuildOr(b, x->a, k_int(x, 64, 1ull << 51), ""), v);
        return v;
    case OP_COPYSIGN:
        return LLVMBuildOr(b, LLVMBuildAnd(b, x->b, k_int(x, n, top - 1), ""),
                           LLVMBuildAnd(b, x->a, k_int(x, n, top), ""), "");
    case OP_SAT:
        v = sel(x, fcmp(x, LLVMRealOLT, p, one), p, one);
        v = sel(x, fcmp(x, LLVMRealOGT, p, k_fp(x, dbl, 0)), v, k_fp(x, dbl, 0));
        break;
    case OP_RELU:
        v = sel(x, fcmp(x, LLVMRealOGT, p, k_fp(x, dbl, 0)), p, k_fp(x, dbl, 0));
        return sel(x, fcmp(x, LLVMRealUNO, p, p), k_int(x, 32, 0x7fffffff), as_int(x, v, false));
    default:
        return NULL;
    }
    return as_int(x, v, dbl);
}
