/* SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "capture.h"
#include "ipc.h"
#include "mempool.h"
#include "objects.h"
#include "stubs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* An allocation of another process. */
struct foreign {
    struct foreign *next;
    uint8_t share[GVM_SHARE];
    uint64_t dptr;
};

struct pool {
    struct gvm_obj o;
    uint32_t types;          /* of handles for other processes */
    bool imported;           /* its allocations are others', and made and counted there */
    struct foreign *foreign; /* under lock */
};

static struct gvm_idtab pools = GVM_IDTAB_INIT(12, struct pool);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t def, current; /* 0: none named yet, the default one */

static void drop_foreign(struct pool *p)
{
    while (p->foreign) {
        struct foreign *f = p->foreign;

        p->foreign = f->next;
        free(f);
    }
}

static void forget(void *obj, void *arg)
{
    drop_foreign(obj);
    gvm_id_free(arg, obj);
}

void gvm_mempool_reset(void)
{
    pthread_mutex_lock(&lock);
    gvm_id_each(&pools, forget, &pools);
    def = current = 0;
    pthread_mutex_unlock(&lock);
}

/* ---- pools ------------------------------------------------------------------------------- */

int gvm_mempool_create(uint64_t max_size, uint32_t types, uint64_t *pool)
{
    struct gvm_chan *c;
    struct pool *p;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!pool)
        return 1;
    p = gvm_id_new(&pools);
    if (!p)
        return 2;
    p->types = types;
    rc = types ? vgpu_MemPoolCreateShared(c, 0, p->o.id, max_size)
               : vgpu_MemPoolCreate(c, 0, p->o.id, max_size);
    if (rc)
        gvm_id_free(&pools, p);
    else
        *pool = gvm_handle(&pools, p);
    return rc;
}

int gvm_mempool_default(uint64_t *pool)
{
    struct gvm_chan *c;
    struct pool *p;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!pool)
        return 1;
    pthread_mutex_lock(&lock);
    if (!def) {
        p = gvm_id_new(&pools);
        rc = p ? vgpu_MemPoolDefault(c, 0, p->o.id) : 2;
        if (rc == 0)
            def = gvm_handle(&pools, p);
        else if (p)
            gvm_id_free(&pools, p);
    }
    *pool = def;
    pthread_mutex_unlock(&lock);
    return rc;
}

int gvm_mempool_current(uint64_t *pool)
{
    uint64_t now;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!pool)
        return 1;
    pthread_mutex_lock(&lock);
    now = current;
    pthread_mutex_unlock(&lock);
    if (!now)
        return gvm_mempool_default(pool);
    *pool = now;
    return 0;
}

static int look(uint64_t pool, struct gvm_chan **c, struct pool **p)
{
    int rc = gvm_need(c);

    if (rc)
        return rc;
    *p = gvm_id_get(&pools, pool);
    return *p ? 0 : 1;
}

int gvm_mempool_check(uint64_t pool)
{
    struct gvm_chan *c;
    struct pool *p;

    return look(pool, &c, &p);
}

int gvm_mempool_set_current(uint64_t pool)
{
    struct gvm_chan *c;
    struct pool *p;
    int rc = look(pool, &c, &p);

    if (rc)
        return rc;
    if (p->imported)
        return 1;
    pthread_mutex_lock(&lock);
    current = pool == def ? 0 : pool;
    pthread_mutex_unlock(&lock);
    return 0;
}

int gvm_mempool_destroy(uint64_t pool)
{
    struct gvm_chan *c;
    struct pool *p;
    int rc = look(pool, &c, &p);

    if (rc)
        return rc;
    if (pool == __atomic_load_n(&def, __ATOMIC_RELAXED))
        return 1;
    gvm_blocks_flush(c);
    rc = vgpu_MemPoolDestroy(c, 0, p->o.id);
    pthread_mutex_lock(&lock);
    if (current == pool)
        current = 0;
    drop_foreign(p);
    pthread_mutex_unlock(&lock);
    gvm_id_free(&pools, p);
    return rc;
}

int gvm_mempool_trim(uint64_t pool, uint64_t keep)
{
    struct gvm_chan *c;
    struct pool *p;
    int rc = look(pool, &c, &p);

    if (rc == 0 && p->imported)
        rc = 1;
    if (rc)
        return rc;
    gvm_blocks_flush(c);
    return vgpu_MemPoolTrim(c, 0, p->o.id, keep);
}

