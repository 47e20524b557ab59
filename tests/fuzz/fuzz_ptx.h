/* SPDX-License-Identifier: MIT */
/*
 * fuzz_ptx.h - what the targets that run PTX share: a window with some pages of data, and a limit to
 * how long a kernel runs.
 */
#ifndef GVM_FUZZ_PTX_H
#define GVM_FUZZ_PTX_H

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "dom0-backend/device/ptx/ptx.h"

#define WINDOW (1ull << 32)
#define AT     (1u << 20) /* of the data in the window */
#define DATA   65536u     /* octets of it, readable and writable */
#define RUN_NS 20000000ll /* a kernel may run this long */

static struct ptx_mem mem;
static struct ptx_exec *x; /* NULL: not set up yet */
static uint8_t *data_at;
static volatile int stop;
static timer_t timer;

static inline void on_segv(int sig, siginfo_t *si, void *uc)
{
    (void)uc;
    if (!ptx_exec_signal(sig, si))
        signal(sig, SIG_DFL); /* ours: crash for the fuzzer to see */
}

static inline void on_timer(int sig)
{
    (void)sig;
    stop = 1;
}

static inline void set_up(void)
{
    struct sigaction segv = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction alrm = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    char *p = mmap(NULL, 2 * WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        abort();
    mem.base = ((uint64_t)(uintptr_t)p + WINDOW - 1) & ~(WINDOW - 1);
    mem.mask = WINDOW - 1;
    data_at = (uint8_t *)(uintptr_t)(mem.base + AT);
    if (mprotect(data_at, DATA, PROT_READ | PROT_WRITE))
        abort();
    sigaction(SIGSEGV, &segv, NULL);
    sigaction(SIGBUS, &segv, NULL);
    sigaction(SIGUSR1, &alrm, NULL);
    x = ptx_exec_new();
    if (!x || timer_create(CLOCK_MONOTONIC, &ev, &timer))
        abort();
}

/* Runs CTAs of a kernel for a bounded time. Every word of 8 octets of its parameters is an address in
 * the data, usable as a count, too. */
static inline int run_ctas(struct ptx_kernel *k, uint32_t ctas, uint32_t threads)
{
    static uint8_t params[32768];
    struct ptx_launch l = {.grid = {ctas, 1, 1},
                           .block = {threads, 1, 1},
                           .shmem = 256,
                           .mem = mem,
                           .stop = &stop,
                           .params = params,
                           .params_len = ptx_kernel_param_bytes(k)};
    struct itimerspec t = {.it_value = {.tv_nsec = RUN_NS}}, off = {0};
    uint64_t a = mem.base + AT;
    struct ptx_fault fault;
    int err;

    for (size_t i = 0; i < sizeof(params); i += 8)
        memcpy(params + i, &a, 8);
    stop = 0;
    timer_settime(timer, 0, &t, NULL);
    err = ptx_exec_ctas(k, &l, x, 0, ctas, &fault);
    timer_settime(timer, 0, &off, NULL);
    return err;
}

/* Variables of a module behind a page of data; `image`: of the data, where their octets go. False: one
 * is larger than a page, which the caller gives memory or refuses. */
static inline bool place_vars(struct ptx_module *m, uint8_t *image)
{
    for (unsigned i = 0; i < ptx_module_nvar(m); i++) {
        if (ptx_module_var(m, i).size > 4096)
            return false;
        ptx_module_set_var_addr(m, i, mem.base + AT + 4096);
        ptx_module_var_init(m, i, image + 4096);
    }
    return true;
}

#endif
