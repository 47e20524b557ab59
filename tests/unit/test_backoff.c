/* SPDX-License-Identifier: MIT */
/* How often a guest gets workers that come to nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dom0-backend/broker/backoff.h"

static struct backoff b;

static int setup(void **state)
{
    b = (struct backoff){0};
    return 0;
}

/* A guest that asks again at once for `seconds`, and fails each time; how many workers that costs. */
static unsigned storm(double from, double seconds, unsigned *lines)
{
    unsigned starts = 0;

    for (double now = from; now < from + seconds; now += 0.001) {
        if (backoff_wait(&b, now) > 0)
            continue;
        starts++;
        *lines += backoff_failed(&b);
    }
    return starts;
}

static void test_storm(void **state)
{
    unsigned lines = 0, first = storm(100, 10, &lines), later = storm(110, 100, &lines);

    assert_in_range(first, BACKOFF_FREE + 10, BACKOFF_FREE + 24);
    assert_in_range(later, 190, 201); /* two a second, for as long as it goes on */
    assert_int_equal(lines, 1);
    assert_int_equal(b.fails, BACKOFF_FREE + 16); /* and does not overflow */
}

/* A few mistakes cost nothing; what works is never waited for. */
static void test_few(void **state)
{
    for (int i = 0; i < 1000; i++) {
        assert_true(backoff_wait(&b, 5) == 0);
        assert_false(backoff_good(&b));
    }
    for (unsigned i = 1; i < BACKOFF_FREE; i++) {
        assert_true(backoff_wait(&b, 5) == 0);
        assert_false(backoff_failed(&b));
    }
    assert_true(backoff_wait(&b, 5) == 0);
    assert_true(backoff_failed(&b));
    assert_true(backoff_wait(&b, 5) > BACKOFF_FIRST * 0.99);
    assert_true(backoff_wait(&b, 5.01) > 0.03);
    assert_true(backoff_wait(&b, 5.06) == 0);
    assert_true(backoff_good(&b));
    assert_true(backoff_wait(&b, 5.06) == 0);
    assert_false(backoff_good(&b));
}

/* Of several that wait only one is started at a time. */
static void test_turns(void **state)
{
    for (unsigned i = 0; i < BACKOFF_FREE + 10; i++)
        backoff_failed(&b);
    assert_true(backoff_wait(&b, 50) == 0);
    assert_true(backoff_wait(&b, 50) > BACKOFF_MOST * 0.99);
    assert_true(backoff_wait(&b, 51) == 0);
    assert_true(backoff_wait(&b, 51) > BACKOFF_MOST * 0.99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_storm, setup),
        cmocka_unit_test_setup(test_few, setup),
        cmocka_unit_test_setup(test_turns, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
