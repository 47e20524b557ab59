/* SPDX-License-Identifier: MIT */
/*
 * vgpu_evil.c - a frontend that means harm. It runs as root in a guest without xen-vgpufront, and
 * has what a guest that owns its kernel has: pages to grant (gntalloc), event channels, XenStore.
 *
 *   vgpu_evil scribble SECONDS SEED FILE  arbitrary octets in every shared page while the backend
 *                                     works on FILE's records
 *   vgpu_evil records FILE STEP FIRST every STEP-th record of FILE (u32 length, octets; ...)
 *   vgpu_evil requests                control requests with every field at its bounds and past them
 *   vgpu_evil flood N                 N of them as fast as it can
 *   vgpu_evil lies STEP               every XenStore key that it can write, with every kind of value;
 *                                     every STEP-th of them
 *   vgpu_evil greed                   channels, and chunks of memory for one, until it is refused
 *   vgpu_evil flap N                  N changes of its state, as fast as it can
 *   vgpu_evil storm SECONDS           events on both ports, as fast as it can
 *   vgpu_evil break N                 N times each: a broken record, a broken control ring
 *
 * The last line of its output says what came of it; exit status 1: the backend did something that
 * it must not ("BAD ...").
 */
#include "evil_link.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned dead; /* channels that the backend has closed */

static uint8_t *load(const char *path, size_t *n)
{
    FILE *f = fopen(path, "re");
    uint8_t *p;

    if (!f || fseek(f, 0, SEEK_END)) {
        perror(path);
        exit(2);
    }
    *n = (size_t)ftell(f);
    rewind(f);
    p = malloc(*n);
    if (!p || fread(p, 1, *n, f) != *n)
        exit(2);
    fclose(f);
    return p;
}

/* ---- scribble */

/* Up to 64 octets anywhere in `len` from `at` on. */
static unsigned spray(void *at, uint32_t len)
{
    volatile uint8_t *p = at;
    unsigned n = 1 + rnd() % 64;

    for (unsigned i = 0; i < n; i++)
        p[rnd() % len] = (uint8_t)rnd();
    return n;
}

/* One octet or many, under the worker's eyes. What a worker must take as a violation is rare, or
 * no channel would live for long. */
static unsigned scribble_once(const uint8_t *taken)
{
    uint32_t what = rnd() % 1000;

    if (what < 500) /* the worker's own pages: replies, counters, flags, but for `alive` */
        return spray(c.base + VGPU_PAGE_SIZE + 64, (VGPU_CH_RING_PAGE - 1) * VGPU_PAGE_SIZE - 64);
    if (what < 700) /* who waits for what */
        return spray(c.base + 128, VGPU_PAGE_SIZE - 128);
    if (what < 990 &&
        taken) /* the record that the worker may just be reading, but for its header */
        return spray((uint8_t *)taken, 16);
    if (what < 995)
        return spray(c.ch.ring, c.ch.ring_size);
    if (what < 997)
        return spray(c.base, 128); /* cmd_prod */
    if (what == 997 && rnd() % 4 == 0)
        return spray(l.ring, VGPU_PAGE_SIZE);
    kick(rnd() % 2 ? c.port : l.port);
    return 0;
}

static int scribble(double seconds, uint64_t seed, const char *path)
{
    size_t size, at = 0;
    uint8_t *all = load(path, &size);
    double end = now() + seconds;
    uint64_t n = 0, sent = 0;

    rnd_seed(seed);
    while (now() < end && !bad && open_channel()) {
        uint8_t *taken = NULL;

        end += made == 1 ? now() + seconds - end : 0; /* the first channel takes a while */
        while (now() < end && !channel_dead() && (sent % 64 || backend_state() == 4)) {
            struct vgpu_rec h;
            uint32_t len;

            memcpy(&len, all + at, 4);
            memcpy(&h, all + at + 4, sizeof(h));
            if (h.len == len && h.len >= 32) {
                taken = vgpu_prod_begin(&c.prod, h.op, (uint16_t)(rnd() % VGPU_LANES), h.len, 0);
                if (taken) {
                    memcpy(taken, all + at + 4 + sizeof(h), h.len - sizeof(h));
                    vgpu_prod_publish(&c.prod);
                    kick(c.port);
                    sent++;
                }
            }
            at = at + 4 + len < size ? at + 4 + len : 0;
            for (int i = 0; i < 50; i++)
                n += scribble_once(taken);
        }
        dead += channel_dead();
    }
    close_channel();
    printf("%" PRIu64 " octets scribbled, %" PRIu64 " records sent, %u channels, %u of them closed "
           "by the backend, %u connections\n",
           n, sent, made, dead, l.connects);
    return bad != 0;
}

