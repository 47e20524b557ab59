/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of sharing a GPU, with a pretended clock and a pretended GPU: tenants that run
 * kernels of some length whenever they may, one after the other, and get equal parts of the GPU when
 * several run at the same time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dom0-backend/broker/gpushare.h"

#define US   1000ull
#define MS   (1000 * US)
#define S    (1000 * MS)
#define STEP (10 * US)
#define MOST 8

struct guest {
    struct gs_tenant t; /* first */
    uint64_t kernel;    /* ns of one */
    uint64_t think;     /* ns between the end of one and the wish for the next; 0: always wants */
    uint64_t from;      /* starts then */
    uint64_t left;      /* of the one that runs */
    uint64_t again;     /* when it wants the next */
    uint64_t asked;     /* since when it waits */
    uint64_t longest;   /* wait */
    uint64_t done;      /* ns of work */
    bool ran;           /* something in this lease */
};

static struct gs g;
static struct guest guest[MOST];
static unsigned n;
static uint64_t now;

static int setup(void **state)
{
    gs_init(&g, 10 * MS);
    memset(guest, 0, sizeof(guest));
    n = 0;
    now = 1 * S;
    return 0;
}

static struct guest *add(uint32_t weight, uint32_t cap, uint64_t kernel, uint64_t think)
{
    struct guest *x = &guest[n++];

    gs_add(&g, &x->t, weight, cap);
    x->kernel = kernel;
    x->think = think;
    return x;
}

static void begin(struct guest *x)
{
    bool fits = !x->ran || x->t.until == GS_NEVER || now + x->kernel <= x->t.until;

    x->t.yields = false;
    if (now < x->from || x->left || x->again > now || !x->kernel)
        return;
    if (!x->asked)
        x->asked = now;
    x->t.wants = true;
    if (x->t.state != GS_HOLDS) {
        x->ran = false;
    } else if (fits && now < x->t.until) {
        x->left = x->kernel;
        x->ran = true;
        x->t.wants = false;
        if (now - x->asked > x->longest)
            x->longest = now - x->asked;
        x->asked = 0;
    } else {
        x->t.yields = true;
        x->ran = false; /* by the next lease */
    }
}

static void run(uint64_t ns)
{
    for (uint64_t end = now + ns; now < end; now += STEP) {
        unsigned running = 0;

        for (unsigned i = 0; i < n; i++) {
            begin(&guest[i]);
            guest[i].t.busy = guest[i].left != 0;
            guest[i].t.due = guest[i].left ? now + guest[i].left : 0;
            guest[i].t.moved = false;
            running += guest[i].t.busy;
        }
        gs_step(&g, now);
        for (unsigned i = 0; i < n; i++) {
            uint64_t part = running ? STEP / running : 0;

            if (!guest[i].left)
                continue;
            part = part < guest[i].left ? part : guest[i].left;
            guest[i].left -= part;
            guest[i].done += part;
            if (!guest[i].left)
                guest[i].again = now + STEP + guest[i].think;
        }
    }
}

static void assert_share(uint64_t got, uint64_t whole, unsigned percent, unsigned within)
{
    uint64_t want = whole * percent / 100, off = got > want ? got - want : want - got;

    if (off > whole * within / 100)
        fail_msg("%llu ms of %llu ms, wanted are %u %%", (unsigned long long)(got / MS),
                 (unsigned long long)(whole / MS), percent);
}

static void test_alone(void **state)
{
    struct guest *a = add(256, 0, MS, 0);

    run(2 * S);
    assert_share(a->done, 2 * S, 100, 2);
    assert_true(a->t.until == GS_NEVER);
}

static void test_equal(void **state)
{
    struct guest *a = add(256, 0, MS, 0), *b = add(256, 0, 20 * US, 0);
    struct guest *c = add(256, 0, 700 * US, 0), *d = add(256, 0, 3 * MS, 0);

    run(10 * S);
    assert_share(a->t.used, 10 * S, 25, 1);
    assert_share(b->t.used, 10 * S, 25, 1);
    assert_share(c->t.used, 10 * S, 25, 1);
    assert_share(d->t.used, 10 * S, 25, 1);
    assert_share(a->done + b->done + c->done + d->done, 10 * S, 100, 2);
}

static void test_weights(void **state)
{
    struct guest *a = add(100, 0, MS, 0), *b = add(200, 0, MS, 0), *c = add(400, 0, 300 * US, 0);

    run(10 * S);
    assert_share(a->t.used, 10 * S, 14, 1);
    assert_share(b->t.used, 10 * S, 28, 1);
    assert_share(c->t.used, 10 * S, 57, 1);
}

static void test_extreme_weights(void **state)
{
    struct guest *a = add(1, 0, MS, 0), *b = add(65535, 0, MS, 0);

    run(10 * S);
    assert_true(a->done > 0);
    assert_share(b->t.used, 10 * S, 100, 1);
}

