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

static CUresult open_mem(CUdeviceptr *p, CUipcMemHandle handle, unsigned flags, bool again)
{
    uint64_t d = 0;
    int rc = api_need();

    if (rc == 0)
        rc = p ? gvm_ipc_open_mem(&handle, flags, again, &d) : 1;
    if (rc == 0)
        *p = d;
    return (CUresult)rc;
}

CUresult cuIpcOpenMemHandle(CUdeviceptr *p, CUipcMemHandle handle, unsigned flags)
{
    return open_mem(p, handle, flags, true);
}

#undef cuIpcOpenMemHandle
GVM_API CUresult cuIpcOpenMemHandle(CUdeviceptr *p, CUipcMemHandle handle, unsigned flags);
CUresult cuIpcOpenMemHandle(CUdeviceptr *p, CUipcMemHandle handle, unsigned flags)
{
    return open_mem(p, handle, flags, false);
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
