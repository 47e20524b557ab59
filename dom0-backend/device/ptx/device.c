/* SPDX-License-Identifier: MIT */
/* The software device: life cycle, limits, and the table of operations. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dom0-backend/common/log.h"
#include "dom0-backend/device/ptx/device_int.h"

#define MIN_WINDOW  (1ull << 33)
#define MAX_THREADS 256u
#define SPIN_NS     30000u
#define HOST_PAGE   4096u

/* Reserved for the device that will be opened next. */
static struct {
    uint64_t base, size;
    uint64_t pool;
} reserved;

void dev_fail(struct dev *d, int err, const char *what)
{
    int none = 0;

    if (!atomic_compare_exchange_strong(&d->sticky, &none, err))
        return;
    dev_stop(d);
    if (d->cfg.on_fault)
        d->cfg.on_fault(d->cfg.arg, err, what);
}

/* ---- life cycle -------------------------------------------------------------------------- */

static int swdev_reserve(unsigned attempt, size_t pool_size, void **pool_base)
{
    int err;

    if (reserved.size || !pool_size || pool_size % HOST_PAGE)
        return CUDA_ERROR_INVALID_VALUE;
    err = arena_window(attempt, pool_size > MIN_WINDOW / 2 ? pool_size * 2 : MIN_WINDOW,
                       &reserved.base, &reserved.size);
    if (err)
        return err;
    reserved.pool = reserved.base + reserved.size - pool_size;
    *pool_base = (void *)(uintptr_t)reserved.pool;
    return 0;
}

static int take_window(struct dev *d)
{
    if (reserved.size) {
        d->win_base = reserved.base;
        d->win_size = reserved.size;
    } else {
        int err = CUDA_ERROR_OUT_OF_MEMORY;

        for (unsigned i = 0; i < 16 && err; i++)
            err = arena_window(i, MIN_WINDOW, &d->win_base, &d->win_size);
        if (err)
            return err;
    }
    d->own_window = !reserved.size;
    return 0;
}

static bool select_device(const char *select)
{
    char uuid[48];
    const char *u = "GVM-software-dev";
    size_t at;

    if (!select || !*select || strcmp(select, "0") == 0)
        return true;
    at = (size_t)snprintf(uuid, sizeof(uuid), "GPU-");
    for (unsigned i = 0; i < 16; i++)
        at += (size_t)snprintf(uuid + at, sizeof(uuid) - at, "%s%02x",
                               i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", (unsigned)u[i]);
    if (strcmp(select, uuid) == 0)
        return true;
    log_error("device %s does not exist: the software device is 0 or %s", select, uuid);
    return false;
}

static unsigned cpu_threads(unsigned want)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    if (!want)
        want = n > 0 ? (unsigned)n : 1;
    return want < MAX_THREADS ? want : MAX_THREADS;
}

static void swdev_close(struct dev *d)
{
    int none = 0;

    /* Nothing more is executed; functions of the worker in the queues still run. */
    atomic_compare_exchange_strong(&d->sticky, &none, CUDA_ERROR_DEINITIALIZED);
    dev_stop(d);
    streams_fini(d);
    crew_stop(&d->crew);
    pools_fini(d);
    while (d->modules)
        module_put(d, d->modules);
    output_deliver(d);
    output_fini(&d->out);
    objects_fini(&d->objects);
    arena_destroy(&d->arena);
    arena_window_free(d->win_base, d->win_size);
    if (!d->own_window)
        reserved.size = 0;
    signals_put();
    free(d);
}

