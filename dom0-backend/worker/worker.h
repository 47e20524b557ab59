/* SPDX-License-Identifier: MIT */
/*
 * worker.h - what the files of gvm-worker share.
 *
 * One worker serves one channel. Its threads:
 *   control (main)  the broker's socket: assignment, pool chunks, quit (control.c)
 *   drain           takes records in ticket order, runs posted and quick calls (drain.c)
 *   lane threads    one per guest thread that ever made a blocking call (lane.c)
 *   reaper          waits for the device before a pool chunk is unmapped (chunk.c)
 *   the device's own
 *
 * Locks, never nested: wk.objs.lock, wk.chunk_lock, wk.flow_lock, wk.out_lock, wk_lane.lock,
 * wk_images.lock, wk.upcalls.lock, wk.shares.lock, control.c's ctl_lock. No device operation is called with one of them held.
 * wk.gate.lock (gate.c) is held for fence_record(), fence_query() and stream_query() only, and nothing
 * within it.
 *
 * For tests and fuzzers: a struct wk made by wk_init() on a channel in plain memory, with any
 * dev_ops and a transport whose notify() does nothing, needs neither sockets nor a drain thread;
 * call wk_drain_some() on it. Set wk.inline_blocking to run blocking calls on the calling thread,
 * which makes a run deterministic.
 */
#ifndef GVM_WORKER_H
#define GVM_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dom0-backend/device/device.h"
#include "dom0-backend/transport/handoff.h"
#include "dom0-backend/transport/tenant.h"
#include "dom0-backend/transport/transport.h"
#include "dom0-backend/worker/gate.h"
#include "dom0-backend/worker/image.h"
#include "dom0-backend/worker/objects.h"
#include "dom0-backend/worker/share.h"
#include "dom0-backend/worker/state.h"
#include "dom0-backend/worker/trace.h"
#include "dom0-backend/worker/upcall.h"
#include "protocol/ring.h"

/* Address space per chunk. */
#define WK_POOL_SLOT  ((uint64_t)VGPU_MAX_CHUNK_PAGES * VGPU_PAGE_SIZE)
#define WK_POOL_SIZE  (WK_POOL_SLOT * VGPU_MAX_CHUNKS)
#define WK_OUTPUT_MAX (1u << 20)  /* octets of kernel output kept for OutputFetch */
#define WK_INLINE_MAX (64u << 20) /* octets of inline copies not yet consumed by the device */

#define WK_FETCH_MAX 480u /* octets of a CopyFetch */

/* CUresult values that the worker itself produces (cuda.h numbering). */
enum {
    WK_OK = 0,
    WK_INVALID_VALUE = 1,
    WK_OUT_OF_MEMORY = 2,
    WK_DEINITIALIZED = 4,
    WK_INVALID_HANDLE = 400,
    WK_NOT_FOUND = 500,
    WK_NOT_READY = 600,
    WK_LAUNCH_TIMEOUT = 702,
    WK_NOT_SUPPORTED = 801,
    WK_UNKNOWN = 999,
    WK_HAND_OVER = -1, /* no CUresult: the call would wait, let the lane's thread run it */
};

struct wk_chunk {
    uint8_t *addr;
    uint64_t len;      /* octets; 0: no such chunk */
    uint32_t users;    /* dispatches that resolved an address in it */
    bool dropping;     /* no new users */
    bool away;         /* not mapped: the domain is gone, and will be back (move.c) */
    uint32_t drop_seq; /* of the WK_CHUNK_DROP to answer */
};

struct wk_lane {
    struct wk *w;
    uint32_t index;

    /* Of the call being run; the lane runs one call at a time. */
    struct wk_obj *held[4]; /* objects that this call uses: not destroyed before it ends */
    unsigned nheld;
    uint64_t chunks_held; /* bit per chunk */

    bool polling, answered; /* it runs on the drain thread, which must not wait */

    struct wk_stream *own; /* the per-thread default stream, made at first use */
    uint16_t errors;       /* latched so far, modulo 2^16 */
    uint8_t *fetch;        /* WK_FETCH_MAX: CopyFetch lands here; outlives a failed wait */
    bool fetching;         /* the copy has been issued on the drain thread */

