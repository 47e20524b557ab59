/* SPDX-License-Identifier: MIT */
/* Virtual memory management: the arena does the work. */
#include "dom0-backend/device/ptx/device_int.h"

int swdev_vmm_granularity(struct dev *d, uint64_t *minimum, uint64_t *recommended)
{
    *minimum = *recommended = ARENA_SLOT;
    return dev_sticky(d);
}

int swdev_vmm_reserve(struct dev *d, uint64_t size, uint64_t align, uint64_t fixed, uint64_t *ptr)
{
    int err = dev_sticky(d);

    return err ? err : arena_reserve(&d->arena, size, align, ptr);
}

int swdev_vmm_unreserve(struct dev *d, uint64_t ptr, uint64_t size)
{
    int err = dev_sticky(d);

    return err ? err : arena_unreserve(&d->arena, ptr, size);
}

/* struct dev_memory is the arena's. */
int swdev_vmm_create(struct dev *d, uint64_t size, struct dev_memory **out)
{
    int err = dev_sticky(d);

    return err ? err : arena_memory_create(&d->arena, size, (struct arena_memory **)out);
}

int swdev_vmm_release(struct dev *d, struct dev_memory *m)
{
    arena_memory_release(&d->arena, (struct arena_memory *)m);
    return dev_sticky(d);
}

int swdev_vmm_map(struct dev *d, uint64_t ptr, uint64_t size, uint64_t offset, struct dev_memory *m)
{
    int err = dev_sticky(d);

    return err ? err : arena_map(&d->arena, ptr, size, offset, (struct arena_memory *)m);
}

int swdev_vmm_unmap(struct dev *d, uint64_t ptr, uint64_t size)
{
    /* Kernels that were launched before may use the memory. */
    int err = stream_drain(d, NULL);

    return err ? err : arena_unmap(&d->arena, ptr, size);
}

int swdev_vmm_access(struct dev *d, uint64_t ptr, uint64_t size, unsigned flags)
{
    int err = dev_sticky(d);

    if (!err && flags == 2)
        err = CUDA_ERROR_INVALID_VALUE;
    return err ? err : arena_access(&d->arena, ptr, size, flags);
}
