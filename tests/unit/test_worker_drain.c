/* SPDX-License-Identifier: MIT */
/*
 * The worker's drain: order, answers, latched errors, and every way to break the protocol.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/common/log.h"
#include "tests/unit/worker_fixture.h"

static int setup(void **state)
{
    *state = fix_new(true);
    return 0;
}

static int setup_threads(void **state)
{
    *state = fix_new(false);
    return 0;
}

static int teardown(void **state)
{
    fix_free(*state);
    return 0;
}

static void assert_violation(struct fix *f, const char *what)
{
    const char *why = fix_drain(f);

    assert_non_null(why);
    assert_non_null(strstr(why, what));
}

static uint32_t lane_err(struct fix *f, unsigned lane)
{
    return f->guest.back->lane_err[lane];
}

/* ---- what goes right */

static void test_alive(void **state)
{
    struct fix *f = *state;

    assert_int_equal(f->guest.back->alive, 1);
    assert_null(fix_drain(f));
    assert_int_equal(f->stats.calls, 0);
}

static void test_posted_order(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lazy = true};
    char expect[4096] = "";
    uint64_t dst = (uint64_t)(uintptr_t)0;
    uint64_t base, size;

    mock_ops.window(f->w.dev, &base, &size);
    dst = base;
    for (unsigned i = 1; i <= 100; i++) {
        char one[32];

        ch.lane = (uint16_t)(i % 5);
        assert_int_equal(vgpu_Fill(&ch, 0, 0, dst, 0, i, 4, 1, 1), 0);
        snprintf(one, sizeof(one), "fill %u x4 1x1;", i);
        strcat(expect, one);
    }
    assert_string_equal(mock_notes(), "");
    assert_null(fix_drain(f));
    assert_string_equal(mock_notes(), expect);
    assert_int_equal(f->stats.calls, 100);
    assert_int_equal(f->rings, 0); /* nobody waits */
}

static void test_wraps(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint64_t base, size;
    uint8_t data[20000];

    mock_ops.window(f->w.dev, &base, &size);
    for (unsigned i = 0; i < 50; i++) {
        uint32_t n = 1 + (i * 7919u) % (uint32_t)sizeof(data);

        memset(data, (int)i, n);
        assert_int_equal(vgpu_CopyInline(&ch, 0, 0, base + i, data, n), 0);
        assert_memory_equal((void *)(uintptr_t)(base + i), data, n);
    }
    assert_int_equal(lane_err(f, 0), 0);
    assert_int_equal(f->w.inline_bytes, 0);
}

static void test_reply_and_ring(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lane = 7};
    uint64_t dptr = 0;

    assert_int_equal(vgpu_MemAlloc(&ch, 0, 1000, &dptr), 0);
    assert_int_not_equal(dptr, 0);
    assert_int_equal(f->rings, 0);
    f->guest.front->waiting[7] = 1;
    assert_int_equal(vgpu_MemAlloc(&ch, 0, 1u << 30, &dptr), 2);
    assert_int_equal(f->rings, 1);
    /* Somebody else's sleep does not matter to this reply. */
    f->guest.front->waiting[7] = 0;
    f->guest.front->waiting[8] = 1;
    assert_int_equal(vgpu_MemAlloc(&ch, 0, 16, &dptr), 0);
    assert_int_equal(f->rings, 1);
    assert_int_equal(f->stats.mem_used, 1024 + 256);
}

static void test_wait_space(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lazy = true};

    f->guest.front->wait_space = 1;
    assert_null(fix_drain(f)); /* nothing taken: no new space */
    assert_int_equal(f->rings, 0);
    assert_int_equal(vgpu_LaneOpen(&ch, 0), 0);
    assert_null(fix_drain(f));
    assert_int_equal(f->rings, 1);
}

static void test_posted_with_reply(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};

    mock_fail("fill", 1);
    assert_int_equal(vgpu_Fill(&ch, VGPU_REC_REPLY, 0, 0, 0, 0, 1, 1, 1), 1);
    assert_int_equal(lane_err(f, 0), 0); /* told, so not latched */
}

