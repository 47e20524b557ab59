/* SPDX-License-Identifier: MIT */
/*
 * cuda_link.c - the forms in which code arrives, the driver's linker, launches with attributes,
 * attributes of streams, tensor maps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_int.h"
#include "cuda_stage.h"
#include "dom0-backend/device/device_link.h"

_Static_assert(sizeof(struct dev_launch_attr) == sizeof(CUlaunchAttribute), "launch attributes");
_Static_assert(sizeof(CUtensorMap) == 128, "tensor maps");

/* ---- images -------------------------------------------------------------------------------- */

/* Joins the fatbins of a program's objects, for a device that the linked binary is not for. */
static CUresult link_parts(const struct cudev_image *i, unsigned nopt, CUjit_option *opt,
                           void **val, CUmodule *out)
{
    size_t pad = -i->size & 7;
    const uint8_t *p = (const uint8_t *)i->parts + pad;
    size_t left = i->parts_size > pad ? i->parts_size - pad : 0;
    CUlinkState l;
    void *cubin = NULL;
    size_t size;
    CUresult rc = cu.cuLinkCreate_v2(nopt, opt, val, &l);

    if (rc)
        return rc;
    while (!rc && left) {
        size_t step;

        size = cudev_fatbin_size(p, left);
        rc = CUDA_ERROR_INVALID_IMAGE;
        if (!size)
            break;
        rc = cu.cuLinkAddData_v2(l, CU_JIT_INPUT_FATBINARY, (void *)(uintptr_t)p, size, "program",
                                 0, NULL, NULL);
        step = (size + 7) & ~(size_t)7;
        step = step < left ? step : left;
        p += step;
        left -= step;
    }
    if (!rc)
        rc = cu.cuLinkComplete(l, &cubin, &size);
    if (!rc)
        rc = cu.cuModuleLoadDataEx(out, cubin, 0, NULL, NULL);
    cu.cuLinkDestroy(l);
    return rc;
}

int cudev_image_load(struct dev *d, const struct cudev_image *i, unsigned nopt, CUjit_option *opt,
                     void **val, CUmodule *out)
{
    CUresult rc;

    cudev_stage_hold(d);
    rc = cu.cuModuleLoadDataEx(out, i->data, nopt, opt, val);
    if (rc == CUDA_ERROR_NO_BINARY_FOR_GPU && i->parts_size && cu.cuLinkCreate_v2 &&
        cu.cuLinkAddData_v2 && cu.cuLinkComplete && cu.cuLinkDestroy)
        rc = link_parts(i, nopt, opt, val, out);
    cudev_stage_release(d);
    return (int)rc;
}

/* ---- JIT options --------------------------------------------------------------------------- */

/* Options and values as the driver wants them. */
struct options {
    unsigned n;
    CUjit_option opt[DEV_JIT_MAX + 8];
    void *val[DEV_JIT_MAX + 8];
    unsigned wall, threads; /* where these are, if they are */
};

static void add_option(struct options *o, CUjit_option id, void *val)
{
    o->opt[o->n] = id;
    o->val[o->n++] = val;
}

/* False: an option whose value would be taken for an address. */
static bool take_options(struct options *o, const struct dev_jit_option *opt, unsigned n)
{
    o->n = o->wall = o->threads = 0;
    for (unsigned i = 0; i < n && i < DEV_JIT_MAX; i++) {
        switch (opt[i].id) {
        case CU_JIT_WALL_TIME:
        case CU_JIT_INFO_LOG_BUFFER:
        case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
        case CU_JIT_ERROR_LOG_BUFFER:
        case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
        case CU_JIT_GLOBAL_SYMBOL_NAMES:
        case CU_JIT_GLOBAL_SYMBOL_ADDRESSES:
        case CU_JIT_GLOBAL_SYMBOL_COUNT:
        case CU_JIT_REFERENCED_KERNEL_NAMES:
        case CU_JIT_REFERENCED_KERNEL_COUNT:
        case CU_JIT_REFERENCED_VARIABLE_NAMES:
        case CU_JIT_REFERENCED_VARIABLE_COUNT:
            return false;
        default:
            break;
        }
        if (opt[i].id >= CU_JIT_NUM_OPTIONS)
            return false;
        if (opt[i].id == CU_JIT_THREADS_PER_BLOCK)
            o->threads = o->n + 1;
        add_option(o, (CUjit_option)opt[i].id, (void *)(uintptr_t)opt[i].value);
    }
    return true;
}

