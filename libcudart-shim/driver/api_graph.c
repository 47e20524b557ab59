/* SPDX-License-Identifier: MIT */
/*
 * api_graph.c - adding nodes, and their parameters.
 */
#include "graph.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

/* Adds a node and gives it its parameters, or neither. */
#define ADD(node_type, set)                                                                        \
    do {                                                                                           \
        CUgraphNode n = NULL;                                                                      \
        int rc = api_need();                                                                       \
                                                                                                   \
        if (rc == 0 && (!out || !p))                                                               \
            rc = 1;                                                                                \
        if (rc)                                                                                    \
            return (CUresult)rc;                                                                   \
        pthread_mutex_lock(&gvm_graph_lock);                                                       \
        rc = gvm_node_add(g, node_type, deps, data, ndeps, &n);                                    \
        if (rc == 0) {                                                                             \
            rc = set;                                                                              \
            if (rc)                                                                                \
                gvm_node_remove(n);                                                                \
            else                                                                                   \
                *out = n;                                                                          \
        }                                                                                          \
        pthread_mutex_unlock(&gvm_graph_lock);                                                     \
        return (CUresult)rc;                                                                       \
    } while (0)

static CUresult add_kernel(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                           const CUgraphEdgeData *data, size_t ndeps,
                           const CUDA_KERNEL_NODE_PARAMS *p)
{
    ADD(CU_GRAPH_NODE_TYPE_KERNEL, gvm_set_kernel(n, p));
}

static CUresult add_copy(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                         const CUgraphEdgeData *data, size_t ndeps, const CUDA_MEMCPY3D *p)
{
    ADD(CU_GRAPH_NODE_TYPE_MEMCPY, gvm_set_copy(n, p));
}

static CUresult add_fill(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                         const CUgraphEdgeData *data, size_t ndeps,
                         const CUDA_MEMSET_NODE_PARAMS *p)
{
    ADD(CU_GRAPH_NODE_TYPE_MEMSET, gvm_set_fill(n, p));
}

static CUresult add_host(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                         const CUgraphEdgeData *data, size_t ndeps, const CUDA_HOST_NODE_PARAMS *p)
{
    ADD(CU_GRAPH_NODE_TYPE_HOST, gvm_set_host(n, p));
}

static CUresult add_child(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                          const CUgraphEdgeData *data, size_t ndeps, CUgraph p)
{
    ADD(CU_GRAPH_NODE_TYPE_GRAPH, gvm_graph_valid(p) && gvm_graph_has_cond(p)
                                      ? CUDA_ERROR_NOT_SUPPORTED
                                      : gvm_set_child(n, p));
}

static CUresult add_event(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                          const CUgraphEdgeData *data, size_t ndeps, CUevent p,
                          CUgraphNodeType type)
{
    ADD(type, gvm_set_event(n, p));
}

static CUresult add_mem_ops(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                            const CUgraphEdgeData *data, size_t ndeps,
                            const CUDA_BATCH_MEM_OP_NODE_PARAMS *p)
{
    ADD(CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, gvm_set_mem_ops(n, p));
}

static CUresult add_cond(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                         const CUgraphEdgeData *data, size_t ndeps, CUDA_CONDITIONAL_NODE_PARAMS *p)
{
    ADD(CU_GRAPH_NODE_TYPE_CONDITIONAL, gvm_set_cond(n, p));
}

static CUresult add_empty(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                          const CUgraphEdgeData *data, size_t ndeps)
{
    bool p = true;

    ADD(CU_GRAPH_NODE_TYPE_EMPTY, 0);
}

CUresult cuGraphAddKernelNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                              const CUDA_KERNEL_NODE_PARAMS *p)
{
    return add_kernel(out, g, deps, NULL, n, p);
}

CUresult cuGraphAddMemcpyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                              const CUDA_MEMCPY3D *p, CUcontext ctx)
{
    return add_copy(out, g, deps, NULL, n, p);
}

CUresult cuGraphAddMemsetNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                              const CUDA_MEMSET_NODE_PARAMS *p, CUcontext ctx)
{
    return add_fill(out, g, deps, NULL, n, p);
}

CUresult cuGraphAddHostNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                            const CUDA_HOST_NODE_PARAMS *p)
{
    return add_host(out, g, deps, NULL, n, p);
}

CUresult cuGraphAddChildGraphNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                                  CUgraph child)
{
    return add_child(out, g, deps, NULL, n, child);
}

