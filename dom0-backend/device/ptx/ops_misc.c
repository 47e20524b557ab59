/* SPDX-License-Identifier: MIT */
/* ops_misc.c - address spaces, timers, fences, asynchronous copies. */
#include <time.h>

#include "addr.h"

/* address of a place in the function's frame of local memory */
static void frameaddr_32(struct warp *w, const struct uop *u)
{
    u32 v = w->frame->local_base + (u32)u->imm;
    BODY(u32, v)
}
static void frameaddr_64(struct warp *w, const struct uop *u)
{
    u64 v = w->frame->local_base + (u64)u->imm;
    BODY(u64, v)
}

OP1(addimm_64, u64, u64, a[i] + (u64)u->imm)
/* isspacep: u->imm: base of an aperture */
static void isspacep_ap(struct warp *w, const struct uop *u)
{
    const u64 *a = RG(u->a);
    u32 t[WARP] __attribute__((aligned(64)));
    u64 base = (u64)u->imm;
    LOOP t[i] = a[i] - base < PTX_APERTURE_SIZE ? FULL : 0;
    pred_write(w, u->d, lanes_to_mask(t));
}
static void isspacep_global(struct warp *w, const struct uop *u)
{
    const u64 *a = RG(u->a);
    u32 t[WARP] __attribute__((aligned(64)));
    LOOP t[i] = a[i] >> 56 == 0 ? FULL : 0;
    pred_write(w, u->d, lanes_to_mask(t));
}

/* Cycles: executed micro-ops of this thread, so always increasing, plus real time. */
static u64 now_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}
static u64 clock_value(struct warp *w, u32 which)
{
    switch (which) {
    case SR_CLOCK:
        return (u32)__builtin_ia32_rdtsc();
    case SR_CLOCK_HI:
        return __builtin_ia32_rdtsc() >> 32;
    case SR_CLOCK64:
        return __builtin_ia32_rdtsc();
    case SR_GLOBALTIMER:
        return now_ns(CLOCK_REALTIME);
    case SR_GLOBALTIMER_LO:
        return (u32)now_ns(CLOCK_REALTIME);
    case SR_GLOBALTIMER_HI:
        return now_ns(CLOCK_REALTIME) >> 32;
    default:
        return w->x->l->grid_id;
    }
}
static void sreg_32(struct warp *w, const struct uop *u)
{
    u32 v = (u32)clock_value(w, u->n);
    BODY(u32, v)
}
static void sreg_64(struct warp *w, const struct uop *u)
{
    u64 v = clock_value(w, u->n);
    BODY(u64, v)
}

static void fence(struct warp *w, const struct uop *u)
{
    (void)w;
    (void)u;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
static void nop(struct warp *w, const struct uop *u)
{
    (void)w;
    (void)u;
}

/*
 * cp.async: shared (u->b, AF_WIDE in u->e) <- global (u->a), u->n bytes, of which u->c lanes say
 * how many to read (the rest is zero) unless u->c is NO_ADDR_REG. Done at once, so that commit and
 * wait have nothing to do. u->d: offset of the destination.
 */
static void cp_async(struct warp *w, const struct uop *u)
{
    u64 src[WARP], dst[WARP];
    struct uop s = *u, t = *u;
    t.a = u->b;
    t.imm = (s32)u->d;
    t.f = u->e;
    if (u->n == 4) {
        resolve(w, &s, AS_GLOBAL, 4, src);
        resolve(w, &t, AS_SHARED, 4, dst);
    } else if (u->n == 8) {
        resolve(w, &s, AS_GLOBAL, 8, src);
        resolve(w, &t, AS_SHARED, 8, dst);
    } else {
        resolve(w, &s, AS_GLOBAL, 16, src);
        resolve(w, &t, AS_SHARED, 16, dst);
    }
    w->x->cur_uop = u;
    const u32 *c = u->c == NO_ADDR_REG ? NULL : RG(u->c);
    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        u32 n = c && c[i] < u->n ? c[i] : u->n;
        u8 buf[16] = {0};
        memcpy(buf, (const void *)(uintptr_t)src[i], n);
        memcpy((void *)(uintptr_t)dst[i], buf, u->n);
    }
}

TABLE(ops_misc) = {H("frameaddr.32", frameaddr_32),
                   H("frameaddr.64", frameaddr_64),
                   H("addimm.64", addimm_64),
                   H("isspacep.ap", isspacep_ap),
                   H("isspacep.global", isspacep_global),
                   H("sreg.32", sreg_32),
                   H("sreg.64", sreg_64),
                   H("fence", fence),
                   H("nop", nop),
                   H("cp.async", cp_async),
                   HEND};
