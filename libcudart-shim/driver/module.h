/* SPDX-License-Identifier: MIT */
/*
 * module.h - modules and kernels inside the driver library.
 */
#ifndef GVM_MODULE_H
#define GVM_MODULE_H

#include "core.h"
#include "state.h"

#define GVM_MODULE_MAGIC 0x6d6f6475u
#define GVM_FUNC_MAGIC   0x66756e63u
#define GVM_SHAPES       8

struct gvm_param {
    uint32_t offset;
    uint32_t size;
};

/* A shape of launches that has been accepted, and what all launches of it have in common. Kept as
 * long as the module's struct. */
struct gvm_shape {
    uint32_t epoch;    /* atomic; of the connection, 0: must be accepted again */
    uint32_t len;      /* of the record, header included */
    uint64_t block_xy; /* as dim3 has them in memory */
    uint64_t shmem;
    uint64_t grid_xy; /* of some launch before: each of the three is within the limits */
    uint32_t grid_z, block_z;
    uint32_t nparam;
    uint64_t streams; /* stream handles below this one take the shortest way */
    const struct gvm_param *params;
    uint64_t head; /* of the record, but for the lane */
    struct vgpu_in_Launch start;
    struct gvm_shape *next; /* all of a function */
};

struct gvm_func {
    uint32_t magic;
    uint32_t index; /* in its module */
    uint32_t module_id;
    uint32_t epoch;
    uint32_t nparam;
    uint32_t param_bytes; /* of the flat buffer */
    const struct gvm_param *params;
    bool gaps; /* the buffer has octets that belong to no parameter */
    bool have_attr;
    bool asked; /* atomic: the worker has been told to load it */
    /* Shapes (block, shared memory, cluster) that a replied launch has accepted; see launch.c.
     * Atomic, 0: empty. */
    uint64_t shape[GVM_SHAPES];
    uint32_t shape_next;
    struct gvm_shape *last;   /* atomic; of the last launch without attributes */
    struct gvm_shape *shapes; /* all that were made */
    uint32_t nshapes;
    uint64_t shape_ex; /* of the last launch with attributes; see launch_ex.c */
    int32_t attr[16];
    uint32_t need_cluster[3]; /* that the kernel itself asks for; all 0: none, or not known yet */
    struct gvm_module *module;
    const char *name;
};

struct gvm_module {
    uint32_t magic;
    uint32_t id; /* on the wire */
    uint32_t epoch;
    uint32_t nfunc;
    struct gvm_func *funcs;
    struct gvm_param *params; /* of all functions */
    char *names;
    void *owner;             /* context that loaded it */
    struct gvm_module *next; /* all loaded modules */
};

/* 1: geometry that the device cannot have at all. */
int gvm_launch_check(const struct gvm_launch *l);

/* 912: the grid does not consist of whole clusters, those of the launch or of the kernel. */
int gvm_check_cluster(const struct gvm_func *f, const struct gvm_launch *l);
/* After the first launch of a shape was accepted: what gvm_check_cluster() has to know. */
void gvm_learn_cluster(struct gvm_func *f);
/* What the worker has told of a kernel. */
void gvm_func_learn(struct gvm_func *f, const int32_t attr[16]);
/* Another launch of each shape must be accepted first. */
void gvm_shapes_forget(struct gvm_func *f);

/* All modules are gone with their connection; their structs stay, marked invalid. */
void gvm_modules_reset(void);

#endif
