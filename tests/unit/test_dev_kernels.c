/* SPDX-License-Identifier: MIT */
/* The software device with the compiler's kernels (data/vecadd.cu): launches, concurrency, faults.
 * The results of bad launches are those seen on an H200. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/device/device.h"

static const struct dev_ops *const ops = &dev_ptx_ops;
static struct dev *dev;
static struct dev_module *mod;
static uint8_t *image;
static size_t image_n;

static struct {
    atomic_int calls;
    int err;
    char what[512];
} fault;
static char output[3][4096];

static void on_fault(void *arg, int err, const char *what)
{
    if (atomic_fetch_add(&fault.calls, 1) == 0) {
        fault.err = err;
        snprintf(fault.what, sizeof(fault.what), "%s", what);
    }
}

static void on_output(void *arg, int fd, const char *text, size_t n)
{
    size_t have = strlen(output[fd]);

    assert_true(fd == 1 || fd == 2);
    assert_true(have + n < sizeof(output[fd]));
    memcpy(output[fd] + have, text, n);
    output[fd][have + n] = '\0';
}

static int open_device(unsigned threads)
{
    struct dev_config cfg = {
        .mem_limit = 256 << 20, .threads = threads, .on_fault = on_fault, .on_output = on_output};
    char log[256] = "";
    int err;

    memset(&fault, 0, sizeof(fault));
    memset(output, 0, sizeof(output));
    err = ops->open(&cfg, &dev);
    if (!err)
        err = ops->module_load(dev, image, image_n, &mod, log, sizeof(log));
    if (err)
        print_error("%s\n", log);
    return err;
}

static int teardown(void **state)
{
    if (dev)
        ops->close(dev);
    dev = NULL;
    return 0;
}

/* First in every test, and not in a setup function: cmocka takes over SIGSEGV between the two. */
static void start(void)
{
    if (!image_n) {
        print_message("SKIP: no kernels, nvcc was not there to make them\n");
        skip();
    }
    assert_int_equal(open_device(2), 0);
}

static struct dev_func *func(const char *name)
{
    for (unsigned i = 0; i < ops->module_nfunc(mod); i++)
        if (strcmp(ops->func_name(ops->module_func(mod, i)), name) == 0)
            return ops->module_func(mod, i);
    fail_msg("no kernel %s", name);
    return NULL;
}

struct shape {
    uint32_t grid, block, shmem;
};

/* Arguments: as many 64-bit values as the kernel has parameters. */
static int launch(struct dev_stream *s, const char *name, struct shape sh, ...)
{
    struct dev_func *f = func(name);
    uint8_t params[256] = {0};
    struct dev_launch l = {
        .grid = {sh.grid, 1, 1}, .block = {sh.block, 1, 1}, .shmem = sh.shmem, .params = params};
    va_list ap;

    va_start(ap, sh);
    for (unsigned i = 0; i < ops->func_nparam(f); i++) {
        struct dev_param p = ops->func_param(f, i);
        uint64_t v = va_arg(ap, uint64_t);

        assert_true(p.offset + p.size <= sizeof(params) && p.size <= 8);
        memcpy(params + p.offset, &v, p.size);
        l.params_len = p.offset + p.size;
    }
    va_end(ap);
    return ops->launch(dev, f, &l, s);
}

#define U(x) ((uint64_t)(x))

static uint64_t alloc(size_t n)
{
    uint64_t p = 0;

    assert_int_equal(ops->mem_alloc(dev, n, &p), 0);
    assert_int_equal(ops->fill(dev, NULL, p, 0, 0, 1, n, 1), 0);
    return p;
}

static void fetch(void *to, uint64_t from, size_t n)
{
    assert_int_equal(ops->copy_d2h(dev, NULL, to, from, n), 0);
    assert_int_equal(ops->ctx_sync(dev), 0);
}

static struct dev_stream *new_stream(void)
{
    struct dev_stream *s = NULL;

