/* SPDX-License-Identifier: MIT */
/*
 * proc.c - cuGetProcAddress from our own table, and what is said to a program that brings NVIDIA's
 * runtime with it.
 *
 * That runtime asks for private tables of the driver before it does anything. There are none here,
 * so it cannot run; the program has to be linked with the shared runtime instead.
 */
#include "api.h"

#include <dlfcn.h>
#include <string.h>

struct entry {
    const char *name; /* without version suffix */
    int version;      /* CUDA version that introduced this form */
    void *fn;
    void *twin; /* for the per-thread default stream; NULL: the same */
};

/* cuda.h's macros give the current form of a name; older forms are named in full. */
/* clang-format off */
#define E(name, version) {#name, version, (void *)name, NULL}
#define F(name, version, fn) {#name, version, (void *)fn, NULL}
#define T(name, version, fn, twin) {#name, version, (void *)fn, (void *)twin}

/* Twins and older forms have no declaration in cuda.h; only their addresses are needed. */
#define TWINS(X)                                                                                   \
    X(cuMemcpy_ptds) X(cuMemcpyHtoD_v2_ptds) X(cuMemcpyDtoH_v2_ptds) X(cuMemcpyDtoD_v2_ptds)       \
    X(cuMemcpyAsync_ptsz) X(cuMemcpyHtoDAsync_v2_ptsz) X(cuMemcpyDtoHAsync_v2_ptsz)                \
    X(cuMemcpyDtoDAsync_v2_ptsz) X(cuMemcpy2D_v2_ptds) X(cuMemcpy2DUnaligned_v2_ptds)              \
    X(cuMemcpy2DAsync_v2_ptsz) X(cuMemsetD8_v2_ptds) X(cuMemsetD16_v2_ptds) X(cuMemsetD32_v2_ptds) \
    X(cuMemsetD8Async_ptsz) X(cuMemsetD16Async_ptsz) X(cuMemsetD32Async_ptsz)                      \
    X(cuMemsetD2D8_v2_ptds) X(cuMemsetD2D16_v2_ptds) X(cuMemsetD2D32_v2_ptds)                      \
    X(cuMemsetD2D8Async_ptsz) X(cuMemsetD2D16Async_ptsz) X(cuMemsetD2D32Async_ptsz)                \
    X(cuLaunchKernel_ptsz) X(cuLaunchKernelEx_ptsz) X(cuLaunchCooperativeKernel_ptsz)              \
    X(cuStreamQuery_ptsz) X(cuStreamSynchronize_ptsz) X(cuStreamWaitEvent_ptsz)                    \
    X(cuStreamGetFlags_ptsz) X(cuStreamGetPriority_ptsz) X(cuStreamGetId_ptsz)                     \
    X(cuStreamGetCtx_ptsz) X(cuStreamGetDevice_ptsz) X(cuStreamIsCapturing_ptsz)                   \
    X(cuLaunchHostFunc_ptsz) X(cuStreamAddCallback_ptsz) X(cuEventRecord_ptsz) X(cuEventRecordWithFlags_ptsz) X(cuCtxCreate_v2)
/* clang-format on */
#define X(name) GVM_API int name(void);
TWINS(X)
#undef X