int gvm_mempool_get(uint64_t pool, int attr, uint64_t *value)
{
    struct gvm_chan *c;
    struct pool *p;
    int rc = look(pool, &c, &p);

    if (rc == 0 && (!value || p->imported))
        rc = 1;
    if (rc)
        return rc;
    gvm_blocks_flush(c);
    return vgpu_MemPoolGet(c, 0, p->o.id, attr, value);
}

int gvm_mempool_set(uint64_t pool, int attr, uint64_t value)
{
    struct gvm_chan *c;
    struct pool *p;
    int rc = look(pool, &c, &p);

    if (rc == 0 && p->imported)
        rc = 1;
    if (rc)
        return rc;
    gvm_blocks_flush(c);
    return vgpu_MemPoolSet(c, 0, p->o.id, attr, value);
}

/* ---- memory ------------------------------------------------------------------------------ */

int gvm_mempool_alloc(uint64_t pool, uint64_t bytes, uint64_t stream, uint64_t *dptr)
{
    struct gvm_range g = {
        .size = bytes, .kind = GVM_DEVICE, .sub = GVM_SUB_POOL, .owner = gvm_owner()};
    struct gvm_sref s;
    struct gvm_chan *c;
    struct pool *p;
    int rc = pool ? 0 : gvm_mempool_current(&pool);

    if (rc == 0)
        rc = look(pool, &c, &p);
    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc)
        return rc;
    if (!dptr || p->imported)
        return 1;
    if (!bytes) { /* success and no memory, as natively */
        *dptr = 0;
        return 0;
    }
    GVM_CAPTURE(gvm_cap_alloc(stream, bytes, dptr));
    rc = gvm_chan_check(c);
    if (rc)
        return rc;
    g.base = gvm_blocks_take_async(pool, s.id, bytes);
    if (!g.base)
        GVM_MAKE_ROOM(rc, c, vgpu_MemPoolAlloc(c, 0, p->o.id, s.id, bytes, &g.base));
    if (rc)
        return rc;
    g.pool = pool;
    if (gvm_ranges_add(&gvm_allocs, &g)) {
        vgpu_MemPoolFree(c, 0, s.id, g.base);
        return 2;
    }
    *dptr = g.base;
    return 0;
}

void gvm_mempool_freed(const struct gvm_range *g)
{
    struct pool *p = gvm_id_get(&pools, g->pool);

    if (!p || !p->imported)
        return;
    pthread_mutex_lock(&lock);
    for (struct foreign **at = &p->foreign; *at; at = &(*at)->next) {
        struct foreign *f = *at;

        if (f->dptr != g->base)
            continue;
        *at = f->next;
        free(f);
        break;
    }
    pthread_mutex_unlock(&lock);
}

int gvm_mempool_free(uint64_t dptr, uint64_t stream)
{
    const struct pool *p;
    struct gvm_sref s;
    struct gvm_range g;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc == 0)
        rc = gvm_chan_check(c);
    if (rc)
        return rc;
    if (!dptr)
        return 0;
    GVM_CAPTURE(gvm_cap_free(stream, dptr));
    rc = gvm_graph_mem_free(dptr);
    if (rc >= 0)
        return rc;
    gvm_find(dptr, &g);
    if (g.kind != GVM_DEVICE || g.base != dptr || (g.sub != GVM_SUB_POOL && g.sub != GVM_SUB_PLAIN))
        return 1;
    if (g.sub == GVM_SUB_PLAIN) {
        rc = gvm_stream_wait_idle(c, &s);
        return rc ? rc : gvm_mem_free(dptr);
    }
    if (!gvm_ranges_remove(&gvm_allocs, dptr, 1u << GVM_DEVICE, &g))
        return 1; /* another thread was first */
    gvm_mempool_freed(&g);
    p = gvm_id_get(&pools, g.pool);
    if (!p || p->types || p->imported || s.id == GVM_STREAM_PER_THREAD)
        return vgpu_MemPoolFree(c, 0, s.id, dptr);
    return gvm_blocks_put_async(c, g.pool, s.id, dptr, g.size);
}

