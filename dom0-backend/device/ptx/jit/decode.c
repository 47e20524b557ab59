/* SPDX-License-Identifier: MIT */
/* decode.c - what a micro-op does and which registers it touches, from its handler's name. */
#include "dom0-backend/device/ptx/addr.h"
#include "jit_int.h"

/*
 * Operands d, a, b, c, e in this order. t: the class that the last word of the name has, w: 32 bits,
 * l: 64 bits, p: predicate, W: twice the width of the last word, P: predicate or none (0), -: none.
 */
static const struct form {
    const char *name;
    uint8_t op;
    const char *sig;
} forms[] = {
    {"add", OP_ADD, "ttt"},
    {"add.sat", OP_HANDLER, "ttt"},
    {"sub", OP_SUB, "ttt"},
    {"sub.sat", OP_HANDLER, "ttt"},
    {"mul", OP_MUL, "ttt"},
    {"mul.ftz", OP_HANDLER, "ttt"},
    {"mul.lo", OP_MUL, "ttt"},
    {"mul.hi", OP_MULHI, "ttt"},
    {"mul.wide", OP_MULWIDE, "Wtt"},
    {"mad.lo", OP_MAD, "tttt"},
    {"mad.hi", OP_MADHI, "tttt"},
    {"mad.hi.sat", OP_HANDLER, "tttt"},
    {"mad.wide", OP_MADWIDE, "WttW"},
    {"mul24.lo", OP_HANDLER, "www"},
    {"mul24.hi", OP_HANDLER, "www"},
    {"mad24.lo", OP_HANDLER, "wwww"},
    {"mad24.hi", OP_HANDLER, "wwww"},
    {"neg", OP_NEG, "tt"},
    {"div", OP_DIV, "ttt"},
    {"rem", OP_REM, "ttt"},
    {"min", OP_MIN, "ttt"},
    {"max", OP_MAX, "ttt"},
    {"min.NaN", OP_MINNAN, "ttt"},
    {"max.NaN", OP_MAXNAN, "ttt"},
    {"abs", OP_ABS, "tt"},
    {"relu", OP_RELU, "tt"},
    {"sad", OP_HANDLER, "tttt"},
    {"addc", OP_HANDLER, "tttt"},
    {"subc", OP_HANDLER, "tttt"},
    {"madc.lo", OP_HANDLER, "tttt"},
    {"madc.hi", OP_HANDLER, "tttt"},
    {"dp4a", OP_DP4A, "wwww"},
    {"dp2a", OP_HANDLER, "wwww"},
    {"and", OP_AND, "ttt"},
    {"or", OP_OR, "ttt"},
    {"xor", OP_XOR, "ttt"},
    {"not", OP_NOT, "tt"},
    {"cnot", OP_CNOT, "tt"},
    {"mov", OP_MOV, "tt"},
    {"shl", OP_SHL, "ttw"},
    {"shr", OP_SHR, "ttw"},
    {"shf.l.wrap", OP_SHFL_WRAP, "wwww"},
    {"shf.l.clamp", OP_SHFL_CLAMP, "wwww"},
    {"shf.r.wrap", OP_SHFR_WRAP, "wwww"},
    {"shf.r.clamp", OP_SHFR_CLAMP, "wwww"},
    {"bfe", OP_BFE, "ttww"},
    {"bfi", OP_BFI, "tttww"},
    {"bfind", OP_HANDLER, "wt"},
    {"clz", OP_CLZ, "wt"},
    {"popc", OP_POPC, "wt"},
    {"brev", OP_BREV, "tt"},
    {"bmsk.clamp", OP_HANDLER, "www"},
    {"bmsk.wrap", OP_HANDLER, "www"},
    {"szext.clamp", OP_HANDLER, "www"},
    {"szext.wrap", OP_HANDLER, "www"},
    {"fns", OP_HANDLER, "wwww"},
    {"prmt", OP_PRMT, "wwww"},
    {"prmt.mode", OP_HANDLER, "wwww"},
    {"lop3", OP_LOP3, "wwww"},
    {"video4", OP_HANDLER, "wwww"},
    {"video", OP_HANDLER, "wwww"},
    {"minmax.xorsign", OP_HANDLER, "www"},
    {"minmax.x2", OP_HANDLER, "www"},
    {"cvt.to8", OP_HANDLER, "www"},
    {"cvt.from8", OP_HANDLER, "ww"},
    {"cvt.round.tf32", OP_HANDLER, "ww"},
    {"movmatrix", OP_HANDLER, "ww"},
    {"mbarrier.pending", OP_HANDLER, "wl"},
    {"selp", OP_SELP, "tttp"},
    {"slct.32", OP_SLCT, "wwww"},
    {"slct.64", OP_SLCT, "lllw"},
    {"pack.64", OP_PACK64, "lww"},
    {"pack.32", OP_PACK32, "www"},
    {"pack.16", OP_HANDLER, "www"},
    {"low.64", OP_LOW, "wl"},
    {"high.64", OP_HIGH, "wl"},
    {"shr16", OP_SHR16, "ww"},
    {"ext16", OP_EXT16, "ww"},
    {"byte", OP_BYTE, "ww"},
    {"ext.32", OP_EXT, "ww"},
    {"ext.64", OP_EXT, "ll"},
    {"cvt.64", OP_CVT64, "lw"},
    {"cvt.32", OP_CVT32, "wl"},
    {"cvti.u8", OP_CVTI, "wt"},
    {"cvti.s8", OP_CVTI, "wt"},
    {"cvti.u16", OP_CVTI, "wt"},
    {"cvti.s16", OP_CVTI, "wt"},
    {"cvti.u32", OP_CVTI, "wt"},
    {"cvti.s32", OP_CVTI, "wt"},
    {"cvti.u64", OP_CVTI, "lt"},
    {"cvti.s64", OP_CVTI, "lt"},
    {"cvt.f32", OP_CVTF32, "wt"},
    {"cvt.f64", OP_CVTF64, "lt"},
    {"cvt.f64odd", OP_HANDLER, "lt"},
    {"cvt.f16", OP_HANDLER, "wt"},
    {"cvt.bf16", OP_HANDLER, "wt"},
    {"cvt.f16x2", OP_HANDLER, "www"},
    {"cvt.bf16x2", OP_HANDLER, "www"},
    {"cvt.tf32", OP_HANDLER, "wt"},
    {"rint", OP_RINT, "tt"},
    {"canon", OP_CANON, "tt"},
    {"fma", OP_FMA, "tttt"},
    {"fma.ftz", OP_HANDLER, "tttt"},
    {"rcp", OP_RCP, "tt"},
    {"sqrt", OP_SQRT, "tt"},
    {"rsqrt", OP_RSQRT, "tt"},
    {"rcp.approx", OP_HANDLER, "tt"},
    {"rsqrt.approx", OP_HANDLER, "tt"},
    {"copysign", OP_COPYSIGN, "ttt"},
    {"ftz", OP_FTZ, "tt"},
    {"sat", OP_SAT, "tt"},
    {"sat.u8", OP_HANDLER, "ll"},
    {"sat.s8", OP_HANDLER, "ll"},
    {"sat.u16", OP_HANDLER, "ll"},
    {"sat.s16", OP_HANDLER, "ll"},
    {"sat.u32", OP_HANDLER, "ll"},
    {"sat.s32", OP_HANDLER, "ll"},
    {"sat.u64", OP_HANDLER, "ll"},
    {"sat.s64", OP_HANDLER, "ll"},
    {"ex2", OP_EX2, "tt"},
    {"lg2", OP_HANDLER, "tt"},
    {"sin", OP_HANDLER, "tt"},
    {"cos", OP_HANDLER, "tt"},
    {"tanh", OP_HANDLER, "tt"},
    {"eq", OP_CMP, "ptt"},
    {"ne", OP_CMP, "ptt"},
    {"lt", OP_CMP, "ptt"},
    {"le", OP_CMP, "ptt"},
    {"gt", OP_CMP, "ptt"},
    {"ge", OP_CMP, "ptt"},
    {"equ", OP_CMP, "ptt"},
    {"neu", OP_CMP, "ptt"},
    {"ltu", OP_CMP, "ptt"},
    {"leu", OP_CMP, "ptt"},
    {"gtu", OP_CMP, "ptt"},
    {"geu", OP_CMP, "ptt"},
    {"num", OP_CMP, "ptt"},
    {"nan", OP_CMP, "ptt"},
    {"testp.finite", OP_HANDLER, "ptt"},
    {"testp.infinite", OP_HANDLER, "ptt"},
    {"testp.number", OP_HANDLER, "ptt"},
    {"testp.notanumber", OP_HANDLER, "ptt"},
    {"testp.normal", OP_HANDLER, "ptt"},
    {"testp.subnormal", OP_HANDLER, "ptt"},
    {"shfl", OP_SHFL, "wwwwP"},
    {"vote", OP_VOTE, "ppw"},
    {"ballot", OP_BALLOT, "wpw"},
    {"activemask", OP_HANDLER, "w"},
    {"match.any", OP_HANDLER, "wtw-P"},
    {"match.all", OP_HANDLER, "wtw-P"},
    {"redux", OP_HANDLER, "www"},
    {"elect", OP_HANDLER, "w-w-P"},
    {"isspacep.ap", OP_HANDLER, "pl"},
    {"isspacep.global", OP_HANDLER, "pl"},
    {"sreg.32", OP_HANDLER, "w"},
    {"sreg.64", OP_HANDLER, "l"},
    {"addimm", OP_ADDIMM, "tt"},
    {"fence", OP_HANDLER, ""},
    {"nop", OP_NOP, ""},
};

