/* SPDX-License-Identifier: MIT */
/*
 * cuda_pool.c - stream-ordered allocation by the driver's own pools. What a pool has reserved counts
 * against the quota, used or not; it is looked at after each allocation and when somebody asks how
 * much memory there is.
 */
#include <stdlib.h>

#include "cuda_int.h"
#include "cuda_memory.h"

struct dev_mempool {
    struct dev_mempool *next;
    CUmemoryPool p;
    uint64_t charged;
};

/* A worker has one device. */
static struct {
    pthread_mutex_t lock;
    struct dev_mempool *list, *def;
} pools = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Brings the charge to what the pool has reserved. Lock held. 0 or 2. */
static int settle(struct dev *d, struct dev_mempool *p)
{
    cuuint64_t now = 0;
    int err = (int)cu.cuMemPoolGetAttribute(p->p, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &now);

    if (err)
        return 0; /* the context is lost: nothing is allocated any more */
    if (now < p->charged) {
        cudev_uncharge(d, p->charged - now);
    } else {
        err = cudev_charge(d, now - p->charged);
        if (err)
            return err;
    }
    p->charged = now;
    return 0;
}

void cudev_pools_settle(struct dev *d)
{
    pthread_mutex_lock(&pools.lock);
    for (struct dev_mempool *p = pools.list; p; p = p->next)
        settle(d, p);
    pthread_mutex_unlock(&pools.lock);
}

static void enter(struct dev_mempool *p)
{
    pthread_mutex_lock(&pools.lock);
    p->next = pools.list;
    pools.list = p;
    pthread_mutex_unlock(&pools.lock);
}

int cudev_pool_of(struct dev *d, CUmemoryPool pool, struct dev_mempool **out)
{
    struct dev_mempool *p = calloc(1, sizeof(*p));

    if (!p) {
        cu.cuMemPoolDestroy(pool);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    p->p = pool;
    enter(p);
    *out = p;
    return 0;
}

int cudev_mempool_create(struct dev *d, uint64_t max_size, struct dev_mempool **out)
{
    const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                  .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = d->dev},
                                  .maxSize = max_size};
    CUmemoryPool pool;
    int err = cudev_enter(d);

    if (err)
        return err;
    err = cudev_rc(d, cu.cuMemPoolCreate(&pool, &props), "cuMemPoolCreate");
    return err ? err : cudev_pool_of(d, pool, out);
}

CUmemoryPool cudev_pool(const struct dev_mempool *p)
{
    return p->p;
}

int cudev_mempool_destroy(struct dev *d, struct dev_mempool *p)
{
    struct dev_mempool **at;
    int err = cudev_enter(d);

    if (!err)
        err = cudev_rc(d, cu.cuMemPoolDestroy(p->p), "cuMemPoolDestroy");
    /* What is still allocated from it stays charged for as long as this worker lives: the driver
     * tells nothing more about the pool. */
    pthread_mutex_lock(&pools.lock);
    for (at = &pools.list; *at && *at != p; at = &(*at)->next)
        ;
    if (*at)
        *at = p->next;
    pthread_mutex_unlock(&pools.lock);
    free(p);
    return err;
}

int cudev_mempool_default(struct dev *d, struct dev_mempool **out)
{
    struct dev_mempool *p = NULL;
    int err = cudev_enter(d);

    if (err)
        return err;
    pthread_mutex_lock(&pools.lock);
    if (!pools.def) {
        p = calloc(1, sizeof(*p));
        err = p ? cudev_rc(d, cu.cuDeviceGetDefaultMemPool(&p->p, d->dev),
                           "cuDeviceGetDefaultMemPool")
                : CUDA_ERROR_OUT_OF_MEMORY;
        if (err) {
            free(p);
        } else {
            p->next = pools.list;
            pools.list = pools.def = p;
        }
    }
    *out = pools.def;
    pthread_mutex_unlock(&pools.lock);
    return err;
}