static void test_latch(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lane = 3};

    mock_fail("fill", 1);
    assert_int_equal(vgpu_Fill(&ch, 0, 0, 0, 0, 0, 1, 1, 1), 0);
    assert_int_equal(lane_err(f, 3), 1u << 16 | 1);
    mock_fail("fill", 2);
    assert_int_equal(vgpu_Fill(&ch, 0, 0, 0, 0, 0, 1, 1, 1), 0);
    assert_int_equal(lane_err(f, 3), 2u << 16 | 2);
    assert_int_equal(lane_err(f, 0), 0);
    mock_fail(NULL, 0);
    assert_int_equal(vgpu_Fill(&ch, 0, 0, 0, 0, 0, 1, 1, 1), 0);
    assert_int_equal(lane_err(f, 3), 2u << 16 | 2); /* success does not clear it */
    assert_int_equal(vgpu_LaneOpen(&ch, 0), 0);
    assert_int_equal(lane_err(f, 3), 2u << 16); /* a new thread: no error, the count goes on */
}

static void test_sticky(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};

    mock_fault(700, "illegal address 0x10 in vecAdd");
    assert_int_equal(f->guest.back->sticky, 700);
    assert_int_equal(f->rings, 1);
    assert_int_equal(f->stats.sticky, 700);
    mock_fault(719, "too late"); /* the first one stays */
    assert_int_equal(f->guest.back->sticky, 700);
    assert_int_equal(f->rings, 1);
    mock_fail("fill", 700);
    assert_int_equal(vgpu_Fill(&ch, 0, 0, 0, 0, 0, 1, 1, 1), 0);
    assert_int_equal(lane_err(f, 0), 0); /* not latched on top */
}

static void test_budget(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lazy = true};
    const char *why = NULL;

    for (int i = 0; i < 10; i++)
        vgpu_LaneOpen(&ch, 0);
    assert_int_equal(wk_drain_some(&f->w, 4, &why), 4);
    assert_int_equal(wk_drain_some(&f->w, 4, &why), 4);
    assert_int_equal(wk_drain_some(&f->w, 4, &why), 2);
    assert_int_equal(wk_drain_some(&f->w, 4, &why), 0);
}

/* ---- what goes wrong */

static void test_bad_ticket(void **state)
{
    struct fix *f = *state;

    fix_put(f, VGPU_OP_LaneOpen, 0, 0, NULL, 0)->ticket = 2;
    assert_violation(f, "ticket");
    assert_string_equal(mock_notes(), "");
}

static void test_bad_lane(void **state)
{
    struct fix *f = *state;

    fix_put(f, VGPU_OP_LaneOpen, VGPU_LANES, 0, NULL, 0);
    assert_violation(f, "lane");
}

static void test_bad_length(void **state)
{
    const uint32_t bad[] = {0, 15, 17, 24, 32, VGPU_REC_MAX + 16, 0xfffffff0u};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fix *f = fix_new(true);

        fix_put(f, VGPU_OP_LaneOpen, 0, 0, NULL, 0)->len = bad[i];
        assert_violation(f, "length");
        fix_free(f);
    }
}

static void test_too_long(void **state)
{
    struct fix *f = *state;
    struct vgpu_rec *r = (struct vgpu_rec *)(void *)f->guest.ring;

    r->len = VGPU_REC_MAX + 16;
    r->op = VGPU_OP_LaneOpen;
    r->ticket = 1;
    f->guest.front->cmd_prod = VGPU_REC_MAX + 16;
    assert_violation(f, "length");
}

static void test_bad_prod(void **state)
{
    const uint64_t bad[] = {8, 17, (VGPU_PAGE_SIZE << FIX_ORDER) + 16, ~0ull, ~0ull << 4};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fix *f = fix_new(true);

        f->guest.front->cmd_prod = bad[i];
        assert_violation(f, "cmd_prod");
        fix_free(f);
    }
}

