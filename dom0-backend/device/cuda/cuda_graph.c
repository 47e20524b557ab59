/* SPDX-License-Identifier: MIT */
/*
 * cuda_graph.c - functions of the guest in a stream, and executable graphs.
 *
 * Where a function of the guest stands, a host function of the driver reports that it is reached
 * and returns at once; the GPU itself then waits at a word in pinned memory. So the driver's one
 * thread for host functions is never held up by a guest.
 */
#include <stdlib.h>
#include <string.h>

#include "cuda_int.h"
#include "cuda_stage.h"
#include "dom0-backend/common/log.h"
#include "dom0-backend/device/device_graph.h"

#define SLAB 1024u /* words allocated at a time */

struct dev_gate {
    struct dev *d;
    uint32_t *word;
    uint32_t value; /* that opens it: of a stream's the next one at each use, of a graph's 1 */
    bool kept;      /* for graphs: never a stream's, and the other way round */
    dev_call_fn *fn;
    void *arg;
    struct dev_gate *next;
};

struct dev_exec {
    CUgraphExec x;
    _Atomic uint32_t refs; /* the handle and launches under way, if there are gates */
    struct dev_gate *gates;
};

static struct {
    pthread_mutex_t lock;
    struct dev_gate *free[2]; /* for streams, for graphs */
    uint32_t *slab;
    uint32_t used;
} gates = {.lock = PTHREAD_MUTEX_INITIALIZER, .used = SLAB};

/*
 * A stream's gate is used again as soon as it is opened, when the GPU may not have looked yet: its word
 * must only ever grow. A graph's word goes back to 0. So the two are kept apart.
 */
static struct dev_gate *gate_get(struct dev *d, bool kept, dev_call_fn *fn, void *arg)
{
    struct dev_gate *g;

    pthread_mutex_lock(&gates.lock);
    g = gates.free[kept];
    if (g) {
        gates.free[kept] = g->next;
    } else {
        if (gates.used == SLAB &&
            cudev_rc(d,
                     cu.cuMemHostAlloc((void **)&gates.slab, SLAB * sizeof(uint32_t),
                                       CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_PORTABLE),
                     "cuMemHostAlloc") == 0) {
            memset(gates.slab, 0, SLAB * sizeof(uint32_t));
            gates.used = 0;
        }
        g = gates.used < SLAB ? calloc(1, sizeof(*g)) : NULL;
        if (g)
            g->word = &gates.slab[gates.used++];
    }
    pthread_mutex_unlock(&gates.lock);
    if (g) {
        g->d = d;
        g->fn = fn;
        g->arg = arg;
        g->kept = kept;
        g->next = NULL;
    }
    return g;
}

static void gate_put(struct dev_gate *g)
{
    pthread_mutex_lock(&gates.lock);
    g->next = gates.free[g->kept];
    gates.free[g->kept] = g;
    pthread_mutex_unlock(&gates.lock);
}

static void gate_reached(void *arg)
{
    struct dev_gate *g = arg;

    g->fn(g->arg, g);
}

static void CUDA_CB node_reached(void *arg)
{
    gate_reached(arg);
}

/* ---- streams ----------------------------------------------------------------------------- */