    /* Blocking calls: the drain thread fills rec, sets busy and wakes the thread; the thread clears
     * busy before it publishes the reply. */
    _Atomic bool busy;
    _Atomic bool active; /* the thread is in a call, or answering it */
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool work;
    /* A counter that is going to reach a value at about `due`, until `end` at the latest: the guest
     * is then expected to go on. The drain thread's own. */
    struct {
        uint32_t counter, value;
        uint64_t due, end; /* 0: nothing is expected */
    } expect;
    uint8_t *rec;
};

struct wk {
    /* Set up by wk_init(). */
    const struct dev_ops *ops;
    struct dev *dev;
    struct vgpu_channel ch;
    struct vgpu_consumer cons;
    struct transport tr;
    struct wk_stats *stats; /* never NULL: a private dummy if the broker gave none */
    bool inline_blocking;
    /* A guest broke the protocol. Called on whichever thread found out; must not return in a
     * worker, may return in a test (the run of the record is then abandoned). */
    void (*on_violation)(struct wk *w, const char *why);
    /* One line about this guest process for the operator; NULL: to stderr. Any thread. */
    void (*report)(struct wk *w, const char *line);
    /* A message to the broker: 0 or -errno. NULL: there is none, and nothing can be shared. */
    int (*to_broker)(struct wk *w, const struct wk_msg *m, const int *fds, int nfds);

    struct wk_objects objs;
    struct wk_images images;
    struct wk_lane *lanes; /* VGPU_LANES */
    struct wk_stream *legacy;
    /* A counter that is going to reach a value at about `due`, until `end` at the latest: the guest
     * is then expected to go on. The drain thread's own. */
    struct {
        uint32_t counter, value;
        uint64_t due, end; /* 0: nothing is expected */
    } expect;
    uint8_t *rec;   /* the drain thread's private copy of the record being run */
    uint8_t *fetch; /* of all lanes */
    bool direct;    /* the device writes replies and counters by itself */
    bool landing;   /* it is the device's: copies to it need no thread that waits */

    uint8_t *pool_base; /* pool window */
    uint64_t pool_size;
    struct wk_chunk chunks[VGPU_MAX_CHUNKS];
    pthread_mutex_t chunk_lock;
    pthread_cond_t chunk_idle;

    /* Back-pressure, see flow.c. */
    pthread_mutex_t flow_lock;
    pthread_cond_t flow_moved;
    uint64_t inline_bytes; /* in flight */

    struct wk_upcalls upcalls;
    struct wk_shares shares;
    struct wk_trace trace;

    /* Text printed by kernels, as OutputFetch hands it over. */
    pthread_mutex_t out_lock;
    uint8_t *out;
    uint32_t out_len;
    uint64_t out_lost; /* octets dropped because the buffer was full */

    _Atomic bool own_streams; /* some lane has made its per-thread stream */
    _Atomic uint32_t sticky;
    bool xen; /* for the filter */

    struct tenant_page *tenant; /* never NULL after wk_account_init() */
    unsigned slot;              /* of this process in it */
    struct wk_quiet quiet;
    struct wk_gate gate;

    /* Process level (control.c). */
    _Atomic int ctl_fd; /* broker's socket, -1: none at the moment */
    uint32_t spin_us;
    uint32_t longest_s;   /* for which a kernel of the software device may run; 0: any time */
    bool few_cpus;        /* whoever spins lets others run */
    struct wk_msg assign; /* the assignment, for a restarted broker */
    struct {
        void *channel; /* NULL: nothing is prepared */
        uint32_t order;
        uint64_t chunk_len; /* 0: not, or handed over */
    } prep;
    bool assigned;
    bool held;  /* assigned, but does not drain yet */
    bool away;  /* its channel is not mapped (move.c) */
    bool keeps; /* its state stays here when the guest is suspended */
};

/* ---- worker.c: life of the state */

/*
 * Prepares `w` (zeroed by the caller) to serve the channel at `base`, VGPU_CH_PAGES(order) mapped
 * pages, with an open device. Sets alive in the page. 0 or -ENOMEM.
 */
