/* SPDX-License-Identifier: MIT */
/* cuda_array.h - arrays, for textures and copies. */
#ifndef GVM_CUDA_ARRAY_H
#define GVM_CUDA_ARRAY_H

#include "cuda_int.h"
#include "dom0-backend/device/device_texture.h"

struct dev_mipmap {
    CUmipmappedArray m;
    uint64_t bytes;        /* charged */
    _Atomic unsigned refs; /* itself and arrays of levels */
};

struct dev_array {
    CUarray a;
    uint64_t bytes;            /* charged */
    struct dev_mipmap *parent; /* a level: not destroyed by itself */
};

extern const struct dev_texture_ops dev_cuda_texture_ops;
extern const struct dev_copy_ops dev_cuda_copy_ops;

#endif
