/* SPDX-License-Identifier: MIT */
/*
 * cuda_mem.c - device memory, in a window of addresses that the worker chooses.
 *
 * cuMemAlloc's addresses lie wherever this process has room, which may be where the guest's process
 * has something of its own. Memory is therefore mapped by the driver's virtual memory management
 * into a range that the guest has reserved too. Chunks of 2 MiB; small allocations share one, as
 * the driver's own do. The quota counts chunks, which is what the GPU has less: a guest that asks for
 * many times a little more than half a chunk would otherwise get far more than its quota.
 */
#include <stdlib.h>
#include <string.h>

#include "cuda_int.h"
#include "cuda_memory.h"
#include "dom0-backend/common/log.h"

#define SLOTS (CUDEV_CHUNK / CUDEV_ALIGN)

/* A run of chunks, mapped as one piece of physical memory. */
struct span {
    uint64_t base, len;
    CUmemGenericAllocationHandle h;
    bool small; /* holds several allocations */
    bool lent;  /* addresses only: what lies there is not ours */
    uint32_t used;
};

struct block {
    uint64_t base, bytes; /* as asked */
    struct span *span;
};

struct cudev_mem {
    pthread_mutex_t lock;
    uint64_t base, size; /* the window */
    struct block *block; /* sorted by base */
    size_t nblock, room;
    struct span **span; /* sorted by base */
    size_t nspan, span_room;
    uint64_t charged;
    struct span *spare; /* small and empty, kept: programs allocate and free in turns */
};

int cudev_mem_open(struct dev *d)
{
    const CUmemAllocationProp prop = {
        .type = CU_MEM_ALLOCATION_TYPE_PINNED,
        .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = d->dev}};
    struct cudev_mem *m = calloc(1, sizeof(*m));
    uint64_t wish;
    CUdeviceptr at = 0;
    size_t gran = 0;
    int err;

    if (!m)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_init(&m->lock, NULL);
    err = (int)cu.cuMemGetAllocationGranularity(&gran, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
    if (!err && CUDEV_CHUNK % gran)
        err = CUDA_ERROR_NOT_SUPPORTED;
    /* Behind the pool, which is far from where Linux puts things. */
    wish = ((uint64_t)(uintptr_t)d->cfg.pool_base + d->cfg.pool_size + CUDEV_WINDOW - 1) /
           CUDEV_WINDOW * CUDEV_WINDOW;
    if (!err)
        err = (int)cu.cuMemAddressReserve(&at, CUDEV_WINDOW, 0, wish, 0);
    if (err) {
        log_error("no device window: CUDA error %d", err);
        free(m);
        return err;
    }
    m->base = at;
    m->size = CUDEV_WINDOW;
    d->mem = m;
    return 0;
}

void cudev_mem_close(struct dev *d)
{
    /* Process exit gives back what is mapped. */
}

void cudev_window(struct dev *d, uint64_t *base, uint64_t *size)
{
    *base = d->mem->base;
    *size = d->mem->size;
}

/* ---- quota ------------------------------------------------------------------------------- */

static uint64_t reserved(struct dev *d)
{
    return d->cfg.quota && d->cfg.quota->reserved ? d->cfg.quota->reserved(d->cfg.arg) : 0;
}

/* Whether `bytes` more would take what suspended processes of others need to come back. Two processes
 * that ask at the same time may both be told no when the memory is there already: so this is asked
 * before and after. */
static bool spoken_for(struct dev *d, uint64_t bytes)
{
    uint64_t r = reserved(d);
    size_t f = 0, t = 0;

    return r && cu.cuMemGetInfo_v2(&f, &t) == CUDA_SUCCESS && (f < r || f - r < bytes);
}

bool cudev_overdrawn(struct dev *d)
{
    return spoken_for(d, 0);
}

static bool charge(struct dev *d, uint64_t bytes)
{
    struct cudev_mem *m = d->mem;

    if (spoken_for(d, bytes))
        return false;

    if (d->cfg.mem_limit && (bytes > d->cfg.mem_limit || m->charged > d->cfg.mem_limit - bytes))
        return false;
    if (d->cfg.quota && !d->cfg.quota->take(d->cfg.arg, bytes))
        return false;
    m->charged += bytes;
    return true;
}

static void uncharge(struct dev *d, uint64_t bytes)
{
    d->mem->charged -= bytes;
    if (d->cfg.quota)
        d->cfg.quota->give(d->cfg.arg, bytes);
}

static void span_free(struct dev *d, struct span *s);

