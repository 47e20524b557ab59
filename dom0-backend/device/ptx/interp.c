/* SPDX-License-Identifier: MIT */
/*
 * interp.c - runs a warp: dispatch, divergence, calls.
 *
 * The running group's lanes are in w->active; other groups wait in w->pend with their own place and
 * call frame. A divergent branch parks the group that goes further down; at each block start
 * (K_JOIN) groups at the same place merge, and a pending group that is deeper in calls or further
 * up in the code takes over. So groups meet again at the immediate post-dominator of the branch in
 * code laid out as compilers do; correctness does not depend on it, because operations with .sync
 * wait for their members (K_WSYNC) and barriers count lanes.
 *
 * Threads have independent progress: a group that goes round a loop which may be waiting for memory
 * gives way after SPIN_BUDGET rounds to another group, and to other warps.
 */
#include "interp.h"

#include <immintrin.h>

#define SPIN_BUDGET 128u
#define STOP_PERIOD 1024u /* back edges between looks at the stop flag */

static inline int first_lane(uint32_t m)
{
    return __builtin_ctz(m);
}

void set_csr(struct ptx_exec *x, uint32_t mode)
{
    uint32_t v = _MM_MASK_MASK | (mode & 3) << 13;
    if (mode & CSR_FTZ)
        v |= 0x8040; /* FTZ and DAZ */
    _mm_setcsr(v);
    x->csr = mode;
}

void check_stop(struct warp *w, const struct uop *u)
{
    const volatile int *stop = w->x->l->stop;
    if (stop && *stop)
        ptx_throw(w, u, E_LAUNCH_TIMEOUT, -1, 0, "stopped");
}

/* ---- groups ------------------------------------------------------------------------------------------ */

static void park(struct warp *w, struct frame *f, const struct uop *pc, uint32_t mask,
                 unsigned state, unsigned bar)
{
    if (!mask)
        return;
    w->pend[w->npend++] = (struct group){f, pc, mask, state, bar};
}

static void unpark(struct warp *w, uint32_t i)
{
    w->npend--;
    memmove(&w->pend[i], &w->pend[i + 1],
            (w->npend - i) * sizeof(w->pend[0])); /* keeps the order */
}

static void load_group(struct warp *w, uint32_t i)
{
    struct group g = w->pend[i];
    unpark(w, i);
    w->frame = g.frame;
    w->base[B_FRAME] = g.frame->regs;
    w->active = g.mask;
    w->pc = g.pc;
}

/* Deeper in calls, then earlier in the code. */
static bool before(const struct frame *f, const struct uop *pc, const struct group *g)
{
    if (f->depth != g->frame->depth)
        return f->depth > g->frame->depth;
    return pc < g->pc;
}

static int best_pending(const struct warp *w)
{
    int best = -1;
    for (uint32_t i = 0; i < w->npend; i++)
        if (w->pend[i].state == G_RUN &&
            (best < 0 || before(w->pend[i].frame, w->pend[i].pc, &w->pend[best])))
            best = i;
    return best;
}

static uint32_t members(const struct warp *w, const struct frame *f, const struct uop *u,
                        uint32_t lanes)
{
    const uint32_t *mm = u->a & 3 ? reg_at(w, u->a) : (const void *)(f->regs + (u->a & ~3u));
    uint32_t need = 0;
    for (uint32_t k = lanes; k; k &= k - 1)
        need |= mm[first_lane(k)];
    return need & w->alive;
}

