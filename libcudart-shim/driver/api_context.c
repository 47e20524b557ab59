/* SPDX-License-Identifier: MIT */
/*
 * api_context.c - cuInit, devices, contexts.
 */
#include "api.h"
#include "array.h"
#include "errors.h"
#include "objects.h"
#include "module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CTX_MAGIC 0x63747821u
#define STACK_MAX 64

struct CUctx_st {
    uint32_t magic;
    uint32_t flags;
    uint64_t id;
    struct CUctx_st *next;
};

static struct CUctx_st primary = {.magic = CTX_MAGIC, .id = 1};
static struct {
    pthread_mutex_t lock;
    bool inited;
    uint32_t retained; /* of the primary context, by the program */
    struct CUctx_st *first;
    uint64_t ids;
} contexts = {.lock = PTHREAD_MUTEX_INITIALIZER, .ids = 1};

static __thread struct {
    int n;
    CUcontext v[STACK_MAX];
} stack __attribute__((tls_model("initial-exec")));

static bool runtime_here; /* libcudart.so.13 makes the primary context current by itself */

void gvm_runtime_loaded(void)
{
    runtime_here = true;
}

CUcontext api_current(void)
{
    if (stack.n)
        return stack.v[stack.n - 1];
    return runtime_here && gvm_usable() ? &primary : NULL;
}

void *gvm_owner(void)
{
    CUcontext c = stack.n ? stack.v[stack.n - 1] : NULL;

    return c == &primary ? NULL : c;
}

int api_need_init(void)
{
    int rc = gvm_stale();

    if (rc)
        return rc;
    return __atomic_load_n(&contexts.inited, __ATOMIC_ACQUIRE) || runtime_here ? 0 : 3;
}

int api_need(void)
{
    int rc = api_need_init();

    return rc ? rc : api_current() ? 0 : 201;
}

static bool known(CUcontext c)
{
    struct CUctx_st *k;

    if (c == &primary)
        return true;
    pthread_mutex_lock(&contexts.lock);
    for (k = contexts.first; k && k != c; k = k->next)
        ;
    pthread_mutex_unlock(&contexts.lock);
    return k != NULL;
}

/* ---- initialisation, errors, devices ------------------------------------------------------- */

CUresult cuInit(unsigned flags)
{
    int rc;

    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    rc = gvm_init();
    if (rc == 0)
        __atomic_store_n(&contexts.inited, true, __ATOMIC_RELEASE);
    return (CUresult)rc;
}

CUresult cuDriverGetVersion(int *version)
{
    const struct vgpu_device_info *d;
    int rc;

    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    d = gvm_device(&rc);
    *version = d && d->driver_version < CUDA_VERSION ? d->driver_version : CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char **s)
{
    const struct gvm_error *e = gvm_error_info((int)error);

    if (!s)
        return CUDA_ERROR_INVALID_VALUE;
    *s = e ? e->driver : NULL;
    return *s ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **s)
{
    const struct gvm_error *e = gvm_error_info((int)error);

    if (!s)
        return CUDA_ERROR_INVALID_VALUE;
    *s = e && e->driver ? e->text : NULL;
    return *s ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* The description of device `dev`; NULL with *rc set. */
static const struct vgpu_device_info *device(CUdevice dev, const void *out, int *rc)
{
    *rc = api_need_init();
    if (*rc)
        return NULL;
    *rc = !out ? 1 : dev != 0 ? 101 : 0;
    return *rc ? NULL : gvm_device(rc);
}

CUresult cuDeviceGetCount(int *n)
{
    int rc = api_need_init();

    if (rc == 0 && !n)
        rc = 1;
    if (rc == 0)
        *n = 1;
    return (CUresult)rc;
}

CUresult cuDeviceGet(CUdevice *dev, int ordinal)
{
    int rc;

    device(ordinal, dev, &rc);
    if (rc == 0)
        *dev = 0;
    return (CUresult)rc;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, name, &rc);

    if (d && len > 0)
        snprintf(name, (size_t)len, "%s", d->name);
    return (CUresult)(d && len <= 0 ? 1 : rc);
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, uuid, &rc);

    if (d)
        memcpy(uuid->bytes, d->uuid, sizeof(uuid->bytes));
    return (CUresult)rc;
}

#undef cuDeviceGetUuid
GVM_API CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev);
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
    return cuDeviceGetUuid_v2(uuid, dev);
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, bytes, &rc);

    if (d)
        *bytes = d->total_mem;
    return (CUresult)rc;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attr, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, value, &rc);

    if (d && ((int)attr < 1 || attr >= CU_DEVICE_ATTRIBUTE_MAX))
        rc = 1;
    if (rc == 0)
        *value = d->attr[attr];
    return (CUresult)rc;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, major && minor ? major : NULL, &rc);

    if (d) {
        *major = d->attr[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR];
        *minor = d->attr[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR];
    }
    return (CUresult)rc;
}

