/* SPDX-License-Identifier: MIT */
/*
 * cfg.c - control flow of a function: blocks, liveness, register slots.
 *
 * A slot is shared by registers that are not live at the same time. Liveness is that of a single
 * thread: lanes of a warp may be at different places, but a micro-op only writes the lanes that
 * execute it, so a lane's slot is never disturbed by another lane.
 */
#include "lower.h"

struct block {
    uint32_t start, end; /* instructions [start, end) */
};
struct cfg {
    struct ir_func *f;
    struct block *b;
    uint32_t nb;
    uint32_t *block_of; /* by instruction, one more at the end */
};

typedef void (*reg_cb)(void *arg, uint32_t reg, bool def);

static bool insn_has_dst(const struct ir_insn *in)
{
    const struct ptx_opcode *oc = &ptx_opcodes[in->op];
    if (oc->flags & OPF_DST)
        return true;
    return oc->lower == low_bar && has_mod(in, M_red) && in->nopnd;
}

static void opnd_regs(const struct ir_func *f, const struct ir_opnd *o, bool def, reg_cb cb,
                      void *arg)
{
    switch (o->kind) {
    case O_REG:
        cb(arg, o->idx, def);
        break;
    case O_ADDR:
        if (o->sub == O_REG)
            cb(arg, o->idx, false);
        break;
    case O_VEC:
    case O_PAIR:
    case O_LIST:
    case O_TEX:
        for (unsigned i = 0; i < o->n; i++)
            if (f->opnds[o->idx + i].kind == O_REG)
                cb(arg, f->opnds[o->idx + i].idx, def);
        break;
    default:
        break;
    }
}

/* Calls cb for every register of the instruction, uses first. */
static void insn_regs(const struct ir_func *f, const struct ir_insn *in, reg_cb cb, void *arg)
{
    bool dst = insn_has_dst(in);
    /* call (ret), f, (args): the first list is written when a function follows it */
    bool ret = ptx_opcodes[in->op].lower == low_call && in->nopnd >= 2 &&
               f->opnds[in->opnd].kind == O_LIST;
    for (unsigned i = (dst || ret) ? 1 : 0; i < in->nopnd; i++)
        opnd_regs(f, &f->opnds[in->opnd + i], false, cb, arg);
    if (in->guard >= 0)
        cb(arg, in->guard, false);
    if (dst || ret)
        opnd_regs(f, &f->opnds[in->opnd], true, cb, arg);
}

static int make_blocks(struct cfg *c)
{
    struct ir_func *f = c->f;
    uint8_t *lead = calloc(f->ninsns + 1, 1);
    c->block_of = malloc(sizeof(uint32_t) * (f->ninsns + 1));
    if (!lead || !c->block_of) {
        free(lead);
        return -1;
    }
    lead[0] = 1;
    for (uint32_t i = 0; i < f->nlabels; i++)
        if (!f->labels[i].table)
            lead[f->labels[i].insn] = 1;
    for (uint32_t i = 0; i < f->ninsns; i++)
        if (ptx_opcodes[f->insns[i].op].flags & OPF_TERM)
            lead[i + 1] = 1;
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->ninsns; i++)
        n += lead[i];
    c->b = calloc(n + 1, sizeof(*c->b));
    if (!c->b) {
        free(lead);
        return -1;
    }
    for (uint32_t i = 0; i < f->ninsns; i++) {
        if (lead[i]) {
            c->b[c->nb].start = i;
            c->nb++;
        }
        c->b[c->nb - 1].end = i + 1;
        c->block_of[i] = c->nb - 1;
    }
    c->block_of[f->ninsns] = c->nb; /* labels at the very end */
    free(lead);
    return 0;
}

typedef void (*succ_cb)(void *arg, uint32_t block);

static void successors(const struct cfg *c, uint32_t bi, succ_cb cb, void *arg)
{
    const struct ir_func *f = c->f;
    const struct ir_insn *in = &f->insns[c->b[bi].end - 1];
    const struct ptx_opcode *oc = &ptx_opcodes[in->op];
    bool falls = true;
    if (oc->lower == low_bra) {
        const struct ir_opnd *o = &f->opnds[in->opnd];
        if (o->kind == O_LABEL && !f->labels[o->idx].table)
            cb(arg, c->block_of[f->labels[o->idx].insn]);
        falls = in->guard >= 0;
    } else if (oc->lower == low_brx) {
        const struct ir_opnd *o = &f->opnds[in->opnd + 1];
        if (o->kind == O_LABEL) {
            const struct ir_label *l = &f->labels[o->idx];
            for (uint32_t i = 0; i < l->ntarget; i++) {
                const struct ir_label *t = &f->labels[f->opnds[l->target0 + i].idx];
                if (!t->table)
                    cb(arg, c->block_of[t->insn]);
            }
        }
        falls = in->guard >= 0;
    } else if (oc->lower == low_ret || oc->lower == low_exit) {
        falls = in->guard >= 0;
    }
    if (falls && bi + 1 < c->nb)
        cb(arg, bi + 1);
}

