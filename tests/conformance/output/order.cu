/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceSynchronize cudaStreamSynchronize cudaEventSynchronize cudaMemcpy */
/* Device printf: what has been printed when a call that waits returns, in order with the host. */
#include <cuda_runtime.h>
#include <unistd.h>

#include "transcript.h"

__global__ void say(int n)
{
    printf("device: %d\n", n);
}

static void host(const char *what)
{
    printf("host: after %s\n", what);
    fflush(stdout);
}

int main(void)
{
    cudaStream_t s;
    cudaEvent_t e;
    int *p, v = 0;

    T_OK(cudaMalloc(&p, 4));
    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T_OK(cudaEventCreate(&e));
    say<<<1, 1>>>(1);
    T(cudaDeviceSynchronize());
    host("cudaDeviceSynchronize");
    say<<<1, 1, 0, s>>>(2);
    T(cudaStreamSynchronize(s));
    host("cudaStreamSynchronize");
    say<<<1, 1, 0, s>>>(3);
    T(cudaEventRecord(e, s));
    T(cudaEventSynchronize(e));
    host("cudaEventSynchronize");
    say<<<1, 1>>>(4);
    T(cudaMemcpy(&v, p, 4, cudaMemcpyDeviceToHost));
    host("cudaMemcpy to the host");
    for (int i = 5; i < 9; i++)
        say<<<1, 1, 0, s>>>(i);
    T(cudaStreamSynchronize(s));
    host("four launches");
    printf("host: no newline,");
    say<<<1, 1>>>(9);
    T(cudaDeviceSynchronize());
    say<<<1, 1>>>(10);
    T(cudaDeviceReset());
    host("cudaDeviceReset");
    return 0;
}
