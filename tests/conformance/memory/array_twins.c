/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpy2DArrayToArray_ptds cudaMemcpy2DFromArrayAsync_ptsz cudaMemcpy2DFromArray_ptds
 * cudaMemcpy2DToArrayAsync_ptsz cudaMemcpy2DToArray_ptds cudaMemcpyArrayToArray_ptds
 * cudaMemcpyFromArrayAsync_ptsz cudaMemcpyFromArray_ptds cudaMemcpyToArrayAsync_ptsz
 * cudaMemcpyToArray_ptds cudaMemcpyBatchAsync_ptsz cudaMemcpy3DBatchAsync_ptsz
 * cuMemcpyAtoA_v2_ptds cuMemcpyAtoD_v2_ptds cuMemcpyAtoHAsync_v2_ptsz cuMemcpyAtoH_v2_ptds
 * cuMemcpyDtoA_v2_ptds cuMemcpyHtoAAsync_v2_ptsz cuMemcpyHtoA_v2_ptds
 * cuMemcpyDtoDAsync_v2_ptsz cuMemcpyDtoHAsync_v2_ptsz cuMemcpyHtoDAsync_v2_ptsz
 * cuMemcpy2DUnaligned_v2_ptds cuMemcpy3DPeerAsync_ptsz cuMemcpy3DPeer_ptds
 * cuMemcpyBatchAsync_v2_ptsz cuMemcpy3DBatchAsync_v2_ptsz cuMemsetD16Async_ptsz
 * cuMemsetD16_v2_ptds cuMemsetD2D16Async_ptsz cuMemsetD2D16_v2_ptds cuMemsetD2D32Async_ptsz
 * cuMemsetD2D32_v2_ptds cuMemsetD2D8Async_ptsz cuMemsetD32Async_ptsz
 * cuMemAllocFromPoolAsync_ptsz */
/* Copies from and to arrays, batches and fills where 0 is the thread's own default stream. */
#define CUDA_API_PER_THREAD_DEFAULT_STREAM
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

#define W 32
#define H 8

static uint8_t in[W * H], out[W * H];
static CUdeviceptr d;
static CUcontext ctx;

static void fresh(void)
{
    memset(out, 0, sizeof(out));
}

static void show(const char *name)
{
    T(cuStreamSynchronize(0));
    T_DIGEST(name, out, sizeof(out));
    fresh();
}

static void memory(const char *name)
{
    T(cuStreamSynchronize(0));
    T(cuMemcpyDtoH(out, d, sizeof(out)));
    show(name);
}

static void runtime(void)
{
    struct cudaChannelFormatDesc c =
        cudaCreateChannelDesc(8, 0, 0, 0, cudaChannelFormatKindUnsigned);
    cudaArray_t a, b;

    puts("arrays of the runtime");
    T_OK(cudaMallocArray(&a, &c, W, H, 0));
    T_OK(cudaMallocArray(&b, &c, W, H, 0));
    T(cudaMemcpy2DToArray(a, 0, 0, in, W, W, H, cudaMemcpyHostToDevice));
    T(cudaMemcpy2DFromArray(out, W, a, 0, 0, W, H, cudaMemcpyDeviceToHost));
    show("2D");
    T(cudaMemcpy2DToArrayAsync(a, 4, 1, in + 7, W, 16, 4, cudaMemcpyHostToDevice, 0));
    T(cudaMemcpy2DFromArrayAsync(out, W, a, 0, 0, W, H, cudaMemcpyDeviceToHost, 0));
    show("2D async");
    T(cudaMemcpy2DArrayToArray(b, 0, 0, a, 2, 1, 20, 5, cudaMemcpyDeviceToDevice));
    T(cudaMemcpy2DFromArray(out, W, b, 0, 0, 20, 5, cudaMemcpyDeviceToHost));
    show("array to array");
    T(cudaMemcpyToArray(a, 0, 2, in, 3 * W, cudaMemcpyHostToDevice));
    T(cudaMemcpyFromArray(out, a, 0, 2, 3 * W, cudaMemcpyDeviceToHost));
    show("rows");
    T(cudaMemcpyToArrayAsync(a, 0, 1, in + 9, W, cudaMemcpyHostToDevice, 0));
    T(cudaMemcpyFromArrayAsync(out, a, 0, 1, W, cudaMemcpyDeviceToHost, 0));
    show("rows async");
    T(cudaMemcpyArrayToArray(b, 0, 3, a, 0, 1, 2 * W, cudaMemcpyDeviceToDevice));
    T(cudaMemcpyFromArray(out, b, 0, 3, 2 * W, cudaMemcpyDeviceToHost));
    show("rows to rows");
    T(cudaMemcpy2DToArray(a, 20, 0, in, W, W, H, cudaMemcpyHostToDevice));
    T(cudaMemcpyToArray(a, 0, 7, in, 2 * W, cudaMemcpyHostToDevice));
    T(cudaFreeArray(a));
    T(cudaFreeArray(b));
}

