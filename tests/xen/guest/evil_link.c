/* SPDX-License-Identifier: MIT */
#include "evil_link.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct evil_link l;
struct evil_channel c;
unsigned bad, made;

void complain(const char *fmt, ...)
{
    va_list ap;

    bad++;
    printf("BAD ");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
}

double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t state = 1;

void rnd_seed(uint64_t seed)
{
    state = seed;
}

uint32_t rnd(void)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 33);
}

/* ---- XenStore */

void put(const char *key, const char *fmt, ...)
{
    char path[64], value[4200];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    snprintf(path, sizeof(path), "device/vgpu/0/%s", key);
    xs_write(l.xs, XBT_NULL, path, value, (unsigned)n);
}

unsigned backend_state(void)
{
    char path[160], *v;
    unsigned len, s = 0;

    snprintf(path, sizeof(path), "%s/state", l.back);
    v = xs_read(l.xs, XBT_NULL, path, &len);
    if (v)
        s = (unsigned)atoi(v);
    free(v);
    return s;
}

/* Waits for one of two states of the backend; the one that came, or 0. */
unsigned wait_backend(unsigned a, unsigned b)
{
    double end = now() + WAIT_S;

    while (now() < end) {
        unsigned s = backend_state();

        if (s == a || s == b)
            return s;
        usleep(10000);
    }
    complain("the backend did not go to state %u or %u, is in %u", a, b, backend_state());
    return 0;
}

/* ---- the device */

static void unlink_ring(void)
{
    if (l.ring)
        xengntshr_unshare(l.gs, l.ring, 1);
    if (l.port > 0)
        xenevtchn_unbind(l.ec, (evtchn_port_t)l.port);
    l.ring = NULL;
    l.port = 0;
}

void make_ring(void)
{
    unlink_ring();
    l.ring = xengntshr_share_pages(l.gs, 0, 1, &l.ring_ref, 1);
    l.port = xenevtchn_bind_unbound_port(l.ec, 0);
    if (!l.ring || l.port < 0) {
        perror("sharing the ring");
        exit(2);
    }
    memset(l.ring, 0, sizeof(*l.ring));
    l.ring->req_event = l.ring->rsp_event = 1;
    l.rsp_cons = 0;
}

/* Through Closed to Connected, whatever was before. */
bool link_up(void)
{
    unsigned s = backend_state();

    if (s == 4 || s == 5) {
        put("state", "5");
        if (!wait_backend(5, 6))
            return false;
        put("state", "6");
        if (!wait_backend(6, 6))
            return false;
    }
    make_ring();
    put("state", "1");
    if (!wait_backend(2, 2))
        return false;
    put("version", "1");
    put("ring-ref", "%u", l.ring_ref);
    put("event-channel", "%d", l.port);
    put("state", "3");
    if (wait_backend(4, 5) != 4)
        return false;
    put("state", "4");
    l.connects++;
    return true;
}

void kick(int port)
{
    xenevtchn_notify(l.ec, (evtchn_port_t)port);
}

/* One request and its answer. False: there is none, the device was closed. */
bool ask(struct vgpu_ctl_req *q, struct vgpu_ctl_rsp *r)
{
    double end = now() + WAIT_S;

    q->id = l.next_id++;
    l.ring->slot[l.ring->req_prod % SLOTS].req = *q;
    __atomic_store_n(&l.ring->req_prod, l.ring->req_prod + 1, __ATOMIC_RELEASE);
    kick(l.port);
    for (unsigned n = 0; now() < end; n++) {
        if (__atomic_load_n(&l.ring->rsp_prod, __ATOMIC_ACQUIRE) != l.rsp_cons) {
            *r = l.ring->slot[l.rsp_cons % SLOTS].rsp;
            l.rsp_cons++;
            l.ring->rsp_event = l.rsp_cons + 1;
            return true;
        }
        if (n % 100 == 99 && backend_state() != 4)
            return false;
        if (n > 3)
            usleep(1000);
        else
            sched_yield();
    }
    complain("no answer to control request %u", q->op);
    return false;
}

/* ---- a channel */

void close_channel(void)
{
    struct vgpu_ctl_req q = {.op = VGPU_CTL_DESTROY_CHANNEL, .channel = 1};
    struct vgpu_ctl_rsp r;

    if (!c.base)
        return;
    if (l.ring && backend_state() == 4)
        ask(&q, &r);
    xenevtchn_unbind(l.ec, (evtchn_port_t)c.port);
    xengntshr_unshare(l.gs, c.base, PAGES);
    xengntshr_unshare(l.gs, c.dir, 1);
    c.base = NULL;
}

bool share_channel(void)
{
    c.base = xengntshr_share_pages(l.gs, 0, PAGES, c.refs, 1);
    c.dir = xengntshr_share_pages(l.gs, 0, 1, &c.dir_ref, 1);
    c.port = xenevtchn_bind_unbound_port(l.ec, 0);
    if (!c.base || !c.dir || c.port < 0) {
        perror("sharing a channel");
        exit(2);
    }
    memset(c.base, 0, PAGES * VGPU_PAGE_SIZE);
    c.dir->next = 0;
    c.dir->count = PAGES;
    memcpy(c.dir->refs, c.refs, sizeof(c.refs));
    vgpu_channel_init(&c.ch, c.base, ORDER);
    c.prod = (struct vgpu_producer){.ch = &c.ch};
    c.ch.front->magic = VGPU_CH_MAGIC;
    c.ch.front->ring_order = ORDER;
    return true;
}

struct vgpu_ctl_req create_request(void)
{
    return (struct vgpu_ctl_req){.op = VGPU_CTL_CREATE_CHANNEL,
                                 .channel = 1,
                                 .port = (uint32_t)c.port,
                                 .gref_dir = c.dir_ref,
                                 .npages = PAGES,
                                 .ring_order = ORDER,
                                 .pid = 666,
                                 .uid = 0};
}

/* A channel that a worker serves; the link is made again if it was lost. */
bool open_channel(void)
{
    struct vgpu_ctl_req q;
    struct vgpu_ctl_rsp r;

    close_channel();
    for (int tries = 0; tries < 3; tries++) {
        if (!l.ring || backend_state() != 4) {
            if (!link_up())
                continue;
        }
        share_channel();
        q = create_request();
        if (ask(&q, &r) && r.status == 0) {
            made++;
            return true;
        }
        close_channel();
        l.reconnects++;
        put("state", "6");
        wait_backend(6, 6);
    }
    complain("no channel to be had");
    return false;
}

bool channel_dead(void)
{
    return !vgpu_alive(&c.ch);
}

void link_open(void)
{
    unsigned len;
    char *back;

    l.xs = xs_open(0);
    l.gs = xengntshr_open(NULL, 0);
    l.ec = xenevtchn_open(NULL, 0);
    back = l.xs ? xs_read(l.xs, XBT_NULL, "device/vgpu/0/backend", &len) : NULL;
    if (!back || !l.gs || !l.ec) {
        perror("no device, no gntalloc or no evtchn");
        exit(2);
    }
    snprintf(l.back, sizeof(l.back), "%s", back);
    free(back);
}
