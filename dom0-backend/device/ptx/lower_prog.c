/* SPDX-License-Identifier: MIT */
/* lower_prog.c - IR to micro-ops: the walk over functions, the call graph, shared memory, modules. */
#include "jit.h"
#include "lower.h"

/* ---- functions --------------------------------------------------------------------------------------------- */

static int cmp_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool insn_spins(const struct ir_insn *in)
{
    return (ptx_opcodes[in->op].flags & OPF_SPIN) || has_mod(in, M_volatile) ||
           has_mod(in, M_acquire) || has_mod(in, M_relaxed) || has_mod(in, M_mmio) ||
           has_mod(in, M_cv);
}

int lower_body(struct lower *lo)
{
    struct ir_func *f = lo->fn;
    struct pfunc *pf = lo->pf;
    uint32_t first = pf->nuops, first_target = pf->ntargets, *spins, *ends, *uop_of;
    int rc = -1;

    lo->cur = NULL;
    spins = calloc(f->ninsns + 1, sizeof(uint32_t)); /* spinning insns before i */
    ends = malloc(sizeof(uint32_t) * (f->nlabels + 1));
    uop_of = calloc(f->ninsns + 2, sizeof(uint32_t));
    lo->slot = calloc(f->nregs + 1, sizeof(uint32_t));
    if (!spins || !ends || !uop_of || !lo->slot) {
        low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
        goto out;
    }
    if (f->unsupported) {
        low_fail(lo, E_NOT_SUPPORTED, "%s is not supported", f->unsupported);
        goto out;
    }
    if (cfg_build(lo))
        goto out;
    if (!lo->flat || !lo->flat->call)
        lo->tmp_max = lo->tmp_base;
    for (uint32_t i = 0; i < f->ninsns; i++) {
        bool call = ptx_opcodes[f->insns[i].op].lower == low_call,
             s = call && lo->flat ? flat_spins(lo, &f->insns[i]) : insn_spins(&f->insns[i]);
        spins[i + 1] = spins[i] + s;
        if (s && !call)
            lo->prog->spins = true;
    }
    /* labels in the order of their place */
    uint32_t nl = 0;
    for (uint32_t i = 0; i < f->nlabels; i++)
        if (!f->labels[i].table)
            ends[nl++] = f->labels[i].insn;
    qsort(ends, nl, sizeof(uint32_t), cmp_u32);
    uint32_t next = 0;
    for (uint32_t i = 0; i <= f->ninsns; i++) {
        lo->cur = NULL;
        lo->tmp = lo->tmp_base;
        uop_of[i] = pf->nuops;
        if (lo->flat && pf->nuops > (lo->flat->call ? FLAT_FULL : FLAT_UOPS)) {
            lo->flat->over = true;
            goto out;
        }
        if (next < nl && ends[next] == i) {
            while (next < nl && ends[next] == i)
                next++;
            if (!emit_kind(lo, K_JOIN))
                goto out;
        }
        if (i == f->ninsns)
            break;
        const struct ir_insn *in = &f->insns[i];
        const struct ptx_opcode *oc = &ptx_opcodes[in->op];
        lo->cur = in;
        if (in->bad) {
            low_fail(lo, E_NOT_SUPPORTED, "modifier .%s is not supported", in->bad);
            goto out;
        }
        if (!oc->lower) {
            low_fail(lo, E_NOT_SUPPORTED, "the instruction is not supported");
            goto out;
        }
        memcpy(lo->rem, in->mods, sizeof(lo->rem));
        if (oc->lower(lo, in) || lo->err) {
            if (!lo->err)
                low_fail(lo, E_NOT_SUPPORTED, "not supported");
            goto out;
        }
        for (unsigned m = 0; m < M_COUNT; m++) {
            if (!(lo->rem[m >> 6] >> (m & 63) & 1))
                continue;
            low_fail(lo, E_NOT_SUPPORTED, "modifier .%s is not supported here", ptx_mod_str(m));
            goto out;
        }
    }
    lo->cur = NULL;
    if (lo->flat && lo->flat->call ? flat_ret(lo) : !emit_kind(lo, K_END))
        goto out;
    /* branch targets: labels to micro-ops; low_bra left the label's number + 1 in u->e */
    for (uint32_t i = first; i < pf->nuops; i++) {
        struct uop *u = &pf->uops[i];
        if (u->kind != K_BRA || !u->e)
            continue;
        const struct ir_label *l = &f->labels[u->e - 1];
        u->target = uop_of[l->insn];
        u->e = 0; /* done: what this is part of has labels of its own */
        if (u->target <= i) {
            /* the loop's body in source order */
            uint32_t from = l->insn, to = from;
            while (to < f->ninsns && uop_of[to] <= i)
                to++;
            u->f = BRA_BACK | (spins[to] > spins[from] ? BRA_SPIN : 0);
        }
    }
    for (uint32_t i = first_target; i < pf->ntargets; i++)
        if (pf->targets[i] & LOW_LABEL)
            pf->targets[i] = uop_of[f->labels[pf->targets[i] & ~LOW_LABEL].insn];
    rc = 0;
out:
    free(spins);
    free(ends);
    free(uop_of);
    free(lo->slot);
    lo->slot = NULL;
    return rc;
}

