/* SPDX-License-Identifier: MIT */
/*
 * memory.c - allocation, copies, fills, symbols, pointers.
 */
#include "rt.h"

#include <string.h>

#define PITCH_ALIGN 512u

/* ---- allocation -------------------------------------------------------------------------- */

cudaError_t cudaMalloc(void **p, size_t n)
{
    uint64_t d = 0;
    int err;

    if (!p)
        return rt_done(1);
    if (!n) { /* success and no memory, as natively */
        *p = NULL;
        return rt_done(gvm_init());
    }
    err = gvm_mem_alloc(n, &d);
    if (err == 0)
        *p = (void *)(uintptr_t)d;
    return rt_done(err);
}

cudaError_t cudaFree(void *p)
{
    return rt_done(gvm_mem_free(rt_addr(p)));
}

cudaError_t cudaHostAlloc(void **p, size_t n, unsigned flags)
{
    /* Natively nothing is looked at when nothing is asked for. */
    if (n && flags & ~(unsigned)(cudaHostAllocPortable | cudaHostAllocMapped |
                                 cudaHostAllocWriteCombined))
        return rt_done(1);
    return rt_done(gvm_host_alloc(n, flags, GVM_PINNED, p));
}

cudaError_t cudaMallocHost(void **p, size_t n)
{
    return rt_done(gvm_host_alloc(n, cudaHostAllocPortable, GVM_PINNED, p));
}

cudaError_t cudaFreeHost(void *p)
{
    return rt_done(gvm_host_free(p));
}

cudaError_t cudaMallocManaged(void **p, size_t n, unsigned flags)
{
    if (flags != cudaMemAttachGlobal && flags != cudaMemAttachHost)
        return rt_done(1);
    if (p && !n) { /* success and no memory, as natively */
        *p = NULL;
        return rt_done(gvm_init());
    }
    return rt_done(gvm_host_alloc(n, flags, GVM_MANAGED, p));
}

static int alloc_pitch(void **p, size_t *pitch, size_t width, size_t height)
{
    uint64_t d = 0;
    size_t total;
    int err;

    if (!p || !pitch)
        return 1;
    *p = NULL;
    if (width > SIZE_MAX - PITCH_ALIGN)
        return 2;
    *pitch = (width + PITCH_ALIGN - 1) & ~(size_t)(PITCH_ALIGN - 1);
    if (!width || !height)
        return gvm_init();
    if (__builtin_mul_overflow(*pitch, height, &total))
        return 2;
    err = gvm_mem_alloc(total, &d);
    if (err == 0)
        *p = (void *)(uintptr_t)d;
    return err;
}

cudaError_t cudaMallocPitch(void **p, size_t *pitch, size_t width, size_t height)
{
    return rt_done(alloc_pitch(p, pitch, width, height));
}

cudaError_t cudaMalloc3D(struct cudaPitchedPtr *p, struct cudaExtent e)
{
    size_t rows;
    int err;

    if (!p)
        return rt_done(1);
    if (__builtin_mul_overflow(e.height, e.depth, &rows))
        return rt_done(2);
    err = alloc_pitch(&p->ptr, &p->pitch, e.width, rows);
    p->xsize = e.width;
    p->ysize = e.height;
    return rt_done(err);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    uint64_t f = 0, t = 0;
    int err = gvm_mem_info(&f, &t);

    if (err == 0 && free_bytes)
        *free_bytes = f;
    if (err == 0 && total)
        *total = t;
    return rt_done(err);
}

cudaError_t cudaHostGetDevicePointer(void **d, void *host, unsigned flags)
{
    uint64_t p = 0;
    int err = !d || flags ? 1 : gvm_host_device_pointer(host, &p);

    if (err == 0)
        *d = (void *)(uintptr_t)p;
    return rt_done(err);
}

cudaError_t cudaHostGetFlags(unsigned *flags, void *host)
{
    struct gvm_range g;
    int err = flags ? gvm_init() : 1;

    if (err)
        return rt_done(err);
    gvm_find(rt_addr(host), &g);
    if (g.kind == GVM_HOST)
        gvm_host_registered(rt_addr(host), &g);
    if (g.kind != GVM_PINNED)
        return rt_done(1);
    /* Under unified addressing every block is mapped, and says so. */
    *flags = g.flags | cudaHostAllocMapped;
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *a, const void *p)
{
    struct gvm_range g;
    uint64_t d;
    int err = gvm_barred() ? 800 : a ? gvm_init() : 1;

    if (err)
        return rt_done(err);
    memset(a, 0, sizeof(*a));
    gvm_find(rt_addr(p), &g);
    if (g.kind == GVM_HOST)
        gvm_host_registered(rt_addr(p), &g);
    switch (g.kind) {
    case GVM_HOST:
        a->type = cudaMemoryTypeUnregistered;
        a->device = cudaInvalidDeviceId;
        a->hostPointer = (void *)(uintptr_t)p;
        break;
    case GVM_DEVICE:
    case GVM_GLOBAL:
        a->type = g.sub == GVM_SUB_SHADOW ? cudaMemoryTypeManaged : cudaMemoryTypeDevice;
        if (g.sub == GVM_SUB_SHADOW)
            a->hostPointer = (void *)(uintptr_t)p;
        a->devicePointer = (void *)(uintptr_t)p;
        break;
    case GVM_PINNED:
        a->type = cudaMemoryTypeHost;
        a->hostPointer = (void *)(uintptr_t)p;
        if (gvm_host_device_pointer((void *)(uintptr_t)p, &d) == 0)
            a->devicePointer = (void *)(uintptr_t)d;
        break;
    case GVM_MANAGED:
        a->type = cudaMemoryTypeManaged;
        a->devicePointer = a->hostPointer = (void *)(uintptr_t)p;
        break;
    }
    return cudaSuccess;
}

