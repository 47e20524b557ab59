/* SPDX-License-Identifier: MIT */
/*
 * vmm.c - what the driver checks when it is called is checked here, so that a wrong call costs
 * nothing; the worker's device checks again.
 */
#include "vmm.h"
#include "blocks.h"
#include "ipc.h"
#include "objects.h"
#include "stubs.h"

#include <pthread.h>

struct memory {
    struct gvm_obj o;
    uint64_t size;
    uint32_t types;   /* of handles for other processes */
    uint32_t handles; /* that the program holds */
    uint32_t maps;
};

static struct gvm_idtab memories = GVM_IDTAB_INIT(13, struct memory);
/* Reservations, and mappings within them (pool: the memory; flags: access; marks: allowed). */
static struct gvm_ranges reserved = GVM_RANGES_INIT, mapped = GVM_RANGES_INIT;
/* Over changes of all three; calls of the device that others must not overtake are made under it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t grain;

static void forget(void *obj, void *arg)
{
    gvm_id_free(arg, obj);
}

void gvm_vmm_reset(void)
{
    pthread_mutex_lock(&lock);
    gvm_ranges_clear(&reserved);
    gvm_ranges_clear(&mapped);
    gvm_id_each(&memories, forget, &memories);
    grain = 0;
    pthread_mutex_unlock(&lock);
}

int gvm_vmm_granularity(uint64_t *minimum, uint64_t *recommended)
{
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    return rc ? rc : vgpu_VmmGranularity(c, 0, minimum, recommended);
}

/* 1 unless all of `bits` (sizes and addresses or'ed) are multiples of the granularity. */
static int grained(uint64_t bits)
{
    uint64_t g = __atomic_load_n(&grain, __ATOMIC_RELAXED), better;

    if (!g) {
        int rc = gvm_vmm_granularity(&g, &better);

        if (rc)
            return rc;
        __atomic_store_n(&grain, g, __ATOMIC_RELAXED);
    }
    return g && bits % g ? 1 : 0;
}

static bool inside(const struct gvm_range *g, uint64_t addr, uint64_t size)
{
    return addr - g->base <= g->size && size <= g->size - (addr - g->base);
}

/* ---- reservations ------------------------------------------------------------------------ */

int gvm_vmm_reserve(uint64_t size, uint64_t align, uint64_t fixed, uint64_t *ptr)
{
    struct gvm_range g = {.size = size, .kind = GVM_DEVICE};
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!ptr || !size || (align & (align - 1)))
        return 1;
    rc = grained(size);
    if (rc == 0)
        rc = vgpu_VmmReserve(c, 0, size, align, fixed, &g.base);
    if (rc)
        return rc;
    if (gvm_ranges_add(&reserved, &g)) {
        vgpu_VmmUnreserve(c, 0, g.base, size);
        return 2;
    }
    *ptr = g.base;
    return 0;
}

int gvm_vmm_unreserve(uint64_t ptr, uint64_t size)
{
    struct gvm_range g, m;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    pthread_mutex_lock(&lock);
    if (!gvm_ranges_find(&reserved, ptr, &g) || g.base != ptr || g.size != size)
        rc = 1;
    for (uint64_t at = ptr; rc == 0 && at < ptr + size;
         at += __atomic_load_n(&grain, __ATOMIC_RELAXED))
        if (gvm_ranges_find(&mapped, at, &m))
            rc = 1;
    if (rc == 0)
        rc = vgpu_VmmUnreserve(c, 0, ptr, size);
    if (rc == 0)
        gvm_ranges_remove(&reserved, ptr, ~0u, &g);
    pthread_mutex_unlock(&lock);
    return rc;
}

bool gvm_vmm_reserved(uint64_t addr, uint64_t *base, uint64_t *size)
{
    struct gvm_range g;

    if (!gvm_ranges_find(&reserved, addr, &g))
        return false;
    *base = g.base;
    *size = g.size;
    return true;
}

