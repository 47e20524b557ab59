/* SPDX-License-Identifier: MIT */
/* What several processes of a guest have, and is there once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dom0-backend/broker/holds.h"

static struct holds h;
static const uint8_t one[SHARE_TOKEN] = {1}, two[SHARE_TOKEN] = {2};
static const char a, b, c;

static int teardown(void **state)
{
    holds_clear(&h);
    assert_int_equal(h.users, 0);
    return 0;
}

/* However many have it, it is counted once; the one that made it need not be among them. */
static void test_once(void **state)
{
    holds_enter(&h, one, 100, &a);
    assert_int_equal(holds_credit(&h), 0);
    holds_add(&h, one, &b);
    holds_add(&h, one, &c);
    holds_add(&h, one, &c);
    assert_int_equal(holds_credit(&h), 300);
    holds_enter(&h, two, 10, &b);
    holds_add(&h, two, &a);
    assert_int_equal(holds_credit(&h), 310);
    holds_gone(&h, one, &a);
    assert_int_equal(holds_credit(&h), 210);
    holds_unshared(&h, one);
    holds_gone(&h, one, &c);
    holds_gone(&h, one, &c);
    assert_int_equal(holds_credit(&h), 10);
    holds_gone(&h, one, &c); /* it has it no more: of no effect */
    holds_add(&h, one, &c);  /* somebody has it still, and can pass it on no more */
    holds_drop_user(&h, &b);
    assert_int_equal(holds_credit(&h), 0);
}

/* Let go by everybody, but still to be imported: who comes then has it alone. */
static void test_later(void **state)
{
    holds_enter(&h, one, 100, &a);
    holds_gone(&h, one, &a);
    holds_add(&h, one, &b);
    assert_int_equal(holds_credit(&h), 0);
    holds_add(&h, one, &c);
    assert_int_equal(holds_credit(&h), 100);
    holds_drop_user(&h, &a); /* which exported it */
    assert_int_equal(holds_credit(&h), 100);
    holds_drop_user(&h, &b);
    assert_int_equal(holds_credit(&h), 0);
    holds_drop_user(&h, &c);
    assert_null(h.list);
}

static void test_unknown(void **state)
{
    holds_enter(&h, one, 0, &a); /* takes nothing from the quota */
    assert_null(h.list);
    holds_add(&h, one, &b);
    holds_gone(&h, one, &b);
    holds_unshared(&h, one);
    assert_int_equal(holds_credit(&h), 0);
}

static void test_many(void **state)
{
    holds_enter(&h, one, 1, &a);
    for (unsigned i = 0; i < HOLDS_USERS_MAX + 10; i++)
        holds_add(&h, one, &b);
    assert_int_equal(h.users, HOLDS_USERS_MAX);
    assert_int_equal(holds_credit(&h), HOLDS_USERS_MAX - 1);
    holds_drop_user(&h, &b);
    assert_int_equal(h.users, 1);
    holds_drop_user(&h, &a);
    assert_null(h.list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_once, teardown),
        cmocka_unit_test_teardown(test_later, teardown),
        cmocka_unit_test_teardown(test_unknown, teardown),
        cmocka_unit_test_teardown(test_many, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