int wk_init(struct wk *w, const struct dev_ops *ops, struct dev *dev, void *base, uint32_t order,
            struct wk_stats *stats);
/* Frees everything wk_init() and the calls made; for tests, a worker just exits. There must be no
 * lane threads (inline_blocking). */
void wk_fini(struct wk *w);

/* Rings the guest's doorbell. Any thread. */
void wk_notify(struct wk *w);
/* Rings it if any lane waits; after a counter was stored. Any thread. */
void wk_notify_waiters(struct wk *w);
/* dev_config.on_fault: the context is unusable; err is a CUresult. arg: struct wk. Any thread. */
void wk_on_fault(void *arg, int err, const char *what);
/* dev_config.on_output: text printed by a kernel. arg: struct wk. Any thread. */
void wk_on_output(void *arg, int fd, const char *text, size_t n);

#define wk_count(w, field, n)                                                                      \
    __atomic_fetch_add(&(w)->stats->field, (uint64_t)(n), __ATOMIC_RELAXED)
#define wk_gauge(w, field, v) __atomic_store_n(&(w)->stats->field, (uint64_t)(v), __ATOMIC_RELAXED)

/* ---- drain.c */

/*
 * Takes and runs up to `budget` records. Returns the number taken (less than `budget`: the ring was
 * empty), or -1 with *why set when the guest broke the protocol; the channel must not be drained
 * any further then. Blocking calls are handed to their lane's thread and are not waited for.
 */
int wk_drain_some(struct wk *w, unsigned budget, const char **why);
/* Runs the record in `rec` (private copy) on `lane` and answers it. NULL, or the violation. */
const char *wk_execute(struct wk_lane *lane, void *rec);
/* The same, and tells the tracer. */
const char *wk_execute_traced(struct wk_lane *lane, void *rec);
/* On the drain thread: the counter will reach the value in about `us` microseconds, and be followed by
 * another call. The thread will be awake then, if it may poll. */
void wk_drain_expect(struct wk *w, uint32_t counter, uint32_t value, uint32_t us);
/* The drain thread's body: drains, spins a little, sleeps; returns only by a violation. */
void wk_drain_loop(struct wk *w);

/* ---- account.c */

/* Before the device is opened: counts for this process alone. */
void wk_account_init(struct wk *w);
/* Counts in the guest's page from now on, in `slot`; before the assignment. tell: the broker's
 * eventfd, kept if the result is 0. 0 or -errno. */
int wk_account_join(struct wk *w, int page, int tell, uint32_t slot);
/* Counts for this process alone again: the guest's page may go. */
void wk_account_alone(struct wk *w);
/* struct dev_quota; arg: struct wk. */
extern const struct dev_quota wk_quota;
/* What this process holds, for gvm list. */
void wk_count_memory(struct wk *w);

/* ---- lane.c */

/* Starts the lane's thread unless it runs; before the drain thread, or on it. 0 or -errno. */
int wk_lane_start(struct wk_lane *lane);
/* Gives the record to the lane's thread, which is made if need be. 0 or -errno. */
int wk_lane_hand_over(struct wk_lane *lane, const void *rec);
/*
 * Waits: on the lane's own thread as the device does. On the drain thread looks for a short time
 * whether what is waited for is complete, as it soon is for most of the calls of a program with one
 * thread; WK_HAND_OVER: the call must move. CUresult.
 *
 * The default stream may be held up by others although it looks idle: it is looked at only while
 * there are no others, or if `last` says that the work that was put on it last is waited for.
 */
int wk_wait_stream(struct wk_lane *lane, struct wk_stream *s, bool last);
int wk_wait_event(struct wk_lane *lane, struct wk_event *e);
int wk_wait_all(struct wk_lane *lane);
/* Drops what the call used: objects and chunks. */
void wk_lane_release(struct wk_lane *lane);

/* ---- chunk.c */

