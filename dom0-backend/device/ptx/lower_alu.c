/* SPDX-License-Identifier: MIT */
/* lower_alu.c - arithmetic, logic and comparisons to micro-ops. Operands before micro-ops: computing
 * an operand may itself emit one. */
#include "lower.h"

static bool is_signed(unsigned t)
{
    return t >= T_S8 && t <= T_S64;
}
static bool is_int(unsigned t)
{
    return (t >= T_U8 && t <= T_S64) || t == T_S16X2 || t == T_U16X2;
}
static bool is_bits(unsigned t)
{
    return t == T_B16 || t == T_B32 || t == T_B64;
}

static const char *op_name(const struct ir_insn *in)
{
    return ptx_opcodes[in->op].name;
}
static int need_types(struct lower *lo, const struct ir_insn *in, unsigned n)
{
    if (in->ntype != n)
        return low_fail(lo, E_INVALID_PTX, "%u types where %u are wanted", in->ntype, n);
    return 0;
}

static struct uop *alu_codes(struct lower *lo, const struct ir_insn *in, const uint32_t s[3],
                             unsigned td, const char *name)
{
    uint32_t d = low_dst(lo, opnd(lo, in, 0), td);
    if (lo->err)
        return NULL;
    struct uop *u = emit(lo, "%s", name);
    if (u) {
        u->d = d;
        u->a = s[0];
        u->b = s[1];
        u->c = s[2];
    }
    return u;
}

/* One handler with 1..3 sources of type ts (c: tc) and a result of type td. */
static struct uop *alu(struct lower *lo, const struct ir_insn *in, unsigned nsrc, unsigned td,
                       unsigned ts, unsigned tc, const char *name)
{
    uint32_t s[3] = {0};
    for (unsigned i = 0; i < nsrc; i++)
        s[i] = low_src(lo, opnd(lo, in, i + 1), i == 2 ? tc : ts);
    return alu_codes(lo, in, s, td, name);
}

/* A further micro-op on the result just written: saturation, flushing. */
static int post(struct lower *lo, uint32_t d, const char *fmt, const char *type)
{
    struct uop *u = emit(lo, fmt, type);
    if (!u)
        return -1;
    u->d = u->a = d;
    return 0;
}

/* ---- integers ------------------------------------------------------------------------------------- */

static int carry(struct lower *lo, const struct ir_insn *in, unsigned t, const char *name,
                 unsigned flags, bool has_c)
{
    struct uop *u = alu(lo, in, has_c ? 3 : 2, t, t, t, name);
    if (!u)
        return -1;
    if (!has_c)
        u->c = u->b;
    u->f = flags;
    return 0;
}

