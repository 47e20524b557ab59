/* SPDX-License-Identifier: MIT */
/*
 * extent.h - first-fit allocator over address ranges. Adjacent free ranges are joined, also over
 * the borders of what was added, so that large blocks can span neighbouring pool chunks. Not
 * thread-safe; never touches the memory it manages.
 */
#ifndef GVM_EXTENT_H
#define GVM_EXTENT_H

#include <stddef.h>
#include <stdint.h>

struct gvm_extent {
    uintptr_t at;
    size_t len;
};

struct gvm_extents {
    struct gvm_extent *v; /* free ranges by address, none adjacent */
    size_t n, cap;
};

/* Adds or gives back [at, at+len). 0, or -ENOMEM (then the range stays unusable). */
int gvm_extents_free(struct gvm_extents *e, uintptr_t at, size_t len);

/* Takes len octets aligned to `align` (a power of two). 0: none fits. */
uintptr_t gvm_extents_alloc(struct gvm_extents *e, size_t len, size_t align);

/* Takes exactly [at, at+len). 0, or -ENOENT when not all of it is free. */
int gvm_extents_take(struct gvm_extents *e, uintptr_t at, size_t len);

size_t gvm_extents_total(const struct gvm_extents *e);
void gvm_extents_clear(struct gvm_extents *e);

#endif
