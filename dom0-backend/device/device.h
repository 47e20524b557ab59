/* SPDX-License-Identifier: MIT */
/*
 * device.h - the seam between a worker and the thing that executes CUDA work.
 *
 * Two implementations: device/ptx (software, always there) and device/cuda (a real GPU through a
 * dlopen'd libcuda.so.1). A worker owns exactly one open device for its whole life and serves one
 * guest process with it; there is one (primary) context in it.
 *
 * Conventions
 *  - Every operation returns a CUresult value (cuda.h numbering, 0 = success) as int.
 *  - Semantics are those of the driver API call named in the comment, unless stated otherwise.
 *  - Objects are opaque pointers made by the device; they are valid until destroyed. The worker
 *    translates the guest's ids into these pointers, so no number of the guest ever arrives here
 *    as a pointer. Device addresses (uint64_t) do come from the guest and must be checked.
 *  - `stream` NULL is the legacy default stream. The worker creates a blocking stream for each
 *    lane's per-thread default stream.
 *  - Host pointers are addresses in the worker. Asynchronous copies need the host range to stay
 *    valid until the stream has passed it; the worker guarantees that (pool memory, or a private
 *    buffer released by a host function on the same stream).
 *  - Operations may be called from several threads at once (the drain thread and lane threads).
 */
#ifndef GVM_DEVICE_H
#define GVM_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct dev;
struct dev_module;
struct dev_func;
struct dev_stream;
struct dev_event;
struct dev_copy_ops;
struct dev_memory_ops;
struct dev_share_ops;
struct dev_state_ops;
struct dev_texture_ops;
struct dev_graph_ops;
struct dev_link_ops;

#define DEV_MAX_PARAMS      4096 /* parameters of one kernel */
#define DEV_MAX_PARAM_BYTES 32764
#define DEV_FENCES          64
#define DEV_NATTR           256 /* CUdevice_attribute values 0..255 */

/* What cannot change while the device is open; sent to the guest once, at connect. */
struct dev_info {
    char name[256];         /* cuDeviceGetName */
    uint8_t uuid[16];       /* cuDeviceGetUuid */
    char pci_bus_id[32];    /* cuDeviceGetPCIBusId */
    uint64_t total_mem;     /* bytes, cuDeviceTotalMem */
    int32_t driver_version; /* cuDriverGetVersion: 1000 * major + 10 * minor */
    int32_t prio_least;     /* cuCtxGetStreamPriorityRange */
    int32_t prio_greatest;
    uint32_t caps;           /* DEV_CAP_* */
    int32_t attr[DEV_NATTR]; /* cuDeviceGetAttribute by attribute number; 0 when unknown */
};
#define DEV_CAP_POOL_DIRECT 1u /* kernels and copies reach pool memory at its own address */

/* Attributes of a kernel, CUfunction_attribute values 0..15 in order (cuFuncGetAttribute). */
#define DEV_NFUNC_ATTR 16
struct dev_func_info {
    int32_t attr[DEV_NFUNC_ATTR];
};

struct dev_param {
    uint32_t offset; /* in the parameter buffer */
    uint32_t size;   /* bytes */
};

struct dev_launch {
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t cluster[3]; /* 0 = no cluster */
    uint32_t shmem;      /* dynamic shared memory, bytes */
    bool cooperative;
    const void *params;  /* flat buffer laid out as func_param() says */
    uint32_t params_len; /* bytes; >= offset + size of the last parameter */
};

/* What the guest may have of device memory over all of its processes, beyond which nothing is given:
 * memory, arrays, what pools have reserved, heap, stack and printf buffer beyond their defaults. Any
 * thread, never waits; arg: dev_config.arg. */
struct dev_quota {
    bool (*take)(void *arg, uint64_t bytes); /* false: not to be had */
    void (*give)(void *arg, uint64_t bytes);
    uint64_t (*left)(void *arg); /* UINT64_MAX: no limit */
    /* Octets of the device's own that must stay free, whoever they are of. NULL: none. */
    uint64_t (*reserved)(void *arg);
};

