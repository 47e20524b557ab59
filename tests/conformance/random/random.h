/* SPDX-License-Identifier: MIT */
/*
 * random.h - what the parts of the random call sequences share.
 *
 * A sequence is a function of its seed alone: it never depends on what a call returned, but for
 * whether an object exists. What two devices may answer differently (is this stream idle?) is
 * printed after `~`. Memory is used by one stream at a time: touch() waits for the one before, so
 * that every digest has one right value.
 */
#ifndef GVM_TEST_RANDOM_H
#define GVM_TEST_RANDOM_H

#include "kernels.h"

#define THREADS 3
#define BUFFERS 8
#define PINNED  4
#define PAGED   3
#define STREAMS 5
#define EVENTS  5
#define MAX     (1u << 20) /* octets of the largest buffer */

struct memory {
    uint8_t *p;
    size_t size;
    int dirty;  /* key of the stream whose work may still use it, or 0 */
    int pooled; /* by cudaMallocAsync */
};

struct sequence {
    uint64_t random;
    int thread; /* that makes the call at hand */
    struct memory device[BUFFERS], pinned[PINNED], paged[PAGED];
    cudaStream_t stream[STREAMS];
    cudaEvent_t event[EVENTS];
    int recorded[EVENTS], timed[EVENTS];
    CUfunction add, set, indices;
};

/* Prints the call and its result, and is the result. */
#define R(rc, ...) random_say(q, (int)(rc), '=', __VA_ARGS__)
/* Likewise, where the result depends on what has been done already. */
#define R_SOON(rc, ...) random_say(q, (int)(rc), '~', __VA_ARGS__)

int random_say(struct sequence *q, int rc, char how, const char *fmt, ...);
/* 0 to n - 1 */
unsigned random_below(struct sequence *q, unsigned n);
/* True once in n. */
int random_once_in(struct sequence *q, unsigned n);

struct random_stream {
    cudaStream_t s;
    int key; /* of the queue that it is, never 0 */
    char name[12];
};
/* One that exists, of all kinds. */
struct random_stream random_stream(struct sequence *q);
/* Waits for other streams' work on m, then work of key uses it. */
void touch(struct sequence *q, struct memory *m, int key);
/* After anything that waited for all streams. */
void all_clean(struct sequence *q);
/* One that exists, or NULL. */
struct memory *some(struct sequence *q, struct memory *m, int n);

/* Steps: each makes one call or a few. */
void step_memory(struct sequence *q);
void step_host_memory(struct sequence *q);
void step_copy(struct sequence *q);
void step_box(struct sequence *q);
void step_fill(struct sequence *q);
void step_query(struct sequence *q);
void step_launch(struct sequence *q);
void step_stream(struct sequence *q);
void step_event(struct sequence *q);
void step_capture(struct sequence *q);

#endif
