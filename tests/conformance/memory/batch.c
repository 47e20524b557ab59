/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpyBatchAsync cudaMemcpy3DBatchAsync cuMemcpyBatchAsync */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    static uint8_t in[4000], out[4000];
    uint8_t *d, *e;
    const void *src[3], *csrc[1];
    void *dst[3];
    size_t n[3] = {1000, 500, 0}, first[2] = {0, 1};
    struct cudaMemcpyAttributes a[2] = {{.srcAccessOrder = cudaMemcpySrcAccessOrderStream},
                                        {.srcAccessOrder = cudaMemcpySrcAccessOrderStream}};
    struct cudaMemcpy3DBatchOp op[2] = {0};
    CUmemcpyAttributes ca = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
    CUdeviceptr cd[1], cs[1];
    cudaStream_t s;

    t_fill(in, sizeof(in), 21);
    T_OK(cudaMalloc((void **)&d, 4000));
    T_OK(cudaMalloc((void **)&e, 4000));
    T_OK(cudaMemset(e, 0, 4000));
    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMemcpy(d, in, 4000, cudaMemcpyHostToDevice));
    src[0] = d;
    dst[0] = e + 7;
    src[1] = in + 2000;
    dst[1] = e + 2000;
    T(cudaMemcpyBatchAsync(dst, src, n, 2, a, first, 2, s));
    T(cudaMemcpyBatchAsync(dst, src, n, 2, a, first, 1, s));
    op[0].src.type = op[0].dst.type = cudaMemcpyOperandTypePointer;
    op[0].src.op.ptr.ptr = d + 100;
    op[0].src.op.ptr.rowLength = 50;
    op[0].src.op.ptr.layerHeight = 10;
    op[0].dst.op.ptr.ptr = e + 3000;
    op[0].dst.op.ptr.rowLength = 40;
    op[0].dst.op.ptr.layerHeight = 5;
    op[0].extent = (struct cudaExtent){31, 5, 3};
    op[0].srcAccessOrder = cudaMemcpySrcAccessOrderStream;
    T(cudaMemcpy3DBatchAsync(1, op, 0, s));
    cd[0] = (uintptr_t)e + 3700;
    cs[0] = (uintptr_t)d;
    n[0] = 300;
    T(cuMemcpyBatchAsync(cd, cs, n, 1, &ca, first, 1, (CUstream)s));
    T(cudaStreamSynchronize(s));
    T(cudaMemcpy(out, e, 4000, cudaMemcpyDeviceToHost));
    T_DIGEST("out", out, 4000);
    T(cudaMemcpyBatchAsync(dst, src, n, 2, a, first, 2, NULL));
    T(cudaMemcpyBatchAsync(dst, src, n, 2, a, first, 0, s));
    T(cudaMemcpyBatchAsync(dst, src, n, 0, a, first, 1, s));
    T(cudaMemcpyBatchAsync(NULL, src, n, 2, a, first, 1, s));
    T(cudaMemcpyBatchAsync(dst, src, n, 2, NULL, first, 1, s));
    first[0] = 1;
    T(cudaMemcpyBatchAsync(dst, src, n, 2, a, first, 1, s));
    first[0] = 0;
    a[0].srcAccessOrder = cudaMemcpySrcAccessOrderInvalid;
    T(cudaMemcpyBatchAsync(dst, src, n, 2, a, first, 1, s));
    T(cudaMemcpy3DBatchAsync(0, op, 0, s));
    T(cudaMemcpy3DBatchAsync(1, op, 1, s));
    op[0].extent.depth = 0;
    T(cudaMemcpy3DBatchAsync(1, op, 0, s));
    T(cudaGetLastError());
    T(cudaDeviceSynchronize());
    return 0;
}
