/* SPDX-License-Identifier: MIT */
/*
 * query.c - run_dir/backd.sock (local daemons: SOCKET.query), for gvm list, top, metrics and trace.
 *
 * A stream socket, mode 0600, for root and the daemon's own user. The client sends one line:
 *   list           the answer is text, then end of file
 *   trace ...      see trace.c
 *   drop UUID|all  gives up what saved domains have left in workers here (keep.c)
 *
 * The answer to `list` is lines of key=value words; a reader skips lines and keys that it does not
 * know. All but mem, mem_used, waiting and sticky only grow; those of a device are sums over its
 * processes, including those that have ended.
 *   backd version= mode=xen|local now_ns= pid= pages= max_pages= workers= warm=
 *   device domid= devid= state= device= mem= weight= cap= lease_ns= channels= pages= max_pages=
 *          reserved= + counters
 *   process domid= devid= channel= pid= uid= worker= pages= + counters
 *   suspended uuid= devid= channel= pid= uid= worker= octets= since=   of a saved domain, in a worker;
 *          the octets are the GPU's, kept from others
 *   lease_ns: GPU time that the guest was charged while it was shared, or capped
 *   counters: calls= launches= doorbells_in= doorbells_out= bytes_in= bytes_out= busy_ns= wait_ns=
 *             mem_used= waiting= sticky=
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
#include <time.h>
#include <unistd.h>

#include "dom0-backend/broker/listen.h"
#include "dom0-backend/broker/xendev.h"
#include "dom0-backend/common/clock.h"
#include "gvm_version.h"

#define MAX_CLIENTS 32
#define LINE_MAX_   128

struct client {
    struct broker *b;
    ev_io io;
    char line[LINE_MAX_];
    size_t n;
};

static ev_io listener;
static unsigned clients;

static void add_stats(struct wk_stats *sum, const struct wk_stats *s)
{
    sum->calls += s->calls;
    sum->launches += s->launches;
    sum->doorbells_in += s->doorbells_in;
    sum->doorbells_out += s->doorbells_out;
    sum->bytes_in += s->bytes_in;
    sum->bytes_out += s->bytes_out;
    sum->busy_ns += s->busy_ns;
    sum->wait_ns += s->wait_ns;
}

void query_worker_ended(struct host *h, const struct wk_stats *s)
{
    add_stats(&h->tenant->ended, s);
}

static void print_stats(FILE *f, const struct wk_stats *s)
{
    fprintf(f,
            " calls=%" PRIu64 " launches=%" PRIu64 " doorbells_in=%" PRIu64
            " doorbells_out=%" PRIu64 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64 " busy_ns=%" PRIu64
            " wait_ns=%" PRIu64 " mem_used=%" PRIu64 " waiting=%" PRIu64 " sticky=%" PRIu64 "\n",
            s->calls, s->launches, s->doorbells_in, s->doorbells_out, s->bytes_in, s->bytes_out,
            s->busy_ns, s->wait_ns, s->mem_used, s->waiting, s->sticky);
}

static bool channel_stats(const struct chan *ch, struct wk_stats *s)
{
    memset(s, 0, sizeof(*s));
    return ch->w && worker_stats(ch->w, s);
}

static void print_channel(FILE *f, const struct host *h, const struct chan *ch)
{
    uint64_t pages = ch->npages;
    struct wk_stats s;

    channel_stats(ch, &s);
    for (unsigned i = 0; i < VGPU_MAX_CHUNKS; i++)
        pages += ch->chunk_pages[i];
    fprintf(f, "process domid=%u devid=%u channel=%u pid=%u uid=%u worker=%d pages=%" PRIu64,
            h->domid, h->devid, ch->id, ch->pid, ch->uid, ch->w ? (int)ch->w->pid : 0, pages);
    print_stats(f, &s);
}

/* The host's workers, added to what is in `sum`. */
static void sum_host(const struct host *h, struct wk_stats *sum)
{
    for (const struct chan *ch = h->chans; ch; ch = ch->next) {
        struct wk_stats s;

        if (!channel_stats(ch, &s))
            continue;
        add_stats(sum, &s);
        sum->mem_used += s.mem_used;
        sum->waiting += s.waiting;
    }
}

static void print_device(FILE *f, const struct host *h)
{
    const struct xendev *d = xendev_of((struct host *)h);
    struct wk_stats sum = h->tenant->ended;

    sum_host(h, &sum);
    fprintf(f,
            "device domid=%u devid=%u state=%d device=%s mem=%" PRIu64
            " weight=%u cap=%u lease_ns=%" PRIu64 " channels=%u pages=%" PRIu64
            " max_pages=%" PRIu64 " reserved=%" PRIu64,
            h->domid, h->devid, d->state, h->params.device, h->params.mem, h->tenant->weight,
            h->tenant->cap, tenant_gpu_ns(h->tenant), h->nchans, h->pages, h->max_pages,
            (uint64_t)atomic_load(&h->tenant->page->reserved));
    print_stats(f, &sum);
}

