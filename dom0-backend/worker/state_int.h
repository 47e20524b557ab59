/* SPDX-License-Identifier: MIT */
/* state_int.h - between state_save.c and state_load.c. */
#ifndef GVM_WORKER_STATE_INT_H
#define GVM_WORKER_STATE_INT_H

#include <string.h>

#include "decode.h"
#include "dom0-backend/worker/made.h"
#include "dom0-backend/worker/worker.h"

#define STATE_MARK 0x6b72616du

/* What both workers must have in common. Structures go into the file as they are, so their sizes. */
struct state_ident {
    char device[8];
    uint32_t protocol, version;
    uint32_t sizes[4];
    uint64_t pool_base, pool_size, dev_base, dev_size;
    uint64_t ring_size;
};

static inline void state_ident(struct wk *w, struct state_ident *x)
{
    memset(x, 0, sizeof(*x));
    strncpy(x->device, w->ops->name, sizeof(x->device) - 1);
    x->protocol = VGPU_PROTOCOL_VERSION;
    x->version = WK_STATE_VERSION;
    x->sizes[0] = sizeof(struct wk_stats);
    x->sizes[1] = sizeof(struct vgpu_args_TextureCreate);
    x->sizes[2] = VGPU_LANES;
    x->sizes[3] = VGPU_COUNTERS;
    x->pool_base = (uint64_t)(uintptr_t)w->pool_base;
    x->pool_size = w->pool_size;
    w->ops->window(w->dev, &x->dev_base, &x->dev_size);
    x->ring_size = w->ch.ring_size;
}

#endif
