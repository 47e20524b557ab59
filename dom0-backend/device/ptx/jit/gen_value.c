/* SPDX-License-Identifier: MIT */
/*
 * gen_value.c - values of the compiled function: constants, operands and results in the shapes that
 * registers have, and the interpreter's frame, where registers are when the interpreter goes on.
 */
#include "jit_int.h"

/* ---- small things ------------------------------------------------------------------------------------ */

LLVMTypeRef vec(const struct gen *g, LLVMTypeRef t)
{
    return LLVMVectorType(t, g->w);
}

LLVMTypeRef lane_type(const struct gen *g, unsigned cls)
{
    return cls == C_PRED ? g->i1 : cls == C_32 ? g->i32 : g->i64;
}

LLVMValueRef ci32(const struct gen *g, uint32_t v)
{
    return LLVMConstInt(g->i32, v, 0);
}

LLVMValueRef ci64(const struct gen *g, uint64_t v)
{
    return LLVMConstInt(g->i64, v, 0);
}

LLVMValueRef cmask(const struct gen *g, uint32_t v)
{
    return LLVMConstInt(g->mt, v, 0);
}

static LLVMValueRef full_mask(const struct gen *g)
{
    return g->w == 1 ? cmask(g, 1) : LLVMConstAllOnes(g->mt);
}

LLVMValueRef splat(struct gen *g, LLVMValueRef s)
{
    LLVMTypeRef t = LLVMTypeOf(s), vt = vec(g, t);

    if (LLVMIsConstant(s)) {
        LLVMValueRef e[WARP];

        for (uint32_t i = 0; i < g->w; i++)
            e[i] = s;
        return LLVMConstVector(e, g->w);
    }
    LLVMValueRef v = LLVMBuildInsertElement(g->b, LLVMGetUndef(vt), s, ci32(g, 0), "");

    return LLVMBuildShuffleVector(g->b, v, LLVMGetUndef(vt), LLVMConstNull(vec(g, g->i32)), "");
}

LLVMValueRef iota(struct gen *g, LLVMTypeRef t)
{
    LLVMValueRef e[WARP];

    for (uint32_t i = 0; i < g->w; i++)
        e[i] = LLVMConstInt(t, i, 0);
    return LLVMConstVector(e, g->w);
}

LLVMBasicBlockRef new_bb(struct gen *g, const char *name)
{
    return LLVMAppendBasicBlockInContext(g->ctx, g->fn, name);
}

void at(struct gen *g, LLVMBasicBlockRef bb)
{
    LLVMPositionBuilderAtEnd(g->b, bb);
}

void branch_rarely(struct gen *g, LLVMValueRef to_usual, LLVMBasicBlockRef usual,
                   LLVMBasicBlockRef rare)
{
    LLVMMetadataRef w[3] = {LLVMMDStringInContext2(g->ctx, "branch_weights", 14),
                            LLVMValueAsMetadata(ci32(g, 4000)), LLVMValueAsMetadata(ci32(g, 1))};
    LLVMValueRef br = LLVMBuildCondBr(g->b, to_usual, usual, rare);

    LLVMSetMetadata(br, LLVMGetMDKindIDInContext(g->ctx, "prof", 4),
                    LLVMMetadataAsValue(g->ctx, LLVMMDNodeInContext2(g->ctx, w, 3)));
}

LLVMValueRef intrinsic(struct gen *g, const char *name, LLVMTypeRef *over, unsigned nover,
                       LLVMValueRef *args, unsigned nargs)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(g->mod, id, over, nover);

    return LLVMBuildCall2(g->b, LLVMIntrinsicGetType(g->ctx, id, over, nover), f, args, nargs, "");
}

static LLVMValueRef pointer(struct gen *g, LLVMValueRef addr, LLVMTypeRef t)
{
    return LLVMBuildIntToPtr(g->b, addr, LLVMPointerType(t, 0), "");
}

LLVMValueRef load_at(struct gen *g, LLVMValueRef addr, LLVMTypeRef t, unsigned align)
{
    LLVMValueRef v = LLVMBuildLoad2(g->b, t, pointer(g, addr, t), "");

    LLVMSetAlignment(v, align);
    return v;
}

