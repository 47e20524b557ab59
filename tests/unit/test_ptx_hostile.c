/* SPDX-License-Identifier: MIT */
/* Instructions with bad operands, matrix, mbarrier and bulk-copy ones above all: an error of the kernel,
 * no more. */
#include "dom0-backend/device/ptx/ptx_int.h"
#include "tests/unit/ptx_fixture.h"

#define K(body)                                                                                    \
    ".visible .entry k(.param .u64 p)\n{\n.reg .b32 %r<12>;\n.reg .b64 %rd<8>;\n.reg .pred %q;\n"  \
    ".shared .align 16 .b8 sm[512];\nmov.u32 %r1, %tid.x;\nld.param.u64 %rd1, [p];\n"              \
    "mov.u32 %r3, sm;\n" body "\nret;\n}\n"

static void faults(void **state)
{
    static const struct {
        const char *body;
        int err;
        const char *piece;
    } all[] = {
        {K("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r4, %r5, %r6, %r7}, [%r3+512];"), 700,
         "matrix row at 0x200"},
        {K("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r4}, [%r3+500];"), 716, "misaligned"},
        {K("mov.u32 %r3, -16;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r4}, [%r3];"), 700,
         "matrix row"},
        {K("stmatrix.sync.aligned.m8n8.x2.shared.b16 [%r3+0x7ffffff0], {%r4, %r5};"), 700,
         "matrix row"},
        {K("ldmatrix.sync.aligned.m8n8.x1.b16 {%r4}, [%rd1];"), 700, "is not shared"},
        {K("mbarrier.init.shared.b64 [%r3+508], 1;"), 716, "misaligned mbarrier"},
        {K("mbarrier.init.shared.b64 [%r3+512], 1;"), 700, "mbarrier at 0x200"},
        {K("mbarrier.init.shared.b64 [%r3], 0;"), 719, "mbarrier.init with 0"},
        {K("mbarrier.init.shared.b64 [%r3], 1;\nmbarrier.arrive.shared.b64 %rd2, [%r3], 5;"), 719,
         "5 arrivals at an mbarrier that waits for 1"},
        {K("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%rd1], "
           "1048576, [%r3+64];"),
         700, "0x"},
        {K("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%rd1+4], 16, "
           "[%r3+64];"),
         716, "multiples of 16"},
        {K("cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r3+496], 32;"), 700,
         "out of bounds"},
        {K("mov.u64 %rd1, 4096;\ncp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r3], 32;"),
         700, "out of bounds"},
        {K("mov.u32 %r4, 16;\nbar.sync %r4;"), 719, "barrier 16"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        int err;

        if (pf_load_sm(all[i].body))
            fail_msg("%zu: %s", i, pf_log);
        err = pf_run("k", 1, 32, 1, pf_alloc(64));
        if (err != all[i].err || !strstr(pf_fault.what, all[i].piece))
            fail_msg("%zu: error %d, not %d: %s %s", i, err, all[i].err, pf_fault.what, pf_log);
    }
}

/* A phase that never ends is waited for until the launch is stopped. */
static void waits_forever(void **state)
{
    static const volatile int stop = 1;

    assert_int_equal(
        pf_load_sm(K("mbarrier.init.shared.b64 [%r3], 2;\nL: "
                     "mbarrier.try_wait.parity.shared.b64 %q, [%r3], 0;\n@!%q bra L;")),
        0);
    pf_extra.stop = &stop;
    assert_int_equal(pf_run("k", 1, 64, 1, (uint64_t)0), 702);
}

#define K_HEAD                                                                                     \
    ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k()\n{\n"                      \
    ".reg .b32 %r<3>;\n.reg .b64 %rd<2>;\n.reg .pred %q;\n"
#define K_TAIL "\nret;\n}\n"
#define FULL   16 /* operands */

/* One instruction with a number of equal operands. False: it is refused. Others before it make the
 * parser's table of operands full, so that there is nothing behind the last one. */
static bool is_ready(const char *op, const char *mod, const char *kind, unsigned count)
{
    const unsigned used = count * (*kind == '{' ? 3 : 1);
    char body[300], text[900], log[300] = "", *t = text;
    struct ptx_module *m;
    int err, n = snprintf(body, sizeof(body), "%s%s.b32 ", op, mod);

    for (unsigned i = 0; i < count; i++)
        n += snprintf(body + n, sizeof(body) - (size_t)n, "%s%s", i ? ", " : "", kind);
    t += sprintf(t, "%s", K_HEAD);
    for (unsigned i = used; i % FULL; i++)
        t += sprintf(t, "bar.sync 0;\n");
    sprintf(t, "%s;%s", body, K_TAIL);
    err = ptx_module_parse(text, strlen(text), &m, log, sizeof(log));
    if (!err) {
        err = ptx_kernel_prepare(ptx_module_kernel(m, 0), log, sizeof(log));
        ptx_module_free(m);
    }
    if (err && (!log[0] || strchr(log, '\n')))
        fail_msg("%s: error %d: %s", body, err, log);
    return !err;
}

/* Every opcode with every modifier, with as few and as many operands as the parser lets through, is made
 * ready or refused in one line, and (this is for AddressSanitizer) nobody looks for more operands. */
static void any_operands(void **state)
{
#define X(n) "." #n,
    static const char *const mods[] = {"", PTX_MODS(X)};
#undef X
    static const char *const kinds[] = {"%r1", "%q", "[%rd1]", "{%r1, %r2}"};
    unsigned ready = 0, refused = 0;

    for (unsigned op = 0; op < ptx_nopcodes; op++)
        for (unsigned m = 0; m < sizeof(mods) / sizeof(mods[0]); m++)
            for (unsigned c = 0; c < 8; c++) {
                const struct ptx_opcode *o = &ptx_opcodes[op];
                const unsigned count = o->min + c / 4;
                const char *kind = kinds[c % 4];

                if (count > o->max)
                    break;
                if (is_ready(o->name, mods[m], kind, count))
                    ready++;
                else
                    refused++;
            }
    assert_true(ready > 1000 && refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(faults, pf_setup),
                                       cmocka_unit_test_setup(waits_forever, pf_setup),
                                       cmocka_unit_test(any_operands)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
