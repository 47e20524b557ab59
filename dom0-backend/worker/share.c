/* SPDX-License-Identifier: MIT */
#include "dom0-backend/worker/share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dom0-backend/device/device_share.h"
#include "dom0-backend/worker/worker.h"

#define ANSWER_S 10
#define MAGIC    0x73696d67u

struct handle {
    uint32_t magic, kind;
    uint64_t zero;
    uint8_t token[16];
};
_Static_assert(sizeof(struct handle) == WK_HANDLE, "layout");

void wk_shares_init(struct wk_shares *s)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->come, &attr);
    pthread_cond_init(&s->work, NULL);
    pthread_condattr_destroy(&attr);
}

static void free_handles(struct wk_handle *e)
{
    for (struct wk_handle *next; e; e = next) {
        next = e->next;
        free(e);
    }
}

void wk_shares_fini(struct wk_shares *s)
{
    free_handles(s->mem);
    free_handles(s->held);
    s->mem = s->held = NULL;
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->come);
    pthread_cond_destroy(&s->work);
}

/* ---- questions to the broker ------------------------------------------------------------- */

void wk_share_answer(struct wk *w, const struct wk_msg *m, int fd)
{
    struct wk_shares *s = &w->shares;
    struct wk_question *q;

    pthread_mutex_lock(&s->lock);
    for (q = s->asked; q && (q->answered || q->msg.seq != m->seq); q = q->next)
        ;
    if (q) {
        q->msg = *m;
        q->fd = fd;
        q->answered = true;
        fd = -1;
        pthread_cond_broadcast(&s->come);
    }
    pthread_mutex_unlock(&s->lock);
    if (fd >= 0)
        close(fd); /* came too late */
}

void wk_share_cut(struct wk *w)
{
    struct wk_shares *s = &w->shares;

    pthread_mutex_lock(&s->lock);
    for (struct wk_question *q = s->asked; q; q = q->next) {
        if (q->answered)
            continue;
        q->msg.status = -EPIPE;
        q->answered = true;
    }
    pthread_cond_broadcast(&s->come);
    pthread_mutex_unlock(&s->lock);
}

/* Asks, and waits. 0 or -errno; *fd (may be NULL): what came with the answer, or -1. */
static int ask(struct wk *w, struct wk_msg *m, const int *send_fd, int *fd)
{
    struct wk_shares *s = &w->shares;
    struct wk_question q = {.fd = -1}, **at;
    struct timespec until;
    int err = 0;

    if (!w->to_broker)
        return -ENOTCONN;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ANSWER_S;
    pthread_mutex_lock(&s->lock);
    m->seq = ++s->seq;
    q.msg = *m;
    q.next = s->asked;
    s->asked = &q;
    pthread_mutex_unlock(&s->lock);
    err = w->to_broker(w, m, send_fd, send_fd ? 1 : 0);
    pthread_mutex_lock(&s->lock);
    while (!err && !q.answered)
        err = -pthread_cond_timedwait(&s->come, &s->lock, &until);
    for (at = &s->asked; *at != &q; at = &(*at)->next)
        ;
    *at = q.next;
    pthread_mutex_unlock(&s->lock);
    if (q.answered) {
        *m = q.msg;
        err = q.msg.status;
    }
    if (err || !fd) {
        if (q.fd >= 0)
            close(q.fd);
        q.fd = -1;
    }
    if (fd)
        *fd = q.fd;
    return err;
}

int wk_segment(void *arg, uint64_t bytes)
{
    struct wk *w = arg;
    struct wk_msg m = {.type = WK_SEGMENT, .share = {.size = bytes}};
    int fd = -1, err = ask(w, &m, NULL, &fd);

    return err ? err : fd < 0 ? -EIO : fd;
}

/* ---- handles ----------------------------------------------------------------------------- */

static int result(int err)
{
    switch (err) {
    case 0:
        return WK_OK;
    case -ENOENT:
        return WK_INVALID_VALUE;
    case -ENOSPC:
    case -ENOMEM:
        return WK_OUT_OF_MEMORY;
    default:
        return WK_UNKNOWN;
    }
}

