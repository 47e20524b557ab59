/* SPDX-License-Identifier: MIT */
/*
 * module.c - loading images and knowing what is in them.
 *
 * An image is sent whole, once: one that may have been sent before is offered by its hash first. What
 * comes back is a table of kernels with their parameter layouts, so that nothing here parses ELF
 * or PTX.
 */
#include "blocks.h"
#include "library.h"
#include "log.h"
#include "objects.h"
#include "pool.h"
#include "stubs.h"
#include "table.h"

#include <blake2.h>
#include <stdlib.h>
#include <string.h>

#define SIZES_MAX   256
#define TABLE_FIRST (64u << 10) /* octets; larger tables are asked for again */

struct idmod {
    struct gvm_obj o;
};
static struct gvm_idtab ids = GVM_IDTAB_INIT(3, struct idmod);

/* Sizes of the images that this connection has seen. Hashing a large one takes longer than loading
 * it, and one of a new size cannot have been sent. */
static struct {
    pthread_mutex_t lock;
    uint64_t size[SIZES_MAX];
    unsigned n;
} sent = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct {
    pthread_mutex_t lock;
    struct gvm_module *first;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

/* len: the least that it may take. */
static int fetch_table(struct gvm_chan *c, struct gvm_module *m, size_t len)
{
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

/* Where a module's table comes with the answer that it is loaded. */
struct room {
    void *p; /* TABLE_FIRST octets of the pool */
    struct gvm_pool_ref ref;
    uint64_t size; /* of the table; 0: it has not come */
};

static int room_get(struct room *t)
{
    t->size = 0;
    t->p = gvm_pool_alloc(TABLE_FIRST);
    return t->p && gvm_pool_find(t->p, TABLE_FIRST, &t->ref) ? 0 : 2;
}

static void room_put(struct room *t)
{
    if (t->p)
        gvm_pool_free(t->p, TABLE_FIRST);
    t->p = NULL;
}

static int send_image(struct gvm_chan *c, uint32_t id, const struct gvm_image *i, bool ahead,
                      struct room *t)
{
    struct gvm_pool_ref ref;
    size_t n = i->size;
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
    memcpy(p, i->data, n);
    GVM_MAKE_ROOM(rc, c,
                  vgpu_ModuleLoad(c, 0, id, ahead, ref.chunk, ref.off, ref.len, t->ref.chunk,
                                  t->ref.off, t->ref.len, &nfunc, &nglobal, &t->size, log, 400,
                                  &log_len));
    log[log_len < 400 ? log_len : 400] = 0;
    if (rc && log_len && !ahead)
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

/* True if an image of that size may have been sent; the next one may. */
static bool maybe_sent(uint64_t size)
{
    bool found = false;

    pthread_mutex_lock(&sent.lock);
    for (unsigned i = 0; i < sent.n && !found; i++)
        found = sent.size[i] == size;
    if (!found && sent.n < SIZES_MAX) {
        sent.size[sent.n++] = size;
        pthread_mutex_unlock(&sent.lock);
        return false;
    }
    pthread_mutex_unlock(&sent.lock);
    return true; /* or so many that nobody knows */
}

static int load_plain(struct gvm_chan *c, uint32_t id, const struct gvm_image *i, struct room *t)
{
    uint32_t nfunc, nglobal;
    uint8_t hash[32];
    int rc;

    if (!maybe_sent(i->size))
        return send_image(c, id, i, false, t);
    blake2b(hash, i->data, NULL, sizeof(hash), i->size, 0);
    GVM_MAKE_ROOM(rc, c,
                  vgpu_ModuleFind(c, 0, id, hash, t->ref.chunk, t->ref.off, t->ref.len, &nfunc,
                                  &nglobal, &t->size));
    return rc == 500 ? send_image(c, id, i, false, t) : rc;
}

static int load_with_options(struct gvm_chan *c, uint32_t id, const struct gvm_image *i,
                             const struct gvm_jit *jit)
{
    struct gvm_pool_ref ref, at;
    struct gvm_logs logs;
    uint32_t nfunc, nglobal, threads = 0;
    float wall = 0;
    void *p;
    int rc = gvm_logs_take(jit, &logs);

    if (rc)
        return rc;
    p = gvm_pool_alloc(i->size);
    rc = 2;
    if (p && gvm_pool_find(p, i->size, &ref) && ref.len == i->size &&
        gvm_pool_find(logs.p, logs.room, &at) && at.len == logs.room) {
        memcpy(p, i->data, i->size);
        GVM_MAKE_ROOM(rc, c,
                      vgpu_ModuleLoadEx(c, 0, id, ref.chunk, ref.off, ref.len, at.chunk, at.off,
                                        at.len, jit->info_max, jit->error_max, jit->opt,
                                        jit->n * (uint32_t)sizeof(jit->opt[0]), &nfunc, &nglobal,
                                        &wall, &threads));
        gvm_logs_give(jit, &logs);
    }
    if (rc == 0 && jit->wall)
        memcpy(jit->wall, &wall, sizeof(wall));
    if (rc == 0 && jit->threads)
        *jit->threads = (void *)(uintptr_t)threads;
    if (p)
        gvm_pool_free(p, i->size);
    gvm_logs_drop(&logs);
    return rc;
}

static int load(struct gvm_chan *c, uint32_t id, const struct gvm_image *i,
                const struct gvm_jit *jit, enum gvm_when when, struct room *t)
{
    if (jit)
        return load_with_options(c, id, i, jit);
    if (when == GVM_AHEAD) {
        int rc = send_image(c, id, i, true, t); /* most likely new */

        if (rc == 0)
            maybe_sent(i->size);
        return rc;
    }
    return load_plain(c, id, i, t);
}

int gvm_module_load_image(const struct gvm_image *i, const struct gvm_jit *jit, void *owner,
                          enum gvm_when when, struct gvm_module **out)
{
    struct room t = {.p = NULL};
    struct gvm_module *m;
    struct idmod *id;
    struct gvm_chan *c;
    int rc = owner == GVM_OWNER_LIBRARY ? gvm_need_chan(&c) : gvm_need(&c);

    if (rc)
        return rc;
    m = calloc(1, sizeof(*m));
    id = gvm_id_new(&ids);
    if (!m || !id) {
        rc = 2;
        goto fail;
    }
    m->id = id->o.id;
    m->epoch = gvm.epoch;
    m->owner = owner;
    rc = room_get(&t);
    if (rc == 0)
        rc = load(c, m->id, i, jit, when, &t);
    if (rc)
        goto fail;
    if (t.size && t.size <= TABLE_FIRST)
        rc = copy_table(m, t.p, t.size);
    else
        rc = fetch_table(c, m, t.size > TABLE_FIRST ? t.size : TABLE_FIRST);
    if (rc) {
        vgpu_ModuleUnload(c, 0, m->id);
        goto fail;
    }
    m->magic = GVM_MODULE_MAGIC;
    pthread_mutex_lock(&all.lock);
    m->next = all.first;
    all.first = m;
    pthread_mutex_unlock(&all.lock);
    room_put(&t);
    *out = m;
    gvm_output();
    return 0;
fail:
    room_put(&t);
    if (id)
        gvm_id_free(&ids, id);
    if (m)
        module_free(m);
    return rc;
}

int gvm_module_load_options(const void *image, unsigned n, const int *opt, void **val,
                            struct gvm_module **out)
{
    struct gvm_image i;
    struct gvm_jit jit;
    int rc = gvm_jit_take(n, opt, val, &jit);

    if (rc)
        return rc;
    if (!image || !out)
        return 1;
    rc = gvm_image_take(image, &i);
    if (rc == 0)
        rc = gvm_module_load_image(&i, n ? &jit : NULL, gvm_owner(), GVM_NOW, out);
    gvm_image_drop(&i);
    return rc;
}

int gvm_module_load(const void *image, struct gvm_module **out)
{
    return gvm_module_load_options(image, 0, NULL, NULL, out);
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
    int rc = gvm_need_chan(&c);

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
        m->funcs[i].magic = m->funcs[i].epoch = 0;
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
            m->funcs[i].magic = m->funcs[i].epoch = 0;
    }
    all.first = NULL;
    pthread_mutex_unlock(&all.lock);
    pthread_mutex_lock(&sent.lock);
    sent.n = 0;
    pthread_mutex_unlock(&sent.lock);
    gvm_id_each(&ids, forget, &ids);
    gvm_linkers_reset();
    gvm_libraries_reset();
}

/* ---- what is in a module ----------------------------------------------------------------- */

int gvm_module_func(struct gvm_module *m, const char *name, struct gvm_func **f)
{
    if (!gvm_module_valid(m))
        return 400;
    if (!name || !*name || !f)
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
    struct gvm_func *f;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!gvm_module_valid(m))
        return 400;
    if (!name || (!dptr && !size))
        return 1;
    rc = vgpu_ModuleGlobal(c, 0, m->id, name, &g.base, &g.size);
    if (rc == 500 && gvm_module_func(m, name, &f) == 0)
        return 1; /* there, but no variable */
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

struct gvm_func *gvm_func_find(const void *p)
{
    struct gvm_func *f = NULL;

    pthread_mutex_lock(&all.lock);
    for (struct gvm_module *m = all.first; m && !f; m = m->next) {
        uintptr_t off = (uintptr_t)p - (uintptr_t)m->funcs;

        if (off < m->nfunc * sizeof(*f) && off % sizeof(*f) == 0)
            f = &m->funcs[off / sizeof(*f)];
    }
    pthread_mutex_unlock(&all.lock);
    return f;
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

void gvm_func_learn(struct gvm_func *f, const int32_t attr[16])
{
    pthread_mutex_lock(&all.lock);
    memcpy(f->attr, attr, sizeof(f->attr));
    memcpy(f->need_cluster, &attr[11], sizeof(f->need_cluster)); /* REQUIRED_CLUSTER_WIDTH... */
    __atomic_store_n(&f->have_attr, true, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&all.lock);
}

int gvm_func_attrs(struct gvm_func *f, int32_t attr[16])
{
    int32_t a[16];
    struct gvm_chan *c;
    int rc = gvm_need_chan(&c);

    if (rc)
        return rc;
    if (!gvm_func_valid(f))
        return 400;
    if (!__atomic_load_n(&f->have_attr, __ATOMIC_ACQUIRE)) {
        rc = vgpu_FuncInfo(c, 0, f->module_id, f->index, a);
        if (rc)
            return rc;
        gvm_func_learn(f, a);
    }
    pthread_mutex_lock(&all.lock);
    memcpy(attr, f->attr, sizeof(f->attr));
    pthread_mutex_unlock(&all.lock);
    return 0;
}

int gvm_func_set_attr(struct gvm_func *f, int attr, int value)
{
    struct gvm_chan *c;
    int rc = gvm_need_chan(&c);

    if (rc)
        return rc;
    if (!gvm_func_valid(f))
        return 400;
    rc = vgpu_FuncSetAttr(c, 0, f->module_id, f->index, attr, value);
    __atomic_store_n(&f->have_attr, false, __ATOMIC_RELEASE);
    /* What a launch may need has changed: the next one of each shape is asked again. */
    gvm_shapes_forget(f);
    __atomic_store_n(&f->shape_ex, 0, __ATOMIC_RELAXED);
    return rc;
}

bool gvm_func_too_long(const struct gvm_func *f, size_t n)
{
    return gvm_func_valid(f) && n > f->param_bytes;
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
