/* SPDX-License-Identifier: MIT */
/*
 * cuda_share.c - device memory of other processes. All memory in the window is the driver's virtual
 * memory management, which the driver hands from process to process as a descriptor; pools the
 * driver shares itself, their addresses are its own. Its older calls (cuIpcGetMemHandle) take no
 * such memory, and its events need what confined workers do not have; they are made of the above and
 * by the worker.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda_int.h"
#include "cuda_memory.h"

enum { LEN, OFFSET, SIZE }; /* meta[] of allocations and of physical memory */

/* Memory of another process at addresses of the window. A worker has one device. */
struct opened {
    struct opened *next;
    uint64_t base, len, dptr;
    struct dev_memory *m;
};

static struct {
    pthread_mutex_t lock;
    struct opened *list;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *os_handle(int fd)
{
    return (void *)(uintptr_t)fd;
}

/* The driver takes no copy of a descriptor that it imports from, and none is left open here. */
static int export(struct dev *d, CUmemGenericAllocationHandle h, struct dev_share *out)
{
    int fd = -1;
    int err = cudev_rc(
        d, cu.cuMemExportToShareableHandle(&fd, h, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
        "cuMemExportToShareableHandle");

    out->fd = err ? -1 : fd;
    return err;
}

/* ---- allocations ------------------------------------------------------------------------- */

static int mem_export(struct dev *d, uint64_t dptr, struct dev_share *out)
{
    int err = cudev_enter(d);

    *out = (struct dev_share){.fd = -1};
    if (!err)
        err = cudev_mem_part(d, dptr, out->meta, export, out);
    out->charge = err ? 0 : out->meta[LEN];
    return err;
}

static int memory_import(struct dev *d, const struct dev_share *s, struct dev_memory **out,
                         uint64_t *size)
{
    const uint64_t len = s->meta[LEN];
    CUmemGenericAllocationHandle h;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (s->fd < 0 || !len || len % CUDEV_CHUNK)
        return CUDA_ERROR_INVALID_VALUE;
    err = cudev_charge(d, len);
    if (err)
        return err;
    err = cudev_rc(d,
                   cu.cuMemImportFromShareableHandle(&h, os_handle(s->fd),
                                                     CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR),
                   "cuMemImportFromShareableHandle");
    if (!err)
        err = cudev_memory_of(d, h, len, out);
    if (err)
        cudev_uncharge(d, len);
    *size = len;
    return err;
}

static int mem_import(struct dev *d, const struct dev_share *s, uint64_t *dptr, uint64_t *size)
{
    const struct dev_memory_ops *v = &dev_cuda_memory_ops;
    const uint64_t len = s->meta[LEN], offset = s->meta[OFFSET];
    struct opened *o = calloc(1, sizeof(*o));
    uint64_t whole;
    int err = CUDA_ERROR_OUT_OF_MEMORY;

    if (!o)
        return err;
    if (!s->meta[SIZE] || offset >= len || s->meta[SIZE] > len - offset)
        err = CUDA_ERROR_INVALID_VALUE;
    else
        err = memory_import(d, s, &o->m, &whole);
    if (err) {
        free(o);
        return err;
    }
    err = cudev_addr_take(d, len, 0, &o->base);
    if (!err) {
        /* A length that is not the memory's is refused by the driver here. */
        err = v->vmm_map(d, o->base, len, 0, o->m);
        if (!err) {
            err = v->vmm_access(d, o->base, len, DEV_ACCESS_READWRITE);
            if (err)
                v->vmm_unmap(d, o->base, len);
        }
        if (err)
            cudev_addr_give(d, o->base, len);
    }
    v->vmm_release(d, o->m); /* the mapping keeps it */
    if (err) {
        free(o);
        return err;
    }
    o->len = len;
    o->dptr = o->base + offset;
    *dptr = o->dptr;
    *size = s->meta[SIZE];
    pthread_mutex_lock(&all.lock);
    o->next = all.list;
    all.list = o;
    pthread_mutex_unlock(&all.lock);
    return 0;
}

static int mem_close(struct dev *d, uint64_t dptr)
{
    struct opened **at, *o;
    int err = cudev_enter(d);

    if (err)
        return err;
    pthread_mutex_lock(&all.lock);
    for (at = &all.list; *at && (*at)->dptr != dptr; at = &(*at)->next)
        ;
    o = *at;
    if (o)
        *at = o->next;
    pthread_mutex_unlock(&all.lock);
    if (!o)
        return CUDA_ERROR_INVALID_VALUE;
    err = cudev_wait_all(d);
    cudev_output_drain(d);
    if (!err)
        err = dev_cuda_memory_ops.vmm_unmap(d, o->base, o->len);
    if (!err)
        cudev_addr_give(d, o->base, o->len);
    free(o);
    return err;
}

/* ---- physical memory --------------------------------------------------------------------- */

static int memory_export(struct dev *d, struct dev_memory *m, struct dev_share *out)
{
    CUmemGenericAllocationHandle h;
    int err = cudev_enter(d);

    *out = (struct dev_share){.fd = -1};
    h = cudev_memory_handle(m, &out->meta[LEN]);
    out->charge = out->meta[LEN];
    return err ? err : export(d, h, out);
}

/* ---- pools ------------------------------------------------------------------------------- */

_Static_assert(sizeof(CUmemPoolPtrExportData) == 64, "fills meta[]");

static int pool_create(struct dev *d, uint64_t max_size, struct dev_mempool **out)
{
    const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                  .handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                  .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = d->dev},
                                  .maxSize = max_size};
    CUmemoryPool p;
    int err = cudev_enter(d);

