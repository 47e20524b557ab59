/* SPDX-License-Identifier: MIT */
/* Execution: faults and their reports, hostile kernels, calls, local memory, printf, arithmetic
 * that differs from C's. Instruction by instruction: tests/ptx. */
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "tests/unit/ptx_fixture.h"

#define REGS                                                                                       \
    ".reg .b32 %r<20>; .reg .b64 %rd<9>; .reg .pred %p<6>; .reg .b16 %h<4>; "                      \
    ".reg .f32 %f<9>; .reg .f64 %fd<4>; .reg .b32 %t; .reg .b64 %o;\n"
#define K(name, body)                                                                              \
    ".visible .entry " name "(.param .u64 out)\n{\n" REGS                                          \
    "mov.u32 %t, %tid.x; mul.wide.u32 %rd1, %t, 4; ld.param.u64 %o, [out]; add.s64 %o, %o, "       \
    "%rd1;\n" body "\nret;\n}\n"

static uint32_t *out;
static int run(const char *kernel, unsigned grid, unsigned block)
{
    uint64_t a = pf_alloc(8192);
    out = pf_u32(a);
    return pf_run(kernel, grid, block, 1, a);
}

static void load(const char *text)
{
    if (pf_load_sm(text))
        fail_msg("%s", pf_log);
}

/* ---- faults -------------------------------------------------------------------------------------- */

static void fault_reports(void **state)
{
    load(K("far", "setp.ne.u32 %p1, %t, 37; @%p1 bra E;\n"
                  "st.global.u32 [%o+0x1000000], %t;\nE:"));
    uint64_t a = pf_alloc(4096);
    assert_int_equal(pf_run3("far", (uint32_t[]){3, 1, 1}, (uint32_t[]){64, 1, 1}, 1, &a), 700);
    assert_int_equal(pf_fault.err, 700);
    assert_int_equal(pf_fault.thread[0], 37);
    assert_int_equal(pf_fault.cta[0], 0);
    assert_int_equal(pf_fault.line, 9);
    assert_int_equal(pf_fault.addr, a + 37 * 4 + 0x1000000);
    assert_string_equal(pf_fault.kernel, "far");
    assert_non_null(strstr(pf_fault.what, "thread (37,0,0)"));
    /* and the state is usable afterwards */
    load(K("ok", "st.global.u32 [%o], 9;"));
    assert_int_equal(run("ok", 1, 32), 0);
    assert_int_equal(out[31], 9);
}

static void outside_the_window(void **state)
{
    static const uint64_t where[] = {0,
                                     8,
                                     0x7fff00000000,
                                     UINT64_MAX - 7,
                                     1ull << 63,
                                     PTX_APERTURE_FUNC,
                                     PTX_APERTURE_SHARED + (1 << 20),
                                     PTX_APERTURE_LOCAL + (1 << 20),
                                     PTX_APERTURE_PARAM + 64,
                                     PTX_APERTURE_SHARED - 8};
    static uint64_t host = 5;

    load(".visible .entry g(.param .u64 a) { .reg .b64 %rd<3>; ld.param.u64 %rd1, [a];\n"
         "st.u64 [%rd1], %rd1; ret; }\n"
         ".visible .entry l(.param .u64 a) { .reg .b64 %rd<3>; ld.param.u64 %rd1, [a];\n"
         "ld.global.u64 %rd2, [%rd1]; st.global.u64 [%rd1], %rd2; ret; }\n"
         ".visible .entry at(.param .u64 a) { .reg .b64 %rd<3>; ld.param.u64 %rd1, [a];\n"
         "atom.global.add.u64 %rd2, [%rd1], 1; ret; }\n");
    for (unsigned i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
        assert_int_equal(pf_run("g", 1, 7, 1, where[i]), 700);
        assert_int_equal(pf_fault.addr, where[i]);
        assert_int_equal(pf_run("l", 1, 32, 1, where[i]), 700);
        assert_int_equal(pf_run("at", 1, 1, 1, where[i]), 700);
    }
    assert_int_equal(pf_run("g", 1, 32, 1, (uint64_t)(uintptr_t)&host), 700);
    assert_int_equal(pf_run("g", 1, 32, 1, pf_mem().base + pf_mem().mask + 1), 700);
    assert_int_equal(pf_run("g", 1, 32, 1, pf_mem().base), 700); /* inside, not mapped */
    assert_int_equal(host, 5);
}

