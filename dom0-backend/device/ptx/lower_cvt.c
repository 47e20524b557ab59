/* SPDX-License-Identifier: MIT */
/* lower_cvt.c - mov, cvt, cvta and isspacep to micro-ops. */
#include "lower.h"

static struct uop *op1(struct lower *lo, uint32_t d, uint32_t a, const char *name)
{
    struct uop *u = lo->err ? NULL : emit(lo, "%s", name);
    if (u) {
        u->d = d;
        u->a = a;
    }
    return u;
}

static struct uop *op2(struct lower *lo, uint32_t d, uint32_t a, uint32_t b, const char *name)
{
    struct uop *u = op1(lo, d, a, name);
    if (u)
        u->b = b;
    return u;
}

/* ---- mov ---------------------------------------------------------------------------------------------- */

/* mov.b64 d, {a, b}; mov.b32 d, {a, b} or {a, b, c, d} of bytes */
static int mov_pack(struct lower *lo, const struct ir_insn *in, unsigned bits)
{
    const struct ir_opnd *v = opnd(lo, in, 1), *e = &lo->fn->opnds[v->idx];
    unsigned n = v->n, eb = n ? bits / n : 0;
    if (n != 2 && n != 4)
        return low_fail(lo, E_NOT_SUPPORTED, "vector of %u elements is not supported", n);
    unsigned et = eb == 32 ? T_B32 : eb == 16 ? T_B16 : eb == 8 ? T_B8 : T_NONE;
    if (!et)
        return low_fail(lo, E_NOT_SUPPORTED, "vector of %u-bit elements is not supported", eb);
    uint32_t s[4], d = low_dst(lo, opnd(lo, in, 0), in->type[0]);
    for (unsigned i = 0; i < n; i++)
        s[i] = low_src(lo, &e[i], et);
    if (lo->err)
        return -1;
    if (n == 4) { /* two halves, then as two */
        uint32_t h0 = low_tmp(lo, SLOT32), h1 = low_tmp(lo, SLOT32);
        const char *name = eb == 16 ? "pack.32.16" : "pack.16.8";
        if (!op2(lo, h0, s[0], s[1], name) || !op2(lo, h1, s[2], s[3], name))
            return -1;
        s[0] = h0;
        s[1] = h1;
        eb *= 2;
    }
    return op2(lo, d, s[0], s[1],
               eb == 32   ? "pack.64.32"
               : eb == 16 ? "pack.32.16"
                          : "pack.16.8")
               ? 0
               : -1;
}

static int mov_unpack(struct lower *lo, const struct ir_insn *in, unsigned bits)
{
    const struct ir_opnd *v = opnd(lo, in, 0), *e = &lo->fn->opnds[v->idx];
    unsigned n = v->n, eb = n ? bits / n : 0;
    unsigned et = eb == 32 ? T_B32 : eb == 16 ? T_B16 : eb == 8 ? T_B8 : T_NONE;
    if ((n != 2 && n != 4) || !et)
        return low_fail(lo, E_NOT_SUPPORTED, "vector of %u elements is not supported", n);
    uint32_t s = low_src(lo, opnd(lo, in, 1), in->type[0]), half[2] = {s, s};
    if (bits == 64 && eb < 32) {
        half[0] = low_tmp(lo, SLOT32);
        half[1] = low_tmp(lo, SLOT32);
        if (!op1(lo, half[0], s, "low.64.32") || !op1(lo, half[1], s, "high.64.32"))
            return -1;
    }
    for (unsigned i = 0; i < n; i++) {
        if (e[i].kind == O_SINK)
            continue;
        uint32_t d = low_dst(lo, &e[i], et);
        struct uop *u;
        if (eb == 32) {
            u = op1(lo, d, s, i ? "high.64.32" : "low.64.32");
        } else if (eb == 16) {
            unsigned k = i & 1;
            u = op1(lo, d, half[i / 2], k ? "shr16.32" : "ext16.32");
        } else {
            u = op1(lo, d, s, "byte.32");
            if (u)
                u->n = 8 * i;
        }
        if (!u)
            return -1;
    }
    return 0;
}

