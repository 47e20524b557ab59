/* SPDX-License-Identifier: MIT */
/* alu.h - what the files that make code for arithmetic share: an operation and small helpers. */
#ifndef GVM_PTX_JIT_ALU_H
#define GVM_PTX_JIT_ALU_H

#include "jit_int.h"

struct alu {
    struct gen *g;
    const struct jop *j;
    bool v; /* vectors */
    LLVMValueRef a, b, c;
};

static inline bool fp(const struct jop *j)
{
    return j->ty == TY_F32 || j->ty == TY_F64;
}
static inline bool wordy(const struct jop *j) /* 32 or 64 bits of integer */
{
    return j->ty >= TY_U32 && j->ty <= TY_S64;
}
static inline bool is_signed(unsigned ty)
{
    return ty == TY_S8 || ty == TY_S16 || ty == TY_S32 || ty == TY_S64;
}
static inline unsigned bits_of(unsigned ty)
{
    static const uint8_t bits[] = {0, 8, 8, 16, 16, 32, 32, 64, 64, 32, 64, 16, 1};

    return bits[ty];
}

static inline LLVMTypeRef ty_of(const struct alu *x, LLVMTypeRef t)
{
    return x->v ? vec(x->g, t) : t;
}
static inline LLVMTypeRef int_ty(const struct alu *x, unsigned bits)
{
    return ty_of(x, LLVMIntTypeInContext(x->g->ctx, bits));
}
static inline LLVMTypeRef fp_ty(const struct alu *x)
{
    return ty_of(x, x->j->ty == TY_F64 ? x->g->f64 : x->g->f32);
}
static inline LLVMValueRef k_int(const struct alu *x, unsigned bits, uint64_t v)
{
    LLVMValueRef c = LLVMConstInt(LLVMIntTypeInContext(x->g->ctx, bits), v, 0);

    return x->v ? splat(x->g, c) : c;
}
static inline LLVMValueRef k_fp(const struct alu *x, bool dbl, double v)
{
    LLVMValueRef c = LLVMConstReal(dbl ? x->g->f64 : x->g->f32, v);

    return x->v ? splat(x->g, c) : c;
}
static inline LLVMValueRef as_fp(const struct alu *x, LLVMValueRef v)
{
    return LLVMBuildBitCast(x->g->b, v, fp_ty(x), "");
}
static inline LLVMValueRef as_int(const struct alu *x, LLVMValueRef v, bool dbl)
{
    return LLVMBuildBitCast(x->g->b, v, int_ty(x, dbl ? 64 : 32), "");
}
static inline LLVMValueRef cut_to(const struct alu *x, LLVMValueRef v, unsigned bits)
{
    return LLVMBuildTrunc(x->g->b, v, int_ty(x, bits), "");
}
static inline LLVMValueRef widen(const struct alu *x, LLVMValueRef v, unsigned bits, bool sign)
{
    return sign ? LLVMBuildSExt(x->g->b, v, int_ty(x, bits), "")
                : LLVMBuildZExt(x->g->b, v, int_ty(x, bits), "");
}
static inline LLVMValueRef call1(const struct alu *x, const char *name, LLVMValueRef v)
{
    LLVMTypeRef t = LLVMTypeOf(v);

    return intrinsic(x->g, name, &t, 1, &v, 1);
}
static inline LLVMValueRef icmp(const struct alu *x, LLVMIntPredicate p, LLVMValueRef a,
                                LLVMValueRef b)
{
    return LLVMBuildICmp(x->g->b, p, a, b, "");
}
static inline LLVMValueRef fcmp(const struct alu *x, LLVMRealPredicate p, LLVMValueRef a,
                                LLVMValueRef b)
{
    return LLVMBuildFCmp(x->g->b, p, a, b, "");
}
static inline LLVMValueRef sel(const struct alu *x, LLVMValueRef p, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(x->g->b, p, a, b, "");
}

/* alu_int.c: results of integer operations, as bits. */
LLVMValueRef alu_min_max(const struct alu *x, bool max); /* of floating point, too */
LLVMValueRef alu_divide(const struct alu *x);
LLVMValueRef alu_mul_high(const struct alu *x);
LLVMValueRef alu_mul_wide(const struct alu *x);
LLVMValueRef alu_shift(const struct alu *x);
LLVMValueRef alu_funnel(const struct alu *x);
LLVMValueRef alu_field_extract(const struct alu *x);
LLVMValueRef alu_field_insert(const struct alu *x);
LLVMValueRef alu_permute(const struct alu *x);
LLVMValueRef alu_dot4(const struct alu *x, uint32_t f);
LLVMValueRef alu_lop3(const struct alu *x);
LLVMValueRef alu_extend(const struct alu *x, unsigned to);
/* alu_fp.c: floating point, conversions to and from it, comparisons. */
LLVMValueRef alu_to_int(const struct alu *x, const struct uop *u);
LLVMValueRef alu_int_to_fp(const struct alu *x, bool dbl);
LLVMValueRef alu_compare(const struct alu *x);
LLVMValueRef alu_ex2(const struct alu *x);
LLVMValueRef alu_fp_op(const struct alu *x, const struct uop *u); /* NULL: no code */
/* alu_warp.c: across the lanes of a warp. 0 or -1. */
int alu_vote(struct gen *g, const struct jop *j, uint32_t i);
int alu_shfl(struct gen *g, const struct jop *j, uint32_t i);

#endif
