/* SPDX-License-Identifier: MIT */
/*
 * batch.c - several copies in one call.
 */
#include "../driver/batch.h"
#include "rt.h"

_Static_assert(sizeof(struct cudaMemcpy3DBatchOp) == sizeof(struct gvm_batch_box) &&
                   offsetof(struct cudaMemcpy3DBatchOp, extent) ==
                       offsetof(struct gvm_batch_box, width),
               "struct gvm_batch_box");

static cudaError_t copies(void *const *dst, const void *const *src, const size_t *n, size_t count,
                          struct cudaMemcpyAttributes *attr, size_t *first, size_t nattr,
                          cudaStream_t s)
{
    return rt_done(gvm_copy_batch((const void *)dst, (const void *)src, n, count,
                                  (const void *)attr, sizeof(*attr), first, nattr, rt_stream(s)));
}

cudaError_t cudaMemcpyBatchAsync(void *const *dst, const void *const *src, const size_t *n,
                                 size_t count, struct cudaMemcpyAttributes *attr, size_t *first,
                                 size_t nattr, cudaStream_t s)
{
    return copies(dst, src, n, count, attr, first, nattr, s);
}

RT_API cudaError_t cudaMemcpyBatchAsync_ptsz(void *const *dst, const void *const *src,
                                             const size_t *n, size_t count,
                                             struct cudaMemcpyAttributes *attr, size_t *first,
                                             size_t nattr, cudaStream_t s)
{
    return copies(dst, src, n, count, attr, first, nattr, s);
}

cudaError_t cudaMemcpy3DBatchAsync(size_t count, struct cudaMemcpy3DBatchOp *op,
                                   unsigned long long flags, cudaStream_t s)
{
    return rt_done(gvm_box_batch(count, (const void *)op, flags, rt_stream(s)));
}

RT_API cudaError_t cudaMemcpy3DBatchAsync_ptsz(size_t count, struct cudaMemcpy3DBatchOp *op,
                                               unsigned long long flags, cudaStream_t s)
{
    return rt_done(gvm_box_batch(count, (const void *)op, flags, rt_stream(s)));
}
