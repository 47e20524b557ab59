/* SPDX-License-Identifier: MIT */
/*
 * event.c - events. Each has a counter in the channel that can show the value of a record once it is
 * reached: query and synchronise then read memory, no call crosses. To show it costs the GPU more
 * than the record itself, and most records are never asked about: only events that a program polls
 * are recorded that way, from the second time on that an answer was "not yet"; the worker is asked
 * about the others.
 */
#include "array.h"
#include "log.h"
#include "capture.h"
#include "ipc.h"
#include "module.h"
#include "mempool.h"
#include "mark.h"
#include "objects.h"
#include "blocks.h"
#include "stage.h"
#include "stubs.h"
#include "vmm.h"

#include <string.h>

struct gvm_idtab gvm_events = GVM_IDTAB_INIT(2, struct gvm_event);

/* Queries between two looks at the connection itself (the liveness octet is read by each). */
#define ASK_EVERY 1024

enum slot_state { SLOT_FREE, SLOT_USED, SLOT_ENDING };

static struct {
    pthread_mutex_t lock;
    uint8_t state[VGPU_COUNTERS];
    uint32_t value[VGPU_COUNTERS]; /* last value given out; goes on with the next owner */
    uint32_t next;
} slots = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A slot whose event went while a value of it was pending is free when that has been stored: else the
 * late value would meet the next owner. */
static int slot_take(struct gvm_chan *c)
{
    int found = -1;

    pthread_mutex_lock(&slots.lock);
    for (uint32_t i = 0; i < VGPU_COUNTERS && found < 0; i++) {
        uint32_t k = (slots.next + i) % VGPU_COUNTERS;

        if (slots.state[k] == SLOT_FREE ||
            (slots.state[k] == SLOT_ENDING && gvm_counter_done(c, k, slots.value[k])))
            found = (int)k;
    }
    if (found >= 0) {
        slots.state[found] = SLOT_USED;
        slots.next = ((uint32_t)found + 1) % VGPU_COUNTERS;
    }
    pthread_mutex_unlock(&slots.lock);
    return found;
}

static void slot_give(uint32_t slot)
{
    pthread_mutex_lock(&slots.lock);
    slots.state[slot] = SLOT_ENDING;
    pthread_mutex_unlock(&slots.lock);
}

int gvm_slot_take(struct gvm_chan *c)
{
    return slot_take(c);
}

void gvm_slot_give(uint32_t slot)
{
    slot_give(slot);
}

uint32_t gvm_slot_value(uint32_t slot)
{
    return __atomic_load_n(&slots.value[slot], __ATOMIC_RELAXED);
}

uint32_t gvm_slot_next(uint32_t slot)
{
    return __atomic_add_fetch(&slots.value[slot], 1, __ATOMIC_RELAXED);
}

int gvm_slot_mark(struct gvm_chan *c, uint32_t slot, const struct gvm_sref *s, uint32_t due,
                  uint32_t *value)
{
    *value = gvm_slot_next(slot);
    return vgpu_StreamMark(c, 0, s->id, slot, *value, due);
}

int gvm_slot_answered(struct gvm_chan *c, uint32_t slot, const struct gvm_sref *s, uint32_t *value)
{
    *value = gvm_slot_next(slot);
    return vgpu_StreamMark(c, VGPU_REC_REPLY, s->id, slot, *value, 0);
}

int gvm_slot_land(struct gvm_chan *c, uint32_t slot, const struct gvm_sref *s, uint64_t src,
                  uint32_t n, uint32_t *value)
{
    *value = gvm_slot_next(slot);
    return vgpu_CopyLand(c, VGPU_REC_REPLY, s->id, src, n, slot, *value);
}

/* The last events that went with a context. */
static struct {
    pthread_mutex_t lock;
    uint64_t v[1024];
    unsigned n;
} orphans = {.lock = PTHREAD_MUTEX_INITIALIZER};

void gvm_event_orphan(uint64_t event)
{
    pthread_mutex_lock(&orphans.lock);
    orphans.v[orphans.n++ % 1024] = event;
    pthread_mutex_unlock(&orphans.lock);
}