static void driver(void)
{
    CUDA_ARRAY_DESCRIPTOR desc = {W * H, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1};
    CUarray a, b;

    puts("arrays of the driver");
    T_OK(cuArrayCreate(&a, &desc));
    T_OK(cuArrayCreate(&b, &desc));
    T(cuMemcpyHtoA(a, 0, in, W * H));
    T(cuMemcpyAtoH(out, a, 5, 100));
    show("AtoH");
    T(cuMemcpyHtoAAsync(a, 16, in, 64, 0));
    T(cuMemcpyAtoHAsync(out, a, 0, W * H, 0));
    show("AtoH async");
    T(cuMemcpyAtoD(d, a, 3, 90));
    memory("AtoD");
    T(cuMemcpyDtoA(b, 7, d, 80));
    T(cuMemcpyAtoA(b, 100, b, 7, 60));
    T(cuMemcpyAtoH(out, b, 7, 153));
    show("AtoA");
    T(cuMemcpyHtoA(a, W * H - 4, in, 8));
    T(cuArrayDestroy(a));
    T(cuArrayDestroy(b));
}

static void linear(void)
{
    CUDA_MEMCPY2D c2 = {0};
    CUDA_MEMCPY3D_PEER c3 = {0};

    puts("linear memory");
    T(cuMemcpyHtoDAsync(d, in, W * H, 0));
    T(cuMemcpyDtoDAsync(d, d + 128, 64, 0));
    T(cuMemcpyDtoHAsync(out, d, W * H, 0));
    show("DtoH async");
    c2.srcMemoryType = CU_MEMORYTYPE_HOST;
    c2.srcHost = in;
    c2.srcPitch = 30;
    c2.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    c2.dstDevice = d;
    c2.dstPitch = 17;
    c2.WidthInBytes = 13;
    c2.Height = 6;
    T(cuMemcpy2DUnaligned(&c2));
    memory("unaligned");
    c3.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    c3.srcDevice = d;
    c3.srcPitch = 16;
    c3.srcHeight = 4;
    c3.srcContext = ctx;
    c3.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    c3.dstDevice = d + 128;
    c3.dstPitch = 16;
    c3.dstHeight = 4;
    c3.dstContext = ctx;
    c3.WidthInBytes = 9;
    c3.Height = 3;
    c3.Depth = 2;
    T(cuMemcpy3DPeer(&c3));
    memory("peer");
    c3.WidthInBytes = 12;
    T(cuMemcpy3DPeerAsync(&c3, 0));
    memory("peer async");
}

static void fills(void)
{
    puts("fills");
    T(cuMemsetD16(d, 0x1234, 20));
    T(cuMemsetD16Async(d + 40, 0x5678, 20, 0));
    T(cuMemsetD32Async(d + 80, 0x9abcdef0, 5, 0));
    T(cuMemsetD2D8Async(d + 100, 8, 0x11, 3, 2, 0));
    T(cuMemsetD2D16(d + 120, 8, 0x2222, 2, 2));
    T(cuMemsetD2D16Async(d + 136, 8, 0x3333, 2, 2, 0));
    T(cuMemsetD2D32(d + 152, 12, 0x44444444, 2, 2));
    T(cuMemsetD2D32Async(d + 176, 12, 0x55555555, 2, 2, 0));
    memory("fills");
    T(cuMemsetD16Async(d + 1, 1, 1, 0));
    T(cuMemsetD2D32Async(d, 6, 1, 2, 2, 0));
}

