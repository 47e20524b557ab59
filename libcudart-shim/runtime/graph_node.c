/* SPDX-License-Identifier: MIT */
/*
 * graph_node.c - nodes whose parameters the runtime describes in its own way.
 */
#include "rt.h"

#include <string.h>

/* ---- kernels ----------------------------------------------------------------------------- */

static int kernel_in(CUDA_KERNEL_NODE_PARAMS *q, const struct cudaKernelNodeParams *p)
{
    struct gvm_func *f;
    int err = gvm_context();

    if (err)
        return err;
    if (!p)
        return 1;
    err = rt_func_of(p->func, &f);
    if (err)
        return err;
    *q = (CUDA_KERNEL_NODE_PARAMS){.func = (CUfunction)f,
                                   .gridDimX = p->gridDim.x,
                                   .gridDimY = p->gridDim.y,
                                   .gridDimZ = p->gridDim.z,
                                   .blockDimX = p->blockDim.x,
                                   .blockDimY = p->blockDim.y,
                                   .blockDimZ = p->blockDim.z,
                                   .sharedMemBytes = p->sharedMemBytes,
                                   .kernelParams = p->kernelParams,
                                   .extra = p->extra};
    return 0;
}

cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t *out, cudaGraph_t g, const cudaGraphNode_t *deps,
                                   size_t n, const struct cudaKernelNodeParams *p)
{
    CUDA_KERNEL_NODE_PARAMS q;
    int err = kernel_in(&q, p);

    return rt_done(err ? err : (int)cuGraphAddKernelNode(out, g, deps, n, &q));
}

cudaError_t cudaGraphKernelNodeGetParams(cudaGraphNode_t node, struct cudaKernelNodeParams *p)
{
    CUDA_KERNEL_NODE_PARAMS q;
    int err = p ? (int)cuGraphKernelNodeGetParams(node, &q) : 1;

    if (err == 0)
        *p = (struct cudaKernelNodeParams){
            .func = (void *)rt_func_symbol((struct gvm_func *)q.func),
            .gridDim = {q.gridDimX, q.gridDimY, q.gridDimZ},
            .blockDim = {q.blockDimX, q.blockDimY, q.blockDimZ},
            .sharedMemBytes = q.sharedMemBytes,
            .kernelParams = q.kernelParams,
            .extra = q.extra,
        };
    return rt_done(err);
}

cudaError_t cudaGraphKernelNodeSetParams(cudaGraphNode_t node, const struct cudaKernelNodeParams *p)
{
    CUDA_KERNEL_NODE_PARAMS q;
    int err = kernel_in(&q, p);

    return rt_done(err ? err : (int)cuGraphKernelNodeSetParams(node, &q));
}

cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t x, cudaGraphNode_t node,
                                             const struct cudaKernelNodeParams *p)
{
    CUDA_KERNEL_NODE_PARAMS q;
    int err = kernel_in(&q, p);

    return rt_done(err ? err : (int)cuGraphExecKernelNodeSetParams(x, node, &q));
}

cudaError_t cudaGraphKernelNodeCopyAttributes(cudaGraphNode_t src, cudaGraphNode_t dst)
{
    /* The runtime's declaration names them the other way round than its driver counterpart. */
    return rt_done((int)cuGraphKernelNodeCopyAttributes(src, dst));
}

cudaError_t cudaGraphKernelNodeGetAttribute(cudaGraphNode_t node, cudaLaunchAttributeID attr,
                                            cudaLaunchAttributeValue *v)
{
    return rt_done((int)cuGraphKernelNodeGetAttribute(node, (CUlaunchAttributeID)attr,
                                                      (CUlaunchAttributeValue *)v));
}

cudaError_t cudaGraphKernelNodeSetAttribute(cudaGraphNode_t node, cudaLaunchAttributeID attr,
                                            const cudaLaunchAttributeValue *v)
{
    return rt_done((int)cuGraphKernelNodeSetAttribute(node, (CUlaunchAttributeID)attr,
                                                      (const CUlaunchAttributeValue *)v));
}

