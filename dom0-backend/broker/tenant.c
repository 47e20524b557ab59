/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/tenant.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dom0-backend/broker/broker.h"

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

struct tenant *tenant_new(struct broker *b, const char *name, bool file)
{
    struct tenant *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->page = MAP_FAILED;
    t->fd = open_page(b, t, file);
    if (t->fd >= 0 && ftruncate(t->fd, (off_t)sizeof(*t->page)) == 0)
        t->page = mmap(NULL, sizeof(*t->page), PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
    if (t->page == MAP_FAILED) {
        log_error("%s: no page for what its processes share: %m", name);
        if (t->fd >= 0)
            close(t->fd);
        free(t);
        return NULL;
    }
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
    for (p = &b->tenants; *p && *p != t; p = &(*p)->next)
        ;
    if (*p)
        *p = t->next;
    if (b->cfg.run_dir) {
        file_path(b, t, path, sizeof(path));
        unlink(path);
    }
    munmap(t->page, sizeof(*t->page));
    close(t->fd);
    free(t);
}

void tenant_set_mem(struct tenant *t, uint64_t mem)
{
    atomic_store(&t->page->mem_limit, mem);
}

static int send_page(struct tenant *t, struct worker *w)
{
    struct wk_msg m = {.type = WK_TENANT, .slot = w->slot};

    return worker_send(w, &m, &t->fd, 1);
}

static void enter(struct tenant *t, struct worker *w, unsigned slot)
{
    t->slot[slot] = w;
    w->tenant = t;
    w->slot = w->rec.slot = slot;
    if (atomic_load(&t->page->nslot) <= slot)
        atomic_store(&t->page->nslot, slot + 1);
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
    atomic_store(&t->page->slot[i].mem, 0);
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
    atomic_store(&t->page->slot[w->slot].mem, 0);
    w->tenant = NULL;
}

void tenant_sweep(struct broker *b)
{
    for (struct tenant *t = b->tenants; t; t = t->next)
        for (unsigned i = 0; i < TENANT_SLOTS; i++)
            if (!t->slot[i])
                atomic_store(&t->page->slot[i].mem, 0);
}
