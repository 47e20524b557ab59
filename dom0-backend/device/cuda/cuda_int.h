/* SPDX-License-Identifier: MIT */
/*
 * cuda_int.h - inside device/cuda: a real GPU through the driver's libcuda.so.1, which is opened at
 * run time so that the worker builds and starts without one.
 *
 * Every entry of the driver's is called with the device's primary context current; cudev_enter()
 * sees to it. Its result goes through cudev_rc(), which reports sticky errors once.
 */
#ifndef GVM_CUDA_INT_H
#define GVM_CUDA_INT_H

#include <cuda.h>
#include <pthread.h>
#include <stdatomic.h>

#include "dom0-backend/device/device.h"

struct cu_api {
#define X(name) __typeof__(&name) name;
#define Y       X
#include "cuda_api.def"
#undef X
#undef Y
};
extern struct cu_api cu;

/* cuda_park.c: dev_ops.park and unpark. */
int cudev_park(pid_t pid, uint32_t timeout_ms, const char **why);
int cudev_unpark(pid_t pid, const char **why);

/* Opens the driver's library and finds its functions. 0, or -1 with a line in why. */
int cuda_api_load(char *why, size_t n);

#define CUDEV_ALIGN    512u         /* of addresses, as cuMemAlloc's */
#define CUDEV_CHUNK    (2ull << 20) /* granularity of mappings; checked at open */
#define CUDEV_WINDOW   (1ull << 40) /* device window, octets of address space */
#define CUDEV_SLAB_MAX (1ull << 20) /* smaller allocations share a chunk */

struct cudev_mem;    /* cuda_mem.c */
struct cudev_output; /* cuda_output.c */
struct cudev_stage;  /* cuda_stage.c */
struct cudev_watch;  /* cuda_watch.c */

#define CUDEV_LANDING 65536u
#define CUDEV_LIMITS  3u /* CU_LIMIT_STACK_SIZE, PRINTF_FIFO_SIZE, MALLOC_HEAP_SIZE */
#define CUDEV_IDLE    16u

/* Streams that were destroyed and can be given out again (cuda_stream.c). */
struct cudev_idle {
    pthread_mutex_t lock;
    unsigned n;
    struct dev_stream *s[CUDEV_IDLE];
};

struct dev {
    struct dev_config cfg;
    CUdevice dev;
    CUcontext ctx;
    _Atomic int sticky;          /* CUresult, 0: none */
    _Atomic uint64_t busy_since; /* ns; 0: nothing is known to be under way */
    _Atomic uint64_t spin_ns;    /* cuda_sync.c */
    struct cudev_mem *mem;
    struct cudev_output *out;
    _Atomic bool prints; /* some module that was loaded may */
    /* Memory of pools was freed on streams: the driver takes it for free only when a call of its own
     * has waited. */
    _Atomic bool pool_frees;
    struct cudev_watch *watch;
    struct cudev_stage *stage; /* NULL: the driver may pin pool memory */
    struct cudev_idle idle;
    CUevent fence[DEV_FENCES];
    void *landing;  /* CUDEV_LANDING octets, pinned */
    CUstream clear; /* cuda_clear.c */
    void *zeros;    /* the same */
    struct {
        pthread_mutex_t lock;
        bool known[CUDEV_LIMITS];
        uint64_t first[CUDEV_LIMITS];   /* what a context has by itself */
        uint64_t charged[CUDEV_LIMITS]; /* octets of the guest's quota */
    } limits;
    struct {
        pthread_mutex_t lock;
        uint64_t bytes, charged; /* of variables of modules; octets of the guest's quota for them */
    } vars;
    struct dev_info info;
};

struct dev_stream {
    CUstream s;
    unsigned flags; /* as it was made with */
    int priority;
    bool altered; /* the guest has set attributes of it */
};

/* `e` carries the time and comes right before the counter's word, `after` right behind it: whoever
 * waits for both finds the word written. */
struct dev_event {
    CUevent e;
    CUevent after;
    bool split; /* recorded last with a word */
};

struct dev_func {
    CUfunction f;
    char *name;
    unsigned nparam;
    struct dev_param *param;
    uint32_t param_end;  /* octets of the flat buffer */
    _Atomic bool loaded; /* its code is on the device */
};

struct dev_module {
    CUmodule m;
    bool prints;
    uint64_t vars; /* octets of its variables */
    unsigned nfunc;
    struct dev_func *func;
};

