/* SPDX-License-Identifier: MIT */
/* A kernel that never ends, for tests that kill things. Prints "started" when it runs: the kernel
 * tells so through pinned memory where the device can, else the launch must do. */
#include "check.h"

__global__ void spin(volatile int *flag, volatile int *go_on)
{
    if (threadIdx.x == 0 && flag)
        *flag = 1;
    while (*go_on)
        ;
}

int main(void)
{
    volatile int *flag = NULL;
    int *go_on, one = 1, can = 0;
    cudaError_t err;

    test_name = "spin";
    CHECK(cudaMalloc(&go_on, sizeof(int)));
    CHECK(cudaMemcpy(go_on, &one, sizeof(one), cudaMemcpyHostToDevice));
    CHECK(cudaDeviceGetAttribute(&can, cudaDevAttrCanMapHostMemory, 0));
    if (can) {
        CHECK(cudaHostAlloc((void **)&flag, sizeof(int), cudaHostAllocMapped));
        *flag = 0;
    }
    spin<<<1, 32>>>(flag, go_on);
    CHECK(cudaGetLastError());
    while (flag && !*flag)
        CHECK(cudaPeekAtLastError());
    printf("started\n");
    fflush(stdout);
    err = cudaDeviceSynchronize();
    printf("%d %s\n", (int)err, cudaGetErrorName(err));
    return 3;
}
