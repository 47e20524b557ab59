/* SPDX-License-Identifier: MIT */
/*
 * batch.h - several copies in one call. The structures are laid out as both APIs lay them out.
 */
#ifndef GVM_BATCH_H
#define GVM_BATCH_H

#include "box.h"

/* CUmemcpySrcAccessOrder */
#define GVM_ORDER_STREAM 1
#define GVM_ORDER_ANY    3

/* CUmemcpy3DOperandType */
#define GVM_OPERAND_POINTER 1
#define GVM_OPERAND_ARRAY   2

/* CUmemcpyAttributes; hints are not looked at. */
struct gvm_batch_attr {
    int order;
};

/* CUmemcpy3DOperand */
struct gvm_batch_end {
    int type;
    union {
        struct {
            uint64_t ptr;
            uint64_t row;  /* elements; 0: as wide as the box */
            uint64_t rows; /* 0: as high as the box */
            int hint[2];
        } ptr;
        struct {
            uint64_t array;
            uint64_t x, y, z; /* elements */
        } array;
    };
};

/* CUDA_MEMCPY3D_BATCH_OP */
struct gvm_batch_box {
    struct gvm_batch_end src, dst;
    uint64_t width, height, depth; /* elements */
    int order;
    unsigned flags;
};

/* attr: attributes `attr_step` octets apart, of the copies from first[i] on. */
GVM_API int gvm_copy_batch(const uint64_t *dst, const uint64_t *src, const size_t *n, size_t count,
                           const struct gvm_batch_attr *attr, size_t attr_step, const size_t *first,
                           size_t nattr, uint64_t stream);
GVM_API int gvm_box_batch(size_t count, const struct gvm_batch_box *op, uint64_t flags,
                          uint64_t stream);

#endif
