/* SPDX-License-Identifier: MIT */
/* The control ring and grant lists, with a frontend in the same process. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dom0-backend/broker/ctlring.h"

struct fixture {
    struct vgpu_ctl_sring *s;
    struct vgpu_ctl_front_ring front;
    struct ctl_ring back;
    struct ctl_journal j;
    const char *why;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->s = aligned_alloc(4096, 4096);
    memset(f->s, 0, 4096);
    SHARED_RING_INIT(f->s);
    FRONT_RING_INIT(&f->front, f->s, 4096);
    *state = f;
    return ctl_ring_attach(&f->back, f->s, &f->j, 8, 12, &f->why);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    free(f->s);
    free(f);
    return 0;
}

static void push(struct fixture *f, uint32_t id)
{
    struct vgpu_ctl_req *r = RING_GET_REQUEST(&f->front, f->front.req_prod_pvt);

    memset(r, 0, sizeof(*r));
    r->id = id;
    f->front.req_prod_pvt++;
    RING_PUSH_REQUESTS(&f->front);
}

static unsigned take(struct fixture *f, uint32_t id)
{
    struct vgpu_ctl_req r;
    unsigned slot = 99;

    assert_int_equal(ctl_ring_take(&f->back, &r, &slot, &f->why), 1);
    assert_int_equal(r.id, id);
    assert_true(slot < CTL_SLOTS);
    return slot;
}

static void put(struct fixture *f, unsigned slot, uint32_t id)
{
    struct vgpu_ctl_rsp rsp = {.id = id};

    ctl_ring_put(&f->back, slot, &rsp);
}

static void answered(struct fixture *f, uint32_t id)
{
    assert_true(RING_HAS_UNCONSUMED_RESPONSES(&f->front));
    assert_int_equal(RING_GET_RESPONSE(&f->front, f->front.rsp_cons)->id, id);
    f->front.rsp_cons++;
}

static void none(struct fixture *f)
{
    struct vgpu_ctl_req r;
    unsigned slot;

    assert_int_equal(ctl_ring_take(&f->back, &r, &slot, &f->why), 0);
}

static void any_order(void **state)
{
    struct fixture *f = *state;

    none(f);
    for (uint32_t round = 0; round < 100; round++) {
        unsigned a, b, c;

        push(f, round);
        push(f, round + 1);
        push(f, round + 2);
        a = take(f, round);
        b = take(f, round + 1);
        c = take(f, round + 2);
        none(f);
        put(f, c, round + 2);
        put(f, a, round);
        answered(f, round + 2);
        answered(f, round);
        put(f, b, round + 1);
        answered(f, round + 1);
    }
}

static void one_stuck_request(void **state)
{
    struct fixture *f = *state;
    unsigned stuck;

    push(f, 1);
    stuck = take(f, 1);
    for (uint32_t i = 2; i < 200; i++) {
        push(f, i);
        put(f, take(f, i), i);
        answered(f, i);
    }
    put(f, stuck, 1);
    answered(f, 1);
}

static void bad_indices(void **state)
{
    struct fixture *f = *state;
    struct vgpu_ctl_req r;
    unsigned slot;

    f->s->req_prod = 33;
    assert_int_equal(ctl_ring_take(&f->back, &r, &slot, &f->why), -EPROTO);
    f->s->req_prod = 5;
    for (int i = 0; i < 5; i++)
        assert_int_equal(ctl_ring_take(&f->back, &r, &slot, &f->why), 1);
    f->s->req_prod = 4; /* backwards */
    assert_int_equal(ctl_ring_take(&f->back, &r, &slot, &f->why), -EPROTO);
    f->s->req_prod = 100;
    f->s->rsp_prod = 10;
    assert_int_equal(ctl_ring_attach(&f->back, f->s, &f->j, 8, 12, &f->why), -EPROTO);
}

static void full_ring(void **state)
{
    struct fixture *f = *state;
    unsigned slots[32];

    for (uint32_t i = 0; i < 32; i++)
        push(f, i);
    for (uint32_t i = 0; i < 32; i++)
        slots[i] = take(f, i);
    none(f);
    for (uint32_t i = 32; i-- > 0;)
        put(f, slots[i], i);
    for (uint32_t i = 32; i-- > 0;)
        answered(f, i);
}

