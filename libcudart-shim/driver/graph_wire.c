/* SPDX-License-Identifier: MIT */
/*
 * graph_wire.c - an executable graph as the worker gets it. Child graphs are spread out; a copy from
 * to ordinary memory becomes a copy to a staging buffer and a function of this process that moves the
 * octets on when the node is reached. Ordinary memory that is read is copied to a staging buffer when
 * the graph is launched, after its launch before has ended: that is when CUDA reads it.
 */
#include "blocks.h"
#include "graph_exec.h"
#include "log.h"
#include "module.h"
#include "pool.h"
#include "stubs.h"
#include "upcall.h"
#include "graph_proto.h"

#include <stdlib.h>
#include <string.h>

static struct gvm_idtab execs = GVM_IDTAB_INIT(15, struct gvm_obj);

/* A copy or fill that this process does itself. */
struct gvm_piece {
    struct gvm_piece *next;
    bool fill;
    uint8_t *dst;
    const uint8_t *src;
    size_t width, height, depth, dpitch, spitch, dslice, sslice;
    CUDA_MEMSET_NODE_PARAMS set;
    CUDA_HOST_NODE_PARAMS host; /* a function of the program, as it was then */
    bool early;                 /* runs before the launch is sent, not when a node is reached */
    void *stage;                /* pool memory of the piece, NULL: none */
    size_t stage_len;
};

struct out {
    uint8_t *p;
    size_t len, cap;
    uint32_t n;
    CUgraphNode *of; /* node behind each index */
    uint32_t of_cap;
    CUgraphNode at;
    struct gvm_exec_res *res;
    struct gvm_chan *c;
    struct vgpu_graph_cond *cond; /* what follows the nodes */
    uint32_t ncond;
    uint32_t owner, body; /* what is being written is this body of this node */
    int rc;
};

/* ---- what runs here ---------------------------------------------------------------------- */

static void run_piece(void *arg, int status)
{
    struct gvm_piece *q = arg;

    for (size_t z = 0; z < q->depth; z++) {
        for (size_t y = 0; y < q->height; y++) {
            uint8_t *d = q->dst + z * q->dslice + y * q->dpitch;

            if (!q->fill) {
                memmove(d, q->src + z * q->sslice + y * q->spitch, q->width);
                continue;
            }
            for (size_t x = 0; x < q->set.width; x++) /* little endian */
                memcpy(d + x * q->set.elementSize, &q->set.value, q->set.elementSize);
        }
    }
}

static void run_program(void *arg, int status)
{
    const struct gvm_piece *q = arg;

    q->host.fn(q->host.userData);
}

int gvm_exec_early(struct gvm_chan *c, struct gvm_exec_res *r)
{
    int rc = 0;

    if (r->done)
        rc = gvm_counter_wait(c, r->done->slot, r->value, true);
    else
        r->done = gvm_event_make(c, GVM_EVENT_NO_TIMING, &rc);
    for (struct gvm_piece *q = r->piece; q && rc == 0; q = q->next)
        if (q->early)
            run_piece(q, 0);
    return rc;
}

/* ---- writing ----------------------------------------------------------------------------- */

static void put(struct out *o, const void *p, size_t n)
{
    size_t padded = (n + 7) & ~(size_t)7;

    if (o->rc)
        return;
    if (o->len + padded > o->cap) {
        size_t cap = o->cap ? o->cap : 4096;
        void *v;

        while (cap < o->len + padded)
            cap *= 2;
        v = realloc(o->p, cap);
        if (!v) {
            o->rc = 2;
            return;
        }
        o->p = v;
        o->cap = cap;
    }
    memcpy(o->p + o->len, p, n);
    memset(o->p + o->len + n, 0, padded - n);
    o->len += padded;
}

/* A node; returns its index. Its parameters follow, then end(). */
static uint32_t begin(struct out *o, unsigned type, const uint32_t *deps, uint32_t ndeps,
                      size_t *start)
{
    struct vgpu_graph_node h = {.type = (uint16_t)type, .ndeps = ndeps};

    if (o->n == o->of_cap) {
        uint32_t cap = o->of_cap ? 2 * o->of_cap : 64;
        void *v = realloc(o->of, cap * sizeof(*o->of));

        if (!v) {
            o->rc = 2;
            return 0;
        }
        o->of = v;
        o->of_cap = cap;
    }
    o->of[o->n] = o->at;
    *start = o->len;
    if (o->at && o->at->disabled)
        h.flags = VGPU_NODE_DISABLED;
    put(o, &h, sizeof(h));
    put(o, deps, ndeps * sizeof(*deps));
    return o->n++;
}

