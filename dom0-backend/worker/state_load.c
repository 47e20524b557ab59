/* SPDX-License-Identifier: MIT */
/*
 * state_load.c - what state_save.c wrote, read by another worker. It was a guest's to choose, so what
 * the guest could have asked for is all that is accepted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "dom0-backend/device/device_link.h"
#include "dom0-backend/worker/made.h"
#include "dom0-backend/worker/state_int.h"
#include "protocol/graph_proto.h"

#define IMAGE_MAX (1ull << 32)

static uint32_t get32(struct wk_state *s)
{
    uint32_t v = 0;

    wk_get(s, &v, sizeof(v));
    return v;
}

static uint64_t get64(struct wk_state *s)
{
    uint64_t v = 0;

    wk_get(s, &v, sizeof(v));
    return v;
}

/* The number of the next object; 0: no more. */
static uint32_t get_id(struct wk_state *s)
{
    uint32_t id = get32(s);

    return s->d.failed ? 0 : id;
}

static bool free_id(struct wk *w, enum wk_objkind kind, uint32_t id)
{
    return wk_obj_unused(w, kind, id);
}

/* `n` octets; NULL: not there, or no memory. What is cut short costs no more than what there is. */
static void *get_octets(struct wk_state *s, uint64_t n)
{
    uint8_t *p = NULL;
    uint64_t have = 0, room = 0;

    while (have < n || !p) {
        uint64_t k;

        if (have == room) {
            uint8_t *q;

            room = room ? room * 2 : 65536;
            if (room > n)
                room = n ? n : 1;
            q = realloc(p, room);
            if (!q)
                break;
            p = q;
        }
        k = (n < room ? n : room) - have;
        wk_get(s, p + have, k);
        if (s->d.failed)
            break;
        have += k;
    }
    if (have == n)
        return p;
    free(p);
    return NULL;
}

/* ---- objects ------------------------------------------------------------------------------ */

static int load_memory(struct wk *w, struct wk_state *s, struct dev_memory ***list, uint32_t *n)
{
    uint32_t *id = NULL, entered = 0;
    struct dev_memory **mem = NULL;
    int err = WK_INVALID_VALUE;

    *n = get32(s);
    if (s->d.failed || *n > WK_ID_MAX)
        return WK_INVALID_VALUE;
    id = calloc(*n + 1, sizeof(*id));
    mem = calloc(*n + 1, sizeof(*mem));
    if (!id || !mem) {
        err = WK_OUT_OF_MEMORY;
        goto out;
    }
    wk_get(s, id, *n * sizeof(*id));
    err = w->ops->state->load(w->dev, &s->d, mem, *n);
    if (err)
        goto out;
    for (; entered < *n && !err; entered++) /* a failure has given the memory back */
        err = wk_memory_enter(w, id[entered], mem[entered]);
    *list = mem;
    mem = NULL;
out:
    free(id);
    free(mem);
    return err;
}

static int new_stream(struct wk *w, struct wk_state *s, struct wk_stream **out)
{
    struct wk_stream *v = calloc(1, sizeof(*v));
    int err = v ? w->ops->state->load_stream(w->dev, &s->d, false, &v->s) : WK_OUT_OF_MEMORY;

    if (err) {
        free(v);
        return err;
    }
    v->w = w;
    v->o.kind = WK_OBJ_STREAM;
    v->o.refs = 1;
    *out = v;
    return WK_OK;
}

static int load_streams(struct wk *w, struct wk_state *s)
{
    int err = w->ops->state->load_stream(w->dev, &s->d, true, NULL);
    struct wk_stream *v;
    uint32_t id;

    for (uint32_t i = 0; i < VGPU_LANES && !err; i++) {
        if (get32(s))
            err = new_stream(w, s, &w->lanes[i].own);
        if (w->lanes[i].own)
            w->own_streams = true;
    }
    while (!err && (id = get_id(s))) {
        err = new_stream(w, s, &v);
        if (err || wk_obj_enter(w, &v->o, WK_OBJ_STREAM, id))
            continue;
        wk_obj_release(w, &v->o);
        err = WK_INVALID_HANDLE;
    }
    return err;
}

static int load_events(struct wk *w, struct wk_state *s)
{
    uint32_t id;

    while ((id = get_id(s))) {
        struct wk_event *e = calloc(1, sizeof(*e));
        int err = WK_OUT_OF_MEMORY;

        if (e) {
            e->counter = get32(s);
            err = e->counter >= VGPU_COUNTERS ? WK_INVALID_VALUE
                                              : w->ops->state->load_event(w->dev, &s->d, &e->e);
        }
        if (err) {
            free(e);
            return err;
        }
        if (!wk_obj_enter(w, &e->o, WK_OBJ_EVENT, id)) {
            w->ops->event_destroy(w->dev, e->e);
            free(e);
            return WK_INVALID_HANDLE;
        }
    }
    return WK_OK;
}

