/* SPDX-License-Identifier: MIT */
/*
 * bench_cores PTX [ROUNDS [THREADS...]] - how the software device's speed grows with threads: the
 * kernels of kernels.h on grids of 1,024 blocks and more, compiled, launched through the device as
 * a worker does. Wall time, the median of the rounds; efficiency: with the first number of threads,
 * time x threads, over the same with that many. Without THREADS: 1, 2, 4 ... as far as there are
 * processors.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dom0-backend/device/device.h"

#define BYTES      (64u << 20) /* of each buffer */
#define MAX_ROUNDS 101
#define MAX_COUNTS 8

enum { A, B, X, O, NBUF };
struct arg {
    char kind; /* 'b' a buffer, 'i', 'f', 0: no more */
    double v;
};
static const struct bench {
    const char *name, *bound; /* by what */
    uint32_t grid[2], block[2];
    struct arg args[6];
} benches[] = {
    {"mandel", "computing", {4, 1024}, {256, 1}, {{'b', O}, {'i', 1024}, {'i', 1024}, {'i', 256}}},
    {"nbody", "computing", {1024, 1}, {256, 1}, {{'b', A}, {'b', O}, {'i', 1024}}},
    {"matmul", "computing", {64, 64}, {16, 16}, {{'b', A}, {'b', B}, {'b', O}, {'i', 512}}},
    {"poly64", "computing", {16384, 1}, {256, 1}, {{'b', A}, {'b', O}, {'i', 1 << 22}}},
    {"hash", "computing", {16384, 1}, {256, 1}, {{'b', X}, {'b', O}, {'i', 64}}},
    {"option_price", "computing", {8192, 1}, {256, 1}, {{'b', A}, {'b', B}, {'b', O}}},
    {"collatz", "computing", {8192, 1}, {256, 1}, {{'b', X}, {'b', O}}},
    {"scan", "barriers", {32768, 1}, {256, 1}, {{'b', X}, {'b', O}}},
    {"saxpy",
     "memory",
     {65536, 1},
     {256, 1},
     {{'b', A}, {'b', B}, {'b', O}, {'i', 1 << 24}, {'f', 2.5}}},
    {"stencil", "memory", {16, 4096}, {256, 1}, {{'b', A}, {'b', O}, {'i', 4096}, {'i', 4096}}},
    {"gather", "memory", {65536, 1}, {256, 1}, {{'b', X}, {'b', A}, {'b', O}, {'i', 0xffffff}}},
    {"histogram", "atomics on 256 words", {16384, 1}, {256, 1}, {{'b', X}, {'b', O}}},
};
#define NBENCH (sizeof(benches) / sizeof(benches[0]))

static const struct dev_ops *const ops = &dev_ptx_ops;
static struct dev *dev;
static struct dev_module *module;
static uint64_t buf[NBUF];
static uint32_t *content[NBUF];

static void die(const char *what, int err)
{
    fprintf(stderr, "bench_cores: %s: %d\n", what, err);
    exit(1);
}

static void must(int err, const char *what)
{
    if (err)
        die(what, err);
}

static void on_fault(void *arg, int err, const char *what)
{
    die(what, err);
}

