/* SPDX-License-Identifier: MIT */
/*
 * vgpu_load.c - a CUDA program that knows whether its results are right, and says so.
 *
 *   vgpu_load once [KIB]     all of a program's life: copies, launches, pinned memory, exit
 *   vgpu_load loop MS        one context for ever; "n N" after each round, MS ms between rounds
 *   vgpu_load storm SEED     rounds of random size until it is killed
 *   vgpu_load greed [1]      takes memory and events (1: and streams and modules) until it is refused,
 *                            says how much that was, gives all back and does a round
 *
 * Exit status: 0 right; 3 a CUDA call failed ("cuda CALL: ERROR"); 4 a result was wrong ("WRONG");
 * 5 greed met no limit ("BAD").
 */
#include <cuda.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char ptx[] = ".version 7.0\n"
                          ".target sm_70\n"
                          ".address_size 64\n"
                          ".visible .entry scale(.param .u64 p, .param .u32 n, .param .u32 k)\n"
                          "{\n"
                          " .reg .pred %p1; .reg .b32 %r<9>; .reg .b64 %rd<4>;\n"
                          " ld.param.u64 %rd1, [p]; ld.param.u32 %r1, [n]; ld.param.u32 %r2, [k];\n"
                          " mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x; mov.u32 %r5, %tid.x;\n"
                          " mad.lo.s32 %r6, %r3, %r4, %r5;\n"
                          " setp.ge.u32 %p1, %r6, %r1; @%p1 bra done;\n"
                          " cvta.to.global.u64 %rd1, %rd1;\n"
                          " mul.wide.u32 %rd2, %r6, 4; add.s64 %rd3, %rd1, %rd2;\n"
                          " ld.global.u32 %r7, [%rd3]; mad.lo.s32 %r8, %r7, %r2, %r6;\n"
                          " st.global.u32 [%rd3], %r8;\n"
                          "done: ret;\n"
                          "}\n";

static CUdevice dev;
static CUcontext ctx;
static CUmodule mod;
static CUfunction fn;

static void check(CUresult r, const char *call)
{
    const char *name = "unknown";

    if (r == CUDA_SUCCESS)
        return;
    cuGetErrorName(r, &name);
    printf("cuda %s: %d %s\n", call, (int)r, name);
    fflush(stdout);
    _exit(3);
}
#define CALL(c) check(c, #c)

static void wrong(uint32_t i, uint32_t got, uint32_t want)
{
    printf("WRONG at %u: %u instead of %u\n", i, got, want);
    fflush(stdout);
    _exit(4);
}

static void begin(void)
{
    CALL(cuInit(0));
    CALL(cuDeviceGet(&dev, 0));
    CALL(cuDevicePrimaryCtxRetain(&ctx, dev));
    CALL(cuCtxSetCurrent(ctx));
    CALL(cuModuleLoadData(&mod, ptx));
    CALL(cuModuleGetFunction(&fn, mod, "scale"));
}

/* One round with n numbers; `pinned` is memory of cuMemAllocHost or of malloc. */
static void round_trip(uint32_t *host, uint32_t n, uint32_t seed)
{
    uint32_t k = seed | 1;
    CUdeviceptr d;
    void *args[] = {&d, &n, &k};

    for (uint32_t i = 0; i < n; i++)
        host[i] = i * 7 + seed;
    CALL(cuMemAlloc(&d, n * 4ul));
    CALL(cuMemcpyHtoDAsync(d, host, n * 4ul, NULL));
    CALL(cuLaunchKernel(fn, (n + 127) / 128, 1, 1, 128, 1, 1, 0, NULL, args, NULL));
    CALL(cuMemcpyDtoHAsync(host, d, n * 4ul, NULL));
    CALL(cuStreamSynchronize(NULL));
    for (uint32_t i = 0; i < n; i++) {
        if (host[i] != (i * 7 + seed) * k + i)
            wrong(i, host[i], (i * 7 + seed) * k + i);
    }
    CALL(cuMemFree(d));
}

