/* SPDX-License-Identifier: MIT */
/* lower_matrix.c - mma.sync, ldmatrix, stmatrix and movmatrix to micro-ops. */
#include "addr.h"
#include "lower.h"
#include "matrix_op.h"

static const struct shape {
    uint8_t mod, m, n;
    uint16_t k;
} shapes[] = {{M_m8n8k4, 8, 8, 4},       {M_m8n8k16, 8, 8, 16},    {M_m8n8k32, 8, 8, 32},
              {M_m8n8k128, 8, 8, 128},   {M_m16n8k4, 16, 8, 4},    {M_m16n8k8, 16, 8, 8},
              {M_m16n8k16, 16, 8, 16},   {M_m16n8k32, 16, 8, 32},  {M_m16n8k64, 16, 8, 64},
              {M_m16n8k128, 16, 8, 128}, {M_m16n8k256, 16, 8, 256}};

static int element_type(unsigned t)
{
    switch (t) {
    case T_F16:
        return MX_F16;
    case T_BF16:
        return MX_BF16;
    case T_TF32:
        return MX_TF32;
    case T_F32:
        return MX_F32;
    case T_F64:
        return MX_F64;
    case T_E4M3:
        return MX_E4M3;
    case T_E5M2:
        return MX_E5M2;
    case T_S8:
        return MX_S8;
    case T_U8:
        return MX_U8;
    case T_S4:
        return MX_S4;
    case T_U4:
        return MX_U4;
    case T_B1:
        return MX_B1;
    case T_S32:
        return MX_S32;
    default:
        return -1;
    }
}

/* Shapes by the kind of the multiplicands: exactly those of the PTX manual for dense matrices. */
static bool shape_ok(const struct matrix_op *t)
{
    unsigned a = t->a.type, k = t->k;

    if (a == MX_F64)
        return t->d.type == MX_F64 && (k == 4 || (t->m == 16 && (k == 8 || k == 16)));
    if (a == MX_F16 || a == MX_BF16)
        return t->m == 16 && (k == 8 || k == 16) &&
               (t->d.type == MX_F32 || (a == MX_F16 && t->d.type == MX_F16));
    if (a == MX_TF32)
        return t->m == 16 && (k == 4 || k == 8) && t->d.type == MX_F32;
    if (a == MX_E4M3 || a == MX_E5M2)
        return t->m == 16 && k == 32 && t->d.type == MX_F32;
    if (t->d.type != MX_S32)
        return false;
    if (a == MX_S8 || a == MX_U8)
        return k == 16 || (t->m == 16 && k == 32);
    if (a == MX_S4 || a == MX_U4)
        return k == 32 || (t->m == 16 && k == 64);
    return a == MX_B1 && (k == 128 || (t->m == 16 && k == 256));
}

static bool types_go(unsigned a, unsigned b, unsigned c, unsigned d)
{
    bool bytes = (a == MX_S8 || a == MX_U8) && (b == MX_S8 || b == MX_U8);
    bool nibbles = (a == MX_S4 || a == MX_U4) && (b == MX_S4 || b == MX_U4);
    bool eights = (a == MX_E4M3 || a == MX_E5M2) && (b == MX_E4M3 || b == MX_E5M2);

    return c == d && (a == b || bytes || nibbles || eights);
}

/* A fragment of rows x cols elements; a single register may stand without braces. */
static void fragment(struct lower *lo, const struct ir_opnd *o, struct matrix_frag *f,
                     unsigned elems, bool dst)
{
    const struct ir_opnd *e = o->kind == O_VEC ? &lo->fn->opnds[o->idx] : o;
    unsigned have = o->kind == O_VEC ? o->n : 1, bits = matrix_bits(f->type);
    unsigned want = elems * bits / 32 / (bits == 64 ? 64 : 32);

    if (lo->err)
        return;
    if (have != want || have > MATRIX_REGS) {
        low_fail(lo, E_INVALID_PTX, "a fragment of %u registers is wanted", want);
        return;
    }
    f->nreg = (uint8_t)have;
    for (unsigned i = 0; i < have; i++) {
        unsigned t = bits == 64 ? T_B64 : T_B32;

        f->reg[i] = dst ? low_dst(lo, &e[i], t) : low_src(lo, &e[i], t);
    }
}

static struct uop *start(struct lower *lo, const char *name, uint32_t *skip)
{
    struct uop *u;

    take(lo, M_sync);
    take(lo, M_aligned);
    *skip = low_skip_begin(lo);
    u = emit_kind(lo, K_WSYNC);
    if (!u)
        return NULL;
    u->a = low_const32(lo, FULL);
    return lo->err ? NULL : emit(lo, "%s", name);
}

