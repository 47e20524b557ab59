/* SPDX-License-Identifier: MIT */
/* lower_mbarrier.c - mbarrier instructions, and copies in bulk that complete on them, to micro-ops. */
#include "addr.h"
#include "lower.h"
#include "mbarrier_op.h"

static void take_hints(struct lower *lo)
{
    take(lo, M_release);
    take(lo, M_acquire);
    take(lo, M_relaxed);
    take(lo, M_cta);
    take(lo, M_cluster); /* clusters are of one block here */
    take(lo, M_shared);
    take(lo, M_noComplete);
}

static int address(struct lower *lo, const struct ir_opnd *o, uint32_t *reg, bool *wide,
                   int64_t *off)
{
    struct low_addr at;

    if (low_address(lo, o, &at))
        return -1;
    if (at.space != SP_NONE && at.space != SP_SHARED)
        return low_fail(lo, E_INVALID_PTX, "an mbarrier is in shared memory");
    *reg = at.reg == NO_REG ? NO_ADDR_REG : at.reg;
    *wide = at.wide;
    *off = at.off;
    return 0;
}

static struct uop *op(struct lower *lo, const char *name, const struct ir_opnd *o, unsigned kind)
{
    uint32_t reg;
    int64_t off;
    bool wide;
    struct uop *u;

    if (address(lo, o, &reg, &wide, &off))
        return NULL;
    u = emit(lo, "%s", name);
    if (!u)
        return NULL;
    u->a = reg;
    u->f = wide ? AF_WIDE : 0;
    u->imm = off;
    u->n = (uint8_t)kind;
    u->b = u->d = u->e = UINT32_MAX;
    return u;
}

/* mbarrier.arrive[.expect_tx] and .arrive_drop: state or _, address, count or octets */
static int arrive(struct lower *lo, const struct ir_insn *in, bool drop)
{
    bool expect = take(lo, M_expect_tx);
    uint32_t d = UINT32_MAX, n = UINT32_MAX;
    unsigned i = 0;
    struct uop *u;

    if (opnd(lo, in, 0)->kind != O_ADDR) {
        if (opnd(lo, in, 0)->kind != O_SINK)
            d = low_dst(lo, opnd(lo, in, 0), T_B64);
        i = 1;
    }
    if (in->nopnd < i + 1 || in->nopnd > i + 2 || (expect && in->nopnd != i + 2))
        return low_fail(lo, E_INVALID_PTX, "wrong number of operands");
    if (in->nopnd == i + 2)
        n = low_src(lo, opnd(lo, in, i + 1), T_B32);
    u = lo->err ? NULL : op(lo, "mbarrier", opnd(lo, in, i), drop ? MB_DROP : MB_ARRIVE);
    if (!u)
        return -1;
    u->d = d;
    if (expect)
        u->e = n;
    else
        u->b = n;
    return 0;
}

static int wait(struct lower *lo, const struct ir_insn *in)
{
    bool parity = take(lo, M_parity), may_sleep = take(lo, M_try_wait);
    uint32_t d, b;
    struct uop *u;

    take(lo, M_test_wait);
    if (in->nopnd < 3 || in->nopnd > 4)
        return low_fail(lo, E_INVALID_PTX, "wrong number of operands");
    d = low_dst(lo, opnd(lo, in, 0), T_PRED);
    b = low_src(lo, opnd(lo, in, 2), parity ? T_B32 : T_B64);
    u = lo->err ? NULL : op(lo, "mbarrier.test", opnd(lo, in, 1), parity ? MB_PARITY : MB_TEST);
    if (!u)
        return -1;
    u->d = d;
    u->b = b;
    (void)may_sleep; /* trying once is a wait that was too short: the program tries again */
    return 0;
}

