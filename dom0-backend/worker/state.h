/* SPDX-License-Identifier: MIT */
/*
 * state.h - a worker's state in a file, from which another worker of the same build goes on: for a
 * guest that is suspended here and resumed here or elsewhere.
 *
 * The file: struct wk_state_head, then one zstd frame (with its checksum) of sections in the order
 * of state_save.c. The head is the broker's to look at; the frame is read by a worker that has its
 * system call filter, as its contents are a guest's in the end. Every number in it is checked, and
 * what the guest's calls would check (ids, sizes, images, graphs) is checked by the same code.
 */
#ifndef GVM_WORKER_STATE_H
#define GVM_WORKER_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdint.h>

#include "dom0-backend/device/device_state.h"
#include "dom0-backend/transport/handoff.h"

struct wk;
struct wk_lane;

/* For the drain thread to stand still; see quiet.c. */
struct wk_quiet {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    _Atomic bool wanted;
    bool still, on_ring;
    int wake_fd; /* an eventfd: look at this */
};

/* A stream of octets, compressed; dev_state is what the device sees of it. */
struct wk_state {
    struct dev_state d; /* first */
    int fd;
    bool writing;
    void *zs;           /* ZSTD_CStream or ZSTD_DStream */
    uint8_t *buf, *raw; /* compressed; plain */
    size_t at, len;     /* in buf: consumed, there */
    size_t rat, rlen;   /* in raw */
    uint64_t octets;    /* plain, so far */
    bool ended;         /* the frame is complete */
};

int wk_state_open(struct wk_state *s, int fd, bool writing);
/* Ends the frame (writing), or sees that it has ended (reading). 0 or -errno. */
int wk_state_close(struct wk_state *s);

static inline void wk_put(struct wk_state *s, const void *p, size_t n)
{
    s->d.put(&s->d, p, n);
}
static inline void wk_get(struct wk_state *s, void *p, size_t n)
{
    s->d.get(&s->d, p, n);
}

/* ---- quiet.c: a worker that stands still */

/* Stops to take records and waits, timeout_ms at most, until everything that the guest has asked for
 * is complete. 0: the drain thread stands still until wk_go_on(). Or -EBUSY, and all goes on: *why, a
 * few words. */
int wk_quiet_init(struct wk *w);
int wk_stand_still(struct wk *w, uint32_t timeout_ms, const char **why);
/* From now on the guest's next doorbell is as good as wk_go_on(). */
void wk_go_on_ring(struct wk *w);
void wk_go_on(struct wk *w);
/* The drain thread's part: whether it is to call wk_still(), which returns when it may go on; 0, or
 * -errno when the doorbell is broken. */
static inline bool wk_still_wanted(const struct wk_quiet *q)
{
    return atomic_load_explicit(&q->wanted, memory_order_acquire);
}
int wk_still(struct wk *w, bool *masked);

/* ---- state_save.c, state_load.c */

/* Of a worker that stands still, into fd. 0, or -errno with *why. */
int wk_state_save(struct wk *w, int fd, const char **why);
/* Into a worker that was assigned a channel, has its chunks, and does not drain yet. */
int wk_state_load(struct wk *w, int fd, const char **why);

#endif
