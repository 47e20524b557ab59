/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpy_ptds cudaMemcpy2D_ptds cudaMemcpy3D_ptds cudaMemset_ptds cudaMemset2D_ptds
 * cudaMemset3D_ptds cudaMemcpyAsync_ptsz cudaMemcpy2DAsync_ptsz cudaMemcpy3DAsync_ptsz
 * cudaMemsetAsync_ptsz cudaMemset2DAsync_ptsz cudaMemset3DAsync_ptsz cudaMemcpy3DPeer_ptds
 * cudaMemcpy3DPeerAsync_ptsz cudaMallocAsync_ptsz cudaFreeAsync_ptsz cudaMallocFromPoolAsync_ptsz
 * cuMemcpy_ptds cuMemcpyHtoD_v2_ptds cuMemcpyDtoH_v2_ptds cuMemcpyDtoD_v2_ptds cuMemcpy2D_v2_ptds
 * cuMemcpy3D_v2_ptds cuMemcpyAsync_ptsz cuMemcpy2DAsync_v2_ptsz cuMemcpy3DAsync_v2_ptsz
 * cuMemsetD8_v2_ptds cuMemsetD32_v2_ptds cuMemsetD8Async_ptsz cuMemsetD2D8_v2_ptds
 * cuMemAllocAsync_ptsz cuMemFreeAsync_ptsz cuMemcpyPeer_ptds cuMemcpyPeerAsync_ptsz */
/* The same calls where 0 is the thread's own default stream. */
#define CUDA_API_PER_THREAD_DEFAULT_STREAM
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    static uint8_t in[3000], out[3000];
    struct cudaMemcpy3DParms p3 = {0};
    struct cudaMemcpy3DPeerParms pp = {0};
    CUDA_MEMCPY2D c2 = {0};
    CUDA_MEMCPY3D c3 = {0};
    struct cudaPitchedPtr f;
    cudaMemPool_t pool;
    CUdeviceptr cd, cq;
    CUcontext ctx;
    uint8_t *d;
    void *q;

    t_fill(in, sizeof(in), 15);
    T_OK(cudaMalloc((void **)&d, 3000));
    T(cudaMemcpy(d, in, 3000, cudaMemcpyHostToDevice));
    T(cudaMemset(d, 1, 10));
    T(cudaMemset2D(d + 20, 20, 2, 10, 5));
    f = (struct cudaPitchedPtr){d + 200, 20, 20, 5};
    T(cudaMemset3D(f, 3, (struct cudaExtent){7, 3, 3}));
    T(cudaMemcpyAsync(d + 600, in, 10, cudaMemcpyHostToDevice, 0));
    T(cudaMemcpy2D(d + 700, 20, in, 30, 10, 5, cudaMemcpyHostToDevice));
    T(cudaMemcpy2DAsync(d + 800, 20, in, 30, 10, 5, cudaMemcpyHostToDevice, 0));
    p3.srcPtr = (struct cudaPitchedPtr){in, 20, 20, 5};
    p3.dstPtr = (struct cudaPitchedPtr){d + 1000, 20, 20, 5};
    p3.extent = (struct cudaExtent){13, 4, 2};
    p3.kind = cudaMemcpyDefault;
    T(cudaMemcpy3D(&p3));
    p3.dstPtr.ptr = d + 1200;
    T(cudaMemcpy3DAsync(&p3, 0));
    pp.srcPtr = p3.dstPtr;
    pp.dstPtr = (struct cudaPitchedPtr){d + 1400, 20, 20, 5};
    pp.extent = p3.extent;
    T(cudaMemcpy3DPeer(&pp));
    pp.dstPtr.ptr = d + 1600;
    T(cudaMemcpy3DPeerAsync(&pp, 0));
    T(cudaMemsetAsync(d + 1800, 4, 9, 0));
    T(cudaMemset2DAsync(d + 1820, 20, 5, 9, 4, 0));
    f.ptr = d + 1900;
    T(cudaMemset3DAsync(f, 6, (struct cudaExtent){7, 3, 1}, 0));
    T(cudaMallocAsync(&q, 100, 0));
    T(cudaFreeAsync(q, 0));
    T(cudaDeviceGetDefaultMemPool(&pool, 0));
    T(cudaMallocFromPoolAsync(&q, 100, pool, 0));
    T(cudaFreeAsync(q, 0));

    cd = (uintptr_t)d;
    T(cuCtxGetCurrent(&ctx));
    T(cuMemcpy(cd + 2000, cd, 50));
    T(cuMemcpyHtoD(cd + 2050, in, 50));
    T(cuMemcpyDtoD(cd + 2100, cd + 700, 50));
    T(cuMemcpyAsync(cd + 2150, cd + 800, 50, 0));
    T(cuMemsetD8(cd + 2200, 7, 10));
    T(cuMemsetD32(cd + 2212, 8, 10));
    T(cuMemsetD8Async(cd + 2300, 9, 10, 0));
    T(cuMemsetD2D8(cd + 2320, 20, 10, 5, 3));
    c2.srcMemoryType = c2.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    c2.srcDevice = cd;
    c2.dstDevice = cd + 2400;
    c2.srcPitch = c2.dstPitch = 20;
    c2.WidthInBytes = 7;
    c2.Height = 5;
    T(cuMemcpy2D(&c2));
    c2.dstDevice = cd + 2500;
    T(cuMemcpy2DAsync(&c2, 0));
    c3.srcMemoryType = c3.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    c3.srcDevice = cd;
    c3.dstDevice = cd + 2600;
    c3.srcPitch = c3.dstPitch = 20;
    c3.srcHeight = c3.dstHeight = 2;
    c3.WidthInBytes = 7;
    c3.Height = c3.Depth = 2;
    T(cuMemcpy3D(&c3));
    c3.dstDevice = cd + 2700;
    T(cuMemcpy3DAsync(&c3, 0));
    T(cuMemcpyPeer(cd + 2800, ctx, cd, ctx, 20));
    T(cuMemcpyPeerAsync(cd + 2850, ctx, cd, ctx, 20, 0));
    T(cuMemAllocAsync(&cq, 100, 0));
    T(cuMemFreeAsync(cq, 0));
    T(cuMemcpyDtoH(out, cd, 3000));
    T_DIGEST("all", out, 3000);
    T(cudaStreamSynchronize(0));
    return 0;
}
