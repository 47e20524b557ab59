/* SPDX-License-Identifier: MIT */
/*
 * mem_any.c - loads and stores of lanes at any addresses, one lane after the other. Addresses that are
 * a uniform base and a 32-bit number times the size, as of a[i], are looked at by their numbers: half
 * as many octets to compare, and to write down for the report of a fault.
 */
#include "mem.h"

/* ---- small things ---------------------------------------------------------------------------- */

LLVMValueRef fill_in(struct access *x, LLVMValueRef a)
{
    struct gen *g = x->g;
    LLVMBasicBlockRef some = new_bb(g, "some"), all = new_bb(g, "all"),
                      here = LLVMGetInsertBlock(g->b);
    LLVMValueRef s, phi, first, mask;

    branch_rarely(g, all_there(x), all, some);
    at(g, some);
    mask = made_here(g, x->mask);
    first = LLVMBuildExtractElement(g->b, a, first_of(g, mask), "");
    s = LLVMBuildSelect(g->b, mask_vec(g, mask), a, splat(g, first), "");
    LLVMBuildBr(g->b, all);
    at(g, all);
    phi = LLVMBuildPhi(g->b, LLVMTypeOf(a), "");
    LLVMAddIncoming(phi, (LLVMValueRef[]){a, s}, (LLVMBasicBlockRef[]){here, some}, 2);
    return phi;
}

LLVMValueRef lane_array(struct gen *g, LLVMTypeRef vector)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
    LLVMValueRef v;

    LLVMPositionBuilderBefore(g->b, LLVMGetBasicBlockTerminator(g->first));
    v = LLVMBuildAlloca(g->b, vector, "");
    at(g, here);
    return v;
}

LLVMValueRef lane_element(struct gen *g, LLVMValueRef array, LLVMTypeRef et, LLVMValueRef i)
{
    LLVMValueRef p = LLVMBuildBitCast(g->b, array, LLVMPointerType(et, 0), "");

    return LLVMBuildPtrToInt(g->b, LLVMBuildGEP2(g->b, et, p, &i, 1, ""), g->i64, "");
}

void lanes_begin(struct access *x, struct lane_loop *l)
{
    struct gen *g = x->g;

    l->from = LLVMGetInsertBlock(g->b);
    l->loop = new_bb(g, "lane");
    LLVMBuildBr(g->b, l->loop);
    at(g, l->loop);
    l->rest = LLVMBuildPhi(g->b, g->mt, "");
    l->lane = LLVMBuildZExt(g->b, first_of(g, l->rest), g->i64, "");
}

void lanes_end(struct access *x, struct lane_loop *l)
{
    struct gen *g = x->g;
    LLVMBasicBlockRef end = new_bb(g, "end");
    LLVMValueRef next =
        LLVMBuildAnd(g->b, l->rest, LLVMBuildSub(g->b, l->rest, cmask(g, 1), ""), "");

    LLVMAddIncoming(l->rest, (LLVMValueRef[]){x->mask, next},
                    (LLVMBasicBlockRef[]){l->from, LLVMGetInsertBlock(g->b)}, 2);
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntNE, next, cmask(g, 0), ""), l->loop, end);
    at(g, end);
}

/* ---- addresses by number --------------------------------------------------------------------- */

/* The last micro-op before i in its block that writes the register; UINT32_MAX: none. */
static uint32_t last_def(const struct unit *t, uint32_t i, uint32_t reg)
{
    uint32_t start = t->blocks[t->block_of[i]].start;

    while (i-- > start)
        if (writes_reg(&t->ops[i], reg))
            return i;
    return UINT32_MAX;
}

/* The micro-op that made the register's value, if it is of this block and made it in all lanes. */
static const struct jop *maker(const struct unit *t, uint32_t i, const struct opd *o,
                               uint32_t *where)
{
    uint32_t k = o->kind == OPD_REG ? last_def(t, i, o->idx) : UINT32_MAX;

    if (k == UINT32_MAX || t->ops[k].guard.kind != OPD_NONE || !t->ops[k].native)
        return NULL;
    *where = k;
    return &t->ops[k];
}

