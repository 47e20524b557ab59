/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/sched.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dom0-backend/broker/broker.h"
#include "dom0-backend/broker/gpushare.h"
#include "dom0-backend/common/clock.h"

#define MAX_MEMBERS 256u
#define BEAT_NS     500000000ull /* workers give up on a broker that is silent for 2 s */
#define EARLY_NS    100000ull    /* to be awake in time */
#define ANYBODY     UINT32_MAX   /* whose turn it is: 1 more is 0 */
#define SPIN_NS     2000000ull   /* longest time to watch a lease drain without sleeping */

struct gpu {
    struct gpu *next;
    char device[64];
    struct gs gs;
    unsigned members;
    bool open; /* the gate of its only member */
    uint64_t spin_from;
};

struct sched_member {
    struct gs_tenant t; /* first: the list of gs is one of these */
    struct sched_member *next;
    struct gpu *gpu;
    struct tenant *tenant;
    struct tenant_page *page;
    char name[32];
    int efd;
    uint32_t issued; /* at the last look, by all its workers */
    uint32_t shown;  /* the state that the gate shows, TENANT_* */
    uint32_t turn;   /* of its processes, by slot; ANYBODY */
    uint32_t shown_turn;
    uint64_t turn_until, turn_idle, turn_at;
    uint64_t turn_used[TENANT_SLOTS];
    uint64_t until;
    /* Of each process: what is under way, as its `since` names it; when others wanted the GPU meanwhile
     * for the first time; whether they did again when that was too long ago. */
    struct {
        uint64_t since, minded;
        bool over;
    } kept[TENANT_SLOTS];
};

static struct {
    struct broker *b;
    pthread_mutex_t lock;
    pthread_t thread;
    struct gpu *gpus;
    struct sched_member *list;
    unsigned n, changes;
    int wake; /* eventfd: the list has changed */
    bool may_spin;
    ev_async overrun;
} sched = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = -1};

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void show(struct sched_member *m, uint32_t state, uint64_t until)
{
    struct tenant_page *p = m->page;
    uint32_t n = atomic_load(&p->nslot), v;

    if (m->shown == state && m->until == until && m->shown_turn == m->turn)
        return;
    m->shown_turn = m->turn;
    atomic_store(&p->turn, m->turn + 1);
    m->shown = state;
    m->until = until;
    atomic_store(&p->until, until);
    v = (atomic_load(&p->gate) & ~(uint32_t)TENANT_GATE_MASK) + TENANT_GATE_MASK + 1;
    atomic_store(&p->gate, v | state);
    futex_wake(&p->gate);
    /* The threads that watch what is under way. */
    for (uint32_t i = 0; i < n && i < TENANT_SLOTS; i++) {
        atomic_fetch_add(&p->slot[i].bell, 1);
        futex_wake(&p->slot[i].bell);
    }
}

/* What the member's workers say; nothing of it is more than a wish. */
static void read_page(struct sched_member *m)
{
    struct tenant_page *p = m->page;
    uint32_t n = atomic_load(&p->nslot), gate = atomic_load(&p->gate), issued = 0;

    m->t.wants = m->t.busy = m->t.yields = false;
    m->t.due = 0;
    for (uint32_t i = 0; i < n && i < TENANT_SLOTS; i++) {
        bool waits = atomic_load(&p->slot[i].waits) != 0;
        bool busy = atomic_load(&p->slot[i].since) != 0;
        uint64_t due = atomic_load(&p->slot[i].due);

        issued += atomic_load(&p->slot[i].issued);
        m->t.wants |= waits;
        m->t.busy |= busy;
        if (busy && (!due || due > m->t.due))
            m->t.due = due ? due : UINT64_MAX;
        m->t.yields |= waits && (m->turn == ANYBODY || m->turn == i) &&
                       atomic_load(&p->slot[i].yields) == gate;
    }
    m->t.moved = issued != m->issued;
    m->issued = issued;
}

