/* SPDX-License-Identifier: MIT */
/* When a worker has more of a GPU's memory than it has counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dom0-backend/broker/broker.h"

#define MIB (1ull << 20)

static void test_context(void **state)
{
    struct audit a = {0};

    /* A context, then allocations that are counted. */
    assert_false(audit_judge(&a, 500 * MIB, 0));
    assert_false(audit_judge(&a, 8500 * MIB, 8000 * MIB));
    assert_false(audit_judge(&a, 8500 * MIB, 8000 * MIB));
    /* Modules, local memory. */
    assert_false(audit_judge(&a, 9000 * MIB, 8000 * MIB));
    assert_false(audit_judge(&a, 9000 * MIB, 8000 * MIB));
}

static void test_excess(void **state)
{
    struct audit a = {0};

    assert_false(audit_judge(&a, 500 * MIB, 0));
    /* Once may be bad luck: memory is freed while it is looked at. */
    assert_false(audit_judge(&a, 4000 * MIB, 100 * MIB));
    assert_false(audit_judge(&a, 600 * MIB, 100 * MIB));
    assert_false(audit_judge(&a, 4000 * MIB, 100 * MIB));
    assert_true(audit_judge(&a, 4000 * MIB, 100 * MIB));
    assert_true(audit_judge(&a, 4000 * MIB, 100 * MIB));
    assert_false(audit_judge(&a, 1000 * MIB, 100 * MIB));
}

/* One that has helped itself before the first look does not make that its base. */
static void test_late(void **state)
{
    struct audit a = {0};

    assert_false(audit_judge(&a, 20000 * MIB, 100 * MIB));
    assert_true(audit_judge(&a, 20000 * MIB, 100 * MIB));
    a = (struct audit){0};
    assert_false(audit_judge(&a, 10 * MIB, 100 * MIB));
    assert_false(audit_judge(&a, 10 * MIB, 100 * MIB));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_excess),
        cmocka_unit_test(test_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
