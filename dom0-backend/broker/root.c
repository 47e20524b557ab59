/* SPDX-License-Identifier: MIT */
/*
 * root.c - the file system that a confined worker sees: libraries, the nodes of its GPU, and the part
 * of /proc that a driver looks into. Everything is read-only.
 *
 * Runs between clone and exec: only system calls are made. Where a step is not possible (an initramfs
 * cannot pivot, a container may not mount) the next best is done, and a line says so.
 */
#include "dom0-backend/broker/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Seen by every worker, if they exist. A symbolic link is copied as a link. */
static const char *const root_dirs[] = {
    "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/nvidia", /* some drivers are there */
};
static const char *const root_files[] = {"/etc/ld.so.cache", "/dev/null", "/dev/zero",
                                         "/dev/urandom"};
/* Of one that opens a driver. */
static const char *const driver_files[] = {"/dev/nvidiactl", "/dev/nvidia-uvm"};
/* Of /proc, beside what is about the worker itself. */
static const char *const driver_proc[] = {"cpuinfo", "meminfo", "devices", "driver", "sys"};

#define RUN_DIR  "/run/gvm"
#define ROOT_DIR RUN_DIR "/root" /* mount point; empty outside of a worker */
#define EMPTY    "/empty"        /* covers directories of /proc */
#define BIND_RO  (MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID)
#define MAX_GPUS 64
#define SIZE     "size=256k,mode=0755"

void root_complain(const char *what)
{
    char line[160];
    int n = snprintf(line, sizeof(line), "gvm-backd: warning: confining a worker: %s: error %d\n",
                     what, errno);

    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        return;
}

void root_prepare(void)
{
    if ((mkdir(RUN_DIR, 0700) < 0 && errno != EEXIST) ||
        (mkdir(ROOT_DIR, 0700) < 0 && errno != EEXIST))
        root_complain(ROOT_DIR);
}

/* ---- which GPU ----------------------------------------------------------------------------- */

/* Value of `key` in the driver's text about a GPU, e.g. "Device Minor: \t 0". */
static bool field(const char *text, const char *key, char *out, size_t n)
{
    const char *p = strstr(text, key);
    size_t len;

    if (!p)
        return false;
    p += strlen(key);
    p += strspn(p, " \t");
    len = strcspn(p, "\r\n \t");
    if (len == 0 || len >= n)
        return false;
    memcpy(out, p, len);
    out[len] = '\0';
    return true;
}

int root_gpu_minor(const char *dir, const char *device)
{
    int found = -1, count = 0;
    struct dirent *e;
    DIR *d = opendir(dir);

    while (d && (e = readdir(d))) {
        char path[512], text[2048], uuid[80], minor[16];
        ssize_t n;
        int fd;

        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s/information", dir, e->d_name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (fd >= 0)
            close(fd);
        if (n <= 0)
            continue;
        text[n] = '\0';
        count++;
        if (!field(text, "GPU UUID:", uuid, sizeof(uuid)) ||
            !field(text, "Device Minor:", minor, sizeof(minor)))
            continue;
        if (strncmp(device, "GPU-", 4) != 0 || strcmp(device, uuid) == 0)
            found = atoi(minor);
    }
    if (d)
        closedir(d);
    /* The order in which a driver counts several GPUs is not known here. */
    return count > 1 && strncmp(device, "GPU-", 4) != 0 ? -1 : found;
}

/* ---- what is in it --------------------------------------------------------------------------- */

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

static void bind_files(const char *const *files, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bind_into_root(files[i], false) < 0)
            root_complain(files[i]);
    }
}

static void bind_gpus(int minor)
{
    char path[32];

    bind_files(driver_files, sizeof(driver_files) / sizeof(driver_files[0]));
    for (int i = minor < 0 ? 0 : minor; i < (minor < 0 ? MAX_GPUS : minor + 1); i++) {
        snprintf(path, sizeof(path), "/dev/nvidia%d", i);
        if (bind_into_root(path, false) < 0)
            root_complain(path);
    }
}

/* ---- /proc ----------------------------------------------------------------------------------- */

static bool shown(const char *name)
{
    for (size_t i = 0; i < sizeof(driver_proc) / sizeof(driver_proc[0]); i++) {
        if (strcmp(name, driver_proc[i]) == 0)
            return true;
    }
    return name[0] >= '0' && name[0] <= '9';
}

