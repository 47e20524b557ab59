/* SPDX-License-Identifier: MIT */
/*
 * graph_dot.c - a graph as text for the dot program. The wording is ours; CUDA promises none.
 */
#include "graph.h"

#include <inttypes.h>
#include <stdio.h>

static const char *name_of(CUgraphNodeType type)
{
    static const char *const names[] = {"KERNEL",         "MEMCPY",       "MEMSET",
                                        "HOST",           "GRAPH",        "EMPTY",
                                        "EVENT_WAIT",     "EVENT_RECORD", "SEMAPHORE_SIGNAL",
                                        "SEMAPHORE_WAIT", "MEM_ALLOC",    "MEM_FREE",
                                        "BATCH_MEM_OP",   "CONDITIONAL"};

    return (unsigned)type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

static void details(FILE *f, CUgraphNode n, unsigned flags)
{
    bool all = flags & CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE;

    if (flags & CU_GRAPH_DEBUG_DOT_FLAGS_HANDLES)
        fprintf(f, "\\nhandle %p", (void *)n);
    if (n->type == CU_GRAPH_NODE_TYPE_KERNEL)
        fprintf(f, "\\n%s", gvm_func_name(n->k.f));
    if (n->type == CU_GRAPH_NODE_TYPE_KERNEL &&
        (all || flags & CU_GRAPH_DEBUG_DOT_FLAGS_KERNEL_NODE_PARAMS))
        fprintf(f, "\\ngrid %u,%u,%u block %u,%u,%u shared %u", n->k.l.grid[0], n->k.l.grid[1],
                n->k.l.grid[2], n->k.l.block[0], n->k.l.block[1], n->k.l.block[2], n->k.l.shmem);
    if (n->type == CU_GRAPH_NODE_TYPE_MEMCPY &&
        (all || flags & CU_GRAPH_DEBUG_DOT_FLAGS_MEMCPY_NODE_PARAMS))
        fprintf(f, "\\n%zu x %zu x %zu", n->copy.WidthInBytes, n->copy.Height, n->copy.Depth);
    if (n->type == CU_GRAPH_NODE_TYPE_MEMSET &&
        (all || flags & CU_GRAPH_DEBUG_DOT_FLAGS_MEMSET_NODE_PARAMS))
        fprintf(f, "\\n%#llx: %zu x %zu of %u, value %#x", (unsigned long long)n->set.dst,
                n->set.width, n->set.height, n->set.elementSize, n->set.value);
    if (n->type == CU_GRAPH_NODE_TYPE_HOST &&
        (all || flags & CU_GRAPH_DEBUG_DOT_FLAGS_HOST_NODE_PARAMS))
        fprintf(f, "\\nfunction %p data %p", (void *)n->host.fn, n->host.userData);
}

static void print(FILE *f, CUgraph g, unsigned flags)
{
    fprintf(f, "subgraph cluster_%" PRIu64 " {\nlabel=\"graph_%" PRIu64 "\"\n", g->id, g->id);
    for (uint32_t i = 0; i < g->n; i++) {
        CUgraphNode n = g->v[i];

        fprintf(f, "\"node_%" PRIu64 "\" [shape=box label=\"%u %s", n->id, i, name_of(n->type));
        details(f, n, flags);
        fprintf(f, "\"]\n");
        for (size_t k = 0; k < n->nout; k++)
            fprintf(f, "\"node_%" PRIu64 "\" -> \"node_%" PRIu64 "\"\n", n->id, n->out[k].n->id);
        if (n->type == CU_GRAPH_NODE_TYPE_GRAPH)
            print(f, n->child, flags);
    }
    fprintf(f, "}\n");
}

CUresult cuGraphDebugDotPrint(CUgraph g, const char *path, unsigned flags)
{
    FILE *f;
    int rc = 0;

    if (!path || !gvm_graph_valid(g))
        return CUDA_ERROR_INVALID_VALUE;
    f = fopen(path, "w");
    if (!f)
        return CUDA_ERROR_OPERATING_SYSTEM;
    pthread_mutex_lock(&gvm_graph_lock);
    fprintf(f, "digraph dot {\n");
    print(f, g, flags);
    fprintf(f, "}\n");
    pthread_mutex_unlock(&gvm_graph_lock);
    if (fclose(f))
        rc = CUDA_ERROR_OPERATING_SYSTEM;
    return (CUresult)rc;
}
