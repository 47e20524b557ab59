/* SPDX-License-Identifier: MIT */
/*
 * cuda_vmm.c - virtual memory management for the guest, within the device window: addresses that the
 * guest's process has reserved too.
 */
#include <stdlib.h>

#include "cuda_int.h"
#include "cuda_memory.h"

struct dev_memory {
    CUmemGenericAllocationHandle h;
    uint64_t size;
    unsigned refs; /* the holder's, and one of each mapping */
};

struct mapping {
    struct mapping *next;
    uint64_t ptr, size;
    struct dev_memory *m;
};

/* A worker has one device. */
static struct {
    pthread_mutex_t lock;
    struct mapping *list;
} maps = {.lock = PTHREAD_MUTEX_INITIALIZER};

static CUmemAllocationProp prop_of(const struct dev *d)
{
    /* Not exportable: natively that is asked for, and told again. */
    return (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = d->dev}};
}

static int granularity(struct dev *d, uint64_t *minimum, uint64_t *recommended)
{
    const CUmemAllocationProp prop = prop_of(d);
    size_t a = 0, b = 0;
    int err = cudev_enter(d);

    if (!err)
        err = cudev_rc(
            d, cu.cuMemGetAllocationGranularity(&a, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
            "cuMemGetAllocationGranularity");
    if (!err)
        err = cudev_rc(
            d, cu.cuMemGetAllocationGranularity(&b, &prop, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED),
            "cuMemGetAllocationGranularity");
    *minimum = a;
    *recommended = b;
    return err;
}

static int reserve(struct dev *d, uint64_t size, uint64_t align, uint64_t fixed, uint64_t *ptr)
{
    return cudev_addr_take(d, size, align, ptr);
}

static int unreserve(struct dev *d, uint64_t ptr, uint64_t size)
{
    bool used = false;

    pthread_mutex_lock(&maps.lock);
    for (const struct mapping *m = maps.list; m && !used; m = m->next)
        used = m->ptr < ptr + size && ptr < m->ptr + m->size;
    pthread_mutex_unlock(&maps.lock);
    return used ? CUDA_ERROR_INVALID_VALUE : cudev_addr_give(d, ptr, size);
}

/* ---- memory ------------------------------------------------------------------------------ */

int cudev_memory_of(struct dev *d, CUmemGenericAllocationHandle h, uint64_t size,
                    struct dev_memory **out)
{
    struct dev_memory *m = calloc(1, sizeof(*m));

    if (!m) {
        cu.cuMemRelease(h);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    m->h = h;
    m->size = size;
    m->refs = 1;
    *out = m;
    return 0;
}

CUmemGenericAllocationHandle cudev_memory_handle(const struct dev_memory *m, uint64_t *size)
{
    *size = m->size;
    return m->h;
}

static int create_as(struct dev *d, uint64_t size, const CUmemAllocationProp *prop,
                     struct dev_memory **out)
{
    CUmemGenericAllocationHandle h;
    int err = cudev_enter(d);

    if (!err)
        err = cudev_charge(d, size);
    if (err)
        return err;
    err = cudev_rc(d, cu.cuMemCreate(&h, size, prop, 0), "cuMemCreate");
    if (!err) {
        err = cudev_overdrawn(d) ? CUDA_ERROR_OUT_OF_MEMORY : cudev_clear_physical(d, h, size);
        if (err)
            cu.cuMemRelease(h);
    }
    if (!err)
        err = cudev_memory_of(d, h, size, out);
    if (err)
        cudev_uncharge(d, size);
    return err;
}

static int create(struct dev *d, uint64_t size, struct dev_memory **out)
{
    const CUmemAllocationProp prop = prop_of(d);

    return create_as(d, size, &prop, out);
}

int cudev_memory_create_shared(struct dev *d, uint64_t size, struct dev_memory **out)
{
    CUmemAllocationProp prop = prop_of(d);

    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    return create_as(d, size, &prop, out);
}

/* Lock held. */
static int put(struct dev *d, struct dev_memory *m)
{
    int err;

    if (--m->refs)
        return 0;
    err = cudev_rc(d, cu.cuMemRelease(m->h), "cuMemRelease");
    cudev_uncharge(d, m->size);
    free(m);
    return err;
}

static int release(struct dev *d, struct dev_memory *m)
{
    int err;

    pthread_mutex_lock(&maps.lock);
    err = put(d, m);
    pthread_mutex_unlock(&maps.lock);
    return err;
}

/* ---- mappings ---------------------------------------------------------------------------- */

static int map(struct dev *d, uint64_t ptr, uint64_t size, uint64_t offset, struct dev_memory *mem)
{
    struct mapping *m;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (!cudev_addr_holds(d, ptr, size))
        return CUDA_ERROR_INVALID_VALUE;
    m = calloc(1, sizeof(*m));
    if (!m)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&maps.lock);
    err = cudev_rc(d, cu.cuMemMap(ptr, size, offset, mem->h, 0), "cuMemMap");
    if (err) {
        free(m);
    } else {
        mem->refs++;
        *m = (struct mapping){maps.list, ptr, size, mem};
        maps.list = m;
    }
    pthread_mutex_unlock(&maps.lock);
    return err;
}

static int unmap(struct dev *d, uint64_t ptr, uint64_t size)
{
    int err = cudev_enter(d);

    if (err)
        return err;
    if (!cudev_addr_holds(d, ptr, size))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&maps.lock);
    err = cudev_rc(d, cu.cuMemUnmap(ptr, size), "cuMemUnmap");
    for (struct mapping **at = &maps.list; *at && !err;) {
        struct mapping *m = *at;

        if (m->ptr >= ptr && m->ptr - ptr < size) { /* the driver unmaps whole mappings only */
            *at = m->next;
            put(d, m->m);
            free(m);
        } else {
            at = &m->next;
        }
    }
    pthread_mutex_unlock(&maps.lock);
    return err;
}

static int set_access(struct dev *d, uint64_t ptr, uint64_t size, unsigned flags)
{
    const CUmemAccessDesc desc = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = d->dev},
                                  .flags = (CUmemAccess_flags)flags};
    int err = cudev_enter(d);

    if (err)
        return err;
    if (!cudev_addr_holds(d, ptr, size))
        return CUDA_ERROR_INVALID_VALUE;
    return cudev_rc(d, cu.cuMemSetAccess(ptr, size, &desc, 1), "cuMemSetAccess");
}

const struct dev_memory_ops dev_cuda_memory_ops = {
    .mempool_create = cudev_mempool_create,
    .mempool_destroy = cudev_mempool_destroy,
    .mempool_default = cudev_mempool_default,
    .mempool_alloc = cudev_mempool_alloc,
    .mempool_free = cudev_mempool_free,
    .mempool_trim = cudev_mempool_trim,
    .mempool_get = cudev_mempool_get,
    .mempool_set = cudev_mempool_set,
    .vmm_granularity = granularity,
    .vmm_reserve = reserve,
    .vmm_unreserve = unreserve,
    .vmm_create = create,
    .vmm_release = release,
    .vmm_map = map,
    .vmm_unmap = unmap,
    .vmm_access = set_access,
};