void store_at(struct gen *g, LLVMValueRef addr, LLVMValueRef v, unsigned align)
{
    LLVMValueRef s = LLVMBuildStore(g->b, v, pointer(g, addr, LLVMTypeOf(v)));

    LLVMSetAlignment(s, align);
}

LLVMValueRef field(struct gen *g, LLVMValueRef base, size_t off, LLVMTypeRef t)
{
    return load_at(g, LLVMBuildAdd(g->b, base, ci64(g, off), ""), t,
                   LLVMGetTypeKind(t) == LLVMIntegerTypeKind ? LLVMGetIntTypeWidth(t) / 8 : 8);
}

LLVMValueRef mask_vec(struct gen *g, LLVMValueRef m)
{
    LLVMValueRef bit[WARP], bits;

    for (uint32_t i = 0; i < g->w; i++)
        bit[i] = ci32(g, 1u << i);
    bits = LLVMConstVector(bit, g->w);
    m = splat(g, LLVMBuildZExtOrBitCast(g->b, m, g->i32, ""));
    return LLVMBuildICmp(g->b, LLVMIntEQ, LLVMBuildAnd(g->b, m, bits, ""), bits, "");
}

LLVMValueRef made_here(struct gen *g, LLVMValueRef v)
{
    LLVMTypeRef t = LLVMTypeOf(v), fn = LLVMFunctionType(t, &t, 1, 0);
    char none[] = "", same[] = "=r,0";
    LLVMValueRef a =
        LLVMGetInlineAsm(fn, none, 0, same, strlen(same), 1, 0, LLVMInlineAsmDialectATT, 0);

    return LLVMBuildCall2(g->b, fn, a, &v, 1, "");
}

LLVMValueRef eight_lanes(struct gen *g, LLVMValueRef v, uint32_t from)
{
    LLVMValueRef idx[8];

    if (g->w == 8)
        return v;
    for (uint32_t i = 0; i < 8; i++)
        idx[i] = ci32(g, from + i);
    return LLVMBuildShuffleVector(g->b, v, LLVMGetUndef(LLVMTypeOf(v)), LLVMConstVector(idx, 8),
                                  "");
}

LLVMValueRef join_lanes(struct gen *g, LLVMValueRef *part)
{
    LLVMValueRef idx[WARP];

    for (uint32_t i = 0; i < WARP; i++)
        idx[i] = ci32(g, i);
    for (uint32_t n = 8; n < g->w; n *= 2)
        for (uint32_t k = 0; k < g->w / n / 2; k++)
            part[k] = LLVMBuildShuffleVector(g->b, part[2 * k], part[2 * k + 1],
                                             LLVMConstVector(idx, 2 * n), "");
    return part[0];
}

/* From the sign bits of 32-bit lanes; eight at a time, for which there is an instruction. */
LLVMValueRef mask_bits(struct gen *g, LLVMValueRef v)
{
    LLVMTypeRef t8 = LLVMVectorType(g->i32, 8);
    LLVMValueRef r = NULL;

    for (uint32_t k = 0; k < g->w; k += 8) {
        LLVMValueRef h = eight_lanes(g, v, k);

        h = LLVMBuildICmp(g->b, LLVMIntSLT, h, LLVMConstNull(t8), "");
        h = LLVMBuildZExtOrBitCast(g->b, LLVMBuildBitCast(g->b, h, g->i8, ""), g->mt, "");
        if (k)
            h = LLVMBuildShl(g->b, h, cmask(g, k), "");
        r = r ? LLVMBuildOr(g->b, r, h, "") : h;
    }
    return r;
}

LLVMValueRef act(struct gen *g)
{
    return LLVMBuildLoad2(g->b, g->mt, g->act, "");
}

/* Lanes as a mask of the whole warp. */
LLVMValueRef warp_mask(struct gen *g, LLVMValueRef m)
{
    if (g->w == WARP)
        return m;
    return LLVMBuildShl(g->b, LLVMBuildZExt(g->b, m, g->i32, ""), g->lane0, "");
}

static LLVMValueRef uop_addr(struct gen *g, uint32_t i)
{
    return LLVMBuildAdd(g->b, g->uops, ci64(g, (uint64_t)i * sizeof(struct uop)), "");
}

