/* SPDX-License-Identifier: MIT */
/*
 * cuda_stage.h - copies of pool memory that must not be pinned (dev_config.no_pin).
 */
#ifndef GVM_CUDA_STAGE_H
#define GVM_CUDA_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dev;
struct dev_stream;

/* Makes pinned buffers and threads; only with no_pin. 0 or a CUresult. */
int cudev_stage_open(struct dev *d);
/* Whether a copy of host memory at `host` has to be staged. */
bool cudev_stage_owns(struct dev *d, const void *host);
/* A step of stream s: n octets from host to dev (in) or from dev to host. Returns at once. 1: not
 * all of it is device memory. */
int cudev_stage_copy(struct dev *d, struct dev_stream *s, bool in, uint64_t dev, void *host,
                     size_t n);
/* The same for staging buffers of the guest's library, which nothing else uses. put: the host's octets
 * have been read when it returns. get: when they are there, stores value at `where` and calls
 * told(arg) (any thread; must not block), also if the context faults. At most 2 MiB. Returns at once:
 * 0, a CUresult, or DEV_NOT_STAGED: it is to be done as a step of the stream. */
int cudev_stage_put(struct dev *d, struct dev_stream *s, uint64_t dev, const void *host, size_t n);
int cudev_stage_get(struct dev *d, struct dev_stream *s, void *host, uint64_t dev, size_t n,
                    uint32_t *where, uint32_t value, void (*told)(void *arg), void *arg);
/* Lends a hand, for a piece. True: copies are under way. */
bool cudev_stage_look(struct dev *d);
/* Returns when no copy uses [addr, addr + n) any more: the memory is about to go. Work of the
 * streams has been waited for, or the context has faulted. */
void cudev_stage_leave(struct dev *d, const void *addr, size_t n);
/* No copy is under way, or about to be. */
bool cudev_stage_idle(struct dev *d);
/* Around calls of the driver that may wait for the device while they keep other calls out: loading
 * code is one. No copy is under way between the two, as its pieces could never be issued; hold
 * waits for those that are, for at most a second (one may follow work that waits for more work),
 * and others begin after release. Nothing is done without no_pin. */
void cudev_stage_hold(struct dev *d);
void cudev_stage_release(struct dev *d);

#endif
