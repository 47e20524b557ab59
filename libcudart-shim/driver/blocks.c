/* SPDX-License-Identifier: MIT */
#include "blocks.h"

#include <pthread.h>
#include <string.h>

#include "objects.h"
#include "stubs.h"

struct kept {
    uint64_t base, bytes;
    uint64_t pool; /* 0: of none */
    uint32_t stream;
};

static struct {
    pthread_mutex_t lock;
    struct kept v[GVM_BLOCKS_N]; /* longest kept first */
    unsigned n;
    unsigned pooled; /* of them, of pools; atomic */
    uint64_t bytes;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Lock held. */
static struct kept drop(unsigned i)
{
    struct kept k = kept.v[i];

    kept.n--;
    kept.bytes -= k.bytes;
    if (k.pool)
        __atomic_fetch_sub(&kept.pooled, 1, __ATOMIC_RELAXED);
    memmove(&kept.v[i], &kept.v[i + 1], (kept.n - i) * sizeof(k));
    return k;
}

static void release(struct gvm_chan *c, const struct kept *k)
{
    if (k->pool)
        vgpu_MemPoolFree(c, 0, k->stream, k->base);
    else
        vgpu_MemFree(c, 0, k->base);
}

static uint64_t take(uint64_t pool, uint32_t stream, uint64_t bytes)
{
    uint64_t base = 0;

    if (!bytes || bytes > GVM_BLOCK_MAX)
        return 0;
    pthread_mutex_lock(&kept.lock);
    for (unsigned i = kept.n; i-- > 0 && !base;)
        if (kept.v[i].bytes == bytes && kept.v[i].pool == pool && kept.v[i].stream == stream)
            base = drop(i).base;
    pthread_mutex_unlock(&kept.lock);
    return base;
}

static void put(struct gvm_chan *c, const struct kept *k)
{
    struct kept out[GVM_BLOCKS_N];
    unsigned n = 0;

    pthread_mutex_lock(&kept.lock);
    while (kept.n == GVM_BLOCKS_N || kept.bytes + k->bytes > GVM_BLOCKS_BYTES)
        out[n++] = drop(0);
    kept.v[kept.n++] = *k;
    kept.bytes += k->bytes;
    if (k->pool)
        __atomic_fetch_add(&kept.pooled, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&kept.lock);
    for (unsigned i = 0; i < n; i++)
        release(c, &out[i]);
}

uint64_t gvm_blocks_take(uint64_t bytes)
{
    return take(0, 0, bytes);
}

int gvm_blocks_put(struct gvm_chan *c, uint64_t base, uint64_t bytes)
{
    int rc = 0;

    if (bytes > GVM_BLOCK_MAX)
        return vgpu_MemFree(c, 0, base);
    if (!gvm_chan_quiet(c))
        rc = gvm_ctx_settle(c);
    if (rc)
        return rc; /* the context is lost, and all memory with it */
    put(c, &(struct kept){.base = base, .bytes = bytes});
    return 0;
}

uint64_t gvm_blocks_take_async(uint64_t pool, uint32_t stream, uint64_t bytes)
{
    return take(pool, stream, bytes);
}

int gvm_blocks_put_async(struct gvm_chan *c, uint64_t pool, uint32_t stream, uint64_t base,
                         uint64_t bytes)
{
    if (bytes > GVM_BLOCK_MAX)
        return vgpu_MemPoolFree(c, 0, stream, base);
    put(c, &(struct kept){.base = base, .bytes = bytes, .pool = pool, .stream = stream});
    return 0;
}

/* Takes out all, or those of pools. */
static bool give(struct gvm_chan *c, bool pooled)
{
    struct kept out[GVM_BLOCKS_N];
    unsigned n = 0;

    pthread_mutex_lock(&kept.lock);
    for (unsigned i = 0; i < kept.n;) {
        if (kept.v[i].pool || !pooled)
            out[n++] = drop(i);
        else
            i++;
    }
    pthread_mutex_unlock(&kept.lock);
    for (unsigned i = 0; i < n; i++)
        release(c, &out[i]);
    return n != 0;
}

void gvm_blocks_flush(struct gvm_chan *c)
{
    if (__atomic_load_n(&kept.pooled, __ATOMIC_RELAXED))
        give(c, true);
}

bool gvm_blocks_give_back(struct gvm_chan *c)
{
    return give(c, false);
}

bool gvm_blocks_make_room(struct gvm_chan *c)
{
    bool pooled = __atomic_load_n(&kept.pooled, __ATOMIC_RELAXED) != 0;
    bool any = give(c, false);

    if (any && pooled)
        gvm_ctx_settle(c);
    return any;
}

void gvm_blocks_reset(void)
{
    pthread_mutex_lock(&kept.lock);
    kept.n = 0;
    kept.bytes = 0;
    __atomic_store_n(&kept.pooled, 0, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&kept.lock);
}