static int stream_call(struct dev *d, struct dev_stream *s, dev_call_fn *fn, void *arg)
{
    struct cudev_call *c;
    struct dev_gate *g;
    uint32_t value;
    int err = cudev_enter(d);

    if (err)
        return err;
    g = gate_get(d, false, fn, arg);
    if (!g)
        return CUDA_ERROR_OUT_OF_MEMORY;
    /* Of an earlier use the GPU may still look at the word: it is satisfied by later values too. */
    value = ++g->value;
    c = cudev_call_new(d, gate_reached, g);
    if (!c) {
        gate_put(g);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    err = cudev_rc(d, cu.cuLaunchHostFunc(cudev_stream(s), cudev_call_run, c), "cuLaunchHostFunc");
    if (err && cudev_call_cancel(c)) {
        gate_put(g);
        return err;
    }
    if (!err) /* nothing to take back if it fails: the context has faulted */
        cudev_rc(d,
                 cu.cuStreamWaitValue32_v2(cudev_stream(s), (CUdeviceptr)(uintptr_t)g->word, value,
                                           CU_STREAM_WAIT_VALUE_GEQ),
                 "cuStreamWaitValue32");
    return 0;
}

static void call_done(struct dev *d, struct dev_gate *g)
{
    bool kept = g->kept;

    __atomic_store_n(g->word, g->value, __ATOMIC_RELEASE);
    if (!kept)
        gate_put(g);
}

/* ---- words in memory --------------------------------------------------------------------- */

static void mem_op(CUstreamBatchMemOpParams *p, const struct dev_mem_op *op)
{
    memset(p, 0, sizeof(*p));
    p->operation = (CUstreamBatchMemOpType)op->op;
    if (op->op == DEV_MEM_BARRIER) {
        p->memoryBarrier.flags = op->flags;
        return;
    }
    /* The members of waits and writes lie at the same places. */
    p->waitValue.address = op->addr;
    p->waitValue.value64 = op->value;
    p->waitValue.flags = op->flags;
}

static CUstreamBatchMemOpParams *mem_ops(const struct dev_mem_op *op, unsigned n)
{
    CUstreamBatchMemOpParams *p = calloc(n + 1, sizeof(*p));

    for (unsigned i = 0; p && i < n; i++)
        mem_op(&p[i], &op[i]);
    return p;
}

static int stream_mem(struct dev *d, struct dev_stream *s, const struct dev_mem_op *op, unsigned n)
{
    CUstreamBatchMemOpParams *p;
    int err = cudev_enter(d);

    if (err)
        return err;
    p = mem_ops(op, n);
    if (!p)
        return CUDA_ERROR_OUT_OF_MEMORY;
    err = cudev_rc(d, cu.cuStreamBatchMemOp_v2(cudev_stream(s), n, p, 0), "cuStreamBatchMemOp");
    free(p);
    return err;
}

/* ---- making graphs ----------------------------------------------------------------------- */

struct build {
    struct dev *d;
    CUgraph g;
    CUgraphNode *first, *last; /* of each node: a call takes two */
    CUgraphNode *deps;
    struct dev_gate *gates;
    const struct dev_cond *conds;
    CUgraphConditionalHandle *real; /* what the driver calls them; 0: not made yet */
    uint32_t ncond;
};

static CUgraphConditionalHandle real_of(const struct build *b, uint64_t number)
{
    for (uint32_t i = 0; i < b->ncond; i++)
        if (b->conds[i].number == number)
            return b->real[i];
    return 0;
}

/* The parameters with the driver's handles for the guest's numbers. NULL: no memory. */
static uint8_t *params_of(const struct build *b, const struct dev_launch *l)
{
    uint8_t *p = malloc(l->params_len + 8);
    uint64_t v;

    if (!p)
        return NULL;
    if (l->params_len)
        memcpy(p, l->params, l->params_len);
    for (uint32_t at = 0; b->ncond && at + 8 <= l->params_len; at += 8) {
        memcpy(&v, p + at, 8);
        v = v ? real_of(b, v) : 0;
        if (v)
            memcpy(p + at, &v, 8);
    }
    return p;
}

static int add_kernel(struct build *b, uint32_t i, const struct dev_node *n)
{
    const struct dev_launch *l = &n->kernel.l;
    struct dev_func *f = n->kernel.func;
    CUlaunchAttributeValue v;
    CUDA_KERNEL_NODE_PARAMS p = {
        .func = f->f,
        .gridDimX = l->grid[0],
        .gridDimY = l->grid[1],
        .gridDimZ = l->grid[2],
        .blockDimX = l->block[0],
        .blockDimY = l->block[1],
        .blockDimZ = l->block[2],
        .sharedMemBytes = l->shmem,
    };
    uint8_t *params;
    CUresult rc;

    if (l->params_len < f->param_end)
        return CUDA_ERROR_INVALID_VALUE;
    params = params_of(b, l);
    p.kernelParams = calloc(f->nparam + 1, sizeof(*p.kernelParams));
    if (!p.kernelParams || !params) {
        free(p.kernelParams);
        free(params);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    for (unsigned k = 0; k < f->nparam; k++)
        p.kernelParams[k] = params + f->param[k].offset;
    rc = cu.cuGraphAddKernelNode_v2(&b->first[i], b->g, b->deps, n->ndeps, &p);
    free(p.kernelParams);
    free(params);
    memset(&v, 0, sizeof(v));
    if (rc == CUDA_SUCCESS && l->cooperative) {
        v.cooperative = 1;
        rc = cu.cuGraphKernelNodeSetAttribute(b->first[i], CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &v);
    }
    if (rc == CUDA_SUCCESS && l->cluster[0]) {
        v.clusterDim.x = l->cluster[0];
        v.clusterDim.y = l->cluster[1];
        v.clusterDim.z = l->cluster[2];
        rc = cu.cuGraphKernelNodeSetAttribute(b->first[i], CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
                                              &v);
    }
    return (int)rc;
}

static int add_copy(struct build *b, uint32_t i, const struct dev_node *n)
{
    const struct dev_copy *c = &n->copy;
    CUDA_MEMCPY3D p = {
        .srcXInBytes = c->src.x,
        .srcY = c->src.y,
        .srcZ = c->src.z,
        .srcPitch = c->src.pitch,
        .srcHeight = c->src.height,
        .dstXInBytes = c->dst.x,
        .dstY = c->dst.y,
        .dstZ = c->dst.z,
        .dstPitch = c->dst.pitch,
        .dstHeight = c->dst.height,
        .WidthInBytes = c->width,
        .Height = c->height,
        .Depth = c->depth,
    };

    if (c->src.type == DEV_MEM_ARRAY || c->dst.type == DEV_MEM_ARRAY)
        return CUDA_ERROR_NOT_SUPPORTED;
    p.srcMemoryType = (CUmemorytype)c->src.type;
    p.dstMemoryType = (CUmemorytype)c->dst.type;
    p.srcDevice = c->src.addr;
    p.dstDevice = c->dst.addr;
    p.srcHost = (const void *)(uintptr_t)c->src.addr;
    p.dstHost = (void *)(uintptr_t)c->dst.addr;
    return (int)cu.cuGraphAddMemcpyNode(&b->first[i], b->g, b->deps, n->ndeps, &p, b->d->ctx);
}

static int add_fill(struct build *b, uint32_t i, const struct dev_node *n)
{
    CUDA_MEMSET_NODE_PARAMS p = {.dst = n->fill.dst,
                                 .pitch = n->fill.pitch,
                                 .value = n->fill.value,
                                 .elementSize = n->fill.elem,
                                 .width = n->fill.width,
                                 .height = n->fill.height};

    return (int)cu.cuGraphAddMemsetNode(&b->first[i], b->g, b->deps, n->ndeps, &p, b->d->ctx);
}

/* The report, then the wait, which makes the word ready for the next launch. */
static int add_call(struct build *b, uint32_t i, const struct dev_node *n)
{
    struct dev_gate *g = gate_get(b->d, true, n->call.fn, n->call.arg);
    CUDA_HOST_NODE_PARAMS host = {.fn = node_reached, .userData = g};
    CUstreamBatchMemOpParams op[2];
    CUDA_BATCH_MEM_OP_NODE_PARAMS mem = {.ctx = b->d->ctx, .count = 2, .paramArray = op};
    CUresult rc;

    if (!g)
        return CUDA_ERROR_OUT_OF_MEMORY;
    g->value = 1;
    __atomic_store_n(g->word, 0, __ATOMIC_RELEASE);
    g->next = b->gates;
    b->gates = g;
    memset(op, 0, sizeof(op));
    op[0].waitValue.operation = CU_STREAM_MEM_OP_WAIT_VALUE_32;
    op[0].waitValue.address = (CUdeviceptr)(uintptr_t)g->word;
    op[0].waitValue.value = 1;
    op[0].waitValue.flags = CU_STREAM_WAIT_VALUE_EQ;
    op[1].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    op[1].writeValue.address = (CUdeviceptr)(uintptr_t)g->word;
    op[1].writeValue.value = 0;
    rc = cu.cuGraphAddHostNode(&b->first[i], b->g, b->deps, n->ndeps, &host);
    if (rc == CUDA_SUCCESS)
        rc = cu.cuGraphAddBatchMemOpNode(&b->last[i], b->g, &b->first[i], 1, &mem);
    return (int)rc;
}

static int add_mem(struct build *b, uint32_t i, const struct dev_node *n)
{
    CUDA_BATCH_MEM_OP_NODE_PARAMS mem = {.ctx = b->d->ctx, .count = n->mem.n};
    CUresult rc;

    mem.paramArray = mem_ops(n->mem.op, n->mem.n);
    if (!mem.paramArray)
        return CUDA_ERROR_OUT_OF_MEMORY;
    rc = cu.cuGraphAddBatchMemOpNode(&b->first[i], b->g, b->deps, n->ndeps, &mem);
    free(mem.paramArray);
    return (int)rc;
}

static int add(struct build *b, uint32_t i, const struct dev_node *n)
{
    for (uint32_t k = 0; k < n->ndeps; k++)
        b->deps[k] = b->last[n->deps[k]] ? b->last[n->deps[k]] : b->first[n->deps[k]];
    switch (n->type) {
    case DEV_NODE_KERNEL:
        return add_kernel(b, i, n);
    case DEV_NODE_COPY:
        return add_copy(b, i, n);
    case DEV_NODE_FILL:
        return add_fill(b, i, n);
    case DEV_NODE_CALL:
        return add_call(b, i, n);
    case DEV_NODE_MEM:
        return add_mem(b, i, n);
    case DEV_NODE_EVENT_RECORD:
        return (int)cu.cuGraphAddEventRecordNode(&b->first[i], b->g, b->deps, n->ndeps,
                                                 n->event->e);
    case DEV_NODE_EVENT_WAIT:
        return (int)cu.cuGraphAddEventWaitNode(&b->first[i], b->g, b->deps, n->ndeps, n->event->e);
    default:
        return (int)cu.cuGraphAddEmptyNode(&b->first[i], b->g, b->deps, n->ndeps);
    }
}

/* Conditions of one graph. */
static int add_conds(struct build *b, CUgraph g, uint32_t owner, uint32_t body)
{
    int err = 0;

    for (uint32_t i = 0; i < b->ncond && !err; i++)
        if (b->conds[i].owner == owner && b->conds[i].body == body)
            err = cudev_rc(b->d,
                           cu.cuGraphConditionalHandleCreate(
                               &b->real[i], g, b->d->ctx, b->conds[i].value,
                               b->conds[i].assign ? CU_GRAPH_COND_ASSIGN_DEFAULT : 0),
                           "cuGraphConditionalHandleCreate");
    return err;
}

static int add_choice(struct build *b, uint32_t i, const struct dev_node *n, CUgraph **bodies)
{
    CUgraphNodeParams p;
    CUresult rc;

    memset(&p, 0, sizeof(p));
    p.type = CU_GRAPH_NODE_TYPE_CONDITIONAL;
    p.conditional.handle = real_of(b, n->cond.number);
    p.conditional.type = (CUgraphConditionalNodeType)n->cond.type;
    p.conditional.size = n->cond.nbody;
    p.conditional.ctx = b->d->ctx;
    if (!p.conditional.handle)
        return CUDA_ERROR_INVALID_VALUE;
    for (uint32_t k = 0; k < n->ndeps; k++)
        b->deps[k] = b->last[n->deps[k]] ? b->last[n->deps[k]] : b->first[n->deps[k]];
    rc = cu.cuGraphAddNode_v2(&b->first[i], b->g, b->deps, NULL, n->ndeps, &p);
    *bodies = p.conditional.phGraph_out;
    return (int)rc;
}

/* Nodes [at, end) into g, which is a body of `owner`. The worker has bounded the depth. */
static int add_all(struct build *b, CUgraph g, const struct dev_node *nodes, uint32_t at,
                   uint32_t end, uint32_t owner, uint32_t body, uint32_t *bad)
{
    CUgraph *bodies = NULL;
    int err = add_conds(b, g, owner, body);

    while (at < end && !err) {
        uint32_t i = at++;

        b->g = g;
        err = nodes[i].type == DEV_NODE_COND ? add_choice(b, i, &nodes[i], &bodies)
                                             : add(b, i, &nodes[i]);
        err = cudev_rc(b->d, (CUresult)err, "cuGraphAddNode");
        if (err)
            *bad = i;
        for (unsigned k = 0; nodes[i].type == DEV_NODE_COND && k < nodes[i].cond.nbody && !err;
             k++) {
            uint32_t total = nodes[i].cond.total[k];

            err = add_all(b, bodies[k], nodes, at, at + total, i, k, bad);
            at += total;
        }
    }
    return err;
}

static void free_gates(struct dev_gate *g)
{
    while (g) {
        struct dev_gate *next = g->next;

        gate_put(g);
        g = next;
    }
}

static int exec_create(struct dev *d, const struct dev_node *nodes, uint32_t n,
                       const struct dev_cond *conds, uint32_t ncond, struct dev_exec **out,
                       uint32_t *bad)
{
    struct build b = {.d = d, .conds = conds, .ncond = ncond};
    CUgraph g = NULL;
    struct dev_exec *x = calloc(1, sizeof(*x));
    uint32_t most = 1;
    int err = cudev_enter(d);

    *bad = n;
    for (uint32_t i = 0; i < n; i++)
        if (nodes[i].ndeps > most)
            most = nodes[i].ndeps;
    b.first = calloc(n + 1, sizeof(*b.first));
    b.last = calloc(n + 1, sizeof(*b.last));
    b.deps = calloc(most, sizeof(*b.deps));
    b.real = calloc(ncond + 1, sizeof(*b.real));
    if (!err && ncond && (!cu.cuGraphAddNode_v2 || !cu.cuGraphConditionalHandleCreate))
        err = CUDA_ERROR_NOT_SUPPORTED;
    if (!err && (!x || !b.first || !b.last || !b.deps || !b.real))
        err = CUDA_ERROR_OUT_OF_MEMORY;
    if (!err)
        err = cudev_rc(d, cu.cuGraphCreate(&g, 0), "cuGraphCreate");
    if (!err)
        err = add_all(&b, g, nodes, 0, n, DEV_COND_TOP, 0, bad);
    if (!err) {
        cudev_stage_hold(d);
        err = cudev_rc(d, cu.cuGraphInstantiateWithFlags(&x->x, g, 0), "cuGraphInstantiate");
        cudev_stage_release(d);
    }
    for (uint32_t i = 0; i < n && !err; i++)
        if (nodes[i].disabled && nodes[i].type != DEV_NODE_EMPTY)
            cudev_rc(d, cu.cuGraphNodeSetEnabled(x->x, b.first[i], 0), "cuGraphNodeSetEnabled");
    if (g)
        cu.cuGraphDestroy(g);
    if (err) {
        free_gates(b.gates);
        free(x);
    } else {
        x->refs = 1;
        x->gates = b.gates;
        *out = x;
    }
    free(b.first);
    free(b.last);
    free(b.deps);
    free(b.real);
    return err;
}

static void exec_put(void *arg)
{
    struct dev_exec *x = arg;

    if (atomic_fetch_sub(&x->refs, 1) != 1)
        return;
    free_gates(x->gates);
    free(x);
}

static int exec_destroy(struct dev *d, struct dev_exec *x)
{
    int err = cudev_enter(d);

    if (!err)
        err = cudev_rc(d, cu.cuGraphExecDestroy(x->x), "cuGraphExecDestroy");
    exec_put(x);
    return err;
}

static int exec_launch(struct dev *d, struct dev_exec *x, struct dev_stream *s)
{
    struct cudev_call *c;
    int err = cudev_enter(d);

    if (!err)
        err = cudev_rc(d, cu.cuGraphLaunch(x->x, cudev_stream(s)), "cuGraphLaunch");
    if (err || !x->gates)
        return err;
    /* The gates must outlive this launch. */
    atomic_fetch_add(&x->refs, 1);
    c = cudev_call_new(d, exec_put, x);
    if (c && cu.cuLaunchHostFunc(cudev_stream(s), cudev_call_run, c) != CUDA_SUCCESS)
        cudev_call_cancel(c);
    return 0;
}

static int exec_upload(struct dev *d, struct dev_exec *x, struct dev_stream *s)
{
    int err = cudev_enter(d);

    return err ? err : cudev_rc(d, cu.cuGraphUpload(x->x, cudev_stream(s)), "cuGraphUpload");
}

const struct dev_graph_ops dev_cuda_graph_ops = {
    .stream_call = stream_call,
    .call_done = call_done,
    .stream_mem = stream_mem,
    .exec_create = exec_create,
    .exec_destroy = exec_destroy,
    .exec_launch = exec_launch,
    .exec_upload = exec_upload,
};
