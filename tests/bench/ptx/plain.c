/* SPDX-License-Identifier: MIT */
/*
 * plain.c - the kernels of kernels.h as one writes them in C for one processor, for orientation in
 * the table of `make bench-ptx`: loops, no blocks of threads, no barriers. Compiled with gcc -O3
 * -march=native. Sizes are those of bench_ptx.c.
 */
#include <math.h>
#include <string.h>

#include "plain.h"

static void saxpy(const struct plain *p)
{
    const float *restrict a = p->a, *restrict b = p->b;
    float *restrict o = p->o;

    for (int i = 0; i < 1048000; i++)
        o[i] = fmaf(2.5f, a[i], b[i]);
}

/* In the order that suits rows in memory. */
static void matmul(const struct plain *p)
{
    const int n = 256;

    for (int r = 0; r < n; r++) {
        float *restrict to = p->o + r * n;

        memset(to, 0, n * sizeof(*to));
        for (int k = 0; k < n; k++)
            for (int c = 0; c < n; c++)
                to[c] = fmaf(p->a[r * n + k], p->b[k * n + c], to[c]);
    }
}

static void mandel(const struct plain *p)
{
    const int w = 512, h = 512;

    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            float cr = -2.0f + 3.0f * x / w, ci = -1.5f + 3.0f * y / h, zr = 0, zi = 0;
            int i = 0;

            while (i < 256 && zr * zr + zi * zi < 4.0f) {
                float t = fmaf(zr, zr, fmaf(-zi, zi, cr));

                zi = fmaf(2 * zr, zi, ci);
                zr = t;
                i++;
            }
            ((int *)p->o)[y * w + x] = i;
        }
}

static void nbody(const struct plain *p)
{
    const int n = 4096;

    for (int i = 0; i < n; i++) {
        float x = p->a[4 * i], y = p->a[4 * i + 1], z = p->a[4 * i + 2], fx = 0, fy = 0, fz = 0;

        for (int j = 0; j < n; j++) {
            float dx = p->a[4 * j] - x, dy = p->a[4 * j + 1] - y, dz = p->a[4 * j + 2] - z;
            float d = fmaf(dx, dx, fmaf(dy, dy, fmaf(dz, dz, 0.01f))), q = 1 / sqrtf(d);
            float s = p->a[4 * j + 3] * q * q * q;

            fx = fmaf(dx, s, fx);
            fy = fmaf(dy, s, fy);
            fz = fmaf(dz, s, fz);
        }
        p->o[3 * i] = fx;
        p->o[3 * i + 1] = fy;
        p->o[3 * i + 2] = fz;
    }
}

/* As many sums as the kernel has blocks. */
static void reduce(const struct plain *p)
{
    uint32_t *o = (uint32_t *)p->o;

    memset(o, 0, 64 * sizeof(*o));
    for (int i = 0; i < 2000000; i += 256) {
        uint32_t v = 0;

        for (int k = i; k < i + 256 && k < 2000000; k++)
            v += p->x[k];
        o[i / 256 % 64] += v;
    }
}

static void poly64(const struct plain *p)
{
    for (int i = 0; i < 262000; i++) {
        double v = p->a[i], s = 0.5;

        for (int k = 0; k < 32; k++)
            s = fma(s, v, 1.0 / (k + 1));
        p->o[i] = (float)s;
    }
}

static void gather(const struct plain *p)
{
    const float *restrict a = p->a;
    const uint32_t *restrict x = p->x;
    float *restrict o = p->o;

    for (int i = 0; i < 1 << 20; i++)
        o[i] = a[x[i] & 0xfffff] + a[x[i] >> 12 & 0xfffff];
}

static void histogram(const struct plain *p)
{
    const uint32_t *restrict x = p->x;
    int *restrict o = (int *)p->o;

    for (int i = 0; i < 1 << 19; i++)
        o[x[i] & 255]++;
}

static void gray(const struct plain *p)
{
    const uint8_t *restrict x = (const uint8_t *)p->x;
    uint8_t *restrict o = (uint8_t *)p->o;

    for (int i = 0; i < 1 << 20; i++)
        o[i] = (uint8_t)((77 * x[4 * i] + 150 * x[4 * i + 1] + 29 * x[4 * i + 2]) >> 8);
}

static void stencil(const struct plain *p)
{
    const int w = 1024, h = 1024;
    const float *restrict a = p->a;
    float *restrict o = p->o;

    for (int y = 1; y < h - 1; y++)
        for (int x = 1; x < w - 1; x++)
            o[y * w + x] = 0.2f * (a[y * w + x] + a[y * w + x - 1] + a[y * w + x + 1] +
                                   a[(y - 1) * w + x] + a[(y + 1) * w + x]);
}

static void hash(const struct plain *p)
{
    for (int i = 0; i < 1 << 18; i++) {
        uint32_t v = p->x[i];

        for (int k = 0; k < 64; k++) {
            v ^= v >> 16;
            v *= 0x7feb352du;
            v ^= v >> 15;
            v *= 0x846ca68bu;
            v = v << 7 | v >> 25;
        }
        ((uint32_t *)p->o)[i] = v;
    }
}

static void option_price(const struct plain *p)
{
    for (int i = 0; i < 1 << 18; i++) {
        float s = 10.0f + 90.0f * p->a[i], t = 0.2f + p->b[i], acc = 0;

        for (int k = 1; k <= 16; k++) {
            float d = s * 0.01f * k - t;

            acc += exp2f(-d * d) / (1.0f + 0.1f * k * t);
        }
        p->o[i] = acc;
    }
}

static void scan(const struct plain *p)
{
    for (int i = 0; i < 1 << 19; i += 256) {
        uint32_t v = 0;

        for (int k = i; k < i + 256; k++)
            ((uint32_t *)p->o)[k] = v += p->x[k];
    }
}

static void collatz(const struct plain *p)
{
    for (int i = 0; i < 1 << 17; i++) {
        uint32_t v = (p->x[i] & 0xffff) + 1;
        int n = 0;

        while (v != 1 && n < 1000) {
            v = v & 1 ? 3 * v + 1 : v >> 1;
            n++;
        }
        ((int *)p->o)[i] = n;
    }
}

static void small(const struct plain *p)
{
    for (int i = 0; i < 1024; i++)
        p->o[i] = p->a[i] + 1.0f;
}

static const struct {
    const char *name;
    void (*fn)(const struct plain *p);
} kernels[] = {
    {"saxpy", saxpy},   {"matmul", matmul},   {"mandel", mandel}, {"nbody", nbody},
    {"reduce", reduce}, {"poly64", poly64},   {"gather", gather}, {"histogram", histogram},
    {"gray", gray},     {"stencil", stencil}, {"hash", hash},     {"option_price", option_price},
    {"scan", scan},     {"collatz", collatz}, {"small", small},
};

bool plain_run(const char *name, const struct plain *p)
{
    for (unsigned i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
        if (!strcmp(kernels[i].name, name)) {
            kernels[i].fn(p);
            return true;
        }
    return false;
}
