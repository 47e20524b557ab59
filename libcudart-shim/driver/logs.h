/* SPDX-License-Identifier: MIT */
/*
 * logs.h - the error log of cuLogs* and cudaLogs*: what this library has had to say, its last lines.
 */
#ifndef GVM_LOGS_H
#define GVM_LOGS_H

#include <stddef.h>
#include <stdint.h>

#include "core.h"

typedef void gvm_logs_fn(void *arg, int level, char *text, size_t n);

/* Errors: 1 for what is NULL and must not be, or not a handle. flags are 0. */
GVM_API int gvm_logs_register(gvm_logs_fn *fn, void *arg, void **handle);
GVM_API int gvm_logs_unregister(void *handle);
GVM_API int gvm_logs_current(unsigned *at);
/* Lines from *at on (NULL: all that are kept), each with its end; *at moves on. 1: no such file. */
GVM_API int gvm_logs_to_file(unsigned *at, const char *path);
/* *size: room, then what was written, with a NUL. Lines that do not fit are left out, the first ones
 * first. */
GVM_API int gvm_logs_to_memory(unsigned *at, char *buf, size_t *size);

#endif
