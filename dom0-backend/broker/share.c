/* SPDX-License-Identifier: MIT */
/*
 * share.c - memory and events that the processes of one guest share. Each has a worker of its own,
 * and workers know nothing of each other: one exports, and gets a token that its guest process may
 * pass on by whatever means; another one imports, and gets the descriptor and what the first said
 * about it. The broker sees to it that both are of one guest, and looks at nothing else.
 *
 * What has been exported is forgotten with the worker that did; what has been imported lives on as
 * long as its descriptor's memory does.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dom0-backend/broker/broker.h"

#define SEGMENT_MAX (1ull << 40)

/* Sealed, so that no worker can pull it away from under another one. */
static int make_segment(const struct worker *w, uint64_t size)
{
    uint64_t most = w->params.mem && w->params.mem < SEGMENT_MAX ? w->params.mem : SEGMENT_MAX;
    int fd, err;

    /* A page more than the quota at least: events have one, too. */
    if (!size || size % VGPU_PAGE_SIZE || (size > most && size > VGPU_PAGE_SIZE))
        return -EINVAL;
    fd = memfd_create("gvm-share", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static int export(struct worker *w, const struct wk_share *m, int *fds, int nfds,
                  struct wk_share *answer)
{
    struct share s = {.guest = w->ch->host->guest, .owner = w, .kind = m->kind, .fd = -1};
    uint32_t dropped;
    int err;

    strcpy(s.device, w->params.device);
    memcpy(s.meta, m->meta, sizeof(s.meta));
    if (nfds) {
        s.fd = fds[0];
        fds[0] = -1;
    }
    err = shares_add(&w->b->shares, &s);
    if (err == -ENOSPC && log_rate_ok(&w->rate, &dropped))
        log_warn("%s: nothing further can be exported to other processes: allowed are %u at a "
                 "time, and %u of all guests; there are %u",
                 w->ch->host->name, SHARES_GUEST_MAX,
                 w->b->shares.most ? w->b->shares.most : SHARES_MAX, w->b->shares.n);
    if (err)
        return err;
    memcpy(answer->token, s.token, sizeof(s.token));
    if (w->tenant)
        holds_enter(&w->tenant->holds, s.token,
                    w->params.mem && m->size > w->params.mem ? 0 : m->size, w);
    return 0;
}

bool share_message(struct worker *w, const struct wk_msg *m, int *fds, int nfds)
{
    struct wk_msg a = {.type = WK_ANSWER, .seq = m->seq};
    const struct share *s;
    int fd = -1, own = -1;

    if (w->state != WORKER_SERVING || !w->ch || (nfds && m->type != WK_EXPORT) ||
        (m->type != WK_SEGMENT && m->type != WK_UNEXPORT && m->type != WK_GONE &&
         (m->share.kind == 0 || m->share.kind >= WK_SHARE_KINDS)))
        return false;
    switch (m->type) {
    case WK_SEGMENT:
        fd = own = make_segment(w, m->share.size);
        a.status = fd < 0 ? fd : 0;
        break;
    case WK_EXPORT:
        a.status = export(w, &m->share, fds, nfds, &a.share);
        break;
    case WK_IMPORT:
        s = shares_find(&w->b->shares, w->ch->host->guest, m->share.kind, w->params.device,
                        m->share.token);
        if (s) {
            memcpy(a.share.meta, s->meta, sizeof(a.share.meta));
            a.share.own = s->owner == w;
            fd = s->fd;
            /* Before the answer: it is going to count it, and there may be no room for that twice. */
            if (w->tenant && !(a.share.own && m->share.kind == WK_SHARE_MEM)) {
                holds_add(&w->tenant->holds, m->share.token, w);
                tenant_count_holds(w->tenant);
            }
        } else {
            a.status = -ENOENT;
        }
        break;
    case WK_GONE: /* no answer */
        if (w->tenant) {
            holds_gone(&w->tenant->holds, m->share.token, w);
            tenant_count_holds(w->tenant);
        }
        return true;
    default: /* nor here */
        if (shares_drop(&w->b->shares, w, m->share.token) && w->tenant)
            holds_unshared(&w->tenant->holds, m->share.token);
        return true;
    }
    worker_send(w, &a, &fd, fd >= 0);
    if (own >= 0)
        close(own);
    return true;
}
