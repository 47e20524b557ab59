/* SPDX-License-Identifier: MIT */
/*
 * cuda_output.c - printf and assert of kernels. The driver writes them to descriptors 1 and 2 of
 * this process, from inside calls that wait. Both become pipes; the worker's own log keeps the old
 * descriptor 2 through a duplicate.
 *
 * A thread empties the pipes, so that the driver never blocks in a full one; cudev_output_drain()
 * does the same on the calling thread, so that a guest's synchronising call is answered after its
 * output.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cuda_int.h"
#include "dom0-backend/common/log.h"

struct cudev_output {
    int fd[2]; /* of the guest's 1 and 2 */
    pthread_mutex_t lock;
};

static void drain(struct dev *d)
{
    struct cudev_output *o = d->out;
    char buf[4096];
    ssize_t n;

    pthread_mutex_lock(&o->lock);
    for (int i = 0; i < 2; i++) {
        while ((n = read(o->fd[i], buf, sizeof(buf))) > 0) {
            if (d->cfg.on_output)
                d->cfg.on_output(d->cfg.arg, i + 1, buf, (size_t)n);
        }
    }
    pthread_mutex_unlock(&o->lock);
}

void cudev_output_drain(struct dev *d)
{
    if (d->out)
        drain(d);
}

static void *reader(void *arg)
{
    struct dev *d = arg;
    struct pollfd p[2] = {{.fd = d->out->fd[0], .events = POLLIN},
                          {.fd = d->out->fd[1], .events = POLLIN}};

    for (;;) {
        if (poll(p, 2, -1) > 0)
            drain(d);
    }
    return NULL;
}

int cudev_output_open(struct dev *d)
{
    struct cudev_output *o = calloc(1, sizeof(*o));
    int log_fd = fcntl(2, F_DUPFD_CLOEXEC, 16);
    pthread_t t;

    if (!o || log_fd < 0)
        goto fail;
    pthread_mutex_init(&o->lock, NULL);
    for (int i = 0; i < 2; i++) {
        int p[2];

        if (pipe2(p, O_CLOEXEC) < 0)
            goto fail;
        fcntl(p[0], F_SETFL, O_NONBLOCK);
        if (dup2(p[1], i + 1) < 0)
            goto fail;
        close(p[1]);
        o->fd[i] = p[0];
    }
    log_to(log_fd);
    /* A pipe makes stdout fully buffered: text would stay behind. */
    setvbuf(stdout, NULL, _IONBF, 0);
    d->out = o;
    if (pthread_create(&t, NULL, reader, d)) {
        d->out = NULL;
        goto fail;
    }
    pthread_detach(t);
    return 0;
fail:
    free(o);
    return CUDA_ERROR_OUT_OF_MEMORY;
}
