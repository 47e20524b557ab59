/* SPDX-License-Identifier: MIT */
/*
 * handoff.h - messages between gvm-backd (the broker) and a gvm-worker.
 *
 * SOCK_SEQPACKET, one struct per message, descriptors by SCM_RIGHTS. The broker starts a worker as
 *   gvm-worker --device SELECT --mem BYTES --window-try N [...]
 * with WK_FD_SOCKET (connected to the broker), WK_FD_STATS (memfd, one struct wk_stats) and
 * WK_FD_LISTEN (listening socket /run/gvm/worker-<id>.sock by which a restarted broker finds it;
 * absent for a local broker) already open; and WK_FD_NAMES (a /proc/self/task in which names of
 * threads can be written) where its own /proc is read-only. The broker trusts nothing that a worker
 * says.
 *
 * Life of a worker:  start -> opens the device -> WK_READY -> (warm) -> WK_ASSIGN -> maps, closes
 * the descriptors, locks itself down, answers WK_DONE -> drains until WK_QUIT, EOF without a
 * listening socket, or death. A worker serves one channel in its life.
 *
 * A worker that nobody waits for yet is sent WK_PREPARE: it uses the device once in every way whose
 * first use takes long. On the local transport, where memory is the broker's to make, it is given
 * its channel and its first chunk already; the ASSIGN and the CHUNK_ADD that then hand them to a
 * guest say so in `prepared`. Without that word what was prepared is put away.
 */
#ifndef GVM_HANDOFF_H
#define GVM_HANDOFF_H

#include <stdint.h>

#define WK_FD_SOCKET 3
#define WK_FD_STATS  4
#define WK_FD_LISTEN 5
#define WK_FD_NAMES  6 /* until the lock-down */

enum wk_type {
    WK_READY = 1,  /* worker: device open, windows reserved; or status < 0 and text */
    WK_ASSIGN,     /* broker: the channel; descriptors as for its kind */
    WK_CHUNK_ADD,  /* broker: a pool chunk; one descriptor */
    WK_CHUNK_DROP, /* broker */
    WK_DONE,       /* worker: result of the PREPARE, ASSIGN or CHUNK_* with this `seq` */
    WK_HELLO, /* restarted broker: tell me who you are; answered by WK_READY with the rest set */
    WK_QUIT,  /* broker: end */
    WK_LOG,   /* worker: one line for the broker's log (rate limited there) */
    /* broker: get ready; no descriptors, or those of the channel (ring_order, npages) and of chunk 0
     * (chunk_pages), as for ASSIGN and CHUNK_ADD */
    WK_PREPARE,

    /* What a process lets the other processes of its guest have, `share` filled in; `seq` is the
     * worker's. All but UNEXPORT and GONE are answered by WK_ANSWER. Tokens are the broker's: random, and
     * good only in workers of the guest that they were minted for. */
    WK_SEGMENT,  /* worker: wants share.size octets of memory that can be shared; one descriptor */
    WK_EXPORT,   /* worker: share.kind, share.meta, share.size that it counts as with each process,
                    at most one descriptor; answer: share.token */
    WK_UNEXPORT, /* worker: forget share.token, if it is its own */
    WK_IMPORT,   /* worker: share.kind, share.token; answer: share.meta, share.own, descriptor */
    WK_ANSWER,   /* broker: to the one of these with this `seq` */
    WK_GONE, /* worker: what share.token stands for it counts once less from now on. No answer */

    /* broker: before ASSIGN, and once more after HELLO: what the guest's processes may have together,
     * two descriptors: the page (tenant.h), and an eventfd on which to say that its slot there has
     * changed; `slot` is this process's. No answer; one that cannot be used ends the worker. */
    WK_TENANT,
    WK_TIMEOUT, /* broker: end, with cudaErrorLaunchTimeout for the guest process */

    /* broker: write records and results into this ring (trace_ring.h), one descriptor; none: stop.
     * At any time, not answered. */
    WK_TRACE,

    /* A worker whose guest is suspended. All are answered by WK_DONE. */
    WK_PARK, /* broker: stand still when all work is done, `npages` milliseconds from now at the
                latest; one descriptor: the state goes there. Without one it is only still. */
    WK_GO,   /* broker: go on; one descriptor: with the state from there, after an ASSIGN with
                WK_HELD and its chunks */
    /* A worker that stands still and outlives its guest's domain. Answered by WK_DONE. */
    WK_DETACH, /* broker: unmap all of the guest's memory, keep its addresses and everything else */
    WK_ATTACH, /* broker: after TENANT, the restored guest's channel, as for ASSIGN; CHUNK_ADD for
                  each chunk and GO follow */
};

