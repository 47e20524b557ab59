/* SPDX-License-Identifier: MIT */
/*
 * hints.c - registered memory, hints on managed memory.
 */
#include "rt.h"

cudaError_t cudaHostRegister(void *p, size_t n, unsigned flags)
{
    return rt_done(gvm_host_register(p, n, flags));
}

cudaError_t cudaHostUnregister(void *p)
{
    return rt_done(gvm_host_unregister(p));
}

static cudaError_t prefetch(const void *p, size_t n, struct cudaMemLocation l, unsigned flags,
                            cudaStream_t s)
{
    return rt_done(flags ? 1 : gvm_mem_prefetch(rt_addr(p), n, (int)l.type, l.id, rt_stream(s)));
}

cudaError_t cudaMemPrefetchAsync(const void *p, size_t n, struct cudaMemLocation l, unsigned flags,
                                 cudaStream_t s)
{
    return prefetch(p, n, l, flags, s);
}

RT_API cudaError_t cudaMemPrefetchAsync_ptsz(const void *p, size_t n, struct cudaMemLocation l,
                                             unsigned flags, cudaStream_t s)
{
    return prefetch(p, n, l, flags, rt_own(s));
}

cudaError_t cudaMemAdvise(const void *p, size_t n, enum cudaMemoryAdvise advice,
                          struct cudaMemLocation l)
{
    return rt_done(gvm_mem_advise(rt_addr(p), n, (int)advice, (int)l.type, l.id));
}

cudaError_t cudaMemRangeGetAttribute(void *data, size_t size, enum cudaMemRangeAttribute a,
                                     const void *p, size_t n)
{
    return rt_done(gvm_mem_range_attribute(data, size, (int)a, rt_addr(p), n));
}

cudaError_t cudaMemRangeGetAttributes(void **data, size_t *size, enum cudaMemRangeAttribute *a,
                                      size_t na, const void *p, size_t n)
{
    int err = data && size && a && na ? 0 : 1;

    for (size_t i = 0; i < na && err == 0; i++)
        err = gvm_mem_range_attribute(data[i], size[i], (int)a[i], rt_addr(p), n);
    return rt_done(err);
}

cudaError_t cudaStreamAttachMemAsync(cudaStream_t s, void *p, size_t n, unsigned flags)
{
    return rt_done(gvm_stream_attach(rt_stream(s), rt_addr(p), n, flags));
}

RT_API cudaError_t cudaStreamAttachMemAsync_ptsz(cudaStream_t s, void *p, size_t n, unsigned flags)
{
    return rt_done(gvm_stream_attach(rt_stream(rt_own(s)), rt_addr(p), n, flags));
}