static inline CUstream cudev_stream(const struct dev_stream *s)
{
    return s ? s->s : CU_STREAM_LEGACY;
}

/* Makes the context current in this thread. 0, or the sticky error. */
int cudev_enter(struct dev *d);
/* Result of a driver call: reports and keeps a sticky one. */
int cudev_rc(struct dev *d, CUresult rc, const char *what);

/* ---- cuda_sync.c: waits, as cuStreamSynchronize, cuEventSynchronize and cuCtxSynchronize */
int cudev_wait_stream(struct dev *d, CUstream s);
int cudev_wait_event(struct dev *d, CUevent e);
int cudev_wait_all(struct dev *d);
/* Whether all that was issued is complete. Waits for 50 us at the most. */
bool cudev_all_complete(struct dev *d);
/* dev_ops.idle */
bool cudev_idle(struct dev *d);
int cudev_fence_record(struct dev *d, unsigned i);
int cudev_fence_query(struct dev *d, unsigned i);
/* Work was issued; all of it was found complete; it was found not to be. */
void cudev_busy_begin(struct dev *d);
void cudev_busy_end(struct dev *d);
void cudev_busy_still(struct dev *d);

/* ---- cuda_mem.c: device memory in the window */
int cudev_mem_open(struct dev *d);
void cudev_mem_close(struct dev *d);
void cudev_window(struct dev *d, uint64_t *base, uint64_t *size);
int cudev_mem_alloc(struct dev *d, uint64_t bytes, uint64_t *dptr);
int cudev_mem_free(struct dev *d, uint64_t dptr);
int cudev_mem_info(struct dev *d, uint64_t *free_bytes, uint64_t *total_bytes);
int cudev_mem_range(struct dev *d, uint64_t dptr, uint64_t *base, uint64_t *size);
/* Takes `bytes` from the guest's quota, or gives them back. 0 or 2. For every other kind of device
 * memory: pools, physical memory, arrays. */
int cudev_charge(struct dev *d, uint64_t bytes);
/* The device's memory is short by what suspended processes of others come back to. */
bool cudev_overdrawn(struct dev *d);
void cudev_uncharge(struct dev *d, uint64_t bytes);

/* ---- cuda_clear.c: what the driver hands out is cleared before the guest sees it. 0 or a CUresult */
int cudev_clear_open(struct dev *d);
/* Mapped memory; complete on return. */
int cudev_clear(struct dev *d, uint64_t at, uint64_t bytes);
/* As the next step of a stream. */
int cudev_clear_on(struct dev *d, uint64_t at, uint64_t bytes, CUstream s);
/* Memory that is not mapped so far. */
int cudev_clear_physical(struct dev *d, CUmemGenericAllocationHandle h, uint64_t size);
/* `a`, or with `m` its levels. elem: octets of an element. */
int cudev_clear_array(struct dev *d, CUarray a, CUmipmappedArray m, uint32_t levels, uint64_t elem,
                      const CUDA_ARRAY3D_DESCRIPTOR *desc);

/* ---- cuda_prepare.c */
/* Makes the pages of shared memory that is about to be pinned, with several threads; harmless where
 * they are there, or cannot be made like that. */
void cudev_populate(void *addr, size_t len);
void cudev_prepare(struct dev *d, void *pool, uint32_t *counters, size_t n);

/* ---- cuda_image.c */
struct cudev_image {
    const void *data; /* what the driver may be given: ELF, a fatbin, or text with its NUL */
    size_t size;
    const void *parts; /* of a linked program: the objects' fatbins, each padded to 8; or NULL */
    size_t parts_size;
    void *own;
};
/* Sizes stated in the image held against its length. 0, 200 with one line in log, or 2. */
int cudev_image_check(const void *image, size_t n, struct cudev_image *out, char *log,
                      size_t log_n);
void cudev_image_drop(struct cudev_image *i);
/* ---- cuda_look.c */
struct cudev_look {
    bool prints;   /* kernels of the image may */
    uint64_t vars; /* octets of device memory for its variables, as far as is known */
};
/* major: of the device's compute capability. */
struct cudev_look cudev_look(const struct cudev_image *i, int major);

