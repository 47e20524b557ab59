/* SPDX-License-Identifier: MIT */
/* ops_matrix.c - mma.sync, and 8 x 8 matrices between registers and shared memory. */
#include "addr.h"
#include "half.h"
#include "matrix_op.h"
#include "matrix_sum.h"

/* ---- elements -------------------------------------------------------------------------------- */

static f64 small_float(u32 v, unsigned ebits, unsigned mbits)
{
    u32 e = v >> mbits & ((1u << ebits) - 1), m = v & ((1u << mbits) - 1);
    int bias = (1 << (ebits - 1)) - 1;
    f64 r;

    if (ebits == 5 && e == 31) /* e5m2 has infinities; e4m3 one NaN */
        r = m ? NAN : INFINITY;
    else if (ebits == 4 && e == 15 && m == 7)
        r = NAN;
    else
        r = e ? ldexp((1u << mbits) + m, (int)e - bias - (int)mbits)
              : ldexp(m, 1 - bias - (int)mbits);
    return v >> (ebits + mbits) & 1 ? -r : r;
}

static f64 value(unsigned type, u32 v)
{
    switch (type) {
    case MX_F16:
        return h2f(v);
    case MX_BF16:
        return bf2f(v);
    case MX_TF32:
        return u2f(v & 0xffffe000u);
    case MX_F32:
        return u2f(v);
    case MX_E4M3:
        return small_float(v, 4, 3);
    case MX_E5M2:
        return small_float(v, 5, 2);
    case MX_S8:
        return (s8)v;
    case MX_S4:
        return (s32)(v << 28) >> 28;
    case MX_S32:
        return (s32)v;
    default:
        return v;
    }
}

static u32 element(const struct warp *w, const struct matrix_frag *f, unsigned lane, unsigned r,
                   unsigned i)
{
    unsigned bits = matrix_bits(f->type);
    u32 v = ((const u32 *)RG(f->reg[r]))[lane];

    return bits == 32 ? v : v >> i * bits & ((1u << bits) - 1);
}

/* ---- mma.sync -------------------------------------------------------------------------------- */

struct operands {
    f64 a[16][64], b[64][8], c[16][8];
};

static void get_ab(const struct warp *w, const struct matrix_op *t, struct operands *o)
{
    unsigned pa = 32 / matrix_bits(t->a.type), pb = 32 / matrix_bits(t->b.type);

    for (unsigned lane = 0; lane < WARP; lane++) {
        unsigned g = lane / 4, q = lane % 4;

        for (unsigned r = 0; r < t->a.nreg; r++)
            for (unsigned i = 0; i < pa; i++)
                o->a[g + 8 * (r % 2)][q * pa + i + 4 * pa * (r / 2)] =
                    value(t->a.type, element(w, &t->a, lane, r, i));
        for (unsigned r = 0; r < t->b.nreg; r++)
            for (unsigned i = 0; i < pb; i++)
                o->b[q * pb + i + 4 * pb * r][g] = value(t->b.type, element(w, &t->b, lane, r, i));
    }
}

static void get_c(const struct warp *w, const struct matrix_op *t, struct operands *o)
{
    for (unsigned lane = 0; lane < WARP; lane++) {
        unsigned g = lane / 4, q = lane % 4;

        for (unsigned r = 0; r < t->c.nreg; r++) {
            if (t->c.type != MX_F16) {
                o->c[g + 8 * (r / 2)][2 * q + r % 2] =
                    value(t->c.type, element(w, &t->c, lane, r, 0));
                continue;
            }
            for (unsigned i = 0; i < 2; i++)
                o->c[g + 8 * r][2 * q + i] = value(MX_F16, element(w, &t->c, lane, r, i));
        }
    }
}

static void put_d(struct warp *w, const struct matrix_op *t, u32 r[16][8])
{
    for (unsigned lane = 0; lane < WARP; lane++) {
        unsigned g = lane / 4, q = lane % 4;

        for (unsigned k = 0; k < t->d.nreg; k++) {
            u32 *d = &((u32 *)RG(t->d.reg[k]))[lane];

            if (t->d.type == MX_F16)
                *d = (r[g + 8 * k][2 * q] & 0xffff) | r[g + 8 * k][2 * q + 1] << 16;
            else
                *d = r[g + 8 * (k / 2)][2 * q + k % 2];
        }
    }
}

