/* SPDX-License-Identifier: MIT */
/*
 * graph.c - graphs, nodes and edges.
 *
 * Structs are reused but never given back to the heap, so that a handle that was destroyed is
 * recognised.
 */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

pthread_mutex_t gvm_graph_lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    CUgraph graphs;
    CUgraphNode nodes;
    uint64_t ids;
} reuse;

bool gvm_graph_valid(CUgraph g)
{
    return g && (uintptr_t)g % _Alignof(struct CUgraph_st) == 0 && g->magic == GVM_GRAPH_MAGIC;
}

bool gvm_node_valid(CUgraphNode n)
{
    return n && (uintptr_t)n % _Alignof(struct CUgraphNode_st) == 0 && n->magic == GVM_NODE_MAGIC;
}

/* ---- life -------------------------------------------------------------------------------- */

CUgraph gvm_graph_new(void)
{
    CUgraph g = reuse.graphs;

    if (g)
        reuse.graphs = g->next;
    else
        g = malloc(sizeof(*g));
    if (!g)
        return NULL;
    memset(g, 0, sizeof(*g));
    g->magic = GVM_GRAPH_MAGIC;
    g->id = ++reuse.ids;
    return g;
}

static CUgraphNode node_new(void)
{
    CUgraphNode n = reuse.nodes;

    if (n)
        reuse.nodes = n->orig;
    else
        n = malloc(sizeof(*n));
    if (!n)
        return NULL;
    memset(n, 0, sizeof(*n));
    n->magic = GVM_NODE_MAGIC;
    n->id = ++reuse.ids;
    return n;
}

static void node_free(CUgraphNode n)
{
    gvm_params_free(n);
    free(n->dep);
    free(n->out);
    n->magic = 0;
    n->orig = reuse.nodes;
    reuse.nodes = n;
}

void gvm_graph_free(CUgraph g)
{
    for (uint32_t i = 0; i < g->n; i++)
        node_free(g->v[i]);
    gvm_user_drop_all(g);
    free(g->cond);
    free(g->v);
    g->magic = 0;
    g->next = reuse.graphs;
    reuse.graphs = g;
}

/* ---- edges ------------------------------------------------------------------------------- */

static int edge_append(struct gvm_edge **v, size_t *n, size_t *cap, const struct gvm_edge *e)
{
    if (*n == *cap) {
        size_t c = *cap ? 2 * *cap : 4;
        void *p = realloc(*v, c * sizeof(**v));

        if (!p)
            return 2;
        *v = p;
        *cap = c;
    }
    (*v)[(*n)++] = *e;
    return 0;
}

static void edge_delete(struct gvm_edge *v, size_t *n, CUgraphNode to)
{
    for (size_t i = 0; i < *n; i++) {
        if (v[i].n != to)
            continue;
        memmove(v + i, v + i + 1, (*n - i - 1) * sizeof(*v));
        --*n;
        return;
    }
}

static const struct gvm_edge *edge_find(const struct gvm_edge *v, size_t n, CUgraphNode to)
{
    for (size_t i = 0; i < n; i++)
        if (v[i].n == to)
            return &v[i];
    return NULL;
}

static int edge_add(CUgraphNode from, CUgraphNode to, const CUgraphEdgeData *data)
{
    struct gvm_edge e = {.n = from};
    int rc;

    if (data)
        e.data = *data;
    rc = edge_append(&to->dep, &to->ndep, &to->dep_cap, &e);
    if (rc)
        return rc;
    e.n = to;
    rc = edge_append(&from->out, &from->nout, &from->out_cap, &e);
    if (rc)
        to->ndep--;
    return rc;
}

static void edge_remove(CUgraphNode from, CUgraphNode to)
{
    edge_delete(to->dep, &to->ndep, from);
    edge_delete(from->out, &from->nout, to);
}

/* ---- nodes ------------------------------------------------------------------------------- */

static bool edge_data_valid(const CUgraphEdgeData *d)
{
    for (unsigned i = 0; i < sizeof(d->reserved); i++)
        if (d->reserved[i])
            return false;
    return !d->to_port && d->type <= CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC && d->from_port <= 2;
}

