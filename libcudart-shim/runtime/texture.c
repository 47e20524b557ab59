/* SPDX-License-Identifier: MIT */
/*
 * texture.c - texture and surface objects.
 */
#include "array.h"

#include <string.h>

/* Not the driver's numbers, which has 1 for both. */
#define INVALID_FILTER 26 /* cudaErrorInvalidFilterSetting */
#define INVALID_NORM   27 /* cudaErrorInvalidNormSetting */

/* ---- descriptions ------------------------------------------------------------------------ */

static int resource(const struct cudaResourceDesc *d, CUDA_RESOURCE_DESC *r,
                    struct cudaChannelFormatDesc *elem)
{
    CUDA_ARRAY3D_DESCRIPTOR q;
    int err;

    memset(r, 0, sizeof(*r));
    r->flags = d->flags;
    switch (d->resType) {
    case cudaResourceTypeArray:
    case cudaResourceTypeMipmappedArray:
        r->resType = d->resType == cudaResourceTypeArray ? CU_RESOURCE_TYPE_ARRAY
                                                         : CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;
        r->res.array.hArray = (CUarray)d->res.array.array; /* the same place for both */
        err = gvm_array_desc((uintptr_t)d->res.array.array,
                             d->resType == cudaResourceTypeMipmappedArray, &q);
        if (err == 0)
            *elem = rt_channel_desc(q.Format, q.NumChannels);
        return err;
    case cudaResourceTypeLinear:
        r->resType = CU_RESOURCE_TYPE_LINEAR;
        r->res.linear.devPtr = rt_addr(d->res.linear.devPtr);
        r->res.linear.sizeInBytes = d->res.linear.sizeInBytes;
        *elem = d->res.linear.desc;
        return rt_format(elem, &r->res.linear.format, &r->res.linear.numChannels);
    case cudaResourceTypePitch2D:
        r->resType = CU_RESOURCE_TYPE_PITCH2D;
        r->res.pitch2D.devPtr = rt_addr(d->res.pitch2D.devPtr);
        r->res.pitch2D.width = d->res.pitch2D.width;
        r->res.pitch2D.height = d->res.pitch2D.height;
        r->res.pitch2D.pitchInBytes = d->res.pitch2D.pitchInBytes;
        *elem = d->res.pitch2D.desc;
        return rt_format(elem, &r->res.pitch2D.format, &r->res.pitch2D.numChannels);
    default:
        return 1;
    }
}

static void resource_back(const CUDA_RESOURCE_DESC *r, struct cudaResourceDesc *d)
{
    memset(d, 0, sizeof(*d));
    d->flags = r->flags;
    switch (r->resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        d->resType = cudaResourceTypeArray;
        d->res.array.array = (cudaArray_t)r->res.array.hArray;
        break;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
        d->resType = cudaResourceTypeMipmappedArray;
        d->res.mipmap.mipmap = (cudaMipmappedArray_t)r->res.mipmap.hMipmappedArray;
        break;
    case CU_RESOURCE_TYPE_LINEAR:
        d->resType = cudaResourceTypeLinear;
        d->res.linear.devPtr = (void *)(uintptr_t)r->res.linear.devPtr;
        d->res.linear.desc = rt_channel_desc(r->res.linear.format, r->res.linear.numChannels);
        d->res.linear.sizeInBytes = r->res.linear.sizeInBytes;
        break;
    case CU_RESOURCE_TYPE_PITCH2D:
        d->resType = cudaResourceTypePitch2D;
        d->res.pitch2D.devPtr = (void *)(uintptr_t)r->res.pitch2D.devPtr;
        d->res.pitch2D.desc = rt_channel_desc(r->res.pitch2D.format, r->res.pitch2D.numChannels);
        d->res.pitch2D.width = r->res.pitch2D.width;
        d->res.pitch2D.height = r->res.pitch2D.height;
        d->res.pitch2D.pitchInBytes = r->res.pitch2D.pitchInBytes;
        break;
    }
}

