/* SPDX-License-Identifier: MIT */
/*
 * mem.c - loads and stores. In line is what usually happens: one address for all lanes, lanes side
 * by side, or any addresses in range. Everything else - an address out of range or misaligned,
 * other apertures, parts of a vector - goes to the micro-op's handler, which does it or reports it.
 */
#include "mem.h"

unsigned elem_bytes(const struct jop *j)
{
    return j->ty <= TY_S8 ? 1 : j->ty <= TY_S16 ? 2 : j->ty <= TY_S32 ? 4 : 8;
}

bool mem_native(const struct unit *t, const struct jop *j, const struct uop *u)
{
    if (j->space == AS_PARAM)
        return j->op == OP_LD && j->a.kind == OPD_NONE && u->imm >= 0 &&
               u->imm % (elem_bytes(j) * j->nelem) == 0 &&
               (uint64_t)u->imm + elem_bytes(j) * j->nelem <= t->job->param_bytes;
    return j->op != OP_ST || !u->n; /* without holes */
}

const struct opd *mem_data(const struct jop *j, unsigned k)
{
    const struct opd *o[4] = {&j->d, &j->b, &j->c, &j->e};

    if (k >= 4)
        return &j->more[k - 4].o;
    return j->op == OP_ST && j->nelem == 1 ? &j->b : o[k];
}

/* As it is in memory to as it is in a register. */
LLVMValueRef from_mem(struct access *x, LLVMValueRef v, bool vector)
{
    struct gen *g = x->g;
    LLVMTypeRef t = lane_type(g, mem_data(x->j, 0)->cls);
    bool sign = x->j->ty == TY_S8 || x->j->ty == TY_S16 || x->j->ty == TY_S32;

    if (vector)
        t = vec(g, t);
    if (LLVMTypeOf(v) == t)
        return v;
    return sign ? LLVMBuildSExt(g->b, v, t, "") : LLVMBuildZExt(g->b, v, t, "");
}

LLVMValueRef to_mem(struct access *x, unsigned k, bool vector)
{
    struct gen *g = x->g;
    const struct opd *o = mem_data(x->j, k);
    LLVMTypeRef t = vector ? vec(g, x->et) : x->et;
    LLVMValueRef v = get(g, o, vector);

    if (o->kind == OPD_REG && g->t->regs[o->idx].loose)
        v = canon(g, v);
    return LLVMTypeOf(v) == t ? v : LLVMBuildTrunc(g->b, v, t, "");
}

/* ---- addresses ----------------------------------------------------------------------------------------- */

LLVMValueRef addr_one(struct access *x)
{
    struct gen *g = x->g;
    const struct jop *j = x->j;
    LLVMValueRef a;

    if (j->a.kind == OPD_NONE)
        return ci64(g, (uint64_t)j->imm);
    a = get_one(g, &j->a);
    if (j->a.cls == C_64)
        return LLVMBuildAdd(g->b, a, ci64(g, (uint64_t)j->imm), "");
    a = LLVMBuildAdd(g->b, a, ci32(g, (uint32_t)j->imm), "");
    return LLVMBuildZExt(g->b, a, g->i64, "");
}

LLVMValueRef addr_vec(struct access *x)
{
    struct gen *g = x->g;
    const struct jop *j = x->j;
    LLVMValueRef a;

    if (j->a.kind == OPD_NONE)
        return splat(g, addr_one(x));
    a = get_vec(g, &j->a);
    if (j->a.cls == C_64)
        return LLVMBuildAdd(g->b, a, splat(g, ci64(g, (uint64_t)j->imm)), "");
    a = LLVMBuildAdd(g->b, a, splat(g, ci32(g, (uint32_t)j->imm)), "");
    return LLVMBuildZExt(g->b, a, vec(g, g->i64), "");
}

bool in_window(const struct access *x)
{
    return x->j->space == AS_GLOBAL || x->j->space == AS_GENERIC;
}

