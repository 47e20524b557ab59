/* SPDX-License-Identifier: MIT */
/*
 * settle.h - waiting for a large copy. It takes milliseconds, so polling all the time would cost a
 * core, and being woken costs a part of a millisecond. How long it takes is known, so this sleeps for
 * most of it and polls for the rest.
 */
#ifndef GVM_SETTLE_H
#define GVM_SETTLE_H

#include "objects.h"

#define GVM_SETTLE_MIN (512u << 10) /* octets from which on this is better than StreamSync */

/* Waits until all work of the stream is complete, the last of which is a copy of n octets, posted
 * just now. 0 or a CUresult. */
int gvm_settle(struct gvm_chan *c, const struct gvm_sref *s, uint64_t n, bool to_device);

/* Polls for a counter for up to ns nanoseconds, if polling is allowed. True: it is there. */
bool gvm_settle_poll(struct gvm_chan *c, uint32_t slot, uint32_t value, uint64_t ns);

#endif
