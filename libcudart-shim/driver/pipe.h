/* SPDX-License-Identifier: MIT */
/*
 * pipe.h - boxes between pageable memory and the device, through staging buffers. While the device
 * moves one buffer, the program's thread and the crew (crew.h) copy others. Each octet is copied once
 * here; a box without gaps travels as one row.
 */
#ifndef GVM_PIPE_H
#define GVM_PIPE_H

#include "box.h"
#include "objects.h"

/* Copies the box whose source is pageable memory; its destination is device memory or an array, the
 * linear ends' addresses are those of the first octet. On return the source has been read, and the
 * copies are posted on the stream. 0 or a CUresult. */
int gvm_pipe_put(struct gvm_chan *c, const struct gvm_sref *s, const struct gvm_box *b);

/* The other way; complete on return. */
int gvm_pipe_get(struct gvm_chan *c, const struct gvm_sref *s, const struct gvm_box *b);

/* What this process has copied so far: for tests. */
struct gvm_pipe_stats {
    uint64_t octets; /* between staging buffers and pageable memory */
    uint64_t helped; /* of those, by the crew */
};
extern struct gvm_pipe_stats gvm_pipe_stats;

#endif
