/* SPDX-License-Identifier: MIT */
/* The software device's memory: allocation, quota, protection of what is not allocated. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/device/ptx/arena.h"

#define MIB (1ull << 20)

struct fixture {
    struct arena a;
    uint64_t base, size;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int err = 2;

    for (unsigned i = 0; i < 16 && err; i++)
        err = arena_window(i, 1ull << 33, &f->base, &f->size);
    if (err || arena_create(&f->a, f->base, f->size, f->size / 2, 64 * MIB))
        return -1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    arena_destroy(&f->a);
    arena_window_free(f->base, f->size);
    free(f);
    return 0;
}

/* True if reading one octet at addr kills a process. */
static bool faults(uint64_t addr)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        (void)*(volatile char *)(uintptr_t)addr;
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void window_is_aligned(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->size & (f->size - 1), 0);
    assert_int_equal(f->base % f->size, 0);
    assert_true(f->size >= 1ull << 33);
}

static void alloc_aligns_and_separates(void **state)
{
    static const uint64_t sizes[] = {1,     255,   256,    257,     4096,
                                     32768, 32769, 100000, 2 * MIB, 5 * MIB};
    struct fixture *f = *state;
    uint64_t p[10];

    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(arena_alloc(&f->a, sizes[i], ARENA_USER, &p[i]), 0);
        assert_int_equal(p[i] % 256, 0);
        memset((void *)(uintptr_t)p[i], (int)i + 1, sizes[i]);
    }
    for (unsigned i = 0; i < 10; i++) {
        const uint8_t *b = (const uint8_t *)(uintptr_t)p[i];

        assert_int_equal(b[0], i + 1);
        assert_int_equal(b[sizes[i] - 1], i + 1);
        assert_int_equal(arena_free(&f->a, p[i], ARENA_USER, NULL), 0);
    }
}

static void bad_frees_are_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t small, big, module;

    assert_int_equal(arena_alloc(&f->a, 1000, ARENA_USER, &small), 0);
    assert_int_equal(arena_alloc(&f->a, 3 * MIB, ARENA_USER, &big), 0);
    assert_int_equal(arena_alloc(&f->a, 64, ARENA_MODULE, &module), 0);
    assert_int_equal(arena_free(&f->a, small + 1, ARENA_USER, NULL), 1);
    assert_int_equal(arena_free(&f->a, small + 256, ARENA_USER, NULL), 1);
    assert_int_equal(arena_free(&f->a, big + MIB, ARENA_USER, NULL), 1);
    assert_int_equal(arena_free(&f->a, big + 64 * MIB, ARENA_USER, NULL), 1);
    assert_int_equal(arena_free(&f->a, 0, ARENA_USER, NULL), 1);
    assert_int_equal(arena_free(&f->a, UINT64_MAX, ARENA_USER, NULL), 1);
    assert_int_equal(arena_free(&f->a, module, ARENA_USER, NULL), 1);
    assert_int_equal(arena_free(&f->a, big, ARENA_USER, NULL), 0);
    assert_int_equal(arena_free(&f->a, big, ARENA_USER, NULL), 1);
    assert_int_equal(arena_free(&f->a, small, ARENA_USER, NULL), 0);
    assert_int_equal(arena_free(&f->a, small, ARENA_USER, NULL), 1);
}

static void freed_and_unmapped_memory_faults(void **state)
{
    struct fixture *f = *state;
    uint64_t small, big;

    assert_int_equal(arena_alloc(&f->a, 1000, ARENA_USER, &small), 0);
    assert_int_equal(arena_alloc(&f->a, 2 * MIB, ARENA_USER, &big), 0);
    assert_false(faults(small));
    assert_false(faults(big + 2 * MIB - 1));
    assert_true(faults(big + 2 * MIB));
    assert_true(faults(big - 1));
    assert_int_equal(arena_free(&f->a, big, ARENA_USER, NULL), 0);
    assert_int_equal(arena_free(&f->a, small, ARENA_USER, NULL), 0);
    assert_true(faults(big));
    assert_true(faults(small));
}

static void memory_is_zero_when_it_comes_back(void **state)
{
    struct fixture *f = *state;
    uint64_t p;

    for (int round = 0; round < 2; round++) {
        assert_int_equal(arena_alloc(&f->a, MIB, ARENA_USER, &p), 0);
        assert_int_equal(*(uint32_t *)(uintptr_t)(p + 4096), 0);
        memset((void *)(uintptr_t)p, 0xee, MIB);
        assert_int_equal(arena_free(&f->a, p, ARENA_USER, NULL), 0);
    }
}

