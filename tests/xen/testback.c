/* SPDX-License-Identifier: MIT */
/*
 * testback.c - a vgpu backend without workers, for tests of the guest's kernel module. It keeps to
 * the protocol, or breaks it as the test tells it: vgpu-testback DOMAIN DEVICE, then commands on
 * standard input, one a line:
 *   attach          makes both directories and goes to Initialising
 *   offer           keys and InitWait; from there on it follows the frontend
 *   versions TEXT   what the next offer says
 *   hold | answer   keeps requests unanswered | answers them, the held ones first
 *   bad WHAT        the next answer is wrong: prod, id, op, status, channel, reserved, window,
 *                   refuse (with ENOSPC)
 *   ring            signals every channel
 *   deaf            closes the control ring's port and binds it anew
 *   miss            overlooks the control ring's next event
 *   close           state Closing; Closed follows the frontend's answer
 *   online N        the toolstack's key
 *   remove          removes both directories
 *   quit
 * It prints one line for each thing that happens.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What Xen's headers want to be told before the first of them. */
#define __XEN_TOOLS__ 1
#define xen_mb()      __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb()     __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb()     __atomic_thread_fence(__ATOMIC_RELEASE)
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/io/ring.h>
#include <xen/io/xenbus.h>

#include "protocol/vgpuif.h"
#include "vgpu_keys.h"

DEFINE_RING_TYPES(tb, struct vgpu_ctl_req, struct vgpu_ctl_rsp);

#define POOL_BASE 0x600000000000ull
#define POOL_SIZE 0x100000000ull

struct mapping {
    uint8_t *base;
    uint32_t pages;
};

struct chan {
    bool used;
    struct mapping mem;
    int port; /* ours */
    struct mapping chunk[VGPU_MAX_CHUNKS];
};

static unsigned dom, dev;
static char front[64], back[64], front_state[80];
static const char *versions = "1";
static char versions_text[64];
static struct xs_handle *xs;
static xengnttab_handle *gt;
static xenevtchn_handle *ec;
static struct tb_back_ring ring;
static struct tb_sring *page;
static int ctl_port = -1;
static unsigned ctl_remote;
static bool holding, closing, missing;
static char bad[16];
static struct vgpu_ctl_req held[32];
static unsigned nheld;
static struct chan chans[VGPU_MAX_CHANNELS + 1];

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

/* ---- XenStore */

static void put(xs_transaction_t t, const char *dir, const char *key, const char *value)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, key);
    if (!xs_write(xs, t, path, value, (unsigned)strlen(value)))
        say("cannot write %s: %s", path, strerror(errno));
}

static void put_uint(xs_transaction_t t, const char *dir, const char *key, unsigned value)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", value);
    put(t, dir, key, text);
}

static unsigned get_uint(const char *dir, const char *key)
{
    char path[128];
    unsigned len, value = 0;
    char *text;

    snprintf(path, sizeof(path), "%s/%s", dir, key);
    text = xs_read(xs, XBT_NULL, path, &len);
    if (text)
        value = (unsigned)strtoul(text, NULL, 10);
    free(text);
    return value;
}

static void state(unsigned s)
{
    put_uint(XBT_NULL, back, VGPU_XS_STATE, s);
    say("state %u", s);
}

static void make_dir(xs_transaction_t t, const char *dir, unsigned owner, unsigned reader)
{
    struct xs_permissions perms[2] = {{.id = owner, .perms = XS_PERM_NONE},
                                      {.id = reader, .perms = XS_PERM_READ}};

    if (!xs_mkdir(xs, t, dir) || !xs_set_permissions(xs, t, dir, perms, 2))
        say("cannot make %s: %s", dir, strerror(errno));
}

static void attach(void)
{
    xs_transaction_t t;

    do {
        t = xs_transaction_start(xs);
        make_dir(t, back, 0, dom);
        make_dir(t, front, dom, 0);
        put(t, back, VGPU_XS_FRONTEND, front);
        put_uint(t, back, VGPU_XS_FRONTEND_ID, dom);
        put(t, back, VGPU_XS_ONLINE, "1");
        put(t, back, VGPU_XS_STATE, "1");
        put(t, front, VGPU_XS_BACKEND, back);
        put(t, front, VGPU_XS_BACKEND_ID, "0");
        put(t, front, VGPU_XS_STATE, "1");
    } while (!xs_transaction_end(xs, t, false) && errno == EAGAIN);
    xs_watch(xs, front_state, "front");
    say("attached");
}