/* Single bits: the number of ones of a ^ b or a & b. */
static void mma_bits(struct warp *w, const struct matrix_op *t)
{
    u32 a[16][8] = {{0}}, b[8][8] = {{0}}, r[16][8];

    for (unsigned lane = 0; lane < WARP; lane++) {
        for (unsigned k = 0; k < t->a.nreg; k++)
            a[lane / 4 + 8 * (k % 2)][lane % 4 + 4 * (k / 2)] =
                ((const u32 *)RG(t->a.reg[k]))[lane];
        for (unsigned k = 0; k < t->b.nreg; k++)
            b[lane % 4 + 4 * k][lane / 4] = ((const u32 *)RG(t->b.reg[k]))[lane];
    }
    for (unsigned lane = 0; lane < WARP; lane++)
        for (unsigned k = 0; k < t->c.nreg; k++)
            r[lane / 4 + 8 * (k / 2)][2 * (lane % 4) + k % 2] =
                ((const u32 *)RG(t->c.reg[k]))[lane];
    for (unsigned i = 0; i < t->m; i++)
        for (unsigned j = 0; j < 8; j++)
            for (unsigned k = 0; k < t->k / 32u; k++)
                r[i][j] +=
                    (u32)__builtin_popcount(t->xor_popc ? a[i][k] ^ b[k][j] : a[i][k] & b[k][j]);
    put_d(w, t, r);
}

static void mma_double(struct warp *w, const struct matrix_op *t)
{
    f64 a[16][16], b[16][8], c[16][8];

    for (unsigned lane = 0; lane < WARP; lane++) {
        unsigned g = lane / 4, q = lane % 4;

        for (unsigned r = 0; r < t->a.nreg; r++)
            a[g + 8 * (r % 2)][q + 4 * (r / 2)] = ((const f64 *)RG(t->a.reg[r]))[lane];
        for (unsigned r = 0; r < t->b.nreg; r++)
            b[q + 4 * r][g] = ((const f64 *)RG(t->b.reg[r]))[lane];
        for (unsigned r = 0; r < t->c.nreg; r++)
            c[g + 8 * (r / 2)][2 * q + r % 2] = ((const f64 *)RG(t->c.reg[r]))[lane];
    }
    for (unsigned i = 0; i < t->m; i++)
        for (unsigned j = 0; j < 8; j++)
            for (unsigned k = 0; k < t->k; k++)
                c[i][j] = fma(a[i][k], b[k][j], c[i][j]);
    for (unsigned lane = 0; lane < WARP; lane++)
        for (unsigned r = 0; r < t->d.nreg; r++)
            ((f64 *)RG(t->d.reg[r]))[lane] = c[lane / 4 + 8 * (r / 2)][2 * (lane % 4) + r % 2];
}

static u32 int_result(const struct matrix_op *t, f64 x)
{
    if (t->saturate)
        x = x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : x;
    return (u32)(s64)x;
}

/* Formats of 8 bits go through half precision: two sums of 16 products, then the addend. */
static f32 sum_eights(const f64 *a, const f64 *b, f64 c)
{
    f64 x[16], y[16], part = 0;

    for (unsigned half = 0; half < 2; half++) {
        for (unsigned i = 0; i < 16; i++) {
            unsigned k = i / 2 * 4 + 2 * half + i % 2;

            x[i] = a[k];
            y[i] = b[k * 8];
        }
        part = matrix_sum(x, y, 1, 16, part);
    }
    return (f32)part + (f32)c;
}

static u32 result(const struct matrix_op *t, const struct operands *o, unsigned i, unsigned j)
{
    f64 sum = o->c[i][j];

    if (t->a.type == MX_E4M3 || t->a.type == MX_E5M2)
        return f2u(CANON32(sum_eights(o->a[i], &o->b[0][j], sum)));
    if (t->d.type == MX_F32)
        return f2u(CANON32(matrix_sum(o->a[i], &o->b[0][j], 8, t->k, sum)));
    for (unsigned k = 0; k < t->k; k++)
        sum += o->a[i][k] * o->b[k][j];
    return t->d.type == MX_S32 ? int_result(t, sum) : f2h((f32)sum, CSR_RN);
}

