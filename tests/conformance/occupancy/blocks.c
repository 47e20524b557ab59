/* SPDX-License-Identifier: MIT */
/* covers: cuOccupancyMaxActiveBlocksPerMultiprocessor
 * cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags cuOccupancyAvailableDynamicSMemPerBlock
 * cuOccupancyMaxPotentialBlockSize cuOccupancyMaxPotentialBlockSizeWithFlags */
/* Occupancy by block size and shared memory, with a callback, and for arguments that cannot be. */
#include "module/driver.h"

static const char ptx[] =
    PTX_HEAD ".visible .entry plain()\n{\n  ret;\n}\n"
             ".visible .entry bounded()\n.maxntid 128, 1, 1\n{\n  ret;\n}\n"
             ".visible .entry tile()\n{\n  .shared .align 4 .b8 s[20000]; .reg .b32 %r<2>;\n"
             "  mov.u32 %r1, %tid.x; st.shared.u32 [s], %r1; ret;\n}\n";

static int asked;

static size_t CUDA_CB four_each(int block)
{
    asked++;
    return (size_t)block * 4;
}

static void blocks(CUfunction f, int block, size_t smem)
{
    int n = -1;

    printf("block %d shared %zu\n", block, smem);
    T(cuOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, block, smem));
    T_DEVICE("blocks", n);
}

static void potential(CUfunction f, CUoccupancyB2DSize fn, size_t smem, int limit)
{
    int grid = -1, block = -1;

    printf("shared %zu limit %d\n", smem, limit);
    T(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, fn, smem, limit));
    T_DEVICE("grid", grid);
    T_INT("block", block);
}

int main(void)
{
    static const int size[] = {1,   31,  32,  33,  64,  96,   128, 192,
                               256, 384, 512, 640, 768, 1000, 1024};
    CUmodule m;
    CUfunction plain, bounded, tile;
    int n, grid, block;
    size_t free_bytes;

    t_context();
    T_OK(cuModuleLoadData(&m, ptx));
    T_OK(cuModuleGetFunction(&plain, m, "plain"));
    T_OK(cuModuleGetFunction(&bounded, m, "bounded"));
    T_OK(cuModuleGetFunction(&tile, m, "tile"));
    for (unsigned i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
        blocks(plain, size[i], 0);
        blocks(tile, size[i], 0);
        blocks(plain, size[i], 10000);
    }
    blocks(bounded, 128, 0);
    blocks(bounded, 129, 0);
    blocks(plain, 32, 49152);
    blocks(plain, 32, 49153);
    blocks(plain, 32, 300000);
    T(cuFuncSetAttribute(plain, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 200000));
    blocks(plain, 32, 49153);
    blocks(plain, 32, 200000);
    blocks(plain, 1025, 0);
    blocks(plain, 0, 0);
    blocks(plain, -1, 0);
    blocks(NULL, 32, 0);
    T(cuOccupancyMaxActiveBlocksPerMultiprocessor(NULL, plain, 32, 0));
    T(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&n, plain, 32, 0, 0));
    T(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&n, plain, 32, 0, 1));
    T(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&n, plain, 32, 0, 2));
    potential(plain, NULL, 0, 0);
    potential(plain, NULL, 0, 100);
    potential(plain, NULL, 60000, 0);
    potential(plain, NULL, 300000, 0);
    potential(bounded, NULL, 0, 0);
    potential(tile, NULL, 0, 0);
    potential(tile, four_each, 0, 0);
    T_BOOL("asked", asked > 0);
    T(cuOccupancyMaxPotentialBlockSizeWithFlags(&grid, &block, plain, NULL, 0, 0, 1));
    T_INT("block", block);
    T(cuOccupancyMaxPotentialBlockSizeWithFlags(&grid, &block, plain, NULL, 0, 0, 4));
    T(cuOccupancyMaxPotentialBlockSize(NULL, &block, plain, NULL, 0, 0));
    T(cuOccupancyMaxPotentialBlockSize(&grid, NULL, plain, NULL, 0, 0));
    T(cuOccupancyMaxPotentialBlockSize(&grid, &block, NULL, NULL, 0, 0));
    for (int b = 1; b <= 64; b *= 2) {
        free_bytes = 1;
        printf("blocks %d\n", b);
        T(cuOccupancyAvailableDynamicSMemPerBlock(&free_bytes, plain, b, 32));
        T_DEVICE("bytes", free_bytes);
        T(cuOccupancyAvailableDynamicSMemPerBlock(&free_bytes, tile, b, 256));
        T_DEVICE("bytes", free_bytes);
    }
    T(cuOccupancyAvailableDynamicSMemPerBlock(&free_bytes, plain, 0, 32));
    T(cuOccupancyAvailableDynamicSMemPerBlock(&free_bytes, plain, 1, 0));
    T(cuOccupancyAvailableDynamicSMemPerBlock(&free_bytes, plain, 1, 2000));
    T(cuOccupancyAvailableDynamicSMemPerBlock(&free_bytes, NULL, 1, 32));
    return 0;
}
