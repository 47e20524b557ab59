/* SPDX-License-Identifier: MIT */
/*
 * calls_texture.c - arrays, texture objects, surface objects.
 *
 * wk_thing.v of a texture or surface object is the handle that kernels use, so that no handle of the
 * guest's reaches the device's destroy functions.
 */
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "dom0-backend/worker/made.h"
#include "dom0-backend/device/device_texture.h"
#include "dom0-backend/worker/worker.h"

static int destroy_array(struct wk *w, struct wk_thing *t)
{
    return w->ops->texture->array_destroy(w->dev, t->p);
}

static int destroy_mipmap(struct wk *w, struct wk_thing *t)
{
    return w->ops->texture->mipmap_destroy(w->dev, t->p);
}

bool wk_array_is_mipmap(const struct wk_thing *t)
{
    return t->destroy == destroy_mipmap;
}

/* What `id` is, held for the call; NULL: no such thing. */
static struct wk_thing *hold_array(struct wk_lane *lane, uint32_t id, bool mipmap)
{
    struct wk_thing *t = (struct wk_thing *)wk_obj_hold(lane, WK_OBJ_ARRAY, id);

    return t && (t->destroy == destroy_mipmap) == mipmap ? t : NULL;
}

int wk_ArrayCreate(struct wk_lane *lane, const struct vgpu_args_ArrayCreate *a,
                   struct vgpu_out_ArrayCreate *o)
{
    struct wk *w = lane->w;
    const struct dev_texture_ops *ops = w->ops->texture;
    const struct dev_array_desc q = {a->width,  a->height,   a->depth,
                                     a->format, a->channels, a->flags};
    struct dev_mipmap *m;
    struct dev_array *p;
    int err;

    if (!ops)
        return WK_NOT_SUPPORTED;
    if (a->levels) {
        err = ops->mipmap_create(w->dev, &q, a->levels, &m);
        if (!err)
            err = wk_thing_enter(w, WK_OBJ_ARRAY, a->array, m, destroy_mipmap);
    } else {
        err = ops->array_create(w->dev, &q, &p);
        if (!err)
            err = wk_thing_enter(w, WK_OBJ_ARRAY, a->array, p, destroy_array);
    }
    if (!err)
        err = wk_thing_made(w, WK_OBJ_ARRAY, a->array, &(struct wk_array_made){q, a->levels, 0, 0},
                            sizeof(struct wk_array_made));
    if (!err)
        wk_count_memory(w);
    return err;
}

int wk_ArrayDestroy(struct wk_lane *lane, const struct vgpu_args_ArrayDestroy *a,
                    struct vgpu_out_ArrayDestroy *o)
{
    int err = wk_obj_remove(lane, a->array);

    wk_count_memory(lane->w);
    return err;
}

int wk_ArrayLevel(struct wk_lane *lane, const struct vgpu_args_ArrayLevel *a,
                  struct vgpu_out_ArrayLevel *o)
{
    struct wk *w = lane->w;
    struct wk_thing *t = (struct wk_thing *)a->mipmap;
    struct dev_array *p;
    int err;

    if (!w->ops->texture || t->destroy != destroy_mipmap)
        return WK_INVALID_HANDLE;
    err = w->ops->texture->mipmap_level(w->dev, t->p, a->level, &p);
    if (!err)
        err = wk_thing_enter(w, WK_OBJ_ARRAY, a->array, p, destroy_array);
    if (!err)
        err = wk_thing_made(w, WK_OBJ_ARRAY, a->array,
                            &(struct wk_array_made){{0}, a->level, a->mipmap_id, t->o.serial},
                            sizeof(struct wk_array_made));
    return err;
}

/* ---- texture and surface objects --------------------------------------------------------- */

static int destroy_texture(struct wk *w, struct wk_thing *t)
{
    return w->ops->texture->texture_destroy(w->dev, t->v);
}

static int destroy_surface(struct wk *w, struct wk_thing *t)
{
    return w->ops->texture->surface_destroy(w->dev, t->v);
}