/* All lanes' values or-ed. */
static LLVMValueRef any_bit(struct gen *g, LLVMValueRef v)
{
    LLVMTypeRef t = LLVMTypeOf(v);

    if (LLVMGetTypeKind(t) != LLVMVectorTypeKind)
        return v;
    return intrinsic(g, "llvm.vector.reduce.or", &t, 1, &v, 1);
}

/*
 * True where addresses are in the space and aligned: a, and b if it is not NULL; one address or
 * many. The window starts at a multiple of its size, so one mask does for both questions.
 */
LLVMValueRef is_good(struct access *x, LLVMValueRef a, LLVMValueRef b)
{
    struct gen *g = x->g;
    bool vector = LLVMGetTypeKind(LLVMTypeOf(a)) == LLVMVectorTypeKind;
    LLVMValueRef base = g->win_base, lim, bad, sign, low = ci64(g, x->total - 1);

    if (in_window(x)) {
        if (vector)
            base = splat(g, base);
        bad = LLVMBuildXor(g->b, a, base, "");
        if (b)
            bad = LLVMBuildOr(g->b, bad, LLVMBuildXor(g->b, b, base, ""), "");
        bad = any_bit(g, bad);
        low = LLVMBuildOr(g->b, LLVMBuildNot(g->b, g->win_mask, ""), low, "");
        return LLVMBuildICmp(g->b, LLVMIntEQ, LLVMBuildAnd(g->b, bad, low, ""), ci64(g, 0), "");
    }
    lim = LLVMBuildSub(g->b, x->j->space == AS_SHARED ? g->shared_size : g->local_size,
                       ci64(g, x->total), "");
    LLVMValueRef l = vector ? splat(g, lim) : lim;

    /* the signs of lim - a, of a, and of lim */
    sign = LLVMBuildOr(g->b, LLVMBuildSub(g->b, l, a, ""), a, "");
    bad = a;
    if (b) {
        sign = LLVMBuildOr(g->b, sign, LLVMBuildOr(g->b, LLVMBuildSub(g->b, l, b, ""), b, ""), "");
        bad = LLVMBuildOr(g->b, bad, b, "");
    }
    sign = LLVMBuildOr(g->b, any_bit(g, sign), lim, "");
    sign = LLVMBuildAnd(g->b, sign, ci64(g, 1ull << 63), "");
    bad = LLVMBuildOr(g->b, sign, LLVMBuildAnd(g->b, any_bit(g, bad), low, ""), "");
    return LLVMBuildICmp(g->b, LLVMIntEQ, bad, ci64(g, 0), "");
}

/* A check before has seen to it. */
static bool is_known(LLVMValueRef good)
{
    return LLVMIsAConstantInt(good) && LLVMConstIntGetZExtValue(good);
}

/* On to a new block where the condition holds, to the slow path where it does not. */
void require(struct access *x, LLVMValueRef good)
{
    LLVMBasicBlockRef fast;

    if (is_known(good))
        return;
    fast = new_bb(x->g, "fast");
    x->slows = true;
    branch_rarely(x->g, good, fast, x->slow);
    at(x->g, fast);
}

/* The host's address. */
LLVMValueRef host(struct access *x, LLVMValueRef a, bool vector)
{
    struct gen *g = x->g;
    LLVMValueRef base;

    if (in_window(x)) /* device addresses are the host's, and this one was looked at */
        return a;
    base = g->shared;
    if (x->j->space == AS_LOCAL) {
        base = LLVMBuildAdd(g->b, field(g, g->warp, offsetof(struct warp, local), g->i64),
                            LLVMBuildMul(g->b, g->lane0_64, g->local_stride, ""), "");
        if (vector)
            a = LLVMBuildAdd(
                g->b, a, LLVMBuildMul(g->b, iota(g, g->i64), splat(g, g->local_stride), ""), "");
    }
    if (vector)
        base = splat(g, base);
    return LLVMBuildAdd(g->b, base, a, "");
}

static void exec_field(struct gen *g, size_t off, LLVMValueRef v, unsigned align)
{
    store_at(g, LLVMBuildAdd(g->b, g->exec, ci64(g, off), ""), v, align);
}

