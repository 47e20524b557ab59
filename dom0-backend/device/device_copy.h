/* SPDX-License-Identifier: MIT */
/*
 * device_copy.h - copies of boxes between host memory, device memory and arrays, in the manner of
 * CUDA_MEMCPY3D. One descriptor serves plain calls and the nodes of graphs.
 */
#ifndef GVM_DEVICE_COPY_H
#define GVM_DEVICE_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "dom0-backend/device/device.h"

struct dev_array; /* device_texture.h */

/* CUmemorytype's numbers. */
enum dev_memtype { DEV_MEM_HOST = 1, DEV_MEM_DEVICE = 2, DEV_MEM_ARRAY = 3 };

/* One end of a copy. The box starts at (x, y, z); in linear memory that is
 * addr + z * pitch * height + y * pitch + x. */
struct dev_copy_side {
    enum dev_memtype type;
    uint64_t addr;           /* HOST: address in the worker; DEVICE: device address */
    struct dev_array *array; /* ARRAY */
    uint64_t x, y, z;        /* x in octets; z is the layer of a layered array */
    uint64_t pitch;          /* linear: octets from row to row; 0 only if there is one row */
    uint64_t height;         /* linear: rows from slice to slice; 0 only if there is one slice */
};

struct dev_copy {
    struct dev_copy_side dst, src;
    uint64_t width; /* octets; all three at least 1 */
    uint64_t height;
    uint64_t depth;
};

/* First octet and length of what a box takes in linear memory, gaps between its rows included.
 * False: the numbers overflow. */
static inline bool dev_copy_span(const struct dev_copy_side *s, uint64_t width, uint64_t height,
                                 uint64_t depth, uint64_t *first, uint64_t *len)
{
    uint64_t slice, a, b, c;

    if (!width || !height || !depth || __builtin_mul_overflow(s->pitch, s->height, &slice) ||
        __builtin_mul_overflow(s->z, slice, &a) || __builtin_mul_overflow(s->y, s->pitch, &b) ||
        __builtin_add_overflow(a, b, &c) || __builtin_add_overflow(c, s->x, &c) ||
        __builtin_add_overflow(c, s->addr, first))
        return false;
    if (__builtin_mul_overflow(depth - 1, slice, &a) ||
        __builtin_mul_overflow(height - 1, s->pitch, &b) || __builtin_add_overflow(a, b, &c) ||
        __builtin_add_overflow(c, width, len) || __builtin_add_overflow(*first, *len, &c))
        return false;
    return true;
}

#define DEV_NOT_STAGED (-1)

struct dev_copy_ops {
    /* cuMemcpy3DAsync_v2. Host ranges are good for the whole span (the worker has checked); device
     * ranges and the bounds of arrays are checked here: 1. The descriptor is not kept. Both ends
     * may be host memory, then it is a copy in stream order that the device does on its own. */
    int (*copy3d)(struct dev *d, struct dev_stream *s, const struct dev_copy *c);
    /* Optional: copies of pool memory that nothing in the stream uses but the copy. stage_put: the
     * source has been read on return. stage_get: not a step of the stream for its host side; when the
     * octets are there, value is stored at `where` (counter page) and told(arg) called (any thread,
     * must not block). 0, a CUresult, or DEV_NOT_STAGED: nothing done, copy_h2d() or copy_d2h() and
     * stream_write32() are to be used. */
    int (*stage_put)(struct dev *d, struct dev_stream *s, uint64_t dst, const void *src, size_t n);
    int (*stage_get)(struct dev *d, struct dev_stream *s, void *dst, uint64_t src, size_t n,
                     uint32_t *where, uint32_t value, void (*told)(void *arg), void *arg);
};

#endif
