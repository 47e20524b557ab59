/* SPDX-License-Identifier: MIT */
/*
 * library.c - libraries loaded at run time, and their kernels. A cudaLibrary_t is a CUlibrary, a
 * cudaKernel_t of a library a CUkernel.
 */
#include "rt.h"

#include <stdlib.h>

static int check_options(unsigned n, const enum cudaLibraryOption *opt)
{
    static uint32_t said;

    for (unsigned i = 0; i < n; i++) {
        if (opt[i] == cudaLibraryHostUniversalFunctionAndDataTable)
            return gvm_refused("cudaLibraryHostUniversalFunctionAndDataTable", &said);
        if (opt[i] != cudaLibraryBinaryIsPreserved)
            return 1;
    }
    return 0;
}

static int load(cudaLibrary_t *l, const void *code, enum cudaJitOption *jopt, void **jval,
                unsigned njit, enum cudaLibraryOption *opt, unsigned n)
{
    int err = gvm_context();

    if (err == 0 && (!l || !code || (n && !opt)))
        err = 1;
    if (err == 0)
        err = check_options(n, opt);
    /* cudaJitOption's numbers are CUjit_option's. */
    return err ? err
               : gvm_library_load(code, njit, (const int *)jopt, jval, (struct gvm_library **)l);
}

cudaError_t cudaLibraryLoadData(cudaLibrary_t *l, const void *code, enum cudaJitOption *jopt,
                                void **jval, unsigned njit, enum cudaLibraryOption *opt, void **val,
                                unsigned n)
{
    return rt_done(load(l, code, jopt, jval, njit, opt, n));
}

cudaError_t cudaLibraryLoadFromFile(cudaLibrary_t *l, const char *path, enum cudaJitOption *jopt,
                                    void **jval, unsigned njit, enum cudaLibraryOption *opt,
                                    void **val, unsigned n)
{
    void *data = NULL;
    size_t size;
    int err = path ? gvm_read_file(path, &data, &size) : 1;

    if (err == 0)
        err = load(l, data, jopt, jval, njit, opt, n);
    free(data);
    return rt_done(err);
}

cudaError_t cudaLibraryUnload(cudaLibrary_t l)
{
    return rt_done(gvm_library_unload((struct gvm_library *)l));
}

static int module_of(cudaLibrary_t l, struct gvm_module **m)
{
    return gvm_library_module((struct gvm_library *)l, m);
}

/* A name that is not there is no invalid device function here, as the kernel is asked for. */
cudaError_t cudaLibraryGetKernel(cudaKernel_t *k, cudaLibrary_t l, const char *name)
{
    struct gvm_module *m;
    int err = module_of(l, &m);

    return rt_done(err ? err : gvm_module_func(m, name, (struct gvm_func **)k));
}

cudaError_t cudaLibraryGetKernelCount(unsigned *n, cudaLibrary_t l)
{
    struct gvm_module *m;
    int err = n ? module_of(l, &m) : 1;

    if (err == 0)
        *n = gvm_module_nfunc(m);
    return rt_done(err);
}

cudaError_t cudaLibraryEnumerateKernels(cudaKernel_t *k, unsigned n, cudaLibrary_t l)
{
    struct gvm_module *m;
    int err = n && !k ? 1 : module_of(l, &m);

    for (unsigned i = 0; err == 0 && i < n && i < gvm_module_nfunc(m); i++)
        k[i] = (cudaKernel_t)gvm_module_func_at(m, i);
    return rt_done(err);
}

cudaError_t cudaLibraryGetGlobal(void **p, size_t *n, cudaLibrary_t l, const char *name)
{
    struct gvm_module *m;
    uint64_t d = 0, size = 0;
    int err = module_of(l, &m);

    if (err == 0)
        err = gvm_module_global(m, name, p ? &d : NULL, n ? &size : NULL);
    if (err == 0 && p)
        *p = (void *)(uintptr_t)d;
    if (err == 0 && n)
        *n = size;
    return rt_done(err);
}

/* Libraries have no managed variables here. */
cudaError_t cudaLibraryGetManaged(void **p, size_t *n, cudaLibrary_t l, const char *name)
{
    struct gvm_module *m;
    int err = name ? module_of(l, &m) : 1;

    return rt_done(err ? err : 500);
}

cudaError_t cudaLibraryGetUnifiedFunction(void **fn, cudaLibrary_t l, const char *symbol)
{
    struct gvm_module *m;
    int err = module_of(l, &m);

    return rt_done(err ? err : 1);
}

/* cudaFuncAttribute values are CUfunction_attribute values. */
cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t k, enum cudaFuncAttribute attr, int value,
                                            int device)
{
    struct gvm_func *f;
    int n = 0, err = k ? rt_func_of(k, &f) : 400;

    if (err == 0 && (cudaGetDeviceCount(&n) || device < 0 || device >= n))
        err = 101;
    return rt_done(err ? err : gvm_func_set_attr(f, (int)attr, value));
}
