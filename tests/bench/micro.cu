/* SPDX-License-Identifier: MIT */
/*
 * micro.cu - what single CUDA calls cost. `micro [SCALE [copies]]` prints `row NAME MICROSECONDS`;
 * SCALE (default 1) divides the number of repetitions and the large sizes, for slow devices; copies:
 * those of whole buffers alone.
 *
 * Posted calls have two figures: NAME.burst is the time in which a burst is issued, NAME.total the
 * time until it has been executed. Results are checked where they can be; a wrong one ends the
 * program with status 1.
 */
#include "bench.h"

#define MIB (1u << 20)

static int scale = 1;

__global__ void empty(void)
{
}

__global__ void count(unsigned *n, unsigned by, float unused)
{
    if (threadIdx.x == 0 && blockIdx.x == 0)
        *n += by;
}

static int reps(int n)
{
    return n / scale > 4 ? n / scale : 4;
}

static void start_up(void)
{
    double t = now_us();

    CHECK(cudaFree(0));
    row("first_call", now_us() - t);
    t = now_us();
    empty<<<1, 1>>>();
    CHECK(cudaGetLastError());
    row("first_launch", now_us() - t);
    CHECK(cudaDeviceSynchronize());
}

static void launches(void)
{
    const int bursts = reps(100), burst = 200, row_len = reps(20000);
    double *v = (double *)malloc(sizeof(*v) * (size_t)(reps(2000) + bursts)), t;
    unsigned *n, got, want = 0;

    CHECK(cudaMalloc(&n, sizeof(*n)));
    CHECK(cudaMemset(n, 0, sizeof(*n)));
    count<<<1, 32>>>(n, 0, 0.5f);
    CHECK(cudaDeviceSynchronize());

    for (int i = 0; i < reps(2000); i++, want++) {
        t = now_us();
        count<<<1, 32>>>(n, 1, 0.5f);
        CHECK(cudaDeviceSynchronize());
        v[i] = now_us() - t;
    }
    row("launch_sync", median(v, reps(2000)));

    for (int b = 0; b < bursts; b++) {
        t = now_us();
        for (int i = 0; i < burst; i++)
            count<<<1, 32>>>(n, 1, 0.5f);
        v[b] = (now_us() - t) / burst;
        want += burst;
        CHECK(cudaDeviceSynchronize());
    }
    row("launch.burst", median(v, bursts));

    t = now_us();
    for (int i = 0; i < row_len; i++)
        count<<<1, 32>>>(n, 1, 0.5f);
    CHECK(cudaDeviceSynchronize());
    row("launch.total", (now_us() - t) / row_len);
    want += (unsigned)row_len;
    CHECK(cudaMemcpy(&got, n, sizeof(got), cudaMemcpyDeviceToHost));
    EXPECT(got == want);
    CHECK(cudaFree(n));
    free(v);
}

static void allocation(void)
{
    double v[200], t;
    int n = reps(200);

    for (int i = 0; i < n; i++) {
        void *p;

        t = now_us();
        CHECK(cudaMalloc(&p, MIB));
        CHECK(cudaFree(p));
        v[i] = now_us() - t;
    }
    row("malloc_free_1M", median(v, n));
}

static void small_copies(void)
{
    int n = reps(2000);
    double *v = (double *)malloc(sizeof(*v) * (size_t)n), t, start;
    unsigned *d, x = 0, y;

    CHECK(cudaMalloc(&d, 64));
    CHECK(cudaMemset(d, 0, 64));
    CHECK(cudaDeviceSynchronize());
    start = now_us();
    for (int i = 0; i < n; i++) {
        x = (unsigned)i * 7;
        t = now_us();
        CHECK(cudaMemcpy(d, &x, 4, cudaMemcpyHostToDevice));
        v[i] = now_us() - t;
    }
    CHECK(cudaDeviceSynchronize());
    row("h2d_4B.total", (now_us() - start) / n);
    row("h2d_4B.burst", median(v, n));
    for (int i = 0; i < n; i++) {
        t = now_us();
        CHECK(cudaMemcpy(&y, d, 4, cudaMemcpyDeviceToHost));
        v[i] = now_us() - t;
        EXPECT(x == y);
    }
    row("d2h_4B", median(v, n));
    /* What a program does with both: a value in, a value out. */
    for (int i = 0; i < n; i++) {
        x = (unsigned)i * 11;
        t = now_us();
        CHECK(cudaMemcpy(d, &x, 4, cudaMemcpyHostToDevice));
        CHECK(cudaMemcpy(&y, d, 4, cudaMemcpyDeviceToHost));
        v[i] = now_us() - t;
        EXPECT(x == y);
    }
    row("h2d_d2h_4B", median(v, n));
    CHECK(cudaFree(d));
    free(v);
}

/* op: what is issued; the burst is waited for outside the time. */
#define POSTED(name, burst, op)                                                                    \
    do {                                                                                           \
        int posted_n = reps(50);                                                                   \
        double posted_v[50], posted_t, posted_s = 0;                                               \
        for (int posted_i = 0; posted_i < posted_n; posted_i++) {                                  \
            CHECK(cudaDeviceSynchronize());                                                        \
            posted_t = now_us();                                                                   \
            for (int posted_k = 0; posted_k < (burst); posted_k++)                                 \
                op;                                                                                \
            posted_v[posted_i] = (now_us() - posted_t) / (burst);                                  \
            CHECK(cudaDeviceSynchronize());                                                        \
            posted_s += now_us() - posted_t;                                                       \
        }                                                                                          \
        row(name ".burst", median(posted_v, posted_n));                                            \
        row(name ".total", posted_s / posted_n / (burst));                                         \
    } while (0)

