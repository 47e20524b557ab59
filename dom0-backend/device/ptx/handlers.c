/* SPDX-License-Identifier: MIT */
/* handlers.c - finds micro-op handlers by name, from the tables for this processor. */
#include <cpuid.h>

#include "exec.h"

/* The AVX2 twins may be missing (other compilers, instrumented builds): weak. */
/* clang-format off */
#define OPS_TABLES(X)                                                                              \
    X(ops_int)                                                                                     \
    X(ops_bits) X(ops_fp) X(ops_half) X(ops_cmp) X(ops_cvt) X(ops_mem) X(ops_vec) X(ops_atom)      \
        X(ops_warp) X(ops_misc) X(ops_tex) X(ops_mma) X(ops_matrix) X(ops_video) X(ops_mbarrier) X(ops_small) X(ops_check)
/* clang-format on */
#define X(n)                                                                                       \
    extern const struct uop_handler n##_base[];                                                    \
    extern const struct uop_handler n##_avx2[] __attribute__((weak));
/* clang-format off */
OPS_TABLES(X)
/* clang-format on */
#undef X

#define SIZE 2048u /* power of two, about twice the number of handlers */
static const struct uop_handler *slots[SIZE];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t hash(const char *s)
{
    uint32_t h = 2166136261u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 16777619u;
    return h ^ h >> 15;
}

static void add_table(const struct uop_handler *t)
{
    for (; t->name; t++) {
        uint32_t h = hash(t->name);
        while (slots[h % SIZE])
            h++;
        slots[h % SIZE] = t;
    }
}

/* F16C has no name that every compiler's __builtin_cpu_supports() knows. */
static bool has_avx2(void)
{
    unsigned a, b, c = 0, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_F16C))
        return false;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static void init(void)
{
    const char *force = getenv("GVM_PTX_ISA"); /* "base": for comparing the two sets in tests */
    bool avx2 = has_avx2() && !(force && !strcmp(force, "base"));
#define X(n) add_table(avx2 &&n##_avx2 ? n##_avx2 : n##_base);
    /* clang-format off */
    OPS_TABLES(X)
/* clang-format on */
#undef X
}

const struct uop_handler *ptx_handler(const char *name)
{
    pthread_once(&once, init);
    for (uint32_t h = hash(name); slots[h % SIZE]; h++)
        if (!strcmp(slots[h % SIZE]->name, name))
            return slots[h % SIZE];
    return NULL;
}
