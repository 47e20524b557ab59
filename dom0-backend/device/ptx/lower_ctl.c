/* SPDX-License-Identifier: MIT */
/* lower_ctl.c - control flow, calls, barriers and warp operations to micro-ops. */
#include "lower.h"

/* ---- warp operations ---------------------------------------------------------------------------------- */

/* Before an operation with .sync: wait for the members. */
static int wsync(struct lower *lo, uint32_t mask)
{
    struct uop *u = emit_kind(lo, K_WSYNC);
    if (!u)
        return -1;
    u->a = mask;
    return 0;
}

static uint32_t dst_or_tmp(struct lower *lo, const struct ir_opnd *o, unsigned type)
{
    return o->kind == O_SINK ? low_tmp(lo, type == T_PRED ? 4 : SLOT64) : low_dst(lo, o, type);
}

int low_shfl(struct lower *lo, const struct ir_insn *in)
{
    bool sync = take(lo, M_sync);
    unsigned mode = take(lo, M_up)     ? 0
                    : take(lo, M_down) ? 1
                    : take(lo, M_bfly) ? 2
                    : take(lo, M_idx)  ? 3
                                       : 4;
    const struct ir_opnd *o = opnd(lo, in, 0), *dp = NULL;
    if (mode == 4 || in->nopnd != 4u + sync)
        return low_fail(lo, E_INVALID_PTX, "no mode, or the wrong number of operands");
    if (o->kind == O_PAIR) {
        dp = &lo->fn->opnds[o->idx + 1];
        o = &lo->fn->opnds[o->idx];
    }
    uint32_t skip = low_skip_begin(lo);
    uint32_t a = low_src(lo, opnd(lo, in, 1), T_B32), b = low_src(lo, opnd(lo, in, 2), T_B32);
    uint32_t c = low_src(lo, opnd(lo, in, 3), T_B32);
    uint32_t m = sync ? low_src(lo, opnd(lo, in, 4), T_B32) : 0;
    uint32_t d = dst_or_tmp(lo, o, T_B32), p = dp ? dst_or_tmp(lo, dp, T_PRED) : 0;
    if (lo->err || (sync && wsync(lo, m)))
        return -1;
    struct uop *u = emit(lo, "shfl");
    if (!u)
        return -1;
    u->n = mode;
    u->a = a;
    u->b = b;
    u->c = c;
    u->d = d;
    u->e = p;
    low_skip_end(lo, skip);
    return 0;
}

int low_vote(struct lower *lo, const struct ir_insn *in)
{
    bool sync = take(lo, M_sync), ballot = take(lo, M_ballot);
    unsigned mode = take(lo, M_all) ? 0 : take(lo, M_any) ? 1 : take(lo, M_uni) ? 2 : 3;
    if (in->nopnd != 2u + sync || (mode == 3 && !ballot))
        return low_fail(lo, E_INVALID_PTX, "no mode, or the wrong number of operands");
    uint32_t skip = low_skip_begin(lo);
    uint32_t a = low_src(lo, opnd(lo, in, 1), T_PRED);
    uint32_t m = sync ? low_src(lo, opnd(lo, in, 2), T_B32) : low_const32(lo, FULL);
    uint32_t d = low_dst(lo, opnd(lo, in, 0), ballot ? T_B32 : T_PRED);
    if (lo->err || (sync && wsync(lo, m)))
        return -1;
    struct uop *u = emit(lo, ballot ? "ballot" : "vote");
    if (!u)
        return -1;
    u->n = mode;
    u->a = a;
    u->b = m;
    u->d = d;
    low_skip_end(lo, skip);
    return 0;
}

int low_match(struct lower *lo, const struct ir_insn *in)
{
    bool all = take(lo, M_all);
    const struct ir_opnd *o = opnd(lo, in, 0), *dp = NULL;
    take(lo, M_any);
    take(lo, M_sync);
    if (in->ntype != 1)
        return low_fail(lo, E_INVALID_PTX, "%u types where 1 is wanted", in->ntype);
    if (o->kind == O_PAIR) {
        dp = &lo->fn->opnds[o->idx + 1];
        o = &lo->fn->opnds[o->idx];
    }
    uint32_t skip = low_skip_begin(lo);
    uint32_t a = low_src(lo, opnd(lo, in, 1), in->type[0]), m = low_src(lo, opnd(lo, in, 2), T_B32);
    uint32_t d = dst_or_tmp(lo, o, T_B32), p = dp ? dst_or_tmp(lo, dp, T_PRED) : 0;
    if (lo->err || wsync(lo, m))
        return -1;
    struct uop *u = emit(lo, "match.%s.%s", all ? "all" : "any", ptx_type_name[in->type[0]]);
    if (!u)
        return -1;
    u->a = a;
    u->b = m;
    u->d = d;
    u->e = p;
    low_skip_end(lo, skip);
    return 0;
}

