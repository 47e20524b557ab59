/* SPDX-License-Identifier: MIT */
/* tex_op.h - micro-ops of textures and surfaces: what uop.imm points to. */
#ifndef GVM_PTX_TEX_OP_H
#define GVM_PTX_TEX_OP_H

#include "exec.h"
#include "texture.h"

#define NO_CODE UINT32_MAX

enum tex_query { TQ_WIDTH, TQ_HEIGHT, TQ_DEPTH, TQ_LAYERS, TQ_LEVELS, TQ_SAMPLES, TQ_NORMALIZED };
enum surf_bound { SB_TRAP, SB_CLAMP, SB_ZERO };
enum surf_op { SO_LOAD, SO_STORE, SO_ADD, SO_MIN, SO_MAX, SO_AND, SO_OR };

struct tex_op {
    uint32_t handle;       /* operand code, 64 bits */
    uint32_t d[4];         /* results or data: operand codes; NO_CODE: none */
    uint32_t pred;         /* residence, NO_CODE: not wanted */
    uint32_t layer;        /* NO_CODE: not layered */
    uint32_t c[3];         /* coordinates */
    uint32_t lod;          /* or NO_CODE */
    uint32_t dx[3], dy[3]; /* gradients; dx[0] NO_CODE: none */
    uint8_t ndim;          /* coordinates used, 3 for cube maps */
    bool cube;
    bool integer; /* coordinates */
    uint8_t comp; /* tld4 */
    uint8_t query;
    uint8_t op;    /* surfaces: enum surf_op */
    uint8_t bound; /* enum surf_bound */
    uint8_t nvec;
    uint8_t bytes; /* of one element of a surface access */
    bool is_signed;
};

#endif
