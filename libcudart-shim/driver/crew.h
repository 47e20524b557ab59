/* SPDX-License-Identifier: MIT */
/*
 * crew.h - a few threads that help the program's own to copy memory. One core moves about 10 GB/s,
 * the bus five times that.
 *
 * A job is a sequence of pieces, which its owner opens one after the other and which anybody may
 * take, in any order. The owner takes pieces too, so a job ends with no helper at all. Helpers are
 * started at the first job, poll for a moment after each piece and then sleep; they never call CUDA.
 * A forked child has none, and starts its own.
 */
#ifndef GVM_CREW_H
#define GVM_CREW_H

#include <stdbool.h>
#include <stdint.h>

#define GVM_CREW_MAX 7u /* helpers */

/* Where pieces are taken and counted. It outlives the jobs that use it. */
struct gvm_crew_desk {
    uint64_t pieces;   /* atomic: taken << 32 | open; the ones between are to be had */
    uint32_t progress; /* atomic: pieces that helpers have ended */
    uint32_t watched;  /* atomic: the owner sleeps on it */
    struct gvm_job *job;
    bool used;
};

struct gvm_job {
    void (*piece)(void *arg, uint32_t i); /* copies piece i; any thread */
    void *arg;

    /* crew.c's own */
    struct gvm_crew_desk *desk, own; /* its own if all of those that helpers look at are in use */
    uint32_t base, mine;             /* progress at the start; pieces that the owner has taken */
};

/* Enters a job, whose `piece` and `arg` are set. */
void gvm_crew_join(struct gvm_job *j);

/* n more pieces are to be had. */
void gvm_crew_open(struct gvm_job *j, uint32_t n);

/* Runs one piece on this thread. False: there is none to be had now. */
bool gvm_crew_help(struct gvm_job *j);

/* How many pieces helpers have ended, to be given to gvm_crew_wait(). */
static inline uint32_t gvm_crew_progress(const struct gvm_job *j)
{
    return __atomic_load_n(&j->desk->progress, __ATOMIC_ACQUIRE);
}

/* Waits until helpers have ended another piece than the `seen` ones. Some must be at work. */
void gvm_crew_wait(struct gvm_job *j, uint32_t seen);

/* Ends the job: pieces that nobody has taken stay undone, no helper is at one afterwards. */
void gvm_crew_leave(struct gvm_job *j);

/* Helpers that a job may count on, 0..GVM_CREW_MAX: half the processors that this process may use,
 * less the program's own thread, or GVM_COPY_THREADS less that thread. */
unsigned gvm_crew_size(void);

#endif
