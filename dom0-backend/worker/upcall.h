/* SPDX-License-Identifier: MIT */
/*
 * upcall.h - functions that live in the guest and run at a point of a stream or graph.
 *
 * The device reaches the point and reports it (wk_upcall_reached, any thread); a thread of the
 * guest, blocked in an UpcallWait call, gets the number, runs the function and says so with its
 * next UpcallWait, upon which the device goes on. No thread of the device or its driver waits for
 * the guest, so that calls of other streams are reached meanwhile.
 */
#ifndef GVM_WORKER_UPCALL_H
#define GVM_WORKER_UPCALL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct wk;
struct wk_lane;
struct dev_gate;

enum wk_upcall_state {
    WK_UPCALL_IDLE,    /* a graph's, between launches */
    WK_UPCALL_PENDING, /* issued, not reached */
    WK_UPCALL_DUE,     /* reached, to be handed to the guest */
    WK_UPCALL_RUNNING,
    WK_UPCALL_DONE,
};

struct wk_upcall {
    struct wk *w;
    uint32_t id;   /* the guest's number */
    bool on_error; /* the guest is called although the context has faulted */
    bool kept;     /* belongs to a graph: not freed when done */
    bool orphan;   /* kept, and its graph went while the guest runs it */
    enum wk_upcall_state state;
    bool reached;          /* once: the device will not touch it any more */
    struct dev_gate *gate; /* of the run under way */
    struct wk_upcall *next, *prev;
};

struct wk_upcalls {
    pthread_mutex_t lock;
    pthread_cond_t come;
    struct wk_upcall *pending;     /* once only, in no order */
    struct wk_upcall *due, **tail; /* in the order in which they were reached */
    struct wk_upcall *running;     /* what the guest was given last */
    bool waiting, stop;
    struct wk_lane *waiter; /* whose call waits */
};

void wk_upcalls_init(struct wk_upcalls *u);
void wk_upcalls_fini(struct wk_upcalls *u);

/* A call for one run; NULL: out of memory. wk_upcall_cancel() if the device did not take it. */
struct wk_upcall *wk_upcall_once(struct wk *w, uint32_t id, bool on_error);
void wk_upcall_cancel(struct wk_upcall *c);
/* A call that a graph makes at each launch; dropped with the graph. */
struct wk_upcall *wk_upcall_kept(struct wk *w, uint32_t id);
void wk_upcall_drop(struct wk_upcall *c);

/* A dev_call_fn; arg: struct wk_upcall. */
void wk_upcall_reached(void *arg, struct dev_gate *gate);

/* Whether a function of the guest's program runs, or is about to. */
bool wk_upcalls_busy(struct wk *w);

/* The context has faulted: the guest is told of the calls that will not be reached. */
void wk_upcalls_fault(struct wk *w);

#endif
