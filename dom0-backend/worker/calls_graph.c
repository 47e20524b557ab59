/* SPDX-License-Identifier: MIT */
/*
 * calls_graph.c - executable graphs: the guest's description is copied once, checked, its numbers
 * resolved, and handed to the device.
 */
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "dom0-backend/worker/made.h"
#include "dom0-backend/device/device_graph.h"
#include "dom0-backend/worker/copy3d.h"
#include "protocol/graph_proto.h"

/* Lives until it is destroyed and its last launch is complete. */
struct wk_exec {
    struct wk *w;
    struct dev_exec *x;
    _Atomic uint32_t refs;
    struct wk_obj **held; /* modules, events and arrays, until it is destroyed */
    uint32_t nheld, held_cap;
    uint64_t chunks; /* bit per chunk, likewise */
    struct wk_upcall **calls;
    uint32_t ncall;
    uint32_t *counters; /* of event record nodes */
    uint32_t nrecord;
    void *made; /* its description, if this worker may be saved */
    size_t made_len;
};

static void exec_put(struct wk_exec *e)
{
    if (atomic_fetch_sub(&e->refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < e->ncall; i++)
        wk_upcall_drop(e->calls[i]);
    free(e->calls);
    free(e->counters);
    free(e->held);
    free(e->made);
    free(e);
}

/* What only the call under way holds becomes the graph's. */
static int take_held(struct wk_exec *e, struct wk_lane *lane, unsigned base)
{
    while (lane->nheld > base) {
        if (e->nheld == e->held_cap) {
            uint32_t cap = e->held_cap ? 2 * e->held_cap : 16;
            void *p = realloc(e->held, cap * sizeof(*e->held));

            if (!p)
                return WK_OUT_OF_MEMORY;
            e->held = p;
            e->held_cap = cap;
        }
        e->held[e->nheld++] = lane->held[--lane->nheld];
    }
    return WK_OK;
}

static void let_go(struct wk_exec *e)
{
    struct wk *w = e->w;

    while (e->nheld)
        wk_obj_release(w, e->held[--e->nheld]);
    pthread_mutex_lock(&w->chunk_lock);
    for (uint64_t m = e->chunks; m; m &= m - 1) {
        struct wk_chunk *c = &w->chunks[__builtin_ctzll(m)];

        if (--c->users == 0 && c->dropping)
            pthread_cond_broadcast(&w->chunk_idle);
    }
    e->chunks = 0;
    pthread_mutex_unlock(&w->chunk_lock);
}

/* ---- reading a description --------------------------------------------------------------- */

struct reader {
    struct wk_lane *lane;
    struct wk_exec *e;
    const uint8_t *p; /* a private copy */
    size_t left;
    struct dev_node *nodes;
    uint32_t n;
    uint32_t *scope; /* of each node: the number of the body that it is in */
    uint32_t nscope;
    uint32_t *bad;
};

static int read_kernel(struct reader *r, struct dev_node *n, const uint8_t *p, size_t len)
{
    struct wk *w = r->lane->w;
    struct vgpu_graph_kernel k;
    struct wk_module *m;

    if (len < sizeof(k))
        return WK_INVALID_VALUE;
    memcpy(&k, p, sizeof(k));
    if (k.params_len > len - sizeof(k) || k.params_len > DEV_MAX_PARAM_BYTES)
        return WK_INVALID_VALUE;
    m = (struct wk_module *)wk_obj_hold(r->lane, WK_OBJ_MODULE, k.module);
    if (!m || k.func >= m->nfunc)
        return WK_INVALID_HANDLE;
    if (k.params_len < m->param_bytes[k.func])
        return WK_INVALID_VALUE;
    n->type = DEV_NODE_KERNEL;
    n->kernel.func = w->ops->module_func(m->m, k.func);
    n->kernel.l.shmem = k.shmem;
    n->kernel.l.cooperative = k.flags & 1;
    n->kernel.l.params = p + sizeof(k);
    n->kernel.l.params_len = k.params_len;
    memcpy(n->kernel.l.grid, k.grid, sizeof(k.grid));
    memcpy(n->kernel.l.block, k.block, sizeof(k.block));
    memcpy(n->kernel.l.cluster, k.cluster, sizeof(k.cluster));
    return WK_OK;
}

static int read_fill(struct dev_node *n, const uint8_t *p, size_t len)
{
    struct vgpu_graph_fill f;

    if (len < sizeof(f))
        return WK_INVALID_VALUE;
    memcpy(&f, p, sizeof(f));
    if (f.elem != 1 && f.elem != 2 && f.elem != 4)
        return WK_INVALID_VALUE;
    n->type = DEV_NODE_FILL;
    n->fill.dst = f.dst;
    n->fill.pitch = f.pitch;
    n->fill.width = f.width;
    n->fill.height = f.height;
    n->fill.value = f.value;
    n->fill.elem = f.elem;
    return WK_OK;
}

static int read_call(struct reader *r, struct dev_node *n, uint32_t id)
{
    struct wk_upcall *c = wk_upcall_kept(r->lane->w, id);

    if (!c)
        return WK_OUT_OF_MEMORY;
    r->e->calls[r->e->ncall++] = c;
    n->type = DEV_NODE_CALL;
    n->call.fn = wk_upcall_reached;
    n->call.arg = c;
    return WK_OK;
}

static int read_event(struct reader *r, struct dev_node *n, uint32_t id, bool record)
{
    struct wk_event *ev = (struct wk_event *)wk_obj_hold(r->lane, WK_OBJ_EVENT, id);

    if (!ev)
        return WK_INVALID_HANDLE;
    n->type = record ? DEV_NODE_EVENT_RECORD : DEV_NODE_EVENT_WAIT;
    n->event = ev->e;
    if (record)
        r->e->counters[r->e->nrecord++] = ev->counter;
    return WK_OK;
}

/* Operations on words in memory, from a private copy of n octets. */
static int read_mem(const uint8_t *p, size_t n, struct dev_mem_op **out, unsigned *count)
{
    struct dev_mem_op *v;
    struct vgpu_mem_op o;
    size_t i;

    if (n % sizeof(o) || n < sizeof(o) || n > VGPU_MEM_OPS * sizeof(o))
        return WK_INVALID_VALUE;
    v = calloc(n / sizeof(o), sizeof(*v));
    if (!v)
        return WK_OUT_OF_MEMORY;
    for (i = 0; i < n / sizeof(o); i++) {
        bool wide, wait;

        memcpy(&o, p + i * sizeof(o), sizeof(o));
        wide = o.op == VGPU_MEM_WAIT64 || o.op == VGPU_MEM_WRITE64;
        wait = o.op == VGPU_MEM_WAIT64 || o.op == VGPU_MEM_WAIT32;
        if (!wide && !wait && o.op != VGPU_MEM_WRITE32 && o.op != VGPU_MEM_BARRIER)
            break;
        if (o.addr % (wide ? 8 : 4) || o.flags > (wait                       ? VGPU_WAIT_NOR
                                                  : o.op == VGPU_MEM_BARRIER ? 1
                                                                             : 0))
            break;
        v[i] = (struct dev_mem_op){o.op, o.flags, o.addr, o.value};
    }
    if (i < n / sizeof(o)) {
        free(v);
        return WK_INVALID_VALUE;
    }
    *out = v;
    *count = (unsigned)i;
    return WK_OK;
}

static int read_mem_node(struct reader *r, struct dev_node *n, const uint8_t *p, size_t len)
{
    struct dev_mem_op *v;
    uint32_t head[2];
    int err;

    if (len < sizeof(head))
        return WK_INVALID_VALUE;
    memcpy(head, p, sizeof(head));
    if (head[0] > VGPU_MEM_OPS || head[0] * sizeof(struct vgpu_mem_op) > len - sizeof(head))
        return WK_INVALID_VALUE;
    err = read_mem(p + sizeof(head), head[0] * sizeof(struct vgpu_mem_op), &v, &n->mem.n);
    if (err)
        return err;
    n->type = DEV_NODE_MEM;
    n->mem.op = v;
    return WK_OK;
}

static int read_choice(struct dev_node *n, const uint8_t *p, size_t len)
{
    struct vgpu_graph_choice c;
    unsigned most;

    if (len < sizeof(c))
        return WK_INVALID_VALUE;
    memcpy(&c, p, sizeof(c));
    most = c.type == VGPU_COND_IF       ? 2
           : c.type == VGPU_COND_WHILE  ? 1
           : c.type == VGPU_COND_SWITCH ? VGPU_COND_BODIES
                                        : 0;
    if (!c.nbody || c.nbody > most || c.nbody * sizeof(uint32_t) > len - sizeof(c))
        return WK_INVALID_VALUE;
    n->type = DEV_NODE_COND;
    n->cond.number = c.number;
    n->cond.type = c.type;
    n->cond.nbody = c.nbody;
    n->cond.total = (const uint32_t *)(p + sizeof(c));
    return WK_OK;
}

static int read_params(struct reader *r, struct dev_node *n, unsigned type, const uint8_t *p,
                       size_t len)
{
    uint32_t id = 0;

    if (type >= VGPU_NODE_CALL && type < VGPU_NODE_MEM) {
        if (len < sizeof(id))
            return WK_INVALID_VALUE;
        memcpy(&id, p, sizeof(id));
    }
    switch (type) {
    case VGPU_NODE_EMPTY:
        n->type = DEV_NODE_EMPTY;
        return WK_OK;
    case VGPU_NODE_KERNEL:
        return read_kernel(r, n, p, len);
    case VGPU_NODE_COPY:
        n->type = DEV_NODE_COPY;
        if (len < sizeof(struct vgpu_copy3d))
            return WK_INVALID_VALUE;
        return wk_copy3d_resolve(r->lane, p, sizeof(struct vgpu_copy3d), &n->copy);
    case VGPU_NODE_FILL:
        return read_fill(n, p, len);
    case VGPU_NODE_CALL:
        return read_call(r, n, id);
    case VGPU_NODE_EVENT_RECORD:
    case VGPU_NODE_EVENT_WAIT:
        return read_event(r, n, id, type == VGPU_NODE_EVENT_RECORD);
    case VGPU_NODE_MEM:
        return read_mem_node(r, n, p, len);
    case VGPU_NODE_COND:
        return read_choice(n, p, len);
    default:
        return WK_INVALID_VALUE;
    }
}

static int read_node(struct reader *r, uint32_t index, uint32_t scope)
{
    struct dev_node *n = &r->nodes[index];
    struct vgpu_graph_node h;
    unsigned base = r->lane->nheld;
    size_t deps;
    int err, took;

    if (r->left < sizeof(h))
        return WK_INVALID_VALUE;
    memcpy(&h, r->p, sizeof(h));
    if (h.bytes % 8 || h.bytes < sizeof(h) || h.bytes > r->left || h.ndeps > index)
        return WK_INVALID_VALUE;
    deps = ((size_t)h.ndeps * 4 + 7) & ~(size_t)7;
    if (deps > h.bytes - sizeof(h))
        return WK_INVALID_VALUE;
    n->deps = (const uint32_t *)(r->p + sizeof(h));
    n->ndeps = h.ndeps;
    for (uint32_t i = 0; i < h.ndeps; i++)
        if (n->deps[i] >= index || r->scope[n->deps[i]] != scope)
            return WK_INVALID_VALUE;
    r->scope[index] = scope;
    /* What CUDA allows in bodies, less what runs in the guest. */
    if (scope && (h.type == VGPU_NODE_CALL || h.type == VGPU_NODE_EVENT_RECORD ||
                  h.type == VGPU_NODE_EVENT_WAIT || h.type == VGPU_NODE_MEM))
        return WK_INVALID_VALUE;
    n->disabled = h.flags & VGPU_NODE_DISABLED;
    err = read_params(r, n, h.type, r->p + sizeof(h) + deps, h.bytes - sizeof(h) - deps);
    took = take_held(r->e, r->lane, base);
    r->p += h.bytes;
    r->left -= h.bytes;
    return err ? err : took;
}

/* `total` nodes from *at on: of the graph itself, or of a body. */
static int read_scope(struct reader *r, uint32_t *at, uint32_t total, unsigned depth)
{
    uint32_t scope = r->nscope++, end;
    int err = depth > VGPU_COND_DEPTH || total > r->n - *at ? WK_INVALID_VALUE : WK_OK;

    for (end = *at + total; !err && *at < end;) {
        const struct dev_node *n = &r->nodes[*at];

        *r->bad = *at;
        err = read_node(r, *at, scope);
        ++*at;
        if (err || n->type != DEV_NODE_COND)
            continue;
        for (unsigned k = 0; k < n->cond.nbody && !err; k++) {
            if (n->cond.total[k] > end - *at)
                return WK_INVALID_VALUE;
            err = read_scope(r, at, n->cond.total[k], depth + 1);
        }
    }
    return err;
}

/* After the nodes. */
static int read_conds(struct reader *r, uint32_t n, struct dev_cond *v)
{
    struct vgpu_graph_cond c;

    if (n > r->left / sizeof(c))
        return WK_INVALID_VALUE;
    for (uint32_t i = 0; i < n; i++, r->p += sizeof(c)) {
        memcpy(&c, r->p, sizeof(c));
        if (c.owner != VGPU_COND_TOP &&
            (c.owner >= r->n || r->nodes[c.owner].type != DEV_NODE_COND ||
             c.body >= r->nodes[c.owner].cond.nbody))
            return WK_INVALID_VALUE;
        v[i] = (struct dev_cond){c.number, c.value, c.flags & 1, c.owner, c.body};
    }
    return WK_OK;
}

/* ---- calls ------------------------------------------------------------------------------- */

static int destroy_exec(struct wk *w, struct wk_thing *t)
{
    struct wk_exec *e = t->p;
    int err = w->ops->graph->exec_destroy(w->dev, e->x);

    let_go(e);
    exec_put(e);
    return err;
}

int wk_exec_make(struct wk_lane *lane, const void *graph, uint64_t len, uint32_t id, uint32_t *bad)
{
    struct wk *w = lane->w;
    struct vgpu_graph_head head;
    struct reader r = {.lane = lane};
    struct dev_cond *conds = NULL;
    uint64_t *copy = NULL;
    uint32_t n = 0, at = 0;
    int err = WK_OUT_OF_MEMORY;

    if (!w->ops->graph || !w->ops->graph->exec_create)
        return WK_NOT_SUPPORTED;
    if (len < sizeof(head) || len > VGPU_GRAPH_MAX_BYTES)
        return WK_INVALID_VALUE;
    copy = malloc(len + 8);
    if (!copy)
        return WK_OUT_OF_MEMORY;
    memcpy(copy, graph, len);
    memcpy(&head, copy, sizeof(head));
    n = head.nnode;
    /* Each node takes at least its header: that bounds what is allocated for n of them. */
    if (head.magic != VGPU_GRAPH_MAGIC ||
        n > (len - sizeof(head)) / sizeof(struct vgpu_graph_node) ||
        head.ncond > (len - sizeof(head)) / sizeof(struct vgpu_graph_cond)) {
        err = WK_INVALID_VALUE;
        n = 0;
        goto out;
    }
    r.e = calloc(1, sizeof(*r.e));
    r.nodes = calloc(n + 1, sizeof(*r.nodes));
    r.scope = calloc(n + 1, sizeof(*r.scope));
    conds = calloc(head.ncond + 1, sizeof(*conds));
    if (!r.e || !r.nodes || !r.scope || !conds)
        goto out;
    r.e->w = w;
    r.e->refs = 1;
    r.e->calls = calloc(n + 1, sizeof(*r.e->calls));
    r.e->counters = calloc(n + 1, sizeof(*r.e->counters));
    if (!r.e->calls || !r.e->counters)
        goto out;
    r.p = (const uint8_t *)copy + sizeof(head);
    r.left = len - sizeof(head);
    r.n = n;
    r.bad = bad;
    err = read_scope(&r, &at, n, 0);
    if (!err)
        err = read_conds(&r, head.ncond, conds);
    if (!err)
        err = w->ops->graph->exec_create(w->dev, r.nodes, n, conds, head.ncond, &r.e->x, bad);
    if (err)
        goto out;
    r.e->chunks = lane->chunks_held;
    lane->chunks_held = 0;
    if (w->ops->state) {
        r.e->made = copy;
        r.e->made_len = len;
        copy = NULL;
    }
    err = wk_thing_enter(w, WK_OBJ_EXEC, id, r.e, destroy_exec);
    r.e = NULL;
out:
    if (r.e) {
        let_go(r.e);
        exec_put(r.e);
    }
    for (uint32_t i = 0; r.nodes && i < n; i++)
        if (r.nodes[i].type == DEV_NODE_MEM)
            free((void *)(uintptr_t)r.nodes[i].mem.op);
    free(r.nodes);
    free(r.scope);
    free(conds);
    free(copy);
    return err;
}

int wk_GraphInstantiate(struct wk_lane *lane, const struct vgpu_args_GraphInstantiate *a,
                        struct vgpu_out_GraphInstantiate *o)
{
    return wk_exec_make(lane, a->graph, a->graph_len, a->exec, &o->bad);
}

const void *wk_exec_made(const struct wk_exec *e, uint64_t *len, const struct dev_exec **x)
{
    for (uint32_t i = 0; i < e->nheld; i++)
        if (!e->held[i]->id) /* its number is nobody's, or another object's, by now */
            return NULL;
    *len = e->made_len;
    *x = e->x;
    return e->made;
}

int wk_GraphExecDestroy(struct wk_lane *lane, const struct vgpu_args_GraphExecDestroy *a,
                        struct vgpu_out_GraphExecDestroy *o)
{
    struct wk_thing *t = a->exec;

    return wk_obj_remove(lane, &t->o);
}

static void launch_done(void *arg)
{
    exec_put(arg);
}

static void recorded(void *arg)
{
    wk_notify_waiters(arg);
}

int wk_GraphLaunch(struct wk_lane *lane, const struct vgpu_args_GraphLaunch *a,
                   struct vgpu_out_GraphLaunch *o)
{
    struct wk *w = lane->w;
    struct wk_exec *e = ((struct wk_thing *)a->exec)->p;
    struct wk_stream *s = a->stream;
    uint32_t v;
    int err;

    if (a->values_len != e->nrecord * sizeof(uint32_t))
        return WK_INVALID_VALUE;
    err = wk_work_enter(w, s);
    if (!err)
        err = w->ops->graph->exec_launch(w->dev, e->x, s->s);
    if (err)
        return err;
    wk_count(w, launches, 1);
    for (uint32_t i = 0; i < e->nrecord && !err; i++) {
        memcpy(&v, (const uint8_t *)a->values + i * sizeof(v), sizeof(v));
        err = w->ops->stream_write32(w->dev, s->s, &w->ch.counters[e->counters[i]], v, recorded, w);
    }
    if (e->ncall) { /* they must outlive this launch */
        atomic_fetch_add(&e->refs, 1);
        if (w->ops->stream_host(w->dev, s->s, launch_done, e))
            return err; /* the context has faulted: then nothing is freed any more */
    }
    return err;
}

int wk_GraphUpload(struct wk_lane *lane, const struct vgpu_args_GraphUpload *a,
                   struct vgpu_out_GraphUpload *o)
{
    struct wk *w = lane->w;
    struct wk_exec *e = ((struct wk_thing *)a->exec)->p;
    struct wk_stream *s = a->stream;

    return w->ops->graph->exec_upload(w->dev, e->x, s->s);
}

int wk_StreamMemOps(struct wk_lane *lane, const struct vgpu_args_StreamMemOps *a,
                    struct vgpu_out_StreamMemOps *o)
{
    struct wk *w = lane->w;
    struct wk_stream *s = a->stream;
    struct dev_mem_op *v;
    unsigned n;
    int err;

    if (!w->ops->graph || !w->ops->graph->stream_mem)
        return WK_NOT_SUPPORTED;
    err = read_mem(a->ops, a->ops_len, &v, &n);
    if (err)
        return err;
    err = wk_flow_enter(w, s);
    if (!err)
        err = w->ops->graph->stream_mem(w->dev, s->s, v, n);
    free(v);
    return err;
}
