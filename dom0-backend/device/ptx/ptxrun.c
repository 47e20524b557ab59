/* SPDX-License-Identifier: MIT */
/*
 * ptxrun - debugging tool: parses PTX files, says which kernels the software device can run, and
 * runs one kernel on this thread.
 *
 *   ptxrun [-l] FILE.ptx...                  one line per kernel: ok, or why not
 *   ptxrun [-l] -r FILE.ptx...               which kernels the compiler takes, and why not the others
 *   ptxrun -k NAME [-g X[,Y[,Z]]] [-b ...] [-s SHMEM] [-t] [-n TIMES] [-j LANES] FILE.ptx ARG...
 * -l: as a device of compute capability 10.0.
 * -j: compiled (plug-in gvm-ptx-jit.so), LANES at once, 0 for the usual number; -n: best of TIMES.
 * ARG, one per parameter: i32:V u32:V u64:V i64:V f32:V f64:V, or a buffer in device memory:
 *   buf:BYTES[:zero|iota|rand][:TYPE:COUNT]  contents; print COUNT values of TYPE afterwards
 */
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ptx_int.h"

#define WINDOW (1ull << 40)
static struct ptx_mem mem;
static uint64_t brk_addr;

static void on_signal(int sig, siginfo_t *si, void *uc)
{
    (void)uc;
    if (ptx_exec_signal(sig, si))
        return;
    signal(sig, SIG_DFL);
}

static void window_init(void)
{
    char *p = mmap(NULL, 2 * WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        perror("ptxrun: mmap");
        exit(1);
    }
    mem.base = ((uint64_t)(uintptr_t)p + WINDOW - 1) & ~(WINDOW - 1);
    mem.mask = WINDOW - 1;
    brk_addr = mem.base + (1 << 20);
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
}

static uint64_t dev_alloc(uint64_t n)
{
    uint64_t a = brk_addr, len = (n + 4095) & ~4095ull;
    if (mprotect((void *)(uintptr_t)a, len ? len : 4096, PROT_READ | PROT_WRITE)) {
        perror("ptxrun: mprotect");
        exit(1);
    }
    brk_addr = a + len + 8192; /* a hole after each: overruns fault */
    return a;
}

static uint64_t heap(void *arg, uint64_t n)
{
    (void)arg;
    return dev_alloc(n);
}

static void print_out(void *arg, const char *text, size_t n)
{
    (void)arg;
    fwrite(text, 1, n, stdout);
}

static char *read_file(const char *name, size_t *n)
{
    FILE *f = fopen(name, "rb");
    char *buf = NULL;
    size_t cap = 0;
    *n = 0;
    if (!f) {
        fprintf(stderr, "ptxrun: %s: cannot open\n", name);
        return NULL;
    }
    for (;;) {
        if (*n == cap) {
            cap = cap ? cap * 2 : 65536;
            char *nb = realloc(buf, cap);
            if (!nb)
                break;
            buf = nb;
        }
        size_t r = fread(buf + *n, 1, cap - *n, f);
        if (!r)
            break;
        *n += r;
    }
    fclose(f);
    return buf;
}

static struct ptx_module *load(const char *name)
{
    char log[512];
    size_t n;
    struct ptx_module *m = NULL;
    char *text = read_file(name, &n);
    if (!text)
        return NULL;
    int err = ptx_module_parse(text, n, &m, log, sizeof(log));
    free(text);
    if (err) {
        printf("%s: module error %d: %s\n", name, err, log);
        return NULL;
    }
    for (unsigned i = 0; i < ptx_module_nvar(m); i++)
        ptx_module_set_var_addr(m, i, dev_alloc(ptx_module_var(m, i).size));
    for (unsigned i = 0; i < ptx_module_nvar(m); i++)
        ptx_module_var_init(m, i, (void *)(uintptr_t)m->dvars[i]->addr);
    return m;
}

