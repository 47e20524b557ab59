/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/common/log.h"
#include "dom0-backend/device/ptx/device_int.h"

/* CUfunction_attribute */
enum {
    ATTR_MAX_THREADS,
    ATTR_SHARED,
    ATTR_CONST,
    ATTR_LOCAL,
    ATTR_REGS,
    ATTR_PTX_VERSION,
    ATTR_BINARY_VERSION,
    ATTR_CACHE_MODE_CA,
    ATTR_MAX_DYNAMIC_SHARED,
    ATTR_CARVEOUT,
    ATTR_CLUSTER_MUST_BE_SET,
    ATTR_CLUSTER_WIDTH,
    ATTR_CLUSTER_HEIGHT,
    ATTR_CLUSTER_DEPTH,
    ATTR_CLUSTER_NON_PORTABLE,
    ATTR_CLUSTER_SCHEDULING
};

const char *swdev_func_name(struct dev_func *f)
{
    return ptx_kernel_name(f->k);
}

unsigned swdev_func_nparam(struct dev_func *f)
{
    return ptx_kernel_nparam(f->k);
}

struct dev_param swdev_func_param(struct dev_func *f, unsigned index)
{
    struct dev_param p = {0, 0};

    if (index < ptx_kernel_nparam(f->k))
        ptx_kernel_param(f->k, index, &p.offset, &p.size);
    return p;
}

int swdev_func_info(struct dev *d, struct dev_func *f, struct dev_func_info *out)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    memset(out, 0, sizeof(*out));
    out->attr[ATTR_MAX_THREADS] = (int32_t)f->inf.maxntid;
    out->attr[ATTR_SHARED] = (int32_t)f->inf.shared_bytes;
    out->attr[ATTR_CONST] = (int32_t)f->inf.const_bytes;
    out->attr[ATTR_LOCAL] = (int32_t)f->inf.local_bytes;
    out->attr[ATTR_REGS] = (int32_t)f->inf.regs;
    out->attr[ATTR_PTX_VERSION] = (int32_t)f->inf.target;
    out->attr[ATTR_BINARY_VERSION] = (int32_t)ptx_target();
    out->attr[ATTR_MAX_DYNAMIC_SHARED] = f->max_dynamic;
    out->attr[ATTR_CARVEOUT] = f->carveout;
    return 0;
}