static void misaligned(void **state)
{
    load(K("k", "ld.global.u32 %r1, [%o+2];")
             K("v", "ld.global.v4.u32 {%r1,%r2,%r3,%r4}, [%o+8];") ".shared .b8 sm[64];\n" K(
                 "s", "mov.u32 %r1, sm; st.shared.u64 [%r1+4], %rd1;")
                 K("a", "atom.global.add.u32 %r1, [%o+1], 1;"));
    assert_int_equal(run("k", 1, 32), 716);
    assert_int_equal(run("v", 1, 1), 716);
    assert_int_equal(run("s", 1, 32), 716);
    assert_int_equal(run("a", 1, 32), 716);
}

static void shared_and_local_bounds(void **state)
{
    load(".shared .align 8 .b8 sm[64]; .extern .shared .align 8 .b8 dyn[];\n" K(
        "s", "mov.u32 %r1, sm; st.shared.u32 [%r1+60], %t; st.shared.u32 [%r1+64], %t;")
             K("d",
               "mov.u32 %r1, dyn; st.shared.u32 [%r1+124], %t; ld.shared.u32 %r2, [%r1+124];\n"
               "st.global.u32 [%o], %r2;") K("neg", "mov.u32 %r1, sm; st.shared.u32 [%r1+-4], %t;")
                 K("loc",
                   ".local .align 8 .b8 lm[64]; mov.u64 %rd2, lm; mul.wide.u32 %rd3, %t, 4096;\n"
                   "add.s64 %rd2, %rd2, %rd3; st.local.u32 [%rd2], %t;"));
    assert_int_equal(run("s", 1, 32), 700);
    assert_int_equal(pf_fault.line, 9); /* header, .shared, entry, {, registers, %t */
    assert_int_equal(run("neg", 1, 32), 700);
    assert_int_equal(run("d", 1, 1), 700);
    pf_extra.shmem = 128;
    assert_int_equal(run("d", 1, 1), 0);
    pf_extra.shmem = 300000;
    assert_int_equal(run("d", 1, 1), 1);
    pf_extra.shmem = 0;
    assert_int_equal(run("loc", 1, 1), 0);
    assert_int_equal(run("loc", 1, 2), 700);
    assert_int_equal(pf_fault.thread[0], 1);
}

/* What nvcc makes of a kernel with groups of several warps (cooperative groups, sm_80 and later): 288
 * octets of the system's shared memory, behind the program's own, and not part of it. */