CUresult cuGraphAddEmptyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n)
{
    return add_empty(out, g, deps, NULL, n);
}

CUresult cuGraphAddEventRecordNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                                   CUevent e)
{
    return add_event(out, g, deps, NULL, n, e, CU_GRAPH_NODE_TYPE_EVENT_RECORD);
}

CUresult cuGraphAddEventWaitNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                                 CUevent e)
{
    return add_event(out, g, deps, NULL, n, e, CU_GRAPH_NODE_TYPE_WAIT_EVENT);
}

CUresult cuGraphAddBatchMemOpNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                                  const CUDA_BATCH_MEM_OP_NODE_PARAMS *p)
{
    return add_mem_ops(out, g, deps, NULL, n, p);
}

CUresult cuGraphAddNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                        const CUgraphEdgeData *data, size_t n, CUgraphNodeParams *p)
{
    static uint32_t said;

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    switch (p->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return add_kernel(out, g, deps, data, n, (const CUDA_KERNEL_NODE_PARAMS *)&p->kernel);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return add_copy(out, g, deps, data, n, &p->memcpy.copyParams);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return add_fill(out, g, deps, data, n, (const CUDA_MEMSET_NODE_PARAMS *)&p->memset);
    case CU_GRAPH_NODE_TYPE_HOST:
        return add_host(out, g, deps, data, n, (const CUDA_HOST_NODE_PARAMS *)&p->host);
    case CU_GRAPH_NODE_TYPE_GRAPH:
        return add_child(out, g, deps, data, n, p->graph.graph);
    case CU_GRAPH_NODE_TYPE_EMPTY:
        return add_empty(out, g, deps, data, n);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        return add_event(out, g, deps, data, n, p->eventWait.event, p->type);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return add_event(out, g, deps, data, n, p->eventRecord.event, p->type);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return add_mem_ops(out, g, deps, data, n, (const CUDA_BATCH_MEM_OP_NODE_PARAMS *)&p->memOp);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return (CUresult)gvm_graph_add_alloc(out, g, deps, data, n,
                                             (CUDA_MEM_ALLOC_NODE_PARAMS *)&p->alloc);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        return (CUresult)gvm_graph_add_free(out, g, deps, data, n, p->free.dptr);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return add_cond(out, g, deps, data, n, &p->conditional);
    default:
        if ((unsigned)p->type > CU_GRAPH_NODE_TYPE_CONDITIONAL)
            return CUDA_ERROR_INVALID_VALUE;
        if (gvm_once(&said))
            gvm_log("graph nodes of type %d are not supported", (int)p->type);
        return CUDA_ERROR_NOT_SUPPORTED;
    }
}

#undef cuGraphAddNode
GVM_API CUresult cuGraphAddNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                                CUgraphNodeParams *p);
CUresult cuGraphAddNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                        CUgraphNodeParams *p)
{
    return cuGraphAddNode_v2(out, g, deps, NULL, n, p);
}

/* ---- parameters -------------------------------------------------------------------------- */

/* Reads or sets parameters of a node of one type. */
#define ON_NODE(name, node_type, args, ok, what)                                                   \
    CUresult name args                                                                             \
    {                                                                                              \
        int rc = 1;                                                                                \
                                                                                                   \
        pthread_mutex_lock(&gvm_graph_lock);                                                       \
        if (gvm_node_valid(n) && n->type == node_type && (ok)) {                                   \
            rc = 0;                                                                                \
            what;                                                                                  \
        }                                                                                          \
        pthread_mutex_unlock(&gvm_graph_lock);                                                     \
        return (CUresult)rc;                                                                       \
    }

static void get_kernel(const struct gvm_kernel_node *k, CUDA_KERNEL_NODE_PARAMS *p)
{
    *p = (CUDA_KERNEL_NODE_PARAMS){.func = k->kern ? NULL : (CUfunction)k->f,
                                   .kern = k->kern,
                                   .gridDimX = k->l.grid[0],
                                   .gridDimY = k->l.grid[1],
                                   .gridDimZ = k->l.grid[2],
                                   .blockDimX = k->l.block[0],
                                   .blockDimY = k->l.block[1],
                                   .blockDimZ = k->l.block[2],
                                   .sharedMemBytes = k->l.shmem,
                                   .kernelParams = k->ptrs};
}

ON_NODE(cuGraphKernelNodeGetParams, CU_GRAPH_NODE_TYPE_KERNEL,
        (CUgraphNode n, CUDA_KERNEL_NODE_PARAMS *p), p, get_kernel(&n->k, p))
