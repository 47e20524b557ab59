/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamBeginCapture cudaStreamEndCapture cudaStreamIsCapturing
 * cudaStreamGetCaptureInfo */
/* Capturing a stream: nothing runs, what was captured runs at each launch. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

#define N 128

extern const unsigned char kernels_image[];
static int calls;

static void note(void *arg)
{
    calls++;
}

static void status_of(cudaStream_t s)
{
    enum cudaStreamCaptureStatus st = (enum cudaStreamCaptureStatus)9;
    unsigned long long id = 0;
    cudaGraph_t g = NULL;
    const cudaGraphNode_t *deps = NULL;
    size_t n = 99;

    T(cudaStreamIsCapturing(s, &st));
    T_INT("status", st);
    T(cudaStreamGetCaptureInfo(s, &st, &id, &g, &deps, NULL, &n));
    T_INT("status", st);
    if (st == cudaStreamCaptureStatusActive) {
        T_BOOL("id", id != 0);
        T_BOOL("graph", g != NULL);
        T_INT("dependencies", n);
        T_BOOL("nodes", !n || deps[0] != NULL);
    }
}

int main(void)
{
    CUmodule m;
    CUfunction f;
    cudaGraph_t g = NULL;
    cudaGraphNode_t v[16];
    cudaGraphExec_t x;
    cudaStream_t s;
    int *d, *pinned, host[N], a = 3, n = N;
    void *args[] = {&d, &a, &n};
    size_t count = 16;

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMalloc((void **)&d, sizeof(host)));
    T_OK(cudaMallocHost((void **)&pinned, sizeof(host)));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&f, m, "add_int"));
    T_OK(cudaMemset(d, 0, sizeof(host)));
    for (int i = 0; i < N; i++)
        pinned[i] = i;
    status_of(s);
    T_OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    status_of(s);
    T(cudaMemsetAsync(d, 0, sizeof(host), s));
    T(cudaMemcpyAsync(d, pinned, sizeof(host), cudaMemcpyHostToDevice, s));
    T(cuLaunchKernel(f, 1, 1, 1, N, 1, 1, 0, (CUstream)s, args, NULL));
    a = 50;
    T(cuLaunchKernel(f, 1, 1, 1, N, 1, 1, 0, (CUstream)s, args, NULL));
    T(cudaLaunchHostFunc(s, note, NULL));
    T(cudaMemcpyAsync(host, d, sizeof(host), cudaMemcpyDeviceToHost, s));
    T(cudaMemcpyAsync(pinned, d, 16, cudaMemcpyDefault, s));
    status_of(s);
    T(cudaStreamEndCapture(s, &g));
    status_of(s);
    T_INT("calls", calls);
    T(cudaGraphGetNodes(g, v, &count));
    T_INT("nodes", count);
    for (size_t i = 0; i < count; i++) {
        enum cudaGraphNodeType type;
        size_t deps = 0;

        T(cudaGraphNodeGetType(v[i], &type));
        T_INT("type", type);
        T(cudaGraphNodeGetDependencies(v[i], NULL, NULL, &deps));
        T_INT("dependencies", deps);
    }
    T_OK(cudaGraphInstantiate(&x, g, 0));
    for (int i = 0; i < 2; i++) {
        memset(host, 0, sizeof(host));
        T(cudaGraphLaunch(x, s));
        T(cudaStreamSynchronize(s));
        T_INT("calls", calls);
        T_INT("host[0]", host[0]);
        T_INT("host[127]", host[N - 1]);
        T_INT("pinned[0]", pinned[0]);
    }
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(g));
    /* Nothing captured. */
    T(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed));
    T(cudaStreamEndCapture(s, &g));
    T(cudaGraphGetNodes(g, NULL, &count));
    T_INT("nodes", count);
    T(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    /* Wrong uses. */
    T(cudaStreamBeginCapture(NULL, cudaStreamCaptureModeGlobal));
    T(cudaStreamBeginCapture(cudaStreamLegacy, cudaStreamCaptureModeGlobal));
    T(cudaStreamBeginCapture(s, (enum cudaStreamCaptureMode)7));
    T(cudaStreamEndCapture(s, &g));
    T(cudaStreamEndCapture(NULL, &g));
    T(cudaStreamIsCapturing(s, NULL));
    T(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    T(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    T(cudaStreamEndCapture(s, NULL));
    T(cudaStreamEndCapture(s, &g));
    T(cudaStreamBeginCapture(cudaStreamPerThread, cudaStreamCaptureModeGlobal));
    T(cudaMemsetAsync(d, 1, 16, cudaStreamPerThread));
    status_of(cudaStreamPerThread);
    T(cudaStreamEndCapture(cudaStreamPerThread, &g));
    T(cudaGetLastError());
    return 0;
}
