/* SPDX-License-Identifier: MIT */
/*
 * capture.c - stream capture. Nothing of it crosses to the worker: the calls on capturing streams
 * become nodes of a graph of this process.
 *
 * A capture has members: the stream in which it was begun and those that have joined it by waiting
 * for an event that was recorded in it. Each has a set of nodes, after which its next node comes.
 */
#include "capture.h"
#include "box.h"
#include "graph.h"
#include "module.h"

#include <stdlib.h>
#include <string.h>

enum {
    ERR_ILLEGAL_STATE = 401,
    ERR_UNSUPPORTED = 900,
    ERR_INVALIDATED = 901,
    ERR_MERGE = 902,
    ERR_UNMATCHED = 903,
    ERR_UNJOINED = 904,
    ERR_ISOLATION = 905,
    ERR_IMPLICIT = 906,
    ERR_CAPTURED_EVENT = 907,
    ERR_WRONG_THREAD = 908
};

#define GONE UINT64_MAX /* the number of a stream that was destroyed */

struct set {
    CUgraphNode *v;
    CUgraphEdgeData *zero; /* as many, for queries */
    size_t n;
};

struct member {
    uint64_t stream;
    const void *thread; /* whose per-thread stream it is, NULL: another stream */
    bool blocking;
    struct set set;
    struct member *next;
};

struct gvm_capture {
    uint64_t id;
    CUgraph g;
    bool into; /* a graph of the program */
    bool open, invalid;
    CUstreamCaptureMode mode;
    const void *thread;     /* that began it */
    struct member *members; /* the last one is the first stream */
    uint32_t refs;          /* open, events */
    struct gvm_capture *next;
};

static struct gvm_capture *captures; /* open ones */
static uint64_t ids;

static __thread CUstreamCaptureMode own_mode __attribute__((tls_model("initial-exec")));
static __thread char self __attribute__((tls_model("initial-exec")));

/* ---- sets -------------------------------------------------------------------------------- */

static int set_put(struct set *s, const CUgraphNode *v, size_t n)
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

static int set_join(struct set *s, const CUgraphNode *v, size_t n)
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
    rc = set_put(s, all, k);
    free(all);
    return rc;
}

/* ---- finding ----------------------------------------------------------------------------- */

static bool is_legacy(uint64_t stream)
{
    return stream <= GVM_STREAM_LEGACY;
}

static struct gvm_capture *find(uint64_t stream, struct member **m)
{
    const void *thread = stream == GVM_STREAM_PER_THREAD ? &self : NULL;

    for (struct gvm_capture *c = captures; c; c = c->next)
        for (*m = c->members; *m; *m = (*m)->next)
            if ((*m)->stream == stream && (*m)->thread == thread)
                return c;
    return NULL;
}

/* A use of the legacy stream would make it depend on a blocking stream that captures. */
static bool implicit(void)
{
    bool any = false;

    for (struct gvm_capture *c = captures; c; c = c->next)
        for (struct member *m = c->members; m; m = m->next)
            if (m->blocking) {
                c->invalid = true;
                any = true;
            }
    return any;
}

/* 0 with the capture of the stream, or NULL for none; else the error. */
static int look(uint64_t stream, struct gvm_capture **c, struct member **m)
{
    *c = NULL;
    if (is_legacy(stream))
        return implicit() ? ERR_IMPLICIT : 0;
    *c = find(stream, m);
    return *c && (*c)->invalid ? ERR_INVALIDATED : 0;
}

static int unsafe(void)
{
    bool bad = false;

    if ((unsigned)own_mode >= CU_STREAM_CAPTURE_MODE_RELAXED)
        return -1;
    for (struct gvm_capture *c = captures; c; c = c->next) {
        bool mine = c->thread == &self && c->mode != CU_STREAM_CAPTURE_MODE_RELAXED;
        bool global =
            c->mode == CU_STREAM_CAPTURE_MODE_GLOBAL && own_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;

        if (mine || global) {
            c->invalid = true;
            bad = true;
        }
    }
    return bad ? ERR_UNSUPPORTED : -1;
}

int gvm_cap_everything(void)
{
    pthread_mutex_lock(&gvm_graph_lock);
    for (struct gvm_capture *c = captures; c; c = c->next)
        c->invalid = true;
    pthread_mutex_unlock(&gvm_graph_lock);
    return ERR_UNSUPPORTED;
}

