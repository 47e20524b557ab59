/* SPDX-License-Identifier: MIT */
/*
 * ops_vec.c - vector loads and stores: .v2, .v4 and .v8; the registers are u->d, b, c, e, and another
 * four of the micro-op behind. u->n: by element, what a store of 32 octets leaves as it is.
 */
#include "addr.h"

INLINE void vec_codes(const struct uop *u, int n, u32 *code)
{
    for (int k = 0; k < n; k += 4, u++) {
        code[k] = u->d;
        code[k + 1] = u->b;
        code[k + 2] = u->c;
        code[k + 3] = u->e;
    }
}

#define LDV(sp, spn, T, D, N)                                                                      \
    static void ldv_##spn##_##T##_##D##_##N(struct warp *w, const struct uop *u)                   \
    {                                                                                              \
        u64 p[WARP] __attribute__((aligned(64)));                                                  \
        int pat = resolve(w, u, sp, sizeof(T) * N, p);                                             \
        u32 code[8];                                                                               \
        vec_codes(u, N, code);                                                                     \
        u32 m = w->mask;                                                                           \
        T t[N][WARP];                                                                              \
        if (pat == PAT_UNIT) {                                                                     \
            const T *s = (const T *)(uintptr_t)p[0];                                               \
            LOOP                                                                                   \
            {                                                                                      \
                for (int k = 0; k < N; k++)                                                        \
                    t[k][i] = s[i * N + k];                                                        \
            }                                                                                      \
        } else {                                                                                   \
            for (int i = 0; i < WARP; i++)                                                         \
                for (int k = 0; k < N; k++)                                                        \
                    t[k][i] = ((const T *)(uintptr_t)p[i])[k];                                     \
        }                                                                                          \
        for (int k = 0; k < N; k++) {                                                              \
            D *d = RG(code[k]);                                                                    \
            if (m == FULL) {                                                                       \
                LOOP d[i] = (D)t[k][i];                                                            \
            } else {                                                                               \
                LOOP d[i] = (m & lane_bit[i]) ? (D)t[k][i] : d[i];                                 \
            }                                                                                      \
        }                                                                                          \
    }
#define STV(sp, spn, T, D, N)                                                                      \
    static void stv_##spn##_##T##_##D##_##N(struct warp *w, const struct uop *u)                   \
    {                                                                                              \
        u64 p[WARP] __attribute__((aligned(64)));                                                  \
        resolve(w, u, sp, sizeof(T) * N, p);                                                       \
        const u32 skip = sizeof(T) * N == 32 ? u->n : 0;                                           \
        u32 code[8];                                                                               \
        const D *s[N];                                                                             \
        vec_codes(u, N, code);                                                                     \
        for (int k = 0; k < N; k++)                                                                \
            s[k] = RG(code[k]);                                                                    \
        for (u32 l = w->mask; l; l &= l - 1) {                                                     \
            int i = __builtin_ctz(l);                                                              \
            for (int k = 0; k < N; k++)                                                            \
                if (!(skip >> k & 1))                                                              \
                    ((T *)(uintptr_t)p[i])[k] = (T)s[k][i];                                        \
        }                                                                                          \
    }
/* clang-format off */
#define ALL(M, sp, spn, N)                                                                         \
    M(sp, spn, u8, u32, N) M(sp, spn, u16, u32, N) M(sp, spn, u32, u32, N) M(sp, spn, u64, u64, N)
#define LDX(sp, spn, N)                                                                            \
    ALL(LDV, sp, spn, N) LDV(sp, spn, s8, u32, N) LDV(sp, spn, s16, u32, N)                        \
    LDV(sp, spn, u32, u64, N) LDV(sp, spn, s32, u64, N)
LDX(AS_GLOBAL, global, 2)
LDX(AS_SHARED, shared, 2)
LDX(AS_LOCAL, local, 2)
LDX(AS_PARAM, param, 2)
LDX(AS_GENERIC, generic, 2)
LDX(AS_GLOBAL, global, 4)
LDX(AS_SHARED, shared, 4)
LDX(AS_LOCAL, local, 4)
LDX(AS_PARAM, param, 4)
LDX(AS_GENERIC, generic, 4)
ALL(STV, AS_GLOBAL, global, 2)
ALL(STV, AS_SHARED, shared, 2)
ALL(STV, AS_LOCAL, local, 2)
ALL(STV, AS_GENERIC, generic, 2)
ALL(STV, AS_GLOBAL, global, 4)
ALL(STV, AS_SHARED, shared, 4)
ALL(STV, AS_LOCAL, local, 4)
ALL(STV, AS_GENERIC, generic, 4)
LDV(AS_GLOBAL, global, u32, u32, 8)
LDV(AS_GENERIC, generic, u32, u32, 8)
STV(AS_GLOBAL, global, u32, u32, 8)
STV(AS_GENERIC, generic, u32, u32, 8)
/* clang-format on */

#define HV1(op, spn, T, D, dn, N)                                                                  \
    H(#op ".v" #N "." #spn "." #T "." dn, op##v_##spn##_##T##_##D##_##N)
#define HV(op, spn, N)                                                                             \
    HV1(op, spn, u8, u32, "32", N), HV1(op, spn, u16, u32, "32", N),                               \
        HV1(op, spn, u32, u32, "32", N), HV1(op, spn, u64, u64, "64", N)
#define HVX(spn, N)                                                                                \
    HV(ld, spn, N), HV1(ld, spn, s8, u32, "32", N), HV1(ld, spn, s16, u32, "32", N),               \
        HV1(ld, spn, u32, u64, "64", N), HV1(ld, spn, s32, u64, "64", N)
TABLE(ops_vec) = {HVX(global, 2),
                  HVX(shared, 2),
                  HVX(local, 2),
                  HVX(param, 2),
                  HVX(generic, 2),
                  HVX(global, 4),
                  HVX(shared, 4),
                  HVX(local, 4),
                  HVX(param, 4),
                  HVX(generic, 4),
                  HV(st, global, 2),
                  HV(st, shared, 2),
                  HV(st, local, 2),
                  HV(st, generic, 2),
                  HV(st, global, 4),
                  HV(st, shared, 4),
                  HV(st, local, 4),
                  HV(st, generic, 4),
                  HV1(ld, global, u32, u32, "32", 8),
                  HV1(ld, generic, u32, u32, "32", 8),
                  HV1(st, global, u32, u32, "32", 8),
                  HV1(st, generic, u32, u32, "32", 8),
                  HEND};
