/* SPDX-License-Identifier: MIT */
/* lower_mem.c - loads, stores, atomics, fences and asynchronous copies to micro-ops. */
#include "addr.h"
#include "check.h"
#include "lower.h"

/* Ordering and caching modifiers. Execution is in program order and x86 keeps loads ordered with
 * loads and stores with stores, so only fence.sc and membar need an instruction. */
static void take_order(struct lower *lo)
{
    static const uint8_t mods[] = {M_volatile, M_relaxed, M_acquire, M_release, M_acq_rel, M_weak,
                                   M_mmio,     M_cta,     M_cluster, M_gpu,     M_sys,     M_ca,
                                   M_cg,       M_cs,      M_lu,      M_cv,      M_wb,      M_wt,
                                   M_nc,       M_L1,      M_L2};
    for (unsigned i = 0; i < sizeof(mods); i++)
        take(lo, mods[i]);
}

static const char *const space_name[] = {[AS_GLOBAL] = "global",
                                         [AS_SHARED] = "shared",
                                         [AS_LOCAL] = "local",
                                         [AS_PARAM] = "param",
                                         [AS_GENERIC] = "generic"};

/* The address space of an access: the modifier's, else that of the symbol, else generic. */
static int access_space(struct lower *lo, const struct low_addr *a)
{
    int s = AS_GENERIC;
    if (take(lo, M_global) | take(lo, M_const))
        s = AS_GLOBAL;
    else if (take(lo, M_shared))
        s = AS_SHARED;
    else if (take(lo, M_local))
        s = AS_LOCAL;
    else if (take(lo, M_param)) /* parameters of functions live in local memory */
        s = lo->fn->entry && a->space != SP_FPARAM ? AS_PARAM : AS_LOCAL;
    if (s != AS_GENERIC)
        return s;
    switch (a->space) {
    case SP_GLOBAL:
    case SP_CONST:
        return AS_GLOBAL;
    case SP_SHARED:
        return AS_SHARED;
    case SP_LOCAL:
    case SP_FPARAM:
        return AS_LOCAL;
    case SP_PARAM:
        return AS_PARAM;
    default:
        return AS_GENERIC;
    }
}

static void set_addr(struct uop *u, const struct low_addr *a)
{
    u->a = a->reg == NO_REG ? NO_ADDR_REG : a->reg;
    u->f = a->wide ? AF_WIDE : 0;
    u->imm = a->off;
}

/* The type in memory as the handlers spell it. wide: the register has 64 bits. */
static const char *mem_type(unsigned t, bool wide)
{
    switch (t) {
    case T_S8:
    case T_S16:
        return ptx_type_name[t];
    case T_S32:
        return wide ? "s32" : "u32";
    default:
        switch (ptx_type_bits[t]) {
        case 8:
            return "u8";
        case 16:
            return "u16";
        case 32:
            return "u32";
        case 64:
            return "u64";
        default:
            return NULL;
        }
    }
}

/* In front of an access to shared memory that is checked; a generic address may be one. */
static int emit_check(struct lower *lo, const struct low_addr *a, int space, unsigned kind,
                      unsigned bytes)
{
    if (!ptx_check_get() || (space != AS_SHARED && space != AS_GENERIC))
        return 0;
    struct uop *u = emit(lo, "check.shared");
    if (!u)
        return -1;
    set_addr(u, a);
    u->b = (uint32_t)space;
    u->e = bytes;
    u->n = (uint8_t)kind;
    return 0;
}

static unsigned vec_len(struct lower *lo)
{
    return take(lo, M_v2) ? 2 : take(lo, M_v4) ? 4 : take(lo, M_v8) ? 8 : 1;
}

#define VEC_MAX   8u   /* elements of a vector */
#define WIDE_BITS 256u /* an access of sm_100: to global memory only, and a store may have holes */

/* The registers of a load or a store. */
struct data {
    uint32_t code[VEC_MAX];
    bool wide;    /* they have 64 bits */
    uint8_t skip; /* by element: '_', which is not stored */
};

