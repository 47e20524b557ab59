/* SPDX-License-Identifier: MIT */
/*
 * op.c - control requests, whatever the transport.
 *
 * Requests of one channel run one after the other, those of different channels side by side. A
 * destroy does not queue: it ends the worker, and that fails what the channel was waiting for.
 */
#include "dom0-backend/broker/chan_int.h"
#include "dom0-backend/broker/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "dom0-backend/common/fault.h"
#include "dom0-backend/common/fdmsg.h"

static void op_begin(struct op *op);
static void judge_create(struct host *h, int status);
static void create_in_time(struct op *op);

/* ---- the queue of a channel */

void op_answer(struct op *op, int status)
{
    struct vgpu_ctl_rsp rsp = {
        .id = op->req.id, .op = op->req.op, .status = status, .channel = op->req.channel};
    struct host *h = op->host;
    struct chan *ch = op->ch;

    ev_timer_stop(h->b->loop, &op->timer);
    if (status == 0 && ch && ch->w && op->req.op == VGPU_CTL_CREATE_CHANNEL) {
        rsp.pool_base = ch->w->ready.pool_base;
        rsp.pool_size = ch->w->ready.pool_size;
        rsp.dev_base = ch->w->ready.dev_base;
        rsp.dev_size = ch->w->ready.dev_size;
    }
    if (status == 0 && ch && op->req.op == VGPU_CTL_ADD_CHUNK)
        rsp.addr = ch->chunk_addr[op->req.chunk];
    if (status == 0 && op->req.op == VGPU_CTL_CHECKPOINT) {
        memcpy(&rsp.pool_base, op->token, 8);
        memcpy(&rsp.pool_size, op->token + 8, 8);
    }
    if (status)
        host_uncharge(h, op->pages);
    if (op->claimed && !op->internal)
        judge_create(h, status);
    if (op->internal)
        op->internal(op, status);
    else
        h->ops->respond(h, op, &rsp);
    fdmsg_close(op->fds, op->nfds);
    fdmsg_close(op->rsp_fds, op->rsp_nfds);
    free(op);
}

/* The request has to wait: while a worker stands still, or there is none, only what ends the channel
 * or brings the worker back is done. */
static bool parked(const struct chan *ch, const struct op *op)
{
    return ch->park.state != PARK_NONE && ch->park.state != PARK_LOADING && !op->internal &&
           !ch->closing && op->req.op != VGPU_CTL_DESTROY_CHANNEL;
}

void chan_finish(struct chan *ch, int status)
{
    struct op *op = ch->active, *next;

    if (op->preparing) { /* a helper thread still uses it: op_prepared() will come */
        op->cancelled = true;
        return;
    }
    ch->active = NULL;
    op_answer(op, status);
    if (ch->active) /* a request of our own has been followed by the next one */
        return;
    next = ch->queue;
    if (!next) {
        chan_check_free(ch);
        return;
    }
    if (parked(ch, next))
        return;
    ch->queue = next->next;
    ch->active = next;
    op_begin(next);
}

void chan_go_on(struct chan *ch)
{
    struct op *next = ch->queue;

    if (ch->active || !next || parked(ch, next))
        return;
    ch->queue = next->next;
    ch->active = next;
    op_begin(next);
}

static void op_timeout(struct ev_loop *loop, ev_timer *t, int revents)
{
    struct op *op = t->data;
    struct worker *w = op->ch ? op->ch->w : NULL;

    log_warn("%s channel %u: request %u took longer than %.0f s%s", op->host->name, op->req.channel,
             op->req.op, t->repeat, w ? ": its worker is killed" : "");
    if (w)
        worker_kill(w); /* its death answers the request */
}

void op_set_timer(struct op *op, double s)
{
    op->timer.repeat = s;
    ev_timer_again(op->host->b->loop, &op->timer);
}

/* A kept copy of a gntdev descriptor would keep the guest's pages. */
int op_send(struct op *op, uint32_t type)
{
    struct chan *ch = op->ch;
    int err;

    op->seq = broker_seq(op->host->b);
    op->msg.type = type;
    op->msg.seq = op->seq;
    op->msg.domid = op->host->domid;
    op->msg.devid = op->host->devid;
    op->msg.channel = ch->id;
    op->msg.ring_order = ch->order;
    op->msg.chunk = op->req.chunk;
    op->msg.npages = op->req.npages;
    op->msg.uid = ch->uid;
    op->msg.pid = ch->pid;
    err = worker_send(ch->w, &op->msg, op->fds, op->nfds);
    fdmsg_close(op->fds, op->nfds);
    op->nfds = 0;
    return err;
}

