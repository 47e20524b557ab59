/* SPDX-License-Identifier: MIT */
/*
 * random.c - runs the programs of randprog.c on a GPU, or on the software device against what a GPU
 * gave.
 *
 *   random record COUNT JOBS OUT       on the GPU (libcuda.so.1): digests of programs 0 to COUNT - 1
 *                                      into OUT, those of their threads into OUT.threads
 *   random check FIRST COUNT JOBS HOW DIGESTS
 *                                      on the software device; DIGESTS: raw or zstd. HOW: "i" the
 *                                      interpreter, "1", "8", "16", "32" compiled for so many lanes,
 *                                      "one" the interpreter and one of these, "all" all of them
 *   random threads SEED HOW            what one program leaves in memory, a line for each thread, and
 *                                      in the counters; HOW may be "gpu"; "text": the program
 *
 * DIGESTS holds a 32-bit number for each program. 0: what compiled kernels give is compared with the
 * interpreter only. That is so for 19 programs of 10000, which read the place of a thread that ended
 * early: exchange() of randprog.c counts from address 0 of shared memory, and on a GPU the array that
 * the program fills at its start is further up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "randprog.h"
#include "side.h"

#define MAX_THREADS 1024u /* of a grid */
#define MEM         (MAX_THREADS * RAND_WORDS * 4)

struct result {
    uint32_t digest, nthreads;
    uint32_t count[RAND_COUNT];
    uint32_t words[MAX_THREADS * RAND_WORDS];
    uint32_t thread[MAX_THREADS];
};

static uint64_t mem_at, tab_at, cnt_at;

static void prepare(const struct side *s)
{
    uint8_t t[RAND_TABLE];

    if (mem_at)
        return;
    mem_at = s->alloc(MEM);
    tab_at = s->alloc(RAND_TABLE);
    cnt_at = s->alloc(RAND_COUNT * 4);
    rand_table(t);
    s->put(tab_at, t, sizeof(t));
}

