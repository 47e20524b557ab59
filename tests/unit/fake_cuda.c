/* SPDX-License-Identifier: MIT */
#include "tests/unit/fake_cuda.h"

#include <cuda.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fake fake;

int fake_call(const char *name)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    size_t at;
    int rc;

    /* The device has threads of its own. */
    pthread_mutex_lock(&lock);
    at = strlen(fake.calls);
    snprintf(fake.calls + at, sizeof(fake.calls) - at, "%s ", name);
    rc = fake.fail && !strcmp(fake.fail, name) ? fake.error : 0;
    pthread_mutex_unlock(&lock);
    return rc;
}

#define CALL(name)                                                                                 \
    do {                                                                                           \
        int rc_ = fake_call(#name);                                                                \
        if (rc_)                                                                                   \
            return (CUresult)rc_;                                                                  \
    } while (0)

CUresult cuDeviceGetCount(int *n)
{
    CALL(cuDeviceGetCount);
    *n = 2;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *dev, int i)
{
    CALL(cuDeviceGet);
    *dev = i;
    return i < 2 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetUuid_v2(CUuuid *u, CUdevice dev)
{
    CALL(cuDeviceGetUuid_v2);
    memset(u->bytes, 0xa0 + dev, sizeof(u->bytes));
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *n, CUdevice dev)
{
    CALL(cuDeviceTotalMem_v2);
    *n = FAKE_MEM;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice dev, unsigned flags)
{
    CALL(cuDevicePrimaryCtxSetFlags_v2);
    fake.flags = flags;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice dev)
{
    CALL(cuDevicePrimaryCtxRetain);
    fake.device = dev;
    *ctx = (CUcontext)&fake;
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult err, const char **name)
{
    *name = "FAKE_ERROR";
    return CUDA_SUCCESS;
}

/* ---- memory */

CUresult cuMemGetAllocationGranularity(size_t *n, const CUmemAllocationProp *p,
                                       CUmemAllocationGranularity_flags f)
{
    CALL(cuMemGetAllocationGranularity);
    *n = 2u << 20;
    return CUDA_SUCCESS;
}

CUresult cuMemAddressReserve(CUdeviceptr *at, size_t n, size_t align, CUdeviceptr wish,
                             unsigned long long flags)
{
    CALL(cuMemAddressReserve);
    fake.base = wish;
    *at = wish;
    return CUDA_SUCCESS;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *h, size_t n, const CUmemAllocationProp *p,
                     unsigned long long flags)
{
    CALL(cuMemCreate);
    if (fake.used + n > FAKE_MEM)
        return CUDA_ERROR_OUT_OF_MEMORY;
    fake.used += n;
    fake.types = p->requestedHandleTypes;
    *h = n;
    return CUDA_SUCCESS;
}

CUresult cuMemExportToShareableHandle(void *fd, CUmemGenericAllocationHandle h,
                                      CUmemAllocationHandleType t, unsigned long long flags)
{
    CALL(cuMemExportToShareableHandle);
    if (t != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || fake.types != t)
        return CUDA_ERROR_INVALID_VALUE;
    *(int *)fd = dup(2);
    return CUDA_SUCCESS;
}

/* Whatever the descriptor, 2 MiB. */
CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *h, void *fd,
                                        CUmemAllocationHandleType t)
{
    CALL(cuMemImportFromShareableHandle);
    *h = 2u << 20;
    fake.used += *h;
    return CUDA_SUCCESS;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle h)
{
    CALL(cuMemRelease);
    fake.used -= h;
    return CUDA_SUCCESS;
}

CUresult cuMemMap(CUdeviceptr at, size_t n, size_t off, CUmemGenericAllocationHandle h,
                  unsigned long long flags)
{
    CALL(cuMemMap);
    fake.maps++;
    /* Somebody else's, as far as anybody knows. */
    if (at - fake.base < FAKE_VRAM && n <= FAKE_VRAM - (at - fake.base))
        memset(fake.vram + (at - fake.base), FAKE_DIRT, n);
    return CUDA_SUCCESS;
}

CUresult cuMemsetD8Async(CUdeviceptr at, unsigned char v, size_t n, CUstream s)
{
    CALL(cuMemsetD8Async);
    if (at - fake.base < FAKE_VRAM && n <= FAKE_VRAM - (at - fake.base))
        memset(fake.vram + (at - fake.base), v, n);
    fake.filled += n;
    return CUDA_SUCCESS;
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *at, size_t n, CUmemoryPool p, CUstream s)
{
    CALL(cuMemAllocFromPoolAsync);
    *at = fake.base;
    memset(fake.vram, FAKE_DIRT, n < FAKE_VRAM ? n : FAKE_VRAM);
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *at, size_t n)
{
    CALL(cuMemAlloc_v2);
    *at = 0x1000;
    return CUDA_SUCCESS;
}

CUresult cuArray3DCreate_v2(CUarray *a, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
    CALL(cuArray3DCreate_v2);
    *a = (CUarray)&fake;
    return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *m, const CUDA_ARRAY3D_DESCRIPTOR *d, unsigned n)
{
    CALL(cuMipmappedArrayCreate);
    *m = (CUmipmappedArray)&fake;
    return CUDA_SUCCESS;
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *c, CUstream s)
{
    CALL(cuMemcpy3DAsync_v2);
    if (c->dstMemoryType == CU_MEMORYTYPE_ARRAY)
        fake.to_arrays += c->WidthInBytes * c->Height * c->Depth;
    return CUDA_SUCCESS;
}

CUresult cuMemUnmap(CUdeviceptr at, size_t n)
{
    CALL(cuMemUnmap);
    fake.maps--;
    return CUDA_SUCCESS;
}

CUresult cuMemGetInfo_v2(size_t *left, size_t *total)
{
    CALL(cuMemGetInfo_v2);
    *left = FAKE_MEM - fake.used;
    *total = FAKE_MEM;
    return CUDA_SUCCESS;
}

CUresult cuCheckpointProcessGetState(int pid, CUprocessState *state)
{
    CALL(cuCheckpointProcessGetState);
    *state = (CUprocessState)fake.process_state;
    return CUDA_SUCCESS;
}

CUresult cuMemHostRegister_v2(void *p, size_t n, unsigned flags)
{
    CALL(cuMemHostRegister_v2);
    fake.registered++;
    return CUDA_SUCCESS;
}

CUresult cuMemHostUnregister(void *p)
{
    CALL(cuMemHostUnregister);
    fake.registered--;
    return CUDA_SUCCESS;
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *at, void *p, unsigned flags)
{
    CALL(cuMemHostGetDevicePointer_v2);
    *at = (CUdeviceptr)(uintptr_t)p;
    return CUDA_SUCCESS;
}

/* ---- work */

CUresult cuModuleLoadDataEx(CUmodule *m, const void *image, unsigned n, CUjit_option *opt,
                            void **val)
{
    CALL(cuModuleLoadDataEx);
    fake.image_len = (unsigned)strlen(image);
    *m = (CUmodule)&fake;
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunctionCount(unsigned *n, CUmodule m)
{
    CALL(cuModuleGetFunctionCount);
    *n = fake.kernels;
    return CUDA_SUCCESS;
}

CUresult cuModuleEnumerateFunctions(CUfunction *list, unsigned n, CUmodule m)
{
    CALL(cuModuleEnumerateFunctions);
    for (unsigned i = 0; i < n; i++)
        list[i] = (CUfunction)(uintptr_t)(i + 1);
    return CUDA_SUCCESS;
}

CUresult cuFuncGetName(const char **name, CUfunction f)
{
    CALL(cuFuncGetName);
    *name = "kernel";
    return CUDA_SUCCESS;
}

CUresult cuFuncGetParamInfo(CUfunction f, size_t index, size_t *offset, size_t *size)
{
    CALL(cuFuncGetParamInfo);
    return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuStreamWriteValue32_v2(CUstream s, CUdeviceptr at, cuuint32_t value, unsigned flags)
{
    CALL(cuStreamWriteValue32_v2);
    fake.write_word = (uint32_t *)(uintptr_t)at;
    fake.write_value = value;
    if (!fake.hold)
        __atomic_store_n((uint32_t *)(uintptr_t)at, value, __ATOMIC_RELEASE);
    return CUDA_SUCCESS;
}

CUresult cuStreamWaitValue32_v2(CUstream s, CUdeviceptr at, cuuint32_t value, unsigned flags)
{
    CALL(cuStreamWaitValue32_v2);
    fake.wait_word = (uint32_t *)(uintptr_t)at;
    fake.wait_value = value;
    return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void **p, size_t n, unsigned flags)
{
    CALL(cuMemHostAlloc);
    *p = calloc(1, n);
    if (n > fake.pinned_len) {
        fake.pinned = *p;
        fake.pinned_len = n;
    }
    return *p ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* NULL: no such device memory, or a copy of no interest. */
static void *copied(CUdeviceptr dev, const void *host, size_t n)
{
    uint64_t at = dev - fake.base;

    if ((uintptr_t)host - (uintptr_t)fake.pinned > fake.pinned_len - n)
        __atomic_fetch_add(&fake.foreign, 1, __ATOMIC_RELAXED);
    return at < FAKE_VRAM && n <= FAKE_VRAM - at ? fake.vram + at : NULL;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t n, CUstream s)
{
    void *p = copied(dst, src, n);

    CALL(cuMemcpyHtoDAsync_v2);
    if (p)
        memcpy(p, src, n);
    return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t n, CUstream s)
{
    void *p = copied(src, dst, n);

    CALL(cuMemcpyDtoHAsync_v2);
    if (p)
        memcpy(dst, p, n);
    return CUDA_SUCCESS;
}

CUresult cuLaunchHostFunc(CUstream s, CUhostFn fn, void *arg)
{
    CALL(cuLaunchHostFunc);
    fake.host_fn = fn;
    fake.host_arg = arg;
    return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *e, unsigned flags)
{
    CALL(cuEventCreate);
    *e = (CUevent)&fake;
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void)
{
    CALL(cuCtxSynchronize);
    if (fake.print && write(1, fake.print, strlen(fake.print)) < 0)
        return CUDA_ERROR_UNKNOWN;
    return CUDA_SUCCESS;
}
