/* SPDX-License-Identifier: MIT */
/*
 * alu.c - code for arithmetic, logic, conversions and comparisons, with the results that the
 * handlers give, bit for bit. Nothing here may be undefined for LLVM whatever the operands are:
 * shift amounts, divisors and the range of conversions are bounded first.
 */
#include "jit_int.h"

static bool fp(const struct jop *j)
{
    return j->ty == TY_F32 || j->ty == TY_F64;
}
static bool wordy(const struct jop *j) /* 32 or 64 bits of integer */
{
    return j->ty >= TY_U32 && j->ty <= TY_S64;
}
static bool is_signed(unsigned ty)
{
    return ty == TY_S8 || ty == TY_S16 || ty == TY_S32 || ty == TY_S64;
}
static unsigned bits_of(unsigned ty)
{
    static const uint8_t bits[] = {0, 8, 8, 16, 16, 32, 32, 64, 64, 32, 64, 16, 1};

    return bits[ty];
}

bool alu_native(const struct unit *t, const struct jop *j, const struct uop *u)
{
    if ((u->csr ^ t->csr) & u->csrmask)
        return false;
    switch (j->op) {
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_NEG:
    case OP_DIV:
    case OP_REM:
        return j->ty != TY_F16 && (j->ty != TY_U16 || j->op <= OP_MUL || j->op == OP_NEG) &&
               j->ty != TY_S16;
    case OP_MAD:
        return j->ty != TY_F16;
    case OP_MULHI:
        return wordy(j);
    case OP_MULWIDE:
    case OP_MADWIDE:
        return j->ty == TY_U32 || j->ty == TY_S32 || j->ty == TY_U16 || j->ty == TY_S16;
    case OP_MIN:
    case OP_MAX:
        return wordy(j) || fp(j) || j->ty == TY_U16 || j->ty == TY_S16;
    case OP_MINNAN:
    case OP_MAXNAN:
        return j->ty == TY_F32;
    case OP_ABS:
        return fp(j) || j->ty == TY_S32 || j->ty == TY_S64;
    case OP_AND:
    case OP_OR:
    case OP_XOR:
    case OP_NOT:
    case OP_MOV:
        return j->ty != TY_F16;
    case OP_CNOT:
        return j->ty == TY_U32 || j->ty == TY_U64;
    case OP_SHL:
    case OP_SHR:
        return j->ty != TY_F16;
    case OP_SHFL_WRAP:
    case OP_SHFL_CLAMP:
    case OP_SHFR_WRAP:
    case OP_SHFR_CLAMP:
    case OP_SELP:
    case OP_SLCT:
    case OP_PACK64:
    case OP_PACK32:
    case OP_LOW:
    case OP_HIGH:
    case OP_SHR16:
    case OP_EXT16:
    case OP_BYTE:
    case OP_CVT32:
    case OP_LOP3:
    case OP_DP4A:
    case OP_ADDIMM:
    case OP_NOP:
        return j->op != OP_SLCT || j->ty == TY_S32 || j->ty == TY_F32;
    case OP_EXT:
    case OP_CVT64:
        return j->ty <= TY_S32;
    case OP_BFE:
        return j->ty <= TY_S32 && j->ty >= TY_U32 && j->b.kind == OPD_CONST &&
               j->c.kind == OPD_CONST;
    case OP_BFI:
        return j->ty == TY_U32 && j->c.kind == OPD_CONST && j->e.kind == OPD_CONST;
    case OP_CLZ:
    case OP_POPC:
    case OP_BREV:
        return wordy(j);
    case OP_PRMT:
        return j->c.kind == OPD_CONST;
    case OP_CVTI:
        return fp(j);
    case OP_CVTF32:
        return j->ty != TY_F16 && j->ty != TY_F32;
    case OP_CVTF64:
        return j->ty != TY_F16 && j->ty != TY_F64;
    case OP_RINT:
    case OP_FMA:
    case OP_RCP:
    case OP_SQRT:
    case OP_RSQRT:
    case OP_COPYSIGN:
    case OP_SAT:
        return fp(j);
    case OP_CANON:
    case OP_FTZ:
    case OP_EX2:
        return j->ty == TY_F32;
    case OP_RELU:
        return j->ty == TY_F32 || j->ty == TY_S32;
    case OP_CMP:
        return j->ty != TY_F16;
    case OP_VOTE:
    case OP_BALLOT:
        return j->b.kind == OPD_CONST && t->lanes == WARP;
    case OP_SHFL:
        return t->lanes == WARP && j->b.kind == OPD_CONST && j->c.kind == OPD_CONST;
    default:
        return false;
    }
}

