/* SPDX-License-Identifier: MIT */
#include "context.h"

#include <pthread.h>
#include <stdlib.h>

#include "array.h"
#include "blocks.h"
#include "log.h"
#include "module.h"
#include "objects.h"

#define FLAGS_MASK 0xffu
#define SCHED_MASK 0x7u

struct CUctx_st gvm_primary = {.id = 1, .api_version = 3020};
__thread void *gvm_ctx_top;

static __thread struct {
    int n;
    struct CUctx_st *v[GVM_CTX_STACK];
} stack __attribute__((tls_model("initial-exec")));

static struct {
    pthread_mutex_t lock;
    struct CUctx_st *first; /* created ones, dead ones included */
    uint32_t live;          /* of them */
    uint32_t retained;      /* of the primary context */
    bool by_runtime;        /* one of these is the runtime's */
    bool runtime_used;
    uint64_t ids;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .ids = 1};

/* ---- the calling thread's stack ----------------------------------------------------------- */

static void top_changed(void)
{
    gvm_ctx_top = stack.n ? stack.v[stack.n - 1] : NULL;
}

int gvm_ctx_push(struct CUctx_st *c)
{
    if (stack.n == GVM_CTX_STACK) {
        static uint32_t said;

        if (gvm_once(&said))
            gvm_log("no further context on this thread's stack: it holds %d", GVM_CTX_STACK);
        return 2;
    }
    stack.v[stack.n++] = c;
    top_changed();
    return 0;
}

struct CUctx_st *gvm_ctx_pop(void)
{
    struct CUctx_st *c = stack.n ? stack.v[--stack.n] : NULL;

    top_changed();
    return c;
}

int gvm_ctx_set(struct CUctx_st *c)
{
    if (!c) {
        gvm_ctx_pop();
        return 0;
    }
    if (!stack.n)
        return gvm_ctx_push(c);
    stack.v[stack.n - 1] = c;
    top_changed();
    return 0;
}

void *gvm_owner(void)
{
    return gvm_ctx_top == &gvm_primary ? NULL : gvm_ctx_top;
}

/* ---- created contexts --------------------------------------------------------------------- */

struct CUctx_st *gvm_ctx_create(uint32_t flags, uint32_t api_version, int *err)
{
    struct CUctx_st *c = calloc(1, sizeof(*c));

    *err = c ? gvm_ctx_push(c) : 2;
    if (*err) {
        free(c);
        return NULL;
    }
    c->flags = flags;
    c->api_version = api_version;
    pthread_mutex_lock(&all.lock);
    c->id = ++all.ids;
    c->next = all.first;
    all.first = c;
    all.live++;
    pthread_mutex_unlock(&all.lock);
    return c;
}

bool gvm_ctx_known(const struct CUctx_st *c)
{
    const struct CUctx_st *k;

    if (c == &gvm_primary)
        return true;
    pthread_mutex_lock(&all.lock);
    for (k = all.first; k && k != c; k = k->next)
        ;
    pthread_mutex_unlock(&all.lock);
    return k != NULL;
}

static void end_stream(void *obj, void *owner)
{
    struct gvm_stream *s = obj;

    if (s->owner == owner)
        gvm_stream_destroy(gvm_handle(&gvm_streams, s));
}

static void end_event(void *obj, void *owner)
{
    struct gvm_event *e = obj;

    if (e->owner == owner && !e->internal) {
        gvm_event_orphan(gvm_handle(&gvm_events, e));
        gvm_event_destroy(gvm_handle(&gvm_events, e));
    }
}

/* Everything that was created while `owner` was current. */
static void end_objects(void *owner)
{
    static struct CUctx_st nowhere;
    void *was = gvm_ctx_top;
    struct gvm_range g;

    /* So that nothing of this makes the primary context active. */
    gvm_ctx_top = &nowhere;
    gvm_id_each(&gvm_streams, end_stream, owner);
    gvm_id_each(&gvm_events, end_event, owner);
    gvm_modules_unload_owned(owner);
    gvm_textures_end(owner, false);
    gvm_arrays_end(owner, false);
    while (gvm_ranges_take_owned(&gvm_allocs, owner, &g))
        gvm_range_release(&g);
    gvm_blocks_give_back(gvm.chan);
    gvm_ctx_top = was;
}

