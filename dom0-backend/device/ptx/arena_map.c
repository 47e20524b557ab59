/* SPDX-License-Identifier: MIT */
/*
 * Addresses apart from memory. Memory is a shared anonymous mapping outside the window, so that the
 * same pages can be put at several addresses of it (mremap() of length 0 makes a second mapping).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dom0-backend/device/ptx/arena_int.h"

/* ---- memory ------------------------------------------------------------------------------ */

static int create(struct arena *a, uint64_t size, int fd, struct arena_memory **out)
{
    struct arena_memory *m;
    bool room;

    if (!size || size % ARENA_SLOT)
        return CUDA_INVALID_VALUE;
    pthread_mutex_lock(&a->lock);
    room = arena_take_bytes(a, size);
    pthread_mutex_unlock(&a->lock);
    if (!room)
        return CUDA_OUT_OF_MEMORY;
    m = calloc(1, sizeof(*m));
    if (m) {
        m->at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
        m->size = size;
        m->fd = fd;
        m->refs = 1;
        if (m->at != MAP_FAILED) {
            *out = m;
            return 0;
        }
        free(m);
    }
    pthread_mutex_lock(&a->lock);
    arena_give_bytes(a, size);
    pthread_mutex_unlock(&a->lock);
    return CUDA_OUT_OF_MEMORY;
}

int arena_memory_create(struct arena *a, uint64_t size, struct arena_memory **out)
{
    return create(a, size, -1, out);
}

int arena_memory_adopt(struct arena *a, int fd, uint64_t size, struct arena_memory **out)
{
    int err = arena_fd_good(fd, size) ? create(a, size, fd, out) : CUDA_INVALID_VALUE;

    if (err)
        close(fd);
    return err;
}

int arena_memory_fd(struct arena *a, struct arena_memory *m, uint64_t *size)
{
    *size = m->size;
    return m->fd < 0 ? -1 : arena_fd_copy(m->fd);
}

/* Lock held. */
static void put(struct arena *a, struct arena_memory *m)
{
    if (--m->refs)
        return;
    munmap(m->at, m->size);
    if (m->fd >= 0)
        close(m->fd);
    arena_give_bytes(a, m->size);
    free(m);
}

void arena_memory_release(struct arena *a, struct arena_memory *m)
{
    pthread_mutex_lock(&a->lock);
    put(a, m);
    pthread_mutex_unlock(&a->lock);
}

/* ---- addresses --------------------------------------------------------------------------- */

int arena_reserve(struct arena *a, uint64_t size, uint64_t align, uint64_t *addr)
{
    uint64_t nslot, more = align > ARENA_SLOT ? align / ARENA_SLOT - 1 : 0;
    struct region *r;

    if (!size || size % ARENA_SLOT || (align & (align - 1)))
        return CUDA_INVALID_VALUE;
    nslot = (size >> ARENA_SLOT_SHIFT) + more;
    if (nslot > a->nslot || more > a->nslot)
        return CUDA_OUT_OF_MEMORY;
    pthread_mutex_lock(&a->lock);
    r = arena_take_slots(a, (uint32_t)nslot);
    if (r) {
        r->use = RANGE;
        r->maps = NULL;
        r->mapped = 0;
        r->size = size;
        if (align > ARENA_SLOT)
            r->addr = (r->addr + align - 1) & ~(align - 1);
        *addr = r->addr;
    }
    pthread_mutex_unlock(&a->lock);
    return r ? 0 : CUDA_OUT_OF_MEMORY;
}

/* The reservation that holds all of [addr, addr + size). Lock held. */
static struct region *range_of(struct arena *a, uint64_t addr, uint64_t size)
{
    struct region *r;

    if (!size || addr < a->base || addr - a->base >= a->size)
        return NULL;
    r = a->slot[(addr - a->base) >> ARENA_SLOT_SHIFT];
    if (!r || r->use != RANGE || addr < r->addr || addr - r->addr >= r->size ||
        size > r->size - (addr - r->addr))
        return NULL;
    return r;
}

