/* SPDX-License-Identifier: MIT */
/*
 * api_launch_ex.c - launches with attributes, occupancy beyond blocks, attributes of streams, tensor
 * maps.
 */
#include "api.h"
#include "chan.h"
#include "stubs.h"

#include <string.h>

_Static_assert(sizeof(CUlaunchAttribute) == sizeof(struct gvm_attr), "launch attributes");

static struct gvm_func *func(CUfunction f)
{
    return (struct gvm_func *)f;
}

static int launch_ex(const CUlaunchConfig *c, CUstream s, CUfunction f, void **params, void **extra)
{
    struct gvm_launch l = {.params = params};
    int rc = api_need();

    if (rc == 0 && !c)
        rc = 1;
    if (rc == 0 && !f)
        rc = 400;
    if (rc == 0 && params && extra)
        rc = 1;
    if (rc == 0 && extra)
        rc = api_take_extra(&l, extra);
    if (rc == 0 && l.buffer_len && gvm_func_too_long(func(f), l.buffer_len))
        rc = 701;
    if (rc)
        return rc;
    memcpy(l.grid, &c->gridDimX, sizeof(l.grid));
    memcpy(l.block, &c->blockDimX, sizeof(l.block));
    l.shmem = c->sharedMemBytes;
    l.stream = api_stream(s);
    return gvm_launch_ex(func(f), &l, (const struct gvm_attr *)c->attrs, c->numAttrs);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **params, void **extra)
{
    return (CUresult)launch_ex(c, c ? c->hStream : NULL, f, params, extra);
}

GVM_API CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *c, CUfunction f, void **params,
                                       void **extra);
CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *c, CUfunction f, void **params, void **extra)
{
    return (CUresult)launch_ex(c, api_own(c ? c->hStream : NULL), f, params, extra);
}

/* ---- occupancy ----------------------------------------------------------------------------- */

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction f,
                                                   CUoccupancyB2DSize fn, size_t shmem, int limit,
                                                   unsigned flags)
{
    int rc = api_need();

    if (rc == 0 && (!grid || !block))
        rc = 1;
    if (rc == 0 && !f)
        rc = 400;
    return (CUresult)(rc ? rc : gvm_best_block(func(f), fn, shmem, limit, flags, grid, block));
}

CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction f,
                                          CUoccupancyB2DSize fn, size_t shmem, int limit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, f, fn, shmem, limit, 0);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, CUfunction f, int blocks, int block)
{
    int rc = api_need();

    if (rc == 0 && !bytes)
        rc = 1;
    return (CUresult)(rc ? rc : gvm_shared_available(func(f), blocks, block, bytes));
}

static CUresult clusters(int *n, CUfunction f, const CUlaunchConfig *c, bool largest)
{
    struct gvm_launch l = {0};
    int rc = api_need();

    if (rc == 0 && (!n || !c))
        rc = 1;
    if (rc)
        return (CUresult)rc;
    memcpy(l.grid, &c->gridDimX, sizeof(l.grid));
    memcpy(l.block, &c->blockDimX, sizeof(l.block));
    l.shmem = c->sharedMemBytes;
    return (CUresult)gvm_clusters(func(f), &l, (const struct gvm_attr *)c->attrs, c->numAttrs,
                                  largest, n);
}

CUresult cuOccupancyMaxActiveClusters(int *n, CUfunction f, const CUlaunchConfig *c)
{
    return clusters(n, f, c, false);
}

CUresult cuOccupancyMaxPotentialClusterSize(int *n, CUfunction f, const CUlaunchConfig *c)
{
    return clusters(n, f, c, true);
}

/* ---- streams ------------------------------------------------------------------------------- */

CUresult cuStreamGetAttribute(CUstream s, CUstreamAttrID attr, CUstreamAttrValue *v)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_stream_attr_get(api_stream(s), (int)attr, v));
}

CUresult cuStreamSetAttribute(CUstream s, CUstreamAttrID attr, const CUstreamAttrValue *v)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_stream_attr_set(api_stream(s), (int)attr, v));
}

CUresult cuStreamCopyAttributes(CUstream dst, CUstream src)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_stream_attr_copy(api_stream(dst), api_stream(src)));
}

GVM_API CUresult cuStreamGetAttribute_ptsz(CUstream s, CUstreamAttrID attr, CUstreamAttrValue *v);
CUresult cuStreamGetAttribute_ptsz(CUstream s, CUstreamAttrID attr, CUstreamAttrValue *v)
{
    return cuStreamGetAttribute(api_own(s), attr, v);
}

GVM_API CUresult cuStreamSetAttribute_ptsz(CUstream s, CUstreamAttrID attr,
                                           const CUstreamAttrValue *v);
