/* SPDX-License-Identifier: MIT */
/*
 * graph.h - graphs of this process. They live here: building, querying and capturing them sends
 * nothing. An executable graph is a copy of its graph at instantiation; its description is sent
 * (protocol/graph_proto.h) then, and again before a launch when its parameters were changed.
 */
#ifndef GVM_GRAPH_H
#define GVM_GRAPH_H

#include "api.h"
#include "objects.h"
#include "graph_proto.h"

#define GVM_GRAPH_MAGIC 0x67726170u
#define GVM_NODE_MAGIC  0x6e6f6465u
#define GVM_EXEC_MAGIC  0x65786563u
#define GVM_USER_MAGIC  0x75736572u

#define GVM_NATTR 17 /* CUlaunchAttributeID 0..16 */

struct CUgraphNode_st;
struct gvm_edge {
    struct CUgraphNode_st *n;
    CUgraphEdgeData data;
};

struct gvm_kernel_node {
    struct gvm_func *f;
    CUkernel kern;                /* what the program named, if it was a CUkernel */
    struct gvm_launch l;          /* its stream and parameters unused */
    uint8_t *buf;                 /* the flat parameters */
    void **ptrs;                  /* one for each, for queries */
    CUlaunchAttributeValue *attr; /* GVM_NATTR of them, NULL: none was set */
};

struct CUgraphNode_st {
    uint32_t magic;
    uint32_t pos; /* in its graph */
    uint64_t id;  /* unique in the process */
    struct CUgraph_st *graph;
    CUgraphNodeType type;
    bool disabled; /* in executable graphs */
    struct gvm_edge *dep, *out;
    size_t ndep, nout, dep_cap, out_cap;
    union {
        struct gvm_kernel_node k;
        CUDA_MEMCPY3D copy;
        CUDA_MEMSET_NODE_PARAMS set;
        CUDA_HOST_NODE_PARAMS host;
        struct CUgraph_st *child;
        uint64_t event;
        CUDA_MEM_ALLOC_NODE_PARAMS alloc;
        CUdeviceptr free;
        CUDA_BATCH_MEM_OP_NODE_PARAMS mem;
        struct {
            uint64_t number;
            CUgraphConditionalNodeType type;
            unsigned n;
            CUgraph *body;
        } cond;
    };
    CUgraphNode orig; /* of what it is a copy; may be gone */
    uint64_t orig_id;
    uint32_t first, last, seen; /* while a description is made or the graph is walked */
};

struct gvm_user_ref {
    CUuserObject o;
    uint32_t count;
};

/* A condition that kernels may set; the program's handle is its number. */
struct gvm_cond {
    uint64_t number;
    uint32_t value;
    uint32_t flags;
    bool used; /* by a node */
};

struct CUgraph_st {
    uint32_t magic;
    uint64_t id;
    CUgraphNode *v; /* in the order in which they were added */
    uint32_t n, cap;
    bool owned; /* by a child node or an executable graph: not the program's to destroy */
    CUgraphNode parent;
    struct gvm_user_ref *user;
    uint32_t nuser;
    struct gvm_cond *cond;
    uint32_t ncond;
    uint32_t captures; /* under way into it */
    struct CUgraph_st *next;
};

/* Guards all of it. */
extern pthread_mutex_t gvm_graph_lock;

/* ---- graph.c ----------------------------------------------------------------------------- */

bool gvm_graph_valid(CUgraph g);
bool gvm_node_valid(CUgraphNode n);
CUgraph gvm_graph_new(void);
void gvm_graph_free(CUgraph g);
/* A copy with the same order of nodes. NULL: no memory. */
CUgraph gvm_graph_copy(CUgraph g);
/* A node of this type after `deps`; its parameters are still to be set. 1, 2. */
int gvm_node_add(CUgraph g, CUgraphNodeType type, const CUgraphNode *deps,
                 const CUgraphEdgeData *data, size_t n, CUgraphNode *out);
