/* SPDX-License-Identifier: MIT */
/*
 * upcall.h - functions of the program that run at a point of a stream or graph: host functions,
 * stream callbacks, and copies from and to ordinary memory inside of graphs.
 *
 * The worker says when such a point is reached; a thread of this library, started at the first use,
 * runs the function. One at a time, in the order in which the device reached them. CUDA calls
 * inside a function of the program fail with CUDA_ERROR_NOT_PERMITTED.
 */
#ifndef GVM_UPCALL_H
#define GVM_UPCALL_H

#include "state.h"

/* status: 0, or the sticky error of the context. */
typedef void gvm_upcall_fn(void *arg, int status);

struct gvm_upcall {
    gvm_upcall_fn *fn;
    void *arg;
    bool kept;    /* runs more than once; else its number is free after one run */
    bool program; /* it is the program's own code */
};

/* Numbers a function and makes sure that the thread runs. 0, or 2. */
int gvm_upcall_new(struct gvm_chan *c, const struct gvm_upcall *u, uint32_t *id);
/* Frees the number of one that was not issued, or will not run any more. */
void gvm_upcall_free(uint32_t id);

/* Ends the thread, before the channel ends. */
void gvm_upcall_stop(struct gvm_chan *c);

#endif