static void test_prod_backwards(void **state)
{
    struct fix *f = *state;

    fix_put(f, VGPU_OP_LaneOpen, 0, 0, NULL, 0);
    assert_null(fix_drain(f));
    f->guest.front->cmd_prod = 0;
    assert_violation(f, "cmd_prod");
}

static void test_bad_pad(void **state)
{
    struct fix *f = *state;

    fix_put(f, VGPU_OP_PAD, 0, 0, NULL, 0);
    assert_violation(f, "pad");
}

static void test_bad_op(void **state)
{
    const uint16_t bad[] = {0, 2, 0x000f, 0x7777, 0xffff};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fix *f = fix_new(true);

        fix_put(f, bad[i], 0, 0, NULL, 0);
        assert_violation(f, "operation");
        fix_free(f);
    }
}

static void test_bad_flags(void **state)
{
    struct fix *f = *state;

    fix_put(f, VGPU_OP_LaneOpen, 0, 2, NULL, 0);
    assert_violation(f, "flags");
}

static void test_short_record(void **state)
{
    struct fix *f = *state;

    fix_put(f, VGPU_OP_MemAlloc, 0, VGPU_REC_REPLY, NULL, 0);
    assert_non_null(fix_drain(f));
    assert_string_equal(mock_notes(), "");
}

static void test_out_of_range_field(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lazy = true};

    vgpu_EventCreate(&ch, 0, 16, 0, VGPU_COUNTERS); /* counter max 4095 */
    assert_non_null(fix_drain(f));
    assert_int_equal(mock_live(), 0);
}

/* ---- threads */

static void test_busy_lane(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lane = 1, .lazy = true};
    uint32_t ticket;

    mock_hold(true);
    fix_put(f, VGPU_OP_CtxSync, 1, VGPU_REC_REPLY, NULL, 0);
    ticket = f->prod.ticket;
    assert_null(fix_drain(f));
    assert_int_equal(f->guest.back->reply_ticket[1], 0);
    vgpu_LaneOpen(&ch, 0);
    assert_violation(f, "outstanding");
    mock_hold(false);
    assert_int_equal(fix_wait_reply(f, 1, ticket), 0);
}

static void test_blocking_holds_nobody(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lane = 2};
    uint32_t ticket;
    uint64_t dptr;

    mock_hold(true);
    fix_put(f, VGPU_OP_CtxSync, 1, VGPU_REC_REPLY, NULL, 0);
    ticket = f->prod.ticket;
    assert_null(fix_drain(f));
    for (int i = 0; i < 20; i++)
        assert_int_equal(vgpu_MemAlloc(&ch, 0, 256, &dptr), 0);
    assert_int_equal(f->guest.back->reply_ticket[1], 0);
    mock_hold(false);
    assert_int_equal(fix_wait_reply(f, 1, ticket), 0);
    /* The same thread again, now that its call has returned. */
    for (int i = 0; i < 20; i++) {
        ch.lane = (uint16_t)(i % 3);
        assert_int_equal(vgpu_CtxSync(&ch, 0), 0);
    }
}

/* A thread destroys what another one waits for. */
static void test_destroy_in_use(void **state)
{
    struct fix *f = *state;
    struct gvm_chan a = {.f = f, .lane = 1}, b = {.f = f, .lane = 2};
    uint32_t id = 20, ticket;

    assert_int_equal(vgpu_EventCreate(&a, 0, 20, 0, 5), 0);
    mock_hold(true);
    fix_put(f, VGPU_OP_EventSync, 1, VGPU_REC_REPLY, &id, sizeof(id));
    ticket = f->prod.ticket;
    assert_null(fix_drain(f));
    while (mock_count("event_sync") == 0)
        sched_yield();
    assert_int_equal(vgpu_EventDestroy(&b, 0, 20), 0);
    assert_int_equal(mock_count("event_destroy"), 0);
    assert_int_equal(vgpu_EventElapsed(&b, 0, 20, 20, &(float){0}), 400); /* gone by name */
    assert_int_equal(vgpu_EventCreate(&b, VGPU_REC_REPLY, 20, 0, 6), 0);  /* the id is free */
    mock_hold(false);
    assert_int_equal(fix_wait_reply(f, 1, ticket), 0);
    while (f->w.lanes[1].busy)
        sched_yield();
    assert_int_equal(mock_count("event_destroy"), 1);
    assert_int_equal(lane_err(f, 1) | (lane_err(f, 2) & 0xffff), 0);
}

