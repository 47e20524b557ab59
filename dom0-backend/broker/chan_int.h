/* SPDX-License-Identifier: MIT */
/*
 * chan_int.h - between chan.c and op.c.
 */
#ifndef GVM_CHAN_INT_H
#define GVM_CHAN_INT_H

#include "dom0-backend/broker/broker.h"

/* ---- chan.c */

/* One of h->chans from now on; NULL: no memory. */
struct chan *chan_new(struct host *h, uint32_t id);
/* Frees it if it is to end and nothing is left; then its host may be gone too. */
void chan_check_free(struct chan *ch);

/* ---- op.c */

/* Answers the channel's current request and goes on with the next one. */
void chan_finish(struct chan *ch, int status);
/* After `s` seconds without an answer its worker is killed. */
void op_set_timer(struct op *op, double s);
/* The message for the worker; descriptors are closed whatever happens. 0 or -errno. */
int op_send(struct op *op, uint32_t type);
/* A channel that is to end does not wait for what it asked for. */
void op_stop_waiting(struct chan *ch);

#endif
