/* SPDX-License-Identifier: MIT */
/*
 * api_module.c - modules, kernels and launches of the driver API. CUmodule and CUfunction are the
 * addresses of this library's own structs.
 */
#include "api.h"
#include "library.h"
#include "module.h"
#include "objects.h"

#include <stdlib.h>

CUresult cuModuleLoadData(CUmodule *m, const void *image)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_module_load(image, (struct gvm_module **)m));
}

CUresult cuModuleLoadDataEx(CUmodule *m, const void *image, unsigned n, CUjit_option *opt,
                            void **val)
{
    int rc = api_need();

    return (CUresult)(rc ? rc
                         : gvm_module_load_options(image, n, (const int *)opt, val,
                                                   (struct gvm_module **)m));
}

CUresult cuModuleLoadFatBinary(CUmodule *m, const void *fatbin)
{
    return cuModuleLoadData(m, fatbin);
}

CUresult cuModuleLoad(CUmodule *m, const char *path)
{
    void *p = NULL;
    size_t n;
    int rc = api_need();

    if (rc == 0 && (!path || !*path || !m))
        rc = 1;
    if (rc == 0)
        rc = gvm_read_file(path, &p, &n);
    if (rc == 0)
        rc = cuModuleLoadData(m, p);
    free(p);
    return (CUresult)rc;
}

CUresult cuModuleUnload(CUmodule m)
{
    int rc = api_need();

    if (rc == 0 && gvm_module_valid((struct gvm_module *)m) &&
        gvm_library_of((struct gvm_module *)m))
        rc = CUDA_ERROR_NOT_PERMITTED; /* it goes with its library */
    return (CUresult)(rc ? rc : gvm_module_unload((struct gvm_module *)m));
}

CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name)
{
    int rc = m ? api_need() : api_need_init();

    if (rc == 0 && !m)
        rc = 400;
    if (rc == 0)
        rc = gvm_module_func((struct gvm_module *)m, name, (struct gvm_func **)f);
    if (rc == 0)
        gvm_func_ready((struct gvm_func *)*f);
    return (CUresult)rc;
}

CUresult cuModuleGetGlobal(CUdeviceptr *p, size_t *n, CUmodule m, const char *name)
{
    uint64_t d = 0, size = 0;
    int rc = api_need();

    if (rc == 0)
        rc = gvm_module_global((struct gvm_module *)m, name, p ? &d : NULL, n ? &size : NULL);
    if (rc == 0 && p)
        *p = d;
    if (rc == 0 && n)
        *n = size;
    return (CUresult)rc;
}

CUresult cuModuleGetFunctionCount(unsigned *n, CUmodule m)
{
    int rc = api_need();

    if (rc == 0 && !gvm_module_valid((struct gvm_module *)m))
        rc = 400;
    if (rc == 0 && !n)
        rc = 1;
    if (rc == 0)
        *n = gvm_module_nfunc((struct gvm_module *)m);
    return (CUresult)rc;
}

CUresult cuModuleEnumerateFunctions(CUfunction *f, unsigned n, CUmodule m)
{
    int rc = api_need();

    if (rc == 0 && !gvm_module_valid((struct gvm_module *)m))
        rc = 400;
    if (rc == 0 && n && !f)
        rc = 1;
    for (unsigned i = 0; rc == 0 && i < n && i < gvm_module_nfunc((struct gvm_module *)m); i++)
        f[i] = (CUfunction)gvm_module_func_at((struct gvm_module *)m, i);
    return (CUresult)rc;
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
    int rc = api_need_init();

    if (rc == 0 && !mode)
        rc = 1;
    if (rc == 0)
        *mode = CU_MODULE_LAZY_LOADING;
    return (CUresult)rc;
}

/* ---- kernels ------------------------------------------------------------------------------- */

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attr, CUfunction f)
{
    int32_t a[16];
    int rc = api_need();

    if (rc == 0 && (!value || (unsigned)attr >= 16))
        rc = 1;
    if (rc == 0)
        rc = gvm_func_attrs((struct gvm_func *)f, a);
    if (rc == 0)
        *value = a[attr];
    return (CUresult)rc;
}

CUresult cuFuncSetAttribute(CUfunction f, CUfunction_attribute attr, int value)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_func_set_attr((struct gvm_func *)f, (int)attr, value));
}

static int valid(CUfunction f)
{
    int rc = api_need();

    return rc ? rc : gvm_func_valid((struct gvm_func *)f) ? 0 : 400;
}

CUresult cuFuncSetCacheConfig(CUfunction f, CUfunc_cache config)
{
    int rc = valid(f);

    return (CUresult)(rc ? rc : gvm_func_cache((struct gvm_func *)f, config));
}

