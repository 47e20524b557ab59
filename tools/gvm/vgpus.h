/* SPDX-License-Identifier: MIT */
/*
 * vgpus.h - all vgpus of this machine: what XenStore says of them, and what gvm-backd counts.
 */
#ifndef GVM_TOOL_VGPUS_H
#define GVM_TOOL_VGPUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <xenstore.h>

#include "tools/gvm/backd.h"

struct vgpu {
    uint32_t front, back, devid;
    char name[64];   /* of the domain; "local" for a daemon without Xen */
    char device[64]; /* index or GPU-UUID */
    uint64_t bstate, fstate;
    uint64_t mem;    /* quota in bytes, 0: all */
    uint64_t weight; /* 0: not known */
    char error[300];
    const struct vgpu_device *use; /* NULL: this daemon knows nothing of it */
};

struct vgpus {
    char path[128];   /* the daemon's socket */
    struct sample *s; /* NULL: it does not answer; errno is kept in err */
    int err;
    struct vgpu *v;
    unsigned n;
};

/* xs: NULL for a local daemon. Returns NULL without memory. */
struct vgpus *vgpus_get(struct xs_handle *xs, const char *backd);
void vgpus_free(struct vgpus *l);

/* "connected", "changing" (the two ends differ), ... */
const char *vgpu_state_name(const struct vgpu *v);

/* Is `backd` (or GVM_BACKD) a local daemon, which has no XenStore? */
bool vgpus_local(const char *backd);

/* One object with all of it: {"daemon":{...},"vgpus":[...]}; `rates` may add members to a vgpu's
 * (p NULL) and to a process's object, each beginning with a comma. */
void vgpus_json(FILE *f, const struct vgpus *l,
                void (*rates)(FILE *f, void *arg, const struct vgpu *v,
                              const struct vgpu_process *p),
                void *arg);

#endif
