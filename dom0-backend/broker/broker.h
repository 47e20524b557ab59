/* SPDX-License-Identifier: MIT */
/*
 * broker.h - what the files of gvm-backd share.
 *
 *   worker   a gvm-worker process (worker.c, spawn.c)
 *   chan     a channel: the memory of one guest process, served by one worker (chan.c)
 *   op       a control request under way (op.c)
 *   host     where control requests come from and how its channels get their memory: a Xen device
 *            (xendev.c) or a connection of the local transport (local.c)
 *
 * One thread runs everything, in one event loop; only grant mappings that a guest could stall are
 * made by helper threads (grants.c). The broker reads no octet of a channel.
 */
#ifndef GVM_BROKER_H
#define GVM_BROKER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "dom0-backend/broker/audit.h"
#include "dom0-backend/broker/shares.h"
#include "dom0-backend/broker/tenant.h"
#include "dom0-backend/common/log.h"
#include "dom0-backend/transport/handoff.h"
#include "protocol/vgpuif.h"

#define WORKER_READY_S   25.0  /* from exec to WK_READY: a driver may take its time */
#define WORKER_DONE_S    10.0  /* an assignment, or one more chunk */
#define WORKER_GRACE_S   0.2   /* between the request to end and SIGKILL */
#define KERNEL_LIMIT_S   60u   /* broker_config.kernel_limit unless told otherwise */
#define LONGEST_KERNEL_S 3600u /* broker_config.longest_kernel, likewise */

struct broker;
struct host;
struct chan;
struct op;
struct tracer;

/* What a worker is started with; two workers with equal parameters are interchangeable. */
struct worker_params {
    char device[64]; /* index or GPU-UUID */
    uint64_t mem;    /* quota in bytes, 0: all */
    uint32_t window_try;
};

enum worker_state {
    WORKER_STARTING, /* no WK_READY so far */
    WORKER_WARM,     /* ready, without a channel */
    WORKER_SERVING,  /* WK_ASSIGN was sent */
    WORKER_ENDING,   /* asked to end, or killed */
    WORKER_KEPT,     /* its domain is saved and gone; see keep.c */
};

/* Of a worker whose state stays in it while its guest is suspended. */
struct park_record {
    enum {
        PARK_REC_NONE,
        PARK_REC_MOVING,    /* a helper takes it off the device, or puts it back */
        PARK_REC_OFF,       /* it is off; with a uuid: so says CHECKPOINT's answer */
        PARK_REC_KEPT,      /* and its domain is gone */
        PARK_REC_RETURNING, /* the restored domain has it, but it does not run yet */
    } state;
    int32_t helper; /* its pid */
    uint32_t devid, channel, order, npages, window_try, uid, pid;
    uint8_t token[16];
    char uuid[40];
    uint64_t bytes; /* of the device's memory that it comes back to */
    uint64_t since; /* seconds of CLOCK_REALTIME */
};

/* Kept in run_dir/worker-<id>.info for a restarted broker. */
struct worker_record {
    uint32_t magic;
    int32_t pid;
    uint64_t start; /* of the process, see worker_start_time() */
    struct worker_params params;
    uint32_t port; /* guest's, of the CREATE */
    uint32_t uid;
    uint32_t slot; /* in its tenant's page */
    uint32_t chunk_pages[VGPU_MAX_CHUNKS];
    uint64_t chunk_addr[VGPU_MAX_CHUNKS];
    struct park_record park; /* last: an older broker's record ends here */
};

struct worker {
    struct broker *b;
    struct worker *next;
    enum worker_state state;
    uint32_t id;
    pid_t pid;
    uint32_t uid; /* its own among all workers; 0: the broker's */
    bool child;   /* ours to reap; not so after a restart of the broker */
    bool lost;    /* closed its socket, or died, without having been asked to */
    int pidfd;    /* readable when the process is gone */
    int sock;     /* -1 after end of file */
    int rec_fd;   /* struct worker_record; -1: none */
    struct worker_record rec;
    int stats_fd; /* struct wk_stats, written by the worker: read by pread() only */
    struct worker_params params;
    struct wk_msg ready;   /* its WK_READY */
    uint32_t prep_seq;     /* WK_PREPARE under way; 0: none */
    int prep_fd[2];        /* what it was given: channel, chunk 0; -1: nothing, or handed over */
    struct chan *ch;       /* the channel it serves or is wanted for */
    struct tenant *tenant; /* whose page it has; NULL: nobody's so far */
    unsigned slot;
    struct audit audit;
    struct tracer *tracer; /* who gets its calls (trace.c); NULL: nobody */
    bool timed_out;        /* told to end */
    struct log_rate rate;
    ev_io io, death;
    ev_timer timer;
};

