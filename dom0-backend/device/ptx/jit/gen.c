/* SPDX-License-Identifier: MIT */
/*
 * gen.c - the skeleton of the compiled function: start values, blocks and jumps, waiting lanes,
 * ways out. Registers are allocas, which mem2reg turns into values; they start as zero so that no
 * undefined value reaches a bounds check.
 */
#include "jit_int.h"

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
            to_frame_rarely(g, r, m);
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
            to_frame_rarely(g, r, waits ? m : NULL);
    call_helper(g, fn, i, m);
    if (!waits)
        LLVMBuildBr(g->b, g->ret);
    else
        LLVMBuildBr(g->b, tail(g, next_park(t, g->cur_block, t->nblocks)));
}

static void gen_leave_at(struct gen *g, uint32_t i, uint32_t where)
{
    uint64_t *live = calloc(g->t->words, 8);

    if (!live)
        abort(); /* a few kilobytes; as LLVM does */
    live_before(g->t, i, live);
    leave(g, (const void *)(uintptr_t)g->t->job->helpers->park, where, act(g), live);
    free(live);
}

void gen_leave(struct gen *g, uint32_t i)
{
    gen_leave_at(g, i, i);
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
    if (!g->t->alive)
        return;
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
    branch_rarely(g, LLVMBuildICmp(g->b, LLVMIntEQ, v, ci32(g, 0), ""), on, hit);
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
        branch_rarely(g, LLVMBuildICmp(g->b, LLVMIntULE, n, ci32(g, 128), ""), on, give);
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
    branch_rarely(g, LLVMBuildICmp(g->b, LLVMIntEQ, missing, ci32(g, 0), ""), on, wait);
    at(g, wait);
    gen_leave(g, i);
    at(g, on);
}

static void gen_trap(struct gen *g, const struct jop *j, uint32_t i)
{
    LLVMBasicBlockRef trap = new_bb(g, "trap"), on = new_bb(g, "on");
    LLVMValueRef m = op_mask(g, j);

    branch_rarely(g, LLVMBuildICmp(g->b, LLVMIntEQ, m, cmask(g, 0), ""), on, trap);
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

static LLVMValueRef wait_addr(struct gen *g)
{
    LLVMValueRef off =
        LLVMBuildShl(g->b, LLVMBuildZExt(g->b, g->frame_part, g->i64, ""), ci64(g, 1), "");

    return LLVMBuildAdd(g->b, plus(g, g->warp, offsetof(struct warp, jit_wait)), off, "");
}

/* A barrier of the whole CTA, which nothing but arriving at it has to be done for. */
static bool plain_barrier(const struct jop *j, const struct uop *u)
{
    return u->n == BAR_SYNC && !u->f && !u->e && j->a.kind == OPD_CONST && j->a.val < NBARRIERS;
}

/* All lanes of the part that are alive arrive: it is for the caller to go on where all parts do. */
static void gen_arrive(struct gen *g, uint32_t i, const uint64_t *live)
{
    struct unit *t = g->t;
    LLVMBasicBlockRef all = new_bb(g, "all"), some = new_bb(g, "some");
    LLVMValueRef a = act(g), have, old, same;

    have =
        LLVMBuildLShr(g->b, field(g, g->warp, offsetof(struct warp, alive), g->i32), g->lane0, "");
    have = LLVMBuildICmp(g->b, LLVMIntEQ, LLVMBuildTruncOrBitCast(g->b, have, g->mt, ""), a, "");
    have = LLVMBuildSelect(g->b, g->given, LLVMConstInt(g->i1, 0, 0), have, "");
    branch_rarely(g, have, all, some);
    at(g, all);
    for (uint32_t r = 0; r < t->nregs; r++)
        if (set_has(live, r))
            to_first(g, r);
    store_at(g, wait_addr(g), LLVMConstInt(g->i16, i + 1, 0), 2);
    old = LLVMBuildLoad2(g->b, g->i32, g->dest, "");
    same = LLVMBuildOr(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, old, ci32(g, i), ""),
                       LLVMBuildICmp(g->b, LLVMIntEQ, old, ci32(g, JIT_ENDED), ""), "");
    LLVMBuildStore(g->b, LLVMBuildSelect(g->b, same, ci32(g, i), ci32(g, JIT_MIXED), ""), g->dest);
    LLVMBuildBr(g->b, g->ret);
    at(g, some);
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
    if (t->virt[i].kind == K_BAR && g->w > 1 && plain_barrier(j, &t->virt[i]))
        gen_arrive(g, i, live);
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
        } else if (j->op == OP_ATOM) {
            gen_atom(g, j, i);
        } else {
            return gen_alu(g, j, i);
        }
        return 0;
    case K_CALL:
        if (!left_call(&t->virt[i])) {
            gen_handler(g, j, i);
            return 0;
        }
        break;
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
    case K_CALL: /* at the join before it the interpreter gathers all lanes of the warp */
        gen_leave_at(g, i, i - 1);
        return 0;
    case K_BRX: /* an index that is not in the table */
        gen_leave(g, i);
        return 0;
    default: /* K_EXIT, K_END */
        gen_exit(g, j, b);
        return 0;
    }
}

