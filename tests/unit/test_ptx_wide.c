/* SPDX-License-Identifier: MIT */
/*
 * Loads and stores of 256 bits (.v8 of 32 bits, .v4 of 64; PTX 8.8, sm_100), interpreted and compiled:
 * every form that ptxas takes, lanes side by side, at one address, anywhere, and some of them only. No
 * device at hand executes them, so what is expected is computed here.
 */
#include <unistd.h>

#include "tests/unit/ptx_fixture.h"

#define THREADS 70u /* two warps and a part of one */
#define BYTES   8192u
#define OFF     64u /* octets, of most patterns */
#define UNSET   0xeeu

struct form {
    bool store;
    const char *mods; /* before .v8 or .v4 */
    const char *type;
    unsigned holes; /* elements that are '_' */
    bool policy;    /* a cache policy is the last operand */
    bool numbers;   /* stored: constants among the registers */
};
static struct form forms[160];
static unsigned nforms;

static unsigned elems(const struct form *f)
{
    return f->type[1] == '3' ? 8 : 4;
}

static unsigned elem_bytes(const struct form *f)
{
    return 32 / elems(f);
}

static void add(bool store, const char *mods, const char *type)
{
    assert_true(nforms < sizeof(forms) / sizeof(forms[0]));
    forms[nforms++] = (struct form){
        .store = store, .mods = mods, .type = type, .policy = strstr(mods, "cache_hint") != NULL};
}

static void list_forms(void)
{
    static const char *const types[] = {"b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64"};
    static const char *const both[] = {".weak.global",
                                       ".volatile.global",
                                       ".relaxed.gpu.global",
                                       ".global.cg",
                                       ".global.cs",
                                       ".global.L1::evict_normal",
                                       ".global.L1::evict_unchanged",
                                       ".global.L1::evict_first",
                                       ".global.L1::evict_last",
                                       ".global.L1::no_allocate",
                                       ".global.L2::evict_normal",
                                       ".global.L2::evict_first",
                                       ".global.L2::evict_last",
                                       ".global.L1::no_allocate.L2::evict_first",
                                       ".global.L2::cache_hint"};
    static const char *const loads[] = {".global.nc",
                                        ".acquire.sys.global",
                                        ".global.ca",
                                        ".global.lu",
                                        ".global.cv",
                                        ".global.L2::64B",
                                        ".global.L2::128B",
                                        ".global.L2::256B",
                                        ".global.nc.L1::evict_last.L2::evict_last.L2::256B",
                                        ".global.nc.L1::no_allocate.L2::cache_hint.L2::128B"};
    static const char *const stores[] = {".release.sys.global", ".global.wb", ".global.wt"};
    unsigned k = 0;

    nforms = 0;
    for (unsigned s = 0; s < 2; s++) {
        for (unsigned t = 0; t < 8; t++) {
            add(s, ".global", types[t]);
            add(s, "", types[t]);
        }
        for (unsigned i = 0; i < sizeof(both) / sizeof(both[0]); i++, k++) {
            add(s, both[i], types[k % 4]);
            add(s, both[i], types[4 + k % 4]);
        }
        for (unsigned t = 0; t < 8; t += 4) { /* holes, and as many as there may be */
            add(s, ".global", types[t]);
            forms[nforms - 1].holes = t ? 0x5 : 0x72;
            add(s, "", types[t]);
            forms[nforms - 1].holes = t ? 0xe : 0x7f;
        }
    }
    for (unsigned i = 0; i < sizeof(loads) / sizeof(loads[0]); i++, k++) {
        add(false, loads[i], types[k % 4]);
        add(false, loads[i], types[4 + k % 4]);
    }
    for (unsigned i = 0; i < sizeof(stores) / sizeof(stores[0]); i++, k++) {
        add(true, stores[i], types[k % 4]);
        add(true, stores[i], types[4 + k % 4]);
    }
    add(true, ".global", "b32");
    forms[nforms - 1].numbers = true;
}

/* ---- kernels ------------------------------------------------------------------------------------ */

enum { SIDE, SAME, ANY, SOME, GUARDED, PATTERNS };

static const char *const places[PATTERNS] = {
    [SIDE] = "",
    [SAME] = "mov.u32 %i, 3;",
    [ANY] = "mad.lo.u32 %i, %t, 37, 5; and.b32 %i, %i, 127;",
    [SOME] = "setp.ge.u32 %p, %t, 45; @%p bra E;",
    [GUARDED] = "and.b32 %i, %t, 1; setp.eq.u32 %p, %i, 0; mov.u32 %i, %t;",
};