/* What a guest leaves the others use, and it has no claim to it later. */
static void test_late(void **state)
{
    struct guest *a = add(256, 0, MS, 0), *b = add(256, 0, MS, 0);
    uint64_t had;

    b->from = now + 5 * S;
    run(5 * S);
    assert_share(a->done, 5 * S, 100, 2);
    had = a->done;
    run(5 * S);
    assert_share(a->done - had, 5 * S, 50, 1);
    assert_share(b->done, 5 * S, 50, 1);
}

/* Removed in the middle of its lease. */
static void test_gone(void **state)
{
    struct guest *a = add(256, 0, MS, 0), *b = add(256, 0, MS, 0);
    uint64_t had;

    run(S);
    while (g.holder != &b->t)
        run(STEP);
    gs_remove(&g, &b->t);
    b->kernel = 0;
    had = a->done;
    run(S);
    assert_share(a->done - had, S, 100, 2);
}

/* A guest that asks now and then for a little waits for the end of one lease at most, whatever the
 * number of others. */
static void test_little(void **state)
{
    struct guest *a = add(256, 0, 20 * US, 2 * MS);

    for (int i = 0; i < 5; i++)
        add(256, 0, MS, 0);
    run(S); /* at first nobody has had anything */
    a->longest = 0;
    run(4 * S);
    assert_true(a->longest <= g.least + MS + 2 * STEP);
    assert_true(a->done > 5 * S / (6 * MS) * 20 * US);
}

/* Work in small pieces with pauses shorter than the lingering: the lease is kept meanwhile. */
static void test_pieces(void **state)
{
    struct guest *a = add(256, 0, 20 * US, 20 * US), *b = add(256, 0, MS, 0);

    run(10 * S);
    assert_share(a->t.used, 10 * S, 50, 1);
    assert_share(b->t.used, 10 * S, 50, 1);
    assert_share(a->done, 5 * S, 50, 10);
}

/* The same where each look finds it between two pieces: what was issued meanwhile counts. */
static void test_pieces_missed(void **state)
{
    struct guest *a = add(256, 0, 0, 0), *b = add(256, 0, MS, 0);

    a->t.busy = b->t.wants = true;
    gs_resume(&g, &a->t, now);
    gs_step(&g, now);
    assert_true(a->t.until == now + g.slice);
    a->t.busy = false;
    a->t.moved = true;
    for (; now < a->t.until; now += g.linger) {
        gs_step(&g, now);
        assert_true(g.holder == &a->t);
    }
    gs_step(&g, now);
    assert_true(g.holder == &b->t);
}

/* A piece and then nothing: nobody says anything further, and the next look is soon. */
static void test_one_piece(void **state)
{
    struct guest *a = add(256, 0, 0, 0), *b = add(256, 0, 0, 0);
    uint64_t next;

    a->t.wants = b->t.wants = true;
    gs_step(&g, now);
    assert_true(g.holder == &b->t);
    b->t.wants = false;
    b->t.busy = b->t.moved = true;
    gs_step(&g, now += 10 * US);
    b->t.busy = false; /* it is told that it has nothing more, in the same look as that it had */
    next = gs_step(&g, now += 20 * US);
    assert_true(g.holder == &b->t && next == now + g.linger);
    b->t.moved = false;
    gs_step(&g, next);
    assert_true(g.holder == &a->t);
}

/* Kernels far longer than a slice: they lose exclusivity, and pay for it. */
static void test_long(void **state)
{
    struct guest *a = add(256, 0, 100 * MS, 0), *b = add(256, 0, MS, 0);

    run(10 * S);
    assert_share(a->t.used, 10 * S, 50, 2);
    assert_share(b->t.used, 10 * S, 50, 2);
    assert_true(b->longest <= 2 * (g.slice + g.grace));
}

static void test_endless(void **state)
{
    struct guest *a = add(256, 0, 1000 * S, 0), *b = add(256, 0, MS, 0);

    run(10 * S);
    /* The driver gives it half of the time, which nobody but the watchdog can change. */
    assert_share(b->done, 10 * S, 50, 2);
    assert_true(a->t.overrun && now - a->t.overrun > 9 * S);
    a->left = 0;
    a->kernel = 0;
    run(STEP);
    run(STEP);
    assert_true(!a->t.overrun);
}

/* What a guest has issued is only told when its lease has passed to somebody else: that keeps the GPU
 * from others as anything else does. */
static void test_told_late(void **state)
{
    struct guest *a = add(256, 0, 0, 0), *b = add(256, 0, MS, 0);

    gs_resume(&g, &a->t, now);
    run(S);
    assert_true(g.holder == &b->t && !a->t.overrun);
    a->left = 1000 * S;
    run(g.grace + MS);
    assert_true(a->t.overrun && now - a->t.overrun >= g.grace);
}

