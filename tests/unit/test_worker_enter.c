/* SPDX-License-Identifier: MIT */
/* What the process that has a confined worker parked may do: no more than that worker. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/worker/worker.h"

#define UID 60123

/* As gvm-backd starts a worker: pid 1 in namespaces of its own, another user, not to be looked into.
 * Its pid here; 0: this machine, or this user, has no namespaces to give. */
static pid_t confined(int *ready)
{
    const unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC;
    int p[2];
    pid_t pid;

    assert_int_equal(pipe(p), 0);
    pid = (pid_t)syscall(SYS_clone, flags | CLONE_NEWUTS | SIGCHLD, NULL, NULL, NULL, 0);
    if (pid == 0) {
        bool ok = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                  mount("proc", "/proc", "proc", MS_RDONLY, NULL) == 0 &&
                  mount("none", "/tmp", "tmpfs", 0, "mode=0777") == 0 &&
                  mount("none", "/etc", "tmpfs", MS_RDONLY, NULL) == 0 &&
                  setresgid(UID, UID, UID) == 0 && setresuid(UID, UID, UID) == 0 &&
                  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (write(p[1], ok ? "y" : "n", 1) == 1)
            pause();
        _exit(0);
    }
    close(p[1]);
    *ready = p[0];
    return pid < 0 ? 0 : pid;
}

static uint64_t capabilities(void)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct c[2] = {{0}, {0}};

    if (syscall(SYS_capget, &h, c) < 0)
        return ~0ull;
    return c[0].permitted | (uint64_t)c[1].permitted << 32;
}

static int looks(pid_t pid, pid_t parent)
{
    struct stat st;
    int fd;

    if (enter_worker(&pid) != 0 || pid != 1)
        return 1;
    for (fd = 3; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return 9;
    if (getuid() != UID || geteuid() != UID || getgid() != UID)
        return 2;
    if (capabilities() != (1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_OVERRIDE))
        return 3;
    if (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0 || setresuid(0, 0, 0) == 0)
        return 4;
    /* It sees the worker, and into it... */
    if (kill(1, 0) != 0 || open("/proc/1/fd", O_RDONLY | O_DIRECTORY) < 0)
        return 5;
    if (stat("/tmp", &st) < 0 || (st.st_mode & 07777) != 0777)
        return 6;
    /* ...and nothing else. */
    if (kill(parent, 0) == 0 || errno != ESRCH)
        return 7;
    fd = open("/etc/shadow", O_RDONLY);
    if (fd >= 0)
        return 8;
    return 0;
}

static void test_enters(void **state)
{
    int status, ready, left = open("/dev/null", O_RDONLY);
    pid_t worker = confined(&ready), helper, parent = getpid();
    char ok = 'n';

    assert_int_not_equal(left, -1);
    if (worker && read(ready, &ok, 1) != 1)
        ok = 'n';
    if (ok != 'y') {
        print_message("skipped: no namespaces without privileges\n");
        skip();
    }
    helper = fork();
    if (helper == 0)
        _exit(looks(worker, parent));
    assert_int_equal(waitpid(helper, &status, 0), helper);
    kill(worker, SIGKILL);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    /* Who is gone is not entered. */
    assert_true(enter_worker(&worker) < 0);
    close(left);
    close(ready);
}

/* A worker without namespaces of its own: nothing changes. */
static void test_beside(void **state)
{
    uint64_t before = capabilities();
    pid_t self = getpid(), pid = self;

    assert_int_equal(enter_worker(&pid), 0);
    assert_int_equal(pid, self);
    assert_int_equal(getpid(), self);
    assert_true(capabilities() == before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enters),
        cmocka_unit_test(test_beside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