    if (!err)
        err = cudev_rc(d, cu.cuMemPoolCreate(&p, &props), "cuMemPoolCreate");
    return err ? err : cudev_pool_of(d, p, out);
}

static int pool_export(struct dev *d, struct dev_mempool *p, struct dev_share *out)
{
    int fd = -1;
    int err = cudev_enter(d);

    *out = (struct dev_share){.fd = -1};
    if (!err)
        err = cudev_rc(d,
                       cu.cuMemPoolExportToShareableHandle(
                           &fd, cudev_pool(p), CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
                       "cuMemPoolExportToShareableHandle");
    out->fd = err ? -1 : fd;
    return err;
}

static int pool_import(struct dev *d, const struct dev_share *s, struct dev_mempool **out)
{
    CUmemoryPool p;
    int err = cudev_enter(d);

    if (err)
        return err;
    if (s->fd < 0)
        return CUDA_ERROR_INVALID_VALUE;
    err = cudev_rc(d,
                   cu.cuMemPoolImportFromShareableHandle(
                       &p, os_handle(s->fd), CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
                   "cuMemPoolImportFromShareableHandle");
    return err ? err : cudev_pool_of(d, p, out);
}

static int ptr_export(struct dev *d, uint64_t dptr, struct dev_share *out)
{
    CUmemPoolPtrExportData data;
    int err = cudev_enter(d);

    *out = (struct dev_share){.fd = -1};
    if (!err)
        err = cudev_rc(d, cu.cuMemPoolExportPointer(&data, dptr), "cuMemPoolExportPointer");
    if (!err)
        memcpy(out->meta, &data, sizeof(data));
    return err;
}

static int ptr_import(struct dev *d, struct dev_mempool *p, const struct dev_share *s,
                      uint64_t *dptr, uint64_t *size)
{
    CUmemPoolPtrExportData data;
    CUdeviceptr at = 0, base = 0;
    size_t n = 0;
    int err = cudev_enter(d);

    if (err)
        return err;
    memcpy(&data, s->meta, sizeof(data));
    err =
        cudev_rc(d, cu.cuMemPoolImportPointer(&at, cudev_pool(p), &data), "cuMemPoolImportPointer");
    if (!err)
        err = cudev_rc(d, cu.cuMemGetAddressRange_v2(&base, &n, at), "cuMemGetAddressRange");
    *dptr = at;
    *size = n;
    return err;
}

const struct dev_share_ops cudev_share_ops = {
    .mem_export = mem_export,
    .mem_import = mem_import,
    .mem_close = mem_close,
    .memory_create = cudev_memory_create_shared,
    .memory_export = memory_export,
    .memory_import = memory_import,
    .pool_create = pool_create,
    .pool_export = pool_export,
    .pool_import = pool_import,
    .ptr_export = ptr_export,
    .ptr_import = ptr_import,
};
