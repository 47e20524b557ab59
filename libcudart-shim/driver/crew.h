/* SPDX-License-Identifier: MIT */
/*
 * crew.h - a few threads that help the program's own to copy memory. One core moves about 10 GB/s,
 * the bus five times that.
 *
 * A job has up to eight groups of pieces under way, which its owner opens one after the other, and
 * again when all of a group are done. Anybody may take any piece, but the same piece of each group
 * goes to the same thread if that is there: its cache has the lines of that part of the buffer. The
 * owner takes pieces too, so a job ends with no helper at all. Helpers are started at the first job,
 * poll for a moment after each piece and then sleep; they never call CUDA. A forked child has none,
 * and starts its own.
 */
#ifndef GVM_CREW_H
#define GVM_CREW_H

#include <stdbool.h>
#include <stdint.h>

#define GVM_CREW_MAX    7u /* helpers */
#define GVM_CREW_GROUPS 8u
#define GVM_CREW_GROUP  8u /* pieces of a group at most */

/* Where pieces are taken and counted. It outlives the jobs that use it. */
struct gvm_crew_desk {
    uint64_t open;     /* atomic: bit group * GVM_CREW_GROUP + piece: to be had */
    uint32_t first;    /* atomic: the group that is wanted first */
    uint32_t progress; /* atomic: pieces that helpers have ended */
    uint32_t watched;  /* atomic: the owner sleeps on it */
    struct gvm_job *job;
    bool used;
};

struct gvm_job {
    void (*piece)(void *arg, uint32_t i); /* copies piece i % GVM_CREW_GROUP of group
                                           * i / GVM_CREW_GROUP; any thread */
    void *arg;
    bool few; /* worth no more than a few helpers, and those only as copies follow each other */

    /* crew.c's own */
    struct gvm_crew_desk *desk, own; /* its own if all of those that helpers look at are in use */
    uint32_t base;                   /* progress at the start */
    uint32_t opened, mine;           /* pieces; of those, taken by the owner */
};

/* Enters a job, whose `piece` and `arg` are set. */
void gvm_crew_join(struct gvm_job *j);

/* The first n pieces of a group are to be had, 1..GVM_CREW_GROUP; all earlier ones of it are done. */
void gvm_crew_open(struct gvm_job *j, uint32_t group, uint32_t n);

/* The group that the owner waits for. */
static inline void gvm_crew_first(struct gvm_job *j, uint32_t group)
{
    __atomic_store_n(&j->desk->first, group, __ATOMIC_RELAXED);
}

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

/* To be asked once for each copy that is worth a few helpers: true if the last ones have begun
 * within 0.4 ms of each other. Those helpers then poll for as long as another may come. */
bool gvm_crew_near(void);

/* Helpers that a job may count on, 0..GVM_CREW_MAX: half the processors that this process may use,
 * less the program's own thread, or GVM_COPY_THREADS less that thread. */
unsigned gvm_crew_size(void);

#endif
