/* SPDX-License-Identifier: MIT */
/*
 * residue.c - what a process can read of device memory that others have used. Driver API only, so
 * that it runs natively and, unchanged, in a guest.
 *
 *   residue write KIND [die]   leaves the pattern in memory of that kind and ends without giving
 *                              anything back; with die, by SIGKILL
 *   residue read KIND [ROUNDS] takes as much of it and counts what is not 0, and the pattern
 *   residue loop KIND SECONDS  writes again and again
 *   residue self               writes, frees and takes again within one process
 *   residue busy               how long allocating takes while kernels take all SMs
 *   residue hold kernel|copy   takes memory, says so, and computes or copies until it is killed
 *   residue cost               what clearing takes, and whether it gets on while all SMs are taken
 *
 * KIND: alloc (cuMemAlloc), small (512 octets each), vmm (cuMemCreate), pool (cuMemAllocAsync),
 * array (cuArrayCreate), local (stacks), shared, heap (malloc of kernels).
 * RESIDUE_MIB limits how much is taken, RESIDUE_IMAGE names the kernels' file.
 */
#include <cuda.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATTERN 0x5ec2e75eu
#define MIB     (1ull << 20)
#define BLOCK   (256 * MIB)
#define MANY    4096

static CUdevice dev;
static CUmodule mod;
static CUdeviceptr out; /* three counters */

#define CHECK(call)                                                                                \
    do {                                                                                           \
        CUresult rc_ = (call);                                                                     \
        if (rc_ != CUDA_SUCCESS) {                                                                 \
            fprintf(stderr, "%s: error %d\n", #call, (int)rc_);                                    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void run(const char *name, unsigned grid, unsigned block, void **params)
{
    CUfunction f;

    CHECK(cuModuleGetFunction(&f, mod, name));
    CHECK(cuLaunchKernel(f, grid, 1, 1, block, 1, 1, 0, NULL, params, NULL));
}

static void count(CUdeviceptr p, uint64_t bytes)
{
    uint64_t n = bytes / 4;
    unsigned pattern = PATTERN;
    void *params[] = {&p, &n, &pattern, &out};

    run("count_words", n > 65536 ? 1056 : 4, 256, params);
}

/* ---- memory that is taken in blocks -------------------------------------------------------- */

static uint64_t limit(void)
{
    const char *s = getenv("RESIDUE_MIB");
    size_t left, all;

    CHECK(cuMemGetInfo(&left, &all));
    left -= left / 50; /* for what the driver needs itself */
    return s && strtoull(s, NULL, 10) * MIB < left ? strtoull(s, NULL, 10) * MIB : left;
}

static CUresult take_vmm(CUdeviceptr *p, size_t bytes)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = dev}};
    CUmemAccessDesc access = {.location = prop.location,
                              .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle h;
    CUresult rc = cuMemCreate(&h, bytes, &prop, 0);

    if (rc != CUDA_SUCCESS)
        return rc;
    CHECK(cuMemAddressReserve(p, bytes, 0, 0, 0));
    CHECK(cuMemMap(*p, bytes, 0, h, 0));
    return cuMemSetAccess(*p, bytes, &access, 1);
}

static CUresult take(const char *kind, CUdeviceptr *p, size_t bytes)
{
    if (strcmp(kind, "vmm") == 0)
        return take_vmm(p, bytes);
    if (strcmp(kind, "pool") == 0)
        return cuMemAllocAsync(p, bytes, NULL);
    return cuMemAlloc(p, bytes);
}

static uint64_t blocks(const char *kind, bool write)
{
    bool small = strcmp(kind, "small") == 0;
    uint64_t most = limit(), done = 0, size = small ? 512 : BLOCK;
    CUdeviceptr p;

    while (size <= most - done && (!small || done < 8 * MIB)) {
        CUresult rc = take(kind, &p, size);

        if (rc == CUDA_ERROR_OUT_OF_MEMORY && size > 2 * MIB) {
            size /= 2;
            continue;
        }
        if (rc == CUDA_ERROR_OUT_OF_MEMORY)
            break;
        CHECK(rc);
        if (write)
            CHECK(cuMemsetD32Async(p, PATTERN, size / 4, NULL));
        else
            count(p, size);
        done += size;
    }
    return done;
}

static uint64_t arrays(bool write)
{
    const CUDA_ARRAY_DESCRIPTOR desc = {
        .Width = 8192, .Height = 8192, .Format = CU_AD_FORMAT_UNSIGNED_INT32, .NumChannels = 1};
    CUDA_MEMCPY2D c = {.WidthInBytes = 32768, .Height = 8192};
    uint64_t most = limit(), done = 0;
    CUdeviceptr flat;
    CUarray a;

    CHECK(cuMemAlloc(&flat, BLOCK));
    CHECK(cuMemsetD32(flat, write ? PATTERN : 0, BLOCK / 4));
    if (most > 16 * BLOCK)
        most -= BLOCK;
    for (; done + BLOCK <= most; done += BLOCK) {
        if (cuArrayCreate(&a, &desc) != CUDA_SUCCESS)
            break;
        c.srcMemoryType = write ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_ARRAY;
        c.dstMemoryType = write ? CU_MEMORYTYPE_ARRAY : CU_MEMORYTYPE_DEVICE;
        c.srcDevice = c.dstDevice = flat;
        c.srcArray = c.dstArray = a;
        c.srcPitch = c.dstPitch = 32768;
        CHECK(cuMemcpy2D(&c));
        if (!write)
            count(flat, BLOCK);
    }
    return done;
}

/* ---- memory that a kernel has without having asked --------------------------------------- */

static uint64_t in_kernels(const char *kind, bool write)
{
    unsigned pattern = PATTERN;
    void *params[] = {&pattern, &out};
    int sms = 0;
    char name[32];

    CHECK(cuDeviceGetAttribute(&sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, dev));
    snprintf(name, sizeof(name), "%s_%s", kind, write ? "write" : "read");
    if (strcmp(kind, "heap") == 0) {
        uint64_t counts[3];

        CHECK(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 64 * MIB));
        run(name, 48, 256, params);
        CHECK(cuMemcpyDtoH(counts, out, sizeof(counts)));
        return counts[2] * 4096;
    }
    run(name, (unsigned)sms * 8, 256, params);
    CHECK(cuCtxSynchronize());
    return strcmp(kind, "local") == 0 ? (uint64_t)sms * 8 * 256 * 16384 : (uint64_t)sms * 8 * 49152;
}

