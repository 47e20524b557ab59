/* SPDX-License-Identifier: MIT */
/* Text from kernels appears on stdout at synchronisation, between what the host prints. */
#include "check.h"

__global__ void hello(int a, double b, const char *unused)
{
    printf("kernel %d: %d %s %.2f %c %lld\n", threadIdx.x, a + (int)threadIdx.x, "text", b, 'x',
           1234567890123ll);
}

int main(void)
{
    test_name = "printf";
    printf("before\n");
    hello<<<1, 3>>>(40, 2.5, NULL);
    CHECK(cudaGetLastError());
    CHECK(cudaDeviceSynchronize());
    printf("after\n");
    return passed();
}
