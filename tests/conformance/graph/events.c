/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphAddEventRecordNode cudaGraphAddEventWaitNode cudaGraphEventRecordNodeGetEvent
 * cudaGraphEventRecordNodeSetEvent cudaGraphEventWaitNodeGetEvent cudaGraphEventWaitNodeSetEvent
 * cudaGraphExecEventRecordNodeSetEvent cudaGraphExecEventWaitNodeSetEvent */
/* Event nodes: the world outside the graph waits for its records, and it for theirs. */
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    cudaGraph_t g;
    cudaGraphNode_t wait, set, rec, bad;
    cudaGraphExec_t x;
    cudaStream_t s, t;
    cudaEvent_t before, after, other, got;
    struct cudaMemsetParams mp = {0};
    unsigned char *d, h = 0;
    float ms = -1;

    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T_OK(cudaStreamCreateWithFlags(&t, cudaStreamNonBlocking));
    T_OK(cudaEventCreate(&before));
    T_OK(cudaEventCreate(&after));
    T_OK(cudaEventCreate(&other));
    T_OK(cudaMalloc((void **)&d, 1 << 20));
    T_OK(cudaGraphCreate(&g, 0));
    mp.dst = d;
    mp.elementSize = 1;
    mp.width = 1 << 20;
    mp.height = 1;
    mp.value = 3;
    T(cudaGraphAddEventWaitNode(&wait, g, NULL, 0, before));
    T(cudaGraphAddMemsetNode(&set, g, &wait, 1, &mp));
    T(cudaGraphAddEventRecordNode(&rec, g, &set, 1, after));
    T(cudaGraphEventRecordNodeGetEvent(rec, &got));
    T_BOOL("event", got == after);
    T(cudaGraphEventWaitNodeGetEvent(wait, &got));
    T_BOOL("event", got == before);
    T(cudaGraphEventRecordNodeGetEvent(wait, &got));
    T(cudaGraphAddEventRecordNode(&bad, g, NULL, 0, NULL));
    T(cudaGraphAddEventWaitNode(&bad, g, NULL, 0, NULL));
    T(cudaGraphInstantiate(&x, g, 0));
    T(cudaEventQuery(after));
    T(cudaMemsetAsync(d, 1, 1 << 20, t));
    T(cudaEventRecord(before, t));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamWaitEvent(t, after, 0));
    T(cudaMemcpyAsync(&h, d + 77, 1, cudaMemcpyDeviceToHost, t));
    T(cudaStreamSynchronize(t));
    T_INT("h", h);
    T(cudaEventSynchronize(after));
    T(cudaEventQuery(after));
    T(cudaEventElapsedTime(&ms, before, after));
    T_BOOL("not negative", ms >= 0);
    T(cudaGraphExecEventRecordNodeSetEvent(x, rec, other));
    T(cudaGraphLaunch(x, s));
    T(cudaEventSynchronize(other));
    T(cudaEventElapsedTime(&ms, after, other));
    T_BOOL("later", ms >= 0);
    T(cudaGraphExecEventWaitNodeSetEvent(x, wait, other));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T(cudaGraphExecEventWaitNodeSetEvent(x, rec, other));
    T(cudaGraphEventRecordNodeSetEvent(rec, before));
    T(cudaGraphEventWaitNodeSetEvent(wait, before));
    T(cudaGraphEventRecordNodeGetEvent(rec, &got));
    T_BOOL("event", got == before);
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(g));
    return 0;
}
