/* SPDX-License-Identifier: MIT */
/* lower_mma.c - wmma to micro-ops. */
#include "addr.h"
#include "lower.h"
#include "mma_op.h"

static const struct shape {
    uint8_t mod, m, n, k;
} shapes[] = {
    {M_m16n16k16, 16, 16, 16}, {M_m32n8k16, 32, 8, 16}, {M_m8n32k16, 8, 32, 16},
    {M_m16n16k8, 16, 16, 8},   {M_m8n8k4, 8, 8, 4},
};

static const struct shape *take_shape(struct lower *lo)
{
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (take(lo, shapes[i].mod))
            return &shapes[i];
    low_fail(lo, E_NOT_SUPPORTED, "this shape is not supported");
    return NULL;
}

static int mma_type(unsigned t)
{
    switch (t) {
    case T_F16:
        return MT_F16;
    case T_BF16:
        return MT_BF16;
    case T_TF32:
        return MT_TF32;
    case T_F32:
        return MT_F32;
    case T_S8:
        return MT_S8;
    case T_U8:
        return MT_U8;
    case T_S32:
        return MT_S32;
    case T_F64:
        return MT_F64;
    default:
        return -1;
    }
}

static void fragment(struct lower *lo, const struct ir_opnd *o, struct mma_frag *f, int type,
                     unsigned rows, unsigned cols, bool dst)
{
    const struct ir_opnd *e = &lo->fn->opnds[o->idx];
    unsigned t;

    if (lo->err)
        return;
    if (type < 0 || (type == MT_F64) != (rows * cols <= 64)) {
        low_fail(lo, E_NOT_SUPPORTED, "elements of this type are not supported");
        return;
    }
    f->type = (uint8_t)type;
    f->rows = (uint8_t)rows;
    f->cols = (uint8_t)cols;
    if (o->kind != O_VEC || !o->n || o->n > 8 ||
        o->n * 32 * (mma_bits(f->type) == 64 ? 64 : 32) / mma_bits(f->type) % (rows * cols)) {
        low_fail(lo, E_INVALID_PTX, "a fragment of %u x %u elements is wanted", rows, cols);
        return;
    }
    f->nreg = o->n;
    t = type == MT_F64 ? T_B64 : T_B32;
    for (unsigned i = 0; i < o->n; i++)
        f->reg[i] = dst ? low_dst(lo, &e[i], t) : low_src(lo, &e[i], t);
}

/* wmma.load and wmma.store */
static int transfer(struct lower *lo, const struct ir_insn *in, struct mma_op *t, bool load)
{
    bool a = take(lo, M_a), b = take(lo, M_b);
    const struct shape *s = take_shape(lo);
    struct low_addr at;
    struct uop *u;

    take(lo, M_c), take(lo, M_d);
    t->by_cols = take(lo, M_col);
    take(lo, M_row);
    if (!s || in->ntype != 1 || in->nopnd < 2 || in->nopnd > 3)
        return low_fail(lo, E_NOT_SUPPORTED, "this form is not supported");
    fragment(lo, opnd(lo, in, !load), load ? &t->d : &t->a, mma_type(in->type[0]), b ? s->k : s->m,
             a ? s->k : s->n, load);
    if (lo->err || low_address(lo, opnd(lo, in, load), &at))
        return -1;
    t->space = take(lo, M_shared) ? AS_SHARED : take(lo, M_global) ? AS_GLOBAL : AS_GENERIC;
    if (t->space == AS_GENERIC && at.space == SP_SHARED)
        t->space = AS_SHARED;
    else if (t->space == AS_GENERIC && (at.space == SP_GLOBAL || at.space == SP_CONST))
        t->space = AS_GLOBAL;
    t->stride = in->nopnd == 3 ? low_src(lo, opnd(lo, in, 2), T_B32) : UINT32_MAX;
    u = lo->err ? NULL : emit(lo, load ? "wmma.load" : "wmma.store");
    if (!u)
        return -1;
    u->a = at.reg == NO_REG ? NO_ADDR_REG : at.reg;
    u->f = at.wide ? AF_WIDE : 0;
    u->e = (uint32_t)at.off;
    u->imm = (int64_t)(intptr_t)t;
    return 0;
}

static int multiply(struct lower *lo, const struct ir_insn *in, struct mma_op *t)
{
    const struct shape *s = take_shape(lo);
    int d, a, b, c;
    struct uop *u;

    take(lo, M_row), take(lo, M_col);
    t->saturate = take(lo, M_satfinite);
    take(lo, M_rn); /* of double precision, and the default */
    if (!s || in->nopnd != 4 || (in->ntype != 2 && in->ntype != 4))
        return low_fail(lo, E_NOT_SUPPORTED, "this form is not supported");
    d = mma_type(in->type[0]);
    c = mma_type(in->type[in->ntype - 1]);
    a = in->ntype == 4 ? mma_type(in->type[1]) : MT_F16;
    b = in->ntype == 4 ? mma_type(in->type[2]) : MT_F16;
    if ((d == MT_F64 || c == MT_F64 || a == MT_F64) && (d != c || a != d || a != b))
        return low_fail(lo, E_INVALID_PTX, "these types do not go together");
    if ((d == MT_S32) != (c == MT_S32) || (a == MT_S8 || a == MT_U8) != (d == MT_S32) || a != b)
        return low_fail(lo, E_INVALID_PTX, "these types do not go together");
    fragment(lo, opnd(lo, in, 0), &t->d, d, s->m, s->n, true);
    fragment(lo, opnd(lo, in, 1), &t->a, a, s->m, s->k, false);
    fragment(lo, opnd(lo, in, 2), &t->b, b, s->k, s->n, false);
    fragment(lo, opnd(lo, in, 3), &t->c, c, s->m, s->n, false);
    u = lo->err ? NULL : emit(lo, "wmma.mma");
    if (!u)
        return -1;
    u->a = NO_ADDR_REG;
    u->csrmask = CSR_ALL;
    u->imm = (int64_t)(intptr_t)t;
    return 0;
}

int low_wmma(struct lower *lo, const struct ir_insn *in)
{
    struct mma_op *t = pool_alloc(&lo->prog->pool, sizeof(*t));
    bool load = take(lo, M_load), store = take(lo, M_store), mma = take(lo, M_mma);
    uint32_t skip;
    struct uop *u;
    int rc;

    if (!t)
        return low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
    take(lo, M_sync), take(lo, M_aligned);
    skip = low_skip_begin(lo);
    u = emit_kind(lo, K_WSYNC);
    if (!u)
        return -1;
    u->a = low_const32(lo, FULL);
    if (load || store)
        rc = transfer(lo, in, t, load);
    else if (mma)
        rc = multiply(lo, in, t);
    else
        rc = low_fail(lo, E_INVALID_PTX, "neither load nor store nor mma");
    low_skip_end(lo, skip);
    return rc;
}
