/* SPDX-License-Identifier: MIT */
/*
 * The worker's side of gvm trace: what lands in the ring, when it starts and when it stops.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/transport/trace_ring.h"
#include "tests/unit/worker_fixture.h"

struct traced {
    struct fix *f;
    int fd;
    struct tr_head *map; /* the reader's mapping */
};

static int make_ring(struct tr_head **map)
{
    int fd = memfd_create("trace", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)TR_SIZE), 0);
    *map = mmap(NULL, TR_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(*map, MAP_FAILED);
    return fd;
}

static int start(void **state, bool inline_blocking)
{
    struct traced *t = calloc(1, sizeof(*t));

    t->f = fix_new(inline_blocking);
    t->fd = make_ring(&t->map);
    *state = t;
    return 0;
}

static int setup(void **state)
{
    return start(state, true);
}

static int setup_threads(void **state)
{
    return start(state, false);
}

static int teardown(void **state)
{
    struct traced *t = *state;

    wk_trace_stop(&t->f->w);
    fix_free(t->f);
    munmap(t->map, TR_SIZE);
    close(t->fd);
    free(t);
    return 0;
}

static const struct tr_slot *slot(const struct traced *t, uint64_t n)
{
    const struct tr_slot *s =
        (const struct tr_slot *)((const uint8_t *)t->map + TR_HEAD) + n % TR_SLOTS;

    assert_int_equal(s->seq, n + 1);
    return s;
}

static void test_begin_and_end(void **state)
{
    struct traced *t = *state;
    struct gvm_chan ch = {.f = t->f, .lane = 3};
    const struct tr_slot *b, *e;
    uint64_t dptr = 0;

    assert_int_equal(vgpu_MemAlloc(&ch, 0, 4096, &dptr), 0);
    assert_int_equal(t->map->next, 0); /* nobody traces */
    assert_int_equal(wk_trace_start(&t->f->w, t->fd), 0);
    assert_int_equal(t->map->magic, TR_MAGIC);
    assert_int_equal(vgpu_MemAlloc(&ch, 0, 8192, &dptr), 0);
    assert_int_equal(t->map->next, 2);
    b = slot(t, 0);
    e = slot(t, 1);
    assert_int_equal(b->kind, TR_BEGIN);
    assert_int_equal(b->op, VGPU_OP_MemAlloc);
    assert_int_equal(b->lane, 3);
    assert_int_equal(b->len, ((const struct vgpu_rec *)b->data)->len);
    assert_memory_equal(b->data + sizeof(struct vgpu_rec), &(uint64_t){8192}, 8);
    assert_int_equal(e->kind, TR_END);
    assert_int_equal(e->ticket, b->ticket);
    assert_int_equal(e->status, 0);
    assert_int_equal(e->len, 8);
    assert_memory_equal(e->data, &dptr, 8);
    assert_true(e->t_ns >= b->t_ns);
}

/* The failure of a posted call, which no reply shows. */
static void test_status(void **state)
{
    struct traced *t = *state;
    struct gvm_chan ch = {.f = t->f};

    assert_int_equal(wk_trace_start(&t->f->w, t->fd), 0);
    vgpu_Fill(&ch, 0, 4711, 0, 0, 0, 1, 1, 1); /* there is no such stream */
    assert_int_equal(slot(t, 1)->kind, TR_END);
    assert_int_equal(slot(t, 1)->status, WK_INVALID_HANDLE);
}

/* A call that moves to its lane's thread begins once and ends once. */
static void test_lane_thread(void **state)
{
    struct traced *t = *state;
    struct vgpu_rec *r;

    assert_int_equal(wk_trace_start(&t->f->w, t->fd), 0);
    r = fix_put(t->f, VGPU_OP_CtxSync, 5, VGPU_REC_REPLY, NULL, 0);
    assert_null(fix_drain(t->f));
    assert_int_equal(fix_wait_reply(t->f, 5, r->ticket), 0);
    assert_int_equal(t->map->next, 2);
    assert_int_equal(slot(t, 0)->kind, TR_BEGIN);
    assert_int_equal(slot(t, 1)->kind, TR_END);
    assert_int_equal(slot(t, 1)->lane, 5);
}

static void test_stop_and_replace(void **state)
{
    struct traced *t = *state;
    struct gvm_chan ch = {.f = t->f};
    struct tr_head *other;
    int fd = make_ring(&other);
    uint64_t dptr;

    assert_int_equal(wk_trace_start(&t->f->w, t->fd), 0);
    vgpu_MemAlloc(&ch, 0, 16, &dptr);
    assert_int_equal(wk_trace_start(&t->f->w, fd), 0);
    vgpu_MemAlloc(&ch, 0, 16, &dptr);
    wk_trace_stop(&t->f->w);
    vgpu_MemAlloc(&ch, 0, 16, &dptr);
    assert_int_equal(t->map->next, 2);
    assert_int_equal(other->next, 2);
    munmap(other, TR_SIZE);
    close(fd);
    assert_int_equal(wk_trace_start(&t->f->w, -1), -EBADF);
}

/* The ring is bounded: what nobody reads is overwritten, and nobody waits. */
static void test_round(void **state)
{
    struct traced *t = *state;
    struct gvm_chan ch = {.f = t->f};
    uint64_t dptr, n = TR_SLOTS / 2 + 5;

    assert_int_equal(wk_trace_start(&t->f->w, t->fd), 0);
    for (uint64_t i = 0; i < n; i++) {
        vgpu_MemAlloc(&ch, 0, 16, &dptr);
        vgpu_MemFree(&ch, 0, dptr);
    }
    assert_int_equal(t->map->next, 4 * n);
    assert_int_equal(slot(t, 4 * n - 1)->kind, TR_END);
    assert_int_equal(slot(t, 4 * n - TR_SLOTS)->seq, 4 * n - TR_SLOTS + 1);
}

/* Threads write while the ring is taken away and given again. */
static void *alloc_many(void *arg)
{
    struct traced *t = arg;
    struct gvm_chan ch = {.f = t->f};
    uint64_t dptr;

    for (unsigned i = 0; i < 3000; i++) {
        vgpu_MemAlloc(&ch, 0, 16, &dptr);
        vgpu_MemFree(&ch, 0, dptr);
    }
    return NULL;
}

static void test_toggle(void **state)
{
    struct traced *t = *state;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, alloc_many, t), 0);
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(wk_trace_start(&t->f->w, t->fd), 0);
        wk_trace_stop(&t->f->w);
    }
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_begin_and_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lane_thread, setup_threads, teardown),
        cmocka_unit_test_setup_teardown(test_stop_and_replace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_round, setup, teardown),
        cmocka_unit_test_setup_teardown(test_toggle, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
