/* SPDX-License-Identifier: MIT */
/* cgroup.h - what a worker may take of this domain's memory, threads and processors (cgroup v2). */
#ifndef GVM_BROKER_CGROUP_H
#define GVM_BROKER_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#define CGROUP_PIDS   1024u /* processes and threads of a worker */
#define CGROUP_WEIGHT 100u  /* of a guest, shared by its workers: the kernel's default */

/* Makes <mount>/gvm, where `mount` is where the cgroup2 file system is, or NULL: looks for it. One
 * line in the log if there will be no limits. */
void cgroup_start(const char *mount);
/* A cgroup for worker `id` with limits of memory (octets, 0: none) and threads. Its cgroup.procs, open
 * for writing, or -1: workers have no limits. */
int cgroup_make(uint32_t id, uint64_t memory);
/* The worker's processor time, as one of `n` workers of its guest. */
void cgroup_weigh(uint32_t id, unsigned n);
/* After the worker's end. */
void cgroup_remove(uint32_t id);

/* Changes memory.max; not to less than is in use, which the kernel would take by force. */
void cgroup_limit(uint32_t id, uint64_t memory);
/* Octets of memory that all workers together can still be given, by limits of what they are in. */
uint64_t cgroup_room(void);

#endif
