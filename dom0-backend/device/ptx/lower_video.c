/* SPDX-License-Identifier: MIT */
/* lower_video.c - video instructions to micro-ops. */
#include "lower.h"
#include "video_op.h"

static bool is_signed(unsigned t)
{
    return t == T_S32;
}

/* "vadd", "vadd2", "vadd4" and so on: operation and lanes. */
static void name_of(struct lower *lo, const struct ir_insn *in, struct video_op *v)
{
    static const char *const names[] = {"add",  "sub", "absdiff", "min", "max",
                                        "avrg", "shl", "shr",     "mad", "set"};
    const char *s = ptx_opcodes[in->op].name + 1;
    size_t n = strlen(s);

    v->lanes = s[n - 1] == '2' ? 2 : s[n - 1] == '4' ? 4 : 1;
    n -= v->lanes > 1;
    while (v->kind < VI_SET && (strlen(names[v->kind]) != n || memcmp(names[v->kind], s, n)))
        v->kind++;
    (void)lo;
}

static int modifiers(struct lower *lo, struct video_op *v)
{
    static const uint8_t cmps[] = {M_eq, M_ne, M_lt, M_le, M_gt, M_ge};

    v->sat = take(lo, M_sat);
    v->wrap = take(lo, M_wrap);
    take(lo, M_clamp);
    v->second = take(lo, M_add)   ? VS_ADD
                : take(lo, M_min) ? VS_MIN
                : take(lo, M_max) ? VS_MAX
                                  : VS_NONE;
    if (v->kind != VI_SET)
        return 0;
    while (v->cmp < 6 && !take(lo, cmps[v->cmp]))
        v->cmp++;
    return v->cmp < 6 ? 0 : low_fail(lo, E_INVALID_PTX, "no comparison");
}

int low_video(struct lower *lo, const struct ir_insn *in)
{
    struct video_op *v = pool_alloc(&lo->prog->pool, sizeof(*v));
    unsigned want, t0;
    uint32_t a, b, c = 0, d;
    struct uop *u;

    if (!v)
        return low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
    name_of(lo, in, v);
    if (modifiers(lo, v))
        return -1;
    want = v->kind == VI_SET ? 2 : 3; /* types: of the result, then of the sources */
    t0 = want - 2;
    if (in->ntype != want)
        return low_fail(lo, E_INVALID_PTX, "%u types where %u are wanted", in->ntype, want);
    for (unsigned i = 0; i < want; i++)
        if (in->type[i] != T_U32 && in->type[i] != T_S32)
            return low_fail(lo, E_INVALID_PTX, "type .%s is not allowed",
                            ptx_type_name[in->type[i]]);
    v->sd = is_signed(in->type[0]) && v->kind != VI_SET;
    v->sa = is_signed(in->type[t0]);
    v->sb = is_signed(in->type[t0 + 1]);
    v->dsel = opnd(lo, in, 0)->kind == O_REG ? opnd(lo, in, 0)->n : 0;
    v->asel = opnd(lo, in, 1)->kind == O_REG ? opnd(lo, in, 1)->n : 0;
    v->bsel = opnd(lo, in, 2)->kind == O_REG ? opnd(lo, in, 2)->n : 0;
    if (v->lanes > 1 && (v->dsel || v->asel || v->bsel))
        return low_fail(lo, E_INVALID_PTX, "a selector of a scalar form");
    if ((v->dsel && v->second) || (in->nopnd == 3 && (v->dsel || v->second || v->kind == VI_MAD)))
        return low_fail(lo, E_INVALID_PTX, "the third source is missing, or has no meaning");
    a = low_src(lo, opnd(lo, in, 1), T_B32);
    b = low_src(lo, opnd(lo, in, 2), T_B32);
    if (in->nopnd == 4)
        c = low_src(lo, opnd(lo, in, 3), T_B32);
    d = low_dst(lo, opnd(lo, in, 0), T_B32);
    u = lo->err ? NULL : emit(lo, "video");
    if (!u)
        return -1;
    u->a = a;
    u->b = b;
    u->c = in->nopnd == 4 ? c : a;
    u->d = d;
    u->imm = (int64_t)(intptr_t)v;
    return 0;
}
