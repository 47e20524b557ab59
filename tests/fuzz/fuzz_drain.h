/* SPDX-License-Identifier: MIT */
/* fuzz_drain.h - what the drain has been given, for those who count. */
#ifndef FUZZ_DRAIN_H
#define FUZZ_DRAIN_H

#include <stdbool.h>
#include <stddef.h>

/* Records that the drain has taken out of the ring, and those of them that broke the rules. */
extern unsigned long fuzz_drain_records, fuzz_drain_violations;
/* NULL, or told of each record by its place in the input. */
extern void (*fuzz_drain_note)(size_t at, bool violation);

#endif
