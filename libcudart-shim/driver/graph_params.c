/* SPDX-License-Identifier: MIT */
/*
 * graph_params.c - parameters of nodes.
 */
#include "graph.h"
#include "module.h"
#include "pool.h"

#include <stdlib.h>
#include <string.h>

/* ---- kernels ----------------------------------------------------------------------------- */

static void kernel_free(struct gvm_kernel_node *k)
{
    free(k->buf);
    free(k->ptrs);
    k->buf = NULL;
    k->ptrs = NULL;
}

/* Room for f's parameters, with a pointer to each. */
static int kernel_room(struct gvm_kernel_node *k, struct gvm_func *f)
{
    k->f = f;
    k->buf = calloc(1, f->param_bytes + 8);
    k->ptrs = calloc(f->nparam + 1, sizeof(*k->ptrs));
    if (!k->buf || !k->ptrs) {
        kernel_free(k);
        return 2;
    }
    for (uint32_t i = 0; i < f->nparam; i++)
        k->ptrs[i] = k->buf + f->params[i].offset;
    return 0;
}

static int kernel_fill(CUgraphNode n, struct gvm_func *f, const struct gvm_launch *l)
{
    struct gvm_kernel_node k = {.l = *l};
    int rc;

    if (!gvm_func_valid(f))
        return 400;
    if (l->buffer ? l->buffer_len < f->param_bytes : f->nparam && !l->params)
        return 1;
    rc = kernel_room(&k, f);
    if (rc)
        return rc;
    if (l->buffer)
        memcpy(k.buf, l->buffer, f->param_bytes);
    for (uint32_t i = 0; i < f->nparam && !l->buffer; i++) {
        if (!l->params[i]) {
            kernel_free(&k);
            return 1;
        }
        memcpy(k.ptrs[i], l->params[i], f->params[i].size);
    }
    k.l.params = NULL;
    k.l.buffer = NULL;
    k.l.stream = 0;
    k.attr = n->k.attr;
    kernel_free(&n->k);
    n->k = k;
    return 0;
}

int gvm_set_launch(CUgraphNode n, struct gvm_func *f, const struct gvm_launch *l)
{
    return kernel_fill(n, f, l);
}

static int take_extra(struct gvm_launch *l, void **extra)
{
    for (; extra[0] != CU_LAUNCH_PARAM_END; extra += 2) {
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            l->buffer = extra[1];
        else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE)
            l->buffer_len = *(const size_t *)extra[1];
        else
            return 1;
    }
    return 0;
}

/* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES bounds it. */
static int shared_check(struct gvm_func *f, uint32_t shmem)
{
    int32_t attr[16];
    int rc = gvm_func_valid(f) ? gvm_func_attrs(f, attr) : 400;

    return rc ? rc : shmem > (uint32_t)attr[8] ? 1 : 0;
}

int gvm_set_kernel(CUgraphNode n, const CUDA_KERNEL_NODE_PARAMS *p)
{
    struct gvm_launch l = n->k.l; /* attributes stay */
    struct gvm_func *f = (struct gvm_func *)p->func;
    int rc = 0;

    if (!f && !p->kern)
        return 400;
    if (!f) /* a CUkernel stands for its function here */
        f = (struct gvm_func *)p->kern;
    if (p->kernelParams && p->extra)
        return 1;
    if (!p->gridDimX || !p->gridDimY || !p->gridDimZ || !p->blockDimX || !p->blockDimY ||
        !p->blockDimZ)
        return 1;
    l.grid[0] = p->gridDimX;
    l.grid[1] = p->gridDimY;
    l.grid[2] = p->gridDimZ;
    l.block[0] = p->blockDimX;
    l.block[1] = p->blockDimY;
    l.block[2] = p->blockDimZ;
    l.shmem = p->sharedMemBytes;
    l.params = p->kernelParams;
    l.buffer = NULL;
    if (p->extra)
        rc = take_extra(&l, p->extra);
    if (rc == 0)
        rc = gvm_launch_check(&l);
    if (rc == 0 && l.shmem)
        rc = shared_check(f, l.shmem);
    if (rc == 0)
        rc = kernel_fill(n, f, &l);
    if (rc == 0)
        n->k.kern = p->func ? NULL : p->kern;
    return rc;
}

/* ---- copies ------------------------------------------------------------------------------ */

