/* SPDX-License-Identifier: MIT */
/*
 * module.c - loading images and knowing what is in them.
 *
 * An image is offered by its hash first; only a worker that has not seen it gets its octets. What
 * comes back is a table of kernels with their parameter layouts, so that nothing here parses ELF
 * or PTX.
 */
#include "module.h"
#include "log.h"
#include "objects.h"
#include "pool.h"
#include "stubs.h"
#include "table.h"

#include <blake2.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_FIRST (64u << 10) /* octets; larger tables are asked for again */

struct idmod {
    struct gvm_obj o;
};
static struct gvm_idtab ids = GVM_IDTAB_INIT(3, struct idmod);

static struct {
    pthread_mutex_t lock;
    struct gvm_module *first;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the size of an image ---------------------------------------------------------------- */

/* Octets of an image by its own headers; 0: none of the formats that a driver takes. */
static size_t image_size(const void *image)
{
    const uint8_t *b = image;
    uint32_t magic;

    memcpy(&magic, b, 4);
    if (magic == 0xba55ed50) { /* fatbin: u16 version, u16 header size, u64 size after it */
        uint16_t header;
        uint64_t size;

        memcpy(&header, b + 6, 2);
        memcpy(&size, b + 8, 8);
        return header + size;
    }
    if (!memcmp(b, "\177ELF", 4)) { /* cubin: the section headers come last, or the segments */
        uint64_t shoff, phoff, end = 64;
        uint16_t phsize, phnum, shsize, shnum;

        memcpy(&phoff, b + 32, 8);
        memcpy(&shoff, b + 40, 8);
        memcpy(&phsize, b + 54, 2);
        memcpy(&phnum, b + 56, 2);
        memcpy(&shsize, b + 58, 2);
        memcpy(&shnum, b + 60, 2);
        if (phoff + (uint64_t)phsize * phnum > end)
            end = phoff + (uint64_t)phsize * phnum;
        if (shoff + (uint64_t)shsize * shnum > end)
            end = shoff + (uint64_t)shsize * shnum;
        for (unsigned i = 0; i < shnum && shsize >= 64; i++) {
            const uint8_t *sh = b + shoff + (uint64_t)i * shsize;
            uint32_t type;
            uint64_t off, size;

            memcpy(&type, sh + 4, 4);
            memcpy(&off, sh + 24, 8);
            memcpy(&size, sh + 32, 8);
            if (type != 8 /* NOBITS */ && off + size > end)
                end = off + size;
        }
        return end;
    }
    /* PTX text, with the NUL that ends it */
    return strlen(image) + 1;
}

/* ---- the table --------------------------------------------------------------------------- */

static int take_table(struct gvm_module *m, const uint8_t *t, size_t size)
{
    struct gvm_table_count n;
    struct gvm_param *q;
    char *name;

    if (gvm_table_count(t, size, &n))
        return -1;
    m->funcs = calloc(n.nfunc ? n.nfunc : 1, sizeof(*m->funcs));
    m->params = calloc(n.nparam ? n.nparam : 1, sizeof(*m->params));
    m->names = malloc(n.name_bytes ? n.name_bytes : 1);
    if (!m->funcs || !m->params || !m->names)
        return -1;
    q = m->params;
    name = m->names;
    m->nfunc = n.nfunc;
    for (uint32_t i = 0; i < n.nfunc; i++) {
        struct gvm_func *f = &m->funcs[i];
        struct gvm_table_func tf;
        uint32_t covered = 0;

        gvm_table_next(t, &n, &tf);
        *f = (struct gvm_func){.magic = GVM_FUNC_MAGIC,
                               .index = i,
                               .module_id = m->id,
                               .epoch = m->epoch,
                               .nparam = tf.nparam,
                               .param_bytes = tf.param_bytes,
                               .params = q,
                               .module = m,
                               .name = name};
        for (uint32_t p = 0; p < tf.nparam; p++) {
            q[p] = (struct gvm_param){tf.params[p].offset, tf.params[p].size};
            covered += q[p].size;
            /* The launch writes to offset .. offset + size of a buffer of param_bytes. */
            if (q[p].offset > tf.param_bytes || q[p].size > tf.param_bytes - q[p].offset)
                return -1;
        }
        f->gaps = covered != tf.param_bytes;
        q += tf.nparam;
        memcpy(name, tf.name, tf.name_len);
        name[tf.name_len] = 0;
        name += tf.name_len + 1;
    }
    return 0;
}

/* The worker can still write to the pool: what is checked and used is a copy. */
static int copy_table(struct gvm_module *m, const void *shared, size_t size)
{
    uint8_t *t = malloc(size ? size : 1);
    int rc = 2;

    if (!t)
        return 2;
    memcpy(t, shared, size);
    if (take_table(m, t, size)) {
        gvm_log("the worker's table of a module is malformed (%zu bytes)", size);
        rc = 999;
    } else {
        rc = 0;
    }
    free(t);
    return rc;
}

static int fetch_table(struct gvm_chan *c, struct gvm_module *m)
{
    size_t len = TABLE_FIRST;
    int rc;

    for (;;) {
        struct gvm_pool_ref ref;
        uint64_t size = 0;
        void *p = gvm_pool_alloc(len);

        if (!p || !gvm_pool_find(p, len, &ref))
            return 2;
        rc = vgpu_ModuleTable(c, 0, m->id, ref.chunk, ref.off, ref.len, &size);
        if (rc == 0 && size <= len)
            rc = copy_table(m, p, size);
        gvm_pool_free(p, len);
        if (rc || size <= len)
            return rc;
        if (size > VGPU_MAX_CHUNK_PAGES * (uint64_t)VGPU_PAGE_SIZE)
            return 2;
        len = size;
    }
}

/* ---- loading ----------------------------------------------------------------------------- */

static int send_image(struct gvm_chan *c, uint32_t id, const void *image, size_t n)
{
    struct gvm_pool_ref ref;
    char log[401];
    uint32_t nfunc, nglobal, log_len = 0;
    void *p = gvm_pool_alloc(n);
    int rc;

    if (!p)
        return 2;
    if (!gvm_pool_find(p, n, &ref) || ref.len != n) {
        gvm_log("a module image of %zu bytes is too large: one pool chunk (%zu bytes) must hold it",
                n, (size_t)VGPU_MAX_CHUNK_PAGES * VGPU_PAGE_SIZE);
        rc = 2;
        goto out;
    }
    memcpy(p, image, n);
    rc = vgpu_ModuleLoad(c, 0, id, ref.chunk, ref.off, ref.len, &nfunc, &nglobal, log, 400,
                         &log_len);
    log[log_len < 400 ? log_len : 400] = 0;
    if (rc && log_len)
        gvm_log("module not loaded (error %d): %s", rc, log);
out:
    gvm_pool_free(p, n);
    return rc;
}

static void module_free(struct gvm_module *m)
{
    free(m->funcs);
    free(m->params);
    free(m->names);
    free(m);
}

int gvm_module_load(const void *image, struct gvm_module **out)
{
    struct gvm_module *m;
    struct idmod *id;
    struct gvm_chan *c;
    uint32_t nfunc, nglobal;
    uint8_t hash[32];
    size_t n;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!image || !out)
        return 1;
    n = image_size(image);
    m = calloc(1, sizeof(*m));
    id = gvm_id_new(&ids);
    if (!m || !id) {
        rc = 2;
        goto fail;
    }
    m->id = id->o.id;
    m->epoch = gvm.epoch;
    m->owner = gvm_owner();
    blake2b(hash, image, NULL, sizeof(hash), n, 0);
    rc = vgpu_ModuleFind(c, 0, m->id, hash, &nfunc, &nglobal);
    if (rc == 500)
        rc = send_image(c, m->id, image, n);
    if (rc)
        goto fail;
    rc = fetch_table(c, m);
    if (rc) {
        vgpu_ModuleUnload(c, 0, m->id);
        goto fail;
    }
    m->magic = GVM_MODULE_MAGIC;
    pthread_mutex_lock(&all.lock);
    m->next = all.first;
    all.first = m;
    pthread_mutex_unlock(&all.lock);
    *out = m;
    gvm_output();
    return 0;
fail:
    if (id)
        gvm_id_free(&ids, id);
    if (m)
        module_free(m);
    return rc;
}

