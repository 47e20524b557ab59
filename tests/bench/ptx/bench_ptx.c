/* SPDX-License-Identifier: MIT */
/*
 * bench_ptx PTX KERNELS.H [ROUNDS [KERNEL]] - kernels.h on one thread: the software device
 * interpreting and compiling, PoCL, and plain.c, which is for orientation only. Rounds of the four
 * alternate, in processor time; each counts with its median, and a ratio is the median of the
 * rounds' ratios, so that what else runs on the machine meanwhile matters less. Results are
 * compared.
 */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "dom0-backend/device/ptx/ptx.h"
#include "plain.h"

#define BYTES  (8u << 20) /* of each buffer */
#define WINDOW (1ull << 32)
#define MAX    16
#define ROUNDS 101 /* at most */

enum { A, B, X, O, NBUF }; /* buffers, as arguments; then numbers */
struct arg {
    char kind; /* 'b', 'i', 'f', 0: no more */
    double v;
};
static const struct bench {
    const char *name;
    uint32_t grid[2], block[2];
    struct arg args[6];
    bool whole; /* the result is integers: exactly equal */
} benches[] = {
    {"saxpy", {4096, 1}, {256, 1}, {{'b', A}, {'b', B}, {'b', O}, {'i', 1048000}, {'f', 2.5}}, 0},
    {"matmul", {16, 16}, {16, 16}, {{'b', A}, {'b', B}, {'b', O}, {'i', 256}}, 0},
    {"mandel", {2, 512}, {256, 1}, {{'b', O}, {'i', 512}, {'i', 512}, {'i', 256}}, 0},
    {"nbody", {16, 1}, {256, 1}, {{'b', A}, {'b', O}, {'i', 4096}}, 0},
    {"reduce", {64, 1}, {256, 1}, {{'b', X}, {'b', O}, {'i', 2000000}}, 1},
    {"poly64", {1024, 1}, {256, 1}, {{'b', A}, {'b', O}, {'i', 262000}}, 0},
    {"gather", {4096, 1}, {256, 1}, {{'b', X}, {'b', A}, {'b', O}, {'i', 0xfffff}}, 0},
    {"histogram", {2048, 1}, {256, 1}, {{'b', X}, {'b', O}}, 1},
    {"gray", {4096, 1}, {256, 1}, {{'b', X}, {'b', O}}, 1},
    {"stencil", {4, 1024}, {256, 1}, {{'b', A}, {'b', O}, {'i', 1024}, {'i', 1024}}, 0},
    {"hash", {1024, 1}, {256, 1}, {{'b', X}, {'b', O}, {'i', 64}}, 1},
    {"option_price", {1024, 1}, {256, 1}, {{'b', A}, {'b', B}, {'b', O}}, 0},
    {"scan", {2048, 1}, {256, 1}, {{'b', X}, {'b', O}}, 1},
    {"collatz", {512, 1}, {256, 1}, {{'b', X}, {'b', O}}, 1},
    {"small", {4, 1}, {256, 1}, {{'b', A}, {'b', O}}, 0},
};
#define NBENCH (sizeof(benches) / sizeof(benches[0]))

static uint8_t *buf[NBUF]; /* in the window */
enum { INTERP, COMPILED, POCL, PLAIN, NWAYS };
static uint8_t *result[NWAYS];
static struct ptx_mem mem;
static struct ptx_module *module;
static struct ptx_exec *exec_state;
static cl_context ctx;
static cl_command_queue queue;
static cl_program program;
static cl_mem clbuf[NBUF];

