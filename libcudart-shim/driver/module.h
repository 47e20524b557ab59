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
    /* Shapes (block, shared memory, cluster) that a replied launch has accepted; see launch.c.
     * Atomic, 0: empty. */
    uint64_t shape[GVM_SHAPES];
    uint32_t shape_next;
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

/* All modules are gone with their connection; their structs stay, marked invalid. */
void gvm_modules_reset(void);

#endif
