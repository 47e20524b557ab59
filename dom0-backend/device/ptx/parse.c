/* SPDX-License-Identifier: MIT */
/* parse.c - PTX modules: symbols, scopes, variables, function heads. Never recursive on input. */
#include "parse.h"

/* ---- errors and tokens ------------------------------------------------------------------------- */

int perr(struct parser *p, int err, const char *fmt, ...)
{
    if (p->err)
        return -1;
    char msg[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    p->err = err;
    ptx_log(p->log, p->log_n, "PTX line %u: %s", p->lx.line, msg);
    return -1;
}

int perr_token(struct parser *p, const char *wanted)
{
    int n = p->lx.n > 60 ? 60 : (int)p->lx.n;
    if (p->lx.t == TK_EOF)
        return perr(p, E_INVALID_PTX, "end of text, expected %s", wanted);
    return perr(p, E_INVALID_PTX, "'%s%.*s', expected %s", p->lx.t == TK_DOT ? "." : "", n, p->lx.s,
                wanted);
}

bool accept(struct parser *p, char c)
{
    if (!is_punct(p, c))
        return false;
    lex_next(&p->lx);
    return true;
}

int expect(struct parser *p, char c)
{
    char w[4] = {'\'', c, '\'', 0};
    return accept(p, c) ? 0 : perr_token(p, w);
}

int skip_to_semicolon(struct parser *p)
{
    while (!is_punct(p, ';')) {
        if (p->lx.t == TK_EOF || p->lx.t == TK_BAD)
            return perr_token(p, "';'");
        lex_next(&p->lx);
    }
    lex_next(&p->lx);
    return 0;
}

/* .file and .loc have no end mark but the line's. */
int skip_directive_line(struct parser *p)
{
    uint32_t line = p->lx.line;
    do {
        lex_next(&p->lx);
        if (p->lx.t == TK_BAD)
            return perr_token(p, "a directive");
    } while (p->lx.t != TK_EOF && p->lx.line == line);
    return 0;
}

int parse_int(struct parser *p, int64_t *v)
{
    bool neg = accept(p, '-');
    if (p->lx.t != TK_INT)
        return perr_token(p, "an integer");
    *v = neg ? -(uint64_t)p->lx.val : p->lx.val;
    lex_next(&p->lx);
    return 0;
}

/* ---- symbols -------------------------------------------------------------------------------------- */

static uint32_t hash_str(const char *s, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h ^ h >> 16;
}

static struct sym *sym_lookup(struct parser *p, const char *s, size_t n)
{
    uint32_t h = hash_str(s, n);
    for (struct sym *y = p->bucket[h % SYM_BUCKETS]; y; y = y->next)
        if (y->hash == h && y->len == n && !memcmp(y->name, s, n))
            return y; /* newest first: the innermost scope wins */
    return NULL;
}

struct sym *sym_add(struct parser *p, enum sym_kind kind, const char *s, size_t n)
{
    struct sym *y = sym_lookup(p, s, n);
    /* What only one text sees may have the name of something in another one. */
    bool apart = y && !p->depth && y->text != p->text && !p->shared;
    if (y && y->scope == p->scope_id[p->depth] && y->kind != S_FUNC && !apart) {
        perr(p, E_INVALID_PTX, "'%.*s' is defined twice", (int)(n > 100 ? 100 : n), s);
        return NULL;
    }
    y = pool_alloc(&p->m->pool, sizeof(*y));
    if (y)
        y->name = pool_strndup(&p->m->pool, s, n);
    if (!y || !y->name) {
        perr(p, E_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    y->len = n;
    y->hash = hash_str(s, n);
    y->kind = kind;
    y->scope = p->scope_id[p->depth];
    y->text = p->text;
    y->hidden = !p->depth && !p->shared;
    y->next = p->bucket[y->hash % SYM_BUCKETS];
    p->bucket[y->hash % SYM_BUCKETS] = y;
    y->older = p->last;
    p->last = y;
    return y;
}

/* Also finds %r7 through the declaration %r<45>; the register gets a number at its first use. */
struct sym *sym_find(struct parser *p, const char *s, size_t n)
{
    struct sym *y = sym_lookup(p, s, n);
    if (y || !p->fn)
        return y;
    size_t k = n;
    while (k > 0 && s[k - 1] >= '0' && s[k - 1] <= '9')
        k--;
    if (k == n || k == 0 || n - k > 9 || (s[k] == '0' && n - k > 1))
        return NULL;
    struct sym *range = sym_lookup(p, s, k);
    /* the name without digits may also be an ordinary symbol of an inner scope */
    while (range && !(range->kind == S_REGRANGE && range->len == k && !memcmp(range->name, s, k)))
        range = range->next;
    if (!range)
        return NULL;
    uint32_t idx = 0;
    for (size_t i = k; i < n; i++)
        idx = idx * 10 + (s[i] - '0');
    if (idx >= range->idx)
        return NULL;
    struct ir_func *f = p->fn;
    if (f->nregs >= LIM_REGS) {
        perr(p, E_INVALID_PTX, "more than %u registers in one function", LIM_REGS);
        return NULL;
    }
    struct ir_reg *r = grow(f->regs, sizeof(*r), f->nregs, &f->cap_regs);
    if (!r) {
        perr(p, E_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    f->regs = r;
    /* Put the symbol into the range's scope: place it right after the range in definition order. */
    y = pool_alloc(&p->m->pool, sizeof(*y));
    char *name = pool_strndup(&p->m->pool, s, n);
    if (!y || !name) {
        perr(p, E_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    *y = (struct sym){.name = name,
                      .len = n,
                      .hash = hash_str(s, n),
                      .kind = S_REG,
                      .type = range->type,
                      .scope = range->scope,
                      .idx = f->nregs};
    y->next = p->bucket[y->hash % SYM_BUCKETS];
    p->bucket[y->hash % SYM_BUCKETS] = y;
    y->older = range->older;
    range->older = y;
    f->regs[f->nregs++] = (struct ir_reg){range->type, name};
    return y;
}

int scope_enter(struct parser *p)
{
    if (p->depth >= LIM_SCOPES)
        return perr(p, E_INVALID_PTX, "more than %d nested scopes", LIM_SCOPES);
    uint32_t *sp = grow(p->scope_parent, sizeof(*sp), p->nscopes, &p->cap_scopes);
    if (!sp)
        return perr(p, E_OUT_OF_MEMORY, "out of memory");
    p->scope_parent = sp;
    sp[p->nscopes] = p->scope_id[p->depth];
    p->scope_id[++p->depth] = p->nscopes++;
    return 0;
}

void scope_leave(struct parser *p)
{
    uint32_t id = p->scope_id[p->depth--];
    struct sym **at = &p->last;
    while (*at && (*at)->scope >= id && id) {
        struct sym *y = *at;
        struct sym **b = &p->bucket[y->hash % SYM_BUCKETS];
        while (*b != y)
            b = &(*b)->next;
        *b = y->next;
        *at = y->older;
    }
}

/* The end of a text: what only it may see is forgotten by name. */
static void hide_symbols(struct parser *p)
{
    struct sym **at = &p->last;
    while (*at) {
        struct sym *y = *at;
        if (!y->hidden) {
            at = &y->older;
            continue;
        }
        struct sym **b = &p->bucket[y->hash % SYM_BUCKETS];
        while (*b != y)
            b = &(*b)->next;
        *b = y->next;
        *at = y->older;
    }
}

/* ---- variables ----------------------------------------------------------------------------------------- */

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

/* [.align N] [.attribute(..)] [.v2|.v4] .type [.ptr ...] name [N]... [= ...] */
int parse_one_var(struct parser *p, enum ir_space space, bool ext, struct ir_var **out)
{
    struct lexer *lx = &p->lx;
    struct ir_var *v = pool_alloc(&p->m->pool, sizeof(*v));
    unsigned vec = 1;
    int64_t n;
    if (!v)
        return perr(p, E_OUT_OF_MEMORY, "out of memory");
    v->space = space;
    v->ext = ext;
    v->weak = p->weak && !p->fn;
    v->line = lx->line;
    for (; lx->t == TK_DOT;) {
        unsigned t = ptx_type_find(lx->s, lx->n);
        if (tok_is(p, TK_DOT, "align")) {
            lex_next(lx);
            if (parse_int(p, &n))
                return -1;
            if (n < 1 || n > 4096 || (n & (n - 1)))
                return perr(p, E_INVALID_PTX, "alignment %lld, allowed are powers of two to 4096",
                            (long long)n);
            v->align = n;
            continue;
        } else if (tok_is(p, TK_DOT, "v2") || tok_is(p, TK_DOT, "v4")) {
            vec = lx->s[1] - '0';
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
                    v->managed = true;
                lex_next(lx);
            }
        } else if (t != T_NONE && t != T_PRED && ptx_type_bits[t]) {
            v->type = t;
        } else if (tok_is(p, TK_DOT, "samplerref") || tok_is(p, TK_DOT, "surfref")) {
            v->type = T_TEXREF;
        } else {
            return perr_token(p, "a type");
        }
        lex_next(lx);
    }
    if (v->type == T_NONE)
        return perr_token(p, "a type");
    if (lx->t != TK_IDENT)
        return perr_token(p, "a variable's name");
    const char *name = lx->s;
    size_t len = lx->n;
    unsigned esize = ptx_type_bits[v->type] / 8 * vec;
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

int parse_var(struct parser *p, enum ir_space space, bool ext)
{
    /* names after a comma share the type: .global .u32 a, b; is not written by nvcc but legal.
     * The attributes are parsed once per name because they precede the type only. */
    if (parse_one_var(p, space, ext, NULL))
        return -1;
    if (is_punct(p, ','))
        return perr(p, E_INVALID_PTX, "several variables in one declaration are not supported");
    return expect(p, ';');
}

/* ---- functions ---------------------------------------------------------------------------------------- */

static int parse_params(struct parser *p, struct ir_var ***out, uint32_t *count,
                        enum ir_space space)
{
    struct ir_var **list = NULL;
    uint32_t n = 0, cap = 0;
    if (expect(p, '('))
        return -1;
    while (!is_punct(p, ')')) {
        struct ir_var *v;
        if (n >= LIM_PARAMS) {
            perr(p, E_INVALID_PTX, "more than %u parameters", LIM_PARAMS);
            goto fail;
        }
        if (tok_is(p, TK_DOT, "reg")) {
            perr(p, E_NOT_SUPPORTED, "register parameters of functions (.reg) are not supported");
            goto fail;
        }
        if (!tok_is(p, TK_DOT, "param")) {
            perr_token(p, "'.param'");
            goto fail;
        }
        lex_next(&p->lx);
        if (parse_one_var(p, space, false, &v))
            goto fail;
        struct ir_var **l = grow(list, sizeof(*l), n, &cap);
        if (!l) {
            perr(p, E_OUT_OF_MEMORY, "out of memory");
            goto fail;
        }
        list = l;
        list[n++] = v;
        if (!accept(p, ','))
            break;
    }
    if (expect(p, ')'))
        goto fail;
    *out = pool_alloc(&p->m->pool, sizeof(*list) * (n + 1));
    if (!*out) {
        perr(p, E_OUT_OF_MEMORY, "out of memory");
        goto fail;
    }
    if (n)
        memcpy(*out, list, sizeof(*list) * n);
    *count = n;
    free(list);
    return 0;
fail:
    free(list);
    return -1;
}

static void func_free(struct ir_func *f)
{
    free(f->regs);
    free(f->insns);
    free(f->opnds);
    free(f->labels);
    free(f->vars);
    f->regs = NULL;
    f->insns = NULL;
    f->opnds = NULL;
    f->labels = NULL;
    f->vars = NULL;
    f->cap_regs = f->cap_insns = f->cap_opnds = f->cap_labels = f->cap_vars = 0;
    f->nregs = f->ninsns = f->nopnds = f->nlabels = f->nvars = 0;
}

/* Three numbers of .maxntid and its kin; missing ones are 1. */
static int parse_dims(struct parser *p, uint32_t d[3])
{
    d[0] = d[1] = d[2] = 1;
    for (unsigned i = 0; i < 3; i++) {
        int64_t v;
        if (parse_int(p, &v))
            return -1;
        if (v < 1 || v > 65535)
            return perr(p, E_INVALID_PTX, "dimension %lld, allowed are 1 to 65535", (long long)v);
        d[i] = v;
        if (!accept(p, ','))
            break;
    }
    return 0;
}

static int func_directives(struct parser *p, struct ir_func *f)
{
    struct lexer *lx = &p->lx;
    int64_t v;
    uint32_t d[3];
    while (lx->t == TK_DOT) {
        if (tok_is(p, TK_DOT, "maxntid") || tok_is(p, TK_DOT, "reqntid")) {
            bool req = lx->s[0] == 'r';
            lex_next(lx);
            if (parse_dims(p, d))
                return -1;
            uint64_t n = (uint64_t)d[0] * d[1] * d[2];
            f->maxntid = n < PTX_MAX_THREADS ? n : PTX_MAX_THREADS;
            if (req)
                memcpy(f->reqntid, d, sizeof(d));
        } else if (tok_is(p, TK_DOT, "reqnctapercluster")) {
            f->unsupported = ".reqnctapercluster";
            lex_next(lx);
            if (parse_dims(p, d))
                return -1;
            if ((uint64_t)d[0] * d[1] * d[2] == 1)
                f->unsupported = NULL;
        } else if (tok_is(p, TK_DOT, "noreturn") || tok_is(p, TK_DOT, "explicitcluster") ||
                   tok_is(p, TK_DOT, "blocksareclusters")) {
            lex_next(lx);
        } else if (tok_is(p, TK_DOT, "minnctapersm") || tok_is(p, TK_DOT, "maxnctapersm") ||
                   tok_is(p, TK_DOT, "maxnreg") || tok_is(p, TK_DOT, "maxclusterrank") ||
                   tok_is(p, TK_DOT, "abi_preserve") || tok_is(p, TK_DOT, "abi_preserve_control")) {
            lex_next(lx);
            if (parse_int(p, &v))
                return -1;
        } else if (tok_is(p, TK_DOT, "pragma")) {
            if (skip_to_semicolon(p))
                return -1;
        } else {
            return perr_token(p, "a performance directive or '{'");
        }
    }
    return 0;
}

static int parse_func(struct parser *p, bool entry, bool ext)
{
    struct lexer *lx = &p->lx;
    struct ptx_module *m = p->m;
    uint32_t line = lx->line;
    struct ir_var **rets = NULL, **params = NULL;
    uint32_t nrets = 0, nparams = 0;
    struct ir_func tmp = {.mod = m}; /* owner of the variables until we know the name */

    p->nscopes = 1;
    if (scope_enter(p))
        return -1;
    p->fn = &tmp;
    if (tok_is(p, TK_DOT, "attribute")) {
        while (!accept(p, ')')) {
            if (lx->t == TK_EOF || lx->t == TK_BAD) {
                perr_token(p, "')'");
                goto fail;
            }
            lex_next(lx);
        }
    }
    if (!entry && is_punct(p, '(') && parse_params(p, &rets, &nrets, SP_FPARAM))
        goto fail;
    if (lx->t != TK_IDENT) {
        perr_token(p, "a function's name");
        goto fail;
    }
    const char *name = lx->s;
    size_t len = lx->n;
    lex_next(lx);
    if (is_punct(p, '(') && parse_params(p, &params, &nparams, entry ? SP_PARAM : SP_FPARAM))
        goto fail;

    /* find the earlier declaration, or make the function */
    struct ir_func *f = NULL;
    struct sym *y = sym_lookup(p, name, len);
    while (y && (y->kind != S_FUNC || y->len != len || memcmp(y->name, name, len)))
        y = y->next;
    if (y && y->text != p->text && !p->shared)
        y = NULL; /* another text's; this one is private */
    if (y) {
        f = m->funcs[y->idx];
        if (f->entry != entry) {
            perr(p, E_INVALID_PTX, "'%.100s' is both .entry and .func", f->name);
            goto fail;
        }
    } else {
        if (m->nfuncs >= LIM_FUNCS) {
            perr(p, E_INVALID_PTX, "more than %u functions", LIM_FUNCS);
            goto fail;
        }
        struct ir_func **a = grow(m->funcs, sizeof(*a), m->nfuncs, &m->cap_funcs);
        if (!a) {
            perr(p, E_OUT_OF_MEMORY, "out of memory");
            goto fail;
        }
        m->funcs = a;
        f = pool_alloc(&m->pool, sizeof(*f));
        uint32_t depth = p->depth;
        p->depth = 0; /* the symbol belongs to the module */
        y = f ? sym_add(p, S_FUNC, name, len) : NULL;
        p->depth = depth;
        if (!y) {
            perr(p, E_OUT_OF_MEMORY, "out of memory");
            goto fail;
        }
        /* sym_add put it on top of the parameters: move it below them so that it outlives them */
        p->last = y->older;
        struct sym **at = &p->last;
        while (*at && (*at)->scope)
            at = &(*at)->older;
        y->older = *at;
        *at = y;
        f->name = y->name;
        f->entry = entry;
        f->mod = m;
        f->index = y->idx = m->nfuncs;
        f->maxntid = PTX_MAX_THREADS;
        f->line = line;
        m->funcs[m->nfuncs++] = f;
    }
    /* Of two weak definitions the first one counts; the other is read into a spare function. */
    struct ir_func *spare = NULL;
    if (f->body && p->weak) {
        spare = pool_alloc(&m->pool, sizeof(*spare));
        struct ir_func **a = grow(m->funcs, sizeof(*a), m->nfuncs, &m->cap_funcs);
        if (a)
            m->funcs = a;
        if (!spare || !a || m->nfuncs >= LIM_FUNCS) {
            perr(p, E_OUT_OF_MEMORY, "out of memory");
            goto fail;
        }
        *spare = (struct ir_func){.name = f->name,
                                  .entry = entry,
                                  .mod = m,
                                  .index = m->nfuncs,
                                  .maxntid = PTX_MAX_THREADS};
        m->funcs[m->nfuncs++] = f = spare;
    }
    if (func_directives(p, f))
        goto fail;
    bool body = is_punct(p, '{');
    if (body && f->weak && !p->weak)
        f->body = false; /* replaced by a definition that is not weak */
    if (!ext)
        f->weak = p->weak;
    if (body && f->body) {
        perr(p, E_INVALID_PTX, "'%.100s' has two bodies", f->name);
        goto fail;
    }
    if (!f->body) { /* a later declaration does not replace the definition's parameters */
        func_free(f);
        f->vars = tmp.vars;
        f->nvars = tmp.nvars;
        f->cap_vars = tmp.cap_vars;
        tmp.vars = NULL;
        f->params = params;
        f->nparams = nparams;
        f->rets = rets;
        f->nrets = nrets;
        f->line = line;
        uint64_t off = 0;
        for (uint32_t i = 0; i < nparams && entry; i++) {
            off = (off + params[i]->align - 1) & ~(uint64_t)(params[i]->align - 1);
            params[i]->off = off;
            off += params[i]->size;
            if (off > 32764) {
                perr(p, E_INVALID_PTX, "parameters of '%.100s' need more than 32764 bytes",
                     f->name);
                goto fail;
            }
        }
        f->param_bytes = off;
    }
    p->fn = f;
    if (body) {
        f->body = true;
        if (parse_body(p, f))
            goto fail;
    } else {
        accept(p, ';');
    }
    if (spare)
        f->body = false;
    free(tmp.vars);
    p->fn = NULL;
    scope_leave(p);
    return 0;
fail:
    free(tmp.vars);
    p->fn = NULL;
    return -1;
}

/* ---- the module --------------------------------------------------------------------------------------- */

static int parse_target(struct parser *p)
{
    struct lexer *lx = &p->lx;
    bool seen = false;
    do {
        lex_next(lx);
        if (lx->t != TK_IDENT)
            return perr_token(p, "a target");
        unsigned v = 0;
        if (lx->n > 3 && !memcmp(lx->s, "sm_", 3)) {
            size_t i = 3;
            for (; i < lx->n && i < 8 && lx->s[i] >= '0' && lx->s[i] <= '9'; i++)
                v = v * 10 + (lx->s[i] - '0');
            if (v > p->m->target)
                p->m->target = v;
            seen = true;
            if (v > PTX_MAX_TARGET)
                return perr(p, E_NO_BINARY, "target %.*s is above sm_%d, what this device is",
                            (int)(lx->n > 32 ? 32 : lx->n), lx->s, PTX_MAX_TARGET);
        }
        lex_next(lx);
    } while (is_punct(p, ','));
    if (!seen)
        return perr(p, E_INVALID_PTX, ".target names no sm_ version");
    return 0;
}

static int parse_module(struct parser *p)
{
    struct lexer *lx = &p->lx;
    bool ext = false, version = false, target = false;
    p->shared = p->weak = false;
    lex_next(lx);
    while (lx->t != TK_EOF) {
        if (is_punct(p, '#')) { /* line markers of a preprocessor */
            if (skip_directive_line(p))
                return -1;
            continue;
        }
        if (accept(p, ';'))
            continue;
        if (lx->t != TK_DOT)
            return perr_token(p, "a directive");
        bool more = true; /* .visible and others precede the real directive */
        if (tok_is(p, TK_DOT, "version")) {
            lex_next(lx);
            double v;
            if (lx->t != TK_F64)
                return perr_token(p, "a version as 8.0");
            memcpy(&v, &lx->val, 8);
            if (!(v >= 1 && v < 100))
                return perr_token(p, "a version between 1.0 and 99.9");
            unsigned ten = (unsigned)(v * 10 + 0.5);
            if (ten > PTX_MAX_VERSION)
                return perr(p, E_PTX_VERSION, ".version %u.%u, known up to %u.%u", ten / 10,
                            ten % 10, PTX_MAX_VERSION / 10, PTX_MAX_VERSION % 10);
            if (ten > p->m->version)
                p->m->version = ten;
            version = true;
            lex_next(lx);
            more = false;
        } else if (tok_is(p, TK_DOT, "target")) {
            if (parse_target(p))
                return -1;
            target = true;
            more = false;
        } else if (tok_is(p, TK_DOT, "address_size")) {
            int64_t n;
            lex_next(lx);
            if (parse_int(p, &n))
                return -1;
            if (n != 64)
                return perr(p, E_INVALID_PTX, ".address_size %lld, allowed is 64", (long long)n);
            more = false;
        } else if (tok_is(p, TK_DOT, "extern")) {
            ext = p->shared = true;
            lex_next(lx);
        } else if (tok_is(p, TK_DOT, "visible") || tok_is(p, TK_DOT, "weak") ||
                   tok_is(p, TK_DOT, "common")) {
            p->shared = true;
            p->weak |= lx->s[0] != 'v';
            lex_next(lx);
        } else if (tok_is(p, TK_DOT, "file") || tok_is(p, TK_DOT, "loc")) {
            if (skip_directive_line(p))
                return -1;
            more = false;
        } else if (tok_is(p, TK_DOT, "section")) {
            while (!is_punct(p, '{')) {
                if (lx->t == TK_EOF || lx->t == TK_BAD)
                    return perr_token(p, "'{'");
                lex_next(lx);
            }
            while (!is_punct(p, '}')) {
                if (lx->t == TK_EOF || lx->t == TK_BAD)
                    return perr_token(p, "'}'");
                lex_next(lx);
            }
            lex_next(lx);
            more = false;
        } else if (tok_is(p, TK_DOT, "pragma")) {
            if (skip_to_semicolon(p))
                return -1;
            more = false;
        } else if (tok_is(p, TK_DOT, "alias")) {
            return perr(p, E_NOT_SUPPORTED, ".alias is not supported");
        } else if (!version || !target) {
            return perr(p, E_INVALID_PTX, "no .version and .target before the first declaration");
        } else if (tok_is(p, TK_DOT, "entry") || tok_is(p, TK_DOT, "func")) {
            bool entry = lx->s[0] == 'e';
            lex_next(lx);
            if (parse_func(p, entry, ext))
                return -1;
            more = false;
        } else if (tok_is(p, TK_DOT, "global") || tok_is(p, TK_DOT, "const") ||
                   tok_is(p, TK_DOT, "shared")) {
            enum ir_space sp = lx->s[0] == 'g' ? SP_GLOBAL : lx->s[0] == 'c' ? SP_CONST : SP_SHARED;
            lex_next(lx);
            if (parse_var(p, sp, ext))
                return -1;
            more = false;
        } else {
            return perr_token(p, "a directive that is known");
        }
        if (!more)
            ext = p->shared = p->weak = false;
    }
    if (!version || !target)
        return perr(p, E_INVALID_PTX, "no .version and .target: this is not PTX");
    return 0;
}

static int resolve_relocs(struct parser *p)
{
    struct ptx_module *m = p->m;
    for (uint32_t i = 0; i < m->nvars; i++)
        for (struct ir_reloc *r = m->vars[i]->reloc; r; r = r->next) {
            if (r->var || r->func >= 0)
                continue; /* of an earlier text */
            struct sym *y = sym_lookup(p, r->name, strlen(r->name));
            if (y && y->kind == S_VAR)
                y->var->used = true;
            if (y && y->kind == S_FUNC)
                m->funcs[y->idx]->used = true;
            if (y && y->kind == S_VAR && (y->var->space == SP_GLOBAL || y->var->space == SP_CONST))
                r->var = y->var;
            else if (y && y->kind == S_FUNC)
                r->func = y->idx;
            else
                return perr(p, E_INVALID_PTX,
                            "initial value names '%.100s' (line %u), not a "
                            "variable or function",
                            r->name, r->line);
            if (r->offset + r->size > m->vars[i]->size)
                return perr(p, E_INVALID_PTX, "address in an initial value of '%.100s'",
                            m->vars[i]->name);
        }
    return 0;
}

/* What is used must be somewhere. Functions of the device library are found at the first launch. */
static int check_defined(const struct ptx_module *m, char *log, size_t log_n)
{
    static const char *const library[] = {"vprintf", "malloc", "free", "__assertfail"};

    for (uint32_t i = 0; i < m->nvars; i++) {
        const struct ir_var *v = m->vars[i];
        if (v->ext && v->used && (v->space == SP_GLOBAL || v->space == SP_CONST)) {
            ptx_log(log, log_n, "Undefined reference to '%.200s'", v->name);
            return E_INVALID_PTX;
        }
    }
    for (uint32_t i = 0; i < m->nfuncs; i++) {
        const struct ir_func *f = m->funcs[i];
        bool known =
            f->body || !f->used || !strncmp(f->name, "__cuda", 6) || !strncmp(f->name, "cuda", 4);
        for (size_t k = 0; !known && k < sizeof(library) / sizeof(library[0]); k++)
            known = !strcmp(f->name, library[k]);
        if (!known) {
            ptx_log(log, log_n, "Undefined reference to '%.200s'", f->name);
            return E_INVALID_PTX;
        }
    }
    return 0;
}

int ptx_finish_module(struct ptx_module *m, char *log, size_t log_n);

int ptx_module_parse(const char *text, size_t n, struct ptx_module **out, char *log, size_t log_n)
{
    struct ptx_text one = {text, n};
    return ptx_module_link(&one, 1, true, out, log, log_n);
}

int ptx_module_link(const struct ptx_text *texts, unsigned ntexts, bool complete,
                    struct ptx_module **out, char *log, size_t log_n)
{
    *out = NULL;
    if (log && log_n)
        *log = 0;
    struct parser *p = calloc(1, sizeof(*p));
    struct ptx_module *m = calloc(1, sizeof(*m));
    int err = 0;
    if (!p || !m) {
        free(p);
        free(m);
        return E_OUT_OF_MEMORY;
    }
    pthread_mutex_init(&m->lock, NULL);
    p->m = m;
    p->log = log;
    p->log_n = log_n;
    for (unsigned i = 0; i < ntexts && !err; i++) {
        size_t n = texts[i].len;
        while (n && !texts[i].text[n - 1])
            n--;
        if (n > PTX_MAX_TEXT) {
            ptx_log(log, log_n, "PTX text has %zu bytes, allowed are %u", n, PTX_MAX_TEXT);
            err = E_INVALID_PTX;
            break;
        }
        p->nscopes = 1;
        p->text = i;
        lex_init(&p->lx, texts[i].text, n);
        if (parse_module(p) || resolve_relocs(p))
            err = p->err ? p->err : E_INVALID_PTX;
        else
            hide_symbols(p);
    }
    free(p->refs);
    free(p->scope_parent);
    free(p->tmp_opnds);
    free(p);
    if (!err && complete)
        err = check_defined(m, log, log_n);
    if (!err)
        err = ptx_finish_module(m, log, log_n);
    if (err) {
        ptx_module_free(m);
        return err;
    }
    *out = m;
    return 0;
}

void ptx_prog_free(struct prog *g);

void ptx_module_free(struct ptx_module *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < m->nkernels; i++)
        ptx_prog_free(m->kernels[i].prog);
    for (uint32_t i = 0; i < m->nfuncs; i++)
        func_free(m->funcs[i]);
    free(m->vars);
    free(m->dvars);
    free(m->funcs);
    free(m->kernels);
    pool_free(&m->pool);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
