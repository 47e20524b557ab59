/* SPDX-License-Identifier: MIT */
/*
 * logs.c - the error log: the driver library's.
 */
#include "rt.h"

#include "../driver/logs.h"

cudaError_t cudaLogsRegisterCallback(cudaLogsCallback_t fn, void *arg,
                                     cudaLogsCallbackHandle *handle)
{
    return rt_done(gvm_logs_register((gvm_logs_fn *)(void *)fn, arg, (void **)handle));
}

cudaError_t cudaLogsUnregisterCallback(cudaLogsCallbackHandle handle)
{
    return rt_done(gvm_logs_unregister(handle));
}

cudaError_t cudaLogsCurrent(cudaLogIterator *at, unsigned flags)
{
    return rt_done(gvm_logs_current(at));
}

cudaError_t cudaLogsDumpToFile(cudaLogIterator *at, const char *path, unsigned flags)
{
    return rt_done(gvm_logs_to_file(at, path));
}

cudaError_t cudaLogsDumpToMemory(cudaLogIterator *at, char *buf, size_t *size, unsigned flags)
{
    return rt_done(gvm_logs_to_memory(at, buf, size));
}
