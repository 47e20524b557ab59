/* SPDX-License-Identifier: MIT */
/* lower_tex.c - texture and surface instructions to micro-ops. */
#include "lower.h"
#include "tex_op.h"

static const struct shape {
    uint8_t mod, ndim, nsurf; /* coordinates of textures and of surfaces, the layer not counted */
    bool layered, cube;
} shapes[] = {
    {M_1d, 1, 1, false, false},  {M_2d, 2, 2, false, false}, {M_3d, 3, 3, false, false},
    {M_a1d, 1, 1, true, false},  {M_a2d, 2, 2, true, false}, {M_cube, 3, 0, false, true},
    {M_acube, 3, 0, true, true},
};

static const struct shape *take_shape(struct lower *lo)
{
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (take(lo, shapes[i].mod))
            return &shapes[i];
    low_fail(lo, E_NOT_SUPPORTED, "this geometry is not supported");
    return NULL;
}

static struct tex_op *new_op(struct lower *lo)
{
    struct tex_op *t = pool_alloc(&lo->prog->pool, sizeof(*t));

    if (!t) {
        low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    memset(t->d, 0xff, sizeof(t->d));
    t->pred = t->layer = t->lod = t->dx[0] = NO_CODE;
    return t;
}

static int emit_op(struct lower *lo, const char *name, const struct tex_op *t)
{
    struct uop *u = lo->err ? NULL : emit(lo, "%s", name);

    if (!u)
        return -1;
    u->a = UINT32_MAX; /* no address register */
    u->imm = (int64_t)(intptr_t)t;
    u->csrmask = CSR_ALL; /* the sampler calculates in the default mode */
    return 0;
}

static void take_handle(struct lower *lo, struct tex_op *t, const struct ir_opnd *o)
{
    if (o->kind == O_VAR)
        low_fail(lo, E_NOT_SUPPORTED, "texture references are not supported");
    else
        t->handle = low_src(lo, o, T_U64);
}

/* The object and the coordinates of an O_TEX. */
static void take_where(struct lower *lo, struct tex_op *t, const struct ir_opnd *o,
                       const struct shape *s, unsigned ndim, unsigned ctype)
{
    const struct ir_opnd *e;
    unsigned at = 1;

    if (o->kind != O_TEX) {
        low_fail(lo, E_INVALID_PTX, "the operand is not [object, coordinates]");
        return;
    }
    e = &lo->fn->opnds[o->idx];
    if (o->n < 1 + ndim + s->layered) {
        low_fail(lo, E_INVALID_PTX, "%u coordinates where %u are wanted", o->n - 1u,
                 ndim + s->layered);
        return;
    }
    take_handle(lo, t, e);
    if (s->layered)
        t->layer = low_src(lo, &e[at++], T_B32);
    for (unsigned i = 0; i < ndim; i++)
        t->c[i] = low_src(lo, &e[at + i], ctype);
    t->ndim = (uint8_t)ndim;
}

static void take_vector(struct lower *lo, const struct ir_opnd *o, unsigned n, uint32_t *code)
{
    if (o->kind != O_VEC || o->n < n) {
        low_fail(lo, E_INVALID_PTX, "a vector of %u elements is wanted", n);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        code[i] = low_src(lo, &lo->fn->opnds[o->idx + i], T_F32);
}

/* tex and tld4 */
int low_tex(struct lower *lo, const struct ir_insn *in)
{
    static const uint8_t comps[4] = {M_r, M_g, M_b, M_a};
    bool gather = ptx_opcodes[in->op].name[1] == 'l';
    const struct ir_opnd *d = opnd(lo, in, 0), *e;
    struct tex_op *t = new_op(lo);
    bool level = take(lo, M_level), grad = take(lo, M_grad);
    unsigned next = 2, want, i = 0;
    const struct shape *s;

    take(lo, M_base);
    take(lo, M_v4);
    s = t ? take_shape(lo) : NULL;
    if (!s)
        return -1;
    if (gather) {
        while (i < 4 && !take(lo, comps[i]))
            i++;
        if (i == 4 || s->mod == M_1d || s->mod == M_a1d || s->mod == M_3d)
            return low_fail(lo, E_INVALID_PTX, "no component, or not a 2D geometry");
        t->comp = (uint8_t)i;
    }
    if (in->ntype != 2 || (in->type[0] != T_F32 && in->type[0] != T_U32 && in->type[0] != T_S32))
        return low_fail(lo, E_NOT_SUPPORTED, "results of this type are not supported");
    if (in->type[1] != T_F32 && in->type[1] != T_S32)
        return low_fail(lo, E_INVALID_PTX, "coordinates are .f32 or .s32");
    t->integer = in->type[1] == T_S32;
    t->cube = s->cube;
    if (t->integer && t->cube)
        return low_fail(lo, E_INVALID_PTX, "a direction is .f32");
    if (d->kind != O_VEC || d->n != 4 + !!(d->flags & OF_EXTRA))
        return low_fail(lo, E_NOT_SUPPORTED, "the result is not a vector of 4 registers");
    e = &lo->fn->opnds[d->idx];
    for (i = 0; i < 4; i++)
        t->d[i] = low_dst(lo, &e[i], T_B32);
    if (d->flags & OF_EXTRA)
        t->pred = low_dst(lo, &e[4], T_PRED);
    take_where(lo, t, opnd(lo, in, 1), s, s->ndim, t->integer ? T_S32 : T_F32);
    want = 2 + level + 2 * grad;
    if (in->nopnd < want)
        return low_fail(lo, E_INVALID_PTX, "operands are missing");
    if (in->nopnd > want)
        return low_fail(lo, E_NOT_SUPPORTED, "offsets and depth comparison are not supported");
    if (level)
        t->lod = low_src(lo, opnd(lo, in, next), t->integer ? T_S32 : T_F32);
    if (grad) {
        take_vector(lo, opnd(lo, in, 2), s->ndim, t->dx);
        take_vector(lo, opnd(lo, in, 3), s->ndim, t->dy);
    }
    return emit_op(lo, gather ? "tld4" : "tex", t);
}

/* txq and suq */
int low_txq(struct lower *lo, const struct ir_insn *in)
{
    static const uint8_t mods[] = {[TQ_WIDTH] = M_width,
                                   [TQ_HEIGHT] = M_height,
                                   [TQ_DEPTH] = M_depth,
                                   [TQ_LAYERS] = M_array_size,
                                   [TQ_LEVELS] = M_num_mipmap_levels,
                                   [TQ_SAMPLES] = M_num_samples,
                                   [TQ_NORMALIZED] = M_normalized_coords};
    const struct ir_opnd *o = opnd(lo, in, 1);
    struct tex_op *t = new_op(lo);
    bool level = take(lo, M_level);
    struct ir_opnd base = *o;
    unsigned i = 0;

    if (!t)
        return -1;
    while (i < sizeof(mods) && !take(lo, mods[i]))
        i++;
    if (i == sizeof(mods))
        return low_fail(lo, E_NOT_SUPPORTED, "this query is not supported");
    if (o->kind != O_ADDR || o->val || in->ntype != 1 || ptx_type_bits[in->type[0]] != 32 ||
        in->nopnd != 2u + level)
        return low_fail(lo, E_INVALID_PTX, "this form is not supported");
    base.kind = o->sub;
    t->query = (uint8_t)i;
    t->d[0] = low_dst(lo, opnd(lo, in, 0), T_B32);
    take_handle(lo, t, &base);
    if (level)
        t->lod = low_src(lo, opnd(lo, in, 2), T_B32);
    return emit_op(lo, "txq", t);
}

/* suld, sust and sured */
int low_surf(struct lower *lo, const struct ir_insn *in)
{
    static const struct {
        uint8_t mod, op;
    } reds[] = {{M_add, SO_ADD}, {M_min, SO_MIN}, {M_max, SO_MAX}, {M_and, SO_AND}, {M_or, SO_OR}};
    const char *name = ptx_opcodes[in->op].name;
    bool load = name[2] == 'l', red = name[2] == 'r';
    const struct ir_opnd *where = opnd(lo, in, load), *data = opnd(lo, in, !load), *e = data;
    struct tex_op *t = new_op(lo);
    const struct shape *s;
    unsigned type;

    s = t ? take_shape(lo) : NULL;
    if (!s)
        return -1;
    if (!s->nsurf)
        return low_fail(lo, E_INVALID_PTX, "this geometry is not one of surfaces");
    if (!take(lo, M_b))
        return low_fail(lo, E_NOT_SUPPORTED, "formatted access to surfaces is not supported");
    t->nvec = take(lo, M_v4) ? 4 : take(lo, M_v2) ? 2 : 1;
    t->bound = take(lo, M_clamp) ? SB_CLAMP : take(lo, M_zero) ? SB_ZERO : SB_TRAP;
    take(lo, M_trap);
    take(lo, M_ca), take(lo, M_cg), take(lo, M_cs), take(lo, M_cv), take(lo, M_wb), take(lo, M_wt);
    if (in->ntype != 1 || in->nopnd != 2)
        return low_fail(lo, E_NOT_SUPPORTED, "this form is not supported");
    type = in->type[0];
    t->bytes = ptx_type_bits[type] / 8;
    t->is_signed = type == T_S32 || type == T_S64;
    t->op = load ? SO_LOAD : SO_STORE;
    if (red) {
        unsigned i = 0;

        while (i < sizeof(reds) / sizeof(reds[0]) && !take(lo, reds[i].mod))
            i++;
        if (i == sizeof(reds) / sizeof(reds[0]) || t->nvec > 1 || t->bytes < 4)
            return low_fail(lo, E_NOT_SUPPORTED, "this reduction is not supported");
        t->op = reds[i].op;
    }
    if (!t->bytes || t->bytes > 8 || t->bytes * t->nvec > 16)
        return low_fail(lo, E_NOT_SUPPORTED, "elements of this type are not supported");
    if (data->kind == O_VEC) {
        if (data->n != t->nvec)
            return low_fail(lo, E_INVALID_PTX, "a vector of %u registers is wanted", t->nvec);
        e = &lo->fn->opnds[data->idx];
    } else if (t->nvec > 1) {
        return low_fail(lo, E_INVALID_PTX, "a vector of %u registers is wanted", t->nvec);
    }
    type = t->bytes == 8 ? T_B64 : T_B32;
    for (unsigned i = 0; i < t->nvec; i++)
        t->d[i] = load ? low_dst(lo, &e[i], type) : low_src(lo, &e[i], type);
    take_where(lo, t, where, s, s->nsurf, T_B32);
    return emit_op(lo, "surf", t);
}
