/* SPDX-License-Identifier: MIT */
/*
 * objects.h - streams and events inside the driver library.
 */
#ifndef GVM_OBJECTS_H
#define GVM_OBJECTS_H

#include "core.h"
#include "idtab.h"
#include "lock.h"
#include "shadow.h"
#include "state.h"

#define GVM_STREAM_NON_BLOCKING 1u
#define GVM_EVENT_BLOCKING_SYNC 1u
#define GVM_EVENT_NO_TIMING     2u
#define GVM_EVENT_INTERPROCESS  4u

struct gvm_capture;

struct gvm_stream {
    struct gvm_obj o;
    uint32_t flags;
    int32_t priority;
    struct gvm_credit credit;
    void *owner; /* context that made it, NULL: the primary one */
};

struct gvm_event {
    struct gvm_obj o;
    uint32_t flags;
    uint32_t slot; /* in the channel's counters */
    uint32_t recorded;
    struct gvm_lock order; /* records are posted in the order of their numbers */
    /* Atomic: the number of the last record; of the last one that the counter shows, and the value
     * that it shows then; of the last one that was found reached by asking; whether the answer has
     * been "not yet" before. */
    uint32_t number, shown, value, found, asked;
    struct gvm_capture *cap; /* its last record was captured there (capture_event.c) */
    void **cap_nodes;
    size_t cap_n;
    bool internal; /* a staging buffer's, not the program's */
    void *owner;
};

extern struct gvm_idtab gvm_streams, gvm_events;

/* Remembers an event that went with its context: calls on it answer 709 for some time. */
void gvm_event_orphan(uint64_t event);

/* A stream as calls name it. */
struct gvm_sref {
    uint32_t id;
    bool blocking; /* takes part in the order of the legacy default stream */
};

/* Some thread has used its own default stream (mark.c). */
extern uint32_t gvm_streams_own;

/* CUstream value -> id. 400: no such stream. */
static inline int gvm_stream_ref(uint64_t stream, struct gvm_sref *s)
{
    if (stream <= GVM_STREAM_PER_THREAD) {
        *s = (struct gvm_sref){(uint32_t)stream, true};
        if (stream == GVM_STREAM_PER_THREAD && !__atomic_load_n(&gvm_streams_own, __ATOMIC_RELAXED))
            __atomic_store_n(&gvm_streams_own, 1, __ATOMIC_SEQ_CST);
    } else {
        const struct gvm_stream *o = gvm_id_get(&gvm_streams, stream);

        if (!o)
            return 400;
        *s = (struct gvm_sref){o->o.id, !(o->flags & GVM_STREAM_NON_BLOCKING)};
    }
    return 0;
}

/* The context of a stream; default streams are those of the current one. */
static inline void *gvm_stream_owner(uint64_t stream)
{
    const struct gvm_stream *o =
        stream <= GVM_STREAM_PER_THREAD ? NULL : gvm_id_get(&gvm_streams, stream);

    return o ? o->owner : gvm_owner();
}

/* The credit of a stream that gvm_stream_ref() has accepted. */
static inline struct gvm_credit *gvm_credit_of(struct gvm_chan *c, uint64_t stream)
{
    struct gvm_stream *o;

    if (stream == GVM_STREAM_PER_THREAD)
        return gvm_self ? &gvm_self->credit : NULL;
    if (stream <= GVM_STREAM_LEGACY)
        return &c->credit;
    o = gvm_id_get(&gvm_streams, stream);
    return o ? &o->credit : NULL;
}

/* A batch of launches is used up: waits until no more than three are incomplete. */
void gvm_credit_turn(struct gvm_chan *c, struct gvm_credit *k, const struct gvm_sref *s);
/* Before the stream's id is given back. */
void gvm_credit_drop(struct gvm_chan *c, struct gvm_credit *k);

static inline bool gvm_is_legacy(const struct gvm_sref *s)
{
    return s->id <= GVM_STREAM_LEGACY;
}

