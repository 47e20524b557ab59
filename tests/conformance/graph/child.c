/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphAddChildGraphNode cudaGraphChildGraphNodeGetGraph
 * cudaGraphExecChildGraphNodeSetParams */
/* Graphs inside graphs: order around them, that they are copies, and their update. */
#include <cuda_runtime_api.h>

#include "transcript.h"

static int log_[64], n;

static void note(void *arg)
{
    log_[n++] = (int)(intptr_t)arg;
}

static cudaGraphNode_t add(cudaGraph_t g, cudaGraphNode_t *after, int v)
{
    struct cudaHostNodeParams p = {note, (void *)(intptr_t)v};
    cudaGraphNode_t node;

    T_OK(cudaGraphAddHostNode(&node, g, after, after ? 1 : 0, &p));
    return node;
}

static void go(cudaGraphExec_t x, cudaStream_t s)
{
    n = 0;
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    for (int i = 0; i < n; i++)
        printf("%d ", log_[i]);
    printf("\n");
}

int main(void)
{
    cudaGraph_t inner, outer, empty, got;
    cudaGraphNode_t a, b, c, child, child2, none;
    cudaGraphExec_t x;
    cudaStream_t s;
    size_t count = 0;

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaGraphCreate(&inner, 0));
    T_OK(cudaGraphCreate(&outer, 0));
    T_OK(cudaGraphCreate(&empty, 0));
    a = add(inner, NULL, 10);
    b = add(inner, &a, 11);
    a = add(outer, NULL, 1);
    T(cudaGraphAddChildGraphNode(&child, outer, &a, 1, inner));
    c = add(outer, &child, 2);
    T(cudaGraphAddChildGraphNode(&none, outer, &c, 1, empty));
    T(cudaGraphAddChildGraphNode(&child2, outer, &none, 1, inner));
    add(outer, &child2, 3);
    add(inner, &b, 12); /* too late: the child is a copy */
    T(cudaGraphChildGraphNodeGetGraph(child, &got));
    T_BOOL("copy", got != inner);
    T(cudaGraphGetNodes(got, NULL, &count));
    T_INT("nodes", count);
    T(cudaGraphDestroy(got));
    T(cudaGraphChildGraphNodeGetGraph(a, &got));
    T_OK(cudaGraphInstantiate(&x, outer, 0));
    go(x, s);
    T(cudaGraphExecChildGraphNodeSetParams(x, child, inner));
    T_OK(cudaGraphCreate(&got, 0));
    a = add(got, NULL, 10);
    add(got, &a, 77);
    T(cudaGraphExecChildGraphNodeSetParams(x, child, got));
    go(x, s);
    T(cudaGraphAddChildGraphNode(&child, outer, NULL, 0, NULL));
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(outer));
    T(cudaGraphDestroy(inner));
    return 0;
}
