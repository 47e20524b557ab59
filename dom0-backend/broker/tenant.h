/* SPDX-License-Identifier: MIT */
/*
 * tenant.h - one guest's device as far as its processes have something in common: what they may have
 * together. A device of a Xen guest, or everybody on one socket of the local transport.
 *
 * The page is a file in run_dir, by which a restarted broker finds it again; local daemons have a
 * memfd. Workers get it before their channel.
 */
#ifndef GVM_BROKER_TENANT_H
#define GVM_BROKER_TENANT_H

#include <stdbool.h>
#include <stdint.h>

#include "dom0-backend/transport/handoff.h"
#include "dom0-backend/broker/backoff.h"
#include "dom0-backend/broker/holds.h"
#include "dom0-backend/transport/tenant.h"

struct broker;
struct host;
struct worker;
struct sched_member;

#define TENANT_WEIGHT 256u /* where none is configured */

struct tenant {
    struct tenant *next;
    char name[32]; /* for log lines, and of the file */
    int fd, efd;   /* of the page; written by workers that want the GPU, or have done with it */
    struct tenant_page *page;
    uint32_t weight, cap;
    unsigned nworker;
    struct sched_member *member;       /* while it has workers */
    struct holds holds;                /* memory that several of its processes have */
    struct backoff backoff;            /* of its channels that could not be made */
    uint64_t gpu_ns;                   /* charged before that */
    struct worker *slot[TENANT_SLOTS]; /* NULL: free */
    struct wk_stats ended;             /* counted by workers that are gone */
};

/* `file`: keep the page in run_dir, where one of an earlier broker may be. NULL after one line. */
struct tenant *tenant_new(struct broker *b, const char *name, bool file);
/* Its workers are gone; removes the file. */
void tenant_free(struct broker *b, struct tenant *t);
/* mem: octets of device memory for all processes together, 0: no limit. May be changed at any time:
 * what is held already stays. */
void tenant_set_mem(struct tenant *t, uint64_t mem);
/* Its part of the GPU's time: weight 1..65535, 0: the default; cap in per cent, 0: none. */
void tenant_set_share(struct tenant *t, uint32_t weight, uint32_t cap);
/* Gives the worker a slot, and the page. 0, -ENOSPC or what worker_send() says. */
int tenant_join(struct tenant *t, struct worker *w);
/* The same for a worker of an earlier broker, which has a slot. */
int tenant_rejoin(struct tenant *t, struct worker *w);
/* GPU time in nanoseconds that was charged while others were there. */
uint64_t tenant_gpu_ns(const struct tenant *t);
/* The worker's process is gone: what it held is free. */
void tenant_leave(struct worker *w);
/* After a change of t->holds. */
void tenant_count_holds(struct tenant *t);
/* After a restart: clears what workers held that are gone. */
void tenant_sweep(struct broker *b);

#endif