/* The worker that this guest had before it was suspended, if it is still there. */
static int claim_kept(struct chan *ch)
{
    struct worker *w = ch->host->b->workers;

    /* It may have died since the request came, or another domain may have been faster. By number:
     * what lies at its address by now may be another guest's. */
    while (w && w->id != ch->park.kept)
        w = w->next;
    if (!w || w->state != WORKER_KEPT || w->rec.park.channel != ch->id)
        return -ENOENT;
    w->rec.park.state = PARK_REC_RETURNING;
    w->ch = ch;
    ch->w = w;
    limits_share(ch->host->b, ch->host->guest);
    chan_worker_ready(ch);
    return 0;
}

void op_prepared(struct op *op, int err)
{
    struct chan *ch = op->ch;

    op->preparing = false;
    if (op->cancelled || ch->dead || ch->closing)
        err = err ? err : -EIO;
    if (err) {
        if (op->req.op == VGPU_CTL_CREATE_CHANNEL && !op->internal)
            ch->closing = true;
        chan_finish(ch, err);
        return;
    }
    fault_point(op->req.op == VGPU_CTL_CREATE_CHANNEL ? "broker.create" : "broker.add",
                ch->host->domid);
    if (op->req.op == VGPU_CTL_CREATE_CHANNEL) {
        struct worker_params p = ch->host->params;

        p.window_try = op->req.window_try;
        op_set_timer(op, WORKER_READY_S + 1);
        op->claimed = !ch->park.kept;
        err = ch->park.kept ? claim_kept(ch) : worker_claim(ch->host->b, &p, ch);
        if (err) {
            ch->closing |= !op->internal;
            chan_finish(ch, err);
        }
        return;
    }
    op_set_timer(op, WORKER_DONE_S);
    op_send(op, WK_CHUNK_ADD); /* a failure kills the worker, which answers the request */
}

/* ---- requests */

static void create_now(struct ev_loop *loop, ev_timer *t, int revents)
{
    struct op *op = t->data;

    op->waiting = false;
    ev_timer_stop(loop, t);
    ev_set_cb(t, op_timeout);
    create_in_time(op);
}

/* Not sooner than the guest may have its next worker. */
static void create_in_time(struct op *op)
{
    struct chan *ch = op->ch;
    struct ev_loop *loop = ch->host->b->loop;
    double wait = 0;

    if (ch->closing) {
        chan_finish(ch, -EIO);
        return;
    }
    if (!op->internal)
        wait = backoff_wait(&ch->host->tenant->backoff, ev_now(loop));
    if (wait > 0) {
        op->waiting = true;
        ev_set_cb(&op->timer, create_now);
        op->timer.repeat = wait;
        ev_timer_again(loop, &op->timer);
        return;
    }
    op->preparing = true;
    ch->host->ops->prepare(op);
}

void op_stop_waiting(struct chan *ch)
{
    if (ch->active && ch->active->waiting)
        create_now(ch->host->b->loop, &ch->active->timer, 0);
}

/* What has become of a worker that the guest asked for. */
static void judge_create(struct host *h, int status)
{
    if (status == 0) {
        if (backoff_good(&h->tenant->backoff))
            log_info("%s: a channel has been made: the next ones do not wait", h->name);
    } else if (backoff_failed(&h->tenant->backoff)) {
        log_warn("%s: %u channels in a row could not be made: each further one waits, up to %.1f s",
                 h->name, BACKOFF_FREE, BACKOFF_MOST);
    }
}

static void begin_create(struct op *op)
{
    struct chan *ch = op->ch;
    const struct vgpu_ctl_req *r = &op->req;

    if (ch->created) {
        /* Seen a second time (restart), or a number that is in use. */
        bool same = ch->order == r->ring_order && ch->port == r->port && ch->pid == r->pid &&
                    ch->uid == r->uid && !ch->dead;

        chan_finish(ch, same ? 0 : -EEXIST);
        return;
    }
    if (r->token0 | r->token1 | r->token2 | r->token3) {
        int err = ch->host->ops->restore ? ch->host->ops->restore(ch->host, ch, r) : -EOPNOTSUPP;

        if (err) {
            ch->closing = true;
            chan_finish(ch, err);
            return;
        }
        op->msg.flags = ch->park.kept ? 0 : WK_HELD;
    }
    create_in_time(op);
}

