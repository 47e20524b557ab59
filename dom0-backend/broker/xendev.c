/* SPDX-License-Identifier: MIT */
/*
 * xendev.c - the life cycle of a vgpu device, as XenStore shows it.
 *
 * Watch events only say "look": every look reads both ends' states again and takes at most one
 * step, so that spurious, repeated and lost events are all the same. Nothing waits; steps that take
 * time (mapping the ring, ending workers) come back here when they are done.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/broker/xendev.h"
#include "dom0-backend/common/fault.h"
#include "vgpu_keys.h"

#define AWAY_S 1. /* between state 6 and the end of the directory */

/* A guest can drive its device round in circles; the log need not follow each time. */
static void __attribute__((format(printf, 2, 3))) note(struct xendev *d, const char *fmt, ...)
{
    uint32_t dropped;
    va_list ap;

    if (!log_rate_ok(&d->notes, &dropped))
        return;
    if (dropped)
        log_info("%s: %u changes of state not shown", d->h.name, dropped);
    va_start(ap, fmt);
    log_vline(LOG_INFO_, fmt, ap);
    va_end(ap);
}

static void set_state(struct xendev *d, enum xenbus_state s)
{
    /* A toolstack that removes the directory must not find it made anew by our write. */
    uint64_t old;

    d->state = s;
    if (xs_get_uint(d->bus->xs, XBT_NULL, d->back, VGPU_XS_STATE, 0, 8, &old) == 0 && old != s)
        xs_put(d->bus->xs, XBT_NULL, d->back, VGPU_XS_STATE, "%d", s);
}

/* ---- ending */

/* Ends the channels; the ring goes at once. xendev_empty() follows. */
static void unlink_guest(struct xendev *d)
{
    if (d->link == LINK_MAPPING || d->link == LINK_CLOSING) {
        d->link = LINK_CLOSING; /* on_mapped() sees it */
        return;
    }
    if (d->link != LINK_UP && !d->h.chans) /* a daemon that starts has channels without a link */
        return;
    d->link = LINK_CLOSING;
    xenctl_disconnect(d);
    if (d->dead) { /* a dying domain is only gone when the last of its pages is unmapped */
        for (struct chan *ch = d->h.chans; ch; ch = ch->next) {
            if (ch->w && !keep_wanted(ch)) /* those are unmapped at once as well */
                worker_kill(ch->w);
        }
    }
    host_close(&d->h);
}

static void xendev_empty(struct host *h)
{
    struct xendev *d = xendev_of(h);

    d->h.closing = false;
    d->link = LINK_NONE;
    xendev_touch(d);
}

