/* SPDX-License-Identifier: MIT */
#include "settle.h"
#include "clock.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#define NAP_MIN_NS 200000u    /* shorter ones are not worth it */
#define RATE_LEAST 8192u      /* assumed while nothing is known: 8 GB/s */
#define LEARN_MIN  (4u << 20) /* in smaller copies other times count */
#define SLOTS      8u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    uint32_t epoch, slot;
} idle[SLOTS]; /* counters that nobody uses now */
static unsigned nidle;
/* The fastest that copies have been lately, to and from the device; octets in 1024 ns. 0: unknown. */
static uint32_t rate[2];

static int slot_get(struct gvm_chan *c)
{
    int slot = -1;

    pthread_mutex_lock(&lock);
    while (nidle && slot < 0)
        if (idle[--nidle].epoch == gvm.epoch) /* else it went with its connection */
            slot = (int)idle[nidle].slot;
    pthread_mutex_unlock(&lock);
    return slot < 0 ? gvm_slot_take(c) : slot;
}

static void slot_put(uint32_t slot)
{
    bool kept;

    pthread_mutex_lock(&lock);
    kept = nidle < SLOTS;
    if (kept) {
        idle[nidle].epoch = gvm.epoch;
        idle[nidle++].slot = slot;
    }
    pthread_mutex_unlock(&lock);
    if (!kept)
        gvm_slot_give(slot);
}

bool gvm_settle_poll(struct gvm_chan *c, uint32_t slot, uint32_t value, uint64_t ns)
{
    uint64_t end = c->spin_max_ns ? gvm_clock() + ns : 0;

    while (!gvm_counter_done(c, slot, value)) {
        if (!end || !vgpu_well(&c->ch) || gvm_clock() >= end)
            return false;
        for (int i = 0; i < 32; i++)
            gvm_relax();
        sched_yield(); /* the worker may be waiting for this processor */
    }
    return true;
}

/* Faster is believed at once, slower in small steps: the copy may have waited for something. Who
 * has overslept knows only that it was shorter. */
static void learn(bool to_device, uint64_t n, uint64_t took, bool overslept)
{
    uint64_t seen = (n << 10) / (took ? took : 1);
    uint64_t was = __atomic_load_n(&rate[to_device], __ATOMIC_RELAXED);

    if (overslept)
        seen = 2 * seen;
    else if (seen < was)
        seen = was - was / 16;
    if (seen > UINT32_MAX)
        seen = UINT32_MAX;
    __atomic_store_n(&rate[to_device], seen ? (uint32_t)seen : 1, __ATOMIC_RELAXED);
}

int gvm_settle(struct gvm_chan *c, const struct gvm_sref *s, uint64_t n, bool to_device)
{
    uint64_t mark = gvm_work_mark(c), start, least, nap = 0;
    uint32_t fast = __atomic_load_n(&rate[to_device], __ATOMIC_RELAXED), due, value;
    int slot = n < GVM_SETTLE_MIN ? -1 : slot_get(c), rc;
    bool overslept = false;

    if (slot < 0)
        return gvm_stream_wait_idle(c, s);
    start = gvm_clock();
    least = (n << 10) / (fast ? fast : RATE_LEAST);
    due = least / 1000 < GVM_DUE_MAX ? (uint32_t)(least / 1000) : GVM_DUE_MAX;
    if (fast && c->spin_max_ns && least * 3 / 4 > NAP_MIN_NS)
        nap = least * 3 / 4;
    rc = gvm_slot_mark(c, (uint32_t)slot, s, fast && c->spin_max_ns ? due : 0, &value);
    if (rc == 0 && nap && !gvm_counter_done(c, (uint32_t)slot, value)) {
        struct timespec t = {.tv_sec = (time_t)(nap / 1000000000u),
                             .tv_nsec = (long)(nap % 1000000000u)};

        nanosleep(&t, NULL);
        overslept = gvm_counter_done(c, (uint32_t)slot, value);
    }
    if (rc == 0 && !gvm_settle_poll(c, (uint32_t)slot, value, 2 * least + NAP_MIN_NS))
        rc = gvm_counter_wait(c, (uint32_t)slot, value, false);
    if (rc == 0)
        rc = gvm_chan_sticky(c); /* counters are also stored for a context that has faulted */
    if (rc == 0 && n >= LEARN_MIN)
        learn(to_device, n, gvm_clock() - start, overslept);
    slot_put((uint32_t)slot);
    /* A driver hands over what kernels have printed when it is asked to wait. */
    if (rc || !gvm_is_legacy(s) || gvm_has_printed())
        return rc ? rc : gvm_stream_wait_idle(c, s);
    gvm_work_synced(c, mark);
    return 0;
}
