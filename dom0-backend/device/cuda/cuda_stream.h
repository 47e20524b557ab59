/* SPDX-License-Identifier: MIT */
/* cuda_stream.h - copies, streams and events of device/cuda; see device.h. */
#ifndef GVM_CUDA_STREAM_H
#define GVM_CUDA_STREAM_H

#include "cuda_int.h"

int cudev_copy_h2d(struct dev *d, struct dev_stream *s, uint64_t dst, const void *src, size_t n);
int cudev_copy_in(struct dev *d, struct dev_stream *s, uint64_t dst, const void *src, size_t n);
int cudev_copy_d2h(struct dev *d, struct dev_stream *s, void *dst, uint64_t src, size_t n);
int cudev_copy_d2d(struct dev *d, struct dev_stream *s, uint64_t dst, uint64_t src, size_t n);
int cudev_fill(struct dev *d, struct dev_stream *s, uint64_t dst, size_t pitch, uint32_t value,
               unsigned elem, size_t width, size_t height);

int cudev_stream_create(struct dev *d, unsigned flags, int priority, struct dev_stream **out);
int cudev_stream_destroy(struct dev *d, struct dev_stream *s);
int cudev_stream_query(struct dev *d, struct dev_stream *s);
int cudev_stream_sync(struct dev *d, struct dev_stream *s);
int cudev_stream_wait(struct dev *d, struct dev_stream *s, struct dev_event *e);
int cudev_stream_host(struct dev *d, struct dev_stream *s, void (*fn)(void *arg), void *arg);
int cudev_stream_write32(struct dev *d, struct dev_stream *s, uint32_t *where, uint32_t value,
                         void (*done)(void *arg), void *arg);
int cudev_ctx_sync(struct dev *d);
bool cudev_settle(struct dev *d);
void *cudev_landing(struct dev *d, size_t n);

int cudev_event_create(struct dev *d, unsigned flags, struct dev_event **out);
int cudev_event_destroy(struct dev *d, struct dev_event *e);
int cudev_event_record(struct dev *d, struct dev_event *e, struct dev_stream *s);
int cudev_event_record_write32(struct dev *d, struct dev_event *e, struct dev_stream *s,
                               uint32_t *where, uint32_t value, void (*done)(void *arg), void *arg);
int cudev_event_query(struct dev *d, struct dev_event *e);
int cudev_event_sync(struct dev *d, struct dev_event *e);
int cudev_event_elapsed(struct dev *d, struct dev_event *a, struct dev_event *b, float *ms);

#endif