/* Nobody can run: let go what waits for members that cannot come. True if something can run now. */
static bool release_wsync(struct warp *w)
{
    uint32_t waiting = 0, at_bar = 0;
    int stuck = -1;
    for (uint32_t i = 0; i < w->npend; i++) {
        if (w->pend[i].state == G_WSYNC)
            waiting |= w->pend[i].mask;
        else
            at_bar |= w->pend[i].mask;
    }
    bool any = false;
    for (uint32_t i = 0; i < w->npend; i++) {
        struct group *g = &w->pend[i];
        if (g->state != G_WSYNC)
            continue;
        if (!(members(w, g->frame, g->pc, g->mask) & ~waiting)) {
            g->state = G_RUN; /* all members wait, be it at different places */
            g->pc++;
            any = true;
        } else if (stuck < 0 || before(g->frame, g->pc, &w->pend[stuck])) {
            stuck = i;
        }
    }
    if (!any && stuck >= 0 && !at_bar) {
        /* A member went elsewhere for good: undefined in PTX; go on with those who are here. */
        w->pend[stuck].state = G_RUN;
        w->pend[stuck].pc++;
        any = true;
    }
    return any;
}

/* Takes up the best pending group; false: none can run (blocked, or all lanes are gone). */
static bool pick_next(struct warp *w)
{
    w->fair = false;
    w->spin = 0;
    int i = best_pending(w);
    if (i < 0 && release_wsync(w))
        i = best_pending(w);
    if (i < 0) {
        w->status = w->npend ? WS_BLOCKED : WS_DONE;
        return false;
    }
    load_group(w, i);
    return true;
}

void warp_park(struct warp *w, struct frame *f, const struct uop *pc, uint32_t mask)
{
    park(w, f, pc, mask, G_RUN, 0);
}

bool warp_pick(struct warp *w)
{
    return pick_next(w);
}

bool warp_oldest(struct warp *w)
{
    w->spin = 0;
    for (uint32_t i = 0; i < w->npend; i++)
        if (w->pend[i].state == G_RUN) {
            load_group(w, i);
            w->fair = true;
            return true;
        }
    return false;
}

/* At block start u: merge who is here, then let a better group take over. Returns where to go on. */
static const struct uop *join(struct warp *w, const struct uop *u)
{
    struct frame *f = w->frame;
    bool better = false;

    for (uint32_t i = 0; i < w->npend;) {
        const struct group *g = &w->pend[i];

        if (g->state != G_RUN) {
            i++;
        } else if (g->frame == f && g->pc == u) {
            w->active |= g->mask;
            unpark(w, i);
        } else {
            better |= before(g->frame, g->pc, &(struct group){f, u, 0, 0, 0});
            i++;
        }
    }
    if (w->fair || !better)
        return u + 1;
    int i = best_pending(w);
    struct group g = {f, u, w->active, G_RUN, 0};

    load_group(w, (uint32_t)i);
    park(w, g.frame, g.pc, g.mask, G_RUN, 0);
    return w->pc;
}

/* The running group gives way to the one that has waited longest, if any. */
static const struct uop *rotate(struct warp *w, const struct uop *pc)
{
    w->spin = 0;
    for (uint32_t i = 0; i < w->npend; i++)
        if (w->pend[i].state == G_RUN) {
            struct group g = {w->frame, pc, w->active, G_RUN, 0};
            load_group(w, i);
            park(w, g.frame, g.pc, g.mask, G_RUN, 0);
            w->fair = true;
            return w->pc;
        }
    return pc;
}

/* ---- calls ---------------------------------------------------------------------------------------------- */

static struct frame *frame_new(struct warp *w, struct pfunc *fn)
{
    struct ptx_exec *x = w->x;
    for (struct frame **at = &w->free_frames; *at; at = &(*at)->next_free)
        if ((*at)->fn == fn) {
            struct frame *f = *at;
            *at = f->next_free;
            memset(f->regs, 0, fn->frame_bytes); /* what it has not written is zero, always */
            return f;
        }
    size_t head = (sizeof(struct frame) + 63) & ~(size_t)63;
    size_t bytes = head + ((fn->frame_bytes + 63) & ~63u);
    if (x->call_bytes + bytes > (1u << 30))
        return NULL;
    struct frame *f = aligned_alloc(64, bytes);
    if (!f)
        return NULL;
    x->call_bytes += bytes;
    memset(f, 0, bytes);
    f->fn = fn;
    f->regs = (uint8_t *)f + head;
    f->next_all = x->heap_frames;
    x->heap_frames = f;
    return f;
}