/* ---- liveness --------------------------------------------------------------------------------------- */

struct live {
    struct cfg *c;
    uint32_t words;
    uint64_t *use, *def, *in; /* per block; out is computed when wanted */
    uint64_t *out;            /* of one block */
    uint32_t cur;
    bool guarded;
    /* predecessors as a list, for the worklist */
    uint32_t *pred_head, *pred_next, *pred_block, npred, cap_pred;
};

static void scan_reg(void *arg, uint32_t r, bool def)
{
    struct live *l = arg;
    uint64_t *use = l->use + (size_t)l->cur * l->words, *d = l->def + (size_t)l->cur * l->words;
    uint64_t bit = 1ull << (r & 63);
    if (!def) {
        if (!(d[r >> 6] & bit))
            use[r >> 6] |= bit;
    } else if (!l->guarded) {
        if (!(use[r >> 6] & bit))
            d[r >> 6] |= bit;
    }
}

static void or_succ(void *arg, uint32_t b)
{
    struct live *l = arg;
    if (b >= l->c->nb)
        return;
    const uint64_t *in = l->in + (size_t)b * l->words;
    for (uint32_t i = 0; i < l->words; i++)
        l->out[i] |= in[i];
}

static void note_pred(void *arg, uint32_t b)
{
    struct live *l = arg;
    if (b >= l->c->nb || l->npred >= l->cap_pred)
        return;
    l->pred_block[l->npred] = l->cur;
    l->pred_next[l->npred] = l->pred_head[b];
    l->pred_head[b] = l->npred++;
}

static void count_succ(void *arg, uint32_t b)
{
    (void)b;
    ++*(uint32_t *)arg;
}

static void live_free(struct live *l)
{
    free(l->use);
    free(l->def);
    free(l->in);
    free(l->out);
    free(l->pred_head);
    free(l->pred_next);
    free(l->pred_block);
}

static int live_solve(struct live *l)
{
    struct cfg *c = l->c;
    const struct ir_func *f = c->f;
    size_t n = (size_t)c->nb * l->words;
    uint32_t edges = 0;
    for (uint32_t b = 0; b < c->nb; b++)
        successors(c, b, count_succ, &edges);
    l->use = calloc(n, 8);
    l->def = calloc(n, 8);
    l->in = calloc(n, 8);
    l->out = calloc(l->words, 8);
    l->pred_head = malloc(sizeof(uint32_t) * (c->nb + 1));
    l->pred_next = malloc(sizeof(uint32_t) * (edges + 1));
    l->pred_block = malloc(sizeof(uint32_t) * (edges + 1));
    l->cap_pred = edges;
    uint32_t *work = malloc(sizeof(uint32_t) * (c->nb + 1));
    uint8_t *queued = malloc(c->nb + 1);
    if (!l->use || !l->def || !l->in || !l->out || !l->pred_head || !l->pred_next ||
        !l->pred_block || !work || !queued) {
        free(work);
        free(queued);
        return -1;
    }
    memset(l->pred_head, 0xff, sizeof(uint32_t) * (c->nb + 1));
    for (uint32_t b = 0; b < c->nb; b++) {
        l->cur = b;
        successors(c, b, note_pred, l);
        for (uint32_t i = c->b[b].start; i < c->b[b].end; i++) {
            l->guarded = f->insns[i].guard >= 0;
            insn_regs(f, &f->insns[i], scan_reg, l);
        }
    }
    /* a ring as worklist, seeded in reverse order */
    uint32_t head = 0, cnt = c->nb;
    for (uint32_t b = 0; b < c->nb; b++) {
        work[b] = c->nb - 1 - b;
        queued[b] = 1;
    }
    while (cnt) {
        uint32_t b = work[head];
        head = head + 1 == c->nb ? 0 : head + 1;
        cnt--;
        queued[b] = 0;
        memset(l->out, 0, (size_t)l->words * 8);
        successors(c, b, or_succ, l);
        uint64_t *in = l->in + (size_t)b * l->words, *use = l->use + (size_t)b * l->words,
                 *def = l->def + (size_t)b * l->words;
        bool changed = false;
        for (uint32_t i = 0; i < l->words; i++) {
            uint64_t v = use[i] | (l->out[i] & ~def[i]);
            changed |= v != in[i];
            in[i] = v;
        }
        for (uint32_t e = changed ? l->pred_head[b] : UINT32_MAX; e != UINT32_MAX;
             e = l->pred_next[e]) {
            uint32_t pb = l->pred_block[e];
            if (!queued[pb]) {
                queued[pb] = 1;
                uint32_t tail = head + cnt;
                work[tail >= c->nb ? tail - c->nb : tail] = pb;
                cnt++;
            }
        }
    }
    free(work);
    free(queued);
    return 0;
}

