/* SPDX-License-Identifier: MIT */
/* randcall.c - see randcall.h. */
#include "randcall.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT  (1u << 17)
#define FUNCS 4u

static uint64_t rng;
static char text[TEXT];
static unsigned len, labels, level, calls;

static uint32_t rnd(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 33) % n;
}

static void __attribute__((format(printf, 1, 2))) put(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    len += (unsigned)vsnprintf(text + len, TEXT - len, fmt, ap);
    va_end(ap);
    if (len >= TEXT) {
        fprintf(stderr, "randcall: the text does not fit\n");
        exit(2);
    }
}

/* r0: argument, r1: depth left, r2 to r6: values, r7: scratch; l0: own memory, l1: scratch */
static unsigned value(void)
{
    return 2 + rnd(5);
}

static void int_op(void)
{
    static const char *const ops[] = {"add.u32", "sub.u32", "mul.lo.u32", "xor.b32", "min.s32"};

    put("\t%s %%r%u, %%r%u, %%r%u;\n", ops[rnd(5)], value(), value(), rnd(2) ? value() : 0);
}

static void memory_op(void)
{
    unsigned v = value(), w = value();

    switch (rnd(4)) {
    case 0: /* local, any element */
        put("\tand.b32 %%r7, %%r%u, 28;\n\tmov.u32 %%r8, lo;\n\tadd.u32 %%r7, %%r7, %%r8;\n"
            "\tst.local.u32 [%%r7], %%r%u;\n\tld.local.u32 %%r%u, [lo+%u];\n",
            v, w, value(), 4 * rnd(8));
        break;
    case 1: /* the same by a generic address */
        put("\tmov.u64 %%l1, lo;\n\tcvta.local.u64 %%l1, %%l1;\n\tst.u32 [%%l1+%u], %%r%u;\n"
            "\tld.u32 %%r%u, [%%l1+%u];\n",
            4 * rnd(8), v, w, 4 * rnd(8));
        break;
    case 2:
        put("\tand.b32 %%r7, %%r%u, 31;\n\tmul.wide.u32 %%l1, %%r7, 4;\n\tadd.s64 %%l1, %%l1, "
            "%%l0;\n"
            "\tst.global.u32 [%%l1+64], %%r%u;\n\tld.global.u32 %%r%u, [%%l0+%u];\n",
            v, w, value(), 64 + 4 * rnd(32));
        break;
    default:
        put("\tred.global.add.u32 [%%l2+%u], %%r%u;\n", 4 * rnd(8), v);
    }
}

static void compare(void)
{
    static const char *const c[] = {"lt.s32", "ge.u32", "eq.s32", "gt.s32"};

    put("\tsetp.%s %%p%u, %%r%u, %%r%u;\n", c[rnd(4)], level, value(), value());
}

static void call(void)
{
    unsigned skip = labels++, to = 1 + rnd(FUNCS), v = value();

    put("\tsetp.gt.s32 %%p3, %%r1, 0;\n\t@!%%p3 bra L%u;\n\t{\n\t.param .b32 x; .param .b32 n; "
        ".param .b32 r;\n"
        "\t.param .b64 m;\n\t.param .align 8 .b8 s[16];\n\tsub.u32 %%r7, %%r1, 1;\n"
        "\tst.param.b32 [x], %%r%u;\n\tst.param.b32 [n], %%r7;\n\tst.param.b64 [m], %%l0;\n"
        "\tst.param.b64 [s], %%l2;\n\tst.param.b32 [s+8], %%r%u;\n\tst.param.b32 [s+12], %u;\n",
        skip, v, value(), rnd(100));
    if (rnd(3)) {
        put("\tcall.uni (r), f%u, (x, n, m, s);\n", to);
    } else { /* by a pointer: one for all, or each lane its own */
        put("\tand.b32 %%r7, %%r%u, 3;\n\tmul.wide.u32 %%l1, %%r7, 8;\n\tmov.u64 %%l3, ptrs;\n"
            "\tadd.s64 %%l1, %%l1, %%l3;\n\tld.global.u64 %%l1, [%%l1];\n"
            "\tcall (r), %%l1, (x, n, m, s), proto;\n",
            value());
    }
    put("\tld.param.b32 %%r%u, [r];\n\t}\nL%u:\n", value(), skip);
    calls++;
}