/* A second backend on the same page and journal, as after a restart. */
static void restart(struct fixture *f)
{
    memset(&f->back, 0xee, sizeof(f->back));
    assert_int_equal(ctl_ring_attach(&f->back, f->s, &f->j, 8, 12, &f->why), 0);
}

static void restart_loses_nothing(void **state)
{
    struct fixture *f = *state;
    unsigned a, b;

    push(f, 1);
    push(f, 2);
    push(f, 3);
    a = take(f, 1);
    b = take(f, 2);
    put(f, b, 2); /* answered first, in the slot of request 1 */
    restart(f);
    a = take(f, 1); /* again: not answered */
    b = take(f, 3);
    none(f);
    put(f, a, 1);
    put(f, b, 3);
    answered(f, 2);
    answered(f, 1);
    answered(f, 3);
    restart(f);
    none(f);
}

static void restart_in_mid_answer(void **state)
{
    struct fixture *f = *state;

    push(f, 1);
    take(f, 1);
    /* The response was written, but not published. */
    f->j.rsp_at[0] = 0;
    f->j.answered = 1;
    restart(f);
    put(f, take(f, 1), 1);
    answered(f, 1);
    /* The response was published, but not ticked off. */
    push(f, 2);
    put(f, take(f, 2), 2);
    f->j.used = 1;
    f->j.answered = 1;
    restart(f);
    none(f);
    answered(f, 2);
}

static void new_ring_new_journal(void **state)
{
    struct fixture *f = *state;

    push(f, 1);
    take(f, 1);
    memset(f->s, 0, 4096);
    SHARED_RING_INIT(f->s);
    FRONT_RING_INIT(&f->front, f->s, 4096);
    assert_int_equal(ctl_ring_attach(&f->back, f->s, &f->j, 9, 12, &f->why), 0);
    none(f);
    push(f, 7);
    put(f, take(f, 7), 7);
    answered(f, 7);
}

static void grant_lists(void **state)
{
    static struct vgpu_grant_dir d;
    struct grant_list l;
    const char *why = "";
    uint32_t next = 0;

    assert_int_equal(grant_list_init(&l, 1500), 0);
    d.count = VGPU_DIR_REFS;
    d.next = 77;
    for (uint32_t i = 0; i < VGPU_DIR_REFS; i++)
        d.refs[i] = 100 + i;
    assert_int_equal(grant_list_add(&l, &d, &next, &why), 1);
    assert_int_equal(next, 77);
    d.count = 1500 - VGPU_DIR_REFS;
    d.next = 0;
    for (uint32_t i = 0; i < VGPU_DIR_REFS; i++)
        d.refs[i] = 5000 + i;
    assert_int_equal(grant_list_add(&l, &d, &next, &why), 0);
    assert_int_equal(l.n, 1500);
    assert_int_equal(l.refs[0], 100);
    assert_int_equal(l.refs[1499], 5000 + 1499 - VGPU_DIR_REFS);
    assert_int_equal(grant_list_add(&l, &d, &next, &why), -EINVAL); /* more than wanted */
    grant_list_free(&l);

    static const struct {
        uint32_t count, next, ref0, ref1;
    } bad[] = {
        {0, 0, 1, 2}, {3, 0, 1, 2}, {2, 9, 1, 2},   {2, 0, 0, 2},
        {2, 0, 5, 5}, {1, 0, 1, 0}, {~0u, 0, 1, 2},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&d, 0, sizeof(d));
        d.count = bad[i].count;
        d.next = bad[i].next;
        d.refs[0] = bad[i].ref0;
        d.refs[1] = bad[i].ref1;
        assert_int_equal(grant_list_init(&l, 2), 0);
        assert_int_equal(grant_list_add(&l, &d, &next, &why), -EINVAL);
        print_message("%s\n", why);
        grant_list_free(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(one_stuck_request, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_indices, setup, teardown),
        cmocka_unit_test_setup_teardown(full_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(restart_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(restart_in_mid_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(new_ring_new_journal, setup, teardown),
        cmocka_unit_test(grant_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
