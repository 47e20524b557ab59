/* SPDX-License-Identifier: MIT */
/*
 * Which worker the broker ends because what it has issued keeps the GPU from others: the real thread of
 * sched.c, with a clock that the test moves on. What workers do to the pages the test does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/broker/broker.h"
#include "dom0-backend/broker/sched.h"
#include "dom0-backend/broker/tenant.h"
#include "dom0-backend/common/clock.h"

#define MS    1000000ull
#define S     (1000 * MS)
#define LIMIT 60u

struct guest {
    struct tenant tenant;
    struct tenant_page page;
    struct worker worker[2];
    uint64_t since[2]; /* of what its processes have under way */
};

static struct broker b;
static struct guest ga, gb;
static unsigned ended;
static struct worker *last;
static _Atomic uint64_t ahead;

int clock_gettime(clockid_t clock, struct timespec *t)
{
    int err = (int)syscall(SYS_clock_gettime, clock, t);
    uint64_t ns = (uint64_t)t->tv_nsec + atomic_load(&ahead);

    t->tv_sec += (time_t)(ns / S);
    t->tv_nsec = (long)(ns % S);
    return err;
}

void worker_time_out(struct worker *w)
{
    last = w;
    ended++;
}

static void come(struct guest *g)
{
    g->tenant.member = sched_add(&b, &g->tenant, "gpu", 256, 0);
    assert_non_null(g->tenant.member);
}

static void go(struct guest *g)
{
    sched_remove(g->tenant.member);
    g->tenant.member = NULL;
}

/* What the workers' own threads do at a gate that has moved. */
static void work(struct guest *g)
{
    bool open = (g->page.gate & TENANT_GATE_MASK) == TENANT_OPEN;

    for (unsigned i = 0; i < 2; i++)
        g->page.slot[i].since = open ? 0 : g->since[i];
}

/* Until the thread has looked at what the pages say. The beat is in the middle of a round: of two the
 * first one is over. */
static void rounds(void)
{
    uint64_t one = 1;

    for (int i = 0; i < 2; i++) {
        uint64_t from = now_ns();

        work(&ga);
        work(&gb);
        assert_int_equal(write(ga.tenant.efd, &one, sizeof(one)), sizeof(one));
        while (gb.tenant.member && ga.page.beat < from) /* alone nobody is looked at */
            usleep(100);
    }
}

static void pass(uint64_t ns)
{
    atomic_fetch_add(&ahead, ns);
    rounds();
    ev_run(b.loop, EVRUN_NOWAIT);
}

/* The other guest wants the GPU, gets it, and has done with it. */
static void want(void)
{
    do {
        gb.page.slot[0].waits = 1;
        pass(5 * MS);
    } while ((gb.page.gate & TENANT_GATE_MASK) != TENANT_LEASE);
    gb.page.slot[0].waits = 0;
    gb.page.slot[0].issued++;
    gb.since[0] = now_ns();
    pass(MS);
    gb.since[0] = 0;
    pass(5 * MS);
}

static void make(struct guest *g, const char *name)
{
    memset(g, 0, sizeof(*g));
    strcpy(g->tenant.name, name);
    g->tenant.page = &g->page;
    g->tenant.efd = eventfd(0, EFD_NONBLOCK);
    g->page.nslot = 2;
    for (unsigned i = 0; i < 2; i++)
        g->tenant.slot[i] = &g->worker[i];
}

static int setup(void **state)
{
    b.loop = ev_default_loop(0);
    b.cfg.kernel_limit = LIMIT;
    b.cfg.slice_us = 10000;
    ended = 0;
    last = NULL;
    make(&ga, "a");
    make(&gb, "b");
    come(&ga);
    return 0;
}

static int teardown(void **state)
{
    if (gb.tenant.member)
        go(&gb);
    go(&ga);
    close(ga.tenant.efd);
    close(gb.tenant.efd);
    return 0;
}

/* A guest whose programs come and go, with long pauses between them: the time goes on meanwhile. Of two
 * processes of the other guest only that one is ended which has something under way for so long. */
static void test_visits(void **state)
{
    ga.since[0] = now_ns();
    for (unsigned visits = 0; visits < 7; visits++) {
        ga.since[1] = now_ns();
        assert_int_equal(ended, 0);
        come(&gb);
        want();
        go(&gb);
        pass(10 * S);
    }
    assert_int_equal(ended, 1);
    assert_ptr_equal(last, &ga.worker[0]);
}

/* The same, where the last of its programs stays there. */
static void test_pauses(void **state)
{
    ga.since[0] = now_ns();
    come(&gb);
    for (unsigned i = 0; i < 6; i++) {
        want();
        assert_int_equal(ended, 0);
        pass(10 * S);
    }
    want();
    assert_int_equal(ended, 1);
    want();
    assert_int_equal(ended, 1); /* once is enough */
}

/* Nobody is ended while nobody else wants the GPU, be it that he did before; alone he has any time. */
static void test_nobody(void **state)
{
    ga.since[0] = now_ns();
    pass(100 * S);
    come(&gb);
    pass(100 * S);
    assert_int_equal(ended, 0);
    want();
    pass(LIMIT * S);
    assert_int_equal(ended, 0);
    want();
    assert_int_equal(ended, 1);
}

/* What is under way comes to an end each time, late enough: that is no kernel for so long. */
static void test_progress(void **state)
{
    come(&gb);
    for (unsigned i = 0; i < 8; i++) {
        ga.since[0] = now_ns();
        want();
        pass((LIMIT - 1) * S);
    }
    assert_int_equal(ended, 0);
}

static void test_no_limit(void **state)
{
    b.cfg.kernel_limit = 0;
    ga.since[0] = now_ns();
    come(&gb);
    want();
    pass(100000 * S);
    want();
    assert_int_equal(ended, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_visits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pauses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_progress, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_limit, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
