/* SPDX-License-Identifier: MIT */
/* interp.h - what the interpreter's files share: warps (interp.c), barriers and CTAs (cta.c). */
#ifndef GVM_PTX_INTERP_H
#define GVM_PTX_INTERP_H

#include "exec.h"

#define E_INVALID_PC 718

void warp_run(struct warp *w); /* until it is done, blocked, or gives way; sets w->status */
void frame_free(struct warp *w, struct frame *f);

/* barrier.c */
void bar_arrive(struct warp *w, const struct uop *u, uint32_t mask);
void bar_recheck(struct cta *c); /* after lanes exited */

/* Ends execution if the stop flag is set. */
void check_stop(struct warp *w, const struct uop *u);
void set_csr(struct ptx_exec *x, uint32_t mode);

#endif
