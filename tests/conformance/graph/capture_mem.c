/* SPDX-License-Identifier: MIT */
/* covers: cudaMallocAsync cudaFreeAsync cudaStreamBeginCapture cudaGraphLaunch */
/* Stream-ordered memory in a capture: nodes of the graph. */
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    cudaGraph_t g = NULL;
    cudaGraphNode_t v[8];
    cudaGraphExec_t x;
    cudaStream_t s;
    unsigned char *p = NULL, *q = NULL, host[64];
    size_t n = 8;

    T_OK(cudaStreamCreate(&s));
    T(cudaMallocAsync((void **)&q, 64, s));
    T(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    T(cudaMallocAsync((void **)&p, 4096, s));
    T_BOOL("address", p != NULL);
    T(cudaMemsetAsync(p, 7, 64, s));
    T(cudaMemcpyAsync(host, p, 64, cudaMemcpyDeviceToHost, s));
    T(cudaFreeAsync(p, s));
    T(cudaStreamEndCapture(s, &g));
    T(cudaGraphGetNodes(g, v, &n));
    T_INT("nodes", n);
    for (size_t i = 0; i < n && i < 8; i++) {
        enum cudaGraphNodeType t;

        T(cudaGraphNodeGetType(v[i], &t));
        T_INT("type", t);
    }
    T(cudaGraphInstantiate(&x, g, 0));
    for (int i = 0; i < 2; i++) {
        memset(host, 0, sizeof(host));
        T(cudaGraphLaunch(x, s));
        T(cudaStreamSynchronize(s));
        T_INT("host[9]", host[9]);
    }
    T(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    T(cudaFreeAsync(q, s));
    T(cudaStreamEndCapture(s, &g));
    T(cudaGetLastError());
    T(cudaGraphExecDestroy(x));
    return 0;
}