static int arith_int(struct lower *lo, const struct ir_insn *in, unsigned t)
{
    const char *n = op_name(in);
    unsigned bits = ptx_type_bits[t];
    char name[40];
    bool x2 = t == T_S16X2 || t == T_U16X2;
    if (t == T_U8 || t == T_S8)
        return low_fail(lo, E_INVALID_PTX, "type .%s is not allowed", ptx_type_name[t]);
    if (x2) {
        if (strcmp(n, "add") || has_mod(in, M_sat))
            return low_fail(lo, E_NOT_SUPPORTED, "type .%s is not supported", ptx_type_name[t]);
        return alu(lo, in, 2, t, t, t, "add.i16x2") ? 0 : -1;
    }
    if (!strcmp(n, "add") || !strcmp(n, "sub")) {
        if (take(lo, M_cc)) {
            snprintf(name, sizeof(name), "%sc.i%u", n, bits);
            return carry(lo, in, t, name, 2, false);
        }
        if (take(lo, M_sat))
            snprintf(name, sizeof(name), "%s.sat.%s", n, ptx_type_name[t]);
        else
            snprintf(name, sizeof(name), "%s.i%u", n, bits);
        return alu(lo, in, 2, t, t, t, name) ? 0 : -1;
    }
    if (!strcmp(n, "mul") || !strcmp(n, "mad")) {
        unsigned ns = n[1] == 'u' ? 2 : 3;
        if (take(lo, M_wide)) {
            unsigned td = bits == 16 ? T_U32 : T_U64;
            if (bits == 64)
                return low_fail(lo, E_INVALID_PTX, ".wide of a 64-bit type");
            snprintf(name, sizeof(name), "%s.wide.%s", n, ptx_type_name[t]);
            return alu(lo, in, ns, td, t, td, name) ? 0 : -1;
        }
        bool hi = take(lo, M_hi), cc = take(lo, M_cc);
        if (!hi && !take(lo, M_lo))
            return low_fail(lo, E_INVALID_PTX, "none of .lo, .hi, .wide");
        if (cc) {
            if (hi)
                snprintf(name, sizeof(name), "madc.hi.%s", ptx_type_name[t]);
            else
                snprintf(name, sizeof(name), "madc.lo.i%u", bits);
            return carry(lo, in, t, name, 2, true);
        }
        if (hi)
            snprintf(name, sizeof(name), "%s.hi.%s%s", n, take(lo, M_sat) ? "sat." : "",
                     ptx_type_name[t]);
        else
            snprintf(name, sizeof(name), "%s.lo.i%u", n, bits);
        return alu(lo, in, ns, t, t, t, name) ? 0 : -1;
    }
    if (!strcmp(n, "mul24") || !strcmp(n, "mad24")) {
        bool hi = take(lo, M_hi);
        take(lo, M_lo);
        snprintf(name, sizeof(name), "%s.%s.%s", n, hi ? "hi" : "lo", ptx_type_name[t]);
        return alu(lo, in, n[1] == 'u' ? 2 : 3, t, t, t, name) ? 0 : -1;
    }
    if (!strcmp(n, "neg"))
        snprintf(name, sizeof(name), "neg.i%u", bits);
    else
        snprintf(name, sizeof(name), "%s.%s", n, ptx_type_name[t]);
    struct uop *u = alu(lo, in, in->nopnd - 1, t, t, t, name);
    if (!u)
        return -1;
    if (take(lo, M_relu))
        return post(lo, u->d, "relu.%s", ptx_type_name[t]);
    return 0;
}

/* As alu(), with subnormal halves in the sources taken as zero. */
static struct uop *alu_flushed(struct lower *lo, const struct ir_insn *in, unsigned nsrc,
                               unsigned t, const char *name)
{
    uint32_t s[3] = {0};
    for (unsigned i = 0; i < nsrc; i++) {
        uint32_t a = low_src(lo, opnd(lo, in, i + 1), t);
        struct uop *u = lo->err ? NULL : emit(lo, "ftz.%s", ptx_type_name[t]);
        if (!u)
            return NULL;
        u->a = a;
        u->d = s[i] = low_tmp(lo, SLOT32);
    }
    return alu_codes(lo, in, s, t, name);
}

/* ---- floating point --------------------------------------------------------------------------------- */

