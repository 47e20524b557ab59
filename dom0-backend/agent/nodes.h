/* SPDX-License-Identifier: MIT */
/*
 * nodes.h - the toolstack's half of a vgpu in XenStore: both directories, made and removed.
 */
#ifndef GVM_NODES_H
#define GVM_NODES_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

#include "dom0-backend/agent/spec.h"

#define VGPU_MAX_DEVICES 16 /* per domain */

/* The domain's UUID, 36 characters. 0 or -ENOENT. */
int nodes_domain_uuid(struct xs_handle *xs, uint32_t domid, char uuid[37]);

/*
 * Creates device *devid of domain `front` (UINT32_MAX: the first free number, stored there) in one
 * transaction. 0; -EEXIST: there is such a device; -ENOSPC: no number is free; -ESRCH: no such
 * domain; -ENOENT: no such backend domain; another -errno of XenStore.
 */
int nodes_create(struct xs_handle *xs, uint32_t front, uint32_t *devid,
                 const struct vgpu_spec *spec);

/*
 * Waits at most `timeout_s` seconds until the backend has looked at a new device. 0: it offers it;
 * -EIO: it refuses, the reason is in `why`; -ETIMEDOUT: it says nothing (no gvm-backd runs there).
 */
int nodes_wait_offer(struct xs_handle *xs, uint32_t front, uint32_t devid, unsigned timeout_s,
                     char *why, unsigned why_n);

/*
 * Asks the backend to close the device, waits at most `timeout_s` seconds for it, and removes both
 * directories. 0; 1: the backend did not answer, removed all the same; -ENOENT: no such device.
 */
int nodes_detach(struct xs_handle *xs, uint32_t front, uint32_t devid, unsigned timeout_s);

/*
 * Writes those of mem, weight, cap and processes that `spec` gives into the backend's directory; it
 * takes them over while the device is in use. 0, -ENOENT: no such device, or another -errno.
 */
int nodes_set(struct xs_handle *xs, uint32_t front, uint32_t devid, const struct vgpu_spec *spec);

/* What the backend's directory says now. 0, -ENOENT: no such device, or -EINVAL. */
int nodes_get(struct xs_handle *xs, uint32_t front, uint32_t devid, struct vgpu_spec *spec);

/* Has any domain a backend's directory for this device? */
bool nodes_has_back(struct xs_handle *xs, uint32_t front, uint32_t devid);

/* Removes the frontend's directory of a device whose backend's domain is gone. 0, -ENOENT: there is
 * none; or -errno. */
int nodes_remove_front(struct xs_handle *xs, uint32_t front, uint32_t devid);

/* Removes what is left of a device. `back`: the backend's domain. 0 or -errno. */
int nodes_remove(struct xs_handle *xs, uint32_t front, uint32_t back, uint32_t devid);

/* Removes `path`, and then each parent that is empty, up to but without `stop`. 0 or -errno. */
int nodes_prune(struct xs_handle *xs, xs_transaction_t t, char *path, const char *stop);

/* Removes /local/domain/<any>/backend/vgpu/<front>, of a domain that is gone. */
void nodes_remove_domain(struct xs_handle *xs, uint32_t front);

/* Removes /local/domain/<back>/backend/vgpu if it is empty, which the last device leaves it. 0;
 * -ENOTEMPTY: there are devices, or it is not there; or another -errno. */
int nodes_remove_empty(struct xs_handle *xs, uint32_t back);

/*
 * For each device directory in any domain's backend/vgpu: fn(arg, back, front, devid). A driver
 * domain sees its own only.
 */
void nodes_each_back(struct xs_handle *xs,
                     void (*fn)(void *arg, uint32_t back, uint32_t front, uint32_t devid),
                     void *arg);

#endif
