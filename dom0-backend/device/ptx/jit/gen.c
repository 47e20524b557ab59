/* SPDX-License-Identifier: MIT */
/*
 * gen.c - the skeleton of the compiled function: start values, blocks and jumps, waiting lanes,
 * ways out. Registers are allocas, which mem2reg turns into values; they start as zero so that no
 * undefined value reaches a bounds check.
 */
#include "jit_int.h"

uint32_t next_park(const struct unit *t, uint32_t b, uint32_t last);

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
    return LLVMBuildBitCast(g->b, m, vec(g, g->i1), "");
}

static LLVMValueRef mask_bits(struct gen *g, LLVMValueRef v)
{
    return LLVMBuildBitCast(g->b, v, g->mt, "");
}

static LLVMValueRef act(struct gen *g)
{
    return LLVMBuildLoad2(g->b, g->mt, g->act, "");
}

/* Lanes as a mask of the whole warp. */
static LLVMValueRef warp_mask(struct gen *g, LLVMValueRef m)
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

static LLVMTypeRef var_type(const struct gen *g, const struct reg *r)
{
    LLVMTypeRef t = lane_type(g, r->cls);

    return r->shape == S_VAR ? vec(g, t) : t;
}

static LLVMValueRef sreg_addr(struct gen *g, uint32_t idx)
{
    uint64_t off = offsetof(struct warp, sregs) + idx * SLOT32;
    LLVMValueRef a = LLVMBuildAdd(g->b, g->warp, ci64(g, off), "");

    return LLVMBuildAdd(g->b, a, LLVMBuildShl(g->b, g->lane0_64, ci64(g, 2), ""), "");
}