static int enter(struct wk *w, uint32_t id, uint64_t handle,
                 int (*destroy)(struct wk *w, struct wk_thing *t))
{
    struct wk_thing *t = calloc(1, sizeof(*t));
    struct wk_thing last = {.v = handle};
    int err = WK_OUT_OF_MEMORY;

    if (t) {
        t->v = handle;
        t->destroy = destroy;
        if (wk_obj_enter(w, &t->o, WK_OBJ_TEXTURE, id))
            return WK_OK;
        err = WK_INVALID_HANDLE;
    }
    free(t);
    destroy(w, &last);
    return err;
}

static int resource(struct wk_lane *lane, const struct vgpu_args_TextureCreate *a,
                    struct dev_resource *r)
{
    struct wk_thing *t;

    *r = (struct dev_resource){.type = (enum dev_restype)a->type,
                               .addr = a->addr,
                               .bytes = a->bytes,
                               .width = a->width,
                               .height = a->height,
                               .pitch = a->pitch,
                               .format = a->format,
                               .channels = a->channels};
    if (a->type != DEV_RES_ARRAY && a->type != DEV_RES_MIPMAP)
        return WK_OK;
    t = hold_array(lane, a->array, a->type == DEV_RES_MIPMAP);
    if (!t)
        return WK_INVALID_HANDLE;
    if (a->type == DEV_RES_ARRAY)
        r->array = t->p;
    else
        r->mipmap = t->p;
    return WK_OK;
}

static uint64_t serial(struct wk *w, uint32_t array)
{
    return array <= WK_ID_MAX && w->objs.tab[WK_OBJ_ARRAY][array]
               ? w->objs.tab[WK_OBJ_ARRAY][array]->serial
               : 0;
}

int wk_TextureCreate(struct wk_lane *lane, const struct vgpu_args_TextureCreate *a,
                     struct vgpu_out_TextureCreate *o)
{
    struct wk *w = lane->w;
    const struct dev_sampler s = {.address = {a->address[0], a->address[1], a->address[2]},
                                  .filter = a->filter,
                                  .flags = a->flags,
                                  .aniso = a->aniso,
                                  .mip_filter = a->mip_filter,
                                  .mip_bias = a->mip_bias,
                                  .mip_min = a->mip_min,
                                  .mip_max = a->mip_max};
    const struct dev_view v = {.format = a->view_format,
                               .width = a->view_width,
                               .height = a->view_height,
                               .depth = a->view_depth,
                               .first_level = a->view_levels[0],
                               .last_level = a->view_levels[1],
                               .first_layer = a->view_layers[0],
                               .last_layer = a->view_layers[1]};
    struct dev_sampler sampler = s;
    struct dev_resource r;
    int err;

    if (!w->ops->texture)
        return WK_NOT_SUPPORTED;
    _Static_assert(sizeof(sampler.border) == sizeof(a->border), "border");
    memcpy(sampler.border, a->border, sizeof(sampler.border));
    err = resource(lane, a, &r);
    if (!err)
        err = w->ops->texture->texture_create(w->dev, &r, &sampler, a->viewed ? &v : NULL,
                                              &o->handle);
    if (!err)
        err = enter(w, a->texture, o->handle, destroy_texture);
    if (!err) {
        struct wk_texture_made made = {.of = *a,
                                       .serial = r.array || r.mipmap ? serial(w, a->array) : 0};

        err = wk_thing_made(w, WK_OBJ_TEXTURE, a->texture, &made, sizeof(made));
    }
    return err;
}

int wk_SurfaceCreate(struct wk_lane *lane, const struct vgpu_args_SurfaceCreate *a,
                     struct vgpu_out_SurfaceCreate *o)
{
    struct wk *w = lane->w;
    struct wk_thing *t = (struct wk_thing *)a->array;
    int err;

    if (!w->ops->texture || t->destroy != destroy_array)
        return WK_INVALID_HANDLE;
    err = w->ops->texture->surface_create(w->dev, t->p, &o->handle);
    if (!err)
        err = enter(w, a->surface, o->handle, destroy_surface);
    if (!err) {
        struct wk_texture_made made = {.serial = t->o.serial, .surface = true};

        made.of.array = a->array_id;
        err = wk_thing_made(w, WK_OBJ_TEXTURE, a->surface, &made, sizeof(made));
    }
    return err;
}

int wk_TextureDestroy(struct wk_lane *lane, const struct vgpu_args_TextureDestroy *a,
                      struct vgpu_out_TextureDestroy *o)
{
    return wk_obj_remove(lane, a->texture);
}
