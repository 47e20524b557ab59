/* SPDX-License-Identifier: MIT */
/*
 * backoff.h - how soon a guest gets its next worker after some that came to nothing: what it asks for
 * in a loop, or what a broken driver refuses to each call of a program, must not keep this domain busy
 * with starting processes. Arithmetic only. Times are seconds of one clock.
 */
#ifndef GVM_BROKER_BACKOFF_H
#define GVM_BROKER_BACKOFF_H

#include <stdbool.h>

#define BACKOFF_FREE  8u   /* failures in a row without consequence */
#define BACKOFF_FIRST 0.05 /* then at least so long from start to start, twice as long with each */
#define BACKOFF_MOST  0.5  /* and never longer */

struct backoff { /* zeroed: nothing has happened */
    unsigned fails;
    double last; /* start */
};

/* 0: start now, which counts as done; else how long to wait before asking again. */
double backoff_wait(struct backoff *b, double now);
/* What was started came to nothing. True: from now on starts wait, which is worth a line. */
bool backoff_failed(struct backoff *b);
/* It serves. True: starts waited until now. */
bool backoff_good(struct backoff *b);

#endif
