/* SPDX-License-Identifier: MIT */
/*
 * core.h - what the two front doors (cu* in this folder, cuda* in ../runtime) share. Functions
 * return CUresult numbers; those declared GVM_API are exported to libcudart.so.13 under the version
 * GVM_PRIVATE and are no interface for anybody else.
 */
#ifndef GVM_CORE_H
#define GVM_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ranges.h"

#define GVM_API __attribute__((visibility("default")))

struct vgpu_device_info;
struct gvm_func;
struct gvm_module;

/* ---- streams: CUstream values ------------------------------------------------------------ */

#define GVM_STREAM_LEGACY     1u
#define GVM_STREAM_PER_THREAD 2u

/* ---- connection, device ------------------------------------------------------------------ */

/* Connects if needed; 0 or an error, sticky ones included. Makes no context current. */
GVM_API int gvm_init(void);
/* The same, but a sticky error is none here: the device itself can still be asked about. */
GVM_API int gvm_connected(void);
/* What the runtime does first in a call that initialises it, without a context: as gvm_connected();
 * a child forked after that is without CUDA. */
GVM_API int gvm_begin(void);
/* 0, or 3 in a forked child of a connected process, 4 during exit; never connects. */
GVM_API int gvm_alive(void);
/* The device's description, NULL with *err set. */
GVM_API const struct vgpu_device_info *gvm_device(int *err);
GVM_API int gvm_reset(void);
/* For the management library; makes no context current. Memory in octets: what the guest's processes
 * have together (mem_total - mem_free) and what this one has; times of the worker's clock. */
struct gvm_usage {
    uint64_t mem_free, mem_total, mem_own, busy_ns, now_ns;
};
GVM_API int gvm_usage(struct gvm_usage *u);
/* The calling thread's next latched error of a posted call; does not connect; 0: none. */
GVM_API int gvm_take_error(void);
/* The sticky error alone. */
GVM_API int gvm_sticky(void);
GVM_API int gvm_ctx_sync(void);
/* The same on the library's own account: whatever is being captured. */
int gvm_ctx_wait(void);
GVM_API int gvm_get_limit(int limit, uint64_t *value);
GVM_API int gvm_set_limit(int limit, uint64_t value);
/* Waits for everything, whatever state the context is in. */
void gvm_ctx_sync_all(void);
/* CUDA version of the driver there, at most what this library implements; connects not. */
GVM_API int gvm_driver_version(void);
/* "0000:01:00.0", also without domain or function. */
GVM_API bool gvm_pci_parse(const char *s, int v[4]);
/* 1: not of that form, 101: no such device. */
GVM_API int gvm_device_by_pci(const char *id, int *number);
/* The device's own functions behind both interfaces. */
GVM_API int gvm_p2p_attribute(const void *value, int attr, int a, int b);
GVM_API int gvm_host_atomics(unsigned *caps, const int *ops, unsigned count, int dev);
GVM_API int gvm_notify_register(int dev, const void *fn, void **handle);
GVM_API int gvm_flush_writes(int target, int scope);
GVM_API int gvm_notify_unregister(int dev, const void *handle);
/* Prints what kernels have printed, if the worker says that there is something. */
void gvm_output(void);
/* Whether a kernel of this process has printed anything yet. */
bool gvm_has_printed(void);

/* The context that what is made now belongs to: NULL for the primary one. */
void *gvm_owner(void);
/* A runtime (libcudart.so.13 or libcudart_static.a) is in this process. */
GVM_API void gvm_runtime_loaded(void);
/* True if a runtime has been initialised in this process or the one it was forked from. */
GVM_API bool gvm_runtime_used(void);
/* Makes the primary context current for this thread unless a context is: what the runtime does in
 * all calls that need one, here and in gvm_need(). */
GVM_API int gvm_context(void);
/* Makes the primary context of the device current (cudaSetDevice), or only makes it. */
GVM_API int gvm_use_device(int number, bool current);
/* CU_CTX_* flags of the primary context, as asked for. */
GVM_API unsigned gvm_primary_flags(void);
GVM_API int gvm_set_primary_flags(unsigned flags);
/* A preference between L1 and shared memory: kept, told again, without effect on results. */
GVM_API int gvm_cache_config(int set); /* -1: only tell */