LLVMValueRef get_one(struct gen *g, const struct opd *o)
{
    switch (o->kind) {
    case OPD_REG:
        return LLVMBuildLoad2(g->b, var_type(g, &g->t->regs[o->idx]), g->t->regs[o->idx].var, "");
    case OPD_CONST:
        return LLVMConstInt(lane_type(g, o->cls), o->cls == C_PRED ? o->val & 1 : o->val, 0);
    default:
        return load_at(g, sreg_addr(g, o->idx), g->i32, 4);
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
        return load_at(g, sreg_addr(g, o->idx), vec(g, g->i32), 4);
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
    p = mask_bits(g, get_vec(g, &j->guard));
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
    if (r->shape != S_VAR) {
        if (j->guard.kind == OPD_REG) {
            LLVMValueRef p = get_one(g, &j->guard);

            if (j->guard_neg)
                p = LLVMBuildNot(g->b, p, "");
            v = LLVMBuildSelect(g->b, p, v, get_one(g, d), "");
        }
    } else if (waits) {
        v = LLVMBuildSelect(g->b, mask_vec(g, op_mask(g, j)), v, get_one(g, d), "");
    } else if (j->guard.kind == OPD_REG) {
        LLVMValueRef p = get_vec(g, &j->guard);

        if (j->guard_neg)
            p = LLVMBuildNot(g->b, p, "");
        v = LLVMBuildSelect(g->b, p, v, get_one(g, d), "");
    }
    (void)masked;
    LLVMBuildStore(g->b, v, r->var);
}

/* ---- the frame ------------------------------------------------------------------------------------------ */

static LLVMValueRef slot(struct gen *g, const struct reg *r)
{
    LLVMValueRef a = LLVMBuildAdd(g->b, g->frame, ci64(g, r->off), "");

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

/* Writes a register's lanes to the frame: all of this part of the warp, or those in m. */
static void to_frame(struct gen *g, uint32_t reg, LLVMValueRef m)
{
    const struct reg *r = &g->t->regs[reg];
    struct opd o = {.kind = OPD_REG, .cls = r->cls, .idx = reg};
    LLVMValueRef v = g->w == 1 && r->cls == C_PRED ? get_one(g, &o) : get_seen(g, &o),
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

static LLVMValueRef first_of(struct gen *g, LLVMValueRef m)
{
    LLVMValueRef a[2] = {LLVMBuildZExtOrBitCast(g->b, m, g->i32, ""), LLVMConstInt(g->i1, 1, 0)};

    return intrinsic(g, "llvm.cttz", &g->i32, 1, a, 2);
}

static void reload(struct gen *g, uint32_t reg, LLVMValueRef lane)
{
    const struct reg *r = &g->t->regs[reg];
    LLVMValueRef v = from_frame(g, r);

    if (r->cls == C_PRED) {
        if (r->shape == S_VAR)
            v = mask_vec(g, v);
        else
            v = LLVMBuildTrunc(
                g->b, LLVMBuildLShr(g->b, LLVMBuildZExtOrBitCast(g->b, v, g->i32, ""), lane, ""),
                g->i1, "");
    } else if (r->shape != S_VAR) {
        LLVMTypeRef t = lane_type(g, r->cls);
        LLVMValueRef l = LLVMBuildZExtOrBitCast(g->b, lane, t, ""),
                     off = LLVMBuildShl(g->b, LLVMBuildZExt(g->b, lane, g->i64, ""),
                                        ci64(g, r->cls == C_32 ? 2 : 3), "");

        v = load_at(g, LLVMBuildAdd(g->b, slot(g, r), off, ""), t, r->cls == C_32 ? 4 : 8);
        if (r->shape == S_AFF)
            v = LLVMBuildSub(
                g->b, v, LLVMBuildMul(g->b, l, LLVMConstInt(t, (uint64_t)r->stride, 1), ""), "");
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
        to_frame(g, o->idx, NULL);
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

/* ---- ways out --------------------------------------------------------------------------------------------- */

static bool waits_possible(const struct gen *g, uint32_t b)
{
    return next_park(g->t, b, g->t->nblocks) < g->t->nblocks;
}

/* Parks what waits at block x or further down, then returns. */
static LLVMBasicBlockRef tail(struct gen *g, uint32_t x)
{
    struct unit *t = g->t;

    while (x < t->nblocks && !t->blocks[x].parks)
        x++;
    if (x >= t->nblocks)
        return g->ret;
    if (g->tails[x])
        return g->tails[x];
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b), test, some;

    test = g->tails[x] = new_bb(g, "tail");
    some = new_bb(g, "park");
    LLVMBasicBlockRef next = tail(g, x + 1);

    at(g, test);
    LLVMValueRef m = LLVMBuildLoad2(g->b, g->mt, t->blocks[x].pend, "");

    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntNE, m, cmask(g, 0), ""), some, next);
    at(g, some);
    for (uint32_t r = 0; r < t->nregs; r++)
        if (set_has(t->live_in + (size_t)x * t->words, r))
            to_frame(g, r, m);
    call_helper(g, (const void *)(uintptr_t)t->job->helpers->park, t->blocks[x].start, m);
    LLVMBuildBr(g->b, next);
    at(g, here);
    return test;
}

/* Leaves through helper fn at micro-op i with the lanes m; live: what they need afterwards. */
static void leave(struct gen *g, const void *fn, uint32_t i, LLVMValueRef m, const uint64_t *live)
{
    struct unit *t = g->t;
    bool waits = waits_possible(g, g->cur_block);

    for (uint32_t r = 0; r < t->nregs; r++)
        if (set_has(live, r))
            to_frame(g, r, waits ? m : NULL);
    call_helper(g, fn, i, m);
    if (!waits)
        LLVMBuildBr(g->b, g->ret);
    else
        LLVMBuildBr(g->b, tail(g, next_park(t, g->cur_block, t->nblocks)));
}

void gen_leave(struct gen *g, uint32_t i)
{
    uint64_t *live = calloc(g->t->words, 8);

    if (!live)
        abort(); /* a few kilobytes; as LLVM does */
    live_before(g->t, i, live);
    leave(g, (const void *)(uintptr_t)g->t->job->helpers->park, i, act(g), live);
    free(live);
}

/* ---- jumps -------------------------------------------------------------------------------------------------- */

/* This group is done or waits: on with the next one further down, if any. */
static void jump_next(struct gen *g, uint32_t b)
{
    uint32_t x = next_park(g->t, b, g->t->nblocks);

    LLVMBuildBr(g->b, x < g->t->nblocks ? g->t->blocks[x].check : g->ret);
}

static void lanes_exit(struct gen *g, LLVMValueRef m)
{
    LLVMValueRef a = LLVMBuildAdd(g->b, g->warp, ci64(g, offsetof(struct warp, alive)), "");
    LLVMValueRef v = load_at(g, a, g->i32, 4);

    v = LLVMBuildAnd(g->b, v, LLVMBuildNot(g->b, warp_mask(g, m), ""), "");
    store_at(g, a, v, 4);
}

/* The running group goes from block b to block `to`. */
static void jump(struct gen *g, uint32_t b, uint32_t to)
{
    struct unit *t = g->t;
    uint32_t x;

    if (to >= t->nblocks) { /* past the end: nobody gets there */
        LLVMBuildUnreachable(g->b);
        return;
    }
    if (t->blocks[to].exits && to != b + 1) {
        lanes_exit(g, act(g));
        LLVMBuildStore(g->b, cmask(g, 0), g->act);
        jump_next(g, b);
        return;
    }
    if (to <= b) {
        LLVMBuildBr(g->b, t->blocks[to].bb);
        return;
    }
    x = next_park(t, b, to);
    if (x < to) {
        LLVMValueRef p = LLVMBuildLoad2(g->b, g->mt, t->blocks[to].pend, "");

        LLVMBuildStore(g->b, LLVMBuildOr(g->b, p, act(g), ""), t->blocks[to].pend);
        LLVMBuildStore(g->b, cmask(g, 0), g->act);
        LLVMBuildBr(g->b, t->blocks[x].check);
    } else {
        LLVMBuildBr(g->b, x == to ? t->blocks[to].check : t->blocks[to].bb);
    }
}

static void gen_check(struct gen *g, uint32_t b)
{
    struct block *k = &g->t->blocks[b];
    LLVMBasicBlockRef none = new_bb(g, "none");

    at(g, k->check);
    LLVMValueRef m = LLVMBuildOr(g->b, act(g), LLVMBuildLoad2(g->b, g->mt, k->pend, ""), "");

    LLVMBuildStore(g->b, m, g->act);
    LLVMBuildStore(g->b, cmask(g, 0), k->pend);
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntNE, m, cmask(g, 0), ""), k->bb, none);
    at(g, none);
    jump_next(g, b);
}

