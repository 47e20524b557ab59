/* SPDX-License-Identifier: MIT */
/*
 * graph_exec.c - executable graphs: instantiating, updating, launching.
 */
#include "graph_exec.h"
#include "capture.h"
#include "log.h"
#include "stubs.h"

#include <stdlib.h>
#include <string.h>

#define FLAGS_ALL 15u

static CUgraphExec reuse;

bool gvm_exec_valid(CUgraphExec x)
{
    return x && (uintptr_t)x % _Alignof(struct CUgraphExec_st) == 0 && x->magic == GVM_EXEC_MAGIC;
}

static CUgraphExec exec_new(void)
{
    CUgraphExec x = reuse;

    if (x)
        reuse = x->next;
    else
        x = malloc(sizeof(*x));
    if (!x)
        return NULL;
    memset(x, 0, sizeof(*x));
    x->magic = GVM_EXEC_MAGIC;
    return x;
}

static void exec_free(struct gvm_chan *c, CUgraphExec x)
{
    gvm_exec_drop(c, x);
    if (x->g)
        gvm_graph_free(x->g);
    x->magic = 0;
    x->next = reuse;
    reuse = x;
}

/* ---- instantiating ----------------------------------------------------------------------- */

/* A node of an executable graph's copy, as the program knows it. */
static CUgraphNode original(CUgraphNode n)
{
    return n && gvm_node_valid(n->orig) && n->orig->id == n->orig_id ? n->orig : NULL;
}

static int instantiate(struct gvm_chan *c, CUgraphExec *out, CUgraph g, uint64_t flags,
                       CUgraphNode *bad, CUgraphInstantiateResult *why)
{
    static uint32_t said;
    CUgraphExec x;
    int rc, err;

    *bad = NULL;
    *why = CUDA_GRAPH_INSTANTIATE_ERROR;
    if (!out || !gvm_graph_valid(g) || flags & ~(uint64_t)FLAGS_ALL)
        return 1;
    if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH) {
        if (gvm_once(&said))
            gvm_log("graphs that kernels launch are not supported");
        return 801;
    }
    if (gvm_graph_mem_taken(g))
        return CUDA_ERROR_NOT_SUPPORTED;
    CUgraphNode *order = calloc(g->n + 1, sizeof(*order));
    if (!order)
        return 2;
    if (!gvm_graph_order(g, order, &err)) {
        *why = CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE;
        for (uint32_t i = 0; i < g->n && !*bad; i++)
            if (g->v[i]->seen)
                *bad = g->v[i];
        free(order);
        return err ? err : 1;
    }
    free(order);
    x = exec_new();
    if (!x)
        return 2;
    x->flags = flags;
    x->g = gvm_graph_copy(g);
    if (!x->g) {
        exec_free(c, x);
        return 2;
    }
    x->g->owned = true;
    rc = gvm_exec_send(c, x, bad);
    *bad = original(*bad);
    if (rc) {
        exec_free(c, x);
        return rc;
    }
    *why = CUDA_GRAPH_INSTANTIATE_SUCCESS;
    *out = x;
    return 0;
}

static int do_instantiate(CUgraphExec *out, CUgraph g, uint64_t flags, CUgraphNode *bad,
                          CUgraphInstantiateResult *why)
{
    CUgraphInstantiateResult w;
    CUgraphNode b;
    struct gvm_chan *c;
    int rc = api_need();

    if (rc == 0)
        rc = gvm_need(&c);
    if (rc)
        return rc;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = instantiate(c, out, g, flags, bad ? bad : &b, why ? why : &w);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph g, unsigned long long flags)
{
    return (CUresult)do_instantiate(out, g, flags, NULL, NULL);
}

#undef cuGraphInstantiate
GVM_API CUresult cuGraphInstantiate(CUgraphExec *out, CUgraph g, CUgraphNode *bad, char *log,
                                    size_t n);
CUresult cuGraphInstantiate(CUgraphExec *out, CUgraph g, CUgraphNode *bad, char *log, size_t n)
{
    if (log && n)
        log[0] = '\0';
    return (CUresult)do_instantiate(out, g, 0, bad, NULL);
}

