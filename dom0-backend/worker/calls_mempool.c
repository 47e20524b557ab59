/* SPDX-License-Identifier: MIT */
/*
 * calls_mempool.c - stream-ordered allocation, and address ranges apart from physical memory.
 */
#include "decode.h"
#include "dom0-backend/worker/made.h"
#include "dom0-backend/device/device_memory.h"
#include "dom0-backend/worker/worker.h"

static const struct dev_memory_ops *ops_of(const struct wk_lane *lane)
{
    return lane->w->ops->memory;
}

static int destroy_pool(struct wk *w, struct wk_thing *t);
static int keep_pool(struct wk *w, struct wk_thing *t);
static int release_memory(struct wk *w, struct wk_thing *t);

/* ---- pools ------------------------------------------------------------------------------- */

static int destroy_pool(struct wk *w, struct wk_thing *t)
{
    return w->ops->memory->mempool_destroy(w->dev, t->p);
}

bool wk_pool_is_default(const struct wk_thing *t)
{
    return t->destroy == keep_pool;
}

int wk_pool_enter(struct wk *w, uint32_t id, struct dev_mempool *p, bool is_default)
{
    return wk_thing_enter(w, WK_OBJ_MEMPOOL, id, p, is_default ? keep_pool : destroy_pool);
}

int wk_memory_enter(struct wk *w, uint32_t id, struct dev_memory *m)
{
    return wk_thing_enter(w, WK_OBJ_MEMORY, id, m, release_memory);
}

static int keep_pool(struct wk *w, struct wk_thing *t)
{
    return WK_OK;
}

int wk_MemPoolCreate(struct wk_lane *lane, const struct vgpu_args_MemPoolCreate *a,
                     struct vgpu_out_MemPoolCreate *o)
{
    struct dev_mempool *p = NULL;
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = ops_of(lane)->mempool_create(lane->w->dev, a->max_size, &p);
    return err ? err : wk_thing_enter(lane->w, WK_OBJ_MEMPOOL, a->pool, p, destroy_pool);
}

int wk_MemPoolDefault(struct wk_lane *lane, const struct vgpu_args_MemPoolDefault *a,
                      struct vgpu_out_MemPoolDefault *o)
{
    struct dev_mempool *p = NULL;
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = ops_of(lane)->mempool_default(lane->w->dev, &p);
    return err ? err : wk_thing_enter(lane->w, WK_OBJ_MEMPOOL, a->pool, p, keep_pool);
}

int wk_MemPoolDestroy(struct wk_lane *lane, const struct vgpu_args_MemPoolDestroy *a,
                      struct vgpu_out_MemPoolDestroy *o)
{
    int err = wk_obj_remove(lane, a->pool);

    wk_count_memory(lane->w);
    return err;
}

int wk_MemPoolAlloc(struct wk_lane *lane, const struct vgpu_args_MemPoolAlloc *a,
                    struct vgpu_out_MemPoolAlloc *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    struct wk_thing *t = a->pool;
    int err = ops_of(lane)->mempool_alloc(w->dev, s->s, t->p, a->bytes, &o->dptr);

    if (!err)
        wk_count_memory(w);
    return err;
}

int wk_MemPoolFree(struct wk_lane *lane, const struct vgpu_args_MemPoolFree *a,
                   struct vgpu_out_MemPoolFree *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = wk_flow_enter(w, s);
    if (!err)
        err = ops_of(lane)->mempool_free(w->dev, s->s, a->dptr);
    if (!err) {
        wk_share_freed(w, a->dptr);
        wk_count_memory(w);
    }
    return err;
}

int wk_MemPoolTrim(struct wk_lane *lane, const struct vgpu_args_MemPoolTrim *a,
                   struct vgpu_out_MemPoolTrim *o)
{
    struct wk_thing *t = a->pool;
    int err = ops_of(lane)->mempool_trim(lane->w->dev, t->p, a->keep);

    wk_count_memory(lane->w);
    return err;
}