static void reserved_shared_memory(void **state)
{
    static const char text[] =
        ".visible .entry k(.param .u64 p, .param .u32 at)\n{\n.reg .b32 %r<12>;\n.reg .b64 "
        "%rd<3>;\n"
        ".shared .align 4 .b8 sm[100];\nld.param.u64 %rd1, [p];\nld.param.u32 %r9, [at];\n"
        "mov.u32 %r1, %reserved_smem_offset_1;\nmov.u32 %r2, %reserved_smem_offset_begin;\n"
        "mov.u32 %r3, %reserved_smem_offset_end;\nmov.u32 %r4, %total_smem_size;\n"
        "st.global.u32 [%rd1], %r1;\nst.global.u32 [%rd1+4], %r2;\nst.global.u32 [%rd1+8], %r3;\n"
        "st.global.u32 [%rd1+12], %r4;\nmov.u32 %r5, %reserved_smem_offset_cap;\n"
        "st.global.u32 [%rd1+16], %r5;\nadd.u32 %r6, %r1, %r9;\nst.shared.u32 [%r6], 77;\n"
        "ld.shared.u32 %r7, [%r6];\nst.global.u32 [%rd1+20], %r7;\n"
        "mov.u32 %r8, sm;\nst.shared.u32 [%r8], "
        "%r8;\ngriddepcontrol.wait;\ngriddepcontrol.launch_dependents;\nret;\n}\n";
    static const char plain[] =
        ".visible .entry k(.param .u64 p, .param .u32 at)\n{\n.reg .b32 %r<12>;\n"
        ".shared .align 4 .b8 sm[100];\nld.param.u32 %r9, [at];\nmov.u32 %r1, sm;\n"
        "add.u32 %r1, %r1, %r9;\nst.shared.u32 [%r1], 77;\nret;\n}\n";
    uint32_t *p;
    uint64_t a;

    assert_int_equal(pf_load_sm(text), 0);
    a = pf_alloc(64);
    p = pf_u32(a);
    pf_extra.shmem = 60;
    assert_int_equal(pf_run("k", 2, 64, 2, a, (uint64_t)284), 0);
    assert_true(p[1] >= 160 && p[0] >= p[1] && p[0] + 288 <= p[2] && p[0] % 8 == 0);
    assert_int_equal(p[3], 160);
    assert_int_equal(p[4], p[2] - p[1]);
    assert_int_equal(p[5], 77);
    assert_int_equal(pf_run("k", 1, 32, 2, a, (uint64_t)(p[2] - p[0])), 700);
    /* Who does not ask has none. */
    assert_int_equal(pf_load_sm(plain), 0);
    assert_int_equal(pf_run("k", 1, 32, 2, a, (uint64_t)156), 0);
    assert_int_equal(pf_run("k", 1, 32, 2, a, (uint64_t)160), 700);
    pf_extra.shmem = 0;
}

/* Double precision, as nvcc makes it of wmma::fragment<..., 8, 8, 4, double>. */
static void double_matrices(void **state)
{
    static const char text[] =
        ".visible .entry k(.param .u64 p)\n{\n.reg .b32 %r<4>;\n.reg .b64 %rd<6>;\n.reg .f64 "
        "%fd<9>;\n"
        "ld.param.u64 %rd1, [p];\nmov.u32 %r1, 4;\nmov.u32 %r2, 9;\nadd.u64 %rd2, %rd1, 1024;\n"
        "wmma.load.a.sync.aligned.row.m8n8k4.f64 {%fd1}, [%rd1], %r1;\n"
        "wmma.load.b.sync.aligned.col.m8n8k4.f64 {%fd2}, [%rd1+256], %r1;\n"
        "wmma.load.c.sync.aligned.row.m8n8k4.f64 {%fd3, %fd4}, [%rd1+512];\n"
        "wmma.mma.sync.aligned.row.col.m8n8k4.f64.f64.f64.f64.rn {%fd5, %fd6}, {%fd1}, {%fd2}, "
        "{%fd3, %fd4};\n"
        "wmma.store.d.sync.aligned.col.m8n8k4.f64 [%rd2], {%fd5, %fd6}, %r2;\nret;\n}\n";
    double *m, want;
    uint64_t a;

    assert_int_equal(pf_load_sm(text), 0);
    a = pf_alloc(2048);
    m = (double *)(uintptr_t)a;
    for (unsigned i = 0; i < 128; i++)
        m[i] = 1.0 / (i + 3) - 0.05;
    if (pf_run("k", 1, 32, 1, a))
        fail_msg("%s %s", pf_log, pf_fault.what);
    for (unsigned i = 0; i < 8; i++)
        for (unsigned j = 0; j < 8; j++) {
            want = m[64 + i * 8 + j];
            for (unsigned k = 0; k < 4; k++)
                want = fma(m[i * 4 + k], m[32 + j * 4 + k], want);
            assert_true(m[128 + j * 9 + i] == want);
        }
    assert_true(m[128 + 8] == 0); /* between the columns */
    /* Its shape is that of doubles only, and theirs is no other. */
    assert_int_equal(
        pf_load_sm(".visible .entry k(.param .u64 p)\n{\n.reg .b64 %rd<2>;\n.reg .f64 %fd<9>;\n"
                   "ld.param.u64 %rd1, [p];\nwmma.load.a.sync.aligned.row.m16n16k16.f64 {%fd1, "
                   "%fd2, %fd3, %fd4, %fd5, %fd6, %fd7, %fd8}, [%rd1];\nret;\n}\n"),
        0);
    assert_int_equal(pf_run("k", 1, 32, 1, a), 801);
}

