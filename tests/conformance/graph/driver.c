/* SPDX-License-Identifier: MIT */
/* covers: cuGraphCreate cuGraphDestroy cuGraphAddEmptyNode cuGraphAddKernelNode_v2 cuGraphAddMemsetNode
 * cuGraphAddDependencies_v2 cuGraphRemoveDependencies_v2 cuGraphGetNodes cuGraphGetRootNodes
 * cuGraphGetEdges_v2 cuGraphNodeGetType cuGraphNodeGetDependencies_v2
 * cuGraphNodeGetDependentNodes_v2 cuGraphKernelNodeGetParams_v2 cuGraphKernelNodeSetParams_v2
 * cuGraphClone cuGraphNodeFindInClone cuGraphDestroyNode cuGraphInstantiateWithFlags
 * cuGraphLaunch cuGraphUpload cuGraphExecDestroy cuGraphExecUpdate_v2 cuGraphNodeSetEnabled
 * cuGraphNodeGetEnabled cuGraphExecGetFlags cuGraphExecKernelNodeSetParams_v2
 * cuGraphAddChildGraphNode cuGraphChildGraphNodeGetGraph */
/* Graphs built node by node through the driver API. */
#include "kernels.h"

int main(void)
{
    CUfunction add = t_kernel("add_int");
    CUgraph g, copy, inner;
    CUgraphNode fill, one, two, empty, child, found, nodes[8], to[8];
    CUgraphExec exec = NULL;
    CUgraphExecUpdateResultInfo info;
    CUgraphNodeType type;
    cuuint64_t flags = 9;
    CUcontext ctx;
    CUstream s;
    size_t n;
    int *p, v = 5, count = 64;
    unsigned on = 9;
    void *args[] = {&p, &v, &count};
    CUDA_KERNEL_NODE_PARAMS k = {add, 1, 1, 1, 64, 1, 1, 0, args}, back;
    CUDA_MEMSET_NODE_PARAMS m = {0, 0, 1, 4, 64, 1};

    T_OK(cudaMalloc((void **)&p, 256));
    T_OK(cuCtxGetCurrent(&ctx));
    T_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    T_OK(cuGraphCreate(&g, 0));
    T(cuGraphCreate(&g, 1));
    m.dst = (CUdeviceptr)p;
    T(cuGraphAddMemsetNode(&fill, g, NULL, 0, &m, ctx));
    T(cuGraphAddKernelNode(&one, g, &fill, 1, &k));
    T(cuGraphAddKernelNode(&two, g, NULL, 0, &k));
    T(cuGraphAddDependencies(g, &one, &two, NULL, 1));
    T(cuGraphAddDependencies(g, &one, &two, NULL, 1));
    T(cuGraphAddEmptyNode(&empty, g, &two, 1));
    n = 8;
    T(cuGraphGetNodes(g, nodes, &n));
    T_INT("nodes", n);
    n = 8;
    T(cuGraphGetRootNodes(g, nodes, &n));
    T_INT("roots", n);
    n = 8;
    T(cuGraphGetEdges(g, nodes, to, NULL, &n));
    T_INT("edges", n);
    n = 8;
    T(cuGraphNodeGetDependencies(two, nodes, NULL, &n));
    T_BOOL("of two", n == 1 && nodes[0] == one);
    n = 8;
    T(cuGraphNodeGetDependentNodes(two, nodes, NULL, &n));
    T_BOOL("after two", n == 1 && nodes[0] == empty);
    T(cuGraphNodeGetType(fill, &type));
    T_INT("type", type);
    T(cuGraphKernelNodeGetParams(one, &back));
    T_INT("block", back.blockDimX);
    T(cuGraphClone(&copy, g));
    T(cuGraphNodeFindInClone(&found, two, copy));
    T(cuGraphDestroyNode(found));
    T(cuGraphNodeFindInClone(&found, two, copy));
    T(cuGraphInstantiate(&exec, g, 0));
    T(cuGraphExecGetFlags(exec, &flags));
    T_INT("flags", flags);
    T(cuGraphUpload(exec, s));
    T(cuGraphLaunch(exec, s));
    T(cuStreamSynchronize(s));
    t_show("both", p, 64);
    T(cuGraphNodeSetEnabled(exec, two, 0));
    T(cuGraphNodeGetEnabled(exec, two, &on));
    T_INT("on", on);
    T(cuGraphLaunch(exec, s));
    T(cuStreamSynchronize(s));
    t_show("one", p, 64);
    v = 7;
    T(cuGraphExecKernelNodeSetParams(exec, one, &k));
    T(cuGraphLaunch(exec, s));
    T(cuStreamSynchronize(s));
    t_show("seven", p, 64);
    v = 9;
    T(cuGraphKernelNodeSetParams(two, &k));
    memset(&info, 0, sizeof(info));
    T(cuGraphExecUpdate(exec, g, &info));
    T_INT("result", info.result);
    T(cuGraphExecUpdate(exec, copy, &info));
    T_INT("result", info.result);
    T(cuGraphExecDestroy(exec));
    T(cuGraphRemoveDependencies(g, &one, &two, NULL, 1));
    T(cuGraphRemoveDependencies(g, &one, &two, NULL, 1));
    T(cuGraphAddChildGraphNode(&child, g, &two, 1, copy));
    T(cuGraphChildGraphNodeGetGraph(child, &inner));
    T_BOOL("its own", inner != copy);
    T(cuGraphDestroy(copy));
    T(cuGraphDestroy(g));
    T(cuStreamDestroy(s));
    return 0;
}
