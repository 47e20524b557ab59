/* SPDX-License-Identifier: MIT */
/*
 * launch.c - kernel launches: parameters are gathered by the kernel's layout straight into the
 * command ring. This is the hot path; it makes no system call and allocates nothing.
 */
#include "module.h"
#include "capture.h"
#include "objects.h"

#include <string.h>

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

static inline int check_grid(const struct gvm_launch *l)
{
    const int32_t *max = &gvm.info.attr[ATTR_MAX_GRID_X];

    /* 0 - 1 wraps to more than any limit. */
    return l->grid[0] - 1 >= (uint32_t)max[0] || l->grid[1] - 1 >= (uint32_t)max[1] ||
                   l->grid[2] - 1 >= (uint32_t)max[2]
               ? 1
               : 0;
}

int gvm_launch_check(const struct gvm_launch *l)
{
    int rc = check_grid(l);

    return rc ? rc : check_block(l);
}

static inline void gather(uint8_t *to, const struct gvm_func *f, void *const *params)
{
    const struct gvm_param *q = f->params;

    if (unlikely(f->gaps))
        memset(to, 0, f->param_bytes);
    for (uint32_t i = 0; i < f->nparam; i++, q++) {
        if (q->size == 8)
            memcpy(to + q->offset, params[i], 8);
        else if (q->size == 4)
            memcpy(to + q->offset, params[i], 4);
        else
            memcpy(to + q->offset, params[i], q->size);
    }
}

int gvm_launch(struct gvm_func *f, const struct gvm_launch *l)
{
    struct vgpu_in_Launch *r;
    uint8_t *params;
    uint32_t len;
    struct gvm_chan *c;
    struct gvm_sref s;
    uint64_t shape;
    uint32_t got;
    bool known;
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
    r = gvm_chan_begin(c, VGPU_OP_Launch, len, known ? 0 : VGPU_REC_REPLY, &rc);
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
    else
        gather(params, f, l->params);
    if (likely(known)) {
        rc = gvm_chan_post(c);
        if (likely(!gvm.launch_blocking))
            return rc;
    } else {
        rc = gvm_chan_call(c, NULL, 0, &got);
        if (rc == 0) {
            gvm_learn_cluster(f);
            shape_learn(f, shape);
        }
    }
    if (gvm.launch_blocking && rc == 0)
        rc = gvm_stream_wait_idle(c, &s);
    gvm_output();
    return rc;
}