static void traps(void **state)
{
    load(K("k", "setp.eq.u32 %p1, %t, 5; @%p1 trap;"));
    assert_int_equal(run("k", 1, 5), 0);
    assert_int_equal(run("k", 1, 32), 719);
    assert_int_equal(pf_fault.thread[0], 5);
}

static void bad_launches(void **state)
{
    load(K("k", ""));
    uint64_t a = 0;
    assert_int_equal(pf_run3("k", (uint32_t[]){1, 1, 1}, (uint32_t[]){1025, 1, 1}, 1, &a), 1);
    assert_int_equal(pf_run3("k", (uint32_t[]){1, 1, 1}, (uint32_t[]){64, 64, 1}, 1, &a), 1);
    assert_int_equal(pf_run3("k", (uint32_t[]){0, 1, 1}, (uint32_t[]){1, 1, 1}, 1, &a), 1);
    assert_int_equal(pf_run3("k", (uint32_t[]){1, 1, 1}, (uint32_t[]){1, 0, 1}, 1, &a), 1);
}

/* ---- hostile kernels -------------------------------------------------------------------------------- */

static volatile int stop_flag;
static void *stop_soon(void *arg)
{
    usleep(20000); /* long enough that the kernel runs; nothing depends on it */
    stop_flag = 1;
    return NULL;
}

static void endless_kernels_stop(void **state)
{
    static const char *const names[] = {"loop", "volatile_", "call", "sleep", "brx", "ctas"};

    load(".func f() { ret; }\n" K("loop", "L: add.u32 %r1, %r1, 1; bra L;") K(
        "volatile_", "L: ld.volatile.global.u32 %r1, [%o]; setp.eq.u32 %p1, %r1, 0; @%p1 bra L;")
             K("call", "L: call f; bra L;") K("sleep", "L: nanosleep.u32 10; bra L;")
                 K("brx", "ts: .branchtargets L, L;\nmov.u32 %r0, 1; L: brx.idx %r0, ts;")
                     K("ctas", ""));
    for (unsigned i = 0; i < 6; i++) {
        pthread_t t;
        stop_flag = 0;
        pf_extra.stop = &stop_flag;
        pthread_create(&t, NULL, stop_soon, NULL);
        assert_int_equal(run(names[i], i == 5 ? 2000000000 : 1, 64), 702);
        pthread_join(t, NULL);
    }
}

static void recursion_is_bounded(void **state)
{
    load(".func (.param .b32 r) f(.param .b32 n)\n{\n.local .align 4 .b8 l[64]; .reg .b32 %r<4>;\n"
         ".param .b32 a; .param .b32 b;\nld.param.u32 %r1, [n]; add.u32 %r1, %r1, 1;\n"
         "st.param.b32 [a], %r1; call (b), f, (a); ld.param.b32 %r2, [b];\n"
         "st.param.b32 [r], %r2; ret;\n}\n" K(
             "k", "{ .param .b32 a; .param .b32 b; st.param.b32 [a], 0; call (b), f, (a); }"));
    assert_int_equal(run("k", 1, 64), 719);
    assert_non_null(strstr(pf_fault.what, "call stack"));
}

static void wild_calls(void **state)
{
    load(".func f() { ret; }\n"
         ".visible .entry k(.param .u64 a) { .reg .b64 %rd<3>; ld.param.u64 %rd1, [a];\n"
         "proto: .callprototype _ ();\ncall %rd1, proto; ret; }\n");
    static const uint64_t where[] = {0, 1, UINT64_MAX, PTX_APERTURE_FUNC + 1,
                                     PTX_APERTURE_FUNC + 99999};
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(pf_run("k", 1, 32, 1, where[i]), 718);
}

/* ---- calls, local memory, printf --------------------------------------------------------------------- */