static int check(const char *name, bool compiled)
{
    char log[512];
    int bad = 0;
    struct ptx_module *m = load(name);
    if (!m)
        return 1;
    for (unsigned i = 0; i < ptx_module_nkernel(m); i++) {
        struct ptx_kernel *k = ptx_module_kernel(m, i);
        int err = ptx_kernel_prepare(k, log, sizeof(log));
        if (!err && compiled)
            printf("%s: %s: %s\n", name, ptx_kernel_name(k),
                   ptx_jit_try(k, log, sizeof(log)) ? log : "compiled");
        else if (err)
            printf("%s: %s: error %d: %s\n", name, ptx_kernel_name(k), err, log);
        else
            printf("%s: %s: ok, %u regs\n", name, ptx_kernel_name(k), k->info.regs);
        bad += err != 0;
    }
    ptx_module_free(m);
    return bad;
}

static void dims(const char *s, uint32_t d[3])
{
    d[0] = d[1] = d[2] = 1;
    sscanf(s, "%u,%u,%u", &d[0], &d[1], &d[2]);
}

struct show {
    uint64_t addr;
    char type[8];
    unsigned count;
} shows[64];
static unsigned nshows;

static uint64_t make_buffer(const char *s)
{
    char kind[16] = "zero", type[8] = "";
    unsigned long bytes = 0;
    unsigned count = 0;
    sscanf(s, "buf:%lu:%15[^:]:%7[^:]:%u", &bytes, kind, type, &count);
    uint64_t a = dev_alloc(bytes);
    if (!strcmp(kind, "iota"))
        for (unsigned long i = 0; i < bytes / 4; i++)
            ((float *)(uintptr_t)a)[i] = (float)i;
    if (!strcmp(kind, "iotai"))
        for (unsigned long i = 0; i < bytes / 4; i++)
            ((uint32_t *)(uintptr_t)a)[i] = i;
    if (!strcmp(kind, "rand"))
        for (unsigned long i = 0; i < bytes / 4; i++)
            ((float *)(uintptr_t)a)[i] = (float)rand() / (float)RAND_MAX;
    if (count && nshows < 64) {
        shows[nshows] = (struct show){.addr = a, .count = count};
        memcpy(shows[nshows++].type, type, sizeof(type));
    }
    return a;
}

static void show_all(void)
{
    for (unsigned i = 0; i < nshows; i++) {
        const char *p = (const char *)(uintptr_t)shows[i].addr;
        for (unsigned j = 0; j < shows[i].count; j++) {
            if (!strcmp(shows[i].type, "f32"))
                printf("%.9g ", ((const float *)p)[j]);
            else if (!strcmp(shows[i].type, "f64"))
                printf("%.17g ", ((const double *)p)[j]);
            else if (!strcmp(shows[i].type, "i32"))
                printf("%d ", ((const int32_t *)p)[j]);
            else if (!strcmp(shows[i].type, "u64"))
                printf("%llx ", ((const unsigned long long *)p)[j]);
            else
                printf("%08x ", ((const uint32_t *)p)[j]);
        }
        printf("\n");
    }
}

static void on_note(const char *line)
{
    fprintf(stderr, "ptxrun: %s\n", line);
}

