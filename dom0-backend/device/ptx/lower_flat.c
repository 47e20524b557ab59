/* SPDX-License-Identifier: MIT */
/*
 * lower_flat.c - a kernel without calls, for the compiler: what it calls is lowered in the place of the
 * call, with a stretch of the frame and of local memory of its own. Arguments and results are copied as
 * the interpreter copies them when it calls.
 *
 * A function pointer is compared with the functions whose address the module takes. What would make the
 * kernel too long, recursion beyond FLAT_REPEAT, and pointers to something else stay calls, which the
 * interpreter makes; compiled code goes on behind them.
 *
 * Groups of lanes run in the same order as with calls: those in the function are further up than those
 * behind the call, as they are deeper otherwise.
 */
#include "addr.h"
#include "lower.h"

#define FLAT_REPEAT  3u     /* times a function may be in the same chain of calls */
#define FLAT_WORK    20000u /* micro-ops made in all, those given up too */
#define FLAT_COPY    512u   /* octets of arguments, and of results */
#define FLAT_TARGETS 16u    /* functions that one pointer is compared with */
#define NO_SKIP      UINT32_MAX

/* ---- what the functions do ---------------------------------------------------------------------- */

static const struct ir_opnd *target_of(const struct ir_func *f, const struct ir_insn *in)
{
    const struct ir_opnd *o = &f->opnds[in->opnd];

    return o->kind == O_LIST && in->nopnd > 1 ? o + 1 : o;
}

static bool is_call(const struct ir_insn *in)
{
    return ptx_opcodes[in->op].lower == low_call;
}

bool flat_spins(const struct lower *lo, const struct ir_insn *in)
{
    const struct ir_opnd *o = target_of(lo->fn, in);
    int i = o->kind == O_FUNC ? lo->prog->func_map[o->idx] : -1;

    return o->kind == O_FUNC ? i >= 0 && lo->flat->spins[i] : true;
}

static bool waits(const struct ir_insn *in)
{
    return (ptx_opcodes[in->op].flags & OPF_SPIN) || has_mod(in, M_volatile) ||
           has_mod(in, M_acquire) || has_mod(in, M_relaxed) || has_mod(in, M_mmio) ||
           has_mod(in, M_cv);
}

/* A function that may wait for other threads, itself or by what it calls. */
static void find_spins(struct lower *lo)
{
    struct prog *g = lo->prog;
    bool again = true;

    for (unsigned round = 0; again; round++) {
        again = false;
        for (uint32_t i = 0; i < g->nfuncs; i++) {
            struct ir_func *f = g->funcs[i].ir;
            bool s = round > 32; /* a long chain: no need to know */

            lo->fn = f;
            for (uint32_t k = 0; k < f->ninsns && !s && !lo->flat->spins[i]; k++)
                s = is_call(&f->insns[k]) ? flat_spins(lo, &f->insns[k]) : waits(&f->insns[k]);
            again |= s && !lo->flat->spins[i];
            lo->flat->spins[i] |= s;
        }
    }
}

/* Functions whose address is a value somewhere. */
static void find_taken(struct lower *lo)
{
    struct prog *g = lo->prog;
    const struct ptx_module *m = lo->k->mod;

    for (uint32_t i = 0; i < g->nfuncs; i++) {
        struct ir_func *f = g->funcs[i].ir;

        for (uint32_t k = 0; k < f->ninsns; k++) {
            const struct ir_insn *in = &f->insns[k];

            for (unsigned n = 0; n < in->nopnd; n++) {
                const struct ir_opnd *o = &f->opnds[in->opnd + n];

                if (o->kind == O_FUNC && !(is_call(in) && o == target_of(f, in)) &&
                    g->func_map[o->idx] >= 0)
                    lo->flat->taken[g->func_map[o->idx]] = 1;
            }
        }
    }
    for (uint32_t v = 0; v < m->nvars; v++)
        for (const struct ir_reloc *x = m->vars[v]->reloc; x; x = x->next)
            if (x->func >= 0 && g->func_map[x->func] >= 0)
                lo->flat->taken[g->func_map[x->func]] = 1;
}

