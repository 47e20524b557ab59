/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceGetLimit cudaDeviceSetLimit cuCtxGetLimit cuCtxSetLimit
 * cudaCtxResetPersistingL2Cache cuCtxResetPersistingL2Cache */
/* Every limit: its value, a new one, and what is told afterwards. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    size_t v, w;

    T_OK(cudaFree(0));
    for (int i = -1; i <= CU_LIMIT_MAX + 1; i++) {
        v = w = 99;
        printf("limit %d\n", i);
        T(cudaDeviceGetLimit(&v, (enum cudaLimit)i));
        T(cuCtxGetLimit(&w, (CUlimit)i));
        T_DEVICE("value", v);
        T_BOOL("same", v == w);
    }
    T(cudaDeviceGetLimit(NULL, cudaLimitStackSize));
    T(cuCtxGetLimit(NULL, CU_LIMIT_STACK_SIZE));
    T(cudaDeviceSetLimit(cudaLimitStackSize, 5000));
    T(cudaDeviceGetLimit(&v, cudaLimitStackSize));
    T_INT("stack", v);
    T(cudaDeviceSetLimit(cudaLimitStackSize, 0));
    T(cudaDeviceGetLimit(&v, cudaLimitStackSize));
    T_INT("stack", v);
    T(cudaDeviceSetLimit(cudaLimitStackSize, (size_t)1 << 40));
    T(cudaDeviceSetLimit(cudaLimitPrintfFifoSize, 100000));
    T(cudaDeviceGetLimit(&v, cudaLimitPrintfFifoSize));
    T_INT("fifo", v);
    T(cudaDeviceSetLimit(cudaLimitMallocHeapSize, 16 << 20));
    T(cudaDeviceGetLimit(&v, cudaLimitMallocHeapSize));
    T_INT("heap", v);
    T(cudaDeviceSetLimit(cudaLimitDevRuntimeSyncDepth, 3));
    T(cudaDeviceSetLimit(cudaLimitDevRuntimePendingLaunchCount, 4096));
    T(cudaDeviceGetLimit(&v, cudaLimitDevRuntimePendingLaunchCount));
    T_DEVICE("pending", v);
    T(cudaDeviceSetLimit(cudaLimitMaxL2FetchGranularity, 64));
    T(cudaDeviceGetLimit(&v, cudaLimitMaxL2FetchGranularity));
    T_DEVICE("fetch", v);
    T(cudaDeviceSetLimit(cudaLimitMaxL2FetchGranularity, 1000));
    T(cudaDeviceSetLimit(cudaLimitPersistingL2CacheSize, 0));
    T(cudaDeviceGetLimit(&v, cudaLimitPersistingL2CacheSize));
    T_DEVICE("persisting", v);
    T(cuCtxSetLimit(CU_LIMIT_SHMEM_SIZE, 4));
    T(cuCtxSetLimit(CU_LIMIT_CIG_ENABLED, 1));
    T(cuCtxSetLimit((CUlimit)77, 1));
    T(cudaDeviceSetLimit((enum cudaLimit)77, 1));
    T(cudaCtxResetPersistingL2Cache());
    T(cuCtxResetPersistingL2Cache());
    T(cudaGetLastError());
    T(cudaDeviceReset());
    T(cudaDeviceGetLimit(&v, cudaLimitStackSize));
    T_DEVICE("stack after reset", v);
    return 0;
}
