/* SPDX-License-Identifier: MIT */
/*
 * capture_node.c - stream capture: calls that become nodes of the graph.
 */
#include "capture_int.h"
#include "box.h"
#include "module.h"

#include <stdlib.h>
#include <string.h>

int gvm_cap_begin(uint64_t stream, CUgraphNodeType type, CUgraphNode *n, struct gvm_cap_member **m)
{
    struct gvm_capture *c;
    int rc;

    pthread_mutex_lock(&gvm_graph_lock);
    rc = gvm_cap_look(stream, &c, m);
    if (rc == 0 && !c)
        rc = -1;
    if (rc == 0)
        rc = gvm_node_add(c->g, type, (*m)->set.v, NULL, (*m)->set.n, n);
    if (rc)
        pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

int gvm_cap_end(CUgraphNode n, struct gvm_cap_member *m, int rc)
{
    if (rc == 0)
        rc = gvm_cap_set_put(&m->set, &n, 1);
    if (rc)
        gvm_node_remove(n);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

int gvm_cap_launch(uint64_t stream, struct gvm_func *f, const struct gvm_launch *l)
{
    CUgraphNode n;
    struct gvm_cap_member *m;
    int rc = gvm_cap_begin(stream, CU_GRAPH_NODE_TYPE_KERNEL, &n, &m);

    return rc ? rc : gvm_cap_end(n, m, gvm_set_launch(n, f, l));
}

static void types_of(enum gvm_dir dir, CUmemorytype *dst, CUmemorytype *src)
{
    *dst = dir == GVM_H2H || dir == GVM_D2H ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
    *src = dir == GVM_H2H || dir == GVM_H2D ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
    if (dir == GVM_ANY)
        *dst = *src = CU_MEMORYTYPE_UNIFIED;
}

static int copy(uint64_t stream, const CUDA_MEMCPY3D *p, bool sync)
{
    CUgraphNode n;
    struct gvm_cap_member *m;
    int rc;

    if (sync) {
        rc = gvm_cap_refuse(stream);
        return rc >= 0 ? rc : gvm_cap_unsafe();
    }
    rc = gvm_cap_begin(stream, CU_GRAPH_NODE_TYPE_MEMCPY, &n, &m);
    return rc ? rc : gvm_cap_end(n, m, gvm_set_copy(n, p));
}

int gvm_cap_copy2d(uint64_t stream, uint64_t dst, size_t dpitch, uint64_t src, size_t spitch,
                   size_t width, size_t height, enum gvm_dir dir, bool sync)
{
    CUDA_MEMCPY3D p = {.srcHost = (const void *)(uintptr_t)src,
                       .srcDevice = src,
                       .srcPitch = spitch,
                       .srcHeight = height,
                       .dstHost = (void *)(uintptr_t)dst,
                       .dstDevice = dst,
                       .dstPitch = dpitch,
                       .dstHeight = height,
                       .WidthInBytes = width,
                       .Height = height,
                       .Depth = 1};

    types_of(dir, &p.dstMemoryType, &p.srcMemoryType);
    return copy(stream, &p, sync);
}

int gvm_cap_box(uint64_t stream, const struct gvm_box *b, bool sync)
{
    CUDA_MEMCPY3D p = {.srcHost = (const void *)(uintptr_t)b->src.addr,
                       .srcDevice = b->src.addr,
                       .srcPitch = b->src.pitch,
                       .srcHeight = b->src.height,
                       .srcXInBytes = b->src.x,
                       .srcY = b->src.y,
                       .srcZ = b->src.z,
                       .srcArray = (CUarray)(uintptr_t)b->src.id,
                       .dstHost = (void *)(uintptr_t)b->dst.addr,
                       .dstDevice = b->dst.addr,
                       .dstPitch = b->dst.pitch,
                       .dstHeight = b->dst.height,
                       .dstXInBytes = b->dst.x,
                       .dstY = b->dst.y,
                       .dstZ = b->dst.z,
                       .dstArray = (CUarray)(uintptr_t)b->dst.id,
                       .WidthInBytes = b->width,
                       .Height = b->height,
                       .Depth = b->depth};

    types_of(b->dir, &p.dstMemoryType, &p.srcMemoryType);
    if (b->src.array)
        p.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    if (b->dst.array)
        p.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    return copy(stream, &p, sync);
}

int gvm_cap_fill(uint64_t stream, uint64_t dst, size_t pitch, uint32_t value, unsigned elem,
                 size_t width, size_t height, bool sync)
{
    CUDA_MEMSET_NODE_PARAMS p = {.dst = dst,
                                 .pitch = pitch,
                                 .value = value,
                                 .elementSize = elem,
                                 .width = width,
                                 .height = height};
    CUgraphNode n;
    struct gvm_cap_member *m;
    int rc;

    if (sync) {
        rc = gvm_cap_refuse(stream);
        return rc >= 0 ? rc : gvm_cap_unsafe();
    }
    if (elem == 1)
        p.value &= 0xff;
    if (elem == 2)
        p.value &= 0xffff;
    rc = gvm_cap_begin(stream, CU_GRAPH_NODE_TYPE_MEMSET, &n, &m);
    return rc ? rc : gvm_cap_end(n, m, gvm_set_fill(n, &p));
}

int gvm_cap_host(uint64_t stream, void (*fn)(void *arg), void *arg)
{
    CUDA_HOST_NODE_PARAMS p = {fn, arg};
    CUgraphNode n;
    struct gvm_cap_member *m;
    int rc = gvm_cap_begin(stream, CU_GRAPH_NODE_TYPE_HOST, &n, &m);

    return rc ? rc : gvm_cap_end(n, m, gvm_set_host(n, &p));
}

int gvm_cap_mem_ops(uint64_t stream, unsigned count, const void *ops)
{
    CUDA_BATCH_MEM_OP_NODE_PARAMS p = {.count = count,
                                       .paramArray = (CUstreamBatchMemOpParams *)(uintptr_t)ops};
    CUgraphNode n;
    struct gvm_cap_member *m;
    int rc = gvm_cap_begin(stream, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, &n, &m);

    p.ctx = api_current();
    return rc ? rc : gvm_cap_end(n, m, gvm_set_mem_ops(n, &p));
}

/* The stream's capture and a copy of its set, without the lock; as gvm_cap_look(). */
static int nodes_now(uint64_t stream, CUgraph *g, struct gvm_cap_set *s)
{
    struct gvm_capture *c;
    struct gvm_cap_member *m;
    int rc;

    pthread_mutex_lock(&gvm_graph_lock);
    rc = gvm_cap_look(stream, &c, &m);
    if (rc == 0 && !c)
        rc = -1;
    if (rc == 0) {
        *g = c->g;
        *s = (struct gvm_cap_set){0};
        rc = gvm_cap_set_put(s, m->set.v, m->set.n);
    }
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

static int nodes_then(uint64_t stream, struct gvm_cap_set *s, CUgraphNode n, int rc)
{
    struct gvm_capture *c;
    struct gvm_cap_member *m;

    free(s->v);
    free(s->zero);
    if (rc)
        return rc;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = gvm_cap_look(stream, &c, &m);
    if (rc == 0 && c)
        rc = gvm_cap_set_put(&m->set, &n, 1);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

int gvm_cap_alloc(uint64_t stream, uint64_t bytes, uint64_t *dptr)
{
    CUDA_MEM_ALLOC_NODE_PARAMS p = {.bytesize = bytes};
    CUgraphNode n = NULL;
    struct gvm_cap_set s;
    CUgraph g;
    int rc = nodes_now(stream, &g, &s);

    if (rc)
        return rc;
    p.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    p.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    rc = gvm_graph_add_alloc(&n, g, s.v, NULL, s.n, &p);
    *dptr = p.dptr;
    return nodes_then(stream, &s, n, rc);
}

int gvm_cap_free(uint64_t stream, uint64_t dptr)
{
    CUgraphNode n = NULL;
    struct gvm_cap_set s;
    CUgraph g;
    int rc = nodes_now(stream, &g, &s);

    if (rc)
        return rc;
    rc = gvm_graph_add_free(&n, g, s.v, NULL, s.n, dptr);
    return nodes_then(stream, &s, n, rc);
}
