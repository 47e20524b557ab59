/* SPDX-License-Identifier: MIT */
/* The names that a driver's library gives its threads, where they cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dom0-backend/transport/handoff.h"

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

/* Names this thread, and says what its name is then. */
static const char *renamed(const char *name)
{
    static char got[32];
    char path[64];
    FILE *f;

    memset(got, 0, sizeof(got));
    snprintf(path, sizeof(path), "/proc/self/task/%d/comm", (int)getpid());
    f = fopen(path, "w");
    if (!f || fputs(name, f) < 0 || fclose(f) || prctl(PR_GET_NAME, got) < 0)
        return "-";
    return got;
}

/* Where /proc is read-only: by the descriptor while there is one. 200: it cannot be made so. */
static int read_only(void)
{
    const unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
    int names = open("/proc/self/task", O_PATH | O_DIRECTORY);

    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("/proc", "/proc", NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, "/proc", NULL, flags, NULL) < 0)
        return 200;
    if (fopen("/proc/self/comm", "w") || errno != EROFS)
        return 1;
    if (dup2(names, WK_FD_NAMES) < 0 || setresuid(65534, 65534, 65534) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return 2;
    if (strcmp(renamed("one"), "one") != 0)
        return 3;
    close(WK_FD_NAMES);
    return strcmp(renamed("two"), "one") == 0 ? 0 : 4; /* to /dev/null */
}

static int in_child(int (*fn)(void))
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0)
        _exit(fn());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_hidden(void **state)
{
    assert_int_equal(in_child(hidden), 0);
}

static void test_read_only(void **state)
{
    int r = in_child(read_only);

    if (r == 200) {
        print_message("skipped: no mounts of one's own without privileges\n");
        skip();
    }
    assert_int_equal(r, 0);
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
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
