/* SPDX-License-Identifier: MIT */
/* ops_warp.c - operations across the lanes of a warp. The interpreter has already waited for the
 * members (K_WSYNC); the lanes that take part are those in w->mask. */
#include "ops.h"

/* u->n: 0 up, 1 down, 2 bfly, 3 idx; u->d result, u->e predicate or 0; a source, b lane, c clamp */
static void shfl(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a), *b = RG(u->b), *c = RG(u->c);
    u32 t[WARP] __attribute__((aligned(64))), m = w->mask, pr = 0;
    u32 *d = RG(u->d);
    memcpy(t, a, sizeof(t));
    for (u32 k = m; k; k &= k - 1) {
        u32 i = __builtin_ctz(k), bv = b[i] & 31, cv = c[i] & 31, sm = c[i] >> 8 & 31, j;
        u32 max = (i & sm) | (cv & ~sm & 31), min = i & sm;
        bool p;
        switch (u->n) {
        case 0:
            j = i - bv;
            p = (s32)j >= (s32)max;
            break;
        case 1:
            j = i + bv;
            p = j <= max;
            break;
        case 2:
            j = i ^ bv;
            p = j <= max;
            break;
        default:
            j = min | (bv & ~sm & 31);
            p = j <= max;
            break;
        }
        if (!p)
            j = i;
        d[i] = t[j & 31];
        pr |= (u32)p << i;
    }
    if (u->e)
        pred_write(w, u->e, pr);
}

/* Calls body once per distinct member mask among the participating lanes, as mem and grp. */
#define BY_MASK(code, ...)                                                                         \
    do {                                                                                           \
        const u32 *mm_ = RG(code);                                                                 \
        u32 left_ = w->mask;                                                                       \
        while (left_) {                                                                            \
            u32 mv_ = mm_[__builtin_ctz(left_)], grp = 0;                                          \
            for (u32 k_ = left_; k_; k_ &= k_ - 1)                                                 \
                grp |= mm_[__builtin_ctz(k_)] == mv_ ? 1u << __builtin_ctz(k_) : 0;                \
            u32 mem = mv_ & w->mask;                                                               \
            left_ &= ~grp;                                                                         \
            __VA_ARGS__;                                                                           \
        }                                                                                          \
    } while (0)

/* u->n: 0 all, 1 any, 2 uni; a: predicate, b: member masks, d: predicate */
static void vote(struct warp *w, const struct uop *u)
{
    u32 p = pred_at(w, u->a), r = 0;
    BY_MASK(u->b, {
        u32 v = p & mem;
        bool t = u->n == 0 ? v == mem : u->n == 1 ? v != 0 : v == mem || v == 0;
        r |= t ? grp : 0;
    });
    pred_write(w, u->d, r);
}
static void ballot(struct warp *w, const struct uop *u)
{
    u32 p = pred_at(w, u->a);
    u32 *d = RG(u->d);
    BY_MASK(u->b, {
        for (u32 k = grp; k; k &= k - 1)
            d[__builtin_ctz(k)] = p & mem;
    });
}
static void activemask(struct warp *w, const struct uop *u)
{
    u32 *d = RG(u->d), m = w->mask;
    LOOP d[i] = (m & lane_bit[i]) ? m : d[i];
}

#define MATCH(N, L)                                                                                \
    static void match_any_##N(struct warp *w, const struct uop *u)                                 \
    {                                                                                              \
        const L *a = RG(u->a);                                                                     \
        u32 *d = RG(u->d);                                                                         \
        BY_MASK(u->b, {                                                                            \
            for (u32 k = grp; k; k &= k - 1) {                                                     \
                u32 r = 0, i = __builtin_ctz(k);                                                   \
                for (u32 j = mem; j; j &= j - 1)                                                   \
                    r |= a[__builtin_ctz(j)] == a[i] ? 1u << __builtin_ctz(j) : 0;                 \
                d[i] = r;                                                                          \
            }                                                                                      \
        });                                                                                        \
    }                                                                                              \
    static void match_all_##N(struct warp *w, const struct uop *u)                                 \
    {                                                                                              \
        const L *a = RG(u->a);                                                                     \
        u32 *d = RG(u->d), pr = 0;                                                                 \
        BY_MASK(u->b, {                                                                            \
            bool same = true;                                                                      \
            for (u32 j = mem; j; j &= j - 1)                                                       \
                same &= a[__builtin_ctz(j)] == a[__builtin_ctz(grp)];                              \
            for (u32 k = grp; k; k &= k - 1)                                                       \
                d[__builtin_ctz(k)] = same ? mem : 0;                                              \
            pr |= same ? grp : 0;                                                                  \
        });                                                                                        \
        if (u->e)                                                                                  \
            pred_write(w, u->e, pr);                                                               \
    }
MATCH(b32, u32)
MATCH(b64, u64)

/* u->n: 0 add, 1 min u, 2 max u, 3 min s, 4 max s, 5 and, 6 or, 7 xor */
static void redux(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a);
    u32 *d = RG(u->d), t[WARP];
    memcpy(t, a, sizeof(t));
    BY_MASK(u->b, {
        u32 r = mem ? t[__builtin_ctz(mem)] : 0;
        for (u32 j = mem & (mem - 1); j; j &= j - 1) {
            u32 v = t[__builtin_ctz(j)];
            switch (u->n) {
            case 0:
                r += v;
                break;
            case 1:
                r = v < r ? v : r;
                break;
            case 2:
                r = v > r ? v : r;
                break;
            case 3:
                r = (s32)v < (s32)r ? v : r;
                break;
            case 4:
                r = (s32)v > (s32)r ? v : r;
                break;
            case 5:
                r &= v;
                break;
            case 6:
                r |= v;
                break;
            default:
                r ^= v;
                break;
            }
        }
        for (u32 k = grp; k; k &= k - 1)
            d[__builtin_ctz(k)] = r;
    });
}

/* elect.sync d|p: the lowest member leads */
static void elect(struct warp *w, const struct uop *u)
{
    u32 *d = RG(u->d), pr = 0;
    BY_MASK(u->b, {
        u32 lead = __builtin_ctz(mem ? mem : grp);
        for (u32 k = grp; k; k &= k - 1)
            d[__builtin_ctz(k)] = lead;
        pr |= 1u << lead;
    });
    pred_write(w, u->e, pr);
}

TABLE(ops_warp) = {H("shfl", shfl),
                   H("vote", vote),
                   H("ballot", ballot),
                   H("activemask", activemask),
                   H("match.any.b32", match_any_b32),
                   H("match.any.b64", match_any_b64),
                   H("match.all.b32", match_all_b32),
                   H("match.all.b64", match_all_b64),
                   H("redux", redux),
                   H("elect", elect),
                   HEND};
