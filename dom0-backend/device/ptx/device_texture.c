/* SPDX-License-Identifier: MIT */
/* device_texture.c - texture and surface objects: what the sampler needs to know of each. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/device/ptx/device_array.h"

#define LINEAR_ALIGN 512u
#define LINEAR_BYTES (1ull << 32)
#define PITCH_ALIGN  32u

/* CU_TRSF_* */
#define READ_AS_INTEGER 0x01u
#define NORMALIZED      0x02u
#define SRGB            0x10u
#define NO_TRILINEAR    0x20u /* an optimisation that this sampler does not have */
#define SEAMLESS        0x40u

/* ---- the table --------------------------------------------------------------------------- */

void objects_init(struct objects *o)
{
    pthread_mutex_init(&o->lock, NULL);
    o->generation = 1;
}

void objects_fini(struct objects *o)
{
    for (unsigned i = 0; i < OBJECTS_MAX / OBJECTS_PAGE; i++)
        free(o->page[i]);
    free(o->free);
    free(o->gone);
    pthread_mutex_destroy(&o->lock);
}

/* Never 0. The generation keeps the handle of an object that is gone from meaning another. */
static uint64_t handle_of(uint32_t slot, uint32_t generation)
{
    return (uint64_t)generation << 32 | (slot + 1);
}

int objects_claim(struct dev *d, uint64_t handle)
{
    uint32_t slot = (uint32_t)handle - 1, generation = (uint32_t)(handle >> 32);
    struct objects *o = &d->objects;

    if (slot >= OBJECTS_MAX || generation > 0xffff || objects_find(d, handle))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&o->lock);
    o->claim = handle;
    if (o->generation <= generation)
        o->generation = generation + 1;
    pthread_mutex_unlock(&o->lock);
    return 0;
}

/* Makes a slot the next one to be used, on a device in which nothing was destroyed so far. False: it
 * is in use. */
static bool make_free(struct objects *o, uint32_t slot)
{
    uint32_t i = 0;

    while (o->next <= slot) {
        uint32_t p = o->next / OBJECTS_PAGE;

        if (!o->page[p])
            o->page[p] = calloc(OBJECTS_PAGE, sizeof(o->page[p][0]));
        if (!o->page[p])
            return false;
        o->free[o->nfree++] = o->next++;
    }
    while (i < o->nfree && o->free[i] != slot)
        i++;
    if (i == o->nfree)
        return false;
    o->free[i] = o->free[o->nfree - 1];
    o->free[o->nfree - 1] = slot;
    return true;
}

static int objects_add(struct objects *o, const struct ptx_tex *t, struct storage *s,
                       uint64_t *handle)
{
    int err = CUDA_ERROR_OUT_OF_MEMORY;
    uint32_t slot, p;

    pthread_mutex_lock(&o->lock);
    if (!o->free)
        o->free = malloc(OBJECTS_MAX * sizeof(*o->free));
    if (!o->gone)
        o->gone = malloc(OBJECTS_MAX * sizeof(*o->gone));
    if (!o->free || !o->gone || (!o->nfree && o->next == OBJECTS_MAX))
        goto out;
    if (o->claim && !make_free(o, (uint32_t)o->claim - 1))
        goto out;
    slot = o->nfree ? o->free[o->nfree - 1] : o->next;
    p = slot / OBJECTS_PAGE;
    if (!o->page[p])
        o->page[p] = calloc(OBJECTS_PAGE, sizeof(o->page[p][0]));
    if (!o->page[p])
        goto out;
    if (o->nfree)
        o->nfree--;
    else
        o->next++;
    *handle = o->claim ? o->claim : handle_of(slot, o->generation++ & 0xffff);
    o->claim = 0;
    o->page[p][slot % OBJECTS_PAGE].tex = *t;
    o->page[p][slot % OBJECTS_PAGE].storage = s;
    o->page[p][slot % OBJECTS_PAGE].gone = false;
    if (s)
        storage_get(s);
    __atomic_store_n(&o->page[p][slot % OBJECTS_PAGE].tex.handle, *handle, __ATOMIC_RELEASE);
    err = 0;
out:
    pthread_mutex_unlock(&o->lock);
    return err;
}

