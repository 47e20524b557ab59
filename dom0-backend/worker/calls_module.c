/* SPDX-License-Identifier: MIT */
/*
 * calls_module.c - modules: images by content hash, tables of kernels, variables.
 */
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "dom0-backend/device/device_link.h"
#include "dom0-backend/common/fault.h"
#include "dom0-backend/worker/worker.h"

/* For another worker to make the module again. */
static int keep_source(struct wk_module *m, const void *image, uint64_t len,
                       const struct dev_jit *jit)
{
    m->image = malloc(len);
    if (!m->image)
        return WK_OUT_OF_MEMORY;
    memcpy(m->image, image, len);
    if (!jit)
        return WK_OK;
    m->options = true;
    m->nopt = jit->nopt;
    m->opt = calloc(m->nopt + 1, sizeof(*m->opt));
    if (!m->opt)
        return WK_OUT_OF_MEMORY;
    memcpy(m->opt, jit->opt, m->nopt * sizeof(*m->opt));
    return WK_OK;
}

int wk_module_enter(struct wk *w, const void *image, uint64_t len, uint32_t id, struct dev_jit *jit,
                    char *log, size_t log_n, struct wk_module **out)
{
    struct wk_module *m = calloc(1, sizeof(*m));
    int err = WK_OUT_OF_MEMORY;

    if (!jit)
        log[0] = '\0';
    if (!m)
        return WK_OUT_OF_MEMORY;
    if (wk_image_charge(&w->images, len + WK_MODULE_OWN) < 0)
        goto out;
    m->image_len = len;
    err = jit ? w->ops->link->module_load(w->dev, image, len, jit, &m->m)
              : w->ops->module_load(w->dev, image, len, &m->m, log, log_n);
    if (err)
        goto uncharge;
    fault_point("worker.module", w->assign.domid);
    m->nfunc = w->ops->module_nfunc(m->m);
    m->nglobal = w->ops->module_nglobal(m->m);
    err = WK_OUT_OF_MEMORY;
    if (w->ops->state && keep_source(m, image, len, jit))
        goto unload;
    m->param_bytes = calloc(m->nfunc ? m->nfunc : 1, sizeof(*m->param_bytes));
    if (!m->param_bytes)
        goto unload;
    for (unsigned i = 0; i < m->nfunc; i++) {
        struct dev_func *f = w->ops->module_func(m->m, i);
        unsigned n = w->ops->func_nparam(f);

        for (unsigned p = 0; p < n; p++) {
            struct dev_param q = w->ops->func_param(f, p);

            if (q.offset + q.size > m->param_bytes[i])
                m->param_bytes[i] = q.offset + q.size;
        }
    }
    err = WK_INVALID_HANDLE;
    if (!wk_obj_enter(w, &m->o, WK_OBJ_MODULE, id))
        goto unload;
    /* In the page before the guest can launch any of its kernels. */
    if (w->ops->module_prints && w->ops->module_prints(m->m))
        VGPU_STORE_RELEASE(&w->ch.back->prints, 1u);
    *out = m;
    return WK_OK;

unload:
    w->ops->module_unload(w->dev, m->m);
uncharge:
    wk_image_uncharge(&w->images, len + WK_MODULE_OWN);
out:
    free(m->param_bytes);
    free(m->image);
    free(m->opt);
    free(m);
    return err;
}

/* Writes into buf, which was found to have the room, or only counts when buf is NULL. */
struct table {
    uint8_t *buf;
    uint64_t at;
};

static void put(struct table *t, const void *p, size_t n)
{
    if (t->buf)
        memcpy(t->buf + t->at, p, n);
    t->at += n;
}

static void put_name(struct table *t, const char *name, uint16_t len)
{
    static const char zero[8];

    put(t, name, len);
    put(t, zero, vgpu_table_name_room(len) - len);
}

static uint16_t name_len(const char *name)
{
    return (uint16_t)strnlen(name, UINT16_MAX);
}

static void put_func(struct wk *w, struct wk_module *m, unsigned i, struct table *t)
{
    struct dev_func *f = w->ops->module_func(m->m, i);
    const char *name = w->ops->func_name(f);
    struct vgpu_table_func v = {
        .name_len = name_len(name),
        .nparam = (uint16_t)w->ops->func_nparam(f), /* <= DEV_MAX_PARAMS */
        .param_bytes = m->param_bytes[i],
    };

    put(t, &v, sizeof(v));
    for (unsigned p = 0; p < v.nparam; p++) {
        struct dev_param q = w->ops->func_param(f, p);

        put(t, &(struct vgpu_table_param){q.offset, q.size}, sizeof(struct vgpu_table_param));
    }
    put_name(t, name, v.name_len);
}

