/* SPDX-License-Identifier: MIT */
/*
 * check.h - what the conformance programs share. Each prints "NAME ... PASSED" and exits 0, or
 * says what went wrong, prints FAILED and exits 1.
 */
#ifndef GVM_TEST_CHECK_H
#define GVM_TEST_CHECK_H

#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        cudaError_t check_err = (call);                                                            \
        if (check_err != cudaSuccess) {                                                            \
            printf("%s:%d: %s: %d %s (%s)\n", __FILE__, __LINE__, #call, (int)check_err,           \
                   cudaGetErrorName(check_err), cudaGetErrorString(check_err));                    \
            failed();                                                                              \
        }                                                                                          \
    } while (0)

#define EXPECT(cond)                                                                               \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);                              \
            failed();                                                                              \
        }                                                                                          \
    } while (0)

static const char *test_name;

static inline void failed(void)
{
    printf("%s ... FAILED\n", test_name);
    fflush(stdout);
    exit(1);
}

static inline int passed(void)
{
    printf("%s ... PASSED\n", test_name);
    return 0;
}

/* Reproducible numbers in [0, 1). */
static inline float test_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 16777216.0f;
}

#endif