/* The worker has its channel and its chunks again, and a state to read. */
static void resumed(void *arg, struct chan *ch, int err, const char *why)
{
    struct op *op = arg;

    if (err)
        log_warn("%s channel %u (guest pid %u): not resumed: %s", ch->host->name, ch->id, ch->pid,
                 why);
    else if (!ch->park.kept)
        unlink(ch->park.file); /* it is good once */
    ch->park.kept = 0;
    if (ch->active == op)
        chan_finish(ch, err);
}

/* It is on its GPU again. */
static void returned(void *arg, struct chan *ch, int err, const char *why)
{
    struct op *op = arg;

    if (!ch)
        return; /* and the request has been answered */
    if (!err)
        err = park_go(ch, resumed, op);
    if (err)
        resumed(op, ch, err, why);
}

static void begin_resume(struct op *op)
{
    struct chan *ch = op->ch;
    int fd = ch->park.fd, err;

    if (ch->park.state == PARK_LOADING && ch->w && ch->w->rec.park.state == PARK_REC_RETURNING) {
        ch->park.kept = ch->w->id;
        err = park_on(ch, returned, op);
        if (err)
            chan_finish(ch, err);
        return;
    }

    if (ch->park.state != PARK_LOADING || fd < 0) {
        chan_finish(ch, ch->park.state == PARK_NONE ? 0 : -EINVAL); /* seen a second time */
        return;
    }
    /* op_timeout() is not set: the state may be large, and a destroy ends the wait. */
    err = park_load(ch, fd, resumed, op);
    if (err)
        chan_finish(ch, err);
}

static void begin_add(struct op *op)
{
    struct chan *ch = op->ch;
    int err;

    if (ch->chunk_pages[op->req.chunk]) {
        chan_finish(ch, ch->chunk_pages[op->req.chunk] == op->req.npages ? 0 : -EEXIST);
        return;
    }
    err = host_charge(ch->host, op->req.npages);
    if (err) {
        chan_finish(ch, err);
        return;
    }
    op->pages = op->req.npages;
    op->preparing = true;
    ch->host->ops->prepare(op);
}

static void op_begin(struct op *op)
{
    struct chan *ch = op->ch;

    /* A destroy waits here only for the worker's death; what was queued before it has failed. */
    if (op->req.op == VGPU_CTL_DESTROY_CHANNEL) {
        if (!ch->w)
            chan_finish(ch, 0);
        return;
    }
    if (ch->closing || ch->dead) {
        chan_finish(ch, op->req.op == VGPU_CTL_DROP_CHUNK ? 0 : -EIO);
        return;
    }
    switch (op->req.op) {
    case VGPU_CTL_CREATE_CHANNEL:
        begin_create(op);
        break;
    case VGPU_CTL_ADD_CHUNK:
        begin_add(op);
        break;
    case VGPU_CTL_DROP_CHUNK:
        if (!ch->chunk_pages[op->req.chunk]) {
            chan_finish(ch, 0);
            break;
        }
        /* No time limit: the device may be in the middle of using it. A destroy ends the wait. */
        op_send(op, WK_CHUNK_DROP);
        break;
    case VGPU_CTL_RESUME_CHANNEL:
        begin_resume(op);
        break;
    default:
        chan_finish(ch, -EOPNOTSUPP);
        break;
    }
}

static void op_enqueue(struct op *op)
{
    struct chan *ch = op->ch;
    struct op **p;

    park_wake(ch); /* whoever asks for something is not suspended */
    if (!ch->active && !parked(ch, op)) {
        ch->active = op;
        op_begin(op);
        return;
    }
    for (p = &ch->queue; *p; p = &(*p)->next)
        ;
    *p = op;
}

/* Of nobody yet: no channel, no request, no descriptors. */
static struct op *op_alloc(struct host *h)
{
    struct op *op = calloc(1, sizeof(*op));

