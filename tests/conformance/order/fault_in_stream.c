/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamSynchronize cudaEventSynchronize cudaStreamQuery cudaEventQuery cudaGetLastError */
/* A kernel that stores to no address: every call says so from then on. */
#include "kernels.h"

int main(void)
{
    CUfunction poke = t_kernel("poke"), add = t_kernel("add_int");
    int *p, *nowhere = (int *)8, v = 1, n = 1, host = 0, devices = -1;
    cudaStream_t s, other;
    cudaEvent_t e;

    T_OK(cudaMalloc((void **)&p, 256));
    T_OK(cudaStreamCreate(&s));
    T_OK(cudaStreamCreate(&other));
    T_OK(cudaEventCreate(&e));
    nowhere = (int *)0x8;
    T(t_launch(poke, 1, 1, 0, s, ARGS(&nowhere, &v)));
    T(cudaStreamSynchronize(s));
    T(cudaGetLastError());
    T(cudaPeekAtLastError());
    T(cudaStreamSynchronize(other));
    T(cudaStreamQuery(s));
    T(cudaEventRecord(e, other));
    T(cudaEventQuery(e));
    T(cudaEventSynchronize(e));
    T(cudaMemcpy(&host, p, 4, cudaMemcpyDeviceToHost));
    T(cudaMemset(p, 0, 4));
    T(cudaMalloc((void **)&p, 4));
    T(cudaFree(p));
    T(t_launch(add, 1, 1, 0, other, ARGS(&p, &v, &n)));
    T(cudaDeviceSynchronize());
    T(cudaGetDeviceCount(&devices));
    T(cudaGetDevice(&devices));
    T(cudaStreamCreate(&s));
    T(cudaGetLastError());
    T(cuCtxSynchronize());
    T(cuMemAlloc((CUdeviceptr *)&p, 4));
    return 0;
}
