/* SPDX-License-Identifier: MIT */
/*
 * randprog.c - random structured programs in PTX: nested branches and loops that lanes leave at
 * different times, jumps out of them, early ends, barriers and warp operations where all threads
 * come, private and shared memory, atomics whose order does not matter. But for exchange() with
 * threads that have ended (random.c), what a program leaves in memory depends on nothing that PTX
 * leaves open.
 */
#include "randprog.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NI    8 /* registers of each kind */
#define NF    5
#define ND    3
#define WORDS RAND_WORDS
#define TEXT  (1u << 17)

static uint64_t rng;
static char text[TEXT];
static size_t len;
static unsigned labels, depth, budget;
static bool warp_ops; /* may be used: all lanes of each warp are there */
static bool exact;    /* nothing that devices may compute differently */

static uint32_t rnd(uint32_t n)
{
    rng = rng * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(rng >> 33) % n;
}

static void __attribute__((format(printf, 1, 2))) put(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    len += (size_t)vsnprintf(text + len, TEXT - len, fmt, ap);
    va_end(ap);
    if (len >= TEXT - 1) {
        fprintf(stderr, "a program of more than %u octets\n", TEXT);
        abort();
    }
}

static const char *guard(void)
{
    static char g[16];

    g[0] = 0;
    if (rnd(6) == 0)
        snprintf(g, sizeof(g), "@%s%%p%u ", rnd(2) ? "" : "!", rnd(4));
    return g;
}

static const char *i_src(void)
{
    static char s[4][24];
    static unsigned k;
    char *o = s[k++ & 3];

    if (rnd(4) == 0)
        snprintf(o, 24, "%d", rnd(3) ? (int)rnd(40) - 8 : (int)(rng >> 20));
    else
        snprintf(o, 24, "%%r%u", rnd(NI));
    return o;
}

static void int_op(void)
{
    static const char *const two[] = {
        "add.s32", "sub.s32", "mul.lo.s32", "mul.hi.u32", "mul.hi.s32", "and.b32", "or.b32",
        "xor.b32", "min.s32", "max.u32",    "shl.b32",    "shr.u32",    "shr.s32", "div.u32",
        "div.s32", "rem.u32", "rem.s32",    "min.u32",    "max.s32",    "sub.u32"};
    static const char *const one[] = {"neg.s32",  "not.b32", "abs.s32",   "popc.b32", "clz.b32",
                                      "brev.b32", "mov.u32", "bfind.u32", "cnot.b32"};
    const char *g = guard();

    switch (rnd(11)) {
    case 0:
        put("\t%s%s %%r%u, %%r%u;\n", g, one[rnd(9)], rnd(NI), rnd(NI));
        break;
    case 1:
        put("\t%smad.lo.s32 %%r%u, %s, %s, %s;\n", g, rnd(NI), i_src(), i_src(), i_src());
        break;
    case 2: /* ptxas does not fold a constant position past the word as the instruction works */
        put("\t%sbfe.%c32 %%r%u, %%r%u, %u, %u;\n", g, rnd(2) ? 'u' : 's', rnd(NI), rnd(NI),
            rnd(32), rnd(40));
        break;
    case 3:
        put("\t%sprmt.b32 %%r%u, %%r%u, %%r%u, %u;\n", g, rnd(NI), rnd(NI), rnd(NI), rnd(65536));
        break;
    case 4:
        put("\t%slop3.b32 %%r%u, %%r%u, %%r%u, %%r%u, %u;\n", g, rnd(NI), rnd(NI), rnd(NI), rnd(NI),
            rnd(256));
        break;
    case 5:
        put("\t%sselp.b32 %%r%u, %s, %s, %%p%u;\n", g, rnd(NI), i_src(), i_src(), rnd(4));
        break;
    case 6:
        put("\t%sshf.%c.%s.b32 %%r%u, %%r%u, %%r%u, %s;\n", g, rnd(2) ? 'l' : 'r',
            rnd(2) ? "wrap" : "clamp", rnd(NI), rnd(NI), rnd(NI), i_src());
        break;
    default:
        put("\t%s%s %%r%u, %%r%u, %s;\n", g, two[rnd(20)], rnd(NI), rnd(NI), i_src());
    }
}

