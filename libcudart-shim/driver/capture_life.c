/* SPDX-License-Identifier: MIT */
/*
 * capture_life.c - stream capture: beginning and ending.
 */
#include "capture_int.h"

#include <stdlib.h>

static uint64_t ids;

static int open_capture(uint64_t stream, CUgraph into, const CUgraphNode *deps, size_t n,
                        CUstreamCaptureMode mode)
{
    const struct gvm_stream *s = gvm_id_get(&gvm_streams, stream);
    struct gvm_capture *c;
    struct gvm_cap_member *m;

    if (gvm_cap_find(stream, &m))
        return GVM_CAP_ILLEGAL_STATE;
    for (size_t i = 0; i < n; i++)
        if (!gvm_node_valid(deps[i]) || deps[i]->graph != into)
            return 1;
    c = calloc(1, sizeof(*c));
    m = calloc(1, sizeof(*m));
    if (c)
        c->g = into ? into : gvm_graph_new();
    if (!c || !m || !c->g || gvm_cap_set_put(&m->set, deps, n)) {
        if (c && c->g && !into)
            gvm_graph_free(c->g);
        free(c);
        free(m);
        return 2;
    }
    m->stream = stream;
    m->thread = stream == GVM_STREAM_PER_THREAD ? gvm_cap_self() : NULL;
    m->blocking = !s || !(s->flags & GVM_STREAM_NON_BLOCKING);
    c->id = ++ids;
    c->into = into;
    c->open = true;
    c->mode = mode;
    c->thread = gvm_cap_self();
    c->members = m;
    c->refs = 1;
    c->next = gvm_cap_first;
    gvm_cap_first = c;
    __atomic_fetch_add(&gvm_captures, 1, __ATOMIC_RELEASE);
    if (gvm_usable())
        gvm_short_ways(gvm_usable(), 0);
    return 0;
}

int gvm_cap_open(CUstream stream, CUgraph into, bool to_graph, const CUgraphNode *deps, size_t n,
                 CUstreamCaptureMode mode)
{
    uint64_t h = api_stream(stream);
    struct gvm_sref s;
    struct gvm_chan *c;
    int rc = api_need();

    if (rc == 0)
        rc = gvm_need(&c);
    if (rc == 0)
        rc = gvm_stream_ref(h, &s);
    if (rc)
        return rc;
    if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED || (n && !deps))
        return 1;
    if (gvm_cap_is_legacy(h))
        return GVM_CAP_UNSUPPORTED;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = to_graph && !gvm_graph_valid(into) ? 1 : open_capture(h, into, deps, n, mode);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

/* Marks what the nodes of a set come after. */
static void mark(const struct gvm_cap_set *s, CUgraphNode *stack)
{
    size_t k = 0;

    for (size_t i = 0; i < s->n; i++)
        if (gvm_node_valid(s->v[i]) && !s->v[i]->seen) {
            s->v[i]->seen = 1;
            stack[k++] = s->v[i];
        }
    while (k) {
        CUgraphNode n = stack[--k];

        for (size_t i = 0; i < n->ndep; i++)
            if (!n->dep[i].n->seen) {
                n->dep[i].n->seen = 1;
                stack[k++] = n->dep[i].n;
            }
    }
}

/* Whether all that the other streams have captured comes before the end of the first one. */
static bool joined(const struct gvm_capture *c)
{
    CUgraphNode *stack = malloc((c->g->n + 1) * sizeof(*stack));
    const struct gvm_cap_member *first = c->members;
    bool ok = stack != NULL;

    while (first->next)
        first = first->next;
    for (uint32_t i = 0; i < c->g->n; i++)
        c->g->v[i]->seen = 0;
    if (ok)
        mark(&first->set, stack);
    for (const struct gvm_cap_member *m = c->members; m && ok; m = m->next)
        for (size_t i = 0; i < m->set.n && ok; i++)
            ok = !gvm_node_valid(m->set.v[i]) || m->set.v[i]->seen;
    free(stack);
    return ok;
}

static void close_capture(struct gvm_capture *c)
{
    struct gvm_capture **at = &gvm_cap_first;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    while (c->members) {
        struct gvm_cap_member *m = c->members;

        c->members = m->next;
        free(m->set.v);
        free(m->set.zero);
        free(m);
    }
    c->open = false;
    c->g = NULL;
    __atomic_fetch_sub(&gvm_captures, 1, __ATOMIC_RELEASE);
    if (gvm_usable())
        gvm_short_ways(gvm_usable(), 0);
    gvm_cap_put(c);
}

int gvm_cap_close(uint64_t stream, CUgraph *out, bool wanted)
{
    struct gvm_capture *c;
    struct gvm_cap_member *m;
    int rc = 0;

    c = gvm_cap_find(stream, &m);
    if (!c)
        return GVM_CAP_ILLEGAL_STATE;
    if (m->next) {
        c->invalid = true;
        return GVM_CAP_UNMATCHED;
    }
    if (c->mode != CU_STREAM_CAPTURE_MODE_RELAXED && c->thread != gvm_cap_self())
        rc = GVM_CAP_WRONG_THREAD;
    else if (c->invalid)
        rc = GVM_CAP_INVALIDATED;
    else if (!joined(c))
        rc = GVM_CAP_UNJOINED;
    if (rc == 0 && !wanted && !c->into)
        gvm_graph_free(c->g);
    else if (rc == 0)
        *out = c->g;
    else /* as natively, also a graph that was there before */
        gvm_graph_free(c->g);
    close_capture(c);
    return rc;
}

void gvm_cap_leave(uint64_t stream)
{
    struct gvm_capture *c;
    struct gvm_cap_member *m;

    pthread_mutex_lock(&gvm_graph_lock);
    c = gvm_cap_find(stream, &m);
    if (c && m->next) {
        m->stream = GVM_CAP_GONE; /* what it has captured stays, to be joined or not */
    } else if (c) {
        if (!c->into)
            gvm_graph_free(c->g);
        close_capture(c);
    }
    pthread_mutex_unlock(&gvm_graph_lock);
}