struct dev_config {
    const char *select;            /* "0", "1", ... or "GPU-<uuid>"; NULL = first */
    uint64_t mem_limit;            /* what the device pretends to have, bytes; 0 = its own size */
    const struct dev_quota *quota; /* NULL: mem_limit is the only one */
    void *pool_base;  /* pool window: reserved (PROT_NONE) before open(), by reserve() or by */
    size_t pool_size; /*   the worker; pool chunks are mapped inside it */
    bool no_pin;      /* pool and channel are grant mappings that must not be pinned */
    unsigned threads; /* CPU threads the software device may use, 0 = all online CPUs */
    /* Called once, from any thread, when the context becomes unusable (sticky error `err`). */
    void (*on_fault)(void *arg, int err, const char *what);
    /* Text printed by kernels (device-side printf), for fd 1 or 2, in pieces of any length; called
     * from any thread, must not block for long. NULL: dropped. */
    void (*on_output)(void *arg, int fd, const char *text, size_t n);
    /* Memory that can be shared with another process: a descriptor of `bytes` (page multiple)
     * sealed against shrinking, the caller's to close, or -errno. May wait. NULL: none to be had. */
    int (*segment)(void *arg, uint64_t bytes);
    void *arg; /* of on_fault, on_output, segment and quota */
    /* Grows by the time that kernels execute, in nanoseconds (atomically); NULL: not wanted. */
    uint64_t *busy_ns;
    /* CLOCK_MONOTONIC at which what is under way, and not in *busy_ns yet, has begun; 0: nothing is.
     * NULL: not wanted. */
    uint64_t *busy_since;
};

struct dev_ops {
    const char *name; /* "ptx", "cuda" */
    /* A stream takes so much unfinished work and no more: then its operations wait. */
    bool bounded;
    bool driver; /* goes through a kernel driver's library: device nodes, ioctls */

    /* Optional: takes another process of ours off its device, its work having ended within
     * timeout_ms, and puts it back. In a process that has opened no device. CUresult; *why: one
     * line. A failed park() has changed nothing. */
    int (*park)(pid_t pid, uint32_t timeout_ms, const char **why);
    int (*unpark)(pid_t pid, const char **why);

    /* How many devices of this kind the machine has; 0, quietly, where there is no driver. */
    int (*count)(void);

    /* Optional (NULL: the worker reserves the pool window where it likes). For a device that wants
     * its memory and the pool in one window. Called once, before open(): reserves address space
     * (PROT_NONE) and sets *pool_base to `pool_size` octets of it, page aligned, which become the
     * pool window. attempt: 0..15, a different place for each, as the guest may have things at the
     * first ones. 2 (OUT_OF_MEMORY) when the place is taken in this process. */
    int (*reserve)(unsigned attempt, size_t pool_size, void **pool_base);

    /* Life cycle. open() makes the context; everything that needs files, threads that must exist
     * before the sandbox, or dlopen happens here. seal() is called once, right before the seccomp
     * filter goes on; afterwards only memory, futex and (cuda) the driver's ioctls are used. */
    int (*open)(const struct dev_config *cfg, struct dev **out);
    void (*seal)(struct dev *d);
    /* Whether it makes executable pages (written first, never both at once). NULL: it does not. */
    bool (*makes_code)(struct dev *d);
    void (*close)(struct dev *d);
    void (*info)(struct dev *d, struct dev_info *out);
    /* The range in which mem_alloc() returns addresses; the guest reserves it too. */
    void (*window)(struct dev *d, uint64_t *base, uint64_t *size);

    /* Optional: everything whose first use takes long, done once while nobody waits. pool: memory
     * that pool_add() has been told, at least 1 MiB, or NULL; counters: the channel's, `n` words, or
     * NULL. Both are as before when it returns. Failures show when it is done again. */
    void (*prepare)(struct dev *d, void *pool, uint32_t *counters, size_t n);

    /* Pool memory [addr, addr+len) has been mapped / is about to be unmapped (page multiples). */
    int (*pool_add)(struct dev *d, void *addr, size_t len);
    void (*pool_drop)(struct dev *d, void *addr, size_t len);

