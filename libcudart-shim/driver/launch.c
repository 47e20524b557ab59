/* SPDX-License-Identifier: MIT */
/*
 * launch.c - kernel launches: parameters are gathered by the kernel's layout straight into the
 * command ring. This is the hot path; it makes no system call and allocates nothing.
 */
#include "module.h"
#include "capture.h"
#include "objects.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SHAPES_KEPT 64u /* of one kernel, for the short way */

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum {
    ATTR_MAX_THREADS = 1,
    ATTR_MAX_BLOCK_X = 2,
    ATTR_MAX_GRID_X = 5
}; /* CU_DEVICE_ATTRIBUTE_* */

/*
 * Errors that only the driver knows (no image for the device, too many resources, out of memory)
 * must appear at the launch, as they do natively. They depend on the kernel and on what is packed
 * here, so the first launch of each such shape is replied and the others are posted. 0: a shape
 * that does not fit, always replied.
 */
static inline uint64_t shape_of(const struct gvm_launch *l)
{
    if (unlikely(l->block[0] >> 11 || l->block[1] >> 11 || l->block[2] >> 7 || l->shmem >> 20 ||
                 (l->cluster[0] | l->cluster[1] | l->cluster[2]) >> 5 || l->flags))
        return 0;
    return (uint64_t)l->block[0] | (uint64_t)l->block[1] << 11 | (uint64_t)l->block[2] << 22 |
           (uint64_t)l->shmem << 29 | (uint64_t)l->cluster[0] << 49 |
           (uint64_t)l->cluster[1] << 54 | (uint64_t)l->cluster[2] << 59;
}

static inline bool shape_known(struct gvm_func *f, uint64_t shape)
{
    if (likely(__atomic_load_n(&f->shape[0], __ATOMIC_RELAXED) == shape))
        return shape != 0;
    for (int i = 1; i < GVM_SHAPES; i++)
        if (__atomic_load_n(&f->shape[i], __ATOMIC_RELAXED) == shape)
            return shape != 0;
    return false;
}

static void shape_learn(struct gvm_func *f, uint64_t shape)
{
    uint32_t i;

    if (!shape)
        return;
    i = __atomic_fetch_add(&f->shape_next, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&f->shape[i % GVM_SHAPES], shape, __ATOMIC_RELAXED);
}

void gvm_shapes_forget(struct gvm_func *f)
{
    for (int i = 0; i < GVM_SHAPES; i++)
        __atomic_store_n(&f->shape[i], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&f->last, NULL, __ATOMIC_RELEASE);
    for (struct gvm_shape *k = __atomic_load_n(&f->shapes, __ATOMIC_ACQUIRE); k; k = k->next)
        __atomic_store_n(&k->epoch, 0, __ATOMIC_RELAXED);
}

static uint64_t pair(const uint32_t *v)
{
    return (uint64_t)v[1] << 32 | v[0];
}

/* Makes a known shape the one that gvm_func_shape() gives. */
static void shape_prefer(struct gvm_func *f, const struct gvm_launch *l)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct gvm_shape *k;

    if (l->flags || l->cluster[0] || f->gaps || f->need_cluster[0])
        return;
    pthread_mutex_lock(&lock);
    for (k = f->shapes; k; k = k->next)
        if (k->block_xy == pair(l->block) && k->block_z == l->block[2] && k->shmem == l->shmem)
            break;
    if (!k && f->nshapes < SHAPES_KEPT && (k = calloc(1, sizeof(*k)))) {
        k->block_xy = pair(l->block);
        k->block_z = l->block[2];
        k->shmem = l->shmem;
        k->start = (struct vgpu_in_Launch){.module = f->module_id,
                                           .func = f->index,
                                           .shmem = l->shmem,
                                           .params_len = f->param_bytes};
        memcpy(k->start.block, l->block, sizeof(k->start.block));
        k->len = (uint32_t)((sizeof(struct vgpu_rec) + vgpu_in_len_Launch(f->param_bytes) +
                             VGPU_REC_ALIGN - 1) &
                            ~(VGPU_REC_ALIGN - 1));
        k->head = (uint64_t)VGPU_OP_Launch << 32 | k->len;
        k->grid_xy = pair(l->grid);
        k->grid_z = l->grid[2];
        k->params = f->params;
        k->nparam = f->nparam;
        k->streams = GVM_STREAM_LEGACY + 1;
        for (uint32_t i = 0; i < f->nparam; i++)
            if (f->params[i].size != 4 && f->params[i].size != 8)
                k->streams = 0;
        k->next = f->shapes;
        __atomic_store_n(&f->shapes, k, __ATOMIC_RELEASE);
        f->nshapes++;
    }
    pthread_mutex_unlock(&lock);
    if (k) {
        __atomic_store_n(&k->epoch, f->epoch, __ATOMIC_RELAXED);
        __atomic_store_n(&f->last, k, __ATOMIC_RELEASE);
    }
}

