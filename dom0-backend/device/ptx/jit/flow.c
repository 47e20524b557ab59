/* SPDX-License-Identifier: MIT */
/*
 * flow.c - blocks, liveness, where lanes can wait, and what registers hold.
 *
 * Lanes run in the interpreter's order: the group that is furthest up goes first. So while a group
 * runs, others only wait further down, at blocks where a branch that splits lanes left them; block
 * X can have waiting lanes only while blocks [from(X), X) run, where from(X) is found from the
 * branches that park lanes there and the loops around them. Everywhere else there is one group,
 * jumps are plain jumps, and a register may be overwritten in all lanes unless a waiting one needs
 * it.
 */
#include "jit_int.h"

/* ---- blocks ---------------------------------------------------------------------------------------- */

static bool ends_block(const struct uop *u)
{
    switch (u->kind) {
    case K_BRA:
    case K_EXIT:
    case K_END:
    case K_BAR:
    case K_YIELD:
    case K_BRX:
        return true;
    default:
        return left_call(u);
    }
}

static int make_blocks(struct unit *t)
{
    uint8_t *lead = calloc(t->n + 1, 1);
    uint32_t nb = 0;

    t->block_of = calloc(t->n + 1, sizeof(uint32_t));
    if (!lead || !t->block_of)
        goto fail;
    lead[0] = 1;
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->virt[i].kind == K_BRA)
            lead[t->virt[i].target] = 1;
        if (ends_block(&t->virt[i]))
            lead[i + 1] = 1;
    }
    for (uint32_t i = 0; i < t->n; i++)
        nb += lead[i];
    if (nb > JIT_MAX_BLOCKS) {
        free(lead);
        return unit_fail(t, "%u blocks, the limit is %u", nb, JIT_MAX_BLOCKS);
    }
    t->blocks = calloc(nb + 1, sizeof(*t->blocks));
    if (!t->blocks)
        goto fail;
    for (uint32_t i = 0; i < t->n; i++) {
        if (lead[i]) {
            t->blocks[t->nblocks].entry = -1;
            t->blocks[t->nblocks++].start = i;
        }
        t->blocks[t->nblocks - 1].end = i + 1;
        t->block_of[i] = t->nblocks - 1;
    }
    t->block_of[t->n] = t->nblocks;
    free(lead);
    for (uint32_t b = 0; b < t->nblocks; b++) {
        uint32_t i = t->blocks[b].start;

        while (i < t->blocks[b].end && t->virt[i].kind == K_JOIN)
            i++;
        if (i < t->blocks[b].end)
            t->blocks[b].exits = (t->virt[i].kind == K_EXIT && !t->virt[i].guard) ||
                                 (t->virt[i].kind == K_END && !t->virt[i].guard);
    }
    /* where compiled code can start: the kernel, after waits, loops that may spin */
    t->blocks[0].entry = (int32_t)t->nentries++;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct uop *u = &t->virt[i];
        uint32_t b = t->nblocks;

        if (u->kind == K_BAR || u->kind == K_YIELD || left_call(u))
            b = t->block_of[i + 1];
        if (u->kind == K_BRA && (u->f & BRA_SPIN))
            b = t->block_of[u->target];
        if (b < t->nblocks && t->blocks[b].entry < 0)
            t->blocks[b].entry = (int32_t)t->nentries++;
    }
    return 0;
fail:
    free(lead);
    return unit_fail(t, "out of memory");
}

static unsigned successors(const struct unit *t, uint32_t b, uint32_t out[2])
{
    const struct uop *u = &t->virt[t->blocks[b].end - 1];
    unsigned n = 0;

    if (u->kind == K_BRA)
        out[n++] = t->block_of[u->target];
    if (((u->kind != K_BRA && u->kind != K_EXIT && u->kind != K_END && u->kind != K_BRX) ||
         u->guard) &&
        b + 1 < t->nblocks)
        out[n++] = b + 1;
    return n;
}

/* ---- liveness --------------------------------------------------------------------------------------- */

struct live_arg {
    const struct unit *t;
    uint64_t *set;
    bool defs, kill;
};

