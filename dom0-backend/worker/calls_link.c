/* SPDX-License-Identifier: MIT */
/*
 * calls_link.c - images with options, the linker, launches with attributes, attributes of streams.
 */
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "dom0-backend/device/device_link.h"
#include "dom0-backend/worker/worker.h"

#define WK_NOT_SUPPORTED 801

struct linker {
    struct dev_linker *l;
    pthread_mutex_t lock; /* the device wants one thread at a time */
    uint64_t charged;     /* octets of images, against the images' budget */
};

/* Options are used where they are: aligned, and nothing but numbers. False: not whole ones. */
static bool take_options(const void *data, uint32_t len, struct dev_jit_option *to, unsigned *n)
{
    if (len % sizeof(*to) || len / sizeof(*to) > DEV_JIT_MAX)
        return false;
    memcpy(to, data, len);
    *n = len / (unsigned)sizeof(*to);
    return true;
}

/* info, then error, each cut to its room and ended by a NUL. The guest may write there meanwhile:
 * nothing is read back. */
static void give_logs(uint8_t *to, uint64_t room, const char *info, const char *error)
{
    const char *text[2] = {info, error};

    for (int i = 0; i < 2; i++) {
        uint64_t half = i ? room - room / 2 : room / 2;
        size_t n = strlen(text[i]);

        if (!half)
            continue;
        if (n >= half)
            n = half - 1;
        memcpy(to, text[i], n);
        to[n] = 0;
        to += half;
    }
}

static uint8_t *private_copy(const void *data, uint64_t len)
{
    uint8_t *p = len ? malloc(len) : NULL;

    if (p)
        memcpy(p, data, len);
    return p;
}

int wk_ModuleLoadEx(struct wk_lane *lane, const struct vgpu_args_ModuleLoadEx *a,
                    struct vgpu_out_ModuleLoadEx *o)
{
    struct wk *w = lane->w;
    struct dev_jit_option opt[DEV_JIT_MAX];
    struct dev_jit jit = {.opt = opt, .info_max = a->info_max, .error_max = a->error_max};
    struct wk_module *m;
    uint8_t *image = NULL;
    int err;

    if (!w->ops->link || !w->ops->link->module_load)
        return WK_NOT_SUPPORTED;
    if (!take_options(a->options, a->options_len, opt, &jit.nopt) || !a->image_len)
        return WK_INVALID_VALUE;
    err = WK_OUT_OF_MEMORY;
    image = private_copy(a->image, a->image_len);
    jit.info = calloc(1, jit.info_max + 1);
    jit.error = calloc(1, jit.error_max + 1);
    if (image && jit.info && jit.error)
        err = wk_module_enter(w, image, a->image_len, a->module, &jit, NULL, 0, &m);
    if (jit.info && jit.error)
        give_logs(a->logs, a->logs_len, jit.info, jit.error);
    if (err == 0) {
        o->nfunc = m->nfunc;
        o->nglobal = m->nglobal;
        o->wall_ms = jit.wall_ms;
        o->threads = jit.threads;
    }
    free(image);
    free(jit.info);
    free(jit.error);
    return err;
}

/* ---- linker -------------------------------------------------------------------------------- */

static int linker_destroy(struct wk *w, struct wk_thing *t)
{
    struct linker *k = t->p;
    int err = w->ops->link->link_destroy(w->dev, k->l);

    wk_image_uncharge(&w->images, k->charged);
    pthread_mutex_destroy(&k->lock);
    free(k);
    return err;
}

int wk_LinkCreate(struct wk_lane *lane, const struct vgpu_args_LinkCreate *a,
                  struct vgpu_out_LinkCreate *o)
{
    struct wk *w = lane->w;
    struct dev_jit_option opt[DEV_JIT_MAX];
    struct dev_jit jit = {.opt = opt, .info_max = a->info_max, .error_max = a->error_max};
    struct linker *k;
    int err;

    if (!w->ops->link || !w->ops->link->link_create)
        return WK_NOT_SUPPORTED;
    if (!take_options(a->options, a->options_len, opt, &jit.nopt))
        return WK_INVALID_VALUE;
    k = calloc(1, sizeof(*k));
    if (!k)
        return WK_OUT_OF_MEMORY;
    err = w->ops->link->link_create(w->dev, &jit, &k->l);
    if (err) {
        free(k);
        return err;
    }
    pthread_mutex_init(&k->lock, NULL);
    return wk_thing_enter(w, WK_OBJ_LINKER, a->linker, k, linker_destroy);
}

static void linker_logs(struct wk *w, struct linker *k, uint8_t *to, uint64_t room)
{
    const char *info = "", *error = "";

    w->ops->link->link_logs(k->l, &info, &error);
    give_logs(to, room, info, error);
}

