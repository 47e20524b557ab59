/* SPDX-License-Identifier: MIT */
/* lex.c - PTX tokens. Works on the text in place; tokens point into it. */
#include "ptx_int.h"

void lex_init(struct lexer *lx, const char *text, size_t n)
{
    memset(lx, 0, sizeof(*lx));
    lx->p = text;
    lx->end = text + n;
    lx->line = 1;
}

static bool ident_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hexval(char c)
{
    if (digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Skips blanks and comments; false when a comment does not end. */
static bool skip_space(struct lexer *lx)
{
    for (;;) {
        if (lx->p == lx->end)
            return true;
        char c = *lx->p;
        if (c == '\n') {
            lx->line++;
            lx->p++;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
            lx->p++;
        } else if (c == '/' && lx->end - lx->p >= 2 && lx->p[1] == '/') {
            const char *nl = memchr(lx->p, '\n', lx->end - lx->p);
            lx->p = nl ? nl : lx->end;
        } else if (c == '/' && lx->end - lx->p >= 2 && lx->p[1] == '*') {
            lx->p += 2;
            for (;;) {
                if (lx->end - lx->p < 2)
                    return false;
                if (lx->p[0] == '*' && lx->p[1] == '/')
                    break;
                if (*lx->p == '\n')
                    lx->line++;
                lx->p++;
            }
            lx->p += 2;
        } else {
            return true;
        }
    }
}

static void lex_number(struct lexer *lx)
{
    const char *p = lx->p, *end = lx->end;
    lx->s = p;
    if (p[0] == '0' && end - p >= 2 && (p[1] == 'f' || p[1] == 'F' || p[1] == 'd' || p[1] == 'D')) {
        int want = p[1] == 'f' || p[1] == 'F' ? 8 : 16, i;
        uint64_t v = 0;
        for (i = 0; i < want && p + 2 + i < end && hexval(p[2 + i]) >= 0; i++)
            v = v << 4 | (unsigned)hexval(p[2 + i]);
        if (i != want) {
            lx->t = TK_BAD;
            return;
        }
        lx->p = p + 2 + want;
        lx->t = want == 8 ? TK_F32 : TK_F64;
        lx->val = v;
        lx->n = lx->p - lx->s;
        return;
    }
    int base = 10;
    const char *q = p;
    if (p[0] == '0' && end - p >= 3 && (p[1] == 'x' || p[1] == 'X') && hexval(p[2]) >= 0) {
        base = 16;
        q = p + 2;
    } else if (p[0] == '0' && end - p >= 3 && (p[1] == 'b' || p[1] == 'B')) {
        base = 2;
        q = p + 2;
    } else {
        /* decimal floating point? */
        const char *r = p;
        while (r < end && digit(*r))
            r++;
        if (r < end && (*r == '.' || *r == 'e' || *r == 'E') &&
            !(*r == '.' && r + 1 < end && !digit(r[1]) && ident_char(r[1]))) {
            char buf[64];
            size_t n = 0;
            while (r < end && (digit(*r) || *r == '.' || *r == 'e' || *r == 'E' ||
                               ((*r == '-' || *r == '+') && (r[-1] == 'e' || r[-1] == 'E'))))
                r++;
            n = r - p;
            if (n >= sizeof(buf)) {
                lx->t = TK_BAD;
                return;
            }
            memcpy(buf, p, n);
            buf[n] = 0;
            char *e;
            double v = strtod(buf, &e);
            if (*e) {
                lx->t = TK_BAD;
                return;
            }
            memcpy(&lx->val, &v, 8);
            lx->t = TK_F64;
            lx->p = r;
            lx->n = n;
            return;
        }
        if (p[0] == '0')
            base = 8;
    }
    uint64_t v = 0;
    while (q < end && hexval(*q) >= 0 && hexval(*q) < base) {
        uint64_t nv = v * base + hexval(*q);
        if (v > (UINT64_MAX - hexval(*q)) / base) { /* larger than 64 bits */
            lx->t = TK_BAD;
            return;
        }
        v = nv;
        q++;
    }
    if (q < end && (*q == 'U' || *q == 'u'))
        q++;
    lx->p = q;
    lx->n = q - lx->s;
    lx->val = v;
    lx->t = q < end && ident_char(*q) ? TK_BAD : TK_INT;
}

void lex_next(struct lexer *lx)
{
    if (!skip_space(lx)) {
        lx->t = TK_BAD;
        lx->s = lx->end;
        lx->n = 0;
        return;
    }
    lx->s = lx->p;
    lx->n = 0;
    if (lx->p == lx->end) {
        lx->t = TK_EOF;
        return;
    }
    char c = *lx->p;
    if (digit(c)) {
        lex_number(lx);
        return;
    }
    if (ident_char(c) || c == '%') {
        const char *q = lx->p + 1;
        while (q < lx->end && ident_char(*q))
            q++;
        lx->n = q - lx->p;
        lx->p = q;
        lx->t = lx->n > LIM_IDENT ? TK_BAD : TK_IDENT;
        return;
    }
    if (c == '.' && lx->end - lx->p >= 2 && ident_char(lx->p[1])) {
        const char *q = lx->p + 1;
        lx->s = q;
        for (;;) {
            while (q < lx->end && ident_char(*q))
                q++;
            if (lx->end - q >= 3 && q[0] == ':' && q[1] == ':' && ident_char(q[2]))
                q += 2;
            else
                break;
        }
        lx->n = q - lx->s;
        lx->p = q;
        lx->t = lx->n > LIM_IDENT ? TK_BAD : TK_DOT;
        return;
    }
    if (c == '"') {
        const char *q = lx->p + 1;
        while (q < lx->end && *q != '"' && *q != '\n')
            q += *q == '\\' && q + 1 < lx->end ? 2 : 1;
        if (q >= lx->end || *q != '"') {
            lx->t = TK_BAD;
            return;
        }
        lx->s = lx->p + 1;
        lx->n = q - lx->s;
        lx->p = q + 1;
        lx->t = TK_STR;
        return;
    }
    if (strchr("{}[]()<>,;:@!|+-=*&~^?/.#\\", c)) {
        lx->c = c;
        lx->n = 1;
        lx->p++;
        lx->t = TK_PUNCT;
        return;
    }
    lx->t = TK_BAD;
    lx->n = 1;
}
