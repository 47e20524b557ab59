/* SPDX-License-Identifier: MIT */
/*
 * wild.c - kernels that no compiler writes. Driver API and PTX text, so that it runs natively too.
 *
 *   wild NAME...   runs each kernel in a context of its own; a line "NAME ERROR" for each, with what
 *                  cuCtxSynchronize() said
 *
 * store: to addresses everywhere; load: the same; shared, local: far out of their space; spin: for
 * ever; wait: for ever at a barrier, half of the block; recurse: calls itself for ever; stack: local
 * memory beyond what there is; heap: malloc until there is none, all of it written; text: printf for
 * ever; index: a jump by a wild number; pointer: a call of a wild address; middle: a call of an address
 * within a function; trap. memory: no kernel, cuMemAlloc until there is none. turns: no error, 60 kernels
 * of 25 ms one after the other.
 */
#include <cuda.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY(name, body)                                                                          \
    ".visible .entry " name "(.param .u64 p)\n{\n"                                                 \
    ".reg .pred %q<4>;\n.reg .b32 %r<16>;\n.reg .b64 %rd<16>;\n"                                   \
    ".shared .align 16 .b8 sm_" name "[256];\n.local .align 16 .b8 lo_" name "[64];\n"             \
    "ld.param.u64 %rd1, [p];\nmov.u32 %r1, %tid.x;\nmov.u32 %r2, %ctaid.x;\n"                      \
    "mad.lo.u32 %r3, %r2, 64, %r1;\ncvt.u64.u32 %rd2, %r3;\n" body "\nret;\n}\n"

/* Every block begins elsewhere; the addresses have all sizes, and none is the same as another. */
#define SWEEP(what)                                                                                \
    "mul.lo.u64 %rd3, %rd2, 0x9e3779b97f4a7c15;\nmov.u32 %r4, 0;\n"                                \
    "L: mul.lo.u64 %rd3, %rd3, 6364136223846793005;\nadd.u64 %rd3, %rd3, 1442695040888963407;\n"   \
    "and.b32 %r5, %r4, 63;\nshr.u64 %rd4, %rd3, %r5;\nand.b64 %rd4, %rd4, -8;\n" what              \
    "add.u32 %r4, %r4, 1;\nsetp.lt.u32 %q1, %r4, 1000000;\n@%q1 bra L;"

