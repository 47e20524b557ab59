/* SPDX-License-Identifier: MIT */
/* parse_var.c - declarations of variables, and what they are initialised with. */
#include "parse.h"

static int add_reloc(struct parser *p, struct ir_var *v, uint64_t off, unsigned size,
                     unsigned shift)
{
    bool generic = false;
    struct lexer *lx = &p->lx;
    if (tok_is(p, TK_IDENT, "generic")) {
        generic = true;
        lex_next(lx);
        if (expect(p, '('))
            return -1;
    }
    if (lx->t != TK_IDENT)
        return perr_token(p, "a variable's name");
    struct ir_reloc *r = pool_alloc(&p->m->pool, sizeof(*r));
    if (!r || !(r->name = pool_strndup(&p->m->pool, lx->s, lx->n)))
        return perr(p, E_OUT_OF_MEMORY, "out of memory");
    r->offset = off;
    r->size = size;
    r->shift = shift;
    r->generic = generic;
    r->func = -1;
    r->line = lx->line;
    lex_next(lx);
    if (generic && expect(p, ')'))
        return -1;
    if (is_punct(p, '+') || is_punct(p, '-')) {
        bool neg = lx->c == '-';
        int64_t a;
        lex_next(lx);
        if (parse_int(p, &a))
            return -1;
        r->addend = neg ? -(uint64_t)a : (uint64_t)a;
    }
    r->next = v->reloc;
    v->reloc = r;
    return 0;
}

static int init_scalar(struct parser *p, struct ir_var *v, uint64_t off)
{
    unsigned size = ptx_type_bits[v->type] / 8;
    struct lexer *lx = &p->lx;
    uint64_t bits;
    if (lx->t == TK_IDENT)
        return size >= 4 ? add_reloc(p, v, off, size, 0) : perr_token(p, "an initial value");
    bool neg = accept(p, '-');
    if (lx->t == TK_INT) {
        bits = neg ? -lx->val : lx->val;
        lex_next(lx);
        if (is_punct(p, '(') && size == 1 && bits && !(bits % 255)) {
            /* 0xFF00(symbol): one byte of an address, as in packed structures */
            unsigned shift = __builtin_ctzll(bits);
            if (shift % 8 || bits >> shift != 0xff)
                return perr(p, E_INVALID_PTX, "byte mask in an initial value");
            lex_next(lx);
            return add_reloc(p, v, off, 1, shift) || expect(p, ')') ? -1 : 0;
        }
        memcpy(v->init + off, &bits, size < 8 ? size : 8);
        return 0;
    } else if (lx->t == TK_F32) {
        bits = lx->val ^ (neg ? 0x80000000u : 0);
        if (v->type == T_F64) {
            float f;
            uint32_t b32 = bits;
            memcpy(&f, &b32, 4);
            double d = f;
            memcpy(&bits, &d, 8);
        }
    } else if (lx->t == TK_F64) {
        bits = lx->val ^ (neg ? 1ull << 63 : 0);
        if (size == 4) {
            double d;
            memcpy(&d, &bits, 8);
            float f = (float)d;
            uint32_t b32;
            memcpy(&b32, &f, 4);
            bits = b32;
        }
    } else {
        return perr_token(p, "an initial value");
    }
    memcpy(v->init + off, &bits, size < 8 ? size : 8);
    lex_next(lx);
    return 0;
}