/* Of the processes that wait the one that has had the least. ANYBODY: none waits. */
static uint32_t next_turn(struct sched_member *m, uint32_t but)
{
    struct tenant_page *p = m->page;
    uint32_t n = atomic_load(&p->nslot), best = ANYBODY;
    uint64_t most = 0;

    for (uint32_t i = 0; i < n && i < TENANT_SLOTS; i++)
        if (m->turn_used[i] > most)
            most = m->turn_used[i];
    for (uint32_t i = 0; i < n && i < TENANT_SLOTS; i++) {
        if (i == but || !atomic_load(&p->slot[i].waits))
            continue;
        /* Who comes back has not saved up more than two slices. */
        if (m->turn_used[i] + 2 * m->gpu->gs.slice < most)
            m->turn_used[i] = most - 2 * m->gpu->gs.slice;
        if (best == ANYBODY || m->turn_used[i] < m->turn_used[best])
            best = i;
    }
    return best;
}

/* A process that holds a lease of its guest holds it alone: to change between them within it costs
 * as much as to change between guests. */
static void take_turns(struct sched_member *m, uint64_t now, uint64_t *next)
{
    const struct tenant_slot *s;
    uint32_t to;

    if (m->turn != ANYBODY && now > m->turn_at)
        m->turn_used[m->turn] += now - m->turn_at;
    m->turn_at = now;
    if (m->t.state != GS_HOLDS || m->t.until == GS_NEVER) {
        m->turn = ANYBODY;
        m->turn_until = 0;
        return;
    }
    if (m->turn == ANYBODY || m->t.until > m->turn_until) {
        m->turn = next_turn(m, ANYBODY);
        m->turn_until = m->t.until;
        m->turn_idle = 0;
        return;
    }
    m->turn_until = m->t.until; /* somebody has come, and it is less now */
    s = &m->page->slot[m->turn];
    if (atomic_load(&s->waits) || atomic_load(&s->since) || m->t.moved) {
        m->turn_idle = 0;
        return;
    }
    to = next_turn(m, m->turn);
    if (to == ANYBODY)
        return;
    if (!m->turn_idle)
        m->turn_idle = now;
    if (now - m->turn_idle >= m->gpu->gs.linger) {
        m->turn = to;
        m->turn_idle = 0;
    } else if (m->turn_idle + m->gpu->gs.linger < *next) {
        *next = m->turn_idle + m->gpu->gs.linger;
    }
}

static void step_gpu(struct gpu *g, uint64_t now, uint64_t *next)
{
    static const uint32_t gates[] = {[GS_OUT] = TENANT_SHUT,
                                     [GS_NEXT] = TENANT_NEXT,
                                     [GS_HOLDS] = TENANT_LEASE,
                                     [GS_DRAINS] = TENANT_SHUT};
    unsigned want = 0;
    uint64_t at;

    for (struct gs_tenant *t = g->gs.list; t; t = t->next)
        read_page((struct sched_member *)t);
    at = gs_step(&g->gs, now);
    for (struct gs_tenant *t = g->gs.list; t; t = t->next)
        want += t->wants;
    for (struct gs_tenant *t = g->gs.list; t; t = t->next) {
        struct sched_member *m = (struct sched_member *)t;

        atomic_store(&m->page->beat, now);
        /* Whom nobody waits for need not say when it has nothing to do. */
        atomic_store(&m->page->tell,
                     t->cap || (!g->gs.overlap && (t->overrun || want > (t->wants ? 1u : 0u))));
        take_turns(m, now, &at);
        show(m, gates[t->state], t->state == GS_HOLDS ? t->until : 0);
    }
    if (at < *next)
        *next = at;
}

static bool others_want(const struct gpu *g, const struct gs_tenant *but)
{
    for (const struct gs_tenant *t = g->gs.list; t; t = t->next)
        if (t != but && (t->wants || t->busy || t->moved))
            return true;
    return false;
}

/* Others come and go, and the last one that is there opens the gate: the time goes on all the same, for
 * as long as nothing of what is under way comes to an end. True: somebody is to be ended. */
static bool kept_too_long(struct sched_member *m, uint64_t limit, uint64_t now)
{
    struct tenant_page *p = m->page;
    uint32_t n = atomic_load(&p->nslot);
    bool any = false;

    for (uint32_t i = 0; i < n && i < TENANT_SLOTS; i++) {
        uint64_t since = atomic_load(&p->slot[i].since);

        if (m->kept[i].since != since) {
            m->kept[i].since = since;
            m->kept[i].minded = now;
            m->kept[i].over = false;
        }
        if (since && now - m->kept[i].minded >= limit)
            any = m->kept[i].over = true;
    }
    return any;
}

/* Whether somebody keeps the GPU beyond its lease. Who has something under way for longer than is allowed
 * is ended when others want the GPU. */
