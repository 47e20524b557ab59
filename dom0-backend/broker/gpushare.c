/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/gpushare.h"

#include <stddef.h>

#define MS           1000000ull
#define LEAST        (2 * MS)
#define GRACE        (4 * MS)
#define LINGER       (MS / 10)
#define EARLY        (MS / 20)
#define AHEAD        (3 * MS / 20)
#define STEADY       (100 * MS)
#define LONGER       3          /* slices at most, */
#define ROUND        8          /* and of all leases together, if each has one */
#define OVERLAP_LOOK (100 * MS) /* charges are by samples then */
#define CAP_LOOK     (2 * MS)
#define UNIT         65536u    /* vtime of a nanosecond at weight 1 */
#define CAP_BURST    (50 * MS) /* a capped tenant may save up its part of so much time */

void gs_init(struct gs *g, uint64_t slice)
{
    *g = (struct gs){.slice = slice,
                     .least = LEAST,
                     .grace = GRACE,
                     .early = EARLY,
                     .ahead = AHEAD,
                     .linger = LINGER};
    if (g->least > slice)
        g->least = slice;
}

void gs_add(struct gs *g, struct gs_tenant *t, uint32_t weight, uint32_t cap)
{
    *t = (struct gs_tenant){.weight = weight, .cap = cap, .vtime = g->vclock};
    t->next = g->list;
    g->list = t;
}

void gs_remove(struct gs *g, struct gs_tenant *t)
{
    struct gs_tenant **p;

    for (p = &g->list; *p && *p != t; p = &(*p)->next)
        ;
    if (*p)
        *p = t->next;
    if (g->holder == t)
        g->holder = NULL;
}

void gs_resume(struct gs *g, struct gs_tenant *t, uint64_t now)
{
    g->now = now;
    for (struct gs_tenant *i = g->list; i; i = i->next) {
        i->state = GS_OUT;
        i->overrun = i->drain = 0;
        if (i->vtime < g->vclock)
            i->vtime = g->vclock;
    }
    g->holder = t;
    if (t) {
        t->state = GS_HOLDS;
        t->start = t->from = now;
        t->until = GS_NEVER;
        t->idle = 0;
    }
}

static uint64_t scaled(uint64_t ns, const struct gs_tenant *t)
{
    return ns * UNIT / t->weight;
}

static bool uses(const struct gs *g, const struct gs_tenant *t)
{
    return t == g->holder || t->busy;
}

/* Whoever uses the GPU at the same time gets equal parts of it from the driver. */
static void charge(struct gs *g, uint64_t now)
{
    uint64_t dt = g->now && now > g->now ? now - g->now : 0, part;
    unsigned users = 0;

    g->now = now;
    for (struct gs_tenant *t = g->list; t; t = t->next)
        users += uses(g, t);
    part = users ? dt / users : 0;
    for (struct gs_tenant *t = g->list; t; t = t->next) {
        if (uses(g, t)) {
            t->used += part;
            t->vtime += scaled(part, t);
            t->credit -= (int64_t)part;
        }
        if (t->cap) {
            int64_t most = (int64_t)(CAP_BURST * t->cap / 100);

            t->credit += (int64_t)(dt * t->cap / 100);
            if (t->credit > most)
                t->credit = most;
        }
    }
}

/* Who comes back from having had nothing to do has not saved up more than one slice. */
static void wake(struct gs *g)
{
    uint64_t least = GS_NEVER;

    for (struct gs_tenant *t = g->list; t; t = t->next)
        if (t->was_active && (t->wants || uses(g, t)) && t->vtime < least)
            least = t->vtime;
    if (least != GS_NEVER && least > g->vclock)
        g->vclock = least;
    for (struct gs_tenant *t = g->list; t; t = t->next) {
        /* Where looks are seldom, what happened between them counts. */
        bool active = t->wants || uses(g, t) || (g->overlap && t->moved);
        uint64_t behind = scaled(g->slice, t);

        if (active && !t->was_active && g->now - t->paused > g->linger)
            t->active_from = g->now;
        if (!active && t->was_active)
            t->paused = g->now;
        if (active && !t->was_active && g->vclock > behind && t->vtime < g->vclock - behind)
            t->vtime = g->vclock - behind;
        t->was_active = active;
    }
}

static bool eligible(const struct gs_tenant *t)
{
    return t->wants && (!t->cap || t->credit > 0);
}

/* Who has had the least of those that want the GPU. */
static struct gs_tenant *first(const struct gs *g, const struct gs_tenant *but)
{
    struct gs_tenant *best = NULL;

    for (struct gs_tenant *t = g->list; t; t = t->next)
        if (t != but && eligible(t) && (!best || t->vtime < best->vtime))
            best = t;
    return best;
}

/* Each change costs the GPU some 140 us. Guests that want it all the time gain by waiting longer for
 * longer leases, as long as they are few; who comes and goes does not, nor who waits for one that keeps
 * the GPU beyond its lease. For a cap what is charged at a time is to be little. */
static uint64_t lease_ns(const struct gs *g)
{
    unsigned n = 0;

    for (const struct gs_tenant *t = g->list; t; t = t->next) {
        if (t->was_active && (t->cap || t->overrun || g->now - t->active_from < STEADY))
            return g->slice;
        n += t->was_active;
    }
    if (n * LONGER <= ROUND)
        return LONGER * g->slice;
    return n < ROUND ? ROUND * g->slice / n : g->slice;
}

static void end_lease(struct gs *g)
{
    g->holder->state = GS_OUT;
    g->holder = NULL;
}

static void drain(struct gs *g, uint64_t now)
{
    g->holder->state = GS_DRAINS;
    g->holder->drain = now;
}