static int lower_func(struct lower *lo, struct pfunc *pf)
{
    lo->fn = pf->ir;
    lo->pf = pf;
    if (lower_body(lo))
        return -1;
    pf->frame_bytes = ((lo->flat ? lo->flat->frame_max : lo->tmp_max) + 63) & ~63u;
    pf->local_bytes = pf->ir->local_bytes;
    pf->lowered = true;
    return 0;
}

/* ---- call graph ---------------------------------------------------------------------------------------------- */

typedef int (*ref_cb)(void *arg, struct ir_func *f, const struct ir_opnd *o);

static int each_opnd(struct ir_func *f, ref_cb cb, void *arg)
{
    for (uint32_t i = 0; i < f->nopnds; i++)
        if (cb(arg, f, &f->opnds[i]))
            return -1;
    return 0;
}

struct reach {
    struct ptx_module *m;
    uint32_t *list, n;
    uint8_t *seen;
    bool all; /* an indirect call: everything whose address is taken */
};

static int reach_opnd(void *arg, struct ir_func *f, const struct ir_opnd *o)
{
    struct reach *r = arg;
    (void)f;
    if (o->kind == O_FUNC && !r->seen[o->idx] && r->m->funcs[o->idx]->body &&
        !r->m->funcs[o->idx]->entry) {
        r->seen[o->idx] = 1;
        r->list[r->n++] = o->idx;
    }
    return 0;
}

/* Functions the kernel can reach, itself first. Frees nothing on failure; -1 = out of memory. */
static int reachable(struct ptx_kernel *k, struct reach *r)
{
    struct ptx_module *m = k->mod;
    memset(r, 0, sizeof(*r));
    r->m = m;
    r->list = malloc(sizeof(uint32_t) * (m->nfuncs + 1));
    r->seen = calloc(m->nfuncs + 1, 1);
    if (!r->list || !r->seen)
        return -1;
    r->list[r->n++] = k->fn->index;
    r->seen[k->fn->index] = 1;
    for (uint32_t i = 0; i < r->n; i++) {
        struct ir_func *f = m->funcs[r->list[i]];
        each_opnd(f, reach_opnd, r);
        for (uint32_t j = 0; j < f->ninsns && !r->all; j++)
            if (ptx_opcodes[f->insns[j].op].lower == low_call) {
                const struct ir_opnd *o = &f->opnds[f->insns[j].opnd];
                if (o->kind == O_LIST && f->insns[j].nopnd > 1)
                    o++;
                r->all |= o->kind == O_REG;
            }
        if (r->all)
            for (uint32_t v = 0; v < m->nvars; v++)
                for (struct ir_reloc *x = m->vars[v]->reloc; x; x = x->next)
                    if (x->func >= 0 && !r->seen[x->func] && m->funcs[x->func]->body &&
                        !m->funcs[x->func]->entry) {
                        r->seen[x->func] = 1;
                        r->list[r->n++] = x->func;
                    }
    }
    return 0;
}

static void reach_free(struct reach *r)
{
    free(r->list);
    free(r->seen);
}

struct shlay {
    uint64_t off;
    uint32_t dyn_align;
    int pass; /* 0: clear marks, 1: static, 2: dynamic */
};

static int shared_opnd(void *arg, struct ir_func *f, const struct ir_opnd *o)
{
    struct shlay *s = arg;
    struct ir_var *v = o->var;
    (void)f;
    if ((o->kind != O_VAR && !(o->kind == O_ADDR && o->sub == O_VAR)) || v->space != SP_SHARED)
        return 0;
    bool dyn = v->ext && v->open_array;
    if (s->pass == 0) {
        v->mark = 0;
    } else if (s->pass == 1 && !v->mark && !dyn) {
        v->mark = 1;
        s->off = (s->off + v->align - 1) & ~(uint64_t)(v->align - 1);
        v->shoff = s->off;
        s->off += v->size;
        if (s->off > (1u << 24))
            s->off = 1u << 24;
    } else if (s->pass == 2 && !v->mark && dyn) {
        v->mark = 1;
        s->off = (s->off + v->align - 1) & ~(uint64_t)(v->align - 1);
        v->shoff = s->off; /* all dynamic arrays start at the same place */
    }
    return 0;
}

