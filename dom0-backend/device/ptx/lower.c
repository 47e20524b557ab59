/* SPDX-License-Identifier: MIT */
/* lower.c - IR to micro-ops: micro-ops, operands and constants. */
#include "lower.h"

int low_fail(struct lower *lo, int err, const char *fmt, ...)
{
    char msg[300];
    va_list ap;
    if (lo->err)
        return -1;
    lo->err = err;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (lo->cur)
        ptx_log(lo->log, lo->log_n, "kernel %.80s: PTX line %u: %s: %s", lo->k->fn->name,
                lo->cur->line, ptx_opcodes[lo->cur->op].name, msg);
    else
        ptx_log(lo->log, lo->log_n, "kernel %.80s: %s", lo->k->fn->name, msg);
    return -1;
}

bool take(struct lower *lo, enum ptx_mod m)
{
    uint64_t bit = 1ull << (m & 63);
    bool r = lo->rem[m >> 6] & bit;
    lo->rem[m >> 6] &= ~bit;
    return r;
}

const struct ir_opnd *opnd(const struct lower *lo, const struct ir_insn *in, unsigned i)
{
    static const struct ir_opnd missing = {.kind = O_OTHER};

    return i < in->nopnd ? &lo->fn->opnds[in->opnd + i] : &missing;
}

/* ---- micro-ops ------------------------------------------------------------------------------------- */

