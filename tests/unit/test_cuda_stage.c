/* SPDX-License-Identifier: MIT */
/*
 * Copies of memory that the driver must not pin, on a library that only pretends to be a driver's.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "dom0-backend/device/device_copy.h"
#include "tests/unit/cuda_case.h"

/* Until the stream would go on. */
static void stream_passes(void)
{
    while ((int32_t)(__atomic_load_n(f->wait_word, __ATOMIC_ACQUIRE) - f->wait_value) < 0)
        usleep(100);
}

static uint8_t *open_no_pin(size_t pool)
{
    CHECK(open_with(DRIVER, NULL, 0, true) == 0);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    CHECK(mmap((void *)POOL, pool, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)POOL);
    CHECK(ops->pool_add(dev, (void *)POOL, pool) == 0);
    return (void *)POOL;
}

/* Memory that must not be pinned is never named to the driver. */
CASE(test_staged)
{
    const size_t n = 3 * MIB - 7, sizes[] = {1, 4096, 70000, 512 * 1024, MIB + 1, n};
    uint8_t *pool = open_no_pin(8 * MIB);
    uint64_t p;

    CHECK(ops->mem_alloc(dev, 4 * MIB, &p) == 0);
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        for (size_t i = 0; i < sizes[k]; i++)
            pool[i] = (uint8_t)(i * 7 + (i >> 8) + k);
        memset(pool + 4 * MIB, 0xee, 4 * MIB);
        CHECK(ops->copy_h2d(dev, NULL, p + 3, pool, sizes[k]) == 0);
        stream_passes();
        CHECK(memcmp(f->vram + (p - f->base) + 3, pool, sizes[k]) == 0);
        CHECK(ops->copy_d2h(dev, NULL, pool + 4 * MIB, p + 3, sizes[k]) == 0);
        stream_passes();
        CHECK(memcmp(pool + 4 * MIB, pool, sizes[k]) == 0 && pool[4 * MIB + sizes[k]] == 0xee);
    }
    CHECK(f->foreign == 0 && f->registered == 0);
    CHECK(ops->copy_h2d(dev, NULL, p + 4 * MIB - n + 1, pool, n) == 1); /* leaves its allocation */
    CHECK(ops->copy_d2h(dev, NULL, pool, POOL, 8) == 1);
    ops->pool_drop(dev, pool, 8 * MIB); /* no copy is under way */
}

/* A copy starts when its stream is there, and a fault ends the wait for that. */
CASE(test_staged_order)
{
    uint8_t *pool = open_no_pin(2 * MIB);
    uint64_t p;

    CHECK(ops->mem_alloc(dev, MIB, &p) == 0);
    memset(pool, 1, MIB);
    f->hold = 1;
    CHECK(ops->copy_d2h(dev, NULL, pool, p, MIB) == 0);
    usleep(20000); /* long enough for a crew that does not wait to be caught */
    CHECK(pool[0] == 1 && pool[MIB - 1] == 1);
    CHECK((int32_t)(*f->wait_word - f->wait_value) < 0);
    f->fail = "cuCtxSynchronize";
    f->error = 700;
    CHECK(ops->ctx_sync(dev) == 700 && faults == 1);
    ops->pool_drop(dev, pool, 2 * MIB);
    CHECK(pool[0] == 1);
}

static void *limit(void *arg)
{
    CHECK(ops->set_limit(dev, 0, 4096) == 0);
    return arg;
}

/* A call that may wait for the device keeps others out: no copy may be under way then. */
CASE(test_staged_hold)
{
    uint8_t *pool = open_no_pin(2 * MIB);
    pthread_t t;
    uint64_t p;

    CHECK(ops->mem_alloc(dev, MIB, &p) == 0);
    f->hold = 1;
    CHECK(ops->copy_h2d(dev, NULL, p, pool, MIB) == 0);
    CHECK(pthread_create(&t, NULL, limit, NULL) == 0);
    usleep(20000); /* long enough for one that does not wait to be caught */
    CHECK(!strstr(f->calls, "cuCtxSetLimit "));
    f->hold = 0;
    *f->write_word = f->write_value; /* what was not written then */
    CHECK(pthread_join(t, NULL) == 0);
    CHECK(strstr(strstr(f->calls, "cuMemcpyHtoDAsync"), "cuCtxSetLimit "));
    CHECK(ops->copy_h2d(dev, NULL, p, pool, MIB) == 0); /* and after it they may again */
    stream_passes();
    ops->pool_drop(dev, pool, 2 * MIB);
}

