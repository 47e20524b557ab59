/* SPDX-License-Identifier: MIT */
#include "extent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int insert(struct gvm_extents *e, size_t i, uintptr_t at, size_t len)
{
    if (e->n == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 16;
        struct gvm_extent *v = realloc(e->v, cap * sizeof(*v));

        if (!v)
            return -ENOMEM;
        e->v = v;
        e->cap = cap;
    }
    memmove(e->v + i + 1, e->v + i, (e->n - i) * sizeof(*e->v));
    e->v[i] = (struct gvm_extent){at, len};
    e->n++;
    return 0;
}

static void removed(struct gvm_extents *e, size_t i)
{
    e->n--;
    memmove(e->v + i, e->v + i + 1, (e->n - i) * sizeof(*e->v));
}

int gvm_extents_free(struct gvm_extents *e, uintptr_t at, size_t len)
{
    size_t i = 0;

    if (!len)
        return 0;
    while (i < e->n && e->v[i].at < at)
        i++;
    if (i && e->v[i - 1].at + e->v[i - 1].len == at) {
        i--;
        e->v[i].len += len;
    } else if (i < e->n && at + len == e->v[i].at) {
        e->v[i].at = at;
        e->v[i].len += len;
        return 0;
    } else {
        return insert(e, i, at, len);
    }
    if (i + 1 < e->n && e->v[i].at + e->v[i].len == e->v[i + 1].at) {
        e->v[i].len += e->v[i + 1].len;
        removed(e, i + 1);
    }
    return 0;
}

/* Cuts [at, at+len) out of free range i. */
static int cut(struct gvm_extents *e, size_t i, uintptr_t at, size_t len)
{
    uintptr_t end = e->v[i].at + e->v[i].len;
    size_t before = at - e->v[i].at, after = end - (at + len);

    if (before && after) {
        if (insert(e, i + 1, at + len, after))
            return -ENOMEM;
        e->v[i].len = before;
    } else if (before) {
        e->v[i].len = before;
    } else if (after) {
        e->v[i] = (struct gvm_extent){at + len, after};
    } else {
        removed(e, i);
    }
    return 0;
}

uintptr_t gvm_extents_alloc(struct gvm_extents *e, size_t len, size_t align)
{
    for (size_t i = 0; i < e->n; i++) {
        uintptr_t at = (e->v[i].at + align - 1) & ~(uintptr_t)(align - 1);
        size_t skip = at - e->v[i].at;

        if (e->v[i].len < skip || e->v[i].len - skip < len)
            continue;
        return cut(e, i, at, len) ? 0 : at;
    }
    return 0;
}

int gvm_extents_take(struct gvm_extents *e, uintptr_t at, size_t len)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->v[i].at <= at && at - e->v[i].at <= e->v[i].len &&
            e->v[i].len - (at - e->v[i].at) >= len)
            return cut(e, i, at, len);
    return -ENOENT;
}

size_t gvm_extents_total(const struct gvm_extents *e)
{
    size_t sum = 0;

    for (size_t i = 0; i < e->n; i++)
        sum += e->v[i].len;
    return sum;
}

void gvm_extents_clear(struct gvm_extents *e)
{
    free(e->v);
    *e = (struct gvm_extents){0};
}
