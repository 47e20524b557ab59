/* SPDX-License-Identifier: MIT */
/* cuda_copy.c - copies of boxes. */
#include "cuda_array.h"
#include "cuda_stage.h"
#include "dom0-backend/device/device_copy.h"

/* Rows and slices that the box does not reach need no size: the driver wants one that fits. */
static uint64_t at_least(uint64_t given, uint64_t needed)
{
    return given ? given : needed;
}

static int copy3d(struct dev *d, struct dev_stream *s, const struct dev_copy *c)
{
    CUDA_MEMCPY3D p = {.WidthInBytes = c->width, .Height = c->height, .Depth = c->depth};
    int err = cudev_enter(d);

    if (err)
        return err;
    p.srcXInBytes = c->src.x;
    p.srcY = c->src.y;
    p.srcZ = c->src.z;
    p.srcPitch = at_least(c->src.pitch, c->src.x + c->width);
    p.srcHeight = at_least(c->src.height, c->src.y + c->height);
    p.dstXInBytes = c->dst.x;
    p.dstY = c->dst.y;
    p.dstZ = c->dst.z;
    p.dstPitch = at_least(c->dst.pitch, c->dst.x + c->width);
    p.dstHeight = at_least(c->dst.height, c->dst.y + c->height);
    switch (c->src.type) {
    case DEV_MEM_HOST:
        p.srcMemoryType = CU_MEMORYTYPE_HOST;
        p.srcHost = (const void *)(uintptr_t)c->src.addr;
        break;
    case DEV_MEM_DEVICE:
        p.srcMemoryType = CU_MEMORYTYPE_DEVICE;
        p.srcDevice = c->src.addr;
        break;
    case DEV_MEM_ARRAY:
        p.srcMemoryType = CU_MEMORYTYPE_ARRAY;
        p.srcArray = c->src.array->a;
        break;
    }
    switch (c->dst.type) {
    case DEV_MEM_HOST:
        p.dstMemoryType = CU_MEMORYTYPE_HOST;
        p.dstHost = (void *)(uintptr_t)c->dst.addr;
        break;
    case DEV_MEM_DEVICE:
        p.dstMemoryType = CU_MEMORYTYPE_DEVICE;
        p.dstDevice = c->dst.addr;
        break;
    case DEV_MEM_ARRAY:
        p.dstMemoryType = CU_MEMORYTYPE_ARRAY;
        p.dstArray = c->dst.array->a;
        break;
    }
    return cudev_rc(d, cu.cuMemcpy3DAsync_v2(&p, cudev_stream(s)), "copying a box");
}

const struct dev_copy_ops dev_cuda_copy_ops = {
    .copy3d = copy3d,
    .stage_put = cudev_stage_put,
    .stage_get = cudev_stage_get,
};