/* Still what it was at micro-op k. */
static bool same_since(const struct unit *t, uint32_t k, uint32_t i, const struct opd *o)
{
    uint32_t d;

    if (o->kind != OPD_REG)
        return true;
    d = last_def(t, i, o->idx);
    return d == UINT32_MAX || d < k;
}

struct indexed {
    struct opd base, number;
    uint64_t scale;
    bool sign;
    struct opd most; /* uniform, no number is greater; or OPD_NONE */
};

/* number * scale, 32 bits to 64 */
static bool product(const struct jop *j, struct indexed *x)
{
    if ((j->op != OP_MULWIDE && j->op != OP_MADWIDE) || (j->ty != TY_U32 && j->ty != TY_S32))
        return false;
    x->sign = j->ty == TY_S32;
    if (j->b.kind == OPD_CONST) {
        x->number = j->a;
        x->scale = (uint32_t)j->b.val;
    } else if (j->a.kind == OPD_CONST) {
        x->number = j->b;
        x->scale = (uint32_t)j->a.val;
    } else {
        return false;
    }
    return x->number.kind == OPD_REG && x->scale && x->scale <= 64;
}

/* What the number at micro-op i is at most, as it was masked: x & m, or x >> constant. */
static void bound(const struct unit *t, uint32_t i, uint32_t now, struct indexed *x)
{
    uint32_t k = i;
    const struct jop *j = maker(t, i, &x->number, &k);

    x->most = (struct opd){.kind = OPD_NONE};
    if (j && j->op == OP_AND && (is_uni(t, &j->a) || is_uni(t, &j->b)))
        x->most = is_uni(t, &j->a) ? j->a : j->b;
    if (j && j->op == OP_SHR && j->ty == TY_U32 && j->b.kind == OPD_CONST && j->b.val < 32)
        x->most = (struct opd){.kind = OPD_CONST, .cls = C_32, .val = UINT32_MAX >> j->b.val};
    if (!same_since(t, k, now, &x->most))
        x->most.kind = OPD_NONE;
}

static bool by_number(const struct access *a, struct indexed *x)
{
    const struct unit *t = a->g->t;
    uint32_t at1, at2;
    const struct jop *sum = maker(t, a->i, &a->j->a, &at1), *mul;
    const struct opd *side[2];

    if (!sum || a->j->a.cls != C_64)
        return false;
    if (sum->op == OP_MADWIDE && is_uni(t, &sum->c) && product(sum, x)) {
        x->base = sum->c;
        bound(t, at1, a->i, x);
        return same_since(t, at1, a->i, &x->base) && same_since(t, at1, a->i, &x->number);
    }
    if (sum->op != OP_ADD || (sum->ty != TY_U64 && sum->ty != TY_S64))
        return false;
    side[0] = is_uni(t, &sum->a) ? &sum->a : &sum->b;
    side[1] = side[0] == &sum->a ? &sum->b : &sum->a;
    if (!is_uni(t, side[0]))
        return false;
    mul = maker(t, at1, side[1], &at2);
    if (!mul || mul->op != OP_MULWIDE || !product(mul, x))
        return false;
    x->base = *side[0];
    bound(t, at2, a->i, x);
    return same_since(t, at1, a->i, &x->base) && same_since(t, at2, a->i, &x->number);
}

static LLVMValueRef written(struct gen *g, LLVMTypeRef et, LLVMValueRef lane)
{
    unsigned n = LLVMGetIntTypeWidth(et) / 8;
    LLVMValueRef off = LLVMBuildMul(g->b, lane, ci64(g, n), "");

    off = LLVMBuildAdd(g->b, off, ci64(g, offsetof(struct ptx_exec, lane_addr)), "");
    return load_at(g, LLVMBuildAdd(g->b, g->exec, off, ""), et, n);
}

static LLVMValueRef numbered(struct gen *g, const struct places *p, LLVMValueRef number)
{
    return LLVMBuildAdd(g->b, p->base, LLVMBuildMul(g->b, number, ci64(g, p->scale), ""), "");
}

LLVMValueRef place_of(struct access *x, const struct places *p, LLVMValueRef lane)
{
    struct gen *g = x->g;

    if (!p->base)
        return written(g, g->i64, lane);
    return numbered(g, p, LLVMBuildZExt(g->b, written(g, g->i32, lane), g->i64, ""));
}

