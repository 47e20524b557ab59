/* SPDX-License-Identifier: MIT */
/*
 * array.c - arrays and mipmapped arrays.
 */
#include "array.h"

#define INVALID_CHANNEL 20 /* cudaErrorInvalidChannelDescriptor */

static uint64_t id(const void *array)
{
    return (uintptr_t)array;
}

/* ---- elements ---------------------------------------------------------------------------- */

static const CUarray_format plain[3][3] = {
    [cudaChannelFormatKindSigned] = {CU_AD_FORMAT_SIGNED_INT8, CU_AD_FORMAT_SIGNED_INT16,
                                     CU_AD_FORMAT_SIGNED_INT32},
    [cudaChannelFormatKindUnsigned] = {CU_AD_FORMAT_UNSIGNED_INT8, CU_AD_FORMAT_UNSIGNED_INT16,
                                       CU_AD_FORMAT_UNSIGNED_INT32},
    [cudaChannelFormatKindFloat] = {(CUarray_format)0, CU_AD_FORMAT_HALF, CU_AD_FORMAT_FLOAT},
};

#define NORM_FIRST cudaChannelFormatKindUnsignedNormalized8X1
#define NORM_LAST  cudaChannelFormatKindSignedNormalized16X4

int rt_format(const struct cudaChannelFormatDesc *d, CUarray_format *format, unsigned *channels)
{
    const int bits[4] = {d->x, d->y, d->z, d->w};
    unsigned n = 0, width;

    while (n < 4 && bits[n])
        n++;
    for (unsigned i = 1; i < 4; i++)
        if (bits[i] != (i < n ? bits[0] : 0))
            return INVALID_CHANNEL;
    if (n != 1 && n != 2 && n != 4)
        return INVALID_CHANNEL;
    *channels = n;
    if (d->f >= NORM_FIRST && d->f <= NORM_LAST) {
        unsigned k = d->f - NORM_FIRST;

        *format = (CUarray_format)(CU_AD_FORMAT_UNORM_INT8X1 + k);
        return n == 1u << k % 3 && bits[0] == 8 << k / 3 % 2 ? 0 : INVALID_CHANNEL;
    }
    if (d->f == cudaChannelFormatKindNone)
        return INVALID_CHANNEL;
    if (d->f > cudaChannelFormatKindFloat) {
        static uint32_t said;

        return gvm_refused("an array of a compressed or video format", &said);
    }
    width = bits[0] == 8 ? 0 : bits[0] == 16 ? 1 : 2;
    if (bits[0] != 8 << width || !plain[d->f][width])
        return INVALID_CHANNEL;
    *format = plain[d->f][width];
    return 0;
}

struct cudaChannelFormatDesc rt_channel_desc(unsigned format, unsigned channels)
{
    struct cudaChannelFormatDesc d = {0};
    int bits = (int)(gvm_format_bytes(format, channels) / (channels ? channels : 1) * 8);

    d.x = bits;
    d.y = channels > 1 ? bits : 0;
    d.z = d.w = channels > 2 ? bits : 0;
    if (format >= CU_AD_FORMAT_UNORM_INT8X1 && format <= CU_AD_FORMAT_SNORM_INT16X4)
        d.f = (enum cudaChannelFormatKind)(NORM_FIRST + (format - CU_AD_FORMAT_UNORM_INT8X1));
    else if (format == CU_AD_FORMAT_FLOAT || format == CU_AD_FORMAT_HALF)
        d.f = cudaChannelFormatKindFloat;
    else
        d.f = format >= CU_AD_FORMAT_SIGNED_INT8 ? cudaChannelFormatKindSigned
                                                 : cudaChannelFormatKindUnsigned;
    return d;
}

/* ---- arrays ------------------------------------------------------------------------------ */

static int describe(const struct cudaChannelFormatDesc *d, struct cudaExtent e, unsigned flags,
                    CUDA_ARRAY3D_DESCRIPTOR *q)
{
    *q = (CUDA_ARRAY3D_DESCRIPTOR){
        .Width = e.width, .Height = e.height, .Depth = e.depth, .Flags = flags};
    return d ? rt_format(d, &q->Format, &q->NumChannels) : 1;
}