static void quota_holds_and_is_given_back(void **state)
{
    struct fixture *f = *state;
    uint64_t p[16], q, used, limit;
    unsigned n = 0;

    assert_int_equal(arena_alloc(&f->a, 64 * MIB + 1, ARENA_USER, &q), 2);
    assert_int_equal(arena_alloc(&f->a, UINT64_MAX, ARENA_USER, &q), 2);
    assert_int_equal(arena_alloc(&f->a, 0, ARENA_USER, &q), 1);
    while (n < 16 && arena_alloc(&f->a, 10 * MIB, ARENA_USER, &p[n]) == 0)
        n++;
    assert_int_equal(n, 6);
    arena_usage(&f->a, &used, &limit);
    assert_int_equal(used, 60 * MIB);
    assert_int_equal(limit, 64 * MIB);
    while (n)
        assert_int_equal(arena_free(&f->a, p[--n], ARENA_USER, NULL), 0);
    arena_usage(&f->a, &used, &limit);
    assert_int_equal(used, 0);
}

static void ranges(void **state)
{
    struct fixture *f = *state;
    uint64_t p, base, size, pool = f->base + f->size - 16 * MIB;
    enum arena_kind kind;

    assert_int_equal(arena_alloc(&f->a, 100000, ARENA_USER, &p), 0);
    assert_true(arena_find(&f->a, p + 99999, &base, &size, &kind));
    assert_int_equal(base, p);
    assert_int_equal(size, 100000);
    assert_false(arena_find(&f->a, p + 100000, &base, &size, &kind));
    assert_true(arena_valid(&f->a, p, 100000));
    assert_true(arena_valid(&f->a, p + 1, 99999));
    assert_false(arena_valid(&f->a, p + 1, 100000));
    assert_false(arena_valid(&f->a, p, UINT64_MAX));
    assert_false(arena_valid(&f->a, 0x1000, 1));

    assert_false(arena_valid(&f->a, pool, 1));
    assert_int_equal(arena_pool_add(&f->a, pool, MIB), 0);
    assert_int_equal(arena_pool_add(&f->a, pool + MIB, MIB), 0);
    assert_int_equal(arena_pool_add(&f->a, pool, MIB), 1);
    assert_int_equal(arena_pool_add(&f->a, pool + MIB / 2, MIB), 1);
    assert_int_equal(arena_pool_add(&f->a, f->base, MIB), 1);
    assert_int_equal(arena_pool_add(&f->a, f->base + f->size - MIB, 2 * MIB), 1);
    assert_true(arena_valid(&f->a, pool + 1, 2 * MIB - 1));
    assert_false(arena_valid(&f->a, pool + 1, 2 * MIB));
    arena_pool_drop(&f->a, pool, MIB);
    assert_false(arena_valid(&f->a, pool, 1));
    assert_true(arena_valid(&f->a, pool + MIB, MIB));
    assert_int_equal(arena_free(&f->a, p, ARENA_USER, NULL), 0);
}

/* Memory at two addresses, across a border, and what is refused. */
static void memory_apart_from_addresses(void **state)
{
    struct fixture *f = *state;
    struct arena_memory *m, *n;
    uint64_t used, limit, v, w;
    uint8_t *p;

    assert_int_equal(arena_reserve(&f->a, ARENA_SLOT + 1, 0, &v), 1);
    assert_int_equal(arena_reserve(&f->a, 3 * ARENA_SLOT, 0, &v), 0);
    assert_int_equal(arena_reserve(&f->a, ARENA_SLOT, 4 * ARENA_SLOT, &w), 0);
    assert_int_equal(w % (4 * ARENA_SLOT), 0);
    arena_usage(&f->a, &used, &limit);
    assert_int_equal(used, 0); /* addresses cost nothing */
    assert_int_equal(arena_memory_create(&f->a, limit + ARENA_SLOT, &m), 2);
    assert_int_equal(arena_memory_create(&f->a, ARENA_SLOT, &m), 0);
    assert_int_equal(arena_memory_create(&f->a, ARENA_SLOT, &n), 0);
    assert_int_equal(arena_map(&f->a, v, ARENA_SLOT, 0, m), 0);
    assert_int_equal(arena_map(&f->a, v, ARENA_SLOT, 0, n), 1);
    assert_int_equal(arena_map(&f->a, v + 3 * ARENA_SLOT, ARENA_SLOT, 0, n), 1);
    assert_int_equal(arena_map(&f->a, v + ARENA_SLOT, 2 * ARENA_SLOT, 0, n), 1);
    assert_int_equal(arena_map(&f->a, v + ARENA_SLOT, ARENA_SLOT, 0, n), 0);
    assert_int_equal(arena_map(&f->a, w, ARENA_SLOT, 0, m), 0);
    assert_false(arena_valid(&f->a, v, 1)); /* no access yet */
    assert_int_equal(arena_access(&f->a, v, 2 * ARENA_SLOT, 3), 0);
    assert_int_equal(arena_access(&f->a, w, ARENA_SLOT, 1), 0);
    assert_true(arena_valid(&f->a, v + ARENA_SLOT - 8, 16));
    assert_false(arena_valid(&f->a, v + 2 * ARENA_SLOT - 8, 16));
    p = (uint8_t *)(uintptr_t)v;
    p[5] = 42;
    assert_int_equal(((uint8_t *)(uintptr_t)w)[5], 42);
    assert_int_equal(arena_free(&f->a, v, ARENA_USER, NULL), 1);
    assert_int_equal(arena_unreserve(&f->a, v, 3 * ARENA_SLOT), 1);
    assert_int_equal(arena_unmap(&f->a, v, ARENA_SLOT / 2), 1);
    arena_memory_release(&f->a, m); /* still mapped */
    arena_memory_release(&f->a, n);
    arena_usage(&f->a, &used, &limit);
    assert_int_equal(used, 2 * ARENA_SLOT);
    assert_int_equal(arena_unmap(&f->a, v, 2 * ARENA_SLOT), 0);
    assert_int_equal(((uint8_t *)(uintptr_t)w)[5], 42);
    assert_int_equal(arena_unmap(&f->a, w, ARENA_SLOT), 0);
    arena_usage(&f->a, &used, &limit);
    assert_int_equal(used, 0);
    assert_int_equal(arena_unreserve(&f->a, v, 3 * ARENA_SLOT), 0);
    assert_int_equal(arena_unreserve(&f->a, v, 3 * ARENA_SLOT), 1);
    assert_int_equal(arena_unreserve(&f->a, w, ARENA_SLOT), 0);
}

