/* SPDX-License-Identifier: MIT */
/*
 * memory.c - device, pinned and managed allocations.
 */
#include "log.h"
#include "objects.h"
#include "pool.h"
#include "stubs.h"

#include <errno.h>

#define DEVICE_KINDS (1u << GVM_DEVICE)
#define HOST_KINDS   (1u << GVM_PINNED | 1u << GVM_MANAGED)

int gvm_mem_alloc(uint64_t bytes, uint64_t *dptr)
{
    struct gvm_range g = {.size = bytes, .kind = GVM_DEVICE, .owner = gvm_owner()};
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!dptr || !bytes)
        return 1;
    rc = vgpu_MemAlloc(c, 0, bytes, &g.base);
    if (rc)
        return rc;
    if (gvm_ranges_add(&gvm_allocs, &g)) {
        vgpu_MemFree(c, 0, g.base);
        return 2;
    }
    *dptr = g.base;
    return 0;
}

int gvm_mem_free(uint64_t dptr)
{
    struct gvm_range g;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_chan_check(c);
    if (rc || !dptr)
        return rc;
    if (gvm_ranges_remove(&gvm_allocs, dptr, 1u << GVM_MANAGED, &g)) {
        rc = gvm_ctx_sync();
        gvm_pool_free((void *)(uintptr_t)g.base, g.size);
        return rc;
    }
    if (!gvm_ranges_remove(&gvm_allocs, dptr, DEVICE_KINDS, &g))
        return 1;
    return vgpu_MemFree(c, 0, dptr);
}

void gvm_range_release(const struct gvm_range *g)
{
    struct gvm_chan *c = gvm_usable();

    if (c && g->kind == GVM_DEVICE)
        vgpu_MemFree(c, 0, g->base);
    else if (g->kind == GVM_PINNED || g->kind == GVM_MANAGED)
        gvm_pool_free((void *)(uintptr_t)g->base, g->size);
}

int gvm_mem_info(uint64_t *free_bytes, uint64_t *total)
{
    uint64_t a, b;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = vgpu_MemInfo(c, 0, &a, &b);
    if (rc)
        return rc;
    if (free_bytes)
        *free_bytes = a;
    if (total)
        *total = b;
    return 0;
}

int gvm_host_alloc(size_t bytes, uint32_t flags, enum gvm_kind kind, void **p)
{
    struct gvm_range g = {.size = bytes, .kind = kind, .flags = flags, .owner = gvm_owner()};
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_chan_check(c);
    if (rc)
        return rc;
    if (!p)
        return 1;
    if (!bytes) { /* as the driver: success, no memory */
        *p = NULL;
        return kind == GVM_MANAGED ? 1 : 0;
    }
    if (kind == GVM_MANAGED && !gvm.pool_direct) {
        static uint32_t said;

        if (gvm_once(&said))
            gvm_log("managed memory is not supported here: the device does not reach the pool");
        return 801;
    }
    *p = gvm_pool_alloc(bytes);
    if (!*p)
        return 2;
    g.base = (uintptr_t)*p;
    if (gvm_ranges_add(&gvm_allocs, &g)) {
        gvm_pool_free(*p, bytes);
        return 2;
    }
    return 0;
}

int gvm_host_free(void *p)
{
    struct gvm_range g;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc || !p)
        return rc;
    if (!gvm_ranges_remove(&gvm_allocs, (uintptr_t)p, HOST_KINDS, &g))
        return 1;
    /* The block may be given to somebody else at once: nothing may be on its way to it. */
    rc = gvm_ctx_sync();
    gvm_pool_free(p, g.size);
    return rc;
}

void gvm_find(uint64_t addr, struct gvm_range *out)
{
    if (!gvm_ranges_find(&gvm_allocs, addr, out))
        *out = (struct gvm_range){.base = addr, .kind = GVM_HOST};
}

int gvm_host_device_pointer(void *host, uint64_t *dptr)
{
    struct gvm_range g;
    int rc = gvm_init();

    if (rc)
        return rc;
    gvm_find((uintptr_t)host, &g);
    if (!dptr || (g.kind != GVM_PINNED && g.kind != GVM_MANAGED))
        return 1;
    if (!gvm.pool_direct)
        return 801;
    *dptr = (uintptr_t)host;
    return 0;
}