void call_helper(struct gen *g, const void *fn, uint32_t uop, LLVMValueRef mask)
{
    LLVMTypeRef args[3] = {g->i64, g->i64, g->i32};
    LLVMTypeRef ft = LLVMFunctionType(LLVMVoidTypeInContext(g->ctx), args, 3, 0);
    LLVMValueRef f = LLVMConstIntToPtr(ci64(g, (uint64_t)(uintptr_t)fn), LLVMPointerType(ft, 0));
    LLVMValueRef v[3] = {g->warp, uop_addr(g, uop), warp_mask(g, mask)};

    LLVMBuildCall2(g->b, ft, f, v, 3, "");
}

/* ---- operands ------------------------------------------------------------------------------------------ */

LLVMTypeRef var_type(const struct gen *g, const struct reg *r)
{
    LLVMTypeRef t = lane_type(g, r->cls);

    if (r->shape == S_VAR && r->cls == C_PRED)
        t = g->i32; /* all bits alike: i1 vectors are packed and unpacked between blocks */
    return r->shape == S_VAR ? vec(g, t) : t;
}

static LLVMValueRef raw(struct gen *g, const struct reg *r)
{
    return LLVMBuildLoad2(g->b, var_type(g, r), r->var, "");
}

LLVMValueRef get_pred(struct gen *g, const struct opd *o)
{
    const struct reg *r = o->kind == OPD_REG ? &g->t->regs[o->idx] : NULL;

    if (r && r->shape == S_VAR)
        return raw(g, r);
    return splat(g, LLVMBuildSExt(g->b, get_one(g, o), g->i32, ""));
}

LLVMValueRef plus(struct gen *g, LLVMValueRef a, uint64_t n)
{
    return n ? LLVMBuildAdd(g->b, a, ci64(g, n), "") : a;
}

/* A special register that all threads of the CTA have alike: loaded before the loop over parts. */
static LLVMValueRef cta_sreg(struct gen *g, uint32_t idx)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);

    if (g->sreg[idx])
        return g->sreg[idx];
    LLVMPositionBuilderBefore(g->b, LLVMGetBasicBlockTerminator(g->first));
    if (idx >= SR_CTAID_X && idx <= SR_CTAID_Z)
        g->sreg[idx] = field(g, field(g, g->warps, offsetof(struct warp, cta), g->i64),
                             offsetof(struct cta, id) + 4 * (idx - SR_CTAID_X), g->i32);
    else
        g->sreg[idx] = field(g, g->warps, offsetof(struct warp, sregs) + idx * SLOT32, g->i32);
    at(g, here);
    return g->sreg[idx];
}

static bool of_cta(uint32_t idx)
{
    switch (idx) {
    case SR_TID_X:
    case SR_TID_Y:
    case SR_TID_Z:
    case SR_LANEID:
    case SR_WARPID:
    case SR_LM_EQ:
    case SR_LM_LE:
    case SR_LM_LT:
    case SR_LM_GE:
    case SR_LM_GT:
        return false;
    default:
        return true;
    }
}

void prefetch(struct gen *g, LLVMValueRef a, uint32_t octets)
{
    LLVMTypeRef pt = LLVMPointerType(g->i8, 0);

    for (uint32_t at = 0; at < octets; at += 64) {
        LLVMValueRef args[4] = {NULL, ci32(g, 0), ci32(g, 3), ci32(g, 1)}; /* to read, near, data */

        args[0] = LLVMBuildIntToPtr(g->b, plus(g, a, at), pt, "");
        intrinsic(g, "llvm.prefetch", &pt, 1, args, 4);
    }
}

/* Where the part's lanes have it. The next warp's is fetched meanwhile: it is further away than the
 * processor would look for it, and addresses that wait for it are what memory waits for. */
static LLVMValueRef sreg_addr(struct gen *g, uint32_t idx, uint32_t octets)
{
    uint64_t off = offsetof(struct warp, sregs) + idx * SLOT32;
    LLVMValueRef a = LLVMBuildAdd(g->b, g->warp, ci64(g, off), "");

    a = LLVMBuildAdd(g->b, a, LLVMBuildShl(g->b, g->lane0_64, ci64(g, 2), ""), "");
    if (g->w > 1)
        prefetch(g, plus(g, a, WARP_STRIDE), octets);
    return a;
}

