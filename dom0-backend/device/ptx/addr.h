/* SPDX-License-Identifier: MIT */
/*
 * addr.h - from the address operand of a micro-op to 32 checked host pointers.
 *
 * u->a: register code or NO_ADDR_REG, u->imm: offset, u->f: AF_* flags. Inactive lanes get the
 * pointer of the first active one, so that loads may be done for all 32.
 */
#ifndef GVM_PTX_ADDR_H
#define GVM_PTX_ADDR_H

#include "ops.h"

#define NO_ADDR_REG UINT32_MAX
#define AF_WIDE     1u /* the address register has 64 bits */
enum { AS_GLOBAL, AS_SHARED, AS_LOCAL, AS_PARAM, AS_GENERIC };
#define INLINE static inline __attribute__((always_inline))

/* Lane addresses in their own space, before any check. */
INLINE void lane_addrs(const struct warp *w, const struct uop *u, u64 *ad)
{
    u64 off = (u64)u->imm;
    if (u->a == NO_ADDR_REG) {
        LOOP ad[i] = off;
    } else if (u->f & AF_WIDE) {
        const u64 *a = RG(u->a);
        LOOP ad[i] = a[i] + off;
    } else {
        const u32 *a = RG(u->a);
        LOOP ad[i] = (u32)(a[i] + (u32)off);
    }
}

__attribute__((noreturn, cold)) void ptx_bad_addr(struct warp *w, const struct uop *u, int space,
                                                  u32 bytes, const u64 *ad);

/* Pointers for an access of `bytes` (power of two), naturally aligned. Returns the address of lane
 * `first` and whether lanes are `bytes` apart (only with all lanes active) or all the same. */
enum { PAT_ANY, PAT_UNIT, PAT_SAME, PAT_ROWS };
INLINE int resolve(struct warp *w, const struct uop *u, const int space, const u32 bytes, u64 *p)
{
    u64 ad[WARP] __attribute__((aligned(64)));
    u32 m = w->mask;
    w->x->cur_uop = u;
    lane_addrs(w, u, ad);
    u64 first = ad[__builtin_ctz(m)];
    if (m != FULL)
        LOOP ad[i] = (m & lane_bit[i]) ? ad[i] : first;
    u64 mis = 0, bad = 0, unit = 0, same = 0;
    LOOP mis |= ad[i];
    mis &= bytes - 1;
    if (space == AS_GLOBAL || space == AS_GENERIC) {
        u64 base = w->win_base, mask = w->win_mask;
        LOOP bad |= (ad[i] ^ base) & ~mask;
        if (space == AS_GENERIC && __builtin_expect(bad != 0, 0)) {
            if (mis)
                ptx_bad_addr(w, u, space, bytes, ad);
            for (u32 k = m; k; k &= k - 1) {
                int i = __builtin_ctz(k);
                p[i] = (u64)(uintptr_t)ptx_generic(w, u, i, ad[i], bytes);
            }
            u64 f = p[__builtin_ctz(m)];
            LOOP p[i] = (m & lane_bit[i]) ? p[i] : f;
            return PAT_ANY;
        }
        if (__builtin_expect((bad | mis) != 0, 0))
            ptx_bad_addr(w, u, space, bytes, ad);
        LOOP p[i] = base | (ad[i] & mask);
    } else {
        u64 size = space == AS_SHARED  ? w->shared_size
                   : space == AS_LOCAL ? w->local_size
                                       : w->params_len;
        u64 lim = size - bytes;
        if (size < bytes)
            ptx_bad_addr(w, u, space, bytes, ad);
        /* offsets are below 2^63 or bad: a plain comparison of signed numbers would miss some */
        LOOP bad |= lim - ad[i];
        LOOP bad |= ad[i];
        if (__builtin_expect(((bad >> 63) | mis) != 0, 0))
            ptx_bad_addr(w, u, space, bytes, ad);
        if (space == AS_LOCAL) {
            u64 base = (u64)(uintptr_t)w->local, stride = w->x->local_stride;
            LOOP p[i] = base + (u64)(u32)i * (u32)stride + ad[i];
            if (m != FULL) {
                u64 f = p[__builtin_ctz(m)];
                LOOP p[i] = (m & lane_bit[i]) ? p[i] : f;
            }
            return PAT_ANY;
        }
        u64 base = (u64)(uintptr_t)(space == AS_SHARED ? w->shared : w->params);
        LOOP p[i] = base + ad[i];
    }
    u64 p0 = p[0];
    LOOP same |= p[i] ^ p0;
    if (!same)
        return PAT_SAME;
    if (m != FULL)
        return PAT_ANY;
    LOOP unit |= p[i] ^ (p0 + (u64)(u32)i * bytes);
    return unit ? PAT_ANY : PAT_UNIT;
}