/* ---- memory ------------------------------------------------------------------------------ */

int gvm_vmm_create(uint64_t size, uint32_t types, uint64_t *memory)
{
    struct memory *m;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!memory || !size)
        return 1;
    rc = grained(size);
    if (rc)
        return rc;
    m = gvm_id_new(&memories);
    if (!m)
        return 2;
    m->size = size;
    m->types = types;
    m->handles = 1;
    gvm_fd_sweep(); /* memory that nobody can import any more makes room */
    GVM_MAKE_ROOM(rc, c,
                  types ? vgpu_VmmCreateShared(c, 0, m->o.id, size)
                        : vgpu_VmmCreate(c, 0, m->o.id, size));
    if (rc)
        gvm_id_free(&memories, m);
    else
        *memory = gvm_handle(&memories, m);
    return rc;
}

/* The memory of a handle that the program holds. Lock held. */
static struct memory *held(uint64_t memory)
{
    struct memory *m = gvm_id_get(&memories, memory);

    return m && m->handles ? m : NULL;
}

/* Lock held. */
static int drop_unused(struct gvm_chan *c, struct memory *m)
{
    int rc;

    if (m->handles || m->maps)
        return 0;
    rc = vgpu_VmmRelease(c, 0, m->o.id);
    gvm_id_free(&memories, m);
    return rc;
}

