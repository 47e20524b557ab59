/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpy cudaMemcpyAsync cudaMemcpy2D cudaMemcpy3D */
/* Large copies of pageable memory: odd sizes and offsets, pitched rows, several threads at once, a
 * source that is used again as soon as the call returns, children forked meanwhile. */
#include <cuda_runtime_api.h>
#include <driver_functions.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "transcript.h"

#define MIB     ((size_t)1 << 20)
#define THREADS 4

/* Octets that differ from offset to offset and from seed to seed. */
static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)((i * 2654435761u + (i >> 13) + seed * 97u) >> 5);
}

static size_t differ(const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t bad = 0;

    for (size_t i = 0; i < n; i++)
        bad += a[i] != b[i];
    return bad;
}

static void sizes(void)
{
    static const size_t n[] = {65537, MIB - 1, MIB, MIB + 1, 3 * MIB + 7, 8 * MIB, 9 * MIB + 4097};
    uint8_t *a = malloc(10 * MIB), *b = malloc(10 * MIB), *d;

    T_OK(cudaMalloc((void **)&d, 10 * MIB));
    for (unsigned i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
        for (size_t off = 0; off < 8; off += 7) {
            fill(a + off, n[i], i);
            memset(b, 0xee, n[i] + 16);
            T(cudaMemcpy(d + 3 * off, a + off, n[i], cudaMemcpyHostToDevice));
            T(cudaMemcpy(b + 1, d + 3 * off, n[i], cudaMemcpyDeviceToHost));
            T_INT("differ", differ(a + off, b + 1, n[i]));
            T_INT("around", b[0] != 0xee || b[n[i] + 1] != 0xee);
        }
    }
    T(cudaFree(d));
    free(a);
    free(b);
}

static void rows(void)
{
    size_t width = 3001, height = 1500, pitch = 3333, dpitch = 0;
    uint8_t *a = malloc(pitch * height), *b = malloc(pitch * height), *d;
    struct cudaMemcpy3DParms p = {0};
    struct cudaPitchedPtr q;
    size_t bad = 0;

    fill(a, pitch * height, 5);
    memset(b, 0, pitch * height);
    T_OK(cudaMallocPitch((void **)&d, &dpitch, width, height));
    T(cudaMemcpy2D(d, dpitch, a, pitch, width, height, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(b, pitch, d, dpitch, width, height, cudaMemcpyDeviceToHost));
    for (size_t y = 0; y < height; y++) {
        bad += differ(a + y * pitch, b + y * pitch, width);
        for (size_t x = width; x < pitch; x++)
            bad += b[y * pitch + x] != 0;
    }
    T_INT("2D differ", bad);
    T(cudaFree(d));

    T_OK(cudaMalloc3D(&q, make_cudaExtent(500, 60, 100)));
    p.srcPtr = make_cudaPitchedPtr(a, 600, 600, 75);
    p.dstPtr = q;
    p.extent = make_cudaExtent(500, 60, 100);
    p.kind = cudaMemcpyHostToDevice;
    T(cudaMemcpy3D(&p));
    memset(b, 0, 600 * 75 * 100);
    p.srcPtr = q;
    p.dstPtr = make_cudaPitchedPtr(b, 600, 600, 75);
    p.kind = cudaMemcpyDeviceToHost;
    T(cudaMemcpy3D(&p));
    bad = 0;
    for (size_t z = 0; z < 100; z++)
        for (size_t y = 0; y < 75; y++)
            for (size_t x = 0; x < 600; x++) {
                size_t i = (z * 75 + y) * 600 + x;

                bad += b[i] != (x < 500 && y < 60 ? a[i] : 0);
            }
    T_INT("3D differ", bad);
    T(cudaFree(q.ptr));
    free(a);
    free(b);
}

/* The source belongs to the caller again when the call returns. */
static void reuse(void)
{
    size_t n = 5 * MIB + 3;
    uint8_t *a = malloc(n), *want = malloc(n), *b, *d[3];
    cudaStream_t s;

    T_OK(cudaStreamCreate(&s));
    for (unsigned i = 0; i < 3; i++)
        T_OK(cudaMalloc((void **)&d[i], n));
    for (unsigned i = 0; i < 3; i++) {
        fill(a, n, 20 + i);
        T(cudaMemcpyAsync(d[i], a, n, cudaMemcpyHostToDevice, s));
    }
    memset(a, 0, n);
    T(cudaStreamSynchronize(s));
    for (unsigned i = 0; i < 3; i++) {
        /* Into pages that nobody has touched. */
        b = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        fill(want, n, 20 + i);
        T(cudaMemcpyAsync(b, d[i], n, cudaMemcpyDeviceToHost, s));
        T(cudaStreamSynchronize(s));
        T_INT("differ", differ(want, b, n));
        munmap(b, n);
        T(cudaFree(d[i]));
    }
    T(cudaStreamDestroy(s));
    free(a);
    free(want);
}

static int running = THREADS;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *copier(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    size_t n = 3 * MIB + 1000 * me + 1, bad = 0;
    uint8_t *a = malloc(n), *b = malloc(n), *d;

    bad += cudaMalloc((void **)&d, n) != cudaSuccess;
    for (unsigned i = 0; i < 6; i++) {
        fill(a, n, me * 16 + i);
        bad += cudaMemcpy(d, a, n, cudaMemcpyHostToDevice) != cudaSuccess;
        bad += cudaMemcpy(b, d, n, cudaMemcpyDeviceToHost) != cudaSuccess;
        bad += differ(a, b, n);
    }
    bad += cudaFree(d) != cudaSuccess;
    free(a);
    free(b);
    pthread_mutex_lock(&lock);
    running--;
    pthread_mutex_unlock(&lock);
    return (void *)bad;
}

static void at_once(void)
{
    pthread_t t[THREADS];
    size_t bad = 0;
    int left, broken = 0, status;

    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, copier, (void *)(uintptr_t)i);
    do {
        pid_t child = fork();

        if (child == 0)
            _exit(7);
        broken += child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
                  WEXITSTATUS(status) != 7;
        pthread_mutex_lock(&lock);
        left = running;
        pthread_mutex_unlock(&lock);
    } while (left);
    for (unsigned i = 0; i < THREADS; i++) {
        void *r;

        pthread_join(t[i], &r);
        bad += (size_t)r;
    }
    T_INT("threads differ", bad);
    T_INT("children broken", broken);
}

int main(void)
{
    sizes();
    rows();
    reuse();
    at_once();
    T(cudaGetLastError());
    return 0;
}
