/* SPDX-License-Identifier: MIT */
/*
 * credit.c - how many launches of a stream may be incomplete: a driver's queue has an end, too, and
 * the worker must never wait at it while other streams have work. After each batch an event is
 * recorded; a thread that is four batches ahead waits here, in the guest, where it holds up nobody.
 */
#include "clock.h"
#include "objects.h"

#include <pthread.h>
#include <time.h>

#define BATCHES 4u  /* of GVM_CREDIT_BATCH launches: 512 */
#define SPINS   20u /* times as long as for one answer */
#define NAPS    20u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * At least one batch is still queued when this returns, so the device has work meanwhile and being
 * late by a part of a millisecond costs nothing. Naps need no doorbell in either direction; only a
 * queue that moves slowly is waited for as other things are.
 */
static void wait_for(struct gvm_chan *c, uint32_t slot, uint32_t value)
{
    uint64_t most = (uint64_t)SPINS * c->spin_max_ns, start = gvm_clock();
    struct timespec nap = {.tv_nsec = 200000};

    while (gvm_clock() - start < most && !gvm_counter_done(c, slot, value) && vgpu_well(&c->ch))
        for (int i = 0; i < 64; i++)
            gvm_relax();
    for (unsigned i = 0; i < NAPS && !gvm_counter_done(c, slot, value) && vgpu_well(&c->ch); i++) {
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < 1000000)
            nap.tv_nsec *= 2;
    }
    gvm_counter_wait(c, slot, value, false);
}

void gvm_credit_turn(struct gvm_chan *c, struct gvm_credit *k, const struct gvm_sref *s)
{
    uint32_t value = 0, slot = 0;
    bool full = false;
    int err = 0;

    pthread_mutex_lock(&lock);
    if (!k->ev && k->used)
        k->ev = gvm_event_make(c, GVM_EVENT_NO_TIMING, &err);
    k->used = true; /* a new stream comes here with its first launch */
    if (k->ev) {
        err = gvm_event_post(c, k->ev, s, &value);
        slot = k->ev->slot;
        if (!k->started)
            k->waited = value - 1;
        k->started = true;
        full = !err && value - k->waited >= BATCHES;
        if (full)
            k->waited = value - 1; /* then three batches can go at once */
    }
    pthread_mutex_unlock(&lock);
    /* Without an event, or after an error, the worker's own limit has to do. */
    if (full)
        wait_for(c, slot, value - 1);
}

void gvm_credit_drop(struct gvm_chan *c, struct gvm_credit *k)
{
    pthread_mutex_lock(&lock);
    if (k->ev)
        gvm_event_drop(c, k->ev);
    k->ev = NULL;
    k->used = k->started = false;
    k->left = 0;
    pthread_mutex_unlock(&lock);
}
