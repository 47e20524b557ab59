/* SPDX-License-Identifier: MIT */
/* half.h - conversions of f16 and bf16; every rounding mode; canonical NaN 0x7fff. */
#ifndef GVM_PTX_HALF_H
#define GVM_PTX_HALF_H

#include "ops.h"

static inline f32 h2f(u32 h)
{
    u32 s = (h & 0x8000u) << 16, e = h >> 10 & 31, m = h & 0x3ff;
    if (e == 31)
        return m ? u2f(0x7fffffffu) : u2f(s | 0x7f800000u);
    if (e)
        return u2f(s | (e + 112) << 23 | m << 13);
    if (!m) /* kept out of the arithmetic below: MXCSR may flush subnormals */
        return u2f(s);
    u32 sh = (u32)__builtin_clz(m) - 21;
    return u2f(s | (113 - sh) << 23 | ((m << sh) & 0x3ff) << 13);
}

/* mode: CSR_RN, CSR_RZ, CSR_RM, CSR_RP */
static inline u32 f2h(f32 f, u32 mode)
{
    u32 v = f2u(f), s = v >> 16 & 0x8000u, a = v & 0x7fffffffu;
    if (a > 0x7f800000u)
        return 0x7fff;
    if (a == 0x7f800000u)
        return s | 0x7c00;
    bool away = mode == CSR_RP ? !s : mode == CSR_RM ? s != 0 : false;
    if (a >= 0x47800000u) /* >= 65536 */
        return mode == CSR_RN || away ? s | 0x7c00 : s | 0x7bff;
    u32 shift, m, base;
    if (a >= 0x38800000u) { /* normal result */
        shift = 13;
        m = a - 0x38000000u; /* exponent and mantissa of the half, 13 bits too long */
    } else {
        u32 e = a >> 23;
        if (e < 102) { /* below half the smallest subnormal */
            if (!a)
                return s;
            return away ? s | 1 : s;
        }
        m = (a & 0x7fffffu) | 0x800000u;
        shift = 126 - e; /* 14 .. 24 */
    }
    base = m >> shift;
    u32 rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);
    if (mode == CSR_RN)
        base += rest > half || (rest == half && (base & 1));
    else if (rest && away)
        base++;
    return s | base; /* a carry into the exponent is right, also to infinity */
}

static inline f32 bf2f(u32 h)
{
    return u2f(h << 16);
}
static inline u32 f2bf(f32 f, u32 mode)
{
    u32 v = f2u(f);
    if ((v & 0x7fffffffu) > 0x7f800000u)
        return 0x7fff;
    if (mode == CSR_RN)
        return (v + 0x7fff + (v >> 16 & 1)) >> 16;
    bool away = mode == CSR_RP ? !(v >> 31) : mode == CSR_RM ? v >> 31 : false;
    return (v >> 16) + (away && (v & 0xffff) && (v & 0x7f800000u) != 0x7f800000u);
}

/* Sum of doubles rounded to odd: the exact rest decides the last bit. */
static inline f64 add_odd(f64 a, f64 b)
{
    f64 s = a + b, t = s - a, e = (a - (s - t)) + (b - t);
    u64 v = d2u(s);
    if (e == 0 || e != e || (v & 0x7ff0000000000000ull) == 0x7ff0000000000000ull)
        return s;
    if ((e < 0) != (s < 0)) /* rounded away from zero: step back */
        v--;
    return u2d(v | 1);
}

/* Double to single, rounded to odd: a later rounding to fewer bits is then as if from the double. */
static inline f32 d2f_odd(f64 d)
{
    u64 v = d2u(d);
    u32 s = (u32)(v >> 32) & 0x80000000u;
    u64 a = v & 0x7fffffffffffffffull;
    if (a > 0x7ff0000000000000ull)
        return u2f(0x7fffffffu);
    if (a == 0x7ff0000000000000ull)
        return u2f(s | 0x7f800000u);
    s64 e = (s64)(a >> 52) - 1023 + 127;
    u64 m = (a & 0xfffffffffffffull) | 1ull << 52;
    if (e >= 255)
        return u2f(s | 0x7f7fffffu);
    if (e <= 0) { /* subnormal single: far below anything that half precision keeps */
        if (!a)
            return u2f(s);
        u32 sh = (u32)(1 - e) + 29;
        if (sh > 60)
            return u2f(s | 1);
        return u2f(s | (u32)(m >> sh) | ((m & ((1ull << sh) - 1)) != 0));
    }
    return u2f(s | (u32)e << 23 | (u32)((m >> 29) & 0x7fffff) | ((m & 0x1fffffff) != 0));
}

#endif
