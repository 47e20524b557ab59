/* SPDX-License-Identifier: MIT */
/*
 * api_context.c - contexts of the driver interface.
 */
#include "api.h"
#include "context.h"

#define API_VERSION 3020 /* all that cuCtxGetApiVersion has ever answered since */

CUcontext api_current(void)
{
    return gvm_ctx_current();
}

int api_need(void)
{
    const struct CUctx_st *c = gvm_ctx_current();
    int rc = api_need_init();

    if (rc)
        return rc;
    if (!c)
        return 201;
    return c->dead || (c == &gvm_primary && !gvm_primary_active()) ? 709 : 0;
}

/* The device must be there. */
static int need_device(CUdevice dev, const void *out)
{
    int rc = api_need_init();

    return rc ? rc : !out ? 1 : dev != 0 ? 101 : gvm_connected();
}

/* ---- the primary context ------------------------------------------------------------------- */

CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice dev)
{
    int rc = need_device(dev, ctx);

    if (rc == 0)
        rc = gvm_sticky();
    if (rc)
        return (CUresult)rc;
    gvm_primary_retain();
    *ctx = &gvm_primary;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice dev)
{
    int rc = need_device(dev, &rc);

    return (CUresult)(rc ? rc : gvm_primary_release());
}

CUresult cuDevicePrimaryCtxReset(CUdevice dev)
{
    int rc = need_device(dev, &rc);

    return (CUresult)(rc ? rc : gvm_primary_reset());
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice dev, unsigned flags)
{
    int rc = need_device(dev, &rc);

    return (CUresult)(rc ? rc : gvm_set_primary_flags(flags));
}

CUresult cuDevicePrimaryCtxGetState(CUdevice dev, unsigned *flags, int *active)
{
    int rc = need_device(dev, flags && active ? flags : NULL);

    if (rc)
        return (CUresult)rc;
    *flags = gvm_primary_flags();
    *active = gvm_primary_active();
    return CUDA_SUCCESS;
}

/* ---- contexts ------------------------------------------------------------------------------ */

static CUresult create(CUcontext *ctx, unsigned flags, CUdevice dev)
{
    unsigned sched = flags & CU_CTX_SCHED_MASK;
    int rc = need_device(dev, ctx);

    if (rc == 0 && (flags & ~(unsigned)CU_CTX_FLAGS_MASK || sched & (sched - 1)))
        rc = 1;
    if (rc == 0)
        rc = gvm_sticky();
    /* A dump that the user triggers is told as one that comes by itself. */
    if (flags & CU_CTX_USER_COREDUMP_ENABLE)
        flags = (flags & ~(unsigned)CU_CTX_USER_COREDUMP_ENABLE) | CU_CTX_COREDUMP_ENABLE;
    if (rc == 0)
        *ctx = gvm_ctx_create(flags, API_VERSION, &rc);
    return (CUresult)rc;
}

/* A part of the device's multiprocessors is not to be had: shares are the host's to give. */
static int refuse_affinity(const CUexecAffinityParam *list, int n)
{
    static uint32_t said;

    if (n < 0 || (n && !list))
        return 1;
    return n ? gvm_refuse("cuCtxCreate with an execution affinity", &said) : 0;
}

/* cuCtxCreate of CUDA 13. */
CUresult cuCtxCreate(CUcontext *ctx, CUctxCreateParams *p, unsigned flags, CUdevice dev)
{
    static uint32_t said;
    int rc = 0;

    if (p && p->cigParams)
        rc = gvm_refuse("cuCtxCreate for CUDA in graphics", &said);
    else if (p)
        rc = refuse_affinity(p->execAffinityParams, p->numExecAffinityParams);
    return rc ? (CUresult)rc : create(ctx, flags, dev);
}

#undef cuCtxCreate
#undef cuCtxCreate_v2
#undef cuCtxCreate_v3
GVM_API CUresult cuCtxCreate(CUcontext *ctx, unsigned flags, CUdevice dev);
GVM_API CUresult cuCtxCreate_v2(CUcontext *ctx, unsigned flags, CUdevice dev);
GVM_API CUresult cuCtxCreate_v3(CUcontext *ctx, CUexecAffinityParam *list, int n, unsigned flags,
                                CUdevice dev);
CUresult cuCtxCreate_v3(CUcontext *ctx, CUexecAffinityParam *list, int n, unsigned flags,
                        CUdevice dev)
{
    int rc = refuse_affinity(list, n);

    return rc ? (CUresult)rc : create(ctx, flags, dev);
}

CUresult cuCtxCreate_v2(CUcontext *ctx, unsigned flags, CUdevice dev)
{
    return create(ctx, flags, dev);
}

CUresult cuCtxCreate(CUcontext *ctx, unsigned flags, CUdevice dev)
{
    return create(ctx, flags, dev);
}

CUresult cuCtxDestroy(CUcontext ctx)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_ctx_destroy(ctx));
}

CUresult cuCtxPushCurrent(CUcontext ctx)
{
    int rc = api_need_init();

    if (rc == 0)
        rc = !ctx ? 1 : gvm_ctx_known(ctx) ? gvm_ctx_push(ctx) : 201;
    return (CUresult)rc;
}

CUresult cuCtxPopCurrent(CUcontext *ctx)
{
    int rc = api_need_init();
    CUcontext c;

    if (rc)
        return (CUresult)rc;
    c = gvm_ctx_pop();
    if (!c)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (ctx)
        *ctx = c;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext ctx)
{
    int rc = api_need_init();

    if (rc == 0)
        rc = !ctx || gvm_ctx_known(ctx) ? gvm_ctx_set(ctx) : 201;
    return (CUresult)rc;
}

