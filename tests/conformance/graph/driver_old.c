/* SPDX-License-Identifier: MIT */
/* covers: cuGraphAddKernelNode cuGraphKernelNodeGetParams cuGraphKernelNodeSetParams
 * cuGraphExecKernelNodeSetParams cuGraphAddDependencies cuGraphRemoveDependencies cuGraphGetEdges
 * cuGraphNodeGetDependencies cuGraphNodeGetDependentNodes cuGraphAddNode cuGraphInstantiate
 * cuGraphInstantiate_v2 cuGraphExecUpdate */
/* Forms that programs built with older headers call. */
#include "kernels.h"

#define OLD(name) __asm__(#name)
CUresult add_kernel(CUgraphNode *, CUgraph, const CUgraphNode *, size_t,
                    const CUDA_KERNEL_NODE_PARAMS_v1 *) OLD(cuGraphAddKernelNode);
CUresult get_kernel(CUgraphNode, CUDA_KERNEL_NODE_PARAMS_v1 *) OLD(cuGraphKernelNodeGetParams);
CUresult set_kernel(CUgraphNode, const CUDA_KERNEL_NODE_PARAMS_v1 *)
    OLD(cuGraphKernelNodeSetParams);
CUresult set_exec(CUgraphExec, CUgraphNode, const CUDA_KERNEL_NODE_PARAMS_v1 *)
    OLD(cuGraphExecKernelNodeSetParams);
CUresult add_deps(CUgraph, const CUgraphNode *, const CUgraphNode *, size_t)
    OLD(cuGraphAddDependencies);
CUresult remove_deps(CUgraph, const CUgraphNode *, const CUgraphNode *, size_t)
    OLD(cuGraphRemoveDependencies);
CUresult get_edges(CUgraph, CUgraphNode *, CUgraphNode *, size_t *) OLD(cuGraphGetEdges);
CUresult get_deps(CUgraphNode, CUgraphNode *, size_t *) OLD(cuGraphNodeGetDependencies);
CUresult get_dependents(CUgraphNode, CUgraphNode *, size_t *) OLD(cuGraphNodeGetDependentNodes);
CUresult add_node(CUgraphNode *, CUgraph, const CUgraphNode *, size_t, CUgraphNodeParams *)
    OLD(cuGraphAddNode);
CUresult instantiate_1(CUgraphExec *, CUgraph, CUgraphNode *, char *, size_t)
    OLD(cuGraphInstantiate);
CUresult instantiate_2(CUgraphExec *, CUgraph, CUgraphNode *, char *, size_t)
    OLD(cuGraphInstantiate_v2);
CUresult update(CUgraphExec, CUgraph, CUgraphNode *, CUgraphExecUpdateResult *)
    OLD(cuGraphExecUpdate);

int main(void)
{
    CUfunction add = t_kernel("add_int");
    CUgraphExecUpdateResult why = (CUgraphExecUpdateResult)99;
    CUDA_KERNEL_NODE_PARAMS_v1 k, back;
    CUgraphNode one, two, three, bad, from[4], to[4];
    CUgraphNodeParams any;
    CUgraphExec x, y;
    CUgraph g, h;
    CUstream s;
    size_t n;
    char log[32] = "untouched";
    int *p, v = 5, count = 16;
    void *args[] = {&p, &v, &count};

    T_OK(cudaMalloc((void **)&p, 64));
    T_OK(cudaMemset(p, 0, 64));
    T_OK(cudaDeviceSynchronize());
    T_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    k = (CUDA_KERNEL_NODE_PARAMS_v1){add, 1, 1, 1, 16, 1, 1, 0, args};
    T(cuGraphCreate(&g, 0));
    T(add_kernel(&one, g, NULL, 0, &k));
    T(add_kernel(&two, g, &one, 1, &k));
    T(add_kernel(&bad, g, NULL, 0, NULL));
    T(get_kernel(one, &back));
    T_BOOL("function", back.func == add);
    T_INT("block", back.blockDimX);
    v = 7;
    T(set_kernel(two, &k));
    memset(&any, 0, sizeof(any));
    any.type = CU_GRAPH_NODE_TYPE_EMPTY;
    T(add_node(&three, g, &one, 1, &any));
    T(add_deps(g, &two, &three, 1));
    T(add_deps(g, &two, &three, 1));
    n = 4;
    T(get_edges(g, from, to, &n));
    T_INT("edges", n);
    n = 4;
    T(get_deps(three, from, &n));
    T_INT("dependencies", n);
    n = 4;
    T(get_dependents(one, to, &n));
    T_INT("dependents", n);
    T(remove_deps(g, &two, &three, 1));
    T(remove_deps(g, &two, &three, 1));
    n = 4;
    T(get_dependents(two, to, &n));
    T_INT("dependents", n);
    T(instantiate_1(&x, g, &bad, log, sizeof(log)));
    T(instantiate_2(&y, g, NULL, NULL, 0));
    T(cuGraphLaunch(x, s));
    T(cuGraphLaunch(y, s));
    T(cuStreamSynchronize(s));
    t_show("twice", p, 16);
    v = 100;
    T(set_exec(x, one, &k));
    T(set_exec(x, three, &k));
    T(cuGraphLaunch(x, s));
    T(cuStreamSynchronize(s));
    t_show("changed", p, 16);
    T(cuGraphClone(&h, g));
    T(cuGraphNodeFindInClone(&bad, one, h));
    v = 1000;
    T(set_kernel(bad, &k));
    T(update(x, h, &bad, &why));
    T_INT("why", why);
    T(cuGraphLaunch(x, s));
    T(cuStreamSynchronize(s));
    t_show("updated", p, 16);
    T(cuGraphExecDestroy(x));
    T(cuGraphExecDestroy(y));
    T(cuGraphDestroy(g));
    T(cuGraphDestroy(h));
    return 0;
}