static CUresult get_v1(const char *symbol, void **fn, int version, cuuint64_t flags);
static const void *form_of_proc(int version);

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static const struct entry table[] = {
    E(cuInit, 2000),
    E(cuDriverGetVersion, 2020),
    E(cuGetErrorName, 6000),
    E(cuGetErrorString, 6000),
    E(cuDeviceGetCount, 2000),
    E(cuDeviceGet, 2000),
    E(cuDeviceGetName, 2000),
    E(cuDeviceGetUuid, 9020),
    E(cuDeviceTotalMem, 3020),
    E(cuDeviceGetAttribute, 2000),
    E(cuDeviceComputeCapability, 2000),
    E(cuDeviceGetPCIBusId, 4010),
    E(cuDeviceCanAccessPeer, 4000),
    E(cuDevicePrimaryCtxRetain, 7000),
    E(cuDevicePrimaryCtxRelease, 7000),
    E(cuDevicePrimaryCtxReset, 7000),
    E(cuDevicePrimaryCtxSetFlags, 7000),
    E(cuDevicePrimaryCtxGetState, 7000),
    F(cuCtxCreate, 3020, cuCtxCreate_v2),
    F(cuCtxCreate, 13000, cuCtxCreate_v4),
    E(cuCtxDestroy, 4000),
    E(cuCtxPushCurrent, 4000),
    E(cuCtxPopCurrent, 4000),
    E(cuCtxSetCurrent, 4000),
    E(cuCtxGetCurrent, 4000),
    E(cuCtxGetDevice, 2000),
    E(cuCtxGetFlags, 7000),
    E(cuCtxGetId, 12000),
    E(cuCtxGetApiVersion, 3020),
    E(cuCtxSynchronize, 2000),
    E(cuCtxSetLimit, 3010),
    E(cuCtxGetLimit, 3010),
    E(cuCtxGetStreamPriorityRange, 5050),
    E(cuCtxSetCacheConfig, 3020),
    E(cuCtxGetCacheConfig, 3020),
    E(cuProfilerStart, 4000),
    E(cuProfilerStop, 4000),
    E(cuMemAlloc, 3020),
    E(cuMemAllocPitch, 3020),
    E(cuMemFree, 3020),
    E(cuMemGetInfo, 3020),
    E(cuMemGetAddressRange, 3020),
    E(cuMemHostAlloc, 2020),
    E(cuMemAllocHost, 3020),
    E(cuMemFreeHost, 2000),
    E(cuMemHostGetDevicePointer, 3020),
    E(cuMemHostGetFlags, 2030),
    E(cuMemAllocManaged, 6000),
    E(cuPointerGetAttribute, 4000),
    E(cuPointerGetAttributes, 7000),
    T(cuMemcpy, 4000, cuMemcpy, cuMemcpy_ptds),
    T(cuMemcpyHtoD, 3020, cuMemcpyHtoD, cuMemcpyHtoD_v2_ptds),
    T(cuMemcpyDtoH, 3020, cuMemcpyDtoH, cuMemcpyDtoH_v2_ptds),
    T(cuMemcpyDtoD, 3020, cuMemcpyDtoD, cuMemcpyDtoD_v2_ptds),
    T(cuMemcpyAsync, 4000, cuMemcpyAsync, cuMemcpyAsync_ptsz),
    T(cuMemcpyHtoDAsync, 3020, cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2_ptsz),
    T(cuMemcpyDtoHAsync, 3020, cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2_ptsz),
    T(cuMemcpyDtoDAsync, 3020, cuMemcpyDtoDAsync, cuMemcpyDtoDAsync_v2_ptsz),
    T(cuMemcpy2D, 3020, cuMemcpy2D, cuMemcpy2D_v2_ptds),
    T(cuMemcpy2DUnaligned, 3020, cuMemcpy2DUnaligned, cuMemcpy2DUnaligned_v2_ptds),
    T(cuMemcpy2DAsync, 3020, cuMemcpy2DAsync, cuMemcpy2DAsync_v2_ptsz),
    T(cuMemsetD8, 3020, cuMemsetD8, cuMemsetD8_v2_ptds),
    T(cuMemsetD16, 3020, cuMemsetD16, cuMemsetD16_v2_ptds),
    T(cuMemsetD32, 3020, cuMemsetD32, cuMemsetD32_v2_ptds),
    T(cuMemsetD8Async, 3020, cuMemsetD8Async, cuMemsetD8Async_ptsz),
    T(cuMemsetD16Async, 3020, cuMemsetD16Async, cuMemsetD16Async_ptsz),
    T(cuMemsetD32Async, 3020, cuMemsetD32Async, cuMemsetD32Async_ptsz),
    T(cuMemsetD2D8, 3020, cuMemsetD2D8, cuMemsetD2D8_v2_ptds),
    T(cuMemsetD2D16, 3020, cuMemsetD2D16, cuMemsetD2D16_v2_ptds),
    T(cuMemsetD2D32, 3020, cuMemsetD2D32, cuMemsetD2D32_v2_ptds),
    T(cuMemsetD2D8Async, 3020, cuMemsetD2D8Async, cuMemsetD2D8Async_ptsz),
    T(cuMemsetD2D16Async, 3020, cuMemsetD2D16Async, cuMemsetD2D16Async_ptsz),
    T(cuMemsetD2D32Async, 3020, cuMemsetD2D32Async, cuMemsetD2D32Async_ptsz),
    E(cuModuleLoad, 2000),
    E(cuModuleLoadData, 2000),
    E(cuModuleLoadDataEx, 2010),
    E(cuModuleLoadFatBinary, 2000),
    E(cuModuleUnload, 2000),
    E(cuModuleGetFunction, 2000),
    E(cuModuleGetGlobal, 3020),
    E(cuModuleGetFunctionCount, 12040),
    E(cuModuleEnumerateFunctions, 12040),
    E(cuModuleGetLoadingMode, 11070),
    E(cuFuncGetAttribute, 2020),
    E(cuFuncSetAttribute, 9000),
    E(cuFuncSetCacheConfig, 3000),
    E(cuFuncGetModule, 11000),
    E(cuFuncGetName, 12030),
    E(cuFuncGetParamInfo, 12040),
    E(cuOccupancyMaxActiveBlocksPerMultiprocessor, 6050),
    E(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, 7000),
    T(cuLaunchKernel, 4000, cuLaunchKernel, cuLaunchKernel_ptsz),
    T(cuLaunchKernelEx, 11060, cuLaunchKernelEx, cuLaunchKernelEx_ptsz),
    T(cuLaunchCooperativeKernel, 9000, cuLaunchCooperativeKernel, cuLaunchCooperativeKernel_ptsz),
    E(cuStreamCreate, 2000),
    E(cuStreamCreateWithPriority, 5050),
    E(cuStreamDestroy, 4000),
    T(cuStreamQuery, 2000, cuStreamQuery, cuStreamQuery_ptsz),
    T(cuStreamSynchronize, 2000, cuStreamSynchronize, cuStreamSynchronize_ptsz),
    T(cuStreamWaitEvent, 3020, cuStreamWaitEvent, cuStreamWaitEvent_ptsz),
    T(cuStreamGetFlags, 5050, cuStreamGetFlags, cuStreamGetFlags_ptsz),
    T(cuStreamGetPriority, 5050, cuStreamGetPriority, cuStreamGetPriority_ptsz),
    T(cuStreamGetId, 12000, cuStreamGetId, cuStreamGetId_ptsz),
    T(cuStreamGetCtx, 9020, cuStreamGetCtx, cuStreamGetCtx_ptsz),
    T(cuStreamGetDevice, 12080, cuStreamGetDevice, cuStreamGetDevice_ptsz),
    T(cuStreamIsCapturing, 10000, cuStreamIsCapturing, cuStreamIsCapturing_ptsz),
    T(cuLaunchHostFunc, 10000, cuLaunchHostFunc, cuLaunchHostFunc_ptsz),
    T(cuStreamAddCallback, 5000, cuStreamAddCallback, cuStreamAddCallback_ptsz),
    E(cuEventCreate, 2000),
    E(cuEventDestroy, 4000),
    E(cuEventQuery, 2000),
    E(cuEventSynchronize, 2000),
    E(cuEventElapsedTime, 2000),
    T(cuEventRecord, 2000, cuEventRecord, cuEventRecord_ptsz),
    T(cuEventRecordWithFlags, 11010, cuEventRecordWithFlags, cuEventRecordWithFlags_ptsz),
    E(cuGetExportTable, 3000),
};