static void end(struct out *o, size_t start)
{
    uint32_t bytes = (uint32_t)(o->len - start);

    if (o->rc == 0)
        memcpy(o->p + start, &bytes, sizeof(bytes));
}

static uint32_t bare(struct out *o, unsigned type, const uint32_t *deps, uint32_t ndeps,
                     uint32_t word)
{
    size_t start;
    uint32_t i = begin(o, type, deps, ndeps, &start);

    if (type != VGPU_NODE_EMPTY)
        put(o, &word, sizeof(word));
    end(o, start);
    return i;
}

static bool grow_u32(uint32_t **v, uint32_t n, uint32_t *cap)
{
    void *p;

    if (n < *cap)
        return true;
    p = realloc(*v, (*cap ? 2 * *cap : 8) * sizeof(**v));
    if (!p)
        return false;
    *v = p;
    *cap = *cap ? 2 * *cap : 8;
    return true;
}

/* A point at which this process runs fn(arg). */
static uint32_t call(struct out *o, const uint32_t *deps, uint32_t ndeps, gvm_upcall_fn *fn,
                     void *arg, bool program)
{
    struct gvm_upcall u = {.fn = fn, .arg = arg, .kept = true, .program = program};
    uint32_t id = 0;

    if (o->rc == 0 && !grow_u32(&o->res->call, o->res->ncall, &o->res->call_cap))
        o->rc = 2;
    if (o->rc == 0)
        o->rc = gvm_upcall_new(o->c, &u, &id);
    if (o->rc == 0)
        o->res->call[o->res->ncall++] = id;
    return bare(o, VGPU_NODE_CALL, deps, ndeps, id);
}

static struct gvm_piece *piece_new(struct out *o)
{
    struct gvm_piece *q = calloc(1, sizeof(*q));

    if (!q) {
        o->rc = 2;
        return NULL;
    }
    q->next = o->res->piece;
    o->res->piece = q;
    return q;
}

static void put_side(struct vgpu_copy_side *s, const struct gvm_copy_end *e)
{
    struct gvm_pool_ref ref = {0};

    *s = (struct vgpu_copy_side){.pitch = e->pitch, .height = e->height};
    if (e->place == GVM_PLACE_POOL) {
        gvm_pool_find((void *)(uintptr_t)e->addr, 1, &ref);
        s->type = VGPU_SIDE_POOL;
        s->object = ref.chunk;
        s->addr = ref.off;
    } else {
        s->type = VGPU_SIDE_DEVICE;
        s->addr = e->addr;
    }
}

static uint32_t one_box(struct out *o, const uint32_t *deps, uint32_t ndeps,
                        const struct gvm_copy_end *dst, const struct gvm_copy_end *src,
                        size_t width, size_t height, size_t depth)
{
    struct vgpu_copy3d q = {.width = width, .height = height, .depth = depth};
    size_t start;
    uint32_t i;

    put_side(&q.dst, dst);
    put_side(&q.src, src);
    i = begin(o, VGPU_NODE_COPY, deps, ndeps, &start);
    put(o, &q, sizeof(q));
    end(o, start);
    return i;
}

/* Octets from the box's first one to its last one, and how many of n lie in one chunk. */
static size_t span_of(const struct gvm_copy_end *e, const CUDA_MEMCPY3D *p)
{
    return ((p->Depth - 1) * e->height + p->Height - 1) * e->pitch + p->WidthInBytes;
}

static size_t room_of(const struct gvm_copy_end *e, size_t n)
{
    struct gvm_pool_ref ref;

    if (e->place != GVM_PLACE_POOL || !gvm_pool_find((void *)(uintptr_t)e->addr, n, &ref))
        return n;
    return ref.len;
}

/* A row that may go on into the next chunk: the driver copies to and from one registered range. */
static void put_row(struct out *o, const uint32_t *deps, uint32_t ndeps, struct gvm_copy_end dst,
                    struct gvm_copy_end src, size_t n, uint32_t **all, uint32_t *count,
                    uint32_t *cap)
{
    while (n && o->rc == 0) {
        size_t k = room_of(&dst, n), l = room_of(&src, n);

        if (l < k)
            k = l;
        if (!grow_u32(all, *count, cap)) {
            o->rc = 2;
            return;
        }
        (*all)[(*count)++] = one_box(o, deps, ndeps, &dst, &src, k, 1, 1);
        dst.addr += k;
        src.addr += k;
        n -= k;
    }
}

