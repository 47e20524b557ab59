/* SPDX-License-Identifier: MIT */
/*
 * trace_ring.h - what gvm trace reads: a ring of slots in a memfd that gvm-backd makes, gives to the
 * worker to write into and to the tool to read, and nobody else.
 *
 * The worker never waits for the reader: what is not read in time is overwritten, and the reader sees
 * by the numbers how much that was. The reader trusts nothing in it: a worker may have been taken over
 * by its guest. It copies a slot, looks whether its number was the expected one before and after, and
 * gives the copy to the generated decoder, which checks every length.
 */
#ifndef GVM_TRACE_RING_H
#define GVM_TRACE_RING_H

#include <stdint.h>

#define TR_MAGIC 0x56475452u
#define TR_SLOTS 16384u
#define TR_DATA  208u
#define TR_HEAD  4096u /* octets before the first slot */
#define TR_SIZE  (TR_HEAD + (uint64_t)TR_SLOTS * sizeof(struct tr_slot))

enum tr_kind {
    TR_BEGIN = 1, /* a record is about to be run; data: its header and what follows it */
    TR_END,       /* it has been; data: the reply's payload */
};

struct tr_head {
    uint32_t magic;
    uint32_t slots;
    uint64_t next; /* number of the next slot to be taken, from 0 */
};

struct tr_slot {
    uint64_t seq;  /* its number + 1, stored last; 0 while it is written */
    uint64_t t_ns; /* CLOCK_MONOTONIC */
    uint32_t kind;
    uint32_t len; /* octets of the record or payload, of which at most TR_DATA are here */
    uint32_t ticket;
    int32_t status; /* END: CUresult */
    uint16_t op;
    uint16_t lane;
    uint32_t flags; /* of the record */
    uint64_t reserved;
    uint8_t data[TR_DATA];
};
_Static_assert(sizeof(struct tr_slot) == 256, "a slot is 256 octets");

/* What gvm-backd sends on the socket of `trace`: messages of this size. */
enum tr_type {
    TR_ATTACHED = 1, /* one descriptor: the ring of this process */
    TR_ENDED,        /* its worker is gone */
    TR_BUSY,         /* another gvm trace has it */
};

struct tr_msg {
    uint32_t type;
    uint32_t domid, devid, channel;
    uint32_t pid, uid; /* the guest's */
    uint32_t worker;
    uint32_t reserved;
};

#endif
