/* SPDX-License-Identifier: MIT */
#include "pool.h"
#include "chan.h"
#include "extent.h"
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define GRAIN        512u
#define PAGE         4096u
#define POPULATE_MIN (64u << 10)
#define CHUNK_MIN    (2u << 20)
#define CHUNK_MAX    ((size_t)VGPU_MAX_CHUNK_PAGES * VGPU_PAGE_SIZE)

struct mapped {
    struct gvm_chunk k;
    uintptr_t at;
    size_t len;
};

static struct {
    pthread_mutex_t lock;
    struct gvm_chan *chan;
    uint64_t window, size;
    struct gvm_extents free;
    struct mapped v[VGPU_MAX_CHUNKS]; /* by address */
    uint32_t n;
    size_t total;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

void gvm_pool_start(struct gvm_chan *c, uint64_t window, uint64_t size)
{
    pthread_mutex_lock(&pool.lock);
    pool.chan = c;
    pool.window = window;
    pool.size = size;
    pthread_mutex_unlock(&pool.lock);
}

void gvm_pool_stop(void)
{
    pthread_mutex_lock(&pool.lock);
    for (uint32_t i = 0; i < pool.n; i++)
        munmap((void *)pool.v[i].at, pool.v[i].len);
    pool.n = 0;
    pool.total = 0;
    pool.chan = NULL;
    gvm_extents_clear(&pool.free);
    pthread_mutex_unlock(&pool.lock);
}

bool gvm_pool_same_address(void)
{
    return pool.window != 0;
}

/* Adds one chunk of `len` octets. Lock held. */
static int grow(size_t len)
{
    struct gvm_conn *conn = &pool.chan->conn;
    struct mapped m = {.len = len};
    void *at = NULL, *p = NULL;
    uint32_t i;
    int rc;

    if (pool.n == VGPU_MAX_CHUNKS)
        return -ENOSPC;
    rc = conn->ops->pool_add(conn, (uint32_t)(len / PAGE), &m.k);
    if (rc)
        return rc;
    if (pool.window) {
        /* The worker's address goes into MAP_FIXED: only over our own reservation. */
        if (m.k.addr % PAGE || m.k.addr < pool.window || len > pool.size ||
            m.k.addr - pool.window > pool.size - len) {
            gvm_log("the worker put a pool chunk at %#llx, outside its window",
                    (unsigned long long)m.k.addr);
            rc = -EPROTO;
            goto drop;
        }
        at = (void *)(uintptr_t)m.k.addr;
    }
    rc = conn->ops->pool_map(conn, &m.k, at, &p);
    if (rc)
        goto drop;
    m.at = (uintptr_t)p;
    rc = gvm_extents_free(&pool.free, m.at, len);
    if (rc) {
        munmap(p, len);
        goto drop;
    }
    for (i = pool.n; i > 0 && pool.v[i - 1].at > m.at; i--)
        pool.v[i] = pool.v[i - 1];
    pool.v[i] = m;
    pool.n++;
    pool.total += len;
    return 0;
drop:
    conn->ops->pool_drop(conn, &m.k);
    return rc;
}

/* Chunks double with the pool, so that 64 of them go a long way. */
static size_t next_chunk(size_t want)
{
    size_t len = pool.total > CHUNK_MIN ? pool.total : CHUNK_MIN;

    if (!pool.n && len < (size_t)pool.chan->conn.ops->first_chunk * PAGE)
        len = (size_t)pool.chan->conn.ops->first_chunk * PAGE;
    if (len < want)
        len = want;
    len = (len + CHUNK_MIN - 1) & ~(size_t)(CHUNK_MIN - 1);
    return len < CHUNK_MAX ? len : CHUNK_MAX;
}

static void *alloc_locked(size_t len, size_t align)
{
    uintptr_t at = gvm_extents_alloc(&pool.free, len, align);
    size_t added = 0, chunk;
    int rc = 0;

    /* Blocks beyond CHUNK_MAX need neighbouring chunks; the worker usually places them so. */
    while (!at && added < len + CHUNK_MAX && pool.chan) {
        chunk = next_chunk(len);
        rc = grow(chunk);
        if (rc && chunk > CHUNK_MIN && len <= CHUNK_MIN) {
            chunk = CHUNK_MIN;
            rc = grow(chunk);
        }
        if (rc)
            break;
        added += chunk;
        at = gvm_extents_alloc(&pool.free, len, align);
    }
    if (!at && rc) {
        static uint32_t said;

        if (gvm_once(&said))
            gvm_log("no pool memory for %zu bytes: %s (%zu bytes in %u chunks so far)", len,
                    strerror(-rc), pool.total, pool.n);
    }
    return (void *)at;
}

void *gvm_pool_alloc(size_t len)
{
    size_t align = len >= PAGE ? PAGE : GRAIN;
    void *p;

    if (!len || len > (size_t)VGPU_MAX_CHUNKS * CHUNK_MAX)
        return NULL;
    len = (len + align - 1) & ~(align - 1);
    pthread_mutex_lock(&pool.lock);
    p = alloc_locked(len, align);
    pthread_mutex_unlock(&pool.lock);
    return p;
}

void gvm_pool_free(void *p, size_t len)
{
    size_t align = len >= PAGE ? PAGE : GRAIN;

    len = (len + align - 1) & ~(align - 1);
    pthread_mutex_lock(&pool.lock);
    if (pool.chan)
        gvm_extents_free(&pool.free, (uintptr_t)p, len);
    pthread_mutex_unlock(&pool.lock);
}

void gvm_pool_populate(void *p, size_t len)
{
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
    uintptr_t from = (uintptr_t)p & ~(uintptr_t)(PAGE - 1);

    /* Read faults bring in pages around them, and shared memory is writable at once. A kernel
     * without it, and memory that is mapped whole, say so; then it is as it was. */
    if (len >= POPULATE_MIN)
        madvise((void *)from, (uintptr_t)p + len - from, MADV_POPULATE_READ);
}

bool gvm_pool_find(const void *p, size_t len, struct gvm_pool_ref *ref)
{
    uintptr_t at = (uintptr_t)p;
    bool ok = false;

    pthread_mutex_lock(&pool.lock);
    for (uint32_t i = 0; i < pool.n && !ok; i++) {
        const struct mapped *m = &pool.v[i];

        if (at < m->at || at - m->at >= m->len)
            continue;
        ref->chunk = m->k.id;
        ref->off = at - m->at;
        ref->len = m->len - ref->off < len ? m->len - ref->off : len;
        ok = true;
    }
    pthread_mutex_unlock(&pool.lock);
    return ok;
}
