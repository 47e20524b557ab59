/* SPDX-License-Identifier: MIT */
#include "tests/unit/worker_fixture.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static struct fix *current;
static struct fix *kept[64];
static unsigned nkept;

static void count_ring(struct transport *t)
{
    current->rings++;
}

static const struct transport_ops counting = {.name = "test", .notify = count_ring};

static void note_violation(struct wk *w, const char *why)
{
    __atomic_store_n(&current->violation, why, __ATOMIC_RELEASE);
}

struct fix *fix_new(bool inline_blocking)
{
    size_t len = (size_t)VGPU_CH_PAGES(FIX_ORDER) * VGPU_PAGE_SIZE;
    struct fix *f = calloc(1, sizeof(*f));
    struct dev_config cfg = {
        .on_fault = wk_on_fault, .on_output = wk_on_output, .quota = &wk_quota};

    assert(f);
    current = f;
    f->base = aligned_alloc(VGPU_PAGE_SIZE, len);
    /* Mapped, as a chunk is, because dropping one unmaps it. */
    f->pool = mmap(NULL, FIX_POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(f->base && f->pool != MAP_FAILED);
    memset(f->base, 0, len);
    vgpu_channel_init(&f->guest, f->base, FIX_ORDER);
    f->prod.ch = &f->guest;
    cfg.arg = &f->w;
    f->tenant.nslot = 1;
    f->w.tenant = &f->tenant;
    f->w.tr.ops = &counting;
    f->w.inline_blocking = inline_blocking;
    f->w.on_violation = note_violation;
    if (wk_init(&f->w, &mock_ops, mock_open(&cfg), f->base, FIX_ORDER, &f->stats) < 0)
        abort();
    if (wk_chunk_add(&f->w, 0, f->pool, FIX_POOL) < 0)
        abort();
    mock_clear();
    return f;
}

void fix_free(struct fix *f)
{
    struct dev *d = f->w.dev;

    if (!f->w.inline_blocking) {
        /* Its lane threads live on: leave it all to the end of the test program. */
        assert(nkept < sizeof(kept) / sizeof(kept[0]));
        kept[nkept++] = f;
        return;
    }
    wk_fini(&f->w);
    mock_close(d);
    munmap(f->pool, FIX_POOL);
    free(f->base);
    free(f);
}

struct vgpu_rec *fix_put(struct fix *f, uint16_t op, uint16_t lane, uint32_t flags,
                         const void *payload, uint32_t len)
{
    uint32_t total = (uint32_t)sizeof(struct vgpu_rec) + ((len + 15u) & ~15u);
    uint8_t *p = vgpu_prod_begin(&f->prod, op, lane, total, flags);

    assert(p);
    memset(p, 0, total - sizeof(struct vgpu_rec));
    if (len)
        memcpy(p, payload, len);
    vgpu_prod_publish(&f->prod);
    return (struct vgpu_rec *)(void *)p - 1;
}

const char *fix_drain(struct fix *f)
{
    const char *why = NULL;
    int n;

    do {
        n = wk_drain_some(&f->w, 64, &why);
    } while (n == 64);
    return n < 0 ? why : NULL;
}

int fix_wait_reply(struct fix *f, uint32_t lane, uint32_t ticket)
{
    struct timespec t0, t;

    clock_gettime(CLOCK_MONOTONIC, &t0);
    do {
        if (vgpu_reply_ready(&f->guest, lane, ticket))
            return f->guest.replies[lane].status;
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &t);
    } while (t.tv_sec - t0.tv_sec < 10);
    return -1;
}

/* ---- what the stubs call (chan.h) */

void *gvm_chan_begin(struct gvm_chan *ch, uint16_t op, uint32_t payload_len, unsigned flags,
                     int *err)
{
    uint32_t len = ((uint32_t)sizeof(struct vgpu_rec) + payload_len + 15u) & ~15u;
    void *p = vgpu_prod_begin(&ch->f->prod, op, ch->lane, len, flags);

    if (!p) { /* full: what a guest would wait for */
        fix_drain(ch->f);
        p = vgpu_prod_begin(&ch->f->prod, op, ch->lane, len, flags);
    }
    ch->ticket = ch->f->prod.ticket + 1;
    *err = p ? 0 : 999;
    return p;
}

int gvm_chan_post(struct gvm_chan *ch)
{
    vgpu_prod_publish(&ch->f->prod);
    if (!ch->lazy && fix_drain(ch->f))
        return 999;
    return 0;
}

int gvm_chan_call(struct gvm_chan *ch, void *out, uint32_t out_max, uint32_t *got)
{
    uint32_t n = 0;

    vgpu_prod_publish(&ch->f->prod);
    if (fix_drain(ch->f))
        return 999;
    if (fix_wait_reply(ch->f, ch->lane, ch->ticket) < 0)
        return 999;
    return vgpu_reply_take(&ch->f->guest, ch->lane, out, out_max, got ? got : &n);
}
