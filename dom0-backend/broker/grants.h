/* SPDX-License-Identifier: MIT */
/*
 * grants.h - Xen's gntdev and evtchn devices, as far as the broker needs them, and the helper
 * threads for what a guest could stall. Plain ioctls: the descriptors themselves are handed on.
 */
#ifndef GVM_GRANTS_H
#define GVM_GRANTS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

/* A new event channel descriptor, bound to the guest's port and restricted to that guest. The
 * descriptor (non-blocking) or -errno; *local: the port's number here. */
int evtchn_open_bound(uint32_t domid, uint32_t remote_port, uint32_t *local);
int evtchn_signal(int fd, uint32_t local);
/* Takes what is pending: 1 the port fired, 0 nothing, -errno. It stays masked until unmasked. */
int evtchn_take(int fd, uint32_t local);
void evtchn_unmask(int fd, uint32_t local);

/*
 * A new gntdev descriptor on which `n` references of `domid` are recorded; whoever calls mmap on it
 * at *index maps them. notify_off >= 0: the octet at this offset is cleared and `notify_port`
 * signalled when the mapping goes. The descriptor or -errno.
 */
int gntdev_open_refs(uint32_t domid, const uint32_t *refs, uint32_t n, int64_t notify_off,
                     uint32_t notify_port, uint64_t *index);
/* Maps one page read-write (write) or read-only; MAP_FAILED's errno as -errno. May block for long
 * if the guest's page is paged out: helper threads only. */
int gntdev_map_page(uint32_t domid, uint32_t ref, bool write, void **page);

/* ---- jobs on helper threads */

struct grant_job {
    /* in */
    uint32_t domid;
    bool ring;    /* map one page for good, nothing else */
    uint32_t ref; /* the page, or the first directory page */
    uint32_t npages;
    bool channel; /* bind `port`, and watch over the mapping */
    uint32_t port;
    uint32_t notify_at;                /* offset of the octet */
    void (*done)(struct grant_job *j); /* on the event loop's thread */
    void *arg;
    /* out */
    int err;
    char why[160]; /* "" if there is nothing to say */
    void *page;
    int gnt_fd, evt_fd;
    uint64_t gnt_index;
    uint32_t local_port;
    struct grant_job *next;
};

/* Once, before the first job. 0 or -errno. */
int grant_jobs_init(struct ev_loop *loop);
/* Runs it on a thread of its own and then calls done(). 0 or -errno (then done() is not called). */
int grant_job_start(struct grant_job *j);

#endif
