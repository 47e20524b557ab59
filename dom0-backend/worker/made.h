/* SPDX-License-Identifier: MIT */
/*
 * made.h - how objects were made, for another worker to make them again (state_save.c, state_load.c).
 * Includes what the generated decoder declares: decode.h comes first.
 */
#ifndef GVM_WORKER_MADE_H
#define GVM_WORKER_MADE_H

#include "dom0-backend/device/device_texture.h"
#include "dom0-backend/worker/worker.h"

/* wk_thing.extra of an array, a mipmapped array, or a level of one (mipmap not 0). */
struct wk_array_made {
    struct dev_array_desc desc;
    uint32_t levels; /* or the level */
    uint32_t mipmap;
    uint64_t serial; /* of that */
};

/* Of a texture or surface object: of a surface object only of.array. */
struct wk_texture_made {
    struct vgpu_args_TextureCreate of;
    uint64_t serial; /* of of.array; 0: none */
    bool surface;
};

bool wk_array_is_mipmap(const struct wk_thing *t);

/* An executable graph from its description, under a number. CUresult; *bad: the node at fault. */
int wk_exec_make(struct wk_lane *lane, const void *graph, uint64_t len, uint32_t id, uint32_t *bad);
/* Its description; NULL if that names objects which have been destroyed. */
struct wk_exec;
struct dev_exec;
const void *wk_exec_made(const struct wk_exec *e, uint64_t *len, const struct dev_exec **x);

/* Pools and physical memory that the device has already, under their numbers. CUresult. */
int wk_pool_enter(struct wk *w, uint32_t id, struct dev_mempool *p, bool is_default);
bool wk_pool_is_default(const struct wk_thing *t);
int wk_memory_enter(struct wk *w, uint32_t id, struct dev_memory *m);

#endif