GVM_API CUresult cuGraphInstantiate_v2(CUgraphExec *out, CUgraph g, CUgraphNode *bad, char *log,
                                       size_t n);
CUresult cuGraphInstantiate_v2(CUgraphExec *out, CUgraph g, CUgraphNode *bad, char *log, size_t n)
{
    return cuGraphInstantiate(out, g, bad, log, n);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *out, CUgraph g, CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
    int rc;

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    rc = do_instantiate(out, g, p->flags, &p->hErrNode_out, &p->result_out);
    if (rc == 0 && p->flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD)
        rc = cuGraphUpload(*out, p->hUploadStream);
    return (CUresult)rc;
}

GVM_API CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec *out, CUgraph g,
                                                   CUDA_GRAPH_INSTANTIATE_PARAMS *p);
CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec *out, CUgraph g,
                                           CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS q;
    CUresult rc;

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    q = *p;
    q.hUploadStream = api_own(q.hUploadStream);
    rc = cuGraphInstantiateWithParams(out, g, &q);
    p->hErrNode_out = q.hErrNode_out;
    p->result_out = q.result_out;
    return rc;
}

CUresult cuGraphExecDestroy(CUgraphExec x)
{
    int rc = api_need_init();

    if (rc)
        return (CUresult)rc;
    pthread_mutex_lock(&gvm_graph_lock);
    if (gvm_exec_valid(x))
        exec_free(gvm_usable(), x);
    else
        rc = 1;
    pthread_mutex_unlock(&gvm_graph_lock);
    gvm_graph_mem_trim();
    return (CUresult)rc;
}

CUresult cuGraphExecGetFlags(CUgraphExec x, cuuint64_t *flags)
{
    if (!gvm_exec_valid(x) || !flags)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = x->flags & ~(cuuint64_t)CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY;
    return CUDA_SUCCESS;
}

/* ---- launching --------------------------------------------------------------------------- */

/* The description as it is now is with the worker. */
static int ready(struct gvm_chan *c, CUgraphExec x)
{
    CUgraphNode bad;

    if (x->wire && !x->dirty && x->epoch == gvm.epoch)
        return 0;
    return gvm_exec_send(c, x, &bad);
}

static int launch(CUgraphExec x, uint64_t stream)
{
    uint32_t *values = NULL;
    struct gvm_chan *c;
    struct gvm_sref s;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc)
        return rc;
    if (!gvm_exec_valid(x))
        return 1;
    GVM_CAPTURE(gvm_cap_graph(stream));
    rc = ready(c, x);
    if (rc == 0)
        rc = gvm_graph_mem_launch(x->g, x->flags & CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH);
    if (rc)
        return rc;
    if (x->res->early) {
        rc = gvm_exec_early(c, x->res);
        if (rc)
            return rc;
    }
    if (x->res->nrecord) {
        values = malloc(x->res->nrecord * sizeof(*values));
        if (!values)
            return 2;
        for (uint32_t i = 0; i < x->res->nrecord; i++)
            values[i] = gvm_event_next(x->res->record[i]);
    }
    gvm_work_issue(c, &s);
    rc = vgpu_GraphLaunch(c, x->launched ? 0 : VGPU_REC_REPLY, x->wire->id, s.id, values,
                          x->res->nrecord * (uint32_t)sizeof(*values));
    free(values);
    if (rc == 0) {
        x->launched = true;
        x->last = stream;
        if (x->res->early)
            rc = gvm_event_post(c, x->res->done, &s, &x->res->value);
    }
    return rc;
}

GVM_API CUresult cuGraphLaunch_ptsz(CUgraphExec x, CUstream s);
CUresult cuGraphLaunch(CUgraphExec x, CUstream s)
{
    int rc = api_need();

    if (rc)
        return (CUresult)rc;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = launch(x, api_stream(s));
    pthread_mutex_unlock(&gvm_graph_lock);
    return (CUresult)rc;
}

CUresult cuGraphLaunch_ptsz(CUgraphExec x, CUstream s)
{
    return cuGraphLaunch(x, api_own(s));
}

