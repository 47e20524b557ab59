/* SPDX-License-Identifier: MIT */
/*
 * share.h - what this process exports to others of its guest, and what it imports from them: the
 * worker's end of the broker's share.c, and events that several processes use.
 */
#ifndef GVM_WORKER_SHARE_H
#define GVM_WORKER_SHARE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dom0-backend/transport/handoff.h"

struct wk;
struct wk_event;
struct wk_stream;
struct wk_wait;
struct dev_share;

#define WK_HANDLE 32 /* octets of a handle as the guest holds it */

/* A question to the broker, waited for by a call. */
struct wk_question {
    struct wk_question *next;
    struct wk_msg msg; /* then the answer */
    int fd;            /* of the answer; -1: none */
    bool answered;
};

/* A handle, and what it stands for in this process. */
struct wk_handle {
    struct wk_handle *next;
    const void *thing; /* NULL: at dptr */
    uint64_t dptr;
    uint8_t handle[WK_HANDLE];
};

struct wk_shares {
    pthread_mutex_t lock;
    pthread_cond_t come;
    struct wk_question *asked;
    uint32_t seq;
    /* Allocations with a handle, of cuMemAlloc or a pool. */
    struct wk_handle *mem;
    /* What the broker knows this process to count as others do: memory that it has imported, at an
     * address or as an object, and objects that it has exported. */
    struct wk_handle *held;
    /* Streams that wait for events of other processes; a thread of its own looks after them. */
    pthread_cond_t work;
    struct wk_wait *waits;
    bool watching;
    _Atomic bool used; /* something was exported or imported */
};

void wk_shares_init(struct wk_shares *s);
void wk_shares_fini(struct wk_shares *s);

/* control.c: the broker's answer; takes the descriptor. */
void wk_share_answer(struct wk *w, const struct wk_msg *m, int fd);
/* The broker is gone: nobody will answer. */
void wk_share_cut(struct wk *w);

/* dev_config.segment; arg: struct wk. */
int wk_segment(void *arg, uint64_t bytes);

/* Exports under a new token: the guest's handle. The descriptor stays the caller's. CUresult. */
int wk_share_export(struct wk *w, enum wk_share_kind kind, const struct dev_share *s,
                    uint8_t handle[WK_HANDLE]);
/* What a handle of the guest's stands for; s->fd is the caller's to close. *own: exported by this
 * very process. 1: nothing, for this guest. */
int wk_share_import(struct wk *w, enum wk_share_kind kind, const uint8_t *handle, uint32_t len,
                    struct dev_share *s, bool *own);
void wk_share_forget(struct wk *w, const uint8_t handle[WK_HANDLE]);
/* What the handle stands for is counted by this process, as `thing` or at dptr... */
void wk_share_holds(struct wk *w, const void *thing, uint64_t dptr,
                    const uint8_t handle[WK_HANDLE]);
/* ...and is about not to be; for all handles of it. */
void wk_share_lets_go(struct wk *w, const void *thing, uint64_t dptr);
/* The allocation is gone: so is its handle. */
void wk_share_freed(struct wk *w, uint64_t base);

/* ---- events: sync.c's words are in a page that all processes map which have the event open */

struct wk_common;

/* 0, with a new page or that of the descriptor (closed); CUresult. */
int wk_common_new(struct wk *w, int fd, struct wk_common **out);
/* One user less: the event itself, a record or wait on its way. */
void wk_common_put(struct wk_common *c);
/* The next record of the event, in `s`. */
int wk_common_record(struct wk *w, struct wk_common *c, struct wk_stream *s);
/* `s` waits for the last record, whoever made it. */
int wk_common_wait(struct wk *w, struct wk_common *c, struct wk_stream *s);
int wk_common_query(struct wk_common *c);
int wk_common_sync(struct wk *w, struct wk_common *c);
/* Its descriptor, which stays the event's. */
int wk_common_fd(const struct wk_common *c);

#endif