static void calls_and_recursion(void **state)
{
    load(
        ".func (.param .b32 r) fact(.param .b32 n)\n{\n.reg .b32 %r<5>; .reg .pred %p;\n"
        "ld.param.u32 %r1, [n]; mov.u32 %r3, 1; setp.lt.u32 %p, %r1, 2; @%p bra E;\n"
        "sub.u32 %r2, %r1, 1;\n{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r2;\n"
        "call.uni (b), fact, (a); ld.param.b32 %r4, [b]; }\nmul.lo.u32 %r3, %r4, %r1;\n"
        "E: st.param.b32 [r], %r3; ret;\n}\n"
        ".func (.param .b32 r) inc(.param .b32 n) { .reg .b32 %r1; ld.param.u32 %r1, [n];\n"
        "add.u32 %r1, %r1, 1; st.param.b32 [r], %r1; ret; }\n"
        ".global .u64 table[2] = {fact, inc};\n" K(
            "k", "and.b32 %r1, %t, 7;\n{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r1;\n"
                 "call (b), fact, (a); ld.param.b32 %r2, [b]; }\nst.global.u32 [%o], %r2;")
            K("ind", "and.b32 %r1, %t, 1; mul.wide.u32 %rd2, %r1, 8; mov.u64 %rd3, table;\n"
                     "add.s64 %rd3, %rd3, %rd2; ld.global.u64 %rd4, [%rd3]; and.b32 %r1, %t, 7;\n"
                     "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r1;\n"
                     "p: .callprototype (.param .b32 _) _ (.param .b32 _);\n"
                     "call (b), %rd4, (a), p; ld.param.b32 %r2, [b]; }\nst.global.u32 [%o], %r2;"));
    static const unsigned f[8] = {1, 1, 2, 6, 24, 120, 720, 5040};
    assert_int_equal(run("k", 1, 70), 0);
    for (unsigned i = 0; i < 70; i++)
        assert_int_equal(out[i], f[i & 7]);
    assert_int_equal(run("ind", 1, 70), 0);
    for (unsigned i = 0; i < 70; i++)
        assert_int_equal(out[i], i & 1 ? (i & 7) + 1 : f[i & 7]);
}

