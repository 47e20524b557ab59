/* SPDX-License-Identifier: MIT */
/*
 * gate.c - passes the gate of tenant.h, and tells the broker what is under way.
 *
 * While the gate is open, which it is as long as no other guest uses the GPU, an operation costs a
 * look at one word, and the thread here sleeps. Otherwise marks are put behind the operations that
 * are issued (device.h, fence_record) to know how many are not complete; how long one takes is learnt
 * from that, and no more are issued than about DEPTH_NS() of work, which keeps the GPU busy and lets
 * the lease end soon. A guest that waits for what it has launched needs no marks: when it comes with
 * the next operation for the only stream that it uses, that stream says that all is complete. Nothing
 * is believed that the guest could have written itself, as the counters by which it waits. What is
 * waited for outside the GPU, a function of the guest's program say, must not hold up what would end
 * the wait: after STALL_NS without progress nothing is held back.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dom0-backend/common/clock.h"
#include "dom0-backend/worker/worker.h"

/* Of work issued ahead, and between two looks; with few CPUs, which have better things to do than to
 * look, the second number. */
#define DEPTH_NS(g) ((g)->spin ? 600000ull : 1000000ull)
#define NAP_NS(g)   ((g)->spin ? 50000ull : 200000ull)
#define FIRST       8u            /* operations, while it is not known how long one takes */
#define STALL_NS    5000000ull    /* without progress */
#define LINGER_NS   500000ull     /* awake after the last operation */
#define DRAIN_NS    5000000ull    /* for which the end of a lease is watched without sleeping */
#define SILENT_NS   2000000000ull /* the broker is gone */
#define EACH_MAX    4000000ull /* of a lease of usual length more than half is used, whatever comes */

_Static_assert(WK_FENCES == DEV_FENCES, "as many marks as the device has");

__thread bool wk_gate_inside;

static void futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};

    syscall(SYS_futex, word, FUTEX_WAIT, value, ns ? &t : NULL, NULL, 0);
}