LLVMValueRef get_one(struct gen *g, const struct opd *o)
{
    switch (o->kind) {
    case OPD_REG: {
        const struct reg *r = &g->t->regs[o->idx];
        LLVMValueRef v = raw(g, r);

        if (r->shape == S_VAR && r->cls == C_PRED)
            v = LLVMBuildICmp(g->b, LLVMIntSLT, v, LLVMConstNull(LLVMTypeOf(v)), "");
        return v;
    }
    case OPD_CONST:
        return LLVMConstInt(lane_type(g, o->cls), o->cls == C_PRED ? o->val & 1 : o->val, 0);
    default:
        if (of_cta(o->idx))
            return cta_sreg(g, o->idx);
        return load_at(g, sreg_addr(g, o->idx, 4), g->i32, 4);
    }
}

/* base + lane * stride */
static LLVMValueRef spread(struct gen *g, LLVMValueRef base, int64_t stride)
{
    LLVMTypeRef t = LLVMTypeOf(base);
    LLVMValueRef s = splat(g, base), step = iota(g, t);

    if (stride != 1)
        step = LLVMConstMul(step, splat(g, LLVMConstInt(t, (uint64_t)stride, 1)));
    return LLVMBuildAdd(g->b, s, step, "");
}

LLVMValueRef get_vec(struct gen *g, const struct opd *o)
{
    int64_t stride;

    switch (o->kind) {
    case OPD_REG: {
        const struct reg *r = &g->t->regs[o->idx];
        LLVMValueRef v = get_one(g, o);

        return r->shape == S_VAR ? v : r->shape == S_AFF ? spread(g, v, r->stride) : splat(g, v);
    }
    case OPD_CONST:
        return splat(g, get_one(g, o));
    default:
        if (opd_shape(g->t, o, &stride) == S_UNI)
            return splat(g, get_one(g, o));
        return load_at(g, sreg_addr(g, o->idx, 4 * g->w), vec(g, g->i32), 4);
    }
}

/* As get_vec(), fit to be seen: NaNs canonical. */
static LLVMValueRef get_seen(struct gen *g, const struct opd *o)
{
    LLVMValueRef v = get_vec(g, o);

    return o->kind == OPD_REG && g->t->regs[o->idx].loose ? canon(g, v) : v;
}

LLVMValueRef get(struct gen *g, const struct opd *o, bool vector)
{
    return vector ? get_vec(g, o) : get_one(g, o);
}

LLVMValueRef op_mask(struct gen *g, const struct jop *j)
{
    LLVMValueRef m = act(g), p;

    if (j->guard.kind == OPD_NONE)
        return m;
    if (is_uni(g->t, &j->guard)) {
        p = get_one(g, &j->guard);
        if (j->guard_neg)
            p = LLVMBuildNot(g->b, p, "");
        return LLVMBuildSelect(g->b, p, m, cmask(g, 0), "");
    }
    p = mask_bits(g, get_pred(g, &j->guard));
    if (j->guard_neg)
        p = LLVMBuildNot(g->b, p, "");
    return LLVMBuildAnd(g->b, m, p, "");
}

/* Writes a result in the register's shape. masked: v is good in the lanes of the mask only. */
void put(struct gen *g, const struct jop *j, const struct opd *d, LLVMValueRef v, bool masked)
{
    const struct unit *t = g->t;
    const struct reg *r = &t->regs[d->idx];
    bool waits = set_has(t->pend_live + (size_t)g->cur_block * t->words, d->idx);

    if (r->shape == S_VAR && LLVMGetTypeKind(LLVMTypeOf(v)) != LLVMVectorTypeKind)
        v = splat(g, v);
    if (r->shape == S_VAR && r->cls == C_PRED &&
        LLVMGetIntTypeWidth(LLVMGetElementType(LLVMTypeOf(v))) == 1)
        v = LLVMBuildSExt(g->b, v, vec(g, g->i32), "");
    if (r->shape != S_VAR) {
        if (j->guard.kind == OPD_REG) {
            LLVMValueRef p = get_one(g, &j->guard);

            if (j->guard_neg)
                p = LLVMBuildNot(g->b, p, "");
            v = LLVMBuildSelect(g->b, p, v, get_one(g, d), "");
        }
    } else if (waits) {
        v = LLVMBuildSelect(g->b, mask_vec(g, op_mask(g, j)), v, raw(g, r), "");
    } else if (j->guard.kind == OPD_REG) {
        LLVMValueRef p = get_vec(g, &j->guard);

        if (j->guard_neg)
            p = LLVMBuildNot(g->b, p, "");
        v = LLVMBuildSelect(g->b, p, v, raw(g, r), "");
    }
    (void)masked;
    LLVMBuildStore(g->b, v, r->var);
}

