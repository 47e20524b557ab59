/* SPDX-License-Identifier: MIT */
/* covers: cuStreamBeginCapture cuStreamBeginCapture_v2 cuStreamBeginCaptureToGraph
 * cuStreamEndCapture cuStreamGetCaptureInfo cuStreamGetCaptureInfo_v2 cuStreamGetCaptureInfo_v3
 * cuStreamIsCapturing cuStreamUpdateCaptureDependencies cuStreamUpdateCaptureDependencies_v2
 * cuThreadExchangeStreamCaptureMode */
/* Capture through the driver API, with the names of now and those of older headers. */
#include "kernels.h"

#define OLD(name) __asm__(#name)
CUresult begin_1(CUstream) OLD(cuStreamBeginCapture);
CUresult info_1(CUstream, CUstreamCaptureStatus *, cuuint64_t *) OLD(cuStreamGetCaptureInfo);
CUresult info_2(CUstream, CUstreamCaptureStatus *, cuuint64_t *, CUgraph *, const CUgraphNode **,
                size_t *) OLD(cuStreamGetCaptureInfo_v2);
CUresult update_1(CUstream, CUgraphNode *, size_t, unsigned) OLD(cuStreamUpdateCaptureDependencies);

static CUstream s;
static CUdeviceptr d;

static void ask(void)
{
    CUstreamCaptureStatus st = (CUstreamCaptureStatus)9;
    const CUgraphNode *deps = NULL;
    const CUgraphEdgeData *data = NULL;
    cuuint64_t id = 0;
    CUgraph g = NULL;
    size_t n = 99;

    T(cuStreamIsCapturing(s, &st));
    T_INT("status", st);
    T(info_1(s, &st, &id));
    T_INT("status", st);
    T_BOOL("id", id != 0);
    id = 0;
    T(info_2(s, &st, &id, &g, &deps, &n));
    T_BOOL("id", id != 0);
    T_BOOL("graph", g != NULL);
    T_INT("n", n);
    n = 99;
    T(cuStreamGetCaptureInfo(s, &st, &id, &g, &deps, &data, &n));
    T_INT("n", n);
}

static void finish(CUgraph *out)
{
    CUgraphExec x;
    uint8_t v[16];
    size_t n = 0;

    *out = NULL;
    T(cuStreamEndCapture(s, out));
    T_BOOL("graph", *out != NULL);
    if (!*out)
        return;
    T(cuGraphGetNodes(*out, NULL, &n));
    T_INT("nodes", n);
    T(cuGraphInstantiate(&x, *out, 0));
    T(cuGraphLaunch(x, s));
    T(cuStreamSynchronize(s));
    T(cuMemcpyDtoH(v, d, 16));
    T_DIGEST("memory", v, 16);
    T(cuGraphExecDestroy(x));
}

int main(void)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUgraphNode n, deps[1];
    CUgraph g;

    T_OK(cudaMalloc((void **)&d, 16));
    T_OK(cudaMemset((void *)d, 0, 16));
    T_OK(cudaDeviceSynchronize());
    T_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    puts("not capturing");
    ask();
    T(cuStreamEndCapture(s, &g));
    puts("the first form");
    T(begin_1(s));
    T(begin_1(s));
    ask();
    T(cuMemsetD8Async(d, 1, 16, s));
    ask();
    finish(&g);
    T(cuGraphDestroy(g));
    puts("with a mode");
    T(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    T(cuMemsetD8Async(d, 2, 8, s));
    T(cuMemsetD8Async(d + 8, 3, 8, s));
    T(update_1(s, NULL, 0, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
    ask();
    T(cuMemsetD8Async(d, 4, 1, s));
    T(cuStreamUpdateCaptureDependencies(s, NULL, NULL, 0, CU_STREAM_ADD_CAPTURE_DEPENDENCIES));
    T(update_1(s, NULL, 1, CU_STREAM_ADD_CAPTURE_DEPENDENCIES));
    T(update_1(s, NULL, 0, 7));
    T(cuStreamEndCapture(s, &g));
    T_BOOL("graph", g != NULL);
    if (g)
        T(cuGraphDestroy(g));
    puts("a mode that is none");
    T(cuStreamBeginCapture(s, (CUstreamCaptureMode)7));
    puts("to a graph");
    T(cuGraphCreate(&g, 0));
    T(cuGraphAddEmptyNode(&n, g, NULL, 0));
    deps[0] = n;
    T(cuStreamBeginCaptureToGraph(s, g, deps, NULL, 1, CU_STREAM_CAPTURE_MODE_GLOBAL));
    T(cuMemsetD8Async(d, 6, 16, s));
    ask();
    finish(&g);
    T(cuGraphDestroy(g));
    puts("modes of threads");
    T(cuThreadExchangeStreamCaptureMode(&mode));
    T_INT("mode", mode);
    T(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    T(cuThreadExchangeStreamCaptureMode(&mode));
    T_INT("mode", mode);
    T(cuStreamEndCapture(s, &g));
    T(cuStreamEndCapture(s, NULL));
    return 0;
}
