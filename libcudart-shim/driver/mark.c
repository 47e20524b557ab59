/* SPDX-License-Identifier: MIT */
/*
 * mark.c - waiting for a stream without the worker: the device itself writes a counter of the channel
 * behind the stream's work, and this thread reads it. What is copied back on the way lies in the
 * lane's reply slot, where the device has put it.
 *
 * Only where the device can write there, and while no kernel can have printed: a driver hands text
 * over inside of calls that wait, so the worker must make one then.
 */
#include "mark.h"
#include "stubs.h"

#include <string.h>

/* Streams that the program has made. */
static struct {
    pthread_mutex_t lock;
    uint32_t live, count;
    uint32_t any, loose; /* atomic; there may be work of some, or of non-blocking ones, those that
                          * have been destroyed included */
} made = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint32_t gvm_streams_own;

void gvm_stream_made(bool blocking)
{
    pthread_mutex_lock(&made.lock);
    made.live++;
    made.count++;
    __atomic_store_n(&made.any, 1, __ATOMIC_RELAXED);
    if (!blocking)
        __atomic_store_n(&made.loose, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&made.lock);
}

void gvm_stream_gone(void)
{
    pthread_mutex_lock(&made.lock);
    made.live--;
    pthread_mutex_unlock(&made.lock);
}

void gvm_streams_reset(void)
{
    pthread_mutex_lock(&made.lock);
    made.live = made.count = made.any = made.loose = gvm_streams_own = 0;
    pthread_mutex_unlock(&made.lock);
}

uint32_t gvm_streams_count(void)
{
    uint32_t n;

    pthread_mutex_lock(&made.lock);
    n = made.count;
    pthread_mutex_unlock(&made.lock);
    return n;
}

void gvm_streams_idle(uint32_t count)
{
    pthread_mutex_lock(&made.lock);
    if (!made.live && made.count == count) {
        __atomic_store_n(&made.any, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&made.loose, 0, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&made.lock);
}

/* Whether this thread may wait by its counter. */
static bool may(struct gvm_chan *c)
{
    struct gvm_lane *l = gvm_self;

    if (!(gvm.info.caps & VGPU_DEVICE_WRITES_CHANNEL) || VGPU_LOAD(&c->ch.back->prints) || !l ||
        l->chan != c || __atomic_load_n(&c->shared, __ATOMIC_RELAXED))
        return false;
    if (!l->mark) {
        int slot = gvm_slot_take(c);

        if (slot < 0)
            return false;
        l->mark = (uint32_t)slot + 1;
    }
    return true;
}

/* A counter may also have been stored because the context has faulted. */
static int wait_mark(struct gvm_chan *c, uint32_t slot, uint32_t value)
{
    int rc = gvm_counter_wait(c, slot, value, true);

    return rc ? rc : gvm_chan_sticky(c);
}

/* With a reply, so that a call that cannot be issued is not waited for. */
static int mark(struct gvm_chan *c, const struct gvm_sref *s)
{
    uint32_t slot = gvm_self->mark - 1, value;
    int rc = gvm_slot_answered(c, slot, s, &value);

    return rc ? rc : wait_mark(c, slot, value);
}

/* A mark in a blocking stream waits for other blocking streams, too: only where the call itself
 * would, or where there are no others. */
int gvm_mark_stream(struct gvm_chan *c, const struct gvm_sref *s)
{
    bool alone = gvm_is_legacy(s) && !__atomic_load_n(&made.any, __ATOMIC_RELAXED) &&
                 !__atomic_load_n(&gvm_streams_own, __ATOMIC_RELAXED);

    return (alone || !s->blocking) && may(c) ? mark(c, s) : -1;
}

int gvm_mark_all(struct gvm_chan *c)
{
    const struct gvm_sref legacy = {GVM_STREAM_LEGACY, true};

    return !__atomic_load_n(&made.loose, __ATOMIC_RELAXED) && may(c) ? mark(c, &legacy) : -1;
}

int gvm_mark_fetch(struct gvm_chan *c, const struct gvm_sref *s, void *dst, uint64_t src,
                   uint32_t n)
{
    uint32_t value;
    int rc;

    if (!may(c))
        return -1;
    rc = gvm_slot_land(c, gvm_self->mark - 1, s, src, n, &value);
    if (rc == 0)
        rc = wait_mark(c, gvm_self->mark - 1, value);
    if (rc)
        return rc;
    vgpu_reply_landed(&c->ch, gvm_self->id, dst, n);
    /* Another thread may have been given this lane meanwhile, and have got a reply on it. */
    return __atomic_load_n(&c->shared, __ATOMIC_SEQ_CST) ? -1 : 0;
}