int gvm_node_add(CUgraph g, CUgraphNodeType type, const CUgraphNode *deps,
                 const CUgraphEdgeData *data, size_t n, CUgraphNode *out)
{
    CUgraphNode node;
    int rc = 0;

    if (!gvm_graph_valid(g) || (n && !deps))
        return 1;
    for (size_t i = 0; i < n; i++) {
        if (!gvm_node_valid(deps[i]) || deps[i]->graph != g || (data && !edge_data_valid(&data[i])))
            return 1;
        for (size_t k = 0; k < i && n <= 64; k++)
            if (deps[k] == deps[i])
                return 1;
    }
    if (g->n == g->cap) {
        uint32_t cap = g->cap ? 2 * g->cap : 16;
        void *p = realloc(g->v, cap * sizeof(*g->v));

        if (!p)
            return 2;
        g->v = p;
        g->cap = cap;
    }
    node = node_new();
    if (!node)
        return 2;
    node->graph = g;
    node->type = type;
    node->pos = g->n;
    g->v[g->n++] = node;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = edge_add(deps[i], node, data ? &data[i] : NULL);
    if (rc)
        gvm_node_remove(node);
    else
        *out = node;
    return rc;
}

void gvm_node_remove(CUgraphNode n)
{
    CUgraph g = n->graph;

    while (n->ndep)
        edge_remove(n->dep[n->ndep - 1].n, n);
    while (n->nout)
        edge_remove(n, n->out[n->nout - 1].n);
    memmove(g->v + n->pos, g->v + n->pos + 1, (g->n - n->pos - 1) * sizeof(*g->v));
    g->n--;
    for (uint32_t i = n->pos; i < g->n; i++)
        g->v[i]->pos = i;
    node_free(n);
}

CUgraph gvm_graph_copy(CUgraph g)
{
    CUgraph c = gvm_graph_new();
    CUgraphNode n = NULL;
    int rc = c ? 0 : 2;

    for (uint32_t i = 0; i < g->n && rc == 0; i++) {
        rc = gvm_node_add(c, g->v[i]->type, NULL, NULL, 0, &n);
        if (rc == 0)
            rc = gvm_params_copy(n, g->v[i]);
        if (rc == 0) {
            n->orig = g->v[i];
            n->orig_id = g->v[i]->id;
        }
    }
    for (uint32_t i = 0; i < g->n && rc == 0; i++)
        for (size_t k = 0; k < g->v[i]->ndep && rc == 0; k++)
            rc = edge_add(c->v[g->v[i]->dep[k].n->pos], c->v[i], &g->v[i]->dep[k].data);
    if (rc == 0 && g->ncond) {
        c->cond = malloc(g->ncond * sizeof(*c->cond));
        rc = c->cond ? 0 : 2;
        if (rc == 0) {
            memcpy(c->cond, g->cond, g->ncond * sizeof(*c->cond));
            c->ncond = g->ncond;
        }
    }
    if (rc == 0)
        rc = gvm_user_copy(c, g);
    if (rc && c) {
        gvm_graph_free(c);
        c = NULL;
    }
    return c;
}

CUgraphNode gvm_node_copy_of(CUgraph g, CUgraphNode n)
{
    if (n->pos < g->n && g->v[n->pos]->orig == n && g->v[n->pos]->orig_id == n->id)
        return g->v[n->pos];
    for (uint32_t i = 0; i < g->n; i++)
        if (g->v[i]->orig == n && g->v[i]->orig_id == n->id)
            return g->v[i];
    return NULL;
}

bool gvm_graph_order(CUgraph g, CUgraphNode *order, int *err)
{
    uint32_t head = 0, tail = 0;

    *err = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        g->v[i]->seen = (uint32_t)g->v[i]->ndep;
        if (!g->v[i]->ndep)
            order[tail++] = g->v[i];
    }
    while (head < tail) {
        CUgraphNode n = order[head++];

        for (size_t i = 0; i < n->nout; i++)
            if (--n->out[i].n->seen == 0)
                order[tail++] = n->out[i].n;
    }
    return tail == g->n;
}

/* ---- public: graphs ---------------------------------------------------------------------- */

#define LOCKED(call)                                                                               \
    ({                                                                                             \
        pthread_mutex_lock(&gvm_graph_lock);                                                       \
        int locked_rc = (call);                                                                    \
        pthread_mutex_unlock(&gvm_graph_lock);                                                     \
        (CUresult) locked_rc;                                                                      \
    })

CUresult cuGraphCreate(CUgraph *out, unsigned flags)
{
    int rc = api_need_init();
    CUgraph g;

    if (rc)
        return (CUresult)rc;
    if (!out || flags)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&gvm_graph_lock);
    g = gvm_graph_new();
    pthread_mutex_unlock(&gvm_graph_lock);
    if (!g)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *out = g;
    return CUDA_SUCCESS;
}

static int destroy(CUgraph g)
{
    if (!gvm_graph_valid(g) || g->owned)
        return 1;
    gvm_graph_free(g);
    return 0;
}

CUresult cuGraphDestroy(CUgraph g)
{
    int rc = api_need_init();

    if (rc == 0)
        rc = LOCKED(destroy(g));
    gvm_graph_mem_trim();
    return (CUresult)rc;
}

