/* SPDX-License-Identifier: MIT */
/*
 * device_array.c - arrays. One is a block of device memory with its rows one behind the other; that
 * kernels could reach it by address as well gives them nothing that is not their own guest's.
 */
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/device/ptx/device_array.h"

#define LEVEL_ALIGN 512u
#define PITCH_ALIGN 16u
#define FLAGS                                                                                      \
    (ARRAY_LAYERED | ARRAY_SURFACE | ARRAY_CUBEMAP | ARRAY_GATHER | ARRAY_DEPTH | ARRAY_COLOR)

/* ---- formats ----------------------------------------------------------------------------- */

bool format_of(uint32_t format, uint32_t channels, struct format *f)
{
    static const struct {
        uint8_t number, elem, bits;
    } plain[] = {{0x01, TE_UINT, 8},   {0x02, TE_UINT, 16}, {0x03, TE_UINT, 32},
                 {0x08, TE_SINT, 8},   {0x09, TE_SINT, 16}, {0x0a, TE_SINT, 32},
                 {0x10, TE_FLOAT, 16}, {0x20, TE_FLOAT, 32}};

    if (channels != 1 && channels != 2 && channels != 4)
        return false;
    f->channels = (uint8_t)channels;
    for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (plain[i].number != format)
            continue;
        f->elem = plain[i].elem;
        f->bits = plain[i].bits;
        return true;
    }
    if (format < 0xc0 || format > 0xcb || channels != 1u << (format - 0xc0) % 3)
        return false;
    f->elem = format < 0xc6 ? TE_UNORM : TE_SNORM;
    f->bits = (format - 0xc0) / 3 % 2 ? 16 : 8;
    return true;
}

/* ---- memory ------------------------------------------------------------------------------ */

void storage_get(struct storage *s)
{
    atomic_fetch_add(&s->refs, 1);
}

void storage_put(struct dev *d, struct storage *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    arena_free(&d->arena, s->addr, ARENA_MODULE, NULL);
    free(s);
}

/* ---- geometry ---------------------------------------------------------------------------- */

static bool within(uint64_t v, uint64_t limit)
{
    return v >= 1 && v <= limit;
}

/* What the driver accepts; fills the shape. */
static int shape_of(const struct dev_array_desc *q, bool mipmapped, struct dev_array *a)
{
    bool layered = q->flags & ARRAY_LAYERED, cube = q->flags & ARRAY_CUBEMAP, fits;

    if (q->flags & ~FLAGS)
        return q->flags & (ARRAY_SPARSE | ARRAY_DEFERRED) ? CUDA_ERROR_NOT_SUPPORTED
                                                          : CUDA_ERROR_INVALID_VALUE;
    if (!format_of(q->format, q->channels, &a->format))
        return CUDA_ERROR_INVALID_VALUE;
    a->layered = layered;
    if (cube) {
        a->shape = TS_CUBE;
        fits = within(q->width, MAX_LAYERED) && q->height == q->width &&
               (layered ? within(q->depth, MAX_CUBE_LAYERS) && q->depth % 6 == 0 : q->depth == 6);
    } else if (layered) {
        a->shape = q->height ? TS_2D : TS_1D;
        fits = within(q->width, MAX_LAYERED) && q->height <= MAX_LAYERED &&
               within(q->depth, MAX_LAYERS);
    } else if (q->depth) {
        a->shape = TS_3D;
        fits = within(q->width, MAX_3D) && within(q->height, MAX_3D) && within(q->depth, MAX_3D);
    } else if (q->height) {
        uint32_t w = mipmapped || q->flags & ARRAY_GATHER ? MAX_LAYERED : MAX_2D_WIDTH;
        uint32_t h = mipmapped || q->flags & ARRAY_GATHER ? MAX_LAYERED : MAX_2D_HEIGHT;

        a->shape = TS_2D;
        fits = within(q->width, w) && within(q->height, h);
    } else {
        a->shape = TS_1D;
        fits = within(q->width, mipmapped ? MAX_LAYERED : MAX_1D);
    }
    if (q->flags & ARRAY_GATHER && a->shape != TS_2D && a->shape != TS_CUBE)
        fits = false;
    a->layers = cube || layered ? (uint32_t)q->depth : 1;
    return fits ? 0 : CUDA_ERROR_INVALID_VALUE;
}

static uint32_t half(uint64_t v, uint32_t level)
{
    v >>= level;
    return v ? (uint32_t)v : 1;
}