    /* Memory: cuMemAlloc, cuMemFree, cuMemGetInfo, cuMemGetAddressRange. */
    int (*mem_alloc)(struct dev *d, uint64_t bytes, uint64_t *dptr);
    int (*mem_free)(struct dev *d, uint64_t dptr);
    int (*mem_info)(struct dev *d, uint64_t *free_bytes, uint64_t *total_bytes);
    int (*mem_range)(struct dev *d, uint64_t dptr, uint64_t *base, uint64_t *size);

    /* Copies and fills, asynchronous in `s`. Device ranges are checked here (1 = INVALID_VALUE). */
    int (*copy_h2d)(struct dev *d, struct dev_stream *s, uint64_t dst, const void *src, size_t n);
    /* Optional: the same for at most 32 KiB, without waiting for the stream, and the source is free
     * when it returns. NULL: copy_h2d() from a buffer that is kept. */
    int (*copy_in)(struct dev *d, struct dev_stream *s, uint64_t dst, const void *src, size_t n);
    int (*copy_d2h)(struct dev *d, struct dev_stream *s, void *dst, uint64_t src, size_t n);
    int (*copy_d2d)(struct dev *d, struct dev_stream *s, uint64_t dst, uint64_t src, size_t n);
    /* width x height elements of `elem` (1, 2, 4) bytes, rows `pitch` bytes apart (height 1: 0). */
    int (*fill)(struct dev *d, struct dev_stream *s, uint64_t dst, size_t pitch, uint32_t value,
                unsigned elem, size_t width, size_t height);

    /* Modules. image: a fatbin, cubin or PTX text, `n` bytes, already a private copy. On failure
     * (200, 209, 218, 222...) a one-line reason is left in log[0..log_n). */
    int (*module_load)(struct dev *d, const void *image, size_t n, struct dev_module **out,
                       char *log, size_t log_n);
    int (*module_unload)(struct dev *d, struct dev_module *m);
    unsigned (*module_nfunc)(struct dev_module *m);
    struct dev_func *(*module_func)(struct dev_module *m, unsigned index);
    int (*module_global)(struct dev *d, struct dev_module *m, const char *name, uint64_t *dptr,
                         uint64_t *size); /* cuModuleGetGlobal; 500 = not found */
    /* Whether its kernels may print text that only a call which waits hands over; NULL: no. */
    bool (*module_prints)(struct dev_module *m);
    /* Whether an image can be loaded without a compiler, that is, at once. NULL: none can. */
    bool (*module_ready)(struct dev *d, const void *image, size_t n);
    unsigned (*module_nglobal)(struct dev_module *m);
    const char *(*module_global_name)(struct dev_module *m, unsigned index);

    /* Kernels. */
    const char *(*func_name)(struct dev_func *f);
    unsigned (*func_nparam)(struct dev_func *f);
    struct dev_param (*func_param)(struct dev_func *f, unsigned index);
    int (*func_info)(struct dev *d, struct dev_func *f, struct dev_func_info *out);
    int (*func_set_attr)(struct dev *d, struct dev_func *f, int attr, int value);
    /* cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags */
    int (*occupancy)(struct dev *d, struct dev_func *f, int block, size_t shmem, unsigned flags,
                     int *blocks);
    int (*launch)(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                  struct dev_stream *s);