/* What a call on an event that is none answers. */
static int no_event(uint64_t event)
{
    int rc = 400;

    pthread_mutex_lock(&orphans.lock);
    for (unsigned i = 0; i < 1024 && rc == 400; i++)
        if (event && orphans.v[i] == event)
            rc = 709;
    pthread_mutex_unlock(&orphans.lock);
    return rc;
}

static void orphan(void *obj, void *arg)
{
    const struct gvm_event *e = obj;

    if (!e->internal)
        gvm_event_orphan(gvm_handle(&gvm_events, e));
}

static void forget(void *obj, void *arg)
{
    gvm_id_free(arg, obj);
}

/* A new connection starts with all counters at 0 and no objects. */
void gvm_objects_reset(void)
{
    gvm_blocks_reset();
    gvm_stage_reset();
    gvm_modules_reset();
    gvm_textures_end(NULL, true);
    gvm_arrays_end(NULL, true);
    gvm_mempool_reset();
    gvm_vmm_reset();
    gvm_ipc_reset();
    gvm_registered_reset();
    gvm_shadow_reset();
    gvm_streams_reset();
    gvm_id_each(&gvm_streams, forget, &gvm_streams);
    gvm_id_each(&gvm_events, orphan, NULL);
    gvm_id_each(&gvm_events, forget, &gvm_events);
    pthread_mutex_lock(&slots.lock);
    memset(slots.state, SLOT_FREE, sizeof(slots.state));
    memset(slots.value, 0, sizeof(slots.value));
    slots.next = 0;
    pthread_mutex_unlock(&slots.lock);
}

static int create(struct gvm_chan *c, const struct gvm_event *e, const uint8_t *share)
{
    if (share)
        return vgpu_IpcOpenEvent(c, 0, e->o.id, e->slot, share, GVM_SHARE);
    if (e->flags & GVM_EVENT_INTERPROCESS)
        return vgpu_IpcEventCreate(c, 0, e->o.id, e->slot);
    return vgpu_EventCreate(c, 0, e->o.id, e->flags, e->slot);
}

struct gvm_event *gvm_event_make(struct gvm_chan *c, uint32_t flags, int *err)
{
    return gvm_event_make_of(c, flags, NULL, err);
}

struct gvm_event *gvm_event_make_of(struct gvm_chan *c, uint32_t flags, const uint8_t *share,
                                    int *err)
{
    struct gvm_event *e = gvm_id_new(&gvm_events);
    int slot;

    *err = 2;
    if (!e)
        return NULL;
    slot = slot_take(c);
    if (slot < 0) {
        static uint32_t said;

        if (gvm_once(&said))
            gvm_log("no further event: %u exist at a time", VGPU_COUNTERS);
        gvm_id_free(&gvm_events, e);
        return NULL;
    }
    e->flags = flags;
    e->owner = gvm_owner();
    e->internal = true; /* until it is given to the program */
    e->slot = (uint32_t)slot;
    *err = create(c, e, share);
    if (*err) {
        slot_give(e->slot);
        gvm_id_free(&gvm_events, e);
        return NULL;
    }
    return e;
}

int gvm_event_create(uint32_t flags, uint64_t *event)
{
    struct gvm_event *e;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    /* Interprocess events cannot time. */
    if (!event ||
        flags & ~(GVM_EVENT_BLOCKING_SYNC | GVM_EVENT_NO_TIMING | GVM_EVENT_INTERPROCESS) ||
        (flags & GVM_EVENT_INTERPROCESS && !(flags & GVM_EVENT_NO_TIMING)))
        return 1;
    e = gvm_event_make(c, flags, &rc);
    if (e) {
        e->internal = false;
        *event = gvm_handle(&gvm_events, e);
    }
    return rc;
}

int gvm_event_drop(struct gvm_chan *c, struct gvm_event *e)
{
    int rc = vgpu_EventDestroy(c, 0, e->o.id);

    slot_give(e->slot);
    gvm_id_free(&gvm_events, e);
    return rc;
}