    if (!op)
        return NULL;
    op->host = h;
    memset(op->fds, -1, sizeof(op->fds));
    memset(op->rsp_fds, -1, sizeof(op->rsp_fds));
    ev_init(&op->timer, op_timeout);
    op->timer.data = op;
    return op;
}

struct op *op_new(struct chan *ch, uint16_t code, void (*internal)(struct op *op, int status))
{
    struct op *op = op_alloc(ch->host);

    if (!op)
        return NULL;
    op->ch = ch;
    op->internal = internal;
    op->req.op = code;
    op->req.channel = ch->id;
    return op;
}

void op_start(struct op *op)
{
    op_enqueue(op);
}

/* The channel of a CREATE, made if it is new. 0 or -errno. */
static int chan_for_create(struct host *h, const struct vgpu_ctl_req *r, struct chan **out)
{
    struct chan *ch = chan_find(h, r->channel);
    int err;

    *out = ch;
    if (ch)
        return ch->closing ? -EBUSY : 0;
    if (r->channel > h->max_channels || h->nchans >= h->max_channels) {
        host_warn(h, "%s: channel %u refused: allowed are %u at a time, numbered 1..%u", h->name,
                  r->channel, h->max_channels, h->max_channels);
        return -ENOSPC;
    }
    if (h->max_procs && h->nchans >= h->max_procs) {
        host_warn(h, "%s: channel %u refused: allowed are %u processes at a time", h->name,
                  r->channel, h->max_procs);
        return -ENOSPC;
    }
    if (r->npages != VGPU_CH_PAGES(r->ring_order)) {
        host_warn(h, "%s: channel %u refused: %u pages, a ring of order %u needs %u", h->name,
                  r->channel, r->npages, r->ring_order, VGPU_CH_PAGES(r->ring_order));
        return -EINVAL;
    }
    err = host_charge(h, r->npages);
    if (err)
        return err;
    ch = chan_new(h, r->channel);
    if (!ch) {
        host_uncharge(h, r->npages);
        return -ENOMEM;
    }
    ch->order = r->ring_order;
    ch->npages = r->npages;
    ch->port = r->port;
    ch->uid = r->uid;
    ch->pid = r->pid;
    ch->window_try = r->window_try;
    *out = ch;
    return 0;
}

void ctl_request(struct host *h, const struct vgpu_ctl_req *req, unsigned slot)
{
    struct op *op = op_alloc(h);
    const char *why = "";
    struct chan *ch;
    bool waits;
    int err = 0;

    if (!op) { /* the answer needs an op, so this request is answered by one on the stack */
        struct op tmp = {.host = h, .req = *req, .slot = slot};
        struct vgpu_ctl_rsp rsp = {
            .id = req->id, .op = req->op, .status = -ENOMEM, .channel = req->channel};

        h->ops->respond(h, &tmp, &rsp);
        return;
    }
    op->req = *req;
    op->slot = slot;

    if (vgpu_ctl_decode(&op->req, &why)) {
        host_warn(h, "%s: control request %u refused: %s", h->name, req->op, why);
        err = -EINVAL;
    } else if (h->closing) {
        err = -ENODEV;
    } else if (req->op == VGPU_CTL_CREATE_CHANNEL) {
        err = chan_for_create(h, &op->req, &op->ch);
    } else if (req->op == VGPU_CTL_CHECKPOINT) {
        if (h->ops->checkpoint) {
            h->ops->checkpoint(h, op);
            return;
        }
        err = -EOPNOTSUPP; /* the frontend takes this as: contexts do not survive a suspend */
    } else {
        op->ch = chan_find(h, req->channel);
        if (!op->ch && (req->op == VGPU_CTL_ADD_CHUNK || req->op == VGPU_CTL_RESUME_CHANNEL))
            err = -ENOENT;
    }
    if (err || !op->ch) {
        op->ch = NULL;
        op_answer(op, err);
        return;
    }
    if (req->op == VGPU_CTL_DESTROY_CHANNEL) {
        op->ch->closing = true;
        if (op->ch->w)
            worker_end(op->ch->w);
        fault_point("broker.destroy", h->domid);
    }
    ch = op->ch;
    waits = req->op == VGPU_CTL_DESTROY_CHANNEL && ch->active && ch->active->waiting;
    op_enqueue(op);
    if (waits) /* then the destroy is in its queue, and it is still there */
        op_stop_waiting(ch);
}