const struct ptx_tex *objects_find(void *arg, uint64_t handle)
{
    struct objects *o = &((struct dev *)arg)->objects;
    uint32_t slot = (uint32_t)handle - 1;
    const struct ptx_tex *t;

    if (slot >= OBJECTS_MAX || !o->page[slot / OBJECTS_PAGE])
        return NULL;
    t = &o->page[slot / OBJECTS_PAGE][slot % OBJECTS_PAGE].tex;
    return __atomic_load_n(&t->handle, __ATOMIC_ACQUIRE) == handle ? t : NULL;
}

static struct object *object_at(struct objects *o, uint32_t slot)
{
    return &o->page[slot / OBJECTS_PAGE][slot % OBJECTS_PAGE];
}

/* Takes one object away whose last possible use has passed. False: there is none. */
static bool objects_sweep(struct dev *d)
{
    struct objects *o = &d->objects;
    struct storage *s = NULL;
    uint32_t i = 0;
    bool found;

    pthread_mutex_lock(&o->lock);
    while (i < o->ngone && !stream_passed(d, object_at(o, o->gone[i])->upto))
        i++;
    found = i < o->ngone;
    if (found) {
        struct object *x = object_at(o, o->gone[i]);

        s = x->storage;
        __atomic_store_n(&x->tex.handle, 0, __ATOMIC_RELEASE);
        o->free[o->nfree++] = o->gone[i];
        o->gone[i] = o->gone[--o->ngone];
    }
    pthread_mutex_unlock(&o->lock);
    if (s)
        storage_put(d, s);
    return found;
}

/* Programs destroy an object behind the launch that uses it. */
static int objects_drop(struct dev *d, uint64_t handle, bool surface)
{
    struct objects *o = &d->objects;
    uint32_t slot = (uint32_t)handle - 1;
    bool found;

    pthread_mutex_lock(&o->lock);
    found = objects_find(d, handle) && !object_at(o, slot)->gone &&
            object_at(o, slot)->tex.surface == surface;
    if (found) {
        object_at(o, slot)->gone = true;
        object_at(o, slot)->upto = stream_ticket(d);
        o->gone[o->ngone++] = slot;
    }
    pthread_mutex_unlock(&o->lock);
    while (objects_sweep(d))
        ;
    return found ? 0 : CUDA_ERROR_INVALID_VALUE;
}

/* ---- textures ---------------------------------------------------------------------------- */

static void use_format(struct ptx_tex *t, const struct format *f)
{
    t->elem = f->elem;
    t->bits = f->bits;
    t->channels = f->channels;
    t->bytes = (uint8_t)format_bytes(f);
}

static void use_array(struct ptx_tex *t, const struct dev_array *a)
{
    use_format(t, &a->format);
    t->shape = a->shape;
    t->layered = a->layered;
    t->layers = a->layers;
    t->level[0] = a->level;
    t->nlevel = 1;
}

