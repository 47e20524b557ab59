/* SPDX-License-Identifier: MIT */
/*
 * quiet.c - a worker that stands still: no record is taken, nothing is under way.
 *
 * Work ends by itself, and so do calls that wait for it. What may not end is what waits for the
 * guest: a function of its own that runs in a stream, or that is about to. The guest can say that it
 * has returned only while records are taken; so these are let through in between, until the time is
 * over.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dom0-backend/common/clock.h"
#include "dom0-backend/worker/worker.h"

#define LOOK_AGAIN_NS 500000 /* the device has no event for "all is done, of all streams" */

int wk_quiet_init(struct wk *w)
{
    struct wk_quiet *q = &w->quiet;

    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->moved, NULL);
    if (q->wake_fd <= 0) /* control.c makes it before the filter is on */
        q->wake_fd = -1;
    return 0;
}

static void wake(struct wk_quiet *q)
{
    uint64_t one = 1;

    if (q->wake_fd > 0 && write(q->wake_fd, &one, sizeof(one)) < 0)
        return; /* it is readable already */
}

static void release(struct wk_quiet *q)
{
    pthread_mutex_lock(&q->lock);
    q->on_ring = false;
    atomic_store(&q->wanted, false);
    pthread_cond_broadcast(&q->moved);
    pthread_mutex_unlock(&q->lock);
    wake(q);
}

void wk_go_on(struct wk *w)
{
    release(&w->quiet);
}

void wk_go_on_ring(struct wk *w)
{
    struct wk_quiet *q = &w->quiet;

    pthread_mutex_lock(&q->lock);
    q->on_ring = true;
    pthread_mutex_unlock(&q->lock);
    wake(q);
}

int wk_still(struct wk *w, bool *masked)
{
    struct wk_quiet *q = &w->quiet;
    uint64_t count;
    int r = 0;

    /* Whoever writes a record from now on rings. */
    vgpu_cons_sleeping(&w->cons, true);
    pthread_mutex_lock(&q->lock);
    q->still = true;
    pthread_cond_broadcast(&q->moved);
    while (atomic_load(&q->wanted) && r >= 0) {
        struct pollfd p[2] = {{.fd = q->wake_fd, .events = POLLIN},
                              {.fd = w->tr.event_fd, .events = POLLIN}};
        int n = q->on_ring ? 2 : 1;

        pthread_mutex_unlock(&q->lock);
        if (n == 2 && *masked) {
            w->tr.ops->unmask(&w->tr);
            *masked = false;
        }
        if (poll(p, (nfds_t)n, -1) < 0 && errno != EINTR)
            r = -errno;
        if (p[0].revents && read(q->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
            r = -errno;
        if (n == 2 && p[1].revents) {
            r = w->tr.ops->take(&w->tr);
            if (r > 0) {
                *masked = true;
                atomic_store(&q->wanted, false);
            }
        }
        pthread_mutex_lock(&q->lock);
    }
    q->still = false;
    q->on_ring = false;
    pthread_cond_broadcast(&q->moved);
    pthread_mutex_unlock(&q->lock);
    vgpu_cons_sleeping(&w->cons, false);
    return r < 0 ? r : 0;
}

/* ---- the control thread's part ------------------------------------------------------------ */

/* What is not complete yet; NULL: all is. The drain thread stands still. *guest: it is the guest's
 * turn. */
static const char *unfinished(struct wk *w, bool *guest)
{
    struct wk_upcalls *u = &w->upcalls;
    struct wk_lane *waiter = NULL;

    *guest = false;
    pthread_mutex_lock(&u->lock);
    if (u->due || u->running)
        *guest = true;
    else if (u->waiting)
        waiter = u->waiter;
    pthread_mutex_unlock(&u->lock);
    if (*guest)
        return "a function of the program (cudaLaunchHostFunc) has not returned";
    for (uint32_t i = 0; i < VGPU_LANES; i++) {
        struct wk_lane *l = &w->lanes[i];

        if (l != waiter && atomic_load_explicit(&l->active, memory_order_acquire))
            return "a call that waits for the device has not returned";
    }
    pthread_mutex_lock(&w->chunk_lock);
    for (unsigned i = 0; i < VGPU_MAX_CHUNKS; i++) {
        if (w->chunks[i].len && w->chunks[i].dropping) {
            pthread_mutex_unlock(&w->chunk_lock);
            return "memory is being given back";
        }
    }
    pthread_mutex_unlock(&w->chunk_lock);
    if (w->ops->state ? !w->ops->state->idle(w->dev) : w->ops->idle && !w->ops->idle(w->dev))
        return "kernels or copies have not ended";
    return NULL;
}

static bool wait_still(struct wk_quiet *q, uint64_t until)
{
    struct timespec t;
    uint64_t left = until > now_ns() ? until - now_ns() : 0;
    bool still;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += (time_t)(left / 1000000000u);
    t.tv_nsec += (long)(left % 1000000000u);
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    pthread_mutex_lock(&q->lock);
    while (!q->still && pthread_cond_timedwait(&q->moved, &q->lock, &t) != ETIMEDOUT)
        ;
    still = q->still;
    pthread_mutex_unlock(&q->lock);
    return still;
}

int wk_stand_still(struct wk *w, uint32_t timeout_ms, const char **why)
{
    const struct timespec pause = {0, LOOK_AGAIN_NS};
    uint64_t until = now_ns() + timeout_ms * 1000000ull;
    struct wk_quiet *q = &w->quiet;
    bool guest;

    *why = "a stream has more work than fits";
    do {
        atomic_store(&q->wanted, true);
        wake(q);
        if (!wait_still(q, until))
            break; /* if it stood still before, for what was in the way then */
        do {
            *why = unfinished(w, &guest);
            if (!*why)
                return 0;
            nanosleep(&pause, NULL);
        } while (!guest && now_ns() < until);
        if (guest) {
            release(q);
            nanosleep(&pause, NULL);
        }
    } while (now_ns() < until);
    release(q);
    return -EBUSY;
}