static int arith_fp(struct lower *lo, const struct ir_insn *in, unsigned t)
{
    const char *n = op_name(in), *ty = ptx_type_name[t];
    char name[40];
    bool half = t != T_F32 && t != T_F64;
    bool bf = t == T_BF16 || t == T_BF16X2;
    bool ftz = take(lo, M_ftz), sat = take(lo, M_sat), approx = take(lo, M_approx);
    bool nan = take(lo, M_NaN), relu = take(lo, M_relu);
    unsigned nsrc = in->nopnd - 1;
    bool bitop = !strcmp(n, "abs") || !strcmp(n, "neg") || !strcmp(n, "copysign");
    bool minmax = !strcmp(n, "min") || !strcmp(n, "max");

    take(lo, M_full);
    take(lo, M_noftz);
    if (!strcmp(n, "mad"))
        n = "fma";
    if (minmax && nsrc != 2)
        return low_fail(lo, E_NOT_SUPPORTED, "three sources are not supported");
    if (nan)
        snprintf(name, sizeof(name), "%s.NaN.%s", n, ty);
    else if (t == T_F64 && approx && (!strcmp(n, "rcp") || (!strcmp(n, "rsqrt") && ftz)))
        snprintf(name, sizeof(name), "%s.approx.f64", n);
    else if (ftz && half && !bf && (!strcmp(n, "fma") || !strcmp(n, "mul")))
        snprintf(name, sizeof(name), "%s.ftz.%s", n, ty);
    else
        snprintf(name, sizeof(name), "%s.%s", n, ty);
    struct uop *u =
        ftz && half && !bf ? alu_flushed(lo, in, nsrc, t, name) : alu(lo, in, nsrc, t, t, t, name);
    if (!u)
        return -1;
    uint32_t d = u->d;
    if (!bitop && !minmax)
        low_fpmode(lo, u, true, ftz && t == T_F32);
    if (half && (u->csr & 3))
        return low_fail(lo, E_NOT_SUPPORTED, "only .rn is supported for .%s", ty);
    if (half && !bitop && !minmax) {
        u->csr = CSR_RN; /* single-precision intermediate must not be flushed */
        u->csrmask = CSR_ALL;
    }
    /* flush where the arithmetic itself does not */
    if (ftz && t == T_F32 && (bitop || minmax) && post(lo, d, "ftz.%s", ty))
        return -1;
    if (ftz && half && !bf && post(lo, d, "ftz.%s", ty))
        return -1;
    if (sat && post(lo, d, "sat.%s", ty))
        return -1;
    if (relu && post(lo, d, "relu.%s", ty))
        return -1;
    return 0;
}

int low_arith(struct lower *lo, const struct ir_insn *in)
{
    if (need_types(lo, in, 1))
        return -1;
    unsigned t = in->type[0];
    if (has_mod(in, M_xorsign) ||
        ((t == T_S16X2 || t == T_U16X2) && (op_name(in)[0] == 'm' && op_name(in)[1] != 'u')))
        return low_minmax_small(lo, in);
    switch (t) {
    case T_F32:
    case T_F64:
    case T_F16:
    case T_F16X2:
    case T_BF16:
    case T_BF16X2:
        return arith_fp(lo, in, t);
    default:
        if (!is_int(t))
            return low_fail(lo, E_INVALID_PTX, "type .%s is not allowed", ptx_type_name[t]);
        return arith_int(lo, in, t);
    }
}

int low_carry(struct lower *lo, const struct ir_insn *in)
{
    const char *n = op_name(in);
    char name[40];
    if (need_types(lo, in, 1))
        return -1;
    unsigned t = in->type[0], bits = ptx_type_bits[t];
    unsigned flags = 1 | (take(lo, M_cc) ? 2 : 0);
    bool mad = n[0] == 'm';
    if (mad && take(lo, M_hi))
        snprintf(name, sizeof(name), "madc.hi.%s", ptx_type_name[t]);
    else if (mad && take(lo, M_lo))
        snprintf(name, sizeof(name), "madc.lo.i%u", bits);
    else
        snprintf(name, sizeof(name), "%s.i%u", n, bits);
    return carry(lo, in, t, name, flags, mad);
}

int low_dp(struct lower *lo, const struct ir_insn *in)
{
    if (need_types(lo, in, 2))
        return -1;
    bool two = !strcmp(op_name(in), "dp2a"), hi = take(lo, M_hi);
    take(lo, M_lo);
    struct uop *u = alu(lo, in, 3, T_U32, T_U32, T_U32, two ? "dp2a" : "dp4a");
    if (!u)
        return -1;
    u->f = is_signed(in->type[0]) | is_signed(in->type[1]) << 1 | (two && hi) << 2;
    return 0;
}

