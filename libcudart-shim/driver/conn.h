/* SPDX-License-Identifier: MIT */
/*
 * conn.h - the connection of this process to its worker, whatever carries it: /dev/vgpu0 (Xen) or
 * a Unix socket (local). It maps memory and passes signals; it knows nothing of records.
 *
 * Errors are negative errno values; -EPIPE: the other end is gone for good.
 */
#ifndef GVM_CONN_H
#define GVM_CONN_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "vgpuif.h"

struct gvm_chunk {
    uint32_t id;
    uint32_t npages;
    uint64_t addr; /* where the worker has it, inside the pool window */
    int fd;        /* local: memfd, until mapped; else -1 */
};

struct gvm_conn {
    const struct gvm_conn_ops *ops;
    int fd; /* /dev/vgpu0, or the socket */
    uint32_t ring_order;
    void *base; /* the channel's pages */
    size_t len;
    uint64_t pool_base, pool_size, dev_base, dev_size; /* windows offered by the worker */
    uint32_t seen;                                     /* latest event count anybody has seen */

    /* local only */
    int event_in, event_out;
    uint32_t req_id;
    pthread_mutex_t ctl;  /* one control request at a time */
    pthread_mutex_t wait; /* guards count, leader, gone */
    pthread_cond_t wake;
    uint32_t count;
    int leader, gone;
    uint64_t chunks; /* ids in use */
};

struct gvm_conn_ops {
    const char *name;
    uint32_t first_chunk; /* pages of a first chunk that is had without delay; 0: none is */

    /* Opens the device or socket: -ENOENT, -ENXIO, -ENODEV: it is not there (yet). */
    int (*open)(struct gvm_conn *c);

    /* Creates the channel with 2^ring_order ring pages and maps it; `window_try` as in
     * struct vgpu_ctl_req. The windows are only told, not reserved. After a failure, and to try
     * other windows, close and open again. */
    int (*create)(struct gvm_conn *c, uint32_t ring_order, uint32_t window_try);

    /* Adds npages of pool memory; map() then maps it exactly at `at`, or anywhere if NULL. A chunk
     * that is not mapped, or is unmapped by the caller, is given back with drop(). */
    int (*pool_add)(struct gvm_conn *c, uint32_t npages, struct gvm_chunk *out);
    int (*pool_map)(struct gvm_conn *c, struct gvm_chunk *k, void *at, void **out);
    void (*pool_drop)(struct gvm_conn *c, struct gvm_chunk *k);

    /* Rings the worker's doorbell. */
    void (*notify)(struct gvm_conn *c);

    /* Waits until the event count differs from *seen and stores the new one. 0, -ETIMEDOUT after
     * timeout_ms (0: only look), -EPIPE, -EINTR. Any number of threads may wait. */
    int (*wait)(struct gvm_conn *c, uint32_t *seen, int timeout_ms);

    /* Unmaps the channel and closes; the worker ends. Harmless when nothing is open. */
    void (*close)(struct gvm_conn *c);
};

extern const struct gvm_conn_ops gvm_conn_xen;
extern const struct gvm_conn_ops gvm_conn_local;

/*
 * Chooses the transport (GVM_SOCKET set: local, else /dev/vgpu0), waits a bounded time for a
 * device that is not there yet (GVM_WAIT_MS; default 10 s in a Xen guest on the first try, else
 * not at all) and leaves it open, no channel created. 0 or -errno, with one line logged.
 */
int gvm_conn_open(struct gvm_conn *c);

/* Maps `len` octets of fd at `off`, shared; at != NULL: exactly there, over own reservation. */
int gvm_conn_map(int fd, uint64_t off, void *at, size_t len, void **out);

#endif
