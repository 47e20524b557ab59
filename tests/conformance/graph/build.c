/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphCreate cudaGraphDestroy cudaGraphAddMemcpyNode1D cudaGraphAddMemsetNode
 * cudaGraphAddEmptyNode cudaGraphInstantiate cudaGraphLaunch cudaGraphExecDestroy
 * cudaGraphUpload cuGraphAddKernelNode_v2 cuGraphLaunch cuGraphKernelNodeGetParams_v2 */
/* A small graph, launched several times: memset, kernel, copy back. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

#define N 256

extern const unsigned char kernels_image[];

int main(void)
{
    CUmodule m;
    CUfunction f;
    cudaGraph_t g;
    cudaGraphNode_t set, k1, k2, out, empty;
    cudaGraphExec_t x;
    cudaStream_t s;
    int *d, host[N], v = 5, n = N;
    void *args[] = {&d, &v, &n};
    CUDA_KERNEL_NODE_PARAMS kp = {0}, got;
    struct cudaMemsetParams mp = {0};

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMalloc((void **)&d, sizeof(host)));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&f, m, "add_int"));
    T_OK(cudaGraphCreate(&g, 0));
    mp.dst = d;
    mp.elementSize = 4;
    mp.width = N;
    mp.height = 1;
    mp.value = 100;
    T_OK(cudaGraphAddMemsetNode(&set, g, NULL, 0, &mp));
    kp.func = f;
    kp.gridDimX = 4;
    kp.blockDimX = 64;
    kp.gridDimY = kp.gridDimZ = kp.blockDimY = kp.blockDimZ = 1;
    kp.kernelParams = args;
    T_OK(cuGraphAddKernelNode(&k1, g, &set, 1, &kp));
    v = 7; /* the parameters were copied */
    T_OK(cuGraphAddKernelNode(&k2, g, &k1, 1, &kp));
    v = 1000;
    T_OK(cudaGraphAddEmptyNode(&empty, g, &k2, 1));
    T_OK(cudaGraphAddMemcpyNode1D(&out, g, &empty, 1, host, d, sizeof(host),
                                  cudaMemcpyDeviceToHost));
    T(cuGraphKernelNodeGetParams(k1, &got));
    T_INT("grid", got.gridDimX);
    T_INT("block", got.blockDimX);
    T_INT("v", *(int *)got.kernelParams[1]);
    T_INT("n", *(int *)got.kernelParams[2]);
    T_BOOL("same function", got.func == f);
    T(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphUpload(x, s));
    for (int i = 0; i < 3; i++) {
        memset(host, 0, sizeof(host));
        T(cudaGraphLaunch(x, s));
        T(cudaStreamSynchronize(s));
        T_INT("host[0]", host[0]);
        T_DIGEST("host", host, sizeof(host));
    }
    /* The executable graph does not need the graph. */
    T(cudaGraphDestroy(g));
    memset(host, 0, sizeof(host));
    T(cuGraphLaunch((CUgraphExec)x, (CUstream)s));
    T(cudaStreamSynchronize(s));
    T_INT("host[255]", host[255]);
    T(cudaGraphLaunch(x, NULL));
    T(cudaGraphLaunch(x, cudaStreamPerThread));
    T(cudaDeviceSynchronize());
    T(cudaGraphExecDestroy(x));
    T(cudaStreamDestroy(s));
    T(cudaFree(d));
    return 0;
}