int flat_start(struct lower *lo)
{
    lo->flat->spins = calloc(lo->prog->nfuncs + 1, 1);
    lo->flat->taken = calloc(lo->prog->nfuncs + 1, 1);
    if (!lo->flat->spins || !lo->flat->taken)
        return low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
    find_spins(lo);
    find_taken(lo);
    return 0;
}

void flat_end(struct lower *lo)
{
    free(lo->flat->spins);
    free(lo->flat->taken);
    free(lo->flat->rets);
}

/* ---- arguments and results ---------------------------------------------------------------------- */

/* n octets of local memory; what is aligned in both places goes by words. */
static int copy(struct lower *lo, uint32_t to, uint32_t from, uint32_t n)
{
    static const char *const ld[] = {"ld.local.u8.32", "ld.local.u16.32", "ld.local.u32.32",
                                     "ld.local.u64.64"},
                             *const st[] = {"st.local.u8.32", "st.local.u16.32", "st.local.u32.32",
                                            "st.local.u64.64"};

    const uint32_t keep = lo->tmp; /* arguments may be in scratch slots, too */

    while (n) {
        unsigned k = 3;
        uint32_t tmp;
        struct uop *u;

        while (k && (1u << k > n || (to | from) & ((1u << k) - 1)))
            k--;
        lo->tmp = keep;
        tmp = low_tmp(lo, k == 3 ? SLOT64 : SLOT32);
        if (!(u = emit(lo, "%s", ld[k])))
            return -1;
        u->a = NO_ADDR_REG;
        u->imm = from;
        u->d = tmp;
        if (!(u = emit(lo, "%s", st[k])))
            return -1;
        u->a = NO_ADDR_REG;
        u->imm = to;
        u->b = tmp;
        to += 1u << k;
        from += 1u << k;
        n -= 1u << k;
    }
    lo->tmp = keep;
    return 0;
}

static int store(struct lower *lo, uint32_t to, const struct call_arg *a, uint32_t n)
{
    struct uop *u = emit(lo, "st.local.u%u.%s", 8 * n, a->wide ? "64" : "32");

    if (!u)
        return -1;
    u->a = NO_ADDR_REG;
    u->imm = to;
    u->b = a->slot;
    return 0;
}

static uint32_t arg_bytes(const struct call_arg *a, const struct ir_var *p)
{
    return a->size < p->size ? a->size : (uint32_t)p->size;
}

/* Whether arguments and results can be copied by micro-ops: small, and registers by powers of two. */
static bool can_copy(const struct call *c, const struct ir_func *f)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < c->nargs; i++) {
        uint32_t n = arg_bytes(&c->args[i], f->params[i]);

        if (!c->args[i].is_var && (!n || n & (n - 1)))
            return false;
        sum += n;
    }
    for (uint32_t i = 0; i < c->nrets; i++)
        sum += arg_bytes(&c->rets[i], f->rets[i]);
    return sum <= FLAT_COPY;
}

static int copy_in(struct lower *lo, const struct call *c, const struct ir_func *f, uint32_t local)
{
    for (uint32_t i = 0; i < c->nargs; i++) {
        const struct call_arg *a = &c->args[i];
        uint32_t n = arg_bytes(a, f->params[i]), to = local + f->params[i]->off;

        if (a->is_var ? copy(lo, to, a->off, n) : store(lo, to, a, n))
            return -1;
    }
    return 0;
}

static int results(struct lower *lo, bool jump)
{
    struct flat *fl = lo->flat;
    const struct call *c = fl->call;
    uint32_t *r;

    for (uint32_t i = 0; i < c->nrets; i++)
        if (copy(lo, c->rets[i].off, fl->local_at + lo->fn->rets[i]->off,
                 arg_bytes(&c->rets[i], lo->fn->rets[i])))
            return -1;
    if (!jump)
        return 0;
    r = grow(fl->rets, sizeof(*r), fl->nrets, &fl->cap_rets);
    if (!r)
        return low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
    fl->rets = r;
    r[fl->nrets++] = lo->pf->nuops;
    return emit_kind(lo, K_BRA) ? 0 : -1;
}

