/* SPDX-License-Identifier: MIT */
/*
 * calls.cu - what a small program waits for: after each step, how many calls the worker has answered
 * meanwhile (natively zero). What is in a small image is loaded with the context; an image with a large
 * variable (module/parts/lazy.cu) at its first use.
 */
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <dlfcn.h>

#include "check.h"

#define N 1000

void launch_lazy(unsigned *p);

struct counts {
    uint64_t doorbells, sleeps, copied, calls;
};

__global__ void add_one(unsigned *p)
{
    p[threadIdx.x] += 1;
}

static void step(const char *name)
{
    static void (*get)(struct counts *) = (void (*)(struct counts *))dlsym(RTLD_DEFAULT, "gvm_counts");
    static uint64_t before;
    struct counts now;

    memset(&now, 0, sizeof(now));
    if (get)
        get(&now);
    printf("%s %llu\n", name, (unsigned long long)(now.calls - before));
    before = now.calls;
}

int main()
{
    unsigned v[N] = {0}, *p, *q;
    int size;

    CHECK(cudaFree(0));
    step("context");
    CHECK(cudaMalloc(&p, sizeof(v)));
    step("allocate");
    CHECK(cudaMemcpy(p, v, sizeof(v), cudaMemcpyHostToDevice));
    step("copy");
    add_one<<<1, N>>>(p);
    step("first_launch");
    add_one<<<1, N>>>(p);
    step("launch");
    add_one<<<1, N / 2>>>(p);
    step("other_shape");
    CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&size, add_one, N, 0));
    step("occupancy");
    cudaFuncAttributes a;
    CHECK(cudaFuncGetAttributes(&a, add_one));
    step("attributes");
    launch_lazy(p);
    CHECK(cudaGetLastError());
    step("lazy_launch");
    launch_lazy(p);
    step("launch_again");
    CHECK(cudaMemcpy(v, p, sizeof(v), cudaMemcpyDeviceToHost));
    for (unsigned i = 0; i < N; i++)
        EXPECT(v[i] == (i < N / 2 ? 5u : 4u));
    step("copy_back");
    CHECK(cudaFree(p));
    step("free");
    CHECK(cudaMalloc(&q, sizeof(v)));
    CHECK(cudaFree(q));
    step("again");
    CHECK(cudaDeviceReset());
    step("reset");
    CHECK(cudaFree(0));
    step("second_context");
    CHECK(cudaMalloc(&p, sizeof(v)));
    CHECK(cudaMemset(p, 0, sizeof(v)));
    add_one<<<1, N>>>(p);
    CHECK(cudaMemcpy(v, p, sizeof(v), cudaMemcpyDeviceToHost));
    EXPECT(v[0] == 1 && v[N - 1] == 1);
    step("second_time");
    printf("Test PASSED\n");
    return 0;
}