/* ---- records */

/* Waits until the worker has taken and answered what is in the ring, 300 ms at most for answers. */
static void settle(uint16_t lane, uint32_t ticket, bool reply)
{
    double end = now() + WAIT_S, soon = now() + 0.3;

    while (now() < end && !channel_dead()) {
        bool taken = VGPU_LOAD_ACQUIRE(&c.ch.back->cmd_cons) == c.prod.prod;

        if (taken && (!reply || vgpu_reply_ready(&c.ch, lane, ticket) || now() > soon))
            return;
        usleep(500);
    }
    if (!channel_dead())
        complain("the worker neither takes records nor gives up");
}

/* The records of one seed, each on the lane after that of the last one. */
static void send_seed(const uint8_t *p, uint32_t n, uint16_t *lane)
{
    while (n >= sizeof(struct vgpu_rec) && !channel_dead()) {
        struct vgpu_rec h;
        uint32_t take;
        uint8_t *at;

        memcpy(&h, p, sizeof(h));
        take = h.len < sizeof(h) || h.len > n ? n : h.len;
        at = vgpu_prod_begin(&c.prod, h.op, *lane, (take + 15u) & ~15u, h.flags);
        if (!at)
            return;
        memcpy(at, p + sizeof(h), take - sizeof(h));
        if (h.len != take) /* a length that is a lie */
            ((struct vgpu_rec *)(void *)(at - sizeof(h)))->len = h.len;
        if (vgpu_prod_publish(&c.prod))
            kick(c.port);
        settle(*lane, c.prod.ticket, h.flags & VGPU_REC_REPLY);
        *lane = (uint16_t)((*lane + 1) % VGPU_LANES);
        p += take;
        n -= take;
    }
}

static int records(const char *path, unsigned step, unsigned first)
{
    size_t size, at = 0;
    uint8_t *all = load(path, &size);
    unsigned i = 0, sent = 0;
    uint16_t lane = 0;
    uint32_t n;

    while (at + 4 <= size && !bad) {
        memcpy(&n, all + at, 4);
        if (i++ % step == first) {
            if (!c.base || channel_dead() || lane > VGPU_LANES - 40) {
                dead += c.base && channel_dead();
                if (!open_channel())
                    break;
                lane = 0;
            }
            send_seed(all + at + 4, n, &lane);
            sent++;
        }
        at += 4 + n;
    }
    dead += c.base && channel_dead();
    close_channel();
    printf("%u records or groups of records sent, on %u channels; the backend closed %u of them\n",
           sent, made, dead);
    return bad != 0;
}

/* ---- control requests */

static void refused(struct vgpu_ctl_req q, const char *what)
{
    struct vgpu_ctl_rsp r;

    if (!ask(&q, &r))
        complain("%s: no answer", what);
    else if (r.status >= 0)
        complain("%s: status %d", what, r.status);
    else if (r.op != q.op || r.channel != q.channel || r.status < -4095)
        complain("%s: answer to op %u channel %u status %d", what, r.op, r.channel, r.status);
    made++;
}

