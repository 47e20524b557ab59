/* SPDX-License-Identifier: MIT */
/* covers: cuLaunchKernel cudaMemsetAsync cuMemsetD32_v2 */
/* Shapes of grids and blocks, large ones too: every thread runs once and knows who it is. */
#include "kernels.h"

int main(void)
{
    static const unsigned shapes[][6] = {{1, 1, 1, 1, 1, 1},    {7, 3, 2, 5, 3, 2},
                                         {1, 1, 1, 1024, 1, 1}, {2, 2, 2, 8, 8, 16},
                                         {16, 1, 5, 1, 33, 1},  {3, 3, 3, 1, 1, 64}};
    static const unsigned large[][6] = {{65536, 1, 1, 32, 1, 1},
                                        {1, 65535, 1, 1, 1, 1},
                                        {1, 1, 65535, 1, 1, 1},
                                        {300, 20, 10, 4, 4, 4}};
    CUfunction indices = t_kernel("indices"), count = t_kernel("count_threads");
    unsigned long long threads, *c;
    int *out;

    T_OK(cudaMalloc((void **)&out, 1 << 16));
    T_OK(cudaMalloc((void **)&c, 8));
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const unsigned *g = shapes[i];

        T(cuMemsetD32((CUdeviceptr)out, 0xdeadbeef, 1 << 14));
        T(cuLaunchKernel(indices, g[0], g[1], g[2], g[3], g[4], g[5], 0, NULL, ARGS(&out), NULL));
        t_show("indices", out, 1 << 14);
    }
    for (unsigned i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        const unsigned *g = large[i];

        T(cudaMemsetAsync(c, 0, 8, NULL));
        T(cuLaunchKernel(count, g[0], g[1], g[2], g[3], g[4], g[5], 0, NULL, ARGS(&c), NULL));
        T(cudaMemcpy(&threads, c, 8, cudaMemcpyDeviceToHost));
        T_INT("threads", threads);
    }
    return 0;
}
