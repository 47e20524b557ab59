/* SPDX-License-Identifier: MIT */
/*
 * calls_ipc.c - memory, pools and events of other processes of the same guest.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decode.h"
#include "dom0-backend/device/device_memory.h"
#include "dom0-backend/device/device_share.h"
#include "dom0-backend/worker/worker.h"

#define WK_OWN_HANDLE 201 /* INVALID_CONTEXT: what CUDA says of a handle of the same process */

static const struct dev_share_ops *ops_of(const struct wk_lane *lane)
{
    return lane->w->ops->share;
}

static void drop_fd(struct dev_share *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* Exports what the device has put into *s, if it has. */
static int hand_out(struct wk *w, int err, enum wk_share_kind kind, struct dev_share *s,
                    uint8_t *handle, uint32_t *len)
{
    if (!err)
        err = wk_share_export(w, kind, s, handle);
    if (!err)
        *len = WK_HANDLE;
    drop_fd(s);
    return err;
}

/* After an import: the broker takes it to be counted by this process too. */
static void imported(struct wk *w, int err, const void *thing, uint64_t dptr, const uint8_t *handle)
{
    wk_share_holds(w, thing, dptr, handle);
    if (err)
        wk_share_lets_go(w, thing, dptr);
}

/* ---- allocations ------------------------------------------------------------------------- */

/* The handle that an allocation has already: cuIpcGetMemHandle and cuMemPoolExportPointer give the
 * same one again. */
static bool known(struct wk *w, uint64_t base, uint8_t *handle, uint32_t *len)
{
    struct wk_handle *e;

    pthread_mutex_lock(&w->shares.lock);
    for (e = w->shares.mem; e && e->dptr != base; e = e->next)
        ;
    if (e)
        memcpy(handle, e->handle, WK_HANDLE);
    pthread_mutex_unlock(&w->shares.lock);
    *len = e ? WK_HANDLE : 0;
    return e != NULL;
}

static int hand_out_allocation(struct wk *w, enum wk_share_kind kind, uint64_t base,
                               int (*get)(struct dev *d, uint64_t dptr, struct dev_share *out),
                               uint8_t *handle, uint32_t *len)
{
    struct dev_share s = {.fd = -1};
    struct wk_handle *e;
    int err;

    if (known(w, base, handle, len))
        return WK_OK;
    e = calloc(1, sizeof(*e));
    if (!e)
        return WK_OUT_OF_MEMORY;
    err = get(w->dev, base, &s);
    if (kind != WK_SHARE_MEM)
        s.charge = 0; /* what frees it again is a pool's affair */
    err = hand_out(w, err, kind, &s, handle, len);
    if (err) {
        free(e);
        return err;
    }
    e->dptr = base;
    memcpy(e->handle, handle, WK_HANDLE);
    pthread_mutex_lock(&w->shares.lock);
    e->next = w->shares.mem;
    w->shares.mem = e;
    pthread_mutex_unlock(&w->shares.lock);
    return WK_OK;
}

int wk_IpcGetMem(struct wk_lane *lane, const struct vgpu_args_IpcGetMem *a,
                 struct vgpu_out_IpcGetMem *o)
{
    struct wk *w = lane->w;
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = w->ops->mem_range(w->dev, a->dptr, &o->base, &o->size);
    if (err)
        return err == WK_NOT_FOUND ? WK_INVALID_VALUE : err;
    return hand_out_allocation(w, WK_SHARE_MEM, o->base, ops_of(lane)->mem_export, o->handle,
                               &o->handle_len);
}

int wk_IpcOpenMem(struct wk_lane *lane, const struct vgpu_args_IpcOpenMem *a,
                  struct vgpu_out_IpcOpenMem *o)
{
    struct dev_share s;
    bool own;
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = wk_share_import(lane->w, WK_SHARE_MEM, a->handle, a->handle_len, &s, &own);
    if (err)
        return err;
    err = own ? WK_OWN_HANDLE : ops_of(lane)->mem_import(lane->w->dev, &s, &o->dptr, &o->size);
    drop_fd(&s);
    if (!own)
        imported(lane->w, err, NULL, o->dptr, a->handle);
    wk_count_memory(lane->w);
    return err;
}

int wk_IpcCloseMem(struct wk_lane *lane, const struct vgpu_args_IpcCloseMem *a,
                   struct vgpu_out_IpcCloseMem *o)
{
    int err = WK_NOT_SUPPORTED;

    if (ops_of(lane)) {
        wk_share_lets_go(lane->w, NULL, a->dptr);
        err = ops_of(lane)->mem_close(lane->w->dev, a->dptr);
    }
    wk_count_memory(lane->w);
    return err;
}

int wk_IpcForget(struct wk_lane *lane, const struct vgpu_args_IpcForget *a,
                 struct vgpu_out_IpcForget *o)
{
    if (a->handle_len != WK_HANDLE)
        return WK_INVALID_VALUE;
    wk_share_forget(lane->w, a->handle);
    return WK_OK;
}

/* ---- events ------------------------------------------------------------------------------ */

/* Enters an event whose state is `c`'s, which it takes. */
static int enter_event(struct wk *w, uint32_t id, uint32_t counter, struct wk_common *c,
                       bool opened)
{
    struct wk_event *e = calloc(1, sizeof(*e));
    int err = e ? w->ops->event_create(w->dev, 2, &e->e) : WK_OUT_OF_MEMORY; /* no timing */

    if (err)
        goto fail;
    e->counter = counter;
    e->common = c;
    e->opened = opened;
    if (wk_obj_enter(w, &e->o, WK_OBJ_EVENT, id))
        return WK_OK;
    w->ops->event_destroy(w->dev, e->e);
    err = WK_INVALID_HANDLE;
fail:
    wk_common_put(c);
    free(e);
    return err;
}

int wk_IpcEventCreate(struct wk_lane *lane, const struct vgpu_args_IpcEventCreate *a,
                      struct vgpu_out_IpcEventCreate *o)
{
    struct wk_common *c;
    int err = wk_common_new(lane->w, -1, &c);

    return err ? err : enter_event(lane->w, a->event, a->counter, c, false);
}

int wk_IpcGetEvent(struct wk_lane *lane, const struct vgpu_args_IpcGetEvent *a,
                   struct vgpu_out_IpcGetEvent *o)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of two threads with one event */
    struct wk_event *e = a->event;
    struct dev_share s;
    int err = WK_OK;

    if (!e->common || e->opened)
        return WK_INVALID_HANDLE;
    pthread_mutex_lock(&lock);
    if (!e->exported) {
        s = (struct dev_share){.fd = wk_common_fd(e->common)};
        err = wk_share_export(lane->w, WK_SHARE_EVENT, &s, e->handle);
        e->exported = !err;
    }
    memcpy(o->handle, e->handle, WK_HANDLE);
    pthread_mutex_unlock(&lock);
    o->handle_len = err ? 0 : WK_HANDLE;
    return err;
}