static unsigned place(unsigned pattern, unsigned t)
{
    return pattern == SAME ? 3 : pattern == ANY ? (t * 37 + 5) & 127 : t;
}

static unsigned offset(unsigned pattern)
{
    return pattern == ANY ? 0 : OFF;
}

static bool executes(unsigned pattern, unsigned t)
{
    return pattern == SOME ? t < 45 : pattern == GUARDED ? !(t & 1) : true;
}

/* A number that is stored in element k's place, or 0. */
static unsigned number(const struct form *f, unsigned k)
{
    return f->numbers && k % 3 == 1 ? 1000 + k : 0;
}

static size_t vector(const struct form *f, char *to)
{
    unsigned n = elems(f);
    char *s = to;

    s += sprintf(s, "{");
    for (unsigned k = 0; k < n; k++) {
        unsigned reg = f->store ? n - 1 - k : k;

        if (f->holes >> k & 1)
            s += sprintf(s, "_");
        else if (number(f, k))
            s += sprintf(s, "%u", number(f, k));
        else
            s += sprintf(s, "%%%s%u", n == 4 ? "q" : "r", reg);
        s += sprintf(s, k == n - 1 ? "}" : ", ");
    }
    return (size_t)(s - to);
}

/* Loads in[place] and stores its elements in the reverse order, or the other way round. */
static size_t kernel(const struct form *f, unsigned pattern, const char *name, char *to)
{
    const unsigned n = elems(f), w = elem_bytes(f);
    const char *bank = n == 4 ? "q" : "r", *guard = pattern == GUARDED ? "@%p " : "";
    char *s = to;

    s += sprintf(s,
                 ".visible .entry %s(.param .u64 pi, .param .u64 po)\n{\n.reg .b32 %%r<8>, %%t, "
                 "%%i;\n.reg .b64 %%q<4>, %%a, %%b, %%in, %%out, %%pol;\n.reg .pred %%p;\n"
                 "ld.param.u64 %%in, [pi];\nld.param.u64 %%out, [po];\nmov.u32 %%t, %%tid.x;\n"
                 "mov.u32 %%i, %%t;\n%s\nmad.wide.u32 %%a, %%%s, 32, %%in;\n"
                 "mad.wide.u32 %%b, %%%s, 32, %%out;\n",
                 name, places[pattern], f->store ? "t" : "i", f->store ? "i" : "t");
    if (f->policy)
        s += sprintf(s, "createpolicy.fractional.L2::evict_last.b64 %%pol, 1.0;\n");
    for (unsigned k = 0; k < n; k++)
        s += f->store ? sprintf(s, "ld.global.b%u %%%s%u, [%%a+%u];\n", w * 8, bank, k, w * k)
                      : sprintf(s, "mov.b%u %%%s%u, %u;\n", w * 8, bank, k, 0x1000 + k);
    s += sprintf(s, "%s%s%s.v%u.%s ", guard, f->store ? "st" : "ld", f->mods, n, f->type);
    if (f->store)
        s += sprintf(s, "[%%b+%u], ", offset(pattern));
    s += vector(f, s);
    if (!f->store)
        s += sprintf(s, ", [%%a+%u]", offset(pattern));
    s += sprintf(s, f->policy ? ", %%pol;\n" : ";\n");
    for (unsigned k = 0; k < n && !f->store; k++)
        s += sprintf(s, "st.global.b%u [%%b+%u], %%%s%u;\n", w * 8, w * k, bank, n - 1 - k);
    s += sprintf(s, "E:\nret;\n}\n");
    return (size_t)(s - to);
}

static void expect(const struct form *f, unsigned pattern, const uint8_t *in, uint8_t *out)
{
    const unsigned n = elems(f), w = elem_bytes(f);

    memset(out, UNSET, BYTES);
    for (unsigned t = 0; t < THREADS; t++)
        for (unsigned k = 0; k < n; k++) {
            unsigned at = 32 * place(pattern, t) + offset(pattern);
            uint64_t v = 0x1000 + k;

            if (f->store) {
                if (!executes(pattern, t) || f->holes >> k & 1)
                    continue;
                v = number(f, k);
                memcpy(out + at + w * k, v ? (const uint8_t *)&v : in + 32 * t + w * (n - 1 - k),
                       w);
            } else if (executes(pattern, t) || pattern == GUARDED) {
                bool loaded = executes(pattern, t) && !(f->holes >> k & 1);

                memcpy(out + 32 * t + w * (n - 1 - k),
                       loaded ? in + at + w * k : (const uint8_t *)&v, w);
            }
        }
}

/* ---- tests -------------------------------------------------------------------------------------- */