/* Covers what a worker has no business with: the machine's keys, memory, buses, Xen. */
static int cover(const char *name, unsigned char type)
{
    char at[320];

    snprintf(at, sizeof(at), ROOT_DIR "/proc/%s", name);
    if (type == DT_DIR)
        return mount(ROOT_DIR EMPTY, at, NULL, MS_BIND, NULL);
    if (type == DT_REG)
        return mount(ROOT_DIR "/dev/null", at, NULL, MS_BIND, NULL);
    return 0; /* links lead to the worker's own */
}

static int cover_proc(void)
{
    struct entry {
        uint64_t ino;
        int64_t off;
        uint16_t len;
        unsigned char type;
        char name[];
    };
    char buf[4096] __attribute__((aligned(8)));
    int fd = open(ROOT_DIR "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
    long n = -1;

    if (fd < 0 || (mkdir(ROOT_DIR EMPTY, 0555) < 0 && errno != EEXIST))
        goto out;
    /* readdir() would allocate memory. */
    while ((n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
        for (long at = 0; at < n;) {
            const struct entry *e = (const void *)(buf + at);

            if (e->name[0] != '.' && !shown(e->name))
                err |= cover(e->name, e->type);
            at += e->len;
        }
    }
out:
    if (fd >= 0)
        close(fd);
    return n < 0 || err ? -1 : 0;
}

/* This process's threads, in a /proc that can be written: nothing above them is to be had by the
 * descriptor, and the mount is nowhere to be seen. -1: there is none. */
static int open_names(void)
{
    const char at[] = ROOT_DIR "/proc";
    int fd = -1;

    if (mount("proc", at, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return -1;
    if (mount(ROOT_DIR "/proc/self/task", at, NULL, MS_BIND, NULL) == 0) {
        fd = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
        umount2(at, MNT_DETACH);
    }
    umount2(at, MNT_DETACH);
    return fd;
}

/* What can be written to there that is not a process's own. */
static int protect_proc(void)
{
    static const char *const dirs[] = {ROOT_DIR "/proc/sys", ROOT_DIR "/proc/driver"};

    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        if (access(dirs[i], F_OK) == 0 && (mount(dirs[i], dirs[i], NULL, MS_BIND, NULL) < 0 ||
                                           mount(NULL, dirs[i], NULL, BIND_RO, NULL) < 0))
            return -1;
    return 0;
}

/* own: a process may write to what is its own there. The descriptor of its threads, or -1. */
static int make_proc(bool driver, bool own)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (own ? 0 : MS_RDONLY);
    int names = -1;

    if (mkdir(ROOT_DIR "/proc", 0555) < 0) {
        root_complain("/proc");
        return -1;
    }
    if (driver && !own) {
        names = open_names();
        if (names < 0)
            root_complain("names of threads");
    }
    /* Nothing but processes, of which there is one (Linux 5.8). */
    if (!driver && !own && mount("proc", ROOT_DIR "/proc", "proc", flags, "subset=pid") == 0)
        return -1;
    if (mount("proc", ROOT_DIR "/proc", "proc", flags, NULL) < 0) {
        root_complain("/proc");
        return names;
    }
    if (cover_proc() < 0 || (own && protect_proc() < 0))
        root_complain("covering parts of /proc");
    return names;
}

/* ---- */

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

/* An MPS client finds its server through a socket there, and takes a lock on a file. What the client
 * may do with them their modes say. */
static void bind_mps(const char *dir)
{
    const unsigned long flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    char at[256];

    if (under_root(dir, at, sizeof(at)) < 0 || (mkdir(at, 0755) < 0 && errno != EEXIST) ||
        mount(dir, at, NULL, MS_BIND, NULL) < 0 || mount(NULL, at, NULL, flags, NULL) < 0)
        root_complain(dir);
}

int root_make(bool driver, int gpu_minor, const char *mps)
{
    int names;

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        root_complain("private mounts");
        return -1;
    }
    if (mount("gvm-worker", ROOT_DIR, "tmpfs", MS_NOSUID, SIZE) < 0) {
        root_complain("a root of its own");
        return -1;
    }
    for (size_t i = 0; i < sizeof(root_dirs) / sizeof(root_dirs[0]); i++) {
        if (bind_into_root(root_dirs[i], true) < 0) {
            root_complain(root_dirs[i]);
            return -1;
        }
    }
    bind_files(root_files, sizeof(root_files) / sizeof(root_files[0]));
    if (driver)
        bind_gpus(gpu_minor);
    if (mps)
        bind_mps(mps);
    names = make_proc(driver, mps != NULL); /* a client of MPS names its threads itself */
    if (change_root() < 0) {
        root_complain("changing the root");
        return names;
    }
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, SIZE) < 0)
        root_complain("read-only root");
    return names;
}