/* ---- copies ------------------------------------------------------------------------------ */

static cudaError_t copy(void *dst, const void *src, size_t n, enum cudaMemcpyKind kind,
                        cudaStream_t s, bool sync)
{
    int dir = rt_dir(kind);

    if (dir < 0)
        return rt_done(cudaErrorInvalidMemcpyDirection);
    return rt_done(gvm_copy(rt_addr(dst), rt_addr(src), n, (enum gvm_dir)dir, rt_stream(s), sync));
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t n, enum cudaMemcpyKind kind)
{
    return copy(dst, src, n, kind, NULL, true);
}

RT_API cudaError_t cudaMemcpy_ptds(void *dst, const void *src, size_t n, enum cudaMemcpyKind kind)
{
    return copy(dst, src, n, kind, cudaStreamPerThread, true);
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t n, enum cudaMemcpyKind kind,
                            cudaStream_t s)
{
    return copy(dst, src, n, kind, s, false);
}

RT_API cudaError_t cudaMemcpyAsync_ptsz(void *dst, const void *src, size_t n,
                                        enum cudaMemcpyKind kind, cudaStream_t s)
{
    return copy(dst, src, n, kind, rt_own(s), false);
}

/* ---- fills ------------------------------------------------------------------------------- */

static cudaError_t fill(void *d, size_t pitch, int value, size_t width, size_t height,
                        cudaStream_t s, bool sync)
{
    return rt_done(
        gvm_fill(rt_addr(d), pitch, (uint32_t)value & 0xff, 1, width, height, rt_stream(s), sync));
}

cudaError_t cudaMemset(void *d, int value, size_t n)
{
    return fill(d, 0, value, n, 1, NULL, true);
}

RT_API cudaError_t cudaMemset_ptds(void *d, int value, size_t n)
{
    return fill(d, 0, value, n, 1, cudaStreamPerThread, true);
}

cudaError_t cudaMemsetAsync(void *d, int value, size_t n, cudaStream_t s)
{
    return fill(d, 0, value, n, 1, s, false);
}

RT_API cudaError_t cudaMemsetAsync_ptsz(void *d, int value, size_t n, cudaStream_t s)
{
    return fill(d, 0, value, n, 1, rt_own(s), false);
}

cudaError_t cudaMemset2D(void *d, size_t pitch, int value, size_t width, size_t height)
{
    return fill(d, pitch, value, width, height, NULL, true);
}

RT_API cudaError_t cudaMemset2D_ptds(void *d, size_t pitch, int value, size_t width, size_t height)
{
    return fill(d, pitch, value, width, height, cudaStreamPerThread, true);
}

cudaError_t cudaMemset2DAsync(void *d, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t s)
{
    return fill(d, pitch, value, width, height, s, false);
}

RT_API cudaError_t cudaMemset2DAsync_ptsz(void *d, size_t pitch, int value, size_t width,
                                          size_t height, cudaStream_t s)
{
    return fill(d, pitch, value, width, height, rt_own(s), false);
}

static cudaError_t fill3d(struct cudaPitchedPtr p, int value, struct cudaExtent e, cudaStream_t s,
                          bool sync)
{
    cudaError_t err = cudaSuccess;

    if (e.width && e.height && e.depth && (e.height > p.ysize || e.width > p.pitch))
        return rt_done(1);
    for (size_t z = 0; z < e.depth && !err; z++)
        err =
            fill((char *)p.ptr + z * p.pitch * p.ysize, p.pitch, value, e.width, e.height, s, sync);
    return err;
}

cudaError_t cudaMemset3D(struct cudaPitchedPtr p, int value, struct cudaExtent e)
{
    return fill3d(p, value, e, NULL, true);
}

RT_API cudaError_t cudaMemset3D_ptds(struct cudaPitchedPtr p, int value, struct cudaExtent e)
{
    return fill3d(p, value, e, cudaStreamPerThread, true);
}