/* Banks of shared memory have had one size since compute capability 5.0. */
CUresult cuFuncSetSharedMemConfig(CUfunction f, CUsharedconfig config)
{
    return (CUresult)((unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE ? 1 : valid(f));
}

CUresult cuFuncLoad(CUfunction f)
{
    int rc = valid(f);

    return (CUresult)(rc ? rc : gvm_func_load((struct gvm_func *)f));
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction f)
{
    uint32_t v = 0;
    int rc = valid(f);

    if (rc == 0 && !state)
        rc = 1;
    if (rc == 0)
        rc = gvm_func_loaded((struct gvm_func *)f, &v);
    if (rc == 0)
        *state = (CUfunctionLoadingState)v;
    return (CUresult)rc;
}

CUresult cuFuncGetModule(CUmodule *m, CUfunction f)
{
    int rc = f ? valid(f) : 1;

    if (rc == 0 && !m)
        rc = 1;
    if (rc == 0)
        *m = (CUmodule)gvm_func_module((struct gvm_func *)f);
    return (CUresult)rc;
}

CUresult cuFuncGetName(const char **name, CUfunction f)
{
    int rc = f ? valid(f) : 1;

    if (rc == 0 && !name)
        rc = 1;
    if (rc == 0)
        *name = gvm_func_name((struct gvm_func *)f);
    return (CUresult)rc;
}

CUresult cuFuncGetParamInfo(CUfunction f, size_t i, size_t *offset, size_t *size)
{
    int rc = f ? valid(f) : 1;

    if (rc == 0 && !offset)
        rc = 1;
    return (CUresult)(rc ? rc : gvm_func_param((struct gvm_func *)f, i, offset, size));
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, CUfunction f, int block,
                                                              size_t shmem, unsigned flags)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_occupancy((struct gvm_func *)f, block, shmem, flags, n));
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, CUfunction f, int block, size_t shmem)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(n, f, block, shmem, 0);
}

/* ---- launches ------------------------------------------------------------------------------ */

/* The flat buffer that `extra` names instead of pointers to parameters. */
int api_take_extra(struct gvm_launch *l, void **extra)
{
    for (; extra[0] != CU_LAUNCH_PARAM_END; extra += 2) {
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            l->buffer = extra[1];
        else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE)
            l->buffer_len = *(const size_t *)extra[1];
        else
            return 1;
    }
    return 0;
}

/* A module's kernel runs in the module's context; a library's in any. */
static bool of_two_contexts(const struct gvm_func *f, uint64_t stream)
{
    void *owner;

    if (!gvm_func_valid(f))
        return true;
    owner = gvm_func_module(f)->owner;
    return owner != GVM_OWNER_LIBRARY && owner != gvm_stream_owner(stream);
}

static CUresult launch(CUfunction f, struct gvm_launch *l, void **params, void **extra)
{
    int rc = api_need();

    /* A thread without a context can use a stream that was created in one. */
    if (rc == 201 && l->stream > GVM_STREAM_PER_THREAD)
        rc = 0;
    if (rc == 0 && !f)
        rc = 400;
    if (rc == 0 && params && extra)
        rc = 1;
    if (rc == 0 && extra)
        rc = api_take_extra(l, extra);
    l->params = params;
    if (rc == 0 && of_two_contexts((struct gvm_func *)f, l->stream))
        rc = 400;
    if (rc == 0 && l->buffer_len && gvm_func_too_long((struct gvm_func *)f, l->buffer_len))
        rc = 701;
    if (rc == 0)
        rc = gvm_launch((struct gvm_func *)f, l);
    return (CUresult)rc;
}

CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                        unsigned by, unsigned bz, unsigned shmem, CUstream s, void **params,
                        void **extra)
{
    struct gvm_launch l = {
        .grid = {gx, gy, gz}, .block = {bx, by, bz}, .shmem = shmem, .stream = api_stream(s)};

    return launch(f, &l, params, extra);
}

GVM_API CUresult cuLaunchKernel_ptsz(CUfunction f, unsigned gx, unsigned gy, unsigned gz,
                                     unsigned bx, unsigned by, unsigned bz, unsigned shmem,
                                     CUstream s, void **params, void **extra);
CUresult cuLaunchKernel_ptsz(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                             unsigned by, unsigned bz, unsigned shmem, CUstream s, void **params,
                             void **extra)
{
    return cuLaunchKernel(f, gx, gy, gz, bx, by, bz, shmem, api_own(s), params, extra);
}

CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                                   unsigned by, unsigned bz, unsigned shmem, CUstream s,
                                   void **params)
{
    struct gvm_launch l = {.grid = {gx, gy, gz},
                           .block = {bx, by, bz},
                           .shmem = shmem,
                           .flags = 1,
                           .stream = api_stream(s)};

    return launch(f, &l, params, NULL);
}

GVM_API CUresult cuLaunchCooperativeKernel_ptsz(CUfunction f, unsigned gx, unsigned gy, unsigned gz,
                                                unsigned bx, unsigned by, unsigned bz,
                                                unsigned shmem, CUstream s, void **params);
CUresult cuLaunchCooperativeKernel_ptsz(CUfunction f, unsigned gx, unsigned gy, unsigned gz,
                                        unsigned bx, unsigned by, unsigned bz, unsigned shmem,
                                        CUstream s, void **params)
{
    return cuLaunchCooperativeKernel(f, gx, gy, gz, bx, by, bz, shmem, api_own(s), params);
}
