/* SPDX-License-Identifier: MIT */
/*
 * Random structured programs (tests/ptx/randprog.c), interpreted and compiled: memory must be the
 * same afterwards, with approximate instructions as well. `make test-ptx` runs more of them, against
 * recorded results. GVM_JIT_RANDOM=FIRST,COUNT runs others than the usual seeds.
 */
#include "tests/ptx/randcall.h"
#include "tests/ptx/randprog.h"
#include "tests/unit/ptx_fixture.h"

#define THREADS 1024u /* of a grid */

static uint64_t mem_at, tab_at, cnt_at;
static size_t mem_size;

static int run(const struct rand_shape *s, uint8_t *out, uint32_t cnt[RAND_COUNT])
{
    uint8_t *m = (uint8_t *)(uintptr_t)mem_at;
    int err;

    memset(m, 0, mem_size);
    memset((void *)(uintptr_t)cnt_at, 0, 128);
    err = pf_run3("k", (uint32_t[]){s->grid, 1, 1}, s->block, 3,
                  (uint64_t[]){mem_at, tab_at, cnt_at});
    memcpy(out, m, mem_size);
    memcpy(cnt, (void *)(uintptr_t)cnt_at, 128);
    return err;
}

/* NaNs in double precision may differ in sign and payload where two meet: not compared, as the
 * programs only keep what conversions to single precision leave of them. */
static void one(uint64_t seed, bool calls, uint8_t *want, uint8_t *have)
{
    static const unsigned lanes[] = {1, 8, 16, 32};
    static const struct rand_shape flat[] = {{2, {70, 1, 1}}, {3, {96, 1, 1}}, {1, {5, 1, 1}}};
    const struct rand_shape *s = calls ? &flat[seed % 3] : rand_shape(seed);
    const char *text = calls ? randcall_program(seed, seed % 3 == 1)
                             : rand_program(seed, !(rand_threads(s) % 32) && seed % 3 == 0, false);
    uint32_t cnt[2][RAND_COUNT];

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
                         (unsigned long long)seed, lanes[i], k / 4 / RAND_WORDS, k / 4 % RAND_WORDS,
                         a, b);
            }
        assert_memory_equal(cnt[0], cnt[1], sizeof(cnt[0]));
    }
}

/* Memory of the programs, and copies of what they leave there. */
static void make_room(uint8_t **want, uint8_t **have)
{
    mem_size = THREADS * RAND_WORDS * 4;
    mem_at = pf_alloc(mem_size);
    tab_at = pf_alloc(RAND_TABLE);
    cnt_at = pf_alloc(4 * RAND_COUNT);
    *want = malloc(mem_size);
    *have = malloc(mem_size);
}

static void test_random(void **state)
{
    const char *env = getenv("GVM_JIT_RANDOM");
    unsigned long first = 0, count = 40;
    uint8_t *want, *have;

    if (!pf_compiler())
        skip();
    if (env && sscanf(env, "%lu,%lu", &first, &count) != 2)
        fail_msg("GVM_JIT_RANDOM=%s: FIRST,COUNT is wanted", env);
    make_room(&want, &have);
    rand_table((uint8_t *)(uintptr_t)tab_at);
    for (unsigned long s = first; s < first + count; s++)
        one(s, false, want, have);
    struct ptx_jit_stats st = ptx_jit_stats();
    print_message("%lu programs, %llu compilations, %llu refused\n", count,
                  (unsigned long long)st.compiled, (unsigned long long)st.refused);
    assert_true(st.compiled > 0);
    free(want);
    free(have);
}

