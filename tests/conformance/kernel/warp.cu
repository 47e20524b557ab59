/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchKernel cudaMemcpy */
/* What threads of a warp and of a block tell each other: shuffles, votes, matches, barriers. */
#include <cooperative_groups.h>
#include <cuda_runtime.h>

#include "transcript.h"

namespace cg = cooperative_groups;

__global__ void shuffles(int *out)
{
    int t = threadIdx.x, v = t * t + 1, *o = out + t * 16;
    long long w = (long long)v << 33 | t;

    o[0] = __shfl_sync(~0u, v, t / 2);
    o[1] = __shfl_up_sync(~0u, v, 3);
    o[2] = __shfl_down_sync(~0u, v, 5, 16);
    o[3] = __shfl_xor_sync(~0u, v, 9);
    o[4] = (int)(__shfl_sync(~0u, w, 31 - (t & 31)) >> 30);
    o[5] = __ballot_sync(~0u, t % 3 == 0);
    o[6] = __any_sync(~0u, t == 40) | __all_sync(~0u, t < 64) << 1;
    o[7] = __match_any_sync(~0u, t % 5);
    o[8] = 0;
    o[9] = __match_all_sync(~0u, t / 32, &o[8]);
    if (t % 2)
        o[10] = __ballot_sync(0xaaaaaaaau, t % 4 == 1);
    else
        o[10] = __shfl_sync(0x55555555u, v, 6);
    o[11] = __shfl_sync(~0u, v, t, 8);
    __syncwarp();
    o[12] = __activemask() == ~0u;
    asm("mov.u32 %0, %%laneid;" : "=r"(o[13]));
    o[14] = __popc(__ballot_sync(~0u, v & 1));
    o[15] = __double2int_rn(__shfl_xor_sync(~0u, (double)v, 1));
}

__global__ void barriers(int *out)
{
    int t = threadIdx.x, *o = out + t * 4;

    o[0] = __syncthreads_count(t % 3 == 0);
    o[1] = __syncthreads_and(t >= 0) | __syncthreads_or(t == 95) << 1;
    __shared__ int s[96];
    s[t] = t;
    if (t < 64) /* two warps meet at a barrier of their own */
        asm volatile("bar.sync 1, 64;" ::: "memory");
    o[2] = t < 64 ? s[t ^ 63] : -1;
    __syncthreads();
    o[3] = s[95 - t];
}

__global__ void groups(int *out)
{
    cg::thread_block block = cg::this_thread_block();
    auto tile = cg::tiled_partition<8>(block);
    int t = block.thread_rank(), *o = out + t * 8, v = t * 3;

    o[0] = tile.shfl(v, 2);
    o[1] = tile.meta_group_rank() * 100 + tile.thread_rank();
    o[2] = (int)tile.ballot(t % 3 == 1);
    for (int d = tile.size() / 2; d; d /= 2)
        v += tile.shfl_down(v, d);
    o[3] = tile.thread_rank() == 0 ? v : 0;
    tile.sync();
    o[4] = block.size() + block.group_index().x * 1000;
    o[5] = 0;
    if (t % 3 == 0) {
        auto some = cg::coalesced_threads();
        o[5] = some.size() * 100 + some.thread_rank();
    }
    block.sync();
    o[6] = tile.any(t == 17) + 2 * tile.all(t < 17);
    o[7] = 0;
}

int main(void)
{
    static int host[96 * 16];
    int *out;

    T_OK(cudaMalloc(&out, sizeof(host)));
    shuffles<<<1, 64>>>(out);
    T(cudaMemcpy(host, out, 64 * 16 * 4, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 16; i++) {
        int column[64];
        char name[24];

        for (int k = 0; k < 64; k++)
            column[k] = host[k * 16 + i];
        snprintf(name, sizeof(name), "shuffles %d", i);
        T_DIGEST(name, column, sizeof(column));
    }
    barriers<<<1, 96>>>(out);
    T(cudaMemcpy(host, out, 96 * 4 * 4, cudaMemcpyDeviceToHost));
    T_DIGEST("barriers", host, 96 * 4 * 4);
    groups<<<2, 64>>>(out);
    T(cudaMemcpy(host, out, 64 * 8 * 4, cudaMemcpyDeviceToHost));
    host[4] = 0; /* of either block */
    for (int i = 0; i < 64; i++)
        host[i * 8 + 4] %= 1000;
    T_DIGEST("groups", host, 64 * 8 * 4);
    return 0;
}
