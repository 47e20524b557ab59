/* SPDX-License-Identifier: MIT */
/* Copies of boxes. */
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/device/ptx/device_int.h"

/* Host copies hold up frees, so they let go now and then. */
#define PIECE ((uint64_t)8 << 20)

/* Turns one end into linear memory and checks it. */
static int linear(struct dev *d, const struct dev_copy *c, struct dev_copy_side *s)
{
    uint64_t first, len;

    if (s->type == DEV_MEM_ARRAY) {
        int err = array_side(c, s);

        if (err)
            return err;
    }
    if (!dev_copy_span(s, c->width, c->height, c->depth, &first, &len))
        return CUDA_ERROR_INVALID_VALUE;
    if (s->type == DEV_MEM_DEVICE && !arena_valid(&d->arena, first, len))
        return CUDA_ERROR_INVALID_VALUE;
    s->addr = first;
    s->x = s->y = s->z = 0;
    return 0;
}

int box_check(struct dev *d, struct dev_copy *c)
{
    int err;

    if (!c->width || !c->height || !c->depth)
        return CUDA_ERROR_INVALID_VALUE;
    err = linear(d, c, &c->dst);
    return err ? err : linear(d, c, &c->src);
}

/* Rows that lie one behind the other are one long row. */
static void flatten(struct dev_copy *c)
{
    if (c->dst.pitch == c->width && c->src.pitch == c->width && c->dst.height == c->src.height &&
        (c->depth == 1 || c->dst.height == c->height)) {
        c->width *= c->height * c->depth; /* within the span, so no overflow */
        c->height = c->depth = 1;
    }
}

/* Rows [y, y + n) of slice z; false: some of the memory has been freed meanwhile. */
static bool rows(struct dev *d, const struct dev_copy *c, uint64_t z, uint64_t y, uint64_t n)
{
    uint64_t dst = c->dst.addr + (z * c->dst.height + y) * c->dst.pitch;
    uint64_t src = c->src.addr + (z * c->src.height + y) * c->src.pitch;
    bool dst_dev = c->dst.type == DEV_MEM_DEVICE, src_dev = c->src.type == DEV_MEM_DEVICE;
    uint64_t dst_len = (n - 1) * c->dst.pitch + c->width;
    uint64_t src_len = (n - 1) * c->src.pitch + c->width;

    if (dst_dev && src_dev) {
        if (!arena_pin(&d->arena, dst, dst_len))
            return false;
        if (!arena_valid(&d->arena, src, src_len)) {
            arena_unpin(&d->arena);
            return false;
        }
    } else if (dst_dev || src_dev) {
        if (!arena_pin(&d->arena, dst_dev ? dst : src, dst_dev ? dst_len : src_len))
            return false;
    }
    for (uint64_t i = 0; i < n; i++)
        memmove((void *)(uintptr_t)(dst + i * c->dst.pitch),
                (const void *)(uintptr_t)(src + i * c->src.pitch), c->width);
    if (dst_dev || src_dev)
        arena_unpin(&d->arena);
    return true;
}

void box_run(struct dev *d, struct dev_copy *c)
{
    uint64_t group;

    flatten(c);
    group = PIECE / c->width + 1;
    for (uint64_t z = 0; z < c->depth; z++) {
        for (uint64_t y = 0; y < c->height; y += group) {
            uint64_t n = c->height - y < group ? c->height - y : group;

            if (dev_stopped(d))
                return;
            if (!rows(d, c, z, y, n)) {
                dev_fail(d, CUDA_ERROR_ILLEGAL_ADDRESS,
                         "a queued copy of a box reached memory freed meanwhile");
                return;
            }
        }
    }
}

int box_op(struct dev *d, const struct dev_copy *c, struct op **out)
{
    struct op *op;
    int err = dev_sticky(d);

    if (err)
        return err;
    op = calloc(1, sizeof(*op));
    if (!op)
        return CUDA_ERROR_OUT_OF_MEMORY;
    op->kind = OP_BOX;
    op->box = malloc(sizeof(*op->box));
    if (!op->box) {
        free(op);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *op->box = *c;
    err = box_check(d, op->box);
    if (err) {
        free(op->box);
        free(op);
        return err;
    }
    *out = op;
    return 0;
}

static int swdev_copy3d(struct dev *d, struct dev_stream *s, const struct dev_copy *c)
{
    struct op *op;
    int err = box_op(d, c, &op);

    return err ? err : stream_push(stream_of(d, s), op);
}

const struct dev_copy_ops swdev_copy_ops = {
    .copy3d = swdev_copy3d,
};
