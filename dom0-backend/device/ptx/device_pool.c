/* SPDX-License-Identifier: MIT */
/*
 * Stream-ordered allocation. An allocation is good at once; a free is an operation of its stream,
 * after which the pool may give the block to anybody: it has been passed by all work that could use
 * it. A pool keeps freed blocks up to its release threshold.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dom0-backend/device/ptx/device_int.h"

#define GRAIN 512u

enum attribute {
    REUSE_EVENTS = 1,
    REUSE_OPPORTUNISTIC,
    REUSE_DEPENDENCIES,
    RELEASE_THRESHOLD,
    RESERVED,
    RESERVED_HIGH,
    USED,
    USED_HIGH
};

struct block {
    struct block *next; /* in its bucket, or in the pool's list of unused ones */
    struct dev_mempool *pool;
    uint64_t addr;
    uint64_t size;   /* a multiple of GRAIN */
    uint64_t bytes;  /* as asked for */
    bool freeing;    /* the free is on its way in a stream */
    uint64_t region; /* imported: what is mapped for it, else 0 */
};

struct dev_mempool {
    struct dev_mempool *next;
    bool named;  /* after loading: has a handle again */
    bool dead;   /* destroyed; freed with its last block */
    uint64_t id; /* exportable, or imported: the same in all processes; 0: neither */
    bool imported;
    uint64_t max, threshold;
    uint64_t reuse[4]; /* by attribute; flags without effect here, as blocks are only reused free */
    uint64_t reserved, reserved_high, used, used_high;
    uint64_t nblock;      /* in use */
    struct block *unused; /* latest first */
};

static struct block **bucket(struct dev *d, uint64_t addr)
{
    return &d->pools.bucket[addr / GRAIN % POOL_BUCKETS];
}

/* The block in use that starts at addr. With pools.lock held, as all below. */
static struct block **find(struct dev *d, uint64_t addr)
{
    struct block **b = bucket(d, addr);

    while (*b && (*b)->addr != addr)
        b = &(*b)->next;
    return b;
}

static void raise_to(uint64_t *high, uint64_t now)
{
    if (*high < now)
        *high = now;
}

/* Gives unused blocks back until at most `keep` octets are reserved. */
static void trim(struct dev *d, struct dev_mempool *p, uint64_t keep)
{
    while (p->unused && p->reserved > keep) {
        struct block *b = p->unused;

        p->unused = b->next;
        p->reserved -= b->size;
        arena_free(&d->arena, b->addr, ARENA_POOL, NULL);
        free(b);
    }
}

static void drop_if_dead(struct dev *d, struct dev_mempool *p)
{
    struct dev_mempool **at = &d->pools.list;

    if (!p->dead || p->nblock)
        return;
    trim(d, p, 0);
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    free(p);
}

static struct dev_mempool *add_pool(struct dev *d, uint64_t max)
{
    struct dev_mempool *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->max = max;
    for (int i = REUSE_EVENTS; i <= REUSE_DEPENDENCIES; i++)
        p->reuse[i] = 1;
    p->next = d->pools.list;
    d->pools.list = p;
    return p;
}

void pools_init(struct dev *d)
{
    pthread_mutex_init(&d->pools.lock, NULL);
}

void pools_fini(struct dev *d)
{
    for (unsigned i = 0; i < POOL_BUCKETS; i++) {
        while (d->pools.bucket[i]) {
            struct block *b = d->pools.bucket[i];

            d->pools.bucket[i] = b->next;
            free(b);
        }
    }
    while (d->pools.list) {
        struct dev_mempool *p = d->pools.list;

        d->pools.list = p->next;
        while (p->unused) {
            struct block *b = p->unused;

            p->unused = b->next;
            free(b);
        }
        free(p);
    }
    pthread_mutex_destroy(&d->pools.lock);
}

static int mempool_create(struct dev *d, uint64_t max, struct dev_mempool **out)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    pthread_mutex_lock(&d->pools.lock);
    *out = add_pool(d, max);
    pthread_mutex_unlock(&d->pools.lock);
    return *out ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

