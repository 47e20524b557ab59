/* SPDX-License-Identifier: MIT */
/* small_op.h - flags in uop.n of the operations of lower_small.c. */
#ifndef GVM_PTX_SMALL_OP_H
#define GVM_PTX_SMALL_OP_H

enum { SM_MAX = 1, SM_NAN = 2, SM_FTZ = 4, SM_RELU = 8, SM_RZ = 16 };

#endif
