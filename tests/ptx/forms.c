/* SPDX-License-Identifier: MIT */
/*
 * forms.c - runs the module that forms.py writes, on a real GPU or on the software device.
 *
 *   forms record FILE.ptx OUT    on the GPU (libcuda.so.1); writes the results
 *   forms check FILE.ptx GOLDEN  on the software device, against recorded results (zstd or raw)
 *   forms dump FILE.ptx N        inputs and results of form N on the software device
 *   forms unsupported FILE.ptx - forms that the software device refuses, and why
 *
 * GVM_TEST_JIT=LANES: compiled; GVM_FORMS_STEP=N: every Nth form only.
 *
 * GOLDEN: for each form its text line, then THREADS 64-bit results.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "side.h"

#define THREADS   128
#define MAX_FORMS 4096

struct form {
    char kernel[16], cls[4][4], tol[16];
    char text[400];
    const char *ptx; /* of its kernel */
    size_t ptx_n;
};
static struct form forms[MAX_FORMS];
static unsigned nforms;

/* ---- inputs ------------------------------------------------------------------------------------------ */

static const uint64_t edge_i16[] = {0,      1,      2,      3,      7,      15,
                                    16,     0x7f,   0x80,   0xff,   0x100,  0x7fff,
                                    0x8000, 0x8001, 0xfffe, 0xffff, 0x5555, 0x1234};
static const uint64_t edge_i32[] = {
    0,          1,          2,          3,          5,          31,         32,
    33,         0x7f,       0x80,       0xff,       0x100,      0x7fff,     0x8000,
    0xffff,     0x10000,    0xffffff,   0x1000000,  0x7ffffffe, 0x7fffffff, 0x80000000,
    0x80000001, 0xfffffffe, 0xffffffff, 0x55555555, 0xdeadbeef};
static const uint64_t edge_i64[] = {0,
                                    1,
                                    2,
                                    3,
                                    63,
                                    64,
                                    0xff,
                                    0x7fff,
                                    0xffff,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    0x100000000,
                                    0x7ffffffffffffffe,
                                    0x7fffffffffffffff,
                                    0x8000000000000000,
                                    0x8000000000000001,
                                    0xfffffffffffffffe,
                                    0xffffffffffffffff,
                                    0xffffffff80000000,
                                    0xffffffff7fffffff,
                                    0x0123456789abcdef,
                                    0x20000000000001,
                                    0x1000001,
                                    0x7fffff8000000000};
static const uint64_t edge_f16[] = {0,      0x8000, 1,      0x8001, 0x3ff,  0x400,  0x8400,
                                    0x3c00, 0xbc00, 0x3c01, 0x3bff, 0x3800, 0x3e00, 0x4100,
                                    0xc100, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0xfe01,
                                    0x7c01, 0x5bf8, 0x57f0, 0x63d0, 0x1400};
static const uint64_t edge_bf[] = {0,      0x8000, 1,      0x8001, 0x7f,   0x80,   0x8080,
                                   0x3f80, 0xbf80, 0x3f81, 0x3f7f, 0x3f00, 0x3fc0, 0x4020,
                                   0xc020, 0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7fc0, 0xffc1,
                                   0x7f81, 0x4300, 0x437f, 0x4f00, 0x5f00};
static const uint64_t edge_f32[] = {
    0,          0x80000000, 1,          0x80000001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800000,
    0x3f800000, 0xbf800000, 0x3f800001, 0x3f7fffff, 0x3f000000, 0x3fc00000, 0x40200000, 0xc0200000,
    0x40490fdb, 0x4b000001, 0x4b800000, 0x4effffff, 0x4f000000, 0xcf000000, 0x4f800000, 0x5f000000,
    0xdf000000, 0x5f800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001,
    0x7f800001, 0x42fe0000, 0x42ff0000, 0x43000000, 0xc3000000, 0xc3010000, 0x437f8000, 0x477fe000,
    0x477fefff, 0x477ff000, 0x33000000, 0x33000001, 0x387fc000, 0x1a800000};