static const struct {
    const char *name;
    uint8_t ty, cls;
} types[] = {{"u8", TY_U8, C_32},      {"s8", TY_S8, C_32},     {"u16", TY_U16, C_32},
             {"s16", TY_S16, C_32},    {"i16", TY_U16, C_32},   {"b16", TY_U16, C_32},
             {"u32", TY_U32, C_32},    {"s32", TY_S32, C_32},   {"i32", TY_U32, C_32},
             {"b32", TY_U32, C_32},    {"32", TY_U32, C_32},    {"u64", TY_U64, C_64},
             {"s64", TY_S64, C_64},    {"i64", TY_U64, C_64},   {"b64", TY_U64, C_64},
             {"64", TY_U64, C_64},     {"f32", TY_F32, C_32},   {"f64", TY_F64, C_64},
             {"f16", TY_F16, C_32},    {"bf16", TY_F16, C_32},  {"f16x2", TY_F16, C_32},
             {"f16h", TY_F16, C_32},   {"bf16h", TY_F16, C_32}, {"bf16x2", TY_F16, C_32},
             {"16", TY_U16, C_32},     {"8", TY_U8, C_32},      {"i16x2", TY_F16, C_32},
             {"pred", TY_PRED, C_PRED}};

int unit_fail(struct unit *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(t->log, t->log_n, fmt, ap);
    va_end(ap);
    return -1;
}

