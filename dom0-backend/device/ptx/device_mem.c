/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "dom0-backend/device/ptx/device_int.h"

int swdev_mem_alloc(struct dev *d, uint64_t bytes, uint64_t *dptr)
{
    int err = dev_sticky(d);

    return err ? err : arena_alloc(&d->arena, bytes, ARENA_USER, dptr);
}

int swdev_mem_free(struct dev *d, uint64_t dptr)
{
    enum arena_kind kind;
    uint64_t base, size;
    int err = dev_sticky(d);

    if (err || !dptr)
        return err;
    if (!arena_find(&d->arena, dptr, &base, &size, &kind) || base != dptr || kind != ARENA_USER)
        return CUDA_ERROR_INVALID_VALUE;
    /* cuMemFree waits: kernels that were launched before may use the memory. */
    err = stream_drain(d, NULL);
    return err ? err : arena_free(&d->arena, dptr, ARENA_USER, NULL);
}

int swdev_mem_info(struct dev *d, uint64_t *free_bytes, uint64_t *total_bytes)
{
    uint64_t used, left = d->cfg.quota ? d->cfg.quota->left(d->cfg.arg) : UINT64_MAX;
    int err = dev_sticky(d);

    if (err)
        return err;
    arena_usage(&d->arena, &used, total_bytes);
    *free_bytes = *total_bytes - used;
    if (left < *free_bytes)
        *free_bytes = left;
    return 0;
}

int swdev_mem_range(struct dev *d, uint64_t dptr, uint64_t *base, uint64_t *size)
{
    enum arena_kind kind;
    int err = dev_sticky(d);

    if (err)
        return err;
    if (!arena_find(&d->arena, dptr, base, size, &kind) || kind == ARENA_HEAP)
        return CUDA_ERROR_NOT_FOUND;
    return 0;
}

/* ---- copies and fills -------------------------------------------------------------------- */

static int push_copy(struct dev *d, struct dev_stream *s, uint64_t dst, bool dst_dev, uint64_t src,
                     bool src_dev, size_t n)
{
    struct op *op;
    int err = dev_sticky(d);

    if (err)
        return err;
    if (n == 0)
        return 0;
    if ((dst_dev && !arena_valid(&d->arena, dst, n)) ||
        (src_dev && !arena_valid(&d->arena, src, n)))
        return CUDA_ERROR_INVALID_VALUE;
    op = calloc(1, sizeof(*op));
    if (!op)
        return CUDA_ERROR_OUT_OF_MEMORY;
    op->kind = OP_COPY;
    op->copy.dst = dst;
    op->copy.src = src;
    op->copy.n = n;
    op->copy.dst_dev = dst_dev;
    op->copy.src_dev = src_dev;
    return stream_push(stream_of(d, s), op);
}

int swdev_copy_h2d(struct dev *d, struct dev_stream *s, uint64_t dst, const void *src, size_t n)
{
    return push_copy(d, s, dst, true, (uint64_t)(uintptr_t)src, false, n);
}

int swdev_copy_d2h(struct dev *d, struct dev_stream *s, void *dst, uint64_t src, size_t n)
{
    return push_copy(d, s, (uint64_t)(uintptr_t)dst, false, src, true, n);
}

int swdev_copy_d2d(struct dev *d, struct dev_stream *s, uint64_t dst, uint64_t src, size_t n)
{
    return push_copy(d, s, dst, true, src, true, n);
}

int fill_op(struct dev *d, uint64_t dst, size_t pitch, uint32_t value, unsigned elem, size_t width,
            size_t height, struct op **out)
{
    size_t row, rows, total;
    struct op *op;
    int err = dev_sticky(d);

    *out = NULL;
    if (err)
        return err;
    if ((elem != 1 && elem != 2 && elem != 4) || dst % elem ||
        __builtin_mul_overflow(width, (size_t)elem, &row))
        return CUDA_ERROR_INVALID_VALUE;
    if (!row || !height)
        return 0;
    if (height > 1 && (pitch < row || pitch % elem))
        return CUDA_ERROR_INVALID_VALUE;
    if (__builtin_mul_overflow(height > 1 ? pitch : 0, height - 1, &rows) ||
        __builtin_add_overflow(rows, row, &total) || !arena_valid(&d->arena, dst, total))
        return CUDA_ERROR_INVALID_VALUE;
    op = calloc(1, sizeof(*op));
    if (!op)
        return CUDA_ERROR_OUT_OF_MEMORY;
    op->kind = OP_FILL;
    op->fill.dst = dst;
    op->fill.pitch = pitch;
    op->fill.value = value;
    op->fill.elem = elem;
    op->fill.width = width;
    op->fill.height = height;
    *out = op;
    return 0;
}

int swdev_fill(struct dev *d, struct dev_stream *s, uint64_t dst, size_t pitch, uint32_t value,
               unsigned elem, size_t width, size_t height)
{
    struct op *op;
    int err = fill_op(d, dst, pitch, value, elem, width, height, &op);

    return err || !op ? err : stream_push(stream_of(d, s), op);
}

/* ---- device-side malloc ------------------------------------------------------------------ */

uint64_t heap_alloc(void *arg, uint64_t bytes)
{
    struct dev *d = arg;
    uint64_t limit = d->limit[LIMIT_HEAP], addr;

    d->heap_live = true;
    if (!bytes || bytes > limit)
        return 0;
    if (atomic_fetch_add(&d->heap_used, bytes) + bytes > limit ||
        arena_alloc(&d->arena, bytes, ARENA_HEAP, &addr)) {
        atomic_fetch_sub(&d->heap_used, bytes);
        return 0;
    }
    return addr;
}

void heap_free(void *arg, uint64_t addr)
{
    struct dev *d = arg;
    uint64_t bytes;

    if (addr && arena_free(&d->arena, addr, ARENA_HEAP, &bytes) == 0)
        atomic_fetch_sub(&d->heap_used, bytes);
}
