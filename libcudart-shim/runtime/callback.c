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

cudaError_t cudaStreamAddCallback(cudaStream_t s, cudaStreamCallback_t fn, void *arg,
                                  unsigned flags)
{
    return rt_done(gvm_add_callback(rt_stream(s), (void (*)(void *, int, void *))fn, arg, flags));
}

RT_API cudaError_t cudaStreamAddCallback_ptsz(cudaStream_t s, cudaStreamCallback_t fn, void *arg,
                                              unsigned flags)
{
    return cudaStreamAddCallback(rt_own(s), fn, arg, flags);
}