INLINE bool one_good(const struct warp *w, const int space, const u32 bytes, u64 ad)
{
    u64 size = space == AS_SHARED ? w->shared_size : w->params_len;

    if (ad & (bytes - 1))
        return false;
    if (space == AS_GLOBAL || space == AS_GENERIC)
        return !((ad ^ w->win_base) & ~w->win_mask);
    return size >= bytes && ad <= size - bytes;
}

/*
 * resolve() for what is usual: all lanes at one address, or side by side, or at one distance in each
 * half of the warp, as in blocks that are 16 wide, so that the ends say it all. Then only p[0] is
 * set, and for PAT_ROWS the distance, p[1], and the second half's first address, p[2]. store: side by
 * side only.
 */
INLINE int resolve_soon(struct warp *w, const struct uop *u, const int space, const u32 bytes,
                        const bool store, u64 *p)
{
    const u64 host = space == AS_SHARED  ? (u64)(uintptr_t)w->shared
                     : space == AS_PARAM ? (u64)(uintptr_t)w->params
                                         : 0;
    u64 first, last;
    int pat = PAT_ANY;

    if (space == AS_LOCAL)
        return resolve(w, u, space, bytes, p);
    if (u->a == NO_ADDR_REG) {
        first = last = (u64)u->imm;
        pat = PAT_SAME;
    } else if (w->mask != FULL) {
        return resolve(w, u, space, bytes, p);
    } else if (u->f & AF_WIDE) {
        const u64 *a = RG(u->a);
        u64 a0 = a[0], b0 = a[16], off = 0;
        u32 step = (u32)(a[1] - a0) & 0xffff;

        for (int i = 0; i < 16; i++)
            off |= (a[i] ^ (a0 + (u64)(u32)i * step)) | (a[16 + i] ^ (b0 + (u64)(u32)i * step));
        pat = off                    ? PAT_ANY
              : b0 - a0 != 16 * step ? PAT_ROWS
              : step == bytes        ? PAT_UNIT
              : step                 ? PAT_ROWS
                                     : PAT_SAME;
        first = a0 + (u64)u->imm;
        last = b0 + (u64)u->imm;
        p[1] = step;
    } else {
        const u32 *a = RG(u->a);
        u32 a0 = a[0], b0 = a[16], off = 0, step = (a[1] - a0) & 0xffff;

        for (int i = 0; i < 16; i++)
            off |= (a[i] ^ (a0 + (u32)i * step)) | (a[16 + i] ^ (b0 + (u32)i * step));
        pat = off                    ? PAT_ANY
              : b0 - a0 != 16 * step ? PAT_ROWS
              : step == bytes        ? PAT_UNIT
              : step                 ? PAT_ROWS
                                     : PAT_SAME;
        first = (u32)(a0 + (u32)u->imm);
        last = (u32)(b0 + (u32)u->imm);
        p[1] = step;
    }
    if (pat == PAT_ANY || (store && pat != PAT_UNIT) || !one_good(w, space, bytes, first))
        return resolve(w, u, space, bytes, p);
    if (pat != PAT_SAME && (!one_good(w, space, bytes, last) || (p[1] & (bytes - 1)) ||
                            !one_good(w, space, bytes, first + 15 * p[1]) ||
                            !one_good(w, space, bytes, last + 15 * p[1])))
        return resolve(w, u, space, bytes, p);
    p[2] = host + last;
    w->x->cur_uop = u;
    p[0] = host + first;
    return pat;
}

#endif
