/* SPDX-License-Identifier: MIT */
/*
 * PTX text from a guest through the compiler: parse, compile every kernel for some number of lanes,
 * run it on a small block, and let the interpreter do the same. Nothing but the data's pages may be
 * written, whatever the text is. One warp of 32 lanes runs in the interpreter's order in both, so
 * memory must be the same afterwards, but for what tells the time and for NaNs of double precision.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "dom0-backend/device/ptx/ptx.h"

#define WINDOW (1ull << 32)
#define DATA   65536u     /* readable and writable, at 1 MiB into the window */
#define RUN_NS 20000000ll /* a kernel may run this long */

static struct ptx_mem mem;
static struct ptx_exec *x;
static volatile int stop;
static uint8_t *data_at;
static uint8_t first[DATA], want[DATA];
static timer_t timer;

static void on_segv(int sig, siginfo_t *si, void *uc)
{
    (void)uc;
    if (!ptx_exec_signal(sig, si))
        signal(sig, SIG_DFL); /* ours: crash for the fuzzer to see */
}

static void on_timer(int sig)
{
    (void)sig;
    stop = 1;
}

static void init(void)
{
    struct sigaction segv = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction alrm = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    char *p = mmap(NULL, 2 * WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char log[300];

    if (p == MAP_FAILED)
        abort();
    mem.base = ((uint64_t)(uintptr_t)p + WINDOW - 1) & ~(WINDOW - 1);
    mem.mask = WINDOW - 1;
    data_at = (uint8_t *)(uintptr_t)(mem.base + (1 << 20));
    if (mprotect(data_at, DATA, PROT_READ | PROT_WRITE))
        abort();
    sigaction(SIGSEGV, &segv, NULL);
    sigaction(SIGBUS, &segv, NULL);
    sigaction(SIGUSR1, &alrm, NULL);
    x = ptx_exec_new();
    if (!x || timer_create(CLOCK_MONOTONIC, &ev, &timer))
        abort();
    if (!ptx_jit_load(PTX_JIT_FIRST, log, sizeof(log))) {
        fprintf(stderr, "fuzz_ptxjit: %s\n", log);
        abort();
    }
}

/* The launch, from the same memory each time. */
static int run(struct ptx_kernel *k, uint32_t threads, enum ptx_jit mode)
{
    struct ptx_launch l = {
        .grid = {1, 1, 1}, .block = {threads, 1, 1}, .shmem = 256, .mem = mem, .stop = &stop};
    struct itimerspec t = {.it_value = {.tv_nsec = RUN_NS}}, off = {0};
    static uint8_t params[32768];
    struct ptx_fault fault;
    uint64_t a = mem.base + (1 << 20);
    int err;

    for (size_t i = 0; i < sizeof(params); i += 8)
        memcpy(params + i, &a, 8);
    memcpy(data_at, first, DATA);
    l.params = params;
    l.params_len = ptx_kernel_param_bytes(k);
    ptx_jit_set(mode);
    stop = 0;
    timer_settime(timer, 0, &t, NULL);
    err = ptx_exec_ctas(k, &l, x, 0, 1, &fault);
    timer_settime(timer, 0, &off, NULL);
    return err;
}

static int has(const uint8_t *data, size_t n, const char *word)
{
    return memmem(data, n, word, strlen(word)) != NULL;
}

static void both(struct ptx_kernel *k, uint32_t choice, int same)
{
    static const uint32_t widths[] = {0, 1, 8, 16, 32};
    const uint32_t lanes = widths[choice % 5];
    char log[512];
    int err[2];

    if (ptx_kernel_prepare(k, log, sizeof(log)))
        return;
    ptx_jit_lanes(lanes);
    if (lanes && lanes < 32) { /* parts of warps have an order of their own */
        run(k, 40, PTX_JIT_FIRST);
        return;
    }
    err[0] = run(k, 32, PTX_JIT_OFF);
    memcpy(want, data_at, DATA);
    err[1] = run(k, 32, PTX_JIT_FIRST);
    if (err[0] == 702 || err[1] == 702 || !same)
        return;
    if (err[0] != err[1] || (!err[0] && memcmp(want, data_at, DATA))) {
        fprintf(stderr, "kernel %s: interpreted: error %d, compiled: error %d\n",
                ptx_kernel_name(k), err[0], err[1]);
        for (uint32_t i = 0; !err[0] && i < DATA; i++)
            if (want[i] != data_at[i]) {
                fprintf(stderr, "octet %u: 0x%02x, 0x%02x\n", i, want[i], data_at[i]);
                break;
            }
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ptx_module *m;
    uint32_t choice = 0;
    char log[512];

    if (!x)
        init();
    if (n > 12000) /* compilations are slow enough as they are */
        return 0;
    if (ptx_module_parse((const char *)data, n, &m, log, sizeof(log)))
        return 0;
    for (size_t i = 0; i < n; i++)
        choice = choice * 31 + data[i];
    memset(first, 0, DATA);
    uint64_t at = mem.base + (1 << 20) + 4096;
    for (unsigned i = 0; i < ptx_module_nvar(m); i++) {
        struct ptx_var v = ptx_module_var(m, i);
        if (v.size > 4096) {
            ptx_module_free(m);
            return 0;
        }
        ptx_module_set_var_addr(m, i, at);
        ptx_module_var_init(m, i, first + (at - mem.base - (1 << 20)));
    }
    for (unsigned i = 0; i < ptx_module_nkernel(m) && i < 4; i++)
        both(ptx_module_kernel(m, i), choice / 5 + i,
             !has(data, n, "clock") && !has(data, n, "timer") && !has(data, n, "f64"));
    ptx_module_free(m);
    return 0;
}