static int swdev_open(const struct dev_config *cfg, struct dev **out)
{
    uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2;
    uint64_t mem, pool = (uint64_t)(uintptr_t)cfg->pool_base, device;
    struct dev *d;
    int err;

    if (!select_device(cfg->select))
        return CUDA_ERROR_INVALID_DEVICE;
    d = calloc(1, sizeof(*d));
    if (!d)
        return CUDA_ERROR_OUT_OF_MEMORY;
    d->cfg = *cfg;
    d->cfg.select = NULL;
    err = take_window(d);
    if (err) {
        free(d);
        return err;
    }
    if (pool && (pool < d->win_base || pool - d->win_base < ARENA_SLOT ||
                 pool - d->win_base > d->win_size || cfg->pool_size > d->win_size ||
                 pool - d->win_base > d->win_size - cfg->pool_size)) {
        log_error("pool window %#llx of %zu bytes is not the one that reserve() gave",
                  (unsigned long long)pool, cfg->pool_size);
        err = CUDA_ERROR_INVALID_VALUE;
        goto out_window;
    }
    /* Upper half: pool memory at its end, and room that keeps the two apart. */
    device = d->win_size / 2;
    if (pool && pool - d->win_base < device)
        device = (pool - d->win_base) & ~(ARENA_SLOT - 1);
    mem = cfg->mem_limit && cfg->mem_limit < host ? cfg->mem_limit : host;
    if (mem > device)
        mem = device;
    err = arena_create(&d->arena, d->win_base, d->win_size, device, mem);
    if (err)
        goto out_window;
    d->arena.quota = cfg->quota;
    d->arena.quota_arg = cfg->arg;
    d->mem.base = d->win_base;
    d->mem.mask = d->win_size - 1;
    d->nsm = cpu_threads(cfg->threads);
    d->limit[LIMIT_STACK] = 1024;
    d->limit[LIMIT_PRINTF] = 1 << 20;
    d->limit[LIMIT_HEAP] = 8 << 20;
    d->limit[LIMIT_CDP_PENDING] = 2048;
    d->limit[LIMIT_L2_FETCH] = 64;
    d->limit[LIMIT_SHARED] = PTX_MAX_SHARED;
    /* With one processor nothing happens while somebody spins. */
    d->spin_ns = cpu_threads(0) > 1 ? SPIN_NS : 0;
    err = target_setup();
    if (err)
        goto out_arena;
    device_describe(&d->inf, d->nsm, mem);
    err = jit_setup();
    if (!err)
        err = signals_get();
    if (err)
        goto out_arena;
    output_init(&d->out);
    objects_init(&d->objects);
    streams_init(d);
    pools_init(d);
    /* what is checked runs in one order: block after block */
    err = crew_start(&d->crew, ptx_check_get() ? 0 : d->nsm - 1);
    if (err) {
        swdev_close(d);
        return err;
    }
    *out = d;
    return 0;

out_arena:
    arena_destroy(&d->arena);
out_window:
    if (d->own_window)
        arena_window_free(d->win_base, d->win_size);
    free(d);
    return err;
}

/* Nothing to do: helpers exist, runners may be made under the filter. */
static void swdev_seal(struct dev *d)
{
}

static int swdev_fence_record(struct dev *d, unsigned i)
{
    d->fence[i] = stream_ticket(d);
    return 0;
}

static int swdev_fence_query(struct dev *d, unsigned i)
{
    int err = dev_sticky(d);

    return err ? err : stream_passed(d, d->fence[i]) ? 0 : CUDA_ERROR_NOT_READY;
}

static void swdev_info(struct dev *d, struct dev_info *out)
{
    *out = d->inf;
}

static void swdev_window(struct dev *d, uint64_t *base, uint64_t *size)
{
    *base = d->arena.base;
    *size = d->arena.size;
}

static int swdev_pool_add(struct dev *d, void *addr, size_t len)
{
    return arena_pool_add(&d->arena, (uint64_t)(uintptr_t)addr, len);
}

static void swdev_pool_drop(struct dev *d, void *addr, size_t len)
{
    arena_pool_drop(&d->arena, (uint64_t)(uintptr_t)addr, len);
}

/* ---- limits ------------------------------------------------------------------------------ */

/* Depth of waiting for children has been abolished; the others are about graphics. */
static bool supported(int limit)
{
    return limit == LIMIT_STACK || limit == LIMIT_PRINTF || limit == LIMIT_HEAP ||
           limit == LIMIT_CDP_PENDING || limit == LIMIT_L2_FETCH || limit == LIMIT_L2_PERSIST ||
           limit == LIMIT_SHARED || limit == LIMIT_CIG;
}

static int swdev_get_limit(struct dev *d, int limit, uint64_t *value)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    if (limit < 0 || limit >= NLIMIT)
        return CUDA_ERROR_INVALID_VALUE;
    if (!supported(limit))
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    *value = d->limit[limit];
    return 0;
}