void gvm_cap_spoil(uint64_t stream)
{
    struct gvm_capture *c;
    struct member *m;

    pthread_mutex_lock(&gvm_graph_lock);
    c = find(stream, &m);
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
    struct member *m;
    int rc;

    if (ask && is_legacy(stream))
        return implicit() ? ERR_IMPLICIT : unsafe();
    rc = look(stream, &c, &m);
    if (rc && !(c && ask))
        return rc;
    if (!c)
        return ask ? unsafe() : -1;
    c->invalid = true;
    return ERR_UNSUPPORTED;
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

/* ---- nodes ------------------------------------------------------------------------------- */

/* Starts a node of the stream's capture; the lock is held when it returns 0. */
static int begin(uint64_t stream, CUgraphNodeType type, CUgraphNode *n, struct member **m)
{
    struct gvm_capture *c;
    int rc;

    pthread_mutex_lock(&gvm_graph_lock);
    rc = look(stream, &c, m);
    if (rc == 0 && !c)
        rc = -1;
    if (rc == 0)
        rc = gvm_node_add(c->g, type, (*m)->set.v, NULL, (*m)->set.n, n);
    if (rc)
        pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

static int end(CUgraphNode n, struct member *m, int rc)
{
    if (rc == 0)
        rc = set_put(&m->set, &n, 1);
    if (rc)
        gvm_node_remove(n);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

int gvm_cap_launch(uint64_t stream, struct gvm_func *f, const struct gvm_launch *l)
{
    CUgraphNode n;
    struct member *m;
    int rc = begin(stream, CU_GRAPH_NODE_TYPE_KERNEL, &n, &m);

    return rc ? rc : end(n, m, gvm_set_launch(n, f, l));
}

static void types_of(enum gvm_dir dir, CUmemorytype *dst, CUmemorytype *src)
{
    *dst = dir == GVM_H2H || dir == GVM_D2H ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
    *src = dir == GVM_H2H || dir == GVM_H2D ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
    if (dir == GVM_ANY)
        *dst = *src = CU_MEMORYTYPE_UNIFIED;
}

static int copy(uint64_t stream, const CUDA_MEMCPY3D *p, bool sync)
{
    CUgraphNode n;
    struct member *m;
    int rc;

    if (sync) {
        rc = gvm_cap_refuse(stream);
        return rc >= 0 ? rc : gvm_cap_unsafe();
    }
    rc = begin(stream, CU_GRAPH_NODE_TYPE_MEMCPY, &n, &m);
    return rc ? rc : end(n, m, gvm_set_copy(n, p));
}

int gvm_cap_copy2d(uint64_t stream, uint64_t dst, size_t dpitch, uint64_t src, size_t spitch,
                   size_t width, size_t height, enum gvm_dir dir, bool sync)
{
    CUDA_MEMCPY3D p = {.srcHost = (const void *)(uintptr_t)src,
                       .srcDevice = src,
                       .srcPitch = spitch,
                       .srcHeight = height,
                       .dstHost = (void *)(uintptr_t)dst,
                       .dstDevice = dst,
                       .dstPitch = dpitch,
                       .dstHeight = height,
                       .WidthInBytes = width,
                       .Height = height,
                       .Depth = 1};

    types_of(dir, &p.dstMemoryType, &p.srcMemoryType);
    return copy(stream, &p, sync);
}

int gvm_cap_box(uint64_t stream, const struct gvm_box *b, bool sync)
{
    CUDA_MEMCPY3D p = {.srcHost = (const void *)(uintptr_t)b->src.addr,
                       .srcDevice = b->src.addr,
                       .srcPitch = b->src.pitch,
                       .srcHeight = b->src.height,
                       .srcXInBytes = b->src.x,
                       .srcY = b->src.y,
                       .srcZ = b->src.z,
                       .srcArray = (CUarray)(uintptr_t)b->src.id,
                       .dstHost = (void *)(uintptr_t)b->dst.addr,
                       .dstDevice = b->dst.addr,
                       .dstPitch = b->dst.pitch,
                       .dstHeight = b->dst.height,
                       .dstXInBytes = b->dst.x,
                       .dstY = b->dst.y,
                       .dstZ = b->dst.z,
                       .dstArray = (CUarray)(uintptr_t)b->dst.id,
                       .WidthInBytes = b->width,
                       .Height = b->height,
                       .Depth = b->depth};

    types_of(b->dir, &p.dstMemoryType, &p.srcMemoryType);
    if (b->src.array)
        p.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    if (b->dst.array)
        p.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    return copy(stream, &p, sync);
}

int gvm_cap_fill(uint64_t stream, uint64_t dst, size_t pitch, uint32_t value, unsigned elem,
                 size_t width, size_t height, bool sync)
{
    CUDA_MEMSET_NODE_PARAMS p = {.dst = dst,
                                 .pitch = pitch,
                                 .value = value,
                                 .elementSize = elem,
                                 .width = width,
                                 .height = height};
    CUgraphNode n;
    struct member *m;
    int rc;

    if (sync) {
        rc = gvm_cap_refuse(stream);
        return rc >= 0 ? rc : gvm_cap_unsafe();
    }
    if (elem == 1)
        p.value &= 0xff;
    if (elem == 2)
        p.value &= 0xffff;
    rc = begin(stream, CU_GRAPH_NODE_TYPE_MEMSET, &n, &m);
    return rc ? rc : end(n, m, gvm_set_fill(n, &p));
}

int gvm_cap_host(uint64_t stream, void (*fn)(void *arg), void *arg)
{
    CUDA_HOST_NODE_PARAMS p = {fn, arg};
    CUgraphNode n;
    struct member *m;
    int rc = begin(stream, CU_GRAPH_NODE_TYPE_HOST, &n, &m);

    return rc ? rc : end(n, m, gvm_set_host(n, &p));
}

int gvm_cap_mem_ops(uint64_t stream, unsigned count, const void *ops)
{
    CUDA_BATCH_MEM_OP_NODE_PARAMS p = {.count = count,
                                       .paramArray = (CUstreamBatchMemOpParams *)(uintptr_t)ops};
    CUgraphNode n;
    struct member *m;
    int rc = begin(stream, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, &n, &m);

    p.ctx = api_current();
    return rc ? rc : end(n, m, gvm_set_mem_ops(n, &p));
}

/* The stream's capture and a copy of its set, without the lock; as look(). */
static int nodes_now(uint64_t stream, CUgraph *g, struct set *s)
{
    struct gvm_capture *c;
    struct member *m;
    int rc;

    pthread_mutex_lock(&gvm_graph_lock);
    rc = look(stream, &c, &m);
    if (rc == 0 && !c)
        rc = -1;
    if (rc == 0) {
        *g = c->g;
        *s = (struct set){0};
        rc = set_put(s, m->set.v, m->set.n);
    }
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

static int nodes_then(uint64_t stream, struct set *s, CUgraphNode n, int rc)
{
    struct gvm_capture *c;
    struct member *m;

    free(s->v);
    free(s->zero);
    if (rc)
        return rc;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = look(stream, &c, &m);
    if (rc == 0 && c)
        rc = set_put(&m->set, &n, 1);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

int gvm_cap_alloc(uint64_t stream, uint64_t bytes, uint64_t *dptr)
{
    CUDA_MEM_ALLOC_NODE_PARAMS p = {.bytesize = bytes};
    CUgraphNode n = NULL;
    struct set s;
    CUgraph g;
    int rc = nodes_now(stream, &g, &s);

    if (rc)
        return rc;
    p.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    p.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    rc = gvm_graph_add_alloc(&n, g, s.v, NULL, s.n, &p);
    *dptr = p.dptr;
    return nodes_then(stream, &s, n, rc);
}

int gvm_cap_free(uint64_t stream, uint64_t dptr)
{
    CUgraphNode n = NULL;
    struct set s;
    CUgraph g;
    int rc = nodes_now(stream, &g, &s);

    if (rc)
        return rc;
    rc = gvm_graph_add_free(&n, g, s.v, NULL, s.n, dptr);
    return nodes_then(stream, &s, n, rc);
}

int gvm_cap_graph(uint64_t stream)
{
    return refuse(stream, false);
}

/* ---- events ------------------------------------------------------------------------------ */

static void put_capture(struct gvm_capture *c)
{
    if (--c->refs == 0)
        free(c);
}

static void forget(struct gvm_event *e)
{
    if (e->cap)
        put_capture(e->cap);
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
            rc = e->cap->open ? ERR_CAPTURED_EVENT : 1;
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
    struct member *m;
    CUgraphNode *v;
    int rc = look(stream, &c, &m);

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
    struct member *m;
    int rc;

    if (external) {
        rc = begin(stream, CU_GRAPH_NODE_TYPE_EVENT_RECORD, &n, &m);
        return rc ? rc : end(n, m, gvm_set_event(n, (CUevent)(uintptr_t)event));
    }
    pthread_mutex_lock(&gvm_graph_lock);
    rc = record(stream, e);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

static int join(struct gvm_capture *c, uint64_t stream, const struct gvm_event *e)
{
    const struct gvm_stream *s = gvm_id_get(&gvm_streams, stream);
    struct member *m = calloc(1, sizeof(*m));
    int rc = 2;

    if (m) {
        m->stream = stream;
        m->thread = stream == GVM_STREAM_PER_THREAD ? &self : NULL;
        m->blocking = !s || !(s->flags & GVM_STREAM_NON_BLOCKING);
        rc = set_put(&m->set, (CUgraphNode *)e->cap_nodes, e->cap_n);
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
    struct member *m = NULL;
    int rc;

    if (e->cap && !of)
        return 1; /* of a capture that has ended */
    if (is_legacy(stream) && of) {
        of->invalid = true;
        return ERR_IMPLICIT;
    }
    rc = look(stream, &c, &m);
    if (rc)
        return rc;
    if (!of && !c)
        return -1;
    if (!of && !__atomic_load_n(&e->recorded, __ATOMIC_ACQUIRE))
        return 0; /* nothing to wait for */
    if (!of) {
        c->invalid = true;
        return ERR_ISOLATION;
    }
    if (of->invalid)
        return ERR_INVALIDATED;
    if (c && c != of) {
        c->invalid = of->invalid = true;
        return ERR_MERGE;
    }
    for (size_t i = 0; i < e->cap_n; i++)
        if (!gvm_node_valid(e->cap_nodes[i]))
            return 1;
    return c ? set_join(&m->set, (CUgraphNode *)e->cap_nodes, e->cap_n) : join(of, stream, e);
}

int gvm_cap_wait(uint64_t stream, uint64_t event, const struct gvm_event *e, bool external)
{
    CUgraphNode n;
    struct member *m;
    int rc;

    if (external) {
        rc = begin(stream, CU_GRAPH_NODE_TYPE_WAIT_EVENT, &n, &m);
        return rc ? rc : end(n, m, gvm_set_event(n, (CUevent)(uintptr_t)event));
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
    return ERR_ILLEGAL_STATE;
}

int gvm_event_record_external(uint64_t event, uint64_t stream)
{
    struct gvm_event *e = gvm_id_get(&gvm_events, event);

    if (!e)
        return 400;
    GVM_CAPTURE(gvm_cap_record(stream, event, e, true));
    return ERR_ILLEGAL_STATE;
}

/* ---- beginning and ending ---------------------------------------------------------------- */

static int open_capture(uint64_t stream, CUgraph into, const CUgraphNode *deps, size_t n,
                        CUstreamCaptureMode mode)
{
    const struct gvm_stream *s = gvm_id_get(&gvm_streams, stream);
    struct gvm_capture *c;
    struct member *m;

    if (find(stream, &m))
        return ERR_ILLEGAL_STATE;
    for (size_t i = 0; i < n; i++)
        if (!gvm_node_valid(deps[i]) || deps[i]->graph != into)
            return 1;
    c = calloc(1, sizeof(*c));
    m = calloc(1, sizeof(*m));
    if (c)
        c->g = into ? into : gvm_graph_new();
    if (!c || !m || !c->g || set_put(&m->set, deps, n)) {
        if (c && c->g && !into)
            gvm_graph_free(c->g);
        free(c);
        free(m);
        return 2;
    }
    m->stream = stream;
    m->thread = stream == GVM_STREAM_PER_THREAD ? &self : NULL;
    m->blocking = !s || !(s->flags & GVM_STREAM_NON_BLOCKING);
    c->id = ++ids;
    c->into = into;
    c->open = true;
    c->mode = mode;
    c->thread = &self;
    c->members = m;
    c->refs = 1;
    c->next = captures;
    captures = c;
    __atomic_fetch_add(&gvm_captures, 1, __ATOMIC_RELEASE);
    if (gvm_usable())
        gvm_short_ways(gvm_usable(), 0);
    return 0;
}

static int begin_capture(CUstream stream, CUgraph into, bool to_graph, const CUgraphNode *deps,
                         size_t n, CUstreamCaptureMode mode)
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
    if (is_legacy(h))
        return ERR_UNSUPPORTED;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = to_graph && !gvm_graph_valid(into) ? 1 : open_capture(h, into, deps, n, mode);
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

/* Marks what the nodes of a set come after. */
static void mark(const struct set *s, CUgraphNode *stack)
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
    const struct member *first = c->members;
    bool ok = stack != NULL;

    while (first->next)
        first = first->next;
    for (uint32_t i = 0; i < c->g->n; i++)
        c->g->v[i]->seen = 0;
    if (ok)
        mark(&first->set, stack);
    for (const struct member *m = c->members; m && ok; m = m->next)
        for (size_t i = 0; i < m->set.n && ok; i++)
            ok = !gvm_node_valid(m->set.v[i]) || m->set.v[i]->seen;
    free(stack);
    return ok;
}

static void close_capture(struct gvm_capture *c)
{
    struct gvm_capture **at = &captures;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    while (c->members) {
        struct member *m = c->members;

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
    put_capture(c);
}

static int end_capture(uint64_t stream, CUgraph *out, bool wanted)
{
    struct gvm_capture *c;
    struct member *m;
    int rc = 0;

    c = find(stream, &m);
    if (!c)
        return ERR_ILLEGAL_STATE;
    if (m->next) {
        c->invalid = true;
        return ERR_UNMATCHED;
    }
    if (c->mode != CU_STREAM_CAPTURE_MODE_RELAXED && c->thread != &self)
        rc = ERR_WRONG_THREAD;
    else if (c->invalid)
        rc = ERR_INVALIDATED;
    else if (!joined(c))
        rc = ERR_UNJOINED;
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
    struct member *m;

    pthread_mutex_lock(&gvm_graph_lock);
    c = find(stream, &m);
    if (c && m->next) {
        m->stream = GONE; /* what it has captured stays, to be joined or not */
    } else if (c) {
        if (!c->into)
            gvm_graph_free(c->g);
        close_capture(c);
    }
    pthread_mutex_unlock(&gvm_graph_lock);
}

/* ---- public ------------------------------------------------------------------------------ */

CUresult cuStreamBeginCapture(CUstream s, CUstreamCaptureMode mode)
{
    return (CUresult)begin_capture(s, NULL, false, NULL, 0, mode);
}

CUresult cuStreamBeginCaptureToGraph(CUstream s, CUgraph g, const CUgraphNode *deps,
                                     const CUgraphEdgeData *data, size_t n,
                                     CUstreamCaptureMode mode)
{
    return (CUresult)begin_capture(s, g, true, deps, n, mode);
}

CUresult cuStreamEndCapture(CUstream s, CUgraph *out)
{
    CUgraph g = NULL;
    int rc = api_need();

    if (rc)
        return (CUresult)rc;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = end_capture(api_stream(s), &g, out != NULL);
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
    struct member *m;
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
    if (is_legacy(h)) {
        rc = implicit() ? ERR_IMPLICIT : 0;
    } else if ((c = find(h, &m))) {
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
    struct member *m;

    c = find(stream, &m);
    if (!c)
        return ERR_ILLEGAL_STATE;
    if (c->invalid)
        return ERR_INVALIDATED;
    if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES || (n && !deps))
        return 1;
    for (size_t i = 0; i < n; i++)
        if (!gvm_node_valid(deps[i]) || deps[i]->graph != c->g)
            return 1;
    return flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES ? set_put(&m->set, deps, n)
                                                       : set_join(&m->set, deps, n);
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
    CUstreamCaptureMode was = own_mode;

    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    own_mode = *mode;
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
