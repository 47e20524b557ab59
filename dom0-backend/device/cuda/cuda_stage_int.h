/* SPDX-License-Identifier: MIT */
/*
 * cuda_stage_int.h - what cuda_stage.c (steps of streams, the crew) and cuda_berth.c (buffers of the
 * guest's library) share.
 */
#ifndef GVM_CUDA_STAGE_INT_H
#define GVM_CUDA_STAGE_INT_H

#include <pthread.h>

#include "cuda_int.h"
#include "cuda_stage.h"

#define STEP_MAX  (2u << 20) /* of a piece */
#define BERTH_MAX (2u << 20)
#define HANDS_MAX 6u /* more take processors from the guest's own copies */
#define SLOTS     2u
#define BERTHS    12u
#define WORDS     4096u /* so many copies under way at a time, nearly times three */

/* Written by the GPU when the stream is there; by the GPU, and by the CPU, when the copy is done.
 * Each has one writer, so that values only ever grow. */
enum { REACHED, DONE_GPU, DONE_CPU, JOB_WORDS };

enum job_kind {
    JOB_IN,   /* pool to device, a step of its stream */
    JOB_OUT,  /* device to pool, likewise */
    JOB_FILL, /* pool to berth */
    JOB_LAND, /* berth to pool */
};

struct berth {
    uint8_t *mem;   /* BERTH_MAX octets */
    uint32_t *word; /* written by the GPU behind the transfer */
    uint32_t value;
    bool taken; /* by a job; else it is free once the word has come */
};

struct job {
    enum job_kind kind;
    uint64_t dev;
    uint8_t *host;
    uint64_t n, piece;
    uint64_t next, done; /* octets handed out, octets finished */
    uint32_t *word;      /* IN, OUT */
    uint32_t value;
    struct berth *berth;     /* FILL, LAND */
    _Atomic bool filled;     /* FILL: all done */
    uint32_t *where, store;  /* LAND: to be stored for the guest at the end, */
    void (*told)(void *arg); /* and whom to tell */
    void *arg;
    struct job *link;
};

struct slot {
    uint8_t *mem;
    uint32_t *word; /* written by the GPU behind the slot's transfer */
    uint32_t value;
    struct job *job; /* whose piece is on its way from the device */
    uint64_t at, n;
};

struct hand {
    struct cudev_stage *st;
    struct slot slot[SLOTS];
    unsigned turn;
};

struct cudev_stage {
    struct dev *d;
    pthread_mutex_t lock;
    pthread_cond_t come, gone;
    struct job *waiting, **waiting_end; /* not reached yet, as issued */
    struct job *ready, **ready_end;     /* with pieces left */
    struct job *busy;                   /* all pieces handed out */
    struct job *free;
    _Atomic unsigned open; /* jobs waiting or ready: looked at without the lock */
    unsigned steps;        /* of IN and OUT, not finished */
    bool looking;          /* somebody looks at the words of waiting ones now and then */
    unsigned held;
    uint32_t *words;
    unsigned words_used;
    CUstream to, from;
    unsigned nhand;
    struct hand hand[HANDS_MAX];
    struct berth berth[BERTHS];
    bool may_spin;
};

static inline bool come_to(const uint32_t *word, uint32_t value)
{
    return (int32_t)(__atomic_load_n(word, __ATOMIC_ACQUIRE) - value) >= 0;
}

/* Says once that a step of a copy has failed; err 0: nothing. */
void cudev_stage_tell(const char *what, int err);
/* Whether [dev, dev + n) is memory of the device. */
bool cudev_stage_inside(struct dev *d, uint64_t dev, uint64_t n);

/* With the lock held. */
uint32_t *cudev_words_get(struct cudev_stage *st, unsigned n); /* NULL: none are left */
/* Waits for the condition until now_ns() is `ns`. */
void cudev_stage_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t ns);
/* As cudev_job_get(), but waits for one. NULL: the context has faulted, or no memory. */
struct job *cudev_job_await(struct cudev_stage *st);
/* The context has faulted: nothing is reached any more. */
void cudev_job_drop_open(struct cudev_stage *st);
struct job *cudev_job_get(struct cudev_stage *st); /* NULL: none to be had */
void cudev_job_put(struct cudev_stage *st, struct job *j);
void cudev_job_wait_for(struct cudev_stage *st, struct job *j); /* until its word comes */
void cudev_job_first(struct cudev_stage *st, struct job *j);    /* it can be begun, before others */
bool cudev_job_look(struct cudev_stage *st);                    /* true: some can be begun */
/* A piece of a job that can be begun: what is to be moved is left in `s`. False: it has none left. */
bool cudev_job_claim(struct cudev_stage *st, struct job *j, struct slot *s);

/* Without the lock: n octets of a job are finished (from the device, to and from a berth) or on their way
 * (to the device). */
void cudev_job_finish(struct cudev_stage *st, struct job *j, uint64_t n);

/* Without the lock: moves a claimed piece of FILL or LAND. */
void cudev_piece_move(struct cudev_stage *st, struct slot *s);

#endif