static int side_check(CUmemorytype type, const void *host, CUdeviceptr dev, CUarray array)
{
    switch (type) {
    case CU_MEMORYTYPE_HOST:
        return host ? 0 : 1;
    case CU_MEMORYTYPE_DEVICE:
    case CU_MEMORYTYPE_UNIFIED:
        return dev ? 0 : 1;
    case CU_MEMORYTYPE_ARRAY:
        return array ? 0 : 1;
    default:
        return 1;
    }
}

static void end_of(struct gvm_copy_end *e, CUmemorytype type, const void *host, CUdeviceptr dev,
                   CUarray array, size_t x, size_t y, size_t z, size_t pitch, size_t height,
                   const CUDA_MEMCPY3D *p)
{
    uint64_t addr = type == CU_MEMORYTYPE_HOST ? (uintptr_t)host : dev;
    struct gvm_pool_ref ref;
    struct gvm_range g;

    if (!pitch)
        pitch = x + p->WidthInBytes;
    if (!height)
        height = y + p->Height;
    *e = (struct gvm_copy_end){
        .pitch = pitch, .height = height, .array = array, .x = x, .y = y, .z = z};
    if (type == CU_MEMORYTYPE_ARRAY) {
        e->place = GVM_PLACE_ARRAY;
        return;
    }
    e->addr = addr + (z * height + y) * pitch + x;
    gvm_find(e->addr, &g);
    if (gvm_pool_find((void *)(uintptr_t)e->addr, 1, &ref))
        e->place = GVM_PLACE_POOL;
    else if (g.kind == GVM_HOST)
        e->place = GVM_PLACE_HOST;
    else
        e->place = GVM_PLACE_DEVICE;
}

void gvm_copy_ends(const CUDA_MEMCPY3D *p, struct gvm_copy_end *dst, struct gvm_copy_end *src)
{
    end_of(dst, p->dstMemoryType, p->dstHost, p->dstDevice, p->dstArray, p->dstXInBytes, p->dstY,
           p->dstZ, p->dstPitch, p->dstHeight, p);
    end_of(src, p->srcMemoryType, p->srcHost, p->srcDevice, p->srcArray, p->srcXInBytes, p->srcY,
           p->srcZ, p->srcPitch, p->srcHeight, p);
}

/* The box must lie inside what its first octet belongs to. */
static int end_check(const struct gvm_copy_end *e, CUmemorytype type, const CUDA_MEMCPY3D *p)
{
    struct gvm_range g;
    uint64_t span;

    if (e->place == GVM_PLACE_ARRAY)
        return 0;
    if ((p->Height > 1 || p->Depth > 1) && e->pitch < e->x + p->WidthInBytes)
        return 1;
    if (p->Depth > 1 && e->height < e->y + p->Height)
        return 1;
    if (e->place == GVM_PLACE_HOST)
        return type == CU_MEMORYTYPE_DEVICE ? 1 : 0;
    if (e->place == GVM_PLACE_DEVICE && type == CU_MEMORYTYPE_HOST)
        return 1;
    span = ((p->Depth - 1) * e->height + p->Height - 1) * e->pitch + p->WidthInBytes;
    gvm_find(e->addr, &g);
    return g.kind != GVM_HOST && (e->addr - g.base > g.size || span > g.size - (e->addr - g.base))
               ? 1
               : 0;
}

int gvm_set_copy(CUgraphNode n, const CUDA_MEMCPY3D *p)
{
    struct gvm_copy_end dst, src;
    int rc;

    if (!p->WidthInBytes || !p->Height || !p->Depth)
        return 1;
    if (side_check(p->dstMemoryType, p->dstHost, p->dstDevice, p->dstArray) ||
        side_check(p->srcMemoryType, p->srcHost, p->srcDevice, p->srcArray))
        return 1;
    gvm_copy_ends(p, &dst, &src);
    rc = end_check(&dst, p->dstMemoryType, p);
    if (rc == 0)
        rc = end_check(&src, p->srcMemoryType, p);
    if (rc == 0)
        n->copy = *p;
    return rc;
}

/* ---- the others -------------------------------------------------------------------------- */