static uint32_t box(struct out *o, const uint32_t *deps, uint32_t ndeps,
                    const struct gvm_copy_end *dst, const struct gvm_copy_end *src,
                    const CUDA_MEMCPY3D *p)
{
    uint32_t *all = NULL, count = 0, cap = 0, last;

    if (room_of(dst, span_of(dst, p)) == span_of(dst, p) &&
        room_of(src, span_of(src, p)) == span_of(src, p))
        return one_box(o, deps, ndeps, dst, src, p->WidthInBytes, p->Height, p->Depth);
    for (size_t z = 0; z < p->Depth && o->rc == 0; z++)
        for (size_t y = 0; y < p->Height && o->rc == 0; y++) {
            struct gvm_copy_end d = *dst, s = *src;

            d.addr += (z * d.height + y) * d.pitch;
            s.addr += (z * s.height + y) * s.pitch;
            put_row(o, deps, ndeps, d, s, p->WidthInBytes, &all, &count, &cap);
        }
    last = bare(o, VGPU_NODE_EMPTY, all, count, 0);
    free(all);
    return last;
}

static struct gvm_piece *piece_for(struct out *o, const struct gvm_copy_end *dst,
                                   const struct gvm_copy_end *src, const CUDA_MEMCPY3D *p)
{
    struct gvm_piece *q = piece_new(o);

    if (!q)
        return NULL;
    q->dst = (void *)(uintptr_t)dst->addr;
    q->src = (const void *)(uintptr_t)src->addr;
    q->dpitch = dst->pitch;
    q->dslice = dst->pitch * dst->height;
    q->spitch = src->pitch;
    q->sslice = src->pitch * src->height;
    q->width = p->WidthInBytes;
    q->height = p->Height;
    q->depth = p->Depth;
    return q;
}

/* The staging buffer of a piece, as an end of a copy. */
static bool stage(struct out *o, struct gvm_piece *q, const CUDA_MEMCPY3D *p,
                  struct gvm_copy_end *e)
{
    size_t len = p->WidthInBytes * p->Height * p->Depth;

    if (!q)
        return false;
    q->stage = gvm_pool_alloc(len);
    if (!q->stage) {
        o->rc = 2;
        return false;
    }
    q->stage_len = len;
    *e = (struct gvm_copy_end){.place = GVM_PLACE_POOL,
                               .addr = (uintptr_t)q->stage,
                               .pitch = p->WidthInBytes,
                               .height = p->Height};
    return true;
}

static void put_copy(struct out *o, CUgraphNode n, const uint32_t *deps, uint32_t ndeps)
{
    const CUDA_MEMCPY3D *p = &n->copy;
    struct gvm_copy_end dst, src, st;
    struct gvm_piece *q;

    gvm_copy_ends(p, &dst, &src);
    if (dst.place == GVM_PLACE_ARRAY || src.place == GVM_PLACE_ARRAY) {
        static uint32_t said;

        if (gvm_once(&said))
            gvm_log("copies from and to arrays are not supported in graphs");
        o->rc = 801;
        return;
    }
    if (n->disabled) {
        n->first = n->last = bare(o, VGPU_NODE_EMPTY, deps, ndeps, 0);
    } else if (dst.place != GVM_PLACE_DEVICE && src.place != GVM_PLACE_DEVICE) {
        n->first = n->last = call(o, deps, ndeps, run_piece, piece_for(o, &dst, &src, p), false);
    } else if (src.place == GVM_PLACE_HOST) {
        q = piece_new(o);
        if (!stage(o, q, p, &st))
            return;
        *q = (struct gvm_piece){.next = q->next,
                                .stage = q->stage,
                                .stage_len = q->stage_len,
                                .dst = q->stage,
                                .src = (const void *)(uintptr_t)src.addr,
                                .width = p->WidthInBytes,
                                .height = p->Height,
                                .depth = p->Depth,
                                .dpitch = st.pitch,
                                .dslice = st.pitch * st.height,
                                .spitch = src.pitch,
                                .sslice = src.pitch * src.height};
        q->early = o->res->early = true;
        n->first = n->last = box(o, deps, ndeps, &dst, &st, p);
    } else if (dst.place == GVM_PLACE_HOST) {
        q = piece_new(o);
        if (!stage(o, q, p, &st))
            return;
        *q = (struct gvm_piece){.next = q->next,
                                .stage = q->stage,
                                .stage_len = q->stage_len,
                                .dst = (void *)(uintptr_t)dst.addr,
                                .src = q->stage,
                                .width = p->WidthInBytes,
                                .height = p->Height,
                                .depth = p->Depth,
                                .dpitch = dst.pitch,
                                .dslice = dst.pitch * dst.height,
                                .spitch = st.pitch,
                                .sslice = st.pitch * st.height};
        n->first = box(o, deps, ndeps, &st, &src, p);
        n->last = call(o, &n->first, 1, run_piece, q, false);
    } else {
        n->first = n->last = box(o, deps, ndeps, &dst, &src, p);
    }
}

