/* SPDX-License-Identifier: MIT */
/*
 * cuda_device.c - opening a GPU, what is known of it, errors, limits.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda_int.h"
#include "cuda_stage.h"
#include "dom0-backend/common/clock.h"
#include "dom0-backend/common/log.h"

int cudev_enter(struct dev *d)
{
    static __thread struct dev *current;
    int err = atomic_load_explicit(&d->sticky, memory_order_relaxed);

    if (__builtin_expect(err, 0))
        return err;
    if (__builtin_expect(current != d, 0)) {
        err = (int)cu.cuCtxSetCurrent(d->ctx);
        if (err)
            return err;
        current = d;
    }
    return 0;
}

/* Errors that leave the context unusable (cuda.h: "the process must be terminated"). */
static bool is_sticky(int rc)
{
    switch (rc) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_TENSOR_MEMORY_LEAK:
    case CUDA_ERROR_EXTERNAL_DEVICE:
    case CUDA_ERROR_CONTAINED:
        return true;
    default:
        return false;
    }
}

int cudev_rc(struct dev *d, CUresult rc, const char *what)
{
    const char *name = NULL;
    char line[128];
    int none = 0;

    if (__builtin_expect(rc == CUDA_SUCCESS, 1) || !is_sticky((int)rc))
        return (int)rc;
    if (atomic_compare_exchange_strong(&d->sticky, &none, (int)rc)) {
        /* What a failed assertion printed belongs before the error that it causes. */
        cudev_output_drain(d);
        cu.cuGetErrorName(rc, &name);
        snprintf(line, sizeof(line), "%s, reported by %s", name ? name : "unknown error", what);
        if (d->cfg.on_fault)
            d->cfg.on_fault(d->cfg.arg, (int)rc, line);
    }
    return (int)rc;
}