enum park_state {
    PARK_NONE,
    PARK_ASKED,   /* WK_PARK was sent */
    PARK_STILL,   /* the worker stands still, its state is saved */
    PARK_GONE,    /* the state is in a file, and there is no worker */
    PARK_LOADING, /* a worker for that state has the channel, or is about to get it */
};

/* Of a channel whose guest is suspended; park.c. */
struct park {
    enum park_state state;
    uint32_t seq; /* of the message that is under way */
    int fd;       /* the file for WK_GO; -1 */
    char file[256];
    bool keep;                             /* the channel outlives its worker */
    uint32_t chunk_pages[VGPU_MAX_CHUNKS]; /* to come back */
    unsigned next;                         /* of those */
    struct helper *helper;                 /* takes the worker off the device, or puts it back */
    bool wake;                             /* put it back as soon as it is off */
    uint32_t kept; /* id of the worker that a CREATE is to be given; 0: a new one */
    void (*done)(void *arg, struct chan *ch, int err, const char *why);
    void *arg;
};

struct chan {
    struct host *host;
    struct chan *next;
    uint32_t id; /* chosen by the frontend */
    uint32_t order, npages, port, uid, pid, window_try;
    struct worker *w; /* NULL: none yet, or it is dead */
    bool dead;        /* its worker is gone; only a destroy is of use now */
    bool created;     /* CREATE was answered with 0 */
    bool closing;     /* free it when the worker is gone and no operation is left */
    uint32_t chunk_pages[VGPU_MAX_CHUNKS]; /* 0: no such chunk */
    uint64_t chunk_addr[VGPU_MAX_CHUNKS];
    struct op *active, *queue;
    int memfd, efd_worker, efd_guest; /* local transport */
    int chunk_fd[VGPU_MAX_CHUNKS];    /* local transport, for a worker that comes after this one */
    struct park park;
};

struct op {
    struct op *next; /* in the channel's queue */
    struct host *host;
    struct chan *ch;
    struct vgpu_ctl_req req; /* private copy, decoded */
    unsigned slot;           /* of the host, for its own use */
    uint32_t seq;            /* of the message to the worker; 0: not sent */
    uint32_t pages;          /* charged for this request, returned if it fails */
    bool preparing;          /* a helper thread is at work; the op must outlive it */
    bool cancelled;
    bool waiting;                  /* a CREATE, for the time at which its guest may have a worker */
    bool claimed;                  /* a CREATE for which a worker was asked for */
    uint8_t token[VGPU_CTL_TOKEN]; /* CHECKPOINT's answer */
    /* Not a request of the guest's: called instead of the host's respond(). */
    void (*internal)(struct op *op, int status);
    int fds[3]; /* for the worker */
    int nfds;
    struct wk_msg msg; /* what the host fills in for the worker: kind, port, gnt_index */
    int rsp_fds[3];    /* for the guest (local transport) */
    int rsp_nfds;
    ev_timer timer;
};

struct host_ops {
    /* Makes the descriptors and the message of a CREATE or ADD_CHUNK: fills op->fds, op->msg and
     * for local op->rsp_fds, then calls op_prepared(op, 0 or -errno), at once or later. */
    void (*prepare)(struct op *op);
    /* The answer, once per request; the descriptors stay the op's. */
    void (*respond)(struct host *h, struct op *op, const struct vgpu_ctl_rsp *rsp);
    /* The channel's worker is gone without having been asked: tell the guest process. */
    void (*chan_lost)(struct host *h, struct chan *ch);
    /* The last channel of a host that is being closed is gone. */
    void (*empty)(struct host *h);
    /* CHECKPOINT and RESUME_CHANNEL; NULL: guests of this kind are not suspended. */
    void (*checkpoint)(struct host *h, struct op *op);
    /* A CREATE with a token: finds what was saved. 0: ch->park is filled in; or -errno after a line. */
    int (*restore)(struct host *h, struct chan *ch, const struct vgpu_ctl_req *req);
};

struct host {
    struct broker *b;
    struct host *next;
    const struct host_ops *ops;
    uint32_t domid, devid;
    uint64_t guest;        /* hosts with the same number are of one guest (share.c) */
    char name[32];         /* "d5.0" or "pid 812", for log lines */
    struct tenant *tenant; /* several hosts of the local transport may be of one */
    struct worker_params params;
    uint32_t max_channels;     /* ids of channels are 1..max_channels */
    uint32_t max_procs;        /* how many there may be; 0: max_channels */
    uint32_t weight;           /* share of GPU time, 1..65535; 0: as by default */
    uint32_t cap;              /* per cent of GPU time at most, 0: no limit */
    uint64_t max_pages, pages; /* granted to us by all channels */
    uint32_t nchans;
    bool closing;
    struct chan *chans;
    struct log_rate lines; /* host_warn() */
};

