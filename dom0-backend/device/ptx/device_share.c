/* SPDX-License-Identifier: MIT */
/* Memory of other processes: shared segments, mapped where this process has room. */
#include <unistd.h>

#include "dom0-backend/device/ptx/device_int.h"

enum { LEN, OFFSET, SIZE }; /* meta[] */

int share_allocation(struct dev *d, uint64_t addr, enum arena_kind kind, struct dev_share *out)
{
    struct arena_part part;
    int err = stream_freeze(d);

    if (!err)
        err = arena_export(&d->arena, addr, kind, d->cfg.segment, d->cfg.arg, &part);
    stream_thaw(d);
    *out = (struct dev_share){.fd = -1};
    if (err)
        return err;
    out->fd = part.fd;
    out->meta[LEN] = out->charge = part.len;
    out->meta[OFFSET] = part.offset;
    out->meta[SIZE] = part.size;
    return 0;
}

int share_map(struct dev *d, const struct dev_share *s, uint64_t *region, uint64_t *dptr,
              uint64_t *size)
{
    const struct arena_part part = {s->fd, s->meta[LEN], s->meta[OFFSET], s->meta[SIZE]};
    int err = dev_sticky(d);

    if (!err)
        err = arena_import(&d->arena, &part, region);
    if (!err) {
        *dptr = *region + part.offset;
        *size = part.size;
    }
    return err;
}

/* ---- allocations ------------------------------------------------------------------------- */

static int mem_export(struct dev *d, uint64_t dptr, struct dev_share *out)
{
    return share_allocation(d, dptr, ARENA_USER, out);
}

static int mem_import(struct dev *d, const struct dev_share *s, uint64_t *dptr, uint64_t *size)
{
    uint64_t region;

    return share_map(d, s, &region, dptr, size);
}

/* The allocation may lie anywhere in what was mapped for it, which holds no other one. */
static int mem_close(struct dev *d, uint64_t dptr)
{
    enum arena_kind kind;
    uint64_t base, size;
    int err = dev_sticky(d);

    if (err)
        return err;
    if (!arena_find(&d->arena, dptr, &base, &size, &kind) || kind != ARENA_IMPORTED)
        return CUDA_ERROR_INVALID_VALUE;
    err = stream_drain(d, NULL);
    return err ? err : arena_free(&d->arena, base, ARENA_IMPORTED, NULL);
}

/* ---- physical memory --------------------------------------------------------------------- */

static int memory_create(struct dev *d, uint64_t size, struct dev_memory **out)
{
    uint64_t used, limit;
    int err = dev_sticky(d), fd;

    if (err)
        return err;
    if (!size || size % ARENA_SLOT)
        return CUDA_ERROR_INVALID_VALUE;
    arena_usage(&d->arena, &used, &limit);
    if (size > limit - used || !d->cfg.segment)
        return CUDA_ERROR_OUT_OF_MEMORY;
    fd = d->cfg.segment(d->cfg.arg, size);
    if (fd < 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    return arena_memory_adopt(&d->arena, fd, size, (struct arena_memory **)out);
}

static int memory_export(struct dev *d, struct dev_memory *m, struct dev_share *out)
{
    int err = dev_sticky(d);

    *out = (struct dev_share){.fd = -1};
    if (err)
        return err;
    out->fd = arena_memory_fd(&d->arena, (struct arena_memory *)m, &out->meta[LEN]);
    out->charge = out->meta[LEN];
    return out->fd < 0 ? CUDA_ERROR_INVALID_VALUE : 0;
}

static int memory_import(struct dev *d, const struct dev_share *s, struct dev_memory **out,
                         uint64_t *size)
{
    int err = dev_sticky(d), fd;

    if (err)
        return err;
    if (s->fd < 0)
        return CUDA_ERROR_INVALID_VALUE;
    fd = arena_fd_copy(s->fd);
    if (fd < 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    err = arena_memory_adopt(&d->arena, fd, s->meta[LEN], (struct arena_memory **)out);
    *size = s->meta[LEN];
    return err;
}

const struct dev_share_ops swdev_share_ops = {
    .mem_export = mem_export,
    .mem_import = mem_import,
    .mem_close = mem_close,
    .memory_create = memory_create,
    .memory_export = memory_export,
    .memory_import = memory_import,
    .pool_create = swdev_pool_create_shared,
    .pool_export = swdev_pool_export,
    .pool_import = swdev_pool_import,
    .ptr_export = swdev_ptr_export,
    .ptr_import = swdev_ptr_import,
};