/* The holder's lease under way. */
static void watch_lease(struct gs *g, uint64_t now)
{
    struct gs_tenant *t = g->holder, *other = first(g, t);
    bool spent = t->cap && t->credit <= 0;
    uint64_t lease = lease_ns(g);

    if (!other && !t->cap) {
        t->until = GS_NEVER;
        t->idle = 0;
        return;
    }
    /* It had no end, or one that is too late for somebody who has come meanwhile. */
    if (t->until > t->from + lease)
        t->until = t->from + lease > now ? t->from + lease : now;
    /* Who asks seldom, and for little, need not wait for a whole lease. */
    if (other && now >= t->start + g->least && other->vtime + scaled(lease, other) <= t->vtime &&
        now < t->until)
        t->until = now;
    if (spent || ((now >= t->until || t->yields) && other)) {
        /* As long as it has had less than the others it simply goes on. */
        if (!spent && !t->yields && t->vtime < other->vtime) {
            t->from = now;
            t->until = now + lease;
            return;
        }
        drain(g, now);
        return;
    }
    if (now >= t->until) {
        t->from = now;
        t->until = now + lease;
        return;
    }
    if (t->busy || (t->wants && !t->yields)) {
        t->idle = 0;
        return;
    }
    /* Since the last look it may have had something to do, but that it has nothing now is all that
     * is told: there is to be another look. */
    if (!t->idle || t->moved)
        t->idle = now;
    else if (now - t->idle >= g->linger)
        end_lease(g);
}

static void watch_drain(struct gs *g, uint64_t now)
{
    struct gs_tenant *t = g->holder;

    if (t->busy && now + g->early < t->due && now - t->drain < g->grace)
        return;
    end_lease(g);
}

static void grant(struct gs *g, struct gs_tenant *t, uint64_t now)
{
    g->holder = t;
    t->state = GS_HOLDS;
    t->start = t->from = now;
    t->drain = t->idle = 0;
    t->until = first(g, t) || t->cap ? now + lease_ns(g) : GS_NEVER;
}

/* Whoever comes next once the holder's lease is over, if that is soon. To be woken takes the GPU's time
 * where little is left to drain, so it is told a little before. */
static struct gs_tenant *successor(const struct gs *g, uint64_t now)
{
    const struct gs_tenant *t = g->holder;
    struct gs_tenant *other;

    if (!t || t->until == GS_NEVER || (t->state == GS_HOLDS && now + g->ahead < t->until))
        return NULL;
    other = first(g, t);
    /* It is going to go on by itself. */
    if (other && t->state == GS_HOLDS && now < t->until &&
        t->vtime + scaled(t->until - now, t) < other->vtime)
        return NULL;
    return other;
}

/* When something happens without anybody's doing. */
static uint64_t next_time(const struct gs *g, uint64_t now)
{
    const struct gs_tenant *t = g->holder;
    uint64_t at = GS_NEVER;

    if (t && t->state == GS_DRAINS)
        return t->due < t->drain + g->grace + g->early ? t->due - g->early : t->drain + g->grace;
    if (t) {
        at = t->until;
        if (at != GS_NEVER && now + g->ahead < at)
            at -= g->ahead;
        if (t->idle && t->idle + g->linger < at)
            at = t->idle + g->linger;
        if (first(g, t) && now < t->start + g->least && t->start + g->least < at)
            at = t->start + g->least;
        if (t->cap && t->credit > 0 && now + (uint64_t)t->credit < at)
            at = now + (uint64_t)t->credit + 1;
        return at;
    }
    /* Everybody who wants it is capped: until the first has credit again. */
    for (const struct gs_tenant *i = g->list; i; i = i->next) {
        uint64_t wait;

        if (!i->wants || !i->cap)
            continue;
        wait = i->credit > 0 ? 0 : (uint64_t)(1 - i->credit) * 100 / i->cap + 1;
        if (now + wait < at)
            at = now + wait;
    }
    return at;
}

/* Nobody waits for anybody; what a capped tenant has used up it gets again with time. `overrun` is
 * since when there has been no moment without work. */
static uint64_t step_overlap(struct gs *g, uint64_t now)
{
    uint64_t at = now + OVERLAP_LOOK;

    g->holder = NULL;
    for (struct gs_tenant *t = g->list; t; t = t->next) {
        bool spent = t->cap && t->credit <= 0;

        t->state = spent ? GS_OUT : GS_HOLDS;
        t->until = GS_NEVER;
        t->overrun = !t->busy ? 0 : t->overrun ? t->overrun : now;
        if (t->cap && (t->busy || t->wants) && now + CAP_LOOK < at)
            at = now + CAP_LOOK;
    }
    return at;
}

uint64_t gs_step(struct gs *g, uint64_t now)
{
    struct gs_tenant *t;

    charge(g, now);
    wake(g);
    if (g->overlap)
        return step_overlap(g, now);
    for (t = g->list; t; t = t->next) {
        if (!t->busy)
            t->overrun = t->drain = 0;
        else if (!t->drain && t != g->holder) /* it said so only when its lease was over */
            t->drain = now;
        if (t->drain && !t->overrun && now - t->drain >= g->grace)
            t->overrun = t->drain;
        if (t->overrun)
            t->active_from = now;
        if (t->state == GS_NEXT)
            t->state = GS_OUT;
    }
    if (g->holder && g->holder->state == GS_HOLDS)
        watch_lease(g, now);
    if (g->holder && g->holder->state == GS_DRAINS)
        watch_drain(g, now);
    if (!g->holder) {
        t = first(g, NULL);
        if (t)
            grant(g, t, now);
    } else {
        t = successor(g, now);
        if (t)
            t->state = GS_NEXT;
    }
    return next_time(g, now);
}
