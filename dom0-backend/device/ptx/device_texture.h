/* SPDX-License-Identifier: MIT */
/* device_texture.h - inside of the software device: arrays, and the table of texture objects. */
#ifndef GVM_PTX_DEVICE_TEXTURE_H
#define GVM_PTX_DEVICE_TEXTURE_H

#include <pthread.h>

#include "dom0-backend/device/device_copy.h"
#include "dom0-backend/device/device_texture.h"
#include "dom0-backend/device/ptx/texture.h"

#define OBJECTS_MAX  65536u
#define OBJECTS_PAGE 64u

/* Largest extents, as the device reports them (device_info.c). */
#define MAX_1D            131072u
#define MAX_2D_WIDTH      131072u
#define MAX_2D_HEIGHT     65536u
#define MAX_3D            16384u
#define MAX_LAYERED       32768u
#define MAX_LAYERS        2048u
#define MAX_CUBE_LAYERS   2046u
#define MAX_1D_LINEAR     268435456u
#define MAX_LINEAR_HEIGHT 65000u
#define MAX_LINEAR_PITCH  2097120u

struct object {
    struct ptx_tex tex;
    struct storage *storage; /* kept alive; NULL: linear memory */
    bool gone;               /* destroyed: stays for what was issued before, up to this ticket */
    uint64_t upto;
};

/* Objects that kernels may name. Slots are never freed while the device is open, so that a kernel
 * that uses an object being destroyed reads another object at worst. */
struct objects {
    pthread_mutex_t lock; /* before dev.lock */
    struct object *page[OBJECTS_MAX / OBJECTS_PAGE];
    uint32_t *free, nfree, next, generation;
    uint32_t *gone, ngone; /* slots */
    uint64_t claim;        /* not 0: the next object's handle */
};

void objects_init(struct objects *o);
void objects_fini(struct objects *o);
/* struct ptx_launch's; arg: struct dev. */
const struct ptx_tex *objects_find(void *arg, uint64_t handle);

/* Turns the array of one end of a copy into device memory. 0 or 1: the box does not fit. */
int array_side(const struct dev_copy *c, struct dev_copy_side *s);

extern const struct dev_texture_ops dev_ptx_texture_ops;

#endif