/* Lays a level out from `at` on; returns its octets. */
static uint64_t lay_out(const struct dev_array_desc *q, uint32_t level, struct dev_array *a,
                        uint64_t at)
{
    struct tex_level *l = &a->level;

    l->addr = at;
    l->width = half(q->width, level);
    l->height = half(q->height, level);
    l->depth = a->shape == TS_3D ? half(q->depth, level) : 1;
    l->pitch = ((uint64_t)l->width * format_bytes(&a->format) + PITCH_ALIGN - 1) &
               ~(uint64_t)(PITCH_ALIGN - 1);
    l->slice = l->pitch * l->height;
    return l->slice * (a->shape == TS_3D ? l->depth : a->layers);
}

/* ---- arrays ------------------------------------------------------------------------------ */

static int make(struct dev *d, const struct dev_array_desc *q, uint32_t want, bool mipmapped,
                struct dev_mipmap **out)
{
    struct dev_mipmap *m;
    uint64_t at = 0, most = q->width > q->height ? q->width : q->height;
    uint32_t top = 1;
    int err = dev_sticky(d);

    if (err)
        return err;
    m = calloc(1, sizeof(*m));
    if (!m)
        return CUDA_ERROR_OUT_OF_MEMORY;
    err = shape_of(q, mipmapped, &m->level[0]);
    if (err)
        goto fail;
    if (m->level[0].shape == TS_3D && q->depth > most)
        most = q->depth;
    while (most >>= 1)
        top++;
    m->n = want < 1 ? 1 : want > top ? top : want;
    for (uint32_t i = 0; i < m->n; i++) {
        m->level[i] = m->level[0];
        at += lay_out(q, i, &m->level[i], at);
        at = (at + LEVEL_ALIGN - 1) & ~(uint64_t)(LEVEL_ALIGN - 1);
    }
    err = CUDA_ERROR_OUT_OF_MEMORY;
    m->storage = calloc(1, sizeof(*m->storage));
    if (!m->storage)
        goto fail;
    atomic_init(&m->storage->refs, 1);
    err = arena_alloc(&d->arena, at, ARENA_MODULE, &m->storage->addr);
    if (err) {
        free(m->storage);
        goto fail;
    }
    for (uint32_t i = 0; i < m->n; i++) {
        m->level[i].storage = m->storage;
        m->level[i].level.addr += m->storage->addr;
    }
    *out = m;
    return 0;
fail:
    free(m);
    return err;
}

int swdev_array_create(struct dev *d, const struct dev_array_desc *q, struct dev_array **out)
{
    struct dev_mipmap *m;
    struct dev_array *a;
    int err = make(d, q, 1, false, &m);

    if (err)
        return err;
    a = malloc(sizeof(*a));
    if (!a) {
        storage_put(d, m->storage);
        free(m);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *a = m->level[0];
    free(m);
    *out = a;
    return 0;
}

/* As with memory: kernels and copies that were issued before may use it. */
static int wait_unused(struct dev *d)
{
    int err = dev_sticky(d);

    return err ? err : stream_drain(d, NULL);
}

int swdev_array_destroy(struct dev *d, struct dev_array *a)
{
    int err = wait_unused(d);

    storage_put(d, a->storage);
    free(a);
    return err;
}

int swdev_mipmap_create(struct dev *d, const struct dev_array_desc *q, uint32_t levels,
                        struct dev_mipmap **out)
{
    return make(d, q, levels, true, out);
}

int swdev_mipmap_destroy(struct dev *d, struct dev_mipmap *m)
{
    int err = wait_unused(d);

    storage_put(d, m->storage);
    free(m);
    return err;
}

int swdev_mipmap_level(struct dev *d, struct dev_mipmap *m, uint32_t level, struct dev_array **out)
{
    struct dev_array *a;
    int err = dev_sticky(d);

    if (err)
        return err;
    if (level >= m->n)
        return CUDA_ERROR_INVALID_VALUE;
    a = malloc(sizeof(*a));
    if (!a)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *a = m->level[level];
    storage_get(a->storage);
    *out = a;
    return 0;
}

/* ---- copies ------------------------------------------------------------------------------ */

static bool part(uint64_t from, uint64_t n, uint64_t of)
{
    return from <= of && n <= of - from;
}

int array_side(const struct dev_copy *c, struct dev_copy_side *s)
{
    const struct dev_array *a = s->array;
    const struct tex_level *l = &a->level;

    if (!part(s->x, c->width, (uint64_t)l->width * format_bytes(&a->format)) ||
        !part(s->y, c->height, l->height) ||
        !part(s->z, c->depth, a->shape == TS_3D ? l->depth : a->layers))
        return CUDA_ERROR_INVALID_VALUE;
    s->type = DEV_MEM_DEVICE;
    s->addr = l->addr;
    s->pitch = l->pitch;
    s->height = l->height;
    s->array = NULL;
    return 0;
}
