/* SPDX-License-Identifier: MIT */
/*
 * launch.c - <<<...>>>, explicit launches, attributes of kernels, occupancy.
 */
#include "rt.h"

#include <string.h>

#define PUSHED_MAX 16

/* dim3 by value is two words: x and y in one, z in the next. The functions that nvcc's code calls
 * take them as such, because the short way is to have as few instructions as possible. */
struct config {
    uint64_t grid_xy, block_xy;
    uint32_t grid_z, block_z;
    size_t smem;
    void *stream;
};

static __thread struct {
    struct config *next; /* NULL: none pushed yet by this thread */
    struct config v[PUSHED_MAX];
} pushed __attribute__((tls_model("initial-exec")));

RT_API unsigned __cudaPushCallConfiguration(uint64_t grid_xy, uint32_t grid_z, uint64_t block_xy,
                                            uint32_t block_z, size_t smem, void *stream)
{
    struct config *c = pushed.next;

    if (__builtin_expect(!c, 0))
        c = pushed.v;
    if (__builtin_expect(c == pushed.v + PUSHED_MAX, 0))
        return 1; /* the caller then skips the launch */
    c->grid_xy = grid_xy;
    c->grid_z = grid_z;
    c->block_xy = block_xy;
    c->block_z = block_z;
    c->smem = smem;
    c->stream = stream;
    pushed.next = c + 1;
    return 0;
}

RT_API cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *smem, void *stream)
{
    struct config *c = pushed.next;

    if (__builtin_expect((uintptr_t)c <= (uintptr_t)pushed.v, 0))
        return rt_done(cudaErrorMissingConfiguration);
    pushed.next = --c;
    memcpy(&grid->x, &c->grid_xy, sizeof(c->grid_xy));
    grid->z = c->grid_z;
    memcpy(&block->x, &c->block_xy, sizeof(c->block_xy));
    block->z = c->block_z;
    *smem = c->smem;
    *(void **)stream = c->stream;
    return cudaSuccess;
}

static inline int launch(struct rt_func *r, dim3 grid, dim3 block, void **args, size_t smem,
                         cudaStream_t stream, uint32_t flags)
{
    struct gvm_launch l = {
        .grid = {grid.x, grid.y, grid.z},
        .block = {block.x, block.y, block.z},
        .shmem = (uint32_t)smem,
        .flags = flags,
        .stream = rt_stream(stream),
        .params = args,
    };

    return rt_launch(r, &l);
}

/* What the short way does not settle: the first launch, another shape, errors. */
int rt_launch_other(struct gvm_launcher *k, uint64_t grid_xy, uint32_t grid_z, uint64_t block_xy,
                    uint32_t block_z, void **params, size_t shmem, uint64_t stream)
{
    struct rt_func *r = (struct rt_func *)k; /* its first member */
    struct gvm_launch l = {
        .grid = {(uint32_t)grid_xy, (uint32_t)(grid_xy >> 32), grid_z},
        .block = {(uint32_t)block_xy, (uint32_t)(block_xy >> 32), block_z},
        .shmem = (uint32_t)shmem,
        .stream = stream,
        .params = params,
    };
    /* As natively, only the low 32 bits of the size count. */
    int err = rt_launch(r, &l);

    if (!err)
        __atomic_store_n(&k->shape, gvm_func_shape(r->f), __ATOMIC_RELEASE);
    return rt_done(err);
}

RT_API cudaError_t __cudaLaunchKernel(struct gvm_launcher *k, uint64_t grid_xy, uint32_t grid_z,
                                      uint64_t block_xy, uint32_t block_z, void **args, size_t smem,
                                      uint64_t stream)
{
    if (__builtin_expect(!k, 0))
        return rt_done(98);
    return gvm_launch_again(k, grid_xy, grid_z, block_xy, block_z, args, smem, stream);
}

RT_API cudaError_t __cudaLaunchKernel_ptsz(struct gvm_launcher *k, uint64_t grid_xy,
                                           uint32_t grid_z, uint64_t block_xy, uint32_t block_z,
                                           void **args, size_t smem, uint64_t stream)
{
    return __cudaLaunchKernel(k, grid_xy, grid_z, block_xy, block_z, args, smem,
                              stream ? stream : GVM_STREAM_PER_THREAD);
}

static cudaError_t launch_sym(const void *func, dim3 grid, dim3 block, void **args, size_t smem,
                              cudaStream_t stream, uint32_t flags)
{
    struct rt_func *r = rt_func_find(func);
    struct gvm_launch l = {.grid = {grid.x, grid.y, grid.z},
                           .block = {block.x, block.y, block.z},
                           .shmem = (uint32_t)smem,
                           .flags = flags,
                           .stream = rt_stream(stream),
                           .params = args};
    struct gvm_func *f;

    if (__builtin_expect(r != NULL, 1))
        return rt_done(launch(r, grid, block, args, smem, stream, flags));
    f = gvm_func_find(func); /* a kernel of a library */
    return rt_done(!func ? 98 : !f ? 400 : gvm_launch(f, &l));
}

