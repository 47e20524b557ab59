/* SPDX-License-Identifier: MIT */
/* A worker's end of what processes share: this test is its broker, its guest, and another worker. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "calls.h"
#include "tests/unit/worker_fixture.h"

/* The broker. */
static struct {
    unsigned asked, exports, forgotten;
    int status; /* of all answers */
    int fd;     /* of what is imported, -1: what was exported last */
    bool own, silent, dead;
    int exported;
    uint8_t token[16];
} broker;

static int sealed(void)
{
    int fd = memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(ftruncate(fd, VGPU_PAGE_SIZE), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    return fd;
}

static int to_broker(struct wk *w, const struct wk_msg *m, const int *fds, int nfds)
{
    struct wk_msg a = {.type = WK_ANSWER, .seq = m->seq, .status = broker.status};
    int fd = -1;

    if (broker.dead)
        return -EPIPE;
    broker.asked++;
    switch (m->type) {
    case WK_SEGMENT:
        if (!a.status)
            fd = sealed();
        break;
    case WK_EXPORT:
        broker.exports++;
        broker.exported = nfds ? dup(fds[0]) : -1;
        memcpy(a.share.token, broker.token, sizeof(broker.token));
        break;
    case WK_IMPORT:
        if (memcmp(m->share.token, broker.token, sizeof(broker.token)) != 0)
            a.status = -ENOENT;
        else
            fd = broker.fd >= 0 ? broker.fd : dup(broker.exported);
        a.share.own = broker.own;
        break;
    case WK_UNEXPORT:
        broker.forgotten++;
        return 0;
    }
    if (broker.silent) { /* it goes away instead of answering */
        if (fd >= 0)
            close(fd);
        wk_share_cut(w);
        return 0;
    }
    wk_share_answer(w, &a, fd);
    return 0;
}

static int setup(void **state)
{
    struct fix *f = fix_new(true);

    memset(&broker, 0, sizeof(broker));
    broker.fd = broker.exported = -1;
    memset(broker.token, 0xa7, sizeof(broker.token));
    f->w.to_broker = to_broker;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fix_free(*state);
    assert_int_equal(mock_live(), 0);
    if (broker.exported >= 0)
        close(broker.exported);
    return 0;
}

static void test_event(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint8_t h[32], again[32];
    uint32_t n = 0;

    assert_int_equal(vgpu_IpcEventCreate(&ch, 0, 20, 3), 0);
    assert_int_equal(vgpu_IpcEventQuery(&ch, 0, 20), 0); /* never recorded */
    assert_int_equal(vgpu_IpcGetEvent(&ch, 0, 20, h, sizeof(h), &n), 0);
    assert_int_equal(n, sizeof(h));
    assert_int_equal(vgpu_IpcGetEvent(&ch, 0, 20, again, sizeof(again), &n), 0);
    assert_memory_equal(h, again, sizeof(h));
    assert_int_equal(broker.exports, 1);
    /* Another process's, which here is the same page. */
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, h, sizeof(h)), 0);
    assert_int_equal(vgpu_IpcGetEvent(&ch, 0, 21, again, sizeof(again), &n), 400);
    assert_int_equal(vgpu_EventRecord(&ch, VGPU_REC_REPLY, 20, 1, 1), 0);
    assert_int_equal(vgpu_IpcEventSync(&ch, 0, 21), 0);
    assert_int_equal(vgpu_IpcEventQuery(&ch, 0, 21), 0);
    assert_int_equal(vgpu_EventDestroy(&ch, 0, 21), 0);
    assert_int_equal(broker.forgotten, 0);
    assert_int_equal(vgpu_EventDestroy(&ch, 0, 20), 0);
    assert_int_equal(broker.forgotten, 1);
    /* Others are none of this kind. */
    assert_int_equal(vgpu_EventCreate(&ch, VGPU_REC_REPLY, 22, 2, 5), 0);
    assert_int_equal(vgpu_IpcGetEvent(&ch, 0, 22, h, sizeof(h), &n), 400);
    assert_int_equal(vgpu_IpcEventQuery(&ch, 0, 22), 400);
}