static uint64_t in_at, out_at;

static void make_buffers(void)
{
    uint8_t *p;

    in_at = pf_alloc(BYTES);
    out_at = pf_alloc(BYTES);
    p = (uint8_t *)(uintptr_t)in_at;
    for (unsigned i = 0; i < BYTES; i++)
        p[i] = (uint8_t)(i * 131 + (i >> 8) * 7 + 1);
}

static void one(const struct form *f, unsigned pattern, unsigned lanes)
{
    static uint8_t want[BYTES];
    static char text[1 << 13];
    uint8_t *out = (uint8_t *)(uintptr_t)out_at;
    struct ptx_jit_stats before = ptx_jit_stats(), st;

    if (f->store && pattern == SAME) /* which lane's stays is not said */
        return;
    pf_lanes(lanes);
    kernel(f, pattern, "k", text);
    if (pf_load_sm(text))
        fail_msg("%s\n%s", pf_log, text);
    memset(out, UNSET, BYTES);
    if (pf_run("k", 1, THREADS, 2, in_at, out_at))
        fail_msg("%s %s\n%s", pf_log, pf_fault.what, text);
    expect(f, pattern, (const uint8_t *)(uintptr_t)in_at, want);
    for (unsigned i = 0; i < BYTES; i++)
        if (out[i] != want[i])
            fail_msg("%u lanes: octet %u is 0x%02x, not 0x%02x\n%s", lanes, i, out[i], want[i],
                     text);
    st = ptx_jit_stats();
    if (lanes) { /* it may be what another form was compiled to before */
        assert_int_equal(st.refused, before.refused);
        assert_true(st.entered > before.entered);
    }
}

static void interpreted(void **state)
{
    make_buffers();
    for (unsigned i = 0; i < nforms; i++)
        for (unsigned p = 0; p < PATTERNS; p++)
            one(&forms[i], p, 0);
}

static const unsigned widths[] = {1, 8, 16, 32};

static void compiled(void **state)
{
    if (!pf_compiler())
        skip();
    make_buffers();
    for (unsigned i = 0; i < nforms; i++) {
        const struct form *f = &forms[i];
        bool all = !strcmp(f->mods, ".global") && f->type[0] == 'b' && !f->holes && !f->numbers;

        for (unsigned p = 0; p < PATTERNS; p++)
            for (unsigned w = 0; w < 4; w++)
                if (all || (p == i % PATTERNS && w == i / PATTERNS % 4))
                    one(f, p, widths[w]);
    }
}

/* All forms as one module for sm_100; NVIDIA's assembler takes it. */
static void assembled(void **state)
{
    static char text[1 << 18];
    char name[] = "/tmp/gvm-wide-XXXXXX", kn[16], command[300];
    size_t n = (size_t)sprintf(text, ".version 8.8\n.target sm_100\n.address_size 64\n");
    int fd, rc;

    if (system("PATH=$PATH:/usr/local/cuda/bin ptxas --version >/dev/null 2>&1"))
        skip();
    for (unsigned i = 0; i < nforms; i++) {
        assert_true(n < sizeof(text) - (1 << 13));
        sprintf(kn, "k%u", i);
        n += kernel(&forms[i], i % PATTERNS, kn, text + n);
    }
    fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), n);
    close(fd);
    snprintf(command, sizeof(command),
             "PATH=$PATH:/usr/local/cuda/bin ptxas -arch=sm_100 -o /dev/null %s", name);
    rc = system(command);
    unlink(name);
    assert_int_equal(rc, 0);
}