/* ---- helpers ------------------------------------------------------------------------------------------ */

struct alu {
    struct gen *g;
    const struct jop *j;
    bool v; /* vectors */
    LLVMValueRef a, b, c;
};

static LLVMTypeRef ty_of(const struct alu *x, LLVMTypeRef t)
{
    return x->v ? vec(x->g, t) : t;
}
static LLVMTypeRef int_ty(const struct alu *x, unsigned bits)
{
    return ty_of(x, LLVMIntTypeInContext(x->g->ctx, bits));
}
static LLVMTypeRef fp_ty(const struct alu *x)
{
    return ty_of(x, x->j->ty == TY_F64 ? x->g->f64 : x->g->f32);
}
static LLVMValueRef k_int(const struct alu *x, unsigned bits, uint64_t v)
{
    LLVMValueRef c = LLVMConstInt(LLVMIntTypeInContext(x->g->ctx, bits), v, 0);

    return x->v ? splat(x->g, c) : c;
}
static LLVMValueRef k_fp(const struct alu *x, bool dbl, double v)
{
    LLVMValueRef c = LLVMConstReal(dbl ? x->g->f64 : x->g->f32, v);

    return x->v ? splat(x->g, c) : c;
}
static LLVMValueRef as_fp(const struct alu *x, LLVMValueRef v)
{
    return LLVMBuildBitCast(x->g->b, v, fp_ty(x), "");
}
static LLVMValueRef as_int(const struct alu *x, LLVMValueRef v, bool dbl)
{
    return LLVMBuildBitCast(x->g->b, v, int_ty(x, dbl ? 64 : 32), "");
}
static LLVMValueRef cut_to(const struct alu *x, LLVMValueRef v, unsigned bits)
{
    return LLVMBuildTrunc(x->g->b, v, int_ty(x, bits), "");
}
static LLVMValueRef widen(const struct alu *x, LLVMValueRef v, unsigned bits, bool sign)
{
    return sign ? LLVMBuildSExt(x->g->b, v, int_ty(x, bits), "")
                : LLVMBuildZExt(x->g->b, v, int_ty(x, bits), "");
}
static LLVMValueRef call1(const struct alu *x, const char *name, LLVMValueRef v)
{
    LLVMTypeRef t = LLVMTypeOf(v);

    return intrinsic(x->g, name, &t, 1, &v, 1);
}
static LLVMValueRef icmp(const struct alu *x, LLVMIntPredicate p, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildICmp(x->g->b, p, a, b, "");
}
static LLVMValueRef fcmp(const struct alu *x, LLVMRealPredicate p, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildFCmp(x->g->b, p, a, b, "");
}
static LLVMValueRef sel(const struct alu *x, LLVMValueRef p, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(x->g->b, p, a, b, "");
}

LLVMValueRef canon(struct gen *g, LLVMValueRef bits)
{
    bool v = LLVMGetTypeKind(LLVMTypeOf(bits)) == LLVMVectorTypeKind;
    LLVMTypeRef ft = v ? vec(g, g->f32) : g->f32;
    LLVMValueRef f = LLVMBuildBitCast(g->b, bits, ft, ""), nan = ci32(g, 0x7fffffff);

    if (v)
        nan = splat(g, nan);
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealUNO, f, f, ""), nan, bits, "");
}

/* A source: single precision that may hold odd NaNs is made canonical unless `raw`. */
static LLVMValueRef src(const struct alu *x, const struct opd *o, bool raw)
{
    LLVMValueRef v;

    if (o->kind == OPD_NONE)
        return NULL;
    v = get(x->g, o, x->v);
    if (!raw && o->kind == OPD_REG && x->g->t->regs[o->idx].loose)
        v = canon(x->g, v);
    return v;
}

