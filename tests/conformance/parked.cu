// SPDX-License-Identifier: MIT
// A program whose worker is parked while it says "ready" and waits for a line, or in the middle of
// something: everything | loop N MS | long MS | callback MS | ipc MS | hold MIB. Ends with PASS.
// fill BLOCK MIB: takes blocks of memory until there is no more, at most so much, and says how much.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cuda.h>
#include <cuda_runtime.h>

static void fail(const char *what, int line, int v)
{
    printf("FAIL %s, line %d: %d\n", what, line, v);
    fflush(stdout);
    _exit(1);
}
#define CK(x)                                                                                      \
    do {                                                                                           \
        int e_ = (int)(x);                                                                         \
        if (e_)                                                                                    \
            fail(#x, __LINE__, e_);                                                                \
    } while (0)
#define EXPECT(x)                                                                                  \
    do {                                                                                           \
        if (!(x))                                                                                  \
            fail(#x, __LINE__, 0);                                                                 \
    } while (0)

static void say(const char *s, int i)
{
    printf("%s %d\n", s, i);
    fflush(stdout);
}

__device__ int counter = 5;
__constant__ int factor = 3;
__device__ int *kept; // by the device's own malloc()

__global__ void step(unsigned *p, unsigned n, unsigned k)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        p[i] = p[i] * 3u + k;
}
__global__ void spin(unsigned long long ns, unsigned *out)
{
    unsigned long long a, b;

    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(a));
    do {
        asm volatile("mov.u64 %0, %globaltimer;" : "=l"(b));
    } while (b - a < ns);
    *out = 77;
}
__global__ void bump(int by)
{
    counter += by * factor;
}
__global__ void keep(int v)
{
    if (!kept)
        kept = (int *)malloc(4096 * sizeof(int));
    kept[17] = v;
}
__global__ void give(int *out)
{
    *out = kept[17];
    free(kept);
    kept = NULL;
}
__global__ void sample(cudaTextureObject_t t, float *out, int w)
{
    for (int x = 0; x < w; x++)
        out[x] = tex2D<float>(t, x + 0.5f, 1.5f);
}
__global__ void draw(cudaSurfaceObject_t s, float v)
{
    surf2Dwrite(v, s, 4, 1);
}
__global__ void dynamic(int *out)
{
    extern __shared__ int m[];

    m[16000] = 9;
    *out = m[16000];
}
__global__ void hello(int i)
{
    printf("text %d\n", i);
}

static void check(unsigned *d, unsigned n, unsigned iters)
{
    unsigned *h = (unsigned *)malloc(n * 4);

    CK(cudaMemcpy(h, d, n * 4, cudaMemcpyDeviceToHost));
    for (unsigned i = 0; i < n; i++) {
        unsigned v = i;

        for (unsigned k = 0; k < iters; k++)
            v = v * 3u + k;
        if (h[i] != v)
            fail("data", i, h[i]);
    }
    free(h);
}

static int loop(int iters, int ms)
{
    unsigned n = 1 << 16, *d, *h = (unsigned *)malloc(n * 4);
    cudaStream_t s;
    cudaEvent_t e;

    CK(cudaMalloc(&d, n * 4));
    CK(cudaStreamCreate(&s));
    CK(cudaEventCreate(&e));
    for (unsigned i = 0; i < n; i++)
        h[i] = i;
    CK(cudaMemcpy(d, h, n * 4, cudaMemcpyHostToDevice));
    for (int k = 0; k < iters; k++) {
        step<<<n / 256, 256, 0, s>>>(d, n, k);
        CK(cudaGetLastError());
        CK(cudaEventRecord(e, s));
        CK(cudaEventSynchronize(e));
        say("progress", k);
        usleep(ms * 1000);
    }
    CK(cudaDeviceSynchronize());
    check(d, n, iters);
    say("PASS", iters);
    return 0;
}

