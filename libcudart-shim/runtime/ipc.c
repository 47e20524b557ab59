/* SPDX-License-Identifier: MIT */
/*
 * ipc.c - memory and events of other processes.
 */
#include "../driver/ipc.h"
#include "rt.h"

cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t *handle, void *p)
{
    return rt_done(gvm_ipc_get_mem(rt_addr(p), handle));
}

cudaError_t cudaIpcOpenMemHandle(void **p, cudaIpcMemHandle_t handle, unsigned flags)
{
    uint64_t d = 0;
    int err = p ? gvm_ipc_open_mem(&handle, flags, true, &d) : 1;

    if (err == 0)
        *p = (void *)(uintptr_t)d;
    return rt_done(err);
}

cudaError_t cudaIpcCloseMemHandle(void *p)
{
    return rt_done(gvm_ipc_close_mem(rt_addr(p)));
}

cudaError_t cudaIpcGetEventHandle(cudaIpcEventHandle_t *handle, cudaEvent_t event)
{
    return rt_done(gvm_ipc_get_event((uintptr_t)event, handle));
}

cudaError_t cudaIpcOpenEventHandle(cudaEvent_t *event, cudaIpcEventHandle_t handle)
{
    uint64_t e = 0;
    int err = event ? gvm_ipc_open_event(&handle, &e) : 1;

    if (err == 0)
        *event = (cudaEvent_t)(uintptr_t)e;
    return rt_done(err);
}
