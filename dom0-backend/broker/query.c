/* SPDX-License-Identifier: MIT */
/*
 * query.c - run_dir/backd.sock, for gvm list. Lines of key=value words:
 *   device domid= devid= state= device= mem= weight= channels= pages= max_pages=
 *   process domid= devid= channel= pid= uid= worker= pages= calls= launches= doorbells_in=
 *           doorbells_out= bytes_in= bytes_out= mem_used= busy_ns= sticky=
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0-backend/broker/xendev.h"

static ev_io listener;

static void print_channel(FILE *f, const struct host *h, const struct chan *ch)
{
    uint64_t pages = ch->npages;
    struct wk_stats s = {0};

    if (ch->w)
        worker_stats(ch->w, &s);
    for (unsigned i = 0; i < VGPU_MAX_CHUNKS; i++)
        pages += ch->chunk_pages[i];
    fprintf(f,
            "process domid=%u devid=%u channel=%u pid=%u uid=%u worker=%d pages=%" PRIu64
            " calls=%" PRIu64 " launches=%" PRIu64 " doorbells_in=%" PRIu64
            " doorbells_out=%" PRIu64 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64
            " mem_used=%" PRIu64 " busy_ns=%" PRIu64 " sticky=%" PRIu64 "\n",
            h->domid, h->devid, ch->id, ch->pid, ch->uid, ch->w ? (int)ch->w->pid : 0, pages,
            s.calls, s.launches, s.doorbells_in, s.doorbells_out, s.bytes_in, s.bytes_out,
            s.mem_used, s.busy_ns, s.sticky);
}

static void print_all(FILE *f, const struct broker *b)
{
    for (struct host *h = b->hosts; h; h = h->next) {
        const struct xendev *d = xendev_of(h);

        fprintf(f,
                "device domid=%u devid=%u state=%d device=%s mem=%" PRIu64
                " weight=%u channels=%u pages=%" PRIu64 " max_pages=%" PRIu64 "\n",
                h->domid, h->devid, d->state, h->params.device, h->params.mem, d->weight, h->nchans,
                h->pages, h->max_pages);
        for (struct chan *ch = h->chans; ch; ch = ch->next)
            print_channel(f, h, ch);
    }
}

static void on_query(struct ev_loop *loop, ev_io *io, int revents)
{
    int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), size = 1 << 20;
    char *text = NULL;
    size_t n = 0;
    FILE *f;

    if (fd < 0)
        return;
    f = open_memstream(&text, &n);
    if (f) {
        print_all(f, io->data);
        fclose(f);
        /* The answer fits into the socket's buffer, so that nobody is waited for. */
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
        if (n && send(fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
            log_warn("an answer to gvm list was cut short");
    }
    free(text);
    close(fd);
}

int query_start(struct broker *b, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;
    mode_t old = umask(0177);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    unlink(path);
    err =
        fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0 ? -errno : 0;
    umask(old);
    if (err) {
        if (fd >= 0)
            close(fd);
        return err;
    }
    ev_io_init(&listener, on_query, fd, EV_READ);
    listener.data = b;
    ev_io_start(b->loop, &listener);
    return 0;
}
