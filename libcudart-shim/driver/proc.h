/* SPDX-License-Identifier: MIT */
/*
 * proc.h - the table that procs.py makes of everything exported: which form of a function a version
 * of CUDA means by a name.
 */
#ifndef GVM_PROC_H
#define GVM_PROC_H

#include <stddef.h>
#include <stdint.h>

struct gvm_proc_entry {
    const char *name; /* without suffixes */
    int32_t version;  /* of CUDA that brought this form */
    int32_t twin;     /* 1: for the per-thread default stream */
    void *fn;
};

/* Sorted by name, then functions before twins, then version. */
extern const struct gvm_proc_entry gvm_procs[];
extern const size_t gvm_nprocs;

#endif
