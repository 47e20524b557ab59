/* SPDX-License-Identifier: MIT */
/*
 * xenbus.c - finds vgpu devices under this domain's backend/vgpu and tells them when to look.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dom0-backend/agent/nodes.h"
#include "dom0-backend/broker/xendev.h"

#define MIN_INTERVAL_S                                                                             \
    0.02 /* between two looks at a device: a guest can make watches fire at will */

static void on_update(struct ev_loop *loop, ev_timer *t, int revents)
{
    struct xendev *d = t->data;

    d->updated = ev_now(loop);
    xendev_update(d); /* may free d */
}

void xendev_touch(struct xendev *d)
{
    struct ev_loop *loop = d->h.b->loop;
    ev_tstamp since;

    if (ev_is_active(&d->update))
        return;
    since = ev_now(loop) - d->updated;
    ev_timer_init(&d->update, on_update,
                  since < 0 || since > MIN_INTERVAL_S ? 0. : MIN_INTERVAL_S - since, 0.);
    d->update.data = d;
    ev_timer_start(loop, &d->update);
}

static struct xendev *find(struct xenbus *bus, uint32_t front, uint32_t devid)
{
    for (struct host *h = bus->b->hosts; h; h = h->next) {
        if (h->domid == front && h->devid == devid)
            return xendev_of(h);
    }
    return NULL;
}

static void look_at(struct xenbus *bus, uint32_t front, uint32_t devid)
{
    struct xendev *d = find(bus, front, devid);

    if (!d) {
        d = xendev_new(bus, front, devid);
        if (!d) {
            log_error("d%u.%u: out of memory", front, devid);
            return;
        }
    }
    xendev_touch(d);
}

static void touch_all(struct xenbus *bus)
{
    for (struct host *h = bus->b->hosts; h; h = h->next)
        xendev_touch(xendev_of(h));
}

static void scan(struct xenbus *bus)
{
    char path[64];
    uint32_t *fronts, *devs;
    unsigned nf, nd;

    snprintf(path, sizeof(path), "/local/domain/%u/backend/vgpu", bus->domid);
    fronts = xs_numbers(bus->xs, path, XS_MAX_DOMID, &nf);
    for (unsigned i = 0; fronts && i < nf; i++) {
        snprintf(path, sizeof(path), "/local/domain/%u/backend/vgpu/%u", bus->domid, fronts[i]);
        devs = xs_numbers(bus->xs, path, VGPU_MAX_DEVICES - 1, &nd);
        for (unsigned k = 0; devs && k < nd; k++)
            look_at(bus, fronts[i], devs[k]);
        free(devs);
    }
    free(fronts);
    touch_all(bus); /* those that are gone notice it themselves */
}

/* Journals of devices that went while no gvm-backd was there, or just as one ended. */
static void forget_stale(struct xenbus *bus)
{
    DIR *d = opendir(bus->b->cfg.run_dir);
    unsigned front, devid;
    struct dirent *e;
    char tail;

    while (d && (e = readdir(d))) {
        if (sscanf(e->d_name, "ctl-%u-%u%c", &front, &devid, &tail) == 2 &&
            !find(bus, front, devid))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

/* path: as watched; "backend/vgpu/5/0/state" names one device, anything shorter may be several. */
static void on_back(struct xenbus *bus, const char *path)
{
    unsigned front, devid;
    char tail;
    struct xendev *d;

    if (sscanf(path, "backend/vgpu/%u/%u%c", &front, &devid, &tail) >= 2 &&
        (d = find(bus, front, devid)))
        xendev_touch(d);
    else
        scan(bus);
}

static void on_watch(struct ev_loop *loop, ev_io *io, int revents)
{
    struct xenbus *bus = io->data;
    unsigned front, devid;
    char **ev;

    errno = 0;
    while ((ev = xs_check_watch(bus->xs))) {
        struct xendev *d;

        if (sscanf(ev[XS_WATCH_TOKEN], "front/%u/%u", &front, &devid) == 2) {
            d = find(bus, front, devid);
            if (d)
                xendev_touch(d);
        } else if (strcmp(ev[XS_WATCH_TOKEN], "release") == 0) {
            touch_all(bus);
        } else {
            on_back(bus, ev[XS_WATCH_PATH]);
        }
        free(ev);
        errno = 0;
    }
    if (errno != EAGAIN && errno != 0)
        xenbus_lost(bus);
}

/* The next gvm-backd takes everything over, with a connection of its own. */
void xenbus_lost(struct xenbus *bus)
{
    if (!bus->lost)
        log_error("the connection to XenStore is gone: ended, to be started again");
    bus->lost = true;
    ev_break(bus->b->loop, EVBREAK_ALL);
}

static void on_hangup(struct ev_loop *loop, ev_io *io, int revents)
{
    ev_io_stop(loop, io);
    xenbus_lost(io->data);
}

static struct xenbus *the_bus; /* for adopt(), which the workers' side calls without it */

static bool adopt(struct broker *b, struct worker *w)
{
    const struct wk_msg *m = &w->ready;
    struct xendev *d;

    if (m->channel == 0)
        return false; /* it had no channel yet */
    d = find(the_bus, m->domid, m->devid);
    if (w->rec.park.state == PARK_REC_KEPT ||
        (!d && w->rec.park.state == PARK_REC_OFF && w->rec.park.uuid[0])) {
        keep_adopt(w);
        return true;
    }
    return d && chan_adopt(&d->h, w);
}

int xenbus_start(struct xenbus *bus, struct broker *b)
{
    bus->b = b;
    bus->xs = xs_open_watched(&bus->hangup_fd);
    if (!bus->xs) {
        log_error("no connection to XenStore: %m (is this a Xen domain with xenstored running?)");
        return -1;
    }
    bus->domid = xs_own_domid(bus->xs);
    if (grant_jobs_init(b->loop))
        return -1;
    ev_io_init(&bus->io, on_watch, xs_fileno(bus->xs), EV_READ);
    bus->io.data = bus;
    /* The devices first: the workers are matched with them, and then the rings are mapped. */
    scan(bus);
    if (xs_lost(bus->xs)) { /* or workers of devices that were not seen would be ended */
        log_error("the connection to XenStore is gone");
        return -1;
    }
    forget_stale(bus);
    the_bus = bus;
    b->probed = xendev_probed;
    worker_adopt_all(b, adopt);
    tenant_sweep(b);
    park_account(b);
    /* A driver domain sees the end of a domain by that of the frontend's directory. */
    if (!xs_watch(bus->xs, "backend/vgpu", "back") ||
        (!xs_watch(bus->xs, "@releaseDomain", "release") && bus->domid == 0)) {
        log_error("XenStore watches: %m");
        return -1;
    }
    ev_io_start(b->loop, &bus->io);
    if (bus->hangup_fd >= 0) {
        ev_io_init(&bus->hangup, on_hangup, bus->hangup_fd, EV_READ);
        bus->hangup.data = bus;
        ev_io_start(b->loop, &bus->hangup);
    }
    log_info("serving domain %u's backend/vgpu", bus->domid);
    return 0;
}

void xenbus_stop(struct xenbus *bus)
{
    ev_io_stop(bus->b->loop, &bus->io);
    ev_io_stop(bus->b->loop, &bus->hangup);
    if (bus->xs)
        xs_close(bus->xs);
    bus->xs = NULL;
}

void xenbus_remove_empty(void)
{
    struct xs_handle *xs = xs_open(0);

    if (!xs)
        return;
    nodes_remove_empty(xs, xs_own_domid(xs));
    xs_close(xs);
}