static int load_module(struct wk *w, struct wk_state *s, uint32_t id)
{
    uint64_t len = get64(s);
    uint32_t options = get32(s), nopt = get32(s);
    struct dev_jit_option *opt = NULL;
    struct dev_jit jit = {0};
    struct wk_module *m;
    uint8_t *image = NULL;
    char log[128];
    int err = WK_INVALID_VALUE;

    if (s->d.failed || !len || len > IMAGE_MAX || nopt > DEV_JIT_MAX ||
        !free_id(w, WK_OBJ_MODULE, id) || (options && !w->ops->link))
        return WK_INVALID_VALUE;
    image = get_octets(s, len);
    opt = calloc(nopt + 1, sizeof(*opt));
    if (!image || !opt)
        goto out;
    wk_get(s, opt, nopt * sizeof(*opt));
    jit.opt = opt;
    jit.nopt = nopt;
    err = w->ops->state->claim(w->dev, &s->d);
    if (!err)
        err = wk_module_enter(w, image, len, id, options ? &jit : NULL, log, sizeof(log), &m);
    if (w->ops->state->claimed(w->dev) && !err)
        err = WK_INVALID_VALUE;
    if (!err)
        err = w->ops->state->load_funcs(w->dev, &s->d, m->m);
out:
    free(image);
    free(opt);
    return err;
}

static int load_array(struct wk *w, struct wk_state *s, uint32_t id, bool level)
{
    struct vgpu_args_ArrayCreate a = {.array = id};
    struct vgpu_args_ArrayLevel l = {.array = id};
    struct dev_array_desc q = {0};
    struct wk_lane *lane = &w->lanes[0];
    uint32_t levels, mipmap;
    int err;

    wk_get(s, &q, sizeof(q));
    levels = get32(s);
    mipmap = get32(s);
    if (s->d.failed || !free_id(w, WK_OBJ_ARRAY, id) || (mipmap != 0) != level)
        return WK_INVALID_VALUE;
    if (level) {
        l.mipmap = (void *)wk_obj_hold(lane, WK_OBJ_ARRAY, mipmap);
        l.mipmap_id = mipmap;
        l.level = levels;
        err = l.mipmap ? wk_ArrayLevel(lane, &l, NULL) : WK_INVALID_HANDLE;
        wk_lane_release(lane);
        return err;
    }
    a.width = q.width;
    a.height = q.height;
    a.depth = q.depth;
    a.format = q.format;
    a.channels = q.channels;
    a.flags = q.flags;
    a.levels = levels;
    err = w->ops->state->claim(w->dev, &s->d);
    if (!err)
        err = wk_ArrayCreate(lane, &a, NULL);
    return w->ops->state->claimed(w->dev) && !err ? WK_INVALID_VALUE : err;
}

static int load_texture(struct wk *w, struct wk_state *s, uint32_t id)
{
    uint32_t surface = get32(s);
    uint64_t handle = get64(s);
    struct vgpu_args_TextureCreate a;
    struct vgpu_args_SurfaceCreate b = {.surface = id};
    struct vgpu_out_TextureCreate out = {0};
    struct vgpu_out_SurfaceCreate sout = {0};
    struct wk_lane *lane = &w->lanes[0];
    int err;

    wk_get(s, &a, sizeof(a));
    if (s->d.failed || !free_id(w, WK_OBJ_TEXTURE, id) || a.type > 3 || a.viewed > 1)
        return WK_INVALID_VALUE;
    a.texture = id;
    err = w->ops->state->claim_handle(w->dev, handle);
    if (err)
        return err;
    if (surface) {
        b.array = (void *)wk_obj_hold(lane, WK_OBJ_ARRAY, a.array);
        b.array_id = a.array;
        err = b.array ? wk_SurfaceCreate(lane, &b, &sout) : WK_INVALID_HANDLE;
        out.handle = sout.handle;
    } else {
        err = wk_TextureCreate(lane, &a, &out);
    }
    wk_lane_release(lane);
    return !err && out.handle != handle ? WK_INVALID_VALUE : err;
}

static int load_pool(struct wk *w, struct wk_state *s, uint32_t id)
{
    uint32_t is_default = get32(s), number = get32(s);
    struct dev_mempool *p = NULL;

    if (!s->d.failed && free_id(w, WK_OBJ_MEMPOOL, id))
        p = w->ops->state->mempool_at(w->dev, number, is_default);
    return p ? wk_pool_enter(w, id, p, is_default) : WK_INVALID_VALUE;
}

static int load_exec(struct wk *w, struct wk_state *s, uint32_t id)
{
    uint64_t len = get64(s);
    uint32_t bad = 0;
    void *graph;
    int err;

    if (s->d.failed || len > VGPU_GRAPH_MAX_BYTES || !free_id(w, WK_OBJ_EXEC, id))
        return WK_INVALID_VALUE;
    graph = get_octets(s, len);
    if (!graph)
        return WK_INVALID_VALUE;
    err = w->ops->state->claim(w->dev, &s->d);
    if (!err)
        err = wk_exec_make(&w->lanes[0], graph, len, id, &bad);
    wk_lane_release(&w->lanes[0]);
    free(graph);
    return w->ops->state->claimed(w->dev) && !err ? WK_INVALID_VALUE : err;
}