/* ---- other processes --------------------------------------------------------------------- */

struct ptr_data {
    uint8_t share[GVM_SHARE];
    uint64_t zero[4];
};
_Static_assert(sizeof(struct ptr_data) == GVM_IPC_HANDLE, "CUmemPoolPtrExportData");

uint32_t gvm_mempool_types(uint64_t pool)
{
    const struct pool *p = gvm_id_get(&pools, pool);

    return p ? p->types : 0;
}

int gvm_mempool_export(uint64_t pool, int *fd)
{
    uint8_t share[GVM_SHARE];
    struct gvm_chan *c;
    struct pool *p;
    uint32_t n = 0;
    int rc = look(pool, &c, &p);

    if (rc)
        return rc;
    if (!p->types)
        return 1;
    gvm_fd_sweep();
    rc = vgpu_MemPoolExport(c, 0, p->o.id, share, sizeof(share), &n);
    return rc ? rc : n == sizeof(share) ? gvm_fd_make(share, fd) : 999;
}

int gvm_mempool_import(int fd, uint64_t *pool)
{
    uint8_t share[GVM_SHARE];
    struct gvm_chan *c;
    struct pool *p;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (gvm_fd_read(fd, share))
        return 999; /* as natively */
    gvm_company();
    p = gvm_id_new(&pools);
    if (!p)
        return 2;
    rc = vgpu_MemPoolImport(c, 0, p->o.id, share, sizeof(share));
    if (rc) {
        gvm_id_free(&pools, p);
        return rc;
    }
    p->imported = true;
    *pool = gvm_handle(&pools, p);
    return 0;
}

int gvm_mempool_export_ptr(uint64_t dptr, void *data)
{
    struct ptr_data d = {.zero = {0}};
    const struct pool *p;
    struct gvm_range g;
    struct gvm_chan *c;
    uint32_t n = 0;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    gvm_find(dptr, &g);
    p = g.kind == GVM_DEVICE && g.sub == GVM_SUB_POOL ? gvm_id_get(&pools, g.pool) : NULL;
    if (!data || !p || !p->types || g.base != dptr)
        return 1;
    gvm_company();
    rc = vgpu_MemPoolExportPtr(c, 0, dptr, d.share, sizeof(d.share), &n);
    if (rc == 0)
        memcpy(data, &d, sizeof(d));
    return rc;
}

/* Lock held. */
static int import_new(struct gvm_chan *c, struct pool *p, const uint8_t share[GVM_SHARE],
                      struct gvm_range *g, uint64_t *dptr)
{
    struct foreign *f = calloc(1, sizeof(*f));
    int rc = f ? vgpu_MemPoolImportPtr(c, 0, p->o.id, share, GVM_SHARE, &g->base, &g->size) : 2;

    if (rc == 0 && gvm_ranges_add(&gvm_allocs, g)) {
        vgpu_MemPoolFree(c, 0, GVM_STREAM_LEGACY, g->base);
        rc = 2;
    }
    if (rc) {
        free(f);
        return rc;
    }
    memcpy(f->share, share, GVM_SHARE);
    f->dptr = *dptr = g->base;
    f->next = p->foreign;
    p->foreign = f;
    return 0;
}

int gvm_mempool_import_ptr(uint64_t pool, const void *data, uint64_t *dptr)
{
    struct gvm_range g = {
        .kind = GVM_DEVICE, .sub = GVM_SUB_POOL, .pool = pool, .owner = gvm_owner()};
    struct ptr_data d;
    struct foreign *f;
    struct gvm_chan *c;
    struct pool *p;
    int rc = look(pool, &c, &p);

    if (rc)
        return rc;
    if (!data || !dptr || !p->imported)
        return 1;
    memcpy(&d, data, sizeof(d));
    for (int i = 0; i < 4; i++)
        if (d.zero[i])
            return 1;
    pthread_mutex_lock(&lock);
    for (f = p->foreign; f && memcmp(f->share, d.share, GVM_SHARE) != 0; f = f->next)
        ;
    if (f)
        *dptr = f->dptr; /* the same again, to be freed once */
    else
        rc = import_new(c, p, d.share, &g, dptr);
    pthread_mutex_unlock(&lock);
    return rc;
}