static const uint64_t edge_f64[] = {0,
                                    0x8000000000000000,
                                    1,
                                    0x8000000000000001,
                                    0x000fffffffffffff,
                                    0x0010000000000000,
                                    0x3ff0000000000000,
                                    0xbff0000000000000,
                                    0x3ff0000000000001,
                                    0x3fefffffffffffff,
                                    0x3fe0000000000000,
                                    0x3ff8000000000000,
                                    0x4004000000000000,
                                    0xc004000000000000,
                                    0x400921fb54442d18,
                                    0x41dfffffffc00000,
                                    0x41e0000000000000,
                                    0xc1e0000000200000,
                                    0x41efffffffe00000,
                                    0x41f0000000000000,
                                    0x43e0000000000000,
                                    0xc3e0000000000000,
                                    0x43f0000000000000,
                                    0x47efffffe0000000,
                                    0x47efffffefffffff,
                                    0x47effffff0000000,
                                    0x3690000000000000,
                                    0x3690000000000001,
                                    0x380fffffffffffff,
                                    0x40efffe000000000,
                                    0x40effdffffffffff,
                                    0x40effe0000000000,
                                    0x3e70000000000000,
                                    0x3f0ff80000000001,
                                    0x7fefffffffffffff,
                                    0xffefffffffffffff,
                                    0x7ff0000000000000,
                                    0xfff0000000000000,
                                    0x7ff8000000000000,
                                    0xfff8000000000001,
                                    0x7ff0000000000001,
                                    0x4059000000000000,
                                    0x4330000000000001,
                                    0x36a0000000000000};

static uint64_t rng_state;
static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * 0x2545f4914f6cdd1dull;
}

/* One element of a matrix: exponent bits e, mantissa bits m, with bias. The warps differ: small
 * integers, numbers near 1, a wide range, near 1 again. */
static uint64_t element(unsigned e, unsigned m, int bias, unsigned i)
{
    uint64_t r = rng(), sign = r & 1;
    int wide = bias < 8 ? bias - 1 : bias > 127 ? 8 : bias > 15 ? 20 : 14;
    unsigned warp = i / 32;

    if (warp == 0) { /* -7 .. 7 */
        unsigned v = r >> 1 & 7, top = v > 3 ? 2 : v > 1;

        if (m < 2 && v > 3)
            v &= 6;
        return sign << (e + m) |
               (v ? (uint64_t)(bias + (int)top) << m | (v - (1ull << top)) << m >> top : 0);
    }
    int range = warp == 2 ? wide : 3, ex = (int)(r >> 1 & 0xffff) % (2 * range + 1) - range;

    return sign << (e + m) | (uint64_t)(bias + ex) << m | (rng() & ((1ull << m) - 1));
}

static uint64_t elements(const char *cls, unsigned i)
{
    uint64_t v = 0;

    if (!strcmp(cls, "md"))
        return element(11, 52, 1023, i);
    if (!strcmp(cls, "mf"))
        return element(8, 23, 127, i) | element(8, 23, 127, i) << 32;
    for (unsigned k = 0; k < 4; k++)
        v |= (cls[1] == 'h' ? element(5, 10, 15, i) : element(8, 7, 127, i)) << 16 * k;
    if (cls[1] == '8') /* octets: numbers in both formats of 8 bits */
        for (unsigned k = 0; k < 8; k++) {
            uint64_t r = rng();

            v &= ~(0xffull << 8 * k);
            v |= ((r & 0x80) | (i < 32 ? 0x30 + (r >> 8) % 24 : (r >> 8) % 0x78)) << 8 * k;
        }
    return v;
}

static uint64_t pick(const uint64_t *e, unsigned n, unsigned i, unsigned role)
{
    static const unsigned mul[3] = {1, 5, 11};
    return e[(i * mul[role] + i / n * (role * 3 + role)) % n];
}

