/* SPDX-License-Identifier: MIT */
/* The gate in front of what takes a GPU's time: open, shut, leased; how much is issued ahead. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/worker_fixture.h"

static struct fix *f;
static struct dev_ops ops;
static _Atomic unsigned recorded;
static _Atomic bool ready, drained; /* marks; the stream */
static unsigned queries;
static struct tenant_slot *slot;

static int fence_record(struct dev *d, unsigned i)
{
    assert_true(i < DEV_FENCES);
    recorded++;
    return 0;
}

static int fence_query(struct dev *d, unsigned i)
{
    return ready ? 0 : WK_NOT_READY;
}

static int stream_query(struct dev *d, struct dev_stream *s)
{
    queries++;
    return drained ? 0 : WK_NOT_READY;
}

static int setup(void **state)
{
    f = fix_new(true);
    ops = *f->w.ops;
    ops.fence_record = fence_record;
    ops.fence_query = fence_query;
    ops.stream_query = stream_query;
    f->w.ops = &ops;
    f->w.gate.tell = eventfd(0, EFD_NONBLOCK);
    f->w.gate.on = true;
    slot = &f->tenant.slot[0];
    recorded = queries = 0;
    ready = true;
    drained = false;
    return 0;
}

static int teardown(void **state)
{
    close(f->w.gate.tell);
    f->w.ops = &mock_ops;
    fix_free(f);
    return 0;
}

static void set_gate(uint32_t state, uint64_t until)
{
    f->tenant.until = until;
    f->tenant.gate = ((f->tenant.gate & ~3u) + 4) | state;
}

static bool told(void)
{
    uint64_t n;

    return read(f->w.gate.tell, &n, sizeof(n)) == sizeof(n);
}

/* What a call does. */
static void issue(void)
{
    assert_int_equal(wk_work_enter(&f->w, f->w.legacy), 0);
    wk_gate_leave(&f->w);
}

static _Atomic unsigned through;

static void *issue_two(void *arg)
{
    for (int i = 0; i < 2; i++) {
        wk_work_enter(&f->w, f->w.legacy);
        wk_gate_leave(&f->w);
        through++;
    }
    return NULL;
}

static void test_open(void **state)
{
    for (int i = 0; i < 100; i++)
        issue();
    assert_int_equal(f->w.gate.entered, 0);
    assert_int_equal(recorded, 0);
    assert_false(told());
}

/* Small copies need no turn. */
static void test_small(void **state)
{
    set_gate(TENANT_SHUT, 0);
    assert_int_equal(wk_work_enter_for(&f->w, f->w.legacy, WK_WORK_MIN - 1), 0);
    assert_int_equal(f->w.gate.entered, 0);
}

static void test_lease(void **state)
{
    set_gate(TENANT_LEASE, UINT64_MAX);
    ready = false;
    issue();
    assert_int_equal(f->w.gate.entered, 1);
    assert_true(slot->since != 0);
    issue(); /* behind a mark */
    assert_int_equal(recorded, 1);
    assert_int_equal(f->w.gate.passed, 0);
    ready = true;
    issue();
    assert_true(f->w.gate.passed >= 1);
}

/* Who waits for each operation before the next needs no marks: the stream itself is asked, not each
 * time, and it is not held back. */
static void test_wait_each(void **state)
{
    set_gate(TENANT_LEASE, UINT64_MAX);
    ready = false; /* a mark would never pass */
    drained = true;
    for (int i = 0; i < 3; i++) {
        usleep(1000);
        issue();
    }
    assert_true(f->w.gate.each > 0);
    f->w.gate.each = 20000;
    for (int i = 0; i < 1000; i++)
        issue();
    assert_int_equal(recorded, 0);
    assert_int_equal(f->w.gate.entered, 1003);
    assert_true(f->w.gate.entered - f->w.gate.passed <= 64);
    assert_true(queries < 500);
    assert_false(f->w.gate.stalled);
}

/* Of several streams none can speak for the others. */
static void test_two_streams(void **state)
{
    struct wk_stream *other;

    assert_int_equal(wk_stream_new(&f->w, 0, 0, &other), 0);
    set_gate(TENANT_LEASE, UINT64_MAX);
    drained = true;
    issue();
    ready = false;
    assert_int_equal(wk_work_enter(&f->w, other), 0); /* beside the first one, which gets a mark */
    wk_gate_leave(&f->w);
    assert_int_equal(recorded, 1);
    assert_int_equal(f->w.gate.passed, 0);
    issue();
    assert_int_equal(recorded, 2);
    assert_int_equal(f->w.gate.passed, 0);
    assert_int_equal(queries, 0);
    ready = true;
    f->w.gate.each = 4000000;
    issue(); /* of the other stream nothing is under way any more */
    issue();
    ready = false;
    issue();
    assert_true(queries > 0);
    assert_int_equal(f->w.gate.passed, f->w.gate.entered - 1);
    wk_obj_release(&f->w, &other->o);
}

/* Nobody is held up for operations that are complete but were not asked about. */
static void test_rest(void **state)
{
    set_gate(TENANT_LEASE, UINT64_MAX);
    drained = true;
    issue();
    f->w.gate.each = 100000;
    issue();
    issue();
    assert_int_equal(f->w.gate.passed, 0);
    ready = false;
    usleep(2000);
    issue();
    assert_int_equal(f->w.gate.entered, 4);
    assert_int_equal(f->w.gate.passed, 3);
    assert_int_equal(recorded, 0);
}

