/* SPDX-License-Identifier: MIT */
/*
 * graph_cond.c - conditional nodes, and the conditions that kernels set for them.
 *
 * A handle is a number of this process. Kernels need what the device calls the condition, so the
 * device replaces the number where it stands in a kernel's parameters (graph_proto.h).
 */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

/* Numbers that no address and no small number is equal to. */
#define FIRST_NUMBER 0xc09d171045a00000ull

static uint64_t numbers;

static int create(CUgraphConditionalHandle *out, CUgraph g, unsigned value, unsigned flags)
{
    struct gvm_cond *v;

    if (!out || !gvm_graph_valid(g) || flags & ~(unsigned)CU_GRAPH_COND_ASSIGN_DEFAULT)
        return 1;
    v = realloc(g->cond, (g->ncond + 1) * sizeof(*v));
    if (!v)
        return 2;
    g->cond = v;
    v[g->ncond++] = (struct gvm_cond){FIRST_NUMBER + ++numbers, value, flags, false};
    *out = FIRST_NUMBER + numbers;
    return 0;
}

CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle *out, CUgraph g, CUcontext ctx,
                                        unsigned value, unsigned flags)
{
    int rc = api_need();

    if (rc)
        return (CUresult)rc;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = create(out, g, value, flags);
    pthread_mutex_unlock(&gvm_graph_lock);
    return (CUresult)rc;
}

/* In the graph itself, and in those that it is a body of. */
static struct gvm_cond *find(CUgraph g, uint64_t number)
{
    for (;; g = g->parent->graph) {
        for (uint32_t i = 0; i < g->ncond; i++)
            if (g->cond[i].number == number)
                return &g->cond[i];
        if (!g->parent)
            return NULL;
    }
}

bool gvm_graph_has_cond(CUgraph g)
{
    for (uint32_t i = 0; i < g->n; i++)
        if (g->v[i]->type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
            return true;
    return false;
}

static CUgraph *bodies(CUgraphNode n, unsigned count)
{
    CUgraph *v = calloc(count, sizeof(*v));

    for (unsigned i = 0; v && i < count; i++) {
        v[i] = gvm_graph_new();
        if (!v[i]) {
            while (i)
                gvm_graph_free(v[--i]);
            free(v);
            return NULL;
        }
        v[i]->owned = true;
        v[i]->parent = n;
    }
    return v;
}

int gvm_set_cond(CUgraphNode n, CUDA_CONDITIONAL_NODE_PARAMS *p)
{
    unsigned most = p->type == CU_GRAPH_COND_TYPE_IF       ? 2
                    : p->type == CU_GRAPH_COND_TYPE_WHILE  ? 1
                    : p->type == CU_GRAPH_COND_TYPE_SWITCH ? VGPU_COND_BODIES
                                                           : 0;
    struct gvm_cond *c = find(n->graph, p->handle);
    unsigned depth = 0;

    for (CUgraph g = n->graph; g->parent; g = g->parent->graph)
        depth++;
    if (!c || c->used || !p->size || p->size > most || depth >= VGPU_COND_DEPTH)
        return 1;
    n->cond.body = bodies(n, p->size);
    if (!n->cond.body)
        return 2;
    n->cond.number = p->handle;
    n->cond.type = p->type;
    n->cond.n = p->size;
    c->used = true;
    p->phGraph_out = n->cond.body;
    return 0;
}

int gvm_cond_copy(CUgraphNode to, const struct CUgraphNode_st *from)
{
    CUgraph *v = calloc(from->cond.n, sizeof(*v));

    if (!v)
        return 2;
    for (unsigned i = 0; i < from->cond.n; i++) {
        v[i] = gvm_graph_copy(from->cond.body[i]);
        if (!v[i]) {
            while (i)
                gvm_graph_free(v[--i]);
            free(v);
            return 2;
        }
        v[i]->owned = true;
        v[i]->parent = to;
    }
    to->cond = from->cond;
    to->cond.body = v;
    return 0;
}

void gvm_cond_free(CUgraphNode n)
{
    for (unsigned i = 0; n->cond.body && i < n->cond.n; i++)
        gvm_graph_free(n->cond.body[i]);
    free(n->cond.body);
    n->cond.body = NULL;
}

void gvm_cond_release(CUgraphNode n)
{
    struct gvm_cond *c = find(n->graph, n->cond.number);

    if (c)
        c->used = false;
}