static int sampler(const struct cudaTextureDesc *d, const struct cudaChannelFormatDesc *elem,
                   bool linear_memory, CUDA_TEXTURE_DESC *t)
{
    bool whole = elem->f == cudaChannelFormatKindSigned || elem->f == cudaChannelFormatKindUnsigned;

    bool norm = d->readMode == cudaReadModeNormalizedFloat;

    if (!linear_memory && d->filterMode == cudaFilterModeLinear && whole &&
        (!norm || elem->x == 32))
        return INVALID_FILTER;
    if (norm && (elem->f == cudaChannelFormatKindFloat || (whole && elem->x == 32)))
        return INVALID_NORM;
    memset(t, 0, sizeof(*t));
    for (unsigned i = 0; i < 3; i++)
        t->addressMode[i] = (CUaddress_mode)d->addressMode[i];
    t->filterMode = (CUfilter_mode)d->filterMode;
    t->flags = (norm ? 0 : CU_TRSF_READ_AS_INTEGER) |
               (d->normalizedCoords ? CU_TRSF_NORMALIZED_COORDINATES : 0) |
               (d->sRGB ? CU_TRSF_SRGB : 0) |
               (d->disableTrilinearOptimization ? CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION : 0) |
               (d->seamlessCubemap ? CU_TRSF_SEAMLESS_CUBEMAP : 0);
    t->maxAnisotropy = d->maxAnisotropy;
    t->mipmapFilterMode = (CUfilter_mode)d->mipmapFilterMode;
    t->mipmapLevelBias = d->mipmapLevelBias;
    t->minMipmapLevelClamp = d->minMipmapLevelClamp;
    t->maxMipmapLevelClamp = d->maxMipmapLevelClamp;
    memcpy(t->borderColor, d->borderColor, sizeof(t->borderColor));
    return 0;
}

static void sampler_back(const CUDA_TEXTURE_DESC *t, struct cudaTextureDesc *d)
{
    memset(d, 0, sizeof(*d));
    for (unsigned i = 0; i < 3; i++)
        d->addressMode[i] = (enum cudaTextureAddressMode)t->addressMode[i];
    d->filterMode = (enum cudaTextureFilterMode)t->filterMode;
    d->readMode =
        t->flags & CU_TRSF_READ_AS_INTEGER ? cudaReadModeElementType : cudaReadModeNormalizedFloat;
    d->normalizedCoords = !!(t->flags & CU_TRSF_NORMALIZED_COORDINATES);
    d->sRGB = !!(t->flags & CU_TRSF_SRGB);
    d->disableTrilinearOptimization = !!(t->flags & CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION);
    d->seamlessCubemap = !!(t->flags & CU_TRSF_SEAMLESS_CUBEMAP);
    d->maxAnisotropy = t->maxAnisotropy;
    d->mipmapFilterMode = (enum cudaTextureFilterMode)t->mipmapFilterMode;
    d->mipmapLevelBias = t->mipmapLevelBias;
    d->minMipmapLevelClamp = t->minMipmapLevelClamp;
    d->maxMipmapLevelClamp = t->maxMipmapLevelClamp;
    memcpy(d->borderColor, t->borderColor, sizeof(d->borderColor));
}

/* ---- textures ---------------------------------------------------------------------------- */