/* Functions that call each other. GVM_JIT_CALLS=FIRST,COUNT runs others than the usual seeds. */
static void test_calls(void **state)
{
    const char *env = getenv("GVM_JIT_CALLS");
    unsigned long first = 0, count = 8;
    uint8_t *want, *have;

    if (!pf_compiler())
        skip();
    if (env && sscanf(env, "%lu,%lu", &first, &count) != 2)
        fail_msg("GVM_JIT_CALLS=%s: FIRST,COUNT is wanted", env);
    make_room(&want, &have);
    struct ptx_jit_stats before = ptx_jit_stats();

    for (unsigned long s = first; s < first + count; s++)
        one(s, true, want, have);
    struct ptx_jit_stats st = ptx_jit_stats();
    print_message("%lu programs, %llu compilations\n", count,
                  (unsigned long long)(st.compiled - before.compiled));
    assert_true(st.compiled - before.compiled >=
                count * 3 / 4); /* shuffles are no code for one lane */
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
        {"one of many numbers",
         "setp.eq.u32 %p, %t, 21; selp.b32 %x, 70000, %x, %p; mul.wide.u32 %w, %x, 4; "
         "add.s64 %a, %b, %w; ld.global.u32 %r, [%a+4];",
         700},
        {"numbers below zero",
         "sub.u32 %x, %x, 40; mad.wide.s32 %a, %x, 64, %b; ld.global.u32 %r, [%a];", 700},
        {"masked numbers, one of many",
         "setp.eq.u32 %p, %t, 21; selp.b32 %x, -1, %x, %p; and.b32 %x, %x, 0x1ffff; "
         "mul.wide.u32 %w, %x, 4; add.s64 %a, %b, %w; ld.global.u32 %r, [%a];",
         700},
        {"masked numbers, out of the window",
         "setp.eq.u32 %p, %t, 21; selp.b32 %x, -1, %x, %p; and.b32 %x, %x, 0x7fffffff; "
         "mul.wide.s32 %w, %x, 64; add.s64 %a, %b, %w; ld.global.u32 %r, [%a];",
         700},
        {"masked numbers below zero",
         "setp.eq.u32 %p, %t, 21; selp.b32 %x, -64, %x, %p; and.b32 %x, %x, 0xfffffff0; "
         "mul.wide.s32 %w, %x, 64; add.s64 %a, %b, %w; ld.global.u32 %r, [%a];",
         700},
        {"masked, the mask is another one by then",
         "setp.eq.u32 %p, %t, 21; selp.b32 %x, -1, %x, %p; mov.u32 %u, %ntid.x; "
         "mul.lo.u32 %u, %u, 0x1ffffff; and.b32 %x, %x, %u; shr.u32 %u, %u, 29; "
         "mul.wide.u32 %w, %x, 64; add.s64 %a, %b, %w; ld.global.u32 %r, [%a];",
         700},
        {"shifted numbers, out of the window",
         "setp.eq.u32 %p, %t, 21; selp.b32 %x, -1, %x, %p; shr.u32 %x, %x, 1; "
         "mul.wide.u32 %w, %x, 64; add.s64 %a, %b, %w; ld.global.u32 %r, [%a];",
         700},
        {"masked numbers, the second of two loads, some lanes only",
         "setp.lt.u32 %p, %t, 7; @%p bra E; and.b32 %x, %t, 63; mul.wide.u32 %w, %x, 4; "
         "add.s64 %a, %b, %w; ld.global.u32 %r, [%a]; setp.eq.u32 %p, %t, 50; "
         "selp.b32 %x, -1, %x, %p; and.b32 %x, %x, 0xfffff; mul.wide.u32 %w, %x, 4; "
         "add.s64 %a, %b, %w; ld.global.u32 %r, [%a]; E:",
         700},
        {"stored by masked number",
         "setp.eq.u32 %p, %t, 21; selp.b32 %x, -1, %x, %p; and.b32 %x, %x, 0x7fffffff; "
         "mul.wide.u32 %w, %x, 64; add.s64 %a, %b, %w; st.global.u32 [%a], %t;",
         700},
        {"stored by number, some lanes only",
         "setp.lt.u32 %p, %t, 50; @%p bra E; mul.wide.u32 %w, %x, 4096; add.s64 %a, %b, %w; "
         "st.global.u32 [%a], %t; E:",
         700},
        {"atomic",
         "setp.eq.u32 %p, %t, 29; selp.b32 %x, 5000, %x, %p; mul.wide.u32 %w, %x, 4; "
         "add.s64 %a, %b, %w; atom.global.add.u32 %r, [%a], 1;",
         700},
        {"misaligned atomic", "add.s64 %a, %b, 2; red.global.max.s32 [%a], %t;", 716},
        {"shared atomic", "shl.b32 %x, %x, 5; atom.shared.xor.b32 %r, [%x], %t;", 700},
        {"octets apart", "mad.wide.u32 %a, %t, 4, %b; ld.global.u8 %r, [%a+3970];", 700},
        {"fields of words",
         "mad.wide.u32 %a, %t, 4, %b; ld.global.u8 %x, [%a+3969]; ld.global.u8 %r, [%a+3968]; "
         "add.u32 %r, %r, %x;",
         700},
        {"words apart", "mad.wide.u32 %a, %t, 8, %b; ld.global.u32 %r, [%a+3844];", 700},
        {"three at once, outside",
         "mul.wide.u32 %a, %t, 4; ld.global.u32 %r, [%a]; ld.global.u32 %x, [%a+4]; "
         "ld.global.u32 %x, [%a+8];",
         700},
        {"three at once, the last one",
         "add.s64 %a, %b, %w; ld.global.u32 %r, [%a]; ld.global.u32 %x, [%a+4]; "
         "st.global.u32 [%a+60000], %x;",
         700},
        {"three at once, shared, one lane",
         "shl.b32 %x, %t, 4; st.shared.u32 [%x], %t; ld.shared.u32 %r, [%x+4]; "
         "st.shared.u32 [%x+16], %t;",
         700},
        /* the offsets are as far apart as can be, and neighbours modulo 2^64 */
        {"three at once, offsets that wrap around",
         "add.s64 %a, %b, %w; add.s64 %a, %a, 0x8000000000000040; "
         "ld.global.u32 %r, [%a-0x8000000000000000]; "
         "ld.global.u32 %x, [%a+0x7ffffffffffffffc]; st.global.u32 [%a+16], %t;",
         700},
        {"two at once, offsets that wrap around",
         "add.s64 %a, %b, 0x8000000000000040; ld.u32 %r, [%a-0x8000000000000000]; "
         "ld.u32 %x, [%a+0x7ffffffffffffffc]; st.u32 [%a+16], %t;",
         700},
        {"trap", "setp.eq.u32 %p, %t, 40; @%p trap;", 719},
    };
    char body[2000];

    if (!pf_compiler())
        skip();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        uint64_t b = pf_alloc(4096);
        struct ptx_fault want;

        snprintf(
            body, sizeof(body),
            ".visible .entry k(.param .u64 m)\n{\n.reg .b64 %%a, %%b, %%w;\n.reg .b32 %%t, "
            "%%x, %%r, %%u;\n.reg .pred %%p;\n.shared .align 4 .b8 sh[1024];\nmov.u32 %%x, sh;\n"
            "ld.param.u64 %%b, [m];\nmov.u32 %%t, %%tid.x;\nmul.wide.u32 %%w, %%t, 4;\n"
            "xor.b32 %%x, %%t, 5;\n%s\nst.global.u32 [%%b], %%r;\nret;\n}\n",
            faults[i].access);
        for (unsigned lanes = 0; lanes <= 32; lanes = lanes ? lanes * 2 : 8) {
            int err;

            pf_lanes(lanes);
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

/* Fields of one word, which are read together where that is the same as one after the other. */
static void test_fields(void **state)
{
    static const struct {
        const char *what, *code;
        unsigned unit; /* octets that the address is moved by */
    } bodies[] = {
        {"three octets", "ld.global.u8 %r0, [%a]; ld.global.u8 %r1, [%a+1]; ld.u8 %r2, [%a+2];", 1},
        {"downwards, with signs",
         "ld.global.u8 %r0, [%a+3]; ld.global.s8 %r1, [%a]; ld.global.s8 %r2, [%a+1];", 1},
        {"the second's register wanted before",
         "ld.global.u8 %r0, [%a]; add.u32 %r2, %r1, 7; ld.global.u8 %r1, [%a+1];", 1},
        {"the second's register written before",
         "ld.global.u8 %r0, [%a]; mov.u32 %r1, %t; ld.global.u8 %r1, [%a+1];", 1},
        {"one register twice", "ld.global.u8 %r0, [%a]; ld.global.u8 %r0, [%a+1];", 1},
        {"one register twice, another between",
         "ld.global.u8 %r0, [%a]; ld.global.u8 %r1, [%a+1]; ld.global.u8 %r0, [%a+2];", 1},
        {"stored between",
         "ld.global.u8 %r0, [%a]; st.global.u8 [%a+1], %t; ld.global.u8 %r1, [%a+1];", 1},
        {"added to between",
         "ld.global.u32 %r0, [%w]; atom.global.add.u32 %r2, [%w+4], 3; ld.global.u32 %r1, [%w+4];",
         4},
        {"the address moves", "ld.global.u8 %r0, [%a]; add.s64 %a, %a, 1; ld.global.u8 %r1, [%a];",
         1},
        {"at the end of a page", "ld.global.u8 %r0, [%a+3839]; ld.global.u8 %r1, [%a+3838];", 1},
        {"another word", "ld.global.u8 %r0, [%a]; ld.global.u8 %r1, [%a+4];", 1},
        {"two words", "ld.global.u32 %r0, [%w+4]; ld.global.u32 %r1, [%w];", 4},
        {"four halves",
         "ld.global.u16 %r0, [%w]; ld.global.s16 %r1, [%w+6]; ld.global.u16 %r2, [%w+2]; "
         "ld.global.u16 %r3, [%w+4];",
         2},
        {"under a guard",
         "setp.lt.u32 %p, %t, 45; ld.global.u8 %r0, [%a]; @%p ld.global.u8 %r1, [%a+1];", 1},
        {"in some lanes",
         "setp.lt.u32 %p, %t, 45; @%p bra E; ld.global.u8 %r0, [%a]; ld.global.u8 %r1, [%a+1]; E:",
         1},
        {"shared",
         "mov.u32 %v, sh; shl.b32 %s, %t, 2; mul.lo.u32 %v, %t, 7654321; st.shared.u32 [%s], %v; "
         "ld.shared.u8 %r0, [%s]; ld.shared.u8 %r1, [%s+3]; ld.shared.s8 %r2, [%s+1];",
         1},
    };
    const size_t n = 64 * 4 * 4;
    uint64_t in = pf_alloc(4096), out = pf_alloc(n);
    uint8_t want[64 * 4 * 4];
    char text[2000];

    if (!pf_compiler())
        skip();
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        snprintf(
            text, sizeof(text),
            ".visible .entry k(.param .u64 m, .param .u64 o)\n{\n.reg .b64 %%a, %%o, %%w, %%x<5>;\n"
            ".reg .b32 %%t, %%s, %%v, %%r<4>;\n.reg .pred %%p;\n"
            ".shared .align 4 .b8 sh[256];\n"
            "ld.param.u64 %%x0, [m]; ld.param.u64 %%x1, [o]; mov.u32 %%t, %%tid.x;\n"
            "mul.wide.u32 %%x2, %%t, 4; add.s64 %%a, %%x0, %%x2; mul.wide.u32 %%x3, %%t, 8;\n"
            "add.s64 %%w, %%x0, %%x3; mul.wide.u32 %%x4, %%t, 16; add.s64 %%o, %%x1, %%x4;\n"
            "mov.u32 %%r0, 1; mov.u32 %%r1, 2; mov.u32 %%r2, 3; mov.u32 %%r3, 4;\n%s\n"
            "st.global.v4.u32 [%%o], {%%r0, %%r1, %%r2, %%r3};\nret;\n}\n",
            bodies[i].code);
        for (unsigned k = 0; k < 16; k++) {
            unsigned lanes = k & 3 ? 4u << (k & 3) : 0, off = (k >> 2) * bodies[i].unit;

            pf_lanes(lanes);
            if (pf_load_sm(text))
                fail_msg("%s: %s", bodies[i].what, pf_log);
            for (unsigned b = 0; b < 4096; b++)
                ((uint8_t *)pf_u32(in))[b] = (uint8_t)(b * 41 + b / 251);
            memset(pf_u32(out), 0, n);
            if (pf_run("k", 1, 64, 2, in + off, out))
                fail_msg("%s, %u lanes: %s", bodies[i].what, lanes, pf_fault.what);
            if (!lanes)
                memcpy(want, pf_u32(out), n);
            else if (memcmp(want, pf_u32(out), n))
                fail_msg("%s, %u lanes, moved by %u: another result", bodies[i].what, lanes, off);
        }
    }
}

