/* SPDX-License-Identifier: MIT */
/*
 * ipc.c - cuIpc*: allocations and events under handles of 64 octets.
 */
#include "ipc.h"
#include "capture.h"
#include "objects.h"
#include "stubs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define LAZY_PEER_ACCESS 1u
#define NO_EVENT         205 /* MAP_FAILED: what CUDA says of a handle of no event */

/* The worker's allocation may be more than the program's. */
struct mem_handle {
    uint8_t share[GVM_SHARE];
    uint64_t offset, size;
    uint64_t owner; /* this process's number, made up at its first handle */
    uint64_t zero;
};
_Static_assert(sizeof(struct mem_handle) == GVM_IPC_HANDLE, "CUipcMemHandle");

struct event_handle {
    uint8_t share[GVM_SHARE];
    uint64_t zero[4];
};
_Static_assert(sizeof(struct event_handle) == GVM_IPC_HANDLE, "CUipcEventHandle");

/* What is open; the same handle again is the same address. */
struct opened {
    struct opened *next;
    struct mem_handle h;
    uint64_t base; /* the worker's */
    uint64_t addr;
    unsigned refs;
};

static struct {
    pthread_mutex_t lock; /* over calls, too: two threads may open the same */
    struct opened *list;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint32_t gvm_has_company;

void gvm_ipc_reset(void)
{
    __atomic_store_n(&gvm_has_company, 0, __ATOMIC_RELAXED);
    pthread_mutex_lock(&all.lock);
    while (all.list) {
        struct opened *o = all.list;

        all.list = o->next;
        free(o);
    }
    pthread_mutex_unlock(&all.lock);
    gvm_fd_reset();
}

/* Not the process id: that is another one in every container. */
static uint64_t self(void)
{
    static uint64_t number; /* atomic */
    uint64_t n = __atomic_load_n(&number, __ATOMIC_RELAXED), mine = 0;

    while (!n) {
        if (getrandom(&mine, sizeof(mine), 0) != (ssize_t)sizeof(mine) || !mine)
            mine = (uint64_t)getpid() << 32 | (uintptr_t)&number >> 12;
        __atomic_compare_exchange_n(&number, &n, mine, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        n = __atomic_load_n(&number, __ATOMIC_RELAXED);
    }
    return n;
}

/* ---- memory ------------------------------------------------------------------------------ */

int gvm_ipc_get_mem(uint64_t dptr, void *handle)
{
    struct mem_handle h = {.owner = self()};
    uint64_t base, size;
    struct gvm_range g;
    struct gvm_chan *c;
    uint32_t n;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!handle)
        return 1;
    GVM_CAPTURE(gvm_cap_unsafe());
    gvm_find(dptr, &g);
    if (g.kind != GVM_DEVICE || g.sub != GVM_SUB_PLAIN)
        return 1;
    /* From now on it is not kept for another allocation when it is freed. */
    gvm_ranges_mark(&gvm_allocs, g.base, GVM_MARK_SHARED, 0);
    gvm_company();
    rc = vgpu_IpcGetMem(c, 0, g.base, &base, &size, h.share, GVM_SHARE, &n);
    if (rc)
        return rc;
    if (n != GVM_SHARE || g.base - base > size || g.size > size - (g.base - base))
        return 999;
    h.offset = g.base - base;
    h.size = g.size;
    memcpy(handle, &h, sizeof(h));
    return 0;
}

static int open_new(struct gvm_chan *c, const struct mem_handle *h, uint64_t *dptr)
{
    struct gvm_range g = {.kind = GVM_DEVICE, .sub = GVM_SUB_IPC, .owner = gvm_owner()};
    struct opened *o = calloc(1, sizeof(*o));
    uint64_t size = 0;
    int rc = o ? vgpu_IpcOpenMem(c, 0, h->share, GVM_SHARE, &o->base, &size) : 2;

    if (rc) {
        free(o);
        return rc;
    }
    g.base = o->base + h->offset;
    g.size = h->size;
    /* An altered handle must not reach beyond what was exported. */
    if (!h->size || h->offset > size || h->size > size - h->offset)
        rc = 1;
    else if (gvm_ranges_add(&gvm_allocs, &g))
        rc = 2;
    if (rc) {
        vgpu_IpcCloseMem(c, 0, o->base);
        free(o);
        return rc;
    }
    o->h = *h;
    o->addr = g.base;
    o->refs = 1;
    o->next = all.list;
    all.list = o;
    *dptr = o->addr;
    return 0;
}

int gvm_ipc_open_mem(const void *handle, unsigned flags, bool again, uint64_t *dptr)
{
    struct mem_handle h;
    struct opened *o;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!handle || !dptr || flags != LAZY_PEER_ACCESS)
        return 1;
    GVM_CAPTURE(gvm_cap_unsafe());
    gvm_company();
    memcpy(&h, handle, sizeof(h));
    if (h.zero)
        return 1;
    if (h.owner == self())
        return 201; /* INVALID_CONTEXT; also when it has been freed */
    pthread_mutex_lock(&all.lock);
    for (o = all.list; o && memcmp(&o->h, &h, sizeof(h)) != 0; o = o->next)
        ;
    if (o && !again) {
        rc = 208; /* ALREADY_MAPPED */
    } else if (o) {
        o->refs++;
        *dptr = o->addr;
    } else {
        rc = open_new(c, &h, dptr);
    }
    pthread_mutex_unlock(&all.lock);
    return rc;
}

