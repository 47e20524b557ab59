/* SPDX-License-Identifier: MIT */
#include "dom0-backend/worker/trace.h"
#include "dom0-backend/common/clock.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "decode.h"
#include "dom0-backend/transport/trace_ring.h"
#include "dom0-backend/worker/worker.h"

/* The ring for one write, NULL: there is none any more. Until trace_leave() it stays mapped. */
static struct tr_head *trace_enter(struct wk_trace *t)
{
    struct tr_head *r;

    atomic_fetch_add(&t->users, 1);
    r = atomic_load(&t->ring);
    if (!r)
        atomic_fetch_sub(&t->users, 1);
    return r;
}

static void trace_leave(struct wk_trace *t)
{
    atomic_fetch_sub(&t->users, 1);
}

void wk_trace_stop(struct wk *w)
{
    struct tr_head *r = atomic_exchange(&w->trace.ring, NULL);

    if (!r)
        return;
    /* A write is a few hundred octets; whoever enters from now on finds no ring. */
    while (atomic_load(&w->trace.users))
        sched_yield();
    munmap(r, TR_SIZE);
}

int wk_trace_start(struct wk *w, int fd)
{
    struct tr_head *r = mmap(NULL, TR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (r == MAP_FAILED)
        return -errno;
    wk_trace_stop(w);
    r->magic = TR_MAGIC;
    r->slots = TR_SLOTS;
    atomic_store(&w->trace.ring, r);
    return 0;
}

/* Several threads take slots; a slot is one thread's until the ring has gone round. */
static void put(struct wk *w, struct tr_slot *s, const void *data, uint32_t len)
{
    struct tr_head *r = trace_enter(&w->trace);
    struct tr_slot *to;
    uint64_t n;

    if (!r)
        return;
    s->t_ns = now_ns();
    s->len = len;
    memcpy(s->data, data, len < TR_DATA ? len : TR_DATA);
    n = __atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED);
    to = (struct tr_slot *)((uint8_t *)r + TR_HEAD) + n % TR_SLOTS;
    __atomic_store_n(&to->seq, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy(&to->t_ns, &s->t_ns, sizeof(*s) - offsetof(struct tr_slot, t_ns));
    __atomic_store_n(&to->seq, n + 1, __ATOMIC_RELEASE);
    trace_leave(&w->trace);
}

void wk_trace_begin(struct wk *w, const struct vgpu_rec *rec)
{
    struct tr_slot s = {.kind = TR_BEGIN,
                        .ticket = rec->ticket,
                        .op = rec->op,
                        .lane = rec->lane,
                        .flags = rec->flags};

    put(w, &s, rec, rec->len);
}

void wk_trace_end(struct wk *w, const struct vgpu_rec *h, const struct vgpu_result *res)
{
    struct tr_slot s = {.kind = TR_END,
                        .ticket = h->ticket,
                        .op = h->op,
                        .lane = h->lane,
                        .flags = h->flags,
                        .status = res->status};

    put(w, &s, res->payload, res->len);
}