int gvm_vmm_release(uint64_t memory)
{
    struct memory *m;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    gvm_fd_sweep();
    pthread_mutex_lock(&lock);
    m = held(memory);
    if (m) {
        m->handles--;
        rc = drop_unused(c, m);
    } else {
        rc = 1;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

int gvm_vmm_retain(uint64_t addr, uint64_t *memory)
{
    struct gvm_range g;
    struct memory *m;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!memory)
        return 1;
    pthread_mutex_lock(&lock);
    m = gvm_ranges_find(&mapped, addr, &g) ? gvm_id_get(&memories, g.pool) : NULL;
    if (m) {
        m->handles++;
        *memory = g.pool;
    }
    pthread_mutex_unlock(&lock);
    return m ? 0 : 1;
}

uint32_t gvm_vmm_types(uint64_t memory)
{
    const struct memory *m;
    uint32_t types;

    pthread_mutex_lock(&lock);
    m = gvm_id_get(&memories, memory);
    types = m ? m->types : 0;
    pthread_mutex_unlock(&lock);
    return types;
}

int gvm_vmm_check(uint64_t memory)
{
    struct gvm_chan *c;
    bool ok;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    pthread_mutex_lock(&lock);
    ok = held(memory) != NULL;
    pthread_mutex_unlock(&lock);
    return ok ? 0 : 1;
}

int gvm_vmm_export(uint64_t memory, int *fd)
{
    uint8_t share[GVM_SHARE];
    struct memory *m;
    struct gvm_chan *c;
    uint32_t n = 0;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    gvm_fd_sweep();
    gvm_company();
    pthread_mutex_lock(&lock);
    m = held(memory);
    rc = m && m->types ? vgpu_VmmExport(c, 0, m->o.id, share, sizeof(share), &n) : 1;
    pthread_mutex_unlock(&lock);
    return rc ? rc : n == sizeof(share) ? gvm_fd_make(share, fd) : 999;
}

int gvm_vmm_import(int fd, uint64_t *memory)
{
    uint8_t share[GVM_SHARE];
    struct memory *m;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (gvm_fd_read(fd, share))
        return 999; /* as natively */
    gvm_company();
    m = gvm_id_new(&memories);
    if (!m)
        return 2;
    rc = vgpu_VmmImport(c, 0, m->o.id, share, sizeof(share), &m->size);
    if (rc) {
        gvm_id_free(&memories, m);
        return rc;
    }
    m->handles = 1; /* types 0: natively it cannot be exported again */
    *memory = gvm_handle(&memories, m);
    return 0;
}

/* ---- mappings ---------------------------------------------------------------------------- */

int gvm_vmm_map(uint64_t ptr, uint64_t size, uint64_t offset, uint64_t memory)
{
    struct gvm_range g = {.base = ptr, .size = size, .kind = GVM_DEVICE, .pool = memory}, r;
    struct memory *m;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    pthread_mutex_lock(&lock);
    m = held(memory);
    if (m && (offset || size != m->size)) {
        rc = 801; /* as natively: only the whole of a memory can be mapped */
    } else if (!m || grained(ptr) || !gvm_ranges_find(&reserved, ptr, &r) ||
               !inside(&r, ptr, size) || gvm_ranges_add(&mapped, &g)) {
        rc = 1;
    } else {
        rc = vgpu_VmmMap(c, 0, m->o.id, ptr, size, offset);
        if (rc)
            gvm_ranges_remove(&mapped, ptr, ~0u, &g);
        else
            m->maps++;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

/* Reserved addresses at which nothing is mapped. Lock held. */
static bool bare(uint64_t ptr, uint64_t size)
{
    struct gvm_range g;

    if (!gvm_ranges_find(&reserved, ptr, &g) || !inside(&g, ptr, size) || grained(ptr | size))
        return false;
    for (uint64_t at = ptr; at < ptr + size; at += __atomic_load_n(&grain, __ATOMIC_RELAXED))
        if (gvm_ranges_find(&mapped, at, &g))
            return false;
    return true;
}

/* [ptr, ptr + size) is made of whole mappings. Lock held. */
static bool whole(uint64_t ptr, uint64_t size)
{
    struct gvm_range g;

    while (size) {
        if (!gvm_ranges_find(&mapped, ptr, &g) || g.base != ptr || g.size > size)
            return false;
        ptr += g.size;
        size -= g.size;
    }
    return true;
}

int gvm_vmm_unmap(uint64_t ptr, uint64_t size)
{
    struct gvm_range g, gone;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    pthread_mutex_lock(&lock);
    if (size && bare(ptr, size)) { /* natively no error */
        pthread_mutex_unlock(&lock);
        return 0;
    }
    rc = size && whole(ptr, size) ? vgpu_VmmUnmap(c, 0, ptr, size) : 1;
    for (uint64_t at = ptr; rc == 0 && at < ptr + size; at += g.size) {
        struct memory *m;

        if (!gvm_ranges_remove(&mapped, at, ~0u, &g))
            break;
        gvm_ranges_remove(&gvm_allocs, at, 1u << GVM_DEVICE, &gone);
        m = gvm_id_get(&memories, g.pool);
        if (m) {
            m->maps--;
            drop_unused(c, m);
        }
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

int gvm_vmm_set_access(uint64_t ptr, uint64_t size, uint32_t flags)
{
    struct gvm_range g, gone;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    pthread_mutex_lock(&lock);
    rc = size && whole(ptr, size) ? vgpu_VmmAccess(c, 0, ptr, size, flags) : 1;
    for (uint64_t at = ptr; rc == 0 && at < ptr + size; at += g.size) {
        if (!gvm_ranges_find(&mapped, at, &g))
            break;
        gvm_ranges_mark(&mapped, at, flags, 3);
        gvm_ranges_remove(&gvm_allocs, at, 1u << GVM_DEVICE, &gone);
        if (!flags)
            continue;
        g.sub = GVM_SUB_MAPPED;
        g.owner = NULL;
        g.marks = flags;
        if (gvm_ranges_add(&gvm_allocs, &g))
            rc = 2;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

int gvm_vmm_get_access(uint64_t ptr, uint32_t *flags)
{
    struct gvm_range g;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!flags || !gvm_ranges_find(&mapped, ptr, &g))
        return 1;
    *flags = g.marks & 3;
    return 0;
}
