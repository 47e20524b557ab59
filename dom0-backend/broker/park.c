/* SPDX-License-Identifier: MIT */
/*
 * park.c - channels whose guest is suspended: their worker stands still and writes its state to a
 * file; later it goes on, or another one does from the file, with the same memory of the guest.
 */
#include "dom0-backend/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0-backend/broker/mps.h"
#include "dom0-backend/common/fdmsg.h"

void park_finish(struct chan *ch, int err, const char *why)
{
    void (*done)(void *, struct chan *, int, const char *) = ch->park.done;

    ch->park.seq = 0;
    ch->park.done = NULL;
    fdmsg_close(&ch->park.fd, 1);
    if (done)
        done(ch->park.arg, ch, err, why);
}

static void make_head(const struct chan *ch, const uint8_t token[16], const char *uuid,
                      struct wk_state_head *h)
{
    const struct wk_msg *ready = &ch->w->ready;

    memset(h, 0, sizeof(*h));
    memcpy(h->magic, WK_STATE_MAGIC, sizeof(h->magic));
    h->version = WK_STATE_VERSION;
    h->devid = ch->host->devid;
    snprintf(h->uuid, sizeof(h->uuid), "%s", uuid);
    memcpy(h->token, token, sizeof(h->token));
    h->channel = ch->id;
    h->ring_order = ch->order;
    h->npages = ch->npages;
    h->window_try = ch->window_try;
    h->uid = ch->uid;
    h->pid = ch->pid;
    h->pool_base = ready->pool_base;
    h->pool_size = ready->pool_size;
    h->dev_base = ready->dev_base;
    h->dev_size = ready->dev_size;
    memcpy(h->chunk_pages, ch->chunk_pages, sizeof(h->chunk_pages));
}

int park_save(struct chan *ch, int fd, const uint8_t token[16], const char *uuid, uint32_t drain_ms,
              uint32_t flags, void (*done)(void *arg, struct chan *ch, int err, const char *why),
              void *arg)
{
    struct wk_msg m = {.type = WK_PARK, .npages = drain_ms, .flags = flags};
    struct wk_state_head h;

    if (!ch->created || !ch->w || ch->closing || ch->dead)
        return -ENOENT;
    if (ch->active || ch->park.state != PARK_NONE)
        return -EBUSY;
    if (fd >= 0) {
        make_head(ch, token, uuid, &h);
        if (write(fd, &h, sizeof(h)) != (ssize_t)sizeof(h))
            return -EIO;
    }
    ch->park.state = PARK_ASKED;
    ch->park.seq = m.seq = broker_seq(ch->host->b);
    ch->park.done = done;
    ch->park.arg = arg;
    worker_send(ch->w, &m, &fd, fd >= 0); /* a failure ends the worker, and with that this */
    return 0;
}

void park_go_on(struct chan *ch)
{
    struct wk_msg m = {.type = WK_GO};

    if (ch->park.state != PARK_STILL || !ch->w || park_is_off(ch->w))
        return;
    ch->park.state = PARK_NONE;
    m.seq = broker_seq(ch->host->b);
    worker_send(ch->w, &m, NULL, 0);
    chan_go_on(ch);
}

int park_read_head(int fd, struct wk_state_head *h, const char **why)
{
    *why = "not a saved state";
    if (read(fd, h, sizeof(*h)) != (ssize_t)sizeof(*h) ||
        memcmp(h->magic, WK_STATE_MAGIC, sizeof(h->magic)) != 0)
        return -EINVAL;
    h->uuid[sizeof(h->uuid) - 1] = '\0';
    *why = "a state of another version of GVM";
    if (h->version != WK_STATE_VERSION)
        return -EINVAL;
    *why = "a damaged state";
    if (h->ring_order < VGPU_RING_ORDER_MIN || h->ring_order > VGPU_RING_ORDER_MAX ||
        h->npages != VGPU_CH_PAGES(h->ring_order))
        return -EINVAL;
    for (unsigned i = 0; i < VGPU_MAX_CHUNKS; i++)
        if (h->chunk_pages[i] > VGPU_MAX_CHUNK_PAGES)
            return -EINVAL;
    return 0;
}

static int tell_go(struct chan *ch, const int *fd, unsigned nfd,
                   void (*done)(void *arg, struct chan *ch, int err, const char *why), void *arg)
{
    struct wk_msg m = {.type = WK_GO};

    if (ch->park.state != PARK_LOADING || !ch->w)
        return -EBUSY;
    ch->park.seq = m.seq = broker_seq(ch->host->b);
    ch->park.done = done;
    ch->park.arg = arg;
    worker_send(ch->w, &m, fd, nfd);
    return 0;
}

