/* SPDX-License-Identifier: MIT */
/*
 * The worker's two transports, with a memfd in the place of gntdev and a socket in that of evtchn.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/transport/handoff.h"
#include "dom0-backend/transport/transport.h"

#define LEN 65536u
#define AT  ((void *)0x1a0000000000)

static int sealed(size_t len, int seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(ftruncate(fd, (off_t)len), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_kinds(void **state)
{
    assert_ptr_equal(transport_of(WK_XEN), &transport_xen);
    assert_ptr_equal(transport_of(WK_LOCAL), &transport_local);
    assert_null(transport_of(0));
    assert_null(transport_of(3));
}

static void test_reserve(void **state)
{
    assert_int_equal(transport_reserve(AT, 4 * LEN), 0);
    assert_int_equal(transport_reserve((char *)AT + LEN, LEN), -EEXIST);
    assert_int_equal(munmap(AT, 4 * LEN), 0);
}

static void check_map(const struct transport_ops *t)
{
    const char *why = NULL;
    char *p = NULL;
    int fd = sealed(2 * LEN, F_SEAL_SHRINK), keep = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    char *other = mmap(NULL, 2 * LEN, PROT_READ | PROT_WRITE, MAP_SHARED, keep, 0);

    assert_int_equal(transport_reserve(AT, 4 * LEN), 0);
    assert_int_equal(t->map(fd, LEN, (char *)AT + LEN, LEN, (void **)&p, &why), 0);
    assert_false(is_open(fd)); /* closed at once */
    assert_ptr_equal(p, (char *)AT + LEN);
    strcpy(other + LEN, "guest");
    assert_string_equal(p, "guest");
    strcpy(p, "worker");
    assert_string_equal(other + LEN, "worker");
    /* Unmapped whole, and the address space is ours again. */
    assert_int_equal(transport_unmap(p, LEN), 0);
    assert_int_equal(transport_reserve(p, LEN), -EEXIST);
    munmap(AT, 4 * LEN);
    munmap(other, 2 * LEN);
    close(keep);
}

static void test_map(void **state)
{
    check_map(&transport_local);
    check_map(&transport_xen);
}

static void test_map_refused(void **state)
{
    const struct {
        size_t len;
        int seals;
        uint64_t index;
    } bad[] = {
        {LEN - 1, F_SEAL_SHRINK, 0}, {LEN, 0, 0}, {LEN, F_SEAL_GROW, 0}, {LEN, F_SEAL_SHRINK, 4096},
        {LEN, F_SEAL_SHRINK, ~0ull},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *why = NULL;
        void *p;
        int fd = sealed(bad[i].len, bad[i].seals);

        assert_int_equal(transport_local.map(fd, bad[i].index, NULL, LEN, &p, &why), -EINVAL);
        assert_non_null(why);
        assert_false(is_open(fd));
    }
}

/* A bad grant must not leave a hole in the pool window. */
static void test_bad_grant(void **state)
{
    const char *why = NULL;
    void *p;
    int fd = eventfd(0, EFD_CLOEXEC); /* cannot be mapped */

    assert_int_equal(transport_reserve(AT, 3 * LEN), 0);
    assert_true(transport_xen.map(fd, 0, (char *)AT + LEN, LEN, &p, &why) < 0);
    assert_non_null(why);
    assert_false(is_open(fd));
    assert_int_equal(transport_reserve((char *)AT + LEN, LEN), -EEXIST);
    munmap(AT, 3 * LEN);
}

static void test_local_doorbell(void **state)
{
    struct transport t = {.event_fd = -1, .notify_fd = -1};
    int fds[3] = {-1, eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};
    struct wk_msg m = {.kind = WK_LOCAL};
    const char *why = NULL;
    uint64_t v = 3;

    assert_int_equal(transport_local.open(&t, &m, fds, &why), 0);
    assert_int_equal(fds[1], -1); /* the transport's now */
    assert_int_equal(t.ops->take(&t), 0);
    assert_int_equal(write(t.event_fd, &v, sizeof(v)), sizeof(v));
    assert_int_equal(t.ops->take(&t), 1);
    assert_int_equal(t.ops->take(&t), 0);
    t.ops->unmask(&t);
    /* A guest that never reads its eventfd does not stop the worker. */
    v = ~0ull - 1;
    assert_int_equal(write(t.notify_fd, &v, sizeof(v)), sizeof(v));
    t.ops->notify(&t);
    transport_close(&t);
    assert_int_equal(t.event_fd, -1);
}

static void test_xen_doorbell(void **state)
{
    struct transport t = {.event_fd = -1, .notify_fd = -1};
    struct wk_msg m = {.kind = WK_XEN, .port = 17};
    const char *why = NULL;
    uint32_t ports[] = {16, 17};
    int fds[3] = {-1, -1, -1}, pair[2];
    uint32_t port = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fds[1] = pair[0];
    assert_int_equal(transport_xen.open(&t, &m, fds, &why), 0);
    assert_int_equal(t.ops->take(&t), 0);
    assert_int_equal(write(pair[1], &ports[0], 4), 4); /* not ours */
    assert_int_equal(t.ops->take(&t), 0);
    assert_int_equal(write(pair[1], ports, 8), 8);
    assert_int_equal(t.ops->take(&t), 1);
    t.ops->unmask(&t);
    assert_int_equal(read(pair[1], &port, 4), 4);
    assert_int_equal(port, 17);
    close(pair[1]);
    assert_int_equal(t.ops->take(&t), -EIO);
    transport_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_map),          cmocka_unit_test(test_map_refused),
        cmocka_unit_test(test_bad_grant),    cmocka_unit_test(test_local_doorbell),
        cmocka_unit_test(test_xen_doorbell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