static int lng(int ms)
{
    unsigned *d, v;

    CK(cudaMalloc(&d, 4));
    spin<<<1, 1>>>(1000000ull, d);
    CK(cudaMemset(d, 0, 4));
    CK(cudaDeviceSynchronize());
    spin<<<1, 1>>>(ms * 1000000ull, d);
    cudaStreamQuery(0); // answered by the worker: it has got the launch by now
    say("progress", 0);
    CK(cudaDeviceSynchronize());
    CK(cudaMemcpy(&v, d, 4, cudaMemcpyDeviceToHost));
    say(v == 77 ? "PASS" : "FAIL", v);
    return v != 77;
}

static volatile int ran;
static void fn(void *p)
{
    usleep(*(int *)p * 1000);
    ran++;
}

// Says when it runs: before that the worker need not know of it.
static void slow(void *p)
{
    say("progress", 0);
    fn(p);
}

static int callback(int ms)
{
    unsigned *d;

    CK(cudaMalloc(&d, 4));
    step<<<1, 1>>>(d, 1, 1);
    CK(cudaDeviceSynchronize());
    CK(cudaLaunchHostFunc(0, slow, &ms));
    step<<<1, 1>>>(d, 1, 1);
    CK(cudaDeviceSynchronize());
    say(ran ? "PASS" : "FAIL", ran);
    return !ran;
}

static int ipc(int ms)
{
    int up[2], down[2], st;
    cudaIpcMemHandle_t m;
    unsigned *d, v = 2;
    char c;

    if (pipe(up) || pipe(down))
        return 1;
    if (!fork()) {
        EXPECT(read(up[0], &m, sizeof(m)) == sizeof(m));
        CK(cudaIpcOpenMemHandle((void **)&d, m, cudaIpcMemLazyEnablePeerAccess));
        EXPECT(write(down[1], "x", 1) == 1);
        usleep(ms * 1000);
        step<<<1, 1>>>(d, 1, 5);
        CK(cudaDeviceSynchronize());
        CK(cudaIpcCloseMemHandle(d));
        _exit(0);
    }
    CK(cudaMalloc(&d, 4));
    CK(cudaMemcpy(d, &v, 4, cudaMemcpyHostToDevice));
    CK(cudaIpcGetMemHandle(&m, d));
    EXPECT(write(up[1], &m, sizeof(m)) == sizeof(m) && read(down[0], &c, 1) == 1);
    say("progress", 0);
    wait(&st);
    CK(cudaMemcpy(&v, d, 4, cudaMemcpyDeviceToHost));
    say(v == 11 && !st ? "PASS" : "FAIL", v);
    return v != 11 || st;
}

static int hold(int mib)
{
    size_t n = (size_t)mib << 18; // words
    unsigned *d, first, last;
    char line[8];

    CK(cudaMalloc(&d, n * 4));
    CK(cudaMemset(d, 0x5a, n * 4));
    step<<<1, 1>>>(d + n - 1, 1, 7);
    CK(cudaDeviceSynchronize());
    say("ready", mib);
    EXPECT(fgets(line, sizeof(line), stdin));
    CK(cudaMemcpy(&first, d, 4, cudaMemcpyDeviceToHost));
    CK(cudaMemcpy(&last, d + n - 1, 4, cudaMemcpyDeviceToHost));
    say(first == 0x5a5a5a5au && last == 0x5a5a5a5au * 3u + 7 ? "PASS" : "FAIL", mib);
    return first != 0x5a5a5a5au || last != 0x5a5a5a5au * 3u + 7;
}

static int fill(int block, int most)
{
    int got = 0;
    char *p, line[8];

    while (got < most && cudaMalloc((void **)&p, (size_t)block << 20) == cudaSuccess)
        got += block;
    cudaGetLastError();
    say("got", got);
    EXPECT(fgets(line, sizeof(line), stdin));
    say("PASS", got);
    return 0;
}

// Works all the time on a stream of its own.
static volatile int stop;
static int turns;
static void *busy(void *arg)
{
    unsigned *d = (unsigned *)arg;
    cudaStream_t s;

    CK(cudaStreamCreateWithPriority(&s, cudaStreamNonBlocking, -1));
    for (; !stop || turns < 10; turns++) {
        step<<<16, 256, 0, s>>>(d, 4096, turns);
        CK(cudaStreamSynchronize(s));
    }
    CK(cudaStreamDestroy(s));
    return NULL;
}

