/* SPDX-License-Identifier: MIT */
/*
 * context.h - contexts of this process and which is current where. In the worker they are one; here
 * it is known what each has created, so that destroying it destroys that.
 */
#ifndef GVM_CONTEXT_H
#define GVM_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#define GVM_CTX_STACK 64

struct CUctx_st {
    uint32_t flags;
    uint32_t api_version;
    uint64_t id;
    bool dead; /* destroyed; the struct stays, other threads may still have it current */
    struct CUctx_st *next;
};

extern struct CUctx_st gvm_primary;

/* Creates one and pushes it. NULL with *err set. */
struct CUctx_st *gvm_ctx_create(uint32_t flags, uint32_t api_version, int *err);
/* Ends it and all that was created in it. 1, 201, 709: it is none (any more). */
int gvm_ctx_destroy(struct CUctx_st *c);

/* True if c is or was a context of this process. */
bool gvm_ctx_known(const struct CUctx_st *c);

/* The current one and the stack of this thread; NULL: none. */
static inline struct CUctx_st *gvm_ctx_current(void)
{
    extern __thread void *gvm_ctx_top
        __attribute__((tls_model("initial-exec"), visibility("hidden")));

    return gvm_ctx_top;
}
int gvm_ctx_push(struct CUctx_st *c); /* 2: the stack is full */
struct CUctx_st *gvm_ctx_pop(void);
int gvm_ctx_set(struct CUctx_st *c); /* NULL: pops */

/* The program's (not the runtime's) hold of the primary context. 201: it has none. */
void gvm_primary_retain(void);
int gvm_primary_release(void);
/* Ends what the primary context holds; whoever holds it still does. */
int gvm_primary_reset(void);

#endif