#define N(a) (sizeof(a) / sizeof(a[0]))
/* Input word of thread i in role 0..2 (a, b, c). */
static uint64_t input(const char *cls, unsigned i, unsigned role)
{
    if (cls[0] == 'm')
        return elements(cls, i);
    uint64_t r = rng();
    bool edge = i < 96;
    if (!strcmp(cls, "i16"))
        return edge ? pick(edge_i16, N(edge_i16), i, role) : r & 0xffff;
    if (!strcmp(cls, "i32"))
        return edge ? pick(edge_i32, N(edge_i32), i, role) : r & 0xffffffff;
    if (!strcmp(cls, "i64"))
        return edge ? pick(edge_i64, N(edge_i64), i, role) : r;
    if (!strcmp(cls, "f16"))
        return edge ? pick(edge_f16, N(edge_f16), i, role) : r & 0xffff;
    if (!strcmp(cls, "bf"))
        return edge ? pick(edge_bf, N(edge_bf), i, role) : r & 0xffff;
    if (!strcmp(cls, "h2"))
        return edge ? pick(edge_f16, N(edge_f16), i, role) |
                          pick(edge_f16, N(edge_f16), i + 3, (role + 1) % 3) << 16
                    : r & 0xffffffff;
    if (!strcmp(cls, "b2"))
        return edge ? pick(edge_bf, N(edge_bf), i, role) |
                          pick(edge_bf, N(edge_bf), i + 3, (role + 1) % 3) << 16
                    : r & 0xffffffff;
    if (!strcmp(cls, "f32")) {
        if (edge)
            return pick(edge_f32, N(edge_f32), i, role);
        if (i & 1)
            return r & 0xffffffff;
        return 0x3a000000 + (r & 0x8bffffff); /* moderate size, both signs */
    }
    if (!strcmp(cls, "f64")) {
        if (edge)
            return pick(edge_f64, N(edge_f64), i, role);
        if (i & 1)
            return r;
        return 0x3e00000000000000 + (r & 0x83ffffffffffffff);
    }
    if (!strcmp(cls, "p"))
        return i < 32 ? (role ? i & 1 : i % 3 == 0) : i < 64 ? 1 : r & 1;
    if (!strcmp(cls, "sh"))
        return i < 100   ? (i * (role + 1) + role * 7) % 70
               : i < 110 ? 250 + (i & 7)
                         : r & 0xffffffff;
    return r;
}

static void inputs(const struct form *f, uint64_t in[3][THREADS])
{
    rng_state = 0x9e3779b97f4a7c15ull;
    for (unsigned role = 0; role < 3; role++)
        for (unsigned i = 0; i < THREADS; i++)
            in[role][i] = input(f->cls[role], i, role);
}

/* ---- the module ---------------------------------------------------------------------------------------- */

static char *text;
static size_t text_n;

static char *slurp(const char *name, size_t *n)
{
    FILE *f = fopen(name, "rb");
    char *b = NULL;
    size_t cap = 0;
    *n = 0;
    if (!f) {
        perror(name);
        exit(2);
    }
    for (size_t r;; *n += r) {
        if (cap - *n < 2) {
            cap = cap ? cap * 2 : 1 << 20;
            b = realloc(b, cap);
            if (!b)
                exit(2);
        }
        r = fread(b + *n, 1, cap - *n - 1, f);
        if (!r)
            break;
    }
    b[*n] = 0;
    fclose(f);
    return b;
}

static void load_forms(const char *name)
{
    text = slurp(name, &text_n);
    for (char *p = text; (p = strstr(p, "// FORM ")); p++) {
        struct form *f = &forms[nforms];
        if (nforms == MAX_FORMS ||
            sscanf(p, "// FORM %15s %3s %3s %3s %3s %15s %399[^\n]", f->kernel, f->cls[0],
                   f->cls[1], f->cls[2], f->cls[3], f->tol, f->text) != 7) {
            fprintf(stderr, "forms: bad form line: %.80s\n", p);
            exit(2);
        }
        f->ptx = p;
        if (nforms)
            f[-1].ptx_n = (size_t)(p - f[-1].ptx);
        f->ptx_n = strlen(p);
        nforms++;
    }
    if (!nforms)
        exit(2);
}

/* ---- running ------------------------------------------------------------------------------------ */

/* One form's kernel of the module that is loaded. CUresult; a line in log. */
static int run_form(const struct side *s, const struct form *f, uint64_t in[3][THREADS],
                    uint64_t *res, char *log, size_t log_n)
{
    static const uint32_t block[3] = {THREADS, 1, 1};
    static uint64_t d[4];
    int err;

    for (int i = 0; i < 4 && !d[3]; i++)
        d[i] = s->alloc(sizeof(in[0]));
    for (int i = 0; i < 3; i++)
        s->put(d[i], in[i], sizeof(in[i]));
    err = s->run(f->kernel, 1, block, 0, d, 4, log, log_n);
    if (!err)
        s->get(res, d[3], sizeof(*res) * THREADS);
    return err;
}