/* ---- cuda_vars.c */
/* Octets of the variables of a cubin or of PTX text; 0: it has none, or makes no sense. */
uint64_t cudev_vars(const void *p, size_t n);
/* Takes memory for variables from the guest's quota, or gives it back. 0 or 2. */
int cudev_vars_take(struct dev *d, uint64_t bytes);
void cudev_vars_give(struct dev *d, uint64_t bytes);

/* ---- more of cuda_image.c */
/* Whether it holds code for a device of that compute capability, so that nothing is compiled. */
bool cudev_image_ready(const struct cudev_image *i, int major, int minor);
/* Octets of the fatbin at the start of n; 0: not one, or cut off. */
size_t cudev_fatbin_size(const void *image, size_t n);

/* ---- cuda_module.c */
int cudev_module_load(struct dev *d, const void *image, size_t n, struct dev_module **out,
                      char *log, size_t log_n);
int cudev_module_unload(struct dev *d, struct dev_module *m);
/* A module made of a loaded one, as cudev_module_load() does; owns cm and what was taken for
 * look->vars. */
int cudev_module_of(struct dev *d, CUmodule cm, const struct cudev_look *look,
                    struct dev_module **out, char *log, size_t log_n);
unsigned cudev_module_nfunc(struct dev_module *m);
bool cudev_module_prints(struct dev_module *m);
bool cudev_module_ready(struct dev *d, const void *image, size_t n);
struct dev_func *cudev_module_func(struct dev_module *m, unsigned index);
int cudev_module_global(struct dev *d, struct dev_module *m, const char *name, uint64_t *dptr,
                        uint64_t *size);
unsigned cudev_module_nglobal(struct dev_module *m);
const char *cudev_module_global_name(struct dev_module *m, unsigned index);
/* What the driver has only listed is loaded at its first use: attributes and occupancy are asked of
 * loaded functions only. Enters the context. */
int cudev_func_load(struct dev *d, struct dev_func *f);
/* Before a launch: what cudev_stage_hold() is for, if the launch would load code. */
int cudev_func_ready(struct dev *d, struct dev_func *f);
const char *cudev_func_name(struct dev_func *f);
unsigned cudev_func_nparam(struct dev_func *f);
struct dev_param cudev_func_param(struct dev_func *f, unsigned index);
int cudev_func_info(struct dev *d, struct dev_func *f, struct dev_func_info *out);
int cudev_func_set_attr(struct dev *d, struct dev_func *f, int attr, int value);
int cudev_occupancy(struct dev *d, struct dev_func *f, int block, size_t shmem, unsigned flags,
                    int *blocks);
int cudev_launch(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                 struct dev_stream *s);

/* ---- cuda_link.c */
extern const struct dev_link_ops cudev_link_ops;
/* cuModuleLoadDataEx(); joins the parts of a linked program whose binary is for another device. */
int cudev_image_load(struct dev *d, const struct cudev_image *i, unsigned nopt, CUjit_option *opt,
                     void **val, CUmodule *out);

/* ---- cuda_output.c: what the driver prints for kernels */
int cudev_output_open(struct dev *d);
/* Hands over everything that has been printed so far; after each call that waits. */
void cudev_output_drain(struct dev *d);

/* ---- cuda_watch.c: tells when a word was written by the GPU */
struct cudev_call;
/* A word to be stored, and who is to be told, by the CPU. */
struct cudev_store {
    uint32_t *where;
    uint32_t value;
    void (*done)(void *arg);
    void *arg;
};
int cudev_watch_open(struct dev *d);
int cudev_channel_add(struct dev *d, void *addr, size_t len);
/* Looks for words that have come and tells who waited. The number of those that have not. */
unsigned cudev_watch_look(struct dev *d);
/* Whether the GPU can write there; registers the page at its first use. */
bool cudev_watch_reach(struct dev *d, const uint32_t *where);
/* Calls done(arg) once *where has come to value, or the context has faulted. 0 or 2. */
int cudev_watch_add(struct dev *d, const uint32_t *where, uint32_t value, void (*done)(void *arg),
                    void *arg);
/* A call of fn(arg) to be made once: by the driver through cudev_call_run(), or because the context
 * has faulted. cancel: false if that has happened. */
struct cudev_call *cudev_call_new(struct dev *d, void (*fn)(void *arg), void *arg);
void CUDA_CB cudev_call_run(void *call);
bool cudev_call_cancel(struct cudev_call *c);

#endif
