/* SPDX-License-Identifier: MIT */
/*
 * matrix_op.h - micro-ops of mma.sync and of ldmatrix, stmatrix: what uop.imm points to. Unlike the
 * fragments of wmma these lie in registers as the PTX manual says: with P elements in a register,
 * g = lane / 4 and t = lane % 4,
 *   A (m x k), register r, element i: row g + 8 (r % 2), column t P + i + 4 P (r / 2)
 *   B (k x 8):                        row t P + i + 4 P r, column g
 *   C, D (m x 8), P = 1:              row g + 8 (r / 2), column 2 t + r % 2
 *   C, D, P = 2:                      row g + 8 r, column 2 t + i
 */
#ifndef GVM_PTX_MATRIX_OP_H
#define GVM_PTX_MATRIX_OP_H

#include "exec.h"

enum matrix_type {
    MX_F16,
    MX_BF16,
    MX_TF32,
    MX_F32,
    MX_F64,
    MX_E4M3,
    MX_E5M2,
    MX_S8,
    MX_U8,
    MX_S4,
    MX_U4,
    MX_B1,
    MX_S32
};

#define MATRIX_REGS 8u /* of a fragment */
struct matrix_frag {
    uint32_t reg[MATRIX_REGS]; /* operand codes */
    uint8_t nreg, type;
};

struct matrix_op {
    struct matrix_frag d, a, b, c; /* ldmatrix, stmatrix: d only */
    uint8_t m;
    uint16_t k; /* n is 8 */
    bool saturate, xor_popc, and_popc;
    bool trans, generic;
};

static inline unsigned matrix_bits(unsigned type)
{
    static const uint8_t bits[] = {16, 16, 32, 32, 64, 8, 8, 8, 8, 4, 4, 1, 32};

    return bits[type];
}

#endif
