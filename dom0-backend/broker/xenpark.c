/* SPDX-License-Identifier: MIT */
/*
 * xenpark.c - CHECKPOINT of a Xen guest, and what is left of it for a restored one: a file for each
 * channel, state_dir/UUID.DEVICE.CHANNEL, with a token that is in the guest's memory too. What is on
 * a real GPU stays in its worker (parkgpu.c, keep.c), which the token finds again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0-backend/broker/mps.h"
#include "dom0-backend/broker/xendev.h"
#include "dom0-backend/common/states.h"
#include "vgpu_keys.h"

#define CHECKPOINT_S 1.
#define DAY_S        (24 * 3600.)

/* One CHECKPOINT under way; of the device. */
struct checkpoint {
    struct xendev *d;
    struct op *op;
    unsigned left; /* workers that have not answered */
    double until;  /* when all must be done, of the event loop's clock */
    int err;
    char why[160];
};

static int state_path(struct xendev *d, uint32_t channel, char *buf, size_t n, char *uuid)
{
    if (!d->h.b->cfg.state_dir || xs_get(d->bus->xs, XBT_NULL, d->back, VGPU_XS_UUID, uuid, 40) ||
        strchr(uuid, '/'))
        return -EOPNOTSUPP;
    snprintf(buf, n, "%s/%s.%u.%u", d->h.b->cfg.state_dir, uuid, d->h.devid, channel);
    return 0;
}

/* One line, for the log and for whoever looks into XenStore. */
static void __attribute__((format(printf, 2, 3))) refuse(struct xendev *d, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_warn("%s: %s", d->h.name, text);
    xs_put(d->bus->xs, XBT_NULL, d->back, VGPU_XS_ERROR, "%s", text);
}

/* States of an earlier save: its image can no longer be restored with them. */
static void forget_older(struct xendev *d)
{
    const char *dir = d->h.b->cfg.state_dir;
    char uuid[40];

    if (dir && !xs_get(d->bus->xs, XBT_NULL, d->back, VGPU_XS_UUID, uuid, sizeof(uuid)))
        states_drop_older(dir, uuid, d->h.devid, (time_t)d->checkpoint - 1);
}

/*
 * A token: 16 octets that nobody guesses, never 0. Bit 1 of the first says that the state is in a worker,
 * and the next four then on which host, in which of its boots: a restored guest brings no more.
 */
#define TOKEN_SET  1u
#define TOKEN_HELD 2u

static void this_boot(uint8_t out[4])
{
    char id[64] = "";
    uint32_t h = 2166136261u;
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (f) {
        if (!fgets(id, sizeof(id), f))
            id[0] = '\0';
        fclose(f);
    }
    for (const char *p = id; *p; p++)
        h = (h ^ (uint8_t)*p) * 16777619u;
    memcpy(out, &h, 4);
}

static int make_token(uint8_t token[16], bool held)
{
    if (getrandom(token, 16, 0) != 16)
        return -ENOMEM;
    token[0] =
        (uint8_t)((token[0] & ~(TOKEN_SET | TOKEN_HELD)) | TOKEN_SET | (held ? TOKEN_HELD : 0));
    if (held)
        this_boot(token + 1);
    return 0;
}

/* Its state stays in the worker. */
static bool is_held(const struct chan *ch)
{
    return ch->w && (ch->w->ready.flags & WK_PARKS);
}

/* The checkpoint is answered: by this its worker is found again. */
static void enter(struct checkpoint *c, struct chan *ch, const char *uuid)
{
    struct park_record *p = &ch->w->rec.park;

    snprintf(p->uuid, sizeof(p->uuid), "%s", uuid);
    memcpy(p->token, c->op->token, sizeof(p->token));
    p->devid = ch->host->devid;
    p->channel = ch->id;
    p->order = ch->order;
    p->npages = ch->npages;
    p->window_try = ch->window_try;
    p->uid = ch->uid;
    p->pid = ch->pid;
    worker_save(ch->w);
}