/* Random allocations and frees; contents, quota and address space must come out even. */
static void churn(void **state)
{
    enum { N = 400, ROUNDS = 20000 };
    struct fixture *f = *state;
    static uint64_t p[N], size[N];
    uint64_t used, limit, all;
    uint32_t seed = 12345;

    memset(p, 0, sizeof(p));
    for (unsigned r = 0; r < ROUNDS; r++) {
        unsigned i;

        seed = seed * 1664525u + 1013904223u;
        i = (seed >> 8) % N;
        if (p[i]) {
            assert_int_equal(*(uint8_t *)(uintptr_t)p[i], i & 0xff);
            assert_int_equal(*(uint8_t *)(uintptr_t)(p[i] + size[i] - 1), i & 0xff);
            assert_int_equal(arena_free(&f->a, p[i], ARENA_USER, NULL), 0);
            p[i] = 0;
            continue;
        }
        size[i] = 1 + (seed >> 4) % (seed & 1 ? 60000 : 700);
        if (arena_alloc(&f->a, size[i], ARENA_USER, &p[i])) {
            p[i] = 0;
            continue;
        }
        *(uint8_t *)(uintptr_t)p[i] = (uint8_t)i;
        *(uint8_t *)(uintptr_t)(p[i] + size[i] - 1) = (uint8_t)i;
    }
    for (unsigned i = 0; i < N; i++)
        if (p[i])
            assert_int_equal(arena_free(&f->a, p[i], ARENA_USER, NULL), 0);
    arena_usage(&f->a, &used, &limit);
    assert_int_equal(used, 0);
    /* One free extent again: what was split has been joined. */
    assert_int_equal(arena_alloc(&f->a, limit, ARENA_USER, &all), 0);
    assert_int_equal(all, f->base);
    assert_int_equal(arena_free(&f->a, all, ARENA_USER, NULL), 0);
}

/* ---- memory shared with other processes ---- */

static unsigned segments;

/* As the broker's. */
static int segment(void *arg, uint64_t bytes)
{
    int fd = memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    segments++;
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    return fd;
}

static int no_segment(void *arg, uint64_t bytes)
{
    return -ENOSPC;
}

