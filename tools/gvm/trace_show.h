/* SPDX-License-Identifier: MIT */
/*
 * trace_show.h - a process's ring (dom0-backend/transport/trace_ring.h) as text. The ring is untrusted:
 * its worker may have been taken over by the guest. Slots are copied, then looked at.
 */
#ifndef GVM_TOOL_TRACE_SHOW_H
#define GVM_TOOL_TRACE_SHOW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dom0-backend/transport/trace_ring.h"
#include "vgpuif.h"

#define TRACE_HANGING_NS 500000000u /* a call that takes longer is shown before it is over */

struct trace_pending {
    struct tr_slot begin;
    bool open, shown;
};

struct trace_ring {
    const struct tr_head *map; /* TR_SIZE octets */
    struct tr_msg who;
    uint64_t next; /* number of the next slot to read, from 0 */
    bool ended;    /* the worker is gone: what is not over will not be */
    struct trace_pending lane[VGPU_LANES];
};

/*
 * Prints what has come since the last time, at most `most` calls that are over; returns their number.
 * to_clock: nanoseconds from CLOCK_MONOTONIC to the time of day.
 */
unsigned long trace_show(FILE *f, struct trace_ring *r, int64_t to_clock, unsigned long most);

#endif