CUresult cuStreamSetAttribute_ptsz(CUstream s, CUstreamAttrID attr, const CUstreamAttrValue *v)
{
    return cuStreamSetAttribute(api_own(s), attr, v);
}

GVM_API CUresult cuStreamCopyAttributes_ptsz(CUstream dst, CUstream src);
CUresult cuStreamCopyAttributes_ptsz(CUstream dst, CUstream src)
{
    return cuStreamCopyAttributes(api_own(dst), api_own(src));
}

CUresult cuCtxResetPersistingL2Cache(void)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_reset_l2());
}

/* ---- tensor maps --------------------------------------------------------------------------- */

/* struct dev_tensor_map of the worker. */
struct tensor {
    uint32_t form; /* 0 tiled, 1 im2col, 2 im2col wide, 3 another address */
    uint32_t type, rank, interleave;
    uint64_t address, dim[5], stride[5];
    uint32_t box[5], step[5];
    int32_t lower[5], upper[5];
    uint32_t channels, pixels, mode, swizzle, promotion, fill;
};

static CUresult encode(const struct tensor *t, CUtensorMap *map, bool old)
{
    struct gvm_chan *c;
    uint8_t made[128];
    uint32_t n = 0;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = vgpu_TensorMap(c, 0, t, sizeof(*t), old ? (const void *)map : NULL,
                            old ? (uint32_t)sizeof(*map) : 0, made, sizeof(made), &n);
    if (rc == 0)
        memcpy(map, made, sizeof(*map));
    return (CUresult)rc;
}

/* Only as many numbers are read as the rank says. */
static int common(struct tensor *t, uint32_t rank, const void *address, const cuuint64_t *dim,
                  const cuuint64_t *stride, const cuuint32_t *step)
{
    if (rank < 1 || rank > 5 || !dim || !step || (rank > 1 && !stride))
        return 1;
    t->rank = rank;
    t->address = (uintptr_t)address;
    memcpy(t->dim, dim, rank * sizeof(dim[0]));
    if (rank > 1)
        memcpy(t->stride, stride, (rank - 1) * sizeof(stride[0]));
    memcpy(t->step, step, rank * sizeof(step[0]));
    return 0;
}

CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                                void *address, const cuuint64_t *dim, const cuuint64_t *stride,
                                const cuuint32_t *box, const cuuint32_t *step,
                                CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    struct tensor t = {.form = 0,
                       .type = type,
                       .interleave = interleave,
                       .swizzle = swizzle,
                       .promotion = promotion,
                       .fill = fill};

    if (!map || !box || common(&t, rank, address, dim, stride, step))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(t.box, box, rank * sizeof(box[0]));
    return encode(&t, map, false);
}

CUresult cuTensorMapEncodeIm2col(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                                 void *address, const cuuint64_t *dim, const cuuint64_t *stride,
                                 const int *lower, const int *upper, cuuint32_t channels,
                                 cuuint32_t pixels, const cuuint32_t *step,
                                 CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                 CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    struct tensor t = {.form = 1,
                       .type = type,
                       .interleave = interleave,
                       .channels = channels,
                       .pixels = pixels,
                       .swizzle = swizzle,
                       .promotion = promotion,
                       .fill = fill};

    if (!map || rank < 3 || !lower || !upper || common(&t, rank, address, dim, stride, step))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(t.lower, lower, (rank - 2) * sizeof(lower[0]));
    memcpy(t.upper, upper, (rank - 2) * sizeof(upper[0]));
    return encode(&t, map, false);
}

CUresult cuTensorMapEncodeIm2colWide(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                                     void *address, const cuuint64_t *dim, const cuuint64_t *stride,
                                     int lower, int upper, cuuint32_t channels, cuuint32_t pixels,
                                     const cuuint32_t *step, CUtensorMapInterleave interleave,
                                     CUtensorMapIm2ColWideMode mode, CUtensorMapSwizzle swizzle,
                                     CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    struct tensor t = {.form = 2,
                       .type = type,
                       .interleave = interleave,
                       .lower = {lower},
                       .upper = {upper},
                       .channels = channels,
                       .pixels = pixels,
                       .mode = mode,
                       .swizzle = swizzle,
                       .promotion = promotion,
                       .fill = fill};

    if (!map || rank < 3 || common(&t, rank, address, dim, stride, step))
        return CUDA_ERROR_INVALID_VALUE;
    return encode(&t, map, false);
}

CUresult cuTensorMapReplaceAddress(CUtensorMap *map, void *address)
{
    struct tensor t = {.form = 3, .address = (uintptr_t)address};

    return map ? encode(&t, map, true) : CUDA_ERROR_INVALID_VALUE;
}