int wk_share_export(struct wk *w, enum wk_share_kind kind, const struct dev_share *s,
                    uint8_t handle[WK_HANDLE])
{
    struct wk_msg m = {.type = WK_EXPORT, .share = {.kind = kind, .size = s->charge}};
    struct handle h = {.magic = MAGIC, .kind = kind};
    int err;

    atomic_store(&w->shares.used, true);
    memcpy(m.share.meta, s->meta, sizeof(m.share.meta));
    err = ask(w, &m, s->fd >= 0 ? &s->fd : NULL, NULL);
    if (err)
        return result(err);
    memcpy(h.token, m.share.token, sizeof(h.token));
    memcpy(handle, &h, sizeof(h));
    return WK_OK;
}

int wk_share_import(struct wk *w, enum wk_share_kind kind, const uint8_t *handle, uint32_t len,
                    struct dev_share *s, bool *own)
{
    struct wk_msg m = {.type = WK_IMPORT, .share = {.kind = kind}};
    struct handle h;
    int err;

    atomic_store(&w->shares.used, true);
    s->fd = -1;
    *own = false;
    if (len != sizeof(h))
        return WK_INVALID_VALUE;
    memcpy(&h, handle, sizeof(h));
    if (h.magic != MAGIC || h.zero)
        return WK_INVALID_VALUE;
    if (h.kind != (uint32_t)kind) /* as a driver says of descriptors: it is one, but not of that */
        return kind == WK_SHARE_MEMORY || kind == WK_SHARE_POOL ? WK_NOT_SUPPORTED
                                                                : WK_INVALID_VALUE;
    memcpy(m.share.token, h.token, sizeof(h.token));
    err = ask(w, &m, NULL, &s->fd);
    if (err)
        return result(err);
    memcpy(s->meta, m.share.meta, sizeof(s->meta));
    *own = m.share.own != 0;
    return WK_OK;
}

static void tell(struct wk *w, uint32_t type, const uint8_t handle[WK_HANDLE])
{
    struct wk_msg m = {.type = type};
    struct handle h;

    memcpy(&h, handle, sizeof(h));
    memcpy(m.share.token, h.token, sizeof(h.token));
    if (w->to_broker)
        w->to_broker(w, &m, NULL, 0);
}

void wk_share_forget(struct wk *w, const uint8_t handle[WK_HANDLE])
{
    tell(w, WK_UNEXPORT, handle);
}

/* What one handle stands for is counted once less. */
static void tell_gone(struct wk *w, const uint8_t handle[WK_HANDLE])
{
    tell(w, WK_GONE, handle);
}

void wk_share_holds(struct wk *w, const void *thing, uint64_t dptr, const uint8_t handle[WK_HANDLE])
{
    struct wk_shares *s = &w->shares;
    struct wk_handle *e = calloc(1, sizeof(*e));

    if (!e) { /* counted too often from now on */
        tell_gone(w, handle);
        return;
    }
    e->thing = thing;
    e->dptr = dptr;
    memcpy(e->handle, handle, WK_HANDLE);
    pthread_mutex_lock(&s->lock);
    e->next = s->held;
    s->held = e;
    pthread_mutex_unlock(&s->lock);
}

/* All of `list` that stands for this, as a list of its own. */
static struct wk_handle *take_out(struct wk_shares *s, struct wk_handle **list, const void *thing,
                                  uint64_t dptr)
{
    struct wk_handle *gone = NULL, *e;

    if (!__atomic_load_n(list, __ATOMIC_RELAXED))
        return NULL;
    pthread_mutex_lock(&s->lock);
    for (struct wk_handle **at = list; *at;) {
        e = *at;
        if (e->thing != thing || e->dptr != dptr) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        e->next = gone;
        gone = e;
    }
    pthread_mutex_unlock(&s->lock);
    return gone;
}

void wk_share_lets_go(struct wk *w, const void *thing, uint64_t dptr)
{
    struct wk_handle *e = take_out(&w->shares, &w->shares.held, thing, dptr), *next;

    for (; e; e = next) {
        next = e->next;
        tell_gone(w, e->handle);
        free(e);
    }
}

void wk_share_freed(struct wk *w, uint64_t base)
{
    /* Two threads may have exported it at once: it has two handles then. */
    struct wk_handle *e = take_out(&w->shares, &w->shares.mem, NULL, base), *next;

    for (; e; e = next) {
        next = e->next;
        tell_gone(w, e->handle);
        wk_share_forget(w, e->handle);
        free(e);
    }
}