/* Gives up memory that is only kept. Lock held. False: there is none. */
static bool drop_spare(struct dev *d)
{
    struct span *s = d->mem->spare;

    if (!s || s->used)
        return false;
    d->mem->spare = NULL;
    span_free(d, s);
    return true;
}

int cudev_charge(struct dev *d, uint64_t bytes)
{
    bool ok;

    pthread_mutex_lock(&d->mem->lock);
    ok = charge(d, bytes) || (drop_spare(d) && charge(d, bytes));
    pthread_mutex_unlock(&d->mem->lock);
    return ok ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

void cudev_uncharge(struct dev *d, uint64_t bytes)
{
    pthread_mutex_lock(&d->mem->lock);
    uncharge(d, bytes);
    pthread_mutex_unlock(&d->mem->lock);
}

/* ---- spans ------------------------------------------------------------------------------- */

static bool make_room(void *array, size_t n, size_t *room, size_t elem)
{
    void **p = array;
    void *more;

    if (n < *room)
        return true;
    more = realloc(*p, (*room ? *room * 2 : 64) * elem);
    if (!more)
        return false;
    *p = more;
    *room = *room ? *room * 2 : 64;
    return true;
}

/* First gap of the window that takes len octets. 0: none. *at: where the span is to be entered. */
static uint64_t find_gap(const struct cudev_mem *m, uint64_t len, size_t *at)
{
    uint64_t end = m->base;

    for (size_t i = 0; i < m->nspan; i++) {
        if (m->span[i]->base - end >= len) {
            *at = i;
            return end;
        }
        end = m->span[i]->base + m->span[i]->len;
    }
    *at = m->nspan;
    return m->base + m->size - end >= len ? end : 0;
}

static int span_new(struct dev *d, uint64_t len, bool small, struct span **out)
{
    /* Any of it may be exported one day: that must be said now. */
    const CUmemAllocationProp prop = {
        .type = CU_MEM_ALLOCATION_TYPE_PINNED,
        .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
        .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = d->dev}};
    const CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = d->dev},
                                    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    struct cudev_mem *m = d->mem;
    struct span *s = calloc(1, sizeof(*s));
    bool mapped = false, charged = false;
    size_t at;
    int err = CUDA_ERROR_OUT_OF_MEMORY;

    if (!s || !make_room(&m->span, m->nspan, &m->span_room, sizeof(*m->span)))
        goto fail;
    s->len = (len + CUDEV_CHUNK - 1) / CUDEV_CHUNK * CUDEV_CHUNK;
    s->small = small;
    s->base = find_gap(m, s->len, &at);
    if (!s->base || !charge(d, s->len))
        goto fail;
    charged = true;
    err = cudev_rc(d, cu.cuMemCreate(&s->h, s->len, &prop, 0), "cuMemCreate");
    if (err)
        goto fail;
    err = spoken_for(d, 0) ? CUDA_ERROR_OUT_OF_MEMORY : 0;
    if (err)
        goto unmap;
    err = cudev_rc(d, cu.cuMemMap(s->base, s->len, 0, s->h, 0), "cuMemMap");
    mapped = !err;
    if (!err)
        err = cudev_rc(d, cu.cuMemSetAccess(s->base, s->len, &access, 1), "cuMemSetAccess");
    if (!err)
        err = cudev_clear(d, s->base, s->len);
    if (err)
        goto unmap;
    memmove(&m->span[at + 1], &m->span[at], (m->nspan - at) * sizeof(*m->span));
    m->span[at] = s;
    m->nspan++;
    *out = s;
    return 0;
unmap:
    if (mapped)
        cu.cuMemUnmap(s->base, s->len);
    cu.cuMemRelease(s->h);
fail:
    if (charged)
        uncharge(d, s->len);
    free(s);
    return err;
}

static void span_free(struct dev *d, struct span *s)
{
    struct cudev_mem *m = d->mem;

    cudev_rc(d, cu.cuMemUnmap(s->base, s->len), "cuMemUnmap");
    cudev_rc(d, cu.cuMemRelease(s->h), "cuMemRelease");
    uncharge(d, s->len);
    for (size_t i = 0; i < m->nspan; i++) {
        if (m->span[i] == s) {
            memmove(&m->span[i], &m->span[i + 1], (m->nspan - i - 1) * sizeof(*m->span));
            m->nspan--;
            break;
        }
    }
    free(s);
}

/* ---- addresses for other mappings --------------------------------------------------------- */

