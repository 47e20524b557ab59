/* SPDX-License-Identifier: MIT */
#include "dom0-backend/common/xslife.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenstore_lib.h>

#define MAX_FDS 256

static bool to_xenstored(int fd)
{
    struct sockaddr_un a = {0};
    socklen_t len = sizeof(a) - 1;

    return getpeername(fd, (struct sockaddr *)&a, &len) == 0 && a.sun_family == AF_UNIX &&
           strcmp(a.sun_path, xs_daemon_socket()) == 0;
}

/* Only the end of the connection makes it readable, not what the daemon sends. Our own copy of the
 * socket, since the library closes its. */
static int watch_end(int sock)
{
    int copy = fcntl(sock, F_DUPFD_CLOEXEC, 0), e = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLRDHUP};

    if (copy < 0 || e < 0 || epoll_ctl(e, EPOLL_CTL_ADD, copy, &ev) < 0) {
        if (copy >= 0)
            close(copy);
        if (e >= 0)
            close(e);
        return -1;
    }
    return e;
}

struct xs_handle *xs_open_watched(int *hangup)
{
    bool was[MAX_FDS];
    struct xs_handle *xs;

    *hangup = -1;
    for (int fd = 0; fd < MAX_FDS; fd++)
        was[fd] = to_xenstored(fd);
    xs = xs_open(0);
    for (int fd = 0; xs && fd < MAX_FDS && *hangup < 0; fd++) {
        if (!was[fd] && to_xenstored(fd))
            *hangup = watch_end(fd);
    }
    return xs;
}

bool xs_lost(struct xs_handle *xs)
{
    char *path = xs_get_domain_path(xs, 0);

    free(path);
    return path == NULL;
}
