/* SPDX-License-Identifier: MIT */
/*
 * xlcfg.c - the syntax of xl.cfg(5): settings KEY = VALUE or KEY += VALUE ended by a line end or
 * ';'. A VALUE is a number, a string in ' or ", or a list [ VALUE, ... ] that may go over lines and
 * contain lists. '#' starts a comment. In strings, \ escapes as in xl's lexer.
 */
#include "dom0-backend/agent/xlcfg.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 16

struct parser {
    const char *p, *end;
    unsigned line;
    const char *why;
};

/* Where the values of the current setting go; NULL: nowhere. */
struct sink {
    struct xlcfg *out;
    bool name, uuid, vgpu;
};

static bool fail(struct parser *ps, const char *why)
{
    if (!ps->why)
        ps->why = why;
    return false;
}

static int peek(const struct parser *ps)
{
    return ps->p < ps->end ? (unsigned char)*ps->p : -1;
}

/* Spaces and comments; line ends too if `lines`. */
static void skip(struct parser *ps, bool lines)
{
    int c;

    while ((c = peek(ps)) >= 0) {
        if (c == '#') {
            while (peek(ps) >= 0 && peek(ps) != '\n')
                ps->p++;
        } else if (c == ' ' || c == '\t' || c == '\r' ||
                   (c == '\\' && ps->p + 1 < ps->end && ps->p[1] == '\n')) {
            if (c == '\\') {
                ps->p++;
                ps->line++;
            }
            ps->p++;
        } else if (lines && c == '\n') {
            ps->line++;
            ps->p++;
        } else {
            return;
        }
    }
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = tolower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* After a backslash. The character, or -1. */
static int escape(struct parser *ps)
{
    static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
    int c = peek(ps), v = 0, n;
    const char *k;

    if (c < 0)
        return -1;
    ps->p++;
    if (c == 'x') {
        for (n = 0; n < 2 && hex_digit(peek(ps)) >= 0; n++, ps->p++)
            v = v * 16 + hex_digit(peek(ps));
        return n ? v : -1;
    }
    if (c >= '0' && c <= '7') {
        v = c - '0';
        for (n = 1; n < 3 && peek(ps) >= '0' && peek(ps) <= '7'; n++, ps->p++)
            v = v * 8 + (peek(ps) - '0');
        return v & 0xff;
    }
    k = strchr(from, c);
    return k ? to[k - from] : c;
}

/* Nothing of what does not fit into the `size` octets of `out`. */
static void copy_string(char *out, size_t size, const char *text, size_t n)
{
    n = n < size ? n : 0;
    memcpy(out, text, n);
    out[n] = '\0';
}

static void take_string(struct sink *s, const char *text, size_t n)
{
    struct xlcfg *out = s->out;

    if (s->name) {
        copy_string(out->name, sizeof(out->name), text, n);
    } else if (s->uuid) {
        copy_string(out->uuid, sizeof(out->uuid), text, n);
    } else if (s->vgpu) {
        if (n >= sizeof(out->vgpu[0]) || out->nvgpu == XLCFG_MAX_VGPU) {
            out->vgpu_lost++;
            return;
        }
        memcpy(out->vgpu[out->nvgpu], text, n);
        out->vgpu[out->nvgpu++][n] = '\0';
    }
}

static bool string(struct parser *ps, struct sink *s)
{
    char quote = *ps->p++, buf[2048];
    size_t n = 0;
    int c;

    for (;;) {
        c = peek(ps);
        if (c < 0 || c == '\n')
            return fail(ps, "a string does not end on its line");
        ps->p++;
        if (c == quote)
            break;
        if (c == '\\') {
            c = escape(ps);
            if (c < 0)
                return fail(ps, "bad escape in a string");
        }
        if (c == 0)
            return fail(ps, "NUL in a string");
        if (n < sizeof(buf))
            buf[n++] = (char)c; /* beyond: longer than anything that is accepted */
    }
    take_string(s, buf, n);
    return true;
}

static bool value(struct parser *ps, struct sink *s, unsigned depth);

static bool list(struct parser *ps, struct sink *s, unsigned depth)
{
    struct sink nowhere = {.out = s->out};

    if (depth >= MAX_DEPTH)
        return fail(ps, "lists are nested more than 16 deep");
    ps->p++;
    for (;;) {
        skip(ps, true);
        if (peek(ps) == ']') {
            ps->p++;
            return true;
        }
        /* A name is no list, and an entry is no list within the list. */
        if (!value(ps, depth == 0 && s->vgpu ? s : &nowhere, depth + 1))
            return false;
        skip(ps, true);
        if (peek(ps) == ',')
            ps->p++;
        else if (peek(ps) != ']')
            return fail(ps, "expected ',' or ']' in a list");
    }
}

static bool value(struct parser *ps, struct sink *s, unsigned depth)
{
    int c = peek(ps);

    if (c == '\'' || c == '"')
        return string(ps, s);
    if (c == '[')
        return list(ps, s, depth);
    if (c < 0 || !(isalnum(c) || c == '-'))
        return fail(ps, "expected a string, a number or a list");
    while ((c = peek(ps)) >= 0 && (isalnum(c) || c == '-' || c == '_' || c == '.'))
        ps->p++;
    return true;
}

static bool setting(struct parser *ps, struct xlcfg *out)
{
    const char *key = ps->p;
    struct sink s = {.out = out};
    size_t n;
    int c;

    while ((c = peek(ps)) >= 0 && (isalnum(c) || c == '_'))
        ps->p++;
    n = (size_t)(ps->p - key);
    if (n == 0 || isdigit((unsigned char)key[0]))
        return fail(ps, "expected KEY = VALUE");
    s.name = n == 4 && memcmp(key, "name", 4) == 0;
    s.uuid = n == 4 && memcmp(key, "uuid", 4) == 0;
    s.vgpu = n == 4 && memcmp(key, "vgpu", 4) == 0;
    skip(ps, false);
    if (peek(ps) == '+') {
        ps->p++;
        c = '+';
    }
    if (peek(ps) != '=')
        return fail(ps, "expected '=' after a key");
    ps->p++;
    if (c != '+') { /* a later setting replaces an earlier one */
        if (s.name)
            out->name[0] = '\0';
        if (s.uuid)
            out->uuid[0] = '\0';
        if (s.vgpu)
            out->nvgpu = out->vgpu_lost = 0;
    }
    skip(ps, false);
    if (!value(ps, &s, 0))
        return false;
    skip(ps, false);
    c = peek(ps);
    if (c == '\n' || c == ';') {
        ps->line += c == '\n';
        ps->p++;
    } else if (c >= 0) {
        return fail(ps, "expected the end of the line after a value");
    }
    return true;
}

int xlcfg_parse(const char *text, size_t len, struct xlcfg *out, char *why, unsigned why_n)
{
    struct parser ps = {.p = text, .end = text + len, .line = 1};

    memset(out, 0, sizeof(*out));
    if (len > XLCFG_MAX_SIZE) {
        snprintf(why, why_n, "larger than %u octets", XLCFG_MAX_SIZE);
        return -EINVAL;
    }
    for (;;) {
        skip(&ps, true);
        if (peek(&ps) == ';') {
            ps.p++;
            continue;
        }
        if (peek(&ps) < 0)
            return 0;
        if (!setting(&ps, out)) {
            snprintf(why, why_n, "line %u: %s", ps.line, ps.why);
            return -EINVAL;
        }
    }
}