/* Before going back to a loop's head: does somebody want the kernel to end? */
static void gen_stop(struct gen *g, uint32_t i)
{
    LLVMBasicBlockRef hit = new_bb(g, "stop"), on = new_bb(g, "on");
    LLVMValueRef v = load_at(g, g->stop, g->i32, 4);

    LLVMSetVolatile(v, 1);
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntNE, v, ci32(g, 0), ""), hit, on);
    at(g, hit);
    call_helper(g, (const void *)(uintptr_t)g->t->job->helpers->stop, i, act(g));
    LLVMBuildBr(g->b, on);
    at(g, on);
}

/* Back to the head of a loop, which may wait for other threads. */
static void jump_back(struct gen *g, uint32_t i, uint32_t b, uint32_t to)
{
    struct unit *t = g->t;

    gen_stop(g, i);
    if (t->virt[i].f & BRA_SPIN) {
        LLVMBasicBlockRef give = new_bb(g, "give"), on = new_bb(g, "on");
        LLVMValueRef n =
            LLVMBuildAdd(g->b, LLVMBuildLoad2(g->b, g->i32, g->spins, ""), ci32(g, 1), "");

        LLVMBuildStore(g->b, n, g->spins);
        LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntUGT, n, ci32(g, 128), ""), give, on);
        at(g, give);
        leave(g, (const void *)(uintptr_t)t->job->helpers->yield, t->blocks[to].start, act(g),
              t->live_in + (size_t)to * t->words);
        at(g, on);
    }
    jump(g, b, to);
}

