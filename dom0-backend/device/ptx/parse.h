/* SPDX-License-Identifier: MIT */
/* parse.h - parser state shared by parse.c (module scope) and parse_fn.c (function bodies). */
#ifndef GVM_PTX_PARSE_H
#define GVM_PTX_PARSE_H

#include "ptx_int.h"

enum sym_kind { S_VAR, S_FUNC, S_REG, S_REGRANGE };
struct sym {
    struct sym *next;  /* hash chain */
    struct sym *older; /* order of definition, for leaving a scope */
    const char *name;
    uint32_t len, hash;
    uint8_t kind, type; /* type: of S_REG and S_REGRANGE */
    uint32_t scope;
    uint32_t text; /* that declared it first */
    bool hidden;   /* only that text sees it */
    uint32_t idx;  /* register, function; S_REGRANGE: count */
    struct ir_var *var;
};

#define SYM_BUCKETS 4096u
struct parser {
    struct lexer lx;
    struct ptx_module *m;
    struct sym *bucket[SYM_BUCKETS];
    struct sym *last; /* newest symbol */
    uint32_t depth;   /* open scopes; 0 = module */
    uint32_t scope_id[LIM_SCOPES + 1];
    uint32_t *scope_parent; /* by scope id, of the current function */
    uint32_t nscopes, cap_scopes;
    struct ir_func *fn;
    uint32_t text; /* being parsed, counted from 0 */
    bool shared;   /* the directive at hand names something that other texts may share */
    bool weak;     /* ... and of which the first definition counts */
    /* label references of the current function, resolved at its end */
    struct label_ref {
        const char *name;
        uint32_t len, scope, line, opnd;
    } * refs;
    uint32_t nrefs, cap_refs;
    struct ir_opnd *tmp_opnds;
    bool cache_hint; /* ... has a cache policy as its last operand */
    bool video_op;   /* ... takes selectors of octets and halves */
    bool tex_op;     /* the instruction being parsed takes coordinates */
    int err;
    char *log;
    size_t log_n;
};

int perr(struct parser *p, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int perr_token(struct parser *p, const char *wanted);

static inline bool is_punct(const struct parser *p, char c)
{
    return p->lx.t == TK_PUNCT && p->lx.c == c;
}
static inline bool tok_is(const struct parser *p, enum tok t, const char *s)
{
    return p->lx.t == t && p->lx.n == strlen(s) && !memcmp(p->lx.s, s, p->lx.n);
}
bool accept(struct parser *p, char c);
int expect(struct parser *p, char c);

/* By this very name, in the scopes around; NULL: none. */
struct sym *sym_lookup(struct parser *p, const char *s, size_t n);
struct sym *sym_find(struct parser *p, const char *s, size_t n);
struct sym *sym_add(struct parser *p, enum sym_kind kind, const char *s, size_t n);
int scope_enter(struct parser *p);
void scope_leave(struct parser *p);
/* The end of a text: what only it may see is forgotten by name. */
void hide_symbols(struct parser *p);

/* Variable declarations after the space directive (.global and so on); adds to the current scope. */
int parse_var(struct parser *p, enum ir_space space, bool ext);
int parse_one_var(struct parser *p, enum ir_space space, bool ext, struct ir_var **out);
/* An integer, with sign and + - expressions as nvcc writes them. */
int parse_int(struct parser *p, int64_t *v);
int parse_body(struct parser *p, struct ir_func *f);
int skip_to_semicolon(struct parser *p);
int skip_directive_line(struct parser *p);

#endif
