/* SPDX-License-Identifier: MIT */
/* launches.cu - `launches N` launches a kernel of three parameters N times, in one function, after
 * some launches outside it: an instruction counter sees what a launch in steady state costs. */
#include "bench.h"

__global__ void step(int *p, int by, float unused)
{
    if (threadIdx.x == 0)
        *p += by;
}

extern "C" __attribute__((noinline)) void measured(int *p, int n)
{
    for (int i = 0; i < n; i++)
        step<<<1, 1>>>(p, 1, 0.5f);
}

static __attribute__((noinline)) void warm_up(int *p)
{
    for (int i = 0; i < 300; i++)
        step<<<1, 1>>>(p, 1, 0.5f);
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 100, v = 0, *p;

    CHECK(cudaMalloc(&p, sizeof(*p)));
    CHECK(cudaMemset(p, 0, sizeof(*p)));
    warm_up(p);
    CHECK(cudaDeviceSynchronize());
    measured(p, n);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(&v, p, sizeof(v), cudaMemcpyDeviceToHost));
    EXPECT(v == n + 300);
    return 0;
}
