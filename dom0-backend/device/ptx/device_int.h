/* SPDX-License-Identifier: MIT */
/*
 * device_int.h - inside of the software device: what its files share.
 *
 * Threads. Work is queued on streams. A stream with work is served by one *runner*, a thread from
 * a cache that grows with the number of busy streams; it executes the stream's operations in
 * order. A kernel's CTAs are executed by its runner and by the *helpers*, as many as cfg.threads
 * leaves room for; because the runner always takes part, a kernel that waits for another one never
 * keeps that one from running. Runners and helpers may be created after the sandbox is on.
 *
 * Locks, in the order in which they are taken: dev.lock (streams, events, modules' references),
 * crew.lock (helpers), arena.pin, arena.lock, output.lock. None is held while a kernel, a copy or
 * a function of the worker runs, except arena.pin around host copies.
 */
#ifndef GVM_PTX_DEVICE_INT_H
#define GVM_PTX_DEVICE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "dom0-backend/device/device.h"
#include "dom0-backend/device/device_copy.h"
#include "dom0-backend/device/device_memory.h"
#include "dom0-backend/device/device_share.h"
#include "dom0-backend/device/device_state.h"
#include "dom0-backend/device/device_graph.h"
#include "dom0-backend/device/ptx/arena.h"
#include "dom0-backend/device/ptx/device_texture.h"
#include "dom0-backend/device/ptx/ptx.h"

/* The CUresult values that this device returns. */
enum {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_DEINITIALIZED = 4,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_INVALID_IMAGE = 200,
    CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
    CUDA_ERROR_UNSUPPORTED_LIMIT = 215,
    CUDA_ERROR_INVALID_PTX = 218,
    CUDA_ERROR_INVALID_SOURCE = 300,
    CUDA_ERROR_INVALID_HANDLE = 400,
    CUDA_ERROR_NOT_FOUND = 500,
    CUDA_ERROR_NOT_READY = 600,
    CUDA_ERROR_ILLEGAL_ADDRESS = 700,
    CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
    CUDA_ERROR_LAUNCH_TIMEOUT = 702,
    CUDA_ERROR_ASSERT = 710,
    CUDA_ERROR_LAUNCH_FAILED = 719,
    CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE = 720,
    CUDA_ERROR_NOT_PERMITTED = 800,
    CUDA_ERROR_NOT_SUPPORTED = 801,
};

/* Of the declared device, compute capability 9.0. */
#define SM_THREADS        2048
#define SM_BLOCKS         32
#define SM_REGS           PTX_SM_REGS
#define SM_SHARED         (228 * 1024)
#define SM_SHARED_RESERVE 1024 /* per block */
#define BLOCK_SHARED      (48 * 1024)
#define WARP              32
#define WARP_REG_UNIT     256
#define MAX_GRID_X        2147483647u
#define MAX_GRID_YZ       65535u
#define MAX_BLOCK_Z       64u

#define NLIMIT 10 /* CUlimit */
enum {
    LIMIT_STACK,
    LIMIT_PRINTF,
    LIMIT_HEAP,
    LIMIT_CDP_DEPTH,
    LIMIT_CDP_PENDING,
    LIMIT_L2_FETCH,
    LIMIT_L2_PERSIST,
    LIMIT_SHARED,
    LIMIT_CIG
};
#define PRINTF_MIN (512u << 10) /* smaller buffers are made as large as this */

/* ---- device_output.c: text of kernels ---------------------------------------------------- */

struct out_piece;
struct output {
    pthread_mutex_t lock;
    struct out_piece *head, **tail;
    size_t bytes;
    bool lost; /* said once */
};
void output_init(struct output *o);
void output_fini(struct output *o);
/* Keeps text until output_deliver(); beyond `limit` bytes the oldest goes, as on a GPU. */
void output_put(struct output *o, size_t limit, int fd, const char *text, size_t n);
void output_deliver(struct dev *d);

/* ---- device_crew.c: helpers -------------------------------------------------------------- */

struct crew_job {
    struct ptx_kernel *kernel;
    const struct ptx_launch *launch;
    uint64_t total, chunk; /* CTAs */
    _Atomic uint64_t next;
    unsigned helpers; /* at work on it; under crew.lock */
    int err;          /* first one; under crew.lock */
    struct ptx_fault fault;
    pthread_cond_t done;
    struct crew_job *link;
};
struct crew {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct crew_job *jobs;
    pthread_t *threads;
    unsigned nthread;
    bool quit;
};
int crew_start(struct crew *c, unsigned nthread);
void crew_stop(struct crew *c);
/* Executes the whole grid, with the calling thread (working state x) taking part. */
int crew_run(struct crew *c, struct crew_job *job, struct ptx_exec *x);