int gvm_event_destroy(uint64_t event)
{
    struct gvm_event *e;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    e = gvm_id_get(&gvm_events, event);
    if (!e)
        return no_event(event);
    gvm_cap_forget(e);
    return gvm_event_drop(c, e);
}

/* Of the next record, of which nothing is shown unless value is given: what the counter then shows.
 * Who reads `number` first reads of the others nothing older. */
static void next(struct gvm_event *e, uint32_t *value)
{
    uint32_t n = e->number + 1;

    if (value) {
        *value = __atomic_add_fetch(&slots.value[e->slot], 1, __ATOMIC_RELAXED);
        __atomic_store_n(&e->value, *value, __ATOMIC_RELAXED);
        __atomic_store_n(&e->shown, n, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&e->number, n, __ATOMIC_RELEASE);
    __atomic_store_n(&e->recorded, 1, __ATOMIC_RELEASE);
}

uint32_t gvm_event_next(uint32_t id)
{
    struct gvm_event *e = gvm_id_at(&gvm_events, id);
    uint32_t v;

    gvm_lock(&e->order);
    next(e, &v);
    gvm_unlock(&e->order);
    return v;
}

int gvm_event_post(struct gvm_chan *c, struct gvm_event *e, const struct gvm_sref *s,
                   uint32_t *value)
{
    /* Another process may be told of the record, and look, as soon as this call returns. */
    unsigned flags = e->flags & GVM_EVENT_INTERPROCESS ? VGPU_REC_REPLY : 0;
    int rc;

    gvm_lock(&e->order);
    next(e, value);
    rc = vgpu_EventRecord(c, flags, e->o.id, s->id, *value);
    gvm_unlock(&e->order);
    return rc;
}

int gvm_event_record(uint64_t event, uint64_t stream)
{
    struct gvm_event *e;
    struct gvm_sref s;
    struct gvm_chan *c;
    uint32_t value;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc)
        return rc;
    e = gvm_id_get(&gvm_events, event);
    if (!e)
        return no_event(event);
    if (e->owner != gvm_stream_owner(stream)) /* of two contexts */
        return 400;
    if (gvm_chan_barred())
        return 800;
    GVM_CAPTURE(gvm_cap_record(stream, event, e, false));
    if (e->cap)
        gvm_cap_forget(e);
    gvm_work_issue(c, &s);
    if (__atomic_load_n(&e->asked, __ATOMIC_RELAXED) || e->flags & GVM_EVENT_INTERPROCESS)
        return gvm_event_post(c, e, &s, &value);
    gvm_lock(&e->order);
    next(e, NULL);
    rc = vgpu_EventMark(c, 0, e->o.id, s.id);
    gvm_unlock(&e->order);
    return rc;
}

enum state { REACHED, PENDING, UNKNOWN };

/* As far as memory tells of the last record, whose number goes to *n. */
static enum state look(struct gvm_chan *c, const struct gvm_event *e, uint32_t *n)
{
    *n = __atomic_load_n(&e->number, __ATOMIC_ACQUIRE);
    if (!__atomic_load_n(&e->recorded, __ATOMIC_ACQUIRE) ||
        __atomic_load_n(&e->found, __ATOMIC_RELAXED) == *n)
        return REACHED;
    if (__atomic_load_n(&e->shown, __ATOMIC_RELAXED) != *n)
        return UNKNOWN;
    return gvm_counter_done(c, e->slot, __atomic_load_n(&e->value, __ATOMIC_RELAXED)) ? REACHED
                                                                                      : PENDING;
}