    assert_int_equal(ops->stream_create(dev, 1, 0, &s), 0);
    return s;
}

/* ---- results ----------------------------------------------------------------------------- */

static void vecadd(void **state)
{
    enum { N = 100001 };
    static float a[N], b[N], c[N];
    uint64_t da, db, dc;

    start();
    for (int i = 0; i < N; i++) {
        a[i] = (float)i;
        b[i] = (float)(2 * i);
    }
    da = alloc(sizeof(a));
    db = alloc(sizeof(b));
    dc = alloc(sizeof(c));
    assert_int_equal(ops->copy_h2d(dev, NULL, da, a, sizeof(a)), 0);
    assert_int_equal(ops->copy_h2d(dev, NULL, db, b, sizeof(b)), 0);
    assert_int_equal(
        launch(NULL, "vecadd", (struct shape){(N + 255) / 256, 256, 0}, da, db, dc, U(N)), 0);
    fetch(c, dc, sizeof(c));
    for (int i = 0; i < N; i++)
        assert_true(c[i] == (float)(3 * i));
}

static void variables(void **state)
{
    uint64_t counter, scale, size, out;
    float got[4], twice[4] = {2, 4, 6, 8};
    int value = 0;

    start();
    assert_int_equal(ops->module_global(dev, mod, "counter", &counter, &size), 0);
    assert_int_equal(size, 4);
    fetch(&value, counter, 4);
    assert_int_equal(value, 7);
    assert_int_equal(launch(NULL, "bump", (struct shape){3, 32, 0}, U(2)), 0);
    fetch(&value, counter, 4);
    assert_int_equal(value, 7 + 3 * 32 * 2);
    assert_int_equal(ops->mem_free(dev, counter), 1);

    assert_int_equal(ops->module_global(dev, mod, "scale", &scale, &size), 0);
    assert_int_equal(size, 16);
    out = alloc(16);
    assert_int_equal(launch(NULL, "scaled", (struct shape){1, 4, 0}, out), 0);
    fetch(got, out, 16);
    assert_true(got[0] == 10 && got[3] == 40);
    assert_int_equal(ops->copy_h2d(dev, NULL, scale, twice, 16), 0);
    assert_int_equal(ops->copy_h2d(dev, NULL, scale, twice, 17), 1);
    assert_int_equal(launch(NULL, "scaled", (struct shape){1, 4, 0}, out), 0);
    fetch(got, out, 16);
    assert_true(got[0] == 20 && got[3] == 80);
    assert_int_equal(ops->module_global(dev, mod, "nope", &scale, &size), 500);
}

static void shared_memory_and_barriers(void **state)
{
    enum { BLOCKS = 37, THREADS = 256 };
    static int in[BLOCKS * THREADS], out[BLOCKS];
    uint64_t din, dout;

    start();
    for (int i = 0; i < BLOCKS * THREADS; i++)
        in[i] = i % 1000;
    din = alloc(sizeof(in));
    dout = alloc(sizeof(out));
    assert_int_equal(ops->copy_h2d(dev, NULL, din, in, sizeof(in)), 0);
    assert_int_equal(
        launch(NULL, "sum_shared", (struct shape){BLOCKS, THREADS, THREADS * 4}, din, dout), 0);
    fetch(out, dout, sizeof(out));
    for (int b = 0; b < BLOCKS; b++) {
        int sum = 0;

        for (int i = 0; i < THREADS; i++)
            sum += in[b * THREADS + i];
        assert_int_equal(out[b], sum);
    }
}

static void device_heap(void **state)
{
    uint64_t ok;
    int value = 0;

    start();
    ok = alloc(4);
    for (int round = 0; round < 3; round++)
        assert_int_equal(launch(NULL, "use_heap", (struct shape){8, 64, 0}, ok), 0);
    fetch(&value, ok, 4);
    assert_int_equal(value, 3 * 8 * 64);
    assert_int_equal(ops->set_limit(dev, 2, 1 << 20), 1); /* in use */
}