/* Bits of two numbers chosen by a constant, under a guard, into either of them. */
static void test_chosen_bits(void **state)
{
    static const char *const codes[] = {
        "@%p copysign.f32 %f0, %f1, %f0;",
        "@%p copysign.f32 %f1, %f1, %f0;",
        "@%p copysign.f32 %f2, %f1, %f0;",
        "@!%p copysign.f32 %f0, %f1, %f0;",
        "and.b32 %r4, %r0, 0xff00ff; and.b32 %r5, %r1, 0xff00ff00; @%p or.b32 %r0, %r4, %r5;",
        "and.b32 %r4, %r0, 0xff00ff; and.b32 %r5, %r1, 0xff00ff00; @%p or.b32 %r1, %r4, %r5;",
        "xor.b32 %r4, %r0, %r1; and.b32 %r5, %r4, 0xf0f0; @%p xor.b32 %r0, %r5, %r0;",
        "@%p lop3.b32 %r0, %r0, %r1, 0x00ffff00, 0xe2; @%p lop3.b32 %r1, %r0, %r1, 65535, 0x1b;"};
    const size_t n = 64 * 16;
    uint64_t out = pf_alloc(n);
    uint8_t want[64 * 16];
    char text[2000];

    if (!pf_compiler())
        skip();
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        snprintf(text, sizeof(text),
                 ".visible .entry k(.param .u64 o)\n{\n.reg .b64 %%o, %%x, %%p0;\n"
                 ".reg .b32 %%t, %%r<6>;\n.reg .f32 %%f<3>;\n.reg .pred %%p;\n"
                 "ld.param.u64 %%p0, [o]; mov.u32 %%t, %%tid.x; mul.wide.u32 %%x, %%t, 16;\n"
                 "add.s64 %%o, %%p0, %%x; mul.lo.u32 %%r0, %%t, 1234567891;\n"
                 "mul.lo.u32 %%r1, %%t, 3735928559; setp.lt.u32 %%p, %%t, 45;\n"
                 "cvt.rn.f32.s32 %%f0, %%r0; cvt.rn.f32.s32 %%f1, %%r1; mov.f32 %%f2, 0f3F800000;\n"
                 "%s\nmov.b32 %%r2, %%f0; mov.b32 %%r3, %%f1; mov.b32 %%r4, %%f2;\n"
                 "xor.b32 %%r3, %%r3, %%r4;\n"
                 "st.global.v4.u32 [%%o], {%%r0, %%r1, %%r2, %%r3};\nret;\n}\n",
                 codes[i]);
        for (unsigned lanes = 0; lanes <= 32; lanes = lanes ? lanes * 2 : 8) {
            pf_lanes(lanes);
            if (pf_load_sm(text))
                fail_msg("%s: %s", codes[i], pf_log);
            if (pf_run("k", 1, 64, 1, out))
                fail_msg("%s, %u lanes: %s", codes[i], lanes, pf_fault.what);
            if (!lanes)
                memcpy(want, pf_u32(out), n);
            else if (memcmp(want, pf_u32(out), n))
                fail_msg("%s, %u lanes: another result", codes[i], lanes);
        }
    }
}