/* Also with a guard. The jump goes behind the call, wherever that will be; from the function's end it
 * goes on there anyway. */
int flat_ret(struct lower *lo)
{
    const struct ir_insn *in = lo->cur;
    struct ir_insn plain;
    uint32_t skip;
    int rc;

    if (!in)
        return results(lo, false);
    skip = low_skip_begin(lo);
    plain = *in;
    plain.guard = -1;
    lo->cur = &plain;
    rc = results(lo, true);
    lo->cur = in;
    low_skip_end(lo, skip);
    return rc;
}

/* ---- calls -------------------------------------------------------------------------------------- */

static bool worth_a_try(const struct lower *lo, const struct call *c, const struct ir_func *f)
{
    const struct flat *fl = lo->flat;
    unsigned n = 0;

    for (unsigned i = 0; i < fl->depth; i++)
        n += fl->chain[i] == f;
    return f->body && !f->entry && fl->depth < FLAT_DEPTH && n < FLAT_REPEAT &&
           fl->work < FLAT_WORK && c->nargs == f->nparams && c->nrets <= f->nrets &&
           lo->pf->nuops + f->ninsns < FLAT_FULL && can_copy(c, f) &&
           fl->local_at + lo->fn->local_bytes + f->local_bytes <= lo->k->stack_bytes;
}

/* The function in place of the call. 0, -1, or 1: there is no room for it, and nothing is changed. */
static int put_in(struct lower *lo, const struct call *c, struct ir_func *f)
{
    const struct lower before = *lo;
    struct flat *fl = lo->flat, fbefore = *fl;
    const uint32_t nuops = lo->pf->nuops, ntargets = lo->pf->ntargets, nrets = fl->nrets,
                   local = fl->local_at + lo->fn->local_bytes;
    int rc;

    if (!worth_a_try(lo, c, f))
        return 1;
    if (copy_in(lo, c, f, local))
        return -1;
    fl->local_at = local;
    fl->ret_local = fbefore.local_at;
    fl->call = c;
    fl->chain[fl->depth++] = f;
    lo->fn = f;
    rc = lower_body(lo);
    fl->work += lo->pf->nuops - nuops;
    lo->fn = before.fn;
    lo->slot = before.slot;
    lo->cur = before.cur;
    memcpy(lo->rem, before.rem, sizeof(lo->rem));
    lo->tmp = before.tmp;
    fl->local_at = fbefore.local_at;
    fl->ret_local = fbefore.ret_local;
    fl->call = fbefore.call;
    fl->depth = fbefore.depth;
    if (!lo->unshared) /* the next function's frame may lie where this one's was */
        fl->frame_at = fbefore.frame_at;
    if (lo->err)
        return -1;
    if (rc) { /* too long */
        fl->over = false;
        fl->nrets = nrets;
        lo->pf->nuops = nuops;
        lo->pf->ntargets = ntargets;
        return 1;
    }
    for (uint32_t i = nrets; i < fl->nrets; i++)
        lo->pf->uops[fl->rets[i]].target = lo->pf->nuops;
    fl->nrets = nrets;
    return emit_kind(lo, K_JOIN) ? 0 : -1;
}

/* The call stays: for lanes that are here together, as they come from code that has parted them. */
static int leave(struct lower *lo, struct call *c, uint32_t slot)
{
    struct flat *fl = lo->flat;
    struct uop *u;

    if (!emit_kind(lo, K_JOIN) || !(u = emit_kind(lo, K_CALL)))
        return -1;
    u->imm = (int64_t)(intptr_t)c;
    u->a = slot;
    u->e = fl->local_at + lo->fn->local_bytes; /* where its local memory may start */
    u->n = (uint8_t)fl->depth;
    fl->calls = true;
    return 0;
}

