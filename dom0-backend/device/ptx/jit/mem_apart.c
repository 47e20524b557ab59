/* SPDX-License-Identifier: MIT */
/*
 * mem_apart.c - loads of lanes a few elements apart, as fields of structures: all between them is read,
 * too. Fields of one aligned word are read together, if nothing between their loads stands against it.
 */
#include "mem.h"

static bool few_apart(const struct access *x, int64_t stride)
{
    return x->j->op == OP_LD && x->j->nelem == 1 && x->esz <= 4 && stride > (int64_t)x->esz &&
           stride <= 4 * (int64_t)x->esz && stride % x->esz == 0 && x->j->space != AS_LOCAL;
}

/*
 * Elements are aligned, so that each lies in an aligned word of `stride` octets: those are read side
 * by side, and no page that no lane reads.
 */
static void load_words(struct access *x, int64_t stride)
{
    struct gen *g = x->g;
    LLVMTypeRef wt = LLVMIntTypeInContext(g->ctx, (unsigned)stride * 8);
    LLVMValueRef a = addr_one(x), p, in, v;

    require(x, x->all_good);
    note_site(x, a, stride, NULL, true);
    p = host(x, a, false);
    in = LLVMBuildAnd(g->b, p, ci64(g, (uint64_t)stride - 1), "");
    v = load_at(g, LLVMBuildSub(g->b, p, in, ""), vec(g, wt), x->total);
    in = LLVMBuildTrunc(g->b, LLVMBuildShl(g->b, in, ci64(g, 3), ""), g->i32, "");
    v = LLVMBuildLShr(g->b, v, splat(g, LLVMBuildIntCast2(g->b, in, wt, 0, "")), "");
    v = LLVMBuildTrunc(g->b, v, vec(g, x->et), "");
    put(g, x->j, mem_data(x->j, 0), from_mem(x, v, true), true);
    LLVMBuildBr(g->b, x->done);
}

static void load_apart(struct access *x, int64_t stride)
{
    struct gen *g = x->g;
    const unsigned step = (unsigned)(stride / x->esz);
    LLVMValueRef a = addr_one(x),
                 last = LLVMBuildAdd(g->b, a, ci64(g, (uint64_t)stride * (g->w - 1)), ""),
                 end = LLVMBuildAdd(g->b, a, ci64(g, (uint64_t)stride * g->w - 1), ""), v,
                 idx[WARP];

    require(x, x->all_good);
    if (in_window(x)) { /* not into a page that no lane reads; */
        LLVMValueRef page = LLVMBuildLShr(g->b, LLVMBuildXor(g->b, last, end, ""), ci64(g, 12), "");

        require(x, LLVMBuildICmp(g->b, LLVMIntEQ, page, ci64(g, 0), ""));
    } else {
        require(x,
                is_good(x, LLVMBuildAnd(g->b, end, ci64(g, ~(uint64_t)(x->total - 1)), ""), NULL));
    }
    note_site(x, a, stride, NULL, true);
    v = load_at(g, host(x, a, false), LLVMVectorType(x->et, g->w * step), x->total);
    for (uint32_t l = 0; l < g->w; l++)
        idx[l] = ci32(g, l * step);
    v = LLVMBuildShuffleVector(g->b, v, LLVMGetUndef(LLVMTypeOf(v)), LLVMConstVector(idx, g->w),
                               "");
    put(g, x->j, mem_data(x->j, 0), from_mem(x, v, true), true);
    LLVMBuildBr(g->b, x->done);
}

bool load_few_apart(struct access *x, int64_t stride)
{
    if (!few_apart(x, stride))
        return false;
    if (stride == 2 || stride == 4 || stride == 8)
        load_words(x, stride);
    else
        load_apart(x, stride);
    return true;
}

/* ---- fields of one word -------------------------------------------------------------------------- */

#define MAX_FIELDS 8

struct fields {
    uint32_t at[MAX_FIELDS]; /* micro-ops */
    unsigned n;
    int64_t lo, hi; /* offsets */
};

static bool is_field(const struct access *x, const struct jop *k, int64_t stride)
{
    const struct jop *j = x->j;
    int64_t off;

    return k->op == OP_LD && k->nelem == 1 && k->guard.kind == OPD_NONE && !k->done &&
           k->space == j->space && k->a.kind == OPD_REG && k->a.idx == j->a.idx &&
           elem_bytes(k) == x->esz && !__builtin_sub_overflow(k->imm, j->imm, &off) &&
           off > -stride && off < stride;
}