static void die(const char *what, int err)
{
    fprintf(stderr, "bench_ptx: %s: %d\n", what, err);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static char *read_file(const char *name, size_t *n)
{
    FILE *f = fopen(name, "rb");
    char *s = malloc(1 << 20);

    if (!f || !s)
        die(name, 0);
    *n = fread(s, 1, (1 << 20) - 1, f);
    s[*n] = 0;
    fclose(f);
    return s;
}

static void make_buffers(void)
{
    char *p = mmap(NULL, 2 * WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        die("mmap", 0);
    mem.base = ((uint64_t)(uintptr_t)p + WINDOW - 1) & ~(WINDOW - 1);
    mem.mask = WINDOW - 1;
    for (int i = 0; i < NBUF; i++) {
        buf[i] = (uint8_t *)(uintptr_t)(mem.base + (uint64_t)(i + 1) * 2 * BYTES);
        mprotect(buf[i], BYTES, PROT_READ | PROT_WRITE);
        madvise(buf[i], BYTES, MADV_HUGEPAGE); /* as the arena does, see arena.c */
        for (uint32_t k = 0; k < BYTES / 4; k++) {
            uint32_t v = (uint32_t)rand() * 2654435761u;

            if (i == X)
                ((uint32_t *)buf[i])[k] = v;
            else
                ((float *)buf[i])[k] = (float)(v >> 8) / 16777216.0f;
        }
    }
    for (int i = 0; i < NWAYS; i++)
        result[i] = malloc(BYTES);
}

/* ---- the software device ----------------------------------------------------------------------- */

static void load_ptx(const char *name)
{
    char log[400];
    size_t n;
    char *text = read_file(name, &n);
    int err = ptx_module_parse(text, n, &module, log, sizeof(log));

    if (err)
        die(log, err);
    for (unsigned i = 0; i < ptx_module_nvar(module); i++)
        ptx_module_set_var_addr(module, i, mem.base + 65536);
    exec_state = ptx_exec_new();
    free(text);
}

static double run_ptx(const struct bench *b, int jit)
{
    struct ptx_kernel *k = NULL;
    struct ptx_launch l = {.mem = mem};
    struct ptx_fault fault;
    uint8_t params[256] = {0};
    char log[400];
    double start;
    int err;

    ptx_jit_set(jit ? PTX_JIT_FIRST : PTX_JIT_OFF);
    for (unsigned i = 0; i < ptx_module_nkernel(module); i++)
        if (!strcmp(ptx_kernel_name(ptx_module_kernel(module, i)), b->name))
            k = ptx_module_kernel(module, i);
    if (!k || (err = ptx_kernel_prepare(k, log, sizeof(log))))
        die(k ? log : b->name, 0);
    for (unsigned i = 0; b->args[i].kind; i++) {
        uint32_t off, size;
        uint64_t p = b->args[i].kind == 'b' ? (uint64_t)(uintptr_t)buf[(int)b->args[i].v] : 0;
        int32_t n = (int32_t)b->args[i].v;
        float f = (float)b->args[i].v;

        ptx_kernel_param(k, i, &off, &size);
        memcpy(params + off,
               b->args[i].kind == 'b'   ? (void *)&p
               : b->args[i].kind == 'i' ? (void *)&n
                                        : (void *)&f,
               size);
    }
    memset(buf[O], 0, BYTES);
    l.params = params;
    l.params_len = ptx_kernel_param_bytes(k);
    for (int d = 0; d < 3; d++) {
        l.grid[d] = d < 2 ? b->grid[d] : 1;
        l.block[d] = d < 2 ? b->block[d] : 1;
    }
    start = now_ms();
    err = ptx_exec_ctas(k, &l, exec_state, 0, (uint64_t)l.grid[0] * l.grid[1], &fault);
    start = now_ms() - start;
    if (err)
        die(fault.what, err);
    memcpy(result[jit], buf[O], BYTES);
    return start;
}

/* ---- PoCL ------------------------------------------------------------------------------------------ */

static void load_cl(const char *name)
{
    cl_platform_id platform;
    cl_device_id device;
    cl_int err;
    size_t n;
    const char *text = read_file(name, &n);

    if (clGetPlatformIDs(1, &platform, NULL) ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL))
        die("no OpenCL device", 0);
    ctx = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
    queue = clCreateCommandQueue(ctx, device, 0, &err);
    program = clCreateProgramWithSource(ctx, 1, &text, &n, &err);
    if (clBuildProgram(program, 1, &device, "", NULL, NULL)) {
        char log[4000] = "";

        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof(log), log, NULL);
        die(log, 1);
    }
    for (int i = 0; i < NBUF; i++) {
        clbuf[i] =
            clCreateBuffer(ctx, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, BYTES, buf[i], &err);
        if (err)
            die("buffer", err);
    }
}

static double run_cl(const struct bench *b)
{
    size_t global[2] = {(size_t)b->grid[0] * b->block[0], (size_t)b->grid[1] * b->block[1]};
    size_t local[2] = {b->block[0], b->block[1]};
    static cl_kernel kernels[MAX];
    size_t i = (size_t)(b - benches);
    double start;
    cl_int err = 0;

    memset(result[POCL], 0, BYTES);
    err = clEnqueueWriteBuffer(queue, clbuf[O], CL_TRUE, 0, BYTES, result[POCL], 0, NULL, NULL);
    if (!kernels[i])
        kernels[i] = clCreateKernel(program, b->name, &err);
    for (unsigned k = 0; b->args[k].kind; k++) {
        int32_t n = (int32_t)b->args[k].v;
        float f = (float)b->args[k].v;

        if (b->args[k].kind == 'b')
            err |= clSetKernelArg(kernels[i], k, sizeof(cl_mem), &clbuf[n]);
        else
            err |=
                clSetKernelArg(kernels[i], k, 4, b->args[k].kind == 'i' ? (void *)&n : (void *)&f);
    }
    clFinish(queue);
    start = now_ms();
    err |= clEnqueueNDRangeKernel(queue, kernels[i], 2, NULL, global, local, 0, NULL, NULL);
    err |= clFinish(queue);
    start = now_ms() - start;
    err |= clEnqueueReadBuffer(queue, clbuf[O], CL_TRUE, 0, BYTES, result[POCL], 0, NULL, NULL);
    if (err)
        die(b->name, err);
    return start;
}

/* ---- plain C ----------------------------------------------------------------------------------- */

