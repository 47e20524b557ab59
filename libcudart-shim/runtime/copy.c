/* SPDX-License-Identifier: MIT */
/*
 * copy.c - copies in two and three dimensions, between devices, and in batches.
 */
#include "../driver/box.h"
#include "rt.h"

/* ---- two dimensions ---------------------------------------------------------------------- */

static cudaError_t copy2d(void *dst, size_t dpitch, const void *src, size_t spitch, size_t width,
                          size_t height, enum cudaMemcpyKind kind, cudaStream_t s, bool sync)
{
    struct gvm_box b = {.dst = {.addr = rt_addr(dst), .pitch = dpitch, .height = height},
                        .src = {.addr = rt_addr(src), .pitch = spitch, .height = height},
                        .width = width,
                        .height = height,
                        .depth = 1};
    int dir = rt_dir(kind);

    if (!width || !height)
        return rt_done(gvm_init());
    if (dir < 0)
        return rt_done(cudaErrorInvalidMemcpyDirection);
    if (height > 1 && (dpitch < width || spitch < width))
        return rt_done(cudaErrorInvalidPitchValue);
    if (gvm_box_fit(&b.dst, &b) || gvm_box_fit(&b.src, &b))
        return rt_done(1);
    b.dir = (enum gvm_dir)dir;
    return rt_done(gvm_copy_box(&b, rt_stream(s), sync));
}

cudaError_t cudaMemcpy2D(void *dst, size_t dpitch, const void *src, size_t spitch, size_t width,
                         size_t height, enum cudaMemcpyKind kind)
{
    return copy2d(dst, dpitch, src, spitch, width, height, kind, NULL, true);
}

RT_API cudaError_t cudaMemcpy2D_ptds(void *dst, size_t dpitch, const void *src, size_t spitch,
                                     size_t width, size_t height, enum cudaMemcpyKind kind)
{
    return copy2d(dst, dpitch, src, spitch, width, height, kind, cudaStreamPerThread, true);
}

cudaError_t cudaMemcpy2DAsync(void *dst, size_t dpitch, const void *src, size_t spitch,
                              size_t width, size_t height, enum cudaMemcpyKind kind, cudaStream_t s)
{
    return copy2d(dst, dpitch, src, spitch, width, height, kind, s, false);
}

RT_API cudaError_t cudaMemcpy2DAsync_ptsz(void *dst, size_t dpitch, const void *src, size_t spitch,
                                          size_t width, size_t height, enum cudaMemcpyKind kind,
                                          cudaStream_t s)
{
    return copy2d(dst, dpitch, src, spitch, width, height, kind, rt_own(s), false);
}

/* ---- three dimensions -------------------------------------------------------------------- */

/* One end; *elem: octets that a unit of `pos` and of the extent stands for, of the array if it is
 * one. */
static int end3d(cudaArray_t array, struct cudaPitchedPtr p, struct cudaPos pos, struct gvm_end *e,
                 unsigned *elem)
{
    *e = (struct gvm_end){.y = pos.y, .z = pos.z, .x = pos.x};
    if (array && p.ptr)
        return 1;
    if (array) {
        e->array = true;
        return gvm_array_look((uintptr_t)array, &e->id, elem);
    }
    e->addr = rt_addr(p.ptr);
    e->pitch = p.pitch;
    e->height = p.ysize;
    return 0;
}

/* The runtime's own check; the driver's, which counts offsets, follows. */
static bool pitch_bad(const struct gvm_end *e, const struct gvm_box *b)
{
    if (e->array || !e->addr)
        return false;
    return (e->pitch < b->width && (b->height > 1 || b->depth > 1)) ||
           (e->height < b->height && b->depth > 1);
}

