/* SPDX-License-Identifier: MIT */
/* side_soft.c - the software device's front end and interpreter, or its compiler. */
#include "side.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dom0-backend/device/ptx/ptx.h"

#define WINDOW (1ull << 30)
static struct ptx_mem mem;
static uint64_t next;
static struct ptx_module *module;
static struct ptx_exec *exec_state;

static void on_signal(int sig, siginfo_t *si, void *uc)
{
    if (!ptx_exec_signal(sig, si))
        signal(sig, SIG_DFL);
}

static uint64_t soft_alloc(size_t n)
{
    uint64_t a = next;

    n = (n + 4095) & ~(size_t)4095;
    if (a + n + 65536 > mem.base + WINDOW || mprotect((void *)a, n, PROT_READ | PROT_WRITE)) {
        perror("device memory");
        exit(2);
    }
    next += n + 65536; /* a hole follows each */
    return a;
}

static void soft_put(uint64_t to, const void *from, size_t n)
{
    memcpy((void *)(uintptr_t)to, from, n);
}

static void soft_get(void *to, uint64_t from, size_t n)
{
    memcpy(to, (void *)(uintptr_t)from, n);
}

static int soft_load(const char *text, char *log, size_t log_n)
{
    ptx_module_free(module);
    module = NULL;
    return ptx_module_parse(text, strlen(text), &module, log, log_n);
}

static int soft_run(const char *kernel, uint32_t grid, const uint32_t block[3], uint32_t shmem,
                    const uint64_t *args, unsigned nargs, char *log, size_t log_n)
{
    struct ptx_kernel *k = NULL;
    struct ptx_fault fault;
    int err;

    for (unsigned i = 0; i < ptx_module_nkernel(module) && !k; i++)
        if (!strcmp(ptx_kernel_name(ptx_module_kernel(module, i)), kernel))
            k = ptx_module_kernel(module, i);
    snprintf(log, log_n, "no kernel %s", kernel);
    if (!k)
        return 500;
    if ((err = ptx_kernel_prepare(k, log, log_n)))
        return err;
    struct ptx_launch l = {.grid = {grid, 1, 1},
                           .block = {block[0], block[1], block[2]},
                           .shmem = shmem,
                           .params = (const uint8_t *)args,
                           .params_len = nargs * 8,
                           .mem = mem};
    if ((err = ptx_exec_ctas(k, &l, exec_state, 0, grid, &fault)))
        snprintf(log, log_n, "%s", fault.what);
    return err;
}

const struct side *side_soft(int lanes)
{
    static const struct side s = {soft_alloc, soft_put, soft_get, soft_load, soft_run};
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    static char why[300];
    static int loaded = -1;
    char *p;

    if (!exec_state) {
        p = mmap(NULL, 2 * WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) {
            perror("mmap");
            exit(2);
        }
        mem.base = ((uint64_t)(uintptr_t)p + WINDOW - 1) & ~(WINDOW - 1);
        mem.mask = WINDOW - 1;
        next = mem.base + 65536;
        exec_state = ptx_exec_new();
        sigaction(SIGSEGV, &sa, NULL);
        sigaction(SIGBUS, &sa, NULL);
    }
    if (lanes < 0) {
        ptx_jit_set(PTX_JIT_OFF);
        return &s;
    }
    if (loaded < 0)
        loaded = ptx_jit_load(PTX_JIT_FIRST, why, sizeof(why));
    if (!loaded) {
        fprintf(stderr, "%s\n", why);
        exit(2);
    }
    ptx_jit_set(PTX_JIT_FIRST);
    ptx_jit_lanes((unsigned)lanes);
    return &s;
}
