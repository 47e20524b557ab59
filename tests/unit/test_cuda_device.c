/* SPDX-License-Identifier: MIT */
/*
 * device/cuda on a library that only pretends to be a driver's.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

#include "dom0-backend/device/device_link.h"
#include "dom0-backend/device/device_memory.h"
#include "dom0-backend/device/device_share.h"
#include "dom0-backend/device/device_texture.h"
#include "tests/unit/cuda_case.h"

/* ---- which library, which device */

CASE(test_no_library)
{
    CHECK(open_with(DIR "nothing.so", NULL, 0, false) == 100);
    CHECK(ops->count() == 0);
}

CASE(test_shim_is_refused)
{
    CHECK(open_with(SHIM, NULL, 0, false) == 100);
    CHECK(ops->count() == 0);
}

CASE(test_old_driver)
{
    CHECK(open_with(OLD, NULL, 0, false) == 100);
}

CASE(test_missing_family)
{
    struct dev_module *m;
    char log[128];

    CHECK(open_with(BARE, NULL, 0, false) == 0);
    CHECK(ops->module_load(dev, "x", 2, &m, log, sizeof(log)) == 801);
    CHECK(strstr(log, "12.4"));
}

CASE(test_count)
{
    setenv("GVM_LIBCUDA", DRIVER, 1);
    CHECK(ops->count() == 2);
}

