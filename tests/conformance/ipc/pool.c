/* SPDX-License-Identifier: MIT */
/* covers: cudaMemPoolCreate cudaMemPoolExportToShareableHandle cudaMemPoolImportFromShareableHandle
 * cudaMemPoolExportPointer cudaMemPoolImportPointer cudaMemPoolDestroy cudaFreeAsync */
/* Stream-ordered memory of one process in another one. */
#include <cuda_runtime_api.h>

#include "two.h"

#define FD(fd) ((void *)(uintptr_t)(fd))
#define POSIX  cudaMemHandleTypePosixFileDescriptor

struct message {
    struct cudaMemPoolPtrExportData small, large;
};

#define LARGE (3u << 20)

static void child(int s)
{
    static uint8_t data[LARGE];
    struct cudaMemPoolPtrExportData bad;
    struct message m;
    cudaMemPool_t pool, other;
    void *p = NULL, *q = NULL, *r = NULL;
    cudaStream_t st;
    int fd = take(s, &m, sizeof(m));
    int pair[2];
    uint64_t used;

    printf("-- child\n");
    T_OK(cudaStreamCreateWithFlags(&st, cudaStreamNonBlocking));
    T_OK(cudaMemPoolImportFromShareableHandle(&pool, FD(fd), POSIX, 0));
    T_OK(cudaMemPoolImportPointer(&p, pool, &m.small));
    T_OK(cudaMemPoolImportPointer(&q, pool, &m.large));
    T(cudaMemcpy(data, p, 3000, cudaMemcpyDeviceToHost));
    T_DIGEST("sees", data, 3000);
    T(cudaMemcpyAsync(data, q, LARGE, cudaMemcpyDeviceToHost, st));
    T(cudaStreamSynchronize(st));
    T_DIGEST("sees", data, LARGE);
    T(cudaMemsetAsync((uint8_t *)q + 1000, 0x31, 5000, st));
    T(cudaStreamSynchronize(st));
    memset(&bad, 0x5a, sizeof(bad));
    T(cudaMemPoolImportPointer(&r, pool, &bad));
    T(cudaMemPoolImportPointer(&r, pool, &m.small));
    T_BOOL("same address", r == p);
    T(cudaMallocFromPoolAsync(&r, 100, pool, st));
    T(cudaMemPoolExportPointer(&bad, p));
    T(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used));
    T(cudaMemPoolTrimTo(pool, 0));
    T(cudaDeviceSetMemPool(0, pool));
    T(cudaMemPoolImportFromShareableHandle(&other, FD(fd), cudaMemHandleTypeNone, 0));
    T(cudaMemPoolImportFromShareableHandle(&other, FD(fd), POSIX, 1));
    close(fd);
    if (pipe(pair))
        return;
    T(cudaMemPoolImportFromShareableHandle(&other, FD(pair[0]), POSIX, 0));
    T(cudaFreeAsync(p, st));
    T(cudaStreamSynchronize(st));
    T(cudaFreeAsync(p, st));
    T(cudaMemcpy(data, q, 10000, cudaMemcpyDeviceToHost));
    T_DIGEST("sees", data, 10000);
    turn(s);
    printf("-- child\n");
    T(cudaMemcpy(data, q, 10000, cudaMemcpyDeviceToHost));
    T_DIGEST("sees", data, 10000);
    T(cudaFreeAsync(q, st));
    T(cudaStreamSynchronize(st));
    T(cudaMemPoolDestroy(pool));
    cudaGetLastError();
    T(cudaDeviceSynchronize());
    give(s, "e", 1, -1);
}

int main(void)
{
    static uint8_t data[LARGE];
    struct cudaMemPoolProps props = {.allocType = cudaMemAllocationTypePinned,
                                     .handleTypes = POSIX,
                                     .location = {.type = cudaMemLocationTypeDevice, .id = 0}};
    struct message m, again;
    cudaMemPool_t pool, plain, def;
    void *p, *q, *r;
    cudaStream_t st;
    int v = 0, fd = -1, fd2 = -1;
    pid_t pid;
    int s = start(child, &pid);
    char c;

    T(cudaDeviceGetAttribute(&v, cudaDevAttrMemoryPoolSupportedHandleTypes, 0));
    T_BOOL("descriptors supported", v & POSIX);
    T_OK(cudaStreamCreateWithFlags(&st, cudaStreamNonBlocking));
    T_OK(cudaMemPoolCreate(&pool, &props));
    T_OK(cudaMallocFromPoolAsync(&p, 3000, pool, st));
    T_OK(cudaMallocFromPoolAsync(&q, LARGE, pool, st));
    t_fill(data, LARGE, 11);
    T_OK(cudaMemcpyAsync(p, data, 3000, cudaMemcpyHostToDevice, st));
    T_OK(cudaMemcpyAsync(q, data, LARGE, cudaMemcpyHostToDevice, st));
    T_OK(cudaStreamSynchronize(st));
    T(cudaMemPoolExportToShareableHandle(&fd, pool, POSIX, 0));
    T_BOOL("a descriptor", fd >= 0);
    T(cudaMemPoolExportPointer(&m.small, p));
    T(cudaMemPoolExportPointer(&m.large, q));
    T(cudaMemPoolExportToShareableHandle(&fd2, pool, POSIX, 1));
    T(cudaMemPoolExportToShareableHandle(&fd2, pool, cudaMemHandleTypeNone, 0));
    props.handleTypes = cudaMemHandleTypeNone;
    T_OK(cudaMemPoolCreate(&plain, &props));
    T(cudaMemPoolExportToShareableHandle(&fd2, plain, POSIX, 0));
    T_OK(cudaMallocFromPoolAsync(&r, 100, plain, st));
    T(cudaMemPoolExportPointer(&again.small, r));
    T(cudaFreeAsync(r, st));
    T(cudaMemPoolDestroy(plain));
    T_OK(cudaDeviceGetDefaultMemPool(&def, 0));
    T(cudaMemPoolExportToShareableHandle(&fd2, def, POSIX, 0));
    give(s, &m, sizeof(m), fd);
    close(fd);
    take(s, &c, 1);
    printf("-- parent\n");
    T(cudaMemcpy(data, q, 10000, cudaMemcpyDeviceToHost));
    T_DIGEST("sees", data, 10000);
    T(cudaMemset((uint8_t *)q + 3, 0x29, 5));
    T(cudaDeviceSynchronize());
    turn(s);
    finish(pid);
    T(cudaFreeAsync(p, st));
    T(cudaFreeAsync(q, st));
    T(cudaStreamSynchronize(st));
    T(cudaMemPoolDestroy(pool));
    return 0;
}
