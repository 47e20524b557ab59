/* SPDX-License-Identifier: MIT */
/*
 * worker_int.h - between worker.c and adopt.c.
 */
#ifndef GVM_WORKER_INT_H
#define GVM_WORKER_INT_H

#include "dom0-backend/broker/broker.h"

#define RECORD_MAGIC 0x4756574du

/* run_dir/worker-<id>.<suffix> */
void worker_path(const struct worker *w, const char *suffix, char *buf, size_t n);
void worker_unlink_files(struct worker *w);
struct worker *worker_new(struct broker *b, const struct worker_params *p);
/* Starts to listen to its socket and for its death; it is one of b->workers from now on. */
void worker_link(struct worker *w);
void worker_free(struct worker *w);
/* Field 22 of /proc/PID/stat: start time in ticks, which tells a process from a later one with the
 * same pid. 0: no such process. */
unsigned long long worker_start_time(pid_t pid);

#endif