int arena_unreserve(struct arena *a, uint64_t addr, uint64_t size)
{
    struct region *r;
    int err = CUDA_INVALID_VALUE;

    pthread_mutex_lock(&a->lock);
    r = range_of(a, addr, size);
    if (r && r->addr == addr && r->size == size && !r->maps) {
        arena_give_slots(a, r);
        err = 0;
    }
    pthread_mutex_unlock(&a->lock);
    return err;
}

void arena_range_clear(struct region *r)
{
    while (r->maps) {
        struct mapping *m = r->maps;

        r->maps = m->next;
        arena_unmap_pages(m->addr, m->size);
        if (--m->mem->refs == 0) {
            munmap(m->mem->at, m->mem->size);
            if (m->mem->fd >= 0)
                close(m->mem->fd);
            free(m->mem);
        }
        free(m);
    }
}

/* ---- one at the other -------------------------------------------------------------------- */

int arena_map(struct arena *a, uint64_t addr, uint64_t size, uint64_t offset,
              struct arena_memory *mem)
{
    struct mapping *m, **at;
    struct region *r;
    void *p;
    int err = CUDA_INVALID_VALUE;

    if ((addr | size | offset) % ARENA_SLOT || offset > mem->size || size > mem->size - offset)
        return CUDA_INVALID_VALUE;
    m = calloc(1, sizeof(*m));
    if (!m)
        return CUDA_OUT_OF_MEMORY;
    pthread_mutex_lock(&a->lock);
    r = range_of(a, addr, size);
    if (!r)
        goto out;
    for (at = &r->maps; *at && (*at)->addr + (*at)->size <= addr; at = &(*at)->next)
        ;
    if (*at && (*at)->addr < addr + size)
        goto out;
    err = CUDA_OUT_OF_MEMORY;
    p = mremap(mem->at + offset, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)(uintptr_t)addr);
    if (p == MAP_FAILED)
        goto out;
    if (mprotect(p, size, PROT_NONE) < 0) {
        arena_unmap_pages(addr, size);
        goto out;
    }
    *m = (struct mapping){.next = *at, .addr = addr, .size = size, .offset = offset, .mem = mem};
    mem->refs++;
    *at = m;
    m = NULL;
    err = 0;
out:
    pthread_mutex_unlock(&a->lock);
    free(m);
    return err;
}

/* The link to the first of the whole mappings that make up [addr, addr + size). Lock held. */
static struct mapping **whole(struct arena *a, uint64_t addr, uint64_t size)
{
    struct region *r = range_of(a, addr, size);
    struct mapping **first, *m;

    if (!r)
        return NULL;
    for (first = &r->maps; *first && (*first)->addr != addr; first = &(*first)->next)
        ;
    for (m = *first; m && m->addr == addr && m->size < size; m = m->next) {
        addr += m->size;
        size -= m->size;
    }
    return m && m->addr == addr && m->size == size ? first : NULL;
}

int arena_unmap(struct arena *a, uint64_t addr, uint64_t size)
{
    struct mapping **at;

    pthread_rwlock_wrlock(&a->pin);
    pthread_mutex_lock(&a->lock);
    at = whole(a, addr, size);
    if (at) {
        while (size) {
            struct mapping *m = *at;

            *at = m->next;
            size -= m->size;
            arena_unmap_pages(m->addr, m->size);
            put(a, m->mem);
            free(m);
        }
    }
    pthread_mutex_unlock(&a->lock);
    pthread_rwlock_unlock(&a->pin);
    return at ? 0 : CUDA_INVALID_VALUE;
}

int arena_access(struct arena *a, uint64_t addr, uint64_t size, unsigned access)
{
    int prot = access == 3 ? PROT_READ | PROT_WRITE : access ? PROT_READ : PROT_NONE;
    struct mapping **at;
    int err = CUDA_INVALID_VALUE;

    pthread_rwlock_wrlock(&a->pin);
    pthread_mutex_lock(&a->lock);
    at = whole(a, addr, size);
    if (at)
        err = 0;
    for (struct mapping *m = at ? *at : NULL; m && size && !err; m = m->next) {
        size -= m->size;
        if (mprotect((void *)(uintptr_t)m->addr, m->size, prot) < 0)
            err = CUDA_OUT_OF_MEMORY;
        else
            m->access = access;
    }
    pthread_mutex_unlock(&a->lock);
    pthread_rwlock_unlock(&a->pin);
    return err;
}