static void on_output(void *arg, int fd, const char *text, size_t n)
{
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void make_content(void)
{
    for (int i = 0; i < NBUF; i++) {
        content[i] = calloc(1, BYTES);
        if (!content[i])
            die("no memory", 0);
        for (uint32_t k = 0; k < BYTES / 4 && i != O; k++) {
            uint32_t v = (uint32_t)rand() * 2654435761u;
            float f = (float)(v >> 8) / 16777216.0f;

            memcpy(&content[i][k], i == X ? (void *)&v : (void *)&f, 4);
        }
    }
}

static char *read_file(const char *name, size_t *n)
{
    FILE *f = fopen(name, "rb");
    char *s = calloc(1, 1 << 20);

    if (!f || !s)
        die(name, 0);
    *n = fread(s, 1, (1 << 20) - 1, f);
    fclose(f);
    return s;
}

static void open_device(const char *ptx, unsigned threads)
{
    struct dev_config cfg = {.mem_limit = (uint64_t)NBUF * BYTES + (64u << 20),
                             .threads = threads,
                             .on_fault = on_fault,
                             .on_output = on_output};
    char log[400] = "";
    size_t n;
    char *text = read_file(ptx, &n);

    must(ops->open(&cfg, &dev), "open");
    must(ops->module_load(dev, text, n + 1, &module, log, sizeof(log)), log);
    free(text);
    for (int i = 0; i < NBUF; i++) {
        must(ops->mem_alloc(dev, BYTES, &buf[i]), "memory");
        must(ops->copy_h2d(dev, NULL, buf[i], content[i], BYTES), "copy");
    }
    must(ops->ctx_sync(dev), "copy");
}

static struct dev_func *func(const char *name)
{
    for (unsigned i = 0; i < ops->module_nfunc(module); i++)
        if (!strcmp(ops->func_name(ops->module_func(module, i)), name))
            return ops->module_func(module, i);
    die(name, 0);
    return NULL;
}

static double launch(const struct bench *b)
{
    struct dev_func *f = func(b->name);
    uint8_t params[256] = {0};
    struct dev_launch l = {.grid = {b->grid[0], b->grid[1], 1},
                           .block = {b->block[0], b->block[1], 1},
                           .params = params};
    double start;

    for (unsigned i = 0; b->args[i].kind; i++) {
        struct dev_param p = ops->func_param(f, i);
        const struct arg *a = &b->args[i];
        uint64_t addr = a->kind == 'b' ? buf[(int)a->v] : 0;
        int32_t n = (int32_t)a->v;
        float v = (float)a->v;

        memcpy(params + p.offset,
               a->kind == 'b'   ? (void *)&addr
               : a->kind == 'i' ? (void *)&n
                                : (void *)&v,
               p.size);
        l.params_len = p.offset + p.size;
    }
    start = now_ms();
    must(ops->launch(dev, f, &l, NULL), b->name);
    must(ops->ctx_sync(dev), b->name);
    return now_ms() - start;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(const struct bench *b, int rounds)
{
    double t[MAX_ROUNDS];

    launch(b); /* compiles */
    for (int i = 0; i < rounds; i++)
        t[i] = launch(b);
    qsort(t, rounds, sizeof(*t), by_size);
    return t[rounds / 2];
}

int main(int argc, char **argv)
{
    int rounds = argc > 2 ? atoi(argv[2]) : 5, ncount = 0, cpus = 1;
    unsigned counts[MAX_COUNTS];
    double t[MAX_COUNTS][NBENCH];
    cpu_set_t set;

    for (int i = 3; i < argc && ncount < MAX_COUNTS; i++)
        counts[ncount++] = (unsigned)atoi(argv[i]);
    if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS)
        die("usage: bench_cores PTX [ROUNDS up to 101 [THREADS...]]", 2);
    if (!sched_getaffinity(0, sizeof(set), &set))
        cpus = CPU_COUNT(&set);
    for (unsigned n = 1; argc <= 3 && n <= (unsigned)cpus && ncount < MAX_COUNTS; n *= 2)
        counts[ncount++] = n;
    setenv("GVM_PTX_JIT", "2", 1);
    make_content();
    for (int c = 0; c < ncount; c++) {
        open_device(argv[1], counts[c]);
        if (!ops->makes_code || !ops->makes_code(dev))
            die("the compiler plug-in is not there", 0);
        for (size_t i = 0; i < NBENCH; i++)
            t[c][i] = median(&benches[i], rounds);
        ops->close(dev);
    }
    printf("%d processors; threads: ms with the first number of them, then efficiency\n"
           "%-13s %-21s %6u ms",
           cpus, "kernel", "bound by", counts[0]);
    for (int c = 1; c < ncount; c++)
        printf(" %7u", counts[c]);
    printf("\n");
    for (size_t i = 0; i < NBENCH; i++) {
        printf("%-13s %-21s %9.2f", benches[i].name, benches[i].bound, t[0][i]);
        for (int c = 1; c < ncount; c++)
            printf(" %7.2f", t[0][i] * counts[0] / (counts[c] * t[c][i]));
        printf("\n");
    }
    return 0;
}