/* ---- memory ------------------------------------------------------------------------------ */

GVM_API int gvm_mem_alloc(uint64_t bytes, uint64_t *dptr);
/* The same whatever is being captured. */
int gvm_mem_alloc_now(uint64_t bytes, uint64_t *dptr);
GVM_API int gvm_mem_free(uint64_t dptr);
/* Memory that a graph has allocated: 0, 1: it is not allocated now; -1: it is none of those. */
int gvm_graph_mem_free(uint64_t dptr);
GVM_API int gvm_mem_info(uint64_t *free_bytes, uint64_t *total);
/* flags: CU_MEMHOSTALLOC_*, kept for gvm_find. kind: GVM_PINNED or GVM_MANAGED. */
GVM_API int gvm_host_alloc(size_t bytes, uint32_t flags, enum gvm_kind kind, void **p);
GVM_API int gvm_host_free(void *p);
/* What holds `addr`; kind GVM_HOST if nothing of ours does. */
GVM_API void gvm_find(uint64_t addr, struct gvm_range *out);
/* [addr, addr + n) lies in the range that gvm_find() gave for addr, or, from a mapping on, in
 * mappings that touch. */
bool gvm_fits(const struct gvm_range *g, uint64_t addr, uint64_t n);
/* Gives back what a range stands for, whatever its kind; it has been taken out of the map. */
void gvm_range_release(const struct gvm_range *g);
/* Memory of the program's own, registered: copied through the pool as all pageable memory is. flags:
 * CU_MEMHOSTREGISTER_*. 712: overlaps what is registered; 713: not registered. */
GVM_API int gvm_host_register(void *p, size_t bytes, uint32_t flags);
GVM_API int gvm_host_unregister(void *p);
GVM_API bool gvm_host_registered(uint64_t addr, struct gvm_range *out);
void gvm_registered_reset(void);
/* Hints on managed memory; place: CUmemLocationType and id. */
GVM_API int gvm_mem_prefetch(uint64_t p, size_t n, int type, int id, uint64_t stream);
GVM_API int gvm_mem_advise(uint64_t p, size_t n, int advice, int type, int id);
GVM_API int gvm_mem_range_attribute(void *data, size_t size, int attr, uint64_t p, size_t n);
GVM_API int gvm_stream_attach(uint64_t stream, uint64_t p, size_t n, unsigned flags);
/* Device address of pinned memory; 801 when the device cannot reach it. */
GVM_API int gvm_host_device_pointer(void *host, uint64_t *dptr);

/* direction of a copy */
enum gvm_dir { GVM_H2H, GVM_H2D, GVM_D2H, GVM_D2D, GVM_ANY };

/* Copies n octets; GVM_ANY finds the direction from the addresses. sync: the semantics of
 * cuMemcpy*, else of cuMemcpy*Async. 1: an address does not fit the direction or the range. */
GVM_API int gvm_copy(uint64_t dst, uint64_t src, size_t n, enum gvm_dir dir, uint64_t stream,
                     bool sync);
/* width elements of `elem` octets, height rows. */
GVM_API int gvm_fill(uint64_t dst, size_t pitch, uint32_t value, unsigned elem, size_t width,
                     size_t height, uint64_t stream, bool sync);

/* ---- modules, kernels -------------------------------------------------------------------- */

/* A module of this image (fatbin, cubin or PTX), loaded now. The image is read, not kept. */
GVM_API int gvm_module_load(const void *image, struct gvm_module **m);
/* The same with CUjit_options and their values (image.h). */
GVM_API int gvm_module_load_options(const void *image, unsigned n, const int *opt, void **val,
                                    struct gvm_module **m);
GVM_API int gvm_module_unload(struct gvm_module *m);
/* Unloads all modules that a context has loaded. */
void gvm_modules_unload_owned(void *owner);
GVM_API bool gvm_module_valid(const struct gvm_module *m);
/* 500: no such name. */
GVM_API int gvm_module_func(struct gvm_module *m, const char *name, struct gvm_func **f);
GVM_API int gvm_module_global(struct gvm_module *m, const char *name, uint64_t *dptr,
                              uint64_t *size);
