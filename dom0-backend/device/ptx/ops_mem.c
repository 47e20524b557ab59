/* SPDX-License-Identifier: MIT */
/* ops_mem.c - loads and stores of one element per lane. */
#include "addr.h"

#ifdef __clang__
#define ROW for (int i = 0; i < 16; i++)
#else
#define ROW _Pragma("GCC ivdep") for (int i = 0; i < 16; i++)
#endif
/* Octets of words side by side, as of pixels: a word has no octet outside its page. (Parameters are
 * not in pages of their own.) */
#define LD_WORDS(T, D)                                                                             \
    const u32 *r0 = (const u32 *)((uintptr_t)s0 & ~(uintptr_t)3),                                  \
              *r1 = (const u32 *)((uintptr_t)s1 & ~(uintptr_t)3);                                  \
    const u32 h0 = 8 * ((uintptr_t)s0 & 3), h1 = 8 * ((uintptr_t)s1 & 3);                          \
    ROW d[i] = (D)(T)(r0[i] >> h0);                                                                \
    ROW d[16 + i] = (D)(T)(r1[i] >> h1);
#define LD_ROWS(sp, T, D)                                                                          \
    const uint8_t *s0 = (const uint8_t *)(uintptr_t)p[0], *s1 = (const uint8_t *)(uintptr_t)p[2];  \
    size_t step = p[1];                                                                            \
    if (!step) {                                                                                   \
        D v0 = (D) * (const T *)s0, v1 = (D) * (const T *)s1;                                      \
        for (int i = 0; i < 16; i++)                                                               \
            d[i] = v0;                                                                             \
        for (int i = 0; i < 16; i++)                                                               \
            d[16 + i] = v1;                                                                        \
    } else if (step == sizeof(T)) {                                                                \
        const T *r0 = (const T *)s0, *r1 = (const T *)s1;                                          \
        ROW d[i] = (D)r0[i];                                                                       \
        ROW d[16 + i] = (D)r1[i];                                                                  \
    } else if (sp != AS_PARAM && sizeof(T) < 4 && step == 4) {                                     \
        LD_WORDS(T, D);                                                                            \
    } else {                                                                                       \
        for (int i = 0; i < 16; i++)                                                               \
            d[i] = (D) * (const T *)(s0 + (size_t)i * step);                                       \
        for (int i = 0; i < 16; i++)                                                               \
            d[16 + i] = (D) * (const T *)(s1 + (size_t)i * step);                                  \
    }

/* T: element in memory, D: lane of the result's slot */
#define LD(sp, spn, T, D)                                                                          \
    static void ld_##spn##_##T##_##D(struct warp *w, const struct uop *u)                          \
    {                                                                                              \
        u64 p[WARP] __attribute__((aligned(64)));                                                  \
        int pat = resolve_soon(w, u, sp, sizeof(T), false, p);                                     \
        D *d = RG(u->d);                                                                           \
        u32 m = w->mask;                                                                           \
        if (pat == PAT_SAME) {                                                                     \
            D v = (D) * (const T *)(uintptr_t)p[0];                                                \
            if (m == FULL) {                                                                       \
                LOOP d[i] = v;                                                                     \
            } else {                                                                               \
                LOOP d[i] = (m & lane_bit[i]) ? v : d[i];                                          \
            }                                                                                      \
        } else if (pat == PAT_UNIT) {                                                              \
            const T *s = (const T *)(uintptr_t)p[0];                                               \
            LOOP d[i] = (D)s[i];                                                                   \
        } else if (pat == PAT_ROWS) {                                                              \
            LD_ROWS(sp, T, D);                                                                     \
        } else if (m == FULL) {                                                                    \
            for (int i = 0; i < WARP; i++)                                                         \
                d[i] = (D) * (const T *)(uintptr_t)p[i];                                           \
        } else {                                                                                   \
            D t[WARP];                                                                             \
            for (int i = 0; i < WARP; i++)                                                         \
                t[i] = (D) * (const T *)(uintptr_t)p[i];                                           \
            LOOP d[i] = (m & lane_bit[i]) ? t[i] : d[i];                                           \
        }                                                                                          \
    }