static void test_cap(void **state)
{
    struct guest *a = add(256, 25, MS, 0), *b;

    run(4 * S);
    assert_share(a->t.used, 4 * S, 25, 2);
    a->t.used = 0;
    b = add(256, 0, MS, 0);
    run(4 * S);
    assert_share(a->t.used, 4 * S, 25, 2);
    assert_share(b->done, 4 * S, 75, 2);
}

/* All capped: the rest of the time nobody gets. The next step is told ahead. */
static void test_all_capped(void **state)
{
    struct guest *a = add(256, 10, MS, 0), *b = add(512, 20, MS, 0);

    run(5 * S);
    assert_share(a->t.used, 5 * S, 10, 2);
    assert_share(b->t.used, 5 * S, 20, 2);
    while (g.holder)
        run(STEP);
    a->t.wants = b->t.wants = true;
    a->t.busy = b->t.busy = false;
    assert_true(gs_step(&g, now) < now + 100 * MS);
}

/* Alone until another one comes: it keeps the GPU until its slice is over, and no longer. */
static void test_resume(void **state)
{
    struct guest *a = add(256, 0, MS, 0), *b = add(256, 0, MS, 0);

    gs_resume(&g, &a->t, now);
    run(MS);
    assert_true(g.holder == &a->t && a->t.until == a->t.start + g.slice);
    run(S);
    assert_share(b->done, S, 50, 3);
}

/* The next one starts when the last work of the one before is about to end, so that the GPU has no
 * pause; work that takes longer than it should is overrun only after the time for draining. */
static void test_early(void **state)
{
    struct guest *a = add(256, 0, 0, 0), *b = add(256, 0, 0, 0);
    uint64_t start = now;

    a->t.busy = b->t.wants = true;
    gs_resume(&g, &a->t, now);
    gs_step(&g, now);
    now = a->t.until;
    a->t.due = now + MS;
    assert_true(gs_step(&g, now) == now + MS - g.early);
    assert_int_equal(a->t.state, GS_DRAINS);
    assert_int_equal(b->t.state, GS_NEXT);
    now += MS - g.early - 1;
    gs_step(&g, now);
    assert_int_equal(b->t.state, GS_NEXT);
    now++;
    gs_step(&g, now);
    assert_int_equal(b->t.state, GS_HOLDS);
    assert_int_equal(a->t.state, GS_OUT);
    assert_true(!a->t.overrun);
    for (start += g.slice; now < start + g.grace; now += STEP)
        gs_step(&g, now);
    assert_true(!a->t.overrun);
    gs_step(&g, now);
    assert_true(a->t.overrun == start);
    a->t.busy = false;
    gs_step(&g, now);
    assert_true(!a->t.overrun);
}

static void next_lease(const struct guest *x)
{
    while (g.holder == &x->t)
        run(STEP);
    while (g.holder != &x->t ||
           x->t.until == GS_NEVER) /* as long as the last one has not drained */
        run(STEP);
}

/* Who wants the GPU all the time gets longer leases, and fewer; pauses as between launches and waits do
 * not count. */
static void test_steady(void **state)
{
    struct guest *a = add(256, 0, 500 * US, 0), *b = add(256, 0, 20 * US, 20 * US);

    next_lease(a);
    assert_true(a->t.until - a->t.start == g.slice); /* nobody knows them yet */
    run(S);
    next_lease(a);
    assert_true(a->t.until - a->t.start == 3 * g.slice);
    next_lease(b);
    assert_true(b->t.until - b->t.start == 3 * g.slice);
    a->t.used = b->t.used = 0;
    run(5 * S);
    assert_share(a->t.used, 5 * S, 50, 1);
    assert_share(b->t.used, 5 * S, 50, 1);
}

/* For who comes, or comes and goes, a lease under way is cut: it waits for no more than a slice. */
static void test_steady_no_more(void **state)
{
    struct guest *a = add(256, 0, MS, 0), *b = add(256, 0, MS, 0),
                 *c = add(256, 0, 20 * US, 3 * MS);
    uint64_t started;

    c->from = now + 10 * S;
    run(S);
    next_lease(a);
    assert_true(a->t.until - a->t.start == 3 * g.slice);
    started = a->t.start;
    c->from = started + 4 * MS;
    c->t.vtime = a->t.vtime; /* it has had its part: it is not behind */
    run(5 * MS);
    assert_true(g.holder == &a->t && a->t.until == started + g.slice);
    run(S);
    c->longest = 0;
    run(S);
    assert_true(c->longest <= g.least + MS + 2 * STEP);
    next_lease(b);
    run(4 * MS); /* it has come in between */
    if (g.holder == &b->t)
        assert_true(b->t.until - b->t.from <= g.slice);
}

