/* SPDX-License-Identifier: MIT */
/*
 * cuda_clear.c - memory that the driver hands out is cleared before the guest can see it, whoever
 * had it before, and whatever the driver promises. Memory that stays in this worker between two
 * allocations is not: it was this guest process's own.
 *
 * What is cleared for a call that returns at once (cuMemAlloc and the like) is waited for, as the
 * guest may use it from any stream. The stream is none of the guest's, and goes before all of them. A
 * fill needs processors of the GPU: while kernels run, which may wait for the very call, copies of
 * zeros are made instead, by the copy engines (measured on an H200: fills of 2 MiB wait for kernels
 * that take all processors, copies from pinned memory do not, but take 20 times as long).
 */
#include <string.h>

#include "cuda_array.h"
#include "cuda_memory.h"
#include "dom0-backend/common/clock.h"

#define SPIN_NS 1000000u
#define ZEROS   CUDEV_CHUNK /* octets of pinned memory that stay zeros */

int cudev_clear_open(struct dev *d)
{
    int lowest = 0, highest = 0;

    cu.cuCtxGetStreamPriorityRange(&lowest, &highest);
    if (cu.cuMemHostAlloc(&d->zeros, ZEROS, CU_MEMHOSTALLOC_PORTABLE) != CUDA_SUCCESS)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memset(d->zeros, 0, ZEROS);
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

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int cudev_clear(struct dev *d, uint64_t at, uint64_t bytes)
{
    int err = 0;

    if (cudev_all_complete(d)) {
        err = cudev_rc(d, cu.cuMemsetD8Async(at, 0, bytes, d->clear), "clearing memory");
        return err ? err : wait(d);
    }
    for (uint64_t done = 0; done < bytes && !err; done += ZEROS)
        err = cudev_rc(
            d, cu.cuMemcpyHtoDAsync_v2(at + done, d->zeros, least(ZEROS, bytes - done), d->clear),
            "clearing memory");
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

/* One array, or one level; `row` in octets, at most ZEROS, as no array is wider. */
static int clear_box(struct dev *d, CUarray a, uint64_t row, uint64_t height, uint64_t depth)
{
    uint64_t rows, slices;
    int err = 0;

    if (!row || row > ZEROS || !height || !depth)
        return CUDA_ERROR_INVALID_VALUE;
    rows = least(height, ZEROS / row);
    slices = rows == height ? least(depth, ZEROS / (row * height)) : 1;
    for (uint64_t z = 0; z < depth && !err; z += slices) {
        for (uint64_t y = 0; y < height && !err; y += rows) {
            const CUDA_MEMCPY3D p = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                                     .srcHost = d->zeros,
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
    int err = 0;

    /* More levels than there are sizes may be asked for. */
    for (uint32_t l = 0; l < 32 && l < (m ? levels : 1) && !err; l++) {
        uint64_t width = at_level(desc->Width, l), height = at_level(desc->Height, l),
                 depth = layers && desc->Depth ? desc->Depth : at_level(desc->Depth, l);

        if (m)
            err = cudev_rc(d, cu.cuMipmappedArrayGetLevel(&a, m, l), "finding a level");
        if (!err)
            err = clear_box(d, a, width * elem, height, depth);
        if (width == 1 && height == 1 && (layers || depth == 1))
            break;
    }
    return err ? err : wait(d);
}
