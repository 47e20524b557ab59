/* SPDX-License-Identifier: MIT */
/*
 * cuda_vars.c - device memory for the variables of modules. The driver takes it when a module is
 * loaded and lists no variables; what they need is read from the image before that, and counted
 * against the guest's quota: in chunks, as allocations are, over all modules of the process.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_int.h"

#define ELF_HEADER 64u
#define SECTION    64u
#define MOST       (1ull << 50) /* octets; no device has so many */

static uint64_t add(uint64_t a, uint64_t b)
{
    return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

static uint64_t times(uint64_t a, uint64_t b)
{
    return b && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static uint64_t number(const uint8_t *p, unsigned octets)
{
    uint64_t v = 0;

    memcpy(&v, p, octets);
    return v;
}

/* ---- a cubin: sections .nv.global and .nv.global.init, which have no octets of their own or do */

static uint64_t of_elf(const uint8_t *p, size_t n)
{
    static const char global[] = ".nv.global";
    uint64_t sum = 0, off, names, names_len;
    unsigned size, count, strings;

    if (n < ELF_HEADER)
        return 0;
    off = number(p + 40, 8);
    size = (unsigned)number(p + 58, 2);
    count = (unsigned)number(p + 60, 2);
    strings = (unsigned)number(p + 62, 2);
    if (size < SECTION || strings >= count || off > n || (uint64_t)size * count > n - off)
        return 0;
    names = number(p + off + (uint64_t)strings * size + 24, 8);
    names_len = number(p + off + (uint64_t)strings * size + 32, 8);
    if (names > n || names_len > n - names)
        return 0;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *s = p + off + (uint64_t)i * size;
        uint64_t name = number(s, 4);

        if (name < names_len && names_len - name >= sizeof(global) - 1 &&
            !memcmp(p + names + name, global, sizeof(global) - 1))
            sum = add(sum, number(s + 32, 8));
    }
    return sum;
}

/* ---- PTX text: [.visible|.weak|.common] .global [.align N] [.v2|.v4] TYPE NAME[N]..., ... ; */

static const char *skip(const char *p, const char *end)
{
    while (p < end) {
        const char *gap = NULL;

        if (isspace((unsigned char)*p)) {
            p++;
            continue;
        }
        if (end - p > 1 && p[0] == '/' && p[1] == '*')
            gap = memmem(p + 2, (size_t)(end - p - 2), "*/", 2);
        else if (end - p > 1 && p[0] == '/' && p[1] == '/')
            gap = memchr(p, '\n', (size_t)(end - p));
        if (!gap)
            break;
        p = gap + (*gap == '*' ? 2 : 1);
    }
    return p;
}

/* One of `.align', `.b8'; NULL: something else stands here. */
static const char *type_end(const char *p, const char *end)
{
    if (p >= end || *p != '.')
        return NULL;
    for (p++; p < end && isalnum((unsigned char)*p); p++)
        ;
    return p;
}

static const char *word_end(const char *p, const char *end)
{
    while (p < end && (isalnum((unsigned char)*p) || memchr("_$%", *p, 3)))
        p++;
    return p;
}

static const char *take_number(const char *p, const char *end, uint64_t *v)
{
    unsigned base = 10;

    *v = 0;
    if (end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    }
    for (; p < end && isxdigit((unsigned char)*p); p++) {
        int c = tolower((unsigned char)*p);
        unsigned digit = (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);

        if (digit >= base)
            break;
        *v = add(times(*v, base), digit);
    }
    return p;
}

/* What stands before a variable's names; its octets, 0: not a declaration. */
static const char *take_type(const char *p, const char *end, uint64_t *octets)
{
    uint64_t many = 1, bits;

    *octets = 0;
    for (;;) {
        const char *w = skip(p, end), *e = type_end(w, end), *digits;
        size_t n;

        if (!e)
            return p;
        n = (size_t)(e - w);
        p = e;
        if (n == 6 && !memcmp(w, ".align", 6)) {
            p = take_number(skip(p, end), end, &bits);
            continue;
        }
        if (n == 10 && !memcmp(w, ".attribute", 10)) {
            while (p < end && *p != ')')
                p++;
            p += p < end;
            continue;
        }
        for (digits = w; digits < e && !isdigit((unsigned char)*digits); digits++)
            ;
        take_number(digits, e, &bits);
        if (n == 3 && w[1] == 'v')
            many = bits;
        else
            *octets = bits >= 8 && bits <= 128 ? times(many, bits / 8) : 8; /* a .texref, say */
    }
}

/* The names behind a type, with their dimensions: elements in all. */
static uint64_t take_names(const char *p, const char *end)
{
    uint64_t all = 0;

    for (;;) {
        const char *e = word_end(skip(p, end), end);
        uint64_t one = 1, v;

        p = e;
        for (;;) {
            p = skip(p, end);
            if (p >= end || (*p != '[' && *p != '<'))
                break;
            p = take_number(skip(p + 1, end), end, &v);
            one = times(one, v);
            while (p < end && *p != ']' && *p != '>' && *p != ';')
                p++;
            p += p < end && *p != ';';
        }
        all = add(all, one);
        if (p >= end || *p != ',')
            return all; /* nvcc writes no initial values before further names */
        p++;
    }
}

static bool follows(const char *text, const char *p, const char *word)
{
    size_t n = strlen(word);

    while (p > text && isspace((unsigned char)p[-1]))
        p--;
    return (size_t)(p - text) >= n && !memcmp(p - n, word, n);
}

static uint64_t of_ptx(const char *text, size_t n)
{
    static const char global[] = ".global";
    const char *end = text + n, *p = text;
    uint64_t sum = 0, octets;

    while ((p = memmem(p, (size_t)(end - p), global, sizeof(global) - 1))) {
        const char *at = p;

        p += sizeof(global) - 1;
        /* Not a part of an instruction, a parameter's or another module's. */
        if ((at > text && !isspace((unsigned char)at[-1]) && !memchr(";}/", at[-1], 3)) ||
            p >= end || isalnum((unsigned char)*p) || follows(text, at, ".ptr") ||
            follows(text, at, ".extern"))
            continue;
        p = take_type(p, end, &octets);
        if (octets)
            sum = add(sum, times(octets, take_names(p, end)));
    }
    return sum;
}

uint64_t cudev_vars(const void *p, size_t n)
{
    return n >= 4 && !memcmp(p, "\177ELF", 4) ? of_elf(p, n) : of_ptx(p, n);
}

/* ---- the account */

int cudev_vars_take(struct dev *d, uint64_t bytes)
{
    uint64_t sum, want;
    int err = 0;

    if (bytes > MOST)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&d->vars.lock);
    sum = add(d->vars.bytes, bytes);
    want = sum / CUDEV_CHUNK * CUDEV_CHUNK; /* what does not fill a chunk the host gives */
    if (want > d->vars.charged)
        err = cudev_charge(d, want - d->vars.charged);
    if (!err) {
        d->vars.bytes = sum;
        d->vars.charged = want;
    }
    pthread_mutex_unlock(&d->vars.lock);
    return err;
}

void cudev_vars_give(struct dev *d, uint64_t bytes)
{
    uint64_t want;

    pthread_mutex_lock(&d->vars.lock);
    d->vars.bytes -= bytes;
    want = d->vars.bytes / CUDEV_CHUNK * CUDEV_CHUNK;
    if (want < d->vars.charged)
        cudev_uncharge(d, d->vars.charged - want);
    d->vars.charged = want;
    pthread_mutex_unlock(&d->vars.lock);
}
