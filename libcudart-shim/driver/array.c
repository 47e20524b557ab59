/* SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "array.h"
#include "box.h"
#include "log.h"
#include "objects.h"
#include "stubs.h"

#define LEVELS 18u
#define UNHANDLED                                                                                  \
    (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING | CUDA_ARRAY3D_VIDEO_ENCODE_DECODE)

struct array {
    struct gvm_obj o;
    CUDA_ARRAY3D_DESCRIPTOR q;
    unsigned elem; /* octets */
    unsigned rows, slices;
    bool mipmap;
    uint64_t level[LEVELS]; /* mipmap: arrays of the levels, 0: not made */
    uint64_t parent;        /* level: the mipmapped array */
    void *owner;
};

static struct gvm_idtab arrays = GVM_IDTAB_INIT(4, struct array);
static pthread_mutex_t level_lock = PTHREAD_MUTEX_INITIALIZER;

static struct array *get(uint64_t handle, bool mipmap)
{
    struct array *a = gvm_id_get(&arrays, handle);

    return a && a->mipmap == mipmap ? a : NULL;
}

/* ---- formats ----------------------------------------------------------------------------- */

unsigned gvm_format_bytes(unsigned format, unsigned channels)
{
    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return channels;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 2 * channels;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 4 * channels;
    default:
        if (format < CU_AD_FORMAT_UNORM_INT8X1 || format > CU_AD_FORMAT_SNORM_INT16X4)
            return 0;
        /* Their numbers go by sign, width, channels. */
        format -= CU_AD_FORMAT_UNORM_INT8X1;
        return (1u << format % 3) << format / 3 % 2;
    }
}

/* Formats of block compression and video, which this version does not carry. */
static bool known_format(unsigned f)
{
    return (f >= CU_AD_FORMAT_BC1_UNORM && f <= CU_AD_FORMAT_YUV444_16bit_SemiPlanar) ||
           f == CU_AD_FORMAT_UNORM_INT_101010_2;
}

static int check(const CUDA_ARRAY3D_DESCRIPTOR *q)
{
    static uint32_t said_format, said_flags;

    if (!gvm_format_bytes(q->Format, q->NumChannels))
        return known_format(q->Format)
                   ? gvm_refused("an array of a compressed or video format", &said_format)
                   : 1;
    if (q->Flags & UNHANDLED)
        return gvm_refused("a sparse, deferred-mapping or video array", &said_flags);
    return 0;
}

/* ---- life -------------------------------------------------------------------------------- */

static struct array *make(const CUDA_ARRAY3D_DESCRIPTOR *q, bool mipmap)
{
    struct array *a = gvm_id_new(&arrays);

    if (!a)
        return NULL;
    a->q = *q;
    a->elem = gvm_format_bytes(q->Format, q->NumChannels);
    a->rows = q->Height ? (unsigned)q->Height : 1;
    a->slices = q->Depth ? (unsigned)q->Depth : 1;
    a->mipmap = mipmap;
    a->owner = gvm_owner();
    return a;
}

int gvm_array_create(const CUDA_ARRAY3D_DESCRIPTOR *q, unsigned levels, uint64_t *array)
{
    struct gvm_chan *c;
    struct array *a;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!q || !array)
        return 1;
    rc = check(q);
    if (rc)
        return rc;
    a = make(q, levels > 0);
    if (!a)
        return 2;
    GVM_MAKE_ROOM(rc, c,
                  vgpu_ArrayCreate(c, 0, a->o.id, q->Width, q->Height, q->Depth, q->Format,
                                   q->NumChannels, q->Flags, levels));
    if (rc)
        gvm_id_free(&arrays, a);
    else
        *array = gvm_handle(&arrays, a);
    return rc;
}

static int end(struct gvm_chan *c, struct array *a)
{
    int rc = vgpu_ArrayDestroy(c, 0, a->o.id);

    gvm_id_free(&arrays, a);
    return rc;
}

int gvm_array_destroy(uint64_t array, bool mipmap)
{
    struct gvm_chan *c;
    struct array *a, *l;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    a = get(array, mipmap);
    if (!a)
        return 400;
    if (a->parent)
        return 1; /* a level ends with its mipmapped array */
    for (unsigned i = 0; mipmap && i < LEVELS; i++) {
        l = a->level[i] ? get(a->level[i], false) : NULL;
        if (l)
            end(c, l);
    }
    return end(c, a);
}

int gvm_array_desc(uint64_t array, bool mipmap, CUDA_ARRAY3D_DESCRIPTOR *q)
{
    const struct array *a;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    a = get(array, mipmap);
    if (!a)
        return 400;
    *q = a->q;
    return 0;
}

static size_t half(size_t v, unsigned level)
{
    return !v ? 0 : v >> level ? v >> level : 1;
}

static int make_level(struct gvm_chan *c, struct array *m, unsigned level)
{
    CUDA_ARRAY3D_DESCRIPTOR q = m->q;
    struct array *a;
    int rc;

    q.Width = half(q.Width, level);
    q.Height = half(q.Height, level);
    if (!(q.Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)))
        q.Depth = half(q.Depth, level);
    a = make(&q, false);
    if (!a)
        return 2;
    a->parent = gvm_handle(&arrays, m);
    a->owner = m->owner;
    rc = vgpu_ArrayLevel(c, 0, m->o.id, a->o.id, level);
    if (rc)
        gvm_id_free(&arrays, a);
    else
        m->level[level] = gvm_handle(&arrays, a);
    return rc;
}

