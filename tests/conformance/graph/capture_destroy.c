/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamDestroy cudaStreamEndCapture cudaStreamWaitEvent */
/* Streams that are destroyed while they take part in a capture. */
#include "kernels.h"

static cudaStream_t a, b;
static cudaEvent_t e;
static cudaGraph_t g;
static int *p;

static void begin(void)
{
    CUfunction add = t_kernel("add_int");
    int v = 1, n = 8;
    void *args[] = {&p, &v, &n};

    T_OK(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
    T_OK(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    T(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    T(cuLaunchKernel(add, 1, 1, 1, 8, 1, 1, 0, a, args, NULL));
    T(cudaEventRecord(e, a));
    T(cudaStreamWaitEvent(b, e, 0));
    T(cuLaunchKernel(add, 1, 1, 1, 8, 1, 1, 0, b, args, NULL));
}

static void end(void)
{
    enum cudaStreamCaptureStatus st = (enum cudaStreamCaptureStatus)9;

    T(cudaStreamIsCapturing(a, &st));
    T_INT("status", st);
    g = NULL;
    T(cudaStreamEndCapture(a, &g));
    T_BOOL("graph", g != NULL);
}

int main(void)
{
    cudaGraphExec_t x;
    int v[8];
    size_t n = 0;

    T_OK(cudaMalloc((void **)&p, sizeof(v)));
    T_OK(cudaMemset(p, 0, sizeof(v)));
    T_OK(cudaDeviceSynchronize());
    T_OK(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
    t_kernel("add_int");
    puts("joined again");
    begin();
    T(cudaEventRecord(e, b));
    T(cudaStreamWaitEvent(a, e, 0));
    T(cudaStreamDestroy(b));
    end();
    T(cudaGraphGetNodes(g, NULL, &n));
    T_INT("nodes", n);
    T(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphLaunch(x, a));
    T(cudaStreamSynchronize(a));
    T(cudaMemcpy(v, p, sizeof(v), cudaMemcpyDeviceToHost));
    T_INT("v[7]", v[7]);
    T(cudaStreamDestroy(a));

    puts("not joined");
    begin();
    T(cudaStreamDestroy(b));
    end();
    T(cudaStreamDestroy(a));

    puts("the event destroyed");
    begin();
    T(cudaEventRecord(e, b));
    T(cudaEventDestroy(e));
    T(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
    end();
    T(cudaStreamDestroy(b));
    T(cudaStreamDestroy(a));

    puts("the first one");
    begin();
    T(cudaEventRecord(e, b));
    T(cudaStreamWaitEvent(a, e, 0));
    T(cudaStreamDestroy(a));
    T(cudaStreamSynchronize(b));
    T(cudaStreamDestroy(b));
    T(cudaStreamCreate(&a));
    T(cudaStreamSynchronize(a));
    return 0;
}