bool gvm_module_valid(const struct gvm_module *m)
{
    const struct gvm_module *k;

    pthread_mutex_lock(&all.lock);
    for (k = all.first; k && k != m; k = k->next)
        ;
    pthread_mutex_unlock(&all.lock);
    return k && k->magic == GVM_MODULE_MAGIC;
}

int gvm_module_unload(struct gvm_module *m)
{
    struct gvm_module **at;
    struct gvm_range g;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!gvm_module_valid(m))
        return 400;
    rc = vgpu_ModuleUnload(c, 0, m->id);
    if (rc)
        return rc;
    while (gvm_ranges_take_owned(&gvm_allocs, m, &g))
        ;
    pthread_mutex_lock(&all.lock);
    for (at = &all.first; *at && *at != m; at = &(*at)->next)
        ;
    if (*at)
        *at = m->next;
    pthread_mutex_unlock(&all.lock);
    gvm_id_free(&ids, gvm_id_at(&ids, m->id));
    m->magic = 0;
    for (uint32_t i = 0; i < m->nfunc; i++)
        m->funcs[i].magic = 0;
    module_free(m);
    gvm_output();
    return 0;
}

void gvm_modules_unload_owned(void *owner)
{
    struct gvm_module *m;

    do {
        pthread_mutex_lock(&all.lock);
        for (m = all.first; m && m->owner != owner; m = m->next)
            ;
        pthread_mutex_unlock(&all.lock);
    } while (m && gvm_module_unload(m) == 0);
}

