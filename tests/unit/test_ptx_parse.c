/* SPDX-License-Identifier: MIT */
/* The PTX front end: what is accepted, what is refused and with which line. */
#include "tests/unit/ptx_fixture.h"

static void refuses(const char *body, int err, const char *words)
{
    int got = pf_load_sm(body);

    if (!got)
        got = ptx_kernel_prepare(ptx_module_kernel(pf_module(), 0), pf_log, sizeof(pf_log));
    if (got != err || !strstr(pf_log, words))
        fail_msg("%s: error %d, not %d; '%s' lacks '%s'", body, got, err, pf_log, words);
    assert_null(strchr(pf_log, '\n'));
}

#define K(body)                                                                                    \
    ".visible .entry k(.param .u64 p)\n{\n.reg .b32 %r<9>; .reg .b64 %rd<9>; "                     \
    ".reg .pred %p<3>; .reg .f32 %f<3>;\n" body "\nret;\n}\n"

static void not_ptx(void **state)
{
    assert_int_equal(pf_load(""), 218);
    assert_int_equal(pf_load("hello"), 218);
    assert_int_equal(pf_load(".version 8.0\n"), 218);
    assert_int_equal(pf_load(".version 8.0\n.target sm_75\n.address_size 32\n"), 218);
    assert_int_equal(pf_load("/* no end"), 218);
    assert_int_equal(pf_load(".version 8.0\n.target sm_75\n.address_size 64\n"), 0);
}

static void targets(void **state)
{
    static const struct {
        const char *sm;
        int err;
    } t[] = {{"sm_50", 0},    {"sm_75", 0},     {"sm_90", 0},       {"sm_90a", 0},
             {"sm_100", 209}, {"sm_120a", 209}, {"sm_75, debug", 0}};
    char text[200];

    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        sprintf(text, ".version 9.0\n.target %s\n.address_size 64\n", t[i].sm);
        assert_int_equal(pf_load(text), t[i].err);
    }
    ptx_target_set(PTX_TARGET_LATER);
    assert_int_equal(pf_load(".version 9.0\n.target sm_100\n.address_size 64\n"), 0);
    assert_int_equal(pf_load(".version 9.0\n.target sm_101\n.address_size 64\n"), 209);
    assert_non_null(strstr(pf_log, "above sm_100"));
    ptx_target_set(PTX_TARGET);
}

static void errors_name_the_line(void **state)
{
    refuses(K("frobnicate.b32 %r1, %r2;"), 218, "line 7: 'frobnicate'");
    refuses(K("add.s32 %r1, %r2;"), 218, "'add' has 2 operands");
    refuses(K("add.s32 %r1, %r2, %r9;"), 218, "'%r9' is not declared");
    refuses(K("add.s32 %r1, %r2, nothing;"), 218, "nothing");
    refuses(K("bra nowhere;"), 218, "nowhere");
    refuses(K("@%r1 bra l; l:"), 218, "predicate");
    refuses(K("add.s32 %r1, %rd2, %r3;"), 218, "line 7: add: register %rd2");
    refuses(K("ld.global.u64 %r1, [%rd1];"), 218, "%r1");
    refuses(K("mul.s32 %r1, %r2, %r3;"), 218, ".lo, .hi, .wide");
    refuses(K("setp.s32 %p1, %r2, %r3;"), 218, "comparison");
    refuses(K(".reg .b32 %r<9>;"), 218, "twice");
    refuses(K("st.param.u32 [p], %r1;"), 218, "read-only");
    refuses(".visible .entry k()\n{\nret;", 218, "end of text");
    refuses(".visible .entry k(\n", 218, "end of text");
    refuses(".global .u32 a[2] = {1, 2, 3};", 218, "more initial values");
    refuses(".global .align 3 .b8 a[2];", 218, "alignment");
    refuses(".global .b8 a[99999999999];", 218, "larger than");
    refuses(".global .u64 a = b;", 218, "names 'b'");
}

/* Valid PTX that is not implemented: the module loads, only that kernel is refused, by name. */
static void unsupported_is_lazy(void **state)
{
    static const char *const text =
        K("wgmma.fence.sync.aligned;") ".visible .entry good(.param .u64 p) { ret; }\n";

    assert_int_equal(pf_load_sm(text), 0);
    assert_int_equal(ptx_module_nkernel(pf_module()), 2);
    assert_int_equal(pf_run("k", 1, 32, 1, (uint64_t)0), 801);
    assert_non_null(strstr(pf_log, "line 7: wgmma"));
    assert_int_equal(pf_run("good", 1, 32, 1, (uint64_t)0), 0);
    refuses(K("add.sideways.s32 %r1, %r2, %r3;"), 801, "modifier .sideways");
    refuses(K("add.approx.s32 %r1, %r2, %r3;"), 801, "modifier .approx");
    refuses(".extern .func f();\n" K("call f;"), 218, "Undefined reference to 'f'");
    refuses(".extern .global .u32 e;\n" K("ld.global.u32 %r1, [e];"), 218,
            "Undefined reference to 'e'");
}

