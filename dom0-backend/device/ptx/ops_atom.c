/* SPDX-License-Identifier: MIT */
/*
 * ops_atom.c - atomics, lane by lane in lane order. u->n: address space. u->d: result or
 * NO_ADDR_REG (red), u->b and u->c: operands. A CTA runs on one thread, so shared memory needs no
 * lock prefix; global memory is shared with the threads that run other CTAs.
 */
#include "addr.h"
#include "half.h"

INLINE void atom_addrs(struct warp *w, const struct uop *u, const u32 bytes, u64 *p)
{
    switch (u->n) {
    case AS_GLOBAL:
        resolve(w, u, AS_GLOBAL, bytes, p);
        break;
    case AS_SHARED:
        resolve(w, u, AS_SHARED, bytes, p);
        break;
    default:
        resolve(w, u, AS_GENERIC, bytes, p);
        break;
    }
}

/* T: type in memory (unsigned), D: lane type; next: new value from x (old), y, z */
#define ATOM(id, T, D, next)                                                                       \
    static void id(struct warp *w, const struct uop *u)                                            \
    {                                                                                              \
        u64 p[WARP] __attribute__((aligned(64)));                                                  \
        atom_addrs(w, u, sizeof(T), p);                                                            \
        const D *b = RG(u->b), *c = RG(u->c);                                                      \
        bool ret = u->d != NO_ADDR_REG, shared = u->n == AS_SHARED;                                \
        D *d = ret ? RG(u->d) : NULL;                                                              \
        for (u32 k = w->mask; k; k &= k - 1) {                                                     \
            int i = __builtin_ctz(k);                                                              \
            T *q = (T *)(uintptr_t)p[i], y = (T)b[i], z = (T)c[i], x;                              \
            (void)y;                                                                               \
            (void)z;                                                                               \
            if (shared) {                                                                          \
                x = *q;                                                                            \
                *q = (T)(next);                                                                    \
            } else {                                                                               \
                x = __atomic_load_n(q, __ATOMIC_RELAXED);                                          \
                while (!__atomic_compare_exchange_n(q, &x, (T)(next), true, __ATOMIC_SEQ_CST,      \
                                                    __ATOMIC_RELAXED))                             \
                    ;                                                                              \
            }                                                                                      \
            if (ret)                                                                               \
                d[i] = (D)x;                                                                       \
        }                                                                                          \
    }
/* the same where the processor has one instruction for it */
#define ATOM_HW(id, T, next, hw)                                                                   \
    static void id(struct warp *w, const struct uop *u)                                            \
    {                                                                                              \
        u64 p[WARP] __attribute__((aligned(64)));                                                  \
        atom_addrs(w, u, sizeof(T), p);                                                            \
        const T *b = RG(u->b);                                                                     \
        bool ret = u->d != NO_ADDR_REG, shared = u->n == AS_SHARED;                                \
        T *d = ret ? RG(u->d) : NULL;                                                              \
        for (u32 k = w->mask; k; k &= k - 1) {                                                     \
            int i = __builtin_ctz(k);                                                              \
            T *q = (T *)(uintptr_t)p[i], y = b[i], x;                                              \
            if (shared) {                                                                          \
                x = *q;                                                                            \
                *q = next;                                                                         \
            } else {                                                                               \
                x = hw(q, y, __ATOMIC_SEQ_CST);                                                    \
            }                                                                                      \
            if (ret)                                                                               \
                d[i] = x;                                                                          \
        }                                                                                          \
    }