ON_NODE(cuGraphKernelNodeSetParams, CU_GRAPH_NODE_TYPE_KERNEL,
        (CUgraphNode n, const CUDA_KERNEL_NODE_PARAMS *p), p, rc = gvm_set_kernel(n, p))
ON_NODE(cuGraphMemcpyNodeGetParams, CU_GRAPH_NODE_TYPE_MEMCPY, (CUgraphNode n, CUDA_MEMCPY3D *p), p,
        *p = n->copy)
ON_NODE(cuGraphMemcpyNodeSetParams, CU_GRAPH_NODE_TYPE_MEMCPY,
        (CUgraphNode n, const CUDA_MEMCPY3D *p), p, rc = gvm_set_copy(n, p))
ON_NODE(cuGraphMemsetNodeGetParams, CU_GRAPH_NODE_TYPE_MEMSET,
        (CUgraphNode n, CUDA_MEMSET_NODE_PARAMS *p), p, *p = n->set)
ON_NODE(cuGraphMemsetNodeSetParams, CU_GRAPH_NODE_TYPE_MEMSET,
        (CUgraphNode n, const CUDA_MEMSET_NODE_PARAMS *p), p, rc = gvm_set_fill(n, p))
ON_NODE(cuGraphHostNodeGetParams, CU_GRAPH_NODE_TYPE_HOST,
        (CUgraphNode n, CUDA_HOST_NODE_PARAMS *p), p, *p = n->host)
ON_NODE(cuGraphHostNodeSetParams, CU_GRAPH_NODE_TYPE_HOST,
        (CUgraphNode n, const CUDA_HOST_NODE_PARAMS *p), p, rc = gvm_set_host(n, p))
ON_NODE(cuGraphChildGraphNodeGetGraph, CU_GRAPH_NODE_TYPE_GRAPH, (CUgraphNode n, CUgraph *p), p,
        *p = n->child)
ON_NODE(cuGraphEventRecordNodeGetEvent, CU_GRAPH_NODE_TYPE_EVENT_RECORD,
        (CUgraphNode n, CUevent *p), p, *p = (CUevent)(uintptr_t)n->event)
ON_NODE(cuGraphEventRecordNodeSetEvent, CU_GRAPH_NODE_TYPE_EVENT_RECORD, (CUgraphNode n, CUevent e),
        true, rc = gvm_set_event(n, e))
ON_NODE(cuGraphEventWaitNodeGetEvent, CU_GRAPH_NODE_TYPE_WAIT_EVENT, (CUgraphNode n, CUevent *p), p,
        *p = (CUevent)(uintptr_t)n->event)
ON_NODE(cuGraphEventWaitNodeSetEvent, CU_GRAPH_NODE_TYPE_WAIT_EVENT, (CUgraphNode n, CUevent e),
        true, rc = gvm_set_event(n, e))

ON_NODE(cuGraphBatchMemOpNodeGetParams, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP,
        (CUgraphNode n, CUDA_BATCH_MEM_OP_NODE_PARAMS *p), p, *p = n->mem)
ON_NODE(cuGraphBatchMemOpNodeSetParams, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP,
        (CUgraphNode n, const CUDA_BATCH_MEM_OP_NODE_PARAMS *p), p, rc = gvm_set_mem_ops(n, p))