struct gvm_shape *gvm_func_shape(struct gvm_func *f)
{
    static struct gvm_shape none; /* epoch 0: nothing is like it while a connection is there */
    struct gvm_shape *k = f ? __atomic_load_n(&f->last, __ATOMIC_ACQUIRE) : NULL;

    return k ? k : &none;
}

/* 0, or 1: outside what the device can do at all. */
static int check_block(const struct gvm_launch *l)
{
    const int32_t *max = &gvm.info.attr[ATTR_MAX_BLOCK_X];
    uint64_t threads = 1;

    for (int i = 0; i < 3; i++) {
        if (!l->block[i] || l->block[i] > (uint32_t)max[i])
            return 1;
        threads *= l->block[i];
    }
    return threads > (uint32_t)gvm.info.attr[ATTR_MAX_THREADS] ? 1 : 0;
}

static inline int grid_wrong(uint32_t x, uint32_t y, uint32_t z)
{
    const int32_t *max = &gvm.info.attr[ATTR_MAX_GRID_X];

    /* 0 - 1 wraps to more than any limit. */
    return x - 1 >= (uint32_t)max[0] || y - 1 >= (uint32_t)max[1] || z - 1 >= (uint32_t)max[2];
}

static inline int check_grid(const struct gvm_launch *l)
{
    return grid_wrong(l->grid[0], l->grid[1], l->grid[2]) ? 1 : 0;
}

int gvm_launch_check(const struct gvm_launch *l)
{
    int rc = check_grid(l);

    return rc ? rc : check_block(l);
}

static inline void gather(uint8_t *to, const struct gvm_func *f, void *const *params)
{
    const struct gvm_param *q = f->params, *end = q + f->nparam;

    for (; q != end; q++, params++) {
        if (q->size == 8)
            memcpy(to + q->offset, *params, 8);
        else if (q->size == 4)
            memcpy(to + q->offset, *params, 4);
        else
            memcpy(to + q->offset, *params, q->size);
    }
}

/* The two are written alike. */
_Static_assert(sizeof(struct vgpu_in_Launch) == sizeof(struct vgpu_in_LaunchFirst) &&
                   offsetof(struct vgpu_in_Launch, params_len) ==
                       offsetof(struct vgpu_in_LaunchFirst, params_len),
               "launches");

/* Waits for the outcome; of the first launch of a kernel, its attributes come with it. */
static int answered(struct gvm_chan *c, struct gvm_func *f, bool first)
{
    struct vgpu_rep_LaunchFirst rep;
    uint32_t got;
    int rc = gvm_chan_call(c, first ? &rep : NULL, first ? sizeof(rep) : 0, &got);

    if (rc)
        return rc;
    if (first && got >= sizeof(rep) && rep.known)
        gvm_func_learn(f, rep.attr);
    else
        gvm_learn_cluster(f);
    return 0;
}