int low_video4(struct lower *lo, const struct ir_insn *in)
{
    static const char *const ops[] = {"vabsdiff4", "vadd4", "vsub4", "vavrg4", "vmin4", "vmax4"};
    if (need_types(lo, in, 3))
        return -1;
    bool sat = take(lo, M_sat), add = take(lo, M_add);
    struct uop *u = alu(lo, in, 3, T_U32, T_U32, T_U32, "video4");
    if (!u)
        return -1;
    for (unsigned i = 0; i < 6; i++)
        if (!strcmp(op_name(in), ops[i]))
            u->n = i;
    u->f = is_signed(in->type[1]) | is_signed(in->type[2]) << 1 | is_signed(in->type[0]) << 2 |
           add << 3 | sat << 4;
    return 0;
}

/* ---- bits ------------------------------------------------------------------------------------------------ */

int low_logic(struct lower *lo, const struct ir_insn *in)
{
    char name[40];
    if (need_types(lo, in, 1))
        return -1;
    unsigned t = in->type[0];
    snprintf(name, sizeof(name), "%s.%s", op_name(in), ptx_type_name[t]);
    if (!strcmp(op_name(in), "not") && t != T_PRED && !is_bits(t))
        return low_fail(lo, E_INVALID_PTX, "type .%s is not allowed", ptx_type_name[t]);
    return alu(lo, in, in->nopnd - 1, t, t, t, name) ? 0 : -1;
}

int low_lop3(struct lower *lo, const struct ir_insn *in)
{
    const struct ir_opnd *lut = opnd(lo, in, 4);
    if (need_types(lo, in, 1))
        return -1;
    if (in->nopnd != 5 || lut->kind != O_IMM || in->type[0] != T_B32)
        return low_fail(lo, E_NOT_SUPPORTED, "this form of lop3 is not supported");
    struct uop *u = alu(lo, in, 3, T_B32, T_B32, T_B32, "lop3.b32");
    if (!u)
        return -1;
    u->imm = lut->val & 255;
    return 0;
}

int low_bits(struct lower *lo, const struct ir_insn *in)
{
    const char *n = op_name(in);
    char name[40];
    if (need_types(lo, in, 1))
        return -1;
    unsigned t = in->type[0];
    struct uop *u;
    if (!strcmp(n, "shl") || !strcmp(n, "shr")) {
        /* shr.bN is logical */
        unsigned tn = n[2] == 'r' && is_bits(t) ? t - T_B8 + T_U8 : t;
        snprintf(name, sizeof(name), "%s.%s", n, ptx_type_name[tn]);
        uint32_t a = low_src(lo, opnd(lo, in, 1), t), b = low_src(lo, opnd(lo, in, 2), T_U32);
        uint32_t d = low_dst(lo, opnd(lo, in, 0), t);
        if (lo->err || !(u = emit(lo, "%s", name)))
            return -1;
        u->d = d;
        u->a = a;
        u->b = b;
        return 0;
    }
    if (!strcmp(n, "bfe") || !strcmp(n, "bfi")) {
        bool ins = n[2] == 'i';
        uint32_t a = low_src(lo, opnd(lo, in, 1), t);
        uint32_t b = low_src(lo, opnd(lo, in, 2), ins ? t : T_U32);
        uint32_t c = low_src(lo, opnd(lo, in, 3), T_U32);
        uint32_t e = ins ? low_src(lo, opnd(lo, in, 4), T_U32) : 0;
        uint32_t d = low_dst(lo, opnd(lo, in, 0), t);
        if (in->nopnd != (ins ? 5 : 4))
            return low_fail(lo, E_INVALID_PTX, "wrong number of operands");
        if (lo->err || !(u = emit(lo, "%s.%s", n, ptx_type_name[t])))
            return -1;
        u->d = d;
        u->a = a;
        u->b = b;
        u->c = c;
        u->e = e;
        return 0;
    }
    if (!strcmp(n, "bmsk") || !strcmp(n, "szext")) {
        bool wrap = take(lo, M_wrap);
        take(lo, M_clamp);
        if (n[0] == 'b')
            snprintf(name, sizeof(name), "bmsk.%s", wrap ? "wrap" : "clamp");
        else
            snprintf(name, sizeof(name), "szext.%s.%s", wrap ? "wrap" : "clamp", ptx_type_name[t]);
        return alu(lo, in, 2, t, T_U32, t, name) ? 0 : -1;
    }
    bool amt = take(lo, M_shiftamt);
    bool count = !strcmp(n, "bfind") || !strcmp(n, "clz") || !strcmp(n, "popc");
    snprintf(name, sizeof(name), "%s.%s", n, ptx_type_name[t]);
    u = alu(lo, in, in->nopnd - 1, count ? T_U32 : t, t, t, name);
    if (!u)
        return -1;
    u->n = amt;
    return 0;
}