static void once(uint32_t kib)
{
    uint32_t n = kib * 256;
    void *pinned;

    begin();
    CALL(cuMemAllocHost(&pinned, n * 4ul));
    round_trip(pinned, n, 11);
    CALL(cuMemFreeHost(pinned));
    CALL(cuModuleUnload(mod));
    CALL(cuDevicePrimaryCtxRelease(dev));
}

/* ---- greed */

#define MOST 200000u /* of a kind: nobody needs so many, so there is a limit below */

static const char *kind;

/* Counts until it is refused; a refusal is an error that says so, or the limit is none. */
static void refused(unsigned n, CUresult r)
{
    const char *name = "unknown";

    cuGetErrorName(r, &name);
    printf("%s: %u, then %s\n", kind, n, name);
    fflush(stdout);
    if (r != CUDA_ERROR_OUT_OF_MEMORY && r != CUDA_ERROR_INVALID_VALUE) {
        printf("BAD no refusal\n");
        exit(5);
    }
}

static void greed(bool all)
{
    static CUdeviceptr blocks[MOST];
    static CUevent events[MOST];
    static CUstream streams[MOST];
    static CUmodule modules[MOST];
    uint32_t *host = malloc(4096 * 4), n;
    CUresult r = CUDA_SUCCESS;
    size_t size = 256u << 20;

    begin();
    kind = "blocks of memory";
    for (n = 0; n < MOST; n += r == CUDA_SUCCESS) {
        r = cuMemAlloc(&blocks[n], size);
        if (r != CUDA_SUCCESS && size == 1u << 20)
            break;
        if (r != CUDA_SUCCESS)
            size /= 2;
    }
    refused(n, r);
    while (n)
        CALL(cuMemFree(blocks[--n]));
    kind = "events";
    for (n = 0; n < MOST && (r = cuEventCreate(&events[n], CU_EVENT_DEFAULT)) == CUDA_SUCCESS; n++)
        ;
    refused(n, r);
    while (n)
        CALL(cuEventDestroy(events[--n]));
    if (!all)
        goto last;
    kind = "streams";
    for (n = 0; n < MOST && (r = cuStreamCreate(&streams[n], CU_STREAM_NON_BLOCKING)) == 0; n++)
        ;
    refused(n, r);
    while (n)
        CALL(cuStreamDestroy(streams[--n]));
    kind = "modules";
    for (n = 0; n < MOST && (r = cuModuleLoadData(&modules[n], ptx)) == CUDA_SUCCESS; n++)
        ;
    refused(n, r);
    while (n)
        CALL(cuModuleUnload(modules[--n]));
last:
    round_trip(host, 4096, 3);
    printf("right\n");
}

int main(int argc, char **argv)
{
    uint32_t arg = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 0;

    if (argc > 1 && strcmp(argv[1], "once") == 0) {
        once(arg ? arg : 64);
        printf("right\n");
        return 0;
    }
    if (argc > 2 && strcmp(argv[1], "loop") == 0) {
        uint32_t *host = malloc(4096 * 4);

        begin();
        for (uint32_t i = 1;; i++) {
            round_trip(host, 4096, i);
            printf("n %u\n", i);
            fflush(stdout);
            usleep(arg * 1000);
        }
    }
    if (argc > 1 && strcmp(argv[1], "greed") == 0) {
        greed(arg);
        return 0;
    }
    if (argc > 2 && strcmp(argv[1], "storm") == 0) {
        uint32_t *host = malloc(65536 * 4);

        srand(arg);
        begin();
        for (;;)
            round_trip(host, 1 + (uint32_t)rand() % 65536, (uint32_t)rand());
    }
    fprintf(stderr, "usage: vgpu_load once [KIB] | loop MS | storm SEED | greed\n");
    return 2;
}
