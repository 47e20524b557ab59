/* SPDX-License-Identifier: MIT */
/*
 * box.h - copies of boxes: 2D and 3D, between linear memory and arrays.
 */
#ifndef GVM_BOX_H
#define GVM_BOX_H

#include "core.h"

struct vgpu_copy3d;

/* One end. In linear memory the box starts at addr + z * pitch * height + y * pitch + x. */
struct gvm_end {
    bool array;
    uint32_t id;   /* of the array */
    uint64_t addr; /* linear */
    uint64_t x, y, z;
    uint64_t pitch;  /* linear: octets from row to row */
    uint64_t height; /* linear: rows from slice to slice */
};

struct gvm_box {
    struct gvm_end dst, src;
    uint64_t width; /* octets */
    uint64_t height;
    uint64_t depth;
    enum gvm_dir dir; /* an array counts as device memory */
};

/* Copies; extents of 0 copy nothing. sync: the semantics of cuMemcpy3D, else of cuMemcpy3DAsync.
 * 1: an address does not fit the direction or the range. */
GVM_API int gvm_copy_box(const struct gvm_box *b, uint64_t stream, bool sync);

/* Whether the pitch and height given for an end are enough for the box, which must not be empty; 0 is
 * made that of a box without gaps. 1: not enough. */
GVM_API int gvm_box_fit(struct gvm_end *e, const struct gvm_box *b);

/* What an array is: its id and the octets of an element (0: unknown to this build). 400: it is none.
 * In array.c. */
GVM_API int gvm_array_look(uint64_t array, uint32_t *id, unsigned *elem);

struct gvm_chan;
struct gvm_sref;

/* Posts a copy between a staging buffer, which is the source if `put`, and the device. */
int gvm_box_send(struct gvm_chan *c, const struct gvm_sref *s, const struct gvm_box *b, bool put);

/* The same copy as the worker is told, for boxes without pageable memory: 1 if there is some, or
 * if a range is bad. */
int gvm_box_wire(const struct gvm_box *b, struct vgpu_copy3d *w);

#endif