/* Adds a mapped chunk; tells the device. 0 or -errno. */
int wk_chunk_add(struct wk *w, uint32_t id, void *addr, uint64_t len);
/* The same for one that the device knows already. */
void wk_chunk_enter(struct wk *w, uint32_t id, void *addr, uint64_t len);
/* Starts to drop a chunk; wk_chunk_reap() finishes. 0: under way; 1: no such chunk.
 * One that is under way is answered to who asked last. */
int wk_chunk_drop(struct wk *w, uint32_t id, uint32_t seq);
/* Waits for a chunk to drop, then for its users and the device, and unmaps it. Returns its id. */
uint32_t wk_chunk_reap(struct wk *w, uint32_t *seq);

/* ---- flow.c */

/* Before a posted operation is put on `s`: waits while too much of the stream's work is
 * incomplete. CUresult. */
int wk_flow_enter(struct wk *w, struct wk_stream *s);
/* The same before what takes the GPU's time, for which the guest's turn is waited for: kernels,
 * graphs, copies and fills of WK_WORK_MIN octets or more. */
int wk_work_enter(struct wk *w, struct wk_stream *s);
#define WK_WORK_MIN (64u << 10)
int wk_work_enter_for(struct wk *w, struct wk_stream *s, uint64_t octets);
/* On the drain thread, after wk_flow_enter(): stores the value in the counter once the work of `s` so
 * far is complete. CUresult. */
int wk_flow_mark(struct wk *w, struct wk_stream *s, uint32_t counter, uint32_t value,
                 void (*done)(void *arg));
/* On the drain thread: whether that has come and was the last operation. */
bool wk_flow_marked(struct wk *w, const struct wk_stream *s);
/* A private buffer for `n` octets of inline data, waiting while too many are in flight; NULL: out
 * of memory. wk_flow_inline_done(buffer) is the host function that releases it. */
void *wk_flow_inline(struct wk *w, const void *data, uint32_t n);
void wk_flow_inline_done(void *buffer);

/* ---- calls_module.c */

struct dev_jit;
/* Loads the private image and enters the module under its id. CUresult; the reason of a failure in
 * log, or in what jit has for it. */
int wk_module_enter(struct wk *w, const void *image, uint64_t len, uint32_t id, struct dev_jit *jit,
                    char *log, size_t log_n, struct wk_module **out);

/* ---- confine.c */

/* Early, while the process has one thread: limits, no new privileges, own namespaces if allowed. */
void confine_start(void);
/* The seccomp filter on all threads, after which the first guest octet may be read. `xen` allows
 * the event channel's NOTIFY, `jit` that written pages become executable. 0 or -errno. */
int confine_lock(bool xen, bool driver, bool jit);

/* ---- enter.c */

/* Before a library is loaded and a thread made: into the namespaces of a confined worker, as its user,
 * with CAP_SYS_PTRACE and CAP_DAC_OVERRIDE there. What follows runs in a child; *pid is the worker's in its own PID namespace.
 * Nothing changes if the worker has none of its own. 0 or -errno. */
int enter_worker(pid_t *pid);

/* ---- move.c */

/* Of a worker that stands still: unmaps all of the guest's memory and closes its doorbell; the
 * addresses stay reserved. 0 or -errno: then it cannot go on. */
int wk_detach(struct wk *w, const char **why);
/* The channel of the restored guest in place of the old one, `m` and the descriptors as for ASSIGN;
 * then its chunks, `m` as for CHUNK_ADD. 0 or -errno. */
int wk_attach(struct wk *w, const struct wk_msg *m, int *fds, int nfds, const char **why);
int wk_attach_chunk(struct wk *w, const struct wk_msg *m, int *fd, const char **why);
/* Nothing is missing. */
bool wk_complete(struct wk *w);

/* ---- control.c */

/* Sends `ready`, then serves the broker until the worker is to end. w: zeroed but for ops, dev,
 * stats, pool window, spin_us and ctl_fd. Returns the exit status. */
int wk_control(struct wk *w, const struct wk_msg *ready);
/* Ends the process for a broken protocol: one line, the page marked dead, the guest told. */
void wk_die(struct wk *w, const char *why) __attribute__((noreturn));

#endif