static void put_fill(struct out *o, CUgraphNode n, const uint32_t *deps, uint32_t ndeps)
{
    const CUDA_MEMSET_NODE_PARAMS *p = &n->set;
    struct vgpu_graph_fill f = {.dst = p->dst,
                                .pitch = p->height > 1 ? p->pitch : 0,
                                .width = p->width,
                                .height = p->height,
                                .value = p->elementSize == 1   ? p->value & 0xff
                                         : p->elementSize == 2 ? p->value & 0xffff
                                                               : p->value,
                                .elem = p->elementSize};
    struct gvm_pool_ref ref;
    size_t start;

    if (n->disabled) {
        n->first = n->last = bare(o, VGPU_NODE_EMPTY, deps, ndeps, 0);
        return;
    }
    if (gvm_pool_find((void *)(uintptr_t)p->dst, 1, &ref)) { /* its memory is this process's */
        struct gvm_piece *q = piece_new(o);

        if (!q)
            return;
        q->fill = true;
        q->set = *p;
        q->dst = (void *)(uintptr_t)p->dst;
        q->dpitch = p->pitch;
        q->height = p->height;
        q->depth = 1;
        n->first = n->last = call(o, deps, ndeps, run_piece, q, false);
        return;
    }
    n->first = n->last = begin(o, VGPU_NODE_FILL, deps, ndeps, &start);
    put(o, &f, sizeof(f));
    end(o, start);
}

static void put_kernel(struct out *o, CUgraphNode n, const uint32_t *deps, uint32_t ndeps)
{
    const struct gvm_launch *l = &n->k.l;
    struct vgpu_graph_kernel k = {.func = n->k.f->index,
                                  .module = n->k.f->module_id,
                                  .shmem = l->shmem,
                                  .flags = l->flags,
                                  .params_len = n->k.f->param_bytes};
    size_t start;

    if (!gvm_func_valid(n->k.f)) {
        o->rc = 400;
        return;
    }
    memcpy(k.grid, l->grid, sizeof(k.grid));
    memcpy(k.block, l->block, sizeof(k.block));
    memcpy(k.cluster, l->cluster, sizeof(k.cluster));
    n->first = n->last = begin(o, VGPU_NODE_KERNEL, deps, ndeps, &start);
    put(o, &k, sizeof(k));
    put(o, n->k.buf, k.params_len);
    end(o, start);
}

static void put_event(struct out *o, CUgraphNode n, const uint32_t *deps, uint32_t ndeps)
{
    const struct gvm_event *e = gvm_id_get(&gvm_events, n->event);
    bool record = n->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD;

    if (!e) {
        o->rc = 400;
        return;
    }
    if (e->flags & GVM_EVENT_INTERPROCESS) {
        static uint32_t said;

        o->rc =
            gvm_refused("a graph that records or waits for an event of several processes", &said);
        return;
    }
    if (record) {
        if (!grow_u32(&o->res->record, o->res->nrecord, &o->res->record_cap)) {
            o->rc = 2;
            return;
        }
        o->res->record[o->res->nrecord++] = e->o.id;
    }
    n->first = n->last =
        bare(o, record ? VGPU_NODE_EVENT_RECORD : VGPU_NODE_EVENT_WAIT, deps, ndeps, e->o.id);
}

static void put_mem_ops(struct out *o, CUgraphNode n, const uint32_t *deps, uint32_t ndeps)
{
    uint32_t head[2] = {n->mem.count, 0};
    size_t start;

    if (!n->mem.count) {
        n->first = n->last = bare(o, VGPU_NODE_EMPTY, deps, ndeps, 0);
        return;
    }
    n->first = n->last = begin(o, VGPU_NODE_MEM, deps, ndeps, &start);
    put(o, head, sizeof(head));
    for (uint32_t i = 0; i < n->mem.count; i++) {
        struct vgpu_mem_op op = gvm_mem_op_wire(&n->mem.paramArray[i]);

        put(o, &op, sizeof(op));
    }
    end(o, start);
}

