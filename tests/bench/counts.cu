/* SPDX-License-Identifier: MIT */
/*
 * counts.cu - pieces of work to be counted, one after the other. For each: `ready PIECE PID` is
 * printed and a line is read; the piece runs; `done PIECE doorbells=N sleeps=N copied=N` tells what
 * GVM's library counted meanwhile (natively zeros), and another line is read. Results are checked in
 * between, where nobody counts.
 *
 * counts PIECE...   see pieces[]
 */
#include "bench.h"

#include <dlfcn.h>
#include <sched.h>
#include <unistd.h>

#define MIB    ((size_t)1 << 20)
#define LARGE  (64 * MIB)
#define PINNED (32 * MIB) /* a process may have 80 MiB granted, staging included */
#define BURST  10000
#define CALLS  100

struct counts {
    uint64_t doorbells, sleeps, copied, calls;
};

static unsigned *value; /* of the device, counts launches */
static unsigned launched;
static unsigned char *dev, *a, *b; /* LARGE octets each */
static unsigned char *pinned;
static cudaEvent_t event;

__global__ void count(unsigned *n, unsigned by, float unused)
{
    if (threadIdx.x == 0)
        *n += by;
}

static void get_counts(struct counts *c)
{
    static void (*get)(struct counts *);
    static bool looked;

    if (!looked)
        get = (void (*)(struct counts *))dlsym(RTLD_DEFAULT, "gvm_counts");
    looked = true;
    memset(c, 0, sizeof(*c));
    if (get)
        get(c);
}

static void wait_line(void)
{
    char c;

    do {
        if (read(0, &c, 1) != 1)
            exit(1);
    } while (c != '\n');
}

static void fill(unsigned char *p, unsigned seed)
{
    for (size_t i = 0; i < LARGE / 8; i++)
        ((uint64_t *)p)[i] = (i + seed) * 0x9e3779b97f4a7c15ull;
}

static void launch(int n)
{
    for (int i = 0; i < n; i++)
        count<<<1, 1>>>(value, 1, 0.5f);
    launched += (unsigned)n;
}

static void check_launches(void)
{
    unsigned got = 0;

    CHECK(cudaMemcpy(&got, value, sizeof(got), cudaMemcpyDeviceToHost));
    EXPECT(got == launched);
}

static void launches(void)
{
    launch(BURST);
}

static void launch_sync(void)
{
    for (int i = 0; i < CALLS; i++) {
        launch(1);
        CHECK(cudaDeviceSynchronize());
    }
}

static void events(void)
{
    for (int i = 0; i < CALLS; i++)
        CHECK(cudaEventRecord(event, 0));
}

static void mallocs(void)
{
    for (int i = 0; i < CALLS; i++) {
        void *p;

        CHECK(cudaMalloc(&p, MIB));
        CHECK(cudaFree(p));
    }
}

static void small_to(void)
{
    for (int i = 0; i < CALLS; i++)
        CHECK(cudaMemcpy(dev, &i, sizeof(i), cudaMemcpyHostToDevice));
}

static void small_back(void)
{
    for (int i = 0, v; i < CALLS; i++)
        CHECK(cudaMemcpy(&v, dev, sizeof(v), cudaMemcpyDeviceToHost));
}

/* Complete when they return, both ways: the copy to the device is waited for. */
static void large_to(void)
{
    CHECK(cudaMemcpy(dev, a, LARGE, cudaMemcpyHostToDevice));
    CHECK(cudaDeviceSynchronize());
}

static void large_back(void)
{
    CHECK(cudaMemcpy(b, dev, LARGE, cudaMemcpyDeviceToHost));
}

static void pinned_to(void)
{
    CHECK(cudaMemcpy(dev, pinned, PINNED, cudaMemcpyHostToDevice));
}

static void pinned_back(void)
{
    CHECK(cudaMemcpy(pinned, dev, PINNED, cudaMemcpyDeviceToHost));
}

static void check_large(void)
{
    EXPECT(memcmp(a, b, LARGE) == 0);
}

static void make_pinned(void)
{
    if (!pinned)
        CHECK(cudaMallocHost((void **)&pinned, PINNED));
    memset(pinned, 3, PINNED);
}

