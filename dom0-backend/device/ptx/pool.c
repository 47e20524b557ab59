/* SPDX-License-Identifier: MIT */
/* pool.c - memory of a PTX module: allocated piecewise, freed at once. */
#include "ptx_int.h"

#define CHUNK    (64u * 1024)
#define POOL_MAX (1ull << 31) /* a module that needs more is refused as out of memory */

struct pool_chunk {
    struct pool_chunk *next;
    char pad[8];
};

void *pool_alloc(struct pool *p, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    if (n > POOL_MAX || p->total + n > POOL_MAX)
        return NULL;
    if (n > p->left) {
        size_t body = n > CHUNK / 4 ? n : CHUNK;
        struct pool_chunk *c = calloc(1, sizeof(*c) + body);
        if (!c)
            return NULL;
        c->next = p->head;
        p->head = c;
        p->total += body;
        if (body == n) /* a big one of its own: keep filling the current chunk */
            return c + 1;
        p->at = (char *)(c + 1);
        p->left = body;
    }
    void *r = p->at;
    p->at += n;
    p->left -= n;
    return r;
}

char *pool_strndup(struct pool *p, const char *s, size_t n)
{
    char *r = pool_alloc(p, n + 1);
    if (r)
        memcpy(r, s, n);
    return r;
}

void pool_free(struct pool *p)
{
    while (p->head) {
        struct pool_chunk *c = p->head;
        p->head = c->next;
        free(c);
    }
}

void *grow(void *arr, size_t elem, uint32_t n, uint32_t *cap)
{
    if (n < *cap)
        return arr;
    uint32_t want = *cap ? *cap * 2 : 16;
    void *r = realloc(arr, elem * want);
    if (r)
        *cap = want;
    return r;
}

void ptx_log(char *log, size_t log_n, const char *fmt, ...)
{
    if (!log || !log_n)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(log, log_n, fmt, ap);
    va_end(ap);
    for (char *c = log; *c; c++) /* names come from the guest: keep the log one printable line */
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?';
}
