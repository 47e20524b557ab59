/* SPDX-License-Identifier: MIT */
/*
 * register.c - what nvcc's generated code tells before main(): images, kernels, variables.
 *
 * Constructors only record. An image is sent when something in it is first used, so a program
 * that never calls CUDA never connects, and lazy loading stays lazy.
 */
#include "../driver/shadow.h"
#include "rt.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct image {
    struct image *next;   /* all that are registered */
    const void *wrapper;  /* of the fatbin, as generated code gives it */
    pthread_mutex_t lock; /* one load at a time */
    struct gvm_module *module;
    int err;                 /* of the last load, when a retry cannot help */
    struct managed *managed; /* variables that the host shares */
    uint64_t var_bytes;      /* all variables */
};

/* What is loaded with the context, so that the first launch need not wait for it: the images of a
 * program that has few and small ones. Whatever is larger, or has large variables, stays lazy. */
#define AHEAD_IMAGES 8u
#define AHEAD_BYTES  (256u << 10) /* of images */
#define AHEAD_VARS   (64u << 10)  /* of variables of one */

static struct {
    pthread_mutex_t lock;
    struct image *first;
    unsigned n;
} images = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A __managed__ variable: generated code reaches it through the slot. */
struct managed {
    struct managed *next;
    void **slot;
    const char *name;
};

struct var {
    const void *host;
    const char *name;
    struct image *image;
    uint64_t size;
};

/* Host address (and, for kernels, handle) -> what was registered under it. */
enum what { EMPTY = 0, GONE, FUNC, VAR };
struct slot {
    const void *key;
    enum what what;
    void *p;
};

static struct {
    pthread_rwlock_t lock;
    struct slot *v;
    size_t cap, used; /* used: not EMPTY */
} table = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static size_t hash(const void *key)
{
    return (size_t)((uintptr_t)key * 0x9e3779b97f4a7c15ull >> 20);
}

static struct slot *probe(const void *key)
{
    size_t i;

    if (!table.cap)
        return NULL;
    for (i = hash(key) & (table.cap - 1); table.v[i].what != EMPTY; i = (i + 1) & (table.cap - 1))
        if (table.v[i].key == key && table.v[i].what != GONE)
            return &table.v[i];
    return NULL;
}

static bool enlarge(void)
{
    size_t cap = table.cap ? table.cap * 2 : 256;
    struct slot *v = calloc(cap, sizeof(*v)), *old = table.v;
    size_t n = table.cap;

    if (!v)
        return false;
    table.v = v;
    table.cap = cap;
    table.used = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k;

        if (old[i].what <= GONE)
            continue;
        for (k = hash(old[i].key) & (cap - 1); v[k].what != EMPTY; k = (k + 1) & (cap - 1))
            ;
        v[k] = old[i];
        table.used++;
    }
    free(old);
    return true;
}

static bool insert(const void *key, enum what what, void *p)
{
    size_t i;
    struct slot *s;
    bool ok = true;

    pthread_rwlock_wrlock(&table.lock);
    s = probe(key);
    if (s) { /* the same stub registered twice: the last one counts */
        s->what = what;
        s->p = p;
    } else if (table.used * 2 >= table.cap && !enlarge()) {
        ok = false;
    } else {
        for (i = hash(key) & (table.cap - 1); table.v[i].what != EMPTY;
             i = (i + 1) & (table.cap - 1))
            ;
        table.v[i] = (struct slot){key, what, p};
        table.used++;
    }
    pthread_rwlock_unlock(&table.lock);
    return ok;
}

static void *find(const void *key, enum what what)
{
    struct slot *s;
    void *p = NULL;

    pthread_rwlock_rdlock(&table.lock);
    s = probe(key);
    if (s && s->what == what)
        p = s->p;
    pthread_rwlock_unlock(&table.lock);
    return p;
}

/* ---- called by generated code ------------------------------------------------------------ */

static void load_ahead(void);

/* Another thread of the parent may have held any of them. */
static void child_of_fork(void)
{
    pthread_mutex_init(&images.lock, NULL);
    for (struct image *i = images.first; i; i = i->next)
        pthread_mutex_init(&i->lock, NULL);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, child_of_fork);
}