int gvm_array_level(uint64_t mipmap, unsigned level, uint64_t *array)
{
    struct gvm_chan *c;
    struct array *m;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    m = get(mipmap, true);
    if (!m)
        return 400;
    if (level >= LEVELS || !array)
        return 1;
    pthread_mutex_lock(&level_lock);
    if (!m->level[level])
        rc = make_level(c, m, level);
    if (rc == 0)
        *array = m->level[level];
    pthread_mutex_unlock(&level_lock);
    return rc;
}

struct ending {
    const void *owner;
    bool all;
    struct gvm_chan *c;
};

static void end_one(void *obj, void *arg)
{
    const struct ending *e = arg;
    struct array *a = obj;

    if (e->all)
        gvm_id_free(&arrays, a);
    else if (a->owner == e->owner && e->c)
        end(e->c, a);
}

void gvm_arrays_end(const void *owner, bool all)
{
    struct ending e = {owner, all, all ? NULL : gvm_usable()};

    gvm_id_each(&arrays, end_one, &e);
}

/* ---- copies ------------------------------------------------------------------------------ */

int gvm_array_look(uint64_t array, uint32_t *id, unsigned *elem)
{
    const struct array *a = get(array, false);

    if (!a)
        return 400;
    *id = a->o.id;
    *elem = a->elem;
    return 0;
}

int gvm_mipmap_look(uint64_t mipmap, uint32_t *id)
{
    const struct array *a = get(mipmap, true);

    if (!a)
        return 400;
    *id = a->o.id;
    return 0;
}

static bool part(uint64_t from, uint64_t n, uint64_t of)
{
    return from <= of && n <= of - from;
}

int gvm_array_fits(const struct gvm_end *e, const struct gvm_box *b)
{
    const struct array *a = gvm_id_at(&arrays, e->id);

    if (!a)
        return 1;
    return part(e->x, b->width, a->q.Width * a->elem) && part(e->y, b->height, a->rows) &&
                   part(e->z, b->depth, a->slices)
               ? 0
               : 1;
}

/* The next piece of a run of n octets from *x of row *y on: the rest of a row, or whole rows. */
static void piece(const struct array *a, size_t x, size_t n, size_t *width, size_t *height)
{
    size_t row = a->q.Width * a->elem;

    *height = 1;
    if (x || n < row) {
        *width = n < row - x ? n : row - x;
    } else {
        *width = row;
        *height = n / row;
    }
}

static void step(const struct array *a, size_t *x, size_t *y, size_t width, size_t height)
{
    *x += width;
    if (*x >= a->q.Width * a->elem) {
        *x = 0;
        *y += height;
    }
}

/* A run has to end inside the first slice. */
static int run_fits(const struct array *a, size_t x, size_t y, size_t n)
{
    size_t row = a->q.Width * a->elem;

    return x < row && y < a->rows && n <= row * a->rows - (y * row + x) ? 0 : 1;
}

int gvm_array_copy(uint64_t array, size_t x, size_t y, uint64_t addr, size_t n, bool to_array,
                   enum gvm_dir dir, uint64_t stream, bool sync)
{
    const struct array *a;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    a = get(array, false);
    if (!a)
        return 400;
    if (!n)
        return 0;
    rc = run_fits(a, x, y, n);
    while (n && rc == 0) {
        struct gvm_box b = {.depth = 1, .dir = dir};
        struct gvm_end in = {.array = true, .id = a->o.id, .x = x, .y = y}, out = {.addr = addr};

        piece(a, x, n, &b.width, &b.height);
        out.pitch = b.width;
        out.height = b.height;
        b.dst = to_array ? in : out;
        b.src = to_array ? out : in;
        rc = gvm_copy_box(&b, stream, sync);
        addr += b.width * b.height;
        n -= b.width * b.height;
        step(a, &x, &y, b.width, b.height);
    }
    return rc;
}

int gvm_array_copy_array(uint64_t dst, size_t dx, size_t dy, uint64_t src, size_t sx, size_t sy,
                         size_t n, uint64_t stream, bool sync)
{
    const struct array *d, *s;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    d = get(dst, false);
    s = get(src, false);
    if (!d || !s)
        return 400;
    if (!n)
        return 0;
    if (run_fits(d, dx, dy, n) || run_fits(s, sx, sy, n))
        return 1;
    while (n && rc == 0) {
        struct gvm_box b = {.dst = {.array = true, .id = d->o.id, .x = dx, .y = dy},
                            .src = {.array = true, .id = s->o.id, .x = sx, .y = sy},
                            .height = 1,
                            .depth = 1,
                            .dir = GVM_D2D};
        size_t w, h;

        piece(d, dx, n, &b.width, &h);
        piece(s, sx, n, &w, &h);
        if (w < b.width)
            b.width = w;
        rc = gvm_copy_box(&b, stream, sync);
        n -= b.width;
        step(d, &dx, &dy, b.width, 1);
        step(s, &sx, &sy, b.width, 1);
    }
    return rc;
}