int low_shf(struct lower *lo, const struct ir_insn *in)
{
    char name[40];
    if (need_types(lo, in, 1))
        return -1;
    bool left = take(lo, M_l), wrap = take(lo, M_wrap);
    take(lo, M_r);
    take(lo, M_clamp);
    snprintf(name, sizeof(name), "shf.%s.%s", left ? "l" : "r", wrap ? "wrap" : "clamp");
    return alu(lo, in, 3, T_B32, T_B32, T_U32, name) ? 0 : -1;
}

int low_prmt(struct lower *lo, const struct ir_insn *in)
{
    static const uint8_t modes[6] = {M_f4e, M_b4e, M_rc8, M_ecl, M_ecr, M_rc16};
    int mode = -1;
    if (need_types(lo, in, 1))
        return -1;
    for (int i = 0; i < 6; i++)
        if (take(lo, modes[i]))
            mode = i;
    struct uop *u = alu(lo, in, 3, T_B32, T_B32, T_B32, mode < 0 ? "prmt.b32" : "prmt.mode");
    if (!u)
        return -1;
    u->n = mode < 0 ? 0 : mode;
    return 0;
}

/* ---- comparisons -------------------------------------------------------------------------------------------- */

static const struct {
    uint8_t mod;
    const char *name;
    uint8_t as; /* the unsigned and unordered spellings of integers */
} cmps[] = {
    {M_eq, "eq", 0},   {M_ne, "ne", 0},   {M_lt, "lt", 0},   {M_le, "le", 0},   {M_gt, "gt", 0},
    {M_ge, "ge", 0},   {M_lo, "lt", 1},   {M_ls, "le", 1},   {M_hi, "gt", 1},   {M_hs, "ge", 1},
    {M_equ, "equ", 0}, {M_neu, "neu", 0}, {M_ltu, "ltu", 0}, {M_leu, "leu", 0}, {M_gtu, "gtu", 0},
    {M_geu, "geu", 0}, {M_num, "num", 0}, {M_nan, "nan", 0},
};

/* Emits comparisons of operands 1 or 2 and 3 (at) of type t into predicate d (a slot code);
 * hi: the upper halves of pairs. */
static int compare(struct lower *lo, const struct ir_insn *in, unsigned at, unsigned t, uint32_t d,
                   const char *cmp, bool ftz, bool hi)
{
    unsigned tn = t;
    if (is_bits(t)) /* eq and ne do not care about the sign */
        tn = t - T_B8 + T_U8;
    const char *ty = ptx_type_name[tn];
    if (t == T_F16X2)
        ty = hi ? "f16h" : "f16";
    if (t == T_BF16X2)
        ty = hi ? "bf16h" : "bf16";
    uint32_t a = low_src(lo, opnd(lo, in, at), t), b = low_src(lo, opnd(lo, in, at + 1), t);
    if (lo->err)
        return -1;
    struct uop *u = emit(lo, "%s.%s", cmp, ty);
    if (!u)
        return -1;
    u->d = d;
    u->a = a;
    u->b = b;
    if (t == T_F32 || t == T_F64) {
        u->csr = t == T_F32 && ftz ? CSR_FTZ : 0;
        u->csrmask = CSR_FTZ;
    } else if (t >= T_F16) {
        u->csr = 0; /* halves are compared as singles: subnormal halves are normal there */
        u->csrmask = CSR_FTZ;
    }
    return 0;
}

