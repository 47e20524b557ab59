/* SPDX-License-Identifier: MIT */
/* ops_cmp.c - setp and testp: comparisons into predicates. */
#include "half.h"

#define ICMP(T, L)                                                                                 \
    CMP2(eq_##T, L, (T)a[i] == (T)b[i])                                                            \
    CMP2(ne_##T, L, (T)a[i] != (T)b[i])                                                            \
    CMP2(lt_##T, L, (T)a[i] < (T)b[i])                                                             \
    CMP2(le_##T, L, (T)a[i] <= (T)b[i])                                                            \
    CMP2(gt_##T, L, (T)a[i] > (T)b[i])                                                             \
    CMP2(ge_##T, L, (T)a[i] >= (T)b[i])
ICMP(u16, u32)
ICMP(s16, u32)
ICMP(u32, u32)
ICMP(s32, u32)
ICMP(u64, u64)
ICMP(s64, u64)

/* x, y: the numbers; L: lane type; G(lane value): number */
#define FCMP(T, L, G)                                                                              \
    CMP2(eq_##T, L, G(a[i]) == G(b[i]))                                                            \
    CMP2(ne_##T, L, G(a[i]) < G(b[i]) || G(a[i]) > G(b[i]))                                        \
    CMP2(lt_##T, L, G(a[i]) < G(b[i]))                                                             \
    CMP2(le_##T, L, G(a[i]) <= G(b[i]))                                                            \
    CMP2(gt_##T, L, G(a[i]) > G(b[i]))                                                             \
    CMP2(ge_##T, L, G(a[i]) >= G(b[i]))                                                            \
    CMP2(equ_##T, L, !(G(a[i]) < G(b[i]) || G(a[i]) > G(b[i])))                                    \
    CMP2(neu_##T, L, !(G(a[i]) == G(b[i])))                                                        \
    CMP2(ltu_##T, L, !(G(a[i]) >= G(b[i])))                                                        \
    CMP2(leu_##T, L, !(G(a[i]) > G(b[i])))                                                         \
    CMP2(gtu_##T, L, !(G(a[i]) <= G(b[i])))                                                        \
    CMP2(geu_##T, L, !(G(a[i]) < G(b[i])))                                                         \
    CMP2(num_##T, L, G(a[i]) == G(a[i]) && G(b[i]) == G(b[i]))                                     \
    CMP2(nan_##T, L, G(a[i]) != G(a[i]) || G(b[i]) != G(b[i]))
#define SAME(x) (x)
#define GH(x)   h2f((x)&0xffff)
#define GB(x)   bf2f((x)&0xffff)
#define GHH(x)  h2f((x) >> 16)
#define GBH(x)  bf2f((x) >> 16)
FCMP(f32, f32, SAME)
FCMP(f64, f64, SAME)
FCMP(f16, u32, GH)
FCMP(bf16, u32, GB)
/* the upper halves of pairs */
FCMP(f16h, u32, GHH)
FCMP(bf16h, u32, GBH)

/* testp: on the bits, so that flushing does not matter. cls of |x| against the format's limits. */
#define TESTP(N, L, MAG, INF, MINNORM)                                                             \
    CMP2(finite_f##N, L, ((void)b, (a[i] & MAG) < INF))                                            \
    CMP2(infinite_f##N, L, ((void)b, (a[i] & MAG) == INF))                                         \
    CMP2(number_f##N, L, ((void)b, (a[i] & MAG) <= INF))                                           \
    CMP2(notanumber_f##N, L, ((void)b, (a[i] & MAG) > INF))                                        \
    CMP2(normal_f##N, L,                                                                           \
         ((void)b, (a[i] & MAG) < INF && ((a[i] & MAG) >= MINNORM || !(a[i] & MAG))))              \
    CMP2(subnormal_f##N, L, ((void)b, (a[i] & MAG) < MINNORM && (a[i] & MAG)))
TESTP(32, u32, 0x7fffffffu, 0x7f800000u, 0x00800000u)
TESTP(64, u64, 0x7fffffffffffffffull, 0x7ff0000000000000ull, 0x0010000000000000ull)

#define HI(T)                                                                                      \
    H("eq." #T, eq_##T), H("ne." #T, ne_##T), H("lt." #T, lt_##T), H("le." #T, le_##T),            \
        H("gt." #T, gt_##T), H("ge." #T, ge_##T)
#define HF(T)                                                                                      \
    HI(T), H("equ." #T, equ_##T), H("neu." #T, neu_##T), H("ltu." #T, ltu_##T),                    \
        H("leu." #T, leu_##T), H("gtu." #T, gtu_##T), H("geu." #T, geu_##T),                       \
        H("num." #T, num_##T), H("nan." #T, nan_##T)
#define HT(T)                                                                                      \
    H("testp.finite." #T, finite_##T), H("testp.infinite." #T, infinite_##T),                      \
        H("testp.number." #T, number_##T), H("testp.notanumber." #T, notanumber_##T),              \
        H("testp.normal." #T, normal_##T), H("testp.subnormal." #T, subnormal_##T)
TABLE(ops_cmp) = {HI(u16), HI(s16),  HI(u32),  HI(s32),   HI(u64), HI(s64), HF(f32), HF(f64),
                  HF(f16), HF(bf16), HF(f16h), HF(bf16h), HT(f32), HT(f64), HEND};