static int upload(CUgraphExec x, uint64_t stream)
{
    struct gvm_chan *c;
    struct gvm_sref s;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc)
        return rc;
    if (!gvm_exec_valid(x))
        return 1;
    rc = ready(c, x);
    return rc ? rc : vgpu_GraphUpload(c, 0, x->wire->id, s.id);
}

GVM_API CUresult cuGraphUpload_ptsz(CUgraphExec x, CUstream s);
CUresult cuGraphUpload(CUgraphExec x, CUstream s)
{
    int rc = api_need();

    if (rc)
        return (CUresult)rc;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = upload(x, api_stream(s));
    pthread_mutex_unlock(&gvm_graph_lock);
    return (CUresult)rc;
}

CUresult cuGraphUpload_ptsz(CUgraphExec x, CUstream s)
{
    return cuGraphUpload(x, api_own(s));
}

/* ---- updating ---------------------------------------------------------------------------- */

/* The executable graph's copy of a node, if it has this type. */
static CUgraphNode copy_of(CUgraphExec x, CUgraphNode n, CUgraphNodeType type)
{
    CUgraphNode k;

    if (!gvm_exec_valid(x) || !gvm_node_valid(n))
        return NULL;
    k = gvm_node_copy_of(x->g, n);
    return k && k->type == type ? k : NULL;
}

/* One form for all types: `set` checks and stores, the next launch sends. */
#define EXEC_SET(name, type, extra_args, set)                                                      \
    CUresult name extra_args                                                                       \
    {                                                                                              \
        CUgraphNode k;                                                                             \
        int rc = api_need();                                                                       \
                                                                                                   \
        if (rc)                                                                                    \
            return (CUresult)rc;                                                                   \
        pthread_mutex_lock(&gvm_graph_lock);                                                       \
        k = copy_of(x, n, type);                                                                   \
        rc = k ? set : 1;                                                                          \
        if (rc == 0)                                                                               \
            x->dirty = true;                                                                       \
        pthread_mutex_unlock(&gvm_graph_lock);                                                     \
        return (CUresult)rc;                                                                       \
    }

/* Only plain copies may change, and only into plain ones. */
static int set_copy(CUgraphNode k, const CUDA_MEMCPY3D *p)
{
    if (k->copy.Height > 1 || k->copy.Depth > 1 || p->Height > 1 || p->Depth > 1)
        return 1;
    return gvm_set_copy(k, p);
}

/* The kernel may change, its context may not; there is one. */
EXEC_SET(cuGraphExecKernelNodeSetParams, CU_GRAPH_NODE_TYPE_KERNEL,
         (CUgraphExec x, CUgraphNode n, const CUDA_KERNEL_NODE_PARAMS *p),
         p ? gvm_set_kernel(k, p) : 1)
EXEC_SET(cuGraphExecMemcpyNodeSetParams, CU_GRAPH_NODE_TYPE_MEMCPY,
         (CUgraphExec x, CUgraphNode n, const CUDA_MEMCPY3D *p, CUcontext ctx),
         p ? set_copy(k, p) : 1)
EXEC_SET(cuGraphExecMemsetNodeSetParams, CU_GRAPH_NODE_TYPE_MEMSET,
         (CUgraphExec x, CUgraphNode n, const CUDA_MEMSET_NODE_PARAMS *p, CUcontext ctx),
         p ? gvm_set_fill(k, p) : 1)
EXEC_SET(cuGraphExecHostNodeSetParams, CU_GRAPH_NODE_TYPE_HOST,
         (CUgraphExec x, CUgraphNode n, const CUDA_HOST_NODE_PARAMS *p), p ? gvm_set_host(k, p) : 1)
EXEC_SET(cuGraphExecEventRecordNodeSetEvent, CU_GRAPH_NODE_TYPE_EVENT_RECORD,
         (CUgraphExec x, CUgraphNode n, CUevent e), gvm_set_event(k, e))
EXEC_SET(cuGraphExecEventWaitNodeSetEvent, CU_GRAPH_NODE_TYPE_WAIT_EVENT,
         (CUgraphExec x, CUgraphNode n, CUevent e), gvm_set_event(k, e))

EXEC_SET(cuGraphExecBatchMemOpNodeSetParams, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP,
         (CUgraphExec x, CUgraphNode n, const CUDA_BATCH_MEM_OP_NODE_PARAMS *p),
         p ? gvm_set_mem_ops(k, p) : 1)

