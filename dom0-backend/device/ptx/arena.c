/* SPDX-License-Identifier: MIT */
#include "dom0-backend/device/device.h"
#include "dom0-backend/device/ptx/arena_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__ /* leaves a program the lowest addresses only */
#define WINDOW_MAX   (1ull << 34)
#define WINDOW_FIRST 0x1000000000ull
#define WINDOW_STEP  0x0400000000ull
#else
#define WINDOW_MAX   (1ull << 40)
#define WINDOW_FIRST 0x200000000000ull
#define WINDOW_STEP  0x040000000000ull
#endif
#define NATTEMPT 16u

#define CLASS_MIN   4 /* log2 of the smallest block */
#define CLASS_MAX   15
#define CLASS_USER  8 /* cuMemAlloc promises 256 bytes */
#define SLAB_BYTES  (512u * 1024)
#define SLAB_BLOCKS 4096u
#define KIND_SHIFT  28 /* block[]: size asked for, kind above it */
#define SIZE_MASK   ((1u << KIND_SHIFT) - 1)

/* ---- window ------------------------------------------------------------------------------ */

int arena_window(unsigned attempt, uint64_t min_size, uint64_t *base, uint64_t *size)
{
    uint64_t at = WINDOW_FIRST + (attempt % NATTEMPT) * WINDOW_STEP;

    for (uint64_t n = WINDOW_MAX; n >= min_size && n >= 2 * ARENA_SLOT; n >>= 1) {
        void *p = mmap((void *)(uintptr_t)at, n, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

        if (p == MAP_FAILED && errno == EEXIST)
            return CUDA_OUT_OF_MEMORY;
        if (p == MAP_FAILED)
            continue; /* RLIMIT_AS, or a machine with less address space */
        if ((uintptr_t)p != at) {
            /* Kernels before 4.17 take the address as a hint. */
            munmap(p, n);
            return CUDA_OUT_OF_MEMORY;
        }
        *base = at;
        *size = n;
        return 0;
    }
    return CUDA_OUT_OF_MEMORY;
}

void arena_window_free(uint64_t base, uint64_t size)
{
    munmap((void *)(uintptr_t)base, size);
}

static bool map_pages(uint64_t addr, uint64_t len)
{
    if (mprotect((void *)(uintptr_t)addr, len, PROT_READ | PROT_WRITE) < 0)
        return false;
    if (len >= ARENA_SLOT)
        madvise((void *)(uintptr_t)addr, len, MADV_HUGEPAGE);
    return true;
}

/* A fresh mapping merges with its neighbours, which mprotect() on used pages does not: the number
 * of mappings a process may have is limited. */
void arena_unmap_pages(uint64_t addr, uint64_t len)
{
    void *p = mmap((void *)(uintptr_t)addr, len, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

    if (p == MAP_FAILED) {
        /* Out of mappings: give the memory back at least, and make accesses fault if possible. */
        madvise((void *)(uintptr_t)addr, len, MADV_DONTNEED);
        (void)!mprotect((void *)(uintptr_t)addr, len, PROT_NONE);
    }
}

/* ---- lists and slots --------------------------------------------------------------------- */

static void push(struct region **head, struct region *r)
{
    r->prev = NULL;
    r->next = *head;
    if (r->next)
        r->next->prev = r;
    *head = r;
    r->listed = true;
}

static void unlink_region(struct region **head, struct region *r)
{
    if (r->prev)
        r->prev->next = r->next;
    else
        *head = r->next;
    if (r->next)
        r->next->prev = r->prev;
    r->listed = false;
}

static struct region **bin_of(struct arena *a, uint32_t nslot)
{
    return &a->bin[nslot < ARENA_NBIN ? nslot - 1 : ARENA_NBIN - 1];
}

/* Free extents are entered at both ends only: that is where neighbours look. */
static void put_free(struct arena *a, struct region *r)
{
    r->use = FREE;
    a->slot[r->slot] = r;
    a->slot[r->slot + r->nslot - 1] = r;
    push(bin_of(a, r->nslot), r);
}

struct region *arena_take_slots(struct arena *a, uint32_t n)
{
    struct region *best = NULL;
    unsigned b;

    for (b = (n < ARENA_NBIN ? n : ARENA_NBIN) - 1; b < ARENA_NBIN - 1 && !best; b++)
        best = a->bin[b];
    if (!best) {
        for (struct region *r = a->bin[ARENA_NBIN - 1]; r; r = r->next)
            if (r->nslot >= n && (!best || r->nslot < best->nslot))
                best = r;
    }
    if (!best)
        return NULL;
    if (best->nslot > n) {
        struct region *rest = calloc(1, sizeof(*rest));

        if (!rest)
            return NULL;
        unlink_region(bin_of(a, best->nslot), best);
        rest->slot = best->slot + n;
        rest->nslot = best->nslot - n;
        best->nslot = n;
        put_free(a, rest);
    } else {
        unlink_region(bin_of(a, best->nslot), best);
    }
    for (uint32_t i = 0; i < n; i++)
        a->slot[best->slot + i] = best;
    best->addr = a->base + ((uint64_t)best->slot << ARENA_SLOT_SHIFT);
    return best;
}

/* Exactly these; NULL: not all of them are free. */
struct region *arena_take_slots_at(struct arena *a, uint32_t slot, uint32_t n)
{
    struct region *r = NULL, *left = NULL, *right = NULL;
    uint32_t at = slot;

    /* Free extents are entered at their ends, all others everywhere. */
    if (slot >= a->nslot || n == 0 || n > a->nslot - slot)
        return NULL;
    while (!(r = a->slot[at]) && at > 0)
        at--;
    if (!r || r->use != FREE || r->slot > slot || r->nslot - (slot - r->slot) < n)
        return NULL;
    if (slot > r->slot)
        left = calloc(1, sizeof(*left));
    if (r->slot + r->nslot > slot + n)
        right = calloc(1, sizeof(*right));
    if ((slot > r->slot && !left) || (r->slot + r->nslot > slot + n && !right)) {
        free(left);
        free(right);
        return NULL;
    }
    unlink_region(bin_of(a, r->nslot), r);
    a->slot[r->slot] = a->slot[r->slot + r->nslot - 1] = NULL;
    if (left) {
        left->slot = r->slot;
        left->nslot = slot - r->slot;
        put_free(a, left);
    }
    if (right) {
        right->slot = slot + n;
        right->nslot = r->slot + r->nslot - right->slot;
        put_free(a, right);
    }
    r->slot = slot;
    r->nslot = n;
    for (uint32_t i = 0; i < n; i++)
        a->slot[slot + i] = r;
    r->addr = a->base + ((uint64_t)slot << ARENA_SLOT_SHIFT);
    return r;
}

void arena_give_slots(struct arena *a, struct region *r)
{
    struct region *n;

    for (uint32_t i = 0; i < r->nslot; i++)
        a->slot[r->slot + i] = NULL;
    free(r->block);
    r->block = NULL;
    n = r->slot ? a->slot[r->slot - 1] : NULL;
    if (n && n->use == FREE) {
        unlink_region(bin_of(a, n->nslot), n);
        a->slot[n->slot] = a->slot[n->slot + n->nslot - 1] = NULL;
        r->slot = n->slot;
        r->nslot += n->nslot;
        free(n);
    }
    n = r->slot + r->nslot < a->nslot ? a->slot[r->slot + r->nslot] : NULL;
    if (n && n->use == FREE) {
        unlink_region(bin_of(a, n->nslot), n);
        a->slot[n->slot] = a->slot[n->slot + n->nslot - 1] = NULL;
        r->nslot += n->nslot;
        free(n);
    }
    put_free(a, r);
}

/* ---- life cycle -------------------------------------------------------------------------- */

int arena_create(struct arena *a, uint64_t base, uint64_t window_size, uint64_t size,
                 uint64_t limit)
{
    struct region *all;

    memset(a, 0, sizeof(*a));
    a->base = base;
    a->mask = window_size - 1;
    a->size = size;
    a->limit = limit;
    a->nslot = (uint32_t)(size >> ARENA_SLOT_SHIFT);
    a->slot = calloc(a->nslot, sizeof(*a->slot));
    all = calloc(1, sizeof(*all));
    if (!a->slot || !all) {
        free(a->slot);
        free(all);
        return CUDA_OUT_OF_MEMORY;
    }
    pthread_mutex_init(&a->lock, NULL);
    pthread_rwlock_init(&a->pin, NULL);
    all->nslot = a->nslot;
    put_free(a, all);
    return 0;
}

void arena_destroy(struct arena *a)
{
    if (!a->slot)
        return;
    for (uint32_t i = 0; i < a->nslot;) {
        struct region *r = a->slot[i];

        i = r->slot + r->nslot;
        if (r->use == RANGE) {
            arena_range_clear(r);
        } else if (r->use != FREE) {
            arena_unmap_pages(r->addr, r->mapped);
            if (r->fd >= 0)
                close(r->fd);
        }
        free(r->block);
        free(r);
    }
    free(a->slot);
    free(a->pool);
    a->slot = NULL;
    pthread_mutex_destroy(&a->lock);
    pthread_rwlock_destroy(&a->pin);
}

/* ---- allocations ------------------------------------------------------------------------- */

bool arena_take_bytes(struct arena *a, uint64_t bytes)
{
    if (bytes > a->limit - a->used || (a->quota && !a->quota->take(a->quota_arg, bytes)))
        return false;
    a->used += bytes;
    return true;
}

void arena_give_bytes(struct arena *a, uint64_t bytes)
{
    a->used -= bytes;
    if (a->quota)
        a->quota->give(a->quota_arg, bytes);
}

#define ANYWHERE UINT32_MAX

static struct region *new_region(struct arena *a, uint32_t slot, uint32_t nslot, uint64_t mapped)
{
    struct region *r;

    if (!arena_take_bytes(a, mapped))
        return NULL;
    r = slot == ANYWHERE ? arena_take_slots(a, nslot) : arena_take_slots_at(a, slot, nslot);
    if (!r) {
        arena_give_bytes(a, mapped);
        return NULL;
    }
    r->mapped = mapped;
    r->fd = -1;
    if (!map_pages(r->addr, mapped)) {
        arena_give_slots(a, r);
        arena_give_bytes(a, mapped);
        return NULL;
    }
    return r;
}

static struct region *new_slab(struct arena *a, uint32_t slot, unsigned cls)
{
    uint64_t bytes = (uint64_t)SLAB_BLOCKS << (cls + CLASS_MIN);
    uint32_t *block;
    struct region *r;

    if (bytes > SLAB_BYTES)
        bytes = SLAB_BYTES;
    block = calloc(bytes >> (cls + CLASS_MIN), sizeof(*block));
    if (!block)
        return NULL;
    r = new_region(a, slot, 1, bytes);
    if (!r) {
        free(block);
        return NULL;
    }
    r->use = SLAB;
    r->cls = cls;
    r->nblock = (uint32_t)(bytes >> (cls + CLASS_MIN));
    r->used = r->hint = 0;
    r->block = block;
    push(&a->partial[cls], r);
    return r;
}

static unsigned log_of(uint32_t bytes, enum arena_kind kind)
{
    unsigned log = kind == ARENA_HEAP ? CLASS_MIN : CLASS_USER;

    while ((1u << log) < bytes)
        log++;
    return log;
}

static void take_block(struct arena *a, struct region *r, uint32_t i, uint32_t bytes,
                       enum arena_kind kind)
{
    r->block[i] = bytes | (uint32_t)kind << KIND_SHIFT;
    r->hint = (i + 1) % r->nblock;
    if (++r->used == r->nblock)
        unlink_region(&a->partial[r->cls], r);
}

static int alloc_small(struct arena *a, uint32_t bytes, enum arena_kind kind, uint64_t *addr)
{
    unsigned log = log_of(bytes, kind);
    struct region *r;
    uint32_t i;

    r = a->partial[log - CLASS_MIN];
    if (!r)
        r = new_slab(a, ANYWHERE, log - CLASS_MIN);
    if (!r)
        return CUDA_OUT_OF_MEMORY;
    for (i = r->hint; r->block[i]; i = (i + 1) % r->nblock)
        ;
    take_block(a, r, i, bytes, kind);
    *addr = r->addr + ((uint64_t)i << log);
    return 0;
}

static int alloc_large(struct arena *a, uint32_t slot, uint64_t bytes, enum arena_kind kind,
                       uint64_t *addr)
{
    uint64_t mapped = (bytes + ARENA_PAGE - 1) & ~(ARENA_PAGE - 1);
    /* One page more, so that running off the end always faults. */
    uint64_t nslot = (mapped + ARENA_PAGE + ARENA_SLOT - 1) >> ARENA_SLOT_SHIFT;
    struct region *r;

    if (nslot > a->nslot)
        return CUDA_OUT_OF_MEMORY;
    r = new_region(a, slot, (uint32_t)nslot, mapped);
    if (!r)
        return CUDA_OUT_OF_MEMORY;
    r->use = LARGE;
    r->size = bytes;
    r->kind = kind;
    *addr = r->addr;
    return 0;
}

/* The next of the blocks that were placed for what is being made. */
static int claim(struct arena *a, uint64_t bytes, uint64_t *addr)
{
    enum arena_kind kind;
    uint64_t base, size;
    struct region *r = NULL;
    uint32_t i;

    if (a->claimed < a->nclaim)
        r = arena_locate(a, a->claim[a->claimed], &i, &base, &size, &kind);
    if (!r || base != a->claim[a->claimed] || kind != ARENA_KEPT || size != bytes)
        return CUDA_INVALID_VALUE;
    if (r->use == LARGE)
        r->kind = ARENA_MODULE;
    else
        r->block[i] = (uint32_t)bytes | (uint32_t)ARENA_MODULE << KIND_SHIFT;
    a->claimed++;
    *addr = base;
    return 0;
}

int arena_alloc(struct arena *a, uint64_t bytes, enum arena_kind kind, uint64_t *addr)
{
    int err;

    if (bytes == 0)
        return CUDA_INVALID_VALUE;
    if (bytes > a->limit)
        return CUDA_OUT_OF_MEMORY;
    pthread_mutex_lock(&a->lock);
    if (a->claim && kind == ARENA_MODULE)
        err = claim(a, bytes, addr);
    else if (bytes <= 1u << CLASS_MAX)
        err = alloc_small(a, (uint32_t)bytes, kind, addr);
    else
        err = alloc_large(a, ANYWHERE, bytes, kind, addr);
    pthread_mutex_unlock(&a->lock);
    return err;
}

int arena_place(struct arena *a, uint64_t addr, uint64_t bytes, enum arena_kind kind)
{
    uint64_t off = addr - a->base, at;
    uint32_t slot = (uint32_t)(off >> ARENA_SLOT_SHIFT), i;
    struct region *r;
    unsigned log;
    int err = CUDA_INVALID_VALUE;

    if (addr < a->base || off >= a->size || bytes == 0 || bytes > a->limit)
        return CUDA_INVALID_VALUE;
    pthread_mutex_lock(&a->lock);
    if (bytes > 1u << CLASS_MAX) {
        if (off % ARENA_SLOT == 0)
            err = alloc_large(a, slot, bytes, kind, &at);
        goto out;
    }
    log = log_of((uint32_t)bytes, kind);
    r = a->slot[slot];
    if (!r || r->use == FREE)
        r = new_slab(a, slot, log - CLASS_MIN);
    if (!r || r->use != SLAB || r->cls != log - CLASS_MIN || addr % (1u << log) ||
        addr - r->addr >= r->mapped)
        goto out;
    i = (uint32_t)((addr - r->addr) >> log);
    if (r->block[i])
        goto out;
    take_block(a, r, i, (uint32_t)bytes, kind);
    err = 0;
out:
    pthread_mutex_unlock(&a->lock);
    return err;
}

void arena_walk(struct arena *a, void (*fn)(void *arg, const struct region *r), void *arg)
{
    pthread_mutex_lock(&a->lock);
    for (uint32_t i = 0; i < a->nslot;) {
        const struct region *r = a->slot[i];

        i = r->slot + r->nslot;
        if (r->use != FREE)
            fn(arg, r);
    }
    pthread_mutex_unlock(&a->lock);
}

bool arena_block(const struct region *r, uint32_t i, uint64_t *addr, uint64_t *size,
                 enum arena_kind *kind)
{
    if (!r->block[i])
        return false;
    *addr = r->addr + ((uint64_t)i << (r->cls + CLASS_MIN));
    *size = r->block[i] & SIZE_MASK;
    *kind = (enum arena_kind)(r->block[i] >> KIND_SHIFT);
    return true;
}

struct region *arena_locate(struct arena *a, uint64_t addr, uint32_t *block, uint64_t *base,
                            uint64_t *size, enum arena_kind *kind)
{
    struct region *r;
    uint32_t i;

    if (addr < a->base || addr - a->base >= a->size)
        return NULL;
    r = a->slot[(addr - a->base) >> ARENA_SLOT_SHIFT];
    if (!r || r->use == FREE)
        return NULL;
    *block = 0;
    if (r->use == RANGE) {
        const struct mapping *m = r->maps;

        while (m && (addr < m->addr || addr - m->addr >= m->size))
            m = m->next;
        if (!m || !m->access)
            return NULL;
        *base = m->addr;
        *size = m->size;
        *kind = ARENA_MAPPED;
    } else if (r->use == LARGE) {
        *base = r->addr;
        *size = r->size;
        *kind = r->kind;
    } else {
        if (addr - r->addr >= r->mapped)
            return NULL;
        i = (uint32_t)((addr - r->addr) >> (r->cls + CLASS_MIN));
        if (!r->block[i])
            return NULL;
        *block = i;
        *base = r->addr + ((uint64_t)i << (r->cls + CLASS_MIN));
        *size = r->block[i] & SIZE_MASK;
        *kind = (enum arena_kind)(r->block[i] >> KIND_SHIFT);
    }
    return addr - *base < *size ? r : NULL;
}

int arena_free(struct arena *a, uint64_t addr, enum arena_kind kind, uint64_t *bytes)
{
    enum arena_kind found;
    uint64_t base, size;
    struct region *r;
    uint32_t i;
    int err = CUDA_INVALID_VALUE;

    pthread_rwlock_wrlock(&a->pin);
    pthread_mutex_lock(&a->lock);
    r = arena_locate(a, addr, &i, &base, &size, &found);
    if (!r || base != addr || found != kind)
        goto out;
    err = 0;
    if (bytes)
        *bytes = size;
    if (r->use == SLAB) {
        r->block[i] = 0;
        r->hint = i;
        if (r->used-- == r->nblock)
            push(&a->partial[r->cls], r);
        if (r->used)
            goto out;
        unlink_region(&a->partial[r->cls], r);
    }
    arena_unmap_pages(r->addr, r->mapped);
    if (r->fd >= 0)
        close(r->fd);
    arena_give_bytes(a, r->mapped);
    arena_give_slots(a, r);
out:
    pthread_mutex_unlock(&a->lock);
    pthread_rwlock_unlock(&a->pin);
    return err;
}

bool arena_find(struct arena *a, uint64_t addr, uint64_t *base, uint64_t *size,
                enum arena_kind *kind)
{
    uint32_t block;
    bool ok;

    pthread_mutex_lock(&a->lock);
    ok = arena_locate(a, addr, &block, base, size, kind) != NULL;
    pthread_mutex_unlock(&a->lock);
    return ok;
}

void arena_usage(struct arena *a, uint64_t *used, uint64_t *limit)
{
    pthread_mutex_lock(&a->lock);
    *used = a->used;
    *limit = a->limit;
    pthread_mutex_unlock(&a->lock);
}

/* ---- pool memory and host access --------------------------------------------------------- */

int arena_pool_add(struct arena *a, uint64_t addr, uint64_t len)
{
    int err = CUDA_INVALID_VALUE;
    unsigned i;

    if (!len || (addr | len) % ARENA_PAGE || addr < a->base + a->size || addr - a->base > a->mask ||
        len > a->mask + 1 - (addr - a->base))
        return CUDA_INVALID_VALUE;
    pthread_mutex_lock(&a->lock);
    for (i = 0; i < a->npool && a->pool[i].addr < addr; i++)
        ;
    if (i > 0 && a->pool[i - 1].addr + a->pool[i - 1].len > addr)
        goto out;
    if (i < a->npool && addr + len > a->pool[i].addr)
        goto out;
    if (a->npool == a->cap_pool) {
        unsigned cap = a->cap_pool ? 2 * a->cap_pool : 16;
        struct arena_pool *p = realloc(a->pool, cap * sizeof(*p));

        if (!p) {
            err = CUDA_OUT_OF_MEMORY;
            goto out;
        }
        a->pool = p;
        a->cap_pool = cap;
    }
    memmove(&a->pool[i + 1], &a->pool[i], (a->npool - i) * sizeof(*a->pool));
    a->pool[i].addr = addr;
    a->pool[i].len = len;
    a->npool++;
    err = 0;
out:
    pthread_mutex_unlock(&a->lock);
    return err;
}

void arena_pool_drop(struct arena *a, uint64_t addr, uint64_t len)
{
    pthread_rwlock_wrlock(&a->pin);
    pthread_mutex_lock(&a->lock);
    for (unsigned i = 0; i < a->npool; i++) {
        if (a->pool[i].addr == addr && a->pool[i].len == len) {
            a->npool--;
            memmove(&a->pool[i], &a->pool[i + 1], (a->npool - i) * sizeof(*a->pool));
            break;
        }
    }
    pthread_mutex_unlock(&a->lock);
    pthread_rwlock_unlock(&a->pin);
}

static bool pool_holds(const struct arena *a, uint64_t addr, uint64_t n)
{
    for (unsigned i = 0; i < a->npool && n; i++) {
        const struct arena_pool *p = &a->pool[i];
        uint64_t left;

        if (addr < p->addr)
            return false;
        if (addr - p->addr >= p->len)
            continue;
        left = p->len - (addr - p->addr);
        if (n <= left)
            return true;
        addr += left; /* chunks that touch count as one range */
        n -= left;
    }
    return n == 0;
}

bool arena_valid(struct arena *a, uint64_t addr, uint64_t n)
{
    enum arena_kind kind;
    uint64_t base, size;
    uint32_t block;
    bool ok;

    pthread_mutex_lock(&a->lock);
    if (arena_locate(a, addr, &block, &base, &size, &kind)) {
        ok = n <= size - (addr - base);
        while (!ok && kind == ARENA_MAPPED) { /* mappings that touch count as one range */
            n -= size - (addr - base);
            addr = base + size;
            if (!arena_locate(a, addr, &block, &base, &size, &kind))
                break;
            ok = n <= size - (addr - base);
        }
    } else {
        ok = pool_holds(a, addr, n);
    }
    pthread_mutex_unlock(&a->lock);
    return ok;
}

bool arena_pin(struct arena *a, uint64_t addr, uint64_t n)
{
    pthread_rwlock_rdlock(&a->pin);
    if (arena_valid(a, addr, n))
        return true;
    pthread_rwlock_unlock(&a->pin);
    return false;
}

void arena_unpin(struct arena *a)
{
    pthread_rwlock_unlock(&a->pin);
}