int low_mov(struct lower *lo, const struct ir_insn *in)
{
    const struct ir_opnd *d = opnd(lo, in, 0), *s = opnd(lo, in, 1);
    if (in->ntype != 1)
        return low_fail(lo, E_INVALID_PTX, "%u types where 1 is wanted", in->ntype);
    unsigned t = in->type[0], bits = ptx_type_bits[t];
    if (bits > 64)
        return low_fail(lo, E_NOT_SUPPORTED, "type .%s is not supported", ptx_type_name[t]);
    if (s->kind == O_VEC)
        return mov_pack(lo, in, bits);
    if (d->kind == O_VEC)
        return mov_unpack(lo, in, bits);
    if (s->kind == O_SREG && s->idx >= SR_LANES) {
        uint32_t dc = low_dst(lo, d, t);
        struct uop *u = op1(lo, dc, 0, bits == 64 ? "sreg.64" : "sreg.32");
        if (!u)
            return -1;
        u->n = s->idx;
        return 0;
    }
    uint32_t sc = low_src(lo, s, t), dc = low_dst(lo, d, t);
    return op1(lo, dc, sc, bits == 1 ? "mov.pred" : bits == 64 ? "mov.64" : "mov.32") ? 0 : -1;
}

/* ---- cvt ---------------------------------------------------------------------------------------------- */

static bool is_float(unsigned t)
{
    return t == T_F16 || t == T_F32 || t == T_F64 || t == T_BF16;
}
static bool sgn(unsigned t)
{
    return t >= T_S8 && t <= T_S64;
}

/* Source operand whose register may be wider than the type: the low bits count. */
static uint32_t wide_src(struct lower *lo, const struct ir_opnd *o, unsigned t)
{
    unsigned rb = low_reg_bits(lo, o);
    if (rb == 64 && ptx_type_bits[t] < 64) {
        uint32_t s = low_src(lo, o, T_B64), d = low_tmp(lo, SLOT32);
        struct uop *u = op1(lo, d, s, "cvt.32.64");
        if (u)
            u->guard = 0;
        return d;
    }
    return low_src(lo, o, t);
}

/* Extends what is in slot d (width by `wide`) from type t to the whole register. */
static int extend(struct lower *lo, uint32_t d, bool wide, unsigned t)
{
    char name[32];
    if (ptx_type_bits[t] == (wide ? 64 : 32))
        return 0;
    snprintf(name, sizeof(name), "ext.%u.%s", wide ? 64 : 32, ptx_type_name[t]);
    return op1(lo, d, d, name) ? 0 : -1;
}

/* The destination register; *wide: it has 64 bits. */
static uint32_t cvt_dst(struct lower *lo, const struct ir_opnd *o, unsigned td, bool *wide)
{
    unsigned rb = low_reg_bits(lo, o);
    *wide = rb == 64 || (!rb && ptx_type_bits[td] == 64);
    if (rb && rb < ptx_type_bits[td]) {
        low_fail(lo, E_INVALID_PTX, "register %.60s is too narrow for .%s",
                 lo->fn->regs[o->idx].name, ptx_type_name[td]);
        return 0;
    }
    return low_dst(lo, o, *wide ? T_B64 : T_B32);
}

static int cvt_int_int(struct lower *lo, const struct ir_insn *in, unsigned td, unsigned ts)
{
    bool wide, sat = take(lo, M_sat);
    unsigned bd = ptx_type_bits[td], bs = ptx_type_bits[ts];
    uint32_t s = wide_src(lo, opnd(lo, in, 1), ts), d = cvt_dst(lo, opnd(lo, in, 0), td, &wide);
    char name[32];
    if (lo->err)
        return -1;
    if (sat && !(td == ts || (bd > bs && (sgn(td) || !sgn(ts))))) {
        uint32_t t = low_tmp(lo, SLOT64), t2 = low_tmp(lo, SLOT64);
        if (bs == 64) {
            t = s;
        } else {
            snprintf(name, sizeof(name), "cvt.64.%s", ptx_type_name[ts]);
            if (!op1(lo, t, s, name))
                return -1;
        }
        snprintf(name, sizeof(name), "sat.%s.%s", ptx_type_name[td], sgn(ts) ? "s64" : "u64");
        if (!op1(lo, wide ? d : t2, t, name))
            return -1;
        if (!wide && !op1(lo, d, t2, "cvt.32.64"))
            return -1;
        return extend(lo, d, wide, td);
    }
    if (bs == 64) {
        if (!op1(lo, d, s, wide ? "mov.64" : "cvt.32.64"))
            return -1;
    } else if (wide) {
        snprintf(name, sizeof(name), "cvt.64.%s", ptx_type_name[ts]);
        if (!op1(lo, d, s, name))
            return -1;
    } else {
        if (bs == 32)
            snprintf(name, sizeof(name), "mov.32");
        else
            snprintf(name, sizeof(name), "ext.32.%s", ptx_type_name[ts]);
        if (!op1(lo, d, s, name))
            return -1;
    }
    /* cut to the destination type, unless the extension already fits it */
    if (bd > bs && (sgn(td) == sgn(ts) || !sgn(ts)))
        return 0;
    if (bd == bs && sgn(td) == sgn(ts))
        return 0;
    return extend(lo, d, wide, td);
}

