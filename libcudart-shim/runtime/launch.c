/* SPDX-License-Identifier: MIT */
/*
 * launch.c - <<<...>>>, explicit launches, attributes of kernels, occupancy.
 */
#include "rt.h"

#include <string.h>

#define PUSHED_MAX 16

struct config {
    dim3 grid, block;
    size_t smem;
    cudaStream_t stream;
};

static __thread struct {
    uint32_t n;
    struct config v[PUSHED_MAX];
} pushed __attribute__((tls_model("initial-exec")));

RT_API unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t smem,
                                            struct CUstream_st *stream)
{
    if (pushed.n == PUSHED_MAX)
        return 1; /* the caller then skips the launch */
    pushed.v[pushed.n++] = (struct config){grid, block, smem, stream};
    return 0;
}

RT_API cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *smem, void *stream)
{
    const struct config *c;

    if (!pushed.n)
        return rt_done(cudaErrorMissingConfiguration);
    c = &pushed.v[--pushed.n];
    *grid = c->grid;
    *block = c->block;
    *smem = c->smem;
    *(cudaStream_t *)stream = c->stream;
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

RT_API cudaError_t __cudaLaunchKernel(cudaKernel_t k, dim3 grid, dim3 block, void **args,
                                      size_t smem, cudaStream_t stream)
{
    return rt_done(k ? launch((struct rt_func *)k, grid, block, args, smem, stream, 0) : 98);
}

RT_API cudaError_t __cudaLaunchKernel_ptsz(cudaKernel_t k, dim3 grid, dim3 block, void **args,
                                           size_t smem, cudaStream_t stream)
{
    return __cudaLaunchKernel(k, grid, block, args, smem, rt_own(stream));
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

    return rt_done(err ? err : gvm_occupancy(f, block, shmem, flags, blocks));
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *func, int block,
                                                          size_t shmem)
{
    return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, func, block, shmem, 0);
}
