/* SPDX-License-Identifier: MIT */
/*
 * memory.c - device, pinned and managed allocations.
 */
#include "blocks.h"
#include "capture.h"
#include "ipc.h"
#include "log.h"
#include "mempool.h"
#include "objects.h"
#include "pool.h"
#include "stubs.h"

#include <errno.h>

#define DEVICE_KINDS (1u << GVM_DEVICE)
#define HOST_KINDS   (1u << GVM_PINNED)

int gvm_mem_alloc_now(uint64_t bytes, uint64_t *dptr)
{
    struct gvm_range g = {.size = bytes, .kind = GVM_DEVICE, .owner = gvm_owner()};
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!dptr || !bytes)
        return 1;
    rc = gvm_chan_check(c);
    if (rc)
        return rc;
    g.base = gvm_blocks_take(bytes);
    if (!g.base)
        GVM_MAKE_ROOM(rc, c, vgpu_MemAlloc(c, 0, bytes, &g.base));
    if (rc)
        return rc;
    if (gvm_ranges_add(&gvm_allocs, &g)) {
        vgpu_MemFree(c, 0, g.base);
        return 2;
    }
    *dptr = g.base;
    return 0;
}

int gvm_mem_alloc(uint64_t bytes, uint64_t *dptr)
{
    GVM_CAPTURE(gvm_cap_unsafe());
    return gvm_mem_alloc_now(bytes, dptr);
}

int gvm_mem_free(uint64_t dptr)
{
    struct gvm_range g;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_chan_check(c);
    if (rc)
        return rc;
    GVM_CAPTURE(gvm_cap_unsafe());
    if (!dptr)
        return 0;
    rc = gvm_graph_mem_free(dptr);
    if (rc >= 0)
        return rc;
    if (gvm_ranges_remove(&gvm_allocs, dptr, 1u << GVM_MANAGED, &g)) {
        rc = gvm_ctx_wait();
        gvm_pool_free((void *)(uintptr_t)g.base, g.size);
        return rc;
    }
    gvm_find(dptr, &g);
    if (g.kind != GVM_DEVICE || g.base != dptr || (g.sub != GVM_SUB_PLAIN && g.sub != GVM_SUB_POOL))
        return 1;
    if (!gvm_ranges_remove(&gvm_allocs, dptr, DEVICE_KINDS, &g))
        return 1;
    if (g.sub == GVM_SUB_PLAIN)
        return g.marks & GVM_MARK_SHARED ? vgpu_MemFree(c, 0, dptr)
                                         : gvm_blocks_put(c, dptr, g.size);
    /* Memory of a pool, freed as cuMemFree frees: everything that may use it is over. */
    gvm_mempool_freed(&g);
    rc = gvm_ctx_wait();
    return rc ? rc : vgpu_MemPoolFree(c, 0, GVM_STREAM_LEGACY, dptr);
}

void gvm_range_release(const struct gvm_range *g)
{
    struct gvm_chan *c = gvm_usable();

    if (c && g->kind == GVM_DEVICE && g->sub == GVM_SUB_PLAIN)
        vgpu_MemFree(c, 0, g->base);
    else if (c && g->kind == GVM_DEVICE && g->sub == GVM_SUB_POOL)
        vgpu_MemPoolFree(c, 0, GVM_STREAM_LEGACY, g->base);
    else if (g->kind == GVM_DEVICE && g->sub == GVM_SUB_IPC)
        gvm_ipc_drop(g->base);
    else if (g->kind == GVM_PINNED || g->kind == GVM_MANAGED)
        gvm_pool_free((void *)(uintptr_t)g->base, g->size);
}

int gvm_mem_info(uint64_t *free_bytes, uint64_t *total)
{
    uint64_t a, b;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    gvm_blocks_give_back(c);
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
    GVM_CAPTURE(gvm_cap_unsafe());
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
    gvm_pool_populate(*p, bytes);
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

    if (rc)
        return rc;
    GVM_CAPTURE(gvm_cap_unsafe());
    if (!p)
        return 0;
    if (!gvm_ranges_remove(&gvm_allocs, (uintptr_t)p, HOST_KINDS, &g))
        return 1;
    /* The block may be given to somebody else at once: nothing may be on its way to it. */
    rc = gvm_ctx_wait();
    gvm_pool_free(p, g.size);
    return rc;
}

void gvm_find(uint64_t addr, struct gvm_range *out)
{
    if (!gvm_ranges_find(&gvm_allocs, addr, out))
        *out = (struct gvm_range){.base = addr, .kind = GVM_HOST};
}

bool gvm_fits(const struct gvm_range *g, uint64_t addr, uint64_t n)
{
    struct gvm_range m = *g;

    while (addr - m.base <= m.size) {
        uint64_t left = m.size - (addr - m.base);

        if (n <= left)
            return true;
        if (m.sub != GVM_SUB_MAPPED)
            return false;
        n -= left;
        addr += left;
        gvm_find(addr, &m);
        if (m.sub != GVM_SUB_MAPPED)
            return false;
    }
    return false;
}

int gvm_host_device_pointer(void *host, uint64_t *dptr)
{
    struct gvm_range g;
    int rc = gvm_init();

    if (rc)
        return rc;
    gvm_find((uintptr_t)host, &g);
    if (dptr && g.kind == GVM_HOST && gvm_host_registered((uintptr_t)host, &g)) {
        static uint32_t said;

        /* cudaDevAttrCanUseHostPointerForRegisteredMem is 0, and there is no other pointer. */
        if (gvm_once(&said))
            gvm_log("registered memory has no device pointer here: it is copied, as all memory "
                    "that cudaHostAlloc did not give");
        return 801;
    }
    if (!dptr || (g.kind != GVM_PINNED && g.kind != GVM_MANAGED))
        return 1;
    if (!gvm.pool_direct)
        return 801;
    *dptr = (uintptr_t)host;
    return 0;
}