static void test_lane_violation(void **state)
{
    struct fix *f = *state;
    const char *why;

    fix_put(f, VGPU_OP_MemFree, 1, VGPU_REC_REPLY, NULL, 0); /* too short, found by the lane */
    assert_null(fix_drain(f));
    do {
        why = __atomic_load_n(&f->violation, __ATOMIC_ACQUIRE);
    } while (!why && (sched_yield(), 1));
    assert_int_equal(f->guest.back->reply_ticket[1], 0);
}

/* ---- the loop around it */

static int take_bell(struct transport *t)
{
    uint64_t n;

    return read(t->event_fd, &n, sizeof(n)) == (ssize_t)sizeof(n);
}

static void no_notify(struct transport *t)
{
}

static const struct transport_ops bell = {
    .name = "bell", .notify = no_notify, .take = take_bell, .unmask = no_notify};

static void *loop_main(void *arg)
{
    wk_drain_loop(arg);
    return NULL;
}

static void await_sleep(struct fix *f)
{
    while (!VGPU_LOAD(&f->guest.back->sleeping))
        sched_yield();
}

static void ring_bell(struct fix *f)
{
    uint64_t one = 1;

    assert_int_equal(write(f->w.tr.event_fd, &one, sizeof(one)), (ssize_t)sizeof(one));
}

/* Ends the loop by a record that breaks the protocol. */
static void end_loop(struct fix *f, pthread_t t)
{
    fix_put(f, 0xfff0, 0, 0, NULL, 0);
    ring_bell(f);
    pthread_join(t, NULL);
    assert_non_null(f->violation);
    close(f->w.tr.event_fd);
}

static pthread_t start_loop(struct fix *f, uint32_t spin_us)
{
    pthread_t t;

    f->w.tr.ops = &bell;
    f->w.tr.event_fd = eventfd(0, EFD_NONBLOCK);
    f->w.spin_us = spin_us;
    assert_int_equal(pthread_create(&t, NULL, loop_main, &f->w), 0);
    return t;
}

static void post_mark(struct fix *f, uint32_t counter, uint32_t value, uint32_t due)
{
    const struct {
        uint32_t stream, counter, value, due;
    } a = {0, counter, value, due};

    fix_put(f, VGPU_OP_StreamMark, 0, 0, &a, sizeof(a));
    ring_bell(f);
}

/* What a guest expects, and for how long, is its own word: a worker that was told of an end that does
 * not come sleeps all the same, before it and after, and goes on with what does come. */
static void expect_with(struct fix *f, uint32_t spin_us)
{
    static const uint32_t due[] = {1, 2000, 1000000};
    pthread_t t = start_loop(f, spin_us);

    mock_fail("write32", 999); /* marks are not reached */
    for (unsigned i = 0; i < 3; i++) {
        await_sleep(f);
        post_mark(f, 5, i + 1, due[i]);
        while (VGPU_LOAD_ACQUIRE(&f->guest.back->cmd_cons) != f->prod.prod)
            sched_yield();
        await_sleep(f);
    }
    mock_fail(NULL, 0);
    end_loop(f, t);
    assert_true(spin_us || !f->w.expect.end);
}

static void test_expect(void **state)
{
    expect_with(*state, 50);
}

static void test_expect_no_poll(void **state)
{
    expect_with(*state, 0);
}

static void *release_main(void *arg)
{
    struct fix *f = arg;

    /* The drain thread is stuck in the flow limit once this many launches are issued. */
    while (mock_count("fill") < 1024)
        sched_yield();
    mock_hold(false);
    return f;
}