int main(int argc, char **argv)
{
    const char *kname = NULL;
    struct ptx_launch l = {
        .grid = {1, 1, 1}, .block = {32, 1, 1}, .print = print_out, .heap_alloc = heap};
    uint8_t params[32764] = {0};
    bool timing = false, report = false;
    char jlog[300];
    double best = 1e30, first = 0;
    int c, times = 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while ((c = getopt(argc, argv, "+k:g:b:s:tcj:ln:r")) != -1) {
        switch (c) {
        case 'k':
            kname = optarg;
            break;
        case 'g':
            dims(optarg, l.grid);
            break;
        case 'b':
            dims(optarg, l.block);
            break;
        case 's':
            l.shmem = atoi(optarg);
            break;
        case 'r':
        case 'j':
            report |= c == 'r';
            if (!ptx_jit_load(PTX_JIT_FIRST, jlog, sizeof(jlog))) {
                fprintf(stderr, "ptxrun: %s\n", jlog);
                return 1;
            }
            if (c == 'r')
                break;
            ptx_jit_notes(on_note);
            ptx_jit_lanes((unsigned)atoi(optarg));
            break;
        case 'l':
            ptx_target_set(PTX_TARGET_LATER);
            break;
        case 'n':
            times = atoi(optarg);
            break;
        case 't':
            timing = true;
            break;
        case 'c':
            l.cooperative = true;
            break;
        default:
            return 2;
        }
    }
    window_init();
    if (!kname) {
        int bad = 0;
        for (int i = optind; i < argc; i++)
            bad += check(argv[i], report);
        return bad != 0;
    }
    if (optind >= argc)
        return 2;
    struct ptx_module *m = load(argv[optind++]);
    struct ptx_kernel *k = NULL;
    char log[512];
    if (!m)
        return 1;
    for (unsigned i = 0; i < ptx_module_nkernel(m); i++)
        if (strstr(ptx_kernel_name(ptx_module_kernel(m, i)), kname))
            k = ptx_module_kernel(m, i);
    if (!k) {
        fprintf(stderr, "ptxrun: no kernel whose name contains '%s'\n", kname);
        return 1;
    }
    int err = ptx_kernel_prepare(k, log, sizeof(log));
    if (err) {
        fprintf(stderr, "ptxrun: error %d: %s\n", err, log);
        return 1;
    }
    for (unsigned i = 0; i < ptx_kernel_nparam(k) && optind < argc; i++) {
        uint32_t off, size;
        const char *s = argv[optind++];
        uint64_t v;
        ptx_kernel_param(k, i, &off, &size);
        if (!strncmp(s, "buf:", 4)) {
            v = make_buffer(s);
        } else if (!strncmp(s, "f32:", 4)) {
            float f = strtof(s + 4, NULL);
            uint32_t b;
            memcpy(&b, &f, 4);
            v = b;
        } else if (!strncmp(s, "f64:", 4)) {
            double d = strtod(s + 4, NULL);
            memcpy(&v, &d, 8);
        } else {
            v = strtoull(strlen(s) > 4 && s[3] == ':' ? s + 4 : s, NULL, 0);
        }
        memcpy(params + off, &v, size < 8 ? size : 8);
    }
    l.params = params;
    l.params_len = ptx_kernel_param_bytes(k);
    l.mem = mem;
    l.coop_workspace = l.cooperative ? dev_alloc(4096) : 0;
    struct ptx_exec *x = ptx_exec_new();
    struct ptx_fault fault;
    struct timespec t0, t1;
    for (int i = 0; i < times; i++) {
        double ms;

        clock_gettime(CLOCK_MONOTONIC, &t0);
        err = ptx_exec_ctas(k, &l, x, 0, (uint64_t)l.grid[0] * l.grid[1] * l.grid[2], &fault);
        clock_gettime(CLOCK_MONOTONIC, &t1);
        ms = (t1.tv_sec - t0.tv_sec) * 1e3 + (t1.tv_nsec - t0.tv_nsec) / 1e6;
        best = ms < best ? ms : best;
        first = i ? first : ms;
    }
    if (err)
        fprintf(stderr, "ptxrun: error %d: %s\n", err, fault.what);
    if (timing)
        fprintf(stderr, "ptxrun: %.3f ms, the first time %.3f ms; compiled %llu, refused %llu\n",
                best, first, (unsigned long long)ptx_jit_stats().compiled,
                (unsigned long long)ptx_jit_stats().refused);
    show_all();
    ptx_exec_free(x);
    ptx_module_free(m);
    return err != 0;
}
