/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - starts a worker with its descriptors, a user id and a view of the machine of its own.
 *
 * The first step of confinement: user id, network, IPC, PID and mount namespaces with a root that
 * holds libraries and the device nodes a driver needs (root.c), all before the worker's first
 * instruction. The worker itself adds the system call filter (worker/confine.c); limits of memory,
 * threads and processor time come with its guest (cgroup.c).
 *
 * Between clone and exec only system calls are made: the broker has threads.
 */
#include "dom0-backend/broker/broker.h"
#include "dom0-backend/broker/mps.h"
#include "dom0-backend/broker/root.h"
#include "dom0-backend/common/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static bool take_id(uint32_t uid)
{
    /* Not the C library's functions: they look for the broker's other threads, under a lock that
     * one of these may have held when we were cloned. */
    return syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setresgid, uid, uid, uid) == 0 &&
           syscall(SYS_setresuid, uid, uid, uid) == 0;
}

/* Neither this process nor what it executes has, or can get, a capability, whatever its user id. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}, {0}};

    for (int c = 0; c < 64; c++)
        prctl(PR_CAPBSET_DROP, c, 0, 0, 0); /* fails for those that this kernel does not have */
    return prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0) == 0 &&
           syscall(SYS_capset, &h, none) == 0;
}

/* Moves `fd` out of the way of 3..6 and makes it survive. */
static int high(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD, 64);
}

/* A domain that runs out of memory ends the worker that took it, not xenstored. */
static void first_to_go(void)
{
    char now[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);

    if (fd < 0 || pread(fd, now, sizeof(now) - 1, 0) < 0 ||
        (atoi(now) < 500 && write(fd, "500", 3) < 0))
        root_complain("oom_score_adj");
    if (fd >= 0)
        close(fd);
}

static void __attribute__((noreturn)) child(const struct spawn *s, int exe, char *const *env)
{
    static const int targets[4] = {WK_FD_SOCKET, WK_FD_STATS, WK_FD_LISTEN, WK_FD_NAMES};
    int fds[4] = {high(s->sock), high(s->stats), high(s->listen), -1};
    sigset_t none;

    /* The child of a daemon must not answer the terminal's signals in its stead. */
    setsid();
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    exe = fcntl(exe, F_DUPFD_CLOEXEC, 64);
    if (s->cgroup >= 0 && write(s->cgroup, "0", 1) < 0)
        root_complain("entering its cgroup");
    first_to_go();
    if (s->confine)
        fds[3] = high(root_make(s->driver, s->gpu_minor, s->mps));
    for (int i = 0; i < 4; i++) {
        close(targets[i]);
        if (fds[i] >= 0 && dup2(fds[i], targets[i]) != targets[i])
            _exit(126);
    }
    /* Everything else closes at exec; only `exe` is still needed until then. */
    syscall(SYS_close_range, WK_FD_NAMES + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    /* Before the user id, which takes the right to do it. */
    if (s->confine && !s->uid && !drop_capabilities()) {
        root_complain("capabilities");
        _exit(126);
    }
    fault_hand_on();
    if (s->uid && !take_id(s->uid)) {
        root_complain("user id");
        _exit(126);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        root_complain("PR_SET_NO_NEW_PRIVS");
        _exit(126);
    }
    syscall(SYS_execveat, exe, "", s->argv, env, AT_EMPTY_PATH);
    root_complain("exec");
    _exit(127);
}

pid_t spawn_worker(const struct spawn *s, int *pidfd)
{
    static const char *const settings[] = {"GVM_PTX_SM", "GVM_PTX_JIT", "GVM_PTX_CHECK"};
    static char value[3][32], mps[sizeof(MPS_VARIABLE) + 128];
    /* Compiled code is not kept: it would be one guest's, found by the next. */
    static char *clean_env[] = {
        "PATH=/usr/bin:/bin", "LANG=C", "CUDA_CACHE_DISABLE=1", NULL, NULL, NULL, NULL, NULL};
    static bool told, filled;
    char *const *env = s->confine ? clean_env : environ;
    unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS;
    struct spawn plain = *s;
    int exe = open(s->path, O_PATH | O_CLOEXEC);
    long pid = -1;

    if (!filled) { /* the settings of the software device */
        unsigned n = 3;

        filled = true;
        for (unsigned i = 0; i < 3; i++)
            if (getenv(settings[i])) {
                snprintf(value[i], sizeof(value[i]), "%s=%s", settings[i], getenv(settings[i]));
                clean_env[n++] = value[i];
            }
        if (s->mps) {
            snprintf(mps, sizeof(mps), MPS_VARIABLE "=%s", s->mps);
            clean_env[n] = mps;
        }
    }
    *pidfd = -1;
    if (exe < 0)
        return -errno;
    if (s->confine) {
        root_prepare();
        pid = syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, 0);
        if (pid == 0)
            child(s, exe, env);
        if (pid < 0 && !told) {
            log_warn("workers share this machine's namespaces: clone: %m");
            told = true;
        }
    }
    if (pid < 0) {
        plain.confine = false;
        pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, 0);
        if (pid == 0)
            child(&plain, exe, env);
    }
    if (pid < 0)
        pid = -errno;
    close(exe);
    return (pid_t)pid;
}