static void wide_op(void)
{
    const char *g = guard();

    switch (rnd(6)) {
    case 0:
        put("\t%smul.wide.%c32 %%l%u, %%r%u, %s;\n", g, rnd(2) ? 'u' : 's', rnd(3), rnd(NI),
            i_src());
        break;
    case 1:
        put("\t%scvt.%s %%l%u, %%r%u;\n", g, rnd(2) ? "s64.s32" : "u64.u32", rnd(3), rnd(NI));
        break;
    case 2:
        put("\t%scvt.u32.u64 %%r%u, %%l%u;\n", g, rnd(NI), rnd(3));
        break;
    case 3:
        put("\t%sadd.s64 %%l%u, %%l%u, %%l%u;\n", g, rnd(3), rnd(3), rnd(3));
        break;
    case 4:
        put("\t%sshr.u64 %%l%u, %%l%u, %u;\n", g, rnd(3), rnd(3), rnd(70));
        break;
    default:
        put("\t%smad.wide.u32 %%l%u, %%r%u, %s, %%l%u;\n", g, rnd(3), rnd(NI), i_src(), rnd(3));
    }
}

static void float_op(void)
{
    static const char *const two[] = {"add.f32",    "sub.f32",     "mul.f32",
                                      "div.rn.f32", "min.f32",     "max.f32",
                                      "add.rz.f32", "mul.ftz.f32", "copysign.f32"};
    static const char *const one[] = {"neg.f32",         "abs.f32",       "sqrt.rn.f32",
                                      "rcp.rn.f32",      "mov.f32",       "cvt.rzi.f32.f32",
                                      "cvt.sat.f32.f32", "ex2.approx.f32"};
    const char *g = guard();

    switch (rnd(9)) {
    case 0:
        put("\t%s%s %%f%u, %%f%u;\n", g, one[rnd(exact ? 7 : 8)], rnd(NF), rnd(NF));
        break;
    case 1:
        put("\t%sfma.rn.f32 %%f%u, %%f%u, %%f%u, %%f%u;\n", g, rnd(NF), rnd(NF), rnd(NF), rnd(NF));
        break;
    case 2:
        put("\t%scvt.rn.f32.%c32 %%f%u, %%r%u;\n", g, rnd(2) ? 'u' : 's', rnd(NF), rnd(NI));
        break;
    case 3:
        put("\t%scvt.r%ci.%c32.f32 %%r%u, %%f%u;\n", g, "nzmp"[rnd(4)], rnd(2) ? 'u' : 's', rnd(NI),
            rnd(NF));
        break;
    case 4:
        put("\t%sfma.rn.f64 %%d%u, %%d%u, %%d%u, %%d%u;\n", g, rnd(ND), rnd(ND), rnd(ND), rnd(ND));
        put("\t%scvt.rn.f32.f64 %%f%u, %%d%u;\n", g, rnd(NF), rnd(ND));
        break;
    case 5:
        put("\t%scvt.rn.f64.s32 %%d%u, %%r%u;\n", g, rnd(ND), rnd(NI));
        break;
    case 6:
        put("\t%smov.b32 %%r%u, %%f%u;\n", g, rnd(NI), rnd(NF));
        break;
    default:
        put("\t%s%s %%f%u, %%f%u, %%f%u;\n", g, two[rnd(9)], rnd(NF), rnd(NF), rnd(NF));
    }
}

static void compare(void)
{
    static const char *const c[] = {"eq", "ne", "lt", "le", "gt", "ge"};

    if (rnd(4) == 0)
        put("\tsetp.%s%s.f32 %%p%u, %%f%u, %%f%u;\n", c[rnd(6)], "", rnd(4), rnd(NF), rnd(NF));
    else
        put("\tsetp.%s.%c32 %%p%u, %%r%u, %s;\n", c[rnd(6)], rnd(2) ? 'u' : 's', rnd(4), rnd(NI),
            i_src());
}

