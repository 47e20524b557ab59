/* SPDX-License-Identifier: MIT */
/*
 * errors.h - numbers, names and texts of CUDA's errors. Both APIs use the same numbers.
 */
#ifndef GVM_ERRORS_H
#define GVM_ERRORS_H

struct gvm_error {
    int number;
    const char *driver;  /* "CUDA_ERROR_...", NULL if the driver API has no such error */
    const char *runtime; /* "cudaError...", NULL likewise */
    const char *text;
};

/* NULL: no such error. */
const struct gvm_error *gvm_error_find(int number);

#endif
