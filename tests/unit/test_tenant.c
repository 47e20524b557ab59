/* SPDX-License-Identifier: MIT */
/* A guest's memory quota over its processes: hard, whoever asks and whoever dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/transport/tenant.h"

#define MIB 1048576ull

static struct tenant_page *p;

static int setup(void **state)
{
    p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    p->nslot = 4;
    return 0;
}

static int teardown(void **state)
{
    return munmap(p, sizeof(*p));
}

static void test_together(void **state)
{
    p->mem_limit = 10 * MIB;
    assert_true(tenant_take(p, 0, 6 * MIB));
    assert_int_equal(tenant_left(p), 4 * MIB);
    assert_false(tenant_take(p, 1, 4 * MIB + 1));
    assert_true(tenant_take(p, 1, 4 * MIB));
    assert_false(tenant_take(p, 2, 1));
    assert_int_equal(tenant_used(p), 10 * MIB);
    tenant_give(p, 0, 6 * MIB);
    assert_true(tenant_take(p, 2, 6 * MIB));
    assert_false(tenant_take(p, 2, UINT64_MAX));
    assert_int_equal(tenant_left(p), 0);
}

static void test_no_limit(void **state)
{
    assert_int_equal(tenant_left(p), UINT64_MAX);
    assert_true(tenant_take(p, 3, 1ull << 50));
    assert_int_equal(tenant_used(p), 1ull << 50);
}

/* A limit that is lowered takes nothing away, and gives nothing more. */
static void test_lowered(void **state)
{
    p->mem_limit = 10 * MIB;
    assert_true(tenant_take(p, 0, 8 * MIB));
    p->mem_limit = 4 * MIB;
    assert_int_equal(tenant_left(p), 0);
    assert_false(tenant_take(p, 1, 1));
    tenant_give(p, 0, 7 * MIB);
    assert_true(tenant_take(p, 1, 3 * MIB));
}

static void test_blocked(void **state)
{
    p->mem_blocked = 1;
    assert_int_equal(tenant_left(p), 0);
    assert_false(tenant_take(p, 0, 1));
    p->mem_blocked = 0;
    assert_true(tenant_take(p, 0, 1));
}

/* A process that writes nonsense into its guest's page makes that guest poor, nobody rich. */
static void test_nonsense(void **state)
{
    p->mem_limit = 10 * MIB;
    p->slot[2].mem = UINT64_MAX;
    p->nslot = UINT32_MAX;
    assert_int_equal(tenant_used(p), UINT64_MAX);
    assert_false(tenant_take(p, 0, 1));
}

/* Processes that take and give as fast as they can, and are killed in the middle: never more than
 * the limit is given, and what a dead one held comes back by clearing its slot. */
static void test_killed(void **state)
{
    volatile struct {
        _Atomic uint64_t held[4], rounds[4];
        _Atomic uint32_t over;
    } *seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid[4];

    p->mem_limit = 8 * MIB;
    for (unsigned i = 0; i < 4; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            for (;;) {
                if (tenant_take(p, i, (i + 1) * MIB)) {
                    uint64_t sum = 0;

                    seen->held[i] = (i + 1) * MIB;
                    for (unsigned k = 0; k < 4; k++)
                        sum += seen->held[k];
                    if (sum > 8 * MIB)
                        seen->over = 1;
                    seen->held[i] = 0;
                    tenant_give(p, i, (i + 1) * MIB);
                    seen->rounds[i]++;
                }
            }
        }
    }
    /* Each has had its turn many times. */
    for (unsigned i = 0; i < 4; i++)
        while (seen->rounds[i] < 300)
            usleep(1000);
    for (unsigned i = 0; i < 4; i++) {
        kill(pid[i], SIGKILL);
        assert_int_equal(waitpid(pid[i], NULL, 0), pid[i]);
        p->slot[i].mem = 0; /* as the broker does */
    }
    assert_int_equal(seen->over, 0);
    assert_int_equal(tenant_left(p), 8 * MIB);
    munmap((void *)seen, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_together, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lowered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blocked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