/* ---- registers ------------------------------------------------------------------------------------ */

static int reg_number(struct decoder *d, uint32_t vcode, uint32_t rcode, unsigned cls,
                      uint32_t *out)
{
    struct unit *t = d->t;
    uint32_t at = vcode >> 2, *n;

    if (at >= d->words || (rcode & 3) != B_FRAME)
        return unit_fail(t, "a register outside the frame");
    n = &d->number[cls][at];
    if (!*n) {
        struct reg *r = grow(t->regs, sizeof(*r), t->nregs, &t->cap_regs);

        if (!r || t->nregs >= JIT_MAX_REGS)
            return unit_fail(t, "more than %u registers", JIT_MAX_REGS);
        t->regs = r;
        r += t->nregs;
        memset(r, 0, sizeof(*r));
        r->off = rcode & ~3u;
        r->cls = cls;
        *n = ++t->nregs;
    }
    if (t->regs[*n - 1].off != (rcode & ~3u))
        return unit_fail(t, "a register with two places");
    *out = *n - 1;
    return 0;
}

int decode_operand(struct decoder *d, struct opd *o, uint32_t vcode, uint32_t rcode, unsigned cls)
{
    const struct prog *g = d->t->job->virt;

    o->cls = cls;
    switch (vcode & 3) {
    case B_FRAME:
        o->kind = OPD_REG;
        return reg_number(d, vcode, rcode, cls, &o->idx);
    case B_CONST: {
        uint32_t off = vcode & ~3u, n = cls == C_64 ? 8 : 4;

        if (off + n > g->nconst)
            return unit_fail(d->t, "a constant outside the pool");
        o->kind = OPD_CONST;
        memcpy(&o->val, g->consts + off, n);
        return 0;
    }
    default:
        o->kind = OPD_SREG;
        o->idx = (vcode & ~3u) / SLOT32;
        return cls == C_32 && o->idx < SR_LANES ? 0 : unit_fail(d->t, "a special register");
    }
}

/* ---- names ------------------------------------------------------------------------------------------ */

static int find_type(const char *s, uint8_t *ty, uint8_t *cls)
{
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (!strcmp(types[i].name, s)) {
            *ty = types[i].ty;
            *cls = types[i].cls;
            return 0;
        }
    return -1;
}

