/* SPDX-License-Identifier: MIT */
/*
 * api_library.c - libraries and kernels without a context, and the linker. A CUkernel is the address
 * of the function's own struct, as a CUfunction is: either is good wherever the other is.
 */
#include "api.h"
#include "library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int gvm_read_file(const char *path, void **data, size_t *n)
{
    FILE *f = fopen(path, "rbe");
    char *p = NULL;
    long size;
    int rc = 301;

    if (!f)
        return 301;
    if (fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET))
        goto out;
    rc = 2;
    p = malloc((size_t)size + 64); /* headers are looked at before the size is known to hold them */
    if (!p)
        goto out;
    memset(p + size, 0, 64);
    rc = fread(p, 1, (size_t)size, f) == (size_t)size ? 0 : 301;
    *n = (size_t)size;
out:
    fclose(f);
    if (rc)
        free(p);
    else
        *data = p;
    return rc;
}

static struct gvm_library *lib(CUlibrary l)
{
    return (struct gvm_library *)l;
}

/* The library's options say who keeps the code, and name tables of host functions. */
static int check_options(unsigned n, const CUlibraryOption *opt)
{
    static uint32_t said;

    for (unsigned i = 0; i < n; i++) {
        if (opt[i] == CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE)
            return gvm_refuse("CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE", &said);
        if (opt[i] != CU_LIBRARY_BINARY_IS_PRESERVED)
            return 1;
    }
    return 0;
}

CUresult cuLibraryLoadData(CUlibrary *l, const void *code, CUjit_option *jopt, void **jval,
                           unsigned njit, CUlibraryOption *opt, void **val, unsigned n)
{
    int rc = api_need_init();

    if (rc == 0 && (!l || !code || (n && !opt)))
        rc = 1;
    if (rc == 0)
        rc = check_options(n, opt);
    if (rc == 0)
        rc = gvm_library_load(code, njit, (const int *)jopt, jval, (struct gvm_library **)l);
    return (CUresult)rc;
}

CUresult cuLibraryLoadFromFile(CUlibrary *l, const char *path, CUjit_option *jopt, void **jval,
                               unsigned njit, CUlibraryOption *opt, void **val, unsigned n)
{
    void *data = NULL;
    size_t size;
    int rc = api_need_init();

    if (rc == 0 && (!l || !path))
        rc = 1;
    if (rc == 0)
        rc = gvm_read_file(path, &data, &size);
    if (rc == 0)
        rc = cuLibraryLoadData(l, data, jopt, jval, njit, opt, val, n);
    free(data);
    return (CUresult)rc;
}

CUresult cuLibraryUnload(CUlibrary l)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_library_unload(lib(l)));
}

/* The library's module; needs no context. */
static int module_of(CUlibrary l, struct gvm_module **m)
{
    int rc = api_need_init();

    if (rc)
        return rc;
    return gvm_library_module(lib(l), m);
}

CUresult cuLibraryGetKernel(CUkernel *k, CUlibrary l, const char *name)
{
    struct gvm_module *m;
    int rc = module_of(l, &m);

    return (CUresult)(rc ? rc : gvm_module_func(m, name, (struct gvm_func **)k));
}

CUresult cuLibraryGetKernelCount(unsigned *n, CUlibrary l)
{
    struct gvm_module *m;
    int rc = module_of(l, &m);

    if (rc == 0 && !n)
        rc = 1;
    if (rc == 0)
        *n = gvm_module_nfunc(m);
    return (CUresult)rc;
}

CUresult cuLibraryEnumerateKernels(CUkernel *k, unsigned n, CUlibrary l)
{
    struct gvm_module *m;
    int rc = module_of(l, &m);

    if (rc == 0 && n && !k)
        rc = 1;
    for (unsigned i = 0; rc == 0 && i < n && i < gvm_module_nfunc(m); i++)
        k[i] = (CUkernel)gvm_module_func_at(m, i);
    return (CUresult)rc;
}

