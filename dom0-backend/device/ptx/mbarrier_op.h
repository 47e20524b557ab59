/* SPDX-License-Identifier: MIT */
/*
 * mbarrier_op.h - what an mbarrier object holds: 64 bits of shared memory that programs change with
 * mbarrier instructions only. Bits 0..19: arrivals that the phase still waits for; 20..39: arrivals
 * of the next phase; 40..61: octets of copies under way, in two's complement; 62: number of the
 * phase, modulo 2. A state, as mbarrier.arrive gives it, is the object before the arrival.
 */
#ifndef GVM_PTX_MBARRIER_OP_H
#define GVM_PTX_MBARRIER_OP_H

#include "exec.h"

#define MBAR_MAX   ((1u << 20) - 1)
#define MBAR_PHASE (1ull << 62)

enum mbar_kind {
    MB_INIT,
    MB_INVAL,
    MB_ARRIVE,
    MB_DROP,
    MB_EXPECT,   /* .expect_tx alone */
    MB_COMPLETE, /* .complete_tx alone */
    MB_TEST,     /* by state */
    MB_PARITY,   /* by parity */
};

/* uop.n: kind; a, f, imm: the address; b: count, state, parity or octets (UINT32_MAX: 1 arrival);
 * d: state or predicate (UINT32_MAX: none); e: octets to expect before the arrival */

static inline uint32_t mbar_pending(uint64_t v)
{
    return (uint32_t)v & MBAR_MAX;
}
static inline uint32_t mbar_expected(uint64_t v)
{
    return (uint32_t)(v >> 20) & MBAR_MAX;
}
static inline int32_t mbar_tx(uint64_t v)
{
    return (int32_t)((int64_t)(v << 2) >> 42);
}
static inline uint64_t mbar_make(uint64_t phase, uint32_t pending, uint32_t expected, uint32_t tx)
{
    return phase | (pending & MBAR_MAX) | (uint64_t)(expected & MBAR_MAX) << 20 |
           ((uint64_t)tx & 0x3fffff) << 40;
}
/* After an arrival or a copy: the next phase, once nothing is pending. */
static inline uint64_t mbar_settle(uint64_t v)
{
    if (mbar_pending(v) || mbar_tx(v))
        return v;
    return mbar_make(~v & MBAR_PHASE, mbar_expected(v), mbar_expected(v), 0);
}

#endif
