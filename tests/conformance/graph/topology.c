/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphGetNodes cudaGraphGetRootNodes cudaGraphGetEdges
 * cudaGraphNodeGetDependencies cudaGraphNodeGetDependentNodes cudaGraphAddDependencies
 * cudaGraphRemoveDependencies cudaGraphNodeGetType cudaGraphDestroyNode cudaGraphClone
 * cudaGraphNodeFindInClone */
/* Nodes and edges: how queries answer, what may be changed, what is refused. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

static int at(cudaGraphNode_t *v, int n, cudaGraphNode_t x)
{
    for (int i = 0; i < n; i++)
        if (v[i] == x)
            return i;
    return -1;
}

int main(void)
{
    cudaGraph_t g, other, clone;
    cudaGraphNode_t v[5], got[8], from[8], to[8], x, dup[2], foreign;
    cudaGraphExec_t e;
    enum cudaGraphNodeType type;
    size_t n = 0;

    T_OK(cudaFree(NULL));
    T_OK(cudaGraphCreate(&g, 0));
    T(cudaGraphCreate(&other, 1));
    T(cudaGraphCreate(NULL, 0));
    T_OK(cudaGraphCreate(&other, 0));
    T_OK(cudaGraphAddEmptyNode(&foreign, other, NULL, 0));
    for (int i = 0; i < 5; i++)
        T_OK(cudaGraphAddEmptyNode(&v[i], g, i == 4 ? v + 2 : NULL, i == 4 ? 2 : 0));
    T(cudaGraphAddDependencies(g, &v[0], &v[2], NULL, 1));
    T(cudaGraphAddDependencies(g, &v[1], &v[2], NULL, 1));
    T(cudaGraphAddDependencies(g, &v[1], &v[2], NULL, 1));
    T(cudaGraphAddDependencies(g, &v[1], &v[1], NULL, 1));
    T(cudaGraphAddDependencies(g, &v[1], &foreign, NULL, 1));
    T(cudaGraphAddDependencies(g, NULL, NULL, NULL, 0));
    T(cudaGraphGetNodes(g, NULL, &n));
    T_INT("nodes", n);
    n = 8;
    memset(got, 1, sizeof(got));
    T(cudaGraphGetNodes(g, got, &n));
    T_INT("nodes", n);
    for (int i = 0; i < 5; i++)
        T_INT("node", at(v, 5, got[i]));
    T_BOOL("rest is NULL", got[6] == NULL);
    n = 2;
    T(cudaGraphGetNodes(g, got, &n));
    T_INT("nodes", n);
    T(cudaGraphGetRootNodes(g, NULL, &n));
    T_INT("roots", n);
    T(cudaGraphGetEdges(g, NULL, NULL, NULL, &n));
    T_INT("edges", n);
    n = 8;
    T(cudaGraphGetEdges(g, from, to, NULL, &n));
    for (size_t i = 0; i < n && i < 8; i++)
        printf("edge %d %d\n", at(v, 5, from[i]), at(v, 5, to[i]));
    n = 8;
    T(cudaGraphNodeGetDependencies(v[2], got, NULL, &n));
    T_INT("dependencies", n);
    T(cudaGraphNodeGetDependentNodes(v[2], NULL, NULL, &n));
    T_INT("dependents", n);
    T(cudaGraphNodeGetType(v[2], &type));
    T_INT("type", type);
    T(cudaGraphRemoveDependencies(g, &v[1], &v[2], NULL, 1));
    T(cudaGraphRemoveDependencies(g, &v[1], &v[2], NULL, 1));
    T(cudaGraphGetEdges(g, NULL, NULL, NULL, &n));
    T_INT("edges", n);
    dup[0] = dup[1] = v[0];
    T(cudaGraphAddEmptyNode(&x, g, dup, 2));
    T(cudaGraphAddEmptyNode(&x, g, &foreign, 1));
    T(cudaGraphAddEmptyNode(&x, g, NULL, 1));
    T(cudaGraphAddEmptyNode(NULL, g, NULL, 0));
    T(cudaGraphAddEmptyNode(&x, NULL, NULL, 0));
    T(cudaGraphClone(&clone, g));
    T(cudaGraphGetNodes(clone, NULL, &n));
    T_INT("nodes", n);
    T(cudaGraphNodeFindInClone(&x, v[3], clone));
    T_BOOL("another node", x != v[3]);
    T(cudaGraphNodeGetDependentNodes(x, NULL, NULL, &n));
    T_INT("dependents", n);
    T(cudaGraphNodeFindInClone(&x, foreign, clone));
    T(cudaGraphNodeFindInClone(&x, v[3], other));
    T(cudaGraphDestroyNode(v[3]));
    T(cudaGraphGetNodes(g, NULL, &n));
    T_INT("nodes", n);
    T(cudaGraphGetEdges(g, NULL, NULL, NULL, &n));
    T_INT("edges", n);
    T(cudaGraphDestroyNode(NULL));
    T(cudaGraphGetNodes(NULL, NULL, &n));
    T(cudaGraphGetNodes(g, got, NULL));
    T(cudaGraphGetEdges(g, from, NULL, NULL, &n));
    /* A circle. */
    T(cudaGraphAddDependencies(g, &v[2], &v[0], NULL, 1));
    T(cudaGraphInstantiate(&e, g, 0));
    T(cudaGraphDestroy(clone));
    T(cudaGraphDestroy(other));
    T(cudaGraphDestroy(g));
    T(cudaGraphDestroy(NULL));
    T(cudaGetLastError());
    return 0;
}
