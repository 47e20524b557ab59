/* SPDX-License-Identifier: MIT */
/* texture.c - the sampler: from coordinates to texels. */
#include "texture.h"

#include <math.h>
#include <string.h>

#include "half.h"

/* A sampled value: channels as doubles, or as bits where nothing is to be calculated. */
struct texel {
    double f[4];
    uint32_t u[4];
    uint32_t raw[4]; /* as it lies in memory */
    bool exact;      /* not a weighted sum */
};

static bool float_result(const struct ptx_tex *t)
{
    return t->as_float || t->elem == TE_FLOAT || t->elem == TE_UNORM || t->elem == TE_SNORM;
}

static float bits_float(uint32_t v)
{
    float f;

    memcpy(&f, &v, 4);
    return f;
}

static uint32_t float_bits(float f)
{
    uint32_t v;

    memcpy(&v, &f, 4);
    return v;
}

static double linear_of_srgb(double v)
{
    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

/* ---- texels ------------------------------------------------------------------------------ */

static uint32_t channel_bits(const struct ptx_tex *t, const uint8_t *p, unsigned c)
{
    uint16_t h;
    uint32_t v;

    switch (t->bits) {
    case 8:
        return p[c];
    case 16:
        memcpy(&h, p + 2 * c, 2);
        return h;
    default:
        memcpy(&v, p + 4 * (size_t)c, 4);
        return v;
    }
}

static double channel_value(const struct ptx_tex *t, uint32_t v, unsigned c)
{
    double top, r;

    switch (t->elem) {
    case TE_FLOAT:
        return t->bits == 16 ? (double)h2f((uint16_t)v) : (double)bits_float(v);
    case TE_UINT:
    case TE_UNORM:
        r = (double)v / (t->bits == 8 ? 255 : t->bits == 16 ? 65535 : 4294967295.0);
        return t->srgb && c < 3 ? linear_of_srgb(r) : r;
    default:
        top = t->bits == 8 ? 127 : t->bits == 16 ? 32767 : 2147483647.0;
        r = (t->bits == 8 ? (int8_t)v : t->bits == 16 ? (int16_t)v : (int32_t)v) / top;
        return r < -1 ? -1 : r;
    }
}

static void read_texel(const struct ptx_tex *t, const struct ptx_mem *m, uint64_t addr,
                       struct texel *o)
{
    uint8_t raw[16] = {0};
    bool f = float_result(t);

    memcpy(raw, (const void *)(uintptr_t)(m->base | (addr & m->mask)), t->bytes);
    for (unsigned c = 0; c < 4; c++) {
        uint32_t v = c < t->channels ? channel_bits(t, raw, c) : 0;

        o->raw[c] = v;
        if (f)
            o->f[c] = c < t->channels ? channel_value(t, v, c) : 0;
        else if (c >= t->channels)
            o->u[c] = 0;
        else if (t->elem == TE_SINT)
            o->u[c] = t->bits == 8 ? (uint32_t)(int8_t)v : t->bits == 16 ? (uint32_t)(int16_t)v : v;
        else
            o->u[c] = v;
    }
}

static void border_texel(const struct ptx_tex *t, struct texel *o)
{
    bool f = float_result(t);

    for (unsigned c = 0; c < 4; c++) {
        double v = bits_float(t->border[c]);

        o->raw[c] = t->border[c];
        if (f)
            o->f[c] = v;
        else
            o->u[c] = t->border[c];
    }
}

/* An index after the address mode; -1: border. */
static int64_t address(int64_t i, uint32_t n, unsigned mode)
{
    switch (mode) {
    case TA_WRAP:
        i %= n;
        return i < 0 ? i + n : i;
    case TA_MIRROR:
        i %= 2 * (int64_t)n;
        if (i < 0)
            i += 2 * (int64_t)n;
        return i < n ? i : 2 * (int64_t)n - 1 - i;
    case TA_BORDER:
        return i < 0 || i >= n ? -1 : i;
    default:
        return i < 0 ? 0 : i >= n ? (int64_t)n - 1 : i;
    }
}

/* ---- cube maps --------------------------------------------------------------------------- */

/* Direction to face and position on it, 0..1. */
static unsigned cube_face(const double d[3], double *s, double *t)
{
    double ax = fabs(d[0]), ay = fabs(d[1]), az = fabs(d[2]), m, a, b;
    unsigned face;

    if (ax >= ay && ax >= az) {
        face = d[0] < 0;
        m = ax;
        a = face ? d[2] : -d[2];
        b = -d[1];
    } else if (ay >= az) {
        face = 2 + (d[1] < 0);
        m = ay;
        a = d[0];
        b = face == 2 ? d[2] : -d[2];
    } else {
        face = 4 + (d[2] < 0);
        m = az;
        a = face == 4 ? d[0] : -d[0];
        b = -d[1];
    }
    *s = m > 0 ? (a / m + 1) / 2 : 0.5;
    *t = m > 0 ? (b / m + 1) / 2 : 0.5;
    return face;
}

static void cube_direction(unsigned face, double s, double t, double d[3])
{
    double a = 2 * s - 1, b = 2 * t - 1;

    switch (face) {
    case 0:
        d[0] = 1, d[1] = -b, d[2] = -a;
        break;
    case 1:
        d[0] = -1, d[1] = -b, d[2] = a;
        break;
    case 2:
        d[0] = a, d[1] = 1, d[2] = b;
        break;
    case 3:
        d[0] = a, d[1] = -1, d[2] = -b;
        break;
    case 4:
        d[0] = a, d[1] = -b, d[2] = 1;
        break;
    default:
        d[0] = -a, d[1] = -b, d[2] = -1;
        break;
    }
}

/* A texel beyond an edge lies on the neighbouring face. */
static unsigned cube_step(unsigned face, int64_t *x, int64_t *y, uint32_t n)
{
    double d[3], s, t;

    cube_direction(face, ((double)*x + 0.5) / n, ((double)*y + 0.5) / n, d);
    face = cube_face(d, &s, &t);
    *x = address((int64_t)floor(s * n), n, TA_CLAMP);
    *y = address((int64_t)floor(t * n), n, TA_CLAMP);
    return face;
}

/* ---- one level --------------------------------------------------------------------------- */

static void fetch(const struct ptx_tex *t, const struct ptx_mem *m, const struct tex_level *l,
                  const int64_t i[3], unsigned face, uint32_t layer, struct texel *o)
{
    int64_t x = i[0], y = i[1], z = i[2];
    bool out = false;

    if (t->linear_memory && t->shape == TS_1D) {
        if (x < 0 || x >= l->width) {
            *o = (struct texel){.exact = o->exact};
            return;
        }
        read_texel(t, m, l->addr + (uint64_t)x * t->bytes, o);
        return;
    }
    if (t->shape == TS_CUBE && t->seamless) {
        bool ox = x < 0 || x >= l->width, oy = y < 0 || y >= l->height;

        if (ox && oy) /* no fourth texel at a corner */
            y = address(y, l->height, TA_CLAMP);
        if (ox || oy)
            face = cube_step(face, &x, &y, l->width);
    } else {
        x = address(x, l->width, t->address[0]);
        out = x < 0;
        if (t->shape != TS_1D || y < 0) {
            y = address(y, l->height, t->address[1]);
            out |= y < 0;
        }
        if (t->shape == TS_3D) {
            z = address(z, l->depth, t->address[2]);
            out |= z < 0;
        }
    }
    if (out) {
        border_texel(t, o);
        return;
    }
    if (t->shape == TS_1D)
        y = 0;
    if (t->shape == TS_CUBE)
        z = (int64_t)layer * 6 + face;
    else if (t->shape != TS_3D)
        z = layer;
    read_texel(t, m,
               l->addr + (uint64_t)z * l->slice + (uint64_t)y * l->pitch + (uint64_t)x * t->bytes,
               o);
}

static unsigned ndim(const struct ptx_tex *t)
{
    return t->shape == TS_1D ? 1 : t->shape == TS_3D ? 3 : 2;
}

/* A position in 1/256 texels: the fixed-point number that hardware makes of a coordinate. */
static int64_t fixed(double x)
{
    if (!(x == x))
        return 0;
    x = floor(x * 256 + 0.5);
    return x > 1e12 ? (int64_t)1e12 : x < -1e12 ? -(int64_t)1e12 : (int64_t)x;
}

/* Position in texels of the level; the face of a cube map. */
static unsigned position(const struct ptx_tex *t, const struct tex_level *l,
                         const struct tex_where *w, double pos[3])
{
    const uint32_t size[3] = {l->width, l->height, l->depth};
    unsigned face = 0;

    if (t->shape == TS_CUBE) {
        const double d[3] = {w->x[0], w->x[1], w->x[2]};

        face = cube_face(d, &pos[0], &pos[1]);
        pos[0] *= l->width;
        pos[1] *= l->height;
        return face;
    }
    for (unsigned i = 0; i < ndim(t); i++) {
        double x = w->x[i];

        if (t->normalized) {
            /* Where it wraps, whole turns go first, so that large coordinates keep their bits. */
            if (t->address[i] == TA_WRAP)
                x -= floor(x);
            x *= size[i];
        }
        pos[i] = x;
    }
    return face;
}

static uint32_t layer_of(const struct ptx_tex *t, const struct tex_where *w)
{
    uint32_t n = t->shape == TS_CUBE ? t->layers / 6 : t->layers;

    if (!t->layered || !n)
        return 0;
    /* As the hardware has it: unsigned, so that layers below 0 are the last one. */
    return (uint32_t)w->layer >= n ? n - 1 : (uint32_t)w->layer;
}

static void sample_level(const struct ptx_tex *t, const struct ptx_mem *m,
                         const struct tex_level *l, const struct tex_where *w, struct texel *o)
{
    uint32_t layer = layer_of(t, w);
    unsigned n = ndim(t), face;
    int64_t i0[3] = {0};
    unsigned a[3] = {0};
    double pos[3] = {0};

    o->exact = true;
    if (w->integer) {
        for (unsigned i = 0; i < n; i++)
            i0[i] = w->xi[i];
        fetch(t, m, l, i0, 0, layer, o);
        return;
    }
    face = position(t, l, w, pos);
    if (!t->linear || !float_result(t)) {
        for (unsigned i = 0; i < n; i++)
            i0[i] = fixed(pos[i]) >> 8;
        fetch(t, m, l, i0, face, layer, o);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        int64_t f = fixed(pos[i] - 0.5);

        i0[i] = f >> 8;
        a[i] = (unsigned)(f & 255);
    }
    o->exact = false;
    /* To the hardware one dimension is two, at 0 of the second: half of it is border there. */
    if (t->shape == TS_1D && t->address[1] == TA_BORDER)
        n = 2;
    for (unsigned i = ndim(t); i < n; i++) {
        i0[i] = -1;
        a[i] = 128;
    }
    memset(o->f, 0, sizeof(o->f));
    for (unsigned k = 0; k < 1u << n; k++) {
        double weight = 1;
        struct texel e;
        int64_t at[3];

        for (unsigned i = 0; i < 3; i++) {
            bool up = k >> i & 1;

            at[i] = i0[i] + up;
            if (i < n)
                weight *= (up ? a[i] : 256 - a[i]) / 256.0;
        }
        if (weight == 0) /* an infinity there must not spoil the sum */
            continue;
        fetch(t, m, l, at, face, layer, &e);
        for (unsigned c = 0; c < 4; c++)
            o->f[c] += weight * e.f[c];
    }
}

/* ---- levels ------------------------------------------------------------------------------ */

static double level_of(const struct ptx_tex *t, const struct tex_where *w)
{
    double lod = 0;

    if (w->has_lod)
        lod = w->lod == w->lod ? w->lod + (double)t->bias : 0;
    lod = lod < t->min_lod ? t->min_lod : lod > t->max_lod ? t->max_lod : lod;
    return !(lod > 0) ? 0 : lod > t->nlevel - 1 ? t->nlevel - 1 : lod;
}

void tex_sample(const struct ptx_tex *t, const struct ptx_mem *m, const struct tex_where *w,
                uint32_t out[4])
{
    double lod = level_of(t, w);
    struct texel a, b;
    unsigned l, part;

    if (t->mip_linear && float_result(t)) {
        int64_t f = fixed(lod);

        l = (unsigned)(f >> 8);
        part = (unsigned)(f & 255);
    } else {
        l = (unsigned)floor(lod + 0.5);
        part = 0;
    }
    sample_level(t, m, &t->level[l], w, &a);
    if (part && l + 1 < t->nlevel) {
        sample_level(t, m, &t->level[l + 1], w, &b);
        a.exact = false;
        for (unsigned c = 0; c < 4; c++)
            a.f[c] += (b.f[c] - a.f[c]) * part / 256.0;
    }
    if (t->elem == TE_FLOAT && t->bits == 32 && a.exact)
        memcpy(out, a.raw, sizeof(a.raw)); /* whatever the bits mean */
    else if (float_result(t))
        for (unsigned c = 0; c < 4; c++)
            out[c] = float_bits((float)a.f[c]);
    else
        memcpy(out, a.u, sizeof(a.u));
}

void tex_gather(const struct ptx_tex *t, const struct ptx_mem *m, const struct tex_where *w,
                unsigned comp, uint32_t out[4])
{
    static const uint8_t dx[4] = {0, 1, 1, 0}, dy[4] = {1, 1, 0, 0};
    const struct tex_level *l = &t->level[(unsigned)floor(level_of(t, w) + 0.5)];
    double pos[3] = {0};
    unsigned face = 0;
    int64_t i0[2];

    if (w->integer) {
        i0[0] = w->xi[0];
        i0[1] = w->xi[1];
    } else {
        face = position(t, l, w, pos);
        i0[0] = fixed(pos[0] - 0.5) >> 8;
        i0[1] = fixed(pos[1] - 0.5) >> 8;
    }
    for (unsigned k = 0; k < 4; k++) {
        const int64_t at[3] = {i0[0] + dx[k], i0[1] + dy[k], 0};
        struct texel e;

        fetch(t, m, l, at, face, layer_of(t, w), &e);
        out[k] = float_result(t) ? float_bits((float)e.f[comp]) : e.u[comp];
    }
}

float tex_grad_lod(const struct ptx_tex *t, const float *x, const float *dx, const float *dy)
{
    const struct tex_level *l = &t->level[0];
    double size[3] = {l->width, l->height, l->depth}, a = 0, b = 0, major = 0;
    unsigned n = ndim(t);

    if (t->shape == TS_CUBE) {
        n = 3;
        for (unsigned i = 0; i < 3; i++)
            if (fabs(x[i]) > major)
                major = fabs(x[i]);
        for (unsigned i = 0; i < 3; i++)
            size[i] = major > 0 ? l->width / (2 * major) : 0;
    } else if (!t->normalized) {
        size[0] = size[1] = size[2] = 1;
    }
    for (unsigned i = 0; i < n; i++) {
        a += dx[i] * size[i] * dx[i] * size[i];
        b += dy[i] * size[i] * dy[i] * size[i];
    }
    if (b > a)
        a = b;
    return a > 0 ? (float)(log2(a) / 2) : -1000.0f;
}

/* ---- surfaces ---------------------------------------------------------------------------- */

static bool inside(int32_t *v, uint64_t limit, bool clamp)
{
    if (*v >= 0 && (uint64_t)*v < limit)
        return true;
    *v = *v < 0 ? 0 : (int32_t)(limit - 1);
    return clamp;
}

void *tex_surface(const struct ptx_tex *t, const struct ptx_mem *m, int32_t x, int32_t y, int32_t z,
                  uint32_t n, bool clamp)
{
    const struct tex_level *l = &t->level[0];
    uint64_t row = (uint64_t)l->width * t->bytes;
    int32_t at = x / (int32_t)n - (x < 0);
    uint64_t addr;

    if (row < n || !inside(&at, row / n, clamp) ||
        !inside(&y, t->shape == TS_1D ? 1 : l->height, clamp) ||
        !inside(&z,
                t->shape == TS_3D ? l->depth
                : t->layers       ? t->layers
                                  : 1,
                clamp))
        return NULL;
    addr = l->addr + (uint64_t)z * l->slice + (uint64_t)y * l->pitch + (uint64_t)at * n;
    return (void *)(uintptr_t)(m->base | (addr & m->mask));
}
