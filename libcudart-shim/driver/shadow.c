/* SPDX-License-Identifier: MIT */
#include "shadow.h"
#include "capture.h"
#include "log.h"
#include "objects.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE  4096u
#define BLOCK 64u /* octets that are sent together */

struct var {
    struct var *next;
    uint8_t *at; /* the copy; the same address on the device */
    uint64_t size;
    uint8_t *seen;  /* what both sides had when they were last compared */
    uint8_t *fresh; /* room for what the device has */
    bool gone;      /* its module has been unloaded */
};

uint32_t gvm_shadow_live;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct var *vars;
static uint64_t stream; /* of its own, so that no work of the program is waited for */
/* Copies made here are no occasion for more of them. */
static __thread bool busy __attribute__((tls_model("initial-exec")));

static uintptr_t page_of(uintptr_t p)
{
    return p & ~(uintptr_t)(PAGE - 1);
}

static bool ours(uintptr_t page)
{
    for (const struct var *v = vars; v; v = v->next)
        if (page >= page_of((uintptr_t)v->at) && page < (uintptr_t)v->at + v->size)
            return true;
    return false;
}

/* Pages at [from, to) that this process can use. */
static int make_pages(uintptr_t from, uintptr_t to)
{
    const struct gvm_conn *n = &gvm.chan->conn;

    /* Inside the device's window they are reserved by ourselves. */
    if (n->dev_size && from - n->dev_base < n->dev_size && to - from <= n->dev_size)
        return mprotect((void *)from, to - from, PROT_READ | PROT_WRITE) < 0 ? -errno : 0;
    for (; from < to; from += PAGE) {
        void *p;

        if (ours(from))
            continue;
        p = mmap((void *)from, PAGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (p == MAP_FAILED)
            return -errno;
        if ((uintptr_t)p != from) { /* a kernel without FIXED_NOREPLACE took it as a hint */
            munmap(p, PAGE);
            return -EEXIST;
        }
    }
    return 0;
}

static void free_var(struct var *v)
{
    free(v->seen);
    free(v->fresh);
    free(v);
}

/* Fetches what the device has. */
static int fetch(struct var *v)
{
    return gvm_copy((uintptr_t)v->fresh, (uintptr_t)v->at, v->size, GVM_D2H, stream, true);
}

int gvm_shadow_add(uint64_t dptr, uint64_t size)
{
    struct var *v = calloc(1, sizeof(*v));
    struct gvm_range g;
    int rc = 2;

    if (!v)
        return 2;
    pthread_mutex_lock(&lock);
    busy = true;
    v->at = (uint8_t *)(uintptr_t)dptr;
    v->size = size;
    v->seen = malloc(size);
    v->fresh = malloc(size);
    if (!v->seen || !v->fresh)
        goto out;
    rc = stream ? 0 : gvm_stream_create(GVM_STREAM_NON_BLOCKING, 0, &stream);
    if (rc == 0)
        rc = fetch(v);
    if (rc)
        goto out;
    rc = make_pages(page_of(dptr), dptr + size);
    if (rc) {
        gvm_log("a __managed__ variable at %#llx cannot be had at that address here: %s",
                (unsigned long long)dptr, strerror(-rc));
        rc = 801;
        goto out;
    }
    memcpy(v->at, v->fresh, size);
    memcpy(v->seen, v->fresh, size);
    if (gvm_ranges_remove(&gvm_allocs, dptr, 1u << GVM_GLOBAL, &g)) {
        g.sub = GVM_SUB_SHADOW;
        gvm_ranges_add(&gvm_allocs, &g);
    }
    /* For as long as the connection lives: the short way of launches looks at no variables. */
    if (!vars)
        gvm_short_ways(gvm.chan, 1);
    v->next = vars;
    vars = v;
    v = NULL;
    __atomic_store_n(&gvm_shadow_live, 1, __ATOMIC_RELAXED);
out:
    busy = false;
    pthread_mutex_unlock(&lock);
    if (v)
        free_var(v);
    return rc;
}

/* Sends the blocks that the program has changed. True if there were any. */
static bool push(struct var *v)
{
    bool any = false;

    for (uint64_t i = 0; i < v->size && !v->gone; i += BLOCK) {
        uint64_t n = v->size - i < BLOCK ? v->size - i : BLOCK;
        uint64_t from = 0, to = n;

        if (memcmp(v->at + i, v->seen + i, n) == 0)
            continue;
        /* No more than what changed: another kernel may be at work on what lies beside it. */
        while (v->at[i + from] == v->seen[i + from])
            from++;
        while (v->at[i + to - 1] == v->seen[i + to - 1])
            to--;
        memcpy(v->seen + i + from, v->at + i + from, to - from);
        if (gvm_copy((uintptr_t)v->at + i + from, (uintptr_t)v->seen + i + from, to - from, GVM_H2D,
                     stream, false))
            v->gone = true;
        any = true;
    }
    return any;
}

void gvm_shadow_push_all(void)
{
    bool any = false;

    if (busy || !gvm_usable() || gvm_capturing())
        return;
    pthread_mutex_lock(&lock);
    busy = true;
    for (struct var *v = vars; v; v = v->next)
        any |= !v->gone && push(v);
    if (any)
        gvm_stream_sync(stream);
    busy = false;
    pthread_mutex_unlock(&lock);
}

/* What the program has changed meanwhile stays, to be sent with the next work. */
static void pull(struct var *v)
{
    if (fetch(v)) {
        v->gone = true;
        return;
    }
    for (uint64_t i = 0; i < v->size; i++) {
        if (v->fresh[i] == v->seen[i])
            continue;
        if (v->at[i] == v->seen[i])
            v->at[i] = v->fresh[i];
        v->seen[i] = v->fresh[i];
    }
}

void gvm_shadow_pull_all(void)
{
    if (busy || !gvm_usable() || gvm_capturing())
        return;
    pthread_mutex_lock(&lock);
    busy = true;
    for (struct var *v = vars; v; v = v->next)
        if (!v->gone)
            pull(v);
    busy = false;
    pthread_mutex_unlock(&lock);
}

int gvm_shadow_after(struct gvm_chan *c, const struct gvm_sref *s, int rc, bool sync)
{
    if (__builtin_expect(!gvm_shadow_live, 1) || busy || rc || !sync)
        return rc;
    rc = gvm_stream_wait_idle(c, s);
    gvm_shadow_pull();
    return rc;
}

void gvm_shadow_reset(void)
{
    pthread_mutex_lock(&lock);
    while (vars) {
        struct var *v = vars;

        vars = v->next;
        free_var(v);
    }
    stream = 0;
    __atomic_store_n(&gvm_shadow_live, 0, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&lock);
}