/* The more they are the shorter: nobody waits for longer than eight slices. */
static void test_steady_many(void **state)
{
    static const unsigned want[] = {30, 26, 20, 16, 13, 11, 10};
    struct guest *a = add(256, 0, MS, 0);

    for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        add(256, 0, MS, 0);
        run(S / 2);
        next_lease(a);
        assert_int_equal((a->t.until - a->t.start) / MS, want[i]);
    }
    a->longest = 0;
    run(2 * S);
    assert_true(a->longest <= 8 * g.slice + MS);
}

/* A cap is kept in slices. */
static void test_steady_capped(void **state)
{
    struct guest *a = add(256, 0, MS, 0);

    add(256, 50, MS, 0);
    run(S);
    next_lease(a);
    assert_true(a->t.until - a->t.start == g.slice);
}

/* Whoever comes next is told before the lease ends, not only when it drains, unless the holder is going
 * to go on. */
static void test_ahead(void **state)
{
    struct guest *a = add(256, 0, 0, 0), *b = add(256, 0, 0, 0);
    uint64_t next;

    a->t.busy = b->t.wants = true;
    gs_resume(&g, &a->t, now);
    next = gs_step(&g, now);
    assert_true(next == now + g.least); /* it may be that b has had far less */
    next = gs_step(&g, now += g.least);
    assert_true(next == a->t.until - g.ahead);
    gs_step(&g, next - 1);
    assert_int_equal(b->t.state, GS_OUT);
    assert_true(gs_step(&g, next) == a->t.until);
    assert_int_equal(a->t.state, GS_HOLDS);
    assert_int_equal(b->t.state, GS_NEXT);
    a->t.busy = false;
    b->t.wants = false; /* it has changed its mind */
    gs_step(&g, next + 1);
    assert_int_equal(b->t.state, GS_OUT);
    b->t.wants = a->t.busy = true;
    b->t.vtime = a->t.vtime + 2 * g.slice * 65536 / 256;
    gs_step(&g, next + 2);
    assert_int_equal(b->t.state, GS_OUT);
    gs_step(&g, a->t.until);
    assert_int_equal(a->t.state, GS_HOLDS);
}

/* Together on a GPU that runs work of several at the same time: nobody waits, but who is capped. */
static void test_overlap(void **state)
{
    struct guest *a = add(1, 0, MS, 0), *b = add(65535, 0, MS, 0), *c = add(256, 20, MS, 0);
    uint64_t capped = 0;

    g.overlap = true;
    gs_resume(&g, &a->t, now); /* it was alone */
    for (int i = 0; i < 400; i++) {
        run(10 * MS);
        assert_int_equal(a->t.state, GS_HOLDS);
        assert_int_equal(b->t.state, GS_HOLDS);
        assert_true(a->t.until == GS_NEVER);
        capped += c->t.state == GS_OUT;
    }
    assert_share(a->done, 4 * S, 40, 3);
    assert_share(b->done, 4 * S, 40, 3);
    assert_share(c->t.used, 4 * S, 20, 3);
    assert_true(capped > 0);
    a->t.busy = b->t.busy = c->t.busy = false;
    gs_step(&g, now);
    assert_true(!a->t.overrun);
    a->t.busy = true;
    assert_true(gs_step(&g, now) > now + MS); /* it is not asked often */
    gs_step(&g, now + S);
    assert_true(a->t.overrun == now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_alone, setup),
        cmocka_unit_test_setup(test_equal, setup),
        cmocka_unit_test_setup(test_weights, setup),
        cmocka_unit_test_setup(test_extreme_weights, setup),
        cmocka_unit_test_setup(test_late, setup),
        cmocka_unit_test_setup(test_gone, setup),
        cmocka_unit_test_setup(test_little, setup),
        cmocka_unit_test_setup(test_pieces, setup),
        cmocka_unit_test_setup(test_pieces_missed, setup),
        cmocka_unit_test_setup(test_one_piece, setup),
        cmocka_unit_test_setup(test_long, setup),
        cmocka_unit_test_setup(test_endless, setup),
        cmocka_unit_test_setup(test_told_late, setup),
        cmocka_unit_test_setup(test_cap, setup),
        cmocka_unit_test_setup(test_all_capped, setup),
        cmocka_unit_test_setup(test_resume, setup),
        cmocka_unit_test_setup(test_early, setup),
        cmocka_unit_test_setup(test_steady, setup),
        cmocka_unit_test_setup(test_steady_no_more, setup),
        cmocka_unit_test_setup(test_steady_many, setup),
        cmocka_unit_test_setup(test_steady_capped, setup),
        cmocka_unit_test_setup(test_ahead, setup),
        cmocka_unit_test_setup(test_overlap, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
