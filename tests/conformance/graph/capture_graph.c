/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamBeginCaptureToGraph cudaStreamUpdateCaptureDependencies
 * cudaStreamGetCaptureInfo */
/* Capturing into a graph that exists, and changing what the next node waits for. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

static unsigned char *d;

static void fill(cudaStream_t s, int v)
{
    T(cudaMemsetAsync(d + v, v, 1, s));
}

static void show(cudaGraph_t g)
{
    cudaGraphNode_t v[16];
    size_t n = 16;

    T(cudaGraphGetNodes(g, v, &n));
    for (size_t i = 0; i < n; i++) {
        enum cudaGraphNodeType t;
        size_t deps = 0;

        cudaGraphNodeGetType(v[i], &t);
        cudaGraphNodeGetDependencies(v[i], NULL, NULL, &deps);
        printf("node type %d after %d\n", (int)t, (int)deps);
    }
}

int main(void)
{
    cudaStream_t s;
    cudaGraph_t g, h, in;
    cudaGraphNode_t n[2], extra, foreign;
    cudaGraphExec_t x;
    enum cudaStreamCaptureStatus st;
    const cudaGraphNode_t *deps;
    size_t count = 0;
    unsigned long long id;
    unsigned char out[8];

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMalloc((void **)&d, 64));
    T_OK(cudaMemset(d, 0, 64));
    T_OK(cudaGraphCreate(&g, 0));
    T_OK(cudaGraphCreate(&h, 0));
    T_OK(cudaGraphAddEmptyNode(&foreign, h, NULL, 0));
    T_OK(cudaGraphAddEmptyNode(&n[0], g, NULL, 0));
    T_OK(cudaGraphAddEmptyNode(&n[1], g, NULL, 0));
    T(cudaStreamBeginCaptureToGraph(s, g, &foreign, NULL, 1, cudaStreamCaptureModeGlobal));
    T(cudaStreamBeginCaptureToGraph(s, NULL, NULL, NULL, 0, cudaStreamCaptureModeGlobal));
    T(cudaStreamBeginCaptureToGraph(s, g, n, NULL, 2, cudaStreamCaptureModeGlobal));
    fill(s, 1);
    T(cudaStreamGetCaptureInfo(s, &st, &id, &in, &deps, NULL, &count));
    T_BOOL("into g", in == g);
    T_INT("count", count);
    /* A node added by hand, and made a dependency. */
    T(cudaGraphAddEmptyNode(&extra, g, deps, 1));
    T(cudaStreamUpdateCaptureDependencies(s, &extra, NULL, 1, cudaStreamAddCaptureDependencies));
    fill(s, 2);
    T(cudaStreamUpdateCaptureDependencies(s, n, NULL, 1, cudaStreamSetCaptureDependencies));
    fill(s, 3);
    T(cudaStreamUpdateCaptureDependencies(s, NULL, NULL, 0, cudaStreamSetCaptureDependencies));
    fill(s, 4);
    T(cudaStreamUpdateCaptureDependencies(s, &foreign, NULL, 1, cudaStreamAddCaptureDependencies));
    T(cudaStreamUpdateCaptureDependencies(s, n, NULL, 1, 7));
    in = NULL;
    T(cudaStreamEndCapture(s, &in));
    T_BOOL("the same graph", in == g);
    show(g);
    T(cudaStreamUpdateCaptureDependencies(s, n, NULL, 1, 0));
    T(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphLaunch(x, s));
    T(cudaMemcpyAsync(out, d, 8, cudaMemcpyDeviceToHost, s));
    T(cudaStreamSynchronize(s));
    for (int i = 0; i < 6; i++)
        T_INT("out", out[i]);
    /* A second capture into it. */
    T(cudaStreamBeginCaptureToGraph(s, g, NULL, NULL, 0, cudaStreamCaptureModeGlobal));
    fill(s, 5);
    T(cudaStreamEndCapture(s, &in));
    show(g);
    /* A graph cannot be launched into a capture. */
    T(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    T(cudaGraphLaunch(x, s));
    fill(s, 6);
    in = NULL;
    T(cudaStreamEndCapture(s, &in));
    T_BOOL("graph", in != NULL);
    cudaGetLastError();
    T(cudaStreamBeginCaptureToGraph(s, g, NULL, NULL, 0, cudaStreamCaptureModeGlobal));
    fill(s, 7);
    T(cudaStreamSynchronize(s));
    T(cudaStreamEndCapture(s, &in));
    T(cudaGraphGetNodes(g, NULL, &count));
    T_INT("nodes", count);
    T(cudaGraphDestroy(g));
    T(cudaGetLastError());
    return 0;
}