static bool watchdog(struct gpu *g, uint64_t now)
{
    uint64_t limit = (uint64_t)sched.b->cfg.kernel_limit * 1000000000u;
    bool watched = false;

    for (struct gs_tenant *t = g->gs.list; t && limit; t = t->next) {
        watched |= t->overrun != 0;
        if (t->busy && others_want(g, t) && kept_too_long((struct sched_member *)t, limit, now))
            ev_async_send(sched.b->loop, &sched.overrun);
    }
    return watched;
}

/* One round over all GPUs. Lock held. Returns when to look again. */
static uint64_t round_of(uint64_t now, bool *spin)
{
    uint64_t next = GS_NEVER;

    *spin = false;
    for (struct gpu *g = sched.gpus; g; g = g->next) {
        uint64_t at = GS_NEVER;
        bool waited = false;

        if (g->open || !g->members)
            continue;
        step_gpu(g, now, &at);
        for (struct gs_tenant *t = g->gs.list; t; t = t->next)
            waited |= t->wants;
        waited |= watchdog(g, now);
        if (waited && now + BEAT_NS < at)
            at = now + BEAT_NS;
        if (g->gs.holder && g->gs.holder->state == GS_DRAINS) {
            if (!g->spin_from)
                g->spin_from = now;
            *spin |= sched.may_spin && now - g->spin_from < SPIN_NS;
        } else {
            g->spin_from = 0;
            if (sched.may_spin && at != GS_NEVER)
                at = at > now + EARLY_NS ? at - EARLY_NS : now;
        }
        if (at < next)
            next = at;
    }
    return next;
}

static unsigned poll_set(struct pollfd *p)
{
    unsigned n = 0;

    p[n++] = (struct pollfd){.fd = sched.wake, .events = POLLIN};
    for (struct sched_member *m = sched.list; m && n <= MAX_MEMBERS; m = m->next)
        p[n++] = (struct pollfd){.fd = m->efd, .events = POLLIN};
    return n;
}

static void *thread_main(void *arg)
{
    static struct pollfd fds[MAX_MEMBERS + 1];
    unsigned n = 0, seen = 0;
    bool spin = false;

    prctl(PR_SET_NAME, "gvm-share");
    prctl(PR_SET_TIMERSLACK, 1000UL);
    for (;;) {
        uint64_t now, next, count;
        struct timespec ts;

        pthread_mutex_lock(&sched.lock);
        now = now_ns();
        next = round_of(now, &spin);
        if (!n || seen != sched.changes) {
            n = poll_set(fds);
            seen = sched.changes;
        }
        pthread_mutex_unlock(&sched.lock);
        if (spin || next <= now) {
            __builtin_ia32_pause();
            continue;
        }
        ts.tv_sec = (time_t)((next - now) / 1000000000u);
        ts.tv_nsec = (long)((next - now) % 1000000000u);
        if (ppoll(fds, n, next == GS_NEVER ? NULL : &ts, NULL) <= 0)
            continue;
        pthread_mutex_lock(&sched.lock);
        /* Once the list has changed a number may be another descriptor's; the count can stay. */
        if (seen != sched.changes)
            n = 1;
        for (unsigned i = 0; i < n; i++)
            if (fds[i].revents && read(fds[i].fd, &count, sizeof(count)) < 0)
                continue; /* somebody wrote, that is all there is to know */
        if (seen != sched.changes)
            n = 0;
        pthread_mutex_unlock(&sched.lock);
    }
    return NULL;
}

/* What the process in slot `i` has under way is still what has taken too long. */
static bool is_over(const struct sched_member *m, unsigned i)
{
    bool v;

    pthread_mutex_lock(&sched.lock);
    v = m->kept[i].over && m->kept[i].since == atomic_load(&m->page->slot[i].since);
    pthread_mutex_unlock(&sched.lock);
    return v;
}

/* On the broker's thread: ends the workers whose kernels have run for too long. */
static void on_overrun(struct ev_loop *loop, ev_async *a, int revents)
{
    for (struct sched_member *m = sched.list; m; m = m->next) {
        for (unsigned i = 0; i < TENANT_SLOTS; i++) {
            struct worker *w = m->tenant->slot[i];

            if (!w || w->timed_out || !is_over(m, i))
                continue;
            w->timed_out = true;
            log_warn("%s: worker %d: what it has issued has kept the GPU from others for %u s "
                     "(max_kernel_s): ended",
                     m->name, (int)w->pid, sched.b->cfg.kernel_limit);
            worker_time_out(w);
        }
    }
}