int low_mbarrier(struct lower *lo, const struct ir_insn *in)
{
    struct uop *u = NULL;
    uint32_t b, d;

    take_hints(lo);
    if (in->ntype > 1 || (in->ntype && in->type[0] != T_B64))
        return low_fail(lo, E_INVALID_PTX, "the type is not .b64");
    if (take(lo, M_arrive))
        return arrive(lo, in, false);
    if (take(lo, M_arrive_drop))
        return arrive(lo, in, true);
    if (has_mod(in, M_test_wait) || has_mod(in, M_try_wait))
        return wait(lo, in);
    if (take(lo, M_pending_count)) {
        b = low_src(lo, opnd(lo, in, 1), T_B64);
        d = low_dst(lo, opnd(lo, in, 0), T_B32);
        u = lo->err ? NULL : emit(lo, "mbarrier.pending");
        if (!u)
            return -1;
        u->a = b;
        u->d = d;
        return 0;
    }
    if (take(lo, M_inval))
        return op(lo, "mbarrier", opnd(lo, in, 0), MB_INVAL) ? 0 : -1;
    unsigned kind = take(lo, M_init)          ? MB_INIT
                    : take(lo, M_expect_tx)   ? MB_EXPECT
                    : take(lo, M_complete_tx) ? MB_COMPLETE
                                              : MB_TEST;
    if (kind == MB_TEST || in->nopnd != 2)
        return low_fail(lo, E_NOT_SUPPORTED, "this form is not supported");
    b = low_src(lo, opnd(lo, in, 1), T_B32);
    u = lo->err ? NULL : op(lo, "mbarrier", opnd(lo, in, 0), kind);
    if (!u)
        return -1;
    u->b = b;
    return 0;
}

int low_cp_mbarrier(struct lower *lo, const struct ir_insn *in)
{
    bool counted = take(lo, M_noinc);

    take_hints(lo);
    take(lo, M_arrive);
    if (in->nopnd != 1 || in->ntype != 1)
        return low_fail(lo, E_NOT_SUPPORTED, "this form is not supported");
    /* copies are done at once; without .noinc the pending count is raised first: no change */
    if (!counted)
        return 0;
    return op(lo, "mbarrier", opnd(lo, in, 0), MB_ARRIVE) ? 0 : -1;
}

/* Where an address operand points as a generic 64-bit address. */
static uint32_t generic_address(struct lower *lo, const struct ir_opnd *o, uint64_t space)
{
    struct low_addr at;
    uint32_t reg, d;
    struct uop *u;

    if (low_address(lo, o, &at))
        return 0;
    reg = at.reg == NO_REG ? low_const64(lo, 0) : at.reg;
    if (at.reg != NO_REG && !at.wide) {
        u = emit(lo, "cvt.64.u32");
        if (!u)
            return 0;
        u->a = reg;
        reg = u->d = low_tmp(lo, SLOT64);
    }
    d = low_tmp(lo, SLOT64);
    u = emit(lo, "add.i64");
    if (!u)
        return 0;
    u->a = reg;
    u->b = low_const64(lo, (uint64_t)at.off + space);
    u->d = d;
    return d;
}

int low_cp_bulk(struct lower *lo, const struct ir_insn *in)
{
    bool to_shared, barrier;
    uint32_t from, to, n, reg = NO_ADDR_REG;
    bool wide = false;
    int64_t off = 0;
    struct uop *u;

    if (take(lo, M_commit_group) | take(lo, M_wait_group)) { /* copies are done at once */
        take(lo, M_read);
        return 0;
    }
    take(lo, M_L2);
    barrier = take(lo, M_mbarrier);
    take(lo, M_bulk_group);
    take(lo, M_shared);
    take(lo, M_global);
    if (in->nopnd != 3u + barrier || in->ntype)
        return low_fail(lo, E_NOT_SUPPORTED, "this form is not supported");
    to_shared = barrier;
    to = generic_address(lo, opnd(lo, in, 0), to_shared ? PTX_APERTURE_SHARED : 0);
    from = generic_address(lo, opnd(lo, in, 1), to_shared ? 0 : PTX_APERTURE_SHARED);
    n = lo->err ? 0 : low_src(lo, opnd(lo, in, 2), T_B32);
    if (lo->err || (barrier && address(lo, opnd(lo, in, 3), &reg, &wide, &off)))
        return -1;
    u = emit(lo, "bulk");
    if (!u)
        return -1;
    u->a = reg;
    u->f = wide ? AF_WIDE : 0;
    u->imm = off;
    u->b = from;
    u->c = to;
    u->d = n;
    return 0;
}