/* The same report of a fault, interpreted and compiled. */
static void faults(void **state)
{
    static const struct {
        const char *access;
        int err;
    } cases[] = {
        {"ld.global.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a+4];", 716},
        {"ld.global.v8.f32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a+16];", 716},
        {"st.global.v8.b32 [%a+8], {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7};", 716},
        {"st.global.v8.b32 [%a+16], {_,_,_,_,_,_,_,%r7};", 716},
        {"ld.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,_}, [%a+16];", 716},
        {"ld.global.v4.b64 {%q0,%q1,%q2,%q3}, [%a+16];", 716},
        {"st.global.v4.f64 [%a+8], {%q0,%q1,%q2,%q3};", 716},
        {"st.v4.b64 [%a+16], {_,%q1,_,%q3};", 716},
        {"ld.global.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a+65536];", 700},
        {"ld.global.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a+2048];", 700},
        {"st.global.v8.b32 [%a+2048], {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7};", 700},
        {"st.global.v8.b32 [%a+2080], {_,%r1,%r2,%r3,%r4,%r5,%r6,%r7};", 700},
        {"ld.global.v4.b64 {%q0,%q1,%q2,%q3}, [%a+2048];", 700},
        {"mul.wide.u32 %a, %t, 32; ld.global.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a];", 700},
        {"mul.wide.u32 %a, %t, 32; st.v4.b64 [%a], {%q0,%q1,%q2,%q3};", 700},
        {"setp.eq.u32 %p, %t, 41; selp.b64 %a, 64, %b, %p; "
         "ld.global.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a];",
         700},
        {"setp.eq.u32 %p, %t, 41; selp.b64 %q0, 16, 0, %p; add.s64 %a, %a, %q0; "
         "st.global.v8.b32 [%a], {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7};",
         716},
        {"xor.b32 %r0, %t, 21; mad.wide.u32 %a, %r0, 64, %b; "
         "ld.global.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a+1024];",
         700},
        /* shared memory by a generic address: its last 16 octets are not 32 */
        {"cvta.shared.u64 %a, 0; ld.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a+32];", 700},
        {"cvta.shared.u64 %a, 0; st.v4.b64 [%a+32], {%q0,_,%q2,%q3};", 700},
    };
    static char body[4000];
    const bool jit = pf_compiler();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t b = pf_alloc(4096);
        struct ptx_fault want;

        sprintf(body,
                ".shared .align 32 .b8 sh[48];\n.visible .entry k(.param .u64 m)\n{\n"
                ".reg .b32 %%r<8>, %%t;\n.reg .b64 %%q<4>, %%a, %%b;\n.reg .pred %%p;\n"
                "ld.param.u64 %%b, [m];\nmov.u32 %%t, %%tid.x;\nmad.wide.u32 %%a, %%t, 32, %%b;\n"
                "mov.u32 %%r0, sh;\nmov.b64 %%q0, 0;\nmov.b64 %%q1, 1;\nmov.b64 %%q2, 2;\n"
                "mov.b64 %%q3, 3;\n%s\nst.global.v4.u32 [%%b], {%%r0, %%r1, %%r2, %%r3};\n"
                "st.global.v4.u32 [%%b+16], {%%r4, %%r5, %%r6, %%r7};\n"
                "st.global.v4.u64 [%%b+32], {%%q0, %%q1, %%q2, %%q3};\nret;\n}\n",
                cases[i].access);
        for (unsigned w = 0; w <= (jit ? 4 : 0); w++) {
            int err;

            pf_lanes(w ? widths[w - 1] : 0);
            if (pf_load_sm(body))
                fail_msg("%s: %s", cases[i].access, pf_log);
            err = pf_run("k", 1, 96, 1, b);
            if (err != cases[i].err)
                fail_msg("%s, width %u: error %d %s", cases[i].access, w, err, pf_fault.what);
            assert_int_equal(pf_fault.line, 18);
            if (!w)
                want = pf_fault;
            else if (strcmp(want.what, pf_fault.what) || want.addr != pf_fault.addr)
                fail_msg("%s, width %u: '%s', interpreted '%s'", cases[i].access, w, pf_fault.what,
                         want.what);
        }
    }
}

/* By generic addresses also shared memory; and registers that are address and result at once. */
static void elsewhere(void **state)
{
    static const char *const text =
        ".shared .align 32 .b8 sh[4096];\n.visible .entry k(.param .u64 m)\n{\n"
        ".reg .b32 %r<8>, %t;\n.reg .b64 %q<4>, %a, %b;\nld.param.u64 %b, [m];\n"
        "mov.u32 %t, %tid.x;\nmov.u32 %r0, 10;\nadd.u32 %r1, %t, 1;\nadd.u32 %r2, %t, 2;\n"
        "mov.u32 %r3, 13;\nmov.u32 %r4, 14;\nmov.u32 %r5, 15;\nmov.u32 %r6, 16;\n"
        "mov.u32 %r7, %t;\nmov.u64 %a, sh;\ncvta.shared.u64 %a, %a;\n"
        "mad.wide.u32 %a, %t, 32, %a;\nst.v8.b32 [%a], {%r7,%r6,%r5,%r4,%r3,%r2,%r1,%r0};\n"
        "ld.v4.b64 {%q0,%a,%q2,%q3}, [%a];\nmad.wide.u32 %b, %t, 32, %b;\n"
        "st.global.v4.b64 [%b], {%q3,%q2,%a,%q0};\nld.global.v4.b64 {%b,_,_,%a}, [%b];\n"
        "add.u64 %q0, %a, %b;\nld.param.u64 %b, [m];\nmad.wide.u32 %b, %t, 8, %b;\n"
        "st.global.u64 [%b+8192], %q0;\nret;\n}\n";
    const bool jit = pf_compiler();

    for (unsigned w = 0; w <= (jit ? 4 : 0); w++) {
        uint64_t m = pf_alloc(16384);

        pf_lanes(w ? widths[w - 1] : 0);
        assert_int_equal(pf_load_sm(text), 0);
        if (pf_run("k", 1, 96, 1, m))
            fail_msg("%s %s", pf_log, pf_fault.what);
        for (unsigned t = 0; t < 96; t++) {
            const uint32_t want[8] = {t + 1, 10, 13, t + 2, 15, 14, t, 16};
            const uint64_t sum = (((uint64_t)10 << 32) + t + 1) + (((uint64_t)16 << 32) + t);
            uint64_t have;

            assert_memory_equal(pf_u32(m) + 8 * t, want, 32);
            memcpy(&have, (uint8_t *)(uintptr_t)m + 8192 + 8 * t, 8);
            assert_int_equal(have, sum);
        }
    }
}

