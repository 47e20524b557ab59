/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamBeginCapture cudaStreamEndCapture cudaEventRecord cudaStreamWaitEvent
 * cudaEventRecordWithFlags */
/* Captures over several streams: joined by events, not joined, mixed up. */
#include <cuda_runtime_api.h>

#include "transcript.h"

static cudaStream_t a, b, c;
static cudaEvent_t e, f, h, plain;
static unsigned char *d;

static void fill(cudaStream_t s, int v)
{
    T(cudaMemsetAsync(d + v, v, 1, s));
}

static void show(cudaGraph_t g)
{
    cudaGraphNode_t v[16], from[32], to[32];
    size_t n = 16, edges = 32;

    if (!g)
        return;
    T(cudaGraphGetNodes(g, v, &n));
    T_INT("nodes", n);
    T(cudaGraphGetEdges(g, from, to, NULL, &edges));
    T_INT("edges", edges);
    for (size_t i = 0; i < n; i++) {
        enum cudaGraphNodeType t;
        size_t deps = 0;

        cudaGraphNodeGetType(v[i], &t);
        cudaGraphNodeGetDependencies(v[i], NULL, NULL, &deps);
        printf("node type %d after %d\n", (int)t, (int)deps);
    }
}

static void finish(cudaStream_t s)
{
    cudaGraph_t g = NULL;

    T(cudaStreamEndCapture(s, &g));
    show(g);
    if (g)
        T(cudaGraphDestroy(g));
    cudaGetLastError();
}

int main(void)
{
    enum cudaStreamCaptureStatus st;
    cudaGraph_t g;
    cudaGraphExec_t x;
    unsigned char out[8];

    T_OK(cudaStreamCreate(&a));
    T_OK(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    T_OK(cudaStreamCreate(&c));
    T_OK(cudaEventCreate(&e));
    T_OK(cudaEventCreateWithFlags(&f, cudaEventDisableTiming));
    T_OK(cudaEventCreateWithFlags(&h, cudaEventDisableTiming));
    T_OK(cudaEventCreate(&plain));
    T_OK(cudaMalloc((void **)&d, 64));
    T_OK(cudaMemset(d, 0, 64));
    T_OK(cudaEventRecord(plain, b));
    T_OK(cudaDeviceSynchronize());

    /* A fork and a join. */
    T_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    fill(a, 1);
    T(cudaEventRecord(e, a));
    T(cudaStreamWaitEvent(b, e, 0));
    T(cudaStreamIsCapturing(b, &st));
    T_INT("b", st);
    fill(b, 2);
    fill(a, 3);
    T(cudaEventRecord(f, b));
    T(cudaStreamWaitEvent(a, f, 0));
    fill(a, 4);
    T(cudaStreamEndCapture(b, &g));
    T(cudaStreamIsCapturing(a, &st));
    T_INT("a", st);
    finish(a);
    T_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    fill(a, 1);
    T(cudaEventRecord(e, a));
    T(cudaStreamWaitEvent(b, e, 0));
    fill(b, 2);
    T(cudaEventRecord(f, b));
    fill(a, 3);
    T(cudaStreamWaitEvent(a, f, 0));
    fill(a, 4);
    T(cudaStreamEndCapture(a, &g));
    show(g);
    T(cudaStreamIsCapturing(b, &st));
    T_INT("b", st);
    T(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphLaunch(x, c));
    T(cudaMemcpyAsync(out, d, 8, cudaMemcpyDeviceToHost, c));
    T(cudaStreamSynchronize(c));
    for (int i = 0; i < 8; i++)
        T_INT("out", out[i]);
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(g));

    /* Never joined. */
    T_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    fill(a, 1);
    T(cudaEventRecord(e, a));
    T(cudaStreamWaitEvent(b, e, 0));
    fill(b, 2);
    finish(a);
    T(cudaStreamIsCapturing(b, &st));
    T_INT("b", st);

    /* Joined without work of its own. */
    T_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    fill(a, 1);
    T(cudaEventRecord(e, a));
    T(cudaStreamWaitEvent(b, e, 0));
    finish(a);

    /* Two captures meet. */
    T_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    T_OK(cudaStreamBeginCapture(c, cudaStreamCaptureModeThreadLocal));
    fill(a, 1);
    fill(c, 2);
    T(cudaEventRecord(e, a));
    T(cudaStreamWaitEvent(c, e, 0));
    T(cudaStreamIsCapturing(a, &st));
    T_INT("a", st);
    T(cudaStreamIsCapturing(c, &st));
    T_INT("c", st);
    finish(c);
    finish(a);

    /* An event from outside; one from before that capture; an external one. */
    T_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    T(cudaStreamWaitEvent(a, plain, 0));
    finish(a);
    T_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    T(cudaStreamWaitEvent(a, h, 0));
    finish(a);
    T_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    T(cudaStreamWaitEvent(a, plain, cudaEventWaitExternal));
    fill(a, 5);
    T(cudaEventRecordWithFlags(h, a, cudaEventRecordExternal));
    T(cudaEventQuery(h));
    finish(a);
    T(cudaEventRecordWithFlags(h, b, cudaEventRecordExternal));
    T(cudaStreamWaitEvent(b, h, cudaEventWaitExternal));
    T(cudaStreamWaitEvent(b, h, 7));
    T(cudaStreamSynchronize(b));

    /* An event of a capture that has ended. */
    T_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    fill(a, 1);
    T(cudaEventRecord(e, a));
    finish(a);
    T(cudaEventQuery(e));
    T(cudaEventSynchronize(e));
    T(cudaStreamWaitEvent(b, e, 0));
    T(cudaStreamIsCapturing(b, &st));
    T_INT("b", st);
    T(cudaStreamSynchronize(b));
    T(cudaEventRecord(e, b));
    T(cudaEventSynchronize(e));
    T(cudaEventQuery(e));
    T(cudaGetLastError());
    return 0;
}