static void test_waiting(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    struct page {
        uint32_t begun, reached;
    } * page;
    uint8_t h[32];
    uint32_t n = 0;

    assert_int_equal(vgpu_IpcEventCreate(&ch, 0, 20, 3), 0);
    assert_int_equal(vgpu_IpcGetEvent(&ch, 0, 20, h, sizeof(h), &n), 0);
    page = mmap(NULL, VGPU_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, broker.exported, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    page->begun = 7; /* another process has recorded it */
    page->reached = 6;
    assert_int_equal(vgpu_IpcEventQuery(&ch, 0, 20), 600);
    page->reached = 7;
    assert_int_equal(vgpu_IpcEventQuery(&ch, 0, 20), 0);
    page->begun = 3; /* around the end of the numbers */
    page->reached = UINT32_MAX;
    assert_int_equal(vgpu_IpcEventQuery(&ch, 0, 20), 600);
    /* A context that is lost waits for nobody. */
    wk_on_fault(&f->w, 700, "test");
    assert_int_equal(vgpu_IpcEventSync(&ch, 0, 20), 700);
    munmap(page, VGPU_PAGE_SIZE);
}

/* Whatever the guest makes up ends in an error, and most of it before anybody is asked. */
static void test_invented(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint8_t h[32], bad[32];
    uint32_t n = 0;
    uint64_t p, size;
    unsigned asked;

    assert_int_equal(vgpu_IpcEventCreate(&ch, 0, 20, 3), 0);
    assert_int_equal(vgpu_IpcGetEvent(&ch, 0, 20, h, sizeof(h), &n), 0);
    asked = broker.asked;
    memset(bad, 0x5a, sizeof(bad));
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, bad, sizeof(bad)), 1);
    memset(bad, 0, sizeof(bad));
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, bad, sizeof(bad)), 1);
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, h, 31), 1);
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, h, 0), 1);
    assert_int_equal(broker.asked, asked);
    memcpy(bad, h, sizeof(bad));
    bad[31] ^= 1;
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, bad, sizeof(bad)), 1);
    assert_int_equal(broker.asked, asked + 1);
    /* The mock device shares no memory. */
    assert_int_equal(vgpu_IpcOpenMem(&ch, 0, h, sizeof(h), &p, &size), 801);
    assert_int_equal(vgpu_IpcForget(&ch, 0, bad, 12), 1);
    broker.own = true;
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, h, sizeof(h)), 201);
}

/* Nor is another worker trusted: it may be in its guest's hand. */
static void test_bad_descriptor(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint8_t h[32];
    uint32_t n = 0;

    assert_int_equal(vgpu_IpcEventCreate(&ch, 0, 20, 3), 0);
    assert_int_equal(vgpu_IpcGetEvent(&ch, 0, 20, h, sizeof(h), &n), 0);
    broker.fd = memfd_create("open", MFD_CLOEXEC); /* could be shortened under us */
    assert_int_equal(ftruncate(broker.fd, VGPU_PAGE_SIZE), 0);
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, h, sizeof(h)), 1);
    broker.fd = memfd_create("short", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(fcntl(broker.fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, h, sizeof(h)), 1);
    broker.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, h, sizeof(h)), 1);
    broker.fd = -1;
    close(broker.exported);
    broker.exported = -1; /* nothing at all */
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, h, sizeof(h)), 1);
}

/* Without a broker calls fail; they do not hang. */
static void test_no_broker(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint8_t h[32];
    uint32_t n = 0;

    assert_int_equal(vgpu_IpcEventCreate(&ch, 0, 20, 3), 0);
    broker.dead = true;
    assert_int_equal(vgpu_IpcGetEvent(&ch, 0, 20, h, sizeof(h), &n), 999);
    broker.dead = false;
    broker.silent = true;
    assert_int_equal(vgpu_IpcGetEvent(&ch, 0, 20, h, sizeof(h), &n), 999);
    assert_int_equal(vgpu_IpcEventCreate(&ch, 0, 21, 4), 2);
    broker.silent = false;
    broker.status = -ENOSPC; /* the guest has exported too much */
    assert_int_equal(vgpu_IpcGetEvent(&ch, 0, 20, h, sizeof(h), &n), 2);
    broker.status = 0;
    assert_int_equal(vgpu_IpcGetEvent(&ch, 0, 20, h, sizeof(h), &n), 0);
    f->w.to_broker = NULL;
    assert_int_equal(vgpu_IpcOpenEvent(&ch, 0, 21, 4, h, sizeof(h)), 999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_event, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_invented, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_broker, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