/* ---- affine values: base and stride apart ----------------------------------------------------------------- */

/* A 32-bit affine value as 64 bits is affine only while no lane wraps: otherwise leave. */
static LLVMValueRef widen_base(struct gen *g, LLVMValueRef base, int64_t stride, bool sign,
                               uint32_t i)
{
    LLVMValueRef w =
        sign ? LLVMBuildSExt(g->b, base, g->i64, "") : LLVMBuildZExt(g->b, base, g->i64, "");
    LLVMValueRef last =
        LLVMBuildAdd(g->b, w, ci64(g, (uint64_t)(stride * (int64_t)(g->w - 1))), "");
    LLVMValueRef back = LLVMBuildTrunc(g->b, last, g->i32, ""), same;
    LLVMBasicBlockRef wraps = new_bb(g, "wraps"), on = new_bb(g, "on");

    back = sign ? LLVMBuildSExt(g->b, back, g->i64, "") : LLVMBuildZExt(g->b, back, g->i64, "");
    same = LLVMBuildICmp(g->b, LLVMIntEQ, back, last, "");
    LLVMBuildCondBr(g->b, same, on, wraps);
    at(g, wraps);
    gen_leave(g, i);
    at(g, on);
    return w;
}

/* The base of an affine result. */
static LLVMValueRef affine(struct gen *g, const struct jop *j, uint32_t i)
{
    LLVMBuilderRef b = g->b;
    LLVMValueRef x = get_one(g, &j->a), y = j->b.kind == OPD_NONE ? NULL : get_one(g, &j->b);
    bool sign = j->ty == TY_S32;
    int64_t sa, sb;

    opd_shape(g->t, &j->a, &sa);
    opd_shape(g->t, &j->b, &sb);
    switch (j->op) {
    case OP_MOV:
        return x;
    case OP_ADDIMM:
        return LLVMBuildAdd(b, x, ci64(g, (uint64_t)j->imm), "");
    case OP_ADD:
        return LLVMBuildAdd(b, x, y, "");
    case OP_SUB:
        return LLVMBuildSub(b, x, y, "");
    case OP_SHL:
        return LLVMBuildShl(b, x, LLVMConstInt(LLVMTypeOf(x), j->b.val, 0), "");
    case OP_MUL:
        return LLVMBuildMul(b, x, y, "");
    case OP_MAD:
        return LLVMBuildAdd(b, LLVMBuildMul(b, x, y, ""), get_one(g, &j->c), "");
    case OP_MULWIDE:
    case OP_MADWIDE:
        x = sa ? widen_base(g, x, sa, sign, i)
               : (sign ? LLVMBuildSExt(b, x, g->i64, "") : LLVMBuildZExt(b, x, g->i64, ""));
        y = sb ? widen_base(g, y, sb, sign, i)
               : (sign ? LLVMBuildSExt(b, y, g->i64, "") : LLVMBuildZExt(b, y, g->i64, ""));
        x = LLVMBuildMul(b, x, y, "");
        return j->op == OP_MULWIDE ? x : LLVMBuildAdd(b, x, get_one(g, &j->c), "");
    case OP_CVT64:
        return widen_base(g, x, sa, sign, i);
    case OP_CVT32:
    case OP_LOW:
        return LLVMBuildTrunc(b, x, g->i32, "");
    default:
        return NULL;
    }
}

/* ---- operations --------------------------------------------------------------------------------------------- */

static LLVMValueRef min_max(const struct alu *x, bool max)
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

static LLVMValueRef divide(const struct alu *x)
{
    LLVMBuilderRef b = x->g->b;
    const unsigned n = bits_of(x->j->ty);
    bool sign = is_signed(x->j->ty), rem = x->j->op == OP_REM;
    LLVMValueRef zero = icmp(x, LLVMIntEQ, x->b, k_int(x, n, 0)), one = k_int(x, n, 1), r, d;

    if (!sign) {
        d = sel(x, zero, one, x->b);
        r = rem ? LLVMBuildURem(b, x->a, d, "") : LLVMBuildUDiv(b, x->a, d, "");
        return sel(x, zero, k_int(x, n, ~0ull), r);
    }
    LLVMValueRef minus = icmp(x, LLVMIntEQ, x->b, k_int(x, n, ~0ull));

    d = sel(x, LLVMBuildOr(b, zero, minus, ""), one, x->b);
    r = rem ? LLVMBuildSRem(b, x->a, d, "") : LLVMBuildSDiv(b, x->a, d, "");
    r = sel(x, minus, rem ? k_int(x, n, 0) : LLVMBuildNeg(b, x->a, ""), r);
    return sel(x, zero, k_int(x, n, ~0ull), r);
}