/* = value or = { ... } nested to any depth that the array has; elements in row-major order. */
static int parse_init(struct parser *p, struct ir_var *v)
{
    unsigned size = ptx_type_bits[v->type] / 8;
    uint64_t off = 0;
    unsigned depth = 0;
    uint64_t cap = 0;
    v->has_init = true;
    if (v->space != SP_GLOBAL && v->space != SP_CONST)
        return perr(p, E_INVALID_PTX, "'%.100s' cannot have initial values", v->name);
    if (!size)
        return perr(p, E_INVALID_PTX, "'%.100s' cannot have initial values", v->name);
    uint8_t *buf = NULL;
    do {
        while (accept(p, '{'))
            if (++depth > 16) {
                perr(p, E_INVALID_PTX, "initial values nested deeper than 16");
                goto fail;
            }
        if (!(depth && is_punct(p, '}'))) {
            if (!v->open_array && off + size > v->size) {
                perr(p, E_INVALID_PTX, "more initial values than '%.100s' has room for", v->name);
                goto fail;
            }
            if (off + size > cap) {
                uint64_t want = cap ? cap * 2 : 256;
                uint8_t *nb = want > LIM_VARSIZE ? NULL : realloc(buf, want);
                if (!nb) {
                    perr(p, E_OUT_OF_MEMORY, "out of memory");
                    goto fail;
                }
                memset(nb + cap, 0, want - cap);
                buf = nb;
                cap = want;
            }
            v->init = buf;
            if (init_scalar(p, v, off))
                goto fail;
            off += size;
        }
        while (depth && accept(p, '}'))
            depth--;
    } while (depth && accept(p, ','));
    if (depth) {
        perr_token(p, "'}'");
        goto fail;
    }
    if (v->open_array)
        v->size = off;
    v->init_len = off;
    v->init = NULL;
    if (off) {
        v->init = pool_alloc(&p->m->pool, off);
        if (!v->init) {
            perr(p, E_OUT_OF_MEMORY, "out of memory");
            goto fail;
        }
        memcpy(v->init, buf, off);
    }
    free(buf);
    return 0;
fail:
    free(buf);
    v->init = NULL;
    return -1;
}

/* What precedes the names of a declaration, and holds for each of them. */
struct decl {
    struct ir_var v; /* space, ext, weak, managed, type, align: 0 is the type's */
    unsigned vec;
};

/* [.align N] [.attribute(..)] [.v2|.v4] .type [.ptr ...] */
static int parse_decl(struct parser *p, struct decl *d)
{
    struct lexer *lx = &p->lx;
    int64_t n;
    d->vec = 1;
    d->v.weak = p->weak && !p->fn;
    for (; lx->t == TK_DOT;) {
        unsigned t = ptx_type_find(lx->s, lx->n);
        if (tok_is(p, TK_DOT, "align")) {
            lex_next(lx);
            if (parse_int(p, &n))
                return -1;
            if (n < 1 || n > 4096 || (n & (n - 1)))
                return perr(p, E_INVALID_PTX, "alignment %lld, allowed are powers of two to 4096",
                            (long long)n);
            d->v.align = n;
            continue;
        } else if (tok_is(p, TK_DOT, "v2") || tok_is(p, TK_DOT, "v4")) {
            d->vec = lx->s[1] - '0';
        } else if (tok_is(p, TK_DOT, "ptr")) {
            /* .ptr [.space] [.align N]: hints about a pointer parameter */
            lex_next(lx);
            while (lx->t == TK_DOT) {
                bool al = tok_is(p, TK_DOT, "align");
                lex_next(lx);
                if (al && parse_int(p, &n))
                    return -1;
            }
            continue;
        } else if (tok_is(p, TK_DOT, "attribute")) {
            lex_next(lx);
            if (expect(p, '('))
                return -1;
            while (!is_punct(p, ')')) {
                if (lx->t == TK_EOF || lx->t == TK_BAD)
                    return perr_token(p, "')'");
                if (tok_is(p, TK_DOT, "managed"))
                    d->v.managed = true;
                lex_next(lx);
            }
        } else if (t != T_NONE && t != T_PRED && ptx_type_bits[t]) {
            d->v.type = t;
        } else if (tok_is(p, TK_DOT, "samplerref") || tok_is(p, TK_DOT, "surfref")) {
            d->v.type = T_TEXREF;
        } else {
            return perr_token(p, "a type");
        }
        lex_next(lx);
    }
    return d->v.type == T_NONE ? perr_token(p, "a type") : 0;
}

