/* SPDX-License-Identifier: MIT */
#ifndef GVM_WORKER_COPY3D_H
#define GVM_WORKER_COPY3D_H

#include "calls.h"
#include "dom0-backend/device/device_copy.h"
#include "dom0-backend/worker/worker.h"

/* Checks a guest's description of a copy, `len` octets at `desc`, and resolves what it names; the
 * objects and chunks are held until the lane's call ends. CUresult. */
int wk_copy3d_resolve(struct wk_lane *lane, const void *desc, uint32_t len, struct dev_copy *out);

#endif