int wk_LinkAdd(struct wk_lane *lane, const struct vgpu_args_LinkAdd *a, struct vgpu_out_LinkAdd *o)
{
    struct wk *w = lane->w;
    struct linker *k = ((struct wk_thing *)a->linker)->p;
    struct dev_jit_option opt[DEV_JIT_MAX];
    unsigned n;
    uint8_t *image;
    int err;

    if (!take_options(a->options, a->options_len, opt, &n) || !a->image_len)
        return WK_INVALID_VALUE;
    image = private_copy(a->image, a->image_len);
    if (!image || wk_image_charge(&w->images, a->image_len) < 0) {
        free(image);
        return WK_OUT_OF_MEMORY;
    }
    pthread_mutex_lock(&k->lock);
    k->charged += a->image_len;
    err = w->ops->link->link_add(w->dev, k->l, a->form, image, a->image_len, a->name, opt, n);
    linker_logs(w, k, a->logs, a->logs_len);
    pthread_mutex_unlock(&k->lock);
    free(image);
    return err;
}

int wk_LinkComplete(struct wk_lane *lane, const struct vgpu_args_LinkComplete *a,
                    struct vgpu_out_LinkComplete *o)
{
    struct wk *w = lane->w;
    struct linker *k = ((struct wk_thing *)a->linker)->p;
    const void *image;
    size_t n = 0;
    int err;

    pthread_mutex_lock(&k->lock);
    err = w->ops->link->link_complete(w->dev, k->l, &image, &n);
    linker_logs(w, k, a->logs, a->logs_len);
    pthread_mutex_unlock(&k->lock);
    o->size = n;
    return err;
}

/* Completing again gives the same image. */
int wk_LinkImage(struct wk_lane *lane, const struct vgpu_args_LinkImage *a,
                 struct vgpu_out_LinkImage *o)
{
    struct wk *w = lane->w;
    struct linker *k = ((struct wk_thing *)a->linker)->p;
    const void *image;
    size_t n = 0;
    int err;

    pthread_mutex_lock(&k->lock);
    err = w->ops->link->link_complete(w->dev, k->l, &image, &n);
    if (err == 0 && a->dst_len < n)
        err = WK_INVALID_VALUE;
    if (err == 0)
        memcpy(a->dst, image, n);
    pthread_mutex_unlock(&k->lock);
    return err;
}

int wk_LinkDestroy(struct wk_lane *lane, const struct vgpu_args_LinkDestroy *a,
                   struct vgpu_out_LinkDestroy *o)
{
    return wk_obj_remove(lane, a->linker);
}

/* ---- kernels ------------------------------------------------------------------------------- */

static struct dev_func *func_of(struct wk *w, struct wk_module *m, uint32_t index)
{
    return index < m->nfunc ? w->ops->module_func(m->m, index) : NULL;
}

int wk_FuncLoad(struct wk_lane *lane, const struct vgpu_args_FuncLoad *a,
                struct vgpu_out_FuncLoad *o)
{
    struct wk *w = lane->w;
    struct dev_func *f = func_of(w, a->module, a->func);

    if (!w->ops->link)
        return WK_NOT_SUPPORTED;
    if (!f)
        return WK_INVALID_HANDLE;
    return a->query ? w->ops->link->func_loaded(w->dev, f, &o->state)
                    : w->ops->link->func_load(w->dev, f);
}

int wk_FuncReady(struct wk_lane *lane, const struct vgpu_args_FuncReady *a,
                 struct vgpu_out_FuncReady *o)
{
    struct wk *w = lane->w;
    struct dev_func *f = func_of(w, a->module, a->func);

    if (!f)
        return WK_INVALID_HANDLE;
    /* Why it cannot be loaded is reported by its launch. */
    if (w->ops->link)
        w->ops->link->func_load(w->dev, f);
    return 0;
}

int wk_FuncCache(struct wk_lane *lane, const struct vgpu_args_FuncCache *a,
                 struct vgpu_out_FuncCache *o)
{
    struct wk *w = lane->w;
    struct dev_func *f = func_of(w, a->module, a->func);

    if (!w->ops->link)
        return WK_NOT_SUPPORTED;
    return f ? w->ops->link->func_cache(w->dev, f, a->config) : WK_INVALID_HANDLE;
}

static bool take_attrs(const void *data, uint32_t len, struct dev_launch_attr *to, unsigned *n)
{
    if (len % sizeof(*to) || len / sizeof(*to) > DEV_LAUNCH_ATTRS)
        return false;
    memcpy(to, data, len);
    *n = len / (unsigned)sizeof(*to);
    return true;
}

int wk_LaunchEx(struct wk_lane *lane, const struct vgpu_args_LaunchEx *a,
                struct vgpu_out_LaunchEx *o)
{
    struct wk *w = lane->w;
    struct wk_module *m = a->module;
    struct wk_stream *s = a->stream;
    struct dev_func *f = func_of(w, m, a->func);
    struct dev_launch_attr attr[DEV_LAUNCH_ATTRS];
    struct dev_launch l = {.shmem = a->shmem, .params = a->params, .params_len = a->params_len};
    unsigned n;
    int err;

