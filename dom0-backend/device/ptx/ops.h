/* SPDX-License-Identifier: MIT */
/*
 * ops.h - how handlers are written. Every ops_*.c is compiled twice (PTX_ISA = base, avx2) and
 * exports one table of {name, function}. Loops over 32 lanes are plain C for the vectoriser.
 *
 * A handler must read lane i of its sources before it writes lane i of its result and must not
 * write a lane whose bit in w->mask is clear. It may compute garbage in such lanes, so nothing in
 * an expression may trap (division, memory).
 */
#ifndef GVM_PTX_OPS_H
#define GVM_PTX_OPS_H

#include <math.h>
#include <immintrin.h>

#include "exec.h"

#ifndef PTX_ISA
#define PTX_ISA base
#endif
#define ISA_CAT2(a, b) a##_##b
#define ISA_CAT(a, b)  ISA_CAT2(a, b)
#define ISA(n)         ISA_CAT(n, PTX_ISA)

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef float f32;
typedef double f64;

static const u32 lane_bit[WARP] __attribute__((aligned(64))) = {
    1u << 0,  1u << 1,  1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
    1u << 8,  1u << 9,  1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15,
    1u << 16, 1u << 17, 1u << 18, 1u << 19, 1u << 20, 1u << 21, 1u << 22, 1u << 23,
    1u << 24, 1u << 25, 1u << 26, 1u << 27, 1u << 28, 1u << 29, 1u << 30, 1u << 31};

#ifdef __clang__ /* instrumented builds only: speed does not matter there */
#define LOOP for (int i = 0; i < WARP; i++)
#else
#define LOOP _Pragma("GCC ivdep") for (int i = 0; i < WARP; i++)
#endif
#define RG(code) (void *)__builtin_assume_aligned(reg_at(w, code), 64)

/*
 * A handler body: D is the lane type of the result's slot (u32 or u64 wide), expr its value at
 * lane i. Two loops: all lanes, or blended with what is there.
 */
#define BODY(D, ...)                                                                               \
    D *d = RG(u->d);                                                                               \
    u32 m = w->mask;                                                                               \
    if (m == FULL) {                                                                               \
        LOOP d[i] = (__VA_ARGS__);                                                                 \
    } else {                                                                                       \
        LOOP                                                                                       \
        {                                                                                          \
            D r_ = (__VA_ARGS__);                                                                  \
            d[i] = (m & lane_bit[i]) ? r_ : d[i];                                                  \
        }                                                                                          \
    }
#define OP1(id, D, A, ...)                                                                         \
    static void id(struct warp *w, const struct uop *u)                                            \
    {                                                                                              \
        const A *a = RG(u->a);                                                                     \
        BODY(D, __VA_ARGS__)                                                                       \
    }
#define OP2(id, D, A, B, ...)                                                                      \
    static void id(struct warp *w, const struct uop *u)                                            \
    {                                                                                              \
        const A *a = RG(u->a);                                                                     \
        const B *b = RG(u->b);                                                                     \
        BODY(D, __VA_ARGS__)                                                                       \
    }
#define OP3(id, D, A, B, C, ...)                                                                   \
    static void id(struct warp *w, const struct uop *u)                                            \
    {                                                                                              \
        const A *a = RG(u->a);                                                                     \
        const B *b = RG(u->b);                                                                     \
        const C *c = RG(u->c);                                                                     \
        BODY(D, __VA_ARGS__)                                                                       \
    }

/* 32 lanes of all-ones / zero -> bit mask. */
static inline u32 lanes_to_mask(const u32 *t)
{
    u32 r = 0;
#ifdef __AVX2__
    for (int i = 0; i < WARP; i += 8)
        r |= (u32)_mm256_movemask_ps(_mm256_load_ps((const float *)(t + i))) << i;
#else
    for (int i = 0; i < WARP; i += 4)
        r |= (u32)_mm_movemask_ps(_mm_load_ps((const float *)(t + i))) << i;
#endif
    return r;
}

static inline void pred_write(struct warp *w, u32 code, u32 v)
{
    u32 *p = reg_at(w, code);
    *p = (*p & ~w->mask) | (v & w->mask);
}

/* A comparison: cond at lane i; the result is a predicate. */
#define CMP2(id, A, ...)                                                                           \
    static void id(struct warp *w, const struct uop *u)                                            \
    {                                                                                              \
        const A *a = RG(u->a);                                                                     \
        const A *b = RG(u->b);                                                                     \
        u32 t[WARP] __attribute__((aligned(64)));                                                  \
        LOOP t[i] = (__VA_ARGS__) ? FULL : 0;                                                      \
        pred_write(w, u->d, lanes_to_mask(t));                                                     \
    }

#define TABLE(name) const struct uop_handler ISA(name)[]
#define H(str, id)                                                                                 \
    {                                                                                              \
        str, id                                                                                    \
    }
#define HEND                                                                                       \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

static inline f32 u2f(u32 v)
{
    f32 r;
    memcpy(&r, &v, 4);
    return r;
}
static inline u32 f2u(f32 v)
{
    u32 r;
    memcpy(&r, &v, 4);
    return r;
}
static inline f64 u2d(u64 v)
{
    f64 r;
    memcpy(&r, &v, 8);
    return r;
}
static inline u64 d2u(f64 v)
{
    u64 r;
    memcpy(&r, &v, 8);
    return r;
}
/* Single precision results are canonical NaNs on the device. */
#define CANON32(x)                                                                                 \
    ({                                                                                             \
        f32 x_ = (x);                                                                              \
        x_ != x_ ? u2f(0x7fffffffu) : x_;                                                          \
    })

/* clang-format off */
#define OPS_TABLES(X) X(ops_int) X(ops_bits) X(ops_fp) X(ops_half) X(ops_cmp) X(ops_cvt) X(ops_mem) \
    X(ops_vec) X(ops_atom) X(ops_warp) X(ops_misc) X(ops_tex) X(ops_mma) X(ops_matrix) X(ops_video) X(ops_mbarrier) X(ops_small) X(ops_check)
/* clang-format on */
#define X(n) extern const struct uop_handler ISA(n)[];
/* clang-format off */
OPS_TABLES(X)
/* clang-format on */
#undef X

#endif
