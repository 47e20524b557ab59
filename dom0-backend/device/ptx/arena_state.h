/* SPDX-License-Identifier: MIT */
/*
 * arena_state.h - the arena's part of a saved device: what lies where.
 */
#ifndef GVM_PTX_ARENA_STATE_H
#define GVM_PTX_ARENA_STATE_H

#include "dom0-backend/device/device_state.h"
#include "dom0-backend/device/ptx/arena.h"

/* NULL, or why not. */
const char *arena_unfit(struct arena *a);
/* mem: the `n` that have handles, first of all. CUresult. */
int arena_save(struct arena *a, struct dev_state *s, struct arena_memory *const *mem, uint32_t n);
int arena_load(struct arena *a, struct dev_state *s, struct arena_memory **mem, uint32_t n);
int arena_save_contents(struct arena *a, struct dev_state *s, struct arena_memory *const *mem,
                        uint32_t n);
int arena_load_contents(struct arena *a, struct dev_state *s, struct arena_memory *const *mem,
                        uint32_t n);
/* Octets in live allocations of a kind. */
uint64_t arena_sum(struct arena *a, enum arena_kind kind);

#endif