static void ring(struct tenant_slot *s)
{
    atomic_fetch_add(&s->bell, 1);
    syscall(SYS_futex, &s->bell, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void nap(uint64_t ns)
{
    struct timespec t = {.tv_nsec = (long)ns};

    nanosleep(&t, NULL);
}

static void tell(const struct wk_gate *g)
{
    uint64_t one = 1;

    if (write(g->tell, &one, sizeof(one)) < 0)
        return; /* full: the broker is going to look */
}

static struct tenant_slot *slot_of(struct wk *w)
{
    return &w->tenant->slot[w->slot];
}

/* ---- what is complete; all with the lock held */

static void set_due(struct wk *w)
{
    const struct wk_gate *g = &w->gate;

    atomic_store(&slot_of(w)->due, g->each ? g->moved + (g->entered - g->passed) * g->each : 0);
}

/* Operations up to `seq`, the first of them issued at `at`, are complete. */
static void complete(struct wk_gate *g, uint64_t seq, uint64_t at, uint64_t now)
{
    uint64_t start = at > g->moved ? at : g->moved;

    if (now > start && seq > g->passed) {
        uint64_t took = (now - start) / (seq - g->passed);

        g->each = g->each ? (g->each * 7 + took) / 8 : took;
        if (g->each > EACH_MAX)
            g->each = EACH_MAX;
    }
    g->passed = seq;
    g->moved = now;
    g->stalled = false;
}

static void tell_progress(struct wk *w, uint64_t now)
{
    const struct wk_gate *g = &w->gate;

    set_due(w);
    atomic_store(&slot_of(w)->since, g->passed == g->entered ? 0 : now);
}

/* Marks that have passed. */
static void look(struct wk *w, uint64_t now)
{
    struct wk_gate *g = &w->gate;
    uint64_t before = g->passed;

    while (g->n && w->ops->fence_query(w->dev, g->first) != WK_NOT_READY) {
        unsigned i = g->first;

        complete(g, g->fence[i].seq, g->fence[i].at, now);
        g->first = (i + 1) % WK_FENCES;
        g->n--;
    }
    if (g->passed != before)
        tell_progress(w, now);
}

static void record(struct wk *w)
{
    struct wk_gate *g = &w->gate;
    unsigned i = (g->first + g->n) % WK_FENCES;

    if (g->n == WK_FENCES || g->submitted == g->fenced)
        return;
    g->fence[i].seq = g->submitted;
    g->fence[i].at = g->at;
    g->fenced = g->submitted;
    g->n++;
    g->at = 0;
    /* One that cannot be put there is found complete at once: the context has faulted. */
    w->ops->fence_record(w->dev, i);
}

/* Operations between two marks. */
static uint64_t batch(const struct wk_gate *g)
{
    uint64_t n = g->each ? DEPTH_NS(g) / 2 / g->each : 1;

    return n < 1 ? 1 : n > 64 ? 64 : n;
}

/* What has been issued and not marked, by a guest that comes with more for stream `s`: is complete, or
 * gets a mark. More than the stream is not asked about, which is all there is if it was the only one.
 * That costs less than a mark, which a guest that launches and waits would have to wait for. */
static void ask(struct wk *w, const struct wk_stream *s, uint64_t now)
{
    struct wk_gate *g = &w->gate;

    if (g->last != s || g->passed < g->before || g->entered != g->submitted ||
        w->ops->stream_query(w->dev, s->s) == WK_NOT_READY) {
        record(w);
        return;
    }
    complete(g, g->submitted, g->n ? g->fence[g->first].at : g->at, now);
    g->fenced = g->submitted;
    g->n = 0;
    g->at = 0;
    tell_progress(w, now);
}

/* ---- the gate */

/* Of several processes of the guest one at a time. */
static bool my_turn(const struct wk *w)
{
    uint32_t turn = atomic_load(&w->tenant->turn);

    return turn == 0 || turn == w->slot + 1;
}

enum verdict { GO, TOO_MUCH, TOO_LATE };

static enum verdict judge(const struct wk_gate *g, uint32_t gate, uint64_t now, uint64_t until)
{
    uint64_t n = g->entered - g->passed;

    if (now >= until)
        return TOO_LATE;
    if (g->stalled)
        return GO;
    /* What is under way may take longer than all before: then that is enough. */
    if (n >= 2 &&
        (n * g->each > DEPTH_NS(g) || now - g->moved > DEPTH_NS(g) || (!g->each && n >= FIRST)))
        return TOO_MUCH;
    /* Something at least is done with every lease. */
    if (until != UINT64_MAX && gate == g->lease && now + (n + 1) * g->each > until)
        return TOO_LATE;
    return GO;
}

/* Sleeps until the gate changes; says to the broker that somebody waits. False: there is no broker. */
static bool wait_turn(struct wk *w, uint32_t gate, bool late, bool *waits)
{
    struct wk_gate *g = &w->gate;
    struct tenant_page *p = w->tenant;
    struct tenant_slot *s = slot_of(w);
    uint64_t start = now_ns(), now = start;

    if (late)
        atomic_store(&s->yields, gate);
    if (!*waits)
        atomic_fetch_add(&s->waits, 1);
    if (!*waits || late)
        tell(g);
    *waits = true;
    if (atomic_load(&g->orphan) == gate)
        return false;
    /* It is our turn in a moment: to be woken then would take longer. */
    while ((gate & TENANT_GATE_MASK) == TENANT_NEXT && g->spin && now - start < DRAIN_NS) {
        __builtin_ia32_pause();
        if (atomic_load(&p->gate) != gate)
            return true;
        now = now_ns();
    }
    futex_wait(&p->gate, gate, SILENT_NS / 4);
    now = now_ns();
    if (now - start < SILENT_NS / 8 || atomic_load(&p->gate) != gate ||
        now - atomic_load(&p->beat) < SILENT_NS)
        return true;
    atomic_store(&g->orphan, gate);
    return false;
}

void wk_gate_pass(struct wk *w, const struct wk_stream *s)
{
    struct wk_gate *g = &w->gate;
    struct tenant_page *p = w->tenant;
    uint64_t held_back = 0, now;
    bool waits = false, idle;

    pthread_mutex_lock(&g->lock);
    for (;;) {
        uint32_t gate = atomic_load(&p->gate), state = gate & TENANT_GATE_MASK;
        enum verdict v = TOO_LATE;
        bool ours = false;

        now = now_ns();
        if (state == TENANT_OPEN)
            break;
        if (state == TENANT_LEASE) {
            uint64_t until = atomic_load(&p->until);

            look(w, now);
            if (g->submitted - g->fenced >= batch(g))
                ask(w, s, now);
            ours = my_turn(w);
            v = ours ? judge(g, gate, now, until) : TOO_LATE;
            /* Not for what is complete, and nobody has asked about. */
            if (ours && v != GO && now < until && g->submitted != g->fenced) {
                ask(w, s, now);
                v = judge(g, gate, now, until);
            }
            if (v == GO) {
                g->lease = gate;
                break;
            }
        }
        pthread_mutex_unlock(&g->lock);
        if (v == TOO_MUCH) {
            if (!held_back)
                held_back = now;
            nap(NAP_NS(g));
        } else if (!wait_turn(w, gate, ours, &waits)) {
            pthread_mutex_lock(&g->lock);
            break;
        }
        pthread_mutex_lock(&g->lock);
        if (v == TOO_MUCH && now - held_back > STALL_NS && now - g->moved > STALL_NS)
            g->stalled = true;
    }
    if (waits)
        atomic_fetch_sub(&slot_of(w)->waits, 1);
    idle = g->entered == g->passed;
    if (idle)
        g->moved = now;
    if (g->last != s) {
        g->last = s;
        g->before = g->entered;
    }
    if (!g->at)
        g->at = now;
    g->entered++;
    set_due(w);
    if (idle)
        atomic_store(&slot_of(w)->since, now);
    atomic_store(&slot_of(w)->issued, (uint32_t)g->entered);
    if (g->asleep)
        ring(slot_of(w));
    pthread_mutex_unlock(&g->lock);
    wk_gate_inside = true;
}

void wk_gate_left(struct wk *w)
{
    struct wk_gate *g = &w->gate;

    wk_gate_inside = false;
    pthread_mutex_lock(&g->lock);
    g->submitted++;
    pthread_mutex_unlock(&g->lock);
}

/* ---- the thread that watches */

/* What was issued while the gate was open was not counted: it becomes one operation. If what was under
 * way before that still is, it has been for as long as that: others may come and go. */
static void begin(struct wk *w, uint64_t now)
{
    struct wk_gate *g = &w->gate;
    uint64_t since = now;

    look(w, now);
    if (g->n && g->passed == g->kept_at && g->kept)
        since = g->kept;
    g->managed = true;
    g->entered++;
    g->submitted++;
    g->last = NULL;
    g->at = g->moved = now;
    atomic_store(&slot_of(w)->due, 0);
    atomic_store(&slot_of(w)->since, since);
    record(w);
}

/* One look. ending: nothing more is issued under this lease. True: something is under way, or was until
 * a moment ago. */
static bool watch(struct wk *w, uint64_t now, bool ending, uint64_t *active)
{
    struct wk_gate *g = &w->gate;
    bool busy, guest = wk_upcalls_busy(w);

    pthread_mutex_lock(&g->lock);
    if (!g->managed)
        begin(w, now);
    look(w, now);
    /* What is behind the last mark gets one, once that is all there is to wait for; not in the middle
     * of calls that follow each other and will be marked, as a mark takes some microseconds. */
    if (g->n == 0 && (ending || g->submitted == g->seen || now - g->at > DEPTH_NS(g)))
        record(w);
    g->seen = g->submitted;
    busy = g->entered != g->passed;
    if (busy && guest) /* that is waited for, not the GPU */
        atomic_store(&slot_of(w)->since, now);
    if (busy)
        *active = now;
    busy |= now - *active < LINGER_NS;
    g->asleep = !busy;
    pthread_mutex_unlock(&g->lock);
    return busy;
}

static void *gate_main(void *arg)
{
    struct wk *w = arg;
    struct wk_gate *g = &w->gate;
    uint64_t active = 0, shut = 0;
    bool was_busy = false;

    prctl(PR_SET_NAME, "gvm-gate");
    for (;;) {
        struct tenant_page *p = w->tenant; /* another one after a suspend */
        struct tenant_slot *s = slot_of(w);
        uint32_t bell = atomic_load(&s->bell), gate = atomic_load(&p->gate);
        uint64_t now = now_ns(), until = atomic_load(&p->until);
        bool leased = (gate & TENANT_GATE_MASK) == TENANT_LEASE, ending;

        if ((gate & TENANT_GATE_MASK) == TENANT_OPEN) {
            pthread_mutex_lock(&g->lock);
            if (g->managed) {
                g->kept = atomic_load(&s->since);
                g->kept_at = g->passed;
            }
            g->managed = false;
            g->asleep = false;
            pthread_mutex_unlock(&g->lock);
            atomic_store(&s->since, 0);
            futex_wait(&s->bell, bell, 0);
            continue;
        }
        ending = !leased || now >= until || atomic_load(&s->yields) == gate;
        if (!watch(w, now, ending, &active)) {
            futex_wait(&s->bell, bell, 0);
            continue;
        }
        if (was_busy && !atomic_load(&s->since) && atomic_load(&p->tell))
            tell(g);
        was_busy = atomic_load(&s->since) != 0;
        /* The end of a lease is where others lose time. */
        ending = was_busy && (!leased || now + NAP_NS(g) >= until || !my_turn(w));
        shut = !ending ? 0 : shut ? shut : now;
        if (ending && g->spin && now - shut < DRAIN_NS)
            __builtin_ia32_pause();
        else
            nap(NAP_NS(g));
    }
    return NULL;
}

void wk_gate_moved(struct tenant_page *p, unsigned slot)
{
    ring(&p->slot[slot]);
}

int wk_gate_start(struct wk *w)
{
    struct wk_gate *g = &w->gate;
    cpu_set_t set;
    pthread_t t;
    int err;

    if (g->tell < 0 || !w->ops->fence_record)
        return 0;
    g->spin = w->spin_us && sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= 4;
    err = pthread_create(&t, NULL, gate_main, w);
    if (err)
        return -err;
    pthread_detach(t);
    g->on = true;
    return 0;
}