int gvm_launch(struct gvm_func *f, const struct gvm_launch *l)
{
    struct vgpu_in_Launch *r;
    uint8_t *params;
    uint32_t len;
    struct gvm_chan *c;
    struct gvm_sref s;
    uint64_t shape;
    bool known, first;
    int rc = gvm_need(&c);

    if (unlikely(rc))
        return rc;
    if (unlikely(!gvm_func_valid(f)))
        return 400;
    rc = gvm_stream_ref(l->stream, &s);
    if (unlikely(rc))
        return rc;
    shape = shape_of(l);
    known = shape_known(f, shape);
    rc = check_grid(l);
    if (unlikely(!known) && !rc)
        rc = check_block(l);
    if (unlikely(f->need_cluster[0]) && !rc)
        rc = gvm_check_cluster(f, l);
    if (unlikely(rc)) {
        if (gvm_capturing())
            gvm_cap_spoil(l->stream);
        return rc;
    }
    if (unlikely(l->buffer && l->buffer_len < f->param_bytes))
        return 1;
    /* The parameter count decides: without parameters `params` may point anywhere. */
    if (unlikely(f->nparam && !l->buffer && !l->params))
        return 1;
    GVM_CAPTURE(gvm_cap_launch(l->stream, f, l));

    gvm_work_issue(c, &s);
    len = vgpu_in_len_Launch(f->param_bytes);
    first = unlikely(!known) && !__atomic_load_n(&f->have_attr, __ATOMIC_ACQUIRE);
    r = gvm_chan_begin(c, first ? VGPU_OP_LaunchFirst : VGPU_OP_Launch, len,
                       known ? 0 : VGPU_REC_REPLY, &rc);
    if (unlikely(!r))
        return rc;
    r->module = f->module_id;
    r->stream = s.id;
    r->func = f->index;
    r->shmem = l->shmem;
    memcpy(r->grid, l->grid, sizeof(r->grid));
    memcpy(r->block, l->block, sizeof(r->block));
    memcpy(r->cluster, l->cluster, sizeof(r->cluster));
    r->flags = l->flags;
    r->params_len = f->param_bytes;
    params = (uint8_t *)(r + 1);
    if (len - sizeof(*r) != f->param_bytes)
        memset((uint8_t *)r + len - 8, 0,
               8); /* the octets between the last parameter and the end */
    if (unlikely(l->buffer != NULL))
        memcpy(params, l->buffer, f->param_bytes);
    else if (f->gaps)
        gather(memset(params, 0, f->param_bytes), f, l->params);
    else
        gather(params, f, l->params);
    if (known) {
        struct gvm_credit *k = gvm_credit_of(c, l->stream);
        bool turn = k && --k->left < 0;

        if (turn)
            k->left = GVM_CREDIT_BATCH - 1;
        rc = gvm_chan_post(c);
        if (turn)
            gvm_credit_turn(c, k, &s);
    } else {
        rc = answered(c, f, first);
        if (rc == 0)
            shape_learn(f, shape);
        gvm_output();
    }
    if (gvm.launch_blocking && rc == 0) {
        rc = gvm_stream_wait_idle(c, &s);
        gvm_output();
    }
    if (rc == 0 && shape)
        shape_prefer(f, l);
    return rc;
}

/* The end of a record with the ring lock held, when something is not as usual. */
static __attribute__((noinline)) int launch_end(struct gvm_chan *c, struct gvm_credit *k,
                                                uint64_t id)
{
    const struct gvm_sref s = {.id = (uint32_t)id};
    bool turn = k->left < 0;

    if (turn)
        k->left = GVM_CREDIT_BATCH - 1;
    gvm_chan_end(c);
    if (turn)
        gvm_credit_turn(c, k, &s);
    return 0;
}

/* An aligned word that other threads may store meanwhile; any value that was there will do. As a
 * plain read it is compared in memory, which an atomic one never is: three instructions less in
 * every launch. */
#ifdef __SANITIZE_THREAD__
#define HOT(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)
#else
#define HOT(word) (word)
#endif

static inline __attribute__((always_inline)) bool as_before(struct gvm_shape *k, struct gvm_chan *c,
                                                            uint64_t grid_xy, uint32_t grid_z,
                                                            uint64_t block_xy, uint32_t block_z,
                                                            size_t shmem)
{
    if (unlikely(HOT(k->epoch) != __atomic_load_n(&c->short_epoch, __ATOMIC_RELAXED) ||
                 k->block_xy != block_xy || k->block_z != block_z || k->shmem != shmem ||
                 !vgpu_well(&c->ch)))
        return false;
    if (likely(HOT(k->grid_xy) == grid_xy && HOT(k->grid_z) == grid_z))
        return true;
    if (unlikely(grid_wrong((uint32_t)grid_xy, (uint32_t)(grid_xy >> 32), grid_z)))
        return false;
    __atomic_store_n(&k->grid_xy, grid_xy, __ATOMIC_RELAXED);
    __atomic_store_n(&k->grid_z, grid_z, __ATOMIC_RELAXED);
    return true;
}

/* The record but for its parameters; NULL, and no lock is held: this way is not open. */
static inline __attribute__((always_inline)) uint8_t *record(const struct gvm_shape *k,
                                                             struct gvm_chan *c,
                                                             const struct gvm_lane *l,
                                                             uint64_t grid_xy, uint32_t grid_z)
{
    uint8_t *r;

    if (unlikely(!gvm_trylock(&c->lock)))
        return NULL;
    r = l->refs == 1 ? vgpu_prod_short(&c->prod, k->head | l->tag, k->len) : NULL;
    if (unlikely(!r)) {
        gvm_unlock(&c->lock);
        return NULL;
    }
    /* First the end, whose last octets may belong to no parameter. */
    memset(r + k->len - 16, 0, 16);
    r += sizeof(struct vgpu_rec);
    memcpy(r, &k->start, sizeof(k->start));
    memcpy(r + offsetof(struct vgpu_in_Launch, grid), &grid_xy, sizeof(grid_xy));
    memcpy(r + offsetof(struct vgpu_in_Launch, grid[2]), &grid_z, sizeof(grid_z));
    return r;
}

