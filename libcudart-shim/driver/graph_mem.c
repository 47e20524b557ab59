/* SPDX-License-Identifier: MIT */
/*
 * graph_mem.c - memory that graphs allocate.
 *
 * It lies at one address for the life of the node, so the block is allocated with the node and
 * given back when neither the graph, nor its executable graph, nor the program has it any more: at
 * run time allocating and freeing are nothing but order. What CUDA says about launching again
 * before the memory was freed is kept track of here.
 */
#include "graph.h"
#include "graph_exec.h"

#include <stdlib.h>

struct block {
    uint64_t dptr, size;
    uint32_t nodes; /* that allocate it: of the graph and of its executable graph */
    bool live;      /* a launch has allocated it and nobody has freed it */
    bool used;      /* has been launched since it was trimmed */
    struct block *next;
};

uint32_t gvm_graph_blocks; /* how many there are; atomic */
static struct block *blocks;
static struct block *dead; /* to be given back without the lock */
static uint64_t used_high;

static struct block *find(uint64_t dptr)
{
    struct block *b = blocks;

    while (b && b->dptr != dptr)
        b = b->next;
    return b;
}

static uint64_t in_use(void)
{
    uint64_t n = 0;

    for (const struct block *b = blocks; b; b = b->next)
        n += b->used ? b->size : 0;
    return n;
}

/* With the lock held. */
static void put(struct block *b)
{
    struct block **at = &blocks;

    if (b->nodes || b->live)
        return;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    b->next = dead;
    dead = b;
    __atomic_fetch_sub(&gvm_graph_blocks, 1, __ATOMIC_RELAXED);
}

void gvm_graph_mem_trim(void)
{
    struct gvm_range g;

    for (;;) {
        struct block *b;

        pthread_mutex_lock(&gvm_graph_lock);
        b = dead;
        if (b)
            dead = b->next;
        pthread_mutex_unlock(&gvm_graph_lock);
        if (!b)
            return;
        if (gvm_ranges_remove(&gvm_allocs, b->dptr, 1u << GVM_DEVICE, &g))
            gvm_range_release(&g);
        free(b);
    }
}

int gvm_graph_mem_free(uint64_t dptr)
{
    struct block *b;
    int rc = -1;

    if (!__atomic_load_n(&gvm_graph_blocks, __ATOMIC_RELAXED))
        return -1;
    pthread_mutex_lock(&gvm_graph_lock);
    b = find(dptr);
    if (b) {
        rc = b->live ? 0 : 1;
        b->live = false;
        put(b);
    }
    pthread_mutex_unlock(&gvm_graph_lock);
    gvm_graph_mem_trim();
    return rc;
}

void gvm_graph_mem_ref(CUgraphNode n)
{
    struct block *b = find(n->alloc.dptr);

    if (b)
        b->nodes++;
}

void gvm_graph_mem_unref(CUgraphNode n)
{
    struct block *b = find(n->alloc.dptr);

    if (b) {
        b->nodes--;
        put(b);
    }
}

bool gvm_graph_has_mem(CUgraph g)
{
    for (uint32_t i = 0; i < g->n; i++)
        if (g->v[i]->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
            return true;
    return false;
}

/* A graph that allocates has one executable graph at a time. */
bool gvm_graph_mem_taken(CUgraph g)
{
    for (uint32_t i = 0; i < g->n; i++) {
        const struct block *b;

        if (g->v[i]->type != CU_GRAPH_NODE_TYPE_MEM_ALLOC)
            continue;
        b = find(g->v[i]->alloc.dptr);
        if (b && b->nodes > 1)
            return true;
    }
    return false;
}

static bool frees(CUgraph g, uint64_t dptr)
{
    for (uint32_t i = 0; i < g->n; i++)
        if (g->v[i]->type == CU_GRAPH_NODE_TYPE_MEM_FREE && g->v[i]->free == dptr)
            return true;
    return false;
}

int gvm_graph_mem_launch(CUgraph g, bool auto_free)
{
    struct block *b;

    for (uint32_t i = 0; i < g->n; i++)
        if (g->v[i]->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) {
            b = find(g->v[i]->alloc.dptr);
            if (b && b->live && !auto_free)
                return 1;
        }
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->v[i]->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) {
            b = find(g->v[i]->alloc.dptr);
            if (b) {
                b->live = !frees(g, b->dptr);
                b->used = true;
            }
        } else if (g->v[i]->type == CU_GRAPH_NODE_TYPE_MEM_FREE) {
            b = find(g->v[i]->free);
            if (b)
                b->live = false; /* another graph's */
        }
    }
    if (in_use() > used_high)
        used_high = in_use();
    return 0;
}

/* ---- public ------------------------------------------------------------------------------ */

static int alloc_check(const CUDA_MEM_ALLOC_NODE_PARAMS *p)
{
    if (!p->bytesize || p->poolProps.allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
        p->poolProps.handleTypes != CU_MEM_HANDLE_TYPE_NONE ||
        p->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
        p->poolProps.location.id != 0 || (p->accessDescCount && !p->accessDescs))
        return 1;
    return 0;
}