static int mempool_destroy(struct dev *d, struct dev_mempool *p)
{
    pthread_mutex_lock(&d->pools.lock);
    p->dead = true;
    drop_if_dead(d, p);
    pthread_mutex_unlock(&d->pools.lock);
    return dev_sticky(d);
}

static int mempool_default(struct dev *d, struct dev_mempool **out)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    pthread_mutex_lock(&d->pools.lock);
    if (!d->pools.def)
        d->pools.def = add_pool(d, 0);
    *out = d->pools.def;
    pthread_mutex_unlock(&d->pools.lock);
    return *out ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* An unused block that is not much too large. */
static struct block *take_unused(struct dev_mempool *p, uint64_t size)
{
    for (struct block **at = &p->unused; *at; at = &(*at)->next) {
        struct block *b = *at;

        if (b->size >= size && b->size / 2 <= size) {
            *at = b->next;
            return b;
        }
    }
    return NULL;
}

static struct block *make(struct dev *d, struct dev_mempool *p, uint64_t size)
{
    struct block *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    if ((p->max && (p->reserved > p->max || size > p->max - p->reserved)) ||
        arena_alloc(&d->arena, size, ARENA_POOL, &b->addr)) {
        free(b);
        return NULL;
    }
    b->pool = p;
    b->size = size;
    p->reserved += size;
    raise_to(&p->reserved_high, p->reserved);
    return b;
}

