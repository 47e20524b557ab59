/* SPDX-License-Identifier: MIT */
/*
 * trace.c - gvm trace: `trace [domid=N] [devid=N] [pid=N]` on the socket of query.c.
 *
 * Every worker that fits, now or later, is given a ring to write into, and the client the same ring to
 * read, by a struct tr_msg with the descriptor. A program's first call is in it if the client was there
 * first. When the client closes its socket the workers stop. This process reads no octet of a ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dom0-backend/broker/broker.h"
#include "dom0-backend/common/fdmsg.h"
#include "dom0-backend/transport/trace_ring.h"

#define ANY         UINT32_MAX
#define MAX_TRACERS 16

struct tracer {
    struct broker *b;
    struct tracer *next;
    ev_io io;
    uint32_t domid, devid, pid; /* ANY: all */
};

static struct tracer *tracers;
static unsigned ntracers;

static bool wants(const struct tracer *t, const struct chan *ch)
{
    return (t->domid == ANY || t->domid == ch->host->domid) &&
           (t->devid == ANY || t->devid == ch->host->devid) && (t->pid == ANY || t->pid == ch->pid);
}

/* A client that does not read loses what it is told; its rings it has. */
static int tell(struct tracer *t, uint32_t type, const struct worker *w, int fd)
{
    const struct chan *ch = w->ch;
    struct tr_msg m = {.type = type, .worker = (uint32_t)w->pid};

    if (ch) {
        m.domid = ch->host->domid;
        m.devid = ch->host->devid;
        m.channel = ch->id;
        m.pid = ch->pid;
        m.uid = ch->uid;
    }
    return fdmsg_send(t->io.fd, &m, sizeof(m), &fd, fd >= 0);
}

static int make_ring(void)
{
    int fd = memfd_create("gvm-trace", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && (ftruncate(fd, (off_t)TR_SIZE) < 0 ||
                    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void attach(struct tracer *t, struct worker *w)
{
    struct wk_msg m = {.type = WK_TRACE};
    int fd;

    if (w->tracer) {
        if (w->tracer != t)
            tell(t, TR_BUSY, w, -1);
        return;
    }
    fd = make_ring();
    if (fd < 0) {
        log_warn("worker %d cannot be traced: %m", (int)w->pid);
        return;
    }
    if (tell(t, TR_ATTACHED, w, fd) == 0 && worker_send(w, &m, &fd, 1) == 0) {
        w->tracer = t;
        log_info("%s channel %u (guest pid %u): calls are traced", w->ch->host->name, w->ch->id,
                 w->ch->pid);
    }
    close(fd);
}

void trace_assigning(struct chan *ch)
{
    for (struct tracer *t = tracers; t && !ch->w->tracer; t = t->next) {
        if (wants(t, ch))
            attach(t, ch->w);
    }
}

void trace_worker_gone(struct worker *w)
{
    if (w->tracer)
        tell(w->tracer, TR_ENDED, w, -1);
    w->tracer = NULL;
}

static void tracer_free(struct tracer *t)
{
    struct wk_msg m = {.type = WK_TRACE};
    struct tracer **p;

    for (p = &tracers; *p != t; p = &(*p)->next)
        ;
    *p = t->next;
    for (struct worker *w = t->b->workers; w; w = w->next) {
        if (w->tracer != t)
            continue;
        w->tracer = NULL;
        if (w->state == WORKER_SERVING)
            worker_send(w, &m, NULL, 0);
    }
    ev_io_stop(t->b->loop, &t->io);
    close(t->io.fd);
    free(t);
    ntracers--;
}

/* The client has nothing more to say: whatever comes is its end. */
static void on_client(struct ev_loop *loop, ev_io *io, int revents)
{
    char c;
    ssize_t r = recv(io->fd, &c, 1, MSG_DONTWAIT);

    if (r < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    tracer_free(io->data);
}

static bool parse(struct tracer *t, const char *args)
{
    char key[8];
    unsigned v;
    int n;

    t->domid = t->devid = t->pid = ANY;
    while (*args) {
        if (sscanf(args, " %7[a-z]=%u%n", key, &v, &n) != 2 || v == ANY)
            return false;
        args += n;
        if (strcmp(key, "domid") == 0)
            t->domid = v;
        else if (strcmp(key, "devid") == 0)
            t->devid = v;
        else if (strcmp(key, "pid") == 0)
            t->pid = v;
        else
            return false;
    }
    return true;
}

bool trace_open(struct broker *b, int fd, const char *args)
{
    struct tracer *t = ntracers < MAX_TRACERS ? calloc(1, sizeof(*t)) : NULL;

    if (!t || !parse(t, args)) {
        free(t);
        return false;
    }
    ntracers++;
    t->b = b;
    t->next = tracers;
    tracers = t;
    ev_io_init(&t->io, on_client, fd, EV_READ);
    t->io.data = t;
    ev_io_start(b->loop, &t->io);
    for (struct worker *w = b->workers; w; w = w->next) {
        if (w->state == WORKER_SERVING && w->ch && wants(t, w->ch))
            attach(t, w);
    }
    return true;
}
