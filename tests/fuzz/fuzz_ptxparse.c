/* SPDX-License-Identifier: MIT */
/*
 * PTX text from a guest through the parser and the verifier only, which nothing slows down as running
 * kernels does in fuzz_ptx.c: many more texts a second. What is said about each kernel beforehand must
 * hold: parameters lie where the sum of their sizes says, a refusal has its reason in one line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/device/ptx/ptx.h"

static void one_line(const char *what, const char *log)
{
    if (*log && !strchr(log, '\n'))
        return;
    fprintf(stderr, "fuzz_ptxparse: %s, and the line is '%s'\n", what, log);
    abort();
}

static void kernel(struct ptx_kernel *k)
{
    char log[512] = "";

    for (unsigned i = 0; i < ptx_kernel_nparam(k); i++) {
        uint32_t offset, size;

        ptx_kernel_param(k, i, &offset, &size);
        if ((uint64_t)offset + size > ptx_kernel_param_bytes(k)) {
            fprintf(stderr, "fuzz_ptxparse: parameter %u ends behind all of them\n", i);
            abort();
        }
    }
    if (ptx_kernel_prepare(k, log, sizeof(log)))
        one_line("a kernel is refused", log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ptx_module *m;
    char log[512] = "";

    if (ptx_module_parse((const char *)data, n, &m, log, sizeof(log))) {
        one_line("a text is refused", log);
        return 0;
    }
    for (unsigned i = 0; i < ptx_module_nvar(m); i++) {
        struct ptx_var v = ptx_module_var(m, i);
        void *to = v.size <= 4096 ? malloc(v.size ? v.size : 1) : NULL;

        ptx_module_set_var_addr(m, i, ((uint64_t)(i + 1) << 32) + 4096);
        if (!to) /* who loads it gives such a variable memory or refuses the module */
            continue;
        ptx_module_var_init(m, i, to); /* no octet behind its size: the allocator looks */
        free(to);
    }
    for (unsigned i = 0; i < ptx_module_nkernel(m) && i < 8; i++)
        kernel(ptx_module_kernel(m, i));
    ptx_module_free(m);
    return 0;
}