/* ---- device_thread.c: threads and signals ------------------------------------------------ */

/* A thread with all signals blocked but faults, with an alternate stack. 0 or 2. */
int thread_start(pthread_t *out, bool detached, void *(*fn)(void *), void *arg);
/* To be called first in such a thread, and last. */
void *thread_enter(void);
void thread_leave(void *stack);
/* Fault handler of the process, counted; keeps what was there for faults that are not ours. */
int signals_get(void);
void signals_put(void);

/* ---- streams and events ------------------------------------------------------------------ */

/* A point in a stream that an event stands for. */
struct mark {
    unsigned refs; /* under dev.lock, as all of it */
    bool done;
    uint64_t ns; /* CLOCK_MONOTONIC when passed */
};
void mark_put(struct mark *m);

struct dev_event {
    unsigned flags;
    struct mark *mark; /* of the latest record; NULL = never recorded */
};

enum op_kind {
    OP_COPY,
    OP_BOX,
    OP_FILL,
    OP_LAUNCH,
    OP_HOST,
    OP_WRITE,
    OP_MARK,
    OP_WAIT,
    OP_CALL,
    OP_MEM,
    OP_COND, /* in graphs only */
    OP_GRAPH
};

struct op {
    enum op_kind kind;
    struct op *next;
    uint64_t ticket; /* order in which operations were issued, over all streams */
    union {
        struct {
            uint64_t dst, src; /* device or host address */
            size_t n;
            bool dst_dev, src_dev;
        } copy;
        struct dev_copy *box; /* OP_BOX */
        struct {
            uint64_t dst;
            size_t pitch, width, height; /* width in elements */
            uint32_t value;
            unsigned elem;
        } fill;
        struct {
            struct dev_func *func;
            struct ptx_launch l;
            void *params;
        } launch;
        struct {
            void (*fn)(void *arg);
            void *arg;
            uint32_t *where; /* OP_WRITE, OP_MARK: may be NULL */
            uint32_t value;
        } host; /* OP_HOST, OP_WRITE, OP_MARK */
        struct {
            dev_call_fn *fn;
            void *arg;
        } call;
        struct {
            struct dev_mem_op *op;
            unsigned n;
        } mem;
        struct {
            uint64_t word; /* device memory in which the condition lies */
            unsigned type, nbody;
            uint32_t *total;
        } cond;
        struct graph_run *run; /* OP_GRAPH */
    };
    struct mark *mark; /* OP_MARK, OP_WAIT */
};

/* CUstreamAttrValue, as far as a stream keeps them; hints to a real device. Under dev.lock. */
struct stream_attrs {
    uint8_t window[32]; /* CUaccessPolicyWindow */
    int sync_policy;
    uint8_t domain_map[2];
    int domain;
};

struct dev_stream {
    struct dev *d;
    struct stream_attrs attrs;
    unsigned flags;
    int priority;
    bool dead;                      /* destroyed by its owner, freed when it is empty */
    bool scheduled;                 /* in the ready list or with a runner */
    struct op *head, **tail;        /* the head stays until it is complete */
    struct dev_stream *prev, *next; /* all streams */
    struct dev_stream *ready_next;
};

#define POOL_BUCKETS 1024u
struct pools {
    pthread_mutex_t lock; /* before arena.pin and arena.lock */
    struct dev_mempool *list, *def;
    struct block *bucket[POOL_BUCKETS]; /* blocks in use, by address */
};

struct dev {
    struct dev_config cfg;
    uint64_t fence[DEV_FENCES]; /* tickets */
    struct arena arena;
    uint64_t win_base, win_size;
    bool own_window;
    struct ptx_mem mem;
    struct dev_info inf;
    unsigned nsm;

    pthread_mutex_t busy_lock;
    unsigned busy;           /* launches being executed */
    uint64_t busy_since;     /* CLOCK_MONOTONIC, ns */
    struct running *running; /* each of them */