static void live_cb(void *arg, const struct opd *o, bool def)
{
    struct live_arg *l = arg;

    if (def != l->defs)
        return;
    if (!def)
        set_add(l->set, o->idx);
    else if (l->kill)
        l->set[o->idx >> 6] &= ~(1ull << (o->idx & 63));
}

static void step_back(const struct unit *t, uint32_t i, uint64_t *set)
{
    const struct jop *j = &t->ops[i];
    struct live_arg l = {.t = t, .set = set, .defs = true, .kill = j->guard.kind == OPD_NONE};

    each_operand(j, live_cb, &l);
    l.defs = false;
    each_operand(j, live_cb, &l);
}

static void live_out(const struct unit *t, uint32_t b, uint64_t *set)
{
    uint32_t s[2];
    unsigned n = successors(t, b, s);

    memset(set, 0, t->words * 8);
    for (unsigned k = 0; k < n; k++)
        for (uint32_t w = 0; w < t->words; w++)
            set[w] |= t->live_in[(size_t)s[k] * t->words + w];
}

void live_before(const struct unit *t, uint32_t i, uint64_t *set)
{
    uint32_t b = t->block_of[i];

    live_out(t, b, set);
    for (uint32_t k = t->blocks[b].end; k-- > i;)
        step_back(t, k, set);
}

static int solve_liveness(struct unit *t)
{
    t->words = t->nregs / 64 + 1;
    t->live_in = calloc((size_t)t->nblocks * t->words + 1, 8);
    t->pend_live = calloc((size_t)t->nblocks * t->words + 1, 8);
    t->diverges = calloc(t->nblocks + 1, sizeof(bool));
    uint64_t *set = malloc(t->words * 8);
    bool again = set != NULL;

    if (!t->live_in || !t->pend_live || !t->diverges || !set) {
        free(set);
        return unit_fail(t, "out of memory");
    }
    while (again) {
        again = false;
        for (uint32_t b = t->nblocks; b-- > 0;) {
            uint64_t *in = t->live_in + (size_t)b * t->words;

            live_before(t, t->blocks[b].start, set);
            if (memcmp(in, set, t->words * 8)) {
                memcpy(in, set, t->words * 8);
                again = true;
            }
        }
    }
    free(set);
    return 0;
}

/* ---- where lanes wait ---------------------------------------------------------------------------------- */

/* Lanes may wait at block x from block `from` on. True if that is news. */
static bool park_at(struct unit *t, uint32_t x, uint32_t from)
{
    struct block *bx = &t->blocks[x];

    if (bx->parks && bx->from <= from)
        return false;
    bx->parks = true;
    bx->from = from;
    return true;
}

uint32_t next_park(const struct unit *t, uint32_t b, uint32_t last)
{
    for (uint32_t x = b + 1; x <= last && x < t->nblocks; x++)
        if (t->blocks[x].parks && t->blocks[x].from <= b)
            return x;
    return t->nblocks;
}

static void find_parks(struct unit *t)
{
    bool again = true;

    for (uint32_t b = 0; b < t->nblocks; b++)
        t->blocks[b].parks = false;
    while (again) {
        again = false;
        for (uint32_t b = 0; b < t->nblocks; b++) {
            const struct uop *u = &t->virt[t->blocks[b].end - 1];
            uint32_t to = u->kind == K_BRA ? t->block_of[u->target] : t->nblocks;

            if (u->kind == K_BRA && t->diverges[b]) {
                if (to > b + 1 && !t->blocks[to].exits)
                    again |= park_at(t, to, b + 1);
                else if (to <= b && b + 1 < t->nblocks)
                    again |= park_at(t, b + 1, to);
            }
            /* a jump over a block where lanes wait: this group waits at its target meanwhile */
            if (to > b && to < t->nblocks && !t->blocks[to].exits && next_park(t, b, to) < to)
                again |= park_at(t, to, b);
            /* a loop inside the stretch: its head belongs to it */
            if (to <= b)
                for (uint32_t x = b + 1; x < t->nblocks; x++)
                    if (t->blocks[x].parks && t->blocks[x].from <= b && to < t->blocks[x].from)
                        again |= park_at(t, x, to);
        }
    }
    memset(t->pend_live, 0, (size_t)t->nblocks * t->words * 8);
    for (uint32_t x = 0; x < t->nblocks; x++)
        if (t->blocks[x].parks)
            for (uint32_t b = t->blocks[x].from; b < x; b++)
                for (uint32_t w = 0; w < t->words; w++)
                    t->pend_live[(size_t)b * t->words + w] |= t->live_in[(size_t)x * t->words + w];
}

