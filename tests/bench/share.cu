/* SPDX-License-Identifier: MIT */
/*
 * share.cu - one process of a guest that wants the GPU, for tests/bench/share.py. Told by lines of
 * standard input; one line of answer for each:
 *   calibrate US             iterations of a kernel that takes about US microseconds alone
 *   load ITERATIONS SECONDS  kernels queued one behind the other: how many were complete by then
 *   calls ITERATIONS SECONDS [GAP_US]  a kernel and a wait, again and again: how many, and the
 *                            median, 99th percentile and longest time of one in microseconds
 *   mixed ITERATIONS SECONDS kernels with copies of 4 MiB to the device and back in between
 *   narrow ITERATIONS SECONDS  as load, with kernels that leave most of the GPU unused
 *   take MIB                 cudaMalloc, again and again until one fails: how many, and the error
 *   endless                  a kernel without end; the error of a wait for it
 * SECONDS run from the line's arrival.
 */
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#define COPY ((size_t)4 << 20)

/* Work, not time: what is taken away from it is missing. */
__global__ void work(unsigned iterations, float *out)
{
    float v = (float)threadIdx.x, w = 1.0f;

    for (unsigned i = 0; i < iterations; i++) {
        v = v * 0.999f + w;
        w = w * 0.998f + 0.001f;
    }
    if (v == 12345.678f)
        *out = v;
}

__global__ void endless(volatile unsigned *p)
{
    while (*p != 1)
        ;
}

static unsigned blocks = 1, threads = 256;
static float *out;

static double now()
{
    timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static bool narrow;

static void launch(unsigned iterations)
{
    work<<<narrow ? (blocks + 63) / 64 : blocks, threads>>>(iterations, out);
}

static void calibrate(double us)
{
    unsigned n = 64;
    double took = 0;

    launch(1);
    cudaDeviceSynchronize();
    while (n < 1u << 30) {
        double best = 1e9;

        for (int i = 0; i < 3; i++) {
            double start = now();

            launch(n);
            launch(n);
            cudaDeviceSynchronize();
            best = std::min(best, (now() - start) / 2);
        }
        took = best * 1e6;
        if (took > 2000)
            break;
        n *= 2;
    }
    printf("%u\n", std::max(1u, (unsigned)(n * us / took)));
}

/* At most so much is under way that little is cut off at the end. */
static unsigned long load(unsigned iterations, double end, bool mixed)
{
    enum { DEPTH = 8 };
    static cudaEvent_t e[DEPTH];
    static void *host, *dev;
    unsigned long n = 0, done = 0;

    if (!host && (cudaMallocHost(&host, COPY) || cudaMalloc(&dev, COPY)))
        return 0;
    for (int i = 0; i < DEPTH && !e[i]; i++)
        cudaEventCreateWithFlags(&e[i], cudaEventDisableTiming);
    while (now() < end) {
        if (n >= DEPTH) {
            if (cudaEventSynchronize(e[n % DEPTH]))
                return 0;
            done++;
        }
        if (mixed)
            cudaMemcpyAsync(dev, host, COPY, cudaMemcpyHostToDevice, 0);
        launch(iterations);
        if (mixed)
            cudaMemcpyAsync(host, dev, COPY, cudaMemcpyDeviceToHost, 0);
        cudaEventRecord(e[n++ % DEPTH], 0);
    }
    cudaDeviceSynchronize();
    return done;
}

static void calls(unsigned iterations, double end, double gap)
{
    std::vector<double> took;

    while (now() < end) {
        double start = now(), next = start + gap * 1e-6;

        launch(iterations);
        if (cudaDeviceSynchronize())
            break;
        took.push_back(now() - start);
        while (now() < next)
            ;
    }
    std::sort(took.begin(), took.end());
    if (took.empty())
        took.push_back(0);
    printf("%zu %.1f %.1f %.1f\n", took.size(), took[took.size() / 2] * 1e6,
           took[took.size() * 99 / 100] * 1e6, took.back() * 1e6);
}

int main()
{
    cudaDeviceProp prop;
    char line[128], what[32];

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (cudaGetDeviceProperties(&prop, 0) || cudaMalloc(&out, sizeof(*out))) {
        printf("no device\n");
        return 1;
    }
    /* On a GPU all of it; a software device's blocks are as many as its processors. */
    blocks = prop.multiProcessorCount * (prop.multiProcessorCount > 32 ? 8 : 1);
    threads = prop.multiProcessorCount > 32 ? 256 : 32;
    launch(1);
    cudaDeviceSynchronize();
    printf("ready\n");
    while (fgets(line, sizeof(line), stdin)) {
        double a = 0, b = 0, c = 0, start = now();

        if (sscanf(line, "%31s %lf %lf %lf", what, &a, &b, &c) < 1)
            continue;
        narrow = !strcmp(what, "narrow");
        if (!strcmp(what, "calibrate")) {
            calibrate(a);
        } else if (!strcmp(what, "load") || narrow || !strcmp(what, "mixed")) {
            printf("%lu\n", load((unsigned)a, start + b, what[0] == 'm'));
        } else if (!strcmp(what, "calls")) {
            calls((unsigned)a, start + b, c);
        } else if (!strcmp(what, "take")) {
            int n = 0, err;
            void *p;

            while (!(err = (int)cudaMalloc(&p, (size_t)a << 20)))
                n++;
            printf("%d %d\n", n, err);
        } else if (!strcmp(what, "endless")) {
            endless<<<1, 1>>>((unsigned *)out);
            printf("%d\n", (int)cudaDeviceSynchronize());
        } else {
            printf("?\n");
        }
    }
    return 0;
}
