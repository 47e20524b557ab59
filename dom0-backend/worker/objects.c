/* SPDX-License-Identifier: MIT */
#include "dom0-backend/worker/objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/common/log.h"
#include "dom0-backend/worker/worker.h"

int wk_objects_init(struct wk_objects *t)
{
    pthread_mutex_init(&t->lock, NULL);
    for (int k = 0; k < WK_OBJ_KINDS; k++) {
        /* Big and mostly untouched: calloc maps it and only used pages take memory. */
        t->tab[k] = calloc(WK_ID_MAX + 1, sizeof(t->tab[k][0]));
        if (!t->tab[k])
            return -ENOMEM;
    }
    return 0;
}

static int destroy_device_object(struct wk *w, struct wk_obj *o)
{
    switch (o->kind) {
    case WK_OBJ_STREAM:
        return w->ops->stream_destroy(w->dev, ((struct wk_stream *)o)->s);
    case WK_OBJ_EVENT: {
        struct wk_event *e = (struct wk_event *)o;

        if (e->exported)
            wk_share_forget(w, e->handle);
        if (e->common)
            wk_common_put(e->common);
        e->common = NULL;
        return w->ops->event_destroy(w->dev, e->e);
    }
    case WK_OBJ_MODULE: {
        struct wk_module *m = (struct wk_module *)o;
        int err;

        /* Kernels of the module may still run or wait in a stream. */
        w->ops->ctx_sync(w->dev);
        err = w->ops->module_unload(w->dev, m->m);
        wk_image_uncharge(&w->images, m->image_len + WK_MODULE_OWN);
        return err;
    }
    default: {
        struct wk_thing *t = (struct wk_thing *)o;

        return t->destroy(w, t);
    }
    }
}

static void free_struct(struct wk_obj *o)
{
    if (o->kind == WK_OBJ_MODULE) {
        free(((struct wk_module *)o)->param_bytes);
        free(((struct wk_module *)o)->image);
        free(((struct wk_module *)o)->opt);
    } else if (o->kind >= WK_OBJ_ARRAY)
        free(((struct wk_thing *)o)->extra);
    free(o);
}

void wk_objects_fini(struct wk *w)
{
    struct wk_objects *t = &w->objs;

    for (int k = 0; k < WK_OBJ_KINDS; k++) {
        if (!t->tab[k])
            continue;
        for (uint32_t id = WK_ID_MIN; id <= t->top[k]; id++) {
            struct wk_obj *o = t->tab[k][id];

            if (!o)
                continue;
            o->id = 0;
            wk_obj_release(w, o);
        }
        free(t->tab[k]);
        t->tab[k] = NULL;
    }
    pthread_mutex_destroy(&t->lock);
}

struct wk_obj *wk_obj_hold(struct wk_lane *lane, enum wk_objkind kind, uint32_t id)
{
    struct wk_objects *t = &lane->w->objs;
    struct wk_obj *o;

    if (id < WK_ID_MIN || id > WK_ID_MAX || lane->nheld == sizeof(lane->held) / sizeof(*lane->held))
        return NULL;
    pthread_mutex_lock(&t->lock);
    o = t->tab[kind][id];
    if (o) {
        o->refs++;
        lane->held[lane->nheld++] = o;
    }
    pthread_mutex_unlock(&t->lock);
    return o;
}

bool wk_obj_unused(struct wk *w, enum wk_objkind kind, uint32_t id)
{
    bool unused;

    if (id < WK_ID_MIN || id > WK_ID_MAX)
        return false;
    pthread_mutex_lock(&w->objs.lock);
    unused = !w->objs.tab[kind][id];
    pthread_mutex_unlock(&w->objs.lock);
    return unused;
}