static void output_arrives_before_the_next_operation(void **state)
{
    uint64_t v;

    start();
    assert_int_equal(ops->get_limit(dev, 1, &v), 0);
    assert_int_equal(launch(NULL, "hello", (struct shape){2, 32, 0}, U(5)), 0);
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_non_null(strstr(output[1], "hello 5 from block 0\n"));
    assert_non_null(strstr(output[1], "hello 5 from block 1\n"));
    assert_int_equal(strlen(output[1]), 2 * strlen("hello 5 from block 0\n"));
    assert_int_equal(ops->set_limit(dev, 1, 1 << 20), 1);
}

/* All blocks of a cooperative grid are there at once and meet. */
static void cooperative_grid(void **state)
{
    enum { BLOCKS = 6, THREADS = 64 };
    struct {
        uint64_t total, seen;
    } params;
    struct dev_launch l = {.grid = {BLOCKS, 1, 1},
                           .block = {THREADS, 1, 1},
                           .cooperative = true,
                           .params = &params,
                           .params_len = sizeof(params)};
    int seen = 0;

    start();
    params.total = alloc(4);
    params.seen = alloc(4);
    assert_int_equal(ops->launch(dev, func("meet"), &l, NULL), 0);
    fetch(&seen, params.seen, 4);
    assert_int_equal(seen, 3 * BLOCKS * THREADS);
}

/* ---- launches that are refused ----------------------------------------------------------- */

static int try_launch(const char *name, uint32_t gx, uint32_t gy, uint32_t gz, uint32_t bx,
                      uint32_t by, uint32_t bz, uint32_t shmem, bool cooperative)
{
    uint8_t params[256] = {0};
    struct dev_launch l = {.grid = {gx, gy, gz},
                           .block = {bx, by, bz},
                           .shmem = shmem,
                           .cooperative = cooperative,
                           .params = params,
                           .params_len = sizeof(params)};

    return ops->launch(dev, func(name), &l, NULL);
}

static void bad_launches(void **state)
{
    struct dev_launch l = {.grid = {1, 1, 1}, .block = {1, 1, 1}, .params = &l, .params_len = 12};
    struct dev_func *f;

    start();
    assert_int_equal(try_launch("store_at", 0, 1, 1, 1, 1, 1, 0, false), 1);
    assert_int_equal(try_launch("store_at", 1, 1, 1, 0, 1, 1, 0, false), 1);
    assert_int_equal(try_launch("store_at", 1, 1, 1, 1025, 1, 1, 0, false), 1);
    assert_int_equal(try_launch("store_at", 1, 1, 1, 1, 1, 65, 0, false), 1);
    assert_int_equal(try_launch("store_at", 1, 1, 1, 64, 64, 1, 0, false), 1);
    assert_int_equal(try_launch("store_at", 1, 65536, 1, 1, 1, 1, 0, false), 1);
    assert_int_equal(try_launch("store_at", 1, 1, 65536, 1, 1, 1, 0, false), 1);
    assert_int_equal(try_launch("store_at", 0x80000000u, 1, 1, 1, 1, 1, 0, false), 1);
    assert_int_equal(try_launch("bounded", 1, 1, 1, 65, 1, 1, 0, false), 1);
    assert_int_equal(try_launch("sum_shared", 1, 1, 1, 32, 1, 1, 49153, false), 1);
    f = func("sum_shared");
    assert_int_equal(ops->func_set_attr(dev, f, 8, 232449), 1);
    assert_int_equal(ops->func_set_attr(dev, f, 8, -1), 1);
    assert_int_equal(ops->func_set_attr(dev, f, 9, 101), 1);
    assert_int_equal(ops->func_set_attr(dev, f, 9, -2), 1);
    assert_int_equal(ops->func_set_attr(dev, f, 4, 3), 1);
    assert_int_equal(ops->func_set_attr(dev, f, 77, 3), 1);
    assert_int_equal(ops->func_set_attr(dev, f, 8, 1000), 0);
    assert_int_equal(try_launch("sum_shared", 1, 1, 1, 32, 1, 1, 2000, false), 1);
    assert_int_equal(ops->func_set_attr(dev, f, 8, 232448), 0);
    assert_int_equal(try_launch("sum_shared", 1, 1, 1, 32, 1, 1, 232449, false), 1);
    assert_int_equal(try_launch("bounded", 100000, 1, 1, 64, 1, 1, 0, true), 720);
    assert_int_equal(ops->launch(dev, func("store_at"), &l, NULL), 1); /* 20 bytes of arguments */
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_int_equal(fault.calls, 0);
}

