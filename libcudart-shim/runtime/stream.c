/* SPDX-License-Identifier: MIT */
/*
 * stream.c - streams and events.
 */
#include "rt.h"

static cudaError_t create(cudaStream_t *s, unsigned flags, int priority)
{
    uint64_t h = 0;
    int err;

    if (!s)
        return rt_done(1);
    err = gvm_stream_create(flags, priority, &h);
    if (err == 0)
        *s = (cudaStream_t)(uintptr_t)h;
    return rt_done(err);
}

cudaError_t cudaStreamCreate(cudaStream_t *s)
{
    return create(s, 0, 0);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    return create(s, flags, 0);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *s, unsigned flags, int priority)
{
    return create(s, flags, priority);
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    return rt_done(gvm_stream_destroy(rt_stream(s)));
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    return rt_done(gvm_stream_sync(rt_stream(s)));
}

RT_API cudaError_t cudaStreamSynchronize_ptsz(cudaStream_t s)
{
    return cudaStreamSynchronize(rt_own(s));
}

cudaError_t cudaStreamQuery(cudaStream_t s)
{
    return rt_done(gvm_barred() ? 800 : gvm_stream_query(rt_stream(s)));
}

RT_API cudaError_t cudaStreamQuery_ptsz(cudaStream_t s)
{
    return cudaStreamQuery(rt_own(s));
}

/* flags: cudaEventWaitDefault 0; external (1) only in a capture. */
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags)
{
    return rt_done(flags > 1 ? 1
                   : flags   ? gvm_stream_wait_external(rt_stream(s), (uintptr_t)e)
                             : gvm_stream_wait(rt_stream(s), (uintptr_t)e));
}

RT_API cudaError_t cudaStreamWaitEvent_ptsz(cudaStream_t s, cudaEvent_t e, unsigned flags)
{
    return cudaStreamWaitEvent(rt_own(s), e, flags);
}

cudaError_t cudaStreamGetFlags(cudaStream_t s, unsigned *flags)
{
    return rt_done(flags ? gvm_stream_get_flags(rt_stream(s), flags) : 1);
}

RT_API cudaError_t cudaStreamGetFlags_ptsz(cudaStream_t s, unsigned *flags)
{
    return cudaStreamGetFlags(rt_own(s), flags);
}

cudaError_t cudaStreamGetPriority(cudaStream_t s, int *priority)
{
    return rt_done(priority ? gvm_stream_priority(rt_stream(s), priority) : 1);
}

RT_API cudaError_t cudaStreamGetPriority_ptsz(cudaStream_t s, int *priority)
{
    return cudaStreamGetPriority(rt_own(s), priority);
}

cudaError_t cudaStreamGetId(cudaStream_t s, unsigned long long *id)
{
    uint64_t v = 0;
    int err = id ? gvm_stream_id(rt_stream(s), &v) : 1;

    if (err == 0)
        *id = v;
    return rt_done(err);
}

RT_API cudaError_t cudaStreamGetId_ptsz(cudaStream_t s, unsigned long long *id)
{
    return cudaStreamGetId(rt_own(s), id);
}

cudaError_t cudaStreamGetDevice(cudaStream_t s, int *device)
{
    unsigned flags;
    int err = device ? gvm_stream_flags(rt_stream(s), &flags) : 1;

    if (err == 0)
        *device = 0;
    return rt_done(err);
}

RT_API cudaError_t cudaStreamGetDevice_ptsz(cudaStream_t s, int *device)
{
    return cudaStreamGetDevice(rt_own(s), device);
}

/* ---- events ------------------------------------------------------------------------------ */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags)
{
    uint64_t h = 0;
    int err;

    if (!e)
        return rt_done(1);
    err = gvm_event_create(flags, &h);
    if (err == 0)
        *e = (cudaEvent_t)(uintptr_t)h;
    return rt_done(err);
}

cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    return cudaEventCreateWithFlags(e, 0);
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    return rt_done(gvm_event_destroy((uintptr_t)e));
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    return rt_done(gvm_event_record((uintptr_t)e, rt_stream(s)));
}

RT_API cudaError_t cudaEventRecord_ptsz(cudaEvent_t e, cudaStream_t s)
{
    return cudaEventRecord(e, rt_own(s));
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t e, cudaStream_t s, unsigned flags)
{
    return flags == 1 ? rt_done(gvm_event_record_external((uintptr_t)e, rt_stream(s)))
                      : (flags ? rt_done(1) : cudaEventRecord(e, s));
}

RT_API cudaError_t cudaEventRecordWithFlags_ptsz(cudaEvent_t e, cudaStream_t s, unsigned flags)
{
    return cudaEventRecordWithFlags(e, rt_own(s), flags);
}

cudaError_t cudaEventQuery(cudaEvent_t e)
{
    return rt_done(gvm_event_query((uintptr_t)e));
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    return rt_done(gvm_event_sync((uintptr_t)e));
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    return rt_done(gvm_event_elapsed((uintptr_t)start, (uintptr_t)end, ms));
}
