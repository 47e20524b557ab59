/* SPDX-License-Identifier: MIT */
/* parse.c - PTX modules: function heads, and whole texts. Never recursive on input. */
#include "parse.h"

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
            if (v > ptx_target())
                return perr(p, E_NO_BINARY, "target %.*s is above sm_%u, what this device is",
                            (int)(lx->n > 32 ? 32 : lx->n), lx->s, ptx_target());
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

/*
 * What is used must be somewhere. Functions of the device library are found at the first launch. So
 * are kernels: their addresses are for launches by kernels only, so that a kernel that takes one is
 * refused by its instruction, and the others of a program that nobody has joined yet run.
 */
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
        bool known = f->body || f->entry || !f->used || !strncmp(f->name, "__cuda", 6) ||
                     !strncmp(f->name, "cuda", 4);
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
