/* SPDX-License-Identifier: MIT */
/*
 * trace.h - records and their results into the ring of gvm trace. While nobody traces, the drain
 * thread looks at one pointer for each batch of records, and at nothing for each record.
 */
#ifndef GVM_WORKER_TRACE_H
#define GVM_WORKER_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tr_head;
struct wk;
struct wk_lane;
struct vgpu_rec;
struct vgpu_result;

struct wk_trace {
    _Atomic(struct tr_head *) ring; /* NULL: nobody traces */
    _Atomic uint32_t users;         /* threads that may be writing */
};

/* On the control thread. Starts to write into the memfd (the caller's to close); an earlier ring is
 * given up. 0 or -errno. */
int wk_trace_start(struct wk *w, int fd);
void wk_trace_stop(struct wk *w);

static inline bool wk_traced(struct wk_trace *t)
{
    return atomic_load_explicit(&t->ring, memory_order_relaxed) != NULL;
}

/* The record, before it is run. Any thread. */
void wk_trace_begin(struct wk *w, const struct vgpu_rec *rec);
/* Its result. Any thread. */
void wk_trace_end(struct wk *w, const struct vgpu_rec *h, const struct vgpu_result *res);

#endif