static bool returns; /* a statement may be an early return */

static void block(unsigned n);

static void statement(bool loops)
{
    unsigned a, b;

    switch (rnd(level < 2 ? 12 : 8)) {
    case 0:
    case 1:
    case 2:
        int_op();
        break;
    case 3:
    case 4:
        memory_op();
        break;
    case 5:
    case 6:
        if (calls < 4 && (!loops || !rnd(3)))
            call();
        else
            int_op();
        break;
    case 7: /* a table of jumps */
        a = labels;
        labels += 4;
        put("\tand.b32 %%r7, %%r%u, 3;\n\tmin.u32 %%r7, %%r7, 2;\nT%u:\n"
            "\t.branchtargets L%u, L%u, L%u;\n\tbrx.idx %%r7, T%u;\nL%u:\n",
            value(), a, a, a + 1, a + 2, a, a);
        int_op();
        put("\tbra L%u;\nL%u:\n", a + 3, a + 1);
        memory_op();
        put("L%u:\n", a + 2);
        int_op();
        put("L%u:\n", a + 3);
        break;
    case 8:
    case 9:
        compare();
        a = labels++;
        put("\t@%s%%p%u bra L%u;\n", rnd(2) ? "!" : "", level, a);
        level++;
        block(1 + rnd(3));
        level--;
        put("L%u:\n", a);
        break;
    case 10:
        a = labels++;
        b = level;
        put("\tmov.u32 %%c%u, 0;\nL%u:\n", b, a);
        level++;
        for (unsigned i = 0; i < 1 + rnd(3); i++)
            statement(true);
        level--;
        put("\tadd.u32 %%c%u, %%c%u, 1;\n\tand.b32 %%r7, %%r0, 1;\n\tadd.u32 %%r7, %%r7, 2;\n"
            "\tsetp.lt.u32 %%p%u, %%c%u, %%r7;\n\t@%%p%u bra L%u;\n",
            b, b, b, b, b, a);
        break;
    default: /* early, for some */
        if (!returns) {
            int_op();
            break;
        }
        compare();
        put("\tst.param.b32 [ret], %%r%u;\n\t@%%p%u ret;\n", value(), level);
    }
}

static void block(unsigned n)
{
    while (n--)
        statement(false);
}

static void function(unsigned i)
{
    put(".func (.param .b32 ret) f%u(.param .b32 ax, .param .b32 an, .param .b64 am, "
        ".param .align 8 .b8 as[16])\n{\n\t.reg .b32 %%r<9>, %%c<4>;\n\t.reg .b64 %%l<4>;\n"
        "\t.reg .pred %%p<4>;\n\t.local .align 8 .b8 lo[32];\n"
        "\tld.param.u32 %%r0, [ax];\n\tld.param.u32 %%r1, [an];\n\tld.param.u64 %%l0, [am];\n"
        "\tld.param.u64 %%l2, [as];\n\tld.param.u32 %%r2, [as+8];\n\tld.param.u32 %%r3, [as+12];\n"
        "\tproto: .callprototype (.param .b32 _) _ (.param .b32 _, .param .b32 _, .param .b64 _, "
        ".param .align 8 .b8 _[16]);\n"
        "\tadd.u32 %%r4, %%r0, %u;\n\tmov.u32 %%r5, %u;\n\tmov.u32 %%r6, %%tid.x;\n",
        i, rnd(100), rnd(1000));
    for (unsigned k = 0; k < 8; k++)
        put("\tst.local.u32 [lo+%u], %%r%u;\n", 4 * k, 2 + k % 5);
    put("\tst.param.b32 [ret], %%r4;\n");
    level = calls = 0;
    returns = true;
    block(2 + rnd(5));
    put("\txor.b32 %%r4, %%r4, %%r%u;\n\tst.param.b32 [ret], %%r4;\n\tret;\n}\n", value());
}

