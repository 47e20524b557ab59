/* SPDX-License-Identifier: MIT */
/*
 * local.c - the local transport: guest processes on this machine, one connection each. Control
 * requests and responses are messages, descriptors take the place of grants and event channels.
 * Whoever connects to the same socket is of the same guest.
 */
#include "dom0-backend/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dom0-backend/common/fdmsg.h"

#define MAX_CONNS    1024
#define MAX_INFLIGHT 32 /* as many as a control ring has slots */

struct listener {
    int fd;
    ev_io io;
    struct broker *b;
    struct worker_params params;
    struct tenant *tenant;
    uint32_t number;
};

struct conn {
    struct host h; /* first: hosts of this kind are conns */
    int sock;      /* -1: closed, waits for its workers to end */
    unsigned inflight;
    ev_io io;
};

static struct listener listeners[LOCAL_GUESTS];
static unsigned nlistener;
static unsigned conns;

static void conn_drop(struct conn *c)
{
    if (c->sock < 0)
        return;
    ev_io_stop(c->h.b->loop, &c->io);
    close(c->sock);
    c->sock = -1;
    host_close(&c->h); /* may free c */
}

static void conn_empty(struct host *h)
{
    struct conn *c = (struct conn *)h;
    struct host **p;

    for (p = &h->b->hosts; *p && *p != h; p = &(*p)->next)
        ;
    if (*p)
        *p = h->next;
    ev_io_stop(h->b->loop, &c->io);
    if (c->sock >= 0)
        close(c->sock);
    conns--;
    free(c);
}

/* Sealed, so that the guest process cannot shorten it under the worker. */
static int make_memfd(uint32_t npages)
{
    int fd = memfd_create("gvm-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)npages * VGPU_PAGE_SIZE) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        int err = -errno;

        close(fd);
        return err;
    }
    return fd;
}

static int add_fd(int *list, int *n, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        return -errno;
    list[(*n)++] = copy;
    return 0;
}