static int use_linear(struct dev *d, struct ptx_tex *t, const struct dev_resource *r)
{
    struct tex_level *l = &t->level[0];
    struct format f;

    if (!format_of(r->format, r->channels, &f) || r->addr % LINEAR_ALIGN)
        return CUDA_ERROR_INVALID_VALUE;
    use_format(t, &f);
    t->nlevel = 1;
    t->layers = 1;
    t->linear_memory = true;
    l->addr = r->addr;
    l->height = l->depth = 1;
    if (r->type == DEV_RES_LINEAR) {
        if (r->bytes > LINEAR_BYTES || !r->addr ||
            (r->bytes && !arena_valid(&d->arena, r->addr, r->bytes)))
            return CUDA_ERROR_INVALID_VALUE;
        t->shape = TS_1D;
        l->width = (uint32_t)(r->bytes / t->bytes);
        l->pitch = l->slice = r->bytes;
        return 0;
    }
    /* The driver does not compare the width with the pitch. Rows that are not there fault. */
    if (r->width > MAX_2D_WIDTH || r->height > MAX_LINEAR_HEIGHT || r->pitch > MAX_LINEAR_PITCH ||
        r->pitch % PITCH_ALIGN || !arena_valid(&d->arena, r->addr, 1))
        return CUDA_ERROR_INVALID_VALUE;
    t->shape = TS_2D;
    l->width = r->width ? (uint32_t)r->width : 1;
    l->height = r->height ? (uint32_t)r->height : 1;
    l->pitch = r->pitch;
    l->slice = r->pitch * r->height;
    return 0;
}

/* CUresourceViewFormat 1..24: by element type, then width, then channels. */
static bool view_format(uint32_t number, struct format *f)
{
    static const struct {
        uint8_t elem, bits;
    } kind[] = {{TE_UINT, 8},  {TE_SINT, 8},  {TE_UINT, 16},  {TE_SINT, 16},
                {TE_UINT, 32}, {TE_SINT, 32}, {TE_FLOAT, 16}, {TE_FLOAT, 32}};

    if (number < 1 || number > 24)
        return false;
    f->elem = kind[(number - 1) / 3].elem;
    f->bits = kind[(number - 1) / 3].bits;
    f->channels = (uint8_t)(1u << (number - 1) % 3);
    return true;
}

static int use_view(struct ptx_tex *t, const struct dev_view *v)
{
    struct format f;

    if (v->format > 24)
        return CUDA_ERROR_NOT_SUPPORTED; /* block compression */
    if (!v->format)
        return CUDA_ERROR_INVALID_VALUE;
    if (!view_format(v->format, &f) || format_bytes(&f) != t->bytes)
        return CUDA_ERROR_INVALID_VALUE;
    use_format(t, &f);
    if ((v->width && v->width != t->level[0].width) ||
        (v->height && t->shape != TS_1D && v->height != t->level[0].height) ||
        v->first_level > v->last_level || v->last_level >= t->nlevel ||
        v->first_layer > v->last_layer || (t->layers > 1 && v->depth != t->layers) ||
        (v->last_layer && (t->shape == TS_3D || v->last_layer >= t->layers)))
        return CUDA_ERROR_INVALID_VALUE;
    t->nlevel = v->last_level - v->first_level + 1;
    memmove(&t->level[0], &t->level[v->first_level], t->nlevel * sizeof(t->level[0]));
    if (v->last_layer) {
        t->layers = v->last_layer - v->first_layer + 1;
        for (uint32_t i = 0; i < t->nlevel; i++)
            t->level[i].addr += t->level[i].slice * v->first_layer;
    }
    return 0;
}

/* A border colour as the format of the texels can hold it, which is how hardware keeps it. */
static uint32_t border_bits(const struct ptx_tex *t, float v, unsigned channel)
{
    bool s = t->elem == TE_SINT || t->elem == TE_SNORM, srgb = t->srgb && channel < 3;
    double top = (t->bits == 8 ? 255 : 65535) >> s, x = v;
    uint32_t bits;

    if (t->bits < 32 && (t->as_float || t->elem == TE_UNORM || t->elem == TE_SNORM)) {
        x = x > 1 ? 1 : x > (s ? -1 : 0) ? x : s ? -1 : 0;
        if (srgb)
            x = x <= 0.0031308 ? x * 12.92 : 1.055 * pow(x, 1 / 2.4) - 0.055;
        x = ceil(x * top - 0.5) / top;
        if (srgb)
            x = x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4);
    }
    v = (float)x;
    memcpy(&bits, &v, 4);
    return bits;
}