CUresult cuGraphNodeSetParams(CUgraphNode n, CUgraphNodeParams *p)
{
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    switch (p->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return cuGraphKernelNodeSetParams(n, (const CUDA_KERNEL_NODE_PARAMS *)&p->kernel);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return cuGraphMemcpyNodeSetParams(n, &p->memcpy.copyParams);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return cuGraphMemsetNodeSetParams(n, (const CUDA_MEMSET_NODE_PARAMS *)&p->memset);
    case CU_GRAPH_NODE_TYPE_HOST:
        return cuGraphHostNodeSetParams(n, (const CUDA_HOST_NODE_PARAMS *)&p->host);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        return cuGraphEventWaitNodeSetEvent(n, p->eventWait.event);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return cuGraphEventRecordNodeSetEvent(n, p->eventRecord.event);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return cuGraphBatchMemOpNodeSetParams(n, (const CUDA_BATCH_MEM_OP_NODE_PARAMS *)&p->memOp);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* ---- attributes of kernel nodes ---------------------------------------------------------- */

static int set_attr(struct gvm_kernel_node *k, CUlaunchAttributeID id,
                    const CUlaunchAttributeValue *v)
{
    switch (id) {
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        break; /* kept for queries: they ask for speed */
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
        k->l.flags = (k->l.flags & ~1u) | (v->cooperative ? 1 : 0);
        break;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
        k->l.cluster[0] = v->clusterDim.x;
        k->l.cluster[1] = v->clusterDim.y;
        k->l.cluster[2] = v->clusterDim.z;
        break;
    default:
        return 1;
    }
    if (!k->attr) {
        k->attr = calloc(GVM_NATTR, sizeof(*k->attr));
        if (!k->attr)
            return 2;
    }
    k->attr[id] = *v;
    return 0;
}

static int get_attr(const struct gvm_kernel_node *k, CUlaunchAttributeID id,
                    CUlaunchAttributeValue *v)
{
    if ((unsigned)id >= GVM_NATTR || id == CU_LAUNCH_ATTRIBUTE_IGNORE)
        return 1;
    memset(v, 0, sizeof(*v));
    if (k->attr)
        *v = k->attr[id];
    if (id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
        v->cooperative = k->l.flags & 1;
    if (id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION) {
        v->clusterDim.x = k->l.cluster[0];
        v->clusterDim.y = k->l.cluster[1];
        v->clusterDim.z = k->l.cluster[2];
    }
    return 0;
}

ON_NODE(cuGraphKernelNodeSetAttribute, CU_GRAPH_NODE_TYPE_KERNEL,
        (CUgraphNode n, CUkernelNodeAttrID id, const CUkernelNodeAttrValue *v), v,
        rc = set_attr(&n->k, id, v))
ON_NODE(cuGraphKernelNodeGetAttribute, CU_GRAPH_NODE_TYPE_KERNEL,
        (CUgraphNode n, CUkernelNodeAttrID id, CUkernelNodeAttrValue *v), v,
        rc = get_attr(&n->k, id, v))

static int copy_attrs(struct gvm_kernel_node *to, const struct gvm_kernel_node *from)
{
    if (from->attr && !to->attr) {
        to->attr = calloc(GVM_NATTR, sizeof(*to->attr));
        if (!to->attr)
            return 2;
    }
    if (from->attr)
        memcpy(to->attr, from->attr, GVM_NATTR * sizeof(*to->attr));
    to->l.flags = from->l.flags;
    memcpy(to->l.cluster, from->l.cluster, sizeof(to->l.cluster));
    return 0;
}

CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode to, CUgraphNode from)
{
    int rc = 1;

    pthread_mutex_lock(&gvm_graph_lock);
    if (gvm_node_valid(to) && gvm_node_valid(from) && to->type == CU_GRAPH_NODE_TYPE_KERNEL &&
        from->type == CU_GRAPH_NODE_TYPE_KERNEL)
        rc = copy_attrs(&to->k, &from->k);
    pthread_mutex_unlock(&gvm_graph_lock);
    return (CUresult)rc;
}

/* ---- older forms, whose kernel parameters end before the kernel handle and the context ---- */

#undef cuGraphAddKernelNode
#undef cuGraphKernelNodeGetParams
#undef cuGraphKernelNodeSetParams

GVM_API CUresult cuGraphAddKernelNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                                      size_t n, const CUDA_KERNEL_NODE_PARAMS_v1 *p);
CUresult cuGraphAddKernelNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                              const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CUDA_KERNEL_NODE_PARAMS q = {0};

    if (p)
        memcpy(&q, p, sizeof(*p));
    return cuGraphAddKernelNode_v2(out, g, deps, n, p ? &q : NULL);
}

GVM_API CUresult cuGraphKernelNodeGetParams(CUgraphNode n, CUDA_KERNEL_NODE_PARAMS_v1 *p);
CUresult cuGraphKernelNodeGetParams(CUgraphNode n, CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CUDA_KERNEL_NODE_PARAMS q;
    CUresult rc = cuGraphKernelNodeGetParams_v2(n, &q);

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    if (rc == CUDA_SUCCESS)
        memcpy(p, &q, sizeof(*p));
    return rc;
}

GVM_API CUresult cuGraphKernelNodeSetParams(CUgraphNode n, const CUDA_KERNEL_NODE_PARAMS_v1 *p);
CUresult cuGraphKernelNodeSetParams(CUgraphNode n, const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CUDA_KERNEL_NODE_PARAMS q = {0};

    if (p)
        memcpy(&q, p, sizeof(*p));
    return cuGraphKernelNodeSetParams_v2(n, p ? &q : NULL);
}