static uint64_t mix(uint64_t h, uint32_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

/* One program. CUresult; a line in log. */
static int run(const struct side *s, uint64_t seed, struct result *r, char *log, size_t log_n)
{
    static const uint8_t zero[MEM];
    const struct rand_shape *sh = rand_shape(seed);
    uint32_t *m = r->words, *cnt = r->count, n = sh->grid * rand_threads(sh);
    uint64_t h = 1, args[3] = {mem_at, tab_at, cnt_at};
    int err;

    log[0] = 0;
    if (n > MAX_THREADS)
        return 1;
    err = s->load(rand_program(seed, !(rand_threads(sh) % 32) && seed % 3 == 0, true), log, log_n);
    if (err)
        return err;
    s->put(mem_at, zero, (size_t)n * RAND_WORDS * 4);
    s->put(cnt_at, zero, sizeof(r->count));
    if ((err = s->run("k", sh->grid, sh->block, 0, args, 3, log, log_n)))
        return err;
    s->get(m, mem_at, (size_t)n * RAND_WORDS * 4);
    s->get(cnt, cnt_at, sizeof(r->count));
    for (uint32_t t = 0; t < n; t++) {
        uint64_t ht = 1;

        for (uint32_t i = 0; i < RAND_WORDS; i++)
            ht = mix(ht, m[t * RAND_WORDS + i]);
        r->thread[t] = (uint32_t)(ht >> 16);
        h = mix(h, r->thread[t]);
    }
    for (uint32_t i = 0; i < RAND_COUNT; i++)
        h = mix(h, cnt[i]);
    r->digest = (uint32_t)(h >> 16);
    r->nthreads = n;
    return 0;
}

/* ---- recording --------------------------------------------------------------------------------- */

static char *name_of(const char *out, const char *what, unsigned job)
{
    static char n[2][500];
    static int k;

    k ^= 1;
    snprintf(n[k], sizeof(n[k]), "%s.%s%u", out, what, job);
    return n[k];
}

/* Job j of n does programs j, j + n, ...: their digests, and apart those of the threads. */
static int record_job(unsigned long count, unsigned job, unsigned jobs, const char *out)
{
    const struct side *s = side_gpu();
    FILE *d = fopen(name_of(out, "digests", job), "wb"),
         *t = fopen(name_of(out, "threads", job), "wb");
    static struct result r;
    char log[2000];

    if (!d || !t)
        return 2;
    prepare(s);
    for (unsigned long p = job; p < count; p += jobs) {
        int err = run(s, p, &r, log, sizeof(log));

        if (err) {
            fprintf(stderr, "program %lu: error %d: %s\n", p, err, log);
            return 1;
        }
        fwrite(&r.digest, 4, 1, d);
        fwrite(r.thread, 4, r.nthreads, t);
        if (p % 500 < jobs)
            fflush(d), fflush(t);
    }
    return fclose(d) || fclose(t) ? 2 : 0;
}

/* Puts the jobs' digests into the order of the programs. */
static int merge(unsigned long count, unsigned jobs, const char *out)
{
    FILE *o = fopen(out, "wb"), **in = calloc(jobs, sizeof(*in));
    uint32_t d;
    int rc = 2;

    if (!o || !in)
        goto out;
    for (unsigned j = 0; j < jobs; j++)
        if (!(in[j] = fopen(name_of(out, "digests", j), "rb")))
            goto out;
    for (unsigned long p = 0; p < count; p++)
        if (fread(&d, 4, 1, in[p % jobs]) != 1 || fwrite(&d, 4, 1, o) != 1)
            goto out;
    rc = 0;
out:
    for (unsigned j = 0; in && j < jobs; j++)
        if (in[j])
            fclose(in[j]);
    free(in);
    return (o && fclose(o)) || rc ? 2 : 0;
}

/* ---- checking ---------------------------------------------------------------------------------- */

static const char *const widths[] = {"i", "1", "8", "16", "32"};

/* want 0: nothing is recorded for the program, and *want becomes what this run gives. */
static int check_one(unsigned long p, const char *width, uint32_t *want)
{
    const struct side *s = side_soft(width[0] == 'i' ? -1 : atoi(width));
    static struct result r;
    char log[700];
    int err;

    prepare(s);
    err = run(s, p, &r, log, sizeof(log));
    if (!err && !*want)
        *want = r.digest;
    if (!err && r.digest == *want)
        return 0;
    if (err)
        printf("FAIL program %lu, %s: error %d: %s\n", p, width, err, log);
    else
        printf("FAIL program %lu, %s: digest %08x, not %08x\n", p, width, r.digest, *want);
    return 1;
}

static int check_job(unsigned long first, unsigned long count, unsigned job, unsigned jobs,
                     const char *how, const uint32_t *want)
{
    int bad = 0;

    setvbuf(stdout, NULL, _IOLBF, 0); /* lines of several jobs */
    for (unsigned long p = first + job; p < first + count; p += jobs) {
        uint32_t expect = want[p - first];
        int wrong = 0;

        for (unsigned w = 0; w < 5; w++)
            if (!strcmp(how, widths[w]) || !strcmp(how, "all") ||
                (!strcmp(how, "one") && (!w || p % 4 == w - 1)))
                wrong |= check_one(p, widths[w], &expect);
        bad += wrong;
    }
    fflush(stdout);
    return bad > 100 ? 100 : bad;
}

static uint32_t *digests(const char *name, unsigned long first, unsigned long count)
{
    static char file[16 << 20];
    FILE *f = fopen(name, "rb");
    size_t n = f ? fread(file, 1, sizeof(file), f) : 0;
    char *raw = file;

    if (f)
        fclose(f);
    if (n > 4 && !memcmp(file, "\x28\xb5\x2f\xfd", 4)) {
        raw = malloc(sizeof(file));
        n = raw ? ZSTD_decompress(raw, sizeof(file), file, n) : 0;
        if (ZSTD_isError(n))
            n = 0;
    }
    if (n / 4 < first + count) {
        fprintf(stderr, "%s: not %lu digests\n", name, first + count);
        exit(2);
    }
    return (uint32_t *)raw + first;
}

/* ---- the commands ------------------------------------------------------------------------------ */

static unsigned long number(const char *s, unsigned long max)
{
    char *end;
    unsigned long v = strtoul(s, &end, 10);

    if (*end || !*s || v > max) {
        fprintf(stderr, "random: '%s': a number up to %lu is wanted\n", s, max);
        exit(2);
    }
    return v;
}

/* The exit statuses of the jobs: their sum, or -1 when one did not end by itself. */
static int wait_jobs(unsigned jobs)
{
    int sum = 0, st;

    for (unsigned j = 0; j < jobs; j++) {
        if (wait(&st) < 0 || !WIFEXITED(st))
            return -1;
        sum += WEXITSTATUS(st);
    }
    return sum;
}

static int start_jobs(int argc, char **argv)
{
    bool rec = !strcmp(argv[1], "record");
    unsigned long first = rec ? 0 : number(argv[2], 1000000);
    unsigned long count = number(argv[rec ? 2 : 3], 1000000);
    unsigned jobs = (unsigned)number(argv[rec ? 3 : 4], 64);
    const uint32_t *want = rec ? NULL : digests(argv[6], first, count);
    int bad;

    for (unsigned j = 0; j < jobs; j++) {
        pid_t pid = fork();

        if (pid < 0)
            return 2;
        if (!pid)
            _exit(rec ? record_job(count, j, jobs, argv[4])
                      : check_job(first, count, j, jobs, argv[5], want));
    }
    bad = wait_jobs(jobs);
    if (rec)
        return bad ? 1 : merge(count, jobs, argv[4]);
    printf("ptx random: %lu passed, %d failed\n",
           bad < 0 || (unsigned)bad > count ? 0 : count - (unsigned)bad, bad < 0 ? 1 : bad);
    return bad != 0;
}

static int threads(uint64_t seed, const char *how)
{
    static struct result r;
    char log[700];

    if (!strcmp(how, "text")) {
        const struct rand_shape *sh = rand_shape(seed);

        printf("// grid %u, block %u x %u x %u\n%s", sh->grid, sh->block[0], sh->block[1],
               sh->block[2], rand_program(seed, !(rand_threads(sh) % 32) && seed % 3 == 0, true));
        return 0;
    }
    const struct side *s =
        !strcmp(how, "gpu") ? side_gpu() : side_soft(how[0] == 'i' ? -1 : atoi(how));

    prepare(s);
    if (run(s, seed, &r, log, sizeof(log))) {
        printf("%s\n", log);
        return 1;
    }
    for (uint32_t i = 0; i < r.nthreads; i++) {
        printf("%u %08x:", i, r.thread[i]);
        for (uint32_t k = 0; k < RAND_WORDS; k++)
            printf(" %x", r.words[i * RAND_WORDS + k]);
        printf("\n");
    }
    printf("counters:");
    for (uint32_t i = 0; i < RAND_COUNT; i++)
        printf(" %x", r.count[i]);
    printf("\n");
    return 0;
}

int main(int argc, char **argv)
{
    if ((argc == 5 && !strcmp(argv[1], "record")) || (argc == 7 && !strcmp(argv[1], "check")))
        return start_jobs(argc, argv);
    if (argc == 4 && !strcmp(argv[1], "threads"))
        return threads(number(argv[2], 1000000), argv[3]);
    fprintf(stderr, "usage: random record COUNT JOBS OUT\n"
                    "       random check FIRST COUNT JOBS i|1|8|16|32|one|all DIGESTS\n"
                    "       random threads SEED i|1|8|16|32|gpu|text\n");
    return 2;
}
