/* SPDX-License-Identifier: MIT */
/*
 * mma_op.h - micro-ops of matrix fragments: what uop.imm points to.
 *
 * How a fragment of wmma lies in the registers of a warp is nobody's business, as programs may only
 * do the same thing to all elements: element e, counted by rows, is in slot e, e + E, e + 2 E, ... of
 * lane-major order, E being the number of elements.
 */
#ifndef GVM_PTX_MMA_OP_H
#define GVM_PTX_MMA_OP_H

#include "exec.h"

enum mma_type { MT_F16, MT_BF16, MT_TF32, MT_F32, MT_S8, MT_U8, MT_S32, MT_F64 };

struct mma_frag {
    uint32_t reg[8]; /* operand codes */
    uint8_t nreg;
    uint8_t type;
    uint8_t rows, cols;
};

struct mma_op {
    struct mma_frag d, a, b, c; /* load: d, store: a */
    bool by_cols;               /* load, store: column-major memory */
    bool saturate;
    uint8_t space;   /* AS_* */
    uint32_t stride; /* operand code, UINT32_MAX: rows without gaps */
};

static inline unsigned mma_bits(unsigned type)
{
    if (type == MT_F64)
        return 64;
    return type == MT_S8 || type == MT_U8 ? 8 : type == MT_F16 || type == MT_BF16 ? 16 : 32;
}

#endif
