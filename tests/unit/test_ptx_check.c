/* SPDX-License-Identifier: MIT */
/* GVM_PTX_CHECK: races on shared memory and reads of what nobody wrote are found, and only those. */
#include "tests/unit/ptx_fixture.h"

#define K(body)                                                                                    \
    ".visible .entry k(.param .u64 p)\n{\n.reg .b32 %r<12>;\n.reg .b64 %rd<8>;\n.reg .pred %q;\n"  \
    ".shared .align 16 .b8 sm[4096];\nmov.u32 %r1, %tid.x;\nshl.b32 %r2, %r1, 2;\n"                \
    "mov.u32 %r3, sm;\nadd.u32 %r4, %r3, %r2;\n" body "\nret;\n}\n"

static int setup(void **state)
{
    ptx_check_set(true);
    return pf_setup(state);
}

static int teardown(void **state)
{
    ptx_check_set(false);
    return 0;
}

/* err and a piece of the report; NULL: the kernel is sound. */
static void expect(const char *body, uint32_t threads, const char *piece)
{
    int err;

    if (pf_load_sm(body))
        fail_msg("%s", pf_log);
    err = pf_run("k", 2, threads, 1, pf_alloc(4096));
    if (err != (piece ? 719 : 0))
        fail_msg("error %d: %s %s", err, pf_fault.what, pf_log);
    if (piece && !strstr(pf_fault.what, piece))
        fail_msg("'%s' is not in: %s", piece, pf_fault.what);
}

static void finds(void **state)
{
    /* the neighbour's word, without a barrier: another warp's, then one of the same warp */
    expect(K("st.shared.u32 [%r4], 0;\nbar.sync 0;\nst.shared.u32 [%r4], %r1;\n"
             "xor.b32 %r5, %r2, 128;\nadd.u32 %r5, %r5, %r3;\nld.shared.u32 %r6, [%r5];"),
           64, "race on shared memory at 0x0: thread (32, 0, 0) read it at PTX line 19");
    expect(K("setp.eq.u32 %q, %r1, 0;\n@%q st.shared.u32 [sm], 1;\nld.shared.u32 %r6, [sm];"), 64,
           "race on shared memory at 0x0: thread (0, 0, 0) wrote it at PTX line 15");
    expect(K("st.shared.u32 [%r4], %r1;\nxor.b32 %r5, %r2, 4;\nadd.u32 %r5, %r5, %r3;\n"
             "ld.shared.u32 %r6, [%r5];"),
           32, "race on shared memory");
    /* read, then written by another */
    expect(K("st.shared.u32 [%r4], %r1;\nbar.sync 0;\nxor.b32 %r5, %r2, 128;\n"
             "add.u32 %r5, %r5, %r3;\nld.shared.u32 %r6, [%r5];\nst.shared.u32 [%r4], %r6;"),
           64, "thread (32, 0, 0) wrote it at PTX line 19");
    /* through a generic address */
    expect(K("st.shared.u32 [%r4], %r1;\nxor.b32 %r5, %r2, 4;\nmov.u64 %rd1, sm;\n"
             "cvta.shared.u64 %rd1, %rd1;\ncvt.u64.u32 %rd2, %r5;\nadd.u64 %rd1, %rd1, %rd2;\n"
             "ld.u32 %r6, [%rd1];"),
           64, "race on shared memory");
    /* a plain write beside atomics */
    expect(K("st.shared.u32 [%r4], 0;\nbar.sync 0;\natom.shared.add.u32 %r6, [sm], 1;\n"
             "setp.eq.u32 %q, %r1, 40;\n@%q st.shared.u32 [sm], %r1;"),
           64, "race on shared memory");
    expect(K("ld.shared.u32 %r6, [%r4+64];"), 32, "which no thread of the block has written");
}

static void leaves_alone(void **state)
{
    expect(K("st.shared.u32 [%r4], %r1;\nbar.sync 0;\nxor.b32 %r5, %r2, 128;\n"
             "add.u32 %r5, %r5, %r3;\nld.shared.u32 %r6, [%r5];\nbar.sync 0;\n"
             "st.shared.u32 [%r4], %r6;"),
           64, NULL);
    expect(K("st.shared.u32 [%r4], %r1;\nbar.warp.sync -1;\nxor.b32 %r5, %r2, 4;\n"
             "add.u32 %r5, %r5, %r3;\nld.shared.u32 %r6, [%r5];"),
           64, NULL);
    expect(K("setp.eq.u32 %q, %r1, 0;\n@%q st.shared.u32 [sm], 0;\nbar.sync 0;\n"
             "atom.shared.add.u32 %r6, [sm], 1;\nbar.sync 0;\nld.shared.u32 %r6, [sm];"),
           96, NULL);
    expect(K("st.shared.u32 [%r4], %r1;\nld.shared.u32 %r6, [%r4];\nst.shared.u32 [%r4], %r6;"), 64,
           NULL);
    /* out of bounds is still that */
    if (pf_load_sm(K("ld.shared.u32 %r6, [%r4+5000];")))
        fail_msg("%s", pf_log);
    assert_int_equal(pf_run("k", 1, 32, 1, pf_alloc(64)), 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds, setup, teardown),
        cmocka_unit_test_setup_teardown(leaves_alone, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