/* All have answered. */
static void finish(struct checkpoint *c)
{
    struct xendev *d = c->d;
    unsigned held = 0;
    char uuid[40];

    d->checkpointing = NULL;
    if (!c->err && xs_get(d->bus->xs, XBT_NULL, d->back, VGPU_XS_UUID, uuid, sizeof(uuid))) {
        snprintf(c->why, sizeof(c->why), "the domain's UUID is not known");
        c->err = -EOPNOTSUPP;
    }
    if (c->err) {
        refuse(d, "not suspended: %s", c->why);
        for (struct chan *ch = d->h.chans; ch; ch = ch->next) {
            if (ch->park.state != PARK_STILL)
                continue;
            if (!is_held(ch))
                unlink(ch->park.file);
            park_wake(ch);
        }
    } else {
        for (struct chan *ch = d->h.chans; ch; ch = ch->next) {
            if (ch->park.state != PARK_STILL || !is_held(ch))
                continue;
            if (held++ == 0) /* of an earlier save, from which nobody is restored any more */
                keep_drop(d->h.b, uuid, d->h.devid);
            enter(c, ch, uuid);
        }
        forget_older(d);
        log_info("%s: %u processes saved%s", d->h.name, d->h.nchans,
                 held ? ", in their workers" : "");
    }
    op_answer(c->op, c->err);
    free(c);
}

static void saved(void *arg, struct chan *ch, int err, const char *why)
{
    struct checkpoint *c = arg;

    if (err) {
        if (ch && !is_held(ch))
            unlink(ch->park.file);
        if (!c->err)
            snprintf(c->why, sizeof(c->why), "guest pid %u: %s", ch ? ch->pid : 0, why);
        c->err = c->err ? c->err : err;
    }
    if (--c->left == 0)
        finish(c);
}

/* It stands still: off its GPU, in the time that is left. */
static void still(void *arg, struct chan *ch, int err, const char *why)
{
    struct checkpoint *c = arg;
    double left = c->until - ev_now(ch->host->b->loop);

    if (!err && c->err)
        err = -ECANCELED; /* another one has said why */
    if (!err) {
        err = park_off(ch, left > 0.1 ? (uint32_t)(left * 1000) : 100, saved, c);
        why = err ? strerror(-err) : "";
        if (!err)
            return;
    }
    saved(c, ch, err, why);
}