/* Those of a scalar or vector of n elements. */
static int data_regs(struct lower *lo, const struct ir_opnd *o, unsigned n, unsigned t, bool dst,
                     struct data *d)
{
    const struct ir_opnd *e = o;
    *d = (struct data){.wide = ptx_type_bits[t] == 64};
    if (n > 1) {
        if (o->kind != O_VEC || o->n != n)
            return low_fail(lo, E_INVALID_PTX, "a vector of %u registers is wanted", n);
        e = &lo->fn->opnds[o->idx];
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned rb = low_reg_bits(lo, &e[i]);
        if (rb == 1 || (rb && rb < ptx_type_bits[t] && !(rb == 8)))
            return low_fail(lo, E_INVALID_PTX, "register %.60s does not fit .%s",
                            lo->fn->regs[e[i].idx].name, ptx_type_name[t]);
        if (rb == 64)
            d->wide = true;
    }
    for (unsigned i = 0; i < n; i++)
        if (dst) {
            d->code[i] = low_dst(lo, &e[i], d->wide ? T_B64 : T_B32);
        } else if (e[i].kind == O_SINK && n * ptx_type_bits[t] == WIDE_BITS) {
            d->code[i] = low_const64(lo, 0);
            d->skip |= (uint8_t)(1u << i);
        } else {
            d->code[i] = low_src(lo, &e[i],
                                 e[i].kind != O_IMM                 ? (d->wide ? T_B64 : T_B32)
                                 : d->wide && ptx_type_bits[t] < 64 ? T_B64
                                                                    : t);
        }
    return lo->err ? -1 : 0;
}

/* The micro-op of a vector; of more than four registers, the rest are in another one behind it. */
static int emit_vec(struct lower *lo, const char *op, unsigned n, int space, const char *type,
                    const struct low_addr *a, const struct data *d)
{
    struct uop *u = emit(lo, "%s.v%u.%s.%s.%u", op, n, space_name[space], type, d->wide ? 64 : 32);
    if (!u)
        return -1;
    set_addr(u, a);
    u->n = d->skip;
    for (unsigned k = 0; k < n; k += 4) {
        if (k && !(u = emit(lo, "nop")))
            return -1;
        u->d = d->code[k];
        u->b = d->code[k + 1];
        u->c = d->code[k + 2];
        u->e = d->code[k + 3];
    }
    return 0;
}

static int mem_common(struct lower *lo, const struct ir_insn *in, unsigned *n, unsigned *t)
{
    take_order(lo);
    *n = vec_len(lo);
    if (in->ntype != 1 || in->nopnd != 2)
        return low_fail(lo, in->nopnd == 3 ? E_NOT_SUPPORTED : E_INVALID_PTX,
                        "this form is not supported");
    *t = in->type[0];
    if (!mem_type(*t, false))
        return low_fail(lo, E_NOT_SUPPORTED, "type .%s is not supported", ptx_type_name[*t]);
    if (*n == VEC_MAX && ptx_type_bits[*t] != 32)
        return low_fail(lo, E_INVALID_PTX, "elements of a .v8 have 32 bits, .%s has %u",
                        ptx_type_name[*t], ptx_type_bits[*t]);
    return 0;
}

/* The space of an access of n elements of type t. */
static int mem_space(struct lower *lo, const struct low_addr *a, unsigned n, unsigned t)
{
    int sp = access_space(lo, a);

    if (n * ptx_type_bits[t] == WIDE_BITS && sp != AS_GLOBAL && sp != AS_GENERIC)
        return low_fail(lo, E_INVALID_PTX, "%u bits in .%s memory, where 128 are the most",
                        WIDE_BITS, space_name[sp]);
    return sp;
}