void note_site(struct access *x, LLVMValueRef a, int64_t stride, LLVMValueRef all, bool full)
{
    struct gen *g = x->g;
    struct jit_site *s = &g->code->sites[g->nsites];

    if (all)
        exec_field(g, offsetof(struct ptx_exec, lane_addr), all, 32);
    if (!in_window(x))
        return;
    g->nsites++;
    s->uop = x->i;
    s->stride = stride;
    s->gathered = all != NULL;
    s->full = full;
    if (!full)
        exec_field(g, offsetof(struct ptx_exec, site_mask),
                   LLVMBuildZExtOrBitCast(g->b, x->mask, g->i32, ""), 4);
    exec_field(g, offsetof(struct ptx_exec, site), ci32(g, g->nsites), 4);
    if (!all)
        exec_field(g, offsetof(struct ptx_exec, site_addr), a, 8);
}

/* ---- one address for all lanes ---------------------------------------------------------------------------- */

static LLVMValueRef last_of(struct gen *g, LLVMValueRef m)
{
    LLVMValueRef a[2] = {LLVMBuildZExtOrBitCast(g->b, m, g->i32, ""), LLVMConstInt(g->i1, 1, 0)};

    return LLVMBuildSub(g->b, ci32(g, 31), intrinsic(g, "llvm.ctlz", &g->i32, 1, a, 2), "");
}

/* A parameter: the same for all parts, and what is computed of it, too. */
static void load_param(struct access *x)
{
    struct gen *g = x->g;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
    LLVMValueRef p, v[MAX_ELEMS];

    LLVMPositionBuilderBefore(g->b, LLVMGetBasicBlockTerminator(g->first));
    p = LLVMBuildAdd(g->b, g->params, addr_one(x), "");
    for (unsigned k = 0; k < x->j->nelem; k++)
        v[k] = load_at(g, plus(g, p, k * x->esz), x->et, x->esz);
    at(g, here);
    for (unsigned k = 0; k < x->j->nelem; k++)
        put(g, x->j, mem_data(x->j, k), from_mem(x, v[k], false), true);
    LLVMBuildBr(g->b, x->done);
}

static void same_address(struct access *x)
{
    struct gen *g = x->g;
    const struct jop *j = x->j;
    LLVMValueRef a = addr_one(x), p;

    require(x, x->good);
    note_site(x, a, 0, NULL, false);
    p = host(x, a, false);
    for (unsigned k = 0; k < j->nelem; k++) {
        LLVMValueRef q = plus(g, p, k * x->esz);

        if (j->op == OP_LD) {
            put(g, j, mem_data(j, k), from_mem(x, load_at(g, q, x->et, x->esz), false), true);
        } else if (is_uni(g->t, mem_data(j, k))) {
            store_at(g, q, to_mem(x, k, false), x->esz);
        } else { /* the last lane stays */
            LLVMValueRef v =
                LLVMBuildExtractElement(g->b, to_mem(x, k, true), last_of(g, x->mask), "");

            store_at(g, q, v, x->esz);
        }
    }
    LLVMBuildBr(g->b, x->done);
}

/* ---- lanes side by side -------------------------------------------------------------------------------------- */

#define WARPS_AHEAD 8 /* as measured: from four on it is the same */

bool loads_anywhere(const struct unit *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        const struct jop *j = &t->ops[i];
        int64_t stride;

        if (t->virt[i].kind == K_FN && j->native && j->op == OP_LD &&
            in_window(&(struct access){.j = j}) && opd_shape(t, &j->a, &stride) == S_VAR)
            return true;
    }
    return false;
}

