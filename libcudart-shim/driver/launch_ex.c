/* SPDX-License-Identifier: MIT */
/*
 * launch_ex.c - launches with attributes, and what else goes by them. Launches that only ask for a
 * cluster or a cooperative grid take the short way of launch.c.
 */
#include "log.h"
#include "capture.h"
#include "module.h"
#include "objects.h"
#include "stubs.h"

#include <string.h>

/* CUlaunchAttributeID */
enum {
    ATTR_IGNORE = 0,
    ATTR_ACCESS_WINDOW = 1,
    ATTR_COOPERATIVE = 2,
    ATTR_CLUSTER = 4,
    ATTR_CLUSTER_POLICY = 5,
    ATTR_SERIALIZATION = 6,
    ATTR_PROGRAMMATIC_EVENT = 7,
    ATTR_PRIORITY = 8,
    ATTR_DOMAIN_MAP = 9,
    ATTR_DOMAIN = 10,
    ATTR_PREFERRED_CLUSTER = 11,
    ATTR_COMPLETION_EVENT = 12,
    ATTR_UPDATABLE_NODE = 13,
    ATTR_CARVEOUT = 14,
};
#define ATTRS 16 /* of one launch: there are fewer kinds */

struct wire {
    struct gvm_attr attr[ATTRS];
    unsigned n;
    uint64_t event[ATTRS]; /* to be recorded right behind the kernel */
    unsigned nevent;
    bool plain; /* nothing but a cluster or a cooperative grid */
    struct gvm_launch l;
};

static int take_attr(struct wire *w, const struct gvm_attr *a)
{
    static uint32_t said;
    uint64_t event;
    int32_t v;

    memcpy(&v, a->value, sizeof(v));
    switch (a->id) {
    case ATTR_IGNORE:
        return 0;
    case ATTR_COOPERATIVE:
        w->l.flags = v ? 1 : 0;
        break;
    case ATTR_CLUSTER:
        memcpy(w->l.cluster, a->value, sizeof(w->l.cluster));
        if (!w->l.cluster[0] || !w->l.cluster[1] || !w->l.cluster[2])
            w->plain = false; /* what 0 means here is the driver's to say */
        break;
    case ATTR_PROGRAMMATIC_EVENT:
    case ATTR_COMPLETION_EVENT:
        /* Reached no earlier than asked for when it comes after the whole kernel, as CUDA allows. */
        memcpy(&event, a->value, sizeof(event));
        if (!gvm_id_get(&gvm_events, event))
            return 400;
        w->event[w->nevent++] = event;
        return 0;
    case ATTR_ACCESS_WINDOW:
    case ATTR_CLUSTER_POLICY:
    case ATTR_SERIALIZATION:
    case ATTR_PRIORITY:
    case ATTR_DOMAIN_MAP:
    case ATTR_DOMAIN:
    case ATTR_PREFERRED_CLUSTER:
    case ATTR_CARVEOUT:
        w->plain = false;
        break;
    case ATTR_UPDATABLE_NODE:
        return gvm_refuse("launch attribute deviceUpdatableKernelNode", &said);
    default:
        return 1;
    }
    w->attr[w->n] = *a;
    w->attr[w->n++].zero = 0;
    return 0;
}

static int take_attrs(struct wire *w, const struct gvm_launch *l, const struct gvm_attr *attr,
                      unsigned n)
{
    int rc = 0;

    *w = (struct wire){.l = *l, .plain = true};
    w->l.flags = 0;
    memset(w->l.cluster, 0, sizeof(w->l.cluster));
    if (n > ATTRS || (n && !attr))
        return 1;
    for (unsigned i = 0; i < n && !rc; i++)
        rc = take_attr(w, &attr[i]);
    return rc;
}

/* As a hash, because all of it does not fit into a word; 0 is never one. */
static uint64_t shape_of(const struct wire *w)
{
    const struct gvm_launch *l = &w->l;
    const uint8_t *b = (const uint8_t *)w->attr;
    uint64_t h = 0xcbf29ce484222325ull;

    for (size_t i = 0; i < w->n * sizeof(w->attr[0]); i++)
        h = (h ^ b[i]) * 0x100000001b3ull;
    for (int i = 0; i < 3; i++)
        h = (h ^ l->block[i]) * 0x9e3779b97f4a7c15ull;
    return ((h ^ l->shmem) * 0x9e3779b97f4a7c15ull) | 1;
}

static void gather(uint8_t *to, const struct gvm_func *f, const struct gvm_launch *l)
{
    if (l->buffer) {
        memcpy(to, l->buffer, f->param_bytes);
        return;
    }
    memset(to, 0, f->param_bytes);
    for (uint32_t i = 0; i < f->nparam; i++)
        memcpy(to + f->params[i].offset, l->params[i], f->params[i].size);
}