/* A first launch would load code: so that is done before it, and once. */
CASE(test_staged_launch)
{
    const char ptx[] = ".version 9.0\n.target sm_90\n";
    const struct dev_launch l = {.grid = {1, 1, 1}, .block = {1, 1, 1}};
    struct dev_module *m;
    const char *first;
    char log[64];

    open_no_pin(2 * MIB);
    f->kernels = 1;
    CHECK(ops->module_load(dev, ptx, sizeof(ptx), &m, log, sizeof(log)) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(ops->launch(dev, ops->module_func(m, 0), &l, NULL) == 0);
    first = strstr(f->calls, "cuFuncLoad ");
    CHECK(first && strstr(first, "cuLaunchKernelEx ") && !strstr(first + 1, "cuFuncLoad "));
}

/* ---- staging buffers of the guest's library ------------------------------------------------ */

static _Atomic unsigned told;

static void on_told(void *arg)
{
    told++;
}

static void wait_told(unsigned n)
{
    while (told < n)
        usleep(100);
}

/* Nothing in the stream waits for a word, and the counter comes after the octets. */
CASE(test_berth)
{
    const size_t sizes[] = {1, 4096, 65536, 512 * 1024, 2 * MIB - 3, 2 * MIB};
    uint8_t *pool = open_no_pin(8 * MIB);
    uint32_t counter = 0;
    uint64_t p;

    CHECK(ops->mem_alloc(dev, 4 * MIB, &p) == 0);
    for (unsigned k = 0; k < 60; k++) { /* more than there are berths */
        const size_t n = sizes[k % 6];

        for (size_t i = 0; i < n; i++)
            pool[i] = (uint8_t)(i * 7 + (i >> 8) + k);
        memset(pool + 4 * MIB, 0xee, 4 * MIB);
        CHECK(ops->copy->stage_put(dev, NULL, p + 3, pool, n) == 0);
        CHECK(memcmp(f->vram + (p - f->base) + 3, pool, n) == 0);
        memset(pool, 0, 1); /* it has been read */
        CHECK(ops->copy->stage_get(dev, NULL, pool + 4 * MIB, p + 3, n, &counter, k + 1, on_told,
                                   NULL) == 0);
        wait_told(k + 1);
        CHECK(counter == k + 1 && told == k + 1);
        CHECK(memcmp(pool + 4 * MIB, f->vram + (p - f->base) + 3, n) == 0);
        CHECK(pool[4 * MIB + n] == 0xee);
    }
    CHECK(f->foreign == 0 && f->registered == 0 && f->wait_word == NULL);
    CHECK(ops->copy->stage_put(dev, NULL, p + 4 * MIB - 7, pool, 8) ==
          1); /* leaves its allocation */
    CHECK(ops->copy->stage_get(dev, NULL, pool, POOL, 8, &counter, 1, on_told, NULL) == 1);
    CHECK(ops->copy->stage_put(dev, NULL, p, pool, 2 * MIB + 1) == DEV_NOT_STAGED);
    CHECK(counter == 60);
    ops->pool_drop(dev, pool, 8 * MIB);
}

/* While streams do not get there, berths run out, and nobody waits for one. */
CASE(test_berth_full)
{
    uint8_t *pool = open_no_pin(2 * MIB);
    uint32_t *words[16], counter[16] = {0};
    unsigned n = 0, values[16];
    uint64_t p;
    int err;

    CHECK(ops->mem_alloc(dev, 2 * MIB, &p) == 0);
    f->hold = 1;
    for (;;) {
        if (n % 2)
            err = ops->copy->stage_put(dev, NULL, p, pool, 70000);
        else
            err = ops->copy->stage_get(dev, NULL, pool, p, 70000, &counter[n], 5, on_told, NULL);
        if (err)
            break;
        words[n] = f->write_word;
        values[n++] = f->write_value;
        CHECK(n < 16);
    }
    CHECK(err == DEV_NOT_STAGED && n > 4);
    usleep(20000); /* long enough for a crew that does not wait to be caught */
    CHECK(told == 0 && counter[0] == 0);
    for (unsigned i = 0; i < n; i++)
        __atomic_store_n(words[i], values[i], __ATOMIC_RELEASE);
    wait_told((n + 1) / 2);
    CHECK(counter[0] == 5 && counter[n - 1 - !(n % 2)] == 5);
    f->hold = 0;
    CHECK(ops->copy->stage_put(dev, NULL, p, pool, 70000) == 0);
    ops->pool_drop(dev, pool, 2 * MIB);
}

/* A stream that is not there keeps nobody from loading code, and a fault ends the wait. */
CASE(test_berth_fault)
{
    uint8_t *pool = open_no_pin(2 * MIB);
    uint32_t counter = 0;
    uint64_t p;

    CHECK(ops->mem_alloc(dev, MIB, &p) == 0);
    memset(pool, 1, MIB);
    f->hold = 1;
    CHECK(ops->copy->stage_get(dev, NULL, pool, p, MIB, &counter, 9, on_told, NULL) == 0);
    f->hold = 0;
    CHECK(ops->set_limit(dev, 0, 4096) == 0);
    CHECK(told == 0);
    f->fail = "cuCtxSynchronize";
    f->error = 700;
    CHECK(ops->ctx_sync(dev) == 700 && faults == 1);
    ops->pool_drop(dev, pool, 2 * MIB);
    CHECK(counter == 9 && told == 1 && pool[0] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_staged),      cmocka_unit_test(test_staged_order),
        cmocka_unit_test(test_staged_hold), cmocka_unit_test(test_staged_launch),
        cmocka_unit_test(test_berth),       cmocka_unit_test(test_berth_full),
        cmocka_unit_test(test_berth_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
