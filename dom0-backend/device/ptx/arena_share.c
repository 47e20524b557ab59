/* SPDX-License-Identifier: MIT */
/*
 * Allocations that other processes have too. Memory is private to this process, with large pages
 * where there are any, until somebody exports it: then its region moves into a shared segment, at
 * the same addresses.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0-backend/device/ptx/arena_int.h"

bool arena_fd_good(int fd, uint64_t len)
{
    int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);
    struct stat st;

    /* Whoever else has it could otherwise shorten it, and our next access were a SIGBUS. */
    return seals >= 0 && (seals & F_SEAL_SHRINK) && fstat(fd, &st) == 0 && st.st_size >= 0 &&
           (uint64_t)st.st_size >= len;
}

int arena_fd_copy(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Pages of zeros stay holes. */
static void move_pages(uint8_t *to, const uint8_t *from, uint64_t len)
{
    static const uint8_t zero[ARENA_PAGE];

    for (uint64_t i = 0; i < len; i += ARENA_PAGE)
        if (memcmp(from + i, zero, ARENA_PAGE) != 0)
            memcpy(to + i, from + i, ARENA_PAGE);
}

/* Puts the region's pages into the segment; takes fd if it does. Locks held. */
static bool convert(struct region *r, int fd)
{
    void *at = (void *)(uintptr_t)r->addr;
    void *tmp;

    if (!arena_fd_good(fd, r->mapped))
        return false;
    tmp = mmap(NULL, r->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (tmp == MAP_FAILED)
        return false;
    move_pages(tmp, at, r->mapped);
    munmap(tmp, r->mapped);
    /* One step: were it to fail, the old pages would still be there. */
    if (mmap(at, r->mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        return false;
    r->fd = fd;
    return true;
}

int arena_export(struct arena *a, uint64_t addr, enum arena_kind kind,
                 int (*segment)(void *arg, uint64_t bytes), void *arg, struct arena_part *out)
{
    int fd = -1, err = CUDA_INVALID_VALUE;

    for (;;) {
        enum arena_kind found;
        uint64_t base, size, want = 0;
        struct region *r;
        uint32_t block;

        pthread_rwlock_wrlock(&a->pin);
        pthread_mutex_lock(&a->lock);
        r = arena_locate(a, addr, &block, &base, &size, &found);
        if (!r || base != addr || found != kind) {
            err = CUDA_INVALID_VALUE;
        } else if (r->fd < 0 && fd < 0) {
            want = r->mapped; /* asked for without the locks */
        } else if (r->fd < 0 && !convert(r, fd)) {
            err = CUDA_OUT_OF_MEMORY;
        } else {
            if (r->fd == fd)
                fd = -1;
            out->fd = arena_fd_copy(r->fd);
            out->len = r->mapped;
            out->offset = addr - r->addr;
            out->size = size;
            err = out->fd < 0 ? CUDA_OUT_OF_MEMORY : 0;
        }
        pthread_mutex_unlock(&a->lock);
        pthread_rwlock_unlock(&a->pin);
        if (!want)
            break;
        fd = segment ? segment(arg, want) : -1;
        if (fd < 0)
            return CUDA_OUT_OF_MEMORY;
    }
    if (fd >= 0)
        close(fd);
    return err;
}

int arena_import(struct arena *a, const struct arena_part *p, uint64_t *addr)
{
    uint64_t nslot;
    struct region *r = NULL;
    int err = CUDA_OUT_OF_MEMORY;

    if (!p->len || p->len % ARENA_PAGE || !p->size || p->offset >= p->len ||
        p->size > p->len - p->offset || !arena_fd_good(p->fd, p->len))
        return CUDA_INVALID_VALUE;
    nslot = (p->len + ARENA_PAGE + ARENA_SLOT - 1) >> ARENA_SLOT_SHIFT;
    pthread_mutex_lock(&a->lock);
    if (nslot <= a->nslot && arena_take_bytes(a, p->len)) {
        r = arena_take_slots(a, (uint32_t)nslot);
        if (!r)
            arena_give_bytes(a, p->len);
    }
    if (r && mmap((void *)(uintptr_t)r->addr, p->len, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_FIXED, p->fd, 0) == MAP_FAILED) {
        arena_unmap_pages(r->addr, p->len);
        arena_give_slots(a, r);
        arena_give_bytes(a, p->len);
        r = NULL;
    }
    if (r) {
        r->use = LARGE;
        r->kind = ARENA_IMPORTED;
        r->mapped = r->size = p->len;
        r->fd = -1;
        *addr = r->addr;
        err = 0;
    }
    pthread_mutex_unlock(&a->lock);
    return err;
}
