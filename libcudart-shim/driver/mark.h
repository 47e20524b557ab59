/* SPDX-License-Identifier: MIT */
/* mark.h - waiting by a counter that the device writes. */
#ifndef GVM_MARK_H
#define GVM_MARK_H

#include "objects.h"

/* Each waits as its name says: 0, an error, or -1: not possible now, ask the worker. Printed text and
 * latched errors are the caller's business. */
int gvm_mark_stream(struct gvm_chan *c, const struct gvm_sref *s);
int gvm_mark_all(struct gvm_chan *c);
/* n octets, at most 480, from device memory, after what the stream holds. */
int gvm_mark_fetch(struct gvm_chan *c, const struct gvm_sref *s, void *dst, uint64_t src,
                   uint32_t n);

/* The program has made a stream, or uses that of a thread for the first time; has destroyed one. */
void gvm_stream_made(bool blocking);
void gvm_stream_gone(void);
/* A new connection has none. */
void gvm_streams_reset(void);
/* How many were ever made; with the number from before it, after everything was waited for: what
 * has been destroyed by then has no work left. */
uint32_t gvm_streams_count(void);
void gvm_streams_idle(uint32_t count);

#endif
