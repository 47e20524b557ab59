/* SPDX-License-Identifier: MIT */
/* ops_mbarrier.c - mbarrier objects in shared memory, and copies in bulk that complete on them. */
#include "addr.h"
#include "mbarrier_op.h"

/* A CTA runs on one thread: plain reads and writes are atomic to its other threads. */
static u64 *object(struct warp *w, const struct uop *u, int lane)
{
    u64 ad = (u64)u->imm;

    w->x->cur_uop = u;
    if (u->a != NO_ADDR_REG)
        ad += u->f & AF_WIDE ? ((const u64 *)RG(u->a))[lane] : ((const u32 *)RG(u->a))[lane];
    if ((ad & ~(PTX_APERTURE_SIZE - 1)) == PTX_APERTURE_SHARED)
        ad &= PTX_APERTURE_SIZE - 1;
    if (ad & 7)
        ptx_throw(w, u, E_MISALIGNED, lane, ad, "misaligned mbarrier at 0x%llx",
                  (unsigned long long)ad);
    if (w->shared_size < 8 || ad > w->shared_size - 8)
        ptx_throw(w, u, E_ILLEGAL_ADDRESS, lane, ad, "mbarrier at 0x%llx of shared memory",
                  (unsigned long long)ad);
    return (u64 *)(w->shared + ad);
}

static u64 change(struct warp *w, const struct uop *u, int i, u64 v, u32 n)
{
    u32 pending = mbar_pending(v), expected = mbar_expected(v);
    u32 tx = (u32)mbar_tx(v); /* octets; wraps, as a guest may say any number */

    switch (u->n) {
    case MB_EXPECT:
        return mbar_make(v & MBAR_PHASE, pending, expected, tx + n);
    case MB_COMPLETE:
        return mbar_settle(mbar_make(v & MBAR_PHASE, pending, expected, tx - n));
    default:
        if (n > pending)
            ptx_throw(w, u, E_LAUNCH_FAILED, i, 0, "%u arrivals at an mbarrier that waits for %u",
                      n, pending);
        if (u->e != UINT32_MAX)
            tx += ((const u32 *)RG(u->e))[i];
        if (u->n == MB_DROP)
            expected -= n < expected ? n : expected;
        return mbar_settle(mbar_make(v & MBAR_PHASE, pending - n, expected, tx));
    }
}

static void mbarrier(struct warp *w, const struct uop *u)
{
    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        u64 *o = object(w, u, i), before;
        u32 n = u->b == UINT32_MAX ? 1 : ((const u32 *)RG(u->b))[i];

        memcpy(&before, o, 8);
        if (u->n == MB_INIT && (n < 1 || n > MBAR_MAX))
            ptx_throw(w, u, E_LAUNCH_FAILED, i, 0, "mbarrier.init with %u, allowed are 1 to %u", n,
                      MBAR_MAX);
        *o = u->n == MB_INIT    ? mbar_make(0, n, n, 0)
             : u->n == MB_INVAL ? 0
                                : change(w, u, i, before, n);
        if (u->d != UINT32_MAX)
            ((u64 *)RG(u->d))[i] = before;
    }
}

/* Has the phase of a state, or of a parity, ended? */
static void mbarrier_test(struct warp *w, const struct uop *u)
{
    u32 r = 0;

    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        u64 now = *object(w, u, i) & MBAR_PHASE, then;

        if (u->n == MB_TEST)
            then = ((const u64 *)RG(u->b))[i] & MBAR_PHASE;
        else
            then = ((const u32 *)RG(u->b))[i] & 1 ? MBAR_PHASE : 0;
        r |= (u32)(now != then) << i;
    }
    if (r)
        w->cta->epoch++;
    pred_write(w, u->d, r);
}

static void mbarrier_pending(struct warp *w, const struct uop *u)
{
    const u64 *a = RG(u->a);
    u32 *d = RG(u->d);

    for (u32 k = w->mask; k; k &= k - 1)
        d[__builtin_ctz(k)] = mbar_pending(a[__builtin_ctz(k)]);
}

/* cp.async.bulk: from address b to address c, d octets; a: mbarrier or NO_ADDR_REG. All 64 bits and
 * generic. n: 1 to shared memory, 2 to global memory. */
static void bulk(struct warp *w, const struct uop *u)
{
    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        u64 from = ((const u64 *)RG(u->b))[i], to = ((const u64 *)RG(u->c))[i];
        u32 n = ((const u32 *)RG(u->d))[i];

        w->x->cur_uop = u;
        if ((from | to | n) & 15)
            ptx_throw(w, u, E_MISALIGNED, i, (from & 15) ? from : to,
                      "a copy of %u octets from 0x%llx to 0x%llx, multiples of 16 are wanted", n,
                      (unsigned long long)from, (unsigned long long)to);
        for (u32 at = 0; at < n; at += 16)
            memcpy(ptx_generic(w, u, i, to + at, 16), ptx_generic(w, u, i, from + at, 16), 16);
        if (u->a == NO_ADDR_REG)
            continue;
        u64 *o = object(w, u, i), v = *o;

        *o = mbar_settle(
            mbar_make(v & MBAR_PHASE, mbar_pending(v), mbar_expected(v), (u32)mbar_tx(v) - n));
    }
}

TABLE(ops_mbarrier) = {H("mbarrier", mbarrier), H("mbarrier.test", mbarrier_test),
                       H("mbarrier.pending", mbarrier_pending), H("bulk", bulk), HEND};