/* ---- slots -------------------------------------------------------------------------------------------- */

struct scan {
    uint32_t *start, *end; /* positions: 2 * instruction, + 1 for its results; end 0 = unused */
    uint32_t pos, use_pos;
};

static void touch(struct scan *s, uint32_t r, uint32_t pos)
{
    if (pos < s->start[r])
        s->start[r] = pos;
    if (pos + 1 > s->end[r])
        s->end[r] = pos + 1;
}

static void note_reg(void *arg, uint32_t r, bool def)
{
    struct scan *s = arg;
    touch(s, r, def ? s->pos + 1 : s->use_pos);
    if (!def)
        touch(s, r, s->pos);
}

static unsigned reg_class(unsigned type)
{
    return type == T_PRED ? 0 : ptx_type_bits[type] <= 32 ? 1 : 2;
}

/* Gives every register an operand code in the frame; sets pf->frame_bytes. */
static int assign(struct lower *lo, struct scan *s, uint32_t npos, bool share)
{
    struct ir_func *f = lo->fn;
    uint32_t n = f->nregs;
    uint32_t *by_start = malloc(sizeof(uint32_t) * (npos + 2));
    uint32_t *by_end = malloc(sizeof(uint32_t) * (npos + 2));
    uint32_t *nexts = malloc(sizeof(uint32_t) * (n + 1)),
             *nexte = malloc(sizeof(uint32_t) * (n + 1));
    uint32_t *num = malloc(sizeof(uint32_t) * (n + 1));
    uint32_t *freelist[3] = {malloc(sizeof(uint32_t) * (n + 1)), malloc(sizeof(uint32_t) * (n + 1)),
                             malloc(sizeof(uint32_t) * (n + 1))};
    uint32_t nfree[3] = {0}, count[3] = {0};
    int rc = -1;
    if (!by_start || !by_end || !nexts || !nexte || !num || !freelist[0] || !freelist[1] ||
        !freelist[2])
        goto out;
    memset(by_start, 0xff, sizeof(uint32_t) * (npos + 2));
    memset(by_end, 0xff, sizeof(uint32_t) * (npos + 2));
    for (uint32_t r = 0; r < n; r++) {
        num[r] = 0;
        if (!share || !s->end[r]) {
            unsigned k = reg_class(f->regs[r].type);
            num[r] = s->end[r] || !share ? count[k]++ : 0;
            continue;
        }
        nexts[r] = by_start[s->start[r]];
        by_start[s->start[r]] = r;
        nexte[r] = by_end[s->end[r] - 1];
        by_end[s->end[r] - 1] = r;
    }
    for (uint32_t p = 0; share && p < npos + 2; p++) {
        for (uint32_t r = by_start[p]; r != UINT32_MAX; r = nexts[r]) {
            unsigned k = reg_class(f->regs[r].type);
            num[r] = nfree[k] ? freelist[k][--nfree[k]] : count[k]++;
        }
        for (uint32_t r = by_end[p]; r != UINT32_MAX; r = nexte[r]) {
            unsigned k = reg_class(f->regs[r].type);
            freelist[k][nfree[k]++] = num[r];
        }
    }
    /* frame: 64 bytes reserved (code 0 = no guard), predicates, 32-bit slots, 64-bit slots */
    uint64_t base[3];
    base[0] = lo->flat ? lo->flat->frame_at : 64;
    base[1] = (base[0] + (count[0] + 1) * 4ull + 63) & ~63ull;
    base[2] = base[1] + (count[1] + 1) * (uint64_t)SLOT32;
    uint64_t total = base[2] + (count[2] + 1) * (uint64_t)SLOT64;
    if (total > (1u << 28)) {
        rc = low_fail(lo, E_LAUNCH_RESOURCES, "needs %llu bytes of registers per warp",
                      (unsigned long long)total);
        goto out;
    }
    static const unsigned size[3] = {4, SLOT32, SLOT64};
    for (uint32_t r = 0; r < n; r++) {
        unsigned k = reg_class(f->regs[r].type);
        lo->slot[r] = base[k] + num[r] * size[k];
    }
    lo->tmp_base = (total + 63) & ~63ull;
    if (lo->flat) {
        lo->flat->frame_at = lo->tmp_base;
        if (lo->flat->frame_max < lo->flat->frame_at)
            lo->flat->frame_max = lo->flat->frame_at;
        lo->tmp_base = 64;
    }
    rc = 0;
    /* estimate for the attribute: 32-bit registers */
    uint32_t regs = count[1] + 2 * count[2] + 8;
    if (f->entry && !lo->unshared && !lo->flat)
        lo->k->info.regs = regs < 16 ? 16 : regs > 255 ? 255 : regs;
out:
    free(by_start);
    free(by_end);
    free(nexts);
    free(nexte);
    free(num);
    for (int i = 0; i < 3; i++)
        free(freelist[i]);
    if (rc && !lo->err)
        low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
    return rc;
}