static LLVMValueRef mul_high(const struct alu *x)
{
    LLVMBuilderRef b = x->g->b;
    const unsigned n = bits_of(x->j->ty);
    bool s = is_signed(x->j->ty);
    LLVMValueRef p = LLVMBuildMul(b, widen(x, x->a, 2 * n, s), widen(x, x->b, 2 * n, s), "");

    return cut_to(x, LLVMBuildLShr(b, p, k_int(x, 2 * n, n), ""), n);
}

static LLVMValueRef mul_wide(const struct alu *x)
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

static LLVMValueRef shift(const struct alu *x)
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

static LLVMValueRef funnel(const struct alu *x)
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

static LLVMValueRef field_extract(const struct alu *x)
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

static LLVMValueRef field_insert(const struct alu *x)
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

static LLVMValueRef permute(const struct alu *x)
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

/* Four products of bytes; f: bit 0: those of a are signed, bit 1: those of b */
static LLVMValueRef dot4(const struct alu *x, uint32_t f)
{
    LLVMBuilderRef b = x->g->b;
    LLVMValueRef s = x->c, top = k_int(x, 32, 24);

    for (unsigned k = 0; k < 4; k++) {
        LLVMValueRef p = LLVMBuildShl(b, x->a, k_int(x, 32, 24 - 8 * k), ""),
                     q = LLVMBuildShl(b, x->b, k_int(x, 32, 24 - 8 * k), "");

        p = f & 1 ? LLVMBuildAShr(b, p, top, "") : LLVMBuildLShr(b, p, top, "");
        q = f & 2 ? LLVMBuildAShr(b, q, top, "") : LLVMBuildLShr(b, q, top, "");
        s = LLVMBuildAdd(b, s, LLVMBuildMul(b, p, q, ""), "");
    }
    return s;
}

static LLVMValueRef lop3(const struct alu *x)
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

/* Float to integer: saturating, by truncation; NaN is 0 or the top bit. */
static LLVMValueRef to_int(const struct alu *x, const struct uop *u)
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

static LLVMValueRef int_to_fp(const struct alu *x, bool dbl)
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

static LLVMValueRef extend(const struct alu *x, unsigned to)
{
    const unsigned n = bits_of(x->j->ty);

    if (n == to)
        return x->a;
    LLVMValueRef v = n == 32 && to == 64 && x->j->op == OP_CVT64 ? x->a : cut_to(x, x->a, n);

    return widen(x, v, to, is_signed(x->j->ty));
}

static LLVMValueRef compare(const struct alu *x)
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
static LLVMValueRef ex2(const struct alu *x)
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

static LLVMValueRef fp_op(const struct alu *x, const struct uop *u)
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

