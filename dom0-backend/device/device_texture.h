/* SPDX-License-Identifier: MIT */
/*
 * device_texture.h - arrays, mipmapped arrays, texture objects and surface objects.
 *
 * Numbers are those of cuda.h (CUarray_format, CUaddress_mode, CUfilter_mode, CUresourcetype,
 * CUresourceViewFormat, CU_TRSF_*, CUDA_ARRAY3D_*), not yet checked: the device answers what the
 * driver answers to wrong ones (1, mostly).
 */
#ifndef GVM_DEVICE_TEXTURE_H
#define GVM_DEVICE_TEXTURE_H

#include "dom0-backend/device/device.h"

struct dev_array;
struct dev_mipmap;

/* CUDA_ARRAY3D_DESCRIPTOR: in elements; depth is the number of layers (6 each for cube maps) where
 * the flags say so. */
struct dev_array_desc {
    uint64_t width, height, depth;
    uint32_t format, channels, flags;
};

enum dev_restype { DEV_RES_ARRAY, DEV_RES_MIPMAP, DEV_RES_LINEAR, DEV_RES_PITCH2D };

/* CUDA_RESOURCE_DESC, by type. */
struct dev_resource {
    enum dev_restype type;
    struct dev_array *array;   /* ARRAY */
    struct dev_mipmap *mipmap; /* MIPMAP */
    uint64_t addr;             /* LINEAR, PITCH2D: device address */
    uint64_t bytes;            /* LINEAR */
    uint64_t width, height;    /* PITCH2D: elements, rows */
    uint64_t pitch;            /* PITCH2D: octets */
    uint32_t format, channels; /* LINEAR, PITCH2D */
};

/* CUDA_TEXTURE_DESC. */
struct dev_sampler {
    uint32_t address[3];
    uint32_t filter, flags, aniso, mip_filter;
    float mip_bias, mip_min, mip_max;
    float border[4];
};

/* CUDA_RESOURCE_VIEW_DESC. */
struct dev_view {
    uint32_t format;
    uint64_t width, height, depth;
    uint32_t first_level, last_level, first_layer, last_layer;
};

struct dev_texture_ops {
    /* cuArray3DCreate_v2, cuArrayDestroy; counts against the quota. */
    int (*array_create)(struct dev *d, const struct dev_array_desc *desc, struct dev_array **out);
    int (*array_destroy)(struct dev *d, struct dev_array *a);

    /* cuMipmappedArrayCreate, -Destroy, -GetLevel. A level is an array of its own to the worker and
     * ends with array_destroy(); it keeps what it is part of alive. */
    int (*mipmap_create)(struct dev *d, const struct dev_array_desc *desc, uint32_t levels,
                         struct dev_mipmap **out);
    int (*mipmap_destroy)(struct dev *d, struct dev_mipmap *m);
    int (*mipmap_level)(struct dev *d, struct dev_mipmap *m, uint32_t level,
                        struct dev_array **out);

    /* cuTexObjectCreate (view may be NULL), cuSurfObjectCreate, and their ends. Handles are what
     * kernels use; the worker hands none to destroy that it was not given. */
    int (*texture_create)(struct dev *d, const struct dev_resource *r, const struct dev_sampler *s,
                          const struct dev_view *v, uint64_t *handle);
    int (*texture_destroy)(struct dev *d, uint64_t handle);
    int (*surface_create)(struct dev *d, struct dev_array *a, uint64_t *handle);
    int (*surface_destroy)(struct dev *d, uint64_t handle);
};

#endif
