/* SPDX-License-Identifier: MIT */
/*
 * api_old.c - forms of functions that newer ones have replaced without a difference that anybody
 * could see, under their old names. Those of 32-bit device addresses are refused.
 */
#include "api.h"
#include "context.h"

#undef cuCtxDestroy
#undef cuCtxPopCurrent
#undef cuCtxPushCurrent
#undef cuDevicePrimaryCtxRelease
#undef cuDevicePrimaryCtxReset
#undef cuDevicePrimaryCtxSetFlags
#undef cuEventDestroy
#undef cuMemHostRegister
#undef cuStreamDestroy

#define OLD(name, args, pass)                                                                      \
    GVM_API CUresult name args;                                                                    \
    CUresult name args                                                                             \
    {                                                                                              \
        return name##_v2 pass;                                                                     \
    }

OLD(cuCtxDestroy, (CUcontext ctx), (ctx))
OLD(cuCtxPopCurrent, (CUcontext * ctx), (ctx))
OLD(cuCtxPushCurrent, (CUcontext ctx), (ctx))
OLD(cuDevicePrimaryCtxRelease, (CUdevice dev), (dev))
OLD(cuDevicePrimaryCtxReset, (CUdevice dev), (dev))
OLD(cuDevicePrimaryCtxSetFlags, (CUdevice dev, unsigned flags), (dev, flags))
OLD(cuMemHostRegister, (void *p, size_t n, unsigned flags), (p, n, flags))
OLD(cuEventDestroy, (CUevent e), (e))
OLD(cuStreamDestroy, (CUstream s), (s))

/* A count of users, which nothing but these two changes: the context lives until it is destroyed. */
CUresult cuCtxAttach(CUcontext *ctx, unsigned flags)
{
    int rc = flags || !ctx ? 1 : api_need();

    if (rc == 0)
        *ctx = gvm_ctx_current();
    return (CUresult)rc;
}

CUresult cuCtxDetach(CUcontext ctx)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : ctx == gvm_ctx_current() ? 0 : 201);
}

/* In 32 bits, as far as they reach. */
#undef cuDeviceTotalMem
GVM_API CUresult cuDeviceTotalMem(unsigned *bytes, CUdevice dev);
CUresult cuDeviceTotalMem(unsigned *bytes, CUdevice dev)
{
    size_t all = 0;
    CUresult rc = bytes ? cuDeviceTotalMem_v2(&all, dev) : CUDA_ERROR_INVALID_VALUE;

    if (rc == CUDA_SUCCESS)
        *bytes = all > UINT32_MAX ? UINT32_MAX : (unsigned)all;
    return rc;
}