/* A guest of a local daemon is shown as a device of domain 0; its processes are hosts of their own. */
static void print_local(FILE *f, const struct broker *b, unsigned guest)
{
    const struct worker_params *p = local_params(guest);
    const struct tenant *t = local_tenant(guest);
    struct wk_stats sum = t->ended;
    unsigned channels = 0;
    uint64_t pages = 0;

    for (const struct host *h = b->hosts; h; h = h->next) {
        if (h->tenant != t)
            continue;
        sum_host(h, &sum);
        channels += h->nchans;
        pages += h->pages;
    }
    fprintf(f,
            "device domid=0 devid=%u state=%d device=%s mem=%" PRIu64
            " weight=%u cap=%u lease_ns=%" PRIu64 " channels=%u pages=%" PRIu64
            " max_pages=%" PRIu64 " reserved=%" PRIu64,
            guest, XB_CONNECTED, p->device, p->mem, t->weight, t->cap, tenant_gpu_ns(t), channels,
            pages, b->cfg.max_pages, (uint64_t)atomic_load(&t->page->reserved));
    print_stats(f, &sum);
}

static void print_all(FILE *f, const struct broker *b)
{
    const struct worker_params *local = local_params(0);
    unsigned workers = 0, warm = 0;

    for (const struct worker *w = b->workers; w; w = w->next) {
        workers++;
        warm += w->state == WORKER_WARM && !w->ch;
    }
    fprintf(f,
            "backd version=" GVM_VERSION " mode=%s now_ns=%" PRIu64 " pid=%d pages=%" PRIu64
            " max_pages=%" PRIu64 " workers=%u warm=%u\n",
            local ? "local" : "xen", now_ns(), (int)getpid(), b->pages, b->cfg.host_pages, workers,
            warm);
    for (unsigned i = 0; local_params(i); i++)
        print_local(f, b, i);
    for (const struct host *h = b->hosts; h; h = h->next) {
        if (!local)
            print_device(f, h);
        for (const struct chan *ch = h->chans; ch; ch = ch->next)
            print_channel(f, h, ch);
    }
    keep_list(f, b);
}

static void answer_list(const struct broker *b, int fd)
{
    int size = 1 << 20;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    if (f) {
        print_all(f, b);
        fclose(f);
        /* The answer fits into the socket's buffer, so that nobody is waited for. */
        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
            setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        if (n && send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
            log_warn("an answer to gvm list was cut short");
    }
    free(text);
}

static void answer_drop(struct broker *b, int fd, const char *uuid)
{
    bool all = strcmp(uuid, "all") == 0;
    bool good = all || (strlen(uuid) == 36 && strspn(uuid, "0123456789abcdefABCDEF-") == 36);
    unsigned n = good ? keep_drop(b, all ? NULL : uuid, UINT32_MAX) : 0;
    char text[128];

    if (!good)
        snprintf(text, sizeof(text), "error: not a domain's UUID\n");
    else
        snprintf(text, sizeof(text), "ok: %u\n", n);
    send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void client_free(struct client *c)
{
    ev_io_stop(c->b->loop, &c->io);
    close(c->io.fd);
    free(c);
    clients--;
}

static void answer_later(void *arg, const char *text)
{
    struct client *c = arg;

    send(c->io.fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    client_free(c);
}

static void answer(struct client *c)
{
    static const char unknown[] =
        "error: unknown request; known: list; drop UUID|all; trace [domid=N] [devid=N] [pid=N]; "
        "park PID FILE [MS]; resume PID FILE\n";

    ev_io_stop(c->b->loop, &c->io);
    if (strncmp(c->line, "trace", 5) == 0 && trace_open(c->b, c->io.fd, c->line + 5)) {
        free(c);
        clients--;
        return;
    }
    if (strcmp(c->line, "list") == 0)
        answer_list(c->b, c->io.fd);
    else if (strncmp(c->line, "drop ", 5) == 0)
        answer_drop(c->b, c->io.fd, c->line + 5);
    else if (strncmp(c->line, "park ", 5) == 0 || strncmp(c->line, "resume ", 7) == 0) {
        park_command(c->b, c->line, answer_later, c);
        return;
    } else
        send(c->io.fd, unknown, sizeof(unknown) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    client_free(c);
}

static void on_client(struct ev_loop *loop, ev_io *io, int revents)
{
    struct client *c = io->data;
    ssize_t r = recv(io->fd, c->line + c->n, sizeof(c->line) - 1 - c->n, MSG_DONTWAIT);
    char *nl;

    if (r < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (r <= 0) {
        client_free(c);
        return;
    }
    c->n += (size_t)r;
    c->line[c->n] = '\0';
    nl = strchr(c->line, '\n');
    if (nl) {
        *nl = '\0';
        answer(c);
    } else if (c->n == sizeof(c->line) - 1) {
        client_free(c); /* no request is that long */
    }
}

static void on_query(struct ev_loop *loop, ev_io *io, int revents)
{
    int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred cred = {.uid = (uid_t)-1};
    socklen_t len = sizeof(cred);
    struct client *c;

    if (fd < 0)
        return;
    /* The socket's mode says the same; this holds also if somebody changes that. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
        (cred.uid != 0 && cred.uid != geteuid()) || clients >= MAX_CLIENTS) {
        close(fd);
        return;
    }
    c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        return;
    }
    clients++;
    c->b = io->data;
    ev_io_init(&c->io, on_client, fd, EV_READ);
    c->io.data = c;
    ev_io_start(loop, &c->io);
}

int query_start(struct broker *b, const char *path)
{
    mode_t old = umask(0177);
    int fd;

    unlink(path);
    fd = listen_at(path, SOCK_STREAM | SOCK_NONBLOCK, 8);
    umask(old);
    if (fd < 0)
        return fd;
    ev_io_init(&listener, on_query, fd, EV_READ);
    listener.data = b;
    ev_io_start(b->loop, &listener);
    return 0;
}