/* Warps that part ways: at two barriers, at none, and some that are gone. */
static void test_barriers(void **state)
{
    static const char body[] =
        ".visible .entry k(.param .u64 m)\n{\n.reg .b64 %a, %w;\n.reg .b32 %t, %v, %x, %y, %i;\n"
        ".reg .pred %p;\n.shared .align 4 .b8 sh[1024];\nld.param.u64 %a, [m];\n"
        "mov.u32 %t, %tid.x;\nmul.wide.u32 %w, %t, 4;\nadd.s64 %a, %a, %w;\n"
        "mov.u32 %x, sh;\nshl.b32 %v, %t, 2;\nadd.u32 %x, %x, %v;\nmov.u32 %i, 0;\n"
        "setp.ge.u32 %p, %t, 232;\n@%p ret;\n" /* half of the last warp */
        "L:\nadd.u32 %v, %t, %i;\nst.shared.u32 [%x], %v;\n"
        "setp.lt.u32 %p, %t, 96;\n@%p bra A;\n"
        "bar.sync 0;\nld.shared.u32 %y, [sh+20];\nbra B;\n"
        "A:\nbar.sync 0;\nld.shared.u32 %y, [sh+900];\n"
        "B:\nst.global.u32 [%a], %y;\nbar.sync 0;\n"
        "add.u32 %i, %i, 1;\nsetp.lt.u32 %p, %i, 3;\n@%p bra L;\n"
        "setp.ge.u32 %p, %t, 40;\n@%p ret;\n" /* whole warps, and a part of one */
        "st.shared.u32 [%x], %t;\nbar.sync 0;\nxor.b32 %v, %t, 1;\nshl.b32 %v, %v, 2;\n"
        "ld.shared.u32 %y, [%v];\nst.global.u32 [%a+1024], %y;\nret;\n}\n";
    uint64_t m = pf_alloc(4096);

    if (!pf_compiler())
        skip();
    for (unsigned lanes = 0; lanes <= 32; lanes = lanes ? lanes * 2 : 1) {
        pf_lanes(lanes);
        assert_int_equal(pf_load_sm(body), 0);
        memset(pf_u32(m), 0xff, 4096);
        if (pf_run("k", 3, 248, 1, m))
            fail_msg("%u lanes: %s", lanes, pf_fault.what);
        for (uint32_t t = 0; t < 256; t++) {
            assert_int_equal(pf_u32(m)[t], t >= 232 ? ~0u : t < 96 ? 227 : 7);
            assert_int_equal(pf_u32(m)[256 + t], t >= 40 ? ~0u : t ^ 1);
        }
    }
}

