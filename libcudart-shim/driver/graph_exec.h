/* SPDX-License-Identifier: MIT */
/*
 * graph_exec.h - executable graphs inside the driver library.
 */
#ifndef GVM_GRAPH_EXEC_H
#define GVM_GRAPH_EXEC_H

#include "graph.h"

/* What a description on the worker's side uses here: given back when its last launch has passed. */
struct gvm_exec_res {
    uint32_t *call; /* numbers of functions (upcall.h) */
    uint32_t ncall, call_cap;
    struct gvm_piece *piece; /* copies from and to ordinary memory */
    bool early;              /* some of them run before each launch */
    struct gvm_event *done;  /* with early ones: the end of the launch before */
    uint32_t value;
    uint32_t *record; /* ids of the events that are recorded, in order */
    uint32_t nrecord, record_cap;
};

struct CUgraphExec_st {
    uint32_t magic;
    uint64_t flags;
    CUgraph g;            /* its own copy */
    struct gvm_obj *wire; /* its id there; NULL: not sent yet */
    struct gvm_exec_res *res;
    bool dirty;    /* parameters have changed since it was sent */
    bool launched; /* a launch has succeeded: the next ones are posted */
    uint64_t last; /* stream of the last launch */
    uint32_t epoch;
    struct CUgraphExec_st *next;
};

bool gvm_exec_valid(CUgraphExec x);
/* graph_wire.c: sends the description. *bad: the node at fault. */
int gvm_exec_send(struct gvm_chan *c, CUgraphExec x, CUgraphNode *bad);
/* Before a launch with early pieces: waits for the launch before, and runs them. */
int gvm_exec_early(struct gvm_chan *c, struct gvm_exec_res *r);
/* Drops what was sent. */
void gvm_exec_drop(struct gvm_chan *c, CUgraphExec x);

#endif
