/* SPDX-License-Identifier: MIT */
/*
 * gate.h - the worker's part in sharing a GPU: work is issued only while the guest holds the GPU's
 * lease, and no more of it than the GPU is going to get through in a moment, so that the lease can
 * end. See transport/tenant.h and broker/gpushare.h.
 */
#ifndef GVM_WORKER_GATE_H
#define GVM_WORKER_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct tenant_page;
struct wk;
struct wk_stream;

#define WK_FENCES 64u /* DEV_FENCES */

/* Operations are numbered as they pass the gate. */
struct wk_gate {
    pthread_mutex_t lock;
    bool on;      /* there is a broker that shares, and a device that can say what is complete */
    bool managed; /* the gate has been shut or leased, and operations are counted */
    bool asleep;  /* the watching thread */
    bool stalled; /* nothing completes: something outside the GPU is waited for */
    bool spin;    /* there are CPUs enough */
    _Atomic int tell; /* eventfd of the broker */
    int told;         /* that of the broker before it; 0: none */
    uint64_t entered, submitted, fenced, passed;
    /* Operations from `before` on were issued in this stream, which is only compared: it may be gone. */
    const struct wk_stream *last;
    uint64_t before;
    uint64_t seen; /* submitted, at the last look of the watching thread */
    /* Marks behind what was submitted, oldest first. */
    struct {
        uint64_t seq,
            at; /* operations before it; when the first of them since the last was issued */
    } fence[WK_FENCES];
    unsigned first, n;
    uint64_t at;             /* when the first operation was issued that no fence covers */
    uint64_t moved;          /* when the last fence passed, or work began */
    uint64_t kept, kept_at;  /* tenant_slot.since and `passed` of when the gate was opened last */
    uint64_t each;           /* ns that an operation takes, by experience */
    uint32_t lease;          /* value of the gate under which operations were issued last */
    _Atomic uint32_t orphan; /* value that no broker is going to change: it is gone */
};

/* Before anything is issued in `s` that takes the GPU's time; waits for the guest's turn. Paired with
 * wk_gate_leave() when the operation has been handed to the device. */
void wk_gate_pass(struct wk *w, const struct wk_stream *s);
void wk_gate_left(struct wk *w);
extern __thread bool wk_gate_inside;

static inline void wk_gate_leave(struct wk *w)
{
    if (__builtin_expect(wk_gate_inside, 0))
        wk_gate_left(w);
}

/* The worker's slot is no longer this one: whoever sleeps there looks again. */
void wk_gate_moved(struct tenant_page *p, unsigned slot);
/* At the assignment: starts the thread that watches. 0 or -errno. */
int wk_gate_start(struct wk *w);

#endif