CUresult cuLibraryGetModule(CUmodule *m, CUlibrary l)
{
    struct gvm_module *o;
    int rc = module_of(l, &o);

    if (rc == 0 && !m)
        rc = 1;
    if (rc == 0)
        rc = api_need();
    if (rc == 0)
        *m = (CUmodule)o;
    return (CUresult)rc;
}

CUresult cuLibraryGetGlobal(CUdeviceptr *p, size_t *n, CUlibrary l, const char *name)
{
    struct gvm_module *m;
    uint64_t d = 0, size = 0;
    int rc = module_of(l, &m);

    if (rc == 0)
        rc = api_need();
    if (rc == 0)
        rc = gvm_module_global(m, name, p ? &d : NULL, n ? &size : NULL);
    if (rc == 0 && p)
        *p = d;
    if (rc == 0 && n)
        *n = size;
    return (CUresult)rc;
}

/* Images with managed variables are refused when they are registered, so there are none. */
CUresult cuLibraryGetManaged(CUdeviceptr *p, size_t *n, CUlibrary l, const char *name)
{
    struct gvm_module *m;
    int rc = module_of(l, &m);

    if (rc == 0 && !name)
        rc = 1;
    return (CUresult)(rc ? rc : 500);
}

/* Only libraries loaded with a table of host functions have any; others have nothing to ask. */
CUresult cuLibraryGetUnifiedFunction(void **fn, CUlibrary l, const char *symbol)
{
    struct gvm_module *m;
    int rc = module_of(l, &m);

    return (CUresult)(rc ? rc : 1);
}

/* ---- kernels ------------------------------------------------------------------------------- */

static int kernel(CUkernel k, struct gvm_func **f)
{
    int rc = api_need_init();

    if (rc)
        return rc;
    *f = gvm_func_find(k);
    return *f ? 0 : 400;
}

CUresult cuKernelGetFunction(CUfunction *out, CUkernel k)
{
    struct gvm_func *f;
    int rc = kernel(k, &f);

    if (rc == 0 && !out)
        rc = 1;
    if (rc == 0)
        rc = api_need();
    if (rc == 0) {
        *out = (CUfunction)f;
        gvm_func_ready(f);
    }
    return (CUresult)rc;
}

CUresult cuKernelGetLibrary(CUlibrary *l, CUkernel k)
{
    struct gvm_func *f;
    int rc = kernel(k, &f);

    if (rc == 0 && !l)
        rc = 1;
    if (rc == 0)
        *l = (CUlibrary)gvm_library_of(gvm_func_module(f));
    return (CUresult)(rc ? rc : *l ? 0 : 400);
}

CUresult cuKernelGetName(const char **name, CUkernel k)
{
    struct gvm_func *f;
    int rc = k ? kernel(k, &f) : 1;

    if (rc == 0 && !name)
        rc = 1;
    if (rc == 0)
        *name = gvm_func_name(f);
    return (CUresult)rc;
}

CUresult cuKernelGetParamInfo(CUkernel k, size_t i, size_t *offset, size_t *size)
{
    struct gvm_func *f;
    int rc = k ? kernel(k, &f) : 1;

    if (rc == 0 && !offset)
        rc = 1;
    return (CUresult)(rc ? rc : gvm_func_param(f, i, offset, size));
}

static int device(CUdevice d)
{
    int n = 0;
    CUresult rc = cuDeviceGetCount(&n);

    return rc ? (int)rc : d < 0 || d >= n ? 101 : 0;
}

CUresult cuKernelGetAttribute(int *value, CUfunction_attribute attr, CUkernel k, CUdevice d)
{
    struct gvm_func *f;
    int32_t a[16];
    int rc = kernel(k, &f);

    if (rc == 0)
        rc = device(d);
    if (rc == 0 && (!value || (unsigned)attr >= 16))
        rc = 1;
    if (rc == 0)
        rc = gvm_func_attrs(f, a);
    if (rc == 0)
        *value = a[attr];
    return (CUresult)rc;
}

