/* SPDX-License-Identifier: MIT */
/*
 * handled.c - micro-ops with more operands than a jop has places for: textures and surfaces, matrix
 * fragments, mbarriers, calls. They are done by their handlers, lane by lane as in the interpreter, so that
 * results are the same to the bit; here is which registers they read and write.
 */
#include "dom0-backend/device/ptx/addr.h"
#include "dom0-backend/device/ptx/matrix_op.h"
#include "dom0-backend/device/ptx/mbarrier_op.h"
#include "dom0-backend/device/ptx/mma_op.h"
#include "dom0-backend/device/ptx/tex_op.h"
#include "jit_int.h"

#define MAX_PLACES 64

struct place {
    uint32_t code;
    uint8_t cls;
    bool def;
};
struct places {
    struct place v[MAX_PLACES];
    unsigned n;
};

static void add(struct places *p, uint32_t code, unsigned cls, bool def)
{
    if (code == NO_CODE)
        return;
    if (p->n < MAX_PLACES)
        p->v[p->n] = (struct place){code, (uint8_t)cls, def};
    p->n++;
}

static void add_all(struct places *p, const uint32_t *codes, unsigned n, unsigned cls, bool def)
{
    for (unsigned i = 0; i < n; i++)
        add(p, codes[i], cls, def);
}

/* ---- textures ------------------------------------------------------------------------------- */

static void coordinates(struct places *p, const struct tex_op *t)
{
    add(p, t->handle, C_64, false);
    add(p, t->layer, C_32, false);
    add_all(p, t->c, t->ndim, C_32, false);
    add(p, t->lod, C_32, false);
}

static void texture(struct places *p, const struct uop *u)
{
    const struct tex_op *t = (const struct tex_op *)(intptr_t)u->imm;

    coordinates(p, t);
    if (t->dx[0] != NO_CODE) {
        add_all(p, t->dx, t->ndim, C_32, false);
        add_all(p, t->dy, t->ndim, C_32, false);
    }
    add_all(p, t->d, 4, C_32, true);
    add(p, t->pred, C_PRED, true);
}

static void query(struct places *p, const struct uop *u)
{
    const struct tex_op *t = (const struct tex_op *)(intptr_t)u->imm;

    coordinates(p, t);
    add(p, t->d[0], C_32, true);
}

static void surface(struct places *p, const struct uop *u)
{
    const struct tex_op *t = (const struct tex_op *)(intptr_t)u->imm;

    coordinates(p, t);
    add_all(p, t->d, t->nvec, t->bytes == 8 ? C_64 : C_32, t->op == SO_LOAD);
}

/* ---- matrices ------------------------------------------------------------------------------- */

static void address(struct places *p, const struct uop *u)
{
    add(p, u->a, u->f & AF_WIDE ? C_64 : C_32, false);
}

static void fragment(struct places *p, const struct matrix_frag *f, bool def)
{
    add_all(p, f->reg, f->nreg, f->type == MX_F64 ? C_64 : C_32, def);
}

static void mma(struct places *p, const struct uop *u)
{
    const struct matrix_op *t = (const struct matrix_op *)(intptr_t)u->imm;

    fragment(p, &t->a, false);
    fragment(p, &t->b, false);
    fragment(p, &t->c, false);
    fragment(p, &t->d, true);
}

static void ldmatrix(struct places *p, const struct uop *u)
{
    address(p, u);
    fragment(p, &((const struct matrix_op *)(intptr_t)u->imm)->d, true);
}

static void stmatrix(struct places *p, const struct uop *u)
{
    address(p, u);
    fragment(p, &((const struct matrix_op *)(intptr_t)u->imm)->d, false);
}

static void wmma_fragment(struct places *p, const struct mma_frag *f, bool def)
{
    add_all(p, f->reg, f->nreg, f->type == MT_F64 ? C_64 : C_32, def);
}