static void mma(struct warp *w, const struct uop *u)
{
    const struct matrix_op *t = (const struct matrix_op *)(intptr_t)u->imm;
    struct operands o;
    u32 r[16][8];

    if (t->a.type == MX_B1) {
        mma_bits(w, t);
        return;
    }
    if (t->a.type == MX_F64) {
        mma_double(w, t);
        return;
    }
    get_ab(w, t, &o);
    get_c(w, t, &o);
    for (unsigned i = 0; i < t->m; i++)
        for (unsigned j = 0; j < 8; j++)
            r[i][j] = result(t, &o, i, j);
    put_d(w, t, r);
}

/* ---- 8 x 8 matrices of 16 bits --------------------------------------------------------------- */

/* The row of 16 octets whose address the lane holds. */
static u16 *row_at(struct warp *w, const struct uop *u, unsigned lane)
{
    const struct matrix_op *t = (const struct matrix_op *)(intptr_t)u->imm;
    u64 ad = (u64)(s64)(s32)u->e;

    w->x->cur_uop = u;
    if (u->a != NO_ADDR_REG)
        ad = u->f & AF_WIDE ? ((const u64 *)RG(u->a))[lane] + ad
                            : ((const u32 *)RG(u->a))[lane] + (u32)ad;
    if (t->generic) { /* the instruction works on shared memory only */
        if ((ad & ~(PTX_APERTURE_SIZE - 1)) != PTX_APERTURE_SHARED)
            ptx_throw(w, u, E_ILLEGAL_ADDRESS, (int)lane, ad, "matrix row at 0x%llx is not shared",
                      (unsigned long long)ad);
        ad &= PTX_APERTURE_SIZE - 1;
    }
    if (ad & 15)
        ptx_throw(w, u, E_MISALIGNED, (int)lane, ad, "misaligned matrix row at 0x%llx",
                  (unsigned long long)ad);
    if (w->shared_size < 16 || ad > w->shared_size - 16)
        ptx_throw(w, u, E_ILLEGAL_ADDRESS, (int)lane, ad, "matrix row at 0x%llx of shared memory",
                  (unsigned long long)ad);
    return (u16 *)(w->shared + ad);
}

static void ldmatrix(struct warp *w, const struct uop *u)
{
    const struct matrix_op *t = (const struct matrix_op *)(intptr_t)u->imm;
    u16 x[4][8][8];

    for (unsigned k = 0; k < t->d.nreg; k++)
        for (unsigned r = 0; r < 8; r++)
            memcpy(x[k][r], row_at(w, u, 8 * k + r), 16);
    for (unsigned k = 0; k < t->d.nreg; k++)
        for (unsigned lane = 0; lane < WARP; lane++) {
            unsigned i = lane / 4, j = 2 * (lane % 4);

            ((u32 *)RG(t->d.reg[k]))[lane] = t->trans ? x[k][j][i] | (u32)x[k][j + 1][i] << 16
                                                      : x[k][i][j] | (u32)x[k][i][j + 1] << 16;
        }
}

static void stmatrix(struct warp *w, const struct uop *u)
{
    const struct matrix_op *t = (const struct matrix_op *)(intptr_t)u->imm;

    for (unsigned k = 0; k < t->d.nreg; k++) {
        u16 x[8][8];

        for (unsigned lane = 0; lane < WARP; lane++) {
            u32 v = ((const u32 *)RG(t->d.reg[k]))[lane];
            unsigned i = lane / 4, j = 2 * (lane % 4);

            if (t->trans) {
                x[j][i] = (u16)v;
                x[j + 1][i] = (u16)(v >> 16);
            } else {
                x[i][j] = (u16)v;
                x[i][j + 1] = (u16)(v >> 16);
            }
        }
        for (unsigned r = 0; r < 8; r++)
            memcpy(row_at(w, u, 8 * k + r), x[r], 16);
    }
}

static void movmatrix(struct warp *w, const struct uop *u)
{
    const u32 *a = RG(u->a);
    u32 *d = RG(u->d);
    u16 x[8][8];

    for (unsigned lane = 0; lane < WARP; lane++) {
        x[lane / 4][2 * (lane % 4)] = (u16)a[lane];
        x[lane / 4][2 * (lane % 4) + 1] = (u16)(a[lane] >> 16);
    }
    for (unsigned lane = 0; lane < WARP; lane++)
        d[lane] = x[2 * (lane % 4)][lane / 4] | (u32)x[2 * (lane % 4) + 1][lane / 4] << 16;
}

TABLE(ops_matrix) = {H("mma", mma), H("ldmatrix", ldmatrix), H("stmatrix", stmatrix),
                     H("movmatrix", movmatrix), HEND};
