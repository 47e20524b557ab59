/* SPDX-License-Identifier: MIT */
/*
 * api_init.c - cuInit, versions, errors.
 */
#include "api.h"
#include "errors.h"

static bool inited;

int api_need_init(void)
{
    int rc = gvm_stale();

    if (rc)
        return rc;
    /* The runtime initialises the driver as well. */
    return __atomic_load_n(&inited, __ATOMIC_ACQUIRE) || gvm_runtime_used() ? 0 : 3;
}

CUresult cuInit(unsigned flags)
{
    int rc;

    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    rc = gvm_connected();
    if (rc == 0)
        __atomic_store_n(&inited, true, __ATOMIC_RELEASE);
    return (CUresult)rc;
}

/* What both ends implement. Asks the worker only if it is there already: this call initialises
 * nothing, a child forked after it can use CUDA. */
CUresult cuDriverGetVersion(int *version)
{
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = gvm_driver_version();
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char **s)
{
    const struct gvm_error *e = gvm_error_info((int)error);

    if (!s)
        return CUDA_ERROR_INVALID_VALUE;
    *s = e ? e->driver : NULL;
    return *s ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **s)
{
    const struct gvm_error *e = gvm_error_info((int)error);

    if (!s)
        return CUDA_ERROR_INVALID_VALUE;
    *s = e && e->driver ? e->text : NULL;
    return *s ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
