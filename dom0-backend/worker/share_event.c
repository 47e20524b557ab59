/* SPDX-License-Identifier: MIT */
/*
 * share_event.c - events that several processes of a guest use. Two counters in a page that all of
 * their workers map: records begun and the highest one reached. Neither needs the device: a record
 * is a function in its stream, and a stream that waits stands at a gate until the counter is there.
 *
 * The page is another worker's too, and may hold anything: it is only ever compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dom0-backend/device/device_graph.h"
#include "dom0-backend/worker/worker.h"

#define LOOK_NS 1000000 /* between two looks at whether the context still lives */

struct page {
    _Atomic uint32_t begun;
    _Atomic uint32_t reached;
};

struct wk_common {
    _Atomic unsigned refs;
    struct page *page;
    int fd;
};

/* A record on its way in a stream. */
struct record {
    struct wk_common *c;
    uint32_t n;
};

/* A stream that waits, from the call on. */
struct wk_wait {
    struct wk_wait *next;
    struct wk *w;
    struct wk_common *c;
    uint32_t n;
    struct dev_gate *gate;
};

static bool passed(uint32_t reached, uint32_t n)
{
    return (int32_t)(reached - n) >= 0;
}

static bool is_reached(const struct wk_common *c, uint32_t n)
{
    return passed(atomic_load_explicit(&c->page->reached, memory_order_acquire), n);
}

/* Until the counter changes, but not for long. */
static void look_again(struct wk_common *c, uint32_t seen)
{
    const struct timespec t = {.tv_nsec = LOOK_NS};

    syscall(SYS_futex, &c->page->reached, FUTEX_WAIT, seen, &t, NULL, 0);
}

int wk_common_new(struct wk *w, int fd, struct wk_common **out)
{
    struct wk_common *c = calloc(1, sizeof(*c));
    struct stat st;
    void *p = MAP_FAILED;
    bool mine = fd < 0;
    int seals;

    if (mine)
        fd = wk_segment(w, VGPU_PAGE_SIZE);
    if (fd < 0 || !c)
        goto fail;
    seals = mine ? F_SEAL_SHRINK : fcntl(fd, F_GET_SEALS);
    if (seals >= 0 && (seals & F_SEAL_SHRINK) && fstat(fd, &st) == 0 &&
        st.st_size >= (off_t)VGPU_PAGE_SIZE)
        p = mmap(NULL, VGPU_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        goto fail;
    c->refs = 1;
    c->page = p;
    c->fd = fd;
    *out = c;
    return WK_OK;
fail:
    if (fd >= 0)
        close(fd);
    free(c);
    return mine ? WK_OUT_OF_MEMORY : WK_INVALID_VALUE;
}

void wk_common_put(struct wk_common *c)
{
    if (atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    munmap(c->page, VGPU_PAGE_SIZE);
    close(c->fd);
    free(c);
}

int wk_common_fd(const struct wk_common *c)
{
    return c->fd;
}

/* ---- records ----------------------------------------------------------------------------- */

static void reached(void *arg)
{
    struct record *r = arg;
    struct page *p = r->c->page;
    uint32_t was = atomic_load(&p->reached);

    /* Records of several streams may come in any order: the latest one counts. */
    while (!passed(was, r->n) && !atomic_compare_exchange_weak(&p->reached, &was, r->n))
        ;
    syscall(SYS_futex, &p->reached, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    wk_common_put(r->c);
    free(r);
}

int wk_common_record(struct wk *w, struct wk_common *c, struct wk_stream *s)
{
    struct record *r = malloc(sizeof(*r));
    int err;

    if (!r)
        return WK_OUT_OF_MEMORY;
    atomic_fetch_add(&c->refs, 1);
    r->c = c;
    r->n = atomic_fetch_add(&c->page->begun, 1) + 1;
    err = w->ops->stream_host(w->dev, s->s, reached, r);
    if (err)
        reached(r); /* nobody is to wait for it */
    return err;
}

/* ---- waits ------------------------------------------------------------------------------- */

static bool over(const struct wk_wait *x)
{
    return is_reached(x->c, x->n) || atomic_load(&x->w->sticky);
}

static void release(struct wk_wait *x)
{
    x->w->ops->graph->call_done(x->w->dev, x->gate);
    wk_common_put(x->c);
    free(x);
}

static void *watch(void *arg)
{
    struct wk *w = arg;
    struct wk_shares *s = &w->shares;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct wk_wait **at = &s->waits, *x;
        uint32_t seen;

        while (!s->waits)
            pthread_cond_wait(&s->work, &s->lock);
        /* Taken before the look, so that a change behind it ends the wait at once. */
        seen = atomic_load(&s->waits->c->page->reached);
        while (*at && !over(*at))
            at = &(*at)->next;
        x = *at;
        if (x)
            *at = x->next;
        if (x) {
            pthread_mutex_unlock(&s->lock);
            release(x);
        } else {
            /* Only this thread takes waits out: the first one stays. */
            struct wk_common *first = s->waits->c;

            pthread_mutex_unlock(&s->lock);
            look_again(first, seen);
        }
        pthread_mutex_lock(&s->lock);
    }
    return NULL;
}

/* A dev_call_fn: the stream has come to the wait. */
static void at_gate(void *arg, struct dev_gate *gate)
{
    struct wk_wait *x = arg;
    struct wk_shares *s = &x->w->shares;

    x->gate = gate;
    if (over(x)) {
        release(x);
        return;
    }
    pthread_mutex_lock(&s->lock);
    x->next = s->waits;
    s->waits = x;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

static int start_watch(struct wk *w)
{
    struct wk_shares *s = &w->shares;
    pthread_t t;
    int err = 0;

    pthread_mutex_lock(&s->lock);
    if (!s->watching) {
        err = pthread_create(&t, NULL, watch, w);
        if (!err)
            pthread_detach(t);
        s->watching = !err;
    }
    pthread_mutex_unlock(&s->lock);
    return err ? WK_OUT_OF_MEMORY : WK_OK;
}

int wk_common_wait(struct wk *w, struct wk_common *c, struct wk_stream *s)
{
    uint32_t n = atomic_load(&c->page->begun);
    struct wk_wait *x;
    int err;

    if (is_reached(c, n))
        return WK_OK;
    if (!w->ops->graph)
        return WK_NOT_SUPPORTED;
    err = start_watch(w);
    if (err)
        return err;
    x = calloc(1, sizeof(*x));
    if (!x)
        return WK_OUT_OF_MEMORY;
    atomic_fetch_add(&c->refs, 1);
    x->w = w;
    x->c = c;
    x->n = n;
    err = w->ops->graph->stream_call(w->dev, s->s, at_gate, x);
    if (err) {
        wk_common_put(c);
        free(x);
    }
    return err;
}

int wk_common_query(struct wk_common *c)
{
    return is_reached(c, atomic_load(&c->page->begun)) ? WK_OK : WK_NOT_READY;
}

int wk_common_sync(struct wk *w, struct wk_common *c)
{
    uint32_t n = atomic_load(&c->page->begun);

    for (;;) {
        uint32_t seen = atomic_load(&c->page->reached);
        uint32_t sticky = atomic_load(&w->sticky);

        if (passed(seen, n))
            return WK_OK;
        if (sticky)
            return (int)sticky;
        look_again(c, seen);
    }
}
