/* SPDX-License-Identifier: MIT */
/*
 * wanted.h - devices whose backend is not dom0, remembered as
 * /local/domain/0/gvm/vgpu/<front>/<devid>/entry, which only dom0 sees. When their backend's domain
 * goes, its half of them goes with it; the entry is what is left to make them of again. Each has one
 * from nodes_create() to nodes_remove().
 */
#ifndef GVM_WANTED_H
#define GVM_WANTED_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

#include "dom0-backend/agent/spec.h"

/* Remembers a device. 0 or -errno. */
int wanted_put(struct xs_handle *xs, xs_transaction_t t, uint32_t front, uint32_t devid,
               const struct vgpu_spec *spec);

bool wanted_has(struct xs_handle *xs, xs_transaction_t t, uint32_t front, uint32_t devid);

/* What is remembered, if anything is, follows a change of mem, weight, cap, processes. 0 or -errno.
 */
int wanted_change(struct xs_handle *xs, xs_transaction_t t, uint32_t front, uint32_t devid,
                  const struct vgpu_spec *change);

/* Forgets a device (UINT32_MAX: all of the domain `front`), in a transaction of its own. */
void wanted_forget(struct xs_handle *xs, uint32_t front, uint32_t devid);

/* For each device that is remembered: fn(arg, front, devid, entry). */
void wanted_each(struct xs_handle *xs,
                 void (*fn)(void *arg, uint32_t front, uint32_t devid, const char *entry),
                 void *arg);

#endif