CUresult cuDeviceGetPCIBusId(char *id, int len, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, id, &rc);

    if (d && (len <= 0 || snprintf(id, (size_t)len, "%s", d->pci_bus_id) >= len))
        rc = 1;
    return (CUresult)rc;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice dev, CUdevice peer)
{
    int rc;

    device(dev | peer, can, &rc);
    if (rc == 0)
        *can = 0;
    return (CUresult)rc;
}

/* ---- the primary context ------------------------------------------------------------------- */

CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice dev)
{
    int rc;

    device(dev, ctx, &rc);
    if (rc)
        return (CUresult)rc;
    pthread_mutex_lock(&contexts.lock);
    contexts.retained++;
    pthread_mutex_unlock(&contexts.lock);
    *ctx = &primary;
    return CUDA_SUCCESS;
}

/* The last release ends what the context holds, unless the runtime uses it as well. */
CUresult cuDevicePrimaryCtxRelease(CUdevice dev)
{
    bool last = false;
    int rc;

    device(dev, &rc, &rc);
    if (rc)
        return (CUresult)rc;
    pthread_mutex_lock(&contexts.lock);
    if (!contexts.retained)
        rc = 201;
    else
        last = --contexts.retained == 0 && !runtime_here && !contexts.first;
    pthread_mutex_unlock(&contexts.lock);
    return (CUresult)(last ? gvm_reset() : rc);
}

CUresult cuDevicePrimaryCtxReset(CUdevice dev)
{
    int rc;

    device(dev, &rc, &rc);
    return (CUresult)(rc ? rc : gvm_reset());
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice dev, unsigned flags)
{
    int rc;

    device(dev, &rc, &rc);
    if (rc == 0 && flags & ~(unsigned)CU_CTX_FLAGS_MASK)
        rc = 1;
    if (rc == 0)
        primary.flags = flags;
    return (CUresult)rc;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice dev, unsigned *flags, int *active)
{
    int rc;

    device(dev, flags && active ? flags : NULL, &rc);
    if (rc)
        return (CUresult)rc;
    pthread_mutex_lock(&contexts.lock);
    *flags = primary.flags;
    *active = contexts.retained || runtime_here;
    pthread_mutex_unlock(&contexts.lock);
    return CUDA_SUCCESS;
}

/* ---- contexts ------------------------------------------------------------------------------ */

static CUresult push(CUcontext ctx)
{
    if (stack.n == STACK_MAX)
        return CUDA_ERROR_OUT_OF_MEMORY;
    stack.v[stack.n++] = ctx;
    return CUDA_SUCCESS;
}

static CUresult create(CUcontext *ctx, unsigned flags, CUdevice dev)
{
    struct CUctx_st *c;
    CUresult err;
    int rc;

    device(dev, ctx, &rc);
    if (rc == 0 && flags & ~(unsigned)CU_CTX_FLAGS_MASK)
        rc = 1;
    if (rc)
        return (CUresult)rc;
    c = calloc(1, sizeof(*c));
    if (!c)
        return CUDA_ERROR_OUT_OF_MEMORY;
    c->magic = CTX_MAGIC;
    c->flags = flags;
    err = push(c);
    if (err) {
        free(c);
        return err;
    }
    pthread_mutex_lock(&contexts.lock);
    c->id = ++contexts.ids;
    c->next = contexts.first;
    contexts.first = c;
    pthread_mutex_unlock(&contexts.lock);
    *ctx = c;
    return CUDA_SUCCESS;
}

/* cuCtxCreate of CUDA 13; affinity and CIG parameters are not supported. */
CUresult cuCtxCreate(CUcontext *ctx, CUctxCreateParams *params, unsigned flags, CUdevice dev)
{
    static uint32_t said;

    if (params &&
        (params->execAffinityParams || params->numExecAffinityParams || params->cigParams))
        return (CUresult)gvm_refuse("cuCtxCreate with parameters", &said);
    return create(ctx, flags, dev);
}

#undef cuCtxCreate
#undef cuCtxCreate_v2
GVM_API CUresult cuCtxCreate(CUcontext *ctx, unsigned flags, CUdevice dev);
GVM_API CUresult cuCtxCreate_v2(CUcontext *ctx, unsigned flags, CUdevice dev);
CUresult cuCtxCreate_v2(CUcontext *ctx, unsigned flags, CUdevice dev)
{
    return create(ctx, flags, dev);
}

