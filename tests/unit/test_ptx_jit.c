/* SPDX-License-Identifier: MIT */
/*
 * Random structured programs, interpreted and compiled: memory must be the same afterwards. Nested
 * branches and loops that lanes leave at different times, jumps out of them, early ends, barriers
 * and warp operations where all threads come, private and shared memory, atomics, all block shapes.
 * GVM_JIT_RANDOM=FIRST,COUNT runs others than the usual seeds.
 */
#include "tests/unit/ptx_fixture.h"

#define NI    8 /* registers of each kind */
#define NF    5
#define ND    3
#define WORDS 64u /* of a thread's own memory */
#define TEXT  (1u << 17)

static uint64_t rng;
static char text[TEXT];
static size_t len;
static unsigned labels, depth, budget;
static bool warp_ops; /* may be used: all lanes of each warp are there */

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
    assert_true(len < TEXT - 1);
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
    case 2:
        put("\t%sbfe.%c32 %%r%u, %%r%u, %u, %u;\n", g, rnd(2) ? 'u' : 's', rnd(NI), rnd(NI),
            rnd(40), rnd(40));
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
    static const char *const one[] = {"neg.f32",         "abs.f32",        "sqrt.rn.f32",
                                      "rcp.rn.f32",      "mov.f32",        "ex2.approx.f32",
                                      "cvt.rzi.f32.f32", "cvt.sat.f32.f32"};
    const char *g = guard();

    switch (rnd(9)) {
    case 0:
        put("\t%s%s %%f%u, %%f%u;\n", g, one[rnd(8)], rnd(NF), rnd(NF));
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
        else if (k == 20 && !all && depth > 2 && rnd(6) == 0)
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

static void program(uint64_t seed, bool lanes_work)
{
    rng = seed * 0x9e3779b97f4a7c15ull + 12345;
    len = 0;
    labels = depth = 0;
    budget = 12 + rnd(60);
    warp_ops = lanes_work;
    put(".version 8.0\n.target sm_90\n.address_size 64\n"
        ".visible .entry k(.param .u64 m, .param .u64 t, .param .u64 n)\n{\n"
        "\t.reg .b32 %%r<%u>, %%t<4>, %%c<8>, %%me, %%nt, %%loc, %%full;\n"
        "\t.reg .f32 %%f<%u>;\n\t.reg .f64 %%d<%u>;\n\t.reg .b64 %%l<4>, %%a<4>, %%own, %%tab, "
        "%%cnt;\n\t.reg .pred %%p<4>, %%q<8>;\n\t.shared .align 4 .b8 sh[4096];\n"
        "\t.local .align 4 .b8 lo[32];\n",
        NI, NF, ND);
    put("\tmov.u32 %%me, %%tid.x;\n\tmov.u32 %%t0, %%tid.y;\n\tmov.u32 %%t1, %%ntid.x;\n"
        "\tmov.u32 %%t2, %%ntid.y;\n\tmad.lo.u32 %%me, %%t0, %%t1, %%me;\n"
        "\tmul.lo.u32 %%nt, %%t1, %%t2;\n\tmov.u32 %%t3, %%ctaid.x;\n"
        "\tmad.lo.u32 %%t3, %%t3, %%nt, %%me;\n\tld.param.u64 %%own, [m];\n"
        "\tld.param.u64 %%tab, [t];\n\tld.param.u64 %%cnt, [n];\n"
        "\tmul.wide.u32 %%a0, %%t3, %u;\n\tadd.s64 %%own, %%own, %%a0;\n\tmov.u32 %%loc, lo;\n"
        "\tmov.u32 %%full, -1;\n\tmov.u32 %%t0, sh;\n",
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
}

struct shape {
    uint32_t grid, x, y;
    bool whole; /* whole warps */
};
static const struct shape shapes[] = {
    {3, 32, 1, true}, {2, 64, 1, true}, {2, 33, 1, false}, {2, 16, 4, true},  {1, 7, 3, false},
    {2, 8, 8, true},  {1, 1, 1, false}, {1, 96, 2, true},  {1, 5, 13, false}, {1, 128, 1, true}};
#define NSHAPES (sizeof(shapes) / sizeof(shapes[0]))

static uint64_t mem_at, tab_at, cnt_at;
static size_t mem_size;

static int run(const struct shape *s, uint8_t *out, uint32_t cnt[32])
{
    uint8_t *m = (uint8_t *)(uintptr_t)mem_at;
    int err;

    memset(m, 0, mem_size);
    memset((void *)(uintptr_t)cnt_at, 0, 128);
    err = pf_run3("k", (uint32_t[]){s->grid, 1, 1}, (uint32_t[]){s->x, s->y, 1}, 3,
                  (uint64_t[]){mem_at, tab_at, cnt_at});
    memcpy(out, m, mem_size);
    memcpy(cnt, (void *)(uintptr_t)cnt_at, 128);
    return err;
}

/* NaNs in double precision may differ in sign and payload where two meet: not compared, as the
 * programs only keep what conversions to single precision leave of them. */
static void one(uint64_t seed, uint8_t *want, uint8_t *have)
{
    static const unsigned lanes[] = {1, 8, 16, 32};
    const struct shape *s = &shapes[seed % NSHAPES];
    uint32_t cnt[2][32];

    program(seed, s->whole && seed % 3 == 0);
    ptx_jit_set(PTX_JIT_OFF);
    if (pf_load(text))
        fail_msg("seed %llu: %s", (unsigned long long)seed, pf_log);
    if (run(s, want, cnt[0]))
        fail_msg("seed %llu, interpreted: %s %s", (unsigned long long)seed, pf_fault.what, pf_log);
    for (unsigned i = 0; i < 4; i++) {
        if (seed % 4 != i)
            continue; /* one width for each program: compiling takes time */
        ptx_jit_set(PTX_JIT_FIRST);
        ptx_jit_lanes(lanes[i]);
        assert_int_equal(pf_load(text), 0);
        if (run(s, have, cnt[1]))
            fail_msg("seed %llu, %u lanes: %s", (unsigned long long)seed, lanes[i], pf_fault.what);
        for (size_t k = 0; k < mem_size; k += 4)
            if (memcmp(want + k, have + k, 4)) {
                uint32_t a, b;

                memcpy(&a, want + k, 4);
                memcpy(&b, have + k, 4);
                fail_msg("seed %llu, %u lanes: thread %zu, word %zu: interpreted 0x%08x, compiled "
                         "0x%08x",
                         (unsigned long long)seed, lanes[i], k / 4 / WORDS, k / 4 % WORDS, a, b);
            }
        assert_memory_equal(cnt[0], cnt[1], sizeof(cnt[0]));
    }
}

static bool compiler(void)
{
    char log[300];

    if (ptx_jit_load(PTX_JIT_FIRST, log, sizeof(log)))
        return true;
    print_message("skipped: %s\n", log);
    return false;
}

static void test_random(void **state)
{
    const char *env = getenv("GVM_JIT_RANDOM");
    unsigned long first = 0, count = 100;
    uint8_t *want, *have;

    if (!compiler())
        skip();
    if (env && sscanf(env, "%lu,%lu", &first, &count) != 2)
        fail_msg("GVM_JIT_RANDOM=%s: FIRST,COUNT is wanted", env);
    mem_size = 256 * WORDS * 4;
    mem_at = pf_alloc(mem_size);
    tab_at = pf_alloc(4096);
    cnt_at = pf_alloc(128);
    want = malloc(mem_size);
    have = malloc(mem_size);
    rng = 99;
    for (unsigned i = 0; i < 4096; i++)
        ((uint8_t *)(uintptr_t)tab_at)[i] = (uint8_t)rnd(256);
    for (unsigned long s = first; s < first + count; s++)
        one(s, want, have);
    struct ptx_jit_stats st = ptx_jit_stats();
    print_message("%lu programs, %llu compilations, %llu refused\n", count,
                  (unsigned long long)st.compiled, (unsigned long long)st.refused);
    assert_true(st.compiled > 0);
    free(want);
    free(have);
}

/* A fault is the same, word by word: which thread, which line, which address. */
static void test_faults(void **state)
{
    static const struct {
        const char *what, *access;
        int err;
    } faults[] = {
        {"past the buffer", "add.s64 %a, %b, %w; st.global.u32 [%a+65536], %t;", 700},
        {"outside the window", "mul.wide.u32 %a, %t, 4; ld.global.u32 %r, [%a];", 700},
        {"misaligned", "add.s64 %a, %b, %w; ld.global.u32 %r, [%a+2];", 716},
        {"one lane", "setp.eq.u32 %p, %t, 37; selp.b64 %a, 12345, %b, %p; ld.global.u8 %r, [%a];",
         700},
        {"gathered, one page",
         "setp.eq.u32 %p, %t, 21; selp.b64 %w, 70000, 0, %p; "
         "mad.wide.u32 %a, %x, 4, %b; add.s64 %a, %a, %w; "
         "ld.global.u32 %r, [%a];",
         700},
        {"some lanes only",
         "setp.lt.u32 %p, %t, 50; @%p bra E; add.s64 %a, %b, %w; "
         "ld.global.u32 %r, [%a+65536]; E:",
         700},
        {"shared", "shl.b32 %x, %t, 6; st.shared.u32 [%x], %t;", 700},
        {"trap", "setp.eq.u32 %p, %t, 40; @%p trap;", 719},
    };
    char body[2000];

    if (!compiler())
        skip();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        uint64_t b = pf_alloc(4096);
        struct ptx_fault want;

        snprintf(body, sizeof(body),
                 ".visible .entry k(.param .u64 m)\n{\n.reg .b64 %%a, %%b, %%w;\n.reg .b32 %%t, "
                 "%%x, %%r;\n.reg .pred %%p;\n.shared .align 4 .b8 sh[1024];\nmov.u32 %%x, sh;\n"
                 "ld.param.u64 %%b, [m];\nmov.u32 %%t, %%tid.x;\nmul.wide.u32 %%w, %%t, 4;\n"
                 "xor.b32 %%x, %%t, 5;\n%s\nst.global.u32 [%%b], %%r;\nret;\n}\n",
                 faults[i].access);
        for (unsigned lanes = 0; lanes <= 32; lanes = lanes ? lanes * 2 : 8) {
            int err;

            ptx_jit_set(lanes ? PTX_JIT_FIRST : PTX_JIT_OFF);
            ptx_jit_lanes(lanes);
            if (pf_load_sm(body))
                fail_msg("%s: %s", faults[i].what, pf_log);
            err = pf_run("k", 1, 64, 1, b);
            if (err != faults[i].err)
                fail_msg("%s, %u lanes: error %d %s", faults[i].what, lanes, err, pf_fault.what);
            if (!lanes)
                want = pf_fault;
            else if (strcmp(want.what, pf_fault.what) || want.addr != pf_fault.addr)
                fail_msg("%s, %u lanes: '%s', interpreted '%s'", faults[i].what, lanes,
                         pf_fault.what, want.what);
        }
    }
}

/* What runs for long is compiled behind its back, and then used. */
static void test_warm(void **state)
{
    const uint32_t n = 4096;
    struct ptx_jit_stats before, now;

    if (!compiler())
        skip();
    ptx_jit_set(PTX_JIT_ON);
    ptx_jit_lanes(0);
    if (pf_load_sm(".visible .entry k(.param .u64 m)\n{\n.reg .b64 %a, %b;\n.reg .b32 %t, %c, %n;\n"
                   ".reg .pred %p;\nld.param.u64 %b, [m];\nmov.u32 %t, %tid.x;\n"
                   "mov.u32 %c, %ctaid.x;\nmov.u32 %n, %ntid.x;\nmad.lo.u32 %t, %c, %n, %t;\n"
                   "mul.wide.u32 %a, %t, 4;\nadd.s64 %b, %b, %a;\nmov.u32 %c, 0;\n"
                   "L: mad.lo.u32 %t, %t, 1664525, 1013904223;\nadd.u32 %c, %c, 1;\n"
                   "setp.lt.u32 %p, %c, 100;\n@%p bra L;\nst.global.u32 [%b], %t;\nret;\n}\n"))
        fail_msg("%s", pf_log);
    uint64_t m = pf_alloc(4 * n);

    before = now = ptx_jit_stats();
    for (unsigned i = 0; i < 100000 && now.entered == before.entered; i++) {
        memset((void *)(uintptr_t)m, 0, 4 * n);
        assert_int_equal(pf_run("k", n / 128, 128, 1, m), 0);
        for (uint32_t t = 0; t < n; t++) {
            uint32_t v = t;

            for (int k = 0; k < 100; k++)
                v = v * 1664525 + 1013904223;
            assert_int_equal(pf_u32(m)[t], v);
        }
        now = ptx_jit_stats();
    }
    assert_true(now.entered > before.entered);
    assert_int_equal(now.compiled, before.compiled + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_random, pf_setup),
                                       cmocka_unit_test_setup(test_faults, pf_setup),
                                       cmocka_unit_test_setup(test_warm, pf_setup)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