/* A kernel of another file, for launches by kernels: only who takes its address is refused. */
static void kernel_elsewhere(void **state)
{
    static const char *const text = ".extern .entry other(.param .u64 p);\n" K(
        "mov.u64 %rd1, other;") ".visible .entry good(.param .u64 p) { ret; }\n";

    assert_int_equal(pf_load_sm(text), 0);
    assert_int_equal(ptx_module_nkernel(pf_module()), 2);
    assert_int_equal(pf_run("k", 1, 32, 1, (uint64_t)0), 801);
    assert_non_null(strstr(pf_log, "mov: takes the address of kernel 'other', which this module"));
    assert_int_equal(pf_run("good", 1, 32, 1, (uint64_t)0), 0);
}

#define TEXT(body) ".version 7.8\n.target sm_75\n.address_size 64\n" body

/* Joins two texts; complete as in ptx_module_link(). */
static int join(const char *a, const char *b, bool complete, struct ptx_module **m)
{
    struct ptx_text t[] = {{a, strlen(a)}, {b, strlen(b)}};

    return ptx_module_link(t, 2, complete, m, pf_log, sizeof(pf_log));
}

static void joined_texts(void **state)
{
    static const char *const use =
        TEXT(".extern .func f();\n.extern .global .u32 shared_one;\n.global .u32 own = 1;\n"
             ".visible .entry k()\n{\n.reg .b64 %rd<2>;\nmov.u64 %rd1, shared_one;\n"
             "call f;\nret;\n}\n");
    static const char *const def =
        TEXT(".visible .global .u32 shared_one = 7;\n.global .u32 own = 2;\n"
             ".visible .func f()\n{\nret;\n}\n");
    static const char *const weak = TEXT(".weak .func f()\n{\nret;\n}\n");
    struct ptx_module *m;
    unsigned own = 0;

    /* In either order; what is not visible is there once for each text. */
    assert_int_equal(join(def, use, true, &m), 0);
    ptx_module_free(m);
    assert_int_equal(join(use, def, true, &m), 0);
    assert_int_equal(ptx_module_nkernel(m), 1);
    assert_int_equal(ptx_module_nvar(m), 3);
    for (unsigned i = 0; i < 3; i++)
        own += !strcmp(ptx_module_var(m, i).name, "own");
    assert_int_equal(own, 2);
    ptx_module_free(m);
    /* Of weak definitions the first counts, and one that is not weak before all. */
    assert_int_equal(join(weak, weak, true, &m), 0);
    ptx_module_free(m);
    assert_int_equal(join(weak, def, true, &m), 0);
    ptx_module_free(m);
    assert_int_equal(join(def, weak, true, &m), 0);
    ptx_module_free(m);
    /* Twice, or nowhere. */
    assert_int_equal(join(def, def, true, &m), 218);
    assert_int_equal(join(use, weak, true, &m), 218);
    assert_non_null(strstr(pf_log, "Undefined reference to 'shared_one'"));
    assert_int_equal(join(use, weak, false, &m), 0);
    ptx_module_free(m);
    assert_int_equal(pf_load(".version 9.9\n.target sm_75\n"), 222);
}

static void limits(void **state)
{
    static char text[1 << 17];
    size_t n = sprintf(text, ".visible .entry k()\n{\n");

    for (int i = 0; i < 200; i++)
        n += sprintf(text + n, "{ ");
    refuses(text, 218, "nested scopes");
    refuses(K(".reg .b32 %q<4000000000>;"), 218, "registers");
    refuses(
        K(".reg .b32 %q<900000000>; mov.u32 %q899999999, 1; st.global.u32 [%rd1], %q899999999;"), 0,
        "");
    n = sprintf(text, ".visible .entry k(");
    for (int i = 0; i < 5000 && n < sizeof(text) - 100; i++)
        n += sprintf(text + n, "%s.param .u64 p%d", i ? "," : "", i);
    sprintf(text + n, ") { ret; }");
    assert_int_not_equal(pf_load_sm(text), 0);
}

