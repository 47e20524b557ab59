/* SPDX-License-Identifier: MIT */
/*
 * capture.h - what the rest of the driver library asks about stream capture. While no capture is
 * open in this process all of it is one look at a word.
 *
 * Functions that return an int answer -1 when the call has nothing to do with a capture and goes
 * on; else it is the call's result: 0 when it was captured, or the error.
 */
#ifndef GVM_CAPTURE_H
#define GVM_CAPTURE_H

#include "core.h"

struct gvm_event;
struct gvm_box;

extern uint32_t gvm_captures; /* open; atomic */

static inline bool gvm_capturing(void)
{
    return __builtin_expect(__atomic_load_n(&gvm_captures, __ATOMIC_ACQUIRE) != 0, 0);
}

/* Leaves the calling function if the call was captured or is not allowed now. */
#define GVM_CAPTURE(call)                                                                          \
    do {                                                                                           \
        if (gvm_capturing()) {                                                                     \
            int capture_rc = (call);                                                               \
                                                                                                   \
            if (capture_rc >= 0)                                                                   \
                return capture_rc;                                                                 \
        }                                                                                          \
    } while (0)

int gvm_cap_launch(uint64_t stream, struct gvm_func *f, const struct gvm_launch *l);
int gvm_cap_copy2d(uint64_t stream, uint64_t dst, size_t dpitch, uint64_t src, size_t spitch,
                   size_t width, size_t height, enum gvm_dir dir, bool sync);
int gvm_cap_box(uint64_t stream, const struct gvm_box *b, bool sync);
int gvm_cap_fill(uint64_t stream, uint64_t dst, size_t pitch, uint32_t value, unsigned elem,
                 size_t width, size_t height, bool sync);
int gvm_cap_alloc(uint64_t stream, uint64_t bytes, uint64_t *dptr);
int gvm_cap_free(uint64_t stream, uint64_t dptr);
int gvm_cap_host(uint64_t stream, void (*fn)(void *arg), void *arg);
int gvm_cap_record(uint64_t stream, uint64_t event, struct gvm_event *e, bool external);
int gvm_cap_wait(uint64_t stream, uint64_t event, const struct gvm_event *e, bool external);
/* ops: CUstreamBatchMemOpParams that have been checked. */
int gvm_cap_mem_ops(uint64_t stream, unsigned count, const void *ops);
/* The stream is to be destroyed: with the one in which a capture began the capture ends too. */
void gvm_cap_leave(uint64_t stream);
/* Something on a stream that cannot be captured. */
int gvm_cap_refuse(uint64_t stream);
/* Waiting for a stream, or asking it. */
int gvm_cap_ask(uint64_t stream);
/* Waiting for everything: never allowed while anything is captured. */
int gvm_cap_everything(void);
/* A launch on this stream has failed: if it is being captured, the capture has failed too. */
void gvm_cap_spoil(uint64_t stream);
/* A call that may wait for, or interfere with, streams of this or other threads. */
int gvm_cap_unsafe(void);
/* Waiting for an event, asking it or its time: 907 if its last record was captured. */
int gvm_cap_event(const struct gvm_event *e);
/* The event is recorded outside of captures, or ends. */
void gvm_cap_forget(struct gvm_event *e);

#endif
