/* SPDX-License-Identifier: MIT */
/* covers: cudaFree cudaMalloc cudaStreamCreateWithFlags */
/* A small block freed while a kernel on a non-blocking stream still writes to it: whoever gets the
 * memory next does not see those writes. */
#include "kernels.h"

#define N 1024

int main(void)
{
    CUfunction set_late = t_kernel("set_late");
    int *p[8], *q[8], n = N, v = 0x55;
    unsigned rounds = 300000;
    cudaStream_t s;

    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    for (int i = 0; i < 8; i++)
        T_OK(cudaMalloc((void **)&p[i], N * sizeof(int)));
    for (int i = 0; i < 8; i++) {
        T(t_launch(set_late, N / 128, 128, 0, s, ARGS(&p[i], &v, &n, &rounds)));
        T(cudaFree(p[i]));
        T(cudaMalloc((void **)&q[i], N * sizeof(int)));
        T(cudaMemset(q[i], 0, N * sizeof(int)));
    }
    T(cudaDeviceSynchronize());
    for (int i = 0; i < 8; i++)
        t_show("next owner", q[i], N);
    for (int i = 0; i < 8; i++)
        T(cudaFree(q[i]));
    T(cudaFree(p[0]));
    return 0;
}