/* ---- the frame ------------------------------------------------------------------------------------------ */

static LLVMValueRef slot(struct gen *g, const struct reg *r)
{
    LLVMValueRef a = field(g, g->warp, offsetof(struct warp, frame0), g->i64);

    a = plus(g, field(g, a, offsetof(struct frame, regs), g->i64), r->off);
    if (r->cls == C_PRED)
        return a;
    return LLVMBuildAdd(g->b, a,
                        LLVMBuildShl(g->b, g->lane0_64, ci64(g, r->cls == C_32 ? 2 : 3), ""), "");
}

static unsigned slot_align(const struct gen *g, const struct reg *r)
{
    unsigned n = g->w * (r->cls == C_64 ? 8 : 4);

    return n > 64 ? 64 : n;
}

/* A register whose lanes are base and stride, and what there is of it. */
bool is_kept(const struct gen *g, uint32_t reg)
{
    const struct reg *r = &g->t->regs[reg];

    return g->w > 1 && r->shape != S_VAR && r->cls != C_PRED;
}

static LLVMValueRef kept(struct gen *g, uint32_t reg)
{
    const struct reg *r = &g->t->regs[reg];
    LLVMValueRef v = raw(g, r);

    return r->loose ? canon(g, v) : v;
}

void to_first(struct gen *g, uint32_t reg)
{
    const struct reg *r = &g->t->regs[reg];

    if (is_kept(g, reg))
        store_at(g, slot(g, r), kept(g, reg), r->cls == C_64 ? 8 : 4);
    else
        to_frame(g, reg, NULL);
}

/* By a helper: what is not often needed should not be much code. */
void to_frame_rarely(struct gen *g, uint32_t reg, LLVMValueRef m)
{
    const struct reg *r = &g->t->regs[reg];
    LLVMTypeRef args[5] = {g->i64, g->i64, g->i64, g->i32, g->i32};
    LLVMTypeRef ft = LLVMFunctionType(LLVMVoidTypeInContext(g->ctx), args, 5, 0);
    uint64_t fn = (uint64_t)(uintptr_t)g->t->job->helpers->spread;

    if (!is_kept(g, reg)) {
        to_frame(g, reg, m);
        return;
    }
    m = m ? LLVMBuildZExtOrBitCast(g->b, m, g->i32, "")
          : ci32(g, g->w == WARP ? ~0u : (1u << g->w) - 1);
    LLVMValueRef v[5] = {slot(g, r), LLVMBuildZExtOrBitCast(g->b, kept(g, reg), g->i64, ""),
                         ci64(g, r->shape == S_AFF ? (uint64_t)r->stride : 0), m,
                         ci32(g, r->cls == C_64)};

    LLVMBuildCall2(g->b, ft, LLVMConstIntToPtr(ci64(g, fn), LLVMPointerType(ft, 0)), v, 5, "");
}

/* Writes a register's lanes to the frame: all of this part of the warp, or those in m. */
void to_frame(struct gen *g, uint32_t reg, LLVMValueRef m)
{
    const struct reg *r = &g->t->regs[reg];
    struct opd o = {.kind = OPD_REG, .cls = r->cls, .idx = reg};
    LLVMValueRef v = r->cls != C_PRED ? get_seen(g, &o)
                     : g->w == 1      ? get_one(g, &o)
                                      : get_pred(g, &o),
                 a = slot(g, r);

    if (r->cls == C_PRED) {
        LLVMValueRef bits = g->w == 1 ? LLVMBuildZExt(g->b, v, g->mt, "") : mask_bits(g, v),
                     old = load_at(g, a, g->i32, 4), all = warp_mask(g, m ? m : full_mask(g));

        bits = LLVMBuildAnd(g->b, warp_mask(g, bits), all, "");
        old = LLVMBuildAnd(g->b, old, LLVMBuildNot(g->b, all, ""), "");
        store_at(g, a, LLVMBuildOr(g->b, old, bits, ""), 4);
        return;
    }
    if (m)
        v = LLVMBuildSelect(g->b, mask_vec(g, m), v, load_at(g, a, LLVMTypeOf(v), slot_align(g, r)),
                            "");
    store_at(g, a, v, slot_align(g, r));
}

