/* SPDX-License-Identifier: MIT */
/* covers: cuMemcpyBatchAsync cuMemcpyBatchAsync_ptsz cuMemcpy3DBatchAsync cuMemcpy3DBatchAsync_ptsz
 * cuMemcpyBatchAsync_v2 cuMemcpy3DBatchAsync_v2 cuMemPrefetchAsync cuMemPrefetchAsync_ptsz
 * cuMemAdvise */
/* Forms of CUDA 12, under their names of then: batches that name the copy at fault, hints that take
 * a device. */
#include "kernels.h"

#define OLD(name) __asm__(#name)
CUresult batch(CUdeviceptr *, CUdeviceptr *, size_t *, size_t, CUmemcpyAttributes *, size_t *,
               size_t, size_t *, CUstream) OLD(cuMemcpyBatchAsync);
CUresult batch_own(CUdeviceptr *, CUdeviceptr *, size_t *, size_t, CUmemcpyAttributes *, size_t *,
                   size_t, size_t *, CUstream) OLD(cuMemcpyBatchAsync_ptsz);
CUresult boxes(size_t, CUDA_MEMCPY3D_BATCH_OP *, size_t *, unsigned long long, CUstream)
    OLD(cuMemcpy3DBatchAsync);
CUresult boxes_own(size_t, CUDA_MEMCPY3D_BATCH_OP *, size_t *, unsigned long long, CUstream)
    OLD(cuMemcpy3DBatchAsync_ptsz);
CUresult prefetch(CUdeviceptr, size_t, CUdevice, CUstream) OLD(cuMemPrefetchAsync);
CUresult prefetch_own(CUdeviceptr, size_t, CUdevice, CUstream) OLD(cuMemPrefetchAsync_ptsz);
CUresult advise(CUdeviceptr, size_t, CUmem_advise, CUdevice) OLD(cuMemAdvise);

static CUdeviceptr d;
static CUstream s;

static void show(const char *name, CUstream at)
{
    uint8_t v[256];

    T(cuStreamSynchronize(at));
    T(cuMemcpyDtoH(v, d, sizeof(v)));
    T_DIGEST(name, v, sizeof(v));
}

int main(void)
{
    static uint8_t in[256];
    CUmemcpyAttributes attr = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
    CUDA_MEMCPY3D_BATCH_OP op = {0};
    CUdeviceptr dst[2], src[2] = {(CUdeviceptr)in, (CUdeviceptr)(in + 100)}, m;
    size_t n[2] = {60, 70}, first[1] = {0}, fail = 77;
    int v = 9;

    t_fill(in, sizeof(in), 8);
    T_OK(cudaMalloc((void **)&d, 256));
    T_OK(cudaMemset((void *)d, 0, 256));
    T_OK(cudaDeviceSynchronize());
    T_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    dst[0] = d;
    dst[1] = d + 128;
    T(batch(dst, src, n, 2, &attr, first, 1, &fail, s));
    show("batch", s);
    src[0] += 9;
    T(batch_own(dst, src, n, 2, &attr, first, 1, &fail, CU_STREAM_PER_THREAD));
    show("batch", CU_STREAM_PER_THREAD);
    T(batch(dst, src, n, 2, &attr, first, 1, &fail, NULL));
    T(batch(dst, src, n, 0, &attr, first, 1, &fail, s));
    T(cuMemcpyBatchAsync(dst, src, n, 2, &attr, first, 1, s));
    op.src.type = op.dst.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
    op.src.op.ptr.ptr = (CUdeviceptr)in;
    op.src.op.ptr.rowLength = 16;
    op.src.op.ptr.layerHeight = 4;
    op.dst.op.ptr.ptr = d;
    op.dst.op.ptr.rowLength = 20;
    op.dst.op.ptr.layerHeight = 4;
    op.extent.width = 11;
    op.extent.height = 3;
    op.extent.depth = 2;
    op.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
    T(boxes(1, &op, &fail, 0, s));
    show("boxes", s);
    op.extent.width = 13;
    T(boxes_own(1, &op, &fail, 0, CU_STREAM_PER_THREAD));
    show("boxes", CU_STREAM_PER_THREAD);
    op.extent.width = 14;
    T(cuMemcpy3DBatchAsync(1, &op, 0, s));
    show("boxes", s);
    T(boxes(1, &op, &fail, 9, s));

    T(cuMemAllocManaged(&m, 1 << 16, CU_MEM_ATTACH_GLOBAL));
    memset((void *)m, 1, 1 << 16);
    T_VOLATILE("to the device", prefetch(m, 1 << 16, 0, s));
    T_VOLATILE("to the host", prefetch_own(m, 1 << 16, CU_DEVICE_CPU, CU_STREAM_PER_THREAD));
    T(cuCtxSynchronize());
    T_VOLATILE("prefer", advise(m, 1 << 16, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, CU_DEVICE_CPU));
    T(cuMemRangeGetAttribute(&v, sizeof(v), CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, m, 1 << 16));
    T_VOLATILE("preferred", v);
    T(prefetch(d, 256, 0, s));
    T(prefetch(m, 0, 0, s));
    T(prefetch_own(m, 4096, 99, CU_STREAM_PER_THREAD));
    T(advise(d, 256, CU_MEM_ADVISE_SET_READ_MOSTLY, 0));
    T(advise(m, 4096, (CUmem_advise)99, 0));
    T(advise(m, 4096, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, 99));
    T(cuMemFree(m));
    return 0;
}