static void gen_branch(struct gen *g, const struct jop *j, uint32_t i, uint32_t b)
{
    struct unit *t = g->t;
    uint32_t to = t->block_of[t->virt[i].target];
    bool back = to <= b;
    LLVMBasicBlockRef taken, not ;

    if (j->guard.kind == OPD_NONE || to == b + 1) {
        if (back)
            jump_back(g, i, b, to);
        else
            jump(g, b, to);
        return;
    }
    taken = new_bb(g, "taken");
    not = new_bb(g, "not");
    if (!branch_taken_by_some(t, j)) {
        LLVMValueRef p = get_one(g, &j->guard);

        if (j->guard_neg)
            p = LLVMBuildNot(g->b, p, "");
        LLVMBuildCondBr(g->b, p, taken, not );
        at(g, taken);
        if (back)
            jump_back(g, i, b, to);
        else
            jump(g, b, to);
        at(g, not );
        jump(g, b, b + 1);
        return;
    }
    LLVMValueRef m = op_mask(g, j), a = act(g), rest;

    rest = LLVMBuildAnd(g->b, a, LLVMBuildNot(g->b, m, ""), "");
    if (back) {
        LLVMValueRef p;

        LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntNE, m, cmask(g, 0), ""), taken, not );
        at(g, taken);
        p = LLVMBuildLoad2(g->b, g->mt, t->blocks[b + 1].pend, "");
        LLVMBuildStore(g->b, LLVMBuildOr(g->b, p, rest, ""), t->blocks[b + 1].pend);
        LLVMBuildStore(g->b, m, g->act);
        jump_back(g, i, b, to);
        at(g, not );
        jump(g, b, b + 1);
        return;
    }
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, m, a, ""), taken, not );
    at(g, taken);
    jump(g, b, to);
    at(g, not );
    if (t->blocks[to].exits) {
        lanes_exit(g, m);
    } else {
        LLVMValueRef p = LLVMBuildLoad2(g->b, g->mt, t->blocks[to].pend, "");

        LLVMBuildStore(g->b, LLVMBuildOr(g->b, p, m, ""), t->blocks[to].pend);
    }
    LLVMBuildStore(g->b, rest, g->act);
    jump(g, b, b + 1);
}

static void gen_exit(struct gen *g, const struct jop *j, uint32_t b)
{
    LLVMValueRef m = op_mask(g, j), rest;

    lanes_exit(g, m);
    if (j->guard.kind == OPD_NONE) {
        LLVMBuildStore(g->b, cmask(g, 0), g->act);
        jump_next(g, b);
        return;
    }
    LLVMBasicBlockRef some = new_bb(g, "some"), none = new_bb(g, "none");

    rest = LLVMBuildAnd(g->b, act(g), LLVMBuildNot(g->b, m, ""), "");
    LLVMBuildStore(g->b, rest, g->act);
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntNE, rest, cmask(g, 0), ""), some, none);
    at(g, none);
    jump_next(g, b);
    at(g, some);
    jump(g, b, b + 1);
}

/* Before an operation with .sync: its members must be in this group; else the interpreter waits. */
static void gen_wsync(struct gen *g, const struct jop *j, uint32_t i)
{
    LLVMBasicBlockRef wait = new_bb(g, "wait"), on = new_bb(g, "on");
    LLVMValueRef need, missing, a = act(g);

    if (is_uni(g->t, &j->a)) {
        need = get_one(g, &j->a);
    } else { /* members of all lanes that are here */
        LLVMValueRef v =
            LLVMBuildSelect(g->b, mask_vec(g, a), get_vec(g, &j->a), splat(g, ci32(g, 0)), "");
        LLVMTypeRef vt = LLVMTypeOf(v);

        need = intrinsic(g, "llvm.vector.reduce.or", &vt, 1, &v, 1);
    }
    need = LLVMBuildAnd(g->b, need, field(g, g->warp, offsetof(struct warp, alive), g->i32), "");
    missing = LLVMBuildAnd(g->b, need, LLVMBuildNot(g->b, a, ""), "");
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, missing, ci32(g, 0), ""), on, wait);
    at(g, wait);
    gen_leave(g, i);
    at(g, on);
}