static int prepare_channel(struct op *op)
{
    struct chan *ch = op->ch;
    int fds[3], err = 0;

    if (ch->memfd < 0) { /* else the channel was there before its worker */
        ch->memfd = make_memfd(ch->npages);
        if (ch->memfd < 0)
            return ch->memfd;
        ch->efd_worker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        ch->efd_guest = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    if (ch->efd_worker < 0 || ch->efd_guest < 0)
        return -errno;
    fds[0] = ch->memfd;
    fds[1] = ch->efd_worker;
    fds[2] = ch->efd_guest;
    for (int i = 0; i < 3 && !err; i++) {
        err = add_fd(op->fds, &op->nfds, fds[i]);
        if (!err)
            err = add_fd(op->rsp_fds, &op->rsp_nfds, fds[i]);
    }
    return err;
}

bool local_prepare(int fds[2])
{
    if (!nlistener)
        return false;
    fds[0] = make_memfd(VGPU_CH_PAGES(VGPU_LOCAL_RING_ORDER));
    fds[1] = make_memfd(VGPU_LOCAL_CHUNK_PAGES);
    if (fds[0] >= 0 && fds[1] >= 0)
        return true;
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
    return false;
}

void local_hand_over(struct op *op)
{
    struct worker *w = op->ch->w;
    int copy[2];

    if (w->prep_fd[0] < 0 || op->ch->order != VGPU_LOCAL_RING_ORDER)
        return;
    for (int i = 0; i < 2; i++)
        copy[i] = fcntl(w->prep_fd[0], F_DUPFD_CLOEXEC, 0);
    if (copy[0] >= 0 && copy[1] >= 0) {
        close(op->fds[0]);
        close(op->rsp_fds[0]);
        close(op->ch->memfd);
        op->fds[0] = copy[0];
        op->rsp_fds[0] = copy[1];
        op->ch->memfd = w->prep_fd[0];
        w->prep_fd[0] = -1;
        op->msg.prepared = 1;
    } else {
        for (int i = 0; i < 2; i++)
            if (copy[i] >= 0)
                close(copy[i]);
    }
}

/* The memory of a chunk: what the worker has already, or new. */
static int chunk_memfd(struct op *op)
{
    struct worker *w = op->ch->w;

    if (op->internal)
        return fcntl(op->ch->chunk_fd[op->req.chunk], F_DUPFD_CLOEXEC, 0);
    if (w && op->req.chunk == 0 && w->prep_fd[1] >= 0) {
        int fd = w->prep_fd[1];

        w->prep_fd[1] = -1;
        op->msg.prepared = op->req.npages == VGPU_LOCAL_CHUNK_PAGES;
        if (op->msg.prepared)
            return fd;
        close(fd);
    }
    return make_memfd(op->req.npages);
}

static void conn_prepare(struct op *op)
{
    int fd, err;

    op->msg.kind = WK_LOCAL;
    if (op->req.op == VGPU_CTL_CREATE_CHANNEL) {
        err = prepare_channel(op);
    } else {
        fd = chunk_memfd(op);
        err = fd < 0 ? fd : 0;
        if (!err) {
            op->rsp_fds[op->rsp_nfds++] = fd;
            err = add_fd(op->fds, &op->nfds, fd);
            fdmsg_close(&op->ch->chunk_fd[op->req.chunk], 1);
            op->ch->chunk_fd[op->req.chunk] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        }
    }
    op_prepared(op, err);
}

static void conn_respond(struct host *h, struct op *op, const struct vgpu_ctl_rsp *rsp)
{
    struct conn *c = (struct conn *)h;
    int err;

    if (c->sock < 0)
        return;
    c->inflight--;
    if (c->inflight == MAX_INFLIGHT - 1)
        ev_io_start(h->b->loop, &c->io);
    err = fdmsg_send(c->sock, rsp, sizeof(*rsp), op->rsp_fds, rsp->status ? 0 : op->rsp_nfds);
    if (err) /* it is gone, or does not read: end of file comes next */
        shutdown(c->sock, SHUT_RDWR);
}

/* The guest process waits on its eventfd and reads `alive`. */
static void conn_chan_lost(struct host *h, struct chan *ch)
{
    struct conn *c = (struct conn *)h;
    const uint8_t zero = 0;
    uint64_t one = 1;

    if (pwrite(ch->memfd, &zero, 1, (off_t)VGPU_CH_BACK_PAGE * VGPU_PAGE_SIZE) != 1 ||
        write(ch->efd_guest, &one, sizeof(one)) != (ssize_t)sizeof(one))
        log_warn("%s: cannot be told that its worker is gone: %m", h->name);
    if (c->sock >= 0)
        shutdown(c->sock, SHUT_RDWR); /* this end reads end of file, and closes */
}

static const struct host_ops conn_ops = {
    .prepare = conn_prepare,
    .respond = conn_respond,
    .chan_lost = conn_chan_lost,
    .empty = conn_empty,
};

static void on_request(struct ev_loop *loop, ev_io *io, int revents)
{
    struct conn *c = io->data;
    struct vgpu_ctl_req req;
    int nfds, r;

    r = fdmsg_recv(c->sock, &req, sizeof(req), NULL, 0, &nfds, 1);
    if (r == -EAGAIN)
        return;
    if (r == -EMSGSIZE || r == -E2BIG)
        log_warn("%s: a message that is no control request: connection closed", c->h.name);
    if (r <= 0) {
        conn_drop(c);
        return;
    }
    c->inflight++;
    if (c->inflight == MAX_INFLIGHT)
        ev_io_stop(loop, &c->io);
    ctl_request(&c->h, &req, 0);
}

static void on_connect(struct ev_loop *loop, ev_io *io, int revents)
{
    struct listener *l = io->data;
    struct broker *b = l->b;
    struct ucred cred = {0};
    socklen_t len = sizeof(cred);
    struct conn *c;
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    c = conns < MAX_CONNS ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        log_warn("a connection was refused: %u are open", conns);
        close(fd);
        return;
    }
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
    c->h.b = b;
    c->h.ops = &conn_ops;
    c->h.devid = l->number;
    c->h.guest = GUEST_LOCAL + l->number;
    c->h.tenant = l->tenant;
    snprintf(c->h.name, sizeof(c->h.name), "pid %d", (int)cred.pid);
    c->h.params = l->params;
    c->h.max_channels = VGPU_MAX_CHANNELS;
    c->h.max_pages = b->cfg.max_pages;
    c->h.next = b->hosts;
    b->hosts = &c->h;
    conns++;
    c->sock = fd;
    ev_io_init(&c->io, on_request, fd, EV_READ);
    c->io.data = c;
    ev_io_start(loop, &c->io);
}

int local_start(struct broker *b, int fd, const struct worker_params *params, uint32_t weight,
                uint32_t cap)
{
    struct listener *l = &listeners[nlistener];
    char name[16];

    if (nlistener == LOCAL_GUESTS)
        return -ENOSPC;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    snprintf(name, sizeof(name), "guest %u", nlistener);
    l->tenant = tenant_new(b, name, false);
    if (!l->tenant)
        return -ENOMEM;
    tenant_set_mem(l->tenant, params->mem);
    tenant_set_share(l->tenant, weight, cap);
    l->b = b;
    l->fd = fd;
    l->params = *params;
    l->number = nlistener++;
    ev_io_init(&l->io, on_connect, fd, EV_READ);
    l->io.data = l;
    ev_io_start(b->loop, &l->io);
    worker_keep_warm(b, params);
    return 0;
}

const struct worker_params *local_params(unsigned i)
{
    return i < nlistener ? &listeners[i].params : NULL;
}

const struct tenant *local_tenant(unsigned i)
{
    return i < nlistener ? listeners[i].tenant : NULL;
}

void local_stop(struct broker *b)
{
    struct host *h, *next;

    for (unsigned i = 0; i < nlistener; i++) {
        if (listeners[i].fd < 0)
            continue;
        ev_io_stop(b->loop, &listeners[i].io);
        close(listeners[i].fd);
        listeners[i].fd = -1;
    }
    for (h = b->hosts; h; h = next) {
        next = h->next;
        conn_drop((struct conn *)h);
    }
}