static int round_int_mod(struct lower *lo) /* -1: none */
{
    return take(lo, M_rni)   ? 0
           : take(lo, M_rmi) ? 1
           : take(lo, M_rpi) ? 2
           : take(lo, M_rzi) ? 3
                             : -1;
}

/* A half in a 32-bit slot to a single in a scratch slot. */
static uint32_t half_to_single(struct lower *lo, uint32_t s, unsigned ts)
{
    uint32_t t = low_tmp(lo, SLOT32);
    op1(lo, t, s, ts == T_F16 ? "cvt.f32.f16" : "cvt.f32.bf16");
    return t;
}

static int cvt_float_int(struct lower *lo, const struct ir_insn *in, unsigned td, unsigned ts)
{
    int r = round_int_mod(lo);
    bool wide, ftz = take(lo, M_ftz);
    char name[32];
    take(lo, M_sat); /* implied */
    uint32_t s = low_src(lo, opnd(lo, in, 1), ts), d = cvt_dst(lo, opnd(lo, in, 0), td, &wide);
    if (lo->err)
        return -1;
    if (ts == T_F16 || ts == T_BF16) {
        s = half_to_single(lo, s, ts);
        ts = T_F32;
    }
    if (ftz && ts == T_F32) {
        uint32_t t = low_tmp(lo, SLOT32);
        if (!op1(lo, t, s, "ftz.f32"))
            return -1;
        s = t;
    }
    if (r < 0)
        return low_fail(lo, E_INVALID_PTX, "no integer rounding (.rni, .rzi, .rmi, .rpi)");
    if (r != 3) {
        uint32_t t = low_tmp(lo, ts == T_F64 ? SLOT64 : SLOT32);
        struct uop *u = op1(lo, t, s, ts == T_F64 ? "rint.f64" : "rint.f32");
        if (!u)
            return -1;
        u->n = r;
        u->csrmask = CSR_ALL;
        s = t;
    }
    bool d64 = ptx_type_bits[td] == 64;
    uint32_t to = d;
    if (wide && !d64)
        to = low_tmp(lo, SLOT32);
    snprintf(name, sizeof(name), "cvti.%s.%s", ptx_type_name[td], ptx_type_name[ts]);
    struct uop *u = op1(lo, to, s, name);
    if (!u)
        return -1;
    u->csrmask = CSR_ALL;
    if (to != d) {
        snprintf(name, sizeof(name), "cvt.64.%s", ptx_type_name[td]);
        return op1(lo, d, to, name) ? 0 : -1;
    }
    return extend(lo, d, wide, td);
}

static unsigned round_mod(struct lower *lo)
{
    return take(lo, M_rz)   ? CSR_RZ
           : take(lo, M_rm) ? CSR_RM
           : take(lo, M_rp) ? CSR_RP
                            : (take(lo, M_rn), CSR_RN);
}

