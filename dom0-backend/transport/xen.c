/* SPDX-License-Identifier: MIT */
/*
 * xen.c - the channel over granted pages and an event channel. No Xen library is needed here: the
 * broker made the descriptors ready, and what remains is mmap, read, write and one ioctl.
 *
 * /dev/xen/gntdev: the grants are mapped by mmap, in the process that calls it; a bad reference
 * shows as EINVAL there. /dev/xen/evtchn: read() returns the ports that fired and leaves them
 * masked; writing a port back is the late EOI.
 */
#include "dom0-backend/transport/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/xen.h> /* domid_t */
#include <xen/sys/evtchn.h>

#include "dom0-backend/transport/handoff.h"

static int xen_open(struct transport *t, const struct wk_msg *m, int *fds, const char **why)
{
    int err = transport_nonblock(fds[1]);

    if (err) {
        *why = "evtchn descriptor cannot be made non-blocking";
        return err;
    }
    t->ops = &transport_xen;
    t->event_fd = t->notify_fd = fds[1];
    t->port = m->port;
    fds[1] = -1;
    return 0;
}

static int xen_map(int fd, uint64_t index, void *at, size_t len, void **out, const char **why)
{
    void *p =
        mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), fd, (off_t)index);
    int err = p == MAP_FAILED ? -errno : 0;

    /* At once: on auto-translated hosts the open descriptor itself keeps the guest's pages. */
    close(fd);
    if (err) {
        *why = err == -EINVAL ? "bad grant reference" : "mmap of the grants failed";
        /* A failed MAP_FIXED has already removed the reservation underneath. */
        if (at)
            transport_reserve(at, len);
        return err;
    }
    *out = p;
    return 0;
}

static void xen_notify(struct transport *t)
{
    struct ioctl_evtchn_notify n = {.port = t->port};

    ioctl(t->notify_fd, IOCTL_EVTCHN_NOTIFY, &n);
}

static int xen_take(struct transport *t)
{
    uint32_t ports[4];
    int hit = 0;
    ssize_t n;

    for (;;) {
        n = read(t->event_fd, ports, sizeof(ports));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        for (size_t i = 0; i < (size_t)n / sizeof(ports[0]); i++)
            hit |= ports[i] == t->port;
    }
    if (n < 0 && errno == EAGAIN)
        return hit;
    return -EIO; /* EFBIG: event buffer overflow, cannot happen with one port */
}

static void xen_unmask(struct transport *t)
{
    uint32_t port = t->port;
    ssize_t n;

    do {
        n = write(t->event_fd, &port, sizeof(port));
    } while (n < 0 && errno == EINTR);
}

const struct transport_ops transport_xen = {
    .name = "xen",
    .assign_fds = 2,
    .open = xen_open,
    .map = xen_map,
    .notify = xen_notify,
    .take = xen_take,
    .unmask = xen_unmask,
};