int gvm_graph_add_alloc(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                        const CUgraphEdgeData *data, size_t n, CUDA_MEM_ALLOC_NODE_PARAMS *p)
{
    struct block *b = NULL;
    CUgraphNode node;
    uint64_t dptr = 0;
    int rc = api_need();

    if (rc == 0)
        rc = out && p ? alloc_check(p) : 1;
    if (rc == 0)
        rc = gvm_mem_alloc_now(p->bytesize, &dptr);
    if (rc)
        return rc;
    b = calloc(1, sizeof(*b));
    pthread_mutex_lock(&gvm_graph_lock);
    rc = b ? gvm_node_add(g, CU_GRAPH_NODE_TYPE_MEM_ALLOC, deps, data, n, &node) : 2;
    if (rc == 0) {
        *b = (struct block){.dptr = dptr, .size = p->bytesize, .nodes = 1, .next = blocks};
        blocks = b;
        __atomic_fetch_add(&gvm_graph_blocks, 1, __ATOMIC_RELAXED);
        p->dptr = dptr;
        node->alloc = *p;
        node->alloc.accessDescs = NULL; /* there is one device, which has access */
        node->alloc.accessDescCount = 0;
        *out = node;
    }
    pthread_mutex_unlock(&gvm_graph_lock);
    if (rc) {
        struct gvm_range r;

        if (gvm_ranges_remove(&gvm_allocs, dptr, 1u << GVM_DEVICE, &r))
            gvm_range_release(&r);
        free(b);
    }
    return rc;
}

CUresult cuGraphAddMemAllocNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                                CUDA_MEM_ALLOC_NODE_PARAMS *p)
{
    return (CUresult)gvm_graph_add_alloc(out, g, deps, NULL, n, p);
}

int gvm_graph_add_free(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                       const CUgraphEdgeData *data, size_t n, CUdeviceptr dptr)
{
    CUgraphNode node;
    int rc = api_need();

    if (rc == 0 && !out)
        rc = 1;
    if (rc)
        return rc;
    pthread_mutex_lock(&gvm_graph_lock);
    rc = !gvm_graph_valid(g) || !find(dptr) || frees(g, dptr)
             ? 1
             : gvm_node_add(g, CU_GRAPH_NODE_TYPE_MEM_FREE, deps, data, n, &node);
    if (rc == 0) {
        node->free = dptr;
        *out = node;
    }
    pthread_mutex_unlock(&gvm_graph_lock);
    return rc;
}

CUresult cuGraphAddMemFreeNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n,
                               CUdeviceptr dptr)
{
    return (CUresult)gvm_graph_add_free(out, g, deps, NULL, n, dptr);
}

CUresult cuGraphMemAllocNodeGetParams(CUgraphNode n, CUDA_MEM_ALLOC_NODE_PARAMS *p)
{
    if (!gvm_node_valid(n) || n->type != CU_GRAPH_NODE_TYPE_MEM_ALLOC || !p)
        return CUDA_ERROR_INVALID_VALUE;
    *p = n->alloc;
    return CUDA_SUCCESS;
}

CUresult cuGraphMemFreeNodeGetParams(CUgraphNode n, CUdeviceptr *dptr)
{
    if (!gvm_node_valid(n) || n->type != CU_GRAPH_NODE_TYPE_MEM_FREE || !dptr)
        return CUDA_ERROR_INVALID_VALUE;
    *dptr = n->free;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGraphMemTrim(CUdevice dev)
{
    int rc = api_need_init();

    if (rc || dev)
        return (CUresult)(rc ? rc : CUDA_ERROR_INVALID_DEVICE);
    gvm_graph_mem_trim();
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice dev, CUgraphMem_attribute attr, void *value)
{
    int rc = api_need_init();

    if (rc || dev)
        return (CUresult)(rc ? rc : CUDA_ERROR_INVALID_DEVICE);
    if (!value || (unsigned)attr > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&gvm_graph_lock);
    *(cuuint64_t *)value =
        attr == CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT || attr == CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT
            ? in_use()
            : used_high;
    pthread_mutex_unlock(&gvm_graph_lock);
    return CUDA_SUCCESS;
}

/* The high marks can be set back, and nothing else. */
CUresult cuDeviceSetGraphMemAttribute(CUdevice dev, CUgraphMem_attribute attr, void *value)
{
    int rc = api_need_init();

    if (rc || dev)
        return (CUresult)(rc ? rc : CUDA_ERROR_INVALID_DEVICE);
    if (!value || *(cuuint64_t *)value ||
        (attr != CU_GRAPH_MEM_ATTR_USED_MEM_HIGH && attr != CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&gvm_graph_lock);
    used_high = in_use();
    pthread_mutex_unlock(&gvm_graph_lock);
    return CUDA_SUCCESS;
}
