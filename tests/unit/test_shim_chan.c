/* SPDX-License-Identifier: MIT */
/* The shim's channel against a peer in the same process: lanes, tickets, replies, a full ring,
 * doorbells, latched and sticky errors, a peer that dies. The peer is a thread that takes records
 * with ring.h, as a worker does, and checks the protocol while at it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "libcudart-shim/driver/chan.h"
#include "libcudart-shim/driver/state.h"

#define ORDER    4
#define OP_ECHO  0x7001 /* replied: the payload */
#define OP_POST  0x7002 /* posted: counted */
#define OP_FAIL  0x7003 /* posted: latches error 1 */
#define OP_DEATH 0x7004 /* replied, but the peer dies */

/* What state.c would define. */
struct gvm_state gvm;
uint32_t gvm_usable_word[] = {1};

int gvm_connect(void)
{
    return 100;
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t to_guest, to_peer;
    uint32_t count;  /* events to the guest */
    bool rung;       /* doorbell to the peer */
    bool gone, hold; /* hold: takes nothing */
    unsigned doorbells;
    struct vgpu_channel ch;
    atomic_uint posted, opened, closed, violations;
    uint32_t lane_busy[VGPU_LANES];
} peer = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .to_guest = PTHREAD_COND_INITIALIZER,
          .to_peer = PTHREAD_COND_INITIALIZER};

static void fake_notify(struct gvm_conn *c)
{
    pthread_mutex_lock(&peer.lock);
    peer.rung = true;
    peer.doorbells++;
    pthread_cond_signal(&peer.to_peer);
    pthread_mutex_unlock(&peer.lock);
}

static int fake_wait(struct gvm_conn *c, uint32_t *seen, int timeout_ms)
{
    struct timespec t;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += (long)timeout_ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_mutex_lock(&peer.lock);
    while (peer.count == *seen && !peer.gone && !rc)
        rc = timeout_ms ? -pthread_cond_timedwait(&peer.to_guest, &peer.lock, &t) : -ETIMEDOUT;
    if (peer.count != *seen)
        rc = 0;
    else if (peer.gone)
        rc = -EPIPE;
    *seen = peer.count;
    pthread_mutex_unlock(&peer.lock);
    return rc;
}

static void fake_close(struct gvm_conn *c)
{
}

static const struct gvm_conn_ops fake = {
    .name = "fake", .notify = fake_notify, .wait = fake_wait, .close = fake_close};

static void signal_guest(void)
{
    pthread_mutex_lock(&peer.lock);
    peer.count++;
    pthread_cond_broadcast(&peer.to_guest);
    pthread_mutex_unlock(&peer.lock);
}

static void die(void)
{
    VGPU_STORE(&peer.ch.back->alive, 0);
    pthread_mutex_lock(&peer.lock);
    peer.gone = true;
    pthread_cond_broadcast(&peer.to_guest);
    pthread_mutex_unlock(&peer.lock);
}

static void take(struct vgpu_consumer *c, struct vgpu_rec *r)
{
    switch (r->op) {
    case VGPU_OP_LaneOpen:
        peer.opened++;
        break;
    case VGPU_OP_LaneClose:
        peer.closed++;
        break;
    case OP_POST:
        peer.posted++;
        break;
    case OP_FAIL: {
        uint32_t was = VGPU_LOAD(&peer.ch.back->lane_err[r->lane]);

        VGPU_STORE_RELEASE(&peer.ch.back->lane_err[r->lane], ((was >> 16) + 1) << 16 | 1);
        break;
    }
    case VGPU_OP_CtxSync:
    case VGPU_OP_MemAlloc:
    case OP_ECHO:
        if (!(r->flags & VGPU_REC_REPLY))
            peer.violations++;
        if (vgpu_reply_publish(&peer.ch, r->lane, r->ticket, 0, r + 1, r->len - sizeof(*r)))
            signal_guest();
        break;
    case OP_DEATH:
        die();
        break;
    default:
        peer.violations++;
    }
}