    pthread_mutex_t lock;
    pthread_cond_t moved; /* some stream has completed an operation */
    unsigned waiters;     /* on moved */
    struct dev_stream legacy;
    struct dev_stream *streams; /* all others */
    struct dev_stream *ready, **ready_tail;
    _Atomic unsigned nready;    /* written under lock */
    _Atomic unsigned steps;     /* operations completed, modulo 2^32 */
    struct dev_module *modules; /* all, under lock */
    uint64_t ticket;            /* of the latest operation */
    pthread_cond_t wake;        /* runners */
    pthread_cond_t gone;        /* a runner has ended */
    unsigned runners, idle, spinning;
    unsigned spin_ns;  /* looks for work that long before it sleeps */
    unsigned serving;  /* runners that will look for work again */
    unsigned touching; /* operations under way that use device memory */
    unsigned frozen;   /* no such operation starts */
    bool quit;

    struct pools pools;
    struct crew crew;
    struct objects objects;
    struct output out;
    _Atomic int sticky; /* CUresult that every later operation returns */
    int stop;           /* ends running kernels; dev_stop() sets it, dev_stopped() reads it */
    _Atomic uint64_t grid_id;
    _Atomic uint64_t limit[NLIMIT];
    _Atomic uint64_t heap_used;
    _Atomic bool heap_live, printf_live; /* used: the limit is fixed */
};

/* Makes the context unusable; only the first call counts. */
void dev_fail(struct dev *d, int err, const char *what);
static inline int dev_sticky(struct dev *d)
{
    return atomic_load_explicit(&d->sticky, memory_order_acquire);
}

static inline void dev_stop(struct dev *d)
{
    __atomic_store_n(&d->stop, 1, __ATOMIC_RELAXED);
}
static inline bool dev_stopped(const struct dev *d)
{
    return __atomic_load_n(&d->stop, __ATOMIC_RELAXED) != 0;
}

/* stream.c */
void streams_init(struct dev *d);
void streams_fini(struct dev *d);
static inline struct dev_stream *stream_of(struct dev *d, struct dev_stream *s)
{
    return s ? s : &d->legacy;
}
/* Appends op (allocated with calloc) to s. Takes op over, also on failure (2). */
int stream_push(struct dev_stream *s, struct op *op);
/* Waits for what has been issued: in s (the default stream: in all blocking streams too), or with
 * s NULL in all streams. Returns the sticky error or 0. */
int stream_drain(struct dev *d, struct dev_stream *s);
/* Returns when nothing touches device memory, and nothing does until stream_thaw(). What is under
 * way completes first, as for a free. The sticky error, or 0; then only stream_thaw() is needed. */
int stream_freeze(struct dev *d);
void stream_thaw(struct dev *d);
/* The ticket of the operation issued last, and whether all up to one are complete. */
uint64_t stream_ticket(struct dev *d);
bool stream_passed(struct dev *d, uint64_t upto);
/* Returns when some operation has completed since; called with dev.lock held, which it drops. */
void stream_wait_step(struct dev *d);
void op_free(struct dev *d, struct op *op);
/* stream_op.c: executes one operation on the calling thread. *x: its working state, made on demand. */
void op_run(struct dev *d, struct op *op, struct ptx_exec **x);

int swdev_stream_create(struct dev *d, unsigned flags, int priority, struct dev_stream **out);
int swdev_stream_destroy(struct dev *d, struct dev_stream *s);
int swdev_stream_query(struct dev *d, struct dev_stream *s);
int swdev_stream_sync(struct dev *d, struct dev_stream *s);
int swdev_stream_wait(struct dev *d, struct dev_stream *s, struct dev_event *e);
int swdev_stream_host(struct dev *d, struct dev_stream *s, void (*fn)(void *arg), void *arg);
int swdev_stream_write32(struct dev *d, struct dev_stream *s, uint32_t *where, uint32_t value,
                         void (*done)(void *arg), void *arg);
int swdev_channel_add(struct dev *d, void *addr, size_t len);
int swdev_ctx_sync(struct dev *d);

/* Waits for a step with dev.lock held; the device's own waits for marks. */
void stream_wait_moved(struct dev *d);

/* device_graph.c */
struct graph_run;
void graph_run(struct dev *d, struct graph_run *r, struct ptx_exec **x);
/* Call with dev.lock held. */
void graph_run_free(struct dev *d, struct graph_run *r);

/* memop.c */
int mem_op_make(struct dev *d, const struct dev_mem_op *ops, unsigned n, struct op **out);
void mem_op_run(struct dev *d, const struct op *op);
int swdev_stream_mem(struct dev *d, struct dev_stream *s, const struct dev_mem_op *ops, unsigned n);

