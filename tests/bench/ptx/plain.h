/* SPDX-License-Identifier: MIT */
/* plain.h - the kernels of the benchmark in C, see plain.c. */
#ifndef GVM_BENCH_PLAIN_H
#define GVM_BENCH_PLAIN_H

#include <stdbool.h>
#include <stdint.h>

struct plain {
    const float *a, *b;
    const uint32_t *x;
    float *o;
};

/* Runs the kernel of that name; false: there is none. */
bool plain_run(const char *name, const struct plain *p);

#endif
