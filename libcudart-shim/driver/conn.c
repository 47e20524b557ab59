/* SPDX-License-Identifier: MIT */
/*
 * conn.c - which transport, and waiting for a device that is hot-plugged after the program starts.
 */
#include "conn.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define WAIT_DEFAULT_MS 10000
#define WAIT_MAX_MS     3600000

int gvm_conn_map(int fd, uint64_t off, void *at, size_t len, void **out)
{
    int flags = MAP_SHARED | (at ? MAP_FIXED : 0);
    void *p = mmap(at, len, PROT_READ | PROT_WRITE, flags, fd, (off_t)off);

    if (p == MAP_FAILED)
        return -errno;
    *out = p;
    return 0;
}

static bool in_xen_guest(void)
{
    char type[16] = "";
    FILE *f = fopen("/sys/hypervisor/type", "re");

    if (f) {
        if (!fgets(type, sizeof(type), f))
            type[0] = 0;
        fclose(f);
        return strncmp(type, "xen", 3) == 0;
    }
    return access("/proc/xen", F_OK) == 0;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool not_there(int rc)
{
    return rc == -ENOENT || rc == -ENXIO || rc == -ENODEV || rc == -ECONNREFUSED;
}

/* Directory entries that appear are events; udev sets the node's mode after it appears, so
 * attribute changes count as well. */
static int open_when_there(struct gvm_conn *c, const char *dir, uint64_t wait_ms)
{
    uint64_t end = now_ms() + wait_ms, now;
    char buf[4096] __attribute__((aligned(8)));
    int in, rc = c->ops->open(c);

    /* Closing an inotify descriptor takes the kernel some 15 ms: only for who has to wait. */
    if (!wait_ms || !(not_there(rc) || rc == -EACCES))
        return rc;
    in = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (in >= 0)
        inotify_add_watch(in, dir, IN_CREATE | IN_ATTRIB | IN_MOVED_TO);
    for (;;) {
        struct pollfd p = {.fd = in, .events = POLLIN};

        rc = c->ops->open(c);
        now = now_ms();
        if (rc == 0 || now >= end || !(not_there(rc) || rc == -EACCES))
            break;
        /* Without inotify, and for a node whose driver is not ready, look again at times. */
        poll(&p, 1, end - now > 250 ? 250 : (int)(end - now));
        if (in >= 0)
            while (read(in, buf, sizeof(buf)) > 0)
                ;
    }
    if (in >= 0)
        close(in);
    return rc;
}

int gvm_conn_open(struct gvm_conn *c)
{
    static uint32_t waited; /* a program that goes on without a device must not wait each time */
    static int said;        /* nor be told each time */
    const char *path = secure_getenv("GVM_SOCKET"), *what = "/dev/vgpu0";
    uint64_t wait_ms = 0;
    char dir[256] = "/dev";
    int rc;

    c->fd = c->event_in = c->event_out = -1;
    c->ops = &gvm_conn_xen;
    if (path && *path) {
        const char *slash = strrchr(path, '/');

        c->ops = &gvm_conn_local;
        what = path;
        snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    } else if (in_xen_guest()) {
        wait_ms = WAIT_DEFAULT_MS;
    }
    gvm_env_number("GVM_WAIT_MS", 0, WAIT_MAX_MS, &wait_ms);
    if (!gvm_once(&waited))
        wait_ms = 0;

    rc = open_when_there(c, dir, wait_ms);
    if (rc && __atomic_exchange_n(&said, rc, __ATOMIC_RELAXED) == rc)
        return rc;
    if (rc == -EACCES || rc == -EPERM)
        gvm_log("%s may not be opened by this user (is the user in its group?)", what);
    else if (rc && wait_ms)
        gvm_log("no device: %s: %s, after waiting %llu ms", what, strerror(-rc),
                (unsigned long long)wait_ms);
    else if (rc)
        gvm_log("no device: %s: %s", what, strerror(-rc));
    return rc;
}
