/* SPDX-License-Identifier: MIT */
/* ops_mma.c - matrix fragments of a warp: load, store, multiply and add. */
#include "addr.h"
#include "half.h"
#include "matrix_sum.h"
#include "mma_op.h"

#define MAX_ELEMS 512

/* Element values as bits of their type; slot of element e and of its copies. */
static u64 get_slot(const struct warp *w, const struct mma_frag *f, unsigned slot)
{
    unsigned bits = mma_bits(f->type), per = bits == 64 ? 1 : 32 / bits;
    unsigned in_lane = slot % (f->nreg * per);
    u32 v;

    if (bits == 64)
        return ((const u64 *)RG(f->reg[in_lane]))[slot / f->nreg];
    v = ((const u32 *)RG(f->reg[in_lane / per]))[slot / (f->nreg * per)];
    return bits == 32 ? v : v >> in_lane % per * bits & ((1u << bits) - 1);
}

static void put_slot(struct warp *w, const struct mma_frag *f, unsigned slot, u64 v)
{
    unsigned bits = mma_bits(f->type), per = bits == 64 ? 1 : 32 / bits;
    unsigned in_lane = slot % (f->nreg * per);
    u32 *d, shift, mask;

    if (bits == 64) {
        ((u64 *)RG(f->reg[in_lane]))[slot / f->nreg] = v;
        return;
    }
    d = &((u32 *)RG(f->reg[in_lane / per]))[slot / (f->nreg * per)];
    shift = in_lane % per * bits;
    mask = bits == 32 ? FULL : (1u << bits) - 1;
    *d = (*d & ~(mask << shift)) | ((u32)v & mask) << shift;
}

static void put_all(struct warp *w, const struct mma_frag *f, const u64 *v)
{
    unsigned n = f->rows * f->cols, bits = mma_bits(f->type);
    unsigned slots = f->nreg * 32u * (bits == 64 ? 1 : 32 / bits);

    for (unsigned s = 0; s < slots; s++)
        put_slot(w, f, s, v[s % n]);
}

/* ---- memory ------------------------------------------------------------------------------ */

/* Host address of the element at `off` octets from the matrix. */
static void *element(struct warp *w, const struct uop *u, unsigned space, u64 addr, u32 n)
{
    int lane = __builtin_ctz(w->mask);

    if (addr & (n - 1))
        ptx_throw(w, u, E_MISALIGNED, lane, addr, "misaligned matrix element at 0x%llx",
                  (unsigned long long)addr);
    if (space == AS_SHARED) {
        if (w->shared_size < n || addr > w->shared_size - n)
            ptx_throw(w, u, E_ILLEGAL_ADDRESS, lane, addr,
                      "matrix element at 0x%llx of shared memory", (unsigned long long)addr);
        return w->shared + addr;
    }
    return ptx_generic(w, u, lane, addr, n);
}

/* Calls for each element with its number and address. */
static void transfer(struct warp *w, const struct uop *u, const struct mma_frag *f, bool load)
{
    const struct mma_op *t = (const struct mma_op *)(intptr_t)u->imm;
    int lane = __builtin_ctz(w->mask);
    u32 n = mma_bits(f->type) / 8;
    u64 v[MAX_ELEMS] = {0};
    u64 base = (u64)(s64)(s32)u->e, stride;

    w->x->cur_uop = u;
    if (u->a != NO_ADDR_REG)
        base += u->f & AF_WIDE ? ((const u64 *)RG(u->a))[lane] : ((const u32 *)RG(u->a))[lane];
    stride = t->stride == UINT32_MAX ? (t->by_cols ? f->rows : f->cols)
                                     : ((const u32 *)RG(t->stride))[lane];
    for (unsigned e = 0; e < (unsigned)f->rows * f->cols; e++) {
        u64 i = e / f->cols, j = e % f->cols;
        void *p =
            element(w, u, t->space, base + (t->by_cols ? j * stride + i : i * stride + j) * n, n);

        if (load) {
            memcpy(&v[e], p, n);
        } else {
            v[e] = get_slot(w, f, e);
            memcpy(p, &v[e], n);
        }
    }
    if (load)
        put_all(w, f, v);
}

static void wmma_load(struct warp *w, const struct uop *u)
{
    transfer(w, u, &((const struct mma_op *)(intptr_t)u->imm)->d, true);
}

static void wmma_store(struct warp *w, const struct uop *u)
{
    transfer(w, u, &((const struct mma_op *)(intptr_t)u->imm)->a, false);
}

/* ---- arithmetic -------------------------------------------------------------------------- */

static f64 value(const struct mma_frag *f, u64 v)
{
    switch (f->type) {
    case MT_F64:
        return u2d(v);
    case MT_F16:
        return h2f(v);
    case MT_BF16:
        return bf2f(v);
    case MT_TF32:
        return u2f(v & 0xffffe000u);
    case MT_F32:
        return u2f(v);
    case MT_S8:
        return (s8)v;
    case MT_S32:
        return (s32)v;
    default:
        return v;
    }
}

static u64 bits_of(const struct mma_op *t, f64 x)
{
    switch (t->d.type) {
    case MT_F16:
        return f2h((f32)x, CSR_RN);
    case MT_S32:
        if (t->saturate)
            x = x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : x;
        return (u32)(s64)x;
    default:
        return f2u(CANON32((f32)x));
    }
}

/* Integers are exact in double precision; half precision is rounded from it. */
static void wmma_mma(struct warp *w, const struct uop *u)
{
    const struct mma_op *t = (const struct mma_op *)(intptr_t)u->imm;
    unsigned m = t->d.rows, n = t->d.cols, k = t->a.cols;
    f64 a[MAX_ELEMS], b[MAX_ELEMS];
    u64 r[MAX_ELEMS];

    for (unsigned e = 0; e < m * k; e++)
        a[e] = value(&t->a, get_slot(w, &t->a, e));
    for (unsigned e = 0; e < k * n; e++)
        b[e] = value(&t->b, get_slot(w, &t->b, e));
    for (unsigned e = 0; e < m * n; e++) {
        f64 sum = value(&t->c, get_slot(w, &t->c, e));

        if (t->d.type == MT_F32) {
            r[e] = f2u(CANON32(matrix_sum(&a[e / n * k], &b[e % n], n, k, sum)));
            continue;
        }
        if (t->d.type == MT_F64) {
            for (unsigned i = 0; i < k; i++)
                sum = fma(a[e / n * k + i], b[i * n + e % n], sum);
            r[e] = d2u(sum);
            continue;
        }
        for (unsigned i = 0; i < k; i++)
            sum += a[e / n * k + i] * b[i * n + e % n];
        r[e] = bits_of(t, sum);
    }
    put_all(w, &t->d, r);
}

TABLE(ops_mma) = {H("wmma.load", wmma_load), H("wmma.store", wmma_store), H("wmma.mma", wmma_mma),
                  HEND};
