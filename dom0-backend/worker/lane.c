/* SPDX-License-Identifier: MIT */
/*
 * lane.c - blocking calls run on a thread of their guest thread, so that they hold nobody back.
 *
 * A guest thread has at most one such call outstanding: the hand-over is a mailbox of one record.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/common/clock.h"
#include "dom0-backend/worker/worker.h"

#define LANE_STACK (2u << 20) /* module loading parses on this stack */

void wk_lane_release(struct wk_lane *lane)
{
    struct wk *w = lane->w;

    if (lane->chunks_held) {
        pthread_mutex_lock(&w->chunk_lock);
        for (uint64_t m = lane->chunks_held; m; m &= m - 1) {
            struct wk_chunk *c = &w->chunks[__builtin_ctzll(m)];

            if (--c->users == 0 && c->dropping)
                pthread_cond_broadcast(&w->chunk_idle);
        }
        lane->chunks_held = 0;
        pthread_mutex_unlock(&w->chunk_lock);
    }
    while (lane->nheld)
        wk_obj_release(w, lane->held[--lane->nheld]);
}

static void *lane_main(void *arg)
{
    struct wk_lane *lane = arg;

    for (;;) {
        const char *why;
        uint64_t start;

        pthread_mutex_lock(&lane->lock);
        while (!lane->work)
            pthread_cond_wait(&lane->wake, &lane->lock);
        lane->work = false;
        pthread_mutex_unlock(&lane->lock);
        start = now_ns();
        wk_count(lane->w, waiting, 1);
        why = wk_traced(&lane->w->trace) ? wk_execute_traced(lane, lane->rec)
                                         : wk_execute(lane, lane->rec);
        atomic_store_explicit(&lane->active, false, memory_order_release);
        wk_count(lane->w, waiting, -1);
        wk_count(lane->w, wait_ns, now_ns() - start);
        if (why)
            lane->w->on_violation(lane->w, why);
    }
    return NULL;
}

int wk_lane_start(struct wk_lane *lane)
{
    pthread_attr_t attr;
    pthread_t thread;
    int err;

    if (lane->started)
        return 0;
    if (!lane->rec) {
        lane->rec = aligned_alloc(16, VGPU_REC_MAX + 16);
        if (!lane->rec)
            return -ENOMEM;
    }
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, LANE_STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    err = pthread_create(&thread, &attr, lane_main, lane);
    pthread_attr_destroy(&attr);
    lane->started = !err;
    return -err;
}

int wk_lane_hand_over(struct wk_lane *lane, const void *rec)
{
    const struct vgpu_rec *h = rec;
    int err = wk_lane_start(lane);

    if (err)
        return err;
    memcpy(lane->rec, rec, h->len);
    atomic_store_explicit(&lane->busy, true, memory_order_relaxed);
    atomic_store_explicit(&lane->active, true, memory_order_relaxed);
    pthread_mutex_lock(&lane->lock);
    lane->work = true;
    pthread_cond_signal(&lane->wake);
    pthread_mutex_unlock(&lane->lock);
    return 0;
}