static void make_stream(void)
{
    cudaStream_t s;

    CHECK(cudaStreamCreate(&s));
    CHECK(cudaStreamDestroy(s));
}

static void posted(void)
{
    cudaEvent_t e;
    unsigned char *d, h[4096];
    double v[50], t;
    int dev, n = reps(50);

    CHECK(cudaEventCreate(&e));
    CHECK(cudaMalloc(&d, sizeof(h)));
    POSTED("event_record", 200, CHECK(cudaEventRecord(e, 0)));
    for (int i = 0; i < n; i++) {
        t = now_us();
        for (int k = 0; k < 1000; k++)
            CHECK(cudaEventQuery(e));
        v[i] = (now_us() - t) / 1000;
    }
    row("event_query", median(v, n));
    POSTED("stream_create_destroy", 50, make_stream());
    POSTED("memset_4K", 200, CHECK(cudaMemsetAsync(d, 0x5a, sizeof(h), 0)));
    CHECK(cudaMemcpy(h, d, sizeof(h), cudaMemcpyDeviceToHost));
    for (unsigned i = 0; i < sizeof(h); i++)
        EXPECT(h[i] == 0x5a);
    for (int i = 0; i < n; i++) {
        t = now_us();
        for (int k = 0; k < 1000; k++)
            CHECK(cudaGetDevice(&dev));
        v[i] = (now_us() - t) / 1000;
    }
    row("get_device", median(v, n));
    CHECK(cudaEventDestroy(e));
    CHECK(cudaFree(d));
}

static void fill(uint32_t *p, size_t bytes, uint32_t seed)
{
    for (size_t i = 0; i < bytes / 4; i++)
        p[i] = (uint32_t)i * 2654435761u + seed;
}

/* The copy as a whole, and whether what came back is what went. */
static void copies(const char *what, size_t bytes, int n, bool pinned)
{
    uint32_t *a, *b, *d;
    double v[256], t;
    char name[64];

    if (pinned) {
        CHECK(cudaMallocHost((void **)&a, bytes));
        CHECK(cudaMallocHost((void **)&b, bytes));
    } else {
        a = (uint32_t *)malloc(bytes);
        b = (uint32_t *)malloc(bytes);
    }
    memset(b, 0, bytes);
    CHECK(cudaMalloc(&d, bytes));
    for (int i = 0; i < n + 2; i++) {
        if (bytes <= MIB || i == 0 || i == n + 1)
            fill(a, bytes, (uint32_t)i);
        t = now_us();
        CHECK(cudaMemcpy(d, a, bytes, cudaMemcpyHostToDevice));
        if (i >= 2)
            v[i - 2] = now_us() - t;
        CHECK(cudaDeviceSynchronize());
    }
    snprintf(name, sizeof(name), "h2d_%s", what);
    row(name, median(v, n));
    for (int i = 0; i < n + 2; i++) {
        t = now_us();
        CHECK(cudaMemcpy(b, d, bytes, cudaMemcpyDeviceToHost));
        if (i >= 2)
            v[i - 2] = now_us() - t;
    }
    snprintf(name, sizeof(name), "d2h_%s", what);
    row(name, median(v, n));
    EXPECT(memcmp(a, b, bytes) == 0);
    CHECK(cudaFree(d));
    if (pinned) {
        CHECK(cudaFreeHost(a));
        CHECK(cudaFreeHost(b));
    } else {
        free(a);
        free(b);
    }
}

static void graph(void)
{
    cudaStream_t s;
    cudaGraph_t g;
    cudaGraphExec_t x;
    double v[200], t;
    int n = reps(200);
    unsigned *d, got;

    CHECK(cudaMalloc(&d, sizeof(*d)));
    CHECK(cudaMemset(d, 0, sizeof(*d)));
    CHECK(cudaStreamCreate(&s));
    if (cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal) != cudaSuccess) {
        cudaGetLastError();
        printf("none graph_100 no stream capture\n");
        return;
    }
    for (int i = 0; i < 100; i++)
        count<<<1, 32, 0, s>>>(d, 1, 0.5f);
    CHECK(cudaStreamEndCapture(s, &g));
    CHECK(cudaGraphInstantiate(&x, g, 0));
    for (int i = 0; i < n; i++) {
        t = now_us();
        CHECK(cudaGraphLaunch(x, s));
        CHECK(cudaStreamSynchronize(s));
        v[i] = now_us() - t;
    }
    row("graph_100", median(v, n));
    CHECK(cudaMemcpy(&got, d, sizeof(got), cudaMemcpyDeviceToHost));
    EXPECT(got == 100u * (unsigned)n);
    CHECK(cudaGraphExecDestroy(x));
    CHECK(cudaGraphDestroy(g));
    CHECK(cudaStreamDestroy(s));
    CHECK(cudaFree(d));
}

int main(int argc, char **argv)
{
    double begin = now_us();
    bool only_copies;
    size_t large;

    if (argc > 1)
        scale = atoi(argv[1]) > 0 ? atoi(argv[1]) : 1;
    large = (size_t)256 * MIB / (size_t)scale;
    large = large < 4 * MIB ? 4 * MIB : large;
    only_copies = argc > 2 && strcmp(argv[2], "copies") == 0;
    start_up();
    if (!only_copies) {
        launches();
        allocation();
        small_copies();
        posted();
    }
    copies("pageable_4K", 4096, reps(200), false);
    copies("pageable_64K", 64 * 1024, reps(200), false);
    copies("pageable_1M", MIB, reps(100), false);
    copies("pageable_16M", 16 * MIB, reps(20), false);
    copies("pageable_256M", large, reps(7), false);
    copies("pinned_256M", large, reps(7), true);
    if (!only_copies)
        graph();
    row("whole_micro", now_us() - begin);
    return 0;
}
