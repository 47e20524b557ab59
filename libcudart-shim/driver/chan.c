/* SPDX-License-Identifier: MIT */
#include "chan.h"
#include "capture.h"
#include "clock.h"
#include "counts.h"
#include "log.h"
#include "state.h"
#include "calls.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SPIN_FEW_US     50  /* with two or three CPUs */
#define SPIN_DEFAULT_US 200 /* natively all of a wait is polled */
#define SPIN_MAX_US     1000000
#define SPIN_CHECK      64  /* polls between looks at clock and liveness */
#define SLEEP_MS        200 /* bound of one sleep: liveness is looked at this often at least */

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

__thread struct gvm_lane *gvm_self;
#define self gvm_self
/* Ticket of the thread's last replied call; a lane may be shared. */
static __thread uint32_t called __attribute__((tls_model("initial-exec")));
/* The lane of a thread that runs a function of the program, meanwhile. */
static __thread struct gvm_lane *barred __attribute__((tls_model("initial-exec")));

struct gvm_rings gvm_counted;

static pthread_key_t lane_key;
static pthread_once_t lane_key_once = PTHREAD_ONCE_INIT;

void gvm_lock_slow(struct gvm_lock *l)
{
    for (int i = 0; i < 100; i++) {
        uint32_t free = 0;

        if (__atomic_load_n(&l->v, __ATOMIC_RELAXED) == 0 &&
            __atomic_compare_exchange_n(&l->v, &free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return;
        gvm_relax();
    }
    while (__atomic_exchange_n(&l->v, 2, __ATOMIC_ACQUIRE) != 0)
        gvm_futex(&l->v, FUTEX_WAIT, 2, NULL);
}

void gvm_unlock_slow(struct gvm_lock *l)
{
    gvm_futex(&l->v, FUTEX_WAKE, 1, NULL);
}

/* ---- life -------------------------------------------------------------------------------- */

static uint32_t spin_default_us(void)
{
    cpu_set_t set;

    /* With one CPU the worker (or, in a guest, the vCPU that would answer) cannot run meanwhile. */
    if (sched_getaffinity(0, sizeof(set), &set)) /* more of them than a set holds */
        return SPIN_DEFAULT_US;
    if (CPU_COUNT(&set) == 1)
        return 0;
    return CPU_COUNT(&set) < 4 ? SPIN_FEW_US : SPIN_DEFAULT_US;
}

struct gvm_chan *gvm_chan_create(const struct gvm_conn *conn)
{
    struct gvm_chan *c;
    uint64_t spin = spin_default_us();

    c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (c == MAP_FAILED)
        return NULL;
    madvise(c, sizeof(*c), MADV_WIPEONFORK);
    c->conn = *conn;
    vgpu_channel_init(&c->ch, conn->base, conn->ring_order);
    c->ch.front->magic = VGPU_CH_MAGIC;
    c->ch.front->ring_order = conn->ring_order;
    c->prod.ch = &c->ch;
    c->rang_at = UINT64_MAX;
    gvm_env_number("GVM_SPIN_US", 0, SPIN_MAX_US, &spin);
    c->spin_max_ns = c->space_spin_ns = (uint32_t)spin * 1000;
    pthread_mutex_init(&c->lanes_lock, NULL);
    for (uint32_t i = 0; i < VGPU_LANES; i++) {
        c->lanes[i].id = i;
        c->lanes[i].tag = (uint64_t)i << 48;
        pthread_mutex_init(&c->lanes[i].call, NULL);
    }
    return c;
}

void gvm_chan_destroy(struct gvm_chan *c)
{
    __atomic_store_n(&c->gone, GVM_ERR_GONE, __ATOMIC_RELAXED);
    gvm_short_ways(c, 1);
    c->conn.ops->close(&c->conn);
}

uint32_t gvm_captures;

void gvm_short_ways(struct gvm_chan *c, int reasons)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    bool open;

    pthread_mutex_lock(&lock);
    c->long_ways += (uint32_t)reasons;
    open = !c->long_ways && !gvm_capturing() && !gvm.launch_blocking &&
           __atomic_load_n(gvm_usable_word, __ATOMIC_ACQUIRE) == GVM_USABLE_ACTIVE;
    __atomic_store_n(&c->short_epoch, open ? gvm.epoch : 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&lock);
}

/* ---- lanes ------------------------------------------------------------------------------- */

static void post_bare(struct gvm_chan *c, uint16_t op)
{
    int err;

    if (gvm_chan_begin(c, op, 0, 0, &err))
        gvm_chan_post(c);
}

static void lane_put(void *arg)
{
    struct gvm_lane *l = arg;
    struct gvm_chan *c = l->chan;
    bool last;

    /* In a forked child, at exit, or after a reset there is nothing to give back. */
    if (!c || gvm_usable() != c) {
        self = NULL;
        return;
    }
    pthread_mutex_lock(&c->lanes_lock);
    last = l->refs == 1;
    if (last)
        post_bare(c, VGPU_OP_LaneClose);
    gvm_lock(&c->lock);
    l->refs--;
    gvm_unlock(&c->lock);
    pthread_mutex_unlock(&c->lanes_lock);
    self = NULL;
}

static void lane_key_make(void)
{
    pthread_key_create(&lane_key, lane_put);
}

void gvm_chan_bar(bool on)
{
    if (on) {
        barred = self;
        self = NULL;
    } else {
        self = barred;
        barred = NULL;
    }
}

bool gvm_chan_barred(void)
{
    return barred != NULL;
}

/* Lanes are reused in turn, so that late errors of a thread that ended rarely meet a new one. */
static int lane_get(struct gvm_chan *c)
{
    struct gvm_lane *l = NULL;

    if (barred)
        return 800; /* CUDA_ERROR_NOT_PERMITTED */
    pthread_once(&lane_key_once, lane_key_make);
    pthread_mutex_lock(&c->lanes_lock);
    for (uint32_t i = 0; i < VGPU_LANES; i++) {
        struct gvm_lane *k = &c->lanes[(c->lane_next + i) % VGPU_LANES];

        if (!l || k->refs < l->refs)
            l = k;
        if (!l->refs)
            break;
    }
    c->lane_next = (l->id + 1) % VGPU_LANES;
    self = l;
    /* Under the ring lock, so that whoever uses the lane knows before another record is written. */
    gvm_lock(&c->lock);
    l->refs++;
    gvm_unlock(&c->lock);
    if (l->refs == 1) {
        l->chan = c;
        l->spin_ns = c->spin_max_ns;
        post_bare(c, VGPU_OP_LaneOpen);
        l->err_seen = VGPU_LOAD(&c->ch.back->lane_err[l->id]);
    } else {
        static uint32_t said;

        __atomic_store_n(&c->shared, true, __ATOMIC_SEQ_CST);
        if (gvm_once(&said))
            gvm_log("more than %u threads call CUDA at a time: some wait for each other",
                    VGPU_LANES);
    }
    pthread_mutex_unlock(&c->lanes_lock);
    return pthread_setspecific(lane_key, l) ? 2 /* CUDA_ERROR_OUT_OF_MEMORY */ : 0;
}

static inline int lane_need(struct gvm_chan *c)
{
    if (likely(self && self->chan == c))
        return 0;
    return lane_get(c);
}

int gvm_chan_lane(struct gvm_chan *c, int *err)
{
    *err = lane_need(c);
    return *err ? -1 : (int)self->id;
}

/* ---- liveness and errors ----------------------------------------------------------------- */

static int found_dead(struct gvm_chan *c)
{
    static uint32_t said;
    uint32_t sticky = VGPU_LOAD(&c->ch.back->sticky);

    if (sticky)
        return (int)sticky;
    if (!__atomic_exchange_n(&c->gone, GVM_ERR_GONE, __ATOMIC_RELAXED))
        gvm_short_ways(c, 1);
    if (gvm_once(&said))
        gvm_log("the worker of this process is gone; its CUDA work and device memory are lost");
    return GVM_ERR_GONE;
}

int gvm_chan_check(struct gvm_chan *c)
{
    int rc = gvm_chan_sticky(c);

    /* CUDA_ERROR_NOT_PERMITTED */
    return unlikely(barred != NULL) && rc == 0 ? 800 : rc;
}

int gvm_chan_sticky(struct gvm_chan *c)
{
    uint32_t sticky = VGPU_LOAD(&c->ch.back->sticky);

    if (unlikely(sticky))
        return (int)sticky;
    if (unlikely(!vgpu_alive(&c->ch)) || unlikely(__atomic_load_n(&c->gone, __ATOMIC_RELAXED)))
        return found_dead(c);
    return 0;
}

int gvm_chan_check_slow(struct gvm_chan *c)
{
    uint32_t seen = __atomic_load_n(&c->conn.seen, __ATOMIC_RELAXED);
    int rc = gvm_chan_check(c);

    if (rc)
        return rc;
    if (c->conn.ops->wait(&c->conn, &seen, 0) == -EPIPE)
        return found_dead(c);
    __atomic_store_n(&c->conn.seen, seen, __ATOMIC_RELAXED);
    return 0;
}

int gvm_chan_latched(struct gvm_chan *c)
{
    uint32_t now;

    if (!self || self->chan != c)
        return 0;
    now = VGPU_LOAD(&c->ch.back->lane_err[self->id]);
    if (likely(now == self->err_seen))
        return 0;
    self->err_seen = now;
    return (int)(now & 0xffff);
}

/* ---- waiting ----------------------------------------------------------------------------- */

struct waiter {
    bool (*ready)(struct gvm_chan *c, const struct waiter *w);
    uint32_t *flag;    /* front page word that asks for an event */
    uint32_t *spin_ns; /* adapted here; NULL: sleep at once */
    bool any_sticky;   /* a sticky error ends the wait: what is waited for may never come */
    uint32_t a, b;
    uint64_t n;
};

static int wait_alive(struct gvm_chan *c, const struct waiter *w)
{
    if (w->any_sticky)
        return gvm_chan_check(c);
    return vgpu_alive(&c->ch) && !__atomic_load_n(&c->gone, __ATOMIC_RELAXED) ? 0 : GVM_ERR_GONE;
}

static void ring_if_asleep(struct gvm_chan *c)
{
    if (VGPU_LOAD(&c->ch.back->sleeping))
        c->conn.ops->notify(&c->conn);
}

static int wait_sleeping(struct gvm_chan *c, const struct waiter *w)
{
    uint32_t seen;
    int err = 0, rc = 0;

    /* Several threads may share the word: it counts. */
    __atomic_fetch_add(w->flag, 1, __ATOMIC_SEQ_CST);
    VGPU_FENCE();
    seen = __atomic_load_n(&c->conn.seen, __ATOMIC_RELAXED);
    while (!w->ready(c, w)) {
        err = rc == -EPIPE ? GVM_ERR_GONE : wait_alive(c, w);
        if (err)
            break;
        rc = c->conn.ops->wait(&c->conn, &seen, SLEEP_MS);
        __atomic_store_n(&c->conn.seen, seen, __ATOMIC_RELAXED);
        if (rc == -ETIMEDOUT) /* a doorbell that got lost costs one time-out, not the program */
            ring_if_asleep(c);
    }
    __atomic_fetch_sub(w->flag, 1, __ATOMIC_SEQ_CST);
    /* The answer may have been written right before the worker went. */
    if (err && w->ready(c, w))
        err = 0;
    return err == GVM_ERR_GONE ? found_dead(c) : err;
}

/* Polls as long as that paid off lately, then sleeps. */
static int wait_for(struct gvm_chan *c, const struct waiter *w)
{
    uint32_t budget = w->spin_ns ? __atomic_load_n(w->spin_ns, __ATOMIC_RELAXED) : 0;
    uint64_t start, t;
    int rc;

    if (w->ready(c, w))
        return 0;
    if (!c->spin_max_ns || !w->spin_ns)
        return wait_sleeping(c, w);
    start = t = gvm_clock();
    while (t - start < budget) {
        for (int i = 0; i < SPIN_CHECK; i++) {
            gvm_relax();
            if (w->ready(c, w)) {
                if (budget < c->spin_max_ns)
                    __atomic_store_n(w->spin_ns, budget * 2, __ATOMIC_RELAXED);
                return 0;
            }
        }
        if (wait_alive(c, w))
            break;
        t = gvm_clock();
    }
    rc = wait_sleeping(c, w);
    /* Long waits are for sleeping; keep a little so that short ones are noticed again. */
    if (gvm_clock() - start > 2ull * c->spin_max_ns)
        budget = budget / 2 > c->spin_max_ns / 16 ? budget / 2 : c->spin_max_ns / 16 + 1;
    else
        budget = c->spin_max_ns;
    __atomic_store_n(w->spin_ns, budget, __ATOMIC_RELAXED);
    return rc;
}

static bool reply_ready(struct gvm_chan *c, const struct waiter *w)
{
    return vgpu_reply_ready(&c->ch, w->a, w->b);
}

static bool counter_ready(struct gvm_chan *c, const struct waiter *w)
{
    return gvm_counter_done(c, w->a, w->b);
}

/* A quarter of the ring, so that a flooded ring is not refilled one record per wake-up. */
static bool space_ready(struct gvm_chan *c, const struct waiter *w)
{
    return c->ch.ring_size - (c->prod.prod - VGPU_LOAD_ACQUIRE(&c->ch.back->cmd_cons)) >= w->n;
}

int gvm_counter_wait(struct gvm_chan *c, uint32_t slot, uint32_t value, bool spin)
{
    struct waiter w = {.ready = counter_ready, .any_sticky = true, .a = slot, .b = value};
    int rc;

    if (counter_ready(c, &w))
        return 0;
    rc = lane_need(c);
    if (rc)
        return rc;
    w.flag = &c->ch.front->waiting[self->id];
    w.spin_ns = spin ? &self->spin_ns : NULL;
    ring_if_asleep(c); /* in case the burst rule of post() left the doorbell out */
    return wait_for(c, &w);
}

/* ---- records ----------------------------------------------------------------------------- */

/* The ring is full. Waits with the lock held: whoever comes next has to wait as well. */
static void *begin_full(struct gvm_chan *c, uint16_t op, uint32_t len, uint32_t flags, int *err)
{
    struct waiter w = {.ready = space_ready,
                       .flag = &c->ch.front->wait_space,
                       .spin_ns = &c->space_spin_ns,
                       .any_sticky = false};
    void *p;

    w.n = c->ch.ring_size / 4 > 2 * len ? c->ch.ring_size / 4 : 2 * len;
    if (w.n > c->ch.ring_size)
        w.n = c->ch.ring_size;
    ring_if_asleep(c);
    *err = wait_for(c, &w);
    if (*err)
        return NULL;
    p = vgpu_prod_begin(&c->prod, op, (uint16_t)self->id, len, flags);
    if (!p)
        *err = found_dead(c); /* cmd_cons went backwards: the worker is not one of ours */
    return p;
}

/*
 * Takes the ring lock, and the lane's before it where needed: by protocol a lane has nothing to
 * send while a replied call of it is outstanding, so threads that share one take turns.
 */
static bool lock_ring(struct gvm_chan *c, struct gvm_lane *l, bool turn)
{
    if (turn)
        pthread_mutex_lock(&l->call);
    gvm_lock(&c->lock);
    if (likely(turn || l->refs == 1))
        return turn;
    gvm_unlock(&c->lock);
    pthread_mutex_lock(&l->call);
    gvm_lock(&c->lock);
    return true;
}

/* Calls that leave nothing at work on the device when they are answered, or taken. */
static bool starts_nothing(uint16_t op)
{
    switch (op) {
    case VGPU_OP_LaneOpen:
    case VGPU_OP_LaneClose:
    case VGPU_OP_MemAlloc:
    case VGPU_OP_MemFree:
    case VGPU_OP_MemInfo:
    case VGPU_OP_StreamCreate:
    case VGPU_OP_StreamDestroy:
    case VGPU_OP_StreamQuery:
    case VGPU_OP_StreamSync:
    case VGPU_OP_CtxSync:
    case VGPU_OP_EventCreate:
    case VGPU_OP_EventDestroy:
    case VGPU_OP_FuncInfo:
    case VGPU_OP_Occupancy:
    case VGPU_OP_OutputFetch:
        return true;
    default:
        return false;
    }
}

void *gvm_chan_begin(struct gvm_chan *c, uint16_t op, uint32_t payload_len, unsigned flags,
                     int *err)
{
    uint32_t len = (uint32_t)((sizeof(struct vgpu_rec) + payload_len + VGPU_REC_ALIGN - 1) &
                              ~(VGPU_REC_ALIGN - 1));
    uint8_t *p;

    *err = lane_need(c);
    if (unlikely(*err))
        return NULL;
    *err = gvm_chan_check(c);
    if (unlikely(*err) && (!(flags & GVM_CALL_ANYWAY) || *err == GVM_ERR_GONE))
        return NULL;
    flags &= VGPU_REC_REPLY;
    c->turn = lock_ring(c, self, flags != 0);
    p = vgpu_prod_begin(&c->prod, op, (uint16_t)self->id, len, flags);
    if (unlikely(!p)) {
        p = begin_full(c, op, len, flags, err);
        if (!p) {
            bool turn = c->turn;

            gvm_unlock(&c->lock);
            if (turn)
                pthread_mutex_unlock(&self->call);
            return NULL;
        }
    }
    if (c->quiet == c->prod.ticket && starts_nothing(op))
        c->quiet++;
    /* The octets between payload and alignment are the worker's to see: not what was there. */
    len -= (uint32_t)sizeof(struct vgpu_rec);
    if (len != payload_len)
        memset(p + payload_len, 0, len - payload_len);
    return p;
}

static bool must_ring(struct gvm_chan *c)
{
    if (!gvm_chan_must_ring(c)) {
        c->skipped++;
        return false;
    }
    c->rang_at = VGPU_LOAD(&c->ch.back->cmd_cons);
    c->skipped = 0;
    return true;
}

void gvm_chan_end(struct gvm_chan *c)
{
    bool ring = VGPU_LOAD(&c->ch.back->sleeping) && must_ring(c);

    gvm_unlock(&c->lock);
    if (ring)
        c->conn.ops->notify(&c->conn);
}

int gvm_chan_post(struct gvm_chan *c)
{
    bool ring = vgpu_prod_publish(&c->prod), turn = c->turn;

    if (unlikely(ring))
        ring = must_ring(c);
    gvm_unlock(&c->lock);
    if (unlikely(turn))
        pthread_mutex_unlock(&self->call);
    if (unlikely(ring))
        c->conn.ops->notify(&c->conn);
    return 0;
}

bool gvm_chan_quiet(struct gvm_chan *c)
{
    bool quiet;

    gvm_lock(&c->lock);
    quiet = c->quiet == c->prod.ticket;
    gvm_unlock(&c->lock);
    return quiet;
}

void gvm_chan_settled(struct gvm_chan *c)
{
    gvm_lock(&c->lock);
    if ((int32_t)(called - c->quiet) > 0)
        c->quiet = called;
    gvm_unlock(&c->lock);
}

int gvm_chan_call(struct gvm_chan *c, void *out, uint32_t out_max, uint32_t *got)
{
    struct waiter w = {.ready = reply_ready, .a = self->id, .spin_ns = &self->spin_ns};
    bool ring = vgpu_prod_publish(&c->prod);
    int rc;

    w.b = called = c->prod.ticket;
    w.flag = &c->ch.front->waiting[self->id];
    if (ring) {
        c->rang_at = VGPU_LOAD(&c->ch.back->cmd_cons);
        c->skipped = 0;
    }
    gvm_unlock(&c->lock);
    if (ring)
        c->conn.ops->notify(&c->conn);
    *got = 0;
    gvm_count(calls, 1);
    rc = wait_for(c, &w);
    if (rc == 0)
        rc = vgpu_reply_take(&c->ch, w.a, out, out_max, got);
    pthread_mutex_unlock(&self->call);
    return rc;
}