int gvm_set_fill(CUgraphNode n, const CUDA_MEMSET_NODE_PARAMS *p)
{
    struct gvm_range g;
    size_t row, span;

    if ((p->elementSize != 1 && p->elementSize != 2 && p->elementSize != 4) || !p->width ||
        !p->height || p->dst % p->elementSize)
        return 1;
    if (__builtin_mul_overflow(p->width, (size_t)p->elementSize, &row) ||
        (p->height > 1 && (p->pitch < row || p->pitch % p->elementSize)) ||
        __builtin_mul_overflow(p->height > 1 ? p->pitch : 0, p->height - 1, &span) ||
        __builtin_add_overflow(span, row, &span))
        return 1;
    gvm_find(p->dst, &g);
    if (g.kind == GVM_HOST || span > g.size - (p->dst - g.base))
        return 1;
    n->set = *p;
    return 0;
}

int gvm_set_host(CUgraphNode n, const CUDA_HOST_NODE_PARAMS *p)
{
    if (!p->fn)
        return 1;
    n->host = *p;
    return 0;
}

int gvm_set_event(CUgraphNode n, CUevent e)
{
    uint64_t h = (uintptr_t)e;

    if (!gvm_id_get(&gvm_events, h))
        return h ? 400 : 1;
    n->event = h;
    return 0;
}

int gvm_set_mem_ops(CUgraphNode n, const CUDA_BATCH_MEM_OP_NODE_PARAMS *p)
{
    CUstreamBatchMemOpParams *v;
    int rc = gvm_mem_ops_check(p->count, p->paramArray, p->flags);

    if (rc)
        return rc;
    /* none at all is a node like any other, as natively */
    v = malloc((p->count + 1) * sizeof(*v));
    if (!v)
        return 2;
    if (p->count)
        memcpy(v, p->paramArray, p->count * sizeof(*v));
    free(n->mem.paramArray);
    n->mem = *p;
    n->mem.paramArray = v;
    return 0;
}

int gvm_set_child(CUgraphNode n, CUgraph child)
{
    CUgraph c;

    if (!gvm_graph_valid(child))
        return 1;
    c = gvm_graph_copy(child);
    if (!c)
        return 2;
    c->owned = true;
    c->parent = n;
    if (n->child)
        gvm_graph_free(n->child);
    n->child = c;
    return 0;
}

int gvm_params_copy(CUgraphNode to, const struct CUgraphNode_st *from)
{
    int rc = 0;

    to->disabled = from->disabled;
    switch (from->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: {
        struct gvm_kernel_node k = from->k;

        k.attr = NULL;
        if (from->k.attr) {
            k.attr = malloc(GVM_NATTR * sizeof(*k.attr));
            if (!k.attr)
                return 2;
            memcpy(k.attr, from->k.attr, GVM_NATTR * sizeof(*k.attr));
        }
        rc = kernel_room(&k, from->k.f);
        if (rc) {
            free(k.attr);
            return rc;
        }
        memcpy(k.buf, from->k.buf, k.f->param_bytes);
        to->k = k;
        return 0;
    }
    case CU_GRAPH_NODE_TYPE_GRAPH:
        return gvm_set_child(to, from->child);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return gvm_cond_copy(to, from);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return gvm_set_mem_ops(to, &from->mem);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        to->copy = from->copy;
        return 0;
    case CU_GRAPH_NODE_TYPE_MEMSET:
        to->set = from->set;
        return 0;
    case CU_GRAPH_NODE_TYPE_HOST:
        to->host = from->host;
        return 0;
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        to->alloc = from->alloc;
        gvm_graph_mem_ref(to);
        return 0;
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        to->free = from->free;
        return 0;
    default:
        to->event = from->event;
        return 0;
    }
}

void gvm_params_free(CUgraphNode n)
{
    if (n->type == CU_GRAPH_NODE_TYPE_KERNEL) {
        kernel_free(&n->k);
        free(n->k.attr);
        n->k.attr = NULL;
    } else if (n->type == CU_GRAPH_NODE_TYPE_CONDITIONAL) {
        gvm_cond_free(n);
    } else if (n->type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP) {
        free(n->mem.paramArray);
        n->mem.paramArray = NULL;
    } else if (n->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) {
        gvm_graph_mem_unref(n);
    } else if (n->type == CU_GRAPH_NODE_TYPE_GRAPH && n->child) {
        gvm_graph_free(n->child);
        n->child = NULL;
    }
}
