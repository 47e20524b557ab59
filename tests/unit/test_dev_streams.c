/* SPDX-License-Identifier: MIT */
/* Streams, events and copies of the software device, without kernels: host functions that wait at
 * a gate stand for work. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/device/device.h"
#include "dom0-backend/device/device_graph.h"
#include "dom0-backend/device/device_state.h"

static const struct dev_ops *const ops = &dev_ptx_ops;
static struct dev *dev;

/* A step of a stream: waits at its gate if it has one, then takes the next number. */
struct step {
    sem_t gate;
    bool gated;
    atomic_int at; /* 0 = not yet */
};
static atomic_int clock_now;

static void take_step(void *arg)
{
    struct step *s = arg;

    if (s->gated)
        while (sem_wait(&s->gate))
            ;
    atomic_store(&s->at, atomic_fetch_add(&clock_now, 1) + 1);
}

static struct step steps[64];
static unsigned nstep;

static struct step *put_step(struct dev_stream *s, bool gated)
{
    struct step *st = &steps[nstep++];

    assert_true(nstep <= 64);
    sem_init(&st->gate, 0, 0);
    st->gated = gated;
    atomic_store(&st->at, 0);
    assert_int_equal(ops->stream_host(dev, s, take_step, st), 0);
    return st;
}

static struct dev_stream *new_stream(unsigned flags)
{
    struct dev_stream *s = NULL;

    assert_int_equal(ops->stream_create(dev, flags, 0, &s), 0);
    return s;
}

static int setup(void **state)
{
    struct dev_config cfg = {.mem_limit = 256 << 20, .threads = 2};

    nstep = 0;
    atomic_store(&clock_now, 0);
    return ops->open(&cfg, &dev);
}

static int teardown(void **state)
{
    ops->close(dev);
    return 0;
}

static void copies_and_fills(void **state)
{
    uint64_t a, b;
    static uint8_t in[10000], out[10000];
    uint32_t rows[8 * 4];

    for (unsigned i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 7);
    assert_int_equal(ops->mem_alloc(dev, 10000, &a), 0);
    assert_int_equal(ops->mem_alloc(dev, 10000, &b), 0);
    assert_int_equal(ops->copy_h2d(dev, NULL, a, in, 10000), 0);
    assert_int_equal(ops->copy_d2d(dev, NULL, b + 1, a, 9999), 0);
    assert_int_equal(ops->copy_d2h(dev, NULL, out, b + 1, 9999), 0);
    assert_int_equal(ops->stream_sync(dev, NULL), 0);
    assert_memory_equal(in, out, 9999);

    assert_int_equal(ops->fill(dev, NULL, a, 0, 0x01020304, 4, 2500, 1), 0);
    assert_int_equal(ops->fill(dev, NULL, a + 4, 16, 0xffff, 2, 4, 3), 0);
    assert_int_equal(ops->fill(dev, NULL, a + 64, 0, 0x1aa, 1, 4, 1), 0);
    assert_int_equal(ops->copy_d2h(dev, NULL, rows, a, sizeof(rows)), 0);
    assert_int_equal(ops->ctx_sync(dev), 0);
    for (unsigned i = 0; i < 32; i++) {
        bool hit = i < 12 && (i % 4 == 1 || i % 4 == 2);

        assert_int_equal(rows[i], hit ? 0xffffffff : i == 16 ? 0xaaaaaaaa : 0x01020304);
    }
    assert_int_equal(ops->mem_free(dev, a), 0);
    assert_int_equal(ops->mem_free(dev, b), 0);
}