cudaError_t cudaLaunchKernel(const void *func, dim3 grid, dim3 block, void **args, size_t smem,
                             cudaStream_t stream)
{
    return launch_sym(func, grid, block, args, smem, stream, 0);
}

RT_API cudaError_t cudaLaunchKernel_ptsz(const void *func, dim3 grid, dim3 block, void **args,
                                         size_t smem, cudaStream_t stream)
{
    return launch_sym(func, grid, block, args, smem, rt_own(stream), 0);
}

cudaError_t cudaLaunchCooperativeKernel(const void *func, dim3 grid, dim3 block, void **args,
                                        size_t smem, cudaStream_t stream)
{
    return launch_sym(func, grid, block, args, smem, stream, 1);
}

RT_API cudaError_t cudaLaunchCooperativeKernel_ptsz(const void *func, dim3 grid, dim3 block,
                                                    void **args, size_t smem, cudaStream_t stream)
{
    return launch_sym(func, grid, block, args, smem, rt_own(stream), 1);
}

/* ---- kernels ----------------------------------------------------------------------------- */

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *out, const void *func)
{
    struct gvm_func *f;
    int32_t a[16];
    int err = out ? rt_func_of(func, &f) : 1;

    if (err == 0)
        err = gvm_func_attrs(f, a);
    if (err)
        return rt_done(err);
    memset(out, 0, sizeof(*out));
    out->maxThreadsPerBlock = a[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK];
    out->sharedSizeBytes = (size_t)a[CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES];
    out->constSizeBytes = (size_t)a[CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES];
    out->localSizeBytes = (size_t)a[CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES];
    out->numRegs = a[CU_FUNC_ATTRIBUTE_NUM_REGS];
    out->ptxVersion = a[CU_FUNC_ATTRIBUTE_PTX_VERSION];
    out->binaryVersion = a[CU_FUNC_ATTRIBUTE_BINARY_VERSION];
    out->cacheModeCA = a[CU_FUNC_ATTRIBUTE_CACHE_MODE_CA];
    out->maxDynamicSharedSizeBytes = a[CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES];
    out->preferredShmemCarveout = a[CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT];
    out->clusterDimMustBeSet = a[CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET];
    out->requiredClusterWidth = a[CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH];
    out->requiredClusterHeight = a[CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT];
    out->requiredClusterDepth = a[CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH];
    out->nonPortableClusterSizeAllowed = a[CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED];
    out->clusterSchedulingPolicyPreference =
        a[CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE];
    return cudaSuccess;
}

/* cudaFuncAttribute values are CUfunction_attribute values. */
cudaError_t cudaFuncSetAttribute(const void *func, enum cudaFuncAttribute attr, int value)
{
    struct gvm_func *f;
    int err = rt_func_of(func, &f);

    return rt_done(err ? err : gvm_func_set_attr(f, (int)attr, value));
}

/* A preference between L1 and shared memory: a hint. */
cudaError_t cudaFuncSetCacheConfig(const void *func, enum cudaFuncCache config)
{
    struct gvm_func *f;
    int err = rt_func_of(func, &f);

    return rt_done(err ? err : gvm_func_cache(f, config));
}

RT_API cudaError_t cudaFuncSetSharedMemConfig(const void *func, enum cudaSharedMemConfig config)
{
    struct gvm_func *f;

    return rt_done((unsigned)config > cudaSharedMemBankSizeEightByte ? 1 : rt_func_of(func, &f));
}

cudaError_t cudaFuncGetName(const char **name, const void *func)
{
    struct gvm_func *f;
    int err = name ? rt_func_of(func, &f) : 1;

    if (err == 0)
        *name = gvm_func_name(f);
    return rt_done(err);
}

cudaError_t cudaFuncGetParamInfo(const void *func, size_t i, size_t *offset, size_t *size)
{
    struct gvm_func *f;
    int err = offset ? rt_func_of(func, &f) : 1;

    return rt_done(err ? err : gvm_func_param(f, i, offset, size));
}

cudaError_t cudaGetFuncBySymbol(cudaFunction_t *out, const void *symbol)
{
    struct gvm_func *f;
    struct rt_func *r = rt_func_find(symbol);
    int err = r ? rt_func_get(r, &f) : 98;

    if (err == 0 && out)
        *out = (cudaFunction_t)f;
    return rt_done(err);
}

/* A CUkernel, as the driver API takes it too. */
cudaError_t cudaGetKernel(cudaKernel_t *out, const void *symbol)
{
    struct gvm_func *f;
    struct rt_func *r = rt_func_find(symbol);
    int err = !out ? 1 : r ? rt_func_get(r, &f) : 98;

    if (err == 0)
        *out = (cudaKernel_t)f;
    return rt_done(err);
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *func,
                                                                   int block, size_t shmem,
                                                                   unsigned flags)
{
    struct gvm_func *f;
    int err = rt_func_of(func, &f);

    /* Natively no last error stays behind. */
    return (cudaError_t)(err ? err : gvm_occupancy(f, block, shmem, flags, blocks));
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *func, int block,
                                                          size_t shmem)
{
    return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, func, block, shmem, 0);
}
