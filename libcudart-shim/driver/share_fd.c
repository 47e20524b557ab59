/* SPDX-License-Identifier: MIT */
/*
 * share_fd.c - descriptors that stand for memory. One end of a socket pair, with the handle waiting
 * in it, which whoever imports looks at and leaves there. This process keeps the other end: that
 * end says when the last copy of the first is closed, in whichever process, and so when nobody can
 * import any more.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc.h"
#include "state.h"
#include "stubs.h"

struct message {
    char magic[8];
    uint8_t share[GVM_SHARE];
};
static const char magic[8] = "gvmshare";

struct kept {
    struct kept *next;
    int end;
    uint8_t share[GVM_SHARE];
};

static struct {
    pthread_mutex_t lock;
    struct kept *list;
} fds = {.lock = PTHREAD_MUTEX_INITIALIZER};

int gvm_fd_make(const uint8_t share[GVM_SHARE], int *fd)
{
    struct kept *k = calloc(1, sizeof(*k));
    struct message m;
    int pair[2];

    if (!k || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        free(k);
        return 2;
    }
    memcpy(m.magic, magic, sizeof(m.magic));
    memcpy(m.share, share, GVM_SHARE);
    if (send(pair[0], &m, sizeof(m), MSG_NOSIGNAL) != (ssize_t)sizeof(m)) {
        close(pair[0]);
        close(pair[1]);
        free(k);
        return 2;
    }
    k->end = pair[0];
    memcpy(k->share, share, GVM_SHARE);
    pthread_mutex_lock(&fds.lock);
    k->next = fds.list;
    fds.list = k;
    pthread_mutex_unlock(&fds.lock);
    *fd = pair[1];
    return 0;
}

int gvm_fd_read(int fd, uint8_t share[GVM_SHARE])
{
    struct message m;
    ssize_t n;

    do {
        n = recv(fd, &m, sizeof(m), MSG_PEEK | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(m) || memcmp(m.magic, magic, sizeof(m.magic)) != 0)
        return 1;
    memcpy(share, m.share, GVM_SHARE);
    return 0;
}

static bool closed(int end)
{
    struct pollfd p = {.fd = end};

    return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

void gvm_fd_sweep(void)
{
    struct gvm_chan *c = gvm_usable();
    struct kept *gone = NULL;

    pthread_mutex_lock(&fds.lock);
    for (struct kept **at = &fds.list; *at;) {
        struct kept *k = *at;

        if (closed(k->end)) {
            *at = k->next;
            k->next = gone;
            gone = k;
        } else {
            at = &k->next;
        }
    }
    pthread_mutex_unlock(&fds.lock);
    while (gone) {
        struct kept *k = gone;

        gone = k->next;
        if (c)
            vgpu_IpcForget(c, 0, k->share, GVM_SHARE);
        close(k->end);
        free(k);
    }
}

void gvm_fd_reset(void)
{
    pthread_mutex_lock(&fds.lock);
    while (fds.list) {
        struct kept *k = fds.list;

        fds.list = k->next;
        close(k->end);
        free(k);
    }
    pthread_mutex_unlock(&fds.lock);
}