RT_API void **__cudaRegisterFatBinary(void *fat)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct image *i = calloc(1, sizeof(*i));

    pthread_once(&once, watch_forks);
    if (!i) {
        gvm_say("out of memory while a program's kernels are registered");
        abort(); /* generated code has no way to be told */
    }
    i->wrapper = fat;
    pthread_mutex_init(&i->lock, NULL);
    pthread_mutex_lock(&images.lock);
    i->next = images.first;
    images.first = i;
    images.n++;
    pthread_mutex_unlock(&images.lock);
    gvm_on_context(load_ahead);
    return (void **)i;
}

RT_API void __cudaRegisterFatBinaryEnd(void **h)
{
}

/* Runs from atexit, too, where kernels may still be running: nothing is asked of the worker. */
RT_API void __cudaUnregisterFatBinary(void **h)
{
    struct image *i = (void *)h, **at;

    pthread_mutex_lock(&images.lock);
    for (at = &images.first; *at && *at != i; at = &(*at)->next)
        ;
    if (*at) {
        *at = (*at)->next;
        images.n--;
    }
    pthread_mutex_unlock(&images.lock);
    /* Its memory may go next: a thread that loads it now ends first. */
    pthread_mutex_lock(&i->lock);
    pthread_mutex_unlock(&i->lock);
    pthread_rwlock_wrlock(&table.lock);
    for (size_t k = 0; k < table.cap; k++) {
        struct slot *s = &table.v[k];

        if ((s->what == FUNC && ((struct rt_func *)s->p)->image == i) ||
            (s->what == VAR && ((struct var *)s->p)->image == i))
            s->what = GONE;
    }
    pthread_rwlock_unlock(&table.lock);
}

RT_API void __cudaRegisterFunction(void **h, const char *host, char *dev, const char *name,
                                   int thread_limit, uint3 *tid, uint3 *bid, dim3 *bdim, dim3 *gdim,
                                   int *wsize)
{
    struct rt_func *f = calloc(1, sizeof(*f));

    if (f) {
        *f = (struct rt_func){.again = {gvm_func_shape(NULL), rt_launch_other},
                              .host = host,
                              .name = name,
                              .image = (void *)h};
        insert(host, FUNC, f);
        insert(f, FUNC, f); /* cudaKernel_t is good wherever a kernel is named */
    }
}

RT_API void __cudaRegisterVar(void **h, char *host, char *dev, const char *name, int ext,
                              size_t size, int constant, int global)
{
    struct var *v = calloc(1, sizeof(*v));

    if (v) {
        *v = (struct var){.host = host, .name = name, .image = (void *)h, .size = size};
        v->image->var_bytes += size;
        insert(host, VAR, v);
    }
}

RT_API void __cudaRegisterManagedVar(void **h, void **host, char *dev, const char *name, int ext,
                                     size_t size, int constant, int global)
{
    struct managed *m = calloc(1, sizeof(*m));
    struct image *i = (void *)h;

    if (m) {
        *m = (struct managed){.next = i->managed, .slot = host, .name = name};
        i->managed = m;
    }
    __cudaRegisterVar(h, (char *)host, dev, name, ext, size, constant, global);
}

RT_API void __cudaRegisterHostVar(void **h, const char *name, char *host, size_t size)
{
    static uint32_t said;

    gvm_refused("__cudaRegisterHostVar", &said);
}

RT_API void __cudaRegisterUnifiedTable(void **h, void *t)
{
    static uint32_t said;

    gvm_refused("__cudaRegisterUnifiedTable", &said);
}

static int module_of(struct image *i, struct gvm_module **m);

/* Before the program touches a managed variable. */
RT_API char __cudaInitModule(void **h)
{
    struct image *i = (void *)h;
    struct gvm_module *m;

    if (i->managed && (gvm_context() || module_of(i, &m)))
        gvm_say("no device for the __managed__ variables of this program");
    return 1;
}

RT_API cudaError_t __cudaGetKernel(cudaKernel_t *k, const void *host)
{
    struct rt_func *f = find(host, FUNC);

    *k = (cudaKernel_t)f;
    return rt_done(f ? 0 : 98);
}

/* ---- use --------------------------------------------------------------------------------- */

/* Puts the addresses of the managed variables where the program looks for them. */
static int share(struct image *i)
{
    int err = 0;

    for (struct managed *m = i->managed; m && !err; m = m->next) {
        uint64_t at = 0, size = 0;

        err = gvm_module_global(i->module, m->name, &at, &size);
        if (err == 0)
            err = gvm_shadow_add(at, size);
        if (err == 0) {
            *m->slot = (void *)(uintptr_t)at;
            insert(*m->slot, VAR, find(m->slot, VAR)); /* a symbol by its value, too */
        }
    }
    return err;
}