int park_load(struct chan *ch, int fd,
              void (*done)(void *arg, struct chan *ch, int err, const char *why), void *arg)
{
    return tell_go(ch, &fd, 1, done, arg);
}

int park_go(struct chan *ch, void (*done)(void *arg, struct chan *ch, int err, const char *why),
            void *arg)
{
    return tell_go(ch, NULL, 0, done, arg);
}

bool park_worker_done(struct chan *ch, const struct wk_msg *m)
{
    const char *why = m->text[0] ? m->text : strerror(-m->status);

    if (!ch->park.seq || ch->park.seq != m->seq)
        return false;
    if (ch->park.state == PARK_ASKED) {
        ch->park.state = m->status ? PARK_NONE : PARK_STILL;
        park_finish(ch, m->status < 0 ? m->status : 0, why);
    } else if (ch->park.state == PARK_LOADING && m->status == 0) {
        ch->park.state = PARK_NONE;
        park_finish(ch, 0, "");
    } else {
        /* The worker ends; its death is the answer, with this reason. */
        log_warn("%s channel %u (guest pid %u): its state cannot be loaded: %s", ch->host->name,
                 ch->id, ch->pid, why);
        if (ch->park.kept)
            worker_end(ch->w);
        return true;
    }
    chan_go_on(ch);
    return true;
}

bool park_worker_dead(struct chan *ch, const char *why)
{
    enum park_state was = ch->park.state;

    if (!ch->park.keep || ch->closing) {
        ch->park.state = PARK_NONE;
        park_finish(ch, -EIO, why);
        return false;
    }
    if (was == PARK_GONE || was == PARK_LOADING)
        ch->park.state = PARK_GONE;
    else
        ch->park.keep = false; /* it has ended by itself */
    park_finish(ch, -EIO, why);
    return ch->park.keep;
}

/* ---- by command, on the local transport --------------------------------------------------- */

struct command {
    void (*reply)(void *arg, const char *text);
    void *arg;
    int fd;
    uint32_t pid, ms;
    char file[256];
};

static void answer(struct command *c, int err, const char *why, const char *what)
{
    char text[512];
    struct stat st = {0};

    if (!err && (c->fd < 0 || fstat(c->fd, &st) < 0))
        st.st_size = 0;
    if (err)
        snprintf(text, sizeof(text), "error: pid %u: %s\n", c->pid,
                 why && *why ? why : strerror(-err));
    else
        snprintf(text, sizeof(text), "ok: pid %u %s, %lld octets\n", c->pid, what,
                 (long long)st.st_size);
    c->reply(c->arg, text);
    if (c->fd >= 0)
        close(c->fd);
    free(c);
}

static void local_parked(void *arg, struct chan *ch, int err, const char *why)
{
    struct command *c = arg;

    if (err) {
        unlink(c->file);
    } else {
        ch->park.state = PARK_GONE;
        ch->park.keep = true;
        memcpy(ch->park.chunk_pages, ch->chunk_pages, sizeof(ch->chunk_pages));
        worker_end(ch->w);
    }
    answer(c, err, why, "parked");
}

static void local_loaded(void *arg, struct chan *ch, int err, const char *why)
{
    struct command *c = arg;

    if (!err) {
        ch->park.keep = false;
        unlink(c->file); /* it goes on from there once, not twice */
    }
    answer(c, err, why, "resumed");
}

/* Channel, chunks, state. */
static void load_step(struct op *op, int status)
{
    struct chan *ch = op->ch;
    struct park *p = &ch->park;
    struct op *next;
    int err = status;

    while (!err && p->next < VGPU_MAX_CHUNKS && !p->chunk_pages[p->next])
        p->next++;
    if (!err && p->next < VGPU_MAX_CHUNKS) {
        next = op_new(ch, VGPU_CTL_ADD_CHUNK, load_step);
        if (next) {
            next->req.chunk = p->next;
            next->req.npages = p->chunk_pages[p->next++];
            op_start(next);
            return;
        }
        err = -ENOMEM;
    }
    if (!err && p->done)
        err = park_load(ch, p->fd, p->done, p->arg);
    if (err) {
        if (ch->w)
            worker_end(ch->w);
        else
            p->state = PARK_GONE;
        park_finish(ch, err, "no worker for it, or not its memory");
    }
}

/* Of a GPU: the worker stands still, and the driver takes it off. */
static void gpu_parked(void *arg, struct chan *ch, int err, const char *why)
{
    if (ch && err)
        park_go_on(ch);
    answer(arg, err, why, "parked");
}

