/* SPDX-License-Identifier: MIT */
/*
 * cuda_module.c - modules, their kernels, launches. Images go to the driver untouched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_int.h"
#include "cuda_stage.h"
#include "dom0-backend/common/log.h"

static int fill_func(struct dev *d, struct dev_func *f, CUfunction cf)
{
    const char *name = NULL;
    size_t off, size;
    int err;

    f->f = cf;
    err = cudev_rc(d, cu.cuFuncGetName(&name, cf), "cuFuncGetName");
    if (err)
        return err;
    f->name = strdup(name);
    f->param = calloc(DEV_MAX_PARAMS, sizeof(*f->param));
    if (!f->name || !f->param)
        return CUDA_ERROR_OUT_OF_MEMORY;
    while (f->nparam < DEV_MAX_PARAMS &&
           cu.cuFuncGetParamInfo(cf, f->nparam, &off, &size) == CUDA_SUCCESS) {
        f->param[f->nparam++] = (struct dev_param){(uint32_t)off, (uint32_t)size};
        if (off + size > f->param_end)
            f->param_end = (uint32_t)(off + size);
    }
    if (f->nparam) {
        struct dev_param *p = realloc(f->param, f->nparam * sizeof(*p));

        f->param = p ? p : f->param;
    }
    return 0;
}

static void free_module(struct dev_module *m)
{
    for (unsigned i = 0; m->func && i < m->nfunc; i++) {
        free(m->func[i].name);
        free(m->func[i].param);
    }
    free(m->func);
    free(m);
}

int cudev_module_of(struct dev *d, CUmodule cm, const struct cudev_look *look,
                    struct dev_module **out, char *log, size_t log_n)
{
    struct dev_module *m = calloc(1, sizeof(*m));
    CUfunction *list = NULL;
    unsigned n = 0;
    int err = CUDA_ERROR_OUT_OF_MEMORY;

    if (!m)
        goto fail;
    m->m = cm;
    m->prints = look->prints;
    m->vars = look->vars;
    if (!cu.cuModuleGetFunctionCount || !cu.cuModuleEnumerateFunctions || !cu.cuFuncGetName ||
        !cu.cuFuncGetParamInfo) {
        snprintf(log, log_n, "the driver cannot list the kernels of a module: 12.4 is needed");
        err = CUDA_ERROR_NOT_SUPPORTED;
        goto fail;
    }
    err = cudev_rc(d, cu.cuModuleGetFunctionCount(&n, cm), "cuModuleGetFunctionCount");
    if (!err && n) {
        err = CUDA_ERROR_OUT_OF_MEMORY;
        list = calloc(n, sizeof(*list));
        m->func = calloc(n, sizeof(*m->func));
        if (list && m->func)
            err = cudev_rc(d, cu.cuModuleEnumerateFunctions(list, n, cm),
                           "cuModuleEnumerateFunctions");
    }
    for (; !err && m->nfunc < n; m->nfunc++)
        err = fill_func(d, &m->func[m->nfunc], list[m->nfunc]);
    if (err)
        goto fail;
    free(list);
    if (look->prints)
        atomic_store(&d->prints, true);
    *out = m;
    return 0;
fail:
    free(list);
    if (m)
        free_module(m);
    cu.cuModuleUnload(cm);
    cudev_vars_give(d, look->vars);
    return err;
}

int cudev_module_load(struct dev *d, const void *image, size_t n, struct dev_module **out,
                      char *log, size_t log_n)
{
    CUjit_option opt[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    char text[1024] = "";
    void *val[] = {text, (void *)(uintptr_t)sizeof(text)};
    struct cudev_image img;
    struct cudev_look look;
    CUmodule cm;
    int err = cudev_enter(d);

    if (log_n)
        log[0] = '\0';
    if (!err)
        err = cudev_image_check(image, n, &img, log, log_n);
    if (err)
        return err;
    look = cudev_look(&img, d->info.attr[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR]);
    err = cudev_vars_take(d, look.vars);
    if (err) {
        snprintf(log, log_n, "no device memory for variables of %llu octets",
                 (unsigned long long)look.vars);
        cudev_image_drop(&img);
        return err;
    }
    err = cudev_rc(d, (CUresult)cudev_image_load(d, &img, 2, opt, val, &cm), "cuModuleLoadDataEx");
    cudev_image_drop(&img);
    if (err) {
        cudev_vars_give(d, look.vars);
        text[strcspn(text, "\n")] = '\0';
        snprintf(log, log_n, "%s", text);
        return err;
    }
    return cudev_module_of(d, cm, &look, out, log, log_n);
}

bool cudev_module_ready(struct dev *d, const void *image, size_t n)
{
    struct cudev_image img;
    char log[160];
    bool ready;

    if (cudev_image_check(image, n, &img, log, sizeof(log)))
        return false;
    ready = cudev_image_ready(&img, d->info.attr[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR],
                              d->info.attr[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR]);
    cudev_image_drop(&img);
    return ready;
}

int cudev_module_unload(struct dev *d, struct dev_module *m)
{
    int err = cudev_enter(d);

    if (!err) {
        cudev_stage_hold(d);
        err = cudev_rc(d, cu.cuModuleUnload(m->m), "cuModuleUnload");
        cudev_stage_release(d);
    }
    cudev_vars_give(d, m->vars);
    free_module(m);
    return err;
}

unsigned cudev_module_nfunc(struct dev_module *m)
{
    return m->nfunc;
}

bool cudev_module_prints(struct dev_module *m)
{
    return m->prints;
}

struct dev_func *cudev_module_func(struct dev_module *m, unsigned index)
{
    return index < m->nfunc ? &m->func[index] : NULL;
}

int cudev_module_global(struct dev *d, struct dev_module *m, const char *name, uint64_t *dptr,
                        uint64_t *size)
{
    CUdeviceptr p = 0;
    size_t n = 0;
    int err = cudev_enter(d);

    if (!err)
        err = cudev_rc(d, cu.cuModuleGetGlobal_v2(&p, &n, m->m, name), "cuModuleGetGlobal");
    *dptr = p;
    *size = n;
    return err;
}

/* The driver does not list variables; the guest asks for them by name. */
unsigned cudev_module_nglobal(struct dev_module *m)
{
    return 0;
}