/* ---- shapes ------------------------------------------------------------------------------------------------ */

static int64_t cut(int64_t v, unsigned cls)
{
    return cls == C_64 ? v : (int32_t)v;
}

unsigned opd_shape(const struct unit *t, const struct opd *o, int64_t *stride)
{
    *stride = 0;
    switch (o->kind) {
    case OPD_REG:
        *stride = t->regs[o->idx].stride;
        return t->regs[o->idx].shape;
    case OPD_SREG:
        if (t->lanes == 1)
            return S_UNI;
        switch (o->idx) {
        case SR_TID_X:
            *stride = 1;
            return t->rows ? S_AFF : S_VAR;
        case SR_TID_Y:
        case SR_TID_Z:
            return t->rows ? S_UNI : S_VAR;
        case SR_LANEID:
            *stride = 1;
            return S_AFF;
        case SR_LM_EQ:
        case SR_LM_LE:
        case SR_LM_LT:
        case SR_LM_GE:
        case SR_LM_GT:
            return S_VAR;
        default:
            return S_UNI;
        }
    default:
        return S_UNI;
    }
}

bool is_uni(const struct unit *t, const struct opd *o)
{
    int64_t s;
    unsigned k = opd_shape(t, o, &s);

    return k == S_UNI || k == S_TOP;
}

static bool is_const(const struct opd *o)
{
    return o->kind == OPD_CONST;
}

/* Shape of the sum ka (stride sa) + kb (stride sb). */
static unsigned sum_shape(unsigned ka, int64_t sa, unsigned kb, int64_t sb, unsigned cls,
                          int64_t *stride)
{
    if (ka == S_VAR || kb == S_VAR)
        return S_VAR;
    *stride = cut((int64_t)((uint64_t)sa + (uint64_t)sb), cls);
    return *stride ? S_AFF : S_UNI;
}

static bool word_type(const struct jop *j)
{
    return j->ty == TY_U32 || j->ty == TY_S32 || j->ty == TY_U64 || j->ty == TY_S64;
}