CUresult cuCtxCreate(CUcontext *ctx, unsigned flags, CUdevice dev)
{
    return create(ctx, flags, dev);
}

static void end_stream(void *obj, void *owner)
{
    struct gvm_stream *s = obj;

    if (s->owner == owner)
        gvm_stream_destroy(gvm_handle(&gvm_streams, s));
}

static void end_event(void *obj, void *owner)
{
    struct gvm_event *e = obj;

    if (e->owner == owner && !e->internal)
        gvm_event_destroy(gvm_handle(&gvm_events, e));
}

CUresult cuCtxDestroy(CUcontext ctx)
{
    struct CUctx_st **at;
    struct gvm_range g;
    int rc = api_need_init();

    if (rc)
        return (CUresult)rc;
    if (!ctx || ctx == &primary || !known(ctx))
        return CUDA_ERROR_INVALID_CONTEXT;
    gvm_ctx_sync();
    gvm_id_each(&gvm_streams, end_stream, ctx);
    gvm_id_each(&gvm_events, end_event, ctx);
    gvm_modules_unload_owned(ctx);
    gvm_textures_end(ctx, false);
    gvm_arrays_end(ctx, false);
    while (gvm_ranges_take_owned(&gvm_allocs, ctx, &g))
        gvm_range_release(&g);
    pthread_mutex_lock(&contexts.lock);
    for (at = &contexts.first; *at && *at != ctx; at = &(*at)->next)
        ;
    if (*at)
        *at = ctx->next;
    pthread_mutex_unlock(&contexts.lock);
    if (stack.n && stack.v[stack.n - 1] == ctx)
        stack.n--;
    ctx->magic = 0;
    free(ctx);
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext ctx)
{
    int rc = api_need_init();

    if (rc)
        return (CUresult)rc;
    return ctx && known(ctx) ? push(ctx) : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuCtxPopCurrent(CUcontext *ctx)
{
    int rc = api_need();

    if (rc)
        return (CUresult)rc;
    if (!stack.n)
        return CUDA_ERROR_INVALID_CONTEXT;
    stack.n--;
    if (ctx)
        *ctx = stack.v[stack.n];
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext ctx)
{
    int rc = api_need_init();

    if (rc)
        return (CUresult)rc;
    if (!ctx) {
        if (stack.n)
            stack.n--;
        return CUDA_SUCCESS;
    }
    if (!known(ctx))
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!stack.n)
        return push(ctx);
    stack.v[stack.n - 1] = ctx;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *ctx)
{
    int rc = api_need_init();

    if (rc == 0 && !ctx)
        rc = 1;
    if (rc == 0)
        *ctx = api_current();
    return (CUresult)rc;
}

CUresult cuCtxGetDevice(CUdevice *dev)
{
    int rc = api_need();

    if (rc == 0 && !dev)
        rc = 1;
    if (rc == 0)
        *dev = 0;
    return (CUresult)rc;
}

CUresult cuCtxGetFlags(unsigned *flags)
{
    int rc = api_need();

    if (rc == 0 && !flags)
        rc = 1;
    if (rc == 0)
        *flags = api_current()->flags | CU_CTX_MAP_HOST;
    return (CUresult)rc;
}

CUresult cuCtxGetId(CUcontext ctx, unsigned long long *id)
{
    int rc = api_need_init();

    if (rc == 0 && !ctx)
        ctx = api_current();
    if (rc == 0 && (!ctx || !known(ctx)))
        rc = 201;
    if (rc == 0 && !id)
        rc = 1;
    if (rc == 0)
        *id = ctx->id;
    return (CUresult)rc;
}

CUresult cuCtxGetApiVersion(CUcontext ctx, unsigned *version)
{
    int rc = api_need_init();

    if (rc == 0 && !version)
        rc = 1;
    if (rc == 0 && ctx && !known(ctx))
        rc = 201;
    if (rc == 0)
        *version = 3020; /* all that this call has ever answered since */
    return (CUresult)rc;
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

/* A preference between L1 and shared memory: kept, told, without effect on results. */
static uint32_t cache_now;

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
    int rc = api_need();

    if (rc == 0 && (unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        rc = 1;
    if (rc == 0)
        __atomic_store_n(&cache_now, (uint32_t)config, __ATOMIC_RELAXED);
    return (CUresult)rc;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *config)
{
    int rc = api_need();

    if (rc == 0 && !config)
        rc = 1;
    if (rc == 0)
        *config = (CUfunc_cache)__atomic_load_n(&cache_now, __ATOMIC_RELAXED);
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