ATOM_HW(add_u32, u32, x + y, __atomic_fetch_add)
ATOM_HW(add_u64, u64, x + y, __atomic_fetch_add)
ATOM_HW(and_b32, u32, x &y, __atomic_fetch_and)
ATOM_HW(and_b64, u64, x &y, __atomic_fetch_and)
ATOM_HW(or_b32, u32, x | y, __atomic_fetch_or)
ATOM_HW(or_b64, u64, x | y, __atomic_fetch_or)
ATOM_HW(xor_b32, u32, x ^ y, __atomic_fetch_xor)
ATOM_HW(xor_b64, u64, x ^ y, __atomic_fetch_xor)
ATOM_HW(exch_b32, u32, y, __atomic_exchange_n)
ATOM_HW(exch_b64, u64, y, __atomic_exchange_n)
ATOM(min_u32, u32, u32, x < y ? x : y)
ATOM(min_s32, u32, u32, (s32)x < (s32)y ? x : y)
ATOM(min_u64, u64, u64, x < y ? x : y)
ATOM(min_s64, u64, u64, (s64)x < (s64)y ? x : y)
ATOM(max_u32, u32, u32, x > y ? x : y)
ATOM(max_s32, u32, u32, (s32)x > (s32)y ? x : y)
ATOM(max_u64, u64, u64, x > y ? x : y)
ATOM(max_s64, u64, u64, (s64)x > (s64)y ? x : y)
ATOM(inc_u32, u32, u32, x >= y ? 0 : x + 1)
ATOM(dec_u32, u32, u32, x == 0 || x > y ? y : x - 1)
ATOM(cas_b16, u16, u32, x == y ? z : x)
ATOM(cas_b32, u32, u32, x == y ? z : x)
ATOM(cas_b64, u64, u64, x == y ? z : x)
ATOM(add_f32, u32, u32, f2u(CANON32(u2f(x) + u2f(y))))
static inline u64 add_d(u64 x, u64 y) /* in global memory NaNs pass as they are */
{
    return u2d(x) != u2d(x) ? x : u2d(y) != u2d(y) ? y : d2u(u2d(x) + u2d(y));
}
ATOM(add_f64, u64, u64, shared ? d2u(u2d(x) + u2d(y)) : add_d(x, y))
static inline u32 add_h(u32 a, u32 b)
{
    return f2h(h2f(a & 0xffff) + h2f(b & 0xffff), CSR_RN);
}
static inline u32 add_b(u32 a, u32 b)
{
    return f2bf(d2f_odd(add_odd((f64)bf2f(a & 0xffff), (f64)bf2f(b & 0xffff))), CSR_RN);
}
ATOM(add_f16, u16, u32, add_h(x, y))
ATOM(add_bf16, u16, u32, add_b(x, y))
ATOM(add_f16x2, u32, u32, add_h(x, y) | add_h(x >> 16, y >> 16) << 16)
ATOM(add_bf16x2, u32, u32, add_b(x, y) | add_b(x >> 16, y >> 16) << 16)

TABLE(ops_atom) = {H("atom.add.u32", add_u32),       H("atom.add.s32", add_u32),
                   H("atom.add.u64", add_u64),       H("atom.add.s64", add_u64),
                   H("atom.and.b32", and_b32),       H("atom.and.b64", and_b64),
                   H("atom.or.b32", or_b32),         H("atom.or.b64", or_b64),
                   H("atom.xor.b32", xor_b32),       H("atom.xor.b64", xor_b64),
                   H("atom.exch.b32", exch_b32),     H("atom.exch.b64", exch_b64),
                   H("atom.min.u32", min_u32),       H("atom.min.s32", min_s32),
                   H("atom.min.u64", min_u64),       H("atom.min.s64", min_s64),
                   H("atom.max.u32", max_u32),       H("atom.max.s32", max_s32),
                   H("atom.max.u64", max_u64),       H("atom.max.s64", max_s64),
                   H("atom.inc.u32", inc_u32),       H("atom.dec.u32", dec_u32),
                   H("atom.cas.b16", cas_b16),       H("atom.cas.b32", cas_b32),
                   H("atom.cas.b64", cas_b64),       H("atom.add.f32", add_f32),
                   H("atom.add.f64", add_f64),       H("atom.add.f16", add_f16),
                   H("atom.add.bf16", add_bf16),     H("atom.add.f16x2", add_f16x2),
                   H("atom.add.bf16x2", add_bf16x2), HEND};