static int link_module_load(struct dev *d, const void *image, size_t n, struct dev_jit *jit,
                            struct dev_module **out)
{
    struct options o;
    struct cudev_image img;
    struct cudev_look look;
    CUmodule cm;
    char line[256] = "";
    float wall = 0;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (!take_options(&o, jit->opt, jit->nopt))
        return CUDA_ERROR_INVALID_VALUE;
    if (jit->info_max) {
        add_option(&o, CU_JIT_INFO_LOG_BUFFER, jit->info);
        add_option(&o, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, (void *)jit->info_max);
    }
    if (jit->error_max) {
        add_option(&o, CU_JIT_ERROR_LOG_BUFFER, jit->error);
        add_option(&o, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, (void *)jit->error_max);
    }
    o.wall = o.n;
    add_option(&o, CU_JIT_WALL_TIME, NULL);
    err = cudev_image_check(image, n, &img, line, sizeof(line));
    if (err) {
        if (jit->error_max)
            snprintf(jit->error, jit->error_max, "%s\n", line);
        return err;
    }
    look = cudev_look(&img, d->info.attr[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR]);
    look.prints = true;
    err = cudev_vars_take(d, look.vars);
    if (err) {
        cudev_image_drop(&img);
        return err;
    }
    err = cudev_rc(d, (CUresult)cudev_image_load(d, &img, o.n, o.opt, o.val, &cm),
                   "cuModuleLoadDataEx");
    cudev_image_drop(&img);
    if (err)
        cudev_vars_give(d, look.vars);
    if (jit->info_max)
        jit->info[jit->info_max - 1] = '\0';
    if (jit->error_max)
        jit->error[jit->error_max - 1] = '\0';
    if (err)
        return err;
    memcpy(&wall, &o.val[o.wall], sizeof(wall));
    jit->wall_ms = wall;
    if (o.threads)
        jit->threads = (uint32_t)(uintptr_t)o.val[o.threads - 1];
    return cudev_module_of(d, cm, &look, out, line, sizeof(line));
}

/* ---- linker -------------------------------------------------------------------------------- */

struct dev_linker {
    CUlinkState l;
    struct options o; /* the driver writes the sizes of the logs there */
    char *info, *error;
    size_t info_max, error_max;
    void *image; /* the driver's, until it is destroyed */
    size_t image_len;
};

static void free_linker(struct dev_linker *l)
{
    free(l->info);
    free(l->error);
    free(l);
}

static int link_create(struct dev *d, const struct dev_jit *jit, struct dev_linker **out)
{
    struct dev_linker *l;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (!cu.cuLinkCreate_v2 || !cu.cuLinkAddData_v2 || !cu.cuLinkComplete || !cu.cuLinkDestroy)
        return CUDA_ERROR_NOT_SUPPORTED;
    l = calloc(1, sizeof(*l));
    if (!l)
        return CUDA_ERROR_OUT_OF_MEMORY;
    l->info_max = jit->info_max;
    l->error_max = jit->error_max;
    l->info = calloc(1, jit->info_max + 1);
    l->error = calloc(1, jit->error_max + 1);
    err = CUDA_ERROR_OUT_OF_MEMORY;
    if (!l->info || !l->error)
        goto fail;
    err = CUDA_ERROR_INVALID_VALUE;
    if (!take_options(&l->o, jit->opt, jit->nopt))
        goto fail;
    if (l->info_max) {
        add_option(&l->o, CU_JIT_INFO_LOG_BUFFER, l->info);
        add_option(&l->o, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, (void *)l->info_max);
    }
    if (l->error_max) {
        add_option(&l->o, CU_JIT_ERROR_LOG_BUFFER, l->error);
        add_option(&l->o, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, (void *)l->error_max);
    }
    err = cudev_rc(d, cu.cuLinkCreate_v2(l->o.n, l->o.opt, l->o.val, &l->l), "cuLinkCreate");
    if (err)
        goto fail;
    *out = l;
    return 0;
fail:
    free_linker(l);
    return err;
}