static int cvt_int_float(struct lower *lo, const struct ir_insn *in, unsigned td, unsigned ts)
{
    unsigned mode = round_mod(lo);
    bool sat = take(lo, M_sat);
    char name[32];
    take(lo, M_ftz);
    uint32_t s = wide_src(lo, opnd(lo, in, 1), ts), d = low_dst(lo, opnd(lo, in, 0), td), to = d;
    unsigned via = td;
    struct uop *u;
    if (lo->err)
        return -1;
    if (td == T_F16 || td == T_BF16) {
        /* through double: exact, or rounded to odd */
        via = T_F64;
        to = low_tmp(lo, SLOT64);
    }
    snprintf(name, sizeof(name), "cvt.%s%s.%s", ptx_type_name[via],
             via != td && ptx_type_bits[ts] == 64 ? "odd" : "", ptx_type_name[ts]);
    if (!(u = op1(lo, to, s, name)))
        return -1;
    u->csr = via == td ? mode : CSR_RN;
    u->csrmask = CSR_ALL;
    if (via != td) {
        snprintf(name, sizeof(name), "cvt.%s.f64", ptx_type_name[td]);
        if (!(u = op1(lo, d, to, name)))
            return -1;
        u->n = mode;
    }
    if (sat) {
        snprintf(name, sizeof(name), "sat.%s", ptx_type_name[td]);
        return op1(lo, d, d, name) ? 0 : -1;
    }
    return 0;
}

static int cvt_float_float(struct lower *lo, const struct ir_insn *in, unsigned td, unsigned ts)
{
    int r = round_int_mod(lo);
    unsigned mode = round_mod(lo);
    bool sat = take(lo, M_sat), ftz = take(lo, M_ftz), relu = take(lo, M_relu);
    bool dh = td == T_F16 || td == T_BF16, sh = ts == T_F16 || ts == T_BF16;
    char name[32];
    struct uop *u;
    uint32_t s = wide_src(lo, opnd(lo, in, 1), ts), d = low_dst(lo, opnd(lo, in, 0), td);
    if (lo->err)
        return -1;
    if (ts == T_F16 && td == T_F64 && r < 0)
        sh = false;
    if (ts == T_BF16 && td == T_F32 && r < 0) {
        if (!op1(lo, d, s, "cvt.f32.bf16"))
            return -1;
        goto finish;
    }
    if (sh && (td != ts || r >= 0)) {
        s = half_to_single(lo, s, ts);
        ts = T_F32;
    } else if (sh) { /* the same type, nothing to round */
        if (!op1(lo, d, s, "mov.32"))
            return -1;
        goto finish;
    }
    if (ftz && ts == T_F32) {
        uint32_t t = low_tmp(lo, SLOT32);
        if (!op1(lo, t, s, "ftz.f32"))
            return -1;
        s = t;
    }
    if (r >= 0) {
        uint32_t t = td == ts ? d : low_tmp(lo, ts == T_F64 ? SLOT64 : SLOT32);
        if (!(u = op1(lo, t, s, ts == T_F64 ? "rint.f64" : "rint.f32")))
            return -1;
        u->n = r;
        u->csrmask = CSR_ALL;
        s = t;
        if (td == ts) {
            if (td == T_F32 && !op1(lo, d, d, "canon.f32"))
                return -1;
            goto finish;
        }
    }
    if (td == ts) {
        if (!op1(lo, d, s, td == T_F64 ? "mov.64" : "canon.f32"))
            return -1;
    } else {
        if (ftz && ts == T_F32 && td == T_F64) { /* flushing makes NaNs canonical, too */
            uint32_t t = low_tmp(lo, SLOT32);
            if (!op1(lo, t, s, "canon.f32"))
                return -1;
            s = t;
        }
        snprintf(name, sizeof(name), "cvt.%s.%s", ptx_type_name[td], ptx_type_name[ts]);
        if (!(u = op1(lo, d, s, name)))
            return -1;
        if (dh) {
            u->n = mode;
        } else {
            u->csr = mode;
            u->csrmask = CSR_ALL;
        }
        if (ftz && td == T_F32 && !op1(lo, d, d, "ftz.f32"))
            return -1;
    }
finish:
    if (sat) {
        snprintf(name, sizeof(name), "sat.%s", ptx_type_name[td]);
        if (!op1(lo, d, d, name))
            return -1;
    }
    if (relu) {
        snprintf(name, sizeof(name), "relu.%s", ptx_type_name[td]);
        if (!op1(lo, d, d, name))
            return -1;
    }
    return 0;
}

