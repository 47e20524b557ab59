/* SPDX-License-Identifier: MIT */
/*
 * capture_event.c - stream capture: events, by which other streams join.
 */
#include "capture_int.h"

#include <stdlib.h>
#include <string.h>

void gvm_cap_put(struct gvm_capture *c)
{
    if (--c->refs == 0)
        free(c);
}

static void forget(struct gvm_event *e)
{
    if (e->cap)
        gvm_cap_put(e->cap);
    free(e->cap_nodes);
    e->cap = NULL;
    e->cap_nodes = NULL;
    e->cap_n = 0;
}

void gvm_cap_forget(struct gvm_event *e)
{
    if (!e->cap)
        return;
    pthread_mutex_lock(&gvm_graph_lock);
    forget(e);
    pthread_mutex_unlock(&gvm_graph_lock);
}

int gvm_cap_event(const struct gvm_event *e)
{
    int rc = -1;

    if (e->cap) {
        pthread_mutex_lock(&gvm_graph_lock);
        if (e->cap) {
            rc = e->cap->open ? GVM_CAP_CAPTURED_EVENT : 1;
            e->cap->invalid = true;
        }
        pthread_mutex_unlock(&gvm_graph_lock);
        return rc;
    }
    return gvm_capturing() ? gvm_cap_unsafe() : -1;
}

static int record(uint64_t stream, struct gvm_event *e)
{
    struct gvm_capture *c;
    struct gvm_cap_member *m;
    CUgraphNode *v;
    int rc = gvm_cap_look(stream, &c, &m);

    if (rc || !c)
        return rc ? rc : -1;
    v = malloc((m->set.n + 1) * sizeof(*v));
    if (!v)
        return 2;
    if (m->set.n)
        memcpy(v, m->set.v, m->set.n * sizeof(*v));
    forget(e);
    e->cap = c;
    e->cap_nodes = (void **)v;
    e->cap_n = m->set.n;
    c->refs++;
    return 0;
}

int gvm_cap_record(uint64_t stream, uint64_t event, struct gvm_event *e, bool external)
{
    CUgraphNode n;
    struct gvm_cap_member *m;
    int rc;

    if (external) {
        rc = gvm_cap_begin(stream, CU_GRAPH_NODE_TYPE_EVENT_RECORD, &n, &m);
        return rc ? rc : gvm_cap_end(n, m, gvm_set_event(n, (CUevent)(uintptr_t)event));
    }
    pthread_mutex_lock(&gvm_graph_lock);
    rc = record(stream, e);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

static int join(struct gvm_capture *c, uint64_t stream, const struct gvm_event *e)
{
    const struct gvm_stream *s = gvm_id_get(&gvm_streams, stream);
    struct gvm_cap_member *m = calloc(1, sizeof(*m));
    int rc = 2;

    if (m) {
        m->stream = stream;
        m->thread = stream == GVM_STREAM_PER_THREAD ? gvm_cap_self() : NULL;
        m->blocking = !s || !(s->flags & GVM_STREAM_NON_BLOCKING);
        rc = gvm_cap_set_put(&m->set, (CUgraphNode *)e->cap_nodes, e->cap_n);
    }
    if (rc) {
        free(m);
        return rc;
    }
    m->next = c->members;
    c->members = m;
    return 0;
}

static int wait(uint64_t stream, const struct gvm_event *e)
{
    struct gvm_capture *of = e->cap && e->cap->open ? e->cap : NULL, *c;
    struct gvm_cap_member *m = NULL;
    int rc;

    if (e->cap && !of)
        return 1; /* of a capture that has ended */
    if (gvm_cap_is_legacy(stream) && of) {
        of->invalid = true;
        return GVM_CAP_IMPLICIT;
    }
    rc = gvm_cap_look(stream, &c, &m);
    if (rc)
        return rc;
    if (!of && !c)
        return -1;
    if (!of && !__atomic_load_n(&e->recorded, __ATOMIC_ACQUIRE))
        return 0; /* nothing to wait for */
    if (!of) {
        c->invalid = true;
        return GVM_CAP_ISOLATION;
    }
    if (of->invalid)
        return GVM_CAP_INVALIDATED;
    if (c && c != of) {
        c->invalid = of->invalid = true;
        return GVM_CAP_MERGE;
    }
    for (size_t i = 0; i < e->cap_n; i++)
        if (!gvm_node_valid(e->cap_nodes[i]))
            return 1;
    return c ? gvm_cap_set_join(&m->set, (CUgraphNode *)e->cap_nodes, e->cap_n)
             : join(of, stream, e);
}

int gvm_cap_wait(uint64_t stream, uint64_t event, const struct gvm_event *e, bool external)
{
    CUgraphNode n;
    struct gvm_cap_member *m;
    int rc;

    if (external) {
        rc = gvm_cap_begin(stream, CU_GRAPH_NODE_TYPE_WAIT_EVENT, &n, &m);
        return rc ? rc : gvm_cap_end(n, m, gvm_set_event(n, (CUevent)(uintptr_t)event));
    }
    pthread_mutex_lock(&gvm_graph_lock);
    rc = wait(stream, e);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

int gvm_stream_wait_external(uint64_t stream, uint64_t event)
{
    const struct gvm_event *e = gvm_id_get(&gvm_events, event);

    if (!e)
        return 400;
    GVM_CAPTURE(gvm_cap_wait(stream, event, e, true));
    return GVM_CAP_ILLEGAL_STATE;
}

int gvm_event_record_external(uint64_t event, uint64_t stream)
{
    struct gvm_event *e = gvm_id_get(&gvm_events, event);

    if (!e)
        return 400;
    GVM_CAPTURE(gvm_cap_record(stream, event, e, true));
    return GVM_CAP_ILLEGAL_STATE;
}
