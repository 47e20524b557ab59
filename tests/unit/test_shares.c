/* SPDX-License-Identifier: MIT */
/* What processes of one guest may find of each other, and nobody else of it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/broker/shares.h"

#define KIND 1u

static int owners[3];

static struct share exported(struct shares *t, uint64_t guest, const void *owner, int fd)
{
    struct share s = {
        .guest = guest, .owner = owner, .device = "0", .kind = KIND, .fd = fd, .meta = {guest, 7}};

    assert_int_equal(shares_add(t, &s), 0);
    return s;
}

static bool open_fd(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_own_guest(void **state)
{
    struct shares t = {0};
    struct share a = exported(&t, 5, &owners[0], -1), b = exported(&t, 5, &owners[1], -1);
    const struct share *s = shares_find(&t, 5, KIND, "0", a.token);

    assert_non_null(s);
    assert_ptr_equal(s->owner, &owners[0]);
    assert_int_equal(s->meta[1], 7);
    assert_memory_not_equal(a.token, b.token, SHARE_TOKEN);
    shares_drop_owner(&t, &owners[0]);
    shares_drop_owner(&t, &owners[1]);
    assert_int_equal(t.n, 0);
}

/* A token is worth nothing in another guest, as another kind, or for another device. */
static void test_foreign(void **state)
{
    struct shares t = {0};
    struct share a = exported(&t, 5, &owners[0], -1);

    exported(&t, 6, &owners[1], -1);
    assert_null(shares_find(&t, 6, KIND, "0", a.token));
    assert_null(shares_find(&t, 0, KIND, "0", a.token));
    assert_null(shares_find(&t, 5, KIND + 1, "0", a.token));
    assert_null(shares_find(&t, 5, KIND, "1", a.token));
    assert_non_null(shares_find(&t, 5, KIND, "0", a.token));
    shares_drop_owner(&t, &owners[0]);
    shares_drop_owner(&t, &owners[1]);
}

/* Nor is one that differs in a single bit, or one that nobody ever minted. */
static void test_invented(void **state)
{
    struct shares t = {0};
    struct share a = exported(&t, 5, &owners[0], -1);
    uint8_t token[SHARE_TOKEN] = {0};

    assert_null(shares_find(&t, 5, KIND, "0", token));
    memset(token, 0xff, sizeof(token));
    assert_null(shares_find(&t, 5, KIND, "0", token));
    for (unsigned bit = 0; bit < 8 * SHARE_TOKEN; bit++) {
        memcpy(token, a.token, sizeof(token));
        token[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_null(shares_find(&t, 5, KIND, "0", token));
    }
    shares_drop_owner(&t, &owners[0]);
}

/* With the exporter's end its tokens open nothing, and its descriptors are closed. */
static void test_after_death(void **state)
{
    struct shares t = {0};
    int fd = memfd_create("a", MFD_CLOEXEC), other = memfd_create("b", MFD_CLOEXEC);
    struct share a = exported(&t, 5, &owners[0], fd), b = exported(&t, 5, &owners[1], other);

    assert_true(open_fd(fd));
    shares_drop_owner(&t, &owners[0]);
    assert_null(shares_find(&t, 5, KIND, "0", a.token));
    assert_false(open_fd(fd));
    assert_non_null(shares_find(&t, 5, KIND, "0", b.token));
    assert_true(open_fd(other));
    shares_drop_owner(&t, &owners[1]);
    assert_false(open_fd(other));
}

/* Only who has exported something can take it back. */
static void test_forget(void **state)
{
    struct shares t = {0};
    int fd = memfd_create("a", MFD_CLOEXEC);
    struct share a = exported(&t, 5, &owners[0], fd);

    shares_drop(&t, &owners[1], a.token);
    assert_non_null(shares_find(&t, 5, KIND, "0", a.token));
    shares_drop(&t, &owners[0], a.token);
    assert_null(shares_find(&t, 5, KIND, "0", a.token));
    assert_false(open_fd(fd));
    assert_int_equal(t.n, 0);
}

/* One guest cannot take the room of all others. */
static void test_limit(void **state)
{
    struct shares t = {0};
    struct share s = {.guest = 5, .owner = &owners[0], .device = "0", .kind = KIND, .fd = -1};
    int fd;

    for (unsigned i = 0; i < SHARES_GUEST_MAX; i++)
        exported(&t, 5, &owners[0], -1);
    fd = memfd_create("a", MFD_CLOEXEC);
    s.fd = fd;
    assert_int_equal(shares_add(&t, &s), -ENOSPC);
    assert_false(open_fd(fd));
    exported(&t, 6, &owners[1], -1);
    shares_drop_owner(&t, &owners[0]);
    exported(&t, 5, &owners[0], -1);
    assert_int_equal(t.n, 2);
    t.most = 2; /* few descriptors: no guest gets a third */
    s.guest = 7;
    s.fd = -1;
    assert_int_equal(shares_add(&t, &s), -ENOSPC);
    shares_drop_owner(&t, &owners[0]);
    shares_drop_owner(&t, &owners[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_guest), cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_invented),  cmocka_unit_test(test_after_death),
        cmocka_unit_test(test_forget),    cmocka_unit_test(test_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