static void refused(void **state)
{
    static const struct {
        const char *access;
        int err;
        const char *words;
    } cases[] = {
        {"ld.global.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6}, [%a];", 218, "a vector of 8"},
        {"ld.global.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7,%r0}, [%a];", 218, "a vector of 8"},
        {"st.global.v8.b32 [%a], {%r0};", 218, "a vector of 8"},
        {"st.global.v8.b32 [%a], %r0;", 218, "a vector of 8"},
        {"ld.global.v4.b64 {%q0,%q1,%q2,%q3,%q0}, [%a];", 218, "a vector of 4"},
        {"ld.global.v8.b64 {%q0,%q1,%q2,%q3,%q0,%q1,%q2,%q3}, [%a];", 218, "have 32 bits"},
        {"ld.global.v8.u16 {%h0,%h1,%h2,%h3,%h4,%h5,%h6,%h7}, [%a];", 218, "have 32 bits"},
        {"st.global.v8.b8 [%a], {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7};", 218, "have 32 bits"},
        {"ld.global.v8.b32 {%h0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a];", 218, "does not fit"},
        {"ld.global.v8.b32 {%p,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a];", 218, "does not fit"},
        {"ld.global.v8.b32 {1,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a];", 218, "not a register"},
        {"ld.global.v8.b32 {%q0,%q1,%q2,%q3,%q0,%q1,%q2,%q3}, [%a];", 801, "is not supported"},
        {"ld.global.v16.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%a];", 801, ".v16"},
        {"ld.shared.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%t];", 218, "256 bits in .shared"},
        {"st.shared.v4.b64 [%t], {%q0,%q1,%q2,%q3};", 218, "256 bits in .shared"},
        {"ld.local.v4.u64 {%q0,%q1,%q2,%q3}, [%a];", 218, "256 bits in .local"},
        {"ld.param.v4.f64 {%q0,%q1,%q2,%q3}, [m];", 218, "256 bits in .param"},
        {"st.global.v4.b32 [%a], {%r0,_,%r2,%r3};", 218, "wrong kind"},
        {"st.global.v2.b64 [%a], {_,%q1};", 218, "wrong kind"},
        {"st.global.b32 [%a], _;", 218, "wrong kind"},
        {"st.global.L2::cache_hint.v8.b32 [%a], {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7};", 218,
         "cache policy"},
        {"ld.global.v8.b32 {%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7, [%a];", 218, "an operand"},
    };
    static char body[2000];

    ptx_jit_set(PTX_JIT_OFF);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int err;

        sprintf(body,
                ".visible .entry k(.param .u64 m)\n{\n.reg .b32 %%r<8>, %%t;\n.reg .b16 %%h<8>;\n"
                ".reg .b64 %%q<4>, %%a;\n.reg .pred %%p;\n%s\nret;\n}\n",
                cases[i].access);
        err = pf_load_sm(body);
        if (!err)
            err = ptx_kernel_prepare(ptx_module_kernel(pf_module(), 0), pf_log, sizeof(pf_log));
        if (err != cases[i].err || !strstr(pf_log, cases[i].words) || !strstr(pf_log, "line 1"))
            fail_msg("%s: error %d: %s", cases[i].access, err, pf_log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(interpreted, pf_setup), cmocka_unit_test_setup(compiled, pf_setup),
        cmocka_unit_test_setup(assembled, pf_setup),   cmocka_unit_test_setup(faults, pf_setup),
        cmocka_unit_test_setup(elsewhere, pf_setup),   cmocka_unit_test_setup(refused, pf_setup)};

    list_forms();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