/* ---- copies ------------------------------------------------------------------------------ */

/* Memory types of a kind; false: there is no such kind. */
static bool types_of(enum cudaMemcpyKind kind, CUmemorytype *dst, CUmemorytype *src)
{
    *dst = *src = CU_MEMORYTYPE_UNIFIED;
    switch (kind) {
    case cudaMemcpyHostToHost:
        *dst = *src = CU_MEMORYTYPE_HOST;
        return true;
    case cudaMemcpyHostToDevice:
        *dst = CU_MEMORYTYPE_DEVICE;
        *src = CU_MEMORYTYPE_HOST;
        return true;
    case cudaMemcpyDeviceToHost:
        *dst = CU_MEMORYTYPE_HOST;
        *src = CU_MEMORYTYPE_DEVICE;
        return true;
    case cudaMemcpyDeviceToDevice:
        *dst = *src = CU_MEMORYTYPE_DEVICE;
        return true;
    case cudaMemcpyDefault:
        return true;
    }
    return false;
}

static int copy_in(CUDA_MEMCPY3D *q, const struct cudaMemcpy3DParms *p)
{
    int err = gvm_context();

    if (err)
        return err;
    if (!p)
        return 1;
    memset(q, 0, sizeof(*q));
    if (!types_of(p->kind, &q->dstMemoryType, &q->srcMemoryType))
        return 21; /* cudaErrorInvalidMemcpyDirection */
    if (!p->srcArray == !p->srcPtr.ptr || !p->dstArray == !p->dstPtr.ptr)
        return 1;
    if ((!p->srcArray && p->extent.height > 1 && p->extent.width > p->srcPtr.pitch) ||
        (!p->dstArray && p->extent.height > 1 && p->extent.width > p->dstPtr.pitch))
        return 12; /* cudaErrorInvalidPitchValue */
    q->WidthInBytes = p->extent.width;
    q->Height = p->extent.height;
    q->Depth = p->extent.depth;
    q->srcXInBytes = p->srcPos.x;
    q->srcY = p->srcPos.y;
    q->srcZ = p->srcPos.z;
    q->dstXInBytes = p->dstPos.x;
    q->dstY = p->dstPos.y;
    q->dstZ = p->dstPos.z;
    q->srcHost = p->srcPtr.ptr;
    q->srcDevice = rt_addr(p->srcPtr.ptr);
    q->srcPitch = p->srcPtr.pitch;
    q->srcHeight = p->srcPtr.ysize;
    q->dstHost = p->dstPtr.ptr;
    q->dstDevice = rt_addr(p->dstPtr.ptr);
    q->dstPitch = p->dstPtr.pitch;
    q->dstHeight = p->dstPtr.ysize;
    if (p->srcArray) {
        q->srcMemoryType = CU_MEMORYTYPE_ARRAY;
        q->srcArray = (CUarray)p->srcArray;
    }
    if (p->dstArray) {
        q->dstMemoryType = CU_MEMORYTYPE_ARRAY;
        q->dstArray = (CUarray)p->dstArray;
    }
    return 0;
}

static enum cudaMemcpyKind kind_of(CUmemorytype dst, CUmemorytype src)
{
    if (dst == CU_MEMORYTYPE_UNIFIED || src == CU_MEMORYTYPE_UNIFIED)
        return cudaMemcpyDefault;
    if (dst == CU_MEMORYTYPE_HOST)
        return src == CU_MEMORYTYPE_HOST ? cudaMemcpyHostToHost : cudaMemcpyDeviceToHost;
    return src == CU_MEMORYTYPE_HOST ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToDevice;
}

static void *end_out(CUmemorytype type, const void *host, CUdeviceptr dev)
{
    return type == CU_MEMORYTYPE_HOST ? (void *)host : (void *)(uintptr_t)dev;
}