void gvm_node_remove(CUgraphNode n);
/* The node of `g` that is the copy of `n`; NULL: none. */
CUgraphNode gvm_node_copy_of(CUgraph g, CUgraphNode n);
/* All nodes in an order that keeps the edges, in order[0..n). False: there is a circle, or (with
 * *err 2) no memory. */
bool gvm_graph_order(CUgraph g, CUgraphNode *order, int *err);

/* ---- graph_params.c: parameters of nodes; all check and copy deeply, nothing is changed on
 * failure. */
int gvm_set_kernel(CUgraphNode n, const CUDA_KERNEL_NODE_PARAMS *p);
/* From a launch that is being captured. */
int gvm_set_launch(CUgraphNode n, struct gvm_func *f, const struct gvm_launch *l);
int gvm_set_copy(CUgraphNode n, const CUDA_MEMCPY3D *p);
int gvm_set_fill(CUgraphNode n, const CUDA_MEMSET_NODE_PARAMS *p);
int gvm_set_host(CUgraphNode n, const CUDA_HOST_NODE_PARAMS *p);
int gvm_set_event(CUgraphNode n, CUevent e);
int gvm_set_child(CUgraphNode n, CUgraph child);
int gvm_set_mem_ops(CUgraphNode n, const CUDA_BATCH_MEM_OP_NODE_PARAMS *p);
/* api_memop.c: 0, or what is wrong with operations on words in memory. */
int gvm_mem_ops_check(unsigned count, const CUstreamBatchMemOpParams *p, unsigned flags);
/* As the worker gets one of them. */
struct vgpu_mem_op gvm_mem_op_wire(const CUstreamBatchMemOpParams *p);
int gvm_params_copy(CUgraphNode to, const struct CUgraphNode_st *from);
void gvm_params_free(CUgraphNode n);

/* One end of a copy as it stands at this moment. */
enum gvm_place { GVM_PLACE_DEVICE, GVM_PLACE_POOL, GVM_PLACE_HOST, GVM_PLACE_ARRAY };
struct gvm_copy_end {
    enum gvm_place place;
    uint64_t addr; /* of the box's first octet */
    uint64_t pitch, height;
    CUarray array;
    uint64_t x, y, z;
};
void gvm_copy_ends(const CUDA_MEMCPY3D *p, struct gvm_copy_end *dst, struct gvm_copy_end *src);

/* ---- graph_mem.c: memory that graphs allocate; with the lock held but where it says otherwise */

/* Nodes that allocate come and go. */
void gvm_graph_mem_ref(CUgraphNode n);
void gvm_graph_mem_unref(CUgraphNode n);
bool gvm_graph_has_mem(CUgraph g);
bool gvm_graph_mem_taken(CUgraph g);
/* 1: what it allocates was not freed since its last launch. */
int gvm_graph_mem_launch(CUgraph g, bool auto_free);
/* Without the lock: gives back what nobody has any more. */
void gvm_graph_mem_trim(void);
int gvm_graph_add_alloc(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                        const CUgraphEdgeData *data, size_t n, CUDA_MEM_ALLOC_NODE_PARAMS *p);
int gvm_graph_add_free(CUgraphNode *out, CUgraph g, const CUgraphNode *deps,
                       const CUgraphEdgeData *data, size_t n, CUdeviceptr dptr);

/* ---- graph_cond.c: conditional nodes; with the lock held */

bool gvm_graph_has_cond(CUgraph g);
int gvm_set_cond(CUgraphNode n, CUDA_CONDITIONAL_NODE_PARAMS *p);
int gvm_cond_copy(CUgraphNode to, const struct CUgraphNode_st *from);
void gvm_cond_free(CUgraphNode n);
/* The node goes; another may have its condition. */
void gvm_cond_release(CUgraphNode n);

/* ---- capture.c --------------------------------------------------------------------------- */

/* A launch of the graph in a stream that captures; with the lock held. As in capture.h. */
int gvm_cap_graph(uint64_t stream);

/* ---- graph_user.c ------------------------------------------------------------------------ */
void gvm_user_drop_all(CUgraph g);
int gvm_user_copy(CUgraph to, CUgraph from);

#endif
