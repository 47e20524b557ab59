/* SPDX-License-Identifier: MIT */
/*
 * cuda_prepare.c - first uses. A driver makes much of what it needs when it is first needed: mappings,
 * queues of the copy engines, code of its own kernels, threads. A worker that waits for a guest does
 * all of it once.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cuda_int.h"
#include "cuda_stream.h"
#include "dom0-backend/common/log.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define SLICE  (8u << 20)
#define HANDS  4u
#define LARGE  (1u << 20)
#define WORDS  1024u /* of a page */
#define STREAM CU_STREAM_LEGACY

struct slice {
    pthread_t thread;
    char *addr;
    size_t len;
    bool started;
};

static void *populate(void *arg)
{
    const struct slice *s = arg;

    madvise(s->addr, s->len, MADV_POPULATE_WRITE);
    return NULL;
}

/* The driver would make them one after the other: 33 ms for 64 MiB, of which pinning takes 5. */
void cudev_populate(void *addr, size_t len)
{
    struct slice s[HANDS];
    cpu_set_t set;
    unsigned n = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;

    n = n < HANDS ? n : HANDS;
    if (n < 2 || len < SLICE)
        return;
    for (unsigned i = 0; i < n; i++) {
        size_t from = len / n * i / 4096 * 4096,
               to = i + 1 < n ? len / n * (i + 1) / 4096 * 4096 : len;

        s[i] = (struct slice){.addr = (char *)addr + from, .len = to - from};
        s[i].started = i && pthread_create(&s[i].thread, NULL, populate, &s[i]) == 0;
    }
    for (unsigned i = 0; i < n; i++) {
        if (s[i].started)
            pthread_join(s[i].thread, NULL);
        else
            populate(&s[i]);
    }
}

static void CUDA_CB nothing(void *arg)
{
}

static int run_kernel(void)
{
    static const char text[] = ".version 7.0\n.target sm_52\n.address_size 64\n"
                               ".visible .entry first(.param .u64 p)\n{\nret;\n}\n";
    uint64_t zero = 0;
    void *params[] = {&zero};
    CUlaunchConfig c = {1, 1, 1, 1, 1, 1, 0, STREAM, NULL, 0};
    CUfunction f;
    CUmodule m;
    int err = (int)cu.cuModuleLoadDataEx(&m, text, 0, NULL, NULL);

    if (err)
        return err;
    err = (int)cu.cuModuleGetFunction(&f, m, "first");
    for (int i = 0; i < 2 && !err; i++)
        err = (int)cu.cuLaunchKernelEx(&c, f, params, NULL);
    cu.cuCtxSynchronize();
    /* It stays: with the last module the driver gives back the memory that code lies in, and the
     * guest's first one would have to ask for it again. */
    return err;
}

static int use_streams_and_events(struct dev *d)
{
    struct dev_stream *s = NULL;
    struct dev_event *e = NULL;
    int err = cudev_stream_create(d, CU_STREAM_NON_BLOCKING, 0, &s);

    if (!err)
        err = cudev_event_create(d, 0, &e);
    if (!err)
        err = cudev_event_record(d, e, s);
    if (!err)
        err = cudev_event_sync(d, e);
    if (!err)
        err = cudev_stream_sync(d, s);
    if (e)
        cudev_event_destroy(d, e);
    if (s)
        cudev_stream_destroy(d, s);
    return err;
}

static int copy_and_fill(struct dev *d, uint64_t at, void *mem)
{
    static const size_t sizes[] = {4, 64u << 10, LARGE};
    int err = 0;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !err; i++) {
        err = (int)cu.cuMemsetD8Async(at, 0, sizes[i], STREAM);
        if (!err)
            err = (int)cu.cuMemcpyHtoDAsync_v2(at, mem, sizes[i], STREAM);
        if (!err)
            err = (int)cu.cuMemcpyDtoHAsync_v2(mem, at, sizes[i], STREAM);
        if (!err)
            err = (int)cu.cuStreamSynchronize(STREAM);
    }
    if (!err)
        err = (int)cu.cuMemcpyDtoDAsync_v2(at, at + 4096, 4096, STREAM);
    if (!err)
        err = (int)cu.cuMemsetD32Async(at, 0, 1024, STREAM);
    return err;
}

static int count(struct dev *d, uint32_t *counters, size_t n)
{
    int err = 0;

    for (size_t i = 0; i < n && !err; i += WORDS)
        if (cudev_watch_reach(d, &counters[i]))
            err = (int)cu.cuStreamWriteValue32_v2(STREAM, (CUdeviceptr)(uintptr_t)&counters[i],
                                                  counters[i], 0);
    return err;
}

void cudev_prepare(struct dev *d, void *pool, uint32_t *counters, size_t n)
{
    void *mem = pool ? pool : calloc(1, LARGE);
    uint64_t at = 0;
    int err = cudev_enter(d);

    if (!err)
        err = run_kernel();
    if (!err && mem)
        err = cudev_mem_alloc(d, LARGE, &at);
    if (!err && mem)
        err = copy_and_fill(d, at, mem);
    if (!err)
        err = use_streams_and_events(d);
    if (!err)
        err = (int)cu.cuLaunchHostFunc(STREAM, nothing, NULL);
    if (!err && counters)
        err = count(d, counters, n);
    if (cudev_wait_all(d) == 0 && at)
        cudev_mem_free(d, at); /* its chunk stays, as that of any small block */
    if (!pool)
        free(mem);
    if (err)
        log_debug("not everything could be used once: CUDA error %d", err);
}