static const struct form *find_form(const char *name, size_t n)
{
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (strlen(forms[i].name) == n && !memcmp(forms[i].name, name, n))
            return &forms[i];
    return NULL;
}

static unsigned class_of(char c, uint8_t tcls)
{
    switch (c) {
    case 't':
        return tcls;
    case 'l':
        return C_64;
    case 'p':
    case 'P':
        return C_PRED;
    default:
        return C_32;
    }
}

static int by_form(struct decoder *d, struct jop *j, const struct uop *v, const struct uop *r)
{
    static const char *const cmps[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
                                       "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
    const char *dot = strrchr(v->name, '.');
    const struct form *f = find_form(v->name, strlen(v->name));
    uint8_t tcls = C_32;

    if (!f && dot) {
        f = find_form(v->name, (size_t)(dot - v->name));
        if (f && find_type(dot + 1, &j->ty, &tcls))
            f = NULL;
    }
    if (!f)
        return unit_fail(d->t, "'%.40s' is not known to the compiler", v->name);
    j->op = f->op;
    if (f->op == OP_CMP)
        for (unsigned i = 0; i < sizeof(cmps) / sizeof(cmps[0]); i++)
            if (strlen(cmps[i]) == (size_t)(dot - v->name) &&
                !memcmp(cmps[i], v->name, (size_t)(dot - v->name)))
                j->cmp = i;
    struct opd *o[5] = {&j->d, &j->a, &j->b, &j->c, &j->e};
    const uint32_t vc[5] = {v->d, v->a, v->b, v->c, v->e}, rc[5] = {r->d, r->a, r->b, r->c, r->e};
    for (unsigned i = 0; f->sig[i]; i++) {
        unsigned cls = class_of(f->sig[i], tcls);

        if (f->sig[i] == '-' || (f->sig[i] == 'P' && !vc[i]))
            continue;
        if (f->sig[i] == 'W')
            cls = j->ty == TY_U16 || j->ty == TY_S16 ? C_32 : C_64;
        if (decode_operand(d, o[i], vc[i], rc[i], cls))
            return -1;
        if (!i && j->d.kind != OPD_REG)
            return unit_fail(d->t, "a result that is no register");
    }
    return 0;
}

static const char *const spaces[] = {"global", "shared", "local", "param", "generic"};

static int address(struct decoder *d, struct jop *j, const struct uop *v, const struct uop *r)
{
    if (v->a == NO_ADDR_REG)
        return 0;
    return decode_operand(d, &j->a, v->a, r->a, v->f & AF_WIDE ? C_64 : C_32);
}

/* Registers 5 to 8 of a vector, in the micro-op behind. */
static int rest_of_vector(struct decoder *d, struct jop *j, const struct uop *v,
                          const struct uop *r, unsigned cls)
{
    const uint32_t vc[4] = {v->d, v->b, v->c, v->e}, rc[4] = {r->d, r->b, r->c, r->e};

    j->more = calloc(4, sizeof(*j->more));
    if (!j->more)
        return unit_fail(d->t, "out of memory");
    for (j->nmore = 0; j->nmore < 4; j->nmore++) {
        j->more[j->nmore].def = j->op == OP_LD;
        if (decode_operand(d, &j->more[j->nmore].o, vc[j->nmore], rc[j->nmore], cls))
            return -1;
    }
    return 0;
}

/* ld.SPACE.TYPE.BITS, ld.vN.SPACE.TYPE.BITS and the same of st */
static int memory(struct decoder *d, struct jop *j, const struct uop *v, const struct uop *r)
{
    const char *s = v->name + 3;
    char word[3][12];
    uint8_t cls;

    j->op = v->name[0] == 'l' ? OP_LD : OP_ST;
    j->nelem = 1;
    if (s[0] == 'v') {
        j->nelem = s[1] - '0';
        s += 3;
    }
    if (sscanf(s, "%11[^.].%11[^.].%11s", word[0], word[1], word[2]) != 3 ||
        find_type(word[1], &j->ty, &cls))
        return unit_fail(d->t, "'%.40s' is not known to the compiler", v->name);
    for (j->space = 0; j->space < 5 && strcmp(spaces[j->space], word[0]);)
        j->space++;
    if (j->space == 5 || j->nelem > 8)
        return unit_fail(d->t, "'%.40s' is not known to the compiler", v->name);
    cls = !strcmp(word[2], "64") ? C_64 : C_32;
    if (address(d, j, v, r))
        return -1;
    if (j->op == OP_ST && j->nelem == 1)
        return decode_operand(d, &j->b, v->b, r->b, cls);
    struct opd *o[4] = {&j->d, &j->b, &j->c, &j->e};
    const uint32_t vc[4] = {v->d, v->b, v->c, v->e}, rc[4] = {r->d, r->b, r->c, r->e};
    for (unsigned i = 0; i < j->nelem && i < 4; i++)
        if (decode_operand(d, o[i], vc[i], rc[i], cls))
            return -1;
    return j->nelem > 4 ? rest_of_vector(d, j, v + 1, r + 1, cls) : 0;
}

static int atomic(struct decoder *d, struct jop *j, const struct uop *v, const struct uop *r)
{
    uint8_t cls;

    if (find_type(strrchr(v->name, '.') + 1, &j->ty, &cls) || address(d, j, v, r))
        return unit_fail(d->t, "'%.40s' is not known to the compiler", v->name);
    if (decode_operand(d, &j->b, v->b, r->b, cls) || decode_operand(d, &j->c, v->c, r->c, cls))
        return -1;
    return v->d == NO_ADDR_REG ? 0 : decode_operand(d, &j->d, v->d, r->d, cls);
}

static int copy_async(struct decoder *d, struct jop *j, const struct uop *v, const struct uop *r)
{
    if (address(d, j, v, r))
        return -1;
    if (v->b != NO_ADDR_REG && decode_operand(d, &j->b, v->b, r->b, v->e & AF_WIDE ? C_64 : C_32))
        return -1;
    return v->c == NO_ADDR_REG ? 0 : decode_operand(d, &j->c, v->c, r->c, C_32);
}

static int decode_one(struct decoder *d, uint32_t i)
{
    struct unit *t = d->t;
    const struct uop *v = &t->virt[i], *r = &t->real[i];
    struct jop *j = &t->ops[i];
    int rc;

    if (v->kind != r->kind || (v->name != r->name))
        return unit_fail(t, "two lowerings differ");
    j->imm = v->imm;
    if (v->guard) {
        j->guard_neg = v->guard & 1;
        if (decode_operand(d, &j->guard, v->guard & ~1u, r->guard & ~1u, C_PRED))
            return -1;
    }
    switch (v->kind) {
    case K_FN:
        if (!strncmp(v->name, "ld.", 3) || !strncmp(v->name, "st.", 3)) {
            if (memory(d, j, v, r))
                return -1;
            j->native = mem_native(t, j, v);
            return 0;
        }
        if (!strncmp(v->name, "atom.", 5)) {
            if (atomic(d, j, v, r))
                return -1;
            if (atom_native(t, j, v)) {
                j->op = OP_ATOM;
                j->space = v->n;
                j->native = true;
            }
            return 0;
        }
        if (!strcmp(v->name, "cp.async"))
            return copy_async(d, j, v, r);
        if ((rc = handled_decode(d, j, v, r)) <= 0)
            return rc;
        if (by_form(d, j, v, r))
            return -1;
        j->native = j->op != OP_HANDLER && alu_native(t, j, v);
        return 0;
    case K_BRA:
        return v->target < t->n ? 0 : unit_fail(t, "a jump out of the kernel");
    case K_BAR:
        if (decode_operand(d, &j->a, v->a, r->a, C_32) ||
            (v->f && decode_operand(d, &j->b, v->b, r->b, C_32)))
            return -1;
        if (v->n >= BAR_POPC && decode_operand(d, &j->c, v->c, r->c, C_PRED))
            return -1;
        return v->n < BAR_POPC
                   ? 0
                   : decode_operand(d, &j->d, v->d, r->d, v->n == BAR_POPC ? C_32 : C_PRED);
    case K_WSYNC:
        return decode_operand(d, &j->a, v->a, r->a, C_32);
    case K_CALL:
        return handled_decode(d, j, v, r);
    case K_BRX:
        return decode_operand(d, &j->a, v->a, r->a, C_32);
    case K_JOIN:
    case K_EXIT:
    case K_TRAP:
    case K_YIELD:
    case K_END:
        return 0;
    default:
        return unit_fail(t, "a micro-op of kind %u is not compiled", v->kind);
    }
}

static bool is_local(const struct jop *j)
{
    return (j->op == OP_LD || j->op == OP_ST) && j->space == AS_LOCAL;
}

int unit_decode(struct unit *t)
{
    struct decoder d = {.t = t};
    const struct pfunc *vf = &t->job->virt->funcs[0], *rf = &t->job->real->funcs[0];
    int rc = -1;

    if (vf->nuops != rf->nuops || vf->nuops > JIT_MAX_UOPS)
        return unit_fail(t, "%u micro-ops, the limit is %u", vf->nuops, JIT_MAX_UOPS);
    t->real = rf->uops;
    t->virt = vf->uops;
    t->n = vf->nuops;
    t->ops = calloc(t->n + 1, sizeof(*t->ops));
    d.words = (vf->frame_bytes + 1024) / 4;
    for (int i = 0; i < 3; i++)
        d.number[i] = calloc(d.words, sizeof(uint32_t));
    if (!t->ops || !d.number[0] || !d.number[1] || !d.number[2]) {
        unit_fail(t, "out of memory");
        goto out;
    }
    /* the mode of most operations that have one; the others are left to their handlers */
    uint32_t plain = 0, ftz = 0;
    for (uint32_t i = 0; i < t->n; i++)
        if (t->virt[i].kind == K_FN && t->virt[i].csrmask) {
            plain += t->virt[i].csr == 0;
            ftz += t->virt[i].csr == CSR_FTZ;
        }
    t->csr = ftz > plain ? CSR_FTZ : 0;
    uint32_t costly = 0, local = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        if (decode_one(&d, i))
            goto out;
        local += is_local(&t->ops[i]);
        if (!t->job->all && left_call(&t->virt[i]) &&
            ((const struct call *)(intptr_t)t->virt[i].imm)->func >= 0) {
            unit_fail(t, "calls that stay calls would cost more than compiled code saves");
            goto out;
        }
        costly += t->virt[i].kind == K_FN && (!t->ops[i].native || t->ops[i].op >= OP_LD);
    }
    /* every lane has its own local memory: much code, which is worth it in small kernels only */
    for (uint32_t i = 0; i < t->n && local > JIT_MANY_LOCAL; i++)
        if (is_local(&t->ops[i]))
            t->ops[i].native = false;
    if (costly > JIT_MAX_COSTLY) {
        unit_fail(t, "%u accesses to memory and rare operations, the limit is %u", costly,
                  JIT_MAX_COSTLY);
        goto out;
    }
    rc = 0;
out:
    for (int i = 0; i < 3; i++)
        free(d.number[i]);
    return rc;
}

