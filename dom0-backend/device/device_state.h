/* SPDX-License-Identifier: MIT */
/*
 * device_state.h - the state of an idle device, written by one process and read by another, in which
 * everything gets the addresses and handles that it had.
 *
 * Written: save(), then for each object its part, then save_contents(). Read in the same order, on a
 * device that was just opened. What is read came from a guest in the end: everything is checked, a
 * wrong word makes the call fail (a CUresult), never more.
 *
 * Objects that have memory of their own (modules, arrays, graphs) are made by the calls that made
 * them first, between claim() and claimed(), which give them their memory at its addresses.
 */
#ifndef GVM_DEVICE_STATE_H
#define GVM_DEVICE_STATE_H

#include <stdint.h>

#include "dom0-backend/device/device.h"

struct dev_array;
struct dev_exec;
struct dev_memory;
struct dev_mempool;
struct dev_mipmap;

/* A file, as the device sees it. Failures stay: what is got is zero then. */
struct dev_state {
    void (*put)(struct dev_state *s, const void *p, size_t n);
    void (*get)(struct dev_state *s, void *p, size_t n);
    bool failed;   /* out of room, cut short, or not readable */
    uint64_t when; /* the device's own: the time, one for all that a file says of it. 0 at first */
};

enum dev_owner { DEV_OWNER_MODULE, DEV_OWNER_ARRAY, DEV_OWNER_MIPMAP, DEV_OWNER_EXEC };

struct dev_state_ops {
    /* Whether everything that was issued is complete. */
    bool (*idle)(struct dev *d);
    /* NULL, or what keeps the state of an idle device from being saved: a few words. */
    const char *(*unfit)(struct dev *d);

    /* Memory, without its contents; pools; limits. mem: the objects of cuMemCreate that have a
     * handle, `n` of them. */
    int (*save)(struct dev *d, struct dev_state *s, struct dev_memory *const *mem, uint32_t n);
    int (*load)(struct dev *d, struct dev_state *s, struct dev_memory **mem, uint32_t n);

    /* NULL: the legacy default stream, which is there already. */
    int (*save_stream)(struct dev *d, struct dev_state *s, struct dev_stream *v);
    int (*load_stream)(struct dev *d, struct dev_state *s, bool legacy, struct dev_stream **out);
    int (*save_event)(struct dev *d, struct dev_state *s, struct dev_event *e);
    int (*load_event)(struct dev *d, struct dev_state *s, struct dev_event **out);

    /* The addresses of what an object has; the next object that is made takes them. claimed(): 1 if
     * it did not take them all. */
    int (*save_claim)(struct dev *d, struct dev_state *s, enum dev_owner kind, const void *object);
    int (*claim)(struct dev *d, struct dev_state *s);
    int (*claimed)(struct dev *d);
    /* The next texture or surface object that is made gets this handle. */
    int (*claim_handle)(struct dev *d, uint64_t handle);

    /* Attributes of a module's kernels. */
    int (*save_funcs)(struct dev *d, struct dev_state *s, struct dev_module *m);
    int (*load_funcs)(struct dev *d, struct dev_state *s, struct dev_module *m);

    /* Pools have numbers from 0 on; NULL: there is no such pool, that one is destroyed, or it is, or is
     * not, the default one. */
    uint32_t (*mempool_number)(struct dev *d, struct dev_mempool *p);
    struct dev_mempool *(*mempool_at)(struct dev *d, uint32_t number, bool is_default);

    /* The octets of all memory. After loading: 1 if something was left that belongs to nobody. */
    int (*save_contents)(struct dev *d, struct dev_state *s, struct dev_memory *const *mem,
                         uint32_t n);
    int (*load_contents)(struct dev *d, struct dev_state *s, struct dev_memory *const *mem,
                         uint32_t n);
};

#endif
