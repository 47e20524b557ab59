/* SPDX-License-Identifier: MIT */
/*
 * chan.c - control requests and the channels they make, whatever the transport.
 *
 * Requests of one channel run one after the other, those of different channels side by side. A
 * destroy does not queue: it ends the worker, and that fails what the channel was waiting for.
 */
#include "dom0-backend/broker/broker.h"
#include "dom0-backend/broker/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "dom0-backend/common/fault.h"
#include "dom0-backend/common/fdmsg.h"

static void op_begin(struct op *op);
static void judge_create(struct host *h, int status);
static void create_in_time(struct op *op);
static void op_finish(struct op *op, int status);
static void chan_check_free(struct chan *ch);

/* ---- accounts */

void host_warn(struct host *h, const char *fmt, ...)
{
    uint32_t dropped;
    va_list ap;

    if (!h->lines.burst)
        h->lines = (struct log_rate)LOG_RATE(30, 10000);
    if (!log_rate_ok(&h->lines, &dropped))
        return;
    if (dropped)
        log_warn("%s: %u lines about it not shown", h->name, dropped);
    va_start(ap, fmt);
    log_vline(LOG_WARN_, fmt, ap);
    va_end(ap);
}

int host_charge(struct host *h, uint64_t pages)
{
    if (pages > h->max_pages - h->pages) {
        host_warn(h,
                  "%s: %" PRIu64 " more pages refused: %" PRIu64 " of max-pages %" PRIu64 " in use",
                  h->name, pages, h->pages, h->max_pages);
        return -ENOSPC;
    }
    if (pages > h->b->cfg.host_pages - h->b->pages) {
        host_warn(h,
                  "%s: %" PRIu64 " more pages refused: all guests together have %" PRIu64
                  " of %" PRIu64 " (max_host_pages)",
                  h->name, pages, h->b->pages, h->b->cfg.host_pages);
        return -ENOSPC;
    }
    h->pages += pages;
    h->b->pages += pages;
    return 0;
}

void host_uncharge(struct host *h, uint64_t pages)
{
    h->pages -= pages;
    h->b->pages -= pages;
}

/* ---- channels */

struct chan *chan_find(const struct host *h, uint32_t id)
{
    for (struct chan *ch = h->chans; ch; ch = ch->next) {
        if (ch->id == id)
            return ch;
    }
    return NULL;
}

static struct chan *chan_new(struct host *h, uint32_t id)
{
    struct chan *ch = calloc(1, sizeof(*ch));

    if (!ch)
        return NULL;
    ch->host = h;
    ch->id = id;
    ch->memfd = ch->efd_worker = ch->efd_guest = ch->park.fd = -1;
    memset(ch->chunk_fd, -1, sizeof(ch->chunk_fd));
    ch->next = h->chans;
    h->chans = ch;
    h->nchans++;
    return ch;
}

static void chan_free(struct chan *ch)
{
    struct host *h = ch->host;
    struct chan **p;
    struct op *op;
    uint64_t pages = ch->npages;

    for (p = &h->chans; *p != ch; p = &(*p)->next)
        ;
    *p = ch->next;
    h->nchans--;
    park_gone(ch);
    park_finish(ch, -EIO, "the process has ended");
    while ((op = ch->queue)) { /* of a guest that was suspended */
        ch->queue = op->next;
        op_finish(op, -EIO);
    }
    for (unsigned i = 0; i < VGPU_MAX_CHUNKS; i++)
        pages += ch->chunk_pages[i];
    host_uncharge(h, pages);
    fdmsg_close(&ch->memfd, 1);
    fdmsg_close(&ch->efd_worker, 1);
    fdmsg_close(&ch->efd_guest, 1);
    fdmsg_close(&ch->park.fd, 1);
    fdmsg_close(ch->chunk_fd, VGPU_MAX_CHUNKS);
    free(ch);
}

/* ---- operations */

static void op_finish(struct op *op, int status)
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