CASE(test_select)
{
    static const char *const bad[] = {"2",      "-1", "1x",
                                      "GPU-a1", "x0", "GPU-b1b1b1b1-b1b1-b1b1-b1b1-b1b1b1b1b1b1"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(open_with(DRIVER, bad[i], 0, false) == 101);
    CHECK(open_with(DRIVER, UUID1, 0, false) == 0);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    CHECK(f->device == 1);
}

CASE(test_select_index)
{
    struct dev_info info;

    CHECK(open_with(DRIVER, "1", 16 * MIB, false) == 0);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    CHECK(f->device == 1);
    CHECK(f->flags & 4); /* CU_CTX_SCHED_BLOCKING_SYNC */
    ops->info(dev, &info);
    CHECK(info.total_mem == 16 * MIB);
    CHECK(info.uuid[0] == 0xa1 && info.caps == DEV_CAP_POOL_DIRECT);
}

CASE(test_no_pin)
{
    struct dev_info info;
    uint32_t word = 0;
    struct dev_event *e;

    CHECK(open_with(DRIVER, NULL, 0, true) == 0);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    CHECK(ops->pool_add(dev, (void *)POOL, MIB) == 0);
    ops->info(dev, &info);
    CHECK(info.caps == 0);
    CHECK(ops->channel_add(dev, &word, sizeof(word)) == 801);
    CHECK(ops->event_create(dev, 0, &e) == 0);
    CHECK(ops->event_record_write32(dev, e, NULL, &word, 7, NULL, NULL) == 0);
    CHECK(f->registered == 0 && word == 0);
    f->host_fn(f->host_arg);
    CHECK(word == 7);
}

/* ---- order, errors, output */

/* Registered once, whole; afterwards the GPU writes there by itself. */
CASE(test_channel)
{
    _Alignas(4096) static uint32_t page[20 * 1024];

    open_driver(0);
    CHECK(ops->channel_add(dev, page, sizeof(page)) == 0);
    CHECK(ops->stream_write32(dev, NULL, &page[19 * 1024], 3, NULL, NULL) == 0);
    CHECK(f->registered == 1 && page[19 * 1024] == 3);
    CHECK(ops->stream_write32(dev, NULL, &page[4], 3, NULL, NULL) == 0);
    CHECK(f->registered == 1 && page[4] == 3);
    /* A prepared one is told of twice, and used in between. */
    ops->prepare(dev, NULL, &page[16 * 1024], 4096);
    CHECK(ops->channel_add(dev, page, sizeof(page)) == 0);
    CHECK(ops->stream_write32(dev, NULL, &page[16 * 1024], 5, NULL, NULL) == 0);
    CHECK(f->registered == 1 && page[16 * 1024] == 5);
    CHECK(ops->look(dev) == 0);
}

CASE(test_event_order)
{
    _Alignas(4096) static uint32_t page[1024];
    struct dev_event *e;

    open_driver(0);
    CHECK(ops->event_create(dev, 0, &e) == 0);
    CHECK(ops->event_record_write32(dev, e, NULL, &page[2], 1, NULL, NULL) == 0);
    CHECK(f->registered == 1); /* the page, at its first use */
    f->calls[0] = '\0';
    CHECK(ops->event_record_write32(dev, e, NULL, &page[3], 9, NULL, NULL) == 0);
    CHECK(page[3] == 9);
    CHECK(strstr(f->calls, "cuEventRecord cuStreamWriteValue32_v2 cuEventRecord "));
    f->calls[0] = '\0';
    CHECK(ops->stream_wait(dev, NULL, e) == 0);
    CHECK(!strcmp(f->calls, "cuStreamWaitEvent cuStreamWaitEvent "));
}

/* An idle stream is kept for the next one that is made alike. */
CASE(test_streams_again)
{
    struct dev_stream *s, *first;

    open_driver(0);
    CHECK(ops->stream_create(dev, 1, -2, &first) == 0);
    CHECK(ops->stream_destroy(dev, first) == 0);
    CHECK(ops->stream_create(dev, 0, -2, &s) == 0 && s != first);
    CHECK(ops->stream_create(dev, 1, 0, &s) == 0 && s != first);
    CHECK(ops->stream_create(dev, 1, -2, &s) == 0 && s == first);
    f->fail = "cuStreamQuery"; /* it has work */
    f->error = 600;
    f->calls[0] = '\0';
    CHECK(ops->stream_destroy(dev, s) == 0);
    CHECK(!strcmp(f->calls, "cuStreamQuery cuStreamDestroy_v2 "));
    f->fail = NULL;
    CHECK(ops->stream_create(dev, 1, -2, &s) == 0);
    CHECK(ops->link->stream_set(dev, s, 1, (const uint8_t[64]){0}) == 0);
    f->calls[0] = '\0';
    CHECK(ops->stream_destroy(dev, s) == 0);
    CHECK(!strcmp(f->calls, "cuStreamDestroy_v2 "));
}

static void count_up(void *arg)
{
    sem_post(arg);
}

CASE(test_fault)
{
    static sem_t ran;
    uint64_t p;

    open_driver(0);
    sem_init(&ran, 0, 0);
    CHECK(ops->stream_host(dev, NULL, count_up, &ran) == 0);
    f->fail = "cuCtxSynchronize";
    f->error = 700;
    CHECK(ops->ctx_sync(dev) == 700);
    CHECK(faults == 1 && fault_error == 700);
    f->fail = NULL;
    f->calls[0] = '\0';
    CHECK(ops->ctx_sync(dev) == 700);
    CHECK(ops->mem_alloc(dev, 1, &p) == 700);
    CHECK(faults == 1 && !strstr(f->calls, "cuCtxSynchronize"));
    sem_wait(&ran); /* whoever waits for the stream goes on */
    f->host_fn(f->host_arg);
    CHECK(sem_trywait(&ran) < 0); /* once only */
}

CASE(test_quiet_error)
{
    open_driver(0);
    f->fail = "cuCtxSynchronize";
    f->error = 2;
    CHECK(ops->ctx_sync(dev) == 2);
    f->fail = NULL;
    CHECK(ops->ctx_sync(dev) == 0 && faults == 0);
}

/* Memory is there when it is pinned, and is what it was. */
CASE(test_pool_pages)
{
    const size_t len = 17 * MIB + 4096;
    uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static uint8_t there[(17 * MIB >> 12) + 1];
    size_t n = 0;

    open_driver(0);
    CHECK(p != MAP_FAILED);
    p[0] = p[8 * MIB] = p[len - 1] = 0x5a;
    CHECK(ops->pool_add(dev, p, len) == 0);
    CHECK(p[0] == 0x5a && p[8 * MIB] == 0x5a && p[len - 1] == 0x5a && p[1] == 0);
    CHECK(mincore(p, len, there) == 0);
    for (size_t i = 0; i < sizeof(there); i++)
        n += there[i] & 1;
    CHECK(n == sizeof(there) || sysconf(_SC_NPROCESSORS_ONLN) < 2 ||
          madvise(p, 4096, 23 /* MADV_POPULATE_WRITE */));
}

/* Whatever fails while a worker gets ready, a guest finds all its memory and no fault. */
CASE(test_prepare)
{
    static const char *const fails[] = {NULL, "cuModuleLoadDataEx", "cuMemCreate",
                                        "cuMemcpyHtoDAsync_v2", "cuStreamCreateWithPriority"};
    static uint32_t counters[4096] __attribute__((aligned(4096)));
    static uint8_t pool[1 << 20] __attribute__((aligned(4096)));
    uint64_t left, total;

    open_driver(64 * MIB);
    for (size_t i = 0; i < sizeof(fails) / sizeof(fails[0]); i++) {
        f->fail = fails[i];
        f->error = 2;
        ops->prepare(dev, i % 2 ? NULL : pool, i % 2 ? NULL : counters, 4096);
        f->fail = NULL;
        CHECK(ops->mem_info(dev, &left, &total) == 0 && left == 64 * MIB && total == 64 * MIB);
        CHECK(faults == 0 && counters[0] == 0 && counters[4095] == 0);
    }
    CHECK(strstr(f->calls, "cuLaunchHostFunc"));
}

CASE(test_output)
{
    open_driver(0);
    f->print = "hello from a kernel\n";
    CHECK(ops->ctx_sync(dev) == 0);
    CHECK(text_len == strlen(f->print) && !memcmp(text, f->print, text_len));
}

/* ---- memory of other processes */

/* Two allocations in one chunk; what a worker is given of the second one, and what it makes of it. */
CASE(test_share)
{
    struct dev_share s;
    uint64_t a, b, p, size, used;
    unsigned maps;

    open_driver(8 * MIB);
    CHECK(ops->mem_alloc(dev, 3000, &a) == 0 && ops->mem_alloc(dev, 5000, &b) == 0);
    CHECK(ops->share->mem_export(dev, b + 512, &s) == 1);
    CHECK(ops->share->mem_export(dev, b, &s) == 0);
    CHECK(s.fd >= 0 && s.meta[0] == 2 * MIB && s.meta[1] == b - a && s.meta[2] == 5000);
    used = f->used;
    maps = f->maps;
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 0);
    CHECK(size == 5000 && (p - s.meta[1]) % (2 * MIB) == 0 && p != b);
    CHECK(ops->share->mem_close(dev, p + 512) == 1);
    f->calls[0] = '\0';
    CHECK(ops->share->mem_close(dev, p) == 0);
    CHECK(strstr(f->calls, "cuCtxSynchronize") < strstr(f->calls, "cuMemUnmap"));
    CHECK(f->used == used && f->maps == maps);
    CHECK(ops->share->mem_close(dev, p) == 1);
    /* Nothing is left of an import that the driver refuses half-way. */
    f->fail = "cuMemSetAccess";
    f->error = 1;
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 1);
    CHECK(f->used == used && f->maps == maps);
    f->fail = "cuMemMap";
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 1);
    f->fail = "cuMemImportFromShareableHandle";
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 1);
    CHECK(f->used == used && f->maps == maps);
    f->fail = NULL;
    /* It counts against the quota here as well. */
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 0);
    CHECK(ops->share->mem_import(dev, &s, &a, &size) == 0);
    CHECK(ops->share->mem_import(dev, &s, &a, &size) == 0);
    CHECK(ops->share->mem_import(dev, &s, &a, &size) == 2);
    CHECK(ops->share->mem_close(dev, p) == 0);
    CHECK(ops->share->mem_import(dev, &s, &a, &size) == 0);
}