/* What compiled code leaves to the interpreter, right where it is entered: at the start, and again
 * behind the last one. Without an end, if it comes back every time. */
static void test_left_at_once(void **state)
{
    static const struct {
        const char *code;
        int err;
    } bodies[] = {
        {"call %f, proto;\n", 718},
        {"call %f, proto;\ncall %g, proto;\n", 718},
        {"mov.u32 %t, %tid.x;\nsetp.lt.u32 %p, %t, 20;\n@%p call %f, proto;\n"
         "@%p call %g, proto;\n",
         718},
        {"bar.sync 0;\ncall %f, proto;\n", 718},
        {"mov.u32 %t, %tid.x;\nshl.b32 %t, %t, 4;\nbar.sync 0;\nst.shared.u32 [%t], %t;\n"
         "st.shared.u32 [%t+4], %t;\nst.shared.u32 [%t+8], %t;\n",
         700},
    };
    char body[1000];
    uint64_t m = pf_alloc(64);

    if (!pf_compiler())
        skip();
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct ptx_fault want;

        snprintf(body, sizeof(body),
                 ".func f()\n{\nret;\n}\n.visible .entry k(.param .u64 m)\n{\n"
                 ".reg .b64 %%f, %%g;\n.reg .b32 %%t;\n.reg .pred %%p;\n%s"
                 "proto: .callprototype _ ();\nret;\n}\n",
                 bodies[i].code);
        for (unsigned lanes = 0; lanes <= 32; lanes = lanes ? lanes * 2 : 8) {
            pf_lanes(lanes);
            if (pf_load_sm(body))
                fail_msg("%s", pf_log);
            int err = pf_run("k", 1, 32, 1, m);

            if (err != bodies[i].err)
                fail_msg("body %zu, %u lanes: error %d %s", i, lanes, err, pf_fault.what);
            if (!lanes)
                want = pf_fault;
            assert_string_equal(want.what, pf_fault.what);
        }
    }
}

