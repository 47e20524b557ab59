/* SPDX-License-Identifier: MIT */
/*
 * api_callback.c - functions of the program in a stream.
 */
#include "api.h"

GVM_API CUresult cuLaunchHostFunc_ptsz(CUstream s, CUhostFn fn, void *arg);
CUresult cuLaunchHostFunc(CUstream s, CUhostFn fn, void *arg)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_launch_host(api_stream(s), fn, arg));
}

CUresult cuLaunchHostFunc_ptsz(CUstream s, CUhostFn fn, void *arg)
{
    return cuLaunchHostFunc(api_own(s), fn, arg);
}

static CUresult add_callback(CUstream s, CUstream told, CUstreamCallback fn, void *arg,
                             unsigned flags)
{
    int rc = api_need();

    return (CUresult)(rc ? rc
                         : gvm_add_callback(api_stream(s), api_stream(told),
                                            (void (*)(void *, int, void *))fn, arg, flags));
}

GVM_API CUresult cuStreamAddCallback_ptsz(CUstream s, CUstreamCallback fn, void *arg,
                                          unsigned flags);
CUresult cuStreamAddCallback(CUstream s, CUstreamCallback fn, void *arg, unsigned flags)
{
    return add_callback(s, s, fn, arg, flags);
}

/* The callback is told what the program said. */
CUresult cuStreamAddCallback_ptsz(CUstream s, CUstreamCallback fn, void *arg, unsigned flags)
{
    return add_callback(api_own(s), s, fn, arg, flags);
}