/* Lock held. NULL: nothing is open there. */
static struct opened **at(uint64_t dptr)
{
    struct opened **o = &all.list;

    while (*o && (*o)->addr != dptr)
        o = &(*o)->next;
    return o;
}

int gvm_ipc_close_mem(uint64_t dptr)
{
    struct opened **p, *o;
    struct gvm_range g;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    GVM_CAPTURE(gvm_cap_unsafe());
    pthread_mutex_lock(&all.lock);
    p = at(dptr);
    o = *p;
    if (!o) {
        rc = 1;
    } else if (--o->refs == 0) {
        *p = o->next;
        gvm_ranges_remove(&gvm_allocs, dptr, 1u << GVM_DEVICE, &g);
        rc = vgpu_IpcCloseMem(c, 0, o->base);
        free(o);
    }
    pthread_mutex_unlock(&all.lock);
    return rc;
}

void gvm_ipc_drop(uint64_t dptr)
{
    struct gvm_chan *c = gvm_usable();
    struct opened **p, *o;

    pthread_mutex_lock(&all.lock);
    p = at(dptr);
    o = *p;
    if (o) {
        *p = o->next;
        if (c)
            vgpu_IpcCloseMem(c, 0, o->base);
        free(o);
    }
    pthread_mutex_unlock(&all.lock);
}

/* ---- events ------------------------------------------------------------------------------ */

int gvm_ipc_get_event(uint64_t event, void *handle)
{
    struct event_handle h = {.zero = {0}};
    const struct gvm_event *e;
    struct gvm_chan *c;
    uint32_t n;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!handle)
        return 1;
    e = gvm_id_get(&gvm_events, event);
    if (!e || !(e->flags & GVM_EVENT_INTERPROCESS))
        return 400;
    rc = vgpu_IpcGetEvent(c, 0, e->o.id, h.share, GVM_SHARE, &n);
    if (rc == 0)
        memcpy(handle, &h, sizeof(h));
    return rc;
}

int gvm_ipc_open_event(const void *handle, uint64_t *event)
{
    struct event_handle h;
    struct gvm_event *e;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!handle || !event)
        return 1;
    memcpy(&h, handle, sizeof(h));
    for (int i = 0; i < 4; i++)
        if (h.zero[i])
            return NO_EVENT;
    e = gvm_event_make_of(c, GVM_EVENT_NO_TIMING | GVM_EVENT_INTERPROCESS, h.share, &rc);
    if (!e)
        return rc == 1 ? NO_EVENT : rc;
    e->internal = false;
    *event = gvm_handle(&gvm_events, e);
    return 0;
}