static void bad_ranges_are_refused(void **state)
{
    uint8_t buf[16];
    uint64_t a, base, size;

    assert_int_equal(ops->mem_alloc(dev, 1000, &a), 0);
    assert_int_equal(ops->copy_h2d(dev, NULL, a + 990, buf, 11), 1);
    assert_int_equal(ops->copy_h2d(dev, NULL, (uint64_t)(uintptr_t)buf, buf, 16), 1);
    assert_int_equal(ops->copy_d2h(dev, NULL, buf, a - 1, 16), 1);
    assert_int_equal(ops->copy_d2h(dev, NULL, buf, UINT64_MAX - 4, 16), 1);
    assert_int_equal(ops->copy_d2d(dev, NULL, a, a + 500, 501), 1);
    assert_int_equal(ops->fill(dev, NULL, a, 0, 0, 1, 1001, 1), 1);
    assert_int_equal(ops->fill(dev, NULL, a, 100, 0, 1, 100, 11), 1);
    assert_int_equal(ops->fill(dev, NULL, a, 100, 0, 1, 101, 2), 1);
    assert_int_equal(ops->fill(dev, NULL, a, 100, 0, 3, 1, 1), 1);
    assert_int_equal(ops->fill(dev, NULL, a + 1, 0, 0, 4, 1, 1), 1);
    assert_int_equal(ops->fill(dev, NULL, a, SIZE_MAX - 3, 0, 4, 1, 3), 1);
    assert_int_equal(ops->fill(dev, NULL, a, 0, 0, 4, SIZE_MAX / 2, 1), 1);
    assert_int_equal(ops->copy_h2d(dev, NULL, a, buf, 0), 0);
    assert_int_equal(ops->mem_range(dev, a + 999, &base, &size), 0);
    assert_int_equal(base, a);
    assert_int_equal(size, 1000);
    assert_int_not_equal(ops->mem_range(dev, a + 1000, &base, &size), 0);
    assert_int_equal(ops->mem_free(dev, a + 8), 1);
    assert_int_equal(ops->mem_free(dev, a), 0);
    assert_int_equal(ops->mem_free(dev, a), 1);
    assert_int_equal(ops->mem_free(dev, 0), 0);
    assert_int_equal(ops->copy_h2d(dev, NULL, a, buf, 1), 1);
    assert_int_equal(ops->ctx_sync(dev), 0); /* none of it was sticky */
}

static void pool_memory_is_reached_in_place(void **state)
{
    struct dev_config cfg = {.mem_limit = 64 << 20, .threads = 1};
    struct dev *own = NULL;
    size_t len = 1 << 20;
    uint64_t a, base, size;
    uint32_t *pool;
    void *p;

    for (unsigned i = 0; i < 16; i++) {
        cfg.pool_size = (size_t)1 << 32;
        if (ops->reserve(i, cfg.pool_size, &cfg.pool_base) == 0)
            break;
    }
    assert_non_null(cfg.pool_base);
    assert_int_equal(ops->open(&cfg, &own), 0);
    ops->window(own, &base, &size);
    assert_true(base + size <= (uint64_t)(uintptr_t)cfg.pool_base);
    p = mmap(cfg.pool_base, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
             0);
    assert_ptr_equal(p, cfg.pool_base);
    pool = p;
    assert_int_equal(ops->fill(own, NULL, (uint64_t)(uintptr_t)p, 0, 9, 4, 4, 1), 1);
    assert_int_equal(ops->pool_add(own, p, len), 0);
    assert_int_equal(ops->fill(own, NULL, (uint64_t)(uintptr_t)p, 0, 9, 4, len / 4, 1), 0);
    assert_int_equal(ops->mem_alloc(own, 256, &a), 0);
    assert_true(a >= base && a < base + size);
    assert_int_equal(ops->copy_d2d(own, NULL, a, (uint64_t)(uintptr_t)p, 256), 0);
    assert_int_equal(ops->fill(own, NULL, (uint64_t)(uintptr_t)p, 0, 8, 4, 64, 1), 0);
    assert_int_equal(ops->copy_d2d(own, NULL, (uint64_t)(uintptr_t)p + 512, a, 256), 0);
    assert_int_equal(ops->ctx_sync(own), 0);
    assert_int_equal(pool[0], 8);
    assert_int_equal(pool[64], 9);
    assert_int_equal(pool[128], 9);
    ops->pool_drop(own, p, len);
    assert_int_equal(ops->fill(own, NULL, (uint64_t)(uintptr_t)p, 0, 9, 4, 4, 1), 1);
    ops->close(own);
}

static void one_stream_keeps_order(void **state)
{
    struct dev_stream *s = new_stream(1);
    struct step *a = put_step(s, true), *b = put_step(s, false), *c = put_step(s, false);

    assert_int_equal(ops->stream_query(dev, s), 600);
    sem_post(&a->gate);
    assert_int_equal(ops->stream_sync(dev, s), 0);
    assert_int_equal(ops->stream_query(dev, s), 0);
    assert_int_equal(a->at, 1);
    assert_int_equal(b->at, 2);
    assert_int_equal(c->at, 3);
    assert_int_equal(ops->stream_destroy(dev, s), 0);
}