int low_mma(struct lower *lo, const struct ir_insn *in)
{
    struct matrix_op *t = pool_alloc(&lo->prog->pool, sizeof(*t));
    const struct shape *s = NULL;
    uint32_t skip;
    struct uop *u;

    if (!t)
        return low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]) && !s; i++)
        if (take(lo, shapes[i].mod))
            s = &shapes[i];
    if (!s || !take(lo, M_row) || !take(lo, M_col) || in->nopnd != 4 || in->ntype != 4)
        return low_fail(lo, E_NOT_SUPPORTED, "this shape or form is not supported");
    t->saturate = take(lo, M_satfinite);
    t->xor_popc = take(lo, M_xor);
    t->and_popc = take(lo, M_and);
    take(lo, M_popc);
    t->m = s->m;
    t->k = s->k;
    for (unsigned i = 0; i < 4; i++) {
        int e = element_type(in->type[i]);

        if (e < 0)
            return low_fail(lo, E_NOT_SUPPORTED, "elements of type .%s are not supported",
                            ptx_type_name[in->type[i]]);
        (&t->d)[i].type = (uint8_t)e;
    }
    if (!types_go(t->a.type, t->b.type, t->c.type, t->d.type) || !shape_ok(t) ||
        (t->a.type == MX_B1 && !t->xor_popc && !t->and_popc))
        return low_fail(lo, E_NOT_SUPPORTED, "these types are not supported for this shape");
    fragment(lo, opnd(lo, in, 0), &t->d, t->m * 8u, true);
    fragment(lo, opnd(lo, in, 1), &t->a, t->m * t->k, false);
    fragment(lo, opnd(lo, in, 2), &t->b, t->k * 8u, false);
    fragment(lo, opnd(lo, in, 3), &t->c, t->m * 8u, false);
    u = lo->err ? NULL : start(lo, "mma", &skip);
    if (!u)
        return -1;
    u->a = NO_ADDR_REG;
    u->csrmask = CSR_ALL;
    u->imm = (int64_t)(intptr_t)t;
    low_skip_end(lo, skip);
    return 0;
}

/* ldmatrix and stmatrix: rows of 16 octets of shared memory, whose addresses 8 lanes each hold. */
static int rows(struct lower *lo, const struct ir_insn *in, bool load)
{
    unsigned n = take(lo, M_x1) ? 1 : take(lo, M_x2) ? 2 : take(lo, M_x4) ? 4 : 0;
    struct matrix_op *t = pool_alloc(&lo->prog->pool, sizeof(*t));
    struct low_addr at;
    uint32_t skip;
    struct uop *u;

    if (!t)
        return low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
    if (!n || !take(lo, M_m8n8) || in->ntype != 1 || in->type[0] != T_B16 || in->nopnd != 2)
        return low_fail(lo, E_NOT_SUPPORTED, "this form is not supported");
    t->trans = take(lo, M_trans);
    t->generic = !take(lo, M_shared);
    t->d.type = MX_F16;
    fragment(lo, opnd(lo, in, load ? 0 : 1), &t->d, n * 64, load);
    if (lo->err || low_address(lo, opnd(lo, in, load ? 1 : 0), &at))
        return -1;
    u = start(lo, load ? "ldmatrix" : "stmatrix", &skip);
    if (!u)
        return -1;
    u->a = at.reg == NO_REG ? NO_ADDR_REG : at.reg;
    u->f = at.wide ? AF_WIDE : 0;
    u->e = (uint32_t)at.off;
    u->imm = (int64_t)(intptr_t)t;
    low_skip_end(lo, skip);
    return 0;
}

int low_ldmatrix(struct lower *lo, const struct ir_insn *in)
{
    return rows(lo, in, true);
}

int low_stmatrix(struct lower *lo, const struct ir_insn *in)
{
    return rows(lo, in, false);
}

int low_movmatrix(struct lower *lo, const struct ir_insn *in)
{
    uint32_t a, d, skip;
    struct uop *u;

    if (!take(lo, M_m8n8) || !take(lo, M_trans) || in->ntype != 1 || in->type[0] != T_B16)
        return low_fail(lo, E_NOT_SUPPORTED, "this form is not supported");
    d = low_dst(lo, opnd(lo, in, 0), T_B32);
    a = low_src(lo, opnd(lo, in, 1), T_B32);
    u = lo->err ? NULL : start(lo, "movmatrix", &skip);
    if (!u)
        return -1;
    u->a = a;
    u->d = d;
    low_skip_end(lo, skip);
    return 0;
}