static int link_add(struct dev *d, struct dev_linker *l, uint32_t type, const void *data, size_t n,
                    const char *name, const struct dev_jit_option *opt, unsigned nopt)
{
    struct options o;
    struct cudev_image img;
    char line[256];
    char *text;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (!take_options(&o, opt, nopt))
        return CUDA_ERROR_INVALID_VALUE;
    err = cudev_image_check(data, n, &img, line, sizeof(line));
    cudev_image_drop(&img);
    if (err)
        return err;
    /* PTX goes to the driver with a NUL behind it, which it may count. */
    text = malloc(n + 1);
    if (!text)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(text, data, n);
    text[n] = '\0';
    err = cudev_rc(d,
                   cu.cuLinkAddData_v2(l->l, (CUjitInputType)type, text, n, *name ? name : NULL,
                                       o.n, o.opt, o.val),
                   "cuLinkAddData");
    free(text);
    return err;
}

static int link_complete(struct dev *d, struct dev_linker *l, const void **image, size_t *n)
{
    int err = cudev_enter(d);

    if (!err && !l->image)
        err = cudev_rc(d, cu.cuLinkComplete(l->l, &l->image, &l->image_len), "cuLinkComplete");
    if (err)
        return err;
    *image = l->image;
    *n = l->image_len;
    return 0;
}

static void link_logs(struct dev_linker *l, const char **info, const char **error)
{
    *info = l->info;
    *error = l->error;
}

static int link_destroy(struct dev *d, struct dev_linker *l)
{
    int err = cudev_enter(d);

    if (!err)
        err = cudev_rc(d, cu.cuLinkDestroy(l->l), "cuLinkDestroy");
    free_linker(l);
    return err;
}

/* ---- kernels ------------------------------------------------------------------------------- */

static int link_func_load(struct dev *d, struct dev_func *f)
{
    return cu.cuFuncLoad ? cudev_func_load(d, f) : CUDA_ERROR_NOT_SUPPORTED;
}

static int link_func_loaded(struct dev *d, struct dev_func *f, uint32_t *state)
{
    CUfunctionLoadingState s = CU_FUNCTION_LOADING_STATE_UNLOADED;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (!cu.cuFuncIsLoaded)
        return CUDA_ERROR_NOT_SUPPORTED;
    err = cudev_rc(d, cu.cuFuncIsLoaded(&s, f->f), "cuFuncIsLoaded");
    *state = s;
    return err;
}

static int link_func_cache(struct dev *d, struct dev_func *f, unsigned config)
{
    int err = cudev_func_load(d, f);

    return err ? err
               : cudev_rc(d, cu.cuFuncSetCacheConfig(f->f, (CUfunc_cache)config),
                          "cuFuncSetCacheConfig");
}

/* False: an attribute that holds a handle or a pointer to the program's memory. */
static bool take_attrs(CUlaunchAttribute *to, const struct dev_launch_attr *attr, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        switch (attr[i].id) {
        case DEV_ATTR_IGNORE:
        case DEV_ATTR_ACCESS_WINDOW:
        case DEV_ATTR_COOPERATIVE:
        case DEV_ATTR_CLUSTER:
        case DEV_ATTR_CLUSTER_POLICY:
        case DEV_ATTR_SERIALIZATION:
        case DEV_ATTR_PRIORITY:
        case DEV_ATTR_DOMAIN_MAP:
        case DEV_ATTR_DOMAIN:
        case DEV_ATTR_PREFERRED_CLUSTER:
        case DEV_ATTR_CARVEOUT:
            memcpy(&to[i], &attr[i], sizeof(to[i]));
            break;
        default:
            return false;
        }
    }
    return true;
}

