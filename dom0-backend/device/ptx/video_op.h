/* SPDX-License-Identifier: MIT */
/* video_op.h - micro-ops of the scalar and two- or four-lane video instructions: uop.imm. */
#ifndef GVM_PTX_VIDEO_OP_H
#define GVM_PTX_VIDEO_OP_H

#include "exec.h"

enum video_kind {
    VI_ADD,
    VI_SUB,
    VI_ABSDIFF,
    VI_MIN,
    VI_MAX,
    VI_AVRG,
    VI_SHL,
    VI_SHR,
    VI_MAD,
    VI_SET
};
enum video_second { VS_NONE, VS_ADD, VS_MIN, VS_MAX };
enum video_cmp { VC_EQ, VC_NE, VC_LT, VC_LE, VC_GT, VC_GE };

/* Selectors of operands, in ir_opnd.n of a register: 1 to 4 are octets, 5 and 6 halves, 0 is all. */
#define VSEL_H0 5u

struct video_op {
    uint8_t kind, second, cmp;
    uint8_t lanes;            /* 1, 2 or 4 */
    bool sa, sb, sd;          /* signed */
    bool sat, wrap;           /* wrap: the shift amount, else clamped */
    uint8_t asel, bsel, dsel; /* VSEL of scalar forms */
};

#endif
