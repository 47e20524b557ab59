/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceSynchronize */
/* Printed before a trap: it is still shown; the reset makes the device usable or not, as natively. */
#include <cuda_runtime.h>

#include "transcript.h"

__global__ void say_and_trap(int trap)
{
    printf("before\n");
    if (trap)
        __trap();
}

int main(void)
{
    int *p = NULL;

    say_and_trap<<<1, 1>>>(0);
    T(cudaDeviceSynchronize());
    say_and_trap<<<1, 1>>>(1);
    T(cudaDeviceSynchronize());
    T(cudaGetLastError());
    T(cudaMalloc(&p, 4));
    return 0;
}