static const char *take_cmp(struct lower *lo)
{
    for (unsigned i = 0; i < sizeof(cmps) / sizeof(cmps[0]); i++)
        if (take(lo, cmps[i].mod))
            return cmps[i].name;
    low_fail(lo, E_INVALID_PTX, "no comparison operator");
    return NULL;
}

static const char *take_bool(struct lower *lo)
{
    return take(lo, M_and) ? "and" : take(lo, M_or) ? "or" : take(lo, M_xor) ? "xor" : NULL;
}

static int pred2(struct lower *lo, const char *op, uint32_t d, uint32_t a, uint32_t b)
{
    struct uop *u = emit(lo, "%s.pred", op);
    if (!u)
        return -1;
    u->d = d;
    u->a = a;
    u->b = b;
    return 0;
}

int low_setp(struct lower *lo, const struct ir_insn *in)
{
    const struct ir_opnd *o = opnd(lo, in, 0), *dp = o, *dq = NULL;
    if (need_types(lo, in, 1))
        return -1;
    unsigned t = in->type[0];
    bool ftz = take(lo, M_ftz), pair = t == T_F16X2 || t == T_BF16X2;
    const char *bop = take_bool(lo), *cmp = take_cmp(lo);
    if (!cmp)
        return -1;
    if (o->kind == O_PAIR) {
        dp = &lo->fn->opnds[o->idx];
        dq = &lo->fn->opnds[o->idx + 1];
    }
    if ((bop != NULL) != (in->nopnd == 4))
        return low_fail(lo, E_INVALID_PTX, "a third source goes with .and, .or, .xor");
    uint32_t c = bop ? low_src(lo, opnd(lo, in, 3), T_PRED) : 0;
    uint32_t p = dp->kind == O_SINK ? low_tmp(lo, 4) : low_dst(lo, dp, T_PRED);
    uint32_t q = !dq ? 0 : dq->kind == O_SINK ? low_tmp(lo, 4) : low_dst(lo, dq, T_PRED);
    if (lo->err)
        return -1;
    if (!bop && !dq)
        return compare(lo, in, 1, t, p, cmp, ftz, false);
    uint32_t r = low_tmp(lo, 4), s = low_tmp(lo, 4);
    if (compare(lo, in, 1, t, r, cmp, ftz, false))
        return -1;
    if (pair) {
        if (compare(lo, in, 1, t, s, cmp, ftz, true))
            return -1;
    } else if (pred2(lo, "not", s, r, r)) {
        return -1;
    }
    if (bop && (pred2(lo, bop, r, r, c) || pred2(lo, bop, s, s, c)))
        return -1;
    if (pred2(lo, "mov", p, r, r))
        return -1;
    return dq ? pred2(lo, "mov", q, s, s) : 0;
}

