/* SPDX-License-Identifier: MIT */
/* A kernel writes far out of bounds: error 700, and it stays for every later call. */
#include "check.h"

__global__ void stray(int *p, size_t at)
{
    p[at] = 1;
}

int main(void)
{
    int *p, *q, v;

    test_name = "oob";
    CHECK(cudaMalloc(&p, 256));
    stray<<<1, 1>>>(p, (size_t)1 << 36);
    CHECK(cudaPeekAtLastError() == cudaErrorIllegalAddress ? cudaSuccess : cudaPeekAtLastError());
    EXPECT(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
    EXPECT(cudaMalloc(&q, 256) == cudaErrorIllegalAddress);
    EXPECT(cudaMemcpy(&v, p, sizeof(v), cudaMemcpyDeviceToHost) == cudaErrorIllegalAddress);
    EXPECT(cudaGetLastError() == cudaErrorIllegalAddress);
    EXPECT(cudaGetLastError() == cudaSuccess); /* told; the next call says it again */
    printf("error 700 as expected: %s\n", cudaGetErrorString(cudaErrorIllegalAddress));
    return passed();
}