const char *randcall_program(uint64_t seed, bool lanes_work)
{
    rng = seed * 0x9e3779b97f4a7c15ull + 777;
    for (int i = 0; i < 4; i++)
        rnd(2);
    len = labels = 0;
    put(".version 8.0\n.target sm_90\n.address_size 64\n");
    for (unsigned i = 1; i <= FUNCS; i++)
        put(".func (.param .b32 ret) f%u(.param .b32 ax, .param .b32 an, .param .b64 am, "
            ".param .align 8 .b8 as[16]);\n",
            i);
    put(".global .align 8 .u64 ptrs[4] = {f1, f2, f3, f4};\n.shared .align 4 .b8 sh[4096];\n");
    /* the neighbour's value, by shared memory and a barrier, or by a shuffle */
    put(".func (.param .b32 ret) fb(.param .b32 ax)\n{\n\t.reg .b32 %%r<6>;\n\t.reg .pred %%p;\n"
        "\tld.param.u32 %%r0, [ax];\n\tmov.u32 %%r1, %%tid.x;\n\tshl.b32 %%r2, %%r1, 2;\n"
        "\tmov.u32 %%r3, sh;\n\tadd.u32 %%r3, %%r3, %%r2;\n\tbar.sync 0;\n"
        "\tst.shared.u32 [%%r3], %%r0;\n\tbar.sync 0;\n\tld.shared.u32 %%r4, [sh];\n"
        "%s\tadd.u32 %%r4, %%r4, %%r0;\n\tst.param.b32 [ret], %%r4;\n\tret;\n}\n",
        lanes_work ? "\tshfl.sync.bfly.b32 %r5|%p, %r0, 3, 31, -1;\n\txor.b32 %r4, %r4, %r5;\n"
                   : "");
    for (unsigned i = 1; i <= FUNCS; i++)
        function(i);
    put(".visible .entry k(.param .u64 pm, .param .u64 pt, .param .u64 pn)\n{\n"
        "\t.reg .b32 %%r<9>, %%c<4>, %%me;\n\t.reg .b64 %%l<4>;\n\t.reg .pred %%p<4>;\n"
        "\t.local .align 8 .b8 lo[32];\n\tproto: .callprototype (.param .b32 _) _ (.param .b32 _, "
        ".param .b32 _, .param .b64 _, .param .align 8 .b8 _[16]);\n"
        "\tmov.u32 %%me, %%tid.x;\n\tmov.u32 %%r0, %%ctaid.x;\n\tmov.u32 %%r1, %%ntid.x;\n"
        "\tmad.lo.u32 %%me, %%r0, %%r1, %%me;\n\tld.param.u64 %%l0, [pm];\n"
        "\tld.param.u64 %%l2, [pn];\n\tmul.wide.u32 %%l1, %%me, 256;\n\tadd.s64 %%l0, %%l0, %%l1;\n"
        "\tmov.u32 %%r0, %%me;\n\tmov.u32 %%r1, %u;\n",
        1 + rnd(2));
    for (unsigned i = 2; i < 7; i++)
        put("\tadd.u32 %%r%u, %%me, %u;\n", i, rnd(50));
    for (unsigned i = 0; i < 8; i++)
        put("\tst.local.u32 [lo+%u], %%me;\n", 4 * i);
    returns = false; /* no thread leaves before the barriers */
    for (unsigned i = 0; i < 2; i++) {
        level = calls = 0;
        for (unsigned k = 0; k < 3; k++)
            statement(false);
        put("\t{\n\t.param .b32 x; .param .b32 r;\n\tst.param.b32 [x], %%r%u;\n\tcall.uni (r), fb, "
            "(x);\n"
            "\tld.param.b32 %%r%u, [r];\n\t}\n",
            value(), value());
    }
    for (unsigned i = 0; i < 7; i++)
        put("\tst.global.u32 [%%l0+%u], %%r%u;\n", 4 * i, i);
    put("\tret;\n}\n");
    return text;
}
