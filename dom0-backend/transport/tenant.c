/* SPDX-License-Identifier: MIT */
#include "dom0-backend/transport/tenant.h"

#include <sched.h>

#define TRIES 16

uint64_t tenant_used(const struct tenant_page *p)
{
    uint32_t n = atomic_load_explicit(&p->nslot, memory_order_relaxed);
    uint64_t sum = 0, twice;

    for (uint32_t i = 0; i < n && i < TENANT_SLOTS; i++) {
        uint64_t v = atomic_load(&p->slot[i].mem);

        sum = v > UINT64_MAX - sum ? UINT64_MAX : sum + v;
    }
    twice = atomic_load(&p->mem_twice);
    return sum > twice ? sum - twice : 0;
}

uint64_t tenant_left(const struct tenant_page *p)
{
    uint64_t limit = atomic_load(&p->mem_limit), used;

    if (atomic_load(&p->mem_blocked))
        return 0;
    if (!limit)
        return UINT64_MAX;
    used = tenant_used(p);
    return used < limit ? limit - used : 0;
}

/* The octets are taken first and then held against the limit: of two processes that both find room,
 * the one whose sum comes later sees the other's octets as well. */
bool tenant_take(struct tenant_page *p, unsigned slot, uint64_t bytes)
{
    uint64_t limit = atomic_load(&p->mem_limit);

    if (atomic_load(&p->mem_blocked) || (limit && bytes > limit))
        return false;
    for (int i = 0; i < TRIES; i++) {
        atomic_fetch_add(&p->slot[slot].mem, bytes);
        if (!limit || tenant_used(p) <= limit)
            return true;
        atomic_fetch_sub(&p->slot[slot].mem, bytes);
        /* Room, now that nobody is in the middle of asking: another one was. */
        if (tenant_left(p) < bytes)
            return false;
        sched_yield();
    }
    return false;
}

void tenant_give(struct tenant_page *p, unsigned slot, uint64_t bytes)
{
    atomic_fetch_sub(&p->slot[slot].mem, bytes);
}
