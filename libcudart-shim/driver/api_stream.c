/* SPDX-License-Identifier: MIT */
/*
 * api_stream.c - streams and events of the driver API.
 */
#include "api.h"
#include "context.h"
#include "objects.h"

static uint64_t ev(CUevent e)
{
    return (uintptr_t)e;
}

CUresult cuStreamCreateWithPriority(CUstream *s, unsigned flags, int priority)
{
    uint64_t h = 0;
    int rc = api_need();

    if (rc == 0)
        rc = s ? gvm_stream_create(flags, priority, &h) : 1;
    if (rc == 0)
        *s = (CUstream)(uintptr_t)h;
    return (CUresult)rc;
}

CUresult cuStreamCreate(CUstream *s, unsigned flags)
{
    return cuStreamCreateWithPriority(s, flags, 0);
}

CUresult cuStreamDestroy(CUstream s)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_stream_destroy(api_stream(s)));
}

/* A stream that was made knows its context: none need be current for a call on it. */
static int enter(CUstream s, bool *entered)
{
    const struct gvm_stream *o = NULL;
    int rc = api_need_init();

    *entered = false;
    if (rc)
        return rc;
    if (!gvm_ctx_current() && api_stream(s) > GVM_STREAM_PER_THREAD && gvm_usable())
        o = gvm_id_get(&gvm_streams, api_stream(s));
    if (!o)
        return api_need();
    *entered = gvm_ctx_push(o->owner ? o->owner : &gvm_primary) == 0;
    return *entered ? 0 : 2;
}

/* A call on a stream, and its twin that takes 0 as the thread's own. */
#define ON_STREAM(name, args, pass, twin_pass, call)                                               \
    GVM_API CUresult name##_ptsz args;                                                             \
    CUresult name args                                                                             \
    {                                                                                              \
        bool entered;                                                                              \
        int rc = enter(s, &entered);                                                               \
                                                                                                   \
        if (rc == 0)                                                                               \
            rc = call;                                                                             \
        if (entered)                                                                               \
            gvm_ctx_pop();                                                                         \
        return (CUresult)rc;                                                                       \
    }                                                                                              \
    CUresult name##_ptsz args                                                                      \
    {                                                                                              \
        return name twin_pass;                                                                     \
    }

static int get_ctx(CUstream s, CUcontext *ctx)
{
    unsigned flags;
    int rc = ctx ? gvm_stream_flags(api_stream(s), &flags) : 1;

    void *owner = rc ? NULL : gvm_stream_owner(api_stream(s));

    if (rc == 0)
        *ctx = owner ? owner : &gvm_primary;
    return rc;
}

static int get_device(CUstream s, CUdevice *dev)
{
    unsigned flags;
    int rc = dev ? gvm_stream_flags(api_stream(s), &flags) : 1;

    if (rc == 0)
        *dev = 0;
    return rc;
}

static int get_id(CUstream s, unsigned long long *id)
{
    uint64_t v = 0;
    int rc = id ? gvm_stream_id(api_stream(s), &v) : 1;

    if (rc == 0)
        *id = v;
    return rc;
}

ON_STREAM(cuStreamQuery, (CUstream s), (s), (api_own(s)), gvm_stream_query(api_stream(s)))
ON_STREAM(cuStreamSynchronize, (CUstream s), (s), (api_own(s)), gvm_stream_sync(api_stream(s)))
ON_STREAM(cuStreamWaitEvent, (CUstream s, CUevent e, unsigned flags), (s, e, flags),
          (api_own(s), e, flags),
          flags > 1 ? 1
          : flags   ? gvm_stream_wait_external(api_stream(s), ev(e))
                    : gvm_stream_wait(api_stream(s), ev(e)))
ON_STREAM(cuStreamGetFlags, (CUstream s, unsigned *flags), (s, flags), (api_own(s), flags),
          flags ? gvm_stream_get_flags(api_stream(s), flags) : 1)
ON_STREAM(cuStreamGetPriority, (CUstream s, int *priority), (s, priority), (api_own(s), priority),
          priority ? gvm_stream_priority(api_stream(s), priority) : 1)
ON_STREAM(cuStreamGetId, (CUstream s, unsigned long long *id), (s, id), (api_own(s), id),
          get_id(s, id))
ON_STREAM(cuStreamGetCtx, (CUstream s, CUcontext *ctx), (s, ctx), (api_own(s), ctx),
          get_ctx(s, ctx))
ON_STREAM(cuStreamGetDevice, (CUstream s, CUdevice *dev), (s, dev), (api_own(s), dev),
          get_device(s, dev))
ON_STREAM(cuEventRecord, (CUevent e, CUstream s), (e, s), (e, api_own(s)),
          gvm_event_record(ev(e), api_stream(s)))
ON_STREAM(cuEventRecordWithFlags, (CUevent e, CUstream s, unsigned flags), (e, s, flags),
          (e, api_own(s), flags),
          flags > 1 ? 1
          : flags   ? gvm_event_record_external(ev(e), api_stream(s))
                    : gvm_event_record(ev(e), api_stream(s)))

CUresult cuEventCreate(CUevent *e, unsigned flags)
{
    uint64_t h = 0;
    int rc = api_need();

    if (rc == 0)
        rc = e ? gvm_event_create(flags, &h) : 1;
    if (rc == 0)
        *e = (CUevent)(uintptr_t)h;
    return (CUresult)rc;
}

CUresult cuEventDestroy(CUevent e)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_event_destroy(ev(e)));
}

CUresult cuEventQuery(CUevent e)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_event_query(ev(e)));
}

CUresult cuEventSynchronize(CUevent e)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_event_sync(ev(e)));
}

CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_event_elapsed(ev(start), ev(end), ms));
}

/* The form before 12.8 differs only in the precision that it promises. */
#undef cuEventElapsedTime
GVM_API CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end);
CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end)
{
    return cuEventElapsedTime_v2(ms, start, end);
}

/* The form that tells green contexts too, of which there are none. */
static int get_ctx_v2(CUstream s, CUcontext *ctx, CUgreenCtx *green)
{
    int rc = ctx && green ? get_ctx(s, ctx) : 1;

    if (rc == 0)
        *green = NULL;
    return rc;
}

ON_STREAM(cuStreamGetCtx_v2, (CUstream s, CUcontext *ctx, CUgreenCtx *green), (s, ctx, green),
          (api_own(s), ctx, green), get_ctx_v2(s, ctx, green))