static void test_flow(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    pthread_t t;

    mock_hold(true);
    assert_int_equal(pthread_create(&t, NULL, release_main, f), 0);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(vgpu_Fill(&ch, 0, 0, 0, 0, 0, 1, 1, 1), 0);
    pthread_join(t, NULL);
    assert_int_equal(mock_count("fill"), 3000);
    assert_int_equal(f->w.legacy->done, 3000 / 256 * 256);
}

static void *reap_main(void *arg)
{
    struct fix *f = arg;
    uint32_t seq = 0;

    assert_int_equal(wk_chunk_reap(&f->w, &seq), 0);
    assert_int_equal(seq, 78);
    return NULL;
}

static void test_chunk_drop(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lane = 2};
    uint64_t base, size;
    pthread_t t;

    mock_ops.window(f->w.dev, &base, &size);
    assert_int_equal(f->stats.chunks, FIX_POOL / 4096);
    assert_int_equal(vgpu_CopyToDevice(&ch, VGPU_REC_REPLY, 0, base, 0, 0, 4096), 0);
    assert_int_equal(wk_chunk_drop(&f->w, 1, 5), 1); /* there is none */
    assert_int_equal(wk_chunk_drop(&f->w, 0, 77), 0);
    /* A broker that was started again asks once more, and is the one that is answered. */
    assert_int_equal(wk_chunk_drop(&f->w, 0, 78), 0);
    assert_int_equal(vgpu_CopyToDevice(&ch, VGPU_REC_REPLY, 0, base, 0, 0, 4096), 1);
    assert_int_equal(pthread_create(&t, NULL, reap_main, f), 0);
    pthread_join(t, NULL);
    assert_int_equal(f->stats.chunks, 0);
    assert_int_equal(mock_count("ctx_sync"), 1);
    assert_int_equal(mock_count("pool_drop"), 1);
    assert_int_equal(wk_chunk_drop(&f->w, 0, 79), 1);
}

/* ---- waits on the drain thread, for devices that can be asked */

static unsigned settled;

static bool printed;

static bool settle(struct dev *d)
{
    settled++;
    return !printed;
}

static void may_ask(struct fix *f)
{
    static struct dev_ops ops;

    ops = mock_ops;
    ops.bounded = true;
    ops.settle = settle;
    settled = 0;
    f->w.ops = &ops;
    f->w.spin_us = 50;
    f->w.landing = true;
}

/* What is complete is answered without a thread, and without the device's own wait. */
static void test_polls(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lane = 1};
    uint8_t got[4] = {0};
    uint32_t n = 0;
    uint64_t d, size;

    may_ask(f);
    mock_ops.window(f->w.dev, &d, &size);
    memcpy((void *)(uintptr_t)d, "\1\2\3\4", 4);
    assert_int_equal(vgpu_CtxSync(&ch, 0), 0);
    assert_int_equal(vgpu_StreamSync(&ch, 0, 0), 0);
    assert_int_equal(vgpu_EventCreate(&ch, 0, 16, 0, 1), 0);
    assert_int_equal(vgpu_EventMark(&ch, 0, 16, 0), 0);
    assert_int_equal(vgpu_EventQuery(&ch, 0, 16), 0);
    assert_int_equal(vgpu_EventSync(&ch, 0, 16), 0);
    assert_int_equal(vgpu_CopyFetch(&ch, 0, 0, d, 4, got, sizeof(got), &n), 0);
    assert_int_equal(n, 4);
    assert_memory_equal(got, "\1\2\3\4", 4);
    assert_int_equal(settled, 4);
    assert_false(f->w.lanes[1].started);
    assert_int_equal(mock_count("ctx_sync") + mock_count("stream_sync") + mock_count("event_sync"),
                     0);
    assert_int_equal(f->guest.counters[1], 0); /* nobody asked for it */
    /* Only a wait of the device's own hands over what kernels have printed. */
    printed = true;
    assert_int_equal(vgpu_CtxSync(&ch, 0), 0);
    assert_int_equal(vgpu_EventSync(&ch, 0, 16), 0);
    assert_int_equal(vgpu_StreamSync(&ch, 0, 0), 0);
    printed = false;
    assert_int_equal(mock_count("ctx_sync"), 1);
    assert_int_equal(mock_count("event_sync"), 1);
    assert_int_equal(mock_count("stream_sync"), 1);
    assert_false(f->w.lanes[1].started);
}

