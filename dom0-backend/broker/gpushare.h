/* SPDX-License-Identifier: MIT */
/*
 * gpushare.h - who may use a GPU next, and for how long: proportional share of its time by weight,
 * with a cap. Arithmetic only: no clock, no thread, no memory of others; sched.c applies it.
 *
 * One tenant at a time holds a lease. It ends after a slice if others want the GPU, or up to three
 * slices while all who use it have wanted it for some time without a pause and are few; earlier if one of
 * the others has had so little that it is as much behind, and when the tenant has had nothing to do for
 * a moment. What was issued then drains, and the next lease goes to whoever wants it and has had the
 * least, by weight. A tenant that does not drain in time loses its exclusivity: the next one starts, the
 * driver time-slices between them, and each pays for its part.
 * All times are nanoseconds of one clock.
 */
#ifndef GVM_GPUSHARE_H
#define GVM_GPUSHARE_H

#include <stdbool.h>
#include <stdint.h>

#define GS_NEVER UINT64_MAX

enum gs_state {
    GS_OUT,    /* may issue nothing */
    GS_NEXT,   /* will hold the lease in a moment */
    GS_HOLDS,  /* may issue until `until` */
    GS_DRAINS, /* its lease is over, what it has issued is not complete */
};

struct gs_tenant {
    struct gs_tenant *next;
    uint32_t weight; /* 1..65535 */
    uint32_t cap;    /* per cent of the GPU's time at most, 0: no cap */

    /* What is known of it, set before each step. */
    bool wants;   /* somebody waits to issue */
    bool busy;    /* something that was issued is not complete */
    bool moved;   /* something was issued since the last step */
    bool yields;  /* somebody has work that does not fit into the rest of the lease */
    uint64_t due; /* if busy: when that is likely to be over */

    /* What follows. */
    enum gs_state state;
    uint64_t until;   /* GS_HOLDS; GS_NEVER: as long as nobody else wants the GPU */
    uint64_t used;    /* time charged so far */
    uint64_t overrun; /* since when it has kept the GPU beyond its lease; 0: it does not */

    uint64_t vtime; /* time charged, by weight */
    uint64_t start; /* of the lease */
    uint64_t from;  /* start, or when the lease was extended last */
    uint64_t
        active_from; /* since when it has wanted or used the GPU without a pause, now or at last */
    uint64_t paused; /* when it last ceased to */
    uint64_t drain;  /* since when it drains, or what it left behind does; 0: it left nothing */
    uint64_t idle;   /* since when the holder has had nothing to do; 0: it has */
    int64_t credit;  /* time left under the cap */
    bool was_active; /* it wanted the GPU or used it at the last step */
};

struct gs {
    bool overlap;    /* all may issue at any time: the GPU runs work of several at the same time */
    uint64_t slice;  /* of a lease, while others want the GPU, if it is not longer */
    uint64_t least;  /* of a lease that somebody cuts short who is behind */
    uint64_t grace;  /* for draining */
    uint64_t early;  /* so long before it has drained the next one starts */
    uint64_t ahead;  /* so long before a lease ends the next one is told */
    uint64_t linger; /* for a holder with nothing to do: more may be on its way */
    struct gs_tenant *list, *holder;
    uint64_t now;    /* of the last step; 0: there was none */
    uint64_t vclock; /* the least vtime of those that use or want the GPU; it never goes back */
};

#define GS_SLICE_US                                                                                \
    10000u /* where none is configured: a change of guests costs a GPU some 200 us */

/* slice: ns, 1 ms or more. */
void gs_init(struct gs *g, uint64_t slice);
/* A new tenant gets no more for not having been there. weight: 1..65535. */
void gs_add(struct gs *g, struct gs_tenant *t, uint32_t weight, uint32_t cap);
void gs_remove(struct gs *g, struct gs_tenant *t);
/* The first step after a time without arbitration: `t` has the GPU to itself so far. */
void gs_resume(struct gs *g, struct gs_tenant *t, uint64_t now);
/* Charges the time since the last step and decides. Returns when to step again at the latest. */
uint64_t gs_step(struct gs *g, uint64_t now);

#endif