/* %own: this thread's words in global memory; local array and table of all threads beside it */
static void memory(void)
{
    const char *g = guard();
    unsigned r = rnd(NI);

    switch (rnd(8)) {
    case 0: /* a word of its own, fixed */
        put("\t%sst.global.u32 [%%own+%u], %%r%u;\n", g, 4 * rnd(WORDS), r);
        break;
    case 1:
        put("\t%sld.global.u32 %%r%u, [%%own+%u];\n", g, r, 4 * rnd(WORDS));
        break;
    case 2: /* any word of its own */
        put("\tand.b32 %%t0, %%r%u, %u;\n\tmul.wide.u32 %%a0, %%t0, 4;\n", rnd(NI), WORDS - 1);
        put("\tadd.s64 %%a0, %%a0, %%own;\n\t%sst.global.u32 [%%a0], %%r%u;\n", g, r);
        break;
    case 3:
        put("\tand.b32 %%t0, %%r%u, %u;\n\tmul.wide.u32 %%a0, %%t0, 4;\n", rnd(NI), WORDS - 4);
        if (rnd(2))
            put("\tadd.s64 %%a0, %%a0, %%own;\n\t%sld.global.u32 %%r%u, [%%a0];\n", g, r);
        else
            put("\tadd.s64 %%a0, %%a0, %%own;\n\t%sld.global.v4.u32 {%%r0,%%r1,%%r2,%%r3}, "
                "[%%a0];\n",
                g);
        break;
    case 4: /* the table, which nobody writes: bytes and halves */
        put("\tand.b32 %%t0, %%r%u, 1023;\n\tcvt.u64.u32 %%a0, %%t0;\n", rnd(NI));
        put("\tadd.s64 %%a0, %%a0, %%tab;\n\t%sld.global.%c8 %%r%u, [%%a0];\n", g,
            rnd(2) ? 'u' : 's', r);
        break;
    case 5: /* lanes side by side */
        put("\tmul.wide.u32 %%a0, %%me, 4;\n\tadd.s64 %%a0, %%a0, %%tab;\n");
        if (rnd(2)) /* a field of each */
            put("\t%sld.global.%s %%r%u, [%%a0+%u];\n", g,
                (const char *[]){"u8", "s8", "u16", "s16"}[rnd(4)], r, 2 * rnd(8));
        else
            put("\t%sld.global.f32 %%f%u, [%%a0+%u];\n", g, rnd(NF), 4 * rnd(8));
        break;
    case 6:
        put("\tand.b32 %%t0, %%r%u, 28;\n\tadd.u32 %%t0, %%t0, %%loc;\n", rnd(NI));
        put("\t%sst.local.u32 [%%t0], %%r%u;\n", g, r);
        break;
    default:
        put("\tand.b32 %%t0, %%r%u, 28;\n\tadd.u32 %%t0, %%t0, %%loc;\n", rnd(NI));
        put("\t%sld.local.u32 %%r%u, [%%t0];\n", g, r);
    }
}

static void atomic(void)
{
    const char *g = guard();
    bool max = rnd(2); /* of other words: the order of operations must not matter */

    put("\tand.b32 %%t0, %%r%u, 15;\n\tmul.wide.u32 %%a0, %%t0, 4;\n", rnd(NI));
    put("\tadd.s64 %%a0, %%a0, %%cnt;\n\t%sred.global.%s.u32 [%%a0+%u], %%r%u;\n", g,
        max ? "max" : "add", max ? 64 : 0, rnd(NI));
}

/* Where all threads of the block come: an exchange through shared memory. */
static void exchange(void)
{
    unsigned a = rnd(NI), b = rnd(NI);

    put("\tshl.b32 %%t0, %%me, 2;\n\tst.shared.u32 [%%t0], %%r%u;\n\tbar.sync 0;\n", a);
    put("\tadd.u32 %%t0, %%me, %u;\n\trem.u32 %%t0, %%t0, %%nt;\n\tshl.b32 %%t0, %%t0, 2;\n",
        1 + rnd(33));
    put("\tld.shared.u32 %%r%u, [%%t0];\n\tbar.sync 0;\n", b);
}

static void warp_op(void)
{
    static const char *const m[] = {"up", "down", "bfly", "idx"};
    unsigned k = rnd(4);

    switch (rnd(5)) {
    case 0:
        put("\tshfl.sync.%s.b32 %%r%u|%%p%u, %%r%u, %u, %u, %%full;\n", m[k], rnd(NI), rnd(4),
            rnd(NI), rnd(32), k ? 31 : 0);
        break;
    case 1:
        put("\tshfl.sync.%s.b32 %%r%u, %%r%u, %%r%u, %u, -1;\n", m[k], rnd(NI), rnd(NI), rnd(NI),
            k ? 0x1c1f : 0x1c00);
        break;
    case 2:
        put("\tvote.sync.%s.pred %%p%u, %%p%u, -1;\n", rnd(2) ? "any" : "all", rnd(4), rnd(4));
        break;
    case 3:
        put("\tvote.sync.ballot.b32 %%r%u, %%p%u, -1;\n", rnd(NI), rnd(4));
        break;
    default:
        put("\tredux.sync.add.u32 %%r%u, %%r%u, -1;\n", rnd(NI), rnd(NI));
    }
}

