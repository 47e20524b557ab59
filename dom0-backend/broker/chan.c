/* SPDX-License-Identifier: MIT */
/*
 * chan.c - the channels of a host and what their workers report, whatever the transport; what a
 * guest asks for is in op.c.
 */
#include "dom0-backend/broker/chan_int.h"
#include "dom0-backend/broker/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/common/fault.h"
#include "dom0-backend/common/fdmsg.h"

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

struct chan *chan_new(struct host *h, uint32_t id)
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
        op_answer(op, -EIO);
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

void chan_check_free(struct chan *ch)
{
    struct host *h = ch->host;

    if (!ch->closing || ch->w || ch->active)
        return;
    chan_free(ch);
    if (h->closing && !h->chans)
        h->ops->empty(h);
}

/* ---- upcalls */

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

/* ---- the host's end, and a new broker's beginning */

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
            op_stop_waiting(ch);
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
