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
    bool pool_direct;             /* kernels reach pool memory at the address it has here */
};
extern struct gvm_state gvm;

/* 1 while the connection may be used; lies in a page that a forked child sees as 0. */
extern uint32_t *gvm_usable_word;

/* Connects unless connected. 0 or a CUresult: 100 no device, 46 the backend refuses, 3 in a forked
 * child of a process that was connected, 4 during exit, 2 no memory. */
int gvm_connect(void);

/* The channel into *c, connecting if needed. */
static inline int gvm_need(struct gvm_chan **c)
{
    if (__builtin_expect(__atomic_load_n(gvm_usable_word, __ATOMIC_ACQUIRE) == 0, 0)) {
        int err = gvm_connect();

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

/* 4 during exit, 3 in a forked child of a connected process, else 0: for calls that need no
 * connection. */
int gvm_stale(void);

/* Ends the connection; the next call makes a new one, with a new worker. Calls under way in other
 * threads are the program's mistake, as in CUDA. */
void gvm_disconnect(void);

/* Takes out of the description what this library does not implement. */
void gvm_features(struct vgpu_device_info *d, bool pool_direct);

/* Everything that the process has allocated. */
extern struct gvm_ranges gvm_allocs;

/* Called by state.c right after a connection was made and right before one ends. */
void gvm_objects_reset(void);

#endif