void shape_of(const struct unit *t, const struct jop *j, uint8_t *shape, int64_t *stride)
{
    int64_t sa, sb, sc;
    unsigned a = opd_shape(t, &j->a, &sa), b = opd_shape(t, &j->b, &sb),
             c = opd_shape(t, &j->c, &sc), e = opd_shape(t, &j->e, &(int64_t){0});
    const unsigned cls = j->d.cls;
    bool some = (j->a.kind == OPD_REG && a == S_TOP) || (j->b.kind == OPD_REG && b == S_TOP) ||
                (j->c.kind == OPD_REG && c == S_TOP);

    *stride = 0;
    if (!j->native && t->lanes > 1) {
        *shape = S_VAR;
        return;
    }
    if (t->lanes == 1) {
        *shape = S_UNI;
        return;
    }
    if (some && j->op != OP_LD) { /* written later in this walk: assume the best */
        *shape = S_TOP;
        return;
    }
    bool uni = a == S_UNI && b == S_UNI && c == S_UNI && e == S_UNI;

    *shape = uni ? S_UNI : S_VAR;
    switch (j->op) {
    case OP_LD:
        *shape = a == S_UNI && j->space != 2 ? S_UNI : a == S_TOP ? S_TOP : S_VAR;
        return;
    case OP_SHFL:
    case OP_ATOM:
        *shape = S_VAR;
        return;
    case OP_VOTE:
    case OP_BALLOT:
        *shape = S_UNI; /* has code of its own for a constant member mask only */
        return;
    case OP_MOV:
    case OP_ADDIMM:
        *shape = a;
        *stride = sa;
        return;
    case OP_ADD:
        if (word_type(j))
            *shape = sum_shape(a, sa, b, sb, cls, stride);
        return;
    case OP_SUB:
        if (word_type(j))
            *shape = sum_shape(a, sa, b, -sb, cls, stride);
        return;
    case OP_SHL:
        if (word_type(j) && a == S_AFF && is_const(&j->b) && j->b.val < 32) {
            *stride = cut((int64_t)((uint64_t)sa << j->b.val), cls);
            *shape = *stride ? S_AFF : S_UNI;
        }
        return;
    case OP_MUL:
    case OP_MAD: {
        int64_t m;

        if (!word_type(j) || uni)
            return;
        if (a == S_AFF && is_const(&j->b))
            m = cut((int64_t)((uint64_t)sa * (uint64_t)cut((int64_t)j->b.val, cls)), cls);
        else if (b == S_AFF && is_const(&j->a))
            m = cut((int64_t)((uint64_t)sb * (uint64_t)cut((int64_t)j->a.val, cls)), cls);
        else if (a == S_UNI && b == S_UNI)
            m = 0;
        else
            return;
        *shape = j->op == OP_MUL ? sum_shape(S_UNI, 0, S_AFF, m, cls, stride)
                                 : sum_shape(S_AFF, m, c, sc, cls, stride);
        return;
    }
    case OP_MULWIDE:
    case OP_MADWIDE: {
        int64_t m;

        if ((j->ty != TY_U32 && j->ty != TY_S32) || uni)
            return;
        if (a == S_AFF && is_const(&j->b))
            m = sa * (j->ty == TY_S32 ? (int64_t)(int32_t)j->b.val : (int64_t)(uint32_t)j->b.val);
        else if (b == S_AFF && is_const(&j->a))
            m = sb * (j->ty == TY_S32 ? (int64_t)(int32_t)j->a.val : (int64_t)(uint32_t)j->a.val);
        else if (a == S_UNI && b == S_UNI)
            m = 0;
        else
            return;
        *shape = j->op == OP_MULWIDE ? sum_shape(S_UNI, 0, S_AFF, m, C_64, stride)
                                     : sum_shape(S_AFF, m, c, sc, C_64, stride);
        return;
    }
    case OP_CVT64:
        if ((j->ty == TY_U32 || j->ty == TY_S32) && a == S_AFF) {
            *shape = S_AFF;
            *stride = sa;
        }
        return;
    case OP_CVT32:
    case OP_LOW:
        if (a == S_AFF) {
            *stride = cut(sa, C_32);
            *shape = *stride ? S_AFF : S_UNI;
        }
        return;
    default:
        return;
    }
}

struct shape_arg {
    struct unit *t;
    const struct jop *j;
    uint8_t shape;
    int64_t stride;
    uint32_t block;
    bool changed;
};

static void lower_shape(void *arg, const struct opd *o, bool def)
{
    struct shape_arg *s = arg;
    struct unit *t = s->t;
    struct reg *r;
    uint8_t k = s->shape;

    if (!def)
        return;
    r = &t->regs[o->idx];
    if (t->lanes > 1) {
        if (set_has(t->pend_live + (size_t)s->block * t->words, o->idx))
            k = S_VAR;
        if (s->j->guard.kind == OPD_REG) {
            if (!is_uni(t, &s->j->guard))
                k = S_VAR;
            else if (k == S_AFF || (r->shape == S_AFF && k != S_TOP))
                k = S_VAR; /* the value before, zero at first, may have another shape */
        }
        if (r->cls == C_PRED && k == S_AFF)
            k = S_VAR;
    }
    if (k == S_TOP || r->shape == S_VAR)
        return;
    if (r->shape == S_TOP) {
        r->shape = k;
        r->stride = k == S_AFF ? s->stride : 0;
        s->changed = true;
    } else if (k != r->shape || (k == S_AFF && s->stride != r->stride)) {
        r->shape = S_VAR;
        r->stride = 0;
        s->changed = true;
    }
}