static void gen_trap(struct gen *g, const struct jop *j, uint32_t i)
{
    LLVMBasicBlockRef trap = new_bb(g, "trap"), on = new_bb(g, "on");
    LLVMValueRef m = op_mask(g, j);

    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntNE, m, cmask(g, 0), ""), trap, on);
    at(g, trap);
    call_helper(g, (const void *)(uintptr_t)g->t->job->helpers->trap, i, m);
    LLVMBuildUnreachable(g->b);
    at(g, on);
}

static void wait_cb(void *arg, const struct opd *o, bool def)
{
    if (!def)
        set_add(arg, o->idx);
}

/* A barrier or nanosleep: leaves; compiled code is entered again behind it. */
static int gen_wait(struct gen *g, const struct jop *j, uint32_t i, const void *fn, uint32_t where)
{
    struct unit *t = g->t;
    uint64_t *live = calloc(t->words, 8);

    if (!live)
        return unit_fail(t, "out of memory");
    if (i + 1 < t->n)
        memcpy(live, t->live_in + (size_t)t->block_of[i + 1] * t->words, t->words * 8);
    each_operand(j, wait_cb, live);
    leave(g, fn, where, act(g), live);
    free(live);
    return 0;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static int gen_uop(struct gen *g, uint32_t i, uint32_t b, bool *ended)
{
    struct unit *t = g->t;
    const struct jop *j = &t->ops[i];

    g->cur = i;
    switch (t->virt[i].kind) {
    case K_FN:
        if (!j->native) {
            gen_handler(g, j, i);
        } else if (j->op == OP_LD || j->op == OP_ST) {
            gen_mem(g, j, i);
        } else {
            return gen_alu(g, j, i);
        }
        return 0;
    case K_CALL:
        gen_handler(g, j, i);
        return 0;
    case K_JOIN:
        return 0;
    case K_WSYNC:
        gen_wsync(g, j, i);
        return 0;
    case K_TRAP:
        gen_trap(g, j, i);
        return 0;
    default:
        break;
    }
    *ended = true;
    switch (t->virt[i].kind) {
    case K_BRA:
        gen_branch(g, j, i, b);
        return 0;
    case K_BAR:
        return gen_wait(g, j, i, (const void *)(uintptr_t)t->job->helpers->barrier, i);
    case K_YIELD:
        return gen_wait(g, j, i, (const void *)(uintptr_t)t->job->helpers->yield, i + 1);
    default: /* K_EXIT, K_END */
        gen_exit(g, j, b);
        return 0;
    }
}

static void prologue(struct gen *g)
{
    struct unit *t = g->t;
    LLVMBasicBlockRef first = new_bb(g, "first");

    at(g, first);
    for (uint32_t r = 0; r < t->nregs; r++) {
        LLVMTypeRef vt = var_type(g, &t->regs[r]);

        t->regs[r].var = LLVMBuildAlloca(g->b, vt, "");
        LLVMBuildStore(g->b, LLVMConstNull(vt), t->regs[r].var);
    }
    for (uint32_t b = 0; b < t->nblocks; b++)
        if (t->blocks[b].parks) {
            t->blocks[b].pend = LLVMBuildAlloca(g->b, g->mt, "");
            LLVMBuildStore(g->b, cmask(g, 0), t->blocks[b].pend);
            t->blocks[b].check = new_bb(g, "check");
        }
    g->act = LLVMBuildAlloca(g->b, g->mt, "act");
    g->spins = LLVMBuildAlloca(g->b, g->i32, "spins");
    LLVMBuildStore(g->b, ci32(g, 0), g->spins);

    LLVMValueRef m = LLVMGetParam(g->fn, 1);

    g->warp = LLVMGetParam(g->fn, 0);
    g->lane0 = g->w == WARP ? ci32(g, 0) : LLVMGetParam(g->fn, 3);
    g->lane0_64 = g->w == WARP ? ci64(g, 0) : LLVMBuildZExt(g->b, g->lane0, g->i64, "");
    g->uops = LLVMGetParam(g->fn, 4);
    LLVMBuildStore(g->b, g->w == WARP ? m : LLVMBuildTrunc(g->b, m, g->mt, ""), g->act);
    g->frame = field(g, field(g, g->warp, offsetof(struct warp, frame0), g->i64),
                     offsetof(struct frame, regs), g->i64);
    g->exec = field(g, g->warp, offsetof(struct warp, x), g->i64);
    g->stop = field(g, g->exec, offsetof(struct ptx_exec, stop), g->i64);
    g->shared = field(g, g->warp, offsetof(struct warp, shared), g->i64);
    g->params = field(g, g->warp, offsetof(struct warp, params), g->i64);
    g->local = field(g, g->warp, offsetof(struct warp, local), g->i64);
    g->shared_size = LLVMBuildZExt(
        g->b, field(g, g->warp, offsetof(struct warp, shared_size), g->i32), g->i64, "");
    g->local_size = LLVMBuildZExt(
        g->b, field(g, g->warp, offsetof(struct warp, local_size), g->i32), g->i64, "");
    g->local_stride = LLVMBuildZExt(
        g->b, field(g, g->exec, offsetof(struct ptx_exec, local_stride), g->i32), g->i64, "");
    g->win_base = field(g, g->warp, offsetof(struct warp, win_base), g->i64);
    g->win_mask = field(g, g->warp, offsetof(struct warp, win_mask), g->i64);

    store_at(g, LLVMBuildAdd(g->b, g->exec, ci64(g, offsetof(struct ptx_exec, site_lane0)), ""),
             g->lane0, 4);
    LLVMBasicBlockRef bad = new_bb(g, "bad");
    LLVMValueRef sw = LLVMBuildSwitch(g->b, LLVMGetParam(g->fn, 2), bad, t->nentries);

    at(g, bad);
    LLVMBuildUnreachable(g->b);
    for (uint32_t b = 0; b < t->nblocks; b++)
        t->blocks[b].bb = new_bb(g, "block");
    g->ret = new_bb(g, "ret");
    at(g, g->ret);
    LLVMBuildRetVoid(g->b);
    for (uint32_t b = 0; b < t->nblocks; b++) {
        if (t->blocks[b].entry < 0)
            continue;
        LLVMBasicBlockRef in = new_bb(g, "in");

        LLVMAddCase(sw, ci32(g, (uint32_t)t->blocks[b].entry), in);
        at(g, in);
        LLVMValueRef lane = first_of(g, act(g));

        if (b) /* at the start nothing has a value yet */
            for (uint32_t r = 0; r < t->nregs; r++)
                if (set_has(t->live_in + (size_t)b * t->words, r))
                    reload(g, r, lane);
        LLVMBuildBr(g->b, t->blocks[b].bb);
    }
}

int gen_unit(struct gen *g)
{
    struct unit *t = g->t;
    LLVMTypeRef args[5];

    g->w = t->lanes;
    g->i1 = LLVMInt1TypeInContext(g->ctx);
    g->i8 = LLVMInt8TypeInContext(g->ctx);
    g->i16 = LLVMInt16TypeInContext(g->ctx);
    g->i32 = LLVMInt32TypeInContext(g->ctx);
    g->i64 = LLVMInt64TypeInContext(g->ctx);
    g->f32 = LLVMFloatTypeInContext(g->ctx);
    g->f64 = LLVMDoubleTypeInContext(g->ctx);
    g->mt = g->w == 32 ? g->i32 : g->w == 16 ? g->i16 : g->i8;
    args[0] = args[4] = g->i64;
    args[1] = args[2] = args[3] = g->i32;
    g->fn = LLVMAddFunction(g->mod, "kernel",
                            LLVMFunctionType(LLVMVoidTypeInContext(g->ctx), args, 5, 0));
    g->tails = calloc(t->nblocks + 1, sizeof(*g->tails));
    if (!g->tails)
        return unit_fail(t, "out of memory");
    prologue(g);
    for (uint32_t b = 0; b < t->nblocks; b++) {
        bool ended = false;

        g->cur_block = b;
        if (t->blocks[b].parks)
            gen_check(g, b);
        at(g, t->blocks[b].bb);
        for (uint32_t i = t->blocks[b].start; i < t->blocks[b].end && !ended; i++)
            if (gen_uop(g, i, b, &ended))
                return -1;
        if (!ended)
            jump(g, b, b + 1);
    }
    return 0;
}
