/* SPDX-License-Identifier: MIT */
/*
 * state.h - the one connection of this process: made at the first call that needs it, useless in a
 * forked child, ended by exit or by a reset of the primary context.
 */
#ifndef GVM_STATE_H
#define GVM_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "calls.h"
#include "chan.h"
#include "ranges.h"

struct gvm_state {
    struct gvm_chan *chan;        /* NULL: not connected */
    struct vgpu_device_info info; /* of the device, valid while connected */
    uint32_t epoch;               /* counts connections: objects of an older one are invalid */
    bool launch_blocking;         /* CUDA_LAUNCH_BLOCKING: a launch waits for its kernel */
    bool pool_direct;             /* kernels reach pool memory at the address it has here */
};
extern struct gvm_state gvm;

/* Not 0 while the connection may be used; the first word of a page that a forked child sees as 0. */
extern uint32_t gvm_usable_word[];
enum {
    GVM_USABLE_IDLE = 2,   /* connected; the primary context is not active */
    GVM_USABLE_ACTIVE = 1, /* connected, the primary context is active */
};

/* The calling thread's current context, NULL: none. */
extern __thread void *gvm_ctx_top __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* What gvm_need() does when a look at these two is not enough. */
int gvm_need_slow(void);

/* Connects unless connected. 0 or a CUresult: 100 no device, 46 the backend refuses, 3 in a forked
 * child of a process that was connected, 4 during exit, 2 no memory. */
int gvm_connect(void);

/* The channel into *c, connecting if needed; no context becomes current. */
static inline int gvm_need_chan(struct gvm_chan **c)
{
    if (__builtin_expect(__atomic_load_n(gvm_usable_word, __ATOMIC_ACQUIRE) == 0, 0)) {
        int err = gvm_connect();

        if (err)
            return err;
    }
    *c = gvm.chan;
    return 0;
}

/* The channel into *c for a call that needs a context: the primary one becomes the thread's unless
 * it has one. Functions of the driver's interface have checked that it has (api_need()). */
static inline int gvm_need(struct gvm_chan **c)
{
    if (__builtin_expect(__atomic_load_n(gvm_usable_word, __ATOMIC_ACQUIRE) != GVM_USABLE_ACTIVE ||
                             !gvm_ctx_top,
                         0)) {
        int err = gvm_need_slow();

        if (err)
            return err;
    }
    *c = gvm.chan;
    return 0;
}

/* The channel if there is a usable one; never connects. */
static inline struct gvm_chan *gvm_usable(void)
{
    return __atomic_load_n(gvm_usable_word, __ATOMIC_ACQUIRE) ? gvm.chan : NULL;
}

/* 4 during exit, 3 in a forked child of a process that had begun, else 0: for calls that need no
 * connection. */
int gvm_stale(void);

/* From now on a forked child is without CUDA, and calls after this process's exit handlers fail. */
int gvm_mark_begun(void);

/* After a reset with a sticky error: the process gets no further context (46), as natively. */
void gvm_mark_lost(void);

/* The primary context has become active, or is no more. */
void gvm_set_primary_active(bool active);
bool gvm_primary_active(void);

/* Ends the connection; the next call makes a new one, with a new worker. Calls under way in other
 * threads are the program's mistake, as in CUDA. */
void gvm_disconnect(void);

/* What CUDA_VISIBLE_DEVICES leaves, given the device, or before it is known (NULL): 0, 100 nothing,
 * 101 a device named twice. */
int gvm_visible(const struct vgpu_device_info *d);

/* Takes out of the description what this library does not implement. */
void gvm_features(struct vgpu_device_info *d, bool pool_direct);

/* Everything that the process has allocated. */
extern struct gvm_ranges gvm_allocs;

/* Called by state.c right after a connection was made and right before one ends. */
void gvm_objects_reset(void);

#endif