static void offer(void)
{
    closing = false;
    put(XBT_NULL, back, VGPU_XS_VERSIONS, versions);
    put(XBT_NULL, back, VGPU_XS_MAX_CHANNELS, "4");
    put(XBT_NULL, back, VGPU_XS_MAX_PAGES, "65536");
    state(XenbusStateInitWait);
}

/* ---- memory */

static void unmap(struct mapping *m)
{
    if (m->base && xengnttab_unmap(gt, m->base, m->pages))
        say("unmap: %s", strerror(errno));
    m->base = NULL;
}

static int map_list(struct mapping *m, uint32_t dir_ref, uint32_t npages)
{
    uint32_t *refs = calloc(npages, sizeof(*refs));
    uint32_t n = 0, dirs = 0;

    while (dir_ref && n < npages) {
        struct vgpu_grant_dir *d = xengnttab_map_grant_ref(gt, dom, dir_ref, 1 /* PROT_READ */);

        if (!d) {
            say("FAIL directory %u: %s", dir_ref, strerror(errno));
            break;
        }
        if (!d->count || d->count > VGPU_DIR_REFS || n + d->count > npages ||
            (d->next && d->count != VGPU_DIR_REFS)) {
            say("FAIL directory count %u", d->count);
            break;
        }
        memcpy(refs + n, d->refs, d->count * sizeof(*refs));
        n += d->count;
        dir_ref = d->next;
        dirs++;
        xengnttab_unmap(gt, d, 1);
    }
    if (n == npages && !dir_ref) {
        m->base = xengnttab_map_domain_grant_refs(gt, npages, dom, refs, 3);
        m->pages = npages;
        if (!m->base)
            say("FAIL mapping %u pages: %s", npages, strerror(errno));
        else
            say("mapped %u pages, %u directories", npages, dirs);
    } else {
        say("FAIL list has %u of %u pages", n, npages);
    }
    free(refs);
    return m->base ? 0 : -EINVAL;
}

/* ---- channels */

static void destroy(struct chan *ch)
{
    if (!ch->used)
        return;
    for (unsigned i = 0; i < VGPU_MAX_CHUNKS; i++)
        unmap(&ch->chunk[i]);
    if (ch->mem.base)
        ch->mem.base[VGPU_CH_BACK_PAGE * VGPU_PAGE_SIZE] = 0; /* alive */
    unmap(&ch->mem);
    if (ch->port >= 0)
        xenevtchn_unbind(ec, (evtchn_port_t)ch->port);
    memset(ch, 0, sizeof(*ch));
}

static int create(struct chan *ch, const struct vgpu_ctl_req *req, struct vgpu_ctl_rsp *rsp)
{
    struct vgpu_ch_front *f;

    if (ch->used) {
        say("FAIL channel %u exists", req->channel);
        return -EEXIST;
    }
    if (req->ring_order > VGPU_RING_ORDER_MAX || req->npages != VGPU_CH_PAGES(req->ring_order) ||
        map_list(&ch->mem, req->gref_dir, req->npages))
        return -EINVAL;
    ch->used = true;
    f = (void *)ch->mem.base;
    if (f->magic != VGPU_CH_MAGIC || f->ring_order != req->ring_order)
        say("FAIL front page has magic %#x, order %u", f->magic, f->ring_order);
    for (size_t i = 8; i < (size_t)req->npages * VGPU_PAGE_SIZE; i++) {
        if (ch->mem.base[i]) {
            say("FAIL channel memory is not zero at %zu", i);
            break;
        }
    }
    ((struct vgpu_ch_back *)(ch->mem.base + VGPU_CH_BACK_PAGE * VGPU_PAGE_SIZE))->alive = 1;
    ch->port = xenevtchn_bind_interdomain(ec, dom, req->port);
    if (ch->port < 0)
        say("FAIL port %u: %s", req->port, strerror(errno));
    rsp->pool_base = POOL_BASE + (strcmp(bad, "window") ? 0 : 1);
    rsp->pool_size = POOL_SIZE;
    rsp->dev_base = POOL_BASE + POOL_SIZE;
    rsp->dev_size = POOL_SIZE;
    say("create %u uid %u", req->channel, req->uid);
    return 0;
}

