/* SPDX-License-Identifier: MIT */
/*
 * keep.c - workers whose domain has been saved and is gone: each waits, off its GPU and with none of
 * the guest's memory, for the domain that is restored from that save, on this host only. They are
 * kept until that, until the domain is saved again, for state_days, or until an operator gives them up
 * (gvm saved).
 */
#include "dom0-backend/broker/broker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "dom0-backend/broker/limits.h"

#define DETACH_S 5.0

static void detach(struct worker *w)
{
    struct wk_msg m = {.type = WK_DETACH, .seq = broker_seq(w->b)};

    worker_send(w, &m, NULL, 0);
    worker_limit(w, DETACH_S); /* its domain is only gone when nobody maps its pages */
}

bool keep_wanted(const struct chan *ch)
{
    const struct worker *w = ch->w;

    return w && w->state == WORKER_SERVING && ch->park.state == PARK_STILL && !ch->park.helper &&
           w->rec.park.state == PARK_REC_OFF && w->rec.park.uuid[0];
}

void keep_worker(struct chan *ch)
{
    struct worker *w = ch->w;

    w->rec.park.state = PARK_REC_KEPT;
    worker_save(w);
    log_info("%s channel %u (guest pid %u): worker %d is kept for the restored domain %s",
             ch->host->name, ch->id, ch->pid, (int)w->pid, w->rec.park.uuid);
    trace_worker_gone(w);
    shares_drop_owner(&w->b->shares, w);
    w->state = WORKER_KEPT;
    w->ch = NULL;
    ch->w = NULL;
    detach(w);
}

void keep_adopt(struct worker *w)
{
    w->rec.park.state = PARK_REC_KEPT;
    w->rec.park.uuid[sizeof(w->rec.park.uuid) - 1] = '\0';
    w->state = WORKER_KEPT;
    worker_save(w);
    detach(w); /* if it has not been asked before */
}

void keep_done(struct worker *w, const struct wk_msg *m)
{
    worker_limit(w, 0);
    if (m->status) {
        log_warn("worker %d, of domain %s, cannot be kept: %s", (int)w->pid, w->rec.park.uuid,
                 m->text[0] ? m->text : strerror(-m->status));
        worker_kill(w);
        return;
    }
    tenant_leave(w); /* it counts for itself now */
    park_account(w->b);
}

void keep_dead(struct worker *w, const char *why)
{
    log_warn("the suspended process %u of domain %s is lost: worker %d %s", w->rec.park.pid,
             w->rec.park.uuid, (int)w->pid, why);
}

struct worker *keep_find(struct broker *b, const char *uuid, uint32_t devid, uint32_t channel)
{
    for (struct worker *w = b->workers; w; w = w->next) {
        const struct park_record *p = &w->rec.park;

        if (w->state == WORKER_KEPT && p->state == PARK_REC_KEPT && p->devid == devid &&
            p->channel == channel && strcmp(p->uuid, uuid) == 0)
            return w;
    }
    return NULL;
}

static void give_up(struct worker *w)
{
    log_info("the suspended process %u of domain %s is given up: worker %d", w->rec.park.pid,
             w->rec.park.uuid, (int)w->pid);
    w->rec.park.uuid[0] = '\0';
    w->state = WORKER_ENDING;
    worker_kill(w);
}

unsigned keep_drop(struct broker *b, const char *uuid, uint32_t devid)
{
    unsigned n = 0;

    for (struct worker *w = b->workers; w; w = w->next) {
        const struct park_record *p = &w->rec.park;

        if (w->state != WORKER_KEPT || (uuid && strcmp(p->uuid, uuid) != 0) ||
            (devid != UINT32_MAX && p->devid != devid))
            continue;
        give_up(w);
        n++;
    }
    return n;
}

void keep_list(FILE *f, const struct broker *b)
{
    for (const struct worker *w = b->workers; w; w = w->next) {
        const struct park_record *p = &w->rec.park;

        if (w->state == WORKER_KEPT)
            fprintf(f,
                    "suspended uuid=%s devid=%u channel=%u pid=%u uid=%u worker=%d octets=%" PRIu64
                    " since=%" PRIu64 "\n",
                    p->uuid, p->devid, p->channel, p->pid, p->uid, (int)w->pid, p->bytes, p->since);
    }
}

void keep_expire(struct broker *b)
{
    uint64_t age = b->cfg.state_days * 24ull * 3600, now = (uint64_t)time(NULL);

    for (struct worker *w = b->workers; w; w = w->next) {
        if (w->state != WORKER_KEPT || now < age || w->rec.park.since > now - age)
            continue;
        log_info("the suspended process %u of domain %s is older than state_days", w->rec.park.pid,
                 w->rec.park.uuid);
        give_up(w);
    }
}
