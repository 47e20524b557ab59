/* SPDX-License-Identifier: MIT */
/*
 * idtab.h - ids minted by the guest and the objects behind them.
 *
 * A handle that the program holds is a number, (generation << 32 | kind << 20 | id), not an
 * address: a destroyed or invented handle is recognised instead of followed. Objects live in pages
 * that are never freed, start with struct gvm_obj, and are zeroed when an id is minted.
 */
#ifndef GVM_IDTAB_H
#define GVM_IDTAB_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GVM_ID_FIRST 16u
#define GVM_ID_LAST  65535u
#define GVM_ID_PAGE  256u

struct gvm_obj {
    uint32_t gen; /* even: free; odd: alive */
    uint32_t id;
};

struct gvm_idtab {
    uint32_t kind; /* 1..15 */
    uint32_t size; /* of an object */
    pthread_mutex_t lock;
    void *page[(GVM_ID_LAST + 1) / GVM_ID_PAGE];
    uint32_t *reuse; /* ids given back, oldest first (ring buffer) */
    uint32_t reuse_at, reuse_n, reuse_cap;
    uint32_t next; /* first id never used */
    uint32_t live;
};

#define GVM_IDTAB_INIT(k, type)                                                                    \
    {                                                                                              \
        .kind = (k), .size = sizeof(type), .lock = PTHREAD_MUTEX_INITIALIZER, .next = GVM_ID_FIRST \
    }

/* A new object, alive; NULL: all ids are in use or no memory. */
void *gvm_id_new(struct gvm_idtab *t);

/* Ends an object; its handle is invalid from now on and its id may be minted again. */
void gvm_id_free(struct gvm_idtab *t, void *obj);

/* Calls fn for every object alive, in order of ids. fn may free the object. */
void gvm_id_each(struct gvm_idtab *t, void (*fn)(void *obj, void *arg), void *arg);

/* The object of an id, alive or not; NULL: never minted. */
static inline void *gvm_id_at(struct gvm_idtab *t, uint32_t id)
{
    uint8_t *page = __atomic_load_n(&t->page[(id & 0xffff) / GVM_ID_PAGE], __ATOMIC_ACQUIRE);

    return page ? page + (size_t)(id % GVM_ID_PAGE) * t->size : NULL;
}

static inline uint64_t gvm_handle(const struct gvm_idtab *t, const void *obj)
{
    const struct gvm_obj *o = obj;

    return (uint64_t)o->gen << 32 | (uint64_t)t->kind << 20 | o->id;
}

/* The object behind a handle, NULL if there is none (any more). */
static inline void *gvm_id_get(struct gvm_idtab *t, uint64_t handle)
{
    uint32_t low = (uint32_t)handle, id = low & 0xffff;
    uint8_t *page;
    struct gvm_obj *o;

    if (__builtin_expect(low >> 16 != t->kind << 4, 0))
        return NULL;
    page = __atomic_load_n(&t->page[id / GVM_ID_PAGE], __ATOMIC_ACQUIRE);
    if (__builtin_expect(!page, 0))
        return NULL;
    o = (void *)(page + (size_t)(id % GVM_ID_PAGE) * t->size);
    if (__builtin_expect(__atomic_load_n(&o->gen, __ATOMIC_ACQUIRE) != handle >> 32, 0))
        return NULL;
    return handle >> 32 & 1 ? o : NULL;
}

#endif