static void streams_are_independent(void **state)
{
    struct dev_stream *s = new_stream(0), *t = new_stream(0);
    struct step *a = put_step(s, true), *b = put_step(t, false);

    assert_int_equal(ops->stream_sync(dev, t), 0); /* while s waits */
    assert_int_equal(b->at, 1);
    assert_int_equal(a->at, 0);
    sem_post(&a->gate);
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_int_equal(a->at, 2);
    ops->stream_destroy(dev, s);
    ops->stream_destroy(dev, t);
}

/* s: a(gated); default: b; t: c. b waits for a, c waits for b; non-blocking n waits for nobody. */
static void default_stream_waits_and_is_waited_for(void **state)
{
    struct dev_stream *s = new_stream(0), *t = new_stream(0), *n = new_stream(1);
    struct step *a = put_step(s, true), *b = put_step(NULL, false), *c = put_step(t, false);
    struct step *d = put_step(n, false), *e = put_step(s, false);

    assert_int_equal(ops->stream_sync(dev, n), 0);
    assert_int_equal(d->at, 1);
    assert_int_equal(a->at + b->at + c->at + e->at, 0);
    assert_int_equal(ops->stream_query(dev, t), 600);
    assert_int_equal(ops->stream_query(dev, NULL), 600);
    sem_post(&a->gate);
    assert_int_equal(ops->stream_sync(dev, t), 0);
    assert_int_equal(a->at, 2);
    assert_int_equal(b->at, 3);
    assert_true(c->at >= 4);
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_true(e->at >= 4);
    ops->stream_destroy(dev, s);
    ops->stream_destroy(dev, t);
    ops->stream_destroy(dev, n);
}

/* A non-blocking stream's work holds up neither the default stream nor is it held up by it. */
static void non_blocking_is_outside(void **state)
{
    struct dev_stream *n = new_stream(1), *s = new_stream(0);
    struct step *a = put_step(n, true), *b = put_step(NULL, false), *c = put_step(s, false);

    assert_int_equal(ops->stream_sync(dev, NULL), 0);
    assert_int_equal(ops->stream_sync(dev, s), 0);
    assert_int_equal(b->at, 1);
    assert_int_equal(c->at, 2);
    assert_int_equal(a->at, 0);
    sem_post(&a->gate);
    assert_int_equal(ops->ctx_sync(dev), 0);
    ops->stream_destroy(dev, s);
    ops->stream_destroy(dev, n);
}

static void events_order_streams(void **state)
{
    struct dev_stream *s = new_stream(1), *t = new_stream(1);
    struct dev_event *e, *f;
    struct step *a, *b;
    float ms = -1;

    assert_int_equal(ops->event_create(dev, 0, &e), 0);
    assert_int_equal(ops->event_create(dev, 2, &f), 0);
    assert_int_equal(ops->event_query(dev, e), 0); /* never recorded */
    assert_int_equal(ops->event_sync(dev, e), 0);
    assert_int_equal(ops->event_elapsed(dev, e, e, &ms), 400);
    assert_int_equal(ops->stream_wait(dev, t, e), 0);

    a = put_step(s, true);
    assert_int_equal(ops->event_record(dev, e, s), 0);
    assert_int_equal(ops->event_record(dev, f, s), 0);
    assert_int_equal(ops->stream_wait(dev, t, e), 0);
    b = put_step(t, false);
    assert_int_equal(ops->event_query(dev, e), 600);
    assert_int_equal(ops->event_elapsed(dev, e, e, &ms), 600);
    assert_int_equal(ops->event_elapsed(dev, e, f, &ms), 400);
    assert_int_equal(ops->stream_query(dev, t), 600);
    assert_int_equal(b->at, 0);
    sem_post(&a->gate);
    assert_int_equal(ops->event_sync(dev, e), 0);
    assert_int_equal(ops->stream_sync(dev, t), 0);
    assert_int_equal(a->at, 1);
    assert_int_equal(b->at, 2);
    assert_int_equal(ops->event_elapsed(dev, e, e, &ms), 0);
    assert_true(ms == 0);
    assert_int_equal(ops->event_destroy(dev, e), 0);
    assert_int_equal(ops->event_destroy(dev, f), 0);
    ops->stream_destroy(dev, s);
    ops->stream_destroy(dev, t);
}

