/* SPDX-License-Identifier: MIT */
/*
 * device_graph.h - functions of the guest inside a stream, and executable graphs.
 *
 * Capture and the building of graphs happen in the guest (libcudart-shim/driver/graph*.c); what
 * arrives here is a finished list of nodes with their edges. The device makes of it whatever runs
 * as one operation of a stream.
 */
#ifndef GVM_DEVICE_GRAPH_H
#define GVM_DEVICE_GRAPH_H

#include "dom0-backend/device/device.h"
#include "dom0-backend/device/device_copy.h"

/* Where a stream, or a node of a graph, waits for a function that runs elsewhere. */
struct dev_gate;
struct dev_exec;

/* What runs when a call is reached: any thread, must not block, must not call the device but for
 * call_done(g). `g` is to be given to call_done(), once for each time that this was called. */
typedef void dev_call_fn(void *arg, struct dev_gate *g);

enum dev_node_type {
    DEV_NODE_EMPTY,
    DEV_NODE_KERNEL,
    DEV_NODE_COPY,
    DEV_NODE_FILL,
    DEV_NODE_CALL,
    DEV_NODE_EVENT_RECORD,
    DEV_NODE_EVENT_WAIT,
    DEV_NODE_MEM,
    DEV_NODE_COND, /* its bodies' nodes follow in the list, one body after the other */
    DEV_NODE_TYPES
};

/* A condition that kernels set. An aligned word of kernels' parameters that is `number` stands for
 * it, and is to be replaced by what the device calls it. */
struct dev_cond {
    uint64_t number;
    uint32_t value; /* at each launch, with `assign` */
    bool assign;
    uint32_t owner, body; /* belongs to this body of this node; owner DEV_COND_TOP: to none */
};
#define DEV_COND_TOP UINT32_MAX
enum { DEV_COND_IF, DEV_COND_WHILE, DEV_COND_SWITCH };

/* cuStreamBatchMemOp: numbers as in CUstreamBatchMemOpType and CUstreamWaitValue_flags. */
enum {
    DEV_MEM_WAIT32 = 1,
    DEV_MEM_WRITE32 = 2,
    DEV_MEM_WAIT64 = 4,
    DEV_MEM_WRITE64 = 5,
    DEV_MEM_BARRIER = 6
};
enum { DEV_WAIT_GEQ, DEV_WAIT_EQ, DEV_WAIT_AND, DEV_WAIT_NOR };
struct dev_mem_op {
    unsigned op;    /* one of these; `flags` and alignment of `addr` have been checked */
    unsigned flags; /* of a wait DEV_WAIT_*, of a barrier 1: of the GPU only */
    uint64_t addr;  /* device or pool memory; the range is the device's to check */
    uint64_t value;
};

struct dev_node {
    enum dev_node_type type;
    const uint32_t *deps; /* indices of nodes before this one in the list */
    uint32_t ndeps;
    bool disabled; /* a kernel, copy or fill that does nothing but keep its place */
    union {
        struct {
            struct dev_func *func;
            struct dev_launch l;
        } kernel;
        struct dev_copy copy;
        struct {
            uint64_t dst;
            size_t pitch, width, height; /* width in elements */
            uint32_t value;
            unsigned elem; /* 1, 2, 4 */
        } fill;
        struct {
            dev_call_fn *fn;
            void *arg;
        } call;
        struct dev_event *event;
        struct {
            const struct dev_mem_op *op;
            unsigned n;
        } mem;
        struct {
            uint64_t number; /* of the condition; may be unknown: 1 */
            unsigned type;   /* DEV_COND_* */
            unsigned nbody;
            const uint32_t *total; /* nodes of each body, with those of the bodies inside */
        } cond;
    };
};

struct dev_graph_ops {
    /* Calls fn(arg, gate) once everything before it in `s` is done; later work of `s` waits until
     * call_done(gate). It is called even if the context has faulted, where the device still can. */
    int (*stream_call)(struct dev *d, struct dev_stream *s, dev_call_fn *fn, void *arg);
    void (*call_done)(struct dev *d, struct dev_gate *g);

    /* Waits for words in memory and writes them, in order; nothing of `op` is kept. 1 for an address
     * that is not device memory or pool memory. */
    int (*stream_mem)(struct dev *d, struct dev_stream *s, const struct dev_mem_op *op, unsigned n);

    /* Makes an executable graph; nothing of `nodes` is kept but functions, events, arrays and
     * `arg`s, which stay valid until exec_destroy(), and `arg`s until what was launched before it
     * is complete. Failure: *bad is the node at fault, or n. */
    int (*exec_create)(struct dev *d, const struct dev_node *nodes, uint32_t n,
                       const struct dev_cond *conds, uint32_t ncond, struct dev_exec **out,
                       uint32_t *bad);
    /* May be called while it executes: what is under way completes first. */
    int (*exec_destroy)(struct dev *d, struct dev_exec *x);
    /* One operation of `s`. An executable graph never overlaps with itself. */
    int (*exec_launch)(struct dev *d, struct dev_exec *x, struct dev_stream *s);
    int (*exec_upload)(struct dev *d, struct dev_exec *x, struct dev_stream *s);
};

extern const struct dev_graph_ops dev_ptx_graph_ops;
extern const struct dev_graph_ops dev_cuda_graph_ops;

#endif
