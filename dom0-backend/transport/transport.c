/* SPDX-License-Identifier: MIT */
#include "dom0-backend/transport/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dom0-backend/transport/handoff.h"

const struct transport_ops *transport_of(uint32_t kind)
{
    switch (kind) {
    case WK_XEN:
        return &transport_xen;
    case WK_LOCAL:
        return &transport_local;
    default:
        return NULL;
    }
}

int transport_nonblock(int fd)
{
    int fl = fcntl(fd, F_GETFL);

    if (fl < 0 && errno == EPERM)
        return 0;
    return fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) < 0 ? -errno : 0;
}

void transport_close(struct transport *t)
{
    if (t->notify_fd >= 0 && t->notify_fd != t->event_fd)
        close(t->notify_fd);
    if (t->event_fd >= 0)
        close(t->event_fd);
    t->event_fd = t->notify_fd = -1;
}

int transport_reserve(void *at, size_t len)
{
    void *p = mmap(at, len, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (p == MAP_FAILED)
        return -errno;
    if (p != at) { /* a kernel that does not know MAP_FIXED_NOREPLACE takes it as a hint */
        munmap(p, len);
        return -EEXIST;
    }
    return 0;
}

int transport_unmap(void *at, size_t len)
{
    if (munmap(at, len) < 0)
        return -errno;
    return transport_reserve(at, len);
}