/* Gives back what pools merely keep. */
static void trim_all(struct dev *d)
{
    pthread_mutex_lock(&pools.lock);
    for (struct dev_mempool *p = pools.list; p; p = p->next) {
        cu.cuMemPoolTrimTo(p->p, 0);
        settle(d, p);
    }
    pthread_mutex_unlock(&pools.lock);
}

static int try_alloc(struct dev *d, CUstream s, struct dev_mempool *p, uint64_t bytes,
                     CUdeviceptr *at)
{
    int err =
        cudev_rc(d, cu.cuMemAllocFromPoolAsync(at, bytes, p->p, s), "cuMemAllocFromPoolAsync");

    if (err)
        return err;
    pthread_mutex_lock(&pools.lock);
    err = settle(d, p);
    pthread_mutex_unlock(&pools.lock);
    /* Which part of it the pool has just taken from the driver is not told. */
    if (!err)
        err = cudev_clear_on(d, *at, bytes, s);
    if (err)
        cu.cuMemFreeAsync(*at, s);
    return err;
}

int cudev_mempool_alloc(struct dev *d, struct dev_stream *s, struct dev_mempool *p, uint64_t bytes,
                        uint64_t *dptr)
{
    CUstream st = cudev_stream(s);
    CUdeviceptr at = 0;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (d->cfg.mem_limit && bytes > d->cfg.mem_limit)
        return CUDA_ERROR_OUT_OF_MEMORY;
    err = try_alloc(d, st, p, bytes, &at);
    if (err == CUDA_ERROR_OUT_OF_MEMORY && (d->cfg.mem_limit || d->cfg.quota)) {
        /* Frees that the stream still holds make room within the quota. */
        err = cudev_rc(d, cu.cuStreamSynchronize(st), "cuStreamSynchronize");
        trim_all(d);
        if (!err)
            err = try_alloc(d, st, p, bytes, &at);
        if (err)
            trim_all(d);
    }
    *dptr = at;
    return err;
}

int cudev_mempool_free(struct dev *d, struct dev_stream *s, uint64_t dptr)
{
    int err = cudev_enter(d);

    atomic_store_explicit(&d->pool_frees, true, memory_order_relaxed);
    return err ? err : cudev_rc(d, cu.cuMemFreeAsync(dptr, cudev_stream(s)), "cuMemFreeAsync");
}

int cudev_mempool_trim(struct dev *d, struct dev_mempool *p, uint64_t keep)
{
    int err = cudev_enter(d);

    if (!err && atomic_load(&d->pool_frees) && cudev_all_complete(d))
        err = cudev_rc(d, cu.cuCtxSynchronize(), "cuCtxSynchronize");

    if (!err)
        err = cudev_rc(d, cu.cuMemPoolTrimTo(p->p, keep), "cuMemPoolTrimTo");
    pthread_mutex_lock(&pools.lock);
    settle(d, p);
    pthread_mutex_unlock(&pools.lock);
    return err;
}

static bool is_int(int attr)
{
    return attr >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES &&
           attr <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES;
}

int cudev_mempool_get(struct dev *d, struct dev_mempool *p, int attr, uint64_t *value)
{
    cuuint64_t v = 0; /* little endian: an int fills its lower half */
    int err = cudev_enter(d);

    if (!err)
        err = cudev_rc(d, cu.cuMemPoolGetAttribute(p->p, (CUmemPool_attribute)attr, &v),
                       "cuMemPoolGetAttribute");
    *value = is_int(attr) ? (uint32_t)v : v;
    return err;
}

int cudev_mempool_set(struct dev *d, struct dev_mempool *p, int attr, uint64_t value)
{
    cuuint64_t v = value;
    int err = cudev_enter(d);

    return err ? err
               : cudev_rc(d, cu.cuMemPoolSetAttribute(p->p, (CUmemPool_attribute)attr, &v),
                          "cuMemPoolSetAttribute");
}
