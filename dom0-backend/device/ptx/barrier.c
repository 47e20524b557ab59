/* SPDX-License-Identifier: MIT */
/*
 * barrier.c - the 16 barriers of a CTA. Arrivals are kept as lanes per warp. A barrier without a
 * thread count completes when every lane that has not exited is there; one with a count when enough
 * threads are, where a warp all of whose living lanes arrived counts as 32 (counts are multiples of
 * the warp size, blocks need not be).
 */
#include "interp.h"

static bool complete(const struct cta *c, const struct barrier *b)
{
    uint32_t threads = 0;
    for (uint32_t i = 0; i < c->nwarps; i++) {
        uint32_t have = b->arrived[i], dead = ~c->warps[i].alive;
        bool whole = (have | dead) == FULL;
        if (!b->expected && !whole)
            return false;
        if (have)
            threads += whole ? WARP : __builtin_popcount(have);
    }
    return !b->expected || threads >= b->expected;
}

/* Writes the result of bar.red for the lanes of a group that is let go. */
static void deliver(const struct barrier *b, struct warp *w, const struct group *g)
{
    const struct uop *u = g->pc - 1; /* the barrier itself */
    if (u->n == BAR_POPC) {
        uint32_t *d = (uint32_t *)(g->frame->regs + u->d);
        for (uint32_t k = g->mask; k; k &= k - 1)
            d[__builtin_ctz(k)] = b->red_count;
    } else if (u->n == BAR_AND || u->n == BAR_OR) {
        uint32_t *d = (uint32_t *)(g->frame->regs + u->d);
        bool v = u->n == BAR_AND ? b->red_and : b->red_or;
        *d = (*d & ~g->mask) | (v ? g->mask : 0);
    }
    (void)w;
}

static void release(struct cta *c, unsigned id)
{
    struct barrier *b = &c->bar[id];
    for (uint32_t i = 0; i < c->nwarps; i++) {
        struct warp *w = &c->warps[i];
        if (!b->arrived[i])
            continue;
        for (uint32_t k = 0; k < w->npend; k++)
            if (w->pend[k].state == G_BAR && w->pend[k].bar == id) {
                deliver(b, w, &w->pend[k]);
                w->pend[k].state = G_RUN;
                if (w->status == WS_BLOCKED)
                    w->status = WS_READY;
            }
        b->arrived[i] = 0;
    }
    b->active = false;
    c->nactive--;
    c->epoch++;
}

void bar_recheck(struct cta *c)
{
    for (unsigned id = 0; c->nactive && id <= NBARRIERS; id++)
        if (c->bar[id].active && complete(c, &c->bar[id]))
            release(c, id);
}

/* The lanes in mask (the whole running group) arrive. Waiting lanes leave w->active. */
void bar_arrive(struct warp *w, const struct uop *u, uint32_t mask)
{
    struct cta *c = w->cta;
    const uint32_t *ids = reg_at(w, u->a), *counts = u->f ? reg_at(w, u->b) : NULL;
    int l0 = __builtin_ctz(mask);
    uint32_t id = ids[l0], count = counts ? counts[l0] : 0, same = 0;
    for (uint32_t k = mask; k; k &= k - 1) {
        int l = __builtin_ctz(k);
        if (ids[l] == id && (!counts || counts[l] == count))
            same |= 1u << l;
    }
    if (id >= NBARRIERS && !(u->e && id == BAR_CLUSTER))
        ptx_throw(w, u, E_LAUNCH_FAILED, l0, 0, "barrier %u, allowed are 0 to %u", id,
                  NBARRIERS - 1);
    if (counts && (!count || count % WARP || count > PTX_MAX_THREADS))
        ptx_throw(w, u, E_LAUNCH_FAILED, l0, 0,
                  "barrier for %u threads, allowed are multiples of 32 up to 1024", count);
    struct barrier *b = &c->bar[id];
    if (!b->active) {
        memset(b, 0, sizeof(*b));
        b->active = true;
        c->nactive++;
        b->expected = count;
        b->red_and = true;
    } else if (b->expected != count) {
        ptx_throw(w, u, E_LAUNCH_FAILED, l0, 0, "barrier %u used with %u and %u threads at once",
                  id, b->expected, count);
    }
    if (u->n >= BAR_POPC) {
        uint32_t p = pred_at(w, u->c);
        b->red_count += __builtin_popcount(p & same);
        b->red_and &= (p & same) == same;
        b->red_or |= (p & same) != 0;
    }
    b->arrived[w->index] |= same;
    uint32_t others = w->active & ~same;
    if (others) /* they arrive at another barrier when their turn comes */
        w->pend[w->npend++] = (struct group){w->frame, u, others, G_RUN, 0};
    w->active = same;
    w->pc = u + 1;
    bool done = complete(c, b);
    if (u->n != BAR_ARRIVE) {
        w->pend[w->npend++] = (struct group){w->frame, u + 1, same, G_BAR, (uint8_t)id};
        w->active = 0;
    }
    if (done)
        release(c, id);
}
