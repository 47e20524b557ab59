/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceRegisterAsyncNotification cudaDeviceUnregisterAsyncNotification
 * cuDeviceRegisterAsyncNotification cuDeviceUnregisterAsyncNotification
 * cudaDeviceFlushGPUDirectRDMAWrites cuFlushGPUDirectRDMAWrites cudaProfilerStart cudaProfilerStop
 * cuProfilerStart cuProfilerStop */
/* Notifications that never come, flushes and profiler control. */
#include <cuda.h>
#include <cudaProfiler.h>
#include <cuda_profiler_api.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

static void told(cudaAsyncNotificationInfo_t *info, void *arg, cudaAsyncCallbackHandle_t h)
{
}

static void told_driver(CUasyncNotificationInfo *info, void *arg, CUasyncCallbackHandle h)
{
}

int main(void)
{
    cudaAsyncCallbackHandle_t h = NULL;
    CUasyncCallbackHandle d = NULL;

    T_OK(cudaFree(0));
    T(cudaDeviceRegisterAsyncNotification(0, told, NULL, &h));
    T_BOOL("handle", h != NULL);
    T(cudaDeviceRegisterAsyncNotification(1000, told, NULL, &h));
    T(cudaDeviceRegisterAsyncNotification(0, NULL, NULL, &h));
    T(cudaDeviceUnregisterAsyncNotification(0, h));
    T(cuDeviceRegisterAsyncNotification(0, told_driver, NULL, &d));
    T(cuDeviceUnregisterAsyncNotification(0, d));
    T(cudaDeviceFlushGPUDirectRDMAWrites(cudaFlushGPUDirectRDMAWritesTargetCurrentDevice,
                                         cudaFlushGPUDirectRDMAWritesToOwner));
    T(cudaDeviceFlushGPUDirectRDMAWrites(7, cudaFlushGPUDirectRDMAWritesToOwner));
    T(cuFlushGPUDirectRDMAWrites(CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TARGET_CURRENT_CTX,
                                 CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_ALL_DEVICES));
    T(cudaProfilerStart());
    T(cudaProfilerStop());
    T(cudaProfilerStop());
    T(cuProfilerStart());
    T(cuProfilerStart());
    T(cuProfilerStop());
    T(cudaGetLastError());
    return 0;
}
