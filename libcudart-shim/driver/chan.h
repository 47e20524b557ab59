/* SPDX-License-Identifier: MIT */
/*
 * chan.h - the channel of this process: records out, replies in, waiting, liveness.
 *
 * The generated stubs (build/gen/stubs.c) and launch.c write records between gvm_chan_begin() and
 * gvm_chan_post() or gvm_chan_call(); in between the ring lock is held, so nothing there may block
 * or fail. Every thread that calls has a lane; it gets one at its first call.
 *
 * Errors are CUresult numbers: what the worker answered, the sticky error of the context, or
 * GVM_ERR_GONE when the worker is not there any more.
 */
#ifndef GVM_CHAN_H
#define GVM_CHAN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conn.h"
#include "lock.h"
#include "ring.h"

/* CUDA_ERROR_DEVICE_UNAVAILABLE: of CUDA's errors the one that says what happened. */
#define GVM_ERR_GONE 46

/* Flag of gvm_chan_begin(), never on the wire: send although the context has a sticky error. */
#define GVM_CALL_ANYWAY 0x8000u

struct gvm_chan;
struct gvm_event;

/* Launches of one stream that may be incomplete; see credit.c. */
struct gvm_credit {
    int32_t left; /* of the current batch; under the ring lock */
    bool used, started;
    uint32_t waited; /* the event's value that was waited for last */
    uint64_t since;  /* ns; when that wait ended. Atomic, as the next */
    uint64_t took;   /* ns from one such end to the next, lately */
    struct gvm_event *ev;
};
#define GVM_CREDIT_BATCH 128u

struct gvm_lane {
    struct gvm_chan *chan;
    uint32_t id;
    uint32_t refs;            /* threads on it; more than one only beyond VGPU_LANES threads */
    uint64_t tag;             /* the lane in a record's first word */
    struct gvm_credit credit; /* of the per-thread default stream */
    uint32_t err_seen;        /* last lane_err word that was reported */
    uint32_t mark;            /* its counter + 1 (mark.c), 0: none yet */
    uint32_t spin_ns;         /* how long the next wait polls before it sleeps */
    pthread_mutex_t call;     /* held over replied calls, and over every record of a shared lane */
};

struct gvm_chan {
    /* What a posted call touches comes first. */
    struct gvm_lock lock; /* guards prod, rang_at, skipped, turn, quiet, lanes' refs */
    uint32_t skipped;     /* doorbells left out since the last one */
    bool turn;            /* the record being written holds its lane's `call` */
    uint32_t short_epoch; /* atomic; gvm.epoch while calls may take short ways, else 0 */
    uint32_t long_ways;   /* reasons why they may not */
    struct vgpu_producer prod;
    struct vgpu_channel ch;
    uint64_t rang_at; /* cmd_cons at the last doorbell */
    int gone;         /* GVM_ERR_GONE once the worker was found dead; sticky of a lost context */

    /* Ticket up to which nothing that was sent is at work: it is complete, or never started
     * anything on the device. */
    uint32_t quiet;

    struct gvm_conn conn;
    uint32_t spin_max_ns;
    uint32_t space_spin_ns;

    /* Work that the host could see complete (launches, event records, copies out of pool memory)
     * issued on blocking streams, and how much of it is known to be complete. */
    uint64_t work_issued, work_done;
    struct gvm_credit credit; /* of the legacy default stream */

    bool shared; /* some lane has, or has had, several threads at a time; atomic */

    pthread_mutex_t lanes_lock;
    uint32_t lane_next;
    struct gvm_lane lanes[VGPU_LANES];
};

/* The calling thread's lane; NULL: none yet, or it may not call now. */
extern __thread struct gvm_lane *gvm_self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

#define GVM_SKIP_MAX 1024 /* doorbells in a row that may be left out */