static const char text[] =
    ".version 7.0\n.target sm_75\n.address_size 64\n"
    ".extern .func (.param .b64 r) malloc (.param .b64 n);\n"
    ".extern .func (.param .b32 r) vprintf (.param .b64 f, .param .b64 a);\n"
    ".global .align 1 .b8 words[40] = {110, 111, 98, 111, 100, 121, 32, 114, 101, 97, 100, 115, "
    "32, "
    "116, 104, 105, 115, 10, 0};\n"
    ".func deeper(.param .b64 p, .param .b32 n)\n{\n"
    ".reg .b32 %r<4>;\n.reg .b64 %rd<4>;\n.local .align 8 .b8 room[64];\n"
    "ld.param.b64 %rd1, [p];\nld.param.b32 %r1, [n];\nadd.u32 %r2, %r1, 1;\n"
    "st.local.u32 [room], %r2;\nst.global.u32 [%rd1], %r2;\n"
    "{ .param .b64 a;\n.param .b32 b;\nst.param.b64 [a], %rd1;\nst.param.b32 [b], %r2;\n"
    "call.uni deeper, (a, b); }\n"
    "ld.local.u32 %r3, [room];\nst.global.u32 [%rd1+4], %r3;\nret;\n}\n"
    /* clang-format off */
    ENTRY("store", SWEEP("st.u64 [%rd4], %rd3;\n"))
    ENTRY("load", SWEEP("ld.u64 %rd5, [%rd4];\nst.global.u64 [%rd1], %rd5;\n"))
    ENTRY("shared", "mov.u32 %r6, sm_shared;\nshl.b32 %r7, %r3, 16;\nadd.u32 %r6, %r6, %r7;\n"
          "add.u32 %r6, %r6, 0x7fff0000;\nst.shared.u32 [%r6], %r3;")
    ENTRY("local", "mov.u64 %rd6, lo_local;\nadd.u64 %rd6, %rd6, 0x40000000;\nst.local.u32 [%rd6], %r3;")
    ENTRY("spin", "L: st.volatile.global.u32 [%rd1], %r3;\nbra L;")
    ENTRY("wait", "and.b32 %r6, %r1, 32;\nsetp.ne.u32 %q1, %r6, 0;\nmov.u32 %r7, 64;\n"
          "L: @%q1 bra L;\nbar.sync 0, %r7;")
    ENTRY("recurse", "{ .param .b64 a;\n.param .b32 b;\nst.param.b64 [a], %rd1;\nst.param.b32 [b], 0;\n"
          "call.uni deeper, (a, b); }")
    ENTRY("stack", ".local .align 16 .b8 much[500000];\nmov.u64 %rd6, much;\nmov.u32 %r6, 0;\n"
          "L: st.local.u32 [%rd6], %r6;\nadd.u64 %rd6, %rd6, 4096;\nadd.u32 %r6, %r6, 1;\n"
          "setp.lt.u32 %q1, %r6, 400;\n@%q1 bra L;")
    ENTRY("heap", "L: { .param .b64 n;\n.param .b64 r;\nst.param.b64 [n], 100000;\n"
          "call.uni (r), malloc, (n);\nld.param.b64 %rd6, [r]; }\n"
          "setp.eq.u64 %q1, %rd6, 0;\n@%q1 bra E;\nmov.u32 %r6, 0;\n"
          "W: st.u64 [%rd6], %rd2;\nadd.u64 %rd6, %rd6, 8;\nadd.u32 %r6, %r6, 8;\n"
          "setp.lt.u32 %q2, %r6, 100000;\n@%q2 bra W;\nbra L;\nE:")
    ENTRY("text", "L: { .param .b64 f;\n.param .b64 a;\n.param .b32 r;\nmov.u64 %rd6, words;\n"
          "cvta.global.u64 %rd7, %rd6;\nst.param.b64 [f], %rd7;\nst.param.b64 [a], 0;\n"
          "call.uni (r), vprintf, (f, a); }\nbra L;")
    ENTRY("index", "mul.lo.u32 %r6, %r3, 0x10001;\nadd.u32 %r6, %r6, 3;\n"
          "T: .branchtargets A, B;\nbrx.idx %r6, T;\nA: st.global.u32 [%rd1], 1;\n"
          "B: st.global.u32 [%rd1], 2;")
    ENTRY("pointer", "mul.lo.u64 %rd6, %rd2, 0x9e3779b97f4a7c15;\nadd.u64 %rd6, %rd6, 4096;\n"
          "P: .callprototype _ ();\ncall %rd6, (), P;")
    ENTRY("middle", "mov.u64 %rd6, deeper;\nadd.u64 %rd6, %rd6, 3;\n"
          "{ .param .b64 a;\n.param .b32 b;\nst.param.b64 [a], %rd1;\nst.param.b32 [b], 0;\n"
          "P: .callprototype _ (.param .b64 _, .param .b32 _);\ncall %rd6, (a, b), P; }")
    ENTRY("trap", "trap;")
    ENTRY("turns", "mov.u64 %rd6, %globaltimer;\nL: mov.u64 %rd7, %globaltimer;\n"
          "sub.u64 %rd7, %rd7, %rd6;\nsetp.lt.u64 %q1, %rd7, 25000000;\n@%q1 bra L;");
/* clang-format on */

static int memory(void)
{
    CUdeviceptr p;
    unsigned n = 0;
    size_t size = 256u << 20;
    int err;

    for (;;) {
        err = cuMemAlloc(&p, size);
        if (!err && (err = cuMemsetD8(p, 0xa5, size)))
            return err;
        if (err && size <= 4096)
            return err;
        if (err)
            size /= 2;
        if (++n > 1000000)
            return 0;
    }
}

static int kernel(CUmodule mod, const char *name, CUdeviceptr p)
{
    const bool turns = !strcmp(name, "turns");
    void *args[] = {&p};
    CUfunction f;
    int err = cuModuleGetFunction(&f, mod, name);

    for (unsigned i = 0; !err && i < (turns ? 60 : 1); i++)
        err = cuLaunchKernel(f, turns ? 1 : 16, 1, 1, 64, 1, 1, 0, NULL, args, NULL);
    return err ? err : (int)cuCtxSynchronize();
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        static char log[1024];
        CUjit_option o[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
        void *v[] = {log, (void *)(uintptr_t)sizeof(log)};
        CUdeviceptr p = 0;
        CUmodule mod = NULL;
        CUcontext ctx;
        CUdevice dev;
        int err;

        if ((err = cuInit(0)) || (err = cuDeviceGet(&dev, 0)) ||
            (err = cuCtxCreate(&ctx, NULL, 0, dev)) || (err = cuMemAlloc(&p, 65536)) ||
            (err = cuModuleLoadDataEx(&mod, text, 2, o, v))) {
            printf("%s cannot begin: error %d %s\n", argv[i], err, log);
            return 1;
        }
        printf("%s begins\n", argv[i]);
        fflush(stdout);
        err = strcmp(argv[i], "memory") ? kernel(mod, argv[i], p) : memory();
        printf("%s %d\n", argv[i], err);
        fflush(stdout);
        cuCtxDestroy(ctx);
    }
    return 0;
}