/* The time between two events is at least that of a host function between them. */
static void nap(void *arg)
{
    usleep(20000);
}

static void events_measure(void **state)
{
    struct dev_event *e, *f;
    float ms = 0, back = 0;

    assert_int_equal(ops->event_create(dev, 0, &e), 0);
    assert_int_equal(ops->event_create(dev, 1, &f), 0);
    assert_int_equal(ops->event_record(dev, e, NULL), 0);
    assert_int_equal(ops->stream_host(dev, NULL, nap, NULL), 0);
    assert_int_equal(ops->event_record(dev, f, NULL), 0);
    assert_int_equal(ops->event_sync(dev, f), 0);
    assert_int_equal(ops->event_elapsed(dev, e, f, &ms), 0);
    assert_true(ms >= 20 && ms < 5000);
    assert_int_equal(ops->event_elapsed(dev, f, e, &back), 0);
    assert_true(back == -ms);
    ops->event_destroy(dev, e);
    ops->event_destroy(dev, f);
}

/* A file that takes its time. */
struct slow_file {
    struct dev_state d; /* first */
    uint8_t octets[256];
    size_t at;
};

static void slow_put(struct dev_state *d, const void *p, size_t n)
{
    struct slow_file *f = (struct slow_file *)d;

    usleep(1000);
    assert_true(f->at + n <= sizeof(f->octets));
    memcpy(f->octets + f->at, p, n);
    f->at += n;
}

static void slow_get(struct dev_state *d, void *p, size_t n)
{
    struct slow_file *f = (struct slow_file *)d;

    usleep(1000);
    assert_true(f->at + n <= sizeof(f->octets));
    memcpy(p, f->octets + f->at, n);
    f->at += n;
}

/* The time between two events is the same after their state was saved and loaded. */
static void events_keep_their_distance(void **state)
{
    struct slow_file f = {.d = {.put = slow_put, .get = slow_get}};
    struct dev_event *a[2], *b[2];
    float before = -1, after = -2;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(ops->event_create(dev, 0, &a[i]), 0);
        assert_int_equal(ops->event_record(dev, a[i], NULL), 0);
        assert_int_equal(ops->event_sync(dev, a[i]), 0);
    }
    assert_int_equal(ops->event_elapsed(dev, a[0], a[1], &before), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ops->state->save_event(dev, &f.d, a[i]), 0);
    f.at = 0;
    f.d.when = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(ops->state->load_event(dev, &f.d, &b[i]), 0);
    assert_int_equal(ops->event_elapsed(dev, b[0], b[1], &after), 0);
    assert_true(after == before);
    for (int i = 0; i < 2; i++) {
        ops->event_destroy(dev, a[i]);
        ops->event_destroy(dev, b[i]);
    }
}

/* A wait is for the record before it, whatever is recorded later; events may go while in use. */
static void a_wait_keeps_its_point(void **state)
{
    struct dev_stream *s = new_stream(1), *t = new_stream(1);
    struct step *a, *b, *c;
    struct dev_event *e;

    assert_int_equal(ops->event_create(dev, 2, &e), 0);
    a = put_step(s, true);
    assert_int_equal(ops->event_record(dev, e, s), 0);
    assert_int_equal(ops->stream_wait(dev, t, e), 0);
    b = put_step(t, false);
    c = put_step(s, true);
    assert_int_equal(ops->event_record(dev, e, s), 0);
    assert_int_equal(ops->event_destroy(dev, e), 0);
    sem_post(&a->gate);
    assert_int_equal(ops->stream_sync(dev, t), 0);
    assert_int_equal(b->at, 2);
    assert_int_equal(c->at, 0);
    sem_post(&c->gate);
    assert_int_equal(ops->ctx_sync(dev), 0);
    ops->stream_destroy(dev, s);
    ops->stream_destroy(dev, t);
}

