/* SPDX-License-Identifier: MIT */
/*
 * launch_ex.c - launches with attributes, occupancy of clusters, attributes of streams.
 */
#include "rt.h"

#include <string.h>

_Static_assert(sizeof(cudaLaunchAttribute) == sizeof(struct gvm_attr), "launch attributes");

/* More than 4 GiB of shared memory wraps, as it does natively. */
static void take(const cudaLaunchConfig_t *cfg, struct gvm_launch *l)
{
    *l = (struct gvm_launch){
        .grid = {cfg->gridDim.x, cfg->gridDim.y, cfg->gridDim.z},
        .block = {cfg->blockDim.x, cfg->blockDim.y, cfg->blockDim.z},
        .shmem = (uint32_t)cfg->dynamicSmemBytes,
    };
}

static cudaError_t launch_ex(const cudaLaunchConfig_t *cfg, const void *func, void **args,
                             cudaStream_t stream)
{
    struct gvm_launch l;
    struct gvm_func *f;
    int err = cfg ? rt_func_of(func, &f) : 1;

    if (err)
        return rt_done(err);
    take(cfg, &l);
    l.stream = rt_stream(stream);
    l.params = args;
    return rt_done(gvm_launch_ex(f, &l, (const struct gvm_attr *)cfg->attrs, cfg->numAttrs));
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *cfg, const void *func, void **args)
{
    return launch_ex(cfg, func, args, cfg ? cfg->stream : NULL);
}

RT_API cudaError_t cudaLaunchKernelExC_ptsz(const cudaLaunchConfig_t *cfg, const void *func,
                                            void **args)
{
    return launch_ex(cfg, func, args, rt_own(cfg ? cfg->stream : NULL));
}

/* ---- occupancy: natively no last error stays behind --------------------------------------------------------------------------- */

cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, const void *func, int blocks,
                                                      int block)
{
    struct gvm_func *f;
    int err = bytes ? rt_func_of(func, &f) : 1;

    return (cudaError_t)(err ? err : gvm_shared_available(f, blocks, block, bytes));
}

static cudaError_t clusters(int *n, const void *func, const cudaLaunchConfig_t *cfg, bool largest)
{
    struct gvm_launch l;
    struct gvm_func *f;
    int err = n && cfg ? rt_func_of(func, &f) : 1;

    if (err == 0)
        take(cfg, &l);
    return (cudaError_t)(err ? err
                             : gvm_clusters(f, &l, (const struct gvm_attr *)cfg->attrs,
                                            cfg->numAttrs, largest, n));
}

cudaError_t cudaOccupancyMaxActiveClusters(int *n, const void *func, const cudaLaunchConfig_t *cfg)
{
    return clusters(n, func, cfg, false);
}

cudaError_t cudaOccupancyMaxPotentialClusterSize(int *n, const void *func,
                                                 const cudaLaunchConfig_t *cfg)
{
    return clusters(n, func, cfg, true);
}

/* ---- streams ----------------------------------------------------------------------------- */

cudaError_t cudaStreamGetAttribute(cudaStream_t s, cudaStreamAttrID attr, cudaStreamAttrValue *v)
{
    return rt_done(gvm_stream_attr_get(rt_stream(s), (int)attr, v));
}

cudaError_t cudaStreamSetAttribute(cudaStream_t s, cudaStreamAttrID attr,
                                   const cudaStreamAttrValue *v)
{
    return rt_done(gvm_stream_attr_set(rt_stream(s), (int)attr, v));
}

cudaError_t cudaStreamCopyAttributes(cudaStream_t dst, cudaStream_t src)
{
    return rt_done(gvm_stream_attr_copy(rt_stream(dst), rt_stream(src)));
}

RT_API cudaError_t cudaStreamGetAttribute_ptsz(cudaStream_t s, cudaStreamAttrID attr,
                                               cudaStreamAttrValue *v)
{
    return cudaStreamGetAttribute(rt_own(s), attr, v);
}

RT_API cudaError_t cudaStreamSetAttribute_ptsz(cudaStream_t s, cudaStreamAttrID attr,
                                               const cudaStreamAttrValue *v)
{
    return cudaStreamSetAttribute(rt_own(s), attr, v);
}

RT_API cudaError_t cudaStreamCopyAttributes_ptsz(cudaStream_t dst, cudaStream_t src)
{
    return cudaStreamCopyAttributes(rt_own(dst), rt_own(src));
}

cudaError_t cudaCtxResetPersistingL2Cache(void)
{
    return rt_done(gvm_reset_l2());
}
