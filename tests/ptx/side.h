/* SPDX-License-Identifier: MIT */
/* side.h - one interface to the two devices that run the same PTX: a real GPU and the interpreter. */
#ifndef GVM_TESTS_PTX_SIDE_H
#define GVM_TESTS_PTX_SIDE_H

#include <stddef.h>
#include <stdint.h>

struct side {
    uint64_t (*alloc)(size_t n); /* device memory, never freed; ends the process on failure */
    void (*put)(uint64_t to, const void *from, size_t n);
    void (*get)(void *to, uint64_t from, size_t n);
    /* Loads a module in place of the one before. CUresult; a line in log. */
    int (*load)(const char *text, char *log, size_t log_n);
    /* Runs a kernel of the module, all of whose parameters are 64-bit words, to its end. CUresult. */
    int (*run)(const char *kernel, uint32_t grid, const uint32_t block[3], uint32_t shmem,
               const uint64_t *args, unsigned nargs, char *log, size_t log_n);
};

const struct side *side_gpu(void); /* libcuda.so.1; ends the process without one */
/* The software device's interpreter; lanes >= 0: kernels compiled for so many (0: as it likes). */
const struct side *side_soft(int lanes);

#endif