/* All lanes of a register from the frame. */
static LLVMValueRef from_frame(struct gen *g, const struct reg *r)
{
    LLVMValueRef a = slot(g, r);

    if (r->cls == C_PRED) {
        LLVMValueRef w = load_at(g, a, g->i32, 4);

        if (g->w != WARP)
            w = LLVMBuildTrunc(g->b, LLVMBuildLShr(g->b, w, g->lane0, ""), g->mt, "");
        return w;
    }
    return load_at(g, a, vec(g, lane_type(g, r->cls)), slot_align(g, r));
}

LLVMValueRef first_of(struct gen *g, LLVMValueRef m)
{
    LLVMValueRef a[2] = {LLVMBuildZExtOrBitCast(g->b, m, g->i32, ""), LLVMConstInt(g->i1, 1, 0)};

    return intrinsic(g, "llvm.cttz", &g->i32, 1, a, 2);
}

void reload(struct gen *g, uint32_t reg, LLVMValueRef lane)
{
    const struct reg *r = &g->t->regs[reg];
    LLVMValueRef v;

    if (is_kept(g, reg)) {
        v = load_at(g, slot(g, r), lane_type(g, r->cls), r->cls == C_64 ? 8 : 4);
        LLVMBuildStore(g->b, v, r->var);
        return;
    }
    v = from_frame(g, r);
    if (r->cls == C_PRED) {
        if (r->shape == S_VAR)
            v = LLVMBuildSExt(g->b, mask_vec(g, v), vec(g, g->i32), "");
        else
            v = LLVMBuildTrunc(
                g->b, LLVMBuildLShr(g->b, LLVMBuildZExtOrBitCast(g->b, v, g->i32, ""), lane, ""),
                g->i1, "");
    } else if (r->shape != S_VAR) {
        v = LLVMBuildExtractElement(g->b, v, ci32(g, 0), ""); /* one lane at a time */
    }
    LLVMBuildStore(g->b, v, r->var);
}

struct frame_arg {
    struct gen *g;
    const struct jop *j;
    bool defs;
};

static void frame_cb(void *arg, const struct opd *o, bool def)
{
    struct frame_arg *f = arg;
    struct gen *g = f->g;

    if (def != f->defs || o == &f->j->guard)
        return;
    if (!def) {
        to_frame_rarely(g, o->idx, NULL);
    } else {
        const struct reg *r = &g->t->regs[o->idx];
        LLVMValueRef v = from_frame(g, r);

        if (r->shape == S_VAR) {
            put(g, f->j, o, r->cls == C_PRED ? mask_vec(g, v) : v, true);
        } else { /* one lane at a time */
            v = r->cls == C_PRED ? LLVMBuildTrunc(g->b, v, g->i1, "")
                                 : LLVMBuildExtractElement(g->b, v, ci32(g, 0), "");
            put(g, f->j, o, v, true);
        }
    }
}

/* The micro-op by its handler: operands through the frame. Ends in a new basic block. */
void gen_handler(struct gen *g, const struct jop *j, uint32_t i)
{
    struct frame_arg f = {.g = g, .j = j};
    LLVMValueRef m = op_mask(g, j);
    LLVMBasicBlockRef done = NULL;

    if (j->guard.kind == OPD_REG) {
        LLVMBasicBlockRef run = new_bb(g, "run");

        done = new_bb(g, "done");
        LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntNE, m, cmask(g, 0), ""), run, done);
        at(g, run);
    }
    each_operand(j, frame_cb, &f);
    call_helper(g, (const void *)(uintptr_t)g->t->job->helpers->handler, i, m);
    f.defs = true;
    each_operand(j, frame_cb, &f);
    if (done) {
        LLVMBuildBr(g->b, done);
        at(g, done);
    }
}