GVM_API unsigned gvm_module_nfunc(struct gvm_module *m);
GVM_API struct gvm_func *gvm_module_func_at(struct gvm_module *m, unsigned i);

/* The kernel with this address, which may be anything; NULL: there is none. */
GVM_API struct gvm_func *gvm_func_find(const void *p);

/* fn is called on a thread that has just made the primary context the runtime's. */
GVM_API void gvm_on_context(void (*fn)(void));

/* Libraries: code that belongs to no context. 400: no such library. */
struct gvm_library;
GVM_API int gvm_library_load(const void *code, unsigned n, const int *opt, void **val,
                             struct gvm_library **l);
/* One of at most `most` octets that can be loaded at once, before anything in it is asked for: 801 if
 * it is larger, or has to be compiled or linked. *size: its own. Fails without a word. */
GVM_API int gvm_library_ahead(const void *code, size_t most, size_t *size, struct gvm_library **l);
GVM_API int gvm_library_unload(struct gvm_library *l);
/* 400: no such library, or it went with its connection; or what is wrong with its code. */
GVM_API int gvm_library_module(struct gvm_library *l, struct gvm_module **m);
/* A whole file, with a NUL behind it, for free(). 301: there is none; 2. */
GVM_API int gvm_read_file(const char *path, void **data, size_t *n);

GVM_API bool gvm_func_valid(const struct gvm_func *f);
GVM_API const char *gvm_func_name(const struct gvm_func *f);
GVM_API struct gvm_module *gvm_func_module(const struct gvm_func *f);
/* CUfunction_attribute 0..15, cached. */
GVM_API int gvm_func_attrs(struct gvm_func *f, int32_t attr[16]);
GVM_API int gvm_func_set_attr(struct gvm_func *f, int attr, int value);
/* True if a flat buffer of n octets is more than the parameters and their padding need. */
GVM_API bool gvm_func_too_long(const struct gvm_func *f, size_t n);
/* cuFuncSetCacheConfig, cuFuncLoad, cuFuncIsLoaded */
GVM_API int gvm_func_cache(struct gvm_func *f, unsigned config);
GVM_API int gvm_func_load(struct gvm_func *f);
/* Has the worker load a kernel that is asked for by name, as cuModuleGetFunction() does: loading it
 * with its first launch would wait for kernels that run, and these may wait for it. */
GVM_API void gvm_func_ready(struct gvm_func *f);
GVM_API int gvm_func_loaded(struct gvm_func *f, uint32_t *state);
/* Offset and size of parameter i; 1: there is none. */
GVM_API int gvm_func_param(struct gvm_func *f, size_t i, size_t *offset, size_t *size);
GVM_API int gvm_occupancy(struct gvm_func *f, int block, size_t shmem, unsigned flags, int *blocks);

struct gvm_launch {
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t cluster[3]; /* 0: none */
    uint32_t shmem;
    uint32_t flags; /* 1: cooperative */
    uint64_t stream;
    void **params;      /* one pointer per parameter, or */
    const void *buffer; /* the flat buffer, buffer_len octets, if not NULL */
    size_t buffer_len;
};
/* 1: geometry outside the device's limits. */
GVM_API int gvm_launch(struct gvm_func *f, const struct gvm_launch *l);

/*
 * The same without attributes, for who launches the same kernel again and again: `shape` is what
 * gvm_func_shape() said after a launch that went well, gvm_no_shape before. dim3 by value is two
 * words: x and y in one, z in the next. Whatever is not as it was at that launch goes to `other`,
 * whose answer is returned.
 */
struct gvm_shape;
struct gvm_launcher {
    struct gvm_shape *shape; /* atomic */
    int (*other)(struct gvm_launcher *k, uint64_t grid_xy, uint32_t grid_z, uint64_t block_xy,
                 uint32_t block_z, void **params, size_t shmem, uint64_t stream);
};
GVM_API int gvm_launch_again(struct gvm_launcher *k, uint64_t grid_xy, uint32_t grid_z,
                             uint64_t block_xy, uint32_t block_z, void **params, size_t shmem,
                             uint64_t stream);