static LLVMValueRef any_op(const struct alu *x, const struct uop *u, uint32_t i)
{
    LLVMBuilderRef b = x->g->b;
    const struct jop *j = x->j;

    if (fp(j))
        switch (j->op) {
        case OP_MOV:
        case OP_SELP:
        case OP_SLCT:
        case OP_CMP:
        case OP_MIN:
        case OP_MAX:
        case OP_MINNAN:
        case OP_MAXNAN:
        case OP_CVTI:
        case OP_CVTF32:
        case OP_CVTF64:
        case OP_CANON:
        case OP_FTZ:
        case OP_EX2:
            break;
        default:
            return fp_op(x, u);
        }
    switch (j->op) {
    case OP_ADD:
        return LLVMBuildAdd(b, x->a, x->b, "");
    case OP_SUB:
        return LLVMBuildSub(b, x->a, x->b, "");
    case OP_MUL:
        return LLVMBuildMul(b, x->a, x->b, "");
    case OP_MAD:
        return LLVMBuildAdd(b, LLVMBuildMul(b, x->a, x->b, ""), x->c, "");
    case OP_NEG:
        return LLVMBuildNeg(b, x->a, "");
    case OP_ADDIMM:
        return LLVMBuildAdd(b, x->a, k_int(x, 64, (uint64_t)j->imm), "");
    case OP_MULHI:
        return mul_high(x);
    case OP_MULWIDE:
    case OP_MADWIDE:
        return mul_wide(x);
    case OP_DIV:
    case OP_REM:
        return divide(x);
    case OP_MIN:
        return min_max(x, false);
    case OP_MAX:
        return min_max(x, true);
    case OP_MINNAN:
    case OP_MAXNAN: {
        LLVMValueRef f = as_fp(x, x->a), h = as_fp(x, x->b);

        return sel(x, fcmp(x, LLVMRealUNO, f, h), k_int(x, 32, 0x7fffffff),
                   min_max(x, j->op == OP_MAXNAN));
    }
    case OP_ABS: {
        LLVMValueRef zero = k_int(x, bits_of(j->ty), 0);

        return sel(x, icmp(x, LLVMIntSLT, x->a, zero), LLVMBuildNeg(b, x->a, ""), x->a);
    }
    case OP_RELU:
        return sel(x, icmp(x, LLVMIntSGT, x->a, k_int(x, 32, 0)), x->a, k_int(x, 32, 0));
    case OP_AND:
        return LLVMBuildAnd(b, x->a, x->b, "");
    case OP_OR:
        return LLVMBuildOr(b, x->a, x->b, "");
    case OP_XOR:
        return LLVMBuildXor(b, x->a, x->b, "");
    case OP_NOT:
        return LLVMBuildNot(b, x->a, "");
    case OP_CNOT: {
        unsigned n = bits_of(j->ty);

        return widen(x, icmp(x, LLVMIntEQ, x->a, k_int(x, n, 0)), n, false);
    }
    case OP_MOV:
        return x->a;
    case OP_SHL:
    case OP_SHR:
        return shift(x);
    case OP_SHFL_WRAP:
    case OP_SHFL_CLAMP:
    case OP_SHFR_WRAP:
    case OP_SHFR_CLAMP:
        return funnel(x);
    case OP_BFE:
        return field_extract(x);
    case OP_BFI:
        return field_insert(x);
    case OP_CLZ:
    case OP_POPC: {
        LLVMTypeRef t = LLVMTypeOf(x->a);
        LLVMValueRef args[2] = {x->a, LLVMConstInt(x->g->i1, 0, 0)}, v;

        v = intrinsic(x->g, j->op == OP_CLZ ? "llvm.ctlz" : "llvm.ctpop", &t, 1, args,
                      j->op == OP_CLZ ? 2 : 1);
        return bits_of(j->ty) == 64 ? cut_to(x, v, 32) : v;
    }
    case OP_BREV:
        return call1(x, "llvm.bitreverse", x->a);
    case OP_PRMT:
        return permute(x);
    case OP_LOP3:
        return lop3(x);
    case OP_DP4A:
        return dot4(x, u->f);
    case OP_SELP:
        return sel(x, x->c, x->a, x->b);
    case OP_SLCT: {
        LLVMValueRef p;

        if (j->ty == TY_F32)
            p = fcmp(x, LLVMRealOGE, LLVMBuildBitCast(b, x->c, ty_of(x, x->g->f32), ""),
                     k_fp(x, false, 0));
        else
            p = icmp(x, LLVMIntSGE, x->c, k_int(x, 32, 0));
        return sel(x, p, x->a, x->b);
    }
    case OP_PACK64:
        return LLVMBuildOr(b, LLVMBuildShl(b, widen(x, x->b, 64, false), k_int(x, 64, 32), ""),
                           widen(x, x->a, 64, false), "");
    case OP_PACK32:
        return LLVMBuildOr(b, LLVMBuildShl(b, x->b, k_int(x, 32, 16), ""),
                           LLVMBuildAnd(b, x->a, k_int(x, 32, 0xffff), ""), "");
    case OP_LOW:
    case OP_CVT32:
        return cut_to(x, x->a, 32);
    case OP_HIGH:
        return cut_to(x, LLVMBuildLShr(b, x->a, k_int(x, 64, 32), ""), 32);
    case OP_SHR16:
        return LLVMBuildLShr(b, x->a, k_int(x, 32, 16), "");
    case OP_EXT16:
        return LLVMBuildAnd(b, x->a, k_int(x, 32, 0xffff), "");
    case OP_BYTE:
        return LLVMBuildAnd(b, LLVMBuildLShr(b, x->a, k_int(x, 32, u->n & 31), ""),
                            k_int(x, 32, 255), "");
    case OP_EXT:
        return extend(x, j->d.cls == C_64 ? 64 : 32);
    case OP_CVT64:
        return extend(x, 64);
    case OP_CVTI:
        return to_int(x, u);
    case OP_CVTF32:
        if (j->ty == TY_F64)
            return as_int(x, LLVMBuildFPTrunc(b, as_fp(x, x->a), ty_of(x, x->g->f32), ""), false);
        return int_to_fp(x, false);
    case OP_CVTF64:
        if (j->ty == TY_F32)
            return as_int(x, LLVMBuildFPExt(b, as_fp(x, x->a), ty_of(x, x->g->f64), ""), true);
        return int_to_fp(x, true);
    case OP_CANON:
        return canon(x->g, x->a);
    case OP_FTZ: {
        LLVMValueRef e = LLVMBuildAnd(b, x->a, k_int(x, 32, 0x7f800000), "");

        return sel(x, icmp(x, LLVMIntNE, e, k_int(x, 32, 0)), x->a,
                   LLVMBuildAnd(b, x->a, k_int(x, 32, 0x80000000u), ""));
    }
    case OP_EX2:
        return ex2(x);
    case OP_CMP:
        return compare(x);
    default:
        (void)i;
        return NULL;
    }
}

