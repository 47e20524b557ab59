/* SPDX-License-Identifier: MIT */
/*
 * texture.c - texture and surface objects: found by the handles that the device gave them.
 */
#include "array.h"
#include "box.h"
#include "objects.h"
#include "stubs.h"

#include <string.h>

#define BUCKETS 1024u

struct texture {
    struct gvm_obj o;
    uint64_t handle;
    bool surface, viewed;
    CUDA_RESOURCE_DESC r;
    CUDA_TEXTURE_DESC t;
    CUDA_RESOURCE_VIEW_DESC v;
    void *owner;
    struct texture *next; /* of the same bucket */
};

static struct gvm_idtab textures = GVM_IDTAB_INIT(5, struct texture);
static struct texture *bucket[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the buckets */

static struct texture **bucket_of(uint64_t handle)
{
    return &bucket[(handle * 0x9e3779b97f4a7c15ull >> 40) % BUCKETS];
}

static void add(struct texture *x)
{
    struct texture **b = bucket_of(x->handle);

    pthread_mutex_lock(&lock);
    x->next = *b;
    *b = x;
    pthread_mutex_unlock(&lock);
}

/* The object of a handle, taken out of its bucket if `take`. */
static struct texture *find(uint64_t handle, bool surface, bool take)
{
    struct texture **at = bucket_of(handle), *x;

    pthread_mutex_lock(&lock);
    while (*at && ((*at)->handle != handle || (*at)->surface != surface))
        at = &(*at)->next;
    x = *at;
    if (x && take)
        *at = x->next;
    pthread_mutex_unlock(&lock);
    return x;
}

/* ---- creation ---------------------------------------------------------------------------- */

static int array_of(const CUDA_RESOURCE_DESC *r, uint32_t *id)
{
    unsigned elem;

    return gvm_array_look((uintptr_t)r->res.array.hArray, id, &elem);
}

static int create(struct gvm_chan *c, struct texture *x)
{
    const CUDA_TEXTURE_DESC *t = &x->t;
    const CUDA_RESOURCE_VIEW_DESC *v = &x->v;
    const CUDA_RESOURCE_DESC *r = &x->r;
    const uint32_t address[3] = {t->addressMode[0], t->addressMode[1], t->addressMode[2]};
    const uint32_t levels[2] = {v->firstMipmapLevel, v->lastMipmapLevel};
    const uint32_t layers[2] = {v->firstLayer, v->lastLayer};
    uint64_t addr = 0, bytes = 0, width = 0, height = 0, pitch = 0;
    uint32_t array = 0, format = 0, channels = 0, border[4];
    int rc = 0;

    switch (r->resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        rc = array_of(r, &array);
        break;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
        rc = gvm_mipmap_look((uintptr_t)r->res.mipmap.hMipmappedArray, &array);
        break;
    case CU_RESOURCE_TYPE_LINEAR:
        addr = r->res.linear.devPtr;
        bytes = r->res.linear.sizeInBytes;
        format = r->res.linear.format;
        channels = r->res.linear.numChannels;
        break;
    case CU_RESOURCE_TYPE_PITCH2D:
        addr = r->res.pitch2D.devPtr;
        width = r->res.pitch2D.width;
        height = r->res.pitch2D.height;
        pitch = r->res.pitch2D.pitchInBytes;
        format = r->res.pitch2D.format;
        channels = r->res.pitch2D.numChannels;
        break;
    default:
        rc = 1;
    }
    if (rc)
        return rc;
    memcpy(border, t->borderColor, sizeof(border));
    return vgpu_TextureCreate(c, 0, x->o.id, r->resType, array, addr, bytes, width, height, pitch,
                              format, channels, address, t->filterMode, t->flags, t->maxAnisotropy,
                              t->mipmapFilterMode, t->mipmapLevelBias, t->minMipmapLevelClamp,
                              t->maxMipmapLevelClamp, border, x->viewed, v->format, v->width,
                              v->height, v->depth, levels, layers, &x->handle);
}

int gvm_texture_create(const CUDA_RESOURCE_DESC *r, const CUDA_TEXTURE_DESC *t,
                       const CUDA_RESOURCE_VIEW_DESC *v, uint64_t *handle)
{
    struct gvm_chan *c;
    struct texture *x;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!r || !t || !handle)
        return 1;
    x = gvm_id_new(&textures);
    if (!x)
        return 2;
    x->r = *r;
    x->t = *t;
    if (v)
        x->v = *v;
    x->viewed = v != NULL;
    x->owner = gvm_owner();
    rc = create(c, x);
    if (rc) {
        gvm_id_free(&textures, x);
        return rc;
    }
    add(x);
    *handle = x->handle;
    return 0;
}

int gvm_surface_create(const CUDA_RESOURCE_DESC *r, uint64_t *handle)
{
    struct gvm_chan *c;
    struct texture *x;
    uint32_t array = 0;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!r || !handle || r->resType != CU_RESOURCE_TYPE_ARRAY)
        return 1;
    rc = array_of(r, &array);
    if (rc)
        return rc;
    x = gvm_id_new(&textures);
    if (!x)
        return 2;
    x->r = *r;
    x->surface = true;
    x->owner = gvm_owner();
    rc = vgpu_SurfaceCreate(c, 0, x->o.id, array, &x->handle);
    if (rc) {
        gvm_id_free(&textures, x);
        return rc;
    }
    add(x);
    *handle = x->handle;
    return 0;
}

/* ---- the rest ---------------------------------------------------------------------------- */

int gvm_texture_destroy(uint64_t handle, bool surface)
{
    struct gvm_chan *c;
    struct texture *x;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    x = find(handle, surface, true);
    if (!x)
        return 1;
    rc = vgpu_TextureDestroy(c, 0, x->o.id);
    gvm_id_free(&textures, x);
    return rc;
}

int gvm_texture_desc(uint64_t handle, bool surface, CUDA_RESOURCE_DESC *r, CUDA_TEXTURE_DESC *t,
                     CUDA_RESOURCE_VIEW_DESC *v)
{
    const struct texture *x;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    x = find(handle, surface, false);
    if (!x)
        return 1;
    if (r)
        *r = x->r;
    if (t)
        *t = x->t;
    if (v)
        *v = x->v;
    return 0;
}

struct ending {
    const void *owner;
    bool all;
};

static void end_one(void *obj, void *arg)
{
    const struct ending *e = arg;
    struct texture *x = obj;

    if (e->all) {
        find(x->handle, x->surface, true);
        gvm_id_free(&textures, x);
    } else if (x->owner == e->owner) {
        gvm_texture_destroy(x->handle, x->surface);
    }
}

void gvm_textures_end(const void *owner, bool all)
{
    struct ending e = {owner, all};

    gvm_id_each(&textures, end_one, &e);
}