GVM_API struct gvm_shape *gvm_func_shape(struct gvm_func *f);

/* CUlaunchAttribute and cudaLaunchAttribute, which are laid out alike. */
struct gvm_attr {
    uint32_t id;
    uint32_t zero;
    uint8_t value[64];
};
/* gvm_launch() with attributes; what they say counts, not l->cluster and l->flags. */
GVM_API int gvm_launch_ex(struct gvm_func *f, const struct gvm_launch *l,
                          const struct gvm_attr *attr, unsigned n);
/* Clusters that fit on the device; largest: size of the largest one possible. */
GVM_API int gvm_clusters(struct gvm_func *f, const struct gvm_launch *l,
                         const struct gvm_attr *attr, unsigned n, bool largest, int *out);
GVM_API int gvm_shared_available(struct gvm_func *f, int blocks, int block, size_t *bytes);
/* The block size with the most threads on a multiprocessor, by asking for one after the other.
 * fn: dynamic shared memory of a block size; NULL: shmem for all. limit 0: none. */
GVM_API int gvm_best_block(struct gvm_func *f, size_t (*fn)(int), size_t shmem, int limit,
                           unsigned flags, int *grid, int *block);

/* CUstreamAttrValue. 1: no such attribute, or not such a value. */
GVM_API int gvm_stream_attr_get(uint64_t stream, int attr, void *value);
GVM_API int gvm_stream_attr_set(uint64_t stream, int attr, const void *value);
GVM_API int gvm_stream_attr_copy(uint64_t dst, uint64_t src);
GVM_API int gvm_reset_l2(void);

/* ---- streams, events --------------------------------------------------------------------- */

GVM_API int gvm_stream_create(uint32_t flags, int priority, uint64_t *stream);
GVM_API int gvm_stream_destroy(uint64_t stream);
GVM_API int gvm_stream_query(uint64_t stream);
GVM_API int gvm_stream_sync(uint64_t stream);
GVM_API int gvm_stream_wait(uint64_t stream, uint64_t event);
/* Nodes of a capture; 401 outside of one. */
GVM_API int gvm_stream_wait_external(uint64_t stream, uint64_t event);
GVM_API int gvm_event_record_external(uint64_t event, uint64_t stream);
GVM_API int gvm_stream_flags(uint64_t stream, uint32_t *flags);
/* The same for the program, which may not ask a stream that captures. */
GVM_API int gvm_stream_get_flags(uint64_t stream, uint32_t *flags);
GVM_API int gvm_stream_priority(uint64_t stream, int *priority);
GVM_API int gvm_stream_id(uint64_t stream, uint64_t *id);

GVM_API int gvm_event_create(uint32_t flags, uint64_t *event);
GVM_API int gvm_event_destroy(uint64_t event);
GVM_API int gvm_event_record(uint64_t event, uint64_t stream);
GVM_API int gvm_event_query(uint64_t event);
GVM_API int gvm_event_sync(uint64_t event);
GVM_API int gvm_event_elapsed(uint64_t start, uint64_t end, float *ms);

/* ---- functions of the program in a stream ------------------------------------------------- */

/* True in a function of the program where CUDA calls are not permitted (800). */
GVM_API bool gvm_barred(void);
GVM_API int gvm_launch_host(uint64_t stream, void (*fn)(void *arg), void *arg);
/* `told` is the stream as the callback gets it. */
GVM_API int gvm_add_callback(uint64_t stream, uint64_t told,
                             void (*fn)(void *stream, int status, void *arg), void *arg,
                             unsigned flags);

/* ---- logging for the runtime ------------------------------------------------------------- */

GVM_API void gvm_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
GVM_API int gvm_refused(const char *name, uint32_t *flag);

struct gvm_error;
GVM_API const struct gvm_error *gvm_error_info(int number);
/* Looks a driver function up by its base name. status (may be NULL): CU_GET_PROC_ADDRESS_*. 0 with
 * *fn NULL if it is not found and status is taken, else 500; 1: version is newer than this driver. */
GVM_API int gvm_proc(const char *name, int version, bool per_thread, void **fn, int *status);

#endif