/* ---- across the lanes of a warp --------------------------------------------------------------------------------- */

static int gen_vote(struct gen *g, const struct jop *j, uint32_t i)
{
    LLVMBuilderRef b = g->b;
    LLVMValueRef m = op_mask(g, j), mem = LLVMBuildAnd(b, m, ci32(g, (uint32_t)j->b.val), ""), p, r;

    if (is_uni(g->t, &j->a))
        p = LLVMBuildSelect(b, get_one(g, &j->a), mem, ci32(g, 0), "");
    else
        p = LLVMBuildAnd(b, LLVMBuildBitCast(b, get_vec(g, &j->a), g->i32, ""), mem, "");
    if (j->op == OP_BALLOT) {
        put(g, j, &j->d, p, false);
        return 0;
    }
    LLVMValueRef all = LLVMBuildICmp(b, LLVMIntEQ, p, mem, ""),
                 none = LLVMBuildICmp(b, LLVMIntEQ, p, ci32(g, 0), "");

    r = g->t->virt[i].n == 0   ? all
        : g->t->virt[i].n == 1 ? LLVMBuildNot(b, none, "")
                               : LLVMBuildOr(b, all, none, "");
    put(g, j, &j->d, r, false);
    return 0;
}

/* shfl with constant lane and clamp: a fixed permutation. */
static int gen_shfl(struct gen *g, const struct jop *j, uint32_t i)
{
    LLVMValueRef v = get_vec(g, &j->a), idx[WARP], pred[WARP];

    if (j->a.kind == OPD_REG && g->t->regs[j->a.idx].loose)
        v = canon(g, v);
    for (uint32_t l = 0; l < WARP; l++) {
        uint32_t bv = j->b.val & 31, cv = j->c.val & 31, sm = j->c.val >> 8 & 31, k;
        uint32_t max = (l & sm) | (cv & ~sm & 31), min = l & sm;
        bool p;

        switch (g->t->virt[i].n) {
        case 0:
            k = l - bv;
            p = (int32_t)k >= (int32_t)max;
            break;
        case 1:
            k = l + bv;
            p = k <= max;
            break;
        case 2:
            k = l ^ bv;
            p = k <= max;
            break;
        default:
            k = min | (bv & ~sm & 31);
            p = k <= max;
            break;
        }
        if (!p)
            k = l;
        idx[l] = ci32(g, k & 31);
        pred[l] = LLVMConstInt(g->i1, p, 0);
    }
    v = LLVMBuildShuffleVector(g->b, v, LLVMGetUndef(LLVMTypeOf(v)), LLVMConstVector(idx, WARP),
                               "");
    put(g, j, &j->d, v, false);
    if (j->e.kind == OPD_REG)
        put(g, j, &j->e, LLVMConstVector(pred, WARP), false);
    return 0;
}

