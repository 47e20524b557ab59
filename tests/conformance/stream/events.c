/* SPDX-License-Identifier: MIT */
/* covers: cudaEventCreate cudaEventCreateWithFlags cudaEventRecord cudaEventRecordWithFlags
 * cudaEventQuery cudaEventSynchronize cudaEventElapsedTime cudaStreamWaitEvent cuEventCreate
 * cuEventRecordWithFlags cuEventElapsedTime_v2 cuStreamWaitEvent cuEventDestroy_v2 */
/* Events: flags, order of use, elapsed time and its errors. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

extern const unsigned char kernels_image[];

int main(void)
{
    cudaEvent_t a, b, quiet, never;
    unsigned rounds = 30000;
    cudaStream_t s, u;
    CUfunction busy;
    CUmodule m;
    CUevent e;
    void *d, *args[] = {&d, &rounds};
    float ms = -7;

    T_OK(cudaMalloc(&d, 4096));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&busy, m, "busy"));
    T_OK(cudaStreamCreate(&s));
    T_OK(cudaStreamCreateWithFlags(&u, cudaStreamNonBlocking));
    for (unsigned f = 0; f <= 9; f++) {
        printf("flags %u\n", f);
        if (T(cudaEventCreateWithFlags(&a, f)) == 0)
            T(cudaEventDestroy(a));
        if (T(cuEventCreate(&e, f)) == 0)
            T(cuEventDestroy(e));
    }
    T(cudaEventCreate(NULL));
    T_OK(cudaEventCreate(&a));
    T_OK(cudaEventCreateWithFlags(&b, cudaEventBlockingSync));
    T_OK(cudaEventCreateWithFlags(&quiet, cudaEventDisableTiming));
    T_OK(cudaEventCreate(&never));
    T(cudaEventQuery(a)); /* nothing recorded: complete */
    T(cudaEventSynchronize(a));
    T(cudaStreamWaitEvent(s, a, 0));
    T(cudaEventElapsedTime(&ms, a, b));
    T(cudaEventRecord(a, s));
    T(cuLaunchKernel(busy, 1, 1, 1, 64, 1, 1, 0, (CUstream)s, args, NULL));
    T(cudaEventRecord(b, s));
    T(cudaEventRecord(quiet, s));
    T(cudaStreamWaitEvent(u, b, 0));
    T(cudaStreamWaitEvent(u, b, 1));
    T(cudaStreamWaitEvent(u, b, 2));
    T(cudaEventSynchronize(b));
    T(cudaEventQuery(a));
    T(cudaEventElapsedTime(&ms, a, b));
    T_BOOL("positive", ms > 0 && ms < 10000);
    T(cudaEventElapsedTime(&ms, b, a));
    T_BOOL("negative", ms < 0 && ms > -10000);
    T(cudaEventElapsedTime(&ms, a, a));
    T_BOOL("zero", ms == 0);
    T(cudaEventElapsedTime(&ms, a, never));
    T(cudaEventElapsedTime(&ms, never, never));
    T(cudaEventElapsedTime(&ms, a, quiet));
    T(cudaEventElapsedTime(NULL, a, b));
    T(cudaEventElapsedTime(&ms, NULL, b));
    T(cuEventElapsedTime(&ms, (CUevent)a, (CUevent)b));
    T(cuEventElapsedTime(&ms, (CUevent)a, (CUevent)never));
    T(cuEventElapsedTime(&ms, NULL, (CUevent)b));
    T(cudaEventRecordWithFlags(a, s, cudaEventRecordDefault));
    T(cudaEventRecordWithFlags(a, s, cudaEventRecordExternal));
    T(cudaEventRecordWithFlags(a, s, 2));
    T(cuEventRecordWithFlags((CUevent)a, (CUstream)s, 1));
    T(cuEventRecordWithFlags((CUevent)a, (CUstream)s, 4));
    T(cuStreamWaitEvent((CUstream)s, (CUevent)a, 7));
    T(cudaEventRecord(a, 0));
    T(cudaEventRecord(a, cudaStreamLegacy));
    T(cudaEventRecord(a, cudaStreamPerThread));
    T(cudaEventSynchronize(a));
    T(cudaDeviceSynchronize());
    T(cudaGetLastError());
    T(cudaEventDestroy(a));
    T(cudaEventDestroy(b));
    return 0;
}