struct uop *emit_kind(struct lower *lo, unsigned kind)
{
    struct pfunc *pf = lo->pf;
    struct uop *a = grow(pf->uops, sizeof(*a), pf->nuops, &pf->cap_uops);
    if (!a) {
        low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    pf->uops = a;
    struct uop *u = &a[pf->nuops++];
    memset(u, 0, sizeof(*u));
    u->kind = kind;
    if (lo->cur) {
        u->line = lo->cur->line;
        if (lo->cur->guard >= 0)
            u->guard = lo->slot[lo->cur->guard] | lo->cur->guard_neg;
    }
    return u;
}

struct uop *emit(struct lower *lo, const char *fmt, ...)
{
    char name[64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    const struct uop_handler *h = ptx_handler(name);
    if (!h) {
        low_fail(lo, E_NOT_SUPPORTED, "the form '%s' is not supported", name);
        return NULL;
    }
    struct uop *u = emit_kind(lo, K_FN);
    if (u) {
        u->fn = h->fn;
        u->name = h->name;
    }
    return u;
}

uint32_t low_skip_begin(struct lower *lo)
{
    if (lo->cur->guard < 0)
        return UINT32_MAX;
    struct uop *u = emit_kind(lo, K_BRA);
    if (!u)
        return UINT32_MAX;
    u->guard ^= 1; /* those whose guard is false jump over */
    return lo->pf->nuops - 1;
}

void low_skip_end(struct lower *lo, uint32_t at)
{
    if (at == UINT32_MAX || lo->err)
        return;
    for (uint32_t i = at + 1; i < lo->pf->nuops; i++)
        lo->pf->uops[i].guard = 0;
    lo->pf->uops[at].target = lo->pf->nuops;
    struct uop *u = emit_kind(lo, K_JOIN);
    if (u)
        u->guard = 0;
}

/* ---- operands ----------------------------------------------------------------------------------------- */

static uint32_t add_const(struct lower *lo, unsigned bytes, const void *lane)
{
    struct prog *g = lo->prog;
    unsigned total = bytes * WARP;
    /* the pool is small and mostly the last few are repeated: search backwards, bounded */
    for (uint32_t at = g->nconst, i = 0; at >= 64 && i < 256; i++) {
        at -= 64;
        if (at + total <= g->nconst && !memcmp(g->consts + at, lane, bytes) &&
            !memcmp(g->consts + at, g->consts + at + bytes, total - bytes))
            return at | B_CONST;
    }
    if (g->nconst + total > (64u << 20)) {
        low_fail(lo, E_OUT_OF_MEMORY, "too many constants");
        return B_CONST;
    }
    while (g->nconst + total > g->cap_const) {
        uint32_t want = g->cap_const ? g->cap_const * 2 : 16384;
        uint8_t *nb = aligned_alloc(64, want);
        if (!nb) {
            low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
            return B_CONST;
        }
        if (g->nconst)
            memcpy(nb, g->consts, g->nconst);
        free(g->consts);
        g->consts = nb;
        g->cap_const = want;
    }
    uint32_t at = g->nconst;
    for (unsigned i = 0; i < WARP; i++)
        memcpy(g->consts + at + i * bytes, lane, bytes);
    g->nconst += total;
    return at | B_CONST;
}

uint32_t low_const32(struct lower *lo, uint32_t v)
{
    return add_const(lo, 4, &v);
}

uint32_t low_const64(struct lower *lo, uint64_t v)
{
    return add_const(lo, 8, &v);
}

uint32_t low_tmp(struct lower *lo, unsigned bytes)
{
    lo->tmp = (lo->tmp + 63) & ~63u;
    uint32_t at = lo->tmp;
    lo->tmp += bytes;
    if (lo->tmp > lo->tmp_max)
        lo->tmp_max = lo->tmp;
    return at;
}

unsigned low_reg_bits(const struct lower *lo, const struct ir_opnd *o)
{
    return o->kind == O_REG ? ptx_type_bits[lo->fn->regs[o->idx].type] : 0;
}

static unsigned slot_class(unsigned bits)
{
    return bits == 1 ? 0 : bits <= 32 ? 1 : 2;
}

static int bad_class(struct lower *lo, const struct ir_opnd *o, unsigned type)
{
    return low_fail(lo, E_INVALID_PTX, "register %.60s of type .%s where .%s is wanted",
                    lo->fn->regs[o->idx].name, ptx_type_name[lo->fn->regs[o->idx].type],
                    ptx_type_name[type]);
}

uint32_t low_dst(struct lower *lo, const struct ir_opnd *o, unsigned type)
{
    unsigned bits = ptx_type_bits[type];
    if (o->kind == O_SINK)
        return low_tmp(lo, bits == 64 ? SLOT64 : SLOT32);
    if (o->kind != O_REG || (o->flags & OF_NEG)) {
        low_fail(lo, E_INVALID_PTX, "the result is not a register");
        return 0;
    }
    if (slot_class(low_reg_bits(lo, o)) != slot_class(bits) || low_reg_bits(lo, o) > 64) {
        bad_class(lo, o, type);
        return 0;
    }
    return lo->slot[o->idx];
}

static uint32_t imm_code(struct lower *lo, const struct ir_opnd *o, unsigned type)
{
    uint64_t v = o->val;
    switch (type) {
    case T_PRED: {
        uint32_t m = v ? FULL : 0;
        return low_const32(lo, m);
    }
    case T_F32:
        if (o->flags & OF_FLT64) {
            double d;
            float f;
            uint32_t b;
            memcpy(&d, &v, 8);
            f = (float)d;
            memcpy(&b, &f, 4);
            return low_const32(lo, b);
        }
        return low_const32(lo, v);
    case T_F64:
        if (o->flags & OF_FLT32) {
            float f;
            double d;
            uint32_t b = v;
            memcpy(&f, &b, 4);
            d = f;
            memcpy(&v, &d, 8);
        }
        return low_const64(lo, v);
    default:
        if (ptx_type_bits[type] == 64)
            return low_const64(lo, v);
        if (o->flags & OF_FLT64) {
            double d;
            float f;
            uint32_t b;
            memcpy(&d, &v, 8);
            f = (float)d;
            memcpy(&b, &f, 4);
            v = b;
        }
        return low_const32(lo, v);
    }
}

/* Value of a variable's or function's name: its address in its own state space. */
static uint32_t sym_code(struct lower *lo, const struct ir_opnd *o, unsigned type)
{
    uint64_t v = o->val;
    bool wide = ptx_type_bits[type] == 64;
    if (o->kind == O_FUNC) {
        const struct ir_func *f = lo->k->mod->funcs[o->idx];

        if (f->entry && !f->body) {
            low_fail(lo, E_NOT_SUPPORTED,
                     "takes the address of kernel '%.80s', which this module lacks", f->name);
            return 0;
        }
        v = PTX_APERTURE_FUNC + o->idx;
    } else {
        const struct ir_var *x = o->var;
        switch (x->space) {
        case SP_GLOBAL:
        case SP_CONST:
            if (!x->addr) {
                low_fail(lo, E_NO_BINARY, "variable '%.100s' is not defined in this module",
                         x->name);
                return 0;
            }
            v += x->addr;
            break;
        case SP_SHARED:
            v += x->shoff;
            break;
        case SP_PARAM:
            v += x->off;
            break;
        default: { /* local memory: relative to the frame when we are in a function */
            v += x->off;
            if (lo->flat)
                v += lo->flat->local_at;
            if (lo->fn->entry || lo->flat)
                break;
            struct uop *u = emit(lo, "frameaddr.%s", wide ? "64" : "32");
            if (!u)
                return 0;
            u->guard = 0;
            u->imm = v;
            u->d = low_tmp(lo, wide ? SLOT64 : SLOT32);
            return u->d;
        }
        }
    }
    return wide ? low_const64(lo, v) : low_const32(lo, v);
}

uint32_t low_src(struct lower *lo, const struct ir_opnd *o, unsigned type)
{
    unsigned bits = ptx_type_bits[type];
    switch (o->kind) {
    case O_REG:
        if (slot_class(low_reg_bits(lo, o)) != slot_class(bits) || low_reg_bits(lo, o) > 64) {
            bad_class(lo, o, type);
            return 0;
        }
        if (o->flags & OF_NEG) {
            if (type != T_PRED) {
                low_fail(lo, E_INVALID_PTX, "'!' before an operand that is no predicate");
                return 0;
            }
            struct uop *u = emit(lo, "not.pred");
            if (!u)
                return 0;
            u->guard = 0;
            u->a = lo->slot[o->idx];
            u->d = low_tmp(lo, 4);
            return u->d;
        }
        return lo->slot[o->idx];
    case O_IMM:
        return imm_code(lo, o, type);
    case O_SREG: {
        if (bits == 1 || o->idx >= SR_LANES) {
            low_fail(lo, E_NOT_SUPPORTED, "special register where only mov can read it");
            return 0;
        }
        uint32_t code = o->idx * SLOT32 | B_SREG;
        if (bits == 64) {
            struct uop *u = emit(lo, "cvt.64.u32");
            if (!u)
                return 0;
            u->guard = 0;
            u->a = code;
            u->d = low_tmp(lo, SLOT64);
            return u->d;
        }
        return code;
    }
    case O_VAR:
    case O_FUNC:
        if (bits < 32) {
            low_fail(lo, E_INVALID_PTX, "an address does not fit into .%s", ptx_type_name[type]);
            return 0;
        }
        return sym_code(lo, o, type);
    default:
        low_fail(lo, E_INVALID_PTX, "operand of the wrong kind");
        return 0;
    }
}

int low_address(struct lower *lo, const struct ir_opnd *o, struct low_addr *a)
{
    *a = (struct low_addr){.reg = NO_REG};
    if (o->kind != O_ADDR)
        return low_fail(lo, o->kind == O_OTHER ? E_NOT_SUPPORTED : E_INVALID_PTX,
                        "the address operand is not [base+offset]");
    a->off = o->val;
    if (o->sub == O_REG) {
        unsigned bits =
            low_reg_bits(lo, o) ? low_reg_bits(lo, o) : ptx_type_bits[lo->fn->regs[o->idx].type];
        if (bits != 32 && bits != 64)
            return low_fail(lo, E_INVALID_PTX, "address register of %u bits", bits);
        a->reg = lo->slot[o->idx];
        a->wide = bits == 64;
    } else if (o->sub == O_VAR) {
        const struct ir_var *v = o->var;
        a->space = v->space;
        switch (v->space) {
        case SP_GLOBAL:
        case SP_CONST:
            if (!v->addr)
                return low_fail(lo, E_NO_BINARY, "variable '%.100s' is not defined in this module",
                                v->name);
            a->off += v->addr;
            break;
        case SP_SHARED:
            a->off += v->shoff;
            break;
        case SP_PARAM:
            a->off += v->off;
            break;
        default:
            a->off += v->off;
            if (lo->flat) {
                a->off += lo->flat->local_at;
            } else if (!lo->fn->entry) {
                struct uop *u = emit(lo, "frameaddr.64");
                if (!u)
                    return -1;
                u->guard = 0;
                u->d = a->reg = low_tmp(lo, SLOT64);
                a->wide = true;
            }
        }
    }
    return 0;
}

void low_fpmode(struct lower *lo, struct uop *u, bool rounds, bool ftz)
{
    unsigned m = ftz ? CSR_FTZ : 0;
    if (take(lo, M_rz))
        m |= CSR_RZ;
    else if (take(lo, M_rm))
        m |= CSR_RM;
    else if (take(lo, M_rp))
        m |= CSR_RP;
    else
        take(lo, M_rn);
    (void)rounds;
    if (u) {
        u->csr = m;
        u->csrmask = CSR_ALL;
    }
}
