/* SPDX-License-Identifier: MIT */
/*
 * capture.c - stream capture. Nothing of it crosses to the worker: the calls on capturing streams
 * become nodes of a graph of this process.
 *
 * A capture has members: the stream in which it was begun and those that have joined it by waiting
 * for an event that was recorded in it. Each has a set of nodes, after which its next node comes.
 *
 * Here: which capture a stream is in, and what is not allowed meanwhile. capture_life.c: beginning
 * and ending; capture_node.c: what becomes a node; capture_event.c: events; api_capture.c: the API.
 */
#include "capture_int.h"

#include <stdlib.h>
#include <string.h>

struct gvm_capture *gvm_cap_first;

__thread CUstreamCaptureMode gvm_cap_mode __attribute__((tls_model("initial-exec")));
static __thread char self __attribute__((tls_model("initial-exec")));

const void *gvm_cap_self(void)
{
    return &self;
}

/* ---- sets -------------------------------------------------------------------------------- */

int gvm_cap_set_put(struct gvm_cap_set *s, const CUgraphNode *v, size_t n)
{
    CUgraphNode *p = malloc((n + 1) * sizeof(*p));
    CUgraphEdgeData *z = calloc(n + 1, sizeof(*z));

    if (!p || !z) {
        free(p);
        free(z);
        return 2;
    }
    if (n)
        memcpy(p, v, n * sizeof(*p));
    free(s->v);
    free(s->zero);
    s->v = p;
    s->zero = z;
    s->n = n;
    return 0;
}

int gvm_cap_set_join(struct gvm_cap_set *s, const CUgraphNode *v, size_t n)
{
    CUgraphNode *all = malloc((s->n + n + 1) * sizeof(*all));
    size_t k = s->n;
    int rc;

    if (!all)
        return 2;
    if (s->n)
        memcpy(all, s->v, s->n * sizeof(*all));
    for (size_t i = 0; i < n; i++) {
        size_t j = 0;

        while (j < k && all[j] != v[i])
            j++;
        if (j == k)
            all[k++] = v[i];
    }
    rc = gvm_cap_set_put(s, all, k);
    free(all);
    return rc;
}

/* ---- finding ----------------------------------------------------------------------------- */

struct gvm_capture *gvm_cap_find(uint64_t stream, struct gvm_cap_member **m)
{
    const void *thread = stream == GVM_STREAM_PER_THREAD ? gvm_cap_self() : NULL;

    for (struct gvm_capture *c = gvm_cap_first; c; c = c->next)
        for (*m = c->members; *m; *m = (*m)->next)
            if ((*m)->stream == stream && (*m)->thread == thread)
                return c;
    return NULL;
}

/* A use of the legacy stream would make it depend on a blocking stream that gvm_cap_first. */
bool gvm_cap_implicit(void)
{
    bool any = false;

    for (struct gvm_capture *c = gvm_cap_first; c; c = c->next)
        for (struct gvm_cap_member *m = c->members; m; m = m->next)
            if (m->blocking) {
                c->invalid = true;
                any = true;
            }
    return any;
}

int gvm_cap_look(uint64_t stream, struct gvm_capture **c, struct gvm_cap_member **m)
{
    *c = NULL;
    if (gvm_cap_is_legacy(stream))
        return gvm_cap_implicit() ? GVM_CAP_IMPLICIT : 0;
    *c = gvm_cap_find(stream, m);
    return *c && (*c)->invalid ? GVM_CAP_INVALIDATED : 0;
}

static int unsafe(void)
{
    bool bad = false;

    if ((unsigned)gvm_cap_mode >= CU_STREAM_CAPTURE_MODE_RELAXED)
        return -1;
    for (struct gvm_capture *c = gvm_cap_first; c; c = c->next) {
        bool mine = c->thread == gvm_cap_self() && c->mode != CU_STREAM_CAPTURE_MODE_RELAXED;
        bool global = c->mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
                      gvm_cap_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;

        if (mine || global) {
            c->invalid = true;
            bad = true;
        }
    }
    return bad ? GVM_CAP_UNSUPPORTED : -1;
}

int gvm_cap_everything(void)
{
    pthread_mutex_lock(&gvm_graph_lock);
    for (struct gvm_capture *c = gvm_cap_first; c; c = c->next)
        c->invalid = true;
    pthread_mutex_unlock(&gvm_graph_lock);
    return GVM_CAP_UNSUPPORTED;
}

void gvm_cap_spoil(uint64_t stream)
{
    struct gvm_capture *c;
    struct gvm_cap_member *m;

    pthread_mutex_lock(&gvm_graph_lock);
    c = gvm_cap_find(stream, &m);
    if (c)
        c->invalid = true;
    pthread_mutex_unlock(&gvm_graph_lock);
}

int gvm_cap_unsafe(void)
{
    int rc;

    pthread_mutex_lock(&gvm_graph_lock);
    rc = unsafe();
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

static int refuse(uint64_t stream, bool ask)
{
    struct gvm_capture *c;
    struct gvm_cap_member *m;
    int rc;

    if (ask && gvm_cap_is_legacy(stream))
        return gvm_cap_implicit() ? GVM_CAP_IMPLICIT : unsafe();
    rc = gvm_cap_look(stream, &c, &m);
    if (rc && !(c && ask))
        return rc;
    if (!c)
        return ask ? unsafe() : -1;
    c->invalid = true;
    return GVM_CAP_UNSUPPORTED;
}

int gvm_cap_refuse(uint64_t stream)
{
    int rc;

    pthread_mutex_lock(&gvm_graph_lock);
    rc = refuse(stream, false);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

int gvm_cap_ask(uint64_t stream)
{
    int rc;

    pthread_mutex_lock(&gvm_graph_lock);
    rc = refuse(stream, true);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

int gvm_cap_graph(uint64_t stream)
{
    return refuse(stream, false);
}
