/* SPDX-License-Identifier: MIT */
/* What CUDA says to wrong and unusual calls: copies at their limits, frees, handles, geometry,
 * forks, reset; and copies of every path's size, which must be exact. */
#include "check.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__global__ void add_one(int *p)
{
    p[threadIdx.x] += 1;
}

/* Exit status of a child that runs fn. */
static int in_child(int (*fn)(void))
{
    int status = -1;
    pid_t pid = fork();

    EXPECT(pid >= 0);
    if (pid == 0)
        _exit(fn());
    EXPECT(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int count_devices(void)
{
    int n = -1;

    return cudaGetDeviceCount(&n) == cudaSuccess && n >= 1 ? 0 : 1;
}

static int must_not_work(void)
{
    int *p;

    return cudaMalloc(&p, 4) == cudaErrorInitializationError ? 0 : 1;
}

static void copies(void)
{
    static const size_t sizes[] = {1,     3,     480,    481,         4096,         32768,
                                   32769, 65536, 65537,  (1 << 20) - 1, 1 << 20,    (9 << 20) - 5};
    const size_t max = 9 << 20;
    const size_t slack = sizeof(sizes) / sizeof(sizes[0]); /* sources start at a + k */
    unsigned char *a = (unsigned char *)malloc(max + slack), *b = (unsigned char *)malloc(max);
    unsigned char *d, *d2;

    for (size_t i = 0; i < max + slack; i++)
        a[i] = (unsigned char)(i * 31 >> 3 ^ i >> 11);
    CHECK(cudaMalloc(&d, max));
    CHECK(cudaMalloc(&d2, max));
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        size_t n = sizes[k];

        memset(b, 0, n + 1);
        CHECK(cudaMemset(d, 0xee, max));
        CHECK(cudaMemcpy(d, a + k, n, cudaMemcpyHostToDevice));
        CHECK(cudaMemcpyAsync(d2, d, n, cudaMemcpyDefault, 0));
        CHECK(cudaMemcpy(b, d2, n, cudaMemcpyDeviceToHost));
        EXPECT(memcmp(a + k, b, n) == 0 && b[n] == 0);
        if (n < max) {
            CHECK(cudaMemcpy(b, d + n, 1, cudaMemcpyDeviceToHost));
            EXPECT(b[0] == 0xee); /* nothing past the end */
        }
    }
    EXPECT(cudaMemcpy(d, a, max + 1, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    EXPECT(cudaMemcpy(d, a, 4, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    EXPECT(cudaFree(d + 256) == cudaErrorInvalidValue);
    CHECK(cudaFree(d));
    EXPECT(cudaFree(d) == cudaErrorInvalidValue);
    CHECK(cudaFree(NULL));
    CHECK(cudaFree(d2));
    cudaGetLastError();

    size_t pitch;
    int rows[5][7], back[5][7];
    for (int i = 0; i < 35; i++)
        rows[i / 7][i % 7] = i * i;
    memset(back, 0, sizeof(back));
    CHECK(cudaMallocPitch(&d, &pitch, sizeof(rows[0]), 5));
    CHECK(cudaMemcpy2D(d, pitch, rows, sizeof(rows[0]), sizeof(rows[0]), 5,
                       cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy2D(back, sizeof(back[0]), d, pitch, sizeof(back[0]), 5,
                       cudaMemcpyDeviceToHost));
    EXPECT(memcmp(rows, back, sizeof(rows)) == 0);
    CHECK(cudaMemset2D(d, pitch, 1, 8, 2));
    CHECK(cudaMemcpy2D(back, sizeof(back[0]), d, pitch, sizeof(back[0]), 5,
                       cudaMemcpyDeviceToHost));
    EXPECT(back[1][1] == 0x01010101 && back[1][2] == rows[1][2] && back[2][0] == rows[2][0]);
    CHECK(cudaFree(d));
    free(a);
    free(b);
}

static void pinned(void)
{
    struct cudaPointerAttributes at;
    int *h, *d, *p, can = 0, local;

    CHECK(cudaHostAlloc(&h, 64 * sizeof(int), cudaHostAllocMapped));
    CHECK(cudaMalloc(&p, 64 * sizeof(int)));
    for (int i = 0; i < 64; i++)
        h[i] = i;
    CHECK(cudaMemcpyAsync(p, h, 64 * sizeof(int), cudaMemcpyHostToDevice, 0));
    add_one<<<1, 64>>>(p);
    CHECK(cudaMemcpyAsync(h, p, 64 * sizeof(int), cudaMemcpyDeviceToHost, 0));
    CHECK(cudaStreamSynchronize(0));
    for (int i = 0; i < 64; i++)
        EXPECT(h[i] == i + 1);
    CHECK(cudaPointerGetAttributes(&at, h));
    EXPECT(at.type == cudaMemoryTypeHost && at.hostPointer == h);
    CHECK(cudaPointerGetAttributes(&at, p + 3));
    EXPECT(at.type == cudaMemoryTypeDevice && at.devicePointer == p + 3 && at.device == 0);
    CHECK(cudaPointerGetAttributes(&at, &local));
    EXPECT(at.type == cudaMemoryTypeUnregistered);
    CHECK(cudaDeviceGetAttribute(&can, cudaDevAttrCanMapHostMemory, 0));
    if (can) {
        CHECK(cudaHostGetDevicePointer(&d, h, 0));
        add_one<<<1, 64>>>(d);
        CHECK(cudaDeviceSynchronize());
        EXPECT(h[63] == 65);
    }
    EXPECT(cudaFreeHost(h + 1) == cudaErrorInvalidValue);
    CHECK(cudaFreeHost(h));
    EXPECT(cudaFreeHost(h) == cudaErrorInvalidValue);
    CHECK(cudaFree(p));
    cudaGetLastError();
}

static cudaError_t launch_error(dim3 grid, dim3 block, size_t shmem, int *p)
{
    add_one<<<grid, block, shmem>>>(p);
    return cudaGetLastError();
}

int main(void)
{
    int *p, x[64];
    cudaStream_t s;
    cudaEvent_t e;
    cudaGraph_t g;
    struct cudaDeviceProp prop;

    test_name = "edges";
    EXPECT(in_child(count_devices) == 0); /* a child of a process that has not begun */
    copies();
    pinned();

    CHECK(cudaMalloc(&p, sizeof(x)));
    EXPECT(in_child(must_not_work) == 0);
    EXPECT(launch_error(0, 64, 0, p) == cudaErrorInvalidValue);
    EXPECT(launch_error(1, 2048, 0, p) == cudaErrorInvalidValue);
    EXPECT(launch_error(1, dim3(1, 1, 128), 0, p) == cudaErrorInvalidValue);
    EXPECT(launch_error(1, 64, 1 << 30, p) == cudaErrorInvalidValue);
    EXPECT(launch_error(1, 64, 0, p) == cudaSuccess);

    EXPECT(cudaStreamSynchronize((cudaStream_t)0x1234) == cudaErrorInvalidResourceHandle);
    CHECK(cudaStreamCreate(&s));
    CHECK(cudaStreamDestroy(s));
    EXPECT(cudaStreamQuery(s) == cudaErrorInvalidResourceHandle);
    CHECK(cudaEventCreate(&e));
    EXPECT(cudaStreamSynchronize((cudaStream_t)e) == cudaErrorInvalidResourceHandle);
    CHECK(cudaEventDestroy(e));
    EXPECT(cudaEventQuery(e) == cudaErrorInvalidResourceHandle);
    EXPECT(cudaGetLastError() == cudaErrorInvalidResourceHandle);
    EXPECT(cudaGetLastError() == cudaSuccess);
    EXPECT(cudaSetDevice(1) == cudaErrorInvalidDevice || cudaSetDevice(0) == cudaSuccess);
    CHECK(cudaGetDeviceProperties(&prop, 0));
    EXPECT(prop.warpSize == 32 && prop.maxThreadsPerBlock >= 512 && prop.name[0]);
    cudaGetLastError();
    if (cudaGraphCreate(&g, 0) == cudaErrorNotSupported)
        EXPECT(cudaPeekAtLastError() == cudaErrorNotSupported);

    cudaGetLastError(); /* a reset would keep it */
    CHECK(cudaDeviceReset());
    EXPECT(cudaGetLastError() == cudaSuccess);
    EXPECT(cudaFree(p) == cudaErrorInvalidValue); /* gone with the context */
    cudaGetLastError();
    CHECK(cudaMalloc(&p, sizeof(x)));
    CHECK(cudaMemset(p, 0, sizeof(x)));
    add_one<<<1, 64>>>(p);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(x, p, sizeof(x), cudaMemcpyDeviceToHost));
    EXPECT(x[0] == 1 && x[63] == 1);
    CHECK(cudaFree(p));
    return passed();
}
