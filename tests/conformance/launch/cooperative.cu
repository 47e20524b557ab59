/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchCooperativeKernel cudaLaunchKernelExC cuLaunchCooperativeKernel */
/* Grid-wide synchronisation: every block sees what all others wrote before it. */
#include <cooperative_groups.h>
#include <cuda.h>
#include <cuda_runtime.h>

#include "transcript.h"

namespace cg = cooperative_groups;

extern "C" __global__ void rotate(int *a, int *b, int rounds)
{
    cg::grid_group g = cg::this_grid();
    unsigned i = (unsigned)g.thread_rank(), n = (unsigned)g.size();

    for (int r = 0; r < rounds; r++) {
        b[i] = a[(i + 1) % n];
        g.sync();
        a[i] = b[i];
        g.sync();
    }
}

int main(void)
{
    const int blocks = 2, threads = 64, n = blocks * threads;
    int v[n], *a, *b, rounds = 5, one = 0;
    void *args[] = {&a, &b, &rounds};
    cudaLaunchConfig_t cfg = {};
    cudaLaunchAttribute attr[2] = {};
    cudaFunction_t f;

    T_OK(cudaDeviceGetAttribute(&one, cudaDevAttrCooperativeLaunch, 0));
    T_INT("supported", one);
    T_OK(cudaMalloc(&a, sizeof(v)));
    T_OK(cudaMalloc(&b, sizeof(v)));
    for (int i = 0; i < n; i++)
        v[i] = i;
    T_OK(cudaMemcpy(a, v, sizeof(v), cudaMemcpyHostToDevice));
    T(cudaLaunchCooperativeKernel((const void *)rotate, dim3(blocks), dim3(threads), args, 0, 0));
    T(cudaDeviceSynchronize());
    T(cudaMemcpy(v, a, sizeof(v), cudaMemcpyDeviceToHost));
    T_INT("first", v[0]);
    T_DIGEST("all", v, sizeof(v));
    cfg.gridDim = dim3(blocks);
    cfg.blockDim = dim3(threads);
    cfg.attrs = attr;
    cfg.numAttrs = 1;
    attr[0].id = cudaLaunchAttributeCooperative;
    attr[0].val.cooperative = 1;
    T(cudaLaunchKernelExC(&cfg, (const void *)rotate, args));
    T(cudaMemcpy(v, a, sizeof(v), cudaMemcpyDeviceToHost));
    T_INT("first", v[0]);
    T_OK(cudaGetFuncBySymbol(&f, (const void *)rotate));
    T(cuLaunchCooperativeKernel((CUfunction)f, blocks, 1, 1, threads, 1, 1, 0, NULL, args));
    T(cudaMemcpy(v, a, sizeof(v), cudaMemcpyDeviceToHost));
    T_INT("first", v[0]);
    cfg.gridDim = dim3(100000);
    T(cudaLaunchKernelExC(&cfg, (const void *)rotate, args));
    T(cudaGetLastError());
    T(cudaFree(a));
    T(cudaFree(b));
    return 0;
}