static void *peer_main(void *arg)
{
    struct vgpu_consumer c = {.ch = &peer.ch};
    uint8_t *buf = aligned_alloc(16, VGPU_REC_MAX + 16);
    const char *why;

    for (;;) {
        enum vgpu_take t = VGPU_TAKE_EMPTY;
        bool hold;

        pthread_mutex_lock(&peer.lock);
        hold = peer.hold;
        if (peer.gone) {
            pthread_mutex_unlock(&peer.lock);
            break;
        }
        pthread_mutex_unlock(&peer.lock);
        if (!hold)
            t = vgpu_cons_take(&c, buf, &why);
        if (t == VGPU_TAKE_BAD) {
            peer.violations++;
            break;
        }
        if (t == VGPU_TAKE_RECORD) {
            take(&c, (void *)buf);
            if (vgpu_cons_wants_space(&c))
                signal_guest();
            continue;
        }
        vgpu_cons_sleeping(&c, true);
        pthread_mutex_lock(&peer.lock);
        while (!peer.rung && !peer.gone && (peer.hold || vgpu_cons_idle(&c)))
            pthread_cond_wait(&peer.to_peer, &peer.lock);
        peer.rung = false;
        pthread_mutex_unlock(&peer.lock);
        vgpu_cons_sleeping(&c, false);
    }
    free(buf);
    return NULL;
}

struct fixture {
    struct gvm_chan *c;
    pthread_t thread;
    void *base;
    size_t len;
};

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct gvm_conn conn = {.ops = &fake, .ring_order = ORDER};

    f->len = VGPU_CH_PAGES(ORDER) * VGPU_PAGE_SIZE;
    f->base = mmap(NULL, f->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    conn.base = f->base;
    conn.len = f->len;
    vgpu_channel_init(&peer.ch, f->base, ORDER);
    peer.ch.back->alive = 1;
    peer.gone = peer.hold = peer.rung = false;
    peer.posted = peer.opened = peer.closed = peer.violations = 0;
    peer.doorbells = peer.count = 0;
    f->c = gvm_chan_create(&conn);
    gvm.chan = f->c;
    assert_int_equal(pthread_create(&f->thread, NULL, peer_main, NULL), 0);
    *state = f;
    return 0;
}

static void hold(bool on)
{
    pthread_mutex_lock(&peer.lock);
    peer.hold = on;
    pthread_cond_signal(&peer.to_peer);
    peer.rung = true;
    pthread_mutex_unlock(&peer.lock);
}

static int stop(void **state)
{
    struct fixture *f = *state;

    die();
    pthread_mutex_lock(&peer.lock);
    pthread_cond_signal(&peer.to_peer);
    pthread_mutex_unlock(&peer.lock);
    pthread_join(f->thread, NULL);
    munmap(f->base, f->len);
    gvm.chan = NULL;
    /* The struct stays: this thread's lane points into it. Its pages must not be looked at. */
    static struct gvm_chan *kept[32];
    static unsigned nkept;

    assert_true(nkept < sizeof(kept) / sizeof(kept[0]));
    kept[nkept++] = f->c;
    free(f);
    return (int)peer.violations;
}

static int call(struct gvm_chan *c, uint16_t op, const void *data, uint32_t n, void *out)
{
    uint32_t got;
    int err;
    void *p = gvm_chan_begin(c, op, n, VGPU_REC_REPLY, &err);

    if (!p)
        return err;
    memcpy(p, data, n);
    err = gvm_chan_call(c, out, n, &got);
    return err ? err : got == n ? 0 : -1;
}

static int echo(struct gvm_chan *c, const void *data, uint32_t n, void *out)
{
    return call(c, OP_ECHO, data, n, out);
}

static int post(struct gvm_chan *c, uint16_t op, uint32_t n)
{
    int err;
    void *p = gvm_chan_begin(c, op, n, 0, &err);

    if (!p)
        return err;
    memset(p, 0x5a, n);
    return gvm_chan_post(c);
}

