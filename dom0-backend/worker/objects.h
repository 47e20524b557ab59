/* SPDX-License-Identifier: MIT */
/*
 * objects.h - the guest's handles: numbers minted by the guest, translated to device objects here
 * and nowhere else.
 *
 * An object is in the table under its id until it is destroyed, and is held by every call that uses
 * it meanwhile. The device object is destroyed when the last holder lets go, so that a guest thread
 * that destroys what another one is using hurts nobody.
 */
#ifndef GVM_WORKER_OBJECTS_H
#define GVM_WORKER_OBJECTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dom0-backend/device/device.h"

struct wk;
struct wk_common;
struct wk_lane;
struct dev_jit_option;

#define WK_ID_MIN 16u /* smaller ids have fixed meanings */
#define WK_ID_MAX 65535u

#define WK_STREAM_LEGACY0  0u
#define WK_STREAM_LEGACY1  1u
#define WK_STREAM_PER_LANE 2u

/* In the order of enum vgpu_handle (protocol/gen/spec.py, HANDLES). */
enum wk_objkind {
    WK_OBJ_STREAM,
    WK_OBJ_EVENT,
    WK_OBJ_MODULE,
    /* The rest are struct wk_thing. */
    WK_OBJ_ARRAY,
    WK_OBJ_TEXTURE, /* texture and surface objects */
    WK_OBJ_GRAPH,
    WK_OBJ_EXEC, /* instantiated graphs */
    WK_OBJ_MEMPOOL,
    WK_OBJ_LINKER,
    WK_OBJ_MEMORY, /* physical memory of cuMemCreate */
    WK_OBJ_KINDS
};

struct wk_obj {
    enum wk_objkind kind;
    uint32_t id;     /* 0: not in the table */
    uint32_t refs;   /* table, calls under way */
    uint32_t pins;   /* device callbacks that will still touch the struct */
    bool dead;       /* the device object is gone */
    uint64_t serial; /* as ids are used again */
};

struct wk_stream {
    struct wk_obj o;
    struct wk *w;
    struct dev_stream *s; /* NULL: legacy default stream */
    uint64_t issued;      /* posted operations; under flow_lock, as the next */
    uint64_t done;        /* of those, known complete */
    /* The last operation was to store this value in this counter; of the drain thread, but that
     * others may add operations. */
    _Atomic bool marked;
    uint32_t mark_counter, mark_value;
};

struct wk_event {
    struct wk_obj o;
    struct dev_event *e;
    uint32_t counter;         /* slot, < VGPU_COUNTERS */
    struct wk_common *common; /* what other processes see of it; NULL: nothing */
    bool opened, exported;
    uint8_t handle[32]; /* exported */
};

struct wk_module {
    struct wk_obj o;
    struct dev_module *m;
    unsigned nfunc;
    unsigned nglobal;
    uint64_t image_len;    /* charged against the images' budget */
    uint32_t *param_bytes; /* nfunc: end of the last parameter */
    /* What it was made of, if this worker may be saved. */
    uint8_t *image;
    struct dev_jit_option *opt;
    unsigned nopt;
    bool options; /* made by ModuleLoadEx */
};

/* An object that the worker itself knows nothing about. */
struct wk_thing {
    struct wk_obj o;
    void *p;     /* the device's object */
    uint64_t v;  /* a number that belongs to it, as its maker likes */
    void *extra; /* freed with the struct */
    /* Destroys the device object; CUresult. */
    int (*destroy)(struct wk *w, struct wk_thing *t);
};

struct wk_objects {
    pthread_mutex_t lock;
    struct wk_obj **tab[WK_OBJ_KINDS]; /* WK_ID_MAX + 1 entries each */
    uint32_t top[WK_OBJ_KINDS];        /* largest id used so far */
    uint64_t serial;                   /* of the object entered last */
};

int wk_objects_init(struct wk_objects *t);
/* Destroys all objects left, for wk_fini(). */
void wk_objects_fini(struct wk *w);

/* Looks `id` up and holds the object for the lane's call. NULL: no such object. */
struct wk_obj *wk_obj_hold(struct wk_lane *lane, enum wk_objkind kind, uint32_t id);
/* True if `id` may be given to a new object. */
bool wk_obj_unused(struct wk *w, enum wk_objkind kind, uint32_t id);
/* Enters a zeroed, filled object under an id; false if the id was taken meanwhile. */
bool wk_obj_enter(struct wk *w, struct wk_obj *o, enum wk_objkind kind, uint32_t id);
/* Takes the object, held by this call, out of the table. Destroys the device object at once, and
 * returns the device's answer, unless another call still uses it: then 0, and the last one does
 * it. */
int wk_obj_remove(struct wk_lane *lane, struct wk_obj *o);
/* Lets go of one hold. */
void wk_obj_release(struct wk *w, struct wk_obj *o);
/* A device callback will touch the struct: keep the memory until wk_obj_unpin(). Any thread. */
void wk_obj_pin(struct wk *w, struct wk_obj *o);
void wk_obj_unpin(struct wk *w, struct wk_obj *o);

/* Enters a device object under an id that the guest minted. On failure (2, 400) the object has been
 * destroyed. */
int wk_thing_enter(struct wk *w, enum wk_objkind kind, uint32_t id, void *p,
                   int (*destroy)(struct wk *w, struct wk_thing *t));
/* What to keep of the call that made the object (copied, n octets), if this worker may be saved. */
int wk_thing_made(struct wk *w, enum wk_objkind kind, uint32_t id, const void *call, size_t n);

/* Makes a stream that is in no table (a lane's own). CUresult. */
int wk_stream_new(struct wk *w, unsigned flags, int priority, struct wk_stream **out);

#endif