static void gpu_still(void *arg, struct chan *ch, int err, const char *why)
{
    struct command *c = arg;

    if (!err)
        err = park_off(ch, c->ms, gpu_parked, c);
    else
        return answer(c, err, why, "");
    if (err) {
        park_go_on(ch);
        answer(c, err, NULL, "");
    }
}

static void gpu_back(void *arg, struct chan *ch, int err, const char *why)
{
    if (ch && !err)
        park_go_on(ch);
    answer(arg, err, why, "resumed");
}

static int gpu_resume(struct chan *ch, struct command *c, const char **why)
{
    *why = "not parked";
    if (ch->park.state != PARK_STILL)
        return -EINVAL;
    return park_on(ch, gpu_back, c);
}

static int gpu_park(struct chan *ch, struct command *c, const char **why)
{
    static const uint8_t no_token[16];
    int err;

    *why = "no channel is served";
    if (!ch->w)
        return -ENOENT;
    err = park_room(park_bytes(ch->w), why);
    if (err)
        return err;
    *why = NULL;
    return park_save(ch, -1, no_token, "", c->ms, 0, gpu_still, c);
}

static int local_resume(struct chan *ch, struct command *c, const char **why)
{
    struct wk_state_head h;
    struct op *op;
    int err;

    *why = "not parked";
    if (ch->park.state != PARK_GONE || ch->w)
        return -EINVAL;
    err = park_read_head(c->fd, &h, why);
    if (err)
        return err;
    *why = "a state of another process";
    if (h.channel != ch->id || h.pid != ch->pid || h.uid != ch->uid || h.ring_order != ch->order ||
        memcmp(h.chunk_pages, ch->park.chunk_pages, sizeof(h.chunk_pages)) != 0)
        return -EINVAL;
    *why = "out of memory";
    op = op_new(ch, VGPU_CTL_CREATE_CHANNEL, load_step);
    ch->park.fd = op ? fcntl(c->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (ch->park.fd < 0) {
        free(op);
        return -ENOMEM;
    }
    op->req.ring_order = ch->order;
    op->req.npages = ch->npages;
    op->req.window_try = ch->window_try;
    op->req.port = ch->port;
    op->req.uid = ch->uid;
    op->req.pid = ch->pid;
    op->msg.flags = WK_HELD;
    for (unsigned i = 0; i < VGPU_MAX_CHUNKS; i++) { /* they are added again */
        host_uncharge(ch->host, ch->chunk_pages[i]);
        ch->chunk_pages[i] = 0;
    }
    ch->created = false;
    ch->park.state = PARK_LOADING;
    ch->park.next = 0;
    ch->park.done = local_loaded;
    ch->park.arg = c;
    op_start(op);
    return 0;
}

void park_command(struct broker *b, char *line, void (*reply)(void *arg, const char *text),
                  void *arg)
{
    static const uint8_t no_token[16];
    struct command *c = calloc(1, sizeof(*c));
    struct chan *ch = NULL;
    const char *why = "no such process has a channel";
    bool park = line[0] == 'p';
    int err = -ESRCH;

    if (!c) {
        reply(arg, "error: out of memory\n");
        return;
    }
    *c = (struct command){.reply = reply, .arg = arg, .fd = -1, .ms = PARK_DRAIN_MS};
    if (!local_params(0) || sscanf(line, "%*s %u %255s %u", &c->pid, c->file, &c->ms) < 2 ||
        c->ms > 600000) {
        answer(c, -EINVAL,
               "\"park PID FILE [0..600000 ms]\" or \"resume PID FILE\", of a local daemon", "");
        return;
    }
    for (struct host *h = b->hosts; h && !ch; h = h->next)
        for (ch = h->chans; ch && ch->pid != c->pid; ch = ch->next)
            ;
    if (!ch)
        goto out;
    err = -EOPNOTSUPP;
    why = MPS_NO_SUSPEND;
    if (b->cfg.mps)
        goto out;
    why = NULL;
    if (strcmp(c->file, "-") == 0) {
        err = park ? gpu_park(ch, c, &why) : gpu_resume(ch, c, &why);
        if (!err)
            return;
        goto out;
    }
    c->fd = park ? open(c->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                 : open(c->file, O_RDONLY | O_CLOEXEC);
    err = c->fd < 0 ? -errno : 0;
    if (err)
        goto out;
    err = park ? park_save(ch, c->fd, no_token, "", c->ms, 0, local_parked, c)
               : local_resume(ch, c, &why);
    if (!err)
        return;
    if (park)
        unlink(c->file);
out:
    answer(c, err, why, "");
}