/* What is not moves to the lane's thread; a copy has been issued by then, and is not issued twice. */
static void test_polls_in_vain(void **state)
{
    struct vgpu_in_CopyFetch fetch = {.n = 4};
    const uint32_t event = 16, stream = 0;
    const struct {
        uint16_t op;
        const void *payload;
        uint32_t len;
        const char *wait;
    } calls[] = {{VGPU_OP_CtxSync, NULL, 0, "ctx_sync"},
                 {VGPU_OP_EventSync, &event, sizeof(event), "event_sync"},
                 {VGPU_OP_StreamSync, &stream, sizeof(stream), "stream_sync"},
                 {VGPU_OP_CopyFetch, &fetch, sizeof(fetch), "stream_sync"}};
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lane = 2};
    uint64_t size;

    may_ask(f);
    mock_ops.window(f->w.dev, &fetch.src, &size);
    assert_int_equal(vgpu_EventCreate(&ch, 0, event, 0, 1), 0);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        uint32_t ticket;

        mock_clear();
        mock_hold(true);
        assert_int_equal(vgpu_EventQuery(&ch, 0, event), 600);
        fix_put(f, calls[i].op, 1, VGPU_REC_REPLY, calls[i].payload, calls[i].len);
        ticket = f->prod.ticket;
        assert_null(fix_drain(f));
        assert_int_not_equal(f->guest.back->reply_ticket[1], ticket);
        mock_hold(false);
        assert_int_equal(fix_wait_reply(f, 1, ticket), 0);
        assert_int_equal(mock_count(calls[i].wait), 1);
    }
    assert_int_equal(mock_count("copy_d2h"), 1);
    assert_int_equal(settled, 0);
}

/* The default stream looks idle while other streams hold it up. */
static void test_polls_not_beside_streams(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lane = 1};

    may_ask(f);
    assert_int_equal(vgpu_StreamCreate(&ch, 0, 16, 0, 0), 0);
    assert_int_equal(vgpu_StreamSync(&ch, 0, 16), 0);
    assert_false(f->w.lanes[1].started);
    assert_int_equal(vgpu_CtxSync(&ch, 0), 0);
    assert_int_equal(vgpu_StreamSync(&ch, 0, 0), 0);
    assert_int_equal(mock_count("ctx_sync"), 1);
    assert_int_equal(mock_count("stream_sync"), 1);
}

#define TEST(t)    cmocka_unit_test_setup_teardown(t, setup, teardown)
#define THREADS(t) cmocka_unit_test_setup_teardown(t, setup_threads, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_alive),
        TEST(test_posted_order),
        TEST(test_wraps),
        TEST(test_reply_and_ring),
        TEST(test_wait_space),
        TEST(test_posted_with_reply),
        TEST(test_latch),
        TEST(test_sticky),
        TEST(test_budget),
        TEST(test_bad_ticket),
        TEST(test_bad_lane),
        cmocka_unit_test(test_bad_length),
        TEST(test_too_long),
        cmocka_unit_test(test_bad_prod),
        TEST(test_prod_backwards),
        TEST(test_bad_pad),
        cmocka_unit_test(test_bad_op),
        TEST(test_bad_flags),
        TEST(test_short_record),
        TEST(test_out_of_range_field),
        THREADS(test_busy_lane),
        THREADS(test_blocking_holds_nobody),
        THREADS(test_destroy_in_use),
        THREADS(test_lane_violation),
        THREADS(test_expect),
        THREADS(test_expect_no_poll),
        THREADS(test_flow),
        THREADS(test_chunk_drop),
        THREADS(test_polls),
        THREADS(test_polls_in_vain),
        THREADS(test_polls_not_beside_streams),
    };

    log_init("test", LOG_ERR_);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