/* The request with the field at this offset at each of these values. */
static void bounds_of(struct vgpu_ctl_req good, size_t off, const char *name)
{
    static const uint32_t values[] = {
        0,     1,        17,       255,      256,        257,        16384,      16385,     65535,
        65536, 1u << 20, 1u << 24, 1u << 30, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct vgpu_ctl_req q = good;
        struct vgpu_ctl_rsp r;
        uint32_t was;

        memcpy(&was, (uint8_t *)&q + off, 4);
        if (was == values[i])
            continue;
        memcpy((uint8_t *)&q + off, &values[i], 4);
        if (!ask(&q, &r)) {
            complain("%s %u: no answer", name, values[i]);
            link_up();
            return;
        }
        made++;
        if (r.status == 0 &&
            q.op == VGPU_CTL_CREATE_CHANNEL) { /* allowed after all: take it back */
            struct vgpu_ctl_req d = {.op = VGPU_CTL_DESTROY_CHANNEL, .channel = q.channel};

            ask(&d, &r);
        } else if (r.status == 0 && q.op == VGPU_CTL_ADD_CHUNK) {
            struct vgpu_ctl_req d = {
                .op = VGPU_CTL_DROP_CHUNK, .channel = q.channel, .chunk = q.chunk};

            ask(&d, &r);
        }
    }
}

static int requests(void)
{
    struct vgpu_ctl_req create, add, q;
    uint32_t *chunk_refs = calloc(16, 4);
    void *chunk;

    if (!link_up() || !share_channel())
        return 1;
    create = create_request();
    for (unsigned op = 0; op < 70000; op = op < 40 ? op + 1 : op * 3) {
        if (op < VGPU_CTL_CREATE_CHANNEL || op > VGPU_CTL_RESUME_CHANNEL) {
            q = (struct vgpu_ctl_req){.op = (uint16_t)op, .channel = 1};
            if (q.op < VGPU_CTL_CREATE_CHANNEL || q.op > VGPU_CTL_RESUME_CHANNEL)
                refused(q, "unknown request");
        }
    }
    q = create;
    q.flags = 1;
    refused(q, "flags");
    q = create;
    q.phase = 1;
    refused(q, "a field of another request");
    q = (struct vgpu_ctl_req){.op = VGPU_CTL_RESUME_CHANNEL, .channel = 200};
    refused(q, "a channel that never was, to be resumed");
    /* Lists of grants: one page that names itself, one that is nobody's, counts that are lies. */
    c.dir->next = c.dir_ref;
    refused(create, "a list that has no end");
    c.dir->next = 0;
    for (uint32_t i = 0; i < 4; i++) {
        c.dir->count = (uint32_t[]){0, PAGES - 1, PAGES + 1, UINT32_MAX}[i];
        refused(create, "a list of another length");
    }
    c.dir->count = PAGES;
    c.dir->refs[5] = c.dir->refs[6];
    refused(create, "a page twice");
    for (uint32_t i = 0; i < 4; i++) {
        c.dir->refs[5] = (uint32_t[]){0, 0x7fffffff, UINT32_MAX, 100000}[i];
        refused(create, "a reference to nothing");
    }
    memcpy(c.dir->refs, c.refs, sizeof(c.refs));
    bounds_of(create, offsetof(struct vgpu_ctl_req, port), "port");
    bounds_of(create, offsetof(struct vgpu_ctl_req, gref_dir), "gref_dir");
    bounds_of(create, offsetof(struct vgpu_ctl_req, npages), "npages");
    bounds_of(create, offsetof(struct vgpu_ctl_req, ring_order), "ring_order");
    bounds_of(create, offsetof(struct vgpu_ctl_req, channel), "channel");
    close_channel();
    if (!open_channel())
        return 1;
    create = create_request();
    create.pid++;
    refused(create, "a channel twice");
    chunk = xengntshr_share_pages(l.gs, 0, 16, chunk_refs, 1);
    c.dir->count = 16;
    memcpy(c.dir->refs, chunk_refs, 64);
    add = (struct vgpu_ctl_req){
        .op = VGPU_CTL_ADD_CHUNK, .channel = 1, .gref_dir = c.dir_ref, .npages = 16, .chunk = 3};
    bounds_of(add, offsetof(struct vgpu_ctl_req, channel), "channel of a chunk");
    bounds_of(add, offsetof(struct vgpu_ctl_req, gref_dir), "gref_dir of a chunk");
    bounds_of(add, offsetof(struct vgpu_ctl_req, npages), "npages of a chunk");
    bounds_of(add, offsetof(struct vgpu_ctl_req, chunk), "chunk");
    q = (struct vgpu_ctl_req){.op = VGPU_CTL_DROP_CHUNK, .channel = 1, .chunk = 3};
    bounds_of(q, offsetof(struct vgpu_ctl_req, chunk), "chunk to drop");
    bounds_of(q, offsetof(struct vgpu_ctl_req, channel), "channel of a chunk to drop");
    q = (struct vgpu_ctl_req){.op = VGPU_CTL_DESTROY_CHANNEL, .channel = 200};
    bounds_of(q, offsetof(struct vgpu_ctl_req, channel), "channel to destroy");
    close_channel();
    xengntshr_unshare(l.gs, chunk, 16);
    free(chunk_refs);
    printf("%u control requests that are wrong\n", made);
    return bad != 0;
}