static void block(bool all, unsigned out_of);

static void if_else(bool all)
{
    unsigned l = labels++;

    compare();
    put("\t@%%p%u bra $E%u;\n", rnd(4), l);
    block(false, UINT32_MAX);
    if (rnd(2)) {
        put("\tbra $F%u;\n$E%u:\n", l, l);
        block(false, UINT32_MAX);
        put("$F%u:\n", l);
    } else {
        put("$E%u:\n", l);
    }
    (void)all;
}

static void loop(bool all)
{
    unsigned l = labels++, c = depth;
    bool same = all && rnd(2);

    if (same) /* all threads go round as often: barriers may be inside */
        put("\tmov.u32 %%c%u, %u;\n", c, 1 + rnd(4));
    else
        put("\tand.b32 %%c%u, %%r%u, 7;\n", c, rnd(NI));
    put("$L%u:\n", l);
    block(same, same ? UINT32_MAX : l);
    put("\tadd.s32 %%c%u, %%c%u, -1;\n", c, c);
    put("\tsetp.gt.s32 %%q%u, %%c%u, 0;\n\t@%%q%u bra $L%u;\n$X%u:\n", c, c, c, l, l);
}

/* all: every thread of the block comes here; out_of: number of a loop that may be left. */
static void block(bool all, unsigned out_of)
{
    unsigned n = 1 + rnd(5);

    depth++;
    for (unsigned i = 0; i < n && budget; i++) {
        uint32_t k = rnd(24);

        budget--;
        if (k < 6)
            int_op();
        else if (k < 8)
            wide_op();
        else if (k < 11)
            float_op();
        else if (k < 13)
            compare();
        else if (k < 16)
            memory();
        else if (k == 16)
            atomic();
        else if (k == 17 && all)
            exchange();
        else if (k == 18 && all && warp_ops)
            warp_op();
        else if (k == 19 && out_of != UINT32_MAX)
            put("\t@%%p%u bra $X%u;\n", rnd(4), out_of);
        else if (k == 20 && !all && !warp_ops && depth > 2 && rnd(6) == 0)
            put("\t@%%p%u bra $END;\n", rnd(4));
        else if (k < 22 && depth < 6)
            if_else(all);
        else if (depth < 5)
            loop(all);
        else
            int_op();
    }
    depth--;
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static const struct rand_shape shapes[] = {
    {3, {32, 1, 1}},   {2, {64, 1, 1}}, {2, {33, 1, 1}},   {2, {16, 4, 1}},   {1, {7, 3, 1}},
    {2, {8, 8, 1}},    {1, {1, 1, 1}},  {1, {96, 2, 1}},   {1, {5, 13, 1}},   {1, {128, 1, 1}},
    {1, {4, 4, 4}},    {2, {3, 5, 2}},  {1, {1024, 1, 1}}, {1, {2, 3, 11}},   {1, {31, 1, 1}},
    {1, {16, 8, 4}},   {1, {1, 1, 64}}, {1, {1, 50, 1}},   {3, {24, 4, 1}},   {1, {255, 1, 1}},
    {1, {32, 32, 1}},  {2, {17, 2, 3}}, {1, {2, 2, 2}},    {1, {1023, 1, 1}}, {2, {256, 1, 1}},
    {1, {10, 10, 10}}, {1, {8, 1, 8}},  {1, {64, 8, 1}},   {2, {2, 16, 1}},
};

const struct rand_shape *rand_shape(uint64_t seed)
{
    return &shapes[seed % (sizeof(shapes) / sizeof(shapes[0]))];
}

uint32_t rand_threads(const struct rand_shape *s)
{
    return s->block[0] * s->block[1] * s->block[2];
}

void rand_table(uint8_t t[RAND_TABLE])
{
    rng = 99;
    for (unsigned i = 0; i < RAND_TABLE; i++)
        t[i] = (uint8_t)rnd(256);
}

/* ---- the whole ------------------------------------------------------------------------------- */

const char *rand_program(uint64_t seed, bool lanes_work, bool recorded)
{
    rng = seed * 0x9e3779b97f4a7c15ull + 12345;
    len = 0;
    labels = depth = 0;
    budget = 12 + rnd(60);
    warp_ops = lanes_work;
    exact = recorded;
    put(".version 8.0\n.target sm_90\n.address_size 64\n"
        ".visible .entry k(.param .u64 m, .param .u64 t, .param .u64 n)\n"
        ".maxntid %u\n{\n"
        "\t.reg .b32 %%r<%u>, %%t<4>, %%c<8>, %%me, %%nt, %%loc, %%full;\n"
        "\t.reg .f32 %%f<%u>;\n\t.reg .f64 %%d<%u>;\n\t.reg .b64 %%l<4>, %%a<4>, %%own, %%tab, "
        "%%cnt;\n\t.reg .pred %%p<4>, %%q<8>;\n\t.shared .align 4 .b8 sh[4096];\n"
        "\t.local .align 4 .b8 lo[32];\n",
        rand_threads(rand_shape(seed)), NI, NF, ND);
    put("\tmov.u32 %%me, %%tid.x;\n\tmov.u32 %%t0, %%tid.y;\n\tmov.u32 %%t1, %%ntid.x;\n"
        "\tmov.u32 %%t2, %%ntid.y;\n\tmov.u32 %%t3, %%tid.z;\n"
        "\tmad.lo.u32 %%t0, %%t3, %%t2, %%t0;\n\tmad.lo.u32 %%me, %%t0, %%t1, %%me;\n"
        "\tmul.lo.u32 %%nt, %%t1, %%t2;\n\tmov.u32 %%t2, %%ntid.z;\n"
        "\tmul.lo.u32 %%nt, %%nt, %%t2;\n\tmov.u32 %%t3, %%ctaid.x;\n"
        "\tmad.lo.u32 %%t3, %%t3, %%nt, %%me;\n\tld.param.u64 %%own, [m];\n"
        "\tld.param.u64 %%tab, [t];\n\tld.param.u64 %%cnt, [n];\n"
        "\tmul.wide.u32 %%a0, %%t3, %u;\n\tadd.s64 %%own, %%own, %%a0;\n\tmov.u32 %%loc, lo;\n"
        "\tmov.u32 %%full, -1;\n\tmov.u32 %%t0, sh;\n"
        "\tshl.b32 %%t1, %%me, 2;\n\tadd.u32 %%t0, %%t0, %%t1;\n"
        "\tst.shared.u32 [%%t0], %%me;\n\tbar.sync 0;\n",
        4 * WORDS);
    for (unsigned i = 0; i < 8; i++)
        put("\tst.local.u32 [lo+%u], %%me;\n\tmov.u32 %%c%u, 0;\n", 4 * i, i);
    for (unsigned i = 0; i < NI; i++)
        put("\tmov.u32 %%r%u, %s;\n", i,
            (const char *[]){"%tid.x", "%t3", "7", "%me", "-5", "%ntid.x", "%laneid",
                             "%ctaid.x"}[i]);
    for (unsigned i = 0; i < NF; i++)
        put("\tcvt.rn.f32.s32 %%f%u, %%r%u;\n", i, i);
    for (unsigned i = 0; i < ND; i++)
        put("\tcvt.f64.f32 %%d%u, %%f%u;\n", i, i);
    for (unsigned i = 0; i < 3; i++)
        put("\tcvt.s64.s32 %%l%u, %%r%u;\n", i, i);
    for (unsigned i = 0; i < 4; i++)
        put("\tsetp.gt.u32 %%p%u, %%r%u, %u;\n", i, i, 3 * i);
    while (budget)
        block(true, UINT32_MAX);
    put("$END:\n");
    for (unsigned i = 0; i < NI; i++)
        put("\tst.global.u32 [%%own+%u], %%r%u;\n", 4 * i, i);
    for (unsigned i = 0; i < NF; i++)
        put("\tst.global.f32 [%%own+%u], %%f%u;\n", 32 + 4 * i, i);
    for (unsigned i = 0; i < 4; i++)
        put("\tselp.u32 %%t0, 1, 0, %%p%u;\n\tst.global.u32 [%%own+%u], %%t0;\n", i, 56 + 4 * i);
    for (unsigned i = 0; i < 3; i++)
        put("\tst.global.u64 [%%own+%u], %%l%u;\n", 72 + 8 * i, i);
    put("\tret;\n}\n");
    return text;
}