static int box3d(const struct cudaMemcpy3DParms *p, struct gvm_box *b)
{
    unsigned elem = 1;
    int dir = rt_dir(p->kind), err;

    if (dir < 0)
        return cudaErrorInvalidMemcpyDirection;
    *b = (struct gvm_box){.dir = (enum gvm_dir)dir};
    err = end3d(p->dstArray, p->dstPtr, p->dstPos, &b->dst, &elem);
    if (err == 0)
        err = end3d(p->srcArray, p->srcPtr, p->srcPos, &b->src, &elem);
    if (err)
        return err;
    /* With an array in it, everything counts in its elements. */
    if (__builtin_mul_overflow(p->extent.width, (size_t)elem, &b->width) ||
        __builtin_mul_overflow(b->dst.x, (uint64_t)elem, &b->dst.x) ||
        __builtin_mul_overflow(b->src.x, (uint64_t)elem, &b->src.x))
        return 1;
    b->height = p->extent.height;
    b->depth = p->extent.depth;
    if (!b->width || !b->height || !b->depth)
        return 0;
    if (pitch_bad(&b->dst, b) || pitch_bad(&b->src, b))
        return cudaErrorInvalidPitchValue;
    return gvm_box_fit(&b->dst, b) || gvm_box_fit(&b->src, b);
}

static cudaError_t copy3d(const struct cudaMemcpy3DParms *p, cudaStream_t s, bool sync)
{
    struct gvm_box b;
    int err = p ? box3d(p, &b) : 1;

    return rt_done(err ? err : gvm_copy_box(&b, rt_stream(s), sync));
}

cudaError_t cudaMemcpy3D(const struct cudaMemcpy3DParms *p)
{
    return copy3d(p, NULL, true);
}

RT_API cudaError_t cudaMemcpy3D_ptds(const struct cudaMemcpy3DParms *p)
{
    return copy3d(p, cudaStreamPerThread, true);
}

cudaError_t cudaMemcpy3DAsync(const struct cudaMemcpy3DParms *p, cudaStream_t s)
{
    return copy3d(p, s, false);
}

RT_API cudaError_t cudaMemcpy3DAsync_ptsz(const struct cudaMemcpy3DParms *p, cudaStream_t s)
{
    return copy3d(p, rt_own(s), false);
}

/* ---- between devices: there is one ------------------------------------------------------- */

static bool one_device(int a, int b)
{
    return a == 0 && b == 0;
}

static cudaError_t copy_peer(void *dst, int dst_dev, const void *src, int src_dev, size_t n,
                             cudaStream_t s, bool sync)
{
    if (!one_device(dst_dev, src_dev))
        return rt_done(cudaErrorInvalidDevice);
    return rt_done(gvm_copy(rt_addr(dst), rt_addr(src), n, GVM_D2D, rt_stream(s), sync));
}

cudaError_t cudaMemcpyPeer(void *dst, int dst_dev, const void *src, int src_dev, size_t n)
{
    return copy_peer(dst, dst_dev, src, src_dev, n, NULL, true);
}

cudaError_t cudaMemcpyPeerAsync(void *dst, int dst_dev, const void *src, int src_dev, size_t n,
                                cudaStream_t s)
{
    return copy_peer(dst, dst_dev, src, src_dev, n, s, false);
}

static cudaError_t copy3d_peer(const struct cudaMemcpy3DPeerParms *p, cudaStream_t s, bool sync)
{
    struct cudaMemcpy3DParms q;

    if (!p)
        return rt_done(1);
    if (!one_device(p->dstDevice, p->srcDevice))
        return rt_done(cudaErrorInvalidDevice);
    q = (struct cudaMemcpy3DParms){.srcArray = p->srcArray,
                                   .srcPos = p->srcPos,
                                   .srcPtr = p->srcPtr,
                                   .dstArray = p->dstArray,
                                   .dstPos = p->dstPos,
                                   .dstPtr = p->dstPtr,
                                   .extent = p->extent,
                                   .kind = cudaMemcpyDeviceToDevice};
    return copy3d(&q, s, sync);
}

cudaError_t cudaMemcpy3DPeer(const struct cudaMemcpy3DPeerParms *p)
{
    return copy3d_peer(p, NULL, true);
}

RT_API cudaError_t cudaMemcpy3DPeer_ptds(const struct cudaMemcpy3DPeerParms *p)
{
    return copy3d_peer(p, cudaStreamPerThread, true);
}

cudaError_t cudaMemcpy3DPeerAsync(const struct cudaMemcpy3DPeerParms *p, cudaStream_t s)
{
    return copy3d_peer(p, s, false);
}

RT_API cudaError_t cudaMemcpy3DPeerAsync_ptsz(const struct cudaMemcpy3DPeerParms *p, cudaStream_t s)
{
    return copy3d_peer(p, rt_own(s), false);
}