int swdev_func_set_attr(struct dev *d, struct dev_func *f, int attr, int value)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    switch (attr) {
    case ATTR_MAX_DYNAMIC_SHARED:
        if (value < 0 || (int64_t)value + f->inf.shared_bytes > PTX_MAX_SHARED)
            return CUDA_ERROR_INVALID_VALUE;
        f->max_dynamic = value;
        return 0;
    case ATTR_CARVEOUT: /* a hint; there is no L1 cache to divide */
        if (value < -1 || value > 100)
            return CUDA_ERROR_INVALID_VALUE;
        f->carveout = value;
        return 0;
    default:
        if (attr >= ATTR_CLUSTER_MUST_BE_SET && attr <= ATTR_CLUSTER_SCHEDULING)
            return CUDA_ERROR_NOT_SUPPORTED; /* CLUSTER_LAUNCH is reported as 0 */
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* ---- occupancy --------------------------------------------------------------------------- */

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* The rules of the CUDA occupancy calculator for compute capability 9.0. */
int func_blocks_per_sm(const struct dev_func *f, uint32_t threads, uint64_t dynamic)
{
    uint64_t shared = f->inf.shared_bytes + dynamic;
    int warps = (int)((threads + WARP - 1) / WARP);
    int regs = (int)((f->inf.regs * WARP + WARP_REG_UNIT - 1) / WARP_REG_UNIT * WARP_REG_UNIT);
    int n = SM_BLOCKS;

    n = min_int(n, SM_THREADS / WARP / warps);
    if (regs) /* registers belong to one of four partitions */
        n = min_int(n, SM_REGS / 4 / regs * 4 / warps);
    shared = (shared + SM_SHARED_RESERVE + 127) / 128 * 128;
    return min_int(n, (int)(SM_SHARED / shared));
}

int swdev_occupancy(struct dev *d, struct dev_func *f, int block, size_t shmem, unsigned flags,
                    int *blocks)
{
    int err = dev_sticky(d), most;

    if (err)
        return err;
    if (block <= 0 || flags & ~1u)
        return CUDA_ERROR_INVALID_VALUE;
    /* As the driver: .maxntid is not looked at, and 48 KiB need no opt-in. */
    *blocks = 0;
    most = f->max_dynamic + (int)f->inf.shared_bytes;
    if (most < BLOCK_SHARED)
        most = BLOCK_SHARED;
    if ((unsigned)block <= PTX_MAX_THREADS && shmem <= PTX_MAX_SHARED &&
        shmem + f->inf.shared_bytes <= (unsigned)most)
        *blocks = func_blocks_per_sm(f, (uint32_t)block, shmem);
    return 0;
}

/* ---- launch ------------------------------------------------------------------------------ */

/* Said once for each kernel. */
static int no_cluster(struct dev_func *f, const struct dev_launch *l)
{
    if (!atomic_exchange(&f->cluster_said, true))
        log_warn("kernel %s cannot be launched in clusters of %ux%ux%u blocks, CUDA error %d: "
                 "allowed are clusters of one block",
                 ptx_kernel_name(f->k), l->cluster[0], l->cluster[1], l->cluster[2],
                 CUDA_ERROR_NOT_SUPPORTED);
    return CUDA_ERROR_NOT_SUPPORTED;
}

static int check_launch(const struct dev *d, struct dev_func *f, const struct dev_launch *l)
{
    uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2];
    const uint32_t *req = f->inf.reqntid;
    int blocks;

    for (unsigned i = 0; i < 3; i++)
        if (!l->grid[i] || !l->block[i] || l->block[i] > PTX_MAX_THREADS)
            return CUDA_ERROR_INVALID_VALUE;
    if (l->grid[0] > MAX_GRID_X || l->grid[1] > MAX_GRID_YZ || l->grid[2] > MAX_GRID_YZ ||
        l->block[2] > MAX_BLOCK_Z || threads > f->inf.maxntid)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < 3; i++)
        if (l->cluster[i] > 1)
            return no_cluster(f, l);
    if (l->shmem > (uint32_t)f->max_dynamic)
        return CUDA_ERROR_INVALID_VALUE;
    if (req[0] && (l->block[0] != req[0] || l->block[1] != req[1] || l->block[2] != req[2]))
        return CUDA_ERROR_INVALID_VALUE;
    if (l->params_len < ptx_kernel_param_bytes(f->k) || l->params_len > DEV_MAX_PARAM_BYTES)
        return CUDA_ERROR_INVALID_VALUE;
    blocks = func_blocks_per_sm(f, (uint32_t)threads, l->shmem);
    if (!blocks)
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    if (l->cooperative &&
        (uint64_t)l->grid[0] * l->grid[1] * l->grid[2] > (uint64_t)blocks * d->nsm)
        return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
    return 0;
}

/* At its first launch; a failure is final, and said once. */
static int prepare(struct dev_func *f)
{
    int state = atomic_load(&f->prepared), none = 0;
    char log[256] = "";
    int err;

    if (state)
        return state > 0 ? 0 : -state;
    err = ptx_kernel_prepare(f->k, log, sizeof(log));
    if (atomic_compare_exchange_strong(&f->prepared, &none, err ? -err : 1) && err)
        log_warn("kernel %s cannot be executed, CUDA error %d: %s", ptx_kernel_name(f->k), err,
                 log);
    return err;
}

int launch_op(struct dev *d, struct dev_func *f, const struct dev_launch *l, struct op **out)
{
    struct op *op;
    int err = dev_sticky(d);

    if (!err)
        err = check_launch(d, f, l);
    if (!err)
        err = prepare(f);
    if (err)
        return err;
    op = calloc(1, sizeof(*op));
    if (!op)
        return CUDA_ERROR_OUT_OF_MEMORY;
    op->kind = OP_LAUNCH;
    op->launch.func = f;
    op->launch.params = malloc(l->params_len ? l->params_len : 1);
    if (!op->launch.params) {
        free(op);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memcpy(op->launch.params, l->params, l->params_len);
    memcpy(op->launch.l.grid, l->grid, sizeof(l->grid));
    memcpy(op->launch.l.block, l->block, sizeof(l->block));
    op->launch.l.shmem = l->shmem;
    op->launch.l.cooperative = l->cooperative;
    op->launch.l.params_len = l->params_len;
    pthread_mutex_lock(&d->lock);
    f->m->refs++;
    pthread_mutex_unlock(&d->lock);
    *out = op;
    return 0;
}

int swdev_launch(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                 struct dev_stream *s)
{
    struct op *op;
    int err = launch_op(d, f, l, &op);

    return err ? err : stream_push(stream_of(d, s), op);
}
