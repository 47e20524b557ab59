/* SPDX-License-Identifier: MIT */
/*
 * cuda_watch.c - what has to happen on the CPU when the GPU gets somewhere.
 *
 * Words: the GPU stores a value in the channel's counter page by itself; a thread looks whether it
 * has, for those who want to be told. Calls: host functions of the driver's, remembered here because
 * the driver drops them when the context faults, while those who wait for them must go on.
 *
 * The thread sleeps while nothing is under way. It also asks the driver now and then: a fault is
 * reported to nobody who does not ask.
 */
#include <stdlib.h>
#include <unistd.h>

#include "cuda_int.h"
#include "cuda_stage.h"
#include "dom0-backend/common/clock.h"
#include "dom0-backend/common/log.h"

#define PAGE      4096u
#define PAGES_MAX 64u
#define ASK_NS    20000000ull
#define LINGER_NS 1000000ull /* awake without anything to do, for what may come next */

struct word {
    const uint32_t *where;
    uint32_t value;
    void (*done)(void *arg);
    void *arg;
};

struct cudev_call {
    struct dev *d;
    void (*fn)(void *arg);
    void *arg;
    struct cudev_call *next, **prev; /* NULL: taken */
};

struct cudev_watch {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct word *word;
    unsigned n, room;
    struct cudev_call *calls;
    /* Pages that the GPU reaches, or not. */
    struct {
        uintptr_t page;
        bool ok;
    } page[PAGES_MAX];
    unsigned npage;
    uintptr_t channel; /* replies and counters */
    size_t channel_len;
    _Atomic enum { CHANNEL_NONE, CHANNEL_NEW, CHANNEL_OK, CHANNEL_BAD } channel_state;
    pthread_cond_t channel_done;
    bool asleep;
};

/* Takes half a millisecond, in which the guest has other things to do: the thread does it, and who
 * needs it waits. Where it fails, the CPU writes and the driver copies through memory of its own. */
int cudev_channel_add(struct dev *d, void *addr, size_t len)
{
    struct cudev_watch *w = d->watch;

    if (d->cfg.no_pin)
        return CUDA_ERROR_NOT_SUPPORTED;
    pthread_mutex_lock(&w->lock);
    /* A prepared channel comes a second time. */
    if (w->channel != (uintptr_t)addr || w->channel_len != len) {
        w->channel = (uintptr_t)addr;
        w->channel_len = len;
        w->channel_state = CHANNEL_NEW;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return 0;
}

/* With the lock held, which goes meanwhile. */
static void channel_register(struct cudev_watch *w)
{
    void *at = (void *)w->channel;
    CUdeviceptr dev = 0;
    bool ok;

    pthread_mutex_unlock(&w->lock);
    ok = cu.cuMemHostRegister_v2(at, w->channel_len,
                                 CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_PORTABLE) ==
             CUDA_SUCCESS &&
         cu.cuMemHostGetDevicePointer_v2(&dev, at, 0) == CUDA_SUCCESS && dev == w->channel;
    if (!ok)
        log_info("the GPU cannot reach the channel's pages: the CPU writes them");
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->channel_state, ok ? CHANNEL_OK : CHANNEL_BAD);
    pthread_cond_broadcast(&w->channel_done);
}

bool cudev_watch_reach(struct dev *d, const uint32_t *where)
{
    struct cudev_watch *w = d->watch;
    uintptr_t page = (uintptr_t)where & ~(uintptr_t)(PAGE - 1);
    CUdeviceptr at = 0;
    bool ok = false;

    if ((uintptr_t)where - w->channel < w->channel_len) {
        if (atomic_load_explicit(&w->channel_state, memory_order_acquire) == CHANNEL_OK)
            return true;
        pthread_mutex_lock(&w->lock);
        while (w->channel_state == CHANNEL_NEW)
            pthread_cond_wait(&w->channel_done, &w->lock);
        pthread_mutex_unlock(&w->lock);
        return w->channel_state == CHANNEL_OK;
    }
    pthread_mutex_lock(&w->lock);
    for (unsigned i = 0; i < w->npage; i++) {
        if (w->page[i].page == page) {
            ok = w->page[i].ok;
            goto out;
        }
    }
    if (w->npage == PAGES_MAX || d->cfg.no_pin)
        goto out;
    ok = cu.cuMemHostRegister_v2((void *)page, PAGE,
                                 CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_PORTABLE) ==
             CUDA_SUCCESS &&
         cu.cuMemHostGetDevicePointer_v2(&at, (void *)page, 0) == CUDA_SUCCESS && at == page;
    if (!ok)
        log_info("the GPU cannot reach the channel's counters: the CPU writes them");
    w->page[w->npage].page = page;
    w->page[w->npage++].ok = ok;
out:
    pthread_mutex_unlock(&w->lock);
    return ok;
}

