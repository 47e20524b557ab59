/* SPDX-License-Identifier: MIT */
/*
 * api_batch.c - several copies in one call, of the driver API.
 */
#include "api.h"
#include "batch.h"

_Static_assert(sizeof(CUDA_MEMCPY3D_BATCH_OP) == sizeof(struct gvm_batch_box) &&
                   offsetof(CUDA_MEMCPY3D_BATCH_OP, extent) ==
                       offsetof(struct gvm_batch_box, width) &&
                   offsetof(CUmemcpy3DOperand, op) == offsetof(struct gvm_batch_end, ptr),
               "struct gvm_batch_box");

CUresult cuMemcpyBatchAsync(CUdeviceptr *dst, CUdeviceptr *src, size_t *n, size_t count,
                            CUmemcpyAttributes *attr, size_t *first, size_t nattr, CUstream s)
{
    int rc = api_need();

    _Static_assert(sizeof(CUdeviceptr) == sizeof(uint64_t), "CUdeviceptr");
    return (CUresult)(rc ? rc
                         : gvm_copy_batch((const uint64_t *)dst, (const uint64_t *)src, n, count,
                                          (const void *)attr, sizeof(*attr), first, nattr,
                                          api_stream(s)));
}

GVM_API CUresult cuMemcpyBatchAsync_v2_ptsz(CUdeviceptr *dst, CUdeviceptr *src, size_t *n,
                                            size_t count, CUmemcpyAttributes *attr, size_t *first,
                                            size_t nattr, CUstream s);
CUresult cuMemcpyBatchAsync_v2_ptsz(CUdeviceptr *dst, CUdeviceptr *src, size_t *n, size_t count,
                                    CUmemcpyAttributes *attr, size_t *first, size_t nattr,
                                    CUstream s)
{
    return cuMemcpyBatchAsync(dst, src, n, count, attr, first, nattr, s);
}

CUresult cuMemcpy3DBatchAsync(size_t count, CUDA_MEMCPY3D_BATCH_OP *op, unsigned long long flags,
                              CUstream s)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_box_batch(count, (const void *)op, flags, api_stream(s)));
}

GVM_API CUresult cuMemcpy3DBatchAsync_v2_ptsz(size_t count, CUDA_MEMCPY3D_BATCH_OP *op,
                                              unsigned long long flags, CUstream s);
CUresult cuMemcpy3DBatchAsync_v2_ptsz(size_t count, CUDA_MEMCPY3D_BATCH_OP *op,
                                      unsigned long long flags, CUstream s)
{
    return cuMemcpy3DBatchAsync(count, op, flags, s);
}

/* ---- forms of CUDA 12.8, which could also tell which copy is at fault --------------------- */

#undef cuMemcpyBatchAsync
#undef cuMemcpy3DBatchAsync

/* As the driver may, too: it is not one copy in particular. */
static CUresult not_one(CUresult rc, size_t *fail)
{
    if (rc && fail)
        *fail = SIZE_MAX;
    return rc;
}

#define OLD(name, args, call)                                                                      \
    GVM_API CUresult name args;                                                                    \
    CUresult name args                                                                             \
    {                                                                                              \
        return not_one(call, fail);                                                                \
    }

OLD(cuMemcpyBatchAsync,
    (CUdeviceptr * dst, CUdeviceptr *src, size_t *n, size_t count, CUmemcpyAttributes *attr,
     size_t *first, size_t nattr, size_t *fail, CUstream s),
    cuMemcpyBatchAsync_v2(dst, src, n, count, attr, first, nattr, s))
OLD(cuMemcpyBatchAsync_ptsz,
    (CUdeviceptr * dst, CUdeviceptr *src, size_t *n, size_t count, CUmemcpyAttributes *attr,
     size_t *first, size_t nattr, size_t *fail, CUstream s),
    cuMemcpyBatchAsync_v2(dst, src, n, count, attr, first, nattr, s))
OLD(cuMemcpy3DBatchAsync,
    (size_t count, CUDA_MEMCPY3D_BATCH_OP *op, size_t *fail, unsigned long long flags, CUstream s),
    cuMemcpy3DBatchAsync_v2(count, op, flags, s))
OLD(cuMemcpy3DBatchAsync_ptsz,
    (size_t count, CUDA_MEMCPY3D_BATCH_OP *op, size_t *fail, unsigned long long flags, CUstream s),
    cuMemcpy3DBatchAsync_v2(count, op, flags, s))