static int alloc(struct dev *d, struct dev_mempool *p, uint64_t size, uint64_t bytes,
                 uint64_t *addr)
{
    struct block *b;

    pthread_mutex_lock(&d->pools.lock);
    b = take_unused(p, size);
    if (!b)
        b = make(d, p, size);
    if (!b) { /* what pools merely keep is memory to be had */
        for (struct dev_mempool *i = d->pools.list; i; i = i->next)
            trim(d, i, 0);
        b = make(d, p, size);
    }
    if (b) {
        struct block **at = bucket(d, b->addr);

        b->freeing = false;
        b->bytes = bytes;
        b->next = *at;
        *at = b;
        p->nblock++;
        p->used += bytes;
        raise_to(&p->used_high, p->used);
        *addr = b->addr;
    }
    pthread_mutex_unlock(&d->pools.lock);
    return b ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

static int mempool_alloc(struct dev *d, struct dev_stream *s, struct dev_mempool *p, uint64_t bytes,
                         uint64_t *dptr)
{
    uint64_t size = (bytes + GRAIN - 1) & ~(uint64_t)(GRAIN - 1);
    int err = dev_sticky(d);

    if (err)
        return err;
    if (!bytes || p->imported)
        return CUDA_ERROR_INVALID_VALUE;
    if (size < bytes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    err = alloc(d, p, size, bytes, dptr);
    if (err) {
        /* In stream order there may be room: after the frees that the stream still holds. */
        err = stream_drain(d, stream_of(d, s));
        if (!err)
            err = alloc(d, p, size, bytes, dptr);
    }
    return err;
}

struct pending {
    struct dev *d;
    uint64_t addr;
};

/* In the stream, after all work that may use the block. */
static void do_free(void *arg)
{
    struct pending *f = arg;
    struct dev *d = f->d;
    struct block **at, *b;

    pthread_mutex_lock(&d->pools.lock);
    at = find(d, f->addr);
    b = *at;
    if (b) {
        struct dev_mempool *p = b->pool;

        *at = b->next;
        p->nblock--;
        p->used -= b->bytes;
        if (b->region) {
            p->reserved -= b->size;
            arena_free(&d->arena, b->region, ARENA_IMPORTED, NULL);
            free(b);
        } else {
            b->next = p->unused;
            p->unused = b;
        }
        trim(d, p, p->threshold);
        drop_if_dead(d, p);
    }
    pthread_mutex_unlock(&d->pools.lock);
    free(f);
}

static int mempool_free(struct dev *d, struct dev_stream *s, uint64_t dptr)
{
    struct pending *f;
    struct block *b;
    int err = dev_sticky(d);

    if (err)
        return err;
    pthread_mutex_lock(&d->pools.lock);
    b = *find(d, dptr);
    if (!b || b->freeing)
        err = CUDA_ERROR_INVALID_VALUE;
    else
        b->freeing = true;
    pthread_mutex_unlock(&d->pools.lock);
    if (err)
        return err;
    f = malloc(sizeof(*f));
    if (f) {
        *f = (struct pending){d, dptr};
        err = swdev_stream_host(d, s, do_free, f);
        if (!err)
            return 0;
        free(f);
    }
    pthread_mutex_lock(&d->pools.lock);
    b->freeing = false; /* only this call could have freed it */
    pthread_mutex_unlock(&d->pools.lock);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* ---- sharing ------------------------------------------------------------------------------ */

static int new_pool(struct dev *d, uint64_t max, uint64_t id, bool imported,
                    struct dev_mempool **out)
{
    pthread_mutex_lock(&d->pools.lock);
    *out = add_pool(d, max);
    if (*out) {
        (*out)->id = id;
        (*out)->imported = imported;
    }
    pthread_mutex_unlock(&d->pools.lock);
    return *out ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

int swdev_pool_create_shared(struct dev *d, uint64_t max, struct dev_mempool **out)
{
    uint64_t id = 0;
    int err = dev_sticky(d);

    if (err)
        return err;
    while (!id)
        if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
            return CUDA_ERROR_OUT_OF_MEMORY;
    return new_pool(d, max, id, false, out);
}

int swdev_pool_export(struct dev *d, struct dev_mempool *p, struct dev_share *out)
{
    *out = (struct dev_share){.fd = -1, .meta = {p->id}};
    return p->id && !p->imported ? dev_sticky(d) : CUDA_ERROR_INVALID_VALUE;
}

int swdev_pool_import(struct dev *d, const struct dev_share *s, struct dev_mempool **out)
{
    int err = dev_sticky(d);

    return err          ? err
           : s->meta[0] ? new_pool(d, 0, s->meta[0], true, out)
                        : CUDA_ERROR_INVALID_VALUE;
}

int swdev_ptr_export(struct dev *d, uint64_t dptr, struct dev_share *out)
{
    uint64_t id = 0, bytes = 0;
    struct block *b;
    int err = dev_sticky(d);

    if (err)
        return err;
    pthread_mutex_lock(&d->pools.lock);
    b = *find(d, dptr);
    if (b && !b->freeing && !b->region) {
        id = b->pool->id;
        bytes = b->bytes;
    }
    pthread_mutex_unlock(&d->pools.lock);
    if (!id)
        return CUDA_ERROR_INVALID_VALUE;
    err = share_allocation(d, dptr, ARENA_POOL, out);
    out->meta[3] = id;
    out->meta[2] = bytes;
    return err;
}

int swdev_ptr_import(struct dev *d, struct dev_mempool *p, const struct dev_share *s,
                     uint64_t *dptr, uint64_t *size)
{
    struct block *b, **at;
    int err = dev_sticky(d);

    if (err)
        return err;
    if (!p->imported || s->meta[3] != p->id)
        return CUDA_ERROR_INVALID_VALUE;
    b = calloc(1, sizeof(*b));
    if (!b)
        return CUDA_ERROR_OUT_OF_MEMORY;
    err = share_map(d, s, &b->region, dptr, size);
    if (err) {
        free(b);
        return err;
    }
    b->pool = p;
    b->addr = *dptr;
    b->size = s->meta[0];
    b->bytes = *size;
    pthread_mutex_lock(&d->pools.lock);
    at = bucket(d, b->addr);
    b->next = *at;
    *at = b;
    p->nblock++;
    p->used += b->bytes;
    raise_to(&p->used_high, p->used);
    p->reserved += b->size;
    raise_to(&p->reserved_high, p->reserved);
    pthread_mutex_unlock(&d->pools.lock);
    return 0;
}

/* ---- saved and loaded -------------------------------------------------------------------- */

struct pool_state {
    uint32_t dead, def, nblock, zero;
    uint64_t max, threshold, reuse[4], reserved, reserved_high, used, used_high;
};

struct block_state {
    uint64_t addr, size, bytes;
};

const char *pools_unfit(struct dev *d)
{
    for (const struct dev_mempool *p = d->pools.list; p; p = p->next)
        if (p->id)
            return "a memory pool is shared with other processes, or can be";
    return NULL;
}

void pools_trim(struct dev *d)
{
    pthread_mutex_lock(&d->pools.lock);
    for (struct dev_mempool *p = d->pools.list; p; p = p->next)
        trim(d, p, 0);
    pthread_mutex_unlock(&d->pools.lock);
}

uint32_t pools_number(struct dev *d, struct dev_mempool *p)
{
    uint32_t n = 0;

    for (const struct dev_mempool *i = d->pools.list; i && i != p; i = i->next)
        n++;
    return n;
}

struct dev_mempool *pools_at(struct dev *d, uint32_t number, bool is_default)
{
    struct dev_mempool *p = d->pools.list;

    while (p && number--)
        p = p->next;
    /* A handle ends its pool, so there is one of each; the default pool's do not. */
    if (!p || p->dead || (p == d->pools.def) != is_default || (p->named && !is_default))
        return NULL;
    p->named = true;
    return p;
}

int pools_save(struct dev *d, struct dev_state *s)
{
    uint32_t n = pools_number(d, NULL);

    pthread_mutex_lock(&d->pools.lock);
    s->put(s, &n, sizeof(n));
    for (const struct dev_mempool *p = d->pools.list; p; p = p->next) {
        struct pool_state x = {.dead = p->dead,
                               .def = p == d->pools.def,
                               .nblock = (uint32_t)p->nblock,
                               .max = p->max,
                               .threshold = p->threshold,
                               .reserved_high = p->reserved_high,
                               .used_high = p->used_high};

        memcpy(x.reuse, p->reuse, sizeof(x.reuse));
        s->put(s, &x, sizeof(x));
        for (unsigned i = 0; i < POOL_BUCKETS; i++)
            for (const struct block *b = d->pools.bucket[i]; b; b = b->next)
                if (b->pool == p)
                    s->put(s, &(struct block_state){b->addr, b->size, b->bytes},
                           sizeof(struct block_state));
    }
    pthread_mutex_unlock(&d->pools.lock);
    return 0;
}

static int load_block(struct dev *d, struct dev_state *s, struct dev_mempool *p)
{
    struct block_state x = {0};
    enum arena_kind kind;
    uint64_t base, size;
    struct block *b, **at;

    s->get(s, &x, sizeof(x));
    if (s->failed || x.size % GRAIN || !x.bytes || x.bytes > x.size || *find(d, x.addr) ||
        !arena_find(&d->arena, x.addr, &base, &size, &kind) || base != x.addr || size != x.size ||
        kind != ARENA_POOL)
        return CUDA_ERROR_INVALID_VALUE;
    b = calloc(1, sizeof(*b));
    if (!b)
        return CUDA_ERROR_OUT_OF_MEMORY;
    at = bucket(d, x.addr);
    *b = (struct block){.next = *at, .pool = p, .addr = x.addr, .size = x.size, .bytes = x.bytes};
    *at = b;
    p->nblock++;
    p->used += b->bytes;
    p->reserved += b->size;
    return 0;
}

static int load_pool(struct dev *d, struct dev_state *s, struct dev_mempool **at)
{
    struct pool_state x = {0};
    struct dev_mempool *p;
    int err = 0;

    s->get(s, &x, sizeof(x));
    if (s->failed || (x.dead && !x.nblock) || (x.def && d->pools.def))
        return CUDA_ERROR_INVALID_VALUE;
    p = calloc(1, sizeof(*p));
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *at = p;
    if (x.def)
        d->pools.def = p;
    p->dead = x.dead;
    p->max = x.max;
    p->threshold = x.threshold;
    for (int i = REUSE_EVENTS; i <= REUSE_DEPENDENCIES; i++)
        p->reuse[i] = x.reuse[i] != 0;
    for (uint32_t i = 0; i < x.nblock && !err; i++)
        err = load_block(d, s, p);
    p->reserved_high = p->reserved;
    p->used_high = p->used;
    raise_to(&p->reserved_high, x.reserved_high);
    raise_to(&p->used_high, x.used_high);
    return err;
}

int pools_load(struct dev *d, struct dev_state *s)
{
    struct dev_mempool **at = &d->pools.list;
    uint32_t n = 0;
    int err = *at ? CUDA_ERROR_INVALID_VALUE : 0;

    s->get(s, &n, sizeof(n));
    pthread_mutex_lock(&d->pools.lock);
    for (uint32_t i = 0; i < n && !err && !s->failed; i++) {
        err = load_pool(d, s, at);
        if (!err)
            at = &(*at)->next;
    }
    pthread_mutex_unlock(&d->pools.lock);
    return !err && s->failed ? CUDA_ERROR_INVALID_VALUE : err;
}

/* ---- attributes -------------------------------------------------------------------------- */

static int mempool_trim(struct dev *d, struct dev_mempool *p, uint64_t keep)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    pthread_mutex_lock(&d->pools.lock);
    trim(d, p, keep);
    pthread_mutex_unlock(&d->pools.lock);
    return 0;
}

static uint64_t *field(struct dev_mempool *p, int attr)
{
    switch (attr) {
    case REUSE_EVENTS:
    case REUSE_OPPORTUNISTIC:
    case REUSE_DEPENDENCIES:
        return &p->reuse[attr];
    case RELEASE_THRESHOLD:
        return &p->threshold;
    case RESERVED:
        return &p->reserved;
    case RESERVED_HIGH:
        return &p->reserved_high;
    case USED:
        return &p->used;
    case USED_HIGH:
        return &p->used_high;
    default:
        return NULL;
    }
}

static int mempool_get(struct dev *d, struct dev_mempool *p, int attr, uint64_t *value)
{
    uint64_t *f = field(p, attr);
    int err = dev_sticky(d);

    if (err || !f)
        return err ? err : CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&d->pools.lock);
    *value = *f;
    pthread_mutex_unlock(&d->pools.lock);
    return 0;
}

static int mempool_set(struct dev *d, struct dev_mempool *p, int attr, uint64_t value)
{
    uint64_t *f = field(p, attr);
    int err = dev_sticky(d);

    if (err)
        return err;
    if (!f || attr == RESERVED || attr == USED)
        return CUDA_ERROR_INVALID_VALUE;
    /* High-water marks are only ever reset, to what is there now. */
    if (attr == RESERVED_HIGH || attr == USED_HIGH) {
        if (value)
            return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&d->pools.lock);
        *f = attr == USED_HIGH ? p->used : p->reserved;
        pthread_mutex_unlock(&d->pools.lock);
        return 0;
    }
    pthread_mutex_lock(&d->pools.lock);
    *f = attr == RELEASE_THRESHOLD ? value : value != 0;
    pthread_mutex_unlock(&d->pools.lock);
    return 0;
}

const struct dev_memory_ops swdev_memory_ops = {
    .mempool_create = mempool_create,
    .mempool_destroy = mempool_destroy,
    .mempool_default = mempool_default,
    .mempool_alloc = mempool_alloc,
    .mempool_free = mempool_free,
    .mempool_trim = mempool_trim,
    .mempool_get = mempool_get,
    .mempool_set = mempool_set,
    .vmm_granularity = swdev_vmm_granularity,
    .vmm_reserve = swdev_vmm_reserve,
    .vmm_unreserve = swdev_vmm_unreserve,
    .vmm_create = swdev_vmm_create,
    .vmm_release = swdev_vmm_release,
    .vmm_map = swdev_vmm_map,
    .vmm_unmap = swdev_vmm_unmap,
    .vmm_access = swdev_vmm_access,
};
