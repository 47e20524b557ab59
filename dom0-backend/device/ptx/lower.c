/* SPDX-License-Identifier: MIT */
/* lower.c - IR to micro-ops: operands, constants, the walk over functions and the call graph. */
#include "jit.h"
#include "lower.h"

int low_fail(struct lower *lo, int err, const char *fmt, ...)
{
    char msg[300];
    va_list ap;
    if (lo->err)
        return -1;
    lo->err = err;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (lo->cur)
        ptx_log(lo->log, lo->log_n, "kernel %.80s: PTX line %u: %s: %s", lo->k->fn->name,
                lo->cur->line, ptx_opcodes[lo->cur->op].name, msg);
    else
        ptx_log(lo->log, lo->log_n, "kernel %.80s: %s", lo->k->fn->name, msg);
    return -1;
}

bool take(struct lower *lo, enum ptx_mod m)
{
    uint64_t bit = 1ull << (m & 63);
    bool r = lo->rem[m >> 6] & bit;
    lo->rem[m >> 6] &= ~bit;
    return r;
}

const struct ir_opnd *opnd(const struct lower *lo, const struct ir_insn *in, unsigned i)
{
    return &lo->fn->opnds[in->opnd + i];
}

/* ---- micro-ops ------------------------------------------------------------------------------------- */