/* Answers the channel's current request and goes on with the next one. */
static void chan_finish(struct chan *ch, int status)
{
    struct op *op = ch->active, *next;

    if (op->preparing) { /* a helper thread still uses it: op_prepared() will come */
        op->cancelled = true;
        return;
    }
    ch->active = NULL;
    op_finish(op, status);
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

static void chan_check_free(struct chan *ch)
{
    struct host *h = ch->host;

    if (!ch->closing || ch->w || ch->active)
        return;
    chan_free(ch);
    if (h->closing && !h->chans)
        h->ops->empty(h);
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

static void op_set_timer(struct op *op, double s)
{
    op->timer.repeat = s;
    ev_timer_again(op->host->b->loop, &op->timer);
}

/* The message for the worker; descriptors are closed here whatever happens: a kept copy of a
 * gntdev descriptor would keep the guest's pages. */
static int op_send(struct op *op, uint32_t type)
{
    struct broker *b = op->host->b;
    struct chan *ch = op->ch;
    int err;

    do {
        op->seq = b->next_seq++;
    } while (op->seq == 0);
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

    /* It may have died since the request came, or another domain may have been faster. */
    while (w && w != ch->park.kept)
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

/* Before the guest is told, so that a restarted broker knows at least as much as the guest. */
static void chan_save(struct chan *ch)
{
    struct worker_record *r = &ch->w->rec;

    r->port = ch->port;
    memcpy(r->chunk_pages, ch->chunk_pages, sizeof(r->chunk_pages));
    memcpy(r->chunk_addr, ch->chunk_addr, sizeof(r->chunk_addr));
    worker_save(ch->w);
}

void chan_worker_ready(struct chan *ch)
{
    struct op *op = ch->active;

    if (!op || op->req.op != VGPU_CTL_CREATE_CHANNEL || ch->closing) {
        worker_end(ch->w);
        return;
    }
    ch->w->state = WORKER_SERVING;
    if (tenant_join(ch->host->tenant, ch->w)) {
        ch->closing |= !op->internal;
        worker_end(ch->w); /* its death answers the request */
        return;
    }
    chan_save(ch);
    op_set_timer(op, WORKER_DONE_S);
    if (op->msg.kind == WK_LOCAL && !op->internal)
        local_hand_over(op);
    trace_assigning(ch); /* before the first call */
    fault_point("broker.assign", ch->host->domid);
    op_send(op, ch->park.kept ? WK_ATTACH : WK_ASSIGN);
    fault_point("broker.assigned", ch->host->domid);
}

void chan_worker_done(struct chan *ch, const struct wk_msg *m)
{
    struct op *op = ch->active;
    uint32_t chunk;

    if (park_worker_done(ch, m))
        return;
    if (!op || op->seq == 0 || op->seq != m->seq)
        return; /* of a request that an earlier broker made */
    if (m->status) {
        host_warn(ch->host, "%s channel %u (guest pid %u): request %u failed: %s", ch->host->name,
                  ch->id, ch->pid, op->req.op, m->text[0] ? m->text : strerror(-m->status));
        if (op->req.op == VGPU_CTL_CREATE_CHANNEL) {
            ch->closing |= !op->internal;
            worker_end(ch->w);
        }
        /* A number of the worker's choice goes to its guest only if it can be an error. */
        chan_finish(ch, m->status < 0 && m->status > -4096 ? m->status : -EIO);
        return;
    }
    chunk = op->req.chunk;
    switch (op->req.op) {
    case VGPU_CTL_CREATE_CHANNEL:
        fault_point("broker.created", ch->host->domid);
        ch->created = true;
        chan_save(ch);
        log_debug("%s channel %u: worker %d serves pid %u of uid %u", ch->host->name, ch->id,
                  (int)ch->w->pid, ch->pid, ch->uid);
        if (!op->internal)
            worker_refill(ch->host->b, &ch->host->params);
        break;
    case VGPU_CTL_ADD_CHUNK:
        fault_point("broker.added", ch->host->domid);
        ch->chunk_pages[chunk] = op->req.npages;
        ch->chunk_addr[chunk] = m->addr;
        chan_save(ch);
        break;
    case VGPU_CTL_DROP_CHUNK:
        fault_point("broker.dropped", ch->host->domid);
        host_uncharge(ch->host, ch->chunk_pages[chunk]);
        ch->chunk_pages[chunk] = 0;
        ch->chunk_addr[chunk] = 0;
        fdmsg_close(&ch->chunk_fd[chunk], 1);
        chan_save(ch);
        break;
    }
    chan_finish(ch, 0);
}

/* The last look at what the worker has counted. */
static void take_stats(const struct chan *ch)
{
    struct wk_stats s;

    if (!worker_stats(ch->w, &s))
        return;
    query_worker_ended(ch->host, &s);
    if (!ch->host->b->show_stats)
        return;
    log_info("pid %u: calls=%" PRIu64 " launches=%" PRIu64 " doorbells_in=%" PRIu64
             " doorbells_out=%" PRIu64 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64
             " busy_ms=%" PRIu64,
             ch->pid, s.calls, s.launches, s.doorbells_in, s.doorbells_out, s.bytes_in, s.bytes_out,
             s.busy_ns / 1000000);
}

void chan_worker_dead(struct chan *ch, const char *why)
{
    struct host *host = ch->host;
    bool wanted = !ch->closing && !host->closing;
    bool lost = wanted && ch->created;

    if (park_worker_dead(ch, why)) {
        ch->w = NULL;
        if (ch->active)
            chan_finish(ch, -EIO);
        else
            chan_check_free(ch);
        return;
    }
    take_stats(ch);
    if (lost)
        log_warn(
            "%s channel %u (guest pid %u, uid %u): worker %d %s; the process's context is lost",
            ch->host->name, ch->id, ch->pid, ch->uid, (int)ch->w->pid, why);
    else if (wanted)
        host_warn(host, "%s channel %u: worker %d %s before it served", ch->host->name, ch->id,
                  (int)ch->w->pid, why);
    ch->w = NULL;
    ch->dead = true;
    if (!ch->created)
        ch->closing = true; /* the failed create is the end of it */
    if (ch->active) {
        uint16_t op = ch->active->req.op;
        bool gone_is_good = op == VGPU_CTL_DESTROY_CHANNEL || op == VGPU_CTL_DROP_CHUNK;

        chan_finish(ch, gone_is_good ? 0 : -EIO);
    } else {
        chan_check_free(ch);
    }
    if (lost) /* then it was not closing, and is still there */
        host->ops->chan_lost(host, ch);
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

/* A channel that is to end does not wait for what it asked for. */
static void stop_waiting(struct chan *ch)
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
    ch->park.kept = NULL;
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
        ch->park.kept = ch->w;
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

struct op *op_new(struct chan *ch, uint16_t code, void (*internal)(struct op *op, int status))
{
    struct op *op = calloc(1, sizeof(*op));

    if (!op)
        return NULL;
    op->host = ch->host;
    op->ch = ch;
    op->internal = internal;
    op->req.op = code;
    op->req.channel = ch->id;
    memset(op->fds, -1, sizeof(op->fds));
    memset(op->rsp_fds, -1, sizeof(op->rsp_fds));
    ev_init(&op->timer, op_timeout);
    op->timer.data = op;
    return op;
}

void op_answer(struct op *op, int status)
{
    op_finish(op, status);
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
    struct op *op = calloc(1, sizeof(*op));
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
    op->host = h;
    op->req = *req;
    op->slot = slot;
    memset(op->fds, -1, sizeof(op->fds));
    memset(op->rsp_fds, -1, sizeof(op->rsp_fds));
    ev_init(&op->timer, op_timeout);
    op->timer.data = op;

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
        op_finish(op, err);
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
        stop_waiting(ch);
}

void host_close(struct host *h)
{
    struct chan *ch, *next;

    h->closing = true;
    if (!h->chans) {
        h->ops->empty(h);
        return;
    }
    for (ch = h->chans; ch; ch = next) {
        next = ch->next; /* freeing the last one may free `h` */
        ch->closing = true;
        if (keep_wanted(ch))
            keep_worker(ch);
        if (ch->w)
            worker_end(ch->w);
        else if (ch->active && ch->active->waiting)
            stop_waiting(ch);
        else
            chan_check_free(ch);
    }
}

/* Its guest was suspended when the last broker ended, or was being restored. */
static void adopt_parked(struct chan *ch)
{
    struct worker *w = ch->w;

    if (!park_is_off(w))
        return;
    ch->park.state = w->rec.park.state == PARK_REC_RETURNING ? PARK_LOADING : PARK_STILL;
    if (w->rec.park.state == PARK_REC_MOVING)
        park_wake(ch); /* whoever asked for that will ask again */
}

struct chan *chan_adopt(struct host *h, struct worker *w)
{
    const struct wk_msg *m = &w->ready;
    struct chan *ch;

    if (m->channel == 0 || m->channel > VGPU_MAX_CHANNELS || chan_find(h, m->channel) ||
        m->ring_order < VGPU_RING_ORDER_MIN || m->ring_order > VGPU_RING_ORDER_MAX ||
        host_charge(h, VGPU_CH_PAGES(m->ring_order)))
        return NULL;
    ch = chan_new(h, m->channel);
    if (!ch) {
        host_uncharge(h, VGPU_CH_PAGES(m->ring_order));
        return NULL;
    }
    ch->order = m->ring_order;
    ch->npages = VGPU_CH_PAGES(m->ring_order);
    ch->uid = m->uid;
    ch->pid = m->pid;
    ch->port = w->rec.port;
    ch->created = true;
    for (unsigned i = 0; i < VGPU_MAX_CHUNKS; i++) {
        uint32_t n = w->rec.chunk_pages[i];

        if (n && n <= VGPU_MAX_CHUNK_PAGES && host_charge(h, n) == 0) {
            ch->chunk_pages[i] = n;
            ch->chunk_addr[i] = w->rec.chunk_addr[i];
        }
    }
    ch->w = w;
    w->ch = ch;
    limits_share(h->b, h->guest);
    tenant_rejoin(h->tenant, w);
    adopt_parked(ch);
    return ch;
}