static int load_each(struct wk *w, struct wk_state *s,
                     int (*load)(struct wk *w, struct wk_state *s, uint32_t id))
{
    uint32_t id;
    int err = 0;

    while (!err && (id = get_id(s)))
        err = load(w, s, id);
    return err;
}

static int load_whole_array(struct wk *w, struct wk_state *s, uint32_t id)
{
    return load_array(w, s, id, false);
}

static int load_level(struct wk *w, struct wk_state *s, uint32_t id)
{
    return load_array(w, s, id, true);
}

/* ---- the worker's own --------------------------------------------------------------------- */

static const char *load_self(struct wk *w, struct wk_state *s, void **rec)
{
    uint32_t len;

    w->cons.cons = w->cons.prod = get64(s);
    w->cons.ticket = get32(s);
    if (w->cons.cons % VGPU_REC_ALIGN)
        return "a position in the ring that cannot be";
    VGPU_STORE_RELEASE(&w->ch.back->cmd_cons, w->cons.cons);
    for (uint32_t i = 0; i < VGPU_LANES; i++)
        w->lanes[i].errors = (uint16_t)get32(s);
    w->out_len = get32(s);
    w->out_lost = get64(s);
    if (s->d.failed || w->out_len > WK_OUTPUT_MAX) {
        w->out_len = 0;
        return "text of kernels that is too long";
    }
    wk_get(s, w->out, w->out_len);
    w->upcalls.stop = get32(s) != 0;
    len = get32(s);
    if (len) {
        const struct vgpu_rec *h;

        if (s->d.failed || len < sizeof(*h) || len > VGPU_REC_MAX || len % VGPU_REC_ALIGN)
            return "a call of no possible length";
        *rec = calloc(1, VGPU_REC_MAX + 16);
        if (!*rec)
            return "out of memory";
        h = *rec;
        wk_get(s, *rec, len);
        if (h->len != len || h->op != VGPU_OP_UpcallWait || h->lane >= VGPU_LANES)
            return "a call under way that cannot be";
    }
    wk_get(s, w->stats, sizeof(*w->stats));
    w->stats->chunks = 0;
    for (unsigned i = 0; i < VGPU_MAX_CHUNKS; i++)
        w->stats->chunks += w->chunks[i].len / VGPU_PAGE_SIZE;
    return s->d.failed ? "cut short" : NULL;
}

static int load_all(struct wk *w, struct wk_state *s)
{
    struct dev_memory **mem = NULL;
    uint32_t n = 0;
    int err = load_memory(w, s, &mem, &n);

    if (!err && get32(s) != STATE_MARK)
        err = WK_INVALID_VALUE;
    if (!err)
        err = load_streams(w, s);
    if (!err)
        err = load_events(w, s);
    if (!err)
        err = load_each(w, s, load_module);
    if (!err)
        err = load_each(w, s, load_whole_array);
    if (!err)
        err = load_each(w, s, load_level);
    if (!err)
        err = load_each(w, s, load_texture);
    if (!err)
        err = load_each(w, s, load_pool);
    if (!err)
        err = load_each(w, s, load_exec);
    if (!err && get32(s) != STATE_MARK)
        err = WK_INVALID_VALUE;
    if (!err)
        err = w->ops->state->load_contents(w->dev, &s->d, mem, n);
    if (!err && get32(s) != STATE_MARK)
        err = WK_INVALID_VALUE;
    free(mem);
    return err;
}

int wk_state_load(struct wk *w, int fd, const char **why)
{
    struct state_ident mine, saved;
    void *rec = NULL;
    struct wk_state s;
    uint32_t sticky;
    int err;

    *why = "the state of this kind of device cannot be read from a file";
    if (!w->ops->state)
        return -EOPNOTSUPP;
    *why = "out of memory";
    if (wk_state_open(&s, fd, false))
        return -ENOMEM;
    state_ident(w, &mine);
    memset(&saved, 0, sizeof(saved));
    wk_get(&s, &saved, sizeof(saved));
    *why = s.d.failed ? "no state, or a damaged one"
                      : "the state is of another version of GVM, device, or address window";
    err = memcmp(&mine, &saved, sizeof(mine)) != 0 ? -EINVAL : 0;
    if (!err) {
        sticky = get32(&s);
        *why = load_self(w, &s, &rec);
        err = *why ? -EINVAL : 0;
    }
    if (!err) {
        *why = "the state is damaged, or there is not the memory that it needs";
        err = sticky || load_all(w, &s) == 0 ? 0 : -EINVAL;
    }
    if (wk_state_close(&s) && !err) {
        *why = "the state is damaged";
        err = -EINVAL;
    }
    if (!err && sticky) {
        atomic_store(&w->sticky, sticky);
        VGPU_STORE_RELEASE(&w->ch.back->sticky, sticky);
    }
    if (!err && rec && !w->inline_blocking)
        err = wk_lane_hand_over(&w->lanes[((struct vgpu_rec *)rec)->lane], rec);
    if (!err && w->out_len)
        VGPU_STORE_RELEASE(&w->ch.back->output, 1u);
    free(rec);
    return err;
}