static void batches(void)
{
    CUdeviceptr dst[2] = {d, d + 64}, src[2] = {(CUdeviceptr)in, (CUdeviceptr)(in + 50)};
    CUmemcpyAttributes at = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
    CUDA_MEMCPY3D_BATCH_OP op = {0};
    size_t sizes[2] = {20, 30}, which[1] = {0};
    struct cudaMemcpyAttributes rat = {.srcAccessOrder = cudaMemcpySrcAccessOrderStream};
    struct cudaMemcpy3DBatchOp rop = {0};
    const void *rsrc[2] = {in + 1, in + 60};
    void *rdst[2] = {(void *)d, (void *)(d + 64)};

    puts("batches: they take no stream 0, but the thread's own by its name");
    T(cuMemcpyBatchAsync(dst, src, sizes, 2, &at, which, 1, 0));
    T(cuMemcpyBatchAsync(dst, src, sizes, 2, &at, which, 1, CU_STREAM_PER_THREAD));
    memory("driver");
    op.src.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
    op.src.op.ptr.ptr = (CUdeviceptr)in;
    op.src.op.ptr.rowLength = 16;
    op.src.op.ptr.layerHeight = 4;
    op.dst.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
    op.dst.op.ptr.ptr = d;
    op.dst.op.ptr.rowLength = 20;
    op.dst.op.ptr.layerHeight = 4;
    op.extent.width = 10;
    op.extent.height = 3;
    op.extent.depth = 2;
    op.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
    T(cuMemcpy3DBatchAsync(1, &op, 0, 0));
    T(cuMemcpy3DBatchAsync(1, &op, 0, CU_STREAM_PER_THREAD));
    memory("driver 3D");
    T(cudaMemcpyBatchAsync(rdst, rsrc, sizes, 2, &rat, which, 1, 0));
    T(cudaMemcpyBatchAsync(rdst, rsrc, sizes, 2, &rat, which, 1, cudaStreamPerThread));
    memory("runtime");
    memcpy(&rop.src.op.ptr.ptr, &rsrc[0], sizeof(void *));
    rop.src.type = cudaMemcpyOperandTypePointer;
    rop.src.op.ptr.rowLength = 16;
    rop.src.op.ptr.layerHeight = 4;
    rop.dst.type = cudaMemcpyOperandTypePointer;
    rop.dst.op.ptr.ptr = (void *)d;
    rop.dst.op.ptr.rowLength = 20;
    rop.dst.op.ptr.layerHeight = 4;
    rop.extent = (struct cudaExtent){10, 3, 2};
    rop.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
    T(cudaMemcpy3DBatchAsync(1, &rop, 0, 0));
    T(cudaMemcpy3DBatchAsync(1, &rop, 0, cudaStreamPerThread));
    memory("runtime 3D");
}

static void pool(void)
{
    CUmemoryPool p;
    CUdeviceptr q = 0;

    puts("pool");
    T(cuDeviceGetDefaultMemPool(&p, 0));
    T(cuMemAllocFromPoolAsync(&q, 256, p, 0));
    T(cuMemsetD16Async(q, 7, 128, 0));
    T(cuMemcpyDtoHAsync(out, q, 256, 0));
    show("pool");
    T(cuMemFreeAsync(q, 0));
    T(cuMemAllocFromPoolAsync(&q, 256, NULL, 0));
}

int main(void)
{
    t_fill(in, sizeof(in), 3);
    T_OK(cudaMalloc((void **)&d, W * H));
    T_OK(cudaMemset((void *)d, 0, W * H));
    T_OK(cuCtxGetCurrent(&ctx));
    runtime();
    driver();
    linear();
    fills();
    batches();
    pool();
    return 0;
}