/* Like gvm_launch(): the first launch of each shape is replied, because only the driver knows what
 * is wrong with it, and so is every cooperative one. */
static int send(struct gvm_func *f, const struct wire *w)
{
    const struct gvm_launch *l = &w->l;
    uint32_t attrs_len = w->n * (uint32_t)sizeof(w->attr[0]);
    struct vgpu_in_LaunchEx *r;
    struct gvm_chan *c;
    struct gvm_sref s;
    uint64_t shape = shape_of(w);
    uint32_t len, got;
    uint8_t *at;
    bool known;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!gvm_func_valid(f))
        return 400;
    rc = gvm_stream_ref(l->stream, &s);
    if (rc)
        return rc;
    if ((l->buffer && l->buffer_len < f->param_bytes) || (f->nparam && !l->buffer && !l->params))
        return 1;
    rc = gvm_launch_check(l);
    if (rc)
        return rc;
    GVM_CAPTURE(gvm_cap_launch(l->stream, f, l));
    known = !l->flags && __atomic_load_n(&f->shape_ex, __ATOMIC_RELAXED) == shape;
    gvm_work_issue(c, &s);
    len = vgpu_in_len_LaunchEx(attrs_len, f->param_bytes);
    r = gvm_chan_begin(c, VGPU_OP_LaunchEx, len, known ? 0 : VGPU_REC_REPLY, &rc);
    if (!r)
        return rc;
    memset(r, 0, len);
    r->module = f->module_id;
    r->stream = s.id;
    r->func = f->index;
    r->shmem = l->shmem;
    memcpy(r->grid, l->grid, sizeof(r->grid));
    memcpy(r->block, l->block, sizeof(r->block));
    r->attrs_len = attrs_len;
    r->params_len = f->param_bytes;
    at = (uint8_t *)(r + 1);
    memcpy(at, w->attr, attrs_len);
    gather(at + ((attrs_len + 7) & ~7u), f, l);
    if (known) {
        rc = gvm_chan_post(c);
        return gvm.launch_blocking && rc == 0 ? gvm_stream_wait_idle(c, &s) : rc;
    }
    rc = gvm_chan_call(c, NULL, 0, &got);
    if (rc == 0)
        gvm_learn_cluster(f);
    if (rc == 0)
        __atomic_store_n(&f->shape_ex, shape, __ATOMIC_RELAXED);
    gvm_output();
    return rc;
}

/* Launches of a known shape are posted, and the grid is not part of a shape. */
int gvm_check_cluster(const struct gvm_func *f, const struct gvm_launch *l)
{
    for (int i = 0; i < 3; i++) {
        uint32_t n = l->cluster[i] ? l->cluster[i] : f->need_cluster[i];

        if (n && l->grid[i] % n)
            return 912; /* CUDA_ERROR_INVALID_CLUSTER_SIZE */
    }
    return 0;
}

void gvm_learn_cluster(struct gvm_func *f)
{
    enum { CLUSTER_LAUNCH = 120 }; /* CU_DEVICE_ATTRIBUTE_* */
    int32_t a[16];

    if (gvm.info.attr[CLUSTER_LAUNCH])
        gvm_func_attrs(f, a); /* keeps what is needed */
}

int gvm_launch_ex(struct gvm_func *f, const struct gvm_launch *l, const struct gvm_attr *attr,
                  unsigned n)
{
    struct wire w;
    int rc = take_attrs(&w, l, attr, n);

    if (rc == 0)
        rc = gvm_func_valid(f) ? gvm_check_cluster(f, &w.l) : 400;
    if (rc == 0)
        rc = w.plain ? gvm_launch(f, &w.l) : send(f, &w);
    for (unsigned i = 0; i < w.nevent && !rc; i++)
        rc = gvm_event_record(w.event[i], l->stream);
    return rc;
}

/* ---- occupancy ----------------------------------------------------------------------------- */

int gvm_clusters(struct gvm_func *f, const struct gvm_launch *l, const struct gvm_attr *attr,
                 unsigned n, bool largest, int *out)
{
    struct gvm_chan *c;
    struct wire w;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!f)
        return 1;
    if (!gvm_func_valid(f))
        return 400;
    rc = take_attrs(&w, l, attr, n);
    if (rc)
        return rc;
    return vgpu_Clusters(c, 0, f->module_id, f->index, largest, l->shmem, l->grid, l->block, w.attr,
                         w.n * (uint32_t)sizeof(w.attr[0]), out);
}