struct change {
    CUgraphExecUpdateResult why;
    CUgraphNode node, from;
};

static bool same_deps(CUgraphNode a, CUgraphNode b)
{
    if (a->ndep != b->ndep)
        return false;
    for (size_t i = 0; i < a->ndep; i++)
        if (a->dep[i].n->pos != b->dep[i].n->pos ||
            memcmp(&a->dep[i].data, &b->dep[i].data, sizeof(a->dep[i].data)) != 0)
            return false;
    return true;
}

/* Whether g may take the place of the executable graph's copy. Nodes pair up by the order in which
 * they were added. */
static int compare(CUgraph now, CUgraph g, struct change *c)
{
    c->why = CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    c->node = c->from = NULL;
    if (now->n != g->n)
        return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    for (uint32_t i = 0; i < g->n; i++) {
        c->node = g->v[i];
        c->from = NULL;
        if (!same_deps(now->v[i], g->v[i]))
            return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
        if (now->v[i]->type != g->v[i]->type) {
            c->why = CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
            return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
        }
        if (g->v[i]->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC ||
            g->v[i]->type == CU_GRAPH_NODE_TYPE_MEM_FREE) {
            c->why = CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED;
            return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
        }
        if (g->v[i]->type == CU_GRAPH_NODE_TYPE_GRAPH &&
            compare(now->v[i]->child, g->v[i]->child, c))
            return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
        if (g->v[i]->type == CU_GRAPH_NODE_TYPE_CONDITIONAL) {
            if (now->v[i]->cond.type != g->v[i]->cond.type ||
                now->v[i]->cond.n != g->v[i]->cond.n ||
                now->v[i]->cond.number != g->v[i]->cond.number) {
                c->why = CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
                return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
            }
            for (unsigned k = 0; k < g->v[i]->cond.n; k++)
                if (compare(now->v[i]->cond.body[k], g->v[i]->cond.body[k], c))
                    return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
        }
    }
    c->why = CU_GRAPH_EXEC_UPDATE_SUCCESS;
    c->node = NULL;
    return 0;
}

/* Whether nodes do something stays, and so does what the program's handles stand for. */
static void carry_over(CUgraph now, CUgraph next)
{
    for (uint32_t i = 0; i < now->n; i++) {
        next->v[i]->disabled = now->v[i]->disabled;
        next->v[i]->orig = now->v[i]->orig;
        next->v[i]->orig_id = now->v[i]->orig_id;
    }
}

static int update(CUgraphExec x, CUgraph g, struct change *c)
{
    CUgraph next;
    int rc;

    c->why = CU_GRAPH_EXEC_UPDATE_ERROR;
    c->node = c->from = NULL;
    if (!gvm_exec_valid(x) || !gvm_graph_valid(g))
        return 1;
    rc = compare(x->g, g, c);
    if (rc)
        return rc;
    next = gvm_graph_copy(g);
    if (!next)
        return 2;
    next->owned = true;
    carry_over(x->g, next);
    gvm_graph_free(x->g);
    x->g = next;
    x->dirty = true;
    return 0;
}

CUresult cuGraphExecUpdate(CUgraphExec x, CUgraph g, CUgraphExecUpdateResultInfo *info)
{
    struct change c;
    int rc = api_need();

    if (rc)
        return (CUresult)rc;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = update(x, g, &c);
    pthread_mutex_unlock(&gvm_graph_lock);
    if (info) {
        info->result = c.why;
        info->errorNode = c.node;
        info->errorFromNode = c.from;
    }
    return (CUresult)rc;
}

#undef cuGraphExecUpdate
GVM_API CUresult cuGraphExecUpdate(CUgraphExec x, CUgraph g, CUgraphNode *node,
                                   CUgraphExecUpdateResult *why);
CUresult cuGraphExecUpdate(CUgraphExec x, CUgraph g, CUgraphNode *node,
                           CUgraphExecUpdateResult *why)
{
    CUgraphExecUpdateResultInfo info;
    CUresult rc = cuGraphExecUpdate_v2(x, g, &info);

    if (node)
        *node = info.errorNode;
    if (why)
        *why = info.result;
    return rc;
}

