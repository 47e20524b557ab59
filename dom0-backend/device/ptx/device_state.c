/* SPDX-License-Identifier: MIT */
/* device_state.c - the software device's part of a saved worker. */
#include "dom0-backend/device/device_state.h"

#include <stdlib.h>
#include <string.h>

#include "dom0-backend/common/clock.h"
#include "dom0-backend/device/ptx/arena_state.h"
#include "dom0-backend/device/ptx/device_array.h"
#include "dom0-backend/device/ptx/device_int.h"

#define CLAIMS_MAX (1u << 20)

static bool idle(struct dev *d)
{
    return stream_passed(d, stream_ticket(d));
}

static const char *unfit(struct dev *d)
{
    const char *why = pools_unfit(d);

    return why ? why : arena_unfit(&d->arena);
}

/* ---- memory, pools, limits ---------------------------------------------------------------- */

struct limits {
    uint64_t limit[NLIMIT];
    uint64_t grid_id;
    uint32_t heap_live, printf_live;
};

static int save(struct dev *d, struct dev_state *s, struct dev_memory *const *mem, uint32_t n)
{
    struct limits l = {.grid_id = d->grid_id, d->heap_live, d->printf_live};
    int err;

    for (int i = 0; i < NLIMIT; i++)
        l.limit[i] = d->limit[i];
    s->put(s, &l, sizeof(l));
    pools_trim(d); /* blocks that pools merely keep are not saved */
    err = arena_save(&d->arena, s, (struct arena_memory *const *)mem, n);
    return err ? err : pools_save(d, s);
}

static int load(struct dev *d, struct dev_state *s, struct dev_memory **mem, uint32_t n)
{
    struct limits l = {0};
    int err;

    s->get(s, &l, sizeof(l));
    if (s->failed || l.limit[LIMIT_STACK] > 512 * 1024 || l.limit[LIMIT_PRINTF] > 1u << 30 ||
        l.limit[LIMIT_PRINTF] < PRINTF_MIN || l.limit[LIMIT_L2_FETCH] > 128)
        return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < NLIMIT; i++)
        d->limit[i] = l.limit[i];
    d->grid_id = l.grid_id;
    d->heap_live = l.heap_live != 0;
    d->printf_live = l.printf_live != 0;
    err = arena_load(&d->arena, s, (struct arena_memory **)mem, n);
    if (err)
        return err;
    d->heap_used = arena_sum(&d->arena, ARENA_HEAP);
    return pools_load(d, s);
}

/* The handles' memory objects are known from save() and load(). */
static int save_contents(struct dev *d, struct dev_state *s, struct dev_memory *const *mem,
                         uint32_t n)
{
    return arena_save_contents(&d->arena, s, (struct arena_memory *const *)mem, n);
}

static int load_contents(struct dev *d, struct dev_state *s, struct dev_memory *const *mem,
                         uint32_t n)
{
    return arena_load_contents(&d->arena, s, (struct arena_memory *const *)mem, n);
}

/* ---- streams and events ------------------------------------------------------------------- */

struct stream_state {
    struct stream_attrs attrs;
    uint32_t flags;
    int32_t priority;
};

static int save_stream(struct dev *d, struct dev_state *s, struct dev_stream *v)
{
    const struct dev_stream *t = stream_of(d, v);
    struct stream_state x;

    memset(&x, 0, sizeof(x)); /* padding too goes into the file */
    memcpy(x.attrs.window, t->attrs.window, sizeof(x.attrs.window));
    memcpy(x.attrs.domain_map, t->attrs.domain_map, sizeof(x.attrs.domain_map));
    x.attrs.sync_policy = t->attrs.sync_policy;
    x.attrs.domain = t->attrs.domain;
    x.flags = t->flags;
    x.priority = t->priority;
    s->put(s, &x, sizeof(x));
    return 0;
}

static int load_stream(struct dev *d, struct dev_state *s, bool legacy, struct dev_stream **out)
{
    struct stream_state x = {0};
    struct dev_stream *t = &d->legacy;
    int err = 0;

    s->get(s, &x, sizeof(x));
    if (s->failed || x.priority > d->inf.prio_least || x.priority < d->inf.prio_greatest)
        return CUDA_ERROR_INVALID_VALUE;
    if (!legacy)
        err = swdev_stream_create(d, x.flags, x.priority, &t);
    if (err)
        return err;
    pthread_mutex_lock(&d->lock);
    t->attrs = x.attrs;
    t->priority = x.priority;
    pthread_mutex_unlock(&d->lock);
    if (!legacy)
        *out = t;
    return 0;
}

/* How long ago an event was reached: another machine's clock has another beginning. */
struct event_state {
    uint32_t flags, recorded;
    uint64_t age;
};

/* One time for all events, or those between them would change. */
static uint64_t when(struct dev_state *s)
{
    if (!s->when)
        s->when = now_ns();
    return s->when;
}

