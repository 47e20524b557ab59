/* SPDX-License-Identifier: MIT */
/*
 * xenctl.c - a device's control ring: mapped, drained, answered; and the descriptors that its
 * channels need.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dom0-backend/broker/xendev.h"
#include "dom0-backend/common/fault.h"
#include "dom0-backend/common/fdmsg.h"

#define BUDGET     32  /* requests per wake-up */
#define PERIOD_S   0.2 /* a guest that signals more than MAX_EVENTS per period is left masked */
#define MAX_EVENTS 200 /* until the period ends */

/* ---- requests */

void xenctl_drain(struct xendev *d)
{
    struct vgpu_ctl_req req;
    const char *why = "";
    unsigned slot;
    int r = 1;

    if (d->link != LINK_UP)
        return;
    for (int budget = BUDGET; budget > 0; budget--) {
        r = ctl_ring_take(&d->ring, &req, &slot, &why);
        if (r <= 0)
            break;
        fault_point("broker.request", d->h.domid);
        ctl_request(&d->h, &req, slot);
        if (d->link != LINK_UP)
            return;
    }
    if (r < 0) {
        xendev_fail(d, "control ring: %s", why);
        return; /* the port stays masked */
    }
    if (r > 0 || d->events > MAX_EVENTS) {
        ev_timer_set(&d->evt_pause, r > 0 ? 0.001 : PERIOD_S, 0.);
        ev_timer_start(d->h.b->loop, &d->evt_pause);
        return;
    }
    evtchn_unmask(d->evt_fd, d->local_port);
}

static void on_event(struct ev_loop *loop, ev_io *io, int revents)
{
    struct xendev *d = io->data;
    int r = evtchn_take(d->evt_fd, d->local_port);

    if (r < 0) {
        xendev_fail(d, "event channel: error %d", -r);
        return;
    }
    if (r == 0)
        return;
    if (ev_now(loop) - d->events_since > PERIOD_S) {
        d->events_since = ev_now(loop);
        d->events = 0;
    }
    d->events++;
    xenctl_drain(d);
}

static void on_pause_end(struct ev_loop *loop, ev_timer *t, int revents)
{
    struct xendev *d = t->data;

    if (d->events > MAX_EVENTS)
        d->events = 0;
    xenctl_drain(d);
}

void xenctl_respond(struct host *h, struct op *op, const struct vgpu_ctl_rsp *rsp)
{
    struct xendev *d = xendev_of(h);

    if (d->link != LINK_UP)
        return; /* nobody to tell: the ring is unmapped */
    fault_point("broker.answer", d->h.domid);
    if (ctl_ring_put(&d->ring, op->slot, rsp))
        evtchn_signal(d->evt_fd, d->local_port);
}

/* ---- memory and doorbells of channels */

static void on_prepared(struct grant_job *j)
{
    struct op *op = j->arg;
    int err = j->err;

    if (err) {
        host_warn(op->host, "%s channel %u: %s refused: %s", op->host->name, op->req.channel,
                  op->req.op == VGPU_CTL_CREATE_CHANNEL ? "create" : "chunk",
                  j->why[0] ? j->why : strerror(-err));
    } else {
        op->msg.kind = WK_XEN;
        op->msg.gnt_index = j->gnt_index;
        op->msg.port = j->local_port;
        op->fds[op->nfds++] = j->gnt_fd;
        if (j->evt_fd >= 0)
            op->fds[op->nfds++] = j->evt_fd;
    }
    free(j);
    op_prepared(op, err);
}

void xenctl_prepare(struct op *op)
{
    struct grant_job *j = calloc(1, sizeof(*j));
    int err = -ENOMEM;

    if (j) {
        j->domid = op->host->domid;
        j->ref = op->req.gref_dir;
        j->npages = op->req.npages;
        j->channel = op->req.op == VGPU_CTL_CREATE_CHANNEL;
        j->port = op->req.port;
        j->notify_at = VGPU_CH_BACK_PAGE * VGPU_PAGE_SIZE; /* back.alive */
        j->done = on_prepared;
        j->arg = op;
        err = grant_job_start(j);
    }
    if (err) {
        free(j);
        op_prepared(op, err);
    }
}

/* ---- up and down */

static void journal_path(const struct xendev *d, char *buf, size_t n)
{
    snprintf(buf, n, "%s/ctl-%u-%u", d->h.b->cfg.run_dir, d->h.domid, d->h.devid);
}

static int open_journal(struct xendev *d)
{
    char path[108];
    void *p;
    int fd;

    if (d->journal)
        return 0;
    journal_path(d, path, sizeof(path));
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct ctl_journal)) < 0)
        goto fail;
    p = mmap(NULL, sizeof(struct ctl_journal), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        goto fail;
    close(fd);
    d->journal = p;
    return 0;
fail:
    log_error("%s: %m", path);
    if (fd >= 0)
        close(fd);
    return -errno;
}

static void on_mapped(struct grant_job *j)
{
    struct xendev *d = j->arg;
    const char *why = j->why;
    int err = j->err, fd;

    if (!err) {
        d->page = j->page;
        if (d->link != LINK_MAPPING || d->gone || d->dead)
            err = -ECANCELED;
    }
    if (!err) {
        err = open_journal(d);
        why = "no journal";
    }
    if (!err) {
        fault_point("broker.ring-mapped", d->h.domid);
        why = "the event channel cannot be bound";
        fd = evtchn_open_bound(d->h.domid, d->port, &d->local_port);
        if (fd < 0)
            err = fd;
        else
            d->evt_fd = fd;
    }
    if (!err)
        err = ctl_ring_attach(&d->ring, d->page, d->journal, d->ring_ref, d->port, &why);
    if (err) {
        xenctl_disconnect(d);
        xendev_link_up(d, err, why);
        free(j);
        return;
    }
    free(j);
    ev_io_init(&d->evt, on_event, d->evt_fd, EV_READ);
    d->evt.data = d;
    ev_io_start(d->h.b->loop, &d->evt);
    ev_init(&d->evt_pause, on_pause_end);
    d->evt_pause.data = d;
    d->events = 0;
    xendev_link_up(d, 0, "");
    xenctl_drain(d); /* what came before we were there; unmasks */
    if (d->link == LINK_UP)
        evtchn_signal(d->evt_fd, d->local_port); /* a frontend may wait for a lost answer */
}

int xenctl_connect(struct xendev *d)
{
    struct grant_job *j = calloc(1, sizeof(*j));
    int err = -ENOMEM;

    if (!j)
        return err;
    j->domid = d->h.domid;
    j->ring = true;
    j->ref = d->ring_ref;
    j->done = on_mapped;
    j->arg = d;
    err = grant_job_start(j);
    if (err)
        free(j);
    return err;
}

void xenctl_forget(struct xendev *d)
{
    char path[108];

    journal_path(d, path, sizeof(path));
    unlink(path);
}

void xenctl_disconnect(struct xendev *d)
{

    ev_io_stop(d->h.b->loop, &d->evt);
    ev_timer_stop(d->h.b->loop, &d->evt_pause);
    if (d->page)
        munmap(d->page, VGPU_PAGE_SIZE);
    d->page = NULL;
    if (d->evt_fd >= 0)
        close(d->evt_fd);
    d->evt_fd = -1;
    if (d->journal) {
        munmap(d->journal, sizeof(*d->journal));
        d->journal = NULL;
        xenctl_forget(d);
    }
}