/* flags */
#define WK_HELD    1u /* ASSIGN: nothing is taken from the ring before WK_GO */
#define WK_ON_RING 2u /* PARK: the guest's next doorbell is as good as WK_GO */
/* READY: how such a device is suspended. */
#define WK_SAVES 4u /* its state can be written to a file */
#define WK_PARKS 8u /* it stays in the worker, which is taken off the device */

/* In front of a saved state; the broker's, who tells by it what the state is of. */
#define WK_STATE_MAGIC   "GVMstate"
#define WK_STATE_VERSION 1u
struct wk_state_head {
    char magic[8];
    uint32_t version;
    uint32_t devid;
    char uuid[40]; /* of the domain; "" on the local transport */
    uint8_t token[16];
    uint32_t channel, ring_order, npages, window_try, uid, pid;
    uint64_t pool_base, pool_size, dev_base, dev_size;
    uint32_t chunk_pages[64]; /* VGPU_MAX_CHUNKS */
};

/* Kinds of what is shared. The broker only sees to it that what is imported as one kind has been
 * exported as that. */
enum wk_share_kind {
    WK_SHARE_MEM = 1, /* an allocation: cuIpcGetMemHandle */
    WK_SHARE_EVENT,   /* cuIpcGetEventHandle */
    WK_SHARE_MEMORY,  /* physical memory: cuMemExportToShareableHandle */
    WK_SHARE_POOL,    /* cuMemPoolExportToShareableHandle */
    WK_SHARE_PTR,     /* cuMemPoolExportPointer */
    WK_SHARE_KINDS
};

struct wk_share {
    uint32_t kind;
    uint32_t own; /* answer to IMPORT: this worker has exported it */
    uint64_t size;
    uint8_t token[16];
    uint64_t meta[8]; /* the exporting device's, for the importing one */
};

enum wk_kind {
    /* ASSIGN: fd 0 gntdev with the channel's refs recorded (map at offset `gnt_index`), fd 1 evtchn,
     * bound to `port` and restricted. CHUNK_ADD: fd 0 gntdev. The worker mmaps and closes. */
    WK_XEN = 1,
    /* ASSIGN: fd 0 memfd of the channel, fd 1 eventfd guest -> worker, fd 2 eventfd worker -> guest.
     * CHUNK_ADD: fd 0 memfd. */
    WK_LOCAL = 2,
};

struct wk_msg {
    uint32_t type;
    uint32_t seq;   /* echoed by WK_DONE */
    int32_t status; /* WK_DONE, WK_READY: 0 or -errno */
    uint32_t kind;  /* wk_kind */
    uint32_t domid;
    uint32_t devid;
    uint32_t channel;
    uint32_t port; /* local port number within the evtchn descriptor */
    uint32_t ring_order;
    uint32_t chunk;
    uint32_t npages;
    uint32_t uid, pid;    /* of the guest process, for log lines */
    uint32_t prepared;    /* ASSIGN, CHUNK_ADD: what PREPARE brought */
    uint32_t chunk_pages; /* PREPARE */
    uint32_t slot;        /* TENANT */
    uint32_t flags;       /* WK_HELD, WK_ON_RING, ... */
    uint32_t context_mib; /* READY: of the device's memory, besides all allocations */
    uint64_t gnt_index;
    uint64_t pool_base, pool_size, dev_base, dev_size; /* WK_READY */
    uint64_t addr;                                     /* WK_DONE of CHUNK_ADD */
    union {
        /* WK_READY: the device's own name, or with an error the reason; WK_LOG: one line. */
        char text[192];
        struct wk_share share;
    };
};

/* Shared read-only view for `gvm list`; the worker is the only writer, the broker only displays. */
struct wk_stats {
    uint64_t calls;
    uint64_t launches;
    uint64_t doorbells_in;  /* events received from the guest */
    uint64_t doorbells_out; /* events sent to the guest */
    uint64_t bytes_in;      /* octets copied to the device */
    uint64_t bytes_out;
    uint64_t mem_used;   /* device memory in use, bytes */
    uint64_t busy_ns;    /* time the device executed kernels */
    uint64_t sticky;     /* CUresult, 0 = healthy */
    uint64_t chunks;     /* pool pages mapped */
    uint64_t waiting;    /* calls under way on threads of their own: guest threads that wait */
    uint64_t wait_ns;    /* how long those that are over have taken */
    uint64_t busy_since; /* dev_config.busy_since */
};

/* Time that the device has been at work, to `now_ns` on CLOCK_MONOTONIC. */
static inline uint64_t wk_busy_ns(const struct wk_stats *s, uint64_t now_ns)
{
    return s->busy_ns + (s->busy_since && now_ns > s->busy_since ? now_ns - s->busy_since : 0);
}

#endif