/* What was there before stays, both see what either writes, and neither's end takes it away. */
static void shared_memory_outlives_both(void **state)
{
    static const uint64_t sizes[] = {300, 40000, 5 * MIB + 1};
    struct fixture *f = *state;

    for (unsigned i = 0; i < 3; i++) {
        struct arena_part part, again;
        uint64_t a, b, base, size, used, left, limit;
        enum arena_kind kind;

        arena_usage(&f->a, &used, &limit);
        assert_int_equal(arena_alloc(&f->a, sizes[i], ARENA_USER, &a), 0);
        memset((void *)(uintptr_t)a, 0x41, sizes[i]);
        segments = 0;
        assert_int_equal(arena_export(&f->a, a, ARENA_USER, segment, NULL, &part), 0);
        assert_int_equal(part.size, sizes[i]);
        assert_int_equal(((uint8_t *)(uintptr_t)a)[sizes[i] - 1], 0x41);
        assert_int_equal(arena_export(&f->a, a, ARENA_USER, segment, NULL, &again), 0);
        assert_int_equal(segments, 1);
        close(again.fd);
        assert_int_equal(arena_import(&f->a, &part, &b), 0);
        assert_true(arena_find(&f->a, b, &base, &size, &kind));
        assert_int_equal(kind, ARENA_IMPORTED);
        assert_true(faults(b + part.len));
        *(uint8_t *)(uintptr_t)(a + 7) = 0x42;
        assert_int_equal(*(uint8_t *)(uintptr_t)(b + part.offset + 7), 0x42);
        *(uint8_t *)(uintptr_t)(b + part.offset + 9) = 0x43;
        assert_int_equal(*(uint8_t *)(uintptr_t)(a + 9), 0x43);
        close(part.fd);
        /* Not as an allocation of its own, and not twice. */
        assert_int_equal(arena_free(&f->a, b, ARENA_USER, NULL), 1);
        assert_int_equal(arena_free(&f->a, a, ARENA_USER, NULL), 0);
        assert_int_equal(*(uint8_t *)(uintptr_t)(b + part.offset + 7), 0x42);
        assert_int_equal(arena_free(&f->a, b, ARENA_IMPORTED, NULL), 0);
        assert_int_equal(arena_free(&f->a, b, ARENA_IMPORTED, NULL), 1);
        assert_true(faults(b));
        arena_usage(&f->a, &left, &limit);
        assert_int_equal(used, left);
    }
}

/* Another worker may say anything about what it exports. */
static void lies_about_shared_memory_are_refused(void **state)
{
    struct fixture *f = *state;
    struct arena_part good, bad;
    struct arena_memory *m;
    uint64_t a, b;
    int fd;

    assert_int_equal(arena_alloc(&f->a, 100000, ARENA_USER, &a), 0);
    assert_int_equal(arena_export(&f->a, a, ARENA_POOL, segment, NULL, &good), 1);
    assert_int_equal(arena_export(&f->a, a + 256, ARENA_USER, segment, NULL, &good), 1);
    assert_int_equal(arena_export(&f->a, a, ARENA_USER, no_segment, NULL, &good), 2);
    assert_int_equal(arena_export(&f->a, a, ARENA_USER, NULL, NULL, &good), 2);
    assert_int_equal(arena_export(&f->a, a, ARENA_USER, segment, NULL, &good), 0);
    bad = good, bad.len += 4096; /* longer than it is */
    assert_int_equal(arena_import(&f->a, &bad, &b), 1);
    bad = good, bad.len = 5000;
    assert_int_equal(arena_import(&f->a, &bad, &b), 1);
    bad = good, bad.len = 0;
    assert_int_equal(arena_import(&f->a, &bad, &b), 1);
    bad = good, bad.len = UINT64_MAX & ~4095ull;
    assert_int_equal(arena_import(&f->a, &bad, &b), 1);
    bad = good, bad.offset = good.len;
    assert_int_equal(arena_import(&f->a, &bad, &b), 1);
    bad = good, bad.size = good.len + 1;
    assert_int_equal(arena_import(&f->a, &bad, &b), 1);
    bad = good, bad.offset = 4096, bad.size = UINT64_MAX;
    assert_int_equal(arena_import(&f->a, &bad, &b), 1);
    bad = good, bad.fd = -1;
    assert_int_equal(arena_import(&f->a, &bad, &b), 1);
    /* Not sealed: it could be shortened under us. */
    fd = memfd_create("open", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)good.len), 0);
    bad = good, bad.fd = fd;
    assert_int_equal(arena_import(&f->a, &bad, &b), 1);
    assert_int_equal(arena_memory_adopt(&f->a, fd, 2 * MIB, &m), 1); /* takes it */
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    /* Imports count against the quota. */
    bad = good;
    bad.fd = segment(NULL, 128 * MIB);
    bad.len = bad.size = 128 * MIB;
    bad.offset = 0;
    assert_int_equal(arena_import(&f->a, &bad, &b), 2);
    close(bad.fd);
    close(good.fd);
    assert_int_equal(arena_free(&f->a, a, ARENA_USER, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(window_is_aligned, setup, teardown),
        cmocka_unit_test_setup_teardown(alloc_aligns_and_separates, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_frees_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(freed_and_unmapped_memory_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_zero_when_it_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(quota_holds_and_is_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_apart_from_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(churn, setup, teardown),
        cmocka_unit_test_setup_teardown(shared_memory_outlives_both, setup, teardown),
        cmocka_unit_test_setup_teardown(lies_about_shared_memory_are_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