void each_operand(const struct jop *j, opd_cb cb, void *arg)
{
    const struct opd *all[4] = {&j->d, &j->b, &j->c, &j->e};
    bool ld = j->op == OP_LD, st = j->op == OP_ST;

    if (j->guard.kind == OPD_REG)
        cb(arg, &j->guard, false);
    if (j->a.kind == OPD_REG)
        cb(arg, &j->a, false);
    for (unsigned i = 0; i < j->nmore; i++)
        if (j->more[i].o.kind == OPD_REG && !j->more[i].def)
            cb(arg, &j->more[i].o, false);
    for (unsigned i = 0; i < j->nmore; i++)
        if (j->more[i].def)
            cb(arg, &j->more[i].o, true);
    if (ld || st) {
        for (unsigned i = 0; i < 4; i++)
            if (all[i]->kind == OPD_REG)
                cb(arg, all[i], ld);
        return;
    }
    if (j->b.kind == OPD_REG)
        cb(arg, &j->b, false);
    if (j->c.kind == OPD_REG)
        cb(arg, &j->c, false);
    /* a predicate in e is a second result, everything else there a source */
    if (j->e.kind == OPD_REG && j->e.cls != C_PRED)
        cb(arg, &j->e, false);
    if (j->e.kind == OPD_REG && j->e.cls == C_PRED)
        cb(arg, &j->e, true);
    if (j->d.kind == OPD_REG)
        cb(arg, &j->d, true);
}

struct use {
    uint32_t reg;
    bool read, written;
};

static void use_cb(void *arg, const struct opd *o, bool def)
{
    struct use *u = arg;

    if (o->idx == u->reg)
        *(def ? &u->written : &u->read) = true;
}

bool writes_reg(const struct jop *j, uint32_t reg)
{
    struct use u = {.reg = reg};

    each_operand(j, use_cb, &u);
    return u.written;
}

bool touches_reg(const struct jop *j, uint32_t reg)
{
    struct use u = {.reg = reg};

    each_operand(j, use_cb, &u);
    return u.read || u.written;
}
