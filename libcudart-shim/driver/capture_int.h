/* SPDX-License-Identifier: MIT */
/*
 * capture_int.h - what the files of stream capture share. All of it under gvm_graph_lock, unless it
 * says otherwise; errors are CUresults.
 */
#ifndef GVM_CAPTURE_INT_H
#define GVM_CAPTURE_INT_H

#include "capture.h"
#include "graph.h"

enum {
    GVM_CAP_ILLEGAL_STATE = 401,
    GVM_CAP_UNSUPPORTED = 900,
    GVM_CAP_INVALIDATED = 901,
    GVM_CAP_MERGE = 902,
    GVM_CAP_UNMATCHED = 903,
    GVM_CAP_UNJOINED = 904,
    GVM_CAP_ISOLATION = 905,
    GVM_CAP_IMPLICIT = 906,
    GVM_CAP_CAPTURED_EVENT = 907,
    GVM_CAP_WRONG_THREAD = 908
};

#define GVM_CAP_GONE UINT64_MAX /* the number of a stream that was destroyed */

struct gvm_cap_set {
    CUgraphNode *v;
    CUgraphEdgeData *zero; /* as many, for queries */
    size_t n;
};

struct gvm_cap_member {
    uint64_t stream;
    const void *thread; /* whose per-thread stream it is, NULL: another stream */
    bool blocking;
    struct gvm_cap_set set;
    struct gvm_cap_member *next;
};

struct gvm_capture {
    uint64_t id;
    CUgraph g;
    bool into; /* a graph of the program */
    bool open, invalid;
    CUstreamCaptureMode mode;
    const void *thread;             /* that began it */
    struct gvm_cap_member *members; /* the last one is the first stream */
    uint32_t refs;                  /* open, events */
    struct gvm_capture *next;
};

extern struct gvm_capture *gvm_cap_first; /* open ones */
/* Of the calling thread. */
extern __thread CUstreamCaptureMode gvm_cap_mode __attribute__((tls_model("initial-exec")));
/* An address that stands for the calling thread. */
const void *gvm_cap_self(void);

static inline bool gvm_cap_is_legacy(uint64_t stream)
{
    return stream <= GVM_STREAM_LEGACY;
}

/* Replaces a set by n nodes, or adds them: 0 or 2. */
int gvm_cap_set_put(struct gvm_cap_set *s, const CUgraphNode *v, size_t n);
int gvm_cap_set_join(struct gvm_cap_set *s, const CUgraphNode *v, size_t n);

/* The capture that a stream is in, NULL: none, and *m its member. */
struct gvm_capture *gvm_cap_find(uint64_t stream, struct gvm_cap_member **m);
/* A use of the legacy stream would make it depend on a blocking stream that captures: true, and those
 * captures are invalid. */
bool gvm_cap_implicit(void);
/* 0 with the capture of the stream, or NULL for none; else the error. */
int gvm_cap_look(uint64_t stream, struct gvm_capture **c, struct gvm_cap_member **m);
/* One user less. */
void gvm_cap_put(struct gvm_capture *c);

/* Without the lock: starts a node of the stream's capture, -1: there is none. The lock is held when it
 * returns 0. */
int gvm_cap_begin(uint64_t stream, CUgraphNodeType type, CUgraphNode *n, struct gvm_cap_member **m);
/* Ends it, and lets go of the lock. rc: what filling it in has given. */
int gvm_cap_end(CUgraphNode n, struct gvm_cap_member *m, int rc);

/* Without the lock: begins a capture, into a graph of the program (to_graph) or a new one. */
int gvm_cap_open(CUstream stream, CUgraph into, bool to_graph, const CUgraphNode *deps, size_t n,
                 CUstreamCaptureMode mode);
/* Ends it. *out: its graph, of which nothing is left if it is not wanted. */
int gvm_cap_close(uint64_t stream, CUgraph *out, bool wanted);

#endif