static void geometry(CUlaunchConfig *c, const struct dev_launch *l, CUlaunchAttribute *attr,
                     unsigned nattr, struct dev_stream *s)
{
    *c = (CUlaunchConfig){
        .gridDimX = l->grid[0],
        .gridDimY = l->grid[1],
        .gridDimZ = l->grid[2],
        .blockDimX = l->block[0],
        .blockDimY = l->block[1],
        .blockDimZ = l->block[2],
        .sharedMemBytes = l->shmem,
        .hStream = cudev_stream(s),
        .attrs = attr,
        .numAttrs = nattr,
    };
}

static int link_launch(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                       const struct dev_launch_attr *attr, unsigned nattr, struct dev_stream *s)
{
    size_t len = l->params_len;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)(uintptr_t)l->params,
                     CU_LAUNCH_PARAM_BUFFER_SIZE, &len, CU_LAUNCH_PARAM_END};
    CUlaunchAttribute a[DEV_LAUNCH_ATTRS];
    CUlaunchConfig c;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (len < f->param_end || nattr > DEV_LAUNCH_ATTRS || !take_attrs(a, attr, nattr))
        return CUDA_ERROR_INVALID_VALUE;
    err = cudev_func_ready(d, f);
    if (err)
        return err;
    geometry(&c, l, a, nattr, s);
    return cudev_rc(d, cu.cuLaunchKernelEx(&c, f->f, NULL, len ? extra : NULL), "cuLaunchKernelEx");
}

static int link_shared_available(struct dev *d, struct dev_func *f, int blocks, int block,
                                 uint64_t *bytes)
{
    size_t n = 0;
    int err = cudev_func_load(d, f);

    if (!err)
        err = cudev_rc(d, cu.cuOccupancyAvailableDynamicSMemPerBlock(&n, f->f, blocks, block),
                       "cuOccupancyAvailableDynamicSMemPerBlock");
    *bytes = n;
    return err;
}

static int link_clusters(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                         const struct dev_launch_attr *attr, unsigned nattr, bool largest, int *n)
{
    CUlaunchAttribute a[DEV_LAUNCH_ATTRS];
    CUlaunchConfig c;
    int err = cudev_func_load(d, f);

    if (err)
        return err;
    if (!cu.cuOccupancyMaxActiveClusters || !cu.cuOccupancyMaxPotentialClusterSize)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (nattr > DEV_LAUNCH_ATTRS || !take_attrs(a, attr, nattr))
        return CUDA_ERROR_INVALID_VALUE;
    geometry(&c, l, a, nattr, NULL);
    return cudev_rc(d,
                    largest ? cu.cuOccupancyMaxPotentialClusterSize(n, f->f, &c)
                            : cu.cuOccupancyMaxActiveClusters(n, f->f, &c),
                    "cuOccupancyMaxActiveClusters");
}

/* ---- streams, cache ------------------------------------------------------------------------ */

static int link_stream_get(struct dev *d, struct dev_stream *s, int attr, uint8_t value[64])
{
    CUstreamAttrValue v;
    int err = cudev_enter(d);

    memset(&v, 0, sizeof(v));
    if (!err)
        err = cudev_rc(d, cu.cuStreamGetAttribute(cudev_stream(s), (CUstreamAttrID)attr, &v),
                       "cuStreamGetAttribute");
    memcpy(value, &v, 64);
    return err;
}

static int link_stream_set(struct dev *d, struct dev_stream *s, int attr, const uint8_t value[64])
{
    CUstreamAttrValue v;
    int err = cudev_enter(d);

    if (s)
        s->altered = true;
    memcpy(&v, value, 64);
    return err ? err
               : cudev_rc(d, cu.cuStreamSetAttribute(cudev_stream(s), (CUstreamAttrID)attr, &v),
                          "cuStreamSetAttribute");
}

