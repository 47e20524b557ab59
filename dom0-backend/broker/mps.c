/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/mps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The control daemon's end is a socket or a named pipe, by version. 0 or -errno. */
static int knock(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    int fd, err = 0;

    if (stat(path, &st) < 0)
        return -errno;
    if (S_ISFIFO(st.st_mode)) { /* nobody reads it: ENXIO */
        fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        err = fd < 0 ? -errno : 0;
    } else if (S_ISSOCK(st.st_mode)) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        memcpy(a.sun_path, path, strlen(path) + 1); /* MPS_PATH_MAX leaves room */
        if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
            err = -errno;
        /* Of another type, or with a full queue: somebody is there. */
        if (err == -EPROTOTYPE || err == -EAGAIN)
            err = 0;
    } else {
        return -ENOTSOCK;
    }
    if (fd >= 0)
        close(fd);
    return err;
}

bool mps_found(const char *dir, char *why, size_t n)
{
    char path[MPS_PATH_MAX + sizeof("/control")];
    int err;

    if (strlen(dir) > MPS_PATH_MAX || dir[0] != '/') {
        snprintf(why, n, "the MPS directory %s: allowed is an absolute path of at most %u octets",
                 dir, MPS_PATH_MAX);
        return false;
    }
    snprintf(path, sizeof(path), "%s/control", dir);
    err = knock(path);
    if (!err)
        return true;
    snprintf(why, n,
             "no MPS control daemon listens at %s (%s): start it with " MPS_VARIABLE
             "=%s nvidia-cuda-mps-control -d -multiuser-server, or do without MPS",
             path, strerror(-err), dir);
    return false;
}
