/* SPDX-License-Identifier: MIT */
/*
 * xenpark.c - CHECKPOINT of a Xen guest, and what is left of it for a restored one: a file for each
 * channel, state_dir/UUID.DEVICE.CHANNEL, with a token that is in the guest's memory too.
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

/* All have answered. */
static void finish(struct checkpoint *c)
{
    struct xendev *d = c->d;

    if (c->err) {
        refuse(d, "not suspended: %s", c->why);
        for (struct chan *ch = d->h.chans; ch; ch = ch->next) {
            if (ch->park.state == PARK_STILL) {
                park_go_on(ch);
                unlink(ch->park.file);
            }
        }
    } else {
        log_info("%s: %u processes saved", d->h.name, d->h.nchans);
        forget_older(d);
    }
    op_answer(c->op, c->err);
    free(c);
}

static void saved(void *arg, struct chan *ch, int err, const char *why)
{
    struct checkpoint *c = arg;

    if (err) {
        unlink(ch->park.file);
        if (!c->err)
            snprintf(c->why, sizeof(c->why), "guest pid %u: %s", ch->pid, why);
        c->err = c->err ? c->err : err;
    }
    if (--c->left == 0)
        finish(c);
}

static int save(struct checkpoint *c, struct chan *ch)
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
    err = park_save(ch, fd, c->op->token, uuid, PARK_DRAIN_MS, WK_ON_RING, saved, c);
    close(fd);
    if (err)
        unlink(ch->park.file);
    return err;
}

void xenpark_checkpoint(struct host *h, struct op *op)
{
    struct xendev *d = xendev_of(h);
    struct checkpoint *c;

    if (op->req.phase) {
        for (struct chan *ch = h->chans; ch; ch = ch->next)
            park_go_on(ch);
        op_answer(op, 0);
        return;
    }
    if (h->b->cfg.mps) {
        refuse(d, "not suspended: " MPS_NO_SUSPEND);
        op_answer(op, -EBUSY); /* -EOPNOTSUPP would let it suspend without its contexts */
        return;
    }
    /* Each writes as much as the guest has on the device: it is for suspends, not for loops. */
    if (ev_now(h->b->loop) - d->checkpoint < CHECKPOINT_S) {
        op_answer(op, -EBUSY);
        return;
    }
    d->checkpoint = ev_now(h->b->loop);
    c = calloc(1, sizeof(*c));
    if (!c || getrandom(op->token, sizeof(op->token), 0) != (ssize_t)sizeof(op->token)) {
        free(c);
        op_answer(op, -ENOMEM);
        return;
    }
    op->token[0] |= 1; /* not 0 */
    c->d = d;
    c->op = op;
    c->left = 1; /* this loop */
    for (struct chan *ch = h->chans; ch; ch = ch->next) {
        int err;

        if (ch->dead || ch->closing) /* the guest's process knows, or is gone */
            continue;
        park_go_on(ch); /* if it stands still since a suspend that was cancelled */
        c->left++;
        err = save(c, ch);
        if (err) {
            saved(c, ch, err, strerror(-err));
            break;
        }
    }
    if (--c->left == 0)
        finish(c);
}

int xenpark_restore(struct host *h, struct chan *ch, const struct vgpu_ctl_req *r)
{
    const uint32_t token[4] = {r->token0, r->token1, r->token2, r->token3};
    struct xendev *d = xendev_of(h);
    struct wk_state_head head;
    const char *why = "there is none here: it was restored already, or saved on another host";
    char uuid[40];
    int err = state_path(d, ch->id, ch->park.file, sizeof(ch->park.file), uuid);
    int fd = err ? -1 : open(ch->park.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

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
    const struct broker *b = timer->data;

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
