/* SPDX-License-Identifier: MIT */
/*
 * api_logs.c - the error log. Its flags have no meaning yet.
 */
#include "api.h"
#include "logs.h"

CUresult cuLogsRegisterCallback(CUlogsCallback fn, void *arg, CUlogsCallbackHandle *handle)
{
    return (CUresult)gvm_logs_register((gvm_logs_fn *)(void *)fn, arg, (void **)handle);
}

CUresult cuLogsUnregisterCallback(CUlogsCallbackHandle handle)
{
    return (CUresult)gvm_logs_unregister(handle);
}

CUresult cuLogsCurrent(CUlogIterator *at, unsigned flags)
{
    return (CUresult)gvm_logs_current(at);
}

CUresult cuLogsDumpToFile(CUlogIterator *at, const char *path, unsigned flags)
{
    return (CUresult)gvm_logs_to_file(at, path);
}

CUresult cuLogsDumpToMemory(CUlogIterator *at, char *buf, size_t *size, unsigned flags)
{
    return (CUresult)gvm_logs_to_memory(at, buf, size);
}