/* name [N]... [= ...] */
static int parse_name(struct parser *p, const struct decl *d, struct ir_var **out)
{
    struct lexer *lx = &p->lx;
    struct ir_var *v = pool_alloc(&p->m->pool, sizeof(*v));
    const enum ir_space space = d->v.space;
    const bool ext = d->v.ext;
    int64_t n;
    if (!v)
        return perr(p, E_OUT_OF_MEMORY, "out of memory");
    if (lx->t != TK_IDENT)
        return perr_token(p, "a variable's name");
    *v = d->v;
    v->line = lx->line;
    const char *name = lx->s;
    size_t len = lx->n;
    unsigned esize = ptx_type_bits[v->type] / 8 * d->vec;
    if (!v->align)
        v->align = esize;
    v->size = esize;
    lex_next(lx);
    if (accept(p, '<')) { /* name<N>: N variables name0..; only nvcc's registers use it */
        return perr(p, E_INVALID_PTX, "parameterised name of a variable");
    }
    while (accept(p, '[')) {
        if (accept(p, ']')) {
            v->open_array = true;
            v->size = 0;
            continue;
        }
        if (parse_int(p, &n) || expect(p, ']'))
            return -1;
        if (n < 0 || (uint64_t)n > LIM_VARSIZE || (n && v->size > LIM_VARSIZE / n))
            return perr(p, E_INVALID_PTX, "'%.*s' is larger than 4 GiB",
                        (int)(len > 100 ? 100 : len), name);
        if (v->open_array)
            return perr(p, E_INVALID_PTX, "only one-dimensional arrays may leave their size open");
        v->size *= n;
    }
    struct ir_func *fn = p->fn;
    uint32_t *cnt = fn ? &fn->nvars : &p->m->nvars;
    if (*cnt >= LIM_VARS)
        return perr(p, E_INVALID_PTX, "more than %u variables", LIM_VARS);
    struct sym *y = NULL;
    bool anon = len == 1 && *name == '_';
    if (!anon) {
        struct sym *old = p->depth == 0 ? sym_find(p, name, len) : NULL;
        if (old && (old->kind != S_VAR || (old->text != p->text && !p->shared)))
            old = NULL;
        if (old && old->var->space != space)
            return perr(p, E_INVALID_PTX, "'%.*s' declared in another state space",
                        (int)(len > 100 ? 100 : len), name);
        if (old && !old->var->ext && (ext || p->weak)) {
            /* defined already; another weak definition is read and forgotten */
            v->name = old->var->name;
            goto init;
        }
        if (old && (old->var->ext || old->var->weak)) {
            /* a declaration, then the definition: keep one object */
            v->name = old->var->name;
            v->used = old->var->used;
            *old->var = *v;
            v = old->var;
            goto init;
        }
        y = sym_add(p, S_VAR, name, len);
        if (!y)
            return -1;
        y->var = v;
    }
    v->name = y ? y->name : "_";
    if (fn) {
        struct ir_var **a = grow(fn->vars, sizeof(*a), fn->nvars, &fn->cap_vars);
        if (!a)
            return perr(p, E_OUT_OF_MEMORY, "out of memory");
        fn->vars = a;
        a[fn->nvars++] = v;
    } else {
        struct ir_var **a = grow(p->m->vars, sizeof(*a), p->m->nvars, &p->m->cap_vars);
        if (!a)
            return perr(p, E_OUT_OF_MEMORY, "out of memory");
        p->m->vars = a;
        a[p->m->nvars++] = v;
    }
init:
    if (accept(p, '=') && parse_init(p, v))
        return -1;
    if (v->open_array && !v->has_init && space != SP_SHARED && !ext && space != SP_PARAM)
        return perr(p, E_INVALID_PTX, "'%.100s' has no size", v->name);
    if (out)
        *out = v;
    return 0;
}

int parse_one_var(struct parser *p, enum ir_space space, bool ext, struct ir_var **out)
{
    struct decl d = {.v = {.space = space, .ext = ext}};

    return parse_decl(p, &d) || parse_name(p, &d, out) ? -1 : 0;
}

int parse_var(struct parser *p, enum ir_space space, bool ext)
{
    struct decl d = {.v = {.space = space, .ext = ext}};

    if (parse_decl(p, &d))
        return -1;
    do {
        if (parse_name(p, &d, NULL))
            return -1;
    } while (accept(p, ','));
    return expect(p, ';');
}