static void parameters_and_resources(void **state)
{
    uint32_t off, size;
    struct ptx_kernel_info info;

    assert_int_equal(
        pf_load_sm(".shared .align 4 .b8 unused[4000];\n.extern .shared .align 16 .b8 dyn[];\n"
                   ".visible .entry k(.param .u8 a, .param .u64 b, .param .align 16 .b8 c[20], "
                   ".param .u32 d)\n.maxntid 128, 2, 1\n.minnctapersm 2\n{\n"
                   ".shared .align 8 .b8 s[100]; .local .align 8 .b8 l[24]; .reg .b32 %r<4>;\n"
                   "mov.u32 %r1, s; mov.u32 %r2, dyn; st.shared.u32 [%r1], %r2;\nret;\n}\n"),
        0);
    struct ptx_kernel *k = ptx_module_kernel(pf_module(), 0);
    ptx_kernel_param(k, 0, &off, &size);
    assert_int_equal(off, 0);
    assert_int_equal(size, 1);
    ptx_kernel_param(k, 1, &off, &size);
    assert_int_equal(off, 8);
    ptx_kernel_param(k, 2, &off, &size);
    assert_int_equal(off, 16);
    assert_int_equal(size, 20);
    ptx_kernel_param(k, 3, &off, &size);
    assert_int_equal(off, 36);
    assert_int_equal(ptx_kernel_param_bytes(k), 40);
    ptx_kernel_info(k, &info);
    assert_int_equal(info.shared_bytes, 112); /* 100, then dyn's alignment */
    assert_int_equal(info.local_bytes, 32);
    assert_int_equal(info.maxntid, 256);
    assert_int_equal(info.target, 90);
    assert_int_equal(info.ptx_version, 80);
}

static uint32_t regs_of(const char *directive, unsigned used)
{
    struct ptx_kernel_info info;
    char text[16384];
    int n = sprintf(text, ".visible .entry k()\n%s\n{\n.reg .b32 %%r<%u>;\n", directive, used);

    for (unsigned i = 0; i < used; i++)
        n += sprintf(text + n, "mov.u32 %%r%u, %u;\n", i, i);
    sprintf(text + n, "ret;\n}\n");
    assert_int_equal(pf_load_sm(text), 0);
    ptx_kernel_info(ptx_module_kernel(pf_module(), 0), &info);
    return info.regs;
}

/* Whatever a kernel uses, a CTA of as many threads as it allows finds enough registers. */
static void registers_fit_the_block(void **state)
{
    assert_int_equal(regs_of("", 40), 40);
    assert_int_equal(regs_of("", 200), 64);
    assert_int_equal(regs_of(".maxntid 256, 1, 1", 300), 255);
    assert_int_equal(regs_of(".maxntid 512, 1, 1", 300), 128);
}

static void variables(void **state)
{
    assert_int_equal(
        pf_load_sm(".func (.param .b32 r) f(.param .b32 a);\n"
                   ".global .align 4 .u32 a[4] = {1, -1, 0x7f};\n.const .f32 c = 0f3f800000;\n"
                   ".global .f64 d = 0d4000000000000000;\n.global .u64 p = generic(a)+4;\n"
                   ".global .align 8 .b8 q[16] = {1, 2, 0xFF(a), 0xFF00(a)};\n"
                   ".global .u64 fp[2] = {f, 7};\n.visible .global .align 1 .b8 z[5];\n"
                   ".func (.param .b32 r) f(.param .b32 a) { ret; }\n"),
        0);
    static const char *const names[] = {"a", "c", "d", "p", "q", "fp", "z"};
    static const unsigned sizes[] = {16, 4, 8, 8, 16, 16, 5};
    uint64_t addr[7];
    uint8_t buf[16];

    assert_int_equal(ptx_module_nvar(pf_module()), 7);
    for (unsigned i = 0; i < 7; i++) {
        struct ptx_var v = ptx_module_var(pf_module(), i);
        assert_string_equal(v.name, names[i]);
        assert_int_equal(v.size, sizes[i]);
        addr[i] = 0x1000 * (i + 1);
        ptx_module_set_var_addr(pf_module(), i, addr[i]);
    }
    assert_int_equal(ptx_module_var(pf_module(), 1).space, PTX_CONST);
    ptx_module_var_init(pf_module(), 0, buf);
    assert_int_equal(((uint32_t *)buf)[1], 0xffffffff);
    assert_int_equal(((uint32_t *)buf)[3], 0);
    ptx_module_var_init(pf_module(), 3, buf);
    assert_int_equal(*(uint64_t *)buf, addr[0] + 4);
    ptx_module_var_init(pf_module(), 4, buf);
    assert_int_equal(buf[1], 2);
    assert_int_equal(buf[2], addr[0] & 0xff);
    assert_int_equal(buf[3], addr[0] >> 8);
    ptx_module_var_init(pf_module(), 5, buf);
    assert_true(*(uint64_t *)buf >= PTX_APERTURE_FUNC);
    assert_int_equal(((uint64_t *)buf)[1], 7);
}