static int use_sampler(struct ptx_tex *t, const struct dev_sampler *s)
{
    bool narrow = t->bits < 32 && (t->elem == TE_UINT || t->elem == TE_SINT);
    bool whole = t->elem == TE_UINT || t->elem == TE_SINT;

    if (s->flags & ~(READ_AS_INTEGER | NORMALIZED | SRGB | NO_TRILINEAR | SEAMLESS))
        return CUDA_ERROR_INVALID_VALUE;
    if (s->filter > 1 || s->mip_filter > 1)
        return CUDA_ERROR_INVALID_VALUE;
    t->as_float = narrow && !(s->flags & READ_AS_INTEGER);
    t->srgb = s->flags & SRGB && t->as_float && t->bits == 8 && t->elem == TE_UINT;
    t->normalized = s->flags & NORMALIZED;
    t->seamless = s->flags & SEAMLESS;
    t->linear = s->filter == 1;
    t->mip_linear = s->mip_filter == 1;
    if (t->linear_memory && t->shape == TS_1D)
        t->linear = t->mip_linear = t->normalized = false; /* ignored there */
    else if (t->linear && whole && !t->as_float)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < 3; i++) {
        if (s->address[i] > TA_BORDER)
            return CUDA_ERROR_INVALID_VALUE;
        t->address[i] = (uint8_t)s->address[i];
        if (!t->normalized && (s->address[i] == TA_WRAP || s->address[i] == TA_MIRROR))
            t->address[i] = TA_CLAMP;
    }
    t->bias = s->mip_bias;
    t->min_lod = s->mip_min;
    t->max_lod = s->mip_max;
    for (unsigned i = 0; i < 4; i++)
        t->border[i] = border_bits(t, s->border[i], i);
    return 0;
}

static int texture_create(struct dev *d, const struct dev_resource *r, const struct dev_sampler *s,
                          const struct dev_view *v, uint64_t *handle)
{
    struct storage *storage = NULL;
    struct ptx_tex t = {0};
    int err = dev_sticky(d);

    if (err)
        return err;
    switch (r->type) {
    case DEV_RES_ARRAY:
        use_array(&t, r->array);
        storage = r->array->storage;
        break;
    case DEV_RES_MIPMAP:
        use_array(&t, &r->mipmap->level[0]);
        for (uint32_t i = 0; i < r->mipmap->n; i++)
            t.level[i] = r->mipmap->level[i].level;
        t.nlevel = r->mipmap->n;
        storage = r->mipmap->storage;
        break;
    default:
        v = NULL; /* not looked at */
        err = use_linear(d, &t, r);
        break;
    }
    if (!err && v)
        err = use_view(&t, v);
    if (!err)
        err = use_sampler(&t, s);
    while (objects_sweep(d))
        ;
    return err ? err : objects_add(&d->objects, &t, storage, handle);
}

static int texture_destroy(struct dev *d, uint64_t handle)
{
    return objects_drop(d, handle, false);
}

/* ---- surfaces ---------------------------------------------------------------------------- */

static int surface_create(struct dev *d, struct dev_array *a, uint64_t *handle)
{
    struct ptx_tex t = {.surface = true};
    int err = dev_sticky(d);

    if (err)
        return err;
    use_array(&t, a);
    while (objects_sweep(d))
        ;
    return objects_add(&d->objects, &t, a->storage, handle);
}

static int surface_destroy(struct dev *d, uint64_t handle)
{
    return objects_drop(d, handle, true);
}

const struct dev_texture_ops dev_ptx_texture_ops = {
    .array_create = swdev_array_create,
    .array_destroy = swdev_array_destroy,
    .mipmap_create = swdev_mipmap_create,
    .mipmap_destroy = swdev_mipmap_destroy,
    .mipmap_level = swdev_mipmap_level,
    .texture_create = texture_create,
    .texture_destroy = texture_destroy,
    .surface_create = surface_create,
    .surface_destroy = surface_destroy,
};