int low_cvt(struct lower *lo, const struct ir_insn *in)
{
    if (in->ntype != 2)
        return low_fail(lo, E_INVALID_PTX, "%u types where 2 are wanted", in->ntype);
    unsigned td = in->type[0], ts = in->type[1];
    int small = low_cvt_small(lo, in);
    if (small <= 0)
        return small;
    if ((td == T_F16X2 || td == T_BF16X2) && ts == T_F32 && in->nopnd == 3) {
        unsigned mode = round_mod(lo);
        bool relu = take(lo, M_relu);
        uint32_t a = low_src(lo, opnd(lo, in, 1), T_F32), b = low_src(lo, opnd(lo, in, 2), T_F32);
        uint32_t d = low_dst(lo, opnd(lo, in, 0), td);
        struct uop *u = op2(lo, d, a, b, td == T_F16X2 ? "cvt.f16x2.f32" : "cvt.bf16x2.f32");
        if (!u)
            return -1;
        u->n = mode;
        if (relu && !op1(lo, d, d, td == T_F16X2 ? "relu.f16x2" : "relu.bf16x2"))
            return -1;
        return 0;
    }
    if (in->nopnd != 2)
        return low_fail(lo, E_NOT_SUPPORTED, "this form of cvt is not supported");
    if (td == T_TF32 && ts == T_F32 && take(lo, M_rna)) {
        uint32_t a = low_src(lo, opnd(lo, in, 1), T_F32), d = low_dst(lo, opnd(lo, in, 0), T_B32);
        return op1(lo, d, a, "cvt.tf32.f32") ? 0 : -1;
    }
    bool di = td >= T_U8 && td <= T_S64, si = ts >= T_U8 && ts <= T_S64;
    if (di && si) {
        round_int_mod(lo);
        return cvt_int_int(lo, in, td, ts);
    }
    if (di && is_float(ts))
        return cvt_float_int(lo, in, td, ts);
    if (is_float(td) && si)
        return cvt_int_float(lo, in, td, ts);
    if (is_float(td) && is_float(ts))
        return cvt_float_float(lo, in, td, ts);
    return low_fail(lo, E_NOT_SUPPORTED, "cvt.%s.%s is not supported", ptx_type_name[td],
                    ptx_type_name[ts]);
}

/* ---- address spaces -------------------------------------------------------------------------------------- */

static int64_t take_aperture(struct lower *lo) /* -1: no space named; 0: global and const */
{
    if (take(lo, M_global) || take(lo, M_const))
        return 0;
    if (take(lo, M_shared))
        return PTX_APERTURE_SHARED;
    if (take(lo, M_local))
        return PTX_APERTURE_LOCAL;
    if (take(lo, M_param))
        return PTX_APERTURE_PARAM;
    return -1;
}

int low_cvta(struct lower *lo, const struct ir_insn *in)
{
    bool to = take(lo, M_to);
    int64_t ap = take_aperture(lo);
    const struct ir_opnd *o = opnd(lo, in, 1);
    if (in->ntype != 1 || (in->type[0] != T_U64 && in->type[0] != T_B64))
        return low_fail(lo, E_NOT_SUPPORTED, "only .u64 addresses are supported");
    if (ap < 0)
        return low_fail(lo, E_INVALID_PTX, "no address space");
    /* a parameter of a function is in local memory here */
    if ((o->kind == O_VAR && o->var->space == SP_FPARAM) ||
        (ap == (int64_t)PTX_APERTURE_PARAM && !lo->fn->entry))
        ap = PTX_APERTURE_LOCAL;
    uint32_t s = low_src(lo, o, T_U64), d = low_dst(lo, opnd(lo, in, 0), T_U64);
    struct uop *u = op1(lo, d, s, ap ? "addimm.64" : "mov.64");
    if (!u)
        return -1;
    u->imm = to ? -ap : ap;
    return 0;
}

int low_isspacep(struct lower *lo, const struct ir_insn *in)
{
    bool cst = take(lo, M_const);
    int64_t ap = take_aperture(lo);
    if (ap < 0 && !cst)
        return low_fail(lo, E_INVALID_PTX, "no address space");
    uint32_t s = low_src(lo, opnd(lo, in, 1), T_U64), d = low_dst(lo, opnd(lo, in, 0), T_PRED);
    struct uop *u = op1(lo, d, s, ap > 0 ? "isspacep.ap" : "isspacep.global");
    if (!u)
        return -1;
    u->imm = ap;
    return 0;
}