static int everything(void)
{
    const int small = 300, big = 5 << 20, w = 8, h = 4;
    char *a[40], *large, *back = (char *)malloc(big), *pinned, *mapped;
    unsigned *d, host[4096];
    pthread_t thread;
    cudaStream_t s;
    cudaEvent_t start, end, never;
    float ms1, ms2, row[w], *tex_out;
    int v, *dv, *pooled;
    size_t heap;

    // Memory.
    for (int i = 0; i < 40; i++) {
        CK(cudaMalloc(&a[i], small + i * 1000));
        CK(cudaMemset(a[i], i, small + i * 1000));
    }
    for (int i = 1; i < 40; i += 3)
        CK(cudaFree(a[i]));
    CK(cudaMalloc(&large, big));
    for (int i = 0; i < big; i++)
        back[i] = (char)(i * 7 + i / 1000);
    CK(cudaMemcpy(large, back, big, cudaMemcpyHostToDevice));
    CK(cudaMallocHost(&pinned, 100000));
    memset(pinned, 0x31, 100000);
    CK(cudaMalloc(&dv, 4));
    // Variables, the device's own malloc(), limits, attributes.
    CK(cudaDeviceSetLimit(cudaLimitMallocHeapSize, 16 << 20));
    bump<<<1, 1>>>(2);
    v = 10;
    CK(cudaMemcpyToSymbol(factor, &v, 4));
    keep<<<1, 1>>>(1234);
    CK(cudaFuncSetAttribute((const void *)dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, 70000));
    // Streams and events.
    CK(cudaStreamCreate(&s));
    CK(cudaEventCreate(&start));
    CK(cudaEventCreate(&end));
    CK(cudaEventCreate(&never));
    CK(cudaEventRecord(start, s));
    spin<<<1, 1, 0, s>>>(20000000ull, (unsigned *)dv);
    CK(cudaEventRecord(end, s));
    CK(cudaStreamSynchronize(s));
    CK(cudaEventElapsedTime(&ms1, start, end));
    // An array, a texture object, a surface object.
    cudaArray_t array;
    cudaChannelFormatDesc f = cudaCreateChannelDesc<float>();
    float image[h][w];
    cudaResourceDesc r = {};
    cudaTextureDesc td = {};
    cudaTextureObject_t other, tex;
    cudaSurfaceObject_t surf;

    CK(cudaMallocArray(&array, &f, w, h, cudaArraySurfaceLoadStore));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            image[y][x] = y * 100 + x;
    CK(cudaMemcpy2DToArray(array, 0, 0, image, sizeof(image[0]), sizeof(image[0]), h,
                           cudaMemcpyHostToDevice));
    r.resType = cudaResourceTypeArray;
    r.res.array.array = array;
    CK(cudaCreateTextureObject(&other, &r, &td, NULL));
    CK(cudaCreateTextureObject(&tex, &r, &td, NULL));
    CK(cudaDestroyTextureObject(other));
    CK(cudaCreateSurfaceObject(&surf, &r));
    CK(cudaMalloc(&tex_out, sizeof(row)));
    cudaMipmappedArray_t mip;
    cudaArray_t level;
    CK(cudaMallocMipmappedArray(&mip, &f, make_cudaExtent(16, 16, 0), 3, 0));
    CK(cudaGetMipmappedArrayLevel(&level, mip, 1));
    CK(cudaMemcpy2DToArray(level, 0, 0, image, sizeof(image[0]), sizeof(image[0]), h,
                           cudaMemcpyHostToDevice));
    // A pool; virtual memory management.
    cudaMemPool_t pool;
    cudaMemPoolProps props = {};
    uint64_t keep_all = 1 << 20;
    props.allocType = cudaMemAllocationTypePinned;
    props.location.type = cudaMemLocationTypeDevice;
    CK(cudaMemPoolCreate(&pool, &props));
    CK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep_all));
    CK(cudaMallocFromPoolAsync((void **)&pooled, 5000, pool, s));
    CK(cudaMemsetAsync(pooled, 0x44, 5000, s));
    CUmemAllocationProp ap = {};
    CUmemGenericAllocationHandle mem;
    CUdeviceptr va;
    CUmemAccessDesc acc = {};
    size_t g = 2 << 20;
    ap.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    ap.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    acc.location = ap.location;
    acc.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    CK(cuMemAddressReserve(&va, 4 * g, 0, 0, 0));
    CK(cuMemCreate(&mem, g, &ap, 0));
    CK(cuMemMap(va + g, g, 0, mem, 0));
    CK(cuMemSetAccess(va + g, g, &acc, 1));
    mapped = (char *)va + g;
    CK(cudaMemset(mapped, 0x66, g));
    // A graph with a kernel, a copy and a function of the program.
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaStream_t cap;
    static int zero = 0;
    unsigned *gd;
    CK(cudaMalloc(&gd, 4096 * 4));
    CK(cudaMemset(gd, 0, 4096 * 4));
    CK(cudaStreamCreate(&cap));
    CK(cudaStreamBeginCapture(cap, cudaStreamCaptureModeThreadLocal));
    step<<<16, 256, 0, cap>>>(gd, 4096, 1);
    CK(cudaMemcpyAsync(large, gd, 64, cudaMemcpyDeviceToDevice, cap));
    CK(cudaLaunchHostFunc(cap, fn, &zero));
    CK(cudaStreamEndCapture(cap, &graph));
    CK(cudaGraphInstantiate(&exec, graph, 0));
    CK(cudaGraphLaunch(exec, cap));
    CK(cudaStreamSynchronize(cap));
    EXPECT(ran == 1);
    // A thread at work.
    CK(cudaMalloc(&d, sizeof(host)));
    for (unsigned i = 0; i < 4096; i++)
        host[i] = i;
    CK(cudaMemcpy(d, host, sizeof(host), cudaMemcpyHostToDevice));
    CK(cudaDeviceSynchronize());
    hello<<<1, 1>>>(1);
    CK(cudaDeviceSynchronize());
    size_t free1, free2, total;
    CK(cudaMemGetInfo(&free1, &total));
    pthread_create(&thread, NULL, busy, d);

    say("ready", 0);
    char line[8];
    EXPECT(fgets(line, sizeof(line), stdin));

    // All of it again.
    stop = 1;
    pthread_join(thread, NULL);
    check(d, 4096, turns);
    CK(cudaMemGetInfo(&free2, &total));
    for (int i = 0; i < 40; i++) {
        if (i % 3 == 1)
            continue;
        CK(cudaMemcpy(back, a[i], small + i * 1000, cudaMemcpyDeviceToHost));
        EXPECT(back[0] == i && back[small + i * 1000 - 1] == i);
        CK(cudaFree(a[i]));
    }
    CK(cudaMemcpy(back, large, big, cudaMemcpyDeviceToHost));
    for (int i = 64; i < big; i++)
        if (back[i] != (char)(i * 7 + i / 1000))
            fail("large", i, back[i]);
    EXPECT(((unsigned *)back)[3] == 1);
    CK(cudaMemcpyAsync(large, pinned, 100000, cudaMemcpyHostToDevice, s));
    CK(cudaStreamSynchronize(s));
    CK(cudaMemcpy(back, large, 100000, cudaMemcpyDeviceToHost));
    EXPECT(back[99999] == 0x31);
    bump<<<1, 1>>>(1);
    CK(cudaMemcpyFromSymbol(&v, counter, 4));
    EXPECT(v == 5 + 2 * 3 + 10);
    CK(cudaDeviceGetLimit(&heap, cudaLimitMallocHeapSize));
    EXPECT(heap == 16 << 20);
    EXPECT(cudaDeviceSetLimit(cudaLimitMallocHeapSize, 32 << 20) != cudaSuccess);
    give<<<1, 1>>>(dv);
    CK(cudaMemcpy(&v, dv, 4, cudaMemcpyDeviceToHost));
    EXPECT(v == 1234);
    dynamic<<<1, 1, 70000>>>(dv);
    CK(cudaMemcpy(&v, dv, 4, cudaMemcpyDeviceToHost));
    EXPECT(v == 9);
    CK(cudaEventElapsedTime(&ms2, start, end));
    // The kernel waits by another clock than the events are timed with.
    printf("between the events: %g ms, now %g ms\n", ms1, ms2);
    EXPECT(ms2 > ms1 - 0.01 && ms2 < ms1 + 0.01 && ms1 >= 19);
    EXPECT(cudaEventElapsedTime(&ms2, start, never) == cudaErrorInvalidResourceHandle);
    CK(cudaEventRecord(never, s));
    CK(cudaEventSynchronize(never));
    CK(cudaEventElapsedTime(&ms2, start, never));
    EXPECT(ms2 > ms1 && ms2 < 100000);
    draw<<<1, 1>>>(surf, -1.0f);
    sample<<<1, 1>>>(tex, tex_out, w);
    CK(cudaMemcpy(row, tex_out, sizeof(row), cudaMemcpyDeviceToHost));
    for (int x = 0; x < w; x++)
        EXPECT(row[x] == (x == 1 ? -1.0f : 100 + x));
    memset(image, 0, sizeof(image));
    CK(cudaMemcpy2DFromArray(image, sizeof(image[0]), level, 0, 0, sizeof(image[0]), h,
                             cudaMemcpyDeviceToHost));
    EXPECT(image[3][7] == 307);
    CK(cudaDestroyTextureObject(tex));
    CK(cudaDestroySurfaceObject(surf));
    CK(cudaFreeArray(array));
    CK(cudaFreeMipmappedArray(mip));
    CK(cudaMemcpy(&v, (char *)pooled + 4992, 4, cudaMemcpyDeviceToHost));
    EXPECT(v == 0x44444444);
    CK(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep_all));
    EXPECT(keep_all == 1 << 20);
    CK(cudaFreeAsync(pooled, s));
    CK(cudaStreamSynchronize(s));
    CK(cudaMemPoolDestroy(pool));
    CK(cudaMemcpy(&v, mapped + g - 4, 4, cudaMemcpyDeviceToHost));
    EXPECT(v == 0x66666666);
    CK(cuMemMap(va, g, 0, mem, 0));
    CK(cuMemUnmap(va + g, g));
    CK(cuMemUnmap(va, g));
    CK(cuMemRelease(mem));
    CK(cuMemAddressFree(va, 4 * g));
    CK(cudaGraphLaunch(exec, cap));
    CK(cudaStreamSynchronize(cap));
    EXPECT(ran == 2);
    CK(cudaMemcpy(&v, gd, 4, cudaMemcpyDeviceToHost));
    EXPECT(v == 4);
    CK(cudaGraphExecDestroy(exec));
    CK(cudaLaunchHostFunc(s, fn, &zero));
    CK(cudaStreamSynchronize(s));
    EXPECT(ran == 3);
    hello<<<1, 1>>>(2);
    CK(cudaDeviceSynchronize());
    // New objects beside the old ones.
    CK(cudaMalloc(&a[0], 5000));
    CK(cudaMalloc(&a[1], 3 << 20));
    CK(cudaMemset(a[1], 1, 3 << 20));
    CK(cudaDeviceSynchronize());
    EXPECT(free2 == free1);
    say("PASS", 0);
    return 0;
}

int main(int argc, char **argv)
{
    const char *m = argc > 1 ? argv[1] : "everything";
    int a = argc > 2 ? atoi(argv[2]) : 20, b = argc > 3 ? atoi(argv[3]) : 50;

    if (!strcmp(m, "loop"))
        return loop(a, b);
    if (!strcmp(m, "long"))
        return lng(a);
    if (!strcmp(m, "callback"))
        return callback(a);
    if (!strcmp(m, "ipc"))
        return ipc(a);
    if (!strcmp(m, "hold"))
        return hold(a);
    if (!strcmp(m, "fill"))
        return fill(a, b);
    return everything();
}