static void put_host(struct out *o, CUgraphNode n, const uint32_t *deps, uint32_t ndeps)
{
    struct gvm_piece *q = piece_new(o);

    if (!q)
        return;
    q->host = n->host;
    n->first = n->last = call(o, deps, ndeps, run_program, q, true);
}

static void put_graph(struct out *o, CUgraph g, const uint32_t *entry);

/* The conditions of g. */
static void put_conds(struct out *o, CUgraph g)
{
    void *v = realloc(o->cond, (o->ncond + g->ncond + 1) * sizeof(*o->cond));

    if (!v) {
        o->rc = 2;
        return;
    }
    o->cond = v;
    for (uint32_t i = 0; i < g->ncond; i++)
        o->cond[o->ncond++] = (struct vgpu_graph_cond){g->cond[i].number, g->cond[i].value,
                                                       g->cond[i].flags, o->owner, o->body};
}

static void put_cond(struct out *o, CUgraphNode n, const uint32_t *deps, uint32_t ndeps)
{
    struct vgpu_graph_choice c = {n->cond.number, (uint32_t)n->cond.type, n->cond.n};
    uint32_t *total = calloc(n->cond.n + 1, sizeof(*total));
    uint32_t owner = o->owner, body = o->body;
    size_t start, at;

    if (!total) {
        o->rc = 2;
        return;
    }
    n->first = n->last = begin(o, VGPU_NODE_COND, deps, ndeps, &start);
    put(o, &c, sizeof(c));
    at = o->len;
    put(o, total, n->cond.n * sizeof(*total));
    end(o, start);
    for (uint32_t i = 0; i < n->cond.n && o->rc == 0; i++) {
        uint32_t before = o->n;

        o->owner = n->first;
        o->body = i;
        put_graph(o, n->cond.body[i], NULL);
        total[i] = o->n - before;
    }
    if (o->rc == 0)
        memcpy(o->p + at, total, n->cond.n * sizeof(*total));
    o->owner = owner;
    o->body = body;
    free(total);
}

static void put_child(struct out *o, CUgraphNode n, const uint32_t *deps, uint32_t ndeps)
{
    CUgraph g = n->child;
    uint32_t *leaves = calloc(g->n + 1, sizeof(*leaves)), k = 0;

    if (!leaves) {
        o->rc = 2;
        return;
    }
    n->first = bare(o, VGPU_NODE_EMPTY, deps, ndeps, 0);
    put_graph(o, g, &n->first);
    for (uint32_t i = 0; i < g->n && o->rc == 0; i++)
        if (!g->v[i]->nout)
            leaves[k++] = g->v[i]->last;
    if (!k)
        leaves[k++] = n->first;
    n->last = bare(o, VGPU_NODE_EMPTY, leaves, k, 0);
    free(leaves);
}

static void put_node(struct out *o, CUgraphNode n, const uint32_t *entry)
{
    uint32_t *deps = calloc(n->ndep + 1, sizeof(*deps)), ndeps = 0;

    if (!deps) {
        o->rc = 2;
        return;
    }
    for (size_t i = 0; i < n->ndep; i++)
        deps[ndeps++] = n->dep[i].n->last;
    if (!ndeps && entry)
        deps[ndeps++] = *entry;
    o->at = n;
    switch (n->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        put_kernel(o, n, deps, ndeps);
        break;
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        put_copy(o, n, deps, ndeps);
        break;
    case CU_GRAPH_NODE_TYPE_MEMSET:
        put_fill(o, n, deps, ndeps);
        break;
    case CU_GRAPH_NODE_TYPE_HOST:
        put_host(o, n, deps, ndeps);
        break;
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        put_cond(o, n, deps, ndeps);
        break;
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        put_mem_ops(o, n, deps, ndeps);
        break;
    case CU_GRAPH_NODE_TYPE_GRAPH:
        put_child(o, n, deps, ndeps);
        break;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        put_event(o, n, deps, ndeps);
        break;
    default: /* empty; memory of graphs lies at fixed addresses: nothing to do at run time */
        n->first = n->last = bare(o, VGPU_NODE_EMPTY, deps, ndeps, 0);
        break;
    }
    free(deps);
}

