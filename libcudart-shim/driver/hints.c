/* SPDX-License-Identifier: MIT */
/*
 * hints.c - memory that the program registers, and hints on managed memory.
 *
 * Registered memory stays where it is: the worker cannot reach it, so copies of it go through the
 * pool. Managed memory is pool memory, which both sides reach where it is: hints are kept, so that
 * they can be asked for, and change nothing else. They are kept for whole allocations only; a hint
 * on a part changes nothing and is not found again.
 */
#include "log.h"
#include "objects.h"
#include "pool.h"

#include <errno.h>
#include <sys/mman.h>

#define ALREADY_REGISTERED 712
#define NOT_REGISTERED     713
#define INVALID_DEVICE     101
#define PAGE               4096u

#define REGISTER_PORTABLE 1u
#define REGISTER_MAPPED   2u
#define REGISTER_IO       4u
#define REGISTER_READONLY 8u

static struct gvm_ranges registered = GVM_RANGES_INIT;

void gvm_registered_reset(void)
{
    gvm_ranges_clear(&registered);
}

/* All of it is memory of this process. */
static bool mapped(uintptr_t p, size_t n)
{
    uintptr_t at = p & ~(uintptr_t)(PAGE - 1), end = p + n;
    unsigned char in[256];

    while (at < end) {
        size_t len = end - at < sizeof(in) * PAGE ? end - at : sizeof(in) * PAGE;

        if (mincore((void *)at, len, in) < 0 && errno == ENOMEM)
            return false;
        at += sizeof(in) * PAGE;
    }
    return true;
}

int gvm_host_register(void *p, size_t bytes, uint32_t flags)
{
    struct gvm_range g = {.base = (uintptr_t)p, .size = bytes, .kind = GVM_PINNED, .flags = flags};
    struct gvm_range other;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!p || !bytes || (uintptr_t)p + bytes < (uintptr_t)p ||
        flags & ~(REGISTER_PORTABLE | REGISTER_MAPPED | REGISTER_READONLY))
        return 1; /* REGISTER_IO: there is no such memory here */
    if (flags & REGISTER_READONLY) {
        static uint32_t said;

        return gvm_refused("cudaHostRegisterReadOnly", &said);
    }
    if (gvm_ranges_find(&gvm_allocs, (uintptr_t)p, &other) || !mapped((uintptr_t)p, bytes))
        return 1;
    rc = gvm_ranges_add(&registered, &g);
    return rc == -EEXIST ? ALREADY_REGISTERED : rc ? 2 : 0;
}

int gvm_host_unregister(void *p)
{
    struct gvm_range g;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!p || gvm_ranges_find(&gvm_allocs, (uintptr_t)p, &g))
        return 1;
    if (!gvm_ranges_find(&registered, (uintptr_t)p, &g))
        return NOT_REGISTERED;
    return gvm_ranges_remove(&registered, (uintptr_t)p, ~0u, &g) ? 0 : 1;
}

bool gvm_host_registered(uint64_t addr, struct gvm_range *out)
{
    return gvm_ranges_find(&registered, addr, out);
}

/* ---- managed memory ---------------------------------------------------------------------- */

/* [p, p + n), all of it of one managed allocation. */
static int managed(uint64_t p, size_t n, struct gvm_range *g)
{
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    gvm_find(p, g);
    /* Counted in pages, as natively. */
    return g->kind == GVM_MANAGED && n &&
                   n <= ((g->size + PAGE - 1) & ~(uint64_t)(PAGE - 1)) - (p - g->base)
               ? 0
               : 1;
}

/* Whether the hint is for all of the allocation. */
static bool whole(const struct gvm_range *g, uint64_t p, size_t n)
{
    return p == g->base && n >= g->size;
}

/* True for the device, false for the host; *rc: 0, 1 or 101. */
static bool on_device(int type, int id, int *rc)
{
    *rc = type >= 1 && type <= 4 ? 0 : 1;
    if (type == 1 && id != 0)
        *rc = INVALID_DEVICE;
    return type == 1;
}