int cudev_addr_take(struct dev *d, uint64_t size, uint64_t align, uint64_t *base)
{
    struct cudev_mem *m = d->mem;
    struct span *s;
    uint64_t len = size, gap;
    size_t at;
    int err = CUDA_ERROR_OUT_OF_MEMORY;

    if (!size || size % CUDEV_CHUNK || (align & (align - 1)))
        return CUDA_ERROR_INVALID_VALUE;
    if (align > CUDEV_CHUNK && __builtin_add_overflow(size, align, &len))
        return CUDA_ERROR_OUT_OF_MEMORY;
    s = calloc(1, sizeof(*s));
    if (!s)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&m->lock);
    gap = len <= m->size && make_room(&m->span, m->nspan, &m->span_room, sizeof(*m->span))
              ? find_gap(m, len, &at)
              : 0;
    if (gap) {
        s->base = align > CUDEV_CHUNK ? (gap + align - 1) & ~(align - 1) : gap;
        s->len = size;
        s->lent = true;
        memmove(&m->span[at + 1], &m->span[at], (m->nspan - at) * sizeof(*m->span));
        m->span[at] = s;
        m->nspan++;
        *base = s->base;
        s = NULL;
        err = 0;
    }
    pthread_mutex_unlock(&m->lock);
    free(s);
    return err;
}

int cudev_addr_give(struct dev *d, uint64_t base, uint64_t size)
{
    struct cudev_mem *m = d->mem;
    int err = CUDA_ERROR_INVALID_VALUE;

    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->nspan && err; i++) {
        struct span *s = m->span[i];

        if (!s->lent || s->base != base || s->len != size)
            continue;
        memmove(&m->span[i], &m->span[i + 1], (m->nspan - i - 1) * sizeof(*m->span));
        m->nspan--;
        free(s);
        err = 0;
    }
    pthread_mutex_unlock(&m->lock);
    return err;
}

bool cudev_addr_holds(struct dev *d, uint64_t addr, uint64_t size)
{
    struct cudev_mem *m = d->mem;
    bool holds = false;

    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->nspan && !holds; i++) {
        const struct span *s = m->span[i];

        holds = s->lent && size && addr - s->base < s->len && size <= s->len - (addr - s->base);
    }
    pthread_mutex_unlock(&m->lock);
    return holds;
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* Index of the first block at or after addr. */
static size_t lower(const struct cudev_mem *m, uint64_t addr)
{
    size_t lo = 0, hi = m->nblock;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (m->block[mid].base < addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + CUDEV_ALIGN - 1) / CUDEV_ALIGN * CUDEV_ALIGN;
}

/* Room for len octets in a shared span; 0: none. */
static uint64_t find_small(const struct cudev_mem *m, const struct span *s, uint64_t len)
{
    uint64_t end = s->base;

    for (size_t i = lower(m, s->base); i < m->nblock && m->block[i].span == s; i++) {
        if (m->block[i].base - end >= len)
            return end;
        end = m->block[i].base + rounded(m->block[i].bytes);
    }
    return s->base + s->len - end >= len ? end : 0;
}