static int flood(unsigned n)
{
    struct vgpu_ctl_req q = {.op = 9999, .channel = 1};

    if (!link_up())
        return 1;
    for (unsigned i = 0; i < n && !bad; i++)
        refused(q, "unknown request");
    printf("%u control requests that are wrong\n", made);
    return bad != 0;
}

static int greed(void)
{
    static struct evil_channel many[VGPU_MAX_CHANNELS];
    uint32_t refs[VGPU_MAX_CHUNKS * 4], channels = 0, chunks = 0;
    void *pages[VGPU_MAX_CHUNKS * 4];
    struct vgpu_ctl_req q;
    struct vgpu_ctl_rsp r;

    if (!link_up())
        return 1;
    while (channels < VGPU_MAX_CHANNELS && !bad) {
        share_channel();
        q = create_request();
        q.channel = (uint16_t)(channels + 1);
        q.pid += channels;
        if (!ask(&q, &r)) {
            complain("no answer to the request for channel %u", q.channel);
            break;
        }
        many[channels] = c;
        if (r.status)
            break;
        channels++;
    }
    if (channels == VGPU_MAX_CHANNELS || channels == 0)
        complain("%u channels, and no limit", channels);
    for (unsigned i = 0; i < 10 && !bad; i++) /* once more, and again */
        refused(q, "a channel too many");
    for (; chunks < VGPU_MAX_CHUNKS * 4 && !bad; chunks++) {
        pages[chunks] = xengntshr_share_pages(l.gs, 0, 1, &refs[chunks], 1);
        if (!pages[chunks])
            complain("the guest has no page left for chunk %u", chunks);
        many[0].dir->next = 0;
        many[0].dir->count = 1;
        many[0].dir->refs[0] = refs[chunks];
        q = (struct vgpu_ctl_req){.op = VGPU_CTL_ADD_CHUNK,
                                  .channel = 1,
                                  .gref_dir = many[0].dir_ref,
                                  .npages = 1,
                                  .chunk = (uint16_t)chunks};
        if (!ask(&q, &r) || r.status)
            break;
    }
    if (chunks == VGPU_MAX_CHUNKS * 4 || chunks == 0)
        complain("%u chunks, and no limit", chunks);
    for (unsigned i = 0; i < 10 && !bad; i++)
        refused(q, "a chunk too many");
    printf("%u channels and %u chunks, and no more\n", channels, chunks);
    return bad != 0; /* all of it goes with the process */
}

/* ---- XenStore */

