/* SPDX-License-Identifier: MIT */
/*
 * api_copy.c - copies in two and three dimensions, between contexts, and in batches, of the driver
 * API.
 */
#include "api.h"
#include "box.h"

#include <string.h>

/* A number of the runtime's that the driver API does not have. */
static CUresult result(int rc)
{
    return (CUresult)(rc == 12 ? 1 : rc);
}

/* ---- descriptors ------------------------------------------------------------------------- */

enum given { HOST, DEVICE, UNIFIED };

struct given_end {
    CUmemorytype type;
    const void *host;
    CUdeviceptr dev;
    CUarray array;
    size_t x, y, z, lod, pitch, height;
};

static int end_of(const struct given_end *g, struct gvm_end *e, enum given *what)
{
    unsigned elem;

    *e = (struct gvm_end){.x = g->x, .y = g->y, .z = g->z, .pitch = g->pitch, .height = g->height};
    switch (g->type) {
    case CU_MEMORYTYPE_HOST:
        e->addr = (uintptr_t)g->host;
        *what = HOST;
        return 0;
    case CU_MEMORYTYPE_DEVICE:
        e->addr = g->dev;
        *what = DEVICE;
        return 0;
    case CU_MEMORYTYPE_UNIFIED:
        e->addr = g->dev;
        *what = UNIFIED;
        return 0;
    case CU_MEMORYTYPE_ARRAY:
        if (g->lod || !g->array)
            return 1;
        e->array = true;
        *what = DEVICE;
        return gvm_array_look((uintptr_t)g->array, &e->id, &elem);
    default:
        return 1;
    }
}

static int box_of(const struct given_end *dst, const struct given_end *src, size_t width,
                  size_t height, size_t depth, struct gvm_box *b)
{
    enum given d, s;
    int rc;

    *b = (struct gvm_box){.width = width, .height = height, .depth = depth};
    rc = end_of(dst, &b->dst, &d);
    if (rc == 0)
        rc = end_of(src, &b->src, &s);
    if (rc)
        return rc;
    if (d == UNIFIED || s == UNIFIED)
        b->dir = GVM_ANY;
    else if (d == DEVICE)
        b->dir = s == DEVICE ? GVM_D2D : GVM_H2D;
    else
        b->dir = s == DEVICE ? GVM_D2H : GVM_H2H;
    if (!width || !height || !depth)
        return 0;
    return gvm_box_fit(&b->dst, b) || gvm_box_fit(&b->src, b);
}

static CUresult copy(int rc, const struct gvm_box *b, CUstream s, bool sync)
{
    return result(rc ? rc : gvm_copy_box(b, api_stream(s), sync));
}

/* ---- two dimensions ---------------------------------------------------------------------- */

static CUresult copy2d(const CUDA_MEMCPY2D *p, CUstream s, bool sync)
{
    struct gvm_box b;
    int rc = api_need();

    if (rc == 0 && !p)
        rc = 1;
    if (rc)
        return (CUresult)rc;
    rc = box_of(&(struct given_end){p->dstMemoryType, p->dstHost, p->dstDevice, p->dstArray,
                                    p->dstXInBytes, p->dstY, 0, 0, p->dstPitch, 0},
                &(struct given_end){p->srcMemoryType, p->srcHost, p->srcDevice, p->srcArray,
                                    p->srcXInBytes, p->srcY, 0, 0, p->srcPitch, 0},
                p->WidthInBytes, p->Height, 1, &b);
    return copy(rc, &b, s, sync);
}

CUresult cuMemcpy2D(const CUDA_MEMCPY2D *p)
{
    return copy2d(p, NULL, true);
}

GVM_API CUresult cuMemcpy2D_v2_ptds(const CUDA_MEMCPY2D *p);
CUresult cuMemcpy2D_v2_ptds(const CUDA_MEMCPY2D *p)
{
    return copy2d(p, CU_STREAM_PER_THREAD, true);
}

CUresult cuMemcpy2DUnaligned(const CUDA_MEMCPY2D *p)
{
    return copy2d(p, NULL, true);
}

GVM_API CUresult cuMemcpy2DUnaligned_v2_ptds(const CUDA_MEMCPY2D *p);
CUresult cuMemcpy2DUnaligned_v2_ptds(const CUDA_MEMCPY2D *p)
{
    return copy2d(p, CU_STREAM_PER_THREAD, true);
}

CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D *p, CUstream s)
{
    return copy2d(p, s, false);
}

GVM_API CUresult cuMemcpy2DAsync_v2_ptsz(const CUDA_MEMCPY2D *p, CUstream s);
CUresult cuMemcpy2DAsync_v2_ptsz(const CUDA_MEMCPY2D *p, CUstream s)
{
    return copy2d(p, api_own(s), false);
}

/* ---- three dimensions -------------------------------------------------------------------- */