static int save_to_file(struct checkpoint *c, struct chan *ch)
{
    char uuid[40];
    int err = state_path(c->d, ch->id, ch->park.file, sizeof(ch->park.file), uuid), fd;

    if (err)
        return err;
    mkdir(c->d->h.b->cfg.state_dir, 0700);
    unlink(ch->park.file); /* of an earlier save, which nobody can be restored from any more */
    fd = open(ch->park.file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    err = park_save(ch, fd, c->op->token, uuid, ch->host->b->cfg.drain_ms, WK_ON_RING, saved, c);
    close(fd);
    if (err)
        unlink(ch->park.file);
    return err;
}

static int save(struct checkpoint *c, struct chan *ch)
{
    if (is_held(ch))
        return park_save(ch, -1, c->op->token, "", ch->host->b->cfg.drain_ms, 0, still, c);
    return save_to_file(c, ch);
}

/* Whether anything is held, and there is room for all of that. 0 or -ENOMEM. */
static int look_at_room(struct host *h, bool *held, const char **why)
{
    uint64_t bytes = 0;

    *held = false;
    for (const struct chan *ch = h->chans; ch; ch = ch->next) {
        if (ch->dead || ch->closing || !is_held(ch))
            continue;
        *held = true;
        bytes += park_bytes(ch->w);
    }
    return *held ? park_room(bytes, why) : 0;
}

void xenpark_checkpoint(struct host *h, struct op *op)
{
    struct xendev *d = xendev_of(h);
    struct checkpoint *c;
    const char *why = "";
    bool held;
    int err;

    if (op->req.phase) {
        if (d->checkpointing && !d->checkpointing->err) {
            d->checkpointing->err = -ECANCELED;
            snprintf(d->checkpointing->why, sizeof(d->checkpointing->why), "the guest goes on");
        }
        for (struct chan *ch = h->chans; ch; ch = ch->next) {
            if (ch->w)
                ch->w->rec.park.uuid[0] = '\0'; /* of what goes on nothing is restored */
            park_wake(ch);
        }
        op_answer(op, 0);
        return;
    }
    if (h->b->cfg.mps) {
        refuse(d, "not suspended: " MPS_NO_SUSPEND);
        op_answer(op, -EBUSY); /* -EOPNOTSUPP would let it suspend without its contexts */
        return;
    }
    /* Each writes as much as the guest has on the device: it is for suspends, not for loops. */
    if (d->checkpointing || ev_now(h->b->loop) - d->checkpoint < CHECKPOINT_S) {
        op_answer(op, -EBUSY);
        return;
    }
    d->checkpoint = ev_now(h->b->loop);
    err = look_at_room(h, &held, &why);
    if (err) {
        refuse(d, "not suspended: %s", why);
        op_answer(op, err);
        return;
    }
    c = calloc(1, sizeof(*c));
    if (!c || make_token(op->token, held)) {
        free(c);
        op_answer(op, -ENOMEM);
        return;
    }
    d->checkpointing = c;
    c->d = d;
    c->op = op;
    c->until = d->checkpoint + h->b->cfg.drain_ms / 1e3;
    c->left = 1; /* this loop */
    for (struct chan *ch = h->chans; ch; ch = ch->next) {
        if (ch->dead || ch->closing) /* the guest's process knows, or is gone */
            continue;
        park_go_on(ch); /* if it stands still since a suspend that was cancelled */
        c->left++;
        err = save(c, ch);
        if (err) {
            saved(c, ch, err,
                  err == -EBUSY ? "it is not back from the last suspend" : strerror(-err));
            break;
        }
    }
    if (--c->left == 0)
        finish(c);
}

/* The worker that has this guest's state; 0, or -errno with *why. */
static int find_kept(struct xendev *d, struct chan *ch, const struct vgpu_ctl_req *r,
                     const uint8_t token[16], const char **why)
{
    const struct park_record *p;
    struct worker *w = NULL;
    uint8_t here[4];
    char uuid[40];

    this_boot(here);
    *why = "the state of a real GPU cannot move to another host, nor outlast a host's reboot";
    if (memcmp(token + 1, here, sizeof(here)) != 0)
        return -ENOENT;
    *why = "its worker is gone: it was restored already, given up, saved again, or has died";
    if (xs_get(d->bus->xs, XBT_NULL, d->back, VGPU_XS_UUID, uuid, sizeof(uuid)) == 0)
        w = keep_find(d->h.b, uuid, d->h.devid, ch->id);
    if (!w)
        return -ENOENT;
    p = &w->rec.park;
    *why = "its worker has the state of another save of this domain";
    if (memcmp(p->token, token, sizeof(p->token)) != 0)
        return -ESTALE;
    *why = "it is of another process";
    if (p->order != r->ring_order || p->npages != r->npages || p->uid != r->uid ||
        p->pid != r->pid || p->window_try != r->window_try)
        return -EINVAL;
    *why = "its state is on another GPU than the one that the domain is given now";
    if (strcmp(w->params.device, d->h.params.device) != 0)
        return -ENODEV;
    ch->park.kept = w->id;
    ch->park.state = PARK_LOADING;
    ch->park.keep = false;
    return 0;
}

int xenpark_restore(struct host *h, struct chan *ch, const struct vgpu_ctl_req *r)
{
    const uint32_t token[4] = {r->token0, r->token1, r->token2, r->token3};
    struct xendev *d = xendev_of(h);
    struct wk_state_head head;
    const char *why = "there is none here: it was restored already, or saved on another host";
    char uuid[40];
    int err, fd = -1;

    if (((const uint8_t *)token)[0] & TOKEN_HELD) {
        err = find_kept(d, ch, r, (const uint8_t *)token, &why);
        if (!err)
            return 0;
        goto out;
    }
    err = state_path(d, ch->id, ch->park.file, sizeof(ch->park.file), uuid);
    if (!err)
        fd = open(ch->park.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        err = -ENOENT;
        goto out;
    }
    why = "another domain is being restored from it";
    err = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -EBUSY : 0;
    if (!err)
        err = park_read_head(fd, &head, &why);
    if (!err && memcmp(head.token, token, sizeof(token)) != 0) {
        err = -ESTALE;
        why = "it is of another save of this domain";
    }
    if (!err && (strcmp(head.uuid, uuid) != 0 || head.devid != h->devid || head.channel != ch->id ||
                 head.ring_order != r->ring_order || head.npages != r->npages ||
                 head.uid != r->uid || head.pid != r->pid || head.window_try != r->window_try)) {
        err = -EINVAL;
        why = "it is of another process";
    }
out:
    if (err) {
        refuse(d, "channel %u (guest pid %u): no saved state: %s", ch->id, r->pid, why);
        if (fd >= 0)
            close(fd);
        return err;
    }
    ch->park.fd = fd;
    ch->park.state = PARK_LOADING;
    ch->park.keep = false;
    return 0;
}

static void on_day(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct broker *b = timer->data;

    keep_expire(b);
    states_expire(b->cfg.state_dir, b->cfg.run_dir, b->cfg.state_days, time(NULL));
}

void xenpark_start(struct broker *b)
{
    static ev_timer day;

    if (!b->cfg.state_dir || !b->cfg.state_days)
        return;
    ev_timer_init(&day, on_day, 0., DAY_S);
    day.data = b;
    ev_timer_start(b->loop, &day);
}