/* pointers into local memory, handed to a function and used as generic addresses */
static void local_memory(void **state)
{
    load(
        ".func sum(.param .b64 p, .param .b64 res)\n{\n.reg .b64 %rd<4>; .reg .b32 %r<9>;\n"
        ".local .align 8 .b8 other[64];\nmov.u64 %rd3, other; st.local.u32 [%rd3], 999;\n"
        "ld.param.u64 %rd1, [p]; ld.v4.u32 {%r1,%r2,%r3,%r4}, [%rd1]; add.u32 %r1, %r1, %r2;\n"
        "add.u32 %r3, %r3, %r4; add.u32 %r1, %r1, %r3; ld.param.u64 %rd2, [res];\n"
        "st.u32 [%rd2], %r1; ret;\n}\n" K(
            "k", ".local .align 16 .b8 lm[32]; mov.u64 %rd2, lm; cvta.local.u64 %rd3, %rd2;\n"
                 "add.u32 %r1, %t, 10; st.local.u32 [lm], %t; st.local.u32 [%rd2+4], %r1;\n"
                 "st.u32 [%rd3+8], %t; st.u32 [%rd3+12], 1;\n"
                 "{ .param .b64 a; .param .b64 b; st.param.b64 [a], %rd3; add.s64 %rd4, %rd3, 16;\n"
                 "st.param.b64 [b], %rd4; call sum, (a, b); }\n"
                 "ld.local.u32 %r2, [lm+16]; st.global.u32 [%o], %r2;"));
    assert_int_equal(run("k", 1, 100), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(out[i], 3 * i + 11);
}

static void printing(void **state)
{
    load(
        ".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);\n"
        ".global .align 1 .b8 fmt[64] = {37,100,32,37,53,46,50,102,32,37,115,32,37,99,32,37,108,"
        "108,117,32,37,120,32,37,37,32,37,45,52,105,124,10};\n" /* %d %5.2f %s %c %llu %x %% %-4i| */
        ".global .align 1 .b8 str[4] = {97,98,99};\n" K(
            "k", ".local .align 8 .b8 a[56]; mov.u64 %rd2, a; cvta.local.u64 %rd3, %rd2;\n"
                 "st.local.u32 [a], -5; st.local.f64 [a+8], 0d400921fb54442d18;\n"
                 "mov.u64 %rd4, str; st.local.u64 [a+16], %rd4; st.local.u32 [a+24], 88;\n"
                 "st.local.u64 [a+32], -1; st.local.u32 [a+40], 255; st.local.u32 [a+44], 7;\n"
                 "mov.u64 %rd5, fmt;\n{ .param .b64 p; .param .b64 q; .param .b32 r;\n"
                 "st.param.b64 [p], %rd5; st.param.b64 [q], %rd3; call (r), vprintf, (p, q);\n"
                 "ld.param.b32 %r1, [r]; }\nst.global.u32 [%o], %r1;"));
    assert_int_equal(run("k", 1, 1), 0);
    assert_string_equal(pf_printed, "-5  3.14 abc X 18446744073709551615 ff % 7   |\n");
    assert_int_equal(out[0], 7);
}

/* %n and friends in a guest's format do nothing to us */
static void hostile_formats(void **state)
{
    load(".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);\n"
         ".global .align 1 .b8 fmt[32] = {37,110,37,57,57,57,57,57,100,37,46,57,57,57,57,57,57,57,"
         "57,100,37,42,42,42,10};\n" K(
             "k", ".local .align 8 .b8 a[64]; mov.u64 %rd2, a; cvta.local.u64 %rd3, %rd2;\n"
                  "mov.u64 %rd5, fmt;\n{ .param .b64 p; .param .b64 q; .param .b32 r;\n"
                  "st.param.b64 [p], %rd5; st.param.b64 [q], %rd3; call (r), vprintf, (p, q); }")
             K("bad", "{ .param .b64 p; .param .b64 q; .param .b32 r;\n"
                      "st.param.b64 [p], 64; st.param.b64 [q], 64; call (r), vprintf, (p, q); }"));
    assert_int_equal(run("k", 1, 1), 0);
    assert_int_equal(strncmp(pf_printed, "%n", 2), 0);
    assert_int_equal(run("bad", 1, 1), 700);
}

static void device_heap(void **state)
{
    load(".extern .func (.param .b64 r) malloc(.param .b64 n);\n"
         ".extern .func free(.param .b64 p);\n" K(
             "k", "{ .param .b64 n; .param .b64 r; st.param.b64 [n], 8; call (r), malloc, (n);\n"
                  "ld.param.b64 %rd2, [r]; }\nst.u32 [%rd2], %t; ld.u32 %r1, [%rd2];\n"
                  "{ .param .b64 p; st.param.b64 [p], %rd2; call free, (p); }\n"
                  "{ .param .b64 n; .param .b64 r; st.param.b64 [n], 0x1000000000;\n"
                  "call (r), malloc, (n); ld.param.b64 %rd3, [r]; }\n"
                  "setp.eq.s64 %p1, %rd3, 0; selp.b32 %r2, 1000, 0, %p1; add.u32 %r1, %r1, %r2;\n"
                  "st.global.u32 [%o], %r1;"));
    assert_int_equal(run("k", 1, 40), 0);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(out[i], 1000 + i);
}

/* ---- arithmetic ------------------------------------------------------------------------------------------- */

/* division by zero in lanes that do not execute it, and in some that do */
static void division_never_traps(void **state)
{
    load(K("k", "mov.u32 %r1, 0x80000000; mov.u32 %r2, -1; setp.gt.u32 %p1, %t, 3;\n"
                "sub.u32 %r3, %t, 2; div.s32 %r4, %r1, %r2; @%p1 div.u32 %r4, %t, %r3;\n"
                "rem.s32 %r5, %r1, %r2; @!%p1 div.s32 %r4, %r1, %r3; st.global.u32 [%o], %r4;"));
    assert_int_equal(run("k", 1, 32), 0);
    assert_int_equal(out[2], 0xffffffff);
    assert_int_equal(out[1], 0x80000000);
    assert_int_equal(out[4], 2);
}

/* flushing and rounding are the instruction's: neighbours must not disturb each other */
static void modes_are_per_instruction(void **state)
{
    load(K("k",
           "mov.b32 %f1, 0f00400000; mov.b32 %f2, 0f3f800000; mov.b32 %f3, 0f33000000;\n"
           "mul.ftz.f32 %f4, %f1, %f2; mul.f32 %f5, %f1, %f2; add.rp.f32 %f6, %f2, %f3;\n"
           "add.rn.f32 %f7, %f2, %f3; add.rz.ftz.f32 %f8, %f1, %f1;\n"
           "mov.b64 %fd1, 0d0000000000000001; add.f64 %fd2, %fd1, %fd1;\n"
           "st.global.f32 [%o], %f4; st.global.f32 [%o+4], %f5; st.global.f32 [%o+8], %f6;\n"
           "st.global.f32 [%o+12], %f7; st.global.f32 [%o+16], %f8; st.global.f64 [%o+24], %fd2;"));
    assert_int_equal(run("k", 1, 1), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[1], 0x00400000);
    assert_int_equal(out[2], 0x3f800001);
    assert_int_equal(out[3], 0x3f800000);
    assert_int_equal(out[4], 0);
    assert_int_equal(out[6], 2);
    float one = 1e-40f; /* the caller's mode is back */
    volatile float v = one;
    assert_true(v * 1.0f != 0);
}

static void fma_is_fused(void **state)
{
    load(K("k", "mov.b32 %f1, 0f3f800001; mov.b32 %f2, 0fbf800002; fma.rn.f32 %f3, %f1, %f1, %f2;\n"
                "mul.rn.f32 %f4, %f1, %f1; add.rn.f32 %f5, %f4, %f2; st.global.f32 [%o], %f3;\n"
                "st.global.f32 [%o+4], %f5;"));
    assert_int_equal(run("k", 1, 1), 0);
    assert_int_equal(out[0], 0x28800000);
    assert_int_equal(out[1], 0);
}

/* registers are typed by instructions: float values in .b32 registers, as the newer nvcc writes */
static void types_come_from_instructions(void **state)
{
    load(K("k", ".reg .b32 %q<4>; .reg .b64 %qd<3>; cvt.rn.f32.u32 %q1, %t;\n"
                "add.f32 %q2, %q1, 0f3f000000; cvt.f64.f32 %qd1, %q2; mul.f64 %qd2, %qd1, "
                "0d4000000000000000;\n"
                "cvt.rzi.u32.f64 %q3, %qd2; st.global.b32 [%o], %q3;"));
    assert_int_equal(run("k", 1, 32), 0);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(out[i], 2 * i + 1);
}

static void clocks_advance(void **state)
{
    load(K("k", "mov.u64 %rd2, %clock64; mov.u64 %rd3, %globaltimer; nanosleep.u32 100;\n"
                "mov.u64 %rd4, %clock64; mov.u64 %rd5, %globaltimer; setp.gt.u64 %p1, %rd4, %rd2;\n"
                "setp.ge.u64 %p2, %rd5, %rd3; and.pred %p1, %p1, %p2; selp.u32 %r1, 1, 0, %p1;\n"
                "st.global.u32 [%o], %r1;"));
    assert_int_equal(run("k", 1, 64), 0);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(out[i], 1);
}

#define TEST(n) cmocka_unit_test_setup(n, pf_setup)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fault_reports),
        TEST(outside_the_window),
        TEST(misaligned),
        TEST(shared_and_local_bounds),
        TEST(reserved_shared_memory),
        TEST(double_matrices),
        TEST(traps),
        TEST(bad_launches),
        TEST(endless_kernels_stop),
        TEST(recursion_is_bounded),
        TEST(wild_calls),
        TEST(calls_and_recursion),
        TEST(local_memory),
        TEST(printing),
        TEST(hostile_formats),
        TEST(device_heap),
        TEST(division_never_traps),
        TEST(modes_are_per_instruction),
        TEST(fma_is_fused),
        TEST(types_come_from_instructions),
        TEST(clocks_advance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