int low_redux(struct lower *lo, const struct ir_insn *in)
{
    unsigned t = in->ntype == 1 ? in->type[0] : T_NONE;
    unsigned n;
    take(lo, M_sync);
    if (t != T_U32 && t != T_S32 && t != T_B32)
        return low_fail(lo, E_NOT_SUPPORTED, "type .%s is not supported", ptx_type_name[t]);
    if (take(lo, M_add))
        n = 0;
    else if (take(lo, M_min))
        n = t == T_S32 ? 3 : 1;
    else if (take(lo, M_max))
        n = t == T_S32 ? 4 : 2;
    else if (take(lo, M_and))
        n = 5;
    else if (take(lo, M_or))
        n = 6;
    else if (take(lo, M_xor))
        n = 7;
    else
        return low_fail(lo, E_INVALID_PTX, "no operation");
    uint32_t skip = low_skip_begin(lo);
    uint32_t a = low_src(lo, opnd(lo, in, 1), t), m = low_src(lo, opnd(lo, in, 2), T_B32);
    uint32_t d = dst_or_tmp(lo, opnd(lo, in, 0), T_B32);
    if (lo->err || wsync(lo, m))
        return -1;
    struct uop *u = emit(lo, "redux");
    if (!u)
        return -1;
    u->n = n;
    u->a = a;
    u->b = m;
    u->d = d;
    low_skip_end(lo, skip);
    return 0;
}

int low_elect(struct lower *lo, const struct ir_insn *in)
{
    const struct ir_opnd *o = opnd(lo, in, 0);
    take(lo, M_sync);
    if (o->kind != O_PAIR)
        return low_fail(lo, E_INVALID_PTX, "the result is a pair d|p");
    uint32_t skip = low_skip_begin(lo);
    uint32_t m = low_src(lo, opnd(lo, in, 1), T_B32);
    uint32_t d = dst_or_tmp(lo, &lo->fn->opnds[o->idx], T_B32);
    uint32_t p = dst_or_tmp(lo, &lo->fn->opnds[o->idx + 1], T_PRED);
    if (lo->err || wsync(lo, m))
        return -1;
    struct uop *u = emit(lo, "elect");
    if (!u)
        return -1;
    u->b = m;
    u->d = d;
    u->e = p;
    low_skip_end(lo, skip);
    return 0;
}

int low_activemask(struct lower *lo, const struct ir_insn *in)
{
    uint32_t d = low_dst(lo, opnd(lo, in, 0), T_B32);
    struct uop *u = lo->err ? NULL : emit(lo, "activemask");
    if (!u)
        return -1;
    u->d = d;
    return 0;
}

/* ---- barriers -------------------------------------------------------------------------------------------- */

int low_bar(struct lower *lo, const struct ir_insn *in)
{
    take(lo, M_aligned);
    take(lo, M_cta);
    if (take(lo, M_cluster)) {
        /* a cluster is one block, so its barrier is that of the block, at a place of its own;
         * arriving does not wait, and waiting is for all that arrive */
        bool wait = take(lo, M_wait);
        take(lo, M_arrive);
        take(lo, M_release);
        take(lo, M_acquire);
        take(lo, M_relaxed);
        struct uop *cu = wait ? emit_kind(lo, K_BAR) : emit(lo, "fence");
        if (!cu)
            return -1;
        if (wait) {
            cu->n = BAR_SYNC;
            cu->a = low_const32(lo, BAR_CLUSTER);
            cu->e = 1;
        }
        return 0;
    }
    if (take(lo, M_warp)) {
        take(lo, M_sync);
        if (in->nopnd != 1)
            return low_fail(lo, E_INVALID_PTX, "wrong number of operands");
        uint32_t skip = low_skip_begin(lo);
        uint32_t m = low_src(lo, opnd(lo, in, 0), T_B32);
        if (lo->err || wsync(lo, m))
            return -1;
        low_skip_end(lo, skip);
        return 0;
    }
    unsigned kind, i = 0;
    bool red = take(lo, M_red);
    if (red)
        kind = take(lo, M_popc)  ? BAR_POPC
               : take(lo, M_and) ? BAR_AND
               : take(lo, M_or)  ? BAR_OR
                                 : 9;
    else
        kind = take(lo, M_arrive) ? BAR_ARRIVE : take(lo, M_sync) ? BAR_SYNC : 9;
    if (kind == 9)
        return low_fail(lo, E_NOT_SUPPORTED, "this form is not supported");
    unsigned min = red ? 3 : kind == BAR_ARRIVE ? 2 : 1, max = red ? 4 : 2;
    if (in->nopnd < min || in->nopnd > max)
        return low_fail(lo, E_INVALID_PTX, "wrong number of operands");
    uint32_t skip = low_skip_begin(lo);
    uint32_t d = 0, c = 0;
    if (red)
        d = low_dst(lo, opnd(lo, in, i++), kind == BAR_POPC ? T_U32 : T_PRED);
    uint32_t a = low_src(lo, opnd(lo, in, i++), T_U32);
    bool count = in->nopnd - i == (red ? 2u : 1u);
    uint32_t b = count ? low_src(lo, opnd(lo, in, i++), T_U32) : 0;
    if (red)
        c = low_src(lo, opnd(lo, in, i), T_PRED);
    if (lo->err)
        return -1;
    struct uop *u = emit_kind(lo, K_BAR);
    if (!u)
        return -1;
    u->n = kind;
    u->a = a;
    u->b = b;
    u->c = c;
    u->d = d;
    u->f = count;
    low_skip_end(lo, skip);
    return 0;
}