void frame_free(struct warp *w, struct frame *f)
{
    if (f == w->frame0)
        return;
    f->next_free = w->free_frames;
    w->free_frames = f;
}

static void copy_args(struct warp *w, const struct call *c, struct frame *callee, uint32_t mask)
{
    const struct ir_func *ir = callee->fn->ir;
    for (uint32_t i = 0; i < c->nargs; i++) {
        const struct call_arg *a = &c->args[i];
        const struct ir_var *p = ir->params[i];
        uint32_t n = a->size < p->size ? a->size : p->size;
        for (uint32_t k = mask; k; k &= k - 1) {
            int l = first_lane(k);
            uint8_t *lm = w->local + (size_t)l * w->x->local_stride;
            const uint8_t *src = a->is_var ? lm + w->frame->local_base + a->off
                                           : (uint8_t *)reg_at(w, a->slot) + l * (a->wide ? 8 : 4);
            memcpy(lm + callee->local_base + p->off, src, n);
        }
    }
}

static void copy_rets(struct warp *w, struct frame *f, uint32_t mask)
{
    const struct call *c = f->call;
    for (uint32_t i = 0; i < c->nrets; i++) {
        const struct call_arg *a = &c->rets[i];
        const struct ir_var *r = f->fn->ir->rets[i];
        uint32_t n = a->size < r->size ? a->size : r->size;
        for (uint32_t k = mask; k; k &= k - 1) {
            uint8_t *lm = w->local + (size_t)first_lane(k) * w->x->local_stride;
            memcpy(lm + f->parent->local_base + a->off, lm + f->local_base + r->off, n);
        }
    }
}

/* Enters a function with the running group, or with those of it that call the same one. */
static const struct uop *do_call(struct warp *w, const struct uop *u)
{
    const struct call *c = (const struct call *)(intptr_t)u->imm;
    struct prog *g = w->x->prog;
    int fi = c->func;
    uint32_t m = w->active;
    if (c->builtin) {
        w->x->cur_uop = u;
        ptx_builtin(w, u, c, m, w->frame->local_base);
        return u + 1;
    }
    if (fi < 0) {
        const uint64_t *t = reg_at(w, u->a);
        uint64_t v = t[first_lane(m)];
        uint32_t best = UINT32_MAX;
        /* the function with the lowest number goes first, as in compiled code */
        for (uint32_t k = m; k; k &= k - 1) {
            uint64_t idx = t[first_lane(k)] - PTX_APERTURE_FUNC;
            if (idx < best && idx < w->x->k->mod->nfuncs && g->func_map[idx] >= 0)
                best = (uint32_t)idx;
        }
        if (best == UINT32_MAX)
            ptx_throw(w, u, E_INVALID_PC, first_lane(m), v, "call of an invalid function pointer");
        fi = g->func_map[best];
        v = PTX_APERTURE_FUNC + best;
        uint32_t same = 0;
        for (uint32_t k = m; k; k &= k - 1)
            same |= t[first_lane(k)] == v ? 1u << first_lane(k) : 0;
        park(w, w->frame, u, m & ~same, G_RUN, 0);
        m = same;
    }
    struct pfunc *fn = &g->funcs[fi];
    if (fn->ir->entry || c->nargs != fn->ir->nparams || c->nrets > fn->ir->nrets)
        ptx_throw(w, u, E_INVALID_PC, first_lane(m), 0, "call of '%.80s' with other arguments",
                  fn->ir->name);
    /* u->e, u->n: a call that is left in a kernel whose other calls are none any more (lower_flat.c) */
    uint32_t base = w->frame->local_base + (u->e ? u->e : w->frame->fn->local_bytes);
    if (w->frame->depth + u->n + 1 > MAX_CALL_DEPTH || base + fn->local_bytes > w->local_size)
        ptx_throw(w, u, E_LAUNCH_FAILED, first_lane(m), 0, "call stack exhausted");
    struct frame *f = frame_new(w, fn);
    if (!f)
        ptx_throw(w, u, E_LAUNCH_FAILED, first_lane(m), 0, "out of memory for the call stack");
    f->parent = w->frame;
    f->ret_pc = u + 1;
    f->call = c;
    f->depth = w->frame->depth + u->n + 1;
    f->live = m;
    f->local_base = base;
    copy_args(w, c, f, m);
    w->active = m;
    w->frame = f;
    w->base[B_FRAME] = f->regs;
    return fn->uops;
}