static int record(const char *out)
{
    const struct side *s = side_gpu();
    uint64_t in[3][THREADS], res[THREADS];
    FILE *o = fopen(out, "wb");
    char log[2000] = "";
    int err = s->load(text, log, sizeof(log));

    if (!o || err) {
        fprintf(stderr, "forms: %s: error %d: %s\n", out, err, log);
        return 2;
    }
    for (unsigned k = 0; k < nforms; k++) {
        inputs(&forms[k], in);
        if ((err = run_form(s, &forms[k], in, res, log, sizeof(log)))) {
            fprintf(stderr, "forms: %s: error %d\n", forms[k].text, err);
            return 2;
        }
        fprintf(o, "%s\n", forms[k].text);
        fwrite(res, sizeof(res), 1, o);
        fflush(o);
    }
    fclose(o);
    printf("forms: %u recorded\n", nforms);
    return 0;
}

/* Loads the form's kernel alone: what one form cannot do keeps no other from running. */
static int run_soft(const struct side *s, const struct form *f, uint64_t in[3][THREADS],
                    uint64_t *res, char *log, size_t log_n)
{
    static char one[1 << 16];
    size_t head = (size_t)(forms[0].ptx - text);
    int err;

    if (head + f->ptx_n >= sizeof(one))
        return 1;
    memcpy(one, text, head);
    memcpy(one + head, f->ptx, f->ptx_n);
    one[head + f->ptx_n] = 0;
    err = s->load(one, log, log_n);
    return err ? err : run_form(s, f, in, res, log, log_n);
}

static float as_f(uint64_t v)
{
    uint32_t b = v;
    float f;
    memcpy(&f, &b, 4);
    return f;
}

static double value(const char *cls, uint64_t v)
{
    double d;
    if (!strcmp(cls, "f32"))
        return as_f(v);
    if (!strcmp(cls, "f64")) {
        memcpy(&d, &v, 8);
        return d;
    }
    if (!strcmp(cls, "bf"))
        return as_f(v << 16);
    int e = v >> 10 & 31, m = v & 0x3ff;
    d = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(m + 1024, e - 25) : ldexp(m, -24);
    return v & 0x8000 ? -d : d;
}

static bool close_enough(const struct form *f, uint64_t got, uint64_t want, uint64_t in[3][THREADS],
                         unsigned i)
{
    double g = value(f->cls[3], got), w = value(f->cls[3], want), a = value(f->cls[0], in[0][i]);
    int n;
    if (got == want)
        return true;
    if (!strcmp(f->tol, "exact"))
        return false;
    if (!strcmp(f->tol, "pair")) { /* two results of 16 bits, 7 bits of each are right */
        const char *half = !strcmp(f->cls[3], "b2") ? "bf" : "f16";

        for (unsigned k = 0; k < 32; k += 16) {
            double x = value(half, got >> k & 0xffff), y = value(half, want >> k & 0xffff);

            if (!(isnan(x) && isnan(y)) && x != y && !(fabs(x - y) <= ldexp(fabs(y), -6)))
                return false;
        }
        return true;
    }
    if (isnan(g) || isnan(w))
        return (isnan(g) && isnan(w)) || (!strcmp(f->tol, "trig") && fabs(a) > 1e6);
    if (sscanf(f->tol, "ulp:%d", &n) == 1) {
        int64_t x = (int32_t)got, y = (int32_t)want;
        if (x < 0)
            x = INT32_MIN - x;
        if (y < 0)
            y = INT32_MIN - y;
        return llabs(x - y) <= n;
    }
    if (sscanf(f->tol, "abs:%d", &n) == 1)
        return fabs(g - w) <= ldexp(1, n) * (1 + fabs(w));
    if (sscanf(f->tol, "rel:%d", &n) == 1)
        return fabs(g - w) <= ldexp(fabs(w), n) || (fabs(w) < 1e-37 && fabs(g) < 1e-37);
    if (!strcmp(f->tol, "trig")) /* the device has no range reduction: only small arguments agree */
        return fabs(a) > 50 || fabs(g - w) <= ldexp(1, -19);
    if (!strcmp(f->tol, "div")) /* quotients by more than 2^126 are 0 on the device */
        return fabs(value("f32", in[1][i])) > ldexp(1, 126) || fabs(g - w) <= ldexp(fabs(w), -21) ||
               fabs(w) < 1e-37;
    return false;
}