static int start_thread(struct broker *b)
{
    cpu_set_t set;
    int err;

    sched.b = b;
    sched.may_spin = sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= 4;
    sched.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sched.wake < 0)
        return -errno;
    ev_async_init(&sched.overrun, on_overrun);
    ev_async_start(b->loop, &sched.overrun);
    err = pthread_create(&sched.thread, NULL, thread_main, NULL);
    if (err) {
        close(sched.wake);
        sched.wake = -1;
    }
    return -err;
}

static void changed(void)
{
    uint64_t one = 1;

    sched.changes++;
    if (write(sched.wake, &one, sizeof(one)) < 0)
        return; /* full: it will look anyway */
}

/* Whether anybody has to ask. Lock held. */
static void settle(struct gpu *g)
{
    struct sched_member *only = g->members == 1 ? (struct sched_member *)g->gs.list : NULL;
    bool open = only && !only->t.cap;

    if (open == g->open)
        return;
    if (open)
        show(only, TENANT_OPEN, GS_NEVER);
    g->open = open;
}

static struct gpu *gpu_of(const char *device)
{
    struct gpu *g;

    for (g = sched.gpus; g; g = g->next)
        if (strcmp(g->device, device) == 0)
            return g;
    g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    snprintf(g->device, sizeof(g->device), "%s", device);
    gs_init(&g->gs, sched.b->cfg.slice_us * 1000ull);
    g->gs.overlap = sched.b->cfg.mps != NULL;
    g->next = sched.gpus;
    sched.gpus = g;
    return g;
}

struct sched_member *sched_add(struct broker *b, struct tenant *tenant, const char *device,
                               uint32_t weight, uint32_t cap)
{
    struct sched_member *m = calloc(1, sizeof(*m)), *had = NULL;
    struct gpu *g = NULL;

    if (!m || (sched.wake < 0 && start_thread(b)) || sched.n == MAX_MEMBERS) {
        free(m);
        return NULL;
    }
    pthread_mutex_lock(&sched.lock);
    g = gpu_of(device);
    if (!g)
        goto out;
    if (g->open)
        had = (struct sched_member *)g->gs.list;
    gs_add(&g->gs, &m->t, weight, cap);
    m->gpu = g;
    m->tenant = tenant;
    m->page = tenant->page;
    m->efd = tenant->efd;
    snprintf(m->name, sizeof(m->name), "%s", tenant->name);
    m->shown = UINT32_MAX;
    m->turn = ANYBODY;
    g->members++;
    settle(g);
    /* Whoever had the GPU to itself goes on with it for the time being. */
    if (had || (g->members == 1 && !g->open))
        gs_resume(&g->gs, had ? &had->t : NULL, now_ns());
    m->next = sched.list;
    sched.list = m;
    sched.n++;
    changed();
out:
    pthread_mutex_unlock(&sched.lock);
    if (!g) {
        free(m);
        m = NULL;
    }
    return m;
}

void sched_remove(struct sched_member *m)
{
    struct sched_member **p;

    if (!m)
        return;
    pthread_mutex_lock(&sched.lock);
    for (p = &sched.list; *p != m; p = &(*p)->next)
        ;
    *p = m->next;
    sched.n--;
    gs_remove(&m->gpu->gs, &m->t);
    m->gpu->members--;
    m->gpu->open = false; /* of the one that is left, if it is one, it is opened now */
    settle(m->gpu);
    changed();
    pthread_mutex_unlock(&sched.lock);
    free(m);
}

void sched_set(struct sched_member *m, uint32_t weight, uint32_t cap)
{
    if (!m)
        return;
    pthread_mutex_lock(&sched.lock);
    m->t.weight = weight;
    m->t.cap = cap;
    if (m->gpu->members == 1) {
        bool was = m->gpu->open;

        settle(m->gpu);
        if (was && !m->gpu->open)
            gs_resume(&m->gpu->gs, &m->t, now_ns());
        changed();
    }
    pthread_mutex_unlock(&sched.lock);
}

uint64_t sched_used(const struct sched_member *m)
{
    uint64_t v;

    if (!m)
        return 0;
    pthread_mutex_lock(&sched.lock);
    v = m->t.used;
    pthread_mutex_unlock(&sched.lock);
    return v;
}
