/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpyAsync cuMemcpyHtoDAsync_v2 cuMemcpyDtoHAsync_v2 */
/* Asynchronous copies of pageable memory behind a stream that is busy: the source may be changed
 * after the call, and the destination is complete when it returns. */
#include "kernels.h"

int main(void)
{
    static const size_t sizes[] = {4, 4096, 70000, 3 << 20};
    CUfunction busy = t_kernel("busy");
    uint8_t *host = malloc(3 << 20), *back = malloc(3 << 20), *p, *work;
    unsigned rounds = 200000;
    cudaStream_t s;

    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T_OK(cudaMalloc((void **)&p, 3 << 20));
    T_OK(cudaMalloc((void **)&work, 4096));
    T(cudaMemset(work, 0, 4096));
    T(cudaDeviceSynchronize());
    for (int i = 0; i < 4; i++) {
        T_INT("octets", sizes[i]);
        t_fill(host, sizes[i], i);
        T(t_launch(busy, 4, 64, 0, s, ARGS(&work, &rounds)));
        T(cudaMemcpyAsync(p, host, sizes[i], cudaMemcpyHostToDevice, s));
        memset(host, 0xee, sizes[i]);
        T(t_launch(busy, 4, 64, 0, s, ARGS(&work, &rounds)));
        T(cudaMemcpyAsync(back, p, sizes[i], cudaMemcpyDeviceToHost, s));
        T_DIGEST("back", back, sizes[i]);
        t_fill(host, sizes[i], i + 100);
        T(cuMemcpyHtoDAsync((CUdeviceptr)p, host, sizes[i], (CUstream)s));
        memset(host, 0xee, sizes[i]);
        T(cuMemcpyDtoHAsync(back, (CUdeviceptr)p, sizes[i], (CUstream)s));
        T_DIGEST("back", back, sizes[i]);
    }
    T(cudaStreamSynchronize(s));
    T(cudaFree(p));
    T(cudaFree(work));
    return 0;
}