int cudev_watch_add(struct dev *d, const uint32_t *where, uint32_t value, void (*done)(void *arg),
                    void *arg)
{
    struct cudev_watch *w = d->watch;
    int err = 0;

    pthread_mutex_lock(&w->lock);
    if (w->n == w->room) {
        unsigned room = w->room ? w->room * 2 : 64;
        struct word *p = realloc(w->word, room * sizeof(*p));

        if (!p) {
            err = CUDA_ERROR_OUT_OF_MEMORY;
            goto out;
        }
        w->word = p;
        w->room = room;
    }
    w->word[w->n++] = (struct word){where, value, done, arg};
    if (w->asleep)
        pthread_cond_signal(&w->wake);
out:
    pthread_mutex_unlock(&w->lock);
    return err;
}

/* ---- calls ------------------------------------------------------------------------------- */

struct cudev_call *cudev_call_new(struct dev *d, void (*fn)(void *arg), void *arg)
{
    struct cudev_watch *w = d->watch;
    struct cudev_call *c = malloc(sizeof(*c));

    if (!c)
        return NULL;
    pthread_mutex_lock(&w->lock);
    *c = (struct cudev_call){d, fn, arg, w->calls, &w->calls};
    if (c->next)
        c->next->prev = &c->next;
    w->calls = c;
    if (w->asleep)
        pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return c;
}

/* With the lock held. False: somebody else has taken it. */
static bool take(struct cudev_call *c)
{
    if (!c->prev)
        return false;
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->prev = NULL;
    return true;
}

void CUDA_CB cudev_call_run(void *arg)
{
    struct cudev_call *c = arg;
    struct cudev_watch *w = c->d->watch;
    bool mine;

    pthread_mutex_lock(&w->lock);
    mine = take(c);
    pthread_mutex_unlock(&w->lock);
    if (mine)
        c->fn(c->arg);
    free(c);
}

bool cudev_call_cancel(struct cudev_call *c)
{
    struct cudev_watch *w = c->d->watch;
    bool mine;

    pthread_mutex_lock(&w->lock);
    mine = take(c);
    pthread_mutex_unlock(&w->lock);
    free(c);
    return mine;
}

/* The context is gone: what waited for it goes on. The driver may still hold the pointers of calls
 * that it will never make, so those are not freed. */
static void release_all(struct cudev_watch *w)
{
    struct cudev_call *c;

    while ((c = w->calls)) {
        take(c);
        pthread_mutex_unlock(&w->lock);
        c->fn(c->arg);
        pthread_mutex_lock(&w->lock);
    }
    w->n = 0;
}

/* Tells who waited for words that have come. True if any has. */
static bool look(struct cudev_watch *w)
{
    bool any = false;

    for (unsigned i = 0; i < w->n;) {
        struct word x = w->word[i];

        if ((int32_t)(__atomic_load_n(x.where, __ATOMIC_ACQUIRE) - x.value) < 0) {
            i++;
            continue;
        }
        w->word[i] = w->word[--w->n];
        pthread_mutex_unlock(&w->lock);
        x.done(x.arg);
        pthread_mutex_lock(&w->lock);
        any = true;
    }
    return any;
}

unsigned cudev_watch_look(struct dev *d)
{
    struct cudev_watch *w = d->watch;
    unsigned left;

    pthread_mutex_lock(&w->lock);
    look(w);
    left = w->n;
    pthread_mutex_unlock(&w->lock);
    return left + cudev_stage_look(d);
}

static void *watcher(void *arg)
{
    struct dev *d = arg;
    struct cudev_watch *w = d->watch;
    uint64_t asked = 0, busy = 0;

    cu.cuCtxSetCurrent(d->ctx);
    pthread_mutex_lock(&w->lock);
    for (;;) {
        uint64_t now = now_ns();

        if (w->channel_state == CHANNEL_NEW)
            channel_register(w);
        while (!w->n && !w->calls && w->channel_state != CHANNEL_NEW && now - busy > LINGER_NS) {
            w->asleep = true;
            pthread_cond_wait(&w->wake, &w->lock);
            w->asleep = false;
            busy = now = now_ns();
        }
        if (look(w))
            busy = now;
        if (now - asked > ASK_NS) {
            asked = now;
            pthread_mutex_unlock(&w->lock);
            if (cudev_rc(d, cu.cuStreamQuery(CU_STREAM_LEGACY), "cuStreamQuery") == 0)
                cudev_busy_end(d);
            else
                cudev_busy_still(d);
            pthread_mutex_lock(&w->lock);
        }
        if (atomic_load(&d->sticky))
            release_all(w);
        pthread_mutex_unlock(&w->lock);
        /* Soon after something came more is likely; a long kernel is asked about seldom. */
        usleep(now - busy < 2000000u ? 20 : 500);
        pthread_mutex_lock(&w->lock);
    }
    return NULL;
}

int cudev_watch_open(struct dev *d)
{
    struct cudev_watch *w = calloc(1, sizeof(*w));
    pthread_t t;

    if (!w)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    pthread_cond_init(&w->channel_done, NULL);
    d->watch = w;
    if (pthread_create(&t, NULL, watcher, d)) {
        free(w);
        d->watch = NULL;
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_detach(t);
    return 0;
}