static int handle(const struct vgpu_ctl_req *req, struct vgpu_ctl_rsp *rsp)
{
    struct chan *ch = &chans[req->channel <= VGPU_MAX_CHANNELS ? req->channel : 0];

    if (req->flags || req->token0 || req->chunk >= VGPU_MAX_CHUNKS)
        say("FAIL request with flags %u, chunk %u", req->flags, req->chunk);
    if (!strcmp(bad, "refuse"))
        return -ENOSPC;
    switch (req->op) {
    case VGPU_CTL_CREATE_CHANNEL:
        return create(ch, req, rsp);
    case VGPU_CTL_DESTROY_CHANNEL:
        destroy(ch);
        say("destroy %u", req->channel);
        return 0;
    case VGPU_CTL_ADD_CHUNK:
        if (map_list(&ch->chunk[req->chunk], req->gref_dir, req->npages))
            return -EINVAL;
        for (uint32_t i = 0; i < req->npages; i++)
            memcpy(ch->chunk[req->chunk].base + (size_t)i * VGPU_PAGE_SIZE, &i, sizeof(i));
        rsp->addr = POOL_BASE + req->chunk * (uint64_t)VGPU_MAX_CHUNK_PAGES * VGPU_PAGE_SIZE;
        say("add %u.%u pages %u", req->channel, req->chunk, req->npages);
        return 0;
    case VGPU_CTL_DROP_CHUNK:
        unmap(&ch->chunk[req->chunk]);
        say("drop %u.%u", req->channel, req->chunk);
        return 0;
    }
    say("op %u channel %u", req->op, req->channel);
    return -ENOSYS;
}

/* ---- control ring */

static void reply(const struct vgpu_ctl_req *req)
{
    struct vgpu_ctl_rsp rsp = {.id = req->id, .op = req->op, .channel = req->channel};
    int notify;

    rsp.status = handle(req, &rsp);
    if (!strcmp(bad, "id"))
        rsp.id ^= 1u << 20;
    else if (!strcmp(bad, "op"))
        rsp.op++;
    else if (!strcmp(bad, "status"))
        rsp.status = 7;
    else if (!strcmp(bad, "channel"))
        rsp.channel++;
    else if (!strcmp(bad, "reserved"))
        rsp.reserved[1] = 1;
    else if (!strcmp(bad, "prod"))
        ring.rsp_prod_pvt += 40;
    *RING_GET_RESPONSE(&ring, ring.rsp_prod_pvt) = rsp;
    ring.rsp_prod_pvt++;
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&ring, notify);
    if (notify || bad[0])
        xenevtchn_notify(ec, (evtchn_port_t)ctl_port);
    bad[0] = 0;
}

static void drain(void)
{
    struct vgpu_ctl_req req;
    int more;

    if (!page)
        return;
    do {
        while (ring.req_cons != page->req_prod) {
            RING_COPY_REQUEST(&ring, ring.req_cons, &req);
            ring.req_cons++;
            if (holding && nheld < 32) {
                held[nheld++] = req;
                say("held op %u channel %u", req.op, req.channel);
            } else {
                reply(&req);
            }
        }
        RING_FINAL_CHECK_FOR_REQUESTS(&ring, more);
    } while (more);
}

static void disconnect(void)
{
    for (unsigned i = 0; i <= VGPU_MAX_CHANNELS; i++)
        destroy(&chans[i]);
    if (ctl_port >= 0)
        xenevtchn_unbind(ec, (evtchn_port_t)ctl_port);
    if (page)
        xengnttab_unmap(gt, page, 1);
    page = NULL;
    ctl_port = -1;
    nheld = 0;
}

static void connect_front(void)
{
    page = xengnttab_map_grant_ref(gt, dom, get_uint(front, VGPU_XS_RING_REF), 3);
    ctl_remote = get_uint(front, VGPU_XS_EVENT_CHANNEL);
    ctl_port = xenevtchn_bind_interdomain(ec, dom, ctl_remote);
    if (!page || ctl_port < 0 || get_uint(front, VGPU_XS_VERSION) != 1) {
        say("FAIL connecting: %s", strerror(errno));
        return;
    }
    BACK_RING_INIT(&ring, page, 4096);
    state(XenbusStateConnected);
}

static void front_changed(void)
{
    unsigned s = get_uint(front, VGPU_XS_STATE);

    say("front %u", s);
    switch (s) {
    case XenbusStateInitialising:
        if (closing && get_uint(back, VGPU_XS_ONLINE))
            offer();
        break;
    case XenbusStateInitialised:
        if (!page)
            connect_front();
        break;
    case XenbusStateClosing:
    case XenbusStateClosed:
        disconnect();
        if (get_uint(back, VGPU_XS_STATE) != XenbusStateClosed) {
            closing = true;
            state(XenbusStateClosed);
        }
        break;
    }
}