int gvm_shared_available(struct gvm_func *f, int blocks, int block, size_t *bytes)
{
    struct gvm_chan *c;
    uint64_t v = 0;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!gvm_func_valid(f))
        return 400;
    rc = vgpu_SharedAvailable(c, 0, f->module_id, f->index, blocks, block, &v);
    if (rc == 0)
        *bytes = v;
    return rc;
}

int gvm_best_block(struct gvm_func *f, size_t (*fn)(int), size_t shmem, int limit, unsigned flags,
                   int *grid, int *block)
{
    enum { MAX_THREADS_PER_BLOCK = 1, WARP_SIZE = 10, MULTIPROCESSORS = 16 }; /* attributes */
    const struct vgpu_device_info *d = &gvm.info;
    int32_t attr[16];
    int warp, most, best = 0, best_block = 0, best_blocks = 0;
    int rc = gvm_func_attrs(f, attr);

    if (rc)
        return rc;
    if (flags > 1)
        return 1;
    warp = d->attr[WARP_SIZE];
    most = d->attr[MAX_THREADS_PER_BLOCK];
    if (attr[0] < most)
        most = attr[0];
    if (limit <= 0 || limit > most)
        limit = most;
    /* From the largest size down, in whole warps but for the first. */
    for (int at = (limit + warp - 1) / warp * warp; at > 0; at -= warp) {
        int size = at < limit ? at : limit, n = 0;

        rc = gvm_occupancy(f, size, fn ? fn(size) : shmem, flags, &n);
        if (rc)
            return rc;
        if (size * n > best) {
            best = size * n;
            best_block = size;
            best_blocks = n;
        }
        if (best == d->attr[39]) /* CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR */
            break;
    }
    *grid = best_blocks * d->attr[MULTIPROCESSORS];
    *block = best_block;
    return 0;
}

/* ---- kernels, streams ---------------------------------------------------------------------- */

int gvm_func_cache(struct gvm_func *f, unsigned config)
{
    struct gvm_chan *c;
    int rc = gvm_need_chan(&c);

    if (rc)
        return rc;
    if (!gvm_func_valid(f))
        return 400;
    return vgpu_FuncCache(c, 0, f->module_id, f->index, config);
}

void gvm_func_ready(struct gvm_func *f)
{
    struct gvm_chan *c;

    if (!__atomic_exchange_n(&f->asked, true, __ATOMIC_RELAXED) && gvm_need(&c) == 0)
        vgpu_FuncReady(c, 0, f->module_id, f->index);
}

int gvm_func_load(struct gvm_func *f)
{
    return gvm_func_loaded(f, NULL);
}

int gvm_func_loaded(struct gvm_func *f, uint32_t *state)
{
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!gvm_func_valid(f))
        return 400;
    return vgpu_FuncLoad(c, 0, f->module_id, f->index, state != NULL, state);
}

int gvm_stream_attr_get(uint64_t stream, int attr, void *value)
{
    struct gvm_chan *c;
    struct gvm_sref s;
    uint8_t v[64] = {0};
    uint32_t n = 0;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc)
        return rc;
    if (!value)
        return 1;
    rc = vgpu_StreamGetAttr(c, 0, s.id, attr, v, sizeof(v), &n);
    if (rc == 0)
        memcpy(value, v, sizeof(v));
    return rc;
}

/* What cuStreamGetPriority() answers from memory. */
static int learn_priority(uint64_t stream)
{
    struct gvm_stream *o = stream > GVM_STREAM_PER_THREAD ? gvm_id_get(&gvm_streams, stream) : NULL;
    uint8_t v[64];
    int rc = o ? gvm_stream_attr_get(stream, ATTR_PRIORITY, v) : 0;

    if (o && rc == 0)
        memcpy(&o->priority, v, sizeof(o->priority));
    return rc;
}

int gvm_stream_attr_set(uint64_t stream, int attr, const void *value)
{
    struct gvm_chan *c;
    struct gvm_sref s;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc)
        return rc;
    rc = value ? vgpu_StreamSetAttr(c, 0, s.id, attr, value, 64) : 1;
    if (rc == 0 && attr == ATTR_PRIORITY)
        rc = learn_priority(stream);
    return rc;
}

int gvm_stream_attr_copy(uint64_t dst, uint64_t src)
{
    struct gvm_chan *c;
    struct gvm_sref s, t;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(dst, &t);
    if (rc == 0)
        rc = gvm_stream_ref(src, &s);
    if (rc == 0)
        rc = vgpu_StreamCopyAttr(c, 0, t.id, s.id);
    return rc ? rc : learn_priority(dst);
}

int gvm_reset_l2(void)
{
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    return rc ? rc : vgpu_ResetL2(c, 0);
}