/* ---- jumps ------------------------------------------------------------------------------------------------ */

int low_bra(struct lower *lo, const struct ir_insn *in)
{
    const struct ir_opnd *o = opnd(lo, in, 0);
    take(lo, M_uni);
    if (o->kind != O_LABEL || lo->fn->labels[o->idx].table)
        return low_fail(lo, E_INVALID_PTX, "the target is not a label");
    struct uop *u = emit_kind(lo, K_BRA);
    if (!u)
        return -1;
    u->e = o->idx + 1;
    /* those who leave a loop wait for each other, as at a label: a call may follow, and what lanes do
     * together in it needs them in one frame */
    if (in->guard >= 0 && lo->fn->labels[o->idx].insn <= (uint32_t)(in - lo->fn->insns)) {
        if (!(u = emit_kind(lo, K_JOIN)))
            return -1;
        u->guard = 0;
    }
    return 0;
}

int low_target(struct lower *lo, const struct ir_label *l, uint32_t i)
{
    struct pfunc *pf = lo->pf;
    uint32_t *t = grow(pf->targets, sizeof(*t), pf->ntargets, &pf->cap_targets);
    uint32_t to = lo->fn->opnds[l->target0 + i].idx;

    if (!t)
        return low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
    if (lo->fn->labels[to].table)
        return low_fail(lo, E_INVALID_PTX, "a target is not a label of code");
    pf->targets = t;
    t[pf->ntargets++] = to | LOW_LABEL;
    return 0;
}

int low_brx(struct lower *lo, const struct ir_insn *in)
{
    const struct ir_opnd *o = opnd(lo, in, 1);
    struct pfunc *pf = lo->pf;
    take(lo, M_uni);
    take(lo, M_idx);
    if (o->kind != O_LABEL || !lo->fn->labels[o->idx].table || !lo->fn->labels[o->idx].ntarget)
        return low_fail(lo, E_INVALID_PTX, "no .branchtargets");
    const struct ir_label *l = &lo->fn->labels[o->idx];
    if (lo->flat)
        return flat_brx(lo, in, l);
    uint32_t skip = low_skip_begin(lo);
    uint32_t a = low_src(lo, opnd(lo, in, 0), T_U32), first = pf->ntargets;
    if (lo->err)
        return -1;
    for (uint32_t i = 0; i < l->ntarget; i++)
        if (low_target(lo, l, i))
            return -1;
    struct uop *u = emit_kind(lo, K_BRX);
    if (!u)
        return -1;
    u->a = a;
    u->imm = first;
    u->e = l->ntarget;
    low_skip_end(lo, skip);
    return 0;
}

int low_ret(struct lower *lo, const struct ir_insn *in)
{
    (void)in;
    take(lo, M_uni);
    if (lo->flat && lo->flat->call)
        return flat_ret(lo);
    return emit_kind(lo, lo->fn->entry ? K_EXIT : K_RET) ? 0 : -1;
}

int low_exit(struct lower *lo, const struct ir_insn *in)
{
    (void)in;
    return emit_kind(lo, K_EXIT) ? 0 : -1;
}

int low_trap(struct lower *lo, const struct ir_insn *in)
{
    (void)in;
    return emit_kind(lo, K_TRAP) ? 0 : -1;
}