static void replies_come_back(void **state)
{
    struct fixture *f = *state;
    uint8_t data[480], out[480];

    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t n = 1 + i % sizeof(data);

        memset(data, (int)i, sizeof(data));
        memset(out, ~(int)i, sizeof(out));
        assert_int_equal(echo(f->c, data, n, out), 0);
        assert_memory_equal(data, out, n);
    }
    assert_int_equal(peer.opened, 1);
}

/* Far more than the ring holds, to a peer that at first takes nothing. */
static void *release(void *arg)
{
    struct fixture *f = arg;

    while (!VGPU_LOAD(&f->c->ch.front->wait_space))
        ;
    hold(false);
    return NULL;
}

static void full_ring_waits(void **state)
{
    struct fixture *f = *state;
    pthread_t t;
    uint8_t x = 1, y = 0;

    assert_int_equal(echo(f->c, &x, 1, &y), 0);
    hold(true);
    assert_int_equal(pthread_create(&t, NULL, release, f), 0);
    for (uint32_t i = 0; i < 2000; i++)
        assert_int_equal(post(f->c, OP_POST, i % 5000), 0);
    pthread_join(t, NULL);
    assert_int_equal(echo(f->c, &x, 1, &y), 0);
    assert_int_equal(peer.posted, 2000);
}

/* A burst to a sleeping peer rings once, not once per record; a replied call always rings. */
static void bursts_ring_once(void **state)
{
    struct fixture *f = *state;
    uint8_t x = 1, y = 0;
    unsigned before;

    assert_int_equal(echo(f->c, &x, 1, &y), 0);
    hold(true);
    while (!VGPU_LOAD(&f->c->ch.back->sleeping))
        ;
    before = peer.doorbells;
    for (int i = 0; i < 200; i++)
        assert_int_equal(post(f->c, OP_POST, 16), 0);
    assert_in_range(peer.doorbells - before, 1, 3);
    hold(false);
    assert_int_equal(echo(f->c, &x, 1, &y), 0);
    assert_int_equal(peer.posted, 200);
}

static void *caller(void *arg)
{
    struct fixture *f = arg;
    uint32_t me = (uint32_t)(uintptr_t)pthread_self(), out;

    for (uint32_t i = 0; i < 200; i++) {
        uint32_t v = me + i;

        if (post(f->c, OP_POST, 40) || echo(f->c, &v, sizeof(v), &out) || out != v)
            return arg;
    }
    return NULL;
}

/* Each thread a lane; beyond VGPU_LANES they share, one at a time. All are given back. */
static void threads_have_lanes(void **state)
{
    enum { N = VGPU_LANES + 12 };
    struct fixture *f = *state;
    static pthread_t t[N];
    void *bad;
    uint8_t x = 1, y;

    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&t[i], NULL, caller, f), 0);
    for (int i = 0; i < N; i++) {
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
    assert_int_equal(echo(f->c, &x, 1, &y), 0);
    assert_int_equal(peer.posted, N * 200);
    assert_int_equal(peer.opened - peer.closed, 1); /* this thread's */
    for (unsigned i = 0; i < VGPU_LANES; i++)
        assert_in_range(f->c->lanes[i].refs, 0, 1);
}

static void errors_latch_and_stick(void **state)
{
    struct fixture *f = *state;
    uint8_t x = 1, y = 0;
    int err;

    assert_int_equal(echo(f->c, &x, 1, &y), 0);
    assert_int_equal(gvm_chan_latched(f->c), 0);
    assert_int_equal(post(f->c, OP_FAIL, 0), 0);
    assert_int_equal(echo(f->c, &x, 1, &y), 0);
    assert_int_equal(gvm_chan_latched(f->c), 1);
    assert_int_equal(gvm_chan_latched(f->c), 0); /* told once */
    assert_int_equal(post(f->c, OP_FAIL, 0), 0); /* the same error again is another one */
    assert_int_equal(echo(f->c, &x, 1, &y), 0);
    assert_int_equal(gvm_chan_latched(f->c), 1);
    VGPU_STORE(&f->c->ch.back->sticky, 700);
    assert_null(gvm_chan_begin(f->c, OP_POST, 0, 0, &err));
    assert_int_equal(err, 700);
    assert_int_equal(gvm_counter_wait(f->c, 5, 1, true), 700); /* would never come */
}

