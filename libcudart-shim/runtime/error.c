/* SPDX-License-Identifier: MIT */
/*
 * error.c - the last error. It belongs to the calling thread; errors that make the context
 * unusable are everybody's and do not go away.
 */
#include "rt.h"

#include "../driver/errors.h"

__thread int rt_last;

/* What the functions that refuse.py makes return. */
int rt_refused(const char *name, uint32_t *flag)
{
    return (int)rt_done(gvm_refused(name, flag));
}

cudaError_t cudaGetLastError(void)
{
    int err = rt_last, now = gvm_sticky();

    rt_last = 0;
    if (now)
        return (cudaError_t)now;
    return (cudaError_t)(err ? err : gvm_take_error());
}

cudaError_t cudaPeekAtLastError(void)
{
    int now = gvm_sticky();

    if (now)
        return (cudaError_t)now;
    if (!rt_last)
        rt_last = gvm_take_error();
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
