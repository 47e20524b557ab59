/* SPDX-License-Identifier: MIT */
/*
 * enter.c - the process that has another worker parked goes to where that worker is.
 *
 * NVIDIA's process checkpoint talks to the worker by pipes whose numbers it takes from the name of one
 * of the worker's threads, and opens them in /proc/PID/fd (seen with 580.159.04). A compromised worker
 * can say there what it likes, so whoever listens must have hardly more than the worker has: its
 * namespaces, its user id, a filter of system calls, and of all capabilities those two that it takes to
 * open what is in /proc/PID/fd of a process that lets nobody look into it. In these namespaces nothing
 * but that process is to be had by them: all that root owns there is read-only.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dom0-backend/common/log.h"
#include "dom0-backend/worker/worker.h"

#define ALL_OF_THEM (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* Whether the process sees this one's files and processes. An ordinary user, who has no namespaces to
 * give, may not look. */
static bool is_beside_us(pid_t pid)
{
    static const char *const spaces[] = {"mnt", "pid"};
    struct stat own, its;
    char path[64];

    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        snprintf(path, sizeof(path), "/proc/self/ns/%s", spaces[i]);
        if (stat(path, &own) < 0)
            return false;
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, spaces[i]);
        if (stat(path, &its) < 0)
            return errno == EACCES && geteuid() != 0;
        if (own.st_dev != its.st_dev || own.st_ino != its.st_ino)
            return false;
    }
    return true;
}

static int become(uid_t uid)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct look[2] = {{0}, {0}};

    look[0].permitted = look[0].effective =
        CAP_TO_MASK(CAP_SYS_PTRACE) | CAP_TO_MASK(CAP_DAC_OVERRIDE);
    for (int c = 0; c < 64; c++)
        prctl(PR_CAPBSET_DROP, c, 0, 0, 0); /* fails for those that this kernel does not have */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0 ||
        setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 ||
        syscall(SYS_capset, &h, look) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

int enter_worker(pid_t *pid)
{
    int pidfd, status = 0;
    struct stat st;
    char path[32];
    pid_t child;

    if (is_beside_us(*pid))
        return 0;
    pidfd = pidfd_open(*pid, 0);
    snprintf(path, sizeof(path), "/proc/%d", (int)*pid);
    if (pidfd < 0 || stat(path, &st) < 0 || setns(pidfd, ALL_OF_THEM) < 0)
        return -errno;
    /* Of the new PID namespace is only who is born there. */
    child = fork();
    if (child < 0)
        return -errno;
    if (child > 0) {
        close(STDOUT_FILENO); /* the broker waits for its end */
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_range(STDERR_FILENO + 1, ~0u, 0);
    *pid = 1;
    return become(st.st_uid);
}
