/* SPDX-License-Identifier: MIT */
/*
 * local.c - the channel over memfds and eventfds, for a guest process on this machine.
 */
#include "dom0-backend/transport/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0-backend/transport/handoff.h"

static int local_open(struct transport *t, const struct wk_msg *m, int *fds, const char **why)
{
    for (int i = 1; i <= 2; i++) {
        int err = transport_nonblock(fds[i]);

        if (err) {
            *why = "eventfd cannot be made non-blocking";
            return err;
        }
    }
    t->ops = &transport_local;
    t->event_fd = fds[1];
    t->notify_fd = fds[2];
    fds[1] = fds[2] = -1;
    return 0;
}

static int local_map(int fd, uint64_t index, void *at, size_t len, void **out, const char **why)
{
    struct stat st;
    void *p = MAP_FAILED;
    int seals, err = 0;

    /* The guest process holds this memfd too: without the seal it could shorten the file and make
     * our next access a SIGBUS. */
    seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK)) {
        *why = "memfd is not sealed against shrinking";
        err = -EINVAL;
    } else if (fstat(fd, &st) < 0 || (uint64_t)st.st_size < len ||
               (uint64_t)st.st_size - len < index) {
        *why = "memfd is shorter than the pages announced";
        err = -EINVAL;
    } else {
        p = mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), fd,
                 (off_t)index);
        if (p == MAP_FAILED) {
            err = -errno;
            *why = "mmap of the memfd failed";
            if (at) /* a failed MAP_FIXED has already removed the reservation underneath */
                transport_reserve(at, len);
        }
    }
    close(fd);
    if (!err)
        *out = p;
    return err;
}

static void local_notify(struct transport *t)
{
    uint64_t one = 1;
    ssize_t n;

    do {
        n = write(t->notify_fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR); /* EAGAIN: the counter is full, so it is readable */
}

static int local_take(struct transport *t)
{
    uint64_t count;
    ssize_t n;

    do {
        n = read(t->event_fd, &count, sizeof(count));
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof(count))
        return 1;
    return n < 0 && errno == EAGAIN ? 0 : -EIO;
}

static void local_unmask(struct transport *t)
{
}

const struct transport_ops transport_local = {
    .name = "local",
    .assign_fds = 3,
    .open = local_open,
    .map = local_map,
    .notify = local_notify,
    .take = local_take,
    .unmask = local_unmask,
};
