/* SPDX-License-Identifier: MIT */
/*
 * sched.h - shares GPUs between tenants: a thread that reads what workers want from their guests'
 * pages, asks gpushare.c, and opens and shuts the gates. While a tenant has a GPU to itself its gate is
 * open and this thread asleep.
 *
 * All functions belong to the broker's thread.
 */
#ifndef GVM_BROKER_SCHED_H
#define GVM_BROKER_SCHED_H

#include <stdint.h>

struct broker;
struct tenant;
struct sched_member;

/* A tenant on a GPU, from its first worker to its last. `device`: what tells it from other GPUs; the
 * tenant stays until the member is removed. NULL: out of memory. */
struct sched_member *sched_add(struct broker *b, struct tenant *tenant, const char *device,
                               uint32_t weight, uint32_t cap);
void sched_remove(struct sched_member *m);
void sched_set(struct sched_member *m, uint32_t weight, uint32_t cap);
/* Nanoseconds of the GPU's time that it was charged; 0 for all the time that it was alone. */
uint64_t sched_used(const struct sched_member *m);

#endif