CUresult cuCtxGetCurrent(CUcontext *ctx)
{
    int rc = api_need_init();

    if (rc == 0 && gvm_barred())
        rc = 800;
    if (rc == 0 && !ctx)
        rc = 1;
    if (rc == 0)
        *ctx = gvm_ctx_current();
    return (CUresult)rc;
}

/* ctx, or the current one for NULL; NULL with *rc set. */
static CUcontext named(CUcontext ctx, int *rc)
{
    *rc = ctx ? api_need_init() : api_need();
    if (*rc)
        return NULL;
    if (!ctx)
        return gvm_ctx_current();
    *rc = !gvm_ctx_known(ctx) ? 201 : ctx->dead ? 709 : 0;
    return *rc ? NULL : ctx;
}

CUresult cuCtxGetDevice_v2(CUdevice *dev, CUcontext ctx)
{
    int rc;

    if (named(ctx, &rc) && !dev)
        rc = 1;
    if (rc == 0)
        *dev = 0;
    return (CUresult)rc;
}

CUresult cuCtxGetDevice(CUdevice *dev)
{
    return gvm_barred() ? CUDA_ERROR_NOT_PERMITTED : cuCtxGetDevice_v2(dev, NULL);
}

CUresult cuCtxGetFlags(unsigned *flags)
{
    int rc = api_need();
    CUcontext c = gvm_ctx_current();

    if (rc == 0 && !flags)
        rc = 1;
    if (rc == 0)
        *flags = c->flags | (c == &gvm_primary ? CU_CTX_MAP_HOST : 0);
    return (CUresult)rc;
}

CUresult cuCtxSetFlags(unsigned flags)
{
    unsigned sched = flags & CU_CTX_SCHED_MASK;
    int rc = api_need();

    if (rc == 0 && (flags & ~(unsigned)CU_CTX_FLAGS_MASK || sched & (sched - 1)))
        rc = 1;
    if (rc == 0)
        __atomic_store_n(&gvm_ctx_current()->flags, flags, __ATOMIC_RELAXED);
    return (CUresult)rc;
}

CUresult cuCtxGetId(CUcontext ctx, unsigned long long *id)
{
    int rc;
    CUcontext c = named(ctx, &rc);

    if (c && !id)
        rc = 1;
    if (rc == 0)
        *id = c->id;
    return (CUresult)rc;
}

CUresult cuCtxGetApiVersion(CUcontext ctx, unsigned *version)
{
    int rc;
    CUcontext c = named(ctx, &rc);

    if (rc == 709)
        rc = 201;
    if (c && !version)
        rc = 1;
    if (rc == 0)
        *version = c->api_version;
    return (CUresult)rc;
}

CUresult cuCtxGetExecAffinity(CUexecAffinityParam *p, CUexecAffinityType type)
{
    const struct vgpu_device_info *d;
    int rc = api_need();

    if (rc == 0)
        rc = !p                                            ? 1
             : (unsigned)type >= CU_EXEC_AFFINITY_TYPE_MAX ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY
                                                           : 0;
    if (rc)
        return (CUresult)rc;
    d = gvm_device(&rc);
    if (d) {
        p->type = type;
        p->param.smCount.val = (unsigned)d->attr[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT];
    }
    return (CUresult)rc;
}

CUresult cuCtxSynchronize_v2(CUcontext ctx)
{
    int rc;

    return (CUresult)(named(ctx, &rc) ? gvm_ctx_sync() : rc);
}

CUresult cuCtxSynchronize(void)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_ctx_sync());
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_set_limit((int)limit, value));
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit)
{
    uint64_t v = 0;
    int rc = api_need();

    if (rc == 0)
        rc = value ? gvm_get_limit((int)limit, &v) : 1;
    if (rc == 0)
        *value = v;
    return (CUresult)rc;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    const struct vgpu_device_info *d = NULL;
    int rc = api_need();

    if (rc == 0)
        d = gvm_device(&rc);
    if (d && least)
        *least = d->prio_least;
    if (d && greatest)
        *greatest = d->prio_greatest;
    return (CUresult)rc;
}

/* ---- preferences --------------------------------------------------------------------------- */

int gvm_cache_config(int set)
{
    static int now;

    if (set >= 0)
        __atomic_store_n(&now, set, __ATOMIC_RELAXED);
    return __atomic_load_n(&now, __ATOMIC_RELAXED);
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
    int rc = api_need();

    if (rc == 0 && (unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        rc = 1;
    if (rc == 0)
        gvm_cache_config((int)config);
    return (CUresult)rc;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *config)
{
    int rc = api_need();

    if (rc == 0 && !config)
        rc = 1;
    if (rc == 0)
        *config = (CUfunc_cache)gvm_cache_config(-1);
    return (CUresult)rc;
}

/* Banks of shared memory have four octets on all devices there are. */
CUresult cuCtxSetSharedMemConfig(CUsharedconfig config)
{
    int rc = api_need();

    if (rc == 0 && (unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
        rc = 1;
    return (CUresult)rc;
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig *config)
{
    int rc = api_need();

    if (rc == 0 && !config)
        rc = 1;
    if (rc == 0)
        *config = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
    return (CUresult)rc;
}

CUresult cuProfilerStart(void)
{
    return (CUresult)api_need();
}

CUresult cuProfilerStop(void)
{
    return (CUresult)api_need();
}

/* ---- peers: there is nobody else ------------------------------------------------------------ */

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags)
{
    int rc = api_need();

    if (rc == 0)
        rc = !peer || !gvm_ctx_known(peer) ? 201 : flags ? 1 : 217;
    return (CUresult)rc;
}

CUresult cuCtxDisablePeerAccess(CUcontext peer)
{
    int rc = api_need();

    if (rc == 0)
        rc = !peer || !gvm_ctx_known(peer) ? 201 : 705;
    return (CUresult)rc;
}
