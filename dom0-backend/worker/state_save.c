/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "dom0-backend/device/device_link.h"
#include "dom0-backend/worker/made.h"
#include "dom0-backend/worker/state_int.h"

static void put32(struct wk_state *s, uint32_t v)
{
    wk_put(s, &v, sizeof(v));
}

static void put64(struct wk_state *s, uint64_t v)
{
    wk_put(s, &v, sizeof(v));
}

/* The next object of a kind that has a number above *id; NULL: no more. Nobody changes the table. */
static void *next(struct wk *w, enum wk_objkind kind, uint32_t *id)
{
    while (++*id <= w->objs.top[kind])
        if (w->objs.tab[kind][*id])
            return w->objs.tab[kind][*id];
    return NULL;
}

/* ---- what cannot be saved ----------------------------------------------------------------- */

static bool same_array(struct wk *w, uint32_t id, uint64_t serial)
{
    return id <= WK_ID_MAX && w->objs.tab[WK_OBJ_ARRAY][id] &&
           w->objs.tab[WK_OBJ_ARRAY][id]->serial == serial;
}

static const char *unfit(struct wk *w)
{
    const struct wk_event *e;
    const struct wk_module *m;
    const struct wk_thing *t;
    const struct dev_exec *x;
    uint64_t len;
    uint32_t id;

    if (w->shares.mem || w->shares.waits)
        return "memory is shared with other processes";
    for (id = 0; (e = next(w, WK_OBJ_EVENT, &id));)
        if (e->common)
            return "an event is shared with other processes";
    for (id = 0; (m = next(w, WK_OBJ_MODULE, &id));)
        if (!m->image)
            return "a module's image is not kept";
    id = 0;
    if (next(w, WK_OBJ_LINKER, &id))
        return "a linker (cuLinkCreate) is open";
    for (id = 0; (t = next(w, WK_OBJ_ARRAY, &id));) {
        const struct wk_array_made *a = t->extra;

        if (!a || (a->mipmap && !same_array(w, a->mipmap, a->serial)))
            return "an array is a level of a mipmapped array that was destroyed";
    }
    for (id = 0; (t = next(w, WK_OBJ_TEXTURE, &id));) {
        const struct wk_texture_made *a = t->extra;

        if (!a || (a->serial && !same_array(w, a->of.array, a->serial)))
            return "a texture object is of an array that was destroyed";
    }
    for (id = 0; (t = next(w, WK_OBJ_EXEC, &id));)
        if (!wk_exec_made(t->p, &len, &x))
            return "a graph uses modules, events or arrays that were destroyed";
    return w->ops->state->unfit(w->dev);
}

/* ---- objects ------------------------------------------------------------------------------ */

static int save_memory(struct wk *w, struct wk_state *s, struct dev_memory ***list, uint32_t *n)
{
    struct dev_memory **mem;
    struct wk_thing *t;
    uint32_t id;

    *n = 0;
    for (id = 0; next(w, WK_OBJ_MEMORY, &id);)
        ++*n;
    mem = calloc(*n + 1, sizeof(*mem));
    *list = mem;
    if (!mem)
        return WK_OUT_OF_MEMORY;
    put32(s, *n);
    *n = 0;
    for (id = 0; (t = next(w, WK_OBJ_MEMORY, &id));) {
        put32(s, id);
        mem[(*n)++] = t->p;
    }
    return w->ops->state->save(w->dev, &s->d, mem, *n);
}

static int save_streams(struct wk *w, struct wk_state *s)
{
    const struct dev_state_ops *ops = w->ops->state;
    struct wk_stream *v;
    uint32_t id = 0;
    int err = ops->save_stream(w->dev, &s->d, NULL);

    for (uint32_t i = 0; i < VGPU_LANES && !err; i++) {
        put32(s, w->lanes[i].own != NULL);
        if (w->lanes[i].own)
            err = ops->save_stream(w->dev, &s->d, w->lanes[i].own->s);
    }
    while (!err && (v = next(w, WK_OBJ_STREAM, &id))) {
        put32(s, id);
        err = ops->save_stream(w->dev, &s->d, v->s);
    }
    put32(s, 0);
    return err;
}

static int save_events(struct wk *w, struct wk_state *s)
{
    struct wk_event *e;
    uint32_t id = 0;
    int err = 0;

    while (!err && (e = next(w, WK_OBJ_EVENT, &id))) {
        put32(s, id);
        put32(s, e->counter);
        err = w->ops->state->save_event(w->dev, &s->d, e->e);
    }
    put32(s, 0);
    return err;
}

static int save_modules(struct wk *w, struct wk_state *s)
{
    struct wk_module *m;
    uint32_t id = 0;
    int err = 0;

    while (!err && (m = next(w, WK_OBJ_MODULE, &id))) {
        put32(s, id);
        put64(s, m->image_len);
        put32(s, m->options);
        put32(s, m->nopt);
        wk_put(s, m->image, m->image_len);
        wk_put(s, m->opt, m->nopt * sizeof(*m->opt));
        err = w->ops->state->save_claim(w->dev, &s->d, DEV_OWNER_MODULE, m->m);
        if (!err)
            err = w->ops->state->save_funcs(w->dev, &s->d, m->m);
    }
    put32(s, 0);
    return err;
}

