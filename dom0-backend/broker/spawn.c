/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - starts a worker with three descriptors, a user id and a view of the machine of its own.
 *
 * The first step of confinement: user id, network, IPC, PID and mount namespaces with a root that
 * holds libraries and the device nodes a driver needs, all before the worker's first instruction.
 * The worker itself adds the system call filter (worker/confine.c). Where a step is not possible
 * (an initramfs cannot pivot, a container may not mount) the next best is done, and a line says so.
 *
 * Between clone and exec only system calls are made: the broker has threads.
 */
#include "dom0-backend/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

/* Seen by a confined worker, read-only, if they exist. A symbolic link is copied as a link. */
static const char *const root_dirs[] = {
    "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/nvidia", /* some drivers are there */
};
static const char *const root_files[] = {
    "/etc/ld.so.cache", "/dev/null",     "/dev/zero",     "/dev/urandom",  "/dev/nvidiactl",
    "/dev/nvidia-uvm",  "/dev/nvidia0",  "/dev/nvidia1",  "/dev/nvidia2",  "/dev/nvidia3",
    "/dev/nvidia4",     "/dev/nvidia5",  "/dev/nvidia6",  "/dev/nvidia7",  "/dev/nvidia8",
    "/dev/nvidia9",     "/dev/nvidia10", "/dev/nvidia11", "/dev/nvidia12", "/dev/nvidia13",
    "/dev/nvidia14",    "/dev/nvidia15",
};

#define ROOT_DIR "/run/gvm/root" /* mount point; empty outside of a worker */
#define BIND_RO  (MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID)

static void complain(const char *what)
{
    char line[160];
    int n = snprintf(line, sizeof(line), "gvm-backd: warning: confining a worker: %s: error %d\n",
                     what, errno);

    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        return;
}

/* Path below ROOT_DIR; the directories above it are made. */
static int under_root(const char *path, char *buf, size_t n)
{
    int len = snprintf(buf, n, "%s%s", ROOT_DIR, path);

    if (len < 0 || (size_t)len >= n)
        return -1;
    for (char *p = buf + sizeof(ROOT_DIR); *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(buf, 0755) < 0 && errno != EEXIST)
            return -1;
        *p = '/';
    }
    return 0;
}

static int bind_into_root(const char *path, bool dir)
{
    char at[256], link[256];
    struct stat st;
    ssize_t n;
    int fd;

    if (lstat(path, &st) < 0)
        return 0;
    if (under_root(path, at, sizeof(at)) < 0)
        return -1;
    if (S_ISLNK(st.st_mode) && dir) {
        n = readlink(path, link, sizeof(link) - 1);
        if (n < 0)
            return -1;
        link[n] = '\0';
        return symlink(link, at) < 0 && errno != EEXIST ? -1 : 0;
    }
    if (dir) {
        if (mkdir(at, 0755) < 0 && errno != EEXIST)
            return -1;
    } else {
        fd = open(at, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
            return -1;
        close(fd);
    }
    if (mount(path, at, NULL, MS_BIND, NULL) < 0)
        return -1;
    return mount(NULL, at, NULL, BIND_RO | (dir ? MS_NODEV : MS_NOEXEC), NULL);
}

static int change_root(void)
{
    if (chdir(ROOT_DIR) < 0)
        return -1;
    if (syscall(SYS_pivot_root, ".", ".") == 0)
        return umount2(".", MNT_DETACH);
    /* The first root file system of a kernel cannot be pivoted away, only covered. */
    if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
        return -1;
    return chdir("/");
}

/* In a mount namespace of our own. What fails before the root is changed leaves the old root. */
static void make_root(void)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        complain("private mounts");
        return;
    }
    if (mount("gvm-worker", ROOT_DIR, "tmpfs", MS_NOSUID, "size=256k,mode=0755") < 0) {
        complain("a root of its own");
        return;
    }
    for (size_t i = 0; i < sizeof(root_dirs) / sizeof(root_dirs[0]); i++) {
        if (bind_into_root(root_dirs[i], true) < 0) {
            complain(root_dirs[i]);
            return;
        }
    }
    for (size_t i = 0; i < sizeof(root_files) / sizeof(root_files[0]); i++) {
        if (bind_into_root(root_files[i], false) < 0)
            complain(root_files[i]);
    }
    if (mkdir(ROOT_DIR "/proc", 0555) < 0 ||
        mount("proc", ROOT_DIR "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        complain("/proc");
    if (change_root() < 0) {
        complain("changing the root");
        return;
    }
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV,
              "size=256k,mode=0755") < 0)
        complain("read-only root");
}

static bool take_id(uint32_t uid)
{
    /* Not the C library's functions: they look for the broker's other threads, under a lock that
     * one of these may have held when we were cloned. */
    return syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setresgid, uid, uid, uid) == 0 &&
           syscall(SYS_setresuid, uid, uid, uid) == 0;
}

/* Moves `fd` out of the way of 3..5 and makes it survive. */
static int high(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD, 64);
}

static void __attribute__((noreturn)) child(const struct spawn *s, int exe, char *const *env)
{
    static const int targets[3] = {WK_FD_SOCKET, WK_FD_STATS, WK_FD_LISTEN};
    int fds[3] = {high(s->sock), high(s->stats), high(s->listen)};
    sigset_t none;

    /* The child of a daemon must not answer the terminal's signals in its stead. */
    setsid();
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    exe = fcntl(exe, F_DUPFD_CLOEXEC, 64);
    if (s->confine)
        make_root();
    for (int i = 0; i < 3; i++) {
        close(targets[i]);
        if (fds[i] >= 0 && dup2(fds[i], targets[i]) != targets[i])
            _exit(126);
    }
    /* Everything else closes at exec; only `exe` is still needed until then. */
    syscall(SYS_close_range, WK_FD_LISTEN + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    if (s->uid && !take_id(s->uid)) {
        complain("user id");
        _exit(126);
    }
    syscall(SYS_execveat, exe, "", s->argv, env, AT_EMPTY_PATH);
    complain("exec");
    _exit(127);
}

pid_t spawn_worker(const struct spawn *s, int *pidfd)
{
    static char jit[32];
    static char *clean_env[] = {"PATH=/usr/bin:/bin", "LANG=C", NULL, NULL};
    static bool told;
    char *const *env = s->confine ? clean_env : environ;
    unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS;
    struct spawn plain = *s;
    int exe = open(s->path, O_PATH | O_CLOEXEC);
    long pid = -1;

    if (getenv("GVM_PTX_JIT") && !clean_env[2]) { /* the one setting of a device */
        snprintf(jit, sizeof(jit), "GVM_PTX_JIT=%s", getenv("GVM_PTX_JIT"));
        clean_env[2] = jit;
    }
    *pidfd = -1;
    if (exe < 0)
        return -errno;
    if (s->confine) {
        if (mkdir(ROOT_DIR, 0700) < 0 && errno != EEXIST)
            complain(ROOT_DIR);
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