/* ---- one micro-op ------------------------------------------------------------------------------------------------ */

/* Operations for which every NaN is the same. */
static bool takes_any_nan(const struct jop *j)
{
    switch (j->op) {
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_FMA:
    case OP_RCP:
    case OP_SQRT:
    case OP_RSQRT:
    case OP_NEG:
    case OP_ABS:
    case OP_MIN:
    case OP_MAX:
    case OP_MINNAN:
    case OP_MAXNAN:
    case OP_CMP:
    case OP_CVTI:
    case OP_CANON:
    case OP_SAT:
    case OP_EX2:
        return j->ty == TY_F32;
    default:
        return false;
    }
}

int gen_alu(struct gen *g, const struct jop *j, uint32_t i)
{
    const struct unit *t = g->t;
    struct alu x = {.g = g, .j = j};
    uint8_t shape;
    int64_t stride;
    LLVMValueRef r;

    if (j->op == OP_NOP)
        return 0;
    if (j->op == OP_VOTE || j->op == OP_BALLOT)
        return gen_vote(g, j, i);
    if (j->op == OP_SHFL)
        return gen_shfl(g, j, i);
    shape_of(t, j, &shape, &stride);
    const struct reg *d = &t->regs[j->d.idx];

    if (shape == S_AFF && (d->shape == S_AFF || d->cls != C_PRED)) {
        r = affine(g, j, i);
        if (!r)
            return unit_fail(g->t, "no code for '%s' of affine lanes", t->virt[i].name);
        if (d->shape == S_VAR) {
            LLVMTypeRef et = LLVMTypeOf(r);
            LLVMValueRef step =
                LLVMConstMul(iota(g, et), splat(g, LLVMConstInt(et, (uint64_t)stride, 1)));

            r = LLVMBuildAdd(g->b, splat(g, r), step, "");
        }
        put(g, j, &j->d, r, false);
        return 0;
    }
    /* scalars for what is uniform even where the register is not; an affine source whose stride
     * vanishes goes by its base */
    if (shape != S_VAR && shape != S_TOP) {
        int64_t sa, sb, sc;
        bool strided = false;

        opd_shape(t, &j->a, &sa);
        opd_shape(t, &j->b, &sb);
        opd_shape(t, &j->c, &sc);
        strided = t->lanes > 1 && (sa || sb || sc);
        if (strided) {
            r = affine(g, j, i);
            if (!r)
                return unit_fail(g->t, "no code for '%s' of affine lanes", t->virt[i].name);
            put(g, j, &j->d, r, false);
            return 0;
        }
    }
    x.v = shape == S_VAR || shape == S_TOP;
    if (shape == S_TOP)
        x.v = false;
    bool raw = takes_any_nan(j) || (j->op == OP_MOV && d->loose);

    x.a = src(&x, &j->a, raw);
    x.b = src(&x, &j->b, raw);
    x.c = src(&x, &j->c, raw);
    r = any_op(&x, &t->virt[i], i);
    if (!r)
        return unit_fail(g->t, "no code for '%s'", t->virt[i].name);
    /* a register that others than arithmetic write, too, is canonical always */
    if (j->ty == TY_F32 && !d->loose && takes_any_nan(j) && d->cls == C_32)
        switch (j->op) {
        case OP_ADD:
        case OP_SUB:
        case OP_MUL:
        case OP_DIV:
        case OP_FMA:
        case OP_RCP:
        case OP_SQRT:
        case OP_RSQRT:
        case OP_NEG:
        case OP_ABS:
            r = canon(g, r);
            break;
        default:
            break;
        }
    put(g, j, &j->d, r, false);
    return 0;
}
