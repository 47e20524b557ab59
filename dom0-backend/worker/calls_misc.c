/* SPDX-License-Identifier: MIT */
/*
 * calls_misc.c - device information, lanes, limits, output of kernels; and the look-up of handles
 * for the generated decoder.
 */
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "dom0-backend/common/clock.h"
#include "dom0-backend/worker/worker.h"

/* CUdevice_attribute */
#define ATTR_VMM          102
#define ATTR_MEMORY_POOLS 115

int wk_Info(struct wk_lane *lane, const struct vgpu_args_Info *a, struct vgpu_out_Info *o)
{
    struct wk *w = lane->w;
    struct dev_info *d = calloc(1, sizeof(*d));
    struct vgpu_device_info v;

    if (!d)
        return WK_OUT_OF_MEMORY;
    w->ops->info(w->dev, d);
    memset(&v, 0, sizeof(v));
    _Static_assert(sizeof(v.name) == sizeof(d->name) && sizeof(v.attr) == sizeof(d->attr),
                   "device information as the device gives it");
    memcpy(v.name, d->name, sizeof(v.name));
    memcpy(v.uuid, d->uuid, sizeof(v.uuid));
    memcpy(v.pci_bus_id, d->pci_bus_id, sizeof(v.pci_bus_id));
    v.total_mem = d->total_mem;
    v.driver_version = d->driver_version;
    v.prio_least = d->prio_least;
    v.prio_greatest = d->prio_greatest;
    v.caps = d->caps | (w->direct ? VGPU_DEVICE_WRITES_CHANNEL : 0);
    memcpy(v.attr, d->attr, sizeof(v.attr));
    if (!w->ops->memory) /* whatever the hardware could */
        v.attr[ATTR_VMM] = v.attr[ATTR_MEMORY_POOLS] = 0;
    free(d);
    /* The size tells a guest of another version how much there is. */
    o->size = sizeof(v);
    memcpy(a->dst, &v, a->dst_len < sizeof(v) ? a->dst_len : sizeof(v));
    return WK_OK;
}

/* What a lane leaves behind belongs to a thread that has ended. */
static void forget_lane(struct wk_lane *lane)
{
    struct wk *w = lane->w;

    if (lane->own) {
        wk_obj_release(w, &lane->own->o);
        lane->own = NULL;
    }
    /* The count goes on, so that a guest that remembers it misses no later error. */
    VGPU_STORE_RELEASE(&w->ch.back->lane_err[lane->index], (uint32_t)lane->errors << 16);
}

int wk_Usage(struct wk_lane *lane, const struct vgpu_args_Usage *a, struct vgpu_out_Usage *o)
{
    const struct wk_stats *live = lane->w->stats;
    struct wk_stats s = {.busy_ns = __atomic_load_n(&live->busy_ns, __ATOMIC_RELAXED),
                         .busy_since = __atomic_load_n(&live->busy_since, __ATOMIC_RELAXED)};

    o->mem_used = __atomic_load_n(&live->mem_used, __ATOMIC_RELAXED);
    o->now_ns = now_ns();
    o->busy_ns = wk_busy_ns(&s, o->now_ns);
    return WK_OK;
}

int wk_LaneOpen(struct wk_lane *lane, const struct vgpu_args_LaneOpen *a,
                struct vgpu_out_LaneOpen *o)
{
    forget_lane(lane);
    return WK_OK;
}

int wk_LaneClose(struct wk_lane *lane, const struct vgpu_args_LaneClose *a,
                 struct vgpu_out_LaneClose *o)
{
    forget_lane(lane);
    return WK_OK;
}

int wk_GetLimit(struct wk_lane *lane, const struct vgpu_args_GetLimit *a,
                struct vgpu_out_GetLimit *o)
{
    struct wk *w = lane->w;

    return w->ops->get_limit(w->dev, a->limit, &o->value);
}

int wk_SetLimit(struct wk_lane *lane, const struct vgpu_args_SetLimit *a,
                struct vgpu_out_SetLimit *o)
{
    struct wk *w = lane->w;

    return w->ops->set_limit(w->dev, a->limit, a->value);
}

/* As many whole pieces as fit; the guest asks again while back.output is set. */
int wk_OutputFetch(struct wk_lane *lane, const struct vgpu_args_OutputFetch *a,
                   struct vgpu_out_OutputFetch *o)
{
    struct wk *w = lane->w;
    uint32_t n = 0;
    uint16_t len;

    pthread_mutex_lock(&w->out_lock);
    while (n < w->out_len) {
        memcpy(&len, w->out + n + 2, sizeof(len));
        if (n + 4u + len > a->dst_len)
            break;
        n += 4u + len;
    }
    memcpy(a->dst, w->out, n);
    memmove(w->out, w->out + n, w->out_len - n);
    w->out_len -= n;
    if (w->out_len == 0) {
        w->out_lost = 0;
        VGPU_STORE_RELEASE(&w->ch.back->output, 0u);
    }
    pthread_mutex_unlock(&w->out_lock);
    o->size = n;
    return WK_OK;
}

/* ---- look-ups for the decoder */

_Static_assert((int)VGPU_HANDLE_EVENT == WK_OBJ_EVENT && (int)VGPU_HANDLE_MODULE == WK_OBJ_MODULE &&
                   (int)VGPU_HANDLE_MEMORY == WK_OBJ_MEMORY &&
                   (int)VGPU_HANDLE_MEMORY + 1 == WK_OBJ_KINDS,
               "kinds of objects in the order of the protocol");

static int per_lane_stream(struct wk_lane *lane, void **obj)
{
    if (!lane->own) {
        int err = wk_stream_new(lane->w, 0, 0, &lane->own);

        atomic_store(&lane->w->own_streams, true);

        if (err)
            return err;
    }
    *obj = lane->own;
    return WK_OK;
}

int wk_resolve(struct wk_lane *lane, enum vgpu_handle kind, uint32_t id, void **obj)
{
    if (kind == VGPU_HANDLE_STREAM) {
        switch (id) {
        case WK_STREAM_LEGACY0:
        case WK_STREAM_LEGACY1:
            *obj = lane->w->legacy;
            return WK_OK;
        case WK_STREAM_PER_LANE:
            return per_lane_stream(lane, obj);
        }
    }
    *obj = wk_obj_hold(lane, (enum wk_objkind)kind, id);
    return *obj ? WK_OK : WK_INVALID_HANDLE;
}

int wk_resolve_new(struct wk_lane *lane, enum vgpu_handle kind, uint32_t id)
{
    return wk_obj_unused(lane->w, (enum wk_objkind)kind, id) ? WK_OK : WK_INVALID_HANDLE;
}