/* set.cmp.dtype.stype: all ones or 1.0 where true */
int low_set(struct lower *lo, const struct ir_insn *in)
{
    if (need_types(lo, in, 2))
        return -1;
    unsigned td = in->type[0], ts = in->type[1];
    bool ftz = take(lo, M_ftz);
    const char *bop = take_bool(lo), *cmp = take_cmp(lo);
    if (!cmp)
        return -1;
    if ((bop != NULL) != (in->nopnd == 4))
        return low_fail(lo, E_INVALID_PTX, "a third source goes with .and, .or, .xor");
    uint32_t c = bop ? low_src(lo, opnd(lo, in, 3), T_PRED) : 0;
    uint32_t d = low_dst(lo, opnd(lo, in, 0), td), r = low_tmp(lo, 4);
    if (lo->err || compare(lo, in, 1, ts, r, cmp, ftz, false) || (bop && pred2(lo, bop, r, r, c)))
        return -1;
    bool pair = ts == T_F16X2 || ts == T_BF16X2;
    uint32_t one = td == T_F32      ? 0x3f800000u
                   : td == T_F16    ? 0x3c00
                   : td == T_BF16   ? 0x3f80
                   : td == T_F16X2  ? 0x3c00
                   : td == T_BF16X2 ? 0x3f80
                                    : FULL;
    if (pair && one == FULL)
        one = 0xffff;
    if (ptx_type_bits[td] > 32)
        return low_fail(lo, E_INVALID_PTX, "result type .%s is not allowed", ptx_type_name[td]);
    uint32_t yes = low_const32(lo, one), no = low_const32(lo, 0),
             t = pair ? low_tmp(lo, SLOT32) : d;
    struct uop *u = emit(lo, "selp.32");
    if (!u)
        return -1;
    u->d = t;
    u->a = yes;
    u->b = no;
    u->c = r;
    if (!pair)
        return 0;
    uint32_t t2 = low_tmp(lo, SLOT32);
    if (compare(lo, in, 1, ts, r, cmp, ftz, true) || (bop && pred2(lo, bop, r, r, c)))
        return -1;
    if (!(u = emit(lo, "selp.32")))
        return -1;
    u->d = t2;
    u->a = yes;
    u->b = no;
    u->c = r;
    if (!(u = emit(lo, "pack.32.16")))
        return -1;
    u->d = d;
    u->a = t;
    u->b = t2;
    return 0;
}

int low_testp(struct lower *lo, const struct ir_insn *in)
{
    static const struct {
        uint8_t m;
        const char *n;
    } k[] = {{M_finite, "finite"},         {M_infinite, "infinite"}, {M_number, "number"},
             {M_notanumber, "notanumber"}, {M_normal, "normal"},     {M_subnormal, "subnormal"}};
    if (need_types(lo, in, 1))
        return -1;
    unsigned t = in->type[0], i = 0;
    while (i < 6 && !take(lo, k[i].m))
        i++;
    if (i == 6)
        return low_fail(lo, E_INVALID_PTX, "no property to test");
    uint32_t a = low_src(lo, opnd(lo, in, 1), t), d = low_dst(lo, opnd(lo, in, 0), T_PRED);
    if (lo->err)
        return -1;
    struct uop *u = emit(lo, "testp.%s.%s", k[i].n, ptx_type_name[t]);
    if (!u)
        return -1;
    u->d = d;
    u->a = u->b = a;
    return 0;
}

int low_selp(struct lower *lo, const struct ir_insn *in)
{
    if (need_types(lo, in, 1))
        return -1;
    unsigned t = in->type[0];
    struct uop *u = alu(lo, in, 3, t, t, T_PRED, ptx_type_bits[t] == 64 ? "selp.64" : "selp.32");
    return u ? 0 : -1;
}

int low_slct(struct lower *lo, const struct ir_insn *in)
{
    char name[32];
    if (need_types(lo, in, 2))
        return -1;
    unsigned t = in->type[0], tc = in->type[1];
    bool ftz = take(lo, M_ftz);
    if (tc != T_S32 && tc != T_F32)
        return low_fail(lo, E_INVALID_PTX, "type .%s is not allowed", ptx_type_name[tc]);
    snprintf(name, sizeof(name), "slct.%u.%s", ptx_type_bits[t] == 64 ? 64 : 32, ptx_type_name[tc]);
    struct uop *u = alu(lo, in, 3, t, t, tc, name);
    if (!u)
        return -1;
    if (tc == T_F32) {
        u->csr = ftz ? CSR_FTZ : 0;
        u->csrmask = CSR_FTZ;
    }
    return 0;
}
