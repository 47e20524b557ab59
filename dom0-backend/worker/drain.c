/* SPDX-License-Identifier: MIT */
/*
 * drain.c - records out of the ring, in ticket order, and their answers back.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>

#include "decode.h"
#include "dom0-backend/common/clock.h"
#include "dom0-backend/common/fault.h"
#include "dom0-backend/common/log.h"
#include "dom0-backend/worker/worker.h"

#define BUDGET          256u    /* records between two looks at the guest's need for space */
#define EXPECT_SPARE_NS 500000u /* how much later than expected may be waited for */

/* A posted call has no reply: its error waits in the page until the guest thread looks. */
static void latch(struct wk_lane *lane, int status)
{
    struct wk *w = lane->w;

    /* After a sticky error every call fails with it; the page already says so. */
    if (atomic_load_explicit(&w->sticky, memory_order_relaxed))
        return;
    lane->errors++;
    VGPU_STORE_RELEASE(&w->ch.back->lane_err[lane->index],
                       (uint32_t)lane->errors << 16 | ((uint32_t)status & 0xffff));
}

/* Made twice, so that a record costs nothing more for the tracer that is usually not there. */
static inline __attribute__((always_inline)) const char *execute(struct wk_lane *lane, void *rec,
                                                                 bool traced)
{
    struct wk *w = lane->w;
    struct vgpu_rec h = *(struct vgpu_rec *)rec;
    struct vgpu_result res;

    res.violation = NULL;
    res.status = WK_OK;
    res.len = 0;
    vgpu_dispatch(lane, rec, &res);
    wk_gate_leave(w);
    wk_lane_release(lane);
    if (lane->polling && res.status == WK_HAND_OVER && !res.violation)
        return NULL;
    if (traced)
        wk_trace_end(w, &h, &res);
    lane->answered = true;
    /* Before the reply: its receipt entitles the guest thread to the next call. */
    atomic_store_explicit(&lane->busy, false, memory_order_release);
    if (res.violation)
        return res.violation;
    wk_count(w, calls, 1);
    if (vgpu_class_of(h.op) != VGPU_POSTED || (h.flags & VGPU_REC_REPLY)) {
        fault_point("worker.reply", w->assign.domid);
        if (vgpu_reply_publish(&w->ch, h.lane, h.ticket, res.status, res.payload, res.len))
            wk_notify(w);
        fault_point("worker.replied", w->assign.domid);
    } else if (res.status) {
        latch(lane, res.status);
    }
    return NULL;
}

const char *wk_execute(struct wk_lane *lane, void *rec)
{
    return execute(lane, rec, false);
}

const char *wk_execute_traced(struct wk_lane *lane, void *rec)
{
    return execute(lane, rec, true);
}

#define POLL_NS 200000u

/* Whoever waits on the drain thread holds up the records of other guest threads, so it looks at the
 * ring as well. */
static int poll_for(struct wk *w, struct wk_stream *s, struct wk_event *e)
{
    uint64_t end = now_ns() + POLL_NS;

    for (unsigned i = 1;; i++) {
        int err = e ? w->ops->event_query(w->dev, e->e) : w->ops->stream_query(w->dev, s->s);

        if (err != WK_NOT_READY)
            return err;
        if (!vgpu_cons_idle(&w->cons) || (i % 16 == 0 && now_ns() >= end))
            return WK_HAND_OVER;
        __builtin_ia32_pause();
    }
}

/* After that has found no error: whether the device has to be asked to wait all the same. */
static bool settled(struct wk *w)
{
    return !w->ops->settle || w->ops->settle(w->dev);
}

static bool other_streams(const struct wk *w)
{
    return w->objs.top[WK_OBJ_STREAM] || w->own_streams;
}

