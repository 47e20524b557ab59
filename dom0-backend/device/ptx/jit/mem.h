/* SPDX-License-Identifier: MIT */
/* mem.h - what code for loads and stores (mem.c) and for atomics (mem_atom.c) has in common. */
#ifndef GVM_PTX_JIT_MEM_H
#define GVM_PTX_JIT_MEM_H

#include "dom0-backend/device/ptx/addr.h"
#include "jit_int.h"

#define MAX_ELEMS 8 /* of a vector */

struct access {
    struct gen *g;
    const struct jop *j;
    uint32_t i;
    unsigned esz, total;
    LLVMTypeRef et; /* an element in memory */
    LLVMValueRef mask;
    LLVMValueRef good, all_good; /* in the space and aligned; and all lanes are there */
    LLVMBasicBlockRef slow, done;
    bool slows; /* something goes to `slow` */
};

/* After g, j, i, esz and total: the rest, and to where the guard holds in some lane. */
void access_begin(struct access *x);
/* True where all lanes of the part execute it. */
LLVMValueRef all_there(struct access *x);
unsigned elem_bytes(const struct jop *j);
bool in_window(const struct access *x); /* device memory, or any */
/* What x.good says holds for that offset as well. */
bool is_checked(const struct access *x, int64_t off);
/* Address of one lane, or base of an affine one, as 64 bits. */
LLVMValueRef addr_one(struct access *x);
/* Addresses of all lanes. */
LLVMValueRef addr_vec(struct access *x);
/*
 * True where addresses are in the space and aligned: a, and b if it is not NULL; one address or
 * many. The window starts at a multiple of its size, so one mask does for both questions.
 */
LLVMValueRef is_good(struct access *x, LLVMValueRef a, LLVMValueRef b);
/* On to a new block where the condition holds, to the slow path where it does not. */
void require(struct access *x, LLVMValueRef good);
/* The host's address. */
LLVMValueRef host(struct access *x, LLVMValueRef a, bool vector);
/* For the report of a fault: which access, whose lanes, where. all: addresses of lanes, which go to
 * ptx_exec.lane_addr; full: all lanes are there. */
void note_site(struct access *x, LLVMValueRef a, int64_t stride, LLVMValueRef all, bool full);
LLVMValueRef from_mem(struct access *x, LLVMValueRef v, bool vector);
LLVMValueRef to_mem(struct access *x, unsigned k, bool vector);
const struct opd *mem_data(const struct jop *j, unsigned k);
/* Addresses, or numbers, of lanes that are not there become the first one's. */
LLVMValueRef fill_in(struct access *x, LLVMValueRef a);

/* mem_apart.c: lanes a few elements apart. False: these are none, nothing has been done. */
bool load_few_apart(struct access *x, int64_t stride);
/* ... and with them the loads that follow and want other fields of the same words: they are done. The
 * access's blocks are not used. */
bool load_fields(struct access *x, int64_t stride);

/* mem_any.c: lanes at any addresses. */
struct places {
    LLVMValueRef base; /* of 32-bit numbers in lane_addr; or NULL: addresses are there */
    uint64_t scale;
    LLVMValueRef all; /* those numbers or addresses */
    bool hardware;    /* to be loaded from by hardware's instruction */
};
/* Looks at the addresses of all lanes, goes to the slow path if one is bad, and writes them down. */
void find_places(struct access *x, struct places *p);
/* The host's address of a lane, an i64 number in the part. */
LLVMValueRef place_of(struct access *x, const struct places *p, LLVMValueRef lane);
/* The same from the register, not from where it was written down. */
LLVMValueRef place_at(struct access *x, const struct places *p, uint32_t lane);
void scattered(struct access *x);
/* A loop over the lanes of the access's mask, lowest first. */
struct lane_loop {
    LLVMBasicBlockRef from, loop;
    LLVMValueRef rest, lane; /* phi of lanes to do; this one's number, i64 */
};
void lanes_begin(struct access *x, struct lane_loop *l);
void lanes_end(struct access *x, struct lane_loop *l);
/* An array on the stack for one value of every lane, and an element of it. */
LLVMValueRef lane_array(struct gen *g, LLVMTypeRef vector);
LLVMValueRef lane_element(struct gen *g, LLVMValueRef array, LLVMTypeRef et, LLVMValueRef i);

#endif
