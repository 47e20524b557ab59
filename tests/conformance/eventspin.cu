/* SPDX-License-Identifier: MIT */
/* Asks for an event that never comes; ends with the error when whatever would bring it is gone. */
#include "check.h"

__global__ void spin(volatile int *go_on)
{
    while (*go_on)
        ;
}

int main(void)
{
    cudaEvent_t e;
    int *go_on, one = 1;
    cudaError_t err;

    test_name = "eventspin";
    CHECK(cudaMalloc(&go_on, sizeof(int)));
    CHECK(cudaMemcpy(go_on, &one, sizeof(one), cudaMemcpyHostToDevice));
    CHECK(cudaEventCreate(&e));
    spin<<<1, 32>>>(go_on);
    CHECK(cudaGetLastError());
    CHECK(cudaEventRecord(e));
    EXPECT(cudaEventQuery(e) == cudaErrorNotReady);
    printf("started\n");
    fflush(stdout);
    while ((err = cudaEventQuery(e)) == cudaErrorNotReady)
        ;
    printf("cudaEventQuery: %d %s\n", (int)err, cudaGetErrorName(err));
    return err == cudaSuccess;
}