/* 0 reached or never recorded, 600 not yet. */
static int reached(struct gvm_chan *c, struct gvm_event *e)
{
    bool common = e->flags & GVM_EVENT_INTERPROCESS; /* the last record may be another process's */
    bool barred;
    uint32_t n;
    int rc;

    switch (common ? UNKNOWN : look(c, e, &n)) {
    case REACHED:
        return 0;
    case PENDING:
        return 600;
    default:
        break;
    }
    barred = gvm_chan_barred(); /* this may be asked inside a callback too */
    if (barred)
        gvm_chan_bar(false);
    rc = common ? vgpu_IpcEventQuery(c, 0, e->o.id) : vgpu_EventQuery(c, 0, e->o.id);
    if (barred)
        gvm_chan_bar(true);
    if (common)
        return rc;
    if (rc == 0)
        __atomic_store_n(&e->found, n, __ATOMIC_RELAXED);
    else if (rc == 600)
        __atomic_store_n(&e->asked, 1, __ATOMIC_RELAXED);
    return rc;
}

int gvm_event_query(uint64_t event)
{
    static __thread uint32_t asked __attribute__((tls_model("initial-exec")));
    struct gvm_event *e;
    struct gvm_chan *c;
    int rc = gvm_need(&c), dead;

    if (rc == 3) { /* in a forked child, from the copy of its memory */
        e = gvm_id_get(&gvm_events, event);
        return !e ? no_event(event) == 709 ? 709 : 3 : e->recorded ? 3 : 0;
    }
    if (rc)
        return rc;
    e = gvm_id_get(&gvm_events, event);
    if (!e)
        return no_event(event);
    if (e->cap || gvm_capturing()) {
        rc = gvm_cap_event(e);
        if (rc >= 0)
            return rc;
    }
    rc = reached(c, e);
    if (rc == 0)
        gvm_shadow_pull();
    if (rc && ++asked % ASK_EVERY == 0)
        dead = gvm_chan_check_slow(c);
    else
        dead = gvm_chan_sticky(c);
    return dead ? dead : rc;
}

int gvm_event_sync(uint64_t event)
{
    struct gvm_event *e;
    struct gvm_chan *c;
    enum state now;
    bool common;
    uint32_t n;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    e = gvm_id_get(&gvm_events, event);
    if (!e)
        return no_event(event);
    if (e->cap || gvm_capturing()) {
        rc = gvm_cap_event(e);
        if (rc >= 0)
            return rc;
    }
    gvm_blocks_flush(c);
    rc = gvm_chan_sticky(c);
    if (rc == 0 && gvm_chan_barred() && reached(c, e))
        return 800;
    if (rc)
        return gvm_after_wait(c, rc);
    now = look(c, e, &n);
    common = e->flags & GVM_EVENT_INTERPROCESS; /* the last record may be another process's */
    if (common)
        rc = vgpu_IpcEventSync(c, 0, e->o.id);
    else if (now == PENDING)
        rc = gvm_counter_wait(c, e->slot, __atomic_load_n(&e->value, __ATOMIC_RELAXED),
                              !(e->flags & GVM_EVENT_BLOCKING_SYNC));
    /* A driver hands over what kernels have printed when it is asked to wait. */
    if (rc == 0 && ((now == UNKNOWN && !common) || gvm_has_printed())) {
        rc = vgpu_EventSync(c, 0, e->o.id);
        if (rc == 0)
            __atomic_store_n(&e->found, n, __ATOMIC_RELAXED);
    }
    return gvm_after_wait(c, rc);
}

int gvm_event_elapsed(uint64_t start, uint64_t end, float *ms)
{
    const struct gvm_event *a, *b;
    struct gvm_chan *c;
    bool barred;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    a = gvm_id_get(&gvm_events, start);
    b = gvm_id_get(&gvm_events, end);
    if (!ms)
        return 1;
    if ((a && a->cap) || (b && b->cap))
        return 907; /* CUDA_ERROR_CAPTURED_EVENT */
    if (!a || !b || (a->flags | b->flags) & GVM_EVENT_NO_TIMING || !a->recorded || !b->recorded)
        return 400;
    barred = gvm_chan_barred(); /* this may be asked inside a callback too */
    if (barred)
        gvm_chan_bar(false);
    rc = vgpu_EventElapsed(c, 0, a->o.id, b->o.id, ms);
    if (barred)
        gvm_chan_bar(true);
    return rc;
}