int wk_IpcOpenEvent(struct wk_lane *lane, const struct vgpu_args_IpcOpenEvent *a,
                    struct vgpu_out_IpcOpenEvent *o)
{
    struct wk_common *c;
    struct dev_share s;
    bool own;
    int err = wk_share_import(lane->w, WK_SHARE_EVENT, a->handle, a->handle_len, &s, &own);

    if (!err && (own || s.fd < 0)) {
        drop_fd(&s);
        err = own ? WK_OWN_HANDLE : WK_INVALID_VALUE;
    }
    if (!err)
        err = wk_common_new(lane->w, s.fd, &c);
    return err ? err : enter_event(lane->w, a->event, a->counter, c, true);
}

int wk_IpcEventQuery(struct wk_lane *lane, const struct vgpu_args_IpcEventQuery *a,
                     struct vgpu_out_IpcEventQuery *o)
{
    struct wk_event *e = a->event;

    return e->common ? wk_common_query(e->common) : WK_INVALID_HANDLE;
}

int wk_IpcEventSync(struct wk_lane *lane, const struct vgpu_args_IpcEventSync *a,
                    struct vgpu_out_IpcEventSync *o)
{
    struct wk_event *e = a->event;

    return e->common ? wk_common_sync(lane->w, e->common) : WK_INVALID_HANDLE;
}

/* ---- physical memory --------------------------------------------------------------------- */

static int release_memory(struct wk *w, struct wk_thing *t)
{
    wk_share_lets_go(w, t->p, 0); /* it may be mapped still: then it is counted once more */
    return w->ops->memory->vmm_release(w->dev, t->p);
}