/* Waits, says so, and goes on when it is leased the GPU; stops again in the middle. */
static void test_turn(void **state)
{
    pthread_t t;

    set_gate(TENANT_SHUT, 0);
    through = 0;
    pthread_create(&t, NULL, issue_two, NULL);
    while (!slot->waits)
        usleep(1000);
    assert_int_equal(through, 0);
    f->tenant.beat = UINT64_MAX / 2; /* the broker lives */
    set_gate(TENANT_NEXT, 0);
    usleep(2000);
    assert_int_equal(through, 0);
    set_gate(TENANT_LEASE, UINT64_MAX); /* it looks again at the latest after half a second */
    pthread_join(t, NULL);
    assert_int_equal(through, 2);
    assert_int_equal(slot->waits, 0);
    assert_true(told());
}

/* A lease is one process's at a time: the others wait, and it is not they who give it up. */
static void test_turn_of_process(void **state)
{
    pthread_t t;

    f->tenant.beat = UINT64_MAX / 2;
    f->tenant.turn = 7;
    set_gate(TENANT_LEASE, 1);
    through = 0;
    pthread_create(&t, NULL, issue_two, NULL);
    while (!slot->waits)
        usleep(1000);
    assert_int_equal(through, 0);
    assert_int_equal(slot->yields, 0);
    f->tenant.turn = 0;
    set_gate(TENANT_LEASE, UINT64_MAX);
    pthread_join(t, NULL);
    assert_int_equal(through, 2);
    f->tenant.turn = 1; /* its own */
    set_gate(TENANT_LEASE, UINT64_MAX);
    issue();
}

/* When what is under way will be complete, for who comes next. */
static void test_due(void **state)
{
    set_gate(TENANT_LEASE, UINT64_MAX);
    ready = false;
    issue();
    assert_true(slot->due == 0); /* nothing is known of these operations yet */
    usleep(2000);
    drained = true;
    issue();
    assert_true(f->w.gate.each > 0);
    drained = false;
    issue();
    assert_true(slot->due ==
                f->w.gate.moved + (f->w.gate.entered - f->w.gate.passed) * f->w.gate.each);
    assert_true(slot->due > f->w.gate.moved);
}

/* Of a lease whose time is over nothing is left, and the broker is told so. */
static void test_late(void **state)
{
    pthread_t t;
    uint32_t lease;

    set_gate(TENANT_LEASE, 1);
    lease = f->tenant.gate;
    f->tenant.beat = UINT64_MAX / 2;
    through = 0;
    pthread_create(&t, NULL, issue_two, NULL);
    while (slot->yields != lease)
        usleep(1000);
    assert_int_equal(through, 0);
    assert_true(slot->since == 0);
    set_gate(TENANT_OPEN, UINT64_MAX);
    pthread_join(t, NULL);
    assert_int_equal(through, 2);
}

/* Nothing completes: so much is issued ahead and no more, until it is clear that the GPU is not what
 * is waited for. */
static void test_ahead(void **state)
{
    set_gate(TENANT_LEASE, UINT64_MAX);
    ready = false;
    for (int i = 0; i < 2; i++)
        issue();
    assert_false(f->w.gate.stalled);
    for (int i = 0; i < 50; i++)
        issue();
    assert_true(f->w.gate.stalled);
    assert_int_equal(f->w.gate.entered, 52);
    ready = true;
    issue();
    assert_false(f->w.gate.stalled);
}

/* A broker that is gone holds up nobody for ever: the clock of the page stands still. */
static void test_orphan(void **state)
{
    set_gate(TENANT_SHUT, 0);
    f->tenant.beat = 1;
    issue();
    assert_int_equal(f->w.gate.orphan, f->tenant.gate);
    for (int i = 0; i < 1000; i++)
        issue(); /* at once */
}

static unsigned descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Each broker brings an eventfd; the last one's and that of the one before are kept. */
static void test_brokers(void **state)
{
    int page = memfd_create("page", MFD_CLOEXEC);
    unsigned before = descriptors();

    assert_int_equal(ftruncate(page, sizeof(f->tenant)), 0);
    for (unsigned i = 0; i < 20; i++) {
        int old = f->w.gate.tell, fd = eventfd(0, EFD_NONBLOCK);

        assert_int_equal(wk_account_join(&f->w, page, fd, 0), 0);
        assert_int_equal(f->w.gate.tell, fd);
        assert_true(fcntl(old, F_GETFD) >= 0); /* another thread may be writing to it */
        assert_int_equal(descriptors(), before + 1);
    }
    close(f->w.gate.told);
    close(page);
}

static void move_gate(uint32_t state, uint64_t until)
{
    set_gate(state, until);
    wk_gate_moved(&f->tenant, 0);
}

/* Since when something is under way is kept while the gate is open, for the time until others come
 * back; the last test, as the thread stays. */
static void test_since(void **state)
{
    uint64_t first;

    assert_int_equal(wk_gate_start(&f->w), 0);
    ready = false;
    move_gate(TENANT_LEASE, UINT64_MAX);
    while (!slot->since)
        usleep(100);
    issue();
    first = slot->since;
    for (int i = 0; i < 3; i++) {
        move_gate(TENANT_OPEN, UINT64_MAX);
        while (slot->since)
            usleep(100);
        move_gate(TENANT_LEASE, UINT64_MAX);
        while (!slot->since)
            usleep(100);
        assert_true(slot->since == first);
    }
    ready = true; /* it is over, but something else comes */
    while (slot->since)
        usleep(100);
    move_gate(TENANT_OPEN, UINT64_MAX);
    while (f->w.gate.managed)
        usleep(100);
    ready = false;
    move_gate(TENANT_LEASE, UINT64_MAX);
    while (!slot->since)
        usleep(100);
    assert_true(slot->since > first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_small, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lease, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wait_each, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_turn_of_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_due, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orphan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_brokers, setup, teardown),
        cmocka_unit_test_setup(test_since, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