/* What is the same for all warps of the CTA, before the loop over its parts. */
static void invariants(struct gen *g)
{
    g->warps = LLVMGetParam(g->fn, 0);
    g->uops = LLVMGetParam(g->fn, 5);
    g->given = LLVMBuildICmp(g->b, LLVMIntNE, LLVMGetParam(g->fn, 1), ci32(g, 0), "given");
    g->exec = field(g, g->warps, offsetof(struct warp, x), g->i64);
    g->stop = field(g, g->exec, offsetof(struct ptx_exec, stop), g->i64);
    g->shared = field(g, g->warps, offsetof(struct warp, shared), g->i64);
    g->params = field(g, g->warps, offsetof(struct warp, params), g->i64);
    g->shared_size = LLVMBuildZExt(
        g->b, field(g, g->warps, offsetof(struct warp, shared_size), g->i32), g->i64, "");
    g->local_size = LLVMBuildZExt(
        g->b, field(g, g->warps, offsetof(struct warp, local_size), g->i32), g->i64, "");
    g->local_stride = LLVMBuildZExt(
        g->b, field(g, g->exec, offsetof(struct ptx_exec, local_stride), g->i32), g->i64, "");
    g->win_base = field(g, g->warps, offsetof(struct warp, win_base), g->i64);
    g->win_mask = field(g, g->warps, offsetof(struct warp, win_mask), g->i64);
}

/* The next part of the CTA: which warp, which of its lanes. Dead parts are passed over. */
static void next_part(struct gen *g, LLVMBasicBlockRef next, LLVMBasicBlockRef start)
{
    const uint32_t parts = WARP / g->w;
    LLVMValueRef p = LLVMBuildLoad2(g->b, g->i32, g->part, ""), which, off, m;

    which = LLVMBuildUDiv(g->b, p, ci32(g, parts), "");
    off = LLVMBuildMul(g->b, LLVMBuildZExt(g->b, which, g->i64, ""), ci64(g, WARP_STRIDE), "");
    g->warp = LLVMBuildAdd(g->b, g->warps, off, "warp");
    g->frame_part = LLVMBuildAnd(g->b, p, ci32(g, parts - 1), "");
    g->lane0 = LLVMBuildMul(g->b, g->frame_part, ci32(g, g->w), "lane0");
    g->lane0_64 = LLVMBuildZExt(g->b, g->lane0, g->i64, "");
    m = LLVMGetParam(g->fn, 1);
    if (g->t->alive) {
        m = field(g, g->warp, offsetof(struct warp, alive), g->i32);
        m = LLVMBuildLShr(g->b, m, g->lane0, "");
        m = LLVMBuildSelect(g->b, g->given, LLVMGetParam(g->fn, 1), m, "");
    }
    if (g->w == 1)
        m = LLVMBuildAnd(g->b, m, ci32(g, 1), "");
    m = LLVMBuildTruncOrBitCast(g->b, m, g->mt, "");
    LLVMBuildStore(g->b, m, g->act);
    branch_rarely(g, LLVMBuildICmp(g->b, LLVMIntNE, m, cmask(g, 0), ""), start, next);
}

static void start_part(struct gen *g)
{
    struct unit *t = g->t;

    for (uint32_t r = 0; r < t->nregs; r++)
        LLVMBuildStore(g->b, LLVMConstNull(var_type(g, &t->regs[r])), t->regs[r].var);
    for (uint32_t b = 0; b < t->nblocks; b++)
        if (t->blocks[b].parks)
            LLVMBuildStore(g->b, cmask(g, 0), t->blocks[b].pend);
    LLVMBuildStore(g->b, ci32(g, 0), g->spins);
    store_at(g, LLVMBuildAdd(g->b, g->exec, ci64(g, offsetof(struct ptx_exec, site_lane0)), ""),
             g->lane0, 4);
    store_at(g, LLVMBuildAdd(g->b, g->exec, ci64(g, offsetof(struct ptx_exec, cur_warp)), ""),
             g->warp, 8);
    if (t->nentries > 1)
        store_at(g, wait_addr(g), LLVMConstInt(g->i16, 0, 0), 2);
}