cudaError_t cudaMemset3DAsync(struct cudaPitchedPtr p, int value, struct cudaExtent e,
                              cudaStream_t s)
{
    return fill3d(p, value, e, s, false);
}

RT_API cudaError_t cudaMemset3DAsync_ptsz(struct cudaPitchedPtr p, int value, struct cudaExtent e,
                                          cudaStream_t s)
{
    return fill3d(p, value, e, rt_own(s), false);
}

/* ---- symbols ----------------------------------------------------------------------------- */

cudaError_t cudaGetSymbolAddress(void **p, const void *symbol)
{
    uint64_t d = 0, size;
    int err = p ? rt_symbol(symbol, &d, &size) : 1;

    if (err == 0)
        *p = (void *)(uintptr_t)d;
    return rt_done(err);
}

cudaError_t cudaGetSymbolSize(size_t *n, const void *symbol)
{
    uint64_t d, size = 0;
    int err = n ? rt_symbol(symbol, &d, &size) : 1;

    if (err == 0)
        *n = size;
    return rt_done(err);
}

/* Address of n octets at `off` in a symbol. */
static int part(const void *symbol, size_t n, size_t off, uint64_t *at)
{
    uint64_t d, size;
    int err = rt_symbol(symbol, &d, &size);

    if (err)
        return err;
    if (off > size || n > size - off)
        return 1;
    *at = d + off;
    return 0;
}

static cudaError_t to_symbol(const void *symbol, const void *src, size_t n, size_t off,
                             enum cudaMemcpyKind kind, cudaStream_t s, bool sync)
{
    uint64_t at = 0;
    int err;

    if (kind != cudaMemcpyHostToDevice && kind != cudaMemcpyDeviceToDevice &&
        kind != cudaMemcpyDefault)
        return rt_done(cudaErrorInvalidMemcpyDirection);
    err = part(symbol, n, off, &at);
    return err ? rt_done(err) : copy((void *)(uintptr_t)at, src, n, kind, s, sync);
}

static cudaError_t from_symbol(void *dst, const void *symbol, size_t n, size_t off,
                               enum cudaMemcpyKind kind, cudaStream_t s, bool sync)
{
    uint64_t at = 0;
    int err;

    if (kind != cudaMemcpyDeviceToHost && kind != cudaMemcpyDeviceToDevice &&
        kind != cudaMemcpyDefault)
        return rt_done(cudaErrorInvalidMemcpyDirection);
    err = part(symbol, n, off, &at);
    return err ? rt_done(err) : copy(dst, (void *)(uintptr_t)at, n, kind, s, sync);
}

cudaError_t cudaMemcpyToSymbol(const void *symbol, const void *src, size_t n, size_t off,
                               enum cudaMemcpyKind kind)
{
    return to_symbol(symbol, src, n, off, kind, NULL, true);
}

RT_API cudaError_t cudaMemcpyToSymbol_ptds(const void *symbol, const void *src, size_t n,
                                           size_t off, enum cudaMemcpyKind kind)
{
    return to_symbol(symbol, src, n, off, kind, cudaStreamPerThread, true);
}

cudaError_t cudaMemcpyToSymbolAsync(const void *symbol, const void *src, size_t n, size_t off,
                                    enum cudaMemcpyKind kind, cudaStream_t s)
{
    return to_symbol(symbol, src, n, off, kind, s, false);
}

RT_API cudaError_t cudaMemcpyToSymbolAsync_ptsz(const void *symbol, const void *src, size_t n,
                                                size_t off, enum cudaMemcpyKind kind,
                                                cudaStream_t s)
{
    return to_symbol(symbol, src, n, off, kind, rt_own(s), false);
}

cudaError_t cudaMemcpyFromSymbol(void *dst, const void *symbol, size_t n, size_t off,
                                 enum cudaMemcpyKind kind)
{
    return from_symbol(dst, symbol, n, off, kind, NULL, true);
}

RT_API cudaError_t cudaMemcpyFromSymbol_ptds(void *dst, const void *symbol, size_t n, size_t off,
                                             enum cudaMemcpyKind kind)
{
    return from_symbol(dst, symbol, n, off, kind, cudaStreamPerThread, true);
}

cudaError_t cudaMemcpyFromSymbolAsync(void *dst, const void *symbol, size_t n, size_t off,
                                      enum cudaMemcpyKind kind, cudaStream_t s)
{
    return from_symbol(dst, symbol, n, off, kind, s, false);
}

RT_API cudaError_t cudaMemcpyFromSymbolAsync_ptsz(void *dst, const void *symbol, size_t n,
                                                  size_t off, enum cudaMemcpyKind kind,
                                                  cudaStream_t s)
{
    return from_symbol(dst, symbol, n, off, kind, rt_own(s), false);
}
