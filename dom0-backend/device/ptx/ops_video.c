/* SPDX-License-Identifier: MIT */
/* ops_video.c - video instructions: one, two or four integers in a register, results wider than
 * their operands, saturated and merged or accumulated as the PTX manual says. */
#include "ops.h"
#include "video_op.h"

static s64 field(u32 v, unsigned shift, unsigned bits, bool sign)
{
    u64 x = (u64)v >> shift & ((1ull << bits) - 1);

    return sign ? (s64)(x << (64 - bits)) >> (64 - bits) : (s64)x;
}

/* A selected source: an octet, a half or the whole. */
static s64 source(u32 v, unsigned sel, bool sign)
{
    return !sel             ? field(v, 0, 32, sign)
           : sel >= VSEL_H0 ? field(v, 16 * (sel - VSEL_H0), 16, sign)
                            : field(v, 8 * (sel - 1), 8, sign);
}

static s64 saturate(s64 v, unsigned bits, bool sign)
{
    s64 lo = sign ? -(1ll << (bits - 1)) : 0, hi = (1ll << (bits - sign)) - 1;

    return v < lo ? lo : v > hi ? hi : v;
}

static s64 shift(const struct video_op *v, s64 a, u32 n)
{
    n = v->wrap ? n & 31 : n > 32 ? 32 : n;
    return v->kind == VI_SHL ? (s64)((u64)a << n) : a >> n;
}

static s64 compute(const struct video_op *v, s64 a, s64 b)
{
    const bool cmp[] = {a == b, a != b, a<b, a <= b, a> b, a >= b};

    switch (v->kind) {
    case VI_ADD:
        return a + b;
    case VI_SUB:
        return a - b;
    case VI_ABSDIFF:
        return a > b ? a - b : b - a;
    case VI_MIN:
        return a < b ? a : b;
    case VI_MAX:
        return a > b ? a : b;
    case VI_AVRG: /* rounds away from zero */
        return (a + b + (a + b >= 0)) >> 1;
    case VI_SET:
        return cmp[v->cmp];
    default:
        return shift(v, a, (u32)b);
    }
}

static u32 second(const struct video_op *v, u32 r, u32 c)
{
    bool less = v->sd ? (s32)r < (s32)c : r < c;

    switch (v->second) {
    case VS_ADD:
        return r + c;
    case VS_MIN:
        return less ? r : c;
    case VS_MAX:
        return less ? c : r;
    default:
        return r;
    }
}

static u32 scalar(const struct video_op *v, u32 a, u32 b, u32 c)
{
    s64 x = source(a, v->asel, v->sa), y = source(b, v->bsel, v->sb), r;
    unsigned bits = !v->dsel ? 32 : v->dsel >= VSEL_H0 ? 16 : 8;
    unsigned at = !v->dsel ? 0 : v->dsel >= VSEL_H0 ? 16 * (v->dsel - VSEL_H0) : 8 * (v->dsel - 1u);

    if (v->kind == VI_MAD) { /* modulo 2^64 what does not fit: its low word is the result */
        r = (s64)((u64)x * (u64)y + (u64)(v->sa || v->sb ? (s64)(s32)c : (s64)c));
        return (u32)(v->sat ? saturate(r, 32, v->sa || v->sb) : r);
    }
    r = compute(v, x, y);
    if (v->sat)
        r = saturate(r, bits, v->sd);
    if (!v->dsel)
        return second(v, (u32)r, c);
    u32 mask = ((1u << bits) - 1) << at;

    return (c & ~mask) | ((u32)r << at & mask);
}

static u32 lanes(const struct video_op *v, u32 a, u32 b, u32 c)
{
    unsigned bits = 32 / v->lanes;
    u32 d = 0, sum = c;

    for (unsigned k = 0; k < v->lanes; k++) {
        s64 r = compute(v, field(a, k * bits, bits, v->sa), field(b, k * bits, bits, v->sb));

        if (v->sat)
            r = saturate(r, bits, v->sd);
        r &= (1 << bits) - 1;
        sum += (u32)(v->sd ? field((u32)r, 0, bits, true) : r);
        d |= (u32)r << k * bits;
    }
    return v->second == VS_ADD ? sum : d;
}

static void video(struct warp *w, const struct uop *u)
{
    const struct video_op *v = (const struct video_op *)(intptr_t)u->imm;
    const u32 *a = RG(u->a), *b = RG(u->b), *c = RG(u->c);
    u32 *d = RG(u->d);

    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);

        d[i] = v->lanes == 1 ? scalar(v, a[i], b[i], c[i]) : lanes(v, a[i], b[i], c[i]);
    }
}

TABLE(ops_video) = {H("video", video), HEND};