LLVMValueRef place_at(struct access *x, const struct places *p, uint32_t lane)
{
    struct gen *g = x->g;
    const uint32_t two = p->base ? 2 : 1; /* numbers leave the register by twos */
    LLVMValueRef v;

    v = LLVMBuildBitCast(g->b, p->all, LLVMVectorType(g->i64, g->w / two), "");
    v = LLVMBuildExtractElement(g->b, v, ci32(g, lane / two), "");
    if (!p->base)
        return v;
    v = lane % 2 ? LLVMBuildLShr(g->b, v, ci64(g, 32), "")
                 : LLVMBuildAnd(g->b, v, ci64(g, UINT32_MAX), "");
    return numbered(g, p, v);
}

/*
 * Loads of words by hardware's instruction, where that is faster than one lane after the other: what
 * waits for memory takes less of the processor's queues, so that more is under way. Other processors
 * are slower at it, some by microcode against leaks. Of several in a block every other one: the
 * instruction fills one queue, single loads another.
 */
static bool by_hardware(const struct access *x, uint64_t scale)
{
    struct gen *g = x->g;

    if (!g->gathers || x->j->op != OP_LD || x->esz != 4 || x->j->nelem != 1 || g->w < 8 ||
        (scale != 4 && scale != 8))
        return false;
    if (g->gather_block != g->cur_block)
        g->gather_turn = 0;
    g->gather_block = g->cur_block;
    return g->gather_turn++ % 2 == 0;
}

/* True where no lane's number has one of the bits. */
static LLVMValueRef none_has(struct gen *g, LLVMValueRef n, LLVMValueRef bits)
{
    LLVMTypeRef wide = LLVMVectorType(g->i64, 4), t = LLVMVectorType(g->i32, 8);
    uint32_t w = g->w;
    LLVMValueRef v[2];

    for (; w > 8; w /= 2) { /* to one register, which one instruction looks at */
        LLVMValueRef idx[2][WARP];

        for (uint32_t i = 0; i < w; i++)
            idx[i >= w / 2][i % (w / 2)] = ci32(g, i);
        for (uint32_t k = 0; k < 2; k++)
            v[k] = LLVMBuildShuffleVector(g->b, n, LLVMGetUndef(LLVMTypeOf(n)),
                                          LLVMConstVector(idx[k], w / 2), "");
        n = LLVMBuildOr(g->b, v[0], v[1], "");
    }
    v[0] = LLVMBuildBitCast(g->b, n, wide, "");
    v[1] = LLVMBuildInsertElement(g->b, LLVMGetUndef(t), bits, ci32(g, 0), "");
    v[1] = LLVMBuildShuffleVector(g->b, v[1], LLVMGetUndef(t), LLVMConstNull(t), "");
    v[1] = LLVMBuildBitCast(g->b, v[1], wide, "");
    n = intrinsic(g, "llvm.x86.avx.ptestz.256", NULL, 0, v, 2);
    return LLVMBuildICmp(g->b, LLVMIntNE, n, ci32(g, 0), "");
}

/* The bits that a number must not have: from the highest one of how many elements there are room for
 * between base, which is in the window, and its end. */
static LLVMValueRef far_bits(struct gen *g, LLVMValueRef base, uint64_t scale, bool sign)
{
    LLVMValueRef room, arg[2], bits;

    room = LLVMBuildSub(g->b, LLVMBuildAdd(g->b, g->win_base, g->win_mask, ""), base, "");
    room = LLVMBuildUDiv(g->b, plus(g, room, 1), ci64(g, scale), "");
    arg[0] = LLVMBuildOr(g->b, room, ci64(g, 1), ""); /* zero is always in */
    arg[1] = LLVMConstInt(g->i1, 1, 0);
    bits = intrinsic(g, "llvm.ctlz", &g->i64, 1, arg, 2);
    bits = LLVMBuildTrunc(g->b, LLVMBuildAShr(g->b, ci64(g, 1ull << 63), bits, ""), g->i32, "");
    return sign ? LLVMBuildOr(g->b, bits, ci32(g, 1u << 31), "") : bits;
}

