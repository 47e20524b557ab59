/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int listen_at(const char *path, int type, int backlog)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *slash = strrchr(path, '/');
    size_t dir = slash ? (size_t)(slash - path) + 1 : 0;
    int fd, err = 0;

    /* bind() makes the name and listen() comes after it: who connects in between is refused. So
     * the socket listens under another name before it gets its own, by link(), which like bind()
     * takes no name that is there. */
    if (strlen(path) > LISTEN_PATH_MAX || dir > LISTEN_DIR_MAX)
        return -ENAMETOOLONG;
    /* A process id has at most seven digits. */
    snprintf(a.sun_path, sizeof(a.sun_path), "%.*s.%d", (int)dir, path, (int)getpid());
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    unlink(a.sun_path);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        err = -errno;
        goto out;
    }
    if (listen(fd, backlog) < 0 || link(a.sun_path, path) < 0)
        err = errno == EEXIST ? -EADDRINUSE : -errno;
    unlink(a.sun_path);
out:
    if (err) {
        close(fd);
        return err;
    }
    return fd;
}
