/* SPDX-License-Identifier: MIT */
/*
 * notify.c - tells systemd that the service is up (sd_notify(3), protocol of Type=notify). Written
 * here because it is one datagram, and libsystemd would be a dependency of a daemon that runs as
 * root.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0-backend/broker/broker.h"

void notify_ready(void)
{
    static const char text[] = "READY=1";
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len;
    int fd;

    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(a.sun_path))
        return;
    strcpy(a.sun_path, path);
    len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@') /* a name that is in no file system */
        a.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, text, sizeof(text) - 1, 0, (struct sockaddr *)&a, len) < 0)
        log_warn("%s: %m: the service manager does not know that gvm-backd is up", path);
    if (fd >= 0)
        close(fd);
    unsetenv("NOTIFY_SOCKET"); /* not for workers */
}