int wk_MemPoolGet(struct wk_lane *lane, const struct vgpu_args_MemPoolGet *a,
                  struct vgpu_out_MemPoolGet *o)
{
    struct wk_thing *t = a->pool;

    return ops_of(lane)->mempool_get(lane->w->dev, t->p, a->attr, &o->value);
}

int wk_MemPoolSet(struct wk_lane *lane, const struct vgpu_args_MemPoolSet *a,
                  struct vgpu_out_MemPoolSet *o)
{
    struct wk_thing *t = a->pool;

    return ops_of(lane)->mempool_set(lane->w->dev, t->p, a->attr, a->value);
}

/* ---- addresses and physical memory ------------------------------------------------------- */

int wk_VmmGranularity(struct wk_lane *lane, const struct vgpu_args_VmmGranularity *a,
                      struct vgpu_out_VmmGranularity *o)
{
    if (!ops_of(lane) || !ops_of(lane)->vmm_granularity)
        return WK_NOT_SUPPORTED;
    return ops_of(lane)->vmm_granularity(lane->w->dev, &o->minimum, &o->recommended);
}

int wk_VmmReserve(struct wk_lane *lane, const struct vgpu_args_VmmReserve *a,
                  struct vgpu_out_VmmReserve *o)
{
    if (!ops_of(lane) || !ops_of(lane)->vmm_reserve)
        return WK_NOT_SUPPORTED;
    return ops_of(lane)->vmm_reserve(lane->w->dev, a->size, a->alignment, a->fixed, &o->ptr);
}

int wk_VmmUnreserve(struct wk_lane *lane, const struct vgpu_args_VmmUnreserve *a,
                    struct vgpu_out_VmmUnreserve *o)
{
    if (!ops_of(lane) || !ops_of(lane)->vmm_unreserve)
        return WK_NOT_SUPPORTED;
    return ops_of(lane)->vmm_unreserve(lane->w->dev, a->ptr, a->size);
}

static int release_memory(struct wk *w, struct wk_thing *t)
{
    return w->ops->memory->vmm_release(w->dev, t->p);
}

int wk_VmmCreate(struct wk_lane *lane, const struct vgpu_args_VmmCreate *a,
                 struct vgpu_out_VmmCreate *o)
{
    struct dev_memory *m = NULL;
    int err;

    if (!ops_of(lane) || !ops_of(lane)->vmm_create)
        return WK_NOT_SUPPORTED;
    err = ops_of(lane)->vmm_create(lane->w->dev, a->size, &m);
    if (!err)
        err = wk_thing_enter(lane->w, WK_OBJ_MEMORY, a->memory, m, release_memory);
    if (!err)
        wk_count_memory(lane->w);
    return err;
}

int wk_VmmRelease(struct wk_lane *lane, const struct vgpu_args_VmmRelease *a,
                  struct vgpu_out_VmmRelease *o)
{
    int err = wk_obj_remove(lane, a->memory);

    wk_count_memory(lane->w);
    return err;
}

int wk_VmmMap(struct wk_lane *lane, const struct vgpu_args_VmmMap *a, struct vgpu_out_VmmMap *o)
{
    struct wk_thing *t = a->memory;

    return ops_of(lane)->vmm_map(lane->w->dev, a->ptr, a->size, a->offset, t->p);
}

int wk_VmmUnmap(struct wk_lane *lane, const struct vgpu_args_VmmUnmap *a,
                struct vgpu_out_VmmUnmap *o)
{
    int err;

    if (!ops_of(lane) || !ops_of(lane)->vmm_unmap)
        return WK_NOT_SUPPORTED;
    err = ops_of(lane)->vmm_unmap(lane->w->dev, a->ptr, a->size);
    wk_count_memory(lane->w);
    return err;
}

int wk_VmmAccess(struct wk_lane *lane, const struct vgpu_args_VmmAccess *a,
                 struct vgpu_out_VmmAccess *o)
{
    if (!ops_of(lane) || !ops_of(lane)->vmm_access)
        return WK_NOT_SUPPORTED;
    return ops_of(lane)->vmm_access(lane->w->dev, a->ptr, a->size, a->flags);
}
