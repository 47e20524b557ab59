/* SPDX-License-Identifier: MIT */
#include "idtab.h"

#include <stdlib.h>
#include <string.h>

/* An id, or 0. Ids never used come first, then the one that was given back longest ago: an id is
 * minted again as late as possible. Lock held. */
static uint32_t pick(struct gvm_idtab *t)
{
    uint32_t id = t->next;

    if (id <= GVM_ID_LAST) {
        if (!t->page[id / GVM_ID_PAGE]) {
            void *p = calloc(GVM_ID_PAGE, t->size);

            if (!p)
                return 0;
            __atomic_store_n(&t->page[id / GVM_ID_PAGE], p, __ATOMIC_RELEASE);
        }
        t->next++;
        return id;
    }
    if (!t->reuse_n)
        return 0;
    id = t->reuse[t->reuse_at];
    t->reuse_at = (t->reuse_at + 1) % t->reuse_cap;
    t->reuse_n--;
    return id;
}

/* Ids are at most 65520: a ring of that size never overflows. */
static bool put(struct gvm_idtab *t, uint32_t id)
{
    if (!t->reuse) {
        t->reuse_cap = GVM_ID_LAST + 1 - GVM_ID_FIRST;
        t->reuse = malloc(t->reuse_cap * sizeof(*t->reuse));
        if (!t->reuse)
            return false; /* this id is lost, the table still works */
    }
    t->reuse[(t->reuse_at + t->reuse_n) % t->reuse_cap] = id;
    t->reuse_n++;
    return true;
}

void *gvm_id_new(struct gvm_idtab *t)
{
    struct gvm_obj *o = NULL;
    uint32_t id, gen;

    pthread_mutex_lock(&t->lock);
    id = pick(t);
    if (id) {
        o = gvm_id_at(t, id);
        gen = o->gen;
        memset(o + 1, 0, t->size - sizeof(*o));
        o->id = id;
        __atomic_store_n(&o->gen, gen + 1, __ATOMIC_RELEASE);
        t->live++;
    }
    pthread_mutex_unlock(&t->lock);
    return o;
}

static void end(struct gvm_idtab *t, struct gvm_obj *o)
{
    __atomic_store_n(&o->gen, o->gen + 1, __ATOMIC_RELEASE);
    t->live--;
    put(t, o->id);
}

void gvm_id_free(struct gvm_idtab *t, void *obj)
{
    pthread_mutex_lock(&t->lock);
    end(t, obj);
    pthread_mutex_unlock(&t->lock);
}

void gvm_id_each(struct gvm_idtab *t, void (*fn)(void *obj, void *arg), void *arg)
{
    for (uint32_t id = GVM_ID_FIRST; id < t->next; id++) {
        struct gvm_obj *o = gvm_id_at(t, id);

        if (o && __atomic_load_n(&o->gen, __ATOMIC_ACQUIRE) & 1)
            fn(o, arg);
    }
}