/* call.c */
void call_run(struct dev *d, dev_call_fn *fn, void *arg);
uint64_t swdev_longest(struct dev *d);
int swdev_stream_call(struct dev *d, struct dev_stream *s, dev_call_fn *fn, void *arg);
void swdev_call_done(struct dev *d, struct dev_gate *g);

int swdev_event_create(struct dev *d, unsigned flags, struct dev_event **out);
int swdev_event_destroy(struct dev *d, struct dev_event *e);
int swdev_event_record(struct dev *d, struct dev_event *e, struct dev_stream *s);
int swdev_event_record_write32(struct dev *d, struct dev_event *e, struct dev_stream *s,
                               uint32_t *where, uint32_t value, void (*done)(void *arg), void *arg);
int swdev_event_query(struct dev *d, struct dev_event *e);
int swdev_event_sync(struct dev *d, struct dev_event *e);
int swdev_event_elapsed(struct dev *d, struct dev_event *a, struct dev_event *b, float *ms);

/* device_mem.c */
int swdev_mem_alloc(struct dev *d, uint64_t bytes, uint64_t *dptr);
int swdev_mem_free(struct dev *d, uint64_t dptr);
int swdev_mem_info(struct dev *d, uint64_t *free_bytes, uint64_t *total_bytes);
int swdev_mem_range(struct dev *d, uint64_t dptr, uint64_t *base, uint64_t *size);
int swdev_copy_h2d(struct dev *d, struct dev_stream *s, uint64_t dst, const void *src, size_t n);
int swdev_copy_d2h(struct dev *d, struct dev_stream *s, void *dst, uint64_t src, size_t n);
int swdev_copy_d2d(struct dev *d, struct dev_stream *s, uint64_t dst, uint64_t src, size_t n);
int swdev_fill(struct dev *d, struct dev_stream *s, uint64_t dst, size_t pitch, uint32_t value,
               unsigned elem, size_t width, size_t height);
/* device_pool.c */
void pools_init(struct dev *d);
void pools_fini(struct dev *d); /* with no thread left */
extern const struct dev_memory_ops swdev_memory_ops;
extern const struct dev_share_ops swdev_share_ops;
int swdev_pool_create_shared(struct dev *d, uint64_t max_size, struct dev_mempool **out);
int swdev_pool_export(struct dev *d, struct dev_mempool *p, struct dev_share *out);
int swdev_pool_import(struct dev *d, const struct dev_share *s, struct dev_mempool **out);
int swdev_ptr_export(struct dev *d, uint64_t dptr, struct dev_share *out);
int swdev_ptr_import(struct dev *d, struct dev_mempool *p, const struct dev_share *s,
                     uint64_t *dptr, uint64_t *size);
/* device_share.c: the allocation at addr, wherever it has to be put; *s describes it from meta[0] on:
 * length of what the descriptor has, offset, size. */
int share_allocation(struct dev *d, uint64_t addr, enum arena_kind kind, struct dev_share *out);
/* Maps it. *region: to be freed as ARENA_IMPORTED. */
int share_map(struct dev *d, const struct dev_share *s, uint64_t *region, uint64_t *dptr,
              uint64_t *size);

/* A saved device's pools, see device_state.h. */
const char *pools_unfit(struct dev *d);
void pools_trim(struct dev *d);
int pools_save(struct dev *d, struct dev_state *s);
int pools_load(struct dev *d, struct dev_state *s);
uint32_t pools_number(struct dev *d, struct dev_mempool *p);
struct dev_mempool *pools_at(struct dev *d, uint32_t number, bool is_default);

/* device_vmm.c */
int swdev_vmm_granularity(struct dev *d, uint64_t *minimum, uint64_t *recommended);
int swdev_vmm_reserve(struct dev *d, uint64_t size, uint64_t align, uint64_t fixed, uint64_t *ptr);
int swdev_vmm_unreserve(struct dev *d, uint64_t ptr, uint64_t size);
int swdev_vmm_create(struct dev *d, uint64_t size, struct dev_memory **out);
int swdev_vmm_release(struct dev *d, struct dev_memory *m);
int swdev_vmm_map(struct dev *d, uint64_t ptr, uint64_t size, uint64_t offset,
                  struct dev_memory *m);