static int box3d(const CUDA_MEMCPY3D *p, struct gvm_box *b)
{
    return box_of(
        &(struct given_end){p->dstMemoryType, p->dstHost, p->dstDevice, p->dstArray, p->dstXInBytes,
                            p->dstY, p->dstZ, p->dstLOD, p->dstPitch, p->dstHeight},
        &(struct given_end){p->srcMemoryType, p->srcHost, p->srcDevice, p->srcArray, p->srcXInBytes,
                            p->srcY, p->srcZ, p->srcLOD, p->srcPitch, p->srcHeight},
        p->WidthInBytes, p->Height, p->Depth, b);
}

static CUresult copy3d(const CUDA_MEMCPY3D *p, CUstream s, bool sync)
{
    struct gvm_box b;
    int rc = api_need();

    if (rc == 0)
        rc = p ? box3d(p, &b) : 1;
    return copy(rc, &b, s, sync);
}

CUresult cuMemcpy3D(const CUDA_MEMCPY3D *p)
{
    return copy3d(p, NULL, true);
}

GVM_API CUresult cuMemcpy3D_v2_ptds(const CUDA_MEMCPY3D *p);
CUresult cuMemcpy3D_v2_ptds(const CUDA_MEMCPY3D *p)
{
    return copy3d(p, CU_STREAM_PER_THREAD, true);
}

CUresult cuMemcpy3DAsync(const CUDA_MEMCPY3D *p, CUstream s)
{
    return copy3d(p, s, false);
}

GVM_API CUresult cuMemcpy3DAsync_v2_ptsz(const CUDA_MEMCPY3D *p, CUstream s);
CUresult cuMemcpy3DAsync_v2_ptsz(const CUDA_MEMCPY3D *p, CUstream s)
{
    return copy3d(p, api_own(s), false);
}

/* ---- between contexts: all are of one device --------------------------------------------- */

static CUresult copy3d_peer(const CUDA_MEMCPY3D_PEER *p, CUstream s, bool sync)
{
    CUDA_MEMCPY3D q;

    if (!p)
        return copy3d(NULL, s, sync);
    /* The layout is the same, with the contexts where the other has reserved fields. */
    _Static_assert(sizeof(q) == sizeof(*p), "CUDA_MEMCPY3D_PEER");
    memcpy(&q, p, sizeof(q));
    return copy3d(&q, s, sync);
}

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *p)
{
    return copy3d_peer(p, NULL, true);
}

GVM_API CUresult cuMemcpy3DPeer_ptds(const CUDA_MEMCPY3D_PEER *p);
CUresult cuMemcpy3DPeer_ptds(const CUDA_MEMCPY3D_PEER *p)
{
    return copy3d_peer(p, CU_STREAM_PER_THREAD, true);
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *p, CUstream s)
{
    return copy3d_peer(p, s, false);
}

GVM_API CUresult cuMemcpy3DPeerAsync_ptsz(const CUDA_MEMCPY3D_PEER *p, CUstream s);
CUresult cuMemcpy3DPeerAsync_ptsz(const CUDA_MEMCPY3D_PEER *p, CUstream s)
{
    return copy3d_peer(p, api_own(s), false);
}

static CUresult copy_peer(CUdeviceptr dst, CUcontext dctx, CUdeviceptr src, CUcontext sctx,
                          size_t n, CUstream s, bool sync)
{
    int rc = api_need();

    return result(rc ? rc : gvm_copy(dst, src, n, GVM_D2D, api_stream(s), sync));
}

CUresult cuMemcpyPeer(CUdeviceptr dst, CUcontext dctx, CUdeviceptr src, CUcontext sctx, size_t n)
{
    return copy_peer(dst, dctx, src, sctx, n, NULL, true);
}

GVM_API CUresult cuMemcpyPeer_ptds(CUdeviceptr dst, CUcontext dctx, CUdeviceptr src, CUcontext sctx,
                                   size_t n);
CUresult cuMemcpyPeer_ptds(CUdeviceptr dst, CUcontext dctx, CUdeviceptr src, CUcontext sctx,
                           size_t n)
{
    return copy_peer(dst, dctx, src, sctx, n, CU_STREAM_PER_THREAD, true);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr dst, CUcontext dctx, CUdeviceptr src, CUcontext sctx,
                           size_t n, CUstream s)
{
    return copy_peer(dst, dctx, src, sctx, n, s, false);
}

GVM_API CUresult cuMemcpyPeerAsync_ptsz(CUdeviceptr dst, CUcontext dctx, CUdeviceptr src,
                                        CUcontext sctx, size_t n, CUstream s);
CUresult cuMemcpyPeerAsync_ptsz(CUdeviceptr dst, CUcontext dctx, CUdeviceptr src, CUcontext sctx,
                                size_t n, CUstream s)
{
    return copy_peer(dst, dctx, src, sctx, n, api_own(s), false);
}