int wk_VmmCreateShared(struct wk_lane *lane, const struct vgpu_args_VmmCreateShared *a,
                       struct vgpu_out_VmmCreateShared *o)
{
    struct dev_memory *m = NULL;
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = ops_of(lane)->memory_create(lane->w->dev, a->size, &m);
    if (!err)
        err = wk_thing_enter(lane->w, WK_OBJ_MEMORY, a->memory, m, release_memory);
    wk_count_memory(lane->w);
    return err;
}

int wk_VmmExport(struct wk_lane *lane, const struct vgpu_args_VmmExport *a,
                 struct vgpu_out_VmmExport *o)
{
    struct wk_thing *t = a->memory;
    struct dev_share s = {.fd = -1};
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = ops_of(lane)->memory_export(lane->w->dev, t->p, &s);
    err = hand_out(lane->w, err, WK_SHARE_MEMORY, &s, o->handle, &o->handle_len);
    if (!err)
        wk_share_holds(lane->w, t->p, 0, o->handle);
    return err;
}

int wk_VmmImport(struct wk_lane *lane, const struct vgpu_args_VmmImport *a,
                 struct vgpu_out_VmmImport *o)
{
    struct dev_memory *m = NULL;
    struct dev_share s;
    bool own, asked;
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = wk_share_import(lane->w, WK_SHARE_MEMORY, a->handle, a->handle_len, &s, &own);
    asked = !err;
    if (!err)
        err = ops_of(lane)->memory_import(lane->w->dev, &s, &m, &o->size);
    drop_fd(&s);
    if (asked)
        imported(lane->w, err, m, 0, a->handle);
    if (!err)
        err = wk_thing_enter(lane->w, WK_OBJ_MEMORY, a->memory, m, release_memory);
    wk_count_memory(lane->w);
    return err;
}

/* ---- pools ------------------------------------------------------------------------------- */

static int destroy_pool(struct wk *w, struct wk_thing *t)
{
    return w->ops->memory->mempool_destroy(w->dev, t->p);
}

int wk_MemPoolCreateShared(struct wk_lane *lane, const struct vgpu_args_MemPoolCreateShared *a,
                           struct vgpu_out_MemPoolCreateShared *o)
{
    struct dev_mempool *p = NULL;
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = ops_of(lane)->pool_create(lane->w->dev, a->max_size, &p);
    return err ? err : wk_thing_enter(lane->w, WK_OBJ_MEMPOOL, a->pool, p, destroy_pool);
}

int wk_MemPoolExport(struct wk_lane *lane, const struct vgpu_args_MemPoolExport *a,
                     struct vgpu_out_MemPoolExport *o)
{
    struct wk_thing *t = a->pool;
    struct dev_share s = {.fd = -1};
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = ops_of(lane)->pool_export(lane->w->dev, t->p, &s);
    return hand_out(lane->w, err, WK_SHARE_POOL, &s, o->handle, &o->handle_len);
}

int wk_MemPoolImport(struct wk_lane *lane, const struct vgpu_args_MemPoolImport *a,
                     struct vgpu_out_MemPoolImport *o)
{
    struct dev_mempool *p = NULL;
    struct dev_share s;
    bool own;
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = wk_share_import(lane->w, WK_SHARE_POOL, a->handle, a->handle_len, &s, &own);
    if (!err)
        err = ops_of(lane)->pool_import(lane->w->dev, &s, &p);
    drop_fd(&s);
    return err ? err : wk_thing_enter(lane->w, WK_OBJ_MEMPOOL, a->pool, p, destroy_pool);
}

int wk_MemPoolExportPtr(struct wk_lane *lane, const struct vgpu_args_MemPoolExportPtr *a,
                        struct vgpu_out_MemPoolExportPtr *o)
{
    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    return hand_out_allocation(lane->w, WK_SHARE_PTR, a->dptr, ops_of(lane)->ptr_export, o->handle,
                               &o->handle_len);
}

int wk_MemPoolImportPtr(struct wk_lane *lane, const struct vgpu_args_MemPoolImportPtr *a,
                        struct vgpu_out_MemPoolImportPtr *o)
{
    struct wk_thing *t = a->pool;
    struct dev_share s;
    bool own;
    int err;

    if (!ops_of(lane))
        return WK_NOT_SUPPORTED;
    err = wk_share_import(lane->w, WK_SHARE_PTR, a->handle, a->handle_len, &s, &own);
    if (!err)
        err = ops_of(lane)->ptr_import(lane->w->dev, t->p, &s, &o->dptr, &o->size);
    drop_fd(&s);
    wk_count_memory(lane->w);
    return err;
}