/* What runs for long is compiled behind its back, and then used. */
static void test_warm(void **state)
{
    const uint32_t n = 4096;
    struct ptx_jit_stats before, now;

    if (!pf_compiler())
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

/* A kernel of this constant; blank lines first, which change the lines of its instructions only. */
static void load_adder(const char *lines, unsigned c)
{
    char body[700];

    snprintf(body, sizeof(body),
             "%s.visible .entry k(.param .u64 m)\n{\n.reg .b64 %%a, %%b;\n.reg .b32 %%t;\n"
             "ld.param.u64 %%b, [m];\nmov.u32 %%t, %%tid.x;\nmul.wide.u32 %%a, %%t, 4;\n"
             "add.s64 %%b, %%b, %%a;\nadd.u32 %%t, %%t, %u;\nst.global.u32 [%%b], %%t;\nret;\n}\n",
             lines, c);
    if (pf_load_sm(body)) /* the module before goes */
        fail_msg("%s", pf_log);
}

static void run_adder(uint64_t m, unsigned c)
{
    if (pf_run("k", 1, 64, 1, m))
        fail_msg("%s", pf_fault.what);
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(pf_u32(m)[t], t + c);
}

/* The same kernel in another module is not compiled again, and another one is. */
static void test_cache(void **state)
{
    struct ptx_jit_stats first, now;
    uint64_t m = pf_alloc(4096);

    if (!pf_compiler())
        skip();
    ptx_jit_set(PTX_JIT_FIRST);
    ptx_jit_lanes(0);
    first = ptx_jit_stats();
    load_adder("", 4711);
    run_adder(m, 4711);
    now = ptx_jit_stats();
    assert_int_equal(now.compiled, first.compiled + 1);
    for (unsigned i = 0; i < 5; i++) {
        load_adder(i & 1 ? "\n\n" : "", 4711);
        run_adder(m, 4711);
    }
    now = ptx_jit_stats();
    assert_int_equal(now.compiled, first.compiled + 1);
    assert_int_equal(now.entered, first.entered + 6);
    load_adder("", 4712); /* another constant is another kernel */
    run_adder(m, 4712);
    now = ptx_jit_stats();
    assert_int_equal(now.compiled, first.compiled + 2);
    ptx_jit_lanes(8); /* so is code for other lanes */
    load_adder("", 4711);
    run_adder(m, 4711);
    now = ptx_jit_stats();
    assert_int_equal(now.compiled, first.compiled + 3);
    /* what is known runs compiled from its first launch on, without having been interpreted */
    ptx_jit_set(PTX_JIT_ON);
    ptx_jit_lanes(0);
    load_adder("", 4712);
    run_adder(m, 4712);
    assert_int_equal(ptx_jit_stats().entered, now.entered + 1);
    load_adder("", 4713);
    run_adder(m, 4713);
    now = ptx_jit_stats();
    assert_int_equal(now.entered, first.entered + 9);
    assert_int_equal(now.compiled, first.compiled + 3);
}

/* Kernels that use this are compiled, not left to the interpreter. */
static void test_taken(void **state)
{
    static const char *const bodies[] = {
        ".reg .b64 %o; .reg .b32 %r<4>; .reg .f32 %f<2>; ld.param.u64 %o, [m];\n"
        "tex.2d.v4.s32.f32 {%r0, %r1, %r2, %r3}, [%o, {%f0, %f1}];\n"
        "tex.level.3d.v4.u32.f32 {%r0, %r1, %r2, %r3}, [%o, {%f0, %f1, %f0, %f0}], %f1;\n"
        "tld4.g.2d.v4.u32.f32 {%r0, %r1, %r2, %r3}, [%o, {%f0, %f1}];\n"
        "txq.width.b32 %r0, [%o];\n",
        ".reg .b64 %o, %d; .reg .b32 %r<4>; ld.param.u64 %o, [m];\n"
        "suld.b.2d.v2.b32.trap {%r0, %r1}, [%o, {%r2, %r3}];\n"
        "sust.b.1d.b64.clamp [%o, {%r0}], %d; sured.b.add.2d.u32.trap [%o, {%r0, %r1}], %r2;\n",
        ".reg .b32 %a<4>, %b<2>; .reg .f32 %c<4>;\n"
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%c0, %c1, %c2, %c3}, "
        "{%a0, %a1, %a2, %a3}, {%b0, %b1}, {%c0, %c1, %c2, %c3};\n",
        ".shared .align 8 .b64 bar; .reg .b64 %s; .reg .b32 %a; .reg .pred %p;\nmov.u32 %a, bar;\n"
        "mbarrier.init.shared.b64 [%a], 32; mbarrier.arrive.shared.b64 %s, [%a];\n"
        "mbarrier.test_wait.shared.b64 %p, [%a], %s;\n"};
    static char text[2000];
    char log[300];

    if (!pf_compiler())
        skip();
    ptx_jit_lanes(0);
    for (unsigned i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        snprintf(text, sizeof(text), ".visible .entry k(.param .u64 m)\n{\n%sret;\n}\n", bodies[i]);
        if (pf_load_sm(text))
            fail_msg("body %u: %s", i, pf_log);
        struct ptx_kernel *k = ptx_module_kernel(pf_module(), 0);

        if (ptx_kernel_prepare(k, log, sizeof(log)) || ptx_jit_try(k, log, sizeof(log)))
            fail_msg("body %u: %s", i, log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_random, pf_setup),
                                       cmocka_unit_test_setup(test_calls, pf_setup),
                                       cmocka_unit_test_setup(test_faults, pf_setup),
                                       cmocka_unit_test_setup(test_fields, pf_setup),
                                       cmocka_unit_test_setup(test_chosen_bits, pf_setup),
                                       cmocka_unit_test_setup(test_barriers, pf_setup),
                                       cmocka_unit_test_setup(test_cache, pf_setup),
                                       cmocka_unit_test_setup(test_left_at_once, pf_setup),
                                       cmocka_unit_test_setup(test_taken, pf_setup),
                                       cmocka_unit_test_setup(test_warm, pf_setup)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
