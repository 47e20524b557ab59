/* SPDX-License-Identifier: MIT */
/*
 * move.c - a worker that outlives its guest's domain: it gives up all of that domain's memory, and
 * later serves the restored one through the same addresses. It stands still all the while, and the
 * driver may have taken it off the GPU: so no device operation is called here.
 */
#include <errno.h>
#include <sys/mman.h>

#include "dom0-backend/common/log.h"
#include "dom0-backend/worker/worker.h"

static void *channel_base(const struct wk *w)
{
    return (void *)w->ch.front;
}

/* In place of the channel's pages: whoever still says that the worker ends writes here. */
static int put_blank(void *at, size_t len)
{
    void *p = mmap(at, len, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    return p == at ? 0 : -ENOMEM;
}

int wk_detach(struct wk *w, const char **why)
{
    size_t len = (size_t)w->assign.npages * VGPU_PAGE_SIZE;
    int err = 0;

    if (!w->assigned || !wk_still_wanted(&w->quiet)) {
        *why = "it does not stand still";
        return -EINVAL;
    }
    if (w->away)
        return 0; /* asked twice, by two brokers */
    w->away = true;
    wk_account_alone(w);
    pthread_mutex_lock(&w->chunk_lock);
    for (unsigned i = 0; i < VGPU_MAX_CHUNKS && !err; i++) {
        struct wk_chunk *c = &w->chunks[i];

        if (!c->len)
            continue;
        c->away = true;
        err = transport_unmap(c->addr, c->len);
    }
    pthread_mutex_unlock(&w->chunk_lock);
    if (munmap(channel_base(w), len) < 0 || put_blank(channel_base(w), len))
        err = -ENOMEM;
    transport_close(&w->tr);
    *why = "its address space cannot be kept";
    return err;
}

int wk_attach(struct wk *w, const struct wk_msg *m, int *fds, int nfds, const char **why)
{
    const struct transport_ops *t = w->tr.ops;
    void *p;
    int err;

    if (!w->away) {
        *why = "it has its guest's memory";
        return -EINVAL;
    }
    if (!t || m->kind != w->assign.kind || nfds != t->assign_fds ||
        m->ring_order != w->assign.ring_order || m->npages != w->assign.npages) {
        *why = "another kind or size of channel than before";
        return -EINVAL;
    }
    err = t->open(&w->tr, m, fds, why);
    if (err)
        return err;
    err =
        t->map(fds[0], m->gnt_index, channel_base(w), (size_t)m->npages * VGPU_PAGE_SIZE, &p, why);
    fds[0] = -1;
    if (err)
        return err;
    w->assign = *m;
    log_subject("d%u.%u pid %u", m->domid, m->devid, m->pid);
    w->away = false;
    VGPU_STORE(&w->ch.back->sticky, atomic_load(&w->sticky));
    VGPU_STORE_RELEASE(&w->ch.back->alive, (uint8_t)1);
    return 0;
}

int wk_attach_chunk(struct wk *w, const struct wk_msg *m, int *fd, const char **why)
{
    struct wk_chunk *c = &w->chunks[m->chunk];
    void *p;
    int err;

    if (c->len != (uint64_t)m->npages * VGPU_PAGE_SIZE) {
        *why = "another size of chunk than before";
        return -EINVAL;
    }
    err = w->tr.ops->map(*fd, m->gnt_index, c->addr, c->len, &p, why);
    *fd = -1;
    if (!err)
        c->away = false;
    return err;
}

bool wk_complete(struct wk *w)
{
    bool all = !w->away;

    for (unsigned i = 0; i < VGPU_MAX_CHUNKS; i++)
        all &= !w->chunks[i].len || !w->chunks[i].away;
    return all;
}
