/* SPDX-License-Identifier: MIT */
/* covers: cuMemcpy2D cuMemcpy2DUnaligned cuMemcpy2DAsync */
#include <cuda.h>

#include "transcript.h"

static uint8_t in[64 * 60], out[64 * 60];
static CUdeviceptr d;

static CUDA_MEMCPY2D up(void)
{
    return (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_HOST,
                           .srcHost = in,
                           .srcPitch = 64,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = d,
                           .dstPitch = 80,
                           .WidthInBytes = 37,
                           .Height = 50};
}

static CUDA_MEMCPY2D down(void)
{
    return (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                           .srcDevice = d,
                           .srcPitch = 80,
                           .dstMemoryType = CU_MEMORYTYPE_HOST,
                           .dstHost = out,
                           .dstPitch = 64,
                           .WidthInBytes = 64,
                           .Height = 50};
}

int main(void)
{
    CUDA_MEMCPY2D p;
    CUcontext ctx;
    CUdevice dev;
    CUstream s;

    T_OK(cuInit(0));
    T_OK(cuDeviceGet(&dev, 0));
    T_OK(cuDevicePrimaryCtxRetain(&ctx, dev));
    T_OK(cuCtxSetCurrent(ctx));
    T_OK(cuMemAlloc(&d, 80 * 60));
    T_OK(cuMemsetD8(d, 0, 80 * 60));
    T_OK(cuStreamCreate(&s, 0));
    t_fill(in, sizeof(in), 2);
    p = up();
    T(cuMemcpy2D(&p));
    p = down();
    T(cuMemcpy2D(&p));
    T_DIGEST("2D", out, sizeof(out));
    p = up();
    p.srcXInBytes = 3;
    p.srcY = 4;
    p.dstXInBytes = 20;
    p.dstY = 7;
    p.WidthInBytes = 11;
    p.Height = 9;
    T(cuMemcpy2DUnaligned(&p));
    p = down();
    T(cuMemcpy2DAsync(&p, s));
    T(cuStreamSynchronize(s));
    T_DIGEST("offsets", out, sizeof(out));
    p = up();
    p.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
    p.srcDevice = (CUdeviceptr)(uintptr_t)in;
    p.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
    T(cuMemcpy2D(&p));

    T(cuMemcpy2D(NULL));
    p = up();
    p.WidthInBytes = 0;
    T(cuMemcpy2D(&p));
    p = up();
    p.Height = 0;
    T(cuMemcpy2D(&p));
    p = up();
    p.srcPitch = 36;
    T(cuMemcpy2D(&p));
    p.Height = 1;
    T(cuMemcpy2D(&p));
    p = up();
    p.srcPitch = 0;
    T(cuMemcpy2D(&p));
    p.Height = 1;
    T(cuMemcpy2D(&p));
    p = up();
    p.srcXInBytes = 30;
    T(cuMemcpy2D(&p));
    p = up();
    p.dstPitch = (size_t)1 << 32;
    T(cuMemcpy2D(&p));
    p = up();
    p.dstMemoryType = (CUmemorytype)9;
    T(cuMemcpy2D(&p));
    p = up();
    p.srcMemoryType = (CUmemorytype)0;
    T(cuMemcpy2D(&p));
    p = up();
    p.srcHost = NULL;
    T(cuMemcpy2D(&p));
    p = up();
    p.dstDevice = 0;
    T(cuMemcpy2D(&p));
    p = up();
    p.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    p.dstArray = NULL;
    T(cuMemcpy2D(&p));
    p = up();
    p.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    p.srcDevice = (CUdeviceptr)(uintptr_t)in;
    T(cuMemcpy2D(&p));
    p = down();
    T(cuMemcpy2D(&p));
    T_DIGEST("after refusals", out, sizeof(out));
    T(cuMemFree(d));
    return 0;
}
