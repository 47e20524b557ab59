/* SPDX-License-Identifier: MIT */
/*
 * check.h - GVM_PTX_CHECK=1: races on shared memory, and reads of shared memory that nobody wrote. A
 * kernel is lowered with a micro-op in front of each access to shared memory; it looks at a shadow of
 * the memory, which says for each octet who wrote and read it last. Two threads' accesses, one a
 * write and not both atomic, race unless a barrier of the block, or one of their warp, came between.
 * Which threads a barrier was for is not looked at, so that some races go unseen; what is reported is
 * one. Lanes of one instruction that write to one place are left alone.
 */
#ifndef GVM_PTX_CHECK_H
#define GVM_PTX_CHECK_H

#include "exec.h"

enum { CHECK_READ, CHECK_WRITE, CHECK_ATOMIC };

struct check_access {
    uint16_t thread; /* in the block, + 1; 0: none */
    uint32_t epoch, warp_epoch;
    uint32_t line;
};
struct check_shadow {
    struct check_access write, read[2]; /* the last writer, the two last readers */
    bool written, atomic;               /* ever; the last write */
};

#endif