#define ST(sp, spn, T, D)                                                                          \
    static void st_##spn##_##T##_##D(struct warp *w, const struct uop *u)                          \
    {                                                                                              \
        u64 p[WARP] __attribute__((aligned(64)));                                                  \
        int pat = resolve_soon(w, u, sp, sizeof(T), true, p);                                      \
        const D *s = RG(u->b);                                                                     \
        u32 m = w->mask;                                                                           \
        if (pat == PAT_UNIT) {                                                                     \
            T *t = (T *)(uintptr_t)p[0];                                                           \
            LOOP t[i] = (T)s[i];                                                                   \
        } else if (m == FULL) {                                                                    \
            for (int i = 0; i < WARP; i++)                                                         \
                *(T *)(uintptr_t)p[i] = (T)s[i];                                                   \
        } else {                                                                                   \
            for (u32 k = m; k; k &= k - 1)                                                         \
                *(T *)(uintptr_t)p[__builtin_ctz(k)] = (T)s[__builtin_ctz(k)];                     \
        }                                                                                          \
    }
/* clang-format off */
#define SPACE(sp, spn)                                                                             \
    LD(sp, spn, u8, u32) LD(sp, spn, s8, u32) LD(sp, spn, u16, u32) LD(sp, spn, s16, u32)          \
    LD(sp, spn, u32, u32) LD(sp, spn, u8, u64) LD(sp, spn, s8, u64) LD(sp, spn, u16, u64)          \
    LD(sp, spn, s16, u64) LD(sp, spn, u32, u64) LD(sp, spn, s32, u64) LD(sp, spn, u64, u64)
#define SPACE_ST(sp, spn)                                                                          \
    ST(sp, spn, u8, u32) ST(sp, spn, u16, u32) ST(sp, spn, u32, u32) ST(sp, spn, u8, u64)          \
    ST(sp, spn, u16, u64) ST(sp, spn, u32, u64) ST(sp, spn, u64, u64)
SPACE(AS_GLOBAL, global)
SPACE(AS_SHARED, shared)
SPACE(AS_LOCAL, local)
SPACE(AS_PARAM, param)
SPACE(AS_GENERIC, generic)
SPACE_ST(AS_GLOBAL, global)
SPACE_ST(AS_SHARED, shared)
SPACE_ST(AS_LOCAL, local)
SPACE_ST(AS_GENERIC, generic)
/* clang-format on */

#define HL1(spn, T, D, dn) H("ld." #spn "." #T "." dn, ld_##spn##_##T##_##D)
#define HL(spn)                                                                                    \
    HL1(spn, u8, u32, "32"), HL1(spn, s8, u32, "32"), HL1(spn, u16, u32, "32"),                    \
        HL1(spn, s16, u32, "32"), HL1(spn, u32, u32, "32"), HL1(spn, u8, u64, "64"),               \
        HL1(spn, s8, u64, "64"), HL1(spn, u16, u64, "64"), HL1(spn, s16, u64, "64"),               \
        HL1(spn, u32, u64, "64"), HL1(spn, s32, u64, "64"), HL1(spn, u64, u64, "64")
#define HS1(spn, T, D, dn) H("st." #spn "." #T "." dn, st_##spn##_##T##_##D)
#define HS(spn)                                                                                    \
    HS1(spn, u8, u32, "32"), HS1(spn, u16, u32, "32"), HS1(spn, u32, u32, "32"),                   \
        HS1(spn, u8, u64, "64"), HS1(spn, u16, u64, "64"), HS1(spn, u32, u64, "64"),               \
        HS1(spn, u64, u64, "64")
TABLE(ops_mem) = {HL(global), HL(shared), HL(local), HL(param),   HL(generic),
                  HS(global), HS(shared), HS(local), HS(generic), HEND};