int gvm_mem_prefetch(uint64_t p, size_t n, int type, int id, uint64_t stream)
{
    struct gvm_range g;
    struct gvm_sref s;
    int rc = managed(p, n, &g), place;
    bool dev = on_device(type, id, &place);

    if (rc == 0)
        rc = place ? place : gvm_stream_ref(stream, &s);
    if (rc == 0 && whole(&g, p, n))
        gvm_ranges_mark(&gvm_allocs, p, dev ? GVM_MARK_AT_DEV : GVM_MARK_AT_HOST,
                        GVM_MARK_AT_DEV | GVM_MARK_AT_HOST);
    return rc;
}

int gvm_mem_advise(uint64_t p, size_t n, int advice, int type, int id)
{
    const uint32_t preferred = GVM_MARK_PREFER_DEV | GVM_MARK_PREFER_HOST;
    struct gvm_range g;
    uint32_t set = 0, clear = 0;
    int rc = managed(p, n, &g), place;
    bool dev = on_device(type, id, &place);

    if (rc)
        return rc;
    switch (advice) { /* CUmem_advise */
    case 1:
        set = GVM_MARK_READ_MOSTLY;
        break;
    case 2:
        clear = GVM_MARK_READ_MOSTLY;
        break;
    case 3:
        set = dev ? GVM_MARK_PREFER_DEV : GVM_MARK_PREFER_HOST;
        clear = preferred;
        break;
    case 4:
        clear = preferred;
        break;
    case 5:
        set = dev ? GVM_MARK_USED_DEV : GVM_MARK_USED_HOST;
        break;
    case 6:
        clear = dev ? GVM_MARK_USED_DEV : GVM_MARK_USED_HOST;
        break;
    default:
        return 1;
    }
    if (place && (advice == 3 || advice >= 5))
        return 1;
    if (whole(&g, p, n))
        gvm_ranges_mark(&gvm_allocs, p, set, clear);
    return 0;
}

/* cudaCpuDeviceId, cudaInvalidDeviceId */
static int place_of(const struct gvm_range *g, uint32_t dev, uint32_t host)
{
    return g->marks & dev ? 0 : g->marks & host ? -1 : -2;
}

static int type_of(const struct gvm_range *g, uint32_t dev, uint32_t host)
{
    return g->marks & dev ? 1 : g->marks & host ? 2 : 0;
}

int gvm_mem_range_attribute(void *data, size_t size, int attr, uint64_t p, size_t n)
{
    struct gvm_range g;
    int *v = data;
    int rc = managed(p, n, &g);

    if (rc)
        return rc;
    if (!data || !size || size % 4 || (attr != 3 && size != 4))
        return 1;
    switch (attr) { /* CUmem_range_attribute */
    case 1:
        *v = (g.marks & GVM_MARK_READ_MOSTLY) != 0;
        return 0;
    case 2:
        *v = place_of(&g, GVM_MARK_PREFER_DEV, GVM_MARK_PREFER_HOST);
        return 0;
    case 3:
        for (size_t i = 0; i < size / 4; i++)
            v[i] = -2;
        if (g.marks & GVM_MARK_USED_DEV)
            *v++ = 0, size -= 4;
        if (size && g.marks & GVM_MARK_USED_HOST)
            *v = -1;
        return 0;
    case 4:
        *v = place_of(&g, GVM_MARK_AT_DEV, GVM_MARK_AT_HOST);
        return 0;
    case 5:
        *v = type_of(&g, GVM_MARK_PREFER_DEV, GVM_MARK_PREFER_HOST);
        return 0;
    case 6:
    case 8:
        *v = 0;
        return 0;
    case 7:
        *v = type_of(&g, GVM_MARK_AT_DEV, GVM_MARK_AT_HOST);
        return 0;
    default:
        return 1;
    }
}

/* Checked, and no more: the program may touch managed memory wherever it is attached. */
int gvm_stream_attach(uint64_t stream, uint64_t p, size_t n, unsigned flags)
{
    struct gvm_range g;
    struct gvm_sref s;
    int rc = managed(p, 1, &g);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc)
        return rc;
    if (p != g.base || (n && n != g.size) || (flags != 1 && flags != 2 && flags != 4))
        return 1;
    return flags == 4 && gvm_is_legacy(&s) ? 1 : 0; /* nothing is attached to the default stream */
}
