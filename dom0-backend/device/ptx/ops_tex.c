/* SPDX-License-Identifier: MIT */
/* ops_tex.c - textures and surfaces, lane by lane; the sampler is in texture.c. */
#include "ops.h"
#include "tex_op.h"

#define CUDA_MISALIGNED 716

/* The object of lane i; the same handle in all lanes is the rule. */
static const struct ptx_tex *object(struct warp *w, const struct uop *u, const struct tex_op *t,
                                    int i, bool surface, const struct ptx_tex *last)
{
    const struct ptx_launch *l = w->x->l;
    u64 h = ((const u64 *)RG(t->handle))[i];

    if (last && last->handle == h)
        return last;
    last = l->object ? l->object(l->arg, h) : NULL;
    if (!last || last->surface != surface)
        ptx_throw(w, u, E_ILLEGAL_ADDRESS, i, h, "0x%llx is not a %s object", (unsigned long long)h,
                  surface ? "surface" : "texture");
    return last;
}

static u32 lane32(const struct warp *w, u32 code, int i)
{
    return ((const u32 *)RG(code))[i];
}

static void where(const struct warp *w, const struct tex_op *t, const struct ptx_tex *x, int i,
                  struct tex_where *o)
{
    *o = (struct tex_where){.integer = t->integer};
    for (unsigned k = 0; k < t->ndim; k++) {
        u32 v = lane32(w, t->c[k], i);

        if (t->integer)
            o->xi[k] = (s32)v;
        else
            o->x[k] = u2f(v);
    }
    if (t->layer != NO_CODE)
        o->layer = (s32)lane32(w, t->layer, i);
    if (t->lod != NO_CODE) {
        u32 v = lane32(w, t->lod, i);

        o->has_lod = true;
        o->lod = t->integer ? (f32)(s32)v : u2f(v);
    }
    if (t->dx[0] != NO_CODE) {
        f32 dx[3] = {0}, dy[3] = {0};

        for (unsigned k = 0; k < t->ndim; k++) {
            dx[k] = u2f(lane32(w, t->dx[k], i));
            dy[k] = u2f(lane32(w, t->dy[k], i));
        }
        o->has_lod = true;
        o->lod = tex_grad_lod(x, o->x, dx, dy);
    }
}

/* Results are collected first: a result register may be a source of another lane's. */
static void store(struct warp *w, const struct tex_op *t, u32 r[4][WARP])
{
    for (unsigned k = 0; k < 4; k++) {
        u32 *d = RG(t->d[k]), m = w->mask;

        LOOP d[i] = (m & lane_bit[i]) ? r[k][i] : d[i];
    }
    if (t->pred != NO_CODE)
        pred_write(w, t->pred, FULL); /* everything is resident */
}

static void sample(struct warp *w, const struct uop *u, bool gather)
{
    const struct tex_op *t = (const struct tex_op *)(intptr_t)u->imm;
    const struct ptx_tex *x = NULL;
    u32 r[4][WARP];

    w->x->cur_uop = u;
    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        struct tex_where at;
        u32 o[4];

        x = object(w, u, t, i, false, x);
        where(w, t, x, i, &at);
        if (gather)
            tex_gather(x, &w->x->l->mem, &at, t->comp, o);
        else
            tex_sample(x, &w->x->l->mem, &at, o);
        for (unsigned c = 0; c < 4; c++)
            r[c][i] = o[c];
    }
    store(w, t, r);
}

static void tex(struct warp *w, const struct uop *u)
{
    sample(w, u, false);
}

static void tld4(struct warp *w, const struct uop *u)
{
    sample(w, u, true);
}

static u32 query(const struct ptx_tex *x, unsigned q, u32 lod)
{
    const struct tex_level *l = &x->level[lod < x->nlevel ? lod : x->nlevel - 1];

    switch (q) {
    case TQ_WIDTH:
        return l->width;
    case TQ_HEIGHT:
        return l->height;
    case TQ_DEPTH:
        return l->depth;
    case TQ_LAYERS:
        return x->shape == TS_CUBE ? x->layers / 6 : x->layers;
    case TQ_LEVELS:
        return x->nlevel;
    case TQ_NORMALIZED:
        return x->normalized;
    default:
        return 1;
    }
}

