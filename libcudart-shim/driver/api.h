/* SPDX-License-Identifier: MIT */
/*
 * api.h - what the public driver functions (api_*.c) share: contexts, and cuda.h with its functions
 * visible.
 */
#ifndef GVM_API_H
#define GVM_API_H

#pragma GCC visibility push(default)
#include <cuda.h>
#include <cudaProfiler.h>
#pragma GCC visibility pop

#include "core.h"
#include "log.h"
#include "state.h"

/* 3: cuInit() was not called, 201: no context is current, 709: it is destroyed; 0. */
int api_need(void);

/* The same for calls that need no context. */
int api_need_init(void);

/* The context that is current, NULL: none. */
CUcontext api_current(void);

/* The flat buffer that `extra` names instead of pointers to parameters. 1: it is malformed. */
int api_take_extra(struct gvm_launch *l, void **extra);

static inline uint64_t api_stream(CUstream s)
{
    return (uintptr_t)s;
}

static inline CUstream api_own(CUstream s)
{
    return s ? s : CU_STREAM_PER_THREAD;
}

#endif