/* A function in the place of a call finds zero in registers that it reads before it writes them, as in
 * a new frame. */
static void zero_unset(struct lower *lo, const struct live *l)
{
    const struct ir_func *f = lo->fn;

    for (uint32_t r = 0; r < f->nregs && l->c->nb && !lo->err; r++) {
        static const char *const mov[] = {"mov.pred", "mov.32", "mov.64"};
        unsigned k = reg_class(f->regs[r].type);
        struct uop *u;

        if (!(l->in[r >> 6] >> (r & 63) & 1) || ptx_type_bits[f->regs[r].type] > 64 ||
            !(u = emit(lo, "%s", mov[k])))
            continue;
        u->d = lo->slot[r];
        u->a = 0;
        uint32_t at = lo->pf->nuops - 1, zero = k == 2 ? low_const64(lo, 0) : low_const32(lo, 0);

        lo->pf->uops[at].a = zero;
    }
}

int cfg_build(struct lower *lo)
{
    struct ir_func *f = lo->fn;
    struct cfg c = {.f = f};
    struct live l = {.c = &c, .words = (f->nregs + 63) / 64};
    struct scan s = {0};
    int rc = -1;
    if (make_blocks(&c))
        goto out;
    s.start = malloc(sizeof(uint32_t) * (f->nregs + 1));
    s.end = calloc(f->nregs + 1, sizeof(uint32_t));
    if (!s.start || !s.end)
        goto out;
    memset(s.start, 0xff, sizeof(uint32_t) * (f->nregs + 1));
    /* liveness needs blocks x registers bits; give up sharing where that is out of all proportion */
    const bool inner = lo->flat && lo->flat->call, fits = (uint64_t)c.nb * l.words <= (16u << 20);
    bool share = !lo->unshared && fits;
    for (uint32_t i = 0; i < f->ninsns; i++) {
        bool elem = ptx_opcodes[f->insns[i].op].flags & OPF_ELEM;
        s.pos = 2 * i;
        s.use_pos = 2 * i + !elem;
        insn_regs(f, &f->insns[i], note_reg, &s);
    }
    if ((share || (inner && fits)) && live_solve(&l))
        goto out;
    if (share) {
        for (uint32_t b = 0; b < c.nb; b++) {
            const uint64_t *in = l.in + (size_t)b * l.words;
            memset(l.out, 0, (size_t)l.words * 8);
            successors(&c, b, or_succ, &l);
            for (uint32_t w = 0; w < l.words; w++) {
                for (uint64_t m = in[w]; m; m &= m - 1)
                    touch(&s, w * 64 + __builtin_ctzll(m), 2 * c.b[b].start);
                for (uint64_t m = l.out[w]; m; m &= m - 1)
                    touch(&s, w * 64 + __builtin_ctzll(m), 2 * c.b[b].end - 1);
            }
        }
    }
    rc = assign(lo, &s, 2 * f->ninsns + 1, share);
    if (!rc && inner && fits)
        zero_unset(lo, &l);
out:
    if (rc && !lo->err)
        low_fail(lo, E_OUT_OF_MEMORY, "out of memory");
    live_free(&l);
    free(s.start);
    free(s.end);
    free(c.b);
    free(c.block_of);
    return rc;
}
