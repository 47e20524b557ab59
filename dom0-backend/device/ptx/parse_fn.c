/* SPDX-License-Identifier: MIT */
/* parse_fn.c - function bodies: declarations, labels, instructions and their operands. */
#include "parse.h"

static struct ir_opnd *add_opnd(struct parser *p, uint32_t *idx)
{
    struct ir_func *f = p->fn;
    struct ir_opnd *a = grow(f->opnds, sizeof(*a), f->nopnds, &f->cap_opnds);
    if (!a) {
        perr(p, E_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    f->opnds = a;
    *idx = f->nopnds++;
    memset(&a[*idx], 0, sizeof(*a));
    return &a[*idx];
}

static const struct {
    const char *base;
    uint8_t first; /* .x; .y and .z follow */
} sreg3[] = {{"%tid", SR_TID_X},
             {"%ntid", SR_NTID_X},
             {"%ctaid", SR_CTAID_X},
             {"%nctaid", SR_NCTAID_X},
             {"%nclusterid", SR_NCTAID_X},
             {"%clusterid", SR_CTAID_X},
             {"%cluster_nctaid", SR_CLUSTER_ONE},
             {"%cluster_ctaid", SR_CLUSTER_ZERO}};
static const struct {
    const char *name;
    uint8_t sr;
} sreg1[] = {
    {"%laneid", SR_LANEID},
    {"%warpid", SR_WARPID},
    {"%nwarpid", SR_NWARPID},
    {"%smid", SR_SMID},
    {"%nsmid", SR_NSMID},
    {"%gridid", SR_GRIDID},
    {"%lanemask_eq", SR_LM_EQ},
    {"%lanemask_le", SR_LM_LE},
    {"%lanemask_lt", SR_LM_LT},
    {"%lanemask_ge", SR_LM_GE},
    {"%lanemask_gt", SR_LM_GT},
    {"%clock", SR_CLOCK},
    {"%clock_hi", SR_CLOCK_HI},
    {"%clock64", SR_CLOCK64},
    {"%globaltimer", SR_GLOBALTIMER},
    {"%globaltimer_lo", SR_GLOBALTIMER_LO},
    {"%globaltimer_hi", SR_GLOBALTIMER_HI},
    {"%dynamic_smem_size", SR_DYN_SMEM},
    {"%total_smem_size", SR_TOTAL_SMEM},
    {"%aggr_smem_size", SR_AGGR_SMEM},
    {"%reserved_smem_offset_begin", SR_RESERVED_BEGIN},
    {"%reserved_smem_offset_end", SR_RESERVED_END},
    {"%reserved_smem_offset_cap", SR_RESERVED_CAP},
    {"%reserved_smem_offset_0", SR_RESERVED_BEGIN},
    {"%reserved_smem_offset_1", SR_RESERVED_1},
    {"%envreg0", SR_ENVREG0},
    {"%envreg1", SR_ENVREG1},
    {"%envreg2", SR_ENVREG2},
    {"%cluster_ctarank", SR_CLUSTER_ZERO},
    {"%cluster_nctarank", SR_CLUSTER_ONE},
    {"WARP_SZ", SR_WARPSZ},
};

/* The current token names a special register? Consumes it; -1 when it does not. */
static int parse_sreg(struct parser *p)
{
    struct lexer *lx = &p->lx;
    for (unsigned i = 0; i < sizeof(sreg1) / sizeof(sreg1[0]); i++)
        if (tok_is(p, TK_IDENT, sreg1[i].name)) {
            lex_next(lx);
            p->m->reserved |= sreg1[i].sr >= SR_RESERVED_BEGIN && sreg1[i].sr <= SR_RESERVED_1;
            return sreg1[i].sr;
        }
    for (unsigned i = 0; i < sizeof(sreg3) / sizeof(sreg3[0]); i++)
        if (tok_is(p, TK_IDENT, sreg3[i].base)) {
            lex_next(lx);
            if (lx->t != TK_DOT || lx->n != 1 || lx->s[0] < 'x' || lx->s[0] > 'z')
                return -1;
            int c = lx->s[0] - 'x';
            lex_next(lx);
            if (sreg3[i].first == SR_CLUSTER_ONE || sreg3[i].first == SR_CLUSTER_ZERO)
                return sreg3[i].first;
            return sreg3[i].first + c;
        }
    return -1;
}

/* Fills *o from a name: register, variable, function, special register or label. */
static int parse_name(struct parser *p, struct ir_opnd *o, uint32_t opnd_idx)
{
    struct lexer *lx = &p->lx;
    if (tok_is(p, TK_IDENT, "_")) {
        o->kind = O_SINK;
        lex_next(lx);
        return 0;
    }
    struct sym *y = sym_find(p, lx->s, lx->n);
    if (p->err)
        return -1;
    if (y) {
        if (y->kind == S_REG) {
            o->kind = O_REG;
            o->idx = y->idx;
        } else if (y->kind == S_VAR) {
            o->kind = O_VAR;
            o->var = y->var;
            y->var->used = true;
        } else if (y->kind == S_FUNC) {
            o->kind = O_FUNC;
            o->idx = y->idx;
            p->m->funcs[y->idx]->used = true;
        } else {
            return perr_token(p, "a register (the number is missing)");
        }
        lex_next(lx);
        return 0;
    }
    const char *s = lx->s;
    size_t n = lx->n;
    uint32_t line = lx->line;
    int sr = parse_sreg(p);
    if (sr >= 0) {
        o->kind = O_SREG;
        o->idx = sr;
        return 0;
    }
    if (*s == '%') {
        return perr(p, E_INVALID_PTX, "'%.*s' is not declared", (int)(n > 100 ? 100 : n), s);
    }
    struct label_ref *r = grow(p->refs, sizeof(*r), p->nrefs, &p->cap_refs);
    if (!r)
        return perr(p, E_OUT_OF_MEMORY, "out of memory");
    p->refs = r;
    r[p->nrefs++] = (struct label_ref){s, n, p->scope_id[p->depth], line, opnd_idx};
    o->kind = O_LABEL;
    lex_next(lx);
    return 0;
}

static int parse_imm(struct parser *p, struct ir_opnd *o)
{
    struct lexer *lx = &p->lx;
    bool neg = accept(p, '-');
    o->kind = O_IMM;
    if (lx->t == TK_INT) {
        o->val = neg ? -lx->val : lx->val;
    } else if (lx->t == TK_F32) {
        o->val = lx->val ^ (neg ? 0x80000000u : 0);
        o->flags |= OF_FLT32;
    } else if (lx->t == TK_F64) {
        o->val = lx->val ^ (neg ? 1ull << 63 : 0);
        o->flags |= OF_FLT64;
    } else {
        return perr_token(p, "an operand");
    }
    lex_next(lx);
    return 0;
}

/* + imm or - imm after a base, any number of times */
static int parse_offset(struct parser *p, uint64_t *val)
{
    while (is_punct(p, '+') || is_punct(p, '-')) {
        bool neg = p->lx.c == '-';
        int64_t v;
        lex_next(&p->lx);
        if (parse_int(p, &v))
            return -1;
        *val += neg ? -(uint64_t)v : (uint64_t)v;
    }
    return 0;
}

/* One scalar operand: register, !register, immediate, name[+offset]. */
static int parse_scalar(struct parser *p, struct ir_opnd *o, uint32_t idx)
{
    bool neg = accept(p, '!');
    memset(o, 0, sizeof(*o));
    if (p->lx.t == TK_IDENT) {
        if (parse_name(p, o, idx))
            return -1;
        if (o->kind == O_VAR && parse_offset(p, &o->val))
            return -1;
        if (o->kind == O_REG && p->lx.t == TK_DOT && p->video_op) {
            const struct lexer *lx = &p->lx;
            bool half = lx->n == 2 && lx->s[0] == 'h' && (lx->s[1] == '0' || lx->s[1] == '1');

            if (!half && (lx->n != 2 || lx->s[0] != 'b' || lx->s[1] < '0' || lx->s[1] > '3'))
                return perr(p, E_NOT_SUPPORTED, "this selector is not supported");
            o->n = (uint8_t)(lx->s[1] - '0' + (half ? 5 : 1));
            lex_next(&p->lx);
        } else if (o->kind == O_REG && p->lx.t == TK_DOT) {
            /* element of a vector register: %v.x; nvcc does not write them */
            return perr(p, E_NOT_SUPPORTED, "vector registers are not supported");
        }
    } else if (parse_imm(p, o)) {
        return -1;
    }
    if (neg) {
        if (o->kind != O_REG)
            return perr_token(p, "a predicate after '!'");
        o->flags |= OF_NEG;
    }
    return 0;
}

/* Elements up to `close`, placed together in the operand array. */
static int parse_elems(struct parser *p, char close, uint32_t *first, uint8_t *count)
{
    struct ir_opnd tmp[64];
    uint32_t nref0[64];
    unsigned n = 0;
    while (!is_punct(p, close)) {
        if (n == 64)
            return perr(p, E_INVALID_PTX, "more than 64 operands in a list");
        nref0[n] = p->nrefs;
        if (parse_scalar(p, &tmp[n], 0))
            return -1;
        n++;
        if (!accept(p, ','))
            break;
    }
    if (expect(p, close))
        return -1;
    *count = n;
    *first = p->fn->nopnds;
    for (unsigned i = 0; i < n; i++) {
        uint32_t idx;
        struct ir_opnd *o = add_opnd(p, &idx);
        if (!o)
            return -1;
        *o = tmp[i];
        if (o->kind == O_LABEL)
            p->refs[nref0[i]].opnd = idx;
    }
    return 0;
}

/* The predicate of {...}|p, right behind the elements. */
static int parse_extra(struct parser *p, struct ir_opnd *vec)
{
    struct ir_opnd pred, *e;
    uint32_t k;
    if (vec->idx + vec->n != p->fn->nopnds || parse_scalar(p, &pred, 0))
        return perr_token(p, "a predicate after '|'");
    if ((pred.kind != O_REG && pred.kind != O_SINK) || !(e = add_opnd(p, &k)))
        return perr_token(p, "a predicate after '|'");
    *e = pred;
    vec->flags |= OF_EXTRA;
    vec->n++;
    return 0;
}

/* The rest of [a, {c, ...}] or [a, c] after a, which is *o: makes it an O_TEX. */
static int parse_coords(struct parser *p, struct ir_opnd *o)
{
    struct ir_opnd base = *o, tmp[4], *e;
    unsigned n = 0;
    uint32_t k;
    base.kind = base.sub;
    base.sub = 0;
    if (expect(p, ','))
        return -1;
    bool braces = accept(p, '{');
    do {
        if (n == 4)
            return perr(p, E_INVALID_PTX, "more than 4 coordinates");
        if (parse_scalar(p, &tmp[n], 0))
            return -1;
        if (tmp[n].kind == O_LABEL)
            return perr(p, E_INVALID_PTX, "a coordinate names something that is not declared");
        n++;
    } while (braces && accept(p, ','));
    if ((braces && expect(p, '}')) || expect(p, ']'))
        return -1;
    *o = (struct ir_opnd){.kind = O_TEX, .n = (uint8_t)(n + 1), .idx = p->fn->nopnds};
    if (!(e = add_opnd(p, &k)))
        return -1;
    *e = base;
    for (unsigned i = 0; i < n; i++) {
        if (!(e = add_opnd(p, &k)))
            return -1;
        *e = tmp[i];
    }
    return 0;
}

static int parse_operand(struct parser *p, struct ir_opnd *o, uint32_t idx)
{
    memset(o, 0, sizeof(*o));
    if (accept(p, '{')) {
        o->kind = O_VEC;
        if (parse_elems(p, '}', &o->idx, &o->n))
            return -1;
        return accept(p, '|') ? parse_extra(p, o) : 0;
    }
    if (accept(p, '(')) {
        o->kind = O_LIST;
        return parse_elems(p, ')', &o->idx, &o->n);
    }
    if (accept(p, '[')) {
        struct ir_opnd b;
        if (parse_scalar(p, &b, idx) || parse_offset(p, &b.val))
            return -1;
        *o = b;
        o->sub = b.kind;
        o->kind = O_ADDR;
        if (b.kind != O_REG && b.kind != O_VAR && b.kind != O_IMM)
            o->kind = O_OTHER;
        if (b.kind == O_LABEL)
            return perr(p, E_INVALID_PTX, "address names something that is not declared");
        if (p->tex_op && is_punct(p, ','))
            return parse_coords(p, o);
        if (accept(p, ',')) { /* barrier operands: parsed, not understood */
            unsigned depth = 1;
            o->kind = O_OTHER;
            while (depth) {
                if (p->lx.t == TK_EOF || p->lx.t == TK_BAD || is_punct(p, ';'))
                    return perr_token(p, "']'");
                if (is_punct(p, '['))
                    depth++;
                if (is_punct(p, ']') && --depth == 0)
                    break;
                lex_next(&p->lx);
            }
        }
        return expect(p, ']');
    }
    if (parse_scalar(p, o, idx))
        return -1;
    if (accept(p, '|')) {
        struct ir_opnd second;
        if (parse_scalar(p, &second, idx))
            return -1;
        if (o->kind == O_LABEL || second.kind == O_LABEL)
            return perr_token(p, "registers around '|'");
        struct ir_opnd pair = {.kind = O_PAIR, .n = 2, .idx = p->fn->nopnds}, *e;
        uint32_t k;
        if (!(e = add_opnd(p, &k)))
            return -1;
        *e = *o;
        if (!(e = add_opnd(p, &k)))
            return -1;
        *e = second;
        *o = pair;
    }
    return 0;
}

static int parse_modifiers(struct parser *p, struct ir_insn *in)
{
    struct lexer *lx = &p->lx;
    for (; lx->t == TK_DOT; lex_next(lx)) {
        unsigned t = ptx_type_find(lx->s, lx->n);
        if (t != T_NONE) {
            if (in->ntype == 4)
                return perr_token(p, "at most four types");
            in->type[in->ntype++] = t;
            continue;
        }
        const char *s = lx->s;
        size_t n = lx->n;
        const char *colon = memchr(s, ':', n);
        int m;
        if (!colon)
            m = ptx_mod_find(s, n);
        else if (!strcmp(ptx_opcodes[in->op].name, "createpolicy"))
            m = M_L2;
        else if ((n == 11 && !memcmp(s, "shared::cta", n)) ||
                 (n == 15 && !memcmp(s, "shared::cluster", n)))
            m = M_shared; /* clusters are of one block here */
        else if (n == 28 && !memcmp(s, "mbarrier::complete_tx::bytes", n))
            m = M_mbarrier;
        else if (n == 14 && !memcmp(s, "L2::cache_hint", n)) {
            m = M_L2;
            p->cache_hint = true;
        } else if (n == 13 && !memcmp(s, "param::kernel", n))
            m = M_param;
        else if (n == 11 && !memcmp(s, "param::func", n))
            m = M_param;
        else if (n > 4 && !memcmp(s, "L1::", 4))
            m = M_L1; /* cache hints */
        else if (n > 4 && !memcmp(s, "L2::", 4))
            m = M_L2;
        else
            m = -1;
        if (m >= 0) {
            in->mods[m >> 6] |= 1ull << (m & 63);
        } else if (!in->bad && !(in->bad = pool_strndup(&p->m->pool, s, n > 40 ? 40 : n))) {
            return perr(p, E_OUT_OF_MEMORY, "out of memory");
        }
    }
    return 0;
}

static int parse_insn(struct parser *p)
{
    struct lexer *lx = &p->lx;
    struct ir_func *f = p->fn;
    struct ir_insn in = {.guard = -1, .line = lx->line};

    if (accept(p, '@')) {
        in.guard_neg = accept(p, '!');
        if (lx->t != TK_IDENT)
            return perr_token(p, "a predicate register");
        struct sym *y = sym_find(p, lx->s, lx->n);
        if (p->err)
            return -1;
        if (!y || y->kind != S_REG || y->type != T_PRED)
            return perr_token(p, "a predicate register");
        in.guard = y->idx;
        lex_next(lx);
    }
    if (lx->t != TK_IDENT)
        return perr_token(p, "an instruction");
    int op = ptx_opcode_find(lx->s, lx->n);
    if (op < 0)
        return perr_token(p, "an instruction");
    in.op = op;
    p->tex_op = ptx_is_tex(op);
    p->video_op = ptx_is_video(op);
    p->cache_hint = false;
    lex_next(lx);
    if (parse_modifiers(p, &in))
        return -1;
    struct ir_opnd list[LIM_OPNDS];
    uint32_t ref[LIM_OPNDS];
    unsigned n = 0;
    while (!is_punct(p, ';')) {
        if (n == LIM_OPNDS)
            return perr(p, E_INVALID_PTX, "more than %d operands", LIM_OPNDS);
        ref[n] = p->nrefs;
        if (parse_operand(p, &list[n], 0))
            return -1;
        n++;
        if (!accept(p, ','))
            break;
    }
    if (expect(p, ';'))
        return -1;
    if (p->cache_hint) { /* the last operand is the policy: it changes nothing one can see */
        if (n < 2 || list[n - 1].kind != O_REG)
            return perr(p, E_INVALID_PTX, "a cache policy is wanted");
        n--;
    }
    const struct ptx_opcode *oc = &ptx_opcodes[op];
    if (n < oc->min || n > oc->max)
        return perr(p, E_INVALID_PTX, "'%s' has %u operands, allowed are %u to %u", oc->name, n,
                    oc->min, oc->max);
    in.nopnd = n;
    in.opnd = f->nopnds;
    for (unsigned i = 0; i < n; i++) {
        uint32_t idx;
        struct ir_opnd *o = add_opnd(p, &idx);
        if (!o)
            return -1;
        *o = list[i];
        if (o->kind == O_LABEL)
            p->refs[ref[i]].opnd = idx;
    }
    if (f->ninsns >= LIM_INSNS)
        return perr(p, E_INVALID_PTX, "more than %u instructions in one function", LIM_INSNS);
    struct ir_insn *a = grow(f->insns, sizeof(*a), f->ninsns, &f->cap_insns);
    if (!a)
        return perr(p, E_OUT_OF_MEMORY, "out of memory");
    f->insns = a;
    a[f->ninsns++] = in;
    return 0;
}

static int parse_regs(struct parser *p)
{
    struct lexer *lx = &p->lx;
    struct ir_func *f = p->fn;
    if (lx->t == TK_DOT && (tok_is(p, TK_DOT, "v2") || tok_is(p, TK_DOT, "v4")))
        return perr(p, E_NOT_SUPPORTED, "vector registers are not supported");
    unsigned t = lx->t == TK_DOT ? ptx_type_find(lx->s, lx->n) : T_NONE;
    if (t == T_NONE || !ptx_type_bits[t])
        return perr_token(p, "a register type");
    lex_next(lx);
    do {
        if (lx->t != TK_IDENT)
            return perr_token(p, "a register's name");
        const char *s = lx->s;
        size_t n = lx->n;
        lex_next(lx);
        if (accept(p, '<')) {
            int64_t cnt;
            if (parse_int(p, &cnt) || expect(p, '>'))
                return -1;
            if (cnt < 0 || cnt > 999999999)
                return perr(p, E_INVALID_PTX, "%lld registers", (long long)cnt);
            struct sym *y = sym_add(p, S_REGRANGE, s, n);
            if (!y)
                return -1;
            y->type = t;
            y->idx = cnt;
        } else {
            if (f->nregs >= LIM_REGS)
                return perr(p, E_INVALID_PTX, "more than %u registers in one function", LIM_REGS);
            struct ir_reg *r = grow(f->regs, sizeof(*r), f->nregs, &f->cap_regs);
            if (!r)
                return perr(p, E_OUT_OF_MEMORY, "out of memory");
            f->regs = r;
            struct sym *y = sym_add(p, S_REG, s, n);
            if (!y)
                return -1;
            y->type = t;
            y->idx = f->nregs;
            r[f->nregs++] = (struct ir_reg){t, y->name};
        }
    } while (accept(p, ','));
    return expect(p, ';');
}

/* name: at the current place, or name: .branchtargets L, L; or name: .callprototype ...; */
static int add_label(struct parser *p, const char *s, size_t n)
{
    struct ir_func *f = p->fn;
    struct ir_label *a = grow(f->labels, sizeof(*a), f->nlabels, &f->cap_labels);
    if (!a)
        return perr(p, E_OUT_OF_MEMORY, "out of memory");
    f->labels = a;
    struct ir_label *l = &a[f->nlabels];
    *l = (struct ir_label){.scope = p->scope_id[p->depth], .insn = f->ninsns};
    if (!(l->name = pool_strndup(&p->m->pool, s, n)))
        return perr(p, E_OUT_OF_MEMORY, "out of memory");
    f->nlabels++;
    if (tok_is(p, TK_DOT, "callprototype") || tok_is(p, TK_DOT, "calltargets")) {
        l->table = true;
        return skip_to_semicolon(p);
    }
    if (tok_is(p, TK_DOT, "branchtargets")) {
        l->table = true;
        lex_next(&p->lx);
        l->target0 = f->nopnds;
        do {
            uint32_t idx;
            struct ir_opnd *o = add_opnd(p, &idx), tmp = {0};
            if (!o)
                return -1;
            if (p->lx.t != TK_IDENT)
                return perr_token(p, "a label");
            if (parse_name(p, &tmp, idx))
                return -1;
            if (tmp.kind != O_LABEL)
                return perr(p, E_INVALID_PTX, ".branchtargets names something not a label");
            f->opnds[idx] = tmp;
            f->labels[f->nlabels - 1].ntarget++;
        } while (accept(p, ','));
        return expect(p, ';');
    }
    return 0;
}

struct label_key {
    const char *name;
    size_t len;
    uint32_t idx;
};

static int label_cmp(const void *a, const void *b)
{
    const struct label_key *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int c = memcmp(x->name, y->name, n);
    return c ? c : x->len < y->len ? -1 : x->len > y->len;
}

/* Labels may be used before they are defined; a reference sees its own scope and those around it. */
static int resolve_labels(struct parser *p)
{
    struct ir_func *f = p->fn;
    struct label_key *keys = malloc(sizeof(*keys) * (f->nlabels + 1));
    if (!keys)
        return perr(p, E_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < f->nlabels; i++)
        keys[i] = (struct label_key){f->labels[i].name, strlen(f->labels[i].name), i};
    qsort(keys, f->nlabels, sizeof(*keys), label_cmp);
    int rc = 0;
    for (uint32_t i = 0; i < p->nrefs && !rc; i++) {
        struct label_ref *r = &p->refs[i];
        uint32_t lo = 0, hi = f->nlabels;
        struct label_key want = {r->name, r->len, 0};
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (label_cmp(&keys[mid], &want) < 0)
                lo = mid + 1;
            else
                hi = mid;
        }
        int64_t best = -1;
        for (uint32_t s = r->scope;; s = p->scope_parent[s]) {
            for (uint32_t k = lo; k < f->nlabels && !label_cmp(&keys[k], &want) && best < 0; k++)
                if (f->labels[keys[k].idx].scope == s)
                    best = keys[k].idx;
            if (best >= 0 || s == 0)
                break;
        }
        if (best < 0) {
            p->lx.line = r->line;
            rc = perr(p, E_INVALID_PTX, "'%.*s' is not declared",
                      (int)(r->len > 100 ? 100 : r->len), r->name);
            break;
        }
        f->opnds[r->opnd].idx = best;
    }
    free(keys);
    p->nrefs = 0;
    return rc;
}

int parse_body(struct parser *p, struct ir_func *f)
{
    struct lexer *lx = &p->lx;
    uint32_t base = p->depth;
    if (!p->scope_parent || expect(p, '{'))
        return -1;
    p->scope_parent[0] = 0;
    if (scope_enter(p))
        return -1;
    p->nrefs = 0;
    while (p->depth > base) {
        if (lx->t == TK_EOF || lx->t == TK_BAD)
            return perr_token(p, "'}'");
        if (accept(p, '}')) {
            scope_leave(p);
        } else if (accept(p, '{')) {
            if (scope_enter(p))
                return -1;
        } else if (accept(p, ';')) {
            continue;
        } else if (is_punct(p, '#')) {
            if (skip_directive_line(p))
                return -1;
        } else if (lx->t == TK_DOT) {
            enum ir_space sp = SP_NONE;
            bool ext = false;
            if (tok_is(p, TK_DOT, "reg")) {
                lex_next(lx);
                if (parse_regs(p))
                    return -1;
                continue;
            }
            if (tok_is(p, TK_DOT, "extern")) {
                ext = true;
                lex_next(lx);
            }
            if (tok_is(p, TK_DOT, "param"))
                sp = SP_FPARAM;
            else if (tok_is(p, TK_DOT, "local"))
                sp = SP_LOCAL;
            else if (tok_is(p, TK_DOT, "shared"))
                sp = SP_SHARED;
            else if (tok_is(p, TK_DOT, "global") || tok_is(p, TK_DOT, "const"))
                return perr(p, E_NOT_SUPPORTED, ".%.*s variable inside a function is not supported",
                            (int)lx->n, lx->s);
            if (sp) {
                lex_next(lx);
                if (parse_var(p, sp, ext))
                    return -1;
            } else if (tok_is(p, TK_DOT, "loc") || tok_is(p, TK_DOT, "file")) {
                if (skip_directive_line(p))
                    return -1;
            } else if (tok_is(p, TK_DOT, "pragma")) {
                if (skip_to_semicolon(p))
                    return -1;
            } else {
                return perr_token(p, "a declaration");
            }
        } else if (lx->t == TK_IDENT || is_punct(p, '@')) {
            if (lx->t == TK_IDENT) {
                struct lexer save = *lx;
                lex_next(lx);
                if (is_punct(p, ':')) {
                    lex_next(lx);
                    if (add_label(p, save.s, save.n))
                        return -1;
                    continue;
                }
                *lx = save;
            }
            if (parse_insn(p))
                return -1;
        } else {
            return perr_token(p, "an instruction");
        }
    }
    /* frame in local memory */
    uint64_t off = 0;
    for (uint32_t i = 0; i < f->nvars; i++) {
        struct ir_var *v = f->vars[i];
        if (v->space != SP_LOCAL && v->space != SP_FPARAM)
            continue;
        off = (off + v->align - 1) & ~(uint64_t)(v->align - 1);
        v->off = off;
        off += v->size;
        if (off > 512 * 1024)
            return perr(p, E_INVALID_PTX, "'%.100s' needs more than 512 KiB of local memory",
                        f->name);
    }
    f->local_bytes = (off + 15) & ~15u;
    return resolve_labels(p);
}
