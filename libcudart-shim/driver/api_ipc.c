/* SPDX-License-Identifier: MIT */
/*
 * api_ipc.c - memory and events of other processes, by the driver API's handles.
 */
#include "api.h"
#include "ipc.h"

_Static_assert(sizeof(CUipcMemHandle) == GVM_IPC_HANDLE, "CUipcMemHandle");
_Static_assert(sizeof(CUipcEventHandle) == GVM_IPC_HANDLE, "CUipcEventHandle");

CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr p)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_ipc_get_mem(p, handle));
}

CUresult cuIpcOpenMemHandle(CUdeviceptr *p, CUipcMemHandle handle, unsigned flags)
{
    uint64_t d = 0;
    int rc = api_need();

    if (rc == 0)
        rc = p ? gvm_ipc_open_mem(&handle, flags, &d) : 1;
    if (rc == 0)
        *p = d;
    return (CUresult)rc;
}

CUresult cuIpcCloseMemHandle(CUdeviceptr p)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_ipc_close_mem(p));
}

CUresult cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent event)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_ipc_get_event((uintptr_t)event, handle));
}

CUresult cuIpcOpenEventHandle(CUevent *event, CUipcEventHandle handle)
{
    uint64_t e = 0;
    int rc = api_need();

    if (rc == 0)
        rc = event ? gvm_ipc_open_event(&handle, &e) : 1;
    if (rc == 0)
        *event = (CUevent)(uintptr_t)e;
    return (CUresult)rc;
}