static void put_graph(struct out *o, CUgraph g, const uint32_t *entry)
{
    CUgraphNode *order = calloc(g->n + 1, sizeof(*order));
    int err;

    if (!order) {
        o->rc = 2;
        return;
    }
    put_conds(o, g);
    if (!gvm_graph_order(g, order, &err))
        o->rc = err ? err : 1;
    for (uint32_t i = 0; i < g->n && o->rc == 0; i++)
        put_node(o, order[i], entry);
    free(order);
}

/* ---- resources --------------------------------------------------------------------------- */

static void res_free(struct gvm_exec_res *r)
{
    for (uint32_t i = 0; i < r->ncall; i++)
        gvm_upcall_free(r->call[i]);
    while (r->piece) {
        struct gvm_piece *q = r->piece;

        r->piece = q->next;
        if (q->stage)
            gvm_pool_free(q->stage, q->stage_len);
        free(q);
    }
    if (r->done && gvm_usable())
        gvm_event_destroy(gvm_handle(&gvm_events, r->done));
    free(r->call);
    free(r->record);
    free(r);
}

static void run_ending(void *arg, int status)
{
    res_free(arg);
}

/* Frees what a launch under way may still use, after it. */
static void retire(struct gvm_chan *c, CUgraphExec x)
{
    struct gvm_exec_res *r = x->res;
    struct gvm_upcall u = {.fn = run_ending, .arg = r};
    struct gvm_sref s;
    uint32_t id;

    x->res = NULL;
    if (!r)
        return;
    if (!x->launched || !c || (!r->ncall && !r->piece)) {
        res_free(r);
        return;
    }
    /* If the context has faulted it is better kept than freed too early. */
    if (gvm_stream_ref(x->last, &s) == 0 && gvm_upcall_new(c, &u, &id) == 0 &&
        vgpu_HostFunc(c, 0, s.id, id, 1))
        gvm_upcall_free(id);
}

void gvm_exec_drop(struct gvm_chan *c, CUgraphExec x)
{
    if (x->wire && x->epoch == gvm.epoch) {
        if (c)
            vgpu_GraphExecDestroy(c, 0, x->wire->id);
        gvm_id_free(&execs, x->wire);
    }
    x->wire = NULL;
    retire(c, x);
}

/* ---- sending ----------------------------------------------------------------------------- */

static int send_blob(struct gvm_chan *c, struct out *o, struct gvm_obj **wire, uint32_t *bad)
{
    struct gvm_pool_ref ref;
    void *p = gvm_pool_alloc(o->len);
    int rc = 2;

    if (!p)
        return 2;
    if (gvm_pool_find(p, o->len, &ref) && ref.len == o->len) {
        memcpy(p, o->p, o->len);
        *wire = gvm_id_new(&execs);
        if (*wire)
            GVM_MAKE_ROOM(
                rc, c, vgpu_GraphInstantiate(c, 0, (*wire)->id, ref.chunk, ref.off, ref.len, bad));
        if (rc && *wire)
            gvm_id_free(&execs, *wire);
    }
    gvm_pool_free(p, o->len);
    return rc;
}

int gvm_exec_send(struct gvm_chan *c, CUgraphExec x, CUgraphNode *bad)
{
    struct out o = {.c = c, .owner = VGPU_COND_TOP};
    struct vgpu_graph_head h = {.magic = VGPU_GRAPH_MAGIC};
    struct gvm_obj *wire = NULL;
    uint32_t at = UINT32_MAX;

    *bad = NULL;
    o.res = calloc(1, sizeof(*o.res));
    if (!o.res)
        return 2;
    put(&o, &h, sizeof(h));
    put_graph(&o, x->g, NULL);
    if (o.rc) {
        *bad = o.at;
        goto out;
    }
    put(&o, o.cond, o.ncond * sizeof(*o.cond));
    h.nnode = o.n;
    h.ncond = o.ncond;
    memcpy(o.p, &h, sizeof(h));
    o.rc = send_blob(c, &o, &wire, &at);
    if (o.rc && at < o.n)
        *bad = o.of[at];
    if (o.rc == 0) {
        if (x->wire && x->epoch == gvm.epoch) {
            vgpu_GraphExecDestroy(c, 0, x->wire->id);
            gvm_id_free(&execs, x->wire);
        }
        retire(c, x);
        x->wire = wire;
        x->res = o.res;
        x->epoch = gvm.epoch;
        x->dirty = false;
        x->launched = false;
        o.res = NULL;
    }
out:
    if (o.res)
        res_free(o.res);
    free(o.p);
    free(o.of);
    free(o.cond);
    return o.rc;
}
