/* SPDX-License-Identifier: MIT */
/* What lies in state_dir: whose it is, and for how long it is kept. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dom0-backend/common/states.h"

#define A   "11111111-2222-3333-4444-55555555aaaa"
#define B   "11111111-2222-3333-4444-55555555bbbb"
#define DAY (24 * 3600)
#define NOW ((time_t)1800000000)

static char dir[64], run[80];

static void put(const char *folder, const char *name, time_t t)
{
    const struct timespec times[2] = {{.tv_sec = t}, {.tv_sec = t}};
    char path[200];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "state", 5), 5);
    close(fd);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool there(const char *name)
{
    char path[200];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static int make(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/gvm-states-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(run, sizeof(run), "%s/run", dir);
    return mkdir(run, 0700);
}

static int clear(void **state)
{
    char cmd[100];

    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    return system(cmd);
}

static void names(void **state)
{
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "run",
                                      "lost+found",
                                      A "x",
                                      A ".",
                                      A ".x",
                                      A ".1.",
                                      A ".1.2.3",
                                      A ".-1.2",
                                      A ".1.12345678901",
                                      A "/1",
                                      "1111111122223333444455555555aaaa",
                                      "11111111-2222-3333-4444-55555555aaag"};
    struct state_file f;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(states_name(bad[i], &f));
    assert_true(states_name(A, &f));
    assert_true(f.entries);
    assert_true(states_name(A ".4711", &f)); /* entries that were being written */
    assert_true(f.entries);
    assert_true(states_name(A ".3.17", &f));
    assert_false(f.entries);
    assert_string_equal(f.uuid, A);
    assert_int_equal(f.device, 3);
    assert_int_equal(f.channel, 17);
}

static void old_ones_go(void **state)
{
    put(dir, A ".0.1", NOW - 11 * DAY);
    put(dir, A ".0.2", NOW - 9 * DAY);
    put(dir, "other", NOW - 99 * DAY);
    put(dir, A, NOW - 11 * DAY);
    put(dir, B, NOW - 11 * DAY);
    put(run, "known-5-" B, NOW); /* runs, for longer than that */
    assert_int_equal(states_expire(dir, run, 10, NOW), 2);
    assert_false(there(A ".0.1"));
    assert_true(there(A ".0.2"));
    assert_true(there("other"));
    assert_false(there(A));
    assert_true(there(B));
    assert_int_equal(states_expire("/nonexistent", run, 10, NOW), 0);
}

static void a_later_save(void **state)
{
    put(dir, A ".0.1", NOW - 60);
    put(dir, A ".0.2", NOW);
    put(dir, A ".1.1", NOW - 60); /* of another device */
    put(dir, B ".0.1", NOW - 60); /* of another domain */
    put(dir, A, NOW - 60);
    states_drop_older(dir, A, 0, NOW - 1);
    assert_false(there(A ".0.1"));
    assert_true(there(A ".0.2"));
    assert_true(there(A ".1.1"));
    assert_true(there(B ".0.1"));
    assert_true(there(A));
}

static void no_link_is_followed(void **state)
{
    char path[200];

    snprintf(path, sizeof(path), "%s/%s", dir, A ".0.1");
    put(dir, "target", NOW - 99 * DAY);
    assert_int_equal(symlink("target", path), 0);
    assert_int_equal(states_expire(dir, run, 10, NOW), 0);
    assert_true(there("target"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test_setup_teardown(old_ones_go, make, clear),
        cmocka_unit_test_setup_teardown(a_later_save, make, clear),
        cmocka_unit_test_setup_teardown(no_link_is_followed, make, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