cudaError_t cudaCreateTextureObject(cudaTextureObject_t *o, const struct cudaResourceDesc *rd,
                                    const struct cudaTextureDesc *td,
                                    const struct cudaResourceViewDesc *vd)
{
    struct cudaChannelFormatDesc elem = {0};
    CUDA_RESOURCE_VIEW_DESC v = {0};
    CUDA_RESOURCE_DESC r;
    CUDA_TEXTURE_DESC t;
    uint64_t h = 0;
    int err = gvm_init();

    if (err == 0 && (!o || !rd || !td))
        err = 1;
    if (err == 0)
        err = resource(rd, &r, &elem);
    if (err == 0)
        err = sampler(td, &elem, r.resType == CU_RESOURCE_TYPE_LINEAR, &t);
    if (err)
        return rt_done(err);
    if (vd) {
        v.format = (CUresourceViewFormat)vd->format;
        v.width = vd->width;
        v.height = vd->height;
        v.depth = vd->depth;
        v.firstMipmapLevel = vd->firstMipmapLevel;
        v.lastMipmapLevel = vd->lastMipmapLevel;
        v.firstLayer = vd->firstLayer;
        v.lastLayer = vd->lastLayer;
    }
    err = gvm_texture_create(&r, &t, vd ? &v : NULL, &h);
    if (err == 0)
        *o = h;
    return rt_done(err);
}

cudaError_t cudaDestroyTextureObject(cudaTextureObject_t o)
{
    return rt_done(o ? gvm_texture_destroy(o, false) : gvm_init());
}

cudaError_t cudaGetTextureObjectResourceDesc(struct cudaResourceDesc *d, cudaTextureObject_t o)
{
    CUDA_RESOURCE_DESC r;
    int err = d ? gvm_texture_desc(o, false, &r, NULL, NULL) : 1;

    if (err == 0)
        resource_back(&r, d);
    return rt_done(err);
}

cudaError_t cudaGetTextureObjectTextureDesc(struct cudaTextureDesc *d, cudaTextureObject_t o)
{
    CUDA_TEXTURE_DESC t;
    int err = d ? gvm_texture_desc(o, false, NULL, &t, NULL) : 1;

    if (err == 0)
        sampler_back(&t, d);
    return rt_done(err);
}

cudaError_t cudaGetTextureObjectResourceViewDesc(struct cudaResourceViewDesc *d,
                                                 cudaTextureObject_t o)
{
    CUDA_RESOURCE_VIEW_DESC v;
    int err = d ? gvm_texture_desc(o, false, NULL, NULL, &v) : 1;

    if (err == 0)
        *d = (struct cudaResourceViewDesc){.format = (enum cudaResourceViewFormat)v.format,
                                           .width = v.width,
                                           .height = v.height,
                                           .depth = v.depth,
                                           .firstMipmapLevel = v.firstMipmapLevel,
                                           .lastMipmapLevel = v.lastMipmapLevel,
                                           .firstLayer = v.firstLayer,
                                           .lastLayer = v.lastLayer};
    return rt_done(err);
}

/* ---- surfaces ---------------------------------------------------------------------------- */

cudaError_t cudaCreateSurfaceObject(cudaSurfaceObject_t *o, const struct cudaResourceDesc *rd)
{
    struct cudaChannelFormatDesc elem;
    CUDA_RESOURCE_DESC r;
    uint64_t h = 0;
    int err = gvm_init();

    if (err == 0 && (!o || !rd))
        err = 1;
    if (err == 0)
        err = resource(rd, &r, &elem);
    if (err == 0)
        err = gvm_surface_create(&r, &h);
    if (err == 0)
        *o = h;
    return rt_done(err);
}

cudaError_t cudaDestroySurfaceObject(cudaSurfaceObject_t o)
{
    return rt_done(o ? gvm_texture_destroy(o, true) : gvm_init());
}

cudaError_t cudaGetSurfaceObjectResourceDesc(struct cudaResourceDesc *d, cudaSurfaceObject_t o)
{
    CUDA_RESOURCE_DESC r;
    int err = d ? gvm_texture_desc(o, true, &r, NULL, NULL) : 1;

    if (err == 0)
        resource_back(&r, d);
    return rt_done(err);
}

cudaError_t cudaDeviceGetTexture1DLinearMaxWidth(size_t *width,
                                                 const struct cudaChannelFormatDesc *d, int device)
{
    CUarray_format format;
    unsigned channels;
    int err = d && width ? rt_format(d, &format, &channels) : 1;

    return rt_done(err ? err
                       : (int)cuDeviceGetTexture1DLinearMaxWidth(width, format, channels, device));
}