/* Places the shared variables that the functions in r use; returns the static bytes. */
static uint32_t layout_shared(struct ptx_module *m, const struct reach *r)
{
    struct shlay s = {0};
    for (s.pass = 0; s.pass < 2; s.pass++)
        for (uint32_t i = 0; i < r->n; i++)
            each_opnd(m->funcs[r->list[i]], shared_opnd, &s);
    /* dynamic arrays: one start, aligned for the strictest of them */
    for (uint32_t i = 0; i < r->n; i++)
        each_opnd(m->funcs[r->list[i]], shared_opnd, &s);
    for (uint32_t i = 0; i < r->n; i++) {
        struct ir_func *f = m->funcs[r->list[i]];
        for (uint32_t j = 0; j < f->nopnds; j++) {
            struct ir_var *v = f->opnds[j].var;
            if (v && v->space == SP_SHARED && v->ext && v->open_array)
                v->shoff = s.off;
        }
    }
    return s.off;
}

/* ---- module level ------------------------------------------------------------------------------------------------ */

static void fill_info(struct ptx_kernel *k, const struct reach *r)
{
    struct ptx_module *m = k->mod;
    uint64_t local = 0, own = k->fn->local_bytes, cst = 0;
    uint64_t insns = 0, most;
    bool calls = r->n > 1;
    for (uint32_t i = 0; i < r->n; i++) {
        local += m->funcs[r->list[i]]->local_bytes;
        insns += m->funcs[r->list[i]]->nregs;
    }
    for (uint32_t i = 0; i < m->nvars; i++)
        if (m->vars[i]->space == SP_CONST)
            cst += m->vars[i]->size;
    /* Every function once, and a reserve for recursion, as the default stack of native devices. */
    k->stack_bytes = calls ? local + 16384 : own;
    struct ptx_kernel_info *o = &k->info;
    o->shared_bytes = layout_shared(m, r);
    o->const_bytes = cst;
    o->local_bytes = own;
    o->maxntid = k->fn->maxntid;
    /* Virtual registers say little about real ones, and there is no register file here: whatever the
     * number, a block of as many threads as the kernel allows has to fit. */
    most = PTX_SM_REGS / ((o->maxntid + 31 + !o->maxntid) / 32 * 32) / 8 * 8;
    if (most > 255)
        most = 255;
    o->regs = insns < 16 ? 16 : insns > most ? most : insns;
    memcpy(o->reqntid, k->fn->reqntid, sizeof(o->reqntid));
    o->ptx_version = m->version;
    o->target = m->target;
    for (uint32_t i = 0; i < r->n; i++) {
        struct ir_func *f = m->funcs[r->list[i]];
        for (uint32_t j = 0; j < f->nopnds; j++)
            if (f->opnds[j].kind == O_SREG &&
                (f->opnds[j].idx == SR_ENVREG1 || f->opnds[j].idx == SR_ENVREG2))
                o->cooperative = true;
    }
}

int ptx_finish_module(struct ptx_module *m, char *log, size_t log_n);
int ptx_finish_module(struct ptx_module *m, char *log, size_t log_n)
{
    for (uint32_t i = 0; i < m->nfuncs; i++)
        m->nkernels += m->funcs[i]->entry && m->funcs[i]->body;
    m->kernels = calloc(m->nkernels + 1, sizeof(*m->kernels));
    m->dvars = calloc(m->nvars + 1, sizeof(*m->dvars));
    if (!m->kernels || !m->dvars)
        return E_OUT_OF_MEMORY;
    uint64_t cst = 0;
    for (uint32_t i = 0; i < m->nvars; i++) {
        struct ir_var *v = m->vars[i];
        if ((v->space == SP_GLOBAL || v->space == SP_CONST) && !v->ext && v->type != T_TEXREF)
            m->dvars[m->ndvars++] = v;
        if (v->space == SP_CONST)
            cst += v->size;
    }
    if (cst > 65536 * 11) {
        ptx_log(log, log_n, "%llu bytes of .const, allowed are 720896 (11 banks of 64 KiB)",
                (unsigned long long)cst);
        return E_INVALID_PTX;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->nfuncs; i++) {
        if (!m->funcs[i]->entry || !m->funcs[i]->body)
            continue;
        struct ptx_kernel *k = &m->kernels[n++];
        struct reach r;
        k->mod = m;
        k->fn = m->funcs[i];
        if (reachable(k, &r)) {
            reach_free(&r);
            return E_OUT_OF_MEMORY;
        }
        fill_info(k, &r);
        reach_free(&r);
    }
    return 0;
}

