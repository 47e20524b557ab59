/* SPDX-License-Identifier: MIT */
/*
 * ctlring.h - the control ring, the backend's end, and lists of grant references. Works on memory
 * that a guest writes at the same time, and knows nothing of XenStore or devices.
 *
 * Responses leave in the order in which work ends, so rsp_prod does not say which requests are
 * answered. The journal does: a page that outlives this process.
 */
#ifndef GVM_CTLRING_H
#define GVM_CTLRING_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/vgpuif.h"

#define __XEN_TOOLS__ 1
#define xen_mb()      __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb()     __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb()     __atomic_thread_fence(__ATOMIC_RELEASE)
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/io/ring.h>

DEFINE_RING_TYPES(vgpu_ctl, struct vgpu_ctl_req, struct vgpu_ctl_rsp);

#define CTL_SLOTS 32

struct ctl_journal {
    uint32_t magic; /* CTL_JOURNAL_MAGIC once the rest is valid */
    uint32_t ring_ref, port;
    uint32_t req_cons;
    uint32_t used;     /* bit per slot: taken from the ring, not known to be answered */
    uint32_t answered; /* bit per slot: the response is at index rsp_at[slot] */
    uint32_t rsp_at[CTL_SLOTS];
    struct vgpu_ctl_req req[CTL_SLOTS];
};
#define CTL_JOURNAL_MAGIC 0x4a565647u

struct ctl_ring {
    struct vgpu_ctl_back_ring r;
    struct ctl_journal *j;
    uint32_t redo; /* slots whose requests are taken again before new ones */
};

/*
 * Starts on `page` (the mapped control ring). The journal continues if it is of the same ring_ref
 * and port, and starts new otherwise. 0, or -EPROTO with *why set: the indices make no sense.
 */
int ctl_ring_attach(struct ctl_ring *c, void *page, struct ctl_journal *j, uint32_t ring_ref,
                    uint32_t port, const char **why);

/*
 * Takes the next request into `copy` and the number under which it is answered into *slot. 1; 0:
 * there is none, and the guest will signal the next one; -EPROTO with *why set: the guest broke the
 * ring, which must not be used further.
 */
int ctl_ring_take(struct ctl_ring *c, struct vgpu_ctl_req *copy, unsigned *slot, const char **why);

/* Answers the request in `slot`. True if the guest wants to be signalled. */
bool ctl_ring_put(struct ctl_ring *c, unsigned slot, const struct vgpu_ctl_rsp *rsp);

/* ---- lists of grant references (vgpuif.h section 2.4) */

struct grant_list {
    uint32_t *refs;
    uint32_t n, want;
};

/* For `want` references, 1..VGPU_MAX_CHUNK_PAGES. 0 or -ENOMEM. */
int grant_list_init(struct grant_list *l, uint32_t want);
void grant_list_free(struct grant_list *l);
/* Adds those of one directory page (a private copy). 1: *next is the page to read next; 0: the list
 * is complete and its references are distinct; -EINVAL with *why set. */
int grant_list_add(struct grant_list *l, const struct vgpu_grant_dir *copy, uint32_t *next,
                   const char **why);

#endif