static void forget(void *obj, void *arg)
{
    gvm_id_free(arg, obj);
}

/* Not freed: a program may still hold CUfunctions into them. */
void gvm_modules_reset(void)
{
    pthread_mutex_lock(&all.lock);
    for (struct gvm_module *m = all.first; m; m = m->next) {
        m->magic = 0;
        for (uint32_t i = 0; i < m->nfunc; i++)
            m->funcs[i].magic = 0;
    }
    all.first = NULL;
    pthread_mutex_unlock(&all.lock);
    gvm_id_each(&ids, forget, &ids);
}

/* ---- what is in a module ----------------------------------------------------------------- */

int gvm_module_func(struct gvm_module *m, const char *name, struct gvm_func **f)
{
    if (!gvm_module_valid(m))
        return 400;
    if (!name || !f)
        return 1;
    for (uint32_t i = 0; i < m->nfunc; i++) {
        if (strcmp(m->funcs[i].name, name) == 0) {
            *f = &m->funcs[i];
            return 0;
        }
    }
    return 500;
}

unsigned gvm_module_nfunc(struct gvm_module *m)
{
    return m->nfunc;
}

struct gvm_func *gvm_module_func_at(struct gvm_module *m, unsigned i)
{
    return i < m->nfunc ? &m->funcs[i] : NULL;
}

int gvm_module_global(struct gvm_module *m, const char *name, uint64_t *dptr, uint64_t *size)
{
    struct gvm_range g = {.kind = GVM_GLOBAL, .owner = m};
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!gvm_module_valid(m))
        return 400;
    if (!name)
        return 1;
    rc = vgpu_ModuleGlobal(c, 0, m->id, name, &g.base, &g.size);
    if (rc)
        return rc;
    /* Asked for again, it is there already. */
    if (g.size)
        gvm_ranges_add(&gvm_allocs, &g);
    if (dptr)
        *dptr = g.base;
    if (size)
        *size = g.size;
    return 0;
}

/* ---- kernels ----------------------------------------------------------------------------- */

bool gvm_func_valid(const struct gvm_func *f)
{
    return f && f->magic == GVM_FUNC_MAGIC && f->epoch == gvm.epoch;
}

const char *gvm_func_name(const struct gvm_func *f)
{
    return f->name;
}

struct gvm_module *gvm_func_module(const struct gvm_func *f)
{
    return f->module;
}

int gvm_func_attrs(struct gvm_func *f, int32_t attr[16])
{
    int32_t a[16];
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!gvm_func_valid(f))
        return 400;
    if (!__atomic_load_n(&f->have_attr, __ATOMIC_ACQUIRE)) {
        rc = vgpu_FuncInfo(c, 0, f->module_id, f->index, a);
        if (rc)
            return rc;
        pthread_mutex_lock(&all.lock);
        memcpy(f->attr, a, sizeof(a));
        __atomic_store_n(&f->have_attr, true, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&all.lock);
    }
    pthread_mutex_lock(&all.lock);
    memcpy(attr, f->attr, sizeof(f->attr));
    pthread_mutex_unlock(&all.lock);
    return 0;
}

int gvm_func_set_attr(struct gvm_func *f, int attr, int value)
{
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!gvm_func_valid(f))
        return 400;
    rc = vgpu_FuncSetAttr(c, 0, f->module_id, f->index, attr, value);
    __atomic_store_n(&f->have_attr, false, __ATOMIC_RELEASE);
    /* What a launch may need has changed: the next one of each shape is asked again. */
    for (int i = 0; i < GVM_SHAPES; i++)
        __atomic_store_n(&f->shape[i], 0, __ATOMIC_RELAXED);
    return rc;
}

int gvm_func_param(struct gvm_func *f, size_t i, size_t *offset, size_t *size)
{
    if (!gvm_func_valid(f))
        return 400;
    if (i >= f->nparam)
        return 1;
    if (offset)
        *offset = f->params[i].offset;
    if (size)
        *size = f->params[i].size;
    return 0;
}

int gvm_occupancy(struct gvm_func *f, int block, size_t shmem, unsigned flags, int *blocks)
{
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!gvm_func_valid(f))
        return 400;
    if (!blocks || block <= 0 || flags > 1)
        return 1;
    return vgpu_Occupancy(c, 0, f->module_id, f->index, block, shmem, flags, blocks);
}