struct uop *emit_kind(struct lower *lo, unsigned kind)
{
    struct pfunc *pf = lo->pf;
    struct uop *a = grow(pf->uops, sizeof(*a), pf->nuops, &pf->cap_uops);
    if (!a) {
        low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    pf->uops = a;
    struct uop *u = &a[pf->nuops++];
    memset(u, 0, sizeof(*u));
    u->kind = kind;
    if (lo->cur) {
        u->line = lo->cur->line;
        if (lo->cur->guard >= 0)
            u->guard = lo->slot[lo->cur->guard] | lo->cur->guard_neg;
    }
    return u;
}

struct uop *emit(struct lower *lo, const char *fmt, ...)
{
    char name[64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    const struct uop_handler *h = ptx_handler(name);
    if (!h) {
        low_fail(lo, E_NOT_SUPPORTED, "the form '%s' is not supported", name);
        return NULL;
    }
    struct uop *u = emit_kind(lo, K_FN);
    if (u) {
        u->fn = h->fn;
        u->name = h->name;
    }
    return u;
}

uint32_t low_skip_begin(struct lower *lo)
{
    if (lo->cur->guard < 0)
        return UINT32_MAX;
    struct uop *u = emit_kind(lo, K_BRA);
    if (!u)
        return UINT32_MAX;
    u->guard ^= 1; /* those whose guard is false jump over */
    return lo->pf->nuops - 1;
}

void low_skip_end(struct lower *lo, uint32_t at)
{
    if (at == UINT32_MAX || lo->err)
        return;
    for (uint32_t i = at + 1; i < lo->pf->nuops; i++)
        lo->pf->uops[i].guard = 0;
    lo->pf->uops[at].target = lo->pf->nuops;
    struct uop *u = emit_kind(lo, K_JOIN);
    if (u)
        u->guard = 0;
}

/* ---- operands ----------------------------------------------------------------------------------------- */

static uint32_t add_const(struct lower *lo, unsigned bytes, const void *lane)
{
    struct prog *g = lo->prog;
    unsigned total = bytes * WARP;
    /* the pool is small and mostly the last few are repeated: search backwards, bounded */
    for (uint32_t at = g->nconst, i = 0; at >= 64 && i < 256; i++) {
        at -= 64;
        if (at + total <= g->nconst && !memcmp(g->consts + at, lane, bytes) &&
            !memcmp(g->consts + at, g->consts + at + bytes, total - bytes))
            return at | B_CONST;
    }
    if (g->nconst + total > (64u << 20)) {
        low_fail(lo, E_OUT_OF_MEMORY, "too many constants");
        return B_CONST;
    }
    while (g->nconst + total > g->cap_const) {
        uint32_t want = g->cap_const ? g->cap_const * 2 : 16384;
        uint8_t *nb = aligned_alloc(64, want);
        if (!nb) {
            low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
            return B_CONST;
        }
        if (g->nconst)
            memcpy(nb, g->consts, g->nconst);
        free(g->consts);
        g->consts = nb;
        g->cap_const = want;
    }
    uint32_t at = g->nconst;
    for (unsigned i = 0; i < WARP; i++)
        memcpy(g->consts + at + i * bytes, lane, bytes);
    g->nconst += total;
    return at | B_CONST;
}

uint32_t low_const32(struct lower *lo, uint32_t v)
{
    return add_const(lo, 4, &v);
}

uint32_t low_const64(struct lower *lo, uint64_t v)
{
    return add_const(lo, 8, &v);
}

uint32_t low_tmp(struct lower *lo, unsigned bytes)
{
    lo->tmp = (lo->tmp + 63) & ~63u;
    uint32_t at = lo->tmp;
    lo->tmp += bytes;
    if (lo->tmp > lo->tmp_max)
        lo->tmp_max = lo->tmp;
    return at;
}

unsigned low_reg_bits(const struct lower *lo, const struct ir_opnd *o)
{
    return o->kind == O_REG ? ptx_type_bits[lo->fn->regs[o->idx].type] : 0;
}

static unsigned slot_class(unsigned bits)
{
    return bits == 1 ? 0 : bits <= 32 ? 1 : 2;
}

static int bad_class(struct lower *lo, const struct ir_opnd *o, unsigned type)
{
    return low_fail(lo, E_INVALID_PTX, "register %.60s of type .%s where .%s is wanted",
                    lo->fn->regs[o->idx].name, ptx_type_name[lo->fn->regs[o->idx].type],
                    ptx_type_name[type]);
}

uint32_t low_dst(struct lower *lo, const struct ir_opnd *o, unsigned type)
{
    unsigned bits = ptx_type_bits[type];
    if (o->kind == O_SINK)
        return low_tmp(lo, bits == 64 ? SLOT64 : SLOT32);
    if (o->kind != O_REG || (o->flags & OF_NEG)) {
        low_fail(lo, E_INVALID_PTX, "the result is not a register");
        return 0;
    }
    if (slot_class(low_reg_bits(lo, o)) != slot_class(bits) || low_reg_bits(lo, o) > 64) {
        bad_class(lo, o, type);
        return 0;
    }
    return lo->slot[o->idx];
}

static uint32_t imm_code(struct lower *lo, const struct ir_opnd *o, unsigned type)
{
    uint64_t v = o->val;
    switch (type) {
    case T_PRED: {
        uint32_t m = v ? FULL : 0;
        return low_const32(lo, m);
    }
    case T_F32:
        if (o->flags & OF_FLT64) {
            double d;
            float f;
            uint32_t b;
            memcpy(&d, &v, 8);
            f = (float)d;
            memcpy(&b, &f, 4);
            return low_const32(lo, b);
        }
        return low_const32(lo, v);
    case T_F64:
        if (o->flags & OF_FLT32) {
            float f;
            double d;
            uint32_t b = v;
            memcpy(&f, &b, 4);
            d = f;
            memcpy(&v, &d, 8);
        }
        return low_const64(lo, v);
    default:
        if (ptx_type_bits[type] == 64)
            return low_const64(lo, v);
        if (o->flags & OF_FLT64) {
            double d;
            float f;
            uint32_t b;
            memcpy(&d, &v, 8);
            f = (float)d;
            memcpy(&b, &f, 4);
            v = b;
        }
        return low_const32(lo, v);
    }
}

/* Value of a variable's or function's name: its address in its own state space. */
static uint32_t sym_code(struct lower *lo, const struct ir_opnd *o, unsigned type)
{
    uint64_t v = o->val;
    bool wide = ptx_type_bits[type] == 64;
    if (o->kind == O_FUNC) {
        v = PTX_APERTURE_FUNC + o->idx;
    } else {
        const struct ir_var *x = o->var;
        switch (x->space) {
        case SP_GLOBAL:
        case SP_CONST:
            if (!x->addr) {
                low_fail(lo, E_NO_BINARY, "variable '%.100s' is not defined in this module",
                         x->name);
                return 0;
            }
            v += x->addr;
            break;
        case SP_SHARED:
            v += x->shoff;
            break;
        case SP_PARAM:
            v += x->off;
            break;
        default: { /* local memory: relative to the frame when we are in a function */
            v += x->off;
            if (lo->fn->entry)
                break;
            struct uop *u = emit(lo, "frameaddr.%s", wide ? "64" : "32");
            if (!u)
                return 0;
            u->guard = 0;
            u->imm = v;
            u->d = low_tmp(lo, wide ? SLOT64 : SLOT32);
            return u->d;
        }
        }
    }
    return wide ? low_const64(lo, v) : low_const32(lo, v);
}

uint32_t low_src(struct lower *lo, const struct ir_opnd *o, unsigned type)
{
    unsigned bits = ptx_type_bits[type];
    switch (o->kind) {
    case O_REG:
        if (slot_class(low_reg_bits(lo, o)) != slot_class(bits) || low_reg_bits(lo, o) > 64) {
            bad_class(lo, o, type);
            return 0;
        }
        if (o->flags & OF_NEG) {
            if (type != T_PRED) {
                low_fail(lo, E_INVALID_PTX, "'!' before an operand that is no predicate");
                return 0;
            }
            struct uop *u = emit(lo, "not.pred");
            if (!u)
                return 0;
            u->guard = 0;
            u->a = lo->slot[o->idx];
            u->d = low_tmp(lo, 4);
            return u->d;
        }
        return lo->slot[o->idx];
    case O_IMM:
        return imm_code(lo, o, type);
    case O_SREG: {
        if (bits == 1 || o->idx >= SR_LANES) {
            low_fail(lo, E_NOT_SUPPORTED, "special register where only mov can read it");
            return 0;
        }
        uint32_t code = o->idx * SLOT32 | B_SREG;
        if (bits == 64) {
            struct uop *u = emit(lo, "cvt.64.u32");
            if (!u)
                return 0;
            u->guard = 0;
            u->a = code;
            u->d = low_tmp(lo, SLOT64);
            return u->d;
        }
        return code;
    }
    case O_VAR:
    case O_FUNC:
        if (bits < 32) {
            low_fail(lo, E_INVALID_PTX, "an address does not fit into .%s", ptx_type_name[type]);
            return 0;
        }
        return sym_code(lo, o, type);
    default:
        low_fail(lo, E_INVALID_PTX, "operand of the wrong kind");
        return 0;
    }
}

int low_address(struct lower *lo, const struct ir_opnd *o, struct low_addr *a)
{
    *a = (struct low_addr){.reg = NO_REG};
    if (o->kind != O_ADDR)
        return low_fail(lo, o->kind == O_OTHER ? E_NOT_SUPPORTED : E_INVALID_PTX,
                        "the address operand is not [base+offset]");
    a->off = o->val;
    if (o->sub == O_REG) {
        unsigned bits =
            low_reg_bits(lo, o) ? low_reg_bits(lo, o) : ptx_type_bits[lo->fn->regs[o->idx].type];
        if (bits != 32 && bits != 64)
            return low_fail(lo, E_INVALID_PTX, "address register of %u bits", bits);
        a->reg = lo->slot[o->idx];
        a->wide = bits == 64;
    } else if (o->sub == O_VAR) {
        const struct ir_var *v = o->var;
        a->space = v->space;
        switch (v->space) {
        case SP_GLOBAL:
        case SP_CONST:
            if (!v->addr)
                return low_fail(lo, E_NO_BINARY, "variable '%.100s' is not defined in this module",
                                v->name);
            a->off += v->addr;
            break;
        case SP_SHARED:
            a->off += v->shoff;
            break;
        case SP_PARAM:
            a->off += v->off;
            break;
        default:
            a->off += v->off;
            if (!lo->fn->entry) {
                struct uop *u = emit(lo, "frameaddr.64");
                if (!u)
                    return -1;
                u->guard = 0;
                u->d = a->reg = low_tmp(lo, SLOT64);
                a->wide = true;
            }
        }
    }
    return 0;
}

void low_fpmode(struct lower *lo, struct uop *u, bool rounds, bool ftz)
{
    unsigned m = ftz ? CSR_FTZ : 0;
    if (take(lo, M_rz))
        m |= CSR_RZ;
    else if (take(lo, M_rm))
        m |= CSR_RM;
    else if (take(lo, M_rp))
        m |= CSR_RP;
    else
        take(lo, M_rn);
    (void)rounds;
    if (u) {
        u->csr = m;
        u->csrmask = CSR_ALL;
    }
}

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

static int lower_func(struct lower *lo, struct pfunc *pf)
{
    struct ir_func *f = pf->ir;
    lo->fn = f;
    lo->pf = pf;
    lo->cur = NULL;
    int rc = -1;
    uint32_t *spins = calloc(f->ninsns + 1, sizeof(uint32_t)); /* spinning insns before i */
    uint32_t *ends = malloc(sizeof(uint32_t) * (f->nlabels + 1));
    lo->slot = calloc(f->nregs + 1, sizeof(uint32_t));
    lo->label_uop = calloc(f->nlabels + 1, sizeof(uint32_t));
    if (!spins || !ends || !lo->slot || !lo->label_uop) {
        low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
        goto out;
    }
    if (f->unsupported) {
        low_fail(lo, E_NOT_SUPPORTED, "%s is not supported", f->unsupported);
        goto out;
    }
    if (cfg_build(lo))
        goto out;
    lo->tmp_max = lo->tmp_base;
    for (uint32_t i = 0; i < f->ninsns; i++) {
        bool s = insn_spins(&f->insns[i]);
        spins[i + 1] = spins[i] + s;
        if (s && ptx_opcodes[f->insns[i].op].lower != low_call)
            lo->prog->spins = true;
    }
    /* labels in the order of their place */
    uint32_t nl = 0;
    for (uint32_t i = 0; i < f->nlabels; i++)
        if (!f->labels[i].table)
            ends[nl++] = f->labels[i].insn;
    qsort(ends, nl, sizeof(uint32_t), cmp_u32);
    uint32_t *uop_of = calloc(f->ninsns + 2, sizeof(uint32_t));
    if (!uop_of) {
        low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
        goto out;
    }
    uint32_t next = 0;
    for (uint32_t i = 0; i <= f->ninsns; i++) {
        lo->cur = NULL;
        lo->tmp = lo->tmp_base;
        uop_of[i] = pf->nuops;
        if (next < nl && ends[next] == i) {
            while (next < nl && ends[next] == i)
                next++;
            if (!emit_kind(lo, K_JOIN))
                goto free_map;
        }
        if (i == f->ninsns)
            break;
        const struct ir_insn *in = &f->insns[i];
        const struct ptx_opcode *oc = &ptx_opcodes[in->op];
        lo->cur = in;
        if (in->bad) {
            low_fail(lo, E_NOT_SUPPORTED, "modifier .%s is not supported", in->bad);
            goto free_map;
        }
        if (!oc->lower) {
            low_fail(lo, E_NOT_SUPPORTED, "the instruction is not supported");
            goto free_map;
        }
        memcpy(lo->rem, in->mods, sizeof(lo->rem));
        if (oc->lower(lo, in) || lo->err) {
            if (!lo->err)
                low_fail(lo, E_NOT_SUPPORTED, "not supported");
            goto free_map;
        }
        for (unsigned m = 0; m < M_COUNT; m++) {
            if (!(lo->rem[m >> 6] >> (m & 63) & 1))
                continue;
            low_fail(lo, E_NOT_SUPPORTED, "modifier .%s is not supported here", ptx_mod_str(m));
            goto free_map;
        }
    }
    lo->cur = NULL;
    if (!emit_kind(lo, K_END))
        goto free_map;
    /* branch targets: labels to micro-ops; low_bra left the label's number + 1 in u->e */
    for (uint32_t i = 0; i < pf->nuops; i++) {
        struct uop *u = &pf->uops[i];
        if (u->kind != K_BRA || !u->e)
            continue;
        const struct ir_label *l = &f->labels[u->e - 1];
        u->target = uop_of[l->insn];
        if (u->target <= i) {
            /* the loop's body in source order */
            uint32_t from = l->insn, to = from;
            while (to < f->ninsns && uop_of[to] <= i)
                to++;
            u->f = BRA_BACK | (spins[to] > spins[from] ? BRA_SPIN : 0);
        }
    }
    for (uint32_t i = 0; i < pf->ntargets; i++)
        pf->targets[i] = uop_of[f->labels[pf->targets[i]].insn];
    pf->frame_bytes = (lo->tmp_max + 63) & ~63u;
    pf->local_bytes = f->local_bytes;
    pf->lowered = true;
    rc = 0;
free_map:
    free(uop_of);
out:
    free(spins);
    free(ends);
    free(lo->slot);
    free(lo->label_uop);
    lo->slot = lo->label_uop = NULL;
    return rc;
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

static int lower_prog(struct ptx_kernel *k, bool unshared, struct prog **out, char *log,
                      size_t log_n)
{
    struct reach r;
    struct lower lo = {.k = k, .log = log, .log_n = log_n, .unshared = unshared};
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
    for (uint32_t i = 0; i < r.n && !lo.err; i++)
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

int ptx_lower_twice(struct ptx_kernel *k, struct prog **real, struct prog **virt)
{
    char log[16];
    int err;

    *real = *virt = NULL;
    pthread_mutex_lock(&k->mod->lock);
    err = lower_prog(k, false, real, log, sizeof(log));
    if (!err && (err = lower_prog(k, true, virt, log, sizeof(log)))) {
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
        k->prep_err = lower_prog(k, false, &k->prog, k->prep_log, sizeof(k->prep_log));
    err = k->prep_err;
    if (log && log_n)
        snprintf(log, log_n, "%s", k->prep_log);
    pthread_mutex_unlock(&k->mod->lock);
    return err;
}