/* A line about what the guest did. It can do it over and over: 30 in 10 s, and how many more. */
void host_warn(struct host *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct broker_config {
    const char *worker_path;
    const char *log_level;  /* of the workers */
    const char *kind;       /* "ptx", "cuda" or NULL: the worker's default */
    const char *run_dir;    /* sockets of workers, NULL: none (local mode) */
    unsigned threads;       /* CPU threads of the software device, 0: all */
    unsigned warm;          /* workers kept ready per device */
    int spin_us;            /* polling of workers, microseconds; -1: as they like */
    bool no_pin;            /* local: memory of guests is not pinned either, as in a PV backend */
    const char *state_dir;  /* saved workers; NULL: none */
    unsigned state_days;    /* for which they are kept; 0: for ever */
    uint32_t drain_ms;      /* how long a guest's work may take to end when it is suspended */
    uint32_t uid_base;      /* workers get uid_base .. uid_base + 999; 0: the broker's own */
    uint64_t worker_memory; /* octets of this domain's that a worker may take; 0: no limit */
    uint32_t max_channels;  /* per device */
    uint64_t max_pages;     /* per device */
    uint64_t host_pages;    /* mapped by all workers together */
    uint32_t slice_us;      /* for which a guest has a GPU while others want it, microseconds */
    const char *mps;       /* directory of an MPS control daemon, whose clients workers are; NULL */
    uint32_t kernel_limit; /* seconds for which work may keep the GPU from others; 0: any time */
    uint32_t
        longest_kernel; /* seconds that a kernel may take on the software device; 0: any time */
};

struct broker {
    struct ev_loop *loop;
    struct broker_config cfg;
    struct worker *workers;
    struct host *hosts;
    struct shares shares;
    struct tenant *tenants;
    uint32_t next_worker;
    uint32_t next_uid;
    uint32_t next_seq;
    uint64_t pages; /* of all hosts */
    bool root;      /* serves guests of Xen */
    bool confine;   /* workers get user ids, namespaces and limits: only root can give them */
    bool stopping;
    bool show_stats; /* one line per channel at its end */
    /* NULL, or told whether a worker that nobody claimed could open its device. */
    void (*probed)(struct broker *b, const struct worker_params *p, const char *error);
};

/* ---- worker.c */

/* Starts a worker; NULL after one line in the log. */
struct worker *worker_start(struct broker *b, const struct worker_params *p);
/* A warm worker with these parameters, or a new one; reserved for `ch` and linked with it.
 * chan_worker_ready(ch) follows, at once if it is warm. 0 or -errno. */
int worker_claim(struct broker *b, const struct worker_params *p, struct chan *ch);
/* Is the device usable? 1: a worker has it open; 0: b->probed() will be called; -1: no worker can
 * be started. */
int worker_probe(struct broker *b, const struct worker_params *p);
bool worker_params_equal(const struct worker_params *a, const struct worker_params *b);
/* Starts workers until `cfg.warm` with these parameters are ready or starting. */
void worker_keep_warm(struct broker *b, const struct worker_params *p);
/* The same, half a second later: a program has just got one of them. */
void worker_refill(struct broker *b, const struct worker_params *p);
/* Ends warm workers with these parameters: nobody is left who could want them. */
void worker_drop_warm(struct broker *b, const struct worker_params *p);
/* Sends a message; a worker that does not take it is killed. 0 or -errno. */
int worker_send(struct worker *w, const struct wk_msg *m, const int *fds, int nfds);
/* For a message whose answer is told by it; never 0. */
static inline uint32_t broker_seq(struct broker *b)
{
    if (++b->next_seq == 0)
        b->next_seq = 1;
    return b->next_seq;
}
/* Asks the worker to end, and kills it after WORKER_GRACE_S. */
void worker_end(struct worker *w);
/* Kills it now. */
void worker_kill(struct worker *w);
/* Its guest process gets cudaErrorLaunchTimeout, and it ends. */
void worker_time_out(struct worker *w);
/* Kills it in `s` seconds, 0: not any more. */
void worker_limit(struct worker *w, double s);
/* Writes w->rec to its file. */
void worker_save(struct worker *w);
/* False if there is nothing to read. The worker is the only writer, without locks; the numbers are
 * for display and for what a suspended worker comes back to, and no guest can reach them. */
bool worker_stats(const struct worker *w, struct wk_stats *out);
/* Before this process ends and leaves serving workers to the next one: ends all others. */
void worker_leave_all(struct broker *b);
/* Takes over the workers of a broker that was here before, from cfg.run_dir. `adopt` is called for
 * each one that answers WK_HELLO: it links the worker with its channel, or returns false: it is
 * ended. Waits at most 3 s in total. */
void worker_adopt_all(struct broker *b, bool (*adopt)(struct broker *b, struct worker *w));

/* ---- spawn.c */

struct spawn {
    const char *path;
    char *const *argv;
    int sock, stats, listen; /* become WK_FD_*; listen may be -1 */
    uint32_t uid;            /* 0: keep */
    bool confine;            /* namespaces and a root directory of its own, as far as possible */
    bool driver;             /* with what an NVIDIA driver needs... */
    int gpu_minor;           /* ...and the node of this GPU; -1: of all */
    const char *mps;         /* directory of an MPS control daemon; NULL: none */
    int cgroup;              /* cgroup.procs to enter; -1: none */
};
/* Starts a process; its pid, or -errno. */
pid_t spawn_worker(const struct spawn *s, int *pidfd);

/* ---- chan.c */

/* Upcalls of worker.c. */
void chan_worker_ready(struct chan *ch);
void chan_worker_done(struct chan *ch, const struct wk_msg *m);
void chan_worker_dead(struct chan *ch, const char *why);
/* A channel that exists already, from a worker of an earlier broker. */
struct chan *chan_adopt(struct host *h, struct worker *w);
struct chan *chan_find(const struct host *h, uint32_t id);
/* Ends all channels; h->ops->empty() is called when the last worker is gone, perhaps at once. */
void host_close(struct host *h);
/* Charges pages to the host and to the machine. 0, or -ENOSPC. */
int host_charge(struct host *h, uint64_t pages);
void host_uncharge(struct host *h, uint64_t pages);

/* ---- op.c */

/* Handles one control request (a private copy) of `h`. Always ends in one h->ops->respond(). */
void ctl_request(struct host *h, const struct vgpu_ctl_req *req, unsigned slot);
/* Continues a request whose descriptors are made (err 0), or that failed. */
void op_prepared(struct op *op, int err);
/* Queues a request of our own for the channel: op->internal, op->req, op->msg.flags are set. */
struct op *op_new(struct chan *ch, uint16_t code, void (*internal)(struct op *op, int status));
void op_start(struct op *op);
/* Answers a request that is in no channel's queue. */
void op_answer(struct op *op, int status);
/* Goes on with requests that waited while the channel was parked. */
void chan_go_on(struct chan *ch);

/* ---- park.c */

/*
 * Lets the channel's worker stand still and, unless fd is -1, write its state there (the head is
 * written here; fd stays the caller's). done() follows: err 0, or -errno and the worker goes on. 0,
 * or -errno at once. drain_ms: how long the process's work may take to end. flags: WK_ON_RING.
 */
#define PARK_DRAIN_MS 5000u /* broker_config.drain_ms unless told otherwise */
int park_save(struct chan *ch, int fd, const uint8_t token[16], const char *uuid, uint32_t drain_ms,
              uint32_t flags, void (*done)(void *arg, struct chan *ch, int err, const char *why),
              void *arg);
/* A worker that stands still goes on. */
void park_go_on(struct chan *ch);
/* Reads the head of a state. 0, or -errno with *why. */
int park_read_head(int fd, struct wk_state_head *head, const char **why);
/* A channel in PARK_LOADING that has all its memory again: the worker reads the state from fd and
 * goes on, then done(). 0 or -errno. */
int park_load(struct chan *ch, int fd,
              void (*done)(void *arg, struct chan *ch, int err, const char *why), void *arg);
/* A worker that stands still and is complete goes on, then done(). 0 or -errno. */
int park_go(struct chan *ch, void (*done)(void *arg, struct chan *ch, int err, const char *why),
            void *arg);
/* Upcalls of chan.c. True: it was about this. */
bool park_worker_done(struct chan *ch, const struct wk_msg *m);
bool park_worker_dead(struct chan *ch, const char *why);
/* The channel's end: whoever waits for something about it is told. */
void park_finish(struct chan *ch, int err, const char *why);
void park_gone(struct chan *ch);
/* "park PID FILE [MS]", "resume PID FILE" of the query socket of a local daemon; reply() once. FILE "-":
 * the state stays with the worker, which the driver takes off the GPU. */
void park_command(struct broker *b, char *line, void (*reply)(void *arg, const char *text),
                  void *arg);

/* ---- parkgpu.c: workers whose state stays in them while the driver takes them off its GPU */

/* It is, or may be, off. */
static inline bool park_is_off(const struct worker *w)
{
    return w->rec.park.state != PARK_REC_NONE;
}
/* Of the GPU's memory, context included: what goes into this domain's when it is taken off. */
uint64_t park_bytes(const struct worker *w);
/* Whether this domain has so much memory. 0, or -ENOMEM with *why. */
int park_room(uint64_t bytes, const char **why);
/* Takes the worker of a channel that stands still off, within `ms`; then done(), ch NULL: it is gone.
 * After an error it is where it was, still. 0 or -errno. */
int park_off(struct chan *ch, uint32_t ms,
             void (*done)(void *arg, struct chan *ch, int err, const char *why), void *arg);
/* Puts it back; it stands still. After an error it is lost, and killed. */
int park_on(struct chan *ch, void (*done)(void *arg, struct chan *ch, int err, const char *why),
            void *arg);
/* The guest is not suspended any more: the worker goes on, however long it takes to put it back. */
void park_wake(struct chan *ch);
/* Tells the guests' workers how much of their GPU is for those that are off. */
void park_account(struct broker *b);
/* Octets of the GPU with this name that are. */
uint64_t park_reserved(const struct broker *b, const char *gpu);
/* The same for what the configuration calls it. */
uint64_t park_reserved_on(const struct broker *b, const char *device);

/* ---- keep.c: workers whose domain is saved and gone */

/* Whether the channel's worker is off since a checkpoint, from which its domain may be restored. */
bool keep_wanted(const struct chan *ch);
/* Such a one, and the domain is gone: the channel has no worker any more. */
void keep_worker(struct chan *ch);
/* One of an earlier broker. */
void keep_adopt(struct worker *w);
/* Upcalls of worker.c. */
void keep_done(struct worker *w, const struct wk_msg *m);
void keep_dead(struct worker *w, const char *why);
struct worker *keep_find(struct broker *b, const char *uuid, uint32_t devid, uint32_t channel);
/* Ends those of this domain, NULL: of all; how many they were. devid: of this device, UINT32_MAX: of all. */
unsigned keep_drop(struct broker *b, const char *uuid, uint32_t devid);
/* Ends those that are older than state_days. */
void keep_expire(struct broker *b);
/* Lines "suspended" of query.c's answer. */
void keep_list(FILE *f, const struct broker *b);

/* ---- share.c */

#define LOCAL_GUESTS 64u

/* A guest's number in host.guest: that of a domain, or of everybody on one local socket. */
#define GUEST_DOMAIN(domid) (0x100000000ull | (domid))
#define GUEST_LOCAL         0ull

/* WK_SEGMENT, WK_EXPORT, WK_UNEXPORT, WK_IMPORT of a serving worker; the descriptors stay the
 * caller's. False: the worker has broken the rules. */
bool share_message(struct worker *w, const struct wk_msg *m, int *fds, int nfds);

/* ---- notify.c */

/* Tells the service manager, if there is one, that requests are served from now on. */
void notify_ready(void);

/* ---- query.c */

/*
 * Serves `path`, for root and for this process's own user: whoever connects sends one line and is
 * answered, see query.c. 0 or -errno.
 */
int query_start(struct broker *b, const char *path);
/* A worker of `h` is gone: what it had counted stays with the guest. */
void query_worker_ended(struct host *h, const struct wk_stats *s);

/* ---- trace.c */

/* A client of query.c wants to trace; the socket is kept if it is understood (true). */
bool trace_open(struct broker *b, int fd, const char *args);
/* The channel's worker is about to be assigned. */
void trace_assigning(struct chan *ch);
void trace_worker_gone(struct worker *w);

/* ---- local.c */

/* Serves the local transport on the listening socket `fd`, whoever connects there being of one guest,
 * with params->mem for all of it and its share of the GPU's time, 0 as in tenant_set_share(). Called once for each guest. 0 or -errno. */
int local_start(struct broker *b, int fd, const struct worker_params *params, uint32_t weight,
                uint32_t cap);
void local_stop(struct broker *b);
/* Of the guest with this number; NULL: there is none, and with number 0: this is no local daemon. */
const struct worker_params *local_params(unsigned guest);
const struct tenant *local_tenant(unsigned guest);
/* Makes the memory that a worker may be given before there is a guest: fds[0] a channel of
 * VGPU_LOCAL_RING_ORDER, fds[1] a chunk of VGPU_LOCAL_CHUNK_PAGES. False: none, or not local. */
bool local_prepare(int fds[2]);
/* The channel of this CREATE becomes the one that its worker has already, if that fits. */
void local_hand_over(struct op *op);

#endif