static void copy_out(struct cudaMemcpy3DParms *p, const CUDA_MEMCPY3D *q)
{
    memset(p, 0, sizeof(*p));
    if (q->srcMemoryType == CU_MEMORYTYPE_ARRAY)
        p->srcArray = (cudaArray_t)q->srcArray;
    else
        p->srcPtr.ptr = end_out(q->srcMemoryType, q->srcHost, q->srcDevice);
    if (q->dstMemoryType == CU_MEMORYTYPE_ARRAY)
        p->dstArray = (cudaArray_t)q->dstArray;
    else
        p->dstPtr.ptr = end_out(q->dstMemoryType, q->dstHost, q->dstDevice);
    p->srcPtr.pitch = q->srcPitch;
    p->srcPtr.xsize = q->srcPitch;
    p->srcPtr.ysize = q->srcHeight;
    p->dstPtr.pitch = q->dstPitch;
    p->dstPtr.xsize = q->dstPitch;
    p->dstPtr.ysize = q->dstHeight;
    p->srcPos = (struct cudaPos){q->srcXInBytes, q->srcY, q->srcZ};
    p->dstPos = (struct cudaPos){q->dstXInBytes, q->dstY, q->dstZ};
    p->extent = (struct cudaExtent){q->WidthInBytes, q->Height, q->Depth};
    p->kind = kind_of(q->dstMemoryType, q->srcMemoryType);
}

/* A plain copy of n octets. */
static int linear(CUDA_MEMCPY3D *q, const void *dst, const void *src, size_t n,
                  enum cudaMemcpyKind kind)
{
    int err = gvm_context();

    if (err)
        return err;
    memset(q, 0, sizeof(*q));
    if (!types_of(kind, &q->dstMemoryType, &q->srcMemoryType))
        return 21;
    q->WidthInBytes = n;
    q->Height = q->Depth = 1;
    q->srcHost = src;
    q->srcDevice = rt_addr(src);
    q->dstHost = (void *)dst;
    q->dstDevice = rt_addr(dst);
    return 0;
}

static int to_symbol(CUDA_MEMCPY3D *q, const void *symbol, const void *src, size_t n, size_t off,
                     enum cudaMemcpyKind kind)
{
    uint64_t at, size;
    int err = rt_symbol(symbol, &at, &size);

    if (err)
        return err;
    if (off > size || n > size - off)
        return 1;
    if (kind != cudaMemcpyHostToDevice && kind != cudaMemcpyDeviceToDevice &&
        kind != cudaMemcpyDefault)
        return 21;
    return linear(q, (void *)(uintptr_t)(at + off), src, n, kind);
}

static int from_symbol(CUDA_MEMCPY3D *q, void *dst, const void *symbol, size_t n, size_t off,
                       enum cudaMemcpyKind kind)
{
    uint64_t at, size;
    int err = rt_symbol(symbol, &at, &size);

    if (err)
        return err;
    if (off > size || n > size - off)
        return 1;
    if (kind != cudaMemcpyDeviceToHost && kind != cudaMemcpyDeviceToDevice &&
        kind != cudaMemcpyDefault)
        return 21;
    return linear(q, dst, (void *)(uintptr_t)(at + off), n, kind);
}

#define ADD(err)  rt_done(err ? err : (int)cuGraphAddMemcpyNode(out, g, deps, n, &q, NULL))
#define SET(err)  rt_done(err ? err : (int)cuGraphMemcpyNodeSetParams(node, &q))
#define EXEC(err) rt_done(err ? err : (int)cuGraphExecMemcpyNodeSetParams(x, node, &q, NULL))

cudaError_t cudaGraphAddMemcpyNode(cudaGraphNode_t *out, cudaGraph_t g, const cudaGraphNode_t *deps,
                                   size_t n, const struct cudaMemcpy3DParms *p)
{
    CUDA_MEMCPY3D q;
    int err = copy_in(&q, p);

    return ADD(err);
}

cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t *out, cudaGraph_t g,
                                     const cudaGraphNode_t *deps, size_t n, void *dst,
                                     const void *src, size_t count, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D q;
    int err = linear(&q, dst, src, count, kind);

    return ADD(err);
}

cudaError_t cudaGraphAddMemcpyNodeToSymbol(cudaGraphNode_t *out, cudaGraph_t g,
                                           const cudaGraphNode_t *deps, size_t n,
                                           const void *symbol, const void *src, size_t count,
                                           size_t off, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D q;
    int err = to_symbol(&q, symbol, src, count, off, kind);

    return ADD(err);
}

cudaError_t cudaGraphAddMemcpyNodeFromSymbol(cudaGraphNode_t *out, cudaGraph_t g,
                                             const cudaGraphNode_t *deps, size_t n, void *dst,
                                             const void *symbol, size_t count, size_t off,
                                             enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D q;
    int err = from_symbol(&q, dst, symbol, count, off, kind);

    return ADD(err);
}

cudaError_t cudaGraphMemcpyNodeGetParams(cudaGraphNode_t node, struct cudaMemcpy3DParms *p)
{
    CUDA_MEMCPY3D q;
    int err = p ? (int)cuGraphMemcpyNodeGetParams(node, &q) : 1;

    if (err == 0)
        copy_out(p, &q);
    return rt_done(err);
}

cudaError_t cudaGraphMemcpyNodeSetParams(cudaGraphNode_t node, const struct cudaMemcpy3DParms *p)
{
    CUDA_MEMCPY3D q;
    int err = copy_in(&q, p);

    return SET(err);
}

cudaError_t cudaGraphMemcpyNodeSetParams1D(cudaGraphNode_t node, void *dst, const void *src,
                                           size_t count, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D q;
    int err = linear(&q, dst, src, count, kind);

    return SET(err);
}

cudaError_t cudaGraphMemcpyNodeSetParamsToSymbol(cudaGraphNode_t node, const void *symbol,
                                                 const void *src, size_t count, size_t off,
                                                 enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D q;
    int err = to_symbol(&q, symbol, src, count, off, kind);

    return SET(err);
}

cudaError_t cudaGraphMemcpyNodeSetParamsFromSymbol(cudaGraphNode_t node, void *dst,
                                                   const void *symbol, size_t count, size_t off,
                                                   enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D q;
    int err = from_symbol(&q, dst, symbol, count, off, kind);

    return SET(err);
}

cudaError_t cudaGraphExecMemcpyNodeSetParams(cudaGraphExec_t x, cudaGraphNode_t node,
                                             const struct cudaMemcpy3DParms *p)
{
    CUDA_MEMCPY3D q;
    int err = copy_in(&q, p);

    return EXEC(err);
}

cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t x, cudaGraphNode_t node, void *dst,
                                               const void *src, size_t count,
                                               enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D q;
    int err = linear(&q, dst, src, count, kind);

    return EXEC(err);
}

cudaError_t cudaGraphExecMemcpyNodeSetParamsToSymbol(cudaGraphExec_t x, cudaGraphNode_t node,
                                                     const void *symbol, const void *src,
                                                     size_t count, size_t off,
                                                     enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D q;
    int err = to_symbol(&q, symbol, src, count, off, kind);

    return EXEC(err);
}

cudaError_t cudaGraphExecMemcpyNodeSetParamsFromSymbol(cudaGraphExec_t x, cudaGraphNode_t node,
                                                       void *dst, const void *symbol, size_t count,
                                                       size_t off, enum cudaMemcpyKind kind)
{
    CUDA_MEMCPY3D q;
    int err = from_symbol(&q, dst, symbol, count, off, kind);

    return EXEC(err);
}

/* ---- fills ------------------------------------------------------------------------------- */