    /* Streams: flags CU_STREAM_NON_BLOCKING = 1. query: 0 or 600 (NOT_READY). */
    int (*stream_create)(struct dev *d, unsigned flags, int priority, struct dev_stream **out);
    int (*stream_destroy)(struct dev *d, struct dev_stream *s);
    int (*stream_query)(struct dev *d, struct dev_stream *s);
    int (*stream_sync)(struct dev *d, struct dev_stream *s);
    int (*stream_wait)(struct dev *d, struct dev_stream *s, struct dev_event *e);
    /* Runs fn(arg) once everything before it in `s` is done; later work in `s` waits for it.
     * fn must not call the device. It runs even if the context has faulted. */
    int (*stream_host)(struct dev *d, struct dev_stream *s, void (*fn)(void *arg), void *arg);
    /* cuStreamWriteValue32: stores value at `where` (counter page of the channel) once everything
     * before it in `s` is done, then calls done(arg) if not NULL (any thread, must not block). */
    int (*stream_write32)(struct dev *d, struct dev_stream *s, uint32_t *where, uint32_t value,
                          void (*done)(void *arg), void *arg);
    int (*ctx_sync)(struct dev *d);
    /* Puts mark `i`, 0..DEV_FENCES - 1, behind everything that has been issued, in whatever stream, and
     * says whether it has passed: 600 (NOT_READY) if not; everything else counts as passed. Neither
     * waits. NULL: the device cannot say, and its time is not shared by leases. */
    int (*fence_record)(struct dev *d, unsigned i);
    int (*fence_query)(struct dev *d, unsigned i);
    /* For how long, in ns, the kernel has been executed that has been for the longest; 0: none is. Any
     * thread. NULL: the device cannot say. */
    uint64_t (*longest)(struct dev *d);
    /* Replies and counters of the channel (len octets, page aligned): 0 if copies and stream_write32
     * reach them without the CPU's help. NULL: they do not. */
    int (*channel_add)(struct dev *d, void *addr, size_t len);
    /* For work that queries have found complete: true if nothing is left to do; false if kernels may
     * have printed what only a call that waits hands over. NULL: true. */
    bool (*settle)(struct dev *d);
    /* Whether everything that was issued is complete, the device's own part of copies too: the worker is
     * about to be taken off (park). Behind the last call that issues something. NULL: state's. */
    bool (*idle)(struct dev *d);
    /* For a thread with nothing better to do: makes the calls of done() above that are due. The
     * number of those that are not. NULL: the device needs no help. */
    unsigned (*look)(struct dev *d);
    /* Memory of the worker's own that copies from the device reach without the CPU's help, at least
     * n octets, zeroed; there is one such area. NULL (also returned): the device has none. */
    void *(*landing)(struct dev *d, size_t n);

    /* Events: flags CU_EVENT_BLOCKING_SYNC 1, CU_EVENT_DISABLE_TIMING 2. */
    int (*event_create)(struct dev *d, unsigned flags, struct dev_event **out);
    int (*event_destroy)(struct dev *d, struct dev_event *e);
    int (*event_record)(struct dev *d, struct dev_event *e, struct dev_stream *s);
    /* event_record(), and when the event is reached stores value at `where` (counter page of the
     * channel) and then calls done(arg) (any thread, must not block). At the same instant for all
     * who look: whoever sees the value finds the event and everything before it in `s` complete,
     * and whoever finds the event complete, or work that waited for it, sees the value. */
    int (*event_record_write32)(struct dev *d, struct dev_event *e, struct dev_stream *s,
                                uint32_t *where, uint32_t value, void (*done)(void *arg),
                                void *arg);
    int (*event_query)(struct dev *d, struct dev_event *e);
    int (*event_sync)(struct dev *d, struct dev_event *e);
    int (*event_elapsed)(struct dev *d, struct dev_event *a, struct dev_event *b, float *ms);

    int (*get_limit)(struct dev *d, int limit, uint64_t *value); /* cuCtxGetLimit */
    int (*set_limit)(struct dev *d, int limit, uint64_t value);

    /* Families of calls, each in a header of its own. NULL: the device has none of it, and the
     * worker answers 801 (NOT_SUPPORTED). */
    const struct dev_copy_ops *copy;       /* device_copy.h: 2D and 3D copies, arrays, symbols */
    const struct dev_memory_ops *memory;   /* device_memory.h: pools, VMM */
    const struct dev_share_ops *share;     /* device_share.h: memory of other processes */
    const struct dev_state_ops *state;     /* device_state.h: saved and loaded */
    const struct dev_texture_ops *texture; /* device_texture.h: arrays, textures, surfaces */
    const struct dev_graph_ops *graph;     /* device_graph.h: capture and graphs */
    const struct dev_link_ops *link;       /* device_link.h: linker, kernels' launch attributes */
};

/* Implementations; NULL when the build or the host lacks what they need. */
extern const struct dev_ops dev_ptx_ops;
extern const struct dev_ops dev_cuda_ops;

#endif
