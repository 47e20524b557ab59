/* SPDX-License-Identifier: MIT */
/*
 * alu.c - code for arithmetic, logic, conversions and comparisons, with the results that the
 * handlers give, bit for bit. Nothing here may be undefined for LLVM whatever the operands are:
 * shift amounts, divisors and the range of conversions are bounded first.
 */
#include "alu.h"

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
    branch_rarely(g, same, on, wraps);
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

/* ---- operations ------------------------------------------------------------------------------ */

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
            return alu_fp_op(x, u);
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
        return alu_mul_high(x);
    case OP_MULWIDE:
    case OP_MADWIDE:
        return alu_mul_wide(x);
    case OP_DIV:
    case OP_REM:
        return alu_divide(x);
    case OP_MIN:
        return alu_min_max(x, false);
    case OP_MAX:
        return alu_min_max(x, true);
    case OP_MINNAN:
    case OP_MAXNAN: {
        LLVMValueRef f = as_fp(x, x->a), h = as_fp(x, x->b);

        return sel(x, fcmp(x, LLVMRealUNO, f, h), k_int(x, 32, 0x7fffffff),
                   alu_min_max(x, j->op == OP_MAXNAN));
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
        return alu_shift(x);
    case OP_SHFL_WRAP:
    case OP_SHFL_CLAMP:
    case OP_SHFR_WRAP:
    case OP_SHFR_CLAMP:
        return alu_funnel(x);
    case OP_BFE:
        return alu_field_extract(x);
    case OP_BFI:
        return alu_field_insert(x);
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
        return alu_permute(x);
    case OP_LOP3:
        return alu_lop3(x);
    case OP_DP4A:
        return alu_dot4(x, u->f);
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
        return alu_extend(x, j->d.cls == C_64 ? 64 : 32);
    case OP_CVT64:
        return alu_extend(x, 64);
    case OP_CVTI:
        return alu_to_int(x, u);
    case OP_CVTF32:
        if (j->ty == TY_F64)
            return as_int(x, LLVMBuildFPTrunc(b, as_fp(x, x->a), ty_of(x, x->g->f32), ""), false);
        return alu_int_to_fp(x, false);
    case OP_CVTF64:
        if (j->ty == TY_F32)
            return as_int(x, LLVMBuildFPExt(b, as_fp(x, x->a), ty_of(x, x->g->f64), ""), true);
        return alu_int_to_fp(x, true);
    case OP_CANON:
        return canon(x->g, x->a);
    case OP_FTZ: {
        LLVMValueRef e = LLVMBuildAnd(b, x->a, k_int(x, 32, 0x7f800000), "");

        return sel(x, icmp(x, LLVMIntNE, e, k_int(x, 32, 0)), x->a,
                   LLVMBuildAnd(b, x->a, k_int(x, 32, 0x80000000u), ""));
    }
    case OP_EX2:
        return alu_ex2(x);
    case OP_CMP:
        return alu_compare(x);
    default:
        (void)i;
        return NULL;
    }
}

/* ---- one micro-op ------------------------------------------------------------------------------------------------ */

/* Operations for which every NaN is the same. */
static bool takes_any_nan(const struct jop *j)
{
    switch (j->op) {
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
        return jop_f32_arith(j);
    }
}

/* Logic of predicates, as 32-bit lanes. */
static bool pred_logic(struct gen *g, const struct jop *j)
{
    LLVMValueRef a, b;

    if (j->op != OP_AND && j->op != OP_OR && j->op != OP_XOR && j->op != OP_NOT && j->op != OP_MOV)
        return false;
    a = get_pred(g, &j->a);
    b = j->b.kind == OPD_NONE ? NULL : get_pred(g, &j->b);
    a = j->op == OP_AND   ? LLVMBuildAnd(g->b, a, b, "")
        : j->op == OP_OR  ? LLVMBuildOr(g->b, a, b, "")
        : j->op == OP_XOR ? LLVMBuildXor(g->b, a, b, "")
        : j->op == OP_NOT ? LLVMBuildNot(g->b, a, "")
                          : a;
    put(g, j, &j->d, a, false);
    return true;
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
        return alu_vote(g, j, i);
    if (j->op == OP_SHFL)
        return alu_shfl(g, j, i);
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
    x.v = shape == S_VAR; /* S_TOP: no write of a source was seen, so any value will do */
    if (x.v && (j->op == OP_DIV || j->op == OP_REM) && bits_of(j->ty) == 64 && !fp(j)) {
        gen_handler(g, j, i); /* no vectors of it: its loop is as fast, and much smaller */
        return 0;
    }
    bool raw = takes_any_nan(j) || (j->op == OP_MOV && d->loose);

    if (x.v && j->ty == TY_PRED && pred_logic(g, j))
        return 0;
    x.a = src(&x, &j->a, raw);
    x.b = src(&x, &j->b, raw);
    x.c = src(&x, &j->c, raw);
    r = any_op(&x, &t->virt[i], i);
    if (!r)
        return unit_fail(g->t, "no code for '%s'", t->virt[i].name);
    /* a register that others than arithmetic write, too, is canonical always */
    if (!d->loose && d->cls == C_32 && jop_f32_arith(j))
        r = canon(g, r);
    put(g, j, &j->d, r, false);
    return 0;
}