void ptx_prog_free(struct prog *g);
void ptx_prog_free(struct prog *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; g->funcs && i < g->nfuncs; i++) {
        free(g->funcs[i].uops);
        free(g->funcs[i].targets);
    }
    free(g->funcs);
    free(g->func_map);
    free(g->consts);
    jit_state_put(g->jit);
    pool_free(&g->pool);
    free(g);
}

/* flat: without calls as far as that is possible; unshared: every register has a slot of its own. */
struct form {
    bool flat, unshared;
};

static int lower_prog(struct ptx_kernel *k, struct form form, struct prog **out, char *log,
                      size_t log_n)
{
    struct reach r;
    struct flat flat = {.frame_at = 64 + FLAT_TMP};
    struct lower lo = {.k = k, .log = log, .log_n = log_n, .unshared = form.unshared};
    struct prog *g = calloc(1, sizeof(*g));
    if (!g || reachable(k, &r)) {
        free(g);
        return low_fail(&lo, E_OUT_OF_MEMORY, "out of memory"), lo.err;
    }
    lo.prog = g;
    g->nfuncs = r.n;
    g->funcs = calloc(r.n, sizeof(*g->funcs));
    g->func_map = malloc(sizeof(int) * (k->mod->nfuncs + 1));
    if (!g->funcs || !g->func_map) {
        low_fail(&lo, E_OUT_OF_MEMORY, "out of memory");
        goto out;
    }
    memset(g->func_map, 0xff, sizeof(int) * (k->mod->nfuncs + 1));
    for (uint32_t i = 0; i < r.n; i++) {
        g->funcs[i].ir = k->mod->funcs[r.list[i]];
        g->func_map[r.list[i]] = i;
    }
    g->shared_bytes = layout_shared(k->mod, &r);
    g->cooperative = k->info.cooperative;
    low_const32(&lo, 0); /* so that the array exists */
    if (form.flat) {
        lo.flat = &flat;
        if (!flat_start(&lo) && lower_func(&lo, &g->funcs[0]) && flat.over)
            low_fail(&lo, E_NOT_SUPPORTED, "more than %u micro-ops", FLAT_UOPS);
        if (!lo.err && lo.tmp_max > 64 + FLAT_TMP)
            low_fail(&lo, E_NOT_SUPPORTED, "more scratch registers than there is room for");
        flat_end(&lo);
        lo.flat = NULL;
    }
    /* what is still called, the interpreter does */
    for (uint32_t i = form.flat;
         i < r.n && !lo.err && (!form.flat || (!form.unshared && flat.calls)); i++)
        lower_func(&lo, &g->funcs[i]);
out:
    reach_free(&r);
    if (lo.err) {
        ptx_prog_free(g);
        return lo.err;
    }
    *out = g;
    return 0;
}

/* The kernel calls functions, or jumps by a table. */
static bool can_be_flatter(const struct prog *g)
{
    const struct pfunc *f = &g->funcs[0];
    bool r = g->nfuncs > 1 || f->ntargets;

    for (uint32_t i = 0; i < f->nuops && !r; i++)
        r = f->uops[i].kind == K_CALL && !((const struct call *)(intptr_t)f->uops[i].imm)->builtin;
    return r;
}

int ptx_lower_twice(struct ptx_kernel *k, struct prog **real, struct prog **virt, bool *flat,
                    char *log, size_t log_n)
{
    struct form form = {.flat = can_be_flatter(k->prog)};
    int err;

    *flat = form.flat;
    *real = *virt = NULL;
    pthread_mutex_lock(&k->mod->lock);
    err = lower_prog(k, form, real, log, log_n);
    form.unshared = true;
    if (!err && (err = lower_prog(k, form, virt, log, log_n))) {
        ptx_prog_free(*real);
        *real = NULL;
    }
    pthread_mutex_unlock(&k->mod->lock);
    return err;
}

int ptx_kernel_prepare(struct ptx_kernel *k, char *log, size_t log_n)
{
    int err;
    pthread_mutex_lock(&k->mod->lock);
    if (!k->prog && !k->prep_err)
        k->prep_err = lower_prog(k, (struct form){0}, &k->prog, k->prep_log, sizeof(k->prep_log));
    err = k->prep_err;
    if (log && log_n)
        snprintf(log, log_n, "%s", k->prep_log);
    pthread_mutex_unlock(&k->mod->lock);
    return err;
}
