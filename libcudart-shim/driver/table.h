/* SPDX-License-Identifier: MIT */
/*
 * table.h - reading a module's table (struct vgpu_table_* in calls.h). It comes from the worker, so
 * every length in it is checked before it is used.
 */
#ifndef GVM_TABLE_H
#define GVM_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "calls.h"

struct gvm_table_count {
    uint32_t nfunc;
    uint32_t nparam;     /* of all functions */
    uint32_t name_bytes; /* of all functions' names, a NUL each included */
    size_t at;           /* next function, for gvm_table_next() */
};

struct gvm_table_func {
    uint32_t nparam;
    uint32_t param_bytes;
    uint32_t name_len;
    const struct vgpu_table_param *params;
    const char *name; /* name_len octets */
};

/* Checks the table `t` of `size` octets (8-aligned, a private copy) and counts. -1: malformed. */
int gvm_table_count(const uint8_t *t, size_t size, struct gvm_table_count *n);

/* The next function of a table that gvm_table_count() has accepted; at most nfunc times. */
void gvm_table_next(const uint8_t *t, struct gvm_table_count *n, struct gvm_table_func *f);

#endif
