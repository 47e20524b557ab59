/* SPDX-License-Identifier: MIT */
/*
 * cuda_texture.c - arrays, texture and surface objects of the real driver. Numbers that would reach
 * it as enumerations are checked first: what it does with others is not defined.
 */
#include <stdlib.h>
#include <string.h>

#include "cuda_array.h"

#define ARRAY_FLAGS                                                                                \
    (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST | CUDA_ARRAY3D_CUBEMAP |                     \
     CUDA_ARRAY3D_TEXTURE_GATHER | CUDA_ARRAY3D_DEPTH_TEXTURE | CUDA_ARRAY3D_COLOR_ATTACHMENT)
#define TEXTURE_FLAGS                                                                              \
    (CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_SRGB |                     \
     CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION | CU_TRSF_SEAMLESS_CUBEMAP)

/* ---- arrays ------------------------------------------------------------------------------ */

/* Octets of a channel; 0: not a format that arrays of guests have. */
static unsigned channel_bytes(uint32_t format)
{
    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return 1;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 2;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 4;
    default:
        if (format < CU_AD_FORMAT_UNORM_INT8X1 || format > CU_AD_FORMAT_SNORM_INT16X4)
            return 0;
        /* By sign, width, channels. */
        return 1u << (format - CU_AD_FORMAT_UNORM_INT8X1) / 3 % 2;
    }
}

/* Describes the array and takes its octets from the quota; levels only ever add a third. */
static int admit(struct dev *d, const struct dev_array_desc *q, bool mipmapped,
                 CUDA_ARRAY3D_DESCRIPTOR *out, uint64_t *bytes)
{
    unsigned elem = channel_bytes(q->format) * q->channels;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (!channel_bytes(q->format) || q->channels > 4)
        return CUDA_ERROR_INVALID_VALUE;
    if (q->flags & ~(uint32_t)ARRAY_FLAGS)
        return q->flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING)
                   ? CUDA_ERROR_NOT_SUPPORTED
                   : CUDA_ERROR_INVALID_VALUE;
    if (__builtin_mul_overflow(q->width, (uint64_t)elem, bytes) ||
        __builtin_mul_overflow(*bytes, q->height ? q->height : 1, bytes) ||
        __builtin_mul_overflow(*bytes, q->depth ? q->depth : 1, bytes) || *bytes > INT64_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    if (mipmapped)
        *bytes += *bytes / 3;
    *out = (CUDA_ARRAY3D_DESCRIPTOR){.Width = q->width,
                                     .Height = q->height,
                                     .Depth = q->depth,
                                     .Format = (CUarray_format)q->format,
                                     .NumChannels = q->channels,
                                     .Flags = q->flags};
    return cudev_charge(d, *bytes);
}

static int array_create(struct dev *d, const struct dev_array_desc *q, struct dev_array **out)
{
    CUDA_ARRAY3D_DESCRIPTOR desc;
    struct dev_array *a;
    uint64_t bytes;
    int err = admit(d, q, false, &desc, &bytes);

    if (err)
        return err;
    a = calloc(1, sizeof(*a));
    err = a ? cudev_rc(d, cu.cuArray3DCreate_v2(&a->a, &desc), "creating an array")
            : CUDA_ERROR_OUT_OF_MEMORY;
    if (!err) {
        err = cudev_clear_array(d, a->a, NULL, 1, channel_bytes(q->format) * q->channels, &desc);
        if (err)
            cu.cuArrayDestroy(a->a);
    }
    if (err) {
        cudev_uncharge(d, bytes);
        free(a);
        return err;
    }
    a->bytes = bytes;
    *out = a;
    return 0;
}

static int mipmap_put(struct dev *d, struct dev_mipmap *m)
{
    int err;

    if (atomic_fetch_sub(&m->refs, 1) != 1)
        return 0;
    err = cudev_enter(d);
    if (!err)
        err = cudev_rc(d, cu.cuMipmappedArrayDestroy(m->m), "destroying a mipmapped array");
    cudev_uncharge(d, m->bytes);
    free(m);
    return err;
}

static int array_destroy(struct dev *d, struct dev_array *a)
{
    int err;

    if (a->parent) {
        err = mipmap_put(d, a->parent);
    } else {
        err = cudev_enter(d);
        if (!err)
            err = cudev_rc(d, cu.cuArrayDestroy(a->a), "destroying an array");
        cudev_uncharge(d, a->bytes);
    }
    free(a);
    return err;
}

static int mipmap_create(struct dev *d, const struct dev_array_desc *q, uint32_t levels,
                         struct dev_mipmap **out)
{
    CUDA_ARRAY3D_DESCRIPTOR desc;
    struct dev_mipmap *m;
    uint64_t bytes;
    int err = admit(d, q, true, &desc, &bytes);

    if (err)
        return err;
    m = calloc(1, sizeof(*m));
    err = m ? cudev_rc(d, cu.cuMipmappedArrayCreate(&m->m, &desc, levels),
                       "creating a mipmapped array")
            : CUDA_ERROR_OUT_OF_MEMORY;
    if (!err) {
        err =
            cudev_clear_array(d, NULL, m->m, levels, channel_bytes(q->format) * q->channels, &desc);
        if (err)
            cu.cuMipmappedArrayDestroy(m->m);
    }
    if (err) {
        cudev_uncharge(d, bytes);
        free(m);
        return err;
    }
    m->bytes = bytes;
    atomic_init(&m->refs, 1);
    *out = m;
    return 0;
}