void xendev_fail(struct xendev *d, const char *fmt, ...)
{
    char text[256];
    uint32_t dropped;
    va_list ap;

    if (d->bus->lost || xs_lost(d->bus->xs)) { /* then nothing that was read is a reason */
        xenbus_lost(d->bus);
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (log_rate_ok(&d->rate, &dropped))
        log_warn("%s: %s; device closed", d->h.name, text);
    if (xs_exists(d->bus->xs, XBT_NULL, d->back))
        xs_put(d->bus->xs, XBT_NULL, d->back, VGPU_XS_ERROR, "%s", text);
    d->failed = true;
    for (struct chan *ch = d->h.chans; ch; ch = ch->next)
        if (ch->w)
            ch->w->rec.park.uuid[0] = '\0'; /* nobody is restored from this */
    unlink_guest(d);
    set_state(d, XB_CLOSING);
    xendev_touch(d);
}

/* ---- beginning */

/* What `gvm set` may change under a running guest. */
struct live {
    uint64_t mem, weight, cap, processes;
};

/* Keys that older toolstacks do not write may be absent. False: there is one out of range. */
static bool read_live(struct xendev *d, struct live *v)
{
    struct xs_handle *xs = d->bus->xs;
    int cap, processes;

    *v = (struct live){0};
    cap = xs_get_uint(xs, XBT_NULL, d->back, VGPU_XS_CAP, 0, 100, &v->cap);
    processes = xs_get_uint(xs, XBT_NULL, d->back, VGPU_XS_PROCESSES, 1, 256, &v->processes);
    return xs_get_uint(xs, XBT_NULL, d->back, VGPU_XS_MEM, 0, INT64_MAX, &v->mem) == 0 &&
           xs_get_uint(xs, XBT_NULL, d->back, VGPU_XS_WEIGHT, 1, 65535, &v->weight) == 0 &&
           (cap == 0 || cap == -ENOENT) && (processes == 0 || processes == -ENOENT);
}

/*
 * A toolstack that does not know gvm.conf (xl with packaging/xen's patch) writes the profile's name:
 * what it has not written itself is the profile's, and is written here, once.
 */
static int fill_profile(struct xendev *d)
{
    struct xs_handle *xs = d->bus->xs;
    char name[VGPU_PROFILE_MAX + 1], text[VGPU_PROFILE_MAX + 16], why[256], path[XS_PATH_MAX];
    struct vgpu_spec spec;
    int err = xs_get(xs, XBT_NULL, d->back, VGPU_XS_PROFILE, name, sizeof(name));

    if (err == -ENOENT)
        return 0;
    snprintf(text, sizeof(text), "profile=%s", err ? "" : name);
    if (gvm_conf_spec(d->bus->conf, text, &spec, why, sizeof(why))) {
        xendev_fail(d, "%s", why);
        d->bad_config = true;
        return -EINVAL;
    }
    xs_path(path, sizeof(path), d->back, VGPU_XS_MEM);
    if (!xs_exists(xs, XBT_NULL, path))
        xs_put(xs, XBT_NULL, d->back, VGPU_XS_MEM, "%" PRIu64, spec.mem);
    xs_path(path, sizeof(path), d->back, VGPU_XS_WEIGHT);
    if (!xs_exists(xs, XBT_NULL, path))
        xs_put(xs, XBT_NULL, d->back, VGPU_XS_WEIGHT, "%u", spec.weight);
    xs_path(path, sizeof(path), d->back, VGPU_XS_CAP);
    if (!xs_exists(xs, XBT_NULL, path))
        xs_put(xs, XBT_NULL, d->back, VGPU_XS_CAP, "%u", spec.cap);
    xs_path(path, sizeof(path), d->back, VGPU_XS_PROCESSES);
    if (spec.processes && !xs_exists(xs, XBT_NULL, path))
        xs_put(xs, XBT_NULL, d->back, VGPU_XS_PROCESSES, "%u", spec.processes);
    return 0;
}

static void take_live(struct xendev *d, const struct live *v)
{
    d->h.params.mem = v->mem;
    tenant_set_mem(d->h.tenant, v->mem);
    tenant_set_share(d->h.tenant, (uint32_t)v->weight, (uint32_t)v->cap);
    d->h.weight = (uint32_t)v->weight;
    d->h.cap = (uint32_t)v->cap;
    d->h.max_procs = (uint32_t)v->processes;
}

/* What the toolstack wrote. 0, or -EINVAL after the device failed. */
static int read_config(struct xendev *d)
{
    struct live v;

    if (xs_get(d->bus->xs, XBT_NULL, d->back, VGPU_XS_DEVICE, d->h.params.device,
               sizeof(d->h.params.device)) ||
        !read_live(d, &v)) {
        xendev_fail(d, "device, mem, weight, cap or processes is missing or out of range in %s",
                    d->back);
        d->bad_config = true;
        return -EINVAL;
    }
    take_live(d, &v);
    return 0;
}

static void offer(struct xendev *d)
{
    struct xs_handle *xs = d->bus->xs;

    d->failed = false;
    if (fill_profile(d) || read_config(d))
        return;
    switch (worker_probe(d->h.b, &d->h.params)) {
    case 0:
        d->probing = true;
        return; /* xendev_probed() */
    case -1:
        xendev_fail(d, "no worker can be started for device %s", d->h.params.device);
        d->bad_config = true;
        return;
    }
    d->probing = false;
    fault_point("broker.offer", d->h.domid);
    xs_put(xs, XBT_NULL, d->back, VGPU_XS_VERSIONS, "%d", VGPU_PROTOCOL_VERSION);
    xs_put(xs, XBT_NULL, d->back, VGPU_XS_MAX_CHANNELS, "%u", d->h.max_channels);
    xs_put(xs, XBT_NULL, d->back, VGPU_XS_MAX_PAGES, "%" PRIu64, d->h.max_pages);
    set_state(d, XB_INITWAIT);
    fault_point("broker.offered", d->h.domid);
    note(d, "%s: offered: device %s, mem %" PRIu64 ", weight %u, cap %u", d->h.name,
         d->h.params.device, d->h.params.mem, d->h.weight, d->h.cap);
}

void xendev_probed(struct broker *b, const struct worker_params *p, const char *error)
{
    for (struct host *h = b->hosts; h; h = h->next) {
        struct xendev *d = xendev_of(h);

        if (!d->probing || !worker_params_equal(&h->params, p))
            continue;
        d->probing = false;
        if (error) {
            xendev_fail(d, "%s", error);
            d->bad_config = true;
        }
        xendev_touch(d);
    }
}

struct front_keys {
    struct xendev *d;
    uint64_t version, ring_ref, port;
    const char *why;
};

static int read_front(struct xs_handle *xs, xs_transaction_t t, void *arg)
{
    struct front_keys *k = arg;
    const char *dir = k->d->front;

    k->why = NULL;
    if (xs_get_uint(xs, t, dir, VGPU_XS_VERSION, VGPU_PROTOCOL_VERSION, VGPU_PROTOCOL_VERSION,
                    &k->version))
        k->why = "version is not 1";
    else if (xs_get_uint(xs, t, dir, VGPU_XS_RING_REF, 1, UINT32_MAX, &k->ring_ref))
        k->why = "ring-ref is not a grant reference, 1..4294967295";
    else if (xs_get_uint(xs, t, dir, VGPU_XS_EVENT_CHANNEL, 1, UINT32_MAX, &k->port))
        k->why = "event-channel is not a port, 1..4294967295";
    return 0;
}

static void connect_front(struct xendev *d)
{
    struct front_keys k = {.d = d};
    int err = xs_transact(d->bus->xs, read_front, &k);

    if (err) {
        log_warn("%s: reading the frontend's keys: %s", d->h.name, strerror(-err));
        return;
    }
    if (k.why) {
        xendev_fail(d, "%s/%s", d->front, k.why);
        return;
    }
    if (read_config(d))
        return;
    d->ring_ref = (uint32_t)k.ring_ref;
    d->port = (uint32_t)k.port;
    d->link = LINK_MAPPING;
    fault_point("broker.connect", d->h.domid);
    err = xenctl_connect(d);
    if (err) {
        d->link = LINK_NONE;
        xendev_fail(d, "cannot map the control ring: %s", strerror(-err));
    }
}

void xendev_link_up(struct xendev *d, int err, const char *why)
{
    if (err) {
        bool cancelled = d->link != LINK_MAPPING || err == -ECANCELED;

        d->link = LINK_NONE;
        if (!cancelled) {
            xendev_fail(d, "%s", why);
            return;
        }
        d->link = LINK_CLOSING; /* channels may have been adopted meanwhile */
        host_close(&d->h);
        return;
    }
    d->link = LINK_UP;
    if (d->state != XB_CONNECTED) {
        fault_point("broker.connecting", d->h.domid);
        set_state(d, XB_CONNECTED);
        fault_point("broker.connected", d->h.domid);
        note(d, "%s: connected", d->h.name);
    } else {
        note(d, "%s: connected again, %u channels go on", d->h.name, d->h.nchans);
    }
    worker_keep_warm(d->h.b, &d->h.params);
}

/* ---- looking */

/* Does a device but `d` need workers with these parameters? */
static bool others_want(struct xendev *d, const struct worker_params *p)
{
    for (struct host *h = d->h.b->hosts; h; h = h->next) {
        if (h != &d->h && xendev_of(h)->link == LINK_UP && h->params.mem == p->mem &&
            strcmp(h->params.device, p->device) == 0)
            return true;
    }
    return false;
}

/* The toolstack may have changed quota and shares of a device in use. */
static void look_at_live(struct xendev *d)
{
    struct worker_params old = d->h.params;
    struct live v;

    if (!read_live(d, &v)) {
        note(d, "%s: mem, weight, cap or processes is out of range in %s: nothing is changed",
             d->h.name, d->back);
        return;
    }
    if (v.mem == old.mem && v.weight == d->h.weight && v.cap == d->h.cap &&
        v.processes == d->h.max_procs)
        return;
    take_live(d, &v);
    note(d, "%s: now mem %" PRIu64 ", weight %u, cap %u, processes %u", d->h.name, d->h.params.mem,
         d->h.weight, d->h.cap, d->h.max_procs ? d->h.max_procs : d->h.max_channels);
    if (v.mem != old.mem) { /* workers that wait were started with the old quota */
        if (!others_want(d, &old))
            worker_drop_warm(d->h.b, &old);
        worker_keep_warm(d->h.b, &d->h.params);
    }
}

static void xendev_free(struct xendev *d)
{
    struct host **p;

    fault_point("broker.remove", d->h.domid);
    log_info("%s: removed", d->h.name);
    xenctl_forget(d);
    tenant_free(d->h.b, d->h.tenant);
    for (p = &d->h.b->hosts; *p != &d->h; p = &(*p)->next)
        ;
    *p = d->h.next;
    if (!others_want(d, &d->h.params))
        worker_drop_warm(d->h.b, &d->h.params);
    ev_timer_stop(d->h.b->loop, &d->update);
    ev_timer_stop(d->h.b->loop, &d->away);
    if (d->watched) {
        char path[XS_PATH_MAX], token[32];

        xs_path(path, sizeof(path), d->front, VGPU_XS_STATE);
        snprintf(token, sizeof(token), "front/%u/%u", d->h.domid, d->h.devid);
        xs_unwatch(d->bus->xs, path, token);
    }
    free(d);
}

/* The frontend runs down, has done so, or the toolstack wants it to. */
static void step_closing(struct xendev *d, uint64_t front, bool online)
{
    bool active = front >= XB_INITWAIT && front <= XB_CONNECTED;

    unlink_guest(d);
    if (d->link != LINK_NONE)
        return; /* xendev_empty() looks again */
    if (d->dead || !active || d->failed) {
        /* A failed device whose frontend thinks it connected stays in 5 until that answers. */
        if (d->failed && active && !d->dead) {
            set_state(d, XB_CLOSING);
            return;
        }
        if (d->state != XB_CLOSED) {
            fault_point("broker.close", d->h.domid);
            set_state(d, XB_CLOSED);
            fault_point("broker.closed", d->h.domid);
            note(d, "%s: closed%s", d->h.name, online ? "" : ", going away");
        }
        return;
    }
    set_state(d, XB_CLOSING); /* and wait for its answer */
}

static void step_open(struct xendev *d, uint64_t front)
{
    switch (front) {
    case XB_INITIALISING:
        unlink_guest(d); /* if it started again without closing */
        if (d->link == LINK_NONE && d->state != XB_INITWAIT && !d->bad_config && !d->probing)
            offer(d);
        break;
    case XB_INITIALISED:
        if (d->link == LINK_NONE && (d->state == XB_INITWAIT || d->state == XB_CONNECTED) &&
            !d->failed)
            connect_front(d);
        break;
    case XB_CONNECTED:
        /* We are the restarted daemon. */
        if (d->link == LINK_NONE && d->state == XB_CONNECTED && !d->failed)
            connect_front(d);
        break;
    default:
        break; /* InitWait, Reconfiguring: its own affair */
    }
}

/* oxenstored answers this to dom0 only; a driver domain learns of an end by the directory's. */
static bool is_introduced(struct xs_handle *xs, uint32_t domid)
{
    errno = 0;
    return xs_is_domain_introduced(xs, domid) || errno == EACCES;
}

/* Removes the directory if nothing has made it anew since it was closed for good. */
static int remove_own(struct xs_handle *xs, xs_transaction_t t, void *arg)
{
    const struct xendev *d = arg;
    uint64_t state, online = 0;

    if (xs_get_uint(xs, t, d->back, VGPU_XS_STATE, 0, 8, &state))
        return -ENOENT;
    xs_get_uint(xs, t, d->back, VGPU_XS_ONLINE, 0, 1, &online);
    if (state != XB_CLOSED || (online && !d->dead))
        return -EBUSY;
    return xs_rm(xs, t, d->back) ? 0 : -errno;
}

static void on_away(struct ev_loop *loop, ev_timer *t, int revents)
{
    struct xendev *d = t->data;

    int err =
        d->state == XB_CLOSED && d->link == LINK_NONE ? xs_transact(d->bus->xs, remove_own, d) : 0;

    if (err && err != -EBUSY && err != -ENOENT)
        note(d, "%s: %s cannot be removed: %s", d->h.name, d->back, strerror(-err));
    else
        xendev_touch(d);
}

/*
 * libxl leaves a driver domain's directories to the driver domain, and waits for their end. Not at
 * once: it waits for state 6 first.
 */
static void go_away(struct xendev *d)
{
    if (!d->bus->tidy || ev_is_active(&d->away))
        return;
    ev_timer_init(&d->away, on_away, AWAY_S, 0.);
    d->away.data = d;
    ev_timer_start(d->h.b->loop, &d->away);
}

void xendev_update(struct xendev *d)
{
    struct xs_handle *xs = d->bus->xs;
    uint64_t back = 0, front = 0, online = 0;
    int no_back, no_online, no_front = 0;
    bool introduced = false;

    if (d->h.closing || d->bus->lost)
        return; /* xendev_empty() looks again */
    no_back = xs_get_uint(xs, XBT_NULL, d->back, VGPU_XS_STATE, 0, 8, &back);
    no_online = xs_get_uint(xs, XBT_NULL, d->back, VGPU_XS_ONLINE, 0, 1, &online);
    if (!no_back) {
        no_front = xs_get_uint(xs, XBT_NULL, d->front, VGPU_XS_STATE, 0, 8, &front);
        introduced = is_introduced(xs, d->h.domid);
    }
    /* What cannot be asked looks as if it were not there: a guest would lose its device. */
    if ((no_back || no_online || no_front || !introduced) && xs_lost(xs)) {
        xenbus_lost(d->bus);
        return;
    }
    if (no_back) {
        d->gone = d->dead = true; /* the toolstack has removed it */
        unlink_guest(d);
        if (d->link == LINK_NONE)
            xendev_free(d);
        return;
    }
    if (no_online)
        online = 0;
    /* xenstored says EACCES for what is gone where this domain may not see the directory above. */
    d->dead = no_front == -ENOENT || no_front == -EACCES || !introduced;
    if (back == XB_INITIALISING && d->state != XB_INITIALISING) { /* the toolstack made it anew */
        d->state = XB_INITIALISING;
        d->failed = d->bad_config = false;
    }
    /* The toolstack asks for an end by writing our state. */
    if (back == XB_CLOSING && d->state != XB_CLOSED)
        d->state = XB_CLOSING;
    if (d->dead || front == XB_CLOSING || front == XB_CLOSED ||
        (d->state == XB_CLOSING && (front != XB_INITIALISING || d->link != LINK_NONE)) || !online)
        step_closing(d, front, online);
    else
        step_open(d, front);
    if (d->link == LINK_UP)
        look_at_live(d);
    if (d->state == XB_CLOSED && d->link == LINK_NONE && (d->dead || !online))
        go_away(d);
}

/* ---- making */

struct xendev *xendev_of(struct host *h)
{
    return (struct xendev *)h;
}

static void xendev_chan_lost(struct host *h, struct chan *ch)
{
    /* The kernel has cleared `alive` and signalled the guest when the mapping went. */
}

const struct host_ops xendev_ops = {
    .prepare = xenctl_prepare,
    .respond = xenctl_respond,
    .chan_lost = xendev_chan_lost,
    .empty = xendev_empty,
    .checkpoint = xenpark_checkpoint,
    .restore = xenpark_restore,
};

struct xendev *xendev_new(struct xenbus *bus, uint32_t front, uint32_t devid)
{
    struct broker *b = bus->b;
    struct xendev *d = calloc(1, sizeof(*d));
    char path[XS_PATH_MAX], token[32];
    uint64_t state;

    if (!d)
        return NULL;
    d->bus = bus;
    d->h.b = b;
    d->h.ops = &xendev_ops;
    d->h.domid = front;
    d->h.guest = GUEST_DOMAIN(front);
    d->h.devid = devid;
    snprintf(d->h.name, sizeof(d->h.name), "d%u.%u", front, devid);
    d->h.tenant = tenant_new(b, d->h.name, true);
    if (!d->h.tenant) {
        free(d);
        return NULL;
    }
    strcpy(d->h.params.device, "0");
    d->h.max_channels = b->cfg.max_channels;
    d->h.max_pages = b->cfg.max_pages;
    d->evt_fd = -1;
    d->rate = (struct log_rate)LOG_RATE(5, 10000);
    d->notes = (struct log_rate)LOG_RATE(12, 10000);
    snprintf(d->back, sizeof(d->back), VGPU_XS_BACK_FMT, bus->domid, front, devid);
    snprintf(d->front, sizeof(d->front), VGPU_XS_FRONT_FMT, front, devid);
    if (xs_get_uint(bus->xs, XBT_NULL, d->back, VGPU_XS_STATE, 0, 8, &state) == 0)
        d->state = (enum xenbus_state)state;
    d->h.next = b->hosts;
    b->hosts = &d->h;
    xs_path(path, sizeof(path), d->front, VGPU_XS_STATE);
    snprintf(token, sizeof(token), "front/%u/%u", front, devid);
    d->watched = xs_watch(bus->xs, path, token);
    if (!d->watched)
        log_warn("%s: cannot watch %s: %m", d->h.name, path);
    fault_point("broker.found", d->h.domid);
    return d;
}
