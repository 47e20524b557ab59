/* SPDX-License-Identifier: MIT */
/* The names that a driver's library gives its threads, where they cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a process that is not root's, and whose files in /proc are. */
static int hidden(void)
{
    FILE *f;

    if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
        return 1;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return 2;
    f = fopen("/proc/self/comm", "w"); /* so it is: they cannot be written */
    if (f || errno != EACCES)
        return 3;
    for (int i = 0; i < 2; i++) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/task/%d/comm", (int)getpid());
        f = i ? fopen64(path, "w") : fopen(path, "w");
        if (!f || fputs("name", f) < 0 || fclose(f))
            return 4;
    }
    if (fopen("/proc/self/task/1/mem", "w") || fopen("/proc/self/task/../../1/mem", "w"))
        return 5;
    if (fopen("/etc/shadow", "r") || fopen("/proc/self/task/x", "w"))
        return 6;
    return 0;
}

static void test_hidden(void **state)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(hidden());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_others(void **state)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[8];

    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    fclose(f);
    assert_null(fopen("/nowhere/at/all", "r"));
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
