/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/tenant.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dom0-backend/broker/broker.h"
#include "dom0-backend/broker/sched.h"

static void file_path(const struct broker *b, const struct tenant *t, char *buf, size_t n)
{
    snprintf(buf, n, "%s/tenant-%s.page", b->cfg.run_dir, t->name);
}

/* A page that is made or found; only this process and, later, the guest's workers have it. */
static int open_page(const struct broker *b, const struct tenant *t, bool file)
{
    char path[128];
    int fd;

    if (!file || !b->cfg.run_dir)
        return memfd_create("gvm-tenant", MFD_CLOEXEC);
    file_path(b, t, path, sizeof(path));
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd;
}

/* Of an earlier broker: nobody waits there for us. */
static void clear_gate(struct tenant *t)
{
    uint32_t v = atomic_load(&t->page->gate) & ~(uint32_t)TENANT_GATE_MASK;

    atomic_store(&t->page->gate, v + TENANT_GATE_MASK + 1 + TENANT_OPEN);
}

struct tenant *tenant_new(struct broker *b, const char *name, bool file)
{
    struct tenant *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->page = MAP_FAILED;
    t->weight = TENANT_WEIGHT;
    t->fd = open_page(b, t, file);
    t->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->fd >= 0 && t->efd >= 0 && ftruncate(t->fd, (off_t)sizeof(*t->page)) == 0)
        t->page = mmap(NULL, sizeof(*t->page), PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
    if (t->page == MAP_FAILED) {
        log_error("%s: no page for what its processes share: %m", name);
        if (t->fd >= 0)
            close(t->fd);
        if (t->efd >= 0)
            close(t->efd);
        free(t);
        return NULL;
    }
    clear_gate(t);
    atomic_store(&t->page->mem_twice, 0); /* what an earlier broker knew */
    t->next = b->tenants;
    b->tenants = t;
    return t;
}

void tenant_free(struct broker *b, struct tenant *t)
{
    struct tenant **p;
    char path[128];

    if (!t)
        return;
    for (unsigned i = 0; i < TENANT_SLOTS; i++)
        if (t->slot[i])
            t->slot[i]->tenant = NULL;
    sched_remove(t->member);
    for (p = &b->tenants; *p && *p != t; p = &(*p)->next)
        ;
    if (*p)
        *p = t->next;
    if (b->cfg.run_dir) {
        file_path(b, t, path, sizeof(path));
        unlink(path);
    }
    holds_clear(&t->holds);
    munmap(t->page, sizeof(*t->page));
    close(t->fd);
    close(t->efd);
    free(t);
}

void tenant_set_mem(struct tenant *t, uint64_t mem)
{
    atomic_store(&t->page->mem_limit, mem);
}

void tenant_set_share(struct tenant *t, uint32_t weight, uint32_t cap)
{
    t->weight = weight ? weight : TENANT_WEIGHT;
    t->cap = cap < 100 ? cap : 0;
    sched_set(t->member, t->weight, t->cap);
}

uint64_t tenant_gpu_ns(const struct tenant *t)
{
    return t->gpu_ns + sched_used(t->member);
}

static int send_page(struct tenant *t, struct worker *w)
{
    struct wk_msg m = {.type = WK_TENANT, .slot = w->slot};
    int fds[2] = {t->fd, t->efd};

    return worker_send(w, &m, fds, 2);
}

static void clear_slot(struct tenant *t, unsigned slot)
{
    struct tenant_slot *s = &t->page->slot[slot];

    atomic_store(&s->mem, 0);
    atomic_store(&s->since, 0);
    atomic_store(&s->waits, 0);
    atomic_store(&s->yields, 0);
}

static void enter(struct tenant *t, struct worker *w, unsigned slot)
{
    if (t->nworker++ == 0) {
        /* By what the worker says it is: an index and a UUID may be the same GPU. */
        w->ready.text[sizeof(w->ready.text) - 1] = '\0';
        t->member = sched_add(w->b, t, w->ready.text[0] ? w->ready.text : w->params.device,
                              t->weight, t->cap);
        if (!t->member)
            log_warn("%s: it is not in the sharing of the GPU's time: out of resources", t->name);
    }
    t->slot[slot] = w;
    w->tenant = t;
    w->slot = w->rec.slot = slot;
    if (atomic_load(&t->page->nslot) <= slot)
        atomic_store(&t->page->nslot, slot + 1);
    park_account(w->b);
}

int tenant_join(struct tenant *t, struct worker *w)
{
    unsigned i;

    for (i = 0; i < TENANT_SLOTS && t->slot[i]; i++)
        ;
    if (i == TENANT_SLOTS) {
        log_warn("%s: a process is refused: there are %u", t->name, TENANT_SLOTS);
        return -ENOSPC;
    }
    clear_slot(t, i);
    enter(t, w, i);
    return send_page(t, w);
}

int tenant_rejoin(struct tenant *t, struct worker *w)
{
    unsigned slot = w->rec.slot;

    if (slot >= TENANT_SLOTS || t->slot[slot])
        return -EINVAL;
    enter(t, w, slot);
    return send_page(t, w);
}

void tenant_leave(struct worker *w)
{
    struct tenant *t = w->tenant;

    if (!t)
        return;
    t->slot[w->slot] = NULL;
    holds_drop_user(&t->holds, w);
    tenant_count_holds(t);
    clear_slot(t, w->slot);
    w->tenant = NULL;
    if (--t->nworker == 0) {
        t->gpu_ns += sched_used(t->member);
        sched_remove(t->member);
        t->member = NULL;
    }
}

void tenant_count_holds(struct tenant *t)
{
    atomic_store(&t->page->mem_twice, holds_credit(&t->holds));
}

void tenant_sweep(struct broker *b)
{
    for (struct tenant *t = b->tenants; t; t = t->next)
        for (unsigned i = 0; i < TENANT_SLOTS; i++)
            if (!t->slot[i])
                clear_slot(t, i);
}
