/* SPDX-License-Identifier: MIT */
/*
 * proc.c - cuGetProcAddress from the table of everything exported, and what is said to a program
 * that brings NVIDIA's runtime with it.
 *
 * That runtime asks for private tables of the driver before it does anything. There are none here,
 * so it cannot run; the program has to be linked with our runtime instead.
 */
#include "api.h"
#include "proc.h"

#include <dlfcn.h>
#include <string.h>

#define QUERY_FLAGS                                                                                \
    (CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)

/* First entry of a name; gvm_nprocs: there is none. */
static size_t first_of(const char *name)
{
    size_t lo = 0, hi = gvm_nprocs;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (strcmp(gvm_procs[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < gvm_nprocs && strcmp(gvm_procs[lo].name, name) == 0 ? lo : gvm_nprocs;
}

/* The newest form that `version` knows. A twin, if that is asked for, counts as long known as what
 * it is a twin of, whatever the headers say. NULL: no such name (*known false), or only newer forms. */
static void *look_up(const char *name, int version, bool per_thread, bool *known)
{
    void *fn = NULL, *twin = NULL;
    size_t i = first_of(name);

    *known = i < gvm_nprocs;
    for (; i < gvm_nprocs && strcmp(gvm_procs[i].name, name) == 0; i++) {
        const struct gvm_proc_entry *e = &gvm_procs[i];

        /* In ascending order: the last one counts. */
        if (!e->twin && e->version <= version)
            fn = e->fn;
        if (e->twin && (!twin || e->version <= version))
            twin = e->fn;
    }
    return per_thread && fn && twin ? twin : fn;
}

int gvm_proc(const char *name, int version, bool per_thread, void **fn, int *status)
{
    void *found;
    bool known;

    if (!name || !fn || version > CUDA_VERSION)
        return 1;
    found = look_up(name, version, per_thread, &known);
    if (status)
        *status = found   ? CU_GET_PROC_ADDRESS_SUCCESS
                  : known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                          : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    else if (!found)
        return 500;
    *fn = found;
    return 0;
}

/* cuGetProcAddress of CUDA 12 and later. What is not found is NULL, and success. */
CUresult cuGetProcAddress(const char *symbol, void **fn, int version, cuuint64_t flags,
                          CUdriverProcAddressQueryResult *status)
{
    int rc, st;

    if (flags & ~(cuuint64_t)QUERY_FLAGS)
        return CUDA_ERROR_INVALID_VALUE;
    rc = gvm_proc(symbol, version, flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, fn, &st);
    if (rc == 0 && status)
        *status = (CUdriverProcAddressQueryResult)st;
    return (CUresult)rc;
}

/* The form of CUDA 11.3, which has no status to tell. */
#undef cuGetProcAddress
GVM_API CUresult cuGetProcAddress(const char *symbol, void **fn, int version, cuuint64_t flags);
CUresult cuGetProcAddress(const char *symbol, void **fn, int version, cuuint64_t flags)
{
    if (flags & ~(cuuint64_t)QUERY_FLAGS)
        return CUDA_ERROR_INVALID_VALUE;
    return (CUresult)gvm_proc(symbol, version,
                              flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, fn, NULL);
}

/* NVIDIA's compiler and linker libraries ask for a table too, and do without. */
static bool can_do_without(const void *caller)
{
    Dl_info in;

    return dladdr(caller, &in) && in.dli_fname &&
           (strstr(in.dli_fname, "/libnvrtc") || strstr(in.dli_fname, "/libnvJitLink"));
}

CUresult cuGetExportTable(const void **table_out, const CUuuid *id)
{
    static uint32_t said;

    if (!can_do_without(__builtin_return_address(0)) && gvm_once(&said))
        gvm_log("this program, or a library of it, has NVIDIA's CUDA runtime linked in, which does "
                "not run here: link with `nvcc -cudart shared` (CMake: CUDA_RUNTIME_LIBRARY "
                "Shared), or with GVM's own libcudart_static.a (-L and its folder)");
    if (table_out)
        *table_out = NULL;
    return CUDA_ERROR_NOT_FOUND;
}