static int load(struct image *i)
{
    struct gvm_library *l = NULL;
    int err;

    err = gvm_library_load(i->wrapper, 0, NULL, NULL, &l);
    if (err == 0)
        err = gvm_library_module(l, &i->module);
    if (err == 0)
        err = share(i);
    if (err)
        i->module = NULL;
    return err;
}

/* The image's module of this connection, loaded if it is not. */
static int module_of(struct image *i, struct gvm_module **m)
{
    int err = 0;

    pthread_mutex_lock(&i->lock);
    if (i->module && !gvm_module_valid(i->module))
        i->module = NULL; /* gone with a reset */
    if (!i->module) {
        err = i->err ? i->err : load(i);
        if ((err >= 200 && err < 300) || err == 801)
            i->err = err;
    }
    *m = i->module;
    pthread_mutex_unlock(&i->lock);
    return err;
}

static bool worth(const struct image *i)
{
    return !i->managed && i->var_bytes <= AHEAD_VARS && !i->err &&
           !(i->module && gvm_module_valid(i->module));
}

static void load_ahead(void)
{
    struct image *list[AHEAD_IMAGES];
    size_t left = AHEAD_BYTES, size;
    struct gvm_library *l;
    unsigned n = 0;

    /* Who has an image's lock keeps it from being unloaded; somebody else's is loaded already. */
    pthread_mutex_lock(&images.lock);
    for (struct image *i = images.n <= AHEAD_IMAGES ? images.first : NULL; i; i = i->next) {
        if (pthread_mutex_trylock(&i->lock))
            continue;
        if (worth(i))
            list[n++] = i;
        else
            pthread_mutex_unlock(&i->lock);
    }
    pthread_mutex_unlock(&images.lock);
    for (unsigned k = 0; k < n; k++) {
        struct image *i = list[k];

        i->module = NULL;
        if (gvm_library_ahead(i->wrapper, left, &size, &l) == 0) {
            left -= size;
            gvm_library_module(l, &i->module);
        }
        pthread_mutex_unlock(&i->lock);
    }
}

struct rt_func *rt_func_find(const void *func)
{
    return find(func, FUNC);
}

int rt_func_get(struct rt_func *r, struct gvm_func **f)
{
    struct gvm_module *m;
    int err;

    *f = __atomic_load_n(&r->f, __ATOMIC_ACQUIRE);
    if (*f && gvm_func_valid(*f))
        return 0;
    err = gvm_context();
    if (err == 0)
        err = module_of(r->image, &m);
    if (err == 0)
        err = gvm_module_func(m, r->name, f);
    if (err == 0)
        __atomic_store_n(&r->f, *f, __ATOMIC_RELEASE);
    return err;
}

int rt_launch(struct rt_func *r, const struct gvm_launch *l)
{
    struct gvm_func *f = __atomic_load_n(&r->f, __ATOMIC_ACQUIRE);
    int err;

    if (__builtin_expect(f != NULL, 1)) {
        err = gvm_launch(f, l);
        if (__builtin_expect(err != 400, 1) || gvm_func_valid(f))
            return err;
    }
    err = rt_func_get(r, &f);
    return err ? err : gvm_launch(f, l);
}

const void *rt_func_symbol(const struct gvm_func *f)
{
    const void *symbol = f;

    pthread_rwlock_rdlock(&table.lock);
    for (size_t i = 0; i < table.cap; i++) {
        const struct slot *s = &table.v[i];
        const struct rt_func *r = s->p;

        if (s->what != FUNC || s->key != r->host)
            continue;
        if (__atomic_load_n(&r->f, __ATOMIC_ACQUIRE) == f) {
            symbol = r->host;
            break;
        }
    }
    pthread_rwlock_unlock(&table.lock);
    return symbol;
}

int rt_symbol(const void *symbol, uint64_t *dptr, uint64_t *size)
{
    struct var *v = find(symbol, VAR);
    struct gvm_module *m;
    int err;

    if (!v)
        return 13;
    err = gvm_context();
    if (err == 0)
        err = module_of(v->image, &m);
    if (err == 0)
        err = gvm_module_global(m, v->name, dptr, size);
    return err == 500 ? 13 : err;
}
