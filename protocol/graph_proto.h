/* SPDX-License-Identifier: MIT */
/*
 * graph_proto.h - the description of a graph that GraphInstantiate carries in the pool.
 *
 * struct vgpu_graph_head, then `nnode` nodes in an order in which each comes after those that it
 * depends on. A node: struct vgpu_graph_node, ndeps indices of earlier nodes (u32, padded to 8),
 * then the parameters that its type names (padded to 8); `bytes` is the length of all of it.
 *
 * The nodes of a conditional node's bodies follow it, one body after the other, and depend on nodes
 * of the same body only. After all nodes come `ncond` struct vgpu_graph_cond: the conditions, whose
 * numbers kernels take as parameters: an aligned word of a kernel's parameters that is one of these
 * numbers becomes what the device calls the condition.
 */
#ifndef VGPU_GRAPH_PROTO_H
#define VGPU_GRAPH_PROTO_H

#include <stdint.h>

#define VGPU_GRAPH_MAGIC     0x48504756u /* "VGPH" */
#define VGPU_GRAPH_MAX_BYTES (64u << 20)

enum vgpu_graph_type {
    VGPU_NODE_EMPTY,
    VGPU_NODE_KERNEL,       /* struct vgpu_graph_kernel, parameters */
    VGPU_NODE_COPY,         /* struct vgpu_copy3d (calls.h) */
    VGPU_NODE_FILL,         /* struct vgpu_graph_fill */
    VGPU_NODE_CALL,         /* u32 number of the guest's function, u32 0 */
    VGPU_NODE_EVENT_RECORD, /* u32 event, u32 0 */
    VGPU_NODE_EVENT_WAIT,   /* u32 event, u32 0 */
    VGPU_NODE_MEM,          /* u32 number of struct vgpu_mem_op, u32 0, then these */
    VGPU_NODE_COND,         /* struct vgpu_graph_choice, then for each body u32 number of nodes */
    VGPU_NODE_TYPES
};

struct vgpu_graph_head {
    uint32_t magic;
    uint32_t nnode;
    uint32_t ncond;
    uint32_t reserved; /* 0 */
};

struct vgpu_graph_cond {
    uint64_t number;
    uint32_t value;       /* at each launch, if flags & 1 */
    uint32_t flags;       /* CU_GRAPH_COND_ASSIGN_DEFAULT */
    uint32_t owner, body; /* the graph to which it belongs: a body of this node */
};
#define VGPU_COND_TOP UINT32_MAX /* owner: none, the graph itself */

struct vgpu_graph_choice {
    uint64_t number;
    uint32_t type;  /* VGPU_COND_*, CUgraphConditionalNodeType */
    uint32_t nbody; /* if: 1 or 2, while: 1, switch: 1..VGPU_COND_BODIES */
};
enum { VGPU_COND_IF, VGPU_COND_WHILE, VGPU_COND_SWITCH };
#define VGPU_COND_BODIES 4096u
#define VGPU_COND_DEPTH  16u /* conditional nodes inside one another */

struct vgpu_graph_node {
    uint32_t bytes; /* of the node, a multiple of 8 */
    uint16_t type;
    uint16_t flags; /* VGPU_NODE_DISABLED */
    uint32_t ndeps;
    uint32_t reserved; /* 0 */
};
#define VGPU_NODE_DISABLED 1u

struct vgpu_graph_kernel {
    uint32_t module, func;
    uint32_t shmem, flags; /* flags 1: cooperative */
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t cluster[3];
    uint32_t params_len;
};

/* One word that a stream waits for or writes; StreamMemOps carries up to VGPU_MEM_OPS of them. */
struct vgpu_mem_op {
    uint32_t op; /* VGPU_MEM_*, CUstreamBatchMemOpType */
    uint32_t
        flags; /* of a wait: VGPU_WAIT_*, CUstreamWaitValue_flags; of a barrier 0 or 1; else 0 */
    uint64_t addr; /* of a word of the device's or of pool memory, aligned to its size */
    uint64_t value;
};
#define VGPU_MEM_OPS 256u
enum {
    VGPU_MEM_WAIT32 = 1,
    VGPU_MEM_WRITE32 = 2,
    VGPU_MEM_WAIT64 = 4,
    VGPU_MEM_WRITE64 = 5,
    VGPU_MEM_BARRIER = 6
};
enum { VGPU_WAIT_GEQ, VGPU_WAIT_EQ, VGPU_WAIT_AND, VGPU_WAIT_NOR };

struct vgpu_graph_fill {
    uint64_t dst, pitch, width, height; /* width in elements */
    uint32_t value, elem;
};

#endif