static void load_side(struct access *x, LLVMValueRef p)
{
    struct gen *g = x->g;
    const unsigned n = x->j->nelem;
    LLVMValueRef v;

    if (g->streams && in_window(x))
        prefetch(g, plus(g, p, (uint64_t)WARPS_AHEAD * WARP * x->total), g->w * x->total);
    v = load_at(g, p, LLVMVectorType(x->et, g->w * n), x->total);
    for (unsigned k = 0; k < n; k++) {
        LLVMValueRef idx[WARP], e = v;

        for (uint32_t l = 0; l < g->w; l++)
            idx[l] = ci32(g, l * n + k);
        if (n > 1)
            e = LLVMBuildShuffleVector(g->b, v, LLVMGetUndef(LLVMTypeOf(v)),
                                       LLVMConstVector(idx, g->w), "");
        put(g, x->j, mem_data(x->j, k), from_mem(x, e, true), true);
    }
}

static LLVMValueRef interleave(struct gen *g, LLVMValueRef a, LLVMValueRef b)
{
    LLVMValueRef idx[MAX_ELEMS * WARP];
    unsigned n = LLVMGetVectorSize(LLVMTypeOf(a));

    for (unsigned l = 0; l < n; l++) {
        idx[2 * l] = ci32(g, l);
        idx[2 * l + 1] = ci32(g, n + l);
    }
    return LLVMBuildShuffleVector(g->b, a, b, LLVMConstVector(idx, 2 * n), "");
}

/* Elements from, from + step, from + 2 step ... of the lanes, side by side. */
static LLVMValueRef woven(struct access *x, unsigned from, unsigned step)
{
    if (step == x->j->nelem)
        return to_mem(x, from, true);
    return interleave(x->g, woven(x, from, 2 * step), woven(x, from + step, 2 * step));
}

static void store_side(struct access *x, LLVMValueRef p)
{
    store_at(x->g, p, woven(x, 0, 1), x->total);
}

/* Some lanes only, and those that are not there may be out of range: the address that the part's first
 * lane would have, as the first one that is there has it. */
static LLVMValueRef part_base(struct access *x, int64_t stride)
{
    struct gen *g = x->g;
    LLVMTypeRef t = x->j->a.cls == C_64 ? g->i64 : g->i32;
    LLVMValueRef l[2] = {first_of(g, x->mask), last_of(g, x->mask)}, a[2], off = NULL;

    for (int k = 2; k-- > 0;) {
        off = LLVMBuildMul(g->b, LLVMBuildZExtOrBitCast(g->b, l[k], t, ""),
                           LLVMConstInt(t, (uint64_t)stride, 1), "");
        a[k] =
            LLVMBuildAdd(g->b, get_one(g, &x->j->a),
                         LLVMBuildAdd(g->b, off, LLVMConstInt(t, (uint64_t)x->j->imm, 1), ""), "");
        a[k] = LLVMBuildZExtOrBitCast(g->b, a[k], g->i64, "");
    }
    require(x, is_good(x, a[0], a[1]));
    return LLVMBuildSub(g->b, a[0], LLVMBuildZExtOrBitCast(g->b, off, g->i64, ""), "");
}

static void side_by_side(struct access *x, int64_t stride)
{
    struct gen *g = x->g;
    const bool known = is_known(x->good);
    LLVMValueRef a = addr_one(x), p;
    bool by_part = x->j->nelem == 1 && x->esz >= 4;

    if (known && x->j->op == OP_LD && x->j->space == AS_SHARED) {
        load_side(x, host(x, a, false)); /* all of it is there, be it wanted or not */
        LLVMBuildBr(g->b, x->done);
        return;
    }
    LLVMBasicBlockRef full = new_bb(g, "full"), part = new_bb(g, "part");

    x->slows |= !by_part;
    LLVMBuildCondBr(g->b, x->all_good, full, by_part ? part : x->slow);
    at(g, full);
    note_site(x, a, stride, NULL, true);
    p = host(x, a, false);
    if (x->j->op == OP_LD)
        load_side(x, p);
    else
        store_side(x, p);
    LLVMBuildBr(g->b, x->done);
    at(g, part);
    if (!by_part) {
        LLVMBuildUnreachable(g->b);
        return;
    }
    x->mask = made_here(g, x->mask);
    if (!known)
        a = part_base(x, stride);
    note_site(x, a, stride, NULL, false);
    p = host(x, a, false);
    LLVMTypeRef vt = vec(g, x->et), over[2] = {vt, LLVMPointerType(vt, 0)};
    LLVMValueRef ptr = LLVMBuildIntToPtr(g->b, p, over[1], ""), m = mask_vec(g, x->mask);

    if (x->j->op == OP_LD) {
        LLVMValueRef args[4] = {ptr, ci32(g, x->esz), m, LLVMConstNull(vt)};
        LLVMValueRef v = intrinsic(g, "llvm.masked.load", over, 2, args, 4);

        put(g, x->j, mem_data(x->j, 0), from_mem(x, v, true), true);
    } else {
        LLVMValueRef args[4] = {to_mem(x, 0, true), ptr, ci32(g, x->esz), m};

        intrinsic(g, "llvm.masked.store", over, 2, args, 4);
    }
    LLVMBuildBr(g->b, x->done);
}

