/* SPDX-License-Identifier: MIT */
/* randcall.h - random programs of functions that call each other, the same ones for a seed everywhere. */
#ifndef GVM_TESTS_PTX_RANDCALL_H
#define GVM_TESTS_PTX_RANDCALL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The text of the program for a seed: kernel k(memory, table, counters) as in randprog.h. Functions have
 * arguments of three kinds and local memory, call each other by name and by pointer, recursively too,
 * return early, jump by tables; some have barriers. lanes_work: with shuffles, for blocks of whole warps.
 * Order between threads makes no difference. Valid until the next call.
 */
const char *randcall_program(uint64_t seed, bool lanes_work);

#endif
