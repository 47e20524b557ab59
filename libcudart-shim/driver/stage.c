/* SPDX-License-Identifier: MIT */
#include "stage.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define CLASSES 3

static struct {
    pthread_mutex_t lock;
    pthread_cond_t put;
    struct gvm_stage *list[CLASSES]; /* by size; longest unused first */
    unsigned n[CLASSES];
} stages = {.lock = PTHREAD_MUTEX_INITIALIZER, .put = PTHREAD_COND_INITIALIZER};

static const size_t sizes[CLASSES] = {GVM_STAGE_SMALL, GVM_STAGE_MIDDLE, GVM_STAGE_LARGE};
static const unsigned limits[CLASSES] = {GVM_STAGE_SMALLS, GVM_STAGE_OTHERS, GVM_STAGE_OTHERS};

size_t gvm_stage_size(const struct gvm_stage *s)
{
    return s->ref.len;
}

static struct gvm_stage *make(struct gvm_chan *c, int class, int *err)
{
    struct gvm_stage *b = calloc(1, sizeof(*b));
    int slot;

    *err = 2;
    if (!b)
        return NULL;
    b->p = gvm_pool_alloc(sizes[class]);
    if (!b->p || !gvm_pool_find(b->p, sizes[class], &b->ref))
        goto fail;
    slot = gvm_slot_take(c);
    if (slot < 0)
        goto fail;
    b->slot = (uint32_t)slot;
    b->value = gvm_slot_value(b->slot);
    *err = 0;
    return b;
fail:
    if (b->p)
        gvm_pool_free(b->p, sizes[class]);
    free(b);
    return NULL;
}

/* All pages at once: each would be a fault in the middle of a copy. Where it does not work (kernels
 * before 5.14) they are. No more than are needed: a program that copies little soon ends. */
static void populate(struct gvm_stage *b, size_t n)
{
    if (n <= b->populated || n <= GVM_STAGE_SMALL)
        return;
    n = (n + 4095) & ~(size_t)4095;
    madvise((uint8_t *)b->p + b->populated, n - b->populated, MADV_POPULATE_READ);
    b->populated = n;
}

/*
 * A buffer that nobody holds. free_only: one whose copy has passed, the latest, which is still in the
 * caches; otherwise the one that has waited longest. Lock held.
 */
static struct gvm_stage *take(struct gvm_chan *c, int class, bool free_only)
{
    struct gvm_stage **found = NULL, *b;

    for (struct gvm_stage **at = &stages.list[class]; *at; at = &(*at)->next) {
        b = *at;
        if (b->held || (free_only && !gvm_counter_done(c, b->slot, b->value)))
            continue;
        found = at;
        if (!free_only)
            break;
    }
    if (!found)
        return NULL;
    b = *found;
    *found = b->next;
    while (*found)
        found = &(*found)->next;
    *found = b;
    b->next = NULL;
    b->held = true;
    return b;
}

struct gvm_stage *gvm_stage_get(struct gvm_chan *c, size_t n, bool wait, int *err)
{
    int class = n <= GVM_STAGE_SMALL ? 0 : n <= GVM_STAGE_MIDDLE ? 1 : 2;
    struct gvm_stage *b, **at;

    *err = 0;
    pthread_mutex_lock(&stages.lock);
    b = take(c, class, true);
    if (!b && stages.n[class] < limits[class]) {
        stages.n[class]++; /* before the lock goes: nobody else makes one too many */
        pthread_mutex_unlock(&stages.lock);
        b = make(c, class, err);
        pthread_mutex_lock(&stages.lock);
        if (b) {
            b->held = true;
            for (at = &stages.list[class]; *at; at = &(*at)->next)
                ;
            *at = b;
        } else {
            stages.n[class]--;
            if (*err == 2 && stages.list[class])
                *err = 0; /* then with those that there are */
        }
    }
    while (!b && wait && !*err) {
        b = take(c, class, false);
        if (!b)
            pthread_cond_wait(&stages.put, &stages.lock);
    }
    pthread_mutex_unlock(&stages.lock);
    if (b && !*err) {
        *err = gvm_stage_wait(c, b);
        if (*err) {
            gvm_stage_put(b);
            b = NULL;
        }
    }
    if (b)
        populate(b, n);
    return b;
}

int gvm_stage_mark(struct gvm_chan *c, struct gvm_stage *b, const struct gvm_sref *s)
{
    return gvm_slot_mark(c, b->slot, s, 0, &b->value);
}

uint32_t gvm_stage_next(struct gvm_stage *b)
{
    b->value = gvm_slot_next(b->slot);
    return b->value;
}

int gvm_stage_wait(struct gvm_chan *c, struct gvm_stage *b)
{
    return gvm_counter_wait(c, b->slot, b->value, true);
}

void gvm_stage_put(struct gvm_stage *b)
{
    pthread_mutex_lock(&stages.lock);
    b->held = false;
    pthread_cond_signal(&stages.put);
    pthread_mutex_unlock(&stages.lock);
}

void gvm_stage_reset(void)
{
    pthread_mutex_lock(&stages.lock);
    for (int i = 0; i < CLASSES; i++) {
        while (stages.list[i]) {
            struct gvm_stage *b = stages.list[i];

            stages.list[i] = b->next;
            free(b);
        }
        stages.n[i] = 0;
    }
    pthread_mutex_unlock(&stages.lock);
}