static int check(const struct side *s, const char *golden, unsigned step)
{
    size_t n;
    char *g = slurp(golden, &n), *p = g, *end;
    if (n > 4 && !memcmp(g, "\x28\xb5\x2f\xfd", 4)) {
        size_t big = ZSTD_getFrameContentSize(g, n);
        if (big > 64u << 20)
            big = 64u << 20;
        p = malloc(big);
        if (!p)
            return 2;
        n = ZSTD_decompress(p, big, g, n);
        if (ZSTD_isError(n))
            return 2;
    }
    end = p + n;
    unsigned good = 0, bad = 0;
    for (unsigned k = 0; k < nforms; k++) {
        uint64_t in[3][THREADS], res[THREADS], want[THREADS];
        char log[700];
        char *nl = memchr(p, '\n', end - p);
        if (!nl || nl - p != (long)strlen(forms[k].text) || memcmp(p, forms[k].text, nl - p)) {
            fprintf(stderr, "forms: '%s' is not what was recorded: record again\n", forms[k].text);
            return 2;
        }
        memcpy(want, nl + 1, sizeof(want));
        p = nl + 1 + sizeof(want);
        if (k % step)
            continue;
        inputs(&forms[k], in);
        int err = run_soft(s, &forms[k], in, res, log, sizeof(log));
        if (!strcmp(forms[k].tol, "refused")) {
            bool ok = err == 801 && log[0];

            if (!ok)
                printf("FAIL %s: error %d, 801 and a line are wanted\n", forms[k].text, err);
            good += ok;
            bad += !ok;
            continue;
        }
        if (err) {
            printf("FAIL %s: error %d: %s\n", forms[k].text, err, log);
            bad++;
            continue;
        }
        unsigned wrong = 0, first = 0;
        for (unsigned i = 0; i < THREADS; i++)
            if (!close_enough(&forms[k], res[i], want[i], in, i) && !wrong++)
                first = i;
        if (wrong) {
            printf(
                "FAIL %s: %u of %u, first thread %u: a=%llx b=%llx c=%llx gives %llx, not %llx\n",
                forms[k].text, wrong, THREADS, first, (unsigned long long)in[0][first],
                (unsigned long long)in[1][first], (unsigned long long)in[2][first],
                (unsigned long long)res[first], (unsigned long long)want[first]);
            bad++;
        } else {
            good++;
        }
    }
    printf("ptx forms: %u passed, %u failed\n", good, bad);
    return bad != 0;
}

static int dump(const struct side *s, unsigned k)
{
    uint64_t in[3][THREADS], res[THREADS];
    char log[700];
    if (k >= nforms)
        return 2;
    inputs(&forms[k], in);
    int err = run_soft(s, &forms[k], in, res, log, sizeof(log));
    printf("%s: %d %s\n", forms[k].text, err, err ? log : "");
    for (unsigned i = 0; i < THREADS; i++)
        printf("%3u %016llx %016llx %016llx -> %016llx\n", i, (unsigned long long)in[0][i],
               (unsigned long long)in[1][i], (unsigned long long)in[2][i],
               (unsigned long long)res[i]);
    return 0;
}

/* Forms that the software device refuses, with its reason. */
static int unsupported(const struct side *s)
{
    uint64_t in[3][THREADS], res[THREADS];
    unsigned n = 0;
    char log[700];

    for (unsigned k = 0; k < nforms; k++) {
        inputs(&forms[k], in);
        if (!run_soft(s, &forms[k], in, res, log, sizeof(log)))
            continue;
        printf("%s\n    %s\n", forms[k].text, log);
        n++;
    }
    printf("%u of %u forms are not supported\n", n, nforms);
    return 0;
}

int main(int argc, char **argv)
{
    const char *lanes = getenv("GVM_TEST_JIT"), *step = getenv("GVM_FORMS_STEP");

    if (argc != 4) {
        fprintf(stderr, "usage: forms record|check|dump|unsupported FILE.ptx OUT|GOLDEN|N|-\n");
        return 2;
    }
    load_forms(argv[2]);
    if (!strcmp(argv[1], "record"))
        return record(argv[3]);
    const struct side *s = side_soft(lanes ? atoi(lanes) : -1);
    if (!strcmp(argv[1], "check"))
        return check(s, argv[3], step && atoi(step) > 0 ? (unsigned)atoi(step) : 1);
    if (!strcmp(argv[1], "unsupported"))
        return unsupported(s);
    return dump(s, (unsigned)atoi(argv[3]));
}