/* Before posting work whose completion the host could notice. */
static inline void gvm_work_issue(struct gvm_chan *c, const struct gvm_sref *s)
{
    gvm_shadow_push();
    if (s->blocking)
        __atomic_fetch_add(&c->work_issued, 1, __ATOMIC_RELAXED);
}

/* To be taken before a synchronisation is sent and given to gvm_work_synced() after it. */
static inline uint64_t gvm_work_mark(struct gvm_chan *c)
{
    return __atomic_load_n(&c->work_issued, __ATOMIC_RELAXED);
}

static inline void gvm_work_synced(struct gvm_chan *c, uint64_t mark)
{
    uint64_t done = __atomic_load_n(&c->work_done, __ATOMIC_RELAXED);

    while (done < mark && !__atomic_compare_exchange_n(&c->work_done, &done, mark, false,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* Memory of this process is another one's too, or the other way round (ipc.c): what a call has done
 * to it must be there when the call returns, as the other one may be told of it. */
extern uint32_t gvm_has_company; /* atomic */
static inline void gvm_company(void)
{
    __atomic_store_n(&gvm_has_company, 1, __ATOMIC_RELAXED);
}
static inline bool gvm_alone(void)
{
    return !__atomic_load_n(&gvm_has_company, __ATOMIC_RELAXED);
}

/* True if nothing that a copy on the legacy stream would wait for can still be under way. */
static inline bool gvm_work_idle(struct gvm_chan *c)
{
    return gvm_work_mark(c) == __atomic_load_n(&c->work_done, __ATOMIC_RELAXED);
}

/* Waits for everything; no output is printed, no latched error looked at. */
int gvm_ctx_settle(struct gvm_chan *c);

/* Waits for a stream; no output is printed, no latched error looked at. */
int gvm_stream_wait_idle(struct gvm_chan *c, const struct gvm_sref *s);

/* Creates an event with its counter. NULL with *err set. */
struct gvm_event *gvm_event_make(struct gvm_chan *c, uint32_t flags, int *err);
/* The same; share: of another process's, with GVM_EVENT_INTERPROCESS, or NULL. */
struct gvm_event *gvm_event_make_of(struct gvm_chan *c, uint32_t flags, const uint8_t *share,
                                    int *err);
int gvm_event_drop(struct gvm_chan *c, struct gvm_event *e);
/* Records it so that its counter shows the value given to *value once it is reached. */
int gvm_event_post(struct gvm_chan *c, struct gvm_event *e, const struct gvm_sref *s,
                   uint32_t *value);

/* The value that the next record of the event with this id gives its counter. */
uint32_t gvm_event_next(uint32_t id);

/* A counter without an event; -1: there is none left. It goes with the connection, or is given back. */
int gvm_slot_take(struct gvm_chan *c);
void gvm_slot_give(uint32_t slot);
/* What it has, or will have when what is under way is done. */
uint32_t gvm_slot_value(uint32_t slot);
/* The value that the counter gets next: for a call that stores it. */
uint32_t gvm_slot_next(uint32_t slot);
/* Marks this point of the stream: the counter gets *value there. One caller for a slot at a time.
 * due: microseconds, at most GVM_DUE_MAX, after which this is expected, and the next call with it, so
 * that the worker is awake by then; 0: unknown. */
#define GVM_DUE_MAX 1000000u
int gvm_slot_mark(struct gvm_chan *c, uint32_t slot, const struct gvm_sref *s, uint32_t due,
                  uint32_t *value);
/* The same, answered when it has been issued: 0, or why it could not be. */
int gvm_slot_answered(struct gvm_chan *c, uint32_t slot, const struct gvm_sref *s, uint32_t *value);
/* That behind a copy of n octets to the lane's reply slot. */
int gvm_slot_land(struct gvm_chan *c, uint32_t slot, const struct gvm_sref *s, uint64_t src,
                  uint32_t n, uint32_t *value);

/* What a call that waited for the device answers: rc, else an error that a posted call left. */
int gvm_after_wait(struct gvm_chan *c, int rc);

#endif
