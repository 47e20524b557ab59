/* SPDX-License-Identifier: MIT */
/*
 * transcript.h - for conformance programs whose oracle is a transcript: every call, its return code
 * and a digest of what it produced, one line each, so that the same program on bare metal and in a
 * guest can be compared line by line.
 *
 * A program lives in tests/conformance/FAMILY/, as a .c file (host code only, compiled by gcc) or a
 * .cu file (nvcc), and starts with a comment
 *
 *     / * covers: cudaFoo cuBar ... * /
 *
 * that names the exported functions for which it is a test: one that fails when the function does
 * not do its work. Everything printed must be the same in every native run, but for lines that
 * say otherwise:
 *
 *     NAME = VALUE     compared everywhere
 *     NAME @ VALUE     depends on the device: compared with native on the same GPU, but not between
 *                      a GPU and the software device
 *     NAME ~ VALUE     volatile (times, addresses, ids): VALUE is not compared
 */
#ifndef GVM_TEST_TRANSCRIPT_H
#define GVM_TEST_TRANSCRIPT_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any call that returns cudaError_t or CUresult; is the call's result. */
#define T(call) t_call(#call, (int)(call))
/* For set-up that must work: says where it did not, and ends the program. */
#define T_OK(call)                                                                                 \
    do {                                                                                           \
        int t_rc = T(call);                                                                        \
        if (t_rc) {                                                                                \
            printf("%s:%d: set-up failed\n", __FILE__, __LINE__);                                  \
            exit(3);                                                                               \
        }                                                                                          \
    } while (0)

#define T_INT(name, v)      printf("%s = %lld\n", name, (long long)(v))
#define T_HEX(name, v)      printf("%s = %#llx\n", name, (unsigned long long)(v))
#define T_STR(name, v)      printf("%s = %s\n", name, v)
#define T_BOOL(name, v)     printf("%s = %s\n", name, (v) ? "yes" : "no")
#define T_DEVICE(name, v)   printf("%s @ %lld\n", name, (long long)(v))
#define T_VOLATILE(name, v) printf("%s ~ %lld\n", name, (long long)(v))
/* FNV-1a of n octets. Floating point results belong here only where the arithmetic is exact. */
#define T_DIGEST(name, p, n)                                                                       \
    printf("%s = digest %016" PRIx64 " of %zu\n", name, t_digest(p, n), (size_t)(n))

#ifdef __cplusplus
#define T_INLINE static inline
#else
#define T_INLINE static inline __attribute__((unused))
#endif

/* Lines reach the pipe one by one, in order with what the device prints. */
__attribute__((constructor)) T_INLINE void t_begin(void)
{
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
}

/* One line per call; the text without addresses or anything else that varies. */
T_INLINE int t_call(const char *text, int rc)
{
    printf("%s = %d\n", text, rc);
    fflush(stdout);
    return rc;
}

T_INLINE uint64_t t_digest(const void *p, size_t n)
{
    const uint8_t *b = (const uint8_t *)p;
    uint64_t h = 0xcbf29ce484222325ull;

    while (n--)
        h = (h ^ *b++) * 0x100000001b3ull;
    return h;
}

/* Reproducible octets. */
T_INLINE void t_fill(void *p, size_t n, uint32_t seed)
{
    uint8_t *b = (uint8_t *)p;

    while (n--) {
        seed = seed * 1664525u + 1013904223u;
        *b++ = (uint8_t)(seed >> 24);
    }
}

#endif