CUresult cuKernelSetAttribute(CUfunction_attribute attr, int value, CUkernel k, CUdevice d)
{
    struct gvm_func *f;
    int rc = kernel(k, &f);

    if (rc == 0)
        rc = device(d);
    return (CUresult)(rc ? rc : gvm_func_set_attr(f, (int)attr, value));
}

CUresult cuKernelSetCacheConfig(CUkernel k, CUfunc_cache config, CUdevice d)
{
    struct gvm_func *f;
    int rc = kernel(k, &f);

    if (rc == 0)
        rc = device(d);
    return (CUresult)(rc ? rc : gvm_func_cache(f, config));
}

/* ---- linker -------------------------------------------------------------------------------- */

CUresult cuLinkCreate_v2(unsigned n, CUjit_option *opt, void **val, CUlinkState *out)
{
    struct gvm_jit jit;
    uint64_t h = 0;
    int rc = api_need();

    if (rc == 0 && !out)
        rc = 1;
    if (rc == 0)
        rc = gvm_jit_take(n, (const int *)opt, val, &jit);
    if (rc == 0)
        rc = gvm_link_create(&jit, &h);
    if (rc == 0)
        *out = (CUlinkState)(uintptr_t)h;
    return (CUresult)rc;
}

CUresult cuLinkAddData_v2(CUlinkState l, CUjitInputType type, void *data, size_t size,
                          const char *name, unsigned n, CUjit_option *opt, void **val)
{
    struct gvm_jit jit;
    int rc = api_need();

    if (rc == 0)
        rc = gvm_jit_take(n, (const int *)opt, val, &jit);
    return (CUresult)(rc ? rc : gvm_link_add((uintptr_t)l, type, data, size, name, &jit));
}

CUresult cuLinkAddFile_v2(CUlinkState l, CUjitInputType type, const char *path, unsigned n,
                          CUjit_option *opt, void **val)
{
    void *data = NULL;
    size_t size = 0;
    int rc = api_need();

    if (rc == 0 && !path)
        rc = 1;
    if (rc == 0)
        rc = gvm_read_file(path, &data, &size);
    if (rc == 0)
        rc = cuLinkAddData_v2(l, type, data, size, path, n, opt, val);
    free(data);
    return (CUresult)rc;
}

CUresult cuLinkComplete(CUlinkState l, void **image, size_t *size)
{
    int rc = api_need();

    if (rc == 0 && !image)
        rc = 1;
    return (CUresult)(rc ? rc : gvm_link_complete((uintptr_t)l, image, size));
}

CUresult cuLinkDestroy(CUlinkState l)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_link_destroy((uintptr_t)l));
}

/* The first forms, which differ in name alone. */
#undef cuLinkCreate
#undef cuLinkAddData
#undef cuLinkAddFile
GVM_API CUresult cuLinkCreate(unsigned n, CUjit_option *opt, void **val, CUlinkState *out);
GVM_API CUresult cuLinkAddData(CUlinkState l, CUjitInputType type, void *data, size_t size,
                               const char *name, unsigned n, CUjit_option *opt, void **val);
GVM_API CUresult cuLinkAddFile(CUlinkState l, CUjitInputType type, const char *path, unsigned n,
                               CUjit_option *opt, void **val);
CUresult cuLinkCreate(unsigned n, CUjit_option *opt, void **val, CUlinkState *out)
{
    return cuLinkCreate_v2(n, opt, val, out);
}

CUresult cuLinkAddData(CUlinkState l, CUjitInputType type, void *data, size_t size,
                       const char *name, unsigned n, CUjit_option *opt, void **val)
{
    return cuLinkAddData_v2(l, type, data, size, name, n, opt, val);
}

CUresult cuLinkAddFile(CUlinkState l, CUjitInputType type, const char *path, unsigned n,
                       CUjit_option *opt, void **val)
{
    return cuLinkAddFile_v2(l, type, path, n, opt, val);
}