bool wk_obj_enter(struct wk *w, struct wk_obj *o, enum wk_objkind kind, uint32_t id)
{
    bool entered = false;

    o->kind = kind;
    if (id < WK_ID_MIN || id > WK_ID_MAX)
        return false;
    pthread_mutex_lock(&w->objs.lock);
    if (!w->objs.tab[kind][id]) {
        o->id = id;
        o->serial = ++w->objs.serial;
        o->refs = 1;
        w->objs.tab[kind][id] = o;
        if (id > w->objs.top[kind])
            w->objs.top[kind] = id;
        entered = true;
    }
    pthread_mutex_unlock(&w->objs.lock);
    return entered;
}

int wk_obj_remove(struct wk_lane *lane, struct wk_obj *o)
{
    struct wk *w = lane->w;
    bool last = false;
    int err = 0;

    pthread_mutex_lock(&w->objs.lock);
    if (o->id) {
        w->objs.tab[o->kind][o->id] = NULL;
        o->id = 0;
        o->refs--;           /* the table's; this call's remains */
        last = o->refs == 1; /* and nobody can find the object any more */
        if (last)
            o->dead = true;
    }
    pthread_mutex_unlock(&w->objs.lock);
    if (last)
        err = destroy_device_object(w, o);
    return err;
}

void wk_obj_release(struct wk *w, struct wk_obj *o)
{
    bool destroy, gone;

    pthread_mutex_lock(&w->objs.lock);
    destroy = o->refs == 1 && !o->dead;
    if (destroy) {
        o->dead = true; /* keeps its reference until the device object is gone */
        pthread_mutex_unlock(&w->objs.lock);
        int err = destroy_device_object(w, o);

        if (err)
            log_debug("destroying an object that was in use: error %d", err);
        pthread_mutex_lock(&w->objs.lock);
    }
    o->refs--;
    gone = o->refs == 0 && o->pins == 0;
    pthread_mutex_unlock(&w->objs.lock);
    if (gone)
        free_struct(o);
}

void wk_obj_pin(struct wk *w, struct wk_obj *o)
{
    pthread_mutex_lock(&w->objs.lock);
    o->pins++;
    pthread_mutex_unlock(&w->objs.lock);
}

void wk_obj_unpin(struct wk *w, struct wk_obj *o)
{
    bool gone;

    pthread_mutex_lock(&w->objs.lock);
    o->pins--;
    gone = o->refs == 0 && o->pins == 0;
    pthread_mutex_unlock(&w->objs.lock);
    if (gone)
        free_struct(o);
}

int wk_thing_enter(struct wk *w, enum wk_objkind kind, uint32_t id, void *p,
                   int (*destroy)(struct wk *w, struct wk_thing *t))
{
    struct wk_thing *t = calloc(1, sizeof(*t));
    struct wk_thing last = {.p = p};
    int err = WK_OUT_OF_MEMORY;

    if (!t)
        goto out;
    t->p = p;
    t->destroy = destroy;
    if (wk_obj_enter(w, &t->o, kind, id))
        return WK_OK;
    free(t);
    err = WK_INVALID_HANDLE;
out:
    destroy(w, &last);
    return err;
}

int wk_thing_made(struct wk *w, enum wk_objkind kind, uint32_t id, const void *call, size_t n)
{
    struct wk_thing *t;
    void *copy;

    if (!w->ops->state)
        return WK_OK;
    copy = malloc(n);
    if (!copy)
        return WK_OUT_OF_MEMORY;
    memcpy(copy, call, n);
    pthread_mutex_lock(&w->objs.lock);
    t = (struct wk_thing *)w->objs.tab[kind][id];
    if (t && !t->extra) {
        t->extra = copy;
        copy = NULL;
    }
    pthread_mutex_unlock(&w->objs.lock);
    free(copy);
    return WK_OK;
}

int wk_stream_new(struct wk *w, unsigned flags, int priority, struct wk_stream **out)
{
    struct wk_stream *s = calloc(1, sizeof(*s));
    int err;

    if (!s)
        return WK_OUT_OF_MEMORY;
    err = w->ops->stream_create(w->dev, flags, priority, &s->s);
    if (err) {
        free(s);
        return err;
    }
    s->w = w;
    s->o.kind = WK_OBJ_STREAM;
    s->o.refs = 1;
    *out = s;
    return WK_OK;
}