static void uuid_text(const CUuuid *u, char out[48])
{
    const unsigned char *b = (const unsigned char *)u->bytes;

    snprintf(out, 48, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

/* By index or UUID. 0 or CUDA_ERROR_INVALID_DEVICE after a line that names the value. */
static int choose(const char *select, CUdevice *out)
{
    int n = 0;
    char *end;

    cu.cuDeviceGetCount(&n);
    if (!select || !*select)
        select = "0";
    if (strncmp(select, "GPU-", 4) == 0) {
        for (int i = 0; i < n; i++) {
            char text[48];
            CUuuid u;

            if (cu.cuDeviceGet(out, i) == CUDA_SUCCESS &&
                cu.cuDeviceGetUuid_v2(&u, *out) == CUDA_SUCCESS) {
                uuid_text(&u, text);
                if (strcasecmp(text, select) == 0)
                    return 0;
            }
        }
        log_error("device=%s: none of the %d GPUs here has that UUID (nvidia-smi -L)", select, n);
        return CUDA_ERROR_INVALID_DEVICE;
    }
    long i = strtol(select, &end, 10);

    if (*end || end == select || i < 0 || i >= n) {
        log_error("device=%s: allowed is an index from 0 to %d or a UUID (nvidia-smi -L)", select,
                  n - 1);
        return CUDA_ERROR_INVALID_DEVICE;
    }
    return (int)cu.cuDeviceGet(out, (int)i);
}

static void fill_info(struct dev *d)
{
    struct dev_info *in = &d->info;
    size_t total = 0;
    CUuuid u;

    cu.cuDeviceGetName(in->name, sizeof(in->name), d->dev);
    if (cu.cuDeviceGetUuid_v2(&u, d->dev) == CUDA_SUCCESS)
        memcpy(in->uuid, u.bytes, sizeof(in->uuid));
    cu.cuDeviceGetPCIBusId(in->pci_bus_id, sizeof(in->pci_bus_id), d->dev);
    cu.cuDeviceTotalMem_v2(&total, d->dev);
    in->total_mem = total;
    if (d->cfg.mem_limit && d->cfg.mem_limit < in->total_mem)
        in->total_mem = d->cfg.mem_limit;
    cu.cuDriverGetVersion(&in->driver_version);
    cu.cuCtxGetStreamPriorityRange(&in->prio_least, &in->prio_greatest);
    for (int i = 1; i < DEV_NATTR; i++) {
        int v = 0;

        if (i >= CU_DEVICE_ATTRIBUTE_MAX || cu.cuDeviceGetAttribute(&v, i, d->dev) != CUDA_SUCCESS)
            v = 0;
        in->attr[i] = v;
    }
}

static int cudev_count(void)
{
    char why[160];
    int n = 0;

    if (cuda_api_load(why, sizeof(why)) < 0 || cu.cuInit(0) != CUDA_SUCCESS ||
        cu.cuDeviceGetCount(&n) != CUDA_SUCCESS)
        return 0;
    return n;
}

/* The driver opens its compilers when it first needs them and may close them again: too late, once
 * nothing can be mapped executable. Ours are never closed. The names are the driver's documented
 * libraries; one that is not installed is reported by the call that needs it. A thread's function:
 * they take as long as a context, which is made meanwhile. */
static void *open_compilers(void *arg)
{
    static const char *const libraries[] = {"libnvidia-ptxjitcompiler.so.1", "libnvidia-nvvm.so.4"};

    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        if (!dlopen(libraries[i], RTLD_NOW | RTLD_NODELETE))
            log_debug("%s: %s", libraries[i], dlerror());
    }
    return NULL;
}

static void load_compilers(void)
{
    static const char warm[] = ".version 7.0\n.target sm_52\n.address_size 64\n"
                               ".visible .entry warm()\n{\nret;\n}\n";
    CUmodule m;

    if (cu.cuModuleLoadDataEx(&m, warm, 0, NULL, NULL) == CUDA_SUCCESS)
        cu.cuModuleUnload(m);
    else
        log_warn("the driver's PTX compiler cannot be loaded: guests' PTX will be refused");
}

/* Where the time of a cold start goes, at log level debug. */
static void step(uint64_t *since, const char *what)
{
    uint64_t now = now_ns();

    log_debug("%s: %.1f ms", what, (double)(now - *since) * 1e-6);
    *since = now;
}

static int cudev_open(const struct dev_config *cfg, struct dev **out)
{
    struct dev *d = calloc(1, sizeof(*d));
    uint64_t since;
    bool opening = false;
    pthread_t opener;
    char why[160];
    int err;

    if (!d)
        return CUDA_ERROR_OUT_OF_MEMORY;
    d->cfg = *cfg;
    since = now_ns();
    if (cuda_api_load(why, sizeof(why)) < 0) {
        log_error("%s", why);
        err = CUDA_ERROR_NO_DEVICE;
        goto out;
    }
    opening = pthread_create(&opener, NULL, open_compilers, NULL) == 0;
    if (!opening)
        open_compilers(NULL);
    err = (int)cu.cuInit(0);
    if (err) {
        log_error("cuInit: CUDA error %d: is the NVIDIA driver loaded, and /dev/nvidia* there?",
                  err);
        goto out;
    }
    step(&since, "driver's library, cuInit");
    err = choose(cfg->select, &d->dev);
    if (err)
        goto out;
    /* cuda_sync.c spins before it waits. */
    cu.cuDevicePrimaryCtxSetFlags_v2(d->dev, CU_CTX_SCHED_BLOCKING_SYNC);
    err = (int)cu.cuDevicePrimaryCtxRetain(&d->ctx, d->dev);
    if (!err)
        err = (int)cu.cuCtxSetCurrent(d->ctx);
    if (err) {
        log_error("the GPU's primary context cannot be made: CUDA error %d", err);
        goto out;
    }
    step(&since, "context");
    pthread_mutex_init(&d->idle.lock, NULL);
    pthread_mutex_init(&d->limits.lock, NULL);
    pthread_mutex_init(&d->vars.lock, NULL);
    if (cu.cuMemHostAlloc(&d->landing, CUDEV_LANDING, CU_MEMHOSTALLOC_PORTABLE) != CUDA_SUCCESS)
        d->landing = NULL; /* small copies back then take the long way */
    else
        memset(d->landing, 0, CUDEV_LANDING);
    fill_info(d);
    step(&since, "attributes");
    if (opening)
        pthread_join(opener, NULL);
    opening = false;
    step(&since, "compilers' libraries");
    load_compilers();
    step(&since, "first compilation");
    err = cudev_clear_open(d);
    if (!err)
        err = cudev_mem_open(d);
    if (!err)
        err = cudev_watch_open(d);
    if (!err && cudev_overdrawn(d)) {
        log_error("no memory of the GPU is left but what suspended guests come back to");
        err = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (!err)
        err = cudev_output_open(d);
    if (!err && cfg->no_pin)
        err = cudev_stage_open(d);
    step(&since, "memory, watching thread, output");
out:
    if (opening)
        pthread_join(opener, NULL);
    if (err)
        free(d);
    else
        *out = d;
    return err;
}

/* Nothing is left to do: open() has loaded what cannot be loaded behind the filter. */
static void cudev_seal(struct dev *d)
{
}

static void cudev_close(struct dev *d)
{
    /* The process ends with its device; the driver cleans up behind it. */
    cudev_mem_close(d);
}

static void cudev_info(struct dev *d, struct dev_info *out)
{
    *out = d->info;
    out->caps = d->cfg.no_pin ? 0 : DEV_CAP_POOL_DIRECT;
}

static int cudev_get_limit(struct dev *d, int limit, uint64_t *value)
{
    int err = cudev_enter(d);
    size_t v = 0;

    if (!err)
        err = cudev_rc(d, cu.cuCtxGetLimit(&v, (CUlimit)limit), "cuCtxGetLimit");
    *value = v;
    return err;
}

static int set_limit(struct dev *d, int limit, uint64_t value)
{
    int err;

    cudev_stage_hold(d);
    err = cudev_rc(d, cu.cuCtxSetLimit((CUlimit)limit, value), "cuCtxSetLimit");
    cudev_stage_release(d);
    return err;
}

/* Octets of device memory that the setting takes beyond a new context's own. */
static uint64_t cost_of(const struct dev *d, int limit, uint64_t value)
{
    uint64_t more = value > d->limits.first[limit] ? value - d->limits.first[limit] : 0, cost;
    uint64_t threads = 1;

    if (limit == CU_LIMIT_STACK_SIZE)
        threads = (uint64_t)d->info.attr[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT] *
                  (uint64_t)d->info.attr[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR];
    return __builtin_mul_overflow(more, threads, &cost) ? UINT64_MAX : cost;
}

/* Stack, printf buffer and heap are device memory that the guest asks for, as any other. */
static int cudev_set_limit(struct dev *d, int limit, uint64_t value)
{
    uint64_t cost, had;
    size_t first = 0;
    int err = cudev_enter(d);

    if (err || limit < 0 || limit >= (int)CUDEV_LIMITS)
        return err ? err : set_limit(d, limit, value);
    pthread_mutex_lock(&d->limits.lock);
    if (!d->limits.known[limit]) {
        err = cudev_rc(d, cu.cuCtxGetLimit(&first, (CUlimit)limit), "cuCtxGetLimit");
        d->limits.first[limit] = first;
        d->limits.known[limit] = !err;
    }
    had = d->limits.charged[limit];
    cost = cost_of(d, limit, value);
    if (!err && cost > had)
        err = cudev_charge(d, cost - had);
    if (err)
        goto out;
    err = set_limit(d, limit, value);
    if (err && cost > had)
        cudev_uncharge(d, cost - had);
    else if (!err && cost < had)
        cudev_uncharge(d, had - cost);
    if (!err)
        d->limits.charged[limit] = cost;
out:
    pthread_mutex_unlock(&d->limits.lock);
    return err;
}

/* ---- pool memory ------------------------------------------------------------------------- */

static int cudev_pool_add(struct dev *d, void *addr, size_t len)
{
    CUdeviceptr at = 0;
    int err = cudev_enter(d);

    /* Not pinned, the memory is good for copies, which cuda_stage.c makes. */
    if (err || d->cfg.no_pin)
        return err;
    cudev_populate(addr, len);
    err = (int)cu.cuMemHostRegister_v2(addr, len,
                                       CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_PORTABLE);
    if (!err)
        err = (int)cu.cuMemHostGetDevicePointer_v2(&at, addr, 0);
    if (!err && at != (CUdeviceptr)(uintptr_t)addr) {
        /* Never seen with unified addressing; kernels could not use guests' pointers then. */
        cu.cuMemHostUnregister(addr);
        err = CUDA_ERROR_NOT_SUPPORTED;
    }
    if (err)
        log_warn("pool memory cannot be registered with the driver: CUDA error %d", err);
    return err;
}

static void cudev_pool_drop(struct dev *d, void *addr, size_t len)
{
    cudev_stage_leave(d, addr, len);
    if (!d->cfg.no_pin && cudev_enter(d) == 0)
        cu.cuMemHostUnregister(addr);
}

#include "cuda_array.h"
#include "cuda_memory.h"
#include "cuda_stream.h"
#include "dom0-backend/device/device_graph.h"

const struct dev_ops dev_cuda_ops = {
    .name = "cuda",
    .park = cudev_park,
    .unpark = cudev_unpark,
    .bounded = true,
    .driver = true,
    .count = cudev_count,
    .open = cudev_open,
    .seal = cudev_seal,
    .close = cudev_close,
    .info = cudev_info,
    .window = cudev_window,
    .prepare = cudev_prepare,
    .pool_add = cudev_pool_add,
    .pool_drop = cudev_pool_drop,
    .mem_alloc = cudev_mem_alloc,
    .mem_free = cudev_mem_free,
    .mem_info = cudev_mem_info,
    .mem_range = cudev_mem_range,
    .copy_h2d = cudev_copy_h2d,
    .copy_in = cudev_copy_in,
    .copy_d2h = cudev_copy_d2h,
    .copy_d2d = cudev_copy_d2d,
    .fill = cudev_fill,
    .module_load = cudev_module_load,
    .module_unload = cudev_module_unload,
    .module_nfunc = cudev_module_nfunc,
    .module_func = cudev_module_func,
    .module_prints = cudev_module_prints,
    .module_ready = cudev_module_ready,
    .module_global = cudev_module_global,
    .module_nglobal = cudev_module_nglobal,
    .module_global_name = cudev_module_global_name,
    .func_name = cudev_func_name,
    .func_nparam = cudev_func_nparam,
    .func_param = cudev_func_param,
    .func_info = cudev_func_info,
    .func_set_attr = cudev_func_set_attr,
    .occupancy = cudev_occupancy,
    .launch = cudev_launch,
    .stream_create = cudev_stream_create,
    .stream_destroy = cudev_stream_destroy,
    .stream_query = cudev_stream_query,
    .stream_sync = cudev_stream_sync,
    .stream_wait = cudev_stream_wait,
    .stream_host = cudev_stream_host,
    .stream_write32 = cudev_stream_write32,
    .ctx_sync = cudev_ctx_sync,
    .channel_add = cudev_channel_add,
    .fence_record = cudev_fence_record,
    .fence_query = cudev_fence_query,
    .settle = cudev_settle,
    .idle = cudev_idle,
    .look = cudev_watch_look,
    .landing = cudev_landing,
    .event_create = cudev_event_create,
    .event_destroy = cudev_event_destroy,
    .event_record = cudev_event_record,
    .event_record_write32 = cudev_event_record_write32,
    .event_query = cudev_event_query,
    .event_sync = cudev_event_sync,
    .event_elapsed = cudev_event_elapsed,
    .get_limit = cudev_get_limit,
    .set_limit = cudev_set_limit,
    .memory = &dev_cuda_memory_ops,
    .share = &cudev_share_ops,
    .graph = &dev_cuda_graph_ops,
    .copy = &dev_cuda_copy_ops,
    .texture = &dev_cuda_texture_ops,
    .link = &cudev_link_ops,
};
