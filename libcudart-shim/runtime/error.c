/* SPDX-License-Identifier: MIT */
/*
 * error.c - the last error. It belongs to the calling thread, also when it is one that makes the
 * context unusable: then the next call sets it again.
 */
#include "rt.h"

#include "../driver/errors.h"

__thread int rt_last;

/* What the functions that refuse.py makes return. */
int rt_refused(const char *name, uint32_t *flag)
{
    return (int)rt_done(gvm_refused(name, flag));
}

/* What a posted call left counts as the error of that call. A fault of a kernel is nobody's until a
 * call reports it. */
cudaError_t cudaGetLastError(void)
{
    int err = rt_last ? rt_last : gvm_take_error();

    rt_last = 0;
    gvm_begin();
    return (cudaError_t)err;
}

cudaError_t cudaPeekAtLastError(void)
{
    if (!rt_last)
        rt_last = gvm_take_error();
    gvm_begin();
    return (cudaError_t)rt_last;
}

const char *cudaGetErrorName(cudaError_t error)
{
    const struct gvm_error *e = gvm_error_info((int)error);

    return e && e->runtime ? e->runtime : "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    const struct gvm_error *e = gvm_error_info((int)error);

    return e && e->runtime ? e->text : "unrecognized error code";
}