static int fill_in(CUDA_MEMSET_NODE_PARAMS *q, const struct cudaMemsetParams *p)
{
    int err = gvm_context();

    if (err)
        return err;
    if (!p)
        return 1;
    *q = (CUDA_MEMSET_NODE_PARAMS){.dst = rt_addr(p->dst),
                                   .pitch = p->pitch,
                                   .value = p->value,
                                   .elementSize = p->elementSize,
                                   .width = p->width,
                                   .height = p->height};
    return 0;
}

cudaError_t cudaGraphAddMemsetNode(cudaGraphNode_t *out, cudaGraph_t g, const cudaGraphNode_t *deps,
                                   size_t n, const struct cudaMemsetParams *p)
{
    CUDA_MEMSET_NODE_PARAMS q;
    int err = fill_in(&q, p);

    return rt_done(err ? err : (int)cuGraphAddMemsetNode(out, g, deps, n, &q, NULL));
}

cudaError_t cudaGraphMemsetNodeGetParams(cudaGraphNode_t node, struct cudaMemsetParams *p)
{
    CUDA_MEMSET_NODE_PARAMS q;
    int err = p ? (int)cuGraphMemsetNodeGetParams(node, &q) : 1;

    if (err == 0)
        *p = (struct cudaMemsetParams){.dst = (void *)(uintptr_t)q.dst,
                                       .pitch = q.pitch,
                                       .value = q.value,
                                       .elementSize = q.elementSize,
                                       .width = q.width,
                                       .height = q.height};
    return rt_done(err);
}

cudaError_t cudaGraphMemsetNodeSetParams(cudaGraphNode_t node, const struct cudaMemsetParams *p)
{
    CUDA_MEMSET_NODE_PARAMS q;
    int err = fill_in(&q, p);

    return rt_done(err ? err : (int)cuGraphMemsetNodeSetParams(node, &q));
}

cudaError_t cudaGraphExecMemsetNodeSetParams(cudaGraphExec_t x, cudaGraphNode_t node,
                                             const struct cudaMemsetParams *p)
{
    CUDA_MEMSET_NODE_PARAMS q;
    int err = fill_in(&q, p);

    return rt_done(err ? err : (int)cuGraphExecMemsetNodeSetParams(x, node, &q, NULL));
}

/* ---- memory ------------------------------------------------------------------------------ */

cudaError_t cudaGraphAddMemAllocNode(cudaGraphNode_t *out, cudaGraph_t g,
                                     const cudaGraphNode_t *deps, size_t n,
                                     struct cudaMemAllocNodeParams *p)
{
    int err = gvm_context();

    _Static_assert(sizeof(CUDA_MEM_ALLOC_NODE_PARAMS) == sizeof(*p), "allocation nodes");
    return rt_done(
        err ? err : (int)cuGraphAddMemAllocNode(out, g, deps, n, (CUDA_MEM_ALLOC_NODE_PARAMS *)p));
}

cudaError_t cudaGraphMemAllocNodeGetParams(cudaGraphNode_t node, struct cudaMemAllocNodeParams *p)
{
    return rt_done((int)cuGraphMemAllocNodeGetParams(node, (CUDA_MEM_ALLOC_NODE_PARAMS *)p));
}

cudaError_t cudaGraphAddMemFreeNode(cudaGraphNode_t *out, cudaGraph_t g,
                                    const cudaGraphNode_t *deps, size_t n, void *dptr)
{
    int err = gvm_context();

    return rt_done(err ? err : (int)cuGraphAddMemFreeNode(out, g, deps, n, rt_addr(dptr)));
}

cudaError_t cudaGraphMemFreeNodeGetParams(cudaGraphNode_t node, void *dptr)
{
    return rt_done((int)cuGraphMemFreeNodeGetParams(node, dptr));
}

cudaError_t cudaDeviceGraphMemTrim(int device)
{
    int err = gvm_context();

    return rt_done(err ? err : (int)cuDeviceGraphMemTrim(device));
}