/* What another worker says is checked before the driver sees any of it. */
CASE(test_share_lies)
{
    static const uint64_t lies[][3] = {
        {0, 0, 100},
        {2 * MIB - 4096, 0, 100},
        {2 * MIB, 2 * MIB, 1},
        {2 * MIB, 0, 0},
        {2 * MIB, 0, 2 * MIB + 1},
        {2 * MIB, 4096, UINT64_MAX},
        {2 * MIB, UINT64_MAX - 4095, 4096},
    };
    struct dev_share s = {.fd = 2};
    struct dev_memory *m;
    uint64_t p, size;

    open_driver(0);
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        memcpy(s.meta, lies[i], sizeof(lies[i]));
        CHECK(ops->share->mem_import(dev, &s, &p, &size) == 1);
    }
    s = (struct dev_share){.fd = -1, .meta = {2 * MIB, 0, 100}};
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 1);
    CHECK(ops->share->memory_import(dev, &s, &m, &size) == 1);
    CHECK(calls_of("cuMemImport") == 0);
    CHECK(f->maps == 0);
}

/* ---- another process off the GPU */

enum { STATE_RUNNING, STATE_LOCKED, STATE_CHECKPOINTED }; /* CUprocessState */

CASE(test_park)
{
    const char *why = NULL;

    setenv("GVM_LIBCUDA", DRIVER, 1);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    f->process_state = STATE_CHECKPOINTED;
    CHECK(ops->park(1234, 500, &why) == 0);
    CHECK(strcmp(f->calls, "cuInit cuCheckpointProcessLock cuCheckpointProcessCheckpoint ") == 0);
    f->calls[0] = '\0';
    CHECK(ops->unpark(1234, &why) == 0);
    CHECK(strcmp(f->calls, "cuInit cuCheckpointProcessGetState cuCheckpointProcessRestore "
                           "cuCheckpointProcessUnlock ") == 0);
    /* Whoever parked it has ended half way. */
    f->calls[0] = '\0';
    f->process_state = STATE_LOCKED;
    CHECK(ops->unpark(1234, &why) == 0);
    CHECK(calls_of("cuCheckpointProcessRestore") == 0 &&
          calls_of("cuCheckpointProcessUnlock") == 1);
    f->calls[0] = '\0';
    f->process_state = STATE_RUNNING;
    CHECK(ops->unpark(1234, &why) == 0);
    CHECK(strcmp(f->calls, "cuInit cuCheckpointProcessGetState ") == 0);
}