/*
 * The worker sleeps: is a doorbell needed? While it has not taken anything since the last one, that
 * one is still on its way: a burst of posted calls needs no more, but for every GVM_SKIP_MAXth,
 * should a doorbell be lost. Waiting calls always ring. With the ring lock held.
 */
static inline bool gvm_chan_must_ring(struct gvm_chan *c)
{
    return VGPU_LOAD(&c->ch.back->cmd_cons) != c->rang_at || c->skipped >= GVM_SKIP_MAX;
}

/* Ends a record that was published with the ring lock held: unlocks, and rings if the worker is
 * asleep and no doorbell is on its way already. */
void gvm_chan_end(struct gvm_chan *c);

/* Takes the ring lock and returns where the payload goes (payload_len octets, <= VGPU_REC_MAX -
 * 16), or NULL with *err set and no lock held: fork, death, sticky error. flags: VGPU_REC_REPLY. */
void *gvm_chan_begin(struct gvm_chan *c, uint16_t op, uint32_t payload_len, unsigned flags,
                     int *err);

/* Publishes, unlocks, rings the doorbell if the worker sleeps. Returns 0. */
int gvm_chan_post(struct gvm_chan *c);

/* Publishes a record with VGPU_REC_REPLY, unlocks, waits for the reply. Up to out_max octets of
 * payload go to `out`, their number to *got. Returns the reply's status or a local error. */
int gvm_chan_call(struct gvm_chan *c, void *out, uint32_t out_max, uint32_t *got);

/* True if the context is known to be idle: nothing that could keep it busy has been sent since it
 * was last waited for, by any thread. */
bool gvm_chan_quiet(struct gvm_chan *c);

/* The replied call that this thread has just made has waited for everything sent before it. */
void gvm_chan_settled(struct gvm_chan *c);

/* 0, the sticky error of the context, or GVM_ERR_GONE. */
int gvm_chan_sticky(struct gvm_chan *c);
/* The same, or 800 inside a function of the program where calls are not permitted. */
int gvm_chan_check(struct gvm_chan *c);

/* As gvm_chan_check(), and asks the connection as well: for callers that answer "not yet" from
 * memory again and again. */
int gvm_chan_check_slow(struct gvm_chan *c);

/* The next latched error of this thread's posted calls, each reported once; 0: none. */
int gvm_chan_latched(struct gvm_chan *c);

/* True if counter `slot` has reached `value`. */
static inline bool gvm_counter_done(struct gvm_chan *c, uint32_t slot, uint32_t value)
{
    return (int32_t)(VGPU_LOAD_ACQUIRE(&c->ch.counters[slot]) - value) >= 0;
}

/* Waits for that; `spin` false: sleep at once (CU_EVENT_BLOCKING_SYNC). 0 or an error. */
int gvm_counter_wait(struct gvm_chan *c, uint32_t slot, uint32_t value, bool spin);

/* This thread, which has a lane, is about to run a function of the program in which CUDA calls are
 * not permitted (they fail with 800), or has run it. Costs calls of other threads nothing. */
void gvm_chan_bar(bool on);
bool gvm_chan_barred(void);

/*
 * A call may take a short way, which looks at nothing but what it needs in the common case, while
 * short_epoch is not 0: the connection is usable, its primary context active, no stream capture is
 * open, and there is no other reason against it. To be called when one of these has changed;
 * reasons: how many more of the last kind there are.
 */
void gvm_short_ways(struct gvm_chan *c, int reasons);

/* Makes a channel over an open connection, its pages mapped. A forked child finds zeros in it.
 * NULL: out of memory. */
struct gvm_chan *gvm_chan_create(const struct gvm_conn *conn);

/* Ends the connection. Nothing may use the channel any more; its struct stays allocated, because
 * lanes of other threads point into it. */
void gvm_chan_destroy(struct gvm_chan *c);

/* This thread's lane number, for tests; opens a lane if there is none. -1 with *err set. */
int gvm_chan_lane(struct gvm_chan *c, int *err);

#endif