static void drop_pinned(void)
{
    CHECK(cudaFreeHost(pinned));
    pinned = NULL;
}

static void make_large(void)
{
    fill(a, 1);
}

/* Nothing at all, until the line comes that ends the piece. */
static void idle(void)
{
}

static const struct {
    const char *name;
    void (*before)(void), (*run)(void), (*after)(void);
} pieces[] = {
    {"launch", NULL, launches, check_launches},
    {"launch_sync", NULL, launch_sync, check_launches},
    {"event_record", NULL, events, NULL},
    {"malloc_free", mallocs, mallocs, NULL},
    {"h2d_4B", NULL, small_to, NULL},
    {"d2h_4B", NULL, small_back, NULL},
    {"h2d_64M", make_large, large_to, NULL},
    {"d2h_64M", NULL, large_back, check_large},
    {"h2d_pinned_32M", make_pinned, pinned_to, NULL},
    {"d2h_pinned_32M", NULL, pinned_back, drop_pinned},
    {"idle", NULL, idle, NULL},
};

/* Whatever a first use costs is not what is counted. */
static void set_up(void)
{
    CHECK(cudaMalloc((void **)&value, sizeof(*value)));
    CHECK(cudaMemset(value, 0, sizeof(*value)));
    CHECK(cudaMalloc((void **)&dev, LARGE));
    CHECK(cudaEventCreate(&event));
    a = (unsigned char *)malloc(LARGE);
    b = (unsigned char *)malloc(LARGE);
    EXPECT(a && b);
    memset(b, 0, LARGE);
    memset(a, 0, LARGE);
    launch(600);
    CHECK(cudaDeviceSynchronize());
    large_to();
    large_back();
    small_back();
    events();
    CHECK(cudaDeviceSynchronize());
    check_launches();
}

static void run(size_t i)
{
    struct counts c0, c1;
    char line[160];
    int n;

    if (pieces[i].before)
        pieces[i].before();
    CHECK(cudaDeviceSynchronize());
    n = snprintf(line, sizeof(line), "ready %s %d\n", pieces[i].name, (int)getpid());
    EXPECT(write(1, line, (size_t)n) == n);
    wait_line();
    get_counts(&c0);
    pieces[i].run();
    get_counts(&c1);
    n = snprintf(line, sizeof(line), "done %s doorbells=%llu sleeps=%llu copied=%llu\n",
                 pieces[i].name, (unsigned long long)(c1.doorbells - c0.doorbells),
                 (unsigned long long)(c1.sleeps - c0.sleeps),
                 (unsigned long long)(c1.copied - c0.copied));
    EXPECT(write(1, line, (size_t)n) == n);
    wait_line();
    CHECK(cudaDeviceSynchronize());
    if (pieces[i].after)
        pieces[i].after();
}

/* What a waiting process takes from its neighbours: polls an event that comes late, again and again,
 * until a line is read. */
static void poll_forever(void)
{
    printf("ready poll %d\n", (int)getpid());
    fflush(stdout);
    for (;;) {
        launch(1);
        CHECK(cudaDeviceSynchronize());
    }
}

int main(int argc, char **argv)
{
    const size_t n = sizeof(pieces) / sizeof(pieces[0]);

    for (int k = 1; k < argc; k++) {
        size_t i = 0;

        while (i < n && strcmp(argv[k], pieces[i].name) != 0)
            i++;
        if (i == n && strcmp(argv[k], "poll") != 0) {
            fprintf(stderr, "counts: no piece of work '%s'; there are: poll", argv[k]);
            for (i = 0; i < n; i++)
                fprintf(stderr, " %s", pieces[i].name);
            fputs("\n", stderr);
            return 2;
        }
    }
    set_up();
    for (int k = 1; k < argc; k++) {
        if (strcmp(argv[k], "poll") == 0)
            poll_forever();
        for (size_t i = 0; i < n; i++) {
            if (strcmp(argv[k], pieces[i].name) == 0)
                run(i);
        }
    }
    puts("PASSED");
    return 0;
}