bool branch_taken_by_some(const struct unit *t, const struct jop *j)
{
    return t->lanes > 1 && j->guard.kind == OPD_REG && !is_uni(t, &j->guard);
}

static bool shapes_once(struct unit *t)
{
    struct shape_arg s = {.t = t};

    for (uint32_t b = 0; b < t->nblocks; b++)
        for (uint32_t i = t->blocks[b].start; i < t->blocks[b].end; i++) {
            s.j = &t->ops[i];
            s.block = b;
            if (t->virt[i].kind == K_BAR) {
                s.shape = t->lanes > 1 ? S_VAR : S_UNI;
                s.stride = 0;
            } else {
                shape_of(t, s.j, &s.shape, &s.stride);
            }
            each_operand(s.j, lower_shape, &s);
        }
    return s.changed;
}

/* Registers that are live where compiled code is entered are read back from lanes: fine in every
 * shape, they were written in that shape. Those never written are zero. */
static void find_shapes(struct unit *t)
{
    bool again = true;

    while (again) {
        again = false;
        while (shapes_once(t))
            ;
        for (uint32_t b = 0; b < t->nblocks; b++) {
            const struct uop *u = &t->virt[t->blocks[b].end - 1];
            bool d = u->kind == K_BRA && branch_taken_by_some(t, &t->ops[t->blocks[b].end - 1]);

            if (d && !t->diverges[b]) {
                t->diverges[b] = true;
                again = true;
            }
        }
        if (again)
            find_parks(t);
    }
    for (uint32_t r = 0; r < t->nregs; r++)
        if (t->regs[r].shape == S_TOP)
            t->regs[r].shape = S_UNI;
}

/* ---- NaNs ---------------------------------------------------------------------------------------------------- */

static bool makes_loose(const struct unit *t, const struct jop *j)
{
    if (!j->native)
        return false;
    if (j->op == OP_MOV)
        return j->d.cls == C_32 && (j->a.kind == OPD_REG     ? t->regs[j->a.idx].loose
                                    : j->a.kind == OPD_CONST ? (j->a.val & 0x7fffffff) <= 0x7f800000
                                                             : false);
    return jop_f32_arith(j);
}

/*
 * Results of single precision are canonical NaNs on the device. Arithmetic does not care which NaN
 * it reads, so a register that only arithmetic writes is made canonical where something else reads
 * it.
 */
static void find_loose(struct unit *t)
{
    bool again = true;

    for (uint32_t r = 0; r < t->nregs; r++)
        t->regs[r].loose = t->regs[r].cls == C_32;
    while (again) {
        again = false;
        for (uint32_t i = 0; i < t->n; i++) {
            const struct jop *j = &t->ops[i];
            const struct opd *o[5] = {&j->d, &j->b, &j->c, &j->e, &j->a};

            if (makes_loose(t, j))
                continue;
            for (unsigned k = 0; k < 5; k++) {
                bool def = k == 0 || (j->op == OP_LD && k < 4);

                if (def && o[k]->kind == OPD_REG && t->regs[o[k]->idx].loose) {
                    t->regs[o[k]->idx].loose = false;
                    again = true;
                }
            }
            for (unsigned k = 0; k < j->nmore; k++)
                if (j->more[k].def && t->regs[j->more[k].o.idx].loose) {
                    t->regs[j->more[k].o.idx].loose = false;
                    again = true;
                }
        }
    }
}

int unit_analyse(struct unit *t)
{
    if (make_blocks(t) || solve_liveness(t))
        return -1;
    if (t->words * (uint64_t)t->nblocks > (2u << 20))
        return unit_fail(t, "too large: %u blocks, %u registers", t->nblocks, t->nregs);
    find_parks(t);
    find_shapes(t);
    find_loose(t);
    return 0;
}

void unit_free(struct unit *t)
{
    for (uint32_t i = 0; t->ops && i < t->n; i++)
        free(t->ops[i].more);
    free(t->ops);
    free(t->regs);
    free(t->blocks);
    free(t->block_of);
    free(t->live_in);
    free(t->pend_live);
    free(t->diverges);
}
