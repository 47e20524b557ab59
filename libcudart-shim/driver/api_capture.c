/* SPDX-License-Identifier: MIT */
/*
 * api_capture.c - stream capture: the driver API.
 */
#include "capture_int.h"

CUresult cuStreamBeginCapture(CUstream s, CUstreamCaptureMode mode)
{
    return (CUresult)gvm_cap_open(s, NULL, false, NULL, 0, mode);
}

CUresult cuStreamBeginCaptureToGraph(CUstream s, CUgraph g, const CUgraphNode *deps,
                                     const CUgraphEdgeData *data, size_t n,
                                     CUstreamCaptureMode mode)
{
    return (CUresult)gvm_cap_open(s, g, true, deps, n, mode);
}

CUresult cuStreamEndCapture(CUstream s, CUgraph *out)
{
    CUgraph g = NULL;
    int rc = api_need();

    if (rc)
        return (CUresult)rc;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = gvm_cap_close(api_stream(s), &g, out != NULL);
    pthread_mutex_unlock(&gvm_graph_lock);
    if (out)
        *out = g;
    return (CUresult)rc;
}

static int info(CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *g,
                const CUgraphNode **deps, const CUgraphEdgeData **data, size_t *n)
{
    uint64_t h = api_stream(s);
    struct gvm_capture *c;
    struct gvm_cap_member *m;
    struct gvm_sref ref;
    struct gvm_chan *ch;
    int rc = api_need();

    if (rc == 0)
        rc = gvm_need(&ch);
    if (rc == 0)
        rc = gvm_stream_ref(h, &ref);
    if (rc == 0 && gvm_chan_barred())
        rc = 800;
    if (rc || !status)
        return rc ? rc : 1;
    *status = CU_STREAM_CAPTURE_STATUS_NONE;
    if (!gvm_capturing())
        return 0;
    pthread_mutex_lock(&gvm_graph_lock);
    if (gvm_cap_is_legacy(h)) {
        rc = gvm_cap_implicit() ? GVM_CAP_IMPLICIT : 0;
    } else if ((c = gvm_cap_find(h, &m))) {
        *status =
            c->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
        if (id)
            *id = c->id;
        if (g)
            *g = c->g;
        if (deps)
            *deps = m->set.v;
        if (data)
            *data = m->set.zero;
        if (n)
            *n = m->set.n;
    }
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

CUresult cuStreamIsCapturing(CUstream s, CUstreamCaptureStatus *status)
{
    return (CUresult)info(s, status, NULL, NULL, NULL, NULL, NULL);
}

CUresult cuStreamGetCaptureInfo(CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id,
                                CUgraph *g, const CUgraphNode **deps, const CUgraphEdgeData **data,
                                size_t *n)
{
    return (CUresult)info(s, status, id, g, deps, data, n);
}

static int update(uint64_t stream, const CUgraphNode *deps, size_t n, unsigned flags)
{
    struct gvm_capture *c;
    struct gvm_cap_member *m;

    c = gvm_cap_find(stream, &m);
    if (!c)
        return GVM_CAP_ILLEGAL_STATE;
    if (c->invalid)
        return GVM_CAP_INVALIDATED;
    if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES || (n && !deps))
        return 1;
    for (size_t i = 0; i < n; i++)
        if (!gvm_node_valid(deps[i]) || deps[i]->graph != c->g)
            return 1;
    return flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES ? gvm_cap_set_put(&m->set, deps, n)
                                                       : gvm_cap_set_join(&m->set, deps, n);
}

CUresult cuStreamUpdateCaptureDependencies(CUstream s, CUgraphNode *deps,
                                           const CUgraphEdgeData *data, size_t n, unsigned flags)
{
    int rc = api_need();

    if (rc)
        return (CUresult)rc;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = update(api_stream(s), deps, n, flags);
    pthread_mutex_unlock(&gvm_graph_lock);
    return (CUresult)rc;
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    CUstreamCaptureMode was = gvm_cap_mode;

    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    gvm_cap_mode = *mode;
    *mode = was;
    return CUDA_SUCCESS;
}

/* ---- older forms and twins --------------------------------------------------------------- */

#undef cuStreamBeginCapture
#undef cuStreamGetCaptureInfo
#undef cuStreamUpdateCaptureDependencies

#define FORM(name, args, call)                                                                     \
    GVM_API CUresult name args;                                                                    \
    CUresult name args                                                                             \
    {                                                                                              \
        return call;                                                                               \
    }

FORM(cuStreamBeginCapture, (CUstream s), cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL))
FORM(cuStreamBeginCapture_ptsz, (CUstream s), cuStreamBeginCapture(api_own(s)))
FORM(cuStreamBeginCapture_v2_ptsz, (CUstream s, CUstreamCaptureMode mode),
     cuStreamBeginCapture_v2(api_own(s), mode))
FORM(cuStreamBeginCaptureToGraph_ptsz,
     (CUstream s, CUgraph g, const CUgraphNode *deps, const CUgraphEdgeData *data, size_t n,
      CUstreamCaptureMode mode),
     cuStreamBeginCaptureToGraph(api_own(s), g, deps, data, n, mode))
FORM(cuStreamEndCapture_ptsz, (CUstream s, CUgraph *out), cuStreamEndCapture(api_own(s), out))
FORM(cuStreamIsCapturing_ptsz, (CUstream s, CUstreamCaptureStatus *status),
     cuStreamIsCapturing(api_own(s), status))
FORM(cuStreamGetCaptureInfo, (CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id),
     (CUresult)info(s, status, id, NULL, NULL, NULL, NULL))
FORM(cuStreamGetCaptureInfo_ptsz, (CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id),
     cuStreamGetCaptureInfo(api_own(s), status, id))
FORM(cuStreamGetCaptureInfo_v2,
     (CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *g,
      const CUgraphNode **deps, size_t *n),
     (CUresult)info(s, status, id, g, deps, NULL, n))
FORM(cuStreamGetCaptureInfo_v2_ptsz,
     (CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *g,
      const CUgraphNode **deps, size_t *n),
     cuStreamGetCaptureInfo_v2(api_own(s), status, id, g, deps, n))
FORM(cuStreamGetCaptureInfo_v3_ptsz,
     (CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *g,
      const CUgraphNode **deps, const CUgraphEdgeData **data, size_t *n),
     cuStreamGetCaptureInfo_v3(api_own(s), status, id, g, deps, data, n))
FORM(cuStreamUpdateCaptureDependencies, (CUstream s, CUgraphNode *deps, size_t n, unsigned flags),
     cuStreamUpdateCaptureDependencies_v2(s, deps, NULL, n, flags))
FORM(cuStreamUpdateCaptureDependencies_ptsz,
     (CUstream s, CUgraphNode *deps, size_t n, unsigned flags),
     cuStreamUpdateCaptureDependencies(api_own(s), deps, n, flags))
FORM(cuStreamUpdateCaptureDependencies_v2_ptsz,
     (CUstream s, CUgraphNode *deps, const CUgraphEdgeData *data, size_t n, unsigned flags),
     cuStreamUpdateCaptureDependencies_v2(api_own(s), deps, data, n, flags))
