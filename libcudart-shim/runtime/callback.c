/* SPDX-License-Identifier: MIT */
/*
 * callback.c - functions of the program in a stream.
 */
#include "rt.h"

cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t fn, void *arg)
{
    return rt_done(gvm_launch_host(rt_stream(s), fn, arg));
}

RT_API cudaError_t cudaLaunchHostFunc_ptsz(cudaStream_t s, cudaHostFn_t fn, void *arg)
{
    return cudaLaunchHostFunc(rt_own(s), fn, arg);
}

static cudaError_t add_callback(cudaStream_t s, cudaStream_t told, cudaStreamCallback_t fn,
                                void *arg, unsigned flags)
{
    return rt_done(gvm_add_callback(rt_stream(s), rt_stream(told),
                                    (void (*)(void *, int, void *))fn, arg, flags));
}

cudaError_t cudaStreamAddCallback(cudaStream_t s, cudaStreamCallback_t fn, void *arg,
                                  unsigned flags)
{
    return add_callback(s, s, fn, arg, flags);
}

/* The callback is told what the program said. */
RT_API cudaError_t cudaStreamAddCallback_ptsz(cudaStream_t s, cudaStreamCallback_t fn, void *arg,
                                              unsigned flags)
{
    return add_callback(rt_own(s), s, fn, arg, flags);
}
