/* SPDX-License-Identifier: MIT */
/*
 * PTX text from a guest: parse, lower every kernel, and run it for a bounded time on one small
 * block whose memory is a few pages of a window. The window's own pages, the interpreter's state
 * and the process must come out whole.
 */
#include "tests/fuzz/fuzz_ptx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ptx_module *m;
    char log[512];

    if (!x)
        set_up();
    if (ptx_module_parse((const char *)data, n, &m, log, sizeof(log)))
        return 0;
    bool placed = place_vars(m, data_at);
    for (unsigned i = 0; placed && i < ptx_module_nkernel(m) && i < 4; i++) {
        struct ptx_kernel *k = ptx_module_kernel(m, i);

        if (!ptx_kernel_prepare(k, log, sizeof(log)))
            run_ctas(k, 2, 40);
    }
    ptx_module_free(m);
    return 0;
}
