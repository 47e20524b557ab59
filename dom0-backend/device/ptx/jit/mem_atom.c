/* SPDX-License-Identifier: MIT */
/*
 * mem_atom.c - atomics of integers that the processor has an instruction for, lane by lane. Shared
 * memory needs no lock: a CTA runs on one thread. The others are left to their handlers.
 */
#include "mem.h"

enum { AT_ADD, AT_AND, AT_OR, AT_XOR, AT_EXCH, AT_MIN, AT_MAX, AT_COUNT };

static int atom_kind(const char *name)
{
    static const char *const names[AT_COUNT] = {"add.",  "and.", "or.", "xor.",
                                                "exch.", "min.", "max."};

    for (int k = 0; k < AT_COUNT; k++)
        if (!strncmp(name, names[k], strlen(names[k])))
            return k;
    return -1;
}

bool atom_native(const struct unit *t, const struct jop *j, const struct uop *u)
{
    return t->lanes > 1 && j->ty >= TY_U32 && j->ty <= TY_S64 && atom_kind(u->name + 5) >= 0;
}

static LLVMValueRef combine(struct gen *g, int kind, bool sign, LLVMValueRef x, LLVMValueRef y)
{
    LLVMIntPredicate less = sign ? LLVMIntSLT : LLVMIntULT;

    switch (kind) {
    case AT_ADD:
        return LLVMBuildAdd(g->b, x, y, "");
    case AT_AND:
        return LLVMBuildAnd(g->b, x, y, "");
    case AT_OR:
        return LLVMBuildOr(g->b, x, y, "");
    case AT_XOR:
        return LLVMBuildXor(g->b, x, y, "");
    case AT_EXCH:
        return y;
    default:
        if (kind == AT_MAX) {
            LLVMValueRef z = x;

            x = y;
            y = z;
            return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, less, y, x, ""), x, y, "");
        }
        return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, less, x, y, ""), x, y, "");
    }
}

static LLVMValueRef one_lane(struct access *x, int kind, bool sign, LLVMValueRef p, LLVMValueRef v)
{
    static const LLVMAtomicRMWBinOp ops[] = {LLVMAtomicRMWBinOpAdd,  LLVMAtomicRMWBinOpAnd,
                                             LLVMAtomicRMWBinOpOr,   LLVMAtomicRMWBinOpXor,
                                             LLVMAtomicRMWBinOpXchg, LLVMAtomicRMWBinOpUMin,
                                             LLVMAtomicRMWBinOpUMax};
    struct gen *g = x->g;
    LLVMAtomicRMWBinOp op = ops[kind];

    if (x->j->space == AS_SHARED) {
        LLVMValueRef old = load_at(g, p, x->et, x->esz);

        store_at(g, p, combine(g, kind, sign, old, v), x->esz);
        return old;
    }
    if (sign && kind == AT_MIN)
        op = LLVMAtomicRMWBinOpMin;
    if (sign && kind == AT_MAX)
        op = LLVMAtomicRMWBinOpMax;
    p = LLVMBuildIntToPtr(g->b, p, LLVMPointerType(x->et, 0), "");
    return LLVMBuildAtomicRMW(g->b, op, p, v, LLVMAtomicOrderingSequentiallyConsistent, 0);
}

/* One lane after the other, lowest first. result: where what was in memory goes, or NULL. */
static void each_lane(struct access *x, int kind, const struct places *at, LLVMValueRef values,
                      LLVMValueRef result)
{
    struct gen *g = x->g;
    const bool sign = x->j->ty == TY_S32 || x->j->ty == TY_S64;
    struct lane_loop l;
    LLVMValueRef v;

    lanes_begin(x, &l);
    v = load_at(g, lane_element(g, values, x->et, l.lane), x->et, x->esz);
    v = one_lane(x, kind, sign, place_of(x, at, l.lane), v);
    if (result)
        store_at(g, lane_element(g, result, x->et, l.lane), v, x->esz);
    lanes_end(x, &l);
}

/* One instruction does it; the others are loops, and code for 32 of them is too much. */
static bool is_short(const struct access *x, int kind, bool result)
{
    return x->j->space != AS_SHARED &&
           (kind == AT_ADD || kind == AT_EXCH || (!result && kind <= AT_XOR));
}

/*
 * All lanes are there: nothing is loaded between one and the next, as a locked instruction lets no
 * load overtake it.
 */
static void all_lanes(struct access *x, int kind, const struct places *at, LLVMValueRef v,
                      LLVMValueRef result)
{
    struct gen *g = x->g;
    LLVMValueRef old = LLVMGetUndef(LLVMTypeOf(v));

    for (uint32_t l = 0; l < g->w; l++) {
        LLVMValueRef e = LLVMBuildExtractElement(g->b, v, ci32(g, l), "");

        e = one_lane(x, kind, false, place_at(x, at, l), e);
        if (result)
            old = LLVMBuildInsertElement(g->b, old, e, ci32(g, l), "");
    }
    if (result)
        LLVMBuildStore(g->b, old, result);
}

void gen_atom(struct gen *g, const struct jop *j, uint32_t i)
{
    struct access x = {.g = g, .j = j, .i = i};
    const int kind = atom_kind(g->t->virt[i].name + 5);
    const bool result = j->d.kind == OPD_REG;
    LLVMValueRef v, values, results = NULL;
    LLVMBasicBlockRef end;
    LLVMTypeRef vt;
    struct places p;

    x.esz = x.total = j->ty >= TY_U64 ? 8 : 4;
    access_begin(&x);
    vt = vec(g, x.et);
    find_places(&x, &p);
    v = get_vec(g, &j->b);
    if (j->b.kind == OPD_REG && g->t->regs[j->b.idx].loose)
        v = canon(g, v);
    values = lane_array(g, vt);
    if (result)
        results = lane_array(g, vt);
    end = new_bb(g, "end");
    if (is_short(&x, kind, result)) {
        LLVMBasicBlockRef all = new_bb(g, "all"), some = new_bb(g, "some");

        LLVMBuildCondBr(g->b, all_there(&x), all, some);
        at(g, all);
        all_lanes(&x, kind, &p, v, results);
        LLVMBuildBr(g->b, end);
        at(g, some);
    }
    LLVMBuildStore(g->b, v, values);
    each_lane(&x, kind, &p, values, results);
    LLVMBuildBr(g->b, end);
    at(g, end);
    if (result)
        put(g, j, &j->d, LLVMBuildLoad2(g->b, vt, results, ""), true);
    LLVMBuildBr(g->b, x.done);
    at(g, x.slow);
    gen_handler(g, j, i);
    LLVMBuildBr(g->b, x.done);
    at(g, x.done);
}