static void *kill_peer(void *arg)
{
    struct fixture *f = arg;

    while (!VGPU_LOAD(&f->c->ch.front->waiting[0]))
        ;
    die();
    return NULL;
}

static void death_ends_waits(void **state)
{
    struct fixture *f = *state;
    pthread_t t;
    int err;

    VGPU_STORE_RELEASE(&f->c->ch.counters[7], 3);
    assert_int_equal(gvm_counter_wait(f->c, 7, 2, true), 0);
    assert_int_equal(gvm_chan_lane(f->c, &err), 0);
    assert_int_equal(pthread_create(&t, NULL, kill_peer, f), 0);
    assert_int_equal(gvm_counter_wait(f->c, 7, 4, false), GVM_ERR_GONE);
    pthread_join(t, NULL);
    assert_null(gvm_chan_begin(f->c, OP_ECHO, 0, VGPU_REC_REPLY, &err));
    assert_int_equal(err, GVM_ERR_GONE);
    assert_int_equal(gvm_chan_check(f->c), GVM_ERR_GONE);
}

static void death_ends_calls(void **state)
{
    struct fixture *f = *state;
    uint32_t got;
    int err;

    assert_non_null(gvm_chan_begin(f->c, OP_DEATH, 0, VGPU_REC_REPLY, &err));
    assert_int_equal(gvm_chan_call(f->c, NULL, 0, &got), GVM_ERR_GONE);
}

static void *posts_one(void *arg)
{
    assert_int_equal(post(arg, OP_POST, 16), 0);
    return NULL;
}

static void idleness_is_known(void **state)
{
    struct gvm_chan *c = ((struct fixture *)*state)->c;
    uint8_t d[16] = {0};
    pthread_t t;

    assert_true(gvm_chan_quiet(c));
    assert_int_equal(call(c, VGPU_OP_MemAlloc, d, sizeof(d), d), 0);
    assert_true(gvm_chan_quiet(c)); /* the lane was opened, too */
    assert_int_equal(post(c, OP_POST, 16), 0);
    assert_false(gvm_chan_quiet(c));
    assert_int_equal(call(c, VGPU_OP_MemAlloc, d, sizeof(d), d), 0);
    assert_false(gvm_chan_quiet(c));
    assert_int_equal(call(c, VGPU_OP_CtxSync, d, sizeof(d), d), 0);
    assert_false(gvm_chan_quiet(c)); /* the caller says what the call was good for */
    gvm_chan_settled(c);
    assert_true(gvm_chan_quiet(c));

    /* What another thread sent after the call is not covered by it. */
    assert_int_equal(call(c, VGPU_OP_CtxSync, d, sizeof(d), d), 0);
    assert_int_equal(pthread_create(&t, NULL, posts_one, c), 0);
    pthread_join(t, NULL);
    gvm_chan_settled(c);
    assert_false(gvm_chan_quiet(c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(replies_come_back, start, stop),
        cmocka_unit_test_setup_teardown(full_ring_waits, start, stop),
        cmocka_unit_test_setup_teardown(bursts_ring_once, start, stop),
        cmocka_unit_test_setup_teardown(threads_have_lanes, start, stop),
        cmocka_unit_test_setup_teardown(errors_latch_and_stick, start, stop),
        cmocka_unit_test_setup_teardown(idleness_is_known, start, stop),
        cmocka_unit_test_setup_teardown(death_ends_waits, start, stop),
        cmocka_unit_test_setup_teardown(death_ends_calls, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
