/* SPDX-License-Identifier: MIT */
/* interp.h - what the interpreter's files share: warps (interp.c), barriers and CTAs (cta.c). */
#ifndef GVM_PTX_INTERP_H
#define GVM_PTX_INTERP_H

#include "exec.h"

#define E_INVALID_PC 718

void warp_run(struct warp *w); /* until it is done, blocked, or gives way; sets w->status */
void frame_free(struct warp *w, struct frame *f);
/* Lanes wait in w->pend, ready to run at pc. */
void warp_park(struct warp *w, struct frame *f, const struct uop *pc, uint32_t mask);
/* Takes up the best group that is ready; false: none is, w->status is set. */
bool warp_pick(struct warp *w);
/* Takes up the group that has waited longest; false: none is ready. */
bool warp_oldest(struct warp *w);

/* barrier.c */
void bar_arrive(struct warp *w, const struct uop *u, uint32_t mask);
void bar_recheck(struct cta *c); /* after lanes exited */

/* cta.c: the special registers of this CTA's place in the grid. */
void warp_place(struct warp *w);

/* Ends execution if the stop flag is set. */
void check_stop(struct warp *w, const struct uop *u);
void set_csr(struct ptx_exec *x, uint32_t mode);

#endif
