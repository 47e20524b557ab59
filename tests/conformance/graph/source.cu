// SPDX-License-Identifier: MIT
/* covers: cudaGraphAddKernelNode cudaGraphKernelNodeGetParams cudaGraphKernelNodeSetParams
 * cudaGraphExecKernelNodeSetParams cudaGraphAddMemcpyNodeToSymbol cudaGraphAddMemcpyNodeFromSymbol
 * cudaGraphMemcpyNodeSetParamsToSymbol cudaGraphMemcpyNodeSetParamsFromSymbol
 * cudaGraphExecMemcpyNodeSetParamsToSymbol cudaGraphExecMemcpyNodeSetParamsFromSymbol */
/* Kernels and variables of the program in graphs, built and captured. */
#include "transcript.h"

__device__ int var[4];

__global__ void scale(int *p, int by)
{
    p[threadIdx.x] = var[threadIdx.x & 3] * by;
}

int main()
{
    cudaGraph_t g;
    cudaGraphNode_t in, k, out, back, bad;
    cudaGraphExec_t x;
    cudaStream_t s;
    cudaKernelNodeParams kp = {}, got;
    static int a[4] = {1, 2, 3, 4}, b[4] = {5, 6, 7, 8}, r[8], c[4];
    int *d, by = 10;
    void *args[] = {&d, &by};

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMalloc(&d, sizeof(r)));
    T_OK(cudaGraphCreate(&g, 0));
    T(cudaGraphAddMemcpyNodeToSymbol(&in, g, NULL, 0, var, a, sizeof(a), 0,
                                     cudaMemcpyHostToDevice));
    kp.func = (void *)scale;
    kp.gridDim = dim3(1);
    kp.blockDim = dim3(8);
    kp.kernelParams = args;
    T(cudaGraphAddKernelNode(&k, g, &in, 1, &kp));
    T(cudaGraphAddMemcpyNode1D(&out, g, &k, 1, r, d, sizeof(r), cudaMemcpyDeviceToHost));
    T(cudaGraphAddMemcpyNodeFromSymbol(&back, g, &out, 1, c, var, 8, 8, cudaMemcpyDeviceToHost));
    T(cudaGraphAddMemcpyNodeFromSymbol(&bad, g, NULL, 0, c, var, 8, 12, cudaMemcpyDeviceToHost));
    T(cudaGraphAddMemcpyNodeFromSymbol(&bad, g, NULL, 0, c, var, 8, 0, cudaMemcpyHostToDevice));
    T(cudaGraphAddMemcpyNodeToSymbol(&bad, g, NULL, 0, a, a, 8, 0, cudaMemcpyHostToDevice));
    T(cudaGraphKernelNodeGetParams(k, &got));
    T_BOOL("function", got.func == (void *)scale);
    T_INT("block", got.blockDim.x);
    T_INT("by", *(int *)got.kernelParams[1]);
    T(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T_DIGEST("r", r, sizeof(r));
    T_INT("c", c[0] * 10 + c[1]);
    by = 100;
    T(cudaGraphExecKernelNodeSetParams(x, k, &kp));
    T(cudaGraphExecMemcpyNodeSetParamsToSymbol(x, in, var, b, 8, 8, cudaMemcpyHostToDevice));
    T(cudaGraphExecMemcpyNodeSetParamsFromSymbol(x, back, c, var, 16, 0, cudaMemcpyDeviceToHost));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T_DIGEST("r", r, sizeof(r));
    T_DIGEST("c", c, sizeof(c));
    T(cudaGraphKernelNodeSetParams(k, &kp));
    T(cudaGraphMemcpyNodeSetParamsToSymbol(in, var, b, 4, 0, cudaMemcpyHostToDevice));
    T(cudaGraphMemcpyNodeSetParamsFromSymbol(back, c, var, 4, 0, cudaMemcpyDeviceToHost));
    kp.func = (void *)a;
    T(cudaGraphKernelNodeSetParams(k, &kp));
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(g));

    T(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    T(cudaMemcpyToSymbolAsync(var, a, sizeof(a), 0, cudaMemcpyHostToDevice, s));
    scale<<<1, 8, 0, s>>>(d, 3);
    T(cudaGetLastError());
    scale<<<0, 8, 0, s>>>(d, 3);
    T(cudaGetLastError());
    T(cudaMemcpyAsync(r, d, sizeof(r), cudaMemcpyDeviceToHost, s));
    T(cudaStreamEndCapture(s, &g));
    if (!g)
        return 0;
    T(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T_DIGEST("r", r, sizeof(r));
    return 0;
}
