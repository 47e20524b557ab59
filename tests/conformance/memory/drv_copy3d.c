/* SPDX-License-Identifier: MIT */
/* covers: cuMemcpy3D cuMemcpy3DAsync cuMemcpy3DPeer cuMemcpy3DPeerAsync cuMemcpyPeer cuMemcpyPeerAsync */
#include <cuda.h>

#include "transcript.h"

#define W 21
#define H 6
#define D 5

static uint8_t in[W * H * D], out[64 * 8 * D];
static CUdeviceptr d;

static CUDA_MEMCPY3D up(void)
{
    return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_HOST,
                           .srcHost = in,
                           .srcPitch = W,
                           .srcHeight = H,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = d,
                           .dstPitch = 64,
                           .dstHeight = 8,
                           .WidthInBytes = W,
                           .Height = H,
                           .Depth = D};
}

static void look(const char *what)
{
    T(cuMemcpyDtoH(out, d, sizeof(out)));
    T_DIGEST(what, out, sizeof(out));
}

int main(void)
{
    CUDA_MEMCPY3D_PEER q;
    CUDA_MEMCPY3D p;
    CUdeviceptr e;
    CUcontext ctx;
    CUdevice dev;
    CUstream s;

    T_OK(cuInit(0));
    T_OK(cuDeviceGet(&dev, 0));
    T_OK(cuDevicePrimaryCtxRetain(&ctx, dev));
    T_OK(cuCtxSetCurrent(ctx));
    T_OK(cuMemAlloc(&d, sizeof(out)));
    T_OK(cuMemAlloc(&e, sizeof(out)));
    T_OK(cuMemsetD8(d, 0, sizeof(out)));
    T_OK(cuStreamCreate(&s, 0));
    t_fill(in, sizeof(in), 4);
    p = up();
    T(cuMemcpy3D(&p));
    look("3D");
    p.srcXInBytes = p.dstXInBytes = 2;
    p.srcY = 1;
    p.dstZ = 3;
    p.WidthInBytes = 7;
    p.Height = 3;
    p.Depth = 2;
    T(cuMemcpy3DAsync(&p, s));
    T(cuStreamSynchronize(s));
    look("offsets");
    memset(&q, 0, sizeof(q));
    q.srcMemoryType = q.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    q.srcDevice = d;
    q.dstDevice = d + 64;
    q.srcContext = q.dstContext = ctx;
    q.srcPitch = q.dstPitch = 64;
    q.srcHeight = q.dstHeight = 8;
    q.srcZ = 2;
    q.WidthInBytes = 30;
    q.Height = 2;
    q.Depth = 2;
    T(cuMemcpy3DPeer(&q));
    q.srcZ = 3;
    T(cuMemcpy3DPeerAsync(&q, s));
    T(cuStreamSynchronize(s));
    look("peer boxes");
    T(cuMemcpyPeer(e, ctx, d, ctx, sizeof(out)));
    T(cuMemcpyPeerAsync(d, ctx, e + 100, ctx, 50, s));
    T(cuStreamSynchronize(s));
    look("peer");
    q.srcContext = NULL;
    T(cuMemcpy3DPeer(&q));
    T(cuMemcpyPeer(e, NULL, d, ctx, 16));

    T(cuMemcpy3D(NULL));
    p = up();
    p.Depth = 0;
    T(cuMemcpy3D(&p));
    p = up();
    p.srcPitch = W - 1;
    T(cuMemcpy3D(&p));
    p = up();
    p.srcHeight = H - 1;
    T(cuMemcpy3D(&p));
    p.Depth = 1;
    p.srcHeight = 0;
    T(cuMemcpy3D(&p));
    p = up();
    p.srcHeight = 0;
    T(cuMemcpy3D(&p));
    p = up();
    p.srcPitch = 0;
    T(cuMemcpy3D(&p));
    p = up();
    p.srcLOD = 1;
    T(cuMemcpy3D(&p));
    p = up();
    p.reserved0 = &p;
    T(cuMemcpy3D(&p));
    p = up();
    p.dstMemoryType = (CUmemorytype)7;
    T(cuMemcpy3D(&p));
    p = up();
    p.dstDevice = 0;
    T(cuMemcpy3D(&p));
    look("after refusals");
    return 0;
}