/* Levels behind what they are levels of. */
static int save_arrays(struct wk *w, struct wk_state *s, bool levels)
{
    struct wk_thing *t;
    uint32_t id = 0;
    int err = 0;

    while (!err && (t = next(w, WK_OBJ_ARRAY, &id))) {
        const struct wk_array_made *a = t->extra;

        if ((a->mipmap != 0) != levels)
            continue;
        put32(s, id);
        wk_put(s, &a->desc, sizeof(a->desc));
        put32(s, a->levels);
        put32(s, a->mipmap);
        if (!levels)
            err = w->ops->state->save_claim(
                w->dev, &s->d, wk_array_is_mipmap(t) ? DEV_OWNER_MIPMAP : DEV_OWNER_ARRAY, t->p);
    }
    put32(s, 0);
    return err;
}

static void save_textures(struct wk *w, struct wk_state *s)
{
    struct wk_thing *t;
    uint32_t id = 0;

    while ((t = next(w, WK_OBJ_TEXTURE, &id))) {
        const struct wk_texture_made *a = t->extra;

        put32(s, id);
        put32(s, a->surface);
        put64(s, t->v);
        wk_put(s, &a->of, sizeof(a->of));
    }
    put32(s, 0);
}

static void save_pools(struct wk *w, struct wk_state *s)
{
    struct wk_thing *t;
    uint32_t id = 0;

    while ((t = next(w, WK_OBJ_MEMPOOL, &id))) {
        put32(s, id);
        put32(s, wk_pool_is_default(t));
        put32(s, w->ops->state->mempool_number(w->dev, t->p));
    }
    put32(s, 0);
}

static int save_execs(struct wk *w, struct wk_state *s)
{
    struct wk_thing *t;
    uint32_t id = 0;
    int err = 0;

    while (!err && (t = next(w, WK_OBJ_EXEC, &id))) {
        const struct dev_exec *x;
        uint64_t len = 0;
        const void *made = wk_exec_made(t->p, &len, &x);

        put32(s, id);
        put64(s, len);
        wk_put(s, made, len);
        err = w->ops->state->save_claim(w->dev, &s->d, DEV_OWNER_EXEC, x);
    }
    put32(s, 0);
    return err;
}

/* ---- the worker's own --------------------------------------------------------------------- */

static void save_self(struct wk *w, struct wk_state *s)
{
    struct wk_upcalls *u = &w->upcalls;

    put64(s, w->cons.cons);
    put32(s, w->cons.ticket);
    for (uint32_t i = 0; i < VGPU_LANES; i++)
        put32(s, w->lanes[i].errors);
    pthread_mutex_lock(&w->out_lock);
    put32(s, w->out_len);
    put64(s, w->out_lost);
    wk_put(s, w->out, w->out_len);
    pthread_mutex_unlock(&w->out_lock);
    pthread_mutex_lock(&u->lock);
    put32(s, u->stop);
    /* The one call that may be under way is made again. */
    if (u->waiting) {
        const struct vgpu_rec *h = (const struct vgpu_rec *)u->waiter->rec;

        put32(s, h->len);
        wk_put(s, h, h->len);
    } else {
        put32(s, 0);
    }
    pthread_mutex_unlock(&u->lock);
    wk_put(s, w->stats, sizeof(*w->stats));
}

static int save_all(struct wk *w, struct wk_state *s)
{
    struct dev_memory **mem = NULL;
    uint32_t n = 0;
    int err = save_memory(w, s, &mem, &n);

    put32(s, STATE_MARK);
    if (!err)
        err = save_streams(w, s);
    if (!err)
        err = save_events(w, s);
    if (!err)
        err = save_modules(w, s);
    if (!err)
        err = save_arrays(w, s, false);
    if (!err)
        err = save_arrays(w, s, true);
    if (!err) {
        save_textures(w, s);
        save_pools(w, s);
        err = save_execs(w, s);
    }
    put32(s, STATE_MARK);
    if (!err)
        err = w->ops->state->save_contents(w->dev, &s->d, mem, n);
    put32(s, STATE_MARK);
    free(mem);
    return err;
}

int wk_state_save(struct wk *w, int fd, const char **why)
{
    struct state_ident ident;
    struct wk_state s;
    uint32_t sticky = atomic_load(&w->sticky);
    int err;

    *why = NULL;
    if (!w->ops->state || w->keeps) {
        *why = "a GPU's state cannot be written to a file: its programs have to end first";
        return -EOPNOTSUPP;
    }
    /* After a fault there is nothing but the error. */
    if (!sticky)
        *why = unfit(w);
    if (*why)
        return -EOPNOTSUPP;
    *why = "out of memory";
    err = wk_state_open(&s, fd, true);
    if (err)
        return err;
    state_ident(w, &ident);
    wk_put(&s, &ident, sizeof(ident));
    put32(&s, sticky);
    save_self(w, &s);
    err = sticky ? 0 : save_all(w, &s);
    if (wk_state_close(&s)) {
        *why = "the file cannot be written";
        return -EIO;
    }
    return err ? -ENOMEM : 0;
}