int low_ld(struct lower *lo, const struct ir_insn *in)
{
    unsigned n, t;
    int sp;
    struct data d;
    struct low_addr a;
    if (mem_common(lo, in, &n, &t) || low_address(lo, opnd(lo, in, 1), &a) ||
        (sp = mem_space(lo, &a, n, t)) < 0 || data_regs(lo, opnd(lo, in, 0), n, t, true, &d) ||
        emit_check(lo, &a, sp, CHECK_READ, n * ptx_type_bits[t] / 8))
        return -1;
    if (n > 1)
        return emit_vec(lo, "ld", n, sp, mem_type(t, d.wide), &a, &d);
    struct uop *u = emit(lo, "ld.%s.%s.%u", space_name[sp], mem_type(t, d.wide), d.wide ? 64 : 32);
    if (!u)
        return -1;
    set_addr(u, &a);
    u->d = d.code[0];
    return 0;
}

int low_st(struct lower *lo, const struct ir_insn *in)
{
    unsigned n, t;
    int sp;
    struct data d;
    struct low_addr a;
    if (mem_common(lo, in, &n, &t) || low_address(lo, opnd(lo, in, 0), &a) ||
        (sp = mem_space(lo, &a, n, t)) < 0)
        return -1;
    if (sp == AS_PARAM)
        return low_fail(lo, E_INVALID_PTX, "kernel parameters are read-only");
    if (data_regs(lo, opnd(lo, in, 1), n, t, false, &d) ||
        emit_check(lo, &a, sp, CHECK_WRITE, n * ptx_type_bits[t] / 8))
        return -1;
    const char *mt = mem_type(t, d.wide);
    char ut[8] = "";
    snprintf(ut, sizeof(ut), "u%s", mt + 1); /* a store does not extend */
    if (n > 1 && d.wide && ptx_type_bits[t] < 64)
        return low_fail(lo, E_NOT_SUPPORTED, "vector of wider registers is not supported");
    if (n > 1)
        return emit_vec(lo, "st", n, sp, ut, &a, &d);
    struct uop *u = emit(lo, "st.%s.%s.%u", space_name[sp], ut, d.wide ? 64 : 32);
    if (!u)
        return -1;
    set_addr(u, &a);
    u->b = d.code[0];
    return 0;
}

int low_nop(struct lower *lo, const struct ir_insn *in)
{
    /* hints: prefetch, pmevent, setmaxnreg and the like change nothing that a program can see */
    (void)in;
    memset(lo->rem, 0, sizeof(lo->rem));
    return 0;
}

int low_fence(struct lower *lo, const struct ir_insn *in)
{
    (void)in;
    take_order(lo);
    take(lo, M_gl);
    take(lo, M_sc);
    take(lo, M_proxy);
    take(lo, M_alias);
    take(lo, M_mbarrier_init);
    take(lo, M_async);
    take(lo, M_global);
    take(lo, M_shared);
    struct uop *u = emit(lo, "fence");
    if (!u)
        return -1;
    u->guard = 0;
    return 0;
}

