/* SPDX-License-Identifier: MIT */
/* parse_sym.c - what all of the parser stands on: errors, tokens, symbols and scopes. */
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

struct sym *sym_lookup(struct parser *p, const char *s, size_t n)
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

/* Takes *at off the list of all symbols and out of its bucket. */
static void forget(struct parser *p, struct sym **at)
{
    struct sym *y = *at, **b = &p->bucket[y->hash % SYM_BUCKETS];

    while (*b != y)
        b = &(*b)->next;
    *b = y->next;
    *at = y->older;
}

void scope_leave(struct parser *p)
{
    uint32_t id = p->scope_id[p->depth--];
    struct sym **at = &p->last;
    while (*at && (*at)->scope >= id && id)
        forget(p, at);
}

void hide_symbols(struct parser *p)
{
    struct sym **at = &p->last;
    while (*at)
        if ((*at)->hidden)
            forget(p, at);
        else
            at = &(*at)->older;
}
