/* SPDX-License-Identifier: MIT */
/*
 * The worker's drain: ring.h's consumer, the generated decoder, the handlers, on a device that
 * executes nothing. The input is a sequence of records (as in build/gen/seeds/rec), then the plan
 * by which the guest changes the channel's pages and the pool while they are read (mutate.h).
 *
 * A record with ticket 1 gets the right ticket, and its len is used to find the next one; every
 * other octet arrives as it is in the input. Device addresses 0x4d4f4bXXXXX are moved to where the
 * device's memory is. A violation ends a channel; the rest of the input goes into a new one, of a
 * worker that still has all objects of before.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dom0-backend/common/log.h"
#include "dom0-backend/worker/worker.h"
#include "tests/fuzz/fuzz_drain.h"
#include "tests/fuzz/mutate.h"
#include "tests/unit/mock_dev.h"

#define ORDER    VGPU_RING_ORDER_MIN
#define POOL     (64u << 10)
#define SHARED   ((size_t)VGPU_CH_PAGES(ORDER) * VGPU_PAGE_SIZE)
#define DEV_AT   0x4d4f4b00000ull
#define DEV_MASK 0xfffffull

static uint8_t *shared; /* channel, then pool: all that the guest can write */
static bool broken;

unsigned long fuzz_drain_records, fuzz_drain_violations;
void (*fuzz_drain_note)(size_t at, bool violation);

static void no_ring(struct transport *t)
{
}

static const struct transport_ops quiet = {.name = "fuzz", .notify = no_ring};

static void on_violation(struct wk *w, const char *why)
{
    if (!why || !*why)
        abort();
    broken = true;
}

static void on_report(struct wk *w, const char *line)
{
}

static void no_log(enum log_level level, const char *line)
{
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    log_hook(no_log, LOG_DEBUG_);
    shared = mmap(NULL, SHARED + POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
    return 0;
}

static void move_addresses(uint8_t *p, size_t n, uint64_t base)
{
    for (size_t i = 0; i + 8 <= n; i += 8) {
        uint64_t v;

        memcpy(&v, p + i, 8);
        if ((v & ~DEV_MASK) == DEV_AT) {
            v = base + (v & DEV_MASK);
            memcpy(p + i, &v, 8);
        }
    }
}

/* Puts the next record of the input into the ring; returns the octets used, 0: there is no room. */
static size_t put(struct vgpu_producer *p, const uint8_t *in, size_t n, uint64_t dev)
{
    struct vgpu_rec h = {0};
    size_t take;
    uint8_t *at;

    memcpy(&h, in, n < sizeof(h) ? n : sizeof(h));
    take = h.len < sizeof(h) ? sizeof(h) : h.len < VGPU_REC_MAX ? h.len : VGPU_REC_MAX;
    if (take > n)
        take = n;
    if (h.ticket == 1)
        h.ticket = p->ticket + 1;
    uint32_t room = ((uint32_t)take + 15u) & ~15u;

    at = vgpu_prod_begin(p, 0, 0, room < 16 ? 16 : room, 0);
    if (!at)
        return 0;
    at -= sizeof(h);
    memset(at, 0, room);
    memcpy(at, in, take);
    memcpy(at, &h, sizeof(h));
    if (take > sizeof(h))
        move_addresses(at + sizeof(h), take - sizeof(h), dev);
    vgpu_prod_publish(p);
    return take;
}

static void new_channel(struct wk *w, struct vgpu_channel *guest, struct vgpu_producer *prod)
{
    memset(shared, 0, SHARED + POOL);
    memcpy(shared + SHARED, "MOCK", 4); /* a module image */
    vgpu_channel_init(guest, shared, ORDER);
    *prod = (struct vgpu_producer){.ch = guest};
    if (w->rec) { /* as wk_init() left them */
        vgpu_channel_init(&w->ch, shared, ORDER);
        w->cons = (struct vgpu_consumer){.ch = &w->ch};
        VGPU_STORE_RELEASE(&w->ch.back->alive, (uint8_t)1);
    }
    broken = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wk w;
    static struct wk_stats stats;
    struct dev_config cfg = {.on_fault = wk_on_fault, .on_output = wk_on_output, .arg = &w};
    struct vgpu_channel guest;
    struct vgpu_producer prod;
    const char *why = NULL;
    uint64_t dev, dev_size;
    size_t at = 0;

    memset(&w, 0, sizeof(w));
    new_channel(&w, &guest, &prod);
    w.tr.ops = &quiet;
    w.inline_blocking = true;
    w.on_violation = on_violation;
    w.report = on_report;
    if (wk_init(&w, &mock_ops, mock_open(&cfg), shared, ORDER, &stats) < 0 ||
        wk_chunk_add(&w, 0, shared + SHARED, POOL) < 0)
        abort();
    mock_ops.window(w.dev, &dev, &dev_size);

    size = mutate_plan(data, size, shared, SHARED + POOL);
    while (at < size) {
        size_t from = at, used = put(&prod, data + at, size - at, dev);
        int n;

        if (!used) { /* the pages have been changed so that nothing is taken any more */
            new_channel(&w, &guest, &prod);
            used = put(&prod, data + at, size - at, dev);
            if (!used)
                abort();
        }
        at += used;
        mutate_on(1);
        n = wk_drain_some(&w, 64, &why);
        mutate_on(0);
        if (n < 0 && (!why || !*why))
            abort(); /* a channel is never killed without a reason */
        fuzz_drain_records += n < 0 ? 1 : (unsigned)n;
        fuzz_drain_violations += n < 0;
        if (fuzz_drain_note && n)
            fuzz_drain_note(from, n < 0);
        if (n < 0 || broken)
            new_channel(&w, &guest, &prod);
    }
    wk_fini(&w);
    mock_close(w.dev);
    return 0;
}
