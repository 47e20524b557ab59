/* SPDX-License-Identifier: MIT */
/* lower_small.c - conversions to and from floating point of 8 bits and tf32, minima and maxima with
 * .xorsign.abs and of packed integers, what a cluster of one block can ask, cache policies. */
#include "lower.h"
#include "small_op.h"

static struct uop *op2(struct lower *lo, const char *name, uint32_t d, uint32_t a, uint32_t b)
{
    struct uop *u = lo->err ? NULL : emit(lo, "%s", name);

    if (!u)
        return NULL;
    u->d = d;
    u->a = a;
    u->b = b;
    return u;
}

int low_minmax_small(struct lower *lo, const struct ir_insn *in)
{
    unsigned t = in->type[0];
    bool max = ptx_opcodes[in->op].name[1] == 'a';
    uint32_t a, b;
    struct uop *u;

    if (in->nopnd != 3)
        return low_fail(lo, E_NOT_SUPPORTED, "three sources are not supported");
    a = low_src(lo, opnd(lo, in, 1), t);
    b = low_src(lo, opnd(lo, in, 2), t);
    u = op2(lo, t == T_S16X2 || t == T_U16X2 ? "minmax.x2" : "minmax.xorsign",
            low_dst(lo, opnd(lo, in, 0), t), a, b);
    if (!u)
        return -1;
    u->e = t;
    u->n = (max ? SM_MAX : 0) | (take(lo, M_NaN) ? SM_NAN : 0) | (take(lo, M_ftz) ? SM_FTZ : 0) |
           (take(lo, M_relu) ? SM_RELU : 0);
    take(lo, M_xorsign);
    take(lo, M_abs);
    return 0;
}

/* cvt with a type of 8 bits or tf32 on one side. 1: not one of these. */
int low_cvt_small(struct lower *lo, const struct ir_insn *in)
{
    unsigned td = in->type[0], ts = in->type[1];
    bool to = td == T_E4M3X2 || td == T_E5M2X2, from = ts == T_E4M3X2 || ts == T_E5M2X2;
    bool tf = td == T_TF32 && ts == T_F32 && !has_mod(in, M_rna);
    bool pair = in->nopnd == 3;
    uint32_t a, b;
    struct uop *u;

    if (!to && !from && !tf)
        return 1;
    if ((to && !(ts == T_F32 && pair) && !(ts == T_F16X2 && !pair)) ||
        (from && (td != T_F16X2 || pair)) || (tf && pair))
        return low_fail(lo, E_NOT_SUPPORTED, "this form of cvt is not supported");
    if (to && !take(lo, M_satfinite))
        return low_fail(lo, E_INVALID_PTX, ".satfinite is wanted");
    a = low_src(lo, opnd(lo, in, 1), ts);
    b = pair ? low_src(lo, opnd(lo, in, 2), ts) : a;
    u = op2(lo,
            to     ? "cvt.to8"
            : from ? "cvt.from8"
                   : "cvt.round.tf32",
            low_dst(lo, opnd(lo, in, 0), tf ? T_B32 : td), a, b);
    if (!u)
        return -1;
    u->e = to ? td : ts;
    u->f = ts;
    u->n = (take(lo, M_relu) ? SM_RELU : 0) | (take(lo, M_rz) ? SM_RZ : 0);
    take(lo, M_rn);
    return 0;
}

/* ---- a cluster is one block -------------------------------------------------------------------- */

int low_mapa(struct lower *lo, const struct ir_insn *in)
{
    bool rank = ptx_opcodes[in->op].name[0] == 'g';
    unsigned t = in->ntype == 1 ? in->type[0] : T_NONE;
    uint32_t a;

    take(lo, M_shared);
    if (t != T_U32 && t != T_U64)
        return low_fail(lo, E_INVALID_PTX, "the type is neither .u32 nor .u64");
    a = rank ? low_const32(lo, 0) : low_src(lo, opnd(lo, in, 1), t);
    return op2(lo, !rank && t == T_U64 ? "mov.64" : "mov.32",
               low_dst(lo, opnd(lo, in, 0), rank ? T_U32 : t), a, a)
               ? 0
               : -1;
}

int low_policy(struct lower *lo, const struct ir_insn *in)
{
    memset(lo->rem, 0, sizeof(lo->rem)); /* which lines a cache keeps cannot be seen */
    return op2(lo, "mov.64", low_dst(lo, opnd(lo, in, 0), T_B64), low_const64(lo, 0), 0) ? 0 : -1;
}
