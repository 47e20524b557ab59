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
/* ns */
#define NAP_MIN  200000u
#define NAP_MAX  1000000u
#define NAP_LONG 20000000u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void sleep_ns(uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};

    nanosleep(&t, NULL);
}

static bool over(struct gvm_chan *c, uint32_t slot, uint32_t value)
{
    return gvm_counter_done(c, slot, value) || !vgpu_well(&c->ch);
}

/*
 * At least one batch is still queued when this returns, so the device has work meanwhile and being
 * late by a part of a millisecond costs nothing. Naps need no doorbell in either direction; only a
 * queue that moves slowly is waited for as other things are. Where polling would be in vain, going by
 * the last time, a nap comes first that is as long as most of that wait.
 */
static void wait_for(struct gvm_chan *c, struct gvm_credit *k, uint32_t slot, uint32_t value)
{
    uint64_t most = (uint64_t)SPINS * c->spin_max_ns, start = gvm_clock(), nap = NAP_MIN;
    uint64_t took = __atomic_load_n(&k->took, __ATOMIC_RELAXED);
    uint64_t since = start - __atomic_load_n(&k->since, __ATOMIC_RELAXED);

    if (took > NAP_LONG)
        took = NAP_LONG;
    if (since < took / 4 * 3 && took / 4 * 3 - since > most && !over(c, slot, value)) {
        sleep_ns(took / 4 * 3 - since);
        nap = took / 8 > NAP_MIN ? took / 8 : NAP_MIN;
        start = gvm_clock();
    }
    while (!over(c, slot, value) && gvm_clock() - start < most)
        for (int i = 0; i < 64; i++)
            gvm_relax();
    for (unsigned i = 0; i < NAPS && !over(c, slot, value); i++) {
        sleep_ns(nap);
        if (nap < NAP_MAX)
            nap *= 2;
    }
    gvm_counter_wait(c, slot, value, false);
    start = gvm_clock();
    __atomic_store_n(&k->took, start - __atomic_exchange_n(&k->since, start, __ATOMIC_RELAXED),
                     __ATOMIC_RELAXED);
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
        wait_for(c, k, slot, value - 1);
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
