/* SPDX-License-Identifier: MIT */
/* ptx_fixture.h - runs PTX text in a unit test: a small window, a bump allocator, one launch call. */
#ifndef GVM_TESTS_PTX_FIXTURE_H
#define GVM_TESTS_PTX_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dom0-backend/device/ptx/ptx.h"

extern struct ptx_fault pf_fault;  /* of the last launch */
extern char pf_log[512];           /* of the last load or prepare */
extern char pf_printed[4096];      /* what the kernel printed since the last load */
extern struct ptx_launch pf_extra; /* shmem, stop and so on for the next launches */

int pf_setup(void **state);
uint64_t pf_alloc(size_t bytes); /* zeroed device memory; a hole follows each block */
struct ptx_mem pf_mem(void);
/* Parses body between a header and the text as it is; module replaces the one before. */
int pf_load(const char *ptx);
int pf_load_sm(const char *body); /* with .version, .target and .address_size in front */
/* Runs the kernel of that name; parameters are given as 64-bit words and cut to their sizes. */
int pf_run(const char *kernel, uint32_t grid, uint32_t block, unsigned nargs, ...);
int pf_run3(const char *kernel, const uint32_t grid[3], const uint32_t block[3], unsigned nargs,
            const uint64_t *args);
struct ptx_module *pf_module(void);
bool pf_compiler(void);        /* the plug-in is there; if not, says why the test is skipped */
void pf_lanes(unsigned lanes); /* launches are compiled for so many, or interpreted (0) */
static inline uint32_t *pf_u32(uint64_t a)
{
    return (uint32_t *)(uintptr_t)a;
}

#endif