/* NULL: no such name (*known false), or only forms newer than `version`. */
static void *look_up(const char *name, int version, bool per_thread, bool *known)
{
    const struct entry *best = NULL;

    *known = false;
    if (strcmp(name, "cuGetProcAddress") == 0) {
        *known = true;
        return (void *)form_of_proc(version);
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].name, name) != 0)
            continue;
        *known = true;
        if (table[i].version <= version && (!best || table[i].version > best->version))
            best = &table[i];
    }
    if (!best)
        return NULL;
    return per_thread && best->twin ? best->twin : best->fn;
}

int gvm_proc(const char *name, int version, bool per_thread, void **fn)
{
    bool known;

    *fn = look_up(name, version, per_thread, &known);
    return *fn ? 0 : 500;
}

/* cuGetProcAddress of CUDA 12 and later. */
CUresult cuGetProcAddress(const char *symbol, void **fn, int version, cuuint64_t flags,
                          CUdriverProcAddressQueryResult *status)
{
    bool known;

    if (!symbol || !fn || version > CUDA_VERSION ||
        flags & ~(cuuint64_t)(CU_GET_PROC_ADDRESS_LEGACY_STREAM |
                              CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM))
        return CUDA_ERROR_INVALID_VALUE;
    *fn = look_up(symbol, version, flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &known);
    if (status)
        *status = *fn     ? CU_GET_PROC_ADDRESS_SUCCESS
                  : known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                          : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return CUDA_SUCCESS;
}

/* The form of CUDA 11.3, which has no status to tell. */
static CUresult get_v1(const char *symbol, void **fn, int version, cuuint64_t flags)
{
    CUresult rc = cuGetProcAddress_v2(symbol, fn, version, flags, NULL);

    return rc == CUDA_SUCCESS && !*fn ? CUDA_ERROR_NOT_FOUND : rc;
}

static const void *form_of_proc(int version)
{
    return version >= 12000   ? (const void *)cuGetProcAddress_v2
           : version >= 11030 ? (const void *)get_v1
                              : NULL;
}

#undef cuGetProcAddress
GVM_API CUresult cuGetProcAddress(const char *symbol, void **fn, int version, cuuint64_t flags);
CUresult cuGetProcAddress(const char *symbol, void **fn, int version, cuuint64_t flags)
{
    return get_v1(symbol, fn, version, flags);
}

/* NVIDIA's compiler and linker libraries ask for a table too, and do without. */
static bool can_do_without(const void *caller)
{
    Dl_info in;

    return dladdr(caller, &in) && in.dli_fname &&
           (strstr(in.dli_fname, "/libnvrtc") || strstr(in.dli_fname, "/libnvJitLink"));
}

CUresult cuGetExportTable(const void **table_out, const CUuuid *id)
{
    static uint32_t said;

    if (!can_do_without(__builtin_return_address(0)) && gvm_once(&said))
        gvm_log(
            "this program, or a library of it, has NVIDIA's CUDA runtime linked in, which does "
            "not run here: link with `nvcc -cudart shared` (CMake: CUDA_RUNTIME_LIBRARY Shared)");
    if (table_out)
        *table_out = NULL;
    return CUDA_ERROR_NOT_FOUND;
}
