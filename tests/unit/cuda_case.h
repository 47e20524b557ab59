/* SPDX-License-Identifier: MIT */
/*
 * cuda_case.h - what tests of device/cuda on a pretended driver (fake_cuda.c) share. Each case runs in
 * a child of its own, as the device takes descriptors 1 and 2 and its library stays loaded.
 */
#ifndef GVM_TESTS_CUDA_CASE_H
#define GVM_TESTS_CUDA_CASE_H

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "dom0-backend/device/device.h"
#include "tests/unit/fake_cuda.h"

#ifndef BUILD_DIR
#define BUILD_DIR "build"
#endif
#define DIR    BUILD_DIR "/unit/fake/"
#define DRIVER DIR "libcuda.so.1"
#define OLD    DIR "libcuda-old.so.1"  /* lacks cuMemCreate */
#define BARE   DIR "libcuda-bare.so.1" /* lacks cuModuleGetFunctionCount */
#define SHIM   DIR "libcuda-shim.so.1" /* has the mark of GVM's own */
#define POOL   0x180000000000ull
#define MIB    (1ull << 20)
#define UUID1  "GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1"

/* Not there without CUDA's headers. */
extern const struct dev_ops dev_cuda_ops __attribute__((weak));
static const struct dev_ops *const ops = &dev_cuda_ops;
static struct fake *f;
static struct dev *dev;
static int tell; /* the test's own descriptor 2 */
static int faults, fault_error;
static char text[256];
static size_t text_len;
static uint64_t busy;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            dprintf(tell, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);                       \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static inline void on_fault(void *arg, int err, const char *what)
{
    faults++;
    fault_error = err;
}

static inline void on_output(void *arg, int fd, const char *t, size_t n)
{
    if (n > sizeof(text) - text_len)
        n = sizeof(text) - text_len;
    memcpy(text + text_len, t, n);
    text_len += n;
}

static inline int open_with(const char *library, const char *select, uint64_t limit, bool no_pin)
{
    struct dev_config cfg = {.select = select,
                             .mem_limit = limit,
                             .pool_base = (void *)POOL,
                             .pool_size = 64 * MIB,
                             .no_pin = no_pin,
                             .on_fault = on_fault,
                             .on_output = on_output,
                             .busy_ns = &busy};

    setenv("GVM_LIBCUDA", library, 1);
    return ops->open(&cfg, &dev);
}

static inline void open_driver(uint64_t limit)
{
    CHECK(open_with(DRIVER, NULL, limit, false) == 0);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    CHECK(f);
    f->calls[0] = '\0';
}

static uint64_t guest_left, for_others; /* of a guest's quota, and set aside for parked workers */

static inline bool quota_take(void *arg, uint64_t bytes)
{
    if (bytes > guest_left)
        return false;
    guest_left -= bytes;
    return true;
}

static inline void quota_give(void *arg, uint64_t bytes)
{
    guest_left += bytes;
}

static inline uint64_t quota_left(void *arg)
{
    return guest_left;
}

static inline uint64_t quota_reserved(void *arg)
{
    return for_others;
}

/* A worker of a guest with a quota; `limit`: this worker's own. */
static inline int open_quota(uint64_t limit)
{
    static const struct dev_quota quota = {
        .take = quota_take, .give = quota_give, .left = quota_left, .reserved = quota_reserved};
    struct dev_config cfg = {.mem_limit = limit,
                             .quota = &quota,
                             .pool_base = (void *)POOL,
                             .pool_size = 64 * MIB,
                             .on_fault = on_fault,
                             .on_output = on_output};
    int err;

    setenv("GVM_LIBCUDA", DRIVER, 1);
    err = ops->open(&cfg, &dev);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    CHECK(f);
    return err;
}

/* How often the driver was called by this name. */
static inline unsigned calls_of(const char *name)
{
    unsigned n = 0;

    for (const char *p = f->calls; (p = strstr(p, name)); p++)
        n++;
    return n;
}

static inline void run(void (*body)(void))
{
    int status;
    pid_t pid;

    if (!ops) {
        print_message("device/cuda is not built: skipped\n");
        skip();
    }
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        tell = dup(2);
        alarm(20);
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define CASE(name)                                                                                 \
    static void name##_body(void);                                                                 \
    static void name(void **state)                                                                 \
    {                                                                                              \
        run(name##_body);                                                                          \
    }                                                                                              \
    static void name##_body(void)

#endif
