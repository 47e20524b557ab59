/* SPDX-License-Identifier: MIT */
/*
 * stage.h - staging buffers in the pool for copies from and to ordinary memory. Each has a counter
 * of its own: a buffer is free when nobody holds it and its last copy has passed.
 */
#ifndef GVM_STAGE_H
#define GVM_STAGE_H

#include "objects.h"
#include "pool.h"

/* Sizes, and how many of each there are at most. */
#define GVM_STAGE_SMALL  (64u << 10)
#define GVM_STAGE_MIDDLE (512u << 10)
#define GVM_STAGE_LARGE  (2u << 20)
#define GVM_STAGE_SMALLS 16u
#define GVM_STAGE_OTHERS 8u

struct gvm_stage {
    void *p;
    struct gvm_pool_ref ref;
    uint32_t slot;  /* of its counter */
    uint32_t value; /* of the last copy */
    bool held;
    size_t populated; /* octets whose pages are there; of who holds it */
    struct gvm_stage *next;
};

/* A buffer of the smallest size that takes n octets, or of the largest. wait false: NULL with *err 0 when all are
 * in use. NULL with *err != 0: no pool memory, or the channel failed. */
struct gvm_stage *gvm_stage_get(struct gvm_chan *c, size_t n, bool wait, int *err);

/* Octets that it takes. */
size_t gvm_stage_size(const struct gvm_stage *s);

/* After the copy was posted on `s`: marks the point in the stream after which it is free. */
int gvm_stage_mark(struct gvm_chan *c, struct gvm_stage *b, const struct gvm_sref *s);

/* The value that its counter is going to get instead by the call that copies. */
uint32_t gvm_stage_next(struct gvm_stage *b);

/* Waits for that point. */
int gvm_stage_wait(struct gvm_chan *c, struct gvm_stage *b);

void gvm_stage_put(struct gvm_stage *b);

/* Forgets all buffers; the pool and the counters are gone. */
void gvm_stage_reset(void);

#endif