cudaError_t cudaDeviceGetGraphMemAttribute(int device, enum cudaGraphMemAttributeType attr,
                                           void *value)
{
    int err = gvm_context();

    return rt_done(
        err ? err : (int)cuDeviceGetGraphMemAttribute(device, (CUgraphMem_attribute)attr, value));
}

cudaError_t cudaDeviceSetGraphMemAttribute(int device, enum cudaGraphMemAttributeType attr,
                                           void *value)
{
    int err = gvm_context();

    return rt_done(
        err ? err : (int)cuDeviceSetGraphMemAttribute(device, (CUgraphMem_attribute)attr, value));
}

/* ---- any type ---------------------------------------------------------------------------- */

/* Both unions have the same layout but for kernels' functions and copies. */
static int any_in(CUgraphNodeParams *q, const struct cudaGraphNodeParams *p)
{
    struct gvm_func *f;
    int err = gvm_context();

    _Static_assert(sizeof(CUgraphNodeParams) == sizeof(struct cudaGraphNodeParams), "node params");
    if (err)
        return err;
    if (!p)
        return 1;
    memcpy(q, p, sizeof(*q));
    if (p->type == cudaGraphNodeTypeKernel) {
        err = rt_func_of(p->kernel.func, &f);
        if (err)
            return err;
        q->kernel.func = (CUfunction)f;
        q->kernel.kern = NULL;
        q->kernel.ctx = NULL;
    } else if (p->type == cudaGraphNodeTypeMemcpy) {
        memset(&q->memcpy, 0, sizeof(q->memcpy));
        err = copy_in(&q->memcpy.copyParams, &p->memcpy.copyParams);
    }
    return err;
}

cudaError_t cudaGraphAddNode(cudaGraphNode_t *out, cudaGraph_t g, const cudaGraphNode_t *deps,
                             const cudaGraphEdgeData *data, size_t n, struct cudaGraphNodeParams *p)
{
    CUgraphNodeParams q;
    int err = any_in(&q, p);

    if (err == 0)
        err = (int)cuGraphAddNode(out, g, deps, (const CUgraphEdgeData *)data, n, &q);
    if (err == 0 && p->type == cudaGraphNodeTypeMemAlloc)
        p->alloc.dptr = (void *)(uintptr_t)q.alloc.dptr;
    if (err == 0 && p->type == cudaGraphNodeTypeGraph)
        p->graph.graph = q.graph.graph;
    if (err == 0 && p->type == cudaGraphNodeTypeConditional)
        p->conditional.phGraph_out = q.conditional.phGraph_out;
    return rt_done(err);
}

cudaError_t cudaGraphNodeSetParams(cudaGraphNode_t node, struct cudaGraphNodeParams *p)
{
    CUgraphNodeParams q;
    int err = any_in(&q, p);

    return rt_done(err ? err : (int)cuGraphNodeSetParams(node, &q));
}

cudaError_t cudaGraphExecNodeSetParams(cudaGraphExec_t x, cudaGraphNode_t node,
                                       struct cudaGraphNodeParams *p)
{
    CUgraphNodeParams q;
    int err = any_in(&q, p);

    return rt_done(err ? err : (int)cuGraphExecNodeSetParams(x, node, &q));
}

/* ---- instantiating ----------------------------------------------------------------------- */

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *x, cudaGraph_t g,
                                          unsigned long long flags)
{
    int err = gvm_context();

    return rt_done(err ? err : (int)cuGraphInstantiateWithFlags(x, g, flags));
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *x, cudaGraph_t g, unsigned long long flags)
{
    return cudaGraphInstantiateWithFlags(x, g, flags);
}

cudaError_t cudaGraphConditionalHandleCreate(cudaGraphConditionalHandle *out, cudaGraph_t g,
                                             unsigned value, unsigned flags)
{
    int err = gvm_context();

    return rt_done(err ? err
                       : (int)cuGraphConditionalHandleCreate((CUgraphConditionalHandle *)out, g,
                                                             NULL, value, flags));
}