int swdev_vmm_unmap(struct dev *d, uint64_t ptr, uint64_t size);
int swdev_vmm_access(struct dev *d, uint64_t ptr, uint64_t size, unsigned flags);

/* device_copy.c. box_check() turns both ends into linear memory, box_run() copies (and changes *c). */
extern const struct dev_copy_ops swdev_copy_ops;
int box_check(struct dev *d, struct dev_copy *c);
void box_run(struct dev *d, struct dev_copy *c);
/* Operations that are checked and made, but not issued; a fill of nothing is NULL. */
int launch_op(struct dev *d, struct dev_func *f, const struct dev_launch *l, struct op **out);
int fill_op(struct dev *d, uint64_t dst, size_t pitch, uint32_t value, unsigned elem, size_t width,
            size_t height, struct op **out);
int box_op(struct dev *d, const struct dev_copy *c, struct op **out);
/* Device-side malloc and free (struct ptx_launch). arg: struct dev. */
uint64_t heap_alloc(void *arg, uint64_t bytes);
void heap_free(void *arg, uint64_t addr);

/* ---- device_module.c -------------------------------------------------------------------------- */

struct dev_func {
    struct dev_module *m;
    struct ptx_kernel *k;
    struct ptx_kernel_info inf;
    int max_dynamic; /* dynamic shared memory allowed, bytes */
    int carveout;
    _Atomic int prepared; /* 0 not yet, 1 done, else -CUresult */
    _Atomic bool cluster_said;
};

struct dev_module {
    unsigned refs; /* under dev.lock: the handle, queued launches */
    struct dev_module *prev, *next;
    struct ptx_module *pm;
    unsigned nfunc;
    struct dev_func *func;
    unsigned nvar;
    uint64_t *var; /* addresses */
};

struct fatbin_texts;
/* ptx_module_link() of what an image held. */
int ptx_texts_link(const struct fatbin_texts *texts, bool complete, struct ptx_module **out,
                   char *log, size_t log_n);
/* Call with dev.lock held, or when nothing runs any more. */
void module_put(struct dev *d, struct dev_module *m);
bool swdev_module_ready(struct dev *d, const void *image, size_t n);
int swdev_module_load(struct dev *d, const void *image, size_t n, struct dev_module **out,
                      char *log, size_t log_n);
int swdev_module_unload(struct dev *d, struct dev_module *m);
unsigned swdev_module_nfunc(struct dev_module *m);
struct dev_func *swdev_module_func(struct dev_module *m, unsigned index);
int swdev_module_global(struct dev *d, struct dev_module *m, const char *name, uint64_t *dptr,
                        uint64_t *size);
unsigned swdev_module_nglobal(struct dev_module *m);
const char *swdev_module_global_name(struct dev_module *m, unsigned index);

/* device_func.c */
const char *swdev_func_name(struct dev_func *f);
unsigned swdev_func_nparam(struct dev_func *f);
struct dev_param swdev_func_param(struct dev_func *f, unsigned index);
int swdev_func_info(struct dev *d, struct dev_func *f, struct dev_func_info *out);
int swdev_func_set_attr(struct dev *d, struct dev_func *f, int attr, int value);
int swdev_occupancy(struct dev *d, struct dev_func *f, int block, size_t shmem, unsigned flags,
                    int *blocks);
int swdev_launch(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                 struct dev_stream *s);

/* device_state.c */
extern const struct dev_state_ops swdev_state_ops;
/* device_texture.c: the next object gets this handle. */
int objects_claim(struct dev *d, uint64_t handle);
/* device_graph.c: where its conditions lie; for free(). NULL: out of memory. */
uint64_t *exec_words(const struct dev_exec *x, uint32_t *n);

/* device_link.c */
extern const struct dev_link_ops swdev_link_ops;
/* Blocks of `threads` threads with so much dynamic shared memory that fit on one multiprocessor. */
int func_blocks_per_sm(const struct dev_func *f, uint32_t threads, uint64_t dynamic);

/* device_info.c: fills *out for nsm CPU threads and mem bytes. May read files. */
void device_describe(struct dev_info *out, unsigned nsm, uint64_t mem);

/* device_jit.c: reads GVM_PTX_SM, for ptx_target(); an error of CUDA's and one line if it is wrong. */
int target_setup(void);
/* Reads GVM_PTX_JIT and GVM_PTX_CHECK and loads the compiler, before the system call filter. */
int jit_setup(void);
bool swdev_makes_code(struct dev *d);

#endif
