/* SPDX-License-Identifier: MIT */
/* covers: cuInit */
/* The driver before cuInit, and after it without a context. */
#include <cuda.h>

#include "transcript.h"

extern const unsigned char kernels_image[];

static void all(void)
{
    CUcontext c = NULL;
    CUdeviceptr p = 0;
    CUmemorytype type;
    CUfunction f;
    CUstream s;
    CUmodule m;
    CUdevice d;
    CUevent e;
    CUuuid id;
    size_t n, k;
    char name[9];
    void *h;
    int v;
    unsigned u;

    T(cuDriverGetVersion(&v));
    T(cuDeviceGetCount(&v));
    T(cuDeviceGetCount(NULL));
    T(cuDeviceGet(&d, 0));
    T(cuDeviceGet(&d, 1000));
    T(cuDeviceGetName(name, 9, 0));
    T(cuDeviceGetUuid(&id, 0));
    T(cuDeviceTotalMem(&n, 0));
    T(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
    T(cuDeviceGetAttribute(&v, (CUdevice_attribute)-1, 0));
    T(cuDevicePrimaryCtxGetState(0, &u, &v));
    T(cuCtxGetCurrent(&c));
    T(cuCtxSetCurrent(NULL));
    T(cuCtxPopCurrent(&c));
    T(cuCtxGetDevice(&d));
    T(cuCtxSynchronize());
    T(cuCtxGetLimit(&n, CU_LIMIT_STACK_SIZE));
    T(cuCtxGetStreamPriorityRange(&v, &v));
    T(cuMemAlloc(&p, 16));
    T(cuMemFree(0));
    T(cuMemGetInfo(&n, &k));
    T(cuMemAllocHost(&h, 16));
    T(cuMemHostAlloc(&h, 16, 0));
    T(cuMemFreeHost(NULL));
    T(cuMemsetD8(p, 0, 16));
    T(cuMemcpyDtoH(&v, p, 4));
    T(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
    T(cuModuleLoadData(&m, kernels_image));
    T(cuModuleLoadData(&m, NULL));
    T(cuModuleGetFunction(&f, NULL, "empty"));
    T(cuLaunchKernel(NULL, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    T(cuStreamCreate(&s, 0));
    T(cuStreamQuery(NULL));
    T(cuStreamSynchronize(NULL));
    T(cuEventCreate(&e, 0));
    T(cuEventRecord(NULL, NULL));
    T(cuProfilerStart());
}

int main(void)
{
    all();
    T(cuInit(1));
    T(cuInit(0));
    T(cuInit(0));
    all();
    return 0;
}
