/* SPDX-License-Identifier: MIT */
/*
 * mutate.h - a plan, taken from the end of a fuzz input, of how shared memory changes under the
 * reader: entries of five octets (reads to wait, offset, value), preceded by the rest of the input
 * and followed by one octet that counts them. An input that ends in 0 has no plan.
 */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

/* Takes the plan off the input and aims it at mem[0..mem_len); returns the octets that are left. */
size_t mutate_plan(const uint8_t *data, size_t size, void *mem, size_t mem_len);
/* From now on the plan runs at every hook, or not. */
void mutate_on(int on);

#endif
