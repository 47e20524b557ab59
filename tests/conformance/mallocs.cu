/* SPDX-License-Identifier: MIT */
/*
 * mallocs.cu - memory that is allocated and freed again and again.
 *   mallocs turns N      N allocations and frees of 1 MiB with nothing in between
 *   mallocs work N       the same with a kernel on a non-blocking stream in between
 *   mallocs stream N     the same in the order of a stream, with a kernel
 *   mallocs quota MIB    to be run with MIB of device memory: freed memory is all there again
 *   mallocs errors       what may not be freed, and how exactly memory is known
 */
#include <cuda.h>
#include <cuda_runtime.h>

#include <cstring>

#include "check.h"

#define MIB ((size_t)1 << 20)

__global__ void late(unsigned *p, unsigned rounds)
{
    unsigned v = 1;

    for (unsigned i = 0; i < rounds; i++)
        v = v * 1664525u + 1013904223u;
    *p = v | 1;
}

static void turns(int n, bool work)
{
    cudaStream_t s;
    unsigned *p, got;

    CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    for (int i = 0; i < n; i++) {
        CHECK(cudaMalloc(&p, MIB));
        if (work) {
            CHECK(cudaMemset(p, 0, 4));
            CHECK(cudaMemcpy(&got, p, 4, cudaMemcpyDeviceToHost));
            EXPECT(got == 0); /* and not what the kernel of the last turn has written since */
            late<<<1, 1, 0, s>>>(p, 20000);
            CHECK(cudaGetLastError());
        }
        CHECK(cudaFree(p));
    }
}

static void in_stream(int n)
{
    cudaStream_t s;
    unsigned *p;

    CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    for (int i = 0; i < n; i++) {
        CHECK(cudaMallocAsync(&p, MIB, s));
        late<<<1, 1, 0, s>>>(p, 2);
        CHECK(cudaGetLastError());
        CHECK(cudaFreeAsync(p, s));
    }
    CHECK(cudaStreamSynchronize(s));
    EXPECT(cudaFreeAsync(p, s) == cudaErrorInvalidValue && cudaGetLastError());
    CHECK(cudaStreamDestroy(s));
}

static size_t free_now(void)
{
    size_t f, total;

    CHECK(cudaMemGetInfo(&f, &total));
    return f;
}

/* Allocates and frees n blocks, which may be kept by whoever likes. */
static void leave(int n, size_t bytes)
{
    void *p[16];

    for (int i = 0; i < n; i++)
        CHECK(cudaMalloc(&p[i], bytes));
    for (int i = 0; i < n; i++)
        CHECK(cudaFree(p[i]));
}

static void quota(size_t mib)
{
    size_t f, total;
    void *p, *q;

    CHECK(cudaMemGetInfo(&f, &total));
    EXPECT(total == mib * MIB && f == total);
    leave(3, 8 * MIB);
    EXPECT(free_now() == total);
    CHECK(cudaMalloc(&p, 8 * MIB));
    EXPECT(free_now() == total - 8 * MIB);
    CHECK(cudaFree(p));
    EXPECT(free_now() == total);

    leave(3, 8 * MIB);
    CHECK(cudaMalloc(&p, total));
    EXPECT(cudaMalloc(&q, 1) == cudaErrorMemoryAllocation && cudaGetLastError());
    CHECK(cudaFree(p));
    CHECK(cudaMalloc(&p, total - 8 * MIB));
    leave(1, 8 * MIB);
    EXPECT(cudaMalloc(&q, 8 * MIB + 1) == cudaErrorMemoryAllocation && cudaGetLastError());
    CHECK(cudaMalloc(&q, 8 * MIB));
    CHECK(cudaFree(q));
    CHECK(cudaFree(p));

    /* Whatever else takes memory gets it as well. */
    leave(3, 8 * MIB);
    CHECK(cudaMallocAsync(&p, total - 4 * MIB, 0));
    CHECK(cudaFreeAsync(p, 0));
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMallocAsync(&p, 8 * MIB, 0));
    CHECK(cudaFreeAsync(p, 0));
    CHECK(cudaDeviceSynchronize());
    EXPECT(free_now() == total);
    CHECK(cudaMallocAsync(&p, 8 * MIB, 0));
    CHECK(cudaFreeAsync(p, 0));
    CHECK(cudaMalloc(&p, total));
    CHECK(cudaFree(p));
}

static void errors(void)
{
    cudaPointerAttributes a;
    CUdeviceptr base, p[2];
    size_t size;
    unsigned long long id[2];

    CHECK(cudaFree(0));
    EXPECT(cuMemAlloc(&p[0], 1000) == CUDA_SUCCESS);
    EXPECT(cuMemAlloc(&p[1], 1000) == CUDA_SUCCESS);
    EXPECT(cuPointerGetAttribute(&id[0], CU_POINTER_ATTRIBUTE_BUFFER_ID, p[0]) == CUDA_SUCCESS);
    EXPECT(cuMemFree(p[0] + 8) == CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemFree(p[0]) == CUDA_SUCCESS);
    EXPECT(cuMemFree(p[0]) == CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemGetAddressRange(&base, &size, p[0]) == CUDA_ERROR_NOT_FOUND);
    CHECK(cudaPointerGetAttributes(&a, (void *)p[0]));
    EXPECT(a.type == cudaMemoryTypeUnregistered);
    EXPECT(cuMemAlloc(&p[0], 999) == CUDA_SUCCESS);
    EXPECT(cuMemGetAddressRange(&base, &size, p[0] + 998) == CUDA_SUCCESS);
    EXPECT(base == p[0] && size == 999 && p[0] % 256 == 0);
    EXPECT(cuMemFree(p[0]) == CUDA_SUCCESS);
    EXPECT(cuMemAlloc(&p[0], 1000) == CUDA_SUCCESS);
    EXPECT(p[0] + 1000 <= p[1] || p[1] + 1000 <= p[0]);
    EXPECT(cuPointerGetAttribute(&id[1], CU_POINTER_ATTRIBUTE_BUFFER_ID, p[0]) == CUDA_SUCCESS);
    EXPECT(id[0] != id[1]);
    EXPECT(cuMemcpyDtoD(p[0] + 1, p[1], 1000) == CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemFree(p[0]) == CUDA_SUCCESS);
    EXPECT(cuMemFree(p[1]) == CUDA_SUCCESS);

    /* A reset ends what is kept as everything else. */
    CHECK(cudaDeviceReset());
    EXPECT(cudaFree((void *)p[0]) == cudaErrorInvalidValue && cudaGetLastError());
    CHECK(cudaMalloc((void **)&p[0], 1000));
    CHECK(cudaMemset((void *)p[0], 1, 1000));
    CHECK(cudaFree((void *)p[0]));
}

int main(int argc, char **argv)
{
    int n = argc > 2 ? atoi(argv[2]) : 0;

    test_name = "mallocs";
    if (argc > 1 && !strcmp(argv[1], "turns"))
        turns(n, false);
    else if (argc > 1 && !strcmp(argv[1], "work"))
        turns(n, true);
    else if (argc > 1 && !strcmp(argv[1], "stream"))
        in_stream(n);
    else if (argc > 1 && !strcmp(argv[1], "quota"))
        quota((size_t)n);
    else if (argc > 1 && !strcmp(argv[1], "errors"))
        errors();
    else
        return 2;
    CHECK(cudaDeviceSynchronize()); /* all that was sent has been counted */
    return passed();
}