int wk_wait_stream(struct wk_lane *lane, struct wk_stream *s, bool last)
{
    struct wk *w = lane->w;
    int err = WK_OK;

    if (lane->polling)
        err = !last && s == w->legacy && other_streams(w) ? WK_HAND_OVER : poll_for(w, s, NULL);
    return err || (lane->polling && settled(w)) ? err : w->ops->stream_sync(w->dev, s->s);
}

int wk_wait_event(struct wk_lane *lane, struct wk_event *e)
{
    struct wk *w = lane->w;
    int err = lane->polling ? poll_for(w, NULL, e) : WK_OK;

    return err || (lane->polling && settled(w)) ? err : w->ops->event_sync(w->dev, e->e);
}

int wk_wait_all(struct wk_lane *lane)
{
    struct wk *w = lane->w;
    int err = WK_OK;

    if (lane->polling)
        err = other_streams(w) ? WK_HAND_OVER : poll_for(w, w->legacy, NULL);
    return err || (lane->polling && settled(w)) ? err : w->ops->ctx_sync(w->dev);
}

/* Calls that mostly wait for little or nothing are tried here before a thread is woken for them. */
static bool may_poll(const struct wk *w, const struct vgpu_rec *h)
{
    if (!w->ops->bounded || !w->spin_us)
        return false;
    return h->op == VGPU_OP_StreamSync || h->op == VGPU_OP_CtxSync || h->op == VGPU_OP_EventSync ||
           (h->op == VGPU_OP_CopyFetch && w->landing);
}

static inline __attribute__((always_inline)) const char *run_record(struct wk *w, bool traced)
{
    const struct vgpu_rec *h = (const struct vgpu_rec *)w->rec;
    struct wk_lane *lane = &w->lanes[h->lane];

    if (atomic_load_explicit(&lane->busy, memory_order_acquire))
        return "record on a lane whose call is outstanding";
    if (traced)
        wk_trace_begin(w, h);
    if (vgpu_class_of(h->op) == VGPU_BLOCKING && !w->inline_blocking) {
        int err;

        if (may_poll(w, h)) {
            const char *why;

            lane->answered = false;
            lane->polling = true;
            why = execute(lane, w->rec, traced);
            lane->polling = false;
            if (why || lane->answered)
                return why;
        }
        err = wk_lane_hand_over(lane, w->rec);

        if (!err)
            return NULL;
        log_error("lane %u gets no thread: error %d", h->lane, -err);
        if (vgpu_reply_publish(&w->ch, h->lane, h->ticket, WK_OUT_OF_MEMORY, NULL, 0))
            wk_notify(w);
        return NULL;
    }
    return execute(lane, w->rec, traced);
}

static const char *run_traced(struct wk *w)
{
    return run_record(w, true);
}

int wk_drain_some(struct wk *w, unsigned budget, const char **why)
{
    const bool traced = wk_traced(&w->trace);
    unsigned n = 0;

    while (n < budget) {
        enum vgpu_take t = vgpu_cons_take(&w->cons, w->rec, why);

        if (t == VGPU_TAKE_EMPTY)
            break;
        if (t == VGPU_TAKE_BAD)
            return -1;
        *why = traced ? run_traced(w) : run_record(w, false);
        if (*why)
            return -1;
        n++;
    }
    if (n && vgpu_cons_wants_space(&w->cons))
        wk_notify(w);
    return (int)n;
}

/* True as soon as there is a record, false after `ns` without one. While the guest may be waiting for
 * something that will not take long, its waiting is looked after, too. */
static bool spin_for_record(struct wk *w, uint64_t ns)
{
    uint64_t start = now_ns(), spent;
    bool more;

    do {
        for (int i = 0; i < 32; i++) {
            if (!vgpu_cons_idle(&w->cons))
                return true;
            __builtin_ia32_pause();
        }
        more = w->ops->look && w->ops->look(w->dev);
        if (w->few_cpus) /* the guest or the device may be waiting for this one */
            sched_yield();
        spent = now_ns() - start;
    } while (spent < ns || (more && spent < POLL_NS));
    return false;
}

