/* SPDX-License-Identifier: MIT */
/* randprog.h - random structured programs in PTX, the same ones for a seed everywhere. */
#ifndef GVM_TESTS_PTX_RANDPROG_H
#define GVM_TESTS_PTX_RANDPROG_H

#include <stdbool.h>
#include <stdint.h>

#define RAND_WORDS 64u   /* 32-bit words of a thread's own memory */
#define RAND_TABLE 8192u /* octets of the table that all read */
#define RAND_COUNT 32u   /* words that all add to */

struct rand_shape {
    uint32_t grid; /* CTAs */
    uint32_t block[3];
};
/* Grid and block for a seed: 1 to 1024 threads, one to three dimensions. */
const struct rand_shape *rand_shape(uint64_t seed);
uint32_t rand_threads(const struct rand_shape *s); /* of a block */
void rand_table(uint8_t t[RAND_TABLE]);

/*
 * The text of the program for a seed: kernel k(memory, table, counters), where thread t of the grid
 * owns words [t * RAND_WORDS, (t + 1) * RAND_WORDS) of memory, which start as zero, as the counters
 * do. lanes_work: with shuffles and votes, for blocks of whole warps. exact: no approximate
 * instructions. Valid until the next call; ends the process when the text does not fit.
 */
const char *rand_program(uint64_t seed, bool lanes_work, bool exact);

#endif
