/* SPDX-License-Identifier: MIT */
/*
 * worker_fixture.h - both ends of a channel in plain memory: a worker's state on the mock device,
 * drained by the test itself, and a guest that writes records raw or through the generated stubs.
 */
#ifndef WORKER_FIXTURE_H
#define WORKER_FIXTURE_H

#include "dom0-backend/worker/worker.h"
#include "stubs.h"
#include "tests/unit/mock_dev.h"

#define FIX_ORDER VGPU_RING_ORDER_MIN
#define FIX_POOL  (256u << 10) /* chunk 0 */

struct fix {
    struct wk w;
    void *base;
    struct vgpu_channel guest;
    struct vgpu_producer prod;
    uint8_t *pool;
    unsigned rings;        /* times the worker rang the guest */
    const char *violation; /* by a lane thread */
    struct wk_stats stats;
    struct tenant_page tenant;
};

/* The guest end as the generated stubs see it. lane: of the calls made from now on. */
struct gvm_chan {
    struct fix *f;
    uint16_t lane;
    uint32_t ticket; /* of the last record begun */
    bool lazy;       /* posted records are only published, not drained at once */
};

struct fix *fix_new(bool inline_blocking);
void fix_free(struct fix *f);

/* Publishes a record with this payload; returns its place in the ring, to spoil it. Does not
 * drain. */
struct vgpu_rec *fix_put(struct fix *f, uint16_t op, uint16_t lane, uint32_t flags,
                         const void *payload, uint32_t len);
/* Drains all there is. NULL, or the violation. */
const char *fix_drain(struct fix *f);
/* Waits, at most 10 s, until the ticket is answered on the lane; the status, or -1. */
int fix_wait_reply(struct fix *f, uint32_t lane, uint32_t ticket);

#endif
