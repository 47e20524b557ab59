/* SPDX-License-Identifier: MIT */
#include "tests/unit/ptx_fixture.h"

#include <signal.h>
#include <sys/mman.h>

#define WINDOW (1ull << 32)

struct ptx_fault pf_fault;
char pf_log[512], pf_printed[4096];
struct ptx_launch pf_extra;
static struct ptx_mem mem;
static uint64_t next_addr;
static struct ptx_module *module;
static struct ptx_exec *exec_state;

static void on_signal(int sig, siginfo_t *si, void *uc)
{
    if (!ptx_exec_signal(sig, si))
        signal(sig, SIG_DFL);
}

int pf_setup(void **state)
{
    const char *lanes = getenv("GVM_TEST_JIT"); /* the same tests with compiled code */

    memset(&pf_extra, 0, sizeof(pf_extra));
    if (lanes && !ptx_jit_load(PTX_JIT_FIRST, pf_log, sizeof(pf_log))) {
        fprintf(stderr, "%s\n", pf_log);
        return -1;
    }
    if (lanes)
        ptx_jit_lanes((unsigned)atoi(lanes));
    if (mem.base) {
        madvise((void *)(uintptr_t)mem.base, WINDOW, MADV_DONTNEED);
        mprotect((void *)(uintptr_t)mem.base, WINDOW, PROT_NONE);
        next_addr = mem.base + 65536;
        return 0;
    }
    char *p = mmap(NULL, 2 * WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return -1;
    mem.base = ((uint64_t)(uintptr_t)p + WINDOW - 1) & ~(WINDOW - 1);
    mem.mask = WINDOW - 1;
    next_addr = mem.base + 65536;
    exec_state = ptx_exec_new();
    return exec_state ? 0 : -1;
}

struct ptx_mem pf_mem(void)
{
    return mem;
}

struct ptx_module *pf_module(void)
{
    return module;
}

uint64_t pf_alloc(size_t bytes)
{
    uint64_t a = next_addr, n = (bytes + 4095) & ~4095ull;

    assert_int_equal(mprotect((void *)(uintptr_t)a, n, PROT_READ | PROT_WRITE), 0);
    next_addr = a + n + 65536;
    return a;
}

int pf_load(const char *ptx)
{
    ptx_module_free(module);
    module = NULL;
    pf_printed[0] = 0;
    int err = ptx_module_parse(ptx, strlen(ptx), &module, pf_log, sizeof(pf_log));
    if (err)
        return err;
    uint64_t addr[64];
    unsigned n = ptx_module_nvar(module);
    assert_true(n <= 64);
    for (unsigned i = 0; i < n; i++) {
        addr[i] = pf_alloc(ptx_module_var(module, i).size + 1);
        ptx_module_set_var_addr(module, i, addr[i]);
    }
    for (unsigned i = 0; i < n; i++)
        ptx_module_var_init(module, i, (void *)(uintptr_t)addr[i]);
    return 0;
}

int pf_load_sm(const char *body)
{
    static char text[1 << 18];

    assert_true(strlen(body) < sizeof(text) - 100);
    sprintf(text, ".version 8.0\n.target sm_90\n.address_size 64\n%s", body);
    return pf_load(text);
}

static void on_print(void *arg, const char *text, size_t n)
{
    size_t have = strlen(pf_printed);

    assert_true(have + n < sizeof(pf_printed));
    memcpy(pf_printed + have, text, n);
    pf_printed[have + n] = 0;
}

static uint64_t on_malloc(void *arg, uint64_t bytes)
{
    return bytes && bytes < 1 << 20 ? pf_alloc(bytes) : 0;
}

int pf_run3(const char *name, const uint32_t grid[3], const uint32_t block[3], unsigned nargs,
            const uint64_t *args)
{
    struct ptx_kernel *k = NULL;
    struct ptx_launch l = pf_extra;
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER}, old[2];
    uint8_t params[4096] = {0};

    for (unsigned i = 0; i < ptx_module_nkernel(module); i++)
        if (!strcmp(ptx_kernel_name(ptx_module_kernel(module, i)), name))
            k = ptx_module_kernel(module, i);
    assert_non_null(k);
    int err = ptx_kernel_prepare(k, pf_log, sizeof(pf_log));
    if (err)
        return err;
    assert_int_equal(ptx_kernel_nparam(k), nargs);
    for (unsigned i = 0; i < nargs; i++) {
        uint32_t off, size;
        ptx_kernel_param(k, i, &off, &size);
        memcpy(params + off, &args[i], size < 8 ? size : 8);
    }
    memcpy(l.grid, grid, sizeof(l.grid));
    memcpy(l.block, block, sizeof(l.block));
    l.params = params;
    l.params_len = ptx_kernel_param_bytes(k);
    l.mem = mem;
    l.print = on_print;
    l.heap_alloc = on_malloc;
    sigaction(SIGSEGV, &sa, &old[0]); /* cmocka has handlers of its own */
    sigaction(SIGBUS, &sa, &old[1]);
    err = ptx_exec_ctas(k, &l, exec_state, 0, (uint64_t)grid[0] * grid[1] * grid[2], &pf_fault);
    sigaction(SIGSEGV, &old[0], NULL);
    sigaction(SIGBUS, &old[1], NULL);
    return err;
}

int pf_run(const char *name, uint32_t grid, uint32_t block, unsigned nargs, ...)
{
    uint64_t args[8];
    va_list ap;

    va_start(ap, nargs);
    for (unsigned i = 0; i < nargs && i < 8; i++)
        args[i] = va_arg(ap, uint64_t);
    va_end(ap);
    return pf_run3(name, (uint32_t[]){grid, 1, 1}, (uint32_t[]){block, 1, 1}, nargs, args);
}

bool pf_compiler(void)
{
    char log[300];

    if (ptx_jit_load(PTX_JIT_FIRST, log, sizeof(log)))
        return true;
    print_message("skipped: %s\n", log);
    return false;
}

void pf_lanes(unsigned lanes)
{
    ptx_jit_set(lanes ? PTX_JIT_FIRST : PTX_JIT_OFF);
    ptx_jit_lanes(lanes);
}