/* Nothing since the first load that stays where it is wants the register before, or writes it. */
static bool may_go_up(const struct access *x, const struct fields *f, uint32_t i)
{
    const struct unit *t = x->g->t;
    const uint32_t reg = t->ops[i].d.idx;
    unsigned next = 0;

    if (reg == x->j->a.idx)
        return false;
    for (uint32_t k = x->i; k < i; k++) {
        if (next < f->n && f->at[next] == k)
            next++;
        else if (touches_reg(&t->ops[k], reg))
            return false;
    }
    return true;
}

/* The loads from here on that want fields of the same words, this one first. */
static void find_fields(const struct access *x, int64_t stride, struct fields *f)
{
    const struct unit *t = x->g->t;

    *f = (struct fields){.at = {x->i}, .n = 1, .lo = x->j->imm, .hi = x->j->imm};
    for (uint32_t i = x->i + 1; i < t->blocks[x->g->cur_block].end && f->n < MAX_FIELDS; i++) {
        const struct jop *k = &t->ops[i];
        int64_t lo = k->imm < f->lo ? k->imm : f->lo, hi = k->imm > f->hi ? k->imm : f->hi;

        if (t->virt[i].kind != K_FN || !k->native)
            return;
        if (k->op == OP_ST || k->op == OP_ATOM || writes_reg(k, x->j->a.idx))
            return;
        if (k->op != OP_LD)
            continue;
        if (!is_field(x, k, stride) || hi - lo + (int64_t)x->esz > stride || !may_go_up(x, f, i))
            return;
        f->at[f->n++] = i;
        f->lo = lo;
        f->hi = hi;
    }
}

/* One after the other, where the words are not aligned or not all of them are there. */
static void load_singly(struct gen *g, const struct fields *f)
{
    struct checked groups[sizeof(g->groups) / sizeof(g->groups[0])];
    const uint32_t ngroups = g->ngroups, cur = g->cur;

    memcpy(groups, g->groups, sizeof(groups));
    for (unsigned k = 0; k < f->n; k++) {
        g->cur = f->at[k];
        gen_mem(g, &g->t->ops[f->at[k]], f->at[k]);
    }
    g->cur = cur;
    g->ngroups = ngroups; /* what was checked there is not known elsewhere */
    memcpy(g->groups, groups, sizeof(groups));
}

bool load_fields(struct access *x, int64_t stride)
{
    struct gen *g = x->g;
    LLVMTypeRef wt = LLVMIntTypeInContext(g->ctx, (unsigned)stride * 8);
    LLVMBasicBlockRef together, singly, end;
    struct fields f;
    LLVMValueRef a, first, low, v;

    if (x->j->guard.kind != OPD_NONE || x->j->done || !few_apart(x, stride))
        return false;
    find_fields(x, stride, &f);
    for (unsigned k = 0; k < f.n; k++)
        if (f.n == 1 || !is_checked(x, g->t->ops[f.at[k]].imm))
            return false;
    for (unsigned k = 0; k < f.n; k++)
        g->t->ops[f.at[k]].done = true;
    together = new_bb(g, "together");
    singly = new_bb(g, "singly");
    end = new_bb(g, "fields");
    a = addr_one(x);
    first = plus(g, a, (uint64_t)(f.lo - x->j->imm));
    low = LLVMBuildAnd(g->b, first, ci64(g, (uint64_t)stride - 1), "");
    low = LLVMBuildICmp(g->b, LLVMIntEQ, low, ci64(g, 0), "");
    branch_rarely(g, LLVMBuildAnd(g->b, x->all_good, low, ""), together, singly);
    at(g, singly);
    load_singly(g, &f);
    LLVMBuildBr(g->b, end);
    at(g, together);
    note_site(x, a, stride, NULL, true);
    v = load_at(g, host(x, first, false), vec(g, wt), (unsigned)stride);
    for (unsigned k = 0; k < f.n; k++) {
        struct access y = *x;
        uint64_t bit;
        LLVMValueRef e;

        y.j = &g->t->ops[f.at[k]];
        bit = (uint64_t)(y.j->imm - f.lo) * 8;
        e = LLVMBuildLShr(g->b, v, splat(g, LLVMConstInt(wt, bit, 0)), "");
        e = LLVMBuildTrunc(g->b, e, vec(g, x->et), "");
        put(g, y.j, mem_data(y.j, 0), from_mem(&y, e, true), true);
    }
    LLVMBuildBr(g->b, end);
    at(g, end);
    return true;
}