/* Lanes of mask return from the running frame. NULL: nothing of this warp can run. */
static const struct uop *do_ret(struct warp *w, const struct uop *u, uint32_t mask)
{
    struct frame *f = w->frame, *parent = f->parent;
    uint32_t rest = w->active & ~mask;
    copy_rets(w, f, mask);
    park(w, parent, f->ret_pc, mask, G_RUN, 0);
    f->live &= ~mask;
    w->active = rest;
    if (rest)
        return u + 1;
    if (!f->live)
        frame_free(w, f);
    /* lanes that return to the same place at different times: merge with those that wait there */
    struct group *last = &w->pend[w->npend - 1];
    for (uint32_t i = 0; i + 1 < w->npend; i++)
        if (w->pend[i].pc == last->pc && w->pend[i].frame == last->frame &&
            w->pend[i].state == G_RUN) {
            w->pend[i].mask |= last->mask;
            w->npend--;
            break;
        }
    if (!pick_next(w))
        return NULL;
    return w->x->jit && w->frame == w->frame0 ? NULL : w->pc; /* compiled code may go on */
}

static const struct uop *do_exit(struct warp *w, const struct uop *u, uint32_t mask)
{
    w->alive &= ~mask;
    w->active &= ~mask;
    for (struct frame *f = w->frame, *up; f; f = up) {
        up = f->parent;
        f->live &= ~mask;
        if (!f->live)
            frame_free(w, f);
    }
    if (w->cta->nwarps > 1 || w->npend)
        bar_recheck(w->cta);
    if (w->active)
        return u + 1;
    return pick_next(w) ? w->pc : NULL;
}

/* ---- branches --------------------------------------------------------------------------------------------- */

static const struct uop *diverge(struct warp *w, const struct uop *u, const struct uop *target,
                                 uint32_t taken)
{
    uint32_t stay = w->active & ~taken;
    if (target <= u) { /* the loop goes on first */
        park(w, w->frame, u + 1, stay, G_RUN, 0);
        w->active = taken;
        return target;
    }
    park(w, w->frame, target, taken, G_RUN, 0);
    w->active = stay;
    return u + 1;
}

static const struct uop *do_brx(struct warp *w, const struct uop *u)
{
    const uint32_t *idx = reg_at(w, u->a);
    const uint32_t *table = w->frame->fn->targets + u->imm;
    uint32_t m = w->active, best = UINT32_MAX, bestm = 0;
    struct uop *code = w->frame->fn->uops;
    while (m) {
        int l = first_lane(m);
        if (idx[l] >= u->e)
            ptx_throw(w, u, E_INVALID_PC, l, 0, "index %u of brx.idx, allowed are 0 to %u", idx[l],
                      u->e - 1);
        uint32_t to = table[idx[l]], same = 0;
        for (uint32_t k = m; k; k &= k - 1)
            if (idx[first_lane(k)] < u->e && table[idx[first_lane(k)]] == to)
                same |= 1u << first_lane(k);
        m &= ~same;
        if (to < best) {
            if (bestm)
                park(w, w->frame, code + best, bestm, G_RUN, 0);
            best = to;
            bestm = same;
        } else {
            park(w, w->frame, code + to, same, G_RUN, 0);
        }
    }
    w->active = bestm;
    return code + best;
}