int low_nanosleep(struct lower *lo, const struct ir_insn *in)
{
    (void)in;
    uint32_t skip = low_skip_begin(lo);
    if (!emit_kind(lo, K_YIELD))
        return -1;
    low_skip_end(lo, skip);
    return 0;
}

/* ---- calls ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    enum builtin b;
    uint8_t nargs, nrets;
} builtins[] = {{"vprintf", BI_VPRINTF, 2, 1},
                {"malloc", BI_MALLOC, 1, 1},
                {"free", BI_FREE, 1, 0},
                {"__assertfail", BI_ASSERTFAIL, 5, 0},
                {"cudaGraphSetConditional", BI_SETCOND, 2, 0}};

static int call_args(struct lower *lo, const struct ir_opnd *list, bool ret, struct call_arg **out,
                     uint32_t *n, const struct ir_func *callee)
{
    *n = list ? list->n : 0;
    *out = pool_alloc(&lo->prog->pool, sizeof(**out) * (*n + 1));
    if (!*out)
        return low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < *n; i++) {
        const struct ir_opnd *o = &lo->fn->opnds[list->idx + i];
        struct call_arg *a = &(*out)[i];
        if (o->kind == O_VAR && (o->var->space == SP_FPARAM || o->var->space == SP_LOCAL)) {
            a->is_var = true;
            a->off = o->var->off + (lo->flat ? lo->flat->local_at : 0);
            a->size = o->var->size;
        } else if (!ret && (o->kind == O_REG || (o->kind == O_IMM && callee))) {
            unsigned bits = o->kind == O_REG      ? low_reg_bits(lo, o)
                            : i < callee->nparams ? callee->params[i]->size * 8
                                                  : 32;
            a->wide = bits == 64;
            a->size = bits / 8;
            if (bits == 1)
                return low_fail(lo, E_INVALID_PTX, "a predicate cannot be passed");
            a->slot = low_src(lo, o, a->wide ? T_B64 : T_B32);
            if (lo->err)
                return -1;
        } else {
            return low_fail(lo, E_NOT_SUPPORTED, "argument %u is of a kind that is not supported",
                            i);
        }
    }
    return 0;
}

int low_call(struct lower *lo, const struct ir_insn *in)
{
    unsigned i = 0;
    const struct ir_opnd *rets = NULL, *args = NULL, *target;
    take(lo, M_uni);
    if (opnd(lo, in, 0)->kind == O_LIST)
        rets = opnd(lo, in, i++);
    if (i >= in->nopnd)
        return low_fail(lo, E_INVALID_PTX, "no function to call");
    target = opnd(lo, in, i++);
    if (i < in->nopnd && opnd(lo, in, i)->kind == O_LIST)
        args = opnd(lo, in, i);
    struct call *c = pool_alloc(&lo->prog->pool, sizeof(*c));
    if (!c)
        return low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
    uint32_t skip = low_skip_begin(lo), slot = 0;
    struct ir_func *callee = NULL;
    if (target->kind == O_FUNC) {
        callee = lo->k->mod->funcs[target->idx];
        if (callee->entry)
            return low_fail(lo, E_NOT_SUPPORTED, "calls kernel '%.80s'", callee->name);
        c->func = lo->prog->func_map[target->idx];
        uint32_t na = callee->nparams, nr = callee->nrets;
        if (!callee->body) {
            c->func = -1;
            for (unsigned b = 0; b < sizeof(builtins) / sizeof(builtins[0]); b++)
                if (!strcmp(callee->name, builtins[b].name)) {
                    c->builtin = builtins[b].b;
                    na = builtins[b].nargs;
                    nr = builtins[b].nrets;
                }
            if (!c->builtin)
                return low_fail(lo, E_NOT_SUPPORTED, "calls '%.80s', which this module lacks",
                                callee->name);
        }
        if ((args ? args->n : 0) != na || (rets ? rets->n : 0) != nr)
            return low_fail(lo, E_INVALID_PTX, "'%.80s' takes %u arguments and returns %u values",
                            callee->name, na, nr);
    } else if (target->kind == O_REG) {
        c->func = -1;
        slot = low_src(lo, target, T_U64);
    } else {
        return low_fail(lo, E_INVALID_PTX, "the target is not a function");
    }
    if (call_args(lo, rets, true, &c->rets, &c->nrets, callee) ||
        call_args(lo, args, false, &c->args, &c->nargs, callee))
        return -1;
    if (lo->flat && !c->builtin)
        return flat_call(lo, in, c, slot, skip);
    struct uop *u = emit_kind(lo, K_CALL);
    if (!u)
        return -1;
    u->imm = (int64_t)(intptr_t)c;
    u->a = slot;
    low_skip_end(lo, skip);
    return 0;
}