static void variables(struct gen *g)
{
    struct unit *t = g->t;

    for (uint32_t r = 0; r < t->nregs; r++)
        t->regs[r].var = LLVMBuildAlloca(g->b, var_type(g, &t->regs[r]), "");
    for (uint32_t b = 0; b < t->nblocks; b++)
        if (t->blocks[b].parks) {
            t->blocks[b].pend = LLVMBuildAlloca(g->b, g->mt, "");
            t->blocks[b].check = new_bb(g, "check");
        }
    g->act = LLVMBuildAlloca(g->b, g->mt, "act");
    g->spins = LLVMBuildAlloca(g->b, g->i32, "spins");
    g->part = LLVMBuildAlloca(g->b, g->i32, "part");
    g->dest = LLVMBuildAlloca(g->b, g->i32, "dest");
    LLVMBuildStore(g->b, LLVMGetParam(g->fn, 3), g->part);
    LLVMBuildStore(g->b, ci32(g, JIT_ENDED), g->dest);
}

static void prologue(struct gen *g)
{
    struct unit *t = g->t;
    LLVMBasicBlockRef head, start, bad, next, done;

    g->first = new_bb(g, "first");
    head = new_bb(g, "head");
    start = new_bb(g, "start");
    bad = new_bb(g, "bad");
    at(g, g->first);
    variables(g);
    invariants(g);
    LLVMBuildBr(g->b, head);
    for (uint32_t b = 0; b < t->nblocks; b++)
        t->blocks[b].bb = new_bb(g, "block");
    g->ret = next = new_bb(g, "ret");
    done = new_bb(g, "done");
    at(g, head);
    next_part(g, next, start);
    at(g, next);
    LLVMValueRef p = LLVMBuildAdd(g->b, LLVMBuildLoad2(g->b, g->i32, g->part, ""), ci32(g, 1), "");

    LLVMBuildStore(g->b, p, g->part);
    p = LLVMBuildSub(g->b, p, LLVMGetParam(g->fn, 3), "");
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntULT, p, LLVMGetParam(g->fn, 4), ""), head,
                    done);
    at(g, done);
    LLVMBuildRet(g->b, LLVMBuildLoad2(g->b, g->i32, g->dest, ""));
    at(g, start);
    start_part(g);

    LLVMValueRef sw = LLVMBuildSwitch(g->b, LLVMGetParam(g->fn, 2), bad, t->nentries);

    at(g, bad);
    LLVMBuildUnreachable(g->b);
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
    LLVMTypeRef args[6];

    g->w = t->lanes;
    g->i1 = LLVMInt1TypeInContext(g->ctx);
    g->i8 = LLVMInt8TypeInContext(g->ctx);
    g->i16 = LLVMInt16TypeInContext(g->ctx);
    g->i32 = LLVMInt32TypeInContext(g->ctx);
    g->i64 = LLVMInt64TypeInContext(g->ctx);
    g->f32 = LLVMFloatTypeInContext(g->ctx);
    g->f64 = LLVMDoubleTypeInContext(g->ctx);
    g->mt = g->w == 32 ? g->i32 : g->w == 16 ? g->i16 : g->i8;
    args[0] = args[5] = g->i64;
    args[1] = args[2] = args[3] = args[4] = g->i32;
    g->fn = LLVMAddFunction(g->mod, "kernel", LLVMFunctionType(g->i32, args, 6, 0));
    g->tails = calloc(t->nblocks + 1, sizeof(*g->tails));
    if (!g->tails)
        return unit_fail(t, "out of memory");
    g->streams |= loads_anywhere(t);
    prologue(g);
    for (uint32_t b = 0; b < t->nblocks; b++) {
        bool ended = false;

        g->cur_block = b;
        if (t->blocks[b].parks)
            gen_check(g, b);
        at(g, t->blocks[b].bb);
        for (uint32_t i = t->blocks[b].start; i < t->blocks[b].end && !ended; i++)
            if (!t->ops[i].done && gen_uop(g, i, b, &ended))
                return -1;
        if (!ended)
            jump(g, b, b + 1);
    }
    return 0;
}