static void put_table(struct wk *w, struct wk_module *m, uint32_t bytes, struct table *t)
{
    struct vgpu_table_head head = {
        .magic = VGPU_TABLE_MAGIC,
        .nfunc = m->nfunc,
        .nglobal = m->nglobal,
        .bytes = bytes,
    };

    put(t, &head, sizeof(head));
    for (unsigned i = 0; i < m->nfunc; i++)
        put_func(w, m, i, t);
    for (unsigned i = 0; i < m->nglobal; i++) {
        const char *name = w->ops->module_global_name(m->m, i);
        struct vgpu_table_global v = {.name_len = name_len(name)};

        put(t, &v, sizeof(v));
        put_name(t, name, v.name_len);
    }
}

/* The table of a module into pool memory, if there is room for it; its size all the same. */
static uint64_t give_table(struct wk *w, struct wk_module *m, void *dst, uint64_t room)
{
    struct table t = {NULL, 0};
    uint64_t size;

    put_table(w, m, 0, &t);
    size = t.at;
    /* Larger than UINT32_MAX cannot be: that is far more than the largest image. */
    if (size > room || size > UINT32_MAX)
        return size; /* the guest asks again with enough room */
    t = (struct table){.buf = dst};
    put_table(w, m, (uint32_t)size, &t);
    return size;
}

/* ---- calls ------------------------------------------------------------------------------- */

int wk_ModuleFind(struct wk_lane *lane, const struct vgpu_args_ModuleFind *a,
                  struct vgpu_out_ModuleFind *o)
{
    struct wk *w = lane->w;
    const struct wk_image *i = wk_image_find(&w->images, a->hash);
    struct wk_module *m;
    char log[128];
    int err;

    if (!i)
        return WK_NOT_FOUND;
    err = wk_module_enter(w, i->data, i->len, a->module, NULL, log, sizeof(log), &m);
    if (err)
        return err;
    o->nfunc = m->nfunc;
    o->nglobal = m->nglobal;
    o->size = give_table(w, m, a->table, a->table_len);
    return WK_OK;
}

int wk_ModuleLoad(struct wk_lane *lane, const struct vgpu_args_ModuleLoad *a,
                  struct vgpu_out_ModuleLoad *o)
{
    struct wk *w = lane->w;
    struct wk_module *m;
    uint8_t *image;
    int err;

    if (a->image_len == 0)
        return WK_INVALID_VALUE;
    /* Copied once, before anything looks at it: the guest can go on writing to the pool. */
    image = malloc(a->image_len);
    if (!image)
        return WK_OUT_OF_MEMORY;
    memcpy(image, a->image, a->image_len);
    o->log[0] = '\0';
    if (a->ahead && !(w->ops->module_ready && w->ops->module_ready(w->dev, image, a->image_len)))
        err = WK_NOT_SUPPORTED;
    else
        err = wk_module_enter(w, image, a->image_len, a->module, NULL, (char *)o->log,
                              sizeof(o->log), &m);
    o->log_len = (uint32_t)strnlen((char *)o->log, sizeof(o->log));
    if (err) {
        free(image);
        return err;
    }
    o->nfunc = m->nfunc;
    o->nglobal = m->nglobal;
    o->size = give_table(w, m, a->table, a->table_len);
    /* Only images that load are kept; one that does not fit any more is simply sent again. */
    wk_image_keep(&w->images, image, a->image_len);
    return WK_OK;
}

int wk_ModuleTable(struct wk_lane *lane, const struct vgpu_args_ModuleTable *a,
                   struct vgpu_out_ModuleTable *o)
{
    o->size = give_table(lane->w, a->module, a->dst, a->dst_len);
    return WK_OK;
}

int wk_ModuleUnload(struct wk_lane *lane, const struct vgpu_args_ModuleUnload *a,
                    struct vgpu_out_ModuleUnload *o)
{
    struct wk_module *m = a->module;

    return wk_obj_remove(lane, &m->o);
}

int wk_ModuleGlobal(struct wk_lane *lane, const struct vgpu_args_ModuleGlobal *a,
                    struct vgpu_out_ModuleGlobal *o)
{
    struct wk *w = lane->w;
    struct wk_module *m = a->module;

    return w->ops->module_global(w->dev, m->m, a->name, &o->dptr, &o->size);
}