/* ---- one check for several accesses -------------------------------------------------------------------------- */

#define NEAR (1 << 16) /* octets between offsets that are looked at together */

/*
 * The range of offsets that accesses like this one have from here to the end of the block, as long as
 * the address register stays the same. Offsets are whatever a guest writes, up to 64 bits of them: two
 * whose distance wraps around are not near, though their addresses may be.
 */
static unsigned offsets(struct access *x, int64_t *lo, int64_t *hi)
{
    const struct unit *t = x->g->t;
    const uint32_t reg = x->j->a.idx;
    unsigned n = 0;

    *lo = *hi = x->j->imm;
    for (uint32_t i = x->i; i < t->blocks[x->g->cur_block].end; i++) {
        const struct jop *k = &t->ops[i];
        int64_t from;

        if (k->native && (k->op == OP_LD || k->op == OP_ST) && k->a.kind == OPD_REG &&
            k->a.idx == reg && k->space == x->j->space && elem_bytes(k) * k->nelem <= x->total &&
            k->guard.kind == OPD_NONE && !__builtin_sub_overflow(k->imm, x->j->imm, &from) &&
            from > -NEAR && from < NEAR && !(from % (int64_t)x->total)) {
            *lo = k->imm < *lo ? k->imm : *lo;
            *hi = k->imm > *hi ? k->imm : *hi;
            n++;
        }
        if (writes_reg(k, reg))
            break;
    }
    return n;
}

#define MANY 3 /* accesses with one check: who does not pass it goes on in the interpreter */

/* The check that has seen to an access like this one at that offset, or NULL. */
static struct checked *checked_at(const struct access *x, int64_t off)
{
    struct gen *g = x->g;
    const struct jop *j = x->j;

    for (struct checked *k = g->groups; k < g->groups + 8; k++)
        if (j->a.kind == OPD_REG && k->good && k->block == g->cur_block && k->reg == j->a.idx &&
            k->space == j->space && x->i < k->end && x->total <= k->total && off >= k->lo &&
            off <= k->hi && !((off - k->lo) % (int64_t)x->total))
            return k;
    return NULL;
}

bool is_checked(const struct access *x, int64_t off)
{
    const struct checked *k = checked_at(x, off);

    return k && k->good == x->good && k == checked_at(x, x->j->imm);
}