static double run_plain(const struct bench *b)
{
    const struct plain p = {(float *)buf[A], (float *)buf[B], (uint32_t *)buf[X], (float *)buf[O]};
    double start;

    memset(buf[O], 0, BYTES);
    start = now_ms();
    if (!plain_run(b->name, &p))
        die(b->name, 0);
    start = now_ms() - start;
    memcpy(result[PLAIN], buf[O], BYTES);
    return start;
}

/* ---- the table ------------------------------------------------------------------------------------- */

/* The first word that differs, or -1. Approximate functions and contractions differ a little. */
static long differ(const struct bench *b, const uint8_t *p, const uint8_t *q)
{
    bool whole = b->whole || !strcmp(b->name, "mandel");
    long n = 0;

    for (long i = 0; i < BYTES / 4; i++) {
        float x, y;

        memcpy(&x, p + 4 * i, 4);
        memcpy(&y, q + 4 * i, 4);
        if (!memcmp(p + 4 * i, q + 4 * i, 4))
            continue;
        if (!whole && fabsf(x - y) <= 1e-3f * (fabsf(x) + fabsf(y)) + 1e-5f)
            continue;
        if (!strcmp(b->name, "mandel") && n++ < BYTES / 4 / 100)
            continue; /* on the border the last bit of a product decides */
        return i;
    }
    return -1;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(const double *v, int n)
{
    double s[ROUNDS];

    memcpy(s, v, n * sizeof(*v));
    qsort(s, n, sizeof(*s), by_size);
    return n & 1 ? s[n / 2] : (s[n / 2] + s[n / 2 - 1]) / 2;
}

/* How much faster than PoCL: median of the rounds. */
static double ratio(double t[NWAYS][ROUNDS], int way, int rounds)
{
    double q[ROUNDS];

    for (int r = 0; r < rounds; r++)
        q[r] = t[POCL][r] / t[way][r];
    return median(q, rounds);
}

static double run(const struct bench *b, int way)
{
    return way == POCL ? run_cl(b) : way == PLAIN ? run_plain(b) : run_ptx(b, way);
}

static void compare(const struct bench *b)
{
    static const char *const names[] = {"", "compiled", "PoCL", "C"};

    if (memcmp(result[INTERP], result[COMPILED], BYTES))
        printf("  compiled and interpreted results differ");
    for (int w = POCL; w < NWAYS; w++) {
        long bad = differ(b, result[INTERP], result[w]);

        if (bad >= 0)
            printf("  %s differs at word %ld: %08x %08x", names[w], bad,
                   ((uint32_t *)result[INTERP])[bad], ((uint32_t *)result[w])[bad]);
    }
}

int main(int argc, char **argv)
{
    int rounds = argc > 3 ? atoi(argv[3]) : 5, n = 0;
    double firsts[NBENCH], logs[NWAYS] = {0}, t[NWAYS][ROUNDS], first[NWAYS], q[NWAYS];
    char log[300];

    if (argc < 3 || rounds < 1 || rounds > ROUNDS)
        die("usage: bench_ptx PTX KERNELS.H [ROUNDS up to 101 [KERNEL]]", 2);
    setenv("POCL_MAX_PTHREAD_COUNT", "1", 1);
    if (!ptx_jit_load(PTX_JIT_FIRST, log, sizeof(log)))
        die(log, 0);
    make_buffers();
    load_ptx(argv[1]);
    load_cl(argv[2]);
    printf("%-13s %9s %9s %9s %9s %9s %9s %9s %9s %9s\n", "ms", "interp.", "compiled", "PoCL",
           "gcc -O3", "first c.", "first P.", "i./PoCL", "c./PoCL", "gcc/PoCL");
    for (size_t i = 0; i < NBENCH; i++) {
        const struct bench *b = &benches[i];

        if (argc > 4 && strcmp(argv[4], b->name))
            continue;
        for (int w = 0; w < NWAYS; w++)
            first[w] = run(b, w);
        for (int r = 0; r < rounds; r++)
            for (int w = 0; w < NWAYS; w++)
                t[w][r] = run(b, w);
        for (int w = 0; w < NWAYS; w++) {
            q[w] = ratio(t, w, rounds);
            logs[w] += log2(q[w]);
        }
        firsts[n++] = first[COMPILED];
        printf("%-13s %9.3f %9.3f %9.3f %9.3f %9.1f %9.1f %9.2f %9.2f %9.2f", b->name,
               median(t[INTERP], rounds), median(t[COMPILED], rounds), median(t[POCL], rounds),
               median(t[PLAIN], rounds), first[COMPILED], first[POCL], q[INTERP], q[COMPILED],
               q[PLAIN]);
        compare(b);
        printf("\n");
        fflush(stdout);
    }
    if (!n)
        die("no such kernel", 2);
    printf("%-13s %49.1f %19.2f %9.2f %9.2f\n", "median, mean", median(firsts, n),
           exp2(logs[INTERP] / n), exp2(logs[COMPILED] / n), exp2(logs[PLAIN] / n));
    return 0;
}
