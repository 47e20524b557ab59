/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphExecUpdate cudaGraphExecMemsetNodeSetParams
 * cudaGraphExecMemcpyNodeSetParams1D cuGraphExecKernelNodeSetParams_v2 cudaGraphNodeSetEnabled
 * cudaGraphNodeGetEnabled cudaGraphExecGetFlags cudaGraphInstantiateWithFlags */
/* Changing an executable graph: single nodes, whole graphs, nodes switched off. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

#define N 64

extern const unsigned char kernels_image[];
static int *d, host[N];
static cudaStream_t s;

static void go(cudaGraphExec_t x)
{
    memset(host, 0, sizeof(host));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T_INT("first", host[0]);
    T_INT("last", host[N - 1]);
}

int main(void)
{
    CUmodule m;
    CUfunction f, other;
    cudaGraph_t g, h, two;
    cudaGraphNode_t set, k, out, n2;
    cudaGraphExec_t x;
    cudaGraphExecUpdateResultInfo info;
    int v = 5, n = N;
    unsigned on = 9;
    unsigned long long flags = 99;
    void *args[] = {&d, &v, &n};
    CUDA_KERNEL_NODE_PARAMS kp = {0};
    struct cudaMemsetParams mp = {0};

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMalloc((void **)&d, sizeof(host)));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&f, m, "add_int"));
    T_OK(cuModuleGetFunction(&other, m, "empty"));
    mp.dst = d;
    mp.elementSize = 4;
    mp.width = N;
    mp.height = 1;
    mp.value = 100;
    kp.func = f;
    kp.gridDimX = 1;
    kp.blockDimX = N;
    kp.gridDimY = kp.gridDimZ = kp.blockDimY = kp.blockDimZ = 1;
    kp.kernelParams = args;
    T_OK(cudaGraphCreate(&g, 0));
    T_OK(cudaGraphAddMemsetNode(&set, g, NULL, 0, &mp));
    T_OK(cuGraphAddKernelNode(&k, g, &set, 1, &kp));
    T_OK(cudaGraphAddMemcpyNode1D(&out, g, &k, 1, host, d, sizeof(host), cudaMemcpyDeviceToHost));
    T_OK(cudaGraphInstantiateWithFlags(&x, g, cudaGraphInstantiateFlagUseNodePriority));
    T(cudaGraphExecGetFlags(x, &flags));
    T_INT("flags", flags);
    go(x);
    v = 9;
    T(cuGraphExecKernelNodeSetParams(x, k, &kp));
    go(x);
    mp.value = 200;
    T(cudaGraphExecMemsetNodeSetParams(x, set, &mp));
    go(x);
    T(cudaGraphNodeGetEnabled(x, k, &on));
    T_INT("enabled", on);
    T(cudaGraphNodeSetEnabled(x, k, 0));
    T(cudaGraphNodeGetEnabled(x, k, &on));
    T_INT("enabled", on);
    go(x);
    T(cudaGraphNodeSetEnabled(x, k, 1));
    go(x);
    T(cudaGraphExecMemcpyNodeSetParams1D(x, out, host + 1, d, sizeof(host) - 4,
                                         cudaMemcpyDeviceToHost));
    go(x);
    T(cudaGraphExecMemcpyNodeSetParams1D(x, k, host, d, 4, cudaMemcpyDeviceToHost));
    T(cudaGraphExecMemsetNodeSetParams(x, out, &mp));

    /* The original graph, its values of old. */
    T(cudaGraphExecUpdate(x, g, &info));
    T_INT("result", info.result);
    go(x);
    T_OK(cudaGraphClone(&h, g));
    T_OK(cudaGraphNodeFindInClone(&n2, k, h));
    v = 1;
    T(cuGraphKernelNodeSetParams(n2, &kp));
    T(cudaGraphExecUpdate(x, h, &info));
    T_INT("result", info.result);
    go(x);
    kp.func = other;
    kp.kernelParams = NULL;
    T(cuGraphKernelNodeSetParams(n2, &kp));
    T(cudaGraphExecUpdate(x, h, &info));
    T_INT("result", info.result);
    go(x);
    T(cudaGraphAddEmptyNode(&n2, h, NULL, 0));
    T(cudaGraphExecUpdate(x, h, &info));
    T_INT("result", info.result);
    T_OK(cudaGraphCreate(&two, 0));
    T_OK(cudaGraphAddEmptyNode(&set, two, NULL, 0));
    T_OK(cudaGraphAddEmptyNode(&k, two, &set, 1));
    T_OK(cudaGraphAddEmptyNode(&out, two, &k, 1));
    T(cudaGraphExecUpdate(x, two, &info));
    T_INT("result", info.result);
    T_BOOL("error node", info.errorNode != NULL);
    T(cudaGraphExecUpdate(x, NULL, &info));
    T(cudaGraphInstantiateWithFlags(&x, g, 1 << 10));
    T(cudaGraphExecDestroy(x));
    T(cudaGraphExecDestroy(NULL));
    return 0;
}