static int save_event(struct dev *d, struct dev_state *s, struct dev_event *e)
{
    struct event_state x = {.flags = e->flags};

    pthread_mutex_lock(&d->lock);
    if (e->mark) {
        x.recorded = 1;
        x.age = when(s) - e->mark->ns;
    }
    pthread_mutex_unlock(&d->lock);
    s->put(s, &x, sizeof(x));
    return 0;
}

static int load_event(struct dev *d, struct dev_state *s, struct dev_event **out)
{
    struct event_state x = {0};
    struct dev_event *e;
    int err;

    s->get(s, &x, sizeof(x));
    err = s->failed ? CUDA_ERROR_INVALID_VALUE : swdev_event_create(d, x.flags, &e);
    if (err)
        return err;
    if (x.recorded) {
        e->mark = calloc(1, sizeof(*e->mark));
        if (!e->mark) {
            swdev_event_destroy(d, e);
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        *e->mark = (struct mark){.refs = 1, .done = true, .ns = when(s) - x.age};
    }
    *out = e;
    return 0;
}

/* ---- what has memory of its own ----------------------------------------------------------- */

static int put_claim(struct dev_state *s, const uint64_t *addr, uint32_t n)
{
    s->put(s, &n, sizeof(n));
    s->put(s, addr, n * sizeof(*addr));
    return 0;
}

static int save_claim(struct dev *d, struct dev_state *s, enum dev_owner kind, const void *object)
{
    const struct dev_module *m = object;
    uint64_t *words;
    uint32_t n;

    switch (kind) {
    case DEV_OWNER_MODULE:
        return put_claim(s, m->var, m->nvar);
    case DEV_OWNER_ARRAY:
        return put_claim(s, &((const struct dev_array *)object)->storage->addr, 1);
    case DEV_OWNER_MIPMAP:
        return put_claim(s, &((const struct dev_mipmap *)object)->storage->addr, 1);
    case DEV_OWNER_EXEC:
        words = exec_words(object, &n);
        if (!words)
            return CUDA_ERROR_OUT_OF_MEMORY;
        put_claim(s, words, n);
        free(words);
        return 0;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

static int claim(struct dev *d, struct dev_state *s)
{
    struct arena *a = &d->arena;
    uint64_t *addr;
    uint32_t n = 0;

    s->get(s, &n, sizeof(n));
    if (s->failed || n > CLAIMS_MAX || a->claim)
        return CUDA_ERROR_INVALID_VALUE;
    addr = calloc(n + 1, sizeof(*addr));
    if (!addr)
        return CUDA_ERROR_OUT_OF_MEMORY;
    s->get(s, addr, n * sizeof(*addr));
    a->claim = addr;
    a->nclaim = n;
    a->claimed = 0;
    return s->failed ? CUDA_ERROR_INVALID_VALUE : 0;
}

static int claimed(struct dev *d)
{
    struct arena *a = &d->arena;
    bool all = a->claimed == a->nclaim;

    free((void *)(uintptr_t)a->claim);
    a->claim = NULL;
    a->nclaim = a->claimed = 0;
    return all ? 0 : CUDA_ERROR_INVALID_VALUE;
}

/* ---- kernels ------------------------------------------------------------------------------ */

static int save_funcs(struct dev *d, struct dev_state *s, struct dev_module *m)
{
    for (unsigned i = 0; i < m->nfunc; i++) {
        int32_t x[2] = {m->func[i].max_dynamic, m->func[i].carveout};

        s->put(s, x, sizeof(x));
    }
    return 0;
}

static int load_funcs(struct dev *d, struct dev_state *s, struct dev_module *m)
{
    int err = 0;

    for (unsigned i = 0; i < m->nfunc && !err; i++) {
        struct dev_func *f = &m->func[i];
        int32_t x[2] = {0};

        s->get(s, x, sizeof(x));
        if (s->failed || x[0] < 0 || (int64_t)x[0] + f->inf.shared_bytes > PTX_MAX_SHARED ||
            x[1] < -1 || x[1] > 100)
            err = CUDA_ERROR_INVALID_VALUE;
        f->max_dynamic = x[0];
        f->carveout = x[1];
    }
    return err;
}

const struct dev_state_ops swdev_state_ops = {
    .idle = idle,
    .unfit = unfit,
    .save = save,
    .load = load,
    .save_stream = save_stream,
    .load_stream = load_stream,
    .save_event = save_event,
    .load_event = load_event,
    .save_claim = save_claim,
    .claim = claim,
    .claimed = claimed,
    .claim_handle = objects_claim,
    .save_funcs = save_funcs,
    .load_funcs = load_funcs,
    .mempool_number = pools_number,
    .mempool_at = pools_at,
    .save_contents = save_contents,
    .load_contents = load_contents,
};