/* ---- */

static bool command(char *line)
{
    char *arg = strchr(line, ' ');

    if (arg)
        *arg++ = 0;
    if (!strcmp(line, "attach")) {
        attach();
    } else if (!strcmp(line, "offer")) {
        offer();
    } else if (!strcmp(line, "versions") && arg) {
        snprintf(versions_text, sizeof(versions_text), "%s", arg);
        versions = versions_text;
    } else if (!strcmp(line, "hold")) {
        holding = true;
    } else if (!strcmp(line, "answer")) {
        holding = false;
        for (unsigned i = 0; i < nheld; i++)
            reply(&held[i]);
        nheld = 0;
    } else if (!strcmp(line, "bad") && arg) {
        snprintf(bad, sizeof(bad), "%s", arg);
    } else if (!strcmp(line, "ring")) {
        for (unsigned i = 0; i <= VGPU_MAX_CHANNELS; i++) {
            if (chans[i].used)
                xenevtchn_notify(ec, (evtchn_port_t)chans[i].port);
        }
    } else if (!strcmp(line, "deaf")) {
        xenevtchn_unbind(ec, (evtchn_port_t)ctl_port);
        ctl_port = xenevtchn_bind_interdomain(ec, dom, ctl_remote);
    } else if (!strcmp(line, "miss")) {
        missing = true;
    } else if (!strcmp(line, "close")) {
        closing = true;
        state(XenbusStateClosing);
    } else if (!strcmp(line, "online") && arg) {
        put(XBT_NULL, back, VGPU_XS_ONLINE, arg);
    } else if (!strcmp(line, "remove")) {
        xs_unwatch(xs, front_state, "front");
        xs_rm(xs, XBT_NULL, front);
        xs_rm(xs, XBT_NULL, back);
        disconnect();
    } else if (!strcmp(line, "quit")) {
        return false;
    } else {
        say("unknown command %s", line);
    }
    say("done %s", line);
    return true;
}

static void events(void)
{
    xenevtchn_port_or_error_t p = xenevtchn_pending(ec);

    if (p < 0)
        return;
    if (p == ctl_port && missing) {
        missing = false;
        say("missed");
    } else if (p == ctl_port) {
        drain();
    }
    for (unsigned i = 0; i <= VGPU_MAX_CHANNELS; i++) {
        if (chans[i].used && chans[i].port == p) {
            say("doorbell %u", i);
            xenevtchn_notify(ec, (evtchn_port_t)p);
        }
    }
    xenevtchn_unmask(ec, (evtchn_port_t)p);
}

int main(int argc, char **argv)
{
    static char buf[4096];
    size_t have = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: %s DOMAIN DEVICE\n", argv[0]);
        return 2;
    }
    dom = (unsigned)atoi(argv[1]);
    dev = (unsigned)atoi(argv[2]);
    snprintf(back, sizeof(back), VGPU_XS_BACK_FMT, 0, dom, dev);
    snprintf(front, sizeof(front), VGPU_XS_FRONT_FMT, dom, dev);
    snprintf(front_state, sizeof(front_state), "%s/%s", front, VGPU_XS_STATE);
    xs = xs_open(0);
    gt = xengnttab_open(NULL, 0);
    ec = xenevtchn_open(NULL, 0);
    if (!xs || !gt || !ec) {
        perror("xs_open, xengnttab_open or xenevtchn_open");
        return 1;
    }
    say("ready");
    for (;;) {
        struct pollfd fds[3] = {{.fd = 0, .events = POLLIN},
                                {.fd = xs_fileno(xs), .events = POLLIN},
                                {.fd = xenevtchn_fd(ec), .events = POLLIN}};

        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            break;
        if (fds[2].revents)
            events();
        if (fds[1].revents) {
            char **what = xs_check_watch(xs);

            if (what)
                front_changed();
            free(what);
        }
        if (fds[0].revents) {
            ssize_t n = read(0, buf + have, sizeof(buf) - 1 - have);
            char *nl;

            if (n <= 0)
                break;
            have += (size_t)n;
            buf[have] = 0;
            while ((nl = strchr(buf, '\n'))) {
                *nl = 0;
                if (!command(buf))
                    return 0;
                have -= (size_t)(nl + 1 - buf);
                memmove(buf, nl + 1, have + 1);
            }
        }
    }
    return 0;
}
