/* SPDX-License-Identifier: MIT */
/*
 * chunk.c - pool chunks: guest memory mapped in the pool window, one fixed slot per chunk id.
 */
#include <errno.h>

#include "decode.h"
#include "dom0-backend/common/fault.h"
#include "dom0-backend/common/log.h"
#include "dom0-backend/worker/worker.h"

void wk_chunk_enter(struct wk *w, uint32_t id, void *addr, uint64_t len)
{
    struct wk_chunk *c = &w->chunks[id];

    pthread_mutex_lock(&w->chunk_lock);
    c->addr = addr;
    c->len = len;
    c->users = 0;
    c->dropping = false;
    pthread_mutex_unlock(&w->chunk_lock);
    __atomic_fetch_add(&w->stats->chunks, len / VGPU_PAGE_SIZE, __ATOMIC_RELAXED);
}

int wk_chunk_add(struct wk *w, uint32_t id, void *addr, uint64_t len)
{
    int err = w->ops->pool_add(w->dev, addr, len);

    if (err) {
        log_error("the device refuses pool chunk %u (%llu octets): error %d", id,
                  (unsigned long long)len, err);
        return -ENOMEM;
    }
    wk_chunk_enter(w, id, addr, len);
    return 0;
}

int wk_chunk_drop(struct wk *w, uint32_t id, uint32_t seq)
{
    struct wk_chunk *c = &w->chunks[id];
    int r = 0;

    pthread_mutex_lock(&w->chunk_lock);
    if (c->len == 0) {
        r = 1;
    } else {
        c->dropping = true;
        c->drop_seq = seq; /* a restarted broker asks again, under a number of its own */
        pthread_cond_broadcast(&w->chunk_idle);
    }
    pthread_mutex_unlock(&w->chunk_lock);
    return r;
}

uint32_t wk_chunk_reap(struct wk *w, uint32_t *seq)
{
    struct wk_chunk *c = NULL;
    uint32_t id;
    int err;

    pthread_mutex_lock(&w->chunk_lock);
    for (;;) {
        for (id = 0; id < VGPU_MAX_CHUNKS; id++) {
            c = &w->chunks[id];
            if (c->len && c->dropping && c->users == 0)
                break;
        }
        if (id < VGPU_MAX_CHUNKS)
            break;
        pthread_cond_wait(&w->chunk_idle, &w->chunk_lock);
    }
    pthread_mutex_unlock(&w->chunk_lock);

    /* Copies that were issued earlier may still be reading or writing it. */
    w->ops->ctx_sync(w->dev);
    w->ops->pool_drop(w->dev, c->addr, c->len);
    fault_point("worker.drop", w->assign.domid);
    err = transport_unmap(c->addr, c->len);
    if (err)
        log_error("pool chunk %u cannot be unmapped: error %d", id, -err);
    __atomic_fetch_sub(&w->stats->chunks, c->len / VGPU_PAGE_SIZE, __ATOMIC_RELAXED);

    pthread_mutex_lock(&w->chunk_lock);
    *seq = c->drop_seq;
    c->len = 0;
    c->addr = NULL;
    c->dropping = false;
    pthread_mutex_unlock(&w->chunk_lock);
    return id;
}

int wk_resolve_pool(struct wk_lane *lane, uint32_t chunk, uint64_t off, uint64_t len, void **ptr)
{
    struct wk *w = lane->w;
    struct wk_chunk *c;
    int err = WK_INVALID_VALUE;

    if (chunk >= VGPU_MAX_CHUNKS)
        return WK_INVALID_VALUE;
    c = &w->chunks[chunk];
    pthread_mutex_lock(&w->chunk_lock);
    if (!c->dropping && len <= c->len && off <= c->len - len && c->len) {
        if (!(lane->chunks_held & (1ull << chunk))) {
            lane->chunks_held |= 1ull << chunk;
            c->users++;
        }
        *ptr = c->addr + off;
        err = WK_OK;
    }
    pthread_mutex_unlock(&w->chunk_lock);
    return err;
}
