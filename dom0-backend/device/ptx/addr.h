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

/* Whether a[0], a[1] ... a[15] are *step apart, which is below 64 Ki, and a[16] ... a[31] as well. */
#ifdef __AVX2__ /* gcc multiplies for each vector, and adds up vectors lane by lane */
INLINE bool in_rows64(const u64 *a, u64 *step)
{
    const u64 s = *step = (a[1] - a[0]) & 0xffff;
    const __m256i *v = (const __m256i *)a, next = _mm256_set1_epi64x((s64)(4 * s));
    __m256i x = _mm256_mul_epu32(_mm256_set1_epi64x((s64)s), _mm256_set_epi64x(3, 2, 1, 0));
    __m256i y = _mm256_add_epi64(x, _mm256_set1_epi64x((s64)a[16])), off = _mm256_setzero_si256();

    x = _mm256_add_epi64(x, _mm256_set1_epi64x((s64)a[0]));
    for (int k = 0; k < 4; k++) {
        off = _mm256_or_si256(off, _mm256_xor_si256(v[k], x));
        off = _mm256_or_si256(off, _mm256_xor_si256(v[4 + k], y));
        x = _mm256_add_epi64(x, next);
        y = _mm256_add_epi64(y, next);
    }
    return _mm256_testz_si256(off, off);
}

INLINE bool in_rows32(const u32 *a, u64 *step)
{
    const u32 s = (a[1] - a[0]) & 0xffff;
    const __m256i *v = (const __m256i *)a, next = _mm256_set1_epi32((int)(8 * s));
    __m256i x =
        _mm256_mullo_epi32(_mm256_set1_epi32((int)s), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
    __m256i y = _mm256_add_epi32(x, _mm256_set1_epi32((int)a[16])), off;

    *step = s;
    x = _mm256_add_epi32(x, _mm256_set1_epi32((int)a[0]));
    off = _mm256_or_si256(_mm256_xor_si256(v[0], x), _mm256_xor_si256(v[2], y));
    x = _mm256_xor_si256(v[1], _mm256_add_epi32(x, next));
    y = _mm256_xor_si256(v[3], _mm256_add_epi32(y, next));
    off = _mm256_or_si256(off, _mm256_or_si256(x, y));
    return _mm256_testz_si256(off, off);
}
#else
INLINE bool in_rows64(const u64 *a, u64 *step)
{
    const u64 a0 = a[0], b0 = a[16], s = *step = (a[1] - a0) & 0xffff;
    u64 off = 0;

    for (u32 i = 0; i < 16; i++)
        off |= (a[i] ^ (a0 + i * s)) | (a[16 + i] ^ (b0 + i * s));
    return !off;
}

INLINE bool in_rows32(const u32 *a, u64 *step)
{
    const u32 a0 = a[0], b0 = a[16], s = (a[1] - a0) & 0xffff;
    u32 off = 0;

    for (u32 i = 0; i < 16; i++)
        off |= (a[i] ^ (a0 + i * s)) | (a[16 + i] ^ (b0 + i * s));
    *step = s;
    return !off;
}
#endif

/* All of a row is in the space, from its first address and its last one. */
INLINE bool row_good(const struct warp *w, const int space, const u32 bytes, u64 first, u64 end)
{
    u64 size = space == AS_SHARED ? w->shared_size : w->params_len;

    if (space == AS_GLOBAL || space == AS_GENERIC)
        return !(((first ^ w->win_base) | (end ^ w->win_base)) & ~w->win_mask);
    return size >= bytes && first <= size - bytes && end <= size - bytes;
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
    u64 first, last, step = 0;
    bool rows;

    if (space == AS_LOCAL)
        return resolve(w, u, space, bytes, p);
    if (u->a == NO_ADDR_REG) {
        first = last = (u64)u->imm;
        rows = true;
    } else if (w->mask != FULL) {
        return resolve(w, u, space, bytes, p);
    } else if (u->f & AF_WIDE) {
        const u64 *a = RG(u->a);

        rows = in_rows64(a, &step);
        first = a[0] + (u64)u->imm;
        last = a[16] + (u64)u->imm;
    } else {
        const u32 *a = RG(u->a);

        rows = in_rows32(a, &step);
        first = (u32)(a[0] + (u32)u->imm);
        last = (u32)(a[16] + (u32)u->imm);
    }
    const bool even = last - first == 16 * step;

    if (!rows || (store && (!even || step != bytes)) || ((first | last | step) & (bytes - 1)) ||
        !row_good(w, space, bytes, first, first + 15 * step) ||
        !row_good(w, space, bytes, last, last + 15 * step))
        return resolve(w, u, space, bytes, p);
    w->x->cur_uop = u;
    p[0] = host + first;
    p[1] = step;
    p[2] = host + last;
    return !even ? PAT_ROWS : step == bytes ? PAT_UNIT : step ? PAT_ROWS : PAT_SAME;
}

#endif