static int mipmap_level(struct dev *d, struct dev_mipmap *m, uint32_t level, struct dev_array **out)
{
    struct dev_array *a;
    int err = cudev_enter(d);

    if (err)
        return err;
    a = calloc(1, sizeof(*a));
    if (!a)
        return CUDA_ERROR_OUT_OF_MEMORY;
    err = cudev_rc(d, cu.cuMipmappedArrayGetLevel(&a->a, m->m, level), "finding a level");
    if (err) {
        free(a);
        return err;
    }
    atomic_fetch_add(&m->refs, 1);
    a->parent = m;
    *out = a;
    return 0;
}

/* ---- texture and surface objects --------------------------------------------------------- */

static int resource(const struct dev_resource *r, CUDA_RESOURCE_DESC *out)
{
    memset(out, 0, sizeof(*out));
    switch (r->type) {
    case DEV_RES_ARRAY:
        out->resType = CU_RESOURCE_TYPE_ARRAY;
        out->res.array.hArray = r->array->a;
        return 0;
    case DEV_RES_MIPMAP:
        out->resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;
        out->res.mipmap.hMipmappedArray = r->mipmap->m;
        return 0;
    case DEV_RES_LINEAR:
        out->resType = CU_RESOURCE_TYPE_LINEAR;
        out->res.linear.devPtr = r->addr;
        out->res.linear.format = (CUarray_format)r->format;
        out->res.linear.numChannels = r->channels;
        out->res.linear.sizeInBytes = r->bytes;
        break;
    case DEV_RES_PITCH2D:
        out->resType = CU_RESOURCE_TYPE_PITCH2D;
        out->res.pitch2D.devPtr = r->addr;
        out->res.pitch2D.format = (CUarray_format)r->format;
        out->res.pitch2D.numChannels = r->channels;
        out->res.pitch2D.width = r->width;
        out->res.pitch2D.height = r->height;
        out->res.pitch2D.pitchInBytes = r->pitch;
        break;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    return channel_bytes(r->format) ? 0 : CUDA_ERROR_INVALID_VALUE;
}

static int sampler(const struct dev_sampler *s, CUDA_TEXTURE_DESC *out)
{
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < 3; i++) {
        if (s->address[i] > CU_TR_ADDRESS_MODE_BORDER)
            return CUDA_ERROR_INVALID_VALUE;
        out->addressMode[i] = (CUaddress_mode)s->address[i];
    }
    if (s->filter > CU_TR_FILTER_MODE_LINEAR || s->mip_filter > CU_TR_FILTER_MODE_LINEAR ||
        s->flags & ~(uint32_t)TEXTURE_FLAGS)
        return CUDA_ERROR_INVALID_VALUE;
    out->filterMode = (CUfilter_mode)s->filter;
    out->flags = s->flags;
    out->maxAnisotropy = s->aniso;
    out->mipmapFilterMode = (CUfilter_mode)s->mip_filter;
    out->mipmapLevelBias = s->mip_bias;
    out->minMipmapLevelClamp = s->mip_min;
    out->maxMipmapLevelClamp = s->mip_max;
    memcpy(out->borderColor, s->border, sizeof(out->borderColor));
    return 0;
}

static int view(const struct dev_view *v, CUDA_RESOURCE_VIEW_DESC *out)
{
    memset(out, 0, sizeof(*out));
    if (v->format > CU_RES_VIEW_FORMAT_UNSIGNED_BC7)
        return CUDA_ERROR_INVALID_VALUE;
    out->format = (CUresourceViewFormat)v->format;
    out->width = v->width;
    out->height = v->height;
    out->depth = v->depth;
    out->firstMipmapLevel = v->first_level;
    out->lastMipmapLevel = v->last_level;
    out->firstLayer = v->first_layer;
    out->lastLayer = v->last_layer;
    return 0;
}

static int texture_create(struct dev *d, const struct dev_resource *r, const struct dev_sampler *s,
                          const struct dev_view *v, uint64_t *handle)
{
    CUDA_RESOURCE_VIEW_DESC vd;
    CUDA_RESOURCE_DESC rd;
    CUDA_TEXTURE_DESC td;
    CUtexObject o = 0;
    int err = cudev_enter(d);

    if (!err)
        err = resource(r, &rd);
    if (!err)
        err = sampler(s, &td);
    if (!err && v)
        err = view(v, &vd);
    if (!err)
        err = cudev_rc(d, cu.cuTexObjectCreate(&o, &rd, &td, v ? &vd : NULL),
                       "creating a texture object");
    if (!err)
        *handle = o;
    return err;
}

static int texture_destroy(struct dev *d, uint64_t handle)
{
    int err = cudev_enter(d);

    return err ? err : cudev_rc(d, cu.cuTexObjectDestroy(handle), "destroying a texture object");
}

static int surface_create(struct dev *d, struct dev_array *a, uint64_t *handle)
{
    CUDA_RESOURCE_DESC rd = {.resType = CU_RESOURCE_TYPE_ARRAY};
    CUsurfObject o = 0;
    int err = cudev_enter(d);

    rd.res.array.hArray = a->a;
    if (!err)
        err = cudev_rc(d, cu.cuSurfObjectCreate(&o, &rd), "creating a surface object");
    if (!err)
        *handle = o;
    return err;
}

static int surface_destroy(struct dev *d, uint64_t handle)
{
    int err = cudev_enter(d);

    return err ? err : cudev_rc(d, cu.cuSurfObjectDestroy(handle), "destroying a surface object");
}

const struct dev_texture_ops dev_cuda_texture_ops = {
    .array_create = array_create,
    .array_destroy = array_destroy,
    .mipmap_create = mipmap_create,
    .mipmap_destroy = mipmap_put,
    .mipmap_level = mipmap_level,
    .texture_create = texture_create,
    .texture_destroy = texture_destroy,
    .surface_create = surface_create,
    .surface_destroy = surface_destroy,
};