/*
 * Goes on where base + number * scale is in the space for all lanes; a negative number never is. What
 * is the same for all lanes is computed before the loop over parts, if it can be: where the numbers
 * are known to be small enough, nothing is left to do for each part.
 */
static void require_numbers(struct access *x, LLVMValueRef base, const struct indexed *by,
                            LLVMValueRef n)
{
    struct gen *g = x->g;
    const bool sign = by->sign || g->gathers; /* hardware's instruction takes all as signed */
    LLVMBasicBlockRef look, on;
    LLVMValueRef bits = far_bits(g, base, by->scale, sign), small;

    require(x, is_good(x, base, NULL));
    if (by->most.kind == OPD_NONE) {
        require(x, none_has(g, n, bits));
        return;
    }
    look = new_bb(g, "look");
    on = new_bb(g, "near");
    small = LLVMBuildAnd(g->b, get_one(g, &by->most), bits, "");
    branch_rarely(g, LLVMBuildICmp(g->b, LLVMIntEQ, small, ci32(g, 0), ""), on, look);
    at(g, look);
    require(x, none_has(g, n, bits));
    LLVMBuildBr(g->b, on);
    at(g, on);
}

void find_places(struct access *x, struct places *p)
{
    struct gen *g = x->g;
    struct indexed by;
    LLVMValueRef a, n, top, last;

    if (x->j->space == AS_SHARED && x->j->a.kind == OPD_REG && x->j->a.cls == C_32) {
        LLVMTypeRef vt = vec(g, g->i32);

        n = LLVMBuildAdd(g->b, get_vec(g, &x->j->a), splat(g, ci32(g, (uint32_t)x->j->imm)), "");
        n = fill_in(x, n);
        top = intrinsic(g, "llvm.vector.reduce.umax", &vt, 1, &n, 1);
        last = intrinsic(g, "llvm.vector.reduce.or", &vt, 1, &n, 1);
        last = LLVMBuildAnd(g->b, last, ci32(g, x->total - 1), "");
        top = LLVMBuildOr(g->b, LLVMBuildZExt(g->b, top, g->i64, ""),
                          LLVMBuildZExt(g->b, last, g->i64, ""), "");
        require(x, is_good(x, top, NULL));
        *p = (struct places){.base = g->shared, .scale = 1, .all = n};
        note_site(x, NULL, 0, n, false);
        return;
    }
    if (!in_window(x) || !by_number(x, &by) || by.scale % x->total) {
        a = fill_in(x, addr_vec(x));
        require(x, is_good(x, a, NULL));
        *p = (struct places){.all = host(x, a, true)};
        note_site(x, a, 0, p->all, false);
        return;
    }
    n = fill_in(x, get_vec(g, &by.number));
    *p = (struct places){.scale = by.scale, .all = n, .hardware = by_hardware(x, by.scale)};
    a = LLVMBuildAdd(g->b, get_one(g, &by.base), ci64(g, (uint64_t)x->j->imm), "");
    require_numbers(x, a, &by, n);
    p->base = a;
    note_site(x, a, 0, n, false);
    g->code->sites[g->nsites - 1].scale = (uint32_t)by.scale;
    store_at(g, plus(g, g->exec, offsetof(struct ptx_exec, site_addr)), a, 8);
}

/* ---- accesses -------------------------------------------------------------------------------- */

/* Not all lanes are there. */
static void store_some(struct access *x, const struct places *p, LLVMValueRef v)
{
    struct gen *g = x->g;
    LLVMValueRef values = lane_array(g, LLVMTypeOf(v));
    struct lane_loop l;

    LLVMBuildStore(g->b, v, values);
    lanes_begin(x, &l);
    v = load_at(g, lane_element(g, values, x->et, l.lane), x->et, x->esz);
    store_at(g, place_of(x, p, l.lane), v, x->esz);
    lanes_end(x, &l);
    LLVMBuildBr(g->b, x->done);
}