/* What is known of the accesses of a block through one register, from the first of them on. */
static void check(struct access *x, int64_t stride)
{
    struct gen *g = x->g;
    const struct jop *j = x->j;
    struct jop at_lo = *j, at_hi = *j;
    LLVMValueRef full = all_there(x);
    struct checked *k = checked_at(x, j->imm);

    if (k) {
        x->good = k->good;
        x->all_good = j->guard.kind == OPD_NONE ? k->all_good
                      : is_known(x->good)       ? full
                                                : LLVMBuildAnd(g->b, x->good, full, "");
        return;
    }
    k = &g->groups[g->ngroups++ % 8];
    unsigned n = 1;

    *k = (struct checked){.block = g->cur_block, .total = x->total, .space = j->space};
    k->lo = k->hi = j->imm;
    if (j->a.kind == OPD_REG) {
        k->reg = j->a.idx;
        n = offsets(x, &k->lo, &k->hi);
        for (k->end = x->i; k->end < g->t->blocks[k->block].end;)
            if (writes_reg(&g->t->ops[k->end++], k->reg))
                break;
    }
    at_lo.imm = k->lo;
    at_hi.imm = k->hi;
    LLVMValueRef lo = addr_one(&(struct access){.g = g, .j = &at_lo}), hi;

    hi = k->lo == k->hi ? lo : addr_one(&(struct access){.g = g, .j = &at_hi});
    if (stride)
        hi = plus(g, hi, (uint64_t)stride * (g->w - 1));
    k->good = x->good = is_good(x, lo, hi == lo ? NULL : hi);
    if (n >= MANY && j->guard.kind == OPD_NONE && j->space != AS_GENERIC) {
        /* one way out for all: a path of its own for each would be most of the code */
        LLVMBasicBlockRef out = new_bb(g, "out"), on = new_bb(g, "on");

        branch_rarely(g, x->good, on, out);
        at(g, out);
        gen_leave(g, x->i);
        at(g, on);
        k->good = x->good = LLVMConstInt(g->i1, 1, 0);
        x->all_good = k->all_good = full;
        return;
    }
    x->all_good = LLVMBuildAnd(g->b, x->good, full, "");
    if (j->guard.kind == OPD_NONE)
        k->all_good = x->all_good;
    else
        k->good = NULL; /* only where the guard holds */
}

void access_begin(struct access *x)
{
    struct gen *g = x->g;

    x->et = LLVMIntTypeInContext(g->ctx, x->esz * 8);
    x->mask = op_mask(g, x->j);
    x->slow = new_bb(g, "slow");
    x->done = new_bb(g, "done");
    if (x->j->guard.kind == OPD_REG) {
        LLVMBasicBlockRef run = new_bb(g, "run");

        LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntNE, x->mask, cmask(g, 0), ""), run,
                        x->done);
        at(g, run);
    }
}

LLVMValueRef all_there(struct access *x)
{
    struct gen *g = x->g;

    return LLVMBuildICmp(g->b, LLVMIntEQ, x->mask, LLVMConstAllOnes(g->mt), "");
}

void gen_mem(struct gen *g, const struct jop *j, uint32_t i)
{
    struct access x = {.g = g, .j = j, .i = i};
    int64_t stride;
    unsigned shape = opd_shape(g->t, &j->a, &stride);

    x.esz = elem_bytes(j);
    x.total = x.esz * j->nelem;
    access_begin(&x);
    if (shape == S_AFF && !stride)
        shape = S_UNI;
    if (j->space != AS_PARAM && (g->w == 1 || (shape != S_VAR && j->space != AS_LOCAL)))
        check(&x, g->w == 1 || shape == S_UNI ? 0 : stride);
    if (shape == S_AFF && g->w > 1 && load_fields(&x, stride)) {
        LLVMDeleteBasicBlock(x.slow);
        LLVMDeleteBasicBlock(x.done);
        return;
    }
    if (j->space == AS_PARAM)
        load_param(&x);
    else if (g->w == 1 || (shape == S_UNI && j->space != AS_LOCAL))
        same_address(&x);
    else if (shape == S_AFF && stride == (int64_t)x.total && j->space != AS_LOCAL)
        side_by_side(&x, stride);
    else if (shape != S_AFF || !load_few_apart(&x, stride))
        scattered(&x);
    if (!x.slows) {
        LLVMDeleteBasicBlock(x.slow);
        at(g, x.done);
        return;
    }
    at(g, x.slow);
    if (j->space == AS_PARAM) {
        LLVMBuildUnreachable(g->b);
    } else {
        gen_handler(g, j, i);
        LLVMBuildBr(g->b, x.done);
    }
    at(g, x.done);
}