const char *cudev_module_global_name(struct dev_module *m, unsigned index)
{
    return NULL;
}

const char *cudev_func_name(struct dev_func *f)
{
    return f->name;
}

unsigned cudev_func_nparam(struct dev_func *f)
{
    return f->nparam;
}

struct dev_param cudev_func_param(struct dev_func *f, unsigned index)
{
    return index < f->nparam ? f->param[index] : (struct dev_param){0, 0};
}

int cudev_func_load(struct dev *d, struct dev_func *f)
{
    int err = cudev_enter(d);

    if (err || !cu.cuFuncLoad)
        return err;
    cudev_stage_hold(d);
    err = cudev_rc(d, cu.cuFuncLoad(f->f), "cuFuncLoad");
    cudev_stage_release(d);
    if (!err)
        atomic_store(&f->loaded, true);
    return err;
}

int cudev_func_ready(struct dev *d, struct dev_func *f)
{
    return d->stage && !atomic_load(&f->loaded) ? cudev_func_load(d, f) : 0;
}

int cudev_func_info(struct dev *d, struct dev_func *f, struct dev_func_info *out)
{
    int err = cudev_func_load(d, f);

    memset(out, 0, sizeof(*out));
    for (int i = 0; !err && i < DEV_NFUNC_ATTR && i < CU_FUNC_ATTRIBUTE_MAX; i++)
        err = cudev_rc(d, cu.cuFuncGetAttribute(&out->attr[i], (CUfunction_attribute)i, f->f),
                       "cuFuncGetAttribute");
    return err;
}

int cudev_func_set_attr(struct dev *d, struct dev_func *f, int attr, int value)
{
    int err = cudev_func_load(d, f);

    return err ? err
               : cudev_rc(d, cu.cuFuncSetAttribute(f->f, (CUfunction_attribute)attr, value),
                          "cuFuncSetAttribute");
}

int cudev_occupancy(struct dev *d, struct dev_func *f, int block, size_t shmem, unsigned flags,
                    int *blocks)
{
    int err = cudev_func_load(d, f);

    return err ? err
               : cudev_rc(d,
                          cu.cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
                              blocks, f->f, block, shmem, flags),
                          "cuOccupancyMaxActiveBlocksPerMultiprocessor");
}

int cudev_launch(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                 struct dev_stream *s)
{
    size_t len = l->params_len;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)(uintptr_t)l->params,
                     CU_LAUNCH_PARAM_BUFFER_SIZE, &len, CU_LAUNCH_PARAM_END};
    void **params = len ? extra : NULL;
    CUlaunchAttribute attr[2];
    CUlaunchConfig c = {
        .gridDimX = l->grid[0],
        .gridDimY = l->grid[1],
        .gridDimZ = l->grid[2],
        .blockDimX = l->block[0],
        .blockDimY = l->block[1],
        .blockDimZ = l->block[2],
        .sharedMemBytes = l->shmem,
        .hStream = cudev_stream(s),
        .attrs = attr,
    };
    int err = cudev_enter(d);

    if (err)
        return err;
    /* The driver reads as far as the kernel's layout says, whatever the size in `extra`. */
    if (len < f->param_end)
        return CUDA_ERROR_INVALID_VALUE;
    if (l->cooperative)
        attr[c.numAttrs++] =
            (CUlaunchAttribute){.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value.cooperative = 1};
    if (l->cluster[0]) {
        attr[c.numAttrs].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
        attr[c.numAttrs].value.clusterDim.x = l->cluster[0];
        attr[c.numAttrs].value.clusterDim.y = l->cluster[1];
        attr[c.numAttrs++].value.clusterDim.z = l->cluster[2];
    }
    err = cudev_func_ready(d, f);
    if (err)
        return err;
    cudev_busy_begin(d);
    return cudev_rc(d, cu.cuLaunchKernelEx(&c, f->f, NULL, params), "cuLaunchKernel");
}
