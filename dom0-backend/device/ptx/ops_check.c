/* SPDX-License-Identifier: MIT */
/* ops_check.c - the micro-op in front of accesses to shared memory that are checked: check.h. */
#include "check.h"
#include "addr.h"

static bool unordered(const struct warp *w, const struct check_access *a, u32 thread, u32 line)
{
    const struct cta *c = w->cta;

    if (!a->thread || a->thread == thread || a->epoch != c->epoch)
        return false;
    if ((u32)(a->thread - 1) / WARP != w->index)
        return true;
    return a->warp_epoch == c->warp_epoch[w->index] && a->line != line;
}

__attribute__((noreturn, cold)) static void race(struct warp *w, const struct uop *u, int lane,
                                                 u64 ad, const struct check_access *a,
                                                 const char *did)
{
    const struct ptx_launch *l = w->x->l;
    u32 t = a->thread - 1u;

    ptx_throw(w, u, E_LAUNCH_FAILED, lane, ad,
              "race on shared memory at 0x%llx: thread (%u, %u, %u) %s it at PTX line %u, and no "
              "barrier came between",
              (unsigned long long)ad, t % l->block[0], t / l->block[0] % l->block[1],
              t / l->block[0] / l->block[1], did, a->line);
}

static void one(struct warp *w, const struct uop *u, int lane, u64 ad, struct check_shadow *s)
{
    const struct cta *c = w->cta;
    struct check_access me = {(uint16_t)(w->index * WARP + (u32)lane + 1), c->epoch,
                              c->warp_epoch[w->index], u->line};

    if (u->n != CHECK_WRITE && !s->written)
        ptx_throw(w, u, E_LAUNCH_FAILED, lane, ad,
                  "read of shared memory at 0x%llx, which no thread of the block has written",
                  (unsigned long long)ad);
    if (!(u->n == CHECK_ATOMIC && s->atomic) && unordered(w, &s->write, me.thread, u->line))
        race(w, u, lane, ad, &s->write, "wrote");
    if (u->n == CHECK_READ) {
        if (s->read[0].thread != me.thread)
            s->read[1] = s->read[0];
        s->read[0] = me;
        return;
    }
    for (int k = 0; k < 2; k++)
        if (unordered(w, &s->read[k], me.thread, u->line))
            race(w, u, lane, ad, &s->read[k], "read");
    s->write = me;
    s->written = true;
    s->atomic = u->n == CHECK_ATOMIC;
}

/* a, f, imm: the address as of the access that follows; b: its space, e: octets, n: CHECK_* */
static void check_shared(struct warp *w, const struct uop *u)
{
    struct check_shadow *shadow = (struct check_shadow *)(void *)w->cta->shadow;
    u64 ad[WARP] __attribute__((aligned(64)));

    if (!shadow)
        return;
    lane_addrs(w, u, ad);
    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);

        if (u->b == AS_GENERIC) {
            if ((ad[i] & ~(PTX_APERTURE_SIZE - 1)) != PTX_APERTURE_SHARED)
                continue;
            ad[i] &= PTX_APERTURE_SIZE - 1;
        }
        if (w->shared_size < u->e || ad[i] > w->shared_size - u->e)
            continue; /* the access itself is going to say so */
        for (u32 n = 0; n < u->e; n++)
            one(w, u, i, ad[i], &shadow[ad[i] + n]);
    }
}

TABLE(ops_check) = {H("check.shared", check_shared), HEND};