static void write32_follows_work(void **state)
{
    static uint32_t word;
    struct dev_stream *s = new_stream(0);
    struct step *a = put_step(s, true);
    static struct step done;

    sem_init(&done.gate, 0, 0);
    done.gated = false;
    done.at = 0;
    word = 0;
    assert_int_equal(ops->stream_write32(dev, s, &word, 42, take_step, &done), 0);
    assert_int_equal(ops->stream_write32(dev, s, &word + 0, 43, NULL, NULL), 0);
    assert_int_equal(__atomic_load_n(&word, __ATOMIC_ACQUIRE), 0);
    sem_post(&a->gate);
    assert_int_equal(ops->stream_sync(dev, s), 0);
    assert_int_equal(word, 43);
    assert_int_equal(done.at, 2);
    ops->stream_destroy(dev, s);
}

static void a_destroyed_stream_finishes(void **state)
{
    struct dev_stream *s = new_stream(0);
    struct step *a = put_step(s, true), *b = put_step(s, false), *c;

    assert_int_equal(ops->stream_destroy(dev, s), 0);
    c = put_step(NULL, false);
    assert_int_equal(c->at, 0);
    sem_post(&a->gate);
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_int_equal(b->at, 2);
    assert_int_equal(c->at, 3);
}

static void many_streams_at_once(void **state)
{
    enum { N = 40 };
    struct dev_stream *s[N];
    struct step *st[N];

    for (unsigned i = 0; i < N; i++) {
        s[i] = new_stream(1);
        st[i] = put_step(s[i], true);
    }
    for (unsigned i = N; i-- > 0;) { /* the last one first: all are really waiting */
        sem_post(&st[i]->gate);
        assert_int_equal(ops->stream_sync(dev, s[i]), 0);
        assert_int_equal(st[i]->at, (int)(N - i));
        ops->stream_destroy(dev, s[i]);
    }
}

static void bad_flags_are_refused(void **state)
{
    struct dev_stream *s;
    struct dev_event *e;

    assert_int_equal(ops->stream_create(dev, 2, 0, &s), 1);
    assert_int_equal(ops->event_create(dev, 8, &e), 1);
    assert_int_equal(ops->event_create(dev, 4, &e), 1);
    assert_int_equal(ops->event_create(dev, 6, &e), 801);
}

static void memory_is_accounted(void **state)
{
    uint64_t free0, total, free1, a;
    struct dev_info inf;

    ops->info(dev, &inf);
    assert_int_equal(ops->mem_info(dev, &free0, &total), 0);
    assert_int_equal(total, 256 << 20);
    assert_int_equal(inf.total_mem, total);
    assert_int_equal(free0, total);
    assert_int_equal(ops->mem_alloc(dev, 100 << 20, &a), 0);
    assert_int_equal(ops->mem_info(dev, &free1, &total), 0);
    assert_int_equal(free0 - free1, 100 << 20);
    assert_int_equal(ops->mem_alloc(dev, (size_t)200 << 20, &a), 2);
    assert_int_equal(ops->ctx_sync(dev), 0);
}

static void limits(void **state)
{
    uint64_t v;

    assert_int_equal(ops->get_limit(dev, 0, &v), 0);
    assert_int_equal(v, 1024);
    assert_int_equal(ops->get_limit(dev, 1, &v), 0);
    assert_int_equal(v, 1 << 20);
    assert_int_equal(ops->get_limit(dev, 2, &v), 0);
    assert_int_equal(v, 8 << 20);
    assert_int_equal(ops->set_limit(dev, 2, 16 << 20), 0);
    assert_int_equal(ops->get_limit(dev, 2, &v), 0);
    assert_int_equal(v, 16 << 20);
    assert_int_equal(ops->set_limit(dev, 3, 1), 215);
    assert_int_equal(ops->set_limit(dev, 3, 1), 215);
    assert_int_equal(ops->set_limit(dev, 4, 100), 0); /* kept for queries */
    assert_int_equal(ops->get_limit(dev, 4, &v), 0);
    assert_int_equal(v, 100);
    assert_int_equal(ops->get_limit(dev, 99, &v), 1);
    assert_int_equal(ops->get_limit(dev, 7, &v), 0);
    assert_int_equal(v, 227 * 1024);
    assert_int_equal(ops->set_limit(dev, -1, 1), 1);
}

