/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpyAsync_ptsz cudaMemsetAsync_ptsz cudaStreamSynchronize_ptsz
 * cudaEventRecord_ptsz cudaStreamQuery_ptsz __cudaLaunchKernel_ptsz cudaMemcpy_ptds
 * cudaMemset_ptds cudaStreamWaitEvent_ptsz cudaStreamGetFlags_ptsz cudaStreamGetPriority_ptsz
 * cudaStreamGetId_ptsz cudaStreamGetDevice_ptsz cudaLaunchKernel_ptsz
 * cudaGetDriverEntryPointByVersion_ptsz cudaEventRecordWithFlags_ptsz */
/* Built with -default-stream per-thread: stream 0 is each thread's own. */
#include <cuda.h>
#include <pthread.h>

#include "transcript.h"

__global__ void wait_for(volatile int *flag)
{
    while (*flag == 0)
        ;
}

__global__ void add(int *p, int v)
{
    p[threadIdx.x] += v;
}

static volatile int *flag;

static void *other(void *arg)
{
    int *p, out[32] = {0}, v = 5;
    unsigned long long id0 = 0, id2 = 1;
    unsigned flags = 77;
    cudaEvent_t e;
    void *fn, *args[] = {&p, &v};

    T_OK(cudaMalloc((void **)&p, sizeof(out)));
    T(cudaMemsetAsync(p, 0, sizeof(out), 0));
    add<<<1, 32>>>(p, 3);
    T(cudaGetLastError());
    T(cudaLaunchKernel((void *)add, 1, 32, args, 0, 0));
    T_OK(cudaEventCreate(&e));
    T(cudaEventRecord(e, 0));
    T(cudaEventRecordWithFlags(e, 0, 0));
    T(cudaStreamWaitEvent(0, e, 0));
    T(cudaStreamSynchronize(0)); /* the other thread's kernel still runs */
    T(cudaStreamQuery(cudaStreamLegacy));
    *flag = 1;
    T(cudaMemcpyAsync(out, p, sizeof(out), cudaMemcpyDeviceToHost, 0));
    T(cudaStreamSynchronize(0));
    T_INT("sum", out[31]);
    T(cudaMemset(p, 1, 4));
    T(cudaMemcpy(out, p, 4, cudaMemcpyDeviceToHost));
    T_HEX("word", out[0]);
    T(cudaStreamQuery(0));
    T(cudaEventQuery(e));
    T(cudaStreamGetFlags(0, &flags));
    T_INT("flags", flags);
    T(cudaStreamGetPriority(0, &v));
    T_INT("priority", v);
    T(cudaStreamGetDevice(0, &v));
    T(cudaStreamGetId(0, &id0));
    T(cudaStreamGetId(cudaStreamPerThread, &id2));
    T_BOOL("per-thread", id0 == id2);
    T(cudaStreamGetId(cudaStreamLegacy, &id2));
    T_BOOL("not legacy", id0 != id2);
    T(cudaGetDriverEntryPointByVersion("cuStreamSynchronize", &fn, 12000, 0, NULL));
    T_BOOL("twin", fn == (void *)cuStreamSynchronize);
    T(cudaGetDriverEntryPointByVersion("cuStreamSynchronize", &fn, 12000, cudaEnableLegacyStream,
                                       NULL));
    T_BOOL("legacy", fn != (void *)cuStreamSynchronize);
    return NULL;
}

int main(void)
{
    pthread_t t;
    int *p;

    T_OK(cudaHostAlloc((void **)&flag, 4096, cudaHostAllocMapped));
    *flag = 0;
    T_OK(cudaMalloc((void **)&p, 128));
    add<<<1, 32>>>(p, 3);
    T_OK(cudaDeviceSynchronize());
    wait_for<<<1, 1>>>(flag);
    T(cudaGetLastError());
    T(cudaStreamQuery(0));
    pthread_create(&t, NULL, other, NULL);
    pthread_join(t, NULL);
    T(cudaStreamSynchronize(0));
    T(cudaStreamQuery(0));
    T(cudaDeviceSynchronize());
    return 0;
}