int low_atom(struct lower *lo, const struct ir_insn *in)
{
    static const struct {
        uint8_t m;
        const char *n;
    } ops[] = {{M_add, "add"}, {M_min, "min"}, {M_max, "max"}, {M_inc, "inc"},   {M_dec, "dec"},
               {M_and, "and"}, {M_or, "or"},   {M_xor, "xor"}, {M_exch, "exch"}, {M_cas, "cas"}};
    bool red = ptx_opcodes[in->op].name[0] == 'r';
    unsigned first = red ? 0 : 1, i = 0;
    struct low_addr a;
    take_order(lo);
    take(lo, M_noftz);
    if (in->ntype != 1)
        return low_fail(lo, E_INVALID_PTX, "%u types where 1 is wanted", in->ntype);
    unsigned t = in->type[0];
    while (i < 10 && !take(lo, ops[i].m))
        i++;
    if (i == 10)
        return low_fail(lo, E_INVALID_PTX, "no operation");
    bool cas = ops[i].m == M_cas;
    unsigned n = vec_len(lo);
    const struct ir_opnd *vd = NULL, *vb = opnd(lo, in, first + 1);
    if (n > 1) { /* atomic for each element */
        if (cas || n > LIM_OPNDS / 2 || vb->kind != O_VEC || vb->n != n)
            return low_fail(lo, E_INVALID_PTX, "a vector of %u registers is wanted", n);
        vb = &lo->fn->opnds[vb->idx];
        if (!red) {
            vd = opnd(lo, in, 0);
            if (vd->kind != O_VEC || vd->n != n)
                return low_fail(lo, E_INVALID_PTX, "a vector of %u registers is wanted", n);
            vd = &lo->fn->opnds[vd->idx];
        }
    } else if (!red) {
        vd = opnd(lo, in, 0);
    }
    if (in->nopnd != first + 2 + cas)
        return low_fail(lo, E_NOT_SUPPORTED, "this form is not supported");
    if (low_address(lo, opnd(lo, in, first), &a))
        return -1;
    int sp = access_space(lo, &a);
    if (sp == AS_LOCAL || sp == AS_PARAM)
        return low_fail(lo, E_INVALID_PTX, "atomics work on global and shared memory only");
    for (unsigned e = 0; e < n; e++, a.off += ptx_type_bits[t] / 8) {
        uint32_t b = low_src(lo, &vb[e], t);
        uint32_t c = cas ? low_src(lo, opnd(lo, in, first + 2), t) : b, d = NO_ADDR_REG;
        if (vd && vd[e].kind != O_SINK)
            d = low_dst(lo, &vd[e], t);
        if (lo->err || emit_check(lo, &a, sp, CHECK_ATOMIC, ptx_type_bits[t] / 8))
            return -1;
        struct uop *u = emit(lo, "atom.%s.%s", ops[i].n, ptx_type_name[t]);
        if (!u)
            return -1;
        set_addr(u, &a);
        u->n = sp;
        u->b = b;
        u->c = c;
        u->d = d;
        if (t >= T_F16) {
            /* single precision atomics flush subnormals in global memory and keep them in shared */
            u->csr = t == T_F32 && sp == AS_GLOBAL ? CSR_FTZ : 0;
            u->csrmask = CSR_ALL;
        }
    }
    return 0;
}

int low_cp(struct lower *lo, const struct ir_insn *in)
{
    struct low_addr s, d;
    if (!take(lo, M_async))
        return low_fail(lo, E_NOT_SUPPORTED, "only cp.async is supported");
    if (take(lo, M_bulk))
        return low_cp_bulk(lo, in);
    if (take(lo, M_mbarrier))
        return low_cp_mbarrier(lo, in);
    if (take(lo, M_commit_group) | take(lo, M_wait_group) | take(lo, M_wait_all))
        return 0; /* copies are done at once */
    take_order(lo);
    take(lo, M_shared);
    take(lo, M_global);
    if (in->nopnd < 3 || in->nopnd > 4 || opnd(lo, in, 2)->kind != O_IMM)
        return low_fail(lo, E_NOT_SUPPORTED, "this form is not supported");
    uint64_t n = opnd(lo, in, 2)->val;
    if (n != 4 && n != 8 && n != 16)
        return low_fail(lo, E_INVALID_PTX, "%llu bytes, allowed are 4, 8 and 16",
                        (unsigned long long)n);
    if (low_address(lo, opnd(lo, in, 0), &d) || low_address(lo, opnd(lo, in, 1), &s))
        return -1;
    uint32_t c = NO_ADDR_REG;
    if (in->nopnd == 4) {
        if (low_reg_bits(lo, opnd(lo, in, 3)) == 1)
            return low_fail(lo, E_NOT_SUPPORTED, "the ignore-src form is not supported");
        c = low_src(lo, opnd(lo, in, 3), T_U32);
    }
    if (lo->err)
        return -1;
    if (emit_check(lo, &d, AS_SHARED, CHECK_WRITE, (unsigned)n))
        return -1;
    struct uop *u = emit(lo, "cp.async");
    if (!u)
        return -1;
    set_addr(u, &s);
    u->b = d.reg == NO_REG ? NO_ADDR_REG : d.reg;
    u->e = d.wide ? AF_WIDE : 0;
    u->d = (uint32_t)d.off;
    u->c = c;
    u->n = n;
    return 0;
}