static int link_stream_copy(struct dev *d, struct dev_stream *dst, struct dev_stream *src)
{
    int err = cudev_enter(d);

    if (dst)
        dst->altered = true;
    return err ? err
               : cudev_rc(d, cu.cuStreamCopyAttributes(cudev_stream(dst), cudev_stream(src)),
                          "cuStreamCopyAttributes");
}

static int link_reset_l2(struct dev *d)
{
    int err = cudev_enter(d);

    return err ? err : cudev_rc(d, cu.cuCtxResetPersistingL2Cache(), "cuCtxResetPersistingL2Cache");
}

/* ---- tensor maps --------------------------------------------------------------------------- */

static CUresult encode(const struct dev_tensor_map *t, CUtensorMap *m)
{
    void *address = (void *)(uintptr_t)t->address;
    CUtensorMapDataType type = (CUtensorMapDataType)t->type;
    CUtensorMapInterleave interleave = (CUtensorMapInterleave)t->interleave;
    CUtensorMapSwizzle swizzle = (CUtensorMapSwizzle)t->swizzle;
    CUtensorMapL2promotion promotion = (CUtensorMapL2promotion)t->promotion;
    CUtensorMapFloatOOBfill fill = (CUtensorMapFloatOOBfill)t->fill;

    switch (t->form) {
    case DEV_TENSOR_TILED:
        return cu.cuTensorMapEncodeTiled
                   ? cu.cuTensorMapEncodeTiled(m, type, t->rank, address, t->dim, t->stride, t->box,
                                               t->step, interleave, swizzle, promotion, fill)
                   : CUDA_ERROR_NOT_SUPPORTED;
    case DEV_TENSOR_IM2COL:
        return cu.cuTensorMapEncodeIm2col
                   ? cu.cuTensorMapEncodeIm2col(m, type, t->rank, address, t->dim, t->stride,
                                                t->lower, t->upper, t->channels, t->pixels, t->step,
                                                interleave, swizzle, promotion, fill)
                   : CUDA_ERROR_NOT_SUPPORTED;
    case DEV_TENSOR_IM2COL_WIDE:
        return cu.cuTensorMapEncodeIm2colWide
                   ? cu.cuTensorMapEncodeIm2colWide(
                         m, type, t->rank, address, t->dim, t->stride, t->lower[0], t->upper[0],
                         t->channels, t->pixels, t->step, interleave,
                         (CUtensorMapIm2ColWideMode)t->mode, swizzle, promotion, fill)
                   : CUDA_ERROR_NOT_SUPPORTED;
    default:
        return cu.cuTensorMapReplaceAddress ? cu.cuTensorMapReplaceAddress(m, address)
                                            : CUDA_ERROR_NOT_SUPPORTED;
    }
}

/* Arrays are long enough for every rank that is allowed. */
static int link_tensor_map(struct dev *d, const struct dev_tensor_map *t, uint8_t map[128])
{
    CUtensorMap m __attribute__((aligned(64)));
    int err = cudev_enter(d);

    if (err)
        return err;
    if (t->form != DEV_TENSOR_MOVE && (t->rank < 1 || t->rank > 5))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&m, map, sizeof(m));
    err = cudev_rc(d, encode(t, &m), "cuTensorMapEncode");
    memcpy(map, &m, sizeof(m));
    return err;
}

const struct dev_link_ops cudev_link_ops = {
    .module_load = link_module_load,
    .link_create = link_create,
    .link_add = link_add,
    .link_complete = link_complete,
    .link_logs = link_logs,
    .link_destroy = link_destroy,
    .func_load = link_func_load,
    .func_loaded = link_func_loaded,
    .func_cache = link_func_cache,
    .launch = link_launch,
    .shared_available = link_shared_available,
    .clusters = link_clusters,
    .stream_get = link_stream_get,
    .stream_set = link_stream_set,
    .stream_copy = link_stream_copy,
    .reset_l2 = link_reset_l2,
    .tensor_map = link_tensor_map,
};