    if (!w->ops->link)
        return WK_NOT_SUPPORTED;
    if (!f)
        return WK_INVALID_HANDLE;
    if (a->params_len < m->param_bytes[a->func] || !take_attrs(a->attrs, a->attrs_len, attr, &n))
        return WK_INVALID_VALUE;
    memcpy(l.grid, a->grid, sizeof(l.grid));
    memcpy(l.block, a->block, sizeof(l.block));
    err = wk_work_enter(w, s);
    if (!err)
        err = w->ops->link->launch(w->dev, f, &l, attr, n, s->s);
    if (!err)
        wk_count(w, launches, 1);
    return err;
}

int wk_SharedAvailable(struct wk_lane *lane, const struct vgpu_args_SharedAvailable *a,
                       struct vgpu_out_SharedAvailable *o)
{
    struct wk *w = lane->w;
    struct dev_func *f = func_of(w, a->module, a->func);

    if (!w->ops->link)
        return WK_NOT_SUPPORTED;
    return f ? w->ops->link->shared_available(w->dev, f, a->blocks, a->block, &o->bytes)
             : WK_INVALID_HANDLE;
}

int wk_Clusters(struct wk_lane *lane, const struct vgpu_args_Clusters *a,
                struct vgpu_out_Clusters *o)
{
    struct wk *w = lane->w;
    struct dev_func *f = func_of(w, a->module, a->func);
    struct dev_launch_attr attr[DEV_LAUNCH_ATTRS];
    struct dev_launch l = {.shmem = a->shmem};
    unsigned n;

    if (!w->ops->link)
        return WK_NOT_SUPPORTED;
    if (!f)
        return WK_INVALID_HANDLE;
    if (!take_attrs(a->attrs, a->attrs_len, attr, &n))
        return WK_INVALID_VALUE;
    memcpy(l.grid, a->grid, sizeof(l.grid));
    memcpy(l.block, a->block, sizeof(l.block));
    return w->ops->link->clusters(w->dev, f, &l, attr, n, a->which == 1, &o->n);
}

/* ---- streams, cache, tensors --------------------------------------------------------------- */

int wk_StreamGetAttr(struct wk_lane *lane, const struct vgpu_args_StreamGetAttr *a,
                     struct vgpu_out_StreamGetAttr *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    int err;

    if (!w->ops->link)
        return WK_NOT_SUPPORTED;
    err = w->ops->link->stream_get(w->dev, s->s, a->attr, o->value);
    o->value_len = err ? 0 : sizeof(o->value);
    return err;
}

int wk_StreamSetAttr(struct wk_lane *lane, const struct vgpu_args_StreamSetAttr *a,
                     struct vgpu_out_StreamSetAttr *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    uint8_t value[64] = {0};

    if (!w->ops->link)
        return WK_NOT_SUPPORTED;
    memcpy(value, a->value, a->value_len < sizeof(value) ? a->value_len : sizeof(value));
    return w->ops->link->stream_set(w->dev, s->s, a->attr, value);
}

int wk_StreamCopyAttr(struct wk_lane *lane, const struct vgpu_args_StreamCopyAttr *a,
                      struct vgpu_out_StreamCopyAttr *o)
{
    struct wk *w = lane->w;

    if (!w->ops->link)
        return WK_NOT_SUPPORTED;
    return w->ops->link->stream_copy(w->dev, ((struct wk_stream *)a->dst)->s,
                                     ((struct wk_stream *)a->src)->s);
}

int wk_ResetL2(struct wk_lane *lane, const struct vgpu_args_ResetL2 *a, struct vgpu_out_ResetL2 *o)
{
    struct wk *w = lane->w;

    return w->ops->link ? w->ops->link->reset_l2(w->dev) : WK_NOT_SUPPORTED;
}

int wk_TensorMap(struct wk_lane *lane, const struct vgpu_args_TensorMap *a,
                 struct vgpu_out_TensorMap *o)
{
    struct wk *w = lane->w;
    struct dev_tensor_map t;
    int err;

    if (!w->ops->link)
        return WK_NOT_SUPPORTED;
    if (a->desc_len != sizeof(t) || (a->old_len && a->old_len != sizeof(o->map)))
        return WK_INVALID_VALUE;
    memcpy(&t, a->desc, sizeof(t));
    if (t.form > DEV_TENSOR_MOVE || (t.form == DEV_TENSOR_MOVE && !a->old_len))
        return WK_INVALID_VALUE;
    memcpy(o->map, a->old, a->old_len);
    memset(o->map + a->old_len, 0, sizeof(o->map) - a->old_len);
    err = w->ops->link->tensor_map(w->dev, &t, o->map);
    o->map_len = err ? 0 : sizeof(o->map);
    return err;
}