static void wmma_mma(struct places *p, const struct uop *u)
{
    const struct mma_op *t = (const struct mma_op *)(intptr_t)u->imm;

    wmma_fragment(p, &t->a, false);
    wmma_fragment(p, &t->b, false);
    wmma_fragment(p, &t->c, false);
    wmma_fragment(p, &t->d, true);
}

static void wmma_load(struct places *p, const struct uop *u)
{
    const struct mma_op *t = (const struct mma_op *)(intptr_t)u->imm;

    address(p, u);
    add(p, t->stride, C_32, false);
    wmma_fragment(p, &t->d, true);
}

static void wmma_store(struct places *p, const struct uop *u)
{
    const struct mma_op *t = (const struct mma_op *)(intptr_t)u->imm;

    address(p, u);
    add(p, t->stride, C_32, false);
    wmma_fragment(p, &t->a, false);
}

/* ---- mbarriers ------------------------------------------------------------------------------ */

static void mbarrier(struct places *p, const struct uop *u)
{
    address(p, u);
    add(p, u->b, C_32, false);
    add(p, u->e, C_32, false);
    add(p, u->d, C_64, true);
}

static void mbarrier_test(struct places *p, const struct uop *u)
{
    address(p, u);
    add(p, u->b, u->n == MB_PARITY ? C_32 : C_64, false);
    add(p, u->d, C_PRED, true);
}

static void bulk(struct places *p, const struct uop *u)
{
    address(p, u);
    add(p, u->b, C_64, false);
    add(p, u->c, C_64, false);
    add(p, u->d, C_32, false);
}

static const struct {
    const char *name;
    void (*list)(struct places *p, const struct uop *u);
} kinds[] = {{"tex", texture},
             {"tld4", texture},
             {"txq", query},
             {"surf", surface},
             {"mma", mma},
             {"ldmatrix", ldmatrix},
             {"stmatrix", stmatrix},
             {"wmma.mma", wmma_mma},
             {"wmma.load", wmma_load},
             {"wmma.store", wmma_store},
             {"mbarrier", mbarrier},
             {"mbarrier.test", mbarrier_test},
             {"bulk", bulk}};

/* ---- calls ---------------------------------------------------------------------------------- */

static void call(struct places *p, const struct uop *u)
{
    const struct call *c = (const struct call *)(intptr_t)u->imm;

    if (!c->builtin && c->func < 0)
        add(p, u->a, C_64, false);
    for (uint32_t i = 0; i < c->nargs; i++)
        if (!c->args[i].is_var)
            add(p, c->args[i].slot, c->args[i].wide ? C_64 : C_32, false);
}

/* ---- both lowerings ------------------------------------------------------------------------- */

static int decode_places(struct decoder *d, struct jop *j, const struct places *v,
                         const struct places *r)
{
    if (v->n != r->n || v->n > MAX_PLACES)
        return unit_fail(d->t, "%u operands, the limit is %u", v->n, MAX_PLACES);
    j->more = calloc(v->n + 1, sizeof(*j->more));
    if (!j->more)
        return unit_fail(d->t, "out of memory");
    for (unsigned i = 0; i < v->n; i++) {
        struct more *m = &j->more[j->nmore];

        if (decode_operand(d, &m->o, v->v[i].code, r->v[i].code, v->v[i].cls))
            return -1;
        if (v->v[i].def && m->o.kind != OPD_REG)
            return unit_fail(d->t, "a result that is no register");
        m->def = v->v[i].def;
        j->nmore += m->o.kind == OPD_REG;
    }
    return 0;
}

int handled_decode(struct decoder *d, struct jop *j, const struct uop *v, const struct uop *r)
{
    struct places pv = {.n = 0}, pr = {.n = 0};

    if (v->kind == K_CALL) {
        call(&pv, v);
        call(&pr, r);
        return decode_places(d, j, &pv, &pr);
    }
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(kinds[i].name, v->name)) {
            kinds[i].list(&pv, v);
            kinds[i].list(&pr, r);
            return decode_places(d, j, &pv, &pr);
        }
    return 1;
}