static int set_child(CUgraphNode k, CUgraph child)
{
    struct change c;
    CUgraph next;

    if (!gvm_graph_valid(child))
        return 1;
    if (compare(k->child, child, &c))
        return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    next = gvm_graph_copy(child);
    if (!next)
        return 2;
    next->owned = true;
    next->parent = k;
    carry_over(k->child, next);
    gvm_graph_free(k->child);
    k->child = next;
    return 0;
}

EXEC_SET(cuGraphExecChildGraphNodeSetParams, CU_GRAPH_NODE_TYPE_GRAPH,
         (CUgraphExec x, CUgraphNode n, CUgraph child), set_child(k, child))

static bool can_disable(CUgraphNode k)
{
    return k && (k->type == CU_GRAPH_NODE_TYPE_KERNEL || k->type == CU_GRAPH_NODE_TYPE_MEMCPY ||
                 k->type == CU_GRAPH_NODE_TYPE_MEMSET);
}

CUresult cuGraphNodeSetEnabled(CUgraphExec x, CUgraphNode n, unsigned on)
{
    CUgraphNode k;
    int rc = 1;

    pthread_mutex_lock(&gvm_graph_lock);
    if (gvm_exec_valid(x) && gvm_node_valid(n)) {
        k = gvm_node_copy_of(x->g, n);
        if (can_disable(k)) {
            x->dirty |= k->disabled != !on;
            k->disabled = !on;
            rc = 0;
        }
    }
    pthread_mutex_unlock(&gvm_graph_lock);
    return (CUresult)rc;
}

CUresult cuGraphNodeGetEnabled(CUgraphExec x, CUgraphNode n, unsigned *on)
{
    CUgraphNode k;
    int rc = 1;

    pthread_mutex_lock(&gvm_graph_lock);
    if (on && gvm_exec_valid(x) && gvm_node_valid(n)) {
        k = gvm_node_copy_of(x->g, n);
        if (can_disable(k)) {
            *on = !k->disabled;
            rc = 0;
        }
    }
    pthread_mutex_unlock(&gvm_graph_lock);
    return (CUresult)rc;
}

/* ---- any type ---------------------------------------------------------------------------- */

CUresult cuGraphExecNodeSetParams(CUgraphExec x, CUgraphNode n, CUgraphNodeParams *p)
{
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    switch (p->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return cuGraphExecKernelNodeSetParams(x, n, (const CUDA_KERNEL_NODE_PARAMS *)&p->kernel);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return cuGraphExecMemcpyNodeSetParams(x, n, &p->memcpy.copyParams, p->memcpy.copyCtx);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return cuGraphExecMemsetNodeSetParams(x, n, (const CUDA_MEMSET_NODE_PARAMS *)&p->memset,
                                              p->memset.ctx);
    case CU_GRAPH_NODE_TYPE_HOST:
        return cuGraphExecHostNodeSetParams(x, n, (const CUDA_HOST_NODE_PARAMS *)&p->host);
    case CU_GRAPH_NODE_TYPE_GRAPH:
        return cuGraphExecChildGraphNodeSetParams(x, n, p->graph.graph);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        return cuGraphExecEventWaitNodeSetEvent(x, n, p->eventWait.event);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return cuGraphExecEventRecordNodeSetEvent(x, n, p->eventRecord.event);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return cuGraphExecBatchMemOpNodeSetParams(x, n,
                                                  (const CUDA_BATCH_MEM_OP_NODE_PARAMS *)&p->memOp);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* The form of CUDA 10, whose parameters end before the kernel handle and the context. */
GVM_API CUresult cuGraphExecKernelNodeSetParams_v1(
    CUgraphExec x, CUgraphNode n,
    const CUDA_KERNEL_NODE_PARAMS_v1 *p) __asm__("cuGraphExecKernelNodeSetParams");
CUresult cuGraphExecKernelNodeSetParams_v1(CUgraphExec x, CUgraphNode n,
                                           const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CUDA_KERNEL_NODE_PARAMS q = {0};

    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&q, p, sizeof(*p));
    return cuGraphExecKernelNodeSetParams_v2(x, n, &q);
}
