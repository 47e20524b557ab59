/* SPDX-License-Identifier: MIT */
/*
 * array.h - arrays, mipmapped arrays, texture and surface objects. Handles of arrays are minted
 * here; those of texture and surface objects are the device's own, because kernels use them.
 */
#ifndef GVM_ARRAY_H
#define GVM_ARRAY_H

#include <cuda.h>

#include "core.h"

struct gvm_box;
struct gvm_end;

/* CUDA_ARRAY3D_DESCRIPTOR; levels > 0: a mipmapped array. 801: a format that is not supported. */
GVM_API int gvm_array_create(const CUDA_ARRAY3D_DESCRIPTOR *q, unsigned levels, uint64_t *array);
/* 400: no such array (mipmap: mipmapped array). */
GVM_API int gvm_array_destroy(uint64_t array, bool mipmap);
GVM_API int gvm_array_desc(uint64_t array, bool mipmap, CUDA_ARRAY3D_DESCRIPTOR *q);
/* The array of a level; the same one each time. */
GVM_API int gvm_array_level(uint64_t mipmap, unsigned level, uint64_t *array);

/* Octets of an element; 0: not a supported format. */
GVM_API unsigned gvm_format_bytes(unsigned format, unsigned channels);

/* Copies n octets, as if the rows of the array were one behind the other, from octet x of row y
 * on, to or from linear memory. */
GVM_API int gvm_array_copy(uint64_t array, size_t x, size_t y, uint64_t addr, size_t n,
                           bool to_array, enum gvm_dir dir, uint64_t stream, bool sync);
/* Array to array, in the same manner. */
GVM_API int gvm_array_copy_array(uint64_t dst, size_t dx, size_t dy, uint64_t src, size_t sx,
                                 size_t sy, size_t n, uint64_t stream, bool sync);

/* Id of a mipmapped array; 400: it is none. */
int gvm_mipmap_look(uint64_t mipmap, uint32_t *id);

/* 0 or 1: whether the box lies in the array of this end. */
int gvm_array_fits(const struct gvm_end *e, const struct gvm_box *b);

/* view may be NULL. */
GVM_API int gvm_texture_create(const CUDA_RESOURCE_DESC *r, const CUDA_TEXTURE_DESC *t,
                               const CUDA_RESOURCE_VIEW_DESC *v, uint64_t *handle);
GVM_API int gvm_surface_create(const CUDA_RESOURCE_DESC *r, uint64_t *handle);
/* 1: no such object. */
GVM_API int gvm_texture_destroy(uint64_t handle, bool surface);
/* What it was made of; each may be NULL. A view that there is none of is all 0. */
GVM_API int gvm_texture_desc(uint64_t handle, bool surface, CUDA_RESOURCE_DESC *r,
                             CUDA_TEXTURE_DESC *t, CUDA_RESOURCE_VIEW_DESC *v);

/* Destroys what a context has made; NULL with all set: forgets everything, the connection is
 * gone. */
void gvm_arrays_end(const void *owner, bool all);
void gvm_textures_end(const void *owner, bool all);

#endif