/* The second shortest way: streams of the program's own, parameters of any size. */
static __attribute__((noinline)) int launch_similar(struct gvm_launcher *launcher, uint64_t grid_xy,
                                                    uint32_t grid_z, uint64_t block_xy,
                                                    uint32_t block_z, void **params, size_t shmem,
                                                    uint64_t stream)
{
    struct gvm_shape *k = __atomic_load_n(&launcher->shape, __ATOMIC_ACQUIRE);
    struct gvm_lane *l = gvm_self;
    struct gvm_chan *c = l->chan;
    struct gvm_credit *credit;
    struct gvm_stream *o;
    uint32_t id = (uint32_t)stream;
    bool blocking = true;
    uint8_t *r;

    if (stream > GVM_STREAM_PER_THREAD) {
        o = gvm_id_get(&gvm_streams, stream);
        if (unlikely(!o))
            goto other;
        id = o->o.id;
        credit = &o->credit;
        blocking = !(o->flags & GVM_STREAM_NON_BLOCKING);
    } else {
        credit = stream == GVM_STREAM_PER_THREAD ? &l->credit : &c->credit;
    }
    if (unlikely(!as_before(k, c, grid_xy, grid_z, block_xy, block_z, shmem)))
        goto other;
    if (blocking)
        __atomic_fetch_add(&c->work_issued, 1, __ATOMIC_RELAXED);
    r = record(k, c, l, grid_xy, grid_z);
    if (unlikely(!r))
        goto other;
    memcpy(r + offsetof(struct vgpu_in_Launch, stream), &id, sizeof(id));
    r += sizeof(k->start);
    for (uint32_t i = 0; i < k->nparam; i++) {
        const struct gvm_param *q = &k->params[i];

        if (likely(q->size == 8))
            memcpy(r + q->offset, params[i], 8);
        else if (q->size == 4)
            memcpy(r + q->offset, params[i], 4);
        else
            memcpy(r + q->offset, params[i], q->size);
    }
    credit->left--;
    vgpu_prod_short_put(&c->prod, &c->ch, k->len);
    return launch_end(c, credit, id);
other:
    return launcher->other(launcher, grid_xy, grid_z, block_xy, block_z, params, shmem, stream);
}

/*
 * The shortest way; `make test` counts its instructions. All calls are in its last place, so that it
 * needs no frame.
 */
int gvm_launch_again(struct gvm_launcher *launcher, uint64_t grid_xy, uint32_t grid_z,
                     uint64_t block_xy, uint32_t block_z, void **params, size_t shmem,
                     uint64_t stream)
{
    struct gvm_shape *k = __atomic_load_n(&launcher->shape, __ATOMIC_ACQUIRE);
    struct gvm_lane *l = gvm_self;
    struct gvm_chan *c;
    const struct gvm_param *q;
    uint8_t *r;

    if (unlikely(!l || !gvm_ctx_top))
        goto other;
    if (unlikely(stream >= k->streams))
        return launch_similar(launcher, grid_xy, grid_z, block_xy, block_z, params, shmem, stream);
    c = l->chan;
    if (unlikely(!as_before(k, c, grid_xy, grid_z, block_xy, block_z, shmem)))
        goto other;
    __atomic_fetch_add(&c->work_issued, 1, __ATOMIC_RELAXED);
    r = record(k, c, l, grid_xy, grid_z);
    if (unlikely(!r))
        goto other;
    r += sizeof(k->start);
    q = k->params;
    for (uint32_t n = k->nparam; n; n--, q++, params++) {
        if (likely(q->size == 8))
            memcpy(r + q->offset, *params, 8);
        else
            memcpy(r + q->offset, *params, 4);
    }
    if (unlikely(vgpu_prod_short_put(&c->prod, &c->ch, k->len))) {
        if (gvm_chan_must_ring(c))
            return launch_end(c, &c->credit, 0);
        c->skipped++;
    }
    if (unlikely(--c->credit.left < 0))
        return launch_end(c, &c->credit, 0);
    gvm_unlock(&c->lock);
    return 0;
other:
    return launcher->other(launcher, grid_xy, grid_z, block_xy, block_z, params, shmem, stream);
}