static void attributes_and_occupancy(void **state)
{
    static const struct {
        int block, plain, shared;
    } want[] = {{96, 21, 5}, {192, 10, 5}, {480, 4, 4}, {960, 2, 2}, {1056, 0, 0}};
    struct dev_func_info inf;
    struct dev_func *f, *s;
    int n;

    start();
    f = func("store_at");
    s = func("sum_shared");
    assert_int_equal(ops->func_nparam(f), 3);
    assert_int_equal(ops->func_param(f, 1).offset, 8);
    assert_int_equal(ops->func_param(f, 2).offset, 16);
    assert_int_equal(ops->func_param(f, 2).size, 4);
    assert_int_equal(ops->func_info(dev, func("bounded"), &inf), 0);
    assert_int_equal(inf.attr[0], 64);
    assert_int_equal(inf.attr[1], 0);
    assert_int_equal(inf.attr[2], 16);
    assert_true(inf.attr[4] >= 1 && inf.attr[4] <= 255);
    assert_int_equal(inf.attr[5], 75);
    assert_int_equal(inf.attr[6], 90);
    assert_int_equal(inf.attr[8], 48 * 1024);
    assert_int_equal(inf.attr[9], -1);
    assert_int_equal(ops->occupancy(dev, f, 0, 0, 0, &n), 1);
    assert_int_equal(ops->occupancy(dev, f, 64, 0, 7, &n), 1);
    for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_int_equal(ops->occupancy(dev, f, want[i].block, 0, 0, &n), 0);
        assert_int_equal(n, want[i].plain);
        assert_int_equal(ops->occupancy(dev, s, want[i].block, 40000, 0, &n), 0);
        assert_int_equal(n, want[i].shared);
    }
    assert_int_equal(ops->occupancy(dev, s, 64, 100000, 0, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(ops->occupancy(dev, func("bounded"), 65, 0, 0, &n), 0);
    assert_int_equal(n, 21);
}

static void bad_modules(void **state)
{
    struct dev_module *m;
    char log[256];

    start();
    assert_int_equal(ops->module_load(dev, "garbage", 7, &m, log, sizeof(log)), 200);
    assert_int_equal(ops->module_load(dev, "", 0, &m, log, sizeof(log)), 200);
    memset(log, 0, sizeof(log));
    static const char bad[] = ".version 9.0\n.target sm_75\n.address_size 64\n"
                              ".visible .entry x(){ foo; }";
    assert_int_equal(ops->module_load(dev, bad, sizeof(bad), &m, log, sizeof(log)), 218);
    assert_true(strlen(log) > 0);
    static const char newer[] = ".version 9.0\n.target sm_120\n.address_size 64\n"
                                ".visible .entry x(){ ret; }";
    assert_int_equal(ops->module_load(dev, newer, sizeof(newer), &m, log, sizeof(log)), 218);
    assert_int_equal(ops->ctx_sync(dev), 0);
}

/* ---- concurrency ------------------------------------------------------------------------- */

/* A kernel waits for a flag that one in another stream sets; its CTAs hold all helpers. */
static void run_beside_each_other(void)
{
    struct dev_stream *s, *t;
    uint64_t flag, done;
    int value = 0;

    s = new_stream();
    t = new_stream();
    flag = alloc(4);
    done = alloc(4);
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_int_equal(launch(s, "wait_for", (struct shape){64, 32, 0}, flag, U(3), done), 0);
    assert_int_equal(launch(t, "set_flag", (struct shape){1, 1, 0}, flag, U(3)), 0);
    assert_int_equal(ops->stream_sync(dev, t), 0);
    assert_int_equal(ops->stream_sync(dev, s), 0);
    fetch(&value, done, 4);
    assert_int_equal(value, 3);
    assert_int_equal(ops->stream_destroy(dev, s), 0);
    assert_int_equal(ops->stream_destroy(dev, t), 0);
}

static void kernels_run_beside_each_other(void **state)
{
    start();
    run_beside_each_other();
}

static void kernels_run_beside_each_other_on_one_thread(void **state)
{
    start();
    ops->close(dev);
    assert_int_equal(open_device(1), 0);
    run_beside_each_other();
}

/* A copy releases the kernel: host work and kernels overlap as well. */
static void a_copy_releases_a_kernel(void **state)
{
    static const int three = 3;
    struct dev_stream *s;
    uint64_t flag, done;

    start();
    s = new_stream();
    flag = alloc(4);
    done = alloc(4);
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_int_equal(launch(s, "wait_for", (struct shape){2, 64, 0}, flag, U(3), done), 0);
    assert_int_equal(ops->stream_query(dev, s), 600);
    assert_int_equal(ops->copy_h2d(dev, NULL, flag, &three, 4), 0);
    assert_int_equal(ops->stream_sync(dev, s), 0);
    assert_int_equal(ops->stream_destroy(dev, s), 0);
}

/* Unloading waits for queued launches; a module may go right behind its launch. */
static void modules_go_when_their_work_is_done(void **state)
{
    uint64_t out;
    int value;

    start();
    out = alloc(256);
    for (int i = 0; i < 20; i++) {
        char log[64];

        assert_int_equal(launch(NULL, "bounded", (struct shape){1, 64, 0}, out), 0);
        assert_int_equal(ops->module_unload(dev, mod), 0);
        assert_int_equal(ops->module_load(dev, image, image_n, &mod, log, sizeof(log)), 0);
    }
    fetch(&value, out + 63 * 4, 4);
    assert_int_equal(value, 63);
}

/* close() ends a kernel that would run forever. */
static void close_ends_kernels(void **state)
{
    uint64_t flag;

    start();
    flag = alloc(4);
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_int_equal(launch(NULL, "wait_for", (struct shape){4, 32, 0}, flag, U(1), flag), 0);
    assert_int_equal(ops->stream_query(dev, NULL), 600);
    /* teardown() closes */
}

/* ---- faults ------------------------------------------------------------------------------ */

static void count_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void everything_is_sticky(int err)
{
    struct dev_func_info inf;
    struct dev_stream *s;
    struct dev_event *e;
    uint64_t a, b;
    uint8_t buf[4];
    int n;

    assert_int_equal(ops->ctx_sync(dev), err);
    assert_int_equal(ops->stream_query(dev, NULL), err);
    assert_int_equal(ops->stream_sync(dev, NULL), err);
    assert_int_equal(ops->mem_alloc(dev, 8, &a), err);
    assert_int_equal(ops->mem_info(dev, &a, &b), err);
    assert_int_equal(ops->mem_free(dev, 0x1234), err);
    assert_int_equal(ops->stream_create(dev, 0, 0, &s), err);
    assert_int_equal(ops->event_create(dev, 0, &e), err);
    assert_int_equal(ops->func_info(dev, func("bump"), &inf), err);
    assert_int_equal(ops->get_limit(dev, 0, &a), err);
    assert_int_equal(ops->occupancy(dev, func("bump"), 32, 0, 0, &n), err);
    assert_int_equal(ops->copy_h2d(dev, NULL, 0, buf, 4), err);
    assert_int_equal(launch(NULL, "bump", (struct shape){1, 1, 0}, U(1)), err);
    assert_int_equal(fault.calls, 1);
    assert_int_equal(fault.err, err);
    assert_true(strlen(fault.what) > 20);
    assert_null(strchr(fault.what, '\n'));
}

static void a_bad_store_is_700(void **state)
{
    static atomic_int ran;
    static uint32_t word;
    struct dev_stream *s;
    struct dev_event *e;
    uint64_t p;

    start();
    atomic_store(&ran, 0);
    word = 0;
    s = new_stream();
    p = alloc(1024);
    assert_int_equal(ops->event_create(dev, 0, &e), 0);
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_int_equal(launch(s, "store_at", (struct shape){1, 32, 0}, p, U(1) << 40, U(1)), 0);
    assert_int_equal(ops->stream_host(dev, s, count_call, &ran), 0);
    (void)ops->event_record(dev, e, s);
    assert_int_equal(ops->stream_write32(dev, s, &word, 5, count_call, &ran), 0);
    assert_int_equal(ops->event_sync(dev, e), 700);
    assert_int_equal(ops->stream_sync(dev, s), 700);
    assert_int_equal(ran, 2);
    assert_int_equal(word, 5);
    assert_non_null(strstr(fault.what, "store_at"));
    everything_is_sticky(700);
    assert_int_equal(ops->event_query(dev, e), 700);
    assert_int_equal(ops->event_destroy(dev, e), 700);
    assert_int_equal(ops->stream_destroy(dev, s), 700);
}

static void running_off_an_allocation_is_700(void **state)
{
    uint64_t p;

    start();
    p = alloc(1 << 20);
    assert_int_equal(launch(NULL, "store_at", (struct shape){1, 32, 0}, p, U((1 << 18) - 32), U(1)),
                     0);
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_int_equal(launch(NULL, "store_at", (struct shape){1, 32, 0}, p, U((1 << 18) - 31), U(1)),
                     0);
    everything_is_sticky(700);
}

static void null_and_freed_pointers_are_700(void **state)
{
    uint64_t p;

    start();
    assert_int_equal(launch(NULL, "store_at", (struct shape){1, 1, 0}, U(0), U(0), U(1)), 0);
    everything_is_sticky(700);
    ops->close(dev);
    assert_int_equal(open_device(2), 0);
    p = alloc(1 << 20);
    assert_int_equal(ops->mem_free(dev, p), 0);
    assert_int_equal(launch(NULL, "store_at", (struct shape){1, 1, 0}, p, U(0), U(1)), 0);
    everything_is_sticky(700);
}

/* The process's own memory lies at real addresses too; kernels must not reach it. */
static void host_memory_is_out_of_reach(void **state)
{
    static int precious = 42;

    start();
    assert_int_equal(launch(NULL, "store_at", (struct shape){1, 1, 0}, U(&precious), U(0), U(1)),
                     0);
    everything_is_sticky(700);
    assert_int_equal(precious, 42);
}

static void trap_is_719(void **state)
{
    start();
    assert_int_equal(launch(NULL, "trap_now", (struct shape){1, 1, 0}), 0);
    everything_is_sticky(719);
}

static void failed_assertion_is_710(void **state)
{
    start();
    assert_int_equal(launch(NULL, "insist", (struct shape){1, 2, 0}, U(3)), 0);
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_int_equal(launch(NULL, "insist", (struct shape){2, 2, 0}, U(4)), 0);
    everything_is_sticky(710);
    assert_non_null(strstr(output[2], "vecadd.cu:"));
    assert_non_null(strstr(output[2], "Assertion `n == 3` failed.\n"));
}

/* One stream's fault ends the context, so also a kernel of another stream that waits forever. */
static void a_fault_ends_other_kernels(void **state)
{
    struct dev_stream *s, *t;
    uint64_t flag;

    start();
    s = new_stream();
    t = new_stream();
    flag = alloc(4);
    assert_int_equal(ops->ctx_sync(dev), 0);
    assert_int_equal(launch(s, "wait_for", (struct shape){8, 32, 0}, flag, U(1), flag), 0);
    assert_int_equal(ops->stream_query(dev, s), 600);
    assert_int_equal(launch(t, "trap_now", (struct shape){1, 1, 0}), 0);
    assert_int_equal(ops->stream_sync(dev, s), 719);
    everything_is_sticky(719);
}

/* Two contexts in one process: one's fault leaves the other alone. */
static void contexts_are_separate(void **state)
{
    struct dev_config cfg = {.mem_limit = 64 << 20, .threads = 1};
    struct dev *other;
    uint64_t p;

    start();
    assert_int_equal(ops->open(&cfg, &other), 0);
    assert_int_equal(launch(NULL, "trap_now", (struct shape){1, 1, 0}), 0);
    assert_int_equal(ops->ctx_sync(dev), 719);
    assert_int_equal(ops->ctx_sync(other), 0);
    assert_int_equal(ops->mem_alloc(other, 100, &p), 0);
    ops->close(other);
}

/* ---- speed ------------------------------------------------------------------------------- */

/* Only printed: what is fast enough depends on the machine. */
static void speed_of_vecadd(void **state)
{
    enum { N = 1024 * 1024 };
    struct timespec t0, t1;
    uint64_t a, b, c;
    double ms;

    start();
    a = alloc(N * 4);
    b = alloc(N * 4);
    c = alloc(N * 4);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(ops->ctx_sync(dev), 0);
        clock_gettime(CLOCK_MONOTONIC, &t0);
        assert_int_equal(launch(NULL, "vecadd", (struct shape){N / 256, 256, 0}, a, b, c, U(N)), 0);
        assert_int_equal(ops->ctx_sync(dev), 0);
        clock_gettime(CLOCK_MONOTONIC, &t1);
        ms = (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6;
        print_message("vecadd of %d elements, 2 threads: %.2f ms, %.1f ns per warp\n", N, ms,
                      ms * 1e6 / (N / 32));
    }
}

static void read_image(void)
{
    const char *dir = getenv("GVM_BUILD");
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/unit/data/vecadd-default.fatbin", dir ? dir : "build");
    f = fopen(path, "rb");
    if (!f)
        return;
    image = malloc(1 << 20);
    image_n = image ? fread(image, 1, 1 << 20, f) : 0;
    fclose(f);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_teardown(t, teardown)
    const struct CMUnitTest tests[] = {
        TEST(vecadd),
        TEST(variables),
        TEST(shared_memory_and_barriers),
        TEST(device_heap),
        TEST(output_arrives_before_the_next_operation),
        TEST(cooperative_grid),
        TEST(bad_launches),
        TEST(attributes_and_occupancy),
        TEST(bad_modules),
        TEST(kernels_run_beside_each_other),
        TEST(kernels_run_beside_each_other_on_one_thread),
        TEST(a_copy_releases_a_kernel),
        TEST(modules_go_when_their_work_is_done),
        TEST(close_ends_kernels),
        TEST(a_bad_store_is_700),
        TEST(running_off_an_allocation_is_700),
        TEST(null_and_freed_pointers_are_700),
        TEST(host_memory_is_out_of_reach),
        TEST(trap_is_719),
        TEST(failed_assertion_is_710),
        TEST(a_fault_ends_other_kernels),
        TEST(contexts_are_separate),
        TEST(speed_of_vecadd),
    };
    int failed;

    read_image();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(image);
    return failed;
}