static int create(void **out, const struct cudaChannelFormatDesc *d, struct cudaExtent e,
                  unsigned levels, unsigned flags)
{
    CUDA_ARRAY3D_DESCRIPTOR q;
    uint64_t h = 0;
    int err = gvm_init();

    if (err == 0 && !out)
        err = 1;
    if (err == 0)
        err = describe(d, e, flags, &q);
    if (err == 0)
        err = gvm_array_create(&q, levels, &h);
    if (err == 0)
        *out = (void *)(uintptr_t)h;
    return err;
}

cudaError_t cudaMalloc3DArray(cudaArray_t *array, const struct cudaChannelFormatDesc *d,
                              struct cudaExtent e, unsigned flags)
{
    return rt_done(create((void **)array, d, e, 0, flags));
}

cudaError_t cudaMallocArray(cudaArray_t *array, const struct cudaChannelFormatDesc *d, size_t width,
                            size_t height, unsigned flags)
{
    const struct cudaExtent e = {width, height, 0};

    return rt_done(create((void **)array, d, e, 0, flags));
}

cudaError_t cudaFreeArray(cudaArray_t array)
{
    return rt_done(array ? gvm_array_destroy(id(array), false) : gvm_init());
}

cudaError_t cudaArrayGetInfo(struct cudaChannelFormatDesc *d, struct cudaExtent *e, unsigned *flags,
                             cudaArray_t array)
{
    CUDA_ARRAY3D_DESCRIPTOR q;
    int err = gvm_array_desc(id(array), false, &q);

    if (err)
        return rt_done(err);
    if (d)
        *d = rt_channel_desc(q.Format, q.NumChannels);
    if (e)
        *e = (struct cudaExtent){q.Width, q.Height, q.Depth};
    if (flags)
        *flags = q.Flags;
    return rt_done(0);
}

cudaError_t cudaGetChannelDesc(struct cudaChannelFormatDesc *d, cudaArray_const_t array)
{
    CUDA_ARRAY3D_DESCRIPTOR q;
    int err = d ? gvm_array_desc(id(array), false, &q) : 1;

    if (err == 0)
        *d = rt_channel_desc(q.Format, q.NumChannels);
    return rt_done(err);
}

/* Of sparse, deferred-mapping and multi-planar arrays, which cannot be made: wrong for all others. */
static cudaError_t special(const void *array, bool mipmap)
{
    CUDA_ARRAY3D_DESCRIPTOR q;
    int err = gvm_array_desc(id(array), mipmap, &q);

    return rt_done(err ? err : 1);
}

cudaError_t cudaArrayGetPlane(cudaArray_t *plane, cudaArray_t array, unsigned index)
{
    return special(array, false);
}

cudaError_t cudaArrayGetSparseProperties(struct cudaArraySparseProperties *p, cudaArray_t array)
{
    return special(array, false);
}

cudaError_t cudaMipmappedArrayGetSparseProperties(struct cudaArraySparseProperties *p,
                                                  cudaMipmappedArray_t mipmap)
{
    return special(mipmap, true);
}

cudaError_t cudaArrayGetMemoryRequirements(struct cudaArrayMemoryRequirements *m, cudaArray_t array,
                                           int dev)
{
    return special(array, false);
}

cudaError_t cudaMipmappedArrayGetMemoryRequirements(struct cudaArrayMemoryRequirements *m,
                                                    cudaMipmappedArray_t mipmap, int dev)
{
    return special(mipmap, true);
}

/* ---- mipmapped arrays -------------------------------------------------------------------- */

cudaError_t cudaMallocMipmappedArray(cudaMipmappedArray_t *mipmap,
                                     const struct cudaChannelFormatDesc *d, struct cudaExtent e,
                                     unsigned levels, unsigned flags)
{
    return rt_done(create((void **)mipmap, d, e, levels ? levels : 1, flags));
}

cudaError_t cudaGetMipmappedArrayLevel(cudaArray_t *array, cudaMipmappedArray_const_t mipmap,
                                       unsigned level)
{
    uint64_t h = 0;
    int err = array ? gvm_array_level(id(mipmap), level, &h) : 1;

    if (err == 0)
        *array = (cudaArray_t)(uintptr_t)h;
    return rt_done(err);
}

cudaError_t cudaFreeMipmappedArray(cudaMipmappedArray_t mipmap)
{
    return rt_done(mipmap ? gvm_array_destroy(id(mipmap), true) : gvm_init());
}