static int swdev_set_limit(struct dev *d, int limit, uint64_t value)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    switch (limit) {
    case LIMIT_STACK:
        /* Kernels get the local memory their code declares; the figure is kept for queries. */
        if (value > 512 * 1024)
            return CUDA_ERROR_INVALID_VALUE;
        d->limit[limit] = (value + 15) & ~15ull;
        return 0;
    case LIMIT_PRINTF:
        if (d->printf_live || value > 1u << 30)
            return CUDA_ERROR_INVALID_VALUE;
        d->limit[limit] = value < PRINTF_MIN ? PRINTF_MIN : value;
        return 0;
    case LIMIT_HEAP:
        if (d->heap_live)
            return CUDA_ERROR_INVALID_VALUE;
        if (value > d->arena.limit)
            return CUDA_ERROR_OUT_OF_MEMORY;
        d->limit[limit] = value;
        return 0;
    case LIMIT_CDP_PENDING: /* launches of kernels by kernels; kept for queries */
        d->limit[limit] = value;
        return 0;
    case LIMIT_L2_PERSIST: /* there is no such cache: nothing can be set aside */
        return value ? CUDA_ERROR_INVALID_VALUE : 0;
    case LIMIT_SHARED:
    case LIMIT_CIG:
        return CUDA_ERROR_NOT_PERMITTED;
    case LIMIT_L2_FETCH: /* a hint */
        if (value > 128)
            return CUDA_ERROR_INVALID_VALUE;
        d->limit[limit] = value;
        return 0;
    default:
        return limit < 0 || limit >= NLIMIT ? CUDA_ERROR_INVALID_VALUE
                                            : CUDA_ERROR_UNSUPPORTED_LIMIT;
    }
}

const struct dev_ops dev_ptx_ops = {
    .name = "ptx",
    .reserve = swdev_reserve,
    .open = swdev_open,
    .seal = swdev_seal,
    .makes_code = swdev_makes_code,
    .close = swdev_close,
    .info = swdev_info,
    .window = swdev_window,
    .pool_add = swdev_pool_add,
    .pool_drop = swdev_pool_drop,
    .mem_alloc = swdev_mem_alloc,
    .mem_free = swdev_mem_free,
    .mem_info = swdev_mem_info,
    .mem_range = swdev_mem_range,
    .copy_h2d = swdev_copy_h2d,
    .copy_d2h = swdev_copy_d2h,
    .copy_d2d = swdev_copy_d2d,
    .fill = swdev_fill,
    .module_load = swdev_module_load,
    .module_ready = swdev_module_ready,
    .module_unload = swdev_module_unload,
    .module_nfunc = swdev_module_nfunc,
    .module_func = swdev_module_func,
    .module_global = swdev_module_global,
    .module_nglobal = swdev_module_nglobal,
    .module_global_name = swdev_module_global_name,
    .func_name = swdev_func_name,
    .func_nparam = swdev_func_nparam,
    .func_param = swdev_func_param,
    .func_info = swdev_func_info,
    .func_set_attr = swdev_func_set_attr,
    .occupancy = swdev_occupancy,
    .launch = swdev_launch,
    .stream_create = swdev_stream_create,
    .stream_destroy = swdev_stream_destroy,
    .stream_query = swdev_stream_query,
    .stream_sync = swdev_stream_sync,
    .stream_wait = swdev_stream_wait,
    .stream_host = swdev_stream_host,
    .stream_write32 = swdev_stream_write32,
    .ctx_sync = swdev_ctx_sync,
    .fence_record = swdev_fence_record,
    .fence_query = swdev_fence_query,
    .longest = swdev_longest,
    .event_create = swdev_event_create,
    .event_destroy = swdev_event_destroy,
    .channel_add = swdev_channel_add,
    .event_record = swdev_event_record,
    .event_record_write32 = swdev_event_record_write32,
    .event_query = swdev_event_query,
    .event_sync = swdev_event_sync,
    .event_elapsed = swdev_event_elapsed,
    .get_limit = swdev_get_limit,
    .set_limit = swdev_set_limit,
    .link = &swdev_link_ops,
    .copy = &swdev_copy_ops,
    .texture = &dev_ptx_texture_ops,
    .memory = &swdev_memory_ops,
    .share = &swdev_share_ops,
    .state = &swdev_state_ops,
    .graph = &dev_ptx_graph_ops,
};
