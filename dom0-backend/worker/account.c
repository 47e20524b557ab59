/* SPDX-License-Identifier: MIT */
/*
 * account.c - device memory of this process, counted where the other processes of its guest count
 * theirs (tenant.h). What a worker takes before it has a guest is counted in a page of its own and
 * moves along.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0-backend/worker/worker.h"

static struct tenant_page alone = {.nslot = 1};

void wk_account_init(struct wk *w)
{
    if (!w->tenant)
        w->tenant = &alone;
    pthread_mutex_init(&w->gate.lock, NULL);
    w->gate.tell = -1;
}

static bool take_mem(void *arg, uint64_t bytes)
{
    struct wk *w = arg;

    return tenant_take(w->tenant, w->slot, bytes);
}

static void give_mem(void *arg, uint64_t bytes)
{
    struct wk *w = arg;

    tenant_give(w->tenant, w->slot, bytes);
}

static uint64_t mem_left(void *arg)
{
    const struct wk *w = arg;

    return tenant_left(w->tenant);
}

static uint64_t mem_reserved(void *arg)
{
    const struct wk *w = arg;

    return atomic_load_explicit(&w->tenant->reserved, memory_order_relaxed);
}

const struct dev_quota wk_quota = {
    .take = take_mem, .give = give_mem, .left = mem_left, .reserved = mem_reserved};

void wk_count_memory(struct wk *w)
{
    wk_gauge(w, mem_used, atomic_load(&w->tenant->slot[w->slot].mem));
}

/* From now on events go to this eventfd, or to none (-1). The one before stays open until it is
 * replaced the next time: another thread may be writing to it. */
static void tell_to(struct wk *w, int fd)
{
    if (w->gate.told > 0)
        close(w->gate.told);
    w->gate.told = atomic_exchange(&w->gate.tell, fd);
}

/* The old page stays mapped: other threads may be using it. */
void wk_account_alone(struct wk *w)
{
    struct tenant_page *p = w->tenant;
    unsigned slot = w->slot;

    if (p == &alone)
        return;
    atomic_store(&alone.slot[0].mem, atomic_load(&p->slot[slot].mem));
    tell_to(w, -1);
    w->slot = 0;
    w->tenant = &alone;
    wk_gate_moved(p, slot);
}

int wk_account_join(struct wk *w, int fd, int tell, uint32_t slot)
{
    struct tenant_page *p;
    struct stat st;

    if (slot >= TENANT_SLOTS || fstat(fd, &st) < 0 || (size_t)st.st_size < sizeof(*p))
        return -EINVAL;
    if (w->tenant != &alone) { /* from a restarted broker: the same page once more */
        if (slot != w->slot)
            return -EINVAL;
        tell_to(w, tell);
        return 0;
    }
    p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    /* Nothing else runs yet that could take or give. */
    atomic_store(&p->slot[slot].mem, atomic_load(&alone.slot[0].mem));
    w->slot = slot;
    w->tenant = p;
    w->gate.tell = tell;
    wk_gate_moved(&alone, 0);
    return 0;
}
