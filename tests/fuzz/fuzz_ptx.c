/* SPDX-License-Identifier: MIT */
/*
 * PTX text from a guest: parse, lower every kernel, and run it for a bounded time on one small
 * block whose memory is a few pages of a window. The window's own pages, the interpreter's state
 * and the process must come out whole.
 */
#include <pthread.h>
#include <signal.h>
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
    char *p = mmap(NULL, 2 * WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        abort();
    mem.base = ((uint64_t)(uintptr_t)p + WINDOW - 1) & ~(WINDOW - 1);
    mem.mask = WINDOW - 1;
    if (mprotect((void *)(uintptr_t)(mem.base + (1 << 20)), DATA, PROT_READ | PROT_WRITE))
        abort();
    sigaction(SIGSEGV, &segv, NULL);
    sigaction(SIGBUS, &segv, NULL);
    sigaction(SIGUSR1, &alrm, NULL);
    x = ptx_exec_new();
    if (!x)
        abort();
}

static void run(struct ptx_kernel *k, timer_t timer)
{
    struct ptx_launch l = {
        .grid = {2, 1, 1}, .block = {40, 1, 1}, .shmem = 256, .mem = mem, .stop = &stop};
    struct itimerspec t = {.it_value = {.tv_nsec = RUN_NS}}, off = {0};
    uint8_t params[32768];
    struct ptx_fault fault;
    char log[512];

    if (ptx_kernel_prepare(k, log, sizeof(log)))
        return;
    /* every 8-byte word of the parameters: an address in the data, usable as a count too */
    uint64_t a = mem.base + (1 << 20);
    for (size_t i = 0; i < sizeof(params); i += 8)
        memcpy(params + i, &a, 8);
    l.params = params;
    l.params_len = ptx_kernel_param_bytes(k);
    stop = 0;
    timer_settime(timer, 0, &t, NULL);
    ptx_exec_ctas(k, &l, x, 0, 2, &fault);
    timer_settime(timer, 0, &off, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static timer_t timer;
    struct ptx_module *m;
    char log[512];

    if (!x) {
        struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
        init();
        if (timer_create(CLOCK_MONOTONIC, &ev, &timer))
            abort();
    }
    if (ptx_module_parse((const char *)data, n, &m, log, sizeof(log)))
        return 0;
    uint64_t at = mem.base + (1 << 20) + 4096;
    for (unsigned i = 0; i < ptx_module_nvar(m); i++) {
        struct ptx_var v = ptx_module_var(m, i);
        if (v.size > 4096) { /* the caller gives such a variable memory or refuses the module */
            ptx_module_free(m);
            return 0;
        }
        ptx_module_set_var_addr(m, i, at);
        ptx_module_var_init(m, i, (void *)(uintptr_t)at);
    }
    for (unsigned i = 0; i < ptx_module_nkernel(m) && i < 4; i++)
        run(ptx_module_kernel(m, i), timer);
    ptx_module_free(m);
    return 0;
}