static LLVMValueRef load_by_hardware(struct access *x, const struct places *p)
{
    struct gen *g = x->g;
    LLVMTypeRef t = LLVMVectorType(g->f32, 8);
    LLVMValueRef part[WARP / 8], on[8],
        base = LLVMBuildIntToPtr(g->b, p->base, LLVMPointerType(g->i8, 0), "");

    for (unsigned i = 0; i < 8; i++)
        on[i] = LLVMConstReal(g->f32, -1);
    for (unsigned k = 0; k < g->w / 8; k++) {
        LLVMValueRef args[5] = {LLVMConstNull(t), base, eight_lanes(g, p->all, 8 * k),
                                LLVMConstVector(on, 8), LLVMConstInt(g->i8, p->scale, 0)};

        part[k] = intrinsic(g, "llvm.x86.avx2.gather.d.ps.256", NULL, 0, args, 5);
    }
    return LLVMBuildBitCast(g->b, join_lanes(g, part), vec(g, x->et), "");
}

/* Eight words of a lane go by twos: half as many instructions. */
static LLVMValueRef two_words(struct access *x, unsigned k)
{
    struct gen *g = x->g;
    LLVMTypeRef t = vec(g, g->i64);
    LLVMValueRef low = LLVMBuildZExt(g->b, to_mem(x, k, true), t, ""),
                 high = LLVMBuildZExt(g->b, to_mem(x, k + 1, true), t, "");

    return LLVMBuildOr(g->b, low, LLVMBuildShl(g->b, high, splat(g, ci64(g, 32)), ""), "");
}

static void put_two_words(struct access *x, unsigned k, LLVMValueRef v)
{
    struct gen *g = x->g;
    LLVMTypeRef t = vec(g, x->et);
    LLVMValueRef high = LLVMBuildLShr(g->b, v, splat(g, ci64(g, 32)), "");

    put(g, x->j, mem_data(x->j, k), LLVMBuildTrunc(g->b, v, t, ""), true);
    put(g, x->j, mem_data(x->j, k + 1), LLVMBuildTrunc(g->b, high, t, ""), true);
}

void scattered(struct access *x)
{
    struct gen *g = x->g;
    const struct jop *j = x->j;
    const unsigned twos = j->nelem == 8 ? 2 : 1, esz = x->esz * twos;
    /* words as floats: as numbers they would be put into vectors by two operations each */
    LLVMTypeRef et = twos == 2 ? g->i64 : esz == 4 ? g->f32 : x->et;
    LLVMValueRef v[MAX_ELEMS], full;
    struct places p;

    full = all_there(x);
    if (j->op == OP_ST && j->nelem > 1)
        require(x, full);
    find_places(x, &p);
    for (unsigned k = 0; k < j->nelem; k += twos)
        v[k] = j->op == OP_LD ? LLVMGetUndef(vec(g, et))
               : twos == 2    ? two_words(x, k)
                              : to_mem(x, k, true);
    if (j->op == OP_ST && j->nelem == 1) {
        LLVMBasicBlockRef some = new_bb(g, "some"), all = new_bb(g, "all");

        LLVMBuildCondBr(g->b, full, all, some);
        at(g, some);
        store_some(x, &p, v[0]);
        at(g, all);
    }
    if (p.hardware)
        v[0] = load_by_hardware(x, &p);
    for (uint32_t l = 0; l < g->w && !p.hardware; l++) {
        LLVMValueRef q = place_of(x, &p, ci64(g, l));

        for (unsigned k = 0; k < j->nelem; k += twos) {
            LLVMValueRef r = plus(g, q, k * x->esz);

            if (j->op == OP_LD)
                v[k] = LLVMBuildInsertElement(g->b, v[k], load_at(g, r, et, esz), ci32(g, l), "");
            else
                store_at(g, r, LLVMBuildExtractElement(g->b, v[k], ci32(g, l), ""), esz);
        }
    }
    for (unsigned k = 0; k < j->nelem && j->op == OP_LD; k += twos)
        if (twos == 2) {
            put_two_words(x, k, v[k]);
        } else {
            v[k] = LLVMBuildBitCast(g->b, v[k], vec(g, x->et), "");
            put(g, j, mem_data(j, k), from_mem(x, v[k], true), true);
        }
    LLVMBuildBr(g->b, x->done);
}
