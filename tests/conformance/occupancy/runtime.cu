/* SPDX-License-Identifier: MIT */
/* covers: cudaOccupancyMaxActiveBlocksPerMultiprocessor
 * cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags cudaOccupancyAvailableDynamicSMemPerBlock
 * cudaOccupancyMaxActiveClusters cudaOccupancyMaxPotentialClusterSize */
/* The runtime's occupancy calls, those of its header included. */
#include <cuda_runtime.h>

#include "transcript.h"

__global__ void k(float *p)
{
    extern __shared__ float s[];

    s[threadIdx.x] = p[threadIdx.x];
    __syncthreads();
    p[threadIdx.x] = s[blockDim.x - 1 - threadIdx.x];
}

static size_t need(int block)
{
    return block * sizeof(float);
}

int main(void)
{
    cudaLaunchConfig_t cfg = {};
    cudaLaunchAttribute a = {};
    const void *f = (const void *)k;
    int n = -1, grid = -1, block = -1, here;
    size_t bytes = 0;

    T(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, 256, 0));
    T_DEVICE("blocks", n);
    T(cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&n, f, 256, 20000, 1));
    T_DEVICE("blocks", n);
    T(cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&n, f, 256, 0, 8));
    T(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, 0, 0));
    T(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, 256, 100000));
    T_DEVICE("blocks", n);
    T(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, &here, 256, 0));
    T(cudaOccupancyMaxActiveBlocksPerMultiprocessor(NULL, f, 256, 0));
    T(cudaOccupancyMaxPotentialBlockSize(&grid, &block, k, 0, 0));
    T_DEVICE("grid", grid);
    T_INT("block", block);
    T(cudaOccupancyMaxPotentialBlockSizeVariableSMem(&grid, &block, k, need, 0));
    T_DEVICE("grid", grid);
    T_INT("block", block);
    T(cudaOccupancyAvailableDynamicSMemPerBlock(&bytes, k, 2, 128));
    T_DEVICE("bytes", bytes);
    T(cudaOccupancyAvailableDynamicSMemPerBlock(&bytes, k, 100, 128));
    cfg.gridDim = dim3(32);
    cfg.blockDim = dim3(128);
    cfg.attrs = &a;
    cfg.numAttrs = 1;
    a.id = cudaLaunchAttributeClusterDimension;
    a.val.clusterDim.x = 2;
    a.val.clusterDim.y = a.val.clusterDim.z = 1;
    T(cudaOccupancyMaxPotentialClusterSize(&n, k, &cfg));
    T_DEVICE("size", n);
    T(cudaOccupancyMaxActiveClusters(&n, k, &cfg));
    T_DEVICE("clusters", n);
    T(cudaFuncSetAttribute(f, cudaFuncAttributeMaxDynamicSharedMemorySize, 100000));
    T(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, 256, 100000));
    T_DEVICE("blocks", n);
    T(cudaGetLastError());
    return 0;
}