int cudev_mem_alloc(struct dev *d, uint64_t bytes, uint64_t *dptr)
{
    struct cudev_mem *m = d->mem;
    uint64_t len, base = 0;
    struct span *s = NULL;
    int err = cudev_enter(d);
    size_t at;

    if (err)
        return err;
    if (bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (bytes > m->size)
        return CUDA_ERROR_OUT_OF_MEMORY;
    len = rounded(bytes);
    pthread_mutex_lock(&m->lock);
    if (!make_room(&m->block, m->nblock, &m->room, sizeof(*m->block))) {
        err = CUDA_ERROR_OUT_OF_MEMORY;
        goto out;
    }
    if (len <= CUDEV_SLAB_MAX) {
        if (m->spare && m->spare->used)
            m->spare = NULL;
        for (size_t i = 0; i < m->nspan && !base; i++) {
            s = m->span[i];
            if (s->small && s->used + len <= s->len)
                base = find_small(m, s, len);
        }
    }
    if (!base) {
        err = span_new(d, len, len <= CUDEV_SLAB_MAX, &s);
        if (err == CUDA_ERROR_OUT_OF_MEMORY && drop_spare(d))
            err = span_new(d, len, len <= CUDEV_SLAB_MAX, &s);
        if (err)
            goto out;
        base = s->base;
    }
    at = lower(m, base);
    memmove(&m->block[at + 1], &m->block[at], (m->nblock - at) * sizeof(*m->block));
    m->block[at] = (struct block){base, bytes, s};
    m->nblock++;
    s->used += s->small ? (uint32_t)len : 1;
    *dptr = base;
out:
    pthread_mutex_unlock(&m->lock);
    return err;
}

int cudev_mem_free(struct dev *d, uint64_t dptr)
{
    struct cudev_mem *m = d->mem;
    struct span *s;
    uint32_t len;
    int err = cudev_enter(d);
    size_t i;

    if (err)
        return err;
    pthread_mutex_lock(&m->lock);
    i = lower(m, dptr);
    err = i < m->nblock && m->block[i].base == dptr ? 0 : CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_unlock(&m->lock);
    if (err)
        return err;
    /* As cuMemFree: what may use the memory completes first. */
    err = cudev_wait_all(d);
    cudev_output_drain(d);
    if (err)
        return err;
    pthread_mutex_lock(&m->lock);
    i = lower(m, dptr);
    if (i == m->nblock || m->block[i].base != dptr) {
        err = CUDA_ERROR_INVALID_VALUE; /* another thread was faster */
        goto out;
    }
    s = m->block[i].span;
    len = s->small ? (uint32_t)rounded(m->block[i].bytes) : 1;
    memmove(&m->block[i], &m->block[i + 1], (m->nblock - i - 1) * sizeof(*m->block));
    m->nblock--;
    s->used -= len;
    if (!s->used && s->small && (!m->spare || m->spare == s || m->spare->used))
        m->spare = s;
    else if (!s->used)
        span_free(d, s);
out:
    pthread_mutex_unlock(&m->lock);
    return err;
}

int cudev_mem_part(struct dev *d, uint64_t dptr, uint64_t part[3],
                   int (*fn)(struct dev *d, CUmemGenericAllocationHandle h, struct dev_share *out),
                   struct dev_share *out)
{
    struct cudev_mem *m = d->mem;
    int err = CUDA_ERROR_INVALID_VALUE;
    size_t i;

    pthread_mutex_lock(&m->lock);
    i = lower(m, dptr);
    if (i < m->nblock && m->block[i].base == dptr) {
        const struct span *s = m->block[i].span;

        part[0] = s->len;
        part[1] = dptr - s->base;
        part[2] = m->block[i].bytes;
        err = fn(d, s->h, out);
    }
    pthread_mutex_unlock(&m->lock);
    return err;
}

int cudev_mem_info(struct dev *d, uint64_t *free_bytes, uint64_t *total_bytes)
{
    size_t f = 0, t = 0;
    uint64_t left, spare, others;
    int err = cudev_enter(d);

    if (!err)
        cudev_pools_settle(d);
    if (!err)
        err = cudev_rc(d, cu.cuMemGetInfo_v2(&f, &t), "cuMemGetInfo");
    if (err)
        return err;
    pthread_mutex_lock(&d->mem->lock);
    left = d->cfg.mem_limit > d->mem->charged ? d->cfg.mem_limit - d->mem->charged : 0;
    spare = d->mem->spare && !d->mem->spare->used ? d->mem->spare->len : 0;
    pthread_mutex_unlock(&d->mem->lock);
    *total_bytes = t;
    others = reserved(d);
    f = f > others ? f - others : 0;
    if (d->cfg.mem_limit && d->cfg.mem_limit < t) {
        *total_bytes = d->cfg.mem_limit;
        if (left < f)
            f = left;
    }
    if (d->cfg.quota) {
        left = d->cfg.quota->left(d->cfg.arg);
        if (left < f)
            f = left;
    }
    /* Kept, but given up when somebody wants it. */
    *free_bytes = f + spare < *total_bytes ? f + spare : *total_bytes;
    return 0;
}

int cudev_mem_range(struct dev *d, uint64_t dptr, uint64_t *base, uint64_t *size)
{
    struct cudev_mem *m = d->mem;
    CUdeviceptr b = 0;
    size_t n = 0, i;
    bool found = false;
    int err;

    pthread_mutex_lock(&m->lock);
    i = lower(m, dptr + 1);
    if (i > 0 && dptr - m->block[i - 1].base < m->block[i - 1].bytes) {
        *base = m->block[i - 1].base;
        *size = m->block[i - 1].bytes;
        found = true;
    }
    pthread_mutex_unlock(&m->lock);
    if (found)
        return 0;
    if (dptr - m->base < m->size)
        return CUDA_ERROR_NOT_FOUND;
    /* Variables of modules and other things that the driver has placed. */
    err = cudev_enter(d);
    if (!err)
        err = cudev_rc(d, cu.cuMemGetAddressRange_v2(&b, &n, dptr), "cuMemGetAddressRange");
    *base = b;
    *size = n;
    return err;
}