static void txq(struct warp *w, const struct uop *u)
{
    const struct tex_op *t = (const struct tex_op *)(intptr_t)u->imm;
    const struct ptx_launch *l = w->x->l;
    u32 *d = RG(t->d[0]);

    w->x->cur_uop = u;
    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        u64 h = ((const u64 *)RG(t->handle))[i];
        u32 lod = t->lod == NO_CODE ? 0 : lane32(w, t->lod, i);
        const struct ptx_tex *x = l->object ? l->object(l->arg, h) : NULL;

        if (!x)
            ptx_throw(w, u, E_ILLEGAL_ADDRESS, i, h, "0x%llx is not a texture or surface object",
                      (unsigned long long)h);
        d[i] = query(x, t->query, lod);
    }
}

/* ---- surfaces ---------------------------------------------------------------------------- */

static void reduce32(u32 *p, u32 v, const struct tex_op *t)
{
    u32 old = __atomic_load_n(p, __ATOMIC_RELAXED), r;

    do {
        bool less = t->is_signed ? (s32)v < (s32)old : v < old;

        r = t->op == SO_ADD   ? old + v
            : t->op == SO_AND ? (old & v)
            : t->op == SO_OR  ? (old | v)
                              : (less == (t->op == SO_MIN) ? v : old);
    } while (!__atomic_compare_exchange_n(p, &old, r, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

static void reduce64(u64 *p, u64 v, const struct tex_op *t)
{
    u64 old = __atomic_load_n(p, __ATOMIC_RELAXED), r;

    do {
        bool less = t->is_signed ? (s64)v < (s64)old : v < old;

        r = t->op == SO_ADD   ? old + v
            : t->op == SO_AND ? (old & v)
            : t->op == SO_OR  ? (old | v)
                              : (less == (t->op == SO_MIN) ? v : old);
    } while (!__atomic_compare_exchange_n(p, &old, r, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

static void put_lane(struct warp *w, const struct tex_op *t, int i, const u8 *raw)
{
    for (unsigned k = 0; k < t->nvec; k++) {
        u64 v = 0;

        memcpy(&v, raw + k * t->bytes, t->bytes);
        if (t->bytes == 8)
            ((u64 *)RG(t->d[k]))[i] = v;
        else
            ((u32 *)RG(t->d[k]))[i] = (u32)v;
    }
}

static void get_lane(const struct warp *w, const struct tex_op *t, int i, u8 *raw)
{
    for (unsigned k = 0; k < t->nvec; k++) {
        u64 v = t->bytes == 8 ? ((const u64 *)RG(t->d[k]))[i] : ((const u32 *)RG(t->d[k]))[i];

        memcpy(raw + k * t->bytes, &v, t->bytes);
    }
}

static void surf(struct warp *w, const struct uop *u)
{
    const struct tex_op *t = (const struct tex_op *)(intptr_t)u->imm;
    const struct ptx_tex *x = NULL;
    const u32 n = (u32)t->bytes * t->nvec;
    u8 raw[WARP][16];

    w->x->cur_uop = u;
    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        s32 c[3] = {0};
        void *p;

        x = object(w, u, t, i, true, x);
        for (unsigned j = 0; j < t->ndim; j++)
            c[j] = (s32)lane32(w, t->c[j], i);
        if (t->layer != NO_CODE)
            c[2] = (s32)lane32(w, t->layer, i);
        if (c[0] % (s32)n)
            ptx_throw(w, u, CUDA_MISALIGNED, i, (u64)c[0],
                      "octet %d of a surface is no multiple of the %u octets accessed", c[0], n);
        p = tex_surface(x, &w->x->l->mem, c[0], c[1], c[2], n, t->bound == SB_CLAMP);
        if (!p && t->bound == SB_TRAP)
            ptx_throw(w, u, E_ILLEGAL_ADDRESS, i, x->handle,
                      "surface access at (%d, %d, %d) outside", c[0], c[1], c[2]);
        if (t->op == SO_LOAD) {
            memset(raw[i], 0, sizeof(raw[i]));
            if (p)
                memcpy(raw[i], p, n);
        } else if (p) {
            get_lane(w, t, i, raw[i]);
            if (t->op == SO_STORE)
                memcpy(p, raw[i], n);
            else if (n == 4)
                reduce32(p, lane32(w, t->d[0], i), t);
            else
                reduce64(p, ((const u64 *)RG(t->d[0]))[i], t);
        }
    }
    if (t->op == SO_LOAD)
        for (u32 k = w->mask; k; k &= k - 1)
            put_lane(w, t, __builtin_ctz(k), raw[__builtin_ctz(k)]);
}

TABLE(ops_tex) = {H("tex", tex), H("tld4", tld4), H("txq", txq), H("surf", surf), HEND};