/* ---- what clearing costs ------------------------------------------------------------------- */

enum how { BY_MEMSET8, BY_MEMSET32, BY_COPY, BY_HOST, BY_WAYS };
static const char *const how_name[] = {"cuMemsetD8Async", "cuMemsetD32Async", "cuMemcpyDtoDAsync",
                                       "cuMemcpyHtoDAsync"};

static void clear(enum how how, CUdeviceptr p, size_t n, CUdeviceptr zero, void *host, CUstream s)
{
    switch (how) {
    case BY_MEMSET8:
        CHECK(cuMemsetD8Async(p, 0, n, s));
        break;
    case BY_MEMSET32:
        CHECK(cuMemsetD32Async(p, 0, n / 4, s));
        break;
    case BY_COPY:
        CHECK(cuMemcpyDtoDAsync(p, zero, n, s));
        break;
    default:
        CHECK(cuMemcpyHtoDAsync(p, host, n, s));
    }
}

static void cost(void)
{
    static const size_t sizes[] = {512, 2 * MIB, 64 * MIB};
    unsigned *stop;
    CUdeviceptr p, zero;
    CUstream s, work;
    int sms = 0;
    void *host;

    CHECK(cuDeviceGetAttribute(&sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, dev));
    CHECK(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, -5));
    CHECK(cuStreamCreate(&work, CU_STREAM_NON_BLOCKING));
    CHECK(cuMemAlloc(&p, 1024 * MIB));
    CHECK(cuMemAlloc(&zero, 64 * MIB));
    CHECK(cuMemAllocHost(&host, 64 * MIB));
    CHECK(cuMemHostAlloc((void **)&stop, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
    memset(host, 0, 64 * MIB);
    CHECK(cuMemsetD8(zero, 0, 64 * MIB));
    for (int how = 0; how < BY_WAYS; how++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            uint64_t best = UINT64_MAX;

            for (int k = 0; k < 20; k++) {
                uint64_t t = now_us();

                clear((enum how)how, p, sizes[i], zero, host, s);
                CHECK(cuStreamSynchronize(s));
                t = now_us() - t;
                best = t < best ? t : best;
            }
            printf("clearing %9zu octets by %-18s and waiting: %6llu us\n", sizes[i], how_name[how],
                   (unsigned long long)best);
        }
    for (int k = 0; k < 2; k++) {
        uint64_t t = now_us();

        CHECK(cuMemsetD8Async(p, 0, 1024 * MIB, s));
        CHECK(cuStreamSynchronize(s));
        printf("clearing 1 GiB: %llu us\n", (unsigned long long)(now_us() - t));
    }
    for (int how = 0; how < BY_WAYS; how++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            void *params[] = {&stop};
            CUfunction f;
            uint64_t t;
            CUresult rc;

            *(volatile unsigned *)stop = 0;
            CHECK(cuModuleGetFunction(&f, mod, "occupy"));
            CHECK(cuLaunchKernel(f, (unsigned)sms * 64, 1, 1, 1024, 1, 1, 0, work, params, NULL));
            for (t = now_us(); now_us() - t < 5000;)
                cuStreamQuery(work);
            t = now_us();
            clear((enum how)how, p, sizes[i], zero, host, s);
            while ((rc = cuStreamQuery(s)) == CUDA_ERROR_NOT_READY && now_us() - t < 200000)
                ;
            printf("all SMs taken, %9zu octets by %-18s: %s\n", sizes[i], how_name[how],
                   rc == CUDA_SUCCESS ? "gets on" : "waits");
            fflush(stdout);
            *(volatile unsigned *)stop = 1;
            CHECK(cuCtxSynchronize());
        }
}

/* ---- allocating while all SMs are taken ---------------------------------------------------- */

static void *stop_later(void *stop)
{
    usleep(1000000);
    *(volatile unsigned *)stop = 1;
    return NULL;
}

static void busy(void)
{
    static const size_t sizes[] = {MIB, 2 * MIB, 64 * MIB, 1024 * MIB};
    CUstream work;
    unsigned *stop;
    int sms = 0;

    CHECK(cuDeviceGetAttribute(&sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, dev));
    CHECK(cuStreamCreate(&work, CU_STREAM_NON_BLOCKING));
    CHECK(cuMemHostAlloc((void **)&stop, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *params[] = {&stop};
        pthread_t t;
        CUfunction f;
        CUdeviceptr p;
        uint64_t from;

        *(volatile unsigned *)stop = 0;
        CHECK(cuModuleGetFunction(&f, mod, "occupy"));
        CHECK(cuLaunchKernel(f, (unsigned)sms * 64, 1, 1, 1024, 1, 1, 0, work, params, NULL));
        pthread_create(&t, NULL, stop_later, stop);
        usleep(5000);
        from = now_us();
        CHECK(cuMemAlloc(&p, sizes[i]));
        printf("all SMs taken: cuMemAlloc of %zu KiB takes %llu us%s\n", sizes[i] / 1024,
               (unsigned long long)(now_us() - from),
               *(volatile unsigned *)stop ? ", until they are free" : "");
        fflush(stdout);
        pthread_join(t, NULL);
        CHECK(cuCtxSynchronize());
    }
}

/* ---- what teardown.py kills ------------------------------------------------------------------ */

static void hold(const char *what)
{
    uint64_t most = limit(), done = 0;
    size_t n = 64 * MIB;
    CUdeviceptr p = 0;
    unsigned *stop;
    int sms = 0;
    void *host;

    for (; most - done >= BLOCK; done += BLOCK)
        CHECK(cuMemAlloc(&p, BLOCK));
    CHECK(cuDeviceGetAttribute(&sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, dev));
    CHECK(cuMemHostAlloc((void **)&stop, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
    CHECK(cuMemAllocHost(&host, n));
    *(volatile unsigned *)stop = 0;
    memset(host, 1, n);
    if (strcmp(what, "kernel") == 0) {
        void *params[] = {&stop};
        CUfunction f;

        CHECK(cuModuleGetFunction(&f, mod, "occupy"));
        CHECK(cuLaunchKernel(f, (unsigned)sms, 1, 1, 1024, 1, 1, 0, NULL, params, NULL));
    } else {
        CHECK(cuMemcpyHtoD(p, host, n));
    }
    printf("holds %llu MiB\n", (unsigned long long)(done / MIB));
    fflush(stdout);
    if (strcmp(what, "kernel") == 0)
        CHECK(cuCtxSynchronize());
    for (;;) {
        CHECK(cuMemcpyHtoDAsync(p, host, n, NULL));
        CHECK(cuMemcpyDtoHAsync(host, p, n, NULL));
        CHECK(cuCtxSynchronize());
    }
}

/* ---- */

static void show(const char *kind, bool write, uint64_t bytes)
{
    uint64_t counts[3];

    CHECK(cuMemcpyDtoH(counts, out, sizeof(counts)));
    if (write)
        printf("%-6s %9llu KiB filled with the pattern\n", kind,
               (unsigned long long)(bytes / 1024));
    else
        printf("%-6s %9llu KiB read: %llu words not 0, %llu words of the pattern\n", kind,
               (unsigned long long)(bytes / 1024), (unsigned long long)counts[0],
               (unsigned long long)counts[1]);
    fflush(stdout);
}

static uint64_t go(const char *kind, bool write)
{
    uint64_t n;

    if (strcmp(kind, "array") == 0)
        n = arrays(write);
    else if (strcmp(kind, "local") == 0 || strcmp(kind, "shared") == 0 || strcmp(kind, "heap") == 0)
        n = in_kernels(kind, write);
    else
        n = blocks(kind, write);
    CHECK(cuCtxSynchronize());
    return n;
}

static void self(void)
{
    static const size_t sizes[] = {512, MIB, 8 * MIB, 64 * MIB};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        static CUdeviceptr p[MANY];
        size_t n = sizes[i] < 64 * MIB ? 16 : 4;

        for (int round = 0; round < 2; round++) {
            for (size_t k = 0; k < n; k++) {
                CHECK(cuMemAlloc(&p[k], sizes[i]));
                if (round == 0)
                    CHECK(cuMemsetD32(p[k], PATTERN, sizes[i] / 4));
                else
                    count(p[k], sizes[i]);
            }
            CHECK(cuCtxSynchronize());
            for (size_t k = 0; k < n; k++)
                CHECK(cuMemFree(p[k]));
        }
        printf("own memory, %zu octets each: ", sizes[i]);
        show("alloc", false, n * sizes[i]);
        CHECK(cuMemsetD8(out, 0, 24));
    }
}

int main(int argc, char **argv)
{
    const char *image = getenv("RESIDUE_IMAGE");
    CUcontext ctx;
    bool write = argc > 2 && strcmp(argv[1], "read") != 0;
    int number = argc > 3 ? atoi(argv[3]) : 0;

    if (argc < 2 || (argc < 3 && strcmp(argv[1], "self") != 0 && strcmp(argv[1], "busy") != 0 &&
                     strcmp(argv[1], "cost") != 0)) {
        fprintf(stderr,
                "usage: residue write KIND [die] | read KIND [ROUNDS] | loop KIND SECONDS | "
                "hold kernel|copy | self | busy | cost\n");
        return 2;
    }
    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&dev, 0));
    CHECK(cuDevicePrimaryCtxRetain(&ctx, dev));
    CHECK(cuCtxSetCurrent(ctx));
    CHECK(cuModuleLoad(&mod, image ? image : "build/security/residue.fatbin"));
    CHECK(cuMemAlloc(&out, 24));
    CHECK(cuMemsetD8(out, 0, 24));
    if (strcmp(argv[1], "cost") == 0) {
        cost();
    } else if (strcmp(argv[1], "busy") == 0) {
        busy();
    } else if (strcmp(argv[1], "self") == 0) {
        self();
    } else if (strcmp(argv[1], "hold") == 0) {
        hold(argv[2]);
    } else if (strcmp(argv[1], "loop") == 0) {
        for (uint64_t end = now_us() + (uint64_t)number * 1000000u; now_us() < end;)
            go(argv[2], true);
    } else {
        uint64_t n = go(argv[2], write);

        for (int i = 1; i < number; i++)
            n += go(argv[2], write);
        show(argv[2], write, n);
    }
    if (argc > 3 && strcmp(argv[3], "die") == 0)
        raise(SIGKILL);
    fflush(stdout);
    _exit(0); /* what was taken goes with the process */
}
