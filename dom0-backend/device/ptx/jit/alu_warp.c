/* SPDX-License-Identifier: MIT */
/* alu_warp.c - code for votes and shuffles: the lanes of a warp seen together. */
#include "alu.h"

int alu_vote(struct gen *g, const struct jop *j, uint32_t i)
{
    LLVMBuilderRef b = g->b;
    LLVMValueRef m = op_mask(g, j), mem = LLVMBuildAnd(b, m, ci32(g, (uint32_t)j->b.val), ""), p, r;

    if (is_uni(g->t, &j->a))
        p = LLVMBuildSelect(b, get_one(g, &j->a), mem, ci32(g, 0), "");
    else
        p = LLVMBuildAnd(b, mask_bits(g, get_pred(g, &j->a)), mem, "");
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
int alu_shfl(struct gen *g, const struct jop *j, uint32_t i)
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