/* Sleeps until the guest rings, or for timeout_ms, -1: as long as it takes. 0, or -errno when the
 * doorbell is broken. */
static int sleep_for_record(struct wk *w, bool *masked, int timeout_ms)
{
    struct pollfd p[2] = {{.fd = w->tr.event_fd, .events = POLLIN},
                          {.fd = w->quiet.wake_fd, .events = POLLIN}};
    int r = 0;

    /* All work is done: only now may the guest cause the next interrupt. */
    if (*masked) {
        w->tr.ops->unmask(&w->tr);
        *masked = false;
    }
    vgpu_cons_sleeping(&w->cons, true);
    if (vgpu_cons_idle(&w->cons)) {
        do {
            r = poll(p, 2, timeout_ms);
        } while (r < 0 && errno == EINTR);
        r = r < 0 ? -errno : r == 0 ? 0 : w->tr.ops->take(&w->tr);
        if (r > 0) {
            *masked = true;
            wk_count(w, doorbells_in, 1);
        }
    }
    vgpu_cons_sleeping(&w->cons, false);
    return r < 0 ? r : 0;
}

/*
 * A guest that waits for a large copy polls for its end, and goes on at once. To be woken for that
 * would cost up to 200 us, several percent of the copy; to poll through all of it, a processor. So
 * this sleeps for the first three quarters.
 */
void wk_drain_expect(struct wk *w, uint32_t counter, uint32_t value, uint32_t us)
{
    uint64_t now = now_ns();

    if (!w->spin_us)
        return;
    w->expect.counter = counter;
    w->expect.value = value;
    w->expect.due = now + us * 750ull;
    w->expect.end = now + us * 2000ull + EXPECT_SPARE_NS;
}

/* The rest of that: true as soon as there is a record, false when none is expected any more. */
static bool attend(struct wk *w)
{
    const uint32_t *c = &w->ch.counters[w->expect.counter];
    bool record = false;

    while (!record && now_ns() < w->expect.end) {
        record = spin_for_record(w, 0);
        if (!record && (int32_t)(VGPU_LOAD(c) - w->expect.value) >= 0) {
            record = spin_for_record(w, w->spin_us * 1000ull);
            break;
        }
    }
    w->expect.end = 0;
    return record;
}

void wk_drain_loop(struct wk *w)
{
    const uint64_t spin_max = (uint64_t)w->spin_us * 1000u;
    uint64_t spin = spin_max;
    bool masked = false;
    const char *why = NULL;

    for (;;) {
        uint64_t t0;
        int n;

        if (wk_still_wanted(&w->quiet) && wk_still(w, &masked) < 0) {
            why = "the doorbell is broken";
            break;
        }
        n = wk_drain_some(w, BUDGET, &why);
        if (n < 0)
            break;
        if (n == (int)BUDGET)
            continue;
        if (spin && spin_for_record(w, spin))
            continue;
        if (w->expect.end) {
            t0 = now_ns();
            if (t0 < w->expect.due && w->expect.due - t0 >= 1000000) {
                if (sleep_for_record(w, &masked, (int)((w->expect.due - t0) / 1000000)) < 0) {
                    why = "the doorbell is broken";
                    break;
                }
                continue;
            }
            if (attend(w))
                continue;
        }
        /* Spinning did not pay: spend half of it next time. A guest that comes back within the time
         * that spinning would have covered earns it again. An idle guest costs nothing. */
        spin /= 2;
        if (spin < 1000)
            spin = 0;
        t0 = now_ns();
        if (sleep_for_record(w, &masked, -1) < 0) {
            why = "the doorbell is broken";
            break;
        }
        if (now_ns() - t0 < 2 * spin_max)
            spin = spin ? spin * 4 : 4000;
        if (spin > spin_max)
            spin = spin_max;
    }
    w->on_violation(w, why);
}
