/* SPDX-License-Identifier: MIT */
/*
 * cuda_clear.c - memory that the driver hands out is cleared before the guest can see it, whoever
 * had it before, and whatever the driver promises. Memory that stays in this worker between two
 * allocations is not: it was this guest process's own.
 *
 * What is cleared for a call that returns at once (cuMemAlloc and the like) is waited for, as the
 * guest may use it from any stream. The stream is none of the guest's, and goes before all of them.
 */
#include "cuda_array.h"
#include "cuda_memory.h"
#include "dom0-backend/common/clock.h"

#define SPIN_NS 1000000u
#define ZEROS   CUDEV_CHUNK /* octets of cleared memory that arrays are cleared with */

int cudev_clear_open(struct dev *d)
{
    int lowest = 0, highest = 0;

    cu.cuCtxGetStreamPriorityRange(&lowest, &highest);
    return cudev_rc(d, cu.cuStreamCreateWithPriority(&d->clear, CU_STREAM_NON_BLOCKING, highest),
                    "making the stream that clears memory");
}

static int wait(struct dev *d)
{
    uint64_t end = now_ns() + SPIN_NS;

    while (cu.cuStreamQuery(d->clear) == CUDA_ERROR_NOT_READY && now_ns() < end)
        __builtin_ia32_pause();
    return cudev_rc(d, cu.cuStreamSynchronize(d->clear), "clearing memory");
}

int cudev_clear(struct dev *d, uint64_t at, uint64_t bytes)
{
    int err = cudev_rc(d, cu.cuMemsetD8Async(at, 0, bytes, d->clear), "clearing memory");

    return err ? err : wait(d);
}

int cudev_clear_on(struct dev *d, uint64_t at, uint64_t bytes, CUstream s)
{
    return cudev_rc(d, cu.cuMemsetD8Async(at, 0, bytes, s), "clearing memory of a pool");
}

int cudev_clear_physical(struct dev *d, CUmemGenericAllocationHandle h, uint64_t size)
{
    const CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = d->dev},
                                    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    uint64_t at;
    int err = cudev_addr_take(d, size, 0, &at);

    if (err)
        return err;
    err = cudev_rc(d, cu.cuMemMap(at, size, 0, h, 0), "cuMemMap");
    if (!err) {
        err = cudev_rc(d, cu.cuMemSetAccess(at, size, &access, 1), "cuMemSetAccess");
        if (!err)
            err = cudev_clear(d, at, size);
        cu.cuMemUnmap(at, size);
    }
    cudev_addr_give(d, at, size);
    return err;
}

/* ---- arrays ------------------------------------------------------------------------------ */

/* Made at the first array of the worker; 0: no memory. */
static CUdeviceptr zeros(struct dev *d)
{
    CUdeviceptr at = atomic_load(&d->zeros), none = 0;

    if (at)
        return at;
    if (cu.cuMemAlloc_v2(&at, ZEROS) != CUDA_SUCCESS)
        return 0;
    if (cudev_clear(d, at, ZEROS) == 0 && atomic_compare_exchange_strong(&d->zeros, &none, at))
        return at;
    cu.cuMemFree_v2(at);
    return none;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* One array, or one level; `row` in octets, at most ZEROS, as no array is wider. */
static int clear_box(struct dev *d, CUarray a, uint64_t row, uint64_t height, uint64_t depth,
                     CUdeviceptr zero)
{
    uint64_t rows, slices;
    int err = 0;

    if (!row || row > ZEROS || !height || !depth)
        return CUDA_ERROR_INVALID_VALUE;
    rows = least(height, ZEROS / row);
    slices = rows == height ? least(depth, ZEROS / (row * height)) : 1;
    for (uint64_t z = 0; z < depth && !err; z += slices) {
        for (uint64_t y = 0; y < height && !err; y += rows) {
            const CUDA_MEMCPY3D p = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                                     .srcDevice = zero,
                                     .srcPitch = row,
                                     .srcHeight = rows,
                                     .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                                     .dstArray = a,
                                     .dstY = y,
                                     .dstZ = z,
                                     .WidthInBytes = row,
                                     .Height = least(rows, height - y),
                                     .Depth = least(slices, depth - z)};

            err = cudev_rc(d, cu.cuMemcpy3DAsync_v2(&p, d->clear), "clearing an array");
        }
    }
    return err;
}

static uint64_t at_level(uint64_t n, uint32_t level)
{
    return n >> level ? n >> level : 1;
}

int cudev_clear_array(struct dev *d, CUarray a, CUmipmappedArray m, uint32_t levels, uint64_t elem,
                      const CUDA_ARRAY3D_DESCRIPTOR *desc)
{
    bool layers = desc->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
    CUdeviceptr zero = zeros(d);
    int err = zero ? 0 : CUDA_ERROR_OUT_OF_MEMORY;

    for (uint32_t l = 0; l < (m ? levels : 1) && !err; l++) {
        if (m)
            err = cudev_rc(d, cu.cuMipmappedArrayGetLevel(&a, m, l), "finding a level");
        if (!err)
            err = clear_box(d, a, at_level(desc->Width, l) * elem, at_level(desc->Height, l),
                            layers && desc->Depth ? desc->Depth : at_level(desc->Depth, l), zero);
    }
    return err ? err : wait(d);
}