static int lies(unsigned step)
{
    static const char *const keys[] = {"version",    "ring-ref", "event-channel",
                                       "backend-id", "backend",  "state"};
    static const char *const values[] = {"",
                                         "0",
                                         "1",
                                         "5",
                                         "7",
                                         "99",
                                         "-1",
                                         "4294967295",
                                         "4294967296",
                                         "18446744073709551616",
                                         "abc",
                                         "4 ",
                                         " 4",
                                         "0x4",
                                         "4\n",
                                         "../../../0/backend",
                                         "/local/domain/0",
                                         "%s%n%s",
                                         "LONG"};
    char longest[2001], backend[128];
    unsigned n = 0;

    memset(longest, 'x', 2000);
    longest[2000] = 0;
    snprintf(backend, sizeof(backend), "%s", l.back);
    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            const char *value = strcmp(values[v], "LONG") == 0 ? longest : values[v];

            if (step && (k * sizeof(values) / sizeof(values[0]) + v) % step)
                continue;
            put("state", "6");
            if (!wait_backend(6, 6))
                return 1;
            make_ring();
            put("state", "1");
            if (!wait_backend(2, 2))
                return 1;
            put("version", "1");
            put("ring-ref", "%u", l.ring_ref);
            put("event-channel", "%d", l.port);
            put(keys[k], "%s", value);
            if (strcmp(keys[k], "state") != 0)
                put("state", "3");
            else
                usleep(50000);
            n++;
            if (k < 3 && !wait_backend(4, 5))
                return 1;
            if (k == 3 || k == 4) { /* the backend has no reason to read these */
                if (wait_backend(4, 5) != 4)
                    complain("%s = '%s' made the backend close", keys[k], values[v]);
            }
            put("backend-id", "0");
            put("backend", "%s", backend);
            if (strcmp(keys[k], "state") == 0)
                put("state", "1");
            put("state", "6");
        }
    }
    /* Directories where values belong, and many nodes; then none at all. */
    for (unsigned i = 0; i < 60; i++) {
        char key[64];

        snprintf(key, sizeof(key), "%s/%u", keys[i % 6], i);
        put(key, "%u", i);
    }
    for (unsigned k = 0; k < 6; k++) {
        char key[64];

        snprintf(key, sizeof(key), "device/vgpu/0/%s", keys[k]);
        xs_rm(l.xs, XBT_NULL, key);
    }
    usleep(100000);
    put("backend-id", "0");
    put("backend", "%s", backend);
    put("state", "6");
    if (!link_up())
        complain("the device does not connect after the lies");
    printf("%u lies told; the device connects afterwards\n", n);
    return bad != 0;
}

static int flap(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put("state", "%u", rnd() % 9);
    put("state", "6");
    if (!wait_backend(6, 6) || !link_up())
        complain("the device does not connect after all the changes of state");
    printf("%u changes of state; the device connects afterwards\n", n);
    return bad != 0;
}

static int storm(double seconds)
{
    double end;
    uint64_t n = 0;

    if (!open_channel())
        return 1;
    end = now() + seconds;
    while (now() < end) {
        for (int i = 0; i < 100; i++) {
            kick(l.port);
            kick(c.port);
        }
        n += 200;
    }
    if (channel_dead() || backend_state() != 4)
        complain("events alone have ended the channel");
    close_channel();
    printf("%" PRIu64 " events\n", n);
    return bad != 0;
}

/* Each violation is one line in the backend's log; the caller counts them. */
static int break_things(unsigned n)
{
    double end;

    for (unsigned i = 0; i < n && open_channel(); i++) {
        VGPU_STORE_RELEASE(&c.ch.front->cmd_prod, (uint64_t)1 << 40);
        kick(c.port);
        for (end = now() + WAIT_S; now() < end && !channel_dead();)
            usleep(5000);
        if (!channel_dead())
            complain("a broken ring is not noticed");
    }
    for (unsigned i = 0; i < n && open_channel(); i++) {
        l.ring->req_prod += 1000;
        kick(l.port);
        wait_backend(5, 6);
    }
    close_channel();
    if (!link_up())
        complain("the device does not connect afterwards");
    printf("broken %u rings of records, %u control rings\n", n, n);
    return bad != 0;
}

int main(int argc, char **argv)
{
    unsigned a = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 0;
    const char *what = argc > 1 ? argv[1] : "";
    int rc = 2;

    link_open();
    if (strcmp(what, "scribble") == 0 && argc > 4)
        rc = scribble(a, strtoul(argv[3], NULL, 0), argv[4]);
    else if (strcmp(what, "records") == 0 && argc > 4)
        rc = records(argv[2], (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
    else if (strcmp(what, "requests") == 0)
        rc = requests();
    else if (strcmp(what, "flood") == 0)
        rc = flood(a);
    else if (strcmp(what, "lies") == 0)
        rc = lies(a);
    else if (strcmp(what, "greed") == 0)
        rc = greed();
    else if (strcmp(what, "flap") == 0)
        rc = flap(a);
    else if (strcmp(what, "storm") == 0)
        rc = storm(a);
    else if (strcmp(what, "break") == 0)
        rc = break_things(a);
    else
        fprintf(stderr, "usage: see the head of vgpu_evil.c\n");
    put("state", "5");
    wait_backend(5, 6);
    put("state", "6");
    return rc;
}