static void identity(void **state)
{
    struct dev_config cfg = {.select = "GPU-47564d2d-736f-6674-7761-72652d646576"};
    struct dev_info inf;
    struct dev *other;

    ops->info(dev, &inf);
    assert_string_equal(inf.name, "GVM software device");
    assert_int_equal(inf.driver_version, 13000);
    assert_int_equal(inf.attr[75], 9);
    assert_int_equal(inf.attr[76], 0);
    assert_int_equal(inf.attr[10], 32);
    assert_int_equal(inf.attr[1], 1024);
    assert_int_equal(inf.attr[8], 48 * 1024);
    assert_int_equal(inf.attr[97], 227 * 1024);
    assert_int_equal(inf.attr[16], 2);
    assert_true(inf.attr[13] > 0);
    assert_true(inf.attr[36] > 0);
    assert_int_equal(ops->open(&cfg, &other), 0);
    ops->close(other);
    cfg.select = "1";
    assert_int_equal(ops->open(&cfg, &other), 101);
}

/* close() with work queued: functions of the owner run, the rest is dropped. */
static void close_with_work_queued(void **state)
{
    struct dev_config cfg = {.mem_limit = 64 << 20, .threads = 2};
    struct dev *keep = dev;
    struct dev_stream *s;
    struct step *a, *b;

    assert_int_equal(ops->open(&cfg, &dev), 0);
    s = new_stream(1);
    a = put_step(s, true);
    b = put_step(s, false);
    sem_post(&a->gate);
    ops->close(dev);
    dev = keep;
    assert_int_equal(a->at, 1);
    assert_int_equal(b->at, 2);
}

static int mem_op(struct dev_stream *s, unsigned op, unsigned flags, uint64_t addr, uint64_t value)
{
    struct dev_mem_op o = {op, flags, addr, value};

    return ops->graph->stream_mem(dev, s, &o, 1);
}

static void words_hold_a_stream(void **state)
{
    struct dev_stream *a = new_stream(1), *b = new_stream(1);
    uint64_t p, v = 0;

    assert_int_equal(ops->mem_alloc(dev, 64, &p), 0);
    assert_int_equal(ops->fill(dev, a, p, 0, 0, 1, 64, 1), 0);
    assert_int_equal(ops->stream_sync(dev, a), 0);
    assert_int_equal(mem_op(a, DEV_MEM_WAIT64, DEV_WAIT_EQ, p, 1ull << 40), 0);
    assert_int_equal(mem_op(a, DEV_MEM_WRITE32, 0, p + 8, 5), 0);
    assert_int_equal(ops->stream_query(dev, a), 600);
    assert_int_equal(mem_op(b, DEV_MEM_WRITE64, 0, p, 1ull << 40), 0);
    assert_int_equal(ops->stream_sync(dev, a), 0);
    assert_int_equal(ops->copy_d2h(dev, a, &v, p + 8, 8), 0);
    assert_int_equal(ops->stream_sync(dev, a), 0);
    assert_int_equal(v, 5);
    assert_int_equal(mem_op(a, DEV_MEM_WRITE32, 0, p + 64, 5), 1);
    assert_int_equal(mem_op(a, DEV_MEM_WAIT64, 0, p + 60, 5), 1);
    assert_int_equal(mem_op(a, DEV_MEM_WAIT32, 0, 16, 5), 1);
}

/* The worker's end must not wait for a guest that never writes. */
static void close_with_a_word_that_never_comes(void **state)
{
    uint64_t p;

    assert_int_equal(ops->mem_alloc(dev, 64, &p), 0);
    assert_int_equal(ops->fill(dev, NULL, p, 0, 0, 1, 64, 1), 0);
    assert_int_equal(mem_op(new_stream(1), DEV_MEM_WAIT32, DEV_WAIT_EQ, p, 1), 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(copies_and_fills),
        TEST(bad_ranges_are_refused),
        TEST(pool_memory_is_reached_in_place),
        TEST(one_stream_keeps_order),
        TEST(streams_are_independent),
        TEST(default_stream_waits_and_is_waited_for),
        TEST(non_blocking_is_outside),
        TEST(events_order_streams),
        TEST(events_measure),
        TEST(events_keep_their_distance),
        TEST(a_wait_keeps_its_point),
        TEST(write32_follows_work),
        TEST(a_destroyed_stream_finishes),
        TEST(many_streams_at_once),
        TEST(bad_flags_are_refused),
        TEST(memory_is_accounted),
        TEST(limits),
        TEST(identity),
        TEST(words_hold_a_stream),
        TEST(close_with_a_word_that_never_comes),
        TEST(close_with_work_queued),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
