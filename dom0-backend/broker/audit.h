/* SPDX-License-Identifier: MIT */
/*
 * audit.h - what the GPU's driver says that each worker has of its memory, held against what the
 * worker has counted. Workers keep the quota, and a worker may be in its guest's hands: this is by
 * whom that would be noticed.
 */
#ifndef GVM_BROKER_AUDIT_H
#define GVM_BROKER_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

struct broker;

/* Of one worker. */
struct audit {
    bool known;
    uint64_t base;  /* octets of context, modules and the driver's own: the host's share */
    unsigned times; /* looks in a row at which there was too much */
};

/* One look: `figure` octets are in use, `counted` of them by the guest's allocations. True from the
 * second look in a row on at which there is more than can be explained. */
bool audit_judge(struct audit *a, uint64_t figure, uint64_t counted);

/* Looks every other second, if the driver's management library is there; one line if it is not. */
void audit_start(struct broker *b);

#endif
