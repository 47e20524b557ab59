/* SPDX-License-Identifier: MIT */
/*
 * graph_user.c - user objects: something of the program's that graphs keep alive. The program's
 * destructor runs when nobody refers to it any more, on a thread of its own.
 */
#include "graph.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

struct CUuserObject_st {
    uint32_t magic;
    uint32_t refs;
    CUhostFn destroy;
    void *ptr;
};

static bool valid(CUuserObject o)
{
    return o && (uintptr_t)o % _Alignof(struct CUuserObject_st) == 0 && o->magic == GVM_USER_MAGIC;
}

static void *run_destroy(void *arg)
{
    struct CUuserObject_st o = *(CUuserObject)arg;

    free(arg);
    o.destroy(o.ptr);
    return NULL;
}

/* Not on the caller's thread: it may hold locks that the destructor takes. */
static void drop(CUuserObject o, uint32_t count)
{
    pthread_t t;

    o->refs -= count;
    if (o->refs)
        return;
    o->magic = 0;
    if (pthread_create(&t, NULL, run_destroy, o) == 0)
        pthread_detach(t);
    else
        gvm_log("no thread for the destructor of a user object: it does not run");
}

CUresult cuUserObjectCreate(CUuserObject *out, void *ptr, CUhostFn destroy, unsigned count,
                            unsigned flags)
{
    CUuserObject o;

    if (!out || !destroy || !count || count > INT32_MAX ||
        flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC)
        return CUDA_ERROR_INVALID_VALUE;
    o = calloc(1, sizeof(*o));
    if (!o)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *o = (struct CUuserObject_st){GVM_USER_MAGIC, count, destroy, ptr};
    *out = o;
    return CUDA_SUCCESS;
}

CUresult cuUserObjectRetain(CUuserObject o, unsigned count)
{
    int rc = 1;

    pthread_mutex_lock(&gvm_graph_lock);
    if (valid(o) && count && count <= INT32_MAX - o->refs) {
        o->refs += count;
        rc = 0;
    }
    pthread_mutex_unlock(&gvm_graph_lock);
    return (CUresult)rc;
}

CUresult cuUserObjectRelease(CUuserObject o, unsigned count)
{
    int rc = 1;

    pthread_mutex_lock(&gvm_graph_lock);
    if (valid(o) && count && count <= o->refs) {
        drop(o, count);
        rc = 0;
    }
    pthread_mutex_unlock(&gvm_graph_lock);
    return (CUresult)rc;
}

static struct gvm_user_ref *ref_of(CUgraph g, CUuserObject o)
{
    for (uint32_t i = 0; i < g->nuser; i++)
        if (g->user[i].o == o)
            return &g->user[i];
    return NULL;
}

static int ref_add(CUgraph g, CUuserObject o, uint32_t count)
{
    struct gvm_user_ref *r = ref_of(g, o);

    if (!r) {
        void *p = realloc(g->user, (g->nuser + 1) * sizeof(*g->user));

        if (!p)
            return 2;
        g->user = p;
        r = &g->user[g->nuser++];
        *r = (struct gvm_user_ref){o, 0};
    }
    r->count += count;
    return 0;
}

static int retain(CUgraph g, CUuserObject o, unsigned count, unsigned flags)
{
    bool move = flags & CU_GRAPH_USER_OBJECT_MOVE;
    int rc;

    if (!gvm_graph_valid(g) || !valid(o) || !count ||
        flags & ~(unsigned)CU_GRAPH_USER_OBJECT_MOVE ||
        (move ? count > o->refs : count > INT32_MAX - o->refs))
        return 1;
    rc = ref_add(g, o, count);
    if (rc == 0 && !move)
        o->refs += count;
    return rc;
}

CUresult cuGraphRetainUserObject(CUgraph g, CUuserObject o, unsigned count, unsigned flags)
{
    int rc;

    pthread_mutex_lock(&gvm_graph_lock);
    rc = retain(g, o, count, flags);
    pthread_mutex_unlock(&gvm_graph_lock);
    return (CUresult)rc;
}

static int release(CUgraph g, CUuserObject o, unsigned count)
{
    struct gvm_user_ref *r;

    if (!gvm_graph_valid(g) || !valid(o) || !count)
        return 1;
    r = ref_of(g, o);
    if (!r || r->count < count)
        return 1;
    r->count -= count;
    if (!r->count)
        *r = g->user[--g->nuser];
    drop(o, count);
    return 0;
}

CUresult cuGraphReleaseUserObject(CUgraph g, CUuserObject o, unsigned count)
{
    int rc;

    pthread_mutex_lock(&gvm_graph_lock);
    rc = release(g, o, count);
    pthread_mutex_unlock(&gvm_graph_lock);
    return (CUresult)rc;
}

void gvm_user_drop_all(CUgraph g)
{
    for (uint32_t i = 0; i < g->nuser; i++)
        drop(g->user[i].o, g->user[i].count);
    free(g->user);
    g->user = NULL;
    g->nuser = 0;
}

int gvm_user_copy(CUgraph to, CUgraph from)
{
    for (uint32_t i = 0; i < from->nuser; i++) {
        int rc = ref_add(to, from->user[i].o, 1);

        if (rc)
            return rc;
        from->user[i].o->refs++;
    }
    return 0;
}