/* What cannot be taken off is left as it was. */
CASE(test_park_refused)
{
    const char *why = NULL;

    setenv("GVM_LIBCUDA", DRIVER, 1);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    f->process_state = STATE_CHECKPOINTED;
    f->fail = "cuCheckpointProcessLock";
    f->error = 600;
    CHECK(ops->park(1234, 500, &why) == 600 && strstr(why, "not ended within 500 ms"));
    CHECK(calls_of("cuCheckpointProcessCheckpoint") == 0);
    f->error = 3;
    CHECK(ops->park(1234, 500, &why) == 3 && strstr(why, "names of the worker's threads"));
    CHECK(calls_of("cuCheckpointProcessCheckpoint") == 0);
    f->fail = "cuCheckpointProcessCheckpoint";
    f->error = 304;
    CHECK(ops->park(1234, 500, &why) == 304 && strstr(why, "(304)"));
    CHECK(calls_of("cuCheckpointProcessUnlock") == 1);
    f->fail = "cuCheckpointProcessRestore";
    CHECK(ops->unpark(1234, &why) == 304);
    CHECK(calls_of("cuCheckpointProcessUnlock") == 1);
}

CASE(test_park_old_driver)
{
    const char *why = NULL;

    setenv("GVM_LIBCUDA", BARE, 1);
    CHECK(ops->park(1234, 500, &why) == 801 && strstr(why, "R570"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_park),
        cmocka_unit_test(test_park_refused),
        cmocka_unit_test(test_park_old_driver),
        cmocka_unit_test(test_no_library),
        cmocka_unit_test(test_shim_is_refused),
        cmocka_unit_test(test_old_driver),
        cmocka_unit_test(test_missing_family),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_share_lies),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_select_index),
        cmocka_unit_test(test_no_pin),
        cmocka_unit_test(test_event_order),
        cmocka_unit_test(test_fault),
        cmocka_unit_test(test_quiet_error),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_streams_again),
        cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_channel),
        cmocka_unit_test(test_pool_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