static const struct uop *do_wsync(struct warp *w, const struct uop *u)
{
    uint32_t need = members(w, w->frame, u, w->active);
    w->cta->warp_epoch[w->index]++;
    if (!(need & ~w->active))
        return u + 1;
    for (uint32_t i = 0; i < w->npend;) {
        struct group *g = &w->pend[i];
        if (g->pc == u && g->frame == w->frame && g->state != G_BAR) {
            w->active |= g->mask;
            unpark(w, i);
        } else {
            i++;
        }
    }
    need = members(w, w->frame, u, w->active);
    if (!(need & ~w->active))
        return u + 1;
    park(w, w->frame, u, w->active, G_WSYNC, 0);
    w->active = 0;
    return pick_next(w) ? w->pc : NULL;
}

/* ---- the loop ------------------------------------------------------------------------------------------------ */

void warp_run(struct warp *w)
{
    struct ptx_exec *x = w->x;
    const struct uop *pc = w->pc;
    x->cur_warp = w;
    if (!w->active) { /* was blocked: something has been let go since */
        if (!pick_next(w))
            return;
        pc = w->pc;
    }
    for (;;) {
        const struct uop *u = pc;
        uint32_t m = w->active;
        if (u->guard) {
            uint32_t p = *(const uint32_t *)(w->base[B_FRAME] + (u->guard & ~1u));
            m &= u->guard & 1 ? ~p : p;
            if (!m) {
                pc = u + 1;
                continue;
            }
        }
        w->mask = m;
        if (__builtin_expect(u->kind == K_FN, 1)) { /* not by the switch's table */
            if ((u->csr ^ x->csr) & u->csrmask)
                set_csr(x, u->csr);
            u->fn(w, u);
            pc = u + 1;
            continue;
        }
        switch (u->kind) {
        case K_JOIN:
            pc = w->npend ? join(w, u) : u + 1;
            continue;
        case K_BRA: {
            const struct uop *to = w->frame->fn->uops + u->target;
            pc = m == w->active ? to : diverge(w, u, to, m);
            if (u->f) {
                if (++x->steps % STOP_PERIOD == 0)
                    check_stop(w, u);
                if ((u->f & BRA_SPIN) && ++w->spin > SPIN_BUDGET) {
                    pc = rotate(w, pc);
                    goto yield;
                }
            }
            continue;
        }
        case K_BRX:
            pc = do_brx(w, u);
            /* the table may lead backwards: count as a loop that may spin */
            if (++x->steps % STOP_PERIOD == 0)
                check_stop(w, u);
            if (++w->spin > SPIN_BUDGET) {
                pc = rotate(w, pc);
                goto yield;
            }
            continue;
        case K_WSYNC:
            pc = do_wsync(w, u);
            break;
        case K_CALL:
            if (++x->steps % STOP_PERIOD == 0)
                check_stop(w, u);
            pc = do_call(w, u);
            continue;
        case K_END:
            pc = w->frame->parent ? do_ret(w, u, m) : do_exit(w, u, m);
            break;
        case K_RET:
            pc = do_ret(w, u, m);
            break;
        case K_EXIT:
            pc = do_exit(w, u, m);
            break;
        case K_BAR:
            x->cur_uop = u;
            bar_arrive(w, u, m);
            if (w->active) { /* bar.arrive, or the barrier is complete */
                pc = w->pc;
                continue;
            }
            pc = pick_next(w) ? w->pc : NULL;
            break;
        case K_YIELD:
            check_stop(w, u);
            pc = rotate(w, u + 1);
            goto yield;
        default:
            ptx_throw(w, u, E_LAUNCH_FAILED, first_lane(m), 0, "trap");
        }
        if (!pc)
            return;
    }
yield:
    w->pc = pc;
    w->status = WS_READY;
}