int gvm_ctx_destroy(struct CUctx_st *c)
{
    const struct CUctx_st *top = gvm_ctx_top;
    bool dead;

    if (!c)
        return 1;
    if (c == &gvm_primary || !gvm_ctx_known(c))
        return 201;
    pthread_mutex_lock(&all.lock);
    dead = c->dead;
    c->dead = true;
    if (!dead)
        all.live--;
    pthread_mutex_unlock(&all.lock);
    if (dead) /* as the driver does: the error of the current context comes first */
        return top && top->dead ? 709 : 201;
    if (gvm_usable()) {
        /* An error is no reason to keep it: it may be the reason to destroy it. */
        gvm_ctx_sync_all();
        end_objects(c);
    }
    if (gvm_ctx_top == c)
        gvm_ctx_pop();
    return 0;
}

/* ---- the primary context ------------------------------------------------------------------ */

void gvm_primary_retain(void)
{
    pthread_mutex_lock(&all.lock);
    all.retained++;
    gvm_set_primary_active(true);
    pthread_mutex_unlock(&all.lock);
}

int gvm_primary_release(void)
{
    bool last;

    pthread_mutex_lock(&all.lock);
    if (!all.retained) {
        pthread_mutex_unlock(&all.lock);
        return 201;
    }
    last = --all.retained == 0;
    if (last)
        all.by_runtime = false;
    pthread_mutex_unlock(&all.lock);
    return last ? gvm_primary_reset() : 0;
}

int gvm_primary_reset(void)
{
    struct gvm_chan *c = gvm_usable();
    bool alone;

    gvm_primary.flags = 0;
    if (!gvm_primary_active())
        return 0;
    gvm_set_primary_active(false);
    if (!c)
        return 0;
    if (gvm_sticky())
        gvm_mark_lost();
    /* Text of kernels that are still running would be lost otherwise. */
    gvm_ctx_sync_all();
    pthread_mutex_lock(&all.lock);
    alone = !all.live;
    pthread_mutex_unlock(&all.lock);
    if (alone)
        gvm_disconnect();
    else
        end_objects(NULL);
    return 0;
}

static void (*on_context)(void);

void gvm_on_context(void (*fn)(void))
{
    __atomic_store_n(&on_context, fn, __ATOMIC_RELAXED);
}

/* The runtime holds it from its first use until a reset. */
static void runtime_retain(void)
{
    void (*fn)(void) = NULL;

    pthread_mutex_lock(&all.lock);
    if (!all.by_runtime) {
        fn = __atomic_load_n(&on_context, __ATOMIC_RELAXED);
        all.by_runtime = true;
        all.retained++;
    }
    __atomic_store_n(&all.runtime_used, true, __ATOMIC_RELAXED);
    gvm_set_primary_active(true);
    pthread_mutex_unlock(&all.lock);
    if (fn)
        fn();
}

int gvm_reset(void)
{
    int rc = gvm_stale();

    if (rc)
        return rc;
    pthread_mutex_lock(&all.lock);
    if (all.by_runtime && all.retained)
        all.retained--;
    all.by_runtime = false;
    pthread_mutex_unlock(&all.lock);
    return gvm_primary_reset();
}

unsigned gvm_primary_flags(void)
{
    return __atomic_load_n(&gvm_primary.flags, __ATOMIC_RELAXED);
}

int gvm_set_primary_flags(unsigned flags)
{
    unsigned sched = flags & SCHED_MASK;

    if (flags & ~FLAGS_MASK || sched & (sched - 1))
        return 1;
    __atomic_store_n(&gvm_primary.flags, flags, __ATOMIC_RELAXED);
    return 0;
}

/* ---- what calls need ---------------------------------------------------------------------- */

int gvm_need_slow(void)
{
    int rc = gvm_usable() ? 0 : gvm_connect();

    if (rc == 0 && !gvm_ctx_top)
        rc = gvm_ctx_push(&gvm_primary);
    if (rc == 0 && gvm_ctx_top == &gvm_primary && !gvm_primary_active())
        runtime_retain();
    return rc;
}

int gvm_context(void)
{
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    return rc ? rc : gvm_chan_check(c);
}

int gvm_use_device(int number, bool current)
{
    struct gvm_chan *c;
    int rc = gvm_need_chan(&c);

    if (rc == 0 && number != 0)
        rc = 101;
    if (rc)
        return rc;
    runtime_retain();
    return current ? gvm_ctx_set(&gvm_primary) : 0;
}

int gvm_connected(void)
{
    struct gvm_chan *c;

    return gvm_need_chan(&c);
}

int gvm_begin(void)
{
    int rc = gvm_connected();

    if (rc == 0)
        __atomic_store_n(&all.runtime_used, true, __ATOMIC_RELAXED);
    return rc;
}

bool gvm_runtime_used(void)
{
    return __atomic_load_n(&all.runtime_used, __ATOMIC_RELAXED);
}

void gvm_runtime_loaded(void)
{
    /* Nothing depends on it: a runtime shows when it is used. */
}