static int make_clone(CUgraph *out, CUgraph g)
{
    if (!out || !gvm_graph_valid(g))
        return 1;
    if (gvm_graph_has_mem(g) || gvm_graph_has_cond(g))
        return CUDA_ERROR_NOT_SUPPORTED;
    g = gvm_graph_copy(g);
    if (!g)
        return 2;
    *out = g;
    return 0;
}

CUresult cuGraphClone(CUgraph *out, CUgraph g)
{
    int rc = api_need_init();

    return rc ? (CUresult)rc : LOCKED(make_clone(out, g));
}

static int find_in_clone(CUgraphNode *out, CUgraphNode n, CUgraph g)
{
    CUgraphNode found;

    if (!out || !gvm_node_valid(n) || !gvm_graph_valid(g))
        return 1;
    found = gvm_node_copy_of(g, n);
    if (!found)
        return 1;
    *out = found;
    return 0;
}

CUresult cuGraphNodeFindInClone(CUgraphNode *out, CUgraphNode n, CUgraph g)
{
    return LOCKED(find_in_clone(out, n, g));
}

/* ---- public: queries --------------------------------------------------------------------- */

CUresult cuGraphNodeGetType(CUgraphNode n, CUgraphNodeType *type)
{
    if (!gvm_node_valid(n) || !type)
        return CUDA_ERROR_INVALID_VALUE;
    *type = n->type;
    return CUDA_SUCCESS;
}

/* How many fit and how many there are, as all of these queries tell it. */
static void fit(size_t *asked, size_t there, CUgraphNode *v, CUgraphNode *w)
{
    if (v) {
        for (size_t i = there; i < *asked; i++) {
            v[i] = NULL;
            if (w)
                w[i] = NULL;
        }
        if (*asked > there)
            *asked = there;
    } else {
        *asked = there;
    }
}

static int get_nodes(CUgraph g, CUgraphNode *v, size_t *n, bool roots)
{
    size_t k = 0;

    if (!gvm_graph_valid(g) || !n)
        return 1;
    for (uint32_t i = 0; i < g->n; i++) {
        if (roots && g->v[i]->ndep)
            continue;
        if (v && k < *n)
            v[k] = g->v[i];
        k++;
    }
    fit(n, k, v, NULL);
    return 0;
}

CUresult cuGraphGetNodes(CUgraph g, CUgraphNode *v, size_t *n)
{
    return LOCKED(get_nodes(g, v, n, false));
}

CUresult cuGraphGetRootNodes(CUgraph g, CUgraphNode *v, size_t *n)
{
    return LOCKED(get_nodes(g, v, n, true));
}

static bool edge_plain(const CUgraphEdgeData *d)
{
    static const CUgraphEdgeData zero;

    return memcmp(d, &zero, sizeof(zero)) == 0;
}

static int get_edges(CUgraph g, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *data,
                     size_t *n)
{
    size_t k = 0;

    if (!gvm_graph_valid(g) || !n || !from != !to || (data && !from))
        return 1;
    for (uint32_t i = 0; i < g->n; i++) {
        for (size_t j = 0; j < g->v[i]->nout; j++, k++) {
            if (!from || k >= *n)
                continue;
            if (!data && !edge_plain(&g->v[i]->out[j].data))
                return CUDA_ERROR_LOSSY_QUERY;
            from[k] = g->v[i];
            to[k] = g->v[i]->out[j].n;
            if (data)
                data[k] = g->v[i]->out[j].data;
        }
    }
    fit(n, k, from, to);
    return 0;
}

CUresult cuGraphGetEdges(CUgraph g, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *data,
                         size_t *n)
{
    return LOCKED(get_edges(g, from, to, data, n));
}

static int get_side(CUgraphNode node, bool deps, CUgraphNode *v, CUgraphEdgeData *data, size_t *n)
{
    const struct gvm_edge *e;
    size_t count;

    if (!gvm_node_valid(node) || !n || (data && !v))
        return 1;
    e = deps ? node->dep : node->out;
    count = deps ? node->ndep : node->nout;
    for (size_t i = 0; v && i < count && i < *n; i++) {
        if (!data && !edge_plain(&e[i].data))
            return CUDA_ERROR_LOSSY_QUERY;
        v[i] = e[i].n;
        if (data)
            data[i] = e[i].data;
    }
    fit(n, count, v, NULL);
    return 0;
}

CUresult cuGraphNodeGetDependencies(CUgraphNode n, CUgraphNode *v, CUgraphEdgeData *data,
                                    size_t *count)
{
    return LOCKED(get_side(n, true, v, data, count));
}

