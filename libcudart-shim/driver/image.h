/* SPDX-License-Identifier: MIT */
/*
 * image.h - what a program hands over as code: how long it is, and options for making it.
 */
#ifndef GVM_IMAGE_H
#define GVM_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gvm_image {
    const void *data;
    size_t size;
    void *own; /* what data points into, if it was put together here */
};

/* True for the result of a device link. */
bool gvm_image_linked(const void *image);
/* The octets of an image by its own headers: a fatbin, a cubin, PTX text, or the wrapper that
 * generated code passes (of separately compiled code, all parts in a row). 0, 2 (no memory), 200.
 * The program's memory must stay as it is while *i is used. */
int gvm_image_take(const void *image, struct gvm_image *i);
void gvm_image_drop(struct gvm_image *i);

/* ---- JIT options --------------------------------------------------------------------------- */

#define GVM_JIT_MAX 64

/* Options of one call: numbers go to the worker, buffers stay here. */
struct gvm_jit {
    unsigned n; /* numbers */
    struct {
        uint32_t id;
        uint32_t value;
    } opt[GVM_JIT_MAX];
    char *info, *error; /* the program's buffers for logs */
    uint32_t info_max, error_max;
    void **info_size, **error_size, **wall, **threads; /* where results go; NULL: not asked for */
};

/* CUjit_option and values as numbers. 1: no such option; 801, with a line, for one that means the
 * program's memory. */
int gvm_jit_take(unsigned n, const int *opt, void **val, struct gvm_jit *j);

/* Room in the pool for both logs; len 0 of `room`: no memory. */
struct gvm_logs {
    char *p;
    size_t room; /* half for info, half for errors */
};
int gvm_logs_take(const struct gvm_jit *j, struct gvm_logs *l);
/* Copies what the worker left there to the program's buffers. */
void gvm_logs_give(const struct gvm_jit *j, struct gvm_logs *l);
void gvm_logs_drop(struct gvm_logs *l);

#endif
