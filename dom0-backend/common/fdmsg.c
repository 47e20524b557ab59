/* SPDX-License-Identifier: MIT */
#include "dom0-backend/common/fdmsg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for more than we accept, so that the kernel hands over extras and we can close and report
 * them, rather than learn about them from MSG_CTRUNC only. */
#define RECV_FDS (FDMSG_MAX_FDS * 2)

void fdmsg_close(int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

int fdmsg_send(int sock, const void *msg, size_t len, const int *fds, int nfds)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int) * FDMSG_MAX_FDS)];
    } ctl;
    struct iovec iov = {.iov_base = (void *)msg, .iov_len = len};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (nfds < 0 || nfds > FDMSG_MAX_FDS)
        return -EINVAL;
    if (nfds) {
        struct cmsghdr *c;

        memset(&ctl, 0, sizeof(ctl));
        mh.msg_control = ctl.buf;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)nfds);
        c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)nfds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)nfds);
    }
    do {
        n = sendmsg(sock, &mh, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == len ? 0 : -EMSGSIZE;
}

int fdmsg_recv(int sock, void *msg, size_t len, int *fds, int max_fds, int *nfds, int nonblock)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int) * RECV_FDS)];
    } ctl;
    struct iovec iov = {.iov_base = msg, .iov_len = len};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = ctl.buf,
                        .msg_controllen = sizeof(ctl.buf)};
    int got[RECV_FDS];
    int count = 0;
    ssize_t n;

    for (int i = 0; i < max_fds; i++)
        fds[i] = -1;
    *nfds = 0;
    do {
        n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC | (nonblock ? MSG_DONTWAIT : 0));
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
        size_t k;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < k && count < RECV_FDS; i++)
            memcpy(&got[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    if (n == 0 && count == 0)
        return 0;
    if ((size_t)n != len || (mh.msg_flags & MSG_TRUNC)) {
        fdmsg_close(got, count);
        return -EMSGSIZE;
    }
    if (count > max_fds || (mh.msg_flags & MSG_CTRUNC)) {
        fdmsg_close(got, count);
        return -E2BIG;
    }
    if (count)
        memcpy(fds, got, sizeof(int) * (size_t)count);
    *nfds = count;
    return 1;
}