CUresult cuGraphNodeGetDependentNodes(CUgraphNode n, CUgraphNode *v, CUgraphEdgeData *data,
                                      size_t *count)
{
    return LOCKED(get_side(n, false, v, data, count));
}

/* ---- public: edges ----------------------------------------------------------------------- */

static int add_edges(CUgraph g, const CUgraphNode *from, const CUgraphNode *to,
                     const CUgraphEdgeData *data, size_t n)
{
    int rc = 0;

    if (!gvm_graph_valid(g) || (n && (!from || !to)))
        return 1;
    for (size_t i = 0; i < n; i++)
        if (!gvm_node_valid(from[i]) || !gvm_node_valid(to[i]) || from[i]->graph != g ||
            to[i]->graph != g || from[i] == to[i] || edge_find(to[i]->dep, to[i]->ndep, from[i]) ||
            (data && !edge_data_valid(&data[i])))
            return 1;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = edge_add(from[i], to[i], data ? &data[i] : NULL);
    return rc;
}

CUresult cuGraphAddDependencies(CUgraph g, const CUgraphNode *from, const CUgraphNode *to,
                                const CUgraphEdgeData *data, size_t n)
{
    return LOCKED(add_edges(g, from, to, data, n));
}

static int remove_edges(CUgraph g, const CUgraphNode *from, const CUgraphNode *to,
                        const CUgraphEdgeData *data, size_t n)
{
    static const CUgraphEdgeData zero;

    if (!gvm_graph_valid(g) || (n && (!from || !to)))
        return 1;
    for (size_t i = 0; i < n; i++) {
        const struct gvm_edge *e;

        if (!gvm_node_valid(from[i]) || !gvm_node_valid(to[i]) || from[i]->graph != g ||
            to[i]->graph != g)
            return 1;
        e = edge_find(to[i]->dep, to[i]->ndep, from[i]);
        if (!e || memcmp(&e->data, data ? &data[i] : &zero, sizeof(zero)) != 0)
            return 1;
    }
    for (size_t i = 0; i < n; i++)
        edge_remove(from[i], to[i]);
    return 0;
}

CUresult cuGraphRemoveDependencies(CUgraph g, const CUgraphNode *from, const CUgraphNode *to,
                                   const CUgraphEdgeData *data, size_t n)
{
    return LOCKED(remove_edges(g, from, to, data, n));
}

static int destroy_node(CUgraphNode n)
{
    if (!gvm_node_valid(n))
        return 1;
    if (n->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || n->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (n->type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
        gvm_cond_release(n);
    gvm_node_remove(n);
    return 0;
}

CUresult cuGraphDestroyNode(CUgraphNode n)
{
    return LOCKED(destroy_node(n));
}

/* ---- public: forms without edge data ----------------------------------------------------- */

#undef cuGraphGetEdges
#undef cuGraphNodeGetDependencies
#undef cuGraphNodeGetDependentNodes
#undef cuGraphAddDependencies
#undef cuGraphRemoveDependencies

GVM_API CUresult cuGraphGetEdges(CUgraph g, CUgraphNode *from, CUgraphNode *to, size_t *n);
CUresult cuGraphGetEdges(CUgraph g, CUgraphNode *from, CUgraphNode *to, size_t *n)
{
    return cuGraphGetEdges_v2(g, from, to, NULL, n);
}

GVM_API CUresult cuGraphNodeGetDependencies(CUgraphNode n, CUgraphNode *v, size_t *count);
CUresult cuGraphNodeGetDependencies(CUgraphNode n, CUgraphNode *v, size_t *count)
{
    return cuGraphNodeGetDependencies_v2(n, v, NULL, count);
}

GVM_API CUresult cuGraphNodeGetDependentNodes(CUgraphNode n, CUgraphNode *v, size_t *count);
CUresult cuGraphNodeGetDependentNodes(CUgraphNode n, CUgraphNode *v, size_t *count)
{
    return cuGraphNodeGetDependentNodes_v2(n, v, NULL, count);
}

GVM_API CUresult cuGraphAddDependencies(CUgraph g, const CUgraphNode *from, const CUgraphNode *to,
                                        size_t n);
CUresult cuGraphAddDependencies(CUgraph g, const CUgraphNode *from, const CUgraphNode *to, size_t n)
{
    return cuGraphAddDependencies_v2(g, from, to, NULL, n);
}

GVM_API CUresult cuGraphRemoveDependencies(CUgraph g, const CUgraphNode *from,
                                           const CUgraphNode *to, size_t n);
CUresult cuGraphRemoveDependencies(CUgraph g, const CUgraphNode *from, const CUgraphNode *to,
                                   size_t n)
{
    return cuGraphRemoveDependencies_v2(g, from, to, NULL, n);
}
