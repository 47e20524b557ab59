/* SPDX-License-Identifier: MIT */
/*
 * PTX text from a guest through the compiler: parse, compile every kernel for some number of lanes,
 * run it on a small block, and let the interpreter do the same. Nothing but the data's pages may be
 * written, whatever the text is. One warp of 32 lanes runs in the interpreter's order in both, so
 * memory must be the same afterwards, but for what tells the time and for NaNs of double precision.
 */
#include <stdio.h>

#include "tests/fuzz/fuzz_ptx.h"

static uint8_t first[DATA], want[DATA];

static void init(void)
{
    char log[300];

    set_up();
    if (!ptx_jit_load(PTX_JIT_FIRST, log, sizeof(log))) {
        fprintf(stderr, "fuzz_ptxjit: %s\n", log);
        abort();
    }
}

/* The launch, from the same memory each time: shared and local memory, which nobody clears for a
 * kernel, too. */
static int run(struct ptx_kernel *k, uint32_t threads, enum ptx_jit mode)
{
    ptx_exec_free(x);
    x = ptx_exec_new();
    if (!x)
        abort();
    memcpy(data_at, first, DATA);
    ptx_jit_set(mode);
    return run_ctas(k, 1, threads);
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
    if (err[0] == 702 || err[1] == 702 || !same || ptx_jit_unset(k))
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
    bool placed = place_vars(m, first);
    for (unsigned i = 0; placed && i < ptx_module_nkernel(m) && i < 4; i++)
        both(ptx_module_kernel(m, i), choice / 5 + i,
             !has(data, n, "clock") && !has(data, n, "timer") && !has(data, n, "f64"));
    ptx_module_free(m);
    return 0;
}
