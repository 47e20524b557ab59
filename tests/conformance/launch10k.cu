/* SPDX-License-Identifier: MIT */
/* 10,000 asynchronous launches between two system calls that nothing else makes (sethostname with
 * an impossible length), so that a trace shows what the launches cost. */
#include "check.h"

#include <errno.h>
#include <unistd.h>

__global__ void step(int *p, int by, float unused)
{
    if (threadIdx.x == 0)
        *p += by;
}

int main(void)
{
    const int n = 10000;
    int *p, v = 0;

    test_name = "launch10k";
    CHECK(cudaMalloc(&p, sizeof(int)));
    CHECK(cudaMemset(p, 0, sizeof(int)));
    step<<<1, 1>>>(p, 0, 0.5f);
    CHECK(cudaDeviceSynchronize());
    EXPECT(sethostname("begin", (size_t)-1) == -1);
    for (int i = 0; i < n; i++)
        step<<<1, 1>>>(p, 1, 0.5f);
    EXPECT(sethostname("end", (size_t)-1) == -1);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(&v, p, sizeof(v), cudaMemcpyDeviceToHost));
    EXPECT(v == n);
    return passed();
}
