/* SPDX-License-Identifier: MIT */
#include "ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Index of the first range whose base is above addr. */
static size_t above(const struct gvm_ranges *r, uint64_t addr)
{
    size_t lo = 0, hi = r->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (r->v[mid].base <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void drop(struct gvm_ranges *r, size_t i, struct gvm_range *out)
{
    *out = r->v[i];
    r->n--;
    memmove(r->v + i, r->v + i + 1, (r->n - i) * sizeof(*r->v));
}

int gvm_ranges_add(struct gvm_ranges *r, const struct gvm_range *g)
{
    size_t i;
    int rc = 0;

    pthread_rwlock_wrlock(&r->lock);
    i = above(r, g->base);
    if ((i && r->v[i - 1].base + r->v[i - 1].size > g->base) ||
        (i < r->n && g->base + g->size > r->v[i].base)) {
        rc = -EEXIST;
        goto out;
    }
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        struct gvm_range *v = realloc(r->v, cap * sizeof(*v));

        if (!v) {
            rc = -ENOMEM;
            goto out;
        }
        r->v = v;
        r->cap = cap;
    }
    memmove(r->v + i + 1, r->v + i, (r->n - i) * sizeof(*r->v));
    r->v[i] = *g;
    r->v[i].id = r->next_id++;
    r->n++;
out:
    pthread_rwlock_unlock(&r->lock);
    return rc;
}

bool gvm_ranges_remove(struct gvm_ranges *r, uint64_t base, unsigned kinds, struct gvm_range *out)
{
    bool ok;
    size_t i;

    pthread_rwlock_wrlock(&r->lock);
    i = above(r, base);
    ok = i && r->v[i - 1].base == base && (kinds >> r->v[i - 1].kind & 1);
    if (ok)
        drop(r, i - 1, out);
    pthread_rwlock_unlock(&r->lock);
    return ok;
}

bool gvm_ranges_find(struct gvm_ranges *r, uint64_t addr, struct gvm_range *out)
{
    bool ok;
    size_t i;

    pthread_rwlock_rdlock(&r->lock);
    i = above(r, addr);
    ok = i && addr - r->v[i - 1].base < r->v[i - 1].size;
    if (ok)
        *out = r->v[i - 1];
    pthread_rwlock_unlock(&r->lock);
    return ok;
}

bool gvm_ranges_mark(struct gvm_ranges *r, uint64_t addr, uint32_t set, uint32_t clear)
{
    bool ok;
    size_t i;

    pthread_rwlock_wrlock(&r->lock);
    i = above(r, addr);
    ok = i && addr - r->v[i - 1].base < r->v[i - 1].size;
    if (ok)
        r->v[i - 1].marks = (r->v[i - 1].marks & ~clear) | set;
    pthread_rwlock_unlock(&r->lock);
    return ok;
}

bool gvm_ranges_take_owned(struct gvm_ranges *r, const void *owner, struct gvm_range *out)
{
    bool ok = false;

    pthread_rwlock_wrlock(&r->lock);
    for (size_t i = r->n; i-- > 0 && !ok;) {
        if (r->v[i].owner == owner) {
            drop(r, i, out);
            ok = true;
        }
    }
    pthread_rwlock_unlock(&r->lock);
    return ok;
}

void gvm_ranges_clear(struct gvm_ranges *r)
{
    pthread_rwlock_wrlock(&r->lock);
    r->n = 0;
    pthread_rwlock_unlock(&r->lock);
}