/* By a pointer: one function after the other, lowest number first, as the interpreter does. */
static int by_pointer(struct lower *lo, struct call *c, uint32_t slot)
{
    struct prog *g = lo->prog;
    uint32_t ends[FLAT_TARGETS], n = 0, k = 0, p = low_tmp(lo, 4);
    const struct ptx_module *m = lo->k->mod;
    struct uop *u;

    for (uint32_t i = 0; i < g->nfuncs; i++)
        k += lo->flat->taken[i] && g->funcs[i].ir->nparams == c->nargs;
    for (uint32_t i = 0; i < m->nfuncs && k <= FLAT_TARGETS; i++) {
        int at = g->func_map[i], rc;
        uint32_t test, next;

        if (at < 0 || !lo->flat->taken[at] || !worth_a_try(lo, c, g->funcs[at].ir))
            continue;
        if (!(u = emit(lo, "eq.u64")))
            return -1;
        u->d = p;
        u->a = slot;
        test = lo->pf->nuops;
        u->b = low_const64(lo, PTX_APERTURE_FUNC + i);
        if (lo->err || !(u = emit_kind(lo, K_BRA)))
            return -1;
        u->guard = p | 1;
        rc = put_in(lo, c, g->funcs[at].ir);
        if (rc < 0)
            return -1;
        if (rc) { /* no room: the comparison goes, too */
            lo->pf->nuops = test - 1;
            continue;
        }
        ends[n++] = lo->pf->nuops;
        if (!emit_kind(lo, K_BRA))
            return -1;
        next = lo->pf->nuops;
        lo->pf->uops[test].target = next;
        if (!emit_kind(lo, K_JOIN))
            return -1;
    }
    if (leave(lo, c, slot)) /* others, and what is no function */
        return -1;
    for (uint32_t i = 0; i < n; i++)
        lo->pf->uops[ends[i]].target = lo->pf->nuops;
    return emit_kind(lo, K_JOIN) ? 0 : -1;
}

int flat_call(struct lower *lo, const struct ir_insn *in, struct call *c, uint32_t slot,
              uint32_t skip)
{
    struct ir_insn plain = *in;
    int rc;

    /* who does not call has jumped: what follows has no guard */
    plain.guard = -1;
    for (uint32_t i = skip + 1; skip != NO_SKIP && i < lo->pf->nuops; i++)
        lo->pf->uops[i].guard = 0;
    lo->cur = &plain;
    if (c->func < 0) {
        rc = by_pointer(lo, c, slot);
    } else {
        rc = put_in(lo, c, lo->prog->funcs[c->func].ir);
        if (rc > 0)
            rc = leave(lo, c, slot);
    }
    if (!rc && skip != NO_SKIP) {
        lo->pf->uops[skip].target = lo->pf->nuops;
        rc = emit_kind(lo, K_JOIN) ? 0 : -1;
    }
    lo->cur = in;
    return rc;
}

/* ---- tables of jumps ---------------------------------------------------------------------------- */

/* One comparison after the other; what is left has a wrong index, which the interpreter reports. */
int flat_brx(struct lower *lo, const struct ir_insn *in, const struct ir_label *l)
{
    struct pfunc *pf = lo->pf;
    uint32_t skip = low_skip_begin(lo), a = low_src(lo, opnd(lo, in, 0), T_U32),
             first = pf->ntargets, p = low_tmp(lo, 4);
    struct ir_insn plain = *in;
    struct uop *u;

    if (lo->err)
        return -1;
    plain.guard = -1;
    for (uint32_t i = skip + 1; skip != NO_SKIP && i < pf->nuops; i++)
        pf->uops[i].guard = 0;
    lo->cur = &plain;
    for (uint32_t i = 0; i < l->ntarget; i++) {
        if (low_target(lo, l, i))
            return -1;
        if (!(u = emit(lo, "eq.u32")))
            return -1;
        u->d = p;
        u->a = a;
        uint32_t at = pf->nuops - 1, c = low_const32(lo, i);

        pf->uops[at].b = c;
        if (lo->err || !(u = emit_kind(lo, K_BRA)))
            return -1;
        u->guard = p;
        u->e = lo->fn->opnds[l->target0 + i].idx + 1;
    }
    if (!(u = emit_kind(lo, K_BRX)))
        return -1;
    u->a = a;
    u->imm = first;
    u->e = l->ntarget;
    if (skip != NO_SKIP) {
        pf->uops[skip].target = pf->nuops;
        if (!emit_kind(lo, K_JOIN))
            return -1;
    }
    lo->cur = in;
    return 0;
}