/* Several names in one declaration, each with dimensions and values of its own; ptxas takes these. */
static void several_names(void **state)
{
    static const char *const names[] = {"u", "v", "w", "c", "e"};
    static const unsigned sizes[] = {4, 16, 12, 8, 64};
    uint64_t out, at[5];
    uint32_t buf[16];

    assert_int_equal(
        pf_load_sm(".global .align 16 .b32 u = 7, v[2][2] = {{1, 2}, {3, 4}}, w[] = {5, 6, 9};\n"
                   ".const .v2 .f32 c = {1.0, 2.0}, e[8];\n.extern .shared .b32 d1[], d2[];\n"
                   ".func (.param .b32 s) f(.param .b32 a)\n{\n"
                   ".reg .b32 %a, %b; .shared .b32 unused, here[4]; .local .b32 x, y[2];\n"
                   "ld.param.b32 %a, [a]; st.local.b32 [x], %a; add.s32 %b, %a, 1;\n"
                   "st.local.b32 [y+4], %b; add.s32 %b, %a, 2; st.shared.b32 [here+12], %b;\n"
                   "ld.local.b32 %a, [x]; ld.local.b32 %b, [y+4]; add.s32 %a, %a, %b;\n"
                   "st.param.b32 [s], %a; ret;\n}\n" K(
                       "{ .param .b32 x, n, r;\nmov.u32 %r1, 40; st.param.b32 [x], %r1;\n"
                       "call (n), f, (x); call (r), f, (n);\nld.param.b32 %r2, [n]; ld.param.b32 "
                       "%r3, [r]; }\n"
                       "ld.param.u64 %rd1, [p]; ld.global.b32 %r4, [v+12];\n"
                       "st.global.v4.b32 [%rd1], {%r1, %r2, %r3, %r4};")),
        0);
    assert_int_equal(ptx_module_nvar(pf_module()), 5);
    for (unsigned i = 0; i < 5; i++) {
        struct ptx_var v = ptx_module_var(pf_module(), i);

        assert_string_equal(v.name, names[i]);
        assert_int_equal(v.size, sizes[i]);
        assert_int_equal(v.align, i < 3 ? 16 : 8);
        at[i] = pf_alloc(64);
        ptx_module_set_var_addr(pf_module(), i, at[i]);
        ptx_module_var_init(pf_module(), i, (uint8_t *)buf);
        memcpy(pf_u32(at[i]), buf, v.size);
    }
    assert_int_equal(*pf_u32(at[0]), 7);
    assert_memory_equal(pf_u32(at[2]), ((uint32_t[]){5, 6, 9}), 12);
    assert_memory_equal(pf_u32(at[3]), ((float[]){1, 2}), 8);
    out = pf_alloc(16);
    assert_int_equal(pf_run("k", 1, 1, 1, out), 0);
    assert_memory_equal(pf_u32(out), ((uint32_t[]){40, 81, 163, 4}), 16);

    refuses(".global .u32 a, a;", 218, "'a'");
    refuses(".global .u32 a,;", 218, "a variable's name");
    refuses(".global .u32 a, .u32 b;", 218, "a variable's name");
    refuses(".global .u32 a[], b;", 218, "'a' has no size");
    refuses(".global .u32 a = 1, b[2] = {1, 2, 3};", 218, "room for");
    refuses(K(".shared .b32 x = 1, y;"), 218, "'x' cannot have initial values");
    refuses(".visible .entry k(.param .b32 x, y) { ret; }", 218, "'.param'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(not_ptx, pf_setup),
        cmocka_unit_test_setup(targets, pf_setup),
        cmocka_unit_test_setup(errors_name_the_line, pf_setup),
        cmocka_unit_test_setup(unsupported_is_lazy, pf_setup),
        cmocka_unit_test_setup(kernel_elsewhere, pf_setup),
        cmocka_unit_test_setup(joined_texts, pf_setup),
        cmocka_unit_test_setup(limits, pf_setup),
        cmocka_unit_test_setup(parameters_and_resources, pf_setup),
        cmocka_unit_test_setup(registers_fit_the_block, pf_setup),
        cmocka_unit_test_setup(variables, pf_setup),
        cmocka_unit_test_setup(several_names, pf_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
