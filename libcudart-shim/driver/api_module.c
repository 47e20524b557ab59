/* SPDX-License-Identifier: MIT */
/*
 * api_module.c - modules, kernels and launches of the driver API. CUmodule and CUfunction are the
 * addresses of this library's own structs.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>

CUresult cuModuleLoadData(CUmodule *m, const void *image)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_module_load(image, (struct gvm_module **)m));
}

/* JIT options steer how fast code is made, or ask for logs; buffers for logs are emptied. */
CUresult cuModuleLoadDataEx(CUmodule *m, const void *image, unsigned n, CUjit_option *opt,
                            void **val)
{
    if (n && (!opt || !val))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < n; i++) {
        if (opt[i] == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES ||
            opt[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
            val[i] = NULL; /* octets written */
        else if ((opt[i] == CU_JIT_INFO_LOG_BUFFER || opt[i] == CU_JIT_ERROR_LOG_BUFFER) && val[i])
            *(char *)val[i] = 0;
    }
    return cuModuleLoadData(m, image);
}

CUresult cuModuleLoadFatBinary(CUmodule *m, const void *fatbin)
{
    return cuModuleLoadData(m, fatbin);
}

CUresult cuModuleLoad(CUmodule *m, const char *path)
{
    CUresult rc = (CUresult)api_need();
    char *p = NULL;
    long n;
    FILE *f;

    if (rc)
        return rc;
    if (!path || !m)
        return CUDA_ERROR_INVALID_VALUE;
    f = fopen(path, "rbe");
    if (!f)
        return CUDA_ERROR_FILE_NOT_FOUND;
    rc = CUDA_ERROR_INVALID_IMAGE;
    if (fseek(f, 0, SEEK_END) || (n = ftell(f)) < 4 || fseek(f, 0, SEEK_SET))
        goto out;
    p = calloc(1, (size_t)n + 1); /* PTX text ends with a NUL */
    if (p && fread(p, 1, (size_t)n, f) == (size_t)n)
        rc = cuModuleLoadData(m, p);
out:
    free(p);
    fclose(f);
    return rc;
}

CUresult cuModuleUnload(CUmodule m)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_module_unload((struct gvm_module *)m));
}

CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name)
{
    int rc = api_need();

    return (CUresult)(rc ? rc
                         : gvm_module_func((struct gvm_module *)m, name, (struct gvm_func **)f));
}

CUresult cuModuleGetGlobal(CUdeviceptr *p, size_t *n, CUmodule m, const char *name)
{
    uint64_t d = 0, size = 0;
    int rc = api_need();

    if (rc == 0)
        rc = gvm_module_global((struct gvm_module *)m, name, &d, &size);
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
    return (CUresult)((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL ? 1 : valid(f));
}

CUresult cuFuncGetModule(CUmodule *m, CUfunction f)
{
    int rc = valid(f);

    if (rc == 0 && !m)
        rc = 1;
    if (rc == 0)
        *m = (CUmodule)gvm_func_module((struct gvm_func *)f);
    return (CUresult)rc;
}

CUresult cuFuncGetName(const char **name, CUfunction f)
{
    int rc = valid(f);

    if (rc == 0 && !name)
        rc = 1;
    if (rc == 0)
        *name = gvm_func_name((struct gvm_func *)f);
    return (CUresult)rc;
}

CUresult cuFuncGetParamInfo(CUfunction f, size_t i, size_t *offset, size_t *size)
{
    int rc = valid(f);

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
static int take_extra(struct gvm_launch *l, void **extra)
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

static CUresult launch(CUfunction f, struct gvm_launch *l, void **params, void **extra)
{
    int rc = api_need();

    if (rc == 0 && !f)
        rc = 400;
    if (rc == 0 && params && extra)
        rc = 1;
    if (rc == 0 && extra)
        rc = take_extra(l, extra);
    l->params = params;
    if (rc == 0)
        rc = gvm_launch((struct gvm_func *)f, l);
    return (CUresult)(rc == 9 ? 1 : rc);
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

/* As in the runtime: requests for speed are taken, what changes the meaning is passed on or
 * refused. */
static int attribute(struct gvm_launch *l, const CUlaunchAttribute *a)
{
    static uint32_t said;

    switch (a->id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        return 0;
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
        l->flags |= a->value.cooperative ? 1 : 0;
        return 0;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
        l->cluster[0] = a->value.clusterDim.x;
        l->cluster[1] = a->value.clusterDim.y;
        l->cluster[2] = a->value.clusterDim.z;
        return 0;
    default:
        return gvm_refuse("cuLaunchKernelEx with this launch attribute", &said);
    }
}

static CUresult launch_ex(const CUlaunchConfig *c, CUstream s, CUfunction f, void **params,
                          void **extra)
{
    struct gvm_launch l;
    int rc = 0;

    if (!c)
        return CUDA_ERROR_INVALID_VALUE;
    l = (struct gvm_launch){.grid = {c->gridDimX, c->gridDimY, c->gridDimZ},
                            .block = {c->blockDimX, c->blockDimY, c->blockDimZ},
                            .shmem = c->sharedMemBytes,
                            .stream = api_stream(s)};
    for (unsigned i = 0; i < c->numAttrs && !rc; i++)
        rc = attribute(&l, &c->attrs[i]);
    return rc ? (CUresult)rc : launch(f, &l, params, extra);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **params, void **extra)
{
    return launch_ex(c, c ? c->hStream : NULL, f, params, extra);
}

GVM_API CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *c, CUfunction f, void **params,
                                       void **extra);
CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *c, CUfunction f, void **params, void **extra)
{
    return launch_ex(c, api_own(c ? c->hStream : NULL), f, params, extra);
}
